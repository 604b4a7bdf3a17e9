//! Each construct of the standard in both encodings, and what it says about a cover.

use serde_json::{Value as Json, json};

use super::super::Filter;
use super::{Cover, Words, covers};

/// A text, its JSON, and whether it holds for the known cover.
fn constructs() -> Vec<(&'static str, Json, Option<bool>)> {
    let property = |name: &str| json!({"property": name});
    let op = |op: &str, args: Json| json!({"op": op, "args": args});
    let polygon =
        json!({"type": "Polygon", "coordinates": [[[118, 37], [119, 37], [119, 38], [118, 38], [118, 37]]]});
    vec![
        ("class = 'sewage'", op("=", json!([property("class"), "sewage"])), Some(true)),
        ("class <> 'sewage'", op("<>", json!([property("class"), "sewage"])), Some(false)),
        ("depth < 2.5", op("<", json!([property("depth"), 2.5])), Some(false)),
        ("depth <= 2.5", op("<=", json!([property("depth"), 2.5])), Some(true)),
        ("2 > depth", op(">", json!([2, property("depth")])), Some(false)),
        ("depth >= -1.5E-9", op(">=", json!([property("depth"), -1.5e-9])), Some(true)),
        ("has_plate", property("has_plate"), Some(true)),
        ("has_plate = FALSE", op("=", json!([property("has_plate"), false])), Some(false)),
        ("TRUE", json!(true), Some(true)),
        ("权属单位 = '东营市水务局'", op("=", json!([property("权属单位"), "东营市水务局"])), Some(true)),
        ("code = 'it''s \\\\ \\n'", op("=", json!([property("code"), "it's \\ \n"])), Some(false)),
        ("NOT class = 'storm'", op("not", json!([op("=", json!([property("class"), "storm"]))])), Some(true)),
        (
            "class = 'storm' OR depth > 2 AND has_plate",
            op(
                "or",
                json!([
                    op("=", json!([property("class"), "storm"])),
                    op("and", json!([op(">", json!([property("depth"), 2])), property("has_plate")])),
                ]),
            ),
            Some(true),
        ),
        (
            "(class = 'storm' OR depth > 2) AND has_plate",
            op(
                "and",
                json!([
                    op(
                        "or",
                        json!([
                            op("=", json!([property("class"), "storm"])),
                            op(">", json!([property("depth"), 2])),
                        ])
                    ),
                    property("has_plate"),
                ]),
            ),
            Some(true),
        ),
        ("code IS NULL", op("isNull", json!([property("code")])), Some(false)),
        ("position IS NOT NULL", op("not", json!([op("isNull", json!([property("position")]))])), Some(true)),
        ("(depth > 2) IS NULL", op("isNull", json!([op(">", json!([property("depth"), 2]))])), Some(false)),
        ("code LIKE '3705%'", op("like", json!([property("code"), "3705%"])), Some(true)),
        ("权属单位 LIKE '%水务_'", op("like", json!([property("权属单位"), "%水务_"])), Some(true)),
        (
            "code NOT LIKE '3705\\\\%'",
            op("not", json!([op("like", json!([property("code"), "3705\\%"]))])),
            Some(true),
        ),
        ("depth BETWEEN 1 AND 2.5", op("between", json!([property("depth"), 1, 2.5])), Some(true)),
        (
            "depth NOT BETWEEN 1 AND 2.5",
            op("not", json!([op("between", json!([property("depth"), 1, 2.5]))])),
            Some(false),
        ),
        (
            "load_class IN ('A15', 'D400')",
            op("in", json!([property("load_class"), ["A15", "D400"]])),
            Some(true),
        ),
        ("steps NOT IN (1, 2)", op("not", json!([op("in", json!([property("steps"), [1, 2]]))])), Some(true)),
        (
            "CASEI(load_class) = CASEI('d400')",
            op("=", json!([op("casei", json!([property("load_class")])), op("casei", json!(["d400"]))])),
            Some(true),
        ),
        (
            "CASEI(load_class) LIKE CASEI('D4%')",
            op("like", json!([op("casei", json!([property("load_class")])), op("casei", json!(["D4%"]))])),
            Some(true),
        ),
        (
            "ACCENTI('débárquér') = 'debarquer'",
            op("=", json!([op("accenti", json!(["débárquér"])), "debarquer"])),
            Some(true),
        ),
        (
            "depth = steps / 2 - 1",
            op("=", json!([property("depth"), op("-", json!([op("/", json!([property("steps"), 2])), 1]))])),
            Some(true),
        ),
        (
            "steps div 2 = 3 AND steps % 4 = 3 AND 2 ^ 3 * 2 = 16",
            op(
                "and",
                json!([
                    op("=", json!([op("div", json!([property("steps"), 2])), 3])),
                    op("=", json!([op("%", json!([property("steps"), 4])), 3])),
                    op("=", json!([op("*", json!([op("^", json!([2, 3])), 2])), 16])),
                ]),
            ),
            Some(true),
        ),
        (
            "steps - (depth - 1) > 5.25",
            op(
                ">",
                json!([op("-", json!([property("steps"), op("-", json!([property("depth"), 1]))])), 5.25]),
            ),
            Some(true),
        ),
        ("1 / 0 = 1", op("=", json!([op("/", json!([1, 0])), 1])), None),
        ("depth = steps", op("=", json!([property("depth"), property("steps")])), Some(false)),
        (
            "S_INTERSECTS(position, POLYGON((118 37, 119 37, 119 38, 118 38, 118 37)))",
            op("s_intersects", json!([property("position"), polygon])),
            Some(true),
        ),
        (
            "S_TOUCHES(BBOX(118.5, 37, 119, 38), position)",
            op("s_touches", json!([{"bbox": [118.5, 37, 119, 38]}, property("position")])),
            Some(true),
        ),
        (
            "S_WITHIN(position, LINESTRING(118 37.4, 119 37.4))",
            op(
                "s_within",
                json!([property("position"), {"type": "LineString", "coordinates": [[118, 37.4], [119, 37.4]]}]),
            ),
            Some(true),
        ),
        (
            "S_EQUALS(position, POINT(118.5 37.4))",
            op("s_equals", json!([property("position"), {"type": "Point", "coordinates": [118.5, 37.4]}])),
            Some(true),
        ),
        (
            "S_CONTAINS(MULTIPOINT((118.5 37.4), (1 2)), position)",
            op(
                "s_contains",
                json!([{"type": "MultiPoint", "coordinates": [[118.5, 37.4], [1, 2]]}, property("position")]),
            ),
            Some(true),
        ),
        (
            "S_DISJOINT(position, MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((2 2, 3 2, 3 3, 2 2))))",
            op(
                "s_disjoint",
                json!([
                    property("position"),
                    {"type": "MultiPolygon", "coordinates": [
                        [[[0, 0], [1, 0], [1, 1], [0, 0]]],
                        [[[2, 2], [3, 2], [3, 3], [2, 2]]],
                    ]},
                ]),
            ),
            Some(true),
        ),
        (
            "S_OVERLAPS(position, GEOMETRYCOLLECTION(POINT(118.5 37.4), MULTILINESTRING((0 0, 1 1), (2 2, 3 3))))",
            op(
                "s_overlaps",
                json!([
                    property("position"),
                    {"type": "GeometryCollection", "geometries": [
                        {"type": "Point", "coordinates": [118.5, 37.4]},
                        {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[2, 2], [3, 3]]]},
                    ]},
                ]),
            ),
            Some(false),
        ),
        (
            "S_CROSSES(LINESTRING(0 0, 2 2), POLYGON((1 0, 3 0, 3 3, 1 3, 1 0)))",
            op(
                "s_crosses",
                json!([
                    {"type": "LineString", "coordinates": [[0, 0], [2, 2]]},
                    {"type": "Polygon", "coordinates": [[[1, 0], [3, 0], [3, 3], [1, 3], [1, 0]]]},
                ]),
            ),
            Some(true),
        ),
        (
            "S_DWITHIN(position, \"second position\", 89)",
            op("s_dwithin", json!([property("position"), property("second position"), 89])),
            Some(true),
        ),
        (
            "T_AFTER(installed, DATE('2026-02-28'))",
            op("t_after", json!([property("installed"), {"date": "2026-02-28"}])),
            Some(true),
        ),
        (
            "T_BEFORE(checked, TIMESTAMP('2026-03-31T16:30:00.001Z'))",
            op("t_before", json!([property("checked"), {"timestamp": "2026-03-31T16:30:00.001Z"}])),
            Some(true),
        ),
        (
            "T_INTERSECTS(checked, INTERVAL('2026-04-01', '..'))",
            op("t_intersects", json!([property("checked"), {"interval": ["2026-04-01", ".."]}])),
            Some(true),
        ),
        (
            "T_STARTEDBY(INTERVAL(installed, checked), INTERVAL('2026-03-01', '2026-03-31'))",
            op(
                "t_startedBy",
                json!([
                    {"interval": [property("installed"), property("checked")]},
                    {"interval": ["2026-03-01", "2026-03-31"]},
                ]),
            ),
            Some(true),
        ),
        ("A_CONTAINS(marks, ('loose'))", op("a_contains", json!([property("marks"), ["loose"]])), Some(true)),
        (
            "A_EQUALS(('noisy', 'loose', 'loose'), marks)",
            op("a_equals", json!([["noisy", "loose", "loose"], property("marks")])),
            Some(true),
        ),
        (
            "A_CONTAINEDBY(marks, ('loose', code))",
            op("a_containedBy", json!([property("marks"), ["loose", property("code")]])),
            Some(false),
        ),
        ("A_OVERLAPS(marks, ())", op("a_overlaps", json!([property("marks"), []])), Some(false)),
    ]
}

