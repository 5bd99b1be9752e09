//! Files that users uploaded, and copies of those of other servers. The bytes themselves lie beside
//! the database, under their digest.

use ruma::{OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};

use crate::{Counter, Table, value};

/// The SHA-256 of a file.
pub type FileDigest = [u8; 32];

/// A media id, and its file once there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMedia {
    /// Who uploaded it; nobody for what was fetched from another server.
    pub uploader: Option<OwnedUserId>,
    /// When the id was made or the copy fetched, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// When the id ends unless its file has come, in milliseconds since the Unix epoch.
    pub expires_at: Option<u64>,
    /// Whether it is withheld from everybody.
    pub quarantined: bool,
    /// The file.
    pub file: Option<StoredFile>,
}
value!(StoredMedia, 1);

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Under which its bytes lie.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub size: u64,
    /// The content type its uploader gave.
    pub content_type: Option<String>,
    /// The name its uploader gave.
    pub name: Option<String>,
}

/// A smaller picture of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredThumbnail {
    /// Under which its bytes lie; the image itself when that is no larger.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub size: u64,
    /// Its content type.
    pub content_type: String,
}
value!(StoredThumbnail, 1);

/// Media by the server it comes from and its id there.
pub const MEDIA: Table<(OwnedServerName, String), StoredMedia> = Table::new(0x0900, "media");
/// What a user uploaded, by when its id was made.
pub const MEDIA_BY_USER: Table<(OwnedUserId, u64, String), ()> =
    Table::new(0x0901, "media_by_user");
/// Ids a user made whose files have not come, by when they end.
pub const MEDIA_PENDING_BY_USER: Table<(OwnedUserId, u64, String), ()> =
    Table::new(0x0902, "media_pending_by_user");
/// How many bytes a user uploaded.
pub const MEDIA_BYTES_BY_USER: Counter<(OwnedUserId,)> =
    Counter::new(0x0903, "media_bytes_by_user");
/// Pictures of web pages that are kept for previews, by when they came: their size in bytes.
pub const PREVIEW_PICTURE_BY_TIME: Table<(u64, String), u64> =
    Table::new(0x09C6, "preview_picture_by_time");
/// When copies of files of other servers were used, in milliseconds since the Unix epoch: no later than
/// what is noted in memory, which is written here now and then.
pub const COPY_USED: Table<(OwnedServerName, String), u64> = Table::new(0x0AC0, "copy_used");
/// Thumbnails by the digest of the image, width, height, and whether they are cropped to fit.
pub const THUMBNAIL: Table<(FileDigest, u32, u32, bool), StoredThumbnail> =
    Table::new(0x0904, "thumbnail");
/// The same, where they may move.
pub const MOVING_THUMBNAIL: Table<(FileDigest, u32, u32, bool), StoredThumbnail> =
    Table::new(0x0AC1, "moving_thumbnail");
/// Files that are withheld from everybody, under whichever ids they are known.
pub const WITHHELD_FILE: Table<(FileDigest,), ()> = Table::new(0x0AC2, "withheld_file");
