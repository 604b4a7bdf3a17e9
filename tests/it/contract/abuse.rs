//! Doubtful reports over HTTP: what one phone sends too often, the look at it, and blocked senders.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::json;

use super::house::{As, House};

const CITIZEN: As = As::Nobody;
const DISPATCHER: As = As::Staff(Role::Dispatcher);

/// Every operation about doubts.
pub async fn abuse(house: &House) {
    let path = format!("/c/{}/report", house.plates[5]);
    let form = house.get(CITIZEN, &path).expect(200).await;
    let phone = form.header("set-cookie").and_then(|line| line.split(';').next()).unwrap().to_owned();
    assert!(phone.starts_with("phone="), "{phone}");
    let again = house.get(CITIZEN, &path).header("cookie", &phone).expect(200).await;
    assert_eq!(again.header("set-cookie"), None, "a phone is given one word");
    let say = async |hazard: &str| {
        let key = IdempotencyKey::fresh().to_string();
        let fields = [("key", key.as_str()), ("hazard", hazard)];
        house.post(CITIZEN, &path).header("cookie", &phone).multipart(&fields, &[]).expect(303).await
    };
    for _ in 0..10 {
        say("rocking").await;
    }
    let link = say("no_net").await.header("location").unwrap().to_owned();
    let tracking = link.trim_start_matches("/r/").rsplit_once('-').unwrap().0;
    house.get(CITIZEN, &link).expect(200).await;
    let list = "/api/v1/cases?held=true";
    let held = house.get(DISPATCHER, list).expect(200).await.json();
    let number = held["cases"][0]["case"]["number"].as_str().unwrap().to_owned();
    house.get(DISPATCHER, "/api/v1/cases?held=perhaps").expect(400).await;
    let case = house.get(DISPATCHER, &format!("/api/v1/cases/{number}")).expect(200).await.json();
    assert_eq!(case["hold"]["doubts"], json!(["device_often"]));
    assert_eq!(case["reports"][0]["tracking"], tracking);
    let page = house.get(DISPATCHER, &format!("/desk/cases/{number}")).expect(200).await.text();
    assert!(page.contains("同一手机频繁上报"), "{page}");
    assert!(house.get(DISPATCHER, "/desk/held").expect(200).await.text().contains(&number));

    let path = format!("/api/v1/cases/{number}/senders");
    let senders = house.get(DISPATCHER, &path).expect(200).await.json();
    assert_eq!(senders["senders"][0]["device"], json!({"reports": 11, "rejected": 0}));
    house.get(DISPATCHER, "/api/v1/cases/2026-999999/senders").expect(404).await;
    house.get(As::Staff(Role::Crew), &path).expect(403).await;
    let body = json!({"tracking": tracking, "kind": "device", "days": 7, "reason": "编造"});
    let block = || house.post(DISPATCHER, "/api/v1/blocks").keyed();
    let made = block().json(body.clone()).expect(201).await.json();
    assert_eq!(made["active"], true);
    for (field, wrong, status, code) in [
        ("days", json!(366), 422, "block.days"),
        ("kind", json!("person"), 422, "http.json_data"),
        ("reason", json!(" "), 422, "form.missing"),
        ("tracking", json!("R2026-999999"), 409, "block.no_origin"),
    ] {
        let mut body = body.clone();
        body[field] = wrong;
        assert_eq!(block().json(body).expect(status).await.code(), code);
    }
    assert_eq!(house.get(DISPATCHER, "/api/v1/blocks").expect(200).await.json()["blocks"][0], made);
    let lift = format!("/api/v1/blocks/{}/lift", made["id"].as_str().unwrap());
    assert_eq!(house.post(DISPATCHER, &lift).expect(200).await.json()["active"], false);
    house.post(DISPATCHER, "/api/v1/blocks/none/lift").expect(404).await;

    // The same by forms.
    let page = format!("/desk/cases/{number}/senders");
    assert!(house.get(DISPATCHER, &page).expect(200).await.text().contains(tracking));
    let key = IdempotencyKey::fresh().to_string();
    let mut fields = vec![
        ("csrf", ""),
        ("key", key.as_str()),
        ("tracking", tracking),
        ("kind", "network"),
        ("days", "3"),
        ("reason", "编造"),
    ];
    house.post(DISPATCHER, &page).form(&fields).expect(303).await;
    fields[4] = ("days", "many");
    house.post(DISPATCHER, &page).form(&fields).expect(422).await;
    let blocks = house.get(DISPATCHER, "/api/v1/blocks").expect(200).await.json();
    let id = blocks["blocks"][0]["id"].as_str().unwrap().to_owned();
    house.post(DISPATCHER, "/desk/held").form(&[("csrf", ""), ("id", &id)]).expect(303).await;
    let lifted = house.get(DISPATCHER, "/api/v1/blocks").expect(200).await.json();
    assert!(lifted["blocks"].as_array().unwrap().iter().all(|block| block["active"] == json!(false)));
}
