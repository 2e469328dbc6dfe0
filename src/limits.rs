//! Every limit that lodger keeps: its name, its default, its reason and its answer, in one place.

use std::time::Duration;

/// The limits of a server. Made by [`Limits::default`] and changed with the `with_*` methods.
///
/// A limit is there so that one peer, one client or one handler cannot use up what all the others need. Each field says
/// what a request meets that passes it.
///
/// ```
/// use std::time::Duration;
/// let limits = lodger::Limits::default()
///     .with_request_timeout(Duration::from_secs(10))
///     .with_body_bytes(16 * 1024 * 1024);
/// assert_eq!(limits.body_bytes, Some(16 * 1024 * 1024));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The variables of one request, in bytes. 128 KiB: more than any web server sends (their own header limits are below
    /// 64 KiB). Answer: 431.
    pub params_bytes: usize,
    /// The variables of one request, in pairs. 1024: a browser request has about 40. Answer: 431.
    pub params_pairs: usize,
    /// One LSAPI request without its body, in bytes: there the variables and the headers as the client wrote them come in one packet. 256 KiB:
    /// OpenLiteSpeed takes 64 KiB of headers by default, which stand there beside the variables. Answer: 431.
    pub lsapi_packet_bytes: usize,
    /// Variables of requests that are not complete yet, in bytes for one connection. 1 MiB: without it, many requests begun
    /// and never finished on one connection would use up the memory. Answer: 503.
    pub connection_params_bytes: usize,
    /// Requests in work at one time in this process. 512: each holds memory, and a peer that sends more is better
    /// served by another process. Answer: 503 with `Retry-After`.
    pub requests: usize,
    /// Requests in work at one time on one connection. 256, for the same reason. Answer: 503 with `Retry-After`.
    pub connection_requests: usize,
    /// The body of one request, in bytes. No limit: the web server has one of its own. Answer: 413, before the handler runs where
    /// the length is declared, else a [`LengthLimitError`](http_body_util::LengthLimitError) out of the body.
    pub body_bytes: Option<u64>,
    /// How much of a request body waits in memory for its handler, in bytes. 64 KiB: enough to keep both sides busy. Answer:
    /// lodger stops reading, or goes on into an unlinked file where stopping would block somebody else.
    pub body_window: usize,
    /// From the first byte of a request to the end of its variables. 10 s: the peer is a web server on the same machine. Answer: the
    /// connection is closed.
    pub params_timeout: Duration,
    /// From the end of the variables to the head of the response; starts again whenever body bytes arrive. 30 s: below the 40 s after
    /// which mod_fcgid gives up. Answer: 504.
    pub request_timeout: Duration,
    /// How long the peer may take none of the bytes offered to it. 60 s. Answer: the connection is closed, the handler dropped.
    pub write_timeout: Duration,
    /// How long a kept connection may be silent between two requests. 120 s. Answer: the connection is closed.
    pub idle_timeout: Duration,
    /// How long the rest of a body that nobody read is taken and thrown away after the response. 30 s: closing earlier would reset the
    /// connection and lose the response. Answer: the connection is closed.
    pub linger_timeout: Duration,
    /// How long requests in work may go on after a stop signal. 20 s, and never more than 7 s under mod_fcgid, which kills at 8 s.
    /// Answer: the process leaves.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            params_bytes: 128 * 1024,
            params_pairs: 1024,
            lsapi_packet_bytes: 256 * 1024,
            connection_params_bytes: 1024 * 1024,
            requests: 512,
            connection_requests: 256,
            body_bytes: None,
            body_window: 64 * 1024,
            params_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(120),
            linger_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

macro_rules! with {
    ($($name:ident => $field:ident: $kind:ty, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[must_use]
        pub fn $name(mut self, value: $kind) -> Self {
            self.$field = value;
            self
        }
    )*};
}

impl Limits {
    with! {
        with_params_bytes => params_bytes: usize, "Sets [`params_bytes`](Self::params_bytes).";
        with_params_pairs => params_pairs: usize, "Sets [`params_pairs`](Self::params_pairs).";
        with_lsapi_packet_bytes => lsapi_packet_bytes: usize, "Sets [`lsapi_packet_bytes`](Self::lsapi_packet_bytes).";
        with_connection_params_bytes => connection_params_bytes: usize, "Sets [`connection_params_bytes`](Self::connection_params_bytes).";
        with_requests => requests: usize, "Sets [`requests`](Self::requests).";
        with_connection_requests => connection_requests: usize, "Sets [`connection_requests`](Self::connection_requests).";
        with_body_window => body_window: usize, "Sets [`body_window`](Self::body_window).";
        with_params_timeout => params_timeout: Duration, "Sets [`params_timeout`](Self::params_timeout).";
        with_request_timeout => request_timeout: Duration, "Sets [`request_timeout`](Self::request_timeout).";
        with_write_timeout => write_timeout: Duration, "Sets [`write_timeout`](Self::write_timeout).";
        with_idle_timeout => idle_timeout: Duration, "Sets [`idle_timeout`](Self::idle_timeout).";
        with_linger_timeout => linger_timeout: Duration, "Sets [`linger_timeout`](Self::linger_timeout).";
        with_drain_timeout => drain_timeout: Duration, "Sets [`drain_timeout`](Self::drain_timeout).";
    }

    /// Sets [`body_bytes`](Self::body_bytes).
    #[must_use]
    pub fn with_body_bytes(mut self, value: u64) -> Self {
        self.body_bytes = Some(value);
        self
    }
}
