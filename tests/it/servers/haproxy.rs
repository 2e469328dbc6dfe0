//! HAProxy's configuration for a test.

use std::fs;
use std::process::Command;

use super::door::Door;
use super::process;
use super::site::{Site, WEB_SERVER_USER};

/// HAProxy in the foreground. `lines` are added to what it is told of the application.
pub(crate) fn command(site: &Site, port: u16, door: Door, lines: &str) -> Command {
    let file = site.root().join("haproxy.cfg");
    fs::write(&file, configuration(site, port, door, lines)).unwrap();
    let mut command = Command::new(process::installed("/usr/sbin/haproxy"));
    command.arg("-db").arg("-f").arg(file);
    command
}

fn configuration(site: &Site, port: u16, door: Door, lines: &str) -> String {
    let (docroot, socket) = (site.docroot(), site.socket());
    let (docroot, socket) = (docroot.display(), socket.display());
    let user = if process::is_root() { format!("user {WEB_SERVER_USER}\n  group {WEB_SERVER_USER}") } else { String::new() };
    let options = match door {
        Door::HaproxyMpxs => "option keep-conn\n  option mpxs-conns",
        Door::HaproxyGetValues => "option keep-conn\n  option mpxs-conns\n  option get-values",
        _ => "option keep-conn",
    };
    format!(
        r#"global
  log stdout format raw local0
  nbthread 1
  # Otherwise two of them could share a port.
  noreuseport
  {user}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend web
  bind 127.0.0.1:{port}
  default_backend app
backend app
  use-fcgi-app lodger
  server app unix@{socket} proto fcgi
fcgi-app lodger
  log-stderr global
  docroot {docroot}
  {options}
  {lines}
"#
    )
}
