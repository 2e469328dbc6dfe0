//! No port is ever bound: strace writes down every `bind` while all routes are asked, and this reads it.

use std::fs;

use super::door::Door;
use super::every_route::ask_every_route;
use super::process::{signal, wait_for};
use super::server::{Server, Setup};

/// Asks all routes, stops everything, and gives what strace saw.
fn trace_of(server: Server, leader: u32) -> String {
    ask_every_route(&server);
    // strace leaves when the last process that it watches has left.
    signal(leader, "TERM");
    let site = server.stop();
    fs::read_to_string(site.trace()).unwrap()
}

fn binds_internet_address(line: &str) -> bool {
    line.contains("bind(") && line.contains("sa_family=AF_INET")
}

/// The lines from the first start of the program on.
fn since_start_of<'a>(trace: &'a str, program: &str) -> Vec<&'a str> {
    let starts = |line: &&str| line.contains("execve(") && line.contains(program);
    let lines: Vec<_> = trace.lines().skip_while(|line| !starts(line)).collect();
    assert!(!lines.is_empty(), "strace never saw {program} start: {trace}");
    lines
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_program_under_mod_fcgid_binds_nothing() {
    let server = Setup::new(Door::Fcgid).traced().start();
    // Apache listens a little before it writes this file.
    let file = server.site.run().join("apache.pid");
    let leader = wait_for("the pid of Apache", || fs::read_to_string(&file).ok()?.trim().parse().ok());
    let trace = trace_of(server, leader);
    // Apache itself binds its port, so strace does see what it is there for.
    assert!(trace.lines().any(binds_internet_address), "{trace}");
    for line in since_start_of(&trace, "/htdocs/app.fcgi\"") {
        assert!(!binds_internet_address(line), "{line}");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_program_behind_nginx_binds_its_unix_socket_and_nothing_else() {
    let server = Setup::new(Door::Nginx).traced().start();
    let [leader] = server.app_pids()[..] else {
        panic!("one process is expected: {:?}", server.app_pids());
    };
    let trace = trace_of(server, leader);
    let binds: Vec<_> = since_start_of(&trace, "/app/testapp\"").into_iter().filter(|line| line.contains("bind(")).collect();
    assert!(!binds.is_empty(), "strace never saw the socket: {trace}");
    for line in binds {
        assert!(line.contains("sa_family=AF_UNIX"), "{line}");
    }
}
