//! Files going out.

mod admit_server;
mod open;

pub use self::open::{DownloadMedia, DownloadMediaError, FileInfo, OpenFile, Span};
pub(crate) use self::open::{Found, is_media_id};
