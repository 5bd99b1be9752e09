//! The public list of rooms: the largest first, as the specification recommends.
//!
//! Its order is worked out when somebody asks. A token names a place in it by how many are joined to a room
//! and the room's number, so whoever goes through it page by page is shown each room once that neither
//! grows nor shrinks past the place meanwhile.

use std::{cmp::Reverse, fmt, str::FromStr};

use ruma::directory::{Filter, RoomNetwork};
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

use super::PublicRoom;
use crate::{
    OpenRoom, RoomView, Rooms,
    ask::{Afar, Ask, Deed, decide},
};
use vestibule_policy::{Policy, RateFact};

/// What of the list is wanted.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsQuery {
    /// At most so many rooms; zero is as many as there are on a page.
    pub limit: usize,
    /// Where another page ended or began.
    pub since: Option<PublicRoomsToken>,
    /// Words to look for in name, topic and alias, and the room types that are wanted.
    pub filter: Filter,
    /// The network they are of. There are no others here than Matrix.
    pub network: RoomNetwork,
}

/// A page of the list.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsPage {
    /// The rooms.
    pub rooms: Vec<PublicRoom>,
    /// Where the next page begins, if there is one.
    pub next: Option<PublicRoomsToken>,
    /// Where the previous page ends, if there is one.
    pub previous: Option<PublicRoomsToken>,
    /// How many rooms are listed in all, about.
    pub total: u64,
}

/// A place in the list, which is between two pages: the next begins after it, the previous ends before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicRoomsToken {
    forward: bool,
    place: Place,
}

impl PublicRoomsToken {
    const fn after(place: Place) -> Self {
        Self { forward: true, place }
    }

    const fn before(place: Place) -> Self {
        Self { forward: false, place }
    }
}

impl fmt::Display for PublicRoomsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.forward { 'n' } else { 'p' };
        write!(f, "{direction}{}_{}", self.place.joined.0, self.place.no)
    }
}

/// The text is no token of the public list.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("`since` is not a token of this server")]
pub struct NotAToken;

impl FromStr for PublicRoomsToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let (forward, place) = match (text.strip_prefix('n'), text.strip_prefix('p')) {
            (Some(place), _) => (true, place),
            (_, Some(place)) => (false, place),
            _ => return Err(NotAToken),
        };
        let (joined, no) = place.split_once('_').ok_or(NotAToken)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| NotAToken);
        let place = Place { joined: Reverse(number(joined)?), no: number(no)? };
        Ok(Self { forward, place })
    }
}

/// Where a room stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    joined: Reverse<u64>,
    no: u64,
}

impl Place {
    /// Before and behind all rooms.
    const FIRST: Self = Self { joined: Reverse(u64::MAX), no: 0 };
    const LAST: Self = Self { joined: Reverse(0), no: u64::MAX };
}

impl Rooms {
    /// A page of the public list, as far as the caller's class may see it: a scoped class is shown
    /// only rooms it could join.
    pub async fn public_rooms(
        &self,
        actor: Option<&Actor>,
        query: PublicRoomsQuery,
    ) -> Result<PublicRoomsPage, StorageError> {
        if matches!(query.network, RoomNetwork::ThirdParty(_)) {
            return Ok(PublicRoomsPage::default());
        }
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
            .read(move |snapshot| {
                let onlooker = Onlooker { rooms: &rooms, policy: &policy, asker: asker.as_ref() };
                onlooker.page(snapshot, &query)
            })
            .await
    }
}

/// All rooms that are listed and have somebody in them, in the order of the list.
fn order<R: Read>(reader: &R) -> Result<Vec<Place>, StorageError> {
    let all = Scan::prefix(()).limit(PUBLIC_ROOMS_SEARCH_MAX);
    let mut order = Vec::new();
    for ((no,), _) in PUBLICATION_BY_ROOM.scan_with(reader, all)? {
        let joined = MEMBER_COUNT.get(reader, (no, StoredMembership::Join.key()))?;
        if joined > 0 {
            order.push(Place { joined: Reverse(joined), no: no.0 });
        }
    }
    order.sort_unstable();
    Ok(order)
}

/// Who looks at the list.
struct Onlooker<'a> {
    rooms: &'a Rooms,
    policy: &'a Policy,
    asker: Option<&'a Ask>,
}

