//! One site: what holds for all of its pages, and its routes.

use super::{
    Answer, Failure, Matched,
    failure::{read_small, with_page},
    full,
    policy::Gate,
    redirect,
    route::{Guards, Route},
    tree::Context,
};
use crate::{
    body::Body,
    config::{
        model::{self, Handler, Route as Settings, RoutePath},
        path,
    },
    diagnostic::codes as code,
    error::BoxError,
    ext::RequestExt as _,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Where certificates are asked for over http (RFC 8555, 8.3). Sending the asker to https could end in a site without one.
const ACME: &str = "/.well-known/acme-challenge/";

/// When a visitor may ask again during maintenance.
const MAINTENANCE: Duration = Duration::from_secs(300);

/// The largest page of maintenance, in bytes.
const LARGEST_PAGE: u64 = 1024 * 1024;

/// A site. What its routes need is made with its first request: of many sites in one file, a process may never be asked for most.
pub(super) struct Site {
    pub(super) settings: Arc<model::Site>,
    ready: OnceLock<Ready>,
}

struct Ready {
    gate: Gate,
    /// By path; of one path the routes in the order of the file.
    table: matchit::Router<Found>,
}

#[derive(Clone)]
struct Found {
    routes: Vec<Arc<Route>>,
    /// What the handlers see is what follows it.
    rest: Rest,
}

/// What of a path follows the prefix of its route.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rest {
    /// Nothing: the route is that one path.
    Nothing,
    /// The parameter of this name.
    Named(String),
    /// The path is the prefix without its last slash.
    SlashMissing,
}

impl Site {
    pub(super) fn new(settings: Arc<model::Site>) -> Self {
        Self { settings, ready: OnceLock::new() }
    }

    fn ready(&self, context: impl FnOnce(Arc<str>, bool) -> Context) -> &Ready {
        self.ready.get_or_init(|| {
            let has_app = self.settings.routes.iter().any(|route| matches!(route.handler, Handler::App(_)));
            let context = context(Arc::clone(&self.settings.name), has_app);
            Ready { gate: Gate::new(&self.settings.policy), table: table(&self.settings, &context) }
        })
    }

    /// Answers a request for this site. `host` is the normal form of what was asked for.
    pub(super) async fn answer(
        &self,
        request: Request<Body>,
        host: &str,
        context: impl FnOnce(Arc<str>, bool) -> Context,
    ) -> Result<Answer, BoxError> {
        let is_https = request.scheme() == "https";
        let accept = request.headers().get(header::ACCEPT).cloned();
        let answer = match self.elsewhere(&request, host).or_else(|| self.maintenance()) {
            Some(answer) => answer,
            None => {
                let ready = self.ready(context);
                match ready.gate.enter(request) {
                    Ok((request, pass)) => pass.watch(ready.answer(request).await?),
                    Err(answer) => answer,
                }
            }
        };
        let mut answer = with_page(answer, &self.settings.error_pages, accept.as_ref());
        self.add_headers(answer.headers_mut(), is_https);
        Ok(answer)
    }

    /// Where the visitor is sent, if he came in by the wrong host or without TLS. One step leads to the right place.
    fn elsewhere(&self, request: &Request<Body>, host: &str) -> Option<Answer> {
        let settings = &self.settings;
        let canonical = settings.hosts.first().filter(|first| settings.canonical_host && !host.is_empty() && first.as_str() != host);
        let has_tls = is_behind_tls(request);
        let to_https = settings.https_redirect && !has_tls && !request.uri().path().starts_with(ACME) && !host.is_empty();
        if canonical.is_none() && !to_https {
            return None;
        }
        // Whoever has come over TLS stays there, also where the front that says so is not believed.
        let scheme = if to_https || has_tls { "https" } else { request.scheme() };
        let port = if to_https { None } else { request.host().and_then(port) };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let original = request.original_uri().unwrap_or(request.uri());
        let target = original.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let address = format!("{scheme}://{}{port}{target}", canonical.map_or(host, String::as_str));
        Some(redirect::to_address(&address, StatusCode::PERMANENT_REDIRECT))
    }

