//! What befalls a phone in the field: a new version of the page, two tabs of it, no room left, a sky that is not free, and
//! somebody else who was quicker.

use super::*;
use lidmark::domain::crew::{Check, CheckResult, CrewAction, Deed};
use lidmark::domain::edit::{CodeChoice, CoverEdit};
use lidmark::domain::ids::{IdempotencyKey, Millis};
use lidmark::registry::{CoverOrder, CrewOutcome, FieldEdit, NewSpotCheck, NewUser};

impl Field {
    /// Where no photo has to be cut in two.
    fn with_small_pictures(mut self) -> Self {
        self.camera = (400, 300);
        self
    }
}

impl Phone<'_> {
    /// What a phone without room says to every write.
    async fn fill_up(&self) {
        let full = "for (const name of ['put', 'add'])
            IDBObjectStore.prototype[name] = () => { throw new DOMException('full', 'QuotaExceededError'); }";
        self.browser.script(full).await;
    }

    /// Half a minute of patience passes in a second.
    async fn hurry(&self) {
        let sooner = "const later = setTimeout;
            window.setTimeout = (work, ms, ...rest) => later(work, ms === 30000 ? 1000 : ms, ...rest)";
        self.browser.script(sooner).await;
    }

    async fn is_back_online(&self) {
        self.browser.script("dispatchEvent(new Event('online'))").await;
    }

    async fn has_sent_all(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.waiting().await > 0 {
            let page = self.browser.page_text().await;
            assert!(Instant::now() < deadline, "something waits; the page says:\n{page}");
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_new_version_of_the_page_takes_over_and_the_queue_goes_with_it() {
    let mut field = Field::lay(2, 1, 0).await.with_small_pictures();
    let Some(browser) = Browser::open(field.visitor(field.made[0])).await else { return };
    let phone = Phone::take(&field, browser).await;
    // A page of which a part did not come is not on the phone, says so, and tries again.
    field.wire.rewrite("\"/crew/map.js\"", "\"/crew/nap.js\"");
    phone.open().await;
    phone.says("页面还没有存到本机").await;
    phone.assert_sound("a page that is not kept").await;
    field.wire.rewrite_nothing();
    phone.says_not("页面还没有存到本机").await;
    phone.set_out().await;
    // The log-in is over, so that what is done stays in the queue.
    phone.browser.cdp("Network.clearBrowserCookies", json!({})).await;
    phone.type_token(field.made[0]).await;
    phone.press("装在这里").await;
    phone.fit(0, "first").await;
    phone.go("list").await;
    phone.says("今日任务").await;

    let worker = reqwest::get(field.wire.url("/crew/sw.js")).await.unwrap().text().await.unwrap();
    let version = worker.split('"').nth(1).unwrap();
    let newer: String = version.chars().rev().collect();
    field.wire.rewrite(version, &newer);
    field.wire.rewrite("今日任务", "今日工作");
    let look = "const done = arguments[arguments.length - 1];
        navigator.serviceWorker.getRegistration('/crew').then(known => known.update()).then(() => done(true), () => done(true))";
    phone.browser.script_async(look).await;
    phone.says("等本机的 1 项送达后再更新").await;
    phone.says("今日任务").await;
    phone.assert_sound("the list with a new version at the door").await;
    phone.press("不等了").await;
    phone.press("立即更新").await;
    phone.says("今日工作").await;
    assert_eq!(phone.waiting().await, 1, "the queue came along");
    let kept = "const done = arguments[arguments.length - 1]; caches.keys().then(done)";
    assert_eq!(phone.browser.script_async(kept).await, json!([format!("lidmark-crew-{newer}")]));

    // The new one opens without a network as the old one did, and sends what the old one had confirmed.
    field.wire.cut();
    phone.open().await;
    phone.says("今日工作").await;
    field.wire.mend();
    phone.open().await;
    phone.browser.click("#notices a[href^='/login']").await;
    phone.browser.type_into("[name=login]", "gong").await;
    phone.browser.type_into("[name=password]", PASSWORD).await;
    phone.browser.click("form:has([name=password]) button").await;
    phone.has_sent_all().await;
    assert_eq!(field.wire.actions(), 1);
    drop(phone);
    field.server.kill();
    let registry = field.registry().await;
    let found = registry.find_plate(field.made[0]).await.unwrap().unwrap();
    assert_eq!(found.plate.state, PlateState::Installed);
    assert_eq!(registry.list_photos(found.cover.unwrap().manhole).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_two_tabs_send_each_action_once_and_a_full_phone_confirms_nothing_it_has_not() {
    let field = Field::lay(4, 4, 0).await.with_small_pictures();
    let [one, two, three, four] = field.made[..] else { panic!("four plates are made") };
    let Some(browser) = Browser::open(field.visitor(one)).await else { return };
    let phone = Phone::take(&field, browser).await;
    phone.set_out().await;
    field.wire.cut();
    let first = phone.browser.tab().await;
    phone.type_token(one).await;
    phone.press("装在这里").await;
    phone.fit(0, "one").await;
    let second = phone.browser.new_tab().await;
    phone.open().await;
    phone.type_token(two).await;
    phone.press("装在这里").await;
    phone.fit(1, "two").await;
    for tab in [&first, &second] {
        phone.browser.to_tab(tab).await;
        phone.go("queue").await;
        phone.says("2 项安全地存在本机").await;
        assert_eq!(phone.browser.text("#count").await, "2");
    }
    field.wire.mend();
    for tab in [&first, &second] {
        phone.browser.to_tab(tab).await;
        phone.is_back_online().await;
    }
    phone.has_sent_all().await;
    for tab in [&first, &second] {
        phone.browser.to_tab(tab).await;
        phone.says("全部已送达").await;
    }
    assert_eq!(field.wire.actions(), 2, "each once, whichever tab it was");

    // The third is on the phone when its room ends; the fourth is not, and nobody says so.
    field.wire.cut();
    phone.type_token(three).await;
    phone.press("装在这里").await;
    phone.fit(2, "three").await;
    phone.browser.close_tab().await;
    phone.browser.to_tab(&first).await;
    phone.fill_up().await;
    phone.type_token(four).await;
    phone.press("装在这里").await;
    phone.says("装铭牌").await;
    phone.stand_at(Field::place(3), 5.0).await;
    phone.says("位置已测好").await;
    phone.photograph("plate", &field.picture("four")).await;
    phone.says("本机存储空间不足，没有保存").await;
    phone.press("已装好").await;
    phone.says("本机存储空间不足，没有保存").await;
    let page = phone.browser.page_text().await;
    assert!(!page.contains("已保存在本机"), "{page}");
    phone.assert_sound("the form on a full phone").await;
    assert_eq!(phone.waiting().await, 1);
    // What was confirmed leaves it all the same, and that makes room.
    field.wire.mend();
    phone.is_back_online().await;
    phone.has_sent_all().await;
    assert_eq!(field.wire.actions(), 3);
    phone.open().await;
    phone.go("list").await;
    phone.press("全部").await;
    let page = phone.browser.page_text().await;
    assert!(!page.contains("本机已装，待发送"), "nothing says that it waits: {page}");
    phone.type_token(four).await;
    phone.press("装在这里").await;
    phone.fit(3, "four").await;
    phone.has_sent_all().await;
    let order = "SELECT group_concat(token, ' ') FROM (SELECT token FROM crew_actions ORDER BY at, id)";
    let sent: Vec<String> = field.made.iter().map(|token| token.to_i64().to_string()).collect();
    assert_eq!(field.ground.sql(order), sent.join(" "), "in their order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_every_question_shows_both_sides_and_each_answer_does_what_it_says() {
    let mut field = Field::lay(6, 2, 2).await.with_small_pictures();
    let (mine, changed, theirs, drawn) = (field.made[0], field.made[1], field.blank[0], field.blank[1]);
    field.server.kill();
    let registry = field.registry().await;
    let staff = async |login: &str, role| {
        let password = PASSWORD.to_owned();
        let new = NewUser { login: login.into(), name: login.into(), role, party: None, password };
        registry.add_user(new).await.unwrap().actor()
    };
    let (grid, engineer) = (staff("gu", Role::GridWorker).await, staff("ying", Role::Engineer).await);
    let code = async |at: usize| registry.find_cover(field.covers[at]).await.unwrap().unwrap().code.digits;
    registry.install_plate(drawn, &code(5).await, &Actor::System).await.unwrap();
    let now = registry.now();
    let draw = NewSpotCheck {
        key: IdempotencyKey::fresh(),
        from: Millis(now.0 - 86_400_000),
        until: Millis(now.0 + 86_400_000),
        crew: None,
        district: None,
        count: 1,
        actor: engineer.clone(),
    };
    let draw = registry.draw_spot_check(draw).await.unwrap();
    registry.close().await;
    field.server.restart().await;

    let Some(browser) = Browser::open(field.visitor(mine)).await else { return };
    let phone = Phone::take(&field, browser).await;
    phone.set_out().await;
    field.wire.cut();
    phone.go("list").await;
    phone.press("抽查 1").await;
    phone.says("待抽查").await;
    // One scan, and it is the look that was asked for.
    phone.type_token(drawn).await;
    phone.says("就是抽中的铭牌").await;
    phone.stand_at(Field::place(5), 5.0).await;
    phone.says("位置已测好").await;
    phone.press("铭牌损坏").await;
    phone.press("确认，保存到本机").await;
    phone.says("有问题时请拍一张照片").await;
    phone.photograph("plate", &field.picture("dent")).await;
    phone.assert_sound("the spot check").await;
    phone.press("确认，保存到本机").await;
    phone.says("已保存在本机").await;
    phone.go("list").await;
    phone.says("6 个井盖").await;
    assert!(!phone.browser.page_text().await.contains("待抽查"), "it is not on the list any more");

    phone.type_token(mine).await;
    phone.press("装在这里").await;
    phone.fit(0, "mine").await;
    // A poor fix is a question; nothing is assumed.
    phone.hurry().await;
    phone.stand_at(Field::place(1), 60.0).await;
    phone.type_token(changed).await;
    phone.press("装在这里").await;
    phone.says("30 秒内没有达到").await;
    phone.photograph("plate", &field.picture("changed")).await;
    phone.press("已装好").await;
    phone.says("位置还没有测好").await;
    phone.assert_sound("the question of a poor fix").await;
    phone.press("不要这个位置").await;
    phone.says("不带位置").await;
    phone.press("已装好").await;
    phone.says("已保存在本机").await;
    let (lon, lat) = Field::place(3);
    phone.stand_at((lon, lat + 0.00001), 60.0).await;
    phone.go("survey").await;
    phone.press("污水井盖").await;
    for role in ["cover", "surroundings"] {
        phone.photograph(role, &field.picture(role)).await;
    }
    phone.says("30 秒内没有达到").await;
    phone.stand_at((lon, lat + 0.00001), 20.0).await;
    phone.press("重新定位").await;
    phone.says("± 20.0 m").await;
    phone.press("就用这个位置").await;
    phone.press("保存到本机").await;
    phone.says("已保存在本机").await;
    assert_eq!(phone.waiting().await, 4);
    let profile = phone.browser.close().await;

    // Meanwhile, at the server.
    field.server.kill();
    let registry = field.registry().await;
    let code = async |at: usize| registry.find_cover(field.covers[at]).await.unwrap().unwrap().code.digits;
    registry.install_plate(theirs, &code(0).await, &Actor::System).await.unwrap();
    let order = CoverOrder {
        key: IdempotencyKey::fresh(),
        code: code(1).await,
        expected_version: 1,
        reason: "seen".into(),
        actor: engineer,
        what: FieldEdit {
            edit: CoverEdit { class: Some(CoverClass::Storm), ..CoverEdit::default() },
            code: CodeChoice::Keep,
        },
    };
    registry.edit_cover(order).await.unwrap();
    let look = Check {
        token: Some(drawn),
        cover: field.covers[5],
        result: CheckResult::Ok,
        spot_check: Some(draw.id),
        mine_counts: false,
    };
    let look = CrewAction {
        key: IdempotencyKey::fresh(),
        answers: None,
        done_at: registry.now(),
        position: None,
        photos: Vec::new(),
        note: None,
        deed: Deed::Check(look),
    };
    assert!(matches!(registry.carry_out(look, &grid).await.unwrap(), CrewOutcome::Done(_)));
    registry.close().await;
    field.server.restart().await;
    field.wire.mend();

    let browser = Browser::open_on(field.visitor(mine), profile).await.unwrap();
    let phone = Phone::take(&field, browser).await;
    phone.open().await;
    phone.says("4 项需要您决定").await;
    phone.go("queue").await;
    phone.browser.wait_for(".version").await;
    let sides = phone
        .browser
        .script("return [...document.querySelectorAll('.version')].map(side => side.innerText)")
        .await;
    let sides: Vec<String> =
        sides.as_array().unwrap().iter().map(|side| side.as_str().unwrap().to_owned()).collect();
    let sides: Vec<(&str, &str)> = sides.chunks(2).map(|pair| (&*pair[0], &*pair[1])).collect();
    let told = [
        ("铭牌损坏", "完好"),
        (&*mine.grouped(), &*theirs.grouped()),
        ("污水井盖", "雨水井盖"),
        ("定位", "相距"),
    ];
    assert_eq!(sides.len(), told.len(), "{sides:#?}");
    for ((ours, at_server), (here, there)) in sides.iter().zip(told) {
        assert!(ours.contains(here) && at_server.contains(there), "{here}: {ours}\n{there}: {at_server}");
    }
    phone.assert_sound("four questions").await;
    for answer in ["以我的结果为准", "看过了，照我的办", "确实是另一个新井盖"] {
        phone.press(answer).await;
    }
    phone.says("1 项安全地存在本机").await;
    phone.press("放弃这一项").await;
    phone.press("确定放弃").await;
    phone.has_sent_all().await;
    phone.says("全部已送达").await;
    drop(phone);

    field.server.kill();
    let registry = field.registry().await;
    let (_, looked) = registry.find_spot_check(draw.id).await.unwrap();
    assert_eq!(
        looked[0].found.as_ref().map(|(result, _, _)| result.as_str()),
        Some("damaged"),
        "ours counts"
    );
    let state = async |token| registry.find_plate(token).await.unwrap().unwrap().plate.state;
    assert_eq!(state(drawn).await, PlateState::Damaged);
    assert_eq!(
        (state(mine).await, state(theirs).await),
        (PlateState::Printed, PlateState::Installed),
        "theirs stayed"
    );
    assert_eq!(state(changed).await, PlateState::Installed);
    let hung = registry.list_plate_events(changed).await.unwrap().pop().unwrap();
    assert_eq!(hung.fix, None, "what was discarded is nowhere");
    assert_eq!(registry.counts().await.unwrap().covers, 7, "the new cover is one of its own");
    registry.close().await;
    let found = "SELECT accuracy_m FROM crew_actions WHERE kind = 'survey'";
    assert_eq!(field.ground.sql(found), "20.0", "as the crew accepted it");
    assert_eq!(run_command(&field.ground.home(), &["check", "--json"]).code, Some(0));
}
