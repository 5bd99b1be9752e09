//! `GET /_matrix/client/v3/account/3pid`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3account3pid>

use axum::extract::State;
use serde_json::{Value, json};
use tracing::instrument;
use vestibule_accounts::{Accounts, Contact};
use vestibule_http::{Caller, MatrixError, OutgoingJson};

use crate::failure;

#[instrument(name = "client_api.account.get_3pids", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
) -> Result<OutgoingJson<Value>, MatrixError> {
    let contacts = accounts.contacts(actor.user_id()).await.map_err(failure::storage)?;
    let shown = contacts.iter().map(shown).collect::<Vec<_>>();
    Ok(OutgoingJson(json!({ "threepids": shown })))
}

fn shown(contact: &Contact) -> Value {
    json!({
        "medium": contact.medium,
        "address": contact.address,
        "validated_at": contact.validated_at,
        "added_at": contact.added_at,
    })
}
