//! A site and its routes.

use super::{Resolve, Section, Wanted};
use crate::config::{
    file::Value,
    host,
    keys::Table,
    mistakes,
    model::{ErrorPages, HeaderMatch, Policy, Route, RoutePath, Site},
    path,
};
use crate::diagnostic::Mistake;
use http::{HeaderName, HeaderValue, Method};
use std::{collections::HashMap, ops::Range};

impl Resolve<'_> {
    pub(super) fn site(&mut self, section: &Section, only_one: bool) -> Site {
        let hosts = self.hosts(section);
        // One that was written wrongly is no reason to answer for all the others.
        let default = section.flag("default") || section.found("hosts").is_none() && !section.refused.contains(&"hosts");
        if !section.flag("default") {
            self.not_empty(section, "hosts", "leave it out for a site that answers for every host that no other has");
        }
        if section.found("hosts").is_none() && !only_one && !section.flag("default") && section.found("name").is_none() {
            self.without_hosts(section);
        }
        self.check_switches(section, &hosts);
        let policy = self.policy(section);
        let layers = self.layers(section, None);
        self.check_shared_cache(section, section);
        let mut routes = Vec::new();
        let mut places = Vec::new();
        for route in section.many("route") {
            self.check_shared_cache(route, section);
            if let Some(resolved) = self.route(route, &policy, &layers) {
                routes.push(resolved);
                places.push(route.found("path").map_or_else(|| route.span.clone(), |found| found.span.clone()));
            }
        }
        self.check_routes(&routes, &places);
        if let Some((_, found)) = section.text("name").filter(|(name, _)| name.is_empty() || name.chars().any(char::is_control)) {
            self.mistakes.push(mistakes::wrong_value(found.span.clone(), found.key, "is empty or holds a control character"));
        }
        let name = section.text("name").map(|(name, _)| name.to_owned()).or_else(|| hosts.first().cloned());
        Site {
            name: name.unwrap_or_else(|| "default".to_owned()).into(),
            hosts,
            default,
            canonical_host: section.flag("canonical-host"),
            https_redirect: section.text("https").is_some_and(|(text, _)| text == "redirect"),
            hsts: hsts(section),
            security_headers: section.flag("security-headers"),
            log_requests: section.flag("log-requests"),
            maintenance: section.path("maintenance").map(|(path, _)| path.clone()),
            error_pages: section.one("error-pages").map(|pages| self.error_pages(pages)).unwrap_or_default(),
            default_policy: Policy { timeout: policy.timeout, max_body: policy.max_body.or(self.max_body), ..Policy::default() },
            // These two are handed down to the routes.
            policy: Policy { timeout: None, max_body: None, ..policy },
            layers,
            routes,
        }
    }

    fn hosts(&mut self, section: &Section) -> Vec<String> {
        let mut hosts = Vec::new();
        for (text, span) in section.texts("hosts") {
            match host::of_person(text) {
                Some(host) if hosts.contains(&host) => self.mistakes.push(mistakes::host_twice_in_list(span.clone(), &host)),
                Some(host) => hosts.push(host),
                None => self.mistakes.push(mistakes::no_host(span.clone(), text)),
            }
        }
        hosts
    }

    /// Beside other sites, one without hosts is more often a slip than meant.
    fn without_hosts(&mut self, section: &Section) {
        if !section.refused.contains(&"hosts") {
            let hint = "name its hosts, or say `default = true` for all hosts that no other site has";
            self.mistakes.push(Mistake { hint: hint.to_owned(), ..mistakes::missing(section.span.clone(), Table::Site, false, "hosts") });
        }
    }

    /// Switches that need something else to be there.
    fn check_switches(&mut self, section: &Section, hosts: &[String]) {
        let canonical = hosts.first().is_some_and(|host| !host.starts_with("*."));
        if let Some(found) = section.found("canonical-host").filter(|_| section.flag("canonical-host") && !canonical) {
            let hint = "put the host that visitors are sent to first";
            self.mistakes.push(mistakes::conflict(found.span.clone(), "`canonical-host` needs `hosts` whose first is no wildcard", hint));
        }
        if let Some(found) = section.found("hsts-subdomains").filter(|_| section.found("hsts").is_none()) {
            self.mistakes.push(mistakes::conflict(found.span.clone(), "`hsts-subdomains` means nothing without `hsts`", "add `hsts = \"1y\"`"));
        }
    }

    fn error_pages(&mut self, section: &Section) -> ErrorPages {
        let mut pages = ErrorPages { replace: section.flag("replace"), ..ErrorPages::default() };
        for (status, found) in &section.pages {
            let Value::Path(path) = &found.value else { continue };
            self.check_path(path, found, Wanted::File);
            match status.as_str() {
                "4xx" => pages.client = Some(path.clone()),
                "5xx" => pages.server = Some(path.clone()),
                status => {
                    if let Ok(status) = status.parse() {
                        pages.by_status.insert(status, path.clone());
                    }
                }
            }
        }
        pages
    }

    fn route(&mut self, section: &Section, site: &Policy, around: &crate::config::model::Layers) -> Option<Route> {
        let path = self.route_path(section);
        self.not_empty(section, "methods", "leave it out for all methods");
        let methods = self.parsed(section, "methods", NO_METHOD, method);
        let header = section.text("header").and_then(|(text, found)| match header_match(text) {
            Some(header) => Some(header),
            None => self.refuse(found, "is the name of a header, or its name, a colon and its value"),
        });
        let handler = self.handler(section);
        self.check_slips(section);
        let own = self.policy(section);
        let policy = Policy { timeout: own.timeout.or(site.timeout), max_body: own.max_body.or(site.max_body).or(self.max_body), ..own };
        let mut layers = self.layers(section, Some(around));
        layers.rewrite = self.rewrite(section, path.as_ref());
        layers.tenants = self.tenants(section, path.as_ref());
        Some(Route { path: path?, methods, header, handler: handler?, policy, layers })
    }

    fn route_path(&mut self, section: &Section) -> Option<RoutePath> {
        let Some((text, found)) = section.text("path") else {
            self.missing(section, Table::Route, "path");
            return None;
        };
        match path::of_pattern(text) {
            Ok(pattern) => Some(RoutePath { prefix: pattern.ends_with('/') || pattern.contains("{*"), pattern }),
            Err(_) if text.starts_with('^') => {
                let mistake = mistakes::wrong_value(found.span.clone(), found.key, "does not begin with a slash");
                self.mistakes.push(Mistake { hint: "a path is no regular expression: leave `^` and `$` out".to_owned(), ..mistake });
                None
            }
            Err(why) => self.refuse(found, why),
        }
    }

    fn rewrite(&mut self, section: &Section, path: Option<&RoutePath>) -> Option<String> {
        let (text, found) = section.text("rewrite")?;
        match path::of_pattern(text) {
            Ok(pattern) => {
                self.check_names(&pattern, found.span.clone(), path, &[]);
                Some(pattern)
            }
            Err(why) => self.refuse(found, why),
        }
    }

    fn tenants(&mut self, section: &Section, path: Option<&RoutePath>) -> Option<std::sync::Arc<[String]>> {
        let found = section.found("tenants")?;
        if path.is_some_and(|path| !parameters(&path.pattern).any(|name| name == "tenant")) {
            let hint = "write the path as \"/app/{tenant}/{*rest}\"";
            self.mistakes.push(mistakes::conflict(found.span.clone(), "`tenants` needs `{tenant}` in `path`", hint));
        }
        self.not_empty(section, "tenants", "name the tenants, or take it away where everybody may be one");
        let is_tenant = |name: &str| !name.is_empty() && !name.contains('/') && HeaderValue::from_str(name).is_ok();
        let what = "can be no tenant: a tenant is one segment of a path and a value of a header";
        Some(self.parsed(section, "tenants", what, |name| is_tenant(name).then(|| name.to_owned())).into())
    }

    /// Names in braces have to be parameters of the path, or among `others`.
    pub(super) fn check_names(&mut self, text: &str, span: Range<usize>, path: Option<&RoutePath>, others: &[&str]) {
        let Some(path) = path else { return };
        if text.matches('{').count() != text.matches('}').count() {
            self.mistakes.push(mistakes::conflict(span.clone(), "a brace has no counterpart", "names stand in a pair of braces: `{path}`"));
        }
        for name in parameters(text) {
            if !others.contains(&name) && !parameters(&path.pattern).any(|known| known == name) {
                let all: Vec<String> = parameters(&path.pattern).chain(others.iter().copied()).map(|name| format!("`{{{name}}}`")).collect();
                let hint = if all.is_empty() { "`path` has no parameter".to_owned() } else { format!("there is {}", all.join(", ")) };
                self.mistakes.push(mistakes::conflict(span.clone(), format!("`{{{name}}}` is no part of `path`"), hint));
            }
        }
    }

    /// Notes a route that is never asked. It keeps nothing from being served.
    fn hidden(&mut self, place: &Range<usize>, sentence: &str) {
        let hint = "take one away, or give them different `methods` or a different `header`";
        self.mistakes.push(mistakes::routes(place.clone(), sentence, hint).warning());
    }

    /// No route may hide another, and none may be mistaken for another.
    fn check_routes(&mut self, routes: &[Route], places: &[Range<usize>]) {
        let mut at_place: HashMap<String, (&str, Vec<&Route>)> = HashMap::new();
        for (route, place) in routes.iter().zip(places) {
            let pattern = route.path.pattern.as_str();
            let (first, before) = at_place.entry(place_of(pattern)).or_insert((pattern, Vec::new()));
            if *first != pattern {
                let sentence = format!("`{pattern}` cannot be told from `{first}`");
                self.mistakes.push(mistakes::routes(place.clone(), sentence, "give parameters at the same place the same name"));
            } else if let Some(hiding) = before.iter().find(|other| hides(other, route)) {
                let how = if hiding.methods.is_empty() { "every request" } else { "the same requests" };
                self.hidden(place, &format!("a route before this one answers {how} for `{pattern}`"));
            } else if are_hiding(before, route) {
                self.hidden(place, &format!("routes before this one answer the same requests for `{pattern}` together"));
            }
            before.push(route);
        }
    }
}

