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

/// The header by which a web server is asked to send a file in the place of a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offload {
    /// `X-Accel-Redirect` with an address inside the server.
    AccelRedirect,
    /// `X-Sendfile` with a path, where the server has been told to heed it.
    XSendfile,
    /// `X-LiteSpeed-Location` with a path in the document root.
    LiteSpeedLocation,
}

/// How a piece of a response gets to the visitor before the next one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Nothing has to be done, or nothing helps.
    ByItself,
    /// `X-Accel-Buffering: no` makes the server pass everything on.
    AccelBuffering,
    /// The server passes on what it has once so many bytes came.
    Padding(usize),
}

/// What lodger knows of the web server that a request came through.
///
/// It is recognised by the way it started us, the protocol, and `SERVER_SOFTWARE`.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    name: &'static str,
    /// How a late failure is shown when a `Content-Length` was declared.
    pub(crate) abort_declared: Abort,
    /// How a late failure is shown when the length is unknown.
    pub(crate) abort_undeclared: Abort,
    /// Whether this server heeds the `Content-Length` that we declare. One that strips it makes a response of every length one of unknown length.
    pub(crate) trusts_length: bool,
    /// The largest header block that this server takes, in bytes; above it the visitor sees an error of the server.
    pub(crate) header_block: usize,
    /// The largest single header line, in bytes.
    pub(crate) header_line: usize,
    /// The largest number of response headers.
    pub(crate) header_count: usize,
    /// The most text for the error log that this server takes at one time, in bytes.
    pub(crate) stderr_chunk: usize,
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
    /// Whether a `SCRIPT_NAME` with a slash at its end is where the app lives and never the page that was asked for.
    pub(crate) ends_mount_with_slash: bool,
    /// The status codes that this server passes on, as ranges; any other becomes 200 there. Empty for a server that passes on all.
    pub(crate) known_statuses: &'static [(u16, u16)],
    /// The header for sending files.
    pub(crate) offload: Option<Offload>,
    /// What makes this server pass on a piece of a response at once.
    pub(crate) flush: Flush,
}

impl Profile {
    /// The name: `mod_fcgid`, `mod_proxy_fcgi`, `mod_proxy_scgi`, `mod_proxy_uwsgi`, `mod_proxy_http`, `mod_cgid`, `passenger`, `nginx`, `nginx-keep-conn`, `lighttpd`,
    /// `caddy`, `litespeed`, `openlitespeed`, `haproxy`, `h2o` or `unknown`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The profile of that [name](Self::name), for a program whose web server hides what it is: [`Program::with_profile`](crate::Program::with_profile).
    ///
    /// ```
    /// assert_eq!(lodger::Profile::named("nginx").map(lodger::Profile::name), Some("nginx"));
    /// assert!(lodger::Profile::named("a server of my own").is_none());
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|profile| profile.name == name)
    }

    /// The names of all profiles.
    #[cfg(feature = "site")]
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|profile| profile.name)
    }

    /// What is sent in the place of a status that this server would turn into 200: the plainest of its class.
    pub(crate) fn nearest_status(&self, status: u16) -> u16 {
        if self.known_statuses.is_empty() || self.known_statuses.iter().any(|(first, last)| (*first..=*last).contains(&status)) {
            return status;
        }
        match status {
            ..300 => 200,
            300..400 => 300,
            400..500 => 400,
            _ => 500,
        }
    }

    const fn new(name: &'static str) -> Self {
        Self {
            name,
            abort_declared: Abort::Close,
            abort_undeclared: Abort::Close,
            trusts_length: true,
            header_block: 64 * 1024,
            header_line: 8000,
            header_count: 100,
            // HAProxy 2.6 crashes on a record of 60 KB, and a line is rarely longer than this.
            stderr_chunk: 4096,
            commit_bytes: 32 * 1024,
            request_timeout_max: None,
            head_ends_upload: false,
            joins_cookies_with_comma: false,
            joins_repeated_headers: false,
            status_behind_location: false,
            invents_script_name: false,
            ends_mount_with_slash: false,
            known_statuses: &[],
            offload: None,
            flush: Flush::ByItself,
        }
    }

    const fn apache(name: &'static str) -> Self {
        Self {
            joins_cookies_with_comma: true,
            joins_repeated_headers: true,
            invents_script_name: true,
            header_count: 1000,
            offload: Some(Offload::XSendfile),
            ..Self::new(name)
        }
    }

    const fn nginx(name: &'static str) -> Self {
        Self {
            head_ends_upload: true,
            // The whole block must fit in fastcgi_buffer_size, 4 KiB by default, together with the head of its record.
            header_block: 4000,
            header_line: 4000,
            header_count: 500,
            offload: Some(Offload::AccelRedirect),
            flush: Flush::AccelBuffering,
            ..Self::new(name)
        }
    }

    const fn litespeed(name: &'static str) -> Self {
        Self {
            // A close before the end makes it send the request again, POST too.
            abort_declared: Abort::End,
            abort_undeclared: Abort::End,
            // One packet of LSAPI takes 65,535 bytes of them, with five more for each.
            header_block: 60_000,
            header_line: 16_000,
            header_count: 1000,
            // 444 is known to it as the order to drop the client, and so not known to us.
            known_statuses: &[(200, 208), (300, 308), (400, 443), (445, 451), (500, 510)],
            offload: Some(Offload::LiteSpeedLocation),
            ends_mount_with_slash: true,
            ..Self::new(name)
        }
    }
}

