//! The door: accepts connections on a listener until told to stop, and closes it without losing a request.

use super::{Shared, connection::serve_connection, crowd::Crowd, socket::Socket, stop::Stop};
use crate::{app::BoxApp, diagnostic::codes as code, gateway::Ownership, sys, telemetry::log::guard};
use std::{
    fs::File,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, Shutdown},
    os::fd::{AsRawFd as _, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::{Handle, RuntimeFlavor},
    time::Instant,
};
use tokio_util::task::TaskTracker;

/// How long to wait after accept failed for want of descriptors or memory. The connection stays in the queue of the kernel.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How long after a failure was told the next one is. While connections are many, a shortage comes and goes many times in a second.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// A listening socket that was handed to us or made with `--socket`.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: AsyncFd<OwnedFd>,
    is_unix: bool,
}

impl Listener {
    /// Takes a listening descriptor of any kind.
    ///
    /// # Errors
    ///
    /// When it is no socket that can be waited for.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        sys::set_nonblocking(&fd, true)?;
        let is_unix = sys::is_unix_socket(&fd)?;
        let fd = sys::async_fd(fd, Interest::READABLE).map_err(|error| error.into_parts().1)?;
        Ok(Self { fd, is_unix })
    }

    /// The next connection. Who asked last is woken for it, and nobody else.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            let Ok(accepted) = ready.try_io(sys::accept) else { continue };
            // To find out by an accept that nobody waits takes the kernel ten times as long: it makes a socket and a file first, and takes them apart again.
            if accepted.is_ok() && !sys::wait_readable(self.fd.as_raw_fd(), Duration::ZERO) {
                ready.clear_ready();
            }
            return Poll::Ready(accepted.map(|fd| Socket::accepted(fd, self.is_unix)));
        }
    }

    /// Closes the door of a listener that is ours alone and returns who still stood in the queue: from then on the web server
    /// is refused at once and turns to another process.
    ///
    /// The listener is taken out of the runtime first: after `SHUT_RD` the runtime's accept would spin.
    fn close(self, reserve: Reserve) -> io::Result<Vec<Socket>> {
        let fd = self.fd.into_inner();
        sys::shut(&fd, Shutdown::Read)?;
        Ok(empty_queue(reserve, || Ok(Socket::accepted(sys::accept(&fd)?, self.is_unix))))
    }
}

