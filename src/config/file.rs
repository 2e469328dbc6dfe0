//! A file as it stands: walked along the table of keys, so that every key is one that there is and every value of its kind. What the values mean together is
//! found out later, in `resolve`.

use super::{
    fill::{Lookup, files, fill},
    hide::{Filled, is_secret},
    keys::{self, Key, Kind, Table},
    mistakes, syntax,
};
use crate::diagnostic::{Lines, Mistake};
use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A table of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    /// Where it begins.
    pub(super) span: Range<usize>,
    pub(super) values: BTreeMap<&'static str, Found>,
    pub(super) tables: BTreeMap<&'static str, Vec<Self>>,
    /// Keys that stand there with a value that was refused, and is told already.
    pub(super) refused: Vec<&'static str>,
    /// Whether it is a route or stands in one.
    pub(super) in_route: bool,
    /// Pages by `404`, `4xx` and `5xx`, in `[site.error-pages]` alone.
    pub(super) pages: Vec<(String, Found)>,
}

/// A value, and where it stands.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) key: &'static Key,
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

impl std::fmt::Debug for Found {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("key", &self.key.name).field("span", &self.span).finish_non_exhaustive()
    }
}

/// A value of the kind that its key has.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Number(u64),
    Duration(Duration),
    Size(u64),
    Path(PathBuf),
    Texts(Vec<(String, Range<usize>)>),
    /// Names and texts, each with its place.
    Map(Vec<Pair>),
}

/// A name and a text of a map, each with its place.
pub(super) type Pair = (String, Range<usize>, String, Range<usize>);

/// What goes beside the text of a file.
pub(super) struct Walk<'a> {
    pub(super) folder: &'a Path,
    pub(super) variables: Lookup<'a>,
    pub(super) mistakes: Vec<Mistake>,
    /// Where secrets stand.
    pub(super) secrets: Vec<Range<usize>>,
    /// Files whose text was filled in, with the places.
    pub(super) files: Vec<(Range<usize>, PathBuf)>,
    /// What was filled in.
    pub(super) filled: Vec<Filled>,
}

/// The largest size that a file may name: 2^60 bytes, an EiB.
const LARGEST_SIZE: u64 = 1 << 60;

/// How many mistakes of syntax are told. Who has more has taken the wrong file.
const MOST: usize = 100;

/// What a value is called in a message.
fn name_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(folder: &'a Path, variables: Lookup<'a>) -> Self {
        Self { folder, variables, mistakes: Vec::new(), secrets: Vec::new(), files: Vec::new(), filled: Vec::new() }
    }
}

