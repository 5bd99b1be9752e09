//! The public list of rooms.

use ruma::directory::Filter;
use vestibule_storage::{Read, Scan, StorageError, tables::directory::PUBLICATION_BY_ROOM};
use vestibule_types::{
    Actor, RoomNo,
    limits::{PUBLIC_ROOMS_PAGE_MAX, PUBLIC_ROOMS_SEARCH_MAX},
};

use super::PublicRoom;
use crate::{
    OpenRoom, RoomView, Rooms,
    ask::{Afar, Ask, Deed, decide},
};
use vestibule_policy::{Policy, RateFact};

/// What of the list is wanted.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsQuery {
    /// At most so many rooms.
    pub limit: usize,
    /// Where the previous page ended.
    pub since: Option<u64>,
    /// Words to look for in name, topic and alias, and the room types that are wanted.
    pub filter: Filter,
}

/// A page of the list.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsPage {
    /// The rooms.
    pub rooms: Vec<PublicRoom>,
    /// Where the next page begins.
    pub next: Option<u64>,
    /// How many rooms are listed in all.
    pub total: u64,
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
            later: None,
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
        let room = view.summary()?.room;
        if !matches(query, &room) {
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
        page.rooms.push(room);
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

fn matches(query: &PublicRoomsQuery, room: &PublicRoom) -> bool {
    let (kinds, kind) = (&query.filter.room_types, room.room_type.as_deref());
    let right_type = kinds.is_empty() || kinds.iter().any(|wanted| wanted.as_str() == kind);
    let right_words = query.filter.generic_search_term.as_ref().is_none_or(|words| {
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
