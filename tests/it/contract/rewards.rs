//! 红包 over HTTP: said behind the secret link, reviewed, told to the payer as a file, and its answer taken in.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::json;

use super::house::{As, House};

const CITIZEN: As = As::Nobody;
const SUPERVISOR: As = As::Staff(Role::Supervisor);

/// Every operation about rewards; the case of the report behind `link` is closed.
pub async fn rewards(house: &House, link: &str) {
    let page = format!("/r/{link}");
    let path = format!("{page}/reward");
    assert!(house.get(CITIZEN, &page).expect(200).await.text().contains(&path));
    assert!(house.get(CITIZEN, &path).expect(200).await.text().contains("20.00"));
    house.get(CITIZEN, "/r/R2026-000001-AAAA/reward").expect(404).await;
    let key = IdempotencyKey::fresh().to_string();
    let say = |payee: &'static str| {
        house.post(CITIZEN, &path).form(&[("key", key.as_str()), ("payee", payee), ("payee_name", "李")])
    };
    house.post(CITIZEN, &path).form(&[("key", "x"), ("payee", "13800000001")]).expect(422).await;
    say("138").expect(422).await;
    say("13800000001").expect(303).await;
    say("13800000002").expect(409).await;
    house.town.registry.sweep_rewards().await.unwrap();

    let listed = house.get(SUPERVISOR, "/api/v1/rewards?state=review&limit=1").expect(200).await.json();
    let reward = listed["rewards"][0].clone();
    assert_eq!((&reward["payee"], &reward["steps"]), (&json!("13800000001"), &json!(["approve", "refuse"])));
    for wrong in ["state=owed", "month=2026", "limit=0", "cursor=x"] {
        house.get(SUPERVISOR, &format!("/api/v1/rewards?{wrong}")).expect(400).await;
    }
    house.get(As::Staff(Role::Dispatcher), "/api/v1/rewards").expect(403).await;
    let id = reward["id"].as_str().unwrap();
    let month = format!("/api/v1/rewards?month={}", reward["month"].as_str().unwrap());
    assert_eq!(house.get(SUPERVISOR, &month).expect(200).await.json()["sums"][0]["fen"], 2000);
    let steps = format!("/api/v1/rewards/{id}/steps");
    let step = |path: &str, body| house.post(SUPERVISOR, path).keyed().json(body);
    assert_eq!(step(&steps, json!({"step": "refuse"})).expect(422).await.code(), "reward.needs_reason");
    assert_eq!(step(&steps, json!({"step": "pay"})).expect(422).await.code(), "reward.step_by_hand");
    step("/api/v1/rewards/none/steps", json!({"step": "approve"})).expect(404).await;
    let refused = step(&steps, json!({"step": "refuse", "note": "重复"})).expect(200).await.json();
    assert_eq!(refused["reason"], "reviewed");
    step(&steps, json!({"step": "reconsider"})).expect(200).await;
    assert_eq!(step(&steps, json!({"step": "approve"})).expect(200).await.json()["state"], "approved");
    assert_eq!(step(&steps, json!({"step": "approve"})).expect(409).await.code(), "reward.step_not_allowed");

    let payouts = "/api/v1/reward-payouts";
    let made = house.post(SUPERVISOR, payouts).keyed().expect(201).await.json();
    house.post(SUPERVISOR, payouts).keyed().expect(409).await;
    assert_eq!(house.get(SUPERVISOR, payouts).expect(200).await.json()["payouts"][0], made);
    let number = made["number"].as_str().unwrap();
    let file = house.get(SUPERVISOR, &format!("{payouts}/{number}.csv")).expect(200).await.text();
    let tracking = reward["tracking"].as_str().unwrap();
    assert!(file.contains(&format!("{tracking},13800000001,李,20.00,¥,,")), "{file}");
    house.get(SUPERVISOR, &format!("{payouts}/2020-001.csv")).expect(404).await;
    // The payer fills in two columns and sends the file back.
    let answered = file.replace(",¥,,", ",¥,已发放,4200001");
    let results = format!("{payouts}/{number}/results");
    let send = |body: String| house.post(SUPERVISOR, &results).body("text/csv", body);
    assert_eq!(send(answered.replace("已发放", "也许")).expect(422).await.code(), "reward.result");
    assert_eq!(send("a,b\n1,2\n".to_owned()).expect(422).await.code(), "reward.columns");
    assert_eq!(send(answered.clone()).expect(200).await.json()["paid"], 1);
    assert_eq!(send(answered.clone()).expect(200).await.json()["unchanged"], 1);
    let strange = format!("report,result,payment or reason\n{tracking},failed,x\nR2026-999999,paid,1\n");
    let problems = send(strange.clone()).expect(200).await.json()["problems"].clone();
    assert_eq!((&problems[0]["code"], &problems[1]["line"]), (&json!("reward.step_not_allowed"), &json!(3)));
    house.post(SUPERVISOR, &results).json(json!({})).expect(415).await;
    let history =
        house.get(SUPERVISOR, &format!("/api/v1/rewards/{id}")).expect(200).await.json()["history"].clone();
    let made_by: Vec<&str> =
        history.as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(made_by, ["claim", "ready", "refuse", "reconsider", "approve", "export", "pay"]);
    assert!(house.get(CITIZEN, &path).expect(200).await.text().contains("已发放"));

    // The same by forms.
    let page = house.get(SUPERVISOR, "/admin/rewards?state=paid").expect(200).await.text();
    assert!(page.contains(tracking) && page.contains("4200001"), "{page}");
    house.get(SUPERVISOR, "/admin/rewards?state=owed").expect(400).await;
    let send = |fields: &[(&str, &str)]| {
        let fields: Vec<(&str, &str)> = [("csrf", "")].into_iter().chain(fields.iter().copied()).collect();
        house.post(SUPERVISOR, "/admin/rewards").form(&fields)
    };
    let key = IdempotencyKey::fresh().to_string();
    send(&[("key", &key), ("step", "export")]).expect(409).await;
    send(&[("key", &key), ("id", id), ("step", "approve")]).expect(409).await;
    let taken = send(&[("payout", number), ("results", &strange)]).expect(200).await.text();
    assert!(taken.contains("第 3 行"), "{taken}");
}
