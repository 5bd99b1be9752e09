//! The address a request came from, seen through trusted proxies only.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::extract::FromRequestParts;
use http::{Extensions, HeaderMap, request::Parts};
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Trusts the proxies within these networks.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// What is trusted when nothing was configured: a listener that only this machine can reach
    /// trusts this machine, any other trusts nobody.
    #[must_use]
    pub fn default_for(bound: SocketAddr) -> Self {
        if !bound.ip().is_loopback() {
            return Self::default();
        }
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self::new(loopback.iter().filter_map(|network| network.parse().ok()))
    }

    /// Whether this address is a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The other end of a connection. The listener puts one into every request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address of the socket's other end; none for a Unix socket.
    pub address: Option<IpAddr>,
    /// The proxies this listener trusts.
    pub trusted: TrustedProxies,
}

/// The address of the client: the rightmost one that is not a trusted proxy.
///
/// Requests that came through no socket, as in tests and in the simulator, come from `0.0.0.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Reads the address from a request's headers and from the peer the listener saw.
    #[must_use]
    pub fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let Some(peer) = extensions.get::<Peer>() else {
            return Self(Ipv4Addr::UNSPECIFIED.into());
        };
        // Only the owner of the data folder can connect to a Unix socket, so its word is good.
        let (start, trusted) = match peer.address {
            Some(address) => {
                (address.to_canonical(), peer.trusted.contains(address.to_canonical()))
            }
            None => (Ipv4Addr::LOCALHOST.into(), true),
        };
        if trusted { Self(behind_proxies(start, headers, &peer.trusted)) } else { Self(start) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, &parts.extensions))
    }
}

/// Walks the proxies from the nearest outwards. What a trusted one wrote is believed; the first
/// address that is none of them is the client, and what stands left of it is the client's talk.
fn behind_proxies(nearest: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut believed = nearest;
    let mut lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    lines.reverse();
    for line in lines {
        let Ok(line) = line.to_str() else { return believed };
        for hop in line.rsplit(',') {
            let Some(address) = parse(hop.trim()) else { return believed };
            believed = address;
            if !trusted.contains(address) {
                return believed;
            }
        }
    }
    believed
}

/// An address, with or without a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare
        .parse::<IpAddr>()
        .or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, trusted: &[&str], forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, http::HeaderValue::from_static(line));
        }
        let mut extensions = Extensions::new();
        extensions.insert(Peer {
            address: Some(peer.parse().unwrap()),
            trusted: TrustedProxies::new(trusted.iter().map(|net| net.parse().unwrap())),
        });
        ClientAddress::of(&headers, &extensions).0.to_string()
    }

    #[test]
    fn an_untrusted_peer_cannot_speak_for_others() {
        assert_eq!(seen("203.0.113.9", &["10.0.0.0/8"], &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &[], &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_untrusted_address_counts() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.1", &trusted, &["6.6.6.6, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            seen("10.0.0.1", &trusted, &["6.6.6.6, 198.51.100.1, 10.0.0.2"]),
            "198.51.100.1"
        );
        assert_eq!(
            seen("10.0.0.1", &trusted, &["6.6.6.6", "198.51.100.1", "10.2.2.2"]),
            "198.51.100.1"
        );
    }

    #[test]
    fn a_proxy_that_says_nothing_or_nonsense_is_itself_the_client() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.1", &trusted, &[]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &trusted, &["unknown"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &trusted, &["1.2.3.4, , 10.0.0.7"]), "10.0.0.7");
        assert_eq!(seen("10.0.0.1", &trusted, &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        let trusted = ["10.0.0.0/8", "::1/128"];
        assert_eq!(seen("::1", &trusted, &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(seen("::1", &trusted, &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(seen("::1", &trusted, &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(seen("::ffff:10.0.0.1", &trusted, &["::ffff:198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn only_a_loopback_listener_trusts_loopback_by_default() {
        let local = TrustedProxies::default_for("127.0.0.1:8008".parse().unwrap());
        assert!(local.contains("127.0.0.1".parse().unwrap()));
        assert!(local.contains("::1".parse().unwrap()));
        let open = TrustedProxies::default_for("0.0.0.0:8008".parse().unwrap());
        assert!(!open.contains("127.0.0.1".parse().unwrap()));
    }
}
