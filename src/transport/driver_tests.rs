//! What a connection does over time, with the clock of the runtime stopped and moved on by waiting.

use super::*;
use crate::{
    app::App,
    body::Body,
    error::BoxError,
    gateway::Ownership,
    limits::Limits,
    profile::{self, Profile},
    proto::fastcgi::{
        Connection, RecordType,
        client::{Answer, next_answer, request_head},
        record_head,
    },
    settings::Settings,
    sys,
    transport::{intake::ANSWERS_AT_ONCE, socket::Socket},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use std::{
    convert::Infallible,
    io::{ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream as StdStream,
    },
    sync::{Mutex, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The other end of a connection on which `app` answers.
struct Peer {
    stream: UnixStream,
    input: BytesMut,
    stop: CancellationToken,
}

impl Peer {
    fn of(app: impl App, limits: Limits) -> Self {
        Self::with(app, Settings { limits, ..Settings::default() })
    }

    fn with(app: impl App, settings: Settings) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let stop = CancellationToken::new();
        let shared = Shared::new(settings, Ownership::Shared, stop.clone());
        let wire = Connection::new(Arc::clone(&shared.limits));
        tokio::spawn(drive(Socket::from_fd(theirs.into_std().unwrap().into()).unwrap(), wire, Gateway::FastCgi, app.into_box(), shared));
        Self { stream: ours, input: BytesMut::new(), stop }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Begins a request for `path` on a kept connection; its body is not ended.
    async fn begin(&mut self, id: u8, path: &str) {
        let vars = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", path)];
        let head = request_head(vars.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), true);
        let mut records = head.to_vec();
        // The client knows one id only.
        for at in record_starts(&records) {
            records[at + 3] = id;
        }
        self.send(&records).await;
    }

    async fn end_body(&mut self, id: u8) {
        self.send(&record_head(RecordType::STDIN, id.into(), 0)).await;
    }

    /// The next response: its id and its bytes.
    async fn response(&mut self) -> Option<(u16, String)> {
        let mut bytes = Vec::new();
        loop {
            while let Some((answer, record)) = next_answer(&mut self.input).unwrap() {
                match answer {
                    Answer::Stdout(data) => bytes.extend_from_slice(&data),
                    Answer::End { .. } => return Some((record.id, String::from_utf8(bytes).unwrap())),
                    _ => {}
                }
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }
}

fn record_starts(records: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (Vec::new(), 0);
    while at < records.len() {
        starts.push(at);
        at += 8 + usize::from(u16::from_be_bytes([records[at + 4], records[at + 5]]));
    }
    starts
}

/// Answers with its path, after as many seconds as the path says.
fn slow_app() -> impl App {
    tower::service_fn(|request: Request<Body>| async move {
        let path = request.uri().path().to_owned();
        sleep(Duration::from_secs(path.trim_start_matches('/').parse().unwrap_or(0))).await;
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(path))))
    })
}

fn patient() -> Limits {
    Limits::default().with_request_timeout(Duration::from_secs(1000))
}

#[tokio::test]
async fn what_the_developer_says_of_the_web_server_counts() {
    let odd = || {
        tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::builder().status(599).body(Full::new(Bytes::new())).unwrap()) })
    };
    for (profile, expected) in [(None, "Status: 599 "), (Profile::named("litespeed"), "Status: 500 Internal Server Error\r\nlodger-status: 599\r\n")]
    {
        let mut peer = Peer::with(odd(), Settings { profile, ..Settings::default() });
        peer.begin(1, "/").await;
        peer.end_body(1).await;
        let (_, response) = peer.response().await.unwrap();
        assert!(response.starts_with(expected), "{response}");
    }
    assert!(Profile::named(profile::UNKNOWN.name()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_in_use_is_never_idle_and_one_in_no_use_is_closed() {
    let mut peer = Peer::of(slow_app(), patient());
    for _ in 0..10 {
        peer.begin(1, "/0").await;
        peer.end_body(1).await;
        assert_eq!(peer.response().await.unwrap().0, 1);
        sleep(Duration::from_secs(50)).await;
    }
    sleep(Duration::from_secs(69)).await;
    assert!(timeout(Duration::from_millis(10), peer.response()).await.is_err(), "still open");
    assert_eq!(timeout(Duration::from_secs(2), peer.response()).await, Ok(None), "closed after 120 s");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_never_ended_hurts_no_later_request() {
    let mut peer = Peer::of(slow_app(), patient());
    peer.begin(1, "/0").await;
    assert_eq!(peer.response().await.unwrap().0, 1);
    sleep(Duration::from_secs(22)).await;
    peer.begin(2, "/20").await;
    peer.end_body(2).await;
    let (id, text) = peer.response().await.expect("the connection was closed under the second request");
    assert!(id == 2 && text.ends_with("/20"));
}

#[tokio::test(start_paused = true)]
async fn variables_that_never_come_are_refused_without_hurting_others() {
    let mut peer = Peer::of(slow_app(), patient());
    peer.begin(1, "/30").await;
    peer.end_body(1).await;
    let begin_only = request_head(std::iter::empty(), true)[..16].to_vec();
    let mut second = begin_only;
    second[3] = 2;
    peer.send(&second).await;
    let (id, text) = peer.response().await.unwrap();
    assert!(id == 2 && text.starts_with("Status: 408 "), "{text}");
    let (id, text) = peer.response().await.unwrap();
    assert!(id == 1 && text.ends_with("/30"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn half_a_record_alone_is_given_up_ten_seconds_after_its_first_byte() {
    let mut peer = Peer::of(slow_app(), patient());
    peer.send(&[1]).await;
    sleep(Duration::from_secs(9)).await;
    peer.send(&request_head(std::iter::empty(), true)[1..16]).await;
    assert_eq!(timeout(Duration::from_secs(2), peer.response()).await, Ok(None), "the time does not begin again with the first whole record");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_a_504() {
    let mut peer = Peer::of(slow_app(), Limits::default());
    peer.begin(1, "/31").await;
    peer.end_body(1).await;
    assert!(peer.response().await.unwrap().1.starts_with("Status: 504 "));
}

#[tokio::test(start_paused = true)]
async fn told_to_leave_a_connection_finishes_its_request_and_closes() {
    let mut peer = Peer::of(slow_app(), patient());
    peer.begin(1, "/3").await;
    peer.end_body(1).await;
    sleep(Duration::from_secs(1)).await;
    peer.stop.cancel();
    assert!(peer.response().await.unwrap().1.ends_with("/3"));
    assert_eq!(timeout(Duration::from_millis(100), peer.response()).await, Ok(None));
}

/// Answers without waiting for anything.
fn prompt_app() -> impl App {
    tower::service_fn(|_: Request<Body>| std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))))
}

/// A request without a body.
fn request(keep_conn: bool) -> Vec<u8> {
    let vars = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/")];
    let head = request_head(vars.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), keep_conn);
    [&head[..], &record_head(RecordType::STDIN, 1, 0)].concat()
}

/// Lets whoever waits for a turn have it, and comes again without a look at what the kernel has to tell.
async fn turn() {
    let mut comes_again = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut comes_again, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Reads the answer to a request on a stream that does not block, in turns with the other end; false when there is none.
async fn answered_in_turns(stream: &mut StdStream) -> bool {
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => turn().await,
            _ => return false,
        }
        if answer.last_chunk::<16>().is_some_and(|record| record.starts_with(&record_head(RecordType::END_REQUEST, 1, 8))) {
            return true;
        }
    }
}

#[tokio::test]
async fn a_peer_that_says_more_at_every_turn_is_held_to_its_limits() {
    let peer = Peer::of(prompt_app(), Limits::default().with_linger_timeout(Duration::from_millis(100)));
    let mut stream = peer.stream.into_std().unwrap();
    let request = request(false);
    // The end of the body does not come.
    stream.write_all(&request[..request.len() - 8]).unwrap();
    let record = [&record_head(RecordType::STDIN, 1, 1)[..], b"x"].concat();
    let goes_on = tokio::spawn(async move {
        assert!(answered_in_turns(&mut stream).await);
        while stream.write_all(&record).is_ok() {
            turn().await;
        }
    });
    timeout(Duration::from_secs(20), goes_on).await.expect("it is still listened to").unwrap();
}

#[tokio::test]
async fn told_to_leave_a_connection_that_has_its_next_request_at_every_turn_closes() {
    let peer = Peer::of(prompt_app(), patient());
    let mut stream = peer.stream.into_std().unwrap();
    stream.write_all(&request(true)).unwrap();
    let asks = tokio::spawn(async move {
        let mut answered = 0;
        while answered < 100 && answered_in_turns(&mut stream).await {
            answered += 1;
            if answered == 4 {
                peer.stop.cancel();
            }
            if stream.write_all(&request(true)).is_err() {
                break;
            }
        }
        answered
    });
    assert!((4..10).contains(&asks.await.unwrap()), "it hears too late that it was told to leave");
}

#[tokio::test(start_paused = true)]
async fn told_to_leave_a_connection_does_not_wait_long_for_the_rest_of_a_body() {
    let mut peer = Peer::of(slow_app(), patient());
    peer.begin(1, "/0").await;
    assert_eq!(peer.response().await.unwrap().0, 1);
    peer.stop.cancel();
    assert_eq!(timeout(Duration::from_secs(2), peer.response()).await, Ok(None));
}

/// Panics when it is asked for its length.
struct Moody;

impl http_body::Body for Moody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        panic!("on purpose")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_anywhere_in_the_app_is_a_500_and_the_connection_goes_on() {
    let mut peer = Peer::of(tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Moody)) }), patient());
    for _ in 0..2 {
        peer.begin(1, "/").await;
        peer.end_body(1).await;
        assert!(peer.response().await.unwrap().1.starts_with("Status: 500 "));
    }
}

