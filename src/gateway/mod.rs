//! Who started us, and what does the web server at the other end need? Facts, then a pure decision.

mod facts;
pub(crate) mod fd0;
pub(crate) mod http;
pub(crate) mod passenger;
pub(crate) mod sniff;
pub(crate) mod systemd;
mod terms;

use crate::{
    cgi::CgiVars,
    profile::{self, Profile},
};
#[cfg(not(feature = "cli"))]
pub(crate) use facts::socket_mode_argument;
pub(crate) use facts::{Facts, variables};
use std::{cell::LazyCell, os::fd::OwnedFd, path::PathBuf, sync::Arc};
pub(crate) use terms::{LiteSpeed, Terms};

/// The protocol that a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gateway {
    /// FastCGI records on a socket.
    FastCgi,
    /// LSAPI packets of LiteSpeed on a socket.
    Lsapi,
    /// SCGI on a socket.
    Scgi,
    /// The uwsgi protocol on a socket.
    Uwsgi,
    /// HTTP/1.1 on a socket that was handed over.
    Http,
    /// One process, one request: environment and stdin.
    Cgi,
}

impl Gateway {
    /// `fastcgi`, `lsapi`, `scgi`, `uwsgi`, `http` or `cgi`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FastCgi => "fastcgi",
            Self::Lsapi => "lsapi",
            Self::Scgi => "scgi",
            Self::Uwsgi => "uwsgi",
            Self::Http => "http",
            Self::Cgi => "cgi",
        }
    }
}

impl std::fmt::Display for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What file descriptor 0 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fd0 {
    /// A stream socket that listens.
    Listening,
    /// A stream socket that does not.
    Connected,
    /// A terminal.
    Terminal,
    /// A pipe, a file, /dev/null, or closed.
    Other,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Serve the sockets that systemd announced.
    Activated(systemd::Announced),
    /// Accept connections on fd 0.
    Listen,
    /// Make a socket for Phusion Passenger, tell it so in this folder, and serve it.
    Passenger(PathBuf),
    /// Answer the one request in the environment.
    Cgi,
    /// Serve the one connection that fd 0 is. Unless it is certain, somebody has to speak there first: task runners give connected sockets too.
    Connection { certain: bool },
    /// Make this Unix socket and listen on it.
    Socket(PathBuf),
    /// A person, or a program that wants to talk to the command line.
    CommandLine,
}

/// Decides who started us. The order is that of the design page "Who started us".
#[inline]
pub(crate) fn decide(facts: &Facts) -> Decision {
    match facts {
        Facts { command_line_forced: true, .. } => Decision::CommandLine,
        Facts { activation: Some(announced), .. } => Decision::Activated(announced.clone()),
        Facts { fd0: Fd0::Listening, .. } => Decision::Listen,
        Facts { passenger: Some(folder), .. } => Decision::Passenger(folder.clone()),
        Facts { cgi: true, .. } => Decision::Cgi,
        Facts { fd0: Fd0::Connected, litespeed: true, .. } => Decision::Connection { certain: true },
        Facts { fd0: Fd0::Connected, arguments: false, .. } => Decision::Connection { certain: false },
        Facts { socket: Some(path), .. } => Decision::Socket(path.clone()),
        _ => Decision::CommandLine,
    }
}

/// A socket that was handed to us.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) fd: OwnedFd,
    /// Whether it has to be accepted on; else it is a connection.
    pub(crate) listens: bool,
    /// What systemd calls it.
    pub(crate) name: Option<Arc<str>>,
}

impl Handed {
    /// A listener without a name.
    pub(crate) fn listener(fd: impl Into<OwnedFd>) -> Self {
        Self { fd: fd.into(), listens: true, name: None }
    }
}

/// How a listening socket came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Nobody else accepts on it, and it was named by mod_fcgid's process manager.
    ModFcgid,
    /// We made it.
    Own,
    /// We made it for Phusion Passenger, and nobody else may connect.
    Passenger,
    /// Others may accept on it too, or go on with it when we are gone.
    Shared,
}

/// Tells mod_fcgid's socket by its name: `FcgidIPCDir/<pid of the process manager>.<n>`, and that pid is our parent.
pub(crate) fn ownership(socket_path: Option<&std::path::Path>, parent: u32) -> Ownership {
    let name = socket_path.and_then(std::path::Path::file_name).and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name.split_once('.') {
        Some((pid, number)) if pid.parse() == Ok(parent) && digits(pid) && digits(number) => Ownership::ModFcgid,
        _ => Ownership::Shared,
    }
}

