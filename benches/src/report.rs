//! What a family found, and how it is printed: tables of cells, targets beside the figures, Markdown.

use std::fmt::Write as _;

/// What can go wrong in a benchmark is told to the person who runs it, and nobody else looks inside.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Programs and their versions.
pub(crate) type Versions = Vec<(String, String)>;

/// What one family of benchmarks found.
#[derive(Debug, Default)]
pub(crate) struct Section {
    /// The heading.
    pub(crate) title: String,
    /// What was measured and how, as Markdown.
    pub(crate) about: String,
    /// The figures.
    pub(crate) tables: Vec<Table>,
    /// What lodger promised of them.
    pub(crate) targets: Vec<Target>,
    /// The table that the README shows, where it shows one of this family.
    pub(crate) short: Option<Table>,
    /// Pictures that the page shows: the name of a file beside it, and what is in the file.
    pub(crate) pictures: Vec<(&'static str, String)>,
    /// What was measured, and what it was built with.
    pub(crate) versions: Versions,
}

/// A table; its first column is a name, all others are figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// A sentence above it, or nothing.
    pub(crate) caption: String,
    /// The heads of the columns.
    pub(crate) head: Vec<String>,
    /// The cells, row by row. A cell that does not apply is a dash.
    pub(crate) rows: Vec<Vec<String>>,
}

/// A bound that a figure has to keep.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// What the figure is.
    pub(crate) what: String,
    /// The figure.
    pub(crate) measured: f64,
    /// The bound.
    pub(crate) bound: Bound,
    /// What stands behind both numbers, such as `×` or `MiB`.
    pub(crate) unit: &'static str,
}

/// Which side of the bound is good.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Not below one, which says that somebody else is not better. Between these two the rounds lie, without the lowest and the highest: where one lies between them too, neither is better.
    NotBelowOne([f64; 2]),
}

/// How a figure stands to its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Missed,
    /// The rounds do not tell one from the other.
    Draw,
    Holds,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "yes",
            Self::Draw => "a draw",
            Self::Missed => "**no**",
        }
    }
}

impl Target {
    /// How the figure stands to its bound. One that is no number misses it.
    pub(crate) fn verdict(&self) -> Verdict {
        let holds = match self.bound {
            Bound::AtMost(bound) => self.measured <= bound,
            Bound::AtLeast(bound) => self.measured >= bound,
            Bound::NotBelowOne([low, high]) if low < 1.0 && high >= 1.0 => return Verdict::Draw,
            Bound::NotBelowOne([low, high]) => low >= 1.0 && high >= low,
        };
        if holds { Verdict::Holds } else { Verdict::Missed }
    }

    fn row(&self) -> Vec<String> {
        let Self { what, measured, bound, unit } = self;
        let (bound, spread) = match bound {
            Bound::AtMost(bound) => (format!("≤ {bound} {unit}"), String::new()),
            Bound::AtLeast(bound) => (format!("≥ {bound} {unit}"), String::new()),
            Bound::NotBelowOne([low, high]) => (format!("not below 1 {unit}"), format!(" ({low:.3} – {high:.3})")),
        };
        vec![what.clone(), bound, format!("{measured:.2} {unit}{spread}"), self.verdict().as_str().into()]
    }
}

impl Table {
    /// An empty table with the heads of its columns.
    pub(crate) fn new(caption: &str, head: &[&str]) -> Self {
        Self { caption: caption.into(), head: head.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// The same table with a column for the names and then every second one.
    pub(crate) fn first_of_each_pair(&self, caption: &str) -> Self {
        let keep =
            |row: &Vec<String>| row.iter().enumerate().filter(|(column, _)| *column == 0 || column % 2 == 1).map(|(_, cell)| cell.clone()).collect();
        Self { caption: caption.into(), head: keep(&self.head), rows: self.rows.iter().map(keep).collect() }
    }

    /// The table as Markdown whose columns are also straight in a terminal.
    pub(crate) fn markdown(&self) -> String {
        let width = |column: usize| self.rows.iter().chain([&self.head]).filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.head.len()).map(|column| width(column).unwrap_or(0).max(3)).collect();
        let mut text = String::new();
        if !self.caption.is_empty() {
            let _ = writeln!(text, "{}\n", self.caption);
        }
        let line = |cells: &[String], text: &mut String| {
            for (column, width) in widths.iter().enumerate() {
                let cell = cells.get(column).map_or("", String::as_str);
                let _ = if column == 0 { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
            }
            text.push_str("|\n");
        };
        line(&self.head, &mut text);
        for (column, width) in widths.iter().enumerate() {
            let _ = if column == 0 { write!(text, "| {} ", "-".repeat(*width)) } else { write!(text, "| {}: ", "-".repeat(*width - 1)) };
        }
        text.push_str("|\n");
        for row in &self.rows {
            line(row, &mut text);
        }
        text
    }
}

impl Section {
    /// The section as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n", self.title, self.about.trim());
        for table in self.tables.iter().cloned().chain(self.targets_table()) {
            let _ = write!(text, "\n{}", table.markdown());
        }
        text
    }

    fn targets_table(&self) -> Option<Table> {
        let mut table = Table::new("", &["target", "bound", "measured", "holds"]);
        table.rows.extend(self.targets.iter().map(Target::row));
        (!table.rows.is_empty()).then_some(table)
    }
}

/// The middle of some figures; of an even number the mean of the two in the middle. Not a number when there are none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(high), 1) => *high,
        (Some(high), _) => sorted.get(middle - 1).map_or(f64::NAN, |low| f64::midpoint(*low, *high)),
        (None, _) => f64::NAN,
    }
}

