//! One request whose head says first how long it is, and whose body follows bare: what SCGI and uwsgi have in common.
//!
//! Neither frames a response: it ends with the connection, and the only thing that tells a peer of one that broke is a reset. So the last byte of the request
//! stays in the socket until the response has gone out whole ([`Appetite::LastByte`]).

use super::{
    Appetite, Event, NotOneLength, Outbox, PairSpan, Params, Refusal, RequestId, ResponsePart, Rest, Violation, Wire, one_length,
    plain::{self, BodyLength, ID, Plain},
};
use crate::{limits::Limits, pairs::Pairs, profile::Abort};
use bytes::{Bytes, BytesMut};
use std::{marker::PhantomData, sync::Arc};

/// Why a head is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// Nothing that follows can be trusted.
    Malformed(&'static str),
    /// More variables than the limit allows.
    TooMany,
}

/// What one protocol makes of its head and of the head of a response.
pub(crate) trait Dialect {
    /// The variables in a head that is whole.
    fn variables(head: &[u8], max: usize) -> Result<Vec<PairSpan>, HeadError>;

    /// The header block of a response as this protocol has it.
    fn put_head(block: &[u8], out: &mut Outbox) {
        out.put_slice(block);
    }

    fn violation(sentence: &'static str) -> Violation;
}

/// A connection with one request on it.
#[derive(Debug)]
pub(crate) struct Announced<D> {
    limits: Arc<Limits>,
    state: State,
    dialect: PhantomData<fn() -> D>,
}

#[derive(Debug)]
enum State {
    /// The head is on its way; it takes so many bytes.
    Head { len: usize },
    /// The variables are known.
    Body(Plain),
    /// The request was refused. What comes is thrown away until the peer has seen the answer and leaves.
    Refused { ended: bool },
}

impl<D: Dialect> Announced<D> {
    /// A request whose head takes `head_len` bytes in all, the announcement among them.
    pub(crate) fn new(head_len: usize, limits: Arc<Limits>) -> Self {
        Self { limits, state: State::Head { len: head_len }, dialect: PhantomData }
    }

    fn refuse(&mut self, refusal: Refusal) -> Event {
        self.state = State::Refused { ended: false };
        Event::Refused { id: ID, refusal }
    }

    fn take_head(&mut self, head: Bytes) -> Result<Event, Violation> {
        let pairs = match D::variables(&head, self.limits.params_pairs) {
            Ok(pairs) => Pairs::from(pairs),
            Err(HeadError::TooMany) => return Ok(self.refuse(Refusal::ParamsTooLarge)),
            Err(HeadError::Malformed(sentence)) => return Err(D::violation(sentence)),
        };
        let values =
            |name: &'static [u8]| pairs.iter(&head).filter(move |(other, value)| *other == name && !value.is_empty()).map(|(_, value)| value);
        let length = match one_length(values(b"CONTENT_LENGTH")) {
            Ok(None) if values(b"HTTP_TRANSFER_ENCODING").next().is_some() => return Ok(self.refuse(Refusal::LengthRequired)),
            Ok(length) => length.unwrap_or_default(),
            Err(NotOneLength) => return Ok(self.refuse(Refusal::ParamsMalformed)),
        };
        self.state = State::Body(Plain::body(BodyLength::Exact(length)));
        Ok(plain::request(Params { bytes: head, pairs, headers: None }))
    }
}

impl<D: Dialect> Wire for Announced<D> {
    const HAS_STDERR: bool = false;

    fn next_event(&mut self, input: &mut BytesMut, out: &mut Outbox) -> Result<Option<Event>, Violation> {
        match &mut self.state {
            State::Head { len } if *len > self.limits.params_bytes => Ok(Some(self.refuse(Refusal::ParamsTooLarge))),
            State::Head { len } if input.len() >= *len => {
                let head = input.split_to(*len).freeze();
                self.take_head(head).map(Some)
            }
            State::Head { .. } => Ok(None),
            State::Body(body) => body.next_event(input, out),
            State::Refused { .. } => {
                input.clear();
                Ok(None)
            }
        }
    }

    fn wants_input(&self) -> bool {
        match &self.state {
            State::Body(body) => body.wants_input(),
            State::Head { .. } | State::Refused { .. } => true,
        }
    }

    fn appetite(&self, buffered: usize) -> Appetite {
        let missing = match &self.state {
            State::Head { len } => *len as u64,
            State::Body(body) => body.left(),
            State::Refused { .. } => return Appetite::Any,
        };
        match missing.saturating_sub(buffered as u64) {
            0 | 1 => Appetite::LastByte,
            more => Appetite::AtMost(usize::try_from(more - 1).unwrap_or(usize::MAX)),
        }
    }

    fn end_of_input(&mut self) {
        match &mut self.state {
            State::Head { .. } => self.state = State::Refused { ended: true },
            State::Body(body) => body.end_of_input(),
            State::Refused { ended } => *ended = true,
        }
    }

    /// A response ends with its connection, so there is nothing else to show it with.
    fn abort(&self, _by_profile: Abort) -> Abort {
        Abort::Close
    }

    fn respond(&mut self, _id: RequestId, part: ResponsePart<'_>, out: &mut Outbox) {
        match part {
            ResponsePart::Head { block, .. } => D::put_head(block, out),
            ResponsePart::Data(data) => out.put(data),
            ResponsePart::Stderr(_) | ResponsePart::End | ResponsePart::Cut | ResponsePart::Poison => {}
        }
    }

    fn oldest_incomplete(&self) -> Option<u64> {
        matches!(self.state, State::Head { .. }).then_some(1)
    }

    fn rest(&self) -> Rest {
        match &self.state {
            State::Head { .. } => Rest::Keep,
            State::Refused { ended: false } => Rest::Linger,
            State::Body(body) => body.rest(),
            State::Refused { ended: true } => Rest::Close,
        }
    }
}
