//! The road an event takes: parse, access control list, signatures, policy server, the room.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use ruma::{OwnedEventId, OwnedServerName, RoomId, ServerName};
use serde_json::value::RawValue;
use vestibule_events::{Pdu, Verified};
use vestibule_rooms::{
    AppendError, EventKnown, InboundRoom, Incoming, ReceiveError, Received, Staging,
};
use vestibule_storage::{Stamp, StorageError};
use vestibule_types::limits::{ABSENT_AGE, HOPELESS_AGE, INBOUND_WAIT_MAX};

use super::{
    Hopeless,
    order::{Step, judgeable, references},
    parse::event_of,
    verify::NotVerified,
};
use crate::Federation;

/// What became of an event from another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PduOutcome {
    /// It is part of the room.
    Accepted,
    /// It is part of the room's graph and kept from its timeline.
    SoftFailed,
    /// It was judged before.
    Known,
    /// The rules of the room refuse it.
    Rejected(String),
    /// It is stored, and judged when what it needs was fetched.
    Waiting,
    /// Nobody of ours is in the room.
    Ignored,
    /// It was dropped: no event, not verified, not allowed here, or one too many.
    Dropped(String),
}

impl PduOutcome {
    /// What its sender is told.
    pub fn answer(self) -> Result<(), String> {
        match self {
            Self::Accepted | Self::SoftFailed | Self::Known | Self::Waiting | Self::Ignored => {
                Ok(())
            }
            Self::Rejected(reason) | Self::Dropped(reason) => Err(reason),
        }
    }
}

/// Events with what became of them.
pub(super) type Outcomes = Vec<(OwnedEventId, PduOutcome)>;

/// A verified event on its way into a room.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) event: Verified,
    /// Who sent it.
    pub(super) origin: OwnedServerName,
    /// The room's policy server did not sign it.
    pub(super) doubted: bool,
    /// Where it waits in the staging table, and since when.
    pub(super) staged: Option<(Stamp, u64)>,
    /// The state before it, where that was fetched.
    pub(super) fetched: Vec<Arc<[OwnedEventId]>>,
}

impl Item {
    pub(super) fn pdu(&self) -> &Pdu {
        self.event.pdu()
    }

    fn incoming(&self) -> Incoming {
        Incoming {
            event: self.event.clone(),
            fetched: self.fetched.clone(),
            doubted: self.doubted,
            staged: self.staged.map(|(stamp, _)| (self.origin.clone(), stamp)),
        }
    }
}

impl Federation {
    /// Takes events of one room from another server. Each has an outcome of its own; those that cannot be
    /// told by an id have none, and no event of a room that is not here has one. Fails only when
    /// nothing could be stored; then the sender has to try again.
    pub async fn receive_pdus(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
        pdus: Vec<Box<RawValue>>,
    ) -> Result<Vec<(OwnedEventId, PduOutcome)>, StorageError> {
        let room = self.arrived_room(origin, room_id).await?;
        if !room.as_ref().is_some_and(|room| room.resident) {
            let ended = self.take_withdrawals(room_id, &pdus).await?;
            if !ended.is_empty() {
                return Ok(ended);
            }
        }
        let Some(room) = room else { return Ok(Vec::new()) };
        if !room.resident {
            self.remind_of_leaves(origin, room_id);
        }
        let (events, mut outcomes) = parsed(&pdus, room_id, &room);
        let events = self.unseen(origin, room_id, events, &mut outcomes).await?;
        if events.is_empty() {
            return Ok(outcomes);
        }
        let ids: Vec<OwnedEventId> = events.iter().map(|pdu| pdu.event_id().clone()).collect();
        let mut verified = Vec::with_capacity(events.len());
        for (id, outcome) in ids.into_iter().zip(self.verified(events).await) {
            match outcome {
                Ok(event) => verified.push(event),
                Err(NotVerified::Invalid(reason)) => {
                    outcomes.push((id, PduOutcome::Dropped(reason)));
                }
                Err(NotVerified::NotNow(reason)) => {
                    return Err(StorageError::unavailable(reason));
                }
            }
        }
        let items = self.recommended(room.policy_server.as_ref(), verified).await;
        let item = |(event, doubted)| Item {
            event,
            origin: origin.to_owned(),
            doubted,
            staged: None,
            fetched: Vec::new(),
        };
        let (judged, left) = self.advance(room_id, items.into_iter().map(item).collect()).await?;
        let progress = !judged.is_empty();
        outcomes.extend(judged);
        outcomes.extend(self.stage(origin, room_id, left).await?);
        if progress {
            self.inbound().drains.nudge(room_id);
        }
        count(&outcomes);
        Ok(outcomes)
    }

