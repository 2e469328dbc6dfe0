//! One route: its locks, what stands around its handler, and the handler.

use super::{
    Answer, Answering, Failure, Matched,
    auth::{self, Guard, OnAnswer},
    cgi::Cgi,
    fastcgi::FastCgi,
    files::Files,
    layers::Around,
    policy::{Gate, time::in_time},
    proxy::Proxy,
    redirect, respond,
    tree::{Apps, Context},
};
use crate::{
    body::Body,
    config::model::{self, Auth, Handler, Layers, Route as Settings},
    diagnostic::codes as code,
    error::BoxError,
    ext::RequestExt as _,
    telemetry::log::{chain, guarded},
};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use std::{path::PathBuf, sync::Arc};
use tower_service::Service;

/// What tells an app for whom it works.
const TENANT: HeaderName = HeaderName::from_static("x-tenant-id");

/// A handler, made once for all requests of its route.
type Handle = Box<dyn Fn(Request<Body>) -> Answering + Send + Sync>;

/// A route that is ready to answer.
pub(super) struct Route {
    methods: Vec<Method>,
    header: Option<(HeaderName, Option<HeaderValue>)>,
    settings: Arc<Settings>,
    gate: Gate,
    guard: Option<Guard>,
    around: Around,
    handle: Handle,
}

impl Route {
    /// `guards` holds those that were made for the site already: one is shared by all routes that it watches over, with what it knows.
    pub(super) fn new(settings: Settings, context: &Context, guards: &mut Guards) -> Self {
        let settings = Arc::new(settings);
        Self {
            methods: settings.methods.clone(),
            header: settings.header.clone().map(|header| (header.name, header.value)),
            gate: Gate::new(&settings.policy),
            guard: settings.layers.auth.as_ref().map(|auth| guard(auth, context, guards)),
            around: Around::new(&settings.layers),
            handle: handle(&settings, context),
            settings,
        }
    }

    /// Whether it answers this method. A `HEAD` is a `GET` without a body.
    pub(super) fn takes_method(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method) || *method == Method::HEAD && self.methods.contains(&Method::GET)
    }

    /// Whether the request has the header that it asks for.
    pub(super) fn takes_headers(&self, headers: &http::HeaderMap) -> bool {
        let Some((name, wanted)) = &self.header else { return true };
        headers.get_all(name).iter().any(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
    }

    /// The name of that header.
    pub(super) fn header_name(&self) -> Option<&str> {
        self.header.as_ref().map(|(name, _)| name.as_str())
    }

    pub(super) fn methods(&self) -> &[Method] {
        &self.methods
    }

    pub(super) fn is_app(&self) -> bool {
        matches!(self.settings.handler, Handler::App(_))
    }

    /// Whether it asks who comes, by name or by address.
    pub(super) fn has_locks(&self) -> bool {
        let policy = &self.settings.policy;
        self.settings.layers.auth.is_some() || !policy.allow.is_empty() || !policy.deny.is_empty()
    }

    /// The same, in another way than `other` does.
    pub(super) fn has_locks_beside(&self, other: &Self) -> bool {
        let auth = |route: &Self| route.settings.layers.auth.as_ref().map(Arc::as_ptr);
        let (policy, of_other) = (&self.settings.policy, &other.settings.policy);
        let has_lists = !policy.allow.is_empty() || !policy.deny.is_empty();
        auth(self).is_some() && auth(self) != auth(other) || has_lists && (&policy.allow, &policy.deny) != (&of_other.allow, &of_other.deny)
    }

    /// Whether scripts of other sites may ask, so that it is asked beforehand whether they may.
    pub(super) fn has_cors(&self) -> bool {
        self.settings.layers.cors.is_some()
    }

    /// Answers a request that this route was found for.
    pub(super) async fn answer(&self, request: Request<Body>) -> Result<Answer, BoxError> {
        // Before anybody is asked who it is: browsers ask for permission without saying so. A refusal is for scripts of other sites too.
        let before = self.around.before(&request);
        match (self.gate.enter(request), before) {
            (Ok((request, pass)), Ok(before)) => Ok(pass.watch(self.around.after(before, self.answer_inside(request).await?))),
            (Ok((_, pass)), Err(permission)) => Ok(pass.watch(permission)),
            (Err(refusal), Ok(before)) => Ok(self.around.after(before, refusal)),
            (Err(refusal), Err(_)) => Ok(refusal),
        }
    }

    async fn answer_inside(&self, mut request: Request<Body>) -> Result<Answer, BoxError> {
        auth::drop_forged(request.headers_mut());
        let mut request = match &self.guard {
            Some(guard) => match guard.pass(request).await {
                Ok(request) => request,
                Err(answer) => return Ok(answer),
            },
            None => request,
        };
        let on_answer = request.extensions_mut().remove::<OnAnswer>();
        let request = match prepared(request, &self.settings.layers) {
            Ok(request) => request,
            Err(failure) => return Ok(failure.answer()),
        };
        let (method, target) = (request.method().clone(), request.uri().clone());
        let mut answer = match self.settings.policy.timeout {
            Some(timeout) => in_time(timeout, request, |request| caught((self.handle)(request), method, target)).await?,
            None => caught((self.handle)(request), method, target).await?,
        };
        if let Some(on_answer) = on_answer {
            on_answer.apply(&mut answer);
        }
        Ok(answer)
    }
}

