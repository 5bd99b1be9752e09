//! `DELETE /_matrix/client/v3/profile/{userId}/{keyName}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3profileuseridkeyname>

use axum::extract::State;
use ruma::{OwnedUserId, api::client::profile::delete_profile_field::v3::Response};
use tracing::instrument;
use vestibule_accounts::{Accounts, SetProfileField};
use vestibule_http::{Caller, ClientAddress, MatrixError, Outgoing};

use super::set_profile_field::answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.profile.delete_profile_field", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    PathArgs((user_id, field)): PathArgs<(OwnedUserId, String)>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = SetProfileField { user_id, field, value: None, peer: Some(peer) };
    accounts.set_profile_field(&actor, command).await.map_err(answer)?;
    Ok(Outgoing(Response::new()))
}
