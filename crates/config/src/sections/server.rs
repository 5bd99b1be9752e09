//! `[server]`

use std::path::PathBuf;

use ruma::{OwnedServerName, serde::Base64};

use crate::section::section;

section! {
    /// Who this server is.
    pub struct Server {
        /// The name in every user id, room alias and signature: `@user:NAME`. It can never be
        /// changed once the database exists.
        pub name: Option<OwnedServerName> = None, example "\"example.org\"";
        /// Where clients reach this server; told to them by `/.well-known/matrix/client`. Absent: they are
        /// told nothing and use the address they were given.
        pub public_url: Option<String> = None, example "\"https://matrix.example.org\"";
        /// Where other servers reach this one, if not at its name: `host` or `host:port`, told to them by
        /// `/.well-known/matrix/server` on listeners that serve "federation". The certificate there
        /// must be for that host.
        pub well_known_server: Option<OwnedServerName> = None, example "\"matrix.example.org:443\"";
        /// The ed25519 public key of the policy server at this name, told to everybody by
        /// `/.well-known/matrix/policy_server`. Absent: there is none.
        pub policy_server_key: Option<Base64> = None, example "\"6yhHGKhCiXTSEN2ksjV7kX+N6rBQZ3Xb+M7LlC6NS+s\"";
        /// The folder that holds the database and the local socket. Only the server's own account
        /// should be able to read it.
        pub data_dir: PathBuf = PathBuf::from("/var/lib/vestibule");
    }
}
