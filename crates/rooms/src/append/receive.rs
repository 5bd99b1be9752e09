//! Letting in an event that another server made.
//!
//! Its hashes and signatures were verified before ([`vestibule_events::verify`]); here it meets the
//! authorization rules, three times: against its own auth events and against the state before it,
//! where failing rejects it, and against the room's current state, where failing keeps it out of
//! the timeline. What was rejected is remembered, so that it is not asked for again.
//!
//! An event that is here as an outlier was judged by its auth events alone. When it arrives as part of
//! the timeline it is judged in full and keeps its number.

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedServerName, RoomId};
use vestibule_events::{Pdu, Verified};
use vestibule_state_res::{CheckError, check_auth_events, check_state};
use vestibule_storage::{
    Stamp, Stamped, StorageError,
    tables::room::{
        EVENT_BY_ID, EVENT_BY_NO, EVENT_STATE, StoredEvent, StoredEventPlace, StoredEventState,
        StoredMembership,
    },
};
use vestibule_types::EventNo;

use super::{AppendError, index::membership_of, record::is_member};
use crate::{LoggedEvent, RoomTx, Rooms, StateAt, room_tx::UnknownRoom};

/// What became of an event from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is part of the room.
    Accepted,
    /// It is part of the room's graph, but the room's current state or its policy server hides it.
    SoftFailed,
    /// The rules refuse it.
    Rejected(String),
    /// It was judged before.
    Known,
}

/// Why an event from elsewhere could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// These of its parents or auth events have to come first.
    #[error("events are missing before this one can be judged")]
    Missing(Vec<OwnedEventId>),
    /// The state that was fetched for it is none: it has no create event.
    #[error("the state before the event could not be had")]
    NoState,
    /// It could not be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<StorageError> for ReceiveError {
    fn from(error: StorageError) -> Self {
        Self::Append(AppendError::Storage(error))
    }
}

impl From<UnknownRoom> for ReceiveError {
    fn from(error: UnknownRoom) -> Self {
        Self::Append(AppendError::UnknownRoom(error))
    }
}

/// An event from elsewhere, ready to be judged.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The event.
    pub event: Verified,
    /// Where parents are missing: states that were fetched in their place, each as the ids of its
    /// events. Those that are not here, or are rejected, are left out.
    pub fetched: Vec<Arc<[OwnedEventId]>>,
    /// The room's policy server did not recommend it.
    pub doubted: bool,
    /// Where it waits in the staging table; it goes from there when it is judged.
    pub staged: Option<(OwnedServerName, Stamp)>,
}

impl From<Verified> for Incoming {
    fn from(event: Verified) -> Self {
        Self { event, fetched: Vec::new(), doubted: false, staged: None }
    }
}

/// The same as a job holds it.
pub(crate) struct Case {
    pub(crate) pdu: Arc<Pdu>,
    whole: bool,
    pub(super) fetched: Vec<Arc<[OwnedEventId]>>,
    doubted: bool,
    staged: Option<(OwnedServerName, Stamp)>,
}

impl From<Incoming> for Case {
    fn from(incoming: Incoming) -> Self {
        let Incoming { event, fetched, doubted, staged } = incoming;
        let whole = event.is_whole();
        Self { pdu: Arc::new(event.into_pdu()), whole, fetched, doubted, staged }
    }
}

/// The parents of an event: those that are here and judged, and the others.
pub(super) struct Parents {
    pub(super) here: Vec<LoggedEvent>,
    pub(super) missing: Vec<OwnedEventId>,
}

impl Rooms {
    /// Lets an event in that another server made and whose signatures were verified.
    pub async fn receive(&self, verified: Verified) -> Result<Received, ReceiveError> {
        let room_id = verified.pdu().room_id().to_owned();
        let mut outcomes = self.receive_all(&room_id, vec![verified.into()]).await;
        outcomes.pop().unwrap_or_else(|| Err(StorageError::Closed.into()))
    }

    /// Lets events of one room in, one after the other, in as few batches as possible. Each has an
    /// outcome of its own; a later one may build on an earlier one.
    pub async fn receive_all(
        &self,
        room_id: &RoomId,
        events: Vec<Incoming>,
    ) -> Vec<Result<Received, ReceiveError>> {
        let works = events.into_iter().map(|incoming| {
            let case = Case::from(incoming);
            move |room: &mut RoomTx<'_, '_>| room.receive(&case)
        });
        let outcomes = self.in_room_all(room_id, works.collect()).await;
        outcomes.into_iter().map(|outcome| outcome.map(|(received, _)| received)).collect()
    }
}

