//! [`Tree`]: all sites of a `lodger.toml` as one tower service, with the apps of the program in it.

use super::{
    Answer, Answering, Failure,
    broken::{self, Broken, StateFolder},
    failure::with_page,
    site::Site,
    watch::Watch,
};
use crate::{
    app::{App, BoxApp},
    body::Body,
    config::{
        Config,
        address::Network,
        host,
        model::{self, ErrorPages, Handler, Layers, Server},
    },
    diagnostic::{Mistakes, codes as code},
    error::BoxError,
    ext::RequestExt as _,
};
use http::{Request, StatusCode, header};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    task::{self, Poll},
};
use tower_service::Service;

/// The sites of a [`Config`] as an app: it finds the site and the route of a request and lets the handler answer.
///
/// `lodger::run` makes one by itself when a `lodger.toml` lies beside the program. Make one by hand to mount several apps:
///
/// ```no_run
/// # use axum::Router;
/// # fn main() -> Result<(), lodger::BoxError> {
/// # let (api, shop) = (Router::<()>::new(), Router::<()>::new());
/// let config = lodger::config::Config::find()?;
/// let tree = lodger::handler::Tree::new(&config)?.with_app("api", api).with_app("app", shop);
/// lodger::run(tree);
/// # Ok(())
/// # }
/// ```
///
/// A site without a route to an app ends in `/` → `app`, if there is an app of that name. The file is looked at again with requests, at most once a second, and a changed one is
/// taken over without losing a request; one with mistakes changes nothing.
#[derive(Clone)]
pub struct Tree(Arc<Live>);

struct Live {
    current: RwLock<Arc<State>>,
    apps: Arc<Apps>,
    watch: Watch,
    folder: StateFolder,
}

/// What is served just now.
enum State {
    Sites(Box<Sites>),
    /// There was never a configuration that could be used.
    Broken(Box<Broken>),
    /// There is no file yet, and this app says so.
    Nothing(Mutex<BoxApp>),
}

/// The apps of the program by their names.
#[derive(Default)]
pub(super) struct Apps(RwLock<Vec<(String, Mutex<BoxApp>)>>);

impl Apps {
    fn put(&self, name: &str, app: BoxApp) {
        let mut apps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        apps.retain(|(known, _)| known != name);
        apps.push((name.to_owned(), Mutex::new(app)));
    }

    fn has(&self, name: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().any(|(known, _)| known == name)
    }

    /// The routes of a file to apps that are not here.
    fn unknown(&self, config: &Config) -> Mistakes {
        let apps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<&str> = apps.iter().map(|(name, _)| name.as_str()).collect();
        config.unknown_apps(&known)
    }

    /// Calls an app; `None` where there is none of this name.
    pub(super) fn call(&self, name: &str, request: Request<Body>) -> Option<Answering> {
        let apps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, app) = apps.iter().find(|(known, _)| known == name)?;
        // Held while the app takes the request, and no longer.
        let app = app.lock().unwrap_or_else(PoisonError::into_inner);
        Some(app.call(request))
    }
}

/// The longest host that there can be, in bytes (RFC 1035, 2.3.4). Each name above a host is looked for.
const LONGEST_HOST: usize = 253;

/// The name of the app that is given to `run`.
pub(crate) const APP: &str = "app";

/// What handlers are made with.
pub(super) struct Context {
    pub(super) apps: Arc<Apps>,
    pub(super) trusted: Arc<[Network]>,
    /// The state directory, where one of the handlers of the site needs it.
    pub(super) state: Option<PathBuf>,
    /// The app that answers what nothing else does.
    pub(super) implied_app: Option<&'static str>,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").finish_non_exhaustive()
    }
}

impl Tree {
    /// A tree of the sites of `config`, without apps.
    ///
    /// # Errors
    ///
    /// None so far: what is wrong with a file is found when it is read. The signature leaves room for handlers that cannot be made.
    pub fn new(config: &Config) -> Result<Self, BoxError> {
        Ok(Self::make(Ok(config), Watch::new(config.path()), StateFolder::default()))
    }

    /// A tree of what was read of a file under watch. Where that has mistakes, visitors are told that the site cannot answer, its operator what is wrong; it goes over to the file
    /// once that is mended.
    pub(crate) fn of(read: Result<&Config, Mistakes>, watch: Watch) -> Self {
        Self::make(read, watch, StateFolder::default())
    }

    /// A tree for a file that is not there yet; until it is, `placeholder` answers.
    pub(crate) fn until(watch: Watch, placeholder: BoxApp) -> Self {
        Self::with(State::Nothing(Mutex::new(placeholder)), watch, StateFolder::default())
    }

    pub(super) fn make(read: Result<&Config, Mistakes>, watch: Watch, folder: StateFolder) -> Self {
        let state = match read {
            Ok(config) => State::Sites(Box::new(Sites::new(config, &folder))),
            Err(mistakes) => State::Broken(Box::new(Broken::new(mistakes, &folder))),
        };
        Self::with(state, watch, folder)
    }

    fn with(state: State, watch: Watch, folder: StateFolder) -> Self {
        Self(Arc::new(Live { current: RwLock::new(Arc::new(state)), apps: Arc::default(), watch, folder }))
    }

    /// Mounts an app, which routes name by `app = "name"`. It takes the place of one of the same name. The layers around the routes of an axum router are made here, once for all requests.
    #[must_use]
    pub fn with_app(self, name: &str, app: impl App) -> Self {
        self.0.apps.put(name, app.into_box());
        self
    }

    /// The same for an app that is boxed already.
    pub(crate) fn with_box(self, name: &str, app: BoxApp) -> Self {
        self.0.apps.put(name, app);
        self
    }
}

