//! Citizens over HTTP: they answer, mark, tap and follow behind their links; the desk asks, looks at photos and calls.

use lidmark::domain::citizen::BlurBox;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{IdempotencyKey, MessageId};
use lidmark::domain::role::Role;
use lidmark::domain::token::Token;
use lidmark::registry::{CitizenLetter, Reported};
use serde_json::{Value, json};

use super::house::{As, House};

const CITIZEN: As = As::Nobody;
const DISPATCHER: As = As::Staff(Role::Dispatcher);
const SUPERVISOR: As = As::Staff(Role::Supervisor);
const HANDLER: As = As::Staff(Role::Handler);

fn key() -> String {
    IdempotencyKey::fresh().to_string()
}

/// Every operation of citizens and of the desk that talks to them.
pub async fn citizens(house: &House) {
    let token = quiet_plate(house).await;
    let reported = house.town.report(token, Hazard::Level).await;
    let link = house.town.registry.tracking_link(&reported);
    words(house, &reported, &link).await;
    follows(house, token, &link).await;
    taps(house, token).await;
    close(house, &reported.case_number).await;
    photos(house, (token, &reported), &link).await;
    marks(house, &link).await;
}

/// A plate that hangs on a cover without an open case of this kind, whatever was done in the town before.
async fn quiet_plate(house: &House) -> Token {
    for token in &house.plates {
        let scanned = house.town.registry.find_plate(*token).await.unwrap().unwrap();
        let hangs = scanned.plate.state.is_live() && scanned.cover.is_some_and(|file| file.retired.is_none());
        if hangs && scanned.open_cases.iter().all(|case| case.hazard != Hazard::Level) {
            return *token;
        }
    }
    panic!("every cover of the town has one");
}

