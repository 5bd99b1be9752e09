//! `PUT /_matrix/federation/v1/3pid/onbind`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv13pidonbind>

use axum::extract::State;
use http::StatusCode;
use ruma::{
    OwnedUserId, UserId,
    api::error::ErrorKind,
    api::federation::thirdparty::bind_callback::v1::{Request, Response, ThirdPartyInvite},
};
use serde::Deserialize;
use tracing::instrument;
use vestibule_federation::{BoundInvite, Federation, ThirdPartyBoundError};
use vestibule_http::{Incoming, IncomingJson, MatrixError, Outgoing};

use crate::failure;

/// The body, where the method is not the one of the specification.
#[derive(Deserialize)]
pub(crate) struct OldBody {
    mxid: OwnedUserId,
    #[serde(default)]
    invites: Vec<ThirdPartyInvite>,
}

#[instrument(name = "federation_api.third_party.bind_callback", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    bound(&federation, &request.mxid, request.invites).await
}

#[instrument(name = "federation_api.third_party.bind_callback", skip_all)]
pub(crate) async fn handle_old(
    State(federation): State<Federation>,
    IncomingJson(body): IncomingJson<OldBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    bound(&federation, &body.mxid, body.invites).await
}

async fn bound(
    federation: &Federation,
    owner: &UserId,
    invites: Vec<ThirdPartyInvite>,
) -> Result<Outgoing<Response>, MatrixError> {
    let invites = invites.into_iter().map(|invite| BoundInvite {
        room_id: invite.room_id,
        sender: invite.sender,
        signed: invite.signed,
    });
    federation.third_party_bound(owner, invites.collect()).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn answer(error: ThirdPartyBoundError) -> MatrixError {
    match error {
        ThirdPartyBoundError::UnknownUser => MatrixError::not_found(error.to_string()),
        ThirdPartyBoundError::TooMany => MatrixError::invalid_param(error.to_string()),
        ThirdPartyBoundError::Unreachable => {
            MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, error.to_string())
        }
        ThirdPartyBoundError::Storage(cause) => failure::storage(cause),
    }
}
