//! What went wrong, for the one who called us: opaque, with a code and somebody to blame.

pub use crate::diagnostic::codes::Code;

/// Any error. What handlers, bodies and starts may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whose doing an error is. It picks the level in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blame {
    /// The web server or the way it was set up.
    Gateway,
    /// The visitor.
    Client,
    /// The app.
    App,
    /// Who runs the site.
    Operator,
    /// lodger itself.
    Lodger,
}

/// Why serving ended, or could not begin.
///
/// `Display` tells one level; [`source`](std::error::Error::source) tells the rest.
pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    blame: Blame,
    sentence: String,
    hint: String,
    source: Option<BoxError>,
}

impl Error {
    pub(crate) fn new(code: Code, blame: Blame, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, blame, sentence: sentence.into(), hint: hint.into(), source: None }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The code, such as `LG0101`.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Whose doing it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        self.0.blame
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.0.hint
    }

    /// Code, sentence, all sources and hint, for a person.
    pub(crate) fn report(&self) -> String {
        format!("error[{}]: {}\n  hint: {}", self.code(), self.story(), self.hint())
    }

    /// The sentence and all sources.
    pub(crate) fn story(&self) -> String {
        let mut text = self.0.sentence.clone();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.sentence)
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.report())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
