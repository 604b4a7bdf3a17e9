//! What does not fit is refused with a word about what does, and never by falling over.

use proptest::prelude::*;

use super::super::{Filter, MAX_BYTES};
use super::covers;

/// A text, the code of its refusal, and some of the facts that it brings.
type Refused = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const REFUSED: &[Refused] = &[
    ("", "cql2.empty", &[]),
    ("clas = 'x'", "cql2.unknown_property", &[("near", "class")]),
    ("S_INTERSECT(position, POINT(1 2))", "cql2.unknown_function", &[("near", "S_INTERSECTS, T_INTERSECTS")]),
    ("class = ", "cql2.operand_missing", &[("position", "9")]),
    ("class = 'a' b", "cql2.not_at_end", &[("position", "13"), ("read", "b")]),
    ("depth < 1 < 2", "cql2.not_at_end", &[("position", "11"), ("read", "<")]),
    ("2 ^ 2 ^ 2 = 1", "cql2.not_at_end", &[("position", "7")]),
    ("权属单位 = )", "cql2.operand", &[("position", "8"), ("read", ")")]),
    ("权属单位 ＝ 'a'", "cql2.full_width", &[("position", "6"), ("instead", "=")]),
    ("(class = 'a'", "cql2.ends_early", &[("expected", ")"), ("position", "13")]),
    ("depth BETWEEN 1 OR 2", "cql2.expected", &[("expected", "AND"), ("read", "OR")]),
    (
        "depth = 'x'",
        "cql2.types_differ",
        &[("left_type", "number"), ("right_type", "text"), ("example", "depth > 1.5")],
    ),
    ("installed = '2026-01-01'", "cql2.types_differ", &[("example", "installed >= DATE('2026-01-31')")]),
    ("class IN ('a', 1)", "cql2.types_differ", &[("example", "class = 'sewage'")]),
    ("class IN ()", "cql2.in_list", &[]),
    ("depth", "cql2.no_condition", &[("read", "depth"), ("example", "depth > 1.5")]),
    ("has_plate AND 'x'", "cql2.no_condition", &[("read", "'x'")]),
    (
        "position = 'x'",
        "cql2.not_one_value",
        &[("example", "S_INTERSECTS(position, BBOX(118.5, 37.4, 118.6, 37.5))")],
    ),
    ("marks = 'x'", "cql2.not_one_value", &[("example", "A_CONTAINS(marks, ('A1'))")]),
    ("CASEI(depth) = 'x'", "cql2.argument_type", &[("name", "CASEI"), ("fits_type", "text")]),
    ("code + 1 = 2", "cql2.argument_type", &[("name", "+"), ("fits_type", "number")]),
    ("S_WITHIN(code, POINT(1 2))", "cql2.argument_type", &[("fits_type", "geometry")]),
    ("A_CONTAINS(code, ('a'))", "cql2.argument_type", &[("fits_type", "list")]),
    ("T_AFTER(depth, DATE('2026-01-01'))", "cql2.argument_type", &[("fits_type", "time")]),
    (
        "T_DURING(checked, INTERVAL('2026-01-01', '..'))",
        "cql2.interval_needed",
        &[("name", "T_DURING"), ("read", "checked")],
    ),
    ("T_AFTER(checked, INTERVAL('2026-01-02', '2026-01-01'))", "cql2.interval_order", &[]),
    ("A_CONTAINS(marks, (1, 2))", "cql2.types_differ", &[]),
    ("S_WITHIN(position)", "cql2.argument_count", &[("name", "S_WITHIN"), ("count", "1"), ("fits", "2")]),
    ("code LIKE class", "cql2.pattern", &[("read", "class")]),
    ("S_WITHIN(position, POINT(37.4 118.5))", "cql2.coordinate", &[("second", "118.5")]),
    ("S_WITHIN(position, BBOX(1, 4, 3, 2))", "cql2.box_order", &[]),
    ("S_WITHIN(position, BBOX(1, 4, 3))", "cql2.box_numbers", &[("count", "3")]),
    ("S_WITHIN(position, POLYGON((1 1, 2 2, 3 1)))", "cql2.ring", &[]),
    ("S_WITHIN(position, LINESTRING(1 1))", "cql2.line", &[]),
    ("S_TOUCHES(POLYGON((0 0, 2 2, 2 0, 0 2, 0 0)), BBOX(0, 0, 1, 1))", "cql2.crossing", &[]),
    ("S_DWITHIN(position, POINT(1 2), -3)", "cql2.distance", &[("read", "-3")]),
    ("S_DWITHIN(BBOX(1, 1, 2, 2), BBOX(1, 1, 2, 2), 3)", "cql2.point_needed", &[]),
    ("installed > DATE('2026-02-30')", "cql2.date", &[("read", "2026-02-30")]),
    ("checked > TIMESTAMP('gestern')", "cql2.timestamp", &[]),
    ("depth = 1e400", "cql2.number", &[("position", "9")]),
    ("code = 'a", "cql2.unclosed_text", &[("position", "8")]),
    ("\"code = 1", "cql2.unclosed_name", &[("position", "1")]),
    ("code = 1; DROP TABLE covers", "cql2.character", &[("position", "9"), ("read", ";")]),
];

