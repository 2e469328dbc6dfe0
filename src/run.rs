//! [`run`](crate::run()): a whole program in one call. Decides who started it first, then makes a runtime of the right size, then serves.

use crate::{
    app::{App as _, BoxApp, IntoApp, ResponseBody},
    body::Body,
    diagnostic::codes as code,
    error::{BoxError, Error},
    gateway::{Decision, Handed, Ownership, Terms, Vars, decide, fd0, http::is_lsnode, passenger::WORK_DIR, systemd},
    limits::Limits,
    page::{self, Form},
    process::{Start, serve_cgi, serve_passenger, serve_sockets},
    profile::Profile,
    serve::{arguments, meant_for_another, runtime_error, started_by_nobody},
    settings::Settings,
    sys,
    telemetry::log,
    transport::{door::Door, stdio},
};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use std::{
    ffi::OsString,
    future::pending,
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads for blocking work. Hosts limit processes and threads, and tokio panics when a thread cannot start.
const BLOCKING_THREADS: usize = 4;

/// How many connections are heard of with one look at the kernel. Room for them is made at every start, and few processes hear of more at once.
const EVENTS: usize = 128;

/// How long after a failed start the next try waits at least.
const START_AGAIN: Duration = Duration::from_secs(1);

/// Runs `app` as a whole program: behind a web server it serves, in a terminal it is a command line.
///
/// Takes an app (any [`tower::Service`] such as an `axum::Router`) or a closure that makes one, with or without `async`, with or without a `Result`. The
/// closure is called inside a tokio runtime, after lodger knows who started the program. When it fails, the program answers 503 and tries again with
/// a later request: a process that exits would cost the site its place with mod_fcgid.
///
/// Warnings and errors that the app logs with `tracing` go to the error log of the site; the variable `RUST_LOG` (`info`, `debug`, `my_app=info,warn`) lets more
/// through. What it prints to stdout never reaches a visitor. A tracing subscriber of your own is installed before `run` is called: once it runs, warnings and errors go to the log of the web server.
///
/// Needs no runtime and must not be called inside one; use [`serve`](crate::serve()) there.
///
/// ```no_run
/// use axum::{Router, routing::get};
///
/// fn main() -> std::process::ExitCode {
///     lodger::run(|| Router::new().route("/", get(|| async { "Hello from shared hosting" })))
/// }
/// ```
pub fn run<M>(app: impl IntoApp<M>) -> ExitCode {
    Program::new(app).run()
}

/// The long form of [`run`](crate::run()): a program with limits and threads of its own.
///
/// ```no_run
/// # use axum::Router;
/// use std::time::Duration;
///
/// fn main() -> std::process::ExitCode {
///     let limits = lodger::Limits::default().with_request_timeout(Duration::from_secs(10));
///     lodger::Program::new(Router::new).with_limits(limits).run()
/// }
/// ```
#[must_use = "nothing runs until `run` is called"]
pub struct Program<A, M> {
    app: A,
    settings: Settings,
    worker_threads: usize,
    shape: PhantomData<fn() -> M>,
}

impl<A, M> std::fmt::Debug for Program<A, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("settings", &self.settings).field("worker_threads", &self.worker_threads).finish_non_exhaustive()
    }
}

impl<M, A: IntoApp<M>> Program<A, M> {
    /// A program that serves `app` with the default limits on one thread.
    pub fn new(app: A) -> Self {
        Self { app, settings: Settings::default(), worker_threads: 1, shape: PhantomData }
    }

    /// Sets the limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Says what the web server is, for one that hides it or lies about it; see [`Profile::named`](crate::Profile::named). It holds for every request.
    pub fn with_profile(mut self, profile: &'static Profile) -> Self {
        self.settings.profile = Some(profile);
        self
    }

    /// Sets the number of threads that run the app. One is the default: it measured cheapest, and hosts limit threads.
    pub fn with_worker_threads(mut self, threads: usize) -> Self {
        self.worker_threads = threads.max(1);
        self
    }

