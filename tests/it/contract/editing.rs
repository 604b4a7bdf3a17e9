//! Covers changed by programs and by people at their pages, and what each hears who is too late.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{Answer, As, House, KEY};
use crate::both_engines;

const ENGINEER: As = As::Staff(Role::Engineer);
const CITIZEN: As = As::Nobody;

/// Covers along another street; answers their codes.
pub async fn street(house: &House, count: usize) -> Vec<String> {
    let mut csv = String::from("source_key,district,class,state,lon,lat,road\n");
    for at in 0..count {
        csv += &format!("s{at},370502,storm,intact,118.7{at:02},37.5,西二路\n");
    }
    let address = "/api/v1/imports?source=street&profile=lidmark-csv&scheme=component-16";
    house.post(ENGINEER, address).body("text/csv", csv).expect(200).await;
    let page =
        house.get(ENGINEER, "/api/v1/covers?road=%E8%A5%BF%E4%BA%8C%E8%B7%AF").expect(200).await.json();
    page["covers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cover| cover["code"].as_str().unwrap().to_owned())
        .collect()
}

async fn tag(house: &House, code: &str) -> String {
    let answer = house.get(ENGINEER, &format!("/api/v1/covers/{code}")).expect(200).await;
    answer.header("etag").unwrap().to_owned()
}

/// Sends a change under the version that the cover has now.
async fn change(house: &House, code: &str, what: &str, body: Value, status: u16) -> Answer {
    let path = format!("/api/v1/covers/{code}{what}");
    let tag = tag(house, code).await;
    let method = if what.is_empty() { "PATCH" } else { "POST" };
    house.ask(ENGINEER, method, &path).keyed().header("if-match", &tag).json(body).expect(status).await
}

/// Every operation of the API that changes covers.
pub async fn programs(house: &House) {
    let codes = street(house, 8).await;
    let cover = format!("/api/v1/covers/{}", codes[0]);
    let patch = || house.ask(ENGINEER, "PATCH", &cover);
    let first = tag(house, &codes[0]).await;
    let body = json!({"set": {"material": "composite", "owner": house.town.water, "address": "12号", "extra": {"井深": "2.4"},
        "position": {"x": 39_640_676.165, "y": 4_148_750.03, "crs": "EPSG:4527", "method": "rtk", "accuracy_m": 0.02,
            "surveyed_at": "2026-03-02T01:00:00Z", "device": "RTK 7"}}, "reason": "surveyed anew"});
    let key = IdempotencyKey::fresh().to_string();
    assert_eq!(patch().keyed().json(body.clone()).expect(428).await.code(), "precondition.missing");
    assert_eq!(
        patch().header("if-match", &first).json(body.clone()).expect(400).await.code(),
        "idempotency.missing"
    );
    let send = || patch().header(KEY, &key).header("if-match", &first);
    let edited = send().json(body.clone()).expect(200).await;
    assert_eq!(edited.header("etag"), Some("\"2\""));
    let shown = edited.json();
    assert_eq!((&shown["material"], &shown["owner"]["name"]), (&json!("composite"), &json!("东营水务")));
    assert_eq!(shown["position"]["raw"], json!({"x": 39_640_676.165, "y": 4_148_750.03, "epsg": 4527}));
    assert!((shown["position"]["lon"].as_f64().unwrap() - 118.59).abs() < 1e-6, "{shown}");
    assert_eq!(send().json(body).expect(200).await.json(), shown, "the first answer again");
    // Somebody who saw the first version hears what became of each field, and what they wanted.
    let late = json!({"set": {"material": "steel", "road": null, "extra": {"井深": null}}});
    let told = patch().keyed().header("if-match", &first).json(late.clone()).expect(412).await;
    assert_eq!(told.header("etag"), Some("\"2\""));
    let told = told.json();
    let of = |field: &str| {
        told["changes"].as_array().unwrap().iter().find(|change| change["field"] == field).unwrap().clone()
    };
    assert_eq!((&of("material")["after"], &of("material")["yours"]), (&json!("composite"), &json!("steel")));
    assert!(of("material")["actor"].as_str().unwrap().starts_with("user:"), "{told}");
    assert!(of("address").get("yours").is_none(), "{told}");
    assert_eq!(of("extra.井深")["yours"], json!(null));
    assert_eq!(change(house, &codes[0], "", late, 200).await.json()["material"], "steel");
    let worse = json!({"set": {"position": {"x": 118.59, "y": 37.46, "accuracy_m": 10}}});
    assert_eq!(change(house, &codes[0], "", worse, 422).await.code(), "position.worse");

    // Class and code.
    let sewage = change(house, &codes[0], "", json!({"set": {"class": "sewage"}}), 200).await.json();
    let code = sewage["code"].as_str().unwrap().to_owned();
    assert_ne!(code, codes[0]);
    let found = house.get(ENGINEER, &cover).expect(200).await.json();
    assert_eq!((&found["code"], &found["former_codes"]), (&json!(code), &json!([codes[0]])));
    let numbered =
        change(house, &code, "/code", json!({"code": "370502 01 02 004711", "reason": "as painted"}), 200)
            .await;
    assert_eq!(numbered.json()["code"], "3705020102004711");
    let taken = json!({"code": codes[0], "reason": "x"});
    assert_eq!(change(house, &codes[1], "/code", taken, 409).await.code(), "code.taken");
    change(house, &codes[1], "/code", json!({}), 422).await;

    // One more cover, then the old one goes.
    let new = json!({"class": "storm", "state": "intact", "set": {"material": "ductile_iron"}, "reason": "two covers"});
    let added = change(house, &codes[1], "/covers", new, 201).await.json();
    let heir = added["code"].as_str().unwrap().to_owned();
    assert_eq!(added["source"], "desk");
    let gone = json!({"retire_reason": "replaced", "reason": "exchanged", "successor": heir, "plates": "to_successor"});
    let retired = change(house, &codes[1], "/retire", gone, 200).await.json();
    assert_eq!(
        (&retired["retired"]["retire_reason"], &retired["retired"]["successor"]),
        (&json!("replaced"), &json!(heir))
    );
    let list = async |query: &str| {
        let page = house
            .get(ENGINEER, &format!("/api/v1/covers?road=%E8%A5%BF%E4%BA%8C%E8%B7%AF&{query}"))
            .expect(200)
            .await;
        page.json()["covers"].as_array().unwrap().len()
    };
    assert_eq!(
        (list("").await, list("standing=retired").await, list("standing=any&limit=99").await),
        (7, 1, 8)
    );
    assert_eq!(
        (
            list("material=ductile_iron").await,
            list("material=unknown&owner=unknown&without_plate=true").await
        ),
        (1, 6)
    );
    assert_eq!(
        change(house, &codes[1], "", json!({"set": {"state": "broken"}}), 409).await.code(),
        "cover.retired"
    );
    change(house, &codes[1], "/reinstate", json!({"reason": "both are there"}), 200).await;

    // Manholes: apart, together, apart again.
    let position = json!({"x": 118.7011, "y": 37.5, "method": "phone", "accuracy_m": 8});
    let split = json!({"reason": "two shafts", "position": position});
    let apart = change(house, &heir, "/split", split, 200).await.json();
    let version = apart["version"].clone();
    let order = json!({"other": heir, "other_version": version, "kind": "both", "reason": "one shaft"});
    change(house, &codes[1], "/merge", order.clone(), 200).await;
    assert_eq!(change(house, &codes[1], "/merge", order, 409).await.code(), "merge.other_changed");
    let history =
        house.get(ENGINEER, &format!("/api/v1/covers/{}/history", codes[1])).expect(200).await.json();
    assert_eq!(history["earlier"][0]["chain"]["state"], "whole");
    let merge = history["earlier"][0]["merge"].clone();
    change(house, &codes[1], "/unmerge", json!({"merge": merge, "reason": "two after all"}), 200).await;
    change(house, &codes[1], "/unmerge", json!({"merge": merge, "reason": "again"}), 404).await;
    bulk_programs(house).await;
    assert_eq!(house.town.registry.check_tables().await.unwrap().findings, []);
}

async fn bulk_programs(house: &House) {
    let order = json!({"filter": {"road": "西二路", "class": "storm"}, "set": {"load_class": "D400", "placement": "carriageway"},
        "reason": "survey of 2026"});
    let made = house.post(ENGINEER, "/api/v1/bulk-edits").keyed().json(order.clone()).expect(201).await;
    let edit = made.header("location").unwrap().to_owned();
    let tag = made.header("etag").unwrap().to_owned();
    let made = made.json();
    assert_eq!(
        (&made["state"], &made["matched"], &made["counts"]["waiting"]),
        (&json!("previewed"), &json!(8), &json!(8))
    );
    let lines = house.get(ENGINEER, &format!("{edit}/covers?state=waiting&limit=2")).expect(200).await.json();
    assert_eq!(lines["covers"][0]["fields"]["load_class"], json!([null, "D400"]));
    let next = lines["next"].as_str().unwrap();
    let rest = house.get(ENGINEER, &format!("{edit}/covers?cursor={next}")).expect(200).await.json();
    assert_eq!(rest["covers"].as_array().unwrap().len(), 6);
    let act = |way: &str| house.post(ENGINEER, &format!("{edit}/{way}"));
    assert_eq!(act("apply").keyed().expect(428).await.code(), "precondition.missing");
    assert_eq!(act("undo").keyed().header("if-match", &tag).expect(409).await.code(), "bulk.not_now");
    let applied = act("apply").keyed().header("if-match", &tag).expect(200).await;
    assert_eq!(
        (&applied.json()["state"], &applied.json()["counts"]["applied"]),
        (&json!("applied"), &json!(8))
    );
    act("apply").keyed().header("if-match", &tag).expect(412).await;
    let code = lines["covers"][0]["code"].as_str().unwrap().to_owned();
    change(house, &code, "", json!({"set": {"state": "broken"}}), 200).await;
    let tag = applied.header("etag").unwrap().to_owned();
    let key = IdempotencyKey::fresh().to_string();
    let undo = || act("undo").header(KEY, &key).header("if-match", &tag);
    let undone = undo().expect(200).await.json();
    assert_eq!((&undone["counts"]["undone"], &undone["counts"]["kept"]), (&json!(7), &json!(1)));
    assert_eq!(undo().expect(200).await.json()["state"], "undone");
    let kept = house.get(ENGINEER, &format!("{edit}/covers?state=kept")).expect(200).await.json();
    assert_eq!(kept["covers"][0]["refusal"]["code"], "bulk.changed_since");
    house.get(ENGINEER, &edit).expect(200).await;
    let list = house.get(ENGINEER, "/api/v1/bulk-edits?limit=1").expect(200).await.json();
    assert_eq!((&list["bulk_edits"][0]["id"], &list["next"]), (&made["id"], &made["id"]));
    house
        .get(ENGINEER, &format!("/api/v1/bulk-edits?cursor={}", list["next"].as_str().unwrap()))
        .expect(200)
        .await;
}

/// A member of staff at the pages.
pub struct Seated<'h> {
    house: &'h House,
    cookie: String,
}