    /// The room, once it came here if it is on its way. The server that let us in tells us at once what
    /// happens next, such as that our user was thrown out again; it tells us once.
    async fn arrived_room(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
    ) -> Result<Option<InboundRoom>, StorageError> {
        let rooms = &self.inner.parts.rooms;
        let room = rooms.inbound_room(room_id, origin).await?;
        let resident = room.as_ref().is_some_and(|room| room.resident);
        if resident || !rooms.is_on_its_way(room_id) {
            return Ok(room);
        }
        let late = self.inner.parts.environment.clock.sleep(INBOUND_WAIT_MAX);
        tokio::select! {
            biased;
            () = rooms.after_handshakes(room_id) => rooms.inbound_room(room_id, origin).await,
            () = late => Err(StorageError::unavailable("the room is on its way here".to_owned())),
        }
    }

    /// Leaves out what was judged before or given up, and says so.
    async fn unseen(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
        events: Vec<Pdu>,
        outcomes: &mut Outcomes,
    ) -> Result<Vec<Pdu>, StorageError> {
        let ids = events.iter().map(|pdu| pdu.event_id().clone()).collect();
        let known = self.inner.parts.rooms.known_events(room_id, ids).await?;
        let mut unseen = Vec::with_capacity(events.len());
        let mut given_up = Vec::new();
        for pdu in events {
            let id = pdu.event_id().clone();
            if known.get(&id) == Some(&EventKnown::Judged) {
                outcomes.push((id, PduOutcome::Known));
            } else if let Some(reason) = self.given_up(origin, &id) {
                given_up.push((pdu, reason));
            } else {
                unseen.push(pdu);
            }
        }
        if given_up.is_empty() {
            return Ok(unseen);
        }
        // What they lacked may have come meanwhile, whoever brought it.
        let needed = references(given_up.iter().map(|(pdu, _)| pdu)).into_iter().collect();
        let known = self.inner.parts.rooms.known_events(room_id, needed).await?;
        for (pdu, reason) in given_up {
            if judgeable(&[Step { pdu: &pdu, has_state: false }], &known).is_empty() {
                let outcome = PduOutcome::Dropped(reason.to_string());
                outcomes.push((pdu.event_id().clone(), outcome));
            } else {
                unseen.push(pdu);
            }
        }
        Ok(unseen)
    }

    /// Judges what can be judged, in as few batches as possible, and gives back what has to wait.
    pub(super) async fn advance(
        &self,
        room_id: &RoomId,
        mut items: Vec<Item>,
    ) -> Result<(Outcomes, Vec<Item>), StorageError> {
        let rooms = &self.inner.parts.rooms;
        let mut outcomes = Vec::new();
        while !items.is_empty() {
            let needed = references(items.iter().map(Item::pdu)).into_iter().collect();
            let known = rooms.known_events(room_id, needed).await?;
            let step = |item| Step { pdu: Item::pdu(item), has_state: !item.fetched.is_empty() };
            let order = judgeable(&items.iter().map(step).collect::<Vec<_>>(), &known);
            let mut waiting: Vec<Option<Item>> = items.into_iter().map(Some).collect();
            let ready: Vec<Item> = order
                .into_iter()
                .filter_map(|place| waiting.get_mut(place).and_then(Option::take))
                .collect();
            items = waiting.into_iter().flatten().collect();
            let before = outcomes.len();
            items.extend(self.judge(room_id, ready, &mut outcomes).await?);
            if outcomes.len() == before {
                break;
            }
        }
        Ok((outcomes, items))
    }

    /// Hands events to the room in their order. Gives back those that lack something after all.
    async fn judge(
        &self,
        room_id: &RoomId,
        items: Vec<Item>,
        outcomes: &mut Outcomes,
    ) -> Result<Vec<Item>, StorageError> {
        if items.is_empty() {
            return Ok(items);
        }
        let rooms = &self.inner.parts.rooms;
        let incoming = items.iter().map(Item::incoming).collect();
        let (mut left, mut gone) = (Vec::new(), Vec::new());
        for (mut item, received) in
            items.into_iter().zip(rooms.receive_all(room_id, incoming).await)
        {
            let id = item.pdu().event_id().clone();
            let outcome = match received {
                Ok(Received::Accepted) => PduOutcome::Accepted,
                Ok(Received::SoftFailed) => PduOutcome::SoftFailed,
                Ok(Received::Known) => PduOutcome::Known,
                Ok(Received::Rejected(reason)) => PduOutcome::Rejected(reason),
                Err(ReceiveError::Missing(_) | ReceiveError::NoState) => {
                    item.fetched.clear();
                    left.push(item);
                    continue;
                }
                Err(ReceiveError::Append(AppendError::Storage(failed))) => return Err(failed),
                Err(error @ ReceiveError::Append(_)) => {
                    gone.extend(item.staged.map(|(stamp, _)| (item.origin, stamp, id.clone())));
                    PduOutcome::Dropped(error.to_string())
                }
            };
            outcomes.push((id, outcome));
        }
        self.unstage(room_id, gone).await?;
        Ok(left)
    }

