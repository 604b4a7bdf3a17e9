//! The citizen's side in a real Chromium at 360 × 740: question, answer and mark behind the secret link, and the desk's
//! look at a photo with a script and without. `LIDMARK_ALBUM=folder` keeps the pictures.

use lidmark::domain::case::{CaseMove, MoveRequest};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use lidmark::photos::{PhotoDigest, PhotoLimits, PhotoStore};
use lidmark::registry::{AttachedPhoto, CityWord, MoveOrder};
use serde_json::json;

use crate::browser::{Street, assert_sound, log_in};
use crate::editing_pages::keep;
use crate::registry::cases::order;
use crate::registry::ground::Town;
use crate::support::browser::{Browser, Visitor};

/// What the desk photographed.
fn picture() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(800, 600, |x, y| image::Rgb([(x / 4) as u8, (y / 3) as u8, 90]));
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

fn attached() -> AttachedPhoto {
    let bytes = picture();
    let (digest, media_type) = (PhotoDigest::of(&bytes).0, "image/jpeg".to_owned());
    AttachedPhoto { digest, media_type, bytes: bytes.len() as u64, width: 800, height: 600, look: None }
}

/// A case that is closed, with a question that waits; answers its number and the tracking link.
async fn closed_case(town: &Town) -> (String, String) {
    let point = town.registry.list_points(None, 1).await.unwrap().remove(0);
    let token = town.registry.list_cover_plates(point.cover).await.unwrap()[0].token;
    let reported = town.report(token, Hazard::Rocking).await;
    let number = reported.case_number.clone();
    let all = town.registry.list_users().await.unwrap();
    let of = |role| all.iter().find(|user| user.role == role).map(|user| user.actor()).unwrap();
    let [dispatcher, handler, supervisor] = [Role::Dispatcher, Role::Handler, Role::Supervisor].map(of);
    let party = MoveRequest { party: Some(town.water), ..MoveRequest::default() };
    let with = |order: MoveOrder| MoveOrder { photos: vec![attached()], ..order };
    for order in [
        order(&number, CaseMove::File, &dispatcher),
        MoveOrder { request: party, ..order(&number, CaseMove::Dispatch, &dispatcher) },
        order(&number, CaseMove::Accept, &handler),
        with(order(&number, CaseMove::HandIn, &handler)),
        order(&number, CaseMove::Check, &dispatcher),
        with(order(&number, CaseMove::Close, &supervisor)),
    ] {
        town.registry.move_case(order).await.unwrap();
    }
    let text = "现在走过去还有响声吗？".to_owned();
    let key = IdempotencyKey::fresh();
    let ask = CityWord { key, number: number.clone(), tracking: None, text, actor: dispatcher };
    town.registry.write_to_citizen(ask).await.unwrap();
    (number, town.registry.tracking_link(&reported))
}