#[tokio::test]
async fn bytes_whose_destructor_panics_cost_their_own_request_alone() {
    struct Touchy;

    impl AsRef<[u8]> for Touchy {
        fn as_ref(&self) -> &[u8] {
            b"held"
        }
    }

    impl Drop for Touchy {
        fn drop(&mut self) {
            panic!("it does not like to be dropped");
        }
    }

    // The body of one fails behind its first piece, and that of the other ends before its declared length.
    let app = tower::service_fn(|request: Request<Body>| async move {
        let mut pieces = vec![Ok(Frame::data(Bytes::from_owner(Touchy)))];
        pieces.extend((request.uri().path() == "/fails").then_some(Err("it broke")));
        let response = Response::builder().header("x-kind", "touchy");
        let response = if pieces.len() == 1 { response.header("content-length", "100") } else { response };
        Ok::<_, Infallible>(response.body(StreamBody::new(stream::iter(pieces))).unwrap())
    });
    let mut peer = Peer::of(app, Limits::default());
    for (id, path) in [(1, "/fails"), (2, "/ends"), (3, "/fails")] {
        peer.begin(id, path).await;
        peer.end_body(id).await;
        let (answered, response) = peer.response().await.unwrap();
        assert!(answered == u16::from(id) && response.starts_with("Status: 500 "), "{path}: {response}");
    }
}

