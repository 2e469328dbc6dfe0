//! Who starts the program decides what it does: systemd with its sockets, LiteSpeed in each of its ways, a task runner with a socket for stdin.

mod litespeed;
mod systemd;

use crate::peer::{PATIENCE, ask::Ask, conn::Conn, eventually, testapp};
use crate::ports;
use serde_json::Value;
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
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
        let path = self.folder.path().join(socket);
        let mut connected = UnixStream::connect(&path);
        // A socket can be seen a moment before it listens.
        eventually("nobody listens", || {
            if connected.is_err() {
                connected = UnixStream::connect(&path);
            }
            connected.is_ok()
        });
        let stream = connected.unwrap();
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

#[test]
fn asked_for_more_the_log_tells_how_the_first_request_came() {
    for (vars, expect) in [(&[("RUST_LOG", "info")][..], 1), (&[], 0)] {
        let mut started = Started::on_listener(vars, &[]);
        started.fastcgi("app.sock").ask(&Ask::get("/hello")).assert_whole(200);
        assert_eq!(scgi(started.connect("app.sock"), "/hello"), "hello, world\n");
        started.signal("TERM");
        started.leaves_well();
        let log = started.log();
        assert_eq!(log.matches("lodger:info: the first request came over fastcgi from nginx").count(), expect, "{log}");
        assert_eq!(log.matches("the first request").count(), expect, "{log}");
    }
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
