//! Districts as map programs ask about them: as areas, in every encoding and system, in any order.

use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{As, House};
use super::ogc::{encoded, get, walk};

const NOBODY: As = As::Nobody;
const ADMIN: As = As::Staff(Role::Admin);
const ITEMS: &str = "/ogc/collections/districts/items";

/// An L of ten kilometers whose bounds reach where it does not, a square with a hole that touches it, and one far away.
const OUTLINES: [(&str, &str, &str); 3] = [
    (
        "110101",
        "湾区",
        "[[[100.0,30.0],[100.1,30.0],[100.1,30.02],[100.02,30.02],[100.02,30.1],[100.0,30.1],[100.0,30.0]]]",
    ),
    (
        "110102",
        "湖区",
        "[[[100.1,30.0],[100.2,30.0],[100.2,30.1],[100.1,30.1],[100.1,30.0]],\
          [[100.14,30.04],[100.16,30.04],[100.16,30.06],[100.14,30.06],[100.14,30.04]]]",
    ),
    ("110103", "远区", "[[[110.0,30.0],[110.1,30.0],[110.1,30.1],[110.0,30.1],[110.0,30.0]]]"),
];
/// Two towns with a common border, which no valid geometry has.
const TOWNS: &str = "[[[[120.0,30.0],[120.1,30.0],[120.1,30.1],[120.0,30.1],[120.0,30.0]]],\
    [[[120.1,30.0],[120.2,30.0],[120.2,30.1],[120.1,30.1],[120.1,30.0]]]]";

/// Leaves no outline behind.
pub async fn districts(house: &House) {
    let address = |code: &str| format!("/api/v1/areas/district/{code}");
    for (code, name, rings) in OUTLINES {
        let rings: Value = serde_json::from_str(rings).unwrap();
        let area = json!({"type": "Feature", "properties": {"name_zh": name, "name_en": "East"},
            "geometry": {"type": "Polygon", "coordinates": rings}});
        house.ask(ADMIN, "PUT", &address(code)).json(area).expect(201).await;
    }
    let towns: Value = serde_json::from_str(TOWNS).unwrap();
    let towns = json!({"type": "Feature", "properties": {"name_zh": "双城区"},
        "geometry": {"type": "MultiPolygon", "coordinates": towns}});
    house.ask(ADMIN, "PUT", &address("110104")).json(towns).expect(201).await;
    for query in ["bbox=120.05,30.05,120.15,30.06", "filter=S_CONTAINS(geometry,POINT(120.1%2030.05))"] {
        assert_eq!(walk(house, NOBODY, ITEMS, query).await.1, ["110104"], "{query}");
    }
    house.ask(ADMIN, "DELETE", &address("110104")).expect(204).await;
    let told = get(house, NOBODY, "/ogc/collections/districts").await;
    assert_eq!(told["extent"]["spatial"]["bbox"], json!([[100.0, 30.0, 110.1, 30.1]]));
    they_are_asked_about_as_areas(house).await;
    they_come_in_pages_and_orders(house).await;
    for (code, ..) in OUTLINES {
        house.ask(ADMIN, "DELETE", &address(code)).expect(204).await;
    }
}

