//! What a handler can ask beyond `http::Request`: [`Exchange`] and [`RequestExt`].

use crate::{
    cgi::{CgiVars, request::Meta},
    gateway::Gateway,
    profile::{self, Profile},
    proto::Role,
};
use http::{Extensions, HeaderValue, Uri};
use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

/// Everything that lodger knows of an exchange and `http::Request` cannot say. It travels as a request extension; [`RequestExt`] reads it.
///
/// On a request that lodger did not make everything is empty.
#[derive(Clone, Debug)]
pub struct Exchange(Arc<Inner>, Option<Arc<Place>>);

/// Where in a tree of sites a request has arrived.
#[cfg_attr(not(feature = "site"), allow(dead_code, reason = "nothing else has sites"))]
#[derive(Debug)]
struct Place {
    site: Option<Arc<str>>,
    /// The mount with the prefix of the route, where an app sees what follows that.
    mount: Option<String>,
}

#[derive(Debug)]
struct Inner {
    vars: CgiVars,
    gateway: Option<Gateway>,
    profile: &'static Profile,
    meta: Meta,
    role: Role,
    listener: Option<Arc<str>>,
}

static NONE: LazyLock<Exchange> = LazyLock::new(|| {
    let (vars, meta) = (CgiVars::new(), Meta::default());
    Exchange(Arc::new(Inner { vars, gateway: None, profile: &profile::UNKNOWN, meta, role: Role::Responder, listener: None }), None)
});

impl Exchange {
    pub(crate) fn new(vars: CgiVars, gateway: Gateway, profile: &'static Profile, meta: Meta, role: Role, listener: Option<Arc<str>>) -> Self {
        Self(Arc::new(Inner { vars, gateway: Some(gateway), profile, meta, role, listener }), None)
    }

    /// The same for a request that was given to a site.
    #[cfg(feature = "site")]
    pub(crate) fn of_site(&self, site: &Arc<str>) -> Self {
        Self(Arc::clone(&self.0), Some(Arc::new(Place { site: Some(Arc::clone(site)), mount: None })))
    }

    /// The same for an app below the prefix of its route, which belongs to `mount` then.
    #[cfg(feature = "site")]
    pub(crate) fn mounted_at(&self, mount: String) -> Self {
        let site = self.1.as_ref().and_then(|place| place.site.clone());
        Self(Arc::clone(&self.0), Some(Arc::new(Place { site, mount: Some(mount) })))
    }

    /// All variables that the web server sent.
    #[must_use]
    pub fn cgi_vars(&self) -> &CgiVars {
        &self.0.vars
    }

    /// How the request came in.
    #[must_use]
    pub fn gateway(&self) -> Option<Gateway> {
        self.0.gateway
    }

