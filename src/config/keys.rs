//! What a key of a `lodger.toml` is, and how the one [`table`] of all of them is asked. The walk over a file, the reference, the schema, the hints and `docs/configuration.md` come
//! from it.

mod table;

use std::time::Duration;
pub(crate) use table::{KEYS, PAGE};

/// A table of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    Root,
    Server,
    Site,
    Route,
    ErrorPages,
    Auth,
    Cors,
}

impl Table {
    /// All of them, as they stand in a file.
    pub(crate) const ALL: [Self; 7] = [Self::Root, Self::Server, Self::Site, Self::ErrorPages, Self::Route, Self::Auth, Self::Cors];

    /// The name of the table with those of the tables around it.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Server => "server",
            Self::Site => "site",
            Self::Route => "site.route",
            Self::ErrorPages => "site.error-pages",
            Self::Auth => "site.auth",
            Self::Cors => "site.cors",
        }
    }

    /// The line that begins the table in a file.
    pub(crate) fn header(self) -> String {
        let path = self.path();
        if matches!(self, Self::Site | Self::Route) { format!("[[{path}]]") } else { format!("[{path}]") }
    }

    /// What the table is for.
    pub(crate) fn doc(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Server => "The process. All of it may be left out.",
            Self::Site => "One site. A file may have many; one without `hosts` answers for every host.",
            Self::Route => "One route of a site: which requests, and the one handler that answers them.",
            Self::ErrorPages => "Pages of the site's own, by status (`404`) or for all of a kind (`4xx`, `5xx`).",
            Self::Auth => "Who may come in; also as `[site.route.auth]`, for one route.",
            Self::Cors => "Which scripts of other sites may ask; also as `[site.route.cors]`, for one route.",
        }
    }
}

/// What kind of value a key has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number { min: u64, max: u64 },
    /// A text such as `"30s"` or `"1h 30m"`.
    Duration { min: Duration, max: Duration },
    /// A text such as `"16MiB"`; at least one byte.
    Size,
    /// A path, relative to the folder of the file.
    Path,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list of texts; a single one may stand without brackets.
    Texts,
    /// A table whose keys are chosen freely, with texts as values.
    Map,
    /// Another table.
    One(Table),
    /// Any number of tables.
    Many(Table),
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Where it may stand.
    pub(crate) tables: &'static [Table],
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The value that it has when it is left out, written as in a file. None: nothing, as `doc` says.
    pub(crate) default: Option<&'static str>,
    /// The first version that knows it.
    pub(crate) since: &'static str,
    pub(crate) doc: &'static str,
    /// A value that it may have, written as in a file. Empty for tables.
    pub(crate) example: &'static str,
    /// Whether its value is never printed.
    pub(crate) secret: bool,
}

/// The first version that reads the file.
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only the page tells it apart"))]
pub(crate) const FIRST: &str = "0.1";

/// The keys of a table, in order.
pub(crate) fn of(table: Table) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.tables.contains(&table))
}

/// The key of this name in a table.
pub(crate) fn find(table: Table, name: &str) -> Option<&'static Key> {
    of(table).find(|key| key.name == name)
}

/// The keys of `[[site.route]]` that answer a request. A route has exactly one of them.
pub(crate) const HANDLERS: [&str; 10] =
    ["files", "app", "redirect", "respond", "respond-file", "respond-template", "proxy", "fastcgi", "cgi", "serve"];

/// Keys that mean something beside certain handlers alone.
pub(crate) const BELONGS: &[(&str, &[&str])] = &[
    ("index", &["files", "fastcgi"]),
    ("fallback", &["files"]),
    ("listing", &["files"]),
    ("precompressed", &["files"]),
    ("symlinks", &["files"]),
    ("accel-redirect", &["files"]),
    ("x-sendfile", &["files"]),
    ("status", &["redirect", "respond", "respond-file", "respond-template"]),
    ("content-type", &["respond", "respond-file", "respond-template"]),
    ("proxy-host", &["proxy"]),
    ("websocket", &["proxy"]),
    ("retries", &["proxy"]),
    ("root", &["fastcgi"]),
    ("connect-timeout", &["proxy", "fastcgi"]),
    ("fail-for", &["proxy", "fastcgi"]),
    ("env", &["cgi"]),
];
