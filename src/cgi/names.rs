//! The variables that mean something and the headers that browsers and proxies send, found with one look into a table.

use super::slots::{self, EXACT, Slots, slot};
use http::{HeaderName, header};

/// What a variable is.
#[derive(Debug)]
pub(super) enum Var {
    /// Something that a request is made of.
    Part(Part),
    Host,
    Cookie,
    /// A header that no app gets, which Apache and others send with every request.
    Connection,
    /// A header with no meaning here but its own.
    Header(HeaderName),
}

/// What a request is made of, with one value each.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Method,
    RequestUri,
    Protocol,
    ScriptName,
    ScriptFilename,
    PathInfo,
    Query,
    ContentType,
    ContentLength,
    Https,
    RequestScheme,
    RemoteAddr,
    RemotePort,
    ServerAddr,
}

impl Part {
    /// How many there are; `ServerAddr` has to stay the last.
    pub(super) const COUNT: usize = Self::ServerAddr as usize + 1;
}

/// A header that has no constant in `http`: as a constant its name needs no check and no memory.
const fn header(name: &'static str) -> Var {
    Var::Header(HeaderName::from_static(name))
}

static NAMES: [(&str, Var); 54] = [
    ("REQUEST_METHOD", Var::Part(Part::Method)),
    ("REQUEST_URI", Var::Part(Part::RequestUri)),
    ("SERVER_PROTOCOL", Var::Part(Part::Protocol)),
    ("SCRIPT_NAME", Var::Part(Part::ScriptName)),
    ("SCRIPT_FILENAME", Var::Part(Part::ScriptFilename)),
    ("PATH_INFO", Var::Part(Part::PathInfo)),
    ("QUERY_STRING", Var::Part(Part::Query)),
    ("CONTENT_TYPE", Var::Part(Part::ContentType)),
    ("CONTENT_LENGTH", Var::Part(Part::ContentLength)),
    ("HTTPS", Var::Part(Part::Https)),
    ("REQUEST_SCHEME", Var::Part(Part::RequestScheme)),
    ("REMOTE_ADDR", Var::Part(Part::RemoteAddr)),
    ("REMOTE_PORT", Var::Part(Part::RemotePort)),
    ("SERVER_ADDR", Var::Part(Part::ServerAddr)),
    ("HTTP_HOST", Var::Host),
    ("HTTP_COOKIE", Var::Cookie),
    ("HTTP_CONNECTION", Var::Connection),
    ("HTTP_ACCEPT", Var::Header(header::ACCEPT)),
    ("HTTP_ACCEPT_CHARSET", Var::Header(header::ACCEPT_CHARSET)),
    ("HTTP_ACCEPT_ENCODING", Var::Header(header::ACCEPT_ENCODING)),
    ("HTTP_ACCEPT_LANGUAGE", Var::Header(header::ACCEPT_LANGUAGE)),
    ("HTTP_CACHE_CONTROL", Var::Header(header::CACHE_CONTROL)),
    ("HTTP_DNT", Var::Header(header::DNT)),
    ("HTTP_FORWARDED", Var::Header(header::FORWARDED)),
    ("HTTP_FROM", Var::Header(header::FROM)),
    ("HTTP_IF_MATCH", Var::Header(header::IF_MATCH)),
    ("HTTP_IF_MODIFIED_SINCE", Var::Header(header::IF_MODIFIED_SINCE)),
    ("HTTP_IF_NONE_MATCH", Var::Header(header::IF_NONE_MATCH)),
    ("HTTP_IF_RANGE", Var::Header(header::IF_RANGE)),
    ("HTTP_IF_UNMODIFIED_SINCE", Var::Header(header::IF_UNMODIFIED_SINCE)),
    ("HTTP_ORIGIN", Var::Header(header::ORIGIN)),
    ("HTTP_PRAGMA", Var::Header(header::PRAGMA)),
    ("HTTP_PRIORITY", header("priority")),
    ("HTTP_RANGE", Var::Header(header::RANGE)),
    ("HTTP_REFERER", Var::Header(header::REFERER)),
    ("HTTP_SEC_CH_UA", header("sec-ch-ua")),
    ("HTTP_SEC_CH_UA_MOBILE", header("sec-ch-ua-mobile")),
    ("HTTP_SEC_CH_UA_PLATFORM", header("sec-ch-ua-platform")),
    ("HTTP_SEC_FETCH_DEST", header("sec-fetch-dest")),
    ("HTTP_SEC_FETCH_MODE", header("sec-fetch-mode")),
    ("HTTP_SEC_FETCH_SITE", header("sec-fetch-site")),
    ("HTTP_SEC_FETCH_USER", header("sec-fetch-user")),
    ("HTTP_SEC_GPC", header("sec-gpc")),
    ("HTTP_UPGRADE_INSECURE_REQUESTS", Var::Header(header::UPGRADE_INSECURE_REQUESTS)),
    ("HTTP_USER_AGENT", Var::Header(header::USER_AGENT)),
    ("HTTP_VIA", Var::Header(header::VIA)),
    ("HTTP_X_FORWARDED_FOR", header("x-forwarded-for")),
    ("HTTP_X_FORWARDED_HOST", header("x-forwarded-host")),
    ("HTTP_X_FORWARDED_PORT", header("x-forwarded-port")),
    ("HTTP_X_FORWARDED_PROTO", header("x-forwarded-proto")),
    ("HTTP_X_REAL_IP", header("x-real-ip")),
    ("HTTP_X_REQUEST_ID", header("x-request-id")),
    ("HTTP_X_REQUESTED_WITH", header("x-requested-with")),
    ("HTTP_X_CSRF_TOKEN", header("x-csrf-token")),
];

