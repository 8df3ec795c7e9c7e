//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// What is not public of IPv4, after IANA's registry of special-purpose
/// addresses.
const CLOSED_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),        // this network
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // carrier-grade NAT
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // metadata of a cloud
    v4(169, 254, 0, 0, 16),   // link-local
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // protocol assignments
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 88, 99, 0, 24),   // 6to4 relays
    v4(192, 168, 0, 0, 16),   // private
    v4(198, 18, 0, 0, 15),    // benchmarks
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // reserved, broadcast
];

/// All that is public of IPv6 is in here: not loopback, unique local, link-local, site-local, multicast.
const OPEN_V6: Ipv6Net = v6(0x2000, 0, 3);
/// And these of it are not.
const CLOSED_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),     // protocol assignments, Teredo
    v6(0x2001, 0xdb8, 32), // documentation
    v6(0x2002, 0, 16),     // 6to4: an IPv4 address is in it
    v6(0x3fff, 0, 20),     // documentation
];

/// Translates to the IPv4 address in its last 32 bits (RFC 6052).
const NAT64: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Where the known services are that give a machine of a cloud its credentials.
/// Nobody thinks of them when a network around them is allowed.
const METADATA: [IpNet; 9] = [
    IpNet::V4(v4(169, 254, 0, 0, 16)),     // link-local: of most clouds
    IpNet::V4(v4(192, 0, 0, 0, 24)),       // Oracle has one at 192.0.0.192
    IpNet::V4(v4(100, 100, 100, 200, 32)), // Alibaba
    IpNet::V4(v4(168, 63, 129, 16, 32)),   // Azure
    IpNet::V6(v6(0xfe80, 0, 10)),          // link-local
    host(0xfd00, 0xec2, 0x23),             // AWS, for containers
    host(0xfd00, 0xec2, 0x254),            // AWS
    host(0xfd20, 0xce, 0x254),             // Google
    host(0xfd00, 0x42, 0x42),              // Scaleway
];

const fn host(a: u16, b: u16, last: u16) -> IpNet {
    let address = Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, last);
    IpNet::V6(Ipv6Net::new_assert(address, 128))
}

/// What may be connected to beside public addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Networks(Vec<IpNet>);

impl Networks {
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether this address may be connected to.
    pub(super) fn admit(&self, address: IpAddr) -> bool {
        let address = real(address);
        is_public(address) || self.0.iter().any(|network| names(network, address))
    }
}

/// Whether this network opens the address; one of a metadata service must be
/// named by itself.
fn names(network: &IpNet, address: IpAddr) -> bool {
    let is_meant = network.prefix_len() == network.max_prefix_len();
    let is_metadata = || METADATA.iter().any(|net| net.contains(&address));
    network.contains(&address) && (is_meant || !is_metadata())
}

/// Where packets for this address go in the end.
fn real(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !CLOSED_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            OPEN_V6.contains(&address) && !CLOSED_V6.iter().any(|net| net.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(networks: &[&str], address: &str) -> bool {
        let networks = networks.iter().map(|net| net.parse().expect("a network"));
        Networks::new(networks.collect()).admit(address.parse().expect("an address"))
    }

    #[test]
    fn public_addresses_are_admitted() {
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "198.17.255.255",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(admits(&[], address), "{address}");
        }
    }

    #[test]
    fn what_is_not_public_is_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:101:101::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!admits(&[], address), "{address}");
        }
    }

    #[test]
    fn a_network_may_be_allowed() {
        assert!(admits(&["10.1.0.0/16"], "10.1.2.3"));
        assert!(admits(&["10.1.0.0/16"], "::ffff:10.1.2.3"));
        assert!(!admits(&["10.1.0.0/16"], "10.2.0.1"));
        assert!(admits(&["10.1.0.0/16", "::1/128"], "::1"));
        assert!(admits(&["10.1.0.0/16"], "1.1.1.1"), "and public ones still");
    }

    #[test]
    fn metadata_services_are_allowed_by_themselves_alone() {
        for (wide, address) in [
            ("169.254.0.0/16", "169.254.169.254"),
            ("169.254.0.0/16", "169.254.170.23"),
            ("169.254.0.0/16", "169.254.1.1"),
            ("169.254.1.0/31", "169.254.1.1"),
            ("192.0.0.0/24", "192.0.0.192"),
            ("0.0.0.0/0", "168.63.129.16"),
            ("100.64.0.0/10", "100.100.100.200"),
            ("fd00::/8", "fd00:ec2::23"),
            ("fd00:ec2::/32", "fd00:ec2::254"),
            ("fd20::/16", "fd20:ce::254"),
            ("fd00::/8", "fd00:42::42"),
            ("fe80::/10", "fe80::1"),
        ] {
            assert!(!admits(&[wide], address), "{address}");
            let itself = address.parse::<IpAddr>().map(IpNet::from);
            let itself = itself.expect("an address").to_string();
            assert!(admits(&[wide, &itself], address), "{itself}");
        }
        assert!(admits(&["fd00::/8"], "fd00:ec2::1"));
        assert!(admits(&["100.64.0.0/10"], "100.100.100.201"));
    }
}
