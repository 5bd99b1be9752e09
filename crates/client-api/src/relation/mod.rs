//! What relates to an event: reactions, edits, references, threads.

mod get_relating_events;
mod get_relating_events_with_rel_type;
mod get_relating_events_with_rel_type_and_event_type;
mod get_threads;

use ruma::{
    UInt,
    api::{
        Direction as Way,
        client::{relations, threads},
    },
};
use serde::Serialize;
use serde_json::value::RawValue;
use vestibule_http::OutgoingJson;
use vestibule_policy::EndpointRule;
use vestibule_rooms::{Direction, Relations};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::Authenticated;
    routes
        .mount::<relations::get_relating_events::v1::Request, _>(
            Authenticated,
            get_relating_events::handle,
        )
        .mount::<relations::get_relating_events_with_rel_type::v1::Request, _>(
            Authenticated,
            get_relating_events_with_rel_type::handle,
        )
        .mount::<relations::get_relating_events_with_rel_type_and_event_type::v1::Request, _>(
            Authenticated,
            get_relating_events_with_rel_type_and_event_type::handle,
        )
        .mount::<threads::get_threads::v1::Request, _>(Authenticated, get_threads::handle)
}

/// Events on one page when the client names no number.
const PAGE: usize = 50;

/// A page of relations, as the specification names it.
#[derive(Debug, Serialize)]
struct Page {
    chunk: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recursion_depth: Option<u8>,
}

fn page(relations: Relations) -> OutgoingJson<Page> {
    OutgoingJson(Page {
        chunk: relations.chunk,
        next_batch: relations.next,
        prev_batch: relations.previous,
        recursion_depth: relations.recursion_depth,
    })
}

fn direction(way: Way) -> Direction {
    match way {
        Way::Backward => Direction::Backward,
        Way::Forward => Direction::Forward,
    }
}

fn size(limit: Option<UInt>) -> usize {
    limit.map_or(PAGE, |limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX))
}
