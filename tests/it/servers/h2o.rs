//! h2o's configuration for a test.

use std::fs;
use std::process::Command;

use super::door::Door;
use super::process;
use super::site::{Site, WEB_SERVER_USER};

/// h2o in the foreground. `lines` are added to what it is told of the path that holds everything.
pub(crate) fn command(site: &Site, port: u16, _door: Door, lines: &str) -> Command {
    let file = site.root().join("h2o.conf");
    fs::write(&file, configuration(site, port, lines)).unwrap();
    let mut command = Command::new(process::installed("/usr/bin/h2o"));
    command.args(["-m", "worker", "-c"]).arg(file);
    command
}

fn configuration(site: &Site, port: u16, lines: &str) -> String {
    let (logs, run, socket) = (site.logs(), site.run(), site.socket());
    let (logs, run, socket) = (logs.display(), run.display(), socket.display());
    let user = if process::is_root() { format!("user: {WEB_SERVER_USER}") } else { String::new() };
    format!(
        r#"{user}
num-threads: 1
error-log: {logs}/error.log
temp-buffer-path: {run}
listen:
  host: 127.0.0.1
  port: {port}
hosts:
  default:
    paths:
      "/":
        fastcgi.connect:
          port: {socket}
          type: unix
        {lines}
"#
    )
}
