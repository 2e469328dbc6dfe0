//! Plain CGI, with every kind of stdin that a web server hands over.

use crate::peer::testapp;
use std::{
    fs,
    io::{Read as _, Seek as _, Write as _},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt as _},
    },
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// `wc -c` and `sha256sum` of `abc`.
const COUNTED: &str = "3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";

fn program(vars: &[(&str, &str)]) -> Command {
    let mut command = Command::new(testapp());
    command.env_clear().env("GATEWAY_INTERFACE", "CGI/1.1").env("SERVER_PROTOCOL", "HTTP/1.1").envs(vars.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn post(target: &str, length: Option<&str>) -> Command {
    let mut command = program(&[("REQUEST_METHOD", "POST"), ("REQUEST_URI", target)]);
    if let Some(length) = length {
        command.env("CONTENT_LENGTH", length);
    }
    command
}

/// Head and body of what the program printed; it has to end well.
fn answer(child: Child) -> (String, Vec<u8>) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    split(&output.stdout)
}

fn split(stdout: &[u8]) -> (String, Vec<u8>) {
    let end = stdout.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8(stdout[..end].to_vec()).unwrap(), stdout[end + 4..].to_vec())
}

fn text((head, body): (String, Vec<u8>)) -> String {
    assert!(head.starts_with("Status: 200 OK\r\n"), "{head}");
    String::from_utf8(body).unwrap()
}

#[test]
fn a_body_comes_through_a_pipe() {
    let mut child = post("/count", Some("3")).stdin(Stdio::piped()).spawn().unwrap();
    // The pipe stays open behind the body: the length says where it ends.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"abcNOT MINE").unwrap();
    assert_eq!(text(answer(child)), COUNTED);
}

#[test]
fn a_body_comes_out_of_a_file() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"abc").unwrap();
    file.rewind().unwrap();
    assert_eq!(text(answer(post("/count", Some("3")).stdin(file).spawn().unwrap())), COUNTED);
}

#[test]
fn a_body_comes_through_a_connected_socket_that_is_stdout_too() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (stdin, stdout) = (OwnedFd::from(theirs.try_clone().unwrap()), OwnedFd::from(theirs));
    let mut child = post("/count", Some("3")).stdin(stdin).stdout(stdout).spawn().unwrap();
    ours.write_all(b"abc").unwrap();
    let mut response = Vec::new();
    ours.read_to_end(&mut response).unwrap();
    assert_eq!(text(split(&response)), COUNTED);
    assert!(child.wait().unwrap().success());
}

#[test]
fn without_a_length_a_chunked_request_and_a_post_read_to_the_end() {
    let whole = |mut command: Command| {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"abc").unwrap();
        text(answer(child))
    };
    assert_eq!(whole(post("/count", None)), COUNTED);
    assert_eq!(whole(post("/count", Some(""))), COUNTED);
    let chunked = program(&[("REQUEST_METHOD", "DELETE"), ("REQUEST_URI", "/count"), ("HTTP_TRANSFER_ENCODING", "chunked")]);
    assert_eq!(whole(chunked), COUNTED);
}

