//! Closing gaps: fetching what events need before they can be judged.
//!
//! First the events in between are asked for. What then still lacks a parent is judged by the state
//! another server tells for it; what lacks an event that authorizes it has that fetched. Everything is
//! bounded, and each attempt ends: an event whose needs nobody can meet is dropped, one whose
//! servers do not answer is tried again, more and more rarely, until it is too old.

mod ask;
mod auth;
mod history;
mod keep;
mod missing;
mod state;
mod tries;

use std::collections::{BTreeMap, HashMap, HashSet};

use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, RoomId};
use vestibule_rooms::{EventKnown, InboundRoom};
use vestibule_storage::StorageError;
use vestibule_types::limits::{GAP_PATIENCE_MS, GAP_STATES_MAX};

use self::ask::Failure;
pub(crate) use self::history::HistoryError;
pub(super) use self::tries::Tries;
use super::{
    PduOutcome,
    order::references,
    pdus::{Item, Outcomes},
};
use crate::Federation;

/// The room whose gaps are closed.
struct Gap {
    room_id: OwnedRoomId,
    room: InboundRoom,
}

/// What an event lacks that is neither here nor among those at hand.
#[derive(Debug, Default)]
struct Lack {
    prev: Vec<OwnedEventId>,
    auth: Vec<OwnedEventId>,
    /// Parents that are at hand, and not judged yet.
    waiting: Vec<OwnedEventId>,
}

impl Lack {
    /// Whether the state before it would let it be judged.
    fn is_at_edge(&self) -> bool {
        !self.prev.is_empty() && self.auth.is_empty()
    }
}

/// What is not judged by a fetched state yet, because what lies before it may still be had. Such a state
/// is another server's word; the events themselves lead to one of our own.
#[derive(Debug, Default)]
struct Patience {
    /// Events that are not due.
    events: HashSet<OwnedEventId>,
    /// Servers whose events lack some that only a server has that did not answer just now.
    servers: HashSet<OwnedServerName>,
}

impl Patience {
    fn covers(&self, item: &Item) -> bool {
        self.servers.contains(&item.origin) || self.events.contains(item.pdu().event_id())
    }
}

impl Federation {
    /// Judges events that wait, after fetching what they need. Says what became of those that were
    /// judged or dropped; the others go on waiting.
    pub(super) async fn close_gaps(
        &self,
        room_id: &RoomId,
        items: Vec<Item>,
        tries: &mut Tries,
    ) -> Result<Outcomes, StorageError> {
        let staged: HashSet<_> = items.iter().map(|item| item.pdu().event_id().clone()).collect();
        tries.retain(&staged);
        let (mut outcomes, left) = self.advance(room_id, items).await?;
        let now = self.inner.parts.environment.clock.monotonic();
        let (due, later): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|item| tries.is_due(item.pdu().event_id(), now));
        let Some(first) = due.first() else { return Ok(outcomes) };
        let rooms = &self.inner.parts.rooms;
        let Some(room) = rooms.inbound_room(room_id, &first.origin).await? else {
            return Ok(outcomes);
        };
        for item in &due {
            tries.begin(item.pdu().event_id(), now);
        }
        let gap = Gap { room_id: room_id.to_owned(), room };

