//! 校准页: a page with rulers, printed once on each printer; what is measured on it says what that printer
//! does wrong, and [`Printer`] takes it back.

use flate2::Compression;
use std::collections::BTreeSet;
use std::io::Write;

use super::draw::{Content, PT_PER_MM};
use super::face::{Align, Area, Ink, TextBox, Weight};
use super::fonts::Font;
use super::pdf::{PageBoxes, PdfWriter, deflate};
use super::sheet::{Extent, Printer, Sheet};
use super::typeset::{self, Line};
use super::{PlateError, name_character};
use crate::domain::Refusal;
use crate::domain::ids::Millis;

/// What stands on the calibration page of a sheet, in millimetres from the upper left corner of the paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rulers {
    page: Extent,
    /// Of the line whose distance from the paper's left edge is measured.
    pub left: f64,
    /// Of the line whose distance from the paper's upper edge is measured.
    pub top: f64,
    /// Lengths of the two rulers.
    pub across: f64,
    pub down: f64,
}

/// Where the measured lines lie: inside what printers can reach.
const EDGE: f64 = 10.0;
/// From the measured lines to the rulers.
const ROOM: f64 = 12.0;
/// Shortest ruler that says a scale to a thousandth with a ruler in hand.
const SHORTEST: f64 = 50.0;
/// How far the two directions of one printer may differ: more is a slipping feed, not a scale.
const UNEVEN: f64 = 0.004;

impl Rulers {
    /// Those of a sheet. Refuses a sheet without a page of its own, or one too small to measure on.
    pub fn of(sheet: &Sheet) -> Result<Self, Refusal> {
        let refuse = || Refusal::new("calibration.sheet").at("sheet").with("sheet", &sheet.id);
        let page = sheet.page.ok_or_else(refuse)?;
        let length = |side: f64| ((side - 2.0 * (EDGE + ROOM)) / 10.0).floor() * 10.0;
        let (across, down) = (length(page.width), length(page.height));
        if across < SHORTEST || down < SHORTEST {
            return Err(refuse());
        }
        Ok(Self { page, left: EDGE, top: EDGE, across, down })
    }

    /// What a printer does wrong, from what was measured on its page: the distances of the two lines from
    /// the paper's edges and the lengths of the two rulers. Refuses what no printer does.
    pub fn printer(self, measured: Measured) -> Result<Printer, Refusal> {
        let Measured { left, top, across, down } = measured;
        let numbers = [("left", left), ("top", top), ("across", across), ("down", down)];
        for (name, number) in numbers {
            if !number.is_finite() || !(0.0..=2000.0).contains(&number) {
                return Err(Refusal::new("calibration.number").at(name));
            }
        }
        let (wide, high) = (across / self.across, down / self.down);
        let scale = (wide + high) / 2.0;
        if !(0.95..=1.05).contains(&(1.0 / scale)) {
            let refusal = Refusal::new("calibration.scale").at("across");
            return Err(refusal.with("across", self.across).with("down", self.down));
        }
        if (wide - high).abs() > UNEVEN {
            return Err(Refusal::new("calibration.uneven").at("down"));
        }
        // The printer puts p at offset + scale · p.
        let offset = |found: f64, meant: f64| -(found - scale * meant) / scale;
        let rounded = |number: f64, unit: f64| (number * unit).round() / unit;
        let printer = Printer {
            offset_x: rounded(offset(left, self.left), 100.0),
            offset_y: rounded(offset(top, self.top), 100.0),
            scale: rounded(1.0 / scale, 100_000.0),
        };
        if printer.offset_x.abs() > 20.0 || printer.offset_y.abs() > 20.0 {
            return Err(Refusal::new("calibration.offset").at("left"));
        }
        Ok(printer)
    }
}

/// What somebody read off a printed page, in millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub left: f64,
    pub top: f64,
    pub across: f64,
    pub down: f64,
}

