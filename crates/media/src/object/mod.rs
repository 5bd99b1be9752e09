//! Where the bytes of files lie.

mod file;
mod memory;

use std::{io, ops::Range};

use bytes::Bytes;
use vestibule_storage::tables::media::FileDigest;
use vestibule_types::BoxFuture;

pub use self::{file::FileObjects, memory::MemoryObjects};

/// Keeps files under their digest.
pub trait ObjectStore: Send + Sync + 'static {
    /// Begins a file, under a name that is used once.
    fn begin(&self, name: String) -> BoxFuture<'_, io::Result<Box<dyn ObjectWriter>>>;

    /// Opens a part of a file; `None` when there is no such file.
    fn open(
        &self,
        digest: FileDigest,
        part: Range<u64>,
    ) -> BoxFuture<'_, io::Result<Option<Box<dyn ObjectReader>>>>;

    /// Removes a file that was written before a moment, in milliseconds since the Unix epoch. Says whether
    /// it did. A file that is written anew meanwhile stays.
    fn remove(&self, digest: FileDigest, written_before: u64) -> BoxFuture<'_, io::Result<bool>>;
}

/// A file that is being written. Dropped before it is finished, it leaves nothing.
pub trait ObjectWriter: Send {
    /// Appends to it.
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>>;

    /// Makes it durable under its digest. A file that is there already stays as it is.
    fn finish(self: Box<Self>, digest: FileDigest) -> BoxFuture<'static, io::Result<()>>;
}

/// A file that is being read.
pub trait ObjectReader: Send {
    /// The next piece; `None` at the end.
    fn read(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>>;
}
