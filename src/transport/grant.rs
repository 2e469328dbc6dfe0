//! What becomes of the response of an Authorizer, which is for the web server and not for a visitor when it grants.

use crate::{profile::Profile, role::Variables};
use bytes::Bytes;
use http::{StatusCode, response::Parts};

/// Names of response headers that are meant for the web server.
const VARIABLE: &str = "variable-";

/// The variables of a grant, those of the extension first; `None` when the response denies, which is then changed into one that the web server takes for a denial.
///
/// Nothing but variables may go out with a grant. Specification 6.3 lets the web server ignore the rest, but Apache does not: it adds the other headers to the page
/// that it goes on to answer with.
pub(super) fn take(parts: &mut Parts, profile: &Profile) -> Option<Vec<(String, Bytes)>> {
    if parts.status != StatusCode::OK {
        make_denial(parts, profile);
        return None;
    }
    let given = parts.extensions.get::<Variables>().into_iter().flat_map(Variables::iter);
    let given = given.map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)));
    let headers = parts.headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(VARIABLE).filter(|name| !name.is_empty())?;
        // The types of http know small letters only, and variables have capital ones.
        Some((name.to_ascii_uppercase(), Bytes::copy_from_slice(value.as_bytes())))
    });
    Some(given.chain(headers).collect())
}

fn make_denial(parts: &mut Parts, profile: &Profile) {
    // The web server passes the headers of a denial on to the visitor, for whom these are not meant.
    let names: Vec<_> = parts.headers.keys().filter(|name| name.as_str().starts_with(VARIABLE)).cloned().collect();
    for name in names {
        parts.headers.remove(name);
    }
    // A status that the web server does not know would become 200 there, and let everybody in.
    if parts.status.is_success() && profile.nearest_status(parts.status.as_u16()) == StatusCode::OK.as_u16() {
        parts.status = StatusCode::FORBIDDEN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cgi::response::{Allowed, Head},
        profile,
    };

    fn sent(response: http::Response<()>, profile: &Profile) -> (String, bool) {
        let (mut parts, ()) = response.into_parts();
        let head = match take(&mut parts, profile) {
            Some(variables) => Head::of_grant(variables),
            None => Head::new(parts, Allowed::default()).unwrap(),
        };
        let mut block = Vec::new();
        head.write(b"", &profile::UNKNOWN, &mut block);
        (String::from_utf8(block).unwrap(), head.body_allowed)
    }

    fn response(status: u16) -> http::Response<()> {
        let variables = Variables::new().with("Auth_Method", "cookie").unwrap();
        let response =
            http::Response::builder().status(status).header("variable-user_id", "7").header("set-cookie", "a=1").header("content-length", "9");
        response.extension(variables).body(()).unwrap()
    }

    #[test]
    fn a_grant_is_its_variables_and_nothing_else() {
        let expect = "Status: 200 OK\r\nVariable-Auth_Method: cookie\r\nVariable-USER_ID: 7\r\n\r\n";
        assert_eq!(sent(response(200), &profile::UNKNOWN), (expect.to_owned(), false));
    }

    #[test]
    fn a_denial_goes_to_the_visitor_without_variables() {
        let expect = "Status: 403 Forbidden\r\nset-cookie: a=1\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(sent(response(403), &profile::UNKNOWN), (expect.to_owned(), true));
        assert!(sent(response(204), &profile::UNKNOWN).0.starts_with("Status: 204 No Content\r\nset-cookie: a=1\r\n"));
    }

    #[test]
    fn no_denial_becomes_a_grant_on_its_way() {
        assert!(sent(response(226), &profile::OPENLITESPEED).0.starts_with("Status: 403 "));
        assert!(sent(response(226), &profile::UNKNOWN).0.starts_with("Status: 226 "));
        assert!(sent(response(204), &profile::OPENLITESPEED).0.starts_with("Status: 204 "));
    }

    #[test]
    fn a_variable_that_the_web_server_does_not_take_is_named() {
        let mut parts = http::Response::builder().header("variable-long", "x".repeat(9000)).body(()).unwrap().into_parts().0;
        let head = Head::of_grant(take(&mut parts, &profile::MOD_FCGID).unwrap());
        assert!(head.over_budget(&profile::MOD_FCGID).unwrap().contains("`Variable-LONG` with 9017 bytes"));
    }
}