/// A pattern without the names of its parameters: what two routes have in common that are at the same place.
fn place_of(pattern: &str) -> String {
    let name_of = |segment: &str| match segment {
        segment if segment.starts_with("{*") => "{*}".to_owned(),
        segment if segment.starts_with('{') => "{}".to_owned(),
        segment => segment.to_owned(),
    };
    pattern.split('/').map(name_of).collect::<Vec<_>>().join("/")
}

/// Whether each method of a route is answered by one of those before it.
fn are_hiding(before: &[&Route], route: &Route) -> bool {
    let is_answered = |method: &Method| before.iter().any(|other| (other.methods.is_empty() || takes(other, method)) && covers(other, route));
    !route.methods.is_empty() && route.methods.iter().all(is_answered)
}

/// Whether `first` answers everything that `second` would.
fn hides(first: &Route, second: &Route) -> bool {
    let methods = first.methods.is_empty() || !second.methods.is_empty() && second.methods.iter().all(|method| takes(first, method));
    methods && covers(first, second)
}

/// Whether `first` takes whatever headers `second` does.
fn covers(first: &Route, second: &Route) -> bool {
    match (&first.header, &second.header) {
        (None, _) => true,
        (Some(first), Some(second)) => first.name == second.name && (first.value.is_none() || first.value == second.value),
        (Some(_), None) => false,
    }
}

