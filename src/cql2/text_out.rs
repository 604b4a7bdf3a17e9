//! A filter in the text encoding, with as few brackets as it takes.

use geo::{Coord, Geometry, LineString, Polygon};

use super::lexer::{continues_name, starts_name};
use super::moment::{date_text, timestamp_text};
use super::node::{Arithmetic, Call, Node, Operation};
use super::text::{LITERALS, RESERVED, binding};

pub(super) fn write(node: &Node) -> String {
    let mut out = String::new();
    put(&mut out, node, binding::OR);
    out
}

/// A property, in double quotes where it could be taken for something else.
pub(super) fn property(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    let plain = name.starts_with(starts_name)
        && name.chars().all(continues_name)
        && !RESERVED.contains(&upper.as_str())
        && !LITERALS.contains(&upper.as_str())
        && Operation::named(name).is_none();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A node that must hold at least so tightly, or stand in brackets.
fn put(out: &mut String, node: &Node, minimum: u8) {
    match node {
        Node::Text(text) => put_text(out, text),
        Node::Number(number) => out.push_str(&number_text(*number)),
        Node::Boolean(true) => out.push_str("TRUE"),
        Node::Boolean(false) => out.push_str("FALSE"),
        Node::Date(days) => out.push_str(&format!("DATE('{}')", date_text(*days))),
        Node::Timestamp(micros) => out.push_str(&format!("TIMESTAMP('{}')", timestamp_text(*micros))),
        Node::Interval(start, end) => {
            out.push_str("INTERVAL(");
            put_interval_end(out, start);
            out.push_str(", ");
            put_interval_end(out, end);
            out.push(')');
        }
        Node::Open => out.push_str("'..'"),
        Node::Geometry(geometry) => put_geometry(out, geometry),
        Node::Box(sides) => out.push_str(&format!("BBOX({})", sides.map(number_text).join(", "))),
        Node::List(items) => {
            out.push('(');
            put_listed(out, items);
            out.push(')');
        }
        Node::Property(name) => out.push_str(&property(name)),
        Node::Call(call) => {
            let brackets = holds(call) < minimum;
            if brackets {
                out.push('(');
            }
            put_call(out, call);
            if brackets {
                out.push(')');
            }
        }
    }
}

fn holds(call: &Call) -> u8 {
    match call.operation {
        Operation::And => binding::AND,
        Operation::Or => binding::OR,
        Operation::Not => match negated_test(call) {
            Some(_) => binding::COMPARISON,
            None => binding::NOT,
        },
        Operation::Compare(_) | Operation::Like | Operation::Between | Operation::In | Operation::IsNull => {
            binding::COMPARISON
        }
        Operation::Calculate(Arithmetic::Add | Arithmetic::Subtract) => binding::SUM,
        Operation::Calculate(Arithmetic::Power) => binding::POWER,
        Operation::Calculate(_) => binding::PRODUCT,
        _ => binding::OPERAND,
    }
}

/// The test inside a NOT that the text encoding writes as `NOT LIKE`, `IS NOT NULL` and so on.
fn negated_test(call: &Call) -> Option<&Call> {
    match call.arguments.as_slice() {
        [Node::Call(inner)] if call.operation == Operation::Not => {
            let test = matches!(
                inner.operation,
                Operation::Like | Operation::Between | Operation::In | Operation::IsNull
            );
            test.then_some(inner)
        }
        _ => None,
    }
}

fn put_call(out: &mut String, call: &Call) {
    let arguments = &call.arguments;
    match (call.operation, arguments.as_slice()) {
        (Operation::And, _) => put_chain(out, arguments, " AND ", binding::NOT),
        (Operation::Or, _) => put_chain(out, arguments, " OR ", binding::AND),
        (Operation::Not, [inner]) => match negated_test(call) {
            Some(test) => put_test(out, test, true),
            None => {
                out.push_str("NOT ");
                // Two words NOT in a row are no condition of the standard.
                let twice = matches!(inner, Node::Call(inner) if holds(inner) == binding::NOT);
                put(out, inner, if twice { binding::OPERAND } else { binding::NOT });
            }
        },
        (Operation::Compare(_), [left, right]) => {
            put(out, left, binding::SUM);
            out.push_str(&format!(" {} ", call.operation.name()));
            put(out, right, binding::SUM);
        }
        (Operation::Calculate(_), [left, right]) => {
            let own = holds(call);
            put(out, left, if own == binding::POWER { binding::OPERAND } else { own });
            out.push_str(&format!(" {} ", call.operation.name()));
            put(out, right, own + 1);
        }
        (Operation::Like | Operation::Between | Operation::In | Operation::IsNull, _) => {
            put_test(out, call, false);
        }
        _ => {
            out.push_str(&call.operation.name().to_ascii_uppercase());
            out.push('(');
            put_listed(out, arguments);
            out.push(')');
        }
    }
}

fn put_test(out: &mut String, call: &Call, negated: bool) {
    let not = if negated { "NOT " } else { "" };
    let Some((operand, rest)) = call.arguments.split_first() else { return };
    put(out, operand, binding::SUM);
    match (call.operation, rest) {
        (Operation::IsNull, _) => out.push_str(&format!(" IS {not}NULL")),
        (Operation::Between, [low, high]) => {
            out.push_str(&format!(" {not}BETWEEN "));
            put(out, low, binding::SUM);
            out.push_str(" AND ");
            put(out, high, binding::SUM);
        }
        (Operation::In, [list]) => {
            out.push_str(&format!(" {not}IN "));
            put(out, list, binding::SUM);
        }
        (_, rest) => {
            out.push_str(&format!(" {not}LIKE "));
            for pattern in rest {
                put(out, pattern, binding::SUM);
            }
        }
    }
}

fn put_chain(out: &mut String, operands: &[Node], between: &str, minimum: u8) {
    for (at, operand) in operands.iter().enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        put(out, operand, minimum);
    }
}

