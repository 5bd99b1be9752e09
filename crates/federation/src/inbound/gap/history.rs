//! Fetching what lies before a gap because somebody reads that far back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ruma::{
    OwnedEventId, OwnedServerName, ServerName, UInt, api::federation::backfill::get_backfill,
};
use vestibule_events::Pdu;
use vestibule_rooms::{AppendError, EventKnown, Incoming};
use vestibule_storage::StorageError;
use vestibule_types::limits::{
    BACKFILL_BYTES_MAX, GAP_STATES_MAX, HISTORY_FETCH_MAX, HISTORY_SERVERS_MAX, PREV_EVENTS_MAX,
};

use super::{
    Gap, Lack,
    ask::{Failure, bounded},
};
use crate::{
    Federation,
    inbound::{parse::event_of, pdus::Item},
};

impl Federation {
    /// Asks servers in the room for what lies before these missing events, the largest first, until one
    /// of them has something. Says whether anything came; `Err` when one that might have could not
    /// be asked.
    pub(crate) async fn fetch_history(
        &self,
        room_id: &ruma::RoomId,
        missing: &[OwnedEventId],
    ) -> Result<bool, HistoryError> {
        let rooms = &self.inner.parts.rooms;
        let Some(room) = rooms.inbound_room(room_id, self.server_name()).await? else {
            return Ok(false);
        };
        if !room.resident {
            return Ok(false);
        }
        let gap = Gap { room_id: room_id.to_owned(), room };
        let mut servers = rooms.servers_by_size(room_id, HISTORY_SERVERS_MAX).await?;
        let known = servers.len();
        servers.retain(|server| !self.remote().is_backing_off(server));
        let mut unheard = servers.len() < known;
        for server in &servers {
            match self.history_from(&gap, server, missing).await? {
                Ok(0) | Err(Failure::Never) => {}
                Ok(_) => return Ok(true),
                Err(Failure::NotNow) => unheard = true,
            }
        }
        if unheard { Err(HistoryError::Unreachable) } else { Ok(false) }
    }

    /// Fetches and stores what one server has. Returns how many events are new.
    async fn history_from(
        &self,
        gap: &Gap,
        server: &OwnedServerName,
        missing: &[OwnedEventId],
    ) -> Result<Result<usize, Failure>, StorageError> {
        let pdus = match self.backfill_page(gap, server, missing).await {
            Ok(pdus) => pdus,
            Err(failure) => return Ok(Err(failure)),
        };
        let ids = pdus.keys().cloned().collect();
        let known = self.inner.parts.rooms.known_events(&gap.room_id, ids).await?;
        let new = leading_to(missing, pdus)
            .into_iter()
            .filter(|pdu| known.get(pdu.event_id()) != Some(&EventKnown::Judged))
            .filter(|pdu| self.given_up(server, pdu.event_id()).is_none());
        let verified = self.verified_of(server, new.collect()).await;
        let item = |event| Item {
            event,
            origin: server.clone(),
            doubted: false,
            staged: None,
            fetched: Vec::new(),
        };
        let mut items: Vec<Item> = verified.into_iter().map(item).collect();
        if items.is_empty() {
            return Ok(Ok(0));
        }
        let lacks = self.lacks(gap, &items).await?;
        self.fetch_authorizing_history(gap, &items, &lacks).await?;
        // A line of events none of which is state needs nothing more than it leads to.
        let plain =
            items.iter().all(|it| !it.pdu().is_state() && it.pdu().prev_events().len() == 1);
        if plain {
            let stored = self.store_items(gap, items.clone()).await?;
            if stored > 0 {
                return Ok(Ok(stored));
            }
        }
        self.fetch_states_of_history(gap, &mut items, &lacks).await?;
        self.store_items(gap, items).await.map(Ok)
    }

    async fn backfill_page(
        &self,
        gap: &Gap,
        server: &ServerName,
        missing: &[OwnedEventId],
    ) -> Result<BTreeMap<OwnedEventId, Pdu>, Failure> {
        let limit = UInt::try_from(HISTORY_FETCH_MAX).unwrap_or_default();
        let from = missing.iter().take(PREV_EVENTS_MAX).cloned().collect();
        let request = get_backfill::v1::Request::new(gap.room_id.clone(), from, limit);
        let options = bounded(BACKFILL_BYTES_MAX);
        let answer = self.remote().call_with(server, request, options).await?;
        let events = answer.pdus.iter().take(HISTORY_FETCH_MAX);
        let pdus = events.filter_map(|it| event_of(it, &gap.room_id, gap.room.version).ok());
        Ok(pdus.map(|pdu| (pdu.event_id().clone(), pdu)).collect())
    }

    /// Fetches what authorizes these events. What cannot be had leaves its event out later.
    async fn fetch_authorizing_history(
        &self,
        gap: &Gap,
        items: &[Item],
        lacks: &[Lack],
    ) -> Result<(), StorageError> {
        let mut asked: BTreeSet<&OwnedEventId> = BTreeSet::new();
        for (item, lack) in items.iter().zip(lacks) {
            let new: Vec<OwnedEventId> =
                lack.auth.iter().filter(|id| asked.insert(*id)).cloned().collect();
            if !new.is_empty()
                && let Err(failure) = self.fetch_auth(gap, item, new).await?
            {
                tracing::debug!(?failure, "what authorizes an event of the past is missing");
            }
        }
        Ok(())
    }

    /// Fetches the states before those events whose parents are not among them.
    async fn fetch_states_of_history(
        &self,
        gap: &Gap,
        items: &mut [Item],
        lacks: &[Lack],
    ) -> Result<(), StorageError> {
        let edges = items.iter_mut().zip(lacks).filter(|(_, lack)| !lack.prev.is_empty());
        for (item, lack) in edges.take(GAP_STATES_MAX) {
            match self.fetch_state(gap, item, &lack.prev).await {
                Ok(states) => item.fetched = states,
                Err(failure) => tracing::debug!(?failure, "a state of the past is missing"),
            }
        }
        Ok(())
    }

    async fn store_items(&self, gap: &Gap, items: Vec<Item>) -> Result<usize, StorageError> {
        let events = items.into_iter().map(|item| Incoming {
            event: item.event,
            fetched: item.fetched,
            doubted: false,
            staged: None,
        });
        let stored = self.inner.parts.rooms.store_history(&gap.room_id, events.collect()).await;
        match stored {
            Ok(stored) => Ok(stored),
            Err(AppendError::Storage(failed)) => Err(failed),
            Err(error) => {
                tracing::warn!(%error, "history could not be stored");
                Ok(0)
            }
        }
    }
}

/// Why history was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// A server that may have it could not be asked.
    #[error("a server that may have the history could not be asked")]
    Unreachable,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Those of the events that lead to the missing ones: the others were not asked for.
fn leading_to(missing: &[OwnedEventId], mut pdus: BTreeMap<OwnedEventId, Pdu>) -> Vec<Pdu> {
    let mut queue: VecDeque<OwnedEventId> = missing.iter().cloned().collect();
    let mut found = Vec::with_capacity(pdus.len());
    while let Some(id) = queue.pop_front() {
        let Some(pdu) = pdus.remove(&id) else { continue };
        queue.extend(pdu.prev_events().iter().cloned());
        found.push(pdu);
    }
    found
}
