//! `POST /_matrix/client/v3/user/{userId}/filter`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter>

use axum::extract::State;
use ruma::{
    OwnedUserId,
    api::client::filter::{EventFormat, FilterDefinition, create_filter::v3::Response},
};
use serde_json::{Map, Value};
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, IncomingJson, MatrixError, Outgoing};

use super::filter_answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.user_data.create_filter", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
    PathArgs((user_id,)): PathArgs<(OwnedUserId,)>,
    IncomingJson(filter): IncomingJson<Map<String, Value>>,
) -> Result<Outgoing<Response>, MatrixError> {
    // It is kept as it came, but only what a sync could follow is taken.
    check(&filter)?;
    let filter_id = accounts.create_filter(&actor, user_id, filter).await;
    Ok(Outgoing(Response::new(filter_id.map_err(filter_answer)?)))
}

fn check(filter: &Map<String, Value>) -> Result<(), MatrixError> {
    let definition = serde_json::from_value::<FilterDefinition>(Value::Object(filter.clone()));
    let definition = definition.map_err(|error| MatrixError::bad_json(error.to_string()))?;
    match definition.event_format {
        EventFormat::Client | EventFormat::Federation => Ok(()),
        _ => Err(MatrixError::bad_json("there is no such event_format")),
    }
}
