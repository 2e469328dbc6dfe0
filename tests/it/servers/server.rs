//! A web server in front of the test application, running for as long as the value lives.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::apache;
use super::caddy;
use super::client::{self, Ask};
use super::door::{Door, Software};
use super::h2o;
use super::haproxy;
use super::lighttpd;
use super::nginx;
use super::process::{self, Running};
use super::site::{self, Site, WEB_SERVER_USER};
use crate::ports;

/// What is to be started. Everything that is not said is as a site owner would have it.
pub(crate) struct Setup {
    door: Door,
    htaccess: Option<String>,
    lines: String,
    traced: bool,
    starts_program: bool,
    program: Program,
    config: Option<String>,
}

/// What the web server has behind it.
#[derive(Clone, Copy)]
enum Program {
    /// The test application.
    Testapp,
    /// lodger as it is downloaded, which is its `lodger.toml` and nothing else.
    Stock,
}

/// A running web server, the application behind it, and their web space. The order of the fields is the order in which
/// they go: the web server first, so that nobody asks an application that has left.
pub(crate) struct Server {
    web: Running,
    app: Option<Running>,
    pub(crate) door: Door,
    pub(crate) port: u16,
    pub(crate) site: Site,
}

impl Setup {
    pub(crate) fn new(door: Door) -> Self {
        let htaccess = door.sample().map(site::sample);
        Self { door, htaccess, lines: String::new(), traced: false, starts_program: true, program: Program::Testapp, config: None }
    }

    /// Puts a `lodger.toml` beside the program. The program lies in a folder of the web space, so that `../www` is what [`Site::add_www`] makes.
    pub(crate) fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// The stock program in the place of the test application, with this `lodger.toml`.
    pub(crate) fn stock(mut self, config: &str) -> Self {
        self.program = Program::Stock;
        self.config(config)
    }

    /// Another `.htaccess` in the document root.
    pub(crate) fn htaccess(mut self, text: &str) -> Self {
        self.htaccess = Some(text.to_owned());
        self
    }

    /// More lines for the web server's own configuration.
    pub(crate) fn lines(mut self, lines: &str) -> Self {
        self.lines.push_str(lines);
        self.lines.push('\n');
        self
    }

    /// Has strace write down every `bind` and every `execve` of the program and, where it starts it, of the web server.
    pub(crate) fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Leaves the program to the test: somebody else listens on the socket.
    pub(crate) fn without_program(mut self) -> Self {
        self.starts_program = false;
        self
    }

    pub(crate) fn start(self) -> Server {
        let site = if self.door == Door::FcgidSuexec { Site::for_suexec() } else { Site::new() };
        self.start_in(site)
    }

    pub(crate) fn start_in(self, site: Site) -> Server {
        if let Some(program) = self.door.program() {
            self.install(&site, &format!("htdocs/{program}"));
        }
        if self.door.is_passenger() {
            prepare_for_passenger(&site, self.door);
        }
        if let Some(text) = &self.htaccess {
            site.write(".htaccess", text);
        }
        let own_program = self.door.needs_socket() && self.starts_program;
        let app = own_program.then(|| self.start_app(&site));
        // Somebody else may take a port between the moment when it is found free and the moment when it is used.
        for _ in 0..5 {
            let port = ports::free();
            if let Some(web) = self.start_web(&site, port) {
                return Server { web, app, door: self.door, port, site };
            }
        }
        panic!("no port of five was free: {}", site.log_text());
    }

    /// Copies the program to a place in the web space, and its `lodger.toml` beside it.
    fn install(&self, site: &Site, path: &str) -> PathBuf {
        let program = match self.program {
            Program::Testapp => site.install(path),
            Program::Stock => site.install_program(Path::new(env!("CARGO_BIN_EXE_lodger")), path),
        };
        if let Some(config) = &self.config {
            site.write_at(&program.with_file_name("lodger.toml"), config);
        }
        program
    }

    /// Starts `serve --socket` as the user as whom the web server runs, and waits for its socket.
    fn start_app(&self, site: &Site) -> Running {
        let program = self.install(site, "app/testapp");
        start_at(&site.socket(), &program, site, self.traced)
    }

