//! Bad input for every door: a 4xx with a stable code and a sentence, and nothing changed.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{Answer, As, Ask, House, jpeg};
use crate::both_engines;

const CITIZEN: As = As::Nobody;
const ADMIN: As = As::Staff(Role::Admin);

/// What stands still when everything is refused.
async fn stand(house: &House) -> (i64, lidmark::registry::Counts) {
    (house.last_change().await, house.town.registry.counts().await.unwrap())
}

/// Sends and expects a refusal with one of these statuses, in a sentence; `before` must still stand.
async fn refused(house: &House, ask: Ask<'_>, fits: &[u16], about: &str) -> Answer {
    let before = stand(house).await;
    let answer = ask.send().await;
    let mut wrong = Vec::new();
    if !fits.contains(&answer.status) {
        wrong.push(format!("{} instead of {fits:?}: {}", answer.status, shortened(&answer.text())));
    }
    if answer.header("content-type") == Some("application/problem+json") {
        let problem = answer.json();
        let (code, detail) = (problem["code"].as_str().unwrap(), problem["detail"].as_str().unwrap());
        if !is_sentence(detail) {
            wrong.push(format!("{code}: {detail:?} is no sentence"));
        }
        if problem["status"] != answer.status {
            wrong.push(format!("{code}: status {} in the body", problem["status"]));
        }
    } else if answer.body.len() < 200 {
        wrong.push("a page that says nothing".into());
    }
    if stand(house).await != before {
        wrong.push("something was changed".into());
    }
    for wrong in wrong {
        house.fault(format!("{}: {wrong}", shortened(about)));
    }
    answer
}