/// Writes the calibration page of a sheet as it stands before any correction. `words` are the lines of
/// its instructions.
pub fn render_calibration(
    rulers: Rulers,
    words: &[String],
    title: &str,
    dated: Millis,
    out: &mut impl Write,
) -> Result<u64, PlateError> {
    let shown: BTreeSet<char> = words.iter().flat_map(|line| line.chars()).chain('0'..='9').collect();
    let fonts = [Some(Font::cut(Weight::Regular, &shown)?), None];
    let font = fonts[0].as_ref();
    let page = rulers.page;
    let mut content = Content::default();
    content.place(PT_PER_MM, 0.0, page.height * PT_PER_MM);
    content.raw("0 G 0.1 w");
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        content.op(&[x1, -y1], "m");
        content.op(&[x2, -y2], "l S");
    };
    line(rulers.left, EDGE * 2.0, rulers.left, page.height / 2.0);
    line(EDGE * 2.0, rulers.top, page.width / 2.0, rulers.top);
    let start = EDGE + ROOM;
    let mut numbers = Vec::new();
    for (length, across) in [(rulers.across, true), (rulers.down, false)] {
        let mut mark = |at: f64, height: f64| {
            if across {
                line(start + at, start, start + at, start + height);
            } else {
                line(start, start + at, start + height, start + at);
            }
        };
        for at in 0..=length as i64 {
            let height = match at {
                at if at % 10 == 0 => 6.0,
                at if at % 5 == 0 => 4.5,
                _ => 3.0,
            };
            mark(at as f64, height);
            // The first number of both rulers would be one upon the other.
            if at % 10 == 0 && at > 0 {
                let at = at as f64;
                numbers.push(if across {
                    (start + at, start + 8.5, at)
                } else {
                    (start + 8.5, start + at, at)
                });
            }
        }
        if across {
            line(start, start, start + length, start);
        } else {
            line(start, start, start, start + length);
        }
    }
    let mut lines: Vec<Line> = Vec::new();
    if let Some(font) = font {
        for (x, y, number) in numbers {
            let area = Area { x: x - 6.0, y: y - 1.5, w: 12.0, h: 3.0 };
            lines.extend(set(area, (7.0, 1), Align::Center, &format!("{number}"), font)?);
        }
        let (left, width) = (start + 16.0, page.width - start - 26.0);
        for (at, words) in words.iter().enumerate() {
            let area = Area { x: left, y: start + 18.0 + at as f64 * 11.0, w: width, h: 10.0 };
            lines.extend(set(area, (10.0, 2), Align::Left, words, font)?);
        }
    }
    content.lines(&lines, 0.0, |_| [0.0; 3], &fonts);
    content.raw("Q");

    let media = [page.width, page.height].map(|length| length * PT_PER_MM);
    let mut pdf = PdfWriter::begin(out, PageBoxes { media, trim: None })?;
    let resources = pdf.text_resources(fonts.iter().flatten())?;
    pdf.page(&deflate(&content.0, Compression::default())?)?;
    Ok(pdf.finish(&resources, title, dated)?)
}

fn set(
    area: Area,
    (size_pt, lines): (f64, u32),
    align: Align,
    words: &str,
    font: &Font,
) -> Result<Vec<Line>, Refusal> {
    let text_box = TextBox {
        area,
        size_pt,
        min_pt: 5.0,
        lines,
        weight: Weight::Regular,
        align,
        ink: Ink::Black,
        show: words.to_owned(),
        pieces: Vec::new(),
        blank: None,
    };
    typeset::set(&text_box, words, font).map_err(|unfit| match unfit {
        typeset::Unfit::NoGlyph(character) => {
            Refusal::new("plates.caption_glyph").at("title").with("character", name_character(character))
        }
        typeset::Unfit::TooLong => Refusal::new("plates.caption_long").at("title").with("text", words),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rulers() -> Rulers {
        Rulers::of(&Sheet::built_in()[0]).unwrap()
    }

    #[test]
    fn only_a_sheet_with_a_page_can_be_measured_and_only_what_a_printer_does() {
        let refused: Vec<&str> = ["single", "roll"]
            .into_iter()
            .map(|id| Sheet::built_in().into_iter().find(|sheet| sheet.id == id).unwrap())
            .map(|sheet| Rulers::of(&sheet).unwrap_err().code)
            .collect();
        assert_eq!(refused, ["calibration.sheet"; 2]);
        let Rulers { across, down, .. } = rulers();
        assert_eq!((across, down), (160.0, 250.0));
        let fits = Measured { left: 10.0, top: 10.0, across, down };
        for (measured, code) in [
            (Measured { across: 150.0, down: 235.0, ..fits }, "calibration.scale"),
            (Measured { across: 161.0, ..fits }, "calibration.uneven"),
            (Measured { left: 40.0, ..fits }, "calibration.offset"),
            (Measured { top: f64::NAN, ..fits }, "calibration.number"),
        ] {
            assert_eq!(rulers().printer(measured).unwrap_err().code, code);
        }
    }

    proptest! {
        /// Whatever a printer does wrong, what is drawn with its correction lands where it was meant.
        #[test]
        fn a_corrected_drawing_lands_within_a_tenth_of_a_millimetre(
            shift_x in -5.0..5.0, shift_y in -5.0..5.0, grow in 0.97..1.03, x in 0.0..210.0, y in 0.0..297.0,
        ) {
            let rulers = rulers();
            let put = |at: f64, shift: f64| shift + grow * at;
            let printer = rulers.printer(Measured {
                left: put(rulers.left, shift_x),
                top: put(rulers.top, shift_y),
                across: grow * rulers.across,
                down: grow * rulers.down,
            }).unwrap();
            let landed = |at: f64, offset: f64, shift: f64| put(offset + at * printer.scale, shift);
            prop_assert!((landed(x, printer.offset_x, shift_x) - x).abs() < 0.1);
            prop_assert!((landed(y, printer.offset_y, shift_y) - y).abs() < 0.1);
        }
    }

    #[test]
    fn the_page_needs_no_more_than_its_words() {
        let words = ["校准页: 量左边线到纸边的距离".to_owned(), "100 %".to_owned()];
        let mut out = Vec::new();
        let size = render_calibration(rulers(), &words, "a4", Millis(0), &mut out).unwrap();
        assert_eq!(size, out.len() as u64);
    }
}