static SLOTS: Slots = {
    let mut wanted = [0; NAMES.len()];
    let mut at = 0;
    while at < NAMES.len() {
        wanted[at] = slot(NAMES[at].0.as_bytes(), EXACT);
        at += 1;
    }
    slots::place(wanted)
};

/// What the variable `name` is, if it is one of those that are known.
pub(super) fn find(name: &[u8]) -> Option<&'static Var> {
    slots::find(&SLOTS, &NAMES, slot(name, EXACT), |(known, _)| is_same(known.as_bytes(), name)).map(|(_, var)| var)
}

/// Eight letters at a time, and the last eight once more: to call the comparison of libc takes longer for names of this length, and each request has twenty.
fn is_same(known: &[u8], name: &[u8]) -> bool {
    let (Some(end), Some(other_end)) = (known.last_chunk::<8>(), name.last_chunk::<8>()) else { return known == name };
    if known.len() != name.len() || end != other_end {
        return false;
    }
    let (mut rest, mut other_rest) = (known, name);
    while let (Some((word, behind)), Some((other, other_behind))) = (rest.split_first_chunk::<8>(), other_rest.split_first_chunk::<8>()) {
        if word != other {
            return false;
        }
        (rest, other_rest) = (behind, other_behind);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgi::request::header_name;

    #[test]
    fn every_name_is_found_and_no_other() {
        for (name, var) in &NAMES {
            assert!(std::ptr::eq(find(name.as_bytes()).unwrap(), var), "{name}");
            assert!(!matches!(var, Var::Part(part) if *part as usize >= Part::COUNT), "{name}");
        }
        for name in ["", "X", "PATH", "HTTP_HOSTS", "http_host", "HTTP_X_SPECIAL"] {
            assert!(find(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn a_header_of_the_table_is_the_one_that_its_name_makes() {
        for (name, var) in &NAMES {
            if let Var::Header(header) = var {
                assert_eq!(header_name(name.strip_prefix("HTTP_").unwrap().as_bytes()).as_ref(), Some(header));
            }
        }
    }
}
