//! The programs that answer the hello: how each is built, started and asked.

use crate::{
    context::Context,
    load::Protocol,
    process::Server,
    programs,
    report::{Result, Versions},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A way to use connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    New,
    Kept,
    /// Several on one connection, each of which is followed by the next as soon as it is answered.
    Multiplexed,
    /// Several with one write, and the next when all are answered.
    Together,
}

/// All ways, in the order of the report.
pub(crate) const WAYS: [Way; 4] = [Way::New, Way::Kept, Way::Multiplexed, Way::Together];

/// A program that answers the hello, running.
#[derive(Debug)]
pub(crate) struct Peer {
    /// What it is called in the report.
    pub(crate) name: &'static str,
    /// What the web server speaks to it.
    pub(crate) protocol: Protocol,
    /// How it may be asked.
    pub(crate) ways: &'static [Way],
    /// The file of the program, as the web server tells it.
    pub(crate) script: String,
    /// Where new connections go, and all others as well unless there is `many`.
    pub(crate) one: Server,
    /// For programs that serve one connection at a time: as many processes as there are kept connections.
    pub(crate) many: Option<Server>,
}

impl Peer {
    fn new(name: &'static str, protocol: Protocol, ways: &'static [Way], one: Server) -> Self {
        Self { name, protocol, ways, script: "/srv/www/site/hello.fcgi".into(), one, many: None }
    }

    /// Whether it is lodger, by any of its protocols.
    pub(crate) fn is_lodger(&self) -> bool {
        self.name.starts_with("lodger")
    }
}

/// Builds a program if need be, starts it, and tells its version. lodger is several, one for each protocol.
type Start = fn(&Context) -> Result<(Vec<Peer>, String)>;

/// The name of what does no more than it has to.
pub(crate) const LIMIT: &str = "the limit (C, epoll)";

/// How the programs are built.
pub(crate) const AS_UPLOADED: &str = "Programs in Rust are built as they are uploaded to a web space: linked statically, at a fixed address and stripped, as the README shows. \
                                      Go always links so; those in C use Debian's libraries.";

/// Options for PHP: with opcache, and without Debian's other extensions.
pub(crate) const PHP_OPTIONS: [&str; 5] = ["--no-php-ini", "-d", "zend_extension=opcache", "-d", "opcache.enable=1"];

/// The word that asks for a peer, what its version is one of, and how it is started.
const ALL: [(&str, &str, Start); 7] = [
    ("limit", "gcc, for the limit", limit),
    ("lodger", "lodger", lodger),
    ("libfcgi", "libfcgi", libfcgi),
    ("tokio-fastcgi", "tokio-fastcgi", tokio_fastcgi),
    ("go", "Go", go),
    ("php", "PHP-FPM", php),
    ("axum", "axum", axum),
];

/// Builds and starts the peers that are wanted, the limit first, and tells their versions.
pub(crate) fn start(context: &Context) -> Result<(Vec<Peer>, Versions)> {
    let (mut peers, mut versions) = (Vec::new(), Versions::new());
    for (key, program, start) in ALL {
        if key == "limit" || context.wants(key) {
            let (started, version) = start(context).map_err(|error| format!("{key}: {error}"))?;
            peers.extend(started);
            versions.push((program.to_owned(), version));
        }
    }
    Ok((peers, versions))
}

/// One peer without a second process of the same program beside it, for what two would share; and a version.
pub(crate) fn alone(context: &Context, key: &str) -> Result<(Peer, (String, String))> {
    let (_, program, start) = ALL.iter().find(|(name, _, _)| *name == key).ok_or_else(|| format!("what is {key}?"))?;
    let (started, version) = start(context).map_err(|error| format!("{key}: {error}"))?;
    let mut peer = started.into_iter().next().ok_or("no process")?;
    peer.many = None;
    Ok((peer, ((*program).to_owned(), version)))
}

fn limit(context: &Context) -> Result<(Vec<Peer>, String)> {
    let server = Server::start(context, &mut Command::new(programs::c(context, "limit.c", &[])?))?;
    Ok((vec![Peer::new(LIMIT, Protocol::FastCgi, &WAYS, server)], said(Command::new("cc").arg("-dumpfullversion"))?))
}

/// lodger over FastCGI, and over the other protocols when everything is measured.
fn lodger(context: &Context) -> Result<(Vec<Peer>, String)> {
    let program = programs::uploaded(context, "hello")?;
    let speak = |name, protocol, ways| -> Result<Peer> {
        let server = Server::start(context, &mut Command::new(&program))?;
        Ok(Peer::new(name, protocol, ways, server))
    };
    let mut peers = vec![speak("lodger", Protocol::FastCgi, &WAYS)?];
    if context.wants("protocols") {
        peers.push(speak("lodger, LSAPI", Protocol::Lsapi, &[Way::New, Way::Kept])?);
        peers.push(speak("lodger, SCGI", Protocol::Scgi, &[Way::New])?);
        peers.push(speak("lodger, uwsgi", Protocol::Uwsgi, &[Way::New])?);
        peers.push(speak("lodger, HTTP", Protocol::Http, &[Way::New, Way::Kept])?);
    }
    Ok((peers, locked("lodger")?))
}

