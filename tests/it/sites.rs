//! Programs with a `lodger.toml`, as a hosting customer lays them out.

use crate::peer::{Peer, ask::Ask, conn::Conn, eventually, testapp};
use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// Every way into a program that `request` knows.
pub(crate) const WAYS: &[&str] = &[
    "fastcgi",
    "lsapi",
    "scgi",
    "uwsgi",
    #[cfg(feature = "http")]
    "http",
    "cgi",
];

const TWO_SITES: &str = r#"
[[site]]
hosts = ["a.example", "www.a.example"]
canonical-host = true
[[site.route]]
path = "/"
respond = "site a"

[[site]]
hosts = ["*.b.example"]
[[site.route]]
path = "/"
files = "www"
[[site.route]]
path = "/api/"
app = "app"
"#;

/// A folder with a program in it, a private folder beside that and a file of the site.
fn home(program: &Path, toml: Option<&str>) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for folder in ["private", "program", "program/www"] {
        fs::create_dir(home.path().join(folder)).unwrap();
    }
    let copy = home.path().join("program").join(program.file_name().unwrap());
    fs::hard_link(program, &copy).unwrap();
    fs::write(home.path().join("program/www/page.txt"), "a page").unwrap();
    if let Some(toml) = toml {
        fs::write(copy.with_file_name("lodger.toml"), toml).unwrap();
    }
    (home, copy)
}

fn stock() -> PathBuf {
    env!("CARGO_BIN_EXE_lodger").into()
}

fn request(program: &Path, args: &[&str]) -> Output {
    Command::new(program).env_clear().arg("request").args(args).stdin(Stdio::null()).output().unwrap()
}

fn body(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn head(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_stock_binary_serves_its_sites_every_way() {
    let (_home, lodger) = home(&stock(), Some(TWO_SITES));
    for via in WAYS {
        let ask = |host, path| request(&lodger, &["GET", path, "--via", via, "--host", host]);
        assert_eq!(body(&ask("a.example", "/")), "site a", "{via}");
        assert_eq!(body(&ask("x.B.example", "/page.txt")), "a page", "{via}");
        let sent_on = head(&ask("www.a.example", "/x?y"));
        assert!(sent_on.contains("308 ") && sent_on.contains("location: http://a.example/x?y\n"), "{via}: {sent_on}");
        let unknown = ask("c.example", "/");
        assert!(head(&unknown).contains("421 ") && body(&unknown).contains("LG0401"), "{via}: {unknown:?}");
        let nobody = ask("x.b.example", "/api/");
        assert!(head(&nobody).contains("503 ") && body(&nobody).contains("LG0213"), "{via}: the stock binary has no app: {nobody:?}");
    }
}

#[test]
fn a_program_is_the_app_of_its_sites_every_way() {
    let (_home, program) = home(&testapp(), Some(TWO_SITES));
    for via in WAYS {
        let ask = |host, path| request(&program, &["GET", path, "--via", via, "--host", host]);
        let seen: serde_json::Value = serde_json::from_slice(&ask("x.b.example", "/api/env?q").stdout).unwrap();
        assert_eq!((&seen["mount"], &seen["uri"]), (&"/api".into(), &"/env?q".into()), "{via}");
        assert_eq!(body(&ask("a.example", "/hello")), "site a", "{via}");
        assert!(head(&ask("x.b.example", "/hello")).contains("404 "), "{via}: the file says where the app is");
    }
}

#[test]
fn a_file_without_a_word_about_the_app_leaves_it_at_the_top() {
    let toml = "[server]\nstate-dir = \"../private/mine\"\n[[site]]\nmax-body = \"4B\"\n[[site.route]]\npath = \"/x\"\nrespond = \"x\"\n";
    let (home, program) = home(&testapp(), Some(toml));
    assert_eq!(body(&request(&program, &["GET", "/hello"])), "hello, world\n");
    assert_eq!(body(&request(&program, &["GET", "/x"])), "x");
    let large = request(&program, &["POST", "/echo", "-d", "12345"]);
    assert!(head(&large).contains("413 ") && body(&large).contains("LG0503"), "{large:?}");
    assert!(home.path().join("private/mine").is_dir(), "the state directory is where the file says");
}

#[test]
fn the_file_may_lie_elsewhere() {
    let (home, lodger) = home(&stock(), None);
    let elsewhere = home.path().join("other.toml");
    fs::write(&elsewhere, TWO_SITES).unwrap();
    let path = elsewhere.to_str().unwrap();
    let variable = format!("LODGER_CONFIG={path}");
    for args in [&["-e", variable.as_str()], &["--config", path]] {
        let output = request(&lodger, &[&["GET", "/", "--host", "a.example"], &args[..]].concat());
        assert_eq!(body(&output), "site a", "{args:?}: {output:?}");
    }
    assert!(body(&request(&lodger, &["GET", "/"])).starts_with("lodger works here"), "without a file it says that the way is open");
}

/// A program that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_program_that_makes_its_own_socket_reads_the_file_it_is_told() {
    let (home, lodger) = home(&stock(), None);
    let (config, log) = (home.path().join("other.toml"), home.path().join("log"));
    fs::write(&config, format!("[server]\nlog = \"info\"\n{TWO_SITES}")).unwrap();
    let short = tempfile::tempdir().unwrap();
    let socket = short.path().join("s");
    let mut command = Command::new(&lodger);
    command.env_clear().arg("serve").arg("--socket").arg(&socket).arg("--config").arg(&config);
    let _running = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap());
    eventually("there is no socket", || UnixStream::connect(&socket).is_ok());
    let mut conn = Conn::new(UnixStream::connect(&socket).unwrap());
    assert_eq!(conn.ask(&Ask::get("/").set("HTTP_HOST", "a.example")).text(), "site a");
    eventually("the log lets through what it did without a file", || fs::read_to_string(&log).unwrap().contains("lodger:info: the first request"));
}

