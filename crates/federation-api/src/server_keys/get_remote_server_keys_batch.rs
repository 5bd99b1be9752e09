//! `POST /_matrix/key/v2/query`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#post_matrixkeyv2query>

use axum::extract::State;
use ruma::api::federation::discovery::get_remote_server_keys_batch::v2::{Request, Response};
use tracing::instrument;
use vestibule_federation::Federation;
use vestibule_http::{Incoming, MatrixError, Outgoing};

use super::{raw, unanswered};

#[instrument(name = "federation_api.server_keys.get_remote_server_keys_batch", skip_all)]
pub(crate) async fn handle(
    State(federation): State<Federation>,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let asked = request.server_keys.into_iter().map(|(server, keys)| {
        let moments = keys.into_values().filter_map(|wanted| wanted.minimum_valid_until_ts);
        (server, moments.max().map(|moment| moment.get().into()))
    });
    let keys = federation.key_ring().query(asked.collect()).await.map_err(unanswered)?;
    Ok(Outgoing(Response::new(keys.iter().map(raw).collect::<Result<_, _>>()?)))
}
