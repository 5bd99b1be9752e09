//! `POST /_matrix/client/v3/keys/signatures/upload`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::OwnedUserId;
use serde::Serialize;
use tracing::instrument;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_keys::{
    Keys, SignatureFailure, SignatureFailures, SignedKeys, UploadSignaturesError,
};

use crate::failure;

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    failures: BTreeMap<OwnedUserId, BTreeMap<String, Failure>>,
}

#[derive(Debug, Serialize)]
struct Failure {
    errcode: &'static str,
    error: String,
}

#[instrument(name = "client_api.keys.upload_signatures", skip_all)]
pub(crate) async fn handle(
    State(keys): State<Keys>,
    Caller(actor): Caller,
    IncomingJson(signed): IncomingJson<SignedKeys>,
) -> Result<OutgoingJson<Answer>, MatrixError> {
    let failures = keys.upload_signatures(&actor, signed).await.map_err(answer)?;
    Ok(OutgoingJson(Answer { failures: shown(failures) }))
}

fn shown(failures: SignatureFailures) -> BTreeMap<OwnedUserId, BTreeMap<String, Failure>> {
    let one = |failure: SignatureFailure| {
        let errcode = match failure {
            SignatureFailure::Unknown => "M_NOT_FOUND",
            SignatureFailure::Differs => "M_INVALID_PARAM",
            SignatureFailure::Invalid => "M_INVALID_SIGNATURE",
        };
        Failure { errcode, error: failure.to_string() }
    };
    let of_owner = |keys: BTreeMap<String, SignatureFailure>| {
        keys.into_iter().map(|(name, failure)| (name, one(failure))).collect()
    };
    failures.into_iter().map(|(owner, keys)| (owner, of_owner(keys))).collect()
}

fn answer(error: UploadSignaturesError) -> MatrixError {
    let message = error.to_string();
    match error {
        UploadSignaturesError::TooMany => MatrixError::too_large(message),
        UploadSignaturesError::Denied(denial) => denial.into(),
        UploadSignaturesError::Storage(cause) => failure::storage(cause),
    }
}
