//! The handler of a route.

use super::{Resolve, Section, Wanted};
use crate::config::{
    file::{Found, Value},
    keys::{self, Table},
    mistakes,
    model::{Cgi, FastCgi, Files, Handler, Proxy, Redirect, Respond, RespondBody, RoutePath, Upstream},
    path,
};
use http::{HeaderValue, StatusCode};
use std::path::Path;

/// What a redirect may name beside the parameters of its path.
pub(crate) const REDIRECT_NAMES: [&str; 3] = ["path", "query", "host"];

impl Resolve<'_> {
    pub(super) fn handler(&mut self, section: &Section) -> Option<Handler> {
        let mut given: Vec<&Found> = keys::HANDLERS.iter().filter_map(|name| section.found(name)).collect();
        given.sort_by_key(|found| found.span.start);
        let Some((first, others)) = given.split_first() else {
            if !keys::HANDLERS.iter().any(|name| section.refused.contains(name)) {
                self.mistakes.push(mistakes::no_handler(section.span.clone()));
            }
            return None;
        };
        for other in others {
            self.mistakes.push(mistakes::two_handlers(other.span.clone(), first.key.name, other.key.name));
        }
        for (name, with) in keys::BELONGS {
            if let Some(found) = section.found(name).filter(|_| !given.iter().any(|handler| with.contains(&handler.key.name))) {
                self.mistakes.push(mistakes::means_nothing(found.span.clone(), name, with));
            }
        }
        match (first.key.name, &first.value) {
            ("files", Value::Path(root)) => Some(Handler::Files(self.files(section, root, first))),
            ("app", Value::Text(name)) => {
                self.apps.push((name.clone(), first.span.clone()));
                Some(Handler::App(name.clone()))
            }
            ("redirect", Value::Text(to)) => self.redirect(section, to, first).map(Handler::Redirect),
            ("respond", Value::Text(text)) => self.respond(section, RespondBody::Text(text.clone())).map(Handler::Respond),
            ("respond-file", Value::Path(file)) => {
                self.check_path(file, first, Wanted::File);
                self.respond(section, RespondBody::File(file.clone())).map(Handler::Respond)
            }
            ("respond-template", Value::Path(file)) => {
                self.check_path(file, first, Wanted::File);
                let path = self.own_path(section);
                self.check_template(file, first, path.as_ref());
                self.respond(section, RespondBody::Template(file.clone())).map(Handler::Respond)
            }
            ("proxy", Value::Text(to)) => self.proxy(section, to, first).map(Handler::Proxy),
            ("fastcgi", Value::Text(to)) => self.fastcgi(section, to, first).map(Handler::FastCgi),
            ("cgi", Value::Path(program)) => Some(Handler::Cgi(self.cgi(section, program, first))),
            ("serve", Value::Text(what)) => Some(match what.as_str() {
                "metrics" => Handler::Metrics,
                "status" => Handler::Status,
                _ => Handler::Health,
            }),
            _ => None,
        }
    }

    fn files(&mut self, section: &Section, root: &Path, found: &Found) -> Files {
        self.check_path(root, found, Wanted::Any);
        let accel_redirect = section.text("accel-redirect").and_then(|(text, found)| {
            if text.starts_with('/') && text.ends_with('/') { Some(text.to_owned()) } else { self.refuse(found, "begins and ends with a slash") }
        });
        let index = match section.found("index") {
            Some(_) => self.parsed(section, "index", "is no name of a file", |name| is_name(name).then(|| name.to_owned())),
            None => vec!["index.html".to_owned()],
        };
        let fallback = section.text("fallback").and_then(|(text, found)| {
            let below = text.split('/').all(is_name);
            if below { Some(text.to_owned()) } else { self.refuse(found, "is the name of a file below the folder") }
        });
        Files {
            root: root.to_owned(),
            index,
            fallback,
            listing: section.flag("listing"),
            precompressed: section.flag("precompressed"),
            symlinks: section.flag("symlinks"),
            accel_redirect,
            x_sendfile: section.flag("x-sendfile"),
        }
    }

    fn redirect(&mut self, section: &Section, to: &str, found: &Found) -> Option<Redirect> {
        let path = self.own_path(section);
        self.check_names(to, found.span.clone(), path.as_ref(), &REDIRECT_NAMES);
        let begins = to.starts_with('/') && !to.starts_with("//") || to.starts_with("https://") || to.starts_with("http://");
        // What is filled in is encoded, the rest has to be a header already.
        let host = to.split_once("://").map_or("-", |(_, rest)| rest);
        if !begins || host.is_empty() || host.starts_with(['/', '?', '#']) || HeaderValue::from_str(to).is_err() || to.contains(' ') {
            let why = "is a path from the first slash on, or an address with its scheme";
            let is_page = [".html", ".htm", ".php"].iter().any(|end| to.ends_with(end));
            let is_host = host == "-" && to.contains('.') && !is_page && crate::config::host::of_person(to).is_some();
            return self.refuse_with(found, why, is_host.then(|| format!("did you mean `https://{to}/{{path}}`?")));
        }
        self.check_fillings(to, found);
        let status = match section.number("status") {
            None => StatusCode::PERMANENT_REDIRECT,
            Some(status) => match section.found("status") {
                Some(found) if !matches!(status, 301 | 302 | 303 | 307 | 308) => {
                    let hint = "leave it out for 308, which browsers remember; 307 is for now alone";
                    self.mistakes.push(mistakes::conflict(found.span.clone(), "`status` of a redirect is 301, 302, 303, 307 or 308", hint));
                    return None;
                }
                _ => StatusCode::from_u16(u16::try_from(status).ok()?).ok()?,
            },
        };
        // With methods or a header of its own, another route may answer the second time.
        let always = section.found("methods").is_none() && section.found("header").is_none();
        if always && path.is_some_and(|path| [path.pattern.as_str(), "/{path}", "/{path}{query}"].contains(&to)) {
            self.mistakes.push(mistakes::conflict(
                found.span.clone(),
                "the route sends visitors to itself",
                "name another path, or a host before it",
            ));
        }
        Some(Redirect { to: to.to_owned(), status })
    }

    fn respond(&mut self, section: &Section, body: RespondBody) -> Option<Respond> {
        let status = section.number("status").and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
        let content_type = section.text("content-type").and_then(|(text, found)| match HeaderValue::from_str(text) {
            Ok(value) if text.contains('/') => Some(value),
            _ => self.refuse(found, "is a type such as \"text/html; charset=utf-8\""),
        });
        Some(Respond { body, status: status.unwrap_or(StatusCode::OK), content_type })
    }

    fn proxy(&mut self, section: &Section, to: &str, found: &Found) -> Option<Proxy> {
        let Some((upstream, path)) = http_upstream(to, self.folder) else {
            let why = match to {
                to if to.starts_with("https://") => "speaks plain HTTP to a server on this machine; TLS is none of its business",
                _ => "is \"unix:PATH\" or \"http://HOST:PORT\"",
            };
            return self.refuse_with(found, why, before(to, "http://"));
        };
        let host = section.text("proxy-host").and_then(|(text, found)| match HeaderValue::from_str(text) {
            Ok(value) if text.parse::<http::uri::Authority>().is_ok() => Some(value),
            _ => self.refuse(found, "is a host"),
        });
        Some(Proxy {
            upstream,
            path,
            host,
            connect_timeout: section.duration_or_default("connect-timeout"),
            retries: section.number("retries").and_then(|number| u32::try_from(number).ok()).unwrap_or(1),
            fail_for: section.duration_or_default("fail-for"),
            websocket: section.flag("websocket"),
        })
    }

    fn fastcgi(&mut self, section: &Section, to: &str, found: &Found) -> Option<FastCgi> {
        let upstream = match to.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Some(Upstream::Unix(self.folder.join(path))),
            Some(_) => None,
            None => tcp(to, None),
        };
        let Some((root, root_found)) = section.path("root") else {
            self.missing(section, Table::Route, "root");
            return None;
        };
        self.check_path(root, root_found, Wanted::Folder);
        let index = section.texts("index").first().map_or("index.php", |(name, _)| name.as_str());
        let Some(upstream) = upstream else {
            return self.refuse_with(found, "is \"unix:PATH\" or \"HOST:PORT\"", before(to, ""));
        };
        if let Some(found) = section.found("index").filter(|_| section.texts("index").len() != 1 || !is_name(index)) {
            let hint = "for example: index = \"index.php\"";
            self.mistakes.push(mistakes::conflict(found.span.clone(), "`index` beside `fastcgi` is the name of one script", hint));
        }
        Some(FastCgi {
            upstream,
            root: root.clone(),
            index: index.to_owned(),
            connect_timeout: section.duration_or_default("connect-timeout"),
            fail_for: section.duration_or_default("fail-for"),
        })
    }

    fn cgi(&mut self, section: &Section, program: &Path, found: &Found) -> Cgi {
        self.check_path(program, found, Wanted::File);
        let mut env = Vec::new();
        if let Some((found, Value::Map(pairs))) = section.found("env").map(|found| (found, &found.value)) {
            for (name, name_span, value, value_span) in pairs {
                if name.is_empty() || name.contains(['=', '\0']) {
                    self.mistakes.push(mistakes::wrong_value(name_span.clone(), found.key, "holds a name that no variable can have"));
                } else if value.contains('\0') {
                    self.mistakes.push(mistakes::wrong_value(value_span.clone(), found.key, "holds a NUL byte"));
                } else {
                    env.push((name.clone(), value.clone()));
                }
            }
        }
        Cgi { program: program.to_owned(), env }
    }

    /// The path of the route, whose own mistakes were told already.
    fn own_path(&self, section: &Section) -> Option<RoutePath> {
        let pattern = path::of_pattern(section.text("path")?.0).ok()?;
        Some(RoutePath { prefix: false, pattern })
    }
}

