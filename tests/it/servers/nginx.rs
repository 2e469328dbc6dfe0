//! nginx's configuration for a test: what Debian's page about `fastcgi_pass` shows, in a folder of its own.

use std::fs;
use std::process::Command;

use super::door::Door;
use super::process;
use super::site::{Site, WEB_SERVER_USER};

/// The variables that nginx sends, as Debian ships them.
pub(crate) const PARAMS: &str = "/etc/nginx/fastcgi_params";

/// nginx in the foreground. `lines` are added to the location that passes everything on.
pub(crate) fn command(site: &Site, port: u16, door: Door, lines: &str) -> Command {
    command_with(site, &server(site, port, door, lines))
}

/// nginx with any servers.
pub(crate) fn command_with(site: &Site, servers: &str) -> Command {
    let file = site.root().join("nginx.conf");
    fs::write(&file, configuration(site, servers)).unwrap();
    let mut command = Command::new(process::installed("/usr/sbin/nginx"));
    // What goes wrong before the configuration is read is written here too.
    command.arg("-e").arg(site.logs().join("error.log"));
    command.arg("-c").arg(file);
    command
}

fn server(site: &Site, port: u16, door: Door, lines: &str) -> String {
    let socket = site.socket();
    let socket = socket.display();
    let pass = match door {
        Door::NginxKeepConn => format!("include {PARAMS};\n      fastcgi_pass app;\n      fastcgi_keep_conn on;"),
        Door::NginxScgi => "include /etc/nginx/scgi_params;\n      scgi_pass app;".to_owned(),
        Door::NginxUwsgi => "include /etc/nginx/uwsgi_params;\n      uwsgi_pass app;".to_owned(),
        Door::NginxHttp => "proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header Connection \"\";
      proxy_pass http://app;"
            .to_owned(),
        _ => format!("include {PARAMS};\n      fastcgi_pass app;"),
    };
    format!(
        r#"upstream app {{
    server unix:{socket};
    keepalive 4;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      {pass}
      {lines}
    }}
  }}"#
    )
}

fn configuration(site: &Site, servers: &str) -> String {
    let (run, logs) = (site.run(), site.logs());
    let (run, logs) = (run.display(), logs.display());
    let user = if process::is_root() { format!("user {WEB_SERVER_USER};") } else { String::new() };
    format!(
        r#"daemon off;
{user}
worker_processes 1;
pid {run}/nginx.pid;
error_log {logs}/error.log info;
events {{}}
http {{
  access_log off;
  client_body_temp_path {run}/body;
  fastcgi_temp_path {run}/fastcgi;
  proxy_temp_path {run}/proxy;
  scgi_temp_path {run}/scgi;
  uwsgi_temp_path {run}/uwsgi;
  # The program has limits of its own, and some tests send a gigabyte.
  client_max_body_size 0;
  {servers}
}}
"#
    )
}
