//! Who starts the program decides what it does: systemd with its sockets, LiteSpeed in each of its ways, a task runner with a socket for stdin.

use crate::peer::{PATIENCE, ask::Ask, conn::Conn, eventually, testapp};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::{
            net::{UnixDatagram, UnixListener, UnixStream},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A program that was started, ended when this is dropped.
struct Started {
    child: Child,
    folder: TempDir,
}

impl Started {
    /// Starts `command` with an empty environment and its log in `folder`.
    fn new(mut command: Command, folder: TempDir, vars: &[(&str, &str)]) -> Self {
        let log = fs::File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
        let child = command.env_clear().envs(vars.iter().copied()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, folder }
    }

    /// Starts the test application with a listener as fd 0, as LiteSpeed does for a program that manages itself.
    fn on_listener(vars: &[(&str, &str)], args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("app.sock")).unwrap();
        let mut command = Command::new(testapp());
        command.args(args).stdin(OwnedFd::from(listener));
        Self::new(command, folder, vars)
    }

    /// Starts the test application with one end of a pair of sockets as fd 0, as LiteSpeed does for a program that it manages.
    fn on_connection(vars: &[(&str, &str)], args: &[&str]) -> (Self, Conn) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(testapp());
        command.args(args).stdin(OwnedFd::from(theirs));
        (Self::new(command, tempfile::tempdir().unwrap(), vars), Conn::new(ours))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn connect(&self, socket: &str) -> UnixStream {
        let stream = UnixStream::connect(self.folder.path().join(socket)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn fastcgi(&self, socket: &str) -> Conn {
        Conn::new(self.connect(socket))
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    #[track_caller]
    fn leaves(&mut self) -> ExitStatus {
        eventually("the process is still there", || !self.is_running());
        self.child.wait().unwrap()
    }

    #[track_caller]
    fn leaves_well(&mut self) {
        let status = self.leaves();
        assert_eq!(status.code(), Some(0), "{status}: {}", self.log());
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Both fail only if the process is gone, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of an answer over SCGI, which ends with the connection.
fn scgi(mut stream: impl Read + Write, uri: &str) -> String {
    let head = format!("CONTENT_LENGTH\x000\0SCGI\x001\0REQUEST_METHOD\0GET\0REQUEST_URI\0{uri}\0SERVER_PROTOCOL\0HTTP/1.1\0");
    stream.write_all(format!("{}:{head},", head.len()).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no header block: {answer}")).1.to_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// systemd's own program for trying socket activation out; it waits for the first connection and becomes the program then. A name without a colon is
/// that of a Unix socket.
fn systemd_starts(program: PathBuf, args: &[&str], sockets: &[&str]) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-socket-activate");
    let (inet, unix): (Vec<&str>, Vec<&str>) = sockets.iter().partition(|socket| socket.contains(':'));
    // In this order, so that the others listen when the Unix sockets are there.
    for socket in &inet {
        command.args(["-l", socket]);
    }
    for socket in &unix {
        command.arg("-l").arg(folder.path().join(socket));
    }
    command.args(args).arg(program).stdin(Stdio::null());
    let started = Started::new(command, folder, &[("PATH", "/usr/bin:/bin")]);
    eventually("systemd-socket-activate does not listen", || unix.iter().all(|socket| started.folder.path().join(socket).exists()));
    started
}

fn systemd(args: &[&str], sockets: &[&str]) -> Started {
    systemd_starts(testapp(), args, sockets)
}

#[test]
fn systemd_hands_over_two_sockets_and_each_speaks_what_its_peer_speaks() {
    let mut started = systemd(&["--fdname=web:admin"], &["a.sock", "b.sock"]);
    let mut web = started.fastcgi("a.sock");
    let first = json(&web.ask(&Ask::get("/env").keep()).text());
    let second = json(&scgi(started.connect("b.sock"), "/env"));
    assert_eq!((&first["listener"], &first["gateway"]), (&"web".into(), &"fastcgi".into()));
    assert_eq!((&second["listener"], &second["gateway"]), (&"admin".into(), &"scgi".into()));
    assert_eq!(first["pid"], second["pid"], "one process serves both");
    // The same sockets, the other way round.
    assert_eq!(json(&scgi(started.connect("a.sock"), "/env"))["listener"], "web");
    assert_eq!(json(&started.fastcgi("b.sock").ask(&Ask::get("/env")).text())["listener"], "admin");
    let names = scgi(started.connect("b.sock"), "/environ");
    assert!(names.contains("PATH\n") && !names.contains("LISTEN_"), "children must not see the sockets: {names}");
    started.signal("TERM");
    started.leaves_well();
}

#[test]
fn unix_and_internet_sockets_are_served_side_by_side() {
    // Free a moment ago; nobody else takes it meanwhile.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = systemd(&["--fdname=net:unix"], &[&address.to_string(), "a.sock"]);
    for _ in 0..2 {
        assert_eq!(json(&scgi(TcpStream::connect(address).unwrap(), "/env"))["listener"], "net");
        assert_eq!(json(&scgi(started.connect("a.sock"), "/env"))["listener"], "unix");
    }
}

#[test]
fn a_super_server_starts_it_with_a_connection_as_stdin_and_stdout() {
    let started = systemd(&["--accept", "--inetd"], &["a.sock"]);
    let mut conn = started.fastcgi("a.sock");
    for _ in 0..2 {
        conn.ask(&Ask::get("/hello").keep()).assert_whole(200);
    }
    assert_eq!(scgi(started.connect("a.sock"), "/hello"), "hello, world\n");
}

#[test]
fn in_a_runtime_of_its_own_an_app_is_started_in_the_same_ways() {
    let program = testapp().with_file_name("own_runtime");
    let mut started = systemd_starts(program.clone(), &["--fdname=web:admin"], &["a.sock", "b.sock"]);
    assert_eq!(scgi(started.connect("b.sock"), "/"), "Hello by admin");
    started.fastcgi("a.sock").ask(&Ask::get("/")).assert_whole(200);
    started.signal("TERM");
    started.leaves_well();

    let start = |socket: OwnedFd| {
        let mut command = Command::new(&program);
        command.stdin(socket);
        Started::new(command, tempfile::tempdir().unwrap(), &[])
    };
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut started = start(theirs.into());
    assert_eq!(scgi(ours, "/"), "Hello by stdin");
    started.leaves_well();

    let (_silent, theirs) = UnixStream::pair().unwrap();
    let mut started = start(theirs.into());
    assert_eq!(started.leaves().code(), Some(1));
    assert!(started.log().contains("LG0101"), "{}", started.log());
}

#[test]
fn a_socket_without_a_name_has_none() {
    let started = systemd(&[], &["a.sock"]);
    assert_eq!(json(&scgi(started.connect("a.sock"), "/env"))["listener"], Value::Null);
}

#[test]
fn a_connection_that_systemd_accepted_is_served_until_its_end() {
    let started = systemd(&["--accept", "--fdname=one"], &["a.sock"]);
    let mut conn = started.fastcgi("a.sock");
    let pid = |conn: &mut Conn| json(&conn.ask(&Ask::get("/env").keep()).text())["pid"].as_u64().unwrap();
    let first = pid(&mut conn);
    assert_eq!(pid(&mut conn), first, "a kept connection stays with its process");
    assert_eq!(json(&conn.ask(&Ask::get("/env").keep()).text())["listener"], "one");
    assert_ne!(pid(&mut started.fastcgi("a.sock")), first, "each connection has a process of its own");
    conn.half_close();
    conn.assert_closed();
    eventually("the process of the connection is still there", || {
        // The program that accepts reaps its children; until then they are zombies, which have no memory.
        fs::read_to_string(format!("/proc/{first}/status")).map_or(true, |status| !status.contains("VmRSS"))
    });
}

/// Starts the test application by a shell that becomes it, and so knows its process id before.
fn announced(count: &str, stdin: impl Into<Stdio>) -> Output {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("LISTEN_PID=$$ LISTEN_FDS='{count}' exec \"$0\"")]).arg(testapp()).env_clear();
    shell.stdin(stdin).output().unwrap()
}

#[test]
fn an_announcement_that_cannot_be_true_is_an_error_with_its_code() {
    for (count, reason) in [
        ("two", "and not a number from 1 to 64"),
        ("-1", "and not a number from 1 to 64"),
        ("4000000000", "and not a number from 1 to 64"),
        ("64", "descriptor 3, which is no stream socket"),
        ("1", "descriptor 3, which is no stream socket"),
    ] {
        let output = announced(count, Stdio::null());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{count}: {told}");
        assert!(told.starts_with("error[LG0109]: ") && told.contains(reason) && told.contains("hint: "), "{count}: {told}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn no_sockets_or_those_of_another_process_are_no_start_by_systemd() {
    let output = announced("0", Stdio::null());
    assert!(String::from_utf8_lossy(&output.stdout).contains("is a web application"), "{output:?}");
    let vars = [("LISTEN_PID", "1"), ("LISTEN_FDS", "two")];
    let output = Command::new(testapp()).env_clear().envs(vars).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("is a web application"), "{output:?}");
}

#[test]
fn systemd_is_told_when_the_service_is_ready_alive_and_leaving() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut text = [0; 500];
        let len = manager.recv(&mut text).expect("a message of the service");
        String::from_utf8_lossy(&text[..len]).into_owned()
    };
    let vars = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let start = Instant::now();
    let mut started = Started::on_listener(&vars, &[]);
    assert!(heard().starts_with("READY=1\n"));
    for _ in 0..4 {
        assert_eq!(heard(), "WATCHDOG=1");
    }
    // The first comes at once, the others after half of the time each.
    assert!((Duration::from_millis(600)..Duration::from_secs(10)).contains(&start.elapsed()), "{:?}", start.elapsed());
    let names = started.fastcgi("app.sock").ask(&Ask::get("/environ")).text();
    assert!(!names.contains("NOTIFY") && !names.contains("WATCHDOG"), "children must not speak for the service: {names}");

    let mut busy = started.fastcgi("app.sock");
    busy.send(&Ask::get("/slow?ms=1500").all());
    // Signals are watched since the program is ready; the request is in work when this one is answered.
    started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
    started.signal("TERM");
    let mut next = heard();
    while next == "WATCHDOG=1" {
        next = heard();
    }
    assert!(next.starts_with("STOPPING=1\n"), "{next}");
    assert_eq!(heard(), "WATCHDOG=1", "a service that finishes its work is alive");
    busy.reply(1).assert_whole(200);
    started.leaves_well();
}

#[test]
fn a_watchdog_hears_nothing_while_the_runtime_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let vars = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let started = Started::on_listener(&vars, &[]);
    let mut conn = started.fastcgi("app.sock");
    conn.send(&Ask::get("/spin?ms=3000").all());
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    let mut last = Instant::now();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    while begun.elapsed() < Duration::from_secs(3) {
        manager.recv(&mut [0; 500]).unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    assert!(longest > Duration::from_secs(2), "the longest silence was {longest:?}");
    conn.reply(1).assert_whole(200);
}

#[test]
fn a_service_manager_that_is_not_there_is_one_line_and_no_reason_not_to_serve() {
    let mut started = Started::on_listener(&[("NOTIFY_SOCKET", "/nonexistent/notify")], &[]);
    started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
    started.signal("TERM");
    started.leaves_well();
    let log = started.log();
    assert!(log.lines().count() == 1 && log.contains("LG0110"), "{log}");
}

/// What OpenLiteSpeed sets for a program that it does not detach.
const LITESPEED: [(&str, &str); 3] = [("LSAPI_PADDING", "leave_some_room"), ("PHP_LSAPI_CHILDREN", "6"), ("PATH", "/bin:/usr/bin")];

/// What it sets for one that it detaches.
const DETACHED: [(&str, &str); 4] = [("LSAPI_PADDING", "x"), ("LSAPI_PPID_NO_CHECK", "1"), ("LSAPI_PGRP_MAX_IDLE", "1"), ("LSAPI_KEEP_LISTEN", "2")];

#[test]
fn litespeeds_one_connection_is_served_to_its_end() {
    let (mut started, mut conn) = Started::on_connection(&LITESPEED, &[]);
    for _ in 0..3 {
        conn.ask(&Ask::get("/hello").keep()).assert_whole(200);
    }
    let names = conn.ask(&Ask::get("/environ").keep()).text();
    assert_eq!(names, "PATH\n", "what LiteSpeed says to the program is not for its children");
    assert!(started.is_running());
    drop(conn);
    started.leaves_well();
}

/// The next packet of LSAPI: its type and its content.
fn packet(stream: &mut UnixStream) -> (u8, Vec<u8>) {
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    let [b'L', b'S', kind, 0, a, b, c, d] = head else { panic!("no packet: {head:?}") };
    let mut content = vec![0; u32::from_le_bytes([a, b, c, d]) as usize - head.len()];
    stream.read_exact(&mut content).unwrap();
    (kind, content)
}

#[test]
fn over_its_one_connection_litespeed_sends_one_request_after_the_other() {
    const RESP_HEADER: u8 = 3;
    const RESP_END: u8 = 5;
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(testapp());
    command.arg("--servermanaged").stdin(OwnedFd::from(theirs));
    let mut started = Started::new(command, tempfile::tempdir().unwrap(), &LITESPEED);
    let captured = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lsapi/05-two-keepalive.c2s")).unwrap();
    let (first, second) = captured.split_at(u32::from_le_bytes(captured[4..8].try_into().unwrap()) as usize);
    for request in [first, second] {
        ours.write_all(request).unwrap();
        let mut status = None;
        loop {
            match packet(&mut ours) {
                (RESP_HEADER, content) => status = Some(content[4]),
                (RESP_END, _) => break,
                _ => {}
            }
        }
        // 404 ends in this byte: the app has no such page.
        assert_eq!(status, Some(0x94));
    }
    assert!(started.is_running());
    drop(ours);
    started.leaves_well();
}

#[test]
fn in_the_place_of_node_it_is_asked_over_http_and_says_nothing_of_its_arguments() {
    let lsnode = [("LSNODE_ROOT", "/home/user/app/"), ("LSAPI_PPID_NO_CHECK", "1"), ("PATH", "/bin:/usr/bin")];
    let mut started = Started::on_listener(&lsnode, &["/usr/local/lsws/fcgi-bin/lsnode.js"]);
    let mut stream = started.connect("app.sock");
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello, world\n"), "{answer}");
    started.signal("TERM");
    started.leaves_well();
    assert!(!started.log().contains("LG0105"), "{}", started.log());
}

#[test]
fn litespeeds_connection_that_ends_without_a_word_ends_the_program() {
    let (mut started, conn) = Started::on_connection(&LITESPEED, &["--from", "ols"]);
    drop(conn);
    started.leaves_well();
    let log = started.log();
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains("LG0108")).collect();
    assert!(lines.len() == 1 && lines[0].contains("LG0105"), "the arguments are one line: {log}");
}

#[test]
fn a_connection_is_served_without_litespeed_when_somebody_speaks() {
    for args in [&[][..], &["serve"]] {
        let (mut started, mut conn) = Started::on_connection(&[], args);
        conn.ask(&Ask::get("/hello").keep()).assert_whole(200);
        drop(conn);
        started.leaves_well();
        assert_eq!(started.log(), "", "{args:?}");
    }
}

#[test]
fn asked_to_serve_a_connection_on_which_nobody_speaks_it_says_how_to_go_on() {
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let output = Command::new(testapp()).env_clear().arg("serve").stdin(OwnedFd::from(theirs)).output().unwrap();
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("LG0101"), "{output:?}");
}

#[test]
fn on_a_silent_connection_without_arguments_the_command_line_appears() {
    for speak in [None, Some(Shutdown::Write)] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        if let Some(how) = speak {
            ours.shutdown(how).unwrap();
        }
        let start = Instant::now();
        let output = Command::new(testapp()).env_clear().stdin(OwnedFd::from(theirs)).output().unwrap();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("is a web application"), "{output:?}");
        assert!(start.elapsed() < Duration::from_secs(8), "a person waits for it");
    }
}