/// What an address lacks at its beginning: that of a socket, or `scheme` of a host with a port.
fn before(to: &str, scheme: &str) -> Option<String> {
    match to {
        to if to.starts_with('/') || to.starts_with("../") => Some(format!("put `unix:` before it: \"unix:{to}\"")),
        to if !scheme.is_empty() && !to.contains("://") && tcp(to, None).is_some() => Some(format!("put `{scheme}` before it: \"{scheme}{to}\"")),
        to => to
            .strip_prefix("http://")
            .filter(|rest| scheme.is_empty() && tcp(rest, None).is_some())
            .map(|rest| format!("leave `http://` out: \"{rest}\"")),
    }
}

/// Whether a text is the name of one file, and none that is hidden.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.contains(['/', '\0', '\\'])
}

/// `unix:PATH`, `unix:PATH:/base/`, `http://HOST:PORT` and `http://HOST:PORT/base/`.
fn http_upstream(to: &str, folder: &Path) -> Option<(Upstream, Option<String>)> {
    if let Some(unix) = to.strip_prefix("unix:") {
        let (socket, path) = unix.split_once(":/").map_or((unix, None), |(socket, path)| (socket, Some(format!("/{path}"))));
        return (!socket.is_empty()).then(|| (Upstream::Unix(folder.join(socket)), path));
    }
    let rest = to.strip_prefix("http://")?;
    let (authority, path) = rest.find('/').map_or((rest, None), |slash| (&rest[..slash], Some(rest[slash..].to_owned())));
    let path = match path {
        Some(path) if path.contains(['?', '#']) => return None,
        path => path,
    };
    Some((tcp(authority, Some(80))?, path))
}

fn tcp(authority: &str, default_port: Option<u16>) -> Option<Upstream> {
    let authority: http::uri::Authority = authority.parse().ok()?;
    // A port that cannot be one has to be told from one that is left out.
    let has_port = authority.as_str().rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let port = if has_port { authority.port_u16().filter(|port| *port > 0) } else { default_port }?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty() && !authority.as_str().contains('@')).then(|| Upstream::Tcp { host: host.to_owned(), port })
}
