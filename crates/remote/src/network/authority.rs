//! The host and port that stand for a server: in its name, in a delegation, in a URL.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use http::uri;
use ruma::ServerName;

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// An IP literal.
    Ip(IpAddr),
    /// A name, in small letters.
    Name(String),
}

/// A host with the port that was given, if one was.
///
/// The authority a request is made to says everything else: what its `Host` header is, which name
/// the certificate must be for, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

impl Authority {
    pub(crate) fn of_server(server: &ServerName) -> Self {
        Self { host: Host::parse(server.host()), port: server.port() }
    }

    /// The authority of a URL; none if it names a user, which no server's does.
    pub(crate) fn of_uri(authority: &uri::Authority) -> Option<Self> {
        let bare = !authority.as_str().contains('@') && !authority.host().is_empty();
        bare.then(|| Self { host: Host::parse(authority.host()), port: authority.port_u16() })
    }
}

impl Host {
    fn parse(text: &str) -> Self {
        let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(Ok(v6)) = inside.map(str::parse::<Ipv6Addr>) {
            return Self::Ip(v6.into());
        }
        text.parse().map_or_else(|_| Self::Name(text.to_ascii_lowercase()), Self::Ip)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_addresses() {
        for (text, host, port, shown) in [
            ("Example.ORG", Host::Name("example.org".to_owned()), None, "example.org"),
            ("example.org:443", Host::Name("example.org".to_owned()), Some(443), "example.org:443"),
            ("1.2.3.4", Host::Ip([1, 2, 3, 4].into()), None, "1.2.3.4"),
            ("1.2.3.4:5", Host::Ip([1, 2, 3, 4].into()), Some(5), "1.2.3.4:5"),
            ("[::1]:8448", Host::Ip(Ipv6Addr::LOCALHOST.into()), Some(8448), "[::1]:8448"),
            ("2130706433", Host::Name("2130706433".to_owned()), None, "2130706433"),
        ] {
            let server: &ServerName = text.try_into().unwrap();
            let authority = Authority::of_server(server);
            assert_eq!(authority, Authority { host, port });
            assert_eq!(authority.to_string(), shown);
        }
    }

    #[test]
    fn a_url_with_a_user_has_no_authority() {
        assert_eq!(Authority::of_uri(&"me@example.org".parse().unwrap()), None);
    }
}
