//! Apache's configuration: a virtual host for each program, rewritten to it as the `.htaccess` samples do.

use super::{
    Door, Route,
    daemon::{self, Daemon},
    processes, socket,
};
use crate::{context::Context, peers, report::Result};
use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

const MODULES: &str = "/usr/lib/apache2/modules";

/// Starts Apache with one port for each of its routes, and notes the programs that it will start.
pub(super) fn start(context: &Context, routes: &mut [Route<'_>]) -> Result<Daemon> {
    // Apache's children run as another user: they have to reach the sockets.
    fs::set_permissions(context.scratch(), fs::Permissions::from_mode(0o755))?;
    let root = daemon::folder(context.scratch().join("apache"))?;
    let run = daemon::folder(root.join("run"))?;
    let log = root.join("error.log");
    let mut user = String::new();
    if let Some(name) = daemon::user_of_children()? {
        user = format!("User {name}\nGroup {name}\n");
        chown(&run, Some(id("--user", name)?), Some(id("--group", name)?))?;
    }
    let mut text = configuration(&root, &run, &log, &user, processes(context));
    let mut first = None;
    for route in routes.iter_mut().filter(|route| matches!(route.door, Door::ModFcgid | Door::ModProxyHttp)) {
        let port = route.port;
        first = first.or(Some(port));
        let host = if route.door == Door::ModFcgid { fcgid(&root, route)? } else { proxied(route)? };
        let _ = write!(text, "Listen 127.0.0.1:{port}\n<VirtualHost 127.0.0.1:{port}>\n{host}</VirtualHost>\n");
    }
    let config = root.join("apache.conf");
    fs::write(&config, text)?;
    let mut command = Command::new("/usr/sbin/apache2");
    Daemon::start(context, command.arg("-DFOREGROUND").arg("-f").arg(config), &log, first.ok_or("no peer can be behind Apache")?)
}

fn id(kind: &str, user: &str) -> Result<u32> {
    Ok(peers::said(Command::new("id").arg(kind).arg(user))?.parse()?)
}

/// What is the same for all. mod_fcgid counts starts against a limit on how fast they may follow each other, which is for programs that crash.
fn configuration(root: &Path, run: &Path, log: &Path, user: &str, processes: usize) -> String {
    let modules = ["mpm_event", "authz_core", "rewrite", "mime", "fcgid", "proxy", "proxy_http"];
    let modules: String = modules.iter().map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).collect();
    let (root, run, log) = (root.display(), run.display(), log.display());
    format!(
        "ServerRoot \"{root}\"
DefaultRuntimeDir \"{run}\"
PidFile \"{run}/apache.pid\"
Mutex file:{run} default
ServerName localhost
{modules}{user}TypesConfig /dev/null
ErrorLog \"{log}\"
LogLevel warn
StartServers 1
MinSpareThreads 1
KeepAlive On
KeepAliveTimeout 60
MaxKeepAliveRequests 0
<Directory \"/\">
  AllowOverride None
  Require all granted
</Directory>
Suexec Off
FcgidIPCDir \"{run}/fcgid\"
FcgidProcessTableFile \"{run}/fcgid_shm\"
FcgidMaxProcesses 1000
FcgidMaxProcessesPerClass {processes}
FcgidMinProcessesPerClass {processes}
FcgidIdleTimeout 3600
FcgidSpawnScoreUpLimit 1000
FcgidProcessLifeTime 0
FcgidMaxRequestsPerProcess 0
FcgidInitialEnv PHP_FCGI_MAX_REQUESTS 0
"
    )
}

/// A site with a program of its own, which is a copy, so that its processes are told from others of the same program.
fn fcgid(root: &Path, route: &mut Route<'_>) -> Result<String> {
    let site = daemon::folder(root.join(format!("site{}", route.port)))?;
    let php = route.peer.script.ends_with(".php");
    let (original, copy) =
        if php { (fs::canonicalize("/usr/bin/php-cgi")?, site.join("php-cgi")) } else { (executable(route)?, site.join("app.fcgi")) };
    fs::copy(original, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    let (script, wrapper) = if php {
        fs::copy(&route.peer.script, site.join("hello.php"))?;
        let options = peers::PHP_OPTIONS.join(" ");
        ("hello.php", format!("  FcgidWrapper \"{} {options}\" .php\n", copy.display()))
    } else {
        ("app.fcgi", String::new())
    };
    route.started = Some(fs::canonicalize(copy)?);
    let (pattern, site) = (script.replace('.', "\\."), site.display());
    Ok(format!(
        "DocumentRoot \"{site}\"
<Directory \"{site}\">
  Options +ExecCGI +FollowSymLinks
  AddHandler fcgid-script .fcgi .php
{wrapper}  RewriteEngine On
  RewriteRule ^{pattern}(/|$) - [L]
  RewriteRule ^ {script} [L]
</Directory>
"
    ))
}

/// The program of a peer, as the running process knows it.
fn executable(route: &Route<'_>) -> Result<PathBuf> {
    Ok(fs::read_link(format!("/proc/{}/exe", route.peer.one.pid()))?)
}

fn proxied(route: &Route<'_>) -> Result<String> {
    let socket = socket(route.peer);
    fs::set_permissions(socket, fs::Permissions::from_mode(0o777))?;
    Ok(format!("ProxyPreserveHost On\nProxyPass \"/\" \"unix:{}|http://localhost/\"\n", socket.display()))
}
