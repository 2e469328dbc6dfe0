//! Handlers that take longer than anybody waits: the visitor gets a page of ours before the web server gives up on us.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::door::Door;
use super::server::Server;

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn mod_fcgid_never_gets_to_say_that_the_program_took_too_long() {
    let server = Server::start(Door::Fcgid);
    let pid = server.get("/pid").text();
    let pid = pid.split(' ').next().unwrap();
    let start = Instant::now();
    let answer = server.get("/slow?ms=60000");
    assert_eq!((answer.exit, answer.status), (0, 504), "{}", answer.text());
    // mod_fcgid answers 500 after 40 s, and kills the process.
    assert!(start.elapsed() < Duration::from_secs(39), "{:?}", start.elapsed());
    // mod_fcgid may give the next request to another one: the visitor has the whole answer before the process counts as idle.
    assert!(Path::new("/proc").join(pid).exists(), "the process lives on");
    assert_eq!(server.get("/hello").text(), "hello, world\n");
}
