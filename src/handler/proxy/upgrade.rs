//! WebSockets: a connection that becomes two that are tied together.

use super::hop;
use crate::handler::{Answer, empty};
use futures_util::future::select;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use std::{io, pin::pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split},
    time::timeout,
};

const WEBSOCKET: &str = "websocket";

/// How long one side may go on after the other has ended. RFC 6455, 5.5.1: what is left to say then is one frame, the answer to `Close`; without a limit, who never closes would hold the
/// connection for ever.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// RFC 6455, 4.1: each handshake has one, and nothing else does. No door takes it out.
const SEC_WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");

/// Whether a request is the beginning of a WebSocket.
#[derive(Debug)]
pub(super) enum Wish {
    Nothing,
    /// The visitor asked, and the way that the request came by cannot be upgraded.
    Impossible,
    WebSocket(OnUpgrade),
}

/// Takes the visitor's end of the connection out of the request, where it can be had. A request with a body asks for nothing else than its answer.
pub(super) fn wish(request: &mut Parts, has_body: bool) -> Wish {
    let asks = request.method == Method::GET && !has_body && request.headers.contains_key(SEC_WEBSOCKET_KEY);
    match request.extensions.remove::<OnUpgrade>() {
        _ if !asks => Wish::Nothing,
        // Doors that cannot be upgraded take out the headers that ask for it, and so does a web server that was not told to pass them on.
        None => Wish::Impossible,
        Some(ours) if names_websocket(&request.headers) => Wish::WebSocket(ours),
        Some(_) => Wish::Nothing,
    }
}

/// RFC 9110, 7.8: `Upgrade` counts only where `Connection` lists it.
fn names_websocket(headers: &HeaderMap) -> bool {
    hop::lists(headers, header::UPGRADE, WEBSOCKET) && hop::lists(headers, header::CONNECTION, "upgrade")
}

/// Asks for a WebSocket in headers that go on.
pub(super) fn ask(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

/// The answer to a visitor whose WebSocket the upstream accepted; from then on all bytes go through as they are. None when what it accepted is no WebSocket.
pub(super) fn accept(ours: OnUpgrade, mut response: http::Response<Incoming>) -> Option<Answer> {
    if !names_websocket(response.headers()) {
        return None;
    }
    let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS);
    *answer.headers_mut() = hop::end_to_end(response.headers());
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    ask(answer.headers_mut());
    let theirs = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        // Either end may leave before it comes to that, which drops the other.
        if let Ok((ours, theirs)) = tokio::try_join!(ours, theirs) {
            tie(ours, theirs).await;
        }
    });
    Some(answer)
}

/// Ends when both sides have, soon after one has, or when one breaks. What either says of why it broke is nothing that anybody could act on.
async fn tie(ours: Upgraded, theirs: Upgraded) {
    let (mut from_visitor, mut to_visitor) = split(TokioIo::new(ours));
    let (mut from_server, mut to_server) = split(TokioIo::new(theirs));
    let up = pin!(pass_on(&mut from_visitor, &mut to_server));
    let down = pin!(pass_on(&mut from_server, &mut to_visitor));
    let (ended, other) = select(up, down).await.factor_first();
    if ended.is_ok() {
        let _ = timeout(LAST_WORDS, other).await;
    }
}

/// All that comes, and then the end.
async fn pass_on(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    copy(from, to).await?;
    to.shutdown().await
}
