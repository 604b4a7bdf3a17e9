//! One life over every operation. Each answer is held to the contract as it arrives.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::abuse::abuse;
use super::areas::areas;
use super::citizens::citizens;
use super::crew::crews;
use super::crew_shell::crew_shell;
use super::editing;
use super::hazard_loop::hazard_loop;
use super::house::{Answer, As, House, KEY, jpeg};
use super::import_desk::census_desk;
use super::map_page::{map_overlays, map_page};
use super::map_past::map_past;
use super::notices::notices;
use super::ogc::{ogc, search, staff_map};
use super::open311::open311;
use super::plate_batches;
use super::plate_designs::designs;
use super::profiles::profiles;
use super::quality::quality;
use super::questions::questions;
use super::receivers::receivers;
use super::rewards::rewards;
use super::scripts::scripts;
use super::sensors::sensors;
use super::statistics::statistics;
use super::tasks::tasks;
use super::{ogc_districts, ogc_tables};
use crate::both_engines;
use crate::support::contract::contract;
use crate::support::engines::Ground;
use crate::support::{keep_fonts, say};

const CITIZEN: As = As::Nobody;
const DISPATCHER: As = As::Staff(Role::Dispatcher);
const HANDLER: As = As::Staff(Role::Handler);
const SUPERVISOR: As = As::Staff(Role::Supervisor);
const ENGINEER: As = As::Staff(Role::Engineer);
const CREW: As = As::Staff(Role::Crew);

both_engines! {
    async fn every_operation_answers_as_the_contract_says(ground: Ground) {
        let house = House::on(ground).await;
        operators(&house).await;
        map(&house).await;
        let (first, link) = citizen_reports(&house).await;
        citizen_pages(&house, &link).await;
        desk_handles(&house, &link).await;
        rewards(&house, &first).await;
        files(&house).await;
        census(&house).await;
        census_desk(&house).await;
        profiles(&house).await;
        areas(&house).await;
        plates(&house).await;
        keep_fonts();
        plate_batches::programs(&house).await;
        plate_batches::pages(&house).await;
        designs(&house).await;
        crews(&house).await;
        crew_shell(&house).await;
        map_page(&house).await;
        desk_pages(&house).await;
        editing::programs(&house).await;
        editing::pages(&house).await;
        scripts(&house).await;
        quality(&house).await;
        hazard_loop(&house).await;
        tasks(&house).await;
        notices(&house).await;
        receivers(&house).await;
        abuse(&house).await;
        sensors(&house).await;
        map_overlays(&house).await;
        map_past(&house).await;
        questions(&house).await;
        statistics(&house).await;
        open311(&house).await;
        ogc(&house).await;
        ogc_districts::districts(&house).await;
        ogc_tables::tables(&house).await;
        ogc_tables::edits(&house).await;
        staff_map(&house).await;
        search(&house).await;
        citizens(&house).await;
        feed(&house).await;

        house.assert_faultless();
        let seen = house.seen();
        let successes = |method: &str, path: &str| {
            seen.iter().any(|(m, p, status)| m == method && p == path && *status < 400)
        };
        let never: Vec<_> =
            contract().operations().into_iter().filter(|(method, path)| !successes(method, path)).collect();
        assert!(never.is_empty(), "never answered with success: {never:?}");
        say(&format!(
            "{} kinds of answers over {} operations fit the contract",
            seen.len(),
            contract().operations().len()
        ));
    }
}

async fn operators(house: &House) {
    for path in ["/healthz", "/readyz", "/metrics", "/robots.txt", "/openapi.yaml"] {
        house.get(CITIZEN, path).expect(200).await;
        house.ask(CITIZEN, "HEAD", path).expect(200).await;
    }
    let served = house.get(CITIZEN, "/openapi.yaml").expect(200).await.text();
    let written = std::fs::read_to_string(crate::support::checkout().join("openapi.yaml")).unwrap();
    assert!(served == written, "the server serves another contract than the checkout's");
    assert_eq!(house.get(CITIZEN, "/healthz?x=1").expect(400).await.code(), "http.query");
    let away = house.client.get(format!("{}/nowhere", house.base)).header("accept", "application/json");
    let away = away.send().await.unwrap();
    assert_eq!(away.status(), 404);
    assert_eq!(away.headers()["content-type"], "application/problem+json");
    assert_eq!(house.ask(CITIZEN, "DELETE", "/healthz").send().await.status, 405);
}