    /// Runs the program to its end.
    ///
    /// Behind a web server the exit code is 0 after a stop signal. On the command line: 0 fine, 1 problems found, 2 wrong usage, 3 could not read or write.
    pub fn run(self) -> ExitCode {
        if Handle::try_current().is_ok() {
            let hint = "call `lodger::serve(app).await` there instead, or take `#[tokio::main]` away";
            return report(&Error::new(code::INSIDE_A_RUNTIME, crate::Blame::App, "`lodger::run` was called inside a tokio runtime", hint), 2);
        }
        log::install();
        log::install_panic_hook();
        let environment: Vec<_> = std::env::vars_os().collect();
        match decide(&fd0::facts(&environment, arguments)) {
            Decision::Passenger(folder) => self.passenger(folder),
            Decision::Cgi => self.cgi(&environment),
            Decision::Socket(path) => self.command_line(&arguments(), Some(path)),
            Decision::CommandLine => match systemd::meant_for_another().filter(|_| arguments().is_empty()) {
                Some(pid) => report(&meant_for_another(pid), 2),
                None => self.command_line(&arguments(), None),
            },
            Decision::Connection { certain: false } if !fd0::somebody_speaks() => self.command_line(&arguments(), None),
            handed => self.serve(&handed),
        }
    }

    /// Serves what was handed over.
    fn serve(self, handed: &Decision) -> ExitCode {
        let start = match Start::take(handed, Terms::take()) {
            Ok(start) => start,
            Err(error) => return report(&error, 1),
        };
        // Only now: what was handed over is told by its missing FD_CLOEXEC.
        sys::close_on_exec_from(3);
        note_arguments(&arguments());
        match start {
            Some(start) => self.accept(start),
            None => report(&started_by_nobody(), 2),
        }
    }

    fn accept(self, start_with: Start) -> ExitCode {
        let settings = self.settings.clone();
        self.block_on(|app| async move { serve_sockets(start_with, start(app), settings, pending()).await.map(|()| ExitCode::SUCCESS) })
    }

    fn cgi(mut self, environment: &Vars) -> ExitCode {
        sys::close_on_exec_from(3);
        let vars = stdio::variables(environment);
        if vars.get("HTTP_PROXY").is_some() {
            sys::forget_http_proxy();
        }
        // One request needs one thread.
        self.worker_threads = 1;
        let settings = self.settings.clone();
        self.block_on(|app| async move {
            let whole = serve_cgi(vars, start(app), settings).await?;
            Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }

    /// Behind Phusion Passenger, which shows the operator why an app does not start; so it is told, and the process ends.
    fn passenger(self, folder: PathBuf) -> ExitCode {
        sys::close_on_exec_from(3);
        // A program of this kind that the app starts was not started by Passenger.
        sys::forget_variables([WORK_DIR.into()]);
        let settings = self.settings.clone();
        self.block_on(|app| async move {
            let app = async { build(&app).await.map_err(app_did_not_start) };
            serve_passenger(folder, app, settings, pending()).await.map(|()| ExitCode::SUCCESS)
        })
    }

    /// Listens on a Unix socket of our own.
    pub(crate) fn listen_at(self, path: &Path, mode: u32) -> ExitCode {
        let open = Door::open(path, mode).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())));
        let unusable = |error| {
            let hint = "name a path of less than 100 bytes in a folder that exists and that you may write to, where nobody else listens and no other file lies";
            Error::new(code::SOCKET, crate::Blame::Operator, "the socket cannot be made", hint).with_source(error)
        };
        match open.map_err(unusable) {
            Ok((door, listener)) => {
                tell_person(path);
                let code = self.accept(Start { sockets: vec![Handed::listener(listener)], ownership: Ownership::Own, terms: Terms::take() });
                drop(door);
                code
            }
            Err(error) => report(&error, 3),
        }
    }

    fn block_on<F>(self, serve: impl FnOnce(A) -> F) -> ExitCode
    where
        F: Future<Output = Result<ExitCode, Error>> + Send + 'static,
    {
        let runtime = match runtime(self.worker_threads) {
            Ok(runtime) => runtime,
            Err(error) => return report(&runtime_error(error.to_string()), 1),
        };
        let serve = serve(self.app);
        // What `block_on` runs itself stays outside the workers of several threads, and would wake one of them up for each connection.
        let result = if self.worker_threads > 1 {
            let served = runtime.block_on(runtime.spawn(serve));
            served.unwrap_or_else(|error| Err(runtime_error(error.to_string())))
        } else {
            runtime.block_on(serve)
        };
        if runtime.metrics().num_alive_tasks() == 0 {
            // There is nobody left whom its end would concern, and the kernel takes it down faster.
            std::mem::forget(runtime);
        } else {
            // What still runs was waited for as long as the host allows.
            runtime.shutdown_background();
        }
        result.unwrap_or_else(|error| report(&error, 1))
    }

    #[cfg(feature = "cli")]
    fn command_line(self, args: &[OsString], _socket: Option<PathBuf>) -> ExitCode {
        crate::cli::main(args, self)
    }

    #[cfg(not(feature = "cli"))]
    fn command_line(self, args: &[OsString], socket: Option<PathBuf>) -> ExitCode {
        match socket {
            Some(path) => self.listen_at(&path, crate::gateway::socket_mode_argument(args).unwrap_or(0o660)),
            None => report(&started_by_nobody(), 2),
        }
    }
}

