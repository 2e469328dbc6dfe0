//! Events behind web servers that collect a response first: padded by an app that asks for it, they are seen when they are sent.

use super::client::watch_events;
use super::door::Door;
use super::server::Setup;

/// All that is needed for a program that answers everything itself.
const EVERYTHING_TO_THE_PROGRAM: &str =
    "Options +ExecCGI\nAddHandler fcgid-script .fcgi\nRewriteEngine On\nRewriteRule ^app\\.fcgi$ - [L]\nRewriteRule ^ app.fcgi [L]\n";

fn spread(door: Door, path: &str) -> u128 {
    let setup = Setup::new(door);
    let server = if door.program().is_some() { setup.htaccess(EVERYTHING_TO_THE_PROGRAM).start() } else { setup.start() };
    let seen = watch_events(server.port, path, 4);
    (seen[3] - seen[0]).as_millis()
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn padded_events_are_seen_when_they_are_sent() {
    for door in [Door::Fcgid, Door::ProxyFcgi, Door::Nginx] {
        let spread = spread(door, "/sse?n=4&ms=500&pad=1");
        assert!(spread > 750, "{door:?}: events within {spread} ms");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn without_padding_apache_keeps_them_until_the_end() {
    for door in [Door::Fcgid, Door::ProxyFcgi] {
        let spread = spread(door, "/sse?n=4&ms=500");
        assert!(spread < 750, "{door:?}: events within {spread} ms, so padding is not needed any more");
    }
}
