//! `GET /_matrix/client/v3/user/{userId}/account_data/{type}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridaccount_datatype>

use axum::extract::State;
use ruma::OwnedUserId;
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, MatrixError, OutgoingJson};

use super::{account_data_answer, raw};
use crate::extract::PathArgs;

#[instrument(name = "client_api.user_data.get_global_account_data", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    PathArgs((user_id, event_type)): PathArgs<(OwnedUserId, String)>,
) -> Result<OutgoingJson<Box<RawValue>>, MatrixError> {
    let content = accounts.account_data(&actor, &user_id, None, event_type).await;
    let content = content.map_err(account_data_answer)?;
    raw(content.ok_or_else(|| MatrixError::not_found("there is no such account data"))?)
}
