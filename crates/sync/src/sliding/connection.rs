//! What was sent over a connection: read once, kept in memory while it is used, and written only
//! when an answer changes it.
//!
//! A client may come back with the position of the last answer, which it then has, or once more with
//! the one before, because the last answer was lost. Everything else is unknown. A lost answer's step
//! is undone when the next one is written.

use std::{collections::HashMap, sync::Arc};

use moka::sync::Cache;
use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId, RoomId};
use vestibule_storage::{
    Scan, Snapshot, StorageError, Tx,
    tables::sliding::{
        SLIDING_CONNECTION, SLIDING_STEP, StoredConnection, StoredSentRoom, StoredStep,
    },
};
use vestibule_types::{
    Actor,
    limits::{
        SLIDING_AGE_MAX, SLIDING_CONNECTIONS_MAX, SLIDING_CONNECTIONS_READY_MAX, SLIDING_STEPS_MAX,
        SLIDING_USED_EVERY,
    },
};

use super::{request::SlidingError, wants::Wants};

/// Which connection: the user, their device, and its name.
pub(crate) type Name = (OwnedUserId, OwnedDeviceId, String);

/// The connection of a caller.
pub(crate) fn name_of(actor: &Actor, name: &str) -> Name {
    let device = actor.device_id().map_or_else(|| "".into(), ToOwned::to_owned);
    (actor.user_id().to_owned(), device, name.to_owned())
}

/// What the client has of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentRoom {
    /// Up to which commits of the room's slot and of the user's slot, when later ones were left out.
    pub(crate) until: Option<(u64, u64)>,
    /// How many of the newest events at least.
    pub(crate) timeline: u32,
    /// Which state.
    pub(crate) state: Arc<Wants>,
    pub(crate) is_dm: bool,
    /// Whether only what may be known before one joins.
    pub(crate) stripped: bool,
}

type Rooms = HashMap<OwnedRoomId, SentRoom>;

/// What was sent over a connection, as of its last step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    row: Option<StoredConnection>,
    /// Up to the confirmed step.
    older: Rooms,
    /// With the last one, where that changed something.
    newer: Rooms,
    /// Whether it is nowhere but here, because the user has no rows.
    unwritten: bool,
}

/// What was sent, as of the step a request came back with.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    sent: Arc<Sent>,
    /// The step; `None` when the connection begins.
    pub(crate) step: Option<u64>,
}

/// The connections in memory.
#[derive(Debug)]
pub(crate) struct Connections(Cache<Name, Arc<Sent>>);

impl Default for Connections {
    fn default() -> Self {
        Self(Cache::new(SLIDING_CONNECTIONS_READY_MAX))
    }
}

impl Connections {
    /// What was sent up to a step. `None` when the connection could not go on from there.
    pub(crate) fn at(
        &self,
        snapshot: &Snapshot<'_>,
        name: &Name,
        (step, now_ms): (Option<u64>, u64),
    ) -> Result<Option<Connection>, StorageError> {
        let Some(step) = step else {
            return Ok(Some(Connection { sent: Arc::default(), step: None }));
        };
        let (user, device, own) = name;
        let Some(row) = SLIDING_CONNECTION.get(snapshot, (user, device, own.as_str()))? else {
            return Ok(self.unwritten_at(name, (step, now_ms)));
        };
        if !is_known(row, step) || is_old(row, now_ms) {
            return Ok(None);
        }
        let kept = self.0.get(name).filter(|it| {
            it.row.is_some_and(|kept| (kept.confirmed, kept.latest) == (row.confirmed, row.latest))
        });
        let sent = if let Some(kept) = kept {
            kept
        } else {
            let read = Arc::new(Sent::read(snapshot, name, row)?);
            self.0.insert(name.clone(), Arc::clone(&read));
            read
        };
        Ok(Some(Connection { sent, step: Some(step) }))
    }

    /// The same of somebody without rows.
    fn unwritten_at(&self, name: &Name, (step, now_ms): (u64, u64)) -> Option<Connection> {
        let sent = self.0.get(name).filter(|sent| sent.unwritten)?;
        let goes_on = sent.row.is_some_and(|row| is_known(row, step) && !is_old(row, now_ms));
        goes_on.then_some(Connection { sent, step: Some(step) })
    }

