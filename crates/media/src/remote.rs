//! What this service asks other servers, and how their files are kept.

use std::time::Duration;

use ruma::{OwnedServerName, ServerName};
use vestibule_storage::{
    SlotNo, StorageError,
    tables::media::{MEDIA, StoredFile, StoredMedia},
};
use vestibule_types::{
    BoxFuture,
    limits::{MEDIA_NAME_BYTES_MAX, MEDIA_TYPE_BYTES_MAX},
};

use crate::{
    Chunks, DownloadMedia, DownloadMediaError, Media,
    disk_space::DiskSpace,
    download::Found,
    turns::{Share, Turns},
    upload::{Hold, ReceiveError, fits, label},
};

/// A file of another server.
pub struct FetchedMedia {
    /// Its content type.
    pub content_type: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its size in bytes, where that is known before.
    pub size: Option<u64>,
    /// The file, as it arrives.
    pub chunks: Chunks,
}

/// Why another server gave no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchMediaError {
    /// It has none.
    #[error("the other server has no such media")]
    NotFound,
    /// It waits for it, too.
    #[error("the file has not been uploaded yet")]
    NotYetUploaded,
    /// It says that it is larger than it gives.
    #[error("the file is larger than this server fetches")]
    TooLarge,
    /// It could not be asked, or its answer was not understood.
    #[error("the other server gave no file")]
    Failed,
}

/// Fetches files of other servers.
pub trait RemoteMedia: Send + Sync + 'static {
    /// Begins to fetch a file, which the other server may wait for so long. However much comes: it is
    /// read no further than it is wanted.
    fn fetch<'a>(
        &'a self,
        server: &'a ServerName,
        media_id: &'a str,
        wait: Duration,
    ) -> BoxFuture<'a, Result<FetchedMedia, FetchMediaError>>;
}

impl From<FetchMediaError> for DownloadMediaError {
    fn from(error: FetchMediaError) -> Self {
        match error {
            FetchMediaError::NotFound => Self::NotFound,
            FetchMediaError::NotYetUploaded => Self::NotYetUploaded,
            FetchMediaError::TooLarge => Self::TooLarge,
            FetchMediaError::Failed => Self::Unreachable,
        }
    }
}

impl From<ReceiveError> for DownloadMediaError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Disk(cause) => Self::Disk(cause),
            ReceiveError::TooLarge => Self::TooLarge,
            ReceiveError::TooSlow | ReceiveError::BrokenOff => Self::Unreachable,
        }
    }
}

/// Reaches nobody.
pub(crate) struct Alone;

impl RemoteMedia for Alone {
    fn fetch<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<FetchedMedia, FetchMediaError>> {
        Box::pin(async { Err(FetchMediaError::NotFound) })
    }
}

/// Fetches that are under way, by what is fetched: each file is fetched once.
pub(crate) type Fetches = Turns<(OwnedServerName, String)>;

impl Media {
    /// Fetches a file of another server and keeps it.
    pub(crate) async fn fetch(&self, wanted: &DownloadMedia) -> Result<Found, DownloadMediaError> {
        let inner = &self.inner;
        let busy = |_| DownloadMediaError::Busy;
        let waiting = inner.waiting_for.of(wanted.server.clone());
        let _own_place = waiting.free.try_acquire().map_err(busy)?;
        let _place = inner.fetches_waiting.try_acquire().map_err(busy)?;
        let key = (wanted.server.clone(), wanted.media_id.clone());
        let share = Share::of(&inner.fetches, key);
        let _alone = share.turn().await;
        match self.look(&wanted.server, &wanted.media_id).await? {
            Found::Nothing => {}
            found => return Ok(found),
        }
        // Whoever waits for this server holds no place of the others.
        let fetching = inner.fetching_from.of(wanted.server.clone());
        let _own_turn = fetching.free.acquire().await.map_err(|_| DownloadMediaError::Busy)?;
        let _turn = inner.fetching.acquire().await.map_err(|_| DownloadMediaError::Busy)?;
        let fetched = self.remote().fetch(&wanted.server, &wanted.media_id, wanted.wait).await;
        self.keep_copy(wanted, fetched?).await?;
        Ok(self.look(&wanted.server, &wanted.media_id).await?)
    }

    async fn keep_copy(
        &self,
        wanted: &DownloadMedia,
        fetched: FetchedMedia,
    ) -> Result<(), DownloadMediaError> {
        let FetchedMedia { content_type, name, size, chunks } = fetched;
        let bytes_max = self.config().upload_bytes_max;
        if size.is_some_and(|size| size > bytes_max) {
            return Err(DownloadMediaError::TooLarge);
        }
        let mut room = DiskSpace::of(self);
        // Where the size is known, what has no room is not even begun.
        room.hold(size.unwrap_or_default()).await?;
        let received = self.receive(chunks, bytes_max, &mut room).await?;
        let row = StoredMedia {
            uploader: None,
            created_at: self.inner.parts.environment.now_ms(),
            expires_at: None,
            quarantined: false,
            file: Some(StoredFile {
                digest: received.digest,
                size: received.size,
                content_type: content_type
                    .map(label)
                    .filter(|it| fits(Some(it), MEDIA_TYPE_BYTES_MAX)),
                name: name.map(label).filter(|it| fits(Some(it), MEDIA_NAME_BYTES_MAX)),
            }),
        };
        let (server, id) = (wanted.server.clone(), wanted.media_id.clone());
        let store = &self.inner.parts.store;
        let put = store.write(SlotNo(0), move |tx| {
            // It may have been withheld while it was on its way.
            let known = MEDIA.contains(tx, (&*server, &*id))?;
            if !known {
                MEDIA.put(tx, (&*server, &*id), &row)?;
            }
            Ok::<_, StorageError>(!known)
        });
        room.is_being_written();
        if put.await?.value {
            room.becomes_copy(received.size);
        }
        Ok(())
    }
}
