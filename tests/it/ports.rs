//! Ports of the loopback address, for the servers that tests start.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

/// A port at which nobody listens. Somebody else may still take it before it is used.
///
/// To find it, one has to listen at it for a moment; a program that another test starts in this moment has a copy of the listener until it runs. A port that still
/// answers would be taken for the server that is only about to start.
pub(crate) fn free() -> u16 {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        if !answers(port) {
            return port;
        }
    }
}

/// Whether somebody listens at this port.
pub(crate) fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn nobody_answers_at_a_free_port_whatever_is_started_beside() {
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    let done = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            });
        }
        let answered = (0..5000).filter(|_| answers(free())).count();
        done.store(true, Ordering::Relaxed);
        answered
    });
    assert_eq!(answered, 0, "of 5000 free ports");
}
