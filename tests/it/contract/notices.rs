//! 督办单, 会商 and 典型案例 over HTTP: by forms and by programs.

use lidmark::domain::cover::Party;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{IdempotencyKey, PartyId};
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{As, House, jpeg};
use crate::both_engines;
use crate::registry::notices::dispatched;

const DISPATCHER: As = As::Staff(Role::Dispatcher);
const SUPERVISOR: As = As::Staff(Role::Supervisor);
const HANDLER: As = As::Staff(Role::Handler);
const ENGINEER: As = As::Staff(Role::Engineer);
const CREW: As = As::Staff(Role::Crew);

/// Two cases with the water company, on plates of the street that other stories left alone.
async fn two_cases(house: &House) -> Vec<String> {
    let desk =
        house.town.registry.find_api_token(house.bearer(Role::Dispatcher)).await.unwrap().unwrap().user;
    let hazards = [Hazard::NoNet, Hazard::WrongCover];
    dispatched(&house.town, &house.plates[3..5], &hazards, &desk.actor()).await
}

/// Every operation about notices, meetings and examples.
pub async fn notices(house: &House) {
    let cases = two_cases(house).await;
    let water = house.town.water.to_string();
    by_programs(house, &cases).await;
    by_forms(house, &cases, &water).await;
    meetings(house, &cases, &water).await;
    meetings_by_programs(house, &cases, &water).await;
    exemplary(house, &cases).await;
    exemplary_by_programs(house, &cases).await;
    let report = house.town.registry.check_tables().await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

async fn by_programs(house: &House, cases: &[String]) {
    let body =
        json!({"title": "限期整改", "body": "请按期处置", "due_at": "2026-04-01T00:00:00Z", "cases": cases});
    let drafted =
        house.post(DISPATCHER, "/api/v1/notices").keyed().json(body.clone()).expect(201).await.json();
    let id = drafted["notice"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&drafted["notice"]["state"], &drafted["moves"]),
        (&json!("draft"), &json!(["edit", "withdraw"]))
    );
    house.post(DISPATCHER, "/api/v1/notices").json(body).expect(400).await;
    let past = json!({"title": "x", "body": "x", "due_at": "2020-01-01T00:00:00Z", "cases": cases});
    house.post(DISPATCHER, "/api/v1/notices").keyed().json(past).expect(422).await;
    house.get(HANDLER, &format!("/api/v1/notices/{id}")).expect(404).await;
    let moves = format!("/api/v1/notices/{id}/moves");
    house.post(DISPATCHER, &moves).keyed().json(json!({"move": "issue"})).expect(403).await;
    house.post(SUPERVISOR, &moves).keyed().json(json!({"move": "issue", "version": 7})).expect(409).await;
    let issued =
        house.post(SUPERVISOR, &moves).keyed().json(json!({"move": "issue"})).expect(200).await.json();
    let number = issued["notice"]["number"].as_str().unwrap().to_owned();
    assert_eq!((number.as_str(), issued["items"].as_array().unwrap().len()), ("2026-1", 2));
    let address = format!("/api/v1/notices/{number}");
    let theirs = house.get(HANDLER, &address).expect(200).await.json();
    assert_eq!(theirs["moves"], json!(["confirm", "feedback"]));
    house.get(CREW, &address).expect(403).await;
    house.get(ENGINEER, "/api/v1/notices/2026-999").expect(404).await;
    house
        .post(HANDLER, &format!("{address}/moves"))
        .keyed()
        .json(json!({"move": "confirm"}))
        .expect(200)
        .await;
    house
        .post(HANDLER, &format!("{address}/moves"))
        .keyed()
        .json(json!({"move": "confirm"}))
        .expect(409)
        .await;
    house.post(HANDLER, &format!("{address}/moves")).keyed().json(json!({"move": "dance"})).expect(422).await;
    let said = json!({"case": cases[0], "text": "防坠网已装"});
    let told =
        house.post(HANDLER, &format!("{address}/feedback")).keyed().json(said).expect(200).await.json();
    assert_eq!(told["items"][0]["feedback"]["text"], "防坠网已装");
    let fields = [("case", cases[1].as_str()), ("text", "已更换为雨水井盖")];
    let told = house
        .post(HANDLER, &format!("{address}/feedback"))
        .keyed()
        .multipart(&fields, &[jpeg(71)])
        .expect(200)
        .await
        .json();
    assert_eq!(told["photos"][0]["role"], "feedback");
    house
        .post(HANDLER, &format!("{address}/feedback"))
        .keyed()
        .json(json!({"case": "x", "text": "y"}))
        .expect(422)
        .await;
    let list = house.get(HANDLER, "/api/v1/notices?year=2026&state=running&limit=1").expect(200).await.json();
    assert_eq!((&list["notices"][0]["counts"]["answered"], &list["next"]), (&json!(2), &json!("2026-1")));
    let rest = house.get(HANDLER, "/api/v1/notices?cursor=2026-1").expect(200).await.json();
    assert_eq!(rest["notices"], json!([]));
    for wrong in ["year=x", "state=ugly", "party=x", "cursor=x", "limit=0", "x=1"] {
        house.get(ENGINEER, &format!("/api/v1/notices?{wrong}")).expect(400).await;
    }
    let sums = house.get(HANDLER, "/api/v1/notice-years").expect(200).await.json();
    assert_eq!(sums["total"], json!({"notices": 1, "items": 2, "struck_off": 0, "rate": "0.0"}));
    assert_eq!((&sums["years"][0]["year"], &sums["overdue"]), (&json!(2026), &json!([])));
}

