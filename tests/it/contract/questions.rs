//! 问一问 over HTTP: every question of the map with what it says, and what it refuses.

use lidmark::domain::cover::CoverClass;
use lidmark::domain::role::Role;
use lidmark::registry::Outcome;
use serde_json::{Value, json};

use super::house::{As, House};
use crate::both_engines;
use crate::registry::ground::candidate;

const NOBODY: As = As::Nobody;
const ENGINEER: As = As::Staff(Role::Engineer);
const DISPATCHER: As = As::Staff(Role::Dispatcher);
const HANDLER: As = As::Staff(Role::Handler);
const CREW: As = As::Staff(Role::Crew);
const GPX: &str = "application/gpx+xml";

/// Covers of one street of its own, eastwards: 26.5 m from each other. Answers their codes.
async fn street(house: &House, road: &str, lat: f64, many: u64, class: CoverClass) -> Vec<String> {
    let rows = (0..many).map(|at| {
        let mut row = candidate(at, class);
        let position = &mut row.survey.position;
        position.lat = lat;
        (position.raw.x, position.raw.y) = (position.lon, lat);
        row.survey.road = Some(road.into());
        row.source_key = Some(format!("{road}{at}"));
        row
    });
    let outcomes = house.town.import(rows.collect()).await;
    let mut codes = Vec::new();
    for outcome in outcomes {
        let Outcome::Created(cover) = outcome else { panic!("{outcome:?}") };
        codes.push(house.town.registry.find_cover(cover).await.unwrap().unwrap().code.digits);
    }
    house.reload_map().await;
    codes
}

async fn ask(house: &House, path: &str) -> Value {
    house.get(ENGINEER, &format!("/api/v1/map/{path}")).expect(200).await.json()
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap_or_default().to_owned()).collect()
}

/// Each question once, in whatever town there is.
pub async fn questions(house: &House) {
    let code = house.code(0).await;
    house.reload_map().await;
    for path in [
        "nearest?at=118.59,37.46",
        "duplicates",
        "density",
        "hotspots",
        "tour",
        &format!("alike?like={code}"),
    ] {
        ask(house, path).await;
        let form = if path.contains('?') { "&f=geojson" } else { "?f=geojson" };
        let answer = house.get(ENGINEER, &format!("/api/v1/map/{path}{form}")).expect(200).await;
        assert_eq!(answer.header("content-type"), Some("application/geo+json"), "{path}");
        house.get(NOBODY, &format!("/api/v1/map/{path}")).expect(401).await;
    }
    let line = json!({"type": "LineString", "coordinates": [[118.589, 37.46], [118.6, 37.46]]});
    let found = house.post(CREW, "/api/v1/map/route").json(line).expect(200).await.json();
    assert!(found["covers"].as_array().unwrap().len() > 2, "{found}");
}

both_engines! {
    async fn the_map_answers_what_a_map_program_does_not_ask_easily(ground: Ground) {
        let house = House::on(ground).await;
        house.town.draw_dongying().await;
        let east = street(&house, "问东路", 37.47, 8, CoverClass::Gas).await;
        near_and_along(&house, &east).await;
        tours(&house, &east).await;
        let west = street(&house, "问西路", 37.48, 30, CoverClass::Sewage).await;
        hot_spots(&house, &east, &west).await;
        densities(&house).await;
        alike(&house, &east).await;
        doubles(&house, &west).await;
        house.assert_faultless();
    }
}