/// Chooses the profile of the web server at the other end, from how we were started and what it says of itself.
///
/// `SERVER_SOFTWARE` of Apache names mod_fcgid whenever that module is loaded, so the socket decides and not the text.
#[inline]
pub(crate) fn choose_profile(gateway: Gateway, ownership: Ownership, vars: &CgiVars, keep_conn: bool) -> &'static Profile {
    // Under mod_fcgid nothing depends on it, and there all variables would be walked along for each request, which has a connection of its own.
    let software = LazyCell::new(|| vars.get("SERVER_SOFTWARE").unwrap_or_default());
    let is = |name| starts_with(&software, name);
    match gateway {
        Gateway::Cgi if is("apache") => &profile::MOD_CGID,
        Gateway::FastCgi if ownership == Ownership::ModFcgid => &profile::MOD_FCGID,
        Gateway::FastCgi if is("apache") => &profile::MOD_PROXY_FCGI,
        Gateway::FastCgi if is("nginx") && keep_conn => &profile::NGINX_KEEP_CONN,
        Gateway::FastCgi if is("nginx") => &profile::NGINX,
        // "LiteSpeed/1.9.1 Open" and LSWS_EDITION "Openlitespeed 1.9.1". Nobody else speaks LSAPI.
        Gateway::FastCgi | Gateway::Lsapi | Gateway::Scgi | Gateway::Cgi if is_open_litespeed(&software, vars) => &profile::OPENLITESPEED,
        Gateway::FastCgi | Gateway::Scgi | Gateway::Cgi if is("litespeed") => &profile::LITESPEED,
        Gateway::Lsapi => &profile::LITESPEED,
        Gateway::FastCgi | Gateway::Cgi if is("lighttpd") => &profile::LIGHTTPD,
        Gateway::FastCgi if is("caddy") => &profile::CADDY,
        Gateway::FastCgi if is("haproxy") => &profile::HAPROXY,
        Gateway::FastCgi if is("h2o") => &profile::H2O,
        Gateway::Scgi if is("apache") => &profile::MOD_PROXY_SCGI,
        Gateway::Uwsgi if is("apache") => &profile::MOD_PROXY_UWSGI,
        // The files scgi_params and uwsgi_params that come with nginx leave its name out; the others all say theirs.
        Gateway::Scgi | Gateway::Uwsgi if is("nginx") || software.is_empty() => &profile::NGINX,
        Gateway::Scgi if is("lighttpd") => &profile::LIGHTTPD,
        _ => &profile::UNKNOWN,
    }
}

fn is_open_litespeed(software: &[u8], vars: &CgiVars) -> bool {
    let says_open = || software.last_chunk::<5>().is_some_and(|end| end.eq_ignore_ascii_case(b" open"));
    let edition = || starts_with(vars.get("LSWS_EDITION").unwrap_or_default(), "openlitespeed");
    starts_with(software, "openlitespeed") || starts_with(software, "litespeed") && (says_open() || edition())
}

