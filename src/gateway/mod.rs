//! Who started us, and what does the web server at the other end need? Facts, then a pure decision.

pub(crate) mod fd0;
pub(crate) mod sniff;

use crate::{
    cgi::CgiVars,
    profile::{self, Profile},
};
use std::path::PathBuf;

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
    /// A socket that listens.
    Listening,
    /// A socket that is connected, or not a stream at all.
    Connected,
    /// A terminal.
    Terminal,
    /// A pipe, a file, /dev/null, or closed.
    Other,
}

/// What is known about our start, gathered without changing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `LODGER_CLI=1` in the environment; no web client can set a variable of that name.
    pub(crate) command_line_forced: bool,
    pub(crate) fd0: Fd0,
    /// `REQUEST_METHOD` or `GATEWAY_INTERFACE` is in the environment.
    pub(crate) cgi: bool,
    /// `--socket PATH` among the arguments. Only looked for when nothing above it holds: under CGI, arguments may come out of a query string
    /// (RFC 3875, 4.4; CVE-2012-1823).
    pub(crate) socket: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Accept connections on fd 0.
    Listen,
    /// Answer the one request in the environment.
    Cgi,
    /// Make this Unix socket and listen on it.
    Socket(PathBuf),
    /// A person, or a program that wants to talk to the command line.
    CommandLine,
}

/// Decides who started us. The order is that of the design page "Who started us".
pub(crate) fn decide(facts: &Facts) -> Decision {
    match facts {
        Facts { command_line_forced: true, .. } => Decision::CommandLine,
        Facts { fd0: Fd0::Listening, .. } => Decision::Listen,
        Facts { cgi: true, .. } => Decision::Cgi,
        Facts { socket: Some(path), .. } => Decision::Socket(path.clone()),
        _ => Decision::CommandLine,
    }
}

/// How a listening socket came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Nobody else accepts on it, and it was named by mod_fcgid's process manager.
    ModFcgid,
    /// We made it.
    Own,
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
pub(crate) fn choose_profile(gateway: Gateway, ownership: Ownership, vars: &CgiVars, keep_conn: bool) -> &'static Profile {
    let software = vars.get("SERVER_SOFTWARE").unwrap_or_default().to_ascii_lowercase();
    let is = |name: &str| software.starts_with(name.as_bytes());
    match gateway {
        Gateway::Cgi if is("apache") => &profile::MOD_CGID,
        Gateway::FastCgi if ownership == Ownership::ModFcgid => &profile::MOD_FCGID,
        Gateway::FastCgi if is("apache") => &profile::MOD_PROXY_FCGI,
        Gateway::FastCgi if is("nginx") && keep_conn => &profile::NGINX_KEEP_CONN,
        Gateway::FastCgi if is("nginx") => &profile::NGINX,
        Gateway::FastCgi if is("litespeed") || is("openlitespeed") => &profile::LITESPEED,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn facts() -> Facts {
        Facts { command_line_forced: false, fd0: Fd0::Other, cgi: false, socket: None }
    }

    #[test]
    fn a_listening_fd_0_is_served() {
        assert_eq!(decide(&Facts { fd0: Fd0::Listening, ..facts() }), Decision::Listen);
    }

    #[test]
    fn a_listening_fd_0_outweighs_a_cgi_environment_and_arguments() {
        let facts = Facts { fd0: Fd0::Listening, cgi: true, socket: Some("/run/x".into()), ..facts() };
        assert_eq!(decide(&facts), Decision::Listen);
    }

    #[test]
    fn a_cgi_environment_is_one_request_whatever_stdin_is() {
        for fd0 in [Fd0::Connected, Fd0::Other, Fd0::Terminal] {
            assert_eq!(decide(&Facts { fd0, cgi: true, ..facts() }), Decision::Cgi);
        }
    }

    #[test]
    fn arguments_are_nothing_under_cgi() {
        assert_eq!(decide(&Facts { cgi: true, socket: Some("/run/x".into()), ..facts() }), Decision::Cgi);
    }

    #[test]
    fn a_socket_is_made_when_asked_for() {
        assert_eq!(decide(&Facts { socket: Some("/run/x".into()), ..facts() }), Decision::Socket("/run/x".into()));
    }

    #[test]
    fn a_person_gets_the_command_line() {
        for fd0 in [Fd0::Terminal, Fd0::Other, Fd0::Connected] {
            assert_eq!(decide(&Facts { fd0, ..facts() }), Decision::CommandLine);
        }
    }

    #[test]
    fn the_command_line_can_be_forced() {
        let facts = Facts { command_line_forced: true, fd0: Fd0::Listening, cgi: true, ..facts() };
        assert_eq!(decide(&facts), Decision::CommandLine);
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
