//! LSAPI without a socket: what packets mean, what is none, and what goes out, byte by byte.

use super::Connection;
use crate::{
    limits::Limits,
    pairs::{PairSpan, Pairs},
    proto::{
        Event, Outbox, Params, Refusal, ResponsePart, Rest, Violation, Wire as _,
        lsapi::{
            client::{Answer, Begin, Pair, next_answer},
            packet::Order,
        },
    },
};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use std::{io::IoSlice, path::Path, sync::Arc};

/// One connection and what it was told and has sent.
struct Run {
    wire: Connection,
    input: BytesMut,
    out: Outbox,
}

impl Run {
    fn new(limits: Limits) -> Self {
        Self { wire: Connection::new(Arc::new(limits)), input: BytesMut::new(), out: Outbox::default() }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Violation> {
        self.input.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(event) = self.wire.next_event(&mut self.input, &mut self.out)? {
            events.push(event);
        }
        Ok(events)
    }

    fn respond(&mut self, part: ResponsePart<'_>) {
        self.wire.respond(1, part, &mut self.out);
    }

    fn answer(&mut self, block: &'static str, body: &str) {
        let head_len = block.len();
        self.respond(ResponsePart::Head { block: [block, body].concat().as_bytes(), head_len });
        self.respond(ResponsePart::End);
    }

    fn sent(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while !self.out.is_empty() {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = self.out.slices(&mut slices, usize::MAX);
            let before = all.len();
            slices[..filled].iter().for_each(|slice| all.extend_from_slice(slice));
            self.out.advance(all.len() - before);
        }
        all
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn request() -> Begin {
    Begin {
        order: Order::LITTLE,
        env: pairs(&[("REQUEST_URI", "/x"), ("SCRIPT_NAME", "/"), ("QUERY_STRING", ""), ("REQUEST_METHOD", "GET")]),
        special: Vec::new(),
        headers: pairs(&[("Host", "example.org"), ("X-Tag", "one")]),
        body_len: 0,
    }
}

fn events(begin: &Begin) -> Result<Vec<Event>, Violation> {
    Run::new(Limits::default()).feed(&begin.packet())
}

fn refusal(begin: &Begin, limits: Limits) -> Option<Refusal> {
    match Run::new(limits).feed(&begin.packet()).unwrap()[..] {
        [Event::Refused { refusal, .. }] => Some(refusal),
        _ => None,
    }
}

fn cut<'a>(params: &'a Params, range: &std::ops::Range<u32>) -> &'a [u8] {
    &params.bytes[range.start as usize..range.end as usize]
}

fn text(params: &Params, pairs: &[PairSpan]) -> Vec<Pair> {
    pairs.iter().map(|(name, value)| (cut(params, name).to_vec(), cut(params, value).to_vec())).collect()
}

fn spans(params: &Params) -> &[PairSpan] {
    match &params.pairs {
        Pairs::Spans(spans) => spans,
        Pairs::Encoded => panic!("LSAPI has another form"),
    }
}

fn params(mut events: Vec<Event>) -> Params {
    match events.remove(0) {
        Event::Request { params, .. } => params,
        other => panic!("{other:?}"),
    }
}

fn captures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lsapi");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "c2s"));
    let mut captures: Vec<_> = files.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect();
    captures.sort();
    captures
}

#[test]
fn headers_stay_as_they_were_written() {
    let headers = [("Content-Type", "text/x"), ("content-length", "5"), ("X-Y", "1"), ("X_Y", "2"), ("x-y", "3"), ("Content_Length", "9"), ("E", "")];
    let begin = Begin { headers: pairs(&headers), body_len: 5, ..request() };
    let params = params(events(&begin).unwrap());
    assert_eq!(text(&params, params.headers.as_ref().unwrap()), pairs(&headers));
    assert_eq!(text(&params, spans(&params)), begin.env);
}

#[test]
fn a_folded_header_is_one_line() {
    let begin = Begin { headers: pairs(&[("X-Long", "a\r\n\t b\r\n c"), ("X", "y")]), ..request() };
    let params = params(events(&begin).unwrap());
    assert_eq!(text(&params, params.headers.as_ref().unwrap()), pairs(&[("X-Long", "a  \t b   c"), ("X", "y")]));
}

