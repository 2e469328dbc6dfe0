//! What a `lodger.toml` means: plain data, with every default filled in and every path made absolute.

use super::{address::Network, secret::Secret};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// The settings of the process, `[server]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) drain_timeout: Option<Duration>,
    pub(crate) max_requests: Option<usize>,
    pub(crate) threads: Option<usize>,
    /// The name of a profile, which is known to exist.
    pub(crate) web_server: Option<String>,
    /// What the log lets through, as `RUST_LOG` has it.
    pub(crate) log: Option<String>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) strict_sni: bool,
}

/// One site, `[[site]]`.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// What the log and [`RequestExt::site`](crate::RequestExt::site) call it.
    pub(crate) name: Arc<str>,
    /// Hosts in their normal form; those that begin with `*.` stand for every name below. The first is canonical.
    pub(crate) hosts: Vec<String>,
    /// Answers for every host that no site has.
    pub(crate) default: bool,
    /// Sends visitors of its other hosts to the first.
    pub(crate) canonical_host: bool,
    /// Sends visitors from http to https.
    pub(crate) https_redirect: bool,
    pub(crate) hsts: Option<HeaderValue>,
    pub(crate) security_headers: bool,
    /// Writes a line for each request into the log.
    pub(crate) log_requests: bool,
    /// While this file is there, visitors get its text with 503.
    pub(crate) maintenance: Option<PathBuf>,
    pub(crate) error_pages: ErrorPages,
    /// What holds for all of its routes together, such as the number of requests in work.
    pub(crate) policy: Policy,
    /// What its routes have around them, for the route that is added when an app has none.
    pub(crate) layers: Layers,
    /// The time and the body that such a route is given.
    pub(crate) default_policy: Policy,
    /// In the order of the file.
    pub(crate) routes: Vec<Route>,
}

/// The pages of a site for errors, `[site.error-pages]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ErrorPages {
    /// By status: files of HTML.
    pub(crate) by_status: BTreeMap<u16, PathBuf>,
    /// For every status from 400 to 499 that has none of its own.
    pub(crate) client: Option<PathBuf>,
    /// For every status from 500 on.
    pub(crate) server: Option<PathBuf>,
    /// Whether errors of apps and of programs behind a proxy get them too.
    pub(crate) replace: bool,
}

/// What a request has to pass, of a site or of a route.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    /// How long a handler may take until the head of its response.
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_body: Option<u64>,
    pub(crate) max_concurrent: Option<usize>,
    pub(crate) rate: Option<Rate>,
    pub(crate) bandwidth: Option<Bandwidth>,
    /// Whom it lets in; nobody listed means everybody.
    pub(crate) allow: Vec<Network>,
    /// Whom it keeps out, even of those it lets in.
    pub(crate) deny: Vec<Network>,
}

/// Whose requests count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Per {
    /// Each client by its address; of IPv6 the first 64 bits.
    #[default]
    Client,
    /// All clients of the site or route.
    Site,
}

/// How many requests in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// At least 1.
    pub(crate) requests: u32,
    /// 1 s, 60 s, an hour or a day.
    pub(crate) within: Duration,
    /// How many may come at once; at least 1.
    pub(crate) burst: u32,
    pub(crate) per: Per,
}

/// How many bytes of responses in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bandwidth {
    /// At least 1.
    pub(crate) bytes_per_second: u64,
    /// How many may go at once.
    pub(crate) burst: u64,
    pub(crate) per: Per,
}

/// One route of a site, `[[site.route]]`.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) path: RoutePath,
    /// Empty: every method.
    pub(crate) methods: Vec<Method>,
    pub(crate) header: Option<HeaderMatch>,
    pub(crate) handler: Handler,
    pub(crate) policy: Policy,
    /// The layers, with what the site says where the route is silent.
    pub(crate) layers: Layers,
}

/// Which paths a route answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoutePath {
    /// As written, in the normal form of `config/path.rs`: `/about`, `/static/`, `/user/{id}`, `/files/{*rest}`.
    pub(crate) pattern: String,
    /// Ends in a slash: everything below it too, and handlers see what follows it.
    pub(crate) prefix: bool,
}

/// A header that a request has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderMatch {
    pub(crate) name: HeaderName,
    /// None: any value.
    pub(crate) value: Option<HeaderValue>,
}

/// Headers that the connection to the web server owns, so that nobody sets them by hand.
pub(crate) const NOT_OURS: [&str; 6] = ["content-length", "transfer-encoding", "connection", "status", "upgrade", "trailer"];

