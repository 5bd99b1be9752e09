//! Sliding sync (MSC4186): what was sent over a connection of a device.
//!
//! A connection is a row and the steps it took. A step holds only what an answer changed; all steps
//! up to a position, folded in order, are what the client has when it comes back with that position.
//! Of the steps only the last may be one the client has not confirmed. All of it lies in the slot of
//! the user.

use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// A connection of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredConnection {
    /// The step the client has for certain; 0 when it has none.
    pub confirmed: u64,
    /// The last step, which the client may have.
    pub latest: u64,
    /// How many steps are kept.
    pub steps: u32,
    /// When it was last used, a little later at most, in milliseconds since the Unix epoch.
    pub used_at: u64,
}
value!(StoredConnection, 1);

/// What one answer changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredStep {
    /// What was sent of rooms.
    pub rooms: Vec<StoredSentRoom>,
    /// The state that was asked for, where a room of this step names it.
    pub wants: Vec<StoredWants>,
}
value!(StoredStep, 1);

/// What the client has of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSentRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Up to which commits of the room's slot and of the user's slot it was sent, when later ones were
    /// left out. `None`: up to the client's position.
    pub until: Option<(u64, u64)>,
    /// How many of the newest events were sent at least; the greatest number stands for all.
    pub timeline: u32,
    /// Which state was sent: the identifier of a [`StoredWants`].
    pub wants: u64,
    /// Whether it was shown as a direct chat.
    pub is_dm: bool,
    /// Whether only what may be known before one joins was sent.
    pub stripped: bool,
}

/// State somebody asked for: event types with state keys, as written in the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredWants {
    /// What rooms call it.
    pub id: u64,
    /// The pairs.
    pub pairs: Vec<(String, String)>,
}

/// The connections of devices, by the name the client gave each.
pub const SLIDING_CONNECTION: Table<(OwnedUserId, OwnedDeviceId, String), StoredConnection> =
    Table::new(0x0960, "sliding_connection");
/// The steps of a connection.
pub const SLIDING_STEP: Table<(OwnedUserId, OwnedDeviceId, String, u64), StoredStep> =
    Table::new(0x0961, "sliding_step");
