//! `redirect`: another address. What is filled in is encoded, so that nobody can write a header or another host into it.

use super::{Answer, Failure, Matched, empty};
use crate::{
    body::Body,
    config::{host::normal, model::Redirect},
    ext::RequestExt as _,
};
use http::{HeaderValue, Request, StatusCode, Uri, header};

/// The answer that sends a visitor on.
pub(super) fn answer(redirect: &Redirect, request: &Request<Body>) -> Answer {
    let matched = request.extensions().get::<Matched>();
    let to = fill(&redirect.to, |name| value(name, request, matched));
    // A slash more at the front would name a host.
    let to = if to.starts_with("//") { format!("/{}", to.trim_start_matches('/')) } else { to };
    to_address(&to, redirect.status)
}

/// An answer that sends a visitor to `address`. Browsers read a backslash as a slash, which at the front would name a host.
pub(super) fn to_address(address: &str, status: StatusCode) -> Answer {
    let Ok(location) = HeaderValue::from_str(&address.replace('\\', "%5C")) else { return Failure::NOT_FOUND.answer() };
    let mut answer = empty(status);
    answer.headers_mut().insert(header::LOCATION, location);
    answer
}

/// Sends a visitor to the same address with a slash at the end of its path, without which relative links on the page would miss it. 308 stays what it is asked with.
///
/// `original` is the visitor's own, so that it holds below a mount.
pub(super) fn to_slash(original: &Uri) -> Answer {
    // Two slashes at the front, or a slash and a backslash, would name another host.
    let path = original.path().trim_start_matches(['/', '\\']);
    let query = original.query().map(|query| format!("?{query}")).unwrap_or_default();
    to_address(&format!("/{path}/{query}"), StatusCode::PERMANENT_REDIRECT)
}

/// A text with its names in braces filled in.
pub(super) fn fill(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut pieces = text.split('{');
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once('}') {
            Some((name, rest)) => {
                let value = value(name.strip_prefix('*').unwrap_or(name));
                if ends_in_host(&whole) && !rest.starts_with(['.', '-']) && !value.is_empty() && !value.starts_with(['/', '?', '#']) {
                    whole.push('/');
                }
                whole.push_str(&value);
                whole.push_str(rest);
            }
            None => {
                whole.push('{');
                whole.push_str(piece);
            }
        }
    }
    whole
}

/// Whether what is filled in next would become the end of a host: behind `https://example.org` the visitor could write `.evil.example`.
fn ends_in_host(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains(['/', '?', '#']))
}

fn value(name: &str, request: &Request<Body>, matched: Option<&Matched>) -> String {
    let text = match name {
        // It is encoded already, as the visitor wrote it.
        "path" => request.uri().path().trim_start_matches('/').to_owned(),
        "query" => return request.uri().query().map(|query| format!("?{query}")).unwrap_or_default(),
        "host" => return request.host().map(|host| normal(host).into_owned()).unwrap_or_default(),
        name => matched.and_then(|matched| matched.param(name)).unwrap_or_default().to_owned(),
    };
    // Behind a host without a slash, what stands before an `@` is a name and what follows it the host.
    text.replace('@', "%40")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(to: &str, uri: &str, params: &[(&str, &str)]) -> String {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri.parse().unwrap();
        request.extensions_mut().insert(Matched { params, ..Matched::default() });
        let answer = answer(&Redirect { to: to.to_owned(), status: StatusCode::FOUND }, &request);
        answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn parts_of_the_request_are_filled_in() {
        assert_eq!(location("https://example.org/{path}{query}", "/a/b?c=d", &[]), "https://example.org/a/b?c=d");
        assert_eq!(location("/new/{id}/{rest}", "/x", &[("id", "a%2Fb"), ("rest", "c/d")]), "/new/a%2Fb/c/d");
        assert_eq!(location("/{*rest}", "/x", &[("rest", "c/d")]), "/c/d");
        assert_eq!(location("/plain", "/x", &[]), "/plain");
    }

    #[test]
    fn nobody_is_sent_to_a_host_that_the_visitor_chose() {
        assert_eq!(location("/{path}", "//evil.example/x", &[]), "/evil.example/x");
        assert_eq!(location("/{rest}", "/x", &[("rest", "/evil.example")]), "/evil.example");
        assert_eq!(location("https://example.org{rest}", "/x", &[("rest", "@evil.example")]), "https://example.org/%40evil.example");
        assert_eq!(location("https://example.org{path}", "/.evil.example/x", &[]), "https://example.org/.evil.example/x");
        assert_eq!(location("https://example.org{query}", "/x?a", &[]), "https://example.org?a");
        assert_eq!(location("https://{a}.{b}.example.org/", "/x", &[("a", "1"), ("b", "2")]), "https://1.2.example.org/");
        assert_eq!(location("/{path}", "/\\evil.example/x", &[]), "/%5Cevil.example/x");
    }

    #[test]
    fn a_slash_at_the_end_never_names_another_host() {
        let slash = |uri: &str| to_slash(&uri.parse().unwrap()).headers()[header::LOCATION].to_str().unwrap().to_owned();
        for (uri, expected) in [
            ("/a", "/a/"),
            ("//evil.example/a", "/evil.example/a/"),
            ("/\\evil.example", "/evil.example/"),
            ("/\\/\\/x", "/x/"),
            ("/a\\b", "/a%5Cb/"),
            ("/a%20b?x=1&y=%2f", "/a%20b/?x=1&y=%2f"),
        ] {
            assert_eq!(slash(uri), expected, "{uri}");
        }
    }
}
