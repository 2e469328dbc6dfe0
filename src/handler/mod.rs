//! Handlers: tower services that answer requests, and the tree that finds the one for a request. None of them has heard of gateways.

pub(crate) mod auth;
pub(crate) mod cgi;
pub(crate) mod failure;
pub(crate) mod fastcgi;
pub(crate) mod files;
pub(crate) mod layers;
pub(crate) mod policy;
pub(crate) mod proxy;
mod broken;
mod once;
mod own;
mod redirect;
mod respond;
mod route;
mod site;
mod table;
mod tree;
mod upstream;
mod watch;

#[cfg(test)]
mod reload_tests;
#[cfg(test)]
mod tree_tests;
#[cfg(test)]
mod site_tests;

pub(crate) use broken::warn;
pub(crate) use tree::APP;
pub use tree::Tree;
pub(crate) use watch::Watch;

pub(crate) use failure::Failure;

use crate::{app::ResponseBody, error::BoxError};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use std::{future::Future, pin::Pin};

/// What a handler answers with.
pub(crate) type Answer = Response<ResponseBody>;

/// The future of every handler.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

/// A body that is all there.
pub(crate) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    ResponseBody::new(Full::new(bytes.into()))
}

/// An answer without headers and without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// What the route of a request found in its path, as an extension of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// The parameters of the path by their names, in the normal form of a path.
    pub(crate) params: Vec<(String, String)>,
    /// What stands behind the route's prefix, in the normal form of a path: it begins with a slash, and what is encoded in it is so for a reason. `/` where the
    /// route has no prefix.
    pub(crate) rest: String,
}

impl Matched {
    /// The parameter of this name, in the normal form of a path.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// How many bytes of `path`, which is that of the request as it stands there, the prefix of the route takes. In both paths slashes beside one another count as one.
    pub(crate) fn prefix(&self, path: &str) -> usize {
        let count = |path: &str| path.split('/').filter(|segment| !segment.is_empty()).count();
        let mut left = count(path).saturating_sub(count(&self.rest));
        let mut at = 0;
        for segment in path.split_inclusive('/') {
            if left == 0 {
                break;
            }
            let name = segment.trim_end_matches('/');
            left -= usize::from(!name.is_empty());
            at += name.len() + usize::from(left > 0 && segment.ends_with('/'));
        }
        at
    }

    /// The same, decoded; bytes that are no UTF-8 are replaced.
    pub(crate) fn decoded(&self, name: &str) -> Option<String> {
        self.param(name).map(|value| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_a_route_is_found_however_its_slashes_were_written() {
        for (path, rest, expected) in [
            ("/api/users/7", "/users/7", ("/api", "/users/7")),
            ("//api//users", "/users", ("//api", "//users")),
            ("/api/", "/", ("/api", "/")),
            ("/api", "/", ("/api", "")),
            ("/a/b/c", "/c", ("/a/b", "/c")),
            ("/%61/b", "/b", ("/%61", "/b")),
            ("/x", "/x", ("", "/x")),
        ] {
            let matched = Matched { rest: rest.to_owned(), ..Matched::default() };
            assert_eq!(path.split_at(matched.prefix(path)), expected, "{path}");
        }
    }
}