#[test]
fn our_side_of_the_web_server_writes_what_openlitespeed_writes() {
    for (name, bytes) in captures() {
        let unusual = ["04-post-chunked", "05-two", "08-client", "31-h2-post-nolen-1", "40-special"];
        if unusual.iter().any(|unusual| name.contains(unusual)) {
            continue;
        }
        let body_len = i32::from_le_bytes(bytes[12..16].try_into().unwrap());
        let packet_len = usize::try_from(u32::from_le_bytes(bytes[4..8].try_into().unwrap())).unwrap();
        let params = params(Run::new(Limits::default()).feed(&bytes).unwrap());
        let headers = params.headers.as_ref().unwrap();
        let env = text(&params, spans(&params));
        let begin = Begin { order: Order::LITTLE, env, special: Vec::new(), headers: text(&params, headers), body_len };
        assert_eq!(begin.packet(), &bytes[..packet_len], "{name}");
    }
}

#[test]
fn numbers_are_read_in_either_order_and_answered_in_the_same() {
    let little_that_says_big = Order::told(1).swapped();
    let orders = [(Order::LITTLE, 0, [8, 0, 0, 0]), (Order::told(1), 1, [0, 0, 0, 8]), (little_that_says_big, 1, [8, 0, 0, 0])];
    for (order, flag, eight) in orders {
        let mut run = Run::new(Limits::default());
        // 1024 can be believed in both orders, and only the other numbers tell.
        for padding in 0..600 {
            let headers = pairs(&[("Host", "example.org"), ("X-Padding", &"p".repeat(padding))]);
            let begin = Begin { order, headers, ..request() };
            let events = run.feed(&begin.packet()).unwrap();
            assert_eq!(params(events).headers.unwrap().len(), 2);
            run.answer("Status: 204 No Content\r\n\r\n", "");
            let sent = run.sent();
            assert_eq!(sent[..8], [&[b'L', b'S', 7, flag], &eight[..]].concat());
            assert_eq!(sent[sent.len() - 8..], [&[b'L', b'S', 5, flag], &eight[..]].concat());
        }
    }
}

#[test]
fn a_response_goes_out_as_openlitespeed_wants_it() {
    let mut run = Run::new(Limits::default());
    run.feed(&request().packet()).unwrap();
    run.respond(ResponsePart::Stderr("oh\n".into()));
    run.answer("Status: 201 Created\r\ncontent-type: text/plain\r\na: b\r\n\r\n", "body");
    let expect = [
        &b"LS\x07\0\x08\0\0\0"[..],
        b"LS\x06\0\x0b\0\0\0oh\n",
        b"LS\x03\0\x32\0\0\0\x02\0\0\0\xc9\0\0\0\x19\0\x05\0content-type: text/plain\0a: b\0",
        b"LS\x04\0\x0c\0\0\0body",
        b"LS\x05\0\x08\0\0\0",
    ]
    .concat();
    assert_eq!(run.sent(), expect);
    assert_eq!(run.wire.rest(), Rest::Keep);
}

fn answers(bytes: &[u8]) -> Vec<Answer> {
    let mut input = BytesMut::from(bytes);
    let mut answers = Vec::new();
    while let Some(answer) = next_answer(&mut input).unwrap() {
        answers.push(answer);
    }
    assert!(input.is_empty());
    answers
}

