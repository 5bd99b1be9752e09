//! `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid>

use axum::{body::Body, extract::State};
use http::HeaderMap;
use ruma::OwnedServerName;
use serde_json::{Map, Value};
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson, PathArgs, QueryArgs};
use vestibule_media::Media;

use super::{
    file::{Named, upload},
    not_stored,
};

#[instrument(name = "client_api.media.create_content_async", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Caller(actor): Caller,
    PathArgs((server, id)): PathArgs<(OwnedServerName, String)>,
    (QueryArgs(named), headers): (QueryArgs<Named>, HeaderMap),
    body: Body,
) -> Result<OutgoingJson<Map<String, Value>>, MatrixError> {
    let upload = upload(named, &headers, body);
    media.upload_to(&actor, (&server, &id), upload).await.map_err(not_stored)?;
    Ok(OutgoingJson(Map::new()))
}
