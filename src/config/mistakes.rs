//! One function for each mistake that a `lodger.toml` can hold.

use super::keys::{self, Key, Kind, Table};
use crate::diagnostic::{Mistake, codes as code};
use std::{ops::Range, path::Path};

type Span = Range<usize>;

/// How much alike two names have to be for one to be proposed for the other: 1 is equal. Jaro-Winkler, as clap uses it.
const ALIKE: f64 = 0.8;

/// The hint of every mistake about a name: the nearest of those that there are.
pub(super) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace('_', "-");
    let scored = known.map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate));
    scored.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

pub(super) fn too_large(limit: usize) -> Mistake {
    let sentence = format!("the file is larger than {} MiB", limit / (1024 * 1024));
    Mistake::of_all(code::CONFIG_UNREADABLE, sentence, "see whether it is the right file")
}

pub(super) fn not_utf8(span: Span) -> Mistake {
    Mistake::at(code::CONFIG_SYNTAX, span, "the file is not UTF-8", "save it as UTF-8; an editor that says \"ANSI\" or \"Latin-1\" does not")
}

pub(super) fn none_beside_program(path: &Path) -> Mistake {
    let sentence = format!("there is no lodger.toml beside the program ({})", path.display());
    Mistake::of_all(code::CONFIG_UNREADABLE, sentence, "put one there, or name it with the variable LODGER_CONFIG")
}

pub(super) fn unreadable(error: &std::io::Error) -> Mistake {
    Mistake::of_all(code::CONFIG_UNREADABLE, format!("the file cannot be read: {error}"), "see that it exists and may be read by this user")
}

/// The key that a name which there is not in a table was most likely meant for.
pub(super) fn meant(name: &str, table: Table) -> Option<&'static str> {
    let is_known = keys::KEYS.iter().any(|key| key.name == name);
    if is_known { None } else { did_you_mean(name, keys::of(table).map(|key| key.name)) }
}

/// The line that begins a table, which may stand in a site and in a route.
fn header(table: Table, in_route: bool) -> String {
    match table {
        Table::Auth if in_route => "[site.route.auth]".to_owned(),
        Table::Cors if in_route => "[site.route.cors]".to_owned(),
        table => table.header(),
    }
}

/// How a table is written, above its keys or in one line.
pub(super) fn how_to_begin(table: Table, in_route: bool) -> String {
    let line = match table {
        Table::Auth => "auth = { kind = \"basic\", users = \"../private/users.htpasswd\" }",
        _ => "cors = { origins = \"*\" }",
    };
    format!("write `{}` above its keys, or in one line: {line}", header(table, in_route))
}

pub(super) fn unknown_key(span: Span, name: &str, table: Table, in_route: bool) -> Mistake {
    let place = match table {
        Table::Root => "at the top of the file".to_owned(),
        table => format!("in `{}`", header(table, in_route)),
    };
    let elsewhere = || {
        keys::KEYS.iter().find(|key| key.name == name).map(|key| match key.tables {
            [Table::Root, ..] => match key.kind {
                Kind::Many(table) | Kind::One(table) => format!("`{}` is a table of its own, inside no other", table.header()),
                _ => "it stands at the top of the file".to_owned(),
            },
            tables => format!("it belongs to {}", tables.iter().map(|table| format!("`{}`", table.header())).collect::<Vec<_>>().join(" or ")),
        })
    };
    let hint = match (elsewhere(), meant(name, table)) {
        (Some(home), _) => home,
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) if table == Table::ErrorPages => "pages stand under `400` to `599`, `4xx` or `5xx`".to_owned(),
        (None, None) => "`config reference` prints all keys".to_owned(),
    };
    Mistake::at(code::CONFIG_UNKNOWN_KEY, span, format!("there is no key `{name}` {place}"), hint)
}

pub(super) fn wrong_kind(span: Span, key: &Key, found: &str) -> Mistake {
    let wanted = match key.kind {
        Kind::Text | Kind::Path | Kind::Choice(_) => "a text",
        Kind::Flag => "`true` or `false`",
        Kind::Number { .. } => "a whole number",
        Kind::Duration { .. } => "a duration, as a text with its unit",
        Kind::Size => "a size, as a text with its unit",
        Kind::Texts => "a list of texts",
        Kind::Map | Kind::One(_) => "a table",
        Kind::Many(_) => "a list of tables",
    };
    let hint = match key.kind {
        Kind::One(table) => format!("write `{}` above its keys", header(table, false)),
        Kind::Many(table) => format!("write `{}`, with two brackets, above each", table.header()),
        _ if key.name == "maintenance" => "the name of a file; make it to close the site: maintenance = \"maintenance.html\"".to_owned(),
        _ => example(key),
    };
    Mistake::at(code::CONFIG_WRONG_VALUE, span, format!("`{}` is {wanted}, and this is {found}", key.name), hint)
}

/// How the value of a key is written.
fn example(key: &Key) -> String {
    let name = if key.name == keys::PAGE.name { "404" } else { key.name };
    format!("for example: {name} = {}", key.example)
}

