//! mod_fcgid as cPanel configures it: bodies of up to a gigabyte. There an app can get into the deadlock that the small
//! default limit hides.

use super::door::Door;
use super::server::{Server, Setup};

fn start() -> Server {
    Setup::new(Door::Fcgid).lines("FcgidMaxRequestLen 1073741824").start()
}

const UPLOAD: usize = 3_000_000;

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_large_body_that_nobody_reads_costs_nothing() {
    let server = start();
    let answer = server.ask("/noread").body(vec![b'b'; UPLOAD]).send();
    answer.expect(413, "too big\n");
    // A program that left the body unread would have been taken for broken, and killed.
    let before = server.get("/pid").text();
    server.ask("/noread").body(vec![b'b'; UPLOAD]).send();
    let after = server.get("/pid").text();
    let pid = |text: &str| text.split(' ').next().unwrap().to_owned();
    assert_eq!(pid(&before), pid(&after));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn an_app_may_send_a_lot_before_it_reads_a_lot() {
    let server = start();
    let n = 4_000_000;
    let answer = server.ask(&format!("/early?n={n}")).body(vec![b'b'; UPLOAD]).send();
    assert_eq!((answer.exit, answer.status), (0, 200));
    let (filler, rest) = answer.body.split_at(n);
    assert!(filler.iter().all(|byte| *byte == b'x'));
    assert_eq!(rest, format!("{UPLOAD}\n").as_bytes());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn an_echo_of_any_size_comes_back_whole() {
    let server = start();
    let body: Vec<u8> = (0..=250).cycle().take(UPLOAD).collect();
    let answer = server.ask("/echo").body(body.clone()).send();
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert!(answer.body == body, "{} bytes came back", answer.body.len());
}