/// Accepts until nobody waits any more. A connection that fails is one less, and does not end the loop.
fn empty_queue(mut reserve: Reserve, accept: impl Fn() -> io::Result<Socket>) -> Vec<Socket> {
    let mut waiting = Vec::new();
    loop {
        match accept() {
            Ok(socket) => waiting.push(socket),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
            Err(error) if is_out_of_descriptors(&error) && reserve.null.take().is_some() => {}
            Err(_) => return waiting,
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Accepts until the stop token is cancelled. Connections that have to wait for something go on as tasks of `tasks`.
///
/// It has to be a task of its own: what wakes it is remembered from one poll to the next.
pub(crate) async fn accept(listener: Listener, app: BoxApp, shared: Arc<Shared>, tasks: TaskTracker) {
    let allowed = web_server_addrs(std::env::var("FCGI_WEB_SERVER_ADDRS").ok().as_deref());
    let mut reserve = Reserve::new();
    let connections = Arc::clone(&shared);
    let crowd = Arc::new(Crowd::default());
    let serve = move |socket: Socket| serve_connection(socket, app.clone(), Arc::clone(&connections), Some(crowd.enter()));
    // With several threads a connection is a task from the start: the others may take it.
    let alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    let mut stop = Stop::default();
    // The token is looked at each time: a door that fails again and again never waits.
    while !shared.stop.is_cancelled() {
        let accepted = poll_fn(|cx| match listener.poll_accept(cx) {
            Poll::Pending if stop.poll(&shared.stop, cx) => Poll::Ready(None),
            accepted => accepted.map(Some),
        });
        match accepted.await {
            None => break,
            Some(Ok(socket)) if !may_connect(&socket, allowed.as_deref()) => {
                tracing::warn!(target: "lodger", "{}: a connection was refused: its address is not in FCGI_WEB_SERVER_ADDRS", code::VIOLATION);
            }
            Some(Ok(socket)) => {
                reserve.accepted();
                if alone {
                    begin(Box::pin(serve(socket)), &tasks);
                } else {
                    tasks.spawn(serve(socket));
                }
            }
            Some(Err(error)) => reserve.failed(&error).await,
        }
    }
    // On a listener that others share, closing the door would close it for everybody: there we only stop coming to it.
    if shared.ownership != Ownership::Shared {
        for socket in listener.close(reserve).unwrap_or_default() {
            tasks.spawn(serve(socket));
        }
    }
}

/// Serves a connection as far as it goes without waiting, which is to its end where the web server opens one for each request. Only what has to wait becomes a task.
fn begin(mut connection: Pin<Box<impl Future<Output = ()> + Send + 'static>>, tasks: &TaskTracker) {
    // Nobody need be woken: a task is polled once when it begins.
    let mut cx = Context::from_waker(Waker::noop());
    // A panic in a task would end that task; here it must not end the door.
    let ended = match guard(|| connection.as_mut().poll(&mut cx).is_ready()) {
        Ok(false) => return drop(tasks.spawn(connection)),
        Ok(true) => guard(|| drop(connection)),
        Err(panic) => guard(|| drop(connection)).and(Err(panic)),
    };
    if let Err(panic) = ended {
        tracing::error!(target: "lodger", "{}: a connection ended with a panic: {panic}", code::APP_PANICKED);
    }
}

/// A descriptor kept for the moment when there is no other, so that at least one request at a time is served then.
#[derive(Debug)]
struct Reserve {
    null: Option<File>,
    /// When a failure was last told.
    told: Option<Instant>,
}

impl Reserve {
    fn new() -> Self {
        Self { null: File::open("/dev/null").ok(), told: None }
    }

    /// A connection came in: there may be a descriptor to spare again.
    fn accepted(&mut self) {
        if self.null.is_none() {
            *self = Self { told: self.told, ..Self::new() };
        }
    }

    /// Deals with a failed accept: never returns an error, never spins.
    async fn failed(&mut self, error: &io::Error) {
        let out_of_descriptors = is_out_of_descriptors(error);
        if error.kind() == io::ErrorKind::ConnectionAborted || error.kind() == io::ErrorKind::Interrupted {
            return;
        }
        if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            let code = if out_of_descriptors { code::OUT_OF_DESCRIPTORS } else { code::ACCEPT };
            tracing::error!(target: "lodger", "{code}: no connection can be accepted: {error}; trying again");
            self.told = Some(Instant::now());
        }
        if out_of_descriptors && self.null.take().is_some() {
            // The next accept finds this descriptor free. It is not taken back before a connection has come in.
            return;
        }
        tokio::time::sleep(BACK_OFF).await;
    }
}

/// Specification 3.2: "FCGI_WEB_SERVER_ADDRS … a comma-separated list of … addresses"; when it is set, connections from elsewhere are closed.
fn web_server_addrs(list: Option<&str>) -> Option<Vec<IpAddr>> {
    list.map(|list| list.split(',').filter_map(|address| address.trim().parse().ok()).collect())
}

fn may_connect(socket: &Socket, allowed: Option<&[IpAddr]>) -> bool {
    let Some((allowed, peer)) = allowed.and_then(|allowed| Some((allowed, socket.peer_ip()?))) else { return true };
    allowed.contains(&peer.to_canonical()) || allowed.contains(&peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_server_addresses_of_both_families_are_understood() {
        let expect: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(web_server_addrs(Some("192.0.2.1, 2001:db8::1,nonsense")), Some(expect));
        assert_eq!(web_server_addrs(None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_of_descriptors_is_told_once_and_waited_out() {
        let shortage = io::Error::from_raw_os_error(libc::EMFILE);
        let mut reserve = Reserve::new();
        let start = Instant::now();
        reserve.failed(&shortage).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "the reserve is used at once");
        assert!(reserve.told.is_some() && reserve.null.is_none());
        reserve.failed(&shortage).await;
        assert_eq!(start.elapsed(), BACK_OFF, "then accept waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_gave_up_in_the_queue_is_nothing() {
        let mut reserve = Reserve::new();
        reserve.failed(&io::Error::from(io::ErrorKind::ConnectionAborted)).await;
        assert!(reserve.told.is_none());
    }
}
