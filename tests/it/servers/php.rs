//! `fastcgi` with a real PHP-FPM behind it, and a real Apache or nginx before it: what every host with PHP has, with the site file in the place of its rules.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::door::Door;
use super::process::{self, Running};
use super::server::{Server, Setup};
use super::site::{Site, WEB_SERVER_USER};

/// Says what it was told, by which script, and what came as the body.
const ECHO: &str = r#"<?php
header('X-Script: ' . basename(__FILE__));
http_response_code((int) ($_GET['status'] ?? 200));
echo json_encode([
    'script' => basename($_SERVER['SCRIPT_FILENAME']),
    'script_name' => $_SERVER['SCRIPT_NAME'],
    'path_info' => $_SERVER['PATH_INFO'] ?? '',
    'uri' => $_SERVER['REQUEST_URI'],
    'query' => $_SERVER['QUERY_STRING'],
    'method' => $_SERVER['REQUEST_METHOD'],
    'host' => $_SERVER['HTTP_HOST'] ?? '',
    'remote' => $_SERVER['REMOTE_ADDR'] ?? '',
    'root' => $_SERVER['DOCUMENT_ROOT'] ?? '',
    'login' => $_SERVER['PHP_AUTH_USER'] ?? '',
    'body' => md5(file_get_contents('php://input')),
    'length' => strlen(file_get_contents('php://input')),
]);
"#;

/// What is never to be run; only PHP makes that word of it.
const RUNS: &str = "<?php echo 'R' . 'U' . 'N';";

/// Debian's program bears the version in its name.
fn php_fpm() -> PathBuf {
    let programs = fs::read_dir("/usr/sbin").unwrap().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = programs.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("php-fpm"))).collect();
    found.sort();
    found.pop().expect("there is no /usr/sbin/php-fpm…: scripts/setup installs it")
}

/// A pool of PHP-FPM, and a site whose every path is PHP's. The order of the fields is the order in which they go.
struct Php {
    server: Server,
    fpm: Running,
}

impl Php {
    fn start(door: Door) -> Self {
        let site = Site::new();
        let php = site.root().join("php");
        site.write_at(&php.join("index.php"), ECHO);
        site.write_at(&php.join("other.php"), ECHO);
        site.write_at(&php.join("blog/index.php"), ECHO);
        // What a visitor uploaded: a picture with code in it.
        site.write_at(&php.join("image.jpg"), RUNS);
        site.write_at(&site.root().join("outside.php"), RUNS);
        site.write_at(&php.join(".hidden.php"), RUNS);
        let fpm = start_fpm(&site);
        let config = format!("[[site]]\n[[site.route]]\npath = \"/\"\nfastcgi = \"unix:{}\"\nroot = \"../php\"\n", socket(&site).display());
        let setup = Setup::new(door).stock(&config);
        // mod_fcgid takes 128 KiB by default.
        let setup = if door == Door::Fcgid { setup.lines("FcgidMaxRequestLen 1073741824") } else { setup };
        Self { server: setup.start_in(site), fpm }
    }

    #[track_caller]
    fn told(&self, path: &str) -> serde_json::Value {
        let answer = self.server.get(path);
        assert_eq!(answer.status, 200, "{path}: {}\n{}", answer.text(), self.server.site.log_text());
        answer.json()
    }
}

fn socket(site: &Site) -> PathBuf {
    site.run().join("php.sock")
}

fn start_fpm(site: &Site) -> Running {
    let (logs, socket) = (site.logs(), socket(site));
    // Only root may choose whose processes they are.
    let user = if process::is_root() { format!("user = {WEB_SERVER_USER}\nlisten.owner = {WEB_SERVER_USER}\n") } else { String::new() };
    let lines = format!(
        "[global]\nerror_log = {}/php-fpm.log\ndaemonize = no\n[site]\n{user}listen = {}\npm = static\npm.max_children = 2\n",
        logs.display(),
        socket.display()
    );
    let config = site.root().join("php-fpm.conf");
    fs::write(&config, lines).unwrap();
    let mut command = Command::new(php_fpm());
    // `cgi.fix_pathinfo` is 1 by default, which is what makes `/image.jpg/x.php` dangerous.
    command.args(["--no-php-ini", "--fpm-config"]).arg(config);
    let fpm = Running::start(&command, &logs.join("output.log"));
    process::wait_for("the socket of PHP-FPM", || socket.exists().then_some(()));
    fpm
}

const DOORS: [Door; 3] = [Door::Fcgid, Door::Nginx, Door::NginxHttp];

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn scripts_of_php_fpm_are_told_what_they_need() {
    for door in DOORS {
        let php = Php::start(door);
        let other = php.told("/other.php?a=%2F&b");
        assert_eq!((&other["script"], &other["script_name"]), (&"other.php".into(), &"/other.php".into()), "{door:?}");
        assert_eq!((&other["uri"], &other["query"]), (&"/other.php?a=%2F&b".into(), &"a=%2F&b".into()), "{door:?}");
        assert_eq!((&other["method"], &other["remote"]), (&"GET".into(), &"127.0.0.1".into()), "{door:?}");
        assert!(other["root"].as_str().unwrap().ends_with("/php"), "{door:?}: {other}");
        let below = php.told("/other.php/a/b%20c");
        assert_eq!((&below["script_name"], &below["path_info"]), (&"/other.php".into(), &"/a/b c".into()), "{door:?}");
        // A folder is its index, and what is not there is the front controller's.
        for (path, name) in [("/", "/index.php"), ("/blog/", "/blog/index.php"), ("/posts/7?x=1", "/index.php")] {
            let told = php.told(path);
            assert_eq!((&told["script_name"], &told["uri"]), (&name.into(), &path.into()), "{door:?}");
        }
        let status = php.server.get("/other.php?status=418");
        assert_eq!((status.status, status.header("x-script")), (418, Some("other.php")), "{door:?}");
        let login = php.server.ask("/other.php").arg("--user").arg("somebody:word").send();
        assert_eq!(login.json()["login"], "somebody", "{door:?}");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn bodies_reach_php_fpm_whole() {
    let body = vec![b'y'; 3_000_000];
    for door in DOORS {
        let mut php = Php::start(door);
        for chunked in [false, true] {
            let ask = php.server.ask("/other.php").body(body.clone());
            let answer = if chunked { ask.header("Transfer-Encoding: chunked") } else { ask }.send();
            assert_eq!(answer.status, 200, "{door:?} chunked: {chunked}: {}", answer.text());
            let told = answer.json();
            assert_eq!(told["length"], body.len(), "{door:?} chunked: {chunked}");
            assert_eq!(told["body"], "67a78c7113fb2ec7a6e783e39c4270ca", "{door:?}");
        }
        assert!(php.fpm.ended().is_none());
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nothing_but_scripts_of_the_root_is_ever_run() {
    for door in DOORS {
        let php = Php::start(door);
        for path in [
            "/image.jpg/x.php",
            "/image.jpg/.php",
            "/image.jpg%00.php",
            "/image.jpg%2fx.php",
            "/image.jpg",
            "/../outside.php",
            "/%2e%2e/outside.php",
            "/..%2foutside.php",
            "/.hidden.php",
            "/%2ehidden.php",
            "//outside.php",
        ] {
            let answer = php.server.get(path);
            assert!(!answer.text().contains("RUN"), "{door:?}: {path}: {}", answer.text());
            assert!(answer.status < 500, "{door:?}: {path}: {}", answer.status);
        }
        // It can still be asked.
        assert_eq!(php.told("/other.php")["script"], "other.php", "{door:?}");
    }
}
