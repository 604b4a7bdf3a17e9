//! Text that flows over A4 pages: pens, lines that are broken where Chinese and Western texts are, pages with a footer. What
//! a document says and how its parts look is told by `dossier.rs` and `letter.rs`.

use flate2::Compression;

use super::draw::{Content, Fonts, PT_PER_MM, font_of};
use super::face::{Ink, Weight};
use super::fonts::Font;
use super::palette::Rgb;
use super::pdf::deflate;
use super::typeset::{Line, MM_PER_PT};

/// A4 in millimetres.
pub(super) const PAGE: [f64; 2] = [210.0, 297.0];
pub(super) const MARGIN: f64 = 16.0;
pub(super) const WIDTH: f64 = PAGE[0] - 2.0 * MARGIN;
/// Where text ends and the footer begins.
pub(super) const BOTTOM: f64 = PAGE[1] - 20.0;
/// From one line to the next, in sizes.
pub(super) const LEADING: f64 = 1.42;
/// Stands for a character that the font has not.
pub(super) const MISSING: char = '〓';

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub weight: Weight,
    size_pt: f64,
    color: Rgb,
}

pub(super) const BLACK: Rgb = [0.0; 3];
pub(super) const GRAY: Rgb = [0.38; 3];

pub(super) const fn pen(weight: Weight, size_pt: f64, color: Rgb) -> Pen {
    Pen { weight, size_pt, color }
}

/// Of footers.
pub(super) const SMALL: Pen = pen(Weight::Regular, 7.5, GRAY);

impl Pen {
    /// The same, so that a line of one size becomes `most` millimetres high.
    pub(super) fn fitting(self, most: f64) -> Self {
        Self { size_pt: self.size_pt.min(most / MM_PER_PT), ..self }
    }

    /// In millimetres.
    pub(super) fn size(self) -> f64 {
        self.size_pt * MM_PER_PT
    }
}

/// A page in the making, in millimetres from its lower left corner.
#[derive(Default)]
pub(super) struct Leaf {
    pub content: Content,
    /// Which picture, and the upper left corner of its box from the upper left corner of the page.
    pub pictures: Vec<(usize, [f64; 2])>,
}

impl Leaf {
    /// `x` and the baseline from the upper left corner of the page.
    pub(super) fn text(&mut self, fonts: &Fonts, pen: Pen, (x, baseline): (f64, f64), text: &str) {
        let Some(font) = font_of(fonts, pen.weight) else { return };
        let text = shown(text, font);
        let line = Line { weight: pen.weight, ink: Ink::Black, size: pen.size(), x, baseline, text };
        self.content.lines(&[line], PAGE[1], |_| pen.color, fonts);
    }

    /// A rule from `x` over `length`, so far from the upper edge of the page.
    pub(super) fn rule(&mut self, (x, y, length): (f64, f64, f64), (width, color): (f64, Rgb)) {
        self.content.raw("q");
        let [r, g, b] = color;
        self.content.op(&[r, g, b], "RG");
        self.content.op(&[width], "w");
        self.content.op(&[x, PAGE[1] - y], "m");
        self.content.op(&[x + length, PAGE[1] - y], "l S Q");
    }
}

/// Text that flows from page to page.
pub(super) struct Flow<'f> {
    pub fonts: &'f Fonts,
    pub pages: Vec<Leaf>,
    /// From the upper edge of the page.
    pub y: f64,
}

impl Flow<'_> {
    pub(super) fn page(&mut self) -> &mut Leaf {
        if self.pages.is_empty() {
            self.pages.push(Leaf::default());
        }
        let last = self.pages.len() - 1;
        &mut self.pages[last]
    }

    /// Makes sure that so much fits on the page; begins another one where it does not.
    pub(super) fn need(&mut self, height: f64) {
        if self.y + height > BOTTOM {
            self.pages.push(Leaf::default());
            self.y = MARGIN;
        }
    }

    pub(super) fn say(&mut self, pen: Pen, x: f64, text: &str) {
        let (fonts, baseline) = (self.fonts, self.y + pen.size());
        self.page().text(fonts, pen, (x, baseline), text);
    }

    /// A text over as many lines as it needs, each so far below the one before.
    pub(super) fn paragraph(&mut self, pen: Pen, (x, room): (f64, f64), step: f64, text: &str) {
        let Some(font) = font_of(self.fonts, pen.weight) else { return };
        for part in text.lines() {
            for line in wrap(part, room / pen.size(), font) {
                self.need(step);
                self.say(pen, x, &line);
                self.y += step;
            }
        }
    }
}

/// Where a page stands among all of them, in the footer.
pub(super) fn number_pages(page: &mut Leaf, fonts: &Fonts, (at, count): (usize, usize), footer: &str) {
    let number = format!("{} / {count}", at + 1);
    page.text(fonts, SMALL, (MARGIN, PAGE[1] - 10.0), footer);
    let left = PAGE[0] - MARGIN - width(&number, fonts, SMALL.weight) * SMALL.size();
    page.text(fonts, SMALL, (left, PAGE[1] - 10.0), &number);
}

/// What a page shows, in points and packed.
pub(super) fn packed(page: &Leaf) -> std::io::Result<Vec<u8>> {
    let mut content = Content::default();
    content.place(PT_PER_MM, 0.0, 0.0);
    content.0.extend_from_slice(&page.content.0);
    content.raw("Q");
    deflate(&content.0, Compression::default())
}

/// A text with what the font has.
pub(super) fn shown(text: &str, font: &Font) -> String {
    let printable = text.chars().map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c });
    printable.map(|c| if c == ' ' || font.glyph(c).is_some() { c } else { MISSING }).collect()
}

fn advance(character: char, font: &Font) -> f64 {
    // A blank that no text held has no glyph; it is as wide as blanks are.
    font.glyph(character).map_or(0.25, |glyph| f64::from(glyph.advance) / 1000.0)
}

/// Width in sizes.
pub(super) fn width(text: &str, fonts: &Fonts, weight: Weight) -> f64 {
    font_of(fonts, weight).map_or(0.0, |font| shown(text, font).chars().map(|c| advance(c, font)).sum())
}

/// Breaks at blanks and between ideographs, and where nothing else helps within a word.
pub(super) fn wrap(text: &str, room: f64, font: &Font) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0.0);
    let mut last_blank = None;
    for character in shown(text, font).chars() {
        let step = advance(character, font);
        if used + step > room && !line.is_empty() {
            let rest = match last_blank.take() {
                // A word goes to the next line as a whole.
                Some(at) if character < '\u{2e80}' && at > 0 => line.split_off(at),
                _ => String::new(),
            };
            lines.push(line.trim_end().to_owned());
            line = rest.trim_start().to_owned();
            used = line.chars().map(|c| advance(c, font)).sum();
        }
        if character == ' ' || character >= '\u{2e80}' {
            last_blank = Some(line.len() + character.len_utf8());
        }
        if !(line.is_empty() && character == ' ') {
            line.push(character);
            used += step;
        }
    }
    if !line.trim().is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_kept_whole_and_long_ones_are_broken() {
        let font = Font::cut(Weight::Regular, &(' '..='~').collect::<BTreeSet<char>>()).unwrap();
        assert_eq!(wrap("one two three", 4.5, &font), ["one two", "three"]);
        assert!(wrap(&"x".repeat(100), 10.0, &font).len() > 3);
        assert_eq!(wrap("  ", 10.0, &font), Vec::<String>::new());
        assert_eq!(wrap("a\nb\u{7}c井", 20.0, &font), [format!("a b c{}", MISSING)]);
    }
}
