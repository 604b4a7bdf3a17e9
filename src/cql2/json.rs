//! The JSON encoding of the standard, read. Its tree is the one that both encodings share.

use geo::{Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon};
use serde_json::{Map, Value};

use super::literal::{Coordinates, line, polygon};
use super::moment::{read_date, read_timestamp};
use super::node::{Node, OPERATIONS, Operation};
use super::schema::{nearest, shortened};
use super::text::interval_end;
use crate::domain::Refusal;

/// The parser of JSON itself gives up at 128 levels, so that no text can overflow the stack here.
pub(super) fn read(text: &str, coordinates: Coordinates<'_>) -> Result<Node, Refusal> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
        let before = line.get(..error.column()).unwrap_or(line).chars().count();
        Refusal::new("cql2.json").at("filter").with("line", error.line()).with("position", before)
    })?;
    Reader { coordinates }.node(&value)
}

struct Reader<'a> {
    coordinates: Coordinates<'a>,
}

impl Reader<'_> {
    fn node(&self, value: &Value) -> Result<Node, Refusal> {
        match value {
            Value::Null => Err(shape("null")),
            Value::Bool(truth) => Ok(Node::Boolean(*truth)),
            Value::Number(number) => match number.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(Node::Number(number)),
                None => Err(shape(&number.to_string())),
            },
            Value::String(text) => Ok(Node::Text(text.clone())),
            Value::Array(items) => Ok(Node::List(self.nodes(items)?)),
            Value::Object(object) => self.object(object),
        }
    }

    fn nodes(&self, values: &[Value]) -> Result<Vec<Node>, Refusal> {
        values.iter().map(|value| self.node(value)).collect()
    }

    fn object(&self, object: &Map<String, Value>) -> Result<Node, Refusal> {
        let text = |member: &str| object.get(member).and_then(Value::as_str);
        let unfit = || shape(&Value::Object(object.clone()).to_string());
        if let Some(name) = text("op") {
            let arguments = object.get("args").and_then(Value::as_array).ok_or_else(unfit)?;
            let Some(operation) = Operation::named(name) else {
                let names = OPERATIONS.iter().map(|(name, _)| *name);
                return Err(Refusal::new("cql2.unknown_function")
                    .at("filter")
                    .with("read", shortened(name))
                    .with("near", nearest(name, names)));
            };
            Node::call(operation, self.nodes(arguments)?)
        } else if let Some(name) = text("property") {
            Ok(Node::Property(name.to_owned()))
        } else if let Some(date) = text("date") {
            Ok(Node::Date(read_date(date)?))
        } else if let Some(timestamp) = text("timestamp") {
            Ok(Node::Timestamp(read_timestamp(timestamp)?))
        } else if let Some(ends) = object.get("interval") {
            match ends.as_array().map(Vec::as_slice) {
                Some([start, end]) => {
                    Ok(Node::Interval(Box::new(self.end(start)?), Box::new(self.end(end)?)))
                }
                _ => Err(unfit()),
            }
        } else if text("type").is_some() {
            Ok(Node::Geometry(Box::new(self.geometry(object, true)?)))
        } else if let Some(numbers) = object.get("bbox").and_then(Value::as_array) {
            let numbers: Option<Vec<f64>> = numbers.iter().map(Value::as_f64).collect();
            self.coordinates.bbox(&numbers.ok_or_else(unfit)?)
        } else {
            Err(unfit())
        }
    }

    fn end(&self, value: &Value) -> Result<Node, Refusal> {
        match value {
            Value::String(text) => interval_end(text),
            other => self.node(other),
        }
    }

    /// A GeoJSON geometry; a collection holds no other collections.
    fn geometry(&self, object: &Map<String, Value>, collections: bool) -> Result<Geometry, Refusal> {
        let unfit = || shape(&Value::Object(object.clone()).to_string());
        let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind == "GeometryCollection" && collections {
            let members = object.get("geometries").and_then(Value::as_array).ok_or_else(unfit)?;
            let members = members.iter().map(|member| match member.as_object() {
                Some(member) => self.geometry(member, false),
                None => Err(unfit()),
            });
            let members = members.collect::<Result<Vec<_>, _>>()?;
            return if members.is_empty() {
                Err(unfit())
            } else {
                Ok(Geometry::GeometryCollection(GeometryCollection::from(members)))
            };
        }
        let coordinates = object.get("coordinates").ok_or_else(unfit)?;
        Ok(match kind {
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
            _ => return Err(unfit()),
        })
    }

    fn positions(&self, value: &Value) -> Result<Vec<Coord>, Refusal> {
        listed(value, |position| self.position(position))
    }

    /// `[lon, lat]`, with or without a height.
    fn position(&self, value: &Value) -> Result<Coord, Refusal> {
        let numbers = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match numbers {
            [first, second] | [first, second, _] => match (first.as_f64(), second.as_f64()) {
                (Some(first), Some(second)) => self.coordinates.position(first, second),
                _ => Err(shape(&value.to_string())),
            },
            _ => Err(shape(&value.to_string())),
        }
    }
}

/// One or more of them.
fn listed<T>(value: &Value, one: impl Fn(&Value) -> Result<T, Refusal>) -> Result<Vec<T>, Refusal> {
    match value.as_array() {
        Some(items) if !items.is_empty() => items.iter().map(one).collect(),
        _ => Err(shape(&value.to_string())),
    }
}

fn shape(read: &str) -> Refusal {
    Refusal::new("cql2.json_shape").at("filter").with("read", shortened(read))
}
