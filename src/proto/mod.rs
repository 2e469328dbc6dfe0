//! The wire and the connection: bytes in, [`Event`]s out; [`ResponsePart`]s in, bytes out.
//!
//! Nothing here does IO, reads a clock or knows what a variable means. A protocol is a [`Wire`]; `transport` moves bytes between it and a
//! socket. To add a protocol is to add a folder here and one match arm there.

pub(crate) mod announced;
pub(crate) mod fastcgi;
mod outbox;
pub(crate) mod plain;
pub(crate) mod scgi;
pub(crate) mod uwsgi;

pub(crate) use outbox::Outbox;

use crate::profile::Abort;
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// The number that tells requests on one connection apart.
pub(crate) type RequestId = u16;

/// A name and a value, as ranges of [`Params::bytes`].
pub(crate) type PairSpan = (Range<u32>, Range<u32>);

/// The variables of a request as they came, in order, duplicates kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) bytes: Bytes,
    pub(crate) pairs: Vec<PairSpan>,
    /// The request headers as the client wrote them, where the protocol carries them beside the variables: ranges of the same bytes.
    pub(crate) headers: Option<Vec<PairSpan>>,
}

/// What the web server asks of the app (FastCGI specification 6). Every other protocol knows the first only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Role {
    #[default]
    Responder,
}

/// What a peer did, told to the driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// All variables of a request are here.
    Request { id: RequestId, keep_conn: bool, role: Role, params: Params },
    /// A request that is answered without a handler.
    Refused { id: RequestId, refusal: Refusal },
    /// A piece of a request body.
    Body { id: RequestId, chunk: Bytes },
    /// The peer ended the body properly.
    BodyEnd { id: RequestId },
    /// The input ended although the body had not.
    BodyCut { id: RequestId },
    /// The peer does not want the response any more. The driver still answers with [`ResponsePart::End`].
    Aborted { id: RequestId },
}

/// Why a request is answered without a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// More variables, in bytes or in pairs, than the limits allow.
    ParamsTooLarge,
    /// The variables cannot be read.
    ParamsMalformed,
    /// A role that lodger does not play.
    UnknownRole,
    /// More requests at one time on this connection than the limits allow.
    TooManyRequests,
    /// A body whose end cannot be found: it has no length, and the protocol has no other way to say where it ends.
    LengthRequired,
}

/// A piece of a response, told to the wire.
#[derive(Debug)]
pub(crate) enum ResponsePart {
    /// The header block as CGI has it, `Status:` first, in the first `head_len` bytes; what follows are the first bytes of the body.
    Head { block: Bytes, head_len: usize },
    /// Bytes of the body.
    Data(Bytes),
    /// Text for the error log of the web server; empty text says that no more follows.
    Stderr(Bytes),
    /// The response is complete.
    End,
    /// The response broke and is ended as the protocol ends one, because this peer would take a close for an accident and ask again.
    Cut,
    /// The response broke: send what makes the peer drop the connection and the response with it.
    Poison,
}

/// What happens to a connection when no request is in work any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Wait for the next request.
    Keep,
    /// Everything was read: close.
    Close,
    /// The peer may still be writing: say that we are done, take what it sends and throw it away, then close.
    Linger,
}

/// What a peer may not do. The connection is closed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Violation {
    #[error("the record is not FastCGI version 1 but starts with byte {0:#04x}")]
    Version(u8),
    #[error("BEGIN_REQUEST carries {0} bytes, 8 are required")]
    ShortBegin(usize),
    #[error("BEGIN_REQUEST for request {0}, which is still in work")]
    BeginTwice(RequestId),
    #[error("more management records were sent than their answers were read")]
    ManagementFlood,
    #[error("the SCGI request cannot be read: {0}")]
    Scgi(&'static str),
    #[error("the uwsgi request cannot be read: {0}")]
    Uwsgi(&'static str),
}

/// How much of what a peer sends may be taken out of its socket now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appetite {
    /// Whatever is there.
    Any,
    /// So many bytes and no more.
    AtMost(usize),
    /// The next byte is the last of the request. It is looked at and stays in the socket until the response has gone out whole: closing a socket with a byte
    /// unread resets it, and that is what shows a peer without any framing that a response broke.
    LastByte,
}

/// One protocol on one connection, without any IO.
pub(crate) trait Wire {
    /// Whether the protocol has a way to the web server's error log.
    const HAS_STDERR: bool;

    /// Takes the next event out of `input`, or `None` when more bytes are needed. Answers that concern nobody but the protocol go to `out`.
    fn next_event(&mut self, input: &mut BytesMut, out: &mut Outbox) -> Result<Option<Event>, Violation>;

    /// Whether more input can mean anything. A bare body that is complete has nothing behind it, and reading a terminal would block.
    fn wants_input(&self) -> bool {
        true
    }

    /// How much may be read, when `buffered` bytes were read already and not taken by [`next_event`](Self::next_event).
    fn appetite(&self, _buffered: usize) -> Appetite {
        Appetite::Any
    }

    /// Takes note that no more bytes will come; the next calls of [`next_event`](Self::next_event) tell what that means.
    fn end_of_input(&mut self);

    /// How a response that broke is shown over this protocol, where the web server would like it shown in the way `by_profile`.
    fn abort(&self, by_profile: Abort) -> Abort {
        by_profile
    }

    /// Encodes a part of the response to `id`. A part for a request that is not open is ignored.
    fn respond(&mut self, id: RequestId, part: ResponsePart, out: &mut Outbox);

    /// A number that stands for the oldest request whose variables are not complete; it changes when that request is completed.
    fn oldest_incomplete(&self) -> Option<u64>;

    /// A number that stands for the oldest answered request whose body is still being thrown away.
    fn oldest_discarding(&self) -> Option<u64>;

    /// Gives up the oldest request whose variables are not complete; it may be answered then.
    fn refuse_incomplete(&mut self) -> Option<RequestId>;

    /// Takes the bodies that are being thrown away for ended; what still comes of them is ignored.
    fn forget_discarded(&mut self);

    /// What to do with the connection, asked when no request is in work.
    fn rest(&self) -> Rest;
}
