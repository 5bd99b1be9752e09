//! `POST /media/purge`: taking copies of files of other servers away.

use axum::extract::State;
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson, internal};

use crate::{AdminServices, MediaPurge, PurgedAnswer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    IncomingJson(wanted): IncomingJson<MediaPurge>,
) -> Result<OutgoingJson<PurgedAnswer>, MatrixError> {
    let before = services.environment.now_ms().saturating_sub(wanted.older_than_ms);
    let purged = services.media.purge_media(Some(before)).await;
    let purged = purged.map_err(|cause| internal(&cause))?;
    Ok(OutgoingJson(PurgedAnswer { media: purged.media, files: purged.files }))
}
