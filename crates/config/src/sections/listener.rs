//! `[[listener]]`

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::section::section;

section! {
    /// An address to listen on. Write the section several times for several listeners; without
    /// any, clients are served on 127.0.0.1:8008.
    pub struct Listener {
        /// Address and port.
        pub bind: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8008));
        /// What is answered here, any of "client", "federation", "admin", "metrics". `/healthz`
        /// and `/readyz` are answered everywhere.
        pub serves: Vec<Surface> = vec![Surface::Client];
        /// PEM files for TLS, read again on SIGHUP. Without them the listener speaks plain HTTP, which is
        /// right behind a reverse proxy.
        pub tls: Option<Tls> = None, example "{ certificate = \"/etc/vestibule/fullchain.pem\", private_key = \"/etc/vestibule/key.pem\" }";
        /// Who may say for whom a request is, by `X-Forwarded-For`: addresses or networks of
        /// reverse proxies. When absent: the loopback addresses if the listener is bound to one,
        /// nobody otherwise.
        pub trusted_proxies: Option<Vec<Network>> = None, example "[\"127.0.0.1\", \"10.0.0.0/8\"]";
    }
}

/// What a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// The client-server API.
    Client,
    /// The server-server API.
    Federation,
    /// The admin API, for access tokens of admins.
    Admin,
    /// Prometheus metrics.
    Metrics,
}

/// The files of a TLS listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key.
    pub private_key: PathBuf,
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(pub IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let network = text.parse::<IpNet>().ok();
        network
            .or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is neither an address nor a network"))
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.0.to_string()
    }
}

impl Listener {
    /// The networks whose `X-Forwarded-For` counts, the default applied.
    #[must_use]
    pub fn trusted_networks(&self) -> Vec<IpNet> {
        let on_loopback = self.bind.ip().is_loopback();
        match &self.trusted_proxies {
            Some(networks) => networks.iter().map(|network| network.0).collect(),
            None if on_loopback => loopback(),
            None => Vec::new(),
        }
    }
}

fn loopback() -> Vec<IpNet> {
    let v4 = IpNet::new(std::net::Ipv4Addr::new(127, 0, 0, 0).into(), 8).ok();
    let v6 = IpNet::new(std::net::Ipv6Addr::LOCALHOST.into(), 128).ok();
    v4.into_iter().chain(v6).collect()
}
