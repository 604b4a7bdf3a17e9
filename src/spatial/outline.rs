//! What is wrong with outlines: rings that enclose nothing, lines that cross, areas of one kind that lie
//! over each other. Exact where it decides, bounded in its work.

use geo::kernels::{Kernel, Orientation};
use geo::{Area as _, BooleanOps, BoundingRect, Centroid, InteriorPoint, Intersects};
use geo::{Coord, GeoNum, Line, LineString, MultiPolygon, Polygon, Rect};
use geo::{Euclidean, Length};

use super::areas::multi_polygon;
use crate::domain::Refusal;
use crate::domain::area::{Area, AreaShape, Ring};

/// Pairs of lines that one outline may cost; real ones take some millions.
const MOST_PAIRS: u64 = 200_000_000;
/// Overlaps below this are how two programs round the same border.
const LEAST_M2: f64 = 1.0;
const LEAST_WIDTH_M: f64 = 0.05;
/// A tenth of a millimeter.
const LEAST_WIDTH_DEGREES: f64 = 1e-9;
const METERS_PER_DEGREE: f64 = 111_195.08;

/// Refuses an outline that has no one meaning: a ring that encloses nothing, lines that cross.
pub fn check_outline(area: &Area) -> Result<(), Refusal> {
    let name = || format!("{} {}", area.code, area.name_zh);
    let refuse = |code, [lon, lat]: [f64; 2]| {
        let refusal = Refusal::new(code).at("geometry").with("read", name());
        Err(refusal.with("lon", format!("{lon:.7}")).with("lat", format!("{lat:.7}")))
    };
    // In this order: what crosses itself may enclose as much on one side as on the other.
    match find_crossing(&area.shape) {
        Crossing::None => {}
        Crossing::At(at) => return refuse("area.crosses", at),
        Crossing::TooIntricate => {
            return Err(Refusal::new("area.too_intricate").at("geometry").with("read", name()));
        }
    }
    match area.shape.parts().iter().flatten().find(|ring| is_flat(ring)) {
        Some(flat) => refuse("area.flat", flat.first().copied().unwrap_or_default()),
        None => Ok(()),
    }
}

/// Whether a ring is narrower than any coordinate is measured: all of its corners lie on one line.
fn is_flat(ring: &Ring) -> bool {
    let line: LineString = ring.iter().map(|corner| coord(*corner)).collect();
    let around = Euclidean.length(&line);
    let area = Polygon::new(line, Vec::new()).unsigned_area();
    2.0 * area <= around * LEAST_WIDTH_DEGREES
}

fn coord([x, y]: [f64; 2]) -> Coord {
    Coord { x, y }
}

fn side(from: Coord, to: Coord, at: Coord) -> Orientation {
    <f64 as GeoNum>::Ker::orient2d(from, to, at)
}

enum Crossing {
    None,
    At([f64; 2]),
    TooIntricate,
}

/// Seeks two lines of an outline that cross, from west to east. Rings may touch.
fn find_crossing(shape: &AreaShape) -> Crossing {
    let rings = shape.parts().iter().flatten();
    let mut lines: Vec<Line> = rings
        .flat_map(|ring| ring.windows(2))
        .map(|ends| {
            let (from, to) = (coord(ends[0]), coord(ends[1]));
            if from.x <= to.x { Line::new(from, to) } else { Line::new(to, from) }
        })
        .filter(|line| line.start != line.end)
        .collect();
    lines.sort_by(|a, b| a.start.x.total_cmp(&b.start.x));
    let (mut open, mut pairs): (Vec<Line>, u64) = (Vec::new(), 0);
    for line in lines {
        open.retain(|other| other.end.x >= line.start.x);
        pairs += open.len() as u64;
        if pairs > MOST_PAIRS {
            return Crossing::TooIntricate;
        }
        if let Some(other) = open.iter().find(|other| cross(other, &line)) {
            return Crossing::At(meeting(other, &line));
        }
        open.push(line);
    }
    Crossing::None
}

