//! The points of a census file over the outlines of the districts, as a small drawing.

use std::fmt::Write;

use super::drawing::{Drawing, edges_of, widened};
use crate::domain::area::Area;

/// Rings of all outlines; a drawing needs no more.
const RINGS: usize = 120;
/// Share of the points that may lie beyond the edge when there are no outlines.
const BEYOND: f64 = 0.01;

/// A drawing, north up.
pub(super) struct CensusMap {
    pub(super) width: f64,
    pub(super) height: f64,
    /// One path for the outlines and one for the points.
    pub(super) outlines: String,
    pub(super) points: String,
    /// Points that lie beyond the edge.
    pub(super) beyond: usize,
}

/// `None` = there is nothing to draw.
pub(super) fn census_map(points: &[[f64; 2]], areas: &[Area]) -> Option<CensusMap> {
    if points.is_empty() {
        return None;
    }
    let drawing = Drawing::of(frame(points, areas));
    let rings = areas.iter().flat_map(|area| area.shape.parts()).flatten().take(RINGS);
    let outlines = drawing.path(rings, 0);
    let mut drawn = String::new();
    let mut beyond = 0;
    for point in points {
        let (x, y) = drawing.place(*point);
        if (0.0..=drawing.width).contains(&x) && (0.0..=drawing.height).contains(&y) {
            // Writing to memory does not fail.
            let _ = write!(drawn, "M{x:.0} {y:.0}h0");
        } else {
            beyond += 1;
        }
    }
    Some(CensusMap { width: drawing.width, height: drawing.height, outlines, points: drawn, beyond })
}

/// West, south, east, north of what is shown: the districts, or nearly all of the points.
fn frame(points: &[[f64; 2]], areas: &[Area]) -> [f64; 4] {
    let around = edges_of(areas).unwrap_or_else(|| {
        let edges = |axis: usize| {
            let mut numbers: Vec<f64> = points.iter().map(|point| point[axis]).collect();
            numbers.sort_by(f64::total_cmp);
            let cut = (numbers.len() as f64 * BEYOND) as usize;
            (numbers[cut], numbers[numbers.len() - 1 - cut])
        };
        let ((west, east), (south, north)) = (edges(0), edges(1));
        [west, south, east, north]
    });
    widened(around, 0.04, 0.0005)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_they_belong_and_one_at_zero_does_not_shrink_the_city() {
        let mut points: Vec<[f64; 2]> =
            (0..200).map(|at| [118.5 + f64::from(at) * 1e-4, 37.4 + f64::from(at % 10) * 1e-3]).collect();
        points.push([0.0, 0.0]);
        let map = census_map(&points, &[]).expect("there are points");
        assert!(map.beyond >= 1 && map.beyond <= 6, "{}", map.beyond);
        assert!(map.points.len() < 20 * points.len());
        assert!(census_map(&[], &[]).is_none());
        let one = census_map(&[[118.5, 37.4]], &[]).expect("there is a point");
        assert_eq!((one.beyond, one.points.as_str()), (0, "M300 350h0"), "{} high", one.height);
    }
}
