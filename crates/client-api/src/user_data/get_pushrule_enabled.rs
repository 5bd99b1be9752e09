//! `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidenabled>

use axum::extract::State;
use ruma::api::client::push::get_pushrule_enabled::v3::Request;
use serde_json::{Value, json};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};

use crate::failure;

#[instrument(name = "client_api.user_data.get_pushrule_enabled", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Value>, MatrixError> {
    let rules = accounts.push_rules(actor.user_id()).await.map_err(failure::storage)?;
    let rule = rules.get(request.kind, &request.rule_id);
    let rule = rule.ok_or_else(|| MatrixError::not_found("there is no such push rule"))?;
    Ok(OutgoingJson(json!({ "enabled": rule.enabled() })))
}
