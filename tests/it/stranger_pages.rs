//! Doubtful reports and rewards in a real Chromium: a phone without scripts and a desk, in Chinese and English.
//! `LIDMARK_ALBUM=folder` keeps the pictures.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::token::Token;
use lidmark::registry::{NewReport, Origin, RewardClaim};

use crate::browser::{Street, assert_sound, choose_hazard, log_in};
use crate::editing_pages::{album, keep, save};
use crate::registry::deadlines::Desk;
use crate::registry::ground::{Town, report};
use crate::support::browser::{Browser, Visitor};

async fn say(town: &Town, plate: Token, hazard: Hazard) -> lidmark::registry::Reported {
    let network = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let origin = Origin { network, device: Some("one".into()), by_staff: false };
    let new = NewReport { origin: Some(origin), ..report(plate, hazard) };
    town.registry.report_hazard(new).await.unwrap()
}

/// A street with a reward that waits for its review and a report that waits for a look.
#[expect(clippy::disallowed_methods, reason = "the server of this story goes by the machine's clock")]
async fn street_of_strangers() -> Street {
    Street::serve_with(async |town| {
        // Today, because neither waits for long.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        town.clock.store(now, Ordering::SeqCst);
        let points = town.registry.list_points(None, 10).await.unwrap();
        let mut plates = Vec::new();
        for point in points {
            plates.push(town.registry.list_cover_plates(point.cover).await.unwrap()[0].token);
        }
        let first = say(town, plates[0], Hazard::Rocking).await;
        let link = town.registry.tracking_link(&first);
        let (key, payee, payee_name) = (IdempotencyKey::fresh(), "13800000001".into(), "李".into());
        town.registry.claim_reward(RewardClaim { key, link, payee, payee_name }).await.unwrap();
        Desk::of(town).await.close(&first.case_number).await;
        town.registry.sweep_rewards().await.unwrap();
        for _ in 0..11 {
            say(town, plates[1], Hazard::Broken).await;
        }
        say(town, plates[2], Hazard::Level).await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_whoever_reports_first_says_where_the_reward_goes_and_is_paid() {
    let street = Street::serve().await;
    let Some(phone) = Browser::open(Visitor::default().without_scripts()).await else { return };
    phone.goto(&format!("{}/report", street.scan_url(0))).await;
    choose_hazard(&phone, "rocking").await;
    phone.click("form:has([name=hazard]) button:not([type])").await;
    phone.wait_until_at("/r/R").await;
    phone.click("a[href$='/reward']").await;
    phone.wait_for("[name=payee]").await;
    assert!(phone.page_text().await.contains("¥ 20.00"));
    phone.type_into("[name=payee]", "138").await;
    save(&phone).await;
    phone.wait_for("#wrong").await;
    phone.type_into("[name=payee]", "0000 0001").await;
    save(&phone).await;
    phone.wait_for(".badge").await;
    assert!(phone.page_text().await.contains("等待核实结案"));
    assert_eq!(phone.overflow_px().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_every_page_of_doubts_and_rewards_is_sound() {
    let mut visitors = vec![Visitor::default(), Visitor::default().english().at_a_desk()];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    for visitor in visitors {
        let street = street_of_strangers().await;
        let Some(browser) = Browser::open(visitor.clone()).await else { return };
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        log_in(&browser, &street, "zong", "/desk").await;
        browser.click("a[href='/desk/held']").await;
        browser.wait_for("tbody a").await;
        assert_sound(&browser, &format!("held for {visitor:?}")).await;
        keep(&browser, &format!("held-{name}")).await;
        browser.click("tbody th a").await;
        browser.wait_for("section.notice").await;
        assert_sound(&browser, &format!("held case for {visitor:?}")).await;
        keep(&browser, &format!("held-case-{name}")).await;
        browser.goto(&street.server.url("/desk/held")).await;
        browser.click("tbody a[href$='/senders']").await;
        browser.wait_for("[name=reason]").await;
        assert_sound(&browser, &format!("senders for {visitor:?}")).await;
        browser.type_into("[name=reason]", "一小时编造十一条").await;
        save(&browser).await;
        browser.wait_for("tbody").await;
        keep(&browser, &format!("senders-{name}")).await;
        browser.goto(&street.server.url("/desk/held")).await;
        browser.wait_for("form[action='/desk/held'] button").await;
        assert_sound(&browser, &format!("blocks for {visitor:?}")).await;
        keep(&browser, &format!("blocks-{name}")).await;

        browser.goto(&street.server.url("/admin/rewards")).await;
        browser.wait_for("button[value=approve]").await;
        assert_sound(&browser, &format!("rewards for {visitor:?}")).await;
        keep(&browser, &format!("rewards-{name}")).await;
        browser.click("button[value=approve]").await;
        browser.wait_for("button[value=export]").await;
        browser.click("button[value=export]").await;
        browser.wait_for("a[download]").await;
        browser.script("document.querySelectorAll('details').forEach(fold => fold.open = true)").await;
        browser.type_into("[name=results]", "report,result,payment or reason\nR2026-999999,paid,1").await;
        browser.click("form:has([name=results]) button").await;
        browser.wait_for("section[role=status] li").await;
        assert_sound(&browser, &format!("results for {visitor:?}")).await;
        keep(&browser, &format!("results-{name}")).await;
    }
}
