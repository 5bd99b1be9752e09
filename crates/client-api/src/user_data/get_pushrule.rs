//! `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleid>

use axum::extract::State;
use ruma::{api::client::push::get_pushrule::v3::Request, push::AnyPushRuleRef};
use serde_json::{Value, json};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, Incoming, MatrixError, OutgoingJson};

use crate::failure;

#[instrument(name = "client_api.user_data.get_pushrule", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<OutgoingJson<Value>, MatrixError> {
    let rules = accounts.push_rules(actor.user_id()).await.map_err(failure::storage)?;
    let rule = rules.get(request.kind, &request.rule_id);
    let rule = rule.ok_or_else(|| MatrixError::not_found("there is no such push rule"))?;
    let rule = match rule {
        AnyPushRuleRef::Override(rule) | AnyPushRuleRef::Underride(rule) => json!(rule),
        AnyPushRuleRef::Content(rule) => json!(rule),
        AnyPushRuleRef::Room(rule) => json!(rule),
        AnyPushRuleRef::Sender(rule) => json!(rule),
        _ => return Err(MatrixError::not_found("there is no such kind of push rule")),
    };
    Ok(OutgoingJson(rule))
}
