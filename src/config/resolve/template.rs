//! The names in a template, which a visitor would otherwise be the first to find wrong.

use super::{Resolve, site::parameters};
use crate::config::{file::Found, mistakes, model::RoutePath};
use std::path::Path;

/// The largest template that is filled in, in bytes, as the handler has it.
const LARGEST: u64 = 1024 * 1024;

/// What a template may name beside the parameters of its path.
const NAMES: [&str; 5] = ["path", "query", "host", "scheme", "method"];

impl Resolve<'_> {
    /// Notes what a template names that nothing is filled in for. One that cannot be read is told elsewhere, and may come later.
    pub(super) fn check_template(&mut self, file: &Path, found: &Found, path: Option<&RoutePath>) {
        let is_readable = std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
        let Some((path, text)) = path.zip(std::fs::read_to_string(file).ok().filter(|_| is_readable)) else { return };
        let shown = file.strip_prefix(self.folder).unwrap_or(file).display().to_string();
        let known: Vec<&str> = parameters(&path.pattern).chain(NAMES).collect();
        let mut told: Vec<&str> = Vec::new();
        for piece in text.split("{{").skip(1) {
            let Some((name, _)) = piece.split_once("}}") else {
                let mistake = mistakes::conflict(found.span.clone(), format!("{shown} has a `{{{{` without its `}}}}`"), "close it: `{{ path }}`");
                self.mistakes.push(mistake.warning());
                return;
            };
            let name = name.trim();
            if !known.contains(&name) && !told.contains(&name) {
                let all = known.iter().map(|name| format!("`{{{{ {name} }}}}`")).collect::<Vec<_>>().join(", ");
                let sentence = format!("{shown} has `{{{{ {name} }}}}`, which is nothing that can be filled in");
                self.mistakes.push(mistakes::conflict(found.span.clone(), sentence, format!("there is {all}")).warning());
                told.push(name);
            }
        }
    }
}