#[test]
fn no_packet_carries_more_than_16384_bytes() {
    for size in [0, 1, 16_383, 16_384, 16_385, 70_000] {
        let mut run = Run::new(Limits::default());
        run.feed(&request().packet()).unwrap();
        let data: Bytes = (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect::<Vec<_>>().into();
        run.respond(ResponsePart::Head { block: b"Status: 200 OK\r\n\r\n", head_len: 18 });
        run.respond(ResponsePart::Data(data.clone()));
        run.respond(ResponsePart::Stderr(data.clone()));
        run.respond(ResponsePart::End);
        let (mut body, mut log) = (Vec::new(), Vec::new());
        for answer in answers(&run.sent()) {
            match answer {
                Answer::Stream(piece) => {
                    assert!((1..=16_384).contains(&piece.len()));
                    body.extend_from_slice(&piece);
                }
                Answer::Stderr(piece) => {
                    assert!((1..=16_384).contains(&piece.len()));
                    log.extend_from_slice(&piece);
                }
                _ => {}
            }
        }
        assert!(body == data && log == data);
    }
}

#[test]
fn a_head_keeps_to_what_openlitespeed_takes() {
    let lines = |count: usize, len: usize| (0..count).map(|index| format!("h{index}: {}\r\n", "v".repeat(len))).collect::<String>();
    for (block, kept) in [(lines(1000, 5), 1000), (lines(1200, 5), 1000), (lines(1, 16_379), 1), (lines(1, 16_380), 0), (lines(20, 6000), 10)] {
        let mut run = Run::new(Limits::default());
        run.feed(&request().packet()).unwrap();
        let block = Bytes::from(format!("Status: 299 \r\n{block}\r\n"));
        run.respond(ResponsePart::Head { head_len: block.len(), block: &block });
        let sent = run.sent();
        assert!(sent.len() <= 8 + 8 + 65_535);
        let [Answer::Received, Answer::Head { status: 299, lines }] = &answers(&sent)[..] else { panic!("no head") };
        assert_eq!(lines.len(), kept);
    }
}

#[test]
fn a_connection_is_kept_only_when_the_body_was_read_to_its_end() {
    let begin = Begin { body_len: 10, ..request() };
    for sent_of_body in [0, 1, 9, 10] {
        let mut run = Run::new(Limits::default());
        let mut events = run.feed(&[&begin.packet()[..], &b"0123456789"[..sent_of_body]].concat()).unwrap();
        run.answer("Status: 413 Content Too Large\r\n\r\n", "");
        let whole = sent_of_body == 10;
        assert_eq!(events.pop() == Some(Event::BodyEnd { id: 1 }), whole);
        let ends: &[Answer] = if whole { &[Answer::End] } else { &[Answer::End, Answer::Close] };
        assert_eq!(&answers(&run.sent())[2..], ends);
        assert_eq!(run.wire.rest(), if whole { Rest::Keep } else { Rest::Linger });
        // What comes next is a request on a kept connection, and nobody's bytes on the other.
        let next = run.feed(&begin.packet()).unwrap();
        assert_eq!(next.len(), usize::from(whole));
        assert_eq!(run.sent().is_empty(), !whole);
    }
}

#[test]
fn a_response_that_broke_ends_its_connection() {
    let mut run = Run::new(Limits::default());
    run.feed(&request().packet()).unwrap();
    run.respond(ResponsePart::Head { block: b"Status: 200 OK\r\n\r\n", head_len: 18 });
    run.respond(ResponsePart::Cut);
    assert_eq!(&answers(&run.sent())[2..], [Answer::End, Answer::Close]);
    assert_eq!(run.wire.rest(), Rest::Close);
}

const ABORT: &[u8] = b"LS\x02\0\x08\0\0\0";

#[test]
fn a_visitor_who_left_is_told_by_an_abort_or_by_the_end_of_the_input() {
    let mut run = Run::new(Limits::default());
    run.feed(&request().packet()).unwrap();
    assert_eq!(run.feed(&ABORT[..7]).unwrap(), []);
    assert_eq!(run.feed(&ABORT[7..]).unwrap(), [Event::Aborted { id: 1 }]);
    run.sent();
    run.respond(ResponsePart::End);
    assert!(run.sent().is_empty() && run.wire.rest() == Rest::Close);

    for body_len in [0, 9] {
        let mut run = Run::new(Limits::default());
        run.feed(&Begin { body_len, ..request() }.packet()).unwrap();
        run.wire.end_of_input();
        assert_eq!(run.feed(b"").unwrap(), [Event::Aborted { id: 1 }]);
    }
}

#[test]
fn an_abort_that_comes_too_late_is_nothing() {
    let mut run = Run::new(Limits::default());
    run.feed(&request().packet()).unwrap();
    run.answer("Status: 200 OK\r\n\r\n", "");
    assert_eq!(run.feed(&[ABORT, ABORT, &request().packet()].concat()).unwrap().len(), 2);
}

#[test]
fn what_stands_behind_a_request_in_work_waits_for_its_answer() {
    let mut run = Run::new(Limits::default());
    assert_eq!(run.feed(&[request().packet(), request().packet()].concat()).unwrap().len(), 2);
    assert!(!run.wire.wants_input(), "the memory is bounded");
    run.answer("Status: 200 OK\r\n\r\n", "");
    assert!(run.wire.wants_input());
    assert_eq!(run.feed(b"").unwrap().len(), 2);
}

#[test]
fn the_length_of_a_body_may_stand_in_its_header() {
    let with = |lengths: &[&str]| {
        let lengths: Vec<_> = lengths.iter().map(|length| ("Content-Length", *length)).collect();
        Begin { body_len: -2, headers: pairs(&lengths), ..request() }
    };
    let mut run = Run::new(Limits::default());
    run.feed(&with(&["3"]).packet()).unwrap();
    assert_eq!(run.feed(b"abc").unwrap(), [Event::Body { id: 1, chunk: "abc".into() }, Event::BodyEnd { id: 1 }]);
    for lengths in [&[][..], &["x"], &["-1"], &[""], &["3", "4"], &["99999999999999999999"]] {
        assert_eq!(refusal(&with(lengths), Limits::default()), Some(Refusal::LengthRequired), "{lengths:?}");
    }
    assert!(matches!(events(&Begin { body_len: -1, ..request() }), Err(Violation::Lsapi(_))));
}

#[test]
fn what_cannot_be_served_is_refused_with_an_answer() {
    let usual = request();
    assert_eq!(refusal(&usual, Limits::default().with_params_pairs(6)), None);
    assert_eq!(refusal(&usual, Limits::default().with_params_pairs(5)), Some(Refusal::ParamsTooLarge));
    assert_eq!(refusal(&usual, Limits::default().with_params_pairs(3)), Some(Refusal::ParamsTooLarge));
    for header in ["no colon", ": x", "X : y"] {
        let (name, value) = header.split_once(':').map_or((header, None), |(name, value)| (name, Some(value)));
        let mut packet = usual.packet().to_vec();
        let at = packet.len() - "X-Tag: one\r\n\r\n".len();
        let line = value.map_or_else(|| name.to_owned(), |value| format!("{name}:{value}"));
        packet[at..at + 10].copy_from_slice(format!("{line:10}").as_bytes());
        let events = Run::new(Limits::default()).feed(&packet).unwrap();
        assert_eq!(events, [Event::Refused { id: 1, refusal: Refusal::ParamsMalformed }], "{header:?}");
    }
    let php = Begin { special: pairs(&[("\x01\x01memory_limit", "99M")]), ..request() };
    let read = params(events(&php).unwrap());
    assert_eq!(read.pairs.count(&read.bytes), php.env.len());
    let folded_at_the_limit = Begin { headers: pairs(&[("Host", "example.org"), ("X-Tag", "one\r\n two")]), ..request() };
    assert_eq!(refusal(&folded_at_the_limit, Limits::default().with_params_pairs(6)), None);
    for key in ["\0SUEXEC_AUTH", "\0SUEXEC_UGID"] {
        let begin = Begin { special: pairs(&[("\x01\x01memory_limit", "99M"), (key, "12345678")]), ..request() };
        assert_eq!(refusal(&begin, Limits::default()), Some(Refusal::AnotherUser));
    }
}

#[test]
fn a_packet_over_the_limit_is_answered_before_it_is_read() {
    let limits = Limits::default().with_lsapi_packet_bytes(300);
    let begin = Begin { headers: pairs(&[("Host", &"h".repeat(500))]), ..request() };
    let packet = begin.packet();
    let mut run = Run::new(limits);
    assert_eq!(run.feed(&packet[..43]).unwrap(), []);
    assert_eq!(run.feed(&packet[43..44]).unwrap(), [Event::Refused { id: 1, refusal: Refusal::ParamsTooLarge }]);
    run.answer("Status: 431 Request Header Fields Too Large\r\n\r\n", "");
    assert_eq!(&answers(&run.sent())[2..], [Answer::End, Answer::Close]);
    assert_eq!((run.feed(&packet[44..]), run.input.len(), run.wire.rest()), (Ok(vec![]), 0, Rest::Linger));
    run.wire.end_of_input();
    assert_eq!(run.wire.rest(), Rest::Close);
}

#[test]
fn the_index_may_count_the_white_space_around_a_value() {
    let begin = Begin { headers: pairs(&[("Content-Length", "12  "), ("Host", "")]), ..request() };
    assert_eq!(params(events(&begin).unwrap()).headers.unwrap().len(), 2);
}

/// Changes the number at `at` of a packet.
fn with_number(packet: &[u8], at: usize, number: u32) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[at..at + 4].copy_from_slice(&number.to_le_bytes());
    packet
}