#[test]
fn every_refusal_says_what_is_wrong_and_where() {
    let schema = covers();
    for (text, code, facts) in REFUSED {
        let refusal = Filter::from_text(text, &schema, None).expect_err(text);
        assert_eq!(refusal.code, *code, "{text}: {refusal}");
        for (name, value) in *facts {
            let said = refusal.params.iter().find(|(known, _)| known == name);
            assert_eq!(said.map(|(_, said)| said.as_str()), Some(*value), "{text}: {refusal}");
        }
    }
}

/// The catalogues fill each sentence with what the refusal brings.
#[test]
fn every_sentence_finds_what_it_says() {
    let schema = covers();
    let sentences = |file: &str| -> toml::Table {
        let text: toml::Table = file.parse().unwrap();
        assert_eq!(
            text["cql2_type"].as_table().unwrap().keys().map(String::as_str).collect::<Vec<_>>(),
            ["boolean", "date", "geometry", "list", "number", "text", "time", "timestamp"]
        );
        text["refusal"].as_table().unwrap().clone()
    };
    let files = [include_str!("../../../locales/en.toml"), include_str!("../../../locales/zh-CN.toml")];
    for sentences in files.map(sentences) {
        for (text, code, _) in REFUSED {
            let refusal = Filter::from_text(text, &schema, None).expect_err(text);
            let sentence = sentences[*code].as_str().unwrap();
            for place in sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}')) {
                assert!(refusal.params.iter().any(|(name, _)| *name == place.0), "{code}: {}", place.0);
            }
        }
    }
}