async fn map(house: &House) {
    let tiles = house.get(CITIZEN, "/tiles/covers.json").expect(200).await.json();
    assert_eq!(tiles["tilejson"], "3.0.0");
    // The street lies here at zoom 14, and nothing at the antipodes.
    let tile = "/tiles/covers/14/13588/6339";
    let id = lidmark::spatial::TileId::at(118.59, 37.46, 14);
    let path = format!("/tiles/covers/14/{}/{}", id.x(), id.y());
    let answer = house.get(CITIZEN, &path).expect(200).await;
    let tag = answer.header("etag").unwrap().to_owned();
    assert!(!answer.body.is_empty());
    house.get(CITIZEN, &path).header("if-none-match", &tag).expect(304).await;
    house.get(CITIZEN, "/tiles/covers/14/0/0").expect(204).await;
    house.get(CITIZEN, "/tiles/covers/3/6/3").expect(200).await;
    house.get(CITIZEN, &format!("{tile}?z=1")).expect(400).await;
}

/// Reports over the API; answers the secret link of the first one.
/// Answers the links of the first to report a hazard, and of the second.
async fn citizen_reports(house: &House) -> (String, String) {
    let token = house.plates[0].to_string();
    let plate = format!("/api/v1/plates/{token}");
    let before = house.get(CITIZEN, &plate).expect(200).await.json();
    assert_eq!(before["state"], "installed");
    assert_eq!(before["cover"]["owner"]["name"], "东营水务");
    assert_eq!(before["open_hazards"], json!([]));
    assert!(before.to_string().find("118.59").is_none(), "a position on a public answer: {before}");
    // As typed: lower case, groups.
    let typed = house.plates[0].grouped().to_lowercase();
    assert_eq!(house.get(CITIZEN, &format!("/api/v1/plates/{typed}")).expect(200).await.json(), before);

    let key = IdempotencyKey::fresh().to_string();
    let position = json!({"lon": 118.5901, "lat": 37.4601, "accuracy_m": 12.5});
    let body = json!({"token": token, "hazard": "broken", "description": "井盖裂了", "contact": "13800000000",
        "phone_position": position});
    let first =
        house.post(CITIZEN, "/api/v1/reports").header(KEY, &key).json(body.clone()).expect(201).await.json();
    assert_eq!((&first["joined"], &first["emergency"]), (&json!(false), &json!(false)));
    let again = house.post(CITIZEN, "/api/v1/reports").header(KEY, &key).json(body).expect(201).await.json();
    assert_eq!(again, first, "the first answer again");
    let other = json!({"token": token, "hazard": "rocking"});
    house.post(CITIZEN, "/api/v1/reports").header(KEY, &key).json(other).expect(409).await;

    let fields = [
        ("token", token.as_str()),
        ("hazard", "broken"),
        ("description", "still"),
        ("lon", "118.59"),
        ("lat", "37.46"),
        ("accuracy_m", "8"),
    ];
    let second = house
        .post(CITIZEN, "/api/v1/reports")
        .keyed()
        .multipart(&fields, &[jpeg(10), jpeg(20)])
        .expect(201)
        .await
        .json();
    assert_eq!(second["joined"], true);
    assert_eq!(second["case_number"], first["case_number"]);
    let urgent = json!({"token": house.plates[1].to_string(), "hazard": "missing"});
    let urgent = house.post(CITIZEN, "/api/v1/reports").keyed().json(urgent).expect(201).await.json();
    assert_eq!(urgent["emergency"], true);

    let after = house.get(CITIZEN, &plate).expect(200).await.json();
    assert_eq!(after["open_hazards"][0]["hazard"], "broken");
    let link_of = |said: &Value| said["link"].as_str().unwrap().strip_prefix("/r/").unwrap().to_owned();
    let link = link_of(&second);
    let tracked = house.get(CITIZEN, &format!("/api/v1/reports/{link}")).expect(200).await.json();
    assert_eq!(tracked["state"], "reported");
    assert_eq!(tracked["photos"].as_array().unwrap().len(), 2, "{tracked}");
    assert!(!tracked.to_string().contains("13800000000"), "{tracked}");
    let photo = tracked["photos"][0].as_str().unwrap();
    let photo = house.get(CITIZEN, photo).expect(200).await;
    assert_eq!(photo.header("content-type"), Some("image/jpeg"));
    (link_of(&first), link)
}

