//! [`serve`]: an app behind whatever started the process, in a runtime of your own.

use crate::{
    app::{App, BoxApp},
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
use std::{
    future::{Future, IntoFuture},
    io,
    os::fd::OwnedFd,
    pin::Pin,
    time::Duration,
};
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
                    serve_listener(fd, ownership, app, limits, trigger).await
                }
                Decision::Cgi => serve_cgi(app, limits).await.map(drop),
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
pub(crate) async fn serve_listener(
    fd: OwnedFd,
    ownership: Ownership,
    app: BoxApp,
    limits: Limits,
    trigger: impl Future<Output = ()>,
) -> Result<(), Error> {
    let drain_timeout = match ownership {
        Ownership::ModFcgid => limits.drain_timeout.min(MOD_FCGID_DRAIN),
        Ownership::Own | Ownership::Shared => limits.drain_timeout,
    };
    let listener = Listener::from_fd(fd).map_err(socket_error)?;
    let mut signals = Signals::watch().map_err(|error| runtime_error(error.to_string()))?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let shared = Shared::new(limits, ownership, stop.clone());
    let accepting = accept(listener, app, shared, tasks.clone());
    tokio::pin!(accepting);
    tokio::select! {
        () = &mut accepting => {}
        () = async { tokio::select! { () = signals.stop() => {}, () = trigger => {} } } => {
            stop.cancel();
            accepting.await;
        }
    }
    tasks.close();
    finish(&tasks, drain_timeout, signals).await;
    Ok(())
}

/// Waits for connections and background tasks, no longer than the host allows.
async fn finish(tasks: &TaskTracker, within: Duration, mut signals: Signals) {
    let background = life::background_tasks();
    background.close();
    let all = async {
        tasks.wait().await;
        background.wait().await;
    };
    tokio::select! {
        () = all => {}
        () = signals.impatience() => {}
        () = tokio::time::sleep(within) => {
            tracing::warn!(target: "lodger", "{}: {} requests and {} tasks were not finished when the process had to leave", code::DRAIN_DEADLINE, tasks.len(), background.len());
        }
    }
}

/// Answers the one request of a CGI program. `false` when its response broke half-way.
pub(crate) async fn serve_cgi(app: BoxApp, limits: Limits) -> Result<bool, Error> {
    let drain_timeout = limits.drain_timeout;
    let shared = Shared::new(limits, Ownership::Shared, CancellationToken::new());
    let whole = stdio::serve_cgi(app, shared).await.map_err(socket_error)?;
    let background = life::background_tasks();
    if !background.is_empty() {
        // mod_cgid sends SIGTERM as soon as it has the whole response, so it is watched for before the response ends.
        let signals = Signals::watch().map_err(|error| runtime_error(error.to_string()))?;
        fd0::release_stdio().map_err(socket_error)?;
        let no_connections = TaskTracker::new();
        no_connections.close();
        finish(&no_connections, drain_timeout, signals).await;
    }
    Ok(whole)
}

pub(crate) fn runtime_error(cause: String) -> Error {
    Error::new(code::RUNTIME, Blame::Operator, "the runtime could not start", "the host may limit processes, threads or descriptors too tightly")
        .with_source(cause)
}
