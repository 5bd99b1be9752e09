//! Recording an event of ours that another server saw first: an invitation that the invitee's server
//! signed, a join that a server in the room let in.

use std::sync::Arc;

use ruma::CanonicalJsonObject;
use vestibule_events::Pdu;
use vestibule_state_res::check_state;
use vestibule_storage::StorageError;

use super::{AppendError, Appended, Authority, Draft, authorize::refused};
use crate::{LoggedEvent, RoomTx, StateAt};

impl RoomTx<'_, '_> {
    /// Records an invitation that was laid out in this room before, signed twice since. The room may
    /// have moved on: it is judged by the state it was laid out on, and by the room's current state.
    pub(crate) fn append_cosigned(
        &mut self,
        authority: Authority<'_>,
        pdu: &Arc<Pdu>,
    ) -> Result<Appended, AppendError> {
        self.spend(authority, &draft_of(pdu)?)?;
        self.append_laid_out(pdu)
    }

    /// Records an event of ours where it was laid out before.
    pub(super) fn append_laid_out(&mut self, pdu: &Arc<Pdu>) -> Result<Appended, AppendError> {
        let (prev, auth) = (self.known_events(pdu.prev_events())?, self.auth_of(pdu)?);
        let before = self.state_after_all(&prev)?;
        self.authorize(pdu, &auth, before)?;
        let now = self.known()?.head.state;
        let by_place = |event_type: &str, state_key: &str| -> Result<_, StorageError> {
            Ok(self.state_event_at(now, event_type, state_key)?.map(|event| event.pdu))
        };
        check_state(pdu, by_place).map_err(refused)?;
        let prev = prev.iter().map(|event| event.no).collect::<Vec<_>>();
        self.record(Arc::clone(pdu), &auth, &prev, before)
    }

    /// Records a join whose parents are not here: everything known of the room is the state before it.
    pub(crate) fn append_arrival(
        &mut self,
        authority: Authority<'_>,
        pdu: &Arc<Pdu>,
        before: StateAt,
    ) -> Result<Appended, AppendError> {
        self.spend(authority, &draft_of(pdu)?)?;
        let auth = self.auth_of(pdu)?;
        self.authorize(pdu, &auth, before)?;
        let appended = self.record(Arc::clone(pdu), &auth, &[], before)?;
        self.withhold(appended.no)?;
        // Where this server was in the room before, it may have some of them.
        let missing = self.parents(pdu)?.missing;
        self.open_gaps(&missing, appended.no)?;
        Ok(appended)
    }

    fn auth_of(&self, pdu: &Pdu) -> Result<Vec<LoggedEvent>, AppendError> {
        self.known_events(pdu.auth_events())
    }

    fn known_events(&self, ids: &[ruma::OwnedEventId]) -> Result<Vec<LoggedEvent>, AppendError> {
        let view = self.view()?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let event = view.event_by_id(id)?;
            found.push(event.ok_or_else(|| {
                AppendError::BadContent("the event names events nobody knows here".to_owned())
            })?);
        }
        Ok(found)
    }
}

/// An event as it was meant, for the permit that covers it.
fn draft_of(pdu: &Pdu) -> Result<Draft, AppendError> {
    let content = pdu
        .content_as::<CanonicalJsonObject>()
        .map_err(|error| AppendError::BadContent(error.to_string()))?;
    Ok(Draft {
        sender: pdu.sender().to_owned(),
        event_type: pdu.kind().to_owned(),
        state_key: pdu.state_key().map(ToOwned::to_owned),
        content,
        redacts: None,
        at: pdu.origin_server_ts(),
    })
}