fn libfcgi(context: &Context) -> Result<(Vec<Peer>, String)> {
    let program = programs::c(context, "libfcgi.c", &["-lfcgi"])?;
    let mut peer = Peer::new("C, libfcgi", Protocol::FastCgi, &[Way::New, Way::Kept], Server::start(context, &mut Command::new(&program))?);
    peer.many = Some(Server::start(context, Command::new(&program).arg(context.in_flight.to_string()))?);
    Ok((vec![peer], said(Command::new("dpkg-query").args(["--show", "--showformat=${Version}", "libfcgi-dev"]))?))
}

fn tokio_fastcgi(context: &Context) -> Result<(Vec<Peer>, String)> {
    let server = Server::start(context, &mut Command::new(programs::uploaded(context, "tokio_fastcgi")?))?;
    Ok((vec![Peer::new("tokio-fastcgi", Protocol::FastCgi, &WAYS, server)], locked("tokio-fastcgi")?))
}

/// One thread runs Go code: on the one core of a server Go chooses so itself, and with more it uses more CPU time.
fn go(context: &Context) -> Result<(Vec<Peer>, String)> {
    let server = Server::start(context, Command::new(programs::go(context, "fcgi")?).env("GOMAXPROCS", "1"))?;
    let version = said(Command::new("go").arg("version"))?;
    Ok((vec![Peer::new("Go net/http/fcgi", Protocol::FastCgi, &WAYS, server)], word(&version, 2)))
}

fn php(context: &Context) -> Result<(Vec<Peer>, String)> {
    let fpm = php_fpm()?;
    let mut peer = Peer::new("PHP-FPM, opcache", Protocol::FastCgi, &[Way::New, Way::Kept], php_pool(context, &fpm, 1)?);
    peer.many = Some(php_pool(context, &fpm, context.in_flight)?);
    peer.script = Context::source("php/hello.php").to_string_lossy().into_owned();
    let version = said(Command::new(fpm).arg("--version"))?;
    Ok((vec![peer], word(&version, 1)))
}

/// Debian's program bears the version in its name.
fn php_fpm() -> Result<PathBuf> {
    let programs = fs::read_dir("/usr/sbin")?.flatten().map(|entry| entry.path());
    let mut found: Vec<_> = programs.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"php-fpm"))).collect();
    found.sort();
    Ok(found.pop().ok_or("there is no /usr/sbin/php-fpm…")?)
}

/// A pool of a fixed number of processes, with opcache and without Debian's other extensions.
fn php_pool(context: &Context, fpm: &Path, processes: usize) -> Result<Server> {
    let socket = context.socket();
    let user = said(Command::new("id").arg("--user").arg("--name"))?;
    let lines = format!(
        "[global]\nerror_log = /proc/self/fd/2\ndaemonize = no\n[hello]\nuser = {user}\nlisten = {}\npm = static\npm.max_children = {processes}\n",
        socket.display()
    );
    let config = socket.with_extension("conf");
    fs::write(&config, lines)?;
    let mut command = Command::new(fpm);
    command.args(PHP_OPTIONS).args(["--allow-to-run-as-root", "--fpm-config"]).arg(config);
    Server::listening_at(context, &mut command, socket)
}

fn axum(context: &Context) -> Result<(Vec<Peer>, String)> {
    let server = Server::start(context, &mut Command::new(programs::uploaded(context, "axum_http")?))?;
    let version = format!("{}, hyper {}, tokio {}", locked("axum")?, locked("hyper")?, locked("tokio")?);
    Ok((vec![Peer::new("axum over HTTP", Protocol::Http, &[Way::New, Way::Kept], server)], version))
}

/// What a command prints, without the space around it.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A word of what a program says of its version, counted from 0.
fn word(text: &str, at: usize) -> String {
    text.split_whitespace().nth(at).unwrap_or(text).to_owned()
}

/// The version of a crate in `Cargo.lock`.
pub(crate) fn locked(name: &str) -> Result<String> {
    let lock = fs::read_to_string(Context::root().join("Cargo.lock"))?;
    let entry = format!("name = \"{name}\"\nversion = \"");
    let version = lock.split_once(&entry).and_then(|(_, rest)| rest.split('"').next());
    Ok(version.ok_or_else(|| format!("{name} is not in Cargo.lock"))?.to_owned())
}