/// A text that is none of what the key takes; `why` goes on from its name.
pub(super) fn wrong_value(span: Span, key: &Key, why: &str) -> Mistake {
    Mistake::at(code::CONFIG_WRONG_VALUE, span, format!("`{}` {why}", key.name), example(key))
}

pub(super) fn wrong_choice(span: Span, key: &Key, found: &str, choices: &[&str]) -> Mistake {
    let all = choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(", ");
    let hint = match did_you_mean(found, choices.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => example(key),
    };
    Mistake::at(code::CONFIG_WRONG_VALUE, span, format!("`{}` is one of {all}, and not \"{found}\"", key.name), hint)
}

pub(super) fn missing(span: Span, table: Table, in_route: bool, name: &str) -> Mistake {
    let hint = keys::find(table, name).map_or_else(String::new, example);
    Mistake::at(code::CONFIG_MISSING, span, format!("`{}` needs `{name}`", header(table, in_route)), hint)
}

pub(super) fn no_handler(span: Span) -> Mistake {
    let all = keys::HANDLERS.map(|name| format!("`{name}`")).join(", ");
    Mistake::at(code::CONFIG_MISSING, span, "the route has nothing that answers", format!("give it one of {all}"))
}

pub(super) fn two_handlers(span: Span, first: &str, second: &str) -> Mistake {
    let sentence = format!("the route has two handlers, `{first}` and `{second}`");
    Mistake::at(code::CONFIG_CONFLICT, span, sentence, "make two routes of it, with paths, methods or a header of their own")
}

pub(super) fn means_nothing(span: Span, name: &str, with: &[&str]) -> Mistake {
    let with = with.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    Mistake::at(code::CONFIG_CONFLICT, span, format!("`{name}` means nothing here"), format!("it belongs to a route with {with}"))
}

pub(super) fn conflict(span: Span, sentence: impl Into<String>, hint: impl Into<String>) -> Mistake {
    Mistake::at(code::CONFIG_CONFLICT, span, sentence, hint)
}

pub(super) fn not_filled(span: Span, sentence: String, hint: &str) -> Mistake {
    Mistake::at(code::CONFIG_NOT_FILLED, span, sentence, hint)
}

pub(super) fn no_file(span: Span, key: &str, path: &Path, what: &str, near: Option<String>) -> Mistake {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let sentence = format!("`{key}` names {}, which {what}", path.display());
    let hint = near.unwrap_or_else(|| "paths are relative to the folder of this file; capitals count".to_owned());
    Mistake::at(code::CONFIG_NO_FILE, span, sentence, hint).warning()
}

pub(super) fn no_host(span: Span, host: &str) -> Mistake {
    // What was meant, where it is plain: the host of an address, or several in one text.
    let bare = host.split_once("://").map_or(host, |(_, rest)| rest).split(['/', ':']).next().unwrap_or_default();
    let several: Vec<&str> = host.split([',', ' ']).filter(|part| !part.is_empty()).collect();
    let are_hosts = several.len() > 1 && several.iter().all(|part| part.contains('.') && super::host::of_person(part).is_some());
    let hint = match host {
        "*" => "for all hosts: `default = true`, without `hosts`".to_owned(),
        _ if are_hosts => format!("a list: `[{}]`", several.iter().map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(", ")),
        _ if bare != host && super::host::of_person(bare).is_some() => format!("write the host alone: \"{bare}\""),
        _ => "write it without a scheme, a port and a path: \"example.org\", or \"*.example.org\" for every name below".to_owned(),
    };
    Mistake::at(code::CONFIG_HOSTS, span, format!("`{host}` is no host"), hint)
}

pub(super) fn host_twice(span: Span, host: &str, other: &str) -> Mistake {
    Mistake::at(code::CONFIG_HOSTS, span, format!("the host {host} belongs to the site `{other}` already"), "take it out of one of the two")
}

pub(super) fn host_twice_in_list(span: Span, host: &str) -> Mistake {
    Mistake::at(code::CONFIG_HOSTS, span, format!("the host {host} stands in this list already"), "take it out once")
}

/// A list that would let nothing through.
pub(super) fn empty_list(span: Span, key: &Key, hint: &str) -> Mistake {
    Mistake::at(code::CONFIG_WRONG_VALUE, span, format!("`{}` is an empty list", key.name), hint)
}

pub(super) fn two_defaults(span: Span, other: &str) -> Mistake {
    let sentence = format!("the site `{other}` answers for all other hosts already");
    Mistake::at(code::CONFIG_HOSTS, span, sentence, "give this one `hosts`, or take `default` away from one of the two")
}

pub(super) fn routes(span: Span, sentence: impl Into<String>, hint: impl Into<String>) -> Mistake {
    Mistake::at(code::CONFIG_ROUTES, span, sentence, hint)
}

pub(super) fn no_app(span: Span, name: &str, known: &[&str]) -> Mistake {
    let hint = match (did_you_mean(name, known.iter().copied()), known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "this program has no app: give the route another handler".to_owned(),
        (None, known) => format!("there is {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    Mistake::at(code::CONFIG_NO_APP, span, format!("no app of this program is called `{name}`"), hint).warning()
}
