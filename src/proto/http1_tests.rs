//! Heads that are ordinary and heads that are not, and what responses look like.

use super::*;

fn date() -> Date {
    *b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
}

fn http() -> Http {
    Http::new(true, Arc::new(Limits::default()), date)
}

/// A head with its parts between bars.
fn text_of(head: &RequestHead) -> String {
    let text = |range: &Range<u32>| String::from_utf8_lossy(&head.bytes[range.start as usize..range.end as usize]).into_owned();
    let headers: String = head.headers.iter().map(|(name, value)| format!("|{}={}", text(name), text(value))).collect();
    format!("{}|{}{headers}", text(&head.method), text(&head.target))
}

/// What is made of `input`: the head as text, `None` where it is left to somebody else; and what is left of the input.
fn read_by(wire: &mut Http, input: &str) -> (Option<String>, String) {
    let mut input = BytesMut::from(input);
    let event = wire.next_event(&mut input, &mut Outbox::default()).unwrap();
    let head = event.map(|event| match event {
        Event::Head { id: ID, head } => text_of(&head),
        other => panic!("{other:?}"),
    });
    (head, String::from_utf8_lossy(&input).into_owned())
}

fn read(input: &str) -> Option<String> {
    let mut wire = http();
    let (head, left) = read_by(&mut wire, input);
    match head {
        Some(_) => assert_eq!((left.as_str(), wire.rest()), ("", Rest::Keep), "{input:?}"),
        None => assert_eq!((left.as_str(), wire.rest(), wire.wants_input()), (input, Rest::HandOver, false), "{input:?}"),
    }
    head
}

#[test]
fn an_ordinary_head_is_taken_apart() {
    for (input, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", "GET|/"),
        ("DELETE /a%20b/%C3%A9;x,y@z?q=(1)&r=!*'$+~._- HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE|/a%20b/%C3%A9;x,y@z?q=(1)&r=!*'$+~._-|Host=a"),
        ("HEAD //x HTTP/1.1\r\nA:b\r\nC: \t d e\t \r\nE:\r\nF: \r\n\r\n", "HEAD|//x|A=b|C=d e|E=|F="),
        ("GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ: \u{e9}\t:=\"\r\n\r\n", "GET|/|!#$%&'*+-.^_`|~09azAZ=\u{e9}\t:=\""),
        ("GET / HTTP/1.1\r\nConnection: Keep-Alive\r\nKeep-Alive: 5\r\nTE: x\r\n\r\n", "GET|/|Connection=Keep-Alive|Keep-Alive=5|TE=x"),
        ("POST / HTTP/1.1\r\nContent-Lengths: 5\r\nX-Upgrade: x\r\n\r\n", "POST|/|Content-Lengths=5|X-Upgrade=x"),
    ] {
        assert_eq!(read(input).as_deref(), Some(expected), "{input:?}");
    }
}

/// Each of these is answered, or refused, by the other implementation.
#[test]
fn whatever_is_not_plainly_ordinary_is_left_in_the_input() {
    let lines = |lines: &[&str]| lines.iter().map(|line| format!("GET / HTTP/1.1\r\n{line}\r\n\r\n")).collect::<Vec<_>>();
    let first = |lines: &[&str]| lines.iter().map(|line| format!("{line}\r\nHost: a\r\n\r\n")).collect::<Vec<_>>();
    let unusual = [
        "Content-Length: 0",
        "content-length: 5",
        "CONTENT-LENGTH:",
        "Transfer-Encoding: chunked",
        "transfer-encoding: identity",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "Connection: upgrade",
        "Connection: close, x",
        "Connection:",
        "Connection: keep-alive\r\nConnection: te",
    ];
    let malformed = [
        "Host",
        "Host : a",
        " Host: a",
        "\tHost: a",
        ": a",
        "A: b\r\n c",
        "A: b\r\n\tc",
        "A: b\rc",
        "A: b\nC: d",
        "A: b\n",
        "\rA: b",
        "A\0: b",
        "A: \0",
        "A: b\x7f",
        "A: b\x0bc",
        "A\u{e9}: b",
        "A(: b",
        "A: b\r\r",
        "A: b\r\n\rC: d",
        "Host: a\n\r\nB: c",
    ];
    let targets = [
        "GET / HTTP/1.0",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET /",
        "GET / http/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://a/ HTTP/1.1",
        "GET a HTTP/1.1",
        "CONNECT a:443 HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "get / HTTP/1.1",
        "M-SEARCH / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /# HTTP/1.1",
        "GET /\" HTTP/1.1",
        "GET /<> HTTP/1.1",
        "GET /\\ HTTP/1.1",
        "GET /{} HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET /\rHTTP/1.1",
        "/ HTTP/1.1",
        "GET / HTTP/1.1\rA: b",
        "GET / HTTP/1.1\n",
    ];
    for input in [lines(&unusual), lines(&malformed), first(&targets)].concat() {
        assert_eq!(read(&input), None, "{input:?}");
    }
    for input in ["\n", "\r", "\r\r\n", "\nGET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}"] {
        assert_eq!(read(input), None, "{input:?}");
    }
    let whole = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in 1..whole.len() {
        assert_eq!(read(&whole[..cut]), None, "{:?}", &whole[..cut]);
    }
}

