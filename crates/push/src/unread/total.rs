//! How much a user has not read in all rooms they are in: what a badge shows.

use ruma::UserId;
use vestibule_rooms::{OpenRoom, RoomView, Rooms, Viewer};
use vestibule_storage::{
    Scan, Snapshot, StorageError,
    tables::room::{ROOM_BY_MEMBER, ROOM_POSITION, StoredMembership},
};
use vestibule_types::{RoomNo, limits::JOINED_ROOMS_MAX};

use super::{Asked, Looks, Unread, marks::moved_since};
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
        let looks = Looks::default();
        let scan = Scan::prefix((user,)).limit(JOINED_ROOMS_MAX);
        let mut sum = 0;
        for ((_, no), member) in ROOM_BY_MEMBER.scan_with(snapshot, scan)? {
            if member.value.membership != StoredMembership::Join {
                continue;
            }
            let asked = Asked { user, member: &member, at: u64::MAX, looks: &looks };
            sum += match self.unchanged(snapshot, (asked, no), &own)? {
                Some(count) => count,
                None => self.in_room_no(rooms, snapshot, (asked, no))?,
            };
        }
        Ok(sum)
    }

    /// The count of a room in which nothing has happened since.
    fn unchanged(
        &self,
        snapshot: &Snapshot<'_>,
        (asked, room): (Asked<'_>, RoomNo),
        own: &Own,
    ) -> Result<Option<u64>, StorageError> {
        let Some(known) = self.known(room, asked, own) else { return Ok(None) };
        let last = ROOM_POSITION.get(snapshot, (room,))?.map_or(0, |row| row.stamp.commit);
        if last > known.at || !moved_since(snapshot, room, asked.user, known.at)?.is_empty() {
            return Ok(None);
        }
        Ok(Some(known.total().notification_count))
    }

    fn in_room_no(
        &self,
        rooms: &Rooms,
        snapshot: &Snapshot<'_>,
        (asked, no): (Asked<'_>, RoomNo),
    ) -> Result<u64, StorageError> {
        let Some(room) = OpenRoom::load_no(snapshot, no)? else { return Ok(0) };
        let view = RoomView::new(rooms, snapshot, &room);
        let mut viewer = Viewer::new(&view, asked.user)?;
        let at = snapshot.position(rooms.store().slot_of_room(&room.room_id))?;
        let tally = self.in_room(&view, &mut viewer, Asked { at, ..asked })?;
        Ok(tally.total().notification_count)
    }
}