#[test]
fn every_construct_reads_alike_in_text_and_json_and_is_written_as_it_was() {
    let schema = covers();
    for (text, json, truth) in constructs() {
        let of_text =
            Filter::from_text(text, &schema, None).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        let of_json = Filter::from_json(&json.to_string(), &schema, None).unwrap();
        assert_eq!(of_text, of_json, "{text}");
        assert_eq!(of_text.to_text(), text);
        assert_eq!(of_text.to_json(), json, "{text}");
        assert_eq!(of_text.test(&Cover::known()), truth, "{text}");
        assert_eq!(of_text.prepare(&Words).matches(&Cover::known()), truth == Some(true), "{text}");
    }
}

#[test]
fn older_and_looser_ways_of_writing_are_understood() {
    let schema = covers();
    for (written, canonical) in [
        ("  class='sewage'and\"has_plate\"", "class = 'sewage' AND has_plate"),
        ("Not(Depth_ is null)", ""),
        ("not (depth is null)", "depth IS NOT NULL"),
        ("not not has_plate", "NOT (NOT has_plate)"),
        ("depth > - steps * 2", "depth > -1 * steps * 2"),
        ("depth between 1 and 2 and has_plate", "depth BETWEEN 1 AND 2 AND has_plate"),
        ("code = 'it\\'s'", "code = 'it''s'"),
        ("code like '50\\%'", "code LIKE '50\\\\%'"),
        ("s_intersects(position, point z (118.5 37.4 12))", "S_INTERSECTS(position, POINT(118.5 37.4))"),
        ("S_WITHIN(position,BBOX(1,2,-5,3,4,100))", "S_WITHIN(position, BBOX(1, 2, 3, 4))"),
        ("s_equals(position, multipoint(1 2, 3 4))", "S_EQUALS(position, MULTIPOINT((1 2), (3 4)))"),
        (
            "t_finishedby(interval(installed, '..'), interval('..', '2026-01-01T08:00:00+08:00'))",
            "T_FINISHEDBY(INTERVAL(installed, '..'), INTERVAL('..', '2026-01-01T00:00:00Z'))",
        ),
        (
            "checked >= timestamp('2026-01-01T00:00:00.120000Z')",
            "checked >= TIMESTAMP('2026-01-01T00:00:00.12Z')",
        ),
    ] {
        match Filter::from_text(written, &schema, None) {
            Ok(filter) => assert_eq!(filter.to_text(), canonical, "{written}"),
            Err(refusal) => assert_eq!((canonical, refusal.code), ("", "cql2.unknown_property"), "{written}"),
        }
    }
}