async fn citizen_pages(house: &House, link: &str) {
    let token = house.plates[2].to_string();
    house.get(CITIZEN, "/").expect(200).await;
    let on = house.get(CITIZEN, &format!("/c?token={}", house.plates[2].grouped())).expect(303).await;
    assert_eq!(on.header("location"), Some(format!("/c/{token}").as_str()));
    house.get(CITIZEN, "/c?token=7K3Q").expect(422).await;
    for prefix in ["/c/", "/C/"] {
        house.get(CITIZEN, &format!("{prefix}{token}")).expect(200).await;
        house.get(CITIZEN, &format!("{prefix}{token}/report")).expect(200).await;
        let key = IdempotencyKey::fresh().to_string();
        let fields = [
            ("key", key.as_str()),
            ("hazard", "odour"),
            ("description", "臭"),
            ("contact", ""),
            ("lon", ""),
            ("lat", ""),
        ];
        let sent = house
            .post(CITIZEN, &format!("{prefix}{token}/report"))
            .multipart(&fields, &[jpeg(30)])
            .expect(303)
            .await;
        let again = house
            .post(CITIZEN, &format!("{prefix}{token}/report"))
            .multipart(&fields, &[jpeg(30)])
            .expect(303)
            .await;
        assert_eq!(sent.header("location"), again.header("location"), "one key, one report");
        let page = sent.header("location").unwrap().to_owned();
        house.get(CITIZEN, &page).expect(200).await;
        house.get(CITIZEN, &format!("{page}/photos/0")).expect(200).await;
        house.get(CITIZEN, &format!("{page}/photos/9")).expect(404).await;
    }
    let key = IdempotencyKey::fresh().to_string();
    let plain = [("key", key.as_str()), ("hazard", "cable"), ("description", "as a plain form")];
    house.post(CITIZEN, &format!("/c/{token}/report")).form(&plain).expect(303).await;
    house.get(CITIZEN, &format!("/r/{link}")).expect(200).await;
    let style = "/assets/lidmark.css";
    let tag = house.get(CITIZEN, style).expect(200).await.header("etag").unwrap().to_owned();
    house.get(CITIZEN, style).header("if-none-match", &tag).expect(304).await;
    house.get(CITIZEN, "/assets/secret.txt").expect(404).await;
    let chosen = house.post(CITIZEN, "/language").form(&[("lang", "en"), ("next", "/c/x")]).expect(303).await;
    assert!(chosen.header("set-cookie").unwrap().starts_with("lang=en"));
    let away = house
        .post(CITIZEN, "/language")
        .form(&[("lang", "en"), ("next", "//evil.example")])
        .expect(303)
        .await;
    assert!(!away.header("location").unwrap().contains("evil"), "{away:?}");
}

/// Makes a move with a JSON body.
async fn step(house: &House, who: As, number: &str, body: Value, status: u16) -> Answer {
    house.post(who, &format!("/api/v1/cases/{number}/moves")).keyed().json(body).expect(status).await
}