async fn street() -> (Street, String, String) {
    let mut known = (String::new(), String::new());
    let street = Street::serve_with(async |town| known = closed_case(town).await).await;
    let photos = PhotoStore::new(street.ground.home().folder().join("photos"), PhotoLimits::default());
    photos.intake(&picture()).unwrap();
    (street, known.0, known.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_citizen_answers_and_marks_without_scripts() {
    let (street, number, link) = street().await;
    let Some(phone) = Browser::open(Visitor::default().without_scripts()).await else { return };
    let page = street.server.url(&format!("/r/{link}"));
    phone.goto(&page).await;
    let source = phone.source().await;
    assert!(source.contains("现在走过去还有响声吗？") && source.contains("正在审看"), "{source}");
    assert_eq!(phone.overflow_px().await, 0);
    phone.type_into("#text", "有，晚上最明显").await;
    phone.click("#words form button").await;
    phone.wait_for(".talk li.citizen").await;
    phone.click("#rating [name=score][value='2']").await;
    phone.click("#rating [name=wish][value=call_back]").await;
    phone.click("#rating form button").await;
    phone.wait_for("#wrong").await;
    phone.type_into("#contact", "13800000000").await;
    phone.click("#rating form button").await;
    phone.wait_for("#rating p").await;
    assert!(phone.page_text().await.contains("2 不满意"));

    let Some(desk) = Browser::open(Visitor::default()).await else { return };
    log_in(&desk, &street, "pai", "/desk/citizens").await;
    desk.wait_for_text("有，晚上最明显").await;
    desk.wait_for_text("13800000000").await;
    assert_sound(&desk, "what citizens wait for").await;
    keep(&desk, "citizens").await;
    desk.goto(&street.server.url(&format!("/desk/cases/{number}"))).await;
    desk.wait_for(".talk li.citizen").await;
    desk.script("document.querySelectorAll('details').forEach(fold => fold.open = true)").await;
    assert_sound(&desk, "a case with words").await;
    keep(&desk, "case-with-words").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_the_desk_covers_up_and_releases_a_photo_with_a_script_and_without() {
    let (street, number, link) = street().await;
    let Some(desk) = Browser::open(Visitor::default()).await else { return };
    let case = format!("/desk/cases/{number}");
    log_in(&desk, &street, "pai", &case).await;
    desk.wait_for("#photos figcaption a").await;
    desk.click("#photos figure:last-child figcaption a").await;
    desk.wait_for("#cover-up img").await;
    desk.script("document.querySelector('#cover-up').scrollIntoView()").await;
    let frame = desk.script("const box = document.querySelector('#cover-up').getBoundingClientRect(); return [box.left, box.top, box.width, box.height]").await;
    let [left, top, width, height] = [0, 1, 2, 3].map(|at| frame[at].as_f64().unwrap());
    for (kind, part) in
        [("mousePressed", 0.25), ("mouseMoved", 0.4), ("mouseMoved", 0.5), ("mouseReleased", 0.5)]
    {
        let at = json!({"type": kind, "x": left + part * width, "y": top + part * height, "button": "left", "buttons": 1, "clickCount": 1});
        desk.cdp("Input.dispatchMouseEvent", at).await;
    }
    let drawn = desk.script("return ['left', 'top', 'width', 'height'].map(side => parseFloat(document.querySelector(`[name=box1_${side}]`).value))").await;
    for (at, wanted) in [25.0, 25.0, 25.0, 25.0].into_iter().enumerate() {
        assert!((drawn[at].as_f64().unwrap() - wanted).abs() < 2.0, "{drawn}");
    }
    assert_eq!(desk.count(".covered:not([hidden])").await, 1);
    assert_sound(&desk, "the look at a photo").await;
    keep(&desk, "release").await;
    desk.click("#boxes button.main").await;
    desk.wait_for_text("已公开").await;

    let Some(phone) = Browser::open(Visitor::default()).await else { return };
    phone.goto(&street.server.url(&format!("/r/{link}"))).await;
    phone.wait_for("img.shot").await;
    assert_sound(&phone, "the tracking page").await;
    keep(&phone, "tracking").await;

    let Some(plain) = Browser::open(Visitor::default().without_scripts()).await else { return };
    log_in(&plain, &street, "jian", &case).await;
    plain.click("#photos figure:last-child figcaption a").await;
    plain.wait_for("[name=box2_left]").await;
    for (side, percent) in [("left", "60"), ("top", "60"), ("width", "20"), ("height", "20")] {
        plain.type_into(&format!("[name=box2_{side}]"), percent).await;
    }
    assert_eq!(plain.overflow_px().await, 0);
    plain.click("#boxes button.main").await;
    plain.wait_for("#photos").await;
    plain.click("#photos figure:last-child figcaption a").await;
    plain.wait_for("button[value=withdraw]").await;
    assert!(plain.source().await.contains("value=\"60\""));
    plain.click("button[value=withdraw]").await;
    plain.wait_for("#photos").await;
    assert!(!plain.page_text().await.contains("已公开"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_somebody_passes_by_and_taps() {
    let (street, ..) = street().await;
    let Some(phone) = Browser::open(Visitor::default().without_scripts()).await else { return };
    phone.goto(&format!("{}/report", street.scan_url(1))).await;
    phone.click("label.tile:has([value=broken])").await;
    phone.click("#send").await;
    phone.wait_until_at("/r/R").await;
    phone.goto(&street.scan_url(1)).await;
    phone.click("button[name=hazard]").await;
    phone.wait_for(".open").await;
    assert!(phone.page_text().await.contains("1 人也遇到"));
    assert_eq!(phone.overflow_px().await, 0);
}
