//! Batches of plates over HTTP: ordered in several ways, followed, handed out, taken back, printed again.

use std::time::Duration;

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::editing::Seated;
use super::house::{As, House, KEY};

const ENGINEER: As = As::Staff(Role::Engineer);
const CREW: As = As::Staff(Role::Crew);
const BATCHES: &str = "/api/v1/plate-batches";
const SQUARE: &str = r#"{"type":"Polygon","coordinates":[[[118.5,37.4],[118.7,37.4],[118.7,37.5],[118.5,37.5],[118.5,37.4]]]}"#;

async fn step(house: &House, at: &str, body: Value, status: u16) -> super::house::Answer {
    house.post(ENGINEER, &format!("{at}/steps")).keyed().json(body).expect(status).await
}

/// Waits until the files of an order are made.
async fn released(house: &House, at: &str) -> Value {
    for _ in 0..600 {
        let batch = house.get(ENGINEER, at).expect(200).await.json();
        if batch["state"] == "released" {
            return batch;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{at} is not released after a minute");
}

pub async fn programs(house: &House) {
    hand_out_and_print_again(house).await;
    order_in_files(house).await;

    let area = json!({"area": {"kind": "district", "code": "370502"}});
    let made = house.post(ENGINEER, BATCHES).json(area).send().await;
    assert!(matches!(made.status, 201 | 404 | 422), "{}", made.text());
    let outline: Value = serde_json::from_str(SQUARE).unwrap();
    let order = json!({"outline": outline, "level": "H"});
    let made = house.post(ENGINEER, BATCHES).json(order.clone()).expect(201).await.json();
    assert_eq!((&made["ordered"]["by"], &made["level"]), (&json!("outline"), &json!("H")), "{made}");
    let none_left = house.post(ENGINEER, BATCHES).json(order).expect(422).await;
    assert_eq!(none_left.code(), "batch.empty", "every cover within it has its plate");
    let point = json!({"outline": {"type": "Point", "coordinates": [118.5, 37.4]}});
    assert_eq!(house.post(ENGINEER, BATCHES).json(point).expect(422).await.code(), "batch.outline");
    let both = json!({"outline": {}, "count": 3});
    assert_eq!(house.post(ENGINEER, BATCHES).json(both).expect(422).await.code(), "batch.one_of");
    let much = json!({"count": 100_001});
    assert_eq!(house.post(ENGINEER, BATCHES).json(much).expect(422).await.code(), "batch.count");
    let stranger = json!({"count": 1, "printer": "none"});
    assert_eq!(house.post(ENGINEER, BATCHES).json(stranger).expect(422).await.code(), "printer.unknown");
}

async fn hand_out_and_print_again(house: &House) {
    let key = IdempotencyKey::fresh().to_string();
    let order = json!({"count": 5, "note": "for the shop", "printed": false});
    let again = || house.post(ENGINEER, BATCHES).header(KEY, &key).json(order.clone());
    let made = again().expect(201).await;
    let at = made.header("location").unwrap().to_owned();
    assert_eq!(again().expect(201).await.json()["id"], made.json()["id"], "the same order twice is one");
    assert_eq!(made.json()["counts"], json!({"made": 5}));
    house.post(ENGINEER, BATCHES).header(KEY, &key).json(json!({"count": 6})).expect(409).await;

    let issue = |ordinals: &str| json!({"step": "issue", "ordinals": ordinals, "crew": "crew"});
    assert_eq!(step(house, &at, issue("1-2"), 409).await.code(), "plates.not_printed");
    assert_eq!(step(house, &at, json!({"step": "printed"}), 200).await.json()["moved"], 5);
    let spoil = json!({"step": "spoil", "ordinals": "2", "reason": "smeared"});
    assert_eq!(step(house, &at, spoil, 200).await.json()["moved"], 1);
    assert_eq!(step(house, &at, json!({"step": "spoil", "ordinals": "2"}), 422).await.code(), "form.missing");
    let done = step(house, &at, json!({"step": "reprint", "ordinals": "2-3"}), 200).await.json();
    assert!(done["moved"] == 1 && done.get("successors").is_none(), "{done}");
    let sheet = house.get(CREW, done["again"]["url"].as_str().unwrap()).expect(200).await;
    assert!(sheet.body.starts_with(b"%PDF-"));

    assert_eq!(step(house, &at, issue("1-3"), 200).await.json(), json!({"moved": 3, "left": {}}));
    let nobody = json!({"step": "issue", "ordinals": "4", "crew": "engineer"});
    assert_eq!(step(house, &at, nobody, 422).await.code(), "plates.crew_unknown");
    let stock = house.get(CREW, "/api/v1/plate-stock").expect(200).await.json();
    assert_eq!(
        (&stock["stock"][0]["blank"], &stock["stock"][0]["crew"]),
        (&json!(3), &json!("crew")),
        "{stock}"
    );
    house.get(CREW, &format!("{at}/plates.pdf?only=3")).expect(409).await;
    let gone = house.get(CREW, &format!("{at}/plates.svg.zip?only=3")).expect(409).await;
    assert_eq!(gone.code(), "plates.issued_once");
    house.get(CREW, &format!("{at}/plates.zpl?only=9")).expect(422).await;
    house.get(CREW, &format!("{at}/plates.zpl?only=x")).expect(400).await;
    house.get(CREW, &format!("{at}/plates.zpl?head=72")).expect(400).await;
    let zip = house.get(CREW, &format!("{at}/plates.svg.zip?only=4-5")).expect(200).await;
    assert!(zip.body.starts_with(b"PK"));
    let zpl = house.get(CREW, &format!("{at}/plates.zpl?head=203")).expect(200).await.text();
    assert_eq!((zpl.lines().count(), zpl.starts_with("^XA^PW720^LL480")), (5, true), "{zpl:.60}");
    let issued = house.get(CREW, &format!("{at}/plates?state=issued&limit=2")).expect(200).await.json();
    assert_eq!((issued["plates"].as_array().unwrap().len(), &issued["next"]), (2, &json!("2")), "{issued}");
    let token = issued["plates"][0]["token"].as_str().unwrap().to_owned();

    let done = step(house, &at, json!({"step": "reprint", "ordinals": "1"}), 200).await.json();
    let heirs = done["successors"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        done["successors"]["ordered"],
        json!({"by": "successors", "of": made.json()["id"], "count": 1})
    );
    let heir = house.get(CREW, &format!("{BATCHES}/{heirs}/plates")).expect(200).await.json();
    let old = house.get(As::Nobody, &format!("/api/v1/plates/{token}")).expect(200).await.json();
    assert_eq!(
        (&old["state"], &old["successor"]),
        (&json!("replaced"), &heir["plates"][0]["token"]),
        "{old}"
    );
    assert!(
        house
            .get(CREW, &format!("{BATCHES}/{heirs}/plates.pdf"))
            .expect(200)
            .await
            .body
            .starts_with(b"%PDF-")
    );

    let back = json!({"step": "return", "tokens": [issued["plates"][1]["token"]]});
    let back = house.post(ENGINEER, "/api/v1/plate-stock").keyed().json(back).expect(200).await.json();
    assert_eq!(back["moved"], 1);
    let rest = json!({"step": "return", "crew": "crew"});
    house.post(ENGINEER, "/api/v1/plate-stock").keyed().json(rest.clone()).expect(200).await;
    let none = house.post(ENGINEER, "/api/v1/plate-stock").keyed().json(rest).expect(409).await;
    assert_eq!(none.code(), "plates.nothing_moves");
    let one_by_one = json!({"step": "issue", "crew": "crew", "tokens": [token]});
    let gone = house.post(ENGINEER, "/api/v1/plate-stock").keyed().json(one_by_one).expect(409).await;
    assert_eq!(gone.code(), "plates.cannot");
    let list = house.get(ENGINEER, &format!("{BATCHES}?limit=2")).expect(200).await.json();
    assert_eq!(list["batches"][0]["id"], heirs.as_str(), "newest first");
    house.get(ENGINEER, &format!("{BATCHES}?cursor={}", list["next"].as_str().unwrap())).expect(200).await;
}

async fn order_in_files(house: &House) {
    let order = json!({"count": 23, "split": 10});
    let begun = house.post(ENGINEER, BATCHES).json(order).expect(202).await;
    let at = begun.header("location").unwrap().to_owned();
    let batch = released(house, &at).await;
    assert_eq!((&batch["file_count"], &batch["counts"]), (&json!(3), &json!({"printed": 23})), "{batch}");
    house.get(CREW, &format!("{at}/plates.pdf")).expect(422).await;
    house.get(CREW, &format!("{at}/plates.pdf?file=4")).expect(422).await;
    house.get(CREW, &format!("{at}/plates.zpl?file=4")).expect(422).await;
    let zpl = house.get(CREW, &format!("{at}/plates.zpl?file=3&head=203")).expect(200).await.text();
    assert_eq!(zpl.lines().count(), 3);
    let file = house.get(CREW, &format!("{at}/plates.pdf?file=3")).expect(200).await;
    let etag = file.header("etag").unwrap().to_owned();
    house.get(CREW, &format!("{at}/plates.pdf?file=3")).header("if-none-match", &etag).expect(304).await;
    let folder = house.state.data.join("batches");
    let kept = folder.join(format!("{}-003.pdf", batch["id"].as_str().unwrap()));
    std::fs::remove_file(&kept).unwrap();
    let anew = house.get(CREW, &format!("{at}/plates.pdf?file=3")).expect(200).await;
    assert!(anew.body == file.body, "a print again from the ledger has the same bytes");
    let ledger = house.get(CREW, &format!("{at}/ledger.csv")).expect(200).await.text();
    assert_eq!(ledger.lines().count(), 24, "{ledger}");
    house.post(ENGINEER, &format!("{at}/resume")).expect(202).await;
    assert_eq!(house.post(ENGINEER, &format!("{at}/stop")).expect(409).await.code(), "batch.not_under_way");

    let order = json!({"count": 20_000, "split": 200});
    let begun = house.post(ENGINEER, BATCHES).json(order).expect(202).await;
    let at = begun.header("location").unwrap().to_owned();
    while house.get(ENGINEER, &at).expect(200).await.json()["lines_done"] == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stopped = house.post(ENGINEER, &format!("{at}/stop")).expect(200).await.json();
    let made = stopped["plate_count"].as_i64().unwrap();
    assert!(made > 0 && made < 20_000 && made % 200 == 0, "{stopped}");
    let ledger = house.get(CREW, &format!("{at}/ledger.csv")).expect(200).await.text();
    assert_eq!(ledger.lines().count() as i64, made + 1, "what is made stays");
}

pub async fn pages(house: &House) {
    let desk = Seated::log_in(house, "engineer").await;
    let list = desk.open("/admin/plates", 200).await;
    assert!(list.contains("/admin/plates/new") && list.contains("for the shop"), "{list}");
    let form = desk.open("/admin/plates/new", 200).await;
    let order = |fields: &'static [(&'static str, &'static str)], status| {
        let (desk, form) = (&desk, &form);
        async move {
            let key = IdempotencyKey::fresh().to_string();
            let mut fields = fields.to_vec();
            fields.push(("key", &key));
            desk.fill(form, "/admin/plates", &fields, status).await
        }
    };
    let said = order(&[("by", "codes"), ("codes", "3705020102999999")], 422).await.text();
    assert!(said.contains("No cover has the code 3705020102999999 on line 1"), "{said}");
    assert!(said.contains(">3705020102999999</textarea>"), "what was typed stays: {said}");
    order(&[("by", "blank"), ("count", "many")], 422).await;
    order(&[("by", "outline"), ("outline", "{}")], 422).await;
    order(&[("by", "area"), ("area", "grid:none")], 404).await;
    order(&[("by", "filter"), ("road", "no such road")], 422).await;
    order(&[("by", "blank"), ("count", "2"), ("split", "0")], 422).await;
    let made = order(&[("by", "blank"), ("count", "3"), ("unprinted", "1"), ("note", "crew two")], 303).await;
    let at = made.header("location").unwrap().to_owned();

    let steps = format!("{at}/steps");
    let act = |page: String, fields: Vec<(&'static str, &'static str)>, status| {
        let (desk, steps) = (&desk, &steps);
        async move {
            let key = IdempotencyKey::fresh().to_string();
            let mut fields = fields;
            fields.push(("key", &key));
            desk.fill(&page, steps, &fields, status).await
        }
    };
    let page = desk.open(&at, 200).await;
    assert!(page.contains("crew two") && page.contains("/plates.pdf"), "{page}");
    let drawings =
        |query: &str| house.get(ENGINEER, &format!("{at}/drawings?{query}")).header("accept-language", "en");
    let zip = drawings("as=svg&ordinals=1,3").expect(200).await;
    assert!(
        zip.body.starts_with(b"PK") && zip.header("content-disposition").unwrap().ends_with(".svg.zip\"")
    );
    assert!(drawings("as=zpl-600&ordinals=").expect(200).await.text().starts_with("^XA"));
    let refused = drawings("as=svg&ordinals=7").expect(422).await.text();
    assert!(refused.contains("id=\"wrong\"") && refused.contains("id=\"drawings\""), "{refused}");
    drawings("as=svg&ordinals=9-1").expect(400).await;
    drawings("as=dxf").expect(400).await;
    let done = act(page.clone(), vec![("step", "printed"), ("ordinals", "")], 303).await;
    let page = desk.open(done.header("location").unwrap(), 200).await;
    assert!(page.contains("3 plates are reported printed"), "{page}");
    act(page.clone(), vec![("step", "issue"), ("ordinals", "9-1"), ("crew", "crew")], 422).await;
    let done = act(page.clone(), vec![("step", "issue"), ("ordinals", "1-2"), ("crew", "crew")], 303).await;
    let page = desk.open(done.header("location").unwrap(), 200).await;
    assert!(page.contains("2 plates are issued"), "{page}");
    let refused =
        act(page.clone(), vec![("step", "spoil"), ("ordinals", "1"), ("reason", "x"), ("crew", "")], 409)
            .await;
    assert!(refused.text().contains("None of the plates can take this step"), "{}", refused.text());
    let done = act(page, vec![("step", "reprint"), ("ordinals", "1,3"), ("crew", "")], 303).await;
    let page = desk.open(done.header("location").unwrap(), 200).await;
    assert!(page.contains("only=3") && page.contains("Open the batch of successors"), "{page}");
    let plates = desk.open(&format!("{at}/plates?state=issued"), 200).await;
    assert!(plates.contains("issued") && !plates.contains("<th scope=\"row\">3</th>"), "{plates}");
    desk.open(&format!("{at}/plates?after=x"), 400).await;
    desk.open(&format!("{at}/plates?state=x"), 400).await;
    desk.open("/admin/plates?before=x", 400).await;
    desk.open(&format!("{at}?did=nonsense"), 400).await;
    desk.open(&format!("/admin/plates/{}", IdempotencyKey::fresh()), 404).await;

    let stock = desk.open("/admin/plates/stock", 200).await;
    let back = [("step", "return"), ("crew", "crew"), ("tokens", "")];
    let back = desk.fill(&stock, "/admin/plates/stock", &back, 303).await;
    let stock = desk.open(back.header("location").unwrap(), 200).await;
    assert!(stock.contains("1 plates took the step") && stock.contains("No crew has plates"), "{stock}");
    let key = IdempotencyKey::fresh().to_string();
    let typed = [("step", "return"), ("tokens", "not a token"), ("crew", ""), ("key", key.as_str())];
    desk.fill(&stock, "/admin/plates/stock", &typed, 422).await;
    let crew = Seated::log_in(house, "crew").await;
    let own = crew.open("/admin/plates/stock", 200).await;
    assert!(!own.contains("<form class=\"panel\""), "a crew only looks: {own}");
    crew.open("/admin/plates", 403).await;

    let big = order(&[("by", "blank"), ("count", "20000"), ("split", "100")], 303).await;
    let at = big.header("location").unwrap().to_owned();
    let page = desk.open(&at, 200).await;
    assert!(page.contains("<progress") && page.contains("/ 20000"), "{page}");
    desk.fill(&page, &format!("{at}/stop"), &[], 303).await;
    let list = desk.open("/admin/plates", 200).await;
    assert!(!list.contains("being made"), "{list}");
    let form = "<form method=\"post\" action=\"RESUME\">"
        .replace("RESUME", &format!("{}/resume", made.header("location").unwrap()));
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = format!("{form}<input type=\"hidden\" name=\"csrf\" value=\"{csrf}\"></form>");
    desk.fill(&form, &format!("{}/resume", made.header("location").unwrap()), &[], 303).await;
    crews(house, &desk).await;
}

/// Progress and spot checks, as pages and as tables.
async fn crews(house: &House, desk: &Seated<'_>) {
    let overview = desk.open("/admin/crews?district=370502&from=2026-01-01&until=2026-12-31", 200).await;
    assert!(overview.contains("Map of progress") && overview.contains("Streets"), "{overview}");
    desk.open("/admin/crews?from=yesterday", 400).await;
    for (table, format) in [("streets", "csv"), ("crews", "xlsx"), ("days", "csv")] {
        let address =
            format!("/admin/crews/export?table={table}&format={format}&from=2026-01-01&until=2026-12-31");
        house.get(ENGINEER, &address).expect(200).await;
    }
    house.get(ENGINEER, "/admin/crews/export?table=plates&format=csv").expect(400).await;
    house.get(ENGINEER, "/admin/crews/export?table=days&format=shp").expect(422).await;
    let form = desk.open("/admin/crews/checks", 200).await;
    let days =
        [("from", "2026-01-01"), ("until", "2026-12-31"), ("count", "2"), ("crew", ""), ("district", "")];
    let drawn = desk.fill(&form, "/admin/crews/checks", &days, 303).await;
    let at = drawn.header("location").unwrap().to_owned();
    let check = desk.open(&at, 200).await;
    assert!(check.contains("Seed") && check.contains("not looked at yet"), "{check}");
    let id = at.rsplit('/').next().unwrap();
    house.get(ENGINEER, &format!("/admin/crews/export?table=check&format=xlsx&check={id}")).expect(200).await;
    let key = IdempotencyKey::fresh().to_string();
    let turned = [("from", "2026-12-31"), ("until", "2026-01-01"), ("key", key.as_str())];
    desk.fill(&form, "/admin/crews/checks", &turned, 422).await;
    let much = [("from", "2026-01-01"), ("until", "2026-12-31"), ("count", "501"), ("key", key.as_str())];
    desk.fill(&form, "/admin/crews/checks", &much, 422).await;
    desk.open(&format!("/admin/crews/checks/{key}"), 404).await;
}
