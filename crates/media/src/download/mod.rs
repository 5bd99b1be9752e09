//! Files going out.

mod open;

pub(crate) use self::open::Found;
pub use self::open::{DownloadMedia, DownloadMediaError, FileInfo, OpenFile, Span};