#[test]
fn a_socket_for_datagrams_is_no_connection() {
    let (_ours, theirs) = UnixDatagram::pair().unwrap();
    let output = Command::new(testapp()).env_clear().env("LSAPI_PADDING", "x").stdin(OwnedFd::from(theirs)).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("is a web application"), "{output:?}");
}

#[test]
fn with_arguments_a_connected_stdin_is_not_looked_at() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    // Bytes for which it would be served, if anybody looked.
    ours.write_all(&Ask::get("/hello").all()).unwrap();
    let output = Command::new(testapp()).env_clear().arg("--version").stdin(OwnedFd::from(theirs)).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).starts_with("testapp built with"), "{output:?}");
}

#[test]
fn a_super_server_hands_over_one_socket_as_everything_and_no_line_of_the_log_gets_into_it() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(testapp());
    command.arg("serve").env_clear().env("LSAPI_PADDING", "x").env("RUST_LOG", "trace");
    command.stdin(OwnedFd::from(theirs.try_clone().unwrap())).stdout(OwnedFd::from(theirs.try_clone().unwrap())).stderr(OwnedFd::from(theirs));
    let mut child = command.spawn().unwrap();
    drop(command);
    // What comes is records, or the reading of it fails.
    let mut conn = Conn::new(ours);
    conn.ask(&Ask::get("/stderr?text=hello").keep()).assert_whole(200);
    drop(conn);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_detached_program_leaves_when_it_had_no_work_for_long_enough() {
    let mut started = Started::on_listener(&DETACHED, &["--detached"]);
    let mut kept = started.fastcgi("app.sock");
    kept.ask(&Ask::get("/hello").keep()).assert_whole(200);
    // Work keeps it, however long it takes.
    let reply = started.fastcgi("app.sock").ask(&Ask::get("/slow?ms=3500"));
    reply.assert_whole(200);
    started.leaves_well();
    // A connection on which nothing is asked is no work.
    kept.assert_closed();
}

