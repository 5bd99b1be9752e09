//! Letting in what happened before something that is here: history, fetched from other servers.
//!
//! A gap is a parent that is not here of an event that is (`GAP_BY_PREV`). What was fetched for it
//! goes into the timeline right before that event, in the order of the graph. It is judged as it would
//! have been then: by its auth events and by the state before it; the room's present has no say, and
//! is not changed. Nobody is told of it: no stream, no membership, no growing end. But an end of the room
//! to which it leads turns out to lie before the event at the gap, and is an end no more.
//!
//! The state before an event is that after its parents. Where those are not here it was fetched with
//! it, and is written as what differs from the state at the gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{OwnedEventId, RoomId};
use vestibule_events::Pdu;
use vestibule_state_res::{check_auth_events, check_state};
use vestibule_storage::{
    Scan, Stamp, Stamped, StorageError,
    tables::{
        room::{EVENT_STATE, StoredEventNo, StoredEventState, TIMELINE},
        staging::GAP_BY_PREV,
    },
};
use vestibule_types::{EventNo, limits::GAP_STEPS_MAX};

use super::{
    AppendError,
    between::places_between,
    receive::{Case, Incoming, ReceiveError, denied},
    record::LIVE,
};
use crate::{LoggedEvent, RoomTx, Rooms, StateAt, state};

/// Events by id.
type Group<'c> = BTreeMap<&'c OwnedEventId, &'c Case>;

/// Where history is put: the event it leads to.
#[derive(Clone, Debug)]
struct Anchor {
    no: EventNo,
    stamp: Stamp,
    before: StateAt,
    /// Its parents that are missing and were fetched.
    missing: Vec<OwnedEventId>,
    /// Nothing changed the state between what was fetched and this event.
    plain: bool,
}

impl Rooms {
    /// Puts events before the gaps they fill. Returns how many are new; what does not lead to a gap,
    /// what nobody authorizes and what would need a state that was not fetched is left out.
    pub async fn store_history(
        &self,
        room_id: &RoomId,
        events: Vec<Incoming>,
    ) -> Result<usize, AppendError> {
        let cases: Vec<Case> = events.into_iter().map(Case::from).collect();
        let stored = self.in_room(room_id, move |room| room.store_history(&cases)).await;
        match stored {
            Ok((count, _)) => Ok(count),
            Err(ReceiveError::Append(error)) => Err(error),
            Err(other) => Err(AppendError::Forbidden(other.to_string())),
        }
    }
}

impl RoomTx<'_, '_> {
    fn store_history(&mut self, cases: &[Case]) -> Result<usize, ReceiveError> {
        let room_id = self.room_id.clone();
        let mut by_id: Group<'_> = cases
            .iter()
            .filter(|case| case.pdu.room_id() == room_id)
            .map(|case| (case.pdu.event_id(), case))
            .collect();
        let mut stored = 0;
        // What leads to an earlier event lies before it, even if it leads to a later one too.
        for mut anchor in self.anchors(&by_id)? {
            let group = leading_to(&anchor.missing, &mut by_id);
            let child = self.event(anchor.no)?;
            anchor.plain = child.is_some_and(|it| is_plain_chain(&group, it.pdu.prev_events()));
            let Some(places) = self.places(&anchor, group.len())? else { continue };
            // A place that is not used stays free: they are not scarce.
            for (case, place) in parents_first(&group).into_iter().zip(places) {
                stored += usize::from(self.store_past(case, &anchor, place)?);
            }
        }
        Ok(stored)
    }

    /// The events that gaps lie before which these events fill, the earliest first.
    fn anchors(&self, by_id: &Group<'_>) -> Result<Vec<Anchor>, ReceiveError> {
        let view = self.view()?;
        let room = view.room.no;
        let mut anchors: BTreeMap<(Stamp, EventNo), Anchor> = BTreeMap::new();
        let rows = GAP_BY_PREV.multi_get(&view.reader, by_id.keys().map(|id| (room, *id)))?;
        for (id, row) in by_id.keys().zip(rows) {
            let Some(StoredEventNo(no)) = row else { continue };
            let Some(around) = view.around(no)? else { continue };
            let (stamp, before) = (around.stamp, around.value.before);
            let anchor = || Anchor { no, stamp, before, missing: Vec::new(), plain: false };
            let anchor = anchors.entry((stamp, no)).or_insert_with(anchor);
            anchor.missing.push((*id).clone());
        }
        Ok(anchors.into_values().collect())
    }

    /// Places right before the gap's event. Where too little room was left, a little earlier.
    fn places(&self, anchor: &Anchor, count: usize) -> Result<Option<Vec<Stamp>>, StorageError> {
        let Ok(view) = self.view() else { return Ok(None) };
        let room = view.room.no;
        let before = Scan::prefix((room, LIVE)).before((room, LIVE, anchor.stamp)).reverse();
        let rows = TIMELINE.scan_with(&view.reader, before.limit(GAP_STEPS_MAX))?;
        let mut end = anchor.stamp;
        for ((_, _, stamp), _) in &rows {
            if let Some(places) = places_between(Some(*stamp), end, count) {
                return Ok(Some(places));
            }
            end = *stamp;
        }
        let all = rows.len() < GAP_STEPS_MAX;
        Ok(places_between(None, end, count).filter(|_| all))
    }