/// Puts a file in the place of another in one step, written as if a while ago.
fn replace(peer: &Peer, toml: &str) {
    let folder = peer.site().join("program");
    let new = folder.join("new");
    fs::write(&new, toml).unwrap();
    fs::File::options().write(true).open(&new).unwrap().set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    fs::rename(new, folder.join("lodger.toml")).unwrap();
}

fn says(word: &str) -> String {
    format!("[[site]]\n[[site.route]]\npath = \"/word\"\nrespond = \"{word}\"\n")
}

/// Says that it is over when it is dropped, so that a test that fails ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_changed_file_is_taken_over_by_the_same_process_and_no_request_is_lost() {
    let mut peer = Peer::start_with_sites(&says("one"));
    assert_eq!(peer.text("/word"), "one");
    let pid = peer.process.pid();
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _over = Over(&over);
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    assert!(matches!(peer.text("/word").as_str(), "one" | "two"));
                    // Such a one is in work while the file changes.
                    assert_eq!(peer.get("/slow?ms=20").status(), 200);
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        eventually("nobody is answered", || answered.load(SeqCst) > 10);
        replace(&peer, "[[site]]\nnonsense = 1\n");
        let errors = peer.site().join("private/lodger-program/config-errors.txt");
        eventually("nobody noticed the mistakes", || errors.exists());
        replace(&peer, &says("two"));
        eventually("the file was not taken over", || peer.text("/word") == "two");
    });
    assert_eq!(peer.text("/word"), "two");
    assert!(peer.process.is_running() && peer.process.pid() == pid);
}

#[test]
fn a_file_that_is_broken_from_the_start_still_answers_and_goes_over_when_mended() {
    let peer = Peer::start_with_sites("[[site]]\nhost = \"hidden.example\"\n");
    let told = peer.get("/word");
    assert_eq!(told.status(), 503);
    assert!(told.text().contains("LG0211") && !told.text().contains("hidden"), "{}", told.text());
    let state = peer.site().join("private/lodger-program");
    assert!(fs::read_to_string(state.join("config-errors.txt")).unwrap().contains("hosts"));
    let token = fs::read_to_string(state.join("token")).unwrap();
    assert!(peer.get(&format!("/?lodger-token={}", token.trim())).text().contains("hidden.example"));
    replace(&peer, &says("mended"));
    eventually("the mended file was not taken over", || peer.get("/word").status() == 200);
    assert_eq!(peer.text("/word"), "mended");
    assert_eq!(peer.text("/hello"), "hello, world\n", "the app was there all the time");
    assert!(!state.join("config-errors.txt").exists());
}

#[test]
fn a_program_without_a_file_is_its_app() {
    let (_home, hello) = home(&testapp().with_file_name("hello"), None);
    let output = request(&hello, &["GET", "/"]);
    assert!(output.status.success() && head(&output).contains("200 OK\n"), "{output:?}");
    let nowhere = request(&hello, &["GET", "/nowhere"]);
    assert!(head(&nowhere).contains("404 ") && !body(&nowhere).contains("<html"), "its own page stays: {nowhere:?}");
}

#[test]
fn a_program_that_makes_its_own_tree_knows_its_apps_and_is_put_into_no_other() {
    let program = testapp().with_file_name("two_apps");
    let toml = "[[site]]\n[[site.route]]\npath = \"/shop/\"\napp = \"shop\"\n[[site.route]]\npath = \"/api/\"\napp = \"api\"\n";
    let (_home, program) = home(&program, Some(toml));
    let shop = request(&program, &["GET", "/shop/", "--mount", "/sub"]);
    assert_eq!((body(&shop), head(&shop).contains("LG0213")), ("the shop, at /sub/shop/\n".to_owned(), false), "{}", head(&shop));
    assert_eq!(body(&request(&program, &["GET", "/api/price"])), "42\n");
    assert!(head(&request(&program, &["GET", "/price"])).contains("404 Not Found"), "an app lives where its routes are");
    let check = Command::new(&program).env_clear().arg("check").stdin(Stdio::null()).output().unwrap();
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn a_site_may_have_a_line_in_the_log_for_each_request_every_way() {
    let toml = "[[site]]\nhosts = [\"a.example\"]\nname = \"shop\"\nlog-requests = true\n[[site.route]]\npath = \"/\"\nrespond = \"here\"\n\
                [[site]]\nhosts = [\"b.example\"]\n[[site.route]]\npath = \"/\"\nrespond = \"there\"\n";
    let (_home, program) = home(&stock(), Some(toml));
    for via in WAYS {
        let logged = head(&request(&program, &["GET", "/x?secret=1", "--via", via, "--host", "a.example"]));
        assert!(logged.contains("lodger:info: shop: ") && logged.contains(" GET /x 200 "), "{via}: {logged}");
        assert!(!logged.contains("secret"), "{via}: {logged}");
        let silent = head(&request(&program, &["GET", "/x", "--via", via, "--host", "b.example"]));
        assert!(!silent.contains("GET /x"), "{via}: {silent}");
    }
}