/// What the parser of hyper makes of a head, written as above.
fn by_the_book(input: &[u8]) -> Option<(usize, String)> {
    let mut headers = [httparse::EMPTY_HEADER; 8];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = request.parse(input).ok()? else { return None };
    let headers: String = request.headers.iter().map(|header| format!("|{}={}", header.name, String::from_utf8_lossy(header.value))).collect();
    (request.version == Some(1)).then(|| (len, format!("{}|{}{headers}", request.method.unwrap_or_default(), request.path.unwrap_or_default())))
}

/// Whatever byte is changed, put in or left out wherever: what is taken is what others take it for, to the same end.
#[test]
fn nothing_is_read_in_another_way_than_others_read_it() {
    let whole =
        b"GET /a?b HTTP/1.1\r\nHost: c\r\nX-D:\t e f \r\nUser-Agent: Mozilla/5.0 (X11; \xE9)\tGecko/20100101 \r\nConnection: close\r\n\r\nGET /g";
    let mut taken = 0;
    for at in 0..whole.len() {
        for byte in 0..=u8::MAX {
            let (before, behind) = (&whole[..at], &whole[at + 1..]);
            for changed in [[before, &[byte], behind].concat(), [before, &[byte], &whole[at..]].concat(), [before, behind].concat()] {
                let mut input = BytesMut::from(&changed[..]);
                let Some(Event::Head { head, .. }) = http().next_event(&mut input, &mut Outbox::default()).unwrap() else { continue };
                taken += 1;
                assert_eq!(Some((head.bytes.len(), text_of(&head))), by_the_book(&changed), "{:?}", String::from_utf8_lossy(&changed));
            }
        }
    }
    assert!(taken > 10_000, "{taken}");
}

#[test]
fn a_head_over_a_limit_is_not_taken() {
    let limits = Limits::default().with_params_pairs(2).with_params_bytes(60);
    let read = |input: &str| read_by(&mut Http::new(true, Arc::new(limits.clone()), date), input).0.is_some();
    assert!(read("GET / HTTP/1.1\r\na: b\r\nc: d\r\n\r\n"));
    assert!(!read("GET / HTTP/1.1\r\na: b\r\nc: d\r\ne: f\r\n\r\n"));
    let long = |len: usize| format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(len - 23));
    assert_eq!([60, 61].map(|len| read(&long(len))), [true, false]);
    let longest = |len: usize| self::read(&long(len)).is_some();
    assert_eq!([LONGEST, LONGEST + 1].map(longest), [true, false]);
}

#[test]
fn requests_come_one_after_the_other() {
    let two = "\r\n\r\nGET /1 HTTP/1.1\r\n\r\n\r\nGET /2 HTTP/1.1\r\n\r\n";
    let mut wire = http();
    let (head, rest) = read_by(&mut wire, two);
    assert_eq!((head.as_deref(), rest.as_str()), (Some("GET|/1"), "\r\nGET /2 HTTP/1.1\r\n\r\n"));
    assert_eq!(read_by(&mut wire, &rest), (None, rest.clone()), "one is in work");
    assert!(wire.wants_input());
    read_by(&mut wire, &"x".repeat(QUEUE + 1));
    assert!(!wire.wants_input(), "enough stands behind it");
    wire.respond(ID, ResponsePart::End, &mut Outbox::default());
    assert_eq!(read_by(&mut wire, &rest), (Some("GET|/2".into()), String::new()));
    let (mut full, mut input) = (Outbox::default(), BytesMut::from(two));
    full.put(Bytes::from(vec![0; QUEUE + 1]));
    let mut wire = http();
    assert_eq!((wire.next_event(&mut input, &mut full), wire.rest()), (Ok(None), Rest::HandOver), "nobody takes the answers");
}

#[test]
fn empty_lines_are_the_beginning_of_nothing() {
    let mut wire = http();
    assert_eq!(read_by(&mut wire, "\r\n\r\n"), (None, String::new()));
    assert_eq!((wire.rest(), wire.wants_input()), (Rest::Keep, true));
}

