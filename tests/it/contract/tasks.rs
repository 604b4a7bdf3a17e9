//! 任务 over HTTP: a campaign from its draft to its report, by forms and by programs, and what a crew sends of it.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{As, House, KEY, jpeg};
use crate::registry::ground::MONDAY;

const DESK: As = As::Staff(Role::Dispatcher);
const CREW: As = As::Staff(Role::Crew);
const LIST: &str = "[[question]]\nid = 'frame'\ntext = '=井座完好'\nkind = 'yes_no'\n\
    [[question]]\nid = 'step'\ntext = '高差'\nkind = 'number'\nunit = 'mm'\noptional = true\n";

/// Waits until the tasks of a campaign are there.
async fn ready(house: &House, id: &str) -> Value {
    loop {
        let known = house.get(DESK, &format!("/api/v1/campaigns/{id}")).expect(200).await.json();
        if known["stage"] == "ready" {
            return known;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn photo(house: &House, byte: u8) -> String {
    let (id, bytes) = (IdempotencyKey::fresh().to_string(), jpeg(byte));
    let path = format!("/api/v1/crew/photos/{id}?offset=0&total={}", bytes.len());
    house.ask(CREW, "PUT", &path).body("application/octet-stream", bytes).expect(200).await;
    id
}

/// Every operation about campaigns, tasks and dates.
pub async fn tasks(house: &House) {
    let steps = programs(house).await;
    pages(house, &steps).await;
    dates(house).await;
}

/// A campaign by a program; answers its id.
async fn programs(house: &House) -> String {
    let new = json!({"name": "汛前专项巡护", "kind": "campaign", "district": "370502", "road": "黄河路", "crews": ["crew"],
        "from": "2026-03-01", "until": "2026-03-10", "checklist": LIST});
    let key = IdempotencyKey::fresh().to_string();
    let post = |body: &Value| house.post(DESK, "/api/v1/campaigns").header(KEY, &key).json(body.clone());
    let draft = post(&new).expect(201).await;
    assert_eq!(post(&new).expect(201).await.json(), draft.json(), "the first answer again");
    let tag = draft.header("etag").unwrap().to_owned();
    let id = draft.json()["id"].as_str().unwrap().to_owned();
    for (field, wrong) in [
        ("kind", json!("look_back")),
        ("kind", json!("x")),
        ("name", json!("")),
        ("name", json!("a\u{0}")),
        ("from", json!("1.3.2026")),
        ("until", json!("2026-02-01")),
        ("crews", json!(["nobody"])),
        ("district", json!("\u{0}")),
        ("road", json!("\u{0}")),
        ("repeat", json!("sometimes")),
        ("checklist", json!("question = 3")),
        ("outline", json!({"type": "Polygon", "coordinates": [[[1, 2]]]})),
        ("owner", json!("x")),
        ("color", json!("red")),
    ] {
        let mut body = new.clone();
        body[field] = wrong;
        let answer = house.post(DESK, "/api/v1/campaigns").keyed().json(body).send().await;
        assert!((400..500).contains(&answer.status), "{field}: {}", answer.text());
    }
    let nowhere = json!({"name": "x", "kind": "patrol", "area": {"kind": "grid", "code": "nowhere"}, "from": "2026-03-01", "until": "2026-03-02"});
    house.post(DESK, "/api/v1/campaigns").keyed().json(nowhere).expect(404).await;
    house.get(DESK, "/api/v1/campaigns/x").expect(404).await;
    house.get(CREW, "/api/v1/campaigns").expect(403).await;

    let step = |step: &'static str, tag: &str| {
        let path = format!("/api/v1/campaigns/{id}/steps");
        house.post(DESK, &path).keyed().header("if-match", tag).json(json!({"step": step}))
    };
    step("start", "\"9\"").expect(412).await;
    step("close", &tag).expect(409).await;
    step("dance", &tag).expect(422).await;
    step("start", &tag).expect(200).await;
    let known = ready(house, &id).await;
    let total = known["progress"]["total"].as_i64().unwrap();
    assert!(total > 2, "{known}");
    assert_eq!(known["streets"][0]["progress"]["open"], json!(total));
    assert_eq!(
        house.get(DESK, "/api/v1/campaigns?limit=1").expect(200).await.json()["campaigns"][0]["id"],
        id.as_str()
    );

    // The crew takes them along and sends what it found.
    let package = house.get(CREW, "/api/v1/crew/packages/covers?tasks=true").expect(200).await.json();
    let covers = package["covers"].as_array().unwrap();
    assert_eq!(covers.len() as i64, total);
    let task = |at: usize| (covers[at]["cover"].clone(), covers[at]["tasks"][0].clone());
    let (cover, first) = task(0);
    assert_eq!((&first["name"], &first["questions"][0]["kind"]), (&json!("汛前专项巡护"), &json!("yes_no")));
    let act = async |body: Value, status: u16| {
        house.post(CREW, "/api/v1/crew/actions").keyed().json(body).expect(status).await.json()
    };
    let fine = json!({"kind": "task", "done_at": MONDAY, "task": first["id"], "cover": cover, "found": "fine", "checklist": {"frame": true, "step": 5}});
    let done = act(fine.clone(), 201).await;
    assert!(done["kind"] == "task" && done["cover"].get("tasks").is_none(), "{done}");
    let (there, second) = task(1);
    for wrong in [
        json!({"found": "fine", "checklist": {"frame": 3}}),
        json!({"found": "fine", "checklist": {}}),
        json!({"found": "fine"}),
        json!({"found": "hazard", "checklist": {"frame": false}}),
        json!({"found": "hazard", "hazard": "broken", "checklist": {"frame": false}}),
        json!({"found": "holds"}),
        json!({"found": "no_access"}),
        json!({"found": "ugly"}),
        json!({"found": "fine", "checklist": [1]}),
    ] {
        let mut body = json!({"kind": "task", "done_at": MONDAY, "task": second["id"], "cover": there});
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        act(body, 422).await;
    }
    act(json!({"kind": "task", "done_at": MONDAY, "task": cover, "cover": there, "found": "gone", "photos": [{"id": photo(house, 71).await, "role": "cover"}]}), 404).await;
    let photos = json!([{"id": photo(house, 72).await, "role": "before"}]);
    let trouble = json!({"kind": "task", "done_at": MONDAY, "task": second["id"], "cover": there, "found": "hazard", "hazard": "rocking",
        "description": "晃动", "checklist": {"frame": false}, "photos": photos});
    assert!(act(trouble, 201).await["case"].is_string());
    // Somebody else was there as well.
    let mut otherwise = fine;
    otherwise["task"] = second["id"].clone();
    otherwise["cover"] = there.clone();
    let grid = As::Staff(Role::GridWorker);
    let question = house.post(grid, "/api/v1/crew/actions").keyed().json(otherwise).expect(409).await.json();
    assert_eq!(
        (&question["code"], &question["visit"]["found"]),
        (&json!("task.done_meanwhile"), &json!("hazard"))
    );

    let known = house.get(DESK, &format!("/api/v1/campaigns/{id}?round=1")).expect(200).await.json();
    assert_eq!((&known["progress"]["done"], &known["progress"]["trouble"]), (&json!(2), &json!(1)));
    assert_eq!(
        known["questions"][0]["counts"],
        json!([{"answer": "true", "count": 1}, {"answer": "false", "count": 1}])
    );
    assert_eq!(known["questions"][1]["mean"], json!(5.0));
    house.get(DESK, &format!("/api/v1/campaigns/{id}?round=2")).expect(400).await;
    let done =
        house.get(DESK, &format!("/api/v1/tasks?campaign={id}&state=done&limit=1")).expect(200).await.json();
    let rest = house.get(
        DESK,
        &format!("/api/v1/tasks?campaign={id}&state=done&cursor={}", done["next"].as_str().unwrap()),
    );
    assert_eq!(rest.expect(200).await.json()["tasks"].as_array().unwrap().len(), 1);
    for wrong in
        ["kind=x", "state=x", "result=x", "crew=x", "cover=x", "cursor=x", "limit=0", "round=x", "color=red"]
    {
        house.get(DESK, &format!("/api/v1/tasks?{wrong}")).expect(400).await;
    }
    house.get(DESK, "/api/v1/tasks?district=%00").expect(200).await;
    house.get(DESK, "/api/v1/tasks/recurrences?from=2026-01-01&until=2026-12-31").expect(200).await;
    house.get(DESK, "/api/v1/tasks/recurrences?from=x&until=2026-12-31").expect(400).await;
    id
}

async fn pages(house: &House, other: &str) {
    house.get(DESK, "/desk/campaigns/new").expect(200).await;
    let key = IdempotencyKey::fresh().to_string();
    let outline = r#"{"type":"Polygon","coordinates":[[[118.5,37.4],[118.7,37.4],[118.7,37.5],[118.5,37.5],[118.5,37.4]]]}"#;
    let fields = |more: &[(&'static str, &'static str)]| {
        let mut all = vec![
            ("csrf", ""),
            ("key", key.as_str()),
            ("name", "日常巡护"),
            ("kind", "patrol"),
            ("day:mon", "1"),
            ("day:wed", "1"),
            ("from", "2026-03-01"),
            ("until", "2026-03-31"),
            ("checklist", LIST),
            ("outline", outline),
            ("class", "sewage"),
        ];
        all.extend(more);
        house.post(DESK, "/desk/campaigns").header("accept-language", "en").form(&all)
    };
    let told = fields(&[("from", "x")]).expect(422).await.text();
    assert!(told.contains("日常巡护") && told.contains("checked"), "what was typed is kept: {told}");
    fields(&[("outline", "{")]).expect(400).await;
    fields(&[("outline", "[]")]).expect(422).await;
    fields(&[("area_code", "x")]).expect(422).await;
    fields(&[("every", "0")]).expect(422).await;
    fields(&[("color", "red")]).expect(400).await;
    let made = fields(&[]).expect(303).await;
    let address = made.header("location").unwrap().to_owned();
    let shown = house.get(DESK, &address).header("accept-language", "en").expect(200).await.text();
    assert!(shown.contains("Monday, Wednesday") && shown.contains("Start and send crews"), "{shown}");
    let step = |step: &'static str, version: &'static str| {
        let key = IdempotencyKey::fresh().to_string();
        let fields = [("csrf", ""), ("key", key.as_str()), ("version", version), ("step", step)];
        house.post(DESK, &address).header("accept-language", "en").form(&fields)
    };
    step("close", "1").expect(409).await;
    step("x", "1").expect(422).await;
    step("start", "1").expect(303).await;
    ready(house, address.rsplit('/').next().unwrap()).await;
    step("withdraw", "2").expect(303).await;
    house.town.registry.sweep_tasks().await.unwrap();

    let address = format!("/desk/campaigns/{other}");
    let shown = house.get(DESK, &address).header("accept-language", "en").expect(200).await.text();
    assert!(
        shown.contains("viewBox") && shown.contains("Hazards found") && shown.contains("黄河路"),
        "{shown}"
    );
    let csv = house
        .get(DESK, &format!("{address}/results.csv"))
        .header("accept-language", "en")
        .expect(200)
        .await
        .text();
    assert!(csv.contains("'=井座完好") && csv.lines().count() > 3, "{csv}");
    let pdf = house.get(DESK, &format!("{address}/report.pdf?round=1")).expect(200).await;
    assert!(pdf.body.starts_with(b"%PDF"));
    house.get(DESK, &format!("{address}/report.pdf?round=7")).expect(400).await;
    house.get(DESK, "/desk/campaigns/x").expect(404).await;
    house.get(DESK, "/desk/campaigns?before=x").expect(400).await;
    assert!(house.get(DESK, "/desk/campaigns").expect(200).await.text().contains("汛前专项巡护"));
}

async fn dates(house: &House) {
    let covers = house.get(DESK, "/api/v1/covers?limit=2").expect(200).await.json();
    let code = |at: usize| covers["covers"][at]["code"].as_str().unwrap().to_owned();
    let put = |body: Value| house.ask(DESK, "PUT", "/api/v1/due-dates").keyed().json(body);
    put(json!({"code": code(0), "kind": "fall_net", "due": "2026-03-20"})).expect(204).await;
    put(json!({"code": code(0), "kind": "patrol", "due": "2026-03-20"})).expect(422).await;
    put(json!({"code": code(0), "kind": "fall_net", "due": "x"})).expect(422).await;
    put(json!({"code": "1\u{0}", "kind": "fall_net", "due": null})).expect(422).await;
    put(json!({"code": "1", "kind": "fall_net", "due": null})).expect(404).await;
    let set = |lines: String| {
        house
            .post(DESK, "/desk/due-dates")
            .header("accept-language", "en")
            .form(&[("csrf", ""), ("lines", &lines)])
    };
    set(format!("{},检查,2026-05-01\n{}\tfall_net\t-\n", code(1), code(1))).expect(303).await;
    let told = set(format!("{}，防坠网，2026-04-01\n\nx\n{},dance,2026-01-01\n", code(1), code(1)))
        .expect(422)
        .await
        .text();
    assert!(told.contains("Line 3") && told.contains("Line 4") && !told.contains("Line 1"), "{told}");
    let listed = house.get(DESK, "/api/v1/due-dates?until=2026-12-31").expect(200).await.json();
    assert_eq!(listed["due_dates"].as_array().unwrap().len(), 3, "{listed}");
    house.get(DESK, "/api/v1/due-dates?until=x").expect(400).await;
    house.get(DESK, "/desk/due-dates?until=2026-12-31").expect(200).await;
    house.get(DESK, "/desk/due-dates?until=x").expect(400).await;
}
