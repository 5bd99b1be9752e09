//! Changes of device lists: who has to be told that a user's devices or cross-signing keys are not
//! what they were.
//!
//! `DEVICE_LIST_CHANGE` holds one row for each user whose list ever changed, at the position of the
//! newest change, stamped in the slot of that user; each change also writes a
//! `StoredNews::DeviceList` line to `STREAM`. What other servers have to be told waits in
//! `DEVICE_LIST_NEWS`.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_types::RoomNo;

use crate::{Stamp, Stamped, Table, value};

/// Whose list changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDeviceListChange {
    /// The user.
    pub user: OwnedUserId,
}
value!(StoredDeviceListChange, 1);

/// Something other servers have to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDeviceListNews {
    /// The user of this server it is about.
    pub user: OwnedUserId,
    /// What changed.
    pub change: StoredListChange,
}
value!(StoredDeviceListNews, 1);

/// What changed about a user's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredListChange {
    /// A device: that it is new or gone, its keys, a signature on them, or its name.
    Device {
        /// Which one.
        device: OwnedDeviceId,
        /// The version of the list with this change.
        version: u64,
    },
    /// The cross-signing keys, or a signature on them.
    SigningKeys,
    /// Nothing, but the user came into a room: servers in it that were told nothing before have to
    /// be told now.
    CameInto {
        /// The room.
        room: RoomNo,
    },
}

/// What is known of the device list of a user of another server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRemoteDeviceList {
    /// Whether the copy holds everything its server told. If not, it is fetched before it is used.
    pub fresh: bool,
    /// The updates the copy was built from, newest last.
    pub updates: Vec<u64>,
}
value!(StoredRemoteDeviceList, 1);

/// Users by the position of the newest change of their list, in the slot of the user.
pub const DEVICE_LIST_CHANGE: Table<(u16, Stamp), StoredDeviceListChange> =
    Table::new(0x0820, "device_list_change");
/// Where a user is in [`DEVICE_LIST_CHANGE`].
pub const DEVICE_LIST_POSITION: Table<(OwnedUserId,), Stamped<()>> =
    Table::new(0x0821, "device_list_position");
/// How often the device list of a user of this server changed: what other servers know as its
/// stream id.
pub const DEVICE_LIST_VERSION: Table<(OwnedUserId,), u64> =
    Table::new(0x0822, "device_list_version");
/// What other servers have to be told, in the slot of the user.
pub const DEVICE_LIST_NEWS: Table<(u16, Stamp), StoredDeviceListNews> =
    Table::new(0x0823, "device_list_news");
/// Up to which commit of a slot the stream was followed for who came and went.
pub const DEVICE_LIST_FOLLOWED: Table<(u16,), u64> = Table::new(0x0826, "device_list_followed");
/// What is known of the lists of users of other servers.
pub const REMOTE_DEVICE_LIST: Table<(OwnedUserId,), StoredRemoteDeviceList> =
    Table::new(0x0824, "remote_device_list");
/// The rooms a user of any server is joined to, as far as this server is in them.
pub const JOINED_ROOM_BY_USER: Table<(OwnedUserId, RoomNo), ()> =
    Table::new(0x0825, "joined_room_by_user");
