//! Events that were acknowledged before they could be judged: their parents have to be fetched first.
//!
//! They are stored before their sender is answered, so a crash loses none of them, and leave the
//! table in the batch that judges them.

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedServerName, RoomId, ServerName};
use vestibule_events::{Pdu, Verified};
use vestibule_storage::{
    Scan, Stamp, Stamped, StorageError,
    tables::{
        room::ROOM_BY_NO,
        staging::{STAGED_BY_ID, STAGED_COUNT, STAGED_EVENT, StoredStagedEvent},
    },
};
use vestibule_types::limits::{
    STAGED_EVENTS_AT_ONCE, STAGED_ORIGINS_MAX, STAGED_PER_ORIGIN_MAX, STAGED_ROOMS_MAX,
};

use super::AppendError;
use crate::{RoomTx, Rooms};

/// An event that waits.
#[derive(Clone, Debug)]
pub struct StagedEvent {
    /// Who sent it.
    pub origin: OwnedServerName,
    /// When it came, in the order of the room.
    pub stamp: Stamp,
    /// When it came, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The event. Its signatures were verified; whether it had to be redacted is in it.
    pub event: Verified,
}

/// Whether an event waits now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staging {
    /// It does, and survives a crash.
    Stored,
    /// Too many events of this server wait in this room.
    Full,
}

impl Rooms {
    /// Stores events that cannot be judged yet. One that waits already goes on waiting.
    pub async fn stage(
        &self,
        room_id: &RoomId,
        origin: &ServerName,
        events: Vec<Verified>,
    ) -> Result<Vec<Staging>, AppendError> {
        let (origin, at) = (origin.to_owned(), self.inner.env.now_ms());
        let staged = self.in_room(room_id, move |room| {
            let mut outcomes = Vec::with_capacity(events.len());
            for event in &events {
                outcomes.push(room.stage(&origin, event, at)?);
            }
            Ok::<_, AppendError>(outcomes)
        });
        Ok(staged.await?.0)
    }

    /// Events that wait in a room: of each server the oldest.
    pub async fn staged(&self, room_id: &RoomId) -> Result<Vec<StagedEvent>, StorageError> {
        let found = self.with_view(room_id, |view| {
            let (no, version) = (view.room.no, view.room.version);
            let mut found = Vec::new();
            let mut scan = Scan::prefix((no,));
            for _ in 0..STAGED_ORIGINS_MAX {
                let first = STAGED_EVENT.scan_with(&view.reader, scan.clone().limit(1))?;
                let Some(((_, origin, _), _)) = first.into_iter().next() else { break };
                let rows = STAGED_EVENT.scan(&view.reader, (no, &origin), STAGED_EVENTS_AT_ONCE)?;
                for ((_, origin, stamp), row) in rows {
                    let pdu =
                        Pdu::from_stored(row.event_id, row.json, version).map_err(|error| {
                            StorageError::corrupt("staged_event", error.to_string())
                        })?;
                    let event = verified_before(pdu, row.whole);
                    found.push(StagedEvent { origin, stamp, at: row.at, event });
                }
                scan = Scan::prefix((no,)).after((no, &origin));
            }
            Ok::<_, StorageError>(found)
        });
        Ok(found.await?.unwrap_or_default())
    }

    /// Takes events off the table that will never be judged.
    pub async fn unstage(
        &self,
        room_id: &RoomId,
        events: Vec<(OwnedServerName, Stamp, OwnedEventId)>,
    ) -> Result<(), AppendError> {
        let gone = self.in_room(room_id, move |room| {
            for (origin, stamp, event_id) in &events {
                room.unstage(origin, *stamp, event_id)?;
            }
            Ok::<_, AppendError>(())
        });
        gone.await.map(drop)
    }

    /// The rooms in which events wait.
    pub async fn rooms_with_staged(&self) -> Result<Vec<OwnedRoomId>, StorageError> {
        self.inner
            .store
            .read(|snapshot| {
                let mut rooms = Vec::new();
                let mut scan = Scan::prefix(());
                for _ in 0..STAGED_ROOMS_MAX {
                    let first = STAGED_EVENT.scan_with(snapshot, scan.limit(1))?;
                    let Some(((no, ..), _)) = first.into_iter().next() else { break };
                    rooms.extend(ROOM_BY_NO.get(snapshot, (no,))?.map(|room| room.room_id));
                    scan = Scan::prefix(()).after((no,));
                }
                Ok(rooms)
            })
            .await
    }
}

#[expect(clippy::disallowed_methods, reason = "only verified events are written to the table")]
fn verified_before(pdu: Pdu, whole: bool) -> Verified {
    Verified::restored(pdu, whole)
}

impl RoomTx<'_, '_> {
    fn stage(
        &mut self,
        origin: &ServerName,
        event: &Verified,
        at: u64,
    ) -> Result<Staging, AppendError> {
        let room = self.known()?.no;
        let (pdu, whole) = (event.pdu(), event.is_whole());
        let fixed = self.tx.fixed();
        if STAGED_BY_ID.contains(&fixed, (room, pdu.event_id()))? {
            return Ok(Staging::Stored);
        }
        if STAGED_COUNT.get(&fixed, (room, origin))? >= STAGED_PER_ORIGIN_MAX {
            return Ok(Staging::Full);
        }
        let stamp = self.next_stamp();
        let row = StoredStagedEvent {
            event_id: pdu.event_id().to_owned(),
            json: pdu.json().clone(),
            whole,
            at,
        };
        STAGED_EVENT.put(self.tx, (room, origin, stamp), &row)?;
        let waits = Stamped { stamp, value: origin.to_string() };
        STAGED_BY_ID.put(self.tx, (room, pdu.event_id()), &waits)?;
        STAGED_COUNT.add(self.tx, (room, origin), 1)?;
        Ok(Staging::Stored)
    }

    /// Takes an event off the table, if it is still there.
    pub(super) fn unstage(
        &mut self,
        origin: &ServerName,
        stamp: Stamp,
        event_id: &EventId,
    ) -> Result<(), AppendError> {
        let room = self.known()?.no;
        if !STAGED_EVENT.contains(&self.tx.fixed(), (room, origin, stamp))? {
            return Ok(());
        }
        STAGED_EVENT.delete(self.tx, (room, origin, stamp))?;
        STAGED_BY_ID.delete(self.tx, (room, event_id))?;
        STAGED_COUNT.add(self.tx, (room, origin), -1)?;
        Ok(())
    }
}
