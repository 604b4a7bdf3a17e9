//! What a face is like in the hand: sizes that decide whether phones and people can read it.

use super::SMALLEST_MODULE;
use super::draw::QUIET;
use super::face::{Face, Outline};
use super::symbol::{Level, SymbolMaker, side};
use super::typeset::MM_PER_PT;
use crate::domain::Refusal;
use crate::domain::plate::SymbolRecord;

/// Sizes in millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlateChecks {
    pub symbol: SymbolRecord,
    pub module: f64,
    /// Light around the symbol, in the square that the face keeps for it.
    pub quiet: f64,
    /// From the rim of the nearest hole to the symbol's square; `None` without holes.
    pub hole_to_symbol: Option<f64>,
    /// From the rim of the outermost hole to the edge of the plate.
    pub hole_to_edge: Option<f64>,
    /// Of the smallest size to which a text may shrink.
    pub smallest_text: f64,
    /// How far away a phone still reads the symbol: about ten times its side.
    pub reach: f64,
}

/// Measures a face for a payload. `level` as in [`super::PlateSpec`].
pub fn check_face(face: &Face, payload: &str, level: Option<Level>) -> Result<PlateChecks, Refusal> {
    let mut maker = SymbolMaker::default();
    let module = |record: SymbolRecord| face.qr.w / (side(record.version) as f64 + 2.0 * QUIET);
    let mut symbol = maker.make(payload, level.unwrap_or(Level::H), None)?.record;
    if level.is_none() && module(symbol) < SMALLEST_MODULE {
        symbol = maker.make(payload, Level::Q, None)?.record;
    }
    let module = module(symbol);
    let least = |lengths: &mut dyn Iterator<Item = f64>| lengths.reduce(f64::min);
    let qr = face.qr;
    let hole_to_symbol = least(&mut face.holes.iter().map(|hole| {
        let (x, y) = (hole.x.clamp(qr.x, qr.x + qr.w), hole.y.clamp(qr.y, qr.y + qr.h));
        (hole.x - x).hypot(hole.y - y) - hole.d / 2.0
    }));
    let hole_to_edge =
        least(&mut face.holes.iter().map(|hole| to_edge(face.outline, (hole.x, hole.y)) - hole.d / 2.0));
    let smallest = face.texts.iter().map(|text| text.min_pt).fold(f64::INFINITY, f64::min);
    Ok(PlateChecks {
        symbol,
        module,
        quiet: QUIET * module,
        hole_to_symbol,
        hole_to_edge,
        smallest_text: smallest * MM_PER_PT,
        reach: side(symbol.version) as f64 * module * 10.0,
    })
}

/// From a point inside to the outline, to a hundredth of a millimetre.
fn to_edge(outline: Outline, (x, y): (f64, f64)) -> f64 {
    let shape = super::shapes::outline(outline);
    let edges = (0..shape.len()).map(|at| (shape[at], shape[(at + 1) % shape.len()]));
    let distances = edges.map(|((x1, y1), (x2, y2))| {
        let (dx, dy) = (x2 - x1, y2 - y1);
        let square = dx * dx + dy * dy;
        let along =
            if square > 0.0 { (((x - x1) * dx + (y - y1) * dy) / square).clamp(0.0, 1.0) } else { 0.0 };
        (x1 + along * dx - x).hypot(y1 + along * dy - y)
    });
    distances.fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_is_measured_as_a_ruler_would() {
        let face = Face::built_in().remove(0);
        let payload = "HTTPS://LID.DONGYING.GOV.CN/C/0123456789AB";
        let checks = check_face(&face, payload, None).unwrap();
        assert_eq!((checks.symbol.level, checks.symbol.version), ('H', 4));
        assert!(
            (checks.module - 36.5 / 41.0).abs() < 1e-9 && (checks.quiet - 4.0 * 36.5 / 41.0).abs() < 1e-9
        );
        // The hole at 6 × 6.5 with a diameter of 3.5 mm: 7.5 mm above the square, 6 mm from the left edge.
        assert!((checks.hole_to_symbol.unwrap() - (54.0 - 50.5 - 1.75)).abs() < 0.01, "{checks:?}");
        assert!((checks.hole_to_edge.unwrap() - (6.0 - 1.75)).abs() < 0.01, "{checks:?}");
        let asked = check_face(&face, payload, Some(Level::Q)).unwrap();
        assert_eq!((asked.symbol.level, asked.symbol.version), ('Q', 3));
        assert!((checks.reach - 33.0 * checks.module * 10.0).abs() < 1e-9);
    }
}
