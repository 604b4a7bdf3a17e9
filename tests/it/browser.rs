//! The main job as people live it, in a real Chromium: a phone of 360 × 740 with and without scripts,
//! and the desk.

use std::path::PathBuf;

use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::role::Role;
use lidmark::domain::token::Token;
use serde_json::json;
use tempfile::TempDir;

use crate::registry::ground::Town;
use crate::support::browser::{Browser, Visitor};
use crate::support::engines::Ground;
use crate::support::server::Server;

pub const PASSWORD: &str = "correct horse";

/// A served town with three plates on the street and people of every role; password [`PASSWORD`].
pub struct Street {
    pub server: Server,
    pub tokens: Vec<Token>,
    pub codes: Vec<String>,
    pub photo: PathBuf,
    pub ground: Ground,
    _folder: TempDir,
}

impl Street {
    pub async fn serve() -> Self {
        Self::serve_with(async |_| {}).await
    }

    /// The same after `settle` has done something in the town.
    pub async fn serve_with(settle: impl AsyncFnOnce(&Town)) -> Self {
        let ground = Ground::sqlite().expect("SQLite is bundled");
        let town = Town::found(&ground).await;
        let tokens = town.plated(3).await;
        for (login, role) in [
            ("pai", Role::Dispatcher),
            ("xiu", Role::Handler),
            ("jian", Role::Supervisor),
            ("ying", Role::Engineer),
            ("wang", Role::GridWorker),
            ("zong", Role::Admin),
        ] {
            town.staff(login, role).await;
        }
        let mut codes = Vec::new();
        for token in &tokens {
            let plate = town.registry.find_plate(*token).await.unwrap().unwrap();
            codes.push(plate.cover.unwrap().code.digits);
        }
        settle(&town).await;
        town.registry.close().await;
        let settings = "secure_cookies = false\ncity_zh = \"东营市井盖服务\"\ncity_en = \"Dongying manhole covers\"\n\
             plate_host = \"lid.example.cn\"\n[rewards]\nenabled = true\n";
        std::fs::write(ground.home().folder().join("lidmark.toml"), settings).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let photo = folder.path().join("photo.jpg");
        std::fs::write(&photo, phone_photo()).unwrap();
        let server = Server::start(ground.home()).await;
        Self { server, tokens, codes, photo, ground, _folder: folder }
    }

    pub fn scan_url(&self, plate: usize) -> String {
        self.server.url(&format!("/c/{}", self.tokens[plate]))
    }
}

/// Three megapixels with a place in its metadata, as phones write it.
fn phone_photo() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(2000, 1500, |x, y| {
        let spot = (x / 40 + y / 30) % 7;
        image::Rgb([(spot * 30) as u8, (x / 8) as u8, (y / 6) as u8])
    });
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0 GPS 37.4600 118.5900 secret place";
    let mut with_place = jpeg[..2].to_vec();
    with_place.extend([0xFF, 0xE1]);
    with_place.extend(((exif.len() + 2) as u16).to_be_bytes());
    with_place.extend(exif);
    with_place.extend(&jpeg[2..]);
    with_place
}

/// No serious finding of axe, no sideways scrolling, no divided word, no complaint in the console.
pub async fn assert_sound(browser: &Browser, page: &str) {
    let found = browser.axe_serious().await;
    assert!(found.is_empty(), "{page}: {}", found.join("\n"));
    assert_eq!(browser.overflow_px().await, 0, "{page} is wider than the screen");
    assert_eq!(browser.broken_words().await, [""; 0], "{page} divides words");
    let complaints: Vec<String> =
        browser.console().await.into_iter().filter(|line| !line.contains("favicon")).collect();
    assert!(complaints.is_empty(), "{page}: {complaints:?}");
}

pub async fn log_in(browser: &Browser, street: &Street, login: &str, next: &str) {
    browser.goto(&street.server.url(next)).await;
    browser.type_into("[name=login]", login).await;
    browser.type_into("[name=password]", PASSWORD).await;
    browser.click("form:has([name=password]) button").await;
    // The click may return before the browser has left: a page asked for now would lose to the answer.
    browser.wait_for("nav.staff").await;
}

