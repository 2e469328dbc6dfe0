//! The order of records on a connection: which requests are open, what a record means for them, what may be sent when.

use super::{
    FCGI_KEEP_CONN, FCGI_REQUEST_COMPLETE, FCGI_UNKNOWN_ROLE, Record, RecordCodec, RecordType,
    codec::RecordError,
    name_value, record_head, role_of,
    stream::{Gathered, Phase, Stream, Streams},
    whole::Whole,
};
use crate::{
    limits::Limits,
    pairs::{Encoded, Pairs},
    proto::{Event, Outbox, Params, Refusal, RequestId, ResponsePart, Rest, Role, Violation, Wire},
};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, sync::Arc};
use tokio_util::codec::Decoder as _;

/// The largest content of one record that we send: the most that fits, cut to a multiple of eight as specification 3.3 recommends.
const DATA_MAX: usize = 65528;

/// Answers to management records that may wait to be read by the peer.
const MANAGEMENT_BACKLOG: usize = 256 * 1024;

/// The state of one FastCGI connection.
#[derive(Debug)]
pub(crate) struct Connection {
    limits: Arc<Limits>,
    codec: RecordCodec,
    streams: Streams,
    told_later: VecDeque<Event>,
    /// The request that has just been told came whole: the end of its body is told next. Among what is told later it would take memory on every connection.
    ends_next: Option<RequestId>,
    begun: u64,
    params_held: usize,
    /// Set by the first request without FCGI_KEEP_CONN: specification 3.5, "If zero, the application closes the connection after
    /// responding to this request". A second request may still share the connection until then.
    close_after_last: bool,
}

