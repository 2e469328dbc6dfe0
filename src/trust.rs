//! Whose `X-Forwarded-*` headers are believed beside those of this machine.

use std::{net::IpAddr, sync::Arc};

/// A question that the configuration answers. Clones share it.
#[derive(Clone)]
pub(crate) struct Trusted(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl Trusted {
    /// Believes the addresses for which `is_trusted` holds.
    #[cfg_attr(not(feature = "site"), allow(dead_code, reason = "only a configuration names them"))]
    pub(crate) fn new(is_trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_trusted))
    }

    /// Whether the proxy at `address` is believed.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        (self.0)(address)
    }
}

impl std::fmt::Debug for Trusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trusted")
    }
}
