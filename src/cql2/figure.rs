//! Geometries of a filter and what they have to do with a point, by the definitions of simple features (DE-9IM).

use std::f64::consts::PI;

use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::relate::Relate;
use geo::{
    BoundingRect, Coord, CoordsIter, Distance, Euclidean, Geometry, GeometryCollection, LineString,
    MapCoords, Rect, Validation,
};

use super::node::SpatialRelation;
use crate::domain::position::distance_m;

/// Meters of a degree along a meridian, on the sphere of [`distance_m`].
pub(super) const DEGREE_M: f64 = 6_371_008.8 * PI / 180.0;

/// West, south, east, north in degrees; west is never east of east.
pub type Bounds = [f64; 4];

/// A geometry in degrees, ready to be asked about points and other geometries.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    geometry: Geometry,
    bounds: Bounds,
    /// The only place of a geometry that is a single point.
    sole: Option<Coord>,
}

/// Where a point lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    Inside,
    Boundary,
    Outside,
}

impl Figure {
    /// `None` for a geometry without a position.
    pub fn new(geometry: Geometry) -> Option<Self> {
        let around = geometry.bounding_rect()?;
        let first = geometry.coords_iter().next()?;
        let sole = geometry.coords_iter().all(|coord| coord == first).then_some(first);
        let bounds = [around.min().x, around.min().y, around.max().x, around.max().y];
        Some(Self { geometry, bounds, sole })
    }

    /// West, south, east, north; where west lies east of east, the box goes across the antimeridian.
    pub fn of_box([west, south, east, north]: [f64; 4]) -> Option<Self> {
        let part = |west: f64, east: f64| -> Geometry {
            let (low, high) = (Coord { x: west, y: south }, Coord { x: east, y: north });
            match (west == east, south == north) {
                (false, false) => Rect::new(low, high).into(),
                (true, true) => geo::Point::from(low).into(),
                _ => LineString::new(vec![low, high]).into(),
            }
        };
        Self::new(match west > east {
            false => part(west, east),
            true => {
                let parts = vec![part(west, 180.0), part(-180.0, east)];
                Geometry::GeometryCollection(GeometryCollection::from(parts))
            }
        })
    }

    pub(super) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The position, where this is nothing but one.
    pub(super) fn point(&self) -> Option<Coord> {
        match self.geometry {
            Geometry::Point(point) => Some(point.0),
            _ => None,
        }
    }

    /// How many positions it has.
    pub(super) fn corners(&self) -> usize {
        self.geometry.coords_count()
    }

    /// Where a point lies, by looking at every part.
    pub(super) fn locate(&self, at: Coord) -> Location {
        let mut tally = Tally::default();
        tally.add(&self.geometry, at);
        tally.location()
    }

    /// Whether a point has this relation to the geometry.
    pub(super) fn holds(&self, relation: SpatialRelation, at: Coord, location: Location) -> bool {
        match relation {
            SpatialRelation::Intersects => location != Location::Outside,
            SpatialRelation::Disjoint => location == Location::Outside,
            SpatialRelation::Within => location == Location::Inside,
            SpatialRelation::Touches => location == Location::Boundary,
            SpatialRelation::Equals | SpatialRelation::Contains => self.sole == Some(at),
            // Both need parts inside and outside; a point has one part.
            SpatialRelation::Overlaps | SpatialRelation::Crosses => false,
        }
    }

    /// Meters from a point: on a great circle to points, in the plane around the point to lines and areas, which is
    /// good to a thousandth within ten kilometers. Inside an area it is 0.
    pub(super) fn distance_m(&self, at: Coord) -> f64 {
        distance_to(&self.geometry, at)
    }

    /// Whether no line of it crosses another where it must not.
    pub(super) fn is_valid(&self) -> bool {
        self.geometry.is_valid()
    }

    /// Whether they share a point; `false` where one of them is not valid.
    pub fn meets(&self, other: &Self) -> bool {
        self.relation(SpatialRelation::Intersects, other) == Some(true)
    }

    /// Meters between two geometries, in the plane that touches in the middle of both; 0 where they share a point.
    pub(super) fn between_m(&self, other: &Self) -> f64 {
        if let Some(at) = self.point() {
            return other.distance_m(at);
        }
        if let Some(at) = other.point() {
            return self.distance_m(at);
        }
        let edge = |at: usize, pick: fn(f64, f64) -> f64| pick(self.bounds[at], other.bounds[at]);
        let middle = Coord {
            x: (edge(0, f64::min) + edge(2, f64::max)) / 2.0,
            y: (edge(1, f64::min) + edge(3, f64::max)) / 2.0,
        };
        let flattened = |figure: &Self| figure.geometry.map_coords(|coord| flat(coord, middle));
        Euclidean.distance(&flattened(self), &flattened(other))
    }

    /// Whether two geometries have this relation; `None` where one of them is not valid, because its
    /// lines cross where they must not.
    pub(super) fn relation(&self, relation: SpatialRelation, other: &Self) -> Option<bool> {
        if let Some(at) = self.point() {
            return Some(other.holds(relation, at, other.locate(at)));
        }
        if let Some(at) = other.point() {
            return Some(self.holds(mirrored(relation), at, self.locate(at)));
        }
        if !self.is_valid() || !other.is_valid() {
            return None;
        }
        let matrix = self.geometry.relate(&other.geometry);
        Some(match relation {
            SpatialRelation::Intersects => matrix.is_intersects(),
            SpatialRelation::Equals => matrix.is_equal_topo(),
            SpatialRelation::Disjoint => matrix.is_disjoint(),
            SpatialRelation::Touches => matrix.is_touches(),
            SpatialRelation::Within => matrix.is_within(),
            SpatialRelation::Overlaps => matrix.is_overlaps(),
            SpatialRelation::Crosses => matrix.is_crosses(),
            SpatialRelation::Contains => matrix.is_contains(),
        })
    }
}

