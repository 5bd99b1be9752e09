//! Working off what waits: one worker per room with staged events, after a restart too.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use parking_lot::Mutex;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, RoomId, ServerName};
use tokio::sync::{Notify, broadcast::error::RecvError};
use vestibule_storage::StorageError;
use vestibule_types::{
    limits::{
        GAP_RETRY_FIRST, GAP_RETRY_LAST, GAP_TIME_MAX, HOPELESS_EVENTS_MAX, INBOUND_WAIT_MAX,
        STAGED_AGE_MS_MAX,
    },
    watch,
};

use super::{
    PduAnswers, PduOutcome,
    gap::Tries,
    pdus::{Item, Outcomes},
};
use crate::Federation;

/// How long it is remembered what became of an event that waited.
const OUTCOME_AGE: Duration = Duration::from_mins(1);

/// The rooms in which events wait.
pub(crate) struct Drains {
    rooms: Mutex<BTreeMap<OwnedRoomId, Arc<Drain>>>,
    /// What became of events that waited, for those who wait for them, and until when it is remembered.
    outcomes: Cache<OwnedEventId, (Duration, PduOutcome)>,
    /// Tells of each look at a room.
    looks: watch::Sender<()>,
}

/// A room in which events wait.
#[derive(Default)]
struct Drain {
    bell: Notify,
    /// Something came since the worker last looked.
    rung: AtomicBool,
    /// Servers whose events wait here.
    origins: Mutex<HashSet<OwnedServerName>>,
    /// Servers that answer again: their events are worth an attempt at once.
    back: Mutex<HashSet<OwnedServerName>>,
}

impl Default for Drains {
    fn default() -> Self {
        let outcomes = Cache::new(HOPELESS_EVENTS_MAX);
        Self { rooms: Mutex::default(), outcomes, looks: watch::Sender::new(()) }
    }
}

impl Drains {
    /// Has the worker of a room look again, if there is one: what its events lack may be here now.
    pub(super) fn nudge(&self, room_id: &RoomId) {
        if let Some(drain) = self.rooms.lock().get(room_id) {
            drain.ring();
        }
    }

    /// A server that did not answer does again: what waits for it is worth an attempt.
    pub(super) fn is_back(&self, server: &ServerName) {
        for drain in self.rooms.lock().values() {
            if drain.origins.lock().contains(server) {
                drain.back.lock().insert(server.to_owned());
                drain.ring();
            }
        }
    }

    /// Tells those who wait what became of events that were looked at: some go on waiting.
    fn note(&self, looked_at: Vec<OwnedEventId>, outcomes: Outcomes, now: Duration) {
        let (until, waiting) = (now + OUTCOME_AGE, |id| (id, PduOutcome::Waiting));
        for (id, outcome) in looked_at.into_iter().map(waiting).chain(outcomes) {
            self.outcomes.insert(id, (until, outcome));
        }
        self.looks.send(());
    }
}

impl Drain {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.bell.notify_one();
    }
}

/// What a look at a room left.
enum Left {
    /// Nothing.
    Nothing,
    /// Events for which there is nothing to be done right now.
    Waiting,
    /// Events that may go on at once.
    More,
}

impl Federation {
    /// Takes up what waited when the server stopped.
    pub(crate) fn start_inbound(&self) {
        let this = self.clone();
        let resumed = async move {
            match this.inner.parts.rooms.rooms_with_staged().await {
                Ok(rooms) => rooms.iter().for_each(|room_id| this.drain(room_id)),
                Err(error) => tracing::error!(%error, "the events that wait cannot be read"),
            }
        };
        let spawner = &self.inner.parts.environment.spawner;
        spawner.spawn("federation.staged", Box::pin(resumed));
        let (this, stopping) = (self.clone(), spawner.stopping());
        let following = async move {
            tokio::select! {
                biased;
                () = this.follow_recoveries() => {}
                () = stopping => {}
            }
        };
        spawner.spawn("federation.recoveries", Box::pin(following));
    }

