//! 档案质量 over HTTP: what is counted, pairs of covers, and covers without an owner, by forms and by programs.

use lidmark::domain::cover::Party;
use lidmark::domain::ids::{IdempotencyKey, PartyId};
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{As, House};
use crate::both_engines;

const ENGINEER: As = As::Staff(Role::Engineer);
const DISPATCHER: As = As::Staff(Role::Dispatcher);
const HANDLER: As = As::Staff(Role::Handler);
const CREW: As = As::Staff(Role::Crew);

/// Covers along a street of their own: two that lie as one, one that bears too little, all without an owner.
async fn poor_street(house: &House) -> Vec<String> {
    let csv = "source_key,district,class,state,lon,lat,road,placement,load_class,material,installed\n\
        q0,370502,heating,intact,118.8,37.5,=cmd|' /C calc'!A0,carriageway,B125,cast_iron,2001-05-06\n\
        q1,370502,heating,intact,118.800004,37.5,北二路,carriageway,C250,,\n\
        q2,370502,heating,intact,118.81,37.5,北二路,carriageway,,concrete,2024\n\
        q3,370502,heating,intact,118.810003,37.5,北二路,green,A15,,\n";
    let address = "/api/v1/imports?source=poor&profile=lidmark-csv&scheme=component-16";
    // The tolerance of an import would take the near ones for one; these came by different ways.
    let mut codes = Vec::new();
    for (at, line) in csv.lines().skip(1).enumerate() {
        let source = address.replace("poor", &format!("poor{at}"));
        let far = line.replace("118.800004", "118.82").replace("118.810003", "118.83");
        let body = format!("{}\n{far}\n", csv.lines().next().unwrap());
        house.post(ENGINEER, &source).body("text/csv", body).expect(200).await;
        let listed = house.get(ENGINEER, "/api/v1/covers?class=heating&limit=100").expect(200).await.json();
        codes.push(listed["covers"].as_array().unwrap().last().unwrap()["code"].as_str().unwrap().to_owned());
    }
    for (at, lon) in [(1, 118.800_004), (3, 118.810_003)] {
        let path = format!("/api/v1/covers/{}", codes[at]);
        let tag = house.get(ENGINEER, &path).expect(200).await.header("etag").unwrap().to_owned();
        let body =
            json!({"set": {"position": {"x": lon, "y": 37.5, "method": "phone"}}, "reason": "surveyed anew"});
        house.ask(ENGINEER, "PATCH", &path).keyed().header("if-match", &tag).json(body).expect(200).await;
    }
    house.reload_map().await;
    codes
}

async fn pairs(house: &House) -> Vec<(String, String)> {
    let listed = house.get(CREW, "/api/v1/quality/duplicates?district=370502").expect(200).await.json();
    let code = |cover: &Value| cover["code"].as_str().unwrap().to_owned();
    // Other stories have left pairs of their own.
    let pairs = listed["pairs"].as_array().unwrap().iter().filter(|pair| pair["newer"]["class"] == "heating");
    pairs.map(|pair| (code(&pair["older"]), code(&pair["newer"]))).collect()
}

async fn version(house: &House, code: &str) -> String {
    let shown = house.get(ENGINEER, &format!("/api/v1/covers/{code}")).expect(200).await.json();
    shown["version"].to_string()
}

/// Decides about a pair with the form.
async fn decide(house: &House, pair: (&str, &str), decision: &str, status: u16) -> String {
    let key = IdempotencyKey::fresh().to_string();
    let (older, newer) = (version(house, pair.0).await, version(house, pair.1).await);
    let fields = [
        ("csrf", ""),
        ("key", key.as_str()),
        ("older", pair.0),
        ("newer", pair.1),
        ("older_version", older.as_str()),
        ("newer_version", newer.as_str()),
        ("decision", decision),
        ("reason", "looked at on the spot"),
        ("district", "370502"),
    ];
    let ask = house.post(ENGINEER, "/quality/duplicates").header("accept-language", "en").form(&fields);
    let answer = ask.expect(status).await;
    house.reload_map().await;
    answer.text()
}

