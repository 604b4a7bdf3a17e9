//! Letters as outlines, for what has no fonts: engravers and label printers.

use ttf_parser::{GlyphId, OutlineBuilder};

use super::draw::{Fonts, font_of};
use super::fonts::FontError;
use super::typeset::Line;

/// Draws lines of text with `pen`, in millimetres from the upper left corner of the face, y downwards.
pub(super) fn draw(lines: &[Line], fonts: &Fonts, pen: &mut impl OutlineBuilder) -> Result<(), FontError> {
    for line in lines {
        let Some(font) = font_of(fonts, line.weight) else { continue };
        let program = font.program()?;
        let scale = line.size / f64::from(program.units_per_em());
        let mut x = line.x;
        for character in line.text.chars() {
            let Some(glyph) = font.glyph(character) else { continue };
            let mut placed = Placed { pen, scale, x, baseline: line.baseline };
            program.outline_glyph(GlyphId(glyph.id), &mut placed);
            x += f64::from(glyph.advance) / 1000.0 * line.size;
        }
    }
    Ok(())
}

/// Brings units of a font, y upwards, to their place on the face.
struct Placed<'p, P> {
    pen: &'p mut P,
    scale: f64,
    x: f64,
    baseline: f64,
}

impl<P> Placed<'_, P> {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (f64::from(x) * self.scale, f64::from(y) * self.scale);
        ((self.x + x) as f32, (self.baseline - y) as f32)
    }
}

impl<P: OutlineBuilder> OutlineBuilder for Placed<'_, P> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.pen.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.pen.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.pen.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.pen.curve_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.pen.close();
    }
}
