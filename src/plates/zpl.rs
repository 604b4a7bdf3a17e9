//! Plates as ZPL II for label printers: one label a plate, drawn here dot by dot, so that the printer needs
//! no Chinese font and draws no symbol of its own. Modules are whole dots; nothing is scaled.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use std::io::Write;
use tiny_skia::{Color, FillRule, Paint, Path, PathBuilder, Pixmap, Rect, Transform};
use ttf_parser::OutlineBuilder;

use super::draw::QUIET;
use super::face::Area;
use super::palette::Rgb;
use super::pdf::deflate;
use super::shapes::{self, Point};
use super::symbol::{Symbol, SymbolMaker};
use super::typeset::Line;
use super::{Batch, PlateError, PlateRun, PlateSpec, proof, refused_proof, workers};
use crate::domain::Refusal;
use crate::domain::names::named_enum;
use crate::domain::plate::{Finish, SymbolRecord};

named_enum! {
    /// Resolution of a label printer, in dots an inch as it is sold.
    #[derive(Default)]
    PrintHead as "print_head" {
        Dpi203 = "203",
        #[default]
        Dpi300 = "300",
        Dpi600 = "600",
    }
}

/// Dots of the largest label: 220 by 250 mm at 600 dpi. Each takes four bytes while it is drawn.
const MOST_DOTS: u64 = 32 << 20;

impl PrintHead {
    /// Print heads are built in whole dots a millimetre.
    const fn dots_per_mm(self) -> f64 {
        match self {
            PrintHead::Dpi203 => 8.0,
            PrintHead::Dpi300 => 12.0,
            PrintHead::Dpi600 => 24.0,
        }
    }
}

/// Writes a label for each plate. Each symbol is read back from the finished dots first. On an error
/// `out` holds a torn file.
pub fn render_zpl(
    run: &PlateRun,
    plates: &[PlateSpec],
    head: PrintHead,
    out: &mut impl Write,
) -> Result<Vec<SymbolRecord>, PlateError> {
    // Thermal printers know black and nothing.
    let finish = if run.finish == Finish::Inverted { Finish::Inverted } else { Finish::Mono };
    let run = PlateRun { finish, ..run.clone() };
    let batch = Batch::prepare(&run, plates)?;
    let fixed = batch.fixed_lines()?;
    let mut records = Vec::with_capacity(plates.len());
    workers::in_order(
        plates.len(),
        SymbolMaker::default,
        |maker, at| {
            let spec = &plates[at];
            let symbol = batch.symbol(maker, at, spec)?;
            let lines = [fixed.clone(), batch.lines(at, spec)?].concat();
            let label = Label::draw(&batch, &lines, &symbol, head)?;
            label.prove(&symbol, spec).map_err(|fault| refused_proof(at, fault))?;
            Ok::<_, PlateError>((symbol.record, label.zpl(&run, head)?))
        },
        |(record, zpl)| {
            records.push(record);
            Ok(out.write_all(zpl.as_bytes())?)
        },
    )?;
    out.flush()?;
    Ok(records)
}

/// One label in dots, and where its symbol lies.
struct Label {
    width: usize,
    height: usize,
    /// Rows of whole bytes, the leftmost dot in the highest bit, 1 = black.
    bits: Vec<u8>,
    /// Upper left module, and dots a module.
    corner: (usize, usize),
    module: usize,
}

impl Label {
    fn draw(batch: &Batch<'_>, lines: &[Line], symbol: &Symbol, head: PrintHead) -> Result<Self, PlateError> {
        let face = &batch.run.face;
        let (width, height) = face.outline.size();
        let scale = head.dots_per_mm();
        let (width, height) = ((width * scale).round() as u32, (height * scale).round() as u32);
        let too_large = || Refusal::new("plates.label_large").with("face", &face.id);
        if u64::from(width) * u64::from(height) > MOST_DOTS {
            return Err(too_large().into());
        }
        let mut canvas = Canvas {
            pixels: Pixmap::new(width, height).ok_or_else(too_large)?,
            scale: Transform::from_scale(scale as f32, scale as f32),
        };
        canvas.pixels.fill(Color::WHITE);

        let outline = shapes::outline(face.outline);
        let finish = batch.run.finish;
        // Black is black whatever the class.
        let class = crate::domain::cover::CoverClass::Unidentified;
        let palette = &batch.run.palette;
        if let Some(ground) = finish.ground() {
            canvas.shape(&outline, ground);
            canvas.area(face.qr, [1.0; 3]);
        }
        if let Some(band) = face.band {
            canvas.shape(&shapes::clipped(&outline, band), finish.band(palette, class));
        }
        for line in lines {
            let mut pen = Pen(PathBuilder::new());
            super::glyphs::draw(std::slice::from_ref(line), &batch.fonts, &mut pen)?;
            if let Some(path) = pen.0.finish() {
                canvas.fill(&path, finish.ink(line.ink, palette, Some(class)), FillRule::Winding);
            }
        }

        let side = symbol.rows.len();
        // Half a millimetre is a whole number of dots on every head: no module comes out smaller.
        let square = (face.qr.w * scale + 1e-6).floor();
        let module = (square / (side as f64 + 2.0 * QUIET)).floor();
        let margin = ((square - module * side as f64) / 2.0).floor();
        let corner = ((face.qr.x * scale).ceil() + margin, (face.qr.y * scale).ceil() + margin);
        let mut label = Self {
            width: width as usize,
            height: height as usize,
            bits: canvas.bits(),
            corner: (corner.0 as usize, corner.1 as usize),
            module: module as usize,
        };
        for (y, row) in symbol.rows.iter().enumerate() {
            for x in (0..side).filter(|x| row >> x & 1 == 1) {
                label.blacken(x, y);
            }
        }
        Ok(label)
    }

