//! The rooms two users are both in.

use ruma::{OwnedRoomId, UserId};
use vestibule_storage::{
    Snapshot, StorageError,
    tables::{device_list::JOINED_ROOM_BY_USER, room::ROOM_BY_NO},
};
use vestibule_types::{
    Actor, RoomNo,
    limits::{JOINED_ROOMS_MAX, MUTUAL_ROOMS_PAGE_MAX},
};

use super::search_users::{is_scoped, may_stay};
use crate::{Rooms, ask::Ask};

/// One page of the rooms two users share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MutualRooms {
    /// The rooms of this page.
    pub joined: Vec<OwnedRoomId>,
    /// How many there are on all pages.
    pub count: usize,
    /// What to pass as `from` for the next page; `None` on the last.
    pub next_batch: Option<String>,
}

/// Why they were not listed.
#[derive(Debug, thiserror::Error)]
pub enum MutualRoomsError {
    /// One shares every room with oneself.
    #[error("this is your own user id")]
    Oneself,
    /// The user id has characters that user ids do not have any more.
    #[error("this user id is not compliant")]
    NonCompliant,
    /// The pagination token is not one of ours.
    #[error("this is no token of an earlier answer")]
    BadToken,
    /// The database failed.
    #[error("could not read the rooms")]
    Storage(#[from] StorageError),
}

impl Rooms {
    /// The rooms in which both the caller and `other` are joined, in pages. A caller of a scoped class
    /// is told only those that are open to it.
    pub async fn mutual_rooms(
        &self,
        actor: &Actor,
        other: &UserId,
        from: Option<&str>,
    ) -> Result<MutualRooms, MutualRoomsError> {
        if actor.user_id() == other {
            return Err(MutualRoomsError::Oneself);
        }
        if other.validate_historical().is_err() {
            return Err(MutualRoomsError::NonCompliant);
        }
        let after = from.map(|token| token.parse().map(RoomNo)).transpose();
        let after = after.map_err(|_| MutualRoomsError::BadToken)?;
        let ask = Ask::unattended(actor.user_id(), self.inner.env.now());
        let (rooms, other) = (self.clone(), other.to_owned());
        let page = self.inner.store.read(move |snapshot| {
            let shared = shared(&rooms, snapshot, (&ask, &other))?;
            page_of(snapshot, &shared, after)
        });
        Ok(page.await?)
    }
}

/// The numbers of the rooms both are in, ascending, as far as the asker may know of them.
fn shared(
    rooms: &Rooms,
    snapshot: &Snapshot<'_>,
    (ask, other): (&Ask, &UserId),
) -> Result<Vec<RoomNo>, StorageError> {
    let policy = rooms.inner.policy.current();
    let scoped = is_scoped(&policy, snapshot, ask)?;
    let mine = JOINED_ROOM_BY_USER.scan(snapshot, (&ask.user_id,), JOINED_ROOMS_MAX)?;
    let theirs = mine.iter().map(|((_, no), ())| (other, *no));
    let theirs = JOINED_ROOM_BY_USER.multi_get(snapshot, theirs)?;
    let mut shared = Vec::new();
    for (((_, no), ()), their) in mine.into_iter().zip(theirs) {
        if their.is_some() && (!scoped || may_stay(rooms, (&policy, snapshot), (ask, no))?) {
            shared.push(no);
        }
    }
    Ok(shared)
}

fn page_of(
    snapshot: &Snapshot<'_>,
    shared: &[RoomNo],
    after: Option<RoomNo>,
) -> Result<MutualRooms, StorageError> {
    let (page, next) = page(shared, after);
    let rooms = ROOM_BY_NO.multi_get(snapshot, page.iter().map(|no| (*no,)))?;
    Ok(MutualRooms {
        joined: rooms.into_iter().flatten().map(|room| room.room_id).collect(),
        count: shared.len(),
        next_batch: next.map(|last| last.0.to_string()),
    })
}

/// The rooms of a page, and after which one the next begins, if there is one. The token stays good
/// whatever rooms come or go: it names a place, not a page.
fn page(shared: &[RoomNo], after: Option<RoomNo>) -> (&[RoomNo], Option<RoomNo>) {
    let begin = after.map_or(0, |after| shared.partition_point(|no| *no <= after));
    let rest = shared.get(begin..).unwrap_or_default();
    let page = rest.get(..MUTUAL_ROOMS_PAGE_MAX).unwrap_or(rest);
    let more = rest.len() > page.len();
    (page, page.last().copied().filter(|_| more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_room_once_and_end() {
        let number = |at: usize| RoomNo(u64::try_from(at).unwrap() * 7);
        for count in [0, 1, MUTUAL_ROOMS_PAGE_MAX, MUTUAL_ROOMS_PAGE_MAX * 2 + 1] {
            let shared: Vec<_> = (0..count).map(number).collect();
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (rooms, next) = page(&shared, after);
                assert!(rooms.len() <= MUTUAL_ROOMS_PAGE_MAX);
                seen.extend_from_slice(rooms);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, shared);
        }
    }

    #[test]
    fn a_token_outlives_the_room_it_names() {
        let shared = [RoomNo(1), RoomNo(5), RoomNo(9)];
        assert_eq!(page(&shared, Some(RoomNo(4))), (&shared[1..], None));
        assert_eq!(page(&shared, Some(RoomNo(9))), (&[][..], None));
    }
}
