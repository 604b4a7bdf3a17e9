//! The API for programs that keep a copy and write in bulk: what a token opens, how much it may ask, which fields it
//! gets, many covers read and written in one call.

use std::collections::{BTreeMap, BTreeSet};

use lidmark::config::ApiLimits;
use lidmark::domain::calendar::Day;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use lidmark::registry::NewToken;
use serde_json::{Value, json};

use super::editing::street;
use super::house::{Answer, As, Ask, House, KEY};
use crate::both_engines;
use crate::support::contract::contract;
use crate::support::engines::Ground;

const ENGINEER: As = As::Staff(Role::Engineer);
const NOBODY: As = As::Nobody;
const READ: &str = "/api/v1/covers/read";
const WRITE: &str = "/api/v1/covers/write";

/// The operations over many covers at once.
pub async fn scripts(house: &House) {
    let codes = [house.code(0).await, house.code(1).await];
    let body = json!({"codes": codes, "fields": "code,version"});
    let read = house.post(ENGINEER, READ).json(body).expect(200).await.json();
    let cover = &read["covers"][1]["cover"];
    assert_eq!((&cover["code"], cover.get("class")), (&json!(codes[1]), None));
    let change =
        json!({"code": codes[1], "if_version": cover["version"], "change": {"set": {"material": "steel"}}});
    let body = json!({"mode": "all_or_nothing", "changes": [change]});
    house.post(ENGINEER, WRITE).keyed().json(body).expect(200).await;
}

/// Asks with a token of these scopes.
struct Holder<'h> {
    house: &'h House,
    secret: String,
}

impl Holder<'_> {
    async fn new<'h>(house: &'h House, login: &str, scopes: &str) -> Holder<'h> {
        let (name, scopes) = (format!("{login}: {scopes}"), scopes.parse().unwrap());
        let new = NewToken { login: login.into(), name, scopes, last_day: None };
        Holder { house, secret: house.town.registry.add_token(new).await.unwrap() }
    }

    fn ask(&self, method: &'static str, path: &str) -> Ask<'_> {
        self.house.ask(NOBODY, method, path).header("authorization", &format!("Bearer {}", self.secret))
    }
}

/// Changes a cover that nobody has changed yet.
async fn patch(holder: &Holder<'_>, cover: &str) -> Answer {
    let ask = holder.ask("PATCH", cover).keyed().header("if-match", "\"1\"");
    ask.json(json!({"set": {"material": "steel"}})).send().await
}

/// What a token that is too narrow hears.
fn assert_wants(answer: &Answer, scope: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (403, "http.scope"), "{}", answer.text());
    assert!(answer.json()["detail"].as_str().unwrap().contains(scope), "{}", answer.text());
    let told = answer.header("www-authenticate").unwrap();
    assert_eq!(told, format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""));
}

