//! Cases, manholes and plates as map programs read them: every row once, filters that mean what they say on both
//! engines, and nothing for strangers that is not theirs.

use std::borrow::Cow;
use std::collections::BTreeSet;

use lidmark::cql2::{Filter, Kind, Row, Schema, Value as Cell};
use lidmark::domain::role::Role;
use lidmark::domain::table_layer::TableLayer;
use lidmark::layers::{moment_field, table_schema};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::house::{As, House};
use super::ogc::{encoded, get, walk};

const NOBODY: As = As::Nobody;
const ENGINEER: As = As::Staff(Role::Engineer);
const FILTERS: usize = 40;

fn items(layer: TableLayer) -> String {
    format!("/ogc/collections/{layer}/items")
}

pub async fn tables(house: &House) {
    for layer in TableLayer::ALL {
        rows_come_once_in_every_order(house, *layer).await;
        filters_mean_what_they_say(house, *layer).await;
    }
    strangers_see_open_facts_alone(house).await;
}

async fn rows_come_once_in_every_order(house: &House, layer: TableLayer) {
    let path = items(layer);
    let (count, all) = walk(house, ENGINEER, &path, "limit=10000").await;
    assert!(count > 2, "{layer}: only {count} to look at");
    let known: BTreeSet<&String> = all.iter().collect();
    assert_eq!(known.len(), all.len(), "{layer}");
    for query in ["limit=7", "limit=7&sortby=-district,road", "limit=9&datetime=2000-01-01/.."] {
        let (matched, ids) = walk(house, ENGINEER, &path, query).await;
        assert_eq!(matched, count, "{layer} {query}");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>(), known, "{layer} {query}");
        assert_eq!(ids.len(), all.len(), "{layer} {query}");
    }
    let skipped = get(house, ENGINEER, &format!("{path}?offset=1&limit=1")).await;
    assert_eq!(skipped["features"][0]["id"], *all[1]);
    let one = get(house, ENGINEER, &format!("{path}/{}", all[1])).await;
    assert_eq!(one["id"], *all[1]);
    assert_eq!(one["properties"], skipped["features"][0]["properties"]);
    for page in [format!("{path}?f=html"), format!("{path}/{}?f=html", all[1])] {
        assert!(house.ask(ENGINEER, "GET", &page).expect(200).await.text().contains("<h1>"), "{page}");
    }
    house.ask(ENGINEER, "GET", &format!("{path}/nobody")).expect(404).await;
    house.ask(ENGINEER, "GET", &format!("{path}?weight=3")).expect(400).await;
    // A box holds what lies in it and what lies nowhere.
    let features = get(house, ENGINEER, &format!("{path}?limit=10000")).await;
    let features = features["features"].as_array().unwrap();
    let place = features.iter().map(|feature| &feature["geometry"]).find(|geometry| geometry.is_object());
    let [lon, lat] = [0, 1].map(|at| place.unwrap()["coordinates"][at].as_f64().unwrap());
    let around = [lon - 0.001, lat - 0.001, lon + 0.001, lat + 0.001];
    let lies_in = |feature: &&Value| match feature["geometry"]["coordinates"].as_array() {
        None => true,
        Some(place) => {
            let [lon, lat] = [0, 1].map(|at| place[at].as_f64().unwrap());
            (around[0]..=around[2]).contains(&lon) && (around[1]..=around[3]).contains(&lat)
        }
    };
    let wanted = features.iter().filter(lies_in).count() as u64;
    let [west, south, east, north] = around;
    let found = get(house, ENGINEER, &format!("{path}?bbox={west},{south},{east},{north}")).await;
    assert_eq!(found["numberMatched"].as_u64(), Some(wanted), "{layer}");
    let near = encoded(&format!("S_INTERSECTS(geometry, BBOX({west}, {south}, {east}, {north}))"));
    let found = get(house, ENGINEER, &format!("{path}?filter={near}")).await;
    let placed = features.iter().filter(lies_in).filter(|feature| feature["geometry"].is_object()).count();
    assert_eq!(found["numberMatched"].as_u64(), Some(placed as u64), "{layer}: nowhere is in no figure");
    times_are_those_of_the_clock(house, &path, moment_field(layer), features).await;
    // More conditions than a database takes; none of them holds.
    let never = vec!["district='x'"; 1500].join("%20AND%20");
    assert_eq!(get(house, ENGINEER, &format!("{path}?filter={never}")).await["numberMatched"], 0);
}

