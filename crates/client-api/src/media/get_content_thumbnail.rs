//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid>

use axum::{extract::State, response::Response};
use http::HeaderMap;
use ruma::OwnedServerName;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, PathArgs, QueryArgs};
use vestibule_media::Media;

use super::{
    file::{Picture, answer, wanted},
    not_given, not_made,
};

#[instrument(name = "client_api.media.get_content_thumbnail", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Caller(actor): Caller,
    PathArgs((server, id)): PathArgs<(OwnedServerName, String)>,
    QueryArgs(picture): QueryArgs<Picture>,
    headers: HeaderMap,
) -> Result<Response, MatrixError> {
    let wanted = wanted(server, id, &picture.patience());
    let info = media.find_media_for(&actor, &wanted).await.map_err(not_given)?;
    let info = media.thumbnail(&info, picture.thumbnail()).await.map_err(not_made)?;
    answer(&media, info, &headers).await
}
