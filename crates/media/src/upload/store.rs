//! Uploading a file, under a new id or one that was made before.

use std::io;

use ruma::{OwnedUserId, ServerName};
use tracing::instrument;
use vestibule_accounts::Refusal;
use vestibule_policy::Denial;
use vestibule_storage::{
    Read, StorageError, Tx,
    tables::media::{MEDIA, MEDIA_BYTES_BY_USER, MEDIA_PENDING_BY_USER, StoredFile, StoredMedia},
};
use vestibule_types::{
    Actor,
    limits::{MEDIA_NAME_BYTES_MAX, MEDIA_TYPE_BYTES_MAX},
};

use super::{Chunks, ReceiveError, keep};
use crate::{Media, ask::Asked};

/// A file somebody uploads.
pub struct Upload {
    /// Its content type.
    pub content_type: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its size, where that is known before.
    pub size: Option<u64>,
    /// The file.
    pub chunks: Chunks,
}

/// Why a file was not stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadMediaError {
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The file is larger than this server takes.
    #[error("the file is larger than this server takes")]
    TooLarge,
    /// The user uploaded as much as one may.
    #[error("you uploaded as much as one may here")]
    QuotaReached,
    /// Its name or content type is too long.
    #[error("the name and the content type have at most {MEDIA_NAME_BYTES_MAX} bytes each")]
    LongLabel,
    /// It took too long to arrive.
    #[error("the file took too long to arrive")]
    TooSlow,
    /// It broke off.
    #[error("the file broke off")]
    BrokenOff,
    /// Too many files are being received.
    #[error("too many files are being received")]
    Busy,
    /// There is no such id, or it ended.
    #[error("there is no such media id, or it has ended")]
    NotFound,
    /// Somebody else made the id.
    #[error("somebody else made this media id")]
    SomebodyElses,
    /// The id has a file.
    #[error("there is a file under this media id already")]
    Overwrite,
    /// The file could not be written.
    #[error("could not write the file")]
    Disk(#[source] io::Error),
    /// It could not be stored.
    #[error("could not store the media")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for UploadMediaError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<ReceiveError> for UploadMediaError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::TooLarge => Self::TooLarge,
            ReceiveError::TooSlow => Self::TooSlow,
            ReceiveError::BrokenOff => Self::BrokenOff,
            ReceiveError::Disk(error) => Self::Disk(error),
        }
    }
}

impl Media {
    /// Stores a file under a new id.
    #[instrument(name = "media.upload_media", skip_all)]
    pub async fn upload_media(
        &self,
        actor: &Actor,
        upload: Upload,
    ) -> Result<String, UploadMediaError> {
        let asked = self.ask(actor).await?;
        let file = self.take(actor, upload).await?;
        let id = self.fresh_name();
        let made = id.clone();
        let (server, user) = (self.server_name().to_owned(), actor.user_id().to_owned());
        let row = StoredMedia {
            uploader: Some(user.clone()),
            created_at: self.inner.parts.environment.now_ms(),
            expires_at: None,
            quarantined: false,
            file: Some(file),
        };
        let quota = self.config().user_bytes_max;
        self.write(actor.user_id(), move |tx| {
            admit(tx, &asked, (&user, quota), &row)?;
            Ok::<_, UploadMediaError>(keep(tx, (&server, &made), &user, &row)?)
        })
        .await?;
        Ok(id)
    }

