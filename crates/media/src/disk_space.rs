//! Space on disk for copies of files of other servers.
//!
//! What is kept and what is being fetched never take more together than the operator's bound: each
//! piece of a file takes its room before it is written. Where there is none, copies that were unused
//! for the longest time go first, with their files; where that is not enough, nothing is fetched.
//!
//! What is kept is counted once and then added to. Whenever that is in doubt, it is counted anew, and
//! what came meanwhile counts twice rather than not at all.

use std::{collections::BTreeSet, future::Future, time::Duration};

use parking_lot::Mutex;
use vestibule_types::limits::MEDIA_ROOM_PAUSE;

use crate::{
    DownloadMediaError, Media,
    purge::PurgeMediaError,
    upload::{Hold, ReceiveError},
};

/// How much room is taken.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    /// Bytes of copies, once they were counted.
    kept: Option<u64>,
    /// Bytes that are being fetched.
    fetching: u64,
    /// Bytes of all copies that came since the server began.
    came: u64,
    /// Until when nobody looks for room again, because there was none.
    full_until: Option<Duration>,
}

/// The space of one file while it is fetched; given back when it is dropped.
pub(crate) struct DiskSpace {
    media: Media,
    bytes: u64,
    /// Whether its row may be written or not.
    in_doubt: bool,
}

impl Ledger {
    /// Takes room, where there is enough.
    fn take(&self, bytes: u64, bound: Option<u64>) -> bool {
        let mut taken = self.0.lock();
        let free = bound.is_none_or(|bound| {
            let all = |kept: u64| kept.saturating_add(taken.fetching).saturating_add(bytes);
            taken.kept.is_some_and(|kept| all(kept) <= bound)
        });
        if free {
            taken.fetching = taken.fetching.saturating_add(bytes);
        }
        free
    }

    /// What is being fetched, and what came until now.
    pub(crate) fn before_counting(&self) -> (u64, u64) {
        let taken = self.0.lock();
        (taken.fetching, taken.came)
    }

    /// So much is kept of what came before counting began.
    pub(crate) fn counted(&self, bytes: u64, came_before: u64) {
        let mut taken = self.0.lock();
        taken.kept = Some(bytes.saturating_add(taken.came.saturating_sub(came_before)));
    }
}

impl DiskSpace {
    /// None yet.
    pub(crate) fn of(media: &Media) -> Self {
        Self { media: media.clone(), bytes: 0, in_doubt: false }
    }

    /// The row of the file is being written.
    pub(crate) fn is_being_written(&mut self) {
        self.in_doubt = true;
    }

    /// The file is kept, and has so many bytes.
    pub(crate) fn becomes_copy(mut self, size: u64) {
        let mut taken = self.media.inner.copies.ledger.0.lock();
        taken.kept = taken.kept.map(|kept| kept.saturating_add(size));
        taken.came = taken.came.saturating_add(size);
        self.in_doubt = false;
    }
}

impl Hold for DiskSpace {
    type Error = DownloadMediaError;

    async fn hold(&mut self, bytes: u64) -> Result<(), Self::Error> {
        let more = bytes.saturating_sub(self.bytes);
        let bound = self.media.config().remote_bytes_max;
        if bound.is_some_and(|bound| bytes > bound) {
            return Err(DownloadMediaError::TooLarge);
        }
        if more > 0 && !self.media.inner.copies.ledger.take(more, bound) {
            self.media.make_room(more).await?;
        }
        self.bytes = self.bytes.max(bytes);
        Ok(())
    }
}

impl Drop for DiskSpace {
    fn drop(&mut self) {
        let mut taken = self.media.inner.copies.ledger.0.lock();
        taken.fetching = taken.fetching.saturating_sub(self.bytes);
        if self.in_doubt {
            taken.kept = None;
        }
    }
}

impl Media {
    /// Takes copies away until there is room for so many bytes, and takes it.
    async fn make_room(&self, bytes: u64) -> Result<(), DownloadMediaError> {
        let copies = &self.inner.copies;
        let clock = &self.inner.parts.environment.clock;
        let bound = self.config().remote_bytes_max;
        let _alone = copies.clearing.lock().await;
        if copies.ledger.take(bytes, bound) {
            return Ok(());
        }
        let full_until = copies.ledger.0.lock().full_until;
        if full_until.is_some_and(|until| clock.monotonic() < until) {
            return Err(DownloadMediaError::NoRoom);
        }
        let mut gone = BTreeSet::new();
        self.trim_for(bytes, &mut gone).await?;
        self.remove_files(gone).await?;
        if copies.ledger.take(bytes, bound) {
            return Ok(());
        }
        let until = clock.monotonic().saturating_add(MEDIA_ROOM_PAUSE);
        copies.ledger.0.lock().full_until = Some(until);
        Err(DownloadMediaError::NoRoom)
    }
}

impl From<PurgeMediaError> for DownloadMediaError {
    fn from(error: PurgeMediaError) -> Self {
        match error {
            PurgeMediaError::Disk(cause) => Self::Disk(cause),
            PurgeMediaError::Storage(cause) => Self::Storage(cause),
        }
    }
}

/// What is not counted takes no room.
impl Hold for () {
    type Error = ReceiveError;

    fn hold(&mut self, _: u64) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }
}
