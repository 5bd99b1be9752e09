//! `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid>

use axum::extract::State;
use ruma::api::client::push::set_pushrule::v3::{Request, Response};
use tracing::instrument;
use vestibule_accounts::{Accounts, PutPushRule};
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use super::push_rule_answer;

#[instrument(name = "client_api.user_data.set_pushrule", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let Request { rule, after, before, .. } = request;
    let put = accounts.put_push_rule(&actor, PutPushRule { rule, after, before }).await;
    put.map_err(push_rule_answer)?;
    Ok(Outgoing(Response::new()))
}
