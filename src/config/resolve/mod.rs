//! What the values of a file mean together. Every mistake is collected, none ends the search.

mod exposed;
mod handler;
mod layers;
mod policy;
mod site;
mod slips;
mod template;

use super::{
    address::Network,
    file::{Found, Section, Value},
    keys::{self, Table},
    mistakes,
    model::{Policy, Server, Site},
};
use crate::{diagnostic::Mistake, profile::Profile};
use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What a file means.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) server: Server,
    pub(super) sites: Vec<Arc<Site>>,
    /// The apps that routes name, with their places.
    pub(super) apps: Vec<(String, Range<usize>)>,
    pub(super) mistakes: Vec<Mistake>,
}

/// Finds out what a file means. `folder` is its own, `filled` are the files whose text stands in it.
pub(super) fn resolve(root: &Section, folder: &Path, filled: &[(Range<usize>, PathBuf)]) -> Resolved {
    let mut resolve = Resolve { folder, mistakes: Vec::new(), apps: Vec::new(), users: Vec::new(), max_body: None, request_timeout: Duration::ZERO };
    let nothing = Section::default();
    let server = resolve.server(root.one("server").unwrap_or(&nothing));
    let sites = resolve.sites(root.many("site"));
    resolve.check_exposed(&sites, filled);
    Resolved { server, sites, apps: resolve.apps, mistakes: resolve.mistakes }
}

struct Resolve<'a> {
    folder: &'a Path,
    mistakes: Vec<Mistake>,
    apps: Vec<(String, Range<usize>)>,
    /// Files with users, with their places.
    users: Vec<(Range<usize>, PathBuf)>,
    /// These of `[server]`, for routes that have none.
    max_body: Option<u64>,
    request_timeout: Duration,
}

impl Section {
    fn one(&self, name: &str) -> Option<&Self> {
        self.many(name).first()
    }

    fn many(&self, name: &str) -> &[Self] {
        self.tables.get(name).map_or(&[], Vec::as_slice)
    }

    fn found(&self, name: &str) -> Option<&Found> {
        self.values.get(name)
    }

    fn text(&self, name: &str) -> Option<(&str, &Found)> {
        self.found(name).and_then(|found| match &found.value {
            Value::Text(text) => Some((text.as_str(), found)),
            _ => None,
        })
    }

    fn texts(&self, name: &str) -> &[(String, Range<usize>)] {
        match self.found(name).map(|found| &found.value) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    fn path(&self, name: &str) -> Option<(&PathBuf, &Found)> {
        self.found(name).and_then(|found| match &found.value {
            Value::Path(path) => Some((path, found)),
            _ => None,
        })
    }

    fn flag(&self, name: &str) -> bool {
        match self.found(name).map(|found| &found.value) {
            Some(Value::Flag(flag)) => *flag,
            _ => default_of(name) == Some("true"),
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.found(name).map(|found| &found.value) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    fn size(&self, name: &str) -> Option<u64> {
        match self.found(name).map(|found| &found.value) {
            Some(Value::Size(size)) => Some(*size),
            _ => None,
        }
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        match self.found(name).map(|found| &found.value) {
            Some(Value::Duration(duration)) => Some(*duration),
            _ => None,
        }
    }

    /// The value, or the default of the table of keys.
    fn duration_or_default(&self, name: &str) -> Duration {
        let default = || humantime::parse_duration(default_of(name).unwrap_or_default().trim_matches('"')).ok();
        self.duration(name).or_else(default).unwrap_or_default()
    }

    fn text_or_default(&self, name: &str) -> String {
        self.text(name).map_or_else(|| default_of(name).unwrap_or_default().trim_matches('"').to_owned(), |(text, _)| text.to_owned())
    }
}

/// The default of a key, as it is written. A name has one default wherever it stands.
fn default_of(name: &str) -> Option<&'static str> {
    keys::KEYS.iter().find(|key| key.name == name).and_then(|key| key.default)
}

impl Resolve<'_> {
    fn server(&mut self, section: &Section) -> Server {
        self.max_body = section.size("max-body");
        self.request_timeout = section.duration_or_default("request-timeout");
        let web_server = section.text("web-server").and_then(|(name, found)| {
            if Profile::named(name).is_none() {
                let known: Vec<&str> = Profile::names().collect();
                self.mistakes.push(mistakes::wrong_choice(found.span.clone(), found.key, name, &known));
                return None;
            }
            Some(name.to_owned())
        });
        let log = section.text("log").and_then(|(text, found)| {
            self.check_levels(text, found)?;
            if text.parse::<tracing_subscriber::filter::Targets>().is_err() {
                self.mistakes.push(mistakes::wrong_value(found.span.clone(), found.key, "is a level, or levels by target"));
                return None;
            }
            Some(text.to_owned())
        });
        if let Some((path, found)) = section.path("state-dir").filter(|(path, _)| path.exists()) {
            self.check_path(path, found, Wanted::Folder);
        }
        let count = |name| section.number(name).and_then(|number| usize::try_from(number).ok());
        Server {
            request_timeout: section.duration("request-timeout"),
            write_timeout: section.duration("write-timeout"),
            idle_timeout: section.duration("idle-timeout"),
            drain_timeout: section.duration("drain-timeout"),
            max_requests: count("max-requests"),
            threads: count("threads"),
            web_server,
            log,
            state_dir: section.path("state-dir").map(|(path, _)| path.clone()),
            trusted_proxies: self.networks(section, "trusted-proxies"),
            strict_sni: section.flag("strict-sni"),
        }
    }

    fn networks(&mut self, section: &Section, name: &str) -> Vec<Network> {
        let Some(key) = section.found(name).map(|found| found.key) else { return Vec::new() };
        let mut networks = Vec::new();
        for (text, span) in section.texts(name) {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(()) => {
                    let why = format!("holds `{text}`, which is no address and no network");
                    self.mistakes.push(mistakes::wrong_value(span.clone(), key, &why));
                }
            }
        }
        networks
    }

