//! `PUT /_matrix/client/v1/admin/lock/{userId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminlockuserid>

use axum::extract::State;
use ruma::api::client::admin::lock_user::v1::{Request, Response};
use tracing::instrument;
use vestibule_accounts::{Accounts, Assigner, Restrain, Restraint};
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use super::answer;

#[instrument(name = "client_api.admin.lock_user", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let on = request.locked;
    let command = Restrain { user_id: request.user_id, restraint: Restraint::Lock, on };
    accounts.restrain(&Assigner::Admin(actor), command).await.map_err(answer)?;
    Ok(Outgoing(Response::new(on)))
}