/// Whether two lines cross between their ends.
fn cross(one: &Line, other: &Line) -> bool {
    let low = |line: &Line| line.start.y.min(line.end.y);
    let high = |line: &Line| line.start.y.max(line.end.y);
    if low(one) > high(other) || low(other) > high(one) {
        return false;
    }
    let apart = |line: &Line, of: &Line| {
        let (a, b) = (side(line.start, line.end, of.start), side(line.start, line.end, of.end));
        a != b && a != Orientation::Collinear && b != Orientation::Collinear
    };
    apart(one, other) && apart(other, one)
}

fn meeting(one: &Line, other: &Line) -> [f64; 2] {
    let (a, b) = (one.delta(), other.delta());
    let between = other.start - one.start;
    let along = (between.x * b.y - between.y * b.x) / (a.x * b.y - a.y * b.x);
    let at = one.start + a * if along.is_finite() { along.clamp(0.0, 1.0) } else { 0.5 };
    [at.x, at.y]
}

/// Two areas of one kind that lie over each other.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Overlap {
    /// The code that comes first has what both hold.
    pub first: String,
    pub second: String,
    pub square_meters: f64,
    /// A place in both.
    pub at: [f64; 2],
}

/// Areas of one kind that lie over each other by more than two programs round, the largest first.
/// Give it only outlines that [`check_outline`] lets pass.
pub fn find_overlaps(areas: &[Area]) -> Vec<Overlap> {
    let mut shapes: Vec<(&str, Rect, MultiPolygon)> = areas
        .iter()
        .filter_map(|area| {
            let shape = multi_polygon(&area.shape);
            Some((area.code.as_str(), shape.bounding_rect()?, shape))
        })
        .collect();
    shapes.sort_by(|a, b| a.1.min().x.total_cmp(&b.1.min().x));
    let (mut open, mut found): (Vec<usize>, Vec<Overlap>) = (Vec::new(), Vec::new());
    for (at, (code, bounds, shape)) in shapes.iter().enumerate() {
        open.retain(|other| shapes[*other].1.max().x >= bounds.min().x);
        for (other, other_bounds, other_shape) in open.iter().map(|other: &usize| &shapes[*other]) {
            // Areas of one bounding box may share no more than a border.
            if !other_bounds.intersects(bounds) {
                continue;
            }
            if let Some((square_meters, place)) = shared(shape, other_shape) {
                let (first, second) = if code <= other { (code, other) } else { (other, code) };
                let (first, second) = ((*first).to_owned(), (*second).to_owned());
                found.push(Overlap { first, second, square_meters, at: place });
            }
        }
        open.push(at);
    }
    found.sort_by(|a, b| {
        b.square_meters
            .total_cmp(&a.square_meters)
            .then_with(|| (&a.first, &a.second).cmp(&(&b.first, &b.second)))
    });
    found
}

