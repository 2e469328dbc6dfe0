//! What stands around a handler.

use super::{
    Resolve, Section, Wanted,
    site::{NO_METHOD, method},
};
use crate::config::{
    file::{Found, Value},
    keys::Table,
    mistakes,
    model::{Auth, Cors, Layers, NOT_OURS},
    secret::Secret,
};
use http::{HeaderName, HeaderValue, Method};
use std::sync::Arc;

/// A secret shorter than this could be found by trying, in bytes.
const SHORTEST_SECRET: usize = 32;

/// The same for a token, which is tried over the network.
const SHORTEST_TOKEN: usize = 16;

impl Resolve<'_> {
    /// The layers that a section names, with those of `around` where it is silent.
    pub(super) fn layers(&mut self, section: &Section, around: Option<&Layers>) -> Layers {
        let inherited = around.cloned().unwrap_or_default();
        let auth = match section.one("auth") {
            Some(auth) => self.auth(auth),
            None => inherited.auth,
        };
        let cors = match section.one("cors") {
            Some(cors) => self.cors(cors),
            None => inherited.cors,
        };
        let mut headers = inherited.headers;
        headers.extend(self.headers(section));
        let compress = if section.found("compress").is_some() { section.flag("compress") } else { inherited.compress };
        let cache = match section.text("cache") {
            Some((text, found)) => self.cache(text, found),
            None => inherited.cache,
        };
        Layers { auth, cors, headers, compress, cache, rewrite: None, tenants: None }
    }

    fn headers(&mut self, section: &Section) -> Vec<(HeaderName, Option<HeaderValue>)> {
        let Some((found, Value::Map(pairs))) = section.found("headers").map(|found| (found, &found.value)) else { return Vec::new() };
        let mut headers = Vec::new();
        for (name, name_span, value, value_span) in pairs {
            let parsed = name.parse::<HeaderName>().ok().filter(|name| !NOT_OURS.contains(&name.as_str()));
            let Some(parsed) = parsed else {
                self.mistakes.push(mistakes::wrong_value(
                    name_span.clone(),
                    found.key,
                    &format!("holds `{name}`, which is no header that may be set"),
                ));
                continue;
            };
            match HeaderValue::from_str(value) {
                Ok(value) => headers.push((parsed, Some(value).filter(|value| !value.is_empty()))),
                Err(_) => self.mistakes.push(mistakes::wrong_value(
                    value_span.clone(),
                    found.key,
                    "holds a value with a line break or another control character",
                )),
            }
        }
        headers
    }

    fn cache(&mut self, text: &str, found: &Found) -> Option<HeaderValue> {
        if text == "no" {
            return Some(HeaderValue::from_static("no-store"));
        }
        if let Ok(age) = humantime::parse_duration(text) {
            return HeaderValue::from_str(&format!("public, max-age={}", age.as_secs())).ok();
        }
        // These stand without anything behind them; other words are more likely mistakes than directives to come.
        let is_known = matches!(text, "public" | "private" | "immutable");
        // A directive has letters alone before its `=`.
        let is_directive = |part: &str| {
            part.trim().split('=').next().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') && !name.is_empty())
        };
        match HeaderValue::from_str(text) {
            Ok(value) if text.split(',').all(is_directive) && (is_known || text.contains(['=', '-', ','])) => Some(value),
            _ => self.refuse(found, "is a duration, \"no\", or the value of `Cache-Control`"),
        }
    }

    /// Notes pages behind a log-in that shared caches are told to keep. `around` is the site of a route; what it says of itself is told once, there.
    pub(super) fn check_shared_cache(&mut self, section: &Section, around: &Section) {
        let auth = section.one("auth").or(around.one("auth"));
        let is_locked = auth.and_then(|auth| auth.text("kind")).is_some_and(|(kind, _)| kind != "none");
        let Some((text, _)) = section.text("cache").or(around.text("cache")).filter(|_| is_locked) else { return };
        let own = section.found("cache").map(|found| &found.span).or(section.one("auth").map(|auth| &auth.span));
        let is_shared = |part: &str| matches!(part.trim().split('=').next(), Some(name) if ["public", "s-maxage"].iter().any(|known| name.eq_ignore_ascii_case(known)));
        if let Some(span) = own.filter(|_| text.split(',').any(is_shared)) {
            let hint = "say `private` there: cache = \"private, max-age=3600\"";
            self.mistakes.push(mistakes::conflict(span.clone(), "`cache` lets shared caches keep pages that are behind a log-in", hint).warning());
        }
    }

    fn auth(&mut self, section: &Section) -> Option<Arc<Auth>> {
        let Some((kind, kind_found)) = section.text("kind") else {
            self.missing(section, Table::Auth, "kind");
            return None;
        };
        let fits: &[(&str, &[&str])] =
            &[("users", &["basic", "session"]), ("secret", &["session"]), ("lifetime", &["session"]), ("tokens", &["bearer"])];
        for (name, kinds) in fits {
            if let Some(found) = section.found(name).filter(|_| !kinds.contains(&kind)) {
                let hint = format!("it belongs to `kind = \"{}\"`; this one is \"{kind}\"", kinds[0]);
                self.mistakes.push(mistakes::conflict(found.span.clone(), format!("`{name}` means nothing here"), hint));
            }
        }
        let realm = section.text_or_default("realm");
        if let Some((_, found)) = section.text("realm").filter(|(text, _)| text.chars().any(char::is_control)) {
            self.mistakes.push(mistakes::wrong_value(found.span.clone(), found.key, "holds a control character"));
        }
        let auth = match kind {
            "basic" => Auth::Basic { users: self.users(section)?, realm },
            "session" => {
                Auth::Session { users: self.users(section)?, realm, secret: self.secret(section), lifetime: section.duration_or_default("lifetime") }
            }
            "bearer" => Auth::Bearer { tokens: self.tokens(section, kind_found)?, realm },
            _ => return None,
        };
        Some(Arc::new(auth))
    }

    fn users(&mut self, section: &Section) -> Option<std::path::PathBuf> {
        let Some((path, found)) = section.path("users") else {
            self.missing(section, Table::Auth, "users");
            return None;
        };
        self.check_path(path, found, Wanted::File);
        self.users.push((found.span.clone(), path.clone()));
        Some(path.clone())
    }

    fn secret(&mut self, section: &Section) -> Option<Secret> {
        let (text, found) = section.text("secret")?;
        if text.len() < SHORTEST_SECRET {
            return self.refuse(found, &format!("has {} bytes, and fewer than {SHORTEST_SECRET} could be guessed", text.len()));
        }
        Some(Secret::new(text))
    }

    fn tokens(&mut self, section: &Section, kind: &Found) -> Option<Vec<Secret>> {
        let tokens = section.texts("tokens");
        if tokens.is_empty() && !section.refused.contains(&"tokens") {
            self.mistakes.push(mistakes::missing(kind.span.clone(), Table::Auth, section.in_route, "tokens"));
        }
        if tokens.is_empty() {
            return None;
        }
        for (token, span) in tokens {
            if let Some(found) = section.found("tokens").filter(|_| token.len() < SHORTEST_TOKEN) {
                let why = format!("holds a token of {} bytes, and fewer than {SHORTEST_TOKEN} could be guessed", token.len());
                self.mistakes.push(mistakes::wrong_value(span.clone(), found.key, &why));
            }
        }
        Some(tokens.iter().map(|(token, _)| Secret::new(token)).collect())
    }

    fn cors(&mut self, section: &Section) -> Option<Arc<Cors>> {
        let Some(found) = section.found("origins") else {
            self.missing(section, Table::Cors, "origins");
            return None;
        };
        self.not_empty(section, "origins", "name the origins, or take the table away");
        let mut origins = Vec::new();
        for (origin, span) in section.texts("origins") {
            if origin == "*" || is_origin(origin) {
                origins.push(origin.clone());
            } else {
                self.mistakes.push(mistakes::wrong_value(
                    span.clone(),
                    found.key,
                    &format!("holds `{origin}`, which is no origin: a scheme and a host, nothing behind it"),
                ));
            }
        }
        let credentials = section.flag("credentials");
        if let Some(flag) = section.found("credentials").filter(|_| credentials && origins.iter().any(|origin| origin == "*")) {
            let hint = "list the origins; browsers refuse cookies for `*`";
            self.mistakes.push(mistakes::conflict(flag.span.clone(), "`credentials` cannot stand beside `origins = \"*\"`", hint));
        }
        let methods = self.parsed(section, "methods", NO_METHOD, method);
        let usual = || vec![Method::GET, Method::HEAD, Method::POST];
        Some(Arc::new(Cors {
            origins,
            methods: if section.found("methods").is_some() { methods } else { usual() },
            headers: self.parsed(section, "headers", "is no header", |text| text.parse::<HeaderName>().ok()),
            expose: self.parsed(section, "expose", "is no header", |text| text.parse::<HeaderName>().ok()),
            credentials,
            max_age: section.duration("max-age"),
        }))
    }

    /// Refuses a list without anything in it, which would let nothing through or, worse, everything.
    pub(super) fn not_empty(&mut self, section: &Section, name: &str, hint: &str) {
        if let Some(found) = section.found(name).filter(|_| section.texts(name).is_empty()) {
            self.mistakes.push(mistakes::empty_list(found.span.clone(), found.key, hint));
        }
    }

    /// The texts of a list, each as what it has to be.
    pub(super) fn parsed<T>(&mut self, section: &Section, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let Some(key) = section.found(name).map(|found| found.key) else { return Vec::new() };
        let mut list = Vec::new();
        for (text, span) in section.texts(name) {
            match parse(text) {
                Some(value) => list.push(value),
                None => self.mistakes.push(mistakes::wrong_value(span.clone(), key, &format!("holds `{text}`, which {what}"))),
            }
        }
        list
    }
}

/// RFC 6454, 6.2: a scheme, `://` and a host with or without a port.
fn is_origin(text: &str) -> bool {
    let parsed = text.parse::<http::Uri>().ok();
    let whole = |uri: &http::Uri| uri.scheme().zip(uri.authority()).is_some_and(|(scheme, authority)| format!("{scheme}://{authority}") == text);
    parsed.as_ref().is_some_and(whole)
}
