//! The names in a template, which a visitor would otherwise be the first to find wrong.

use super::{Resolve, site::parameters};
use crate::config::{
    file::Found,
    mistakes,
    model::RoutePath,
    small::{LARGEST_PAGE, read_small},
};
use std::path::Path;

/// What a template may name beside the parameters of its path.
const NAMES: [&str; 5] = ["path", "query", "host", "scheme", "method"];

impl Resolve<'_> {
    /// Notes what a template names that nothing is filled in for. One that cannot be read is told elsewhere, and may come later.
    pub(super) fn check_template(&mut self, file: &Path, found: &Found, path: Option<&RoutePath>) {
        let Some((path, text)) = path.zip(read_small(file, LARGEST_PAGE).ok()) else { return };
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
