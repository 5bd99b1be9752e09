//! Device lists: those of users of other servers, kept here as long as a room is shared with them,
//! and what other servers are told of ours.

mod announce;
mod fetch;
mod fetched;
mod follow;
mod receive;
mod snapshot;

use ruma::{ServerName, UserId};
use vestibule_storage::{
    Read, StorageError,
    tables::{device_list::JOINED_ROOM_BY_USER, room::SERVER_BY_ROOM},
};
use vestibule_types::limits::JOINED_ROOMS_MAX;

pub(crate) use self::fetch::Fetches;
pub use self::{
    receive::{DeviceListUpdate, ReceiveUpdateError, SigningKeyUpdate},
    snapshot::{OwnDevice, OwnDeviceList},
};

/// Rooms of a user that are looked at together.
const ROOMS_AT_ONCE: usize = 64;

/// Whether this server is in a room with the user: only then it is told of changes.
pub(crate) fn is_tracked(
    read: &impl Read,
    here: &ServerName,
    user: &UserId,
) -> Result<bool, StorageError> {
    use vestibule_storage::Scan;
    let mut rooms = JOINED_ROOM_BY_USER.scan(read, (user,), ROOMS_AT_ONCE)?;
    let mut looked_at = 0;
    while let Some((_, last)) = rooms.last().map(|(key, ())| key.clone()) {
        let present =
            SERVER_BY_ROOM.multi_get(read, rooms.iter().map(|((_, room), ())| (*room, here)))?;
        if present.iter().any(Option::is_some) {
            return Ok(true);
        }
        looked_at += rooms.len();
        if looked_at >= JOINED_ROOMS_MAX {
            break;
        }
        let next = Scan::prefix((user,)).after((user, last)).limit(ROOMS_AT_ONCE);
        rooms = JOINED_ROOM_BY_USER.scan_with(read, next)?;
    }
    Ok(false)
}
