//! `POST /_matrix/client/v3/account/3pid/add`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidadd>

use axum::extract::State;
use http::StatusCode;
use ruma::api::{client::account::add_3pid::v3::Response, error::ErrorKind};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, AddContact, AddContactError};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use super::validation;
use crate::{
    failure,
    uiaa::{self, Auth},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    auth: Option<Auth>,
    client_secret: String,
    sid: String,
}

#[instrument(name = "client_api.account.add_3pid", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<Body>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = AddContact {
        sid: body.sid,
        client_secret: body.client_secret,
        attempt: uiaa::attempt(body.auth)?,
        peer,
    };
    accounts.add_contact(&actor, command).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}

fn answer(error: AddContactError) -> MatrixError {
    let message = error.to_string();
    match error {
        AddContactError::NotSupported => validation::unsupported_medium(),
        AddContactError::NotProven => validation::not_proven(message),
        AddContactError::InUse => validation::in_use(message),
        AddContactError::TooMany => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::ThreepidDenied, message)
        }
        AddContactError::Uia(error) => uiaa::answer(error),
        AddContactError::Storage(cause) => failure::storage(cause),
    }
}