#[test]
fn a_packet_that_does_not_add_up_closes_the_connection_without_a_word() {
    let usual = request().packet();
    let len = u32::try_from(usual.len()).unwrap();
    let number = |at: usize| u32::from_le_bytes(usual[at..at + 4].try_into().unwrap());
    let (block_at, env_at) = (usual.len() - number(8) as usize, 48);
    let index_at = block_at - 16 - 152;
    let mut broken = vec![
        ("no packet", b"LT\x01\0\0\0\0\0".to_vec()),
        ("one byte that is none", b"X".to_vec()),
        ("a packet of ours", b"LS\x05\0\x08\0\0\0".to_vec()),
        ("no type", b"LS\0\0\x08\0\0\0".to_vec()),
        ("a length of 7 in both orders", b"LS\x01\0\x07\0\0\x07".to_vec()),
        ("an abort of the wrong length", b"LS\x02\0\x09\0\0\0".to_vec()),
        ("a length that is shorter than the packet", with_number(&usual, 4, len - 1)),
        ("the length of nothing but the fixed part", with_number(&usual, 4, 44)),
        ("a header block that is longer", with_number(&usual, 8, number(8) + 1)),
        ("a header block of the whole packet", with_number(&usual, 8, len)),
        ("a header block of 4 GiB", with_number(&usual, 8, u32::MAX)),
        ("a script name behind the packet", with_number(&usual, 20, len)),
        ("a script name in the header block", with_number(&usual, 20, u32::try_from(block_at).unwrap())),
        ("a method in the fixed part", with_number(&usual, 28, 43)),
        ("two other headers where one is", with_number(&usual, 32, 2)),
        ("a variable too many", with_number(&usual, 36, 5)),
        ("a variable too few", with_number(&usual, 36, 3)),
        ("as many variables as there are numbers", with_number(&usual, 36, u32::MAX)),
        ("a special key too many", with_number(&usual, 40, 1)),
        ("an offset in the index that leads behind the block", with_number(&usual, index_at + 52 + 4 * 10, number(8))),
        ("an offset in the index that leads into the request line", with_number(&usual, index_at + 52 + 4 * 10, 5)),
        ("another header of 4 GiB", with_number(&usual, index_at + 152 + 12, u32::MAX)),
        ("another header that reaches into the next line", with_number(&usual, index_at + 152 + 12, 100)),
    ];
    let mut bytes = |what, at: usize, new: &[u8]| {
        let mut packet = usual.to_vec();
        packet[at..at + new.len()].copy_from_slice(new);
        broken.push((what, packet));
    };
    bytes("a name without its NUL", env_at + 4 + 11, b"x");
    bytes("a name of no length", env_at, &[0, 0]);
    bytes("an empty name", env_at, &[0, 1]);
    bytes("a value of no length", env_at + 2, &[0, 0]);
    bytes("a value that reaches behind the packet", env_at + 2, &[0xFF, 0xFF]);
    bytes("a header block without its end", usual.len() - 2, b"  ");
    bytes("a header block with something behind its end", usual.len() - 16, b"\r\n\r\n");
    bytes("a header block that begins with its end", block_at, b"\0\0\0\0\r\n\r\n");
    let block = number(8) as usize;
    let offset = |text: &[u8]| u32::try_from(usual[block_at..].windows(text.len()).position(|at| at == text).unwrap()).unwrap();
    assert_eq!(block, usual.len() - block_at);
    // Host is at place 10, and X-Tag is the one that the index has no place for.
    let (host_len, host_at) = (index_at + 2 * 10, index_at + 52 + 4 * 10);
    bytes("a host that is shorter than its header", host_len, &[10, 0]);
    bytes("a host without a byte", host_len, &[0, 0]);
    bytes("a host that begins with a part of the name", host_at, &(offset(b"example") - 4).to_le_bytes());
    bytes("a host that is another header", host_at, &offset(b"one").to_le_bytes());
    bytes("a host at the place of the referer", index_at + 52 + 4 * 12, &offset(b"example").to_le_bytes());
    bytes("a name that begins in the middle", index_at + 152, &(offset(b"X-Tag") + 1).to_le_bytes());
    bytes("a name that is too long", index_at + 152 + 4, &[6]);
    bytes("the name of a header with the value of another", index_at + 152 + 8, &offset(b"example").to_le_bytes());
    for (what, packet) in broken {
        let mut run = Run::new(Limits::default());
        assert!(matches!(run.feed(&packet), Err(Violation::Lsapi(_))), "{what}");
        assert!(run.out.is_empty(), "{what}");
    }
}

