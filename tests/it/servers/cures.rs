//! What the footnotes of the table advise: with the setting in place, the cell would be "ok".

use super::door::Door;
use super::routes::CASES;
use super::server::Setup;

/// Asks the cases whose name begins with one of these, and expects them to be fine.
#[track_caller]
fn cures(setup: Setup, cases: &[&str]) {
    let server = setup.start();
    for wanted in cases {
        let (name, ask) = CASES.iter().find(|(name, _)| name.starts_with(wanted)).unwrap_or_else(|| panic!("no case {wanted}"));
        assert_eq!(ask(&server), Ok(()), "{name} through {:?}: {}", server.door, server.site.log_text());
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_passes_logins_on() {
    for door in [Door::ProxyFcgi, Door::ProxyScgi, Door::ProxyUwsgi] {
        cures(Setup::new(door).lines("<Location \"/\">\nCGIPassAuth On\n</Location>"), &["`/env`: login"]);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn apache_passes_escaped_slashes_on() {
    for door in [Door::Fcgid, Door::Cgid, Door::ProxyFcgi, Door::ProxyScgi, Door::ProxyHttp] {
        cures(Setup::new(door).lines("AllowEncodedSlashes NoDecode"), &["an escaped slash"]);
    }
    cures(Setup::new(Door::PassengerFile).lines("AllowEncodedSlashes NoDecode\nPassengerAllowEncodedSlashes On"), &["an escaped slash"]);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn lighttpd_passes_events_on() {
    for door in [Door::Lighttpd, Door::LighttpdCgi, Door::LighttpdScgi] {
        cures(Setup::new(door).lines("server.stream-response-body = 1"), &["`/sse`"]);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx_takes_a_fat_head() {
    let heads = ["`/headers`, 2", "`/headers`, one", "`/headers`, 200"];
    for (door, protocol) in [(Door::Nginx, "fastcgi"), (Door::NginxScgi, "scgi"), (Door::NginxUwsgi, "uwsgi"), (Door::NginxHttp, "proxy")] {
        cures(Setup::new(door).lines(&format!("{protocol}_buffer_size 16k; {protocol}_buffers 8 16k;")), &heads);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn haproxy_passes_logins_on() {
    cures(Setup::new(Door::Haproxy).lines("set-param HTTP_AUTHORIZATION %[req.hdr(authorization)]"), &["`/env`: login"]);
}
