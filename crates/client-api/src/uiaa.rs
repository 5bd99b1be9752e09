//! User-interactive authentication on the wire: the `auth` of a request and the 401 that asks for
//! more.

use std::collections::BTreeMap;

use http::StatusCode;
use ruma::api::error::ErrorKind;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vestibule_accounts::{Attempt, Challenge, Failure, Named, Proof, Stage, UiaError};
use vestibule_http::MatrixError;
use vestibule_types::Secret;

use crate::failure;

/// Who a client says it is.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Identifier {
    /// May be left out before `medium` and `address`.
    #[serde(rename = "type")]
    kind: Option<String>,
    user: Option<String>,
    medium: Option<String>,
    address: Option<String>,
    country: Option<String>,
    /// Once called `number`.
    #[serde(alias = "number")]
    phone: Option<String>,
}

/// The session in which an address was proven.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ThreepidCreds {
    sid: String,
    client_secret: String,
}

impl Identifier {
    /// The deprecated form of a login, with the address beside the password. `None` when both are missing.
    pub(crate) fn of(medium: Option<String>, address: Option<String>) -> Option<Self> {
        let is_one = medium.is_some() || address.is_some();
        is_one.then_some(Self {
            kind: None,
            user: None,
            medium,
            address,
            country: None,
            phone: None,
        })
    }

    /// Whom it names. Phone numbers name nobody here.
    pub(crate) fn named(self) -> Result<Named, MatrixError> {
        let Self { kind, user, medium, address, country, phone } = self;
        let missing = |field| MatrixError::missing_param(format!("the identifier lacks `{field}`"));
        match kind.as_deref() {
            Some("m.id.user") => Ok(Named::User(user.ok_or_else(|| missing("user"))?)),
            Some("m.id.thirdparty") | None => {
                let medium = medium.ok_or_else(|| missing("medium"))?;
                let address = address.ok_or_else(|| missing("address"))?;
                Ok(if medium == "email" { Named::Email(address) } else { Named::Nobody })
            }
            Some("m.id.phone") => {
                country.ok_or_else(|| missing("country"))?;
                phone.ok_or_else(|| missing("phone"))?;
                Ok(Named::Nobody)
            }
            Some(_) => {
                let message = "this type of identifier is not known";
                Err(MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, message))
            }
        }
    }
}

/// The `auth` of a request. Fields of stages this server does not know are ignored.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Auth {
    #[serde(rename = "type")]
    kind: Option<String>,
    session: Option<String>,
    identifier: Option<Identifier>,
    /// The deprecated form of `identifier`.
    user: Option<String>,
    password: Option<Secret>,
    token: Option<String>,
    threepid_creds: Option<ThreepidCreds>,
}

impl Auth {
    /// What is offered for which stage.
    pub(crate) fn into_attempt(self) -> Result<Attempt, MatrixError> {
        let Self { kind, session, identifier, user, password, token, threepid_creds } = self;
        let missing = |field| MatrixError::missing_param(format!("auth lacks `{field}`"));
        let proof = match kind.as_deref() {
            None => None,
            Some("m.login.dummy") => Some(Proof::Dummy),
            Some("m.login.terms") => Some(Proof::Terms),
            Some("m.login.registration_token") => {
                Some(Proof::RegistrationToken(token.ok_or_else(|| missing("token"))?))
            }
            Some("m.login.email.identity") => {
                let creds = threepid_creds.ok_or_else(|| missing("threepid_creds"))?;
                Some(Proof::Email { sid: creds.sid, client_secret: creds.client_secret })
            }
            Some("m.login.password") => {
                let password = password.ok_or_else(|| missing("password"))?;
                let user = match identifier {
                    // Somebody this server cannot name is not the caller.
                    Some(identifier) => Some(identifier.named()?),
                    None => user.map(Named::User),
                };
                Some(Proof::Password { user, password })
            }
            Some(_) => Some(Proof::Unknown),
        };
        Ok(Attempt { session, proof })
    }
}

/// The attempt of a request, if it makes one.
pub(crate) fn attempt(auth: Option<Auth>) -> Result<Option<Attempt>, MatrixError> {
    auth.map(Auth::into_attempt).transpose()
}

/// The answer to a request whose authentication is not complete.
pub(crate) fn answer(error: UiaError) -> MatrixError {
    let message = error.to_string();
    match error {
        UiaError::Challenge(challenge) => challenge_answer(&challenge),
        UiaError::OtherOperation => {
            MatrixError::new(StatusCode::FORBIDDEN, ErrorKind::Unknown, message)
        }
        UiaError::OtherUser => MatrixError::forbidden(message),
        UiaError::Limited(wait) => MatrixError::limit_exceeded(wait),
        UiaError::Busy(busy) => failure::busy(busy),
        UiaError::Storage(cause) => failure::storage(cause),
    }
}

fn challenge_answer(challenge: &Challenge) -> MatrixError {
    let names = |stages: &[Stage]| stages.iter().map(|stage| stage.name()).collect::<Vec<_>>();
    let flows: Vec<Value> =
        challenge.flows.iter().map(|flow| json!({ "stages": names(flow) })).collect();
    let mut body = Map::new();
    body.insert("flows".to_owned(), flows.into());
    body.insert("params".to_owned(), params(challenge));
    body.insert("session".to_owned(), challenge.session.clone().into());
    if !challenge.completed.is_empty() {
        body.insert("completed".to_owned(), names(&challenge.completed).into());
    }
    if let Some(failure) = challenge.failure {
        body.insert("errcode".to_owned(), errcode(failure).into());
        body.insert("error".to_owned(), failure.to_string().into());
    }
    MatrixError::with_body(StatusCode::UNAUTHORIZED, body)
}

fn errcode(failure: Failure) -> &'static str {
    match failure {
        Failure::Session => "M_UNKNOWN",
        Failure::Stage => "M_UNRECOGNIZED",
        Failure::Order | Failure::Password | Failure::RegistrationToken => "M_FORBIDDEN",
        Failure::Email => "M_THREEPID_AUTH_FAILED",
    }
}

/// The parameters of the stages: only terms have some.
fn params(challenge: &Challenge) -> Value {
    if challenge.terms.is_empty() {
        return json!({});
    }
    let mut policies: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for terms in &challenge.terms {
        let document = policies.entry(&terms.name).or_default();
        document.insert("version".to_owned(), terms.version.clone().into());
        let text = json!({ "name": terms.title, "url": terms.url });
        document.insert(terms.language.clone(), text);
    }
    json!({ "m.login.terms": { "policies": policies } })
}
