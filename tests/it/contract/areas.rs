//! 区划与网格 as programs and admins deal with them: outlines put, listed, handed in as a file, applied.

use lidmark::domain::role::Role;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::house::{Answer, As, House};
use crate::both_engines;
use crate::support::contract::{Recorded, contract};

const ADMIN: As = As::Staff(Role::Admin);
const ENGINEER: As = As::Staff(Role::Engineer);
const PAGE: &str = "/admin/areas";

fn ring(west: f64, east: f64) -> Value {
    json!([[west, 37.4], [east, 37.4], [east, 37.5], [west, 37.5], [west, 37.4]])
}

fn feature(name: &str, west: f64, east: f64) -> Value {
    json!({
        "type": "Feature",
        "properties": {"name_zh": name},
        "geometry": {"type": "Polygon", "coordinates": [ring(west, east)]},
    })
}

/// A file of districts with these codes and edges.
fn districts(areas: &[(&str, f64, f64)]) -> String {
    let features = areas.iter().map(|(code, west, east)| {
        json!({
            "type": "Feature",
            "properties": {"行政区代码": code, "行政区名称": format!("{code}区")},
            "geometry": {"type": "MultiPolygon", "coordinates": [[ring(*west, *east)]]},
        })
    });
    json!({"type": "FeatureCollection", "features": features.collect::<Vec<_>>()}).to_string()
}

/// Sends the form of the page as a browser does; the answer is held to the contract.
async fn hand_in(house: &House, fields: &[(&str, &str)], name: &str, bytes: Vec<u8>) -> Answer {
    let mut form = Form::new();
    for (field, value) in fields {
        form = form.text((*field).to_owned(), (*value).to_owned());
    }
    form = form.part("file", Part::bytes(bytes).file_name(name.to_owned()));
    let sent = house.client.post(format!("{}{PAGE}", house.base)).bearer_auth(house.bearer(Role::Admin));
    let response = sent.header("accept-language", "en").multipart(form).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap().to_vec();
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
    let recorded = Recorded { method: "POST", path: PAGE, status, content_type, body: &body };
    if let Err(wrong) = contract().check(&recorded) {
        house.fault(wrong);
    }
    house.saw("POST", PAGE, status);
    Answer { status, headers, body }
}

