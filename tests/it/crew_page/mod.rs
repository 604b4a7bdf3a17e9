//! A crew's day in a real Chromium: a work package taken along, hours without a network, an empty battery in the middle
//! of a photo; and everything arrives once.

mod tasks;
mod troubles;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lidmark::domain::cover::CoverClass;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::CoverId;
use lidmark::domain::plate::PlateState;
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::registry::{NewBatch, Registry, RegistryOptions};
use rand::SeedableRng;
use serde_json::json;
use tempfile::TempDir;

use crate::browser::PASSWORD;
use crate::registry::ground::{Town, batch, plate};
use crate::support::browser::{Browser, Visitor};
use crate::support::engines::Ground;
use crate::support::server::{Server, run_command};
use crate::support::wire::Wire;

const SCREEN: (u32, u32) = (390, 844);
const PATIENCE: Duration = Duration::from_secs(40);

/// A served town with bare covers along 黄河路, plates made for the first of them, and blank ones.
struct Field {
    server: Server,
    wire: Wire,
    ground: Ground,
    covers: Vec<CoverId>,
    /// One for each of the first covers, in their order.
    made: Vec<Token>,
    blank: Vec<Token>,
    /// Pixels of a picture, across and down.
    camera: (u32, u32),
    folder: TempDir,
}

impl Field {
    async fn lay(covers: u64, made: usize, blank: usize) -> Self {
        let ground = Ground::sqlite().expect("SQLite is bundled");
        let town = Town::found(&ground).await;
        let covers = town.found_covers(covers).await;
        let files = town.registry.list_covers_by_id(&covers).await.unwrap();
        let batch = batch((made + blank) as i64);
        let mut random = rand::rngs::SmallRng::seed_from_u64(covers[0].0.as_u128() as u64);
        let mut plates: Vec<_> =
            (1..=made + blank).map(|at| plate(&batch, at as i64, Token::draw(&mut random))).collect();
        for (plate, cover) in plates.iter_mut().take(made).zip(&covers) {
            let file = files.iter().find(|file| file.cover == *cover).unwrap();
            plate.cover = Some(*cover);
            plate.manhole = Some(file.manhole);
            plate.printed_code = Some(file.code.digits.clone());
        }
        let mut tokens: Vec<Token> = plates.iter().map(|plate| plate.token).collect();
        let blank = tokens.split_off(made);
        town.registry.commit_batch(NewBatch { batch, plates }).await.unwrap();
        town.draw_dongying().await;
        town.staff("gong", Role::Crew).await;
        town.registry.close().await;
        std::fs::write(ground.home().folder().join("lidmark.toml"), "secure_cookies = false\n").unwrap();
        let server = Server::start(ground.home()).await;
        let wire = Wire::to(&server.base()).await;
        let (camera, folder) = ((2000, 1500), tempfile::tempdir().unwrap());
        Self { server, wire, ground, covers, made: tokens, blank, camera, folder }
    }

    /// A picture of its own for each name.
    fn picture(&self, name: &str) -> PathBuf {
        let file = self.folder.path().join(format!("{name}.jpg"));
        let seed = name.bytes().fold(7u32, |seed, byte| seed.wrapping_mul(31) + u32::from(byte));
        let (width, height) = self.camera;
        let picture = image::RgbImage::from_fn(width, height, |x, y| {
            let grain = x.wrapping_mul(2_654_435_761).wrapping_add(y.wrapping_mul(seed)) >> 24;
            image::Rgb([grain as u8, (x / 8) as u8, (y / 6) as u8])
        });
        picture.save(&file).unwrap();
        file
    }

