//! The quality pages in a real Chromium: a phone without scripts and a desk, in Chinese and English.
//! `LIDMARK_ALBUM=folder` keeps the pictures, of every page in both languages and sizes.

use lidmark::domain::cover::{CoverClass, LoadClass, Material, Placement};

use crate::browser::{Street, assert_sound, log_in};
use crate::editing_pages::{album, keep, save, set};
use crate::registry::ground::candidate;
use crate::registry::quality::ownerless;
use crate::support::browser::{Browser, Visitor};

/// A street with covers that want a look: without an owner, too weak, old, and two in one place.
async fn poor_street() -> Street {
    Street::serve_with(async |town| {
        let mut rows = ownerless(20..24);
        for (at, row) in rows.iter_mut().enumerate() {
            row.survey.placement = Some(Placement::Carriageway);
            row.survey.load_class =
                [Some(LoadClass::B125), Some(LoadClass::C250), None, Some(LoadClass::D400)][at];
            row.survey.material = (at == 0).then_some(Material::CastIron);
            row.survey.extra.insert("安装日期".into(), format!("{}-05-01", 2000 + 8 * at));
        }
        town.import(rows).await;
        // The same place by another source.
        let mut options = town.options(lidmark::registry::ImportMode::Write);
        options.source = "second".into();
        options.match_radius_m = 0.01;
        let mut run = town.registry.begin_import(options).await.unwrap();
        run.begin_file();
        let mut twin = candidate(20, CoverClass::Storm);
        twin.survey.position.lon += 0.000_005;
        twin.survey.road = Some("黄河东路".into());
        twin.survey.owner = None;
        run.take(vec![twin]).await.unwrap();
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_an_ownerless_cover_finds_its_owner_and_two_files_become_one_without_scripts() {
    let street = poor_street().await;
    let (Some(phone), Some(desk)) = (
        Browser::open(Visitor::default().without_scripts()).await,
        Browser::open(Visitor::default().at_a_desk()).await,
    ) else {
        return;
    };
    log_in(&desk, &street, "pai", "/quality/claims").await;
    set(&desk, "class", "storm").await;
    desk.type_into("main form[method=post] [name=reason]", "普查未查明权属").await;
    save(&desk).await;
    desk.wait_for("input[type=checkbox]").await;
    let notice = desk.script("return location.pathname").await.as_str().unwrap().to_owned();
    // The people of a party say that it is theirs, on a phone.
    log_in(&phone, &street, "xiu", &notice).await;
    phone.click("tbody tr:nth-child(1) label.tick").await;
    phone.type_into("main [name=reason]", "我司图纸有此井").await;
    phone.click("button[name=step][value=claim]").await;
    phone.wait_for("tbody td strong").await;
    assert!(phone.page_text().await.contains("属于我方 我司图纸有此井"));
    assert_eq!(phone.overflow_px().await, 0);
    // The desk confirms.
    desk.goto(&street.server.url(&notice)).await;
    desk.wait_for("tbody td strong").await;
    desk.click("tbody tr:nth-child(1) label.tick").await;
    desk.click("button[name=step][value=award]").await;
    desk.wait_for("tbody .badge.s-closed").await;
    assert!(desk.page_text().await.contains("已确认权属 东营水务"));

    drop(phone);
    let Some(phone) = Browser::open(Visitor::default().without_scripts()).await else { return };
    log_in(&phone, &street, "ying", "/quality/duplicates").await;
    phone.wait_for("button[value=keep_older]").await;
    phone.type_into("main form[method=post] [name=reason]", "同一个井盖").await;
    phone.click("button[value=keep_older]").await;
    phone.wait_for("main section ul.plain").await;
    let text = phone.page_text().await;
    assert!(text.contains("最近合并") && text.contains("没有相距这么近的井盖"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_every_quality_page_is_sound() {
    let mut visitors = vec![Visitor::default(), Visitor::default().english().at_a_desk()];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    let street = poor_street().await;
    for (round, visitor) in visitors.into_iter().enumerate() {
        let Some(browser) = Browser::open(visitor.clone()).await else { return };
        log_in(&browser, &street, if round == 0 { "pai" } else { "ying" }, "/quality/claims").await;
        if round == 0 {
            set(&browser, "class", "storm").await;
            browser.type_into("main form[method=post] [name=reason]", "普查未查明权属").await;
            save(&browser).await;
            browser.wait_for("input[type=checkbox]").await;
        }
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        for (page, path) in [
            ("quality", "/quality".to_owned()),
            ("quality-files", "/quality/files?finding=incomplete".to_owned()),
            ("quality-under-rated", "/quality/files?finding=under_rated&district=370502".to_owned()),
            ("duplicates", "/quality/duplicates".to_owned()),
            ("claims", "/quality/claims".to_owned()),
            ("claim-notice", "/quality/claims/2026-00001".to_owned()),
            ("ledger", "/desk/ledger?state=all".to_owned()),
            ("statistics", "/desk/statistics?period=2026".to_owned()),
            ("file-score", format!("/covers/{}", street.codes[0])),
        ] {
            browser.goto(&street.server.url(&path)).await;
            browser.wait_for("h1").await;
            assert_sound(&browser, &format!("{page} for {visitor:?}")).await;
            keep(&browser, &format!("{page}-{name}")).await;
        }
    }
}