impl RoomTx<'_, '_> {
    pub(crate) fn receive(&mut self, case: &Case) -> Result<Received, ReceiveError> {
        let pdu = &case.pdu;
        self.known()?;
        if pdu.room_id() != self.room_id {
            return Err(AppendError::from(UnknownRoom).into());
        }
        if let Some((origin, stamp)) = &case.staged {
            self.unstage(origin, *stamp, pdu.event_id())?;
        }
        if let Some(no) = self.view()?.event_no(pdu.event_id())? {
            if self.view()?.around(no)?.is_some() {
                return Ok(Received::Known);
            }
            self.refresh_outlier(no, case)?;
        }
        self.weigh(case)
    }

    fn weigh(&mut self, case: &Case) -> Result<Received, ReceiveError> {
        let pdu = &case.pdu;
        let (prev, auth) = (self.parents(pdu)?, self.auth_events(pdu)?);
        let gap = !prev.missing.is_empty();
        let auth = match auth {
            Ok(auth) => auth,
            Err(missing) => return Err(ReceiveError::Missing([missing, prev.missing].concat())),
        };
        let by_id = |id: &ruma::EventId| -> Result<Option<Arc<Pdu>>, StorageError> {
            let Ok(view) = self.view() else { return Ok(None) };
            Ok(view.event_by_id(id)?.map(|event| event.pdu))
        };
        if let Some(reason) = denied(check_auth_events(pdu, by_id))? {
            // Where parents are missing it stays an outlier: what it stood in is not known.
            let before =
                if gap { None } else { Some((self.state_after_all(&prev.here)?, &[][..])) };
            self.remember_rejected(pdu, &auth, before)?;
            return Ok(Received::Rejected(reason));
        }
        if gap && case.fetched.is_empty() {
            return Err(ReceiveError::Missing(prev.missing));
        }
        let before = if gap {
            self.state_over_gap(&prev.here, &case.fetched)?.ok_or(ReceiveError::NoState)?
        } else {
            self.state_after_all(&prev.here)?
        };
        if let Some(reason) = denied(check_state(pdu, self.state_of(before)))? {
            self.remember_rejected(pdu, &auth, Some((before, &prev.missing)))?;
            return Ok(Received::Rejected(reason));
        }
        let now = self.known()?.head.state;
        if case.doubted || denied(check_state(pdu, self.state_of(now)))?.is_some() {
            self.record_soft_failed(pdu, &auth, (before, &prev.missing))?;
            return Ok(Received::SoftFailed);
        }
        let followed = self.followed(&prev.here)?;
        let appended = self.record(Arc::clone(pdu), &auth, &followed.here, before)?;
        self.open_gaps(&prev.missing, appended.no)?;
        self.open_gaps(&followed.missing, appended.no)?;
        if *pdu.sender().server_name() == *self.rooms.inner.server_name {
            self.take_back(pdu)?;
        }
        Ok(Received::Accepted)
    }

    /// The parents of an event. An outlier is not enough: the state after it is not known.
    pub(super) fn parents(&self, pdu: &Pdu) -> Result<Parents, AppendError> {
        let view = self.view()?;
        let (mut here, mut missing) = (Vec::new(), Vec::new());
        for id in pdu.prev_events() {
            match view.event_by_id(id)? {
                Some(event) if view.around(event.no)?.is_some() => here.push(event),
                _ => missing.push(id.clone()),
            }
        }
        Ok(Parents { here, missing })
    }

    /// The auth events of an event, or which of the events that authorize it are not here.
    pub(super) fn auth_events(
        &self,
        pdu: &Pdu,
    ) -> Result<Result<Vec<LoggedEvent>, Vec<OwnedEventId>>, AppendError> {
        let view = self.view()?;
        let (mut found, mut missing) = (Vec::with_capacity(pdu.auth_events().len()), Vec::new());
        for id in pdu.auth_events() {
            match view.event_by_id(id)? {
                Some(event) => found.push(event),
                None => missing.push(id.clone()),
            }
        }
        // From version 12 on the create event authorizes everything without being named.
        if view.room.version.room_id_is_create_event()
            && pdu.kind() != "m.room.create"
            && let Some(create) = Pdu::create_event_id_of(&self.room_id)
            && view.event_no(&create)?.is_none()
        {
            missing.push(create);
        }
        Ok(if missing.is_empty() { Ok(found) } else { Err(missing) })
    }

