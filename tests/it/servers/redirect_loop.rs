//! A site that sends everybody to https and to one host, behind an nginx that ends TLS: visitors arrive, however they come in, and nobody goes round in circles.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::door::Door;
use super::nginx;
use super::process::Running;
use super::server::{Server, Setup, wait_until_listening};
use super::site::Site;
use crate::ports;

const CONFIG: &str = r#"
[[site]]
hosts          = ["shop.example", "www.shop.example"]
canonical-host = true
https          = "redirect"

  [[site.route]]
  path    = "/"
  respond = "the shop\n"
"#;

/// The variables of FastCGI but those by which Debian's list says that there is TLS.
const PLAIN_PARAMS: &str = "fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param REQUEST_URI $request_uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param SERVER_SOFTWARE nginx/$nginx_version;
      fastcgi_param SERVER_NAME $server_name;
      fastcgi_param SERVER_ADDR 192.0.2.10;
      fastcgi_param SERVER_PORT 80;";

/// An nginx that ends TLS, with the same `location` for both schemes.
struct Front {
    web: Running,
    site: Site,
    http: u16,
    https: u16,
}

impl Front {
    fn start(location: &str) -> Self {
        let site = Site::new();
        make_certificate(&site);
        let root = site.root().display();
        for _ in 0..5 {
            let (http, https) = (ports::free(), ports::free());
            let servers = format!(
                "server {{
    listen 127.0.0.1:{http};
    listen 127.0.0.1:{https} ssl;
    ssl_certificate {root}/cert.pem;
    ssl_certificate_key {root}/key.pem;
    location / {{
      {location}
    }}
  }}"
            );
            let mut web = Running::start(&nginx::command_with(&site, &servers), &site.logs().join("output.log"));
            if wait_until_listening(&mut web, &site, https) {
                return Self { web, site, http, https };
            }
        }
        panic!("no ports of five were free: {}", site.log_text());
    }

    /// Goes where a browser would go, at most ten steps.
    fn visit(&self, url: &str) -> Visit {
        let head = self.site.root().join("head.txt");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--disable", "--noproxy", "*", "--max-time", "60", "--location", "--max-redirs", "10"])
            .args(["--connect-to", &format!("::127.0.0.1:{}", self.http)])
            .arg("--dump-header")
            .arg(&head)
            .arg("--cacert")
            .arg(self.site.root().join("cert.pem"))
            .args(["--write-out", "\\n%{http_code} %{url_effective}"])
            .arg(url);
        // The first that fits counts.
        let to_https = |host: &str| format!("{host}:443:127.0.0.1:{}", self.https);
        let https = ["shop.example", "www.shop.example"].map(to_https);
        let mut command = Command::new("curl");
        for rule in &https {
            command.args(["--connect-to", rule]);
        }
        command.args(curl.get_args());
        let output = command.output().unwrap_or_else(|error| panic!("curl (package curl): {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, end) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{url}: {}", String::from_utf8_lossy(&output.stderr)));
        let head = fs::read_to_string(head).unwrap();
        let steps = head.lines().filter_map(|line| line.split_once(": ")).filter(|(name, _)| name.eq_ignore_ascii_case("location"));
        Visit { end: end.to_owned(), body: body.to_owned(), steps: steps.map(|(_, to)| to.to_owned()).collect() }
    }
}

/// What became of a visit.
#[derive(Debug)]
struct Visit {
    /// Status and address of the last page.
    end: String,
    body: String,
    /// Where the visitor was sent, in order.
    steps: Vec<String>,
}

