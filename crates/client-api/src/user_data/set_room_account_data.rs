//! `PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidaccount_datatype>

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId, api::client::config::set_room_account_data::v3::Response};
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_accounts::{Accounts, PutAccountData};
use vestibule_http::{Caller, ClientAddress, IncomingJson, MatrixError, Outgoing};

use super::account_data_answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.user_data.set_room_account_data", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    ClientAddress(peer): ClientAddress,
    PathArgs((user_id, room_id, event_type)): PathArgs<(OwnedUserId, OwnedRoomId, String)>,
    IncomingJson(content): IncomingJson<Box<RawValue>>,
) -> Result<Outgoing<Response>, MatrixError> {
    let command = PutAccountData {
        user_id,
        room_id: Some(room_id),
        event_type,
        content: content.get().to_owned(),
        peer: Some(peer),
    };
    accounts.put_account_data(&actor, command).await.map_err(account_data_answer)?;
    Ok(Outgoing(Response::new()))
}
