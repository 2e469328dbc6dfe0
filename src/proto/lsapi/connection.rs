//! The order of packets on a connection: a request, its body, its response, and then perhaps the next one.

use super::{
    headers,
    packet::{
        BEGIN, Begin, BeginError, BodyLen, DATA_MAX, HEAD, Order, PacketType, Told, packet_head, put_response_head, stream_head, stream_packets,
    },
};
use crate::{
    limits::Limits,
    profile::Abort,
    proto::{Appetite, Event, Outbox, Params, Refusal, RequestId, ResponsePart, Rest, Role, Violation, Wire},
};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// There is one request at a time, and it has no number.
const ID: RequestId = 1;

/// The state of one LSAPI connection.
#[derive(Debug)]
pub(crate) struct Connection {
    limits: Arc<Limits>,
    /// How the peer wrote the numbers of the last request.
    order: Order,
    state: State,
    /// Something that is no ABORT_REQUEST stands behind a request in work. It is looked at when that request is answered.
    more_behind: bool,
    /// A request has begun. Nothing can cross the end of a response before.
    asked: bool,
    leaving: bool,
    input_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next packet is a request.
    Idle,
    /// So much of a body is on its way to a request in work.
    Body { left: u64 },
    /// The request in work has its whole body; whether the driver knows that.
    Whole { told: bool },
    /// The request was refused, and so many bytes that belong to it were not read, for all that is known.
    Refused { unread: u64 },
    /// The last response has ended and the peer was told that it is the last. What still comes is thrown away.
    Discarding,
    /// As before, and nothing more is expected; or the visitor left.
    Over,
}

impl Connection {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self { limits, order: Order::LITTLE, state: State::Idle, more_behind: false, asked: false, leaving: false, input_ended: false }
    }

    /// Takes a packet where a request may begin.
    fn next_packet(&mut self, input: &mut BytesMut, out: &mut Outbox) -> Result<Option<Event>, Violation> {
        const NONE: Violation = Violation::Lsapi("it is no packet");
        if !b"LS".starts_with(input.get(..2).unwrap_or(input)) {
            return Err(NONE);
        }
        while let Some(head) = input.first_chunk::<HEAD>() {
            let told = Told::read(*head).ok_or(NONE)?;
            match told.kind {
                PacketType::BEGIN_REQUEST if told.is_sane() => return self.begin(&told, input, out),
                PacketType::BEGIN_REQUEST => return Err(Violation::Lsapi("its length makes no sense in either byte order")),
                // It crossed the end of the response that it wanted to stop.
                PacketType::ABORT_REQUEST if self.asked && told.is_of_length(|len| len == HEAD) => drop(input.split_to(HEAD)),
                _ => return Err(Violation::Lsapi("it is a packet that no web server sends")),
            }
        }
        Ok(None)
    }

    fn begin(&mut self, told: &Told, input: &mut BytesMut, out: &mut Outbox) -> Result<Option<Event>, Violation> {
        let Some(fixed) = input.first_chunk::<BEGIN>() else { return Ok(None) };
        let begin = match Begin::read(told, fixed) {
            Ok(begin) => begin,
            Err(error) => return self.refuse(error, 0, out),
        };
        if begin.len > self.limits.lsapi_packet_bytes {
            self.order = begin.order;
            return self.refuse(BeginError::TooMany, u64::MAX, out);
        }
        if input.len() < begin.len {
            return Ok(None);
        }
        self.order = begin.order;
        let mut packet = input.split_to(begin.len);
        let max = self.limits.params_pairs;
        let read = begin.variables(&packet, max).and_then(|(pairs, index)| {
            let headers = headers::read(&begin, &mut packet, index, max - pairs.len())?;
            Ok((pairs, headers))
        });
        let left = match begin.body {
            BodyLen::Exact(left) => left,
            // Its length is only known when the headers are.
            BodyLen::InHeader => u64::MAX,
        };
        let (pairs, headers) = match read {
            Ok(read) => read,
            Err(error) => return self.refuse(error, left, out),
        };
        let left = match begin.body {
            BodyLen::Exact(left) => Some(left),
            BodyLen::InHeader => headers::content_length(&packet, &headers),
        };
        self.received(out);
        let Some(left) = left else {
            self.state = State::Refused { unread: u64::MAX };
            return Ok(Some(Event::Refused { id: ID, refusal: Refusal::LengthRequired }));
        };
        self.state = if left == 0 { State::Whole { told: false } } else { State::Body { left } };
        // No other request can stand behind this body before its response has ended, so a handler that does not read it holds up nobody.
        let keep_conn = false;
        let params = Params { bytes: packet.freeze(), pairs: pairs.into(), headers: Some(headers) };
        Ok(Some(Event::Request { id: ID, keep_conn, role: Role::Responder, params }))
    }

    /// The web server waits ten seconds for this: without it the request counts as not delivered, and is sent again.
    fn received(&mut self, out: &mut Outbox) {
        self.asked = true;
        out.put_slice(&packet_head(PacketType::REQ_RECEIVED, self.order, HEAD));
    }

    /// A request is answered in the place of a handler, unless nothing of it can be trusted: closing without an answer makes the web server send it again.
    fn refuse(&mut self, error: BeginError, unread: u64, out: &mut Outbox) -> Result<Option<Event>, Violation> {
        let refusal = match error {
            BeginError::Broken(sentence) => return Err(Violation::Lsapi(sentence)),
            BeginError::TooMany => Refusal::ParamsTooLarge,
            BeginError::Malformed => Refusal::ParamsMalformed,
            BeginError::AnotherUser => Refusal::AnotherUser,
        };
        self.received(out);
        self.state = State::Refused { unread };
        Ok(Some(Event::Refused { id: ID, refusal }))
    }

    fn take_body(&mut self, left: u64, input: &mut BytesMut) -> Option<Event> {
        if input.is_empty() {
            return self.aborted_if(self.input_ended);
        }
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let chunk = input.split_to(here).freeze();
        self.state = match left - here as u64 {
            0 => State::Whole { told: false },
            left => State::Body { left },
        };
        Some(Event::Body { id: ID, chunk })
    }

    /// Looks for an ABORT_REQUEST behind a request in work. "Treat EOF as the abort signal": the web server closes at once after it.
    fn watch(&mut self, input: &mut BytesMut) -> Option<Event> {
        let head = input.first_chunk::<HEAD>().and_then(|head| Told::read(*head));
        let abort = head.is_some_and(|told| told.kind == PacketType::ABORT_REQUEST && told.is_of_length(|len| len == HEAD));
        self.more_behind = !abort && input.len() >= HEAD;
        self.aborted_if(abort || self.input_ended)
    }

    fn aborted_if(&mut self, aborted: bool) -> Option<Event> {
        if aborted {
            self.state = State::Over;
        }
        aborted.then_some(Event::Aborted { id: ID })
    }

    /// Ends a response. A process that leaves says that the connection ends too. Otherwise it is only kept when the body was read to its end: the web server sends no more of it once it has seen the end of the response, and what
    /// comes next would be taken for the rest.
    fn end(&mut self, cut: bool, out: &mut Outbox) {
        let whole = matches!(self.state, State::Whole { .. } | State::Refused { unread: 0 });
        out.put_slice(&packet_head(PacketType::RESP_END, self.order, HEAD));
        self.more_behind = false;
        self.state = match (whole, cut || self.leaving) {
            (true, false) => State::Idle,
            (true, true) => State::Over,
            (false, _) => State::Discarding,
        };
        if self.state != State::Idle {
            out.put_slice(&packet_head(PacketType::CONN_CLOSE, self.order, HEAD));
        }
    }

    fn put_stream(&self, kind: PacketType, data: Bytes, out: &mut Outbox) {
        for (head, piece) in stream_packets(kind, self.order, data) {
            out.put_slice(&head);
            out.put(piece);
        }
    }
}