/// Square meters that two shapes share, and a place there; `None` = no more than rounding.
fn shared(one: &MultiPolygon, other: &MultiPolygon) -> Option<(f64, [f64; 2])> {
    let both = one.intersection(other);
    let largest = both.iter().max_by(|a, b| a.unsigned_area().total_cmp(&b.unsigned_area()))?;
    let lat = largest.centroid()?.y();
    let (shrink, square) = (lat.to_radians().cos(), METERS_PER_DEGREE * METERS_PER_DEGREE);
    let real = both.iter().filter_map(|part| {
        let meters = part.unsigned_area() * shrink * square;
        let around = Euclidean.length(part.exterior()) * METERS_PER_DEGREE;
        (meters >= LEAST_M2 && 2.0 * meters / around >= LEAST_WIDTH_M).then_some(meters)
    });
    let meters: f64 = real.sum();
    let place = largest.interior_point()?;
    (meters > 0.0).then_some((meters, [place.x(), place.y()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::area::AreaKind;

    fn area(code: &str, parts: Vec<Vec<Ring>>) -> Area {
        let shape = AreaShape::new(parts).unwrap();
        let name = format!("{code} 区");
        Area { kind: AreaKind::District, code: code.into(), name_zh: name.clone(), name_en: name, shape }
    }

    fn square(west: f64, south: f64, side: f64) -> Ring {
        let (east, north) = (west + side, south + side);
        vec![[west, south], [east, south], [east, north], [west, north], [west, south]]
    }

    #[test]
    fn outlines_without_one_meaning_are_refused_with_the_place() {
        let bow = vec![[118.0, 37.0], [119.0, 38.0], [119.0, 37.0], [118.0, 38.0], [118.0, 37.0]];
        let refusal = check_outline(&area("1", vec![vec![bow]])).unwrap_err();
        assert_eq!(refusal.code, "area.crosses");
        let place: Vec<&str> = refusal.params.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(place, ["1 1 区", "118.5000000", "37.5000000"]);
        let flat = vec![[118.0, 37.0], [118.1, 37.1], [118.2, 37.2], [118.0, 37.0]];
        assert_eq!(check_outline(&area("1", vec![vec![flat]])).unwrap_err().code, "area.flat");
        let point = vec![[118.0, 37.0]; 4];
        assert_eq!(check_outline(&area("1", vec![vec![point]])).unwrap_err().code, "area.flat");
        let hole_across = vec![square(118.0, 37.0, 1.0), square(118.5, 37.5, 1.0)];
        assert_eq!(check_outline(&area("1", vec![hole_across])).unwrap_err().code, "area.crosses");
    }

    #[test]
    fn rings_may_touch_parts_may_share_a_border_and_a_comb_ends() {
        let touching_hole = vec![[118.0, 37.5], [118.2, 37.4], [118.2, 37.6], [118.0, 37.5]];
        let parts = vec![
            vec![square(118.0, 37.0, 1.0), touching_hole],
            vec![square(119.0, 37.0, 1.0)],
            vec![square(118.15, 37.48, 0.03)],
        ];
        assert_eq!(check_outline(&area("1", parts)), Ok(()));
        // Thirty thousand teeth, each over the whole width: every pair of lines would have to be asked.
        let mut comb: Ring = Vec::new();
        for tooth in 0..30_000 {
            let lat = 37.0 + f64::from(tooth) * 1e-5;
            comb.extend([[118.0, lat], [119.0, lat + 4e-6]]);
        }
        comb.push([117.9, 37.5]);
        comb.push(comb[0]);
        assert!(matches!(
            check_outline(&area("1", vec![vec![comb]])).unwrap_err().code,
            "area.too_intricate" | "area.crosses"
        ));
    }

    #[test]
    fn areas_over_each_other_are_found_and_those_beside_each_other_are_not() {
        let areas = [
            area("1", vec![vec![square(118.0, 37.0, 1.0)]]),
            area("2", vec![vec![square(119.0, 37.0, 1.0)]]),
            area("3", vec![vec![square(118.999, 37.5, 0.2)]]),
            area("4", vec![vec![square(118.0, 38.0, 1.0), square(118.2, 38.2, 0.5)]]),
            area("5", vec![vec![square(118.2, 38.2, 0.5)]]),
        ];
        let overlaps = find_overlaps(&areas);
        let pairs: Vec<(&str, &str)> =
            overlaps.iter().map(|overlap| (overlap.first.as_str(), overlap.second.as_str())).collect();
        assert_eq!(pairs, [("2", "3"), ("1", "3")]);
        assert!((overlaps[1].square_meters - 88.0 * 22_239.0).abs() < 20_000.0, "{overlaps:?}");
        let [lon, lat] = overlaps[1].at;
        assert!((118.999..=119.0).contains(&lon) && (37.5..=37.7).contains(&lat), "{overlaps:?}");
    }
}
