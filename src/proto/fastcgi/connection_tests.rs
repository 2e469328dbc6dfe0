//! What a sequence of records means, however it is cut.

use super::*;
use crate::proto::fastcgi::{FCGI_AUTHORIZER, FCGI_RESPONDER};
use bytes::BufMut as _;

fn limits() -> Arc<Limits> {
    Arc::new(Limits::default().with_params_bytes(100).with_params_pairs(4).with_connection_params_bytes(150).with_connection_requests(3))
}

fn record(kind: RecordType, id: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = record_head(kind, id, u16::try_from(content.len()).unwrap()).to_vec();
    bytes.extend_from_slice(content);
    bytes
}

fn begin(id: u16, role: u16, flags: u8) -> Vec<u8> {
    let mut content = role.to_be_bytes().to_vec();
    content.extend_from_slice(&[flags, 0, 0, 0, 0, 0]);
    record(RecordType::BEGIN_REQUEST, id, &content)
}

fn request(id: u16, flags: u8) -> Vec<u8> {
    [begin(id, 1, flags), record(RecordType::PARAMS, id, b"\x01\x01AB"), record(RecordType::PARAMS, id, b"")].concat()
}

/// A request that has no body, in the four records in which web servers send it.
fn whole(id: u16, flags: u8, params: &[u8], padding: u8) -> Vec<u8> {
    let mut params = record(RecordType::PARAMS, id, params);
    params[6] = padding;
    params.resize(params.len() + usize::from(padding), 0xAA);
    [begin(id, FCGI_RESPONDER, flags), params, record(RecordType::PARAMS, id, b""), stdin(id, b"")].concat()
}

fn stdin(id: u16, content: &[u8]) -> Vec<u8> {
    record(RecordType::STDIN, id, content)
}

/// The events in words, which read better than their values.
fn words(event: Event) -> String {
    match event {
        Event::Request { id, keep_conn, role, params } => {
            let role = if role == Role::Responder { String::new() } else { format!(" {role:?}") };
            format!("request {id} {} pairs{}{role}", params.pairs.count(&params.bytes), if keep_conn { " keep" } else { "" })
        }
        Event::Refused { id, refusal } => format!("refused {id} {refusal:?}"),
        Event::Body { id, chunk } => format!("body {id} {}", String::from_utf8_lossy(&chunk)),
        Event::BodyEnd { id } => format!("end {id}"),
        Event::BodyCut { id } => format!("cut {id}"),
        Event::Data { id, chunk } => format!("data {id} {}", String::from_utf8_lossy(&chunk)),
        Event::DataEnd { id } => format!("data end {id}"),
        Event::DataCut { id } => format!("data cut {id}"),
        Event::Aborted { id } => format!("aborted {id}"),
        #[cfg(feature = "http")]
        Event::Head { id, .. } => format!("head {id}"),
    }
}

fn feed(connection: &mut Connection, input: &[u8], step: usize, out: &mut Outbox) -> Result<Vec<String>, Violation> {
    let (mut buf, mut events) = (BytesMut::new(), Vec::new());
    for piece in input.chunks(step) {
        buf.put_slice(piece);
        while let Some(event) = connection.next_event(&mut buf, out)? {
            events.push(words(event));
        }
    }
    Ok(events)
}

/// What is told, up to a violation, of requests that are answered as soon as anything of a body or its end has come; what is sent for it; and how that leaves the connection.
fn answered(input: &[u8], step: usize) -> (Vec<String>, Option<Violation>, Vec<u8>, String) {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    let (mut buf, mut events) = (BytesMut::new(), Vec::new());
    let violation = input.chunks(step).find_map(|piece| {
        buf.put_slice(piece);
        loop {
            let event = match connection.next_event(&mut buf, &mut out) {
                Ok(Some(event)) => event,
                Ok(None) => return None,
                Err(violation) => return Some(violation),
            };
            if let Event::Refused { id, .. } | Event::Body { id, .. } | Event::BodyEnd { id } | Event::Aborted { id } = event {
                connection.respond(id, ResponsePart::End, &mut out);
            }
            events.push(words(event));
        }
    });
    (events, violation, sent(&mut out), format!("{connection:?}"))
}

#[track_caller]
fn check(input: &[u8], expect: &[&str]) {
    for step in [1, 3, 7, input.len()] {
        let events = feed(&mut Connection::new(limits()), input, step, &mut Outbox::default());
        assert_eq!(events.as_deref(), Ok(&expect.iter().map(ToString::to_string).collect::<Vec<_>>()[..]), "fed {step} bytes at a time");
    }
}