    fn sites(&mut self, sections: &[Section]) -> Vec<Arc<Site>> {
        let only_one = sections.len() == 1;
        let mut sites: Vec<Site> = sections.iter().map(|section| self.site(section, only_one)).collect();
        if sections.is_empty() {
            // A file that only says something about the process leaves the app where it is.
            sites.push(self.site(&Section::default(), true));
        }
        self.fill_timeouts(&mut sites);
        self.check_hosts(sections, &sites);
        sites.into_iter().map(Arc::new).collect()
    }

    /// Gives routes that say nothing the usual time: all of them where one may take longer than the process allows to others, and those of a site with a page of its own for who waited
    /// too long, which the tree alone knows.
    fn fill_timeouts(&self, sites: &mut [Site]) {
        let usual = self.request_timeout;
        let takes_longer = |policy: &Policy| policy.timeout.is_some_and(|timeout| timeout > usual);
        let any_longer = sites.iter().any(|site| site.routes.iter().map(|route| &route.policy).chain([&site.default_policy]).any(takes_longer));
        for site in sites {
            let has_page = site.error_pages.server.is_some() || site.error_pages.by_status.contains_key(&GATEWAY_TIMEOUT);
            if any_longer || has_page {
                for policy in site.routes.iter_mut().map(|route| &mut route.policy).chain([&mut site.default_policy]) {
                    policy.timeout.get_or_insert(usual);
                }
            }
        }
    }

    /// One host has one site, and at most one site has all others.
    fn check_hosts(&mut self, sections: &[Section], sites: &[Site]) {
        let mut taken: HashMap<&str, &str> = HashMap::new();
        let mut default: Option<&str> = None;
        for (section, site) in sections.iter().zip(sites) {
            let span = |host: &str| {
                let written = section.texts("hosts").iter().find(|(text, _)| super::host::of_person(text).as_deref() == Some(host));
                written.map_or_else(|| section.span.clone(), |(_, span)| span.clone())
            };
            for host in &site.hosts {
                if let Some(other) = taken.insert(host, &site.name) {
                    self.mistakes.push(mistakes::host_twice(span(host), host, other));
                }
            }
            if site.default {
                if let Some(other) = default {
                    let place = section.found("default").map_or_else(|| section.span.clone(), |found| found.span.clone());
                    self.mistakes.push(mistakes::two_defaults(place, other));
                }
                default = default.or(Some(&site.name));
            }
        }
    }

    /// Notes a path that leads nowhere. It keeps nothing from being served: what is not there may come later.
    fn check_path(&mut self, path: &Path, found: &Found, wanted: Wanted) {
        let is_there = match (wanted, std::fs::metadata(path)) {
            (Wanted::File, Ok(metadata)) => metadata.is_file(),
            (Wanted::Folder, Ok(metadata)) => metadata.is_dir(),
            (Wanted::Any, Ok(_)) => true,
            (_, Err(_)) => false,
        };
        if !is_there {
            let what = match wanted {
                Wanted::File => "is no file",
                Wanted::Folder => "is no folder",
                Wanted::Any => "is not there",
            };
            let shown = path.strip_prefix(self.folder).unwrap_or(path);
            self.mistakes.push(mistakes::no_file(found.span.clone(), found.key.name, shown, what, slips::near(self.folder, path)));
        }
    }

    fn missing(&mut self, section: &Section, table: Table, name: &str) {
        if !section.refused.contains(&name) {
            self.mistakes.push(mistakes::missing(section.span.clone(), table, section.in_route, name));
        }
    }
}

/// The status for who waited too long.
const GATEWAY_TIMEOUT: u16 = http::StatusCode::GATEWAY_TIMEOUT.as_u16();

/// What a path has to lead to.
#[derive(Clone, Copy)]
enum Wanted {
    File,
    Folder,
    Any,
}
