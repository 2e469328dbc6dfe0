//! What the calls promise.

use super::*;
use std::{
    fs,
    io::Write as _,
    os::unix::{net::UnixStream, process::ExitStatusExt as _},
    process::Command,
    thread,
};

#[test]
fn a_program_goes_on_when_its_pages_were_let_go() {
    let resident = || fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(2).unwrap().parse::<u64>().unwrap();
    let before = resident();
    let_go_of_program();
    assert!(resident() < before, "pages of files that are mapped: {} and {before} before", resident());
}

#[test]
fn an_old_kernel_closes_what_was_leaked_on_exec_too() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let is_closed_on_exec = |fd: RawFd| {
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        let flags = told.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        i32::from_str_radix(flags, 8).unwrap() & libc::O_CLOEXEC != 0
    };
    let [low, leaked] = [480, 500];
    for fd in [low, leaked] {
        replace(fd, ours.as_raw_fd()).unwrap();
        assert!(!is_closed_on_exec(fd));
    }
    close_on_exec_one_by_one(500);
    assert_eq!([low, leaked].map(is_closed_on_exec), [false, true]);
}

#[test]
fn what_came_before_the_end_is_seen_with_the_end() {
    for _ in 0..3000 {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        theirs.write_all(b"a").unwrap();
        let writing = thread::spawn(move || {
            theirs.write_all(b"b").unwrap();
            theirs.shutdown(Shutdown::Write).unwrap();
            theirs
        });
        let last = loop {
            let looked = peek(&ours, &mut [0; 16], 16).unwrap();
            if looked.ended {
                break looked;
            }
        };
        assert_eq!(last.len, 2);
        drop(writing.join().unwrap());
    }
}

/// What a handler does that was set after ours and leaves to the one before it what it does not know; in a process of its own, which it ends.
#[test]
fn a_fault_that_another_handler_passes_on_is_told_once_and_ends_the_process() {
    const IN_THE_CHILD: &str = "PASS_A_FAULT_ON";
    if std::env::var_os(IN_THE_CHILD).is_some() {
        tell_of_fault(libc::SIGSEGV);
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "sys::tests::a_fault_that_another_handler_passes_on_is_told_once_and_ends_the_process"]).env(IN_THE_CHILD, "1");
    // Where cores are kept, they are not left lying in the sources.
    let output = child.current_dir(std::env::temp_dir()).output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "lodger:error: LG0709: the stack of this program overflowed, or it touched memory that is not its own\n");
}
