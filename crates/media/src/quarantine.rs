//! Withholding a file from everybody.

use ruma::ServerName;
use tracing::instrument;
use vestibule_storage::{
    SlotNo, StorageError, Tx,
    tables::media::{FileDigest, MEDIA, StoredMedia, WITHHELD_FILE},
};

use crate::{Media, download::is_media_id};

/// Why a file is not withheld.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineMediaError {
    /// There is no such file.
    #[error("there is no such media")]
    NotFound,
    /// It could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Media {
    /// Withholds a file from everybody, or gives it back: its id, and its bytes, whoever else uploads
    /// them. One of another server may be withheld before it was ever fetched. For operators: nothing is
    /// asked.
    #[instrument(name = "media.quarantine_media", skip_all)]
    pub async fn quarantine_media(
        &self,
        server: &ServerName,
        media_id: &str,
        quarantined: bool,
    ) -> Result<(), QuarantineMediaError> {
        let store = &self.inner.parts.store;
        let (server, media_id) = (server.to_owned(), media_id.to_owned());
        let (reading, id) = (server.clone(), media_id.clone());
        let row = store.read(move |read| MEDIA.get(read, (&*reading, &*id))).await?;
        let uploader = row.and_then(|row| row.uploader);
        let slot = uploader.as_deref().map_or(SlotNo(0), |it| store.slot_of_user(it));
        let may_come = &*server != self.server_name() && is_media_id(&media_id);
        let unfetched = StoredMedia {
            uploader: None,
            created_at: self.inner.parts.environment.now_ms(),
            expires_at: None,
            quarantined,
            file: None,
        };
        let written = store.write(slot, move |tx| {
            let key = (&*server, &*media_id);
            let known = MEDIA.get(tx, key)?;
            let unfetched = (may_come && quarantined).then(|| unfetched.clone());
            let mut row = known.or(unfetched).ok_or(QuarantineMediaError::NotFound)?;
            row.quarantined = quarantined;
            if may_come && row.file.is_none() && !quarantined {
                MEDIA.delete(tx, key)?;
            } else {
                MEDIA.put(tx, key, &row)?;
            }
            Ok::<_, QuarantineMediaError>(row.file)
        });
        match written.await?.value {
            Some(file) => Ok(self.withhold_file(file.digest, quarantined).await?),
            None => Ok(()),
        }
    }

    async fn withhold_file(
        &self,
        digest: FileDigest,
        quarantined: bool,
    ) -> Result<(), StorageError> {
        let write = move |tx: &mut Tx<'_>| {
            if quarantined {
                WITHHELD_FILE.put(tx, (digest,), &())
            } else {
                WITHHELD_FILE.delete(tx, (digest,))
            }
        };
        self.inner.parts.store.write(SlotNo(0), write).await?;
        Ok(())
    }
}
