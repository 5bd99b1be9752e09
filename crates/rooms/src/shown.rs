//! What redactions left of events. Whatever displays an event or reads state looks here; only the
//! authorization rules read what was redacted.

use std::sync::Arc;

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use vestibule_events::{Pdu, PduError, redact};
use vestibule_storage::{Read, StorageError};

use crate::{LoggedEvent, RoomView, Viewer};

impl<R: Read> RoomView<'_, R> {
    /// An event as it is shown: what its redaction left, if it was redacted.
    pub fn shown_event(&self, event: &LoggedEvent) -> Result<Arc<Pdu>, StorageError> {
        if self.redaction_of(event.pdu.event_id())?.is_none() {
            return Ok(Arc::clone(&event.pdu));
        }
        redact(&event.pdu).map(Arc::new).map_err(damaged)
    }

    /// The content of an event as it is shown.
    pub fn shown_content(&self, event: &LoggedEvent) -> Result<Box<RawValue>, StorageError> {
        Ok(self.shown_event(event)?.content().to_owned())
    }

    /// The content of an event as it is shown; `None` for one of another shape.
    pub fn shown_content_as<T: DeserializeOwned>(
        &self,
        event: &LoggedEvent,
    ) -> Result<Option<T>, StorageError> {
        Ok(self.shown_event(event)?.content_as().ok())
    }

    /// What a key of the current state says, as it is shown; `None` where nothing is set, and for
    /// what has another shape.
    pub fn shown_state<T: DeserializeOwned>(
        &self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<T>, StorageError> {
        match self.state_event(event_type, state_key)? {
            Some(event) => self.shown_content_as(&event),
            None => Ok(None),
        }
    }

    /// The event that sets a key of the current state, as it is shown.
    pub fn shown_state_event(
        &self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<Arc<Pdu>>, StorageError> {
        let event = self.state_event(event_type, state_key)?;
        event.map(|event| self.shown_event(&event)).transpose()
    }

    /// An event in the federation format, for clients that want that: what its redaction left, with
    /// the redaction in `unsigned`, or what is left of those who asked to be forgotten.
    pub fn show_federated(
        &self,
        viewer: &mut Viewer,
        event: &LoggedEvent,
    ) -> Result<Box<RawValue>, StorageError> {
        let Some(redaction) = self.redaction_of(event.pdu.event_id())? else {
            if viewer.is_kept_from(self, event)? {
                let redacted = redact(&event.pdu).map_err(damaged)?;
                return redacted.to_federation_json().map_err(damaged);
            }
            return event.pdu.to_federation_json().map_err(damaged);
        };
        let object = |pdu: &Pdu| pdu.to_object().map(CanonicalJsonValue::Object).map_err(damaged);
        let because = object(&*self.shown_event(&redaction)?)?;
        let mut shown = redact(&event.pdu).and_then(|it| it.to_object()).map_err(damaged)?;
        let unsigned = CanonicalJsonObject::from([("redacted_because".to_owned(), because)]);
        shown.insert("unsigned".to_owned(), CanonicalJsonValue::Object(unsigned));
        to_raw_value(&shown).map_err(damaged)
    }
}

fn damaged(error: impl Into<PduError>) -> StorageError {
    StorageError::corrupt("event_by_no", error.into())
}
