//! `GET /media`: which files are here, by server and id, or which a user uploaded.

use axum::extract::State;
use ruma::OwnedServerName;
use serde::Deserialize;
use vestibule_http::{MatrixError, OutgoingJson, QueryArgs, internal};

use crate::{AdminServices, MediaAnswer, MediaListAnswer, user_name::local_user};

/// Files in one answer, unless fewer are asked for.
const FILES: usize = 100;

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    server: Option<OwnedServerName>,
    user: Option<String>,
    after_server: Option<OwnedServerName>,
    after_id: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    QueryArgs(question): QueryArgs<Question>,
) -> Result<OutgoingJson<MediaListAnswer>, MatrixError> {
    let limit = question.limit.unwrap_or(FILES);
    let found = if let Some(user) = question.user {
        let user = local_user(&user, services.accounts.server_name())?;
        services.media.list_media_of(user, question.after_id, limit).await
    } else {
        let after = question.after_server.zip(question.after_id);
        services.media.list_media(question.server, after, limit).await
    };
    let media = found.map_err(|cause| internal(&cause))?.into_iter().map(|it| MediaAnswer {
        server: it.server.to_string(),
        media_id: it.media_id,
        uploader: it.uploader.map(|user| user.to_string()),
        created_at_ms: it.created_at,
        size: it.size,
        content_type: it.content_type,
        quarantined: it.quarantined,
    });
    Ok(OutgoingJson(MediaListAnswer { media: media.collect() }))
}
