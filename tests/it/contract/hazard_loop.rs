//! The loop of a hazard over HTTP: intake without a plate, rules and weather, and what a case says of them.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{As, House, jpeg};

const CITIZEN: As = As::Nobody;
const DISPATCHER: As = As::Staff(Role::Dispatcher);
const SUPERVISOR: As = As::Staff(Role::Supervisor);
const ADMIN: As = As::Staff(Role::Admin);
const HANDLER: As = As::Staff(Role::Handler);
const GRID: As = As::Staff(Role::GridWorker);

pub async fn hazard_loop(house: &House) {
    by_place(house).await;
    by_telephone(house).await;
    asks(house).await;
    rules(house).await;
    rule_pages(house).await;
}

async fn asks(house: &House) {
    let code = house.code(5).await;
    let body = json!({"cover": code, "hazard": "collapsed"});
    let filed = house.post(SUPERVISOR, "/api/v1/cases").keyed().json(body).expect(201).await.json();
    let number = filed["case_number"].as_str().unwrap();
    let (case, ask) = (format!("/api/v1/cases/{number}"), format!("/api/v1/cases/{number}/asks"));
    assert_eq!(house.get(HANDLER, &case).expect(200).await.json()["case"]["state"], "dispatched");
    let wish = |kind: &str| json!({"kind": kind, "reason": "路面要开挖"});
    house.post(SUPERVISOR, &ask).keyed().json(wish("extension")).expect(403).await;
    house.post(HANDLER, &ask).keyed().json(wish("appeal")).expect(409).await;
    house.post(HANDLER, &ask).keyed().json(wish("more")).expect(422).await;
    let first = house.post(HANDLER, &ask).keyed().json(wish("extension")).expect(201).await.json();
    house.post(HANDLER, &ask).keyed().json(wish("extension")).expect(409).await;
    let open = house.get(DISPATCHER, "/api/v1/asks").expect(200).await.json();
    assert_eq!(open["asks"][0]["case"], number);
    let answer = format!("/api/v1/asks/{}", first["ask"].as_str().unwrap());
    house.post(DISPATCHER, &answer).keyed().json(json!({"verdict": "grant"})).expect(403).await;
    house.post(SUPERVISOR, &answer).keyed().json(json!({"verdict": "answer", "text": "x"})).expect(422).await;
    let before = house.get(HANDLER, &case).expect(200).await.json();
    house.post(SUPERVISOR, &answer).keyed().json(json!({"verdict": "grant"})).expect(204).await;
    let after = house.get(HANDLER, &case).expect(200).await.json();
    assert!(
        after["case"]["due_at"].as_str() > before["case"]["due_at"].as_str(),
        "the limit once more: {after}"
    );
    house.post(SUPERVISOR, &answer).keyed().json(json!({"verdict": "deny", "text": "no"})).expect(409).await;
    let nobody = format!("/api/v1/asks/{}", IdempotencyKey::fresh());
    house.post(SUPERVISOR, &nobody).keyed().json(json!({"verdict": "grant"})).expect(404).await;
    let key = IdempotencyKey::fresh().to_string();
    let form =
        [("csrf", ""), ("key", key.as_str()), ("kind", "question"), ("reason", "谁来封路？"), ("until", "")];
    let pages = format!("/desk/cases/{number}/asks");
    house.post(HANDLER, &pages).form(&form).expect(303).await;
    let key = IdempotencyKey::fresh().to_string();
    let empty = [("csrf", ""), ("key", key.as_str()), ("kind", "question"), ("reason", "")];
    house.post(HANDLER, &pages).form(&empty).expect(422).await;
    let listed = house.get(DISPATCHER, "/desk/asks").expect(200).await.text();
    let at = listed.find("action=\"/desk/asks/").unwrap() + "action=\"".len();
    let address = listed[at..].split('"').next().unwrap().to_owned();
    let key = IdempotencyKey::fresh().to_string();
    let said = [("csrf", ""), ("key", key.as_str()), ("verdict", "answer"), ("text", "交警已到场")];
    house.post(DISPATCHER, &address).form(&said).expect(303).await;
    let key = IdempotencyKey::fresh().to_string();
    let said = [("csrf", ""), ("key", key.as_str()), ("verdict", "answer"), ("text", "again")];
    house.post(DISPATCHER, &address).form(&said).expect(409).await;
}