async fn desk_handles(house: &House, link: &str) {
    let water = house.town.water.to_string();
    let list = house.get(DISPATCHER, "/api/v1/cases?state=reported&hazard=broken&district=370502&emergency=false&text=%E9%BB%84%E6%B2%B3&limit=1");
    let list = list.expect(200).await.json();
    let number = list["cases"][0]["case"]["number"].as_str().unwrap().to_owned();
    assert_eq!(list["next"], number.as_str(), "a full page leads on");
    let rest = house
        .get(DISPATCHER, &format!("/api/v1/cases?state=reported&hazard=broken&cursor={number}"))
        .expect(200)
        .await;
    assert_eq!(rest.json()["cases"], json!([]));
    let case = format!("/api/v1/cases/{number}");
    let file = house.get(DISPATCHER, &case).expect(200).await;
    assert_eq!(file.json()["reports"].as_array().unwrap().len(), 2);
    assert_eq!(file.json()["reports"][0]["contact"], "13800000000");
    for who in [CREW, ENGINEER] {
        let file = house.get(who, &case).expect(200).await;
        assert!(file.json()["reports"][0].get("contact").is_none(), "{who:?} does not deal with cases");
    }
    let tag = file.header("etag").unwrap().to_owned();

    // Refusals on the way.
    house.get(HANDLER, &case).expect(404).await;
    step(house, As::Staff(Role::Crew), &number, json!({"move": "file"}), 403).await;
    step(house, DISPATCHER, &number, json!({"move": "close"}), 409).await;
    step(house, DISPATCHER, &number, json!({"move": "reject"}), 422).await;
    step(house, DISPATCHER, "2026-999999", json!({"move": "file"}), 404).await;

    let moves = format!("{case}/moves");
    let filed = house
        .post(DISPATCHER, &moves)
        .keyed()
        .header("if-match", &tag)
        .json(json!({"move": "file"}))
        .expect(200)
        .await;
    assert_eq!(filed.json()["state"], "filed");
    house
        .post(DISPATCHER, &moves)
        .keyed()
        .header("if-match", &tag)
        .json(json!({"move": "dispatch", "party": water}))
        .expect(412)
        .await;
    step(house, DISPATCHER, &number, json!({"move": "dispatch"}), 422).await;
    step(house, DISPATCHER, &number, json!({"move": "dispatch", "party": IdempotencyKey::fresh()}), 422)
        .await;
    let key = IdempotencyKey::fresh().to_string();
    for body in [json!({"move": "dispatch", "party": water}), json!({"move": "dispatch", "party": water})] {
        let sent = house.post(DISPATCHER, &moves).header(KEY, &key).json(body).expect(200).await;
        assert_eq!(sent.json()["state"], "dispatched");
    }
    house.post(DISPATCHER, &moves).header(KEY, &key).json(json!({"move": "file"})).expect(409).await;
    assert_eq!(house.get(HANDLER, &case).expect(200).await.json()["moves"], json!(["accept", "refuse"]));
    step(house, HANDLER, &number, json!({"move": "accept"}), 200).await;
    step(house, SUPERVISOR, &number, json!({"move": "extend", "reason": "frost"}), 200).await;
    step(
        house,
        SUPERVISOR,
        &number,
        json!({"move": "suspend", "reason": "frost", "until": "2020-04-01T00:00:00Z"}),
        422,
    )
    .await;
    step(house, HANDLER, &number, json!({"move": "hand_in"}), 422).await;
    house.post(HANDLER, &moves).keyed().multipart(&[("move", "hand_in")], &[jpeg(40)]).expect(200).await;
    step(house, DISPATCHER, &number, json!({"move": "check"}), 200).await;
    let closed = house
        .post(SUPERVISOR, &moves)
        .keyed()
        .multipart(&[("move", "close"), ("release", "yes")], &[jpeg(50)])
        .expect(200)
        .await
        .json();
    assert!(closed["closed_at"].is_string(), "{closed}");
    let tracked = house.get(CITIZEN, &format!("/api/v1/reports/{link}")).expect(200).await.json();
    assert_eq!(tracked["state"], "closed");
    assert_eq!(tracked["party"]["name"], "东营水务");
    assert!(tracked["photos"].as_array().unwrap().len() >= 2, "the citizen sees the result: {tracked}");
    house.get(CITIZEN, &format!("/r/{link}")).expect(200).await;
}

async fn files(house: &House) {
    let code = house.code(0).await;
    let cover = house.get(CREW, &format!("/api/v1/covers/{code}")).expect(200).await;
    assert!(cover.json()["extra"]["编号"].is_string(), "columns that no profile names are kept");
    let tag = cover.header("etag").unwrap().to_owned();
    house.get(CREW, &format!("/api/v1/covers/{code}")).header("if-none-match", &tag).expect(304).await;
    let history = house.get(CREW, &format!("/api/v1/covers/{code}/history")).expect(200).await.json();
    assert_eq!(history["chain"]["state"], "whole");
    assert!(!history.to_string().contains("13800000000"), "{history}");
    house.get(CREW, "/api/v1/covers/3705020102999999").expect(404).await;
    house.get(CREW, "/api/v1/covers/3705020102999999/history").expect(404).await;
    let page = house.get(
        CREW,
        "/api/v1/covers?bbox=118.5,37.4,118.7,37.5&district=370502&class=sewage&state=intact&limit=4",
    );
    let page = page.expect(200).await.json();
    assert_eq!(page["covers"].as_array().unwrap().len(), 4);
    let next = page["next"].as_str().unwrap();
    let rest = house
        .get(CREW, &format!("/api/v1/covers?limit=4&cursor={next}&road=%E9%BB%84%E6%B2%B3%E8%B7%AF"))
        .expect(200)
        .await
        .json();
    assert_eq!(rest["covers"].as_array().unwrap().len(), 2);
    assert!(rest.get("next").is_none(), "{rest}");
    house.get(CREW, "/api/v1/covers?bbox=170,-10,-170,10").expect(200).await;
    exports(house, &code).await;
}