/// Whatever comes, it is understood, refused or a violation, and what is kept of it is no more than what came.
fn survives(bytes: &[u8]) {
    let mut run = Run::new(Limits::default());
    let Ok(events) = run.feed(bytes) else { return };
    for event in events {
        if let Event::Request { params, .. } = event {
            assert!(params.bytes.len() <= 3 * bytes.len() && params.pairs.count(&params.bytes) <= bytes.len() / 2);
            assert!(spans(&params).iter().chain(params.headers.iter().flatten()).all(|(name, value)| {
                let len = u32::try_from(params.bytes.len()).unwrap();
                name.start <= name.end && name.end <= len && value.start <= value.end && value.end <= len
            }));
        }
    }
    run.answer("Status: 200 OK\r\n\r\n", "");
    let _ = run.feed(b"");
}

#[test]
fn every_single_byte_may_be_wrong() {
    for (_, mut bytes) in captures() {
        for at in 0..bytes.len() {
            let right = bytes[at];
            // Everything for the numbers, and the worst for each other byte.
            if at < 44 {
                for wrong in 0..=u8::MAX {
                    bytes[at] = wrong;
                    survives(&bytes);
                }
            }
            for wrong in [0xFF, right ^ 1, right ^ 0x20, b'\n'] {
                bytes[at] = wrong;
                survives(&bytes);
            }
            bytes[at] = right;
        }
    }
}

