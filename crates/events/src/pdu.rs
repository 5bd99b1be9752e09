//! A parsed event that owns its bytes.

use std::fmt;

use bytes::Bytes;
use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId,
    OwnedUserId, RoomId, UserId, events::TimelineEventType, signatures, state_res::Event,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    RoomVersion, canonical,
    format::{self, FormatError},
};

/// A place in a room's state: event type and state key.
pub type StateKey = (String, String);

/// An event of a room, immutable, with the canonical JSON bytes it is stored and sent as.
///
/// The bytes hold no `unsigned`: what was received there is not covered by any signature.
#[derive(Clone)]
pub struct Pdu {
    event_id: OwnedEventId,
    room_id: OwnedRoomId,
    names_its_room: bool,
    sender: OwnedUserId,
    event_type: TimelineEventType,
    kind: String,
    state_key: Option<String>,
    content: Box<RawValue>,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    depth: u64,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    redacts: Option<OwnedEventId>,
    rejected: bool,
    version: RoomVersion,
    json: Bytes,
}

/// Why bytes are not an event of their room version.
#[derive(Debug, thiserror::Error)]
pub enum PduError {
    /// Not JSON, or a field is absent or of the wrong type.
    #[error("malformed event: {0}")]
    Json(#[from] serde_json::Error),
    /// Not canonical JSON: a float, an integer out of range, not an object.
    #[error("malformed event: {0}")]
    NotCanonical(String),
    /// A rule of the event format or a size limit is broken.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The reference hash, and with it the event id, could not be computed.
    #[error("no reference hash: {0}")]
    Hash(String),
}

/// The fields of an event that are looked at; everything else stays in the bytes.
#[derive(Deserialize)]
struct Wire<'a> {
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    r#type: String,
    state_key: Option<String>,
    content: Box<RawValue>,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    depth: u64,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    #[serde(borrow)]
    redacts: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RedactsInContent<'a> {
    #[serde(borrow)]
    redacts: Option<&'a RawValue>,
}

