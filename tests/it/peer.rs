//! The web server's side, for tests: starts the real test application behind a listening Unix socket and speaks FastCGI
//! to it. Nothing here uses the crate's own codec, so a mistake in that cannot hide behind the same mistake here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub(crate) mod ask;
pub(crate) mod bare;
pub(crate) mod conn;
pub(crate) mod wire;

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::RangeBounds;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ask::Ask;
use conn::{Conn, Reply};
use tempfile::TempDir;

/// How long a test waits for something that should come at once. Generous, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How much the peak memory of the process may grow over something that it should not keep.
const ROOM_KIB: u64 = 8 * 1024;

/// The test application, which cargo builds into a folder beside the one of the tests.
pub(crate) fn testapp() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.ancestors().nth(2).unwrap().join("examples/testapp");
    assert!(built.exists(), "{} is missing: run `cargo build --examples` first", built.display());
    built
}

/// A folder with the test application in it as a hosting customer would lay it out, and nothing else.
fn site() -> TempDir {
    // In cargo's own folder for such things, because a link costs nothing and does not cross file systems.
    let site = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir(site.path().join("private")).unwrap();
    fs::create_dir(site.path().join("program")).unwrap();
    fs::hard_link(testapp(), program(&site)).unwrap();
    site
}

fn program(site: &TempDir) -> PathBuf {
    site.path().join("program/testapp")
}

