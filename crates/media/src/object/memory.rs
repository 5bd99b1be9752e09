//! Files in memory, for tests and for servers of which nothing outlives the process.

use std::{collections::BTreeMap, fmt, io, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use vestibule_storage::tables::media::FileDigest;
use vestibule_types::{BoxFuture, Clock, limits::MEDIA_PIECE_BYTES};

use super::{ObjectReader, ObjectStore, ObjectWriter};

/// A file, and when it was written, in milliseconds since the Unix epoch.
type Kept = (Bytes, u64);

/// Files in memory. Cloning shares them.
#[derive(Clone)]
pub struct MemoryObjects {
    files: Arc<Mutex<BTreeMap<FileDigest, Kept>>>,
    clock: Arc<dyn Clock>,
}

struct Writer {
    objects: MemoryObjects,
    written: BytesMut,
}

struct Reader {
    left: Bytes,
    /// Whether the part that was asked for goes on behind the end of the file.
    short: bool,
}

impl fmt::Debug for MemoryObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryObjects").finish_non_exhaustive()
    }
}

impl MemoryObjects {
    /// No files, by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { files: Arc::default(), clock }
    }
}

impl ObjectStore for MemoryObjects {
    fn begin(&self, _name: String) -> BoxFuture<'_, io::Result<Box<dyn ObjectWriter>>> {
        let writer = Writer { objects: self.clone(), written: BytesMut::new() };
        Box::pin(async move { Ok(Box::new(writer) as Box<dyn ObjectWriter>) })
    }

    fn open(
        &self,
        digest: FileDigest,
        part: Range<u64>,
    ) -> BoxFuture<'_, io::Result<Option<Box<dyn ObjectReader>>>> {
        let file = self.files.lock().get(&digest).map(|(file, _)| file.clone());
        Box::pin(async move {
            let Some(file) = file else { return Ok(None) };
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
            let (from, to) = (at(part.start), at(part.end));
            let short = to as u64 != part.end;
            let reader = Reader { left: file.slice(from.min(to)..to), short };
            Ok(Some(Box::new(reader) as Box<dyn ObjectReader>))
        })
    }

    fn exists(&self, digest: FileDigest) -> BoxFuture<'_, io::Result<bool>> {
        let there = self.files.lock().contains_key(&digest);
        Box::pin(async move { Ok(there) })
    }

    fn remove(&self, digest: FileDigest, written_before: u64) -> BoxFuture<'_, io::Result<bool>> {
        let mut files = self.files.lock();
        let old = files.get(&digest).is_some_and(|(_, written)| *written < written_before);
        if old {
            files.remove(&digest);
        }
        Box::pin(async move { Ok(old) })
    }

    fn list(
        &self,
        after: Option<FileDigest>,
        limit: usize,
    ) -> BoxFuture<'_, io::Result<Vec<FileDigest>>> {
        let files = self.files.lock();
        let behind = files.keys().filter(|digest| after.is_none_or(|after| **digest > after));
        let listed = behind.take(limit).copied().collect();
        Box::pin(async move { Ok(listed) })
    }

    /// What an earlier process had in memory is gone.
    fn forget_unfinished(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

impl ObjectWriter for Writer {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        self.written.extend_from_slice(&piece);
        Box::pin(async { Ok(()) })
    }

    fn finish(self: Box<Self>, digest: FileDigest) -> BoxFuture<'static, io::Result<()>> {
        let Self { objects, written } = *self;
        let now = u64::from(objects.clock.now().get());
        objects.files.lock().insert(digest, (written.freeze(), now));
        Box::pin(async { Ok(()) })
    }
}

impl ObjectReader for Reader {
    fn read(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>> {
        let piece = self.left.split_to(self.left.len().min(MEDIA_PIECE_BYTES));
        let ends_early = piece.is_empty() && self.short;
        Box::pin(async move {
            if ends_early {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok((!piece.is_empty()).then_some(piece))
        })
    }
}

#[cfg(test)]
mod tests {
    use vestibule_types::Clock;

    use super::*;

    /// Stands still, long after the epoch.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> ruma::MilliSecondsSinceUnixEpoch {
            ruma::MilliSecondsSinceUnixEpoch(ruma::uint!(1_000_000_000))
        }

        fn monotonic(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }

        fn sleep(&self, _: std::time::Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    crate::object::contract::object_store_contract!(memory, {
        (MemoryObjects::new(Arc::new(Still)), ())
    });
}
