//! `GET /_matrix/key/v2/query/{serverName}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2queryservername>
//!
//! Old servers add `/{keyId}`, which selects nothing.

use axum::extract::State;
use ruma::{OwnedServerName, api::federation::discovery::get_remote_server_keys::v2::Response};
use serde::Deserialize;
use tracing::instrument;
use vestibule_federation::Federation;
use vestibule_http::{MatrixError, Outgoing, PathArgs, QueryArgs};

use super::{raw, unanswered};

/// The type of the specification fills an absent moment from the machine's clock, not from ours.
#[derive(Deserialize)]
pub(crate) struct Until {
    minimum_valid_until_ts: Option<u64>,
}

#[instrument(name = "federation_api.server_keys.get_remote_server_keys", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    PathArgs((server,)): PathArgs<(OwnedServerName,)>,
    QueryArgs(until): QueryArgs<Until>,
) -> Result<Outgoing<Response>, MatrixError> {
    let asked = [(server, until.minimum_valid_until_ts)].into();
    let keys = federation.key_ring().query(asked).await.map_err(unanswered)?;
    Ok(Outgoing(Response::new(keys.iter().map(raw).collect::<Result<_, _>>()?)))
}

pub(crate) async fn handle_with_key(
    federation: State<Federation>,
    PathArgs((server, _)): PathArgs<(OwnedServerName, String)>,
    until: QueryArgs<Until>,
) -> Result<Outgoing<Response>, MatrixError> {
    handle(federation, PathArgs((server,)), until).await
}
