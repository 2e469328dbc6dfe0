//! The other end of a connection: sends one request as a web server does and reads the response. For trying a program out and for tests.

mod fastcgi;
#[cfg(all(feature = "cli", feature = "http"))]
mod http;
#[cfg(feature = "cli")]
mod lsapi;
#[cfg(feature = "cli")]
mod unframed;

#[cfg(all(feature = "cli", feature = "http"))]
pub(crate) use self::http::http;
pub(crate) use fastcgi::fastcgi;
#[cfg(feature = "cli")]
pub(crate) use lsapi::lsapi;
#[cfg(feature = "cli")]
pub(crate) use unframed::{scgi, uwsgi};

use crate::cgi::response::{self, Opening};
use ::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use std::{fmt, io};

/// What is read at one time.
const READ: usize = 64 * 1024;

/// The longest header block that is waited for.
const HEAD_MAX: usize = 1024 * 1024;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) vars: &'a [(Vec<u8>, Vec<u8>)],
    pub(crate) body: &'a Bytes,
    /// The method is HEAD: the response declares a length and has no body.
    pub(crate) head_request: bool,
}

impl<'a> Request<'a> {
    fn vars(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.vars.iter().map(|(name, value)| (&name[..], &value[..]))
    }
}

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

fn broke(error: &io::Error) -> Broken {
    Broken(format!("the connection broke: {error}"))
}

/// Sends and receives at the same time, until all is received: who sends a whole request first may wait for one who first wants to be read.
async fn while_sending<T>(send: impl Future<Output = ()>, receive: impl Future<Output = T>) -> T {
    tokio::pin!(send, receive);
    tokio::select! {
        result = &mut receive => result,
        () = &mut send => receive.await,
    }
}

/// Splits a CGI response into its head and its body as the bytes come, and watches over the length that it declares.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    opening: Opening,
    head: BytesMut,
    head_seen: bool,
    left: Option<u64>,
}

impl ResponseReader {
    #[cfg(feature = "cli")]
    fn beginning_with(opening: Opening) -> Self {
        Self { opening, ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: Bytes, seen: &mut impl FnMut(Seen)) -> Result<(), Broken> {
        if self.head_seen {
            self.body(bytes, seen);
            return Ok(());
        }
        self.head.extend_from_slice(&bytes);
        match response::parse(&self.head, self.opening).map_err(Broken)? {
            Some((status, headers, body_at)) => {
                self.head_seen = true;
                let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
                let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
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
