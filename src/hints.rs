//! What an app may ask of the web server, as extensions of a response: [`SendFile`] and [`FlushPadding`].

use std::path::{Path, PathBuf};

/// A file that the web server may send in the place of the response's body, so that the program does not have to.
///
/// It is an extension of a response with status 200, and a hint: the body of the response is what is sent wherever the web server cannot do it, so the two must be the
/// same. Over HTTP a web server does not say what it is: name it with [`Program::with_profile`](crate::Program::with_profile). Ranges and conditions (`Range`, `If-None-Match`) are the web server's business then.
///
/// | web server | header | needs |
/// | --- | --- | --- |
/// | nginx | `X-Accel-Redirect` | an `internal` location, told with [`with_accel_redirect`](Self::with_accel_redirect) |
/// | Apache, lighttpd | `X-Sendfile` | `XSendFile on` of mod_xsendfile, `"x-sendfile" => "enable"`, told with [`with_x_sendfile`](Self::with_x_sendfile) |
/// | LiteSpeed | `X-LiteSpeed-Location` | a file in the document root |
///
/// ```
/// # use http::Response;
/// let mut response = Response::new("the same bytes as in the file");
/// response.extensions_mut().insert(lodger::SendFile::new("/home/user/files/report.pdf").with_accel_redirect("/files/report.pdf"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendFile {
    path: PathBuf,
    accel_redirect: Option<String>,
    x_sendfile: bool,
}

impl SendFile {
    /// The file with this absolute path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), accel_redirect: None, x_sendfile: false }
    }

    /// The address of the file in a location of nginx that is marked `internal`, written as in a URL.
    #[must_use]
    pub fn with_accel_redirect(mut self, uri: impl Into<String>) -> Self {
        self.accel_redirect = Some(uri.into());
        self
    }

    /// Says that Apache or lighttpd has been told to heed `X-Sendfile`. Where it has not, the visitor would get an empty page and see the path.
    #[must_use]
    pub fn with_x_sendfile(mut self) -> Self {
        self.x_sendfile = true;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn accel_redirect(&self) -> Option<&str> {
        self.accel_redirect.as_deref()
    }

    pub(crate) fn is_x_sendfile(&self) -> bool {
        self.x_sendfile
    }
}

/// Asks that each event of a `text/event-stream` reaches the visitor when it is sent, also through a web server that collects a response first.
///
/// It is an extension of a response, and an opt-in, because it changes bytes: behind Apache each event is followed by a comment of blanks (8 KiB with mod_proxy_fcgi, 64 KiB with
/// mod_fcgid), which browsers pass over. Behind nginx the header `X-Accel-Buffering: no` does the same. Elsewhere nothing is added: either nothing is needed, or nothing helps.
///
/// ```
/// # use http::Response;
/// let mut response = Response::new("data: 1\n\n");
/// response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
/// response.extensions_mut().insert(lodger::FlushPadding);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushPadding;