fn put_listed(out: &mut String, items: &[Node]) {
    put_chain(out, items, ", ", binding::OR);
}

fn put_interval_end(out: &mut String, end: &Node) {
    match end {
        Node::Date(days) => out.push_str(&format!("'{}'", date_text(*days))),
        Node::Timestamp(micros) => out.push_str(&format!("'{}'", timestamp_text(*micros))),
        other => put(out, other, binding::OPERAND),
    }
}

fn put_text(out: &mut String, text: &str) {
    out.push('\'');
    for character in text.chars() {
        match character {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{B}' => out.push_str("\\v"),
            '\u{C}' => out.push_str("\\f"),
            other => out.push(other),
        }
    }
    out.push('\'');
}

/// The shortest digits that read back as the same number.
fn number_text(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-7..1e17).contains(&size) { format!("{number:E}") } else { number.to_string() }
}

fn put_geometry(out: &mut String, geometry: &Geometry) {
    let listed = |parts: Vec<String>| format!("({})", parts.join(", "));
    let lines = |lines: &[LineString]| listed(lines.iter().map(line_text).collect());
    out.push_str(&match geometry {
        Geometry::Point(point) => format!("POINT({})", position_text(point.0)),
        Geometry::LineString(line) => format!("LINESTRING{}", line_text(line)),
        Geometry::Polygon(polygon) => format!("POLYGON{}", polygon_text(polygon)),
        Geometry::MultiPoint(points) => {
            let points = points.0.iter().map(|point| format!("({})", position_text(point.0)));
            format!("MULTIPOINT{}", listed(points.collect()))
        }
        Geometry::MultiLineString(all) => format!("MULTILINESTRING{}", lines(&all.0)),
        Geometry::MultiPolygon(all) => {
            format!("MULTIPOLYGON{}", listed(all.0.iter().map(polygon_text).collect()))
        }
        Geometry::GeometryCollection(members) => {
            let members = members.0.iter().map(|member| {
                let mut text = String::new();
                put_geometry(&mut text, member);
                text
            });
            format!("GEOMETRYCOLLECTION{}", listed(members.collect()))
        }
        // No literal makes one of these.
        Geometry::Line(_) | Geometry::Rect(_) | Geometry::Triangle(_) => String::new(),
    });
}

fn position_text(at: Coord) -> String {
    format!("{} {}", number_text(at.x), number_text(at.y))
}

fn line_text(line: &LineString) -> String {
    format!("({})", line.0.iter().copied().map(position_text).collect::<Vec<_>>().join(", "))
}

fn polygon_text(polygon: &Polygon) -> String {
    let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
    format!("({})", rings.map(line_text).collect::<Vec<_>>().join(", "))
}
