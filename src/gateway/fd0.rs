//! File descriptor 0: what it is, and taking it over. The only file that touches it.

use super::{Facts, Fd0, Handed, Ownership, ownership};
use crate::sys::{self, SocketKind};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

/// How long a program that was started without arguments waits for somebody to speak on a connected stdin.
///
/// A web server or a super-server that hands over a connection has a request to send. A person whose task runner put a socket there waits for the screen
/// of the command line, and should not wonder whether the program hangs.
const SPEAK: Duration = Duration::from_secs(1);

/// Gathers the facts of our start from the environment and the rest. `args` is asked for only where arguments may be read at all.
pub(crate) fn facts<V: AsRef<OsStr>>(environment: &[(V, V)], args: impl FnOnce() -> Vec<OsString>) -> Facts {
    Facts::gather(environment, look(), std::process::id(), args)
}

fn look() -> Fd0 {
    match sys::socket_kind(0) {
        Some(SocketKind::Listening) => Fd0::Listening,
        Some(SocketKind::Connected) => Fd0::Connected,
        Some(SocketKind::Other) => Fd0::Other,
        None if sys::is_terminal(0) => Fd0::Terminal,
        None => Fd0::Other,
    }
}

/// Waits for the first byte on a connected fd 0 and leaves it there. False when it does not come, or the other end has gone away.
pub(crate) fn somebody_speaks() -> bool {
    sys::wait_readable(0, SPEAK) && sys::peek(io::stdin(), &mut [0], 1).is_ok_and(|peeked| peeked.len > 0)
}

/// Takes the listening socket off fd 0, where /dev/null stays behind, so that neither the app nor a child of it can read from it.
pub(crate) fn take_listener() -> io::Result<(Handed, Ownership)> {
    let listener = take()?;
    let path = sys::socket_path(&listener);
    let ownership = ownership(path.as_deref().map(Path::new), std::os::unix::process::parent_id());
    Ok((Handed::listener(listener), ownership))
}

/// Takes the connection off fd 0.
pub(crate) fn take_connection() -> io::Result<Handed> {
    // A super-server puts the connection on fds 0, 1 and 2: a line of the log must not get into it.
    if sys::same_file(0, 2) {
        sys::replace_with_null(2)?;
    }
    Ok(Handed { fd: take()?, listens: false, name: None })
}

fn take() -> io::Result<OwnedFd> {
    let socket = sys::duplicate(0)?;
    sys::replace_with_null(0)?;
    // LiteSpeed leaves a socket there whose other end is closed: what the app prints would end in EPIPE, and println! in a panic.
    if sys::socket_kind(1).is_some() {
        sys::replace(1, 2)?;
    }
    Ok(socket)
}

/// Takes the pipe off fd 0 whose end is an order to leave; /dev/null stays behind. A child of the app that held it would not matter to its other end, but
/// one that read from it would see the end before us.
pub(crate) fn take_lifeline() -> io::Result<OwnedFd> {
    let lifeline = sys::duplicate(0)?;
    sys::replace_with_null(0)?;
    Ok(lifeline)
}

/// Takes stdin and stdout of one CGI exchange for us alone: what the app prints goes to stderr from now on, and not into the response, and what it
/// reads from stdin is empty. The rest is let go later, with [`release_stdio`].
#[inline]
pub(crate) fn take_stdio() -> io::Result<(OwnedFd, OwnedFd)> {
    let taken = (sys::duplicate(0)?, sys::duplicate(1)?);
    sys::replace_with_null(0)?;
    if sys::replace(1, 2).is_err() {
        sys::replace_with_null(1)?;
    }
    Ok(taken)
}

/// Lets go of fds 0, 1 and 2, so that the web server sees the end of the response while work goes on.
///
/// All three: mod_cgid hands over one socket as both 0 and 1, and mod_cgi waits for the end of stderr too.
pub(crate) fn release_stdio() -> io::Result<()> {
    (0..=2).try_for_each(sys::replace_with_null)
}
