//! 任务: campaigns divided among crews, patrol plans that come round, looks back at closed cases, dates that come near.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use lidmark::domain::campaign::{CampaignStage, CampaignState, CampaignStep, Scope};
use lidmark::domain::case::{CaseMove, MoveRequest, PhonePosition};
use lidmark::domain::cover::CoverClass;
use lidmark::domain::crew::{CrewAction, Deed};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::{CampaignId, CaseId, CoverId, IdempotencyKey, Millis, TaskId};
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::task::{CheckAnswer, TaskDone, TaskKind, TaskResult, TaskState};
use lidmark::registry::{
    Campaign, CampaignOrder, CrewDone, CrewOutcome, CrewQuestion, DueDateOrder, MoveOrder, NewCampaign,
    NewTask, Outcome, PackageOrder, RegistryError, TaskFilter, TasksSwept,
};

use super::ground::{MONDAY, Town, candidate, photo};
use crate::both_engines;

const DAY: i64 = 86_400_000;
const LIST: &str = "[[question]]\nid = 'frame'\ntext = '井座完好'\nkind = 'yes_no'\n\
    [[question]]\nid = 'net'\ntext = '防坠网'\nkind = 'choice'\nchoices = ['有', '无']\noptional = true\n";

/// Covers on several streets: 3 on 黄河路, 2 on 府前街, 1 of which nobody knows the road; 2 of another class.
async fn streets(town: &Town) -> Vec<CoverId> {
    let roads = [Some("黄河路"), Some("黄河路"), Some("黄河路"), Some("府前街"), Some("府前街"), None];
    let mut rows: Vec<_> = roads
        .iter()
        .enumerate()
        .map(|(at, road)| {
            let mut row = candidate(at as u64, CoverClass::Sewage);
            row.survey.road = road.map(str::to_owned);
            row
        })
        .collect();
    rows.extend((6..8).map(|at| candidate(at, CoverClass::Gas)));
    let created = |outcome| match outcome {
        Outcome::Created(cover) => cover,
        other => panic!("{other:?}"),
    };
    town.import(rows).await.into_iter().map(created).collect()
}

fn campaign(name: &str, crews: &[&Actor], actor: &Actor) -> NewCampaign {
    NewCampaign {
        key: IdempotencyKey::fresh(),
        name: name.into(),
        kind: TaskKind::Campaign,
        scope: Scope { class: Some(CoverClass::Sewage), ..Scope::default() },
        checklist: LIST.into(),
        crews: crews.iter().map(|crew| crew.user().unwrap()).collect(),
        repeat: None,
        from_at: Millis(MONDAY - DAY),
        until_at: Millis(MONDAY + 7 * DAY),
        actor: actor.clone(),
    }
}

fn step(campaign: &Campaign, step: CampaignStep, actor: &Actor) -> CampaignOrder {
    let (key, id, expected_version) = (IdempotencyKey::fresh(), campaign.id, campaign.version);
    CampaignOrder { key, id, step, expected_version, actor: actor.clone() }
}

fn code(error: RegistryError) -> &'static str {
    match error {
        RegistryError::Refused(refusal)
        | RegistryError::NotFound(refusal)
        | RegistryError::Conflict(refusal)
        | RegistryError::Forbidden(refusal) => refusal.code,
        other => panic!("{other:?}"),
    }
}

impl Town {
    async fn start(&self, new: NewCampaign) -> Campaign {
        let actor = new.actor.clone();
        let draft = self.registry.create_campaign(new).await.unwrap();
        let started = self.registry.step_campaign(step(&draft, CampaignStep::Start, &actor)).await.unwrap();
        self.registry.fill_campaign(started.id).await.unwrap();
        self.registry.find_campaign(started.id).await.unwrap().unwrap()
    }

    /// Task → cover of what a crew takes along.
    async fn taken(&self, crew: &Actor) -> BTreeMap<TaskId, CoverId> {
        let order = PackageOrder { tasks_of: crew.user(), limit: 1000, ..PackageOrder::default() };
        let covers = self.registry.list_package(order).await.unwrap();
        covers.iter().flat_map(|cover| cover.tasks.iter().map(|task| (task.id, cover.file.cover))).collect()
    }

