//! What this service asks other servers, and how their files are kept.

use std::time::Duration;

use bytes::Bytes;
use ruma::{OwnedServerName, ServerName};
use vestibule_storage::{
    SlotNo,
    tables::media::{MEDIA, StoredFile, StoredMedia},
};
use vestibule_types::{
    BoxFuture,
    limits::{MEDIA_NAME_BYTES_MAX, MEDIA_TYPE_BYTES_MAX},
};

use crate::{
    DownloadMedia, DownloadMediaError, Media,
    download::Found,
    turns::{Share, Turns},
    upload::{ReceiveError, fits},
};

/// A file of another server.
#[derive(Debug)]
pub struct FetchedMedia {
    /// Its content type.
    pub content_type: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The file.
    pub body: Bytes,
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
    /// It could not be asked, or its answer was too large or not understood.
    #[error("the other server gave no file")]
    Failed,
}

/// Fetches files of other servers.
pub trait RemoteMedia: Send + Sync + 'static {
    /// Fetches a file of at most so many bytes, which the other server may wait for so long.
    fn fetch<'a>(
        &'a self,
        server: &'a ServerName,
        media_id: &'a str,
        bytes_max: u64,
        wait: Duration,
    ) -> BoxFuture<'a, Result<FetchedMedia, FetchMediaError>>;
}

/// Reaches nobody.
pub(crate) struct Alone;

impl RemoteMedia for Alone {
    fn fetch<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a str,
        _: u64,
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
        let _place = inner.fetches_waiting.try_acquire().map_err(|_| DownloadMediaError::Busy)?;
        let key = (wanted.server.clone(), wanted.media_id.clone());
        let share = Share::of(&inner.fetches, key);
        let _alone = share.turn().await;
        match self.look(&wanted.server, &wanted.media_id).await? {
            Found::Nothing => {}
            found => return Ok(found),
        }
        let _turn = inner.fetching.acquire().await.map_err(|_| DownloadMediaError::Busy)?;
        let bytes_max = self.config().upload_bytes_max;
        let fetched = self
            .remote()
            .fetch(&wanted.server, &wanted.media_id, bytes_max, wanted.wait)
            .await
            .map_err(|error| match error {
                FetchMediaError::NotFound => DownloadMediaError::NotFound,
                FetchMediaError::NotYetUploaded => DownloadMediaError::NotYetUploaded,
                FetchMediaError::Failed => DownloadMediaError::Unreachable,
            })?;
        self.keep_copy(wanted, fetched, bytes_max).await?;
        Ok(self.look(&wanted.server, &wanted.media_id).await?)
    }

    async fn keep_copy(
        &self,
        wanted: &DownloadMedia,
        fetched: FetchedMedia,
        bytes_max: u64,
    ) -> Result<(), DownloadMediaError> {
        let FetchedMedia { content_type, name, body } = fetched;
        let chunks = futures_util::stream::iter([Ok(body)]);
        let received = self.receive(Box::pin(chunks), bytes_max).await;
        let received = received.map_err(|error| match error {
            ReceiveError::Disk(cause) => DownloadMediaError::Disk(cause),
            ReceiveError::TooLarge | ReceiveError::TooSlow | ReceiveError::BrokenOff => {
                DownloadMediaError::Unreachable
            }
        })?;
        let row = StoredMedia {
            uploader: None,
            created_at: self.inner.parts.environment.now_ms(),
            expires_at: None,
            quarantined: false,
            file: Some(StoredFile {
                digest: received.digest,
                size: received.size,
                content_type: content_type.filter(|it| fits(Some(it), MEDIA_TYPE_BYTES_MAX)),
                name: name.filter(|it| fits(Some(it), MEDIA_NAME_BYTES_MAX)),
            }),
        };
        let (server, id) = (wanted.server.clone(), wanted.media_id.clone());
        let store = &self.inner.parts.store;
        let put = store.write(SlotNo(0), move |tx| MEDIA.put(tx, (&*server, &*id), &row));
        put.await?;
        Ok(())
    }
}
