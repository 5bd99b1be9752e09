//! `GET /_matrix/client/v3/profile/{userId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuserid>

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use ruma::{OwnedUserId, api::error::ErrorKind};
use serde_json::Value;
use tracing::instrument;
use vestibule_accounts::{Accounts, LookUpProfileError, ProfileElsewhereError};
use vestibule_http::{ClientAddress, MatrixError, MaybeCaller, OutgoingJson};

use crate::{extract::PathArgs, failure};

#[instrument(name = "client_api.profile.get_profile", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    MaybeCaller(actor): MaybeCaller,
    ClientAddress(peer): ClientAddress,
    PathArgs((user_id,)): PathArgs<(OwnedUserId,)>,
) -> Result<OutgoingJson<BTreeMap<String, Value>>, MatrixError> {
    let profile = accounts.profile(actor.as_ref(), &user_id, Some(peer)).await.map_err(answer)?;
    Ok(OutgoingJson(profile))
}

pub(super) fn answer(error: LookUpProfileError) -> MatrixError {
    let message = error.to_string();
    match error {
        LookUpProfileError::UnknownUser => MatrixError::not_found(message),
        LookUpProfileError::Elsewhere(ProfileElsewhereError::Refused) => {
            MatrixError::forbidden(message)
        }
        LookUpProfileError::Elsewhere(ProfileElsewhereError::Unreachable) => {
            MatrixError::new(StatusCode::BAD_GATEWAY, ErrorKind::Unknown, message)
        }
        LookUpProfileError::Denied(denial) => denial.into(),
        LookUpProfileError::Storage(cause) => failure::storage(cause),
    }
}
