//! `[media]`

use crate::{Period, section::section};

section! {
    /// Files that users upload. They are kept in `media` in the data folder.
    pub struct Media {
        /// The largest file, in bytes.
        pub upload_bytes_max: u64 = 50 * 1024 * 1024;
        /// How much one user may upload altogether, in bytes. 0: without bound.
        pub user_bytes_max: u64 = 10 * 1024 * 1024 * 1024;
        /// Whether files are also given to those who do not log in, as old clients and servers ask for them.
        pub open_downloads: bool = false;
        /// How much copies of files of other servers may take on disk, in bytes, those that are being fetched among
        /// them. Those that were unused for the longest time go first, and are fetched again when somebody wants
        /// them; while nothing may go, nothing is fetched. 0: without bound.
        pub remote_bytes_max: u64 = 10 * 1024 * 1024 * 1024;
        /// How long copies of files of other servers are kept after they were fetched. Absent: for ever. What is
        /// gone is fetched again when somebody wants it.
        pub remote_keep: Option<Period> = None, example "\"90d\"";
    }
}
