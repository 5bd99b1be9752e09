//! The public list of rooms.

use ruma::{OwnedRoomAliasId, OwnedRoomId};
use serde::Deserialize;
use vestibule_storage::{
    Read, Scan, StorageError,
    tables::{
        directory::PUBLICATION_BY_ROOM,
        room::{MEMBER_COUNT, StoredMembership},
    },
};
use vestibule_types::{
    Actor, RoomNo,
    limits::{PUBLIC_ROOMS_PAGE_MAX, PUBLIC_ROOMS_SEARCH_MAX},
};

use super::resolve_alias::names_of;
use crate::{
    OpenRoom, RoomView, Rooms,
    ask::{Afar, Ask, Deed, decide},
    facts::{guest_can_join, world_readable},
};
use vestibule_policy::{Policy, RateFact};

/// What of the list is wanted.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsQuery {
    /// At most so many rooms.
    pub limit: usize,
    /// Where the previous page ended.
    pub since: Option<u64>,
    /// Words to look for in name, topic and alias.
    pub search: Option<String>,
    /// Only these room types; `None` in the list stands for rooms without one.
    pub room_types: Option<Vec<Option<String>>>,
}

/// A page of the list.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsPage {
    /// The rooms.
    pub rooms: Vec<RoomSummary>,
    /// Where the next page begins.
    pub next: Option<u64>,
    /// How many rooms are listed in all.
    pub total: u64,
}

/// What a stranger is told of a room.
#[derive(Clone, Debug)]
pub struct RoomSummary {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// The picture of it.
    pub avatar_url: Option<String>,
    /// Its canonical alias, when that is one of ours and leads here.
    pub canonical_alias: Option<OwnedRoomAliasId>,
    /// The rule by which people join.
    pub join_rule: String,
    /// The rooms whose members may join a restricted room.
    pub allowed_room_ids: Vec<OwnedRoomId>,
    /// How many are joined.
    pub joined_members: u64,
    /// Whether anybody may read it.
    pub world_readable: bool,
    /// Whether guests can join.
    pub guest_can_join: bool,
    /// Its type, as `m.space`.
    pub room_type: Option<String>,
    /// The algorithm messages are encrypted with.
    pub encryption: Option<String>,
}

#[derive(Deserialize, Default)]
struct Fields {
    name: Option<String>,
    topic: Option<String>,
    url: Option<String>,
    alias: Option<OwnedRoomAliasId>,
    join_rule: Option<String>,
    algorithm: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    allow: Vec<Allow>,
}

#[derive(Deserialize)]
struct Allow {
    room_id: Option<OwnedRoomId>,
}

impl Rooms {
    /// A page of the public list, as far as the caller's class may see it: a scoped class is shown
    /// only rooms it could join.
    pub async fn public_rooms(
        &self,
        actor: Option<&Actor>,
        query: PublicRoomsQuery,
    ) -> Result<PublicRoomsPage, StorageError> {
        let asker = actor.map(|actor| Ask {
            user_id: actor.user_id().to_owned(),
            now: self.inner.env.now(),
            address: actor.address(),
            rate: RateFact::Charged,
            afar: Afar::default(),
        });
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        self.inner
            .store
            .read(move |snapshot| list(&rooms, snapshot, &query, (&policy, asker.as_ref())))
            .await
    }
}

fn list<R: Read>(
    rooms: &Rooms,
    reader: &R,
    query: &PublicRoomsQuery,
    (policy, asker): (&Policy, Option<&Ask>),
) -> Result<PublicRoomsPage, StorageError> {
    let limit = query.limit.clamp(1, PUBLIC_ROOMS_PAGE_MAX);
    let mut page = PublicRoomsPage::default();
    let all =
        PUBLICATION_BY_ROOM.scan_with(reader, Scan::prefix(()).limit(PUBLIC_ROOMS_SEARCH_MAX))?;
    page.total = u64::try_from(all.len()).unwrap_or(u64::MAX);
    for ((no,), _) in all {
        if query.since.is_some_and(|since| no.0 <= since) {
            continue;
        }
        let Some(room) = OpenRoom::load_no(reader, no)? else { continue };
        let view = RoomView::new(rooms, reader, &room);
        let summary = view.summary()?;
        if !matches(query, &summary) {
            continue;
        }
        if let Some(ask) = asker {
            let deed = Deed::Discover(room.room_id.clone());
            if !decide(policy, reader, Some(&view), (ask, &deed))?.is_allowed() {
                continue;
            }
        }
        if page.rooms.len() == limit {
            page.next = page.rooms.last().map(|_| last_no(&page, no));
            break;
        }
        page.rooms.push(summary);
        page.next = Some(no.0);
    }
    if page.rooms.len() < limit {
        page.next = None;
    }
    Ok(page)
}

fn last_no(page: &PublicRoomsPage, beyond: RoomNo) -> u64 {
    page.next.unwrap_or_else(|| beyond.0.saturating_sub(1))
}

fn matches(query: &PublicRoomsQuery, room: &RoomSummary) -> bool {
    let right_type = query.room_types.as_ref().is_none_or(|kinds| kinds.contains(&room.room_type));
    let right_words = query.search.as_ref().is_none_or(|words| {
        let words = words.to_lowercase();
        let texts = [
            room.name.as_deref(),
            room.topic.as_deref(),
            room.canonical_alias.as_deref().map(ruma::RoomAliasId::as_str),
        ];
        texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&words))
    });
    right_type && right_words
}

impl<R: Read> RoomView<'_, R> {
    /// What a stranger is told of the room.
    pub fn summary(&self) -> Result<RoomSummary, StorageError> {
        let name = self.fields("m.room.name")?;
        let topic = self.fields("m.room.topic")?;
        let avatar = self.fields("m.room.avatar")?;
        let rules = self.fields("m.room.join_rules")?;
        let create = self.fields("m.room.create")?;
        let alias = self.fields("m.room.canonical_alias")?.alias;
        let ours = names_of(&self.reader, &self.room.room_id)?;
        Ok(RoomSummary {
            room_id: self.room.room_id.clone(),
            version: self.room.version.as_str().to_owned(),
            name: name.name.filter(|name| !name.is_empty()),
            topic: topic.topic.filter(|topic| !topic.is_empty()),
            avatar_url: avatar.url,
            canonical_alias: alias.filter(|alias| {
                alias.server_name() != self.rooms.inner.server_name || ours.contains(alias)
            }),
            join_rule: rules.join_rule.unwrap_or_else(|| "invite".to_owned()),
            allowed_room_ids: rules.allow.into_iter().filter_map(|rule| rule.room_id).collect(),
            joined_members: MEMBER_COUNT
                .get(&self.reader, (self.room.no, StoredMembership::Join.key()))?,
            world_readable: world_readable(self)?,
            guest_can_join: guest_can_join(self)?,
            room_type: create.kind,
            encryption: self.fields("m.room.encryption")?.algorithm,
        })
    }

    fn fields(&self, event_type: &str) -> Result<Fields, StorageError> {
        let event = self.state_event(event_type, "")?;
        Ok(event.and_then(|event| event.pdu.content_as().ok()).unwrap_or_default())
    }
}
