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
        self.bounds.intersects(&at) && self.shape.coordinate_position(&at) != CoordPos::Outside
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

    /// Meters from a point to an area, good to a percent within some kilometers; 0 inside. `None`
    /// for an unknown code.
    pub fn distance_m(&self, code: &str, lon: f64, lat: f64) -> Option<f64> {
        let area = self.areas.iter().find(|area| area.code == code)?;
        if area.holds(Coord { x: lon, y: lat }) {
            return Some(0.0);
        }
        // Flat around the point: degrees of longitude shrink with the cosine of the latitude.
        let shrink = lat.to_radians().cos();
        let here = Point::new(lon * shrink, lat);
        let flat = |at: Coord| Coord { x: at.x * shrink, y: at.y };
        area.borders()
            .map(|line| Euclidean.distance(&here, &Line::new(flat(line.start), flat(line.end))))
            .min_by(f64::total_cmp)
            .map(|degrees| degrees * METERS_PER_DEGREE)
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

fn multi_polygon(shape: &AreaShape) -> MultiPolygon {
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
        let away = index.distance_m("370503", 118.999, 37.5).unwrap();
        assert!((away - 88.2).abs() < 1.0, "{away}");
        assert_eq!(index.distance_m("370503", 119.5, 37.5), Some(0.0));
        assert_eq!(index.distance_m("370599", 119.5, 37.5), None);
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

    proptest! {
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
