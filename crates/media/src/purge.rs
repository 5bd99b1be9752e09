//! Taking away what need not be kept: copies of files of other servers, and pictures of previews.
//!
//! Rows go first. A file goes when no row is left that leads to it, and not before it has been there for
//! a while: a file is written before its row. What was cut short, by a crash too, is taken up later: each
//! purge looks at a stretch of the files there are, and removes those that no row leads to.

use std::{collections::BTreeSet, io, ops::ControlFlow};

use tracing::instrument;
use vestibule_storage::{
    Scan, SlotNo, StorageError, Tx,
    tables::media::{
        FileDigest, MEDIA, MOVING_THUMBNAIL, PREVIEW_PICTURE_BY_TIME, StoredMedia, THUMBNAIL,
    },
};
use vestibule_types::limits::{
    MEDIA_PURGE_GRACE, MEDIA_PURGE_STRETCH, MEDIA_PURGED_AT_ONCE_MAX, MEDIA_SWEPT_AT_ONCE_MAX,
    PREVIEW_PICTURE_LIFE,
};

use crate::{
    Media,
    copies::{Key, delete_copies, is_copy},
};

/// What was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Media ids.
    pub media: u64,
    /// Files.
    pub files: u64,
}

/// Why nothing more was taken away.
#[derive(Debug, thiserror::Error)]
pub enum PurgeMediaError {
    /// A file could not be removed.
    #[error("could not remove a file")]
    Disk(#[source] io::Error),
    /// The rows could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Media {
    /// Takes away pictures of previews that ended, and copies of files of other servers: those that were
    /// fetched before a moment, in milliseconds since the Unix epoch, and those that are too many. What is
    /// withheld stays withheld.
    #[instrument(name = "media.purge_media", skip_all)]
    pub async fn purge_media(
        &self,
        fetched_before: Option<u64>,
    ) -> Result<Purged, PurgeMediaError> {
        let mut gone = BTreeSet::new();
        let mut media = self.purge_pictures(&mut gone).await?;
        if let Some(before) = fetched_before {
            media += self.purge_copies(before, &mut gone).await?;
        }
        media += self.trim_copies(&mut gone).await?;
        let mut files = self.remove_files(gone).await?;
        let objects = &self.inner.parts.objects;
        let after = *self.inner.swept.lock();
        let found = objects.list(after, MEDIA_SWEPT_AT_ONCE_MAX).await;
        let found = found.map_err(PurgeMediaError::Disk)?;
        let goes_on = found.len() == MEDIA_SWEPT_AT_ONCE_MAX;
        *self.inner.swept.lock() = found.last().copied().filter(|_| goes_on);
        files += self.remove_files(found.into_iter().collect()).await?;
        Ok(Purged { media, files })
    }

    /// Removes those of the files that no row leads to, with their thumbnails. Says how many.
    pub(crate) async fn remove_files(
        &self,
        mut gone: BTreeSet<FileDigest>,
    ) -> Result<u64, PurgeMediaError> {
        if gone.is_empty() {
            return Ok(0);
        }
        self.keep_referenced(&mut gone).await?;
        gone.extend(self.purge_thumbnails(gone.clone()).await?);
        self.keep_referenced(&mut gone).await?;
        let grace = u64::try_from(MEDIA_PURGE_GRACE.as_millis()).unwrap_or(u64::MAX);
        let written_before = self.inner.parts.environment.now_ms().saturating_sub(grace);
        let mut count = 0;
        for digest in gone {
            let removed = self.inner.parts.objects.remove(digest, written_before).await;
            count += u64::from(removed.map_err(PurgeMediaError::Disk)?);
        }
        Ok(count)
    }

    async fn purge_pictures(&self, gone: &mut BTreeSet<FileDigest>) -> Result<u64, StorageError> {
        let life = u64::try_from(PREVIEW_PICTURE_LIFE.as_millis()).unwrap_or(u64::MAX);
        let ended = self.inner.parts.environment.now_ms().saturating_sub(life);
        let store = &self.inner.parts.store;
        let rows = store.read(move |read| {
            let ended = Scan::prefix(()).before((ended,)).limit(MEDIA_PURGED_AT_ONCE_MAX);
            PREVIEW_PICTURE_BY_TIME.scan_with(read, ended)
        });
        let mut count = 0;
        for ((at, id), _) in rows.await? {
            let server = self.server_name().to_owned();
            let taken = store.write(SlotNo(0), move |tx: &mut Tx<'_>| {
                let row = MEDIA.get(tx, (&*server, &*id))?;
                PREVIEW_PICTURE_BY_TIME.delete(tx, (at, &*id))?;
                let row = row.filter(|row| !row.quarantined);
                if row.is_some() {
                    MEDIA.delete(tx, (&*server, &*id))?;
                }
                Ok::<_, StorageError>(row)
            });
            let file = taken.await?.value.and_then(|row| row.file);
            count += u64::from(file.is_some());
            gone.extend(file.map(|file| file.digest));
        }
        Ok(count)
    }

