//! What is known about our start, read off the environment, fd 0 and the arguments.

use super::{Fd0, passenger::WORK_DIR, systemd::Announced};
use std::{
    ffi::{CStr, OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

/// The variables of an environment as [`sys::environment`](crate::sys::environment) copies it, by name and value. Like `std`, it passes over what has no equals sign, and takes one at the start for a part of the name.
#[inline]
pub(crate) fn variables(environment: &[u8]) -> Vec<(&OsStr, &OsStr)> {
    /// More than web servers set, some forty. A list that grows by itself takes as much memory again for all the steps in which it does.
    const ROOM: usize = 64;
    // To split at the zero bytes would be to look at one byte after the other, which every start of a CGI program pays for.
    let mut rest = environment;
    let texts = std::iter::from_fn(|| {
        let text = CStr::from_bytes_until_nul(rest).ok()?.to_bytes();
        rest = rest.get(text.len() + 1..)?;
        Some(text)
    });
    let split = |text: &'_ [u8]| -> Option<usize> { Some(text.get(1..)?.iter().position(|byte| *byte == b'=')? + 1) };
    let parts = |text| {
        let (name, value) = <[u8]>::split_at_checked(text, split(text)?)?;
        Some((OsStr::from_bytes(name), OsStr::from_bytes(value.get(1..)?)))
    };
    let mut variables = Vec::with_capacity(ROOM);
    variables.extend(texts.filter_map(parts));
    variables
}

/// What is known about our start, gathered without changing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `LODGER_CLI=1` in the environment; no web client can set a variable of that name.
    pub(crate) command_line_forced: bool,
    /// Sockets that systemd announces to this process.
    pub(crate) activation: Option<Announced>,
    pub(crate) fd0: Fd0,
    /// `PASSENGER_SPAWN_WORK_DIR`: the folder in which Phusion Passenger waits for its handshake.
    pub(crate) passenger: Option<PathBuf>,
    /// `REQUEST_METHOD` or `GATEWAY_INTERFACE` is in the environment.
    pub(crate) cgi: bool,
    /// A variable `LSAPI_*` is in the environment.
    pub(crate) litespeed: bool,
    /// Whether there are arguments, `serve` alone not counted: it only says what is done without it too. Like `socket`, only looked for when nothing above holds that forbids it: under CGI, arguments may come out of
    /// a query string (RFC 3875, 4.4; CVE-2012-1823).
    pub(crate) arguments: bool,
    /// `--socket PATH` among the arguments.
    pub(crate) socket: Option<PathBuf>,
}

impl Facts {
    /// Puts the facts together. `args` is asked for only where arguments may be read at all.
    pub(crate) fn gather<V: AsRef<OsStr>>(vars: &[(V, V)], fd0: Fd0, pid: u32, args: impl FnOnce() -> Vec<OsString>) -> Self {
        let get = |name: &str| value(vars, name);
        let command_line_forced = get("LODGER_CLI").is_some_and(|value| value == "1");
        let activation = Announced::read(get, pid);
        let passenger = get(WORK_DIR).map(PathBuf::from);
        let cgi = get("REQUEST_METHOD").is_some() || get("GATEWAY_INTERFACE").is_some();
        let decided = command_line_forced || activation.is_some() || fd0 == Fd0::Listening || passenger.is_some() || cgi;
        let args = if decided { Vec::new() } else { args() };
        Self {
            command_line_forced,
            activation,
            fd0,
            passenger,
            cgi,
            litespeed: vars.iter().any(|(name, _)| name.as_ref().as_bytes().starts_with(b"LSAPI_")),
            arguments: !(args.is_empty() || args == ["serve"]),
            socket: if args.is_empty() { None } else { socket_argument(&args) },
        }
    }
}

/// The value of the first variable of this name.
pub(super) fn value<'a, V: AsRef<OsStr>>(vars: &'a [(V, V)], name: &str) -> Option<&'a OsStr> {
    vars.iter().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value.as_ref())
}