/// Files for other programs, and the file of a cover on paper.
async fn exports(house: &House, code: &str) {
    for format in ["csv", "xlsx", "geojson", "geojsonl", "geojsons", "gpkg", "shp"] {
        let covers =
            format!("/api/v1/covers/export?format={format}&district=370502&bbox=118,37,119,38&owner=");
        let file = house.get(ENGINEER, &covers).expect(200).await;
        assert_eq!(file.header("content-length").map(str::parse), Some(Ok(file.body.len())), "{format}");
        let name = file.header("content-disposition").unwrap();
        assert!(name.starts_with("attachment; filename=\"covers-2026-03-"), "{name}");
    }
    let in_a_grid = "/api/v1/covers/export?format=geojson&crs=EPSG:4549&class=sewage&without_plate=false";
    let collection = house.get(ENGINEER, in_a_grid).expect(200).await.json();
    assert_eq!(collection["features"].as_array().unwrap().len(), 6);
    let cases = "/api/v1/cases/export?format=csv&words=zh-CN&state=all&emergency=false&from=2026-03-01";
    let table = house.get(DISPATCHER, cases).expect(200).await.text();
    assert!(table.starts_with("\u{feff}案件号,问题类别,") && table.contains("东营水务"), "{table}");
    assert!(!table.contains("13800000000"), "{table}");
    house.get(DISPATCHER, "/api/v1/covers/export?format=csv").expect(403).await;
    house.get(HANDLER, "/api/v1/cases/export?format=csv").expect(403).await;

    let paper = house.get(CREW, &format!("/covers/{code}/file.pdf")).expect(200).await;
    assert!(paper.body.starts_with(b"%PDF-") && paper.header("content-type") == Some("application/pdf"));
    house.get(CREW, "/covers/3705020102999999/file.pdf").expect(404).await;
}

const CSV: &str = "source_key,district,class,state,lon,lat\n\
    a1,370502,sewage,intact,118.6001,37.4601\n\
    a2,370502,storm,broken,118.6002,37.4602\n\
    a3,370502,sewage,intact,north,37.4603\n";

async fn census(house: &House) {
    let address = "/api/v1/imports?source=api&profile=lidmark-csv&scheme=component-16";
    let before = house.last_change().await;
    let dry = house
        .post(ENGINEER, &format!("{address}&dry_run=true"))
        .body("text/csv", CSV)
        .expect(200)
        .await
        .json();
    assert_eq!(
        dry["summary"],
        json!({"read": 3, "created": 2, "updated": 0, "unchanged": 0, "duplicates": 0, "problems": 1})
    );
    assert_eq!(house.last_change().await, before, "a dry run wrote");
    let first = house.post(ENGINEER, address).body("text/csv; charset=utf-8", CSV).expect(200).await.json();
    assert_eq!(first["summary"]["created"], 2);
    assert_eq!((&first["problems"][0]["line"], &first["problems"][0]["column"]), (&json!(4), &json!("lon")));
    let again = house.post(ENGINEER, address).body("text/csv", CSV).expect(200).await.json();
    assert_eq!(again["summary"]["unchanged"], 2);
    let point = json!({"type": "FeatureCollection", "features": [{"type": "Feature",
        "properties": {"source_key": "g1", "district": "370502", "class": "gas", "state": "intact"},
        "geometry": {"type": "Point", "coordinates": [118.61, 37.46]}}]});
    let points = house
        .post(ENGINEER, "/api/v1/imports?source=points&profile=lidmark-csv")
        .body("application/geo+json", point.to_string());
    assert_eq!(points.expect(200).await.json()["summary"]["read"], 1);
    census_in_a_zone(house).await;
}

/// Coordinates in the plane: declared by the file, asked for, and said.
async fn census_in_a_zone(house: &House) {
    let address = "/api/v1/imports?source=zone&profile=lidmark-csv&dry_run=true";
    let feature = json!({"type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4527"}},
        "features": [{"type": "Feature",
            "properties": {"source_key": "z1", "district": "370502", "class": "gas", "state": "intact"},
            "geometry": {"type": "Point", "coordinates": [39_640_676.165, 4_148_750.030]}}]});
    let told = house
        .post(ENGINEER, address)
        .header("accept-language", "en")
        .body("application/geo+json", feature.to_string())
        .expect(200)
        .await
        .json();
    assert_eq!(told["summary"]["created"], 1, "{told}");
    let understood = &told["understood"]["coordinates"];
    assert_eq!((&understood["epsg"], &understood["axes"]), (&json!(4527), &json!("east_north")));
    assert_eq!(understood["evidence"][0]["detail"], "The file says so: urn:ogc:def:crs:EPSG::4527");
    assert_eq!(understood["evidence"][1]["detail"], "Eastings of 8 digits begin with 39: zone 39");
    let table = "source_key,district,class,lon,lat\nz1,370502,gas,39640676.165,4148750.030\n";
    let asked = house.post(ENGINEER, address).body("text/csv", table).expect(422).await.json();
    assert_eq!(asked["code"], "crs.declared_fits_not_but", "{asked}");
    let said = house.post(ENGINEER, &format!("{address}&crs=EPSG:4527")).body("text/csv", table);
    assert_eq!(said.expect(200).await.json()["summary"]["created"], 1);
}

