//! GeoReport over HTTP: a client that behaves like FixMyStreet's, every address in both formats, every error.

use std::sync::atomic::Ordering;

use lidmark::domain::case::{CaseMove, MoveRequest};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::MoveOrder;
use serde_json::{Value, json};

use super::house::{Answer, As, House, jpeg};
use crate::both_engines;
use crate::registry::ground::photo;

const NOBODY: As = As::Nobody;
const LIVE: &str = "/open311/v2/";
const TEST: &str = "/open311/test/v2/";

/// An element as a plain reader sees it, without knowing what it should be.
#[derive(Debug, Default, Clone)]
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a document strictly: no attributes, no namespaces, every element closed.
    fn read(document: &str) -> Self {
        let body = document.strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>").expect(document);
        let mut open = vec![Element::default()];
        let mut rest = body.trim();
        while !rest.is_empty() {
            let Some(tag) = rest.strip_prefix('<') else {
                let (text, after) = rest.split_at(rest.find('<').expect("text ends with a tag"));
                let decoded = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
                open.last_mut().unwrap().text += &decoded.replace("&apos;", "'").replace("&amp;", "&");
                rest = after;
                continue;
            };
            let (tag, after) = tag.split_once('>').expect("a tag ends");
            rest = after;
            let name = tag.trim_matches('/').to_owned();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{tag}");
            if !tag.starts_with('/') {
                open.push(Element { name: name.clone(), ..Element::default() });
            }
            if tag.starts_with('/') || tag.ends_with('/') {
                let closed = open.pop().unwrap();
                assert_eq!(closed.name, name, "{document}");
                open.last_mut().unwrap().children.push(closed);
            }
        }
        assert_eq!(open.len(), 1, "{document}");
        open.pop().unwrap().children.pop().unwrap()
    }

    fn find(&self, name: &str) -> &str {
        self.children.iter().find(|child| child.name == name).map_or("", |child| &child.text)
    }

    fn child(&self, name: &str) -> &Element {
        self.children.iter().find(|child| child.name == name).unwrap()
    }

    fn names(&self) -> Vec<&str> {
        self.children.iter().map(|child| child.name.as_str()).collect()
    }
}

/// The client: an endpoint that ends with a stroke, and a key.
struct FixMyStreet<'h> {
    house: &'h House,
    endpoint: &'static str,
    key: String,
}

impl FixMyStreet<'_> {
    async fn get(&self, path: &str) -> Element {
        let answer = self.house.get(NOBODY, &format!("{}{path}", self.endpoint)).expect(200).await;
        assert_eq!(answer.header("content-type"), Some("text/xml; charset=utf-8"));
        Element::read(&answer.text())
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)], status: u16) -> Element {
        let mut all = vec![("jurisdiction_id", ""), ("api_key", self.key.as_str())];
        all.extend(fields);
        let answer = self.house.post(NOBODY, &format!("{}{path}", self.endpoint)).form(&all);
        Element::read(&answer.expect(status).await.text())
    }

    async fn request(&self, fields: &[(&str, &str)]) -> String {
        let sent = self.post("requests.xml", fields, 200).await;
        assert_eq!((sent.name.as_str(), sent.names()), ("service_requests", vec!["request"]));
        sent.children[0].find("service_request_id").to_owned()
    }

    /// Adds a word: number, status and text.
    async fn word(&self, request: &str, (id, status, text): (&str, &str, &str)) -> String {
        let fields = [
            ("service_request_id", request),
            ("update_id", id),
            ("status", status),
            ("description", text),
            ("updated_datetime", "2026-03-02T01:30:00Z"),
            ("email", "li@example.cn"),
        ];
        let sent = self.post("servicerequestupdates.xml", &fields, 200).await;
        assert_eq!((sent.name.as_str(), sent.names()), ("service_request_updates", vec!["request_update"]));
        sent.children[0].find("update_id").to_owned()
    }

    /// What was done since `from`, as (request, status, id).
    async fn updates(&self, from: &str, until: &str) -> Vec<(String, String, String)> {
        let path =
            format!("servicerequestupdates.xml?api_key={}&start_date={from}&end_date={until}", self.key);
        let found = self.get(&path).await;
        assert_eq!(found.name, "service_request_updates");
        let update = |update: &Element| {
            let at = update.find("updated_datetime");
            assert!(from <= at && at <= until, "{at} would be dropped");
            assert!(!update.find("description").is_empty());
            (
                update.find("service_request_id").to_owned(),
                update.find("status").to_owned(),
                update.find("update_id").to_owned(),
            )
        };
        found.children.iter().map(update).collect()
    }
}