    fn maintenance(&self) -> Option<Answer> {
        let path = self.settings.maintenance.as_ref()?;
        let text = match read_small(path, LARGEST_PAGE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Ok(text) => text,
            // The file is there, which is what counts.
            Err(_) => String::new(),
        };
        let mut answer = Failure::new(StatusCode::SERVICE_UNAVAILABLE, code::MAINTENANCE).answer_later(MAINTENANCE);
        if !text.trim().is_empty() {
            answer.extensions_mut().remove::<Failure>();
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            *answer.body_mut() = full(text);
        }
        Some(answer)
    }

    fn add_headers(&self, headers: &mut HeaderMap, is_https: bool) {
        if let Some(hsts) = self.settings.hsts.as_ref().filter(|_| is_https) {
            headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
        }
        if self.settings.security_headers {
            for (name, value) in &SECURITY_HEADERS {
                headers.entry(name).or_insert(HeaderValue::from_static(value));
            }
        }
    }
}

/// What `security-headers` sets where the answer is silent.
static SECURITY_HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
];

/// Whether the visitor came over TLS as far as anybody says, believed or not: one who lies about it only keeps himself from being sent to https, while a front that ends TLS
/// and is not believed would send everybody round in circles.
fn is_behind_tls(request: &Request<Body>) -> bool {
    let headers = request.headers();
    let says = |name: &str, wanted: &[u8]| {
        let mut values = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        values.any(|value| value.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    let contains = |name: &str, wanted: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.to_ascii_lowercase().contains(wanted))
    };
    request.scheme() == "https"
        || says("x-forwarded-proto", b"https")
        || says("x-forwarded-scheme", b"https")
        || says("x-forwarded-ssl", b"on")
        || says("front-end-https", b"on")
        || contains("forwarded", "proto=https")
        || contains("cf-visitor", "\"https\"")
}

