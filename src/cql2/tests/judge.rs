//! A second evaluator, written from the standard for JSON filters on JSON rows and from nothing of ours: slow, short,
//! and wrong only where it is wrong by itself.

use serde_json::{Map, Value as Json};
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, OffsetDateTime, UtcOffset};

pub(super) type JsonRow = Map<String, Json>;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
enum Given {
    Text(String),
    Number(f64),
    Truth(bool),
    Day(Date),
    Moment(OffsetDateTime),
    Texts(Vec<String>),
    Point(f64, f64),
    /// The ends of time.
    Never(bool),
}

/// Whether a row fits.
pub(super) fn judge(filter: &Json, row: &JsonRow) -> Option<bool> {
    match given(filter, row)? {
        Given::Truth(truth) => Some(truth),
        other => panic!("no condition: {other:?}"),
    }
}

fn given(expression: &Json, row: &JsonRow) -> Option<Given> {
    if let Some(name) = expression["property"].as_str() {
        return stored(name, &row[name]);
    }
    if let Some(date) = expression["date"].as_str() {
        return Some(Given::Day(day(date)));
    }
    if let Some(moment) = expression["timestamp"].as_str() {
        return Some(Given::Moment(OffsetDateTime::parse(moment, &Rfc3339).unwrap()));
    }
    match expression {
        Json::Bool(truth) => return Some(Given::Truth(*truth)),
        Json::Number(number) => return number.as_f64().map(Given::Number),
        Json::String(text) => return Some(Given::Text(text.clone())),
        _ => {}
    }
    let operands = expression["args"].as_array().unwrap();
    let truth = |operand: &Json| match given(operand, row) {
        Some(Given::Truth(truth)) => Some(truth),
        _ => None,
    };
    let truths = || operands.iter().map(truth).collect::<Vec<_>>();
    let op = expression["op"].as_str().unwrap();
    match op {
        "and" => {
            let truths = truths();
            let known = truths.iter().all(Option::is_some);
            if truths.contains(&Some(false)) { Some(false) } else { known.then_some(true) }
        }
        "or" => {
            let truths = truths();
            let known = truths.iter().all(Option::is_some);
            if truths.contains(&Some(true)) { Some(true) } else { known.then_some(false) }
        }
        "not" => truth(&operands[0]).map(|truth| !truth),
        "isNull" => Some(given(&operands[0], row).is_none()),
        "=" | "<>" | "<" | ">" | "<=" | ">=" => {
            let sign = sign_of(&given(&operands[0], row)?, &given(&operands[1], row)?);
            Some(match op {
                "=" => sign == 0,
                "<>" => sign != 0,
                "<" => sign < 0,
                ">" => sign > 0,
                "<=" => sign <= 0,
                _ => sign >= 0,
            })
        }
        "between" => {
            let [value, low, high] = [0, 1, 2].map(|at| given(&operands[at], row));
            let (value, low, high) = (value?, low?, high?);
            Some(sign_of(&value, &low) >= 0 && sign_of(&value, &high) <= 0)
        }
        "in" => {
            let value = given(&operands[0], row)?;
            let items: Vec<_> = operands[1].as_array().unwrap().iter().map(|item| given(item, row)).collect();
            let found = items.iter().flatten().any(|item| sign_of(&value, item) == 0);
            if found { Some(true) } else { items.iter().all(Option::is_some).then_some(false) }
        }
        "like" => match (given(&operands[0], row)?, given(&operands[1], row)?) {
            (Given::Text(text), Given::Text(pattern)) => {
                let (text, pattern): (Vec<char>, Vec<char>) =
                    (text.chars().collect(), pattern.chars().collect());
                Some(like(&text, &pattern))
            }
            other => panic!("{other:?}"),
        },
        "s_dwithin" => {
            let (x, y) = point(&given(&operands[0], row)?);
            let other = &operands[1]["coordinates"];
            let meters = chord_m((x, y), (other[0].as_f64().unwrap(), other[1].as_f64().unwrap()));
            Some(meters <= operands[2].as_f64().unwrap())
        }
        _ if op.starts_with("s_") => {
            let at = point(&given(&operands[0], row)?);
            Some(spatial(op, at, &operands[1]))
        }
        _ if op.starts_with("t_") => {
            let [(a, b), (c, d)] = [span(&operands[0], row)?, span(&operands[1], row)?];
            let s = |left: &Given, right: &Given| sign_of(left, right);
            Some(match op {
                "t_after" => s(&a, &d) > 0,
                "t_before" => s(&b, &c) < 0,
                "t_disjoint" => s(&a, &d) > 0 || s(&b, &c) < 0,
                "t_intersects" => !(s(&a, &d) > 0 || s(&b, &c) < 0),
                "t_equals" => s(&a, &c) == 0 && s(&b, &d) == 0,
                "t_contains" => s(&a, &c) < 0 && s(&b, &d) > 0,
                "t_during" => s(&a, &c) > 0 && s(&b, &d) < 0,
                "t_finishedBy" => s(&a, &c) < 0 && s(&b, &d) == 0,
                "t_finishes" => s(&a, &c) > 0 && s(&b, &d) == 0,
                "t_startedBy" => s(&a, &c) == 0 && s(&b, &d) > 0,
                "t_starts" => s(&a, &c) == 0 && s(&b, &d) < 0,
                "t_meets" => s(&b, &c) == 0,
                "t_metBy" => s(&a, &d) == 0,
                "t_overlaps" => s(&a, &c) < 0 && s(&b, &c) > 0 && s(&b, &d) < 0,
                "t_overlappedBy" => s(&a, &c) > 0 && s(&a, &d) < 0 && s(&b, &d) > 0,
                _ => panic!("{op}"),
            })
        }
        _ if op.starts_with("a_") => {
            let [left, right] = [texts(&operands[0], row)?, texts(&operands[1], row)?];
            let within = |a: &[String], b: &[String]| a.iter().all(|text| b.contains(text));
            Some(match op {
                "a_equals" => within(&left, &right) && within(&right, &left),
                "a_contains" => within(&right, &left),
                "a_containedBy" => within(&left, &right),
                _ => left.iter().any(|text| right.contains(text)),
            })
        }
        "casei" | "accenti" => {
            return match given(&operands[0], row)? {
                Given::Text(text) if op == "casei" => Some(Given::Text(text.to_lowercase())),
                Given::Text(text) => Some(Given::Text(text.replace('é', "e").replace('É', "E"))),
                other => panic!("{other:?}"),
            };
        }
        _ => {
            let (left, right) = (number(&given(&operands[0], row)?), number(&given(&operands[1], row)?));
            let result = match op {
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                "/" => left / right,
                "%" => left % right,
                "div" => (left / right).trunc(),
                "^" => left.powf(right),
                _ => panic!("{op}"),
            };
            return result.is_finite().then_some(Given::Number(result));
        }
    }
    .map(Given::Truth)
}

