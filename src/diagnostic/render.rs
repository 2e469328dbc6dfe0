//! Mistakes as people read them: the place, the line with a caret below it, and the cure.

use super::{Mistake, Severity, lines::Lines};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::path::Path;

/// How wide a line is printed. Terminals have at least so many columns.
const WIDTH: usize = 100;

/// How many mistakes are shown. Who has more has made one of them everywhere.
const MOST: usize = 100;

/// The mistakes of a file, an empty line between them.
pub(super) fn all(path: &Path, text: &str, lines: &Lines, list: &[Mistake]) -> String {
    let path = path.display().to_string();
    let mut whole: Vec<String> = list.iter().take(MOST).map(|mistake| one(&path, text, lines, mistake)).collect();
    whole.push(if list.len() > MOST { format!("and {} more\n", list.len() - MOST) } else { String::new() });
    whole.join("\n")
}

fn one(path: &str, text: &str, lines: &Lines, mistake: &Mistake) -> String {
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
            let start = span.start.min(end);
            // The lines that it is about alone: the renderer reads everything that it is given.
            let first = lines.line(start);
            let from = lines.start(first).unwrap_or_default();
            let to = lines.start(lines.line(end) + 1).unwrap_or(text.len());
            let snippet = Snippet::source(text.get(from..to).unwrap_or_default()).line_start(first).path(path);
            Group::with_title(title).element(snippet.annotation(AnnotationKind::Primary.span(start - from..end - from))).element(hint)
        }
        None => Group::with_title(title).element(annotate_snippets::Origin::path(path)).element(hint),
    };
    Renderer::plain().term_width(WIDTH).render(&[group]) + "\n"
}