fn sent(out: &mut Outbox) -> Vec<u8> {
    let mut slices = [std::io::IoSlice::new(&[]); 64];
    let filled = out.slices(&mut slices, usize::MAX);
    let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
    out.advance(bytes.len());
    bytes
}

#[test]
fn a_request_with_a_body() {
    let input = [request(1, 0), stdin(1, b"abc"), stdin(1, b"")].concat();
    check(&input, &["request 1 1 pairs", "body 1 abc", "end 1"]);
}

#[test]
fn a_request_without_a_body_that_is_here_whole() {
    let input = [whole(1, 1, b"\x01\x01AB", 4), whole(2, 0, b"\0\0\0\0", 0)].concat();
    check(&input, &["request 1 1 pairs keep", "end 1", "request 2 2 pairs", "end 2"]);
}

#[test]
fn a_record_of_another_request_may_stand_in_the_place_of_each() {
    let records = |id| [begin(id, 1, 1), record(RecordType::PARAMS, id, b"\0\0"), record(RecordType::PARAMS, id, b""), stdin(id, b"")];
    for (place, expect) in [
        (1, &["request 1 0 pairs keep", "end 1", "request 2 1 pairs keep", "end 2"][..]),
        (2, &["request 2 1 pairs keep", "end 2"]),
        (3, &["request 1 1 pairs keep", "request 2 1 pairs keep", "end 2"]),
    ] {
        let (mut one, other) = (records(1), records(2));
        one[place].clone_from(&other[place]);
        let [begin, params, ends, stdin] = other;
        let before = [begin, if place == 1 { vec![] } else { params }].concat();
        let behind = if place == 2 { stdin } else { [ends, if place == 3 { vec![] } else { stdin }].concat() };
        check(&[before, one.concat(), behind].concat(), expect);
    }
}

#[test]
fn any_other_byte_in_a_request_that_is_here_whole_means_what_it_means_in_its_records() {
    let one = whole(1, 1, b"\x01\x01AB", 2);
    for (at, byte) in (0..one.len()).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
        let mut input = one.clone();
        input[at] = byte;
        input.extend(whole(2, 1, b"\x01\x01AB", 0));
        // As much as any length in it may ask for but the longest.
        input.extend([0; 600]);
        assert_eq!(answered(&input, input.len()), answered(&input, 1), "{byte} at {at}");
    }
}

#[test]
fn what_was_kept_until_the_variables_were_complete_is_told_before_the_next_request() {
    let early = [begin(1, 1, 1), stdin(1, b"early"), record(RecordType::PARAMS, 1, b"\0\0"), stdin(1, b""), record(RecordType::PARAMS, 1, b"")];
    let input = [early.concat(), whole(2, 1, b"\0\0", 0)].concat();
    check(&input, &["request 1 1 pairs keep", "body 1 early", "end 1", "request 2 1 pairs keep", "end 2"]);
}

#[test]
fn params_may_be_cut_anywhere_into_records() {
    let params = b"\x03\x02ABCde\x80\0\0\x01\x02Xyz";
    for cut in 1..params.len() {
        let (first, second) = params.split_at(cut);
        let input = [begin(1, 1, 1), record(RecordType::PARAMS, 1, first), record(RecordType::PARAMS, 1, second), record(RecordType::PARAMS, 1, b"")]
            .concat();
        check(&input, &["request 1 2 pairs keep"]);
    }
}

#[test]
fn a_body_that_comes_before_the_variables_are_complete_is_kept() {
    let input =
        [begin(1, 1, 0), stdin(1, b"early"), record(RecordType::PARAMS, 1, b"\0\0"), stdin(1, b""), record(RecordType::PARAMS, 1, b"")].concat();
    check(&input, &["request 1 1 pairs", "body 1 early", "end 1"]);
}

#[test]
fn what_belongs_to_no_open_request_is_ignored() {
    let input = [
        stdin(9, b"x"),
        record(RecordType::ABORT_REQUEST, 9, b""),
        record(RecordType::PARAMS, 9, b"x"),
        record(RecordType(77), 9, b"x"),
        request(1, 0),
        record(RecordType::PARAMS, 1, b"late"),
        record(RecordType::DATA, 1, b"filter"),
        stdin(1, b""),
        stdin(1, b"after the end"),
    ]
    .concat();
    check(&input, &["request 1 1 pairs", "end 1"]);
}

