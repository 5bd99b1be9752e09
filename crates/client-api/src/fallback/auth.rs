//! `GET` and `POST /_matrix/client/v3/auth/{authType}/fallback/web`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#fallback>

use std::fmt::Write;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Deserialize;
use tracing::instrument;
use vestibule_accounts::{
    Accounts, FallbackMail, FallbackStage, Proof, RequestValidationError, Stage,
};
use vestibule_http::{ClientAddress, IncomingForm, MatrixError};
use vestibule_types::Secret;

use super::AUTH_DONE_SCRIPT;
use crate::{
    extract::{PathArgs, QueryArgs},
    failure,
    page::{self, escaped},
    uiaa,
};

const TITLE: &str = "One more step";

#[derive(Debug, Deserialize)]
pub(super) struct Query {
    session: String,
}

/// What the forms of the stages send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    password: Option<Secret>,
    token: Option<String>,
    email: Option<String>,
    sid: Option<String>,
    client_secret: Option<String>,
}

/// What was sent for a stage.
enum Sent {
    Proof(Proof),
    /// An address to mail to, before it can be proven.
    Address(String),
    Nothing,
}

impl Form {
    fn sent(self, stage: Stage) -> Sent {
        let Self { password, token, email, sid, client_secret } = self;
        let proof = match stage {
            Stage::Dummy => Some(Proof::Dummy),
            Stage::Terms => Some(Proof::Terms),
            Stage::Password => password.map(|password| Proof::Password { user: None, password }),
            Stage::RegistrationToken => token.map(Proof::RegistrationToken),
            Stage::Email => {
                let both = sid.zip(client_secret);
                both.map(|(sid, client_secret)| Proof::Email { sid, client_secret })
            }
        };
        match (proof, stage, email) {
            (Some(proof), ..) => Sent::Proof(proof),
            (None, Stage::Email, Some(email)) => Sent::Address(email),
            (None, ..) => Sent::Nothing,
        }
    }
}

/// The page of a stage.
#[instrument(name = "client_api.fallback.auth_page", skip_all)]
pub(super) async fn page(
    State(accounts): State<Accounts>,
    PathArgs((name,)): PathArgs<(String,)>,
    QueryArgs(query): QueryArgs<Query>,
) -> Response {
    let asked = Stage::named(&name)
        .and_then(|stage| accounts.fallback_stage(&query.session, stage).map(|it| (stage, it)));
    match asked {
        None => unknown(),
        Some((_, FallbackStage { is_done: true, .. })) => done(),
        Some((stage, asked)) => page::shown(StatusCode::OK, TITLE, &form(stage, &asked)),
    }
}

/// What its form sends.
#[instrument(name = "client_api.fallback.auth", skip_all)]
pub(super) async fn handle(
    State(accounts): State<Accounts>,
    ClientAddress(peer): ClientAddress,
    PathArgs((name,)): PathArgs<(String,)>,
    QueryArgs(query): QueryArgs<Query>,
    IncomingForm(sent): IncomingForm<Form>,
) -> Result<Response, MatrixError> {
    let Some(stage) = Stage::named(&name) else { return Ok(unknown()) };
    match sent.sent(stage) {
        Sent::Nothing => Ok(again("Something is missing.")),
        Sent::Address(email) => {
            let mailed = accounts.mail_by_fallback(&query.session, email, peer).await;
            mail_answer(mailed)
        }
        Sent::Proof(proof) => match accounts.prove_by_fallback(&query.session, proof, peer).await {
            Ok(Ok(())) => Ok(done()),
            Ok(Err(failure)) => Ok(again(&failure.to_string())),
            Err(error) => Err(uiaa::answer(error)),
        },
    }
}

/// What runs when a stage is done.
pub(super) async fn done_script() -> Response {
    page::script(include_str!("auth_done.js"))
}

fn form(stage: Stage, asked: &FallbackStage) -> String {
    let field = match stage {
        Stage::Dummy => "<button>Go on</button>".to_owned(),
        Stage::Password => input("Your password", "password", "password"),
        Stage::RegistrationToken => input("Your registration token", "text", "token"),
        Stage::Email => input("Your e-mail address", "email", "email"),
        Stage::Terms => {
            let mut list = String::from("<p>Please read and agree to:</p><ul>");
            for terms in &asked.terms {
                let (url, title) = (escaped(&terms.url), escaped(&terms.title));
                let _infallible = write!(
                    list,
                    "<li><a href=\"{url}\" target=\"_blank\" rel=\"noopener\">{title}</a></li>"
                );
            }
            list.push_str("</ul><button>I agree</button>");
            list
        }
    };
    format!("<form method=\"post\">{field}</form>")
}

fn input(label: &str, kind: &str, name: &str) -> String {
    format!(
        "<label>{label}<br><input type=\"{kind}\" name=\"{name}\" required></label>\
         <button>Go on</button>"
    )
}

fn unknown() -> Response {
    let text = "<p>There is nothing to do here, or it took too long. Go back and begin again.</p>";
    page::shown(StatusCode::NOT_FOUND, TITLE, text)
}

fn again(reason: &str) -> Response {
    let text = format!("<p>{}</p><p><a href=\"\">Try again</a></p>", escaped(reason));
    page::shown(StatusCode::UNAUTHORIZED, TITLE, &text)
}

fn done() -> Response {
    let text = format!(
        "<p>Thank you. Go back to where you began; you can close this page.</p>\
         <script src=\"{AUTH_DONE_SCRIPT}\"></script>"
    );
    page::shown(StatusCode::OK, TITLE, &text)
}

fn mail_answer(
    mailed: Result<Option<FallbackMail>, RequestValidationError>,
) -> Result<Response, MatrixError> {
    match mailed {
        Ok(None) => Ok(unknown()),
        Ok(Some(mail)) => {
            let text = format!(
                "<p>Open the link in the mail that was sent to you, then go on here.</p>\
                 <form method=\"post\"><input type=\"hidden\" name=\"sid\" value=\"{}\">\
                 <input type=\"hidden\" name=\"client_secret\" value=\"{}\">\
                 <button>I opened the link</button></form>",
                escaped(&mail.sid),
                escaped(&mail.client_secret),
            );
            Ok(page::shown(StatusCode::OK, TITLE, &text))
        }
        Err(RequestValidationError::Limited(wait)) => Err(MatrixError::limit_exceeded(wait)),
        Err(RequestValidationError::Storage(cause)) => Err(failure::storage(cause)),
        Err(
            error @ (RequestValidationError::NotSupported
            | RequestValidationError::Address
            | RequestValidationError::NextLink
            | RequestValidationError::Busy),
        ) => Ok(again(&error.to_string())),
    }
}
