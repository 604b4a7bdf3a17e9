//! The abstract test suite of the standard (annex A of 21-065r2) on its own test data: how many of 243 places each of
//! its predicates lets through.

use std::borrow::Cow;

use super::super::moment::{read_date, read_timestamp};
use super::super::{Field, Filter, Kind, NoDictionary, Row, Schema, Value};

struct Populated(Vec<&'static str>);

impl Row for Populated {
    fn value(&self, field: usize) -> Value<'_> {
        let column = |at: usize| Some(self.0[at]).filter(|text| !text.is_empty());
        let number = |at: usize| column(at).and_then(|text| text.parse::<f64>().ok());
        let time = |at: usize| {
            column(at).map(|text| Value::Timestamp(read_timestamp(&format!("{text}Z")).unwrap() / 1000))
        };
        match field {
            0 => column(0).map(|text| Value::Text(Cow::Borrowed(text))),
            1 => number(1).map(Value::Number),
            2 => column(2).map(|text| Value::Date(read_date(text).unwrap())),
            3 => time(3),
            4 => time(4),
            5 => column(5).map(|text| Value::Boolean(text == "1")),
            _ => number(6).zip(number(7)).map(|(x, y)| Value::Point(x, y)),
        }
        .unwrap_or(Value::Null)
    }
}

fn places() -> (Schema, Vec<Populated>) {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    let schema = Schema::new(vec![
        field("name", Kind::Text),
        field("pop_other", Kind::Integer),
        field("date", Kind::Date),
        field("start", Kind::Timestamp),
        field("end", Kind::Timestamp),
        field("boolean", Kind::Boolean),
        field("geom", Kind::Point),
    ]);
    let lines = include_str!("../../../tests/assets/cql2/places.tsv").lines();
    (schema, lines.map(|line| Populated(line.split('\t').collect())).collect())
}

