//! Page content: vector operators only. Plates are drawn in millimetres with y upwards from the
//! lower left corner of their face; symbols in whole modules, as runs of rows under one fill, since
//! one fill a module leaves hairlines in viewers.

use super::PlateSpec;
use super::face::{Area, Face, Ink, Outline, Weight};
use super::fonts::Font;
use super::palette::{Palette, Rgb};
use super::proof::Expected;
use super::sheet::{Layout, Sheet};
use super::symbol::Symbol;
use super::typeset::{Line, MM_PER_PT};
use crate::domain::plate::Finish;

pub(super) const PT_PER_MM: f64 = 1.0 / MM_PER_PT;
/// Modules kept clear around a symbol.
pub(super) const QUIET: f64 = 4.0;
/// Control points of a quarter circle.
const KAPPA: f64 = 0.552_284_75;

pub(super) type Fonts = [Option<Font>; 2];

pub(super) fn font_of(fonts: &Fonts, weight: Weight) -> Option<&Font> {
    fonts[weight as usize].as_ref()
}

/// Appends operators to a content stream.
#[derive(Default)]
pub(super) struct Content(pub(super) Vec<u8>);

impl Content {
    pub(super) fn op(&mut self, numbers: &[f64], operator: &str) {
        for number in numbers {
            push_number(&mut self.0, *number, 3);
            self.0.push(b' ');
        }
        self.raw(operator);
    }

    pub(super) fn raw(&mut self, operators: &str) {
        self.0.extend_from_slice(operators.as_bytes());
        self.0.push(b'\n');
    }

    /// Scales by `scale` and moves the origin to (x, y).
    pub(super) fn place(&mut self, scale: f64, x: f64, y: f64) {
        self.0.extend_from_slice(b"q ");
        push_number(&mut self.0, scale, 6);
        self.0.extend_from_slice(b" 0 0 ");
        push_number(&mut self.0, scale, 6);
        self.0.push(b' ');
        self.op(&[x, y], "cm");
    }

    fn circle(&mut self, x: f64, y: f64, radius: f64) {
        self.ellipse(x, y, radius, radius);
    }

    fn ellipse(&mut self, x: f64, y: f64, a: f64, b: f64) {
        let (j, k) = (a * KAPPA, b * KAPPA);
        self.op(&[x + a, y], "m");
        self.op(&[x + a, y + k, x + j, y + b, x, y + b], "c");
        self.op(&[x - j, y + b, x - a, y + k, x - a, y], "c");
        self.op(&[x - a, y - k, x - j, y - b, x, y - b], "c");
        self.op(&[x + j, y - b, x + a, y - k, x + a, y], "c h");
    }

    /// The outline of a face, grown by `grow` on all sides.
    fn outline(&mut self, outline: Outline, grow: f64) {
        match outline {
            Outline::Circle { d } => self.circle(d / 2.0, d / 2.0, d / 2.0 + grow),
            Outline::Oval { width, height } => {
                let (a, b) = (width / 2.0, height / 2.0);
                self.ellipse(a, b, a + grow, b + grow);
            }
            Outline::Rect { width, height, radius } => {
                let (left, bottom, right, top) = (-grow, -grow, width + grow, height + grow);
                let radius = if radius > 0.0 { radius + grow } else { 0.0 };
                let k = radius * (1.0 - KAPPA);
                self.op(&[left + radius, bottom], "m");
                self.op(&[right - radius, bottom], "l");
                self.op(&[right - k, bottom, right, bottom + k, right, bottom + radius], "c");
                self.op(&[right, top - radius], "l");
                self.op(&[right, top - k, right - k, top, right - radius, top], "c");
                self.op(&[left + radius, top], "l");
                self.op(&[left + k, top, left, top - k, left, top - radius], "c");
                self.op(&[left, bottom + radius], "l");
                self.op(&[left, bottom + k, left + k, bottom, left + radius, bottom], "c h");
            }
        }
    }

    /// Lines of text; `top` is the height of y = 0 of the lines.
    pub(super) fn lines(&mut self, lines: &[Line], top: f64, ink: impl Fn(Ink) -> Rgb, fonts: &Fonts) {
        if lines.is_empty() {
            return;
        }
        self.raw("BT");
        let mut last_ink = None;
        for line in lines {
            if last_ink != Some(line.ink) {
                self.color(ink(line.ink));
                last_ink = Some(line.ink);
            }
            self.0.extend_from_slice(match line.weight {
                Weight::Regular => b"/R ",
                Weight::Bold => b"/B ",
            });
            self.op(&[line.size], "Tf");
            self.op(&[1.0, 0.0, 0.0, 1.0, line.x, top - line.baseline], "Tm");
            self.0.push(b'<');
            for character in line.text.chars() {
                // Checked when the batch was prepared; .notdef would be visible and caught by eye.
                let glyph = font_of(fonts, line.weight).and_then(|font| font.glyph(character));
                let id = glyph.map_or(0, |glyph| glyph.id);
                for shift in [12, 8, 4, 0] {
                    self.0.push(b"0123456789ABCDEF"[usize::from(id >> shift & 15)]);
                }
            }
            self.raw(">Tj");
        }
        self.raw("ET");
    }