async fn by_forms(house: &House, cases: &[String], water: &str) {
    let key = || IdempotencyKey::fresh().to_string();
    let form = house.get(DISPATCHER, "/desk/notices/new?hazard=no_net&days=0").expect(200).await.text();
    assert!(form.contains(&format!("case:{}", cases[0])) && form.contains("2026-1"), "{form}");
    for wrong in ["days=x", "fresh=maybe", "hazard=x", "district=%00"] {
        house.get(DISPATCHER, &format!("/desk/notices/new?{wrong}")).expect(400).await;
    }
    house.get(HANDLER, "/desk/notices/new").expect(403).await;
    let (one, ticked) = (key(), format!("case:{}", cases[0]));
    let fields = [
        ("csrf", ""),
        ("key", one.as_str()),
        ("title", "第二次督办"),
        ("body", "务必办结"),
        ("due", "2026-03-20"),
        ("to", water),
        ("cases", cases[1].as_str()),
        (ticked.as_str(), "on"),
    ];
    let sent = house.post(DISPATCHER, "/desk/notices").form(&fields).expect(303).await;
    let draft = sent.header("location").unwrap().to_owned();
    let wrong = [("csrf", ""), ("key", &key()), ("title", "留住的标题"), ("body", "x"), ("due", "yesterday")];
    let told = house.post(DISPATCHER, "/desk/notices").form(&wrong).expect(422).await.text();
    assert!(told.contains("留住的标题"), "{told}");
    let page = house.get(SUPERVISOR, &draft).expect(200).await.text();
    assert!(page.contains("第二次督办") && page.contains("value=\"issue\""), "{page}");
    house.get(SUPERVISOR, &format!("{draft}/notice.pdf")).expect(200).await;
    let edit = [
        ("csrf", ""),
        ("key", &key()),
        ("step", "edit"),
        ("version", "1"),
        ("title", "第二次督办（改）"),
        ("body", "务必办结"),
        ("due", "2026-03-21"),
        ("to", ""),
        ("cases", cases[0].as_str()),
    ];
    house.post(DISPATCHER, &draft).form(&edit).expect(303).await;
    let late = [("csrf", ""), ("key", &key()), ("step", "issue"), ("version", "1")];
    let told =
        house.post(SUPERVISOR, &draft).header("accept-language", "en").form(&late).expect(409).await.text();
    assert!(told.contains("Somebody did something with this notice"), "{told}");
    let issue = [("csrf", ""), ("key", &key()), ("step", "issue"), ("version", "2")];
    let sent = house.post(SUPERVISOR, &draft).form(&issue).expect(303).await;
    assert_eq!(sent.header("location"), Some("/desk/notices/2026-2"));
    let notice = "/desk/notices/2026-2";
    let page = house.get(HANDLER, notice).expect(200).await.text();
    assert!(page.contains("value=\"confirm\"") && page.contains("/feedback"), "{page}");
    house.post(HANDLER, notice).form(&[("csrf", ""), ("key", &key()), ("step", "confirm")]).expect(303).await;
    let said = [("csrf", ""), ("key", &key()), ("case", cases[0].as_str()), ("text", "办完了")];
    let feedback = format!("{notice}/feedback");
    house.post(HANDLER, &feedback).multipart(&said, &[jpeg(72)]).expect(303).await;
    let told = house.post(HANDLER, &feedback).multipart(&said[..3], &[]).expect(422).await;
    assert!(told.text().contains("role=\"alert\""));
    house.post(ENGINEER, &feedback).multipart(&said, &[]).expect(403).await;
    let page = house.get(HANDLER, notice).expect(200).await.text();
    assert!(page.contains("办完了") && page.contains("/photos/"), "{page}");

    // On paper: the same bytes again, in the reader's language.
    let pdf = async || {
        let ask = house.get(SUPERVISOR, &format!("{notice}/notice.pdf")).header("accept-language", "zh-CN");
        ask.expect(200).await
    };
    let (first, second) = (pdf().await, pdf().await);
    assert!(first.body.starts_with(b"%PDF") && first.body == second.body);
    assert_eq!(first.header("content-disposition"), Some("inline; filename=\"notice-2026-2.pdf\""));

    let list = house.get(ENGINEER, "/desk/notices?year=2026&state=running").expect(200).await.text();
    assert!(list.contains("2026-2") && list.contains("id=\"years\""), "{list}");
    let own = house.get(HANDLER, "/desk/notices").expect(200).await.text();
    assert!(own.contains("2026-2") && !own.contains("/desk/meetings"), "{own}");
    for wrong in ["year=x", "state=ugly", "party=x", "before=x"] {
        house.get(ENGINEER, &format!("/desk/notices?{wrong}")).expect(400).await;
    }
    let gone = [("csrf", ""), ("key", &key()), ("step", "withdraw"), ("reason", "重复")];
    house.post(SUPERVISOR, notice).form(&gone).expect(303).await;
    house.get(SUPERVISOR, "/desk/notices/2026-77").expect(404).await;
    let case = house.get(DISPATCHER, &format!("/desk/cases/{}", cases[0])).expect(200).await.text();
    assert!(case.contains("督办单 2026-2"), "{case}");
}