/// The predicates as the annex has them.
const COUNTS: &[(&str, usize)] = &[
    ("name LIKE 'B_r%'", 3),
    ("name NOT LIKE 'B_r%'", 240),
    ("pop_other between 1000000 and 3000000", 75),
    ("pop_other not between 1000000 and 3000000", 168),
    ("name IN ('Kiev','kobenhavn','Berlin','athens','foo')", 2),
    ("name NOT IN ('Kiev','kobenhavn','Berlin','athens','foo')", 241),
    ("pop_other in (1038288,1611692,3013258,3013257,3013259)", 3),
    ("pop_other not in (1038288,1611692,3013258,3013257,3013259)", 240),
    ("\"date\" in (DATE('2021-04-16'),DATE('2022-04-16'),DATE('2022-04-18'))", 2),
    ("\"date\" not in (DATE('2021-04-16'),DATE('2022-04-16'),DATE('2022-04-18'))", 1),
    ("start in (TIMESTAMP('2022-04-16T10:13:19Z'))", 1),
    ("start not in (TIMESTAMP('2022-04-16T10:13:19Z'))", 2),
    ("boolean in (true)", 2),
    ("boolean not in (false)", 2),
    ("name IS NOT NULL", 243),
    ("name IS NULL", 0),
    ("name='København'", 1),
    ("name>='København'", 137),
    ("name>'København'", 136),
    ("name<='København'", 107),
    ("name<'København'", 106),
    ("name<>'København'", 242),
    ("pop_other IS NOT NULL", 243),
    ("pop_other IS NULL", 0),
    ("pop_other=1038288", 1),
    ("pop_other>=1038288", 123),
    ("pop_other>1038288", 122),
    ("pop_other<=1038288", 121),
    ("pop_other<1038288", 120),
    ("pop_other<>1038288", 242),
    ("\"date\" IS NOT NULL", 3),
    ("\"date\" IS NULL", 240),
    ("\"date\"=DATE('2022-04-16')", 1),
    ("\"date\">=DATE('2022-04-16')", 2),
    ("\"date\">DATE('2022-04-16')", 1),
    ("\"date\"<=DATE('2022-04-16')", 2),
    ("\"date\"<DATE('2022-04-16')", 1),
    ("\"date\"<>DATE('2022-04-16')", 2),
    ("start IS NOT NULL", 3),
    ("start IS NULL", 240),
    ("start=TIMESTAMP('2022-04-16T10:13:19Z')", 1),
    ("start<=TIMESTAMP('2022-04-16T10:13:19Z')", 2),
    ("start<TIMESTAMP('2022-04-16T10:13:19Z')", 1),
    ("start>=TIMESTAMP('2022-04-16T10:13:19Z')", 2),
    ("start>TIMESTAMP('2022-04-16T10:13:19Z')", 1),
    ("start<>TIMESTAMP('2022-04-16T10:13:19Z')", 2),
    ("boolean IS NOT NULL", 3),
    ("boolean IS NULL", 240),
    ("boolean=true", 2),
    ("boolean=false", 1),
    ("S_INTERSECTS(geom,BBOX(0,40,10,50))", 7),
    ("S_INTERSECTS(geom,POLYGON((0 40,10 40,10 50,0 50,0 40)))", 7),
    ("S_DISJOINT(geom,BBOX(0,40,10,50))", 236),
    ("S_DISJOINT(geom,POLYGON((0 40,10 40,10 50,0 50,0 40)))", 236),
    ("S_EQUALS(geom,POINT(6.1300028 49.6116604))", 1),
    ("S_WITHIN(geom,BBOX(-180,-90,0,90))", 74),
    ("t_after(\"date\",date('2022-04-16'))", 1),
    ("t_before(\"date\",date('2022-04-16'))", 1),
    ("t_disjoint(\"date\",date('2022-04-16'))", 2),
    ("t_equals(\"date\",date('2022-04-16'))", 1),
    ("t_intersects(\"date\",date('2022-04-16'))", 1),
    ("t_after(\"date\",interval('2022-01-01','2022-12-31'))", 1),
    ("t_before(\"date\",interval('2022-01-01','2022-12-31'))", 1),
    ("t_disjoint(\"date\",interval('2022-01-01','2022-12-31'))", 2),
    ("t_equals(\"date\",interval('2022-01-01','2022-12-31'))", 0),
    ("t_equals(\"date\",interval('2022-04-16','2022-04-16'))", 1),
    ("t_intersects(\"date\",interval('2022-01-01','2022-12-31'))", 1),
    ("t_after(start,timestamp('2022-04-16T10:13:19Z'))", 1),
    ("t_before(start,timestamp('2022-04-16T10:13:19Z'))", 1),
    ("t_disjoint(start,timestamp('2022-04-16T10:13:19Z'))", 2),
    ("t_equals(start,timestamp('2022-04-16T10:13:19Z'))", 1),
    ("t_intersects(start,timestamp('2022-04-16T10:13:19Z'))", 1),
    ("t_after(start,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 0),
    ("t_before(start,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 1),
    ("t_disjoint(start,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 1),
    ("t_equals(start,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 0),
    ("t_intersects(start,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 2),
    ("t_after(interval(start,end),interval('..','2022-04-16T10:13:19Z'))", 1),
    ("t_before(interval(start,end),interval('2023-01-01T00:00:00Z','..'))", 2),
    ("t_disjoint(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:09Z'))", 1),
    ("t_equals(interval(start,end),interval('2021-04-16T10:15:59Z','2022-04-16T10:16:06Z'))", 1),
    ("t_intersects(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:09Z'))", 2),
    ("T_CONTAINS(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:10Z'))", 1),
    ("T_DURING(interval(start,end),interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 1),
    ("T_FINISHES(interval(start,end),interval('2020-04-16T10:13:19Z','2022-04-16T10:16:06Z'))", 1),
    ("T_FINISHEDBY(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:16:06Z'))", 1),
    ("T_MEETS(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:10Z'))", 0),
    ("T_METBY(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:10Z'))", 1),
    ("T_OVERLAPPEDBY(interval(start,end),interval('2020-04-16T10:13:19Z','2022-04-16T10:15:10Z'))", 2),
    ("T_OVERLAPS(interval(start,end),interval('2022-04-16T10:13:19Z','2023-04-16T10:15:10Z'))", 1),
    ("T_STARTEDBY(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:10Z'))", 1),
    ("T_STARTS(interval(start,end),interval('2022-04-16T10:13:19Z','2022-04-16T10:15:10Z'))", 0),
];

#[test]
fn the_predicates_of_the_standard_let_through_as_many_places_as_it_says() {
    let (schema, places) = places();
    assert_eq!(places.len(), 243);
    for (text, count) in COUNTS {
        let filter =
            Filter::from_text(text, &schema, None).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        let prepared = filter.prepare(&NoDictionary);
        assert_eq!(places.iter().filter(|place| filter.test(*place) == Some(true)).count(), *count, "{text}");
        assert_eq!(places.iter().filter(|place| prepared.matches(*place)).count(), *count, "{text}");
        let again = Filter::from_json(&filter.to_json().to_string(), &schema, None);
        assert_eq!(again, Ok(filter), "{text}");
    }
}
