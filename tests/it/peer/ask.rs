//! A request as a web server builds it: about thirty variables, taken from what nginx sends for a browser.

use super::wire::{self, KEEP_CONN, MAX_CONTENT, PARAMS, RESPONDER, STDIN};

pub(crate) const NGINX: &str = "nginx/1.22.1";

/// One request.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) id: u16,
    role: u16,
    flags: u8,
    vars: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

impl Ask {
    pub(crate) fn get(uri: &str) -> Self {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let vars = [
            ("QUERY_STRING", query),
            ("REQUEST_METHOD", "GET"),
            // nginx sends both, empty, for a request without a body.
            ("CONTENT_TYPE", ""),
            ("CONTENT_LENGTH", ""),
            ("SCRIPT_NAME", path),
            ("REQUEST_URI", uri),
            ("DOCUMENT_URI", path),
            ("DOCUMENT_ROOT", "/var/www/html"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_SCHEME", "http"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_SOFTWARE", NGINX),
            ("REMOTE_ADDR", "203.0.113.7"),
            ("REMOTE_PORT", "50312"),
            ("REMOTE_USER", ""),
            ("SERVER_ADDR", "192.0.2.10"),
            ("SERVER_PORT", "80"),
            ("SERVER_NAME", "example.org"),
            ("REDIRECT_STATUS", "200"),
            ("SCRIPT_FILENAME", &format!("/var/www/html{path}")),
            ("HTTP_HOST", "example.org"),
            ("HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
            ("HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("HTTP_ACCEPT_LANGUAGE", "de,en-US;q=0.7,en;q=0.3"),
            ("HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd"),
            ("HTTP_REFERER", "http://example.org/"),
            ("HTTP_COOKIE", "session=0f8fad5b-d9cb-469f-a165-70867728950e; theme=dark"),
            ("HTTP_UPGRADE_INSECURE_REQUESTS", "1"),
            ("HTTP_SEC_FETCH_DEST", "document"),
            ("HTTP_SEC_FETCH_MODE", "navigate"),
            ("HTTP_SEC_FETCH_SITE", "same-origin"),
            ("HTTP_PRIORITY", "u=0, i"),
        ];
        let vars = vars.map(|(name, value)| (name.into(), value.into())).to_vec();
        Self { id: 1, role: RESPONDER, flags: 0, vars, body: Vec::new() }
    }

    pub(crate) fn post(uri: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        let ask = Self::get(uri).set("REQUEST_METHOD", "POST").set("CONTENT_LENGTH", &length);
        Self { body, ..ask.set("CONTENT_TYPE", "application/octet-stream") }
    }

    pub(crate) fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    pub(crate) fn role(self, role: u16) -> Self {
        Self { role, ..self }
    }

    /// The connection is to be kept for the next request.
    pub(crate) fn keep(self) -> Self {
        Self { flags: KEEP_CONN, ..self }
    }

    /// Replaces a variable where it stands, or adds it at the end.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.set_bytes(name, value.as_bytes())
    }

    /// The same with a value that need not be text.
    pub(crate) fn set_bytes(mut self, name: &str, value: &[u8]) -> Self {
        match self.vars.iter_mut().find(|(known, _)| known == name.as_bytes()) {
            Some((_, old)) => *old = value.into(),
            None => self.vars.push((name.into(), value.into())),
        }
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.vars.retain(|(known, _)| known != name.as_bytes());
        self
    }

    pub(crate) fn vars(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.vars
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The variables as one string of pairs.
    pub(crate) fn pairs(&self) -> Vec<u8> {
        self.vars.iter().flat_map(|(name, value)| wire::pair(name, value)).collect()
    }

    pub(crate) fn begin(&self) -> Vec<u8> {
        wire::begin(self.id, self.role, self.flags)
    }

    pub(crate) fn params(&self) -> Vec<u8> {
        wire::stream(PARAMS, self.id, &self.pairs(), MAX_CONTENT)
    }

    /// Everything before the body.
    pub(crate) fn head(&self) -> Vec<u8> {
        [self.begin(), self.params()].concat()
    }

    /// The body in records as nginx cuts them, with the empty record at the end.
    pub(crate) fn stdin(&self) -> Vec<u8> {
        wire::stream(STDIN, self.id, &self.body, 32_768)
    }

    pub(crate) fn all(&self) -> Vec<u8> {
        [self.head(), self.stdin()].concat()
    }
}
