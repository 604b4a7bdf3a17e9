//! Rows that are areas: what the plain walk and the prepared filter say of them.

use geo::wkt;

use super::super::{Field, Figure, Filter, Kind, NoDictionary, Row, Schema, Value};

/// Two areas, the second of which may be unknown.
struct Pair(Figure, Option<Figure>);

impl Row for Pair {
    fn value(&self, field: usize) -> Value<'_> {
        match field {
            0 => Value::Figure(&self.0),
            1 => self.1.as_ref().map_or(Value::Null, Value::Figure),
            _ => Value::Point(5.0, 5.0),
        }
    }
}

fn schema() -> Schema {
    let fields = [("area", Kind::Areas), ("other", Kind::Areas), ("middle", Kind::Point)];
    Schema::new(fields.map(|(name, kind)| Field { name: name.to_owned(), kind }).to_vec())
}

#[test]
fn areas_have_the_relations_of_simple_features() {
    let pond = wkt!(POLYGON((0. 0., 10. 0., 10. 10., 0. 10., 0. 0.), (4. 4., 6. 4., 6. 6., 4. 6., 4. 4.)));
    let island = Figure::new(wkt!(POLYGON((4. 4., 6. 4., 6. 6., 4. 6., 4. 4.))).into());
    let whole = Pair(Figure::new(pond.clone().into()).unwrap(), island);
    let half = Pair(Figure::new(pond.into()).unwrap(), None);
    for (text, of_both, of_one) in [
        ("S_INTERSECTS(area, POINT(5 5))", Some(false), Some(false)),
        ("S_TOUCHES(area, POINT(4 5))", Some(true), Some(true)),
        ("S_CONTAINS(area, POINT(1 1))", Some(true), Some(true)),
        ("S_WITHIN(POINT(1 1), area)", Some(true), Some(true)),
        ("S_DISJOINT(area, middle)", Some(true), Some(true)),
        ("S_WITHIN(middle, other)", Some(true), None),
        ("S_TOUCHES(area, other)", Some(true), None),
        ("NOT S_OVERLAPS(area, other)", Some(true), None),
        ("S_EQUALS(other, BBOX(4, 4, 6, 6))", Some(true), None),
        ("S_CROSSES(area, LINESTRING(-1 1, 11 1))", Some(true), Some(true)),
        ("S_DWITHIN(area, middle, 112000)", Some(true), Some(true)),
        ("S_DWITHIN(middle, area, 110000)", Some(false), Some(false)),
        ("S_DWITHIN(area, BBOX(11, 0, 12, 10), 112000)", Some(true), Some(true)),
        ("S_DWITHIN(area, BBOX(11, 0, 12, 10), 110000)", Some(false), Some(false)),
        ("S_DWITHIN(area, other, 0)", Some(true), None),
        ("other IS NULL", Some(false), Some(true)),
    ] {
        let filter =
            Filter::from_text(text, &schema(), None).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
        let prepared = filter.prepare(&NoDictionary);
        for (row, wanted) in [(&whole, of_both), (&half, of_one)] {
            assert_eq!(filter.test(row), wanted, "{text}");
            assert_eq!(prepared.matches(row), wanted == Some(true), "{text}");
        }
    }
    for (text, code) in [
        ("area = 'x'", "cql2.not_one_value"),
        ("S_WITHIN(area, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))", "cql2.crossing"),
        ("S_WITHIN(middle, area) AND area > 3", "cql2.not_one_value"),
    ] {
        assert_eq!(Filter::from_text(text, &schema(), None).unwrap_err().code, code, "{text}");
    }
}