fn runtime(worker_threads: usize) -> io::Result<Runtime> {
    let mut builder = if worker_threads > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    if worker_threads > 1 {
        builder.worker_threads(worker_threads);
    }
    builder.enable_all().max_blocking_threads(BLOCKING_THREADS).max_io_events_per_tick(EVENTS).build()
}

/// Behind a listener arguments are read late and never end the program: lsnode passes a path, FcgidWrapper passes options.
fn note_arguments(args: &[OsString]) {
    let understood = match args {
        [] => true,
        [verb] if verb == "serve" => true,
        _ => is_lsnode(),
    };
    if !understood {
        tracing::warn!(target: "lodger", "{}: the program serves the socket that it was given and takes no notice of its arguments", code::ARGUMENTS_IGNORED);
    }
}

/// A person who started the program in a terminal would wonder at its silence.
fn tell_person(path: &Path) {
    use std::io::{IsTerminal as _, Write as _};
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = writeln!(stderr, "listening on {}; Ctrl-C ends it", path.display());
    }
}

/// Tells a person, or the error log, why the program ends.
pub(crate) fn report(error: &Error, exit: u8) -> ExitCode {
    use std::io::Write as _;
    // There is nobody left to tell when even stderr is gone.
    let _ = writeln!(io::stderr(), "{}", error.report());
    ExitCode::from(exit)
}

/// Builds the app; when that fails, an app that says so and tries again.
async fn start<M>(app: impl IntoApp<M>) -> BoxApp {
    match build(&app).await {
        Ok(app) => app,
        Err(error) => retrying(app, &error),
    }
}

async fn build<M>(app: &impl IntoApp<M>) -> Result<BoxApp, BoxError> {
    let mut building = std::pin::pin!(app.build());
    let built = std::future::poll_fn(|cx| match log::guard(|| building.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    built.await.unwrap_or_else(|panic| Err(format!("it panicked: {panic}").into()))
}

fn app_did_not_start(cause: BoxError) -> Error {
    let hint = "look for files beside the program, since a web server sets no HOME, and read what the app printed to the log";
    Error::new(code::APP_DID_NOT_START, crate::Blame::App, "the app could not start", hint).with_source(cause)
}

fn note_failed_start(error: &BoxError) {
    tracing::error!(target: "lodger", "{}: the app could not start: {error}", code::APP_DID_NOT_START);
}

/// An app that could not start: each request that comes a while after the last try tries again, all others get a page that says so.
fn retrying<M>(app: impl IntoApp<M>, error: &BoxError) -> BoxApp {
    struct Start {
        built: Option<BoxApp>,
        tried: Instant,
    }
    note_failed_start(error);
    let app = Arc::new(app);
    let start = Arc::new(tokio::sync::Mutex::new(Start { built: None, tried: Instant::now() }));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (app, start) = (Arc::clone(&app), Arc::clone(&start));
        async move {
            let mut start = start.lock().await;
            if start.built.is_none() && start.tried.elapsed() >= START_AGAIN {
                match build(&*app).await {
                    Ok(app) => start.built = Some(app),
                    Err(error) => note_failed_start(&error),
                }
                start.tried = Instant::now();
            }
            let call = start.built.as_ref().map(|app| app.call(request));
            drop(start);
            match call {
                Some(call) => call.await,
                None => unavailable(),
            }
        }
    });
    service.into_box()
}

fn unavailable() -> Result<Response<ResponseBody>, BoxError> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let page = page::of(status, Some(code::APP_DID_NOT_START.as_str()), Form::Html);
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::RETRY_AFTER, "5");
    Ok(response.body(Full::from(page).map_err(Into::into).boxed_unsync())?)
}