#[test]
fn without_a_body_stdin_is_not_waited_for() {
    let silent = program(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/hello")]).stdin(Stdio::piped()).spawn().unwrap();
    let null = program(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/hello")]).spawn().unwrap();
    for child in [silent, null] {
        // `wait_with_output` would close the pipe, so the answer has to come before.
        assert_eq!(text(answer_with_stdin_open(child)), "hello, world\n");
    }
}

fn answer_with_stdin_open(mut child: Child) -> (String, Vec<u8>) {
    let stdin = child.stdin.take();
    let result = answer(child);
    drop(stdin);
    result
}

#[test]
fn a_body_that_nobody_reads_is_taken_all_the_same() {
    let mut child = post("/noread", Some("3000000")).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that left its body behind would break this pipe.
    let writing = thread::spawn(move || stdin.write_all(&vec![b'x'; 3_000_000]));
    let (head, body) = answer(child);
    assert!(head.starts_with("Status: 413 "), "{head}");
    assert_eq!(body, b"too big\n");
    writing.join().unwrap().unwrap();
}

#[test]
fn a_handler_may_answer_long_before_it_reads() {
    let mut child = post("/early?n=3000000", Some("3000000")).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // First all of the body, and only then a look at the answer: neither side may wait for the other.
    stdin.write_all(&vec![b'x'; 3_000_000]).unwrap();
    let body = answer(child).1;
    assert!(body.ends_with(b"3000000\n") && body.len() == 3_000_000 + 8);
}

#[test]
fn a_body_shorter_than_its_length_is_refused() {
    let mut child = post("/count", Some("10")).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"abc").unwrap();
    assert!(answer(child).0.starts_with("Status: 400 "));
}

#[test]
fn a_length_that_is_none_is_refused() {
    for length in ["abc", "99999999999999999999999", "+3", "1,1"] {
        assert!(answer(post("/count", Some(length)).spawn().unwrap()).0.starts_with("Status: 400 "), "{length}");
    }
}

#[test]
fn an_event_is_seen_when_it_is_sent() {
    let mut child = program(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/sse?n=2&ms=60000")]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut seen = Vec::new();
    while !seen.windows(7).any(|window| window == b"data: 0") {
        let mut piece = [0; 1000];
        let len = stdout.read(&mut piece).unwrap();
        assert!(len > 0, "it ended before the first event: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..len]);
    }
    // The second event is a minute away; a visitor who leaves ends the program.
    drop(stdout);
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the program outlives its visitor");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_warning_goes_to_stderr_and_not_into_the_response() {
    let child = program(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/stderr?text=look+here")]).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("look here"));
    assert_eq!(text(split(&output.stdout)), "ok\n");
}

#[test]
fn what_the_app_prints_cannot_get_into_the_response() {
    let mut child = program(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/slow?ms=60000")]).spawn().unwrap();
    let descriptor = |fd: u8| fs::read_link(format!("/proc/{}/fd/{fd}", child.id())).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while descriptor(1) != descriptor(2) {
        assert!(Instant::now() < deadline, "stdout is still {:?}", descriptor(1));
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(descriptor(0).as_os_str(), "/dev/null");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn work_goes_on_behind_the_response_with_stdio_let_go() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (stdin, stdout) = (OwnedFd::from(theirs.try_clone().unwrap()), OwnedFd::from(theirs));
    // In a folder of its own, with a place for its state beside it.
    let space = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for folder in ["www", "private"] {
        fs::create_dir(space.path().join(folder)).unwrap();
    }
    let app = space.path().join("www/app.cgi");
    fs::hard_link(testapp(), &app).unwrap();
    let mut command = Command::new(app);
    command.env_clear().envs([("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/background?ms=3000")]);
    let mut child = command.stdin(stdin).stdout(stdout).spawn().unwrap();
    drop(command);
    let mut response = Vec::new();
    ours.read_to_end(&mut response).unwrap();
    assert_eq!(text(split(&response)), "ok\n");
    assert_eq!(child.try_wait().unwrap(), None, "the response has ended, the work has not");
    ours.shutdown(Shutdown::Both).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(space.path().join("private/lodger-www/background.log")).unwrap().lines().count(), 1);
}

#[test]
fn a_program_whose_stack_overflows_says_so_and_ends_as_any_does() {
    // Where cores are kept, they are not left lying in the sources.
    let output = program(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/overflow")]).current_dir(env!("CARGO_TARGET_TMPDIR")).output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "lodger:error: LG0709: the stack of this program overflowed, or it touched memory that is not its own\n");
    assert!(output.stdout.is_empty());
}

#[test]
fn outside_of_cgi_rust_tells_of_a_stack_that_overflows() {
    let asked = Command::new(testapp()).args(["request", "GET", "/overflow"]).current_dir(env!("CARGO_TARGET_TMPDIR")).output().unwrap();
    let said = String::from_utf8(asked.stderr).unwrap();
    assert!(said.contains("has overflowed its stack") && !said.contains("LG0709"), "{said}");
}