async fn client<'h>(house: &'h House, endpoint: &'static str) -> FixMyStreet<'h> {
    let name = format!("fixmystreet {endpoint}");
    let key = house.town.registry.add_open311_key("dispatcher", &name).await.unwrap();
    FixMyStreet { house, endpoint, key }
}

/// Moves a case as Lidmark itself would.
async fn step(house: &House, number: &str, made: CaseMove, request: MoveRequest) {
    let order = MoveOrder {
        key: IdempotencyKey::fresh(),
        number: number.to_owned(),
        expected_version: None,
        made,
        request,
        target_number: None,
        pool: None,
        condition: None,
        position: None,
        photos: vec![photo(7)],
        before_photos: Vec::new(),
        actor: Actor::System,
    };
    house.town.registry.move_case(order).await.unwrap();
}

/// From filed to closed, with a real photo of the work.
async fn mend(house: &House, number: &str) {
    let party = MoveRequest { party: Some(house.town.water), ..MoveRequest::default() };
    step(house, number, CaseMove::File, MoveRequest::default()).await;
    let found = house.town.registry.find_case(number, &Actor::System).await.unwrap().unwrap();
    if found.case.party.is_none() {
        step(house, number, CaseMove::Dispatch, party).await;
    }
    step(house, number, CaseMove::Fix, MoveRequest::default()).await;
    step(house, number, CaseMove::Check, MoveRequest::default()).await;
    let path = format!("/api/v1/cases/{number}/moves");
    let close = house.post(As::Staff(Role::Supervisor), &path).keyed();
    close.multipart(&[("move", "close"), ("release", "yes")], &[jpeg(99)]).expect(200).await;
}

/// The case behind a request, as the desk sees it.
async fn case_of(house: &House, external: &str) -> Vec<Value> {
    let path = format!("/api/v1/cases?external_number={external}");
    let listed = house.get(As::Staff(Role::Dispatcher), &path).expect(200).await.json();
    listed["cases"].as_array().unwrap().iter().map(|line| line["case"].clone()).collect()
}

async fn file_of(house: &House, number: &Value) -> Value {
    let path = format!("/api/v1/cases/{}", number.as_str().unwrap());
    house.get(As::Staff(Role::Dispatcher), &path).expect(200).await.json()
}