/// Whether people can do something with it; `{` would be a place that nobody filled.
fn is_sentence(detail: &str) -> bool {
    let has_words = detail.trim().contains(' ') || detail.chars().filter(|c| !c.is_ascii()).count() >= 5;
    has_words && !detail.contains("refusal.") && !detail.contains(['{', '}'])
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

both_engines! {
    async fn codes_tokens_and_ids_that_do_not_fit(ground: Ground) {
        let house = House::on(ground).await;
        let long = "9".repeat(3000);
        let codes = [
            "abc",
            "3705",
            "37050201020000011",
            "3705020102999999",
            "%EF%BC%93%EF%BC%97",
            "%00",
            "%FF%FE",
            "'%20OR%201=1--",
            &long,
        ];
        for code in codes {
            for path in [
                format!("/api/v1/covers/{code}"),
                format!("/api/v1/covers/{code}/history"),
                format!("/covers/{code}"),
            ] {
                refused(&house, house.get(ADMIN, &path).header("accept-language", "en"), &[404], &path).await;
            }
        }
        let right = house.plates[0].to_string();
        let swapped: String = right.chars().rev().collect();
        let tokens =
            ["7K3Q", "UUUUUUUUUUUU", &swapped, &format!("{right}0"), "%00", "%FF", "%F0%9F%95%B3", &long];
        for token in tokens {
            for path in [format!("/api/v1/plates/{token}"), format!("/c/{token}"), format!("/C/{token}/report")] {
                refused(&house, house.get(CITIZEN, &path).header("accept-language", "en"), &[404, 422], &path)
                    .await;
            }
            let path = format!("/api/v1/plates/{token}/install");
            let ask = house
                .post(ADMIN, &path)
                .header("accept-language", "en")
                .json(json!({"code": "3705020102000001"}));
            refused(&house, ask, &[404, 422], &path).await;
        }
        for link in
            ["x", "R2026-000001", "R2026-000001-", "R2026-000001-0000000000000000", "%00-%00", "%FF", &long]
        {
            for path in [format!("/api/v1/reports/{link}"), format!("/r/{link}"), format!("/r/{link}/photos/0")] {
                refused(&house, house.get(CITIZEN, &path).header("accept-language", "en"), &[400, 404], &path)
                    .await;
            }
        }
        for number in ["x", "2026", "2026-000001", "%00", "%FF", "-1", &long] {
            for path in [format!("/api/v1/cases/{number}"), format!("/desk/cases/{number}")] {
                refused(&house, house.get(ADMIN, &path).header("accept-language", "en"), &[404], &path).await;
            }
            let path = format!("/api/v1/cases/{number}/moves");
            let ask =
                house.post(ADMIN, &path).header("accept-language", "en").keyed().json(json!({"move": "file"}));
            refused(&house, ask, &[404], &path).await;
        }
        for id in ["x", "%00", "%FF", "00000000-0000-0000-0000-00000000000", &IdempotencyKey::fresh().to_string()]
        {
            for end in ["", "/plates.pdf", "/plates.svg.zip", "/plates.zpl", "/ledger.csv"] {
                let path = format!("/api/v1/plate-batches/{id}{end}");
                refused(&house, house.get(ADMIN, &path).header("accept-language", "en"), &[404], &path).await;
            }
        }
        for digest in ["x", "%00", &"g".repeat(64), &"0".repeat(64)] {
            let path = format!("/photos/{digest}");
            refused(&house, house.get(ADMIN, &path).header("accept", "application/json"), &[404], &path).await;
        }
        for tile in [
            "29/0/0",
            "1/2/0",
            "1/0/-1",
            "a/b/c",
            "1e1/0/0",
            "0/0/%00",
            "3/8/8",
            "99999999999999999999/0/0",
            "1/0/0.5",
        ] {
            let path = format!("/tiles/covers/{tile}");
            refused(&house, house.get(CITIZEN, &path).header("accept-language", "en"), &[400], &path).await;
        }
        house.assert_faultless();
    }
}

both_engines! {
    async fn query_parameters_that_do_not_fit(ground: Ground) {
        let house = House::on(ground).await;
        let covers = [
            "bbox=1,2,3",
            "bbox=a,b,c,d",
            "bbox=NaN,0,1,1",
            "bbox=0,0,inf,1",
            "bbox=200,0,210,1",
            "bbox=0,10,1,5",
            "bbox=",
            "bbox=0,-91,1,0",
            "class=manhole",
            "state=shiny",
            "limit=0",
            "limit=-1",
            "limit=ten",
            "limit=1.5",
            "limit=99999999999999999999",
            "cursor=x",
            "cursor=%00",
            "district=%00",
            "road=%00",
            "colour=red",
            "limit=1&limit=2",
        ];
        let cases = [
            "state=shiny",
            "hazard=rain",
            "party=water",
            "emergency=perhaps",
            "text=%00",
            "limit=0",
            "limit=x",
            "page=2",
        ];
        let changes = ["since=-1", "since=x", "since=1.5", "since=99999999999999999999", "limit=0", "after=3"];
        let cover_files = [
            "",
            "format=pdf",
            "format=csv&crs=EPSG:4214",
            "format=csv&crs=gcj02",
            "format=csv&crs=north",
            "format=geojsonl&crs=EPSG:4549",
            "format=geojson&crs=CM:118.5",
            "format=gpkg&words=en",
            "format=csv&words=fr",
            "format=csv&bbox=1,2,3",
            "format=csv&bbox=0,10,1,5",
            "format=csv&class=manhole",
            "format=csv&state=shiny",
            "format=csv&district=999999",
            "format=csv&road=%00",
            "format=csv&owner=nobody%20at%20all",
            "format=csv&without_plate=perhaps",
            "format=csv&filter=class%3D1",
        ];
        let case_files = [
            "format=csv&state=shiny",
            "format=csv&hazard=rain",
            "format=csv&party=water",
            "format=csv&from=yesterday",
            "format=csv&until=2026-02-30",
            "format=csv&text=%00",
            "format=csv&emergency=1",
            "format=csv&page=2",
        ];
        let tables: [(&str, &[&str]); 5] = [
            ("/api/v1/covers", &covers),
            ("/api/v1/cases", &cases),
            ("/api/v1/changes", &changes),
            ("/api/v1/covers/export", &cover_files),
            ("/api/v1/cases/export", &case_files),
        ];
        for (address, queries) in tables {
            for query in queries {
                let path = format!("{address}?{query}");
                refused(&house, house.get(ADMIN, &path).header("accept-language", "en"), &[400, 422], &path)
                    .await;
            }
        }
        for path in [
            "/api/v1/covers/3705020102000001?x=1",
            "/covers/3705020102000001/file.pdf?x=1",
            "/api/v1/plate-batches/x?x=1",
            "/tiles/covers.json?x=1",
            "/tiles/covers/0/0/0?x=1",
            "/metrics?x=1",
            "/c?token=",
            "/c",
            "/c?token=7K3Q",
            "/desk?state=shiny",
            "/desk?party=x",
            "/desk?colour=red",
            "/login?x=1",
        ] {
            let ask = house.get(ADMIN, path).header("accept-language", "en");
            refused(&house, ask, &[400, 422, 404], path).await;
        }
        house.assert_faultless();
    }
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

both_engines! {
    async fn json_bodies_that_do_not_fit(ground: Ground) {
        let house = House::on(ground).await;
        let token = house.plates[0].to_string();
        let good = json!({"token": token, "hazard": "broken"});
        let at = |lon: Value, lat: Value| json!({"lon": lon, "lat": lat, "accuracy_m": 5});
        let reports = [
            json!(null),
            json!([]),
            json!("x"),
            json!(3),
            json!({}),
            with(good.clone(), "hazard", json!("rain")),
            with(good.clone(), "hazard", json!(null)),
            with(good.clone(), "token", json!(7)),
            with(good.clone(), "token", json!("7K3Q")),
            with(good.clone(), "colour", json!("red")),
            with(good.clone(), "description", json!("字".repeat(4001))),
            with(good.clone(), "description", json!("a\u{0}b")),
            with(good.clone(), "description", json!("a\u{1b}[31m")),
            with(good.clone(), "contact", json!("1".repeat(101))),
            with(good.clone(), "phone_position", json!("here")),
            with(good.clone(), "phone_position", json!({"lon": 1})),
            with(good.clone(), "phone_position", json!({"lon": 118.5, "lat": 37.4, "accuracy_m": 5, "alt": 3})),
            with(good.clone(), "phone_position", at(json!(0), json!(0))),
            with(good.clone(), "phone_position", at(json!(37.4), json!(118.5))),
            with(good.clone(), "phone_position", at(json!(181), json!(0))),
            with(good.clone(), "phone_position", at(json!(1), json!(89))),
            with(good.clone(), "phone_position", json!({"lon": 118.5, "lat": 37.4, "accuracy_m": -1})),
            with(good.clone(), "photos", json!(["x"])),
            json!([token, "broken"]),
        ];
        for body in &reports {
            let about = body.to_string();
            let ask =
                house.post(CITIZEN, "/api/v1/reports").header("accept-language", "en").keyed().json(body.clone());
            refused(&house, ask, &[400, 422], &about.chars().take(200).collect::<String>()).await;
        }
        let list = with(good.clone(), "phone_position", json!([118.5, 37.4, 5]));
        let ask = house.post(CITIZEN, "/api/v1/reports").header("accept-language", "en").keyed().json(list);
        let detail = ask.expect(422).await.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("sequence, expected an object with named fields"), "{detail}");
        let unknown = with(good.clone(), "token", json!(unknown_token(&house)));
        refused(
            &house,
            house.post(CITIZEN, "/api/v1/reports").keyed().json(unknown),
            &[404],
            "a token never made",
        )
        .await;
        for key in ["", "x", "0", "019aafe2-7c00-7000-8000"] {
            let ask = house.post(CITIZEN, "/api/v1/reports").header("Idempotency-Key", key).json(good.clone());
            refused(&house, ask, &[400], "a key that is no UUID").await;
        }
        refused(&house, house.post(CITIZEN, "/api/v1/reports").json(good.clone()), &[400], "no key").await;

        let case = good.clone();
        let case = house.post(CITIZEN, "/api/v1/reports").keyed().json(case).expect(201).await.json();
        let number = case["case_number"].as_str().unwrap();
        let moves_of = format!("/api/v1/cases/{number}/moves");
        let moves = [
            json!({}),
            json!({"move": "fly"}),
            json!({"move": null}),
            json!({"move": "file", "speed": 3}),
            json!({"move": "reject"}),
            json!({"move": "reject", "reason": " \n "}),
            json!({"move": "reject", "reason": "字".repeat(4001)}),
            json!({"move": "reject", "reason": "a\u{0}"}),
            json!({"move": "join"}),
            json!({"move": "join", "target": number}),
            json!({"move": "join", "target": "2026-999999"}),
            json!({"move": "join", "target": "\u{0}"}),
            json!({"move": "file", "party": "water"}),
            json!({"move": "file", "until": "tomorrow"}),
            json!({"move": "file", "until": "2026-13-45"}),
            json!({"move": "file", "until": "2026-02-30T00:00:00Z"}),
            json!({"move": "file", "until": "9999-01-01T00:00:00Z"}),
            json!({"move": "file", "until": 5}),
            json!({"move": "file", "until": "2001-01-01T00:00:00Z"}),
        ];
        for body in &moves {
            let ask = house.post(ADMIN, &moves_of).header("accept-language", "en").keyed().json(body.clone());
            refused(&house, ask, &[400, 422], &body.to_string().chars().take(200).collect::<String>()).await;
        }
        refused(
            &house,
            house.post(ADMIN, &moves_of).keyed().header("if-match", "abc").json(json!({"move": "file"})),
            &[400],
            "If-Match",
        )
        .await;
        refused(
            &house,
            house.post(ADMIN, &moves_of).keyed().header("if-match", "\"9\"").json(json!({"move": "file"})),
            &[412],
            "stale",
        )
        .await;
        refused(&house, house.post(ADMIN, &moves_of).json(json!({"move": "file"})), &[400], "no key").await;

        let batches = [
            json!({}),
            json!({"count": 0}),
            json!({"count": -1}),
            json!({"count": 1.5}),
            json!({"count": "8"}),
            json!({"count": 1_000_000_000}),
            json!({"count": 100_001}),
            json!({"filter": ["370502", null, null]}),
            json!({"count": 1, "covers": ["3705020102000001"]}),
            json!({"covers": []}),
            json!({"covers": [7]}),
            json!({"covers": "x"}),
            json!({"count": 1, "face": "heart"}),
            json!({"count": 1, "level": "L"}),
            json!({"count": 1, "sheet": "a0"}),
            json!({"count": 1, "note": "a\u{0}b"}),
            json!({"count": 1, "note": "n".repeat(5000)}),
            json!({"filter": {"class": "manhole"}}),
            json!({"filter": {"colour": "red"}}),
            json!({"filter": {"district": "999999"}}),
            json!({"filter": {"road": "\u{0}"}}),
            json!({"count": 1, "gold": true}),
        ];
        for body in &batches {
            let ask =
                house.post(ADMIN, "/api/v1/plate-batches").header("accept-language", "en").json(body.clone());
            refused(&house, ask, &[400, 422], &body.to_string().chars().take(200).collect::<String>()).await;
        }
        refused(
            &house,
            house.post(ADMIN, "/api/v1/plate-batches").json(json!({"covers": ["3705020102999999"]})),
            &[404, 422],
            "unknown cover",
        )
        .await;
        let twice = house.code(1).await;
        let covers = json!({"covers": [house.code(0).await, twice, house.code(2).await, twice]});
        let ask = house.post(ADMIN, "/api/v1/plate-batches").header("accept-language", "en").json(covers);
        let answer = ask.expect(422).await;
        assert_eq!(answer.code(), "batch.cover_twice");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.replace(' ', "").contains(&twice), "{detail}");
        let install = format!("/api/v1/plates/{token}/install");
        for body in [json!({}), json!({"code": 3}), json!({"code": "3705020102000001", "x": 1})] {
            refused(&house, house.post(ADMIN, &install).json(body.clone()), &[400, 422], &body.to_string()).await;
        }
        for code in ["", "x", "\u{0}", "3705020102999999"] {
            refused(&house, house.post(ADMIN, &install).json(json!({"code": code})), &[404, 422], code).await;
        }

        // Bodies that are no JSON at all, at every door that takes JSON.
        let deep = "[".repeat(100_000);
        let large = format!("\"{}\"", "x".repeat(3_000_000));
        for address in ["/api/v1/reports", &moves_of, "/api/v1/plate-batches", &install] {
            let bodies: [(&[u8], &[u16]); 6] = [
                (b"", &[400]),
                (b"{", &[400]),
                (b"[]", &[422]),
                (b"{\"token\": \"\xFF\xFE\"}", &[400, 422]),
                (deep.as_bytes(), &[400, 422]),
                (large.as_bytes(), &[413]),
            ];
            for (body, fits) in bodies {
                let ask = house
                    .post(ADMIN, address)
                    .header("accept-language", "en")
                    .keyed()
                    .body("application/json", body.to_vec());
                refused(&house, ask, fits, &format!("{address}: {} bytes", body.len())).await;
            }
            let ask = house.post(ADMIN, address).keyed().body("text/plain", "hello");
            refused(&house, ask, &[415], address).await;
        }
        house.assert_faultless();
    }
}

