//! The index that messages are searched with: for each word of a room, the events that hold it.
//!
//! The rows are made from the room's events and can be made anew from them.

use serde::{Deserialize, Serialize};
use vestibule_types::{EventNo, RoomNo};

use crate::{Table, value};

/// Events that hold a word, oldest first, in the packed form of the search service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPostings(#[serde(with = "packed")] pub Vec<u8>);
value!(StoredPostings, 1);

/// Bytes at once, not one by one.
mod packed {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        Bytes::deserialize(input).map(Into::into)
    }
}

/// An event that can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFindable {
    /// The time it is sorted by, in seconds since the Unix epoch.
    pub second: u32,
}
value!(StoredFindable, 1);

/// How far a room is in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSearchRoom {
    /// Events numbered below this were looked at.
    pub next: u64,
}
value!(StoredSearchRoom, 1);

/// What holds a word: room, word, and the second and number of the first event of the row. The
/// first row of a word begins at zero.
pub const POSTINGS: Table<(RoomNo, String, u32, u32), StoredPostings> =
    Table::new(0x09C2, "postings");
/// The events that are in the index.
pub const FINDABLE: Table<(RoomNo, EventNo), StoredFindable> = Table::new(0x09C3, "findable");
/// How far each room is in the index.
pub const SEARCH_ROOM: Table<(RoomNo,), StoredSearchRoom> = Table::new(0x09C4, "search_room");
/// How far the index followed the log of each slot: the last commit.
pub const SEARCH_POSITION: Table<(u16,), u64> = Table::new(0x09C5, "search_position");
