//! The other end of a connection: sends one request as a web server does and reads the response. For trying a program out and for tests.

use crate::{
    cgi::response,
    proto::fastcgi::client::{Answer, next_answer, request_body, request_head},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use std::fmt;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What is read at one time.
const READ: usize = 64 * 1024;

/// The longest header block that is waited for.
const HEAD_MAX: usize = 1024 * 1024;

/// What happens in the course of an exchange, in order.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A line about a record, sent or received.
    Record(String),
    Head(StatusCode, HeaderMap),
    Body(Bytes),
    Stderr(Bytes),
}

/// Why a response is not one.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// Splits a CGI response into its head and its body as the bytes come, and watches over the length that it declares.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    head: BytesMut,
    head_seen: bool,
    left: Option<u64>,
}

impl ResponseReader {
    pub(crate) fn push(&mut self, bytes: Bytes, seen: &mut impl FnMut(Seen)) -> Result<(), Broken> {
        if self.head_seen {
            self.body(bytes, seen);
            return Ok(());
        }
        self.head.extend_from_slice(&bytes);
        match response::parse(&self.head).map_err(Broken)? {
            Some((status, headers, body_at)) => {
                self.head_seen = true;
                let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
                let declared = headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
                self.left = declared.filter(|_| !bodiless);
                seen(Seen::Head(status, headers));
                let rest = self.head.split_off(body_at).freeze();
                self.body(rest, seen);
                Ok(())
            }
            None if self.head.len() > HEAD_MAX => Err(Broken("the header block does not end".to_owned())),
            None => Ok(()),
        }
    }

    fn body(&mut self, bytes: Bytes, seen: &mut impl FnMut(Seen)) {
        self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
        if !bytes.is_empty() {
            seen(Seen::Body(bytes));
        }
    }

    /// The response is over: tells whether it was whole.
    pub(crate) fn finish(&self, head_request: bool) -> Result<(), Broken> {
        match self.left {
            _ if !self.head_seen => Err(Broken("there was no response".to_owned())),
            Some(left) if left > 0 && !head_request => Err(Broken(format!("the response broke off {left} bytes before its declared length"))),
            _ => Ok(()),
        }
    }
}

/// Sends a request over FastCGI and reads the response to its end.
///
/// # Errors
///
/// When the other end does not answer by the book.
pub(crate) async fn fastcgi<S>(
    stream: S,
    vars: &[(Vec<u8>, Vec<u8>)],
    body: Bytes,
    head_request: bool,
    mut seen: impl FnMut(Seen),
) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let head = request_head(vars.iter().map(|(name, value)| (&name[..], &value[..])), false);
    seen(Seen::Record(format!("sent     BEGIN_REQUEST and PARAMS with {} variables, {} bytes", vars.len(), head.len())));
    if !body.is_empty() {
        seen(Seen::Record(format!("sent     STDIN with a body of {} bytes", body.len())));
    }
    let send = async {
        let mut bytes = BytesMut::from(&head[..]);
        bytes.extend_from_slice(&request_body(body.clone()));
        if !body.is_empty() {
            bytes.extend_from_slice(&request_body(Bytes::new()));
        }
        // A program may answer and close before it has read everything: the response tells how it went.
        let _ = writer.write_all(&bytes).await;
    };
    let receive = async {
        let (mut input, mut response) = (BytesMut::new(), ResponseReader::default());
        loop {
            while let Some((answer, record)) = next_answer(&mut input).map_err(Broken)? {
                seen(Seen::Record(format!("received {:?} id {}, {} bytes", record.kind, record.id, record.content.len())));
                match answer {
                    Answer::Stdout(data) => response.push(data, &mut seen)?,
                    Answer::Stderr(text) => seen(Seen::Stderr(text)),
                    Answer::End { app_status: 0, protocol_status: 0 } => return response.finish(head_request),
                    Answer::End { app_status, protocol_status } => {
                        return Err(Broken(format!("the request ended with appStatus {app_status} and protocolStatus {protocol_status}")));
                    }
                    Answer::Other(kind) => return Err(Broken(format!("a record of {kind:?} has no place in a response"))),
                }
            }
            input.reserve(READ);
            match reader.read_buf(&mut input).await {
                Ok(0) => return Err(Broken("the connection was closed before the response had ended".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(Broken(format!("the connection broke: {error}"))),
            }
        }
    };
    tokio::pin!(send, receive);
    tokio::select! {
        result = &mut receive => result,
        () = &mut send => receive.await,
    }
}
