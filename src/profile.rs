//! What each web server needs from us: plain data that every ring may use. `gateway` chooses one, nothing else decides by name.

use std::time::Duration;

/// How a response that broke after its head went out is made visible to the client.
///
/// Measured against the real servers; none of the three works everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abort {
    /// End the request by the book. The server notices the missing bytes when a length was declared.
    End,
    /// Send a record with an impossible version and close: the only way to make nginx drop a response of unknown length.
    Poison,
    /// Close the connection without ending the request.
    Close,
}

/// What lodger knows of the web server that a request came through.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    name: &'static str,
    /// How a late failure is shown when a `Content-Length` was declared.
    pub(crate) abort_declared: Abort,
    /// How a late failure is shown when the length is unknown.
    pub(crate) abort_undeclared: Abort,
    /// The largest header block that this server takes, in bytes; above it the visitor sees an error of the server.
    pub(crate) header_block: usize,
    /// The largest single header line, in bytes.
    pub(crate) header_line: usize,
    /// The largest number of response headers.
    pub(crate) header_count: usize,
    /// How much of a body is held back so that an early failure can still become a clean error page, in bytes.
    pub(crate) commit_bytes: usize,
    /// The longest that a handler may take before this server gives up.
    pub(crate) request_timeout_max: Option<Duration>,
    /// Whether this server stops sending the request body once it has seen the head of a response.
    pub(crate) head_ends_upload: bool,
    /// Whether this server joins repeated `Cookie` headers with a comma.
    pub(crate) joins_cookies_with_comma: bool,
    /// Whether this server joins headers that a client repeats, so that a variable which comes twice stands for two names (`X_Y` and `X-Y`).
    pub(crate) joins_repeated_headers: bool,
    /// Whether this server takes a `Location` behind the status for a status of its own, 302.
    pub(crate) status_behind_location: bool,
    /// Whether a path may be split so that `PATH_INFO` is everything and `SCRIPT_NAME` is a made-up first segment.
    pub(crate) invents_script_name: bool,
}

impl Profile {
    /// The name: `nginx`, `nginx-keep-conn`, `mod_fcgid`, `mod_proxy_fcgi`, `mod_cgid`, …, `unknown`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    const fn new(name: &'static str) -> Self {
        Self {
            name,
            abort_declared: Abort::Close,
            abort_undeclared: Abort::Close,
            header_block: 64 * 1024,
            header_line: 8000,
            header_count: 100,
            commit_bytes: 32 * 1024,
            request_timeout_max: None,
            head_ends_upload: false,
            joins_cookies_with_comma: false,
            joins_repeated_headers: false,
            status_behind_location: false,
            invents_script_name: false,
        }
    }

    const fn apache(name: &'static str) -> Self {
        Self { joins_cookies_with_comma: true, joins_repeated_headers: true, invents_script_name: true, header_count: 1000, ..Self::new(name) }
    }
}

/// A server that we do not know: nothing is assumed of it.
pub(crate) static UNKNOWN: Profile = Profile::new("unknown");

/// Apache with mod_fcgid: a missing END is answered with an error page spliced into the body, so END always; gives up after 40 s;
/// holds 64 KiB back itself, so that holding as much costs nobody anything.
pub(crate) static MOD_FCGID: Profile = Profile {
    abort_declared: Abort::End,
    abort_undeclared: Abort::End,
    commit_bytes: 64 * 1024,
    request_timeout_max: Some(Duration::from_secs(35)),
    ..Profile::apache("mod_fcgid")
};

/// Apache with mod_proxy_fcgi: notices a close without END, ignores what END says.
pub(crate) static MOD_PROXY_FCGI: Profile = Profile::apache("mod_proxy_fcgi");

/// Apache with mod_cgid or mod_cgi: nothing makes a late failure visible there.
pub(crate) static MOD_CGID: Profile = Profile::apache("mod_cgid");

/// nginx that closes after each request: it waits for a declared length until END, and takes a close for the end of a body. Once it has passed the head of
/// a response on it sends no more of the request body, and then waits for a response that waits for that body.
pub(crate) static NGINX: Profile = Profile {
    head_ends_upload: true,
    abort_declared: Abort::End,
    abort_undeclared: Abort::Poison,
    // The whole block must fit in fastcgi_buffer_size, 4 KiB by default, together with the head of its record.
    header_block: 4000,
    header_line: 4000,
    header_count: 500,
    ..Profile::new("nginx")
};

/// nginx with `fastcgi_keep_conn on`: END would leave it waiting for the rest, a close is noticed.
pub(crate) static NGINX_KEEP_CONN: Profile = Profile {
    head_ends_upload: true,
    abort_declared: Abort::Close,
    abort_undeclared: Abort::Close,
    header_block: 4000,
    header_line: 4000,
    header_count: 500,
    ..Profile::new("nginx-keep-conn")
};

/// Apache with mod_proxy_scgi. Nothing frames a response there: a reset is what it notices.
pub(crate) static MOD_PROXY_SCGI: Profile = Profile::apache("mod_proxy_scgi");

/// Apache with mod_proxy_uwsgi, where the same holds.
pub(crate) static MOD_PROXY_UWSGI: Profile = Profile::apache("mod_proxy_uwsgi");

/// nginx over SCGI and uwsgi: the same nginx, and a reset is what it notices.
pub(crate) static NGINX_UNFRAMED: Profile = Profile { name: "nginx", ..NGINX_KEEP_CONN };

/// lighttpd: takes a close without a declared length for the end.
pub(crate) static LIGHTTPD: Profile = Profile { header_line: 60_000, header_count: 500, joins_repeated_headers: true, ..Profile::new("lighttpd") };

/// Caddy: joins cookies with a comma like Apache.
pub(crate) static CADDY: Profile =
    Profile { header_line: 60_000, header_count: 1000, joins_cookies_with_comma: true, joins_repeated_headers: true, ..Profile::new("caddy") };

/// OpenLiteSpeed and LiteSpeed over FastCGI: a close before END makes it send the request again, so END always.
pub(crate) static LITESPEED: Profile = Profile { abort_declared: Abort::End, abort_undeclared: Abort::End, ..Profile::new("litespeed") };

/// HAProxy: notices a close, takes 101 headers and no block over 16 KiB, and of a status and a `Location` believes what comes last.
pub(crate) static HAPROXY: Profile = Profile { header_block: 15_000, header_line: 15_000, status_behind_location: true, ..Profile::new("haproxy") };

/// h2o: takes 100 headers; a close without a declared length is the end for it.
pub(crate) static H2O: Profile = Profile { header_line: 60_000, ..Profile::new("h2o") };