fn unknown_token(house: &House) -> String {
    use rand::SeedableRng;
    let mut random = rand::rngs::SmallRng::seed_from_u64(99);
    let token = lidmark::domain::token::Token::draw(&mut random);
    assert!(!house.plates.contains(&token));
    token.to_string()
}

/// A PNG that says it is `side` pixels square and holds next to nothing.
fn bomb(side: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(side.to_be_bytes());
    png.extend(side.to_be_bytes());
    png.extend([8, 2, 0, 0, 0]);
    png.extend(crc32(&png[12..]).to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xEDB8_8320 * (crc & 1)))
    })
}

both_engines! {
    async fn photos_and_form_fields_that_do_not_fit(ground: Ground) {
        let house = House::on(ground).await;
        let token = house.plates[0].to_string();
        let photo = jpeg(1);
        let mut polyglot = photo.clone();
        polyglot.extend(b"PK\x03\x04 and a whole archive behind the picture");
        let mut heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
        heic.resize(2000, 0);
        let photos: [(&str, Vec<u8>); 10] = [
            ("text", b"just text, no picture".to_vec()),
            ("gif", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()),
            ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
            ("pdf", b"%PDF-1.7\n".to_vec()),
            ("heic", heic),
            ("cut off", photo[..photo.len() / 2].to_vec()),
            ("polyglot", polyglot),
            ("bomb", bomb(30_000)),
            ("empty PNG", bomb(10)),
            ("html", b"<html><script>alert(1)</script>".to_vec()),
        ];
        let api = [("token", token.as_str()), ("hazard", "broken")];
        let form_of = format!("/c/{token}/report");
        for (kind, bytes) in &photos {
            let ask = house
                .post(CITIZEN, "/api/v1/reports")
                .header("accept-language", "en")
                .keyed()
                .multipart(&api, std::slice::from_ref(bytes));
            refused(&house, ask, &[413, 415, 422], kind).await;
            let key = IdempotencyKey::fresh().to_string();
            let page = [("key", key.as_str()), ("hazard", "broken")];
            refused(
                &house,
                house.post(CITIZEN, &form_of).multipart(&page, std::slice::from_ref(bytes)),
                &[413, 415, 422],
                kind,
            )
            .await;
        }
        let five: Vec<Vec<u8>> = (0..5).map(jpeg).collect();
        refused(
            &house,
            house.post(CITIZEN, "/api/v1/reports").keyed().multipart(&api, &five),
            &[422],
            "five photos",
        )
        .await;
        let heavy = vec![0xFF; 13_000_000];
        refused(
            &house,
            house.post(CITIZEN, "/api/v1/reports").keyed().multipart(&api, &[heavy]),
            &[413],
            "13 MB",
        )
        .await;

        let key = IdempotencyKey::fresh().to_string();
        let long = "x".repeat(20_000);
        let fields: [&[(&str, &str)]; 11] = [
            &[],
            &[("hazard", "broken")],
            &[("key", "x"), ("hazard", "broken")],
            &[("key", &key), ("hazard", "rain")],
            &[("key", &key)],
            &[("key", &key), ("hazard", "broken"), ("lon", "118.5")],
            &[("key", &key), ("hazard", "broken"), ("lon", "east"), ("lat", "north")],
            &[("key", &key), ("hazard", "broken"), ("lon", "NaN"), ("lat", "1")],
            &[("key", &key), ("hazard", "broken"), ("lon", "0"), ("lat", "0")],
            &[("key", &key), ("hazard", "broken"), ("colour", "red")],
            &[("key", &key), ("hazard", "broken"), ("description", &long)],
        ];
        for form in fields {
            let about = format!("{form:?}").chars().take(200).collect::<String>();
            refused(&house, house.post(CITIZEN, &form_of).multipart(form, &[]), &[400, 413, 422], &about).await;
            refused(&house, house.post(CITIZEN, &form_of).form(form), &[400, 413, 422], &about).await;
        }
        let broken: [(&str, &[u8]); 5] = [
            ("multipart/form-data", b"no boundary"),
            ("multipart/form-data; boundary=x", b""),
            ("multipart/form-data; boundary=x", b"--x\r\ncut"),
            (
                "multipart/form-data; boundary=x",
                b"--x\r\nContent-Disposition: form-data; name=\"hazard\"\r\n\r\n\xFF\xFE\r\n--x--\r\n",
            ),
            ("application/x-www-form-urlencoded", b"hazard=%FF%FE"),
        ];
        for (media_type, body) in broken {
            let about = format!("{media_type} {body:?}");
            refused(&house, house.post(CITIZEN, &form_of).body(media_type, body.to_vec()), &[400, 422], &about)
                .await;
        }
        for address in [form_of.as_str(), "/login", "/language"] {
            refused(&house, house.post(CITIZEN, address).body("text/plain", "hello"), &[415], address).await;
            let large = format!("login={}", "x".repeat(3_000_000));
            let ask = house.post(CITIZEN, address).body("application/x-www-form-urlencoded", large);
            refused(&house, ask, &[400, 401, 413], &format!("{address}: 3 MB")).await;
        }
        for form in [vec![], vec![("lang", "xx")], vec![("lang", "en"), ("x", "y")]] {
            refused(&house, house.post(CITIZEN, "/language").form(&form), &[400, 422], &format!("{form:?}"))
                .await;
        }
        for form in [
            vec![],
            vec![("login", "admin")],
            vec![("login", "\0"), ("password", "\0")],
            vec![("login", "x"), ("password", "y"), ("z", "")],
        ] {
            refused(&house, house.post(CITIZEN, "/login").form(&form), &[400, 401, 422], &format!("{form:?}"))
                .await;
        }

        let case = json!({"token": token, "hazard": "broken"});
        let case = house.post(CITIZEN, "/api/v1/reports").keyed().json(case).expect(201).await.json();
        let moves_of = format!("/desk/cases/{}/moves", case["case_number"].as_str().unwrap());
        let key = IdempotencyKey::fresh().to_string();
        for (name, value) in [
            ("move", "fly"),
            ("until", "2026-02-30"),
            ("until", "31/12/2026"),
            ("until", "0001-01-01"),
            ("party", "water"),
            ("target", "2026-999999"),
            ("version", "three"),
            ("version", "77"),
            ("key", "x"),
            ("colour", "red"),
        ] {
            let mut form = vec![("key", key.as_str()), ("move", "join")];
            form.retain(|(known, _)| *known != name);
            form.push((name, value));
            refused(
                &house,
                house.post(ADMIN, &moves_of).multipart(&form, &[]),
                &[400, 409, 422],
                &format!("{name}={value}"),
            )
            .await;
        }
        let cover = format!("/covers/{}/plates", house.code(1).await);
        for form in [vec![], vec![("token", "7K3Q")], vec![("token", "7K3Q"), ("x", "")]] {
            refused(&house, house.post(ADMIN, &cover).form(&form), &[400, 404, 422], &format!("{form:?}")).await;
        }
        let foreign = unknown_token(&house);
        refused(
            &house,
            house.post(ADMIN, &cover).form(&[("token", foreign.as_str())]),
            &[404],
            "a plate never made",
        )
        .await;
        house.assert_faultless();
    }
}

