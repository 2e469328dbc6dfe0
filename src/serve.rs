//! [`serve`]: an app behind whatever started the process, in a runtime of your own.

mod passenger;

use crate::{
    app::{App, BoxApp},
    cgi::CgiVars,
    diagnostic::codes as code,
    error::{Blame, Error},
    gateway::{Decision, Ownership, decide, fd0},
    life::{self, Signals},
    limits::Limits,
    transport::{
        Shared,
        accept::{Listener, accept},
        stdio,
    },
};
pub(crate) use passenger::serve_passenger;
use std::{
    future::{Future, IntoFuture},
    io,
    os::fd::OwnedFd,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// mod_fcgid kills 8 s after the first SIGTERM.
const MOD_FCGID_DRAIN: Duration = Duration::from_secs(7);

/// Serves `app` until the process is told to leave: the same as [`run`](crate::run()) without a command line, in a runtime of your own.
///
/// SIGTERM, SIGINT and SIGUSR1 are handled: requests in work are finished first.
///
/// # Errors
///
/// `LG0101` when no web server started the process, and codes of the same group when its socket cannot be used.
///
/// Connections that are not finished when the time to leave is over go on as tasks of your runtime until it ends.
///
/// # Panics
///
/// When it is awaited outside a tokio runtime, or in one without IO or time.
///
/// ```no_run
/// # use axum::{Router, routing::get};
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), lodger::Error> {
///     lodger::serve(Router::new().route("/", get(|| async { "Hello" }))).await
/// }
/// ```
pub fn serve<S: App>(app: S) -> Serve<S> {
    Serve { app, limits: Limits::default(), trigger: Box::pin(std::future::pending()) }
}

/// What [`serve`] returns: set it up with the `with_*` methods, then `.await` it.
#[must_use = "nothing is served until it is awaited"]
pub struct Serve<S> {
    app: S,
    limits: Limits,
    trigger: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S> std::fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serve").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S: App> Serve<S> {
    /// Sets the limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`Limits::request_timeout`].
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.limits = self.limits.with_request_timeout(timeout);
        self
    }

    /// Leaves when `trigger` completes, as if a stop signal had come. Signals are handled beside it.
    pub fn with_graceful_shutdown(mut self, trigger: impl Future<Output = ()> + Send + 'static) -> Self {
        self.trigger = Box::pin(trigger);
        self
    }
}

impl<S: App> IntoFuture for Serve<S> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { app, limits, trigger } = self;
        let app = app.into_box();
        Box::pin(async move {
            // A library does not read the arguments of its program.
            match decide(&fd0::facts(Vec::new)) {
                Decision::Listen => {
                    let (fd, ownership) = fd0::take_listener().map_err(socket_error)?;
                    serve_listener(fd, ownership, std::future::ready(app), limits, trigger).await
                }
                Decision::Cgi => serve_cgi(stdio::environment(), std::future::ready(app), limits).await.map(drop),
                Decision::Passenger(folder) => serve_passenger(folder, std::future::ready(Ok(app)), limits, trigger).await,
                Decision::Socket(_) | Decision::CommandLine => Err(started_by_nobody()),
            }
        })
    }
}

/// The error of a program that no web server started.
pub(crate) fn started_by_nobody() -> Error {
    Error::new(
        code::STARTED_BY_NOBODY,
        Blame::Operator,
        "no web server started this program",
        "upload it to your web space and let Apache, LiteSpeed or nginx start it, or give it a Unix socket with `serve --socket PATH`",
    )
}

pub(crate) fn socket_error(error: io::Error) -> Error {
    let hint =
        "see that the web server hands over a listening stream socket as stdin, and that the folder of `--socket` exists and can be written to";
    Error::new(code::SOCKET, Blame::Gateway, "the socket cannot be used", hint).with_source(error)
}

/// Accepts on a listener until told to leave, then finishes what is in work.
///
/// The signals are watched before the app is built: a web server may tell a program to leave that is still starting, and visitors may wait for it.
pub(crate) async fn serve_listener(
    fd: OwnedFd,
    ownership: Ownership,
    app: impl Future<Output = BoxApp>,
    limits: Limits,
    trigger: impl Future<Output = ()>,
) -> Result<(), Error> {
    let drain_timeout = match ownership {
        Ownership::ModFcgid => limits.drain_timeout.min(MOD_FCGID_DRAIN),
        Ownership::Own | Ownership::Shared => limits.drain_timeout,
    };
    let mut signals = Signals::watch().map_err(|error| runtime_error(error.to_string()))?;
    let listener = Listener::from_fd(fd).map_err(socket_error)?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let Some((app, told)) = build_unless_stopped(app, &mut signals, &stop, drain_timeout).await else {
        return Ok(());
    };
    let shared = Shared::new(limits, ownership, stop.clone());
    let accepting = accept(listener, app, Arc::clone(&shared), tasks.clone());
    tokio::pin!(accepting);
    tokio::select! {
        () = &mut accepting => {}
        () = async { tokio::select! { () = signals.stop() => {}, () = trigger => {} } } => {
            stop.cancel();
            accepting.await;
        }
    }
    tasks.close();
    // The time of the host runs from the first signal on, also when that came while the app was built.
    let until = told.unwrap_or_else(Instant::now) + drain_timeout;
    finish(&tasks, &shared, until, signals).await;
    Ok(())
}

