//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaidfilename>

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ruma::OwnedServerName;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, PathArgs, QueryArgs};
use vestibule_media::{FileInfo, Media};

use super::{
    file::{Patience, answer, wanted},
    not_given,
};

#[instrument(name = "client_api.media.get_content_as_filename", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Caller(actor): Caller,
    PathArgs((server, id, name)): PathArgs<(OwnedServerName, String, String)>,
    QueryArgs(patience): QueryArgs<Patience>,
    headers: HeaderMap,
) -> Result<Response, MatrixError> {
    let info =
        media.find_media_for(&actor, &wanted(server, id, &patience)).await.map_err(not_given)?;
    answer(&media, FileInfo { name: Some(name), ..info }, &headers).await
}
