//! One story through every door: a displaced cover is reported on a page, over the API, over Open311, by a sensor over
//! MQTT, and on a page again with an upstream platform that answers by webhook. People then handle it by forms or as programs. What the files
//! say afterwards is the same, but for who said it.

use std::time::{Duration, Instant};

use lidmark::config::Config;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::{Actor, Role};
use serde_json::{Map, Value, json};

use super::house::{As, House, jpeg};
use crate::both_engines;
use crate::outbox::hook::{Hook, courier};
use crate::outbox::upstream::RULES;
use crate::registry::ground::MONDAY;
use crate::registry::sensors::{install, register};
use crate::sensors::publish;
use crate::support::broker::Broker;

const CITIZEN: As = As::Nobody;
const HANDLER: As = As::Staff(Role::Handler);
const DISPATCHER: As = As::Staff(Role::Dispatcher);
const SUPERVISOR: As = As::Staff(Role::Supervisor);
const ADMIN: As = As::Staff(Role::Admin);

/// The number of the newest case.
async fn newest(house: &House) -> String {
    let list = house.get(DISPATCHER, "/api/v1/cases?limit=1").expect(200).await.json();
    list["cases"][0]["case"]["number"].as_str().unwrap().to_owned()
}

async fn by_page(house: &House, plate: usize) -> String {
    let key = IdempotencyKey::fresh().to_string();
    let fields = [("key", key.as_str()), ("hazard", "displaced")];
    let path = format!("/c/{}/report", house.plates[plate]);
    house.post(CITIZEN, &path).multipart(&fields, &[]).expect(303).await;
    newest(house).await
}

async fn by_api(house: &House, plate: usize) -> String {
    let body = json!({"token": house.plates[plate].to_string(), "hazard": "displaced"});
    let said = house.post(CITIZEN, "/api/v1/reports").keyed().json(body).expect(201).await.json();
    said["case_number"].as_str().unwrap().to_owned()
}

async fn by_open311(house: &House, plate: usize) -> String {
    let key = house.town.registry.add_open311_key("dispatcher", "fixmystreet").await.unwrap();
    let token = house.plates[plate].to_string();
    let fields = [
        ("api_key", key.as_str()),
        ("service_code", "displaced"),
        ("attribute[PLATE]", token.as_str()),
        ("attribute[DANGER]", "yes"),
    ];
    house.post(CITIZEN, "/open311/v2/requests.json").form(&fields).expect(200).await;
    newest(house).await
}

/// `None` where there is no broker.
async fn by_mqtt(house: &House, plate: usize) -> Option<String> {
    let broker = Broker::start()?;
    let settings = format!(
        "[sensors.mqtt]\nurl = \"{}\"\nversion = \"5\"\ntopics = [{{ topic = \"lidmark/sensors/{{serial}}\" }}]\n",
        broker.url()
    );
    let mqtt = Config::from_toml(&settings).unwrap().sensors.mqtt.unwrap();
    register(&house.town, &["LM-1"]).await;
    install(&house.town, "LM-1", &house.code(plate).await).await;
    let before = newest(house).await;
    let hearing = tokio::spawn(lidmark::sensors::run(house.town.registry.clone(), mqtt));
    let until = Instant::now() + Duration::from_secs(60);
    let mut second = -600;
    while newest(house).await == before {
        assert!(Instant::now() < until, "a tilt that lasts files a case");
        // The broker keeps what comes from the first subscription on.
        let body = json!({"measured_at": MONDAY + second * 1000, "values": {"tilt_deg": 45.0}});
        publish(&broker, vec![("lidmark/sensors/LM-1".into(), body.to_string())]).await;
        second += 40;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    hearing.abort();
    Some(newest(house).await)
}

/// As the platform says it, or as people do.
fn reason_for(made: &str) -> &'static str {
    if made == "accept" { "受理" } else { "现场已处置" }
}

/// A form with pictures under their names.
fn form_of(fields: &[(&str, &str)], pictures: &[&str]) -> (String, Vec<u8>) {
    const EDGE: &str = "edge-of-a-part";
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--{EDGE}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.into_bytes());
    }
    for name in pictures {
        let head = format!(
            "--{EDGE}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.jpg\"\r\n\
             content-type: image/jpeg\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend(jpeg(40));
        body.extend(b"\r\n");
    }
    body.extend(format!("--{EDGE}--\r\n").into_bytes());
    (format!("multipart/form-data; boundary={EDGE}"), body)
}

async fn step(house: &House, who: As, number: &str, (made, pictures): (&str, &[&str])) {
    let (media_type, body) = form_of(&[("move", made), ("reason", reason_for(made))], pictures);
    let path = format!("/api/v1/cases/{number}/moves");
    house.post(who, &path).keyed().body(&media_type, body).expect(200).await;
}

/// The same with the form of the case's page.
async fn step_by_form(house: &House, who: As, number: &str, (made, pictures): (&str, &[&str])) {
    let version = house.town.registry.find_case(number, &Actor::System).await.unwrap().unwrap().case.version;
    let (key, version) = (IdempotencyKey::fresh().to_string(), version.to_string());
    let fields = [
        ("csrf", ""),
        ("key", key.as_str()),
        ("version", version.as_str()),
        ("move", made),
        ("reason", reason_for(made)),
    ];
    let (media_type, body) = form_of(&fields, pictures);
    let path = format!("/desk/cases/{number}/moves");
    house.post(who, &path).body(&media_type, body).expect(303).await;
}

