//! Making a media id ahead of its file.

use ruma::OwnedUserId;
use tracing::instrument;
use vestibule_accounts::Refusal;
use vestibule_policy::Denial;
use vestibule_storage::{
    StorageError, Tx,
    tables::media::{MEDIA, MEDIA_PENDING_BY_USER, StoredMedia},
};
use vestibule_types::{
    Actor,
    limits::{MEDIA_PENDING_LIFE, MEDIA_PENDING_PER_USER_MAX},
};

use crate::{Media, MediaId};

/// Why no id is made.
#[derive(Debug, thiserror::Error)]
pub enum CreateMediaError {
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Too many wait for their files; the first of them ends after so many milliseconds.
    #[error("upload to the ids you have, or wait for one to end")]
    TooMany(u64),
    /// It could not be stored.
    #[error("could not store the id")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for CreateMediaError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl Media {
    /// Makes a media id whose file comes later.
    #[instrument(name = "media.create_media", skip_all)]
    pub async fn create_media(&self, actor: &Actor) -> Result<MediaId, CreateMediaError> {
        let asked = self.ask(actor).await?;
        let now = self.inner.parts.environment.now_ms();
        let life = u64::try_from(MEDIA_PENDING_LIFE.as_millis()).unwrap_or(u64::MAX);
        let (id, expires_at) = (self.fresh_name(), now.saturating_add(life));
        let made = MediaId { id: id.clone(), expires_at: Some(expires_at) };
        let (server, user) = (self.server_name().to_owned(), actor.user_id().to_owned());
        let row = StoredMedia {
            uploader: Some(user.clone()),
            created_at: now,
            expires_at: Some(expires_at),
            quarantined: false,
            file: None,
        };
        self.write(actor.user_id(), move |tx| {
            asked.spend(tx)?;
            make_room(tx, (&server, &user), now)?;
            MEDIA.put(tx, (&*server, &*id), &row)?;
            MEDIA_PENDING_BY_USER.put(tx, (&*user, expires_at, &*id), &())?;
            Ok(made.clone())
        })
        .await
    }
}

/// Drops the ids that ended.
fn make_room(
    tx: &mut Tx<'_>,
    (server, user): (&ruma::ServerName, &OwnedUserId),
    now: u64,
) -> Result<(), CreateMediaError> {
    let pending = MEDIA_PENDING_BY_USER.scan(tx, (&**user,), MEDIA_PENDING_PER_USER_MAX)?;
    let ended = pending.partition_point(|((_, expires_at, _), ())| *expires_at <= now);
    if ended == 0 && pending.len() >= MEDIA_PENDING_PER_USER_MAX {
        let first = pending.first().map_or(now, |((_, expires_at, _), ())| *expires_at);
        return Err(CreateMediaError::TooMany(first.saturating_sub(now)));
    }
    for ((_, expires_at, id), ()) in pending.into_iter().take(ended) {
        MEDIA.delete(tx, (server, &*id))?;
        MEDIA_PENDING_BY_USER.delete(tx, (&**user, expires_at, &*id))?;
    }
    Ok(())
}
