//! `GET` and `POST /_matrix/client/unstable/org.vestibule.email/confirm`: the page behind the link of a mail
//!
//! Not in the specification. Reading the page does nothing, because programs that look for danger open
//! every link of a mail; only the button counts.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, ConfirmEmailError};
use vestibule_http::{ClientAddress, MatrixError};

use crate::{extract::QueryArgs, failure, page};

#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    sid: String,
    token: String,
}

/// The page with the button. Its form goes back to the address it came from.
pub(crate) async fn page() -> Response {
    shown(StatusCode::OK, "<form method=\"post\"><button>Yes, this is my address</button></form>")
}

/// The button.
#[instrument(name = "client_api.account.confirm_email", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    QueryArgs(link): QueryArgs<Link>,
) -> Result<Response, MatrixError> {
    match accounts.confirm_email(&link.sid, &link.token, peer).await {
        Ok(Some(next)) => Ok(page::private(Redirect::to(&next).into_response())),
        Ok(None) => {
            let text = "<p>Thank you. Go back to where you began; you can close this page.</p>";
            Ok(shown(StatusCode::OK, text))
        }
        Err(error) => refused(error),
    }
}

fn refused(error: ConfirmEmailError) -> Result<Response, MatrixError> {
    match error {
        ConfirmEmailError::Unknown => {
            let text = "<p>This link is not good any more. Ask for a new one.</p>";
            Ok(shown(StatusCode::NOT_FOUND, text))
        }
        ConfirmEmailError::Limited(wait) => Err(MatrixError::limit_exceeded(wait)),
        ConfirmEmailError::Storage(cause) => Err(failure::storage(cause)),
    }
}

fn shown(status: StatusCode, text: &'static str) -> Response {
    page::shown(status, "Your address", text)
}
