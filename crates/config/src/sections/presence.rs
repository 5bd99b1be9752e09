//! `[presence]`

use crate::section::section;

section! {
    /// Whether users see who of those they share a room with is there.
    pub struct Presence {
        /// Whether presence is kept at all.
        pub enabled: bool = true;
        /// Whether other servers are told of the presence of users of this one.
        pub send_presence: bool = false;
        /// Whether other servers are listened to about the presence of theirs.
        pub receive_presence: bool = false;
    }
}
