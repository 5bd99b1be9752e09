//! Pushers: where devices are told of news, and what waits to be told.
//!
//! Pushers and what waits for them lie in the slot of their user, so that whoever closes a device
//! closes its pushers in the same batch. Who else uses a pushkey is known in slot 0: where that is the slot
//! of the user too, a row there goes with its pusher; elsewhere it may outlive it.

use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_types::{EventNo, RoomNo};

use crate::{SlotNo, Stamp, StorageError, Table, Tx, tables::sender::StoredCursor, value};

/// A pusher that calls a push gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPusher {
    /// The device that set it; it goes with the device.
    pub device_id: Option<OwnedDeviceId>,
    /// The gateway.
    pub url: String,
    /// Its `data` without the URL: the text of a JSON object.
    pub data: String,
    /// What the application is called.
    pub app_display_name: String,
    /// What the device is called.
    pub device_display_name: String,
    /// Which rules of a device it executes.
    pub profile_tag: Option<String>,
    /// The language of its user.
    pub lang: String,
    /// When it was last set, in milliseconds since the Unix epoch.
    pub set_at: u64,
    /// What happened in the log before is not for it: a place per slot.
    pub from: StoredCursor,
}
value!(StoredPusher, 1);

/// How a pusher is doing; no row while it does well and no badge was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPusherStanding {
    /// How often in a row its gateway failed.
    pub failures: u32,
    /// When it is tried again, in milliseconds since the Unix epoch.
    pub retry_at: u64,
    /// The number of unread notifications that its device was told last.
    pub badge: u64,
}
value!(StoredPusherStanding, 1);

/// Something a pusher has to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredPush {
    /// An event.
    Event {
        /// Its room.
        room: RoomNo,
        /// The event.
        event: EventNo,
        /// The tweaks of the rule that matched: the text of a JSON object.
        tweaks: String,
        /// Whether the event is emphasized.
        highlight: bool,
        /// When it was queued, in milliseconds since the Unix epoch.
        at: u64,
    },
    /// That the user has read on.
    Badge,
    /// An invitation to a room this server is not in.
    Invitation {
        /// The room.
        room_id: OwnedRoomId,
        /// The tweaks of the rule that matched: the text of a JSON object.
        tweaks: String,
        /// Whether it is emphasized.
        highlight: bool,
        /// When it was queued, in milliseconds since the Unix epoch.
        at: u64,
    },
}
value!(StoredPush, 1);

/// Pushers by user, application and pushkey.
pub const PUSHER: Table<(OwnedUserId, String, String), StoredPusher> = Table::new(0x0940, "pusher");
/// Who uses a pushkey: application, pushkey, user. In slot 0.
pub const PUSHER_OWNER: Table<(String, String, OwnedUserId), ()> =
    Table::new(0x0941, "pusher_owner");
/// Up to where the log was looked through for what devices are to be told. Key `(0,)`.
pub const PUSH_TAIL: Table<(u8,), StoredCursor> = Table::new(0x0942, "push_tail");
/// What waits for a pusher: user, application, pushkey, and the place in the log it comes from.
pub const PUSH_WAITING: Table<(OwnedUserId, String, String, u16, Stamp), StoredPush> =
    Table::new(0x0943, "push_waiting");
/// How a pusher is doing.
pub const PUSHER_STANDING: Table<(OwnedUserId, String, String), StoredPusherStanding> =
    Table::new(0x0944, "pusher_standing");

/// Removes a pusher with everything that waits for it. The transaction must be in the user's slot.
pub fn remove_pusher(
    tx: &mut Tx<'_>,
    (user, app_id, pushkey): (&OwnedUserId, &str, &str),
) -> Result<(), StorageError> {
    if tx.slot() == SlotNo(0) {
        PUSHER_OWNER.delete(tx, (app_id, pushkey, user))?;
    }
    PUSHER.delete(tx, (user, app_id, pushkey))?;
    PUSHER_STANDING.delete(tx, (user, app_id, pushkey))?;
    PUSH_WAITING.delete_prefix(tx, (user, app_id, pushkey))
}
