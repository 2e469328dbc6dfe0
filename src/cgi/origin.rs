//! Where a request comes from: addresses, hosts, and what proxies in front of the web server add about them.

use super::request::VarError;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header::AsHeaderName, uri::Authority};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What fronts add. To look for a header by its text takes as long again as to find it.
pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a front wrote into a list that proxies append to: the last element, since everything before it may be the client's own.
pub(super) fn last_of(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&[u8]> {
    last_word(headers.get_all(name).into_iter().next_back()?.as_bytes())
}

/// The last element of a list, unless it is empty.
pub(super) fn last_word(list: &[u8]) -> Option<&[u8]> {
    list.rsplit(|byte| *byte == b',').next().map(<[u8]>::trim_ascii).filter(|value| !value.is_empty())
}

/// A host that is one. `share` makes `Bytes` of it, as for [`from_request_uri`](super::uri::from_request_uri).
pub(super) fn host(value: &[u8], share: impl FnOnce(&[u8]) -> Bytes) -> Result<Bytes, VarError> {
    if is_plain_name(value) {
        return Ok(share(value));
    }
    let authority = Authority::try_from(value).map_err(|_| VarError::Host)?;
    // What stands behind the host is nothing, a bare colon or a port.
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or("@");
    let port_is_sound = port.is_empty() || port == ":" || authority.port_u16().is_some();
    if !port_is_sound || authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(VarError::Host);
    }
    Ok(share(value))
}

/// Whether a host is a name such as most sites have, in which nothing can be misread.
fn is_plain_name(value: &[u8]) -> bool {
    const LONGEST: usize = 253;
    static IS_PLAIN: [bool; 256] = {
        let mut is_plain = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            is_plain[byte] = matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-');
            byte += 1;
        }
        is_plain
    };
    (1..=LONGEST).contains(&value.len()) && value.iter().all(|byte| IS_PLAIN[usize::from(*byte)])
}

/// An address, or `None` for what nginx says of a Unix client (`unix:`).
pub(super) fn ip_addr(text: &[u8]) -> Option<IpAddr> {
    if let Some(address) = ipv4_addr(text) {
        return Some(address.into());
    }
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inside, _)| inside);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|addr| addr.ip()))
}

/// An address of the old kind, which nearly all are. This costs a third of what the parser of std does.
fn ipv4_addr(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut bits, mut octet, mut digits, mut dots) = (0, 0, 0, 0);
    for byte in text {
        match byte {
            // Some read an octet that begins with a zero as octal; std refuses it too.
            b'0'..=b'9' if digits == 0 || octet > 0 && digits < 3 => (octet, digits) = (octet * 10 + u32::from(byte - b'0'), digits + 1),
            b'.' if digits > 0 && octet < 256 && dots < 3 => (bits, octet, digits, dots) = (bits << 8 | octet, 0, 0, dots + 1),
            _ => return None,
        }
    }
    (dots == 3 && digits > 0 && octet < 256).then(|| Ipv4Addr::from_bits(bits << 8 | octet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_is_what_std_reads(text in "[0-9]{0,4}(\\.[0-9]{0,3}){2,4}|[0-9a-f:.]{0,12}|unix:") {
            prop_assert_eq!(ipv4_addr(text.as_bytes()), text.parse().ok());
        }
    }
}
