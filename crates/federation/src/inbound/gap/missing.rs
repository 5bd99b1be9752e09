//! Fetching the events between what we have and what came.

use std::collections::HashSet;

use ruma::{
    OwnedEventId, OwnedServerName, ServerName, UInt, api::federation::event::get_missing_events,
};
use vestibule_events::Pdu;
use vestibule_rooms::EventKnown;
use vestibule_storage::StorageError;
use vestibule_types::limits::{
    MISSING_EVENTS_BYTES_MAX, MISSING_EVENTS_PAGE_MAX, MISSING_EVENTS_ROUNDS_MAX, PREV_EVENTS_MAX,
};

use super::{
    Gap,
    ask::{Failure, bounded},
};
use crate::{
    Federation,
    inbound::{parse::event_of, pdus::Item},
};

/// What came of asking for what lies before some events.
pub(super) struct Between {
    /// The events, with what was found.
    pub(super) items: Vec<Item>,
    /// Something is still missing, and a server that may have it could not be asked.
    pub(super) unheard: bool,
}

/// A page of missing events.
struct Page {
    pdus: Vec<Pdu>,
    /// It is empty, and a server that may have had more could not be asked.
    unheard: bool,
}

impl Federation {
    /// Fetches what lies before events of one server, page by page, as long as there is more. Gives back
    /// the events with what was found.
    pub(super) async fn fetch_missing(
        &self,
        gap: &Gap,
        origin: &OwnedServerName,
        mut items: Vec<Item>,
    ) -> Result<Between, StorageError> {
        let Some(first) = items.first() else { return Ok(Between { items, unheard: false }) };
        let servers = self.whom_to_ask(gap, first).await?;
        for _ in 0..MISSING_EVENTS_ROUNDS_MAX {
            let lacks = self.lacks(gap, &items).await?;
            let edges = items.iter().zip(lacks).filter(|(_, lack)| !lack.prev.is_empty());
            let latest: Vec<OwnedEventId> = edges
                .map(|(item, _)| item.pdu().event_id().clone())
                .take(PREV_EVENTS_MAX)
                .collect();
            if latest.is_empty() {
                break;
            }
            let found = self.ask_for_missing(gap, &servers, &latest, &items).await?;
            if found.pdus.is_empty() {
                return Ok(Between { items, unheard: found.unheard });
            }
            let verified = self.verified_of(origin, found.pdus).await;
            if verified.is_empty() {
                break;
            }
            let recommended = self.recommended(gap.room.policy_server.as_ref(), verified).await;
            items.extend(recommended.into_iter().map(|(event, doubted)| Item {
                event,
                origin: origin.clone(),
                doubted,
                staged: None,
                fetched: Vec::new(),
            }));
        }
        Ok(Between { items, unheard: false })
    }

    /// The first page that one of the servers has, without what is here already.
    async fn ask_for_missing(
        &self,
        gap: &Gap,
        servers: &[OwnedServerName],
        latest: &[OwnedEventId],
        items: &[Item],
    ) -> Result<Page, StorageError> {
        let mut unheard = false;
        for server in servers {
            let mut pdus = match self.missing_page(gap, server, latest).await {
                Ok(pdus) => pdus,
                Err(failure) => {
                    unheard |= failure == Failure::NotNow;
                    continue;
                }
            };
            let at_hand: HashSet<&OwnedEventId> =
                items.iter().map(|item| item.pdu().event_id()).collect();
            let ids = pdus.iter().map(|pdu| pdu.event_id().clone()).collect();
            let known = self.inner.parts.rooms.known_events(&gap.room_id, ids).await?;
            let mut seen = HashSet::new();
            pdus.retain(|pdu| {
                let id = pdu.event_id();
                known.get(id) != Some(&EventKnown::Judged)
                    && !at_hand.contains(id)
                    && self.given_up(server, id).is_none()
                    && seen.insert(id.clone())
            });
            if !pdus.is_empty() {
                return Ok(Page { pdus, unheard: false });
            }
        }
        Ok(Page { pdus: Vec::new(), unheard })
    }

    async fn missing_page(
        &self,
        gap: &Gap,
        server: &ServerName,
        latest: &[OwnedEventId],
    ) -> Result<Vec<Pdu>, Failure> {
        let mut request = get_missing_events::v1::Request::new(
            gap.room_id.clone(),
            gap.room.ends.clone(),
            latest.to_vec(),
        );
        request.limit = UInt::try_from(MISSING_EVENTS_PAGE_MAX).unwrap_or(request.limit);
        let options = bounded(MISSING_EVENTS_BYTES_MAX);
        let answer = self.remote().call_with(server, request, options).await?;
        let events = answer.events.iter().take(MISSING_EVENTS_PAGE_MAX);
        let pdus = events.filter_map(|it| event_of(it, &gap.room_id, gap.room.version).ok());
        Ok(pdus.collect())
    }
}