#[test]
fn begin_twice_is_a_violation_and_so_is_a_short_one() {
    let mut out = Outbox::default();
    let twice = [begin(1, 1, 1), begin(1, 1, 1)].concat();
    assert_eq!(feed(&mut Connection::new(limits()), &twice, 1, &mut out), Err(Violation::BeginTwice(1)));
    let short = record(RecordType::BEGIN_REQUEST, 1, b"\0\x01\0");
    assert_eq!(feed(&mut Connection::new(limits()), &short, 1, &mut out), Err(Violation::ShortBegin(3)));
}

#[test]
fn limits_refuse_a_request_and_spare_the_others() {
    let long = record(RecordType::PARAMS, 1, &[b'x'; 101]);
    check(&[begin(1, 1, 1), long, request(2, 1)].concat(), &["refused 1 ParamsTooLarge", "request 2 1 pairs keep"]);
    let held = |id| [begin(id, 1, 1), record(RecordType::PARAMS, id, &[b'x'; 60])].concat();
    check(&[held(1), held(2), held(3)].concat(), &["refused 3 TooManyRequests"]);
    let four: Vec<u8> = (1..=4).flat_map(|id| request(id, 1)).collect();
    check(&four, &["request 1 1 pairs keep", "request 2 1 pairs keep", "request 3 1 pairs keep", "refused 4 TooManyRequests"]);
}

#[test]
fn an_unknown_role_gets_its_status_with_the_end() {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    assert_eq!(feed(&mut connection, &begin(1, 9, 0), 1, &mut out).unwrap(), ["refused 1 UnknownRole"]);
    connection.respond(1, ResponsePart::Data("no".into()), &mut out);
    connection.respond(1, ResponsePart::End, &mut out);
    let end =
        [record(RecordType::STDOUT, 1, b"no"), record(RecordType::STDOUT, 1, b""), record(RecordType::END_REQUEST, 1, &[0, 0, 0, 0, 3, 0, 0, 0])];
    assert_eq!(sent(&mut out), end.concat());
    assert_eq!(connection.rest(), Rest::Linger, "the peer still writes its variables");
}

/// The same as `request`, in another role.
fn request_in(role: u16, id: u16, flags: u8) -> Vec<u8> {
    [begin(id, role, flags), record(RecordType::PARAMS, id, b"\x01\x01AB"), record(RecordType::PARAMS, id, b"")].concat()
}

fn data(id: u16, content: &[u8]) -> Vec<u8> {
    record(RecordType::DATA, id, content)
}

#[test]
fn an_authorizer_waits_for_no_body_and_gets_none() {
    check(&request_in(2, 1, 0), &["request 1 1 pairs Authorizer", "end 1"]);
    let with_input = [begin(1, 2, 0), stdin(1, b"early"), record(RecordType::PARAMS, 1, b"\x01\x01AB"), record(RecordType::PARAMS, 1, b"")];
    let rest = [stdin(1, b"late"), data(1, b"file"), stdin(1, b"")].concat();
    check(&[with_input.concat(), rest].concat(), &["request 1 1 pairs Authorizer", "end 1"]);
}

#[test]
fn the_connection_of_an_authorizer_is_drained_because_an_empty_body_may_follow() {
    let mut out = Outbox::default();
    let mut rest = |input: &[u8]| {
        let mut connection = Connection::new(limits());
        feed(&mut connection, input, 8, &mut out).unwrap();
        connection.respond(1, ResponsePart::End, &mut out);
        (connection.rest(), connection.oldest_discarding())
    };
    assert_eq!(rest(&request_in(2, 1, 0)), (Rest::Linger, Some(1)));
    assert_eq!(rest(&[request_in(2, 1, 0), stdin(1, b"")].concat()), (Rest::Close, None));
    assert_eq!(rest(&request_in(2, 1, 1)), (Rest::Keep, None));
}

#[test]
fn the_end_of_input_cuts_nothing_that_an_authorizer_has() {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    feed(&mut connection, &request_in(2, 1, 1), 8, &mut out).unwrap();
    connection.end_of_input();
    assert_eq!(connection.next_event(&mut BytesMut::new(), &mut out), Ok(None));
}

#[test]
fn a_filter_has_two_inputs_in_any_order() {
    let expect = ["request 1 1 pairs Filter", "body 1 abc", "end 1", "data 1 file", "data end 1"];
    check(&[request_in(3, 1, 0), stdin(1, b"abc"), stdin(1, b""), data(1, b"file"), data(1, b""), data(1, b"after")].concat(), &expect);
    let early = [begin(1, 3, 0), data(1, b"file"), data(1, b""), stdin(1, b"abc"), record(RecordType::PARAMS, 1, b"\0\0")];
    let expect = ["request 1 1 pairs Filter", "data 1 file", "data end 1", "body 1 abc", "end 1"];
    check(&[early.concat(), record(RecordType::PARAMS, 1, b""), stdin(1, b"")].concat(), &expect);
}

