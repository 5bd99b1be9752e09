//! What clients see of an event.
//!
//! The client formats are cut out of the stored bytes: the fields a client may see are copied as they
//! are written, everything else stays behind. Only a redaction's content is ever rewritten.

use std::{borrow::Cow, collections::BTreeMap};

use ruma::{EventId, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{Pdu, PduError, RoomVersion};

/// What this server adds to an event for one client. Absent fields are left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Unsigned<'a> {
    /// Milliseconds since the event was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<i64>,
    /// The transaction id, for the device that sent the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<&'a str>,
    /// The membership of the reading user when the event was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<&'a str>,
    /// The content this state event replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_content: Option<&'a RawValue>,
    /// Who sent the state event that this one replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_sender: Option<&'a str>,
    /// The state event this one replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces_state: Option<&'a EventId>,
    /// The redaction of this event, in client format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_because: Option<&'a RawValue>,
    /// Bundled aggregations.
    #[serde(rename = "m.relations", skip_serializing_if = "Option::is_none")]
    pub relations: Option<&'a RawValue>,
    /// The stripped state that came with an invite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite_room_state: Option<&'a RawValue>,
    /// The stripped state that came with a knock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knock_room_state: Option<&'a RawValue>,
}

/// An event as clients see it, with the room id (`/messages`, `/event`) or without (`/sync`).
pub fn client_event(
    pdu: &Pdu,
    with_room_id: bool,
    unsigned: &Unsigned<'_>,
) -> Result<Box<RawValue>, PduError> {
    let room_id = with_room_id.then(|| pdu.room_id());
    client_event_from_bytes(pdu.event_id(), room_id, pdu.json(), pdu.version(), unsigned)
}

/// [`client_event`] for bytes that nobody needs parsed. The room id is given when it is to be shown.
pub fn client_event_from_bytes(
    event_id: &EventId,
    room_id: Option<&RoomId>,
    json: &[u8],
    version: RoomVersion,
    unsigned: &Unsigned<'_>,
) -> Result<Box<RawValue>, PduError> {
    let fields: Fields<'_> = serde_json::from_slice(json)?;
    let unsigned = to_raw_value(unsigned)?;
    let mut event = ClientEvent {
        content: Cow::Borrowed(fields.content),
        event_id,
        origin_server_ts: fields.origin_server_ts,
        redacts: None,
        room_id,
        sender: fields.sender,
        state_key: fields.state_key,
        r#type: fields.r#type,
        unsigned: (unsigned.get() != "{}").then_some(&*unsigned),
    };
    if fields.r#type.get() == "\"m.room.redaction\"" {
        event.show_target(fields.redacts, version)?;
    }
    Ok(to_raw_value(&event)?)
}

/// The stripped form of a state event, as shown to those who are not in the room.
pub fn stripped_state(pdu: &Pdu) -> Result<Box<RawValue>, PduError> {
    let fields: Fields<'_> = serde_json::from_slice(pdu.json())?;
    Ok(to_raw_value(&StrippedState {
        content: fields.content,
        sender: fields.sender,
        state_key: fields.state_key,
        r#type: fields.r#type,
    })?)
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow)]
    origin_server_ts: &'a RawValue,
    #[serde(borrow)]
    redacts: Option<&'a RawValue>,
    #[serde(borrow)]
    sender: &'a RawValue,
    #[serde(borrow)]
    state_key: Option<&'a RawValue>,
    #[serde(borrow)]
    r#type: &'a RawValue,
}

#[derive(Serialize)]
struct ClientEvent<'a> {
    content: Cow<'a, RawValue>,
    event_id: &'a EventId,
    origin_server_ts: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacts: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a RoomId>,
    sender: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_key: Option<&'a RawValue>,
    r#type: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    unsigned: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct StrippedState<'a> {
    content: &'a RawValue,
    sender: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_key: Option<&'a RawValue>,
    r#type: &'a RawValue,
}

impl<'a> ClientEvent<'a> {
    /// Clients of both ages find a redaction's target: at the top level and inside the content.
    fn show_target(
        &mut self,
        top_level: Option<&'a RawValue>,
        version: RoomVersion,
    ) -> Result<(), PduError> {
        let mut content: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(self.content.get())?;
        if version.redacts_in_content() {
            self.redacts = content.remove("redacts").map(Cow::Owned);
        } else if let Some(target) = top_level {
            self.redacts = Some(Cow::Borrowed(target));
            content.insert("redacts".to_owned(), target.to_owned());
            self.content = Cow::Owned(to_raw_value(&content)?);
        }
        Ok(())
    }
}