impl<'h> Seated<'h> {
    pub async fn log_in(house: &'h House, login: &str) -> Self {
        let welcome = house
            .post(CITIZEN, "/login")
            .form(&[("login", login), ("password", "correct horse")])
            .expect(303)
            .await;
        let cookie = welcome.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { house, cookie }
    }

    pub async fn open(&self, path: &str, status: u16) -> String {
        let ask =
            self.house.get(CITIZEN, path).header("cookie", &self.cookie).header("accept-language", "en");
        ask.expect(status).await.text()
    }

    /// Sends the first form of a page that goes to `action`, with what it holds and these fields on top.
    pub async fn fill(&self, html: &str, action: &str, fields: &[(&str, &str)], status: u16) -> Answer {
        let mut sent = form_of(html, action);
        for (name, value) in fields {
            sent.retain(|(known, _)| known != name);
            sent.push(((*name).to_owned(), (*value).to_owned()));
        }
        let sent: Vec<(&str, &str)> =
            sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let ask =
            self.house.post(CITIZEN, action).header("cookie", &self.cookie).header("accept-language", "en");
        ask.form(&sent).expect(status).await
    }
}

/// Every field of a form as a browser would send it: texts, hidden ones, what is selected or checked.
fn form_of(html: &str, action: &str) -> Vec<(String, String)> {
    let start = html
        .find(&format!("method=\"post\" action=\"{action}\""))
        .unwrap_or_else(|| panic!("no {action} in {html}"));
    let form = &html[start..start + html[start..].find("</form>").unwrap()];
    let text = |tag: &str, name: &str| {
        let from = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        Some(plain(&tag[from..from + tag[from..].find('"')?]))
    };
    let mut fields = Vec::new();
    for (at, _) in form.match_indices('<') {
        let tag = &form[at..at + form[at..].find('>').unwrap()];
        let Some(name) = text(tag, "name") else { continue };
        let box_like = tag.contains("type=\"radio\"") || tag.contains("type=\"checkbox\"");
        if tag.starts_with("<input") && (!box_like || tag.contains(" checked")) {
            fields.push((name, text(tag, "value").unwrap_or_default()));
        } else if tag.starts_with("<textarea") {
            let rest = &form[at + tag.len() + 1..];
            fields.push((name, plain(&rest[..rest.find('<').unwrap()])));
        } else if tag.starts_with("<select") {
            let options = &form[at..at + form[at..].find("</select>").unwrap()];
            let chosen = options
                .split("<option")
                .skip(1)
                .find(|option| option.split('>').next().unwrap().contains(" selected"));
            let chosen = chosen.or_else(|| options.split("<option").nth(1));
            fields.push((name, chosen.and_then(|option| text(option, "value")).unwrap_or_default()));
        }
    }
    fields
}