/// What does not fill a piece of the socket waits for what comes next, but only where that comes at once.
#[tokio::test(start_paused = true)]
async fn a_response_that_pauses_leaves_nothing_behind() {
    const PIECE: usize = 32 * 1024;
    for pieces in 1..=8 {
        let app = tower::service_fn(move |_: Request<Body>| async move {
            let here = stream::iter((0..pieces).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; PIECE])))));
            Ok::<_, Infallible>(Response::new(StreamBody::new(here.chain(stream::pending()))))
        });
        let mut peer = Peer::of(app, Limits::default());
        peer.begin(1, "/").await;
        peer.end_body(1).await;
        let mut came = 0;
        while came < pieces * PIECE {
            while let Some((answer, _)) = next_answer(&mut peer.input).unwrap() {
                if let Answer::Stdout(data) = answer {
                    came += data.iter().filter(|byte| **byte == b'x').count();
                }
            }
            let read = timeout(Duration::from_secs(1), peer.stream.read_buf(&mut peer.input));
            assert!(came == pieces * PIECE || matches!(read.await, Ok(Ok(1..))), "{came} bytes of {pieces} pieces came");
        }
    }
}

#[tokio::test]
async fn what_was_answered_before_the_peer_broke_the_rules_is_sent() {
    const BODY: usize = 4000;
    for requests in [1, 29, 40] {
        let app = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; BODY])))) });
        let mut peer = Peer::of(app, Limits::default());
        let mut said: Vec<u8> = (0..requests).flat_map(|_| request(true)).collect();
        said.extend_from_slice(b"nonsense");
        peer.send(&said).await;
        for _ in 0..requests {
            assert!(peer.response().await.is_some_and(|(_, response)| response.ends_with(&"x".repeat(BODY))), "{requests} requests");
        }
        assert_eq!(peer.response().await, None);
    }
}

/// How many bytes of answers the peer could take when each of the handlers began, of requests that came with one read, and how long the answers are in all.
async fn found_by_handlers(requests: &[u8], answers: usize) -> (Vec<usize>, usize) {
    let (there, seen) = (Arc::new(OnceLock::<OwnedFd>::new()), Arc::new(Mutex::new(Vec::new())));
    let (of_peer, takes_note) = (Arc::clone(&there), Arc::clone(&seen));
    let app = tower::service_fn(move |_: Request<Body>| {
        let found = sys::peek(of_peer.get().unwrap(), &mut [0; 4096], 1).map_or(0, |found| found.len);
        takes_note.lock().unwrap().push(found);
        async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello")))) }
    });
    let mut peer = Peer::of(app, Limits::default());
    there.set(peer.stream.as_fd().try_clone_to_owned().unwrap()).unwrap();
    peer.send(requests).await;
    let mut all = 0;
    for _ in 0..answers {
        let (_, response) = peer.response().await.unwrap();
        all += response.len();
    }
    let found = seen.lock().unwrap().clone();
    (found, all)
}