/// What goes out for `request`, whose response has this block and these pieces behind it.
fn answer(request: &str, block: &str, start: &str, pieces: &[&'static str], bodiless: bool) -> (String, Rest) {
    answer_by(http(), request, block, start, pieces, bodiless)
}

fn answer_by(mut wire: Http, request: &str, block: &str, start: &str, pieces: &[&'static str], bodiless: bool) -> (String, Rest) {
    let mut out = Outbox::default();
    assert!(read_by(&mut wire, request).0.is_some(), "{request:?}");
    if bodiless {
        wire.no_body_follows();
    }
    wire.respond(ID, ResponsePart::Head { block: format!("{block}{start}").as_bytes(), head_len: block.len() }, &mut out);
    pieces.iter().for_each(|piece| wire.respond(ID, ResponsePart::Data(Bytes::from_static(piece.as_bytes())), &mut out));
    wire.respond(ID, ResponsePart::End, &mut out);
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    let filled = out.slices(&mut slices, usize::MAX);
    (slices[..filled].iter().map(|slice| String::from_utf8_lossy(slice).into_owned()).collect(), wire.rest())
}

const GET: &str = "GET / HTTP/1.1\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n";
const DATE: &str = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

#[test]
fn a_response_is_framed() {
    let ok = "Status: 200 OK\r\na: b\r\n\r\n";
    for (request, block, start, pieces, expected) in [
        (GET, "Status: 200 OK\r\ncontent-length: 3\r\n\r\n", "abc", &[][..], "200 OK\r\ncontent-length: 3\r\n{date}\r\nabc"),
        (GET, "Status: 200 OK\r\ncontent-length: 3\r\n\r\n", "a", &["b", "", "c"], "200 OK\r\ncontent-length: 3\r\n{date}\r\nabc"),
        (GET, ok, "abc", &[], "200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n{date}\r\n3\r\nabc\r\n0\r\n\r\n"),
        (
            GET,
            ok,
            "",
            &["0123456789abcdefX", "", "y"],
            "200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n{date}\r\n11\r\n0123456789abcdefX\r\n1\r\ny\r\n0\r\n\r\n",
        ),
        (HEAD, ok, "", &[], "200 OK\r\na: b\r\n{date}\r\n"),
        (HEAD, "Status: 200 OK\r\ncontent-length: 3\r\n\r\n", "", &[], "200 OK\r\ncontent-length: 3\r\n{date}\r\n"),
        (GET, "Status: 204 No Content\r\n\r\n", "", &[], "204 No Content\r\n{date}\r\n"),
        (GET, "Status: 304 Not Modified\r\n\r\n", "", &[], "304 Not Modified\r\n{date}\r\n"),
        (GET, "Status: 205 Reset Content\r\n\r\n", "", &[], "205 Reset Content\r\ncontent-length: 0\r\n{date}\r\n"),
        (GET, "Status: 200 OK\r\nx-accel-redirect: /f\r\n\r\n", "", &[], "200 OK\r\nx-accel-redirect: /f\r\ncontent-length: 0\r\n{date}\r\n"),
        (GET, "Status: 599 \r\ncontent-length: 0\r\n\r\n", "", &[], "599 \r\ncontent-length: 0\r\n{date}\r\n"),
        (GET, "Status: 200 OK\r\ndate: x\r\ncontent-length: 0\r\n\r\n", "", &[], "200 OK\r\ndate: x\r\ncontent-length: 0\r\n\r\n"),
        (
            GET,
            "location: /x\r\nStatus: 302 Found\r\na: b\r\ncontent-length: 0\r\n\r\n",
            "",
            &[],
            "302 Found\r\nlocation: /x\r\na: b\r\ncontent-length: 0\r\n{date}\r\n",
        ),
        (
            GET,
            "Status: 200 OK\r\nstatus: x\r\ncontent-lengths: 0\r\ndates: 1\r\n\r\n",
            "",
            &[],
            "200 OK\r\nstatus: x\r\ncontent-lengths: 0\r\ndates: 1\r\ntransfer-encoding: chunked\r\n{date}\r\n0\r\n\r\n",
        ),
    ] {
        let bodiless = request == HEAD || ["204", "205", "304", "x-accel"].iter().any(|mark| block.contains(mark));
        let expected = format!("HTTP/1.1 {}", expected.replace("{date}", DATE));
        assert_eq!(answer(request, block, start, pieces, bodiless), (expected, Rest::Keep), "{request:?} {block:?}");
    }
}

#[test]
fn the_last_response_says_so_and_ends_the_connection() {
    let block = "Status: 200 OK\r\ncontent-length: 1\r\n\r\n";
    let expected = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n{DATE}\r\na");
    assert_eq!(answer(LAST, block, "a", &[], false), (expected.clone(), Rest::Close));
    let (mut wire, mut out) = (http(), Outbox::default());
    read_by(&mut wire, GET);
    wire.leave();
    wire.respond(ID, ResponsePart::Head { block: format!("{block}a").as_bytes(), head_len: block.len() }, &mut out);
    wire.respond(ID, ResponsePart::End, &mut out);
    assert_eq!((out.len(), wire.rest(), wire.wants_input()), (expected.len(), Rest::Close, false));
    assert_eq!(read_by(&mut wire, GET), (None, GET.to_owned()), "nothing is begun behind it");
}

#[test]
fn a_response_that_broke_has_no_end() {
    let (mut wire, mut out) = (http(), Outbox::default());
    read_by(&mut wire, GET);
    wire.respond(ID, ResponsePart::Head { block: b"Status: 200 OK\r\n\r\nabc", head_len: 18 }, &mut out);
    let before = out.len();
    assert_eq!((wire.abort(Abort::End), wire.abort(Abort::Poison)), (Abort::Close, Abort::Close));
    wire.respond(ID, ResponsePart::Stderr(Bytes::new()), &mut out);
    assert_eq!(out.len(), before);
}

fn unframed() -> Http {
    Http::new(false, Arc::new(Limits::default()), date)
}

#[test]
fn in_the_older_version_the_last_byte_stays_until_the_response_is_out() {
    let mut wire = unframed();
    assert_eq!((wire.appetite(0), wire.wants_input()), (Appetite::AllButLast, true));
    assert_eq!(
        read_by(&mut wire, "GET /a HTTP/1.0\r\nHost: b\r\nConnection: close\r\n\r\n"),
        (Some("GET|/a|Host=b|Connection=close".into()), String::new())
    );
    assert_eq!((wire.appetite(0), wire.wants_input(), wire.is_framed()), (Appetite::AllButLast, false, false));
    wire.respond(ID, ResponsePart::End, &mut Outbox::default());
    assert_eq!((wire.rest(), wire.wants_input()), (Rest::Close, false));
}

#[test]
fn a_version_that_was_not_known_beforehand_may_be_the_newer_one() {
    let mut wire = unframed();
    assert_eq!(read_by(&mut wire, GET).0.as_deref(), Some("GET|/"));
    assert_eq!((wire.appetite(0), wire.wants_input(), wire.is_framed()), (Appetite::Any, true, true));
}

/// Each of these is a matter for the other implementation, which goes on with the byte that was left.
#[test]
fn in_the_older_version_only_the_only_request_of_a_connection_is_taken() {
    for input in [
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n\r\n",
        "GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.0\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET /\r\n",
    ] {
        let mut wire = unframed();
        assert_eq!(read_by(&mut wire, input), (None, input.to_owned()));
        assert_eq!((wire.rest(), wire.is_framed()), (Rest::HandOver, false), "{input:?}");
    }
    let mut wire = unframed();
    read_by(&mut wire, GET);
    wire.respond(ID, ResponsePart::End, &mut Outbox::default());
    let older = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!((read_by(&mut wire, older), wire.rest()), ((None, older.to_owned()), Rest::HandOver), "behind one of the newer");
}

#[test]
fn a_response_of_the_older_version_ends_with_its_connection() {
    let old = "HTTP/1.0\r\n\r\n";
    for (method, block, start, pieces, bodiless, expected) in [
        ("GET", "Status: 200 OK\r\n\r\n", "a", &["b", "", "c"][..], false, "200 OK\r\n{date}\r\nabc"),
        ("GET", "Status: 200 OK\r\ncontent-length: 1\r\n\r\n", "a", &[], false, "200 OK\r\ncontent-length: 1\r\n{date}\r\na"),
        ("HEAD", "Status: 200 OK\r\n\r\n", "", &[], true, "200 OK\r\n{date}\r\n"),
        ("GET", "Status: 205 Reset Content\r\n\r\n", "", &[], true, "205 Reset Content\r\ncontent-length: 0\r\n{date}\r\n"),
        ("GET", "Status: 204 No Content\r\n\r\n", "", &[], true, "204 No Content\r\n{date}\r\n"),
    ] {
        let expected = format!("HTTP/1.0 {}", expected.replace("{date}", DATE));
        assert_eq!(answer_by(unframed(), &format!("{method} / {old}"), block, start, pieces, bodiless), (expected, Rest::Close), "{block:?}");
    }
}
