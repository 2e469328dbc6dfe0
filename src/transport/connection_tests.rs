//! What a connection does before and after its request, with the clock of the runtime stopped and moved on by waiting.

use super::*;
use crate::{app::App, body::Body, gateway::Ownership, settings::Settings};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{convert::Infallible, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    task::coop::consume_budget,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

/// The other end of a connection on which `app` answers.
fn connect(app: impl App) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let shared = Shared::new(Settings::default(), Ownership::Shared, CancellationToken::new());
    tokio::spawn(serve_connection(Socket::from_fd(theirs.into_std().unwrap().into()).unwrap(), app.into_box(), shared, None));
    ours
}

fn hello() -> impl App {
    service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello")))) })
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_go_on_to_say_what_it_speaks_is_closed_after_ten_seconds() {
    for said in [&b""[..], b"1", b"12345", b"L", b"LS", b"\0", b"\0\x05\0", b"P", b"PROX", b"\r\n", b"\x16"] {
        let mut stream = connect(hello());
        stream.write_all(said).await.unwrap();
        let start = Instant::now();
        // What it has said is left in the socket, so that the close may be a reset.
        let _ = stream.read(&mut [0]).await.map(|read| assert_eq!(read, 0, "{said:?}"));
        assert_eq!(start.elapsed().as_secs(), 10, "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_go_on_is_closed_after_ten_seconds() {
    for said in [&b"70:CONTENT"[..], b"\0\x05\0\0\x01"] {
        let mut stream = connect(hello());
        stream.write_all(said).await.unwrap();
        let start = Instant::now();
        let _ = stream.read(&mut [0]).await.map(|read| assert_eq!(read, 0, "{said:?}"));
        assert!((10..=11).contains(&start.elapsed().as_secs()), "{said:?}: {:?}", start.elapsed());
    }
}

/// A task that has done a lot is told to wait by every socket, whether there is something to read or not.
#[tokio::test]
async fn a_task_that_has_done_its_share_still_ends_a_good_answer_well() {
    for share in 0..200 {
        let app = service_fn(move |_: Request<Body>| async move {
            for _ in 0..share {
                consume_budget().await;
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
        });
        for request in [&b"36:CONTENT_LENGTH\x000\0REQUEST_METHOD\0GET\0,"[..], b"42:CONTENT_LENGTH\x004\0REQUEST_METHOD\0POST\0A\0bc\0,body"] {
            let (mut stream, mut got) = (connect(app), String::new());
            stream.write_all(request).await.unwrap();
            let result = stream.read_to_string(&mut got).await;
            assert!(result.is_ok() && got.ends_with("\r\n\r\nhello"), "after a share of {share}: {result:?}");
        }
    }
}

/// The byte that stays unread for a reset may be on its way still.
#[tokio::test(start_paused = true)]
async fn a_response_that_broke_waits_for_a_byte_to_leave_unread() {
    let app = || {
        service_fn(|_: Request<Body>| async {
            let pieces = [Ok(http_body::Frame::data(Bytes::from(vec![b'x'; 100_000]))), Err("on purpose")];
            Ok::<_, Infallible>(Response::new(http_body_util::StreamBody::new(futures_util::stream::iter(pieces))))
        })
    };
    const REQUEST: &[u8] = b"42:CONTENT_LENGTH\x0010\0REQUEST_METHOD\0POST\0A\0b\0,01234";
    async fn sent(stream: &mut UnixStream) {
        let mut head = vec![0; 100_000];
        stream.read_exact(&mut head).await.unwrap();
        let mut got = Vec::new();
        let _ = timeout(Duration::from_secs(1), stream.read_to_end(&mut got)).await;
    }
    let mut stream = connect(app());
    stream.write_all(REQUEST).await.unwrap();
    sent(&mut stream).await;
    stream.write_all(b"5").await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);

    // Nobody is waited for longer than for the rest of any other request.
    let mut stream = connect(app());
    stream.write_all(REQUEST).await.unwrap();
    let start = Instant::now();
    sent(&mut stream).await;
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert!((30..40).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}
