//! The engineers' map in a real Chromium, drawn by its software renderer: desk and phone, Chinese and English.
//! `LIDMARK_ALBUM=folder` keeps the pictures.

use lidmark::domain::cover::{CoverClass, CoverState};
use lidmark::domain::edit::{CoverEdit, PlatesGo, RetireReason};
use lidmark::domain::role::Role;
use lidmark::registry::{CoverFilter, Retirement};
use serde_json::{Value, json};

use crate::browser::{PASSWORD, Street, assert_sound, log_in};
use crate::editing_pages::{album, keep};
use crate::registry::editing::{done, order, set};
use crate::registry::ground::candidate;
use crate::support::browser::{Browser, Visitor};

/// Covers of the street beside its three with plates: sewage along it, storm water further on.
const SEWAGE: u64 = 37;
const STORM: u64 = 20;

pub async fn street() -> Street {
    Street::serve_with(async |town| {
        let row = |at| candidate(10 + at, if at < SEWAGE { CoverClass::Sewage } else { CoverClass::Storm });
        town.import((0..SEWAGE + STORM).map(row).collect()).await;
        town.draw_dongying().await;
    })
    .await
}

/// A browser that can draw without a graphics card.
pub fn drawing(mut visitor: Visitor) -> Visitor {
    visitor.flags.extend(["--use-angle=swiftshader", "--enable-unsafe-swiftshader"].map(str::to_owned));
    visitor
}

/// Opens the map and waits until it is drawn.
pub async fn open_map(browser: &Browser, street: &Street, fragment: &str) {
    browser.goto(&street.server.url(&format!("/map{fragment}"))).await;
    browser.wait_for("body[data-ready]").await;
    until(browser, "return lidmarkMap.loaded() && lidmarkMap.areTilesLoaded()").await;
}

