//! Fetching the state before an event whose parents cannot be had.

use std::{collections::BTreeSet, sync::Arc};

use ruma::{
    OwnedEventId, ServerName,
    api::federation::event::{get_room_state, get_room_state_ids},
};
use vestibule_storage::StorageError;
use vestibule_types::limits::{
    EVENTS_ONE_BY_ONE_MAX, FETCHED_STATE_MAX, STATE_BYTES_MAX, STATE_IDS_BYTES_MAX,
};

use super::{
    Gap,
    ask::{Failure, bounded},
};
use crate::{Federation, inbound::pdus::Item};

/// States in place of parents that are missing, each as the ids of its events.
type States = Vec<Arc<[OwnedEventId]>>;

impl Federation {
    /// The state before an event, as one of the servers that know it tells. Where some of its parents
    /// are here, the states after the others are asked for instead: together they come to the same state as
    /// if all parents were here, while the state before the event has been resolved once already.
    pub(super) async fn fetch_state(
        &self,
        gap: &Gap,
        item: &Item,
        missing: &[OwnedEventId],
    ) -> Result<States, Failure> {
        let servers = self.whom_to_ask(gap, item).await.map_err(not_now)?;
        let mut failure = Failure::Never;
        for server in servers {
            let some_are_here = missing.len() < item.pdu().prev_events().len();
            for after in [some_are_here, !some_are_here] {
                let told = if after {
                    self.states_after(gap, &server, missing).await
                } else {
                    let before = self.state_before(gap, &server, item.pdu().event_id()).await;
                    before.map(|state| vec![state.into()])
                };
                match told {
                    Ok(states) => return Ok(states),
                    Err(failed) => failure = failure.and(failed),
                }
            }
        }
        Err(failure)
    }

    async fn states_after(
        &self,
        gap: &Gap,
        server: &ServerName,
        missing: &[OwnedEventId],
    ) -> Result<States, Failure> {
        let mut states = Vec::with_capacity(missing.len());
        for id in missing {
            let mut state = self.state_before(gap, server, id).await?;
            // The last event of a place counts: the parent itself, where it is state.
            let parent = self.collect(gap, server, vec![id.clone()]).await.map_err(not_now)?;
            parent?;
            // It knows the state there, so it will have the event itself.
            if !self.are_here(gap, std::slice::from_ref(id)).await.map_err(not_now)? {
                return Err(Failure::NotNow);
            }
            state.push(id.clone());
            states.push(state.into());
        }
        Ok(states)
    }

    /// The ids of the state before an event, once all of them that can be had are here.
    async fn state_before(
        &self,
        gap: &Gap,
        server: &ServerName,
        event_id: &OwnedEventId,
    ) -> Result<Vec<OwnedEventId>, Failure> {
        let request = get_room_state_ids::v1::Request::new(event_id.clone(), gap.room_id.clone());
        let options = bounded(STATE_IDS_BYTES_MAX);
        let answer = self.remote().call_with(server, request, options).await?;
        let (state, chain) = (answer.pdu_ids, answer.auth_chain_ids);
        if state.len() > FETCHED_STATE_MAX || chain.len() > FETCHED_STATE_MAX {
            return Err(Failure::Never);
        }
        let named: BTreeSet<OwnedEventId> = state.iter().chain(&chain).cloned().collect();
        let rooms = &self.inner.parts.rooms;
        let known = rooms.known_events(&gap.room_id, named.iter().cloned().collect()).await;
        let known = known.map_err(not_now)?;
        let wanted: BTreeSet<OwnedEventId> =
            named.into_iter().filter(|id| !known.contains_key(id)).collect();
        if wanted.len() <= EVENTS_ONE_BY_ONE_MAX {
            // What the server does not have itself is left out of the state; the rest decides whether
            // it is one.
            let wanted = wanted.into_iter().collect();
            let told = self.collect(gap, server, wanted).await.map_err(not_now)?;
            if told == Err(Failure::NotNow) {
                return Err(Failure::NotNow);
            }
        } else {
            self.whole_state(gap, server, event_id, &wanted).await?;
        }
        Ok(state)
    }

    async fn whole_state(
        &self,
        gap: &Gap,
        server: &ServerName,
        event_id: &OwnedEventId,
        wanted: &BTreeSet<OwnedEventId>,
    ) -> Result<(), Failure> {
        let request = get_room_state::v1::Request::new(event_id.clone(), gap.room_id.clone());
        let options = bounded(STATE_BYTES_MAX);
        let answer = self.remote().call_with(server, request, options).await?;
        let events = answer.auth_chain.into_iter().chain(answer.pdus);
        let events = events.take(2 * FETCHED_STATE_MAX).collect();
        self.keep(gap, server, events, wanted).await.map_err(not_now)
    }
}

/// Our own database failed: that says nothing about the event.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn not_now(error: StorageError) -> Failure {
    tracing::warn!(%error, "a state that was fetched could not be stored");
    Failure::NotNow
}
