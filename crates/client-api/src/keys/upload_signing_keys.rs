//! `POST /_matrix/client/v3/keys/device_signing/upload`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>

use axum::extract::State;
use ruma::api::client::keys::upload_signing_keys::v3::Response;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};
use vestibule_keys::{Json, Keys, UploadSigningKeys, UploadSigningKeysError};

use super::object_answer;
use crate::{
    failure,
    uiaa::{self, Auth},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    master_key: Option<Json>,
    self_signing_key: Option<Json>,
    user_signing_key: Option<Json>,
    auth: Option<Auth>,
}

#[instrument(name = "client_api.keys.upload_signing_keys", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = UploadSigningKeys {
        master: body.master_key,
        self_signing: body.self_signing_key,
        user_signing: body.user_signing_key,
        attempt: uiaa::attempt(body.auth)?,
        peer,
    };
    keys.upload_signing_keys(&actor, command).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn answer(error: UploadSigningKeysError) -> MatrixError {
    let message = error.to_string();
    match error {
        UploadSigningKeysError::Object(error) => object_answer(&error),
        UploadSigningKeysError::NoMaster => MatrixError::missing_param(message),
        UploadSigningKeysError::NameTaken => MatrixError::forbidden(message),
        UploadSigningKeysError::Uia(error) => uiaa::answer(error),
        UploadSigningKeysError::Denied(denial) => denial.into(),
        UploadSigningKeysError::Storage(cause) => failure::storage(cause),
    }
}
