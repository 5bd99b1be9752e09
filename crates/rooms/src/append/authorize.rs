//! Which events authorize an event, and whether they do.

use std::sync::Arc;

use ruma::EventId;
use vestibule_events::{Pdu, auth_types};
use vestibule_state_res::{CheckError, PowerLevels, check};
use vestibule_storage::{Read, StorageError};
use vestibule_types::EventNo;

use super::{AppendError, Draft};
use crate::{LoggedEvent, RoomTx, RoomView, StateAt};

impl RoomTx<'_, '_> {
    /// The events of the state before that a new event must name as its auth events.
    pub(super) fn auth_events_for(
        &self,
        draft: &Draft,
        before: StateAt,
    ) -> Result<Vec<LoggedEvent>, AppendError> {
        let version = self.known()?.version;
        let content = serde_json::value::to_raw_value(&draft.content)
            .map_err(|error| AppendError::BadContent(error.to_string()))?;
        let (kind, key) = (draft.event_type.as_str(), draft.state_key.as_deref());
        let places = auth_types(version, kind, &draft.sender, key, &content)
            .map_err(|error| AppendError::BadContent(error.to_string()))?;

        let mut auth = Vec::with_capacity(places.len());
        for (event_type, state_key) in places {
            // The create event of a version 12 room is named by the room id alone.
            if version.room_id_is_create_event() && event_type == "m.room.create" {
                continue;
            }
            auth.extend(self.state_event_at(before, &event_type, &state_key)?);
        }
        Ok(auth)
    }

    /// Checks an event against its own auth events and the state before it.
    pub(crate) fn authorize(
        &self,
        pdu: &Pdu,
        auth: &[LoggedEvent],
        before: StateAt,
    ) -> Result<(), AppendError> {
        let by_id = |id: &EventId| -> Result<Option<Arc<Pdu>>, StorageError> {
            if let Some(known) = auth.iter().find(|event| event.pdu.event_id() == id) {
                return Ok(Some(Arc::clone(&known.pdu)));
            }
            let Ok(view) = self.view() else { return Ok(None) };
            Ok(view.event_by_id(id)?.map(|event| event.pdu))
        };
        let by_place = |event_type: &str, state_key: &str| -> Result<_, StorageError> {
            Ok(self.state_event_at(before, event_type, state_key)?.map(|event| event.pdu))
        };
        check(pdu, by_id, by_place).map_err(refused)
    }

    /// Whether a redaction takes effect on its target, by the state before the redaction. The
    /// authorization rules let any redaction in; whoever applies it has to ask.
    pub(super) fn may_redact(
        &self,
        (redaction, no): (&Pdu, EventNo),
        target: &EventId,
    ) -> Result<bool, AppendError> {
        let view = self.view()?;
        let (Some(target), Some(around)) = (view.event_by_id(target)?, view.around(no)?) else {
            return Ok(false);
        };
        let power = power_levels(&view, around.value.before)?;
        let applies = power.redaction_applies(redaction, &target.pdu);
        applies.map_err(|error| AppendError::Forbidden(error.reason))
    }
}

/// The power levels of a room at a moment.
pub(crate) fn power_levels<R: Read>(
    view: &RoomView<'_, R>,
    at: StateAt,
) -> Result<PowerLevels, AppendError> {
    let create = view.state_event_at(at, "m.room.create", "")?;
    let create =
        create.ok_or_else(|| AppendError::Forbidden("the room has no beginning".into()))?;
    let levels = view.state_event_at(at, "m.room.power_levels", "")?.map(|event| event.pdu);
    PowerLevels::new(&create.pdu, levels).map_err(|error| AppendError::Forbidden(error.reason))
}

pub(super) fn refused(error: CheckError<StorageError>) -> AppendError {
    match error {
        CheckError::Denied(denied) => AppendError::Forbidden(denied.reason),
        CheckError::Facts(failed) => AppendError::Storage(failed),
    }
}