fn plain(text: &str) -> String {
    text.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

/// Every page on which staff change covers.
pub async fn pages(house: &House) {
    let desk = Seated::log_in(house, "engineer").await;
    let list = desk
        .open(
            "/covers?text=&road=%E8%A5%BF%E4%BA%8C%E8%B7%AF&class=storm&owner=&standing=in_use&limit=3",
            200,
        )
        .await;
    assert!(list.contains("cursor="), "{list}");
    desk.open("/covers?class=manhole", 400).await;
    let page = house
        .get(ENGINEER, "/api/v1/covers?road=%E8%A5%BF%E4%BA%8C%E8%B7%AF&class=storm")
        .expect(200)
        .await
        .json();
    let code = |at: usize| page["covers"][at]["code"].as_str().unwrap().to_owned();
    let (one, two, three) = (code(2), code(3), code(4));
    edit_page(house, &desk, &one).await;

    let at = |code: &str, what: &str| format!("/covers/{code}/{what}");
    let form = desk.open(&at(&one, "code"), 200).await;
    desk.fill(&form, &at(&one, "code"), &[("code", &two), ("reason", "as painted")], 409).await;
    let done = desk.fill(&form, &at(&one, "code"), &[("code", ""), ("reason", "a new one")], 303).await;
    let old = one;
    let one = done.header("location").unwrap().rsplit('/').next().unwrap().to_owned();
    let stale = desk
        .fill(
            &form,
            &at(&old, "code"),
            &[("code", ""), ("reason", "again"), ("key", &IdempotencyKey::fresh().to_string())],
            412,
        )
        .await;
    assert!(stale.text().contains("Somebody changed it since you opened it"), "{}", stale.text());

    let form = desk.open(&at(&one, "add"), 200).await;
    let fields = [("class", "storm"), ("state", "intact"), ("material", "steel"), ("reason", "two covers")];
    let added = desk.fill(&form, &at(&one, "add"), &fields, 303).await;
    let heir = added.header("location").unwrap().rsplit('/').next().unwrap().to_owned();
    let form = desk.open(&at(&one, "split"), 200).await;
    desk.fill(&form, &at(&one, "split"), &[(&format!("with:{heir}"), "1"), ("reason", "x")], 409).await;
    desk.fill(&form, &at(&one, "split"), &[("x", "east"), ("reason", "x")], 422).await;
    desk.fill(&form, &at(&one, "split"), &[("reason", "two shafts")], 303).await;

    desk.open(&format!("{}?other=3705020102999999", at(&one, "merge")), 404).await;
    let form = desk.open(&format!("{}?other={heir}", at(&one, "merge")), 200).await;
    assert!(form.contains("They lie"), "{form}");
    desk.fill(&form, &at(&one, "merge"), &[("kind", "same"), ("reason", "")], 422).await;
    desk.fill(&form, &at(&one, "merge"), &[("kind", "same"), ("reason", "one cover")], 303).await;
    let gone = desk.open(&format!("/covers/{heir}"), 200).await;
    assert!(gone.contains("Written down twice"), "{gone}");
    let form = desk.open(&at(&one, "merge"), 200).await;
    desk.fill(&form, &at(&one, "unmerge"), &[("reason", "two after all")], 303).await;
    let file = desk.open(&format!("/covers/{one}"), 200).await;
    assert!(file.contains("Merge undone"), "{file}");

    let form = desk.open(&at(&two, "retire"), 200).await;
    desk.fill(&form, &at(&two, "retire"), &[("retire_reason", "replaced"), ("reason", "x")], 422).await;
    let fields = [("retire_reason", "replaced"), ("successor", three.as_str()), ("reason", "exchanged")];
    desk.fill(&form, &at(&two, "retire"), &fields, 303).await;
    let form = desk.open(&at(&two, "retire"), 200).await;
    desk.fill(&form, &at(&two, "reinstate"), &[("reason", "still there")], 303).await;

    bulk_pages(house, &desk, &three).await;
    assert_eq!(house.town.registry.check_tables().await.unwrap().findings, []);
}

async fn edit_page(house: &House, desk: &Seated<'_>, code: &str) {
    let action = format!("/covers/{code}/edit");
    let form = desk.open(&action, 200).await;
    // Saved as it is: nothing happens.
    let version = tag(house, code).await;
    desk.fill(&form, &action, &[], 303).await;
    assert_eq!(tag(house, code).await, version);
    desk.fill(&form, &action, &[("csrf", "forged")], 403).await;
    desk.fill(&form, &action, &[("accuracy_m", "close")], 422).await;
    let wrong = desk.fill(&form, &action, &[("x", "118.9"), ("address", "门前")], 422).await.text();
    assert!(wrong.contains("门前") && wrong.contains("118.9"), "what was typed is kept: {wrong}");
    // Somebody else is faster.
    let set = json!({"set": {"material": "steel", "road": "西三路", "position": {"x": 118.7301, "y": 37.5, "accuracy_m": 0.5}}, "reason": "x"});
    change(house, code, "", set, 200).await;
    let fields = [
        ("material", "polymer"),
        ("address", "12号"),
        ("road", "西二路"),
        ("x", "118.7302"),
        ("accuracy_m", "0.4"),
        ("reason", "seen"),
    ];
    let told = desk.fill(&form, &action, &fields, 412).await.text();
    assert!(
        told.contains("value=\"steel\"") && told.contains("value=\"polymer\""),
        "both to choose from: {told}"
    );
    assert!(told.contains("name=\"position\" value=\"theirs\""), "{told}");
    assert!(told.contains("name=\"road\" value=\"西三路\""), "what only they changed stands there: {told}");
    assert!(told.contains("name=\"address\" value=\"12号\""), "what only I changed, too: {told}");
    assert!(told.contains("engineer"), "who it was: {told}");
    let chosen = [("material", "polymer"), ("position", "theirs")];
    desk.fill(&told, &action, &chosen, 303).await;
    let now = house.get(ENGINEER, &format!("/api/v1/covers/{code}")).expect(200).await.json();
    assert_eq!(
        (&now["material"], &now["road"], &now["address"]),
        (&json!("polymer"), &json!("西三路"), &json!("12号"))
    );
    assert_eq!(now["position"]["raw"]["x"], 118.7301);
    // A column of the census, given and taken away again.
    let form = desk.open(&action, 200).await;
    desk.fill(&form, &action, &[("extra_name", "井深"), ("extra_value", "2.4")], 303).await;
    let form = desk.open(&action, 200).await;
    desk.fill(&form, &action, &[("extra:井深", "")], 303).await;
    let file = desk.open(&format!("/covers/{code}"), 200).await;
    assert!(file.contains("Material: Steel → Polymer"), "{file}");
}

async fn bulk_pages(house: &House, desk: &Seated<'_>, code: &str) {
    let form = desk.open("/bulk-edits/new?road=%E8%A5%BF%E4%BA%8C%E8%B7%AF&class=storm", 200).await;
    assert!(form.contains("西二路"), "{form}");
    desk.fill(&form, "/bulk-edits", &[("reason", "x")], 422).await;
    let fields = [
        ("shape", "round"),
        ("owner", "unknown"),
        ("extra_name", "批次"),
        ("extra_value", "2026"),
        ("reason", "survey"),
    ];
    let made = desk.fill(&form, "/bulk-edits", &fields, 303).await;
    let edit = made.header("location").unwrap().to_owned();
    let look = desk.open(&edit, 200).await;
    assert!(look.contains("Shape: (not known) → Round"), "{look}");
    let apply = format!("{edit}/apply");
    change(house, code, "", json!({"set": {"state": "broken"}}), 200).await;
    desk.fill(&look, &apply, &[], 303).await;
    desk.fill(&look, &apply, &[("key", &IdempotencyKey::fresh().to_string())], 412).await;
    let end = desk.open(&edit, 200).await;
    assert!(end.contains("was changed by engineer since (State)"), "{end}");
    desk.open(&format!("{edit}?state=applied"), 200).await;
    desk.open(&format!("{edit}?state=nonsense"), 400).await;
    desk.fill(&end, &format!("{edit}/undo"), &[], 303).await;
    assert!(desk.open(&edit, 200).await.contains("Undone"));
    desk.open("/bulk-edits", 200).await;
    desk.open(&format!("/bulk-edits?before={}", edit.rsplit('/').next().unwrap()), 200).await;
    desk.open(&format!("/bulk-edits/{}", IdempotencyKey::fresh()), 404).await;
}

both_engines! {
    async fn changes_that_do_not_fit_change_nothing_and_say_why(ground: Ground) {
        let house = House::on(ground).await;
        let codes = street(&house, 2).await;
        let cover = format!("/api/v1/covers/{}", codes[0]);
        let before = (house.last_change().await, tag(&house, &codes[0]).await);
        let reason = "seen";
        let sets = [
            json!({}),
            json!({"set": {}}),
            json!({"set": []}),
            json!({"set": {"material": "gold"}}),
            json!({"set": {"material": 3}}),
            json!({"set": {"class": null}}),
            json!({"set": {"class": "manhole"}}),
            json!({"set": {"class": "combined"}}),
            json!({"set": {"district": "999999"}}),
            json!({"set": {"district": "\u{0}"}}),
            json!({"set": {"owner": "water"}}),
            json!({"set": {"owner": IdempotencyKey::fresh()}}),
            json!({"set": {"road": "a\u{0}b"}}),
            json!({"set": {"road": "a\nb"}}),
            json!({"set": {"road": "路".repeat(201)}}),
            json!({"set": {"address": "路".repeat(501)}}),
            json!({"set": {"extra": {"": "x"}}}),
            json!({"set": {"extra": {"a": "x".repeat(2001)}}}),
            json!({"set": {"extra": {"a": 3}}}),
            json!({"set": {"colour": "red"}}),
            json!({"set": {"state": "broken"}, "code": "perhaps"}),
            json!({"set": {"state": "broken"}, "reason": "x".repeat(4001)}),
            json!({"set": {"position": {"x": 118.7}}, "reason": reason}),
            json!({"set": {"position": {"x": 0, "y": 0}}, "reason": reason}),
            json!({"set": {"position": {"x": 37.5, "y": 118.7}}, "reason": reason}),
            json!({"set": {"position": {"x": 118.7, "y": 37.5, "crs": "EPSG:9999999"}}, "reason": reason}),
            json!({"set": {"position": {"x": 118.7, "y": 37.5, "crs": "EPSG:4527"}}, "reason": reason}),
            json!({"set": {"position": {"x": 118.7, "y": 37.5, "accuracy_m": -1}}, "reason": reason}),
            json!({"set": {"position": {"x": 118.7, "y": 37.5, "method": "dowsing"}}, "reason": reason}),
            json!({"set": {"position": {"x": 118.7, "y": 37.5, "surveyed_at": "yesterday"}}, "reason": reason}),
            json!({"set": {"position": {"x": 119.7, "y": 37.5}}}),
            json!({"set": {"position": [118.7, 37.5]}}),
        ];
        let orders = [
            ("code", json!({"code": "abc", "reason": reason})),
            ("code", json!({"code": "\u{0}", "reason": reason})),
            ("code", json!({"scheme": "none", "reason": reason})),
            ("retire", json!({"reason": reason})),
            ("retire", json!({"retire_reason": "bored", "reason": reason})),
            ("retire", json!({"retire_reason": "removed"})),
            ("retire", json!({"retire_reason": "removed", "reason": reason, "plates": "sold"})),
            ("retire", json!({"retire_reason": "replaced", "reason": reason})),
            ("retire", json!({"retire_reason": "replaced", "reason": reason, "successor": codes[0]})),
            ("retire", json!({"retire_reason": "replaced", "reason": reason, "successor": "3705020102999999"})),
            ("reinstate", json!({"reason": reason})),
            ("covers", json!({"class": "storm", "reason": reason})),
            ("covers", json!({"class": "storm", "state": "shiny", "reason": reason})),
            ("covers", json!({"class": "combined", "state": "intact", "reason": reason})),
            ("covers", json!({"class": "storm", "state": "intact", "code": codes[1], "reason": reason})),
            ("merge", json!({"other": codes[0], "other_version": 1, "kind": "both", "reason": reason})),
            ("merge", json!({"other": codes[1], "other_version": 9, "kind": "both", "reason": reason})),
            ("merge", json!({"other": codes[1], "other_version": "1", "kind": "both", "reason": reason})),
            ("merge", json!({"other": codes[1], "other_version": 1, "kind": "perhaps", "reason": reason})),
            ("unmerge", json!({"merge": "x", "reason": reason})),
            ("unmerge", json!({"merge": IdempotencyKey::fresh(), "reason": reason})),
            ("split", json!({"reason": reason})),
            ("split", json!({"with": [codes[1]], "reason": reason})),
            ("split", json!({"with": ["\u{0}"], "reason": reason})),
        ];
        let patches = sets.into_iter().map(|body| ("PATCH", cover.clone(), body));
        let posts = orders.into_iter().map(|(what, body)| ("POST", format!("{cover}/{what}"), body));
        for (method, path, body) in patches.chain(posts) {
            let ask = house.ask(ENGINEER, method, &path).keyed().header("if-match", &before.1);
            let answer = ask.header("accept-language", "en").json(body.clone()).send().await;
            assert_sentence(&house, &answer, &format!("{method} {path} {body}"));
        }
        for header in ["", "x", "\"x\"", "*", "W/\"1\"", "\"99999999999999999999\""] {
            let ask = house.ask(ENGINEER, "PATCH", &cover).keyed().header("if-match", header);
            assert_sentence(&house, &ask.json(json!({"set": {"state": "broken"}})).send().await, header);
        }
        let bulks = [
            json!({}),
            json!({"filter": {}, "set": {}, "reason": reason}),
            json!({"filter": {"class": "manhole"}, "set": {"state": "broken"}, "reason": reason}),
            json!({"filter": {"limit": "3"}, "set": {"state": "broken"}, "reason": reason}),
            json!({"filter": {"road": "\u{0}"}, "set": {"state": "broken"}, "reason": reason}),
            json!({"filter": {"colour": "red"}, "set": {"state": "broken"}, "reason": reason}),
            json!({"filter": {}, "set": {"address": "x"}, "reason": reason}),
            json!({"filter": {}, "set": {"position": {"x": 118.7, "y": 37.5}}, "reason": reason}),
            json!({"filter": {}, "set": {"state": "broken"}}),
        ];
        for body in bulks {
            let ask = house.post(ENGINEER, "/api/v1/bulk-edits").keyed().json(body.clone());
            assert_sentence(&house, &ask.send().await, &body.to_string());
        }
        for id in ["x", "%00", &IdempotencyKey::fresh().to_string()] {
            for (method, end) in [("GET", ""), ("GET", "/covers"), ("POST", "/apply"), ("POST", "/undo")] {
                let path = format!("/api/v1/bulk-edits/{id}{end}");
                let answer = house.ask(ENGINEER, method, &path).keyed().header("if-match", "\"1\"").send().await;
                assert_eq!(answer.status, 404, "{path}");
            }
        }
        for query in ["standing=gone", "material=gold", "owner=water", "without_plate=perhaps", "text=%00", "bbox=1,2"] {
            let answer = house.get(ENGINEER, &format!("/api/v1/covers?{query}")).send().await;
            assert_eq!(answer.status, 400, "{query}");
            house.get(ENGINEER, &format!("/covers?{query}")).expect(400).await;
        }
        assert_eq!((house.last_change().await, tag(&house, &codes[0]).await), before, "something was changed");
        house.assert_faultless();
    }
}

/// A refusal in 4xx with a code and a sentence.
fn assert_sentence(house: &House, answer: &Answer, about: &str) {
    let about: String = about.chars().take(160).collect();
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or_default();
    let fits = (400..500).contains(&answer.status) && (detail.contains(' ') || !detail.is_ascii());
    if !fits || detail.contains(['{', '}']) && !about.contains("set") || detail.contains("refusal.") {
        house.fault(format!("{about}: {} {detail}", answer.status));
    }
}
