//! The limits of a `lodger.toml` as visitors meet them: exact in one process, with a status and the time to come back that reach them.

use std::thread;

use super::client::Answer;
use super::door::Door;
use super::process::wait_for;
use super::server::{Server, Setup};

/// The test application stands behind all of it.
const CONFIG: &str = r#"
[[site]]

  [[site.route]]
  path = "/"
  app  = "app"

  [[site.route]]
  path           = "/few/"
  app            = "app"
  max-concurrent = 3

  [[site.route]]
  path = "/rare/"
  app  = "app"
  rate = "5/h"

  [[site.route]]
  path     = "/small/"
  app      = "app"
  max-body = "100KiB"

  [[site.route]]
  path    = "/quick/"
  app     = "app"
  timeout = "300ms"
"#;

fn start(door: Door) -> Server {
    Setup::new(door).config(CONFIG).start()
}

/// Doors with one process behind a web server that keeps its connections to it.
const DOORS: [Door; 2] = [Door::NginxHttp, Door::NginxKeepConn];

#[track_caller]
fn expect_come_back(answer: &Answer, status: u16, seconds: std::ops::RangeInclusive<u64>) {
    assert_eq!((answer.exit, answer.status), (0, status), "{}{}", answer.complaint, answer.text());
    let after = answer.header("retry-after").and_then(|after| after.parse().ok());
    assert!(after.is_some_and(|after: u64| seconds.contains(&after)), "{after:?}");
    assert!(answer.text().contains("LG05"), "a code says why: {}", answer.text());
}

/// How many requests the application has begun, this one not counted.
fn begun(server: &Server) -> u64 {
    server.get("/pid").text().split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn exactly_as_many_are_in_work_as_may_be() {
    for door in DOORS {
        let server = start(door);
        let before = begun(&server);
        thread::scope(|scope| {
            let inside: Vec<_> = (0..3).map(|_| scope.spawn(|| server.get("/few/slow?ms=1500"))).collect();
            let mut asked = 1;
            wait_for("three requests to be in work", || {
                asked += 1;
                (begun(&server) - before + 1 >= asked + 3).then_some(())
            });
            let outside: Vec<_> = (0..7).map(|_| scope.spawn(|| server.get("/few/slow?ms=0"))).collect();
            for answer in outside {
                expect_come_back(&answer.join().unwrap(), 503, 1..=1);
            }
            for answer in inside {
                answer.join().unwrap().expect(200, "done\n");
            }
        });
        // All places are free again.
        server.get("/few/slow?ms=0").expect(200, "done\n");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_visitor_who_leaves_makes_room() {
    for door in DOORS {
        let server = start(door);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| server.ask("/few/slow?ms=600000").arg("--max-time").arg("1").send());
            }
        });
        wait_for("a place to be free", || (server.get("/few/slow?ms=0").status == 200).then_some(()));
        wait_for("the handlers to be given up", || (server.get("/cancelled").text() == "3\n").then_some(()));
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn exactly_as_many_come_in_an_hour_as_may_and_each_client_counts_for_itself() {
    for door in DOORS {
        let server = start(door);
        for client in ["127.0.0.1", "127.0.0.2"] {
            let answers: Vec<_> = thread::scope(|scope| {
                let asking: Vec<_> = (0..12).map(|_| scope.spawn(|| server.ask("/rare/hello").arg("--interface").arg(client).send())).collect();
                asking.into_iter().map(|answer| answer.join().unwrap()).collect()
            });
            let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
            assert_eq!((good.len(), refused.len()), (5, 7), "{door:?} {client}");
            for answer in refused {
                expect_come_back(answer, 429, 600..=720);
            }
        }
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_body_that_is_too_large_is_refused_whether_its_length_is_told_or_not() {
    for (door, unbuffered) in [
        (Door::NginxHttp, "proxy_request_buffering off;"),
        (Door::NginxKeepConn, "fastcgi_request_buffering off;"),
        (Door::Fcgid, "FcgidMaxRequestLen 1073741824"),
    ] {
        let server = Setup::new(door).config(CONFIG).lines(unbuffered).start();
        for chunked in [false, true] {
            let ask = |size: usize| {
                let ask = server.ask("/small/count").body(vec![b'x'; size]);
                if chunked { ask.header("Transfer-Encoding: chunked") } else { ask }.send()
            };
            let fits = ask(100 * 1024);
            assert!(fits.status == 200 && fits.text().starts_with("102400 "), "{door:?}: {} {}", fits.status, fits.text());
            for size in [100 * 1024 + 1, 5_000_000] {
                let too_large = ask(size);
                assert_eq!((too_large.exit, too_large.status), (0, 413), "{door:?}, {size}, chunked: {chunked}: {}", too_large.text());
            }
        }
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_handler_that_takes_too_long_is_504_and_is_stopped() {
    for door in [Door::NginxHttp, Door::NginxKeepConn, Door::Fcgid] {
        let server = start(door);
        let answer = server.get("/quick/slow?ms=60000");
        assert_eq!((answer.exit, answer.status), (0, 504), "{door:?}: {}", answer.text());
        assert!(answer.text().contains("LG05"), "{door:?}: {}", answer.text());
        server.get("/cancelled").expect(200, "1\n");
        server.get("/quick/slow?ms=0").expect(200, "done\n");
    }
}