both_engines! {
    async fn census_files_and_rows_that_do_not_fit(ground: Ground) {
        let house = House::on(ground).await;
        let address = "/api/v1/imports?source=bad";
        let head = "source_key,district,class,state,lon,lat,surveyed_at\n";
        let good = "k,370502,sewage,intact,118.6,37.46,2026-01-01\n";
        for query in [
            "&profile=nobody",
            "&profile=%00",
            "&scheme=none",
            "&scheme=%00",
            "&dry_run=perhaps",
            "&crs=EPSG:4214",
            "&crs=north",
            "&crs=%00",
            "&crs=EPSG:4527",
            "&encoding=klingon",
            "&delimiter=%22",
            "&quoting=odd",
            "&source=twice",
        ] {
            let ask = house
                .post(ADMIN, &format!("{address}{query}"))
                .header("accept-language", "en")
                .body("text/csv", format!("{head}{good}"));
            refused(&house, ask, &[400, 422], query).await;
        }
        let nul = house.post(ADMIN, "/api/v1/imports?source=%00").body("text/csv", format!("{head}{good}"));
        refused(&house, nul, &[400, 422], "source with NUL").await;
        for media_type in ["application/json", "text/plain", "application/pdf"] {
            refused(&house, house.post(ADMIN, address).body(media_type, good), &[415], media_type).await;
        }
        // A bad row is named and leaves nothing behind.
        let rows = [
            "k,370502,manhole,intact,118.6,37.46,",
            "k,370502,sewage,shiny,118.6,37.46,",
            "k,999999,sewage,intact,118.6,37.46,",
            "k,370502,sewage,intact,0,0,",
            "k,370502,sewage,intact,37.46,118.6,",
            "k,370502,sewage,intact,north,37.46,",
            "k,370502,sewage,intact,,,",
            "k,370502,sewage,intact,NaN,37.46,",
            "k,370502,sewage,intact,1e309,37.46,",
            "k,370502,sewage,intact,118.6,89.9,",
            "k,370502,sewage,intact,118.6,37.46,yesterday",
            "k,370502,sewage,intact,118.6,37.46,2026-02-30",
            "k,370502,sewage",
            "k,370502,sewage,intact,118.6,37.46,,,,x,",
            "k,,sewage,intact,118.6,37.46,",
            "\u{0},\u{0},\u{0},\u{0},\u{0},\u{0},\u{0}",
            "k,370502,oil_gas,intact,118.6,37.46,",
        ];
        for row in rows {
            let before = stand(&house).await;
            let ask = house
                .post(ADMIN, address)
                .header("accept-language", "en")
                .body("text/csv", format!("{head}{row}\n"));
            let answer = ask.expect(200).await.json();
            if (&answer["summary"]["read"], &answer["summary"]["problems"]) != (&json!(1), &json!(1)) {
                house.fault(format!("{row:?} is no problem: {answer}"));
                continue;
            }
            let detail = answer["problems"][0]["detail"].as_str().unwrap();
            if !is_sentence(detail) {
                house.fault(format!("{row:?}: {detail:?} is no sentence"));
            }
            if stand(&house).await != before {
                house.fault(format!("{row:?} changed something"));
            }
        }
        let points = [
            json!([]),
            json!({}),
            json!({"type": "FeatureCollection"}),
            json!({"type": "FeatureCollection", "features": [7]}),
            json!({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": null, "geometry": null}]}),
            json!({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"district": "370502", "class": "sewage"},
                "geometry": {"type": "LineString", "coordinates": [[118.6, 37.4], [118.7, 37.4]]}}]}),
            json!({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"district": "370502", "class": "sewage"},
                "geometry": {"type": "Point", "coordinates": ["a", "b"]}}]}),
        ];
        let files: Vec<(&str, Vec<u8>)> = points
            .iter()
            .map(|body| ("application/geo+json", body.to_string().into_bytes()))
            .chain([
                ("application/geo+json", b"no JSON".to_vec()),
                ("application/geo+json", b"".to_vec()),
                ("text/csv", b"".to_vec()),
                ("text/csv", b"a,b\n1,2\n".to_vec()),
                ("text/csv", vec![0xFF; 500]),
                ("text/csv", b"PK\x03\x04zip".to_vec()),
            ])
            .collect();
        for (media_type, bytes) in files {
            let about = format!("{media_type}: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(120)]));
            let before = stand(&house).await;
            let answer =
                house.post(ADMIN, address).header("accept-language", "en").body(media_type, bytes).send().await;
            match answer.status {
                200 => {
                    let problems = answer.json()["problems"].as_array().unwrap().clone();
                    if problems.is_empty() {
                        house.fault(format!("{about}: taken without a word: {}", answer.text()));
                    }
                }
                status if (400..500).contains(&status) => {}
                status => house.fault(format!("{about}: {status}")),
            }
            if stand(&house).await != before {
                house.fault(format!("{about} changed something"));
            }
        }
        house.assert_faultless();
    }
}
