//! Apache's configuration for a test: as small as it gets, with `AllowOverride All`, so that the `.htaccess` decides.

use std::fs;
use std::process::Command;

use super::door::Door;
use super::process;
use super::site::{SUEXEC_USER, Site, WEB_SERVER_USER};

/// Apache in the foreground. `lines` are added to its configuration, before what makes the door, since the first `ProxyPass` counts.
pub(crate) fn command(site: &Site, port: u16, door: Door, lines: &str) -> Command {
    let file = site.root().join("apache.conf");
    fs::write(&file, configuration(site, port, door, lines)).unwrap();
    let mut command = Command::new(process::installed("/usr/sbin/apache2"));
    command.arg("-DFOREGROUND").arg("-f").arg(file);
    command
}

fn configuration(site: &Site, port: u16, door: Door, lines: &str) -> String {
    let (root, run, logs) = (site.root(), site.run(), site.logs());
    let (root, run, logs) = (root.display(), run.display(), logs.display());
    let docroot = site.docroot();
    let docroot = docroot.display();
    let modules = modules(door);
    let user = if process::is_root() { format!("User {WEB_SERVER_USER}\nGroup {WEB_SERVER_USER}") } else { String::new() };
    let door = lines_of(door, site);
    format!(
        r#"ServerRoot "{root}"
DefaultRuntimeDir "{run}"
PidFile "{run}/apache.pid"
Mutex file:{run} default
ServerName localhost
Listen 127.0.0.1:{port}
{modules}
{user}
TypesConfig /dev/null
ErrorLog "{logs}/error.log"
LogLevel warn
# Five seconds by default. Apache shows a response that broke off only after them.
KeepAliveTimeout 1
<IfModule mpm_event_module>
  StartServers 1
  MinSpareThreads 1
</IfModule>
<Directory "/">
  AllowOverride None
  Require all denied
</Directory>
DocumentRoot "{docroot}"
<Directory "{docroot}">
  AllowOverride All
  Require all granted
</Directory>
{lines}
{door}
"#
    )
}

/// The line that loads one of the modules that Debian ships.
pub(crate) fn load(module: &str) -> String {
    format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n")
}

fn modules(door: Door) -> String {
    let own: &[&str] = match door {
        // In the order in which Debian loads them, which is the order in which they are asked.
        Door::Fcgid => &["mpm_event", "authn_core", "auth_basic", "fcgid"],
        Door::FcgidSuexec => &["mpm_event", "fcgid", "suexec"],
        Door::Cgid => &["mpm_event", "cgid"],
        Door::Cgi => &["mpm_prefork", "cgi"],
        Door::ProxyScgi => &["mpm_event", "proxy", "proxy_scgi"],
        Door::ProxyUwsgi => &["mpm_event", "proxy", "proxy_uwsgi"],
        Door::ProxyHttp => &["mpm_event", "proxy", "proxy_http", "headers"],
        Door::PassengerFile | Door::PassengerNode => &["mpm_event", "passenger"],
        _ => &["mpm_event", "proxy", "proxy_fcgi"],
    };
    let always = ["authz_core", "dir", "mime", "env", "setenvif", "alias", "rewrite"];
    own.iter().chain(&always).map(|module| load(module)).collect()
}

/// Where mod_cgid's own process is reached.
pub(crate) fn cgid_socket(site: &Site) -> String {
    format!("ScriptSock \"{}/cgid.sock\"\n", site.run().display())
}

fn lines_of(door: Door, site: &Site) -> String {
    let run = site.run();
    let run = run.display();
    let fcgid = format!("LogLevel warn fcgid:info\nFcgidIPCDir \"{run}/fcgid\"\nFcgidProcessTableFile \"{run}/fcgid_shm\"\nFcgidConnectTimeout 20\n");
    match door {
        // A Suexec that is there but does not fit the user who runs the tests would end mod_fcgid's own process.
        Door::Fcgid => format!("Suexec Off\n{fcgid}"),
        Door::FcgidSuexec => format!("SuexecUserGroup {SUEXEC_USER} {SUEXEC_USER}\n{fcgid}"),
        Door::Cgid => cgid_socket(site),
        Door::Cgi => String::new(),
        Door::ProxyScgi => proxy_pass(site, "scgi"),
        Door::ProxyUwsgi => proxy_pass(site, "uwsgi"),
        Door::ProxyHttp => {
            format!("ProxyPreserveHost On\nRequestHeader set X-Forwarded-Proto expr=%{{REQUEST_SCHEME}}\n{}", proxy_pass(site, "http"))
        }
        Door::PassengerFile => passenger(site),
        Door::PassengerNode => passenger(site) + &passenger_node(site),
        _ => proxy_pass(site, "fcgi"),
    }
}

/// What every host with Passenger says in its configuration; the rest keeps a test to itself.
fn passenger(site: &Site) -> String {
    let (run, logs) = (site.run(), site.logs());
    let (run, logs) = (run.display(), logs.display());
    format!(
        "PassengerRoot /usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini\n\
         PassengerInstanceRegistryDir \"{run}\"\n\
         PassengerSpawnDir \"{run}\"\n\
         PassengerDataBufferDir \"{run}\"\n\
         PassengerLogFile \"{logs}/passenger.log\"\n\
         PassengerDisableSecurityUpdateCheck On\n\
         PassengerDisableAnonymousTelemetry On\n"
    )
}

fn passenger_node(site: &Site) -> String {
    let root = site.root().display();
    format!(
        "PassengerAppRoot \"{root}\"\n\
         PassengerAppType node\n\
         PassengerStartupFile app.js\n\
         PassengerNodejs \"{root}/app/testapp\"\n"
    )
}

fn proxy_pass(site: &Site, scheme: &str) -> String {
    let socket = site.socket();
    format!("ProxyPass \"/\" \"unix:{}|{scheme}://localhost/\"\n", socket.display())
}
