//! Smaller pictures of images: made once for each size, kept like files.

mod claims;
mod make;
mod moving;
mod size;

use std::io;

use tokio::sync::oneshot;
use tracing::instrument;
use vestibule_storage::{
    SlotNo, StorageError, Table,
    tables::media::{FileDigest, MOVING_THUMBNAIL, StoredThumbnail, THUMBNAIL},
};
use vestibule_types::limits::THUMBNAIL_SOURCE_BYTES_MAX;

use self::make::{Made, MakeError, Picture, make};
pub(crate) use self::size::Size;
use crate::{FileInfo, Media, upload::ReceiveError};

/// What kind of thumbnail is wanted: at least so large, where the image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// Whether it is cut to the form that is asked for.
    pub crop: bool,
    /// Whether it may move, where the image does.
    pub animated: bool,
}

/// Why there is no thumbnail.
#[derive(Debug, thiserror::Error)]
pub enum ThumbnailError {
    /// A side of no length.
    #[error("width and height are 1 or more")]
    BadSize,
    /// The file is no image of a kind this server reads.
    #[error("no thumbnails can be made of this file")]
    NotAnImage,
    /// The image is too large.
    #[error("the image is too large to make thumbnails of")]
    TooLarge,
    /// The image is too large, and comes from another server.
    #[error("the image is too large to make thumbnails of")]
    TooLargeElsewhere,
    /// The image was a copy of another server's, and was removed meanwhile.
    #[error("there is no such media")]
    Gone,
    /// Too many thumbnails are being made.
    #[error("too many thumbnails are being made")]
    Busy,
    /// A file could not be read or written.
    #[error("could not read or write a file")]
    Disk(#[source] io::Error),
    /// It could not be looked up or stored.
    #[error("could not look up or store the thumbnail")]
    Storage(#[from] StorageError),
}

impl From<MakeError> for ThumbnailError {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::NotAnImage => Self::NotAnImage,
            MakeError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<ReceiveError> for ThumbnailError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Disk(cause) => Self::Disk(cause),
            ReceiveError::TooLarge => Self::TooLarge,
            ReceiveError::TooSlow | ReceiveError::BrokenOff => Self::Busy,
        }
    }
}

impl Media {
    /// The thumbnail of a file that was found. Of an image that is no larger it is the image itself.
    #[instrument(name = "media.thumbnail", skip_all)]
    pub async fn thumbnail(
        &self,
        source: &FileInfo,
        wanted: Thumbnail,
    ) -> Result<FileInfo, ThumbnailError> {
        let made = self.thumbnail_of(source, wanted).await.map_err(|error| match error {
            ThumbnailError::TooLarge if !source.ours => ThumbnailError::TooLargeElsewhere,
            error => error,
        });
        // The picture goes with the file it was made of.
        Ok(FileInfo { ours: source.ours, ..made? })
    }

    async fn thumbnail_of(
        &self,
        source: &FileInfo,
        wanted: Thumbnail,
    ) -> Result<FileInfo, ThumbnailError> {
        if wanted.width == 0 || wanted.height == 0 {
            return Err(ThumbnailError::BadSize);
        }
        let (size, moving) = (Size::covering(wanted), wanted.animated);
        if let Some(kept) = self.kept(source.digest, size, moving).await? {
            return Ok(kept);
        }
        if source.size > THUMBNAIL_SOURCE_BYTES_MAX {
            return Err(ThumbnailError::TooLarge);
        }
        let _place =
            self.inner.thumbnails_waiting.try_acquire().map_err(|_| ThumbnailError::Busy)?;
        let _turn = self.inner.thumbnails.acquire().await.map_err(|_| ThumbnailError::Busy)?;
        // Somebody else may have made it while this one waited.
        if let Some(kept) = self.kept(source.digest, size, moving).await? {
            return Ok(kept);
        }
        let made = self.draw(source, size, moving).await?;
        let row = match made {
            Made::Smaller(picture) => self.keep_picture(picture).await?,
            // Equal files share the row, so that nobody's claim holds for the others.
            Made::Itself(content_type) => StoredThumbnail {
                digest: source.digest,
                size: source.size,
                content_type: content_type.to_owned(),
            },
        };
        let (key, stored) = (key(source.digest, size), row.clone());
        let store = &self.inner.parts.store;
        let put = store.write(SlotNo(0), move |tx| rows(moving).put(tx, key, &stored));
        put.await?;
        Ok(info(row))
    }

    async fn kept(
        &self,
        digest: FileDigest,
        size: Size,
        moving: bool,
    ) -> Result<Option<FileInfo>, StorageError> {
        let key = key(digest, size);
        let store = &self.inner.parts.store;
        let row = store.read(move |read| rows(moving).get(read, key)).await?;
        // Rows that hold what an uploader claimed are written anew.
        Ok(row.filter(|row| row.digest != digest || is_image(&row.content_type)).map(info))
    }

    /// Reads the image and makes the picture, away from the threads that serve requests.
    async fn draw(
        &self,
        source: &FileInfo,
        size: Size,
        moving: bool,
    ) -> Result<Made, ThumbnailError> {
        let parts = &self.inner.parts;
        let opened = parts.objects.open(source.digest, 0..source.size).await;
        let lost = || {
            if source.ours {
                ThumbnailError::Disk(io::ErrorKind::NotFound.into())
            } else {
                ThumbnailError::Gone
            }
        };
        let mut reader = opened.map_err(ThumbnailError::Disk)?.ok_or_else(lost)?;
        let mut image = Vec::new();
        while let Some(piece) = reader.read().await.map_err(ThumbnailError::Disk)? {
            image.extend_from_slice(&piece);
        }
        let (answer, answered) = oneshot::channel();
        let work = move || {
            // Nobody waits any more when the request has ended.
            let _unheard = answer.send(make(&image, size, moving));
        };
        parts.executor.execute(Box::new(work)).map_err(|_| ThumbnailError::Busy)?;
        // A decoder that panicked read no image.
        Ok(answered.await.unwrap_or(Err(MakeError::NotAnImage))?)
    }

    async fn keep_picture(&self, picture: Picture) -> Result<StoredThumbnail, ThumbnailError> {
        let Picture { bytes, content_type } = picture;
        let chunks = futures_util::stream::iter([Ok(bytes)]);
        let received = self.receive(Box::pin(chunks), THUMBNAIL_SOURCE_BYTES_MAX, &mut ()).await?;
        Ok(StoredThumbnail {
            digest: received.digest,
            size: received.size,
            content_type: content_type.to_owned(),
        })
    }
}

/// Whether this is the type of an image of a kind that is read here.
fn is_image(content_type: &str) -> bool {
    matches!(content_type, "image/gif" | "image/jpeg" | "image/png" | "image/webp")
}

type Key = (FileDigest, u32, u32, bool);

/// Where those that may move are kept, and those that stand still.
fn rows(moving: bool) -> &'static Table<Key, StoredThumbnail> {
    if moving { &MOVING_THUMBNAIL } else { &THUMBNAIL }
}

fn key(digest: FileDigest, size: Size) -> Key {
    (digest, size.width, size.height, size.crop)
}

fn info(row: StoredThumbnail) -> FileInfo {
    let StoredThumbnail { digest, size, content_type } = row;
    let name = match &*content_type {
        "image/jpeg" => "thumbnail.jpg",
        "image/png" => "thumbnail.png",
        "image/gif" => "thumbnail.gif",
        "image/webp" => "thumbnail.webp",
        _ => "thumbnail",
    };
    let name = Some(name.to_owned());
    FileInfo { digest, size, content_type: Some(content_type), name, ours: true }
}
