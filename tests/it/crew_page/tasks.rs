//! A campaign on a crew's phone: its streets taken along, visits made without a network, and a colleague who was there first.

use super::*;
use lidmark::domain::campaign::{CampaignStep, Scope};
use lidmark::domain::crew::{CrewAction, Deed};
use lidmark::domain::ids::{IdempotencyKey, Millis};
use lidmark::domain::task::{CheckAnswers, TaskDone, TaskKind, TaskResult};
use lidmark::registry::{CampaignOrder, CrewOutcome, DueDateOrder, NewCampaign, NewUser};

use crate::editing_pages::keep;

const LIST: &str = "[[question]]\nid = 'frame'\ntext = '井座完好'\nkind = 'yes_no'\n\
    [[question]]\nid = 'net'\ntext = '防坠网情况'\nkind = 'choice'\nchoices = ['网完好', '没有网']\n\
    [[question]]\nid = 'step'\ntext = '高差'\nkind = 'number'\nunit = 'mm'\nleast = 0\nmost = 50\noptional = true\n";

/// A campaign of all covers, started, and a fall net that is due at the last one.
async fn sent_out(registry: &Registry, covers: &[CoverId], boss: &Actor) {
    let crew = registry.list_users().await.unwrap().into_iter().find(|user| user.login == "gong").unwrap();
    let now = registry.now();
    let new = NewCampaign {
        key: IdempotencyKey::fresh(),
        name: "汛前专项巡护".into(),
        kind: TaskKind::Campaign,
        scope: Scope { class: Some(CoverClass::Sewage), ..Scope::default() },
        checklist: LIST.into(),
        crews: vec![crew.id],
        repeat: None,
        from_at: Millis(now.0 - 1000),
        until_at: Millis(now.0 + 86_400_000),
        actor: boss.clone(),
    };
    let draft = registry.create_campaign(new).await.unwrap();
    let (key, id, expected_version, actor) = (IdempotencyKey::fresh(), draft.id, draft.version, boss.clone());
    let start = CampaignOrder { key, id, step: CampaignStep::Start, expected_version, actor };
    registry.step_campaign(start).await.unwrap();
    registry.fill_campaign(id).await.unwrap();
    let code = registry.find_cover(*covers.last().unwrap()).await.unwrap().unwrap().code.digits;
    let due_at = Some(Millis(now.0 + 2 * 86_400_000));
    let (key, kind, actor) = (IdempotencyKey::fresh(), TaskKind::FallNet, boss.clone());
    registry.set_due_date(DueDateOrder { key, code, kind, due_at, actor }).await.unwrap();
    registry.raise_due_tasks().await.unwrap();
}

