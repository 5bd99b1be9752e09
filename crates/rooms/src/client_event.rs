//! An event as one client sees it.

use ruma::MilliSecondsSinceUnixEpoch;
use serde_json::value::RawValue;
use vestibule_events::{PduError, Unsigned, client_event, redact};
use vestibule_storage::{
    Read, StorageError,
    tables::room::{StoredMembership, TRANSACTION_OF_EVENT},
};
use vestibule_types::Actor;

use crate::{LoggedEvent, RoomView, Viewer};

/// How events are shown.
#[derive(Clone, Copy, Debug)]
pub struct Showing<'a> {
    /// Who asks: the sending device is told its transaction id.
    pub actor: Option<&'a Actor>,
    /// Whether each event names its room.
    pub with_room_id: bool,
    /// The time ages are counted to.
    pub now: MilliSecondsSinceUnixEpoch,
}

impl<R: Read> RoomView<'_, R> {
    /// Renders an event for a viewer: redacted where it was redacted, or its sender asked to be forgotten
    /// before the viewer came, with what the server adds.
    pub fn show(
        &self,
        viewer: &mut Viewer,
        event: &LoggedEvent,
        showing: Showing<'_>,
    ) -> Result<Box<RawValue>, StorageError> {
        self.show_with(viewer, event, showing, None)
    }

    /// Renders an event with what is summed up of the events that relate to it.
    pub(crate) fn show_with(
        &self,
        viewer: &mut Viewer,
        event: &LoggedEvent,
        showing: Showing<'_>,
        relations: Option<&RawValue>,
    ) -> Result<Box<RawValue>, StorageError> {
        let pdu = &event.pdu;
        let replaced = self.replaced(event)?;
        let redaction = self.redaction_of(pdu.event_id())?;
        let because = match &redaction {
            Some(redaction) => {
                let plain = Unsigned::default();
                let because = self.shown_event(redaction)?;
                let shown = client_event(&because, showing.with_room_id, &plain);
                Some(shown.map_err(damaged)?)
            }
            None => None,
        };
        let transaction_id = self.transaction_id(event, showing.actor)?;
        let membership = viewer.membership_at(self, event.no)?;
        let whole = redaction.is_none() && !viewer.is_kept_from(self, event)?;
        let prev_content = match replaced.as_ref().filter(|_| whole) {
            Some(replaced) if viewer.is_kept_from(self, replaced)? => None,
            Some(replaced) => Some(self.shown_content(replaced)?),
            None => None,
        };
        let unsigned = Unsigned {
            age: Some(age(showing.now, pdu.origin_server_ts())),
            transaction_id: transaction_id.as_deref(),
            membership: viewer.user_id().map(|_| name_of(membership)),
            prev_content: prev_content.as_deref(),
            prev_sender: replaced.as_ref().map(|it| it.pdu.sender().as_str()),
            replaces_state: replaced.as_ref().map(|it| &**it.pdu.event_id()),
            redacted_because: because.as_deref(),
            relations,
            ..Unsigned::default()
        };
        if whole {
            return client_event(pdu, showing.with_room_id, &unsigned).map_err(damaged);
        }
        let redacted = redact(pdu).map_err(damaged)?;
        client_event(&redacted, showing.with_room_id, &unsigned).map_err(damaged)
    }

    /// Renders an event of somebody whom the viewer does not want to hear: as if it were redacted.
    pub(crate) fn show_of_ignored(
        &self,
        viewer: &mut Viewer,
        event: &LoggedEvent,
        showing: Showing<'_>,
        relations: &RawValue,
    ) -> Result<Box<RawValue>, StorageError> {
        let membership = viewer.membership_at(self, event.no)?;
        let unsigned = Unsigned {
            age: Some(age(showing.now, event.pdu.origin_server_ts())),
            membership: viewer.user_id().map(|_| name_of(membership)),
            relations: Some(relations),
            ..Unsigned::default()
        };
        let redacted = redact(&event.pdu).map_err(damaged)?;
        client_event(&redacted, showing.with_room_id, &unsigned).map_err(damaged)
    }

    /// The state event that a state event took the place of.
    fn replaced(&self, event: &LoggedEvent) -> Result<Option<LoggedEvent>, StorageError> {
        let Some(state_key) = event.pdu.state_key() else { return Ok(None) };
        let Some(around) = self.around(event.no)? else { return Ok(None) };
        self.state_event_at(around.value.before, event.pdu.kind(), state_key)
    }

    fn transaction_id(
        &self,
        event: &LoggedEvent,
        actor: Option<&Actor>,
    ) -> Result<Option<String>, StorageError> {
        let Some(actor) = actor.filter(|actor| actor.user_id() == event.pdu.sender()) else {
            return Ok(None);
        };
        let row = TRANSACTION_OF_EVENT.get(&self.reader, (event.pdu.event_id(),))?;
        let own = row.filter(|row| Some(&*row.device_id) == actor.device_id());
        Ok(own.map(|row| row.id))
    }
}

/// The name of a membership; without one, somebody has left.
#[must_use]
pub fn name_of(membership: Option<StoredMembership>) -> &'static str {
    match membership {
        Some(StoredMembership::Join) => "join",
        Some(StoredMembership::Invite) => "invite",
        Some(StoredMembership::Knock) => "knock",
        Some(StoredMembership::Ban) => "ban",
        Some(StoredMembership::Leave) | None => "leave",
    }
}

fn age(now: MilliSecondsSinceUnixEpoch, then: MilliSecondsSinceUnixEpoch) -> i64 {
    i64::from(now.get()) - i64::from(then.get())
}

fn damaged(error: impl Into<PduError>) -> StorageError {
    StorageError::corrupt("event_by_no", error.into())
}
