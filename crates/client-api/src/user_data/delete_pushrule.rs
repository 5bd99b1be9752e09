//! `DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3pushrulesglobalkindruleid>

use axum::extract::State;
use ruma::api::client::push::delete_pushrule::v3::{Request, Response};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use super::push_rule_answer;

#[instrument(name = "client_api.user_data.delete_pushrule", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let changed = accounts.delete_push_rule(&actor, request.kind, request.rule_id).await;
    changed.map_err(push_rule_answer)?;
    Ok(Outgoing(Response::new()))
}