both_engines! {
    async fn a_fixmystreet_uses_the_registry_as_its_back_office(ground: Ground) {
        let house = House::on(ground).await;
        let fms = client(&house, LIVE).await;
        // Services with their definitions.
        let services = fms.get("services.xml").await;
        assert_eq!((services.name.as_str(), services.children.len()), ("services", Hazard::ALL.len()));
        for service in &services.children {
            let names = ["service_code", "service_name", "description", "metadata", "type", "keywords", "group"];
            assert_eq!(service.names(), names);
            let defined = fms.get(&format!("services/{}.xml", service.find("service_code"))).await;
            assert_eq!(defined.names(), ["service_code", "attributes"]);
            let orders: Vec<&str> = defined.children[1].children.iter().map(|one| one.find("order")).collect();
            assert_eq!(orders, ["1", "2", "3"]);
        }
        let broken = fms.get("services/broken.xml").await;
        let danger = &broken.child("attributes").children[1];
        assert_eq!((danger.find("code"), danger.find("required")), ("DANGER", "true"));
        let keys: Vec<&str> = danger.child("values").children.iter().map(|value| value.find("key")).collect();
        assert_eq!(keys, ["yes", "no", "unsure"]);

        // A report by the plate; the lost answer is asked for again with other words.
        let plate = house.plates[0].grouped();
        let report = |words: &'static str| {
            [("service_code", "broken"), ("lat", "37.4601"), ("long", "118.5901"), ("description", words),
             ("attribute[PLATE]", plate.as_str()), ("attribute[DANGER]", "yes"), ("attribute[fixmystreet_id]", "4711"),
             ("email", "li@example.cn"), ("first_name", "雷"), ("last_name", "李"), ("phone", "13900000000"),
             ("media_url", "http://169.254.169.254/latest"), ("account_id", "acc-9"), ("device_id", "dev-8")]
        };
        let id = fms.request(&report("裂了 <b>&amp;</b>")).await;
        assert_eq!(fms.request(&report("another text")).await, id, "one request of theirs is one of ours");
        let cases = case_of(&house, "4711").await;
        assert_eq!(cases.len(), 1);
        let file = file_of(&house, &cases[0]["number"]).await;
        let said = &file["reports"][0];
        assert_eq!(said["source"], "api");
        for private in ["裂了 <b>&amp;</b>", "http://169.254.169.254/latest", "acc-9", "dev-8"] {
            assert!(said["description"].as_str().unwrap().contains(private), "{private} is for staff: {said}");
        }
        assert_eq!(said["contact"], "雷 李 · 13900000000 · li@example.cn");
        assert_eq!(file["cover_code"], house.code(0).await);
        // The token is the number.
        assert_eq!(fms.get(&format!("tokens/{id}.xml")).await.children[0].find("service_request_id"), id);

        // Out: what anybody may know and nothing else.
        let shown = fms.get(&format!("requests/{id}.xml")).await.children.pop().unwrap();
        assert_eq!(shown.names(), ["service_request_id", "status", "status_notes", "service_name", "service_code",
            "description", "agency_responsible", "service_notice", "requested_datetime", "updated_datetime",
            "expected_datetime", "address", "address_id", "zipcode", "lat", "long", "media_url"]);
        assert_eq!((shown.find("status"), shown.find("service_code")), ("open", "broken"));
        assert_eq!((shown.find("address"), shown.find("agency_responsible")), ("东营区 黄河路", "东营水务"));
        assert_eq!((shown.find("requested_datetime"), shown.find("media_url")), ("2026-03-02T00:00:00Z", ""));
        let (lat, lon): (f64, f64) = (shown.find("lat").parse().unwrap(), shown.find("long").parse().unwrap());
        assert_eq!(lat, 37.460_001, "on the grid of the tiles");
        assert!((118.589..118.592).contains(&lon), "{lon}");
        let everything = house.get(NOBODY, "/open311/v2/requests.json?extensions=true").expect(200).await.text();
        for private in ["裂了", "li@example.cn", "13900000000", "169.254", "acc-9", "dev-8", "雷", &plate] {
            assert!(!everything.contains(private), "{private} left the house: {everything}");
        }

        // What is done about it, once each and under numbers that stay.
        let number = cases[0]["number"].as_str().unwrap().to_owned();
        house.town.clock.fetch_add(3_600_000, Ordering::SeqCst);
        mend(&house, &number).await;
        let window = ("2026-03-02T00:30:00Z", "2026-03-02T02:30:00Z");
        let updates = fms.updates(window.0, window.1).await;
        let statuses: Vec<&str> = updates.iter().map(|update| update.1.as_str()).collect();
        assert_eq!(statuses, ["INVESTIGATING", "ACTION_SCHEDULED", "IN_PROGRESS", "IN_PROGRESS", "FIXED"]);
        assert!(updates.iter().all(|update| update.0 == id));
        assert_eq!(fms.updates(window.0, window.1).await, updates);
        assert_eq!(fms.updates("2026-03-02T02:30:00Z", "2026-03-02T03:30:00Z").await, []);
        let closed = fms.get(&format!("requests.xml?service_request_id={id},R2026-999999,%00")).await;
        assert_eq!(closed.children.len(), 1);
        assert_eq!((closed.children[0].find("status"), closed.children[0].find("updated_datetime")),
            ("closed", "2026-03-02T01:00:00Z"));
        // The photo of the work is there for everybody; the citizen's never was.
        let photo = closed.children[0].find("media_url").strip_prefix(&house.base).unwrap();
        let picture = house.get(NOBODY, photo).expect(200).await;
        assert_eq!(picture.header("content-type"), Some("image/jpeg"));
        let tag = picture.header("etag").unwrap().to_owned();
        house.get(NOBODY, photo).header("if-none-match", &tag).expect(304).await;
        house.get(NOBODY, "/open311/v2/photos/R2026-999999.jpg").expect(404).await;

        // Words in. Thanks move nothing; "not mended" is for the desk to judge, and the request goes on.
        let thanks = fms.word(&id, ("w1", "FIXED", "谢谢")).await;
        assert_eq!(fms.word(&id, ("w1", "FIXED", "谢谢")).await, thanks);
        assert_eq!(file_of(&house, &json!(number)).await["case"]["state"], "closed");
        assert_eq!(file_of(&house, &json!(number)).await["reports"].as_array().unwrap().len(), 2);
        house.town.clock.fetch_add(3_600_000, Ordering::SeqCst);
        fms.word(&id, ("w2", "REOPEN", "又裂了")).await;
        let old = file_of(&house, &json!(number)).await;
        assert_eq!(old["case"]["state"], "closed", "a citizen moves no case");
        let again = fms.get(&format!("requests/{id}.xml")).await;
        assert_eq!((again.children[0].find("status"), again.children[0].find("media_url")), ("open", ""));
        let list = house.get(As::Staff(Role::Dispatcher), "/api/v1/cases?state=reported&hazard=broken");
        let list = list.expect(200).await.json();
        let second = list["cases"][0]["case"]["number"].as_str().unwrap().to_owned();
        assert!(second != number, "it lies on the desk");
        mend(&house, &second).await;
        let updates = fms.updates("2026-03-02T01:30:00Z", "2026-03-02T02:30:00Z").await;
        assert_eq!((updates.len(), updates.iter().all(|update| update.0 == id)), (5, true), "{updates:?}");
        assert_eq!(fms.get("requests.xml").await.children.len(), 1, "words are no requests");
        let report = house.town.registry.check_tables().await.unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        house.assert_faultless();
    }

    async fn errors_come_in_the_format_that_was_asked_for(ground: Ground) {
        let house = House::open_with(ground, |config| config.open311.jurisdiction = "dongying.cn".into()).await;
        let fms = client(&house, LIVE).await;
        let clerk = house.town.registry.add_open311_key("crew", "crew").await.unwrap_err();
        assert!(clerk.to_string().contains("open311.key_role"), "{clerk}");
        let english = async |method: &'static str, path: &str, status: u16| {
            let ask = house.ask(NOBODY, method, path).header("accept-language", "en");
            let answer = ask.expect(status).await;
            if path.ends_with(".json") || path.contains(".json?") {
                assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{path}");
                assert_eq!(answer.json()[0]["code"], status);
                return answer.json()[0]["description"].as_str().unwrap().to_owned();
            }
            let read = Element::read(&answer.text());
            assert_eq!((read.name.as_str(), read.names()), ("errors", vec!["error"]));
            assert_eq!(read.children[0].find("code"), status.to_string());
            read.children[0].find("description").to_owned()
        };
        for ending in ["xml", "json"] {
            for (path, status, says) in [
                (format!("services/moon.{ending}"), 404, "There is no service moon"),
                (format!("requests/R2026-000099.{ending}"), 404, "There is no request R2026-000099"),
                (format!("tokens/%00.{ending}"), 404, "There is no token"),
                (format!("services.{ending}?jurisdiction_id=elsewhere"), 404, "no jurisdiction elsewhere"),
                (format!("requests.{ending}?service_code=moon"), 404, "There is no service moon"),
                (format!("requests.{ending}?status=half"), 400, "status cannot be half"),
                (format!("requests.{ending}?start_date=yesterday"), 400, "yesterday"),
                (format!("requests.{ending}?start_date=2026-01-01T00:00:00Z&end_date=2026-06-01T00:00:00Z"), 400, "90 days"),
                (format!("requests.{ending}?updated_after=2025-02-01T00:00:00Z"), 400, "90 days"),
                (format!("requests.{ending}?start_date=2026-02-01T00:00:00Z&end_date=2026-01-01T00:00:00Z"), 400, "before"),
                (format!("requests.{ending}?page=0"), 400, "page cannot be 0"),
                (format!("requests.{ending}?page_size=1001"), 400, "1 to 1000"),
                (format!("servicerequestupdates.{ending}?end_date=x"), 400, "x"),
            ] {
                let told = english("GET", &format!("{LIVE}{path}"), status).await;
                assert!(told.contains(says), "{path}: {told}");
            }
        }
        house.get(NOBODY, &format!("{LIVE}services.xml?jurisdiction_id=dongying.cn")).expect(200).await;
        // An address that is none is told the same way, though no contract knows it.
        for (path, reads_as) in [("/open311/v2/requests.csv", "text/xml"), ("/open311/nowhere/a.json", "application/json")] {
            let answer = house.client.get(format!("{}{path}", house.base)).send().await.unwrap();
            assert_eq!(answer.status(), 404);
            assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(reads_as));
        }
        house.ask(NOBODY, "DELETE", "/open311/v2/requests.xml").expect(405).await;

        // Keys.
        let place = [("service_code", "odour"), ("lat", "37.46"), ("long", "118.59")];
        for key in [None, Some(""), Some("nonsense"), Some(house.bearer(Role::Crew))] {
            let mut fields = place.to_vec();
            fields.extend(key.map(|key| ("api_key", key)));
            let answer = house.post(NOBODY, "/open311/v2/requests.json").form(&fields).expect(403).await;
            assert_eq!(answer.json()[0]["code"], 403);
        }
        // A key opens nothing else.
        let forged = house.get(NOBODY, "/api/v1/cases").header("authorization", &format!("Bearer {}", fms.key));
        assert_eq!(forged.expect(403).await.code(), "http.scope");
        // All that is wrong, at once.
        let wrong = fms.post("requests.xml", &[("service_code", "missing"), ("attribute[TRAFFIC]", "sky")], 400).await;
        assert_eq!(wrong.children.len(), 3, "danger, traffic, place: {wrong:?}");
        assert_eq!(fms.post("requests.xml", &[("service_code", "moon"), ("lat", "37.46"), ("long", "118.59")], 404).await.children.len(), 1);
        for (fields, says) in [
            (vec![("lat", "37.46")], "long"),
            (vec![("lat", "north"), ("long", "118.59")], "lat"),
            (vec![("lat", "97.46"), ("long", "118.59")], "97.46"),
            (vec![("lat", "1.5"), ("long", "1.5")], ""),
            (vec![("address_string", "黄河路 1 号")], "attribute[PLATE]"),
            (vec![("address_id", "1")], "address_id"),
            (vec![("attribute[PLATE]", "7K3Q")], "7K3Q"),
            (vec![("lat", "37.46"), ("long", "118.59"), ("description", "a\u{0}b")], ""),
        ] {
            let mut all = vec![("service_code", "odour")];
            all.extend(fields.iter().copied());
            let told = fms.post("requests.xml", &all, 400).await;
            assert!(told.children[0].find("description").contains(says), "{fields:?}: {told:?}");
        }
        let long = "长".repeat(4001);
        fms.post("requests.xml", &[place[0], place[1], place[2], ("description", &long)], 400).await;
        for (fields, status) in [
            (vec![("service_request_id", "R2026-000099"), ("description", "x")], 404),
            (vec![("service_request_id", "'; DROP"), ("description", "x")], 404),
            (vec![("description", "x")], 400),
            (vec![("service_request_id", "R2026-000099")], 400),
            (vec![("service_request_id", "R2026-000099"), ("status", "MAYBE")], 400),
        ] {
            fms.post("servicerequestupdates.xml", &fields, status).await;
        }
        house.post(NOBODY, "/open311/v2/requests.json").body("application/json", "{}").expect(400).await;
        assert_eq!(fms.get("requests.xml").await.children.len(), 0, "nothing was filed");
        assert_eq!(house.get(NOBODY, "/open311/v2/requests.json").expect(200).await.text(), "[]");
        house.assert_faultless();
    }

    async fn requests_are_found_by_kind_state_time_and_page(ground: Ground) {
        let house = House::on(ground).await;
        let fms = client(&house, LIVE).await;
        let mut ids = Vec::new();
        for (at, hazard) in ["odour", "blocked", "ponding", "odour"].iter().enumerate() {
            let code = house.code(at).await;
            ids.push(fms.request(&[("service_code", *hazard), ("address_id", &code)]).await);
            house.town.clock.fetch_add(60_000, Ordering::SeqCst);
        }
        let listed = async |query: &str| -> Vec<String> {
            let answer = house.get(NOBODY, &format!("/open311/v2/requests.json?{query}")).expect(200).await;
            let list = answer.json();
            list.as_array().unwrap().iter().map(|one| one["service_request_id"].as_str().unwrap().to_owned()).collect()
        };
        let newest: Vec<String> = ids.iter().rev().cloned().collect();
        assert_eq!(listed("").await, newest);
        assert_eq!(listed("page=2&page_size=3").await, newest[3..]);
        assert_eq!(listed("page=9&page_size=3").await, Vec::<String>::new());
        assert_eq!(listed("service_code=blocked,ponding&status=open").await, newest[1..3]);
        assert_eq!(listed("status=closed").await, Vec::<String>::new());
        assert_eq!(listed("start_date=2026-03-02T08:01:00%2B08:00&end_date=2026-03-02T00:02Z").await, newest[1..3]);
        assert_eq!(listed("start_date=2026-03-02T08:01:00+08:00&end_date=").await, newest[..3], "a plus sign as browsers send it");
        assert_eq!(listed(&format!("service_request_id={}&status=closed", ids[0])).await, ids[..1]);
        // What changed since: a word touches the oldest one.
        let since = "2026-03-02T00:04:00Z";
        assert_eq!(listed(&format!("updated_after={since}")).await, Vec::<String>::new());
        let word = [("service_request_id", ids[0].as_str()), ("description", "还在")];
        fms.post("servicerequestupdates.xml", &word, 200).await;
        assert_eq!(listed(&format!("updated_after={since}")).await, ids[..1]);
        // Without a number of theirs: the same within ten minutes, another one later.
        let code = house.code(5).await;
        let again = [("service_code", "cable"), ("address_id", code.as_str()), ("description", "同样的话")];
        let first = fms.request(&again).await;
        assert_eq!(fms.request(&again).await, first);
        house.town.clock.fetch_add(9 * 60_000, Ordering::SeqCst);
        assert_eq!(fms.request(&again).await, first);
        house.town.clock.fetch_add(2 * 60_000, Ordering::SeqCst);
        assert_ne!(fms.request(&again).await, first);
        // Whoever has the list is told so, until something changes.
        let path = "/open311/v2/requests.json";
        let tag = house.get(NOBODY, path).expect(200).await.header("etag").unwrap().to_owned();
        house.get(NOBODY, path).header("if-none-match", &tag).expect(304).await;
        let packed = house.client.get(format!("{}{path}", house.base)).header("accept-encoding", "gzip");
        assert_eq!(packed.send().await.unwrap().headers()["content-encoding"], "gzip");
        fms.request(&[("service_code", "no_net"), ("address_id", &code)]).await;
        house.get(NOBODY, path).header("if-none-match", &tag).expect(200).await;
        // A place without a cover is told where the request came by this door, and not where a phone stood.
        let place = fms.request(&[("service_code", "gas"), ("lat", "37.4612"), ("long", "118.5934")]).await;
        let shown = house.get(NOBODY, &format!("/open311/v2/requests/{place}.json?extensions=true")).expect(200).await.json();
        assert!((shown[0]["lat"].as_f64().unwrap() - 37.4612).abs() < 0.000_01, "{shown}");
        assert!(shown[0]["service_notice"].as_str().unwrap().contains("119"), "{shown}");
        assert_eq!(shown[0]["extended_attributes"]["emergency"], true);
        assert!(shown[0]["notes"].as_array().unwrap().len() >= 2, "{shown}");
        let key = IdempotencyKey::fresh().to_string();
        let phone = [("key", key.as_str()), ("hazard", "gas"), ("cover", "none"), ("place_lon", "118.5951"),
            ("place_lat", "37.4621"), ("place_accuracy_m", "9")];
        house.post(NOBODY, "/report/send").form(&phone).expect(303).await;
        let newest = house.get(NOBODY, path).expect(200).await.json();
        assert_eq!((&newest[0]["service_code"], &newest[0]["lat"]), (&json!("gas"), &Value::Null), "{}", newest[0]);
        house.assert_faultless();
    }
}