    /// Stores the file of an id that was made before.
    #[instrument(name = "media.upload_to", skip_all)]
    pub async fn upload_to(
        &self,
        actor: &Actor,
        (server, id): (&ServerName, &str),
        upload: Upload,
    ) -> Result<(), UploadMediaError> {
        let asked = self.ask(actor).await?;
        let (server, id) = (server.to_owned(), id.to_owned());
        let (reading, wanted) = (server.clone(), id.clone());
        let user = actor.user_id().to_owned();
        let (owner, now) = (user.clone(), self.inner.parts.environment.now_ms());
        // Nothing is received for an id that takes nothing.
        let store = &self.inner.parts.store;
        store.read(move |read| awaited(read, (&reading, &wanted), &owner, now)).await?;
        let file = self.take(actor, upload).await?;
        let now = self.inner.parts.environment.now_ms();
        let quota = self.config().user_bytes_max;
        self.write(actor.user_id(), move |tx| {
            let mut row = awaited(tx, (&server, &id), &user, now)?;
            if let Some(expires_at) = row.expires_at.take() {
                MEDIA_PENDING_BY_USER.delete(tx, (&*user, expires_at, &*id))?;
            }
            row.file = Some(file.clone());
            admit(tx, &asked, (&user, quota), &row)?;
            Ok::<_, UploadMediaError>(keep(tx, (&server, &id), &user, &row)?)
        })
        .await?;
        self.inner.arrival.notify_waiters();
        Ok(())
    }

    /// Receives the file.
    async fn take(&self, actor: &Actor, upload: Upload) -> Result<StoredFile, UploadMediaError> {
        let config = self.config();
        let Upload { content_type, name, size, chunks } = upload;
        let (content_type, name) = (content_type.map(label), name.map(label));
        if !fits(content_type.as_deref(), MEDIA_TYPE_BYTES_MAX)
            || !fits(name.as_deref(), MEDIA_NAME_BYTES_MAX)
        {
            return Err(UploadMediaError::LongLabel);
        }
        if size.is_some_and(|size| size > config.upload_bytes_max) {
            return Err(UploadMediaError::TooLarge);
        }
        let user = actor.user_id().to_owned();
        let quota = config.user_bytes_max;
        let store = &self.inner.parts.store;
        store.read(move |read| room_for(read, &user, quota, size.unwrap_or(1))).await?;
        let own = self.inner.uploads_of.of(actor.user_id().to_owned());
        let _own_turn = own.free.try_acquire().map_err(|_| UploadMediaError::Busy)?;
        let _turn = self.inner.uploads.try_acquire().map_err(|_| UploadMediaError::Busy)?;
        let received = self.receive(chunks, config.upload_bytes_max, &mut ()).await?;
        Ok(StoredFile { digest: received.digest, size: received.size, content_type, name })
    }
}

/// A name or content type without what no header and no terminal should be told.
pub(crate) fn label(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, "") } else { text }
}

/// Whether a label can be kept.
pub(crate) fn fits(label: Option<&str>, bytes_max: usize) -> bool {
    label.is_none_or(|text| text.len() <= bytes_max)
}

/// The row of an id that waits for this user's file.
fn awaited(
    read: &impl Read,
    (server, id): (&ServerName, &str),
    user: &OwnedUserId,
    now: u64,
) -> Result<StoredMedia, UploadMediaError> {
    let row = MEDIA.get(read, (server, id))?.ok_or(UploadMediaError::NotFound)?;
    if row.uploader.as_ref() != Some(user) {
        return Err(UploadMediaError::SomebodyElses);
    }
    if row.file.is_some() {
        return Err(UploadMediaError::Overwrite);
    }
    if row.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(UploadMediaError::NotFound);
    }
    Ok(row)
}

/// Spends the permit and looks whether the user may keep as much.
fn admit(
    tx: &mut Tx<'_>,
    asked: &Asked,
    (user, quota): (&OwnedUserId, Option<u64>),
    row: &StoredMedia,
) -> Result<(), UploadMediaError> {
    asked.spend(tx)?;
    room_for(tx, user, quota, row.file.as_ref().map_or(0, |file| file.size))
}

fn room_for(
    read: &impl Read,
    user: &OwnedUserId,
    quota: Option<u64>,
    size: u64,
) -> Result<(), UploadMediaError> {
    let Some(quota) = quota else { return Ok(()) };
    let before = MEDIA_BYTES_BY_USER.get(read, (&**user,))?;
    if before.saturating_add(size) > quota {
        return Err(UploadMediaError::QuotaReached);
    }
    Ok(())
}
