//! The one table of keys: what may stand in a `lodger.toml`, of which kind, with which default.

use super::{FIRST, Key, Kind, Table};
use std::time::Duration;

/// The shortest duration: what a clock of the kernel tells apart well.
const MS: Duration = Duration::from_millis(1);

const SECOND: Duration = Duration::from_secs(1);

const HOUR: Duration = Duration::from_secs(3600);

/// A year, as `humantime` counts it.
const YEAR: Duration = Duration::from_secs(31_557_600);

const fn key(
    tables: &'static [Table],
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { tables, name, kind, default, since: FIRST, doc, example, secret: false }
}

const fn secret(key: Key) -> Key {
    Key { secret: true, ..key }
}

const fn within(min: Duration, max: Duration) -> Kind {
    Kind::Duration { min, max }
}

const SERVER: &[Table] = &[Table::Server];
const SITE: &[Table] = &[Table::Site];
const ROUTE: &[Table] = &[Table::Route];
const BOTH: &[Table] = &[Table::Site, Table::Route];
const PAGES: &[Table] = &[Table::ErrorPages];
const AUTH: &[Table] = &[Table::Auth];
const CORS: &[Table] = &[Table::Cors];

const PER: Kind = Kind::Choice(&["client", "site"]);

/// Every key, in the order in which people read about them.
pub(crate) const KEYS: &[Key] = &[
    key(&[Table::Root], "server", Kind::One(Table::Server), None, "", "The settings of the process."),
    key(&[Table::Root], "site", Kind::Many(Table::Site), None, "", "The sites."),
    // The process
    key(
        SERVER,
        "request-timeout",
        within(MS, HOUR),
        Some("\"30s\""),
        "\"30s\"",
        "How long a handler may take until its response begins; it starts again whenever bytes of the request body arrive. Under mod_fcgid never more than 35 s. Visitors see 504.",
    ),
    key(
        SERVER,
        "write-timeout",
        within(SECOND, HOUR),
        Some("\"60s\""),
        "\"60s\"",
        "How long a web server may take none of the bytes of a response. The connection is closed then.",
    ),
    key(SERVER, "idle-timeout", within(SECOND, HOUR), Some("\"120s\""), "\"120s\"", "How long a kept connection may be silent between two requests."),
    key(
        SERVER,
        "drain-timeout",
        within(MS, HOUR),
        Some("\"20s\""),
        "\"20s\"",
        "How long requests may go on after a stop signal. Under mod_fcgid never more than 7 s.",
    ),
    key(
        SERVER,
        "max-body",
        Kind::Size,
        None,
        "\"16MiB\"",
        "The largest request body, for every site that does not say otherwise. Visitors see 413. Left out, only the web server's own limit holds.",
    ),
    key(
        SERVER,
        "max-requests",
        Kind::Number { min: 1, max: 100_000 },
        Some("512"),
        "512",
        "How many requests one process works on at one time. Visitors see 503.",
    ),
    key(
        SERVER,
        "threads",
        Kind::Number { min: 1, max: 64 },
        Some("1"),
        "1",
        "How many threads run the handlers. One is the cheapest, and hosts limit threads.",
    ),
    key(SERVER, "web-server", Kind::Text, None, "\"nginx\"", "What the web server is, for one that hides it. Left out, lodger finds out by itself."),
    key(
        SERVER,
        "log",
        Kind::Text,
        Some("\"warn\""),
        "\"info\"",
        "What goes into the log: `error`, `warn`, `info`, `debug`, or by target, `\"warn,my_app=debug\"`. The variable `RUST_LOG` goes before it.",
    ),
    key(
        SERVER,
        "state-dir",
        Kind::Path,
        None,
        "\"../private/state\"",
        "The folder for what outlives a process. Left out, lodger finds one outside the web space.",
    ),
    key(
        SERVER,
        "trusted-proxies",
        Kind::Texts,
        Some("[]"),
        "[\"192.0.2.10\", \"2001:db8::/32\"]",
        "Addresses and networks of proxies in front of the web server, whose `X-Forwarded-For`, `-Proto` and `-Host` are believed. Those on this machine are believed anyway.",
    ),
    key(
        SERVER,
        "strict-sni",
        Kind::Flag,
        Some("false"),
        "true",
        "Refuse a request whose `Host` belongs to another site than the name that was used for TLS. Visitors see 421.",
    ),
    // The site
    key(
        SITE,
        "hosts",
        Kind::Texts,
        None,
        "[\"example.org\", \"*.example.org\"]",
        "The hosts of the site; the first is canonical. `*.example.org` stands for every name below example.org. Left out, the site answers for every host that no other has; beside other sites it says so with `default = true` or has a `name`.",
    ),
    key(SITE, "name", Kind::Text, None, "\"shop\"", "What the log calls the site. Left out, its first host."),
    key(SITE, "default", Kind::Flag, Some("false"), "true", "Answer for every host that no site has. Without such a site they get 421."),
    key(SITE, "canonical-host", Kind::Flag, Some("false"), "true", "Send visitors of the other hosts to the first, with 308."),
    key(
        SITE,
        "https",
        Kind::Choice(&["any", "redirect"]),
        Some("\"any\""),
        "\"redirect\"",
        "`redirect` sends visitors from http to https, with 308. A front that ends TLS is recognised, so that they do not go round in circles.",
    ),
    key(
        SITE,
        "hsts",
        within(SECOND, Duration::from_secs(10 * 31_557_600)),
        None,
        "\"1y\"",
        "`Strict-Transport-Security` for so long, on responses over https.",
    ),
    key(SITE, "hsts-subdomains", Kind::Flag, Some("false"), "true", "The same for all names below; needs `hsts`."),
    key(
        SITE,
        "security-headers",
        Kind::Flag,
        Some("false"),
        "true",
        "Set `X-Content-Type-Options: nosniff`, `X-Frame-Options: SAMEORIGIN` and `Referrer-Policy: strict-origin-when-cross-origin` on responses that have none.",
    ),
    key(SITE, "maintenance", Kind::Path, None, "\"maintenance.html\"", "While this file is there, visitors get its text with 503."),
    key(SITE, "error-pages", Kind::One(Table::ErrorPages), None, "", "Pages of the site's own for errors."),
    key(
        SITE,
        "log-requests",
        Kind::Flag,
        Some("false"),
        "true",
        "Write a line for each request into the log: who asked for what, the status, and how long it took until the response began.",
    ),
    key(SITE, "route", Kind::Many(Table::Route), None, "", "The routes."),
    key(PAGES, "replace", Kind::Flag, Some("false"), "true", "Put them in the place of the error pages of apps and of servers behind a proxy too."),
    // Which requests
    key(
        ROUTE,
        "path",
        Kind::Text,
        None,
        "\"/static/\"",
        "Which paths: `/about` is that one, `/static/` everything below it, `/user/{id}` one segment, `/files/{*rest}` all that follows, `/files/` and `/files` too.",
    ),
    key(ROUTE, "methods", Kind::Texts, None, "[\"GET\", \"POST\"]", "Which methods. Left out, all. `GET` stands for `HEAD` too."),
    key(ROUTE, "header", Kind::Text, None, "\"X-Beta: yes\"", "Only requests with this header; without a colon, with any value."),
    // Handlers
    key(
        ROUTE,
        "files",
        Kind::Path,
        None,
        "\"public\"",
        "Handler: what lies in this folder, or this one file. Names that begin with a dot are never there, and nothing outside the folder is.",
    ),
    key(
        ROUTE,
        "index",
        Kind::Texts,
        Some("[\"index.html\"]"),
        "[\"index.html\", \"index.htm\"]",
        "With `files`: what is looked for in a folder. With `fastcgi`: the script for a folder and for what is not there, `index.php` when left out.",
    ),
    key(
        ROUTE,
        "fallback",
        Kind::Text,
        None,
        "\"index.html\"",
        "With `files`: the file that answers for pages that are not there, as single-page apps want it.",
    ),
    key(ROUTE, "listing", Kind::Flag, Some("false"), "true", "With `files`: list a folder that has no index."),
    key(
        ROUTE,
        "precompressed",
        Kind::Flag,
        Some("true"),
        "false",
        "With `files`: send `a.css.br`, `a.css.zst` or `a.css.gz` for `a.css` to who takes it.",
    ),
    key(
        ROUTE,
        "symlinks",
        Kind::Flag,
        Some("true"),
        "false",
        "With `files`: follow symbolic links that stay in the folder and belong to the owner of what they name. Others are never followed.",
    ),
    key(
        ROUTE,
        "accel-redirect",
        Kind::Text,
        None,
        "\"/internal/\"",
        "With `files`, behind nginx: the `internal` location that has the folder, so that nginx sends large files.",
    ),
    key(
        ROUTE,
        "x-sendfile",
        Kind::Flag,
        Some("false"),
        "true",
        "With `files`, behind Apache or lighttpd that have been told to heed `X-Sendfile`: let them send large files.",
    ),
    key(
        ROUTE,
        "app",
        Kind::Text,
        None,
        "\"app\"",
        "Handler: an app of the program, by its name. The one given to `lodger::run` is `app`. It sees what follows the route's prefix.",
    ),
    key(
        ROUTE,
        "redirect",
        Kind::Text,
        None,
        "\"https://example.org/{path}\"",
        "Handler: send visitors there. `{name}` is a part of `path`, `{path}` the whole path without its first slash, `{query}` the query with its question mark, `{host}` the host.",
    ),
    key(ROUTE, "respond", Kind::Text, None, "\"pong\\n\"", "Handler: this text."),
    key(ROUTE, "respond-file", Kind::Path, None, "\"pages/gone.html\"", "Handler: the text of this file, whatever the path."),
    key(
        ROUTE,
        "respond-template",
        Kind::Path,
        None,
        "\"pages/hello.html\"",
        "Handler: this file, with `{{ path }}`, `{{ query }}`, `{{ host }}`, `{{ scheme }}`, `{{ method }}` and `{{ name }}` for a part of `path` filled in.",
    ),
    key(ROUTE, "status", Kind::Number { min: 200, max: 599 }, None, "404", "With `redirect` (308 when left out) and `respond…` (200): the status."),
    key(
        ROUTE,
        "content-type",
        Kind::Text,
        None,
        "\"text/plain; charset=utf-8\"",
        "With `respond…`: the type. Left out, that of the file's name, or plain text.",
    ),
    key(
        ROUTE,
        "proxy",
        Kind::Text,
        None,
        "\"unix:run/app.sock\"",
        "Handler: an HTTP server at `unix:PATH` or `http://HOST:PORT`. With a path behind it (`http://127.0.0.1:3000/base/`, `unix:run/app.sock:/`), that takes the place of the route's prefix.",
    ),
    key(
        ROUTE,
        "proxy-host",
        Kind::Text,
        None,
        "\"internal.example\"",
        "With `proxy`: what the other server is told as `Host`. Left out, what the visitor asked for.",
    ),
    key(
        ROUTE,
        "websocket",
        Kind::Flag,
        Some("true"),
        "false",
        "With `proxy`: let connections become WebSockets, where the web server passes them on.",
    ),
    key(
        ROUTE,
        "retries",
        Kind::Number { min: 0, max: 10 },
        Some("1"),
        "2",
        "With `proxy`: how often a request without a body that may be sent twice (GET, HEAD, OPTIONS, PUT, DELETE) is tried again when the connection fails.",
    ),
    key(
        ROUTE,
        "fastcgi",
        Kind::Text,
        None,
        "\"unix:/run/php/php-fpm.sock\"",
        "Handler: a FastCGI server such as PHP-FPM, at `unix:PATH` or `HOST:PORT`. Scripts are run; other files in `root` are sent as they are.",
    ),
    key(ROUTE, "root", Kind::Path, None, "\"public\"", "With `fastcgi`: the folder of the scripts and of the files beside them."),
    key(ROUTE, "connect-timeout", within(MS, HOUR), Some("\"5s\""), "\"2s\"", "With `proxy` and `fastcgi`: how long connecting may take."),
    key(
        ROUTE,
        "fail-for",
        within(Duration::ZERO, HOUR),
        Some("\"5s\""),
        "\"10s\"",
        "With `proxy` and `fastcgi`: how long a server that could not be reached is left alone. Visitors see 503 meanwhile.",
    ),
    key(ROUTE, "cgi", Kind::Path, None, "\"cgi-bin/report.cgi\"", "Handler: run this program for each request."),
    secret(key(ROUTE, "env", Kind::Map, None, "{ LANG = \"C.UTF-8\" }", "With `cgi`: variables for the program, which gets none of our own.")),
    key(
        ROUTE,
        "serve",
        Kind::Choice(&["health", "metrics", "status"]),
        None,
        "\"health\"",
        "Handler of lodger's own: `health` says that it works, `metrics` counts for Prometheus, `status` tells about the process. Put `allow` or `auth` before the last two.",
    ),
    // What a request has to pass
    key(
        BOTH,
        "timeout",
        within(MS, HOUR),
        None,
        "\"3s\"",
        "How long a handler may take until its response begins. Left out, `request-timeout`. Visitors see 504.",
    ),
    key(BOTH, "max-body", Kind::Size, None, "\"1MiB\"", "The largest request body. Left out, that of `[server]`. Visitors see 413."),
    key(
        BOTH,
        "max-concurrent",
        Kind::Number { min: 1, max: 100_000 },
        None,
        "20",
        "How many requests may be in work at one time, in one process. Visitors see 503 with `Retry-After`.",
    ),
    key(
        BOTH,
        "rate",
        Kind::Text,
        None,
        "\"10/s\"",
        "How many requests in a second (`/s`), a minute (`/m`), an hour (`/h`) or a day (`/d`), in one process. Visitors see 429 with `Retry-After`.",
    ),
    key(
        BOTH,
        "rate-burst",
        Kind::Number { min: 1, max: 1_000_000 },
        None,
        "20",
        "How many of them may come at once. Left out, as many as `rate` says.",
    ),
    key(BOTH, "rate-per", PER, Some("\"client\""), "\"site\"", "Whether each client counts for itself, by its address, or all together."),
    key(
        BOTH,
        "bandwidth",
        Kind::Text,
        None,
        "\"1MiB/s\"",
        "How many bytes of responses in a second, in one process. Who had more gets 429 with `Retry-After` at the next request.",
    ),
    key(BOTH, "bandwidth-burst", Kind::Size, None, "\"20MiB\"", "How many bytes may go at once. Left out, those of ten seconds."),
    key(BOTH, "bandwidth-per", PER, Some("\"client\""), "\"site\"", "As `rate-per`."),
    key(BOTH, "allow", Kind::Texts, None, "[\"192.0.2.0/24\"]", "Let only these addresses in. Visitors from elsewhere see 403."),
    key(BOTH, "deny", Kind::Texts, None, "[\"192.0.2.66\"]", "Keep these addresses out."),
    // What stands around a handler
    key(
        BOTH,
        "headers",
        Kind::Map,
        None,
        "{ X-Robots-Tag = \"noindex\" }",
        "Response headers; an empty text takes one away. A route adds to those of its site.",
    ),
    key(BOTH, "compress", Kind::Flag, Some("false"), "true", "Compress what is worth it with gzip on the fly. Web servers often do so already."),
    key(
        BOTH,
        "cache",
        Kind::Text,
        None,
        "\"1y\"",
        "`Cache-Control` of responses that have none: a duration, `\"no\"` for never, or the header itself.",
    ),
    key(BOTH, "auth", Kind::One(Table::Auth), None, "", "Who may come in."),
    key(BOTH, "cors", Kind::One(Table::Cors), None, "", "Which scripts of other sites may ask."),
    key(ROUTE, "rewrite", Kind::Text, None, "\"/v2/{*rest}\"", "The path that the handler sees instead, with parts of `path`."),
    key(
        ROUTE,
        "tenants",
        Kind::Texts,
        None,
        "[\"acme\", \"globex\"]",
        "Who `{tenant}` in `path` may be; it reaches the handler as `X-Tenant-ID`. Others see 404.",
    ),
    key(
        AUTH,
        "kind",
        Kind::Choice(&["none", "basic", "session", "bearer"]),
        None,
        "\"basic\"",
        "`basic` asks the browser for a name and a password, `session` has a form and a cookie, `bearer` wants a token, `none` lets everybody in whom the site would ask.",
    ),
    key(
        AUTH,
        "users",
        Kind::Path,
        None,
        "\"../private/users.htpasswd\"",
        "With `basic` and `session`: a file as `htpasswd -B` makes it, above the document root.",
    ),
    key(AUTH, "realm", Kind::Text, Some("\"restricted\""), "\"Members\"", "What the visitor is told that he enters."),
    secret(key(
        AUTH,
        "secret",
        Kind::Text,
        None,
        "\"${file:../private/session-secret}\"",
        "With `session`: what cookies are signed with, 32 characters or more. Left out, one is made and kept in the state directory.",
    )),
    key(
        AUTH,
        "lifetime",
        within(Duration::from_secs(60), YEAR),
        Some("\"7d\""),
        "\"12h\"",
        "With `session`: how long a visitor who does nothing stays logged in.",
    ),
    secret(key(
        AUTH,
        "tokens",
        Kind::Texts,
        None,
        "[\"${file:../private/token}\"]",
        "With `bearer`: the tokens that are let in, 16 characters or more.",
    )),
    key(CORS, "origins", Kind::Texts, None, "[\"https://app.example\"]", "Which origins may ask, or `\"*\"`."),
    key(CORS, "methods", Kind::Texts, Some("[\"GET\", \"HEAD\", \"POST\"]"), "[\"GET\", \"PUT\"]", "With which methods."),
    key(CORS, "headers", Kind::Texts, Some("[]"), "[\"Content-Type\"]", "With which request headers."),
    key(CORS, "expose", Kind::Texts, Some("[]"), "[\"X-Total\"]", "Which response headers they may read."),
    key(CORS, "credentials", Kind::Flag, Some("false"), "true", "Whether with cookies; not with `origins = \"*\"`."),
    key(CORS, "max-age", within(SECOND, Duration::from_secs(86_400)), None, "\"1h\"", "How long browsers keep the permission."),
];

/// What stands behind `404`, `4xx` and `5xx` in `[site.error-pages]`.
pub(crate) const PAGE: Key = key(PAGES, "error page", Kind::Path, None, "\"errors/404.html\"", "The page for a status.");