impl Connection {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            codec: RecordCodec,
            streams: Streams::default(),
            told_later: VecDeque::new(),
            ends_next: None,
            begun: 0,
            params_held: 0,
            close_after_last: false,
        }
    }

    /// Takes a request that is here whole in one step, where record by record it would be let in too: the same is told of it.
    fn take_whole(&mut self, input: &mut BytesMut) -> Option<Event> {
        let whole = Whole::find(input)?;
        let Whole { id, flags, params_len, .. } = whole;
        let is_within_limits = params_len <= self.limits.params_bytes
            && self.params_held + params_len <= self.limits.connection_params_bytes
            && self.streams.in_work() < self.limits.connection_requests;
        if !is_within_limits || self.streams.get(id).is_some() {
            return None;
        }
        let role = Role::Responder;
        let keep_conn = self.open(id, flags, Some(role), Phase::Working, true);
        self.ends_next = Some(id);
        let params = Params { bytes: whole.take(input), pairs: Pairs::Encoded, headers: None };
        Some(Event::Request { id, keep_conn, role, params })
    }

    /// Adds a request to those that are open, and tells whether its connection is kept.
    fn open(&mut self, id: RequestId, flags: u8, role: Option<Role>, phase: Phase, stdin_ended: bool) -> bool {
        let keep_conn = flags & FCGI_KEEP_CONN != 0;
        self.close_after_last |= !keep_conn;
        self.begun += 1;
        let data_ended = role != Some(Role::Filter);
        self.streams.add(Stream { id, serial: self.begun, keep_conn, phase, role, stdin_ended, data_ended });
        keep_conn
    }

    /// Takes one record and tells what it means, if it means anything to the driver.
    fn recv(&mut self, record: Record, out: &mut Outbox) -> Result<Option<Event>, Violation> {
        if record.id == 0 {
            return self.recv_management(&record, out).map(|()| None);
        }
        match record.kind {
            RecordType::BEGIN_REQUEST => self.recv_begin(&record),
            RecordType::ABORT_REQUEST => Ok(self.recv_abort(record.id)),
            RecordType::PARAMS => Ok(self.recv_params(record.id, record.content)),
            RecordType::STDIN => Ok(self.recv_stdin(record.id, record.content)),
            RecordType::DATA => Ok(self.recv_data(record.id, record.content)),
            // Everything else has no business here; an unknown type with a request id must not be answered: nginx, Apache and h2o drop the
            // connection over UNKNOWN_TYPE.
            _ => Ok(None),
        }
    }

    /// Specification 4: "Management records have an FCGI_requestId value of zero".
    #[cold]
    fn recv_management(&self, record: &Record, out: &mut Outbox) -> Result<(), Violation> {
        if out.len() > MANAGEMENT_BACKLOG {
            return Err(Violation::ManagementFlood);
        }
        match record.kind {
            RecordType::GET_VALUES => self.answer_values(&record.content, out),
            // These two are answers; to answer them could go on for ever.
            RecordType::GET_VALUES_RESULT | RecordType::UNKNOWN_TYPE => {}
            RecordType(unknown) => {
                out.put_slice(&record_head(RecordType::UNKNOWN_TYPE, 0, 8));
                out.put_slice(&[unknown, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
        Ok(())
    }

    /// Specification 4.1: "the application should ignore [names] it does not understand". HAProxy, the only client that asks, closes
    /// when the length of the answer is not exact. Each name is answered once, so that the answer cannot grow.
    fn answer_values(&self, asked: &Bytes, out: &mut Outbox) {
        let known: [(&[u8], usize); 3] =
            [(b"FCGI_MAX_CONNS", self.limits.requests), (b"FCGI_MAX_REQS", self.limits.requests), (b"FCGI_MPXS_CONNS", 1)];
        let asked: &[u8] = if name_value::are_pairs(asked) { asked } else { &[] };
        let mut answered = [false; 3];
        let mut content = BytesMut::new();
        for (name, _) in Encoded::new(asked) {
            for ((known, value), answered) in known.iter().zip(&mut answered) {
                if name == *known && !std::mem::replace(answered, true) {
                    let mut digits = itoa::Buffer::new();
                    // A name of 15 and a number of 20 bytes can always be encoded.
                    let _ = name_value::encode(known, digits.format(*value).as_bytes(), &mut content);
                }
            }
        }
        let len = u16::try_from(content.len()).unwrap_or_default();
        out.put_slice(&record_head(RecordType::GET_VALUES_RESULT, 0, len));
        out.put_slice(&content);
    }

    fn recv_begin(&mut self, record: &Record) -> Result<Option<Event>, Violation> {
        let id = record.id;
        let Some(&[role1, role0, flags, ..]) = record.content.first_chunk::<8>() else {
            return Err(Violation::ShortBegin(record.content.len()));
        };
        // A finished request whose body the peer never ended makes room: its id is free again.
        if self.streams.get(id).is_some_and(|stream| !stream.is_discarding()) {
            return Err(Violation::BeginTwice(id));
        }
        let role = role_of(u16::from_be_bytes([role1, role0]));
        let refusal = match () {
            () if role.is_none() => Some(Refusal::UnknownRole),
            () if self.streams.in_work() >= self.limits.connection_requests => Some(Refusal::TooManyRequests),
            () => None,
        };
        let phase = match refusal {
            Some(_) => Phase::Refused,
            None => Phase::Params { params: Gathered::One(Bytes::new()), early: VecDeque::new(), early_len: 0 },
        };
        self.open(id, flags, role, phase, false);
        Ok(refusal.map(|refusal| Event::Refused { id, refusal }))
    }

    /// Specification 5.4: the web server asks to abort; the application "responds as soon as possible with FCGI_END_REQUEST".
    #[cold]
    fn recv_abort(&mut self, id: RequestId) -> Option<Event> {
        let stream = self.streams.get_mut(id)?;
        (stream.stdin_ended, stream.data_ended) = (true, true);
        match &stream.phase {
            Phase::Discarding => {
                self.streams.remove(id);
                None
            }
            Phase::Params { params, early_len, .. } => {
                self.params_held -= params.len() + early_len;
                stream.phase = Phase::Refused;
                Some(Event::Aborted { id })
            }
            Phase::Working | Phase::Refused => Some(Event::Aborted { id }),
        }
    }

    fn recv_params(&mut self, id: RequestId, content: Bytes) -> Option<Event> {
        let stream = self.streams.get_mut(id)?;
        let Phase::Params { params, early, early_len } = &mut stream.phase else {
            return None;
        };
        if !content.is_empty() {
            let len = content.len();
            params.push(content);
            self.params_held += len;
            return self.over_limit(id);
        }
        let bytes = params.finish();
        self.params_held -= bytes.len() + *early_len;
        self.told_later.append(early);
        let role = stream.role.unwrap_or_default();
        if role == Role::Authorizer {
            self.told_later.push_back(Event::BodyEnd { id });
        }
        stream.phase = Phase::Working;
        Some(Event::Request { id, keep_conn: stream.keep_conn, role, params: Params { bytes, pairs: Pairs::Encoded, headers: None } })
    }

    /// Specification 6.3 gives an Authorizer variables and no body: mod_fcgid and mod_authnz_fcgi send it no STDIN at all, not even the empty record. So
    /// its end is never waited for, and what comes all the same is ignored.
    fn recv_stdin(&mut self, id: RequestId, content: Bytes) -> Option<Event> {
        let stream = self.streams.get_mut(id)?;
        if stream.stdin_ended {
            return None;
        }
        stream.stdin_ended = content.is_empty();
        let (len, event) = match (stream.role, content.len()) {
            (Some(Role::Authorizer), _) => (0, None),
            (_, 0) => (0, Some(Event::BodyEnd { id })),
            (_, len) => (len, Some(Event::Body { id, chunk: content })),
        };
        self.recv_input(id, len, event)
    }

    /// Specification 6.4: a Filter gets "all the information … a Responder would" and then the file as FCGI_DATA. For the other roles the stream has ended
    /// before it begins.
    fn recv_data(&mut self, id: RequestId, content: Bytes) -> Option<Event> {
        let stream = self.streams.get_mut(id)?;
        if stream.data_ended {
            return None;
        }
        stream.data_ended = content.is_empty();
        let len = content.len();
        let event = if content.is_empty() { Event::DataEnd { id } } else { Event::Data { id, chunk: content } };
        self.recv_input(id, len, Some(event))
    }

    /// Passes on what came over one of the two input streams, or keeps it until the variables are complete.
    fn recv_input(&mut self, id: RequestId, len: usize, event: Option<Event>) -> Option<Event> {
        let stream = self.streams.get_mut(id)?;
        let ended = stream.input_ended();
        match &mut stream.phase {
            Phase::Working => event,
            Phase::Params { early, early_len, .. } => {
                early.extend(event);
                *early_len += len;
                self.params_held += len;
                self.over_limit(id)
            }
            Phase::Discarding if ended => {
                self.streams.remove(id);
                None
            }
            Phase::Discarding | Phase::Refused => None,
        }
    }

    /// Refuses `id` when what is held for requests that are not complete passes a limit.
    fn over_limit(&mut self, id: RequestId) -> Option<Event> {
        let stream = self.streams.get_mut(id)?;
        let Phase::Params { params, early_len, .. } = &stream.phase else {
            return None;
        };
        let held = params.len() + early_len;
        let refusal = if held > self.limits.params_bytes {
            Refusal::ParamsTooLarge
        } else if self.params_held > self.limits.connection_params_bytes {
            Refusal::TooManyRequests
        } else {
            return None;
        };
        self.params_held -= held;
        stream.phase = Phase::Refused;
        Some(Event::Refused { id, refusal })
    }

    /// One response ends: empty STDOUT, END_REQUEST. The id is free again once its input has ended too.
    fn end(&mut self, id: RequestId, out: &mut Outbox) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let status = if stream.role.is_none() { FCGI_UNKNOWN_ROLE } else { FCGI_REQUEST_COMPLETE };
        // appStatus is always 0: OpenLiteSpeed turns anything else into a 500, all others ignore it.
        let pieces = [record_head(RecordType::STDOUT, id, 0), record_head(RecordType::END_REQUEST, id, 8), [0, 0, 0, 0, status, 0, 0, 0]];
        out.put_slice(pieces.as_flattened());
        // Nobody knows whether the end of an empty STDIN still follows an Authorizer. It is waited for only where closing before it came would be a reset.
        let nothing_follows = stream.input_ended() || stream.keep_conn && stream.role == Some(Role::Authorizer);
        let keep_conn = stream.keep_conn;
        stream.phase = Phase::Discarding;
        // What comes for an id that is not known is thrown away too; to know it only helps to end the connection in time. A peer that never ends
        // its bodies does not make us remember them all.
        let discarding = self.streams.iter().filter(|stream| stream.is_discarding()).count();
        if nothing_follows || keep_conn && discarding > self.limits.connection_requests {
            self.streams.remove(id);
        }
    }

    fn oldest(&self, matches: impl Fn(&Stream) -> bool) -> Option<u64> {
        self.streams.iter().find(|stream| matches(stream)).map(|stream| stream.serial)
    }
}

impl Wire for Connection {
    const HAS_STDERR: bool = true;

    fn next_event(&mut self, input: &mut BytesMut, out: &mut Outbox) -> Result<Option<Event>, Violation> {
        loop {
            if let Some(id) = self.ends_next.take() {
                return Ok(Some(Event::BodyEnd { id }));
            }
            if let Some(event) = self.told_later.pop_front().or_else(|| self.take_whole(input)) {
                return Ok(Some(event));
            }
            let record = match self.codec.decode(input) {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(None),
                Err(RecordError::Version(version)) => return Err(Violation::Version(version)),
                Err(RecordError::Io(_)) => return Ok(None),
            };
            if let Some(event) = self.recv(record, out)? {
                return Ok(Some(event));
            }
        }
    }

    fn end_of_input(&mut self) {
        self.close_after_last = true;
        self.streams.retain(|stream| !stream.is_incomplete() && !stream.is_discarding());
        self.params_held = 0;
        let told_later = &mut self.told_later;
        for stream in self.streams.iter_mut() {
            let id = stream.id;
            if !std::mem::replace(&mut stream.stdin_ended, true) && stream.role != Some(Role::Authorizer) {
                told_later.push_back(Event::BodyCut { id });
            }
            if !std::mem::replace(&mut stream.data_ended, true) {
                told_later.push_back(Event::DataCut { id });
            }
        }
    }

    fn respond(&mut self, id: RequestId, part: ResponsePart<'_>, out: &mut Outbox) {
        if self.streams.get(id).is_none_or(|stream| stream.is_incomplete() || stream.is_discarding()) {
            return;
        }
        match part {
            // An empty record would end the stream (specification 3.3), so empty data is no record at all.
            ResponsePart::Head { block, .. } => block.chunks(DATA_MAX).for_each(|piece| put_record(RecordType::STDOUT, id, piece, out)),
            ResponsePart::Data(data) => put_records(RecordType::STDOUT, id, data, out),
            ResponsePart::Stderr(text) if text.is_empty() => out.put_slice(&record_head(RecordType::STDERR, id, 0)),
            ResponsePart::Stderr(text) => put_records(RecordType::STDERR, id, text, out),
            ResponsePart::End | ResponsePart::Cut => self.end(id, out),
            ResponsePart::Poison => out.put_slice(&[0xFF; 16]),
        }
    }

    fn oldest_incomplete(&self) -> Option<u64> {
        self.oldest(Stream::is_incomplete)
    }

    fn oldest_discarding(&self) -> Option<u64> {
        self.oldest(Stream::is_discarding)
    }

    fn refuse_incomplete(&mut self) -> Option<RequestId> {
        let stream = self.streams.iter_mut().find(|stream| stream.is_incomplete())?;
        if let Phase::Params { params, early_len, .. } = &stream.phase {
            self.params_held -= params.len() + early_len;
        }
        stream.phase = Phase::Refused;
        Some(stream.id)
    }

    fn forget_discarded(&mut self) {
        self.streams.retain(|stream| !stream.is_discarding());
    }

    fn rest(&self) -> Rest {
        match (self.close_after_last, self.streams.is_empty()) {
            (false, _) => Rest::Keep,
            (true, true) => Rest::Close,
            (true, false) if self.oldest_incomplete().is_some() => Rest::Keep,
            (true, false) => Rest::Linger,
        }
    }
}

fn put_record(kind: RecordType, id: RequestId, content: &[u8], out: &mut Outbox) {
    // `DATA_MAX` is below 65,536.
    out.put_slice(&record_head(kind, id, u16::try_from(content.len()).unwrap_or(u16::MAX)));
    out.put_slice(content);
}

fn put_records(kind: RecordType, id: RequestId, mut data: Bytes, out: &mut Outbox) {
    while !data.is_empty() {
        let piece = data.split_to(data.len().min(DATA_MAX));
        out.put_slice(&record_head(kind, id, u16::try_from(piece.len()).unwrap_or(u16::MAX)));
        out.put(piece);
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
