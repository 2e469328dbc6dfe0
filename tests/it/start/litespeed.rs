//! Started by LiteSpeed: managing itself, managed on one connection, detached, in the place of Node.js.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

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
    // The program may have answered before the shell writes down which it is.
    let pid = || fs::read_to_string(parent.folder.path().join("pid")).unwrap_or_default();
    eventually("the shell does not say which process it started", || pid().ends_with('\n'));
    let pid = pid();
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

/// One request over LSAPI, as captured, and its answer.
fn ask_over_lsapi(started: &Started) {
    const RESP_END: u8 = 5;
    let mut stream = started.connect("app.sock");
    stream.write_all(&fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lsapi/01-get.c2s")).unwrap()).unwrap();
    while packet(&mut stream).0 != RESP_END {}
}

#[test]
fn running_as_root_is_told_once_where_litespeed_can_change_it() {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Where everybody can get at it, which the folder of the build may not be; by a process of its own, since nobody may run a file that is open for writing.
    let program = folder.path().join("testapp");
    assert!(Command::new("cp").arg(testapp()).arg(&program).status().unwrap().success());
    let mut command = Command::new(program);
    let listener = UnixListener::bind(folder.path().join("app.sock")).unwrap();
    command.stdin(OwnedFd::from(listener));
    if root {
        // Both ways are looked at where that can be done: as root, and as nobody in particular.
        let mut started = Started::on_listener(&LITESPEED, &[]);
        started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
        ask_over_lsapi(&started);
        started.signal("TERM");
        started.leaves_well();
        let log = started.log();
        assert!(log.lines().count() == 1 && log.contains("lodger:error: LG0108"), "{log}");
        // Nothing says that LiteSpeed started this one, but its protocol is spoken.
        let mut started = Started::on_listener(&[], &[]);
        started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
        assert_eq!(started.log(), "");
        ask_over_lsapi(&started);
        ask_over_lsapi(&started);
        started.signal("TERM");
        started.leaves_well();
        let log = started.log();
        assert!(log.lines().count() == 1 && log.contains("lodger:error: LG0108"), "{log}");
        command.uid(65534);
    }
    let mut started = Started::new(command, folder, &LITESPEED);
    started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
    ask_over_lsapi(&started);
    started.signal("TERM");
    started.leaves_well();
    assert_eq!(started.log(), "");
}
