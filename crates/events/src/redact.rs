//! Redaction: what is left of an event when its content must go.

use bytes::Bytes;
use ruma::{CanonicalJsonObject, canonical_json::redact_in_place};

use crate::{Pdu, PduError, RoomVersion};

/// The event with everything removed that its room version does not protect. Its id stays the same.
pub fn redact(pdu: &Pdu) -> Result<Pdu, PduError> {
    let json = redact_json(pdu.json(), pdu.version())?;
    let redacted = Pdu::from_stored(pdu.event_id().clone(), json, pdu.version())?;
    Ok(redacted.with_rejected(pdu.rejected()))
}

/// The canonical bytes of an event after redaction.
pub fn redact_json(json: &[u8], version: RoomVersion) -> Result<Bytes, PduError> {
    let mut object: CanonicalJsonObject = serde_json::from_slice(json)?;
    redact_in_place(&mut object, &version.rules().redaction, None)
        .map_err(|error| PduError::NotCanonical(error.to_string()))?;
    Ok(Bytes::from(serde_json::to_vec(&object)?))
}