#[test]
fn a_file_that_comes_before_the_variables_counts_like_them() {
    let held = [begin(1, 3, 1), data(1, &[b'x'; 60]), record(RecordType::PARAMS, 1, &[b'x'; 41])].concat();
    check(&held, &["refused 1 ParamsTooLarge"]);
}

#[test]
fn each_input_of_a_filter_is_cut_alone() {
    for (input, expect) in [
        (stdin(1, b"a"), vec!["cut 1", "data cut 1"]),
        ([stdin(1, b""), data(1, b"f")].concat(), vec!["data cut 1"]),
        ([data(1, b"f"), data(1, b"")].concat(), vec!["cut 1"]),
    ] {
        let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
        feed(&mut connection, &[request_in(3, 1, 1), input].concat(), 8, &mut out).unwrap();
        connection.end_of_input();
        let mut events = Vec::new();
        while let Some(event) = connection.next_event(&mut BytesMut::new(), &mut out).unwrap() {
            events.push(words(event));
        }
        assert_eq!(events, expect);
    }
}

#[test]
fn an_answered_filter_is_over_when_both_inputs_are() {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    feed(&mut connection, &[request_in(3, 1, 0), stdin(1, b"")].concat(), 8, &mut out).unwrap();
    connection.respond(1, ResponsePart::End, &mut out);
    assert_eq!(connection.rest(), Rest::Linger);
    feed(&mut connection, &[data(1, b"file"), data(1, b"")].concat(), 8, &mut out).unwrap();
    assert_eq!(connection.rest(), Rest::Close);
}

#[test]
fn an_abort_is_told_and_ends_the_input() {
    check(&[request(1, 1), record(RecordType::ABORT_REQUEST, 1, b""), stdin(1, b"x")].concat(), &["request 1 1 pairs keep", "aborted 1"]);
    check(&[begin(1, 1, 1), record(RecordType::ABORT_REQUEST, 1, b"")].concat(), &["aborted 1"]);
}

