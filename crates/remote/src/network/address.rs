//! Which addresses may be reached.
//!
//! Anybody can make this server talk to an address, by putting it in a server name, in DNS or in a
//! redirect. What lies behind this machine's own walls must not be found that way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks that are nobody's on the internet (RFC 6890 and its registries).
const CLOSED_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The part of IPv6 that is handed out; everything else is local, multicast or reserved.
const OPEN_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What is not for everybody inside that part.
const CLOSED_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Says which addresses may be reached: public ones, and those the operator lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressFilter {
    allowed: Vec<IpNet>,
}

impl AddressFilter {
    pub(crate) fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let carried = carried(address);
        let listed = |address: IpAddr| self.allowed.iter().any(|net| net.contains(&address));
        listed(address) || listed(carried) || is_public(carried)
    }
}

/// The IPv4 address that an IPv6 address stands for: a gateway, or this machine's own network
/// stack, would send the packet there.
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| {
        let [one, two] = high.to_be_bytes();
        let [three, four] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(one, two, three, four))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        // Compatible (RFC 4291), mapped, translated (RFC 2765) and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4.
        | [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !CLOSED_V4
            .iter()
            .any(|(network, length)| Ipv4Net::new_assert(*network, *length).contains(&v4)),
        IpAddr::V6(v6) => {
            let within = |(network, length): (Ipv6Addr, u8)| {
                Ipv6Net::new_assert(network, length).contains(&v6)
            };
            within(OPEN_V6) && !CLOSED_V6.into_iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &[&str], address: &str) -> bool {
        let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
        AddressFilter::new(allowed).allows(address.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_reached() {
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a01::1"] {
            assert!(allows(&[], address), "{address}");
        }
    }

    #[test]
    fn addresses_behind_the_wall_are_not_reached() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.1.2",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
            "2001::1",
        ] {
            assert!(!allows(&[], address), "{address}");
        }
    }

    #[test]
    fn another_way_to_write_an_address_is_the_same_address() {
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "::127.0.0.1",
            "::10.0.0.1",
            "2002:7f00:1::",
            "2002:a00:1::",
        ] {
            assert!(!allows(&[], address), "{address}");
        }
        assert!(allows(&[], "::ffff:1.1.1.1"));
        assert!(allows(&[], "64:ff9b::1.1.1.1"));
    }

    #[test]
    fn listed_networks_are_reached_however_they_are_written() {
        assert!(allows(&["10.1.0.0/16"], "10.1.2.3"));
        assert!(allows(&["10.1.0.0/16"], "::ffff:10.1.2.3"));
        assert!(!allows(&["10.1.0.0/16"], "10.2.0.1"));
        assert!(allows(&["fd00::/8"], "fd00::1"));
        assert!(!allows(&["0.0.0.0/0"], "fd00::1"));
    }
}
