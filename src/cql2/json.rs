//! The JSON encoding of the standard, read. Its tree is the one that both encodings share.
//!
//! Numbers are read from their own digits: the parser of JSON gives doubles that may be a last digit off, and a point
//! that was written must be the same point when it is read.

use std::collections::BTreeMap;

use geo::{Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon};
use serde_json::value::RawValue;

use super::literal::{Coordinates, line, polygon};
use super::moment::{read_date, read_timestamp};
use super::node::{DEEPEST, Node, OPERATIONS, Operation, too_deep};
use super::schema::{nearest, shortened};
use super::text::interval_end;
use crate::domain::Refusal;

pub(super) fn read(text: &str, coordinates: Coordinates<'_>) -> Result<Node, Refusal> {
    let value: &RawValue = serde_json::from_str(text).map_err(|error| {
        let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
        let before = line.get(..error.column()).unwrap_or(line).chars().count();
        Refusal::new("cql2.json").at("filter").with("line", error.line()).with("position", before)
    })?;
    Reader { coordinates }.node(value, 0)
}

struct Reader<'a> {
    coordinates: Coordinates<'a>,
}

/// An object whose members are not read yet.
type Object<'a> = BTreeMap<String, &'a RawValue>;

impl Reader<'_> {
    /// A value inside so many others.
    fn node(&self, value: &RawValue, depth: usize) -> Result<Node, Refusal> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        match value.get().as_bytes().first() {
            Some(b'{') => self.object(value, depth),
            Some(b'[') => Ok(Node::List(self.nodes(&items(value)?, depth)?)),
            Some(b'"') => Ok(Node::Text(text(value)?)),
            Some(b't') => Ok(Node::Boolean(true)),
            Some(b'f') => Ok(Node::Boolean(false)),
            _ => Ok(Node::Number(number(value)?)),
        }
    }

    fn nodes(&self, values: &[&RawValue], depth: usize) -> Result<Vec<Node>, Refusal> {
        values.iter().map(|value| self.node(value, depth + 1)).collect()
    }

    fn object(&self, value: &RawValue, depth: usize) -> Result<Node, Refusal> {
        let object = members(value)?;
        if let Some(name) = object.get("op") {
            let name = text(name)?;
            let arguments = items(object.get("args").ok_or_else(|| shape(value))?)?;
            let Some(operation) = Operation::named(&name) else {
                let names = OPERATIONS.iter().map(|(name, _)| *name);
                return Err(Refusal::new("cql2.unknown_function")
                    .at("filter")
                    .with("read", shortened(&name))
                    .with("near", nearest(&name, names)));
            };
            Node::call(operation, self.nodes(&arguments, depth)?)
        } else if let Some(name) = object.get("property") {
            Ok(Node::Property(text(name)?))
        } else if let Some(date) = object.get("date") {
            Ok(Node::Date(read_date(&text(date)?)?))
        } else if let Some(timestamp) = object.get("timestamp") {
            Ok(Node::Timestamp(read_timestamp(&text(timestamp)?)?))
        } else if let Some(ends) = object.get("interval") {
            match items(ends)?.as_slice() {
                [start, end] => {
                    let (start, end) = (self.end(start, depth)?, self.end(end, depth)?);
                    Ok(Node::Interval(Box::new(start), Box::new(end)))
                }
                _ => Err(shape(value)),
            }
        } else if object.contains_key("type") {
            Ok(Node::Geometry(Box::new(self.geometry(value, true)?)))
        } else if let Some(sides) = object.get("bbox") {
            self.coordinates.bbox(&listed(sides, number)?)
        } else {
            Err(shape(value))
        }
    }

    fn end(&self, value: &RawValue, depth: usize) -> Result<Node, Refusal> {
        match value.get().starts_with('"') {
            true => interval_end(&text(value)?),
            false => self.node(value, depth + 1),
        }
    }

    /// A GeoJSON geometry; a collection holds no other collections.
    fn geometry(&self, value: &RawValue, collections: bool) -> Result<Geometry, Refusal> {
        let object = members(value)?;
        let member = |name: &str| object.get(name).copied().ok_or_else(|| shape(value));
        let kind = text(member("type")?)?;
        if kind == "GeometryCollection" && collections {
            let members = listed(member("geometries")?, |member| self.geometry(member, false))?;
            return Ok(Geometry::GeometryCollection(GeometryCollection::from(members)));
        }
        let coordinates = member("coordinates")?;
        Ok(match kind.as_str() {
            "Point" => geo::Point::from(self.position(coordinates)?).into(),
            "LineString" => line(self.positions(coordinates)?)?.into(),
            "Polygon" => polygon(listed(coordinates, |ring| self.positions(ring))?)?.into(),
            "MultiPoint" => MultiPoint::from(self.positions(coordinates)?).into(),
            "MultiLineString" => {
                let lines: Vec<LineString> = listed(coordinates, |member| line(self.positions(member)?))?;
                MultiLineString::new(lines).into()
            }
            "MultiPolygon" => MultiPolygon::new(listed(coordinates, |member| {
                polygon(listed(member, |ring| self.positions(ring))?)
            })?)
            .into(),
            _ => return Err(shape(value)),
        })
    }

    fn positions(&self, value: &RawValue) -> Result<Vec<Coord>, Refusal> {
        listed(value, |position| self.position(position))
    }

    /// `[lon, lat]`, with or without a height.
    fn position(&self, value: &RawValue) -> Result<Coord, Refusal> {
        match listed(value, number)?.as_slice() {
            [first, second] | [first, second, _] => self.coordinates.position(*first, *second),
            _ => Err(shape(value)),
        }
    }
}

/// One or more of them.
fn listed<T>(value: &RawValue, one: impl Fn(&RawValue) -> Result<T, Refusal>) -> Result<Vec<T>, Refusal> {
    match items(value)? {
        items if items.is_empty() => Err(shape(value)),
        items => items.into_iter().map(one).collect(),
    }
}

fn items(value: &RawValue) -> Result<Vec<&RawValue>, Refusal> {
    serde_json::from_str(value.get()).map_err(|_| shape(value))
}

fn members(value: &RawValue) -> Result<Object<'_>, Refusal> {
    serde_json::from_str(value.get()).map_err(|_| shape(value))
}

fn text(value: &RawValue) -> Result<String, Refusal> {
    serde_json::from_str(value.get()).map_err(|_| shape(value))
}

fn number(value: &RawValue) -> Result<f64, Refusal> {
    let number = value.get().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| shape(value))
}

fn shape(value: &RawValue) -> Refusal {
    Refusal::new("cql2.json_shape").at("filter").with("read", shortened(value.get()))
}
