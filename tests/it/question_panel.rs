//! The questions of the engineers' map in a real Chromium: asked by the keyboard, shown as a list and on the map, sent as a
//! file, opened by a link.

use serde_json::json;

use crate::browser::{assert_sound, log_in};
use crate::editing_pages::{album, keep};
use crate::map_page::{drawing, open_map, press, street, until};
use crate::support::browser::{Browser, Visitor};

/// Asks what is chosen in the panel and waits for the answer.
async fn ask(browser: &Browser, kind: &str) {
    let choose = format!(
        "const kinds = document.querySelector('[name=question]'); kinds.value = {}; kinds.dispatchEvent(new Event('change'))",
        json!(kind)
    );
    browser.script(&choose).await;
    press(browser, ".questions button.main").await;
    until(browser, "return Boolean(document.querySelector('.answer-said p:not(.hint)'))").await;
}

const ROWS: &str = "document.querySelectorAll('.answer-rows li').length";
const POINTS: &str =
    "lidmarkMap.querySourceFeatures('answer', {filter: ['==', ['geometry-type'], 'Point']}).length";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_questions_are_asked_listed_drawn_and_opened_by_a_link() {
    let street = street().await;
    let Some(desk) = Browser::open(drawing(Visitor::default().at_a_desk())).await else { return };
    log_in(&desk, &street, "ying", "/desk").await;
    open_map(&desk, &street, &format!("#panel=questions&map=16/37.46/118.592&cover={}", street.codes[0]))
        .await;
    ask(&desk, "nearest").await;
    until(&desk, &format!("return {ROWS} === 10")).await;
    until(&desk, &format!("return {POINTS} >= 10")).await;
    assert!(
        desk.text(".answer-rows li").await.contains(&street.codes[0]),
        "{}",
        desk.text(".answer-rows").await
    );
    // A row flies there.
    press(&desk, ".answer-rows li:last-child button").await;
    until(&desk, "return lidmarkMap.querySourceFeatures('chosen').length > 0").await;

    // A file of a receiver.
    let track = street.photo.with_file_name("track.gpx");
    let points = "<trkpt lat='37.45998' lon='118.5899'/><trkpt lat='37.45998' lon='118.5908'/>";
    std::fs::write(&track, format!("<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")).unwrap();
    let choose = "const kinds = document.querySelector('[name=question]'); kinds.value = 'route'; kinds.dispatchEvent(new Event('change'))";
    desk.script(choose).await;
    press(&desk, ".questions button.main").await;
    until(&desk, "return document.querySelector('.answer-said').textContent.includes('GPX') || document.querySelector('.answer-said [role=alert]') !== null").await;
    desk.choose_file("[name=route]", &track).await;
    press(&desk, ".questions button.main").await;
    until(&desk, &format!("return {ROWS} === 3")).await;
    assert!(desk.text(".answer-rows li").await.contains("左侧"), "{}", desk.text(".answer-rows").await);

    // Along the line that is drawn; asked anew when it moves or others are filtered out, and by a link.
    desk.goto("about:blank").await;
    let drawn = "along=118.5899,37.45998 118.5908,37.45998&buffer_m=50";
    open_map(&desk, &street, &format!("#panel=questions&map=16/37.46/118.592&{drawn}")).await;
    ask(&desk, "route").await;
    until(&desk, &format!("return {ROWS} === 3")).await;
    let link = desk.url().await;
    assert!(link.contains("ask=route"), "{link}");
    press(&desk, ".facet[data-facet=class] input[value=storm]").await;
    until(&desk, &format!("return {ROWS} === 0 && location.hash.includes('ask=')")).await;
    press(&desk, ".facet[data-facet=class] input[value=storm]").await;
    until(&desk, &format!("return {ROWS} === 3")).await;
    desk.goto("about:blank").await;
    desk.goto(&link).await;
    until(&desk, &format!("return {ROWS} === 3")).await;
    press(&desk, ".shape-now button").await;
    until(&desk, &format!("return {ROWS} === 0 && !location.hash.includes('ask=')")).await;

    for (kind, sign) in [
        ("alike", "相似"),
        ("density", "个/公里"),
        ("hotspots", "案件太少"),
        ("duplicates", "0 组"),
        ("tour", "0 处"),
    ] {
        ask(&desk, kind).await;
        until(
            &desk,
            &format!("return document.querySelector('.questions').textContent.includes({})", json!(sign)),
        )
        .await;
    }

    // By a link: a tour of three covers, drawn as a line, with its file for receivers.
    let asked = format!("tour?covers={}&start=118.5899,37.46", street.codes.join(","));
    let link = format!(
        "/map?panel=questions&ask={}",
        asked.replace('?', "%3F").replace('=', "%3D").replace('&', "%26")
    );
    desk.goto(&street.server.url(&link)).await;
    desk.wait_for("body[data-ready]").await;
    until(&desk, &format!("return {ROWS} === 3")).await;
    until(&desk, "return lidmarkMap.queryRenderedFeatures({layers: ['answer-line']}).length > 0").await;
    let files = desk.script("return [...document.querySelectorAll('.questions .downloads a')].map(one => one.download).join()").await;
    assert_eq!(files, json!("lidmark-tour.geojson,lidmark-tour.gpx"));
    assert!(desk.url().await.contains("ask=tour"), "{}", desk.url().await);
    let asked = desk.script("return [document.querySelector('[name=what]').value, document.querySelector('[name=codes]').value]").await;
    assert_eq!(asked, json!(["named", street.codes.join("\n")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_the_questions_are_sound_on_desk_and_phone() {
    let mut visitors = vec![Visitor::default(), Visitor::default().english().at_a_desk()];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    let street = street().await;
    for visitor in visitors {
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        let Some(browser) = Browser::open(drawing(visitor.clone())).await else { return };
        log_in(&browser, &street, "ying", "/desk").await;
        for kind in ["nearest", "tour", "density", "hotspots"] {
            browser.goto("about:blank").await;
            open_map(&browser, &street, "#panel=questions&map=16/37.46/118.594").await;
            if visitor.screen.0 < 600 {
                press(&browser, ".panel-nav button:nth-child(4)").await;
            }
            ask(&browser, kind).await;
            until(&browser, "return lidmarkMap.loaded() && lidmarkMap.areTilesLoaded()").await;
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
            keep(&browser, &format!("ask-{kind}-{name}")).await;
            assert_sound(&browser, &format!("the question {kind} for {visitor:?}")).await;
        }
    }
}
