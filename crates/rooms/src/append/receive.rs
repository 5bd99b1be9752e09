//! Letting in an event that another server made.
//!
//! Its hashes and signatures were verified before ([`vestibule_events::verify`]); here it meets the
//! authorization rules, three times: against its own auth events and against the state before it,
//! where failing rejects it, and against the room's current state, where failing keeps it out of
//! the timeline. What was rejected is remembered, so that it is not asked for again.

use std::sync::Arc;

use ruma::OwnedEventId;
use vestibule_events::{Pdu, Verified};
use vestibule_state_res::{CheckError, check_auth_events, check_state};
use vestibule_storage::{
    Stamped, StorageError,
    tables::room::{
        EVENT_BY_ID, EVENT_BY_NO, EVENT_STATE, StoredEvent, StoredEventPlace, StoredEventState,
    },
};
use vestibule_types::EventNo;

use super::AppendError;
use crate::{LoggedEvent, RoomTx, Rooms, StateAt};

/// What became of an event from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is part of the room.
    Accepted,
    /// It is part of the room's graph, but the room's current state hides it.
    SoftFailed,
    /// The rules refuse it.
    Rejected(String),
    /// It was here already.
    Known,
}

/// Why an event from elsewhere could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// These of its parents or auth events have to come first.
    #[error("events are missing before this one can be judged")]
    Missing(Vec<OwnedEventId>),
    /// It claims to be from one of our own users.
    #[error("an event of our own users does not come from elsewhere")]
    OurOwn,
    /// It could not be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StorageError> for ReceiveError {
    fn from(error: StorageError) -> Self {
        Self::Append(AppendError::Storage(error))
    }
}

impl Rooms {
    /// Lets an event in that another server made and whose signatures were verified.
    pub async fn receive(&self, verified: Verified) -> Result<Received, ReceiveError> {
        let pdu = Arc::new(verified.into_pdu());
        if pdu.sender().server_name() == self.inner.server_name {
            return Err(ReceiveError::OurOwn);
        }
        let room_id = pdu.room_id().to_owned();
        Ok(self.in_room(&room_id, move |room| room.receive(Arc::clone(&pdu))).await?.0)
    }
}

impl RoomTx<'_, '_> {
    pub(super) fn receive(&mut self, pdu: Arc<Pdu>) -> Result<Received, ReceiveError> {
        self.known().map_err(AppendError::from)?;
        if self.view().map_err(AppendError::from)?.event_no(pdu.event_id())?.is_some() {
            return Ok(Received::Known);
        }
        let (prev, auth) = self.parents(&pdu)?;
        let by_id = |id: &ruma::EventId| -> Result<Option<Arc<Pdu>>, StorageError> {
            let Ok(view) = self.view() else { return Ok(None) };
            Ok(view.event_by_id(id)?.map(|event| event.pdu))
        };
        if let Some(reason) = denied(check_auth_events(&pdu, by_id))? {
            self.remember_rejected(&pdu, &auth, None)?;
            return Ok(Received::Rejected(reason));
        }
        let before = self.state_after_all(&prev)?;
        if let Some(reason) = denied(check_state(&pdu, self.state_of(before)))? {
            self.remember_rejected(&pdu, &auth, Some(before))?;
            return Ok(Received::Rejected(reason));
        }
        let now = self.known().map_err(AppendError::from)?.head.state;
        if denied(check_state(&pdu, self.state_of(now)))?.is_some() {
            self.record_soft_failed(&pdu, &auth, before)?;
            return Ok(Received::SoftFailed);
        }
        let prev = prev.iter().map(|event| event.no).collect::<Vec<_>>();
        self.record(pdu, &auth, &prev, before)?;
        Ok(Received::Accepted)
    }

    /// The events before this one, or which of them are not here.
    fn parents(&self, pdu: &Pdu) -> Result<(Vec<LoggedEvent>, Vec<LoggedEvent>), ReceiveError> {
        let view = self.view().map_err(AppendError::from)?;
        let mut missing = Vec::new();
        let mut find = |ids: &[OwnedEventId]| -> Result<Vec<LoggedEvent>, StorageError> {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                match view.event_by_id(id)? {
                    Some(event) => found.push(event),
                    None => missing.push(id.clone()),
                }
            }
            Ok(found)
        };
        let (prev, auth) = (find(pdu.prev_events())?, find(pdu.auth_events())?);
        if missing.is_empty() { Ok((prev, auth)) } else { Err(ReceiveError::Missing(missing)) }
    }

    fn state_of(
        &self,
        at: StateAt,
    ) -> impl Fn(&str, &str) -> Result<Option<Arc<Pdu>>, StorageError> + '_ {
        move |event_type, state_key| {
            Ok(self.state_event_at(at, event_type, state_key)?.map(|event| event.pdu))
        }
    }

    /// Keeps a rejected event: events that name it as a parent still find the state around it.
    fn remember_rejected(
        &mut self,
        pdu: &Pdu,
        auth: &[LoggedEvent],
        before: Option<StateAt>,
    ) -> Result<(), AppendError> {
        let before = if let Some(before) = before {
            before
        } else {
            let prev = self.parents(pdu).map_or_else(|_| Vec::new(), |(prev, _)| prev);
            self.state_after_all(&prev)?
        };
        let no = self.store_event(pdu, auth, true)?;
        self.store_around(no, StoredEventState { before, after: before, soft_failed: true })
    }

    fn record_soft_failed(
        &mut self,
        pdu: &Pdu,
        auth: &[LoggedEvent],
        before: StateAt,
    ) -> Result<(), AppendError> {
        let no = self.store_event(pdu, auth, false)?;
        let after = self.state_after(pdu, no, before)?;
        self.store_around(no, StoredEventState { before, after, soft_failed: true })
    }

    fn store_around(&mut self, no: EventNo, around: StoredEventState) -> Result<(), AppendError> {
        let (room, stamp) = (self.known()?.no, self.next_stamp());
        EVENT_STATE.put(self.tx, (room, no), &Stamped { stamp, value: around })?;
        Ok(())
    }

    /// Writes the event itself and gives it a number.
    pub(super) fn store_event(
        &mut self,
        pdu: &Pdu,
        auth: &[LoggedEvent],
        rejected: bool,
    ) -> Result<EventNo, AppendError> {
        let no = self.number()?;
        let room = self.known()?.no;
        let event = StoredEvent {
            event_id: pdu.event_id().to_owned(),
            auth: auth.iter().map(|event| event.no).collect(),
            rejected,
            json: pdu.json().clone(),
        };
        EVENT_BY_ID.put(self.tx, (pdu.event_id(),), &StoredEventPlace { room, event: no })?;
        EVENT_BY_NO.put(self.tx, (room, no), &event)?;
        Ok(no)
    }
}

/// The rule that refused, if one did.
pub(super) fn denied(
    outcome: Result<(), CheckError<StorageError>>,
) -> Result<Option<String>, AppendError> {
    match outcome {
        Ok(()) => Ok(None),
        Err(CheckError::Denied(denied)) => Ok(Some(denied.reason)),
        Err(CheckError::Facts(failed)) => Err(failed.into()),
    }
}
