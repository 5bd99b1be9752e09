//! Relations between events by their type, and which events have any that are summed up.

use ruma::{OwnedEventId, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_types::RoomNo;

use super::room::StoredEventNo;
use crate::{Stamp, Table, value};

/// Which relations that are summed up lead to an event. Says what there was, redacted or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAggregated {
    /// Replies in a thread (`m.thread`).
    pub thread: bool,
    /// Edits (`m.replace`).
    pub replaced: bool,
    /// References (`m.reference`).
    pub referenced: bool,
}
value!(StoredAggregated, 1);

/// What relates to an event by one type of relation, oldest first.
pub const RELATION_BY_TYPE: Table<(RoomNo, OwnedEventId, String, Stamp), StoredEventNo> =
    Table::new(0x09C0, "relation_by_type");
/// Which events have relations that are summed up.
pub const AGGREGATED: Table<(RoomNo, OwnedEventId), StoredAggregated> =
    Table::new(0x09C1, "aggregated");
/// What one user relates to an event by one type of relation, oldest first: whose edits and replies
/// there are is found however much others relate to it.
pub const RELATION_BY_SENDER: Table<
    (RoomNo, OwnedEventId, String, OwnedUserId, Stamp),
    StoredEventNo,
> = Table::new(0x0D30, "relation_by_sender");