/// A moment means itself, a day all of it on the city's clock; what has no time fits.
async fn times_are_those_of_the_clock(house: &House, path: &str, field: &str, features: &[Value]) {
    let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
    let times: Vec<Option<OffsetDateTime>> =
        features.iter().map(|feature| feature["properties"][field].as_str().map(read)).collect();
    let Some(known) = times.iter().flatten().min().copied() else { return };
    let write = |at: OffsetDateTime| at.format(&Rfc3339).unwrap();
    let (second, noon) = (time::Duration::seconds(1), time::Duration::hours(12));
    for (from, until) in [
        (known, known),
        (known - second, known),
        (known + second, known + noon),
        (known - noon, known - second),
    ] {
        let wanted = times.iter().filter(|at| at.is_none_or(|at| at >= from && at <= until)).count() as u64;
        let query = format!("datetime={}/{}", encoded(&write(from)), encoded(&write(until)));
        let found = get(house, ENGINEER, &format!("{path}?{query}")).await;
        assert_eq!(found["numberMatched"].as_u64(), Some(wanted), "{field} {from} {until}");
    }
    let backwards = format!("{path}?datetime={}/{}", encoded(&write(known)), encoded(&write(known - second)));
    house.ask(ENGINEER, "GET", &backwards).expect(400).await;
    let clock = time::UtcOffset::from_whole_seconds(house.state.config.utc_offset_minutes * 60).unwrap();
    let day = known.to_offset(clock).date();
    let wanted =
        times.iter().filter(|at| at.is_none_or(|at| at.to_offset(clock).date() == day)).count() as u64;
    let found = get(house, ENGINEER, &format!("{path}?datetime={day}")).await;
    assert_eq!(found["numberMatched"].as_u64(), Some(wanted), "{field} {day}");
}

/// A feature as the filter's plain walk reads it.
struct Told<'f>(&'f Schema, &'f Value);

impl Row for Told<'_> {
    fn value(&self, field: usize) -> Cell<'_> {
        let Some(known) = self.0.fields().get(field) else { return Cell::Null };
        let value = &self.1["properties"][&known.name];
        match known.kind {
            Kind::Point => match self.1["geometry"]["coordinates"].as_array() {
                Some(place) => Cell::Point(place[0].as_f64().unwrap(), place[1].as_f64().unwrap()),
                None => Cell::Null,
            },
            Kind::Boolean => value.as_bool().map_or(Cell::Null, Cell::Boolean),
            Kind::Number | Kind::Integer => value.as_f64().map_or(Cell::Null, Cell::Number),
            Kind::Timestamp => value.as_str().map_or(Cell::Null, |text| {
                let at = OffsetDateTime::parse(text, &Rfc3339).unwrap();
                Cell::Timestamp((at.unix_timestamp_nanos() / 1_000_000) as i64)
            }),
            Kind::TextList => {
                let list = value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
                Cell::TextList(Cow::Owned(list.collect()))
            }
            _ => value.as_str().map_or(Cell::Null, |text| Cell::Text(Cow::Borrowed(text))),
        }
    }
}