fn stored(name: &str, value: &Json) -> Option<Given> {
    Some(match (name, value) {
        (_, Json::Null) => return None,
        ("installed", date) => Given::Day(day(date.as_str().unwrap())),
        ("checked", moment) => {
            Given::Moment(OffsetDateTime::parse(moment.as_str().unwrap(), &Rfc3339).unwrap())
        }
        ("position", at) => Given::Point(at[0].as_f64().unwrap(), at[1].as_f64().unwrap()),
        ("marks", marks) => Given::Texts(serde_json::from_value(marks.clone()).unwrap()),
        (_, Json::String(text)) => Given::Text(text.clone()),
        (_, Json::Number(number)) => Given::Number(number.as_f64().unwrap()),
        (_, Json::Bool(truth)) => Given::Truth(*truth),
        other => panic!("{other:?}"),
    })
}

fn day(text: &str) -> Date {
    let parts: Vec<i32> = text.split('-').map(|part| part.parse().unwrap()).collect();
    let month = time::Month::try_from(parts[1] as u8).unwrap();
    Date::from_calendar_date(parts[0], month, parts[2] as u8).unwrap()
}

/// −1, 0 or 1 for smaller, same, larger.
fn sign_of(left: &Given, right: &Given) -> i32 {
    // The covers of the tests lie in China.
    let local = |moment: &OffsetDateTime| moment.to_offset(UtcOffset::from_hms(8, 0, 0).unwrap()).date();
    let order = match (left, right) {
        (Given::Text(left), Given::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Given::Number(left), Given::Number(right)) => left.partial_cmp(right).unwrap(),
        (Given::Truth(left), Given::Truth(right)) => left.cmp(right),
        (Given::Never(left), Given::Never(right)) => left.cmp(right),
        (Given::Never(late), _) => {
            if *late {
                1.cmp(&0)
            } else {
                0.cmp(&1)
            }
        }
        (_, Given::Never(late)) => {
            if *late {
                0.cmp(&1)
            } else {
                1.cmp(&0)
            }
        }
        (Given::Day(left), Given::Day(right)) => left.cmp(right),
        (Given::Moment(left), Given::Moment(right)) => (*left - *right).cmp(&Duration::ZERO),
        (Given::Day(left), Given::Moment(right)) => left.cmp(&local(right)),
        (Given::Moment(left), Given::Day(right)) => local(left).cmp(right),
        other => panic!("{other:?}"),
    };
    order as i32
}

fn number(given: &Given) -> f64 {
    match given {
        Given::Number(number) => *number,
        other => panic!("{other:?}"),
    }
}

fn point(given: &Given) -> (f64, f64) {
    match given {
        Given::Point(x, y) => (*x, *y),
        other => panic!("{other:?}"),
    }
}

