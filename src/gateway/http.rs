//! Who stands at the other end of connections that speak HTTP: told by the start, since HTTP itself does not say.

use std::{env, ffi::OsStr, os::unix::ffi::OsStrExt as _};
#[cfg(feature = "http")]
use {
    super::Ownership,
    crate::profile::{self, Profile},
    std::{ffi::OsString, os::unix::ffi::OsStringExt as _},
};

/// Which kind of front sends us HTTP.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum HttpPeer {
    /// Any web server or proxy.
    #[default]
    Any,
    /// LiteSpeed, which takes us for its Node.js.
    Lsnode,
    /// Phusion Passenger.
    Passenger,
}

/// What the start tells about HTTP.
#[cfg(feature = "http")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct HttpStart {
    pub(crate) peer: HttpPeer,
    /// Where the app is mounted: `LODGER_MOUNT`, or the base URI of Passenger, which neither strips nor repeats it.
    pub(crate) mount: Vec<u8>,
}

#[cfg(feature = "http")]
impl HttpStart {
    /// Looks at the environment of this process.
    pub(crate) fn of_this_process(ownership: Ownership) -> Self {
        Self::told_by(ownership, is_lsnode(), |name| env::var_os(name))
    }

    fn told_by(ownership: Ownership, lsnode: bool, var: impl Fn(&str) -> Option<OsString>) -> Self {
        // On another socket its variables were only passed on by somebody whom it started.
        let passenger = ownership == Ownership::Passenger;
        let base_uri = || var("PASSENGER_BASE_URI").filter(|_| passenger);
        let mount = var("LODGER_MOUNT").or_else(base_uri).unwrap_or_default().into_vec();
        let peer = match (passenger, lsnode) {
            (true, _) => HttpPeer::Passenger,
            (false, true) => HttpPeer::Lsnode,
            (false, false) => HttpPeer::Any,
        };
        Self { peer, mount }
    }
}

/// The profile of a web server that may be any: Apache names itself in a header that it adds. Of all others nothing is known.
#[cfg(feature = "http")]
pub(crate) fn any_peer(has: impl Fn(&'static str) -> bool) -> &'static Profile {
    if has("x-forwarded-server") { &profile::MOD_PROXY_HTTP } else { &profile::UNKNOWN_HTTP }
}

/// Whether LiteSpeed started us in the place of Node.js: it passes the path of its loader and sets `LSNODE_ROOT`.
///
/// Arguments are only looked at where that variable is set, which no web client can do.
#[inline]
pub(crate) fn is_lsnode() -> bool {
    env::var_os("LSNODE_ROOT").is_some() && env::args_os().nth(1).is_some_and(|first| is_loader(&first))
}

fn is_loader(path: &OsStr) -> bool {
    let name = path.as_bytes().rsplit(|byte| *byte == b'/').next();
    matches!(name, Some(b"lsnode.js" | b"lsnodesm.js"))
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;

    fn start(ownership: Ownership, lsnode: bool, vars: &[(&str, &str)]) -> HttpStart {
        HttpStart::told_by(ownership, lsnode, |name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn passenger_is_believed_only_on_a_socket_that_we_made_for_it() {
        let vars = [("PASSENGER_BASE_URI", "/sub")];
        assert_eq!(start(Ownership::Passenger, false, &vars), HttpStart { peer: HttpPeer::Passenger, mount: b"/sub".into() });
        for other in [Ownership::Own, Ownership::Shared] {
            assert_eq!(start(other, false, &vars), HttpStart { peer: HttpPeer::Any, mount: Vec::new() });
        }
    }

    #[test]
    fn a_mount_that_was_written_down_wins() {
        let vars = [("PASSENGER_BASE_URI", "/sub"), ("LODGER_MOUNT", "/shop")];
        assert_eq!(start(Ownership::Passenger, false, &vars).mount, b"/shop");
        assert_eq!(start(Ownership::Shared, true, &vars), HttpStart { peer: HttpPeer::Lsnode, mount: b"/shop".into() });
    }

    #[test]
    fn apache_is_known_by_the_header_that_it_adds() {
        let name = |headers: &[&str]| any_peer(|name| headers.contains(&name)).name();
        assert_eq!(name(&["x-forwarded-for", "x-forwarded-host", "x-forwarded-server"]), "mod_proxy_http");
        assert_eq!(name(&["x-forwarded-for"]), "unknown");
        assert_eq!(any_peer(|_| true).offload, None, "a client may write that header too");
    }

    #[test]
    fn the_loader_of_litespeed_is_known_by_its_name() {
        for path in ["/usr/local/lsws/fcgi-bin/lsnode.js", "/usr/local/lsws/fcgi-bin/lsnodesm.js", "lsnode.js"] {
            assert!(is_loader(OsStr::new(path)), "{path}");
        }
        for path in ["/x/not-lsnode.js", "/x/lsnode.js/app", "serve", ""] {
            assert!(!is_loader(OsStr::new(path)), "{path}");
        }
    }
}
