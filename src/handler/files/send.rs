//! Sends a file that was found: tower-http reads it, picks the encoding and answers ranges and conditions; here stands what RFC 9110 wants beyond that.

use super::{
    find::{Entry, Miss},
    opened::Checked,
    path,
};
use crate::{
    app::ResponseBody,
    config::model,
    handler::{Answer, failure::Failure, full},
    hints::SendFile,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header, response::Parts};
use http_body_util::Empty;
use std::io;
use tower_http::services::{ServeDir, fs::ServeFileSystemResponseBody as FileBody};

/// From which size on the web server is asked to send a file itself. Below, the hand-over costs it another lookup in the file system and spares lodger a single read, and
/// layers around the handler cannot change what they do not see.
const OFFLOADED: u64 = 64 * 1024;

/// The endings of precompressed files.
pub(super) const ENDINGS: [&str; 3] = [".br", ".gz", ".zst"];

/// Headers that decide what is sent of a file, and by a list where several stand for one.
const CONDITIONS: [HeaderName; 5] =
    [header::ACCEPT_ENCODING, header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE];

/// Answers with a file.
///
/// `head`: without the body. The file is opened all the same, so that HEAD and GET answer alike where it cannot be.
pub(super) async fn send(files: &model::Files, file: &Checked, headers: &HeaderMap, head: bool) -> Result<Answer, Miss> {
    let unreadable = |error| Miss::of(&file.plain().path, error);
    // Ranges are defined for GET alone (RFC 9110 section 14.2).
    let range = if head { None } else { range(headers) };
    let mut response = serve(file, headers, range.as_ref()).await.map_err(unreadable)?;
    if range.as_ref().is_some_and(|range| is_whole_instead(range, headers, &response)) {
        response = serve(file, headers, None).await.map_err(unreadable)?;
    }
    let (mut parts, body) = response.into_parts();
    match parts.status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => name_charset(&mut parts),
        // Section 15.4.5: what the 200 would have varied by.
        StatusCode::NOT_MODIFIED if !file.is_alone() => drop(parts.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"))),
        StatusCode::NOT_MODIFIED => {}
        status => return Ok(refuse(status, &parts.headers)),
    }
    if head {
        return Ok(Response::from_parts(parts, full(Bytes::new())));
    }
    if parts.status == StatusCode::OK && !parts.headers.contains_key(header::CONTENT_ENCODING) && length(&parts) >= OFFLOADED {
        parts.extensions.insert(hint(files, file.plain()));
    }
    Ok(Response::from_parts(parts, ResponseBody::new(body)))
}

async fn serve(file: &Checked, headers: &HeaderMap, range: Option<&HeaderValue>) -> io::Result<Response<FileBody>> {
    let mut service = ServeDir::with_backend("", file.clone()).append_index_html_on_directories(false).ignore_multi_range_requests(true);
    // Only what is there is offered, so that `Vary` stands only where there is a choice.
    if file.has(".br") {
        service = service.precompressed_br();
    }
    if file.has(".gz") {
        service = service.precompressed_gzip();
    }
    if file.has(".zst") {
        service = service.precompressed_zstd();
    }
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = Uri::try_from(format!("/{}", file.stand_in())).map_err(io::Error::other)?;
    for name in &CONDITIONS {
        if let Some(value) = joined(headers, name) {
            request.headers_mut().insert(name, value);
        }
    }
    if let Some(range) = range {
        request.headers_mut().insert(header::RANGE, range.clone());
    }
    service.try_call(request).await
}

/// All lines of a header as one, since tower-http heeds the first.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    match lines.as_slice() {
        [] => None,
        [one] => HeaderValue::from_bytes(one).ok(),
        several => HeaderValue::from_bytes(&several.join(&b", "[..])).ok(),
    }
}

/// A range of bytes. Other units have to be ignored (section 14.2), and the name of this one has no case.
fn range(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(header::RANGE)?.to_str().ok()?;
    let (unit, ranges) = value.split_once('=')?;
    unit.eq_ignore_ascii_case("bytes").then(|| HeaderValue::try_from(format!("bytes={ranges}")).ok())?
}

/// Whether the range that was answered to should not have been heeded.
fn is_whole_instead(range: &HeaderValue, headers: &HeaderMap, response: &Response<FileBody>) -> bool {
    let status = response.status();
    if status != StatusCode::PARTIAL_CONTENT && status != StatusCode::RANGE_NOT_SATISFIABLE {
        return false;
    }
    // Section 14.1.2: the last n bytes of less than n are all of it, which tower-http refuses.
    let suffix = status == StatusCode::RANGE_NOT_SATISFIABLE && range.as_bytes().starts_with(b"bytes=-");
    // There is no way to say "nothing of nothing" with 206.
    let empty = response.headers().get(header::CONTENT_RANGE).is_some_and(|of| of.as_bytes().ends_with(b"/0"));
    let changed = headers.get(header::IF_RANGE).is_some_and(|tag| !is_current(tag, response.headers()));
    suffix || empty || changed
}

/// Whether the entity tag of `If-Range` is the strong one of the file (section 13.1.5). A date never is: it counts only where it is known that nothing changed twice in
/// that second, and who has it from here has the tag too and must prefer that.
fn is_current(tag: &HeaderValue, current: &HeaderMap) -> bool {
    tag.as_bytes().starts_with(b"\"") && current.get(header::ETAG) == Some(tag)
}

/// Text is UTF-8 unless it says otherwise. XML does say it in its first line, and a header would overrule that (RFC 7303 section 3).
fn name_charset(parts: &mut Parts) {
    let Some(kind) = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return };
    if !kind.starts_with("text/") || kind == "text/xml" || kind.contains("charset") {
        return;
    }
    if let Ok(kind) = HeaderValue::try_from(format!("{kind}; charset=utf-8")) {
        parts.headers.insert(header::CONTENT_TYPE, kind);
    }
}

/// 412 and 416 get their page from the tree like every failure; 416 says how long the file is (section 15.5.17).
fn refuse(status: StatusCode, headers: &HeaderMap) -> Answer {
    let mut answer = Failure { status, code: None }.answer();
    if let Some(range) = headers.get(header::CONTENT_RANGE) {
        answer.headers_mut().insert(header::CONTENT_RANGE, range.clone());
    }
    answer
}

fn length(parts: &Parts) -> u64 {
    parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or_default()
}

fn hint(files: &model::Files, file: &Entry) -> SendFile {
    let mut hint = SendFile::new(&file.path);
    // A root that is a file has no folder that nginx could know.
    if let Some(location) = files.accel_redirect.as_deref().filter(|_| !file.relative.as_os_str().is_empty()) {
        hint = hint.with_accel_redirect(format!("{location}{}", path::encode_path(&file.relative)));
    }
    if files.x_sendfile { hint.with_x_sendfile() } else { hint }
}