    /// Keeps what was written, or would have been.
    pub(crate) fn wrote(&self, step: &NewStep, (row, unwritten): (StoredConnection, bool)) {
        let before = &step.before;
        let mut older = before.sent.older.clone();
        if before.step == before.sent.row.map(|row| row.latest) {
            older.extend(before.sent.newer.clone());
        }
        let newer = step.rooms.clone();
        let sent = Sent { row: Some(row), older, newer, unwritten };
        self.0.insert(step.name.clone(), Arc::new(sent));
    }
}

impl Connection {
    /// What the client has of a room.
    pub(crate) fn room(&self, room: &RoomId) -> Option<&SentRoom> {
        let newer = if self.has_last() { self.sent.newer.get(room) } else { None };
        newer.or_else(|| self.sent.older.get(room))
    }

    /// Whether it is time to note that the connection is used.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        self.sent.row.is_none_or(|row| {
            u128::from(now_ms.saturating_sub(row.used_at)) >= SLIDING_USED_EVERY.as_millis()
        })
    }

    fn has_last(&self) -> bool {
        self.step.is_some() && self.step == self.sent.row.map(|row| row.latest)
    }

    /// All the client has, when the steps are so many that they are to become one.
    fn folded(&self) -> Option<StoredStep> {
        self.sent.row.filter(|row| row.steps >= SLIDING_STEPS_MAX)?;
        Some(stored(&self.all()))
    }

    /// All the client has.
    fn all(&self) -> Rooms {
        let mut rooms = self.sent.older.clone();
        if self.has_last() {
            rooms.extend(self.sent.newer.clone());
        }
        rooms
    }
}

impl Sent {
    fn read(
        snapshot: &Snapshot<'_>,
        (user, device, own): &Name,
        row: StoredConnection,
    ) -> Result<Self, StorageError> {
        let steps = Scan::prefix((user, device, own.as_str()));
        let (mut older, mut newer, mut wants) = (Rooms::new(), Rooms::new(), HashMap::new());
        for ((_, _, _, step), changed) in SLIDING_STEP.scan_with(snapshot, steps)? {
            let named = changed.wants.into_iter().map(|it| (it.id, Arc::new(Wants::of_stored(it))));
            wants.extend(named);
            let rooms = if step <= row.confirmed { &mut older } else { &mut newer };
            for room in changed.rooms {
                let state = wants.get(&room.wants).cloned().unwrap_or_default();
                let StoredSentRoom { room_id, until, timeline, is_dm, stripped, .. } = room;
                rooms.insert(room_id, SentRoom { until, timeline, state, is_dm, stripped });
            }
        }
        Ok(Self { row: Some(row), older, newer, unwritten: false })
    }
}

fn is_known(row: StoredConnection, step: u64) -> bool {
    step == row.latest || step == row.confirmed
}

/// The row of a connection that begins after this step.
fn begun(after: u64, now_ms: u64) -> StoredConnection {
    let latest = after.saturating_add(1).max(now_ms);
    StoredConnection { confirmed: 0, latest, steps: 1, used_at: now_ms }
}

/// The row of a connection that goes on from this step.
fn gone_on((step, row): (u64, StoredConnection), now_ms: u64) -> StoredConnection {
    StoredConnection {
        confirmed: step,
        latest: row.latest.saturating_add(1),
        steps: row.steps.saturating_add(1),
        used_at: now_ms,
    }
}

fn is_old(row: StoredConnection, now_ms: u64) -> bool {
    u128::from(now_ms.saturating_sub(row.used_at)) > SLIDING_AGE_MAX.as_millis()
}

fn stored(rooms: &Rooms) -> StoredStep {
    let mut step = StoredStep::default();
    let mut wants = HashMap::new();
    for (room_id, room) in rooms {
        let SentRoom { until, timeline, state, is_dm, stripped } = room;
        wants.entry(state.id).or_insert_with(|| state.stored());
        step.rooms.push(StoredSentRoom {
            room_id: room_id.clone(),
            until: *until,
            timeline: *timeline,
            wants: state.id,
            is_dm: *is_dm,
            stripped: *stripped,
        });
    }
    step.wants = wants.into_values().collect();
    step
}

/// A step to write.
pub(crate) struct NewStep {
    pub(crate) name: Name,
    pub(crate) before: Connection,
    pub(crate) rooms: Rooms,
    pub(crate) now_ms: u64,
}

