//! lighttpd's configuration for a test.

use std::fs;
use std::process::Command;

use super::door::Door;
use super::process;
use super::site::{Site, WEB_SERVER_USER};

/// lighttpd in the foreground. `lines` are added to its configuration.
pub(crate) fn command(site: &Site, port: u16, door: Door, lines: &str) -> Command {
    let file = site.root().join("lighttpd.conf");
    fs::write(&file, configuration(site, port, door, lines)).unwrap();
    let mut command = Command::new(process::installed("/usr/sbin/lighttpd"));
    command.arg("-D").arg("-f").arg(file);
    command
}

fn configuration(site: &Site, port: u16, door: Door, lines: &str) -> String {
    let (run, docroot) = (site.run(), site.docroot());
    let (run, docroot) = (run.display(), docroot.display());
    let user =
        if process::is_root() { format!("server.username = \"{WEB_SERVER_USER}\"\nserver.groupname = \"{WEB_SERVER_USER}\"") } else { String::new() };
    let door = match door {
        Door::LighttpdCgi => cgi(),
        Door::LighttpdScgi => started_by_lighttpd(site, "scgi"),
        _ => started_by_lighttpd(site, "fastcgi"),
    };
    format!(
        r#"server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{docroot}"
server.upload-dirs = ("{run}")
{user}
{door}
{lines}
"#
    )
}

fn started_by_lighttpd(site: &Site, protocol: &str) -> String {
    let (run, docroot) = (site.run(), site.docroot());
    let (run, docroot) = (run.display(), docroot.display());
    format!(
        r#"server.modules = ("mod_{protocol}")
{protocol}.server = ("/" => ((
  "bin-path" => "{docroot}/app.fcgi",
  "socket" => "{run}/app.sock",
  "max-procs" => 1,
  "check-local" => "disable",
  "fix-root-scriptname" => "enable",
)))"#
    )
}

fn cgi() -> String {
    r#"server.modules = ("mod_rewrite", "mod_cgi")
url.rewrite-once = ("^/(?!app\.cgi)(.*)$" => "/app.cgi/$1")
cgi.assign = (".cgi" => "")"#
        .to_owned()
}
