//! What a visitor says of himself is not believed over HTTP either, with a web server that is set up as the page for site owners says.

use super::door::Door;
use super::server::Setup;

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_visitor_cannot_choose_his_address_his_scheme_or_the_host() {
    for door in [Door::NginxHttp, Door::ProxyHttp] {
        let server = Setup::new(door).start();
        let forged =
            ["X-Forwarded-For: 192.0.2.66", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "Forwarded: for=192.0.2.66;proto=https"];
        let ask = forged.iter().fold(server.ask("/env"), |ask, header| ask.header(header));
        let env = ask.send().json();
        assert_eq!(env["scheme"], "http", "{door:?}");
        assert_eq!(env["host"], format!("127.0.0.1:{}", server.port), "{door:?}");
        assert_eq!(env["remote"], "127.0.0.1:0", "{door:?}");
    }
}
