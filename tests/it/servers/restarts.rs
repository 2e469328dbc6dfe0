//! Processes that are told to stop again and again while visitors come: nobody notices.

use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::client::fetch;
use super::door::Door;
use super::process::{Running, executable, handles_sigterm, running_below, signal, wait_for};
use super::server::{Server, Setup};

const VISITORS: usize = 4;
const REQUESTS_EACH: usize = 250;

/// One visitor's requests, one in four of them slow enough to be met by a signal. Gives what went wrong.
fn visit(port: u16) -> Vec<String> {
    let mut failed = Vec::new();
    for index in 0..REQUESTS_EACH {
        let (path, text) = if index % 4 == 0 { ("/slow?ms=40", "done\n") } else { ("/hello", "hello, world\n") };
        match fetch(port, path) {
            Ok((200, body)) if body == text.as_bytes() => {}
            Ok((status, body)) => {
                failed.push(format!("{path}: {status} {}", String::from_utf8_lossy(&body)));
            }
            Err(error) => failed.push(format!("{path}: {error}")),
        }
    }
    failed
}

/// Lets all visitors come while `meanwhile` runs; it is told when they have gone.
fn while_visitors_come<T: Send>(port: u16, meanwhile: impl FnOnce(&AtomicBool) -> T + Send) -> (Vec<String>, T) {
    let gone = AtomicBool::new(false);
    thread::scope(|scope| {
        let meanwhile = scope.spawn(|| meanwhile(&gone));
        let visitors: Vec<_> = (0..VISITORS).map(|_| scope.spawn(|| visit(port))).collect();
        let failed = visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect();
        gone.store(true, Relaxed);
        (failed, meanwhile.join().unwrap())
    })
}

/// Tells one process of the server to stop, and waits until it has left. Gives how long that took.
fn stop_one(server: &Server) -> Option<Duration> {
    let pids = running_below(server.site.root());
    let pid = pids.into_iter().find(|pid| handles_sigterm(*pid))?;
    let start = Instant::now();
    signal(pid, "TERM");
    // Apache says it twice; the second time must not cut short what the first one began.
    signal(pid, "TERM");
    wait_for("a process to leave", || executable(pid).is_none().then_some(()));
    Some(start.elapsed())
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_thousand_requests_through_mod_fcgid() {
    let server = Setup::new(Door::Fcgid)
        // Every end and every start counts against the program, and after a few Apache would start no more for a while.
        .lines("FcgidSpawnScoreUpLimit 1000000")
        .start();
    let (failed, stops) = while_visitors_come(server.port, |gone| {
        let mut stops = Vec::new();
        while !gone.load(Relaxed) {
            stops.extend(stop_one(&server));
            thread::sleep(Duration::from_millis(200));
        }
        stops
    });
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    assert!(stops.len() >= 10, "only {} processes were stopped", stops.len());
    for stop in &stops {
        // Apache kills after eight.
        assert!(*stop < Duration::from_secs(8), "left after {stop:?}");
    }
    // Apache looks only now and then for processes that have left.
    let site = wait_for_exits(server, stops.len());
    let exits: Vec<_> = site.lines().filter(|line| is_exit(line)).collect();
    for line in &exits {
        assert!(line.contains("terminated by calling exit(), return code: 0"), "{line}");
    }
    println!("{} processes were stopped, {} exits were logged", stops.len(), exits.len());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_request_under_way_survives_a_reload_of_apache() {
    // What every host does once a day, when it rotates its logs.
    let server = Server::start(Door::Fcgid);
    let before = server.get("/pid").text();
    thread::scope(|scope| {
        let under_way = scope.spawn(|| server.get("/slow?ms=3000"));
        thread::sleep(Duration::from_millis(500));
        signal(server.web_pid(), "USR1");
        under_way.join().unwrap().expect(200, "done\n");
    });
    let after = server.get("/pid").text();
    assert_ne!(before.split(' ').next(), after.split(' ').next(), "a reload starts new processes");
}

fn is_exit(line: &str) -> bool {
    line.contains("mod_fcgid: process ") && line.contains(" exit(")
}

/// The log of the server, once it has written down how at least `n` processes ended.
fn wait_for_exits(server: Server, n: usize) -> String {
    wait_for("Apache to notice all exits", || {
        let log = server.site.log_text();
        (log.lines().filter(|line| is_exit(line)).count() >= n).then_some(())
    });
    server.stop().log_text()
}

/// What systemd does for a service with a socket, again and again: the socket stays, the program comes and goes.
struct Supervisor<'a> {
    listener: UnixListener,
    program: &'a Path,
    output: &'a Path,
}

impl Supervisor<'_> {
    fn start(&self) -> Running {
        // It takes sockets from its parent by the same protocol by which it hands them on, from descriptor 3.
        let script = "exec 3<&0 0</dev/null; \
            exec env LISTEN_PID=$$ LISTEN_FDS=1 systemd-socket-activate --inetd \"$0\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(self.program);
        let socket = OwnedFd::from(self.listener.try_clone().unwrap());
        Running::start_on(socket, &shell, self.output)
    }

    /// Runs the program until it has been told to stop once. Gives how it ended and how long that took; nothing if no
    /// visitor came to start it.
    fn run_once(&self, gone: &AtomicBool) -> Option<(Option<i32>, Duration)> {
        let mut program = self.start();
        let pid = program.pid();
        // systemd-socket-activate waits for the first visitor, and only then becomes the program.
        let started = wait_for("the program to be started by a visitor", || {
            let started = executable(pid).as_deref() == Some(self.program) && handles_sigterm(pid);
            (started || gone.load(Relaxed)).then_some(started)
        });
        if !started {
            return None;
        }
        // Time for some visitors to be met by the signal.
        thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        signal(pid, "TERM");
        let status = wait_for("the program to leave", || program.ended());
        Some((status.code(), start.elapsed()))
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_thousand_requests_through_a_socket_of_systemd() {
    let server = Setup::new(Door::Nginx).without_program().start();
    let program = server.site.install("app/testapp");
    let listener = UnixListener::bind(server.site.socket()).unwrap();
    fs::set_permissions(server.site.socket(), Permissions::from_mode(0o666)).unwrap();
    let supervisor = Supervisor { listener, program: &program, output: &server.site.logs().join("output.log") };
    let port = server.port;
    let (failed, ends) = while_visitors_come(port, |gone| {
        let mut ends = Vec::new();
        while !gone.load(Relaxed) {
            ends.extend(supervisor.run_once(gone));
        }
        ends
    });
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    assert!(ends.len() >= 10, "only {} processes were stopped", ends.len());
    for (code, took) in &ends {
        assert_eq!(*code, Some(0));
        assert!(*took < Duration::from_secs(20), "left after {took:?}");
    }
    println!("{} processes were stopped", ends.len());
}
