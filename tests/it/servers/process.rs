//! Processes that a test starts: each is stopped by its own pid when the test lets go of it, and watched through `/proc`.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to leave after SIGTERM. Apache gives its children eight seconds.
const LEAVES_WITHIN: Duration = Duration::from_secs(20);

/// One process that lives no longer than the test that started it.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Starts `command` with its output in the file `output`.
    ///
    /// It goes through `setpriv`, so that the process is told to stop even when the test itself is killed.
    pub(crate) fn start(command: &Command, output: &Path) -> Self {
        Self::start_on(Stdio::null(), command, output)
    }

    /// The same with something on descriptor 0.
    pub(crate) fn start_on(stdin: impl Into<Stdio>, command: &Command, output: &Path) -> Self {
        let output = File::options().create(true).append(true).open(output).unwrap();
        let mut guarded = Command::new("setpriv");
        guarded
            .args(["--pdeathsig", "TERM", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            // Apache with the prefork MPM tells its whole process group to stop, and the tests are not to be in it.
            .process_group(0)
            .stdin(stdin)
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let child = guarded.spawn().unwrap_or_else(|error| panic!("setpriv (package util-linux): {error}"));
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Tells the process to stop, waits for its end, and does not take no for an answer.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.ended() {
            return status;
        }
        signal(self.pid(), "TERM");
        let deadline = Instant::now() + LEAVES_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends a signal to one process. That the process is gone already is no failure.
pub(crate) fn signal(pid: u32, name: &str) {
    let script = format!("kill -{name} {pid} 2>/dev/null");
    Command::new("sh").args(["-c", &script]).status().unwrap();
}

/// The path of a web server that has to be there.
pub(crate) fn installed(program: &str) -> &Path {
    let path = Path::new(program);
    assert!(path.exists(), "{program} is missing: scripts/setup installs it");
    path
}

/// Whether we may do what only root may.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The user and the group of that name, out of `/etc/passwd`.
pub(crate) fn ids_of(user: &str) -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Every process that runs a program of this folder, or of a folder in it.
pub(crate) fn running_below(folder: &Path) -> Vec<u32> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if executable(pid).is_some_and(|path| path.starts_with(folder)) {
            pids.push(pid);
        }
    }
    pids
}

/// The program that a process runs; nothing once it has ended.
pub(crate) fn executable(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// As whom a process runs; nothing once it has ended.
pub(crate) fn owner(pid: u32) -> Option<u32> {
    Some(fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

/// Whether a process has come so far that SIGTERM is a message to it. A program that is still being loaded dies of it,
/// and nothing that the program does can change that.
pub(crate) fn handles_sigterm(pid: u32) -> bool {
    const SIGTERM: u32 = 15;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (SIGTERM - 1) & 1 == 1)
}

/// The most memory that a process has held at one time, in KiB; nothing once it has ended.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Looks again and again until `look` sees something, and fails when it never does.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited 30 s in vain for: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
