//! `PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid>

use axum::extract::State;
use ruma::api::federation::membership::create_join_event::v2::Request;
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_federation::Federation;
use vestibule_http::{Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{HandedIn, Rooms, Wanted};

use super::{answer, taken};
use crate::guard::Origin;

/// The type of the specification leaves out that nobody is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    members_omitted: bool,
    auth_chain: Vec<Box<RawValue>>,
    state: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    servers_in_room: Vec<String>,
}

#[instrument(name = "federation_api.membership.send_join", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    State(rooms): State<Rooms>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let Request { room_id, event_id, pdu, omit_members, .. } = request;
    let handed_in = HandedIn { origin, wanted: Wanted::Join, room_id, event_id };
    let join = taken(&federation, &handed_in, &pdu).await?;
    let joined = rooms.joined_state(&join, omit_members).await.map_err(answer::handshake)?;
    Ok(OutgoingJson(Answer {
        members_omitted: omit_members,
        auth_chain: joined.auth_chain,
        state: joined.state,
        event: join.to_federation_json().ok(),
        servers_in_room: joined.servers.iter().map(ToString::to_string).collect(),
    }))
}