    /// The modules of a symbol whose lower left one stands at `corner`; `f Q` paints them.
    pub(super) fn symbol(&mut self, module: f64, corner: (f64, f64), symbol: &Symbol) {
        let side = symbol.rows.len();
        self.raw("0 g");
        self.place(module, corner.0, corner.1);
        for (at, row) in symbol.rows.iter().enumerate() {
            let mut rest = *row;
            while rest != 0 {
                let start = rest.trailing_zeros();
                let run = (!(rest >> start)).trailing_zeros();
                self.op(&[f64::from(start), (side - 1 - at) as f64, f64::from(run), 1.0], "re");
                rest &= !(((1u64 << run) - 1) << start);
            }
        }
    }

    pub(super) fn color(&mut self, [r, g, b]: Rgb) {
        if r == g && g == b { self.op(&[r], "g") } else { self.op(&[r, g, b], "rg") }
    }

    /// A gray for hairlines.
    fn stroke(&mut self, [gray, _, _]: Rgb) {
        self.op(&[gray], "G 0.1 w");
    }
}

/// Draws pages of one batch.
pub(super) struct Drawing<'a> {
    pub(super) face: &'a Face,
    pub(super) sheet: &'a Sheet,
    pub(super) palette: &'a Palette,
    pub(super) finish: Finish,
    pub(super) layout: &'a Layout,
    pub(super) fonts: &'a Fonts,
}