async fn plates(house: &House) {
    let made = house
        .post(ENGINEER, "/api/v1/plate-batches")
        .json(json!({"count": 2, "note": "spare"}))
        .expect(201)
        .await;
    let at = made.header("location").unwrap().to_owned();
    assert_eq!(made.json()["plate_count"], 2);
    assert_eq!(house.get(CREW, &at).expect(200).await.json(), made.json());
    let pdf = house.get(CREW, &format!("{at}/plates.pdf")).expect(200).await;
    assert!(pdf.body.starts_with(b"%PDF-"), "{:?}", &pdf.body[..8.min(pdf.body.len())]);
    let ledger = house.get(CREW, &format!("{at}/ledger.csv")).expect(200).await.text();
    assert!(ledger.starts_with("batch,token,payload,cover_code,face,page,position"), "{ledger}");
    let blank = ledger.lines().nth(1).unwrap().split(',').nth(1).unwrap().to_owned();
    let scanned = house.get(CITIZEN, &format!("/api/v1/plates/{blank}")).expect(200).await.json();
    assert!(scanned.get("cover").is_none(), "{scanned}");
    let report = json!({"token": blank, "hazard": "broken"});
    house.post(CITIZEN, "/api/v1/reports").keyed().json(report).expect(422).await;
    house.get(CITIZEN, &format!("/c/{blank}")).expect(200).await;
    house.get(CITIZEN, &format!("/c/{blank}/report")).expect(409).await;

    let code = house.code(3).await;
    let install = format!("/api/v1/plates/{blank}/install");
    let fitted = house.post(CREW, &install).json(json!({"code": code})).expect(200).await.json();
    assert_eq!((&fitted["state"], &fitted["cover"]["code"]), (&json!("installed"), &json!(code)));
    assert_eq!(house.post(CREW, &install).json(json!({"code": code})).expect(200).await.json(), fitted);
    let other = house.code(4).await;
    house.post(CREW, &install).json(json!({"code": other})).expect(409).await;
    house.post(CREW, &install).json(json!({"code": "3705020102999999"})).expect(404).await;
    let old = house.get(CITIZEN, &format!("/api/v1/plates/{}", house.plates[3])).expect(200).await.json();
    assert_eq!((&old["state"], &old["successor"]), (&json!("replaced"), &json!(blank)));
    house.get(CITIZEN, &format!("/c/{}", house.plates[3])).expect(200).await;

    let codes = json!({"covers": [house.code(0).await, house.code(1).await], "face": "round-100", "sheet": "single", "level": "M"});
    let batch = house.post(ENGINEER, "/api/v1/plate-batches").json(codes).expect(201).await.json();
    let ledger = format!("/api/v1/plate-batches/{}/ledger.csv", batch["id"].as_str().unwrap());
    let ledger = house.get(CREW, &ledger).expect(200).await.text();
    for row in ledger.lines().skip(1) {
        let token = row.split(',').nth(1).unwrap().parse().unwrap();
        let plate = house.town.registry.find_plate(token).await.unwrap().unwrap().plate;
        assert_eq!(plate.symbol.level, 'M', "the level that was ordered");
    }
    let filtered = json!({"filter": {"district": "370502", "class": "storm"}});
    house.post(ENGINEER, "/api/v1/plate-batches").json(filtered).expect(201).await;
    house.get(CREW, &format!("/api/v1/plate-batches/{}", IdempotencyKey::fresh())).expect(404).await;
}

