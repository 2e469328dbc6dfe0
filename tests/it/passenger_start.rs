//! A start by Phusion Passenger, played without it: the work directory, the handshake, and the end of stdin as the order to leave.

use crate::peer::{PATIENCE, eventually, testapp};
use std::fs;
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The side of Passenger: everything that it prepares before it starts a program.
struct Passenger {
    folder: TempDir,
    /// More variables of the program's environment.
    env: Vec<(&'static str, &'static str)>,
}

impl Passenger {
    /// The work directory with the arguments of a usual start. The program lies in it too.
    fn prepare() -> Self {
        Self::prepare_for("testapp")
    }

    /// The same for another program among the examples.
    fn prepare_for(program: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["work/args", "work/response/error", "work/response/steps/subprocess_listen", "program"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::hard_link(testapp().with_file_name(program), folder.path().join("program/testapp")).unwrap();
        let passenger = Self { folder, env: Vec::new() };
        let finish = passenger.work("response/finish");
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&finish).status().unwrap().success());
        for (name, text) in [("generic_app", "false"), ("spawn_method", "direct"), ("app_type", "")] {
            passenger.argument(name, text);
        }
        passenger
    }

    fn work(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    fn argument(&self, name: &str, text: &str) {
        fs::write(self.work("args").join(name), text).unwrap();
    }

    /// Starts the program and reads what it answers.
    fn start(self) -> Started {
        let sockets = tempfile::tempdir().unwrap();
        // As Passenger makes it: everybody may make a socket there and nobody may list them.
        fs::set_permissions(sockets.path(), fs::Permissions::from_mode(0o1733)).unwrap();
        if !self.work("args/socket_dir").exists() {
            self.argument("socket_dir", sockets.path().to_str().unwrap());
        }
        let (stdin, lifeline) = io::pipe().unwrap();
        let mut command = Command::new(self.folder.path().join("program/testapp"));
        command.env_clear().env("PASSENGER_SPAWN_WORK_DIR", self.work("")).env("IN_PASSENGER", "1").envs(self.env.iter().copied());
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        // In node's place it is given the path of a loader.
        command.arg("/usr/share/passenger/helper-scripts/node-loader.js").stdin(stdin).stdout(log.try_clone().unwrap()).stderr(log);
        let verdict = self.verdict();
        let mut process = command.spawn().unwrap();
        let verdict = loop {
            if let Ok(verdict) = verdict.recv_timeout(Duration::from_millis(10)) {
                break Some(verdict);
            }
            if process.try_wait().unwrap().is_some() {
                // It may have answered in its last moment.
                break verdict.recv_timeout(Duration::from_millis(200)).ok();
            }
        };
        Started { process, verdict, lifeline: Some(lifeline), passenger: self, _sockets: sockets }
    }

    /// What the program will write into the FIFO.
    fn verdict(&self) -> mpsc::Receiver<Vec<u8>> {
        let (sender, receiver) = mpsc::channel();
        let fifo = self.work("response/finish");
        // Where nobody writes, the thread waits until the tests end.
        thread::spawn(move || sender.send(fs::read(fifo).unwrap_or_default()));
        receiver
    }
}

/// A program that was started. It is ended when this is dropped.
struct Started {
    process: Child,
    verdict: Option<Vec<u8>>,
    /// The other end of its stdin.
    lifeline: Option<PipeWriter>,
    passenger: Passenger,
    _sockets: TempDir,
}

impl Started {
    fn socket(&self) -> PathBuf {
        let told: serde_json::Value = serde_json::from_slice(&fs::read(self.passenger.work("response/properties.json")).unwrap()).unwrap();
        let address = told["sockets"][0]["address"].as_str().unwrap();
        Path::new(address.strip_prefix("unix:").unwrap()).to_owned()
    }