#[test]
fn a_program_that_is_not_detached_leaves_when_its_parent_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("app.sock")).unwrap();
    // A parent that starts the program and can be ended.
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "exec 3<&0; \"$0\" <&3 3<&- & echo $! > \"$1\"; wait"])
        .arg(testapp())
        .arg(folder.path().join("pid"))
        .stdin(OwnedFd::from(listener));
    let mut parent = Started::new(shell, folder, &LITESPEED);
    parent.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
    let pid = fs::read_to_string(parent.folder.path().join("pid")).unwrap();
    let program = Path::new("/proc").join(pid.trim());
    let mut conn = parent.fastcgi("app.sock");
    conn.send(&Ask::get("/slow?ms=4000").all());
    sleep(Duration::from_millis(300));
    assert!(program.exists());
    parent.signal("KILL");
    parent.leaves();
    let reply = conn.reply(1);
    reply.assert_whole(200);
    eventually("the program outlives its parent", || fs::read_to_string(program.join("status")).map_or(true, |status| status.contains("State:\tZ")));
}

#[test]
fn sigterm_and_sigusr1_at_once_are_one_order_to_leave() {
    let mut started = Started::on_listener(&LITESPEED, &[]);
    let mut conn = started.fastcgi("app.sock");
    conn.send(&Ask::get("/slow?ms=1500").all());
    started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
    started.signal("TERM");
    started.signal("USR1");
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.text(), "done\n");
    started.leaves_well();
}