async fn near_and_along(house: &House, east: &[String]) {
    let near = ask(house, "nearest?at=118.59005,37.47&limit=3").await;
    assert_eq!(texts(&near["covers"], "code"), east[..3]);
    let first = &near["covers"][0];
    assert!(
        (first["distance_m"].as_f64().unwrap() - 4.425).abs() < 0.01 && first["bearing"] == 270.0,
        "{first}"
    );
    let sewage = ask(house, "nearest?at=118.59005,37.47&limit=1&class=sewage").await;
    assert!((sewage["covers"][0]["distance_m"].as_f64().unwrap() - 1109.9).abs() < 1.0, "{sewage}");
    assert_eq!(
        ask(house, "nearest?at=118.59,37.47&within_m=10").await["covers"].as_array().unwrap().len(),
        1
    );
    for wrong in [
        "",
        "?at=x",
        "?at=1,2,3",
        "?at=118.59,91",
        "?at=118.59,37.47&limit=0",
        "?at=1,2&within_m=-1",
        "?at=1,2&f=gpx",
        "?at=1,2&class=x",
        "?at=1,2&color=red",
    ] {
        house.get(ENGINEER, &format!("/api/v1/map/nearest{wrong}")).expect(400).await;
    }

    // East along the street on its south side, back on its north side, in two parts of a track.
    let track = "<gpx><trk><trkseg><trkpt lat='37.46998' lon='118.5899'/><trkpt lat='37.46998' lon='118.5915'/></trkseg>\
        <trkseg><trkpt lat='37.47002' lon='118.5915'/><trkpt lat='37.47002' lon='118.5899'/></trkseg></trk></gpx>";
    let post = |body: &str| house.post(ENGINEER, "/api/v1/map/route?buffer_m=10").body(GPX, body.to_owned());
    let along = post(track).expect(200).await.json();
    assert_eq!(texts(&along["covers"], "code"), east[..6], "{along}");
    let first = &along["covers"][0];
    assert_eq!((&first["side"], &first["passes"], &along["parts"]), (&json!("left"), &json!(2), &json!(2)));
    assert!((first["along_m"].as_f64().unwrap() - 8.85).abs() < 0.05, "{first}");
    assert!((first["offset_m"].as_f64().unwrap() - 2.22).abs() < 0.02, "{first}");
    let shapes = house.post(ENGINEER, "/api/v1/map/route?buffer_m=10&f=geojson&class=gas").body(GPX, track);
    assert_eq!(shapes.expect(200).await.json()["features"].as_array().unwrap().len(), 6);
    let many =
        format!("<gpx><trk><trkseg>{}</trkseg></trk></gpx>", "<trkpt lat='1' lon='2'/>".repeat(100_001));
    for (body, code) in [
        ("", "file.empty"),
        ("<!DOCTYPE gpx [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><gpx>&a;</gpx>", "route.document_type"),
        (&many, "route.too_many_points"),
        (
            "<gpx><trk><trkseg><trkpt lat='1' lon='179.9'/><trkpt lat='1' lon='-179.9'/></trkseg></trk></gpx>",
            "route.antimeridian",
        ),
        (
            "<gpx><trk><trkseg><trkpt lat='118' lon='37'/><trkpt lat='1' lon='1'/></trkseg></trk></gpx>",
            "position.swapped",
        ),
        (
            r#"{"type": "LineString", "coordinates": [[640676, 4148750], [640677, 4148750]]}"#,
            "position.beyond_globe",
        ),
        ("井盖", "route.unreadable"),
    ] {
        assert_eq!(post(body).expect(422).await.code(), code, "{body:.100}");
    }
    house.post(ENGINEER, "/api/v1/map/route").body("text/csv", "1,2").expect(415).await;
    house.post(ENGINEER, "/api/v1/map/route?buffer_m=501").body(GPX, track).expect(400).await;
    let large = " ".repeat((16 << 20) + 1);
    assert_eq!(house.post(ENGINEER, "/api/v1/map/route").body(GPX, large).send().await.status, 413);
}

async fn tours(house: &House, east: &[String]) {
    let mixed = [3, 0, 7, 5, 1].map(|at| east[at].as_str()).join(",");
    let tour =
        ask(house, &format!("tour?covers={mixed},9999999999999999&start=118.5898,37.47&back=true")).await;
    let order: Vec<String> = [0, 1, 3, 5, 7].map(|at| east[at].clone()).to_vec();
    assert_eq!(texts(&tour["legs"], "code")[..5], order, "{tour}");
    assert_eq!((&tour["legs"][5]["stop"], &tour["missing"]), (&json!(0), &json!(["9999999999999999"])));
    assert!((tour["total_m"].as_f64().unwrap() - 2.0 * 203.5).abs() < 1.0, "{tour}");
    let gpx = house.get(CREW, &format!("/api/v1/map/tour?covers={mixed}&f=gpx")).expect(200).await;
    assert!(gpx.header("content-disposition").unwrap().contains("lidmark-tour.gpx"));
    // What we write we read: the tour's own file leads along its covers.
    let along =
        house.post(CREW, "/api/v1/map/route?buffer_m=1").body(GPX, gpx.text()).expect(200).await.json();
    assert_eq!(along["covers"].as_array().unwrap().len(), 8, "{along}");

    // A campaign of the street: the desk plans it, the crew its own.
    let new = json!({"name": "问东路", "kind": "campaign", "road": "问东路", "crews": ["crew"], "from": "2026-03-01", "until": "2026-03-10"});
    let draft = house.post(DISPATCHER, "/api/v1/campaigns").keyed().json(new).expect(201).await;
    let id = draft.json()["id"].as_str().unwrap().to_owned();
    let start = house.post(DISPATCHER, &format!("/api/v1/campaigns/{id}/steps")).keyed();
    start.header("if-match", draft.header("etag").unwrap()).json(json!({"step": "start"})).expect(200).await;
    house.town.registry.fill_campaign(id.parse().unwrap()).await.unwrap();
    let tour = ask(house, &format!("tour?campaign={id}")).await;
    assert_eq!(texts(&tour["legs"], "code").len(), 8, "{tour}");
    assert_eq!(tour["legs"][0]["tasks"][0]["kind"], "campaign");
    assert_eq!(ask(house, &format!("tour?campaign={id}&day=2026-02-27")).await["legs"], json!([]));
    assert_eq!(ask(house, &format!("tour?campaign={id}&class=sewage")).await["legs"], json!([]));
    let mine = house.get(CREW, "/api/v1/map/tour").expect(200).await.json();
    assert_eq!(mine["legs"].as_array().unwrap().len(), 8, "{mine}");
    house.get(HANDLER, "/api/v1/map/tour").expect(403).await;
    house.get(CREW, "/api/v1/map/tour?crew=019aafe2-7c00-7000-8000-000000000001").expect(403).await;
    let many =
        ["1"; 3].iter().enumerate().map(|(at, one)| format!("{one}{at}")).collect::<Vec<_>>().join(",");
    assert_eq!(ask(house, &format!("tour?covers={many}")).await["missing"].as_array().unwrap().len(), 3);
    let many = (0..501).map(|at| at.to_string()).collect::<Vec<_>>().join(",");
    for wrong in [
        "start=x",
        "back=perhaps",
        "campaign=x",
        "crew=x",
        "day=x",
        "covers=%00",
        "f=pdf",
        &format!("covers={many}"),
    ] {
        house.get(ENGINEER, &format!("/api/v1/map/tour?{wrong}")).expect(400).await;
    }
}

