//! What can be typed, and what it means.

use super::{
    exit,
    explain::{self, Page},
};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use std::{ffi::OsString, io::Write as _, path::PathBuf, process::ExitCode};

/// What was asked for.
#[derive(Debug)]
pub(super) enum Asked {
    Nothing,
    Serve {
        socket: Option<PathBuf>,
        mode: u32,
        config: Option<PathBuf>,
    },
    Request(RequestArgs),
    Init(InitArgs),
    Explain(Option<Page>),
    #[cfg(feature = "site")]
    Check {
        config: Option<PathBuf>,
    },
    #[cfg(feature = "site")]
    Config {
        what: ConfigVerb,
        config: Option<PathBuf>,
    },
}

/// Help that was asked for, or a mistake.
#[derive(Debug)]
pub(super) struct Message(clap::Error);

impl Message {
    /// Help goes to stdout and is fine; a mistake goes to stderr.
    pub(super) fn print(&self) -> ExitCode {
        let text = self.0.render().to_string();
        if self.0.use_stderr() {
            // Nobody is left to be told when stderr is gone.
            let _ = std::io::stderr().write_all(text.as_bytes());
            return ExitCode::from(exit::USAGE);
        }
        super::print(&text)
    }
}

const EXAMPLES: &str = "Examples:
  PROG request GET /                   see the first page
  PROG request POST /form -d a=1 -v    send a form and watch what goes over the wire
  PROG serve --socket run/app.sock     let a web server on this machine connect";

/// A web application for shared hosting. Behind a web server it needs no arguments.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80)]
struct CommandLine {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: ServeArgs,
    /// The lodger.toml, when it does not lie beside the program; the variable LODGER_CONFIG names it too
    #[cfg(feature = "site")]
    #[arg(long, value_name = "PATH", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the web server that started this program, or a Unix socket
    Serve(ServeArgs),
    /// Run one request through the whole program and print the response
    ///
    /// The program starts itself as a web server would start it. The body goes to stdout, status, headers and log to stderr. The exit code is
    /// 1 when the status is 500 or above or the response breaks off; over LSAPI that is only seen where the request has no body or the response a Content-Length.
    Request(RequestArgs),
    /// Write the files by which the web server finds this program
    ///
    /// For Phusion Passenger that is Passengerfile.json, which names this program. What else is to be done is printed.
    Init(InitArgs),
    /// Read lodger.toml and tell every mistake in it, with its place and what to do
    #[cfg(feature = "site")]
    Check,
    /// Print what may stand in lodger.toml, or what it says
    #[cfg(feature = "site")]
    Config {
        #[command(subcommand)]
        what: ConfigVerb,
    },
    /// Say what a code means that stands in a log or on an error page, and what to do
    Explain {
        /// The code, such as LG0309; without one, all are listed
        #[arg(value_parser = explain::find)]
        code: Option<Page>,
    },
}

/// What to print of the configuration.
#[cfg(feature = "site")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(super) enum ConfigVerb {
    /// A lodger.toml to begin with: every key in a comment, with its default or an example
    Reference,
    /// Every value that is in force, and where it comes from; secrets are not shown
    Show,
    /// The JSON schema of the file, for editors
    Schema,
    /// All keys as a page of Markdown
    Page,
}

/// Which files to write, and where.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder that the file belongs to: the one above the document root
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) folder: PathBuf,
    /// What runs at this host
    #[arg(long, value_enum)]
    pub(super) panel: Panel,
    /// Print what would be written and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What a host lets its customers set programs up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Panel {
    /// Phusion Passenger 6 in Apache
    Passenger,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Make this Unix socket and listen on it
    #[arg(long, value_name = "PATH", value_parser = socket)]
    socket: Option<PathBuf>,
    /// The permissions of the socket, as chmod takes them
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = octal, requires = "socket")]
    socket_mode: u32,
}

/// One request to try.
#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    /// GET, POST, …
    #[arg(value_parser = method)]
    pub(super) method: http::Method,
    /// The path inside the app, with its query
    #[arg(value_name = "PATH")]
    pub(super) target: String,
    /// The way into the program
    #[arg(long, value_enum, ignore_case = true, default_value_t = Via::Fastcgi)]
    pub(super) via: Via,
    /// The host that is asked for
    #[arg(long, default_value = "localhost")]
    pub(super) host: String,
    /// Where the app is said to live, such as /sub or /sub/app.fcgi; the visitor sees MOUNT + PATH
    #[arg(long, value_parser = mount)]
    pub(super) mount: Option<String>,
    /// A header, such as 'Accept: text/html'
    #[arg(short = 'H', long = "header", value_name = "K: V", value_parser = header)]
    pub(super) headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// A variable in the environment of the program, which is empty otherwise, as web servers start programs; RUST_LOG is passed on
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) env: Vec<(String, String)>,
    /// The body, sent as a form unless -H says something else
    #[arg(short, long, value_name = "BODY")]
    pub(super) data: Option<String>,
    /// Print what went over the wire, and when
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// The file that the program is told to read.
    #[arg(skip)]
    pub(super) config: Option<PathBuf>,
}

