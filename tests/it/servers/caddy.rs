//! Caddy's configuration for a test.

use std::fs;
use std::process::Command;

use super::door::Door;
use super::process;
use super::server::as_web_server;
use super::site::Site;

/// Caddy in the foreground. `lines` are added to what follows `transport fastcgi`.
pub(crate) fn command(site: &Site, port: u16, _door: Door, lines: &str) -> Command {
    let file = site.root().join("Caddyfile");
    fs::write(&file, configuration(site, port, lines)).unwrap();
    let run = site.run();
    // It keeps files of its own, in the home of the user unless it is told otherwise.
    let mut command = Command::new("env");
    command.arg(format!("XDG_CONFIG_HOME={}", run.display())).arg(format!("XDG_DATA_HOME={}", run.display()));
    command.arg(process::installed("/usr/bin/caddy")).args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    as_web_server(command)
}

fn configuration(site: &Site, port: u16, lines: &str) -> String {
    let socket = site.socket();
    let socket = socket.display();
    format!(
        r#"{{
	admin off
	auto_https off
}}
http://:{port} {{
	bind 127.0.0.1
	reverse_proxy unix/{socket} {{
		transport fastcgi {{
			capture_stderr
			{lines}
		}}
	}}
}}
"#
    )
}
