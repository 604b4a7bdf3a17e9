//! The pages of sensors in a real Chromium: a phone without scripts and a desk, in Chinese and English.
//! `LIDMARK_ALBUM=folder` keeps the pictures.

use std::sync::atomic::Ordering;

use lidmark::domain::sensor::Quantity;

use crate::browser::{Street, assert_sound, log_in};
use crate::editing_pages::{album, keep, save};
use crate::registry::ground::MONDAY;
use crate::registry::sensors::{install, register, said};
use crate::support::browser::{Browser, Visitor};

/// A street with a device that raises an alarm, one whose battery is low, and one in the store room.
async fn street_with_sensors() -> Street {
    Street::serve_with(async |town| {
        register(town, &["LM-000001", "LM-000002", "LM-000003"]).await;
        for (at, point) in town.registry.list_points(None, 2).await.unwrap().iter().enumerate() {
            let code = town.registry.find_cover(point.cover).await.unwrap().unwrap().code.digits;
            install(town, &format!("LM-00000{}", at + 1), &code).await;
        }
        town.clock.store(MONDAY + 100_000, Ordering::SeqCst);
        let tilted = |second| said("LM-000001", second, &[(Quantity::Tilt, 38.5), (Quantity::Battery, 81.0)]);
        let weak = said("LM-000002", 60, &[(Quantity::Battery, 9.0), (Quantity::Temperature, 4.5)]);
        town.registry.take_readings(vec![tilted(0), tilted(60), weak]).await.unwrap();
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_an_engineer_registers_a_sensor_and_installs_it_without_scripts() {
    let street = street_with_sensors().await;
    let Some(phone) = Browser::open(Visitor::default().without_scripts()).await else { return };
    log_in(&phone, &street, "ying", "/admin/sensors").await;
    phone.type_into("main [name=serials]", "LM-000004").await;
    save(&phone).await;
    phone.click("tbody a[href$='LM-000004']").await;
    phone.wait_for("details.move").await;
    phone.click("details.move:has([value=install]) summary").await;
    phone.type_into("main [name=cover]", &street.codes[2]).await;
    phone.click("details.move:has([value=install]) button.main").await;
    phone.wait_for("details.move:has([value=disarm])").await;
    assert!(phone.page_text().await.contains("在用"));
    assert_eq!(phone.overflow_px().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_every_page_of_sensors_is_sound() {
    let mut visitors = vec![Visitor::default(), Visitor::default().english().at_a_desk()];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    let street = street_with_sensors().await;
    for visitor in visitors {
        let Some(browser) = Browser::open(visitor.clone()).await else { return };
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        log_in(&browser, &street, "ying", "/admin/sensors").await;
        browser.wait_for("tbody a").await;
        assert_sound(&browser, &format!("sensors for {visitor:?}")).await;
        keep(&browser, &format!("sensors-{name}")).await;
        browser.click("tbody th a[href$='LM-000001']").await;
        browser.wait_for("details.move").await;
        browser.script("document.querySelectorAll('details').forEach(fold => fold.open = true)").await;
        assert_sound(&browser, &format!("a sensor for {visitor:?}")).await;
        keep(&browser, &format!("sensor-{name}")).await;
        browser.click("td a[href^='/desk/cases/']").await;
        browser.wait_for("ol.history").await;
        assert!(browser.page_text().await.contains("LM-000001"), "{}", browser.page_text().await);
    }
}