/// The pages of staff with a real log-in: cookie, token in the form.
async fn desk_pages(house: &House) {
    house.get(CITIZEN, "/login?next=/desk").expect(200).await;
    let wrong = [("login", "admin"), ("password", "wrong")];
    house.post(CITIZEN, "/login").form(&wrong).expect(401).await;
    let right = [("login", "admin"), ("password", "correct horse"), ("next", "/desk")];
    let welcome = house.post(CITIZEN, "/login").form(&right).expect(303).await;
    assert_eq!(welcome.header("location"), Some("/desk"));
    let cookie = welcome.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let secret = cookie.split_once('=').unwrap().1;
    let csrf = house.town.registry.find_session(secret).await.unwrap().unwrap().csrf;

    let get = |path: &str| house.get(CITIZEN, path).header("cookie", &cookie);
    let post = |path: &str| house.post(CITIZEN, path).header("cookie", &cookie);
    get("/desk").expect(200).await;
    get("/desk?state=all&hazard=odour&district=370502&emergency=false&text=2026").expect(200).await;
    get("/desk?state=nonsense").expect(400).await;
    get("/desk/cases/2026-000003").expect(200).await;
    get("/desk/cases/2026-999999").expect(404).await;
    let code = house.code(2).await;
    get(&format!("/covers/{code}")).expect(200).await;
    get("/covers/3705020102999999").expect(404).await;

    let stale = get("/desk/cases/2026-000003").expect(200).await.text();
    let key = IdempotencyKey::fresh().to_string();
    let forged = [("csrf", "forged"), ("key", key.as_str()), ("move", "file")];
    post("/desk/cases/2026-000003/moves").multipart(&forged, &[]).expect(403).await;
    let filed = [
        ("csrf", csrf.as_str()),
        ("key", key.as_str()),
        ("move", "file"),
        ("version", ""),
        ("party", ""),
        ("until", ""),
    ];
    post("/desk/cases/2026-000003/moves").multipart(&filed, &[]).expect(303).await;
    // Another move from the page that was open all the while: it hears that the case has moved.
    let at = stale.find("name=\"move\" value=\"reject\"").unwrap();
    let form = &stale[stale[..at].rfind("<form").unwrap()..at];
    let hidden = |name: &str| {
        let field = format!("name=\"{name}\" value=\"");
        form[form.find(&field).unwrap() + field.len()..].split('"').next().unwrap().to_owned()
    };
    let (key, version) = (hidden("key"), hidden("version"));
    let late = [
        ("csrf", csrf.as_str()),
        ("key", &key),
        ("move", "reject"),
        ("version", &version),
        ("reason", "a joke"),
    ];
    let told = post("/desk/cases/2026-000003/moves").header("accept-language", "en").multipart(&late, &[]);
    let told = told.expect(409).await.text();
    assert!(told.contains("Somebody moved the case meanwhile"), "{told}");
    assert!(told.contains(">a joke</textarea>"), "what was typed is still there: {told}");
    let key = IdempotencyKey::fresh().to_string();
    let close =
        [("csrf", csrf.as_str()), ("key", key.as_str()), ("move", "close"), ("reason", "level again")];
    let told = post("/desk/cases/2026-000003/moves").multipart(&close, &[]).expect(409).await.text();
    assert!(told.contains("level again"), "there is no such form any more, but the words are there: {told}");

    let token = house.plates[2].to_string();
    post(&format!("/covers/{code}/plates")).form(&[("csrf", &csrf), ("token", &token)]).expect(303).await;
    let other = house.plates[0].to_string();
    post(&format!("/covers/{code}/plates")).form(&[("csrf", &csrf), ("token", &other)]).expect(409).await;
    // The API with the cookie wants the token in a header.
    let body = json!({"code": code});
    post(&format!("/api/v1/plates/{token}/install")).json(body.clone()).expect(403).await;
    post(&format!("/api/v1/plates/{token}/install"))
        .header("x-csrf-token", &csrf)
        .json(body)
        .expect(200)
        .await;

    let case = house.get(DISPATCHER, "/api/v1/cases/2026-000003").expect(200).await.json();
    let photo = case["photos"][0]["url"].as_str().unwrap().to_owned();
    get(&photo).expect(200).await;
    get(&format!("{photo}?original=1")).expect(200).await;
    house.get(CREW, &format!("{photo}?original=1")).expect(403).await;
    get(&format!("/photos/{}", "0".repeat(64))).expect(404).await;
    post(&format!("/covers/{code}/photos")).multipart(&[("csrf", &csrf)], &[jpeg(60)]).expect(303).await;
    let page = house.get(CITIZEN, &format!("/c/{token}")).expect(200).await.text();
    let photo =
        page.split("href=\"").find(|rest| rest.contains("/photos/")).unwrap().split('"').next().unwrap();
    house.get(CITIZEN, photo).expect(200).await;
    post("/logout").form(&[("csrf", "forged")]).expect(403).await;
    post("/logout").form(&[("csrf", &csrf)]).expect(303).await;
    get("/desk").expect(303).await;
}

