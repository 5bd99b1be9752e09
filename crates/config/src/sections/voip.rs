//! `[voip]`

use std::path::PathBuf;

use vestibule_types::Secret;

use crate::{Period, section::section};

section! {
    /// The TURN server through which calls find their way around firewalls. Clients are handed credentials
    /// for it; guests only where their class may also "voip". Without addresses there is none.
    pub struct Voip {
        /// Where it listens, at most ten addresses.
        pub turn_uris: Vec<String> = Vec::new(), example "[\"turn:turn.example.org?transport=udp\", \"turns:turn.example.org?transport=tcp\"]";
        /// The secret it shares with this server (coturn: `use-auth-secret` and `static-auth-secret`): each
        /// user gets credentials of their own, which end.
        pub turn_shared_secret: Option<Secret> = None, example "\"a long random text\"";
        /// The same, read from a file, so that the secret need not stand in this one.
        pub turn_shared_secret_file: Option<PathBuf> = None, example "\"/etc/vestibule/turn-secret\"";
        /// In place of a shared secret: one name for everybody, who can pass it on.
        pub turn_username: Option<String> = None, example "\"vestibule\"";
        /// The password for that name.
        pub turn_password: Option<Secret> = None, example "\"a password\"";
        /// How long credentials are good; clients ask for new ones before they end.
        pub turn_lifetime: Period = Period::hours(1);
    }
}