async fn words(house: &House, reported: &Reported, link: &str) {
    let number = &reported.case_number;
    let path = format!("/api/v1/cases/{number}/words");
    let asked = house.post(DISPATCHER, &path).keyed().json(json!({"text": "在哪一侧？"})).expect(201).await;
    assert!(asked.json()["word"].is_string());
    house.post(DISPATCHER, &path).json(json!({"text": "x"})).expect(400).await;
    house.post(DISPATCHER, &path).keyed().json(json!({"text": "x".repeat(4001)})).expect(422).await;
    let page = house.get(CITIZEN, &format!("/r/{link}")).expect(200).await.text();
    assert!(page.contains("在哪一侧？") && page.contains("请您回复"), "{page}");
    let answers = format!("/r/{link}/words");
    let once = key();
    for _ in 0..2 {
        let fields = [("key", once.as_str()), ("text", "<b>南侧</b>")];
        let sent =
            house.post(CITIZEN, &answers).multipart(&fields, &[super::house::jpeg(77)]).expect(303).await;
        assert_eq!(sent.header("location"), Some(format!("/r/{link}").as_str()));
    }
    let none = key();
    let empty = house.post(CITIZEN, &answers).form(&[("key", &none), ("text", " ")]).expect(422).await.text();
    assert!(empty.contains("id=\"wrong\""));
    house.post(CITIZEN, "/r/R2026-000001-0000000000000000/words").form(&[("key", &none)]).expect(404).await;
    let page = house.get(CITIZEN, &format!("/r/{link}")).expect(200).await.text();
    assert!(page.contains("&#60;b&#62;南侧") && !page.contains("<b>南侧"), "{page}");
    let open = house.get(DISPATCHER, "/api/v1/citizen-words").expect(200).await.json();
    assert_eq!(
        (&open["words"][0]["case"], &open["words"][0]["text"]),
        (&json!(number), &json!("<b>南侧</b>"))
    );
    assert!(house.get(DISPATCHER, "/desk/citizens").expect(200).await.text().contains("南侧"));
    let file = house.get(DISPATCHER, &format!("/desk/cases/{number}")).expect(200).await.text();
    assert!(file.contains("1 条待回复"), "{file}");
    let form = format!("/desk/cases/{number}/words");
    let (first, second) = (key(), key());
    house.post(DISPATCHER, &form).form(&[("csrf", ""), ("key", &first), ("text", "谢谢")]).expect(303).await;
    house.post(DISPATCHER, &form).form(&[("csrf", ""), ("key", &second), ("text", "")]).expect(422).await;
    house.post(DISPATCHER, &path).keyed().json(json!({})).expect(422).await;
    let said = house.get(DISPATCHER, &path).expect(200).await.json();
    assert_eq!(said["words"].as_array().unwrap().len(), 3);
    assert!(
        house.get(As::Staff(Role::Crew), &path).expect(200).await.json()["words"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

/// The last message to a citizen, as the mail room writes it.
async fn last_message(house: &House) -> CitizenLetter {
    let events = house.town.registry.list_waiting_events("nobody", 100_000).await.unwrap();
    let event = events.iter().rev().find(|event| event.event == "citizen.message").unwrap();
    let body: Value = serde_json::from_str(&event.body).unwrap();
    let id: MessageId = body["message"].as_str().unwrap().parse().unwrap();
    house.town.registry.compose_message(id).await.unwrap().unwrap()
}

async fn follows(house: &House, token: Token, link: &str) {
    let report = format!("/r/{link}/follow");
    let wrong = house.post(CITIZEN, &report).form(&[("address", "nobody")]).expect(422).await.text();
    assert!(wrong.contains("value=\"nobody\""), "what was typed is kept");
    house.post(CITIZEN, &report).form(&[("address", "li@example.cn")]).expect(200).await;
    house.get(CITIZEN, &format!("/c/{token}/follow")).expect(200).await;
    house.get(CITIZEN, "/c/000000000000/follow").expect(404).await;
    let cover = format!("/c/{token}/follow");
    house.post(CITIZEN, &cover).form(&[("address", "13800000000")]).expect(422).await;
    let asked = house.post(CITIZEN, &cover).form(&[("address", "wang@example.cn")]).expect(200).await.text();
    assert!(asked.contains("请查收邮件") && !asked.contains("wang@"), "{asked}");
    let mail = format!("/mail/{}", last_message(house).await.follower_link);
    let (confirm, stop) = (format!("{mail}/confirm"), format!("{mail}/stop"));
    let shown = house.get(CITIZEN, &confirm).expect(200).await.text();
    assert!(shown.contains("<button") && !shown.contains("wang@"), "opening a link changes nothing");
    house.post(CITIZEN, &confirm).form(&[]).expect(200).await;
    assert!(!house.get(CITIZEN, &confirm).expect(200).await.text().contains("class=\"main\""));
    house.get(CITIZEN, &stop).expect(200).await;
    // As RFC 8058 has it.
    house.post(CITIZEN, &stop).form(&[("List-Unsubscribe", "One-Click")]).expect(200).await;
    house.post(CITIZEN, &stop).form(&[("List-Unsubscribe", "One-Click")]).expect(200).await;
    house.get(CITIZEN, &confirm).expect(404).await;
    house.post(CITIZEN, &confirm).form(&[]).expect(404).await;
    house.get(CITIZEN, &format!("{mail}/burn")).expect(404).await;
}

async fn taps(house: &House, token: Token) {
    let scan = format!("/c/{token}");
    let keys = async || {
        let page = house.get(CITIZEN, &scan).expect(200).await.text();
        let at = page.find("name=\"key\" value=\"").unwrap() + "name=\"key\" value=\"".len();
        page[at..at + 36].to_owned()
    };
    let (mine, theirs) = (keys().await, keys().await);
    assert_ne!(mine, theirs, "every reader has a key of their own");
    let same = format!("{scan}/same");
    for key in [&mine, &mine, &theirs] {
        house.post(CITIZEN, &same).form(&[("key", key), ("hazard", "level")]).expect(303).await;
    }
    assert!(house.get(CITIZEN, &scan).expect(200).await.text().contains("2 人也遇到"));
    house.post(CITIZEN, &same).form(&[("key", &mine), ("hazard", "gas")]).expect(409).await;
    house.post(CITIZEN, &same).form(&[("key", "x"), ("hazard", "level")]).expect(422).await;
    house
        .post(CITIZEN, "/c/000000000000/same")
        .form(&[("key", &mine), ("hazard", "level")])
        .expect(404)
        .await;
}

async fn close(house: &House, number: &str) {
    let moves = format!("/api/v1/cases/{number}/moves");
    let water = house.town.water.to_string();
    let step = |who: As, fields: &[(&str, &str)], photo: Option<Vec<u8>>| {
        let photos: Vec<Vec<u8>> = photo.into_iter().collect();
        house.post(who, &moves).keyed().multipart(fields, &photos).expect(200)
    };
    step(DISPATCHER, &[("move", "file")], None).await;
    step(DISPATCHER, &[("move", "dispatch"), ("party", &water)], None).await;
    step(HANDLER, &[("move", "accept")], None).await;
    step(HANDLER, &[("move", "hand_in")], Some(super::house::jpeg(78))).await;
    step(DISPATCHER, &[("move", "check")], None).await;
    step(SUPERVISOR, &[("move", "close")], Some(street())).await;
}

/// A street with detail everywhere, so that what is covered up can be told from what is not.
fn street() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(400, 300, |x, y| {
        image::Rgb([(x * 7 % 256) as u8, (y * 11 % 256) as u8, ((x / 8 + y / 8) % 2 * 200) as u8])
    });
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A photo of the work goes out with what was covered up, and the original stays as it is.
async fn photos(house: &House, (token, reported): (Token, &Reported), link: &str) {
    let number = &reported.case_number;
    let page = house.get(CITIZEN, &format!("/r/{link}")).expect(200).await.text();
    assert!(page.contains("正在审看"), "{page}");
    let file = house.get(SUPERVISOR, &format!("/api/v1/cases/{number}")).expect(200).await.json();
    let all = file["photos"].as_array().unwrap();
    let photo = all.iter().find(|photo| photo["role"] == "close").unwrap();
    let (id, digest) = (photo["id"].as_str().unwrap(), photo["digest"].as_str().unwrap());
    let theirs = all.iter().find(|photo| photo["role"] == "answer").unwrap()["id"].as_str().unwrap();
    let path = format!("/api/v1/cases/{number}/photos/{id}");
    let boxes = [BlurBox { left: 25.0, top: 20.0, width: 30.0, height: 40.0 }];
    let body = json!({"released": true, "boxes": boxes});
    house.post(HANDLER, &path).keyed().json(body.clone()).expect(403).await;
    let wrong = json!({"released": true, "boxes": [{"left": 0, "top": 0, "width": 0, "height": 5}]});
    assert_eq!(house.post(DISPATCHER, &path).keyed().json(wrong).expect(422).await.code(), "release.box");
    let of_citizen = format!("/api/v1/cases/{number}/photos/{theirs}");
    house.post(DISPATCHER, &of_citizen).keyed().json(body.clone()).expect(404).await;
    house.post(DISPATCHER, &path).keyed().json(body).expect(204).await;

    let shown = house.get(CITIZEN, &format!("/c/{token}/photos/{id}")).expect(200).await;
    assert_eq!(shown.header("content-type"), Some("image/jpeg"));
    let decoder = image::codecs::jpeg::JpegDecoder::new(std::io::Cursor::new(&shown.body)).unwrap();
    let picture = image::DynamicImage::from_decoder(decoder).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), (400, 300));
    let inside = (104..216).flat_map(|x| (64..176).map(move |y| (x, y)));
    for (x, y) in inside {
        let near = picture.get_pixel(x, y).0.iter().all(|value| value.abs_diff(96) <= 2);
        assert!(near, "{x}, {y}: {:?}", picture.get_pixel(x, y));
    }
    let outside: std::collections::BTreeSet<[u8; 3]> = (0..90).map(|x| picture.get_pixel(x, 10).0).collect();
    assert!(outside.len() > 20, "what is not covered up is there");
    let tracking = house.get(CITIZEN, &format!("/r/{link}")).expect(200).await.text();
    assert!(!tracking.contains("正在审看") && tracking.contains("处理结果"));
    let digest: lidmark::photos::PhotoDigest = digest.parse().unwrap();
    assert_eq!(lidmark::photos::PhotoDigest::of(&street()), digest, "the original is what came");
    let original = house.get(SUPERVISOR, &format!("/photos/{digest}?original=yes")).expect(200).await;
    assert_eq!(original.body, street());

    // The same by the form; then it is taken back.
    let form = format!("/desk/cases/{number}/photos/{id}");
    let tool = house.get(DISPATCHER, &form).expect(200).await.text();
    assert!(tool.contains("name=\"box1_left\" type=\"number\"") && tool.contains("value=\"25\""), "{tool}");
    house.get(DISPATCHER, &format!("/desk/cases/{number}/photos/{theirs}")).expect(404).await;
    let (first, second, third) = (key(), key(), key());
    let half =
        [("csrf", ""), ("key", first.as_str()), ("step", "release"), ("box1_left", "5"), ("box1_top", "")];
    house.post(DISPATCHER, &form).form(&half).expect(422).await;
    let whole = [
        ("csrf", ""),
        ("key", second.as_str()),
        ("step", "release"),
        ("box1_left", "0"),
        ("box1_top", "0"),
        ("box1_width", "50.5"),
        ("box1_height", "100"),
        ("box2_left", ""),
    ];
    house.post(DISPATCHER, &form).form(&whole).expect(303).await;
    let again = house.get(CITIZEN, &format!("/c/{token}/photos/{id}")).expect(200).await;
    assert_ne!(again.header("etag"), shown.header("etag"));
    house
        .post(DISPATCHER, &form)
        .form(&[("csrf", ""), ("key", &third), ("step", "withdraw")])
        .expect(303)
        .await;
    house.get(CITIZEN, &format!("/c/{token}/photos/{id}")).expect(404).await;
}

async fn marks(house: &House, link: &str) {
    let rating = format!("/r/{link}/rating");
    let keys: Vec<String> = (0..6).map(|_| key()).collect();
    let mark = |at: usize, more: &[(&'static str, &'static str)]| {
        let mut fields = vec![("key", keys[at].clone())];
        fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        house.post(CITIZEN, &rating).form(&fields)
    };
    mark(0, &[("score", "9")]).expect(422).await;
    mark(1, &[("score", "5"), ("wish", "call_back")]).expect(422).await;
    let kept = mark(2, &[("score", "2"), ("wish", "call_back"), ("text", "没人来")]).expect(422).await.text();
    assert!(kept.contains("没人来"));
    mark(3, &[("score", "2"), ("wish", "call_back"), ("contact", "13800000001")]).expect(303).await;
    let calls = house.get(DISPATCHER, "/api/v1/call-backs").expect(200).await.json();
    let call = &calls["call_backs"][0];
    assert_eq!(call["contact"], "13800000001");
    assert!(house.get(DISPATCHER, "/desk/citizens").expect(200).await.text().contains("13800000001"));
    let id = call["id"].as_str().unwrap();
    let form = format!("/desk/call-backs/{id}");
    house.post(DISPATCHER, &form).form(&[("csrf", ""), ("key", &key()), ("outcome", "")]).expect(422).await;
    house
        .post(DISPATCHER, &form)
        .form(&[("csrf", ""), ("key", &key()), ("outcome", "已说明")])
        .expect(303)
        .await;
    let again = mark(4, &[("score", "1"), ("wish", "call_back")]).expect(303).await;
    assert_eq!(again.header("location"), Some(format!("/r/{link}").as_str()));
    let calls = house.get(DISPATCHER, "/api/v1/call-backs").expect(200).await.json();
    let path = format!("/api/v1/call-backs/{}", calls["call_backs"][0]["id"].as_str().unwrap());
    house.post(DISPATCHER, &path).keyed().json(json!({"outcome": "已说明"})).expect(204).await;
    house.post(DISPATCHER, &path).keyed().json(json!({"outcome": "已说明"})).expect(409).await;
    let next = mark(5, &[("score", "1"), ("wish", "not_mended"), ("text", "还在响")]).expect(303).await;
    let next = next.header("location").unwrap().to_owned();
    assert_ne!(next, format!("/r/{link}"));
    house.get(CITIZEN, &next).expect(200).await;
    assert!(house.get(CITIZEN, &format!("/r/{link}")).expect(200).await.text().contains(&next));
}

/// Alone, so that it can be tried without the whole story.
#[tokio::test]
async fn citizens_talk_with_the_desk_behind_their_links() {
    let house = House::open().await;
    citizens(&house).await;
    house.assert_faultless();
}

/// What was typed beside the tick is told how it goes on; a tick without an address costs nobody their words.
#[tokio::test]
async fn whoever_reports_is_told_where_they_tick_so() {
    let house = House::open().await;
    let form = format!("/c/{}/report", house.plates[0]);
    assert!(house.get(CITIZEN, &form).expect(200).await.text().contains("name=\"tell\""));
    let (first, second) = (key(), key());
    let wrong = [("key", first.as_str()), ("hazard", "broken"), ("description", "裂了"), ("tell", "yes")];
    let kept = house.post(CITIZEN, &form).form(&wrong).expect(422).await.text();
    assert!(kept.contains("裂了") && kept.contains("checked"), "{kept}");
    let told =
        [("key", second.as_str()), ("hazard", "broken"), ("contact", "li@example.cn"), ("tell", "yes")];
    house.post(CITIZEN, &form).form(&told).expect(303).await;
    house.post(CITIZEN, &form).form(&told).expect(303).await;
    let events = house.town.registry.list_waiting_events("nobody", 1000).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.event == "citizen.message").count(), 1);
    assert!(last_message(&house).await.report.unwrap().1.is_empty(), "no secret link before they confirmed");
    house.assert_faultless();
}
