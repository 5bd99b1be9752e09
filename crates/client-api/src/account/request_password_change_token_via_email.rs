//! `POST /_matrix/client/v3/account/password/email/requestToken`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpasswordemailrequesttoken>

use axum::extract::State;
use ruma::api::client::account::request_password_change_token_via_email::v3::Response;
use tracing::instrument;
use vestibule_accounts::{Accounts, ValidationPurpose};
use vestibule_http::{ClientAddress, IncomingJson, MatrixError, Outgoing};

use super::validation::{self, EmailBody};

#[instrument(name = "client_api.account.request_password_change_token_via_email", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    IncomingJson(body): IncomingJson<EmailBody>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = body.command(ValidationPurpose::Password, peer)?;
    let sid = validation::request(&accounts, command, validation::denied).await?;
    Ok(Outgoing(Response::new(sid)))
}
