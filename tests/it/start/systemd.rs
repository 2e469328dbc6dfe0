//! Started by systemd: sockets that it holds, and what it is told.

use super::*;

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
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
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
fn no_sockets_are_no_start_by_systemd() {
    let output = announced("0", Stdio::null());
    assert!(String::from_utf8_lossy(&output.stdout).contains("is a web application"), "{output:?}");
}

#[test]
fn sockets_of_a_wrapper_are_not_ours_and_a_program_without_anything_to_do_says_so() {
    let vars = [("LISTEN_PID", "1"), ("LISTEN_FDS", "1")];
    let run = |args: &[&str]| Command::new(testapp()).env_clear().envs(vars).args(args).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&run(&[]).stderr).into_owned();
    assert!(
        told.starts_with("error[LG0109]: systemd announced sockets to process 1, and not to this one\n  hint: ") && told.contains("`exec`"),
        "{told}"
    );
    assert!(run(&["--help"]).status.success(), "whoever asks for something gets it");
}

/// The end of sd_notify at which systemd listens.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    fn name(&self) -> String {
        self.folder.path().join("notify").to_str().unwrap().to_owned()
    }

    /// The next message of the service.
    #[track_caller]
    fn hears(&self) -> String {
        let mut text = [0; 500];
        loop {
            match self.socket.recv(&mut text) {
                Ok(len) => return String::from_utf8_lossy(&text[..len]).into_owned(),
                // A wait with a time-out is interrupted when the process was stopped for a moment, and when a child of another test ends.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no message of the service: {error}"),
            }
        }
    }
}

#[test]
fn systemd_is_told_when_the_service_is_ready_alive_and_leaving() {
    let manager = Manager::new();
    let name = manager.name();
    let vars = [("NOTIFY_SOCKET", &*name), ("WATCHDOG_USEC", "400000")];
    let start = Instant::now();
    let mut started = Started::on_listener(&vars, &[]);
    assert!(manager.hears().starts_with("READY=1\n"));
    for _ in 0..4 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
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
    let mut next = manager.hears();
    while next == "WATCHDOG=1" {
        next = manager.hears();
    }
    assert!(next.starts_with("STOPPING=1\n"), "{next}");
    assert_eq!(manager.hears(), "WATCHDOG=1", "a service that finishes its work is alive");
    busy.reply(1).assert_whole(200);
    started.leaves_well();
}

#[test]
fn a_watchdog_hears_nothing_while_the_runtime_hangs() {
    let manager = Manager::new();
    let name = manager.name();
    let vars = [("NOTIFY_SOCKET", &*name), ("WATCHDOG_USEC", "200000")];
    let started = Started::on_listener(&vars, &[]);
    let mut conn = started.fastcgi("app.sock");
    conn.send(&Ask::get("/spin?ms=3000").all());
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    let mut last = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        manager.hears();
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