/// Whether a route takes a method; `GET` stands for `HEAD` too.
fn takes(route: &Route, method: &Method) -> bool {
    route.methods.contains(method) || *method == Method::HEAD && route.methods.contains(&Method::GET)
}

/// What a text is that is no method.
pub(super) const NO_METHOD: &str = "is no method in capital letters";

/// A method as it is written by everybody. Methods in small letters would be others (RFC 9110, 9.1), which nobody sends.
pub(super) fn method(text: &str) -> Option<Method> {
    text.parse().ok().filter(|_| !text.bytes().any(|byte| byte.is_ascii_lowercase()))
}

/// The names in braces of a text.
pub(super) fn parameters(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.strip_prefix('*').unwrap_or(name))
}

fn header_match(text: &str) -> Option<HeaderMatch> {
    let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value.trim())));
    let value = value.map(HeaderValue::from_str).transpose().ok()?;
    Some(HeaderMatch { name: name.trim().parse::<HeaderName>().ok()?, value })
}

fn hsts(section: &Section) -> Option<HeaderValue> {
    let age = section.duration("hsts")?.as_secs();
    let below = if section.flag("hsts-subdomains") { "; includeSubDomains" } else { "" };
    HeaderValue::from_str(&format!("max-age={age}{below}")).ok()
}
