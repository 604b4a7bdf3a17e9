//! Random filters on random covers: what is written reads back, and four evaluators agree.

use std::borrow::Cow;

use geo::{Coord, Geometry, LineString, MultiPolygon, Polygon};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};

use super::super::figure::{Figure, Location};
use super::super::node::SpatialRelation;
use super::super::prepared_figure::PreparedFigure;
use super::super::{Filter, NoDictionary, Value};
use super::judge::{JsonRow, judge};
use super::{Cover, WORDS, Words, covers};

const TEXTS: [&str; 9] = ["", "a", "A", "é", "井", "a井é", "50%", "a_b", "it's \\n"];
const DATES: [&str; 4] = ["2026-03-01", "2026-03-31", "2026-04-01", "1969-12-31"];
const MOMENTS: [&str; 5] = [
    "2026-02-28T16:00:00Z",
    "2026-03-31T15:59:59.999Z",
    "2026-03-31T16:00:00Z",
    "2026-04-01T00:00:00Z",
    "1969-12-31T23:59:59.5Z",
];

fn op(op: &str, args: impl Into<Vec<Json>>) -> Json {
    json!({"op": op, "args": args.into()})
}

fn property(names: &'static [&'static str]) -> impl Strategy<Value = Json> {
    select(names).prop_map(|name| json!({"property": name}))
}

fn text() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        3 => property(&["code", "class", "load_class", "权属单位"]),
        1 => select(&TEXTS[..]).prop_map(Json::from),
        1 => select(WORDS[1]).prop_map(Json::from),
    ];
    leaf.prop_recursive(2, 4, 1, |inner| {
        (select(vec!["casei", "accenti"]), inner).prop_map(|(name, inner)| op(name, [inner]))
    })
    .boxed()
}

fn number() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        property(&["depth", "steps"]),
        (-4i64..9).prop_map(Json::from),
        select(vec![0.5, 2.5, -1e-9, 1e300, 12_345_678.25]).prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        (select(vec!["+", "-", "*", "/", "%", "div", "^"]), inner.clone(), inner)
            .prop_map(|(name, left, right)| op(name, [left, right]))
    })
    .boxed()
}

fn moment() -> BoxedStrategy<Json> {
    prop_oneof![
        property(&["installed", "checked"]),
        select(&DATES[..]).prop_map(|date| json!({"date": date})),
        select(&MOMENTS[..]).prop_map(|moment| json!({"timestamp": moment})),
    ]
    .boxed()
}

fn interval() -> BoxedStrategy<Json> {
    prop_oneof![
        (select(&DATES[..3]), select(vec!["2026-04-01", "2026-05-01", ".."]))
            .prop_map(|(from, until)| json!({"interval": [from, until]})),
        (select(vec!["..", "2026-02-28T16:00:00Z"]), select(&MOMENTS[1..4]))
            .prop_map(|(from, until)| json!({"interval": [from, until]})),
        (property(&["installed"]), property(&["checked"]))
            .prop_map(|(from, until)| json!({"interval": [from, until]})),
    ]
    .boxed()
}

/// Shapes on whole numbers from 0 to 8, valid ones.
fn geometry() -> BoxedStrategy<Json> {
    let at = || (0i64..9, 0i64..9).prop_map(|(x, y)| json!([x, y]));
    let square = |x: i64, y: i64, side: i64| {
        json!([[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]])
    };
    let triangle = |x: i64, y: i64, side: i64| json!([[x, y], [x + side, y], [x, y + side], [x, y]]);
    prop_oneof![
        at().prop_map(|at| json!({"type": "Point", "coordinates": at})),
        prop::collection::vec(at(), 1..4).prop_map(|all| json!({"type": "MultiPoint", "coordinates": all})),
        prop::collection::vec(at(), 2..5)
            .prop_filter("a line of one place is a point", |all| all.iter().any(|at| *at != all[0]))
            .prop_map(|all| json!({"type": "LineString", "coordinates": all})),
        (0i64..5, 0i64..5, 1i64..4, 1i64..4).prop_map(|(x, y, w, h)| json!({"bbox": [x, y, x + w, y + h]})),
        (0i64..3, 0i64..3, 3i64..6).prop_map(move |(x, y, side)| {
            json!({"type": "Polygon", "coordinates": [square(x, y, side), square(x + 1, y + 1, side - 2)]})
        }),
        (0i64..5, 0i64..5, 1i64..4)
            .prop_map(move |(x, y, side)| json!({"type": "Polygon", "coordinates": [triangle(x, y, side)]})),
        (0i64..3, 0i64..3, 1i64..3).prop_map(move |(x, y, side)| {
            let other = x + side;
            json!({"type": "MultiPolygon", "coordinates": [[triangle(x, y, side)], [square(other, y, side)]]})
        }),
    ]
    .boxed()
}

