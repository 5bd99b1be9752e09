//! Files in a folder: `ab/cdef…` for the digest `abcdef…`, and `unfinished/` for those being written.

use std::{fmt::Write, future::ready, io, ops::Range, path::PathBuf, sync::Arc};

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

    /// The files whose digests begin with this byte.
    async fn beginning_with(&self, byte: u8) -> io::Result<Vec<FileDigest>> {
        let drawer = format!("{byte:02x}");
        let mut entries = match fs::read_dir(self.folder.join(&drawer)).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            // What has another name is none of ours.
            found.extend(entry.file_name().to_str().and_then(|name| read_digest(&drawer, name)));
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// The digest that a shelf and the name of a file on it stand for.
fn read_digest(shelf: &str, name: &str) -> Option<FileDigest> {
    let text = format!("{shelf}{name}");
    let mut digest = FileDigest::default();
    if text.len() != 2 * digest.len() || !text.bytes().all(|it| b"0123456789abcdef".contains(&it)) {
        return None;
    }
    for (byte, letters) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(letters).ok()?, 16).ok()?;
    }
    Some(digest)
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

    fn exists(&self, digest: FileDigest) -> BoxFuture<'_, io::Result<bool>> {
        Box::pin(async move { fs::try_exists(place(&self.folder, &digest).1).await })
    }

    fn list(
        &self,
        after: Option<FileDigest>,
        limit: usize,
    ) -> BoxFuture<'_, io::Result<Vec<FileDigest>>> {
        Box::pin(async move {
            let mut listed = Vec::new();
            let first = after.and_then(|after| after.first().copied()).unwrap_or_default();
            for byte in first..=u8::MAX {
                let left = limit.saturating_sub(listed.len());
                if left == 0 {
                    break;
                }
                let mut found = self.beginning_with(byte).await?;
                found.retain(|digest| after.is_none_or(|after| *digest > after));
                listed.extend(found.into_iter().take(left));
            }
            Ok(listed)
        })
    }

    fn forget_unfinished(&self) -> BoxFuture<'_, io::Result<()>> {
        // On the spot: this is asked once, before anything else runs, and a simulated server must not
        // begin sooner or later with how busy the machine is.
        let removed = match std::fs::remove_dir_all(self.folder.join(UNFINISHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        Box::pin(ready(removed))
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

    crate::object::contract::object_store_contract!(files, {
        let folder = tempfile::tempdir().unwrap();
        (FileObjects::in_folder(folder.path().join("media")), folder)
    });

    #[tokio::test]
    async fn what_has_another_name_is_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FileObjects::in_folder(folder.path().to_owned());
        objects.begin("a".to_owned()).await.unwrap().finish([0xAB; 32]).await.unwrap();
        let shelf = folder.path().join("ab");
        for name in ["note.txt", &"AB".repeat(31), &"+b".repeat(31), &"ab".repeat(32)] {
            std::fs::write(shelf.join(name), b"not ours").unwrap();
        }
        assert_eq!(objects.list(None, 10).await.unwrap(), [[0xAB; 32]]);
    }
}
