//! The points of a census file over the outlines of the districts, as a small drawing.

use std::fmt::Write;

use crate::domain::area::Area;

/// Width of the drawing in its own units; the height follows the ground.
const WIDTH: f64 = 600.0;
const HEIGHTS: (f64, f64) = (150.0, 700.0);
/// Corners of one outline and rings of all; a drawing needs no more.
const CORNERS: usize = 150;
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
    let [west, south, east, north] = frame(points, areas);
    let shrink = ((south + north) / 2.0).to_radians().cos().max(0.05);
    let across = ((east - west) * shrink).max(1e-6);
    let height = (WIDTH * (north - south) / across).clamp(HEIGHTS.0, HEIGHTS.1);
    let unit = (WIDTH / across).min(height / (north - south).max(1e-6));
    let left = (WIDTH - across * unit) / 2.0;
    let top = (height - (north - south) * unit) / 2.0;
    let place = |[lon, lat]: [f64; 2]| ((lon - west) * shrink * unit + left, (north - lat) * unit + top);
    let mut outlines = String::new();
    let rings = areas.iter().flat_map(|area| area.shape.parts()).flatten().take(RINGS);
    for ring in rings {
        let step = ring.len().div_ceil(CORNERS).max(1);
        for (at, corner) in ring.iter().step_by(step).enumerate() {
            let (x, y) = place(*corner);
            // Writing to memory does not fail.
            let _ = write!(outlines, "{}{x:.0} {y:.0}", if at == 0 { "M" } else { "L" });
        }
        outlines.push('Z');
    }
    let mut drawn = String::new();
    let mut beyond = 0;
    for point in points {
        let (x, y) = place(*point);
        if (0.0..=WIDTH).contains(&x) && (0.0..=height).contains(&y) {
            let _ = write!(drawn, "M{x:.0} {y:.0}h0");
        } else {
            beyond += 1;
        }
    }
    Some(CensusMap { width: WIDTH, height: height.round(), outlines, points: drawn, beyond })
}

/// West, south, east, north of what is shown: the districts, or nearly all of the points.
fn frame(points: &[[f64; 2]], areas: &[Area]) -> [f64; 4] {
    let everything = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    let around = areas.iter().map(|area| area.shape.bounds()).fold(everything, |all, one| {
        [all[0].min(one[0]), all[1].min(one[1]), all[2].max(one[2]), all[3].max(one[3])]
    });
    let [west, south, east, north] = if around[0].is_finite() {
        around
    } else {
        let edges = |axis: usize| {
            let mut numbers: Vec<f64> = points.iter().map(|point| point[axis]).collect();
            numbers.sort_by(f64::total_cmp);
            let cut = (numbers.len() as f64 * BEYOND) as usize;
            (numbers[cut], numbers[numbers.len() - 1 - cut])
        };
        let ((west, east), (south, north)) = (edges(0), edges(1));
        [west, south, east, north]
    };
    let margin = |from: f64, to: f64| ((to - from) * 0.04).max(0.0005);
    let (aside, above) = (margin(west, east), margin(south, north));
    [west - aside, south - above, east + aside, north + above]
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
