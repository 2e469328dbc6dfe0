//! Every route of the test application through every door: each test measures one column of the table in
//! `docs/compatibility.md` and compares. With `LODGER_WRITE=1` in the environment it writes the column instead.

use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};

use super::door::Door;
use super::notes;
use super::process;
use super::routes::CASES;
use super::server::Server;
use super::site::SUEXEC_USER;
use super::table;

/// Asks every case and gives what was seen, as cells of the table. What must not happen through any door is a failure;
/// all of them are named, so that one look shows what a server does differently.
pub(crate) fn ask_every_route(server: &Server) -> Vec<String> {
    let door = server.door;
    let (mut cells, mut failed) = (Vec::new(), Vec::new());
    for (name, ask) in CASES {
        match panic::catch_unwind(AssertUnwindSafe(|| ask(server))) {
            Ok(Ok(())) => cells.push("ok".to_owned()),
            Ok(Err(seen)) => match notes::key(door, name, &seen) {
                Some(key) => cells.push(format!("{seen} [^{key}]")),
                None => failed.push(format!("{name}: nothing explains \"{seen}\"")),
            },
            Err(_) => failed.push((*name).to_owned()),
        }
    }
    assert!(failed.is_empty(), "through {door:?} {} of {} cases failed: {failed:#?}\n{}", failed.len(), CASES.len(), server.site.log_text());
    cells
}

/// Measures the column of a door, and compares or writes it.
fn check(server: &Server) {
    let cells = ask_every_route(server);
    table::settle(server.door.column(), &cells);
}

#[test]
fn the_table_is_complete_and_says_what_the_tests_know() {
    table::check_frame();
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_fcgid() {
    check(&Server::start(Door::Fcgid));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_fcgid_under_suexec() {
    // Only root can start programs as somebody else, and writing below /var/www is for machines that are there for tests.
    if !process::is_root() || std::env::var("CI").as_deref() != Ok("1") {
        // Not through `println!`, which nobody sees of a test that passes.
        let _ = writeln!(io::stderr(), "NOT RUN: suexec is tested by root with CI=1, as `make test` does for root");
        return;
    }
    let server = Server::start(Door::FcgidSuexec);
    check(&server);
    let (owner, _) = process::ids_of(SUEXEC_USER).unwrap();
    let pids = server.app_pids();
    assert!(!pids.is_empty());
    for pid in pids {
        assert_eq!(process::owner(pid), Some(owner), "the user of the program");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_cgid() {
    check(&Server::start(Door::Cgid));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_cgi() {
    check(&Server::start(Door::Cgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_proxy_fcgi() {
    check(&Server::start(Door::ProxyFcgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx() {
    check(&Server::start(Door::Nginx));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx_that_keeps_connections() {
    check(&Server::start(Door::NginxKeepConn));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn lighttpd() {
    check(&Server::start(Door::Lighttpd));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn lighttpd_with_cgi() {
    check(&Server::start(Door::LighttpdCgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn caddy() {
    check(&Server::start(Door::Caddy));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn haproxy() {
    check(&Server::start(Door::Haproxy));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn haproxy_that_multiplexes() {
    check(&Server::start(Door::HaproxyMpxs));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn haproxy_that_asks_what_we_can_do() {
    check(&Server::start(Door::HaproxyGetValues));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn h2o() {
    check(&Server::start(Door::H2o));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx_with_scgi() {
    check(&Server::start(Door::NginxScgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_proxy_scgi() {
    check(&Server::start(Door::ProxyScgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn lighttpd_with_scgi() {
    check(&Server::start(Door::LighttpdScgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx_with_uwsgi() {
    check(&Server::start(Door::NginxUwsgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_proxy_uwsgi() {
    check(&Server::start(Door::ProxyUwsgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx_with_http() {
    check(&Server::start(Door::NginxHttp));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_proxy_http() {
    check(&Server::start(Door::ProxyHttp));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn passenger_with_a_passengerfile() {
    check(&Server::start(Door::PassengerFile));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn passenger_that_takes_us_for_node() {
    check(&Server::start(Door::PassengerNode));
}
