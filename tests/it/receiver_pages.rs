//! The pages of receivers in a real Chromium: a phone without scripts and a desk, in Chinese and English.
//! `LIDMARK_ALBUM=folder` keeps the pictures.

use lidmark::domain::hazard::Hazard;

use crate::browser::{Street, assert_sound, log_in};
use crate::editing_pages::{album, keep, save};
use crate::outbox::hook::{Hook, courier, register};
use crate::outbox::upstream::RULES;
use crate::support::browser::{Browser, Visitor};

/// Where a new secret is told.
const SECRET: &str = "section[role=status] input[readonly]";

/// A street with a receiver that takes nothing.
async fn street_with_letters() -> Street {
    let hook = Hook::open(|_| (500, String::new())).await;
    Street::serve_with(async |town| {
        register(&town.registry, &hook).await;
        for point in town.registry.list_points(None, 10).await.unwrap() {
            let plates = town.registry.list_cover_plates(point.cover).await.unwrap();
            town.report(plates[0].token, Hazard::Collapsed).await;
        }
        courier(&town.registry).turn().await.unwrap();
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_an_administrator_registers_a_receiver_and_looks_after_letters_without_scripts() {
    let street = street_with_letters().await;
    let Some(phone) = Browser::open(Visitor::default().without_scripts()).await else { return };
    log_in(&phone, &street, "zong", "/admin/receivers").await;
    phone.type_into("main [name=name]", "短信网关").await;
    phone.type_into("main [name=url]", "https://gateway.example.cn/hook").await;
    save(&phone).await;
    phone.wait_for(SECRET).await;
    let source = phone.source().await;
    assert!(source.contains("whsec_") && source.contains("只显示这一次"), "{source}");
    assert_eq!(phone.overflow_px().await, 0);
    phone.click("button[value=pause]").await;
    phone.wait_for("button[value=resume]").await;
    assert!(!phone.source().await.contains("whsec_"), "told once");

    phone.goto(&street.server.url("/admin/receivers")).await;
    phone.click("tbody a[href$='state=waiting']").await;
    phone.wait_for("button[value=skip]").await;
    assert!(phone.page_text().await.contains("HTTP 500"));
    phone.click("tbody tr:nth-child(1) button[value=skip]").await;
    phone.wait_for("tbody, p.calm").await;
    assert_eq!(phone.overflow_px().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_every_page_of_receivers_is_sound() {
    let mut visitors = vec![Visitor::default(), Visitor::default().english().at_a_desk()];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    let street = street_with_letters().await;
    for (round, visitor) in visitors.into_iter().enumerate() {
        let Some(browser) = Browser::open(visitor.clone()).await else { return };
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        log_in(&browser, &street, "zong", "/admin/receivers").await;
        browser.wait_for("tbody a").await;
        assert_sound(&browser, &format!("receivers for {visitor:?}")).await;
        keep(&browser, &format!("receivers-{name}")).await;
        browser.click("tbody th a").await;
        browser.wait_for("button[value=rotate]").await;
        browser.script("document.querySelectorAll('details').forEach(fold => fold.open = true)").await;
        assert_sound(&browser, &format!("receiver for {visitor:?}")).await;
        keep(&browser, &format!("receiver-{name}")).await;
        browser.click("dd a[href$='state=waiting']").await;
        browser.wait_for("button[value=skip]").await;
        assert_sound(&browser, &format!("letters for {visitor:?}")).await;
        keep(&browser, &format!("letters-{name}")).await;
        // A platform, with a refusal first.
        browser.goto(&street.server.url("/admin/receivers")).await;
        browser.wait_for("main [name=name]").await;
        browser.script("document.querySelectorAll('details').forEach(fold => fold.open = true)").await;
        browser.script("document.querySelector('main [name=kind]').value = 'upstream'").await;
        browser.type_into("main [name=name]", &format!("一体化平台 {round}")).await;
        browser.type_into("main [name=url]", "https://platform.example.cn/api").await;
        save(&browser).await;
        browser.wait_for("#wrong").await;
        // The browser notes a refused form, as it should.
        let noted = browser.console().await;
        assert!(noted.iter().all(|line| line.contains("422")), "{noted:?}");
        assert_sound(&browser, &format!("refused receiver for {visitor:?}")).await;
        browser.type_into("main [name=rules]", RULES).await;
        save(&browser).await;
        browser.wait_for(SECRET).await;
        assert_sound(&browser, &format!("new platform for {visitor:?}")).await;
        keep(&browser, &format!("platform-{name}")).await;
    }
}
