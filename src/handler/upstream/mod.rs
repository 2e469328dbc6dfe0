//! Connecting to another server, on a Unix socket or over TCP. Nothing is ever bound here.

pub(super) mod door;
pub(super) mod health;

use crate::config::model::Upstream;
use std::{io, net::SocketAddr, path::Path, time::Duration};
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::either::Either;

/// A connection to another server.
pub(crate) type Stream = Either<UnixStream, TcpStream>;

/// How long a Unix socket is left alone whose queue is full. The kernel says so at once and does not tell when there is room.
const QUEUE_PAUSE: Duration = Duration::from_millis(10);

/// Connects to `upstream`.
///
/// A name is looked up each time, and its addresses are tried in order, each with its share of the time that is left, so that one that does not answer leaves time for the next. A Unix
/// socket whose queue is full is tried until there is room.
///
/// # Errors
///
/// Those of the system, and `TimedOut` when it takes longer than `within`.
pub(crate) async fn connect(upstream: &Upstream, within: Duration) -> io::Result<Stream> {
    let until = Instant::now() + within;
    let connecting = async {
        match upstream {
            Upstream::Unix(path) => unix(path).await.map(Either::Left),
            Upstream::Tcp { host, port } => tcp(host, *port, until).await.map(Either::Right),
        }
    };
    timeout_at(until, connecting).await.unwrap_or_else(|_| Err(too_late()))
}

/// How the log names a server.
pub(crate) fn name(upstream: &Upstream) -> String {
    match upstream {
        Upstream::Unix(path) => format!("unix:{}", path.display()),
        Upstream::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Upstream::Tcp { host, port } => format!("{host}:{port}"),
    }
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took too long to connect")
}

async fn unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(QUEUE_PAUSE).await,
            connected => return connected,
        }
    }
}

async fn tcp(host: &str, port: u16, until: Instant) -> io::Result<TcpStream> {
    // An IPv6 address stands in brackets where a port follows it.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = until.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request goes out in few large writes, and none of them should wait for the acknowledgement of another.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure = error,
            Err(_) => failure = too_late(),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, UnixListener, UnixSocket},
    };

    const LONG: Duration = Duration::from_secs(20);

    fn tcp_upstream(host: &str, port: u16) -> Upstream {
        Upstream::Tcp { host: host.to_owned(), port }
    }

    #[tokio::test]
    async fn a_unix_socket_is_connected_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let mut ours = connect(&Upstream::Unix(path), LONG).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        ours.write_all(b"x").await.unwrap();
        assert_eq!(theirs.read_u8().await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn addresses_and_names_are_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            let connected = connect(&tcp_upstream(host, port), LONG).await;
            assert!(matches!(connected, Ok(Either::Right(_))), "{host}: {connected:?}");
        }
    }

    #[tokio::test]
    async fn an_ipv6_address_may_stand_in_brackets() {
        // A machine without IPv6 has no such address.
        let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
        let port = listener.local_addr().unwrap().port();
        for host in ["::1", "[::1]"] {
            assert!(connect(&tcp_upstream(host, port), LONG).await.is_ok(), "{host}");
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_the_error_is_that_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let missing = connect(&Upstream::Unix(folder.path().join("none")), LONG).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let refused = connect(&tcp_upstream("127.0.0.1", port), LONG).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_full_queue_is_waited_for_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let listener = socket.listen(1).unwrap();
        let upstream = Upstream::Unix(path);
        let mut waiting = Vec::new();
        let full = loop {
            match connect(&upstream, Duration::from_millis(50)).await {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
            assert!(waiting.len() < 10, "the queue holds one or two");
        };
        assert_eq!(full.kind(), io::ErrorKind::TimedOut);
        let late = tokio::spawn(async move { connect(&upstream, LONG).await });
        for _ in 0..=waiting.len() {
            listener.accept().await.unwrap();
        }
        late.await.unwrap().unwrap();
    }
}