/// Every profile that can be asked for by its name.
static ALL: &[&Profile] = &[
    &MOD_FCGID,
    &MOD_PROXY_FCGI,
    &MOD_PROXY_SCGI,
    &MOD_PROXY_UWSGI,
    &MOD_CGID,
    &NGINX,
    &NGINX_KEEP_CONN,
    &LIGHTTPD,
    &CADDY,
    &LITESPEED,
    &OPENLITESPEED,
    &HAPROXY,
    &H2O,
    &PASSENGER,
    #[cfg(feature = "http")]
    &MOD_PROXY_HTTP,
    &UNKNOWN,
];

/// A server that we do not know: nothing is assumed of it.
pub(crate) static UNKNOWN: Profile = Profile::new("unknown");

/// Apache with mod_fcgid: a missing END is answered with an error page spliced into the body, so END always; gives up after 40 s;
/// holds 64 KiB back itself, so that holding as much costs nobody anything.
pub(crate) static MOD_FCGID: Profile = Profile {
    abort_declared: Abort::End,
    abort_undeclared: Abort::End,
    commit_bytes: 64 * 1024,
    request_timeout_max: Some(Duration::from_secs(35)),
    // FcgidOutputBufferSize.
    flush: Flush::Padding(64 * 1024),
    ..Profile::apache("mod_fcgid")
};

/// Apache with mod_proxy_fcgi: notices a close without END, ignores what END says, strips every length.
pub(crate) static MOD_PROXY_FCGI: Profile = Profile { trusts_length: false, flush: Flush::Padding(8 * 1024), ..Profile::apache("mod_proxy_fcgi") };

/// Apache with mod_cgid or mod_cgi: nothing makes a late failure visible there.
pub(crate) static MOD_CGID: Profile = Profile::apache("mod_cgid");

/// nginx that closes after each request: it waits for a declared length until END, and takes a close for the end of a body. Once it has passed the head of
/// a response on it sends no more of the request body, and then waits for a response that waits for that body.
pub(crate) static NGINX: Profile = Profile { abort_declared: Abort::End, abort_undeclared: Abort::Poison, ..Profile::nginx("nginx") };

/// nginx with `fastcgi_keep_conn on`: END would leave it waiting for the rest, a close is noticed.
pub(crate) static NGINX_KEEP_CONN: Profile = Profile::nginx("nginx-keep-conn");

/// Apache with mod_proxy_scgi. Nothing frames a response there: a reset is what it notices.
pub(crate) static MOD_PROXY_SCGI: Profile = Profile { trusts_length: false, ..Profile::apache("mod_proxy_scgi") };

/// Apache with mod_proxy_uwsgi, where the same holds.
pub(crate) static MOD_PROXY_UWSGI: Profile = Profile::apache("mod_proxy_uwsgi");

/// lighttpd: takes a close without a declared length for the end.
pub(crate) static LIGHTTPD: Profile =
    Profile { header_line: 60_000, header_count: 500, joins_repeated_headers: true, offload: Some(Offload::XSendfile), ..Profile::new("lighttpd") };

/// Caddy: joins cookies with a comma like Apache.
pub(crate) static CADDY: Profile =
    Profile { header_line: 60_000, header_count: 1000, joins_cookies_with_comma: true, joins_repeated_headers: true, ..Profile::new("caddy") };

/// LiteSpeed Enterprise.
pub(crate) static LITESPEED: Profile = Profile::litespeed("litespeed");

/// OpenLiteSpeed, on which the rules for both were measured.
pub(crate) static OPENLITESPEED: Profile = Profile::litespeed("openlitespeed");

/// Apache with mod_proxy_http. It is known by a header that any client may write too, and so asked for no files.
#[cfg(feature = "http")]
pub(crate) static MOD_PROXY_HTTP: Profile = Profile { offload: None, ..Profile::apache("mod_proxy_http") };

/// Whoever else speaks HTTP to us. HTTP does not say who, so it gets what nginx needs, the strictest of them, but no header that only nginx would act on.
#[cfg(feature = "http")]
pub(crate) static UNKNOWN_HTTP: Profile = Profile { offload: None, ..Profile::nginx("unknown") };

/// Phusion Passenger, which stands behind Apache or nginx and speaks HTTP to us.
pub(crate) static PASSENGER: Profile = Profile { invents_script_name: false, ..Profile::apache("passenger") };

/// HAProxy: notices a close, takes 101 headers and no block over 16 KiB, and of a status and a `Location` believes what comes last.
pub(crate) static HAPROXY: Profile = Profile { header_block: 15_000, header_line: 15_000, status_behind_location: true, ..Profile::new("haproxy") };

/// h2o: takes 100 headers; a close without a declared length is the end for it.
pub(crate) static H2O: Profile = Profile { header_line: 60_000, ..Profile::new("h2o") };
