//! `[federation]`

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use ruma::OwnedServerName;

use crate::{Network, Period, section::section};

section! {
    /// Other servers: who may be talked to, and how they are reached. Both lists, `notaries` and
    /// `request_timeout` are read again on SIGHUP.
    pub struct Federation {
        /// Whether other servers are talked to at all. Absent: if a listener serves "federation".
        pub enabled: Option<bool> = None, example "true";
        /// The only servers that are talked to, as patterns with `*` and `?` for host names. Empty: all.
        pub allowed_servers: Vec<String> = Vec::new();
        /// Servers that are never talked to, as the same patterns. Wins over `allowed_servers`.
        pub denied_servers: Vec<String> = Vec::new();
        /// PEM file of certificate authorities that are believed beside those of the machine.
        pub ca_file: Option<PathBuf> = None, example "\"/etc/vestibule/authorities.pem\"";
        /// Addresses or networks at which other servers may be although they are private. Names, redirects
        /// and delegations that lead to any other private address are not followed.
        pub allowed_networks: Vec<Network> = Vec::new();
        /// Servers whose address is known: nothing is looked up for them, and `allowed_networks` does not
        /// apply. The certificate must be for their name. For example { "b.example" = "10.0.0.5:8448" }
        pub resolve: BTreeMap<OwnedServerName, SocketAddr> = BTreeMap::new();
        /// Web servers whose address is known, by the host of their `https` addresses: delegations
        /// (`.well-known`) and identity servers are looked for there. As with `resolve`, the certificate must
        /// be for the host. For example { "b.example" = "10.0.0.5:443" }
        pub resolve_web: BTreeMap<OwnedServerName, SocketAddr> = BTreeMap::new();
        /// Name servers that are asked where other servers are, and anything on the web, such as "10.0.0.2:53".
        /// Empty: those of this machine, and its hosts file.
        pub name_servers: Vec<SocketAddr> = Vec::new();
        /// Servers that are trusted to tell the signing keys of those that cannot be reached, in the order
        /// they are asked. They could pretend to be anybody.
        pub notaries: Vec<OwnedServerName> = Vec::new();
        /// How long a request to another server may take. Joining a room, for one, may take longer.
        pub request_timeout: Period = Period::seconds(60);
    }
}
