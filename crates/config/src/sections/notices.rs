//! `[notices]`

use ruma::OwnedMxcUri;

use crate::section::section;

section! {
    /// What this server itself has to say to its users: `vestibule notice`. Each user has one room for
    /// it, in which the server's own user, @vestibule, speaks.
    pub struct Notices {
        /// What the rooms are called.
        pub room_name: String = "Server notices".to_owned();
        /// Their picture.
        pub avatar: Option<OwnedMxcUri> = None, example "\"mxc://example.org/abc\"";
    }
}
