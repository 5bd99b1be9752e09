//! Rooms in which this server speaks to its users.

use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// The room of the notices to one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredNoticeRoom {
    /// The room.
    pub room_id: OwnedRoomId,
}
value!(StoredNoticeRoom, 1);

/// Which room the server writes notices to a user in. Written in the batch that makes the room.
pub const NOTICE_ROOM: Table<(OwnedUserId,), StoredNoticeRoom> = Table::new(0x0A80, "notice_room");