/// Everything breaks in the east, next to nothing in the west.
async fn hot_spots(house: &House, east: &[String], west: &[String]) {
    let broken = async |code: &str, hazard: &str| {
        let body = json!({"cover": code, "hazard": hazard, "description": "坏了"});
        house.post(DISPATCHER, "/api/v1/cases").keyed().json(body).expect(201).await.json()
    };
    let calm = ask(house, "hotspots").await;
    assert_eq!((&calm["clusters"], &calm["best_p"], &calm["cases"]), (&json!([]), &Value::Null, &json!(0)));
    for code in east.iter().take(7).chain([&west[20]]) {
        broken(code, "broken").await;
    }
    broken(&east[0], "rocking").await;
    house.reload_map().await;
    let hot = ask(house, "hotspots?radius_m=300").await;
    let [cluster] = hot["clusters"].as_array().unwrap().as_slice() else { panic!("{hot}") };
    assert!(cluster["p"].as_f64().unwrap() <= 0.05 && cluster["counted"].as_i64().unwrap() >= 5, "{hot}");
    assert!((cluster["lat"].as_f64().unwrap() - 37.47).abs() < 0.002, "{cluster}");
    assert_eq!((&hot["counted"], &hot["cases"], &hot["recurring_covers"]), (&json!(8), &json!(9), &json!(0)));
    assert_eq!((&hot["method"], &hot["replicates"]), (&json!("kulldorff_poisson_scan"), &json!(999)));
    assert_eq!(ask(house, "hotspots?radius_m=300").await, hot, "the same again");
    let shapes = ask(house, "hotspots?radius_m=300&f=geojson").await;
    assert_eq!(shapes["features"][0]["geometry"]["type"], "MultiPolygon");
    // Two hazards at one cover are none that came again; another period holds nothing.
    assert_eq!(ask(house, "hotspots?count=recurring").await["counted"], 0);
    assert_eq!(ask(house, "hotspots?hazard=rocking").await["cases"], 1);
    assert_eq!(ask(house, "hotspots?from=2025-01-01&until=2025-12-31").await["cases"], 0);
    let handler = house.get(HANDLER, "/api/v1/map/hotspots").expect(200).await.json();
    assert_eq!(handler["cases"], 0, "a handler counts the cases of their party alone");
    for wrong in
        ["from=x", "from=2026-01-01&until=2025-01-01", "hazard=x", "count=x", "radius_m=9", "radius_m=NaN"]
    {
        house.get(ENGINEER, &format!("/api/v1/map/hotspots?{wrong}")).expect(400).await;
    }
    // Covers and cases as stops of one tour.
    let case = broken(&west[3], "level").await;
    let number = case["case"]["number"].as_str().or(case["case_number"].as_str()).or(case["number"].as_str());
    let number = number.unwrap_or_else(|| panic!("{case}"));
    let tour = ask(house, &format!("tour?cases={number},2020-000001&covers={}", west[3])).await;
    assert_eq!((&tour["legs"][0]["cases"], &tour["missing"]), (&json!([number]), &json!(["2020-000001"])));
    let theirs = house.get(HANDLER, &format!("/api/v1/map/tour?cases={number}")).expect(200).await.json();
    assert_eq!(theirs["missing"], json!([number]));
}