/// The path in `--socket PATH` or `--socket=PATH`, given alone or to the verb `serve`.
fn socket_argument(args: &[OsString]) -> Option<PathBuf> {
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
        Some([b'=', value @ ..]) => Some(OsStr::from_bytes(value).to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Decision, decide};

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

    #[test]
    fn arguments_are_not_even_asked_for_where_they_could_come_from_a_visitor() {
        let never = || -> Vec<OsString> { panic!("the arguments were read") };
        for name in ["REQUEST_METHOD", "GATEWAY_INTERFACE", "PASSENGER_SPAWN_WORK_DIR"] {
            Facts::gather(&[(name, "x")], Fd0::Connected, 1, never);
        }
        Facts::gather::<&str>(&[], Fd0::Listening, 1, never);
    }

    #[test]
    fn the_verb_to_serve_alone_says_nothing_new() {
        let facts = |args: &[&str]| Facts::gather::<&str>(&[], Fd0::Connected, 1, || args.iter().map(OsString::from).collect());
        assert!(!facts(&[]).arguments && !facts(&["serve"]).arguments);
        assert!(facts(&["check"]).arguments && facts(&["serve", "--socket", "/x"]).arguments);
    }

    #[test]
    fn an_environment_is_taken_apart_as_std_does() {
        let environment = b"A=1\0EMPTY=\0=odd=2\0none\0\0TWO=a=b\0";
        let expect = [("A", "1"), ("EMPTY", ""), ("=odd", "2"), ("TWO", "a=b")].map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        assert_eq!(variables(environment), expect);
        let ours = crate::sys::environment();
        let owned = |(name, value): (&OsStr, &OsStr)| (name.to_owned(), value.to_owned());
        assert_eq!(variables(&ours).into_iter().map(owned).collect::<Vec<_>>(), std::env::vars_os().collect::<Vec<_>>());
    }

    /// A dump of what a program saw that a web server had started: its arguments, its environment, its descriptors.
    fn decided(dump: &str) -> Decision {
        let behind = |prefix: &'static str| dump.lines().filter_map(move |line| line.strip_prefix(prefix));
        let vars: Vec<(OsString, OsString)> =
            behind("env ").filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect();
        let args = behind("argv[").filter(|line| !line.starts_with("0]")).filter_map(|line| Some(line.split_once("]=")?.1.into())).collect();
        let fd0 = match behind("fd 0 -> ").next().unwrap() {
            socket if socket.contains("SO_TYPE=1 SO_ACCEPTCONN=1") => Fd0::Listening,
            socket if socket.contains("SO_TYPE=1 SO_ACCEPTCONN=0") => Fd0::Connected,
            other => panic!("fd 0 is {other}"),
        };
        let pid = behind("pid=").next().and_then(|line| line.split(' ').next()).unwrap().parse().unwrap();
        decide(&Facts::gather(&vars, fd0, pid, || args))
    }

    #[test]
    fn every_recorded_start_is_understood() {
        let starts = [
            (include_str!("../../fixtures/starts/cgi.txt"), Decision::Cgi),
            (include_str!("../../fixtures/starts/fcgi-olsfcgi.txt"), Decision::Listen),
            (include_str!("../../fixtures/starts/fcgi-spawnfcgi.txt"), Decision::Listen),
            (include_str!("../../fixtures/starts/lsapi-detached.txt"), Decision::Listen),
            (include_str!("../../fixtures/starts/lsapi-selfmanaged.txt"), Decision::Listen),
            (include_str!("../../fixtures/starts/lsapi-servermanaged.txt"), Decision::Connection { certain: true }),
            (include_str!("../../fixtures/starts/lsapi-standalone.txt"), Decision::Listen),
            (include_str!("../../fixtures/starts/lsapi-suexec.txt"), Decision::Listen),
            (include_str!("../../fixtures/starts/lsapi-wsgi-appserver.txt"), Decision::Listen),
            (include_str!("../../fixtures/starts/node-lsnode.txt"), Decision::Listen),
        ];
        for (dump, expect) in starts {
            assert_eq!(decided(dump), expect, "{dump}");
        }
    }
}
