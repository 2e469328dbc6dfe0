//! SCGI and uwsgi: what a request means however it is cut, what is none, and that the last byte is never taken.

use super::Scgi;
use crate::{
    limits::Limits,
    proto::{Appetite, Event, Outbox, Params, Refusal, ResponsePart, Rest, Violation, Wire, uwsgi::Uwsgi},
};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use std::{io::IoSlice, sync::Arc};

/// One of the two protocols: how a peer writes a request, and our side of it.
trait Peer {
    type Ours: Wire;
    fn write(vars: &[(&str, &str)], body: &[u8]) -> Vec<u8>;
    fn ours(request: &[u8], limits: Limits) -> Self::Ours;
}

struct ScgiPeer;

impl Peer for ScgiPeer {
    type Ours = Scgi;

    fn write(vars: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let head: String = vars.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
        [format!("{}:{head},", head.len()).as_bytes(), body].concat()
    }

    fn ours(request: &[u8], limits: Limits) -> Scgi {
        let colon = request.iter().position(|byte| *byte == b':').unwrap();
        let length: usize = std::str::from_utf8(&request[..colon]).unwrap().parse().unwrap();
        Scgi::new(colon + 1 + length + 1, Arc::new(limits))
    }
}

struct UwsgiPeer;

impl Peer for UwsgiPeer {
    type Ours = Uwsgi;

    fn write(vars: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()].concat();
        let head: Vec<u8> = vars.iter().flat_map(|(name, value)| [text(name), text(value)].concat()).collect();
        [&[0], &u16::try_from(head.len()).unwrap().to_le_bytes()[..], &[0], &head, body].concat()
    }

    fn ours(request: &[u8], limits: Limits) -> Uwsgi {
        Uwsgi::new(4 + usize::from(u16::from_le_bytes([request[1], request[2]])), Arc::new(limits))
    }
}

/// A socket as the driver of a connection uses it.
struct Run<W> {
    wire: W,
    events: Vec<Event>,
    /// Bytes that were taken out of the socket. One more may have been looked at.
    taken: usize,
    looked_at_last: bool,
}

fn run<W: Wire>(mut wire: W, request: &[u8], step: usize) -> Result<Run<W>, Violation> {
    let (mut input, mut out, mut events) = (BytesMut::new(), Outbox::default(), Vec::new());
    let (mut taken, mut looked_at_last) = (0, false);
    loop {
        while let Some(event) = wire.next_event(&mut input, &mut out)? {
            events.push(event);
        }
        if !wire.wants_input() || taken + usize::from(looked_at_last) >= request.len() {
            return Ok(Run { wire, events, taken, looked_at_last });
        }
        taken += usize::from(std::mem::take(&mut looked_at_last));
        match wire.appetite(input.len()) {
            Appetite::LastByte => {
                looked_at_last = true;
                input.extend_from_slice(&request[taken..=taken]);
            }
            Appetite::AtMost(bytes) => {
                assert!(bytes > 0);
                let end = request.len().min(taken + step.min(bytes));
                input.extend_from_slice(&request[taken..end]);
                taken = end;
            }
            Appetite::Any => {
                input.extend_from_slice(&request[taken..]);
                taken = request.len();
            }
            #[cfg(feature = "http")]
            Appetite::AllButLast => panic!("neither asks for that"),
        }
    }
}

fn vars_of(params: &Params) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    params.pairs.iter(&params.bytes).map(|(name, value)| (text(name), text(value))).collect()
}

/// The variables, the body and whether it is whole.
fn meaning(events: &[Event]) -> (Vec<(String, String)>, Vec<u8>, bool) {
    let (mut vars, mut body, mut whole) = (Vec::new(), Vec::new(), false);
    for event in events {
        match event {
            Event::Request { params, .. } => vars = vars_of(params),
            Event::Body { chunk, .. } => body.extend_from_slice(chunk),
            Event::BodyEnd { .. } => whole = true,
            other => panic!("{other:?}"),
        }
    }
    (vars, body, whole)
}

fn means_the_same_however_it_is_cut<P: Peer>() {
    for body in [&b""[..], b"x", b"body of the request"] {
        let length = body.len().to_string();
        let vars = [("CONTENT_LENGTH", length.as_str()), ("SCGI", "1"), ("REQUEST_METHOD", "POST"), ("EMPTY", "")];
        let request = P::write(&vars, body);
        for step in 1..=request.len() {
            let run = run(P::ours(&request, Limits::default()), &request, step).unwrap();
            let (seen, got, whole) = meaning(&run.events);
            let expect: Vec<_> = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!((seen, &got[..], whole), (expect, body, true), "{step} bytes at a time");
            assert_eq!((run.taken, run.looked_at_last), (request.len() - 1, true), "the last byte stays in the socket");
            assert_eq!(run.wire.rest(), Rest::Close);
        }
    }
}

#[test]
fn an_scgi_request_means_the_same_however_it_is_cut() {
    means_the_same_however_it_is_cut::<ScgiPeer>();
}

#[test]
fn a_uwsgi_request_means_the_same_however_it_is_cut() {
    means_the_same_however_it_is_cut::<UwsgiPeer>();
}

