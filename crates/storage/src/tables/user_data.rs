//! What is kept for one user: the profile, account data, filters.
//!
//! Whoever follows a user's data reads `USER_CHANGE` from a stored position: it holds one row for
//! each item that ever changed, at the position of its newest change, and nothing else. The item
//! itself is read from `ACCOUNT_DATA`, whose value carries the same stamp. All of it is stamped in
//! the slot of the user, and each change also writes a `StoredNews::User` line to `STREAM`.

use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Stamp, Stamped, Table, value};

/// What changed for a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredUserChange {
    /// Account data: tags are the type `m.tag` of a room, push rules the global type
    /// `m.push_rules`, the read marker the type `m.fully_read` of a room.
    AccountData {
        /// The room it belongs to; `None` for global account data.
        room_id: Option<OwnedRoomId>,
        /// Its type.
        event_type: String,
    },
}
value!(StoredUserChange, 1);

/// A filter, as the client sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFilter {
    /// The JSON object.
    pub json: String,
    /// When it was stored or last renewed because it is in use, in milliseconds since the Unix epoch.
    pub renewed_at: u64,
}
value!(StoredFilter, 1);

/// The items of a user that changed, in the order of their newest change.
pub const USER_CHANGE: Table<(OwnedUserId, Stamp), StoredUserChange> =
    Table::new(0x0400, "user_change");
/// Account data by user, room (empty for global) and type: the content, as JSON text.
pub const ACCOUNT_DATA: Table<(OwnedUserId, String, String), Stamped<String>> =
    Table::new(0x0401, "account_data");
/// Profile fields, as JSON text.
pub const PROFILE_FIELD: Table<(OwnedUserId, String), String> = Table::new(0x0402, "profile_field");
/// The guard of a profile: written with every change of a field.
pub const PROFILE_GUARD: Table<(OwnedUserId,), u64> = Table::new(0x0403, "profile_guard");
/// Filters by user and identifier.
pub const FILTER_BY_ID: Table<(OwnedUserId, String), StoredFilter> =
    Table::new(0x0404, "filter_by_id");
/// The guard of a user's account data and filters, written with every change: it makes the
/// bounds on their number hold.
pub const USER_DATA_GUARD: Table<(OwnedUserId,), u64> = Table::new(0x0405, "user_data_guard");
/// How many bytes a user's account data takes. Without this row it was not counted yet.
pub const ACCOUNT_DATA_BYTES: Table<(OwnedUserId,), u64> = Table::new(0x0B62, "account_data_bytes");
