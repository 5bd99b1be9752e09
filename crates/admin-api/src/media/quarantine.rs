//! `PUT /media/{server}/{id}/quarantine`: withholding a file from everybody, or giving it back.

use axum::extract::State;
use ruma::OwnedServerName;
use vestibule_http::{IncomingJson, MatrixError, OutgoingJson, PathArgs, internal};
use vestibule_media::QuarantineMediaError;

use crate::{AdminServices, Done, QuarantineChange};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    PathArgs((server, media_id)): PathArgs<(String, String)>,
    IncomingJson(change): IncomingJson<QuarantineChange>,
) -> Result<OutgoingJson<Done>, MatrixError> {
    let server = OwnedServerName::try_from(server)
        .map_err(|_| MatrixError::invalid_param("not a server name"))?;
    let done = services.media.quarantine_media(&server, &media_id, change.quarantined).await;
    done.map_err(|error| match error {
        QuarantineMediaError::NotFound => MatrixError::not_found(error.to_string()),
        QuarantineMediaError::Storage(cause) => internal(&cause),
    })?;
    Ok(OutgoingJson(Done {}))
}
