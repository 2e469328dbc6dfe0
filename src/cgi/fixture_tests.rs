//! Every file in `fixtures/cgi`: variables as a web server sent them, and the request that an app must see.

use super::{
    CgiVars, Executable,
    request::{CgiBody, Context, Meta, VarError, cgi_body, parts_from_vars},
};
use crate::gateway::{Gateway, Ownership, choose_profile};
use http::{Version, request::Parts};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

#[derive(Deserialize)]
struct Fixture {
    gateway: String,
    #[serde(default)]
    own_listener: bool,
    #[serde(default)]
    keep_conn: bool,
    exe: String,
    vars: Vec<(String, String)>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Expect {
    Refused { refused: u16 },
    Request(Box<ExpectedRequest>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedRequest {
    method: String,
    uri: String,
    original_uri: String,
    mount: String,
    version: String,
    scheme: String,
    host: Option<String>,
    remote: Option<String>,
    profile: String,
    #[serde(default)]
    headers: BTreeMap<String, OneOrMore>,
    body: Option<ExpectedBody>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedBody {
    length: BodyLength,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum BodyLength {
    Number(u64),
    Word(String),
}

/// Undoes the escapes of the fixtures: `\xNN` is a byte, `\\` a backslash.
fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                rest = after;
            }
            (b'\\', [b'x', high, low, after @ ..]) => {
                let hex = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
                rest = after;
            }
            (other, _) => bytes.push(*other),
        }
    }
    bytes
}

fn map(fixture: &Fixture) -> (Result<(Parts, Meta, CgiBody), VarError>, &'static str) {
    let vars = CgiVars::from_pairs(fixture.vars.iter().map(|(name, value)| (unescape(name), unescape(value))));
    let gateway = if fixture.gateway == "cgi" { Gateway::Cgi } else { Gateway::FastCgi };
    let ownership = if fixture.own_listener { Ownership::ModFcgid } else { Ownership::Shared };
    let profile = choose_profile(gateway, ownership, &vars, fixture.keep_conn);
    let context = Context { program: Some(&Executable::new(fixture.exe.clone().into())), profile, trusted: None, max_vars: 1024 };
    let mapped = parts_from_vars(&vars, &context).and_then(|(parts, meta)| {
        // In FastCGI the length is advice, and cannot be a reason to refuse.
        let body = if gateway == Gateway::Cgi { cgi_body(&vars)? } else { CgiBody::None };
        Ok((parts, meta, body))
    });
    (mapped, profile.name())
}

/// What is wrong with a fixture, one line each.
fn check(fixture: &Fixture) -> Vec<String> {
    let (mapped, profile) = map(fixture);
    let expect = match (&fixture.expect, &mapped) {
        (Expect::Refused { refused }, Err(error)) => {
            let status = if *error == VarError::UriTooLong { 414 } else { 400 };
            return if status == *refused { vec![] } else { vec![format!("refused with {status}, not {refused}")] };
        }
        (Expect::Refused { refused }, Ok(_)) => return vec![format!("not refused with {refused}")],
        (Expect::Request(_), Err(error)) => return vec![format!("refused: {error}")],
        (Expect::Request(expect), Ok(_)) => expect,
    };
    let Ok((parts, meta, body)) = mapped else { return vec![] };
    let version = match parts.version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    };
    let none = || "(none)".to_owned();
    let mut pairs = vec![
        ("method".to_owned(), parts.method.to_string(), expect.method.clone()),
        ("uri".to_owned(), parts.uri.to_string(), expect.uri.clone()),
        ("original_uri".to_owned(), meta.original_uri.to_string(), expect.original_uri.clone()),
        ("mount".to_owned(), meta.mount.clone(), expect.mount.clone()),
        ("version".to_owned(), version.to_owned(), expect.version.clone()),
        ("scheme".to_owned(), if meta.https { "https" } else { "http" }.to_owned(), expect.scheme.clone()),
        ("host".to_owned(), meta.host().map_or_else(none, str::to_owned), expect.host.clone().unwrap_or_else(none)),
        ("remote".to_owned(), meta.remote_addr.map_or_else(none, |addr| addr.to_string()), expect.remote.clone().unwrap_or_else(none)),
        ("profile".to_owned(), profile.to_owned(), expect.profile.clone()),
    ];
    for (name, values) in &expect.headers {
        if let ("absent", OneOrMore::More(names)) = (name.as_str(), values) {
            pairs.extend(names.iter().map(|name| (format!("header {name}"), parts.headers.contains_key(name).to_string(), "false".to_owned())));
            continue;
        }
        let expected: Vec<Vec<u8>> = match values {
            OneOrMore::One(value) => vec![unescape(value)],
            OneOrMore::More(values) => values.iter().map(|value| unescape(value)).collect(),
        };
        let seen: Vec<&[u8]> = parts.headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        let show = |values: &[&[u8]]| values.iter().map(|value| value.escape_ascii().to_string()).collect::<Vec<_>>().join(" | ");
        pairs.push((format!("header {name}"), show(&seen), show(&expected.iter().map(Vec::as_slice).collect::<Vec<_>>())));
    }
    if let Some(ExpectedBody { length }) = &expect.body {
        let seen = match body {
            CgiBody::None => "none".to_owned(),
            CgiBody::UntilEof => "until-eof".to_owned(),
            CgiBody::Exact(length) => length.to_string(),
        };
        let expected = match length {
            BodyLength::Number(number) => number.to_string(),
            BodyLength::Word(word) => word.clone(),
        };
        pairs.push(("body".to_owned(), seen, expected));
    }
    pairs
        .into_iter()
        .filter(|(_, seen, expected)| seen != expected)
        .map(|(what, seen, expected)| format!("{what} is {seen}, not {expected}"))
        .collect()
}

#[test]
fn every_captured_request_is_seen_as_its_fixture_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cgi");
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        count += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let fixture: Result<Fixture, _> = toml::from_str(&std::fs::read_to_string(&path).unwrap());
        let mistakes = fixture.map_or_else(|error| vec![error.to_string()], |fixture| check(&fixture));
        wrong.extend(mistakes.into_iter().map(|mistake| format!("{name}: {mistake}")));
    }
    assert!(count > 30, "only {count} fixtures were found");
    wrong.sort_unstable();
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