/// Every operation at both endpoints, in both formats, answered with success.
pub async fn open311(house: &House) {
    for (file, media_type) in
        [("xml", "text/xml"), ("json", "application/json"), ("html", "text/html; charset=utf-8")]
    {
        let answer = house.get(NOBODY, &format!("/open311/discovery.{file}")).expect(200).await;
        assert_eq!(answer.header("content-type"), Some(media_type));
        if file == "json" {
            let found = answer.json();
            let urls: Vec<&str> = found["endpoints"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["url"].as_str().unwrap())
                .collect();
            assert_eq!(urls, [format!("{}{LIVE}", house.base), format!("{}{TEST}", house.base)]);
        }
        if file == "xml" {
            let found = Element::read(&answer.text());
            assert_eq!(found.names(), ["changeset", "contact", "key_service", "endpoints"]);
            assert_eq!(found.child("endpoints").children[0].child("formats").children.len(), 2);
        }
    }
    house.get(NOBODY, "/open311/discovery.csv").expect(404).await;
    house.get(NOBODY, "/open311/other.xml").expect(404).await;
    let key = house.town.registry.add_open311_key("supervisor", "both endpoints").await.unwrap();
    let code = house.code(4).await;
    let mut filed = Vec::new();
    for endpoint in [LIVE, TEST] {
        for (at, ending) in ["xml", "json"].iter().enumerate() {
            let get = async |path: &str| house.get(NOBODY, &format!("{endpoint}{path}")).expect(200).await;
            get(&format!("services.{ending}")).await;
            get(&format!("services/missing.{ending}")).await;
            let hazard = ["abandoned", "wrong_cover"][at];
            let fields = [
                ("api_key", key.as_str()),
                ("service_code", hazard),
                ("address_string", code.as_str()),
                ("account_id", "a"),
            ];
            let path = format!("{endpoint}requests.{ending}");
            let sent: Answer =
                house.post(NOBODY, &path).multipart(&fields, &[jpeg(61 + at as u8)]).expect(200).await;
            let id = match *ending {
                "xml" => Element::read(&sent.text()).children[0].find("service_request_id").to_owned(),
                _ => sent.json()[0]["service_request_id"].as_str().unwrap().to_owned(),
            };
            assert_eq!(id.starts_with("TEST-"), endpoint == TEST, "{id}");
            if endpoint == LIVE {
                filed.push(id.clone());
            }
            let known = &filed[at];
            get(&format!("requests/{known}.{ending}")).await;
            get(&format!("tokens/{known}.{ending}")).await;
            let listed = get(&format!("requests.{ending}")).await.text();
            assert!(!listed.contains("TEST-") && listed.contains(known.as_str()));
            let word = [
                ("api_key", key.as_str()),
                ("service_request_id", known),
                ("description", "in a hurry"),
                ("status", "OPEN"),
            ];
            house
                .post(NOBODY, &format!("{endpoint}servicerequestupdates.{ending}"))
                .form(&word)
                .expect(200)
                .await;
            get(&format!(
                "servicerequestupdates.{ending}?start_date=2026-01-01T00:00:00Z&end_date=2026-03-20T00:00:00Z"
            ))
            .await;
        }
    }
    let cases =
        house.get(As::Staff(Role::Dispatcher), "/api/v1/cases?hazard=abandoned").expect(200).await.json();
    let number = cases["cases"][0]["case"]["number"].as_str().unwrap().to_owned();
    let file = file_of(house, &json!(number)).await;
    assert_eq!(file["reports"].as_array().unwrap().len(), 2, "the word is there, the trials are not");
    assert_eq!(file["photos"].as_array().unwrap().len(), 1, "what was tried left nothing");
    mend(house, &number).await;
    house.get(NOBODY, &format!("{LIVE}photos/{}.jpg", filed[0])).expect(200).await;
}
