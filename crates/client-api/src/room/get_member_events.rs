//! `GET /_matrix/client/v3/rooms/{roomId}/members`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers>

use axum::extract::State;
use ruma::{
    api::client::membership::get_member_events::v3::Request, events::room::member::MembershipState,
};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};
use vestibule_rooms::{MembersQuery, Rooms, StoredMembership};

use super::answer;

/// The membership events.
#[derive(Debug, Serialize)]
pub(crate) struct Members {
    chunk: Vec<Box<RawValue>>,
}

#[instrument(name = "client_api.room.get_member_events", skip_all)]
pub(crate) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Members>, MatrixError> {
    let query = MembersQuery {
        at: request.at,
        membership: request.membership.as_ref().map(stored).transpose()?,
        not_membership: request.not_membership.as_ref().map(stored).transpose()?,
    };
    let members = rooms.members(&actor, &request.room_id, query).await.map_err(answer::read)?;
    Ok(OutgoingJson(Members { chunk: members }))
}

fn stored(membership: &MembershipState) -> Result<StoredMembership, MatrixError> {
    match membership {
        MembershipState::Join => Ok(StoredMembership::Join),
        MembershipState::Invite => Ok(StoredMembership::Invite),
        MembershipState::Knock => Ok(StoredMembership::Knock),
        MembershipState::Ban => Ok(StoredMembership::Ban),
        MembershipState::Leave => Ok(StoredMembership::Leave),
        _ => Err(MatrixError::invalid_param("there is no such membership")),
    }
}