/// Makes a move on the case page that is open, bringing fields by name; `photos` is a file.
pub async fn make_move(browser: &Browser, made: &str, brings: &[(&str, &str)]) {
    let form = format!("form:has([name=move][value={made}])");
    browser.wait_for(&form).await;
    browser.script("document.querySelectorAll('details').forEach(fold => fold.open = true)").await;
    for (field, value) in brings {
        let css = format!("{form} [name={field}]");
        if *field == "party" || *field == "until" {
            let value = json!(value);
            let choose = format!(
                "const field = document.querySelector({});
                 if (field.tagName === 'SELECT') {{
                     const option = [...field.options].find(option => option.text.includes({value}));
                     field.value = option.value;
                 }} else field.value = {value};",
                json!(css)
            );
            browser.script(&choose).await;
        } else {
            browser.type_into(&css, value).await;
        }
    }
    browser.click(&format!("{form} button.main")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_scan_is_two_requests_and_twenty_kilobytes() {
    let street = Street::serve().await;
    let Some(browser) = Browser::open(Visitor::default()).await else { return };
    assert_light(&browser, &street, &street.scan_url(0)).await;
    assert!(browser.page_text().await.contains("东营水务"), "{}", browser.page_text().await);
    assert_sound(&browser, "the scan page").await;
}

/// Opens a page and holds it to two requests and twenty kilobytes, nothing from elsewhere.
async fn assert_light(browser: &Browser, street: &Street, url: &str) {
    browser.requests().await;
    browser.goto(url).await;
    let requests: Vec<_> = browser
        .requests()
        .await
        .into_iter()
        .filter(|(url, _, _)| url.starts_with("http") && !url.contains("favicon"))
        .collect();
    assert!(requests.len() <= 2, "{requests:?}");
    assert!(requests.iter().all(|(url, _, _)| url.starts_with(&street.server.base())), "{requests:?}");
    let bytes: u64 = requests.iter().map(|(_, _, bytes)| bytes).sum();
    assert!(bytes <= 20_000, "{bytes} bytes: {requests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_form_opened_directly_is_two_requests_and_its_script_runs() {
    let street = Street::serve().await;
    for visitor in [Visitor::default(), Visitor::default().without_scripts()] {
        let Some(browser) = Browser::open(visitor).await else { return };
        assert_light(&browser, &street, &format!("{}/report", street.scan_url(0))).await;
        browser.wait_for("[name=hazard]").await;
    }
    let Some(browser) = Browser::open(Visitor::default()).await else { return };
    browser.goto(&format!("{}/report", street.scan_url(0))).await;
    browser.choose_file("[name=photos]", &street.photo).await;
    browser.wait_for("#previews img").await;
    assert_sound(&browser, "the report form with a photo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hazard_is_reported_with_a_photo_handled_checked_and_closed_and_the_citizen_sees_it() {
    let street = Street::serve().await;
    let Some(phone) = Browser::open(Visitor::default()).await else { return };
    phone.goto(&street.scan_url(0)).await;
    phone.click("a[href$='/report']").await;
    assert_sound(&phone, "the report form").await;
    choose_hazard(&phone, "rocking").await;
    phone.type_into("[name=description]", "公交车经过时响").await;
    phone.choose_file("[name=photos]", &street.photo).await;
    phone.click("form:has([name=hazard]) button:not([type])").await;
    phone.wait_until_at("/r/R").await;
    let tracking = phone.url().await;
    assert_sound(&phone, "the tracking page").await;
    let photo = phone.script("return document.querySelector('img[src*=\"/photos/\"]').src").await;
    let photo = reqwest::get(photo.as_str().unwrap()).await.unwrap().bytes().await.unwrap();
    assert!(!photo.windows(4).any(|four| four == b"Exif" || four == b"GPS "), "metadata got out");

    let desk = || Browser::open(Visitor::default().at_a_desk());
    let (Some(dispatcher), Some(handler), Some(supervisor)) = (desk().await, desk().await, desk().await)
    else {
        return;
    };
    log_in(&dispatcher, &street, "pai", "/desk").await;
    assert_sound(&dispatcher, "the desk").await;
    dispatcher.click("a[href*='/desk/cases/']").await;
    assert_sound(&dispatcher, "the case page").await;
    let case = dispatcher.url().await.replace(&street.server.base(), "");
    make_move(&dispatcher, "file", &[]).await;
    make_move(&dispatcher, "dispatch", &[("party", "东营水务")]).await;

    log_in(&handler, &street, "xiu", &case).await;
    make_move(&handler, "accept", &[]).await;
    make_move(&handler, "hand_in", &[("photos", &street.photo.display().to_string())]).await;
    handler.wait_for(".badge.s-handled").await;

    log_in(&supervisor, &street, "jian", &case).await;
    make_move(&supervisor, "check", &[]).await;
    make_move(&supervisor, "close", &[("photos", &street.photo.display().to_string())]).await;
    supervisor.wait_for_text("已结案").await;

    phone.goto(&tracking).await;
    phone.wait_for_text("已结案").await;
    assert!(!phone.page_text().await.contains("pai"), "names of staff are not public");

    supervisor.goto(&street.server.url(&format!("/covers/{}", street.codes[0]))).await;
    supervisor.wait_for_text("黄河路").await;
    assert_sound(&supervisor, "the file").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_sent_without_a_network_arrives_once_when_it_is_back() {
    let street = Street::serve().await;
    let Some(phone) = Browser::open(Visitor::default()).await else { return };
    phone.goto(&format!("{}/report", street.scan_url(0))).await;
    choose_hazard(&phone, "broken").await;
    phone.choose_file("[name=photos]", &street.photo).await;
    phone.wait_for("#previews img").await;
    let network = |offline: bool| {
        let conditions =
            json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        phone.cdp("Network.emulateNetworkConditions", conditions)
    };
    phone.cdp("Network.enable", json!({})).await;
    network(true).await;
    phone.click("#send").await;
    phone.wait_for_text("没有网络").await;
    assert!(phone.count("#send[disabled]").await == 1, "nobody presses twice");
    network(false).await;
    phone.wait_until_at("/r/R").await;
    phone.goto(&street.scan_url(0)).await;
    phone.wait_for_text("1 人上报").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_script_cannot_shrink_the_server_explains() {
    let street = Street::serve().await;
    let Some(phone) = Browser::open(Visitor::default()).await else { return };
    phone.goto(&format!("{}/report", street.scan_url(0))).await;
    let heavy = street.photo.with_file_name("heavy.heic");
    std::fs::write(&heavy, [&b"\0\0\0\x18ftypheic"[..], &[0; 13_000_000]].concat()).unwrap();
    choose_hazard(&phone, "broken").await;
    phone.choose_file("[name=photos]", &heavy).await;
    phone.click("#send").await;
    phone.wait_for_text("照片太大").await;
    assert_eq!(phone.count("#send[disabled]").await, 0, "another photo can be sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_scripts_off_a_report_goes_the_same_way_in_english() {
    let street = Street::serve().await;
    let Some(phone) = Browser::open(Visitor::default().without_scripts().english()).await else { return };
    phone.goto(&street.scan_url(1)).await;
    phone.click("a[href$='/report']").await;
    choose_hazard(&phone, "missing").await;
    phone.type_into("[name=description]", "open hole in the cycle lane").await;
    phone.choose_file("[name=photos]", &street.photo).await;
    phone.click("form:has([name=hazard]) button:not([type])").await;
    phone.wait_until_at("/r/R").await;
    let text = phone.page_text().await;
    assert!(text.contains("110") || text.contains("119"), "an emergency shows whom to call first:\n{text}");
    assert_eq!(phone.overflow_px().await, 0);
    // The next person sees that it is known.
    phone.goto(&street.scan_url(1)).await;
    phone.wait_for_text("Cover missing").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_typed_is_kept_when_something_is_wrong_with_it() {
    let street = Street::serve().await;
    let Some(phone) = Browser::open(Visitor::default().without_scripts()).await else { return };
    phone.goto(&format!("{}/report", street.scan_url(2))).await;
    let bad = street.photo.with_file_name("bad.jpg");
    std::fs::write(&bad, "this is no picture").unwrap();
    choose_hazard(&phone, "broken").await;
    phone.type_into("[name=description]", "井盖裂了").await;
    phone.choose_file("[name=photos]", &bad).await;
    phone.click("form:has([name=hazard]) button:not([type])").await;
    phone.wait_for("[role=alert]").await;
    let typed = phone.script("return document.querySelector('[name=description]').value").await;
    assert_eq!(typed, "井盖裂了");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_sound_in_the_dark_and_in_both_languages() {
    let street = Street::serve().await;
    let dark = Visitor { dark: true, ..Visitor::default() };
    let english = Visitor::default().english();
    let form = format!("key={}&hazard=missing&description=open", IdempotencyKey::fresh());
    let sent = reqwest::Client::new()
        .post(format!("{}/report", street.scan_url(0)))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    assert!(sent.send().await.unwrap().status().is_success());
    for visitor in [dark, english.clone(), english.at_a_desk()] {
        let Some(phone) = Browser::open(visitor.clone()).await else { return };
        for path in
            ["/".to_owned(), format!("/c/{}", street.tokens[0]), format!("/c/{}/report", street.tokens[0])]
        {
            phone.goto(&street.server.url(&path)).await;
            assert_sound(&phone, &format!("{path} for {visitor:?}")).await;
        }
        log_in(&phone, &street, "jian", "/desk").await;
        assert_sound(&phone, &format!("the desk for {visitor:?}")).await;
        phone.click("a[href*='/desk/cases/']").await;
        assert_sound(&phone, &format!("the case for {visitor:?}")).await;
        phone.goto(&street.server.url(&format!("/covers/{}", street.codes[0]))).await;
        assert_sound(&phone, &format!("the file for {visitor:?}")).await;
    }
}

pub async fn choose_hazard(browser: &Browser, hazard: &str) {
    browser.wait_for("[name=hazard]").await;
    let option = format!("[name=hazard][value={hazard}]");
    if browser.count(&option).await > 0 {
        // The radio button itself may be hidden behind its picture: click its label.
        let label = format!("label:has({option})");
        if browser.count(&label).await > 0 {
            browser.click(&label).await;
        } else {
            browser.click(&option).await;
        }
    } else {
        browser.click(&format!("[name=hazard] option[value={hazard}]")).await;
    }
}
