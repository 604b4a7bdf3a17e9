//! The pages on which staff change covers, in a real Chromium: two people at one cover, a change of
//! many with its undo, and every page sound on a phone and at a desk, in Chinese and English.
//! `LIDMARK_ALBUM=folder` keeps the pictures, of every page in both languages and sizes.

use std::path::PathBuf;

use serde_json::json;

use crate::browser::{Street, assert_sound, log_in};
use crate::support::browser::{Browser, Visitor};

/// Chooses an option of a list, or writes into a field instead of what stands there.
pub async fn set(browser: &Browser, field: &str, value: &str) {
    browser.wait_for(&format!("main [name='{field}']")).await;
    let body = format!(
        "const field = document.querySelector({});
         field.value = {};
         field.dispatchEvent(new Event('change'));",
        json!(format!("main [name='{field}']")),
        json!(value)
    );
    browser.script(&body).await;
}

async fn pick(browser: &Browser, field: &str, value: &str) {
    browser.click(&format!("main label:has([name='{field}'][value='{value}'])")).await;
}

pub async fn save(browser: &Browser) {
    browser.click("main form[method=post] button.main").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_two_people_change_one_cover_and_the_second_chooses_field_by_field() {
    let street = Street::serve().await;
    let (Some(phone), Some(desk)) = (
        Browser::open(Visitor::default().without_scripts()).await,
        Browser::open(Visitor::default().at_a_desk()).await,
    ) else {
        return;
    };
    let file = format!("/covers/{}", street.codes[0]);
    log_in(&phone, &street, "ying", &format!("{file}/edit")).await;
    log_in(&desk, &street, "ying", &file).await;
    desk.click("nav.tasks a[href$='/edit']").await;
    set(&desk, "material", "steel").await;
    set(&desk, "address", "12号门前").await;
    save(&desk).await;
    desk.wait_for("ol.history").await;
    desk.wait_for_text("材质：（未知） → 钢").await;

    set(&phone, "material", "composite").await;
    set(&phone, "load_class", "D400").await;
    save(&phone).await;
    phone.wait_for("#meanwhile").await;
    assert_eq!(phone.overflow_px().await, 0);
    keep(&phone, "conflict-phone").await;
    assert_eq!(phone.script("return document.querySelector('[name=address]').value").await, "12号门前");
    pick(&phone, "material", "composite").await;
    save(&phone).await;
    phone.wait_for("ol.history").await;
    let text = phone.page_text().await;
    assert!(text.contains("复合材料") && text.contains("D400") && text.contains("12号门前"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_many_covers_are_changed_and_changed_back() {
    let street = Street::serve().await;
    let Some(desk) = Browser::open(Visitor::default().at_a_desk().english()).await else { return };
    log_in(&desk, &street, "ying", "/covers").await;
    set(&desk, "class", "sewage").await;
    desk.click("form.filters button.main").await;
    desk.click("a[href*='/bulk-edits/new?'][href*='class=sewage']").await;
    desk.wait_for("main form[action='/bulk-edits']").await;
    set(&desk, "shape", "round").await;
    desk.type_into("main [name=reason]", "survey of 2026").await;
    save(&desk).await;
    desk.wait_for("form[action$='/apply']").await;
    desk.wait_for_text("Shape: (not known) → Round").await;
    assert!(desk.page_text().await.contains("3 covers will be changed"));
    save(&desk).await;
    desk.click("form[action$='/undo'] button").await;
    desk.wait_for("a[href$='state=undone']").await;
    desk.wait_for_text("Changed back").await;
    assert_sound(&desk, "an undone change").await;
}

/// Where pictures are kept, where somebody wants them.
pub fn album() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("LIDMARK_ALBUM")?);
    std::fs::create_dir_all(&folder).expect("the album can be made");
    Some(folder)
}

pub async fn keep(browser: &Browser, name: &str) {
    if let Some(album) = album() {
        browser.screenshot_whole(&album.join(format!("{name}.png"))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_every_page_that_changes_covers_is_sound() {
    let mut visitors = vec![Visitor::default(), Visitor::default().english().at_a_desk()];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    let street = Street::serve().await;
    for (round, visitor) in visitors.into_iter().enumerate() {
        let Some(browser) = Browser::open(visitor.clone()).await else { return };
        log_in(&browser, &street, "ying", "/covers").await;
        if round == 0 {
            live_through(&browser, &street).await;
        }
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        for (page, path) in pages(&browser, &street).await {
            browser.goto(&street.server.url(&path)).await;
            browser.wait_for("h1").await;
            assert_sound(&browser, &format!("{page} for {visitor:?}")).await;
            keep(&browser, &format!("{page}-{name}")).await;
        }
    }
}

/// Every page, with something on it.
async fn pages(browser: &Browser, street: &Street) -> Vec<(&'static str, String)> {
    browser.goto(&street.server.url("/bulk-edits")).await;
    let bulk = browser.script("return document.querySelector('tbody th a').getAttribute('href')").await;
    let bulk = bulk.as_str().expect("a change was made").to_owned();
    let at = |plate: usize, what: &str| format!("/covers/{}{what}", street.codes[plate]);
    vec![
        ("list", "/covers".to_owned()),
        ("list-retired", "/covers?standing=any&road=%E9%BB%84%E6%B2%B3%E8%B7%AF&owner=unknown".to_owned()),
        ("file", at(0, "")),
        ("file-retired", at(2, "")),
        ("edit", at(0, "/edit")),
        ("code", at(0, "/code")),
        ("retire", at(0, "/retire")),
        ("reinstate", at(2, "/retire")),
        ("add", at(0, "/add")),
        ("merge", at(0, "/merge")),
        ("merge-compare", format!("{}?other={}", at(0, "/merge"), street.codes[2])),
        ("split", at(0, "/split")),
        ("bulk-form", "/bulk-edits/new?class=sewage&standing=any&text=3705".to_owned()),
        ("bulk", bulk.clone()),
        ("bulk-refused", format!("{bulk}?state=refused")),
        ("bulk-list", "/bulk-edits".to_owned()),
    ]
}

/// A cover beside the first one, another manhole merged into its, the third one retired, and a change of
/// many that cannot change all of them.
async fn live_through(browser: &Browser, street: &Street) {
    let open = async |path: String| browser.goto(&street.server.url(&path)).await;
    let at = |plate: usize, what: &str| format!("/covers/{}{what}", street.codes[plate]);
    open(at(0, "/add")).await;
    set(browser, "class", "storm").await;
    set(browser, "state", "intact").await;
    browser.type_into("main [name=reason]", "一座井上有两个井盖").await;
    save(browser).await;
    browser.wait_for("ol.history").await;
    open(format!("{}?other={}", at(0, "/merge"), street.codes[1])).await;
    pick(browser, "kind", "both").await;
    browser.type_into("main form[method=post] [name=reason]", "同一座井").await;
    save(browser).await;
    browser.wait_for("ol.history").await;
    open(at(2, "/retire")).await;
    set(browser, "retire_reason", "filled").await;
    browser.type_into("main [name=reason]", "道路改造时填埋").await;
    save(browser).await;
    browser.wait_for(".gone").await;
    open("/bulk-edits/new?standing=any".to_owned()).await;
    set(browser, "material", "ductile_iron").await;
    set(browser, "placement", "carriageway").await;
    browser.type_into("main [name=reason]", "2026 年普查").await;
    save(browser).await;
    browser.wait_for("form[action$='/apply']").await;
}
