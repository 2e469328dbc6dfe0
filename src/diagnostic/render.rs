//! Mistakes as people read them: the place, the line with a caret below it, and the cure.

use super::{Mistake, Severity};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::path::Path;

/// How wide a line is printed. Terminals have at least so many columns.
const WIDTH: usize = 100;

/// All mistakes of a file, an empty line between them.
pub(super) fn all(path: &Path, text: &str, list: &[Mistake]) -> String {
    let path = path.display().to_string();
    let mut whole: Vec<String> = list.iter().map(|mistake| one(&path, text, mistake)).collect();
    whole.push(String::new());
    whole.join("\n")
}

fn one(path: &str, text: &str, mistake: &Mistake) -> String {
    let level = match mistake.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&mistake.sentence).id(mistake.code.as_str());
    let hint = Level::HELP.message(&mistake.hint);
    let group = match &mistake.span {
        Some(span) => {
            // A span may lie behind the end of a text that was cut.
            let end = span.end.min(text.len());
            let snippet = Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(span.start.min(end)..end));
            Group::with_title(title).element(snippet).element(hint)
        }
        None => Group::with_title(title).element(annotate_snippets::Origin::path(path)).element(hint),
    };
    Renderer::plain().term_width(WIDTH).render(&[group]) + "\n"
}
