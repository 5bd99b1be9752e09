//! `GET /_matrix/client/v3/rooms/{roomId}/joined_members`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members>

use axum::extract::State;
use ruma::OwnedUserId;
use ruma::api::client::membership::joined_members::v3::Request;
use serde::Serialize;
use std::collections::BTreeMap;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::Rooms;

use super::answer;

/// The joined members with their profiles.
#[derive(Debug, Serialize)]
pub(crate) struct Joined {
    joined: BTreeMap<OwnedUserId, Profile>,
}

#[derive(Debug, Serialize)]
struct Profile {
    #[serde(rename = "display_name", skip_serializing_if = "Option::is_none")]
    displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

#[instrument(name = "client_api.room.joined_members", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Joined>, MatrixError> {
    let members = rooms.joined_members(&actor, &request.room_id).await.map_err(answer::read)?;
    let profile = |member: vestibule_rooms::JoinedMember| Profile {
        displayname: member.displayname,
        avatar_url: member.avatar_url,
    };
    let joined = members.into_iter().map(|(user, member)| (user, profile(member))).collect();
    Ok(OutgoingJson(Joined { joined }))
}
