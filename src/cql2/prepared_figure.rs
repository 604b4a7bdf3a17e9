//! A geometry sorted so that a million points can be asked about it: by its box first, then by bands of latitude.

use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::kernels::{Kernel, Orientation};
use geo::{BoundingRect, Coord, GeoNum, Geometry, Line, LineString, Polygon, Rect};

use super::figure::{Bounds, Figure, Location, Tally};
use super::node::SpatialRelation;

/// A [`Figure`] with its parts sorted; it answers as [`Figure::locate`] does.
#[derive(Debug, Clone)]
pub(super) struct PreparedFigure {
    figure: Figure,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Point(Coord),
    Line(LineString, Rect),
    /// The outer ring and its holes.
    Area(Ring, Vec<Ring>),
    Box(Rect),
}

impl PreparedFigure {
    pub(super) fn new(figure: &Figure) -> Self {
        let mut parts = Vec::new();
        sort(figure.geometry(), &mut parts);
        Self { figure: figure.clone(), parts }
    }

    /// As it was before.
    pub(super) fn figure(&self) -> &Figure {
        &self.figure
    }

    pub(super) fn locate(&self, at: Coord) -> Location {
        if !within(self.figure.bounds(), at) {
            return Location::Outside;
        }
        let mut tally = Tally::default();
        for part in &self.parts {
            match part {
                Part::Point(point) => tally.inside |= *point == at,
                Part::Line(line, around) => {
                    if around.coordinate_position(&at) != CoordPos::Outside {
                        tally.add_line(line, at);
                    }
                }
                Part::Area(outer, holes) => tally.add_area(locate_in_area(outer, holes, at)),
                Part::Box(rect) => tally.add_area(rect.coordinate_position(&at)),
            }
        }
        tally.location()
    }

    pub(super) fn holds(&self, relation: SpatialRelation, at: Coord) -> bool {
        self.figure.holds(relation, at, self.locate(at))
    }
}

/// Whether a point lies in a box or on its sides.
pub(super) fn within([west, south, east, north]: Bounds, at: Coord) -> bool {
    west <= at.x && at.x <= east && south <= at.y && at.y <= north
}

fn sort(geometry: &Geometry, parts: &mut Vec<Part>) {
    let line = |line: &LineString| Some(Part::Line(line.clone(), line.bounding_rect()?));
    let area = |polygon: &Polygon| {
        Part::Area(Ring::new(polygon.exterior()), polygon.interiors().iter().map(Ring::new).collect())
    };
    match geometry {
        Geometry::Point(point) => parts.push(Part::Point(point.0)),
        Geometry::MultiPoint(points) => parts.extend(points.0.iter().map(|point| Part::Point(point.0))),
        Geometry::LineString(one) => parts.extend(line(one)),
        Geometry::MultiLineString(lines) => parts.extend(lines.0.iter().filter_map(line)),
        Geometry::Polygon(polygon) => parts.push(area(polygon)),
        Geometry::MultiPolygon(polygons) => parts.extend(polygons.0.iter().map(area)),
        Geometry::GeometryCollection(members) => members.0.iter().for_each(|member| sort(member, parts)),
        Geometry::Rect(rect) => parts.push(Part::Box(*rect)),
        // No literal makes one of these.
        Geometry::Line(_) | Geometry::Triangle(_) => {}
    }
}

fn locate_in_area(outer: &Ring, holes: &[Ring], at: Coord) -> CoordPos {
    match outer.locate(at) {
        CoordPos::Inside => {
            for hole in holes {
                match hole.locate(at) {
                    CoordPos::Outside => {}
                    CoordPos::OnBoundary => return CoordPos::OnBoundary,
                    CoordPos::Inside => return CoordPos::Outside,
                }
            }
            CoordPos::Inside
        }
        other => other,
    }
}

/// A closed line whose edges are found by latitude.
#[derive(Debug, Clone)]
struct Ring {
    bounds: Bounds,
    bands_per_degree: f64,
    /// The edges that reach into each band of latitude, from the south.
    bands: Vec<Vec<Line>>,
}

impl Ring {
    /// About so many edges in a band. Smaller bands would hold long edges again and again.
    const EDGES: usize = 4;
    /// At most so many times is an edge held on average, so that a comb of long edges takes no room that it should not.
    const COPIES: usize = 8;

    fn new(line: &LineString) -> Self {
        let around = line.bounding_rect().unwrap_or_else(|| Rect::new(Coord::zero(), Coord::zero()));
        let bounds = [around.min().x, around.min().y, around.max().x, around.max().y];
        let mut ring = Self { bounds, bands_per_degree: 0.0, bands: Vec::new() };
        let mut count = (line.0.len() / Self::EDGES).clamp(1, 1024);
        loop {
            let bands_per_degree = count as f64 / around.height();
            ring.bands_per_degree = if bands_per_degree.is_finite() { bands_per_degree } else { 0.0 };
            ring.bands = vec![Vec::new(); count];
            let copies: usize = line.lines().map(|edge| ring.bands_of(edge).count()).sum();
            if count == 1 || copies <= line.0.len() * Self::COPIES {
                break;
            }
            count /= 2;
        }
        for edge in line.lines() {
            for band in ring.bands_of(edge) {
                ring.bands[band].push(edge);
            }
        }
        ring
    }

    fn bands_of(&self, edge: Line) -> std::ops::RangeInclusive<usize> {
        let (low, high) = (edge.start.y.min(edge.end.y), edge.start.y.max(edge.end.y));
        self.band(low)..=self.band(high)
    }

    /// The band of a latitude: never smaller for a larger one, so that an edge is in the band of each of its points.
    fn band(&self, latitude: f64) -> usize {
        (((latitude - self.bounds[1]) * self.bands_per_degree).max(0.0) as usize).min(self.bands.len() - 1)
    }

    /// By how often the ring winds around the point, as `geo` counts it.
    fn locate(&self, at: Coord) -> CoordPos {
        if !within(self.bounds, at) {
            return CoordPos::Outside;
        }
        let mut winding = 0;
        for edge in &self.bands[self.band(at.y)] {
            let rises = edge.start.y <= at.y;
            if if rises { edge.end.y < at.y } else { edge.end.y > at.y } {
                continue;
            }
            let side = <f64 as GeoNum>::Ker::orient2d(edge.start, edge.end, at);
            let between = (edge.start.x.min(edge.end.x)..=edge.start.x.max(edge.end.x)).contains(&at.x);
            match side {
                Orientation::Collinear if between => return CoordPos::OnBoundary,
                Orientation::CounterClockwise if rises && edge.end.y != at.y => winding += 1,
                Orientation::Clockwise if !rises => winding -= 1,
                _ => {}
            }
        }
        if winding == 0 { CoordPos::Outside } else { CoordPos::Inside }
    }
}
