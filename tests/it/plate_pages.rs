//! The pages on which plates are designed, ordered and followed, in a real Chromium: a desk with scripts, a
//! phone without. `LIDMARK_ALBUM=folder` keeps the pictures.

use serde_json::json;

use crate::browser::{Street, assert_sound, log_in};
use crate::editing_pages::{keep, set};
use crate::support::browser::{Browser, Visitor};

/// Fills a field as fingers do: whoever listens hears of it.
async fn fill(browser: &Browser, field: &str, value: &str) {
    browser.wait_for(&format!("main [name='{field}']")).await;
    let body = format!(
        "const field = document.querySelector({});
         field.value = {};
         field.dispatchEvent(new Event('input', {{ bubbles: true }}));",
        json!(format!("main [name='{field}']")),
        json!(value)
    );
    browser.script(&body).await;
}

/// Waits until the picture of the plate is there.
async fn drawn(browser: &Browser) {
    browser.wait_for("#look img").await;
    let drawn =
        "const image = document.querySelector('#look img'); return image.complete && image.naturalWidth > 0";
    for _ in 0..100 {
        if browser.script(drawn).await == json!(true) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no picture of the plate after five seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_face_is_designed_a_printer_measured_and_plates_ordered_with_both() {
    let street = Street::serve().await;
    let Some(desk) = Browser::open(Visitor::default().at_a_desk()).await else { return };
    log_in(&desk, &street, "ying", "/admin/plates/designer").await;
    desk.wait_for("#look img").await;
    // The picture keeps up with the form, and what cannot be made says why.
    fill(&desk, "qr_size", "18").await;
    desk.wait_for("#look #wrong").await;
    assert!(desk.text("#look").await.contains("0.5"), "{}", desk.text("#look").await);
    fill(&desk, "qr_size", "34").await;
    desk.wait_for("#look img").await;
    drawn(&desk).await;
    assert!(desk.text("#look").await.contains("0.83"), "{}", desk.text("#look").await);
    keep(&desk, "designer-desk").await;
    assert_sound(&desk, "designer").await;
    // A text box over the symbol is told of where it is set, and no longer once it is off.
    desk.click("#text1 summary").await;
    fill(&desk, "text1_x", "30").await;
    desk.wait_for("#look #wrong").await;
    assert!(desk.text("#beside-text1").await.contains("静区"), "{}", desk.text("#beside-text1").await);
    keep(&desk, "designer-wrong-desk").await;
    assert_sound(&desk, "designer with a fault").await;
    fill(&desk, "text1_x", "41.5").await;
    desk.wait_for("#look img").await;
    assert_eq!(desk.script("return document.getElementById('beside-text1').textContent").await, json!(""));
    fill(&desk, "width", "100").await;
    fill(&desk, "radius", "6").await;
    fill(&desk, "text6_w", "43.5").await;
    desk.wait_for("#look img[src*='width=100'][src*='text6_w=43.5']").await;
    drawn(&desk).await;
    keep(&desk, "designer-texts-desk").await;
    fill(&desk, "id", "dongying-90x60").await;
    fill(&desk, "notice", "扫码查看和上报, 不收任何费用").await;
    desk.click("button[formmethod=post]").await;
    desk.wait_until_at("face=dongying-90x60").await;
    desk.wait_for("#look img").await;
    assert!(!desk.url().await.contains("csrf"));

    desk.goto(&street.server.url("/admin/plates/printers")).await;
    for (field, value) in
        [("name", "前台激光"), ("left", "11.2"), ("top", "9.5"), ("across", "160.8"), ("down", "251.25")]
    {
        desk.type_into(&format!("main [name={field}]"), value).await;
    }
    desk.click("main form.panel button.main").await;
    desk.wait_for("#printers").await;
    let printers = desk.text("#printers").await;
    assert!(
        printers.contains("前台激光") && printers.contains("-1.14") && printers.contains("0.99502"),
        "{printers}"
    );
    assert_sound(&desk, "printers").await;
    keep(&desk, "printers-desk").await;

    desk.goto(&street.server.url("/admin/plates/new")).await;
    desk.wait_for("[name=by][value=blank]").await;
    desk.click("label:has([name=by][value=blank])").await;
    desk.type_into("[name=count]", "10").await;
    set(&desk, "face", "dongying-90x60").await;
    set(&desk, "printer", "前台激光").await;
    keep(&desk, "order-desk").await;
    desk.click("main form[method=post] button.main").await;
    desk.wait_for("nav.downloads").await;
    let text = desk.page_text().await;
    assert!(text.contains("dongying-90x60") && text.contains("前台激光"), "{text}");
    assert_sound(&desk, "batch").await;
    desk.click("details:has(#drawings) summary").await;
    desk.type_into("#drawings [name=ordinals]", "4-2").await;
    keep(&desk, "batch-desk").await;
    desk.click("#drawings button").await;
    desk.wait_for("#wrong").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_every_page_of_plates_and_crews_fits_a_phone_without_scripts() {
    let street = Street::serve().await;
    let Some(phone) = Browser::open(Visitor::default()).await else { return };
    log_in(&phone, &street, "ying", "/admin/plates").await;
    let pages = [
        ("batches", "/admin/plates"),
        ("order", "/admin/plates/new"),
        ("stock", "/admin/plates/stock"),
        ("designer", "/admin/plates/designer?face=round-100&finish=inverted"),
        ("printers", "/admin/plates/printers"),
        ("crews", "/admin/crews"),
    ];
    for (name, page) in pages {
        phone.goto(&street.server.url(page)).await;
        phone.wait_for("main h1").await;
        keep(&phone, &format!("{name}-phone")).await;
        assert_sound(&phone, page).await;
    }
    phone.goto(&street.server.url("/admin/plates/designer?face=round-80&text0_x=2&text3_w=x")).await;
    phone.wait_for("#text3[open] .beside:not(:empty)").await;
    keep(&phone, "designer-wrong-phone").await;
    assert_sound(&phone, "designer with faults").await;
    drop(phone);
    let Some(phone) = Browser::open(Visitor::default().without_scripts().english()).await else { return };
    log_in(&phone, &street, "ying", "/admin/plates/designer").await;
    phone.wait_for("#look img").await;
    phone.click("form#designer button.quiet").await;
    phone.wait_until_at("qr_size=36.5").await;
    phone.wait_for("#look img").await;
    assert!(phone.page_text().await.contains("A phone reads it from"));
    // One more text box, an outline of another size, by the button alone.
    phone.click("#text11 summary").await;
    phone.type_into("[name=show11]", "Call {hotline}").await;
    phone.type_into("[name=width]", "0").await;
    phone.click("form#designer button.quiet").await;
    phone.wait_until_at("width=900").await;
    phone.wait_for("#look #wrong").await;
    assert!(phone.text("#beside-sheet").await.contains("does not fit"), "{}", phone.page_text().await);
    phone.script("document.querySelector('[name=width]').value = 130").await;
    phone.script("document.querySelector('[name=text11_x]').value = 95").await;
    phone.script("document.querySelector('[name=sheet]').value = 'single'").await;
    phone.click("form#designer button.quiet").await;
    phone.wait_until_at("width=130").await;
    phone.wait_for("#look img").await;
    assert_eq!(phone.count("[name=show12]").await, 1, "there is room for the next");
    assert_eq!(phone.overflow_px().await, 0);
    keep(&phone, "designer-more-phone").await;
}