impl Live {
    fn current(&self) -> Arc<State> {
        if self.watch.has_changed() {
            self.read_again();
        }
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes over to what the file says now. Requests in work keep what they began with.
    fn read_again(&self) {
        let watch = &self.watch;
        let before = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let state = match (Config::load(watch.path()), &*before) {
            (Ok(config), before) => {
                if let State::Sites(sites) = before
                    && sites.server != *config.server()
                {
                    tracing::warn!(target: "lodger", "{}: what changed below [server] in {} waits for the next process", code::CONFIG_NEEDS_RESTART, watch.path().display());
                }
                tracing::info!(target: "lodger", "{} is in force as it is now", watch.path().display());
                broken::forget(&self.folder);
                broken::warn(config.warnings());
                broken::warn(&self.apps.unknown(&config));
                State::Sites(Box::new(Sites::new(&config, &self.folder)))
            }
            (Err(mistakes), State::Sites(_)) => {
                broken::tell(&mistakes, "the configuration before it goes on", &self.folder);
                return;
            }
            (Err(mistakes), State::Broken(_) | State::Nothing(_)) => State::Broken(Box::new(Broken::new(mistakes, &self.folder))),
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }
}

impl Service<Request<Body>> for Tree {
    type Response = Answer;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let state = self.0.current();
        let apps = Arc::clone(&self.0.apps);
        Box::pin(async move {
            match &*state {
                State::Sites(sites) => sites.answer(request, apps).await,
                State::Broken(broken) => Ok(broken.answer(&request)),
                State::Nothing(placeholder) => {
                    let call = placeholder.lock().unwrap_or_else(PoisonError::into_inner).call(request);
                    call.await
                }
            }
        })
    }
}

/// All sites, found by their hosts in the same time however many there are.
struct Sites {
    list: Vec<Site>,
    exact: HashMap<Box<str>, usize>,
    /// Without the star and its dot.
    below: HashMap<Box<str>, usize>,
    default: Option<usize>,
    server: Server,
    trusted: Arc<[Network]>,
    folder: StateFolder,
}

impl Sites {
    fn new(config: &Config, folder: &StateFolder) -> Self {
        let (mut exact, mut below, mut default) = (HashMap::new(), HashMap::new(), None);
        for (at, site) in config.sites().iter().enumerate() {
            for host in &site.hosts {
                match host.strip_prefix("*.") {
                    Some(domain) => below.insert(domain.into(), at),
                    None => exact.insert(host.as_str().into(), at),
                };
            }
            default = default.or(site.default.then_some(at));
        }
        let server = config.server().clone();
        let trusted = server.trusted_proxies.as_slice().into();
        let list = config.sites().iter().map(|site| Site::new(Arc::clone(site))).collect();
        Self { list, exact, below, default, server, trusted, folder: folder.clone() }
    }

    /// The site of a host in its normal form: its own, else that of the nearest name above it, else the default.
    fn find(&self, host: &str) -> Option<usize> {
        if host.len() > LONGEST_HOST {
            return self.default;
        }
        if let Some(at) = self.exact.get(host) {
            return Some(*at);
        }
        let mut name = host;
        while let Some((_, above)) = name.split_once('.').filter(|_| !self.below.is_empty()) {
            if let Some(at) = self.below.get(above) {
                return Some(*at);
            }
            name = above;
        }
        self.default
    }

    async fn answer(&self, request: Request<Body>, apps: Arc<Apps>) -> Result<Answer, BoxError> {
        let written = request.host().map(ToOwned::to_owned).unwrap_or_default();
        let host = host::normal(&written);
        let found = self.find(&host);
        let failure = match found {
            None => Some(Failure::new(StatusCode::MISDIRECTED_REQUEST, code::UNKNOWN_HOST)),
            Some(at) if self.server.strict_sni && self.has_wrong_sni(&request, at) => {
                Some(Failure::new(StatusCode::MISDIRECTED_REQUEST, code::WRONG_SNI))
            }
            Some(_) => None,
        };
        let site = found.and_then(|at| self.list.get(at));
        let (Some(site), None) = (site, failure) else {
            let accept = request.headers().get(header::ACCEPT).cloned();
            return Ok(with_page(failure.unwrap_or(Failure::NOT_FOUND).answer(), &ErrorPages::default(), accept.as_ref()));
        };
        site.answer(request, &host, || self.context(&site.settings, apps)).await
    }

    /// Whether the name that was used for TLS belongs to another site. Where it is not known, nobody can tell.
    fn has_wrong_sni(&self, request: &Request<Body>, site: usize) -> bool {
        let name = request.cgi_vars().get("SSL_TLS_SNI").and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
        name.is_some_and(|name| self.find(&host::normal(name)) != Some(site))
    }

    fn context(&self, site: &model::Site, apps: Arc<Apps>) -> Context {
        let needs_state = |layers: &Layers| layers.auth.as_ref().is_some_and(|auth| auth.needs_state());
        let needs_state = site.routes.iter().map(|route| &route.layers).chain([&site.layers]).any(needs_state);
        let has_app = site.routes.iter().any(|route| matches!(route.handler, Handler::App(_)));
        let implied_app = (!has_app && apps.has(APP)).then_some(APP);
        Context { apps, trusted: Arc::clone(&self.trusted), state: needs_state.then(|| self.state_dir()).flatten(), implied_app }
    }

    fn state_dir(&self) -> Option<PathBuf> {
        let found = self.folder.find().map(Into::into);
        found.inspect_err(|error| tracing::warn!(target: "lodger", "{error}")).ok()
    }
}
