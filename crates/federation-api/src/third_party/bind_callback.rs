//! `PUT /_matrix/federation/v1/3pid/onbind`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv13pidonbind>

use axum::extract::State;
use ruma::api::federation::thirdparty::bind_callback::v1::{Request, Response};
use tracing::instrument;
use vestibule_federation::{BoundInvite, Federation, ThirdPartyBoundError};
use vestibule_http::{Incoming, MatrixError, Outgoing};

use crate::failure;

#[instrument(name = "federation_api.third_party.bind_callback", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let invites = request.invites.into_iter().map(|invite| BoundInvite {
        room_id: invite.room_id,
        sender: invite.sender,
        signed: invite.signed,
    });
    let bound = federation.third_party_bound(&request.mxid, invites.collect());
    bound.await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn answer(error: ThirdPartyBoundError) -> MatrixError {
    match error {
        ThirdPartyBoundError::UnknownUser => MatrixError::not_found(error.to_string()),
        ThirdPartyBoundError::TooMany => MatrixError::invalid_param(error.to_string()),
        ThirdPartyBoundError::Storage(cause) => failure::storage(cause),
    }
}