    /// What the camera shows: the symbol of a plate, as an uncompressed video of one picture.
    fn camera(&self, token: Token) -> Vec<String> {
        let text = format!("HTTP://{}/C/{token}", self.wire.host());
        let symbol = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::Q).unwrap();
        let (side, modules) = (symbol.width(), symbol.to_colors());
        let (width, height, scale) = (640usize, 480usize, 8usize);
        let (left, top) = ((width - side * scale) / 2, (height - side * scale) / 2);
        let mut video = b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\nFRAME\n".to_vec();
        for y in 0..height {
            for x in 0..width {
                let inside = x >= left && y >= top && x < left + side * scale && y < top + side * scale;
                let dark =
                    inside && modules[(y - top) / scale * side + (x - left) / scale] == qrcode::Color::Dark;
                video.push(if dark { 30 } else { 220 });
            }
        }
        video.extend(std::iter::repeat_n(128u8, width * height / 2));
        let file = self.folder.path().join(format!("{token}.y4m"));
        std::fs::write(&file, video).unwrap();
        vec![
            "--use-fake-device-for-media-stream".into(),
            "--use-fake-ui-for-media-stream".into(),
            format!("--use-file-for-fake-video-capture={}", file.display()),
        ]
    }

    fn visitor(&self, token: Token) -> Visitor {
        Visitor { screen: SCREEN, flags: self.camera(token), ..Visitor::default() }
    }

    async fn registry(&self) -> Registry {
        Registry::open(&self.ground.database(), RegistryOptions::default()).await.unwrap()
    }

    /// Longitude and latitude of a cover.
    fn place(at: usize) -> (f64, f64) {
        (118.59 + at as f64 * 0.0003, 37.46)
    }
}

/// A crew's phone with the page open.
struct Phone<'f> {
    browser: Browser,
    field: &'f Field,
}

impl<'f> Phone<'f> {
    async fn take(field: &'f Field, browser: Browser) -> Self {
        let origin = field.wire.url("");
        let permissions = json!(["geolocation", "videoCapture", "durableStorage"]);
        browser.cdp("Browser.grantPermissions", json!({"origin": origin, "permissions": permissions})).await;
        let phone = Self { browser, field };
        phone.stand_at(Field::place(0), 5.0).await;
        phone
    }