/// What a platform says becomes a move of whoever speaks for it.
async fn accepted_upstream(house: &House, number: &str) {
    let answer = |heard: &crate::outbox::hook::Heard| {
        (201, json!({"id": format!("P-{}", heard.key.clone().unwrap_or_default())}).to_string())
    };
    let hook = Hook::open(answer).await;
    let body = json!({"name": "平台", "kind": "upstream", "url": format!("http://{}", hook.address),
        "events": ["case.*"], "rules": RULES});
    let made = house.post(ADMIN, "/api/v1/receivers").keyed().json(body).expect(201).await.json();
    let id = made["receiver"]["id"].as_str().unwrap();
    // It hears of what happens from now on; the same again is no harm.
    let replay = json!({"step": "replay", "since": "2026-01-01T00:00:00Z"});
    let steps = format!("/api/v1/receivers/{id}/steps");
    house.post(ADMIN, &steps).keyed().json(replay).expect(200).await;
    let courier = courier(&house.town.registry);
    while courier.turn().await.unwrap() > 0 {}
    let said = json!({"upstream_id": format!("P-{number}"), "state": "受理", "at": "2026-03-02T01:00:00Z"});
    let path = format!("/api/v1/upstream/{id}/states");
    let heard = house.post(HANDLER, &path).json(said).expect(200).await.json();
    assert_eq!((&heard["outcome"], &heard["state"]), (&json!("moved"), &json!("handling")));
}

/// Kind and what it says, less what differs between any two cases and who said it by which door.
async fn story_of(house: &House, number: &str) -> Vec<(HistoryKind, Map<String, Value>)> {
    let file = house.town.registry.find_case(number, &Actor::System).await.unwrap().unwrap();
    let entry = |entry: &lidmark::domain::history::HistoryEntry| {
        let mut body: Map<String, Value> = serde_json::from_str(&entry.body).unwrap();
        let known = ["hazard", "move", "from", "to", "why", "party", "due_at", "rule", "pool", "condition"];
        body.retain(|name, value| known.contains(&name.as_str()) && !value.is_null());
        (entry.kind, body)
    };
    file.timeline.iter().map(entry).collect()
}

both_engines! {
    async fn a_displaced_cover_is_the_same_case_by_whichever_door_it_came(ground: Ground) {
        let house = House::on(ground).await;
        let by_page_alone = by_page(&house, 0).await;
        let mut numbers = vec![by_api(&house, 1).await, by_open311(&house, 2).await];
        numbers.extend(by_mqtt(&house, 3).await);
        let with_platform = by_page(&house, 4).await;
        numbers.extend([by_page_alone.clone(), with_platform.clone()]);
        let work: [(As, &str, &[&str]); 4] = [
            (HANDLER, "accept", &[]),
            (HANDLER, "hand_in", &["before_photos", "photos"]),
            (DISPATCHER, "check", &[]),
            (SUPERVISOR, "close", &["photos"]),
        ];
        for number in &numbers {
            for (who, made, pictures) in work {
                if made == "accept" && *number == with_platform {
                    accepted_upstream(&house, number).await;
                } else if *number == by_page_alone {
                    step_by_form(&house, who, number, (made, pictures)).await;
                } else {
                    step(&house, who, number, (made, pictures)).await;
                }
            }
        }

        let story = story_of(&house, &by_page_alone).await;
        let kinds: Vec<HistoryKind> = story.iter().map(|(kind, _)| *kind).collect();
        let mut wanted = vec![HistoryKind::Reported];
        wanted.extend([HistoryKind::CaseMoved; 6]);
        assert_eq!(kinds, wanted, "{story:?}");
        let row = async |number: &str| {
            let case = house.town.registry.find_case(number, &Actor::System).await.unwrap().unwrap().case;
            assert!(case.strike_number.is_some());
            (case.state, case.hazard, case.emergency, case.report_count, case.party, case.triage, case.counts, case.late_ms)
        };
        let first = row(&by_page_alone).await;
        // What leaves the house of each, in its order.
        let events = house.town.registry.list_waiting_events("doors", 1000).await.unwrap();
        let told = |number: &str| -> Vec<(String, Vec<String>)> {
            let of = events.iter().map(|event| {
                let body: Map<String, Value> = serde_json::from_str(&event.body).unwrap();
                (event.event.clone(), body)
            });
            let of = of.filter(|(event, body)| event.starts_with("case.") && body["case"] == json!(number));
            of.map(|(event, body)| (event, body.keys().cloned().collect())).collect()
        };
        let first_told = told(&by_page_alone);
        assert_eq!(first_told.len(), 7, "{first_told:?}");
        for number in &numbers {
            assert_eq!(story_of(&house, number).await, story, "the file of {number}");
            assert_eq!(row(number).await, first, "the row of {number}");
            assert_eq!(told(number), first_told, "what was told of {number}");
        }
        assert_eq!(house.town.registry.check_tables().await.unwrap().findings, []);
        house.assert_faultless();
    }
}
