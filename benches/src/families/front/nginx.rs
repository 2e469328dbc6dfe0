//! nginx's configuration: what its own documentation shows for a program on a Unix socket.

use super::{
    Door, Route,
    daemon::{self, Daemon},
    socket,
};
use crate::{context::Context, load::Protocol, report::Result};
use std::{fmt::Write as _, fs, process::Command};

/// Starts nginx with one port for each of its routes.
pub(super) fn start(context: &Context, routes: &[Route<'_>]) -> Result<Daemon> {
    let folder = daemon::folder(context.scratch().join("nginx"))?;
    let (config, log) = (folder.join("nginx.conf"), folder.join("error.log"));
    let routes: Vec<_> = routes.iter().filter(|route| matches!(route.door, Door::Nginx | Door::NginxKept)).collect();
    // Root's sockets are root's alone, and so nginx is here what started it.
    let user = if daemon::user_of_children()?.is_some() { "user root;" } else { "" };
    let folder = folder.display();
    let mut text = format!(
        "daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {} warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  fastcgi_temp_path {folder}/fastcgi;
  proxy_temp_path {folder}/proxy;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
",
        log.display()
    );
    for route in &routes {
        let port = route.port;
        let _ = writeln!(text, "  upstream app{port} {{ server unix:{}; {} }}", socket(route.peer).display(), keepalive(route.door));
        let _ = writeln!(text, "  server {{ listen 127.0.0.1:{port}; location / {{ {} }} }}", pass(route));
    }
    text.push_str("}\n");
    fs::write(&config, text)?;
    let port = routes.first().ok_or("no peer can be behind nginx")?.port;
    let mut command = Command::new("/usr/sbin/nginx");
    // What goes wrong before the configuration is read is written to the same log.
    Daemon::start(context, command.arg("-e").arg(&log).arg("-c").arg(&config), &log, port)
}

fn keepalive(door: Door) -> &'static str {
    if door == Door::NginxKept { "keepalive 32; keepalive_requests 1000000000;" } else { "" }
}

fn pass(route: &Route<'_>) -> String {
    let port = route.port;
    let kept = route.door == Door::NginxKept;
    if route.peer.protocol == Protocol::Http {
        let kept = if kept { "proxy_http_version 1.1; proxy_set_header Connection \"\";" } else { "" };
        return format!("proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; {kept} proxy_pass http://app{port};");
    }
    let kept = if kept { "fastcgi_keep_conn on;" } else { "" };
    let script = &route.peer.script;
    format!("include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {script}; {kept} fastcgi_pass app{port};")
}