    fn error(&self, name: &str) -> String {
        fs::read_to_string(self.passenger.work("response/error").join(name)).unwrap_or_default()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.passenger.folder.path().join("log")).unwrap()
    }

    fn exit(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the process is still there");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Begins a request as Passenger's core sends it: on a connection of its own.
    fn ask(&self, head: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("{head}\r\nConnection: close\r\nhost: site.example\r\n!~Passenger-Client-Address: 192.0.2.7\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        answer(self.ask(&format!("GET {path} HTTP/1.1")))
    }

    /// Has the start failed the way Passenger expects, with this code and a cure?
    #[track_caller]
    fn failed_with(mut self, code: &str, verdict: Option<&[u8]>) -> Self {
        assert_eq!(self.exit().code(), Some(1), "{}", self.log());
        assert_eq!(self.verdict.as_deref(), verdict, "{}", self.log());
        assert!(self.error("summary").starts_with(&format!("{code}: ")), "{}", self.error("summary"));
        assert!(!self.error("solution_description.txt").is_empty() && !self.error("problem_description.txt").is_empty());
        assert_eq!(self.error("category"), "INTERNAL_ERROR");
        assert!(self.log().contains(code), "{}", self.log());
        assert!(!self.passenger.work("response/properties.json").exists());
        self
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Both fail only if the process is gone, which is what they are for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answer(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_start_is_answered_with_a_socket_that_is_for_passenger_alone() {
    let started = Passenger::prepare().start();
    assert_eq!(started.verdict.as_deref(), Some(&b"1"[..]), "{}", started.log());
    let socket = started.socket();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let answer = started.get("/hello");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello, world\n"), "{answer}");
}

#[test]
fn the_end_of_stdin_is_the_order_to_leave_and_requests_in_work_are_finished_first() {
    let mut started = Passenger::prepare().start();
    let under_way = started.ask("GET /slow?ms=600 HTTP/1.1");
    thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    drop(started.lifeline.take());
    let socket = started.socket();
    eventually("the door is still open", || UnixStream::connect(&socket).is_err());
    let answer = answer(under_way);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done\n"), "{answer}");
    assert_eq!(started.exit().code(), Some(0), "{}", started.log());
    assert!(start.elapsed() < Duration::from_secs(5), "left after {:?}", start.elapsed());
    assert!(!socket.exists(), "the socket is taken away");
}

#[test]
fn idle_it_leaves_at_once_by_stdin_and_by_signal() {
    for by_signal in [false, true] {
        let mut started = Passenger::prepare().start();
        let start = Instant::now();
        if by_signal {
            assert!(Command::new("kill").arg(started.process.id().to_string()).status().unwrap().success());
        } else {
            drop(started.lifeline.take());
        }
        assert_eq!(started.exit().code(), Some(0), "{}", started.log());
        assert!(start.elapsed() < Duration::from_secs(2), "left after {:?}", start.elapsed());
    }
}

#[test]
fn an_app_in_a_runtime_of_its_own_is_served_too() {
    let mut started = Passenger::prepare_for("own_runtime").start();
    assert_eq!(started.verdict.as_deref(), Some(&b"1"[..]), "{}", started.log());
    assert!(started.get("/").ends_with("Hello by stdin"));
    drop(started.lifeline.take());
    assert_eq!(started.exit().code(), Some(0), "{}", started.log());
}

#[test]
fn stdin_is_out_of_reach_of_the_app_and_its_children() {
    let started = Passenger::prepare().start();
    let pid = started.process.id();
    let stdin = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert_eq!(stdin, Path::new("/dev/null"));
    let lifeline = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().find(|entry| {
        // The log is a file here, and sockets and epoll are no pipes; tokio's own pipe for signals is a socket pair.
        fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("pipe:"))
    });
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", lifeline.unwrap().file_name().display())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    assert_ne!(u32::from_str_radix(flags, 8).unwrap() & 0o2_000_000, 0, "closed on exec: {flags}");
}

#[test]
fn an_app_that_cannot_start_is_told_to_passenger_instead_of_every_visitor() {
    let passenger = Passenger::prepare();
    fs::write(passenger.folder.path().join("program/start-error"), "no such\ndatabase").unwrap();
    let started = passenger.start().failed_with("LG0102", Some(b"0"));
    assert!(started.error("summary").ends_with("no such database"), "{}", started.error("summary"));
    assert!(started.error("problem_description.txt").ends_with("no such\ndatabase"));
}

#[test]
fn a_start_that_wants_a_port_is_refused_with_the_two_keys_that_help() {
    for (name, text) in [("generic_app", "true"), ("expected_start_port", "5012")] {
        let passenger = Passenger::prepare();
        passenger.argument(name, text);
        let start = Instant::now();
        // Nobody is told by the FIFO: Passenger does not look at it in this mode.
        let started = passenger.start().failed_with("LG0113", None);
        assert!(start.elapsed() < PATIENCE);
        for key in ["Passengerfile.json", "\"app_start_command\"", "\"app_supports_kuria_protocol\": true"] {
            assert!(started.error("solution_description.txt").contains(key), "{}", started.error("solution_description.txt"));
        }
    }
}

#[test]
fn a_port_in_the_environment_counts_only_where_passenger_does_not_say_what_it_wants() {
    let with_port = || Passenger { env: vec![("PORT", "5000")], ..Passenger::prepare() };
    assert_eq!(with_port().start().verdict.as_deref(), Some(&b"1"[..]), "`args/generic_app` says false");
    let passenger = with_port();
    fs::remove_file(passenger.work("args/generic_app")).unwrap();
    passenger.start().failed_with("LG0113", None);
}

#[test]
fn the_place_of_a_forking_ruby_is_refused() {
    let passenger = Passenger::prepare();
    passenger.argument("spawn_method", "smart");
    passenger.argument("app_type", "ruby");
    passenger.start().failed_with("LG0114", Some(b"0"));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let long = format!("/{}", "x".repeat(200));
    for (name, text) in [("socket_dir", "relative"), ("socket_dir", "/nonexistent/folder"), ("socket_dir", &long)] {
        let passenger = Passenger::prepare();
        passenger.argument(name, text);
        let started = passenger.start().failed_with("LG0115", Some(b"0"));
        assert!(started.error("summary").contains(name), "{}", started.error("summary"));
    }
}

#[test]
fn a_folder_that_takes_no_socket_is_told() {
    let passenger = Passenger::prepare();
    // Root may write into any folder, but not into this one.
    passenger.argument("socket_dir", "/proc/self");
    passenger.start().failed_with("LG0115", Some(b"0"));
}

#[test]
fn a_work_directory_that_is_gone_ends_the_program_with_a_word_in_the_log() {
    let output =
        Command::new(testapp()).env_clear().env("PASSENGER_SPAWN_WORK_DIR", "/nonexistent/passenger.spawn").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[LG0115]"));
}

#[test]
fn a_passenger_that_does_not_listen_any_more_is_not_waited_for() {
    let passenger = Passenger::prepare();
    let (stdin, _lifeline) = io::pipe().unwrap();
    let mut command = Command::new(passenger.folder.path().join("program/testapp"));
    passenger.argument("socket_dir", passenger.folder.path().join("program").to_str().unwrap());
    let output = command.env_clear().env("PASSENGER_SPAWN_WORK_DIR", passenger.work("")).stdin(stdin).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[LG0115]"));
}

#[test]
fn told_to_leave_while_the_app_is_built_it_leaves_without_an_answer() {
    let passenger = Passenger::prepare();
    fs::write(passenger.folder.path().join("program/start-delay"), "60000").unwrap();
    let (stdin, lifeline) = io::pipe().unwrap();
    let mut command = Command::new(passenger.folder.path().join("program/testapp"));
    passenger.argument("socket_dir", "/tmp");
    let mut process = command.env_clear().env("PASSENGER_SPAWN_WORK_DIR", passenger.work("")).stdin(stdin).spawn().unwrap();
    drop(command);
    thread::sleep(Duration::from_millis(300));
    assert!(process.try_wait().unwrap().is_none(), "it waits for the app");
    drop(lifeline);
    let start = Instant::now();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2), "left after {:?}", start.elapsed());
    assert!(!passenger.work("response/properties.json").exists());
}
