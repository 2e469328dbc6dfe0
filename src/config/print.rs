//! The table of keys as people and editors read it: the template of a file, the page of the guide, the JSON schema; and a file with what it leaves out.

use super::{
    Config,
    file::{Found, Section, Value},
    fill::Lookup,
    keys::{self, Key, Kind, Table},
};
use serde_json::{Map, Value as Json, json};
use std::{fmt::Write as _, ops::Range};

/// How wide comments in the template are.
const WIDTH: usize = 100;

/// A `lodger.toml` with every key in a comment, as it would stand with its default or an example.
pub(crate) fn template() -> String {
    let mut text = String::from(
        "# lodger.toml: sites, routes and limits. It lies beside the program; relative paths are relative to it.\n\
         # Every key is shown here with its default, or with an example where it has none.\n\
         # Take the `#` away from what you need. `check` finds mistakes before visitors do.\n",
    );
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Root) {
        let _ = write!(text, "\n{}#{}\n", comment(table.doc()), table.header());
        for key in keys::of(table).filter(|key| !is_table(key)) {
            let value = key.default.unwrap_or(key.example);
            let _ = write!(text, "\n{}#{} = {value}\n", comment(key.doc), key.name);
        }
        if table == Table::ErrorPages {
            text.push_str("\n#404 = \"errors/404.html\"\n#5xx = \"errors/5xx.html\"\n");
        }
    }
    text
}

fn comment(doc: &str) -> String {
    textwrap::fill(doc, textwrap::Options::new(WIDTH).initial_indent("# ").subsequent_indent("# ")) + "\n"
}

fn is_table(key: &Key) -> bool {
    matches!(key.kind, Kind::One(_) | Kind::Many(_))
}

/// The page of the guide.
pub(crate) fn page() -> String {
    let mut text = String::from(PREFACE);
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Root) {
        let _ = write!(text, "\n## `{}`\n\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n", table.header(), table.doc());
        for key in keys::of(table) {
            text.push_str(&row(key));
        }
        if table == Table::ErrorPages {
            text.push_str("| `404`, `4xx`, `5xx` | path |  | The page for this status, or for all from 400 to 499 or from 500 on that have none of their own. |\n");
        }
    }
    text
}

/// The line of a key in its table.
fn row(key: &Key) -> String {
    let default = key.default.map_or_else(String::new, |default| format!("`{default}`"));
    let example = if key.example.is_empty() { String::new() } else { format!(" Example: `{}`.", key.example) };
    let since = if key.since == keys::FIRST { String::new() } else { format!(" Since {}.", key.since) };
    let doc = format!("{}{example}{since}", key.doc).replace('|', "\\|");
    format!("| `{}` | {} | {default} | {doc} |\n", key.name, kind_text(key.kind))
}

/// What stands before the tables of the page.
const PREFACE: &str = "# lodger.toml

This page is made from the table of keys in the program; `config reference` prints the same as a file to begin with, `config schema` as a JSON schema for editors.

The file lies beside the program. `--config PATH` and the variable `LODGER_CONFIG` name another. It is TOML. Relative paths are relative to the folder of the file. Durations and sizes are texts with a unit, `\"30s\"`,
`\"16MiB\"`. An unknown key is a mistake. `${NAME}` in a text is the variable NAME, `${file:PATH}` the text of a file, `$${` a dollar sign and a brace.

`check` shows every mistake; `config show` shows every value and where it comes from. A changed file is in force within a second of being there whole, without losing a request that is under way; only `[server]` waits for the next process.
A file with mistakes changes nothing while a process has an earlier one to go on with; else visitors see 503.

Keys of a site hold for all its routes, and a route may say otherwise. Limits of a site count all its requests together, those of a route its own.
";

fn kind_text(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Number { min, max } => format!("{min} to {max}"),
        Kind::Duration { min, max } => format!("duration, {} to {}", humantime::format_duration(min), humantime::format_duration(max)),
        Kind::Size => "size".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Choice(choices) => choices.iter().map(|choice| format!("`\"{choice}\"`")).collect::<Vec<_>>().join(", "),
        Kind::Texts => "list of texts, or one".to_owned(),
        Kind::Map => "table of texts".to_owned(),
        Kind::One(_) => "table".to_owned(),
        Kind::Many(_) => "tables".to_owned(),
    }
}

