//! Files in a folder: `ab/cdef…` for the digest `abcdef…`, and `unfinished/` for those being written.

use std::{fmt::Write, io, ops::Range, path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    sync::RwLock,
};
use vestibule_storage::tables::media::FileDigest;
use vestibule_types::{BoxFuture, limits::MEDIA_PIECE_BYTES};

use super::{ObjectReader, ObjectStore, ObjectWriter};

/// Files in a folder.
#[derive(Clone, Debug)]
pub struct FileObjects {
    folder: PathBuf,
    /// Held by who puts a file in its place, and alone by who removes one.
    places: Arc<RwLock<()>>,
}

struct Writer {
    folder: PathBuf,
    places: Arc<RwLock<()>>,
    unfinished: Unfinished,
    file: File,
}

/// The path of a file that is being written; removed with this.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // A finished file has moved away, then there is nothing to remove.
        let _gone = std::fs::remove_file(&self.0);
    }
}

struct Reader {
    file: File,
    left: u64,
}

impl FileObjects {
    /// The files of this folder. It is made with the first file.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder, places: Arc::default() }
    }

    /// Removes what an earlier process did not finish. Nothing may be written meanwhile.
    pub fn forget_unfinished(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(self.folder.join(UNFINISHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

const UNFINISHED: &str = "unfinished";

/// Where in the folder the file with this digest lies.
fn place(folder: &std::path::Path, digest: &FileDigest) -> (PathBuf, PathBuf) {
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    let (shelf, name) = text.split_at_checked(2).unwrap_or(("", &text));
    let shelf = folder.join(shelf);
    let path = shelf.join(name);
    (shelf, path)
}

impl ObjectStore for FileObjects {
    fn begin(&self, name: String) -> BoxFuture<'_, io::Result<Box<dyn ObjectWriter>>> {
        Box::pin(async move {
            let unfinished = self.folder.join(UNFINISHED);
            fs::create_dir_all(&unfinished).await?;
            let path = unfinished.join(name);
            let file = File::create_new(&path).await?;
            let folder = self.folder.clone();
            let places = Arc::clone(&self.places);
            let writer = Writer { folder, places, unfinished: Unfinished(path), file };
            Ok(Box::new(writer) as Box<dyn ObjectWriter>)
        })
    }

    fn open(
        &self,
        digest: FileDigest,
        part: Range<u64>,
    ) -> BoxFuture<'_, io::Result<Option<Box<dyn ObjectReader>>>> {
        Box::pin(async move {
            let (_, path) = place(&self.folder, &digest);
            let mut file = match File::open(path).await {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            file.seek(io::SeekFrom::Start(part.start)).await?;
            let left = part.end.saturating_sub(part.start);
            Ok(Some(Box::new(Reader { file, left }) as Box<dyn ObjectReader>))
        })
    }

    fn remove(&self, digest: FileDigest, written_before: u64) -> BoxFuture<'_, io::Result<bool>> {
        Box::pin(async move {
            let (_, path) = place(&self.folder, &digest);
            let _alone = self.places.write().await;
            let written = match fs::metadata(&path).await.and_then(|about| about.modified()) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            };
            let written = written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            if written.as_millis() >= u128::from(written_before) {
                return Ok(false);
            }
            fs::remove_file(&path).await.map(|()| true)
        })
    }
}

impl ObjectWriter for Writer {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move { self.file.write_all(&piece).await })
    }

    fn finish(self: Box<Self>, digest: FileDigest) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(async move {
            let Self { folder, places, unfinished, mut file } = *self;
            file.flush().await?;
            file.sync_all().await?;
            drop(file);
            let (drawer, path) = place(&folder, &digest);
            fs::create_dir_all(&drawer).await?;
            let placing = places.read().await;
            fs::rename(&unfinished.0, &path).await?;
            drop(placing);
            // The names are durable only when their folders are.
            File::open(&drawer).await?.sync_all().await?;
            File::open(&folder).await?.sync_all().await
        })
    }
}

impl ObjectReader for Reader {
    fn read(&mut self) -> BoxFuture<'_, io::Result<Option<Bytes>>> {
        Box::pin(async move {
            let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(MEDIA_PIECE_BYTES);
            if wanted == 0 {
                return Ok(None);
            }
            let mut piece = BytesMut::zeroed(wanted);
            let read = self.file.read(&mut piece).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            piece.truncate(read);
            self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
            Ok(Some(piece.freeze()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn whole(objects: &dyn ObjectStore, digest: FileDigest, part: Range<u64>) -> Vec<u8> {
        let mut reader = objects.open(digest, part).await.unwrap().unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = reader.read().await.unwrap() {
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    async fn keeps_files(objects: &dyn ObjectStore) {
        for name in ["once", "twice"] {
            let mut writer = objects.begin(name.to_owned()).await.unwrap();
            writer.write(Bytes::from_static(b"hello ")).await.unwrap();
            writer.write(Bytes::from_static(b"world")).await.unwrap();
            writer.finish([7; 32]).await.unwrap();
        }
        assert_eq!(whole(objects, [7; 32], 0..11).await, b"hello world");
        assert_eq!(whole(objects, [7; 32], 4..8).await, b"o wo");
        assert!(objects.open([8; 32], 0..1).await.unwrap().is_none());
        assert!(!objects.remove([8; 32], u64::MAX).await.unwrap());
        assert!(objects.remove([7; 32], u64::MAX).await.unwrap());
        assert!(objects.open([7; 32], 0..1).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn both_kinds_keep_files() {
        let folder = tempfile::tempdir().unwrap();
        keeps_files(&FileObjects::in_folder(folder.path().join("media"))).await;
        keeps_files(&super::super::MemoryObjects::default()).await;
    }

    #[tokio::test]
    async fn a_file_that_was_just_written_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FileObjects::in_folder(folder.path().to_owned());
        let writer = objects.begin("fresh".to_owned()).await.unwrap();
        writer.finish([7; 32]).await.unwrap();
        assert!(!objects.remove([7; 32], 1_000).await.unwrap());
        assert!(objects.open([7; 32], 0..0).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_file_that_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FileObjects::in_folder(folder.path().to_owned());
        let mut writer = objects.begin("half".to_owned()).await.unwrap();
        writer.write(Bytes::from_static(b"half a")).await.unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path().join(UNFINISHED)).unwrap().count(), 0);
    }
}