    pub(super) fn state_of(
        &self,
        at: StateAt,
    ) -> impl Fn(&str, &str) -> Result<Option<Arc<Pdu>>, StorageError> + '_ {
        move |event_type, state_key| {
            Ok(self.state_event_at(at, event_type, state_key)?.map(|event| event.pdu))
        }
    }

    /// An event that a user of ours sent comes from elsewhere: another server let it in, and we never
    /// heard of that, or this server was set back to an earlier day. It bears our signature, so the
    /// policy was asked once; whether what it leads to may stay is asked again.
    fn take_back(&mut self, pdu: &Pdu) -> Result<(), AppendError> {
        self.redact_newcomer(pdu)?;
        if is_member(pdu).is_some() && membership_of(pdu) == StoredMembership::Join {
            let now = self.rooms.inner.env.now_ms();
            self.scope_changed(now)?;
        }
        Ok(())
    }

    /// Keeps a rejected event: events that name it as a parent still find the state around it, where
    /// that is known, and what is missing before it.
    pub(super) fn remember_rejected(
        &mut self,
        pdu: &Pdu,
        auth: &[LoggedEvent],
        before: Option<(StateAt, &[OwnedEventId])>,
    ) -> Result<(), AppendError> {
        let no = self.store_event(pdu, auth, true)?;
        let Some((before, missing)) = before else { return Ok(()) };
        let around = StoredEventState { before, after: before, soft_failed: true };
        self.keep_hidden((pdu, no), around, missing)
    }

    fn record_soft_failed(
        &mut self,
        pdu: &Pdu,
        auth: &[LoggedEvent],
        (before, missing): (StateAt, &[OwnedEventId]),
    ) -> Result<(), AppendError> {
        let no = self.store_event(pdu, auth, false)?;
        let after = self.state_after(pdu, no, before)?;
        let around = StoredEventState { before, after, soft_failed: true };
        self.keep_hidden((pdu, no), around, missing)
    }

    /// Gives an event that has no place in the timeline its place in the graph.
    fn keep_hidden(
        &mut self,
        (pdu, no): (&Pdu, EventNo),
        around: StoredEventState,
        missing: &[OwnedEventId],
    ) -> Result<(), AppendError> {
        self.store_around(no, around)?;
        self.apply_late_redactions(pdu)?;
        match self.close_gap(pdu)? {
            Some(child) => {
                let parents = self.parents(pdu)?;
                self.cover(&parents, child)
            }
            None => self.open_gaps(missing, no),
        }
    }

    fn store_around(&mut self, no: EventNo, around: StoredEventState) -> Result<(), AppendError> {
        let (room, stamp) = (self.known()?.no, self.next_stamp());
        EVENT_STATE.put(self.tx, (room, no), &Stamped { stamp, value: around })?;
        Ok(())
    }

    /// Writes the event itself and gives it a number. An outlier keeps the number it has; what is
    /// known of it now may be that it is rejected.
    pub(super) fn store_event(
        &mut self,
        pdu: &Pdu,
        auth: &[LoggedEvent],
        rejected: bool,
    ) -> Result<EventNo, AppendError> {
        let room = self.known()?.no;
        let outlier = self.view()?.event_no(pdu.event_id())?;
        if let Some(no) = outlier {
            let stored = EVENT_BY_NO.get(&self.tx.fixed(), (room, no))?;
            if let Some(stored) = stored.filter(|stored| stored.rejected != rejected) {
                self.rewrite(no, &StoredEvent { rejected, ..stored })?;
            }
            return Ok(no);
        }
        let no = self.number()?;
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

    /// An outlier may have come to us redacted; where the whole event arrives, that is kept.
    pub(super) fn refresh_outlier(&mut self, no: EventNo, case: &Case) -> Result<(), AppendError> {
        let room = self.known()?.no;
        let Some(stored) = EVENT_BY_NO.get(&self.tx.fixed(), (room, no))? else { return Ok(()) };
        if !case.whole || stored.json == *case.pdu.json() {
            return Ok(());
        }
        self.rewrite(no, &StoredEvent { json: case.pdu.json().clone(), ..stored })
    }

    fn rewrite(&mut self, no: EventNo, event: &StoredEvent) -> Result<(), AppendError> {
        let room = self.known()?.no;
        self.rooms.inner.events.rewritten(room, no);
        EVENT_BY_NO.put(self.tx, (room, no), event)?;
        Ok(())
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