#[test]
fn what_nobody_knows_is_neither_true_nor_false_also_under_not() {
    let schema = covers();
    let unknown = Cover::unknown();
    for text in [
        "class = 'sewage'",
        "NOT class = 'sewage'",
        "class <> 'sewage' AND TRUE",
        "class = 'sewage' OR FALSE",
        "depth NOT BETWEEN 1 AND 2",
        "depth + 1 = 2",
        "code NOT LIKE '%'",
        "load_class NOT IN ('A15')",
        "has_plate",
        "S_DISJOINT(position, POINT(0 0))",
        "S_DWITHIN(position, POINT(0 0), 5)",
        "NOT T_AFTER(checked, DATE('2026-01-01'))",
        "T_EQUALS(INTERVAL(installed, '..'), INTERVAL('2026-01-01', '..'))",
        "A_OVERLAPS(marks, ('loose'))",
        "A_OVERLAPS(('loose'), (code))",
        "CASEI(code) = ACCENTI('x')",
    ] {
        let filter = Filter::from_text(text, &schema, None).unwrap();
        assert_eq!(filter.test(&unknown), None, "{text}");
        assert!(!filter.prepare(&Words).matches(&unknown), "{text}");
    }
    for (text, truth) in [
        ("class = 'sewage' AND FALSE", Some(false)),
        ("class = 'sewage' OR TRUE", Some(true)),
        ("class IS NULL AND position IS NULL AND marks IS NULL", Some(true)),
        ("(class = 'sewage') IS NULL", Some(true)),
        ("5 BETWEEN depth AND 3", None),
    ] {
        assert_eq!(Filter::from_text(text, &schema, None).unwrap().test(&unknown), truth, "{text}");
    }
}

