//! Receiving a file: bounded in size and time, hashed on its way, and kept only when it is whole.

use std::{io, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use vestibule_storage::tables::media::FileDigest;
use vestibule_types::limits::{MEDIA_UPLOAD_PAUSE_MAX, MEDIA_UPLOAD_TIME_MAX};

use crate::Media;

/// A file as it arrives. An error ends it.
pub type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A file that arrived whole and is on disk.
pub(crate) struct Received {
    pub(crate) digest: FileDigest,
    pub(crate) size: u64,
}

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// It is larger than allowed.
    #[error("the file is too large")]
    TooLarge,
    /// It took too long.
    #[error("the file took too long to arrive")]
    TooSlow,
    /// It broke off.
    #[error("the file broke off")]
    BrokenOff,
    /// It could not be written.
    #[error("could not write the file")]
    Disk(#[source] io::Error),
}

/// What has a say in how much of a file is received.
pub(crate) trait Hold: Send {
    /// Why a file is not received.
    type Error: From<ReceiveError> + Send;

    /// Sees that there is room for so many bytes of it, counted from its beginning.
    fn hold(&mut self, bytes: u64) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl Media {
    /// Receives a file of at most so many bytes, as far as there is room.
    pub(crate) async fn receive<H: Hold>(
        &self,
        mut chunks: Chunks,
        bytes_max: u64,
        room: &mut H,
    ) -> Result<Received, H::Error> {
        let parts = &self.inner.parts;
        let mut writer =
            parts.objects.begin(self.fresh_name()).await.map_err(ReceiveError::Disk)?;
        let mut hash = Sha256::new();
        let mut size = 0_u64;
        let ends = parts.environment.clock.monotonic().saturating_add(MEDIA_UPLOAD_TIME_MAX);
        while let Some(chunk) = self.next(&mut chunks, ends).await? {
            size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if size > bytes_max {
                return Err(ReceiveError::TooLarge.into());
            }
            room.hold(size).await?;
            hash.update(&chunk);
            writer.write(chunk).await.map_err(ReceiveError::Disk)?;
        }
        let digest: FileDigest = hash.finalize().into();
        writer.finish(digest).await.map_err(ReceiveError::Disk)?;
        Ok(Received { digest, size })
    }

    async fn next(
        &self,
        chunks: &mut Chunks,
        ends: Duration,
    ) -> Result<Option<Bytes>, ReceiveError> {
        let clock = &self.inner.parts.environment.clock;
        let left = ends.saturating_sub(clock.monotonic()).min(MEDIA_UPLOAD_PAUSE_MAX);
        tokio::select! {
            chunk = chunks.next() => chunk.transpose().map_err(|_| ReceiveError::BrokenOff),
            () = clock.sleep(left) => Err(ReceiveError::TooSlow),
        }
    }
}
