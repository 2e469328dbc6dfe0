//! Limits of a site or a route.

use super::{Resolve, Section};
use crate::config::{
    file::{self, Found},
    mistakes,
    model::{Bandwidth, Per, Policy, Rate},
};
use crate::diagnostic::Mistake;
use std::time::Duration;

/// How many seconds' worth of bytes may go at once where nothing is said.
const BURST_SECONDS: u64 = 10;

impl Resolve<'_> {
    pub(super) fn policy(&mut self, section: &Section) -> Policy {
        self.not_empty(section, "allow", "leave it out to let everybody in; `deny = [\"0.0.0.0/0\", \"::/0\"]` keeps everybody out");
        Policy {
            timeout: section.duration("timeout"),
            max_body: section.size("max-body"),
            max_concurrent: section.number("max-concurrent").and_then(|number| usize::try_from(number).ok()),
            rate: self.rate(section),
            bandwidth: self.bandwidth(section),
            allow: self.networks(section, "allow"),
            deny: self.networks(section, "deny"),
        }
    }

    fn rate(&mut self, section: &Section) -> Option<Rate> {
        let Some((text, found)) = section.text("rate") else {
            self.needs(section, &["rate-burst", "rate-per"], "rate");
            return None;
        };
        let Some((requests, within)) = parse_rate(text) else {
            return self.refuse(found, "is a number of requests from 1 on and a time: \"10/s\", \"600/m\", \"1000/h\" or \"5000/d\"");
        };
        let burst = section.number("rate-burst").and_then(|burst| u32::try_from(burst).ok()).unwrap_or(requests);
        Some(Rate { requests, within, burst, per: per(section, "rate-per") })
    }

    fn bandwidth(&mut self, section: &Section) -> Option<Bandwidth> {
        let Some((text, found)) = section.text("bandwidth") else {
            self.needs(section, &["bandwidth-burst", "bandwidth-per"], "bandwidth");
            return None;
        };
        let Some(bytes_per_second) = text.strip_suffix("/s").and_then(|size| file::size(size.trim_end())) else {
            return self.refuse(found, "is a size in a second: \"1MiB/s\"");
        };
        let burst = section.size("bandwidth-burst").unwrap_or(bytes_per_second.saturating_mul(BURST_SECONDS));
        Some(Bandwidth { bytes_per_second, burst, per: per(section, "bandwidth-per") })
    }

    /// Keys that say more about another, which is not there.
    fn needs(&mut self, section: &Section, names: &[&str], other: &str) {
        for found in names.iter().filter_map(|name| section.found(name)) {
            let (sentence, hint) = (format!("`{}` means nothing without `{other}`", found.key.name), format!("add `{other}`, or take it away"));
            self.mistakes.push(mistakes::conflict(found.span.clone(), sentence, hint));
        }
    }

    /// The same as [`refuse`](Self::refuse), with what was most likely meant.
    pub(super) fn refuse_with<T>(&mut self, found: &Found, why: &str, hint: Option<String>) -> Option<T> {
        let mistake = mistakes::wrong_value(found.span.clone(), found.key, why);
        self.mistakes.push(match hint {
            Some(hint) => Mistake { hint, ..mistake },
            None => mistake,
        });
        None
    }

    pub(super) fn refuse<T>(&mut self, found: &Found, why: &str) -> Option<T> {
        self.mistakes.push(mistakes::wrong_value(found.span.clone(), found.key, why));
        None
    }
}

fn per(section: &Section, name: &str) -> Per {
    if section.text(name).is_some_and(|(text, _)| text == "site") { Per::Site } else { Per::Client }
}

fn parse_rate(text: &str) -> Option<(u32, Duration)> {
    let (requests, unit) = text.split_once('/')?;
    let requests = requests.trim().parse().ok().filter(|requests| *requests > 0)?;
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some((requests, Duration::from_secs(seconds)))
}