async fn by_place(house: &House) {
    let start = house.get(CITIZEN, "/report").expect(200).await;
    assert!(start.body.len() < 50_000);
    house.post(CITIZEN, "/report").form(&[("lon", ""), ("lat", "")]).expect(422).await;
    house.post(CITIZEN, "/report").form(&[("code", "3705020102999999")]).expect(404).await;
    let here = [("lon", "118.59"), ("lat", "37.46"), ("accuracy_m", "10")];
    let form = house.post(CITIZEN, "/report").form(&here).expect(200).await.text();
    let code = house.code(3).await;
    assert!(form.contains(&format!("value=\"{code}\"")), "covers close by are offered: {form}");
    house.post(CITIZEN, "/report").form(&[("code", &code)]).expect(200).await;
    let key = IdempotencyKey::fresh().to_string();
    let mut fields = vec![("key", key.as_str()), ("cover", code.as_str()), ("hazard", "odour")];
    let sent = house.post(CITIZEN, "/report/send").multipart(&fields, &[jpeg(60)]).expect(303).await;
    let link = sent.header("location").unwrap().to_owned();
    let again = house.post(CITIZEN, "/report/send").multipart(&fields, &[jpeg(60)]).expect(303).await;
    assert_eq!(again.header("location"), Some(link.as_str()));
    house.get(CITIZEN, &link).expect(200).await;
    fields[1] = ("cover", "none");
    let key = IdempotencyKey::fresh().to_string();
    fields[0] = ("key", &key);
    house.post(CITIZEN, "/report/send").multipart(&fields, &[]).expect(422).await;
    fields.extend([("place_lon", "118.5902"), ("place_lat", "37.4602"), ("place_accuracy_m", "9")]);
    let sent = house.post(CITIZEN, "/report/send").multipart(&fields, &[]).expect(303).await;
    house.get(CITIZEN, sent.header("location").unwrap()).expect(200).await;
}

async fn by_telephone(house: &House) {
    let code = house.code(4).await;
    let found = house.get(DISPATCHER, "/desk/new?text=%E9%BB%84%E6%B2%B3").expect(200).await.text();
    assert!(found.contains(&code), "{found}");
    let body = json!({"cover": code, "hazard": "cable", "source": "hotline", "external_number": "12345-1",
        "contact": "13800000000", "description": "来电反映"});
    let filed = house.post(DISPATCHER, "/api/v1/cases").keyed().json(body).expect(201).await.json();
    assert_eq!(filed["joined"], false);
    let listed =
        house.get(DISPATCHER, "/api/v1/cases?external_number=12345-1&source=hotline").expect(200).await;
    assert_eq!(listed.json()["cases"][0]["case"]["number"], filed["case_number"]);
    let path = format!("/api/v1/cases/{}", filed["case_number"].as_str().unwrap());
    let case = house.get(DISPATCHER, &path).expect(200).await.json();
    assert_eq!(case["advice"]["row"]["id"], "other");
    assert_eq!(case["advice"]["route"]["party_name"], "东营水务");
    assert!(case["case"]["due_at"].is_string());
    let similar = house.get(GRID, &format!("/api/v1/cases/similar?cover={code}")).expect(200).await.json();
    assert_eq!(similar["cases"][0]["number"], filed["case_number"]);
    house.get(GRID, "/api/v1/cases/similar?cover=3705020102999999").expect(404).await;
    let body = json!({"cover": code, "hazard": "cable", "source": "sensor"});
    let refused = house.post(GRID, "/api/v1/cases").keyed().json(body).expect(422).await;
    assert_eq!(refused.code(), "finding.source");
    let both = json!({"cover": code, "case": filed["case_number"], "hazard": "cable"});
    house.post(GRID, "/api/v1/cases").keyed().json(both).expect(422).await;
    // One more call about the same.
    let body = json!({"case": filed["case_number"], "hazard": "cable"});
    let joined = house.post(DISPATCHER, "/api/v1/cases").keyed().json(body).expect(201).await.json();
    assert_eq!((&joined["joined"], &joined["case_number"]), (&json!(true), &filed["case_number"]));
    let key = IdempotencyKey::fresh().to_string();
    let csrf = String::new();
    let page = house.get(DISPATCHER, &format!("/desk/new?cover={code}")).expect(200).await.text();
    assert!(page.contains(filed["case_number"].as_str().unwrap()), "what is open close by is shown");
    let fields = [
        ("csrf", csrf.as_str()),
        ("key", key.as_str()),
        ("cover", code.as_str()),
        ("hazard", "level"),
        ("source", "hotline"),
        ("external_number", ""),
        ("description", ""),
        ("contact", ""),
        ("case", ""),
    ];
    house.post(DISPATCHER, "/desk/new").multipart(&fields, &[]).expect(303).await;
    let no_hazard: Vec<_> = fields.iter().filter(|(name, _)| *name != "hazard").copied().collect();
    house.post(DISPATCHER, "/desk/new").multipart(&no_hazard, &[]).expect(422).await;
}