    async fn purge_copies(
        &self,
        before: u64,
        gone: &mut BTreeSet<FileDigest>,
    ) -> Result<u64, StorageError> {
        let (store, ours) = (&self.inner.parts.store, self.server_name().to_owned());
        let is_old_copy =
            move |key: &Key, row: &StoredMedia| is_copy(&ours, key, row) && row.created_at < before;
        let mut last: Option<Key> = None;
        let mut count = 0;
        while gone.len() < MEDIA_PURGED_AT_ONCE_MAX {
            let after = last.clone();
            let rows = store.read(move |read| {
                let mut all = Scan::prefix(()).limit(MEDIA_PURGE_STRETCH);
                if let Some((server, id)) = &after {
                    all = all.after((&**server, &**id));
                }
                MEDIA.scan_with(read, all)
            });
            let rows = rows.await?;
            let more = rows.len() == MEDIA_PURGE_STRETCH;
            last = rows.last().map(|(key, _)| key.clone());
            let old = rows.into_iter().filter(|(key, row)| is_old_copy(key, row));
            let old: Vec<(Key, StoredMedia)> = old.collect();
            count += u64::try_from(old.len()).unwrap_or(u64::MAX);
            gone.extend(old.iter().filter_map(|(_, row)| Some(row.file.as_ref()?.digest)));
            store.write(SlotNo(0), move |tx: &mut Tx<'_>| delete_copies(tx, &old)).await?;
            if !more {
                break;
            }
        }
        Ok(count)
    }

    /// Takes those files out that something leads to.
    async fn keep_referenced(&self, gone: &mut BTreeSet<FileDigest>) -> Result<(), StorageError> {
        let mut left = std::mem::take(gone);
        let store = &self.inner.parts.store;
        let left = store.read(move |read| {
            MEDIA.each(read, Scan::prefix(()), |_, row| {
                if let Some(file) = row.file {
                    left.remove(&file.digest);
                }
                ControlFlow::Continue(())
            })?;
            for thumbnails in [&THUMBNAIL, &MOVING_THUMBNAIL] {
                thumbnails.each(read, Scan::prefix(()), |(source, ..), row| {
                    // The image itself may stand for its thumbnail.
                    if row.digest != source {
                        left.remove(&row.digest);
                    }
                    ControlFlow::Continue(())
                })?;
            }
            Ok::<_, StorageError>(left)
        });
        *gone = left.await?;
        Ok(())
    }

    /// Takes the thumbnails of these images away, and names their files.
    async fn purge_thumbnails(
        &self,
        sources: BTreeSet<FileDigest>,
    ) -> Result<Vec<FileDigest>, StorageError> {
        let store = &self.inner.parts.store;
        let delete = move |tx: &mut Tx<'_>| {
            let mut files = Vec::new();
            for (source, thumbnails) in
                sources.iter().flat_map(|it| [(it, &THUMBNAIL), (it, &MOVING_THUMBNAIL)])
            {
                for (key, row) in thumbnails.scan(tx, (source,), MEDIA_PURGE_STRETCH)? {
                    thumbnails.delete(tx, key)?;
                    files.push(row.digest);
                }
            }
            Ok::<_, StorageError>(files)
        };
        Ok(store.write(SlotNo(0), delete).await?.value)
    }
}
