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
    let before = server.get("/pid").text();
    let start = Instant::now();
    let answer = server.get("/slow?ms=60000");
    assert_eq!((answer.exit, answer.status), (0, 504), "{}", answer.text());
    // mod_fcgid answers 500 after 40 s, and kills the process.
    assert!(start.elapsed() < Duration::from_secs(39), "{:?}", start.elapsed());
    let after = server.get("/pid").text();
    // Tells a process that is gone from one that mod_fcgid passed over.
    let is_there = |pid: &str| Path::new("/proc").join(pid).exists();
    let (before, after) = (before.split(' ').next(), after.split(' ').next());
    assert_eq!(before, after, "the process lives on; the first is there: {}", before.is_some_and(is_there));
}