async fn rules(house: &House) {
    let trial = house
        .get(DISPATCHER, "/api/v1/rules/try?hazard=missing&class=sewage&owner=%E4%B8%9C%E8%90%A5%E6%B0%B4%E5%8A%A1&at=2026-03-01T03:00")
        .expect(200)
        .await
        .json();
    assert_eq!((&trial["emergency"], &trial["out_of_hours"]), (&json!(true), &json!(true)));
    assert_eq!(trial["route"]["rule"], "owner");
    assert_eq!(trial["due_at"], "2026-02-28T21:00:00Z", "two hours after three in the morning in China");
    house.get(DISPATCHER, "/api/v1/rules/try?hazard=mising").expect(400).await;
    let known = house.get(SUPERVISOR, "/api/v1/rules").expect(200).await.json();
    assert_eq!(known["rules"][0]["in_force"], 0);
    let text = std::fs::read_to_string(crate::support::checkout().join("labels/routing.toml")).unwrap();
    let path = "/api/v1/rules/routing";
    let body = |text: &str, dry: bool| json!({"text": text, "note": "as before", "seen": 0, "dry_run": dry});
    let look = house.ask(ADMIN, "PUT", path).json(body(&text, true)).expect(200).await.json();
    assert!(look["version"].is_null() && look["changed"] == 0, "{look}");
    let elsewhere = text.replace("to = \"owner\"", "to = \"party nobody\"");
    let refused = house.ask(ADMIN, "PUT", path).json(body(&elsewhere, true)).expect(422).await;
    assert_eq!(refused.code(), "rules.unknown_party");
    let kept = house.ask(ADMIN, "PUT", path).json(body(&text, false)).expect(200).await.json();
    assert_eq!(kept["version"], 1);
    house.ask(ADMIN, "PUT", path).json(body(&text, false)).expect(409).await;
    house.ask(ADMIN, "PUT", "/api/v1/rules/weather").json(body(&text, true)).expect(404).await;
    house.ask(DISPATCHER, "PUT", path).json(body(&text, true)).expect(403).await;
    let storm = json!({"words": "暴雨", "until": "2026-03-05T00:00:00Z"});
    let on = house.ask(SUPERVISOR, "PUT", "/api/v1/weather").json(storm).expect(200).await.json();
    assert_eq!(on["weather"]["words"], "暴雨");
    let trial = house.get(DISPATCHER, "/api/v1/rules/try?hazard=missing").expect(200).await.json();
    let factors: Vec<&Value> = trial["triage"].as_array().unwrap().iter().map(|one| &one["factor"]).collect();
    assert!(factors.contains(&&json!("weather")), "{trial}");
    house
        .ask(SUPERVISOR, "PUT", "/api/v1/weather")
        .json(json!({"words": "", "until": "2026-03-05T00:00:00Z"}))
        .expect(422)
        .await;
    house.ask(SUPERVISOR, "PUT", "/api/v1/weather").json(json!({})).expect(200).await;
}

async fn rule_pages(house: &House) {
    house.get(SUPERVISOR, "/admin/rules").expect(200).await;
    house.get(SUPERVISOR, "/admin/rules/try").expect(200).await;
    house.get(SUPERVISOR, "/admin/rules/try?hazard=gas&class=&at=2026-03-02T09:00").expect(200).await;
    house.get(SUPERVISOR, "/admin/rules/try?hazard=gass").expect(400).await;
    house.get(ADMIN, "/admin/rules/limits").expect(200).await;
    house.get(ADMIN, "/admin/rules/nothing").expect(404).await;
    house.get(SUPERVISOR, "/admin/rules/limits/0/rules.toml").expect(200).await;
    house.get(SUPERVISOR, "/admin/rules/limits/9/rules.toml").expect(404).await;
    let csrf = String::new();
    let text = std::fs::read_to_string(crate::support::checkout().join("labels/limits.toml")).unwrap();
    let changed = text.replacen("file = \"2 work_h\"", "file = \"1 work_h\"", 1);
    let mut fields = vec![
        ("csrf", csrf.as_str()),
        ("text", changed.as_str()),
        ("note", "faster"),
        ("valid_from", ""),
        ("seen", "0"),
    ];
    let look = house.post(ADMIN, "/admin/rules/limits").multipart(&fields, &[]).expect(200).await.text();
    assert!(look.contains("id=\"look\""), "{look}");
    fields.push(("keep", "1"));
    house.post(ADMIN, "/admin/rules/limits").multipart(&fields, &[]).expect(303).await;
    house.post(ADMIN, "/admin/rules/limits").multipart(&fields, &[]).expect(409).await;
    let csrf = String::new();
    let on = [("csrf", csrf.as_str()), ("words", "汛期"), ("until", "2026-03-20")];
    house.post(SUPERVISOR, "/admin/weather").form(&on).expect(303).await;
    house
        .post(SUPERVISOR, "/admin/weather")
        .form(&[("csrf", csrf.as_str()), ("words", "x"), ("until", "2020-01-01")])
        .expect(422)
        .await;
    house.post(SUPERVISOR, "/admin/weather").form(&[("csrf", csrf.as_str()), ("end", "1")]).expect(303).await;
}
