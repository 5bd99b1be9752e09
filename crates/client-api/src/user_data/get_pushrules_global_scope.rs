//! `GET /_matrix/client/v3/pushrules/global/`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobal>

use axum::extract::State;
use serde_json::Value;
use tracing::instrument;
use vestibule_accounts::{Accounts, push_rules_of_all_kinds};
use vestibule_http::{Caller, MatrixError, OutgoingJson};

use crate::failure;

#[instrument(name = "client_api.user_data.get_pushrules_global_scope", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
) -> Result<OutgoingJson<Value>, MatrixError> {
    let rules = accounts.push_rules(actor.user_id()).await.map_err(failure::storage)?;
    Ok(OutgoingJson(push_rules_of_all_kinds(&rules)))
}
