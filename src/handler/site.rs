//! One site: what holds for all of its pages, and its routes.

use super::{
    Answer, Failure, Matched,
    failure::{OwnPage, with_page},
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
        host::split_port,
        model::{self, Handler, Route as Settings, RoutePath},
        path,
        small::{LARGEST_PAGE, read_small},
    },
    diagnostic::codes as code,
    error::BoxError,
    ext::RequestExt as _,
    telemetry::log::REQUESTS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use std::{
    borrow::Cow,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::Instant;

/// Where certificates are asked for over http (RFC 8555, 8.3). Sending the asker to https could end in a site without one.
const ACME: &str = "/.well-known/acme-challenge/";

/// When a visitor may ask again during maintenance.
const MAINTENANCE: Duration = Duration::from_secs(300);

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
    /// The routes of each path, in the order of the file.
    table: Table<Vec<Arc<Route>>>,
    /// Whether any route asks who comes.
    has_locks: bool,
    /// The headers that choose among routes, for `Vary`.
    vary: Option<HeaderValue>,
}

impl Site {
    pub(super) fn new(settings: Arc<model::Site>) -> Self {
        Self { settings, ready: OnceLock::new() }
    }

    fn ready(&self, context: impl FnOnce() -> Context) -> &Ready {
        self.ready.get_or_init(|| {
            let routes = routes(&self.settings, &context());
            let all = || routes.iter().flat_map(|(_, routes)| routes);
            let mut names: Vec<&str> = all().filter_map(|route| route.header_name()).collect();
            names.sort_unstable();
            names.dedup();
            let vary = Some(names.join(", ")).filter(|names| !names.is_empty()).and_then(|names| names.parse().ok());
            let has_locks = all().any(|route| route.has_locks());
            let mut table = Table::default();
            for (pattern, routes) in routes {
                table.put(&pattern, routes);
            }
            let (name, settings) = (Arc::clone(&self.settings.name), &self.settings);
            Ready { name, gate: Gate::new(&settings.policy), around: Around::new(&settings.layers), table, has_locks, vary }
        })
    }

