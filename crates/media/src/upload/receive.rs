//! Receiving a file: bounded in size and time, hashed on its way, and kept only when it is whole.

use std::{io, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use vestibule_storage::tables::media::FileDigest;
use vestibule_types::limits::{
    MEDIA_RATE_GRACE, MEDIA_RATE_MIN, MEDIA_UPLOAD_PAUSE_MAX, MEDIA_UPLOAD_TIME_MAX,
};

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
        let began = parts.environment.clock.monotonic();
        while let Some(chunk) = self.next(&mut chunks, deadline(began, size)).await? {
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
            // What is here came in time, however long it took to write what came before.
            biased;
            chunk = chunks.next() => chunk.transpose().map_err(|_| ReceiveError::BrokenOff),
            () = clock.sleep(left) => Err(ReceiveError::TooSlow),
        }
    }
}

/// When a file that began then and of which so many bytes came is too slow.
fn deadline(began: Duration, bytes: u64) -> Duration {
    let slowest = MEDIA_RATE_GRACE.saturating_add(Duration::from_secs(bytes / MEDIA_RATE_MIN));
    began.saturating_add(slowest.min(MEDIA_UPLOAD_TIME_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_trickles_in_ends_early_and_one_that_comes_fast_enough_does_not() {
        let began = Duration::from_secs(7);
        assert_eq!(deadline(began, 0), began + MEDIA_RATE_GRACE);
        let minute = Duration::from_mins(1);
        assert_eq!(deadline(began, 60 * MEDIA_RATE_MIN), began + MEDIA_RATE_GRACE + minute);
        assert_eq!(deadline(began, u64::MAX), began + MEDIA_UPLOAD_TIME_MAX);
    }
}
