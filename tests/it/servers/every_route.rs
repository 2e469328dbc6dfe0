//! Every route of the test application through every door.

use std::io::{self, Write as _};

use super::door::Door;
use super::process;
use super::routes::ask_every_route;
use super::server::Server;
use super::site::SUEXEC_USER;

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_fcgid() {
    ask_every_route(&Server::start(Door::Fcgid));
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
    ask_every_route(&server);
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
    ask_every_route(&Server::start(Door::Cgid));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_cgi() {
    ask_every_route(&Server::start(Door::Cgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_with_mod_proxy_fcgi() {
    ask_every_route(&Server::start(Door::ProxyFcgi));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx() {
    ask_every_route(&Server::start(Door::Nginx));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx_that_keeps_connections() {
    ask_every_route(&Server::start(Door::NginxKeepConn));
}