both_engines! {
    async fn a_token_opens_its_scopes_and_no_more_than_its_user_may(ground: Ground) {
        let house = House::on(ground).await;
        let code = house.code(0).await;
        let cover = format!("/api/v1/covers/{code}");
        let reader = Holder::new(&house, "engineer", "read").await;
        reader.ask("GET", &cover).expect(200).await;
        reader.ask("POST", READ).json(json!({"codes": [code]})).expect(200).await;
        reader.ask("GET", "/ogc/collections/covers/items?f=json").expect(200).await;
        assert_wants(&patch(&reader, &cover).await, "covers:write");
        let sent = reader.ask("POST", WRITE).keyed().json(json!({"mode": "each", "changes": []})).send().await;
        assert_wants(&sent, "covers:write");
        assert_wants(&reader.ask("POST", "/api/v1/cases").keyed().json(json!({})).send().await, "cases:write");
        // Nothing was changed by what was refused.
        assert_eq!(reader.ask("GET", &cover).expect(200).await.header("etag"), Some("\"1\""));

        let writer = Holder::new(&house, "engineer", "covers:write").await;
        assert_wants(&writer.ask("GET", &cover).send().await, "read");
        for collection in ["covers", "manholes", "cases", "plates", "districts"] {
            let path = format!("/ogc/collections/{collection}/items?f=json");
            assert_wants(&writer.ask("GET", &path).send().await, "read");
        }
        assert_eq!(patch(&writer, &cover).await.status, 200);
        // A scope adds nothing to a role.
        let crew = Holder::new(&house, "crew", "read,covers:write").await;
        assert_eq!(patch(&crew, &cover).await.code(), "http.role");
        // Those for one door open no other, and `staff` opens every one.
        let platform = Holder::new(&house, "engineer", "sensors").await;
        assert_wants(&platform.ask("GET", &cover).send().await, "read");
        let sent = reader.ask("POST", "/api/v1/sensor-readings").json(json!([])).send().await;
        assert_wants(&sent, "sensors");
        let all = Holder::new(&house, "engineer", "staff").await;
        all.ask("POST", "/api/v1/sensor-readings").json(json!([])).expect(200).await;
        let token = NewToken { login: "crew".into(), name: "x".into(), scopes: "read,open311".parse().unwrap(), last_day: None };
        assert!(house.town.registry.add_token(token).await.is_err());

        // A token ends with its last day on the city's clock, and says when it was last used.
        let day = |text: &str| Day::try_from(text.to_owned()).ok();
        let new = NewToken { login: "engineer".into(), name: "until".into(), scopes: "read".parse().unwrap(), last_day: day("2026-03-02") };
        let secret = house.town.registry.add_token(new.clone()).await.unwrap();
        let over = house.town.registry.add_token(NewToken { name: "over".into(), last_day: day("2026-03-01"), ..new }).await;
        assert!(over.is_err());
        let until = Holder { house: &house, secret };
        until.ask("GET", &cover).expect(200).await;
        let tokens = house.town.registry.list_api_tokens().await.unwrap();
        let token = tokens.iter().find(|token| token.name == "until").unwrap();
        assert_eq!((token.scope.as_str(), token.last_used_on.as_deref()), ("read", Some("2026-03-02")));
        assert!(tokens.iter().any(|token| token.name == "admin" && token.last_used_on.is_none()));
        // Midnight in China.
        house.town.clock.store(1_772_467_199_999, std::sync::atomic::Ordering::SeqCst);
        until.ask("GET", &cover).expect(200).await;
        house.town.clock.store(1_772_467_200_000, std::sync::atomic::Ordering::SeqCst);
        for path in [cover.as_str(), "/ogc/collections/covers/items", "/ogc/collections/cases/items", "/ogc/collections/plates/items"] {
            let dead = until.ask("GET", path).expect(401).await;
            assert_eq!((dead.code().as_str(), dead.header("www-authenticate")), ("http.token", Some("Bearer error=\"invalid_token\"")));
        }
        house.assert_faultless();
    }
}

/// Every network and every token has a budget that every answer tells.
#[tokio::test]
async fn budgets_are_told_with_every_answer_and_kept() {
    let house = House::open_with(Ground::sqlite().unwrap(), |config| {
        config.behind_proxy = true;
        config.api = ApiLimits { token_per_minute: 6, network_per_minute: 3, machine_per_minute: 100 };
    })
    .await;
    let code = house.code(0).await;
    let cover = format!("/api/v1/covers/{code}");
    let budget = |answer: &Answer| {
        let policy = answer.header("ratelimit-policy").unwrap_or_default().to_owned();
        (policy, answer.header("ratelimit").unwrap_or_default().split(";t=").next().unwrap().to_owned())
    };
    // Whoever sends no token shares the budget of the network, refusals included.
    let ogc = |network: &'static str| house.get(NOBODY, "/ogc?f=json").header("x-forwarded-for", network);
    let first = ogc("203.0.113.7").expect(200).await;
    assert_eq!(budget(&first), ("\"network\";q=3;w=60".into(), "\"network\";r=2".into()));
    let second = house.get(NOBODY, &cover).header("x-forwarded-for", "203.0.113.7").expect(401).await;
    assert_eq!(budget(&second).1, "\"network\";r=1");
    let made_up = house.get(NOBODY, &cover).header("x-forwarded-for", "203.0.113.7");
    let made_up = made_up.header("authorization", "Bearer MADEUP").expect(401).await;
    assert_eq!(budget(&made_up).1, "\"network\";r=0", "a made-up token has no budget of its own");
    let over = ogc("203.0.113.7").header("accept-language", "en").expect(429).await;
    let wait: u64 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{over:?}");
    let told = over.json();
    assert_eq!(
        (told["code"].as_str(), &told["violated-policies"]),
        (Some("http.quota"), &json!(["network"]))
    );
    assert!(told["type"].as_str().unwrap().ends_with("#quota-exceeded"), "{told}");
    assert!(told["detail"].as_str().unwrap().contains(&format!("{wait} s")), "{told}");
    assert_eq!(over.header("ratelimit"), Some(format!("\"network\";r=0;t={wait}").as_str()));
    ogc("203.0.113.8").expect(200).await;
    // A token has its own, wherever it is used.
    let ask = |network: &'static str| house.get(ENGINEER, &cover).header("x-forwarded-for", network);
    let token = ask("203.0.113.9").expect(200).await;
    assert_eq!(budget(&token), ("\"token\";q=6;w=60".into(), "\"token\";r=5".into()));
    assert_eq!(budget(&ask("203.0.113.7").expect(200).await).1, "\"token\";r=4");
    for _ in 0..4 {
        ask("203.0.113.10").expect(200).await;
    }
    assert_eq!(ask("203.0.113.11").expect(429).await.json()["violated-policies"], json!(["token"]));
    // The machine itself, and pages, which have none.
    let own = house.get(ENGINEER, &cover).expect(200).await;
    assert_eq!(budget(&own).0, "\"machine\";q=100;w=60");
    let page = house.get(NOBODY, "/").expect(200).await;
    assert_eq!(page.header("ratelimit"), None);
    // A minute later all of it is there again.
    house.town.clock.fetch_add(60_000, std::sync::atomic::Ordering::SeqCst);
    ogc("203.0.113.7").expect(200).await;
    house.assert_faultless();
}