/// What stands around a handler.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    pub(crate) auth: Option<Arc<Auth>>,
    pub(crate) cors: Option<Arc<Cors>>,
    /// Headers that every response gets; one without a value is taken away.
    pub(crate) headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// Compress what is worth it, unless the handler or the web server did.
    pub(crate) compress: bool,
    /// `Cache-Control` of responses with 200, 203, 206 or 304 that have none.
    pub(crate) cache: Option<HeaderValue>,
    /// The path that the handler sees instead, with `{param}` filled in.
    pub(crate) rewrite: Option<String>,
    /// The tenants that `{tenant}` of the path may name; everybody else is not found.
    pub(crate) tenants: Option<Arc<[String]>>,
}

/// What answers.
#[derive(Debug, Clone)]
pub(crate) enum Handler {
    Files(Files),
    /// An app by its name.
    App(String),
    Redirect(Redirect),
    Respond(Respond),
    Proxy(Proxy),
    FastCgi(FastCgi),
    Cgi(Cgi),
    Health,
    Metrics,
    Status,
}

/// `files`: what lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) root: PathBuf,
    /// What is looked for in a folder, in order.
    pub(crate) index: Vec<String>,
    /// The file below `root` that answers for what is not there, with 200, as single-page apps want it.
    pub(crate) fallback: Option<String>,
    /// Whether a folder without an index is listed.
    pub(crate) listing: bool,
    /// Whether `a.css.br`, `.zst` and `.gz` are sent for `a.css` to who takes them.
    pub(crate) precompressed: bool,
    /// Whether a symbolic link is followed that stays below `root` and belongs to the owner of what it names. Others never are.
    pub(crate) symlinks: bool,
    /// Where an `internal` location of nginx has the folder, as a path of a URL with a slash at its end.
    pub(crate) accel_redirect: Option<String>,
    /// Whether Apache or lighttpd has been told to heed `X-Sendfile`.
    pub(crate) x_sendfile: bool,
}

/// `redirect`: another address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// With `{param}` of the route's path, `{path}`, `{query}` and `{host}` to be filled in.
    pub(crate) to: String,
    pub(crate) status: StatusCode,
}

/// `respond`: a fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Respond {
    pub(crate) body: RespondBody,
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
}

/// What a fixed answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RespondBody {
    Text(String),
    File(PathBuf),
    /// With facts of the request to be filled in.
    Template(PathBuf),
}

/// Where another server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Upstream {
    Unix(PathBuf),
    /// An address, or a name that is looked up when it is connected to.
    Tcp {
        host: String,
        port: u16,
    },
}

/// `proxy`: another HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) upstream: Upstream,
    /// Takes the place of the route's prefix; None: the whole path goes there as it is.
    pub(crate) path: Option<String>,
    /// What the other server is told as Host; None: what the visitor asked for.
    pub(crate) host: Option<HeaderValue>,
    /// How long it may take to connect.
    pub(crate) connect_timeout: Duration,
    /// How often a request without a body and of an idempotent method is tried again when the connection fails.
    pub(crate) retries: u32,
    /// How long it is not asked again after connecting failed; visitors get 503 at once meanwhile.
    pub(crate) fail_for: Duration,
    /// Whether a connection may become a WebSocket.
    pub(crate) websocket: bool,
}

/// `fastcgi`: a FastCGI server such as PHP-FPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FastCgi {
    pub(crate) upstream: Upstream,
    /// The folder that scripts lie in, and files that are sent as they are.
    pub(crate) root: PathBuf,
    /// The script for folders, and for paths that name none: `index.php`.
    pub(crate) index: String,
    pub(crate) connect_timeout: Duration,
    /// As in [`Proxy`].
    pub(crate) fail_for: Duration,
}

/// `cgi`: a program that is started for each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgi {
    pub(crate) program: PathBuf,
    /// Variables beside those of RFC 3875.
    pub(crate) env: Vec<(String, String)>,
}

/// `auth`: who may come in.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// RFC 7617, with an htpasswd file.
    Basic { users: PathBuf, realm: String },
    /// A form and a signed cookie.
    Session {
        users: PathBuf,
        realm: String,
        /// Signs the cookie; None: one that is made once and kept in the state directory.
        secret: Option<Secret>,
        /// How long a visitor stays logged in.
        lifetime: Duration,
    },
    /// RFC 6750.
    Bearer { tokens: Vec<Secret>, realm: String },
}

/// `cors`: which other sites' scripts may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cors {
    /// Origins as browsers write them; `*` alone is every one.
    pub(crate) origins: Vec<String>,
    pub(crate) methods: Vec<Method>,
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) expose: Vec<HeaderName>,
    pub(crate) credentials: bool,
    pub(crate) max_age: Option<Duration>,
}

impl Auth {
    /// Whether it keeps something in the state directory.
    pub(crate) fn needs_state(&self) -> bool {
        matches!(self, Self::Session { secret: None, .. })
    }
}