        let (mut at_hand, mut patient) = (later, Patience::default());
        patient.events.extend(at_hand.iter().map(|item| item.pdu().event_id().clone()));
        for (origin, group) in by_origin(due) {
            let waits_long = waits_long(&group, self.now_ms());
            let between = self.fetch_missing(&gap, &origin, group).await?;
            if between.unheard && !waits_long {
                patient.servers.insert(origin);
            }
            at_hand.extend(between.items);
        }
        let (judged, left) = self.advance(room_id, at_hand).await?;
        outcomes.extend(judged);
        let left = self.fetch_authorizing(&gap, left, &mut outcomes).await?;
        let left = left.into_iter().filter(|item| !patient.covers(item)).collect();
        self.cross(&gap, left, &mut outcomes).await?;
        outcomes.retain(|(id, _)| staged.contains(id));
        Ok(outcomes)
    }

    /// Fetches the state before events whose parents cannot be had, the earliest first, and judges by
    /// it. The state after a parent that is at hand is ours to find out: an event that follows one has time
    /// until that is judged, as long as anything else can be.
    async fn cross(
        &self,
        gap: &Gap,
        mut left: Vec<Item>,
        outcomes: &mut Outcomes,
    ) -> Result<(), StorageError> {
        for _ in 0..GAP_STATES_MAX {
            let lacks = self.lacks(gap, &left).await?;
            let first = lacks.iter().position(|it| it.is_at_edge() && it.waiting.is_empty());
            let edge = first.or_else(|| lacks.iter().position(Lack::is_at_edge));
            let Some((place, lack)) = edge.and_then(|it| Some((it, lacks.get(it)?))) else { break };
            let mut item = left.remove(place);
            let id = item.pdu().event_id().clone();
            let missing = [lack.prev.as_slice(), &lack.waiting].concat();
            match self.fetch_state(gap, &item, &missing).await {
                Ok(states) => {
                    item.fetched = states;
                    left.push(item.clone());
                    let (judged, rest) = self.advance(&gap.room_id, left).await?;
                    let crossed = judged.iter().any(|(judged, _)| *judged == id);
                    outcomes.extend(judged);
                    left = rest;
                    if !crossed {
                        left.retain(|it| *it.pdu().event_id() != id);
                        self.drop_item(gap, &item, outcomes).await?;
                    }
                }
                Err(Failure::Never) => self.drop_item(gap, &item, outcomes).await?,
                Err(Failure::NotNow) => {}
            }
        }
        Ok(())
    }

    /// Fetches the events that authorize those at hand, and judges what can be judged then. What nobody
    /// can authorize is dropped; what somebody may later is left out.
    async fn fetch_authorizing(
        &self,
        gap: &Gap,
        items: Vec<Item>,
        outcomes: &mut Outcomes,
    ) -> Result<Vec<Item>, StorageError> {
        let lacks = self.lacks(gap, &items).await?;
        let mut at_hand = Vec::with_capacity(items.len());
        for (item, lack) in items.into_iter().zip(lacks) {
            if lack.auth.is_empty() {
                at_hand.push(item);
                continue;
            }
            match self.fetch_auth(gap, &item, lack.auth).await? {
                Ok(()) => at_hand.push(item),
                Err(Failure::Never) => self.drop_item(gap, &item, outcomes).await?,
                Err(Failure::NotNow) => {}
            }
        }
        let (judged, left) = self.advance(&gap.room_id, at_hand).await?;
        outcomes.extend(judged);
        Ok(left)
    }

    /// What each of these lacks.
    async fn lacks(&self, gap: &Gap, items: &[Item]) -> Result<Vec<Lack>, StorageError> {
        let needed = references(items.iter().map(Item::pdu)).into_iter().collect();
        let known = self.inner.parts.rooms.known_events(&gap.room_id, needed).await?;
        let at_hand: HashSet<&OwnedEventId> = items.iter().map(|it| it.pdu().event_id()).collect();
        Ok(items.iter().map(|item| lack(item, &known, &at_hand)).collect())
    }

    /// Drops an event for good: nobody can say what it needs.
    async fn drop_item(
        &self,
        gap: &Gap,
        item: &Item,
        outcomes: &mut Outcomes,
    ) -> Result<(), StorageError> {
        let id = item.pdu().event_id().clone();
        let reason = "what the event builds on cannot be had";
        self.give_up(&item.origin, &id, reason);
        if let Some((stamp, _)) = item.staged {
            let gone = vec![(item.origin.clone(), stamp, id.clone())];
            self.unstage(&gap.room_id, gone).await?;
            outcomes.push((id, PduOutcome::Dropped(reason.to_owned())));
        }
        Ok(())
    }
}

fn lack(
    item: &Item,
    known: &HashMap<OwnedEventId, EventKnown>,
    at_hand: &HashSet<&OwnedEventId>,
) -> Lack {
    let pdu = item.pdu();
    let unjudged = |id: &&OwnedEventId| known.get(*id) != Some(&EventKnown::Judged);
    let unknown = |id: &&OwnedEventId| !known.contains_key(*id) && !at_hand.contains(*id);
    let (waiting, prev) =
        pdu.prev_events().iter().filter(unjudged).cloned().partition(|id| at_hand.contains(id));
    Lack { prev, auth: pdu.auth_events().iter().filter(unknown).cloned().collect(), waiting }
}

/// Whether one of these events waits for so long that the state before it has to do.
fn waits_long(items: &[Item], now: u64) -> bool {
    let since = items.iter().filter_map(|item| Some(item.staged?.1)).min();
    since.is_some_and(|since| now.saturating_sub(since) >= GAP_PATIENCE_MS)
}

fn by_origin(items: Vec<Item>) -> BTreeMap<OwnedServerName, Vec<Item>> {
    let mut groups: BTreeMap<OwnedServerName, Vec<Item>> = BTreeMap::new();
    for item in items {
        groups.entry(item.origin.clone()).or_default().push(item);
    }
    groups
}
