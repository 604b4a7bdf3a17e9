//! A piece of ground as a small drawing, north up.

use std::fmt::Write;

use crate::domain::area::{Area, Ring};

/// Width of a drawing in its own units; the height follows the ground.
const WIDTH: f64 = 600.0;
const HEIGHTS: (f64, f64) = (150.0, 700.0);
/// Corners of one ring; a drawing needs no more.
const CORNERS: usize = 150;

pub(super) struct Drawing {
    west: f64,
    north: f64,
    /// Degrees of longitude for one of latitude.
    shrink: f64,
    /// Units for a degree of latitude.
    unit: f64,
    left: f64,
    top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Drawing {
    /// Of the ground between these edges: west, south, east, north in degrees.
    pub(super) fn of([west, south, east, north]: [f64; 4]) -> Self {
        let shrink = ((south + north) / 2.0).to_radians().cos().max(0.05);
        let across = ((east - west) * shrink).max(1e-6);
        let height = (WIDTH * (north - south) / across).clamp(HEIGHTS.0, HEIGHTS.1);
        let unit = (WIDTH / across).min(height / (north - south).max(1e-6));
        let left = (WIDTH - across * unit) / 2.0;
        let top = (height - (north - south) * unit) / 2.0;
        Self { west, north, shrink, unit, left, top, width: WIDTH, height: height.round() }
    }

    /// Units from the left and from above.
    pub(super) fn place(&self, [lon, lat]: [f64; 2]) -> (f64, f64) {
        ((lon - self.west) * self.shrink * self.unit + self.left, (self.north - lat) * self.unit + self.top)
    }

    /// One path of SVG for closed rings, with so many decimals.
    pub(super) fn path<'r>(&self, rings: impl Iterator<Item = &'r Ring>, decimals: usize) -> String {
        let mut path = String::new();
        for ring in rings {
            let step = ring.len().div_ceil(CORNERS).max(1);
            for (at, corner) in ring.iter().step_by(step).enumerate() {
                let (x, y) = self.place(*corner);
                // Writing to memory does not fail.
                let _ = write!(path, "{}{x:.decimals$} {y:.decimals$}", if at == 0 { "M" } else { "L" });
            }
            path.push('Z');
        }
        path
    }
}

/// Edges around areas; `None` = there are none.
pub(super) fn edges_of<'a>(areas: impl IntoIterator<Item = &'a Area>) -> Option<[f64; 4]> {
    areas
        .into_iter()
        .map(|area| area.shape.bounds())
        .reduce(|all, one| [all[0].min(one[0]), all[1].min(one[1]), all[2].max(one[2]), all[3].max(one[3])])
}

/// Edges moved outward by a share of what lies between them, at least by so many degrees.
pub(super) fn widened([west, south, east, north]: [f64; 4], share: f64, least: f64) -> [f64; 4] {
    let margin = |from: f64, to: f64| ((to - from) * share).max(least);
    let (aside, above) = (margin(west, east), margin(south, north));
    [west - aside, south - above, east + aside, north + above]
}
