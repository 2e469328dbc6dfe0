//! Bodies far larger than the memory that a process may take: what goes through is not kept.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::client::{download, upload};
use super::door::Door;
use super::process::{peak_memory, running_below};
use super::server::{Server, Setup};

const GIB: u64 = 1024 * 1024 * 1024;

/// How much more memory than an idle process one may take at its peak, in KiB.
const ALLOWANCE: u64 = 16 * 1024;

#[track_caller]
fn check_upload(server: &Server, n: u64) {
    let (status, text, hash) = upload(server.port, "/count", n);
    assert_eq!((status, text), (200, format!("{n} {hash}\n")));
}

#[track_caller]
fn check_download(server: &Server, n: u64) {
    let answer = download(server.port, &format!("/big?n={n}"));
    assert_eq!(answer, (200, n, true), "(status, bytes, whether all are x)");
}

/// A gigabyte up and a gigabyte down through one process that lives on.
fn check_gigabytes(server: &Server) {
    for _ in 0..10 {
        server.get("/hello").expect(200, "hello, world\n");
    }
    let [pid] = server.app_pids()[..] else {
        panic!("one process is expected: {:?}", server.app_pids());
    };
    let idle = peak_memory(pid).unwrap();
    check_upload(server, GIB);
    let after_upload = peak_memory(pid).unwrap();
    check_download(server, GIB);
    let after_download = peak_memory(pid).unwrap();
    println!("KiB at most: idle {idle}, upload {after_upload}, download {after_download}");
    assert!(after_upload < idle + ALLOWANCE, "{idle} KiB, then {after_upload}");
    assert!(after_download < idle + ALLOWANCE, "{idle} KiB, then {after_download}");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_gigabyte_each_way_through_nginx() {
    // Without these two lines nginx puts a gigabyte on its disk first, and the program never meets a slow visitor.
    let server = Setup::new(Door::Nginx).lines("fastcgi_request_buffering off; fastcgi_max_temp_file_size 0;").start();
    check_gigabytes(&server);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_gigabyte_each_way_through_mod_proxy_fcgi() {
    check_gigabytes(&Server::start(Door::ProxyFcgi));
}

/// The most memory that any process of the web space held while `work` ran, in KiB.
fn peak_during(server: &Server, work: impl FnOnce()) -> u64 {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                for pid in running_below(server.site.root()) {
                    // The value only grows while a process lives, so the last look at it counts.
                    peak.fetch_max(peak_memory(pid).unwrap_or(0), Relaxed);
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        // The watch ends even when the work fails.
        let watch = Watch(&done);
        work();
        drop(watch);
    });
    peak.into_inner()
}

struct Watch<'a>(&'a AtomicBool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn two_hundred_megabytes_each_way_through_cgi() {
    let server = Server::start(Door::Cgid);
    let n = 200_000_000;
    let idle = peak_during(&server, || server.get("/slow?ms=500").expect(200, "done\n"));
    let up = peak_during(&server, || check_upload(&server, n));
    let down = peak_during(&server, || check_download(&server, n));
    println!("KiB at most: idle {idle}, upload {up}, download {down}");
    assert!(idle > 0, "the process was never seen");
    assert!(up < idle + ALLOWANCE, "{idle} KiB, then {up}");
    assert!(down < idle + ALLOWANCE, "{idle} KiB, then {down}");
}
