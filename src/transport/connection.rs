//! One connection: finds out what its peer speaks, then serves it until it is over.

use super::{
    Shared,
    crowd::Guest,
    driver::drive,
    socket::{Link as _, Socket},
};
use crate::{
    app::BoxApp,
    diagnostic::codes as code,
    gateway::{
        Gateway, Ownership,
        sniff::{self, Foreign, Sniffed, Spoken, sniff},
    },
    life,
    proto::{fastcgi, lsapi, scgi::Scgi, uwsgi::Uwsgi},
};
use std::{future::poll_fn, io, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How long a connection without a byte is kept when the process is leaving: its request may be on the way.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// What a peer did instead of saying what it speaks.
enum Unsaid {
    /// It said nothing and went away, as probes do that only want to know whether somebody listens; or it was not waited for any longer.
    Nothing,
    /// It speaks something else.
    Foreign(Foreign),
    /// It stopped in the middle.
    Cut,
}

/// Serves one connection until it is over, as one of those of its listener.
pub(crate) async fn serve_connection(mut socket: Socket, app: BoxApp, shared: Arc<Shared>, guest: Option<Guest>) {
    // Counted until all that it needs has been dropped.
    let _guest = guest;
    let limits = Arc::clone(&shared.limits);
    // mod_fcgid speaks nothing else, and a process of its own is asked anew for each connection: there a look is a call of the kernel for every request.
    let spoken = if shared.ownership == Ownership::ModFcgid { Ok(Spoken::FastCgi) } else { first_bytes(&mut socket, &shared).await };
    match spoken {
        Ok(Spoken::FastCgi) => drop(drive(socket, fastcgi::Connection::new(limits), Gateway::FastCgi, app, shared).await),
        // Boxed, so that the memory of every connection is not that of the largest.
        Ok(Spoken::Scgi { head_len }) => drop(Box::pin(drive(socket, Scgi::new(head_len, limits), Gateway::Scgi, app, shared)).await),
        Ok(Spoken::Uwsgi { head_len }) => drop(Box::pin(drive(socket, Uwsgi::new(head_len, limits), Gateway::Uwsgi, app, shared)).await),
        Ok(Spoken::Lsapi) => {
            life::warn_of_root();
            drive(socket, lsapi::Connection::new(limits), Gateway::Lsapi, app, shared).await;
        }
        #[cfg(feature = "http")]
        Ok(Spoken::Http { is_1_1 }) => Box::pin(super::http::serve_http(socket, is_1_1, app, shared)).await,
        #[cfg(not(feature = "http"))]
        Ok(Spoken::Http { .. }) => {
            let cure = "build the program with the feature `http` of lodger, or let the web server speak FastCGI here";
            tracing::warn!(target: "lodger", "{}: a connection was closed: it speaks HTTP; {cure}", code::UNKNOWN_PROTOCOL);
        }
        Err(Unsaid::Nothing) => {}
        Err(Unsaid::Foreign(Foreign { what, cure })) => {
            tracing::warn!(target: "lodger", "{}: a connection was closed: it speaks {what}; {cure}", code::UNKNOWN_PROTOCOL);
        }
        Err(Unsaid::Cut) => {
            tracing::warn!(target: "lodger", "{}: a connection was closed: it did not go on to say what it speaks", code::PARAMS_TIMEOUT);
        }
    }
}

/// Looks at the first bytes and leaves them in the socket.
async fn first_bytes(socket: &mut Socket, shared: &Shared) -> Result<Spoken, Unsaid> {
    let mut said = 0;
    let spoken = timeout(shared.limits.params_timeout, find_out(socket, &mut said));
    let spoken = tokio::select! {
        biased;
        spoken = spoken => spoken.ok(),
        () = async { shared.stop.cancelled().await; sleep(FRESH).await } => None,
    };
    match spoken {
        Some(Ok(Sniffed::Spoken(spoken))) => Ok(spoken),
        Some(Ok(Sniffed::Foreign(foreign))) => Err(Unsaid::Foreign(foreign)),
        Some(Ok(Sniffed::Short) | Err(_)) | None if said == 0 => Err(Unsaid::Nothing),
        Some(Ok(Sniffed::Short) | Err(_)) | None => Err(Unsaid::Cut),
    }
}

async fn find_out(socket: &mut Socket, said: &mut usize) -> io::Result<Sniffed> {
    let mut first = [0; sniff::LONGEST];
    loop {
        let wanted = *said + 1;
        let looked = poll_fn(|cx| socket.poll_peek(cx, &mut first, wanted)).await?;
        let ended = looked < wanted;
        *said = looked;
        match sniff(first.get(..looked).unwrap_or_default()) {
            Sniffed::Short if !ended => {}
            sniffed => return Ok(sniffed),
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