/// The JSON schema (draft 2020-12) of a file, for editors.
pub(crate) fn schema() -> String {
    let mut definitions = Map::new();
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Root) {
        definitions.insert(name_of(table).to_owned(), table_schema(table));
    }
    let mut root = table_schema(Table::Root);
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("lodger.toml"));
        root.insert("$defs".to_owned(), Json::Object(definitions));
    }
    format!("{root:#}\n")
}

fn name_of(table: Table) -> &'static str {
    table.path().rsplit('.').next().unwrap_or_default()
}

fn table_schema(table: Table) -> Json {
    let properties: Map<String, Json> = keys::of(table).map(|key| (key.name.to_owned(), key_schema(key))).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if table == Table::ErrorPages
        && let Some(schema) = schema.as_object_mut()
    {
        schema.insert("patternProperties".to_owned(), json!({ "^([45][0-9][0-9]|[45]xx)$": { "type": "string" } }));
    }
    schema
}

fn key_schema(key: &Key) -> Json {
    let mut schema = match key.kind {
        Kind::Text | Kind::Path | Kind::Size | Kind::Duration { .. } => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::Texts => json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        Kind::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::One(table) => json!({ "$ref": format!("#/$defs/{}", name_of(table)) }),
        Kind::Many(table) => json!({ "type": "array", "items": { "$ref": format!("#/$defs/{}", name_of(table)) } }),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), json!(key.doc));
        schema.insert("x-since".to_owned(), json!(key.since));
    }
    schema
}

/// A file with what it leaves out: every key that has a value, and where the value comes from. Secrets are not shown.
pub(crate) fn show(config: &Config, variables: Lookup<'_>) -> String {
    let (nothing, root) = (Section::default(), config.sections(variables));
    let server = root.tables.get("server").and_then(|list| list.first()).unwrap_or(&nothing);
    let mut text = String::new();
    section(&mut text, config, Table::Server, server, "[server]", &[]);
    for site in root.tables.get("site").into_iter().flatten() {
        text.push('\n');
        section(&mut text, config, Table::Site, site, "[[site]]", &[(server, "[server]")]);
        inner(&mut text, config, site, "site");
        for route in site.tables.get("route").into_iter().flatten() {
            text.push('\n');
            section(&mut text, config, Table::Route, route, "[[site.route]]", &[(site, "the site"), (server, "[server]")]);
            inner(&mut text, config, route, "site.route");
        }
    }
    text
}

fn inner(text: &mut String, config: &Config, around: &Section, path: &str) {
    for (table, name) in [(Table::ErrorPages, "error-pages"), (Table::Auth, "auth"), (Table::Cors, "cors")] {
        if let Some(found) = around.tables.get(name).and_then(|list| list.first()) {
            text.push('\n');
            section(text, config, table, found, &format!("[{path}.{name}]"), &[]);
        }
    }
}

/// One table. Keys that are left out are taken from `around`, if they are handed down, or from the table of keys.
fn section(text: &mut String, config: &Config, table: Table, section: &Section, header: &str, around: &[(&Section, &str)]) {
    let _ = writeln!(text, "{header}");
    for key in keys::of(table).filter(|key| !is_table(key)) {
        let own = section.values.get(key.name);
        let outer = || around.iter().filter(|_| is_handed_down(key.name)).find_map(|(around, name)| Some((value_in(around, key.name)?, *name)));
        let (value, origin) = match (own, outer()) {
            // A route adds to the headers of its site.
            (Some(found), Some((outer, name))) if key.name == "headers" => {
                (shown(config, found), format!("{}, beside those of {name} in {}", place(config, found), place(config, outer)))
            }
            (Some(found), _) => (shown(config, found), place(config, found)),
            (None, Some((found, name))) => (shown(config, found), format!("{}, from {name}", place(config, found))),
            (None, None) => match default(key, table, section) {
                Some(default) => default,
                None => continue,
            },
        };
        let _ = writeln!(text, "{} = {value}  # {origin}", key.name);
    }
    for (status, found) in &section.pages {
        let _ = writeln!(text, "{status} = {}  # {}", shown(config, found), place(config, found));
    }
}

