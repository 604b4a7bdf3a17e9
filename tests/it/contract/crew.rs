//! A day in the field as the phone sends it: packages down, photos and actions up.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use serde_json::{Value, json};

use super::house::{Answer, As, House, KEY, jpeg};
use crate::both_engines;
use crate::registry::ground::MONDAY;

const CREW: As = As::Staff(Role::Crew);

/// Sends a photo in pieces of `size` bytes; answers its id.
async fn send_photo(house: &House, bytes: &[u8], size: usize) -> String {
    let id = IdempotencyKey::fresh().to_string();
    for (at, piece) in bytes.chunks(size).enumerate() {
        let here = put(house, &id, (at * size, bytes.len()), piece).await;
        assert_eq!(here.status, 200, "{}", here.text());
        let here = here.json();
        let end = at * size + piece.len();
        assert_eq!((&here["received"], &here["complete"]), (&json!(end), &json!(end == bytes.len())));
    }
    id
}

async fn put(house: &House, id: &str, (offset, total): (usize, usize), piece: &[u8]) -> Answer {
    let path = format!("/api/v1/crew/photos/{id}?offset={offset}&total={total}");
    house.ask(CREW, "PUT", &path).body("application/octet-stream", piece.to_vec()).send().await
}

async fn act(house: &House, body: Value, status: u16) -> Value {
    house.post(CREW, "/api/v1/crew/actions").keyed().json(body).expect(status).await.json()
}

