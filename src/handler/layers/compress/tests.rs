//! Answers that are packed, and those that are not.

use super::*;
use crate::{
    body::Body,
    config::model::Layers,
    handler::{empty, layers::Around},
};
use async_compression::tokio::bufread::GzipDecoder;
use http::{Method, Request};
use tokio::io::AsyncReadExt as _;
use tokio_stream::{StreamExt as _, iter};

/// What a page looks like to a packer.
fn page(len: usize) -> String {
    (0..)
        .map(|line| format!("<li class=\"item\">{line} of many</li>\n"))
        .scan(0, |all, line| (*all < len).then(|| (*all += line.len(), line).1))
        .collect()
}

fn html(body: ResponseBody, headers: &[(&'static str, &'static str)]) -> Answer {
    let mut answer = Answer::new(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    for (name, value) in headers {
        answer.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    answer
}

fn through(method: Method, accepted: &str, answer: Answer) -> Answer {
    let around = Around::new(&Layers { compress: true, ..Layers::default() });
    let request = Request::builder().method(method).header(header::ACCEPT_ENCODING, accepted).body(Body::empty()).unwrap();
    around.after(around.before(&request).unwrap(), answer)
}

fn get(accepted: &str, answer: Answer) -> Answer {
    through(Method::GET, accepted, answer)
}

fn said<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn unpack(packed: &[u8]) -> String {
    let mut text = String::new();
    GzipDecoder::new(packed).read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn what_is_packed_can_be_unpacked_and_is_smaller() {
    for len in [1024, 100_000, 3_000_000] {
        let text = page(len);
        let whole = get("gzip", html(full(text.clone()), &[]));
        let pieces: Vec<_> = text.as_bytes().chunks(7001).map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let in_pieces = get("gzip", html(ResponseBody::new(StreamBody::new(iter(pieces))), &[]));
        for answer in [whole, in_pieces] {
            assert_eq!(said(&answer, "content-encoding"), "gzip");
            let packed = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(packed.len() < text.len() / 3, "{} of {}", packed.len(), text.len());
            assert_eq!(unpack(&packed).await, text);
        }
    }
}

#[tokio::test]
async fn headers_tell_of_the_packed_bytes() {
    let there = [
        ("content-length", "5000"),
        ("accept-ranges", "bytes"),
        ("etag", "\"v1\""),
        ("vary", "Accept"),
        ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ];
    let mut answer = html(full(page(5000)), &there);
    answer.extensions_mut().insert(SendFile::new("/page.html"));
    let packed = get("gzip", answer);
    assert_eq!((said(&packed, "content-length"), said(&packed, "accept-ranges"), said(&packed, "etag")), ("", "", "W/\"v1\""));
    assert_eq!(said(&packed, "last-modified"), there[4].1);
    let vary: Vec<_> = packed.headers().get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept", "Accept-Encoding"]);
    assert!(packed.extensions().get::<SendFile>().is_none(), "the file is not what is sent");
    let weak = get("gzip", html(full(page(5000)), &[("etag", "W/\"v1\"")]));
    assert_eq!(said(&weak, "etag"), "W/\"v1\"");
}

#[test]
fn who_cannot_unpack_gets_the_same_bytes_and_caches_are_told() {
    let mut answer = html(full(page(5000)), &[("etag", "\"v1\""), ("accept-ranges", "bytes")]);
    answer.extensions_mut().insert(SendFile::new("/page.html"));
    let plain = get("deflate", answer);
    assert_eq!((said(&plain, "content-encoding"), said(&plain, "vary"), said(&plain, "etag")), ("", "Accept-Encoding", "\"v1\""));
    assert_eq!(said(&plain, "accept-ranges"), "bytes");
    assert!(plain.extensions().get::<SendFile>().is_some());
}

#[test]
fn only_what_gets_smaller_is_packed() {
    let cases = [
        ("text/plain", true),
        ("Text/HTML;charset=utf-8", true),
        ("application/json", true),
        ("application/ld+json ; x=y", true),
        ("application/wasm", true),
        ("application/javascript", true),
        ("image/svg+xml", true),
        ("image/x-icon", true),
        ("font/ttf", true),
        ("text/event-stream", false),
        ("text/event-stream; charset=utf-8", false),
        ("image/png", false),
        ("font/woff2", false),
        ("video/mp4", false),
        ("application/zip", false),
        ("application/octet-stream", false),
        ("application/grpc", false),
        ("text", false),
        ("", false),
    ];
    for (content_type, packed) in cases {
        let mut answer = html(full(page(5000)), &[]);
        answer.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        let answer = get("gzip", answer);
        assert_eq!((said(&answer, "content-encoding") == "gzip", !said(&answer, "vary").is_empty()), (packed, packed), "{content_type}");
    }
    let answer = get("gzip", Answer::new(full(page(5000))));
    assert_eq!(said(&answer, "content-encoding"), "", "nobody knows what it is");
}

#[test]
fn what_is_small_or_packed_or_must_not_be_touched_stays_as_it_is() {
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(&str, Headers, bool); 9] = [
        ("large", &[], true),
        ("small", &[], false),
        ("small", &[("content-length", "1024")], true),
        ("large", &[("content-length", "1023")], false),
        ("large", &[("content-encoding", "zstd")], false),
        ("large", &[("cache-control", "public, No-Transform")], false),
        ("large", &[("cache-control", "public, max-age=60")], true),
        ("large", &[("repr-digest", "sha-256=:AA==:")], false),
        ("large", &[("content-length", "many")], true),
    ];
    for (size, headers, packed) in cases {
        let mut answer = html(full(page(if size == "large" { 1024 } else { 900 })), &[]);
        for (name, value) in headers {
            answer.headers_mut().insert(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        assert_eq!(get("gzip", answer).headers().get("vary").is_some(), packed, "{size} {headers:?}");
    }
}

#[test]
fn of_the_statuses_those_with_a_whole_body_are_packed() {
    for (status, packed, vary) in [
        (200, true, true),
        (201, true, true),
        (404, true, true),
        (500, true, true),
        (204, false, false),
        (205, false, false),
        (206, false, true),
        (304, false, true),
        (101, false, false),
    ] {
        let mut answer = html(full(page(5000)), &[]);
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        let answer = get("gzip", answer);
        assert_eq!((said(&answer, "content-encoding") == "gzip", !said(&answer, "vary").is_empty()), (packed, vary), "{status}");
    }
    let mut part = html(full(page(5000)), &[("content-type", "video/mp4")]);
    *part.status_mut() = StatusCode::PARTIAL_CONTENT;
    assert_eq!(said(&get("gzip", part), "vary"), "");
    assert_eq!(said(&get("gzip", empty(StatusCode::NOT_MODIFIED)), "vary"), "Accept-Encoding");
}

#[tokio::test]
async fn head_says_what_get_says_and_has_no_body() {
    let headers = [("content-length", "5000"), ("etag", "\"v1\"")];
    let head = through(Method::HEAD, "gzip", html(full(""), &headers));
    let get = get("gzip", html(full(page(5000)), &headers));
    assert_eq!(head.headers(), get.headers());
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
    let small = through(Method::HEAD, "gzip", html(full(""), &[("content-length", "10")]));
    assert_eq!((said(&small, "content-length"), said(&small, "content-encoding")), ("10", ""));
}

#[tokio::test(start_paused = true)]
async fn what_is_written_bit_by_bit_appears_bit_by_bit() {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = tokio_stream::wrappers::ReceiverStream::new(receiver).map(|data| Ok::<_, BoxError>(Frame::data(data)));
    let mut body = get("gzip", html(ResponseBody::new(StreamBody::new(frames)), &[])).into_body();
    let mut packed = Vec::new();
    for bit in ["the first bit, ", "the second bit"] {
        sender.send(bit.into()).await.unwrap();
        let len = packed.len();
        while let Ok(Some(frame)) = tokio::time::timeout(std::time::Duration::from_millis(200), body.frame()).await {
            packed.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        assert!(packed.len() > len, "{bit} waits for more");
    }
    drop(sender);
    packed.extend_from_slice(&body.collect().await.unwrap().to_bytes());
    assert_eq!(unpack(&packed).await, "the first bit, the second bit");
}

#[tokio::test]
async fn a_body_that_fails_still_fails_and_with_its_own_error() {
    let pieces = [Ok(Frame::data(Bytes::from(page(5000)))), Err::<_, BoxError>("the upstream broke".into())];
    let body = get("gzip", html(ResponseBody::new(StreamBody::new(iter(pieces))), &[])).into_body();
    assert_eq!(body.collect().await.unwrap_err().to_string(), "the upstream broke");
}
