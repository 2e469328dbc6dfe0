//! The pages that a run writes: `docs/benchmarks.md`, and the short tables of the README.

use crate::{
    context::Context,
    peers::said,
    report::{Result, Section, Verdict},
};
use std::{fmt::Write as _, fs, path::Path, process::Command};

/// Where the README begins and ends to be written by this program.
const MARKS: [&str; 2] = ["<!-- benchmarks -->\n", "<!-- /benchmarks -->\n"];

/// Where and when a run took place.
#[derive(Debug)]
pub(crate) struct Run {
    /// The machine, its system, and what came with it.
    facts: Vec<(String, String)>,
    processor: String,
    date: String,
}

impl Run {
    /// Asks the machine.
    pub(crate) fn here(context: &Context) -> Result<Self> {
        let field = |file: &str, name: &str| -> Result<String> {
            let text = fs::read_to_string(file)?;
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix([':', '=']));
            Ok(value.unwrap_or("unknown").trim().trim_matches('"').to_owned())
        };
        // A virtual machine may say no more of its processor's name than who made it.
        let [name, family, model] = ["model name", "cpu family", "model"].map(|name| field("/proc/cpuinfo", name));
        let processor = format!("{} (family {}, model {})", name?, family?, model?);
        let kib = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse::<u64>()?;
        let machine = format!("{processor}, {} cores, {} GiB", context.cores_of_the_machine(), kib.div_ceil(1024 * 1024));
        let date = said(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?;
        let facts = vec![
            ("machine".to_owned(), machine),
            ("kernel".to_owned(), fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned()),
            ("system".to_owned(), field("/etc/os-release", "PRETTY_NAME")?),
            ("Rust".to_owned(), said(Command::new("rustc").arg("--version"))?),
        ];
        Ok(Self { facts, processor, date })
    }

    /// The whole page: ratios first, then how they came about.
    pub(crate) fn page(&self, sections: &[Section]) -> String {
        let mut text = format!("# Benchmarks\n\nWritten by `make bench` on {}; a change by hand does not last.\n", self.date);
        for table in sections.iter().filter_map(|section| section.short.as_ref()) {
            let _ = write!(text, "\n{}", table.markdown());
        }
        let targets: Vec<_> = sections.iter().flat_map(|section| &section.targets).collect();
        let are = |verdict| targets.iter().filter(move |target| target.verdict() == verdict).map(|target| format!("* {}\n", target.what));
        let _ = writeln!(text, "\n{} of {} targets hold.", are(Verdict::Holds).count(), targets.len());
        for (verdict, sentence) in
            [(Verdict::Missed, "These do not:"), (Verdict::Draw, "These are a draw, in which neither is better, and are not counted:")]
        {
            let list: String = are(verdict).collect();
            if !list.is_empty() {
                let _ = write!(text, "\n{sentence}\n\n{list}");
            }
        }

        let mut versions: Vec<_> = self.facts.iter().chain(sections.iter().flat_map(|section| &section.versions)).collect();
        let mut seen = Vec::new();
        versions.retain(|(name, _)| {
            !seen.contains(&name.as_str()) && {
                seen.push(name.as_str());
                true
            }
        });
        text.push_str("\n## Machine and versions\n\n");
        for (name, version) in versions {
            let _ = writeln!(text, "* {name}: {version}");
        }
        for section in sections {
            let _ = write!(text, "\n{}", section.markdown());
        }
        text
    }

    /// Writes both pages and their pictures.
    pub(crate) fn write(&self, sections: &[Section]) -> Result<()> {
        let root = Context::root();
        fs::write(root.join("docs/benchmarks.md"), self.page(sections))?;
        for (name, picture) in sections.iter().flat_map(|section| &section.pictures) {
            fs::write(root.join("docs").join(name), picture)?;
        }
        self.write_readme(&root.join("README.md"), sections)
    }

    fn write_readme(&self, readme: &Path, sections: &[Section]) -> Result<()> {
        let text = fs::read_to_string(readme)?;
        let mut tables = format!(
            "{} on {}; how, with what, and the rest: [docs/benchmarks.md](docs/benchmarks.md), made by `make bench`.\n",
            self.processor, self.date
        );
        for table in sections.iter().filter_map(|section| section.short.as_ref()) {
            let _ = write!(tables, "\n{}", table.markdown());
        }
        fs::write(readme, between_marks(&text, &tables).ok_or("the README has no marks for benchmarks")?)?;
        Ok(())
    }
}

/// `text` with what stands between the marks replaced.
fn between_marks(text: &str, new: &str) -> Option<String> {
    let [begin, end] = MARKS;
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some([before, begin, new, end, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Bound, Table, Target};

    #[test]
    fn a_page_begins_with_ratios_and_tells_which_targets_do_not_hold() {
        let mut short = Table::new("Times the limit.", &["server", "new"]);
        short.rows.push(vec!["lodger".into(), "1.10 ×".into()]);
        let target = |what: &str, measured, bound| Target { what: what.into(), measured, bound, unit: "×" };
        let versions = vec![("gcc".to_owned(), "12".to_owned()), ("gcc".to_owned(), "12".to_owned())];
        let section = Section {
            title: "Socket".into(),
            short: Some(short),
            targets: vec![
                target("good", 1.1, Bound::AtMost(1.3)),
                target("bad", 1.4, Bound::AtMost(1.3)),
                target("even", 1.0, Bound::NotBelowOne([0.9, 1.1])),
            ],
            versions,
            ..Section::default()
        };
        let run = Run { facts: vec![("machine".into(), "a PC".into())], processor: "a CPU".into(), date: "2026-01-02".into() };
        let page = run.page(&[section]);
        let at = |what: &str| page.find(what).unwrap_or_else(|| panic!("no {what} in {page}"));
        let (missed, draw) = ("1 of 3 targets hold.\n\nThese do not:\n\n* bad\n", "neither is better, and are not counted:\n\n* even\n");
        assert!(at("2026-01-02") < at("Times the limit.") && at("Times the limit.") < at(missed) && at(missed) < at(draw));
        assert!(at(draw) < at("a PC") && at("a PC") < at("## Socket"));
        assert_eq!(page.matches("* gcc: 12\n").count(), 1);
    }

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_nothing_else() {
        let text = "a\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\nb\n";
        assert_eq!(between_marks(text, "new\n").unwrap(), "a\n<!-- benchmarks -->\nnew\n<!-- /benchmarks -->\nb\n");
        assert_eq!(between_marks("nothing", "new"), None);
    }
}
