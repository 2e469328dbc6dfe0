//! Pages for requests that lodger answers itself, in the form that the visitor asks for: a sentence and a code, never a path or a line of configuration.

use http::{HeaderValue, StatusCode};

/// The form of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What browsers show.
    Html,
    /// RFC 9457, "problem+json".
    Json,
    /// For terminals.
    Text,
}

impl Form {
    /// The form that the header `Accept` likes best (RFC 9110, 12.5.1). HTML where it says nothing, or likes several as much.
    pub(crate) fn of(accept: Option<&[u8]>) -> Self {
        let Some(accept) = accept else { return Self::Html };
        let mut best = (0, Self::Html);
        for range in accept.split(|byte| *byte == b',') {
            let mut pieces = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let kind = pieces.next().unwrap_or_default().to_ascii_lowercase();
            let form = match kind.as_slice() {
                b"text/html" | b"application/xhtml+xml" | b"*/*" | b"text/*" => Self::Html,
                b"application/json" | b"application/problem+json" | b"application/*" => Self::Json,
                b"text/plain" => Self::Text,
                _ => continue,
            };
            // Named is liked better than meant among others.
            let named = u32::from(!kind.ends_with(b"*"));
            let weight = pieces.find_map(|piece| piece.strip_prefix(b"q=")).map_or(1000, thousandths) * 2;
            let liked = if weight == 0 { 0 } else { weight + named };
            if liked > best.0 || liked == best.0 && form == Self::Html && liked > 0 {
                best = (liked, form);
            }
        }
        best.1
    }

    /// The `Content-Type` of a page in this form.
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/problem+json",
            Self::Text => "text/plain; charset=utf-8",
        })
    }
}

/// A weight between 0 and 1 with up to three digits; what is none is 1.
fn thousandths(weight: &[u8]) -> u32 {
    let weight = std::str::from_utf8(weight).ok().and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0);
    // It is small and not negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = (weight.clamp(0.0, 1.0) * 1000.0) as u32;
    whole
}

/// The page for a status. `code` is that of the page in `docs/errors.md`, where there is one.
pub(crate) fn of(status: StatusCode, code: Option<&str>, form: Form) -> String {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    let sentence = explain(status);
    match form {
        Form::Html => {
            let code = code.map(|code| format!("\n<p><small>{code}</small></p>")).unwrap_or_default();
            format!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
                 <body><h1>{title}</h1>\n<p>{sentence}</p>{code}</body></html>\n"
            )
        }
        Form::Json => {
            let code = code.map(|code| format!(",\"code\":\"{code}\"")).unwrap_or_default();
            let reason = status.canonical_reason().unwrap_or("Error");
            format!("{{\"type\":\"about:blank\",\"title\":\"{reason}\",\"status\":{},\"detail\":\"{sentence}\"{code}}}\n", status.as_u16())
        }
        Form::Text => {
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            format!("{title}{code}\n{sentence}\n")
        }
    }
}

/// A text as it stands in HTML and XML, between tags and in the value of an attribute.
#[cfg_attr(not(feature = "site"), allow(dead_code, reason = "only handlers show texts of others"))]
pub(crate) fn escaped(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => whole.push_str("&amp;"),
            '<' => whole.push_str("&lt;"),
            '>' => whole.push_str("&gt;"),
            '"' => whole.push_str("&quot;"),
            '\'' => whole.push_str("&#39;"),
            char => whole.push(char),
        }
    }
    whole
}

fn explain(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The request could not be understood.",
        401 => "This page is for those who may come in.",
        403 => "This page is not for you.",
        404 => "There is no such page here.",
        405 => "This page cannot be asked in this way.",
        413 => "The request is larger than this site accepts.",
        414 => "The address is longer than this site accepts.",
        421 => "This site is not here.",
        429 => "That was too much at once. Please try again in a while.",
        431 => "The headers of the request are larger than this site accepts.",
        502 => "The part of the site that should answer cannot be reached.",
        503 => "The site cannot answer right now. Please try again in a few seconds.",
        504 => "The site took too long to answer.",
        507 => "The site has no room left for this request.",
        _ => "The site could not answer this request. If it is yours, its error log tells more.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visitor_gets_the_form_that_is_asked_for() {
        for (accept, form) in [
            (None, Form::Html),
            (Some(""), Form::Html),
            (Some("*/*"), Form::Html),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"), Form::Html),
            (Some("application/json"), Form::Json),
            (Some("application/json, text/plain, */*"), Form::Json),
            (Some("application/problem+json;q=0.2, text/plain;q=0.9"), Form::Text),
            (Some("text/plain"), Form::Text),
            (Some("text/html;q=0, application/json;q=0.1"), Form::Json),
            (Some("application/json, text/html"), Form::Html),
            (Some("image/png"), Form::Html),
            (Some("application/json;q=nonsense"), Form::Json),
        ] {
            assert_eq!(Form::of(accept.map(str::as_bytes)), form, "{accept:?}");
        }
    }

    #[test]
    fn a_page_names_its_code_in_every_form() {
        for form in [Form::Html, Form::Json, Form::Text] {
            let page = of(StatusCode::BAD_GATEWAY, Some("LG0405"), form);
            assert!(page.contains("LG0405") && page.contains("502"), "{page}");
            assert!(!of(StatusCode::NOT_FOUND, None, form).contains("LG"));
        }
        let json: serde_json::Value = serde_json::from_str(&of(StatusCode::NOT_FOUND, None, Form::Json)).unwrap();
        assert_eq!((&json["status"], &json["title"]), (&404.into(), &"Not Found".into()));
    }
}
