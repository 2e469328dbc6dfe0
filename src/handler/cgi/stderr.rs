//! What a program writes to stderr, for the log.

use std::sync::Arc;

/// How many bytes of a line are kept. Web servers cut what they log at a few KiB, and a program that never ends its line must not fill the memory.
const LINE_MAX: usize = 1024;

/// How many lines of one request are logged: enough for the trace of a mistake, too few to fill a disk.
const LINES_MAX: usize = 100;

/// Cuts what a program writes to stderr into lines and logs them, each as a warning.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Who says it.
    source: Arc<str>,
    line: Vec<u8>,
    logged: usize,
}

impl Lines {
    pub(crate) fn new(source: Arc<str>) -> Self {
        Self { source, line: Vec::new(), logged: 0 }
    }

    /// Takes the next bytes; they may end within a line.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_MAX.saturating_sub(self.line.len());
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            self.line.extend_from_slice(text.get(..room).unwrap_or(text));
            if ended {
                self.finish();
            }
        }
    }

    /// Logs what has come of the last line, which may be without an end.
    pub(crate) fn finish(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(line.trim_ascii());
        if text.is_empty() || self.logged > LINES_MAX {
            return;
        }
        let source = &self.source;
        if self.logged < LINES_MAX {
            tracing::warn!(target: "lodger", "{source}: {text}");
        } else {
            tracing::warn!(target: "lodger", "{source}: says more than {LINES_MAX} lines, and the rest is left out");
        }
        self.logged += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::cgi::testing::logged;

    #[test]
    fn lines_are_logged_whole_however_they_come() {
        let log = logged(|| {
            let mut lines = Lines::new("report.cgi".into());
            for piece in ["one\nt", "w", "o\r\n\n", "three"] {
                lines.push(piece.as_bytes());
            }
            lines.finish();
        });
        assert_eq!(log, ["report.cgi: one", "report.cgi: two", "report.cgi: three"]);
    }

    #[test]
    fn neither_a_line_nor_their_number_grows_without_end() {
        let log = logged(|| {
            let mut lines = Lines::new("p".into());
            lines.push(&[b'x'; 5000]);
            lines.push(b"y\n");
            for _ in 0..500 {
                lines.push(b"again\n");
            }
        });
        assert_eq!(log[0].len(), "p: ".len() + LINE_MAX);
        assert_eq!(log.len(), LINES_MAX + 1);
        assert_eq!(log[LINES_MAX], "p: says more than 100 lines, and the rest is left out");
    }
}
