//! `respond`: a fixed answer, a text, a file or a template.

use super::{Answer, Failure, Matched, empty, failure::read_small, full};
use crate::{
    body::Body,
    config::model::{Respond, RespondBody},
    diagnostic::codes as code,
    ext::RequestExt as _,
};
use http::{HeaderValue, Request, StatusCode, header};
use std::{collections::BTreeMap, path::Path};

/// The largest file of an answer, in bytes. 1 MiB: it is read whole each time; `files` is for larger ones.
const LARGEST: u64 = 1024 * 1024;

/// The answer to a request.
pub(super) fn answer(respond: &Respond, request: &Request<Body>) -> Answer {
    let (text, of_name) = match &respond.body {
        RespondBody::Text(text) => (Ok(text.clone()), None),
        RespondBody::File(path) => (read(path), type_of(path)),
        RespondBody::Template(path) => (read(path).and_then(|text| render(path, &text, request)), type_of(path)),
    };
    let Ok(text) = text.inspect_err(|sentence| tracing::warn!(target: "lodger", "{}: {sentence}", code::PAGE_UNREADABLE)) else {
        return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, code::PAGE_UNREADABLE).answer();
    };
    let mut answer = empty(respond.status);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, respond.content_type.clone().or(of_name).unwrap_or(plain));
    *answer.body_mut() = full(text);
    answer
}

fn read(path: &Path) -> Result<String, String> {
    read_small(path, LARGEST).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// The type by the name of a file, for the kinds that are texts.
fn type_of(path: &Path) -> Option<HeaderValue> {
    Some(HeaderValue::from_static(match path.extension()?.to_str()? {
        "html" | "htm" | "j2" => "text/html; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    }))
}

/// Fills a template in. What comes from the visitor is escaped where the name of the file says that it is HTML.
fn render(path: &Path, text: &str, request: &Request<Body>) -> Result<String, String> {
    let matched = request.extensions().get::<Matched>();
    let params: BTreeMap<&str, String> =
        matched.into_iter().flat_map(|matched| matched.params.iter().filter_map(|(name, _)| Some((name.as_str(), matched.decoded(name)?)))).collect();
    let context = minijinja::context! {
        path => request.uri().path(),
        query => request.uri().query().unwrap_or_default(),
        host => request.host().unwrap_or_default(),
        scheme => request.scheme(),
        method => request.method().as_str(),
        site => request.site().unwrap_or_default(),
        params => params,
    };
    let mut templates = minijinja::Environment::new();
    // A template that loops for ever would stop all requests.
    templates.set_fuel(Some(FUEL));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // By the end of its name a template is known to be HTML, where values are escaped.
    let name = name.strip_suffix(".j2").unwrap_or(&name);
    templates.render_named_str(name, text, context).map_err(|error| format!("the template {} has a mistake: {error:#}", path.display()))
}

/// How many steps a template may take. A page of a thousand lines takes about as many tens of them.
const FUEL: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn shown(name: &str, template: &str) -> (StatusCode, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, template).unwrap();
        let mut request = Request::get("/hi/%3Cb%3E?q=%22").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Matched { params: vec![("name".to_owned(), "%3Cb%3E".to_owned())], rest: "/".to_owned() });
        let respond = Respond { body: RespondBody::Template(path), status: StatusCode::OK, content_type: None };
        let answer = answer(&respond, &request);
        (answer.status(), String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_template_shows_the_request_and_escapes_it_in_html() {
        assert_eq!(shown("a.html", "{{ params.name }} {{ method }}").await, (StatusCode::OK, "&lt;b&gt; GET".to_owned()));
        assert_eq!(shown("a.txt", "{{ params.name }}").await, (StatusCode::OK, "<b>".to_owned()));
    }

    #[tokio::test]
    async fn a_template_with_a_mistake_or_without_an_end_is_a_500() {
        assert_eq!(shown("a.html", "{{ oops").await.0, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            shown("a.html", "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}").await.0,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}
