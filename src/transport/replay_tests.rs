//! Every `.c2s` file in `fixtures`: bytes as a web server sent them, and in the file beside it what they mean, from the first byte to the request that an app sees.

use crate::{
    cgi::{
        CgiVars, Executable,
        request::{Context, Meta, parts_from_vars},
    },
    gateway::{
        Gateway, Ownership, choose_profile,
        sniff::{Sniffed, Spoken, sniff},
    },
    limits::Limits,
    proto::{Event, Outbox, Params, RequestId, ResponsePart, Rest, Wire, fastcgi, lsapi, scgi::Scgi, uwsgi::Uwsgi},
};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// What a file says that its bytes mean.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Meaning {
    end: String,
    #[serde(default)]
    request: Vec<Seen>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Seen {
    method: String,
    uri: String,
    original: String,
    mount: String,
    host: String,
    remote: String,
    scheme: String,
    body: String,
    headers: Vec<(String, String)>,
    vars: Vec<(String, String)>,
}

fn escaped(bytes: &[u8]) -> String {
    let escape = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte).to_string() } else { format!("\\x{byte:02X}") };
    bytes.iter().map(escape).collect()
}

/// The headers with those of one name side by side, which is all the order that `http` keeps.
fn sorted(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut by_name = BTreeMap::<String, Vec<String>>::new();
    headers.into_iter().for_each(|(name, value)| by_name.entry(name).or_default().push(value));
    by_name.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value))).collect()
}

fn seen(params: Params, gateway: Gateway, keep_conn: bool) -> Seen {
    let Params { bytes, pairs, headers } = params;
    let vars = CgiVars::from_parts(bytes, pairs, headers);
    let profile = choose_profile(gateway, Ownership::Shared, &vars, keep_conn);
    assert_eq!(profile.name(), "openlitespeed");
    let context = Context { program: Some(&Executable::new("/home/user/bin/app".into())), profile, trusted: None, max_vars: 1024 };
    let (parts, meta): (Parts, Meta) = parts_from_vars(&vars, &context).unwrap();
    Seen {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        original: meta.original_uri.to_string(),
        host: meta.host().unwrap_or_default().to_owned(),
        mount: meta.mount,
        remote: meta.remote_addr.map(|addr| addr.to_string()).unwrap_or_default(),
        scheme: if meta.https { "https" } else { "http" }.to_owned(),
        body: String::new(),
        headers: sorted(parts.headers.iter().map(|(name, value)| (name.to_string(), escaped(value.as_bytes()))).collect()),
        vars: vars.iter().map(|(name, value)| (escaped(name), escaped(value))).collect(),
    }
}

fn answer(wire: &mut impl Wire, id: RequestId, out: &mut Outbox) {
    let block = Bytes::from_static(b"Status: 200 OK\r\n\r\n");
    wire.respond(id, ResponsePart::Head { head_len: block.len(), block: &block }, out);
    wire.respond(id, ResponsePart::End, out);
}

/// Gives a wire the pieces one after another, and answers a request when nothing more can be learned before that.
fn replay<W: Wire>(mut wire: W, gateway: Gateway, pieces: &[&[u8]]) -> Meaning {
    let (mut input, mut out) = (BytesMut::new(), Outbox::default());
    let mut meaning = Meaning { end: String::new(), request: Vec::new() };
    let mut unanswered = None;
    let mut pieces = pieces.iter();
    loop {
        let event = match wire.next_event(&mut input, &mut out) {
            Ok(event) => event,
            Err(_) => return Meaning { end: "refused by closing".to_owned(), ..meaning },
        };
        match event {
            Some(Event::Request { params, keep_conn, .. }) => meaning.request.push(seen(params, gateway, keep_conn)),
            Some(Event::Body { chunk, .. }) => meaning.request.last_mut().unwrap().body += &escaped(&chunk),
            // The next request of FastCGI has the same id and is not waited for.
            Some(Event::BodyEnd { id }) if gateway == Gateway::FastCgi => answer(&mut wire, id, &mut out),
            Some(Event::BodyEnd { id }) => unanswered = Some(id),
            Some(Event::Aborted { .. }) => return Meaning { end: "aborted".to_owned(), ..meaning },
            Some(other) => panic!("{other:?}"),
            None => match pieces.as_slice().first().filter(|_| wire.wants_input()) {
                Some(piece) => {
                    input.extend_from_slice(piece);
                    pieces.next();
                }
                None => {
                    let Some(id) = unanswered.take() else { break };
                    answer(&mut wire, id, &mut out);
                }
            },
        }
    }
    meaning.end = match wire.rest() {
        Rest::Keep => "open",
        Rest::Close => "closed",
        Rest::Linger => "not read to its end",
        #[cfg(feature = "http")]
        Rest::HandOver => "left to somebody else",
    }
    .to_owned();
    meaning
}

fn replay_any(all: &[u8], pieces: &[&[u8]]) -> Meaning {
    let limits = Arc::new(Limits::default());
    match sniff(&all[..16]) {
        Sniffed::Spoken(Spoken::FastCgi) => replay(fastcgi::Connection::new(limits), Gateway::FastCgi, pieces),
        Sniffed::Spoken(Spoken::Lsapi) => replay(lsapi::Connection::new(limits), Gateway::Lsapi, pieces),
        Sniffed::Spoken(Spoken::Scgi { head_len }) => replay(Scgi::new(head_len, limits), Gateway::Scgi, pieces),
        Sniffed::Spoken(Spoken::Uwsgi { head_len }) => replay(Uwsgi::new(head_len, limits), Gateway::Uwsgi, pieces),
        other => panic!("{other:?}"),
    }
}

/// Every capture in a folder with its name, its bytes and their meaning.
fn captures(folder: &str) -> Vec<(String, Vec<u8>, Meaning)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let mut captures = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "c2s") {
            let text = std::fs::read_to_string(path.with_extension("toml")).unwrap();
            let mut meaning: Meaning = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for request in &mut meaning.request {
                request.headers = sorted(std::mem::take(&mut request.headers));
            }
            captures.push((path.display().to_string(), std::fs::read(&path).unwrap(), meaning));
        }
    }
    captures
}

fn mean_what_stands_beside_them(folder: &str, at_least: usize) {
    let captures = captures(folder);
    assert!(captures.len() >= at_least, "only {} captures", captures.len());
    for (name, bytes, meaning) in captures {
        assert_eq!(replay_any(&bytes, &[&bytes]), meaning, "{name}");
        for cut in 1..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let replayed = replay_any(&bytes, &[first, second]);
            assert!(replayed == meaning, "{name} cut at {cut}: {replayed:#?}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(replay_any(&bytes, &single), meaning, "{name} byte by byte");
    }
}

#[test]
fn lsapi_requests_mean_what_stands_beside_them_however_they_are_cut() {
    mean_what_stands_beside_them("lsapi", 19);
}

#[test]
fn scgi_requests_mean_what_stands_beside_them_however_they_are_cut() {
    mean_what_stands_beside_them("scgi", 2);
}

#[test]
fn fastcgi_requests_mean_what_stands_beside_them_however_they_are_cut() {
    mean_what_stands_beside_them("fastcgi", 4);
}