fn log(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

/// One process of the test application. It is ended when this is dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program the way a web server does: a listener as fd 0, the log as fd 1 and 2, an empty environment.
    pub(crate) fn start(mut command: Command, listener: UnixListener, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        command.env_clear().stdin(Stdio::from(OwnedFd::from(listener)));
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, named as the `kill` command names it.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success(), "kill -s {name} failed");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until the process has left.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the process is still there");
            sleep(Duration::from_millis(10));
        }
    }

    /// A field of `/proc/PID/status` in KiB.
    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }

    /// How long the process has kept a core busy.
    pub(crate) fn busy_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The second field is the name in parentheses, which may hold anything; utime and stime are the 14th and 15th.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // Linux tells programs 100 ticks a second, whatever it counts itself.
        Duration::from_millis(ticks * 10)
    }

    /// The memory that the process holds, its program included, in KiB.
    pub(crate) fn resident_memory(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most memory that the process ever held at one time, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the process is gone, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Which web server starts the process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Starter {
    /// Somebody who keeps the listener and may share it among processes, as spawn-fcgi, systemd and lighttpd do.
    Anybody,
    /// mod_fcgid, which gives each process a socket of its own, named after the process manager.
    ModFcgid,
}

/// The test application behind a socket.
pub(crate) struct Peer {
    pub(crate) process: Process,
    socket: PathBuf,
    listener: Option<UnixListener>,
    /// Holds the socket and the log, whose path must be short.
    folder: TempDir,
    /// Holds the program, and a private folder beside it, so that nothing is left behind in the home of whoever runs the tests.
    site: TempDir,
}

impl Peer {
    pub(crate) fn start() -> Self {
        Self::start_in(site(), Starter::Anybody, Command::new)
    }

    pub(crate) fn start_under_mod_fcgid() -> Self {
        Self::start_in(site(), Starter::ModFcgid, Command::new)
    }

    /// Starts the program with a file `generation` beside it.
    pub(crate) fn start_with_generation(generation: &str) -> Self {
        let site = site();
        fs::write(program(&site).with_file_name("generation"), generation).unwrap();
        Self::start_in(site, Starter::Anybody, Command::new)
    }

    /// Starts the program with a `lodger.toml` beside it.
    #[cfg(feature = "site")]
    pub(crate) fn start_with_sites(toml: &str) -> Self {
        let site = site();
        fs::write(program(&site).with_file_name("lodger.toml"), toml).unwrap();
        Self::start_in(site, Starter::Anybody, Command::new)
    }

    /// Starts the program so that it can have only so many files open.
    pub(crate) fn start_with_open_files(limit: u32) -> Self {
        Self::start_in(site(), Starter::Anybody, |program| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\"")]).arg(program);
            command
        })
    }

    /// Starts the program as LiteSpeed starts its Node.js, with the site mounted somewhere.
    #[cfg(feature = "http")]
    pub(crate) fn start_as_lsnode(mount: &str) -> Self {
        Self::start_in(site(), Starter::Anybody, |program| {
            let mut command = Command::new("/usr/bin/env");
            command.arg("LSNODE_ROOT=/home/user/app").arg(format!("LODGER_MOUNT={mount}"));
            command.arg(program).arg("/usr/local/lsws/fcgi-bin/lsnode.js");
            command
        })
    }

    fn start_in(site: TempDir, starter: Starter, command: impl Fn(PathBuf) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = match starter {
            Starter::Anybody => "fcgi.sock".to_owned(),
            Starter::ModFcgid => format!("{}.1", std::process::id()),
        };
        let socket = folder.path().join(name);
        let listener = UnixListener::bind(&socket).unwrap();
        // mod_fcgid closes its copy of the listener, so that connecting fails when the process has left.
        let kept = (starter == Starter::Anybody).then(|| listener.try_clone().unwrap());
        let process = Process::start(command(program(&site)), listener, &log(&folder));
        Self { process, socket, listener: kept, folder, site }
    }

    /// Starts another process on the same listener and hands back the old one.
    pub(crate) fn start_successor(&mut self) -> Process {
        let listener = self.listener.as_ref().expect("this listener is not shared").try_clone().unwrap();
        let next = Process::start(Command::new(program(&self.site)), listener, &log(&self.folder));
        std::mem::replace(&mut self.process, next)
    }

    /// The folder above the one with the program.
    pub(crate) fn site(&self) -> &Path {
        self.site.path()
    }

    pub(crate) fn connect(&self) -> Conn {
        Conn::new(self.connect_raw())
    }

    /// A connection to speak another protocol on.
    pub(crate) fn connect_raw(&self) -> UnixStream {
        UnixStream::connect(&self.socket).unwrap()
    }

    /// Whether a new connection is turned away.
    pub(crate) fn refuses_connections(&self) -> bool {
        match UnixStream::connect(&self.socket) {
            Ok(_) => false,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => true,
            Err(error) => panic!("connect: {error}"),
        }
    }

    /// Asks on a connection of its own.
    pub(crate) fn ask(&self, ask: &Ask) -> Reply {
        let mut conn = self.connect();
        conn.send(&ask.all());
        conn.reply(ask.id)
    }

    pub(crate) fn get(&self, uri: &str) -> Reply {
        self.ask(&Ask::get(uri))
    }

    /// The body of an answer that has to be good.
    #[track_caller]
    pub(crate) fn text(&self, uri: &str) -> String {
        let reply = self.get(uri);
        assert_eq!(reply.status(), 200, "{uri}: {reply:?}");
        reply.text()
    }

    /// What the process wrote to its fd 1 and 2.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(log(&self.folder)).unwrap()).into_owned()
    }

    /// Waits until the counter of requests given up has reached `expected`, and no more.
    #[track_caller]
    pub(crate) fn expect_cancelled(&self, expected: u64) {
        let count = || self.text("/cancelled").trim().parse::<u64>().unwrap();
        eventually("the handlers were not dropped", || count() >= expected);
        assert_eq!(count(), expected);
    }

    /// Waits until the process has begun this many requests, the questions of this function not counted.
    #[track_caller]
    pub(crate) fn expect_begun(&self, expected: u64) {
        let mut asked = 0;
        eventually("the requests did not arrive", || {
            asked += 1;
            let begun = self.text("/pid").split(' ').nth(1).unwrap().parse::<u64>().unwrap();
            begun - asked >= expected
        });
    }

    /// Remembers how the process stands, to be compared after something bad was done to it.
    pub(crate) fn watch(&self) -> Watch<'_> {
        // The first request brings things into memory that stay there.
        self.text("/hello");
        Watch { peer: self, lines: self.log().lines().count(), peak: self.process.peak_memory() }
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(complaint: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{complaint}");
        sleep(Duration::from_millis(10));
    }
}

/// How a process stood before something bad was done to it.
pub(crate) struct Watch<'a> {
    peer: &'a Peer,
    lines: usize,
    peak: u64,
}

impl Watch<'_> {
    /// The next connection works, memory has not grown, and so many lines went to the log, which is never more than
    /// one per mistake.
    #[track_caller]
    pub(crate) fn unharmed(self, lines: impl RangeBounds<usize> + Debug, what: &str) {
        assert_eq!(self.peer.text("/hello"), "hello, world\n", "after {what}");
        // A second line about the same thing would come a moment later.
        sleep(Duration::from_millis(50));
        let log = self.peer.log();
        let new: Vec<_> = log.lines().skip(self.lines).collect();
        assert!(lines.contains(&new.len()), "{what}: {lines:?} lines expected, got {new:#?}");
        // The kernel keeps this number roughly, so that it may even shrink a little.
        let grown = self.peer.process.peak_memory().saturating_sub(self.peak);
        assert!(grown < ROOM_KIB, "{what}: the peak memory has grown by {grown} KiB");
    }
}