async fn meetings(house: &House, cases: &[String], water: &str) {
    let key = || IdempotencyKey::fresh().to_string();
    let page = house.get(DISPATCHER, "/desk/meetings?days=365").expect(200).await.text();
    assert!(page.contains("黄河路") && !page.contains("name=\"attendees\""), "{page}");
    house.get(DISPATCHER, "/desk/meetings?days=0").expect(400).await;
    house.get(DISPATCHER, "/desk/meetings?before=x").expect(400).await;
    house.get(HANDLER, "/desk/meetings").expect(403).await;
    let code = house.code(4).await;
    let one = key();
    let mut fields = vec![
        ("csrf", ""),
        ("key", one.as_str()),
        ("held", "2026-03-01"),
        ("place", "三楼会议室"),
        ("attendees", "城管局 王工\n水务公司 李工"),
        ("cases", cases[0].as_str()),
        ("covers", code.as_str()),
        ("district", "370502"),
        ("roads", "黄河路"),
        ("decision", "由牵头单位统一更换"),
        ("lead", water),
        ("due", "2026-03-30"),
    ];
    let sent = house.post(SUPERVISOR, "/desk/meetings").form(&fields).expect(303).await;
    let meeting = sent.header("location").unwrap().to_owned();
    assert_eq!(meeting, "/desk/meetings/2026-1");
    let two = key();
    (fields[1].1, fields[11].1) = (&two, "2026-01-01");
    let told = house.post(SUPERVISOR, "/desk/meetings").form(&fields).expect(422).await.text();
    assert!(told.contains("三楼会议室"), "{told}");
    let page = house.get(DISPATCHER, &meeting).expect(200).await.text();
    assert!(page.contains("由牵头单位统一更换") && page.contains(&code), "{page}");
    house.get(DISPATCHER, "/desk/meetings/2026-9").expect(404).await;
    house.post(SUPERVISOR, &meeting).form(&[("csrf", ""), ("key", &key()), ("reason", "")]).expect(422).await;
    house
        .post(SUPERVISOR, &meeting)
        .form(&[("csrf", ""), ("key", &key()), ("reason", "已完成")])
        .expect(303)
        .await;
    house
        .post(SUPERVISOR, &meeting)
        .form(&[("csrf", ""), ("key", &key()), ("reason", "x")])
        .expect(409)
        .await;
}