    /// Starts the web server and waits until it listens. Nothing if the port was taken.
    fn start_web(&self, site: &Site, port: u16) -> Option<Running> {
        let command = match self.door.software() {
            Software::Apache => apache::command,
            Software::Nginx => nginx::command,
            Software::Lighttpd => lighttpd::command,
            Software::Caddy => caddy::command,
            Software::Haproxy => haproxy::command,
            Software::H2o => h2o::command,
        };
        let mut command = command(site, port, self.door, &self.lines);
        if self.traced && !self.door.needs_socket() {
            command = traced(&command, site);
        }
        let mut web = Running::start(&command, &site.logs().join("output.log"));
        wait_until_listening(&mut web, site, port).then_some(web)
    }
}

impl Server {
    pub(crate) fn start(door: Door) -> Self {
        Setup::new(door).start()
    }

    /// Asks for a path.
    pub(crate) fn ask(&self, path: &str) -> Ask {
        Ask::new(self.port, path)
    }

    pub(crate) fn get(&self, path: &str) -> client::Answer {
        self.ask(path).send()
    }

    /// The processes that run the application now.
    pub(crate) fn app_pids(&self) -> Vec<u32> {
        process::running_below(self.site.root())
    }

    /// The first process of the web server, the one that is told to reload.
    pub(crate) fn web_pid(&self) -> u32 {
        self.web.pid()
    }

    /// Stops everything and gives the web space back, for what can only be read afterwards.
    pub(crate) fn stop(mut self) -> Site {
        self.web.stop();
        if let Some(app) = &mut self.app {
            app.stop();
        }
        self.site
    }
}

impl Site {
    /// Where the application listens, for the web servers that do not start it.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run().join("app.sock")
    }

    /// The `lodger.toml` of a program that a web server starts out of the document root, or of one that runs already.
    pub(crate) fn config(&self) -> PathBuf {
        let beside = self.docroot().join("lodger.toml");
        if beside.exists() { beside } else { self.root().join("app/lodger.toml") }
    }

    /// Where strace writes.
    pub(crate) fn trace(&self) -> PathBuf {
        self.logs().join("trace.txt")
    }
}

/// Lays the program where Passenger looks for it, with what Passenger reads.
fn prepare_for_passenger(site: &Site, door: Door) {
    let program = site.install("app/testapp");
    if door == Door::PassengerFile {
        let file = serde_json::json!({ "app_start_command": program, "app_supports_kuria_protocol": true });
        site.write("../Passengerfile.json", &file.to_string());
    } else {
        // Its owner is the user as whom the program runs.
        site.write("../app.js", "");
    }
}

/// Starts a program on a socket, as the user as whom the web server runs, and waits until it is there.
pub(super) fn start_at(socket: &Path, program: &Path, site: &Site, with_trace: bool) -> Running {
    let mut command = Command::new(program);
    command.args(["serve", "--socket"]).arg(socket);
    command = as_web_server(command);
    if with_trace {
        command = traced(&command, site);
    }
    let app = Running::start(&command, &site.logs().join("output.log"));
    process::wait_for("the socket of the application", || socket.exists().then_some(()));
    app
}

/// The same command run by the user as whom web servers run, where we may decide that.
pub(crate) fn as_web_server(command: Command) -> Command {
    if !process::is_root() {
        return command;
    }
    let mut other = Command::new("setpriv");
    other
        .args(["--reuid", WEB_SERVER_USER, "--regid", WEB_SERVER_USER, "--clear-groups"])
        .args(["--pdeathsig", "TERM", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    other
}

fn traced(command: &Command, site: &Site) -> Command {
    let mut strace = Command::new("strace");
    strace
        // Without -I2 a strace that writes to a file cannot be told to stop.
        .args(["-I2", "-f", "--seccomp-bpf", "-e", "trace=bind,execve"])
        .arg("-o")
        .arg(site.trace())
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    strace
}

pub(super) fn wait_until_listening(web: &mut Running, site: &Site, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = web.ended() {
            let log = site.log_text();
            assert!(log.to_lowercase().contains("address already in use"), "the web server left with {status}: {log}");
            return false;
        }
        if ports::answers(port) {
            return true;
        }
        assert!(Instant::now() < deadline, "the web server does not listen: {}", site.log_text());
        thread::sleep(Duration::from_millis(10));
    }
}
