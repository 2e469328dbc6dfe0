//! The terms on which we were started: what the environment asks of a process that serves. Read once, and not handed on to children.

use super::facts::value;
use crate::sys;
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    time::Duration,
};

/// What who started us expects of us while we serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// `NOTIFY_SOCKET`: where sd_notify(3) tells how the service is.
    pub(crate) notify_socket: Option<OsString>,
    /// `WATCHDOG_USEC`: within that time the service has to say that it is alive, again and again.
    pub(crate) watchdog: Option<Duration>,
    /// What LiteSpeed asks, when it started us.
    pub(crate) litespeed: Option<LiteSpeed>,
}

/// The rules of LiteSpeed for a program of its own, those that a program with one process for everything can follow.
///
/// `LSAPI_CHILDREN` and all that tells how many processes to keep has no meaning here: one process serves all connections, and the web server opens no
/// more of them than it is configured to. [`Limits::requests`](crate::Limits::requests) is the limit on work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiteSpeed {
    /// `LSAPI_PGRP_MAX_IDLE`, for a detached program: how long it stays without work.
    pub(crate) max_idle: Option<Duration>,
    /// The parent, for a program that is not detached: without it the program has no reason to stay.
    pub(crate) parent: Option<u32>,
}

impl Terms {
    /// Reads the terms of this process and leaves them where they are: in somebody's runtime, other threads may be reading the environment.
    pub(crate) fn look() -> Self {
        Self::read(&std::env::vars_os().collect::<Vec<_>>(), std::process::id(), std::os::unix::process::parent_id())
    }

    /// Reads the terms and takes them out of the environment, as the programs of systemd and LiteSpeed do: they are not meant for children.
    ///
    /// Must be called before there is a second thread.
    pub(crate) fn take() -> Self {
        let terms = Self::look();
        sys::forget_variables(std::env::vars_os().map(|(name, _)| name).filter(|name| is_for_us_alone(name)));
        terms
    }

    fn read<V: AsRef<OsStr>>(vars: &[(V, V)], pid: u32, parent: u32) -> Self {
        let get = |name: &str| value(vars, name);
        let number = |name: &str| get(name)?.to_str()?.parse::<u64>().ok().filter(|number| *number > 0);
        // sd_watchdog_enabled(3): without `WATCHDOG_PID` the variable is meant for whoever sees it.
        let watched = get("WATCHDOG_PID").is_none_or(|watched| watched.to_str().is_some_and(|watched| watched.parse() == Ok(pid)));
        let litespeed = vars.iter().any(|(name, _)| name.as_ref().as_bytes().starts_with(b"LSAPI_")).then(|| {
            let detached = get("LSAPI_PPID_NO_CHECK").is_some_and(|value| value != "0");
            LiteSpeed { max_idle: number("LSAPI_PGRP_MAX_IDLE").filter(|_| detached).map(Duration::from_secs), parent: (!detached).then_some(parent) }
        });
        Self {
            notify_socket: get("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()).map(OsStr::to_owned),
            watchdog: number("WATCHDOG_USEC").filter(|_| watched).map(Duration::from_micros),
            litespeed,
        }
    }
}

fn is_for_us_alone(name: &OsStr) -> bool {
    let own = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
    let name = name.as_bytes();
    name.starts_with(b"LSAPI_") || name.starts_with(b"PHP_LSAPI_") || own.iter().any(|own| own.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(vars: &[(&str, &str)]) -> Terms {
        let vars: Vec<(OsString, OsString)> = vars.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Terms::read(&vars, 100, 7)
    }

    #[test]
    fn litespeed_sets_its_terms_by_how_it_started_us() {
        let litespeed = |vars: &[(&str, &str)]| terms(vars).litespeed;
        assert_eq!(litespeed(&[("PATH", "/bin"), ("PHP_LSAPI_CHILDREN", "6")]), None, "anybody may set that");
        assert_eq!(litespeed(&[("LSAPI_PADDING", "x")]), Some(LiteSpeed { max_idle: None, parent: Some(7) }));
        let detached = [("LSAPI_PPID_NO_CHECK", "1"), ("LSAPI_PGRP_MAX_IDLE", "300"), ("LSAPI_KEEP_LISTEN", "2")];
        assert_eq!(litespeed(&detached), Some(LiteSpeed { max_idle: Some(Duration::from_secs(300)), parent: None }));
        assert_eq!(litespeed(&detached[..1]), Some(LiteSpeed { max_idle: None, parent: None }));
        for never in ["0", "", "soon", "-1"] {
            let rules = litespeed(&[("LSAPI_PPID_NO_CHECK", "1"), ("LSAPI_PGRP_MAX_IDLE", never)]).unwrap();
            assert_eq!(rules.max_idle, None, "{never}");
        }
        assert_eq!(litespeed(&detached[1..]).unwrap().max_idle, None, "one that is not detached is told to leave");
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let watchdog = |vars: &[(&str, &str)]| terms(vars).watchdog;
        let second = ("WATCHDOG_USEC", "1000000");
        assert_eq!(watchdog(&[second]), Some(Duration::from_secs(1)));
        assert_eq!(watchdog(&[second, ("WATCHDOG_PID", "100")]), Some(Duration::from_secs(1)));
        for (vars, why) in [(&[second, ("WATCHDOG_PID", "99")][..], "another process"), (&[("WATCHDOG_USEC", "0")], "nothing"), (&[], "unset")] {
            assert_eq!(watchdog(vars), None, "{why}");
        }
    }

    #[test]
    fn what_is_meant_for_us_is_not_handed_on_and_the_rest_is() {
        for ours in ["LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "LSAPI_CHILDREN", "PHP_LSAPI_MAX_REQUESTS"] {
            assert!(is_for_us_alone(OsStr::new(ours)), "{ours}");
        }
        for other in ["PATH", "HOME", "LISTEN", "LSNODE_ROOT", "PHP_FCGI_CHILDREN", "MY_LSAPI_X"] {
            assert!(!is_for_us_alone(OsStr::new(other)), "{other}");
        }
    }
}