/// A way into the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Via {
    Fastcgi,
    Lsapi,
    Scgi,
    Uwsgi,
    #[cfg(feature = "http")]
    Http,
    Cgi,
}

/// Methods are written in capitals, and people type them as they come.
fn method(text: &str) -> Result<http::Method, String> {
    text.to_ascii_uppercase().parse().map_err(|_| format!("`{text}` is no method"))
}

fn mount(text: &str) -> Result<String, String> {
    let mount = text.trim_end_matches('/');
    if mount.is_empty() || mount.starts_with('/') { Ok(mount.to_owned()) } else { Err(format!("`{text}` is no place; it starts with a slash")) }
}

/// A path, and not one of the addresses that other programs take there.
fn socket(text: &str) -> Result<PathBuf, String> {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    if !text.contains('/') && port.is_some_and(|port| port.parse::<u16>().is_ok()) || text.contains("://") {
        return Err("this is an address, and lodger opens no port: give the path of a Unix socket to make".to_owned());
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return Err(format!("give the path alone: {path}"));
    }
    Ok(PathBuf::from(text))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("a variable is written as NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| "permissions are three octal digits, such as 0660".to_owned())
}

fn header(text: &str) -> Result<(http::HeaderName, http::HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written as 'Name: value'")?;
    let name = name.trim().parse().map_err(|_| format!("`{name}` is no header name"))?;
    let value = value.trim().parse().map_err(|_| format!("`{value}` is no header value"))?;
    Ok((name, value))
}

/// Reads the arguments of the program called `name`.
pub(super) fn parse(name: &str, args: &[OsString]) -> Result<Asked, Message> {
    if args.is_empty() {
        return Ok(Asked::Nothing);
    }
    let built_with = concat!("built with lodger ", env!("CARGO_PKG_VERSION"));
    let version = if name == "lodger" { env!("CARGO_PKG_VERSION") } else { built_with };
    let command = CommandLine::command().version(version).name(name.to_owned()).bin_name(name.to_owned()).after_help(EXAMPLES.replace("PROG", name));
    let words = std::iter::once(OsString::from(name)).chain(args.iter().cloned());
    let matches = command.try_get_matches_from(words).map_err(Message)?;
    let parsed = CommandLine::from_arg_matches(&matches).map_err(Message)?;
    #[cfg(feature = "site")]
    let config = parsed.config;
    #[cfg(not(feature = "site"))]
    let config = None;
    Ok(match parsed.verb {
        Some(Verb::Request(args)) => Asked::Request(RequestArgs { config, ..args }),
        Some(Verb::Init(args)) => Asked::Init(args),
        Some(Verb::Explain { code }) => Asked::Explain(code),
        #[cfg(feature = "site")]
        Some(Verb::Check) => Asked::Check { config },
        #[cfg(feature = "site")]
        Some(Verb::Config { what }) => Asked::Config { what, config },
        Some(Verb::Serve(args)) => Asked::Serve { socket: args.socket, mode: args.socket_mode, config },
        None => Asked::Serve { socket: parsed.serve.socket, mode: parsed.serve.socket_mode, config },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn an_address_is_no_path_of_a_socket() {
        for address in ["127.0.0.1:8000", ":8080", "[::1]:80", "localhost:80", "tcp://localhost:80", "unix:/run/app.sock"] {
            assert!(socket(address).is_err(), "{address}");
        }
        for path in ["run/app.sock", "app.sock", "/run/a:80/app.sock", "a:b"] {
            assert!(socket(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_socket_may_be_given_with_or_without_the_verb() {
        for args in [&["serve", "--socket", "/x", "--socket-mode", "0600"][..], &["--socket=/x", "--socket-mode=600"]] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert!(matches!(parse("app", &args).unwrap(), Asked::Serve { socket: Some(path), mode: 0o600, .. } if path.as_os_str() == "/x"));
        }
    }
}
