//! Charts as SVG: small panels, both axes logarithmic, every figure labelled. In each panel a dashed line shows what growing in step with the size would look like.

use std::fmt::Write as _;

/// How large a panel is, and how far its curve stays away from its edges.
const WIDTH: f64 = 280.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 26.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 34.0;

/// How many panels stand side by side.
const COLUMNS: usize = 3;

/// Colours that can be read on white and on black; where the reader's choice is known, better ones.
const STYLE: &str = "\
text{font:11px system-ui,sans-serif;fill:#57606a;text-anchor:middle}.title{font-weight:600;font-size:12px;fill:#1f2328;text-anchor:start}.sub{text-anchor:start}\
.figure{fill:#1f2328}.beside{text-anchor:end}.curve{fill:none;stroke:#0969da;stroke-width:2}.dot{fill:#0969da}.step{stroke:#8c959f;stroke-dasharray:3 3}.axis{stroke:#8c959f;stroke-width:.75}\
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title,.figure{fill:#f0f6fc}.curve{stroke:#4493f8}.dot{fill:#4493f8}}";

/// One curve.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    /// What was counted or measured.
    pub(crate) subtitle: String,
    pub(crate) points: Vec<Point>,
}

/// A point of a curve and what stands at it. Both figures are above zero.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) x_label: String,
    pub(crate) y_label: String,
}

/// A span of an axis, in logarithms.
struct Span {
    from: f64,
    to: f64,
}

impl Span {
    /// What holds all figures and is `least` long.
    fn of(figures: impl Iterator<Item = f64> + Clone, least: f64) -> Self {
        let logs = figures.map(f64::log10);
        let from = logs.clone().fold(f64::INFINITY, f64::min);
        Self { from, to: logs.fold(from + least, f64::max) }
    }

    /// Where a figure stands, from 0 to 1.
    fn place(&self, figure: f64) -> f64 {
        (figure.log10() - self.from) / (self.to - self.from)
    }
}

/// All panels in one picture, row by row.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let (columns, rows) = (panels.len().min(COLUMNS), panels.len().div_ceil(COLUMNS));
    let (width, height) = (span(columns) * WIDTH, span(rows) * HEIGHT);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n<style>{STYLE}</style>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = (span(index % COLUMNS) * WIDTH, span(index / COLUMNS) * HEIGHT);
        let _ = writeln!(text, "<g transform=\"translate({x} {y})\">\n{}</g>", draw(panel));
    }
    text.push_str("</svg>\n");
    text
}

#[expect(clippy::cast_precision_loss, reason = "a few panels")]
fn span(panels: usize) -> f64 {
    panels as f64
}

fn draw(panel: &Panel) -> String {
    let horizontal = Span::of(panel.points.iter().map(|point| point.x), 1.0);
    // Two decades at least, so that what is flat looks flat.
    let vertical = Span::of(panel.points.iter().map(|point| point.y), 2.0);
    let bottom = HEIGHT - BOTTOM;
    let across = |x| LEFT + horizontal.place(x) * (WIDTH - LEFT - RIGHT);
    let up = |y| bottom - vertical.place(y) * (bottom - TOP);
    let mut text = format!("<text class=\"title\" x=\"{LEFT}\" y=\"18\">{}</text>\n", escaped(&panel.title));
    let _ = writeln!(text, "<text class=\"sub\" x=\"{LEFT}\" y=\"33\">{}</text>", escaped(&panel.subtitle));
    let _ = writeln!(text, "<path class=\"axis\" d=\"M{LEFT} {bottom}H{}\"/>", WIDTH - RIGHT);
    if let (Some(first), Some(last)) = (panel.points.first(), panel.points.last()) {
        // In step with the size, the cost of the largest comes down by the decades that the smaller ones are away, as far as there is room.
        let decades = (last.x.log10() - first.x.log10()).min(last.y.log10() - vertical.from);
        let from = last.x * 10_f64.powf(-decades);
        let (x1, y1, x2, y2) = (across(from), up(last.y * 10_f64.powf(-decades)), across(last.x), up(last.y));
        let _ = writeln!(text, "<path class=\"step\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
    }
    let corners: Vec<_> = panel.points.iter().map(|point| (across(point.x), up(point.y))).collect();
    let curve: Vec<_> = corners.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let _ = writeln!(text, "<path class=\"curve\" d=\"M{}\"/>", curve.join("L"));
    for (index, (Point { x_label, y_label, .. }, (x, y))) in panel.points.iter().zip(&corners).enumerate() {
        // Where the curve climbs it would run through a label above the point.
        let climbs = corners.get(index + 1).is_some_and(|(next_x, next_y)| y - next_y > 0.32 * (next_x - x));
        let class = if climbs && index > 0 { "figure beside" } else { "figure" };
        let _ = writeln!(text, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>");
        let _ = writeln!(text, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", y - 7.0, escaped(y_label));
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{:.1}\">{}</text>", bottom + 15.0, escaped(x_label));
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Point {
        Point { x, y, x_label: format!("{x}"), y_label: format!("<{y}") }
    }

    #[test]
    fn a_point_stands_where_its_logarithms_are() {
        let panel =
            Panel { title: "a & b".into(), subtitle: String::new(), points: vec![point(1.0, 10.0), point(10.0, 100.0), point(100.0, 1000.0)] };
        let text = svg(&[panel]);
        let [left, middle, right] = [LEFT, f64::midpoint(LEFT, WIDTH - RIGHT), WIDTH - RIGHT];
        let [low, half, high] = [HEIGHT - BOTTOM, f64::midpoint(HEIGHT - BOTTOM, TOP), TOP];
        assert!(text.contains(&format!("d=\"M{left:.1} {low:.1}L{middle:.1} {half:.1}L{right:.1} {high:.1}\"")), "{text}");
        assert!(text.contains("a &amp; b") && text.contains(">&lt;1000<"), "{text}");
    }

    #[test]
    fn panels_fill_row_by_row() {
        let panel = || Panel { title: String::new(), subtitle: String::new(), points: vec![point(1.0, 5.0)] };
        let text = svg(&[panel(), panel(), panel(), panel()]);
        assert!(text.contains(&format!("width=\"{}\" height=\"{}\"", 3.0 * WIDTH, 2.0 * HEIGHT)));
        assert!(text.contains(&format!("translate(0 {HEIGHT})")));
    }
}
