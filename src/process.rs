//! A process that serves: from the sockets that it was given to its last request.

mod passenger;

use crate::{
    app::BoxApp,
    cgi::CgiVars,
    diagnostic::codes as code,
    error::Error,
    gateway::{Decision, Handed, Ownership, Terms, fd0, systemd},
    life::{self, Notify, Signals},
    serve::{activation_error, runtime_error, socket_error},
    settings::Settings,
    transport::{
        Shared,
        accept::{Listener, accept},
        connection::serve_connection,
        socket::Socket,
        stdio,
    },
};
use futures_util::future::try_join_all;
pub(crate) use passenger::serve_passenger;
use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    task::JoinError,
    time::{Instant, sleep_until},
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

/// mod_fcgid kills 8 s after the first SIGTERM.
const MOD_FCGID_DRAIN: Duration = Duration::from_secs(7);

/// What a serving process begins with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) sockets: Vec<Handed>,
    pub(crate) ownership: Ownership,
    pub(crate) terms: Terms,
}

impl Start {
    /// Takes over what was handed to us. `None` where nothing was.
    ///
    /// # Errors
    ///
    /// When that is not what it has to be.
    pub(crate) fn take(decision: &Decision, terms: Terms) -> Result<Option<Self>, Error> {
        let (sockets, ownership) = match decision {
            Decision::Activated(announced) => (systemd::take(announced).map_err(activation_error)?, Ownership::Shared),
            Decision::Listen => {
                let (listener, ownership) = fd0::take_listener().map_err(socket_error)?;
                (vec![listener], ownership)
            }
            Decision::Connection { .. } => (vec![fd0::take_connection().map_err(socket_error)?], Ownership::Shared),
            Decision::Passenger(_) | Decision::Cgi | Decision::Socket(_) | Decision::CommandLine => return Ok(None),
        };
        Ok(Some(Self { sockets, ownership, terms }))
    }
}

/// The sockets of a start, open for the runtime.
struct Doors {
    listeners: Vec<(Listener, Option<Arc<str>>)>,
    connections: Vec<(Socket, Option<Arc<str>>)>,
}

impl Doors {
    fn open(sockets: Vec<Handed>) -> Result<Self, Error> {
        let mut doors = Self { listeners: Vec::new(), connections: Vec::new() };
        for Handed { fd, listens, name } in sockets {
            if listens {
                doors.listeners.push((Listener::from_fd(fd).map_err(socket_error)?, name));
            } else {
                doors.connections.push((Socket::from_fd(fd).map_err(socket_error)?, name));
            }
        }
        Ok(doors)
    }
}

/// Serves listeners until told to leave, and connections until they end; then finishes what is in work.
///
/// The signals are watched before the app is built: a web server may tell a program to leave that is still starting, and visitors may wait for it.
pub(crate) async fn serve_sockets(
    start: Start,
    app: impl Future<Output = BoxApp>,
    settings: Settings,
    trigger: impl Future<Output = ()>,
) -> Result<(), Error> {
    let Start { sockets, ownership, terms } = start;
    let drain_timeout = match ownership {
        Ownership::ModFcgid => settings.limits.drain_timeout.min(MOD_FCGID_DRAIN),
        Ownership::Own | Ownership::Passenger | Ownership::Shared => settings.limits.drain_timeout,
    };
    let mut signals = Signals::watch().map_err(|error| runtime_error(error.to_string()))?;
    let Doors { listeners, connections } = Doors::open(sockets)?;
    if terms.litespeed.is_some() {
        life::warn_of_root();
    }
    let notify = Notify::open(&terms);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let Some((app, told)) = build_unless_stopped(app, &mut signals, &stop, drain_timeout).await else {
        return Ok(());
    };
    let shared = Shared::new(settings, ownership, stop.clone());
    let only_connections = listeners.is_empty();
    for (socket, name) in connections {
        tasks.spawn(serve_connection(socket, app.clone(), shared.by(name), None));
    }
    // Tasks of their own, so that a connection wakes nobody else. With this future they end.
    let accept = |(listener, name)| AbortOnDropHandle::new(tokio::spawn(accept(listener, app.clone(), shared.by(name), tasks.clone())));
    let mut accepting = try_join_all(listeners.into_iter().map(accept).collect::<Vec<_>>());
    drop(app);
    let _watchdog = told.is_none().then(|| notify.ready());
    if told.is_none() {
        let over = async {
            tokio::select! {
                () = signals.stop() => {}
                () = trigger => {}
                () = life::leave_alone(terms.litespeed.as_ref(), || shared.work()) => {}
                () = async { tasks.close(); tasks.wait().await }, if only_connections => {}
                // It never ends.
                () = shared.rest.watch(|| shared.work()) => {}
            }
        };
        tokio::select! {
            () = over => stop.cancel(),
            // A door ends before it is told to only when it broke.
            ended = &mut accepting, if !only_connections => return closed(ended),
        }
    }
    notify.stopping();
    closed(accepting.await)?;
    tasks.close();
    // The time of the host runs from the first signal on, also when that came while the app was built.
    let until = told.unwrap_or_else(Instant::now) + drain_timeout;
    finish(&tasks, &shared, until, signals).await;
    Ok(())
}

fn closed(doors: Result<Vec<()>, JoinError>) -> Result<(), Error> {
    doors.map(drop).map_err(|error| runtime_error(error.to_string()))
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
pub(crate) async fn serve_cgi(vars: CgiVars, app: impl Future<Output = BoxApp>, settings: Settings) -> Result<bool, Error> {
    let drain_timeout = settings.limits.drain_timeout;
    let mut signals = Signals::watch_cheaply().map_err(|error| runtime_error(error.to_string()))?;
    let shared = Arc::new(Shared::of_cgi(settings));
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
        // In this order, so that signals are waited for when there is something to wait for.
        biased;
        whole = stdio::serve_cgi(vars, app, Arc::clone(&shared)) => whole.map_err(socket_error)?,
        () = cut => return Ok(false),
    };
    // The process ends, and what goes with the last holder has nobody to tell.
    std::mem::forget(Arc::clone(&shared));
    if life::has_background_tasks() {
        fd0::release_stdio().map_err(socket_error)?;
        let no_connections = TaskTracker::new();
        no_connections.close();
        finish(&no_connections, &shared, told.unwrap_or_else(Instant::now) + drain_timeout, signals).await;
    }
    Ok(whole)
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::{app::App as _, sys};
    use std::future::{pending, ready};

    fn app() -> BoxApp {
        tower::service_fn(|_: http::Request<crate::Body>| ready(Ok::<_, std::convert::Infallible>(http::Response::new(String::new())))).into_box()
    }

    #[tokio::test]
    async fn a_program_told_to_leave_while_it_starts_still_serves_who_waits_but_not_for_ever() {
        let (mut signals, stop) = (Signals::watch().unwrap(), CancellationToken::new());
        let slow = async {
            sys::terminate(std::process::id()).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            app()
        };
        assert!(build_unless_stopped(slow, &mut signals, &stop, Duration::from_secs(20)).await.is_some());
        assert!(stop.is_cancelled(), "it leaves once it has served them");

        let (mut signals, stop) = (Signals::watch().unwrap(), CancellationToken::new());
        let endless = async {
            sys::terminate(std::process::id()).unwrap();
            pending::<BoxApp>().await
        };
        assert!(build_unless_stopped(endless, &mut signals, &stop, Duration::from_millis(100)).await.is_none());
    }
}