async fn feed(house: &House) {
    let mut since = 0;
    let mut all = Vec::new();
    loop {
        let page =
            house.get(CREW, &format!("/api/v1/changes?since={since}&limit=7")).expect(200).await.json();
        let changes = page["changes"].as_array().unwrap().clone();
        since = page["last"].as_i64().unwrap();
        if changes.is_empty() {
            break;
        }
        all.extend(changes.iter().map(|change| change["sequence"].as_i64().unwrap()));
    }
    assert_eq!(since, house.last_change().await);
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
    // Whoever waits hears of what comes; one who follows a stream hears of each once, in order, while people write.
    let token = house.plates[0].to_string();
    let report = || json!({"token": token, "hazard": "rocking"});
    let waiting = house.get(CREW, &format!("/api/v1/changes?since={since}&wait_s=20")).expect(200);
    let writing = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        house.post(CITIZEN, "/api/v1/reports").keyed().json(report()).expect(201).await;
    };
    let (heard, ()) = tokio::join!(waiting, writing);
    assert!(!heard.json()["changes"].as_array().unwrap().is_empty());
    let following = async {
        let url = format!("{}/api/v1/changes/stream?since={since}", house.base);
        let mut stream = house.client.get(url).bearer_auth(house.bearer(Role::Crew)).send().await.unwrap();
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        house.saw("GET", "/api/v1/changes/stream", 200);
        let (mut heard, mut text) = (Vec::new(), String::new());
        while heard.len() < 2 * 31 {
            text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                if let Some((_, data)) = event.split_once("data: ") {
                    let said: Value = serde_json::from_str(data).unwrap();
                    let changes = said["changes"].as_array().unwrap().iter();
                    heard.extend(changes.map(|change| change["sequence"].as_i64().unwrap()));
                }
                text = rest.to_owned();
            }
        }
        heard
    };
    let writing = async {
        for _ in 0..30 {
            house.post(CITIZEN, "/api/v1/reports").keyed().json(report()).expect(201).await;
        }
    };
    let (heard, ()) = tokio::join!(following, writing);
    let wanted: Vec<i64> = (since + 1..).take(heard.len()).collect();
    assert_eq!(heard, wanted, "each once, in order, and none left out");
    house.get(CREW, "/api/v1/changes/stream?since=x").expect(400).await;
    // A number that is still to come is from another life of the registry.
    for path in ["/api/v1/changes", "/api/v1/changes/stream"] {
        let ahead = house.get(CREW, &format!("{path}?since={}", i64::MAX)).expect(410).await;
        assert_eq!(ahead.code(), "feed.ahead");
    }
}

/// Trying out addresses and passwords is slowed down politely.
#[tokio::test]
async fn too_many_tries_are_told_when_to_come_back() {
    let house = House::open_with(Ground::sqlite().unwrap(), |config| {
        config.tries_per_minute = 5;
        config.reports_per_minute = 5;
    })
    .await;
    let paths = ["/api/v1/plates/000000000000", "/c/000000000000", "/r/R2026-000001-0000000000000000"];
    let mut slowed = 0;
    for path in paths.iter().cycle().take(12) {
        let answer = house.get(CITIZEN, path).send().await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            slowed += 1;
        }
    }
    assert_eq!(slowed, 7);
    let statuses = [(); 8].map(|()| house.post(CITIZEN, "/api/v1/reports").keyed().json(json!({})));
    let mut answers = Vec::new();
    for ask in statuses {
        answers.push(ask.send().await.status);
    }
    assert_eq!(answers, [422, 422, 422, 422, 422, 429, 429, 429]);
    // Whoever stands at an open hole is heard whatever else came from there.
    let say = |hazard: &str| {
        let body = json!({"token": house.plates[0].to_string(), "hazard": hazard});
        house.post(CITIZEN, "/api/v1/reports").keyed().json(body)
    };
    say("rocking").expect(429).await;
    say("missing").expect(201).await;
    let key = IdempotencyKey::fresh().to_string();
    let path = format!("/c/{}/report", house.plates[0]);
    house.post(CITIZEN, &path).multipart(&[("key", &key), ("hazard", "gas")], &[]).expect(303).await;
    // Known plates are never slowed: everybody behind one mobile network shares an address.
    let known = format!("/c/{}", house.plates[0]);
    house.get(CITIZEN, &known).expect(200).await;
    house.assert_faultless();
}

#[tokio::test]
async fn a_locked_account_is_told_for_how_long() {
    let house = House::open().await;
    let log_in = |password| house.post(CITIZEN, "/login").form(&[("login", "crew"), ("password", password)]);
    for _ in 0..4 {
        assert_eq!(log_in("wrong").expect(401).await.header("retry-after"), None);
    }
    log_in("wrong").expect(429).await;
    let locked = log_in("correct horse").header("accept-language", "en").expect(429).await;
    let seconds: i64 = locked.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds), "{seconds}");
    assert!(locked.text().contains("try again in"), "{}", locked.text());
    house.assert_faultless();
}
