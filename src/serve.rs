//! [`serve`]: an app behind whatever started the process, in a runtime of your own.

use crate::{
    app::{App, Requests},
    diagnostic::codes as code,
    error::{Blame, Error},
    gateway::{Decision, Terms, decide, fd0},
    limits::Limits,
    process::{Start, serve_cgi, serve_passenger, serve_sockets},
    profile::Profile,
    settings::Settings,
    transport::stdio,
    unbuilt::box_up,
};
use std::{
    ffi::OsString,
    future::{Future, IntoFuture, ready},
    io,
    pin::Pin,
    time::Duration,
};

/// Serves `app` until the process is told to leave: the same as [`run`](crate::run()) without a command line, in a runtime of your own.
///
/// SIGTERM, SIGINT and SIGUSR1 are handled: requests in work are finished first.
///
/// # Errors
///
/// `LG0101` when no web server started the process, and codes of the same group when its socket cannot be used or a layer of the app panics.
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
    Serve { app, settings: Settings::default(), trigger: Box::pin(std::future::pending()) }
}

/// What [`serve`] returns: set it up with the `with_*` methods, then `.await` it.
#[must_use = "nothing is served until it is awaited"]
pub struct Serve<S> {
    app: S,
    settings: Settings,
    trigger: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S> std::fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serve").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<S: App> Serve<S> {
    /// Sets the limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets [`Limits::request_timeout`].
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.limits = self.settings.limits.with_request_timeout(timeout);
        self
    }

    /// Says what the web server is, for one that hides it or lies about it; see [`Profile::named`](crate::Profile::named). It holds for every request.
    pub fn with_profile(mut self, profile: &'static Profile) -> Self {
        self.settings.profile = Some(profile);
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
        let Self { app, settings, trigger } = self;
        Box::pin(async move {
            // A library does not do what the arguments of its program say; that there are some shows that a task runner started it.
            let environment: Vec<_> = std::env::vars_os().collect();
            let decision = decide(&fd0::facts(&environment, arguments));
            match decision {
                Decision::Passenger(folder) => return serve_passenger(folder, ready(box_up(app, Requests::Many)), settings, trigger).await,
                Decision::Cgi => return serve_cgi(stdio::variables(&environment), ready(box_up(app, Requests::One)?), settings).await.map(drop),
                Decision::Connection { certain: false } if !tokio::task::spawn_blocking(fd0::somebody_speaks).await.unwrap_or(false) => {
                    return Err(started_by_nobody());
                }
                _ => {}
            }
            let start = Start::take(&decision, Terms::look())?.ok_or_else(started_by_nobody)?;
            serve_sockets(start, ready(box_up(app, Requests::Many)?), settings, trigger).await
        })
    }
}

/// What stands behind the name of the program.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
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

pub(crate) fn activation_error(error: io::Error) -> Error {
    let hint = "use `ListenStream=` in the socket unit, and see that nothing between systemd and the program closes descriptors";
    Error::new(code::ACTIVATION, Blame::Gateway, "the sockets that systemd announced cannot be used", hint).with_source(error)
}

/// The error of a program that was started beside the process which systemd meant.
pub(crate) fn meant_for_another(pid: u32) -> Error {
    let hint = "let the wrapper `exec` this program, so that it takes the place of the process that systemd started";
    Error::new(code::ACTIVATION, Blame::Operator, format!("systemd announced sockets to process {pid}, and not to this one"), hint)
}

pub(crate) fn runtime_error(cause: String) -> Error {
    Error::new(code::RUNTIME, Blame::Operator, "the runtime could not start", "the host may limit processes, threads or descriptors too tightly")
        .with_source(cause)
}
