//! 覆盖图: which covers of a campaign were visited, drawn without a script.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::drawing::{Drawing, widened};
use crate::domain::area::AreaShape;
use crate::registry::TaskPoint;

pub(super) struct Map {
    pub width: f64,
    pub height: f64,
    pub is_grid: bool,
    pub outline: String,
    pub paths: Vec<(&'static str, String)>,
}

/// Points that are drawn one by one; more are summed up in the squares of a grid.
const POINTS: usize = 5000;
const SQUARE: f64 = 12.0;
/// Rings of an outline that are drawn.
const RINGS: usize = 120;
const STANDS: [&str; 5] = ["bare", "verified", "trouble", "made", "missed"];

/// One path for each stand, the worst on top.
pub(super) fn map(points: &[TaskPoint], outline: Option<&AreaShape>) -> Option<Map> {
    let edges = points.iter().map(|point| [point.lon, point.lat, point.lon, point.lat]);
    let around = edges.reduce(|all, one| {
        [all[0].min(one[0]), all[1].min(one[1]), all[2].max(one[2]), all[3].max(one[3])]
    })?;
    let around = outline.map_or(around, AreaShape::bounds);
    let drawing = Drawing::of(widened(around, 0.04, 0.0005));
    let is_grid = points.len() > POINTS;
    let mut marks: BTreeSet<(usize, i64, i64)> = BTreeSet::new();
    let place = |point: &TaskPoint| drawing.place([point.lon, point.lat]);
    let stand_of = |point: &TaskPoint| usize::try_from(point.stand).unwrap_or_default().min(STANDS.len() - 1);
    if is_grid {
        let mut squares: BTreeMap<(i64, i64), [usize; STANDS.len()]> = BTreeMap::new();
        for point in points {
            let (x, y) = place(point);
            let square = ((x / SQUARE).floor() as i64, (y / SQUARE).floor() as i64);
            squares.entry(square).or_default()[stand_of(point)] += 1;
        }
        let middle = |at: i64| ((at as f64 + 0.5) * SQUARE).round() as i64;
        for ((x, y), counts) in squares {
            // A square says what is most in it; a single thing that is wrong is not lost in the crowd.
            let most = (0..STANDS.len()).max_by_key(|stand| counts[*stand]).unwrap_or_default();
            let stand = if counts[2] > 0 { 2 } else { most };
            marks.insert((stand, middle(x), middle(y)));
        }
    } else {
        for point in points {
            let (x, y) = place(point);
            marks.insert((stand_of(point), x.round() as i64, y.round() as i64));
        }
    }
    let paths = [0, 4, 1, 3, 2].map(|stand| {
        let mut path = String::new();
        for (_, x, y) in marks.iter().filter(|(of, ..)| *of == stand) {
            // Writing to memory does not fail.
            let _ = write!(path, "M{x} {y}h0");
        }
        (STANDS[stand], path)
    });
    let rings = outline.into_iter().flat_map(AreaShape::parts).flatten().take(RINGS);
    let outline = drawing.path(rings, 0);
    Some(Map { width: drawing.width, height: drawing.height, is_grid, outline, paths: paths.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_become_squares_in_which_trouble_is_not_lost() {
        let point = |at: usize, stand| TaskPoint {
            lon: 118.5 + at as f64 * 1e-5,
            lat: 37.4 + (at % 70) as f64 * 1e-4,
            stand,
        };
        let few: Vec<TaskPoint> = (0..100).map(|at| point(at, 1)).collect();
        let drawn = map(&few, None).unwrap();
        assert!(
            !drawn.is_grid
                && drawn.paths.iter().any(|(class, path)| *class == "verified" && !path.is_empty())
        );
        let many: Vec<TaskPoint> = (0..9000).map(|at| point(at, if at == 4000 { 2 } else { 0 })).collect();
        let drawn = map(&many, None).unwrap();
        assert!(drawn.is_grid);
        let count = |class: &str| {
            drawn
                .paths
                .iter()
                .filter(|(of, _)| *of == class)
                .map(|(_, path)| path.matches('M').count())
                .sum::<usize>()
        };
        assert_eq!(count("trouble"), 1);
        assert!((100..4000).contains(&count("bare")), "{}", count("bare"));
        assert!(map(&[], None).is_none());
    }
}