/// The port that a visitor named beside the host.
fn port(host: &str) -> Option<u16> {
    let after_address = host.rsplit(']').next().unwrap_or(host);
    after_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

/// The routes of a site by their paths.
fn table(site: &model::Site, context: &Context) -> matchit::Router<Found> {
    let mut guards = Guards::new();
    let mut order: Vec<(RoutePath, Vec<Arc<Route>>)> = Vec::new();
    let implied = context.implied_app().filter(|_| !site.routes.iter().any(|route| route.path.pattern == "/"));
    let implied = implied.map(|app| Settings {
        path: RoutePath { pattern: "/".to_owned(), prefix: true },
        methods: Vec::new(),
        header: None,
        handler: Handler::App(app),
        policy: context.default_policy.clone(),
        layers: site.layers.clone(),
    });
    for settings in site.routes.iter().cloned().chain(implied) {
        let path = settings.path.clone();
        let route = Arc::new(Route::new(settings, context, &mut guards));
        match order.iter_mut().find(|(known, _)| *known == path) {
            Some((_, routes)) => routes.push(route),
            None => order.push((path, vec![route])),
        }
    }
    let mut table = matchit::Router::new();
    let mut put = |pattern: String, routes: &Vec<Arc<Route>>, rest: Rest| {
        // What cannot stand beside another was told when the file was read; a path that is there already was written by hand.
        let _ = table.insert(pattern, Found { routes: routes.clone(), rest });
    };
    for (RoutePath { pattern, .. }, routes) in &order {
        match pattern.rfind("{*") {
            Some(at) => put(pattern.clone(), routes, Rest::Named(pattern[at + 2..].trim_end_matches('}').to_owned())),
            None if pattern.ends_with('/') => put(pattern.clone(), routes, Rest::Named(String::new())),
            None => put(pattern.clone(), routes, Rest::Nothing),
        }
    }
    // What a prefix stands for beside itself gives way to what is written out.
    for (RoutePath { pattern, .. }, routes) in order.iter().filter(|(path, _)| path.pattern.ends_with('/')) {
        put(format!("{pattern}{{*{REST}}}"), routes, Rest::Named(REST.to_owned()));
        if pattern != "/" {
            put(pattern.trim_end_matches('/').to_owned(), routes, Rest::SlashMissing);
        }
    }
    table
}

/// The name of what follows a prefix, which no file can use.
const REST: &str = "-";

impl Ready {
    async fn answer(&self, mut request: Request<Body>) -> Result<Answer, BoxError> {
        match self.find(&request) {
            Ok((route, matched)) => {
                request.extensions_mut().insert(matched);
                route.answer(request).await
            }
            Err(answer) => Ok(*answer),
        }
    }

    /// The route of a request, or what it is answered with because there is none.
    fn find(&self, request: &Request<Body>) -> Result<(Arc<Route>, Matched), Box<Answer>> {
        let path = path::normal(request.uri().path()).map_err(|_| refused(Failure::new(StatusCode::BAD_REQUEST, code::HOSTILE_PATH)))?;
        let at = self.table.at(&path).map_err(|_| refused(Failure::NOT_FOUND))?;
        let asked = asked_method(request);
        let fits = |route: &&Arc<Route>| route.takes_headers(request.headers());
        if !at.value.routes.iter().any(|route| fits(&route)) {
            return Err(refused(Failure::NOT_FOUND));
        }
        let takes = |route: &&Arc<Route>| route.takes_method(asked.as_ref().filter(|_| route.has_cors()).unwrap_or(request.method()));
        let Some(route) = at.value.routes.iter().filter(fits).find(takes) else {
            return Err(Box::new(wrong_method(at.value.routes.iter().filter(fits))));
        };
        if self.is_locked_in_another_reading(&path, route) {
            return Err(refused(Failure::new(StatusCode::BAD_REQUEST, code::HOSTILE_PATH)));
        }
        if at.value.rest == Rest::SlashMissing && matches!(*request.method(), Method::GET | Method::HEAD) && !route.is_app() {
            return Err(Box::new(with_slash(request)));
        }
        let rest = match &at.value.rest {
            Rest::Nothing | Rest::SlashMissing => "/".to_owned(),
            Rest::Named(name) => format!("/{}", at.params.get(name).unwrap_or_default()),
        };
        let params = at.params.iter().filter(|(name, _)| *name != REST).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok((Arc::clone(route), Matched { params, rest }))
    }

    /// Whether a path in its normal form with an encoded slash means what stands behind other locks to somebody for whom that is a slash, as it is for nginx, PHP and many apps.
    fn is_locked_in_another_reading(&self, path: &str, route: &Route) -> bool {
        if !path.contains(ENCODED_SLASH) {
            return false;
        }
        let read = path.replace(ENCODED_SLASH, "/");
        let Ok(read) = path::normal(&read) else { return true };
        self.table.at(&read).is_ok_and(|other| other.value.routes.iter().any(|other| other.has_locks_beside(route)))
    }
}

/// A slash within a segment, in the normal form of a path.
const ENCODED_SLASH: &str = "%2F";

fn refused(failure: Failure) -> Box<Answer> {
    Box::new(failure.answer())
}

/// The method that a browser asks beforehand about (Fetch, 4.8).
fn asked_method(request: &Request<Body>) -> Option<Method> {
    if request.method() != Method::OPTIONS || !request.headers().contains_key(header::ORIGIN) {
        return None;
    }
    Method::from_bytes(request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()
}

/// RFC 9110, 15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
fn wrong_method<'a>(routes: impl Iterator<Item = &'a Arc<Route>>) -> Answer {
    let mut allowed: Vec<&str> = routes.flat_map(|route| route.methods()).map(Method::as_str).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.sort_unstable();
    allowed.dedup();
    let mut answer = Failure { status: StatusCode::METHOD_NOT_ALLOWED, code: None }.answer();
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

/// Sends a visitor from `/static` to `/static/`, so that links on the page are relative to the right place.
fn with_slash(request: &Request<Body>) -> Answer {
    let original = request.original_uri().unwrap_or(request.uri());
    let path = original.path().trim_start_matches('/');
    let query = original.query().map(|query| format!("?{query}")).unwrap_or_default();
    redirect::to_address(&format!("/{path}/{query}"), StatusCode::PERMANENT_REDIRECT)
}
