//! `GET /_matrix/client/v1/media/preview_url`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url>

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use tracing::instrument;
use vestibule_http::{Caller, MatrixError, OutgoingJson};
use vestibule_media::{Media, Preview};

use super::not_previewed;
use crate::extract::QueryArgs;

/// The query. `ts` is not looked at: there is one preview of a page, the latest.
#[derive(Debug, Deserialize)]
pub(crate) struct Args {
    url: String,
}

#[instrument(name = "client_api.media.get_media_preview", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Caller(actor): Caller,
    QueryArgs(args): QueryArgs<Args>,
) -> Result<OutgoingJson<Preview>, MatrixError> {
    let preview = media.preview_url(&actor, &args.url).await.map_err(not_previewed)?;
    Ok(OutgoingJson(Arc::unwrap_or_clone(preview)))
}