impl Wire for Connection {
    const HAS_STDERR: bool = true;

    fn next_event(&mut self, input: &mut BytesMut, out: &mut Outbox) -> Result<Option<Event>, Violation> {
        match self.state {
            State::Idle => self.next_packet(input, out),
            State::Body { left } => Ok(self.take_body(left, input)),
            State::Whole { told: false } => {
                self.state = State::Whole { told: true };
                Ok(Some(Event::BodyEnd { id: ID }))
            }
            State::Whole { told: true } => Ok(self.watch(input)),
            State::Refused { .. } => Ok(None),
            State::Discarding | State::Over => {
                input.clear();
                Ok(None)
            }
        }
    }

    fn wants_input(&self) -> bool {
        !self.more_behind && self.state != State::Over
    }

    fn appetite(&self, buffered: usize) -> Appetite {
        match self.state {
            State::Whole { .. } => Appetite::AtMost(HEAD.saturating_sub(buffered).max(1)),
            _ => Appetite::Any,
        }
    }

    fn end_of_input(&mut self) {
        self.input_ended = true;
        if self.state == State::Discarding {
            self.state = State::Over;
        }
    }

    /// After a bare close the web server would send the request again, up to three times, and glue together what it got.
    fn abort(&self, _by_profile: Abort) -> Abort {
        Abort::End
    }

    fn respond(&mut self, _id: RequestId, part: ResponsePart<'_>, out: &mut Outbox) {
        if matches!(self.state, State::Idle | State::Discarding | State::Over) {
            return;
        }
        match part {
            ResponsePart::Head { block, head_len } => {
                let (head, start) = block.split_at(head_len.min(block.len()));
                put_response_head(self.order, head, out);
                for piece in start.chunks(DATA_MAX) {
                    out.put_slice(&stream_head(PacketType::RESP_STREAM, self.order, piece));
                    out.put_slice(piece);
                }
            }
            ResponsePart::Data(data) => self.put_stream(PacketType::RESP_STREAM, data, out),
            ResponsePart::Stderr(text) => self.put_stream(PacketType::STDERR_STREAM, text, out),
            ResponsePart::End => self.end(false, out),
            ResponsePart::Cut | ResponsePart::Poison => self.end(true, out),
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
    }

    fn rest(&self) -> Rest {
        match self.state {
            State::Discarding => Rest::Linger,
            State::Over => Rest::Close,
            _ => Rest::Keep,
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