/// A condition on a property, with a value that some feature has.
fn condition(random: &mut StdRng, schema: &Schema, features: &[Value]) -> String {
    let named: Vec<_> = schema.fields().iter().filter(|field| field.kind != Kind::Point).collect();
    let field = named.choose(random).unwrap();
    let mut value = || {
        let feature = features.choose(random).unwrap();
        let value = &feature["properties"][&field.name];
        match (field.kind, value) {
            (Kind::Timestamp, Value::String(text)) => format!("TIMESTAMP('{text}')"),
            (Kind::Timestamp, _) => "DATE('2026-01-01')".to_owned(),
            (_, Value::String(text)) => format!("'{}'", text.replace('\'', "''")),
            (Kind::Text | Kind::Word(_), _) => "'nobody'".to_owned(),
            (Kind::TextList, Value::Array(list)) => {
                format!("('{}')", list.first().map_or("", |text| text.as_str().unwrap()))
            }
            (Kind::Boolean, Value::Null) => "TRUE".to_owned(),
            (_, Value::Null) => "1".to_owned(),
            (_, other) => other.to_string().to_uppercase(),
        }
    };
    let (one, other) = (value(), value());
    let name = &field.name;
    let kind = random.random_range(0..6);
    match field.kind {
        Kind::TextList => format!("A_OVERLAPS({name}, {one})"),
        Kind::Boolean => format!("{name} = {one}"),
        _ if kind == 0 => format!("{name} IS NULL"),
        _ if kind == 1 => format!("{name} IN ({one}, {other})"),
        _ => format!("{name} {} {one}", ["=", "<>", "<", ">="][kind - 2]),
    }
}

async fn filters_mean_what_they_say(house: &House, layer: TableLayer) {
    let schema = table_schema(layer, true, house.state.config.utc_offset_minutes);
    let all = get(house, ENGINEER, &format!("{}?limit=10000", items(layer))).await;
    let features = all["features"].as_array().unwrap();
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..FILTERS {
        let mut pick = || condition(&mut random, &schema, features);
        let (one, two, three) = (pick(), pick(), pick());
        let text = match random.random_range(0..4) {
            0 => one,
            1 => format!("{one} AND {two}"),
            2 => format!("({one} OR {two}) AND {three}"),
            _ => format!("NOT ({one}) AND {two}"),
        };
        let filter =
            Filter::from_text(&text, &schema, None).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
        let fits = |feature: &&Value| filter.test(&Told(&schema, feature)) == Some(true);
        let wanted: BTreeSet<&str> =
            features.iter().filter(fits).map(|feature| feature["id"].as_str().unwrap()).collect();
        let found =
            get(house, ENGINEER, &format!("{}?limit=10000&filter={}", items(layer), encoded(&text))).await;
        let found_ids: BTreeSet<&str> = found["features"]
            .as_array()
            .unwrap()
            .iter()
            .map(|feature| feature["id"].as_str().unwrap())
            .collect();
        assert_eq!(found_ids, wanted, "{layer}: {text}");
        assert_eq!(found["numberMatched"].as_u64(), Some(wanted.len() as u64), "{layer}: {text}");
    }
}