#[test]
fn management_is_answered_by_the_book() {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    let asked = b"\x0F\0FCGI_MPXS_CONNS\x04\0WHAT\x0F\0FCGI_MPXS_CONNS";
    feed(&mut connection, &record(RecordType::GET_VALUES, 0, asked), 1, &mut out).unwrap();
    assert_eq!(sent(&mut out), record(RecordType::GET_VALUES_RESULT, 0, b"\x0F\x01FCGI_MPXS_CONNS1"));
    feed(&mut connection, &record(RecordType::GET_VALUES, 0, &[&asked[..], b"\x01"].concat()), 1, &mut out).unwrap();
    assert_eq!(sent(&mut out), record(RecordType::GET_VALUES_RESULT, 0, b""), "what is malformed asks for nothing");
    feed(&mut connection, &record(RecordType(50), 0, b"?"), 1, &mut out).unwrap();
    assert_eq!(sent(&mut out), record(RecordType::UNKNOWN_TYPE, 0, &[50, 0, 0, 0, 0, 0, 0, 0]));
    feed(&mut connection, &record(RecordType::UNKNOWN_TYPE, 0, &[0; 8]), 1, &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn management_answers_that_nobody_reads_do_not_pile_up() {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    let flood: Vec<u8> = (0..20_000).flat_map(|_| record(RecordType(50), 0, b"")).collect();
    assert_eq!(feed(&mut connection, &flood, 4096, &mut out), Err(Violation::ManagementFlood));
    assert!(out.len() <= MANAGEMENT_BACKLOG + 16);
}

#[test]
fn the_connection_is_kept_closed_or_drained_as_its_requests_say() {
    let mut out = Outbox::default();
    let mut rest = |input: &[u8]| {
        let mut connection = Connection::new(limits());
        feed(&mut connection, input, 8, &mut out).unwrap();
        connection.respond(1, ResponsePart::End, &mut out);
        connection.rest()
    };
    assert_eq!(rest(&[request(1, 1), stdin(1, b"")].concat()), Rest::Keep);
    assert_eq!(rest(&[request(1, 0), stdin(1, b"")].concat()), Rest::Close);
    assert_eq!(rest(&[request(1, 0), stdin(1, b"unread")].concat()), Rest::Linger);
    assert_eq!(rest(&request(1, 1)), Rest::Keep);
}

#[test]
fn an_id_is_free_again_while_the_rest_of_its_body_is_thrown_away() {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    feed(&mut connection, &request(1, 1), 8, &mut out).unwrap();
    connection.respond(1, ResponsePart::End, &mut out);
    assert!(connection.oldest_discarding().is_some());
    let events = feed(&mut connection, &[stdin(1, b"rest"), request(1, 1), stdin(1, b"new")].concat(), 5, &mut out).unwrap();
    assert_eq!(events, ["request 1 1 pairs keep", "body 1 new"]);
    assert_eq!(connection.oldest_discarding(), None);
}

#[test]
fn the_end_of_input_cuts_bodies_and_forgets_half_requests() {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    feed(&mut connection, &[request(1, 1), request(2, 1), stdin(2, b""), begin(3, 1, 1)].concat(), 8, &mut out).unwrap();
    connection.end_of_input();
    assert_eq!(feed(&mut connection, b"", 1, &mut out).unwrap(), Vec::<String>::new());
    assert_eq!(connection.next_event(&mut BytesMut::new(), &mut out).unwrap().map(words).as_deref(), Some("cut 1"));
    assert_eq!(connection.next_event(&mut BytesMut::new(), &mut out), Ok(None));
    assert_eq!(connection.oldest_incomplete(), None);
}

#[test]
fn long_data_is_cut_into_records_that_fit() {
    let (mut connection, mut out) = (Connection::new(limits()), Outbox::default());
    feed(&mut connection, &request(1, 1), 8, &mut out).unwrap();
    connection.respond(1, ResponsePart::Data(vec![b'x'; 100_000].into()), &mut out);
    connection.respond(1, ResponsePart::Stderr(vec![b'e'; 5000].into()), &mut out);
    let (mut buf, mut sizes) = (BytesMut::from(&sent(&mut out)[..]), Vec::new());
    while let Some(record) = RecordCodec.decode(&mut buf).unwrap() {
        sizes.push((record.kind, record.content.len()));
    }
    let (out, err) = (RecordType::STDOUT, RecordType::STDERR);
    assert_eq!(sizes, [(out, 65528), (out, 34472), (err, 5000)]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    /// Whatever comes in whatever pieces: the same events, no panic, and no more held than the limits allow.
    #[test]
    fn any_records_mean_the_same_however_they_are_cut(
        records in proptest::collection::vec((0_u8..12, 0_u16..4, proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)), 0..30),
        step in 1_usize..50,
    ) {
        let input: Vec<u8> = records.iter().flat_map(|(kind, id, content)| record(RecordType(*kind), *id, content)).collect();
        let mut connection = Connection::new(limits());
        let whole = feed(&mut connection, &input, input.len().max(1), &mut Outbox::default());
        proptest::prop_assert!(connection.params_held <= limits().connection_params_bytes);
        let cut = feed(&mut Connection::new(limits()), &input, step, &mut Outbox::default());
        proptest::prop_assert_eq!(whole, cut);
    }

    /// A request that is here whole is read in one step, and leaves the connection as its records do. The limits are met and passed here, ids are used twice, and other records stand between.
    #[test]
    fn a_request_means_the_same_whole_and_in_pieces(
        told in proptest::collection::vec((0_u8..12, 0_u16..6, 0_u8..2, 0_u8..120, 0_u8..4), 0..16),
        step in 1_usize..300,
    ) {
        let input: Vec<u8> = told.iter().flat_map(|&(kind, id, flags, len, padding)| match kind {
            0..=4 => whole(id, flags, &vec![0; usize::from(len)], padding),
            5 => request_in(FCGI_AUTHORIZER, id, flags),
            6 => request(id, flags),
            7 => [begin(id, FCGI_RESPONDER, flags), record(RecordType::PARAMS, id, &vec![0; usize::from(len)])].concat(),
            8 => [begin(id, FCGI_RESPONDER, flags), stdin(id, b"early")].concat(),
            9 => stdin(id, b"body"),
            10 => [record(RecordType::PARAMS, id, b""), stdin(id, b"")].concat(),
            _ => record(RecordType::ABORT_REQUEST, id, b""),
        }).collect();
        proptest::prop_assert_eq!(answered(&input, input.len().max(1)), answered(&input, step));
    }

    #[test]
    fn any_bytes_are_events_or_a_violation(input in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = feed(&mut Connection::new(limits()), &input, 7, &mut Outbox::default());
    }
}
