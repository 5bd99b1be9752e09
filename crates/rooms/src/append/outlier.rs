//! Events outside the graph we have: known by what authorizes them, without a place in the timeline.
//!
//! The auth chain and the state that came with a join, and events that others only name, are kept
//! this way. An outlier has a row in `EVENT_BY_NO` and none in `EVENT_STATE`; when it arrives again
//! as part of the timeline it keeps its number.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{EventId, OwnedEventId};
use vestibule_events::{Pdu, Verified};
use vestibule_state_res::check_auth_events;

use super::{AppendError, receive::denied};
use crate::{LoggedEvent, RoomTx};

impl RoomTx<'_, '_> {
    /// Stores events outside the timeline, each after its auth events and judged by them alone; the
    /// refused ones are remembered as rejected. Returns those that could not be judged, because an auth
    /// event of theirs is neither here nor among them.
    pub(crate) fn store_outliers(
        &mut self,
        events: Vec<Verified>,
    ) -> Result<Vec<OwnedEventId>, AppendError> {
        let room_id = self.room_id.clone();
        let ours = events.into_iter().map(|event| Arc::new(event.into_pdu()));
        let mut waiting: BTreeMap<OwnedEventId, Arc<Pdu>> = ours
            .filter(|pdu| pdu.room_id() == room_id)
            .map(|pdu| (pdu.event_id().clone(), pdu))
            .collect();
        for id in auth_events_first(&waiting) {
            let Some(pdu) = waiting.get(&id).cloned() else { continue };
            if self.view()?.event_no(&id)?.is_some() {
                waiting.remove(&id);
                continue;
            }
            let Some(auth) = self.known_auth_events(&pdu)? else { continue };
            let by_id = |id: &EventId| {
                Ok(auth.iter().find(|it| it.pdu.event_id() == id).map(|it| it.pdu.clone()))
            };
            let refused = denied(check_auth_events(&pdu, by_id))?.is_some();
            self.store_event(&pdu, &auth, refused)?;
            waiting.remove(&id);
        }
        Ok(waiting.into_keys().collect())
    }

    /// The auth events of an event, or `None` when one of them is not here.
    fn known_auth_events(&self, pdu: &Pdu) -> Result<Option<Vec<LoggedEvent>>, AppendError> {
        let view = self.view()?;
        let mut found = Vec::with_capacity(pdu.auth_events().len());
        for id in pdu.auth_events() {
            match view.event_by_id(id)? {
                Some(event) => found.push(event),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }
}

/// The events in an order in which each comes after those of its auth events that are among them.
/// Walks with a list of its own, so that a long chain does not need a deep stack; a cycle, which no
/// hash allows, would end the walk and not the process.
fn auth_events_first(events: &BTreeMap<OwnedEventId, Arc<Pdu>>) -> Vec<OwnedEventId> {
    let (mut order, mut begun) = (Vec::with_capacity(events.len()), BTreeSet::new());
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
        }
    }
    order
}
