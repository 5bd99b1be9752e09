//! How much a user has not read in all rooms they are in: what a badge shows.

use ruma::UserId;
use vestibule_rooms::{OpenRoom, RoomView, Rooms, Viewer};
use vestibule_storage::{
    Scan, Snapshot, Stamped, StorageError,
    tables::room::{ROOM_BY_MEMBER, ROOM_POSITION, StoredMember, StoredMembership},
};
use vestibule_types::{RoomNo, limits::JOINED_ROOMS_MAX};

use super::{Asked, Unread, marks::moved_since};
use crate::rules::Own;

impl Unread {
    /// How many notifications a user has not read, over all rooms. Rooms in which nothing happened
    /// since they were counted cost a few look-ups.
    pub(crate) fn everywhere(
        &self,
        rooms: &Rooms,
        snapshot: &Snapshot<'_>,
        user: &UserId,
    ) -> Result<u64, StorageError> {
        let own = self.own(snapshot, user)?;
        let scan = Scan::prefix((user,)).limit(JOINED_ROOMS_MAX);
        let mut sum = 0;
        for ((_, no), member) in ROOM_BY_MEMBER.scan_with(snapshot, scan)? {
            if member.value.membership != StoredMembership::Join {
                continue;
            }
            sum += match self.unchanged(snapshot, (user, no), &member, &own)? {
                Some(count) => count,
                None => self.in_room_no(rooms, snapshot, (user, no), &member)?,
            };
        }
        Ok(sum)
    }

    /// The count of a room in which nothing has happened since.
    fn unchanged(
        &self,
        snapshot: &Snapshot<'_>,
        (user, room): (&UserId, RoomNo),
        member: &Stamped<StoredMember>,
        own: &Own,
    ) -> Result<Option<u64>, StorageError> {
        let asked = Asked { user, member, at: u64::MAX };
        let Some(known) = self.known(room, asked, own) else { return Ok(None) };
        let last = ROOM_POSITION.get(snapshot, (room,))?.map_or(0, |row| row.stamp.commit);
        if last > known.at || moved_since(snapshot, room, user, known.at)? {
            return Ok(None);
        }
        Ok(Some(known.total().notification_count))
    }

    fn in_room_no(
        &self,
        rooms: &Rooms,
        snapshot: &Snapshot<'_>,
        (user, no): (&UserId, RoomNo),
        member: &Stamped<StoredMember>,
    ) -> Result<u64, StorageError> {
        let Some(room) = OpenRoom::load_no(snapshot, no)? else { return Ok(0) };
        let view = RoomView::new(rooms, snapshot, &room);
        let mut viewer = Viewer::new(&view, user)?;
        let at = snapshot.position(rooms.store().slot_of_room(&room.room_id))?;
        let tally = self.in_room(&view, &mut viewer, Asked { user, member, at })?;
        Ok(tally.total().notification_count)
    }
}
