//! Making an event of this server.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, Int, MilliSecondsSinceUnixEpoch, OwnedEventId,
    OwnedRoomId, OwnedUserId, ServerName, signatures,
};
use vestibule_types::limits::DEPTH_MAX;

use crate::{FormatError, Pdu, PduError, RoomVersion, SigningKey, format};

/// Everything an event says before it is hashed and signed.
#[derive(Clone, Debug)]
pub struct EventBuilder {
    /// The room; `None` for the create event of a version 12 room, which makes its own.
    pub room_id: Option<OwnedRoomId>,
    /// Who sends it.
    pub sender: OwnedUserId,
    /// Its type.
    pub event_type: String,
    /// Its state key, for a state event.
    pub state_key: Option<String>,
    /// Its content. A redaction's target goes into `redacts`, wherever the version wants it.
    pub content: CanonicalJsonObject,
    /// When it is made.
    pub origin_server_ts: MilliSecondsSinceUnixEpoch,
    /// Its parents.
    pub prev_events: Vec<OwnedEventId>,
    /// The events that allow it.
    pub auth_events: Vec<OwnedEventId>,
    /// One more than the deepest parent; more than the largest allowed depth becomes that depth.
    pub depth: u64,
    /// The event it redacts, for a redaction.
    pub redacts: Option<OwnedEventId>,
}

/// Why an event cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The event is larger than allowed.
    #[error("the event has {bytes} bytes, which is too large")]
    TooLarge {
        /// Its size as canonical JSON with signatures.
        bytes: usize,
    },
    /// A field is longer than allowed.
    #[error("`{0}` is too long")]
    FieldTooLong(&'static str),
    /// The fields do not make an event of this room version.
    #[error("the event is malformed: {0}")]
    BadJson(String),
    /// A create event of version 12 names a room, or another event names none.
    #[error("only the create event of a room that takes its id from it has no room id")]
    RoomId,
}

impl EventBuilder {
    /// Hashes and signs the event and computes its id. Equal input gives equal bytes.
    pub fn build_and_sign(
        self,
        version: RoomVersion,
        key: &SigningKey,
        server_name: &ServerName,
    ) -> Result<Pdu, BuildError> {
        let makes_room = version.room_id_is_create_event() && self.event_type == "m.room.create";
        if makes_room == self.room_id.is_some() {
            return Err(BuildError::RoomId);
        }
        let mut object = self.into_object(version)?;
        signatures::hash_and_sign_event(
            server_name.as_str(),
            key,
            &mut object,
            &version.rules().redaction,
        )
        .map_err(|error| match error {
            signatures::JsonError::PduTooLarge => too_large(&object),
            other => BuildError::BadJson(other.to_string()),
        })?;
        format::check(&object, version)?;
        Ok(Pdu::from_object(object, version)?)
    }

    /// The event before it is hashed and signed, for the server of its sender to do that, and how the
    /// authorization rules see it. The id it has then is not the one it will have.
    pub fn template(self, version: RoomVersion) -> Result<(CanonicalJsonObject, Pdu), BuildError> {
        let object = self.into_object(version)?;
        let seen = Pdu::from_object(object.clone(), version)?;
        Ok((object, seen))
    }

    fn into_object(mut self, version: RoomVersion) -> Result<CanonicalJsonObject, BuildError> {
        let mut object = CanonicalJsonObject::new();
        let mut put = |field: &str, value: CanonicalJsonValue| {
            object.insert(field.to_owned(), value);
        };
        if let Some(redacts) = self.redacts {
            let redacts = CanonicalJsonValue::String(redacts.into());
            if version.redacts_in_content() {
                self.content.insert("redacts".to_owned(), redacts);
            } else {
                put("redacts", redacts);
            }
        }
        if let Some(room_id) = self.room_id {
            put("room_id", CanonicalJsonValue::String(room_id.into()));
        }
        if let Some(state_key) = self.state_key {
            put("state_key", CanonicalJsonValue::String(state_key));
        }
        put("sender", CanonicalJsonValue::String(self.sender.into()));
        put("type", CanonicalJsonValue::String(self.event_type));
        put("content", CanonicalJsonValue::Object(self.content));
        put("origin_server_ts", CanonicalJsonValue::Integer(self.origin_server_ts.0.into()));
        put("prev_events", ids(self.prev_events));
        put("auth_events", ids(self.auth_events));
        let depth =
            i64::try_from(self.depth.min(DEPTH_MAX)).ok().and_then(|d| Int::try_from(d).ok());
        let depth = depth.ok_or_else(|| BuildError::BadJson("depth".to_owned()))?;
        put("depth", CanonicalJsonValue::Integer(depth));
        Ok(object)
    }
}

fn ids(ids: Vec<OwnedEventId>) -> CanonicalJsonValue {
    CanonicalJsonValue::Array(
        ids.into_iter().map(|id| CanonicalJsonValue::String(id.into())).collect(),
    )
}

fn too_large(object: &CanonicalJsonObject) -> BuildError {
    let bytes = serde_json::to_vec(object).map_or(usize::MAX, |json| json.len());
    BuildError::TooLarge { bytes }
}

impl From<FormatError> for BuildError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::TooLarge { bytes } => Self::TooLarge { bytes },
            FormatError::TooLong(field) => Self::FieldTooLong(field),
            other => Self::BadJson(other.to_string()),
        }
    }
}

impl From<PduError> for BuildError {
    fn from(error: PduError) -> Self {
        Self::BadJson(error.to_string())
    }
}