async fn densities(house: &House) {
    let density = ask(house, "density?least_m=0").await;
    let district = &density["districts"][0];
    assert_eq!((&district["district"], &district["covers"]), (&json!("370502"), &json!(44)));
    // 0.2° of 88.3 km and 0.1° of 111 km.
    assert!((district["area_km2"].as_f64().unwrap() - 196.5).abs() < 1.0, "{district}");
    let roads = density["roads"].as_array().unwrap();
    let road = roads.iter().find(|road| road["road"] == "问西路").unwrap();
    let length = road["length_m"].as_f64().unwrap();
    assert!((length - 29.0 * 26.55).abs() < 60.0 && road["covers"] == 30, "{road}");
    assert!((road["per_km"].as_f64().unwrap() - 30_000.0 / length).abs() < 0.1, "{road}");
    let per_km: Vec<f64> = roads.iter().map(|road| road["per_km"].as_f64().unwrap()).collect();
    assert!(per_km.is_sorted(), "{per_km:?}");
    let shapes = ask(house, "density?least_m=0&f=geojson&class=gas").await;
    let kinds: Vec<&Value> =
        shapes["features"].as_array().unwrap().iter().map(|one| &one["geometry"]["type"]).collect();
    assert_eq!(kinds, ["MultiPolygon", "MultiLineString"]);
    assert_eq!(ask(house, "density?least_m=5000").await["matched"], 0);
    for wrong in ["order=x", "gap_m=1", "least_m=-1", "limit=x"] {
        house.get(ENGINEER, &format!("/api/v1/map/density?{wrong}")).expect(400).await;
    }
}

async fn alike(house: &House, east: &[String]) {
    let found = ask(house, &format!("alike?like={}&limit=9", east[2])).await;
    let codes = texts(&found["covers"], "code");
    assert_eq!(codes.len(), 9);
    // Its neighbors share everything; what comes behind the street does not.
    assert!(codes[..7].iter().all(|code| east.contains(code)), "{codes:?}");
    let first = &found["covers"][0];
    assert!(
        first["similarity"] == 1.0 && first["shares"].as_array().unwrap().contains(&json!("class")),
        "{first}"
    );
    assert!(found["covers"][8]["differs"].as_array().unwrap().contains(&json!("class")), "{found}");
    let sewage = ask(house, &format!("alike?like={}&class=sewage&limit=1", east[2])).await;
    assert_eq!(sewage["covers"][0]["class"], "sewage");
    house.get(ENGINEER, "/api/v1/map/alike").expect(400).await;
    house.get(ENGINEER, "/api/v1/map/alike?like=1").expect(404).await;
    house.get(ENGINEER, "/api/v1/map/alike?like=%00").expect(404).await;
}

async fn doubles(house: &House, west: &[String]) {
    assert_eq!(ask(house, "duplicates").await["groups"], json!([]));
    // The last two of the street move away together.
    let mut moved = Vec::new();
    for (at, lon) in [(28, 118.65), (29, 118.650_004)] {
        let path = format!("/api/v1/covers/{}", west[at]);
        let tag = house.get(ENGINEER, &path).expect(200).await.header("etag").unwrap().to_owned();
        let set = json!({"position": {"x": lon, "y": 37.48, "method": "phone"}});
        let body = json!({"set": set, "reason": "surveyed anew"});
        house.ask(ENGINEER, "PATCH", &path).keyed().header("if-match", &tag).json(body).expect(200).await;
        moved.push(west[at].clone());
    }
    house.reload_map().await;
    let found = ask(house, "duplicates").await;
    let [group] = found["groups"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!(texts(&group["covers"], "code"), moved);
    assert!(
        (group["distance_m"].as_f64().unwrap() - 0.354).abs() < 0.01 && group["next_m"].is_null(),
        "{group}"
    );
    assert!(group["shares"].as_array().unwrap().contains(&json!("owner")), "{group}");
    assert_eq!(ask(house, "duplicates?f=geojson").await["features"].as_array().unwrap().len(), 2);
    assert_eq!(ask(house, "duplicates?class=gas").await["groups"], json!([]), "none of them is meant");
    house.get(ENGINEER, "/api/v1/map/duplicates?alone_m=501").expect(400).await;
    let cover = async |code: &str| house.town.registry.find_cover_by_code(code).await.unwrap().unwrap().cover;
    let pair = (cover(&moved[0]).await, cover(&moved[1]).await);
    let actor = lidmark::domain::role::Actor::System;
    house.town.registry.tell_apart(pair, "two of them", &actor).await.unwrap();
    assert_eq!(ask(house, "duplicates").await["groups"], json!([]), "told apart");
}