#[tokio::test]
async fn the_first_answers_leave_before_the_last_requests_of_a_read_are_worked_on() {
    const REQUESTS: usize = 11;
    let (found, all) = found_by_handlers(&request(true).repeat(REQUESTS), REQUESTS).await;
    let each = found[ANSWERS_AT_ONCE] / ANSWERS_AT_ONCE;
    assert!(each > all / REQUESTS, "{found:?}");
    let expected: Vec<_> = (0..REQUESTS).map(|before| before / ANSWERS_AT_ONCE * ANSWERS_AT_ONCE * each).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn they_leave_before_the_last_request_too_when_one_before_it_is_not_here_whole() {
    let (before, end_of_body) = (request(true).repeat(ANSWERS_AT_ONCE - 1), record_head(RecordType::STDIN, 2, 0));
    let mut half = request(true);
    half.truncate(half.len() - end_of_body.len());
    for at in record_starts(&half) {
        half[at + 3] = 2;
    }
    let (found, _) = found_by_handlers(&[before, half, request(true)].concat(), ANSWERS_AT_ONCE + 1).await;
    // The handler of the half one begins when all others have answered.
    assert_eq!(found.len(), ANSWERS_AT_ONCE + 1);
    assert!(found[ANSWERS_AT_ONCE - 1] > 0, "{found:?}");
}

/// A connection that nobody drives yet, and its other end.
fn undriven(app: impl App, limits: Limits) -> (Driver<Socket, Connection>, StdStream) {
    let (ours, theirs) = StdStream::pair().unwrap();
    let shared = Shared::new(Settings { limits, ..Settings::default() }, Ownership::Shared, CancellationToken::new());
    let wire = Connection::new(Arc::clone(&shared.limits));
    (Driver::new(Socket::from_fd(ours.into()).unwrap(), wire, Gateway::FastCgi, app.into_box(), shared), theirs)
}

#[tokio::test]
async fn a_read_buffer_in_which_more_has_room_is_not_made_larger() {
    let (mut driver, mut theirs) = undriven(prompt_app(), Limits::default());
    // More than two reads, and not all of a record.
    let value = vec![b'x'; 50_000];
    let vars = [("REQUEST_METHOD", &b"GET"[..]), ("REQUEST_URI", b"/"), ("LONG", &value)];
    let head = request_head(vars.iter().map(|(name, value)| (name.as_bytes(), *value)), true);
    theirs.write_all(&head[..40_000]).unwrap();
    poll_fn(|cx| Poll::Ready(driver.poll(cx).is_ready())).await;
    assert_eq!(driver.input.len(), 40_000 - 16, "all is read but the record in front, which is taken out");
    let has_place = driver.input.capacity();
    assert!(has_place < READ + READ_MORE, "{has_place}");
}

#[tokio::test]
async fn a_body_that_its_handler_takes_as_it_comes_never_waits_on_disk() {
    let app = tower::service_fn(|request: Request<Body>| async {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            frame.unwrap();
        }
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    });
    let vars = [("REQUEST_METHOD", &b"POST"[..]), ("REQUEST_URI", b"/")];
    let head = request_head(vars.iter().map(|(name, value)| (name.as_bytes(), *value)), true);
    // About as Apache sends it: pieces of 8 KiB, each with the head of a record.
    let record = [&record_head(RecordType::STDIN, 1, 8184)[..], &[b'x'; 8184]].concat();
    for limits in [Limits::default(), Limits::default().with_body_window(READ)] {
        let (mut driver, theirs) = undriven(app, limits);
        theirs.set_nonblocking(true).unwrap();
        let mut theirs = UnixStream::from_std(theirs).unwrap();
        let upload = async {
            theirs.write_all(&head).await.unwrap();
            theirs.write_all(&record.repeat(500)).await.unwrap();
        };
        tokio::select! {
            () = driver.run() => panic!("the connection ended"),
            () = upload => {}
        }
        let slot = driver.exchanges.iter().next().unwrap();
        assert!(!slot.inbox.as_ref().unwrap().was_spooled(), "a window of {} bytes", driver.shared.limits.body_window);
    }
}