impl Walk<'_> {
    /// Reads the text of a file as far as it can be read, and notes every mistake.
    pub(super) fn read(&mut self, text: &str) -> Section {
        let (table, errors) = DeTable::parse_recoverable(text);
        let section = self.table(Table::Root, table.get_ref(), 0..0, false);
        if !errors.is_empty() {
            self.syntax(text, &errors);
        }
        section
    }

    /// Notes what is no TOML: of a line the first mistake, since the others come of it. So does much of what was found in these lines, and in all that follow a broken header.
    fn syntax(&mut self, text: &str, errors: &[toml::de::Error]) {
        let lines = Lines::of(text);
        let open = syntax::list_left_open(text, &lines, errors);
        let line = |mistake: &Mistake| mistake.span.as_ref().map(|span| lines.line(span.start));
        let mut broken: BTreeMap<Option<usize>, Mistake> = BTreeMap::new();
        for mistake in errors.iter().take(MOST).map(|error| syntax::mistake(text, error)) {
            broken.entry(line(&mistake)).or_insert(mistake);
        }
        // All that follows a list without an end stands in it.
        let first_in_list = open.as_ref().map_or(usize::MAX, |span| lines.line(span.start));
        if let Some(open) = open {
            broken.retain(|line, _| line.is_none_or(|line| line < first_in_list));
            broken.insert(Some(first_in_list), syntax::open_list(open));
        }
        let is_header = |line: &usize| lines.start(*line).and_then(|start| text.get(start..)).is_some_and(|rest| rest.trim_start().starts_with('['));
        let header = broken.keys().flatten().find(|line| is_header(line)).copied().unwrap_or(usize::MAX).min(first_in_list);
        self.mistakes.retain(|mistake| {
            let has_place = mistake.span.as_ref().is_some_and(|span| !span.is_empty());
            has_place && !broken.contains_key(&line(mistake)) && line(mistake).is_some_and(|line| line < header)
        });
        self.mistakes.extend(broken.into_values());
    }

    fn table(&mut self, table: Table, entries: &DeTable<'_>, span: Range<usize>, in_route: bool) -> Section {
        let mut section = Section { span, in_route: in_route || table == Table::Route, ..Section::default() };
        // A name that was meant for another is told once: what it was meant for is not missing too.
        section.refused = entries.iter().filter_map(|(name, _)| mistakes::meant(name.get_ref(), table)).collect();
        for (name, value) in entries {
            let key_span = name.span();
            if is_secret(name.get_ref()) {
                self.hide(value);
            }
            match keys::find(table, name.get_ref()) {
                Some(key) => self.entry(key, value, key_span, &mut section),
                None if table == Table::ErrorPages && is_status(name.get_ref()) => {
                    if let Some(found) = self.value(&keys::PAGE, value) {
                        section.pages.push((name.get_ref().to_string(), found));
                    }
                }
                None => self.mistakes.push(mistakes::unknown_key(key_span, name.get_ref(), table, section.in_route)),
            }
        }
        section
    }

    /// Notes where a secret stands. The span of a table that is written below a header is that of the header, so those of its values are noted.
    fn hide(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(entries) => entries.iter().for_each(|(_, value)| self.hide(value)),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => items.iter().for_each(|item| self.hide(item)),
            _ => self.secrets.push(value.span()),
        }
    }

    fn entry(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>, key_span: Range<usize>, section: &mut Section) {
        match (key.kind, value.get_ref()) {
            (Kind::One(table), DeValue::Table(entries)) => {
                let inner = self.table(table, entries, key_span, section.in_route);
                section.tables.insert(key.name, vec![inner]);
            }
            (Kind::Many(table), DeValue::Array(items)) => {
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Table(entries) => {
                            let inner = self.table(table, entries, header(item.span(), &key_span), section.in_route);
                            section.tables.entry(key.name).or_default().push(inner);
                        }
                        other => self.mistakes.push(mistakes::wrong_kind(item.span(), key, name_of(other))),
                    }
                }
            }
            // `[[site.route]]` below `[[sites]]`.
            (Kind::Many(_), DeValue::Table(_)) if section.refused.contains(&key.name) => {}
            (Kind::Many(_), DeValue::Table(_)) => self.mistakes.push(mistakes::wrong_kind(key_span, key, "one table")),
            (Kind::One(table), other) if matches!(table, Table::Auth | Table::Cors) => {
                let mistake = mistakes::wrong_kind(value.span(), key, name_of(other));
                self.mistakes.push(Mistake { hint: mistakes::how_to_begin(table, section.in_route), ..mistake });
            }
            (Kind::One(_) | Kind::Many(_), other) => self.mistakes.push(mistakes::wrong_kind(value.span(), key, name_of(other))),
            _ => match self.value(key, value) {
                Some(found) => drop(section.values.insert(key.name, found)),
                None => section.refused.push(key.name),
            },
        }
    }

    fn value(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Found> {
        let span = value.span();
        let parsed = match (key.kind, value.get_ref()) {
            (Kind::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
            (Kind::Number { min, max }, DeValue::Integer(number)) => {
                let number = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| (min..=max).contains(number));
                match number {
                    Some(number) => Value::Number(number),
                    None => return self.refuse(mistakes::wrong_value(span, key, &format!("lies between {min} and {max}"))),
                }
            }
            (Kind::Texts, DeValue::Array(items)) => Value::Texts(self.texts(key, items.iter())?),
            (Kind::Texts, DeValue::String(_)) => Value::Texts(self.texts(key, std::iter::once(value))?),
            (Kind::Map, DeValue::Table(entries)) => Value::Map(self.map(key, entries)?),
            (Kind::Flag | Kind::Number { .. } | Kind::Texts | Kind::Map, other) => {
                return self.refuse(mistakes::wrong_kind(span, key, name_of(other)));
            }
            (_, DeValue::String(text)) => {
                let text = self.fill(text, &span)?;
                self.meaning(key, text, &span)?
            }
            (_, other) => return self.refuse(mistakes::wrong_kind(span, key, name_of(other))),
        };
        Some(Found { key, span, value: parsed })
    }

    /// What a text means for its key.
    fn meaning(&mut self, key: &'static Key, text: String, span: &Range<usize>) -> Option<Value> {
        let refused = match key.kind {
            Kind::Duration { min, max } => match humantime::parse_duration(&text) {
                Ok(duration) if (min..=max).contains(&duration) => return Some(Value::Duration(duration)),
                Ok(_) => {
                    let range = (humantime::format_duration(min), humantime::format_duration(max));
                    mistakes::wrong_value(span.clone(), key, &format!("lies between {} and {}", range.0, range.1))
                }
                Err(_) => mistakes::wrong_value(span.clone(), key, "is a number with its unit: ms, s, m, h, d, w, y"),
            },
            Kind::Size => match size(&text) {
                Some(size) => return Some(Value::Size(size)),
                None => mistakes::wrong_value(span.clone(), key, "is a number above zero with its unit: B, KB, MB, GB, KiB, MiB, GiB"),
            },
            Kind::Path if text.is_empty() => mistakes::wrong_value(span.clone(), key, "is empty"),
            Kind::Path if text.contains('\0') => mistakes::wrong_value(span.clone(), key, "holds a NUL byte"),
            Kind::Path => return Some(Value::Path(self.folder.join(text))),
            Kind::Choice(choices) if !choices.contains(&text.as_str()) => mistakes::wrong_choice(span.clone(), key, &text, choices),
            _ => return Some(Value::Text(text)),
        };
        self.refuse(refused)
    }

    fn texts<'b, 'i: 'b>(&mut self, key: &'static Key, items: impl Iterator<Item = &'b Spanned<DeValue<'i>>>) -> Option<Vec<(String, Range<usize>)>> {
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => texts.push((self.fill(text, &item.span())?, item.span())),
                other => return self.refuse(mistakes::wrong_kind(item.span(), key, &format!("a list with {} in it", name_of(other)))),
            }
        }
        Some(texts)
    }

    fn map(&mut self, key: &'static Key, entries: &DeTable<'_>) -> Option<Vec<Pair>> {
        let mut pairs = Vec::new();
        for (name, value) in entries {
            match value.get_ref() {
                DeValue::String(text) => {
                    let text = self.fill(text, &value.span())?;
                    pairs.push((name.get_ref().to_string(), name.span(), text, value.span()));
                }
                other => return self.refuse(mistakes::wrong_kind(value.span(), key, &format!("a table with {} in it", name_of(other)))),
            }
        }
        // In the order of the file, which the parser does not keep.
        pairs.sort_by_key(|(_, span, ..)| span.start);
        Some(pairs)
    }

    fn fill(&mut self, text: &str, span: &Range<usize>) -> Option<String> {
        self.files.extend(files(text).map(|path| (span.clone(), self.folder.join(path))));
        match fill(text, self.folder, self.variables) {
            Ok((whole, was_filled)) => {
                if was_filled {
                    self.filled.push(Filled { span: span.clone(), text: whole.clone(), written: text.to_owned() });
                }
                Some(whole)
            }
            Err((sentence, hint)) => self.refuse(mistakes::not_filled(span.clone(), sentence, hint)),
        }
    }

    fn refuse<T>(&mut self, mistake: Mistake) -> Option<T> {
        self.mistakes.push(mistake);
        None
    }
}

/// How many bytes a text such as `16MiB` says, at least one. What is larger than any disk was not meant.
pub(super) fn size(text: &str) -> Option<u64> {
    let size = text.parse::<bytesize::ByteSize>().ok()?.as_u64();
    (text.ends_with(['B', 'b']) && (1..=LARGEST_SIZE).contains(&size)).then_some(size)
}

/// Where a table of a list begins. The parser says of one that is written with brackets where its header stands.
fn header(item: Range<usize>, key: &Range<usize>) -> Range<usize> {
    if item.is_empty() { key.clone() } else { item }
}

/// `404`, `4xx` or `5xx`.
fn is_status(name: &str) -> bool {
    matches!(name, "4xx" | "5xx") || name.parse::<u16>().is_ok_and(|status| (400..600).contains(&status) && name.len() == 3)
}
