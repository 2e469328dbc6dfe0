//! A guard for pages that something else answers: the web server asks this program first, and lets through what it grants.
//!
//! In Apache with mod_fcgid, `FcgidAccessChecker /path/to/authorizer` asks for the cookie below, `FcgidAuthenticator` for the password and `FcgidAuthorizer` for
//! the page that a user may see. The page finds `VISITOR` among its variables.

use std::process::ExitCode;

use axum::extract::Request;
use axum::http::header::{COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use lodger::{RequestExt as _, Role, Variables};

fn main() -> ExitCode {
    lodger::run(|| Router::new().fallback(guard))
}

async fn guard(request: Request) -> Response {
    if request.role() != Role::Authorizer {
        return (StatusCode::NOT_FOUND, "This program guards other pages and has none of its own.\n").into_response();
    }
    let variable = |name| request.cgi_vars().get(name).unwrap_or_default();
    let (user, passwd) = (variable("REMOTE_USER"), variable("REMOTE_PASSWD"));
    match variable("FCGI_APACHE_ROLE") {
        b"AUTHORIZER" => page_of_user(user, request.uri()),
        b"AUTHENTICATOR" => password(user, passwd),
        // mod_authnz_fcgi can ask for both at once, and then says neither.
        _ if !passwd.is_empty() => password(user, passwd),
        _ => cookie(request.headers()),
    }
}

/// Who may enter: everybody with this cookie.
fn cookie(headers: &HeaderMap) -> Response {
    let cookies = headers.get(COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
    if cookies.split("; ").any(|cookie| cookie == "door=open") {
        grant("cookie")
    } else {
        (StatusCode::FORBIDDEN, "The door is closed.\n").into_response()
    }
}

/// Who is who: everybody whose password is the name backwards. Yours will ask a database.
fn password(user: &[u8], password: &[u8]) -> Response {
    if !user.is_empty() && user.iter().eq(password.iter().rev()) {
        return grant("password");
    }
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"door\"")], "Who are you?\n").into_response()
}

/// Who may see what: everybody the pages whose address ends with their own name.
fn page_of_user(user: &[u8], page: &Uri) -> Response {
    if !user.is_empty() && page.path().as_bytes().ends_with(user) {
        grant("name")
    } else {
        (StatusCode::FORBIDDEN, "Not your page.\n").into_response()
    }
}

fn grant(by: &str) -> Response {
    match Variables::new().with("VISITOR", format!("known by {by}")) {
        Ok(variables) => Extension(variables).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
