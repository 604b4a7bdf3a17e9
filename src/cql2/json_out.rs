//! A filter in the JSON encoding.

use geo::{Coord, Geometry, LineString, Polygon};
use serde_json::{Value, json};

use super::moment::{date_text, timestamp_text};
use super::node::Node;

pub(super) fn write(node: &Node) -> Value {
    match node {
        Node::Text(text) => json!(text),
        Node::Number(number) => number_value(*number),
        Node::Boolean(truth) => json!(truth),
        Node::Date(days) => json!({"date": date_text(*days)}),
        Node::Timestamp(micros) => json!({"timestamp": timestamp_text(*micros)}),
        Node::Interval(start, end) => json!({"interval": [interval_end(start), interval_end(end)]}),
        Node::Open => json!(".."),
        Node::Geometry(geometry) => geometry_value(geometry),
        Node::Box(sides) => json!({"bbox": sides.map(number_value)}),
        Node::List(items) => items.iter().map(write).collect(),
        Node::Property(name) => json!({"property": name}),
        Node::Call(call) => {
            let arguments: Vec<Value> = call.arguments.iter().map(write).collect();
            json!({"op": call.operation.name(), "args": arguments})
        }
    }
}

fn interval_end(end: &Node) -> Value {
    match end {
        Node::Date(days) => json!(date_text(*days)),
        Node::Timestamp(micros) => json!(timestamp_text(*micros)),
        other => write(other),
    }
}

/// Whole numbers without a point, as people write them.
fn number_value(number: f64) -> Value {
    let whole = number.fract() == 0.0 && number.abs() < 9e15 && !(number == 0.0 && number.is_sign_negative());
    if whole { json!(number as i64) } else { json!(number) }
}

fn geometry_value(geometry: &Geometry) -> Value {
    let (name, coordinates) = match geometry {
        Geometry::Point(point) => ("Point", position(&point.0)),
        Geometry::LineString(line) => ("LineString", positions(line)),
        Geometry::Polygon(polygon) => ("Polygon", rings(polygon)),
        Geometry::MultiPoint(points) => {
            ("MultiPoint", points.0.iter().map(|point| position(&point.0)).collect())
        }
        Geometry::MultiLineString(lines) => ("MultiLineString", lines.0.iter().map(positions).collect()),
        Geometry::MultiPolygon(polygons) => ("MultiPolygon", polygons.0.iter().map(rings).collect()),
        Geometry::GeometryCollection(members) => {
            let members: Vec<Value> = members.0.iter().map(geometry_value).collect();
            return json!({"type": "GeometryCollection", "geometries": members});
        }
        // No literal makes one of these.
        Geometry::Line(_) | Geometry::Rect(_) | Geometry::Triangle(_) => return Value::Null,
    };
    json!({"type": name, "coordinates": coordinates})
}

fn position(at: &Coord) -> Value {
    json!([number_value(at.x), number_value(at.y)])
}

fn positions(line: &LineString) -> Value {
    line.0.iter().map(position).collect()
}

fn rings(polygon: &Polygon) -> Value {
    std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(positions).collect()
}