fn starts_with(text: &[u8], name: &str) -> bool {
    text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn facts() -> Facts {
        Facts {
            command_line_forced: false,
            activation: None,
            fd0: Fd0::Other,
            passenger: None,
            cgi: false,
            litespeed: false,
            arguments: false,
            socket: None,
        }
    }

    /// Facts for which everything below this row of the order would hold too.
    fn everything() -> Facts {
        Facts { passenger: Some("/tmp/spawn".into()), cgi: true, litespeed: true, arguments: true, socket: Some("/run/x".into()), ..facts() }
    }

    fn announced() -> systemd::Announced {
        let value = |name: &str| Some(std::ffi::OsStr::new(if name == "LISTEN_PID" { "100" } else { "1" }));
        systemd::Announced::read(value, 100).unwrap()
    }

    #[test]
    fn the_command_line_can_be_forced_whatever_else_holds() {
        let facts = Facts { command_line_forced: true, activation: Some(announced()), fd0: Fd0::Listening, ..everything() };
        assert_eq!(decide(&facts), Decision::CommandLine);
    }

    #[test]
    fn announced_sockets_come_first() {
        for fd0 in [Fd0::Listening, Fd0::Connected, Fd0::Terminal, Fd0::Other] {
            assert_eq!(decide(&Facts { activation: Some(announced()), fd0, ..everything() }), Decision::Activated(announced()));
        }
    }

    #[test]
    fn a_listening_fd_0_outweighs_variables_and_arguments() {
        assert_eq!(decide(&Facts { fd0: Fd0::Listening, ..everything() }), Decision::Listen);
        assert_eq!(decide(&Facts { fd0: Fd0::Listening, ..facts() }), Decision::Listen);
    }

    #[test]
    fn passenger_outweighs_the_variables_of_cgi() {
        for fd0 in [Fd0::Connected, Fd0::Other, Fd0::Terminal] {
            assert_eq!(decide(&Facts { fd0, ..everything() }), Decision::Passenger("/tmp/spawn".into()));
        }
    }

    #[test]
    fn a_cgi_environment_is_one_request_whatever_stdin_is() {
        for fd0 in [Fd0::Connected, Fd0::Other, Fd0::Terminal] {
            assert_eq!(decide(&Facts { fd0, passenger: None, ..everything() }), Decision::Cgi);
            assert_eq!(decide(&Facts { fd0, cgi: true, ..facts() }), Decision::Cgi);
        }
    }

    #[test]
    fn a_connected_fd_0_is_litespeeds_one_connection() {
        let facts = Facts { fd0: Fd0::Connected, passenger: None, cgi: false, ..everything() };
        assert_eq!(decide(&facts), Decision::Connection { certain: true });
    }

    #[test]
    fn without_arguments_a_connected_fd_0_may_be_somebodys_connection() {
        assert_eq!(decide(&Facts { fd0: Fd0::Connected, ..facts() }), Decision::Connection { certain: false });
    }

    #[test]
    fn with_arguments_a_connected_fd_0_is_a_task_runners() {
        assert_eq!(decide(&Facts { fd0: Fd0::Connected, arguments: true, ..facts() }), Decision::CommandLine);
    }

    #[test]
    fn a_socket_is_made_when_asked_for() {
        for fd0 in [Fd0::Terminal, Fd0::Other, Fd0::Connected] {
            let facts = Facts { fd0, arguments: true, socket: Some("/run/x".into()), ..facts() };
            assert_eq!(decide(&facts), Decision::Socket("/run/x".into()));
        }
    }

    #[test]
    fn a_person_gets_the_command_line() {
        for fd0 in [Fd0::Terminal, Fd0::Other] {
            for arguments in [false, true] {
                assert_eq!(decide(&Facts { fd0, arguments, ..facts() }), Decision::CommandLine);
            }
        }
    }

    #[test]
    fn a_socket_named_after_our_parent_is_ours_alone() {
        assert_eq!(ownership(Some(Path::new("/var/lib/apache2/fcgid/sock/812.4")), 812), Ownership::ModFcgid);
        for other in ["/run/sock/813.4", "/run/sock/812", "/run/sock/812.", "/run/sock/812.x", "/run/sock/+812.4", "/run/app.sock"] {
            assert_eq!(ownership(Some(Path::new(other)), 812), Ownership::Shared, "{other}");
        }
        assert_eq!(ownership(None, 812), Ownership::Shared);
    }

    #[test]
    fn the_profile_follows_the_start_and_then_the_name() {
        let name = |gateway, ownership, software: &str, keep_conn| {
            choose_profile(gateway, ownership, &CgiVars::from_pairs([("SERVER_SOFTWARE", software)]), keep_conn).name()
        };
        let apache = "Apache/2.4.71 (Debian) mod_fcgid/2.3.9";
        assert_eq!(name(Gateway::FastCgi, Ownership::ModFcgid, apache, false), "mod_fcgid");
        assert_eq!(name(Gateway::FastCgi, Ownership::Own, apache, false), "mod_proxy_fcgi");
        assert_eq!(name(Gateway::Cgi, Ownership::Shared, apache, false), "mod_cgid");
        assert_eq!(name(Gateway::FastCgi, Ownership::Shared, "nginx/1.22.1", false), "nginx");
        assert_eq!(name(Gateway::FastCgi, Ownership::Shared, "nginx/1.22.1", true), "nginx-keep-conn");
        assert_eq!(name(Gateway::Scgi, Ownership::Shared, "", false), "nginx");
        assert_eq!(name(Gateway::Uwsgi, Ownership::Shared, "something", false), "unknown");
        assert_eq!(name(Gateway::FastCgi, Ownership::Shared, "something", false), "unknown");
    }
}
