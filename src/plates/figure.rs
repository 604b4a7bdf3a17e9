//! A drawing of boxes, lines and texts in a document: what a chart of a page is on paper.

use super::draw::font_of;
use super::face::Weight;
use super::leaf::{BLACK, Flow, MARGIN, PAGE, Pen, WIDTH, pen, width};
use super::palette::Rgb;

/// A drawing in units of its own, from its upper left corner.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    pub size: (f64, f64),
    pub boxes: Vec<FigureBox>,
    pub lines: Vec<FigureLine>,
    pub texts: Vec<FigureText>,
}

#[derive(Debug, Clone)]
pub struct FigureBox {
    pub at: (f64, f64),
    pub size: (f64, f64),
    pub color: Rgb,
}

#[derive(Debug, Clone)]
pub struct FigureLine {
    pub path: Vec<(f64, f64)>,
    pub color: Rgb,
    pub is_dashed: bool,
}

#[derive(Debug, Clone)]
pub struct FigureText {
    /// The baseline.
    pub at: (f64, f64),
    /// To the left of it instead of to the right.
    pub ends_there: bool,
    pub text: String,
}

/// Widest and tallest on a page, in millimeters.
const MOST: [f64; 2] = [130.0, 200.0];
const LABEL: Pen = pen(Weight::Regular, 8.0, BLACK);

impl Figure {
    pub(super) fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }

    /// Millimeters a unit.
    fn scale(&self) -> f64 {
        (MOST[0] / self.size.0.max(1.0)).min(MOST[1] / self.size.1.max(1.0))
    }

    pub(super) fn height_mm(&self) -> f64 {
        self.size.1 * self.scale() + 4.0
    }
}

impl Flow<'_> {
    pub(super) fn figure(&mut self, figure: &Figure) {
        if figure.is_empty() {
            return;
        }
        self.need(figure.height_mm());
        let (scale, fonts) = (figure.scale(), self.fonts);
        let left = MARGIN + (WIDTH - figure.size.0 * scale) / 2.0;
        let (top, page) = (self.y + 1.0, self.page());
        let place = |(x, y): (f64, f64)| (left + x * scale, PAGE[1] - top - y * scale);
        page.content.raw("q");
        for one in &figure.boxes {
            let (x, y) = place((one.at.0, one.at.1 + one.size.1));
            page.content.color(one.color);
            page.content.op(&[x, y, one.size.0 * scale, one.size.1 * scale], "re f");
        }
        for line in figure.lines.iter().filter(|line| line.path.len() > 1) {
            let [r, g, b] = line.color;
            page.content.op(&[r, g, b], "RG 0.4 w");
            page.content.raw(if line.is_dashed { "[1.6 1.1] 0 d" } else { "[] 0 d" });
            for (at, point) in line.path.iter().enumerate() {
                let (x, y) = place(*point);
                page.content.op(&[x, y], if at == 0 { "m" } else { "l" });
            }
            page.content.raw("S");
        }
        page.content.raw("Q");
        for label in &figure.texts {
            let long = match font_of(fonts, LABEL.weight) {
                Some(_) if label.ends_there => width(&label.text, fonts, LABEL.weight) * LABEL.size(),
                _ => 0.0,
            };
            let (x, y) = (left + label.at.0 * scale - long, top + label.at.1 * scale);
            page.text(fonts, LABEL, (x, y), &label.text);
        }
        self.y = top + figure.size.1 * scale + 3.0;
    }
}