async fn they_are_asked_about_as_areas(house: &House) {
    let (bay, lake, far) = ("110101", "110102", "110103");
    let wanted: [(&str, &[&str]); 13] = [
        ("S_INTERSECTS(geometry, POINT(100.01 30.05))", &[bay]),
        ("S_INTERSECTS(geometry, POINT(100.05 30.05))", &[]),
        ("S_INTERSECTS(geometry, POINT(100.1 30.01))", &[bay, lake]),
        ("S_CONTAINS(geometry, POINT(100.15 30.05))", &[]),
        ("S_CONTAINS(geometry, BBOX(100.11, 30.01, 100.13, 30.03))", &[lake]),
        ("S_WITHIN(geometry, BBOX(99, 29, 101, 31))", &[bay, lake]),
        ("S_CROSSES(LINESTRING(100.01 29.9, 100.01 30.2), geometry)", &[bay]),
        ("S_TOUCHES(geometry, BBOX(100.1, 29, 100.2, 30))", &[bay, lake]),
        ("S_OVERLAPS(geometry, BBOX(100.19, 30.05, 100.3, 30.2))", &[lake]),
        // The middle of the hole is a little more than 950 m from its sides.
        ("S_DWITHIN(geometry, POINT(100.15 30.05), 900)", &[]),
        ("S_DWITHIN(geometry, POINT(100.15 30.05), 1000)", &[lake]),
        // A tenth of a degree there is 9,630 m.
        ("S_DWITHIN(geometry, LINESTRING(100.3 30, 100.3 30.1), 9700) AND name_zh LIKE '湖%'", &[lake]),
        ("S_DISJOINT(geometry, BBOX(100, 30, 100.2, 30.1)) AND code >= '110103'", &[far]),
    ];
    for (filter, wanted) in wanted {
        let query = format!("filter={}&filter-lang=cql2-text&limit=1", encoded(filter));
        assert_eq!(walk(house, NOBODY, ITEMS, &query).await.1, *wanted, "{filter}");
    }
    let inside = json!({"op": "s_contains", "args": [{"property": "geometry"},
        {"type": "Point", "coordinates": [30.05, 100.01]}]});
    let zone = encoded("http://www.opengis.net/def/crs/EPSG/0/4326");
    let query = format!("filter-lang=cql2-json&filter-crs={zone}&filter={}", encoded(&inside.to_string()));
    assert_eq!(walk(house, NOBODY, ITEMS, &query).await.1, [bay], "latitude first, as EPSG:4326 has it");
    // A box means the area and not its bounds, in degrees and in a grid.
    let mercator = encoded("http://www.opengis.net/def/crs/EPSG/0/3857");
    for (query, wanted) in [
        ("bbox=100.03,30.03,100.09,30.09".to_owned(), vec![]),
        ("bbox=100.03,30.01,100.09,30.09".to_owned(), vec![bay]),
        (format!("bbox-crs={mercator}&bbox=11135288,3507407,11142000,3515123"), vec![]),
        (format!("bbox-crs={mercator}&bbox=11133000,3507407,11142000,3515123"), vec![bay]),
        ("datetime=1990-01-01".to_owned(), vec![bay, lake, far]),
    ] {
        assert_eq!(walk(house, NOBODY, ITEMS, &query).await.1, wanted, "{query}");
    }
    for (query, code) in [
        (format!("filter={}", encoded("shape = 1")), "cql2.unknown_property"),
        (format!("filter={}", encoded("geometry = 'L'")), "cql2.not_one_value"),
        (
            format!("filter={}", encoded("S_WITHIN(geometry, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))")),
            "cql2.crossing",
        ),
        ("sortby=geometry".to_owned(), "ogc.sortby"),
        ("bbox=1,2,3".to_owned(), "ogc.bbox"),
    ] {
        assert_eq!(
            house.ask(NOBODY, "GET", &format!("{ITEMS}?{query}")).expect(400).await.code(),
            code,
            "{query}"
        );
    }
}

async fn they_come_in_pages_and_orders(house: &House) {
    for (query, wanted) in [
        ("limit=2", ["110101", "110102", "110103"]),
        ("limit=1&sortby=-code", ["110103", "110102", "110101"]),
        ("limit=2&sortby=name_zh", ["110102", "110101", "110103"]),
        ("limit=1&offset=0&sortby=name_en,-name_zh", ["110103", "110101", "110102"]),
    ] {
        let (matched, codes) = walk(house, NOBODY, ITEMS, query).await;
        assert_eq!((matched, codes), (3, wanted.map(str::to_owned).to_vec()), "{query}");
    }
    let lake = get(house, NOBODY, &format!("{ITEMS}/110102")).await;
    assert_eq!(lake["geometry"]["coordinates"][0].as_array().unwrap().len(), 2, "with its hole");
    let named = get(house, NOBODY, &format!("{ITEMS}?name_zh={}", encoded("湖区"))).await;
    assert_eq!(named["features"][0]["properties"], lake["properties"]);
    assert_eq!(named["features"][0]["geometry"], lake["geometry"]);
    for page in [format!("{ITEMS}?f=html"), format!("{ITEMS}/110102?f=html")] {
        let page = house.ask(NOBODY, "GET", &page).expect(200).await.text();
        assert!(page.contains("湖区") && page.contains("<path class=\"area\" d=\"M"), "{page}");
    }
}
