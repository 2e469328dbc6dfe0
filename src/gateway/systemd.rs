//! Socket activation as systemd does it: `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` of sd_listen_fds(3).

use super::Handed;
use crate::sys::{self, SocketKind};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::RawFd,
};

/// "The first file descriptor … `SD_LISTEN_FDS_START`, i.e. 3" (sd_listen_fds(3)).
const LISTEN_FDS_START: RawFd = 3;

/// How many sockets are taken. 64: a unit with more is a mistake, and the number comes from outside.
const SOCKETS: u16 = 64;

/// Sockets that were announced to this process, not yet looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    count: OsString,
    names: OsString,
}

impl Announced {
    /// Reads the announcement, if there is one and it is meant for the process `pid`: a variable that was inherited from a parent names that.
    pub(super) fn read<'a>(get: impl Fn(&str) -> Option<&'a OsStr>, pid: u32) -> Option<Self> {
        let count = get("LISTEN_FDS")?;
        let ours = get("LISTEN_PID")?.to_str()?.parse() == Ok(pid);
        // None were passed, says sd_listen_fds(3) of it.
        let some = count != "0";
        (ours && some).then(|| Self { count: count.to_owned(), names: get("LISTEN_FDNAMES").unwrap_or_default().to_owned() })
    }

    fn count(&self) -> io::Result<u16> {
        let count = self.count.to_str().and_then(|count| count.parse().ok()).filter(|count| (1..=SOCKETS).contains(count));
        count.ok_or_else(|| wrong(format!("LISTEN_FDS is {:?}, and not a number from 1 to {SOCKETS}", self.count)))
    }

    /// The name of each socket: `FileDescriptorName=` of its unit.
    fn names(&self) -> impl Iterator<Item = Option<String>> {
        let names = self.names.to_str().unwrap_or_default().split(':').map(|name| (!name.is_empty()).then(|| name.to_owned()));
        names.chain(std::iter::repeat(None))
    }
}

/// The process for which systemd announced sockets, where it is another than ours: a wrapper that started us instead of becoming us.
pub(crate) fn meant_for_another() -> Option<u32> {
    std::env::var_os("LISTEN_FDS")?;
    let pid = std::env::var("LISTEN_PID").ok()?.parse().ok()?;
    (pid != std::process::id()).then_some(pid)
}

/// Takes the announced sockets over.
///
/// # Errors
///
/// When the number is none, or what it counts are no stream sockets that were handed to this process. Nothing is said about which of them were taken.
pub(crate) fn take(announced: &Announced) -> io::Result<Vec<Handed>> {
    let numbers = (LISTEN_FDS_START..).take(usize::from(announced.count()?));
    let socket = |(number, name): (RawFd, Option<String>)| {
        let listens = match sys::socket_kind(number) {
            Some(SocketKind::Listening) => true,
            Some(SocketKind::Connected) => false,
            _ => return Err(wrong(format!("LISTEN_FDS counts descriptor {number}, which is no stream socket"))),
        };
        Ok(Handed { fd: sys::take_inherited(number)?, listens, name: name.map(Into::into) })
    };
    numbers.zip(announced.names()).map(socket).collect()
}

fn wrong(sentence: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(count: &str, pid: &str) -> Option<Announced> {
        let get = |name: &str| match name {
            "LISTEN_FDS" => Some(OsStr::new(count)),
            "LISTEN_PID" => Some(OsStr::new(pid)),
            _ => Some(OsStr::new("web::admin")),
        };
        Announced::read(get, 100)
    }

    #[test]
    fn only_an_announcement_for_this_very_process_counts() {
        assert_eq!(read("2", "100").unwrap().count().unwrap(), 2);
        for (count, pid) in [("2", "99"), ("2", ""), ("2", "100x"), ("0", "100")] {
            assert_eq!(read(count, pid), None, "{count} for {pid}");
        }
        assert_eq!(Announced::read(|name| (name == "LISTEN_FDS").then_some(OsStr::new("1")), 100), None);
    }

    #[test]
    fn a_number_that_is_none_is_told_and_not_believed() {
        for count in ["", "-1", "two", "65", "4294967296", "99999999999999999999", "1 "] {
            let told = read(count, "100").unwrap().count().unwrap_err().to_string();
            assert!(told.contains(count), "{told}");
        }
    }

    #[test]
    fn names_belong_to_their_sockets_and_may_be_missing() {
        let names: Vec<_> = read("4", "100").unwrap().names().take(4).collect();
        assert_eq!(names, [Some("web".to_owned()), None, Some("admin".to_owned()), None]);
    }
}
