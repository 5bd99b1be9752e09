//! `POST /_matrix/client/v3/createRoom`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom>

use axum::extract::State;
use ruma::{CanonicalJsonObject, OwnedUserId, api::client::room::create_room::v3::Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};
use vestibule_rooms::{CreateRoom, InitialState, Preset, Rooms};

use super::{
    answer,
    body::{AddressBody, content},
};

/// The body as the specification names it.
#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    creation_content: Option<Box<RawValue>>,
    initial_state: Option<Vec<StateBody>>,
    invite: Option<Vec<OwnedUserId>>,
    invite_3pid: Option<Vec<AddressBody>>,
    is_direct: Option<bool>,
    name: Option<String>,
    power_level_content_override: Option<Box<RawValue>>,
    preset: Option<PresetBody>,
    room_alias_name: Option<String>,
    room_version: Option<String>,
    topic: Option<String>,
    visibility: Option<VisibilityBody>,
}

#[derive(Debug, Deserialize)]
struct StateBody {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    state_key: String,
    content: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the specification names them so")]
enum PresetBody {
    PrivateChat,
    TrustedPrivateChat,
    PublicChat,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum VisibilityBody {
    Public,
    Private,
}

#[instrument(name = "client_api.room.create_room", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = command(body)?;
    let created = rooms.create_room(&actor, command).await.map_err(answer::create_room)?;
    Ok(Outgoing(Response::new(created.room_id)))
}

fn command(body: Body) -> Result<CreateRoom, MatrixError> {
    let object = |raw: Option<Box<RawValue>>| -> Result<CanonicalJsonObject, MatrixError> {
        raw.map_or_else(|| Ok(CanonicalJsonObject::new()), |raw| content(&raw))
    };
    let mut initial_state = Vec::new();
    for event in body.initial_state.unwrap_or_default() {
        initial_state.push(InitialState {
            event_type: event.event_type,
            state_key: event.state_key,
            content: content(&event.content)?,
        });
    }
    let addresses = body.invite_3pid.unwrap_or_default();
    Ok(CreateRoom {
        creation_content: object(body.creation_content)?,
        initial_state,
        invite: body.invite.unwrap_or_default(),
        invite_addresses: addresses.into_iter().map(AddressBody::invited).collect(),
        is_direct: body.is_direct.unwrap_or_default(),
        name: body.name,
        topic: body.topic,
        power_level_content_override: object(body.power_level_content_override)?,
        preset: body.preset.map(|preset| match preset {
            PresetBody::PrivateChat => Preset::PrivateChat,
            PresetBody::TrustedPrivateChat => Preset::TrustedPrivateChat,
            PresetBody::PublicChat => Preset::PublicChat,
        }),
        alias_localpart: body.room_alias_name,
        room_version: body.room_version,
        published: body.visibility == Some(VisibilityBody::Public),
    })
}
