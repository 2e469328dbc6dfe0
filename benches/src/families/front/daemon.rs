//! A web server in a folder of its own, stopped by its own process id.

use crate::{context::Context, load::HELLO, process, report::Result};
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a web server may take to listen, and to leave: Apache gives its children eight seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running web server. It is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a web server on the core of servers and waits until it listens at `port`. What it prints, and its error log, are in `log`.
    pub(super) fn start(context: &Context, command: &Command, log: &Path, port: u16) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        // So it is told to stop even when this process is killed.
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
        guarded.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = context.on_core_of_servers(|| Ok(guarded.spawn().map_err(|error| format!("setpriv: {error}"))?))?;
        let mut daemon = Self { child, log: log.into() };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if start.elapsed() > PATIENCE || daemon.child.try_wait()?.is_some() {
                return Err(format!("{} does not listen: {}", command.get_program().display(), daemon.log()).into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(daemon)
    }

    /// The CPU time of all its processes so far, and of those that they started, in nanoseconds.
    pub(super) fn cpu(&self) -> Result<u64> {
        process::family(self.child.id()).into_iter().map(process::cpu).sum()
    }

    /// What it printed or wrote to its error log.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let start = Instant::now();
        if Command::new("kill").arg(self.child.id().to_string()).status().is_ok() {
            while start.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
                sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of loopback that nobody listens at.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Asks a port once. Whoever answers something else than the hello is not to be measured.
pub(super) fn expect_hello(port: u16) -> Result<()> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET /hello HTTP/1.0\r\nHost: www.example.org\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let right = answer.strip_suffix(HELLO).is_some_and(|head| head.ends_with(b"\r\n\r\n")) && answer.get(8..13) == Some(b" 200 ");
    if right { Ok(()) } else { Err(format!("a wrong answer: {}", String::from_utf8_lossy(&answer)).into()) }
}

/// Every process that runs the program at `path`.
pub(super) fn running(path: &Path) -> Result<Vec<u32>> {
    let pids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == path)).collect())
}

/// Makes a folder that the web server's children may enter, whoever they run as.
pub(super) fn folder(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// The user as whom Debian's web servers run their children, when root starts them.
pub(super) fn user_of_children() -> Result<Option<&'static str>> {
    use std::os::unix::fs::MetadataExt as _;
    Ok((fs::metadata("/proc/self")?.uid() == 0).then_some("www-data"))
}
