//! What becomes of the head of a response before it is sent: what the role of the app and the web server at the other end make of it.

use super::fit::{Fitted, fit};
use crate::{
    cgi::response::{Allowed, Head, ResponseError},
    profile::Profile,
    proto::Role,
    role::Variables,
};
use bytes::Bytes;
use http::{Extensions, StatusCode, response::Parts};
use std::path::Path;

/// Names of response headers that an Authorizer means for the web server.
const VARIABLE: &str = "variable-";

/// A head that can be sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Head,
    /// What the developer should know of it.
    pub(super) warning: Option<String>,
    /// The web server sends a file; the body is not wanted.
    pub(super) offloaded: bool,
    /// How many bytes make the web server pass on an event.
    pub(super) padding: Option<usize>,
}

/// Makes the head that goes out of the one that the app gave. `extensions` are those of the response; they are the app's, who drops them must be ready for a panic.
pub(super) fn adapt(
    mut parts: Parts,
    extensions: &Extensions,
    allowed: Allowed,
    profile: &'static Profile,
    role: Role,
    document_root: Option<&Path>,
) -> Result<Answer, ResponseError> {
    let mut fitted = Fitted::default();
    let head = match role {
        Role::Authorizer if parts.status == StatusCode::OK => Head::of_grant(variables(&parts, extensions)),
        Role::Authorizer => {
            // The web server passes the headers of a denial on to the visitor, for whom these are not meant.
            let names: Vec<_> = parts.headers.keys().filter(|name| name.as_str().starts_with(VARIABLE)).cloned().collect();
            for name in names {
                parts.headers.remove(name);
            }
            Head::new(parts, allowed)?
        }
        Role::Responder | Role::Filter => {
            fitted = fit(&mut parts, extensions, profile, document_root);
            Head::new(parts, allowed)?
        }
    };
    let warning = head.over_budget(profile);
    Ok(Answer { head, warning, offloaded: fitted.offloaded, padding: fitted.padding })
}

/// The variables of a grant, those of the extension first.
///
/// Nothing else of it may go out. Specification 6.3 lets the web server ignore the rest, but Apache does not: it adds the other headers to the page that it goes on to
/// answer with.
fn variables(parts: &Parts, extensions: &Extensions) -> Vec<(String, Bytes)> {
    let given = extensions.get::<Variables>().into_iter().flat_map(Variables::iter);
    let given = given.map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)));
    let headers = parts.headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(VARIABLE).filter(|name| !name.is_empty())?;
        // The types of http know small letters only, and variables have capital ones.
        Some((name.to_ascii_uppercase(), Bytes::copy_from_slice(value.as_bytes())))
    });
    given.chain(headers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;

    fn sent(response: http::Response<()>, role: Role) -> (String, bool) {
        let (mut parts, ()) = response.into_parts();
        let extensions = std::mem::take(&mut parts.extensions);
        let head = adapt(parts, &extensions, Allowed::default(), &profile::UNKNOWN, role, None).unwrap().head;
        (String::from_utf8(head.block(b"").0.to_vec()).unwrap(), head.body_allowed)
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
        assert_eq!(sent(response(200), Role::Authorizer), (expect.to_owned(), false));
    }

    #[test]
    fn a_denial_goes_to_the_visitor_without_variables() {
        let expect = "Status: 403 Forbidden\r\nset-cookie: a=1\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(sent(response(403), Role::Authorizer), (expect.to_owned(), true));
        assert!(sent(response(204), Role::Authorizer).0.starts_with("Status: 204 No Content\r\nset-cookie: a=1\r\n"));
    }

    #[test]
    fn elsewhere_such_headers_are_headers_like_others() {
        let expect = "Status: 200 OK\r\nvariable-user_id: 7\r\nset-cookie: a=1\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(sent(response(200), Role::Responder), (expect.to_owned(), true));
    }

    #[test]
    fn a_variable_that_the_web_server_does_not_take_is_named() {
        let parts = http::Response::builder().header("variable-long", "x".repeat(9000)).body(()).unwrap().into_parts().0;
        let answer = adapt(parts, &Extensions::new(), Allowed::default(), &profile::MOD_FCGID, Role::Authorizer, None).unwrap();
        assert!(answer.warning.unwrap().contains("`Variable-LONG` with 9017 bytes"));
    }
}
