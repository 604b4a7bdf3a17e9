//! Which area a point lies in, exactly and alike on every machine, fast enough for a whole census:
//! most points lie in a cell that no border crosses, and such a cell is answered once.

use std::collections::HashMap;

use geo::{Coord, Line, LineString, MultiPolygon, Point, Polygon, Rect};
use geo::{CoordinatePosition, Distance, Euclidean, Intersects, coordinate_position::CoordPos};

use crate::domain::area::AreaShape;
use crate::domain::position::{tile_x, tile_y};

/// Cells are tiles of this zoom: some 120 m wide in the middle latitudes.
const CELL_ZOOM: u32 = 18;
const METERS_PER_DEGREE: f64 = 111_195.08;

/// Areas of one kind.
#[derive(Debug, Default)]
pub struct AreaIndex {
    /// By code: where two areas hold a point, the one whose code comes first has it.
    areas: Vec<Indexed>,
}

#[derive(Debug)]
struct Indexed {
    code: String,
    bounds: Rect,
    shape: MultiPolygon,
}

impl Indexed {
    fn holds(&self, at: Coord) -> bool {
        // Part by part: asked as a whole, a border that two parts share belongs to neither.
        self.bounds.intersects(&at)
            && self.shape.iter().any(|part| part.coordinate_position(&at) != CoordPos::Outside)
    }

    fn borders(&self) -> impl Iterator<Item = Line> {
        let rings =
            self.shape.iter().flat_map(|part| std::iter::once(part.exterior()).chain(part.interiors()));
        rings.flat_map(LineString::lines)
    }
}

/// What is known of a cell.
#[derive(Debug, Clone)]
enum Cell {
    /// No border crosses it: all of it lies in this area, or in none.
    Whole(Option<usize>),
    /// Ask these areas, in their order.
    Crossed(Box<[usize]>),
}

impl AreaIndex {
    /// Areas by their codes.
    pub fn new<'a>(areas: impl IntoIterator<Item = (&'a str, &'a AreaShape)>) -> Self {
        let mut areas: Vec<Indexed> = areas
            .into_iter()
            .map(|(code, shape)| {
                let [west, south, east, north] = shape.bounds();
                let bounds = Rect::new((west, south), (east, north));
                Indexed { code: code.to_owned(), bounds, shape: multi_polygon(shape) }
            })
            .collect();
        areas.sort_by(|one, other| one.code.cmp(&other.code));
        Self { areas }
    }

    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// Code of the area in which a point lies. A border belongs to both sides, and a point that two
    /// areas hold to the one whose code comes first; so a shared border never loses a cover.
    pub fn find(&self, lon: f64, lat: f64) -> Option<&str> {
        let at = Coord { x: lon, y: lat };
        self.areas.iter().find(|area| area.holds(at)).map(|area| area.code.as_str())
    }

    /// Whether a point lies in an area or so near to it, good to a percent within some kilometers.
    /// `false` for an unknown code.
    pub fn is_within_m(&self, code: &str, lon: f64, lat: f64, meters: f64) -> bool {
        let Some(area) = self.areas.iter().find(|area| area.code == code) else { return false };
        let here = Coord { x: lon, y: lat };
        // Flat around the point: degrees of longitude shrink with the cosine of the latitude.
        let shrink = lat.to_radians().cos();
        let north = meters / METERS_PER_DEGREE;
        let east = if shrink > 0.0 { (north / shrink).min(360.0) } else { 360.0 };
        // Nearly every line of a city is elsewhere, which is seen without measuring.
        let reach = Rect::new((lon - east, lat - north), (lon + east, lat + north));
        if !area.bounds.intersects(&reach) {
            return false;
        }
        let flat = |at: Coord| Coord { x: (at.x - lon) * shrink, y: at.y - lat };
        let is_near = |line: Line| {
            let line = Line::new(flat(line.start), flat(line.end));
            Euclidean.distance(&Point::new(0.0, 0.0), &line) <= north
        };
        area.borders().any(|line| boxes_meet(&line, &reach) && is_near(line)) || area.holds(here)
    }

    /// Answers like [`Self::find`] for many points, remembering what it learns of each cell.
    pub fn into_locator(self) -> Locator {
        Locator { index: self, cells: HashMap::new() }
    }

    fn look_at_cell(&self, x: u32, y: u32) -> Cell {
        let cell = cell_bounds(x, y);
        let near: Vec<usize> =
            (0..self.areas.len()).filter(|at| self.areas[*at].bounds.intersects(&cell)).collect();
        let crosses = |line: &Line| boxes_meet(line, &cell) && line.intersects(&cell);
        if near.iter().any(|at| self.areas[*at].borders().any(|line| crosses(&line))) {
            return Cell::Crossed(near.into());
        }
        let middle = cell.center();
        Cell::Whole(near.into_iter().find(|at| self.areas[*at].holds(middle)))
    }
}