fn target(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

async fn page_in_english(house: &House, page: &str) -> String {
    house.get(ADMIN, page).header("accept-language", "en").expect(200).await.text()
}

/// The page once the server is done with the districts.
async fn settled(house: &House) -> String {
    for _ in 0..2000 {
        let answer = house.get(ADMIN, PAGE).header("accept-language", "en").expect(200).await;
        if answer.header("refresh").is_none() {
            return answer.text();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{PAGE} is never done");
}

async fn remove_all(house: &House) {
    let listed = house.get(ENGINEER, "/api/v1/areas").expect(200).await.json();
    for known in listed["features"].as_array().unwrap() {
        let path = format!("/api/v1/areas/{}", known["id"].as_str().unwrap());
        house.ask(ADMIN, "DELETE", &path).expect(204).await;
    }
}

/// Every operation on areas. Leaves none behind, so that no outline holds the rest of a story.
pub async fn areas(house: &House) {
    let path = "/api/v1/areas/district/370599";
    let put = |body: Value| house.ask(ADMIN, "PUT", path).json(body);
    put(feature("试验区", 118.58, 118.7)).expect(201).await;
    put(feature("试验区", 118.5, 118.7)).expect(200).await;
    let found = house.get(ENGINEER, path).expect(200).await;
    assert_eq!(found.header("content-type"), Some("application/geo+json"));
    assert_eq!(found.json()["properties"]["name_zh"], "试验区");
    house
        .ask(ADMIN, "PUT", "/api/v1/areas/management/DYKFQ")
        .json(feature("开发区", 118.58, 118.7))
        .expect(201)
        .await;
    let page = house.get(ENGINEER, "/api/v1/areas?kind=management&limit=1").expect(200).await.json();
    assert_eq!(
        (page["features"][0]["properties"]["code"].as_str(), page["next"].as_str()),
        (Some("DYKFQ"), Some("DYKFQ"))
    );
    let rest = house.get(ENGINEER, "/api/v1/areas?kind=management&cursor=DYKFQ").expect(200).await.json();
    assert_eq!(rest["features"], json!([]));
    let would = house.post(ADMIN, "/api/v1/areas/assign?dry_run=true").expect(200).await.json();
    assert!(would["checked"].as_u64().unwrap() >= 6 && would["moved"] == would["checked"], "{would}");

    let seen = page_in_english(house, "/admin/areas?kind=management").await;
    assert!(seen.contains("DYKFQ 开发区</title>"), "{seen}");
    people(house).await;
    let file = districts(&[("370502", 118.5, 118.7), ("370503", 118.7, 118.8)]);
    let page = target(&hand_in(house, &[("kind", "district")], "区划.geojson", file.into()).await);
    let preview = page_in_english(house, &page).await;
    for told in [
        "370502 370502区",
        "行政区代码",
        "370502 and 370599 share",
        "looked at",
        "Known, not in the file; stay",
    ] {
        assert!(preview.contains(told), "{told} is not in {preview}");
    }
    target(&house.post(ADMIN, &page).form(&[("kind", "district"), ("replace", "1")]).expect(303).await);
    let preview = page_in_english(house, &page).await;
    assert!(
        preview.contains("Known, not in the file; are removed") && !preview.contains("share"),
        "{preview}"
    );
    target(&house.post(ADMIN, &format!("{page}/apply")).form(&[("assign", "1")]).expect(303).await);
    let done = settled(house).await;
    assert!(done.contains("370503") && !done.contains("370599"), "{done}");
    assert!(done.contains("0 in another district") && done.contains("0 outside all districts"), "{done}");
    house.get(ADMIN, &page).expect(404).await;
    house.post(ADMIN, "/admin/areas/assign").form(&[]).expect(303).await;
    settled(house).await;
    let page = target(&hand_in(house, &[], "once.geojson", districts(&[("370502", 1.0, 2.0)]).into()).await);
    house.post(ADMIN, &format!("{page}/discard")).form(&[]).expect(303).await;
    remove_all(house).await;
    house.ask(ADMIN, "DELETE", "/api/v1/areas/management/DYKFQ").expect(204).await;
}

/// Who answers for the development zone, and who is told so in the field.
async fn people(house: &House) {
    let send = |login: &str, codes: &str| {
        let form = [("kind", "management"), ("login", login), ("codes", codes)];
        house.post(ADMIN, "/admin/areas/people").form(&form)
    };
    let worker = As::Staff(Role::GridWorker);
    let own = async || house.get(worker, "/api/v1/crew/me").expect(200).await.json()["areas"].clone();
    assert_eq!(own().await, json!([]));
    let told = send("grid_worker", "DYKFQ NOWHERE").expect(422).await.text();
    assert!(told.contains("NOWHERE"), "{told}");
    send("crew", "DYKFQ").expect(422).await;
    send("nobody", "DYKFQ").expect(404).await;
    send("grid_worker", "DYKFQ\n").expect(303).await;
    assert_eq!((&own().await[0]["code"], &own().await[0]["bounds"][0]), (&json!("DYKFQ"), &json!(118.58)));
    let seen = page_in_english(house, "/admin/areas?kind=management").await;
    assert!(seen.contains("<td data-label=\"Grid worker\">grid_worker</td>"), "{seen}");
    send("grid_worker", "").expect(303).await;
    assert_eq!(own().await, json!([]));
}

both_engines! {
    async fn outlines_that_cannot_be_are_refused_and_say_what_would_fit(ground: Ground) {
        let house = House::on(ground).await;
        let path = "/api/v1/areas/grid/370502-001";
        let put = |body: Value| house.ask(ADMIN, "PUT", path).json(body);
        let shape = |kind: &str, coordinates: Value| json!({
            "type": "Feature", "properties": {"name_zh": "网格"},
            "geometry": {"type": kind, "coordinates": coordinates},
        });
        let bow = json!([[118.0, 37.0], [119.0, 38.0], [119.0, 37.0], [118.0, 38.0], [118.0, 37.0]]);
        for (body, code) in [
            (shape("Polygon", json!([bow])), "area.crosses"),
            (shape("Polygon", json!([[[118.0, 37.0], [118.1, 37.1], [118.2, 37.2], [118.0, 37.0]]])), "area.flat"),
            (shape("Polygon", json!([[[118.0, 37.0], [118.1, 37.1], [118.2, 37.0]]])), "area.ring"),
            (shape("MultiPolygon", json!([])), "area.empty"),
            (shape("Polygon", json!([[[37.0, 118.0], [37.1, 118.0], [37.1, 118.1], [37.0, 118.0]]])), "position.swapped"),
            (shape("Point", json!([118.0, 37.0])), "http.json_data"),
            (shape("Polygon", json!([[["a", 37.0]]])), "http.json_data"),
            (json!({"type": "Thing", "properties": {"name_zh": "x"}, "geometry": {"type": "Polygon", "coordinates": [ring(1.0, 2.0)]}}), "geojson.not_a_feature"),
            (json!({"type": "Feature", "properties": {"name_zh": " "}, "geometry": {"type": "Polygon", "coordinates": [ring(1.0, 2.0)]}}), "area.name"),
        ] {
            assert_eq!(put(body.clone()).expect(422).await.code(), code, "{body}");
        }
        assert_eq!(house.ask(ADMIN, "PUT", path).body("text/plain", "x").expect(415).await.code(), "http.media_type");
        for path in ["/api/v1/areas/grid/none", "/api/v1/areas/street/370502", "/api/v1/areas/grid/%00", "/api/v1/areas/grid/%FF"] {
            house.get(ENGINEER, path).expect(404).await;
            house.ask(ADMIN, "DELETE", path).expect(404).await;
        }
        for query in ["kind=street", "limit=0", "cursor=%00", "colour=red"] {
            house.get(ENGINEER, &format!("/api/v1/areas?{query}")).expect(400).await;
        }
        assert_eq!(house.post(ADMIN, "/api/v1/areas/assign").expect(422).await.code(), "area.no_districts");
        house.ask(ENGINEER, "PUT", path).json(feature("x", 1.0, 2.0)).expect(403).await;

        // What a file cannot be is said on its page, and applying it changes nothing.
        for (name, bytes, told) in [
            ("a.csv", b"code,name\n1,x\n".to_vec(), "holds no surfaces"),
            ("a.geojson", b"{".to_vec(), "no readable GeoJSON"),
            ("a.bin", vec![0x89, b'P', b'N', b'G', 0, 1], "a.bin"),
        ] {
            let page = target(&hand_in(&house, &[], name, bytes).await);
            let seen = page_in_english(&house, &page).await;
            assert!(seen.contains(told) && !seen.contains("refusal."), "{seen}");
            house.post(ADMIN, &format!("{page}/apply")).form(&[]).expect(409).await;
        }
        let crossed = json!({"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {"code": "370502", "name": "东营区"}, "geometry": {"type": "Polygon", "coordinates": [bow]}},
            {"type": "Feature", "properties": {"code": "370503", "name": "河口区"}, "geometry": {"type": "Polygon", "coordinates": [ring(118.5, 118.6)]}},
        ]});
        let page = target(&hand_in(&house, &[], "crossed.geojson", crossed.to_string().into()).await);
        let seen = page_in_english(&house, &page).await;
        assert!(seen.contains("370502 东营区 crosses itself at 118.5") && !seen.contains("/apply"), "{seen}");
        house.post(ADMIN, &format!("{page}/apply")).form(&[]).expect(409).await;
        assert_eq!(house.get(ENGINEER, "/api/v1/areas").expect(200).await.json()["features"], json!([]));
        assert_eq!(hand_in(&house, &[("kind", "street")], "a.geojson", b"{}".to_vec()).await.status, 422);
        assert_eq!(hand_in(&house, &[("colour", "red")], "a.geojson", b"{}".to_vec()).await.status, 400);
        assert_eq!(hand_in(&house, &[], "empty.geojson", Vec::new()).await.status, 422);
        house.assert_faultless();
    }
}
