//! `POST /_matrix/client/v3/search`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3search>

use axum::extract::State;
use ruma::{UInt, api::client::filter::RoomEventFilter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_rooms::RelatedBy;
use vestibule_search::{ContextWanted, Found, GroupBy, Order, Search, SearchKey, SearchQuery};

use super::search_answer;
use crate::extract::QueryArgs;

#[derive(Debug, Deserialize)]
pub(super) struct Args {
    next_batch: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    search_categories: Categories<Criteria>,
}

/// The categories there are.
#[derive(Debug, Deserialize, Serialize)]
struct Categories<T> {
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    room_events: Option<T>,
}

#[derive(Debug, Deserialize)]
struct Criteria {
    search_term: String,
    keys: Option<Vec<Key>>,
    filter: Option<Filter>,
    order_by: Option<OrderBy>,
    event_context: Option<EventContext>,
    include_state: Option<bool>,
    groupings: Option<Groupings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Value")]
struct Filter {
    related_by: RelatedBy,
    events: RoomEventFilter,
}

impl TryFrom<Value> for Filter {
    type Error = serde_json::Error;

    fn try_from(filter: Value) -> Result<Self, Self::Error> {
        Ok(Self {
            related_by: RelatedBy::deserialize(&filter)?,
            events: RoomEventFilter::deserialize(&filter)?,
        })
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Key {
    #[serde(rename = "content.body")]
    Body,
    #[serde(rename = "content.name")]
    Name,
    #[serde(rename = "content.topic")]
    Topic,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderBy {
    Rank,
    Recent,
}

#[derive(Debug, Deserialize)]
struct EventContext {
    #[serde(default = "five")]
    before_limit: UInt,
    #[serde(default = "five")]
    after_limit: UInt,
    #[serde(default)]
    include_profile: bool,
}

/// Events on either side of a result when the client names no number.
fn five() -> UInt {
    UInt::from(5_u8)
}

#[derive(Debug, Default, Deserialize)]
struct Groupings {
    #[serde(default)]
    group_by: Vec<Grouping>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Grouping {
    key: GroupKey,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GroupKey {
    RoomId,
    Sender,
}

/// What was found, by category.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    search_categories: Categories<Found>,
}

#[instrument(name = "client_api.search.search_events", skip_all)]
pub(super) async fn handle(
    State(search): State<Search>,
    Caller(actor): Caller,
    QueryArgs(args): QueryArgs<Args>,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<OutgoingJson<Results>, MatrixError> {
    let room_events = match body.search_categories.room_events {
        Some(criteria) => {
            let found = search.search(&actor, query(criteria, args.next_batch)).await;
            Some(found.map_err(search_answer)?)
        }
        None => None,
    };
    Ok(OutgoingJson(Results { search_categories: Categories { room_events } }))
}

fn query(criteria: Criteria, from: Option<String>) -> SearchQuery {
    let number = |limit: UInt| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX);
    let keys = criteria.keys.unwrap_or_default().into_iter().map(|key| match key {
        Key::Body => SearchKey::Body,
        Key::Name => SearchKey::Name,
        Key::Topic => SearchKey::Topic,
    });
    let groups =
        criteria.groupings.unwrap_or_default().group_by.into_iter().map(|group| match group.key {
            GroupKey::RoomId => GroupBy::Room,
            GroupKey::Sender => GroupBy::Sender,
        });
    let filter = criteria.filter.unwrap_or_default();
    SearchQuery {
        term: criteria.search_term,
        keys: keys.collect(),
        filter: filter.events,
        related_by: filter.related_by,
        order: match criteria.order_by {
            Some(OrderBy::Rank) | None => Order::Rank,
            Some(OrderBy::Recent) => Order::Recent,
        },
        context: criteria.event_context.map(|context| ContextWanted {
            before: number(context.before_limit),
            after: number(context.after_limit),
            profiles: context.include_profile,
        }),
        state: criteria.include_state.unwrap_or_default(),
        groups: groups.collect(),
        from,
    }
}
