//! `[identity]`

use crate::section::section;

section! {
    /// Servers that know whose an e-mail address or a phone number is.
    pub struct Identity {
        /// Identity servers through which users may invite by address: host names, with a port where it is
        /// not 443. They are told the addresses and who invites them. Empty: users invite by user ID alone.
        pub trusted_servers: Vec<String> = Vec::new();
    }
}
