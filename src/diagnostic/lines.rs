//! Where the lines of a text begin, so that thousands of places in it are found without reading it anew for each.

/// The first byte of every line of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at)
    }

    /// The first byte of a line that is counted from 1; none behind the last.
    pub(crate) fn start(&self, line: usize) -> Option<usize> {
        self.0.get(line.checked_sub(1)?).copied()
    }

    /// Line and column of a byte of `text`, both counted from 1, the column in characters.
    pub(crate) fn place(&self, text: &str, at: usize) -> (usize, usize) {
        let at = at.min(text.len());
        let line = self.line(at);
        let before = self.start(line).and_then(|start| text.get(start..at));
        (line, before.map_or(0, |before| before.chars().count()) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_has_a_line_and_a_column_of_characters() {
        let text = "ab\n\näöx\n";
        for (at, place) in [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (4, (3, 1)), (8, (3, 3)), (10, (4, 1)), (99, (4, 1))] {
            assert_eq!(Lines::of(text).place(text, at), place, "{at}");
        }
        assert_eq!(Lines::of("").place("", 0), (1, 1));
        assert_eq!((Lines::of(text).start(3), Lines::of(text).start(4), Lines::of(text).start(5)), (Some(4), Some(10), None));
    }
}
