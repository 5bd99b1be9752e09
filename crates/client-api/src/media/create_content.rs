//! `POST /_matrix/media/v3/upload`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload>

use axum::{body::Body, extract::State};
use http::HeaderMap;
use ruma::{OwnedMxcUri, api::client::media::create_content::v3::Response};
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, Outgoing, QueryArgs};
use vestibule_media::Media;

use super::{
    file::{Named, upload},
    not_stored,
};

#[instrument(name = "client_api.media.create_content", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Caller(actor): Caller,
    QueryArgs(named): QueryArgs<Named>,
    headers: HeaderMap,
    body: Body,
) -> Result<Outgoing<Response>, MatrixError> {
    let upload = upload(named, &headers, body);
    let id = media.upload_media(&actor, upload).await.map_err(not_stored)?;
    let uri = OwnedMxcUri::from(format!("mxc://{}/{id}", media.server_name()));
    Ok(Outgoing(Response::new(uri)))
}