/// Every operation about the quality of files.
pub async fn quality(house: &House) {
    let sums = async || {
        let sums = house.get(CREW, "/api/v1/quality?district=370502").expect(200).await.json();
        assert_eq!(sums["districts"].as_array().unwrap().len(), 1);
        sums["districts"][0].clone()
    };
    house.reload_map().await;
    let before = sums().await;
    let codes = poor_street(house).await;
    let now = sums().await;
    let more = |of: fn(&Value) -> &Value| of(&now).as_i64().unwrap() - of(&before).as_i64().unwrap();
    assert_eq!((more(|sum| &sum["covers"]), more(|sum| &sum["duplicates"])), (4, 2));
    assert_eq!(more(|sum| &sum["findings"]["ownerless"]), 4);
    for finding in [
        (|sum| &sum["findings"]["under_rated"]) as fn(&Value) -> &Value,
        |sum| &sum["findings"]["doubtful_load"],
        |sum| &sum["findings"]["unknown_load"],
        |sum| &sum["findings"]["over_age"],
    ] {
        assert_eq!(more(finding), 1, "{now}");
    }
    let list = async |query: &str| {
        let answer =
            house.get(CREW, &format!("/api/v1/quality/files?class=heating&{query}")).expect(200).await;
        let files = answer.json()["files"].as_array().unwrap().clone();
        files.iter().map(|file| file["cover"]["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("finding=under_rated").await, codes[..1]);
    assert_eq!(list("finding=unknown_material&placement=green").await, codes[3..]);
    assert_eq!(list("material=concrete").await, codes[2..3]);
    assert_eq!(list("finding=ownerless&limit=3").await, codes[..3]);
    let all =
        house.get(CREW, "/api/v1/quality/files?class=heating&finding=over_age").expect(200).await.json();
    let first = &all["files"][0];
    assert_eq!(first["installed"], 2001);
    assert!(first["missing"].as_array().unwrap().contains(&json!("owner")), "{first}");
    for wrong in ["finding=ugly", "placement=moon", "material=gold", "limit=0", "cursor=x", "class=x"] {
        let ask = house.get(CREW, &format!("/api/v1/quality/files?{wrong}")).header("accept-language", "en");
        assert!(ask.send().await.status == 400, "{wrong}");
    }

    // As pages and as files: Excel knows the encoding, and no cell runs.
    let page = house.get(CREW, "/quality").header("accept-language", "en").expect(200).await.text();
    assert!(page.contains("/quality/files?finding=under_rated&#38;district=370502"), "{page}");
    let page = house.get(CREW, "/quality/files?finding=under_rated&limit=1").expect(200).await.text();
    assert!(page.contains("finding=under_rated&#38;cursor="), "{page}");
    let csv =
        house.get(CREW, "/quality/files.csv?class=heating").header("accept-language", "en").expect(200).await;
    assert!(csv.body.starts_with(b"\xEF\xBB\xBF"));
    assert!(csv.header("content-disposition").unwrap().contains("quality-files.csv"));
    let text = csv.text();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.contains("'=cmd|") && !text.contains(",=cmd|"), "{text}");
    assert!(house.get(CREW, "/quality.csv").expect(200).await.text().contains("370502"));
    house.get(CREW, "/quality/files?finding=nonsense").expect(400).await;

    duplicates(house, &codes).await;
    claims(house, &codes).await;
}

async fn duplicates(house: &House, codes: &[String]) {
    let (one, two) = ((codes[0].as_str(), codes[1].as_str()), (codes[2].as_str(), codes[3].as_str()));
    let both = |pair: (&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    assert_eq!(pairs(house).await, [both(one), both(two)]);
    let page =
        house.get(CREW, "/quality/duplicates").header("accept-language", "en").expect(200).await.text();
    assert!(page.contains(&format!("/covers/{}", one.0)) && !page.contains("name=\"decision\""), "{page}");
    let csv = house.get(CREW, "/quality/duplicates.csv?district=370502").expect(200).await.text();
    assert!(csv.contains(&format!("{},{}", one.0, one.1)), "{csv}");
    // Two covers: remembered, and taken back.
    decide(house, two, "two", 303).await;
    assert_eq!(pairs(house).await, [both(one)]);
    decide(house, two, "take_back", 303).await;
    assert_eq!(pairs(house).await, [both(one), both(two)]);
    assert!(decide(house, two, "take_back", 409).await.contains("there is nothing to take back"));
    decide(house, two, "maybe", 422).await;
    // One cover: merged, and undone on its page.
    let stale = [
        ("csrf", ""),
        ("key", "019aafe2-7c00-7000-8000-000000000077"),
        ("older", one.0),
        ("newer", one.1),
        ("older_version", "99"),
        ("newer_version", "1"),
        ("decision", "keep_older"),
        ("reason", "x"),
    ];
    house.post(ENGINEER, "/quality/duplicates").form(&stale).expect(412).await;
    decide(house, one, "keep_older", 303).await;
    assert_eq!(pairs(house).await, [both(two)]);
    let page =
        house.get(ENGINEER, "/quality/duplicates").header("accept-language", "en").expect(200).await.text();
    assert!(page.contains("Merged lately") && page.contains("looked at on the spot"), "{page}");
    let gone = house.get(ENGINEER, &format!("/api/v1/covers/{}", one.1)).expect(200).await.json();
    assert_eq!(gone["retired"]["successor"], one.0);
    let history = house.get(ENGINEER, &format!("/api/v1/covers/{}/history", one.0)).expect(200).await.json();
    let merge = history["earlier"][0]["merge"].clone();
    let path = format!("/api/v1/covers/{}/unmerge", one.0);
    let tag = format!("\"{}\"", version(house, one.0).await);
    let body = json!({"merge": merge, "reason": "two after all"});
    house.post(ENGINEER, &path).keyed().header("if-match", &tag).json(body).expect(200).await;
    house.reload_map().await;
    assert_eq!(pairs(house).await, [both(one), both(two)], "as before");
    decide(house, one, "two", 303).await;
    decide(house, two, "keep_newer", 303).await;
    assert_eq!(pairs(house).await, []);
}

async fn claims(house: &House, codes: &[String]) {
    let registry = &house.town.registry;
    let roads = PartyId::fresh();
    registry.put_party(Party { id: roads, name: "市政养护".into(), hotline: None }).await.unwrap();
    house.get(CREW, "/quality/claims").expect(200).await;
    let key = IdempotencyKey::fresh().to_string();
    let open = |fields: Vec<(&'static str, String)>| {
        let mut all = vec![("csrf", String::new()), ("key", key.clone())];
        all.extend(fields);
        let pairs: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        house.post(DISPATCHER, "/quality/claims").header("accept-language", "en").form(&pairs)
    };
    assert!(
        open(vec![("district", "999999".into()), ("reason", "x".into())])
            .expect(409)
            .await
            .text()
            .contains("choose another district")
    );
    open(vec![("code", "1".into()), ("reason", "x".into())]).expect(404).await;
    open(vec![("code", codes[0].clone())]).expect(422).await;
    open(vec![("district", "\0".into()), ("reason", "x".into())]).expect(409).await;
    for odd in ["%00", "%FF", "x", "2026-00001x"] {
        house.get(CREW, &format!("/quality/claims/{odd}")).expect(404).await;
        house.get(CREW, &format!("/api/v1/quality/claims/{odd}/covers")).expect(404).await;
        let step = [
            ("csrf", ""),
            ("step", "withdraw"),
            ("reason", "x"),
            ("cover:019aafe2-7c00-7000-8000-000000000001", "1"),
        ];
        house.post(DISPATCHER, &format!("/quality/claims/{odd}")).form(&step).expect(404).await;
    }
    house.get(CREW, "/api/v1/quality/files?district=%00").expect(200).await;
    house.get(CREW, "/api/v1/quality/claims?before=%00").expect(200).await;
    let whole = vec![("class", "heating".to_owned()), ("reason", "nobody knows".to_owned())];
    let opened = open(whole).expect(303).await;
    let address = opened.header("location").unwrap().to_owned();
    let number = address.rsplit('/').next().unwrap().to_owned();
    // The covers come in behind the answer.
    let api = format!("/api/v1/quality/claims/{number}");
    let known = loop {
        let known = house.get(CREW, &api).expect(200).await.json();
        if known["is_filling"] == false {
            break known;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert_eq!(
        (&known["counts"], &known["class"]),
        (&json!({"open": 3}), &json!("heating")),
        "one was merged away"
    );
    house.get(CREW, &address).expect(200).await;
    house.get(CREW, "/quality/claims/2026-99999").expect(404).await;
    house.get(CREW, &format!("{address}?state=ugly")).expect(400).await;
    house.get(CREW, "/api/v1/quality/claims/x").expect(404).await;
    assert_eq!(
        house.get(CREW, "/api/v1/quality/claims?limit=1").expect(200).await.json()["notices"][0]["number"],
        number
    );
    let lines = async || -> Vec<Value> {
        let listed = house.get(CREW, &format!("{api}/covers")).expect(200).await.json();
        listed["claims"].as_array().unwrap().clone()
    };
    let step = async |who: As, at: &[usize], fields: &[(&str, &str)], status: u16| {
        let mut all: Vec<(String, String)> = vec![("csrf".into(), String::new())];
        let lines = lines().await;
        for at in at {
            let (id, version) = (lines[*at]["cover"]["id"].as_str().unwrap(), &lines[*at]["version"]);
            all.push((format!("cover:{id}"), version.to_string()));
        }
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let pairs: Vec<(&str, &str)> =
            all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer =
            house.post(who, &address).header("accept-language", "en").form(&pairs).expect(status).await;
        answer.text()
    };
    assert!(
        step(HANDLER, &[], &[("step", "claim"), ("reason", "x")], 422).await.contains("No cover is ticked")
    );
    step(HANDLER, &[0, 1], &[("step", "claim"), ("reason", "on our plans")], 303).await;
    step(HANDLER, &[2], &[("step", "decline"), ("reason", "not on our plans")], 303).await;
    step(HANDLER, &[1], &[("step", "take_back"), ("reason", "a slip")], 303).await;
    step(HANDLER, &[0], &[("step", "award")], 403).await;
    step(DISPATCHER, &[0], &[("step", "claim"), ("reason", "x")], 422).await;
    step(DISPATCHER, &[1], &[("step", "award")], 422).await;
    step(DISPATCHER, &[0], &[("step", "dance")], 422).await;
    // Of two that are ticked one can be decided: it is, and the other is named.
    let told = step(DISPATCHER, &[0, 1], &[("step", "award")], 422).await;
    assert!(told.contains("name the party that is meant"), "{told}");
    assert_eq!(
        (&lines().await[0]["state"], &lines().await[0]["outcome"]),
        (&json!("awarded"), &json!(house.town.water))
    );
    let roads = roads.to_string();
    step(DISPATCHER, &[1], &[("step", "award"), ("party", &roads), ("reason", "by its use")], 303).await;
    step(DISPATCHER, &[0], &[("step", "undo"), ("reason", "a slip")], 303).await;
    step(DISPATCHER, &[0], &[("step", "set_aside"), ("reason", "plans are wrong")], 303).await;
    step(DISPATCHER, &[0], &[("step", "withdraw"), ("reason", "another way")], 303).await;
    assert!(
        step(DISPATCHER, &[0], &[("step", "withdraw"), ("reason", "x")], 409)
            .await
            .contains("which is: Withdrawn")
    );
    let csv = house.get(CREW, &format!("{address}/covers.csv?state=awarded")).expect(200).await.text();
    assert!(csv.contains("市政养护") && csv.lines().count() == 2, "{csv}");
    let shown = lines().await;
    let page = format!("/covers/{}", shown[1]["cover"]["code"].as_str().unwrap());
    let page = house.get(DISPATCHER, &page).header("accept-language", "en").expect(200).await.text();
    assert!(page.contains("Confirm the owner") && page.contains("Completeness"), "{page}");
    let report = registry.check_tables().await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

both_engines! {
    async fn the_board_follows_what_people_do(ground: Ground) {
        let house = House::on(ground).await;
        let count = async |finding: &str| {
            let sums = house.get(CREW, "/api/v1/quality").expect(200).await.json();
            sums["districts"][0]["findings"][finding].as_i64().unwrap()
        };
        assert_eq!((count("ownerless").await, count("unknown_material").await), (0, 6));
        let code = house.code(0).await;
        let path = format!("/api/v1/covers/{code}");
        let body = json!({"set": {"owner": null, "material": "steel"}, "reason": "found out"});
        house.ask(ENGINEER, "PATCH", &path).keyed().header("if-match", "\"1\"").json(body).expect(200).await;
        assert_eq!((count("ownerless").await, count("unknown_material").await), (1, 5), "seen at once");
        let body = json!({"retire_reason": "filled", "reason": "gone"});
        house.post(ENGINEER, &format!("{path}/retire")).keyed().header("if-match", "\"2\"").json(body).expect(200).await;
        assert_eq!((count("ownerless").await, count("unknown_material").await), (0, 5));
        house.assert_faultless();
    }
}
