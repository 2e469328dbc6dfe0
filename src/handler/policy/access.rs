//! Whom a site or route lets in, by address.

use crate::config::{address::Network, model::Policy};
use std::net::IpAddr;

/// Two lists of networks.
#[derive(Debug, Clone)]
pub(super) struct Access {
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl Access {
    /// None where neither list holds anything.
    pub(super) fn new(policy: &Policy) -> Option<Self> {
        let listed = !policy.allow.is_empty() || !policy.deny.is_empty();
        listed.then(|| Self { allow: policy.allow.clone(), deny: policy.deny.clone() })
    }

    /// Whether the client with this address is let in. One without an address, such as a client on a Unix socket, is on no list but that of those who are all kept out.
    pub(super) fn admits(&self, address: Option<IpAddr>) -> bool {
        let among = |networks: &[Network]| address.is_some_and(|address| networks.iter().any(|network| network.contains(address)));
        let nobody = || address.is_none() && self.deny.iter().any(|network| network.is_everybody());
        (self.allow.is_empty() || among(&self.allow)) && !among(&self.deny) && !nobody()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &str) -> Vec<Network> {
        list.split_whitespace().map(|network| network.parse().unwrap()).collect()
    }

    #[test]
    fn deny_wins_over_allow_and_an_empty_allow_lets_everybody_in() {
        let cases = [
            ("192.0.2.0/24", "", "192.0.2.7", true),
            ("192.0.2.0/24", "", "::ffff:192.0.2.7", true),
            ("192.0.2.0/24", "", "198.51.100.7", false),
            ("192.0.2.0/24", "", "2001:db8::1", false),
            ("192.0.2.0/24 2001:db8::/32", "192.0.2.7", "192.0.2.7", false),
            ("192.0.2.0/24 2001:db8::/32", "192.0.2.7", "192.0.2.8", true),
            ("192.0.2.0/24 2001:db8::/32", "192.0.2.7", "2001:db8::1", true),
            ("", "192.0.2.7", "192.0.2.7", false),
            ("", "192.0.2.7", "::ffff:192.0.2.7", false),
            ("", "192.0.2.7", "2001:db8::1", true),
            ("192.0.2.0/24", "", "", false),
            ("", "0.0.0.0/0 ::/0", "", false),
            ("", "192.0.2.0/24", "", true),
        ];
        for (allow, deny, address, admitted) in cases {
            let access = Access::new(&Policy { allow: networks(allow), deny: networks(deny), ..Policy::default() }).unwrap();
            assert_eq!(access.admits(address.parse().ok()), admitted, "allow {allow:?} deny {deny:?} address {address:?}");
        }
        assert!(Access::new(&Policy::default()).is_none());
    }
}
