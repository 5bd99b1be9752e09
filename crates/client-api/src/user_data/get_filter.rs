//! `GET /_matrix/client/v3/user/{userId}/filter/{filterId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridfilterfilterid>

use axum::extract::State;
use ruma::OwnedUserId;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, MatrixError, OutgoingJson};

use super::{filter_answer, raw};
use crate::extract::PathArgs;

#[instrument(name = "client_api.user_data.get_filter", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    PathArgs((user_id, filter_id)): PathArgs<(OwnedUserId, String)>,
) -> Result<OutgoingJson<Box<RawValue>>, MatrixError> {
    let filter = accounts.filter(&actor, &user_id, &filter_id).await.map_err(filter_answer)?;
    raw(filter.ok_or_else(|| MatrixError::not_found("there is no such filter"))?)
}
