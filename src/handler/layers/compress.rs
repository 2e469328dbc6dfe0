//! Compression of what is worth it, while it is sent: gzip, which everybody takes. Brotli would hold 2 MiB for each response in work, and make the program a megabyte larger; files
//! that are packed beforehand are sent in any coding.

use super::vary;
use crate::{
    app::ResponseBody,
    error::BoxError,
    handler::{Answer, full},
    hints::SendFile,
};
use async_compression::{Level, tokio::bufread::GzipEncoder};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody};
use std::io;
use tokio_util::io::{ReaderStream, StreamReader};

/// Below a kilobyte a response fits into one packet either way, and what is saved is less than what it costs.
const WORTH_IT: u64 = 1024;

/// Processor time is what a customer of a shared host pays for, and the next level takes up to twice as long for hardly a hundredth of the size.
const GZIP_LEVEL: Level = Level::Precise(5);

/// How much is handed on at once.
const CHUNK: usize = 8 * 1024;

/// The answer, packed where it is worth it and the client can unpack it.
pub(super) fn compress(gzip: bool, head: bool, mut answer: Answer) -> Answer {
    // Both of these stand for a part of what another client may have got packed.
    let of_the_same = match answer.status() {
        StatusCode::NOT_MODIFIED => true,
        StatusCode::PARTIAL_CONTENT => is_worth_packing(answer.headers()),
        _ => false,
    };
    if of_the_same {
        vary(answer.headers_mut(), "Accept-Encoding");
    }
    if !may_be_packed(&answer, head) {
        return answer;
    }
    vary(answer.headers_mut(), "Accept-Encoding");
    if !gzip {
        return answer;
    }
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_RANGES);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    weaken_etag(headers);
    answer.extensions_mut().remove::<SendFile>();
    // The headers are those of GET; a body that nobody sees is not packed.
    answer.map(|body| if head { full(Bytes::new()) } else { pack(body) })
}

/// Whether the answer to a GET of this would be packed, for somebody who can unpack it. It must not depend on the request, since caches are told of it.
fn may_be_packed(answer: &Answer, head: bool) -> bool {
    let (status, headers) = (answer.status(), answer.headers());
    let whole = !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let size = declared.or_else(|| answer.body().size_hint().exact().filter(|_| !head));
    whole && size.is_none_or(|size| size >= WORTH_IT) && is_worth_packing(headers)
}

fn is_worth_packing(headers: &HeaderMap) -> bool {
    // A digest is of the bytes as they were.
    let fixed = [header::CONTENT_ENCODING.as_str(), "content-digest", "repr-digest", "digest", "content-md5"];
    let forbids = |value: &HeaderValue| value.to_str().is_ok_and(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case("no-transform")));
    !fixed.iter().any(|name| headers.contains_key(*name))
        && !headers.get_all(header::CACHE_CONTROL).iter().any(forbids)
        && headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(shrinks)
}

/// Whether content of this type gets smaller. Images, videos, archives and fonts for the Web are packed already; events must not wait for one another.
fn shrinks(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let Some((kind, name)) = essence.split_once('/') else { return false };
    match kind {
        "text" => name != "event-stream",
        "application" => {
            let known = [
                "json",
                "javascript",
                "x-javascript",
                "ecmascript",
                "xml",
                "wasm",
                "x-ndjson",
                "ndjson",
                "jsonl",
                "json-seq",
                "graphql",
                "yaml",
                "toml",
                "sql",
                "rtf",
                "x-sh",
                "x-httpd-php-source",
                "vnd.ms-fontobject",
                "x-font-ttf",
            ];
            known.contains(&name) || is_of_a_known_syntax(name)
        }
        "image" => matches!(name, "bmp" | "x-ms-bmp" | "x-icon" | "vnd.microsoft.icon") || is_of_a_known_syntax(name),
        "font" => matches!(name, "ttf" | "otf" | "sfnt" | "collection"),
        "model" | "message" => is_of_a_known_syntax(name),
        _ => false,
    }
}

/// The structured syntaxes of RFC 6839 and its successors that are text.
fn is_of_a_known_syntax(name: &str) -> bool {
    ["+json", "+xml", "+json-seq", "+yaml"].iter().any(|suffix| name.ends_with(suffix))
}

/// Packed bytes are not those that a strong validator promises (RFC 9110, 8.8.1).
fn weaken_etag(headers: &mut HeaderMap) {
    if let Some(etag) = headers.get_mut(header::ETAG)
        && !etag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat())
    {
        *etag = weak;
    }
}

/// Packs a body as it is read. When nothing more is there to be packed at the moment, what is goes out, so that a page that is written bit by bit appears bit by bit.
fn pack(body: ResponseBody) -> ResponseBody {
    let reader = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let packed = GzipEncoder::with_quality(reader, GZIP_LEVEL);
    let frames = ReaderStream::with_capacity(packed, CHUNK).map_ok(Frame::data).map_err(unwrap_error);
    ResponseBody::new(StreamBody::new(frames))
}

/// The error of the body itself, which went through a reader.
fn unwrap_error(error: io::Error) -> BoxError {
    let kind = error.kind();
    error.into_inner().unwrap_or_else(|| io::Error::from(kind).into())
}

#[cfg(test)]
mod tests;