fn make_certificate(site: &Site) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=shop.example"])
        .args(["-addext", "subjectAltName=DNS:shop.example,DNS:www.shop.example"])
        .arg("-keyout")
        .arg(site.root().join("key.pem"))
        .arg("-out")
        .arg(site.root().join("cert.pem"))
        .output()
        .unwrap_or_else(|error| panic!("openssl (package openssl): {error}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[track_caller]
fn everybody_arrives(name: &str, server: &Server, location: &str) {
    let mut front = Front::start(location);
    for (from, steps) in [
        ("https://shop.example", 0),
        ("https://www.shop.example", 1),
        ("http://shop.example", 1),
        ("http://www.shop.example", 1),
        // Names are as good in capitals.
        ("http://WWW.Shop.Example", 1),
    ] {
        let visit = front.visit(&format!("{from}/a%20b/?x=%2F"));
        assert_eq!(visit.end, "200 https://shop.example/a%20b/?x=%2F", "{name}, from {from}: {visit:?}\n{}", server.site.log_text());
        assert_eq!(visit.body, "the shop\n", "{name}, from {from}");
        assert_eq!(visit.steps.len(), steps, "{name}, from {from}: {visit:?}");
        assert!(visit.steps.iter().all(|to| to.starts_with("https://")), "{name}: nobody is sent away from TLS: {visit:?}");
    }
    assert!(front.web.ended().is_none());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn over_http_behind_a_front_that_ends_tls() {
    let server = Setup::new(Door::NginxHttp).stock(CONFIG).start();
    let pass = format!("proxy_set_header Host $http_host;\nproxy_pass http://unix:{};", server.site.socket().display());
    // What other fronts say in its place.
    for told in ["X-Forwarded-Proto $scheme", "X-Forwarded-Ssl $https", "Front-End-Https $https", "Forwarded \"for=192.0.2.1;proto=$scheme\""] {
        everybody_arrives(told, &server, &format!("proxy_set_header {told};\n{pass}"));
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn over_fastcgi_behind_a_front_that_ends_tls() {
    let server = Setup::new(Door::Nginx).stock(CONFIG).start();
    let pass = format!("fastcgi_pass unix:{};", server.site.socket().display());
    everybody_arrives("Debian's parameters", &server, &format!("include {};\n{pass}", nginx::PARAMS));
    // An address that is believed without a word, and one that is not believed: neither may end in a circle.
    for address in ["127.0.0.1", "203.0.113.7"] {
        let told = format!("fastcgi_param REMOTE_ADDR {address};\nfastcgi_param HTTP_X_FORWARDED_PROTO $scheme;\n{PLAIN_PARAMS}\n{pass}");
        everybody_arrives(&format!("no HTTPS, from {address}"), &server, &told);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn behind_apache_behind_a_front_that_ends_tls() {
    let server = Setup::new(Door::Fcgid).stock(CONFIG).start();
    let pass = format!(
        "proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_pass http://127.0.0.1:{};",
        server.port
    );
    everybody_arrives("nginx, Apache, mod_fcgid", &server, &pass);
}

/// What stands behind `Host:`, and what a redirect must not make an address of.
const ODD_HOSTS: [&str; 27] = [
    "SHOP.example",
    "www.shop.example.",
    "WWW.Shop.Example:8080",
    "evil.example",
    "shop.example.evil.example",
    "evilshop.example",
    "shop.example@evil.example",
    "evil.example@shop.example",
    "shop.example:80@evil.example",
    "shop.example:443:evil.example",
    "shop.example:evil.example",
    "shop.example:99999",
    "shop.example:-1",
    "shop.example:",
    "shop.example..",
    ".shop.example",
    "shop.example/evil",
    "shop.example\\evil.example",
    "shop.example#evil.example",
    "shop.example?evil.example",
    "shop.example evil.example",
    "shop.example, evil.example",
    "shop.example%00.evil.example",
    "www.shop.example\r\nHost: evil.example",
    "evil.example\r\nHost: www.shop.example",
    "[::1]",
    "[::1",
];

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nobody_is_sent_to_a_host_that_the_site_does_not_have() {
    for door in [Door::Fcgid, Door::ProxyFcgi, Door::Nginx, Door::NginxHttp] {
        let server = Setup::new(door).stock(CONFIG).start();
        let mut sent_on = 0;
        for (host, more) in ODD_HOSTS.iter().flat_map(|host| [(host, ""), (host, "X-Forwarded-Host: evil.example\r\n")]) {
            let question = format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n");
            let mut answers = vec![answer(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap(), &question)];
            if door == Door::NginxHttp {
                answers.push(answer(UnixStream::connect(server.site.socket()).unwrap(), &question));
            }
            for answer in answers {
                let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
                let location = head.lines().find_map(|line| line.strip_prefix("location: "));
                assert!(location.is_none_or(|to| to == "https://shop.example/x"), "{door:?} {host:?}: {head}");
                let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
                assert!((300..500).contains(&status), "{door:?} {host:?}: {answer}");
                sent_on += usize::from(location.is_some());
            }
        }
        assert!(sent_on > 0, "{door:?}: some of them are another spelling of the site's own");
        assert!(!server.site.log_text().contains("panicked"), "{}", server.site.log_text());
    }
}

fn answer(mut stream: impl Read + Write, question: &str) -> String {
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
