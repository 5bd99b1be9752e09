//! Short numbers that stand for long identifiers on disk.

use serde::{Deserialize, Serialize};

/// The number this server gave a room. Keys of a room's data begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomNo(pub u64);

/// The number of an event within its room; an event is numbered after all its auth events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventNo(pub u64);
