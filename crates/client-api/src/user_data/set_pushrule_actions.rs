//! `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidactions>

use axum::extract::State;
use ruma::api::client::push::set_pushrule_actions::v3::{Request, Response};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use super::push_rule_answer;

#[instrument(name = "client_api.user_data.set_pushrule_actions", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let rule = (request.kind, request.rule_id);
    let changed = accounts.set_push_rule_actions(&actor, rule, request.actions).await;
    changed.map_err(push_rule_answer)?;
    Ok(Outgoing(Response::new()))
}
