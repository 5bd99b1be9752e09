//! Withholding a file from everybody.

use ruma::ServerName;
use tracing::instrument;
use vestibule_storage::{
    SlotNo, StorageError, Tx,
    tables::media::{FileDigest, MEDIA, WITHHELD_FILE},
};

use crate::Media;

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
    /// them. For operators: nothing is asked.
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
        let row = store
            .read(move |read| {
                let row = MEDIA.get(read, (&*reading, &*id))?;
                row.ok_or(QuarantineMediaError::NotFound)
            })
            .await?;
        let slot = row.uploader.as_deref().map_or(SlotNo(0), |it| store.slot_of_user(it));
        let written = store.write(slot, move |tx| {
            let key = (&*server, &*media_id);
            let mut row = MEDIA.get(tx, key)?.ok_or(QuarantineMediaError::NotFound)?;
            row.quarantined = quarantined;
            Ok::<_, QuarantineMediaError>(MEDIA.put(tx, key, &row)?)
        });
        written.await?;
        match row.file {
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