#[test]
fn what_an_app_prints_where_fd_1_is_dead_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("app.sock")).unwrap();
    let (_, dead) = UnixStream::pair().unwrap();
    let mut command = Command::new(testapp());
    command.env_clear().stdin(OwnedFd::from(listener)).stdout(OwnedFd::from(dead)).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdout = Path::new("/proc").join(child.id().to_string()).join("fd");
    let conn = UnixStream::connect(folder.path().join("app.sock")).unwrap();
    Conn::new(conn).ask(&Ask::get("/hello")).assert_whole(200);
    assert_eq!(fs::read_link(stdout.join("1")).unwrap(), fs::read_link(stdout.join("2")).unwrap(), "stdout goes where stderr goes");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn running_as_root_is_told_once_where_litespeed_can_change_it() {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = Command::new(testapp());
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("app.sock")).unwrap();
    command.stdin(OwnedFd::from(listener));
    if root {
        // Both ways are looked at where that can be done: as root, and as nobody in particular.
        let mut started = Started::on_listener(&LITESPEED, &[]);
        started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
        started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
        started.signal("TERM");
        started.leaves_well();
        let log = started.log();
        assert!(log.lines().count() == 1 && log.contains("lodger:error: LG0108"), "{log}");
        command.uid(65534);
    }
    let mut started = Started::new(command, folder, &LITESPEED);
    started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
    started.signal("TERM");
    started.leaves_well();
    assert_eq!(started.log(), "");
}
