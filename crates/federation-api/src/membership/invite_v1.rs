//! `PUT /_matrix/federation/v1/invite/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1inviteroomideventid>
//!
//! Names no room version, so it is for rooms of versions 1 and 2, which this server does not speak.

use axum::extract::State;
use ruma::api::federation::membership::create_invite::v1::{Request, Response};
use tracing::instrument;
use vestibule_federation::{Federation, OldInvite};
use vestibule_http::{Incoming, MatrixError, Outgoing};

use super::answer;
use crate::guard::Origin;

#[instrument(name = "federation_api.membership.invite_v1", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let invite = OldInvite {
        origin,
        kind: request.kind.to_string(),
        membership: request.content.membership.to_string(),
        sender: request.sender,
        invitee: request.state_key,
    };
    Err(answer::invite(federation.refuse_old_invite(&invite)))
}