impl NewStep {
    /// Writes it, unless the connection went on without it meanwhile. Says whether it was left unwritten,
    /// because how somebody reads who has no rows is not worth any.
    pub(crate) fn write(&self, tx: &mut Tx<'_>) -> Result<(StoredConnection, bool), SlidingError> {
        let (user, device, own) = &self.name;
        let key = (user, device, own.as_str());
        let unwritten = self.before.sent.row.filter(|_| self.before.sent.unwritten);
        if tx.is_newcomers() {
            let row = match (self.before.step, unwritten) {
                (None, _) => begun(0, self.now_ms),
                (Some(step), Some(row)) => gone_on((step, row), self.now_ms),
                (Some(_), None) => return Err(SlidingError::UnknownPos),
            };
            return Ok((row, true));
        }
        let row = match (self.before.step, SLIDING_CONNECTION.get(tx, key)?, unwritten) {
            (None, row, _) => self.begin(tx, row)?,
            (Some(step), Some(row), _) if is_known(row, step) => self.go_on(tx, (step, row))?,
            (Some(step), None, Some(row)) => self.catch_up(tx, (step, row))?,
            (Some(_), ..) => return Err(SlidingError::UnknownPos),
        };
        SLIDING_STEP.put(tx, (user, device, own.as_str(), row.latest), &stored(&self.rooms))?;
        SLIDING_CONNECTION.put(tx, key, &row)?;
        Ok((row, false))
    }

    /// Goes on with a connection that began when its user had no rows.
    fn catch_up(
        &self,
        tx: &mut Tx<'_>,
        (step, row): (u64, StoredConnection),
    ) -> Result<StoredConnection, StorageError> {
        let (user, device, own) = &self.name;
        self.make_room(tx)?;
        SLIDING_STEP.put(tx, (user, device, own.as_str(), step), &stored(&self.before.all()))?;
        Ok(StoredConnection { steps: 2, ..gone_on((step, row), self.now_ms) })
    }

    /// Begins the connection. Its steps are numbered after those of any before it with its name, so
    /// that their positions stay unknown.
    fn begin(
        &self,
        tx: &mut Tx<'_>,
        row: Option<StoredConnection>,
    ) -> Result<StoredConnection, StorageError> {
        let (user, device, own) = &self.name;
        SLIDING_STEP.delete_prefix(tx, (user, device, own.as_str()))?;
        if row.is_none() {
            self.make_room(tx)?;
        }
        Ok(begun(row.map_or(0, |row| row.latest), self.now_ms))
    }

    fn go_on(
        &self,
        tx: &mut Tx<'_>,
        (step, row): (u64, StoredConnection),
    ) -> Result<StoredConnection, StorageError> {
        let (user, device, own) = &self.name;
        let key = |step: u64| (user, device, own.as_str(), step);
        let mut steps = row.steps;
        if step != row.latest {
            // The answer of the last step was lost.
            SLIDING_STEP.delete(tx, key(row.latest))?;
            steps = steps.saturating_sub(1);
        }
        if let Some(folded) = self.before.folded() {
            let all = Scan::prefix((user, device, own.as_str())).before(key(step));
            SLIDING_STEP.delete_scan(tx, all)?;
            SLIDING_STEP.put(tx, key(step), &folded)?;
            steps = 1;
        }
        Ok(gone_on((step, StoredConnection { steps, ..row }), self.now_ms))
    }

    /// Ends connections of the device that are old, and the one used least recently where there are
    /// too many.
    fn make_room(&self, tx: &mut Tx<'_>) -> Result<(), StorageError> {
        let (user, device, _) = &self.name;
        let of_device = Scan::prefix((user, device));
        let mut others = SLIDING_CONNECTION.scan_with(tx, of_device)?;
        others.sort_by_key(|(_, row)| std::cmp::Reverse(row.used_at));
        for (place, ((_, _, other), row)) in others.into_iter().enumerate() {
            if place + 1 >= SLIDING_CONNECTIONS_MAX || is_old(row, self.now_ms) {
                SLIDING_CONNECTION.delete(tx, (user, device, other.as_str()))?;
                SLIDING_STEP.delete_prefix(tx, (user, device, other.as_str()))?;
            }
        }
        Ok(())
    }
}