#[test]
fn a_border_belongs_to_what_it_surrounds_and_ends_of_lines_are_their_boundary() {
    let schema = covers();
    // 118.5 37.4 lies in a corner that two parts share, where two lines meet, in a hole, on a hole's border.
    for (text, truth) in [
        (
            "S_INTERSECTS(position, MULTIPOLYGON(((118 37, 118.5 37.4, 118 37.4, 118 37)), ((119 38, 118.5 37.4, 119 37.4, 119 38))))",
            true,
        ),
        (
            "S_TOUCHES(position, MULTIPOLYGON(((118 37, 118.5 37.4, 118 37.4, 118 37)), ((119 38, 118.5 37.4, 119 37.4, 119 38))))",
            true,
        ),
        ("S_WITHIN(position, MULTILINESTRING((118 37, 118.5 37.4), (118.5 37.4, 119 38)))", true),
        ("S_TOUCHES(position, LINESTRING(118 37, 118.5 37.4))", true),
        ("S_TOUCHES(position, LINESTRING(118 37, 118.5 37.4, 119 37, 118 37))", false),
        (
            "S_DISJOINT(position, POLYGON((118 37, 119 37, 119 38, 118 38, 118 37), (118.4 37.3, 118.6 37.3, 118.6 37.5, 118.4 37.5, 118.4 37.3)))",
            true,
        ),
        (
            "S_TOUCHES(position, POLYGON((118 37, 119 37, 119 38, 118 38, 118 37), (118.5 37.3, 118.6 37.3, 118.6 37.5, 118.5 37.5, 118.5 37.3)))",
            true,
        ),
        ("S_INTERSECTS(position, BBOX(118.5, 37.4, 118.5, 37.4))", true),
        ("S_INTERSECTS(position, BBOX(118.5, 30, 118.5, 40))", true),
        ("S_INTERSECTS(position, BBOX(170, 30, 118.5, 40))", true),
        ("S_INTERSECTS(position, BBOX(170, 30, 118.4, 40))", false),
        ("S_CONTAINS(position, POINT(118.5 37.4))", true),
        (
            "S_CROSSES(position, BBOX(118, 37, 119, 38)) OR S_OVERLAPS(position, BBOX(118, 37, 119, 38))",
            false,
        ),
    ] {
        let filter = Filter::from_text(text, &schema, None).unwrap();
        assert_eq!(filter.test(&Cover::known()), Some(truth), "{text}");
        assert_eq!(filter.prepare(&Words).matches(&Cover::known()), truth, "{text}");
    }
}

#[test]
fn coordinates_of_another_reference_system_become_degrees() {
    let schema = covers();
    // Latitude first, as in EPSG:4326; nothing beyond the first quarter of the globe.
    let lat_first = |lat: f64, lon: f64| (lat >= 0.0 && lon >= 0.0).then_some((lon, lat));
    let read = |text: &str| Filter::from_text(text, &schema, Some(&lat_first));
    assert_eq!(
        read("S_INTERSECTS(position, BBOX(37, 118, 38, 119))").unwrap().to_text(),
        "S_INTERSECTS(position, BBOX(118, 37, 119, 38))"
    );
    assert_eq!(read("S_EQUALS(position, POINT(37.4 118.5))").unwrap().test(&Cover::known()), Some(true));
    assert_eq!(read("S_EQUALS(position, POINT(-1 118.5))").unwrap_err().code, "cql2.coordinate_system");
    let json = r#"{"op": "s_within", "args": [{"property": "position"}, {"bbox": [37, 118, 38, 119]}]}"#;
    let filter = Filter::from_json(json, &schema, Some(&lat_first)).unwrap();
    assert_eq!(filter.bounds(), Some([118.0, 37.0, 119.0, 38.0]));
    // A system turned by a little: the box becomes the polygon that it is there.
    let turned = |x: f64, y: f64| Some((118.5 + x / 1000.0 - y / 9000.0, 37.4 + y / 1000.0 + x / 9000.0));
    let filter =
        Filter::from_text("S_INTERSECTS(position, BBOX(-1, -1, 1, 1))", &schema, Some(&turned)).unwrap();
    assert!(filter.to_text().starts_with("S_INTERSECTS(position, POLYGON(("));
    assert_eq!(filter.test(&Cover::known()), Some(true));
}