    /// What is known of the web server.
    #[must_use]
    pub fn profile(&self) -> &'static Profile {
        self.0.profile
    }

    /// The part of the path that was consumed on the way to the app, as it stands in the target: "" at the top, no slash at its end. The web server consumes some to find the program,
    /// and a route of `lodger.toml` its prefix.
    #[must_use]
    pub fn mount(&self) -> &str {
        self.1.as_ref().and_then(|place| place.mount.as_deref()).unwrap_or(&self.0.meta.mount)
    }

    /// The target before the mount was stripped.
    #[must_use]
    pub fn original_uri(&self) -> Option<&Uri> {
        self.0.gateway.is_some().then_some(&self.0.meta.original_uri)
    }

    /// The address of the client; port 0 where the port is not known. None for a client without an address, such as one on a Unix socket.
    ///
    /// Over HTTP it is the last address of `X-Forwarded-For`, where the peer is on a Unix socket. Under Phusion Passenger, which passes every such header of a client on,
    /// it comes from headers of Passenger's own that begin with `!~`; those are not shown to the app.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.0.meta.remote_addr
    }

    /// `https` or `http`, as the client sees it; "" on a request that lodger did not make. Over HTTP it is the last of `X-Forwarded-Proto`, where the peer is on a Unix socket; in the
    /// place of LiteSpeed's Node.js it is always `http`, since LiteSpeed does not say.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match (self.0.gateway, self.0.meta.https) {
            (None, _) => "",
            (_, true) => "https",
            (_, false) => "http",
        }
    }

    /// The host that the client asked for, checked, with its port where it named one.
    ///
    /// Any client can ask for any host, so do not put it into a mail without comparing it with the names of your own site. Over HTTP it is the last of `X-Forwarded-Host`,
    /// where the peer is on a Unix socket; see that the web server sets that header, because one that it does not set is the client's own.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.0.meta.host()
    }

    /// What the web server asks of the app: to answer, nearly always.
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// The name of the socket that the request came in by, where systemd gave it one (`FileDescriptorName=` in the socket unit, else the name of the unit).
    /// None elsewhere.
    #[must_use]
    pub fn listener(&self) -> Option<&str> {
        self.0.listener.as_deref()
    }

    /// The header `Accept` of the request, for a page in the place of its response.
    pub(crate) fn accept(&self) -> Option<&[u8]> {
        self.0.meta.accept.as_ref().map(HeaderValue::as_bytes).or_else(|| self.0.vars.get("HTTP_ACCEPT"))
    }

    /// The path that the app was shown, for the log.
    pub(crate) fn path(&self) -> Cow<'_, str> {
        let whole = self.0.meta.original_uri.path();
        match whole.get(self.0.meta.mount.len()..).unwrap_or(whole) {
            rest if rest.len() == whole.len() || rest.starts_with('/') => rest.into(),
            rest => format!("/{rest}").into(),
        }
    }

    /// The name of the site of `lodger.toml` that the request was given to. None where there is no such file.
    #[must_use]
    pub fn site(&self) -> Option<&str> {
        self.1.as_ref().and_then(|place| place.site.as_deref())
    }
}

mod sealed {
    pub trait Sealed {}
    impl<B> Sealed for http::Request<B> {}
    impl Sealed for http::request::Parts {}
}

/// Reads what the web server said about a request. Implemented for `http::Request<B>` and `http::request::Parts`.
pub trait RequestExt: sealed::Sealed {
    #[doc(hidden)]
    fn extensions_of(&self) -> &Extensions;

    /// The exchange that this request belongs to; an empty one when lodger did not make the request.
    fn exchange(&self) -> &Exchange {
        self.extensions_of().get::<Exchange>().unwrap_or(&NONE)
    }

    /// See [`Exchange::cgi_vars`].
    fn cgi_vars(&self) -> &CgiVars {
        self.exchange().cgi_vars()
    }

    /// See [`Exchange::gateway`].
    fn gateway(&self) -> Option<Gateway> {
        self.exchange().gateway()
    }

    /// See [`Exchange::profile`].
    fn profile(&self) -> &'static Profile {
        self.exchange().profile()
    }

    /// See [`Exchange::mount`].
    fn mount(&self) -> &str {
        self.exchange().mount()
    }

    /// See [`Exchange::original_uri`].
    fn original_uri(&self) -> Option<&Uri> {
        self.exchange().original_uri()
    }

    /// See [`Exchange::remote_addr`].
    fn remote_addr(&self) -> Option<SocketAddr> {
        self.exchange().remote_addr()
    }

    /// See [`Exchange::scheme`].
    fn scheme(&self) -> &str {
        self.exchange().scheme()
    }

    /// See [`Exchange::host`].
    fn host(&self) -> Option<&str> {
        self.exchange().host()
    }

    /// See [`Exchange::role`].
    fn role(&self) -> Role {
        self.exchange().role()
    }

    /// See [`Exchange::listener`].
    fn listener(&self) -> Option<&str> {
        self.exchange().listener()
    }

    /// See [`Exchange::site`].
    fn site(&self) -> Option<&str> {
        self.exchange().site()
    }
}

impl<B> RequestExt for http::Request<B> {
    fn extensions_of(&self) -> &Extensions {
        self.extensions()
    }
}

impl RequestExt for http::request::Parts {
    fn extensions_of(&self) -> &Extensions {
        &self.extensions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_lodger_did_not_make_is_empty_and_no_panic() {
        let request = http::Request::new(());
        assert!(request.cgi_vars().is_empty());
        assert_eq!((request.gateway(), request.mount(), request.scheme(), request.host(), request.site()), (None, "", "", None, None));
        assert_eq!((request.original_uri(), request.remote_addr(), request.profile().name()), (None, None, "unknown"));
        assert_eq!(request.listener(), None);
    }
}
