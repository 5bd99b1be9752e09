//! Files going out.

mod open;

pub use self::open::{DownloadMedia, DownloadMediaError, FileInfo, OpenFile, Span};