#[test]
fn distances_are_meters() {
    let schema = covers();
    let [position, second] = [(118.5, 37.4), (118.501, 37.4)];
    let meters = crate::domain::position::distance_m(position, second);
    let near = |geometry: &str, meters: f64| {
        let text = format!("S_DWITHIN({geometry}, \"second position\", {meters})");
        let filter = Filter::from_text(&text, &schema, None).unwrap();
        let fits = filter.test(&Cover::known()) == Some(true);
        assert_eq!(filter.prepare(&Words).matches(&Cover::known()), fits, "{text}");
        fits
    };
    for geometry in ["POINT(118.5 37.4)", "LINESTRING(118.5 37, 118.5 38)", "BBOX(118, 37, 118.5, 38)"] {
        assert!(near(geometry, meters + 0.01) && !near(geometry, meters - 0.01), "{geometry}");
    }
    assert!(near("POLYGON((118 37, 119 37, 119 38, 118 37))", 0.0));
    let filter = Filter::from_text("S_DWITHIN(position, POINT(118.5 37.4), 200)", &schema, None).unwrap();
    let [west, south, east, north] = filter.bounds().unwrap();
    let side = crate::domain::position::distance_m((west, 37.4), (east, 37.4));
    assert!((400.0..401.0).contains(&side), "{side}");
    assert!((crate::domain::position::distance_m((118.5, south), (118.5, north)) - 400.0).abs() < 0.1);
}

#[test]
fn filters_are_joined_and_say_what_they_read() {
    let schema = covers();
    let read = |text: &str| Filter::from_text(text, &schema, None).unwrap();
    let both = read("class = 'sewage' AND depth > 1").and(read("has_plate OR TRUE")).and(read("steps = 7"));
    assert_eq!(both.to_text(), "class = 'sewage' AND depth > 1 AND (has_plate OR TRUE) AND steps = 7");
    assert_eq!(both.fields().collect::<Vec<_>>(), [2, 4, 5, 6]);
    assert_eq!(both.test(&Cover::known()), Some(true));
    assert_eq!(read(&both.to_text()), both);
}

#[test]
fn bounds_follow_the_conditions() {
    let schema = covers();
    for (text, bounds) in [
        (
            "S_WITHIN(position, BBOX(1, 2, 3, 4)) AND S_INTERSECTS(position, BBOX(2, 1, 9, 3))",
            Some([2.0, 2.0, 3.0, 3.0]),
        ),
        (
            "S_WITHIN(position, BBOX(1, 2, 3, 4)) OR S_EQUALS(position, POINT(9 9))",
            Some([1.0, 2.0, 9.0, 9.0]),
        ),
        ("S_WITHIN(position, BBOX(1, 2, 3, 4)) OR depth > 1", None),
        ("NOT (S_DISJOINT(position, BBOX(1, 2, 3, 4)) OR depth > 1)", Some([1.0, 2.0, 3.0, 4.0])),
        ("NOT S_INTERSECTS(position, BBOX(1, 2, 3, 4))", None),
        ("S_INTERSECTS(\"second position\", BBOX(1, 2, 3, 4))", None),
        ("S_INTERSECTS(position, BBOX(179, 2, -179, 4))", Some([-180.0, 2.0, 180.0, 4.0])),
        ("S_DISJOINT(position, BBOX(1, 2, 3, 4))", None),
    ] {
        assert_eq!(Filter::from_text(text, &schema, None).unwrap().bounds(), bounds, "{text}");
    }
}

/// Found by mutating these texts: the parser of JSON gives doubles whose last digit may be another.
#[test]
fn numbers_keep_their_last_digit_in_both_encodings() {
    let schema = covers();
    for text in [
        "depth >= 15E69",
        "depth = 7.2057594037927933E16",
        "S_EQUALS(position, POINT(118.49999999999997 37.400000000000006))",
    ] {
        let filter = Filter::from_text(text, &schema, None).unwrap();
        assert_eq!(Filter::from_json(&filter.to_json().to_string(), &schema, None).as_ref(), Ok(&filter));
        assert_eq!(Filter::from_text(&filter.to_text(), &schema, None), Ok(filter));
    }
}