fn refusal<P: Peer>(request: &[u8], limits: Limits) -> Option<Refusal> {
    match run(P::ours(request, limits), request, usize::MAX).unwrap().events.first() {
        Some(Event::Refused { refusal, .. }) => Some(*refusal),
        _ => None,
    }
}

fn refuses_what_it_cannot_carry<P: Peer>() {
    let usual = P::write(&[("REQUEST_METHOD", "GET"), ("A", "b")], b"");
    assert_eq!(refusal::<P>(&usual, Limits::default().with_params_pairs(1)), Some(Refusal::ParamsTooLarge));
    assert_eq!(refusal::<P>(&usual, Limits::default().with_params_bytes(10)), Some(Refusal::ParamsTooLarge));
    for length in ["x", "-1", "1 ", "99999999999999999999999"] {
        let request = P::write(&[("CONTENT_LENGTH", length)], b"");
        assert_eq!(refusal::<P>(&request, Limits::default()), Some(Refusal::ParamsMalformed), "{length}");
    }
    for (lengths, expect) in
        [(["1", "2"], Some(Refusal::ParamsMalformed)), (["0", "1"], Some(Refusal::ParamsMalformed)), (["1", "1"], None), (["", "1"], None)]
    {
        let request = P::write(&lengths.map(|length| ("CONTENT_LENGTH", length)), b"x");
        assert_eq!(refusal::<P>(&request, Limits::default()), expect, "{lengths:?}");
    }
    let chunked = P::write(&[("REQUEST_METHOD", "POST"), ("HTTP_TRANSFER_ENCODING", "chunked")], b"");
    assert_eq!(refusal::<P>(&chunked, Limits::default()), Some(Refusal::LengthRequired));
}

#[test]
fn requests_that_cannot_be_carried_are_refused_with_an_answer() {
    refuses_what_it_cannot_carry::<ScgiPeer>();
    refuses_what_it_cannot_carry::<UwsgiPeer>();
}

#[test]
fn a_head_that_is_none_closes_the_connection() {
    for head in ["0:x", "2:a\0,", "4:a\0b,,", "4:\0a\0\0,", "3:a\0b,", "3:a\0b\0", "1:\0,"] {
        let result = run(ScgiPeer::ours(head.as_bytes(), Limits::default()), head.as_bytes(), usize::MAX);
        assert!(matches!(result, Err(Violation::Scgi(_))), "{head:?}");
    }
    for head in [&[0, 1, 0, 0, 9][..], &[0, 3, 0, 0, 1, 0, b'a'], &[0, 4, 0, 0, 0, 0, 0, 0], &[0, 5, 0, 0, 1, 0, b'a', 9, 0]] {
        let result = run(UwsgiPeer::ours(head, Limits::default()), head, usize::MAX);
        assert!(matches!(result, Err(Violation::Uwsgi(_))), "{head:?}");
    }
}

#[test]
fn a_body_that_stops_short_is_cut() {
    let request = ScgiPeer::write(&[("CONTENT_LENGTH", "9")], b"abc");
    let mut run = run(ScgiPeer::ours(&request, Limits::default()), &request, usize::MAX).unwrap();
    run.wire.end_of_input();
    assert_eq!(run.wire.next_event(&mut BytesMut::new(), &mut Outbox::default()).unwrap(), Some(Event::BodyCut { id: 1 }));
}

#[test]
fn a_head_that_stops_short_is_nobodys_request() {
    let request = ScgiPeer::write(&[("CONTENT_LENGTH", "0")], b"");
    let mut run = run(ScgiPeer::ours(&request, Limits::default()), &request[..9], usize::MAX).unwrap();
    assert_eq!(run.wire.oldest_incomplete(), Some(1));
    run.wire.end_of_input();
    assert_eq!((run.wire.next_event(&mut BytesMut::new(), &mut Outbox::default()), run.wire.rest()), (Ok(None), Rest::Close));
}

fn sent(wire: &mut impl Wire) -> Vec<u8> {
    let mut out = Outbox::default();
    let block = Bytes::from_static(b"Status: 201 Created\r\na: b\r\n\r\nbody");
    wire.respond(1, ResponsePart::Head { block: &block, head_len: 28 }, &mut out);
    wire.respond(1, ResponsePart::End, &mut out);
    let mut slices = [IoSlice::new(&[]); 4];
    let filled = out.slices(&mut slices, usize::MAX);
    slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
}

#[test]
fn a_response_begins_as_each_protocol_has_it() {
    assert_eq!(sent(&mut Scgi::new(9, Arc::default())), b"Status: 201 Created\r\na: b\r\n\r\nbody");
    assert_eq!(sent(&mut Uwsgi::new(9, Arc::default())), b"HTTP/1.1 201 Created\r\na: b\r\n\r\nbody");
}

proptest! {
    #[test]
    fn no_bytes_make_either_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), head_len in 0_usize..200, step in 1_usize..50) {
        let _ = run(Scgi::new(head_len, Arc::default()), &bytes, step);
        let _ = run(Uwsgi::new(head_len, Arc::default()), &bytes, step);
    }
}
