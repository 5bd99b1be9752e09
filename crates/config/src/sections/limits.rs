//! `[limits]`

use crate::{Period, section::section};

section! {
    /// How much of the machine the server may use. What people may do is in `[class.NAME]`.
    pub struct Limits {
        /// Threads that run requests.
        pub workers: u16 = 2;
        /// Threads that read and write the database.
        pub storage_threads: u16 = 4;
        /// Database work that may wait for a thread; more is answered with 503.
        pub storage_queue_max: u32 = 4096;
        /// Open connections per listener.
        pub connections_max: u32 = 16_384;
        /// Password checks at one time; each takes 19 MiB.
        pub password_checks_max: u16 = 2;
        /// How long an access token lives when the client asked for a refresh token.
        pub access_token_life: Period = Period::hours(24);
        /// How long a device is kept that nobody uses: then it is logged out, as its owner could do, and its
        /// tokens, keys and waiting messages are gone, and so are filters that no client used as long. At least
        /// a day; "0s" keeps all of it for ever. A dehydrated device stays.
        pub device_idle_life: Period = Period::days(365);
        /// How long requests may take to end when the server is asked to stop.
        pub shutdown_grace: Period = Period::seconds(10);
    }
}
