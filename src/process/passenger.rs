//! The life of a process that Phusion Passenger started: handshake, serving, leaving when stdin ends.

use super::{Start, serve_sockets};
use crate::{
    app::BoxApp,
    diagnostic::codes as code,
    error::Error,
    gateway::{
        Handed, Ownership, Terms, fd0,
        passenger::{WorkDir, unusable},
    },
    life::{Signals, hang_up},
    serve::runtime_error,
    settings::Settings,
    transport::door::Door,
};
use std::{
    future::{Future, ready},
    os::unix::net::UnixListener,
    path::PathBuf,
};

/// Nobody but Passenger connects: its core runs as root, or as the same user.
const SOCKET_MODE: u32 = 0o600;

/// Serves Passenger until it closes our stdin, sends a signal, or `trigger` completes. `folder` is where it waits for the handshake.
///
/// The app is built before Passenger hears that we are ready, which it waits 90 s for. What goes wrong until then is told to Passenger, which shows it to
/// the operator, and is the error that is returned.
pub(crate) async fn serve_passenger(
    folder: PathBuf,
    app: impl Future<Output = Result<BoxApp, Error>>,
    settings: Settings,
    trigger: impl Future<Output = ()>,
) -> Result<(), Error> {
    let work = WorkDir::new(folder);
    let told = told_to_leave(trigger).map_err(|error| tell(&work, error))?;
    tokio::pin!(told);
    let started = tokio::select! {
        started = start(&work, app) => started,
        // Nobody has been let in yet, and nobody waits for an answer to the handshake any more.
        () = &mut told => return Ok(()),
    };
    let (_door, listener, app) = started.map_err(|error| tell(&work, error))?;
    // What systemd or LiteSpeed want of the web server stands in our environment too, and is not meant for us.
    let start = Start { sockets: vec![Handed::listener(listener)], ownership: Ownership::Passenger, terms: Terms::default() };
    serve_sockets(start, ready(app), settings, told).await
}

/// Completes when it is time to leave. Both signals and stdin are watched from the call on.
fn told_to_leave(trigger: impl Future<Output = ()>) -> Result<impl Future<Output = ()>, Error> {
    let mut signals = Signals::watch().map_err(|error| runtime_error(error.to_string()))?;
    let lifeline = fd0::take_lifeline().map_err(|error| unusable("stdin cannot be watched").with_source(error))?;
    Ok(async move {
        tokio::select! {
            () = signals.stop() => {}
            () = hang_up(lifeline) => {}
            () = trigger => {}
        }
    })
}

/// The handshake, with the app built in the middle of it.
async fn start(work: &WorkDir, app: impl Future<Output = Result<BoxApp, Error>>) -> Result<(Door, UnixListener, BoxApp), Error> {
    let socket = work.read()?;
    if !cfg!(feature = "http") {
        return Err(unusable("this program was built without the feature `http` of lodger"));
    }
    let app = app.await?;
    let (door, listener) = Door::open(&socket, SOCKET_MODE).map_err(|error| unusable("its folder takes no socket").with_source(error))?;
    work.succeed(&socket)?;
    Ok((door, listener, app))
}

/// Tells Passenger of a start that failed.
fn tell(work: &WorkDir, error: Error) -> Error {
    if let Err(untold) = work.fail(&error) {
        tracing::error!(target: "lodger", "{}: Passenger cannot be told why the program does not start: {untold}", code::PASSENGER_HANDSHAKE);
    }
    error
}
