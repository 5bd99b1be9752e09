//! Who knows whom: sharing a room that lies in the asker's scope; and who was in a room at all.

use ruma::{ServerName, UserId};
use vestibule_accounts::Acquaintance;
use vestibule_policy::RateFact;
use vestibule_storage::{
    Snapshot, StorageError,
    tables::{
        device_list::JOINED_ROOM_BY_USER,
        room::{ROOM_BY_MEMBER, SERVER_BY_ROOM, StoredMembership},
    },
};
use vestibule_types::{
    BoxFuture,
    limits::{JOINED_ROOMS_MAX, SHARED_ROOMS_SCAN_MAX},
};

use crate::{
    OpenRoom, RoomView, Rooms,
    ask::{Afar, Ask, Deed, decide},
};

impl Acquaintance for Rooms {
    fn share_room<'a>(
        &'a self,
        user: &'a UserId,
        other: &'a UserId,
    ) -> BoxFuture<'a, Result<bool, StorageError>> {
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        let ask = Ask {
            user_id: user.to_owned(),
            now: self.inner.env.now(),
            address: None,
            rate: RateFact::Charged,
            afar: Afar::default(),
            later: None,
        };
        let other = other.to_owned();
        Box::pin(async move {
            self.inner
                .store
                .read(move |snapshot| {
                    let mine =
                        JOINED_ROOM_BY_USER.scan(snapshot, (&ask.user_id,), JOINED_ROOMS_MAX)?;
                    let places = mine.iter().map(|((_, no), ())| (&other, *no));
                    let theirs = JOINED_ROOM_BY_USER.multi_get(snapshot, places)?;
                    for (((_, no), ()), their) in mine.into_iter().zip(theirs) {
                        if their.is_none() {
                            continue;
                        }
                        let Some(room) = OpenRoom::load_no(snapshot, no)? else { continue };
                        let view = RoomView::new(&rooms, snapshot, &room);
                        let deed = Deed::Stay(room.room_id.clone());
                        if decide(&policy, snapshot, Some(&view), (&ask, &deed))?.is_allowed() {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                })
                .await
        })
    }

    fn share_room_with_server<'a>(
        &'a self,
        user: &'a UserId,
        server: &'a ServerName,
    ) -> BoxFuture<'a, Result<bool, StorageError>> {
        let (user, server) = (user.to_owned(), server.to_owned());
        Box::pin(async move {
            self.inner
                .store
                .read(move |snapshot| {
                    let rooms = ROOM_BY_MEMBER.scan(snapshot, (&user,), SHARED_ROOMS_SCAN_MAX)?;
                    for ((_, no), row) in rooms {
                        if row.value.membership == StoredMembership::Join
                            && SERVER_BY_ROOM.contains(snapshot, (no, &server))?
                        {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                })
                .await
        })
    }

    fn was_in_a_room<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Result<bool, StorageError>> {
        let user = user.to_owned();
        Box::pin(async move {
            let read = move |snapshot: &Snapshot<'_>| {
                let rooms = ROOM_BY_MEMBER.scan(snapshot, (&user,), SHARED_ROOMS_SCAN_MAX)?;
                let was_in = |membership| {
                    matches!(membership, StoredMembership::Join | StoredMembership::Leave)
                };
                Ok(rooms.into_iter().any(|(_, row)| was_in(row.value.membership)))
            };
            self.inner.store.read(read).await
        })
    }
}
