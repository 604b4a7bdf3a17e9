//! The pages of campaigns in a real Chromium: made and started without scripts on a phone, and sound in both languages.
//! `LIDMARK_ALBUM=folder` keeps the pictures.

use lidmark::domain::cover::CoverClass;
use lidmark::domain::role::Role;

use crate::browser::{Street, assert_sound, log_in};
use crate::editing_pages::{album, keep, save, set};
use crate::registry::ground::candidate;
use crate::support::browser::{Browser, Visitor};

async fn long_streets() -> Street {
    Street::serve_with(async |town| {
        let rows = (100..160).map(|at| {
            let mut row = candidate(at, CoverClass::Storm);
            row.survey.position.lat += (at % 12) as f64 * 0.0004;
            row.survey.road = Some(["黄河路", "府前大街", "西四路"][at as usize % 3].into());
            row
        });
        town.import(rows.collect()).await;
        town.staff("gong", Role::Crew).await;
        town.staff("gu", Role::Crew).await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_campaign_is_made_started_and_looked_at_without_scripts() {
    let mut visitors = vec![
        Visitor::default().without_scripts(),
        Visitor::default(),
        Visitor::default().english().at_a_desk(),
    ];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    let street = long_streets().await;
    let mut address = String::new();
    for (round, visitor) in visitors.into_iter().enumerate() {
        let Some(browser) = Browser::open(visitor.clone()).await else { return };
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        log_in(&browser, &street, if round == 0 { "pai" } else { "jian" }, "/desk/campaigns/new").await;
        browser.wait_for("[name=checklist]").await;
        if round == 0 {
            browser.type_into("main [name=name]", "汛前雨水井专项巡护").await;
            browser.click("main label:has([name^='crew:'])").await;
            browser.click("main label:has([name^='crew:']) ~ label").await;
            set(&browser, "class", "storm").await;
            save(&browser).await;
            browser.wait_for("button[name=step][value=start]").await;
            address = browser.script("return location.pathname").await.as_str().unwrap().to_owned();
            browser.click("button[name=step][value=start]").await;
            // The page looks again by itself until its tasks are there.
            browser.wait_for("svg.stands path.bare").await;
            let text = browser.page_text().await;
            for wanted in ["汛前雨水井专项巡护", "进行中", "0 / 60", "gong", "gu", "府前大街"]
            {
                assert!(text.contains(wanted), "no {wanted}: {text}");
            }
        }
        for (page, path) in [
            ("campaigns", "/desk/campaigns".to_owned()),
            ("campaign-new", "/desk/campaigns/new".to_owned()),
            ("campaign", address.clone()),
            ("due-dates", "/desk/due-dates".to_owned()),
        ] {
            browser.goto(&street.server.url(&path)).await;
            browser.wait_for("h1").await;
            if round > 0 {
                assert_sound(&browser, &format!("{page} for {visitor:?}")).await;
            }
            assert_eq!(browser.overflow_px().await, 0, "{page} for {visitor:?}");
            keep(&browser, &format!("{page}-{name}")).await;
        }
    }
}
