//! `GET` and `POST /_matrix/client/unstable/org.vestibule.email/confirm`: the page behind the link of a mail
//!
//! Not in the specification. Reading the page does nothing, because programs that look for danger open
//! every link of a mail; only the button counts.

use axum::{
    extract::State,
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{Accounts, ConfirmEmailError};
use vestibule_http::{ClientAddress, MatrixError};

use crate::{extract::QueryArgs, failure};

/// The page loads nothing, runs nothing and stands in no frame.
const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

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
        Ok(Some(next)) => Ok(private(Redirect::to(&next).into_response())),
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
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Your address</title>\
         <style>body{{font-family:sans-serif;margin:4em auto;max-width:30em;padding:1em}}</style>\
         <h1>Your address</h1>{text}</html>"
    );
    private((status, Html(page)).into_response())
}

/// The address of the page holds what proves something: nobody keeps it or passes it on.
fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
