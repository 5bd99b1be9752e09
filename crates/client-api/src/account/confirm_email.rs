//! `GET` and `POST /_matrix/client/unstable/org.vestibule.email/confirm`: the page behind the link of a mail
//!
//! Not in the specification. Reading the page does nothing, because programs that look for danger open
//! every link of a mail; only the button counts.

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, ConfirmEmailError, EmailQuestion, ValidationPurpose};
use vestibule_http::{ClientAddress, MatrixError};

use crate::{extract::QueryArgs, failure, page};

#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    sid: String,
    token: String,
}

/// The page with the button, which says what it allows. Its form goes back to the address it came from.
#[instrument(name = "client_api.account.confirm_email_page", skip_all)]
pub(crate) async fn page(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    QueryArgs(link): QueryArgs<Link>,
) -> Result<Response, MatrixError> {
    match accounts.email_question(&link.sid, &link.token, peer).await {
        Ok(question) => Ok(asked(&question)),
        Err(error) => refused(error),
    }
}

fn asked(question: &EmailQuestion) -> Response {
    let (title, button) = words(question.purpose);
    let address = page::escaped(&question.address);
    let body = format!(
        "<p>For {address}. If it was not you who asked for this, close this page: then nothing \
         happens.</p><form method=\"post\"><button>{button}</button></form>"
    );
    page::shown(StatusCode::OK, title, &body)
}

/// The heading of the page and the words on its button.
fn words(purpose: ValidationPurpose) -> (&'static str, &'static str) {
    match purpose {
        ValidationPurpose::Register => ("A new account", "Yes, make an account with this address"),
        ValidationPurpose::Add => ("Your address", "Yes, add this address to the account"),
        ValidationPurpose::Password => {
            ("A new password", "Yes, let a new password be set for my account")
        }
    }
}

/// The button. Where the person goes on from is a link: browsers let no form lead to another site here.
#[instrument(name = "client_api.account.confirm_email", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    QueryArgs(link): QueryArgs<Link>,
) -> Result<Response, MatrixError> {
    match accounts.confirm_email(&link.sid, &link.token, peer).await {
        Ok(Some(next)) => {
            let next = page::escaped(&next);
            let text = format!("<p>Thank you. <a href=\"{next}\">Go on</a></p>");
            Ok(shown(StatusCode::OK, &text))
        }
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

fn shown(status: StatusCode, text: &str) -> Response {
    page::shown(status, "Your address", text)
}