/// The answer of a handler; one that fails or panics is a 500, which gets the page of its site as every other does. Method and target are for the log.
async fn caught(call: Answering, method: Method, target: Uri) -> Result<Answer, BoxError> {
    let (code, sentence) = match guarded(call).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => (code::APP_FAILED, chain(error)),
        Err(panic) => (code::APP_PANICKED, format!("the handler panicked: {panic}")),
    };
    tracing::error!(target: "lodger", "{code}: {sentence} ({method} {})", target.path());
    Ok(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, code).answer())
}

/// The guards of a site, with what they watch by.
pub(super) type Guards = Vec<(Arc<Auth>, Guard)>;

fn guard(auth: &Arc<Auth>, context: &Context, guards: &mut Guards) -> Guard {
    if let Some((_, guard)) = guards.iter().find(|(known, _)| Arc::ptr_eq(known, auth)) {
        return guard.clone();
    }
    let guard = Guard::new(auth, context.state.as_deref());
    guards.push((Arc::clone(auth), guard.clone()));
    guard
}

/// The request as the handler sees it: for a tenant that there is, and with the path that it is meant to see.
fn prepared(mut request: Request<Body>, layers: &Layers) -> Result<Request<Body>, Failure> {
    // Whoever sends it is not believed.
    auth::drop_like(request.headers_mut(), &TENANT);
    if layers.tenants.is_none() && layers.rewrite.is_none() {
        return Ok(request);
    }
    let matched = request.extensions().get::<Matched>().cloned().unwrap_or_default();
    if let Some(tenants) = &layers.tenants {
        let tenant = matched.decoded("tenant").filter(|tenant| tenants.contains(tenant)).ok_or(Failure::NOT_FOUND)?;
        let value = HeaderValue::from_str(&tenant).map_err(|_| Failure::NOT_FOUND)?;
        request.headers_mut().insert(TENANT, value);
    }
    if let Some(to) = &layers.rewrite {
        let path = redirect::fill(to, |name| matched.param(name).unwrap_or_default().to_owned());
        let path = if path.is_empty() { "/" } else { &path };
        let target = request.uri().query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        *request.uri_mut() = target.parse::<Uri>().map_err(|_| Failure::NOT_FOUND)?;
        let rest = path.to_owned();
        request.extensions_mut().insert(Matched { rest, ..matched });
    }
    Ok(request)
}

