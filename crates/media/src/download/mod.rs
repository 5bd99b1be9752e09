//! Files going out.

mod admit_server;
mod open;

pub(crate) use self::open::Found;
pub use self::open::{DownloadMedia, DownloadMediaError, FileInfo, OpenFile, Span};
