//! `GET /_matrix/client/v3/profile/{userId}/{keyName}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuseridkeyname>

use std::collections::BTreeMap;

use axum::extract::State;
use ruma::OwnedUserId;
use serde_json::Value;
use tracing::instrument;
use vestibule_accounts::Accounts;
use vestibule_http::{ClientAddress, MatrixError, MaybeCaller, OutgoingJson};

use super::get_profile::answer;
use crate::extract::PathArgs;

#[instrument(name = "client_api.profile.get_profile_field", skip_all)]
pub(crate) async fn handle(
    State(accounts): State<Accounts>,
    MaybeCaller(actor): MaybeCaller,
    ClientAddress(peer): ClientAddress,
    PathArgs((user_id, field)): PathArgs<(OwnedUserId, String)>,
) -> Result<OutgoingJson<BTreeMap<String, Value>>, MatrixError> {
    let profile = accounts.profile(actor.as_ref(), &user_id, Some(peer)).await;
    let mut profile = profile.map_err(answer)?;
    let value = profile.remove(&field);
    let value = value.ok_or_else(|| MatrixError::not_found("the profile has no such field"))?;
    Ok(OutgoingJson(BTreeMap::from([(field, value)])))
}