    /// Takes up what waits for a server as soon as that answers again.
    async fn follow_recoveries(&self) {
        let mut recoveries = self.remote().recoveries();
        loop {
            match recoveries.recv().await {
                Ok(server) => self.inbound().drains.is_back(&server),
                // Those that were missed are tried again in their own time.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Sees to it that somebody works off what waits in a room.
    pub(super) fn drain(&self, room_id: &RoomId) {
        let drain = {
            let mut rooms = self.inbound().drains.rooms.lock();
            if let Some(drain) = rooms.get(room_id) {
                drain.ring();
                return;
            }
            let drain = Arc::new(Drain::default());
            rooms.insert(room_id.to_owned(), Arc::clone(&drain));
            drain
        };
        let (this, room_id) = (self.clone(), room_id.to_owned());
        let spawner = &self.inner.parts.environment.spawner;
        let stopping = spawner.stopping();
        let working = async move {
            tokio::select! {
                biased;
                () = this.work_off(&room_id, &drain) => {}
                () = stopping => {}
            }
        };
        spawner.spawn("federation.drain", Box::pin(working));
    }

    async fn work_off(&self, room_id: &RoomId, drain: &Drain) {
        let clock = Arc::clone(&self.inner.parts.environment.clock);
        let mut tries = Tries::default();
        let mut pause = GAP_RETRY_FIRST;
        loop {
            drain.rung.store(false, Ordering::Release);
            let left = self.look(room_id, drain, &mut tries).await;
            let left = left.unwrap_or_else(|error| {
                tracing::warn!(%error, "the events that wait in a room cannot be worked off");
                Left::Waiting
            });
            match left {
                Left::More => pause = GAP_RETRY_FIRST,
                Left::Nothing => {
                    let mut rooms = self.inbound().drains.rooms.lock();
                    if !drain.rung.load(Ordering::Acquire) {
                        rooms.remove(room_id);
                        return;
                    }
                }
                Left::Waiting => {
                    tokio::select! {
                        biased;
                        () = clock.sleep(pause) => pause = (pause * 2).min(GAP_RETRY_LAST),
                        () = drain.bell.notified() => {}
                    }
                }
            }
        }
    }

    /// One look at a room: judges what can be judged and closes the gaps it can close.
    async fn look(
        &self,
        room_id: &RoomId,
        drain: &Drain,
        tries: &mut Tries,
    ) -> Result<Left, StorageError> {
        let turns = Arc::clone(&self.inbound().gap_turns);
        let _turn = turns.acquire_owned().await;
        let items = self.waiting(room_id).await?;
        if items.is_empty() {
            return Ok(Left::Nothing);
        }
        *drain.origins.lock() = items.iter().map(|item| item.origin.clone()).collect();
        let back = std::mem::take(&mut *drain.back.lock());
        tries.again(
            items.iter().filter(|it| back.contains(&it.origin)).map(|it| it.pdu().event_id()),
        );
        let ids: Vec<OwnedEventId> = items.iter().map(|it| it.pdu().event_id().clone()).collect();
        let clock = &self.inner.parts.environment.clock;
        let closing = self.close_gaps(room_id, items, tries);
        let outcomes = tokio::select! {
            biased;
            outcomes = closing => outcomes?,
            () = clock.sleep(GAP_TIME_MAX) => {
                tracing::debug!("closing the gaps of a room took too long");
                Vec::new()
            }
        };
        let (done, dropped) = (outcomes.len(), outcomes.iter().filter(|it| is_dropped(it)).count());
        metrics::counter!("vestibule_federation_staged_done_total").increment(done as u64);
        metrics::counter!("vestibule_federation_staged_dropped_total").increment(dropped as u64);
        self.inbound().drains.note(ids, outcomes, clock.monotonic());
        Ok(if done == 0 { Left::Waiting } else { Left::More })
    }

    /// The events that wait in a room, signed by its policy server where it has one.
    async fn waiting(&self, room_id: &RoomId) -> Result<Vec<Item>, StorageError> {
        let rooms = &self.inner.parts.rooms;
        let staged = rooms.staged(room_id).await?;
        let now = self.now_ms();
        let (mut events, mut places, mut old) = (Vec::new(), Vec::new(), Vec::new());
        for it in staged {
            if now.saturating_sub(it.at) > STAGED_AGE_MS_MAX {
                let id = it.event.pdu().event_id().clone();
                old.push((it.origin, it.stamp, id));
                continue;
            }
            events.push(it.event);
            places.push((it.origin, it.stamp, it.at));
        }
        self.unstage(room_id, old).await?;
        let Some((origin, ..)) = places.first() else { return Ok(Vec::new()) };
        let Some(room) = rooms.inbound_room(room_id, origin).await? else { return Ok(Vec::new()) };
        let events = self.recommended(room.policy_server.as_ref(), events).await;
        let items =
            events.into_iter().zip(places).map(|((event, doubted), (origin, stamp, at))| Item {
                event,
                origin,
                doubted,
                staged: Some((stamp, at)),
                fetched: Vec::new(),
            });
        Ok(items.collect())
    }

    /// Waits for what waits, within bounds, and says what each event's sender is told.
    pub(super) async fn settled(&self, outcomes: Outcomes) -> PduAnswers {
        let mut answers = PduAnswers::new();
        let mut open = Vec::new();
        for (id, outcome) in outcomes {
            if outcome == PduOutcome::Waiting {
                open.push(id.clone());
            }
            answers.insert(id, outcome.answer());
        }
        if open.is_empty() {
            return answers;
        }
        let drains = &self.inbound().drains;
        let mut looks = drains.looks.subscribe();
        let clock = &self.inner.parts.environment.clock;
        let late = clock.sleep(INBOUND_WAIT_MAX);
        let settled = async {
            while !open.is_empty() {
                let now = clock.monotonic();
                let known = |id: &_| drains.outcomes.get(id).filter(|(until, _)| now < *until);
                open.retain(|id| match known(id) {
                    Some((_, outcome)) => {
                        answers.insert(id.clone(), outcome.answer());
                        false
                    }
                    None => true,
                });
                if open.is_empty() || looks.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = settled => {}
            () = late => {}
        }
        answers
    }
}

fn is_dropped((_, outcome): &(OwnedEventId, PduOutcome)) -> bool {
    matches!(outcome, PduOutcome::Dropped(_))
}
