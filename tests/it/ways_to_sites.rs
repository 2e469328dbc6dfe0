//! The stock program with a `lodger.toml`, asked by `lodger request` in every way in.

use crate::sites::WAYS;
use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const CONFIG: &str = r#"
[[site]]
hosts = ["a.example", "www.a.example"]
canonical-host = true
https = "redirect"

  [[site.route]]
  path    = "/"
  respond = "site a\n"

  [[site.route]]
  path    = "/private/"
  respond = "what is locked\n"
  allow   = ["192.0.2.1"]

[[site]]
hosts = ["b.example", "*.b.example"]

  [[site.route]]
  path    = "/"
  respond = "site b\n"
"#;

struct Sites(TempDir);

impl Sites {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("lodger.toml"), CONFIG).unwrap();
        Self(folder)
    }

    /// The body, and what was said about it.
    fn get(&self, via: &str, host: &str, path: &str, headers: &[&str]) -> (String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lodger"));
        command.env_clear().stdin(Stdio::null()).args(["request", "--via", via, "GET", path, "--host", host]);
        command.arg("--config").arg(self.0.path().join("lodger.toml"));
        for header in headers {
            command.args(["-H", header]);
        }
        let output = command.output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn each_host_gets_its_site_every_way() {
    let sites = Sites::new();
    let tls = ["X-Forwarded-Proto: https"];
    for via in WAYS {
        for (host, body) in [("a.example", "site a\n"), ("A.EXAMPLE.", "site a\n"), ("b.example", "site b\n"), ("x.y.b.example", "site b\n")] {
            assert_eq!(sites.get(via, host, "/x", &tls).0, body, "{via} {host}");
        }
        let (page, said) = sites.get(via, "c.example", "/", &tls);
        assert!(said.contains("421 Misdirected Request") && page.contains("LG0401"), "{via}: {said}");
    }
}

#[test]
fn who_came_over_tls_is_never_sent_away_from_it() {
    let sites = Sites::new();
    // Whether the front that says so is believed or not.
    for says in ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "Front-End-Https: on", "Forwarded: for=192.0.2.1;proto=https"] {
        for via in WAYS {
            let (_, said) = sites.get(via, "www.a.example", "/x?y=%2F", &[says]);
            assert!(said.contains("location: https://a.example/x?y=%2F\n"), "{via} {says}: {said}");
        }
    }
}

#[test]
fn an_encoded_slash_is_no_way_around_a_lock() {
    let sites = Sites::new();
    let get = |path: &str| sites.get("fastcgi", "a.example", path, &["X-Forwarded-Proto: https"]);
    for path in ["/private%2Fx", "/private%2f", "/x%2f..%2fprivate/x", "/%2fprivate/x", "/private%2fx/..%2fy", "/%70rivate%2Fx"] {
        let (page, said) = get(path);
        assert!(said.contains("400 Bad Request") && page.contains("LG0403"), "{path}: {said}{page}");
    }
    assert!(get("/private/x").1.contains("403 Forbidden"));
    for path in ["/group%2Fx", "/private%252Fx", "/x/private%2Fx"] {
        assert_eq!(get(path).0, "site a\n", "{path}");
    }
}
