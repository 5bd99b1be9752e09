//! Taking files away for good: one of them, or all of a user's. The bytes go with the last id that leads
//! to them; what one uploaded counts no more.

use std::{collections::BTreeSet, io};

use ruma::{OwnedServerName, OwnedUserId, ServerName};
use tracing::instrument;
use vestibule_accounts::job::{self, DELETE_MEDIA, DeleteMedia};
use vestibule_storage::{
    Read, StorageError, Tx,
    tables::media::{
        COPY_USED, FileDigest, MEDIA, MEDIA_BY_USER, MEDIA_BYTES_BY_USER, MEDIA_PENDING_BY_USER,
        PREVIEW_PICTURE_BY_TIME, StoredMedia,
    },
};
use vestibule_types::limits::{MEDIA_PENDING_PER_USER_MAX, MEDIA_PURGE_STRETCH};

use crate::{Media, PurgeMediaError, Purged};

/// Why a file was not taken away.
#[derive(Debug, thiserror::Error)]
pub enum DeleteMediaError {
    /// There is no such file.
    #[error("there is no such media")]
    NotFound,
    /// The payload of a job is damaged.
    #[error("the job cannot be read")]
    Unreadable,
    /// A file could not be removed. Nothing leads to it any more, so that a purge does it later.
    #[error("could not remove a file")]
    Disk(#[source] io::Error),
    /// The rows could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<PurgeMediaError> for DeleteMediaError {
    fn from(error: PurgeMediaError) -> Self {
        match error {
            PurgeMediaError::Disk(cause) => Self::Disk(cause),
            PurgeMediaError::Storage(cause) => Self::Storage(cause),
        }
    }
}

impl Media {
    /// Takes one file away. A copy of another server's is fetched again when it is wanted again, unless it
    /// is withheld. For operators: nothing is asked.
    #[instrument(name = "media.delete_media", skip_all)]
    pub async fn delete_media(
        &self,
        server: &ServerName,
        media_id: &str,
    ) -> Result<Purged, DeleteMediaError> {
        let store = &self.inner.parts.store;
        let key = (server.to_owned(), media_id.to_owned());
        let reading = key.clone();
        let row = store.read(move |read| row(read, &reading)).await?;
        let slot = row.and_then(|row| row.uploader).map(|user| store.slot_of_user(&user));
        let write = move |tx: &mut Tx<'_>| {
            let row = row_of(tx, &key)?;
            delete_row(tx, &key, &row)?;
            Ok::<_, DeleteMediaError>(row)
        };
        let taken = store.write(slot.unwrap_or(vestibule_storage::SlotNo(0)), write).await?.value;
        let gone = taken.file.into_iter().map(|file| file.digest).collect();
        Ok(Purged { media: 1, files: self.remove_files(gone).await? })
    }

    /// Takes away everything a user of this server uploaded.
    #[instrument(name = "media.delete_media_of", skip_all)]
    pub async fn delete_media_of(&self, user: &OwnedUserId) -> Result<Purged, DeleteMediaError> {
        let mut purged = Purged::default();
        loop {
            let (server, owner) = (self.server_name().to_owned(), user.clone());
            let stretch = self.write(user, move |tx| delete_stretch(tx, &server, &owner)).await?;
            purged.media += stretch.ids;
            purged.files += self.remove_files(stretch.files).await?;
            if stretch.ids == 0 {
                return Ok(purged);
            }
        }
    }

    /// Whether this service does jobs of a kind.
    #[must_use]
    pub fn does_job(kind: &str) -> bool {
        kind == DELETE_MEDIA
    }

    /// What a job must not run beside: whatever else is about the same user.
    #[must_use]
    pub fn job_lane(payload: &[u8]) -> String {
        let about = job::decode::<DeleteMedia>(payload);
        about.map_or_else(|| DELETE_MEDIA.to_owned(), |about| format!("user {}", about.user_id))
    }

    /// Does a job. It may be done again.
    pub async fn run_job(&self, payload: &[u8]) -> Result<(), DeleteMediaError> {
        let about: DeleteMedia = job::decode(payload).ok_or(DeleteMediaError::Unreadable)?;
        self.delete_media_of(&about.user_id).await?;
        Ok(())
    }
}

/// What one step took away.
#[derive(Default)]
struct Stretch {
    ids: u64,
    files: BTreeSet<FileDigest>,
}

fn row(
    read: &impl Read,
    (server, id): &(OwnedServerName, String),
) -> Result<Option<StoredMedia>, StorageError> {
    MEDIA.get(read, (&**server, &**id))
}

fn row_of(
    read: &impl Read,
    key: &(OwnedServerName, String),
) -> Result<StoredMedia, DeleteMediaError> {
    row(read, key)?.ok_or(DeleteMediaError::NotFound)
}

/// Takes a row away with all that leads to it, and gives its place under the quota back.
fn delete_row(
    tx: &mut Tx<'_>,
    (server, id): &(OwnedServerName, String),
    row: &StoredMedia,
) -> Result<(), StorageError> {
    let (server, id) = (&**server, &**id);
    MEDIA.delete(tx, (server, id))?;
    COPY_USED.delete(tx, (server, id))?;
    PREVIEW_PICTURE_BY_TIME.delete(tx, (row.created_at, id))?;
    let Some(user) = &row.uploader else { return Ok(()) };
    if let Some(expires_at) = row.expires_at {
        MEDIA_PENDING_BY_USER.delete(tx, (&**user, expires_at, id))?;
    }
    let Some(file) = &row.file else { return Ok(()) };
    MEDIA_BY_USER.delete(tx, (&**user, row.created_at, id))?;
    let size = i64::try_from(file.size).unwrap_or(i64::MAX);
    MEDIA_BYTES_BY_USER.add(tx, (&**user,), size.saturating_neg())
}

/// Takes some of a user's files away, and the ids that wait for one.
fn delete_stretch(
    tx: &mut Tx<'_>,
    server: &OwnedServerName,
    user: &OwnedUserId,
) -> Result<Stretch, DeleteMediaError> {
    let files = MEDIA_BY_USER.scan(&*tx, (&**user,), MEDIA_PURGE_STRETCH)?;
    let pending = MEDIA_PENDING_BY_USER.scan(&*tx, (&**user,), MEDIA_PENDING_PER_USER_MAX)?;
    let mut stretch = Stretch::default();
    for ((_, at, id), ()) in &files {
        // What leads nowhere goes as well.
        MEDIA_BY_USER.delete(tx, (&**user, *at, &**id))?;
    }
    for ((_, expires_at, id), ()) in &pending {
        MEDIA_PENDING_BY_USER.delete(tx, (&**user, *expires_at, &**id))?;
    }
    let ids = files.into_iter().chain(pending).map(|((_, _, id), ())| id);
    for key in ids.map(|id| (server.clone(), id)) {
        stretch.ids += 1;
        let Some(row) = row(&*tx, &key)? else { continue };
        delete_row(tx, &key, &row)?;
        stretch.files.extend(row.file.map(|file| file.digest));
    }
    Ok(stretch)
}