    /// Some fixes, a centimeter apart, as a receiver gives them.
    async fn stand_at(&self, (lon, lat): (f64, f64), accuracy_m: f64) {
        for step in 0..4 {
            let fix =
                json!({"longitude": lon + f64::from(step) * 1e-7, "latitude": lat, "accuracy": accuracy_m});
            self.browser.cdp("Emulation.setGeolocationOverride", fix).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn open(&self) {
        self.browser.goto(&self.field.wire.url("/crew")).await;
        self.browser.wait_for("nav .tab-scan").await;
    }

    async fn go(&self, view: &str) {
        self.browser.script(&format!("location.hash = {}", json!(format!("#/{view}")))).await;
    }

    async fn says(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let page = self.browser.page_text().await;
            if page.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "no {text:?}; the page says:\n{page}");
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }

    async fn says_not(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.browser.page_text().await.contains(text) {
            assert!(Instant::now() < deadline, "{text:?} still stands there");
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }

    /// Presses the first control of the view whose words contain these.
    async fn press(&self, words: &str) {
        let find = format!(
            "const found = [...document.querySelectorAll('main button, main a.button, main .choice, #notices button, #notices a')]
                 .find(control => control.innerText.includes({}));
             if (found) (found.querySelector('input') ?? found).click();
             return Boolean(found)",
            json!(words)
        );
        let deadline = Instant::now() + PATIENCE;
        while self.browser.script(&find).await != json!(true) {
            let page = self.browser.page_text().await;
            assert!(Instant::now() < deadline, "nothing to press with {words:?}; the page says:\n{page}");
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }

    async fn photograph(&self, role: &str, picture: &Path) {
        let before = self.browser.count(".shot").await;
        self.browser.choose_file(&format!("[name=photo-{role}]"), picture).await;
        let deadline = Instant::now() + PATIENCE;
        while self.browser.count(".shot").await == before {
            assert!(Instant::now() < deadline, "the photo is not on the page");
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }

    /// Types a token, with a thumb on the camera: it still shows the symbol of another plate.
    async fn type_token(&self, token: Token) {
        let covered = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'))";
        self.browser.script(covered).await;
        self.go("scan").await;
        self.browser.type_into("[name=token]", &token.grouped().to_lowercase()).await;
        self.browser.click(".typed button").await;
    }

    /// Fills in the form of a plate that is being fitted and confirms it.
    async fn fit(&self, at: usize, picture: &str) {
        self.says("装铭牌").await;
        self.stand_at(Field::place(at), 5.0).await;
        self.says("位置已测好").await;
        self.photograph("plate", &self.field.picture(picture)).await;
        self.press("已装好").await;
        self.says("已保存在本机").await;
    }

    /// Logs in and takes the street along.
    async fn set_out(&self) {
        self.open().await;
        self.browser.click("#notices a[href^='/login']").await;
        self.browser.type_into("[name=login]", "gong").await;
        self.browser.type_into("[name=password]", PASSWORD).await;
        self.browser.click("form:has([name=password]) button").await;
        self.browser.wait_for("nav .tab-scan").await;
        self.says("本机还没有任务包").await;
        self.go("packages").await;
        self.press("下载").await;
        self.says("已在本机").await;
        let deadline = Instant::now() + PATIENCE;
        while self.browser.script("return Boolean(navigator.serviceWorker.controller)").await != json!(true) {
            let page = self.browser.page_text().await;
            let console = self.browser.console().await;
            assert!(Instant::now() < deadline, "no worker keeps the page, which says:\n{page}\n{console:?}");
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }

    async fn waiting(&self) -> i64 {
        let count = "const done = arguments[arguments.length - 1];
            const request = indexedDB.open('lidmark-crew');
            request.onsuccess = () => {
                const all = request.result.transaction('queue').objectStore('queue').getAll();
                all.onsuccess = () => { request.result.close(); done(all.result.filter(entry => !['done', 'answered', 'discarded'].includes(entry.state)).length); };
            }";
        self.browser.script_async(count).await.as_i64().unwrap()
    }

    async fn assert_sound(&self, page: &str) {
        let found = self.browser.axe_serious().await;
        assert!(found.is_empty(), "{page}: {}", found.join("\n"));
        assert_eq!(self.browser.overflow_px().await, 0, "{page} is wider than the screen");
        let small = "return [...document.querySelectorAll('a, button, input, textarea, summary, .choice span')]
            .filter(control => control.checkVisibility() && !control.closest('.sr') && !control.matches('.sr, [type=radio], [type=file]'))
            .map(control => [control.getBoundingClientRect(), control])
            .filter(([box]) => box.height < 56 || box.width < 44)
            .map(([box, control]) => `${Math.round(box.width)} × ${Math.round(box.height)}: ${control.outerHTML.slice(0, 90)}`)";
        let small = self.browser.script(small).await;
        assert_eq!(small, json!([]), "{page} has targets too small for a glove");
        let complaints: Vec<String> = self
            .browser
            .console()
            .await
            .into_iter()
            .filter(|line| ["ERR_", "favicon", "401", "404", "409"].iter().all(|known| !line.contains(known)))
            .collect();
        assert!(complaints.is_empty(), "{page}: {complaints:?}");
    }
}

/// Bytes of photos of which only a part has come in.
fn half_photo(folder: &Path) -> u64 {
    let incoming = folder.join("incoming").join("crew");
    let files = std::fs::read_dir(incoming).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_day_without_a_network_arrives_once_and_in_order() {
    let mut field = Field::lay(8, 3, 2).await;
    let [scanned, typed, third] = field.made[..] else { panic!("three plates are made") };
    let [bound, with_survey] = field.blank[..] else { panic!("two plates are blank") };
    let Some(browser) = Browser::open(field.visitor(scanned)).await else { return };
    let phone = Phone::take(&field, browser).await;
    phone.set_out().await;

    // No signal from here on; the page opens from the phone.
    field.wire.cut();
    phone.open().await;
    phone.says("待办").await;
    phone.assert_sound("the list").await;
    phone.go("scan").await;
    phone.press("装在这里").await;
    phone.fit(0, "first").await;
    phone.type_token(typed).await;
    phone.press("装在这里").await;
    phone.fit(1, "second").await;
    phone.type_token(third).await;
    phone.press("装在这里").await;
    phone.assert_sound("the form of a plate").await;
    phone.fit(2, "third").await;
    assert_eq!(phone.waiting().await, 3);

    // A blank plate goes to the nearest cover that has none.
    phone.type_token(bound).await;
    phone.says("空白铭牌").await;
    phone.stand_at(Field::place(3), 4.0).await;
    phone.says("本机不认识这块铭牌").await;
    phone.browser.click(&format!("a[href*='{}']", field.covers[3])).await;
    phone.fit(3, "bound").await;

    // A cover that nobody knew, with three photos and a plate; the battery of the camera app does not matter.
    phone.type_token(with_survey).await;
    phone.press("普查新井盖并装上它").await;
    phone.press("燃气井盖").await;
    phone.press("黄河路").await;
    for role in ["cover", "surroundings", "plate"] {
        phone.photograph(role, &field.picture(&format!("new-{role}"))).await;
    }
    phone.browser.goto(&field.wire.url("/crew#/list")).await;
    phone.go("survey").await;
    phone.says(&with_survey.grouped()).await;
    assert_eq!(phone.browser.count(".shot").await, 3, "the draft is as it was");
    phone.stand_at((118.5955, 37.4610), 4.0).await;
    phone.says("位置已测好").await;
    phone.press("保存到本机").await;
    phone.says("已保存在本机").await;

    // 即查即改
    phone.go(&format!("report/{}", field.covers[4])).await;
    phone.press("破损").await;
    phone.press("已整改").await;
    phone.photograph("before", &field.picture("before")).await;
    phone.photograph("after", &field.picture("after")).await;
    phone.stand_at(Field::place(4), 4.0).await;
    phone.says("位置已测好").await;
    phone.press("保存到本机").await;
    phone.says("已保存在本机").await;
    assert_eq!(phone.waiting().await, 6);

    // Reloaded, closed and opened again, still without a network.
    phone.open().await;
    assert_eq!(phone.waiting().await, 6);
    let profile = phone.browser.close().await;
    let browser = Browser::open_on(field.visitor(scanned), profile).await.unwrap();
    let phone = Phone::take(&field, browser).await;
    phone.open().await;
    phone.go("queue").await;
    phone.says("6 项安全地存在本机").await;
    phone.assert_sound("the queue").await;

    // A thin signal, and an empty battery in the middle of a photo.
    field.wire.slow(60_000);
    field.wire.mend();
    phone.press("现在发送").await;
    let folder = field.ground.home().folder().to_owned();
    let deadline = Instant::now() + PATIENCE;
    while half_photo(&folder) == 0 {
        assert!(Instant::now() < deadline, "no part of a photo arrived; {}", phone.browser.page_text().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let profile: Arc<TempDir> = phone.browser.kill();
    assert!(half_photo(&folder) > 0, "the photo was cut in two");

    field.wire.slow(0);
    let browser = Browser::open_on(field.visitor(scanned), profile).await.unwrap();
    let phone = Phone::take(&field, browser).await;
    phone.open().await;
    phone.go("queue").await;
    phone.says("全部已送达").await;
    assert_eq!(phone.waiting().await, 0);
    phone.assert_sound("the queue that is empty").await;
    drop(phone);

    field.server.kill();
    let registry = field.registry().await;
    for (at, token) in [scanned, typed, third, bound].into_iter().enumerate() {
        let found = registry.find_plate(token).await.unwrap().unwrap();
        assert_eq!((found.plate.state, found.plate.cover), (PlateState::Installed, Some(field.covers[at])));
        let manhole = found.cover.unwrap().manhole;
        let history = registry.list_history(manhole).await.unwrap();
        let fitted = history.iter().filter(|entry| entry.kind == HistoryKind::PlateInstalled).count();
        assert_eq!((fitted, registry.list_photos(manhole).await.unwrap().len()), (1, 1), "plate {at}");
    }
    let new = registry.find_plate(with_survey).await.unwrap().unwrap().cover.unwrap();
    assert_eq!((new.survey.class, new.survey.road.as_deref()), (CoverClass::Gas, Some("黄河路")));
    assert_eq!(registry.list_photos(new.manhole).await.unwrap().len(), 3);
    let counts = registry.counts().await.unwrap();
    assert_eq!((counts.covers, counts.cases.iter().map(|(_, count)| count).sum::<i64>()), (9, 1));
    registry.close().await;
    let kinds = field.ground.sql("SELECT kind FROM crew_actions ORDER BY at, id");
    assert_eq!(kinds.lines().collect::<Vec<_>>(), ["fit", "fit", "fit", "fit", "survey", "fix"]);
    let swapped =
        "SELECT count(*) FROM crew_actions a JOIN crew_actions b ON a.done_at < b.done_at AND a.at > b.at";
    assert_eq!(field.ground.sql(swapped), "0", "they arrived in their order");
    let checked = run_command(&field.ground.home(), &["check", "--json"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_plate_that_somebody_else_fitted_meanwhile_comes_back_as_a_question() {
    let mut field = Field::lay(3, 1, 1).await;
    let (mine, theirs) = (field.made[0], field.blank[0]);
    let Some(browser) = Browser::open(field.visitor(mine)).await else { return };
    let phone = Phone::take(&field, browser).await;
    phone.set_out().await;
    field.wire.cut();
    phone.type_token(mine).await;
    phone.press("装在这里").await;
    phone.fit(0, "mine").await;
    let profile = phone.browser.close().await;

    field.server.kill();
    let registry = field.registry().await;
    let code = registry.find_cover(field.covers[0]).await.unwrap().unwrap().code.digits;
    registry.install_plate(theirs, &code, &Actor::System).await.unwrap();
    registry.close().await;
    field.server.restart().await;
    field.wire.mend();

    let browser = Browser::open_on(field.visitor(mine), profile).await.unwrap();
    let phone = Phone::take(&field, browser).await;
    phone.open().await;
    phone.says("1 项需要您决定").await;
    phone.go("queue").await;
    for version in ["本机做的", "服务器现在的", &mine.grouped(), &theirs.grouped()] {
        phone.says(version).await;
    }
    phone.assert_sound("the question").await;
    assert_eq!(phone.waiting().await, 1, "nothing leaves the queue by itself");
    phone.press("用我的换下它").await;
    phone.says("全部已送达").await;
    drop(phone);

    field.server.kill();
    let registry = field.registry().await;
    let state = async |token| registry.find_plate(token).await.unwrap().unwrap().plate;
    assert_eq!(state(mine).await.state, PlateState::Installed);
    let old = state(theirs).await;
    assert_eq!((old.state, old.successor), (PlateState::Replaced, Some(mine)));
    registry.close().await;
    assert_eq!(run_command(&field.ground.home(), &["check", "--json"]).code, Some(0));
}

/// The check of a typed token is the server's, to the last character.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_token_is_checked_on_the_phone_as_the_server_checks_it() {
    let field = Field::lay(1, 0, 1).await;
    let Some(browser) = Browser::open(field.visitor(field.blank[0])).await else { return };
    let phone = Phone { browser, field: &field };
    phone.open().await;
    let mut random = rand::rngs::SmallRng::seed_from_u64(5);
    let mut texts: Vec<String> = (0..40).map(|_| Token::draw(&mut random).to_string()).collect();
    for at in 0..40 {
        let mut spoiled: Vec<char> = texts[at].chars().collect();
        match at % 4 {
            0 => spoiled.swap(3, 4),
            1 => spoiled[at % 12] = 'U',
            2 => spoiled[at % 12] = if spoiled[at % 12] == '7' { '8' } else { '7' },
            _ => drop(spoiled.pop()),
        }
        texts.push(spoiled.into_iter().collect());
    }
    texts.extend(
        texts[0..3]
            .iter()
            .map(|text| text.to_lowercase().replace('1', "l").replace('0', "o"))
            .collect::<Vec<_>>(),
    );
    texts.extend(["".into(), "ſſſſſſſſſſſſ".into(), "7K3Q-9XW2-M4AB-".into(), "ı".repeat(12)]);
    let read = format!(
        "const done = arguments[arguments.length - 1];
         import('/crew/token.js').then(({{ readToken }}) => done({}.map(text => readToken(text).token ?? readToken(text).code)))",
        json!(texts)
    );
    let read = phone.browser.script_async(&read).await;
    for (text, read) in texts.iter().zip(read.as_array().unwrap()) {
        let expected = text.parse::<Token>().map_or_else(|refusal| json!(refusal.code), |token| json!(token));
        assert_eq!(*read, expected, "{text}");
    }
}
