//! Headers that are meant for the next hop alone.

use http::{HeaderMap, HeaderName, header};
use std::collections::HashSet;

/// RFC 9110, 7.6.1: an intermediary removes the headers that `Connection` lists, and those that are known to be for one hop, "even if they are not listed". `TE` and `Trailer` are
/// among them because trailers are not passed on. `Proxy` is no header at all, but becomes the proxy of HTTP clients in programs that are started with headers in their environment.
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let listed = listed(headers);
    let mut kept = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        if !is_for_one_hop(name) && !listed.contains(name) {
            // It was in a map before, so that there is room.
            let _ = kept.try_append(name.clone(), value.clone());
        }
    }
    kept
}

/// Whether a header with a list names this token, in whatever case.
pub(super) fn lists(headers: &HeaderMap, header: HeaderName, token: &str) -> bool {
    tokens(headers, header).any(|listed| listed.eq_ignore_ascii_case(token.as_bytes()))
}

fn tokens(headers: &HeaderMap, header: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(header).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn listed(headers: &HeaderMap) -> HashSet<HeaderName> {
    tokens(headers, header::CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

fn is_for_one_hop(name: &HeaderName) -> bool {
    matches!(*name, header::CONNECTION | header::TE | header::TRAILER | header::TRANSFER_ENCODING | header::UPGRADE)
        || matches!(name.as_str(), "keep-alive" | "http2-settings" | "proxy")
        || name.as_str().starts_with("proxy-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_is_for_one_hop_stays_behind_and_the_rest_goes_on() {
        let all = [
            ("accept", "*/*"),
            ("connection", "close, X-Private"),
            ("connection", "other"),
            ("cookie", "a=1"),
            ("http2-settings", "AA"),
            ("keep-alive", "timeout=5"),
            ("other", "1"),
            ("proxy", "http://evil.example"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authorization", "Basic eDp5"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-private", "1"),
            ("x-public", "1"),
            ("x-public", "2"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut kept = HeaderMap::new();
        for (name, value) in [("accept", "*/*"), ("cookie", "a=1"), ("x-public", "1"), ("x-public", "2")] {
            kept.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(end_to_end(&headers), kept);
    }

    #[test]
    fn a_list_may_be_written_in_many_ways() {
        for value in ["upgrade", "Upgrade", "keep-alive, Upgrade", "keep-alive ,\tUPGRADE ,"] {
            assert!(lists(&map(&[("connection", value)]), header::CONNECTION, "upgrade"), "{value}");
        }
        for value in ["", "upgrades", "up grade", "keep-alive; upgrade"] {
            assert!(!lists(&map(&[("connection", value)]), header::CONNECTION, "upgrade"), "{value}");
        }
    }
}
