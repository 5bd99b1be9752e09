//! The batches before the last: nothing in them can be found from outside.

use std::{collections::BTreeMap, sync::Arc};

use ruma::UserId;
use vestibule_events::{RoomVersion, Verified};
use vestibule_storage::{
    StorageError,
    tables::{
        handshake::{IMPORT_BY_ROOM, StoredImport},
        room::{EVENT_BY_ID, ROOM_BY_NO, ROOM_HEAD, StoredRoomHead},
    },
};
use vestibule_types::{EventNo, RoomNo, limits::IMPORT_CHUNK_EVENTS};

use super::{ImportError, parcel::Parcel};
use crate::{
    RoomTx,
    state::{self, StateChange, StateKey},
};

/// What the state handed over changes in the state that is here.
#[derive(Debug, Default)]
pub(super) struct Delta {
    /// Members of other servers: they may be many.
    pub(super) early: Vec<StateChange>,
    /// Everything else. It becomes known together with the room.
    pub(super) last: Vec<StateChange>,
}

impl Delta {
    /// Some of the early ones.
    pub(super) fn chunk(&self, number: usize) -> &[StateChange] {
        self.early.chunks(IMPORT_CHUNK_EVENTS).nth(number).unwrap_or_default()
    }
}

impl RoomTx<'_, '_> {
    /// Begins, or goes on with what an earlier attempt left. `false` when this server is in the room.
    pub(super) fn begin_import(
        &mut self,
        no: RoomNo,
        version: RoomVersion,
    ) -> Result<bool, ImportError> {
        let left_behind = IMPORT_BY_ROOM.get(&*self.tx, (&self.room_id,))?;
        let (no, base) = match &self.room {
            Some(_) if self.view()?.is_resident()? => return Ok(false),
            Some(room) if room.version != version => {
                return Err(ImportError::BadAnswer("the room had another version".to_owned()));
            }
            Some(room) => (room.no, room.head.state),
            None => match &left_behind {
                Some(import) if import.version == version.as_str() => return Ok(true),
                _ => (no, state::EMPTY),
            },
        };
        if left_behind.is_some_and(|import| import.no == no && import.base == base) {
            return Ok(true);
        }
        if self.room.is_none() {
            if ROOM_BY_NO.contains(&*self.tx, (no,))? || ROOM_HEAD.contains(&*self.tx, (no,))? {
                return Err(StorageError::Contended.into());
            }
            let head = StoredRoomHead { next_branch: 1, ..StoredRoomHead::default() };
            ROOM_HEAD.put(self.tx, (no,), &head)?;
        }
        let import = StoredImport { no, version: version.as_str().to_owned(), base, at: base };
        IMPORT_BY_ROOM.put(self.tx, (&self.room_id,), &import)?;
        Ok(true)
    }

    /// Stores events as outliers. Those whose auth events were not handed over are left out.
    pub(super) fn import_events(&mut self, events: &[Verified]) -> Result<(), ImportError> {
        self.in_import(|room, _| {
            let left_out = room.store_outliers(events.to_vec())?;
            if !left_out.is_empty() {
                tracing::debug!(count = left_out.len(), "auth events are missing");
            }
            Ok(())
        })
    }

    /// What changes by the state that was handed over: as far as its events are here, and allowed.
    pub(super) fn import_delta(&mut self, parcel: &Parcel) -> Result<Arc<Delta>, ImportError> {
        self.in_import(|room, import| {
            let old = room.view()?.full_state(import.at, None)?;
            let new = room.numbers(parcel)?;
            let ours = &room.rooms.inner.server_name;
            let mut delta = Delta::default();
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            for key in new.keys().chain(gone) {
                let (new, old) = (new.get(key).copied(), old.get(key).copied());
                if new == old {
                    continue;
                }
                let local = <&UserId>::try_from(key.1.as_str())
                    .is_ok_and(|user| user.server_name() == ours);
                let early = key.0 == "m.room.member" && !local;
                let list = if early { &mut delta.early } else { &mut delta.last };
                list.push(StateChange { key: key.clone(), new, old });
            }
            Ok(Arc::new(delta))
        })
    }

    fn numbers(&self, parcel: &Parcel) -> Result<BTreeMap<StateKey, EventNo>, ImportError> {
        let view = self.view()?;
        let mut numbers = BTreeMap::new();
        let places: Vec<_> = parcel.state.iter().collect();
        for page in places.chunks(IMPORT_CHUNK_EVENTS) {
            let rows = EVENT_BY_ID.multi_get(&view.reader, page.iter().map(|(_, id)| (*id,)))?;
            for ((place, _), row) in page.iter().zip(rows) {
                let Some(row) = row.filter(|row| row.room == view.room.no) else { continue };
                let event = view.event(row.event)?;
                if event.is_some_and(|event| !event.pdu.rejected()) {
                    numbers.insert((*place).clone(), row.event);
                }
            }
        }
        Ok(numbers)
    }

    /// Builds some of the state, and the index of members with it.
    pub(super) fn import_state(&mut self, changes: &[StateChange]) -> Result<(), ImportError> {
        self.in_import(|room, import| {
            import.at = room.append_state(import.at, changes)?;
            let stamp = room.next_stamp();
            Ok(room.index_changes(changes, stamp)?)
        })
    }

    /// Works on the room that is on its way here: aside, or in its place when it was left earlier.
    fn in_import<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut StoredImport) -> Result<T, ImportError>,
    ) -> Result<T, ImportError> {
        let mut import = self.stored_import()?;
        let before = import.clone();
        let outcome = if self.room.is_some() {
            work(self, &mut import)?
        } else {
            let staged = self.staged(&import)?;
            let (outcome, staged) = self.aside(staged, |room| work(room, &mut import));
            let outcome = outcome?;
            if let Some(staged) = staged {
                ROOM_HEAD.put(self.tx, (staged.no,), &staged.head)?;
            }
            outcome
        };
        if import != before {
            IMPORT_BY_ROOM.put(self.tx, (&self.room_id,), &import)?;
        }
        Ok(outcome)
    }

    pub(super) fn stored_import(&self) -> Result<StoredImport, ImportError> {
        let import = IMPORT_BY_ROOM.get(&*self.tx, (&self.room_id,))?;
        import.ok_or_else(|| StorageError::corrupt("import_by_room", "it is gone").into())
    }

    /// The room as it lies there, under its number.
    pub(super) fn staged(&self, import: &StoredImport) -> Result<crate::OpenRoom, ImportError> {
        let damaged = |detail: &str| StorageError::corrupt("import_by_room", detail);
        let version = import.version.parse().map_err(|_| damaged("an unknown version"))?;
        let head = ROOM_HEAD.get(&*self.tx, (import.no,))?;
        let head = head.ok_or_else(|| damaged("it has no head"))?;
        Ok(self.new_room(import.no, version, head))
    }
}
