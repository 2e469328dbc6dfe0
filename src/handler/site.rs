//! One site: what holds for all of its pages, and its routes.

use super::{
    Answer, Failure, Matched,
    failure::{read_small, with_page},
    full,
    layers::{Around, Before},
    policy::Gate,
    redirect,
    route::{Guards, Route},
    table::{Rest, Table},
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
    name: Arc<str>,
    gate: Gate,
    /// What stands around answers that are no route's.
    around: Around,
    table: Table<Found>,
}

/// The routes of one path.
struct Found {
    /// In the order of the file.
    routes: Vec<Arc<Route>>,
    /// The headers that choose among them, for `Vary`.
    vary: Option<HeaderValue>,
}

impl Site {
    pub(super) fn new(settings: Arc<model::Site>) -> Self {
        Self { settings, ready: OnceLock::new() }
    }

    fn ready(&self, context: impl FnOnce(Arc<str>, bool) -> Context) -> &Ready {
        self.ready.get_or_init(|| {
            let has_app = self.settings.routes.iter().any(|route| matches!(route.handler, Handler::App(_)));
            let context = context(Arc::clone(&self.settings.name), has_app);
            Ready {
                name: Arc::clone(&self.settings.name),
                gate: Gate::new(&self.settings.policy),
                around: Around::new(&self.settings.layers),
                table: table(&self.settings, &context),
            }
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
            None => self.ready(context).answer(request).await?,
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
        // `OPTIONS *` asks about the server as a whole.
        let target = original.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let target = if target.starts_with('/') { target } else { "/" };
        let address = format!("{scheme}://{}{port}{target}", canonical.map_or(host, String::as_str));
        Some(redirect::to_address(&address, StatusCode::PERMANENT_REDIRECT))
    }

    fn maintenance(&self) -> Option<Answer> {
        let path = self.settings.maintenance.as_ref()?;
        let text = match read_small(path, LARGEST_PAGE) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return None,
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
        let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        texts.map(|text| text.to_ascii_lowercase().replace('"', "")).any(|text| text.contains(wanted))
    };
    request.scheme() == "https"
        || says("x-forwarded-proto", b"https")
        || says("x-forwarded-scheme", b"https")
        || says("x-forwarded-protocol", b"https")
        || says("x-url-scheme", b"https")
        || says("cloudfront-forwarded-proto", b"https")
        || says("x-forwarded-ssl", b"on")
        || says("front-end-https", b"on")
        || contains("forwarded", "proto=https")
        || contains("cf-visitor", "scheme:https")
}

/// The port that a visitor named beside the host.
fn port(host: &str) -> Option<u16> {
    let after_address = host.rsplit(']').next().unwrap_or(host);
    after_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

/// The routes of a site by their paths.
fn table(site: &model::Site, context: &Context) -> Table<Found> {
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
    let mut table = Table::default();
    for (RoutePath { pattern, .. }, routes) in order {
        let mut names: Vec<&str> = routes.iter().filter_map(|route| route.header_name()).collect();
        names.sort_unstable();
        names.dedup();
        let vary = Some(names.join(", ")).filter(|names| !names.is_empty()).and_then(|names| names.parse().ok());
        table.put(&pattern, Found { routes, vary });
    }
    table
}

impl Ready {
    async fn answer(&self, request: Request<Body>) -> Result<Answer, BoxError> {
        let before = self.around.before(&request);
        let (mut request, pass) = match self.gate.enter(request) {
            Ok(entered) => entered,
            Err(refusal) => return Ok(self.refuse(before, refusal)),
        };
        match self.find(&request) {
            Ok((route, found, matched)) => {
                request.extensions_mut().insert(matched);
                let exchange = request.exchange().placed(&self.name, None);
                request.extensions_mut().insert(exchange);
                Ok(pass.watch(varied(route.answer(request).await?, found)))
            }
            Err(answer) => Ok(pass.watch(self.refuse(before, answer))),
        }
    }

    /// What no route answers has around it what the site says: scripts of other sites may read a refusal too. A browser that asks beforehand is told whether they may.
    fn refuse(&self, before: Result<Before, Answer>, refusal: Answer) -> Answer {
        match before {
            Ok(before) => self.around.after(before, refusal),
            Err(permission) => permission,
        }
    }

    /// The route of a request, or what it is answered with because there is none.
    #[expect(clippy::result_large_err, reason = "it is what every handler answers with")]
    fn find(&self, request: &Request<Body>) -> Result<(Arc<Route>, &Found, Matched), Answer> {
        let path = path::normal(request.uri().path()).map_err(|_| Failure::new(StatusCode::BAD_REQUEST, code::HOSTILE_PATH).answer())?;
        let hit = self.table.find(&path).ok_or_else(|| Failure::NOT_FOUND.answer())?;
        let asked = asked_method(request);
        let fits = |route: &&Arc<Route>| route.takes_headers(request.headers());
        let routes = &hit.value.routes;
        if !routes.iter().any(|route| fits(&route)) {
            return Err(varied(Failure::NOT_FOUND.answer(), hit.value));
        }
        let takes = |route: &&Arc<Route>| route.takes_method(asked.as_ref().filter(|_| route.has_cors()).unwrap_or(request.method()));
        let Some(route) = routes.iter().filter(fits).find(takes) else {
            return Err(varied(wrong_method(routes.iter().filter(fits)), hit.value));
        };
        if self.is_locked_in_another_reading(&path, route) {
            return Err(Failure::new(StatusCode::BAD_REQUEST, code::HOSTILE_PATH).answer());
        }
        if hit.rest == Rest::SlashMissing && matches!(*request.method(), Method::GET | Method::HEAD) && !route.is_app() {
            return Err(varied(with_slash(request), hit.value));
        }
        let rest = match hit.rest {
            Rest::Nothing | Rest::SlashMissing => "/".to_owned(),
            Rest::Path(rest) => rest,
        };
        Ok((Arc::clone(route), hit.value, Matched { params: hit.params, rest }))
    }

    /// Whether a path in its normal form with an encoded slash means what stands behind other locks to somebody for whom that is a slash, as it is for nginx, PHP and many apps.
    fn is_locked_in_another_reading(&self, path: &str, route: &Route) -> bool {
        if !path.contains(ENCODED_SLASH) {
            return false;
        }
        let read = path.replace(ENCODED_SLASH, "/");
        let Ok(read) = path::normal(&read) else { return true };
        self.table.find(&read).is_some_and(|other| other.value.routes.iter().any(|other| other.has_locks_beside(route)))
    }
}

/// A slash within a segment, in the normal form of a path.
const ENCODED_SLASH: &str = "%2F";

/// Tells caches which headers have chosen the answer (RFC 9110, 12.5.5): a page for who sends them is not for others.
fn varied(mut answer: Answer, found: &Found) -> Answer {
    if let Some(vary) = &found.vary {
        answer.headers_mut().append(header::VARY, vary.clone());
    }
    answer
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
