//! Coordinates of literals: brought to degrees, checked, and put together to geometries.

use geo::{Coord, LineString, Polygon};

use super::ToDegrees;
use super::node::Node;
use crate::domain::Refusal;

/// How many pieces each side of a box is cut into where the reference system bends it.
const PIECES: u32 = 16;

/// Takes coordinates as they were given.
#[derive(Clone, Copy)]
pub(super) struct Coordinates<'a> {
    pub to_degrees: Option<ToDegrees<'a>>,
}

impl Coordinates<'_> {
    /// One position in degrees, longitude first. A height was left out by the caller: covers are asked for in the plane.
    pub(super) fn position(self, first: f64, second: f64) -> Result<Coord, Refusal> {
        let at = self.degrees(first, second).map(|(x, y)| Coord { x, y });
        at.ok_or_else(|| {
            let code = match self.to_degrees {
                Some(_) => Refusal::new("cql2.coordinate_system"),
                None => Refusal::new("cql2.coordinate"),
            };
            code.at("filter").with("first", first).with("second", second)
        })
    }

    fn degrees(self, first: f64, second: f64) -> Option<(f64, f64)> {
        let (lon, lat) = match self.to_degrees {
            Some(convert) => convert(first, second)?,
            None => (first, second),
        };
        (lon.abs() <= 180.0 && lat.abs() <= 90.0).then_some((lon, lat))
    }

    /// A box of four numbers, or six with heights that are left out. In a system that bends its sides it becomes a
    /// polygon that follows them.
    pub(super) fn bbox(self, numbers: &[f64]) -> Result<Node, Refusal> {
        let [a, b, c, d] = match *numbers {
            [a, b, c, d] | [a, b, _, c, d, _] => [a, b, c, d],
            _ => return Err(Refusal::new("cql2.box_numbers").at("filter").with("count", numbers.len())),
        };
        let corners = [(a, b), (c, b), (c, d), (a, d)];
        let mut at = [Coord::zero(); 4];
        for (at, (first, second)) in at.iter_mut().zip(corners) {
            *at = self.position(first, second)?;
        }
        let alike = |left: f64, right: f64| (left - right).abs() < 1e-9;
        let [low, right, high, left] = at;
        // The second number may be the longitude, as in EPSG:4326.
        let straight = alike(low.y, right.y) && alike(high.y, left.y) && alike(low.x, left.x)
            || alike(low.x, right.x) && alike(high.x, left.x) && alike(low.y, left.y);
        if straight {
            if low.y > high.y {
                return Err(Refusal::new("cql2.box_order").at("filter"));
            }
            return Ok(Node::Box([low.x, low.y, high.x, high.y]));
        }
        if a > c || b > d {
            return Err(Refusal::new("cql2.box_order").at("filter"));
        }
        let mut ring = Vec::new();
        for (start, end) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            for piece in 0..PIECES {
                let share = f64::from(piece) / f64::from(PIECES);
                let along = |from: f64, to: f64| from + (to - from) * share;
                ring.push(self.position(along(start.0, end.0), along(start.1, end.1))?);
            }
        }
        ring.push(ring[0]);
        Ok(Node::Geometry(Box::new(Polygon::new(LineString::new(ring), Vec::new()).into())))
    }
}

/// A line of at least two positions.
pub(super) fn line(positions: Vec<Coord>) -> Result<LineString, Refusal> {
    match positions.len() {
        0 | 1 => Err(Refusal::new("cql2.line").at("filter")),
        _ => Ok(LineString::new(positions)),
    }
}

/// A polygon of closed rings, the outer one first.
pub(super) fn polygon(rings: Vec<Vec<Coord>>) -> Result<Polygon, Refusal> {
    let mut rings = rings.into_iter().map(|ring| match ring.len() >= 4 && ring.first() == ring.last() {
        true => Ok(LineString::new(ring)),
        false => Err(Refusal::new("cql2.ring").at("filter")),
    });
    let outer = rings.next().ok_or_else(|| Refusal::new("cql2.ring").at("filter"))??;
    Ok(Polygon::new(outer, rings.collect::<Result<_, _>>()?))
}
