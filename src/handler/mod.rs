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
mod own;
mod redirect;
mod respond;
mod route;
mod site;
mod table;
mod tree;
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
use http_body_util::{BodyExt as _, Full};
use std::{future::Future, pin::Pin};

/// What a handler answers with.
pub(crate) type Answer = Response<ResponseBody>;

/// The future of every handler.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

/// A body that is all there.
pub(crate) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).map_err(Into::into).boxed_unsync()
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

    /// The same, decoded; bytes that are no UTF-8 are replaced.
    pub(crate) fn decoded(&self, name: &str) -> Option<String> {
        self.param(name).map(|value| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
    }
}