impl Pdu {
    /// Parses stored bytes whose event id is known. Nothing is verified or hashed.
    pub fn from_stored(
        event_id: OwnedEventId,
        json: Bytes,
        version: RoomVersion,
    ) -> Result<Self, PduError> {
        let wire: Wire<'_> = serde_json::from_slice(&json)?;
        let names_its_room = wire.room_id.is_some();
        let room_id = match wire.room_id {
            Some(room_id) => room_id,
            None if version.room_id_is_create_event() && wire.r#type == "m.room.create" => {
                room_id_of_create(&event_id)?
            }
            None => return Err(FormatError::Missing("room_id").into()),
        };
        let redacts = if wire.r#type == "m.room.redaction" {
            redacts(wire.redacts, &wire.content, version)
        } else {
            None
        };
        Ok(Self {
            event_id,
            room_id,
            names_its_room,
            sender: wire.sender,
            event_type: wire.r#type.as_str().into(),
            kind: wire.r#type,
            state_key: wire.state_key,
            content: wire.content,
            origin_server_ts: wire.origin_server_ts,
            depth: wire.depth,
            prev_events: wire.prev_events,
            auth_events: wire.auth_events,
            redacts,
            rejected: false,
            version,
            json,
        })
    }

    /// Parses canonical bytes that are trusted and computes their event id.
    pub fn parse(json: Bytes, version: RoomVersion) -> Result<Self, PduError> {
        let text = std::str::from_utf8(&json).map_err(not_utf8)?;
        let object = canonical::object(text).map_err(|e| PduError::NotCanonical(e.to_string()))?;
        let event_id = event_id(&object, version)?;
        Self::from_stored(event_id, json, version)
    }

    /// Parses what another server sent: enforces canonical JSON, the size limits and the event format,
    /// drops `unsigned`, and computes the event id. Hashes and signatures are for [`crate::verify`].
    pub fn parse_untrusted(json: &[u8], version: RoomVersion) -> Result<Self, PduError> {
        let text = std::str::from_utf8(json).map_err(not_utf8)?;
        let object = canonical::object(text).map_err(|e| PduError::NotCanonical(e.to_string()))?;
        format::check(&object, version)?;
        Self::from_object(object, version)
    }

    /// The id of what another server sent as an event, for telling the server about it also where it is
    /// no event. `None` when not even that can be said.
    #[must_use]
    pub fn id_of_untrusted(json: &[u8], version: RoomVersion) -> Option<OwnedEventId> {
        let object = canonical::object(std::str::from_utf8(json).ok()?).ok()?;
        event_id(&object, version).ok()
    }

    /// An event from its canonical object; `unsigned` is dropped.
    pub(crate) fn from_object(
        mut object: CanonicalJsonObject,
        version: RoomVersion,
    ) -> Result<Self, PduError> {
        object.remove("unsigned");
        let event_id = event_id(&object, version)?;
        let json = Bytes::from(serde_json::to_vec(&object)?);
        Self::from_stored(event_id, json, version)
    }

    /// The same event, marked as rejected or not. A new event is not rejected.
    #[must_use]
    pub fn with_rejected(mut self, rejected: bool) -> Self {
        self.rejected = rejected;
        self
    }

    /// The event's id.
    #[must_use]
    pub fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }

    /// The room of the event; of a version 12 create event, the room it makes.
    #[must_use]
    pub fn room_id(&self) -> &RoomId {
        &self.room_id
    }

    /// Who sent it.
    #[must_use]
    pub fn sender(&self) -> &UserId {
        &self.sender
    }

    /// Its type.
    #[must_use]
    pub fn event_type(&self) -> &TimelineEventType {
        &self.event_type
    }

    /// Its type as it is written in the event.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its state key; events without one are not state.
    #[must_use]
    pub fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    /// Whether it is a state event.
    #[must_use]
    pub fn is_state(&self) -> bool {
        self.state_key.is_some()
    }

    /// Whether it is the state event with this type and state key.
    #[must_use]
    pub fn is_state_of(&self, kind: &str, state_key: &str) -> bool {
        self.kind == kind && self.state_key.as_deref() == Some(state_key)
    }

    /// The place it takes in the room's state, for a state event.
    #[must_use]
    pub fn state_place(&self) -> Option<StateKey> {
        self.state_key.as_ref().map(|key| (self.kind.clone(), key.clone()))
    }

    /// Its content, canonical JSON.
    #[must_use]
    pub fn content(&self) -> &RawValue {
        &self.content
    }

    /// Its content as a type of one's own.
    pub fn content_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.content.get())
    }

    /// When its server says it was made.
    #[must_use]
    pub fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.origin_server_ts
    }

    /// One more than the depth of its deepest parent, as its server says.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.depth
    }

    /// Its parents.
    #[must_use]
    pub fn prev_events(&self) -> &[OwnedEventId] {
        &self.prev_events
    }

    /// The events that allow it.
    #[must_use]
    pub fn auth_events(&self) -> &[OwnedEventId] {
        &self.auth_events
    }

    /// The event it asks to redact, if it is a redaction that names one.
    #[must_use]
    pub fn redacts(&self) -> Option<&EventId> {
        self.redacts.as_deref()
    }

    /// Whether it was rejected on receipt.
    #[must_use]
    pub fn rejected(&self) -> bool {
        self.rejected
    }

    /// The version of its room.
    #[must_use]
    pub fn version(&self) -> RoomVersion {
        self.version
    }

    /// Its canonical bytes: what is stored, and what other servers are sent.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The federation format, ready to be placed in a response.
    pub fn to_federation_json(&self) -> Result<Box<RawValue>, PduError> {
        Ok(serde_json::from_slice(&self.json)?)
    }

    /// Its bytes as an object that can be changed.
    pub fn to_object(&self) -> Result<CanonicalJsonObject, PduError> {
        Ok(serde_json::from_slice(&self.json)?)
    }

    /// The create event a version 12 room id is made from.
    #[must_use]
    pub fn create_event_id_of(room_id: &RoomId) -> Option<OwnedEventId> {
        EventId::parse(format!("${}", room_id.strip_sigil())).ok()
    }
}

/// The event id of an event whose content hash is in place.
pub(crate) fn event_id(
    object: &CanonicalJsonObject,
    version: RoomVersion,
) -> Result<OwnedEventId, PduError> {
    let hash = signatures::reference_hash(object, version.rules())
        .map_err(|error| PduError::Hash(error.to_string()))?;
    EventId::parse(format!("${hash}")).map_err(|error| PduError::Hash(error.to_string()))
}

fn room_id_of_create(event_id: &EventId) -> Result<OwnedRoomId, PduError> {
    let hash = event_id.as_str().trim_start_matches('$');
    RoomId::parse(format!("!{hash}")).map_err(|error| PduError::Hash(error.to_string()))
}

fn redacts(
    top_level: Option<&RawValue>,
    content: &RawValue,
    version: RoomVersion,
) -> Option<OwnedEventId> {
    let raw = if version.redacts_in_content() {
        serde_json::from_str::<RedactsInContent<'_>>(content.get()).ok()?.redacts
    } else {
        top_level
    };
    serde_json::from_str(raw?.get()).ok()
}

fn not_utf8(error: std::str::Utf8Error) -> PduError {
    PduError::NotCanonical(error.to_string())
}

impl fmt::Debug for Pdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pdu")
            .field("event_id", &self.event_id)
            .field("kind", &self.kind)
            .field("state_key", &self.state_key)
            .field("rejected", &self.rejected)
            .finish_non_exhaustive()
    }
}

impl Event for Pdu {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }

    // The rules for a version 12 create event ask whether the event itself names a room.
    fn room_id(&self) -> Option<&RoomId> {
        self.names_its_room.then_some(&*self.room_id)
    }

    fn sender(&self) -> &UserId {
        &self.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.origin_server_ts
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.event_type
    }

    fn content(&self) -> &RawValue {
        &self.content
    }

    fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.auth_events.iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        self.rejected
    }
}