fn leaf() -> BoxedStrategy<Json> {
    const SIGNS: [&str; 6] = ["=", "<>", "<", ">", "<=", ">="];
    let two = |operand: fn() -> BoxedStrategy<Json>| {
        (select(&SIGNS[..]), operand(), operand()).prop_map(|(sign, left, right)| op(sign, [left, right]))
    };
    let texts = || prop::collection::vec(select(&TEXTS[..]), 0..3).prop_map(|all| json!(all));
    let spatial = select(vec![
        "s_intersects",
        "s_equals",
        "s_disjoint",
        "s_touches",
        "s_within",
        "s_overlaps",
        "s_crosses",
        "s_contains",
    ]);
    let of_instants = select(vec!["t_after", "t_before", "t_disjoint", "t_equals", "t_intersects"]);
    let of_intervals = select(vec![
        "t_contains",
        "t_during",
        "t_finishedBy",
        "t_finishes",
        "t_meets",
        "t_metBy",
        "t_overlappedBy",
        "t_overlaps",
        "t_startedBy",
        "t_starts",
        "t_intersects",
        "t_equals",
    ]);
    prop_oneof![
        2 => two(text),
        2 => two(number),
        1 => two(moment),
        1 => Just(json!({"property": "has_plate"})),
        1 => any::<bool>().prop_map(|truth| op("=", [json!({"property": "has_plate"}), json!(truth)])),
        1 => any::<bool>().prop_map(Json::from),
        1 => property(&["position", "marks", "code", "depth", "has_plate", "checked"])
            .prop_map(|field| op("isNull", [field])),
        1 => (text(), select(vec!["%", "a%", "%井_", "_", "50\\%", "a\\_b", "%é%", "", "%a%b", "A15"]))
            .prop_map(|(text, pattern)| op("like", [text, json!(pattern)])),
        1 => (number(), number(), number()).prop_map(|(value, low, high)| op("between", [value, low, high])),
        1 => (text(), prop::collection::vec(text(), 1..4)).prop_map(|(value, list)| op("in", [value, json!(list)])),
        1 => (property(&["code"]), prop::collection::vec(select(&TEXTS[..]), 8..12))
            .prop_map(|(value, list)| op("in", [value, json!(list)])),
        2 => (spatial, geometry()).prop_map(|(name, geometry)| op(name, [json!({"property": "position"}), geometry])),
        1 => (0i64..9, 0i64..9, 1i64..900).prop_map(|(x, y, km)| {
            let point = json!({"type": "Point", "coordinates": [x, y]});
            op("s_dwithin", [json!({"property": "position"}), point, json!(km as f64 * 1000.0 + 0.5)])
        }),
        1 => (of_instants, prop_oneof![moment(), interval()], prop_oneof![moment(), interval()])
            .prop_map(|(name, left, right)| op(name, [left, right])),
        1 => (of_intervals, interval(), interval()).prop_map(|(name, left, right)| op(name, [left, right])),
        1 => (select(vec!["a_equals", "a_contains", "a_containedBy", "a_overlaps"]), texts())
            .prop_map(|(name, list)| op(name, [json!({"property": "marks"}), list])),
    ]
    .boxed()
}