/// The relation of the second to the first.
pub(super) fn mirrored(relation: SpatialRelation) -> SpatialRelation {
    match relation {
        SpatialRelation::Within => SpatialRelation::Contains,
        SpatialRelation::Contains => SpatialRelation::Within,
        other => other,
    }
}

/// A box that every point within so many meters lies in.
pub(super) fn widened([west, south, east, north]: Bounds, meters: f64) -> Bounds {
    // A little more, because the last digits of sines and cosines are not exact.
    let reach = meters * (1.0 + 1e-9) / DEGREE_M + 1e-9;
    let (south, north) = ((south - reach).max(-90.0), (north + reach).min(90.0));
    let across = reach / south.abs().max(north.abs()).to_radians().cos();
    let (west, east) = (west - across, east + across);
    // Beyond the antimeridian it goes on from the other side.
    match across.is_finite() && west >= -180.0 && east <= 180.0 {
        true => [west, south, east, north],
        false => [-180.0, south, 180.0, north],
    }
}

/// In how many parts of a geometry a point was found.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub inside: bool,
    /// On the border of an area.
    pub border: bool,
    /// At so many ends of lines. Lines that meet end to end have no boundary there (the mod-2 rule of simple features).
    pub ends: usize,
}

impl Tally {
    fn add(&mut self, geometry: &Geometry, at: Coord) {
        match geometry {
            Geometry::Point(point) => self.inside |= point.0 == at,
            Geometry::MultiPoint(points) => self.inside |= points.0.iter().any(|point| point.0 == at),
            Geometry::LineString(line) => self.add_line(line, at),
            Geometry::MultiLineString(lines) => lines.0.iter().for_each(|line| self.add_line(line, at)),
            Geometry::Polygon(polygon) => self.add_area(polygon.coordinate_position(&at)),
            Geometry::MultiPolygon(polygons) => {
                polygons.0.iter().for_each(|polygon| self.add_area(polygon.coordinate_position(&at)));
            }
            Geometry::GeometryCollection(members) => members.0.iter().for_each(|member| self.add(member, at)),
            Geometry::Rect(rect) => self.add_area(rect.coordinate_position(&at)),
            // No literal makes one of these.
            Geometry::Line(_) | Geometry::Triangle(_) => {}
        }
    }

    pub(super) fn add_line(&mut self, line: &LineString, at: Coord) {
        match line.coordinate_position(&at) {
            CoordPos::Inside => self.inside = true,
            CoordPos::OnBoundary => self.ends += 1,
            CoordPos::Outside => {}
        }
    }

    pub(super) fn add_area(&mut self, position: CoordPos) {
        match position {
            CoordPos::Inside => self.inside = true,
            CoordPos::OnBoundary => self.border = true,
            CoordPos::Outside => {}
        }
    }

    pub(super) fn location(&self) -> Location {
        if self.inside {
            Location::Inside
        } else if self.border || self.ends % 2 == 1 {
            Location::Boundary
        } else if self.ends > 0 {
            Location::Inside
        } else {
            Location::Outside
        }
    }
}

fn distance_to(geometry: &Geometry, at: Coord) -> f64 {
    let nearest = |distances: &mut dyn Iterator<Item = f64>| distances.fold(f64::INFINITY, f64::min);
    let area = |polygon: &geo::Polygon| match polygon.coordinate_position(&at) {
        CoordPos::Outside => {
            let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
            nearest(&mut rings.map(|ring| distance_to_line(ring, at)))
        }
        CoordPos::Inside | CoordPos::OnBoundary => 0.0,
    };
    match geometry {
        Geometry::Point(point) => distance_m((at.x, at.y), point.x_y()),
        Geometry::MultiPoint(points) => {
            nearest(&mut points.0.iter().map(|point| distance_m((at.x, at.y), point.x_y())))
        }
        Geometry::LineString(line) => distance_to_line(line, at),
        Geometry::MultiLineString(lines) => {
            nearest(&mut lines.0.iter().map(|line| distance_to_line(line, at)))
        }
        Geometry::Polygon(polygon) => area(polygon),
        Geometry::MultiPolygon(polygons) => nearest(&mut polygons.0.iter().map(area)),
        Geometry::GeometryCollection(members) => {
            nearest(&mut members.0.iter().map(|member| distance_to(member, at)))
        }
        Geometry::Rect(rect) => {
            let inside = Coord {
                x: at.x.clamp(rect.min().x, rect.max().x),
                y: at.y.clamp(rect.min().y, rect.max().y),
            };
            let flat = flat(inside, at);
            flat.x.hypot(flat.y)
        }
        // No literal makes one of these.
        Geometry::Line(_) | Geometry::Triangle(_) => f64::INFINITY,
    }
}

fn distance_to_line(line: &LineString, at: Coord) -> f64 {
    let distance = |piece: geo::Line| {
        let (start, end) = (flat(piece.start, at), flat(piece.end, at));
        let along = end - start;
        let squared = along.x * along.x + along.y * along.y;
        let share = match squared > 0.0 {
            true => (-(start.x * along.x + start.y * along.y) / squared).clamp(0.0, 1.0),
            false => 0.0,
        };
        (start.x + along.x * share).hypot(start.y + along.y * share)
    };
    line.lines().map(distance).fold(f64::INFINITY, f64::min)
}

/// Meters east and north of a point, in the plane that touches there.
fn flat(coord: Coord, at: Coord) -> Coord {
    Coord { x: (coord.x - at.x) * DEGREE_M * at.y.to_radians().cos(), y: (coord.y - at.y) * DEGREE_M }
}