impl Drawing<'_> {
    /// What all plates of a batch share: ground, band in the color that is set where it is shown, cut
    /// line, holes, fixed words. A form of its own.
    pub(super) fn shared_part(&self, fixed: &[Line]) -> Vec<u8> {
        let mut content = Content::default();
        let (width, height) = self.face.outline.size();
        let bleed = self.sheet.bleed;
        let qr = self.face.qr;
        if let Some(ground) = self.finish.ground() {
            content.raw("q");
            content.outline(self.face.outline, bleed);
            content.raw("W n");
            content.color(ground);
            content.op(&[-bleed, -bleed, width + 2.0 * bleed, height + 2.0 * bleed], "re f");
            content.raw("1 g");
            content.op(&[qr.x, height - qr.y - qr.h, qr.w, qr.h], "re f Q");
        }
        if let Some(band) = self.face.band {
            let band = grown(band, width, height, bleed);
            content.raw("q");
            content.outline(self.face.outline, bleed);
            content.raw("W n");
            content.op(&[band.x, height - band.y - band.h, band.w, band.h], "re f Q");
        }
        content.lines(fixed, height, |ink| self.finish.ink(ink, self.palette, None), self.fonts);
        content.stroke(self.finish.line());
        if self.sheet.cut_line && self.sheet.cut_contour.is_none() {
            content.outline(self.face.outline, 0.0);
            content.raw("S");
        }
        content.raw("1 g");
        for hole in &self.face.holes {
            content.circle(hole.x, height - hole.y, hole.d / 2.0);
            content.raw("B");
        }
        if self.sheet.cut_contour.is_some() {
            // Over all that is printed, and printed over nothing: the cutter alone reads it.
            content.raw("q /O gs /K CS 1 SCN 0.1 w");
            content.outline(self.face.outline, 0.0);
            content.raw("S");
            for hole in &self.face.holes {
                content.circle(hole.x, height - hole.y, hole.d / 2.0);
                content.raw("S");
            }
            content.raw("Q");
        }
        content.0
    }

    fn scale(&self) -> f64 {
        PT_PER_MM * self.sheet.printer.scale
    }

    /// Point on the page (y upwards, points) of a place in millimetres from its upper left corner.
    fn point(&self, x: f64, y: f64) -> (f64, f64) {
        let printer = self.sheet.printer;
        let x = printer.offset_x + x * printer.scale;
        let y = self.layout.page.height - printer.offset_y - y * printer.scale;
        (x * PT_PER_MM, y * PT_PER_MM)
    }

    /// What all pages share: crop marks. A form of its own, empty where there are none.
    pub(super) fn frame_part(&self) -> Vec<u8> {
        let mut content = Content::default();
        if let Some(marks) = self.sheet.crop_marks {
            let layout = self.layout;
            let (x, y) = self.point(0.0, 0.0);
            content.place(self.scale(), x, y);
            content.raw("0 G 0.1 w");
            let (width, height) = self.face.outline.size();
            let (grid_left, grid_top) = layout.corner(0);
            let (last_x, last_y) = layout.corner(layout.per_page() - 1);
            let (grid_right, grid_bottom) = (last_x + width, last_y + height);
            let mut mark = |x1: f64, y1: f64, x2: f64, y2: f64| {
                content.op(&[x1, -y1], "m");
                content.op(&[x2, -y2], "l");
            };
            let (near, far) = (marks.offset, marks.offset + marks.length);
            for column in 0..layout.columns {
                let (left, _) = layout.corner(column);
                for x in [left, left + width] {
                    mark(x, grid_top - near, x, grid_top - far);
                    mark(x, grid_bottom + near, x, grid_bottom + far);
                }
            }
            for row in 0..layout.rows {
                let (_, top) = layout.corner(row * layout.columns);
                for y in [top, top + height] {
                    mark(grid_left - near, y, grid_left - far, y);
                    mark(grid_right + near, y, grid_right + far, y);
                }
            }
            content.raw("S Q");
        }
        content.0
    }

    pub(super) fn caption(&self, content: &mut Content, line: &Line) {
        let (x, y) = self.point(0.0, 0.0);
        content.place(self.scale(), x, y);
        let ink = |ink| match self.finish {
            Finish::Inverted => [0.0; 3],
            finish => finish.ink(ink, self.palette, None),
        };
        content.lines(std::slice::from_ref(line), 0.0, ink, self.fonts);
        content.raw("Q");
    }

    /// Draws one plate and says where its symbol must be found again.
    pub(super) fn plate(
        &self,
        content: &mut Content,
        place: usize,
        spec: &PlateSpec,
        lines: &[Line],
        symbol: &Symbol,
    ) -> Expected {
        let (_, height) = self.face.outline.size();
        let (left, top) = self.layout.corner(place);
        let (x, y) = self.point(left, top + height);
        content.place(self.scale(), x, y);
        let qr = self.face.qr;
        if self.face.band.is_some() {
            content.color(self.finish.band(self.palette, spec.class));
        }
        content.raw("/F Do");
        let ink = |ink| self.finish.ink(ink, self.palette, Some(spec.class));
        content.lines(lines, height, ink, self.fonts);

        let side = symbol.rows.len();
        let module = qr.w / (side as f64 + 2.0 * QUIET);
        content.symbol(module, (qr.x + QUIET * module, height - qr.y - qr.h + QUIET * module), symbol);
        content.raw("f Q Q");

        let (left, top) = self.point(left + qr.x, top + qr.y);
        Expected {
            left,
            top,
            module: module * self.scale(),
            rows: symbol.rows.clone(),
            record: symbol.record,
        }
    }
}

/// Grows the sides that touch the edge of the face into the bleed.
fn grown(area: Area, width: f64, height: f64, bleed: f64) -> Area {
    let left = if area.x <= 0.0 { area.x - bleed } else { area.x };
    let top = if area.y <= 0.0 { area.y - bleed } else { area.y };
    let right = if area.x + area.w >= width { area.x + area.w + bleed } else { area.x + area.w };
    let bottom = if area.y + area.h >= height { area.y + area.h + bleed } else { area.y + area.h };
    Area { x: left, y: top, w: right - left, h: bottom - top }
}

/// Writes a number with at most `decimals` places and no more characters than it needs.
pub(super) fn push_number(out: &mut Vec<u8>, number: f64, decimals: u32) {
    let unit = 10i64.pow(decimals);
    let scaled = (number * unit as f64).round() as i64;
    if scaled < 0 {
        out.push(b'-');
    }
    let scaled = scaled.unsigned_abs();
    let (whole, mut part) = (scaled / unit.unsigned_abs(), scaled % unit.unsigned_abs());
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = whole;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    if part != 0 {
        out.push(b'.');
        let mut unit = unit.unsigned_abs();
        while part != 0 {
            unit /= 10;
            out.push(b'0' + (part / unit) as u8);
            part %= unit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact_to_their_places() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0004, "0"),
            (1.5, "1.5"),
            (-12.3456, "-12.346"),
            (0.05, "0.05"),
            (841.89, "841.89"),
            (29.0, "29"),
        ] {
            let mut out = Vec::new();
            push_number(&mut out, number, 3);
            let written = String::from_utf8(out).unwrap();
            assert_eq!(
                written.trim_start_matches("-0").len(),
                text.trim_start_matches("-0").len(),
                "{written}"
            );
            assert_eq!(written.parse::<f64>().unwrap(), text.parse::<f64>().unwrap());
        }
    }
}
