//! Hosts in their normal form, so that two ways to write one host are equal.

use std::borrow::Cow;

/// The normal form of a host as a client asks for it: small letters, without a port and without the dot at its end.
///
/// It costs nothing where the host is in its normal form already.
pub(crate) fn normal(host: &str) -> Cow<'_, str> {
    let name = match host.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(end) => host.get(..end + 2).unwrap_or(host),
        None => host.split(':').next().unwrap_or(host),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// A host without its port, which follows the last colon that is not within an IPv6 address.
pub(crate) fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// The normal form of a host as a person writes it, with letters of every language (IDNA, UTS 46). `None` for what is no host.
pub(super) fn of_person(text: &str) -> Option<String> {
    let (star, name) = text.strip_prefix("*.").map_or(("", text), |name| ("*.", name));
    if name.starts_with('[') {
        let address = name.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok()?;
        return star.is_empty().then(|| format!("[{address}]"));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let ascii = idna::domain_to_ascii(name).ok()?;
    let fits =
        |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    // 253 bytes: RFC 1035, 2.3.4.
    (ascii.len() <= 253 && ascii.split('.').all(fits)).then(|| format!("{star}{ascii}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_same_however_a_client_writes_it() {
        for (written, expected) in [
            ("example.org", "example.org"),
            ("EXAMPLE.org", "example.org"),
            ("example.org.", "example.org"),
            ("Example.Org:8080", "example.org"),
            ("example.org.:80", "example.org"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(normal(written), expected, "{written}");
        }
    }

    #[test]
    fn a_person_may_write_any_letters_and_nothing_that_is_no_host() {
        for (written, expected) in [
            ("Bücher.example", "xn--bcher-kva.example"),
            ("*.example.org", "*.example.org"),
            ("example.org.", "example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("[2001:db8:0::1]", "[2001:db8::1]"),
            ("my_host", "my_host"),
        ] {
            assert_eq!(of_person(written).as_deref(), Some(expected), "{written}");
        }
        for nonsense in ["", "*", "*.", "https://example.org", "example.org:80", "example.org/x", "a b", "a..b", "ex*mple.org", "[::1", "*.[::1]"] {
            assert_eq!(of_person(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_port_is_told_from_an_ipv6_address() {
        assert_eq!(split_port("example.org"), ("example.org", None));
        assert_eq!(split_port("example.org:81"), ("example.org", Some("81")));
        assert_eq!(split_port("[::1]"), ("[::1]", None));
        assert_eq!(split_port("[::1]:81"), ("[::1]", Some("81")));
    }
}