/// The same by programs. Leaves no decision in force.
async fn meetings_by_programs(house: &House, cases: &[String], water: &str) {
    let code = house.code(4).await;
    let body = json!({
        "held_at": "2026-03-01T02:00:00Z", "place": "三楼会议室", "attendees": ["城管局 王工", "水务公司 李工"],
        "decision": "由牵头单位统一更换", "lead": water, "due_at": "2026-03-30T15:59:59Z",
        "cases": [cases[0]], "covers": [code], "roads": [{"district": "370502", "road": "黄河路"}],
    });
    house.post(SUPERVISOR, "/api/v1/meetings").json(body.clone()).expect(400).await;
    house.post(DISPATCHER, "/api/v1/meetings").keyed().json(body.clone()).expect(403).await;
    let key = IdempotencyKey::fresh().to_string();
    let record = || house.post(SUPERVISOR, "/api/v1/meetings").header("idempotency-key", &key);
    let recorded = record().json(body.clone()).expect(201).await.json();
    assert_eq!((&recorded["in_force"], recorded["subjects"].as_array().unwrap().len()), (&json!(true), 3));
    assert_eq!(record().json(body.clone()).expect(201).await.json(), recorded, "the same call again");
    let mut late = body;
    late["due_at"] = json!("2026-01-01T00:00:00Z");
    record().json(late.clone()).expect(422).await;
    late["due_at"] = json!("soon");
    house.post(SUPERVISOR, "/api/v1/meetings").keyed().json(late).expect(422).await;
    let address = format!("/api/v1/meetings/{}", recorded["meeting"]["number"].as_str().unwrap());
    assert_eq!(house.get(ENGINEER, &address).expect(200).await.json(), recorded);
    house.get(HANDLER, &address).expect(403).await;
    house.get(ENGINEER, "/api/v1/meetings/2026-99").expect(404).await;
    let page = house.get(ENGINEER, "/api/v1/meetings?limit=1").expect(200).await.json();
    assert_eq!(page["meetings"], json!([recorded["meeting"]]));
    let rest = format!("/api/v1/meetings?cursor={}", page["next"].as_str().unwrap());
    assert_eq!(house.get(ENGINEER, &rest).expect(200).await.json()["meetings"][0]["number"], "2026-1");
    house.get(ENGINEER, "/api/v1/meetings?cursor=x").expect(400).await;
    let revoke = |reason: &str| {
        house.post(SUPERVISOR, &format!("{address}/revoke")).keyed().json(json!({"reason": reason}))
    };
    revoke("").expect(422).await;
    let revoked = revoke("已完成").expect(200).await.json();
    assert_eq!(
        (&revoked["in_force"], &revoked["meeting"]["revoked"]["why"]),
        (&json!(false), &json!("已完成"))
    );
    revoke("再撤一次").expect(409).await;
}

async fn exemplary_by_programs(house: &House, cases: &[String]) {
    let mark = |body: Value| house.post(SUPERVISOR, "/api/v1/exemplary").keyed().json(body);
    let body = json!({"case": cases[1], "quarter": "2026-Q2", "sentence": "两小时到场"});
    house.post(DISPATCHER, "/api/v1/exemplary").keyed().json(body.clone()).expect(403).await;
    let marked = mark(body).expect(200).await.json();
    assert_eq!(
        (&marked["examples"][0]["case"], &marked["examples"][0]["sentence"]),
        (&json!(cases[1]), &json!("两小时到场"))
    );
    let listed = house.get(DISPATCHER, "/api/v1/exemplary?quarter=2026-Q2").expect(200).await.json();
    assert_eq!(listed, marked);
    house.get(DISPATCHER, "/api/v1/exemplary?quarter=2026-Q7").expect(400).await;
    assert_eq!(house.get(DISPATCHER, "/api/v1/exemplary").expect(200).await.json()["quarter"], "2026-Q1");
    mark(json!({"case": cases[1], "quarter": "2026-4", "sentence": "x"})).expect(422).await;
    mark(json!({"case": "2026-999999", "quarter": "2026-Q2", "sentence": "x"})).expect(404).await;
    let unmark = json!({"case": cases[1], "quarter": "2026-Q2", "sentence": "标错了", "unmark": true});
    assert_eq!(mark(unmark.clone()).expect(200).await.json()["examples"], json!([]));
    mark(unmark).expect(409).await;
}

