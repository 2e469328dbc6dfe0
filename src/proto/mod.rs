//! The wire and the connection: bytes in, [`Event`]s out; [`ResponsePart`]s in, bytes out.
//!
//! Nothing here does IO, reads a clock or knows what a variable means. A protocol is a [`Wire`]; `transport` moves bytes between it and a
//! socket. To add a protocol is to add a folder here and one match arm there.

pub(crate) mod announced;
pub(crate) mod fastcgi;
#[cfg(feature = "http")]
pub(crate) mod http1;
pub(crate) mod lsapi;
mod outbox;
pub(crate) mod plain;
pub(crate) mod scgi;
pub(crate) mod uwsgi;

pub(crate) use outbox::Outbox;

use crate::{
    pairs::{PairSpan, Pairs},
    profile::Abort,
};
use bytes::{Bytes, BytesMut};

/// The number that tells requests on one connection apart.
pub(crate) type RequestId = u16;

/// The variables of a request as they came, and the headers where they came beside them; in order, duplicates kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) bytes: Bytes,
    pub(crate) pairs: Pairs,
    /// The request headers as the client wrote them, where the protocol carries them in the place of their variables: ranges of the same bytes.
    pub(crate) headers: Option<Vec<PairSpan>>,
}

/// What the web server asks of the app (FastCGI specification, section 6). Every protocol but FastCGI knows the first only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Role {
    /// Answer the request. The usual case.
    #[default]
    Responder,
    /// Say whether the web server may go on with a request that something else answers.
    ///
    /// The app gets an ordinary `http::Request` without a body; its target is always the whole one that the client asked for, with no mount stripped, and the variable
    /// `SCRIPT_FILENAME` names the file, where there is one. A response with **status 200** grants: of it only variables count, those in [`Variables`](crate::Variables)
    /// and headers whose names begin with `variable-`, which are sent upper-cased. Its other headers and its body are dropped, as specification 6.3 has it. **Any other status
    /// denies**, 204 too, and so does a panic or a time-out, which is a 500. What the visitor sees of such a response is up to the web server: lighttpd passes it on,
    /// Apache's mod_fcgid makes a 401 with a page of its own of every denial and keeps only the headers.
    ///
    /// Apache asks in up to three phases of a request and names them in the variable `FCGI_APACHE_ROLE`: `ACCESS_CHECKER` (may this client come at all?), `AUTHENTICATOR` (are user
    /// and password right? they are in `REMOTE_USER` and `REMOTE_PASSWD`) and `AUTHORIZER` (may this `REMOTE_USER` see that?).
    Authorizer,
    /// Answer the request by changing a file that the web server sends along: [`FilterData`](crate::FilterData), with its length and age in the variables
    /// `FCGI_DATA_LENGTH` and `FCGI_DATA_LAST_MOD`. The request body is there too.
    Filter,
}

/// What a peer did, told to the driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// All variables of a request are here.
    Request { id: RequestId, keep_conn: bool, role: Role, params: Params },
    /// A request of HTTP is here whole: it has no body.
    #[cfg(feature = "http")]
    Head { id: RequestId, head: http1::RequestHead },
    /// A request that is answered without a handler.
    Refused { id: RequestId, refusal: Refusal },
    /// A piece of a request body.
    Body { id: RequestId, chunk: Bytes },
    /// The peer ended the body properly.
    BodyEnd { id: RequestId },
    /// The input ended although the body had not.
    BodyCut { id: RequestId },
    /// A piece of the file that a Filter is to change.
    Data { id: RequestId, chunk: Bytes },
    /// The peer ended that file properly.
    DataEnd { id: RequestId },
    /// The input ended although that file had not.
    DataCut { id: RequestId },
    /// The peer does not want the response any more. The driver still answers with [`ResponsePart::End`].
    Aborted { id: RequestId },
}

impl Event {
    /// Whether a request comes with it.
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Refused { .. } => true,
            #[cfg(feature = "http")]
            Self::Head { .. } => true,
            _ => false,
        }
    }
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
    /// The web server asks for the request to be run as another user, which takes a process that runs as root.
    AnotherUser,
}

/// A piece of a response, told to the wire.
#[derive(Debug)]
pub(crate) enum ResponsePart<'a> {
    /// The header block as CGI has it, `Status:` first, in the first `head_len` bytes; what follows are the first bytes of the body.
    Head { block: &'a [u8], head_len: usize },
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
    /// Leave the connection, with the input that was not taken, to somebody else.
    #[cfg(feature = "http")]
    HandOver,
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
    #[error("the LSAPI packet cannot be read: {0}")]
    Lsapi(&'static str),
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
    /// Whatever is there but its last byte, which is looked at and stays in the socket as for [`LastByte`](Self::LastByte).
    #[cfg(feature = "http")]
    AllButLast,
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

    /// Takes note that the head which comes next has no body behind it, where a protocol has to say so.
    fn no_body_follows(&mut self) {}

    /// Encodes a part of the response to `id`. A part for a request that is not open is ignored.
    fn respond(&mut self, id: RequestId, part: ResponsePart<'_>, out: &mut Outbox);

    /// A number that stands for the oldest request whose variables are not complete; it changes when that request is completed.
    fn oldest_incomplete(&self) -> Option<u64> {
        None
    }

    /// A number that stands for the oldest answered request whose body is still being thrown away.
    fn oldest_discarding(&self) -> Option<u64> {
        None
    }

    /// Gives up the oldest request whose variables are not complete; it may be answered then.
    fn refuse_incomplete(&mut self) -> Option<RequestId> {
        None
    }

    /// Takes the bodies that are being thrown away for ended; what still comes of them is ignored.
    fn forget_discarded(&mut self) {}

    /// Takes note that the process is about to leave: a protocol that can tell its peer to send nothing more does so with its next response.
    fn leave(&mut self) {}

    /// What to do with the connection, asked when no request is in work.
    fn rest(&self) -> Rest;
}

/// Whether `name` is that of the header `known`, which is written in small letters, digits and hyphens. Of these only letters have the bit 0x40. Shifted, it
/// is the bit 0x20 in which capital and small letters differ, which is ignored for letters and for nothing else.
fn is_header(name: &[u8], known: &str) -> bool {
    // To look at all bytes, whatever the first say, leaves the compiler free to take several at a time.
    let differ = |(byte, small): (&u8, &u8)| (byte | (small & 0x40) >> 1) ^ small;
    name.len() == known.len() && name.iter().zip(known.as_bytes()).map(differ).fold(0, |all, differ| all | differ) == 0
}

/// The length that `values` tell, each of them in decimal digits; `None` where there are none.
///
/// # Errors
///
/// When one is no number, and when two differ: whoever stands between the client and us may have believed the other one.
fn one_length<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<u64>, NotOneLength> {
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(NotOneLength);
    }
    // The parser of numbers takes a sign too.
    let digits = Some(first).filter(|first| first.iter().all(u8::is_ascii_digit)).and_then(|first| std::str::from_utf8(first).ok());
    digits.and_then(|digits| digits.parse().ok()).map(Some).ok_or(NotOneLength)
}

/// A length that is no number, or several that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotOneLength;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_in_any_letters_and_by_no_other_byte() {
        assert!(is_header(b"Cookie2", "cookie2") && is_header(b"HOST", "host") && !is_header(b"hos", "host"));
        for byte in 0..=u8::MAX {
            for known in ["a", "m", "z", "-", "0", "2"] {
                assert_eq!(is_header(&[byte], known), [byte].eq_ignore_ascii_case(known.as_bytes()), "{byte} for {known}");
            }
        }
    }
}
