//! A `lodger.toml` that is replaced while visitors come: each of them gets a page, and the last file wins.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::client::fetch;
use super::door::Door;
use super::process::wait_for;
use super::server::{Server, Setup};

const VISITORS: usize = 3;

/// How many files are laid over one another in one go, faster than anybody looks.
const IN_ONE_GO: usize = 5;

fn config(text: &str) -> String {
    format!("[[site]]\n[[site.route]]\npath = \"/\"\nrespond = \"{text}\"\n")
}

/// What visitors saw: how often which page, and what went wrong.
#[derive(Default)]
struct Seen {
    pages: BTreeMap<String, usize>,
    /// Answers of a process that was started while the file had a mistake, and that knows no other.
    unconfigured: usize,
    failed: Vec<String>,
}

fn visit(port: u16, gone: &AtomicBool, seen: &Mutex<Seen>) {
    while !gone.load(Relaxed) {
        let answer = fetch(port, "/");
        let mut seen = seen.lock().unwrap();
        match answer {
            Ok((200, body)) => *seen.pages.entry(String::from_utf8(body).unwrap()).or_default() += 1,
            Ok((status, body)) => match String::from_utf8(body).unwrap() {
                page if status == 503 && page.contains("LG0211") => seen.unconfigured += 1,
                page => seen.failed.push(format!("{status} {page}")),
            },
            Err(error) => seen.failed.push(error.to_string()),
        }
    }
}

/// Replaces the file again and again. Every second one is laid over several others that nobody may have seen. Tells which processes ran before one had a mistake.
fn replace_often(server: &Server, seen: &Mutex<Seen>) -> Vec<u32> {
    let file = server.site.config();
    for round in ["one", "two"] {
        server.site.replace(&file, &config(round));
        wait_for("a visitor to see the new page", || seen.lock().unwrap().pages.contains_key(round).then_some(()));
        for _ in 0..IN_ONE_GO {
            for text in ["even", "odd"] {
                server.site.replace(&file, &config(text));
                thread::sleep(Duration::from_millis(30));
            }
        }
    }
    assert_eq!(seen.lock().unwrap().unconfigured, 0, "no file so far had a mistake");
    let running = server.app_pids();
    // What has a mistake changes nothing for a process that runs.
    server.site.replace(&file, "[[site]]\n[[site.route]]\npath = ");
    wait_for("the mistake to be told", || server.site.log_text().contains("the configuration before it goes on").then_some(()));
    server.site.replace(&file, &config("last"));
    wait_for("the last page", || seen.lock().unwrap().pages.contains_key("last").then_some(()));
    running
}

#[track_caller]
fn check(door: Door) {
    let server = Setup::new(door).stock(&config("zero")).start();
    let (gone, seen) = (AtomicBool::new(false), Mutex::new(Seen::default()));
    let ran_before_the_mistake = thread::scope(|scope| {
        for _ in 0..VISITORS {
            scope.spawn(|| visit(server.port, &gone, &seen));
        }
        let running = replace_often(&server, &seen);
        gone.store(true, Relaxed);
        running
    });
    // Of several processes some may not have been asked for a while; the last file is older than any upload takes by now, or will be soon.
    wait_for("every process to have the last page", || {
        let pages: Vec<_> = (0..20).map(|_| fetch(server.port, "/").unwrap().1).collect();
        pages.iter().all(|page| page == b"last").then_some(())
    });
    let seen = seen.into_inner().unwrap();
    assert!(seen.failed.is_empty(), "{door:?}: {} failed: {:?}", seen.failed.len(), seen.failed);
    let one_began_later = server.app_pids().iter().any(|pid| !ran_before_the_mistake.contains(pid));
    assert!(seen.unconfigured == 0 || one_began_later, "{door:?}: {} answers of processes that had a configuration", seen.unconfigured);
    let known = ["zero", "one", "two", "even", "odd", "last"];
    assert!(seen.pages.keys().all(|page| known.contains(&page.as_str())), "{door:?}: {:?}", seen.pages);
    println!("{door:?}: {:?}, {} without a configuration", seen.pages, seen.unconfigured);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn no_visitor_notices_a_new_file_behind_mod_fcgid() {
    check(Door::Fcgid);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn no_visitor_notices_a_new_file_behind_nginx() {
    check(Door::NginxHttp);
}
