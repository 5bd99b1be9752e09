//! `PUT /_matrix/client/v3/user/{userId}/account_data/{type}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridaccount_datatype>

use axum::extract::State;
use ruma::{OwnedUserId, api::client::config::set_global_account_data::v3::Response};
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_accounts::{Accounts, PutAccountData};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use super::account_data_answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.user_data.set_global_account_data", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    PathArgs((user_id, event_type)): PathArgs<(OwnedUserId, String)>,
    IncomingJson(content): IncomingJson<Box<RawValue>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = PutAccountData {
        user_id,
        room_id: None,
        event_type,
        content: content.get().to_owned(),
        peer: Some(peer),
    };
    accounts.put_account_data(&actor, command).await.map_err(account_data_answer)?;
    Ok(Outgoing(Response::new()))
}