/// See [`AreaIndex::into_locator`].
#[derive(Debug)]
pub struct Locator {
    index: AreaIndex,
    cells: HashMap<(u32, u32), Cell>,
}

impl Locator {
    pub fn index(&self) -> &AreaIndex {
        &self.index
    }

    pub fn find(&mut self, lon: f64, lat: f64) -> Option<&str> {
        let index = &self.index;
        let (x, y) = cell_of(lon, lat);
        let cell = self.cells.entry((x, y)).or_insert_with(|| index.look_at_cell(x, y));
        let found = match cell {
            Cell::Whole(area) => *area,
            Cell::Crossed(near) => {
                let at = Coord { x: lon, y: lat };
                near.iter().copied().find(|area| index.areas[*area].holds(at))
            }
        };
        found.map(|area| index.areas[area].code.as_str())
    }
}

/// Whether the boxes around them meet: cheaper than the exact test, and true wherever that is.
fn boxes_meet(line: &Line, cell: &Rect) -> bool {
    let (low, high) = (cell.min(), cell.max());
    line.start.x.min(line.end.x) <= high.x
        && line.start.x.max(line.end.x) >= low.x
        && line.start.y.min(line.end.y) <= high.y
        && line.start.y.max(line.end.y) >= low.y
}

fn cell_of(lon: f64, lat: f64) -> (u32, u32) {
    let shift = crate::domain::position::QUADKEY_ZOOM - CELL_ZOOM;
    (tile_x(lon) >> shift, tile_y(lat) >> shift)
}

/// The cell in degrees, a millimeter wider on every side than its points, so that rounding can never
/// leave one outside.
fn cell_bounds(x: u32, y: u32) -> Rect {
    const MILLIMETER: f64 = 1e-8;
    let tiles = f64::from(1u32 << CELL_ZOOM);
    let lon = |x: u32| f64::from(x) / tiles * 360.0 - 180.0;
    let lat = |y: u32| {
        let mercator = std::f64::consts::PI * (1.0 - 2.0 * f64::from(y) / tiles);
        mercator.sinh().atan().to_degrees()
    };
    Rect::new((lon(x) - MILLIMETER, lat(y + 1) - MILLIMETER), (lon(x + 1) + MILLIMETER, lat(y) + MILLIMETER))
}

