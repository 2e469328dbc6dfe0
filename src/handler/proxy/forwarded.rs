//! `X-Forwarded-*`: what the upstream is told of the visitor.

use crate::{config::address::Network, ext::RequestExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use std::net::IpAddr;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Says in `headers`, those of `request` that go on, who asks for what.
///
/// What a visitor says of that is taken out. What a web server says whose address is trusted stays, with its own address at the end of the list; only `Forwarded` goes all the same, because it
/// would be a list that lacks its last part.
pub(super) fn tell(headers: &mut HeaderMap, request: &Parts, host: Option<&HeaderValue>, trusted: &[Network]) {
    let peer = peer(request).filter(|peer| trusted.iter().any(|network| network.contains(*peer)));
    let told = |name: &HeaderName| matches!(name.as_str(), "forwarded") || peer.is_none() && tells_of_the_way(name);
    let told: Vec<HeaderName> = headers.keys().filter(|name| told(name)).cloned().collect();
    for name in told {
        headers.remove(name);
    }
    match peer {
        Some(peer) => set(headers, FOR, appended(headers, peer)),
        None => set(headers, FOR, request.remote_addr().and_then(|client| value(&client.ip().to_canonical().to_string()))),
    }
    if !headers.contains_key(PROTO) {
        set(headers, PROTO, value(request.scheme()));
    }
    if !headers.contains_key(HOST) {
        set(headers, HOST, host.cloned());
    }
    set(headers, PREFIX, value(request.mount()));
}

/// Who asked the web server, which over HTTP is not known.
fn peer(request: &Parts) -> Option<IpAddr> {
    let address = std::str::from_utf8(request.cgi_vars().get("REMOTE_ADDR")?).ok()?;
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Whether a header is one of those by which proxies tell where a request comes from. Many programs take `_` for `-`.
fn tells_of_the_way(name: &HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded")
}

fn appended(headers: &HeaderMap, peer: IpAddr) -> Option<HeaderValue> {
    let peer = peer.to_string();
    let said = headers.get_all(FOR).into_iter().map(|value| value.as_bytes().trim_ascii()).filter(|said| !said.is_empty());
    let list: Vec<&[u8]> = said.chain([peer.as_bytes()]).collect();
    HeaderValue::from_bytes(&list.join(&b", "[..])).ok()
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok().filter(|value| !value.is_empty())
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        // A map that is full is one that no door lets in.
        let _ = headers.try_insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cgi::{CgiVars, request::Meta},
        ext::Exchange,
        gateway::Gateway,
        profile,
        proto::Role,
    };
    use http::Request;

    /// Of a visitor at 192.0.2.7 who asked for example.org over https, with what stands in the request.
    fn request(peer: &str, mount: &str, headers: &[(&'static str, &'static str)]) -> Parts {
        let vars = CgiVars::from_pairs([("REMOTE_ADDR", peer)]);
        let remote_addr = Some("[::ffff:192.0.2.7]:4000".parse().unwrap());
        let meta = Meta { mount: mount.to_owned(), remote_addr, https: true, host: Some("example.org".into()), ..Meta::default() };
        let mut request = Request::new(());
        request.extensions_mut().insert(Exchange::new(vars, Gateway::FastCgi, &profile::UNKNOWN, meta, Role::Responder, None));
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        request.into_parts().0
    }

    fn told(request: &Parts, trusted: &[&str]) -> Vec<String> {
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = request.headers.clone();
        tell(&mut headers, request, Some(&HeaderValue::from_static("example.org")), &trusted);
        let mut told: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        told.sort();
        told
    }

    const TRUTH: [&str; 3] = ["x-forwarded-for: 192.0.2.7", "x-forwarded-host: example.org", "x-forwarded-proto: https"];

    const CLAIMS: [(&str, &str); 11] = [
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x_real_ip", "6.6.6.6"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "7.7.7.7"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-ssl", "off"),
    ];

    #[test]
    fn a_visitor_cannot_say_where_it_comes_from() {
        assert_eq!(told(&request("192.0.2.7", "", &CLAIMS), &[]), TRUTH);
        assert_eq!(told(&request("192.0.2.7", "", &CLAIMS), &["198.51.100.0/24"]), TRUTH);
        assert_eq!(told(&request("unix:", "", &CLAIMS), &["0.0.0.0/0", "::/0"]), TRUTH);
    }

    #[test]
    fn other_headers_are_nobodys_business() {
        let request = request("192.0.2.7", "", &[("x-request-id", "7"), ("x-forward", "1")]);
        assert_eq!(told(&request, &[]), ["x-forward: 1", TRUTH[0], TRUTH[1], TRUTH[2], "x-request-id: 7"]);
    }

    #[test]
    fn the_mount_is_told_as_a_prefix() {
        let told = told(&request("192.0.2.7", "/sub/app.fcgi", &[("x-forwarded-prefix", "/evil")]), &[]);
        assert_eq!(told, [TRUTH[0], TRUTH[1], "x-forwarded-prefix: /sub/app.fcgi", TRUTH[2]]);
    }

    #[test]
    fn who_is_trusted_is_believed_and_added_to_the_list() {
        let said = [
            ("forwarded", "for=203.0.113.9"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", ""),
            ("x-forwarded-for", "203.0.113.10, 203.0.113.11"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "www.example.org"),
            ("x-real-ip", "203.0.113.9"),
        ];
        let told = told(&request("::ffff:198.51.100.4", "", &said), &["192.0.2.0/24", "198.51.100.0/24"]);
        assert_eq!(
            told,
            [
                "x-forwarded-for: 203.0.113.9, 203.0.113.10, 203.0.113.11, 198.51.100.4",
                "x-forwarded-host: www.example.org",
                "x-forwarded-proto: http",
                "x-real-ip: 203.0.113.9",
            ]
        );
    }

    #[test]
    fn who_is_trusted_and_says_nothing_is_told_of_like_any_other() {
        let told = told(&request("198.51.100.4", "", &[]), &["198.51.100.4"]);
        assert_eq!(told, ["x-forwarded-for: 198.51.100.4", TRUTH[1], TRUTH[2]]);
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let mut headers = HeaderMap::new();
        tell(&mut headers, &Request::new(()).into_parts().0, None, &[]);
        assert!(headers.is_empty(), "{headers:?}");
    }
}
