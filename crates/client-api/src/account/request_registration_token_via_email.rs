//! `POST /_matrix/client/v3/register/email/requestToken`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken>

use axum::extract::State;
use ruma::api::client::account::request_registration_token_via_email::v3::{Request, Response};
use tracing::instrument;
use vestibule_accounts::{Accounts, RequestValidation, ValidationPurpose};
use vestibule_http::{ClientAddress, Incoming, MatrixError, Outgoing};

use super::validation;

#[instrument(name = "client_api.account.request_registration_token_via_email", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = RequestValidation {
        purpose: ValidationPurpose::Register,
        client_secret: request.client_secret.to_string(),
        email: request.email,
        send_attempt: request.send_attempt.into(),
        next_link: request.next_link,
        peer,
    };
    let sid = validation::request(&accounts, command, validation::denied).await?;
    Ok(Outgoing(Response::new(sid)))
}
