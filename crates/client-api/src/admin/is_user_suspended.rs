//! `GET /_matrix/client/v1/admin/suspend/{userId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1adminsuspenduserid>

use axum::extract::State;
use ruma::api::client::admin::is_user_suspended::v1::{Request, Response};
use tracing::instrument;
use vestibule_accounts::{Accounts, Restraint};
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use super::answer;

#[instrument(name = "client_api.admin.is_user_suspended", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let (by, user_id) = (actor.user_id(), &request.user_id);
    let on = accounts.is_restrained(by, user_id, Restraint::Suspension).await.map_err(answer)?;
    Ok(Outgoing(Response::new(on)))
}