    async fn states(&self, campaign: CampaignId, round: i64) -> BTreeMap<TaskState, i64> {
        let mut states = BTreeMap::new();
        for count in self.registry.count_tasks(campaign, round).await.unwrap() {
            *states.entry(count.state).or_default() += count.count;
        }
        states
    }

    async fn do_task(&self, crew: &Actor, done: TaskDone) -> CrewAction {
        let mut action = self.seen(crew, Deed::Task(done)).await;
        action.done_at = self.registry.now();
        action
    }

    async fn carry(&self, action: &CrewAction, crew: &Actor) -> CrewDone {
        match self.registry.carry_out(action.clone(), crew).await.unwrap() {
            CrewOutcome::Done(done) => *done,
            CrewOutcome::Question(question) => panic!("{question:?}"),
        }
    }

    async fn asked(&self, action: &CrewAction, crew: &Actor) -> CrewQuestion {
        match self.registry.carry_out(action.clone(), crew).await.unwrap() {
            CrewOutcome::Question(question) => *question,
            CrewOutcome::Done(done) => panic!("{done:?}"),
        }
    }

    fn turn(&self, at: i64) {
        self.clock.store(at, Ordering::SeqCst);
    }

    /// Closes a case on the first cover, mended by the party's own people.
    async fn closed_case(&self, handler: &Actor, boss: &Actor) -> (CaseId, CoverId) {
        let token = self.plated(1).await[0];
        let number = self.report(token, Hazard::Rocking).await.case_number;
        let desk = self.staff("desk", Role::Dispatcher).await;
        let moves = [
            (CaseMove::File, &desk),
            (CaseMove::Dispatch, &desk),
            (CaseMove::Accept, handler),
            (CaseMove::HandIn, handler),
            (CaseMove::Check, &desk),
            (CaseMove::Close, boss),
        ];
        for (at, (made, actor)) in moves.into_iter().enumerate() {
            let order = MoveOrder {
                pool: None,
                condition: None,
                position: Some(PhonePosition { lon: 118.59, lat: 37.46, accuracy_m: 5.0 }),
                before_photos: vec![photo(20)],
                key: IdempotencyKey::fresh(),
                number: number.clone(),
                expected_version: None,
                made,
                request: MoveRequest { party: Some(self.water), ..MoveRequest::default() },
                target_number: None,
                photos: vec![photo(at as u8 + 1)],
                actor: actor.clone(),
            };
            self.registry.move_case(order).await.unwrap();
        }
        let file = self.registry.find_case(&number, boss).await.unwrap().unwrap();
        (file.case.id, file.case.cover.unwrap())
    }
}

fn found(task: TaskId, cover: CoverId, found: TaskResult) -> TaskDone {
    let checklist = [("frame".to_owned(), CheckAnswer::Yes(found == TaskResult::Fine))].into();
    let hazard = (found == TaskResult::Hazard).then_some(Hazard::Broken);
    TaskDone { task, cover, found, checklist, hazard, description: None, mine_counts: false }
}

