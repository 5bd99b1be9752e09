//! Where the bytes of files lie. Nothing else in this crate knows what an engine keeps them in.

#[cfg(test)]
mod contract;
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

    /// Opens a part of a file; `None` when there is no such file. A part that the file does not have
    /// whole ends with an error.
    fn open(
        &self,
        digest: FileDigest,
        part: Range<u64>,
    ) -> BoxFuture<'_, io::Result<Option<Box<dyn ObjectReader>>>>;

    /// Whether there is such a file.
    fn exists(&self, digest: FileDigest) -> BoxFuture<'_, io::Result<bool>>;

    /// Removes a file that was written before a moment, in milliseconds since the Unix epoch. Says whether
    /// it did. A file that is written anew meanwhile stays.
    fn remove(&self, digest: FileDigest, written_before: u64) -> BoxFuture<'_, io::Result<bool>>;

    /// The files there are, by digest; those behind a digest, where one is given. Of those that come and go
    /// meanwhile, some may be among them.
    fn list(
        &self,
        after: Option<FileDigest>,
        limit: usize,
    ) -> BoxFuture<'_, io::Result<Vec<FileDigest>>>;

    /// Removes what an earlier process did not finish. Nothing may be written meanwhile.
    fn forget_unfinished(&self) -> BoxFuture<'_, io::Result<()>>;
}

/// A file that is being written. Dropped before it is finished, it leaves nothing.
pub trait ObjectWriter: Send {
    /// Appends to it.
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>>;

    /// Makes it durable under its digest, as one that was written just now. A file that is there already
    /// has the same bytes.
    fn finish(self: Box<Self>, digest: FileDigest) -> BoxFuture<'static, io::Result<()>>;
}

/// A file that is being read.
pub trait ObjectReader: Send {
    /// The next piece, of at most [`MEDIA_PIECE_BYTES`](vestibule_types::limits::MEDIA_PIECE_BYTES); `None`
    /// at the end.
    fn read(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>>;
}
