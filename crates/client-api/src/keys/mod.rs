//! End-to-end keys of devices and users.

mod claim_keys;
mod get_key_changes;
mod get_keys;
mod upload_keys;
mod upload_signatures;
mod upload_signing_keys;

use std::collections::BTreeMap;

use http::StatusCode;
use ruma::{OwnedServerName, api::client::keys};
use serde_json::{Value, json};
use vestibule_http::{Login, MatrixError};
use vestibule_keys::{ObjectError, RemoteKeysError};
use vestibule_policy::{Ability, EndpointRule};

pub(crate) use self::upload_keys::answer as upload_answer;
use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let may = EndpointRule::May(Ability::Keys);
    routes
        .mount::<keys::upload_keys::v3::Request, _>(may, upload_keys::handle)
        .mount::<keys::get_keys::v3::Request, _>(may, get_keys::handle)
        .mount::<keys::claim_keys::v3::Request, _>(may, claim_keys::handle)
        .mount::<keys::get_key_changes::v3::Request, _>(may, get_key_changes::handle)
        .mount_with_login::<keys::upload_signing_keys::v3::Request, _>(
            may,
            Login::Required,
            upload_signing_keys::handle,
        )
        .mount::<keys::upload_signatures::v3::Request, _>(may, upload_signatures::handle)
}

/// What is wrong with a key that was uploaded.
fn object_answer(error: &ObjectError) -> MatrixError {
    let message = error.to_string();
    match error {
        ObjectError::Malformed(_) => MatrixError::bad_json(message),
        ObjectError::Missing(_) => MatrixError::missing_param(message),
        ObjectError::NotOwn => MatrixError::invalid_param(message),
        ObjectError::Signature => invalid_signature(message),
    }
}

/// 400 `M_INVALID_SIGNATURE`.
fn invalid_signature(message: String) -> MatrixError {
    MatrixError::custom(StatusCode::BAD_REQUEST, "M_INVALID_SIGNATURE", message)
}

/// The servers that did not answer, as the specification shows them: why, in an object of its own.
fn failures(failures: BTreeMap<OwnedServerName, RemoteKeysError>) -> BTreeMap<String, Value> {
    let shown = |error: RemoteKeysError| {
        let status = match error {
            RemoteKeysError::Unreachable => 503,
            RemoteKeysError::Refused => 403,
            RemoteKeysError::Malformed => 502,
        };
        json!({ "status": status, "message": error.to_string() })
    };
    failures.into_iter().map(|(server, error)| (server.to_string(), shown(error))).collect()
}