both_engines! {
    async fn a_campaign_sends_every_crew_down_its_streets_and_counts_what_they_find(ground: Ground) {
        let town = Town::found(&ground).await;
        let covers = streets(&town).await;
        let (one, two) = (town.staff("one", Role::Crew).await, town.staff("two", Role::Crew).await);
        let boss = town.staff("boss", Role::Supervisor).await;
        let new = campaign("汛前专项巡护", &[&one, &two], &boss);
        let draft = town.registry.create_campaign(new.clone()).await.unwrap();
        assert_eq!(town.registry.create_campaign(new.clone()).await.unwrap(), draft, "the same call again");
        assert_eq!((draft.state, town.taken(&one).await.len()), (CampaignState::Draft, 0));
        let handler = town.staff("handler", Role::Handler).await;
        for (wrong, refused) in [
            (NewCampaign { checklist: "question = 3".into(), ..new.clone() }, "campaign.checklist"),
            (NewCampaign { name: " ".into(), ..new.clone() }, "campaign.name"),
            (NewCampaign { name: "a\0".into(), ..new.clone() }, "text.control_character"),
            (NewCampaign { kind: TaskKind::LookBack, ..new.clone() }, "campaign.kind"),
            (NewCampaign { until_at: new.from_at, ..new.clone() }, "campaign.period"),
            (NewCampaign { crews: vec![handler.user().unwrap()], ..new.clone() }, "campaign.crew"),
            (NewCampaign { scope: Scope { district: Some("9".into()), ..Scope::default() }, ..new.clone() }, "campaign.district"),
        ] {
            let wrong = NewCampaign { key: IdempotencyKey::fresh(), ..wrong };
            assert_eq!(code(town.registry.create_campaign(wrong).await.unwrap_err()), refused);
        }

        let start = step(&draft, CampaignStep::Start, &boss);
        town.registry.step_campaign(start.clone()).await.unwrap();
        let late = CampaignOrder { key: IdempotencyKey::fresh(), ..start };
        assert_eq!(code(town.registry.step_campaign(late).await.unwrap_err()), "campaign.moved_meanwhile");
        town.registry.fill_campaign(draft.id).await.unwrap();
        town.registry.fill_campaign(draft.id).await.unwrap();
        let streets = town.registry.list_campaign_streets(draft.id).await.unwrap();
        let divided: Vec<_> = streets.iter().map(|street| (street.road.as_str(), street.covers, street.crew)).collect();
        let (first, second) = (one.user(), two.user());
        assert_eq!(divided, [("", 1, second), ("府前街", 2, second), ("黄河路", 3, first)], "three covers each");
        let (of_one, of_two) = (town.taken(&one).await, town.taken(&two).await);
        assert_eq!((of_one.len(), of_two.len()), (3, 3));
        assert!(of_one.values().all(|cover| covers[..3].contains(cover)));

        // Done twice under one key: once.
        let mut tasks = of_one.iter();
        let (&task, &cover) = tasks.next().unwrap();
        town.turn(MONDAY + DAY);
        let fine = town.do_task(&one, found(task, cover, TaskResult::Fine)).await;
        let done = town.carry(&fine, &one).await;
        assert_eq!(town.carry(&fine, &one).await, done);
        assert!(done.cover.unwrap().tasks.is_empty());
        assert_eq!(ground.sql("SELECT COUNT(*) FROM crew_actions WHERE kind = 'task'"), "1");
        let manhole = town.registry.find_cover(cover).await.unwrap().unwrap().manhole;
        let entries = town.registry.list_history(manhole).await.unwrap();
        assert_eq!(entries.iter().filter(|entry| entry.kind == HistoryKind::TaskDone).count(), 1);

        // What does not fit is named.
        let (&next, &there) = tasks.next().unwrap();
        for (wrong, refused) in [
            (TaskDone { checklist: BTreeMap::new(), ..found(next, there, TaskResult::Fine) }, "task.unanswered"),
            (TaskDone { checklist: [("lid".into(), CheckAnswer::Yes(true))].into(), ..found(next, there, TaskResult::Fine) }, "task.question"),
            (TaskDone { hazard: None, ..found(next, there, TaskResult::Hazard) }, "task.hazard"),
            (found(next, there, TaskResult::Holds), "task.result"),
            (found(next, cover, TaskResult::Fine), "task.unknown"),
        ] {
            let action = town.do_task(&one, wrong).await;
            assert_eq!(code(town.registry.carry_out(action, &one).await.unwrap_err()), refused);
        }

        // A hazard files a case; somebody who was there too is asked, and may stand by what they saw.
        let trouble = town.do_task(&one, found(next, there, TaskResult::Hazard)).await;
        let case = town.carry(&trouble, &one).await.case.unwrap();
        assert_eq!(town.registry.find_case(&case, &boss).await.unwrap().unwrap().case.hazard, Hazard::Broken);
        let otherwise = town.do_task(&two, found(next, there, TaskResult::Fine)).await;
        let question = town.asked(&otherwise, &two).await;
        assert_eq!((question.refusal.code, question.choices), ("task.done_meanwhile", &["mine_counts", "discard"][..]));
        assert_eq!(question.visit.unwrap().result, Some(TaskResult::Hazard));
        let (&task, &cover) = of_one.iter().next().unwrap();
        let alike = town.do_task(&two, found(task, cover, TaskResult::Fine)).await;
        assert_eq!(town.carry(&alike, &two).await.notices[0].code, "crew.task_alike");

        let counts = town.registry.count_tasks(draft.id, 1).await.unwrap();
        let of = |road: &str| -> Vec<_> {
            let of = counts.iter().filter(|count| count.road.as_deref() == Some(road));
            of.map(|count| (count.state, count.result, count.count)).collect()
        };
        assert_eq!(of("黄河路"), [
            (TaskState::Done, Some(TaskResult::Fine), 1), (TaskState::Done, Some(TaskResult::Hazard), 1), (TaskState::Open, None, 1),
        ]);
        let answers = town.registry.count_answers(draft.id, 1).await.unwrap();
        assert_eq!(answers.iter().map(|(_, count)| count).sum::<i64>(), 2);
        let mut stands: Vec<i64> =
            town.registry.list_task_points(draft.id, 1).await.unwrap().iter().map(|point| point.stand).collect();
        stands.sort();
        assert_eq!(stands, [0, 0, 0, 0, 1, 2]);

        // Its days go by: what nobody visited was missed, and who comes late may still say so.
        town.turn(MONDAY + 7 * DAY);
        let swept = town.registry.sweep_tasks().await.unwrap();
        assert_eq!((swept.closed, swept.missed), (1, 4));
        assert_eq!(town.registry.sweep_tasks().await.unwrap(), TasksSwept::default(), "nothing more to do");
        assert_eq!(town.registry.find_campaign(draft.id).await.unwrap().unwrap().state, CampaignState::Closed);
        assert_eq!(town.taken(&two).await.len(), 0);
        let (&task, &cover) = of_two.iter().next().unwrap();
        let late = town.do_task(&two, found(task, cover, TaskResult::Fine)).await;
        town.carry(&late, &two).await;
        assert_eq!(town.states(draft.id, 1).await, [(TaskState::Done, 3), (TaskState::Missed, 3)].into());
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_campaign_that_was_broken_off_goes_on_where_it_was_and_sends_nobody_twice(ground: Ground) {
        let town = Town::found(&ground).await;
        let covers = town.found_covers(1203).await.len();
        let boss = town.staff("boss", Role::Supervisor).await;
        let crew = town.staff("crew", Role::Crew).await;
        let draft = town.registry.create_campaign(campaign("大巡护", &[&crew], &boss)).await.unwrap();
        let started = town.registry.step_campaign(step(&draft, CampaignStep::Start, &boss)).await.unwrap();
        assert_eq!(started.stage, CampaignStage::Dividing);
        // Killed at every moment: what was not committed is not there, and nothing else is known than what was.
        let mut seen = std::collections::BTreeSet::new();
        for patience in 0.. {
            let filling = town.registry.fill_campaign(draft.id);
            let ended = tokio::time::timeout(std::time::Duration::from_millis(patience * 4), filling).await;
            seen.insert(ground.sql("SELECT COUNT(*) FROM tasks"));
            if ended.is_ok() {
                break;
            }
        }
        // A sweep of another server finds nothing left.
        assert_eq!(town.registry.sweep_tasks().await.unwrap(), TasksSwept::default());
        let known = town.registry.find_campaign(draft.id).await.unwrap().unwrap();
        assert_eq!(known.stage, CampaignStage::Ready);
        assert_eq!(ground.sql("SELECT COUNT(*) FROM tasks"), covers.to_string());
        assert_eq!(ground.sql("SELECT COUNT(DISTINCT cover_id) FROM tasks"), covers.to_string());
        assert!(seen.iter().all(|count| ["0", "500", "1000", "1203"].contains(&count.as_str())), "{seen:?}");

        // Withdrawn, nobody need go; who was on the way is told.
        let (task, cover) = town.taken(&crew).await.pop_first().unwrap();
        let withdrawn = town.registry.step_campaign(step(&known, CampaignStep::Withdraw, &boss)).await.unwrap();
        assert_eq!(withdrawn.state, CampaignState::Withdrawn);
        assert_eq!(town.registry.sweep_tasks().await.unwrap().withdrawn, covers as u64);
        let fine = town.do_task(&crew, found(task, cover, TaskResult::Fine)).await;
        assert_eq!(town.asked(&fine, &crew).await.choices, ["discard"]);
        let trouble = town.do_task(&crew, found(task, cover, TaskResult::Hazard)).await;
        let question = town.asked(&trouble, &crew).await;
        assert_eq!((question.refusal.code, question.choices), ("task.withdrawn", &["as_report", "discard"][..]));
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_patrol_plan_comes_round_on_its_days_of_the_week(ground: Ground) {
        let town = Town::found(&ground).await;
        let covers = town.found_covers(4).await;
        let boss = town.staff("boss", Role::Supervisor).await;
        let crew = town.staff("crew", Role::Crew).await;
        let plan = NewCampaign {
            kind: TaskKind::Patrol, repeat: Some("mon wed fri".parse().unwrap()), from_at: Millis(MONDAY - 8 * 3_600_000),
            until_at: Millis(MONDAY + 30 * DAY), ..campaign("日常巡护", &[&crew], &boss)
        };
        let plan = town.start(plan).await;
        assert_eq!((plan.round, town.taken(&crew).await.len()), (1, covers.len()));
        let (task, cover) = town.taken(&crew).await.pop_first().unwrap();
        let fine = town.do_task(&crew, found(task, cover, TaskResult::Fine)).await;
        town.carry(&fine, &crew).await;
        town.turn(MONDAY + DAY);
        assert_eq!(town.registry.sweep_tasks().await.unwrap(), TasksSwept::default(), "on Tuesday it goes on");
        town.turn(MONDAY + 2 * DAY);
        let swept = town.registry.sweep_tasks().await.unwrap();
        assert_eq!((swept.rounds, swept.missed), (1, 3), "on Wednesday the next begins");
        assert_eq!(town.taken(&crew).await.len(), covers.len());
        assert_eq!(town.registry.find_campaign(plan.id).await.unwrap().unwrap().round, 2);
        assert_eq!(town.registry.sweep_tasks().await.unwrap(), TasksSwept::default());
        // A cover that is no longer in use is nobody's way.
        ground.sql("UPDATE covers SET retired_at = 1, retired_reason = 'filled' WHERE source_key = '000003'");
        assert_eq!(town.registry.sweep_tasks().await.unwrap().withdrawn, 1);
    }

    async fn a_look_back_finds_that_it_holds_or_that_it_came_again_and_the_party_is_told(ground: Ground) {
        let town = Town::found(&ground).await;
        let handler = town.staff("handler", Role::Handler).await;
        let boss = town.staff("boss", Role::Supervisor).await;
        let crew = town.staff("crew", Role::Crew).await;
        let (case, cover) = town.closed_case(&handler, &boss).await;
        // A fifth of all closings plan these looks by themselves.
        ground.sql("DELETE FROM tasks");
        let look = |days: i64| NewTask {
            kind: TaskKind::LookBack, case: Some(case), cover, from_at: Millis(MONDAY + (days - 3) * DAY), due_at: Millis(MONDAY + days * DAY),
        };
        let made = town.registry.schedule_tasks(vec![look(30), look(90)]).await.unwrap();
        assert_eq!(made.len(), 2);
        assert_eq!(town.registry.schedule_tasks(vec![look(30), look(90)]).await.unwrap(), [], "planned already");
        assert_eq!(town.taken(&crew).await.len(), 0, "not yet");

        town.turn(MONDAY + 29 * DAY);
        assert_eq!(town.taken(&crew).await.into_iter().collect::<Vec<_>>(), [(made[0], cover)]);
        let nothing = |task, result| TaskDone { checklist: BTreeMap::new(), ..found(task, cover, result) };
        let away = CrewAction { note: Some("围挡".into()), ..town.do_task(&crew, nothing(made[0], TaskResult::NoAccess)).await };
        assert_eq!(town.carry(&away, &crew).await.notices[0].code, "crew.task_stays", "somebody has to come again");
        town.turn(MONDAY + 40 * DAY);
        town.registry.sweep_tasks().await.unwrap();
        assert_eq!(town.taken(&crew).await.len(), 1, "late, and still to be done");
        let mended_it = town.do_task(&handler, nothing(made[0], TaskResult::Holds)).await;
        assert_eq!(code(town.registry.carry_out(mended_it, &handler).await.unwrap_err()), "task.own_work");
        let holds = town.do_task(&crew, nothing(made[0], TaskResult::Holds)).await;
        town.carry(&holds, &crew).await;

        town.turn(MONDAY + 90 * DAY);
        let unseen = CrewAction { photos: Vec::new(), ..town.do_task(&crew, nothing(made[1], TaskResult::Recurred)).await };
        assert_eq!(code(town.registry.carry_out(unseen, &crew).await.unwrap_err()), "task.photo");
        let again = town.do_task(&crew, TaskDone { description: Some("又松动了".into()), ..nothing(made[1], TaskResult::Recurred) }).await;
        let raised = town.carry(&again, &crew).await.case.unwrap();
        let file = town.registry.find_case(&raised, &boss).await.unwrap().unwrap();
        assert_eq!((file.case.hazard, file.case.cover, file.case.id == case), (Hazard::Rocking, Some(cover), false));
        let task = town.registry.find_task(made[1]).await.unwrap().unwrap();
        assert_eq!((task.state, task.raised_case, task.party), (TaskState::Done, Some(file.case.id), Some(town.water)));
        let all = (Millis(MONDAY), Millis(MONDAY + 365 * DAY));
        let counted = town.registry.count_recurrences(all).await.unwrap();
        assert_eq!((counted[0].party.as_str(), counted[0].looked, counted[0].recurred), ("东营水务", 2, 1));
        assert_eq!(town.registry.count_recurrences((all.0, Millis(MONDAY + 50 * DAY))).await.unwrap()[0].recurred, 0);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_date_that_comes_near_asks_once_and_comes_round_when_somebody_has_looked(ground: Ground) {
        let town = Town::found(&ground).await;
        let covers = town.found_covers(3).await;
        let codes: Vec<String> = town.registry.list_covers_by_id(&covers).await.unwrap().into_iter().map(|file| file.code.digits).collect();
        let boss = town.staff("boss", Role::Engineer).await;
        let crew = town.staff("crew", Role::Crew).await;
        let set = |code: &str, kind, days: Option<i64>| DueDateOrder {
            key: IdempotencyKey::fresh(), code: code.into(), kind, due_at: days.map(|days| Millis(MONDAY + days * DAY)), actor: boss.clone(),
        };
        town.registry.set_due_date(set(&codes[0], TaskKind::FallNet, Some(20))).await.unwrap();
        town.registry.set_due_date(set(&codes[0], TaskKind::Inspection, Some(25))).await.unwrap();
        town.registry.set_due_date(set(&codes[1], TaskKind::FallNet, Some(100))).await.unwrap();
        town.registry.set_due_date(set(&codes[2], TaskKind::FallNet, Some(1))).await.unwrap();
        town.registry.set_due_date(set(&codes[2], TaskKind::FallNet, None)).await.unwrap();
        assert_eq!(code(town.registry.set_due_date(set(&codes[0], TaskKind::Patrol, None)).await.unwrap_err()), "due_date.kind");
        assert_eq!(code(town.registry.set_due_date(set("1", TaskKind::FallNet, None)).await.unwrap_err()), "cover.unknown");
        assert_eq!(town.registry.raise_due_tasks().await.unwrap(), 2, "within 30 days");
        assert_eq!(town.registry.raise_due_tasks().await.unwrap(), 0);
        assert_eq!(town.registry.sweep_tasks().await.unwrap(), TasksSwept::default());
        let listed = town.registry.list_due_dates(Millis(MONDAY + 365 * DAY), 100).await.unwrap();
        assert_eq!(listed.iter().map(|line| line.has_task).collect::<Vec<_>>(), [true, true, false]);

        let filter = TaskFilter { kind: Some(TaskKind::FallNet), limit: 10, ..TaskFilter::default() };
        let line = town.registry.list_tasks(filter.clone()).await.unwrap().remove(0);
        let done = TaskDone { checklist: BTreeMap::new(), ..found(line.task.id, line.task.cover, TaskResult::Fine) };
        let fine = town.do_task(&crew, done).await;
        town.carry(&fine, &crew).await;
        town.turn(MONDAY + 100 * DAY);
        assert_eq!(town.registry.raise_due_tasks().await.unwrap(), 1, "the other cover's; the first's is due in half a year");
        town.turn(MONDAY + 160 * DAY);
        assert_eq!(town.registry.raise_due_tasks().await.unwrap(), 1);
        assert_eq!(town.registry.list_tasks(filter).await.unwrap().len(), 3);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }
}