    /// Judges an event of the past and gives it its place. Says whether it is new.
    fn store_past(
        &mut self,
        case: &Case,
        anchor: &Anchor,
        place: Stamp,
    ) -> Result<bool, ReceiveError> {
        let pdu = &case.pdu;
        if let Some(no) = self.view()?.event_no(pdu.event_id())? {
            if self.view()?.around(no)?.is_some() {
                self.close_gap(pdu)?;
                return Ok(false);
            }
            self.refresh_outlier(no, case)?;
        }
        let Ok(auth) = self.auth_events(pdu)? else { return Ok(false) };
        let parents = self.parents(pdu)?;
        let Some(before) = self.state_before_past(case, &parents.here, anchor)? else {
            return Ok(false);
        };
        let by_id = |id: &ruma::EventId| -> Result<Option<Arc<Pdu>>, StorageError> {
            let Ok(view) = self.view() else { return Ok(None) };
            Ok(view.event_by_id(id)?.map(|event| event.pdu))
        };
        let refused = denied(check_auth_events(pdu, by_id))?.is_some()
            || denied(check_state(pdu, self.state_of(before)))?.is_some();
        let child = if refused {
            self.remember_rejected(pdu, &auth, Some((before, &[])))?;
            anchor.no
        } else {
            self.record_past(pdu, &auth, before, place)?
        };
        self.close_gap(pdu)?;
        self.cover(&parents, child)?;
        Ok(true)
    }

    /// The state before an event of the past. `None` when it cannot be known.
    fn state_before_past(
        &mut self,
        case: &Case,
        here: &[LoggedEvent],
        anchor: &Anchor,
    ) -> Result<Option<StateAt>, ReceiveError> {
        if case.pdu.prev_events().is_empty() {
            return Ok(Some(state::EMPTY));
        }
        if here.len() == case.pdu.prev_events().len() {
            return Ok(Some(self.state_after_all(here)?));
        }
        match case.fetched.first() {
            Some(ids) => Ok(self.fetched_state(ids, anchor.before)?),
            None => Ok(anchor.plain.then_some(anchor.before)),
        }
    }

    fn record_past(
        &mut self,
        pdu: &Pdu,
        auth: &[LoggedEvent],
        before: StateAt,
        place: Stamp,
    ) -> Result<EventNo, ReceiveError> {
        let no = self.store_event(pdu, auth, false)?;
        let after = self.state_after(pdu, no, before)?;
        let room = self.known_mut()?;
        room.head.backfilled += 1;
        let room = room.no;
        let around = StoredEventState { before, after, soft_failed: false };
        EVENT_STATE.put(self.tx, (room, no), &Stamped { stamp: place, value: around })?;
        TIMELINE.put(self.tx, (room, LIVE, place), &StoredEventNo(no))?;
        self.index_relations(pdu, no, place)?;
        self.apply_late_redactions(pdu)?;
        Ok(no)
    }
}

/// Takes out those of the events that lead to the missing ones.
fn leading_to<'c>(missing: &[OwnedEventId], by_id: &mut Group<'c>) -> Group<'c> {
    let mut found = Group::new();
    let mut queue: Vec<&OwnedEventId> = missing.iter().collect();
    while let Some(id) = queue.pop() {
        let Some((id, case)) = by_id.remove_entry(id) else { continue };
        found.insert(id, case);
        queue.extend(case.pdu.prev_events());
    }
    found
}

/// Whether these are one line of events that leads to one with these parents, and none of them is
/// state: then the state is the same all along.
fn is_plain_chain(by_id: &Group<'_>, parents: &[OwnedEventId]) -> bool {
    let (mut parents, mut length) = (parents, 0);
    while let [parent] = parents {
        let Some(case) = by_id.get(parent) else { return length == by_id.len() };
        if case.pdu.is_state() || length == by_id.len() {
            return false;
        }
        (parents, length) = (case.pdu.prev_events(), length + 1);
    }
    false
}

/// The events in an order in which each comes after its parents; beside that by depth, time and id.
fn parents_first<'c>(by_id: &Group<'c>) -> Vec<&'c Case> {
    let key = |case: &Case| {
        let pdu = &case.pdu;
        (pdu.depth(), pdu.origin_server_ts(), pdu.event_id().clone())
    };
    let mut starts: Vec<&'c Case> = by_id.values().copied().collect();
    starts.sort_by_cached_key(|case| key(case));
    let (mut order, mut begun) = (Vec::with_capacity(starts.len()), BTreeSet::new());
    for start in starts {
        let mut path = vec![(start, false)];
        while let Some((case, finished)) = path.pop() {
            if finished {
                order.push(case);
                continue;
            }
            if !begun.insert(case.pdu.event_id().clone()) {
                continue;
            }
            path.push((case, true));
            let parents = case.pdu.prev_events().iter();
            path.extend(parents.filter_map(|id| by_id.get(id)).map(|parent| (*parent, false)));
        }
    }
    order
}
