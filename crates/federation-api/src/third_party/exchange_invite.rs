//! `PUT /_matrix/federation/v1/exchange_third_party_invite/{roomId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1exchange_third_party_inviteroomid>

use axum::extract::State;
use http::StatusCode;
use ruma::{
    OwnedServerName,
    api::{
        error::ErrorKind,
        federation::thirdparty::exchange_invite::v1::{Request, Response},
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_events::canonical_content;
use vestibule_federation::{ExchangeError, Federation};
use vestibule_http::{Incoming, MatrixError, Outgoing};
use vestibule_rooms::{ExchangeInvite, ExchangeInviteError, MembershipError};

use crate::{failure, guard::Origin, membership};

#[derive(Deserialize)]
struct Content {
    membership: String,
    third_party_invite: Proof,
}

#[derive(Deserialize)]
struct Proof {
    signed: Box<RawValue>,
}

#[instrument(name = "federation_api.third_party.exchange_invite", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    federation.exchange_invite(command(origin, request)?).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn command(origin: OwnedServerName, request: Request) -> Result<ExchangeInvite, MatrixError> {
    let bad = |error: &dyn std::fmt::Display| MatrixError::bad_json(error.to_string());
    let content: Content =
        serde_json::from_str(request.content.json().get()).map_err(|error| bad(&error))?;
    if request.kind.to_string() != "m.room.member" || content.membership != "invite" {
        return Err(MatrixError::invalid_param("the event is not an invitation"));
    }
    Ok(ExchangeInvite {
        origin,
        room_id: request.room_id,
        sender: request.sender,
        invitee: request.state_key,
        signed: canonical_content(&content.third_party_invite.signed)
            .map_err(|error| bad(&error))?,
    })
}

fn answer(error: ExchangeError) -> MatrixError {
    let message = error.to_string();
    match error {
        ExchangeError::Revoked => MatrixError::forbidden(message),
        ExchangeError::Unchecked => {
            MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, message)
        }
        ExchangeError::Refused(error) => refused(error),
    }
}

fn refused(error: ExchangeInviteError) -> MatrixError {
    let message = error.to_string();
    match error {
        ExchangeInviteError::Handshake(error) => membership::handshake(error),
        ExchangeInviteError::Invalid(_) => MatrixError::invalid_param(message),
        ExchangeInviteError::NoInvite | ExchangeInviteError::Forged => {
            MatrixError::forbidden(message)
        }
        ExchangeInviteError::Refused(MembershipError::Elsewhere(_)) => {
            MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, message)
        }
        ExchangeInviteError::Refused(error) => membership::handshake(error.into()),
        ExchangeInviteError::Storage(cause) => failure::storage(cause),
    }
}
