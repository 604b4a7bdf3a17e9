//! Which photos everybody may see: of the cover and of what was done, never what a citizen sent.

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use lidmark::registry::PhotoRecord;
use serde_json::json;

use super::house::{As, House, jpeg};
use crate::both_engines;

/// The photos of the first plate's manhole as the registry knows them.
async fn photos(house: &House) -> Vec<PhotoRecord> {
    let scanned = house.town.registry.find_plate(house.plates[0]).await.unwrap().unwrap();
    house.town.registry.list_photos(scanned.plate.manhole.unwrap()).await.unwrap()
}

/// The roles of photos that anybody can open, whether a page links them or not.
async fn open_roles(house: &House) -> Vec<String> {
    let mut open = Vec::new();
    for photo in photos(house).await {
        let address = format!("/c/{}/photos/{}", house.plates[0], photo.id);
        let answer = house.get(As::Nobody, &address).send().await;
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        if answer.status == 200 {
            open.push(photo.role);
        }
    }
    open.sort();
    open
}

async fn scan_page(house: &House) -> String {
    house.get(As::Nobody, &format!("/c/{}", house.plates[0])).expect(200).await.text()
}

both_engines! {
    async fn everybody_sees_the_cover_and_the_result_and_nobody_what_a_citizen_sent(ground: Ground) {
        let house = House::on(ground).await;
        let (token, water) = (house.plates[0].to_string(), house.town.water.to_string());
        let sent = [("token", token.as_str()), ("hazard", "rocking")];
        let sent = house.post(As::Nobody, "/api/v1/reports").keyed().multipart(&sent, &[jpeg(1)]).expect(201);
        let number = sent.await.json()["case_number"].as_str().unwrap().to_owned();
        assert_eq!(open_roles(&house).await, [""; 0]);
        assert!(!scan_page(&house).await.contains("/photos/"));

        let moves = format!("/api/v1/cases/{number}/moves");
        let step = |who: Role, fields: &[(&str, &str)], photo: Option<u8>| {
            let photos: Vec<Vec<u8>> = photo.into_iter().map(jpeg).collect();
            house.post(As::Staff(who), &moves).keyed().multipart(fields, &photos).expect(200)
        };
        step(Role::Dispatcher, &[("move", "file")], None).await;
        // A handler finds the photo when the case is their party's, on the page as by its address.
        let file = format!("/covers/{}", house.code(0).await);
        let sent = format!("/photos/{}", lidmark::photos::PhotoDigest(photos(&house).await[0].digest));
        for (status, shown) in [(404, 0), (200, 1)] {
            house.get(As::Staff(Role::Handler), &sent).expect(status).await;
            let page = house.get(As::Staff(Role::Handler), &file).expect(200).await.text();
            assert_eq!(page.matches(&format!("src=\"{sent}\"")).count(), shown, "{page}");
            if status == 404 {
                step(Role::Dispatcher, &[("move", "dispatch"), ("party", &water)], None).await;
            }
        }
        step(Role::Handler, &[("move", "accept")], None).await;
        step(Role::Handler, &[("move", "hand_in")], Some(2)).await;
        step(Role::Dispatcher, &[("move", "check")], None).await;
        assert_eq!(open_roles(&house).await, [""; 0], "nothing is closed yet");
        step(Role::Supervisor, &[("move", "close"), ("release", "yes")], Some(3)).await;
        assert_eq!(open_roles(&house).await, ["close"]);
        let page = scan_page(&house).await;
        let address = format!("/c/{token}/photos/");
        assert!(page.contains(&address) && page.contains("查看照片") && !page.contains("<img"), "{page}");

        // Staff add one of the cover, twice by a double click; it comes first on the page.
        let code = house.code(0).await;
        let form = format!("/covers/{code}/photos");
        for _ in 0..2 {
            house.post(As::Staff(Role::Crew), &form).multipart(&[("csrf", "-")], &[jpeg(4)]).expect(303).await;
        }
        house.post(As::Staff(Role::Crew), &form).multipart(&[("csrf", "-")], &[]).expect(422).await;
        house.post(As::Staff(Role::Crew), &form).multipart(&[("csrf", "-")], &[b"no".to_vec()]).expect(422).await;
        let nowhere = house.post(As::Staff(Role::Crew), "/covers/3705020102999999/photos");
        nowhere.multipart(&[("csrf", "-")], &[jpeg(5)]).expect(404).await;
        assert_eq!(open_roles(&house).await, ["close", "cover"]);
        let of_cover = photos(&house).await.into_iter().find(|photo| photo.role == "cover").unwrap();
        let address = format!("/c/{token}/photos/{}", of_cover.id);
        assert!(scan_page(&house).await.contains(&address));
        let of_cover_for_staff = format!("/photos/{}", lidmark::photos::PhotoDigest(of_cover.digest));
        house.get(As::Staff(Role::Handler), &of_cover_for_staff).expect(200).await;

        let photo = house.get(As::Nobody, &address).expect(200).await;
        assert_eq!(photo.header("content-type"), Some("image/jpeg"));
        assert_eq!(photo.header("cache-control"), Some("public, max-age=600"));
        assert_ne!(photo.body, jpeg(4), "encoded anew, not as it came");
        let tag = photo.header("etag").unwrap().to_owned();
        house.get(As::Nobody, &address).header("if-none-match", &tag).expect(304).await;
        // Not under another cover's plate, nor under none.
        for token in [house.plates[1].to_string(), "000000000000".into(), "x".into()] {
            house.get(As::Nobody, &format!("/c/{token}/photos/{}", of_cover.id)).expect(404).await;
        }

        let again = json!({"move": "reopen", "reason": "it rocks again"});
        house.post(As::Staff(Role::Supervisor), &moves).keyed().json(again).expect(200).await;
        assert_eq!(open_roles(&house).await, ["cover"], "a result that was none is taken back");
        let file = house.get(As::Staff(Role::Crew), &format!("/api/v1/covers/{code}/history")).expect(200).await;
        assert!(file.text().contains("photo_added") && file.json()["chain"]["state"] == "whole");
        house.assert_faultless();
    }
}

/// Without a script the browser shows what the server answers: the form with the words in it.
#[tokio::test]
async fn a_photo_that_is_refused_costs_nobody_their_words() {
    let house = House::open().await;
    let form = format!("/c/{}/report", house.plates[0]);
    let mut huge = jpeg(1);
    huge.resize(13_000_000, 0);
    let refused = [
        ("too large", vec![huge], 413, "12 MB"),
        ("five", (0..5).map(jpeg).collect(), 422, "most 4"),
        ("empty", vec![jpeg(1), Vec::new()], 422, "photo is empty"),
        ("text", vec![[jpeg(1), b"read me ".repeat(40)].concat()], 422, "(text after the end)"),
    ];
    for (kind, photos, status, told) in refused {
        let key = IdempotencyKey::fresh().to_string();
        let fields = [
            ("key", key.as_str()),
            ("hazard", "broken"),
            ("description", "a long story"),
            ("contact", "Mei"),
        ];
        let ask = house.post(As::Nobody, &form).header("accept-language", "en").multipart(&fields, &photos);
        let page = ask.expect(status).await.text();
        for kept in [told, ">a long story</textarea>", "value=\"Mei\"", "value=\"broken\" required checked"] {
            assert!(page.contains(kept), "{kind}: no {kept} in {page}");
        }
    }
    assert_eq!(house.town.registry.counts().await.unwrap().cases, []);
    house.assert_faultless();
}
