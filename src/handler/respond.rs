//! `respond`: a fixed answer, a text, a file or a template.

use super::{Answer, Failure, Matched, empty, failure::OwnPage, full};
use crate::{
    body::Body,
    config::{
        model::{Respond, RespondBody},
        small::{LARGEST_PAGE, read_small},
    },
    diagnostic::codes as code,
    ext::RequestExt as _,
    page::escaped,
};
use http::{HeaderValue, Request, StatusCode, header};
use std::path::Path;

/// The answer to a request.
pub(super) fn answer(respond: &Respond, request: &Request<Body>) -> Answer {
    let of_name = match &respond.body {
        RespondBody::Text(_) => None,
        RespondBody::File(path) | RespondBody::Template(path) => type_of(path),
    };
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    let kind = respond.content_type.clone().or(of_name).unwrap_or(plain);
    let text = match &respond.body {
        RespondBody::Text(text) => Ok(text.clone()),
        RespondBody::File(path) => read(path),
        RespondBody::Template(path) => read(path).and_then(|text| render(path, &text, is_plain(&kind), request)),
    };
    let Ok(text) = text.inspect_err(|sentence| tracing::warn!(target: "lodger", "{}: {sentence}", code::PAGE_UNREADABLE)) else {
        return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, code::PAGE_UNREADABLE).answer();
    };
    let mut answer = empty(respond.status);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer.extensions_mut().insert(OwnPage);
    *answer.body_mut() = full(text);
    answer
}

fn read(path: &Path) -> Result<String, String> {
    read_small(path, LARGEST_PAGE).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// The type by the name of a file, for the kinds that are texts.
fn type_of(path: &Path) -> Option<HeaderValue> {
    Some(HeaderValue::from_static(match path.extension()?.to_str()? {
        "html" | "htm" => "text/html; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    }))
}

/// Whether a type is shown as it is, and never taken for markup.
fn is_plain(kind: &HeaderValue) -> bool {
    kind.as_bytes().to_ascii_lowercase().starts_with(b"text/plain")
}

/// Fills a template in: `{{ name }}` is a fact of the request. What comes from the visitor is escaped wherever it could be taken for markup.
///
/// # Errors
///
/// A sentence that names what there is no value for.
fn render(path: &Path, text: &str, is_plain: bool, request: &Request<Body>) -> Result<String, String> {
    let mut pieces = text.split("{{");
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let wrong = |what: &str| format!("the template {} has {what}", path.display());
        let (name, rest) = piece.split_once("}}").ok_or_else(|| wrong("a `{{` without its `}}`"))?;
        let value = value(name.trim(), request).ok_or_else(|| wrong(&format!("`{}`, which is nothing that can be filled in", name.trim())))?;
        whole.push_str(&if is_plain { value } else { escaped(&value) });
        whole.push_str(rest);
    }
    Ok(whole)
}

fn value(name: &str, request: &Request<Body>) -> Option<String> {
    Some(match name {
        "path" => request.uri().path().to_owned(),
        "query" => request.uri().query().unwrap_or_default().to_owned(),
        "host" => request.host().unwrap_or_default().to_owned(),
        "scheme" => request.scheme().to_owned(),
        "method" => request.method().to_string(),
        name => request.extensions().get::<Matched>()?.decoded(name)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn shown(name: &str, template: &str) -> (StatusCode, String) {
        shown_as(name, template, None).await
    }

    async fn shown_as(name: &str, template: &str, kind: Option<&'static str>) -> (StatusCode, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, template).unwrap();
        let mut request = Request::get("/hi/%3Cb%3E?q=%22").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Matched { params: vec![("name".to_owned(), "%3Cb%3E".to_owned())], rest: "/".to_owned() });
        let respond = Respond { body: RespondBody::Template(path), status: StatusCode::OK, content_type: kind.map(HeaderValue::from_static) };
        let answer = answer(&respond, &request);
        (answer.status(), String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_template_shows_the_request_and_escapes_it_in_html() {
        assert_eq!(shown("a.html", "{{ name }} {{method}}").await, (StatusCode::OK, "&lt;b&gt; GET".to_owned()));
        assert_eq!(shown("a.txt", "{{ name }}").await, (StatusCode::OK, "<b>".to_owned()));
        assert_eq!(shown_as("a.tmpl", "{{ name }}", Some("text/html")).await, (StatusCode::OK, "&lt;b&gt;".to_owned()));
    }

    #[tokio::test]
    async fn a_template_with_a_mistake_is_a_500() {
        for wrong in ["{{ oops", "{{ oops }}", "{{}}"] {
            assert_eq!(shown("a.html", wrong).await.0, StatusCode::INTERNAL_SERVER_ERROR, "{wrong}");
        }
    }
}
