//! 督办单, 会商 and 典型案例 in a real Chromium: a phone without scripts and a desk, in Chinese and English.
//! `LIDMARK_ALBUM=folder` keeps the pictures, of every page in both languages and sizes.

use lidmark::domain::case::CaseMove;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{IdempotencyKey, Millis};
use lidmark::domain::notice::NoticeMove;
use lidmark::domain::role::Actor;
use lidmark::press;
use lidmark::registry::{ExemplaryOrder, NamedSubject, NewMeeting, NoticeOrder};

use crate::browser::{Street, assert_sound, log_in};
use crate::editing_pages::{album, keep, save, set};
use crate::registry::ground::{MONDAY, Town};
use crate::registry::notices::{DAY, dispatched, draft, go};
use crate::support::browser::{Browser, Visitor};

async fn actor(town: &Town, login: &str) -> Actor {
    let users = town.registry.list_users().await.unwrap();
    users.into_iter().find(|user| user.login == login).unwrap().actor()
}

/// A street with two cases at the water company, one of them on a notice whose day has passed; a meeting and an example.
async fn supervised() -> Street {
    Street::serve_with(async |town| {
        let batch = town.registry.list_batches().await.unwrap().remove(0);
        let plates = press::list_plates(&town.registry, batch.id).await.unwrap();
        let tokens: Vec<_> = plates.iter().map(|plate| plate.token).collect();
        let (desk, supervisor) = (actor(town, "pai").await, actor(town, "jian").await);
        let cases = dispatched(town, &tokens[..2], &[Hazard::Broken, Hazard::Level], &desk).await;
        let waiting = town.report(tokens[2], Hazard::Level).await.case_number;
        go(town, &waiting, CaseMove::File, &desk).await;
        let drafted = draft(&cases[..1], MONDAY + 10 * DAY, &desk);
        let drafted = town.registry.draft_notice(drafted).await.unwrap();
        let order = NoticeOrder {
            key: IdempotencyKey::fresh(),
            notice: drafted.notice.id.to_string(),
            expected_version: None,
            made: NoticeMove::Issue,
            reason: String::new(),
            actor: supervisor.clone(),
        };
        town.registry.move_notice(order).await.unwrap();
        let meeting = NewMeeting {
            key: IdempotencyKey::fresh(),
            held_at: Millis(MONDAY - DAY),
            place: "三楼会议室".into(),
            attendees: "城管局 王工\n水务公司 李工".into(),
            decision: "由牵头单位统一更换".into(),
            lead: town.water,
            due_at: Millis(MONDAY + 3000 * DAY),
            subjects: vec![
                NamedSubject::Case(cases[0].clone()),
                NamedSubject::Road { district: "370502".into(), road: "黄河路".into() },
            ],
            actor: supervisor.clone(),
        };
        town.registry.record_meeting(meeting).await.unwrap();
        let example = ExemplaryOrder {
            key: IdempotencyKey::fresh(),
            number: cases[0].clone(),
            quarter: Some("2026-Q1".parse().unwrap()),
            sentence: "上报两小时后换好井盖".into(),
            actor: supervisor,
        };
        town.registry.mark_exemplary(example).await.unwrap();
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_notice_goes_from_the_desk_to_the_party_and_back_without_scripts() {
    let street = supervised().await;
    let (Some(phone), Some(desk)) = (
        Browser::open(Visitor::default().without_scripts()).await,
        Browser::open(Visitor::default().at_a_desk()).await,
    ) else {
        return;
    };
    log_in(&desk, &street, "jian", "/desk/notices/new?hazard=level&fresh=true").await;
    desk.click("tbody tr:has([name='case:2026-000002']) label.tick").await;
    desk.type_into("main [name=title]", "限期整改黄河路井盖").await;
    desk.type_into("main [name=body]", "请按期办结").await;
    set(&desk, "due", "2099-12-31").await;
    save(&desk).await;
    desk.wait_for("button[value=issue]").await;
    desk.click("button[value=issue]").await;
    desk.wait_until_at("/desk/notices/2").await;
    let notice = desk.script("return location.pathname").await.as_str().unwrap().to_owned();

    log_in(&phone, &street, "xiu", &notice).await;
    phone.click("button[value=confirm]").await;
    phone.wait_for_text("已签收").await;
    phone.click("tbody details summary").await;
    phone.type_into("main [name=text]", "井座已抬高, 与路面平齐").await;
    phone.choose_file("main [name=photos]", &street.photo).await;
    phone.click("tbody details button.main").await;
    phone.wait_for("tbody .shots img").await;
    assert!(phone.page_text().await.contains("井座已抬高"));
    assert_eq!(phone.overflow_px().await, 0);

    desk.goto(&street.server.url(&notice)).await;
    desk.wait_for_text("井座已抬高").await;
    assert!(desk.page_text().await.contains("已签收"));
    desk.goto(&street.server.url("/desk/meetings/2026-1")).await;
    desk.click("button[value=dispatch]").await;
    desk.wait_until_at("/desk/cases/").await;
    assert!(desk.page_text().await.contains("东营水务"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_every_page_about_notices_is_sound() {
    let mut visitors = vec![Visitor::default(), Visitor::default().english().at_a_desk()];
    if album().is_some() {
        visitors.extend([Visitor::default().english(), Visitor::default().at_a_desk()]);
    }
    let street = supervised().await;
    for visitor in visitors {
        let Some(browser) = Browser::open(visitor.clone()).await else { return };
        log_in(&browser, &street, "jian", "/desk/notices").await;
        let name = format!("{}-{}", visitor.language.split(',').next().unwrap_or("x"), visitor.screen.0);
        for (page, path) in [
            ("notices", "/desk/notices"),
            ("notice-new", "/desk/notices/new"),
            ("notice", "/desk/notices/2026-1"),
            ("meetings", "/desk/meetings?days=3000"),
            ("meeting", "/desk/meetings/2026-1"),
            ("exemplary", "/desk/exemplary?quarter=2026-Q1"),
        ] {
            browser.goto(&street.server.url(path)).await;
            browser.wait_for("h1").await;
            assert_sound(&browser, &format!("{page} for {visitor:?}")).await;
            keep(&browser, &format!("{page}-{name}")).await;
        }
        drop(browser);
        let Some(browser) = Browser::open(visitor.clone()).await else { return };
        log_in(&browser, &street, "xiu", "/desk/notices/2026-1").await;
        assert_sound(&browser, &format!("a party's notice for {visitor:?}")).await;
        keep(&browser, &format!("notice-party-{name}")).await;
    }
}