    fn row_bytes(&self) -> usize {
        self.width.div_ceil(8)
    }

    fn blacken(&mut self, column: usize, row: usize) {
        let row_bytes = self.row_bytes();
        for y in self.corner.1 + row * self.module..self.corner.1 + (row + 1) * self.module {
            for x in self.corner.0 + column * self.module..self.corner.0 + (column + 1) * self.module {
                self.bits[y * row_bytes + x / 8] |= 0x80 >> (x % 8);
            }
        }
    }

    fn is_black(&self, x: usize, y: usize) -> bool {
        self.bits[y * self.row_bytes() + x / 8] & 0x80 >> (x % 8) != 0
    }

    /// Reads the symbol back: every dot of a module alike, and four light modules all around.
    fn prove(&self, symbol: &Symbol, spec: &PlateSpec) -> Result<(), proof::Fault> {
        let side = symbol.rows.len();
        let quiet = QUIET as usize;
        let (left, top) = self.corner;
        let Some((left, top)) =
            left.checked_sub(quiet * self.module).zip(top.checked_sub(quiet * self.module))
        else {
            return Err(proof::Fault::QuietZone);
        };
        let whole = side + 2 * quiet;
        if left + whole * self.module > self.width || top + whole * self.module > self.height {
            return Err(proof::Fault::QuietZone);
        }
        let mut rows = vec![0u64; side];
        for row in 0..whole {
            for column in 0..whole {
                let (x, y) = (left + column * self.module, top + row * self.module);
                let dark = self.is_black(x, y);
                let mut dots = (y..y + self.module).flat_map(|y| (x..x + self.module).map(move |x| (x, y)));
                if !dots.all(|(x, y)| self.is_black(x, y) == dark) {
                    return Err(proof::Fault::OffGrid);
                }
                let within = quiet..quiet + side;
                match (within.contains(&row) && within.contains(&column), dark) {
                    (true, _) => rows[row - quiet] |= u64::from(dark) << (column - quiet),
                    (false, true) => return Err(proof::Fault::QuietZone),
                    (false, false) => {}
                }
            }
        }
        proof::check_symbol(&rows, &symbol.rows, symbol.record, &spec.payload)
    }

    /// The label as the printer takes it: shifts of the printer, size, one picture, packed.
    fn zpl(&self, run: &PlateRun, head: PrintHead) -> Result<String, PlateError> {
        let scale = head.dots_per_mm();
        let (shift_x, shift_y) = (run.sheet.printer.offset_x, run.sheet.printer.offset_y);
        let (shift_x, shift_y) = ((shift_x * scale).round() as i64, (shift_y * scale).round() as i64);
        let packed = STANDARD.encode(deflate(&self.bits, Compression::best())?);
        // ^LS shifts to the left.
        let shifts = format!("^LS{}^LT{shift_y}", -shift_x);
        Ok(format!(
            "^XA^PW{width}^LL{height}{shifts}^FO0,0^GFA,{total},{total},{row_bytes},:Z64:{packed}:{crc:04X}^FS^XZ\n",
            width = self.width,
            height = self.height,
            total = self.bits.len(),
            row_bytes = self.row_bytes(),
            crc = crc16(packed.as_bytes()),
        ))
    }
}

struct Canvas {
    pixels: Pixmap,
    scale: Transform,
}

impl Canvas {
    fn fill(&mut self, path: &Path, [r, g, b]: Rgb, rule: FillRule) {
        let mut paint = Paint::default();
        let part = |value: f64| (value * 255.0).round() as u8;
        paint.set_color_rgba8(part(r), part(g), part(b), 255);
        self.pixels.fill_path(path, &paint, rule, self.scale, None);
    }

    fn shape(&mut self, points: &[Point], color: Rgb) {
        let mut path = PathBuilder::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let (x, y) = (*x as f32, *y as f32);
            if at == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        path.close();
        if let Some(path) = path.finish() {
            self.fill(&path, color, FillRule::Winding);
        }
    }

    fn area(&mut self, area: Area, color: Rgb) {
        let rect = Rect::from_xywh(area.x as f32, area.y as f32, area.w as f32, area.h as f32);
        if let Some(rect) = rect {
            self.fill(&PathBuilder::from_rect(rect), color, FillRule::Winding);
        }
    }

    /// A dot is black where less than half of it is light.
    fn bits(&self) -> Vec<u8> {
        let width = self.pixels.width() as usize;
        let row_bytes = width.div_ceil(8);
        let mut bits = vec![0u8; row_bytes * self.pixels.height() as usize];
        for (at, pixel) in self.pixels.pixels().iter().enumerate() {
            if pixel.red() < 128 {
                let (x, y) = (at % width, at / width);
                bits[y * row_bytes + x / 8] |= 0x80 >> (x % 8);
            }
        }
        bits
    }
}

struct Pen(PathBuilder);

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// CRC-16 with polynomial 0x1021 from 0, as ZPL wants it behind packed pictures.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standard_one() {
        // The check value of CRC-16/XMODEM in the catalogue of CRC algorithms.
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }
}