impl Onlooker<'_> {
    fn page<R: Read>(
        &self,
        reader: &R,
        query: &PublicRoomsQuery,
    ) -> Result<PublicRoomsPage, StorageError> {
        let limit = match query.limit {
            0 => PUBLIC_ROOMS_PAGE_MAX,
            limit => limit.min(PUBLIC_ROOMS_PAGE_MAX),
        };
        let order = order(reader)?;
        let since = query.since.unwrap_or(PublicRoomsToken::after(Place::FIRST));
        let is_earlier = |it: &Place| *it < since.place || (since.forward && *it == since.place);
        let (earlier, later) = order.split_at(order.partition_point(is_earlier));
        let (mut found, more) = if since.forward {
            self.look(reader, query, later.iter().copied(), limit)?
        } else {
            self.look(reader, query, earlier.iter().rev().copied(), limit)?
        };
        // Behind the place that was named lies the page the client came from, if it has rooms.
        let back = if since.forward {
            self.look(reader, query, earlier.iter().rev().copied(), 1)?
        } else {
            found.reverse();
            self.look(reader, query, later.iter().copied(), 1)?
        };
        let (is_next, is_previous) =
            if since.forward { (more, !back.0.is_empty()) } else { (!back.0.is_empty(), more) };
        let ends = (found.first().map(|it| it.0), found.last().map(|it| it.0));
        let first = ends.0.or(later.first().copied()).unwrap_or(Place::LAST);
        let last = ends.1.or(earlier.last().copied()).unwrap_or(Place::FIRST);
        Ok(PublicRoomsPage {
            rooms: found.into_iter().map(|it| it.1).collect(),
            next: is_next.then_some(PublicRoomsToken::after(last)),
            previous: is_previous.then_some(PublicRoomsToken::before(first)),
            total: u64::try_from(order.len()).unwrap_or(u64::MAX),
        })
    }

    /// The first rooms of those at these places that match and may be shown, and whether there are more.
    fn look<R: Read>(
        &self,
        reader: &R,
        query: &PublicRoomsQuery,
        places: impl Iterator<Item = Place>,
        limit: usize,
    ) -> Result<(Vec<(Place, PublicRoom)>, bool), StorageError> {
        let mut found = Vec::new();
        for place in places {
            let Some(room) = self.shown(reader, query, place)? else { continue };
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push((place, room));
        }
        Ok((found, false))
    }

    /// The room at a place, if it matches and may be shown.
    fn shown<R: Read>(
        &self,
        reader: &R,
        query: &PublicRoomsQuery,
        place: Place,
    ) -> Result<Option<PublicRoom>, StorageError> {
        let Some(open) = OpenRoom::load_no(reader, RoomNo(place.no))? else { return Ok(None) };
        let view = RoomView::new(self.rooms, reader, &open);
        // What is known of a room that only others are in is out of date.
        if !view.is_resident()? {
            return Ok(None);
        }
        let room = view.summary()?.room;
        if !is_open(&room) || !matches(query, &room) {
            return Ok(None);
        }
        if let Some(ask) = self.asker {
            let deed = Deed::Discover(room.room_id.clone());
            if !decide(self.policy, reader, Some(&view), (ask, &deed))?.is_allowed() {
                return Ok(None);
            }
        }
        Ok(Some(room))
    }
}

/// Whether a stranger could come into a room, or read it. A room that was closed since is not listed.
fn is_open(room: &PublicRoom) -> bool {
    let open = ["public", "knock", "restricted", "knock_restricted"];
    room.world_readable || open.contains(&room.join_rule.as_str())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_were_written() {
        for (token, text) in [
            (PublicRoomsToken::after(Place { joined: Reverse(12), no: 7 }), "n12_7"),
            (
                PublicRoomsToken::before(Place { joined: Reverse(0), no: u64::MAX }),
                "p0_18446744073709551615",
            ),
        ] {
            assert_eq!(token.to_string(), text);
            assert_eq!(text.parse::<PublicRoomsToken>().unwrap(), token);
        }
        for text in ["", "7", "n", "n7", "n_7", "n7_", "x7_7", "n-1_7", "nn7_7"] {
            assert!(text.parse::<PublicRoomsToken>().is_err(), "{text}");
        }
    }
}