/// Between which two figures all others lie but the lowest and the highest of them. Not numbers where there are fewer than three.
pub(crate) fn without_extremes(figures: &[f64]) -> [f64; 2] {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.as_slice() {
        [_, between @ .., _] => [between.first(), between.last()].map(|figure| figure.copied().unwrap_or(f64::NAN)),
        _ => [f64::NAN; 2],
    }
}

/// How many times the other one figure is: the median over the rounds of what it was in each. Not a number when nothing was measured.
pub(crate) fn times(figures: &[f64], others: &[f64]) -> f64 {
    median(&times_by_round(figures, others))
}

/// How many times the other one figure was in each round.
pub(crate) fn times_by_round(figures: &[f64], others: &[f64]) -> Vec<f64> {
    figures.iter().zip(others).map(|(figure, other)| figure / other).collect()
}

/// Nanoseconds as microseconds with two digits behind the point.
pub(crate) fn microseconds(nanoseconds: f64) -> String {
    format!("{:.2} µs", nanoseconds / 1000.0)
}

/// How many times one figure another is.
pub(crate) fn ratio(times: f64) -> String {
    format!("{times:.2} ×")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_straight_and_figures_stand_at_the_right() {
        let mut table = Table::new("CPU per request.", &["server", "new"]);
        table.rows.push(vec!["lodger".into(), "1.15 ×".into()]);
        table.rows.push(vec!["C".into(), "–".into()]);
        let text = "CPU per request.\n\n| server |    new |\n| ------ | -----: |\n| lodger | 1.15 × |\n| C      |      – |\n";
        assert_eq!(table.markdown(), text);
    }

    #[test]
    fn a_row_that_is_too_short_is_filled_up() {
        let mut table = Table::new("", &["a", "b"]);
        table.rows.push(vec!["x".into()]);
        assert_eq!(table.markdown().lines().last(), Some("| x   |     |"));
    }

    #[test]
    fn the_short_table_leaves_the_second_of_each_pair_out() {
        let mut table = Table::new("long", &["server", "new", "CPU", "kept", "CPU"]);
        table.rows.push(["lodger", "1 ×", "9 µs", "–", "–"].map(str::to_owned).to_vec());
        let short = table.first_of_each_pair("short");
        assert_eq!(
            (short.caption.as_str(), short.head.join(" "), short.rows[0].join(" ")),
            ("short", "server new kept".into(), "lodger 1 × –".into())
        );
    }

    #[test]
    fn a_target_stands_beside_its_figure_and_says_whether_it_holds() {
        let target = |measured, bound| Target { what: "kept".into(), measured, bound, unit: "×" };
        let between = |low, high| target(1.0, Bound::NotBelowOne([low, high]));
        let targets = vec![
            target(1.994, Bound::AtMost(2.0)),
            target(2.1, Bound::AtMost(2.0)),
            target(f64::NAN, Bound::AtLeast(1.0)),
            between(1.0, 1.1),
            between(0.95, 1.0),
            between(0.9, 0.99),
            between(f64::NAN, f64::NAN),
            between(1.2, f64::NAN),
        ];
        let section = Section { title: "Socket".into(), about: "How.".into(), targets, ..Section::default() };
        let text = section.markdown();
        assert!(text.starts_with("## Socket\n\nHow.\n\n| target "), "{text}");
        let holds: Vec<_> = text.lines().skip(6).map(|line| line.split('|').nth(4).unwrap().trim()).collect();
        assert_eq!(holds, ["yes", "**no**", "**no**", "yes", "a draw", "**no**", "**no**", "**no**"]);
        assert!(text.contains("|         ≤ 2 × |                 1.99 × |"), "{text}");
        assert!(text.contains("| not below 1 × | 1.00 × (0.950 – 1.000) | a draw |"), "{text}");
    }

    #[test]
    fn the_median_of_an_odd_and_an_even_number_of_figures() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
        assert!((times(&[2.0, 30.0, 8.0], &[1.0, 10.0, 2.0]) - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_lowest_and_the_highest_figure_are_left_out() {
        let between = |figures: &[f64]| without_extremes(figures).map(|figure| figure.to_string()).join(" ");
        assert_eq!(between(&[7.0, 1.0, 6.0, 2.0, 5.0, 3.0, 4.0]), "2 6");
        assert_eq!(between(&[2.0, 1.0, 3.0]), "2 2");
        assert_eq!((between(&[1.0, 2.0]), between(&[])), ("NaN NaN".into(), "NaN NaN".into()));
    }
}
