//! Keeping events that were fetched without a place in the timeline: state, and what authorizes it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use ruma::{OwnedEventId, ServerName, api::federation::event::get_event};
use serde_json::value::RawValue;
use vestibule_events::{Pdu, Verified};
use vestibule_rooms::AppendError;
use vestibule_storage::StorageError;
use vestibule_types::limits::{
    AUTH_ROUNDS_MAX, EVENT_BYTES_MAX, EVENTS_AT_ONCE, EVENTS_ONE_BY_ONE_MAX,
};

use super::{
    Gap,
    ask::{Failure, bounded},
};
use crate::{
    Federation,
    inbound::{parse::event_of, verify::NotVerified},
};

/// Events that are parsed before other work on this thread gets its turn.
const PARSED_AT_ONCE: usize = 64;
/// Events that are verified together.
const VERIFIED_AT_ONCE: usize = 256;

impl Federation {
    /// Stores those of the events that are not here, without a place in the timeline. `wanted` says
    /// which; the others are left out.
    pub(super) async fn keep(
        &self,
        gap: &Gap,
        server: &ServerName,
        events: Vec<Box<RawValue>>,
        wanted: &BTreeSet<OwnedEventId>,
    ) -> Result<(), StorageError> {
        let mut parsed: BTreeMap<OwnedEventId, Pdu> = BTreeMap::new();
        for some in events.chunks(PARSED_AT_ONCE) {
            for json in some {
                if let Ok(pdu) = event_of(json, &gap.room_id, gap.room.version)
                    && wanted.contains(pdu.event_id())
                {
                    parsed.insert(pdu.event_id().clone(), pdu);
                }
            }
            tokio::task::yield_now().await;
        }
        let mut kept = Vec::with_capacity(parsed.len());
        let mut pdus = parsed.into_values();
        loop {
            let some: Vec<Pdu> = pdus.by_ref().take(VERIFIED_AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            kept.extend(self.verified_of(server, some).await);
        }
        self.store_outliers(gap, kept).await
    }

    /// Fetches events one by one, then those that authorize them, and so on, within bounds; stores what
    /// came without a place in the timeline.
    pub(super) async fn collect(
        &self,
        gap: &Gap,
        server: &ServerName,
        wanted: Vec<OwnedEventId>,
    ) -> Result<Result<(), Failure>, StorageError> {
        let rooms = &self.inner.parts.rooms;
        let (mut found, mut failure) = (BTreeMap::<OwnedEventId, Verified>::new(), None);
        let mut wanted: BTreeSet<OwnedEventId> = wanted.into_iter().collect();
        for _ in 0..AUTH_ROUNDS_MAX {
            let room_left = EVENTS_ONE_BY_ONE_MAX.saturating_sub(found.len());
            wanted.retain(|id| self.given_up(server, id).is_none() && !self.is_absent(server, id));
            if wanted.is_empty() || room_left == 0 {
                break;
            }
            let asked = wanted.iter().take(room_left).cloned();
            let fetched = asked.map(|id| self.fetch_event(gap, server, id));
            let fetched: Vec<_> = stream::iter(fetched).buffered(EVENTS_AT_ONCE).collect().await;
            let mut pdus = Vec::new();
            for outcome in fetched {
                match outcome {
                    Ok(pdu) => pdus.push(pdu),
                    Err(failed) => {
                        failure = Some(failure.map_or(failed, |it: Failure| it.and(failed)));
                    }
                }
            }
            let verified = self.verified_of(server, pdus).await;
            let named: BTreeSet<OwnedEventId> =
                verified.iter().flat_map(|it| it.pdu().auth_events().iter().cloned()).collect();
            found.extend(verified.into_iter().map(|it| (it.pdu().event_id().clone(), it)));
            let known = rooms.known_events(&gap.room_id, named.iter().cloned().collect()).await?;
            let new = |id: &OwnedEventId| !known.contains_key(id) && !found.contains_key(id);
            wanted = named.into_iter().filter(new).collect();
        }
        self.store_outliers(gap, found.into_values().collect()).await?;
        Ok(failure.map_or(Ok(()), Err))
    }

    async fn fetch_event(
        &self,
        gap: &Gap,
        server: &ServerName,
        id: OwnedEventId,
    ) -> Result<Pdu, Failure> {
        let request = get_event::v1::Request::new(id.clone());
        let options = bounded(2 * EVENT_BYTES_MAX);
        let answer = self.remote().call_with(server, request, options).await;
        let pdu = answer.map_err(Failure::from).and_then(|answer| {
            let pdu = event_of(&answer.pdu, &gap.room_id, gap.room.version);
            pdu.ok().filter(|pdu| *pdu.event_id() == id).ok_or(Failure::Never)
        });
        if pdu.as_ref().is_err_and(|failure| *failure == Failure::Never) {
            self.note_absent(server, &id);
        }
        pdu
    }

    /// The events that hold; of the others it is remembered that this server's copy does not.
    pub(super) async fn verified_of(&self, server: &ServerName, pdus: Vec<Pdu>) -> Vec<Verified> {
        let ids: Vec<OwnedEventId> = pdus.iter().map(|pdu| pdu.event_id().clone()).collect();
        let mut verified = Vec::with_capacity(ids.len());
        for (id, outcome) in ids.into_iter().zip(self.verified(pdus).await) {
            match outcome {
                Ok(event) => verified.push(event),
                Err(NotVerified::Invalid(reason)) => self.give_up(server, &id, &reason),
                Err(NotVerified::NotNow(reason)) => tracing::warn!(reason, "an event was left out"),
            }
        }
        verified
    }

    async fn store_outliers(&self, gap: &Gap, events: Vec<Verified>) -> Result<(), StorageError> {
        if events.is_empty() {
            return Ok(());
        }
        match self.inner.parts.rooms.store_outliers(&gap.room_id, events).await {
            Err(AppendError::Storage(failed)) => Err(failed),
            // What could not be judged is not here, and will be found missing.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
