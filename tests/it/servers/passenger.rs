//! Phusion Passenger in Apache: it starts the program, hears where it listens, and tells it to leave by the end of its stdin.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{self, Answer, fetch};
use super::door::Door;
use super::process::{self, executable, owner, running_below, signal, wait_for};
use super::server::{Server, Setup};
use super::site::{self, SUEXEC_USER, Site};

/// What Passenger in Apache needs to know beside the `.htaccess`. Everything that it writes stays in the web space of the test, and it asks nobody on the
/// internet about anything.
fn lines(site: &Site, more: &str) -> String {
    let run = site.run();
    let run = run.display();
    format!(
        "LoadModule passenger_module {}\n\
         PassengerRoot /usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini\n\
         PassengerInstanceRegistryDir \"{run}\"\n\
         PassengerSpawnDir \"{run}\"\n\
         PassengerDataBufferDir \"{run}\"\n\
         PassengerDisableSecurityUpdateCheck on\n\
         PassengerDisableAnonymousTelemetry on\n\
         PassengerStatThrottleRate 0\n\
         {more}\n",
        process::installed("/usr/lib/apache2/modules/mod_passenger.so").display()
    )
}

/// A web server with Passenger. When the test lets go of it, all of Passenger and the program leave, which is checked.
struct Passenger(Option<Server>);

impl Passenger {
    /// Starts Apache on a web space with the program in it. `more` are lines of its configuration.
    fn start_in(site: Site, htaccess: &str, more: &str) -> Self {
        // Passenger makes the sockets of its apps in the folder where it keeps its own files, which belongs to it.
        let lines = lines(&site, more);
        let server = Setup::new(Door::Cgid).htaccess(htaccess).lines(&lines).start_in(site);
        Self(Some(server))
    }

    /// The usual start: the program's own `init` has written how to start it.
    fn start() -> Self {
        let site = Site::new();
        init(&site);
        Self::start_in(site, &site::sample("passenger.htaccess"), "")
    }

    fn server(&self) -> &Server {
        self.0.as_ref().unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        self.server().get(path)
    }

    /// The one process that runs the program.
    fn pid(&self) -> u32 {
        self.get("/pid").text().split(' ').next().unwrap().parse().unwrap()
    }

    /// A start that fails: the visitor sees a page of Passenger, the log of Apache says why.
    fn fails_with(&self, code: &str) -> String {
        let start = Instant::now();
        let answer = self.get("/hello");
        assert_eq!(answer.status, 500, "{}", answer.text());
        assert!(start.elapsed() < Duration::from_secs(20), "Passenger waited for {:?}", start.elapsed());
        assert!(!answer.text().contains(code), "what is wrong is nobody's business: {}", answer.text());
        wait_for("the reason in the log of Apache", || {
            let log = self.server().site.log_text();
            let line = log.lines().find(|line| line.contains("Could not spawn process") && line.contains(code));
            line.map(str::to_owned)
        })
    }
}

/// Stops Apache, and waits until all of Passenger and the program have left. Gives the web space back, and how long the program took.
fn stop(server: Server) -> (Site, Duration) {
    let agents = agents_below(server.web_pid());
    assert!(agents.len() >= 2, "there are a watchdog and a core at least: {agents:?}");
    let start = Instant::now();
    let site = server.stop();
    wait_for("the program to leave", || running_below(site.root()).is_empty().then_some(()));
    let took = start.elapsed();
    wait_for("all of Passenger to leave", || agents.iter().all(|pid| executable(*pid).is_none()).then_some(()));
    // The page with the details of a failed start is put into the temporary directory of the machine, whatever is configured.
    for word in site.log_text().split_whitespace().filter(|word| word.contains("/passenger-error-") && word.ends_with(".html")) {
        let _ = fs::remove_file(word);
    }
    (site, took)
}