#[test]
fn what_is_no_filter_in_json_is_refused() {
    let schema = covers();
    for (text, code) in [
        ("", "cql2.json"),
        ("{\"op\": \"=\",\n \"井\": ", "cql2.json"),
        ("1e999", "cql2.json_shape"),
        ("null", "cql2.json_shape"),
        ("{}", "cql2.json_shape"),
        (r#"{"op": "and"}"#, "cql2.json_shape"),
        (r#"{"op": "and", "args": [true]}"#, "cql2.argument_count"),
        (r#"{"op": "intersects", "args": []}"#, "cql2.unknown_function"),
        (r#"{"op": "=", "args": [{"property": "depth"}, "x"]}"#, "cql2.types_differ"),
        (r#"{"op": "in", "args": [{"property": "depth"}, 1]}"#, "cql2.in_list"),
        (r#"{"op": "t_after", "args": [{"property": "checked"}, {"interval": [1]}]}"#, "cql2.json_shape"),
        (
            r#"{"op": "s_within", "args": [{"property": "position"}, {"type": "Circle", "coordinates": [1, 2]}]}"#,
            "cql2.json_shape",
        ),
        (
            r#"{"op": "s_within", "args": [{"property": "position"}, {"type": "Polygon", "coordinates": []}]}"#,
            "cql2.json_shape",
        ),
        (
            r#"{"op": "s_within", "args": [{"property": "position"}, {"type": "Point", "coordinates": [1, "2"]}]}"#,
            "cql2.json_shape",
        ),
        (
            r#"{"op": "s_within", "args": [{"property": "position"}, {"type": "GeometryCollection", "geometries": []}]}"#,
            "cql2.json_shape",
        ),
        (r#"{"bbox": [1, 2, 3, 4]}"#, "cql2.no_condition"),
        (r#"["a", "b"]"#, "cql2.no_condition"),
    ] {
        let refusal = Filter::from_json(text, &schema, None).expect_err(text);
        assert_eq!(refusal.code, code, "{text}: {refusal}");
    }
}

#[test]
fn endless_nesting_and_endless_texts_are_refused() {
    let schema = covers();
    let read = |text: &str| Filter::from_text(text, &schema, None).expect_err("too much").code;
    assert_eq!(read(&"(".repeat(60_000)), "cql2.too_deep");
    assert_eq!(read(&"(".repeat(100_000)), "cql2.too_long");
    assert_eq!(read(&"NOT ".repeat(16_000)), "cql2.too_deep");
    assert_eq!(read(&"CASEI(".repeat(10_000)), "cql2.too_deep");
    assert_eq!(read(&"-(".repeat(30_000)), "cql2.too_deep");
    assert_eq!(read(&"A_EQUALS((".repeat(6_000)), "cql2.too_deep");
    assert_eq!(read(&format!("depth = 1{}", " + 1".repeat(15_000))), "cql2.too_deep");
    assert_eq!(read(&"x".repeat(MAX_BYTES + 1)), "cql2.too_long");
    let json = |text: &str| Filter::from_json(text, &schema, None).expect_err("too much").code;
    assert_eq!(json(&"[".repeat(60_000)), "cql2.json");
    assert_eq!(json(&r#"{"op":"not","args":["#.repeat(3_000)), "cql2.json");
    let not = |times: usize| format!("{}true{}", r#"{"op":"not","args":["#.repeat(times), "]}".repeat(times));
    assert!(Filter::from_json(&not(48), &schema, None).is_ok());
    assert_eq!(json(&not(49)), "cql2.too_deep");
    assert_eq!(json(&not(2_000)), "cql2.too_deep");
    assert_eq!(json(&format!("{}{}", "[".repeat(30_000), "]".repeat(30_000))), "cql2.too_deep");
    // A flat list is not deep.
    let flat = vec!["has_plate"; 4_000].join(" OR ");
    assert!(Filter::from_text(&flat, &schema, None).is_ok());
    let deep = format!("{}has_plate{}", "(has_plate AND ".repeat(47), ")".repeat(47));
    let filter = Filter::from_text(&deep, &schema, None).unwrap();
    assert_eq!(Filter::from_text(&filter.to_text(), &schema, None), Ok(filter));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_fall_over(text in ".{0,80}") {
        let _ = Filter::from_text(&text, &covers(), None);
        let _ = Filter::from_json(&text, &covers(), None);
    }

    #[test]
    fn no_heap_of_words_makes_the_reader_fall_over(words in prop::collection::vec(prop::sample::select(vec![
        "(", ")", ",", "AND", "or", "NOT", "=", "<>", "-", "+", "^", "div", "depth", "class", "position", "marks",
        "'a'", "1", "1.5E3", "LIKE", "IN", "BETWEEN", "IS", "NULL", "TRUE", "CASEI", "S_WITHIN", "BBOX", "POINT",
        "POLYGON", "Z", "T_AFTER", "INTERVAL", "DATE", "'2026-01-01'", "'..'", "A_CONTAINS", "S_DWITHIN", "\"x\"",
    ]), 0..24)) {
        let text = words.join(" ");
        if let Ok(filter) = Filter::from_text(&text, &covers(), None) {
            prop_assert_eq!(Filter::from_text(&filter.to_text(), &covers(), None), Ok(filter));
        }
    }
}