/// The handler of a route as a function.
fn handle(settings: &Settings, context: &Context) -> Handle {
    match &settings.handler {
        Handler::Files(files) => {
            let files = Files::new(files.clone());
            // What lies at the top of a site stands before an app that has no route: an app brings its pages, its operator the files.
            match (settings.path.pattern == "/", context.implied_app) {
                (true, Some(name)) => files_first(files, app(name.to_owned(), Arc::clone(&context.apps), false), |_| true),
                _ => service(files),
            }
        }
        Handler::App(name) => {
            let sees_all = settings.layers.rewrite.is_some() || !settings.path.prefix;
            app(name.clone(), Arc::clone(&context.apps), sees_all)
        }
        Handler::Redirect(redirect) => ready(redirect.clone(), redirect::answer),
        Handler::Respond(respond) => ready(respond.clone(), respond::answer),
        Handler::Proxy(proxy) => service(Proxy::new(proxy.clone(), Arc::clone(&context.trusted))),
        Handler::FastCgi(fastcgi) => {
            let scripts = service(FastCgi::new(fastcgi.clone()));
            files_first(Files::new(beside_scripts(fastcgi.root.clone())), scripts, names_a_file)
        }
        Handler::Cgi(cgi) => service(Cgi::new(cgi.clone())),
        Handler::Health => ready((), |(), _| super::own::health()),
        Handler::Metrics => ready((), |(), _| super::own::metrics()),
        Handler::Status => ready((), |(), request| super::own::status(request)),
    }
}

/// A tower service as a function.
fn service<S>(service: S) -> Handle
where
    S: Service<Request<Body>, Response = Answer, Error = BoxError, Future = Answering> + Clone + Send + Sync + 'static,
{
    Box::new(move |request| service.clone().call(request))
}

/// A handler that answers at once.
fn ready<T: Send + Sync + 'static>(settings: T, answer: fn(&T, &Request<Body>) -> Answer) -> Handle {
    Box::new(move |request| {
        let answer = answer(&settings, &request);
        Box::pin(std::future::ready(Ok(answer)))
    })
}

/// An app of the program. It sees what follows the prefix of its route, as if it lived there; the whole path where the route has no prefix or the path was chosen for it.
fn app(name: String, apps: Arc<Apps>, sees_all: bool) -> Handle {
    Box::new(move |request| {
        let request = if sees_all { request } else { mounted(request) };
        match apps.call(&name, request) {
            Some(call) => call,
            None => {
                tracing::warn!(target: "lodger", "{}: no app of this program is called `{name}`", code::CONFIG_NO_APP);
                Box::pin(std::future::ready(Ok(Failure::new(StatusCode::SERVICE_UNAVAILABLE, code::CONFIG_NO_APP).answer())))
            }
        }
    })
}

/// Files first, for paths that are `worth` a look; what is not there, and every method that files do not know, is for who comes next.
fn files_first(files: Files, next: Handle, worth: fn(&str) -> bool) -> Handle {
    let next = Arc::new(next);
    Box::new(move |request| {
        let is_worth = worth(request.extensions().get::<Matched>().map_or("/", |matched| &matched.rest));
        if !is_worth || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return next(request);
        }
        let (mut files, next) = (files.clone(), Arc::clone(&next));
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let answer = files.call(Request::from_parts(parts.clone(), Body::empty())).await?;
            if answer.status() == StatusCode::NOT_FOUND { next(Request::from_parts(parts, body)).await } else { Ok(answer) }
        })
    })
}

/// Pictures and style sheets lie among the scripts of most PHP programs.
fn beside_scripts(root: PathBuf) -> model::Files {
    model::Files {
        root,
        index: Vec::new(),
        fallback: None,
        listing: false,
        precompressed: true,
        symlinks: true,
        accel_redirect: None,
        x_sendfile: false,
    }
}

/// Whether the last segment of a path has an ending. Pages that a script makes have none most often, and are not looked for on the disk.
fn names_a_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

/// The request as an app sees it that lives below the prefix of its route.
fn mounted(mut request: Request<Body>) -> Request<Body> {
    let at = request.extensions().get::<Matched>().map_or(0, |matched| matched.prefix(request.uri().path()));
    if at == 0 {
        return request;
    }
    let uri = request.uri();
    let (prefix, rest) = uri.path().split_at(at);
    let exchange = request.exchange().mounted_at(format!("{}{prefix}", request.mount()));
    let rest = if rest.is_empty() { "/" } else { rest };
    let target = uri.query().map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
    // It was part of a URI.
    if let Ok(target) = target.parse() {
        *request.uri_mut() = target;
    }
    request.extensions_mut().insert(exchange);
    request
}
