//! Events outside the graph we have: known by what authorizes them, without a place in the timeline.
//!
//! The auth chain and the state that came with a join, and events that others only name, are kept
//! this way. An outlier has a row in `EVENT_BY_NO` and none in `EVENT_STATE`; when it arrives again
//! as part of the timeline it keeps its number.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{EventId, OwnedEventId, RoomId};
use vestibule_events::{Pdu, Verified};
use vestibule_state_res::check_auth_events;
use vestibule_storage::StorageError;
use vestibule_types::limits::OUTLIERS_PER_BATCH_MAX;

use super::{AppendError, receive::denied};
use crate::{RoomTx, Rooms};

impl Rooms {
    /// Stores events of a room outside its timeline, each after its auth events and judged by them
    /// alone. Returns those that could not be judged, because an event that authorizes them is neither
    /// here nor among them. Takes several batches, so that others get their turn.
    pub async fn store_outliers(
        &self,
        room_id: &RoomId,
        events: Vec<Verified>,
    ) -> Result<Vec<OwnedEventId>, AppendError> {
        let sorted = sorted(room_id, events);
        let mut left = Vec::new();
        for some in sorted.chunks(OUTLIERS_PER_BATCH_MAX) {
            let some = some.to_vec();
            let (unjudged, _) =
                self.in_room(room_id, move |room| room.store_in_order(&some)).await?;
            left.extend(unjudged);
        }
        Ok(left)
    }
}

/// Those of a room, each once and after its auth events.
fn sorted(room_id: &RoomId, events: Vec<Verified>) -> Vec<Arc<Pdu>> {
    let by_id: BTreeMap<OwnedEventId, Arc<Pdu>> = events
        .into_iter()
        .map(|event| Arc::new(event.into_pdu()))
        .filter(|pdu| pdu.room_id() == room_id)
        .map(|pdu| (pdu.event_id().clone(), pdu))
        .collect();
    let order = auth_events_first(&by_id);
    order.iter().filter_map(|id| by_id.get(id).cloned()).collect()
}

impl RoomTx<'_, '_> {
    /// Stores events outside the timeline, each after its auth events and judged by them alone; the
    /// refused ones are remembered as rejected. Returns those that could not be judged, because an auth
    /// event of theirs is neither here nor among them.
    pub(crate) fn store_outliers(
        &mut self,
        events: Vec<Verified>,
    ) -> Result<Vec<OwnedEventId>, AppendError> {
        let sorted = sorted(&self.room_id, events);
        self.store_in_order(&sorted)
    }

    fn store_in_order(&mut self, events: &[Arc<Pdu>]) -> Result<Vec<OwnedEventId>, AppendError> {
        let (mut left, awaited) = (Vec::new(), self.redactions_wait()?);
        for pdu in events {
            if self.view()?.event_no(pdu.event_id())?.is_some() {
                continue;
            }
            let Ok(auth) = self.auth_events(pdu)? else {
                left.push(pdu.event_id().clone());
                continue;
            };
            let by_id = |id: &EventId| -> Result<Option<Arc<Pdu>>, StorageError> {
                let Ok(view) = self.view() else { return Ok(None) };
                Ok(view.event_by_id(id)?.map(|event| event.pdu))
            };
            let refused = denied(check_auth_events(pdu, by_id))?.is_some();
            self.store_event(pdu, &auth, refused)?;
            if awaited {
                self.apply_late_redactions(pdu)?;
            }
        }
        Ok(left)
    }
}

/// The events in an order in which each comes after those of its auth events that are among them.
/// Walks with a list of its own, so that a long chain does not need a deep stack; a cycle, which no
/// hash allows, would end the walk and not the process.
pub(crate) fn auth_events_first(events: &BTreeMap<OwnedEventId, Arc<Pdu>>) -> Vec<OwnedEventId> {
    let (mut order, mut begun) = (Vec::with_capacity(events.len()), BTreeSet::new());
    let creates: Vec<OwnedEventId> = events
        .values()
        .filter(|pdu| pdu.kind() == "m.room.create" && pdu.version().room_id_is_create_event())
        .map(|pdu| pdu.event_id().clone())
        .collect();
    for start in events.keys() {
        let mut path = vec![(start, false)];
        while let Some((id, finished)) = path.pop() {
            if finished {
                order.push(id.clone());
                continue;
            }
            let Some(pdu) = events.get(id).filter(|_| begun.insert(id)) else { continue };
            path.push((id, true));
            path.extend(pdu.auth_events().iter().map(|id| (id, false)));
            // The create event of a version 12 room is an auth event that nobody names.
            path.extend(creates.iter().filter(|create| *create != id).map(|id| (id, false)));
        }
    }
    order
}