fn filter() -> BoxedStrategy<Json> {
    leaf()
        .prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                2 => (select(vec!["and", "or"]), prop::collection::vec(inner.clone(), 2..4))
                    .prop_map(|(name, all)| op(name, all)),
                1 => inner.clone().prop_map(|one| op("not", [one])),
                1 => inner.prop_map(|one| op("isNull", [one])),
            ]
        })
        .boxed()
}

/// The same row for both evaluators.
fn row() -> impl Strategy<Value = (Cover, JsonRow)> {
    let maybe = |strategy: BoxedStrategy<Json>| prop_oneof![1 => Just(Json::Null), 4 => strategy];
    let word = |words: &'static [&'static str]| select(words).prop_map(Json::from).boxed();
    let half = |strategy: std::ops::Range<i64>| strategy.prop_map(|n| n as f64 / 2.0);
    (
        maybe((half(0..17), half(0..17)).prop_map(|(x, y)| json!([x, y])).boxed()),
        maybe(select(&TEXTS[..]).prop_map(Json::from).boxed()),
        maybe(word(WORDS[0])),
        maybe(word(WORDS[1])),
        maybe(half(-4..12).prop_map(Json::from).boxed()),
        maybe((0i64..9).prop_map(Json::from).boxed()),
        maybe(any::<bool>().prop_map(Json::from).boxed()),
        maybe(select(&DATES[..]).prop_map(Json::from).boxed()),
        maybe(select(&MOMENTS[..]).prop_map(Json::from).boxed()),
        maybe(prop::collection::vec(select(&TEXTS[..]), 0..3).prop_map(|all| json!(all)).boxed()),
        maybe(select(&TEXTS[..]).prop_map(Json::from).boxed()),
    )
        .prop_map(|(position, code, class, load_class, depth, steps, has_plate, installed, checked, marks, owner)| {
            let named = json!({
                "position": position, "code": code, "class": class, "load_class": load_class, "depth": depth,
                "steps": steps, "has_plate": has_plate, "installed": installed, "checked": checked,
                "marks": marks, "权属单位": owner,
            });
            let schema = covers();
            let values = schema.fields().iter().map(|field| value(&field.name, &named[&field.name]));
            let cover = Cover::new(values.collect());
            (cover, named.as_object().unwrap().clone())
        })
}

fn value(name: &str, json: &Json) -> Value<'static> {
    match (name, json) {
        (_, Json::Null) => Value::Null,
        ("installed", Json::String(text)) => Value::Date(super::super::moment::read_date(text).unwrap()),
        ("checked", Json::String(text)) => {
            Value::Timestamp(super::super::moment::read_timestamp(text).unwrap() / 1000)
        }
        ("marks", marks) => Value::TextList(Cow::Owned(serde_json::from_value(marks.clone()).unwrap())),
        ("position", at) => Value::Point(at[0].as_f64().unwrap(), at[1].as_f64().unwrap()),
        (_, Json::String(text)) => Value::Text(Cow::Owned(text.clone())),
        (_, Json::Bool(truth)) => Value::Boolean(*truth),
        (_, other) => Value::Number(other.as_f64().unwrap()),
    }
}

