//! File descriptor 0: what it is, and taking it over. The only file that touches it.

use super::{Facts, Fd0, Ownership, ownership};
use crate::sys;
use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

/// Gathers the facts of our start. `args` is asked for only where arguments may be read at all.
pub(crate) fn facts(args: impl FnOnce() -> Vec<OsString>) -> Facts {
    let set = |name: &str| std::env::var_os(name).is_some();
    let command_line_forced = std::env::var_os("LODGER_CLI").is_some_and(|value| value == "1");
    let fd0 = look();
    let cgi = set("REQUEST_METHOD") || set("GATEWAY_INTERFACE");
    let passenger = std::env::var_os("PASSENGER_SPAWN_WORK_DIR").map(PathBuf::from);
    let socket = (fd0 != Fd0::Listening && passenger.is_none() && !cgi && !command_line_forced).then(|| socket_argument(&args())).flatten();
    Facts { command_line_forced, fd0, passenger, cgi, socket }
}

fn look() -> Fd0 {
    match sys::socket_kind(0) {
        Some(sys::SocketKind::Listening) => Fd0::Listening,
        Some(sys::SocketKind::Other) => Fd0::Connected,
        None if io::stdin().is_terminal() => Fd0::Terminal,
        None => Fd0::Other,
    }
}

/// The path in `--socket PATH` or `--socket=PATH`, given alone or to the verb `serve`.
pub(crate) fn socket_argument(args: &[OsString]) -> Option<PathBuf> {
    let serve = args.first().is_some_and(|first| first == "serve");
    let args = args.get(usize::from(serve)..)?;
    if !serve && !args.first()?.as_bytes().starts_with(b"--") {
        return None;
    }
    value_of(args, "--socket").map(PathBuf::from)
}

/// The permissions in `--socket-mode MODE`, for programs without the command line.
#[cfg(not(feature = "cli"))]
pub(crate) fn socket_mode_argument(args: &[OsString]) -> Option<u32> {
    u32::from_str_radix(&value_of(args, "--socket-mode")?.into_string().ok()?, 8).ok().filter(|mode| *mode <= 0o777)
}

/// What is given to `option`, as the next argument or behind an equals sign.
fn value_of(args: &[OsString], option: &str) -> Option<OsString> {
    args.iter().enumerate().find_map(|(at, arg)| match arg.as_bytes().strip_prefix(option.as_bytes()) {
        Some(b"") => args.get(at + 1).cloned(),
        Some([b'=', value @ ..]) => Some(std::ffi::OsStr::from_bytes(value).to_owned()),
        _ => None,
    })
}

/// Takes the listening socket off fd 0, where /dev/null stays behind, so that neither the app nor a child of it can read from it.
pub(crate) fn take_listener() -> io::Result<(OwnedFd, Ownership)> {
    let listener = sys::duplicate(0)?;
    sys::replace_with_null(0)?;
    let path = sys::socket_path(&listener);
    let ownership = ownership(path.as_deref().map(Path::new), std::os::unix::process::parent_id());
    Ok((listener, ownership))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(args: &[&str]) -> Option<PathBuf> {
        socket_argument(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_socket_is_found_with_and_without_the_verb() {
        for args in [&["--socket", "/x"][..], &["--socket=/x"], &["serve", "--socket", "/x"], &["serve", "--socket-mode", "0600", "--socket=/x"]] {
            assert_eq!(socket(args), Some("/x".into()), "{args:?}");
        }
    }

    #[test]
    fn other_verbs_have_no_socket() {
        for args in [&[][..], &["--socket"], &["request", "GET", "/", "-d", "--socket", "/x"], &["serve"], &["--socket-mode", "0600"]] {
            assert_eq!(socket(args), None, "{args:?}");
        }
    }
}