fn span(expression: &Json, row: &JsonRow) -> Option<(Given, Given)> {
    let Some(ends) = expression["interval"].as_array() else {
        let moment = given(expression, row)?;
        return Some((moment.clone(), moment));
    };
    let end = |at: usize| match ends[at].as_str() {
        Some("..") => Some(Given::Never(at == 1)),
        Some(text) if text.len() == 10 => Some(Given::Day(day(text))),
        Some(text) => Some(Given::Moment(OffsetDateTime::parse(text, &Rfc3339).unwrap())),
        None => given(&ends[at], row),
    };
    Some((end(0)?, end(1)?))
}

fn texts(expression: &Json, row: &JsonRow) -> Option<Vec<String>> {
    match expression.as_array() {
        Some(items) => items
            .iter()
            .map(|item| match given(item, row)? {
                Given::Text(text) => Some(text),
                other => panic!("{other:?}"),
            })
            .collect(),
        None => match given(expression, row)? {
            Given::Texts(texts) => Some(texts),
            other => panic!("{other:?}"),
        },
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|taken| like(&text[taken..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', escaped, rest @ ..] | [escaped, rest @ ..] => {
            text.first() == Some(escaped) && like(&text[1..], rest)
        }
    }
}

/// Meters by the angle between two directions from the middle of the globe.
fn chord_m(from: (f64, f64), to: (f64, f64)) -> f64 {
    let direction = |(lon, lat): (f64, f64)| {
        let (lon, lat) = (lon.to_radians(), lat.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    };
    let (a, b) = (direction(from), direction(to));
    let across = (0..3).map(|at| (a[at] - b[at]).powi(2)).sum::<f64>().sqrt();
    6_371_008.8 * 2.0 * (across / 2.0).asin()
}

fn positions(coordinates: &Json) -> Vec<(f64, f64)> {
    let all = coordinates.as_array().unwrap().iter();
    all.map(|one| (one[0].as_f64().unwrap(), one[1].as_f64().unwrap())).collect()
}

/// In a part, on its boundary, or outside; on small whole numbers this is exact.
fn place(at: (f64, f64), geometry: &Json) -> char {
    let on = |(a, b): ((f64, f64), (f64, f64))| {
        (b.0 - a.0) * (at.1 - a.1) == (b.1 - a.1) * (at.0 - a.0)
            && at.0 >= a.0.min(b.0)
            && at.0 <= a.0.max(b.0)
            && at.1 >= a.1.min(b.1)
            && at.1 <= a.1.max(b.1)
    };
    let edges = |line: &[(f64, f64)]| line.windows(2).map(|two| (two[0], two[1])).collect::<Vec<_>>();
    let area = |rings: &[Vec<(f64, f64)>]| {
        let edges: Vec<_> = rings.iter().flat_map(|ring| edges(ring)).collect();
        if edges.iter().any(|edge| on(*edge)) {
            return 'b';
        }
        let crossed = edges.iter().filter(|((ax, ay), (bx, by))| {
            (*ay > at.1) != (*by > at.1) && at.0 < ax + (at.1 - ay) / (by - ay) * (bx - ax)
        });
        if crossed.count() % 2 == 1 { 'i' } else { 'o' }
    };
    let rings = |value: &Json| value.as_array().unwrap().iter().map(positions).collect::<Vec<_>>();
    if let Some(sides) = geometry["bbox"].as_array() {
        let [w, s, e, n] = [0, 1, 2, 3].map(|at| sides[at].as_f64().unwrap());
        return area(&[vec![(w, s), (e, s), (e, n), (w, n), (w, s)]]);
    }
    let given = &geometry["coordinates"];
    match geometry["type"].as_str().unwrap() {
        "Point" => {
            if (given[0].as_f64(), given[1].as_f64()) == (Some(at.0), Some(at.1)) {
                'i'
            } else {
                'o'
            }
        }
        "MultiPoint" => {
            if positions(given).contains(&at) {
                'i'
            } else {
                'o'
            }
        }
        "LineString" => {
            let line = positions(given);
            match edges(&line).into_iter().any(on) {
                true if line.first() != line.last() && (at == line[0] || Some(&at) == line.last()) => 'b',
                true => 'i',
                false => 'o',
            }
        }
        "Polygon" => area(&rings(given)),
        "MultiPolygon" => {
            let places: Vec<char> = given.as_array().unwrap().iter().map(|one| area(&rings(one))).collect();
            ['i', 'b'].into_iter().find(|place| places.contains(place)).unwrap_or('o')
        }
        other => panic!("{other}"),
    }
}

fn spatial(op: &str, at: (f64, f64), geometry: &Json) -> bool {
    let place = place(at, geometry);
    let given = &geometry["coordinates"];
    let one_place = match geometry["type"].as_str() {
        Some("Point") => true,
        Some("MultiPoint") => positions(given).windows(2).all(|two| two[0] == two[1]),
        _ => false,
    };
    let same = one_place && place == 'i';
    match op {
        "s_intersects" => place != 'o',
        "s_disjoint" => place == 'o',
        "s_within" => place == 'i',
        "s_touches" => place == 'b',
        "s_equals" | "s_contains" => same,
        "s_overlaps" | "s_crosses" => false,
        _ => panic!("{op}"),
    }
}
