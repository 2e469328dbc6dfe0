//! What the cells of the table that are not "ok" mean to a site owner.

use super::door::{Door, Software};

/// The footnotes, in the order in which they stand below the table.
pub(crate) const FOOTNOTES: &[(&str, &str)] = &[
    ("port", "The server tells the address of the visitor and not the port."),
    ("joined", "The server makes one header `1, 2` of two; HTTP takes both for the same. Cookies are put right by lodger."),
    (
        "underscore",
        "The server hands on headers with an underscore in their name, and as a variable `X_Under` cannot be told from `X-Under`. Do not trust a header only because \
         the server sets it: let the server set it always, so that a visitor's own is overwritten.",
    ),
    ("login-apache", "Apache keeps logins to itself unless told otherwise: `CGIPassAuth On` in a `<Location>` or a `.htaccess`."),
    ("login-haproxy", "HAProxy hands on who logged in, not how. In the `fcgi-app`: `set-param HTTP_AUTHORIZATION %[req.hdr(authorization)]`."),
    ("slash", "Apache has no page whose name has a slash in it. In its own configuration, not in a `.htaccess`: `AllowEncodedSlashes NoDecode`."),
    (
        "slash-passenger",
        "Apache has no page whose name has a slash in it. In its own configuration: `AllowEncodedSlashes NoDecode` and `PassengerAllowEncodedSlashes On`.",
    ),
    ("slash-uwsgi", "Apache has no page whose name has a slash in it, and mod_proxy_uwsgi has no way to pass one on."),
    (
        "upload",
        "mod_fcgid takes 131,072 bytes unless `FcgidMaxRequestLen` says more; hosts often do. Or use the sample with the side door, which sends larger bodies as CGI.",
    ),
    ("chunks", "HAProxy takes a body of unknown length only if it fits its buffer, 16 KB, and answers 400. Browsers always declare a length."),
    ("chunks-apache", "These modules of Apache want a length, and answer 411. Browsers always declare one."),
    ("length", "Apache removes the length of a long body, so a download shows no progress."),
    ("events-fcgid", "mod_fcgid waits for 64 KiB or the end. Use the sample with the side door, which sends `EventSource` to CGI."),
    ("events-proxy", "Apache waits for 8 KiB or the end: add `flushpackets=on` to the `ProxyPass`."),
    ("events-lighttpd", "lighttpd waits for the end: set `server.stream-response-body = 1`."),
    (
        "departure",
        "The server does not tell that the visitor has left, so the handler works on to its end. While it sends, a failed write tells, though not at once.",
    ),
    (
        "broken-fcgid",
        "mod_fcgid has no way to show that a response of unknown length broke off. Declare the length where it is known. Responses of up to 64 KiB are held back, and become a clean 500.",
    ),
    (
        "broken-cgi",
        "Apache takes the end of a CGI program for the end of its response, whatever length was declared. Responses of up to 32 KiB are held back, and become a clean 500.",
    ),
    ("broken-passenger", "Passenger makes a whole response of one of unknown length that broke off. Declare the length where it is known."),
    ("broken-unknown", "The server takes the end of the connection for the end of a body of unknown length. Declare the length where it is known."),
    (
        "head-nginx",
        "The headers of a response must fit in 4 KiB unless `fastcgi_buffer_size 16k; fastcgi_buffers 8 16k;` says more; with `scgi_`, `uwsgi_` or `proxy_` in front for the others.",
    ),
    ("head-apache", "Apache takes headers of up to 8190 bytes each."),
    ("head-haproxy", "HAProxy takes 101 headers, and 16 KB of them: `tune.http.maxhdr` and `tune.bufsize`."),
    ("head-h2o", "h2o takes 100 headers."),
    ("log-caddy", "Caddy loses what an app logs, and needs `capture_stderr` for it as well; Caddy 2.7 mended this."),
];

/// The footnote that explains what was seen; nothing if it is news.
pub(crate) fn key(door: Door, case: &str, seen: &str) -> Option<&'static str> {
    let software = door.software();
    let key = match (seen, software) {
        ("no port", _) => "port",
        ("joined", _) => "joined",
        ("taken", _) => "underscore",
        ("kept back", Software::Apache) => "login-apache",
        ("kept back", Software::Haproxy) => "login-haproxy",
        ("404", Software::Apache) if case.contains("slash") && door == Door::ProxyUwsgi => "slash-uwsgi",
        ("404", Software::Apache) if case.contains("slash") && door.is_passenger() => "slash-passenger",
        ("404", Software::Apache) if case.contains("slash") => "slash",
        ("500", Software::Apache) if case.contains("3 MB") => "upload",
        ("refused", Software::Haproxy) => "chunks",
        ("refused", Software::Apache) => "chunks-apache",
        ("length removed", Software::Apache) => "length",
        ("all at once", _) if door == Door::ProxyFcgi => "events-proxy",
        ("all at once", Software::Apache) => "events-fcgid",
        ("all at once", Software::Lighttpd) => "events-lighttpd",
        ("not told", _) => "departure",
        ("not shown", Software::Apache) if door.is_passenger() => "broken-passenger",
        ("not shown", Software::Apache) if door.gateway() == "cgi" => "broken-cgi",
        ("not shown", _) if matches!(door, Door::Fcgid | Door::FcgidSuexec) => "broken-fcgid",
        ("not shown", Software::Lighttpd | Software::Caddy | Software::H2o) if !case.contains("declared") => "broken-unknown",
        ("502", Software::Nginx) if case.contains("headers") => "head-nginx",
        ("500" | "502", Software::Apache) if case.contains("headers") => "head-apache",
        ("502", Software::Haproxy) if case.contains("headers") => "head-haproxy",
        ("503", Software::H2o) if case.contains("headers") => "head-h2o",
        ("not logged", Software::Caddy) => "log-caddy",
        _ => return None,
    };
    assert!(FOOTNOTES.iter().any(|(known, _)| *known == key), "no footnote {key}");
    Some(key)
}
