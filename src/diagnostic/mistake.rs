//! A mistake in a text that a person wrote, and all of them in a file.

use super::{codes::Code, lines::Lines, render};
use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How bad a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but something in it does not do what it was written for.
    Warning,
}

/// One mistake in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) code: Code,
    pub(crate) severity: Severity,
    /// Which bytes of the text it is about; none for the text as a whole.
    pub(crate) span: Option<Range<usize>>,
    /// What is wrong. It stands alone: no place, no cure.
    pub(crate) sentence: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl Mistake {
    /// A mistake at `span`.
    pub(crate) fn at(code: Code, span: Range<usize>, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, span: Some(span), sentence: sentence.into(), hint: hint.into() }
    }

    /// A mistake of the text as a whole.
    pub(crate) fn of_all(code: Code, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, span: None, sentence: sentence.into(), hint: hint.into() }
    }

    /// The same, as one that does not keep the configuration from being used.
    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

/// Everything that is wrong in a file, in the order of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Mistakes {
    path: PathBuf,
    text: Arc<str>,
    lines: Lines,
    list: Vec<Mistake>,
    /// Whether it is told in one line, as there is no text to show.
    in_a_line: bool,
}

impl Mistakes {
    pub(crate) fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>, mut list: Vec<Mistake>) -> Self {
        list.sort_by_key(|mistake| (mistake.span.as_ref().map_or(0, |span| span.start), mistake.severity));
        let text = text.into();
        Self { path: path.into(), lines: Lines::of(&text), text, list, in_a_line: false }
    }

    /// The one mistake of a program without a file. It is told in one line, for a log.
    pub(crate) fn of_no_file(path: impl Into<PathBuf>, mistake: Mistake) -> Self {
        Self { in_a_line: true, ..Self::new(path, "", vec![mistake]) }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the configuration cannot be used.
    #[must_use]
    pub fn are_errors(&self) -> bool {
        self.list.iter().any(|mistake| mistake.severity == Severity::Error)
    }

    /// Line and column of the first byte of a mistake, both counted from 1, the column in characters.
    pub(crate) fn place(&self, mistake: &Mistake) -> Option<(usize, usize)> {
        mistake.span.as_ref().map(|span| self.lines.place(&self.text, span.start))
    }

    /// The file that they stand in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }
}

impl fmt::Debug for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Mistakes {
    /// Each with its place, the line that it stands in and what to do; of very many the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(only) = self.list.first().filter(|_| self.in_a_line) {
            return write!(f, "{}: {}; {}", only.code, only.sentence, only.hint);
        }
        f.write_str(&render::all(&self.path, &self.text, &self.lines, &self.list))
    }
}

impl std::error::Error for Mistakes {}