    /// Takes events off the staging table.
    pub(super) async fn unstage(
        &self,
        room_id: &RoomId,
        events: Vec<(OwnedServerName, Stamp, OwnedEventId)>,
    ) -> Result<(), StorageError> {
        if events.is_empty() {
            return Ok(());
        }
        match self.inner.parts.rooms.unstage(room_id, events).await {
            Err(AppendError::Storage(failed)) => Err(failed),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Stores events that lack something, and has it fetched.
    async fn stage(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
        items: Vec<Item>,
    ) -> Result<Outcomes, StorageError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<OwnedEventId> = items.iter().map(|it| it.pdu().event_id().clone()).collect();
        let events = items.into_iter().map(|item| item.event).collect();
        let stored = match self.inner.parts.rooms.stage(room_id, origin, events).await {
            Ok(stored) => stored,
            Err(AppendError::Storage(failed)) => return Err(failed),
            Err(other) => {
                let dropped = |id| (id, PduOutcome::Dropped(other.to_string()));
                return Ok(ids.into_iter().map(dropped).collect());
            }
        };
        self.drain(room_id);
        let outcome = |staging| match staging {
            Staging::Stored => PduOutcome::Waiting,
            Staging::Full => {
                PduOutcome::Dropped("too many events wait for their parents".to_owned())
            }
        };
        Ok(ids.into_iter().zip(stored.into_iter().map(outcome)).collect())
    }

    /// Why an event of this server was given up lately.
    pub(super) fn given_up(&self, origin: &ServerName, id: &OwnedEventId) -> Option<Arc<str>> {
        let known = self.inbound().hopeless.get(&(origin.to_owned(), id.clone()))?;
        (self.monotonic() < known.until).then_some(known.reason)
    }

    /// Remembers that an event of this server came to nothing.
    pub(super) fn give_up(&self, origin: &ServerName, id: &OwnedEventId, reason: &str) {
        let until = self.monotonic().saturating_add(HOPELESS_AGE);
        let hopeless = Hopeless { reason: reason.into(), until };
        self.inbound().hopeless.insert((origin.to_owned(), id.clone()), hopeless);
    }

    /// Whether a server said lately that it does not have an event.
    pub(super) fn is_absent(&self, server: &ServerName, id: &OwnedEventId) -> bool {
        let until = self.inbound().absent.get(&(server.to_owned(), id.clone()));
        until.is_some_and(|until| self.monotonic() < until)
    }

    /// Remembers that a server says it does not have an event.
    pub(super) fn note_absent(&self, server: &ServerName, id: &OwnedEventId) {
        let until = self.monotonic().saturating_add(ABSENT_AGE);
        self.inbound().absent.insert((server.to_owned(), id.clone()), until);
    }

    fn monotonic(&self) -> Duration {
        self.inner.parts.environment.clock.monotonic()
    }
}

/// The events among what was sent, each once, unless the room takes nothing from this server.
fn parsed(pdus: &[Box<RawValue>], room_id: &RoomId, room: &InboundRoom) -> (Vec<Pdu>, Outcomes) {
    let (mut events, mut outcomes) = (Vec::with_capacity(pdus.len()), Vec::new());
    let mut seen = HashSet::new();
    for json in pdus {
        let outcome = match event_of(json, room_id, room.version) {
            Ok(pdu) if !seen.insert(pdu.event_id().clone()) => continue,
            Ok(pdu) if room.allowed && room.resident => {
                events.push(pdu);
                continue;
            }
            Ok(pdu) if room.resident => {
                let reason = "your server is not allowed in this room".to_owned();
                (Some(pdu.event_id().clone()), PduOutcome::Dropped(reason))
            }
            Ok(pdu) => (Some(pdu.event_id().clone()), PduOutcome::Ignored),
            Err(no_event) => (no_event.event_id, PduOutcome::Dropped(no_event.reason)),
        };
        if let (Some(id), outcome) = outcome {
            outcomes.push((id, outcome));
        }
    }
    let taken: BTreeSet<&OwnedEventId> = events.iter().map(Pdu::event_id).collect();
    outcomes.retain(|(id, _)| !taken.contains(id));
    (events, outcomes)
}

fn count(outcomes: &Outcomes) {
    for (_, outcome) in outcomes {
        let outcome = match outcome {
            PduOutcome::Accepted => "accepted",
            PduOutcome::SoftFailed => "soft_failed",
            PduOutcome::Known => "known",
            PduOutcome::Rejected(_) => "rejected",
            PduOutcome::Waiting => "waiting",
            PduOutcome::Ignored => "ignored",
            PduOutcome::Dropped(_) => "dropped",
        };
        metrics::counter!("vestibule_federation_pdus_total", "outcome" => outcome).increment(1);
    }
}
