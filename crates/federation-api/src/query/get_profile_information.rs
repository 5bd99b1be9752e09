//! `GET /_matrix/federation/v1/query/profile`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile>

use axum::extract::State;
use ruma::{
    api::federation::query::get_profile_information::v1::{Request, Response},
    profile::ProfileFieldName,
};
use tracing::instrument;
use vestibule_accounts::{Accounts, ProfileForServerError};
use vestibule_http::{Incoming, MatrixError, Outgoing};

use crate::{failure, guard::Origin};

#[instrument(name = "federation_api.query.get_profile_information", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Origin(origin): Origin,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let field = request.field.as_ref().map(ProfileFieldName::as_str);
    let profile = accounts.profile_for_server(&origin, &request.user_id, field).await;
    Ok(Outgoing(profile.map_err(answer)?.into_iter().collect()))
}

fn answer(error: ProfileForServerError) -> MatrixError {
    match error {
        ProfileForServerError::Foreign => MatrixError::invalid_param(error.to_string()),
        ProfileForServerError::UnknownUser => MatrixError::not_found(error.to_string()),
        ProfileForServerError::Hidden => MatrixError::forbidden(error.to_string()),
        ProfileForServerError::Storage(cause) => failure::storage(cause),
    }
}