async fn exemplary(house: &House, cases: &[String]) {
    let mark = async |step: &str, quarter: &str, status: u16| -> Value {
        let key = IdempotencyKey::fresh().to_string();
        let fields = [
            ("csrf", ""),
            ("key", key.as_str()),
            ("number", cases[0].as_str()),
            ("quarter", quarter),
            ("sentence", "=两小时到场"),
            ("step", step),
        ];
        let answer = house.post(SUPERVISOR, "/desk/exemplary").form(&fields).expect(status).await;
        json!(answer.header("location"))
    };
    assert_eq!(mark("mark", "2026-Q1", 303).await, "/desk/exemplary?quarter=2026-Q1");
    mark("dance", "2026-Q1", 422).await;
    mark("mark", "2026-Q9", 422).await;
    let page = house.get(DISPATCHER, &format!("/desk/exemplary?case={}", cases[1])).expect(200).await.text();
    assert!(page.contains("两小时到场") && page.contains("2025-Q4"), "{page}");
    house.get(DISPATCHER, "/desk/exemplary?quarter=x").expect(400).await;
    let csv = house.get(DISPATCHER, "/desk/exemplary.csv?quarter=2026-Q1").expect(200).await.text();
    assert!(csv.contains("'=两小时到场") && csv.lines().count() == 2, "{csv}");
    mark("unmark", "2026-Q1", 303).await;
    mark("unmark", "2026-Q1", 409).await;
}

both_engines! {
    async fn the_addressee_of_a_notice_sees_the_photos_they_sent_though_another_party_has_the_case(ground: Ground) {
        let house = House::on(ground).await;
        let cases = two_cases(&house).await;
        let roads = PartyId::fresh();
        let party = Party { id: roads, name: "市政公司".into(), hotline: None };
        house.town.registry.put_party(party).await.unwrap();
        for number in &cases {
            let body = json!({"move": "dispatch", "party": roads, "reason": "道路作业"});
            house.post(SUPERVISOR, &format!("/api/v1/cases/{number}/moves")).keyed().json(body).expect(200).await;
        }
        let draft = json!({
            "title": "限期整改", "body": "请配合处置", "due_at": "2026-04-01T00:00:00Z", "cases": cases,
            "to": house.town.water,
        });
        let drafted = house.post(DISPATCHER, "/api/v1/notices").keyed().json(draft).expect(201).await.json();
        let moves = format!("/api/v1/notices/{}/moves", drafted["notice"]["id"].as_str().unwrap());
        let issued = house.post(SUPERVISOR, &moves).keyed().json(json!({"move": "issue"})).expect(200).await.json();
        let address = format!("/api/v1/notices/{}/feedback", issued["notice"]["number"].as_str().unwrap());
        let fields = [("case", cases[0].as_str()), ("text", "水务已配合关阀")];
        let told = house.post(HANDLER, &address).keyed().multipart(&fields, &[jpeg(73)]).expect(200).await.json();
        house.get(HANDLER, &format!("/api/v1/cases/{}", cases[0])).expect(404).await;
        let own = format!("/photos/{}", told["photos"][0]["digest"].as_str().unwrap());
        house.get(HANDLER, &own).expect(200).await;
        house.get(DISPATCHER, &own).expect(200).await;
        // A photo of the same case that came with the report stays with the party that has it.
        let plate = house.plates[3].to_string();
        let report = [("token", plate.as_str()), ("hazard", "no_net"), ("description", "网不见了")];
        let sent = house.post(As::Nobody, "/api/v1/reports").keyed().multipart(&report, &[jpeg(74)]);
        sent.expect(201).await;
        let file = house.get(DISPATCHER, &format!("/api/v1/cases/{}", cases[0])).expect(200).await.json();
        let photos = file["photos"].as_array().unwrap();
        let reported = photos.iter().find(|photo| photo["role"] == "report").unwrap();
        house.get(HANDLER, &format!("/photos/{}", reported["digest"].as_str().unwrap())).expect(404).await;
    }
}