impl Phone<'_> {
    /// Opens the task at a cover that is still on the list.
    async fn open_task(&self, at: usize) {
        self.go("list").await;
        self.browser.click(&format!("main a.row[href^='#/task/{}']", self.field.covers[at])).await;
        self.says("看到的情况").await;
        self.stand_at(Field::place(at), 5.0).await;
        self.says("位置已测好").await;
    }

    async fn pick(&self, name: &str, value: &str) {
        self.browser.click(&format!("main label.choice:has([name='{name}'][value='{value}'])")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_a_campaign_is_walked_without_a_network_and_a_colleague_who_was_first_is_a_question() {
    let mut field = Field::lay(4, 0, 1).await;
    field.camera = (400, 300);
    field.server.kill();
    let registry = field.registry().await;
    let staff = async |login: &str, role| {
        let password = PASSWORD.to_owned();
        let new = NewUser { login: login.into(), name: login.into(), role, party: None, password };
        registry.add_user(new).await.unwrap().actor()
    };
    let (grid, boss) = (staff("gu", Role::GridWorker).await, staff("jian", Role::Supervisor).await);
    sent_out(&registry, &field.covers, &boss).await;
    registry.close().await;
    field.server.restart().await;

    let Some(browser) = Browser::open(field.visitor(field.blank[0])).await else { return };
    let phone = Phone::take(&field, browser).await;
    phone.open().await;
    phone.browser.click("#notices a[href^='/login']").await;
    phone.browser.type_into("[name=login]", "gong").await;
    phone.browser.type_into("[name=password]", PASSWORD).await;
    phone.browser.click("form:has([name=password]) button").await;
    phone.browser.wait_for("nav .tab-scan").await;
    phone.go("packages").await;
    phone.press("下载").await;
    phone.says("我的任务").await;
    phone.says("4 个井盖有任务").await;
    phone.assert_sound("the packages with tasks").await;

    // No signal from here on.
    field.wire.cut();
    phone.go("list").await;
    phone.press("任务 4").await;
    phone.says("黄河路").await;
    phone.says("有任务").await;
    phone.assert_sound("the list of tasks").await;
    keep(&phone.browser, "crew-tasks").await;
    phone.open_task(0).await;
    phone.says("专项巡护：汛前专项巡护").await;
    phone.pick("found", "fine").await;
    phone.press("确认，保存到本机").await;
    phone.says("请回答：井座完好").await;
    phone.pick("q-frame", "yes").await;
    phone.pick("q-net", "网完好").await;
    phone.browser.type_into("[name=q-step]", "60").await;
    phone.press("确认，保存到本机").await;
    phone.says("请回答：高差").await;
    phone.assert_sound("the checklist").await;
    keep(&phone.browser, "crew-task").await;
    phone.browser.script("document.querySelector('[name=q-step]').value = ''").await;
    phone.browser.type_into("[name=q-step]", "12").await;
    phone.press("确认，保存到本机").await;
    phone.says("已保存在本机").await;

    phone.open_task(1).await;
    phone.pick("found", "hazard").await;
    phone.pick("hazard", "broken").await;
    phone.pick("q-frame", "no").await;
    phone.pick("q-net", "没有网").await;
    phone.press("确认，保存到本机").await;
    phone.says("请拍一张照片").await;
    phone.photograph("before", &field.picture("crack")).await;
    phone.assert_sound("the task with a hazard").await;
    phone.press("确认，保存到本机").await;
    phone.says("已保存在本机").await;

    phone.open_task(2).await;
    phone.pick("found", "fine").await;
    phone.pick("q-frame", "yes").await;
    phone.pick("q-net", "网完好").await;
    phone.press("确认，保存到本机").await;
    phone.says("已保存在本机").await;
    // Two tasks at the last cover: one of them leaves the other.
    phone.go(&format!("cover/{}", field.covers[3])).await;
    phone.press("防坠网检查").await;
    phone.says("看到的情况").await;
    phone.stand_at(Field::place(3), 5.0).await;
    phone.says("位置已测好").await;
    phone.pick("found", "fine").await;
    phone.press("确认，保存到本机").await;
    phone.says("已保存在本机").await;
    phone.go("list").await;
    phone.press("任务 1").await;
    assert_eq!(phone.waiting().await, 4);
    let profile = phone.browser.close().await;

    // Meanwhile a colleague could not get to the third.
    field.server.kill();
    let registry = field.registry().await;
    let taken = registry.find_crew_cover(field.covers[2]).await.unwrap().unwrap();
    let done = TaskDone {
        task: taken.tasks[0].id,
        cover: field.covers[2],
        found: TaskResult::NoAccess,
        checklist: CheckAnswers::new(),
        hazard: None,
        description: None,
        mine_counts: false,
    };
    let action = CrewAction {
        key: IdempotencyKey::fresh(),
        answers: None,
        done_at: registry.now(),
        position: None,
        photos: Vec::new(),
        note: Some("车停在上面".into()),
        deed: Deed::Task(done),
    };
    assert!(matches!(registry.carry_out(action, &grid).await.unwrap(), CrewOutcome::Done(_)));
    registry.close().await;
    field.server.restart().await;
    field.wire.mend();

    let browser = Browser::open_on(field.visitor(field.blank[0]), profile).await.unwrap();
    let phone = Phone::take(&field, browser).await;
    phone.open().await;
    phone.says("1 项需要您决定").await;
    phone.go("queue").await;
    phone.says("别人已经做过这项任务").await;
    phone.says("无法到达").await;
    phone.assert_sound("the question about a task").await;
    keep(&phone.browser, "crew-task-question").await;
    phone.press("以我的结果为准").await;
    phone.says("全部已送达").await;
    drop(phone);

    field.server.kill();
    let said = "SELECT kind || ' ' || state || ' ' || COALESCE(result, '') || ' ' || answers FROM tasks ORDER BY kind, state, result, answers";
    assert_eq!(
        field.ground.sql(said).lines().collect::<Vec<_>>(),
        [
            r#"campaign done fine {"frame":true,"net":"网完好","step":12.0}"#,
            r#"campaign done fine {"frame":true,"net":"网完好"}"#,
            r#"campaign done hazard {"frame":false,"net":"没有网"}"#,
            "campaign open  {}",
            "fall_net done fine {}",
        ]
    );
    assert_eq!(field.ground.sql("SELECT hazard FROM cases"), "broken");
    assert_eq!(field.ground.sql("SELECT COUNT(*) FROM crew_actions WHERE kind = 'task'"), "5");
    let checked = run_command(&field.ground.home(), &["check", "--json"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}