async fn strangers_see_open_facts_alone(house: &House) {
    for layer in [TableLayer::Manholes, TableLayer::Plates] {
        for tail in ["", "/queryables", "/items", "/items/x"] {
            let path = format!("/ogc/collections/{layer}{tail}");
            assert_eq!(house.ask(NOBODY, "GET", &path).expect(401).await.code(), "http.log_in");
        }
    }
    let listed = get(house, NOBODY, "/ogc/collections").await;
    let ids: Vec<&str> =
        listed["collections"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["covers", "cases", "districts"]);
    let known = get(house, ENGINEER, &format!("{}?limit=10000", items(TableLayer::Cases))).await;
    let seen = get(house, NOBODY, &format!("{}?limit=10000", items(TableLayer::Cases))).await;
    assert!(seen["numberMatched"].as_u64() <= known["numberMatched"].as_u64());
    let published = ["number", "hazard", "status", "code", "district", "road", "reported_at", "closed_at"];
    for feature in seen["features"].as_array().unwrap() {
        let names: BTreeSet<&str> =
            feature["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, published.into_iter().collect());
        assert!(feature["properties"]["code"].is_string(), "places without a cover are nobody's to see");
    }
    for query in ["party=x", "sortby=due_at", "filter=emergency%20%3D%20TRUE"] {
        house.ask(NOBODY, "GET", &format!("{}?{query}", items(TableLayer::Cases))).expect(400).await;
    }
    // A handler has the cases of their party on the map, as in the list.
    let handler = As::Staff(Role::Handler);
    let listed = get(house, handler, "/api/v1/cases?limit=200").await;
    let mine: BTreeSet<&str> = listed["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["case"]["number"].as_str().unwrap())
        .collect();
    let (_, on_map) = walk(house, handler, &items(TableLayer::Cases), "limit=10000").await;
    assert_eq!(on_map.iter().map(String::as_str).collect::<BTreeSet<_>>(), mine);
}

/// Covers changed by programs that edit maps.
pub async fn edits(house: &House) {
    const PATH: &str = "/ogc/collections/covers/items";
    let allowed = |path: &'static str| async move {
        house.ask(ENGINEER, "OPTIONS", path).expect(204).await.header("allow").unwrap().to_owned()
    };
    assert_eq!(allowed(PATH).await, "GET, HEAD, OPTIONS, POST");
    assert_eq!(allowed("/ogc/collections/cases/items").await, "GET, HEAD, OPTIONS");
    assert_eq!(allowed("/ogc/collections/cases/items/x").await, "GET, HEAD, OPTIONS");
    assert_eq!(allowed("/ogc/collections/covers/items/x").await, "GET, HEAD, OPTIONS, PUT, PATCH, DELETE");
    let known = get(house, ENGINEER, &format!("{PATH}?limit=1")).await;
    let beside = |east: f64, north: f64| {
        let place = &known["features"][0]["geometry"]["coordinates"];
        let round = |degrees: f64| (degrees * 1e7).round() / 1e7;
        [round(place[0].as_f64().unwrap() + east), round(place[1].as_f64().unwrap() + north)]
    };
    let place = beside(0.000_37, 0.000_29);
    let feature = json!({"type": "Feature", "geometry": {"type": "Point", "coordinates": place},
        "properties": {"class": "sewage", "road": "东四路", "material": "cast_iron", "completeness": null}});
    let send = |who: As, method: &'static str, path: &str, body: &Value| {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/geo+json" };
        house.ask(who, method, path).body(kind, body.to_string())
    };
    assert_eq!(send(NOBODY, "POST", PATH, &feature).send().await.status, 401);
    send(As::Staff(Role::Crew), "POST", PATH, &feature).expect(403).await;
    let read_only = send(ENGINEER, "POST", "/ogc/collections/cases/items", &feature).expect(405).await;
    assert_eq!(read_only.header("allow"), Some("GET, HEAD, OPTIONS"));
    house.ask(ENGINEER, "POST", PATH).body("text/plain", "x").expect(415).await;
    for (pointer, value, code) in [
        ("/geometry", json!(null), "ogc.point"),
        ("/properties/class", json!("teapot"), "class.unknown"),
        ("/properties/completeness", json!(3), "ogc.not_to_set"),
        ("/properties/owner", json!("nobody"), "party.unknown"),
    ] {
        let mut wrong = feature.clone();
        *wrong.pointer_mut(pointer).unwrap_or(&mut Value::Null) = value.clone();
        if pointer == "/properties/owner" {
            wrong["properties"]["owner"] = value;
        }
        let answer = send(ENGINEER, "POST", PATH, &wrong).expect(422).await;
        if code != "class.unknown" {
            assert_eq!(answer.code(), code, "{pointer}");
        }
    }
    let key = uuid::Uuid::now_v7().to_string();
    let made = send(ENGINEER, "POST", PATH, &feature).header("Idempotency-Key", &key).expect(201).await;
    let again = send(ENGINEER, "POST", PATH, &feature).header("Idempotency-Key", &key).expect(201).await;
    assert_eq!(made.json()["id"], again.json()["id"], "the same request again is done once");
    let at = made.header("location").unwrap().strip_prefix(&house.base).unwrap().to_owned();
    let first = house.ask(ENGINEER, "GET", &at).expect(200).await;
    assert_eq!(first.json()["properties"]["road"], "东四路");
    assert_eq!(first.json()["geometry"]["coordinates"], json!(place));
    assert_eq!(first.header("etag"), made.header("etag"));
    // Another one so close is told apart by a reason.
    assert_eq!(send(ENGINEER, "POST", PATH, &feature).expect(409).await.code(), "register.nearby");
    let other = send(ENGINEER, "POST", &format!("{PATH}?reason=twin"), &feature).expect(201).await.json();
    assert_ne!(other["id"], first.json()["id"]);

    let patch = json!({"properties": {"material": "composite"}});
    let tag = first.header("etag").unwrap();
    let patched = send(ENGINEER, "PATCH", &at, &patch).header("If-Match", tag).expect(200).await;
    assert_eq!(patched.json()["properties"]["material"], "composite");
    assert_eq!(patched.json()["properties"]["road"], "东四路", "what is not named stays");
    assert_ne!(patched.header("etag"), Some(tag));
    let late = json!({"properties": {"material": "cast_iron"}});
    send(ENGINEER, "PATCH", &at, &late).header("If-Match", tag).expect(412).await;
    send(ENGINEER, "PATCH", &at, &late).header("If-Match", "\"x\"").expect(412).await;
    // What a program read it may write back, whole.
    let mut whole = patched.json();
    send(ENGINEER, "PUT", &at, &whole).expect(428).await;
    let same = send(ENGINEER, "PUT", &at, &whole).header("If-Match", "*").expect(200).await;
    assert_eq!(same.header("etag"), patched.header("etag"), "nothing was changed");
    whole["properties"].as_object_mut().unwrap().remove("road");
    // A zone of the city, northing first.
    let zone = "http://www.opengis.net/def/crs/EPSG/0/4549";
    let seen = house.ask(ENGINEER, "GET", &format!("{at}?crs={}", encoded(zone))).expect(200).await.json();
    let [north, east] = [0, 1].map(|at| seen["geometry"]["coordinates"][at].as_f64().unwrap());
    whole["geometry"]["coordinates"] = json!([north + 1.0, east]);
    let put = send(ENGINEER, "PUT", &at, &whole)
        .header("If-Match", same.header("etag").unwrap())
        .header("Content-Crs", &format!("<{zone}>"))
        .expect(200)
        .await;
    let said = put.json();
    assert!(said["properties"]["road"].is_null(), "what a whole feature does not name is not known");
    let moved = said["geometry"]["coordinates"][0].as_f64().unwrap();
    assert!((moved - north - 1.0).abs() < 0.002, "{moved} after {north}, in the system that was sent");
    let file =
        house.get(ENGINEER, &format!("/api/v1/covers/{}", said["id"].as_str().unwrap())).expect(200).await;
    assert_eq!(file.json()["position"]["raw"]["epsg"], 4549, "{}", file.json());

    house.ask(ENGINEER, "DELETE", &at).header("If-Match", "\"1\"").expect(412).await;
    house.ask(ENGINEER, "DELETE", &at).expect(204).await;
    house.ask(ENGINEER, "GET", &at).expect(404).await;
    house.ask(ENGINEER, "DELETE", &at).expect(404).await;

    let [x, y] = beside(0.000_57, 0.000_41);
    let set = json!({"class": "storm", "set": {"position": {"x": x, "y": y}, "road": "东四路"}});
    let made = house.post(ENGINEER, "/api/v1/covers").keyed().json(set.clone()).expect(201).await;
    assert_eq!(made.json()["survey"]["road"].as_str().or(made.json()["road"].as_str()), Some("东四路"));
    house.post(ENGINEER, "/api/v1/covers").keyed().json(set).expect(409).await;
}