/// Builds the app. Told to leave meanwhile, it goes on for as long as the host allows, since visitors may be waiting; then there is no app.
/// Beside the app it tells when the signal came.
async fn build_unless_stopped(
    app: impl Future<Output = BoxApp>,
    signals: &mut Signals,
    stop: &CancellationToken,
    within: Duration,
) -> Option<(BoxApp, Option<Instant>)> {
    tokio::pin!(app);
    tokio::select! {
        app = &mut app => return Some((app, None)),
        () = signals.stop() => stop.cancel(),
    }
    let told = Instant::now();
    tokio::select! {
        app = &mut app => return Some((app, Some(told))),
        () = signals.impatience() => {}
        () = sleep_until(told + within) => {
            tracing::warn!(target: "lodger", "{}: the app was not built when the process had to leave", code::DRAIN_DEADLINE);
        }
    }
    None
}

/// Waits for connections and background tasks, no longer than the host allows.
async fn finish(tasks: &TaskTracker, shared: &Shared, until: Instant, mut signals: Signals) {
    let background = life::background_tasks();
    background.close();
    let all = async {
        tasks.wait().await;
        background.wait().await;
    };
    tokio::select! {
        () = all => {}
        () = signals.impatience() => {}
        () = sleep_until(until) => {
            let requests = shared.in_work.load(Ordering::Relaxed);
            tracing::warn!(target: "lodger", "{}: {requests} requests and {} tasks were not finished when the process had to leave", code::DRAIN_DEADLINE, background.len());
        }
    }
}

/// Answers the one request of a CGI program. `false` when its response broke half-way.
///
/// A stop signal lets the request go on for as long as any process may take to leave; mod_cgid follows it with SIGKILL after three seconds.
pub(crate) async fn serve_cgi(vars: CgiVars, app: impl Future<Output = BoxApp>, limits: Limits) -> Result<bool, Error> {
    let drain_timeout = limits.drain_timeout;
    let mut signals = Signals::watch().map_err(|error| runtime_error(error.to_string()))?;
    let shared = Shared::new(limits, Ownership::Shared, CancellationToken::new());
    let mut told = None;
    let cut = async {
        signals.stop().await;
        let until = *told.insert(Instant::now()) + drain_timeout;
        tokio::select! {
            () = signals.impatience() => {}
            () = sleep_until(until) => {
                tracing::warn!(target: "lodger", "{}: the request was not finished when the process had to leave", code::DRAIN_DEADLINE);
            }
        }
    };
    let whole = tokio::select! {
        whole = stdio::serve_cgi(vars, app, Arc::clone(&shared)) => whole.map_err(socket_error)?,
        () = cut => return Ok(false),
    };
    if !life::background_tasks().is_empty() {
        fd0::release_stdio().map_err(socket_error)?;
        let no_connections = TaskTracker::new();
        no_connections.close();
        finish(&no_connections, &shared, told.unwrap_or_else(Instant::now) + drain_timeout, signals).await;
    }
    Ok(whole)
}

pub(crate) fn runtime_error(cause: String) -> Error {
    Error::new(code::RUNTIME, Blame::Operator, "the runtime could not start", "the host may limit processes, threads or descriptors too tightly")
        .with_source(cause)
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    fn app() -> BoxApp {
        tower::service_fn(|_: http::Request<crate::Body>| ready(Ok::<_, std::convert::Infallible>(http::Response::new(String::new())))).into_box()
    }

    #[tokio::test]
    async fn a_program_told_to_leave_while_it_starts_still_serves_who_waits_but_not_for_ever() {
        let (mut signals, stop) = (Signals::watch().unwrap(), CancellationToken::new());
        let slow = async {
            crate::sys::terminate(std::process::id()).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            app()
        };
        assert!(build_unless_stopped(slow, &mut signals, &stop, Duration::from_secs(20)).await.is_some());
        assert!(stop.is_cancelled(), "it leaves once it has served them");

        let (mut signals, stop) = (Signals::watch().unwrap(), CancellationToken::new());
        let endless = async {
            crate::sys::terminate(std::process::id()).unwrap();
            pending::<BoxApp>().await
        };
        assert!(build_unless_stopped(endless, &mut signals, &stop, Duration::from_millis(100)).await.is_none());
    }
}
