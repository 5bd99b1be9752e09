//! Remembered answers of the state index.
//!
//! A committed [`StateAt`] never changes, so an answer is good for ever.

use moka::sync::Cache;
use vestibule_storage::{Read, StorageError, tables::room::StateAt};
use vestibule_types::{EventNo, RoomNo, limits::STATE_POINT_CACHE_MAX};

use crate::state;

type Point = (RoomNo, StateAt, Box<str>, Box<str>);

/// What keys led to, at moments that were committed.
#[derive(Clone, Debug)]
pub(crate) struct PointCache(Cache<Point, Option<EventNo>>);

impl PointCache {
    pub(crate) fn new() -> Self {
        Self(Cache::new(STATE_POINT_CACHE_MAX))
    }

    /// The event a key leads to at a committed moment.
    pub(crate) fn get(
        &self,
        reader: &impl Read,
        room: RoomNo,
        at: StateAt,
        (event_type, state_key): (&str, &str),
    ) -> Result<Option<EventNo>, StorageError> {
        let point = (room, at, event_type.into(), state_key.into());
        if let Some(known) = self.0.get(&point) {
            return Ok(known);
        }
        let found = state::get(reader, room, at, event_type, state_key)?;
        self.0.insert(point, found);
        Ok(found)
    }
}
