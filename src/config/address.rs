//! Networks: which addresses are meant.

use ipnet::IpNet;
use std::{net::IpAddr, str::FromStr};

/// A network such as `192.0.2.0/24`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network(IpNet);

impl Network {
    /// Whether `address` lies in it. An IPv4 address that is written as an IPv6 one is that IPv4 address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether every address of its kind lies in it.
    pub(crate) fn is_everybody(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(|net| Self(net.trunc())).map_err(drop)
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = self.0.prefix_len() == self.0.max_prefix_len();
        if whole { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_its_network_however_it_is_written() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.7/24", "192.0.2.9", true),
            ("192.0.2.7", "192.0.2.9", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("0.0.0.0/0", "::1", false),
        ];
        for (network, address, inside) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
        for nonsense in ["", "localhost", "192.0.2.0/33", "1.2.3"] {
            assert!(nonsense.parse::<Network>().is_err(), "{nonsense}");
        }
    }
}
