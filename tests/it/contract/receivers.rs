//! Receivers of events over HTTP: kept by programs and by forms, told their secret once, and what a platform says back.

use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{As, House};
use crate::outbox::hook::{Hook, courier};
use crate::outbox::upstream::RULES;

const ADMIN: As = As::Staff(Role::Admin);
const HANDLER: As = As::Staff(Role::Handler);

async fn bring(house: &House) {
    let courier = courier(&house.town.registry);
    while courier.turn().await.unwrap() > 0 {}
}

/// Every operation about receivers.
pub async fn receivers(house: &House) {
    programs(house).await;
    pages(house).await;
    platform(house).await;
}

async fn programs(house: &House) {
    let hook = Hook::open(|_| (422, String::new())).await;
    let body = json!({"name": "短信网关", "url": hook.url(), "events": ["case.*", "report.joined"]});
    let ask = || house.post(ADMIN, "/api/v1/receivers");
    let made = ask().keyed().json(body.clone()).expect(201).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let (secret, id) = (made.json()["secret"].clone(), made.json()["receiver"]["id"].clone());
    let (secret, id) = (secret.as_str().unwrap(), id.as_str().unwrap());
    assert!(secret.starts_with("whsec_"));
    assert_eq!(ask().keyed().json(body.clone()).expect(409).await.code(), "receiver.name_taken");
    for (field, wrong, code) in [
        ("url", json!("http://"), "receiver.url"),
        ("url", json!("https://169.254.169.254/latest"), "receiver.private"),
        ("events", json!([]), "receiver.no_events"),
        ("events", json!(["Case"]), "receiver.event"),
        ("districts", json!(["a\0b"]), "receiver.district"),
        ("name", json!("x".repeat(61)), "text.too_long"),
        ("kind", json!("pigeon"), "receiver_kind.unknown"),
        ("rules", json!("[states]"), "receiver.no_rules"),
    ] {
        let mut body = body.clone();
        body["name"] = json!("another");
        body[field] = wrong;
        assert_eq!(ask().keyed().json(body).expect(422).await.code(), code);
    }
    let path = format!("/api/v1/receivers/{id}");
    let seen = house.get(ADMIN, &path).expect(200).await;
    assert!(!seen.text().contains(secret), "told once");
    assert!(!house.get(ADMIN, "/api/v1/receivers").expect(200).await.text().contains(secret));
    let tag = seen.header("etag").unwrap().to_owned();
    let put = |tag: &str| house.ask(ADMIN, "PUT", &path).keyed().header("if-match", tag).json(body.clone());
    assert_eq!(put(&tag).expect(200).await.json()["version"], 2);
    assert_eq!(put(&tag).expect(409).await.code(), "receiver.changed_meanwhile");

    house.town.report(house.plates[0], Hazard::Level).await;
    bring(house).await;
    let letters = async |query: &str| {
        let answer = house.get(ADMIN, &format!("{path}/letters?{query}")).expect(200).await.json();
        answer["letters"].as_array().unwrap().clone()
    };
    let waiting = letters("state=waiting&limit=1").await;
    assert_eq!((waiting.len(), &waiting[0]["last_status"]), (1, &json!(422)));
    assert!(letters("").await.is_empty());
    for wrong in ["state=lost", "limit=0", "cursor=x"] {
        house.get(ADMIN, &format!("{path}/letters?{wrong}")).expect(400).await;
    }
    let letter = format!("{path}/letters/{}", waiting[0]["sequence"]);
    let step = |path: &str, step: &str| house.post(ADMIN, path).keyed().json(json!({"step": step}));
    assert_eq!(step(&letter, "try_again").expect(200).await.json()["waiting"], 1);
    assert_eq!(step(&letter, "skip").expect(200).await.json()["waiting"], 0);
    assert_eq!(step(&letter, "skip").expect(404).await.code(), "receiver.letter_unknown");
    assert_eq!(step(&letter, "burn").expect(422).await.code(), "letter_step.unknown");

    let steps = format!("{path}/steps");
    assert_eq!(step(&steps, "pause").expect(200).await.json()["receiver"]["state"], "paused");
    assert_eq!(step(&steps, "resume").expect(200).await.json()["receiver"]["state"], "active");
    assert_ne!(step(&steps, "rotate").expect(200).await.json()["secret"], json!(secret));
    assert_eq!(step(&steps, "replay").expect(422).await.code(), "form.missing");
    let replay =
        |since: &str| house.post(ADMIN, &steps).keyed().json(json!({"step": "replay", "since": since}));
    assert!(replay("2020-01-01T00:00:00Z").expect(200).await.json()["receiver"]["behind"].as_i64() > Some(0));
    assert_eq!(replay("2199-01-01T00:00:00Z").expect(409).await.code(), "receiver.nothing_since");
    assert_eq!(replay("yesterday").expect(422).await.code(), "form.moment");
    assert_eq!(step(&steps, "remove").expect(200).await.json(), json!({}));
    assert_eq!(house.get(ADMIN, &path).expect(404).await.code(), "receiver.unknown");
    house.get(ADMIN, "/api/v1/receivers/nobody").expect(404).await;
    house.get(HANDLER, "/api/v1/receivers").expect(403).await;
}