/// Every operation for crews.
pub async fn crews(house: &House) {
    let me = house.get(CREW, "/api/v1/crew/me").expect(200).await.json();
    assert_eq!((&me["user"], &me["accuracy_gate_m"]), (&json!("crew"), &json!(10.0)));
    assert!(me.get("csrf").is_none() && me["placements"][0] == "carriageway", "{me}");
    log_in(house).await;
    assert!(me["bounds"][0].as_f64().unwrap() < me["bounds"][2].as_f64().unwrap(), "{me}");
    let packages = house.get(CREW, "/api/v1/crew/packages").expect(200).await.json();
    let road =
        packages["packages"].as_array().unwrap().iter().find(|one| one["road"] == "黄河路").unwrap().clone();
    let bbox: Vec<String> = road["bbox"].as_array().unwrap().iter().map(Value::to_string).collect();
    let query = format!("district=370502&road=%E9%BB%84%E6%B2%B3%E8%B7%AF&bbox={}&limit=3", bbox.join(","));
    let page = house.get(CREW, &format!("/api/v1/crew/packages/covers?{query}")).expect(200).await.json();
    assert_eq!(page["covers"].as_array().unwrap().len(), 3);
    let after = page["next"].as_str().unwrap();
    let rest =
        house.get(CREW, &format!("/api/v1/crew/packages/covers?{query}&after={after}")).expect(200).await;
    assert!(rest.json()["covers"][0]["plates"][0]["token"].is_string(), "{}", rest.text());
    let none = house.get(CREW, "/api/v1/crew/packages/covers?no_road=true").expect(200).await.json();
    assert!(none["covers"].as_array().unwrap().iter().all(|cover| cover.get("road").is_none()), "{none}");
    assert_eq!(house.get(CREW, "/api/v1/crew/stock?limit=5").expect(200).await.json()["plates"], json!([]));
    let cover = &page["covers"][0];
    let hung =
        cover["plates"].as_array().unwrap().iter().find(|plate| plate["state"] == "installed").unwrap();
    let token = hung["token"].as_str().unwrap();
    let plate = house.get(CREW, &format!("/api/v1/crew/plates/{token}")).expect(200).await.json();
    assert_eq!((&plate["cover"]["code"], &plate["yours"]), (&cover["code"], &json!(false)));

    let bytes = jpeg(21);
    let photo = send_photo(house, &bytes, bytes.len() / 3 + 1).await;
    let whole = house.get(CREW, &format!("/api/v1/crew/photos/{photo}")).expect(200).await.json();
    assert_eq!(whole, json!({"received": bytes.len(), "complete": true}));

    let fix =
        json!({"lon": cover["lon"], "lat": cover["lat"], "accuracy_m": 4.0, "fixes": 9, "taken_at": MONDAY});
    let fit = json!({"kind": "fit", "done_at": MONDAY, "token": token, "cover": cover["cover"], "seen_version": cover["version"],
        "position": fix, "photos": [{"id": photo, "role": "plate"}], "note": null});
    let again = act(house, fit, 201).await;
    assert_eq!(
        (&again["notices"][0]["code"], &again["distance_m"]),
        (&json!("crew.already_fitted"), &json!(0.0))
    );
    let blank = blank(house).await;
    let plate = json!([{"id": send_photo(house, &jpeg(24), 1 << 18).await, "role": "plate"}]);
    let other =
        json!({"kind": "fit", "done_at": MONDAY, "token": blank, "cover": cover["cover"], "photos": plate});
    let question = act(house, other.clone(), 409).await;
    assert_eq!((&question["code"], &question["about"]), (&json!("cover.wears_plate"), &json!("cover")));
    assert!(question["theirs"]["plates"].as_array().unwrap().contains(hung), "{question}");
    assert_eq!(question["yours"]["token"], json!(blank));

    let find = json!({"kind": "survey", "done_at": MONDAY, "class": "storm", "road": "南一路", "token": blank, "photos": plate,
        "position": {"lon": 118.5904, "lat": 37.4603, "accuracy_m": 6.5, "taken_at": MONDAY}});
    let found = act(house, find.clone(), 201).await["cover"].clone();
    assert_eq!(found["plates"][0]["token"], json!(blank));
    let mut twin = find;
    twin["token"] = Value::Null;
    let question = act(house, twin, 409).await;
    assert_eq!(
        (&question["code"], &question["nearby"][0]["cover"]),
        (&json!("cover.nearby"), &found["cover"])
    );
    let elsewhere = json!({"kind": "fit", "done_at": MONDAY, "token": blank, "cover": cover["cover"], "replace": true, "photos": plate});
    let question = act(house, elsewhere, 409).await;
    assert_eq!((&question["code"], &question["about"]), (&json!("plate.bound_elsewhere"), &json!("plate")));
    assert_eq!(question["theirs"]["cover"]["cover"], found["cover"]);
    let fake = json!({"kind": "fit", "done_at": MONDAY, "token": "000000000000", "cover": cover["cover"], "photos": plate});
    assert_eq!(act(house, fake, 409).await["code"], "plate.unknown");

    let at = json!({"done_at": MONDAY, "cover": found["cover"]});
    let with = |more: Value| {
        let mut body = at.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (before, after) =
        (send_photo(house, &jpeg(22), 1 << 18).await, send_photo(house, &jpeg(23), 1 << 18).await);
    let photos = json!([{"id": before, "role": "before"}, {"id": after, "role": "after"}]);
    let fixed = act(house, with(json!({"kind": "fix", "hazard": "rocking", "photos": photos})), 201).await;
    let case = format!("/api/v1/cases/{}", fixed["case"].as_str().unwrap());
    assert_eq!(
        house.get(As::Staff(Role::Supervisor), &case).expect(200).await.json()["case"]["state"],
        "handled"
    );
    act(house, with(json!({"kind": "report", "hazard": "missing", "description": "井口敞开"})), 201).await;
    let checked = act(house, with(json!({"kind": "check", "token": token, "result": "ok"})), 201).await;
    assert_eq!(checked["result"], "wrong_plate");
    let harm =
        json!({"kind": "plate", "done_at": MONDAY, "token": blank, "state": "damaged", "reason": "被车压弯"});
    assert_eq!(act(house, harm, 201).await["cover"]["plates"][0]["state"], "damaged");
    spot_checks(house).await;
}

/// What the supervisor drew is in the package; one look is for every draw, two looks that differ are a question.
async fn spot_checks(house: &House) {
    let list = async || {
        let page = house.get(CREW, "/api/v1/crew/packages/covers?drawn=true").expect(200).await.json();
        page["covers"].as_array().unwrap().clone()
    };
    let drawn = list().await;
    assert!(!drawn.is_empty(), "the supervisor's pages drew some before");
    let (cover, draw) = (&drawn[0], &drawn[0]["spot_check"]);
    let look = json!({"kind": "check", "done_at": MONDAY, "cover": cover["cover"], "token": draw["token"],
        "result": "ok", "spot_check": draw["id"]});
    let done = act(house, look.clone(), 201).await;
    assert!(done["cover"].get("spot_check").is_none() && done["notices"] == json!([]), "{done}");
    assert_eq!(list().await.len(), drawn.len() - 1);
    let photo = IdempotencyKey::fresh().to_string();
    let bytes = jpeg(25);
    let other = As::Staff(Role::GridWorker);
    let address = format!("/api/v1/crew/photos/{photo}?offset=0&total={}", bytes.len());
    house.ask(other, "PUT", &address).body("application/octet-stream", bytes).expect(200).await;
    let mut harm = look;
    harm["result"] = json!("damaged");
    harm["photos"] = json!([{"id": photo, "role": "plate"}]);
    let send = async |body: &Value, status| {
        house.post(other, "/api/v1/crew/actions").keyed().json(body.clone()).expect(status).await.json()
    };
    let question = send(&harm, 409).await;
    assert_eq!((&question["code"], &question["look"]["result"]), (&json!("spot_check.looked"), &json!("ok")));
    assert_eq!(question["choices"], json!(["mine_counts", "discard"]));
    harm["mine_counts"] = json!(true);
    assert_eq!(send(&harm, 201).await["result"], "damaged");
}

async fn blank(house: &House) -> String {
    let order = json!({"count": 1, "note": "field"});
    let made = house.post(As::Staff(Role::Engineer), "/api/v1/plate-batches").json(order).expect(201).await;
    let at = made.header("location").unwrap().to_owned();
    let ledger = house.get(CREW, &format!("{at}/ledger.csv")).expect(200).await.text();
    ledger.lines().nth(1).unwrap().split(',').nth(1).unwrap().to_owned()
}

/// The app is a static page: it learns from `me` what it must send with its cookie.
async fn log_in(house: &House) {
    let fields = [("login", "crew"), ("password", "correct horse")];
    let welcome = house.post(As::Nobody, "/login").form(&fields).expect(303).await;
    let cookie = welcome.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let me = house.get(As::Nobody, "/api/v1/crew/me").header("cookie", &cookie).expect(200).await.json();
    let csrf = me["csrf"].as_str().unwrap();
    let act =
        || house.post(As::Nobody, "/api/v1/crew/actions").keyed().header("cookie", &cookie).json(json!({}));
    assert_eq!(act().expect(403).await.code(), "http.csrf");
    act().header("x-csrf-token", csrf).expect(422).await;
}

both_engines! {
    async fn a_photo_goes_on_where_it_was_and_a_piece_twice_is_no_harm(ground: Ground) {
        let house = House::on(ground).await;
        let (bytes, id) = (jpeg(31), IdempotencyKey::fresh().to_string());
        let (half, total) = (bytes.len() / 2, bytes.len());
        let address = format!("/api/v1/crew/photos/{id}");
        house.get(CREW, &address).expect(404).await;
        let gap = put(&house, &id, (half, total), &bytes[half..]).await;
        assert_eq!((gap.status, gap.code().as_str(), &gap.json()["received"]), (409, "photo.offset", &json!(0)));
        for _ in 0..2 {
            let here = put(&house, &id, (0, total), &bytes[..half]).await.json();
            assert_eq!(here, json!({"received": half, "complete": false}));
        }
        assert_eq!(house.get(CREW, &address).expect(200).await.json()["received"], half);
        assert_eq!(put(&house, &id, (0, total + 1), &bytes).await.code(), "photo.total");
        house.get(As::Staff(Role::Engineer), &address).expect(404).await;
        // The piece comes again with more behind it.
        for _ in 0..2 {
            let whole = put(&house, &id, (half - 10, total), &bytes[half - 10..]).await.json();
            assert_eq!(whole, json!({"received": total, "complete": true}));
        }
        let noise = IdempotencyKey::fresh().to_string();
        let refused = put(&house, &noise, (0, 900), &[7; 900]).await;
        assert_eq!((refused.status, refused.code().as_str()), (422, "photo.type"));
        house.get(CREW, &format!("/api/v1/crew/photos/{noise}")).expect(404).await;
        assert_eq!(put(&house, &noise, (0, 20 << 20), &[7; 900]).await.status, 413);
        assert_eq!(put(&house, &noise, (0, 1 << 20), &vec![7; 300 << 10]).await.status, 413);
        assert_eq!(put(&house, &noise, (0, 100), &[7; 101]).await.code(), "photo.beyond");
        assert_eq!(put(&house, "x", (0, 100), &[7; 100]).await.status, 422);
        house.assert_faultless();
    }

    async fn an_action_that_does_not_fit_changes_nothing_and_says_why(ground: Ground) {
        let house = House::on(ground).await;
        let scanned = house.town.registry.find_plate(house.plates[0]).await.unwrap().unwrap();
        let (token, cover) = (house.plates[0].to_string(), scanned.plate.cover.unwrap());
        let before = (house.last_change().await, house.town.registry.counts().await.unwrap());
        let at = json!({"lon": 118.6, "lat": 37.46, "accuracy_m": 3, "taken_at": MONDAY});
        let shot = json!([{"id": send_photo(&house, &jpeg(41), 1 << 18).await, "role": "plate"}]);
        let fit = json!({"kind": "fit", "done_at": MONDAY, "token": token, "cover": cover, "photos": shot});
        let with = |more: Value| {
            let mut body = fit.clone();
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let bad = [
            json!({}),
            json!([]),
            json!({"kind": "dance", "done_at": MONDAY}),
            json!({"kind": "fit", "done_at": MONDAY}),
            json!({"kind": "fit", "token": token, "cover": cover}),
            with(json!({"done_at": "today"})),
            with(json!({"done_at": 17})),
            with(json!({"done_at": i64::MAX})),
            with(json!({"token": "7K3Q"})),
            with(json!({"cover": "x"})),
            with(json!({"colour": "red"})),
            with(json!({"hazard": "gas"})),
            with(json!({"spot": "roof"})),
            with(json!({"replace": "yes"})),
            with(json!({"note": "a\u{0}b"})),
            with(json!({"note": "路".repeat(4001)})),
            with(json!({"position": {"lon": 118.6}})),
            with(json!({"position": [118.6, 37.4, 3, 1, MONDAY]})),
            with(json!({"position": {"lon": 0, "lat": 0, "accuracy_m": 3, "taken_at": MONDAY}})),
            with(json!({"position": {"lon": 118.6, "lat": 37.4, "accuracy_m": -3, "taken_at": MONDAY}})),
            with(json!({"position": {"lon": 118.6, "lat": 37.4, "accuracy_m": 3, "taken_at": 0}})),
            with(json!({"photos": [{"id": cover, "role": "selfie"}]})),
            with(json!({"photos": vec![json!({"id": cover, "role": "plate"}); 9]})),
            with(json!({"photos": []})),
            with(json!({"photos": [{"id": cover, "role": "surroundings"}]})),
            with(json!({"spot_check": cover})),
            with(json!({"answers": "x"})),
            with(json!({"cover": IdempotencyKey::fresh()})),
            json!({"kind": "survey", "done_at": MONDAY, "class": "storm"}),
            json!({"kind": "survey", "done_at": MONDAY, "class": "manhole", "position": at}),
            json!({"kind": "survey", "done_at": MONDAY, "class": "oil_gas", "position": at}),
            json!({"kind": "survey", "done_at": MONDAY, "class": "storm", "position": at, "road": "a\nb"}),
            json!({"kind": "survey", "done_at": MONDAY, "class": "storm",
                "position": {"lon": 118.6, "lat": 37.46, "accuracy_m": 33, "taken_at": MONDAY}}),
            json!({"kind": "plate", "done_at": MONDAY, "token": token, "state": "sold", "reason": "x"}),
            json!({"kind": "plate", "done_at": MONDAY, "token": token, "state": "lost", "reason": " "}),
            json!({"kind": "fix", "done_at": MONDAY, "cover": cover, "hazard": "gas"}),
            json!({"kind": "report", "done_at": MONDAY, "cover": cover, "hazard": "rain"}),
            json!({"kind": "check", "done_at": MONDAY, "cover": cover, "result": "ok"}),
            json!({"kind": "check", "done_at": MONDAY, "cover": cover, "token": token, "result": "fine"}),
            json!({"kind": "check", "done_at": MONDAY, "cover": cover, "token": token, "result": "ok", "spot_check": "x"}),
            json!({"kind": "check", "done_at": MONDAY, "cover": cover, "token": token, "result": "ok", "spot_check": cover}),
            json!({"kind": "check", "done_at": MONDAY, "cover": cover, "token": token, "result": "damaged", "spot_check": cover}),
            json!({"kind": "check", "done_at": MONDAY, "cover": cover, "token": token, "result": "ok", "mine_counts": "yes"}),
        ];
        for body in bad {
            let ask = house.post(CREW, "/api/v1/crew/actions").keyed().header("accept-language", "en");
            let answer = ask.json(body.clone()).send().await;
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            let fits = [400, 404, 422].contains(&answer.status) && detail.contains(' ') && !detail.contains("refusal.");
            assert!(fits, "{body}: {} {detail}", answer.status);
        }
        house.post(CREW, "/api/v1/crew/actions").json(fit.clone()).expect(400).await;
        house.post(CREW, "/api/v1/crew/actions").header(KEY, "x").json(fit).expect(400).await;
        for query in ["limit=0", "no_road=perhaps", "drawn=perhaps", "bbox=1,2", "after=x", "colour=red"] {
            house.get(CREW, &format!("/api/v1/crew/packages/covers?{query}")).expect(400).await;
        }
        house.get(CREW, "/api/v1/crew/packages/covers?road=%00").expect(200).await;
        house.get(CREW, "/api/v1/crew/packages?district=%00").expect(200).await;
        house.get(CREW, "/api/v1/crew/stock?after=x").expect(400).await;
        house.get(CREW, "/api/v1/crew/plates/000000000000").expect(404).await;
        house.get(CREW, "/api/v1/crew/plates/7K3Q").expect(422).await;
        assert_eq!((house.last_change().await, house.town.registry.counts().await.unwrap()), before, "something changed");
        house.assert_faultless();
    }
}
