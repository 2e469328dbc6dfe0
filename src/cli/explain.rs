//! `explain`: the page of one code, or all codes by their titles.

use std::process::ExitCode;

/// The pages as they stand in the guide. Each begins with `## LG0101: ` and its title.
const PAGES: &str = include_str!("../../docs/errors.md");

/// How wide a page is printed. Terminals have at least so many columns.
const WIDTH: usize = 80;

/// What begins the advice on a page.
const ADVICE: &str = "\n*Do:* ";

/// What the guide says about one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    code: &'static str,
    title: &'static str,
    text: &'static str,
}

/// Prints `page`, or which there are.
pub(super) fn run(page: Option<&Page>) -> ExitCode {
    super::print(&page.map_or_else(list, Page::print))
}

/// Finds the page of a code as people write it: `LG0309`, `lg0309` or `309`.
///
/// # Errors
///
/// When there is no such code; then a sentence that says so.
pub(super) fn find(asked: &str) -> Result<Page, String> {
    let asked = asked.trim().to_ascii_uppercase();
    let digits = asked.strip_prefix("LG").unwrap_or(&asked).trim_start_matches('0');
    pages()
        .find(|page| page.code.trim_start_matches(['L', 'G', '0']) == digits)
        .ok_or_else(|| "there is no such code; `explain` alone lists all".to_owned())
}

fn pages() -> impl Iterator<Item = Page> {
    PAGES.split("\n## ").skip(1).filter_map(|page| {
        let (heading, text) = page.split_once('\n')?;
        let (code, title) = heading.split_once(": ")?;
        Some(Page { code, title, text })
    })
}

fn list() -> String {
    pages().map(|page| format!("{}  {}\n", page.code, page.title)).collect()
}

impl Page {
    /// The page as a terminal shows it.
    fn print(&self) -> String {
        let text = self.text.replace(ADVICE, "\n\nWhat to do: ");
        let paragraphs = text.split("\n\n").map(|paragraph| paragraph.trim().replace('\n', " ")).filter(|paragraph| !paragraph.is_empty());
        let whole = std::iter::once(format!("{}: {}", self.code, self.title)).chain(paragraphs);
        let wrapped: Vec<String> = whole.map(|paragraph| textwrap::fill(&paragraph, WIDTH)).collect();
        wrapped.join("\n\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;

    #[test]
    fn every_code_is_found_however_it_is_written() {
        for code in codes::ALL.iter().map(|code| code.as_str()) {
            for written in [code, &code.to_ascii_lowercase(), &code[2..], code.trim_start_matches(['L', 'G', '0'])] {
                assert_eq!(find(written).map(|page| page.code), Ok(code), "{written}");
            }
        }
        for nonsense in ["", "LG", "LG0", "LG9999", "0", "apache"] {
            assert!(find(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn every_page_says_what_happened_and_what_to_do() {
        for page in pages() {
            let printed = page.print();
            let (what, advice) = printed.split_once("\n\nWhat to do: ").unwrap_or_else(|| panic!("{} has no advice", page.code));
            assert!(what.lines().count() > 2 && !advice.trim().is_empty(), "{printed}");
            assert!(printed.lines().all(|line| line.chars().count() <= WIDTH), "{printed}");
            assert!(!printed.contains("*Do:*"), "{printed}");
        }
    }
}
