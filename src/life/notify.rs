//! Telling systemd how the service is: sd_notify(3), a datagram to the socket that `NOTIFY_SOCKET` names.

use crate::{diagnostic::codes as code, gateway::Terms};
use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

/// How long one message may wait for a service manager that is busy. 1 s: the runtime stands still meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// The line to the service manager; silent where there is none.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: Option<Arc<UnixDatagram>>,
    watchdog: Option<Duration>,
}

/// Says again and again that the runtime is alive, until it is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(crate) struct Watchdog(Option<JoinHandle<()>>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Notify {
    /// Opens the line. One that cannot be opened is a line in the log, and no reason not to serve.
    pub(crate) fn open(terms: &Terms) -> Self {
        let socket = terms.notify_socket.as_deref().and_then(|name| match connect(name) {
            Ok(socket) => Some(Arc::new(socket)),
            Err(error) => {
                tracing::warn!(target: "lodger", "{}: systemd cannot be told how the service is: NOTIFY_SOCKET is {name:?}: {error}", code::NOTIFY);
                None
            }
        });
        Self { socket, watchdog: terms.watchdog }
    }

    /// The service answers from now on, and feeds the watchdog if there is one.
    pub(crate) fn ready(&self) -> Watchdog {
        self.tell("READY=1\nSTATUS=serving");
        // "It is recommended to send … every half of the time" (sd_watchdog_enabled(3)). A task, so that a runtime that hangs is noticed.
        let watchdog = self.socket.clone().zip(self.watchdog);
        Watchdog(watchdog.map(|(socket, within)| {
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(within / 2);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    let _ = socket.send(b"WATCHDOG=1");
                }
            })
        }))
    }

    /// The service was told to leave and finishes what is in work.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is in work");
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // A service manager that is gone has no use for the message.
            let _ = socket.send(state.as_bytes());
        }
    }
}

/// "If the first character of `NOTIFY_SOCKET` is `/` or `@`, the string is understood as an `AF_UNIX` or Linux abstract namespace socket".
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "it is neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(socket: &OsStr, watchdog: Option<Duration>) -> Notify {
        Notify::open(&Terms { notify_socket: Some(socket.to_owned()), watchdog, litespeed: None })
    }

    fn heard(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut text = [0; 200];
        // A wait with a time-out is interrupted when the process was stopped for a moment.
        let len = loop {
            match socket.recv(&mut text) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.unwrap(),
            }
        };
        String::from_utf8_lossy(&text[..len]).into_owned()
    }

    #[tokio::test]
    async fn a_socket_with_an_abstract_name_is_told() {
        let name = format!("lodger-notify-{}", std::process::id());
        let systemd = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notify = notify(OsStr::new(&format!("@{name}")), None);
        let _watchdog = notify.ready();
        assert!(heard(&systemd).starts_with("READY=1\n"));
        notify.stopping();
        assert!(heard(&systemd).starts_with("STOPPING=1\n"));
    }

    #[tokio::test]
    async fn without_anybody_to_tell_nothing_happens() {
        for nowhere in ["/nonexistent/notify", "vsock:2:1234", "@", "relative"] {
            let notify = notify(OsStr::new(nowhere), Some(Duration::from_secs(1)));
            assert!(notify.ready().0.is_none(), "{nowhere}");
            notify.stopping();
        }
    }
}