/// What a site or the process says about a key that is left out in what it holds.
fn value_in<'a>(around: &'a Section, name: &str) -> Option<&'a Found> {
    around.values.get(name).or_else(|| around.values.get("request-timeout").filter(|_| name == "timeout"))
}

/// Whether a site hands a key down to its routes. Other limits it counts for itself.
fn is_handed_down(name: &str) -> bool {
    matches!(name, "timeout" | "max-body" | "headers" | "compress" | "cache")
}

/// What a key is when nobody says anything, if that is of interest beside what else is there; and why.
fn default(key: &Key, table: Table, section: &Section) -> Option<(String, String)> {
    let handler = section.values.keys().find(|name| keys::HANDLERS.contains(name)).copied();
    let kind = section.values.get("kind").map(|found| &found.value);
    let is_kind = |name: &str| matches!(kind, Some(Value::Text(text)) if text == name);
    let matters = match key.name {
        "rate-per" => section.values.contains_key("rate"),
        "bandwidth-per" => section.values.contains_key("bandwidth"),
        "compress" => table == Table::Site,
        "hsts-subdomains" => section.values.contains_key("hsts"),
        "realm" => !is_kind("none"),
        "lifetime" => is_kind("session"),
        name => keys::BELONGS.iter().find(|(key, _)| *key == name).is_none_or(|(_, with)| handler.is_some_and(|handler| with.contains(&handler))),
    };
    let told = |value: &str, why: &str| Some((value.to_owned(), why.to_owned()));
    match key.name {
        _ if !matters => None,
        "default" if !section.values.contains_key("hosts") => told("true", "it has no hosts"),
        "index" if handler == Some("fastcgi") => told("\"index.php\"", "default"),
        _ => told(key.default?, "default"),
    }
}

/// The value as it stands in the file, so that what was filled in is not shown.
fn shown(config: &Config, found: &Found) -> String {
    let written = |span: &Range<usize>| config.text.get(span.clone()).unwrap_or_default();
    match &found.value {
        _ if !found.key.secret => written(&found.span).to_owned(),
        Value::Texts(texts) if written(&found.span).starts_with('[') => {
            let texts: Vec<String> = texts.iter().map(|(_, span)| hidden(written(span))).collect();
            format!("[{}]", texts.join(", "))
        }
        _ => hidden(written(&found.span)),
    }
}

/// Of a secret that is filled in, only how is shown. What stands beside that in plain may be one too.
fn hidden(written: &str) -> String {
    // What stands before the first brace is no name, and neither is what follows two dollar signs.
    let pieces: Vec<&str> = written.split("${").collect();
    let fills = pieces.windows(2).filter(|pair| !pair[0].ends_with('$')).filter_map(|pair| pair[1].split_once('}'));
    let fills: String = fills.map(|(name, _)| format!("${{{name}}}")).collect();
    if fills.is_empty() { "\"(secret)\"".to_owned() } else { format!("\"{fills}\"") }
}

fn place(config: &Config, found: &Found) -> String {
    let name = config.path.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}:{}", config.line(found.span.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_came_later_says_since_when() {
        let key = |since| Key {
            tables: &[Table::Server],
            name: "greeting",
            kind: Kind::Text,
            default: None,
            since,
            doc: "What is said first.",
            example: "\"hi\"",
            secret: false,
        };
        assert_eq!(row(&key("0.2")), "| `greeting` | text |  | What is said first. Example: `\"hi\"`. Since 0.2. |\n");
        assert_eq!(row(&key(keys::FIRST)), "| `greeting` | text |  | What is said first. Example: `\"hi\"`. |\n");
    }
}
