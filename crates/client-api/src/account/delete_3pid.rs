//! `POST /_matrix/client/v3/account/3pid/delete`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3piddelete>

use axum::extract::State;
use ruma::api::client::account::{
    ThirdPartyIdRemovalStatus,
    delete_3pid::v3::{Request, Response},
};
use tracing::instrument;
use vestibule_accounts::{Accounts, DeleteContactError};
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};

use crate::failure;

#[instrument(name = "client_api.account.delete_3pid", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let (medium, address) = (request.medium.as_str(), request.address.as_str());
    accounts.delete_contact(&actor, medium, address).await.map_err(answer)?;
    // It was never bound through this server, which knows no identity server to ask.
    Ok(Outgoing(Response::new(ThirdPartyIdRemovalStatus::NoSupport)))
}

fn answer(error: DeleteContactError) -> MatrixError {
    match error {
        DeleteContactError::Suspended(denial) => denial.into(),
        DeleteContactError::Storage(cause) => failure::storage(cause),
    }
}