/// Rings that may cross themselves, over a grid on which points often lie on lines.
fn wild_shape() -> impl Strategy<Value = Geometry> {
    let at = || (0i32..7, 0i32..7).prop_map(|(x, y)| Coord { x: f64::from(x), y: f64::from(y) });
    let ring = move || {
        prop::collection::vec(at(), 3..24).prop_map(|mut ring| {
            ring.push(ring[0]);
            LineString::new(ring)
        })
    };
    let polygon = move || {
        (ring(), prop::collection::vec(ring(), 0..2)).prop_map(|(outer, holes)| Polygon::new(outer, holes))
    };
    prop::collection::vec(polygon(), 1..3).prop_map(|polygons| MultiPolygon::new(polygons).into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_the_same(json in filter()) {
        let schema = covers();
        let filter = Filter::from_json(&json.to_string(), &schema, None).unwrap();
        prop_assert_eq!(&filter.to_json(), &json);
        let text = filter.to_text();
        prop_assert_eq!(Filter::from_text(&text, &schema, None).map_err(|refusal| format!("{text}: {refusal}")), Ok(filter));
    }

    #[test]
    fn four_evaluators_agree(json in filter(), rows in prop::collection::vec(row(), 6)) {
        let filter = Filter::from_json(&json.to_string(), &covers(), None).unwrap();
        let (with_words, without) = (filter.prepare(&Words), filter.prepare(&NoDictionary));
        for (cover, named) in rows {
            let wanted = judge(&json, &named);
            prop_assert_eq!(filter.test(&cover), wanted, "{} on {:?}", filter.to_text(), named);
            prop_assert_eq!(with_words.matches(&cover), wanted == Some(true), "{} on {:?}", filter.to_text(), named);
            prop_assert_eq!(without.matches(&cover), wanted == Some(true), "{} on {:?}", filter.to_text(), named);
            if let (Some(true), Some([west, south, east, north])) = (wanted, filter.bounds()) {
                prop_assert!(west <= east && south <= north);
                let lies = matches!(cover.values[0], Value::Point(x, y)
                    if west <= x && x <= east && south <= y && y <= north);
                prop_assert!(lies, "{} on {:?}", filter.to_text(), named);
            }
        }
    }

    #[test]
    fn a_sorted_shape_answers_as_the_plain_one(shape in wild_shape()) {
        let figure = Figure::new(shape).unwrap();
        let sorted = PreparedFigure::new(&figure);
        for (x, y) in (0..15).flat_map(|x| (0..15).map(move |y| (x, y))) {
            let at = Coord { x: f64::from(x) / 2.0 - 0.5, y: f64::from(y) / 2.0 - 0.5 };
            prop_assert_eq!(sorted.locate(at), figure.locate(at), "{:?}", at);
        }
    }

    /// Against the matrices of `geo`, which know nothing of our shortcut for points.
    #[test]
    fn a_point_has_the_relations_that_the_matrix_gives(json in geometry(), x in 0i32..17, y in 0i32..17) {
        let text = op("s_within", [json!({"property": "position"}), json.clone()]).to_string();
        prop_assume!(Filter::from_json(&text, &covers(), None).is_ok());
        let figure = match json["bbox"].as_array() {
            Some(sides) => {
                let side = |at: usize| sides[at].as_f64().unwrap();
                Figure::of_box([side(0), side(1), side(2), side(3)]).unwrap()
            }
            None => {
                let geometry = json.to_string().parse::<geojson::Geometry>().unwrap();
                Figure::new(Geometry::<f64>::try_from(geometry).unwrap()).unwrap()
            }
        };
        let at = Coord { x: f64::from(x) / 2.0, y: f64::from(y) / 2.0 };
        let matrix = geo::Relate::relate(&geo::Point::from(at), figure.geometry());
        let location = figure.locate(at);
        for (relation, wanted) in [
            (SpatialRelation::Intersects, matrix.is_intersects()),
            (SpatialRelation::Disjoint, matrix.is_disjoint()),
            (SpatialRelation::Within, matrix.is_within()),
            (SpatialRelation::Touches, matrix.is_touches()),
            (SpatialRelation::Equals, matrix.is_equal_topo()),
            (SpatialRelation::Contains, matrix.is_contains()),
            (SpatialRelation::Overlaps, matrix.is_overlaps()),
            (SpatialRelation::Crosses, matrix.is_crosses()),
        ] {
            prop_assert_eq!(figure.holds(relation, at, location), wanted, "{:?} {:?}", relation, at);
        }
        prop_assert!(location != Location::Outside || figure.distance_m(at) > 0.0);
        prop_assert!(location == Location::Outside || figure.distance_m(at) < 1e-6);
    }
}