/// Waits until a script in the page says true.
pub async fn until(browser: &Browser, script: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while browser.script(script).await != json!(true) {
        assert!(
            std::time::Instant::now() < deadline,
            "{script}\n{}\n{:?}",
            browser.page_text().await,
            browser.console().await
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Clicks an element that lies under others for the driver, as a person with a keyboard does.
pub async fn press(browser: &Browser, css: &str) {
    browser.wait_for(css).await;
    browser.script(&format!("document.querySelector({}).click()", json!(css))).await;
}

/// The classes that the map shows now, each once.
const DRAWN: &str = "[...new Set(lidmarkMap.queryRenderedFeatures({layers: ['points', 'signs']}).map(one => one.properties.class))].sort().join()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_map_sums_and_list_follow_the_filter_and_a_link_brings_it_all_back() {
    let street = street().await;
    let Some(desk) = Browser::open(drawing(Visitor::default().at_a_desk())).await else { return };
    log_in(&desk, &street, "ying", "/desk").await;
    desk.click("nav.staff a[href='/map']").await;
    desk.wait_for("body[data-ready]").await;
    desk.requests().await;
    open_map(&desk, &street, "").await;
    until(&desk, &format!("return {DRAWN} === 'sewage,storm'")).await;
    let all = (SEWAGE + STORM + 3).to_string();
    assert!(desk.text(".sum").await.contains(&all), "{}", desk.text(".sum").await);
    let colors = "const gl = lidmarkMap.getCanvas(), flat = document.createElement('canvas');
         flat.width = gl.width; flat.height = gl.height;
         const pen = flat.getContext('2d'); pen.drawImage(gl, 0, 0);
         return new Set(new Uint32Array(pen.getImageData(0, 0, flat.width, flat.height).data.buffer)).size";
    assert!(desk.script(colors).await.as_u64().unwrap() > 20, "the canvas is blank");

    // From afar each cover is counted once.
    desk.script("lidmarkMap.jumpTo({zoom: 10})").await;
    let counted = "const circles = lidmarkMap.queryRenderedFeatures({layers: ['clusters']});
         return circles.reduce((sum, one) => sum + one.properties.count, 0)";
    until(&desk, &format!("{counted} === {all}")).await;
    desk.script("document.querySelector('.map-buttons button:nth-child(3)').click()").await;
    until(&desk, &format!("return {DRAWN} === 'sewage,storm'")).await;

    press(&desk, ".facet[data-facet=class] input[value=storm]").await;
    until(&desk, &format!("return {DRAWN} === 'storm'")).await;
    until(&desk, &format!("return document.querySelector('.sum').textContent.includes('{STORM}')")).await;
    assert!(desk.url().await.contains("class=storm"), "{}", desk.url().await);
    press(&desk, ".panel-nav button:nth-child(2)").await;
    let rows = "return document.querySelectorAll('.virtual .row').length";
    assert!(desk.script(rows).await.as_u64().is_some_and(|rows| (5..=STORM).contains(&rows)));

    // A click on the map opens the file of what lies there.
    let place = "const [one] = lidmarkMap.queryRenderedFeatures({layers: ['points', 'signs']});
         const {x, y} = lidmarkMap.project(one.geometry.coordinates), box = lidmarkMap.getCanvas().getBoundingClientRect();
         const at = {clientX: box.left + x, clientY: box.top + y, bubbles: true};
         for (const kind of ['mousedown', 'mouseup', 'click']) lidmarkMap.getCanvas().dispatchEvent(new MouseEvent(kind, at));
         return one.properties.class";
    assert_eq!(desk.script(place).await, json!("storm"));
    desk.wait_for(".file .facts").await;
    let code = desk.text(".file h2").await;
    assert!(desk.text(".file .kind").await.contains("雨水"), "{}", desk.text(".file").await);
    desk.wait_for(".file .coordinate").await;
    assert!(desk.text(".file").await.contains("Gauss-Kruger"));
    let link = desk.url().await;
    assert!(link.contains(&format!("cover={code}")), "{link}");

    let elsewhere: Vec<_> = desk
        .requests()
        .await
        .into_iter()
        .filter(|(url, ..)| url.starts_with("http") && !url.starts_with(&street.server.base()))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");

    let view = "return lidmarkMap.getZoom().toFixed(1) + lidmarkMap.getCenter().lng.toFixed(4)";
    let before: Value = desk.script(view).await;
    // The link that the page copies, opened by somebody who has to log in first.
    let Some(desk) = Browser::open(drawing(Visitor::default().at_a_desk())).await else { return };
    desk.goto(&link.replacen('#', "?", 1)).await;
    desk.type_into("[name=login]", "jian").await;
    desk.type_into("[name=password]", PASSWORD).await;
    desk.click("form:has([name=password]) button").await;
    desk.wait_for(".file .facts").await;
    until(&desk, &format!("return {DRAWN} === 'storm'")).await;
    assert_eq!(desk.script(view).await, before);
    assert_eq!(desk.script("return document.querySelector('input[value=storm]').checked").await, json!(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_the_map_is_sound_on_desk_and_phone_in_both_languages() {
    let mut visitors = vec![Visitor::default(), Visitor::default().english().at_a_desk()];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    let street = street().await;
    for visitor in visitors {
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        let Some(browser) = Browser::open(drawing(visitor.clone())).await else { return };
        log_in(&browser, &street, "ying", "/desk").await;
        let view = format!("#map=16.5/37.46/118.5945&cover={}", street.codes[1]);
        for (panel, fragment) in [
            ("filter", "#on=districts"),
            ("results", "#panel=results"),
            ("stats", "#panel=stats"),
            ("layers", "#panel=layers"),
            ("file", &*view),
        ] {
            browser.goto("about:blank").await;
            open_map(&browser, &street, fragment).await;
            if panel == "file" {
                browser.wait_for(".file .coordinate").await;
            } else if visitor.screen.0 < 600 {
                let at = ["filter", "results", "stats", "questions", "layers"]
                    .iter()
                    .position(|one| *one == panel)
                    .unwrap();
                press(&browser, &format!(".panel-nav button:nth-child({})", at + 1)).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
            keep(&browser, &format!("map-{panel}-{name}")).await;
            assert_sound(&browser, &format!("{panel} of the map for {visitor:?}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_selection_by_box_and_radius_narrows_the_covers() {
    let street = street().await;
    let Some(desk) = Browser::open(drawing(Visitor::default().at_a_desk())).await else { return };
    log_in(&desk, &street, "ying", "/desk").await;
    open_map(&desk, &street, "#map=15/37.46/118.595").await;
    let tap = async |lon: f64, lat: f64| {
        let tap = format!(
            "const {{x, y}} = lidmarkMap.project([{lon}, {lat}]), box = lidmarkMap.getCanvas().getBoundingClientRect();
             const at = {{clientX: box.left + x, clientY: box.top + y, bubbles: true}};
             for (const kind of ['mousedown', 'mouseup', 'click']) lidmarkMap.getCanvas().dispatchEvent(new MouseEvent(kind, at))"
        );
        desk.script(&tap).await;
    };
    press(&desk, ".tool-row button:nth-child(1)").await;
    // The three covers with plates lie at 118.5900, 118.5903 and 118.5906, the others from 118.5930 on.
    tap(118.5895, 37.4605).await;
    tap(118.5910, 37.4595).await;
    until(&desk, "return /(^|\\D)3\\D/.test(document.querySelector('.sum').textContent)").await;
    assert!(desk.url().await.contains("bbox="), "{}", desk.url().await);
    press(&desk, ".shape-now button").await;
    press(&desk, ".tool-row button:nth-child(4)").await;
    tap(118.5900, 37.46).await;
    until(&desk, "return document.querySelector('.shape-now input').value === '200'").await;
    desk.script("const reach = document.querySelector('.shape-now input'); reach.value = '10'; reach.dispatchEvent(new Event('change'))").await;
    until(&desk, "return /(^|\\D)1\\D/.test(document.querySelector('.sum').textContent)").await;
    assert!(desk.url().await.contains("near="), "{}", desk.url().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_length_is_in_the_link_and_tiles_that_fail_are_told_of() {
    let street = street().await;
    let Some(desk) = Browser::open(drawing(Visitor::default().at_a_desk())).await else { return };
    log_in(&desk, &street, "ying", "/desk").await;
    // A hundredth of a degree of longitude at this latitude is 885 m.
    open_map(&desk, &street, "#map=15/37.46/118.595&measure=length:118.59,37.46 118.6,37.46 118.6,37.461")
        .await;
    until(&desk, "return document.querySelector('.tool-bar strong').textContent.includes('995.7')").await;
    press(&desk, ".tool-buttons button:nth-child(1)").await;
    until(&desk, "return document.querySelector('.tool-bar strong').textContent.includes('884.')").await;
    assert!(
        desk.url().await.contains("measure=length%3A118.59%2C37.46+118.6%2C37.46"),
        "{}",
        desk.url().await
    );
    press(&desk, ".tool-buttons button:last-child").await;
    assert!(!desk.url().await.contains("measure"), "{}", desk.url().await);

    desk.script(
        "lidmarkMap.addSource('torn', {type: 'raster', tiles: [location.origin + '/tiles/covers/{z}/{x}/{y}?class=none']});
         lidmarkMap.addLayer({id: 'torn', type: 'raster', source: 'torn'})",
    )
    .await;
    until(&desk, "return document.querySelector('.map-said').textContent.includes('没有应答')").await;
}

/// A street with a past: on the eleventh day one cover breaks and one is gone, and a census brings five more.
async fn street_with_a_past() -> Street {
    Street::serve_with(async |town| {
        town.import((0..SEWAGE).map(|at| candidate(10 + at, CoverClass::Sewage)).collect()).await;
        town.draw_dongying().await;
        let engineer = town.staff("xian", Role::Engineer).await;
        town.clock.fetch_add(10 * 86_400_000, std::sync::atomic::Ordering::Relaxed);
        let files =
            town.registry.list_covers(CoverFilter { limit: 1000, ..CoverFilter::default() }).await.unwrap();
        let unplated: Vec<_> = files.iter().filter(|file| file.source_key >= Some("000020".into())).collect();
        let broken = CoverEdit { state: Some(CoverState::Broken), ..CoverEdit::default() };
        done(town.registry.edit_cover(order(unplated[0], &engineer, set(broken))).await);
        let what = Retirement { reason: RetireReason::Removed, successor: None, plates: PlatesGo::Withdrawn };
        done(town.registry.retire_cover(order(unplated[1], &engineer, what)).await);
        town.import((0..5).map(|at| candidate(60 + at, CoverClass::Power)).collect()).await;
    })
    .await
}

/// Moves the slider as a hand does.
async fn slide(browser: &Browser, name: &str, day: &str) {
    let slide = format!(
        "const slider = document.querySelector('input[name={name}]');
         slider.value = String(Date.parse('{day}T00:00:00Z') / 86400000); slider.dispatchEvent(new Event('input'))"
    );
    browser.script(&slide).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_the_slider_shows_the_past_and_what_changed_since() {
    let street = street_with_a_past().await;
    let (before, after) = (SEWAGE + 3, SEWAGE + 3 + 5 - 1);
    let Some(desk) = Browser::open(drawing(Visitor::default().at_a_desk())).await else { return };
    log_in(&desk, &street, "ying", "/desk").await;
    open_map(&desk, &street, "#on=cases").await;
    let summed =
        |count: u64| format!("return /(^|\\D){count}\\D/.test(document.querySelector('.sum').textContent)");
    until(&desk, &summed(after)).await;
    press(&desk, ".time-open").await;
    slide(&desk, "at", "2026-03-05").await;
    until(&desk, &summed(before)).await;
    until(&desk, &format!("return {DRAWN} === 'sewage'")).await;
    assert!(desk.url().await.contains("at=2026-03-05"), "{}", desk.url().await);
    assert!(desk.text(".as-of").await.contains("2026-03-05"), "{}", desk.text(".as-of").await);
    assert_eq!(desk.text(".time-day").await, "2026-03-05");
    let link = "return document.querySelector('.downloads a')?.href ?? ''";
    assert!(desk.script(link).await.as_str().unwrap().contains("at=2026-03-05"));

    // A month on, with the keyboard.
    let key = "document.querySelector('input[name=at]').dispatchEvent(new KeyboardEvent('keydown', {key: 'PageUp', cancelable: true}))";
    desk.script(key).await;
    until(&desk, &summed(after)).await;
    until(&desk, &format!("return {DRAWN} === 'power,sewage'")).await;
    assert_eq!(desk.text(".time-day").await, "2026-04-05");

    press(&desk, ".time-compare").await;
    let legend = "return [...document.querySelectorAll('.change-legend li')].map(one => one.textContent.replace(/\\D/g, '')).join()";
    until(&desk, &format!("return (() => {{ {legend} }})() === '5,1,0,1'")).await;
    until(&desk, "return lidmarkMap.queryRenderedFeatures({layers: ['change-points']}).length >= 7").await;
    assert!(desk.url().await.contains("since=2026-03-05"), "{}", desk.url().await);
    let changed = "return [...document.querySelectorAll('.changes li')].find(one => one.textContent.includes('→')).textContent";
    let told = desk.script(changed).await;
    assert!(told.as_str().unwrap().contains("完好 → 破损"), "{told}");
    keep(&desk, "map-past-compare-1280").await;
    assert_sound(&desk, "the changes between two days").await;
    press(&desk, ".changes button").await;
    desk.wait_for(".file .facts").await;
    press(&desk, ".time-compare").await;
    press(&desk, ".time-now").await;
    until(&desk, "return document.querySelector('.as-of').textContent === ''").await;
    assert!(!desk.url().await.contains("at="), "{}", desk.url().await);

    // A link opens the same day on a phone.
    let Some(phone) = Browser::open(drawing(Visitor::default())).await else { return };
    log_in(&phone, &street, "ying", "/desk").await;
    open_map(&phone, &street, "#at=2026-03-05").await;
    until(&phone, &summed(before)).await;
    assert_eq!(phone.text(".time-day").await, "2026-03-05");
    keep(&phone, "map-past-360").await;
    assert_sound(&phone, "the slider on a phone").await;
    slide(&phone, "at", "2026-03-20").await;
    press(&phone, ".time-compare").await;
    until(&phone, &format!("return (() => {{ {legend} }})() === '5,1,0,1'")).await;
    press(&phone, ".map-buttons button:nth-child(3)").await;
    until(&phone, "return lidmarkMap.queryRenderedFeatures({layers: ['change-points']}).length >= 7").await;
    keep(&phone, "map-past-compare-360").await;
    press(&phone, ".panel-nav button:nth-child(5)").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    keep(&phone, "map-past-changes-360").await;
    assert_sound(&phone, "the changes on a phone").await;
}