pub(super) fn multi_polygon(shape: &AreaShape) -> MultiPolygon {
    let line = |ring: &Vec<[f64; 2]>| ring.iter().map(|[lon, lat]| (*lon, *lat)).collect::<LineString>();
    let polygon = |rings: &Vec<Vec<[f64; 2]>>| {
        let mut rings = rings.iter().map(line);
        let outer = rings.next().unwrap_or_else(|| LineString::new(Vec::new()));
        Polygon::new(outer, rings.collect())
    };
    MultiPolygon::new(shape.parts().iter().map(polygon).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn square(west: f64, south: f64, side: f64) -> Vec<[f64; 2]> {
        let (east, north) = (west + side, south + side);
        vec![[west, south], [east, south], [east, north], [west, north], [west, south]]
    }

    fn shape(parts: Vec<Vec<Vec<[f64; 2]>>>) -> AreaShape {
        AreaShape::new(parts).unwrap()
    }

    #[test]
    fn a_hole_an_exclave_and_a_shared_border_each_have_one_owner() {
        let enclave = square(118.4, 37.4, 0.1);
        let around =
            shape(vec![vec![square(118.0, 37.0, 1.0), enclave.clone()], vec![square(120.0, 37.0, 0.1)]]);
        let inner = shape(vec![vec![enclave]]);
        let beside = shape(vec![vec![square(119.0, 37.0, 1.0)]]);
        let index = || AreaIndex::new([("370503", &beside), ("370502", &around), ("370505", &inner)]);
        let mut locator = index().into_locator();
        let index = index();
        for (lon, lat, owner) in [
            (118.2, 37.2, Some("370502")),
            (118.45, 37.45, Some("370505")),
            (120.05, 37.05, Some("370502")),
            (119.5, 37.5, Some("370503")),
            (121.0, 37.5, None),
            // On the border of two: the code that comes first.
            (119.0, 37.5, Some("370502")),
            (118.4, 37.45, Some("370502")),
        ] {
            assert_eq!(index.find(lon, lat), owner, "{lon} {lat}");
            assert_eq!(locator.find(lon, lat), owner, "{lon} {lat} by cells");
        }
        // 88.2 m west of the border.
        assert!(index.is_within_m("370503", 118.999, 37.5, 89.0));
        assert!(!index.is_within_m("370503", 118.999, 37.5, 87.0));
        assert!(index.is_within_m("370503", 119.5, 37.5, 0.0));
        assert!(!index.is_within_m("370599", 119.5, 37.5, 1e6));
    }

    /// Stars around a few middles, so that they overlap, touch and leave gaps.
    fn any_areas() -> impl Strategy<Value = Vec<AreaShape>> {
        let star = (0..4u32, 0..4u32, proptest::collection::vec(0.000_3..0.004f64, 3..24));
        proptest::collection::vec(star, 1..6).prop_map(|stars| {
            let ring = |(x, y, spokes): (u32, u32, Vec<f64>)| {
                let middle = [118.5 + f64::from(x) * 0.003, 37.5 + f64::from(y) * 0.003];
                let count = spokes.len() as f64;
                let mut ring: Vec<[f64; 2]> = spokes
                    .iter()
                    .enumerate()
                    .map(|(at, reach)| {
                        let angle = at as f64 / count * std::f64::consts::TAU;
                        [middle[0] + reach * angle.cos(), middle[1] + reach * angle.sin()]
                    })
                    .collect();
                ring.push(ring[0]);
                ring
            };
            stars.into_iter().map(|star| shape(vec![vec![ring(star)]])).collect()
        })
    }

    /// A net of crooked cells, each of one of some areas or of none, within one area around all of them that
    /// has the net as its hole: parts that share borders, exclaves, holes, enclaves.
    fn any_net() -> impl Strategy<Value = (Vec<AreaShape>, Vec<(f64, f64)>)> {
        const SIDE: usize = 5;
        let nudges = proptest::collection::vec((-0.3..0.3f64, -0.3..0.3f64), (SIDE + 1) * (SIDE + 1));
        let owners = proptest::collection::vec(0..5usize, SIDE * SIDE);
        (nudges, owners).prop_map(|(nudges, owners)| {
            let knot = |x: usize, y: usize| {
                let (aside, above) = nudges[y * (SIDE + 1) + x];
                [118.5 + (x as f64 + aside) * 0.002, 37.5 + (y as f64 + above) * 0.002]
            };
            let mut parts: Vec<Vec<Vec<Vec<[f64; 2]>>>> = vec![Vec::new(); 5];
            for (cell, owner) in owners.iter().enumerate() {
                let (x, y) = (cell % SIDE, cell / SIDE);
                let ring = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)].map(|(dx, dy)| knot(x + dx, y + dy));
                parts[*owner].push(vec![ring.to_vec()]);
            }
            let mut rim: Vec<[f64; 2]> = (0..SIDE).map(|at| knot(at, 0)).collect();
            rim.extend((0..SIDE).map(|at| knot(SIDE, at)));
            rim.extend((0..SIDE).map(|at| knot(SIDE - at, SIDE)));
            rim.extend((0..=SIDE).map(|at| knot(0, SIDE - at)));
            // Whoever owns number 4 owns nothing: holes that nobody fills.
            parts[4] = vec![vec![square(118.49, 37.49, 0.03), rim]];
            let knots = (0..(SIDE + 1) * (SIDE + 1)).map(|at| knot(at % (SIDE + 1), at / (SIDE + 1)));
            let knots: Vec<(f64, f64)> = knots.map(|[lon, lat]| (lon, lat)).collect();
            (parts.into_iter().filter(|parts| !parts.is_empty()).map(shape).collect(), knots)
        })
    }

    /// Whether a point lies in a shape or on its border, by the rule itself: on no line, it lies inside where a ray
    /// to the east crosses an odd number of the lines of a part.
    fn holds_by_rule(shape: &AreaShape, lon: f64, lat: f64) -> bool {
        use geo::kernels::{Kernel, Orientation};
        let at = Coord { x: lon, y: lat };
        shape.parts().iter().any(|rings| {
            let mut crossings = 0;
            for ends in rings.iter().flat_map(|ring| ring.windows(2)) {
                let [from, to] = [ends[0], ends[1]].map(|[x, y]| Coord { x, y });
                let (low, high) = if from.y <= to.y { (from, to) } else { (to, from) };
                let side = <f64 as geo::GeoNum>::Ker::orient2d(low, high, at);
                let beside = low.x.min(high.x) <= lon && lon <= low.x.max(high.x);
                if side == Orientation::Collinear && beside && low.y <= lat && lat <= high.y {
                    return true;
                }
                if low.y <= lat && lat < high.y && side == Orientation::CounterClockwise {
                    crossings += 1;
                }
            }
            crossings % 2 == 1
        })
    }

    proptest! {
        #[test]
        fn every_point_has_the_first_owner_that_holds_it_whatever_the_order(
            (areas, knots) in any_net(),
            points in proptest::collection::vec((118.485..118.525f64, 37.485..37.525f64), 1..100),
            turn in 0..5usize,
        ) {
            let codes: Vec<String> = (0..areas.len()).map(|at| format!("{at:03}")).collect();
            let mut given: Vec<(&str, &AreaShape)> = codes.iter().map(String::as_str).zip(&areas).collect();
            let index = AreaIndex::new(given.iter().copied());
            given.rotate_left(turn % areas.len());
            let mut turned = AreaIndex::new(given.iter().copied()).into_locator();
            given.reverse();
            let reversed = AreaIndex::new(given);
            let borders = knots.windows(2).map(|two| ((two[0].0 + two[1].0) / 2.0, (two[0].1 + two[1].1) / 2.0));
            for (lon, lat) in points.into_iter().chain(borders.collect::<Vec<_>>()).chain(knots) {
                let by_rule = codes.iter().zip(&areas).find(|(_, area)| holds_by_rule(area, lon, lat));
                let by_rule = by_rule.map(|(code, _)| code.as_str());
                prop_assert_eq!(index.find(lon, lat), by_rule, "{} {}", lon, lat);
                prop_assert_eq!(turned.find(lon, lat), by_rule, "{} {} by cells", lon, lat);
                prop_assert_eq!(reversed.find(lon, lat), by_rule, "{} {} reversed", lon, lat);
            }
        }

        #[test]
        fn a_cell_answers_as_every_polygon_asked_in_turn(
            areas in any_areas(),
            points in proptest::collection::vec((118.495..118.515f64, 37.495..37.515f64), 1..200),
        ) {
            let codes: Vec<String> = (0..areas.len()).map(|at| format!("{at:03}")).collect();
            let index = || AreaIndex::new(codes.iter().map(String::as_str).zip(&areas));
            let (mut locator, index) = (index().into_locator(), index());
            let corners = areas.iter().flat_map(|area| area.parts()[0][0].clone()).map(|[lon, lat]| (lon, lat));
            for (lon, lat) in points.into_iter().chain(corners) {
                prop_assert_eq!(locator.find(lon, lat), index.find(lon, lat));
            }
        }
    }
}