#[test]
fn a_connection_may_end_after_every_byte() {
    for (name, bytes) in captures() {
        for end in 0..bytes.len() {
            let mut run = Run::new(Limits::default());
            let Ok(mut events) = run.feed(&bytes[..end]) else { continue };
            run.wire.end_of_input();
            events.extend(run.feed(b"").unwrap_or_default());
            // Nobody waits for the answer of a request that was begun.
            let begun = matches!(events.first(), Some(Event::Request { .. }));
            assert_eq!(events.last() == Some(&Event::Aborted { id: 1 }), begun, "{name} cut after {end} bytes");
            run.answer("Status: 200 OK\r\n\r\n", "");
            assert_eq!(run.feed(b"").unwrap_or_default(), [], "{name} cut after {end} bytes");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), length in 0_u32..500) {
        survives(&bytes);
        let head = [&b"LS\x01\0"[..], &length.to_le_bytes()].concat();
        survives(&[head, bytes].concat());
    }

    #[test]
    fn no_numbers_make_it_panic(numbers in proptest::collection::vec((0_usize..90, prop_oneof![0_u32..40, 0_u32..1000, any::<u32>()]), 1..4)) {
        let mut packet = request().packet().to_vec();
        for (at, number) in numbers {
            packet = with_number(&packet, (at * 4).min(packet.len() - 4), number);
        }
        survives(&packet);
    }

    #[test]
    fn what_is_written_is_read(
        env in proptest::collection::vec(("[A-Z_]{1,20}", "[^\0]{0,40}"), 0..20),
        headers in proptest::collection::vec(("[!-9;-~]{1,20}", "([!-~]([ -~]{0,40}[!-~])?)?"), 0..20),
        body in proptest::collection::vec(any::<u8>(), 0..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let own = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect::<Vec<_>>();
        let begin = Begin { env: [pairs(&[("REQUEST_URI", "/"), ("REQUEST_METHOD", "GET")]), own(env)].concat(), headers: own(headers), body_len: i32::try_from(body.len()).unwrap(), ..request() };
        let bytes = [&begin.packet()[..], &body].concat();
        let (first, second) = bytes.split_at(cut.index(bytes.len()));
        let mut run = Run::new(Limits::default());
        let mut events = run.feed(first).unwrap();
        events.extend(run.feed(second).unwrap());
        prop_assert_eq!(events.pop(), Some(Event::BodyEnd { id: 1 }));
        let request = events.remove(0);
        let got: Vec<u8> = events.into_iter().flat_map(|event| match event { Event::Body { chunk, .. } => chunk.to_vec(), other => panic!("{other:?}") }).collect();
        prop_assert_eq!(got, body);
        let params = params(vec![request]);
        prop_assert_eq!(text(&params, spans(&params)), begin.env);
        prop_assert_eq!(text(&params, params.headers.as_ref().unwrap()), begin.headers);
    }
}

#[test]
fn variables_that_stand_for_headers_become_headers_again() {
    let vars =
        [("REQUEST_METHOD", "POST"), ("HTTP_X_TAG", "one"), ("CONTENT_TYPE", "text/x"), ("CONTENT_LENGTH", "9"), ("GATEWAY_INTERFACE", "CGI/1.1")];
    let begin = Begin::from_vars(vars.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), 3);
    assert_eq!(begin.env, pairs(&[("REQUEST_METHOD", "POST")]));
    assert_eq!(begin.headers, pairs(&[("x-tag", "one"), ("content-type", "text/x"), ("content-length", "3")]));
}