async fn pages(house: &House) {
    let hook = Hook::open(|_| (500, String::new())).await;
    house.get(ADMIN, "/admin/receivers").expect(200).await;
    let key = IdempotencyKey::fresh().to_string();
    let url = hook.url();
    let fields =
        |url| [("csrf", ""), ("key", key.as_str()), ("name", "公众号"), ("url", url), ("events", "case.*")];
    let refused = house.post(ADMIN, "/admin/receivers").form(&fields("gopher://x")).expect(422).await.text();
    assert!(refused.contains("gopher://x") && refused.contains("role=\"alert\""), "{refused}");
    let made = house.post(ADMIN, "/admin/receivers").form(&fields(&url)).expect(200).await.text();
    assert!(made.contains("whsec_"), "{made}");
    let listed = house.get(ADMIN, "/api/v1/receivers").expect(200).await.json();
    let id = listed["receivers"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/receivers/{id}");
    assert!(!house.get(ADMIN, &path).expect(200).await.text().contains("whsec_"));
    let key = IdempotencyKey::fresh().to_string();
    let change = |version, events| {
        let fields = [
            ("csrf", ""),
            ("key", key.as_str()),
            ("version", version),
            ("name", "公众号"),
            ("url", url.as_str()),
            ("events", events),
            ("personal", "yes"),
        ];
        house.post(ADMIN, &path).form(&fields)
    };
    assert!(change("1", "nonsense").expect(422).await.text().contains("nonsense"));
    change("1", "case.* citizen.message").expect(303).await;

    house.town.report(house.plates[1], Hazard::Level).await;
    bring(house).await;
    let letters = house.get(ADMIN, &format!("{path}/letters?state=waiting")).expect(200).await.text();
    assert!(letters.contains("HTTP 500"), "{letters}");
    let sequence = letters.split("name=\"sequence\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let key = IdempotencyKey::fresh().to_string();
    let fields =
        [("csrf", ""), ("key", key.as_str()), ("sequence", sequence), ("step", "skip"), ("state", "waiting")];
    house.post(ADMIN, &format!("{path}/letters")).form(&fields).expect(303).await;
    house.get(ADMIN, &format!("{path}/letters?state=lost")).expect(400).await;
    for (step, status) in [("rotate", 200), ("pause", 303), ("replay", 422), ("remove", 303)] {
        let key = IdempotencyKey::fresh().to_string();
        let fields = [("csrf", ""), ("key", key.as_str()), ("step", step)];
        house.post(ADMIN, &format!("{path}/steps")).form(&fields).expect(status).await;
    }
    house.get(ADMIN, &path).expect(404).await;
}

async fn platform(house: &House) {
    let hook =
        Hook::open(|heard| (201, json!({"id": format!("P-{}", heard.key.as_deref().unwrap())}).to_string()))
            .await;
    let body = json!({"kind": "upstream", "name": "一体化平台", "url": format!("http://{}", hook.address),
        "events": ["case.*"], "rules": RULES});
    let mut wrong = body.clone();
    wrong["rules"] = json!("[states]\nopen = '1'");
    let ask = || house.post(ADMIN, "/api/v1/receivers").keyed();
    assert_eq!(ask().json(wrong).expect(422).await.code(), "receiver.rules");
    let made = ask().json(body).expect(201).await.json();
    let id = made["receiver"]["id"].as_str().unwrap().to_owned();
    // An emergency is with its party at once, and so it is on the platform.
    let number = house.town.report(house.plates[2], Hazard::Collapsed).await.case_number;
    bring(house).await;
    let page = house.get(ADMIN, &format!("/admin/receivers/{id}")).expect(200).await.text();
    assert!(page.contains(&format!("P-{number}")) && page.contains("派遣"), "{page}");
    let path = format!("/api/v1/upstream/{id}/states");
    let said = json!({"upstream_id": format!("P-{number}"), "state": "受理", "at": "2026-03-02T01:00:00Z"});
    let heard = house.post(HANDLER, &path).json(said.clone()).expect(200).await.json();
    assert_eq!((&heard["outcome"], &heard["state"]), (&json!("moved"), &json!("handling")));
    assert_eq!(
        house.post(HANDLER, &path).json(said).expect(200).await.json(),
        heard,
        "the same words, the same answer"
    );
    let said = |fields: Value| house.post(HANDLER, &path).json(fields);
    let noted =
        said(json!({"number": number, "state": "办结", "at": "2026-03-02T02:00:00Z", "note": "已处置"}));
    assert_eq!(noted.expect(200).await.json()["outcome"], "noted");
    let unknown = said(json!({"number": "2026-999999", "state": "受理", "at": "2026-03-02T02:00:00Z"}));
    assert_eq!(unknown.expect(404).await.code(), "upstream.unknown_case");
    said(json!({"state": "受理", "at": "2026-03-02T02:00:00Z"})).expect(422).await;
    said(json!({"number": number, "state": "受理", "at": "soon"})).expect(422).await;
    house.post(As::Staff(Role::Crew), &path).json(json!({})).expect(403).await;
    let file = house.get(HANDLER, &format!("/desk/cases/{number}")).expect(200).await.text();
    assert!(file.contains("上级平台回传") && file.contains("平台状态：办结"), "{file}");
    let remove = house.post(ADMIN, &format!("/api/v1/receivers/{id}/steps")).keyed();
    remove.json(json!({"step": "remove"})).expect(200).await;
}
