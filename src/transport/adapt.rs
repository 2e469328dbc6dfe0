//! What one web server needs to be different about a response: its status, a file sent by the server itself, events that arrive at once.

use crate::{
    diagnostic::codes as code,
    hints::{FlushPadding, SendFile},
    profile::{Flush, Offload, Profile},
};
use http::{HeaderName, HeaderValue, StatusCode, header, response::Parts};
use std::{os::unix::ffi::OsStrExt as _, path::Path};

/// The status that the app answered with, where the web server would not pass it on.
const TRUE_STATUS: HeaderName = HeaderName::from_static("lodger-status");

/// What becomes of a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Adapted {
    /// The web server sends a file; the body is not wanted.
    pub(super) offloaded: bool,
    /// How many bytes make the web server pass on what it has.
    pub(super) padding: Option<usize>,
}

/// Changes the head of a response into what this web server passes on as it is meant. `document_root` tells where LiteSpeed may take files from.
pub(super) fn adapt<'a>(parts: &mut Parts, profile: &Profile, document_root: impl FnOnce() -> Option<&'a Path>) -> Adapted {
    let mut adapted = Adapted::default();
    if let Some((name, value)) = parts.extensions.get::<SendFile>().and_then(|file| offload(file, parts.status, profile, document_root)) {
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::ACCEPT_RANGES);
        parts.headers.insert(name, value);
        adapted.offloaded = true;
    }
    if parts.extensions.get::<FlushPadding>().is_some() && is_event_stream(parts) {
        match profile.flush {
            Flush::ByItself => {}
            Flush::AccelBuffering => drop(parts.headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))),
            Flush::Padding(bytes) => adapted.padding = Some(bytes),
        }
    }
    send_nearest_status(parts, profile);
    adapted
}

fn offload<'a>(
    file: &SendFile,
    status: StatusCode,
    profile: &Profile,
    document_root: impl FnOnce() -> Option<&'a Path>,
) -> Option<(HeaderName, HeaderValue)> {
    if status != StatusCode::OK {
        return None;
    }
    let path = || HeaderValue::from_bytes(file.path().as_os_str().as_bytes()).ok();
    match profile.offload? {
        Offload::AccelRedirect => Some((HeaderName::from_static("x-accel-redirect"), HeaderValue::from_str(file.accel_redirect()?).ok()?)),
        Offload::XSendfile if file.is_x_sendfile() => Some((HeaderName::from_static("x-sendfile"), path()?)),
        // A file elsewhere would be a 404.
        Offload::LiteSpeedLocation if file.path().starts_with(document_root()?) => Some((HeaderName::from_static("x-litespeed-location"), path()?)),
        Offload::XSendfile | Offload::LiteSpeedLocation => None,
    }
}

fn is_event_stream(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.split(|byte| *byte == b';').next().is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// OpenLiteSpeed makes 200 of every status that it does not know, which turns an error into a success.
fn send_nearest_status(parts: &mut Parts, profile: &Profile) {
    let (meant, sent) = (parts.status, profile.nearest_status(parts.status.as_u16()));
    if sent != meant.as_u16()
        && let Ok(sent) = StatusCode::from_u16(sent)
    {
        send_other_status(parts, profile, sent);
    }
}

#[cold]
fn send_other_status(parts: &mut Parts, profile: &Profile, sent: StatusCode) {
    let meant = parts.status;
    tracing::warn!(target: "lodger", "{}: {} passes on no status {}, so {} was sent", code::STATUS_REPLACED, profile.name(), meant.as_u16(), sent.as_u16());
    parts.headers.insert(TRUE_STATUS, HeaderValue::from(meant.as_u16()));
    parts.status = sent;
}

/// A comment of an event stream that fills up `bytes`.
pub(super) fn padding(bytes: usize) -> bytes::Bytes {
    let mut comment = vec![b':'];
    comment.resize(bytes.saturating_sub(2), b' ');
    comment.extend_from_slice(b"\n\n");
    comment.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;
    use http::Response;

    fn response(status: u16, extension: impl Clone + Send + Sync + 'static) -> Parts {
        let response = Response::builder().status(status).header("content-type", "text/event-stream; charset=utf-8").extension(extension);
        response.body(()).unwrap().into_parts().0
    }

    fn sent(parts: &Parts, name: &str) -> Option<String> {
        parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_status_that_would_become_200_is_sent_as_the_nearest_that_is_known() {
        for (meant, expected) in [(226, 200), (299, 200), (399, 300), (499, 400), (444, 400), (511, 500), (599, 500), (404, 404), (201, 201)] {
            let mut parts = response(meant, ());
            adapt(&mut parts, &profile::OPENLITESPEED, || None);
            assert_eq!(parts.status.as_u16(), expected);
            assert_eq!(sent(&parts, "lodger-status"), (meant != expected).then(|| meant.to_string()));
        }
        let mut parts = response(599, ());
        adapt(&mut parts, &profile::NGINX, || None);
        assert_eq!(parts.status.as_u16(), 599);
    }

    #[test]
    fn a_file_is_left_to_the_web_server_only_where_it_can_send_it() {
        let plain = SendFile::new("/home/user/www/a.pdf");
        let whole = plain.clone().with_accel_redirect("/files/a.pdf").with_x_sendfile();
        let root = Some(Path::new("/home/user/www"));
        let cases = [
            (&profile::NGINX, &whole, "x-accel-redirect", Some("/files/a.pdf")),
            (&profile::NGINX, &plain, "x-accel-redirect", None),
            (&profile::MOD_FCGID, &whole, "x-sendfile", Some("/home/user/www/a.pdf")),
            (&profile::MOD_FCGID, &plain, "x-sendfile", None),
            (&profile::LITESPEED, &plain, "x-litespeed-location", Some("/home/user/www/a.pdf")),
            (&profile::HAPROXY, &whole, "x-sendfile", None),
        ];
        for (profile, file, header, expected) in cases {
            let mut parts = response(200, file.clone());
            let adapted = adapt(&mut parts, profile, || root);
            assert_eq!((adapted.offloaded, sent(&parts, header).as_deref()), (expected.is_some(), expected), "{}", profile.name());
        }
        let mut elsewhere = response(200, SendFile::new("/etc/motd"));
        assert!(!adapt(&mut elsewhere, &profile::LITESPEED, || root).offloaded);
        let mut part = response(206, whole);
        assert!(!adapt(&mut part, &profile::NGINX, || root).offloaded, "a range of a file is the app's own answer");
    }

    #[test]
    fn events_are_padded_only_where_asked_for_and_where_it_helps() {
        let mut asked = response(200, FlushPadding);
        assert_eq!(adapt(&mut asked, &profile::MOD_FCGID, || None).padding, Some(64 * 1024));
        assert_eq!(adapt(&mut response(200, ()), &profile::MOD_FCGID, || None).padding, None);
        assert_eq!(adapt(&mut asked, &profile::CADDY, || None), Adapted::default());
        assert_eq!(adapt(&mut asked, &profile::NGINX, || None).padding, None);
        assert_eq!(sent(&asked, "x-accel-buffering").as_deref(), Some("no"));
        let comment = padding(100);
        assert!(comment.len() == 100 && comment.starts_with(b": ") && comment.ends_with(b" \n\n"));
    }
}
