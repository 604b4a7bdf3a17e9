//! Sensors over HTTP: devices kept by programs and by forms, and what they measured, ugly items among it.

use std::sync::atomic::Ordering;

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{As, House};
use crate::registry::ground::MONDAY;

const ENGINEER: As = As::Staff(Role::Engineer);
const CREW: As = As::Staff(Role::Crew);
const HANDLER: As = As::Staff(Role::Handler);
const READINGS: &str = "/api/v1/sensor-readings";

/// Every operation about sensors.
pub async fn sensors(house: &House) {
    let stood = house.town.clock.load(Ordering::SeqCst);
    programs(house).await;
    pages(house).await;
    readings(house, stood.max(MONDAY)).await;
}

async fn programs(house: &House) {
    let ask = || house.post(ENGINEER, "/api/v1/sensors").keyed();
    let body = json!({"serials": ["LM-1", "LM-2"], "model": "T2"});
    let made = ask().json(body.clone()).expect(201).await;
    assert_eq!(
        (made.json()["serials"][1].as_str(), made.header("location")),
        (Some("LM-2"), Some("/api/v1/sensors/LM-1"))
    );
    assert_eq!(ask().json(body).expect(409).await.code(), "sensor.known");
    for (wrong, code) in [
        (json!({"serials": []}), "form.missing"),
        (json!({"serials": ["a b"]}), "sensor.serial"),
        (json!({"serials": ["x", "x"]}), "sensor.twice"),
        (json!({"serials": ["x"], "model": "y".repeat(65)}), "text.too_long"),
        (json!({"serials": vec!["x"; 1001]}), "sensor.twice"),
    ] {
        assert_eq!(ask().json(wrong).expect(422).await.code(), code);
    }
    house.post(CREW, "/api/v1/sensors").keyed().json(json!({"serials": ["x"]})).expect(403).await;
    house.get(HANDLER, "/api/v1/sensors").expect(403).await;

    let path = "/api/v1/sensors/LM-1/moves";
    let step = |who, body: Value| house.post(who, path).keyed().json(body);
    let code = house.code(3).await;
    assert_eq!(step(CREW, json!({"move": "remove"})).expect(409).await.code(), "sensor.move");
    assert_eq!(step(CREW, json!({"move": "scrap"})).expect(403).await.code(), "sensor.role");
    assert_eq!(step(CREW, json!({"move": "fly"})).expect(422).await.code(), "sensor_move.unknown");
    assert_eq!(
        step(CREW, json!({"move": "install", "cover": "1"})).expect(404).await.code(),
        "cover.unknown"
    );
    let line = step(CREW, json!({"move": "install", "cover": code})).expect(200).await.json();
    assert_eq!((&line["state"], &line["cover"]), (&json!("installed"), &json!(code)));
    let disarm = |until: &str| json!({"move": "disarm", "until": until, "reason": "清掏作业"});
    assert_eq!(step(ENGINEER, disarm("soon")).expect(422).await.code(), "form.moment");
    assert_eq!(step(ENGINEER, disarm("2199-01-01T00:00:00Z")).expect(422).await.code(), "sensor.until");
    let until = lidmark::domain::ids::Millis(house.town.registry.now().0 + 3_600_000).to_rfc3339();
    let line = step(ENGINEER, disarm(&until)).expect(200).await.json();
    assert_eq!((&line["disarmed"]["until"], &line["marks"]), (&json!(until), &json!(["disarmed"])));
    step(ENGINEER, json!({"move": "arm"})).expect(200).await;

    let list = async |query: &str| {
        let answer = house.get(CREW, &format!("/api/v1/sensors?{query}")).expect(200).await.json();
        let serials = answer["sensors"].as_array().unwrap().iter();
        serials.map(|sensor| sensor["serial"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("limit=1").await, ["LM-1"]);
    assert_eq!(list("cursor=LM-1").await, ["LM-2"]);
    assert_eq!(list("state=stock&text=LM").await, ["LM-2"]);
    assert_eq!(list(&format!("cover={code}")).await, ["LM-1"]);
    for mark in ["alarmed", "low_battery", "silent", "disarmed"] {
        assert!(list(&format!("mark={mark}")).await.is_empty());
    }
    for wrong in ["state=lost", "mark=x", "limit=0", "cursor=%00", "cover=1", "text=a%20b"] {
        house.get(CREW, &format!("/api/v1/sensors?{wrong}")).expect(400).await;
    }
    for strange in ["LM-9", "a%00b", "%E4%BA%95"] {
        house.get(CREW, &format!("/api/v1/sensors/{strange}")).send().await;
    }
    assert_eq!(house.get(CREW, "/api/v1/sensors/LM-9").expect(404).await.code(), "sensor.unknown");
}

async fn pages(house: &House) {
    house.get(CREW, "/admin/sensors?state=installed&mark=&text=LM").expect(200).await;
    house.get(CREW, "/admin/sensors?state=lost").expect(400).await;
    let key = IdempotencyKey::fresh().to_string();
    let form = |serials| [("csrf", ""), ("key", key.as_str()), ("serials", serials), ("model", "W1")];
    let refused = house.post(ENGINEER, "/admin/sensors").form(&form("W-1\r\nW+2")).expect(422).await.text();
    assert!(refused.contains("W+2") && refused.contains("role=\"alert\""), "{refused}");
    house.post(ENGINEER, "/admin/sensors").form(&form("W-1, W-2\r\nW-3")).expect(303).await;
    let step = |fields: &[(&str, &str)]| {
        let key = IdempotencyKey::fresh().to_string();
        let mut all = vec![("csrf", ""), ("key", key.as_str())];
        all.extend_from_slice(fields);
        house.post(ENGINEER, "/admin/sensors/W-1/moves").form(&all)
    };
    let code = house.code(4).await;
    assert!(step(&[("move", "install"), ("cover", "77")]).expect(404).await.text().contains("value=\"77\""));
    step(&[("move", "install"), ("cover", &code)]).expect(303).await;
    step(&[("move", "disarm"), ("until", "soon"), ("reason", "x")]).expect(422).await;
    let page = house.get(CREW, "/admin/sensors/W-1").expect(200).await.text();
    assert!(page.contains("W1") && page.contains("在用"), "{page}");
    house.get(CREW, "/admin/sensors/nobody").expect(404).await;
    let file = house.get(ENGINEER, &format!("/covers/{code}")).expect(200).await.text();
    assert!(file.contains("安装传感器") && file.contains("W-1"), "{file}");
}

async fn readings(house: &House, now: i64) {
    house.town.clock.store(now, Ordering::SeqCst);
    let secret = house.town.registry.add_sensor_token("engineer", "platform").await.unwrap();
    assert!(house.town.registry.add_sensor_token("crew", "nobody's").await.is_err());
    let send = |body: Value| {
        let bearer = format!("Bearer {secret}");
        house.post(As::Nobody, READINGS).header("authorization", &bearer).json(body)
    };
    let reading = |second: i64, degrees: f64| json!({"serial": "LM-1", "measured_at": now + second * 1000, "values": {"tilt_deg": degrees}});
    let one = send(reading(-7000, 3.0)).expect(200).await.json();
    assert_eq!((&one["taken"], &one["results"][0]["outcome"]), (&json!(1), &json!("taken")));
    let batch = json!([
        reading(-40, 45.0),
        reading(-40, 45.0),
        {"serial": "LM-1", "measured_at": now - 1000, "values": {"tilt_deg": 45.0, "water_cm": "deep", "gas_ppm": 1e12}},
        {"serial": "LM-9", "values": {"tilt_deg": 1}},
        {"serial": "LM-1"},
        {"serial": "a\u{0}b", "values": {"tilt_deg": 1}},
        {"serial": "LM-1", "measured_at": now + 3_600_000, "values": {"tilt_deg": 1}},
        {"serial": "LM-1", "measured_at": "gestern", "values": {"tilt_deg": 1}},
        17, null, [], "x",
    ]);
    let answer = send(batch.clone()).expect(200).await.json();
    assert_eq!(
        (&answer["taken"], &answer["known"], &answer["refused"]),
        (&json!(2), &json!(1), &json!(9)),
        "{answer}"
    );
    let code =
        |at: usize| answer["results"][at]["problems"][0]["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer["results"][2]["problems"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(
        [3, 4, 5, 6, 7, 8].map(code),
        [
            "sensor.unknown",
            "sensor.no_values",
            "sensor.serial",
            "sensor.future",
            "form.moment",
            "sensor.no_object"
        ]
    );
    let again = send(batch).expect(200).await.json();
    assert_eq!((&again["taken"], &again["known"]), (&json!(0), &json!(3)), "the same call changes nothing");
    let line = house.get(CREW, "/api/v1/sensors/LM-1").expect(200).await.json();
    assert_eq!(
        (&line["marks"], &line["alarms"][0]["phase"]),
        (&json!(["alarmed"]), &json!("alarmed")),
        "{line}"
    );
    let page = house.get(ENGINEER, "/admin/sensors/LM-1").expect(200).await.text();
    assert!(page.contains("/desk/cases/"), "{page}");
    let hours = house.get(CREW, "/api/v1/sensors/LM-1/hours?quantity=tilt_deg").expect(200).await.json();
    assert_eq!(hours["hours"][0]["readings"], 1);
    for wrong in ["quantity=mood", "quantity=tilt_deg&since=x", ""] {
        house.get(CREW, &format!("/api/v1/sensors/LM-1/hours?{wrong}")).expect(400).await;
    }

    let bearer = format!("Bearer {secret}");
    let with = |who, path: &str| house.post(who, path).header("authorization", &bearer);
    assert_eq!(
        with(As::Nobody, READINGS).body("application/json", "{").expect(400).await.code(),
        "sensor.unreadable"
    );
    with(As::Nobody, READINGS).body("application/json", "3").expect(400).await;
    with(As::Nobody, READINGS).body("text/plain", "{}").expect(415).await;
    with(As::Nobody, &format!("{READINGS}?mapping=acme")).json(json!({})).expect(400).await;
    let many: Vec<Value> = (0..1001).map(|_| reading(0, 1.0)).collect();
    assert_eq!(send(json!(many)).expect(413).await.code(), "sensor.too_many");
    // The token opens nothing else, and a crew's own does not open this.
    let other = house.get(As::Nobody, "/api/v1/sensors").header("authorization", &bearer);
    assert_eq!(other.expect(403).await.code(), "http.scope");
    let refused = house.post(CREW, READINGS).json(reading(0, 1.0)).expect(403).await;
    assert_eq!(refused.code(), "http.role");
    house.post(As::Nobody, READINGS).json(reading(0, 1.0)).expect(401).await;
    house.post(ENGINEER, READINGS).json(reading(0, 1.0)).expect(200).await;
}