/// Whatever takes `fields` knows every member that the contract names, and no other.
#[tokio::test]
async fn fields_are_those_of_the_contract() {
    let house = House::open().await;
    house.reload_map().await;
    let token = house.plates[0];
    let reported = house.town.report(token, lidmark::domain::hazard::Hazard::Broken).await;
    let code = house.code(0).await;
    let batch =
        house.get(ENGINEER, "/api/v1/plate-batches").expect(200).await.json()["batches"][0]["id"].clone();
    let sent = json!({"token": token.to_string(), "hazard": "rocking"});
    let link = house.post(NOBODY, "/api/v1/reports").keyed().json(sent).expect(201).await.json();
    let link = link["link"].as_str().unwrap().trim_start_matches("/r/").to_owned();
    let number = reported.case_number;
    let shapes = [
        ("/api/v1/covers".to_owned(), "Cover", "code,class,lon", "/covers/0"),
        (format!("/api/v1/covers/{code}"), "Cover", "code,position.lat,version", ""),
        ("/api/v1/cases".to_owned(), "CaseLine", "number,road,case.state", "/cases/0"),
        (format!("/api/v1/cases/{number}"), "CaseFile", "case.number,reports", ""),
        (format!("/api/v1/plates/{token}"), "PublicPlate", "state,cover.code", ""),
        (format!("/api/v1/reports/{link}"), "TrackedReport", "tracking,state", ""),
        (
            format!("/api/v1/plate-batches/{}/plates", batch.as_str().unwrap()),
            "LedgerPlate",
            "token,code",
            "/plates/0",
        ),
        ("/api/v1/map/covers".to_owned(), "", "code,class,lon", "/covers/0"),
    ];
    for (path, schema, fields, at) in shapes {
        let role =
            if schema == "CaseLine" || schema == "CaseFile" { Role::Dispatcher } else { Role::Engineer };
        let refused = house.get(As::Staff(role), &format!("{path}?fields=nonsense"));
        let refused = refused.header("accept-language", "en").expect(400).await;
        assert_eq!(refused.code(), "http.fields", "{path}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        let known: BTreeSet<String> =
            detail.split("fits: ").nth(1).unwrap().split(", ").map(str::to_owned).collect();
        let own: BTreeSet<String> = known.iter().filter(|name| !name.contains('.')).cloned().collect();
        if !schema.is_empty() {
            assert_eq!(own, contract().members(schema), "{path}");
        }
        let whole = house.get(As::Staff(role), &path).expect(200).await.json();
        let whole = whole.pointer(at).unwrap();
        for name in whole.as_object().unwrap().keys() {
            assert!(own.contains(name), "{path}: {name}");
        }
        let sparse = house.get(As::Staff(role), &format!("{path}?fields={fields}")).expect(200).await.json();
        let sparse = sparse.pointer(at).unwrap().as_object().unwrap();
        assert_eq!(
            sparse.len(),
            fields.split(',').count() - usize::from(schema == "CaseLine"),
            "{path}: {sparse:?}"
        );
        for (name, value) in sparse {
            assert!(known.contains(name) && (value.is_object() || *value == whole[name]), "{path}: {name}");
        }
    }
    // The names of cases are those of the contract as well.
    let refused =
        house.get(As::Staff(Role::Dispatcher), "/api/v1/cases?fields=x").header("accept-language", "en");
    let detail = refused.expect(400).await.json()["detail"].as_str().unwrap().to_owned();
    for name in contract().members("Case") {
        assert!(detail.contains(&format!("case.{name}")), "{name}: {detail}");
    }
    house.get(ENGINEER, "/api/v1/covers?fields=code&fields=class").expect(400).await;
    house.get(ENGINEER, "/covers?fields=code").expect(400).await;
    house.assert_faultless();
}

both_engines! {
    async fn many_covers_are_read_in_the_order_asked(ground: Ground) {
        let house = House::on(ground).await;
        let codes = street(&house, 6).await;
        let change = json!({"set": {"class": "sewage"}});
        let path = format!("/api/v1/covers/{}", codes[2]);
        let moved = house.ask(ENGINEER, "PATCH", &path).keyed().header("if-match", "\"1\"").json(change);
        let moved = moved.expect(200).await.json();
        let asked = json!([codes[4], "3705020102999999", codes[2], codes[4], "x\u{0}y", moved["code"], ""]);
        let read = house.post(ENGINEER, READ).json(json!({"codes": asked})).expect(200).await.json();
        let covers = read["covers"].as_array().unwrap();
        let found: Vec<&Value> = covers.iter().map(|cover| &cover["asked"]).collect();
        assert_eq!(found, [&json!(codes[4]), &json!(codes[2]), &json!(codes[4]), &moved["code"]]);
        assert_eq!(read["missing"], json!(["3705020102999999", "x\u{0}y", ""]));
        assert_eq!((&covers[1]["cover"]["code"], &covers[1]["etag"]), (&moved["code"], &json!("\"2\"")));
        assert_eq!(read["last"], house.last_change().await);
        let ids: Vec<&Value> = covers.iter().map(|cover| &cover["cover"]["id"]).collect();
        let by_id = json!({"ids": [ids[1], "no id", IdempotencyKey::fresh(), ids[0]], "fields": "code"});
        let by_id = house.post(ENGINEER, READ).json(by_id).expect(200).await.json();
        assert_eq!(by_id["covers"][0]["cover"], json!({"code": moved["code"]}));
        assert_eq!((by_id["covers"].as_array().unwrap().len(), by_id["missing"].as_array().unwrap().len()), (2, 2));
        let nothing = house.post(ENGINEER, READ).json(json!({"codes": []})).expect(200).await.json();
        assert_eq!(nothing["last"], house.last_change().await);
        for (body, code) in [
            (json!({}), "covers.code_or_id"),
            (json!({"codes": [], "ids": []}), "covers.code_or_id"),
            (json!({"codes": vec!["x"; 1001]}), "covers.too_many"),
            (json!({"codes": [3]}), "http.json_data"),
            (json!({"codes": [], "colour": 1}), "http.json_data"),
        ] {
            assert_eq!(house.post(ENGINEER, READ).json(body).expect(422).await.code(), code);
        }
        let wrong = house.post(ENGINEER, READ).json(json!({"codes": [], "fields": "colour"})).expect(400).await;
        assert_eq!(wrong.code(), "http.fields");
        house.assert_faultless();
    }

    async fn many_changes_are_made_together_or_each_for_itself(ground: Ground) {
        let house = House::on(ground).await;
        let codes = street(&house, 6).await;
        let ids = house.post(ENGINEER, READ).json(json!({"codes": codes})).expect(200).await.json();
        let id = |at: usize| ids["covers"][at]["cover"]["id"].clone();
        let material = |word: &str| json!({"set": {"material": word}});
        let write = |key: &str, body: Value| house.post(ENGINEER, WRITE).header(KEY, key).json(body);
        let outcomes = |said: &Value| -> Vec<String> {
            said["outcomes"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap().to_owned()).collect()
        };
        let etags = async || {
            let read = house.post(ENGINEER, READ).json(json!({"codes": codes})).expect(200).await.json();
            read["covers"].as_array().unwrap().iter().map(|one| one["etag"].clone()).collect::<Vec<_>>()
        };
        // One stands in the way of all; each is told what it is.
        let mixed = json!([
            {"code": codes[0], "if_version": 1, "change": material("steel")},
            {"id": id(1), "if_match": "\"1\"", "change": {"set": {"position": {"x": 118.7011, "y": 37.5002}}, "reason": "seen"}},
            {"code": codes[2], "if_version": 7, "change": material("steel")},
            {"code": codes[3], "if_version": 1, "change": material("gold")},
            {"code": codes[3], "if_version": 1, "change": {"set": {"position": {"x": 119.9, "y": 37.5}}}},
            {"code": "3705020102999999", "if_version": 1, "change": material("steel")},
            {"id": IdempotencyKey::fresh(), "if_version": 1, "change": material("steel")},
            {"code": codes[4], "if_version": 1, "change": {"set": {"state": "intact"}}},
            {"code": codes[5], "change": material("steel")},
            // A second change of one cover names the version of the first.
            {"code": codes[0], "if_version": 2, "change": {"set": {"class": "sewage"}, "reason": "smells"}},
        ]);
        let (before, last) = (etags().await, house.last_change().await);
        let key = IdempotencyKey::fresh().to_string();
        let body = json!({"mode": "all_or_nothing", "changes": mixed});
        let told = write(&key, body.clone()).expect(409).await;
        assert_eq!(told.code(), "covers.not_all");
        let told = told.json();
        let wanted = ["left", "left", "conflict", "refused", "refused", "missing", "missing", "unchanged", "refused", "left"];
        assert_eq!(outcomes(&told), wanted);
        assert_eq!((&told["outcomes"][2]["version"], &told["outcomes"][0]["version"]), (&json!(1), &json!(1)));
        assert_eq!(told["outcomes"][3]["problem"]["code"], "material.unknown");
        assert_eq!(told["outcomes"][4]["problem"]["code"], "position.far");
        assert_eq!(told["outcomes"][8]["problem"]["code"], "precondition.version");
        assert_eq!((etags().await, house.last_change().await), (before.clone(), last), "nothing was changed");
        assert_eq!(write(&key, body).expect(409).await.json(), told, "the first answer again");

        // The same, each for itself.
        let key = IdempotencyKey::fresh().to_string();
        let body = json!({"mode": "each", "changes": mixed});
        let done = write(&key, body.clone()).expect(200).await.json();
        let wanted = ["changed", "changed", "conflict", "refused", "refused", "missing", "missing", "unchanged", "refused", "changed"];
        assert_eq!(outcomes(&done), wanted);
        assert_eq!((&done["counts"]["changed"], &done["counts"]["refused"]), (&json!(3), &json!(3)));
        let sewage = done["outcomes"][9]["code"].as_str().unwrap();
        assert!(sewage != codes[0] && done["outcomes"][9]["version"] == 3, "{done}");
        assert_eq!(etags().await, [json!("\"3\""), json!("\"2\""), before[2].clone(), before[3].clone(), before[4].clone(), before[5].clone()]);
        let news = house.last_change().await - last;
        assert_eq!(news, 2, "two covers changed, each told once");
        assert_eq!(write(&key, body).expect(200).await.json(), done, "the first answer again");
        assert_eq!(house.last_change().await - last, news);
        let other = json!({"mode": "each", "changes": [{"code": codes[2], "if_version": 1, "change": material("steel")}]});
        assert_eq!(write(&key, other.clone()).expect(409).await.code(), "idempotency.other_request");
        // The file says who and why, as for a change by hand.
        let history = house.get(ENGINEER, &format!("/api/v1/covers/{sewage}/history")).expect(200).await.json();
        let last_entry = history["entries"].as_array().unwrap().last().unwrap();
        assert_eq!((&last_entry["kind"], &last_entry["body"]["why"]), (&json!("updated"), &json!("smells")));
        assert_eq!(history["chain"]["state"], "whole");

        // All of them, and a retired one that stands in the way.
        let all = |version: i64| json!({"mode": "all_or_nothing", "changes": [
            {"code": codes[3], "if_version": version, "change": material("steel")},
            {"code": codes[4], "if_version": version, "change": material("steel")}]});
        let done = house.post(ENGINEER, WRITE).keyed().json(all(1)).expect(200).await.json();
        assert_eq!(outcomes(&done), ["changed", "changed"]);
        let gone = json!({"retire_reason": "removed", "reason": "gone"});
        let path = format!("/api/v1/covers/{}/retire", codes[4]);
        house.post(ENGINEER, &path).keyed().header("if-match", "\"2\"").json(gone).expect(200).await;
        let told = house.post(ENGINEER, WRITE).keyed().json(all(2)).expect(409).await.json();
        assert_eq!(outcomes(&told), ["unchanged", "conflict"]);
        for (body, status, code) in [
            (json!({"mode": "some", "changes": [{"code": codes[0], "if_version": 1, "change": material("steel")}]}), 422, "write_mode.unknown"),
            (json!({"mode": "each", "changes": []}), 422, "edit.empty"),
            (json!({"mode": "each", "changes": [{"if_version": 1, "change": material("steel")}]}), 422, "covers.code_or_id"),
            (json!({"mode": "each", "changes": [{"id": "x", "if_version": 1, "change": material("steel")}]}), 422, "id.not_a_uuid"),
            (json!({"mode": "each", "changes": vec![json!({"code": "x"}); 501]}), 422, "covers.too_many"),
            (json!({"mode": "each", "changes": [[1]]}), 422, "http.json_data"),
        ] {
            assert_eq!(house.post(ENGINEER, WRITE).keyed().json(body).expect(status).await.code(), code);
        }
        house.post(ENGINEER, WRITE).json(other).expect(400).await;
        assert_eq!(house.town.registry.check_tables().await.unwrap().findings, []);
        house.assert_faultless();
    }

    async fn writers_at_once_lose_no_update(ground: Ground) {
        let house = House::on(ground).await;
        let codes = street(&house, 12).await;
        let rounds = 12;
        let write = async |turn: usize| {
            let mut changed: BTreeMap<String, i64> = BTreeMap::new();
            for round in 0..rounds {
                let read = house.post(ENGINEER, READ).json(json!({"codes": codes})).expect(200).await.json();
                let mut covers = read["covers"].as_array().unwrap().clone();
                // Each writer goes through the covers from another end.
                covers.rotate_left((turn * 5 + round) % codes.len());
                if turn % 2 == 1 {
                    covers.reverse();
                }
                let count = |cover: &Value| -> i64 {
                    cover["extra"]["count"].as_str().map_or(0, |text| text.parse().unwrap())
                };
                if turn == 0 {
                    // One of them by hand.
                    let cover = &covers[0]["cover"];
                    let code = cover["code"].as_str().unwrap();
                    let set = json!({"set": {"extra": {"count": (count(cover) + 1).to_string()}}});
                    let ask = house.ask(ENGINEER, "PATCH", &format!("/api/v1/covers/{code}")).keyed();
                    let answer = ask.header("if-match", covers[0]["etag"].as_str().unwrap()).json(set).send().await;
                    assert!([200, 412].contains(&answer.status), "{}", answer.text());
                    *changed.entry(code.to_owned()).or_default() += i64::from(answer.status == 200);
                    continue;
                }
                let changes: Vec<Value> = covers
                    .iter()
                    .map(|one| {
                        let next = (count(&one["cover"]) + 1).to_string();
                        json!({"id": one["cover"]["id"], "if_match": one["etag"],
                            "change": {"set": {"extra": {"count": next}}}})
                    })
                    .collect();
                let mode = if turn == 1 { "all_or_nothing" } else { "each" };
                let answer = house.post(ENGINEER, WRITE).keyed();
                let answer = answer.json(json!({"mode": mode, "changes": changes})).send().await;
                assert!(answer.status == 200 || (turn == 1 && answer.status == 409), "{}", answer.text());
                for one in answer.json()["outcomes"].as_array().unwrap() {
                    match one["outcome"].as_str().unwrap() {
                        "changed" => *changed.entry(one["code"].as_str().unwrap().to_owned()).or_default() += 1,
                        "conflict" | "left" => {}
                        other => panic!("{other}: {one}"),
                    }
                }
            }
            changed
        };
        let (one, two, three, four) = tokio::join!(write(0), write(1), write(2), write(3));
        let read = house.post(ENGINEER, READ).json(json!({"codes": codes})).expect(200).await.json();
        let mut sum = 0;
        for cover in read["covers"].as_array().unwrap() {
            let code = cover["asked"].as_str().unwrap();
            let wanted: i64 = [&one, &two, &three, &four].iter().map(|own| own.get(code).copied().unwrap_or(0)).sum();
            assert_eq!(cover["cover"]["extra"]["count"], json!(wanted.to_string()), "{code}");
            assert_eq!(cover["cover"]["version"], wanted + 1, "{code}");
            sum += wanted;
        }
        assert!(sum >= 24, "{sum}");
        assert_eq!(house.town.registry.check_tables().await.unwrap().findings, []);
        house.assert_faultless();
    }
}
