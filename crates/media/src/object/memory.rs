//! Files in memory, for tests.

use std::{collections::BTreeMap, io, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use vestibule_storage::tables::media::FileDigest;
use vestibule_types::{BoxFuture, limits::MEDIA_PIECE_BYTES};

use super::{ObjectReader, ObjectStore, ObjectWriter};

type Files = Arc<Mutex<BTreeMap<FileDigest, Bytes>>>;

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryObjects(Files);

struct Writer {
    files: Files,
    written: BytesMut,
}

struct Reader(Bytes);

impl ObjectStore for MemoryObjects {
    fn begin(&self, _name: String) -> BoxFuture<'_, io::Result<Box<dyn ObjectWriter>>> {
        let writer = Writer { files: Arc::clone(&self.0), written: BytesMut::new() };
        Box::pin(async move { Ok(Box::new(writer) as Box<dyn ObjectWriter>) })
    }

    fn open(
        &self,
        digest: FileDigest,
        part: Range<u64>,
    ) -> BoxFuture<'_, io::Result<Option<Box<dyn ObjectReader>>>> {
        let file = self.0.lock().get(&digest).cloned();
        Box::pin(async move {
            let Some(file) = file else { return Ok(None) };
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
            let (from, to) = (at(part.start), at(part.end));
            let reader = Reader(file.slice(from.min(to)..to));
            Ok(Some(Box::new(reader) as Box<dyn ObjectReader>))
        })
    }

    /// When a file was written is not known here: it is removed in any case.
    fn remove(&self, digest: FileDigest, _: u64) -> BoxFuture<'_, io::Result<bool>> {
        let removed = self.0.lock().remove(&digest).is_some();
        Box::pin(async move { Ok(removed) })
    }
}

impl ObjectWriter for Writer {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        self.written.extend_from_slice(&piece);
        Box::pin(async { Ok(()) })
    }

    fn finish(self: Box<Self>, digest: FileDigest) -> BoxFuture<'static, io::Result<()>> {
        let Self { files, written } = *self;
        files.lock().entry(digest).or_insert_with(|| written.freeze());
        Box::pin(async { Ok(()) })
    }
}

impl ObjectReader for Reader {
    fn read(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>> {
        let piece = self.0.split_to(self.0.len().min(MEDIA_PIECE_BYTES));
        Box::pin(async move { Ok((!piece.is_empty()).then_some(piece)) })
    }
}