    /// Answers a request for this site. `host` is the normal form of what was asked for.
    pub(super) async fn answer(&self, request: Request<Body>, host: &str, context: impl FnOnce() -> Context) -> Result<Answer, BoxError> {
        let asked = self.settings.log_requests.then(|| Asked::of(&request));
        let is_https = request.scheme() == "https";
        let accept = request.headers().get(header::ACCEPT).cloned();
        let answer = match self.elsewhere(&request, host).or_else(|| self.maintenance()) {
            Some(answer) => answer,
            None => self.ready(context).answer(request).await?,
        };
        let mut answer = with_page(answer, &self.settings.error_pages, accept.as_ref());
        self.add_headers(answer.headers_mut(), is_https);
        if let Some(asked) = asked {
            asked.log(&self.settings.name, answer.status());
        }
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
        let named = || request.host().and_then(|host| split_port(host).1?.parse::<u16>().ok());
        let port = if to_https { None } else { named() };
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
            answer.extensions_mut().insert(OwnPage);
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

/// What the log is told of a request.
struct Asked {
    client: String,
    method: Method,
    target: String,
    since: Instant,
}

impl Asked {
    fn of(request: &Request<Body>) -> Self {
        let client = request.remote_addr().map_or_else(|| "-".to_owned(), |client| client.ip().to_string());
        let target = request.original_uri().unwrap_or(request.uri()).to_string();
        Self { client, method: request.method().clone(), target, since: Instant::now() }
    }

    /// The query is left out: what stands there may be a secret, such as a token of a link.
    fn log(&self, site: &str, status: StatusCode) {
        let Self { client, method, target, since } = self;
        let (path, took) = (target.split('?').next().unwrap_or_default(), since.elapsed().as_millis());
        tracing::info!(target: REQUESTS, "{site}: {client} {method} {path} {} {took} ms", status.as_u16());
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

/// The routes of a site by the patterns of their paths, in the order of the file.
fn routes(site: &model::Site, context: &Context) -> Vec<(String, Vec<Arc<Route>>)> {
    let mut guards = Guards::new();
    let mut order: Vec<(String, Vec<Arc<Route>>)> = Vec::new();
    let takes_all = |route: &Settings| route.path.pattern == "/" && route.methods.is_empty() && route.header.is_none();
    let implied = context.implied_app.filter(|_| !site.routes.iter().any(takes_all));
    let implied = implied.map(|app| Settings {
        path: RoutePath { pattern: "/".to_owned(), prefix: true },
        methods: Vec::new(),
        header: None,
        handler: Handler::App(app.to_owned()),
        policy: site.default_policy.clone(),
        layers: site.layers.clone(),
    });
    for settings in site.routes.iter().cloned().chain(implied) {
        let pattern = settings.path.pattern.clone();
        let route = Arc::new(Route::new(settings, context, &mut guards));
        match order.iter_mut().find(|(known, _)| *known == pattern) {
            Some((_, routes)) => routes.push(route),
            None => order.push((pattern, vec![route])),
        }
    }
    order
}

impl Ready {
    async fn answer(&self, request: Request<Body>) -> Result<Answer, BoxError> {
        let before = self.around.before(&request);
        let (mut request, pass) = match self.gate.enter(request) {
            Ok(entered) => entered,
            Err(refusal) => return Ok(self.refuse(before, refusal)),
        };
        match self.find(&request) {
            Ok((route, matched)) => {
                request.extensions_mut().insert(matched);
                let exchange = request.exchange().of_site(&self.name);
                request.extensions_mut().insert(exchange);
                Ok(pass.watch(self.varied(route.answer(request).await?)))
            }
            Err(answer) => Ok(pass.watch(self.varied(self.refuse(before, answer)))),
        }
    }

    /// Tells caches which headers choose among the routes (RFC 9110, 12.5.5): a page for who sends them is not for others.
    fn varied(&self, mut answer: Answer) -> Answer {
        if let Some(vary) = &self.vary {
            answer.headers_mut().append(header::VARY, vary.clone());
        }
        answer
    }

    /// What no route answers has around it what the site says: scripts of other sites may read a refusal too. A browser that asks beforehand is told whether they may.
    fn refuse(&self, before: Result<Before, Answer>, refusal: Answer) -> Answer {
        match before {
            Ok(before) => self.around.after(before, refusal),
            Err(permission) => permission,
        }
    }

    /// The route of a request, or what it is answered with because there is none. A route whose header the request has not is none for it.
    #[expect(clippy::result_large_err, reason = "it is what every handler answers with")]
    fn find(&self, request: &Request<Body>) -> Result<(Arc<Route>, Matched), Answer> {
        let hostile = || Failure::new(StatusCode::BAD_REQUEST, code::HOSTILE_PATH).answer();
        let path = path::normal(request.uri().path()).map_err(|_| hostile())?;
        let asked = asked_method(request);
        let fits = |route: &&Arc<Route>| route.takes_headers(request.headers());
        let hit = self.table.find(&path, |routes| routes.iter().any(|route| fits(&route))).ok_or_else(|| Failure::NOT_FOUND.answer())?;
        let takes = |route: &&Arc<Route>| route.takes_method(asked.as_ref().filter(|_| route.has_cors()).unwrap_or(request.method()));
        let Some(route) = hit.value.iter().filter(fits).find(takes) else {
            return Err(wrong_method(hit.value.iter().filter(fits)));
        };
        if self.has_locks && self.is_locked_in_another_reading(&path, route) {
            return Err(hostile());
        }
        if hit.rest == Rest::SlashMissing && matches!(*request.method(), Method::GET | Method::HEAD) && !route.is_app() {
            return Err(redirect::to_slash(request.original_uri().unwrap_or(request.uri())));
        }
        let rest = match hit.rest {
            Rest::Nothing | Rest::SlashMissing => "/".to_owned(),
            Rest::Path(rest) => rest,
        };
        Ok((Arc::clone(route), Matched { params: hit.params, rest }))
    }

    /// Whether a path in its normal form means what stands behind other locks to somebody who reads it in another way than the routes do:
    ///
    /// * an encoded slash or backslash as a slash, as nginx, PHP, Windows and many apps do;
    /// * without what follows a `;` in a segment, as Java's servers do;
    /// * as a page and what it is told behind its name (`PATH_INFO`), as PHP does.
    fn is_locked_in_another_reading(&self, path: &str, route: &Route) -> bool {
        let is_locked = |routes: &[Arc<Route>]| routes.iter().any(|other| other.has_locks_beside(route));
        let bare = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
        let read: Cow<'_, str> = if path.contains(['%', ';']) {
            path.replace("%2F", "/").replace("%5C", "/").split('/').map(bare).collect::<Vec<_>>().join("/").into()
        } else {
            path.into()
        };
        let Ok(read) = path::normal(&read) else { return true };
        if read != path && self.table.find(&read, |_| true).is_some_and(|other| is_locked(other.value)) {
            return true;
        }
        let mut pages = read.match_indices('/').skip(1).take(DEEPEST).filter_map(|(at, _)| self.table.find(read.get(..at)?, |_| true));
        pages.any(|page| page.rest == Rest::Nothing && is_locked(page.value))
    }
}

/// How many segments of a path are looked at for a page with something behind its name. No page of a site lies deeper, and a path of thousands would be looked at thousands of times.
const DEEPEST: usize = 64;

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
