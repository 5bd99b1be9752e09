//! The event format: fields, their types and their sizes.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, RoomId, UserId};
use vestibule_types::limits::{
    AUTH_EVENTS_MAX, DEPTH_MAX, EVENT_BYTES_MAX, IDENTIFIER_BYTES_MAX, PREV_EVENTS_MAX,
};

use crate::RoomVersion;

/// A rule of the event format that an event breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The whole event is too large.
    #[error("the event has {bytes} bytes, more than {EVENT_BYTES_MAX}")]
    TooLarge {
        /// Its size as canonical JSON with signatures.
        bytes: usize,
    },
    /// A string is longer than an identifier may be.
    #[error("`{0}` is longer than {IDENTIFIER_BYTES_MAX} bytes")]
    TooLong(&'static str),
    /// A list has more entries than allowed.
    #[error("`{0}` has too many entries")]
    TooMany(&'static str),
    /// A required field is absent.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field has the wrong type.
    #[error("`{0}` has the wrong type")]
    WrongType(&'static str),
    /// A field has the right type and a value that is not allowed.
    #[error("`{0}` has a value that is not allowed")]
    Invalid(&'static str),
}

/// Checks an event against the format of its room version.
///
/// `ruma` has the same checks with a size limit that is one byte too small, and leaves
/// the entries of the lists and the upper bound of `depth` to others.
pub(crate) fn check(event: &CanonicalJsonObject, version: RoomVersion) -> Result<(), FormatError> {
    check_size(event)?;
    let kind = identifier(event, "type")?;
    let sender = identifier(event, "sender")?;
    if <&UserId>::try_from(sender).is_err() {
        return Err(FormatError::Invalid("sender"));
    }
    if event.contains_key("state_key") {
        identifier(event, "state_key")?;
    }
    object(event, "content")?;
    object(event, "hashes")?;
    object(event, "signatures")?;
    if integer(event, "origin_server_ts")? < 0 {
        return Err(FormatError::Invalid("origin_server_ts"));
    }
    // Canonical JSON already ends at 2^53 − 1, which is the largest depth as well.
    if u64::try_from(integer(event, "depth")?).map_or(true, |depth| depth > DEPTH_MAX) {
        return Err(FormatError::Invalid("depth"));
    }
    let auth_events = event_ids(event, "auth_events", AUTH_EVENTS_MAX)?;
    event_ids(event, "prev_events", PREV_EVENTS_MAX)?;
    check_room(event, kind, &auth_events, version)
}

/// Checks the size of the whole event.
pub(crate) fn check_size(event: &CanonicalJsonObject) -> Result<(), FormatError> {
    let bytes = serde_json::to_vec(event).map_or(usize::MAX, |json| json.len());
    if bytes > EVENT_BYTES_MAX {
        return Err(FormatError::TooLarge { bytes });
    }
    Ok(())
}

fn check_room(
    event: &CanonicalJsonObject,
    kind: &str,
    auth_events: &[&str],
    version: RoomVersion,
) -> Result<(), FormatError> {
    if !event.contains_key("room_id")
        && kind == "m.room.create"
        && version.room_id_is_create_event()
    {
        return Ok(());
    }
    let room_id = identifier(event, "room_id")?;
    let room_id = <&RoomId>::try_from(room_id).map_err(|_| FormatError::Invalid("room_id"))?;
    let names_create = |id: &&str| id.trim_start_matches('$') == room_id.strip_sigil();
    if version.room_id_is_create_event() && auth_events.iter().any(names_create) {
        return Err(FormatError::Invalid("auth_events"));
    }
    Ok(())
}

fn identifier<'a>(
    event: &'a CanonicalJsonObject,
    field: &'static str,
) -> Result<&'a str, FormatError> {
    match event.get(field) {
        Some(CanonicalJsonValue::String(text)) if text.len() <= IDENTIFIER_BYTES_MAX => Ok(text),
        Some(CanonicalJsonValue::String(_)) => Err(FormatError::TooLong(field)),
        Some(_) => Err(FormatError::WrongType(field)),
        None => Err(FormatError::Missing(field)),
    }
}

fn object(event: &CanonicalJsonObject, field: &'static str) -> Result<(), FormatError> {
    match event.get(field) {
        Some(CanonicalJsonValue::Object(_)) => Ok(()),
        Some(_) => Err(FormatError::WrongType(field)),
        None => Err(FormatError::Missing(field)),
    }
}

fn integer(event: &CanonicalJsonObject, field: &'static str) -> Result<i64, FormatError> {
    match event.get(field) {
        Some(CanonicalJsonValue::Integer(value)) => Ok((*value).into()),
        Some(_) => Err(FormatError::WrongType(field)),
        None => Err(FormatError::Missing(field)),
    }
}

fn event_ids<'a>(
    event: &'a CanonicalJsonObject,
    field: &'static str,
    most: usize,
) -> Result<Vec<&'a str>, FormatError> {
    let entries = match event.get(field) {
        Some(CanonicalJsonValue::Array(entries)) => entries,
        Some(_) => return Err(FormatError::WrongType(field)),
        None => return Err(FormatError::Missing(field)),
    };
    if entries.len() > most {
        return Err(FormatError::TooMany(field));
    }
    entries.iter().map(|entry| event_id(entry, field)).collect()
}

fn event_id<'a>(
    entry: &'a CanonicalJsonValue,
    field: &'static str,
) -> Result<&'a str, FormatError> {
    let text = entry.as_str().ok_or(FormatError::WrongType(field))?;
    if text.len() > IDENTIFIER_BYTES_MAX {
        return Err(FormatError::TooLong(field));
    }
    <&EventId>::try_from(text).map_err(|_| FormatError::Invalid(field))?;
    Ok(text)
}
