//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ruma::OwnedServerName;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, PathArgs, QueryArgs};
use vestibule_media::Media;

use super::{
    file::{Patience, answer, wanted},
    not_given,
};

#[instrument(name = "client_api.media.get_content", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Caller(actor): Caller,
    PathArgs((server, id)): PathArgs<(OwnedServerName, String)>,
    QueryArgs(patience): QueryArgs<Patience>,
    headers: HeaderMap,
) -> Result<Response, MatrixError> {
    let info =
        media.find_media_for(&actor, &wanted(server, id, &patience)).await.map_err(not_given)?;
    answer(&media, info, &headers).await
}
