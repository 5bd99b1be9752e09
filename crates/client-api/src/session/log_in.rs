//! `POST /_matrix/client/v3/login`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login>

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::{
    OwnedDeviceId,
    api::{
        client::session::login::v3::{DiscoveryInfo, HomeserverInfo, Response},
        error::ErrorKind,
    },
};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, LogIn, LogInError, LogInProof, Named};
use vestibule_http::{ClientAddress, IncomingJson, MatrixError, Outgoing};
use vestibule_types::Secret;

use crate::{ClientApiSettings, failure, uiaa::Identifier};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    #[serde(rename = "type")]
    kind: Option<String>,
    identifier: Option<Identifier>,
    /// The deprecated forms of `identifier`.
    user: Option<String>,
    medium: Option<String>,
    address: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    refresh_token: Option<bool>,
}

#[instrument(name = "client_api.session.log_in", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    State(settings): State<Arc<ClientApiSettings>>,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = command(body, peer)?;
    let session = accounts.log_in(command).await.map_err(answer)?;
    let access_token = session.access_token.expose().clone();
    let home_server = session.user_id.server_name().to_owned();
    let mut response = Response::new(session.user_id, access_token, session.device_id);
    #[expect(deprecated, reason = "old clients still read it")]
    response.home_server.replace(home_server);
    response.refresh_token = session.refresh_token.map(|token| token.expose().clone());
    response.expires_in = session.expires_in;
    response.well_known =
        settings.public_base_url.clone().map(|url| DiscoveryInfo::new(HomeserverInfo::new(url)));
    Ok(Outgoing(response))
}

fn command(body: Body, peer: std::net::IpAddr) -> Result<LogIn, MatrixError> {
    let kind = body.kind.ok_or_else(|| MatrixError::missing_param("missing field `type`"))?;
    let missing = |field| MatrixError::missing_param(format!("missing field `{field}`"));
    let proof = match kind.as_str() {
        "m.login.password" => LogInProof::Password {
            user: match (body.identifier, body.user) {
                (Some(identifier), _) => identifier.named()?,
                (None, Some(user)) => Named::User(user),
                (None, None) => Identifier::of(body.medium, body.address)
                    .ok_or_else(|| missing("identifier"))?
                    .named()?,
            },
            password: body.password.ok_or_else(|| missing("password"))?,
        },
        "m.login.token" => LogInProof::Token(body.token.ok_or_else(|| missing("token"))?),
        _ => {
            let message = "this type of login is not supported";
            return Err(MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message));
        }
    };
    Ok(LogIn {
        proof,
        device_id: body.device_id,
        initial_device_display_name: body.initial_device_display_name,
        refresh_token: body.refresh_token.unwrap_or_default(),
        peer,
    })
}

fn answer(error: LogInError) -> MatrixError {
    let message = error.to_string();
    match error {
        LogInError::Wrong | LogInError::Token | LogInError::KeyId => {
            MatrixError::forbidden(message)
        }
        LogInError::Locked => locked(message),
        LogInError::DeviceId => MatrixError::invalid_param(message),
        LogInError::Limited(wait) => MatrixError::limit_exceeded(wait),
        LogInError::Busy(busy) => failure::busy(busy),
        LogInError::Storage(cause) => failure::storage(cause),
    }
}

/// 401 `M_USER_LOCKED`: the client keeps its data and waits.
pub(super) fn locked(message: String) -> MatrixError {
    MatrixError::custom(StatusCode::UNAUTHORIZED, "M_USER_LOCKED", message)
        .with("soft_logout", true)
}
