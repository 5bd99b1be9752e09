//! Files that users upload.
//!
//! The bytes lie in an [`ObjectStore`] under their SHA-256, so equal files are kept once; who uploaded
//! what, under which id, type and name, lies in the database. A row is committed only after its file is
//! on disk. What lies on other servers is fetched through [`RemoteMedia`] and kept like our own.
//!
//! Files are never held in memory as a whole, except small images while their thumbnails are made.

mod ask;
mod copies;
mod delete;
mod disk_space;
mod download;
mod list;
mod object;
mod places;
mod preview;
mod purge;
mod quarantine;
mod remote;
mod service;
mod thumbnail;
mod turns;
mod upload;

pub use vestibule_storage::tables::media::FileDigest;

pub use self::{
    delete::DeleteMediaError,
    download::{DownloadMedia, DownloadMediaError, FileInfo, OpenFile, Span},
    list::ListedMedia,
    object::{FileObjects, MemoryObjects, ObjectReader, ObjectStore, ObjectWriter},
    preview::{Preview, PreviewSettings, PreviewUrlError, Previews},
    purge::{PurgeMediaError, Purged},
    quarantine::QuarantineMediaError,
    remote::{FetchMediaError, FetchedMedia, RemoteMedia},
    service::{Media, MediaConfig, MediaParts},
    thumbnail::{Thumbnail, ThumbnailError},
    upload::{Chunks, CreateMediaError, MediaId, Upload, UploadMediaError},
};