impl Drop for Passenger {
    fn drop(&mut self) {
        match self.0.take() {
            Some(server) if !thread::panicking() => drop(stop(server)),
            _ => {}
        }
    }
}

/// Passenger's own processes: what Apache's first process has started, and what that has.
fn agents_below(apache: u32) -> Vec<u32> {
    let children = |parent: u32| -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
    };
    let is_agent = |pid: &u32| executable(*pid).is_some_and(|path| path.file_name().is_some_and(|name| name == "PassengerAgent"));
    let watchdogs: Vec<u32> = children(apache).into_iter().filter(is_agent).collect();
    let cores: Vec<u32> = watchdogs.iter().flat_map(|pid| children(*pid)).filter(is_agent).collect();
    watchdogs.into_iter().chain(cores).collect()
}

/// Puts the program into the web space, and has it write `Passengerfile.json` into the folder above the document root.
fn init(site: &Site) -> PathBuf {
    let program = site.install("app/testapp");
    let done = Command::new(&program).args(["init", "--panel", "passenger"]).arg(site.root()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    program
}

/// The lines by which a host makes us its Node.js. The file that it is to start has to be there, and nobody reads it.
fn as_node(site: &Site, program: &Path) -> String {
    File::create(site.root().join("app.js")).unwrap();
    format!(
        "PassengerAppRoot \"{}\"\nPassengerAppType node\nPassengerStartupFile app.js\nPassengerNodejs \"{}\"\n",
        site.root().display(),
        program.display()
    )
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn the_file_that_init_writes_is_all_that_passenger_needs() {
    let site = Site::for_suexec();
    init(&site);
    let passenger = Passenger::start_in(site, &site::sample("passenger.htaccess"), "");
    passenger.get("/hello").expect(200, "hello, world\n");
    let env = passenger.get("/env?x=1").json();
    assert_eq!((&env["gateway"], &env["profile"]), (&"http".into(), &"passenger".into()));
    assert_eq!((&env["mount"], &env["uri"], &env["scheme"]), (&"".into(), &"/env?x=1".into(), &"http".into()));
    assert!(env["remote"].as_str().unwrap().starts_with("127.0.0.1:"), "{env}");
    assert!(!env.to_string().contains("!~"), "what Passenger says to us is not for the app: {env}");
    let owner_of_site = process::ids_of(SUEXEC_USER).unwrap().0;
    assert_eq!(owner(passenger.pid()), Some(owner_of_site), "it runs as the owner of the web space");
    passenger.server().site.write("style.css", "body {}\n");
    passenger.get("/style.css").expect(200, "body {}\n");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn in_the_place_of_node_it_is_the_same() {
    let site = Site::new();
    let program = site.install("app/testapp");
    let more = as_node(&site, &program);
    let passenger = Passenger::start_in(site, "PassengerEnabled on\n", &more);
    passenger.get("/hello").expect(200, "hello, world\n");
    let env = passenger.get("/env").json();
    assert_eq!((&env["gateway"], &env["profile"], &env["mount"]), (&"http".into(), &"passenger".into(), &"".into()));
    assert!(!passenger.server().site.log_text().contains("LG01"), "the argument is no reason for a warning");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_base_uri_is_the_mount() {
    let site = Site::new();
    let program = site.install("app/testapp");
    let more = format!("<Location \"/sub\">\nPassengerBaseURI /sub\nPassengerAppGroupName sub\n{}</Location>", as_node(&site, &program));
    let passenger = Passenger::start_in(site, "PassengerEnabled on\n", &more);
    passenger.get("/sub/hello").expect(200, "hello, world\n");
    let env = passenger.get("/sub/env?a=b").json();
    assert_eq!((&env["mount"], &env["uri"], &env["original_uri"]), (&"/sub".into(), &"/env?a=b".into(), &"/sub/env?a=b".into()));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_restart_loses_no_request_and_the_old_process_leaves() {
    let passenger = Passenger::start();
    let site = &passenger.server().site;
    let restart = site.root().join("tmp/restart.txt");
    fs::create_dir_all(restart.parent().unwrap()).unwrap();
    let first = passenger.pid();
    let port = passenger.server().port;
    let gone = AtomicBool::new(false);
    let failed: Vec<String> = thread::scope(|scope| {
        scope.spawn(|| {
            // The time of the file counts in seconds.
            while !gone.load(Relaxed) {
                File::create(&restart).unwrap();
                thread::sleep(Duration::from_millis(1100));
            }
        });
        let visitors: Vec<_> = (0..4).map(|_| scope.spawn(|| visit(port))).collect();
        let failed = visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect();
        gone.store(true, Relaxed);
        failed
    });
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    let last = passenger.pid();
    assert_ne!(first, last);
    wait_for("the old processes to leave", || (running_below(site.root()) == [last]).then_some(()));
}

/// One visitor's requests for some seconds, one in four of them slow enough to be met by a restart. Gives what went wrong.
fn visit(port: u16) -> Vec<String> {
    let start = Instant::now();
    let mut failed = Vec::new();
    for path in ["/hello", "/hello", "/slow?ms=300", "/count"].iter().cycle() {
        if start.elapsed() > Duration::from_secs(6) {
            break;
        }
        match fetch(port, path) {
            Ok((200, _)) => {}
            Ok((status, body)) => failed.push(format!("{path}: {status} {}", String::from_utf8_lossy(&body))),
            Err(error) => failed.push(format!("{path}: {error}")),
        }
    }
    failed
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn when_apache_stops_the_process_leaves_and_so_does_all_of_passenger() {
    let mut passenger = Passenger::start();
    let pid = passenger.pid();
    let (site, took) = stop(passenger.0.take().unwrap());
    assert_eq!(executable(pid), None);
    assert!(took < Duration::from_secs(10), "left after {took:?}");
    // It was told by the end of stdin and left by itself: Passenger writes down whom it has to kill.
    assert!(!site.log_text().contains("forcefully"), "{}", site.log_text());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_reload_of_apache_lets_requests_end_and_goes_over_to_a_new_process() {
    let passenger = Passenger::start();
    let before = passenger.pid();
    thread::scope(|scope| {
        let under_way = scope.spawn(|| passenger.get("/slow?ms=3000"));
        thread::sleep(Duration::from_millis(500));
        signal(passenger.server().web_pid(), "USR1");
        under_way.join().unwrap().expect(200, "done\n");
    });
    let after = wait_for("Apache to answer again", || (passenger.get("/hello").status == 200).then(|| passenger.pid()));
    assert_ne!(before, after);
    wait_for("the old process to leave", || executable(before).is_none().then_some(()));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn the_reason_why_an_app_does_not_start_stands_in_the_log_of_apache_until_it_does() {
    let site = Site::new();
    let program = init(&site);
    let error = program.with_file_name("start-error");
    fs::write(&error, "no database here").unwrap();
    let passenger = Passenger::start_in(site, &site::sample("passenger.htaccess"), "");
    let line = passenger.fails_with("LG0102");
    assert!(line.contains("LG0102: the app could not start: no database here"), "{line}");
    fs::remove_file(&error).unwrap();
    passenger.get("/hello").expect(200, "hello, world\n");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_start_with_a_port_is_refused_and_the_file_with_its_two_keys_is_named() {
    let site = Site::new();
    let program = site.install("app/testapp");
    let more = format!("PassengerAppRoot \"{}\"\nPassengerAppStartCommand \"{}\"", site.root().display(), program.display());
    let passenger = Passenger::start_in(site, "PassengerEnabled on\n", &more);
    passenger.fails_with("LG0113");
    let log = passenger.server().site.log_text();
    for word in ["Passengerfile.json", "app_start_command", "app_supports_kuria_protocol"] {
        assert!(log.contains(word), "{word}: {log}");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn in_the_place_of_a_forking_ruby_it_says_so() {
    let site = Site::new();
    let program = site.install("app/testapp");
    fs::write(site.root().join("config.ru"), format!("exec {:?}\n", program.display().to_string())).unwrap();
    let passenger = Passenger::start_in(site, "PassengerEnabled on\n", "PassengerRuby /usr/bin/ruby");
    passenger.fails_with("LG0114");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn after_a_crash_the_next_visitor_is_served() {
    let passenger = Passenger::start();
    let pid = passenger.pid();
    signal(pid, "KILL");
    // Passenger has to hear of it too: it sends visitors to a process until it has looked how that one ended.
    wait_for("Passenger to notice", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    passenger.get("/hello").expect(200, "hello, world\n");
    assert_ne!(passenger.pid(), pid);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn what_a_visitor_says_of_himself_is_not_believed() {
    let passenger = Passenger::start();
    let ask = |header: &str| passenger.server().ask("/env").header(header).send();
    for header in ["X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9;proto=https", "X-Real-IP: 203.0.113.9", "X-Forwarded-Proto: https"] {
        let env = ask(header).json();
        assert!(env["remote"].as_str().unwrap().starts_with("127.0.0.1:"), "{header}: {env}");
        assert_eq!(env["scheme"], "http", "{header}");
    }
    let env = ask("X-Forwarded-Host: evil.example").json();
    assert!(env["host"].as_str().unwrap().starts_with("127.0.0.1"), "{env}");
    assert_eq!(ask("!~Passenger-Client-Address: 203.0.113.9").status, 400, "Passenger refuses its own headers from others");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn the_scheme_comes_from_apache() {
    let site = Site::new();
    init(&site);
    let htaccess = site::sample("passenger.htaccess") + "SetEnv HTTPS on\n";
    let passenger = Passenger::start_in(site, &htaccess, "");
    assert_eq!(passenger.get("/env").json()["scheme"], "https");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn an_upload_that_waits_for_a_go_ahead_gets_it_once() {
    let passenger = Passenger::start();
    for buffered in ["on", "off"] {
        passenger.server().site.write(".htaccess", &format!("PassengerEnabled on\nPassengerBufferUpload {buffered}\n"));
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, passenger.server().port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = "POST /count HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut go_ahead = [0; 25];
        stream.read_exact(&mut go_ahead).unwrap();
        assert_eq!(&go_ahead, b"HTTP/1.1 100 Continue\r\n\r\n", "upload buffering {buffered}");
        stream.write_all(b"hello").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("5 2cf24dba5fb0a30e"), "upload buffering {buffered}: {answer}");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn large_uploads_arrive_whole_whether_passenger_buffers_them_or_not() {
    let passenger = Passenger::start();
    for buffered in ["on", "off"] {
        passenger.server().site.write(".htaccess", &format!("PassengerEnabled on\nPassengerBufferUpload {buffered}\n"));
        let n = 20_000_000;
        let (status, text, hash) = client::upload(passenger.server().port, "/count", n);
        assert_eq!((status, text), (200, format!("{n} {hash}\n")), "upload buffering {buffered}");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn one_process_answers_many_at_a_time() {
    let passenger = Passenger::start();
    let pid = passenger.pid();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| passenger.get("/slow?ms=1500").expect(200, "done\n"));
        }
    });
    assert!(start.elapsed() < Duration::from_millis(6000), "eight at a time took {:?}", start.elapsed());
    assert_eq!(running_below(passenger.server().site.root()), [pid]);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn an_upgrade_is_refused_and_hurts_nobody() {
    let passenger = Passenger::start();
    let ask = passenger.server().ask("/hello").header("Connection: Upgrade").header("Upgrade: websocket");
    let answer = ask.header("Sec-WebSocket-Version: 13").header("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==").send();
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("LG0315"), "{}", answer.text());
    passenger.get("/hello").expect(200, "hello, world\n");
}
