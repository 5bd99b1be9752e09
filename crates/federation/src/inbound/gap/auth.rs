//! Fetching the events that authorize an event.

use std::collections::BTreeSet;

use ruma::{OwnedEventId, ServerName, api::federation::authorization::get_event_authorization};
use vestibule_storage::StorageError;
use vestibule_types::limits::AUTH_CHAIN_BYTES_MAX;

use super::{
    Gap,
    ask::{Failure, bounded},
};
use crate::{
    Federation,
    inbound::{parse::event_of, pdus::Item},
};

impl Federation {
    /// Fetches what authorizes an event: the events it names, or else the whole chain behind it.
    pub(super) async fn fetch_auth(
        &self,
        gap: &Gap,
        item: &Item,
        missing: Vec<OwnedEventId>,
    ) -> Result<Result<(), Failure>, StorageError> {
        let mut failure = Failure::Never;
        for server in self.whom_to_ask(gap, item).await? {
            let one_by_one = self.collect(gap, &server, missing.clone()).await?;
            if self.are_here(gap, &missing).await? {
                return Ok(Ok(()));
            }
            let chain = self.fetch_chain(gap, &server, item).await?;
            if self.are_here(gap, &missing).await? {
                return Ok(Ok(()));
            }
            for failed in [one_by_one, chain].into_iter().filter_map(Result::err) {
                failure = failure.and(failed);
            }
        }
        Ok(Err(failure))
    }

    /// Whether these events are here, in whatever way.
    pub(super) async fn are_here(
        &self,
        gap: &Gap,
        ids: &[OwnedEventId],
    ) -> Result<bool, StorageError> {
        let known = self.inner.parts.rooms.known_events(&gap.room_id, ids.to_vec()).await?;
        Ok(ids.iter().all(|id| known.contains_key(id)))
    }

    async fn fetch_chain(
        &self,
        gap: &Gap,
        server: &ServerName,
        item: &Item,
    ) -> Result<Result<(), Failure>, StorageError> {
        let event_id = item.pdu().event_id().clone();
        let request = get_event_authorization::v1::Request::new(gap.room_id.clone(), event_id);
        let options = bounded(AUTH_CHAIN_BYTES_MAX);
        let chain = match self.remote().call_with(server, request, options).await {
            Ok(answer) => answer.auth_chain,
            Err(error) => return Ok(Err(error.into())),
        };
        let id = |json| event_of(json, &gap.room_id, gap.room.version).ok();
        let ids: BTreeSet<OwnedEventId> =
            chain.iter().filter_map(|json| Some(id(json)?.event_id().clone())).collect();
        let rooms = &self.inner.parts.rooms;
        let known = rooms.known_events(&gap.room_id, ids.iter().cloned().collect()).await?;
        let wanted = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
        self.keep(gap, server, chain, &wanted).await?;
        Ok(Ok(()))
    }
}
