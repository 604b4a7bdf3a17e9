//! 督办单: drafted, issued, confirmed, answered, reminded of, counted; and notices of earlier years taken over.

use std::sync::atomic::Ordering;

use lidmark::domain::case::{CaseMove, MoveRequest};
use lidmark::domain::cover::Party;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::{IdempotencyKey, Millis, PartyId};
use lidmark::domain::notice::{NoticeMove, NoticeNumber, NoticeStanding, percent, rate_tenths};
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::registry::{
    CandidateFilter, MoveOrder, NewUser, NoticeAnswer, NoticeDraft, NoticeFile, NoticeFilter, NoticeOrder,
    NoticeText, NoticeYear, PastItem, PastNotice, RegistryError, Reminded,
};

use super::ground::{MONDAY, Town, photo};
use crate::both_engines;

pub const DAY: i64 = 24 * 3_600_000;

/// A case on the cover of each of these plates, dispatched to the party of the town.
pub async fn dispatched(town: &Town, tokens: &[Token], hazards: &[Hazard], desk: &Actor) -> Vec<String> {
    let mut numbers = Vec::new();
    for (token, hazard) in tokens.iter().zip(hazards) {
        let number = town.report(*token, *hazard).await.case_number;
        if !hazard.is_emergency() {
            go(town, &number, CaseMove::File, desk).await;
        }
        go(town, &number, CaseMove::Dispatch, desk).await;
        numbers.push(number);
    }
    numbers
}

pub async fn go(town: &Town, number: &str, made: CaseMove, actor: &Actor) {
    let photos = if matches!(made, CaseMove::HandIn | CaseMove::Close) { vec![photo(8)] } else { Vec::new() };
    let order = MoveOrder {
        key: IdempotencyKey::fresh(),
        number: number.into(),
        expected_version: None,
        pool: None,
        condition: None,
        position: None,
        before_photos: if made == CaseMove::HandIn { vec![photo(9)] } else { Vec::new() },
        made,
        request: MoveRequest {
            party: (made == CaseMove::Dispatch).then_some(town.water),
            reason: matches!(made, CaseMove::Reopen | CaseMove::Reject | CaseMove::HandIn)
                .then(|| "另有原因".to_owned()),
            ..MoveRequest::default()
        },
        target_number: None,
        photos,
        actor: actor.clone(),
    };
    town.registry.move_case(order).await.unwrap();
}

/// From the party's list to struck off.
async fn close(town: &Town, number: &str, (handler, supervisor): (&Actor, &Actor)) {
    go(town, number, CaseMove::Accept, handler).await;
    go(town, number, CaseMove::HandIn, handler).await;
    go(town, number, CaseMove::Check, supervisor).await;
    go(town, number, CaseMove::Close, supervisor).await;
}

pub fn draft(cases: &[String], due_at: i64, actor: &Actor) -> NoticeDraft {
    NoticeDraft {
        key: IdempotencyKey::fresh(),
        text: NoticeText {
            title: "黄河路井盖隐患限期整改".into(),
            body: "请按期处置并反馈。".into(),
            due_at: Millis(due_at),
            cases: cases.to_vec(),
            to: None,
        },
        actor: actor.clone(),
    }
}

async fn step(
    town: &Town,
    notice: &str,
    (made, reason): (NoticeMove, &str),
    actor: &Actor,
) -> Result<NoticeFile, RegistryError> {
    let order = NoticeOrder {
        key: IdempotencyKey::fresh(),
        notice: notice.into(),
        expected_version: None,
        made,
        reason: reason.into(),
        actor: actor.clone(),
    };
    town.registry.move_notice(order).await
}

async fn issued(town: &Town, cases: &[String], due_at: i64, actor: &Actor) -> NoticeFile {
    let drafted = town.registry.draft_notice(draft(cases, due_at, actor)).await.unwrap();
    step(town, &drafted.notice.id.to_string(), (NoticeMove::Issue, ""), actor).await.unwrap()
}

fn answer(notice: &str, case: &str, text: &str, actor: &Actor) -> NoticeAnswer {
    NoticeAnswer {
        key: IdempotencyKey::fresh(),
        notice: notice.into(),
        case: case.into(),
        text: text.into(),
        photos: Vec::new(),
        actor: actor.clone(),
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, RegistryError>) -> String {
    match outcome.unwrap_err() {
        RegistryError::Refused(refusal)
        | RegistryError::Conflict(refusal)
        | RegistryError::Forbidden(refusal)
        | RegistryError::NotFound(refusal) => refusal.code.to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn sound(town: &Town) {
    let report = town.registry.check_tables().await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// Names of events about notices so far.
async fn events(town: &Town) -> Vec<String> {
    let events = town.registry.list_waiting_events("test", 1000).await.unwrap();
    events.into_iter().map(|event| event.event).filter(|event| event.starts_with("notice.")).collect()
}

/// Somebody of another party.
async fn stranger(town: &Town) -> (Actor, PartyId) {
    let roads = PartyId::fresh();
    town.registry.put_party(Party { id: roads, name: "市政养护".into(), hotline: None }).await.unwrap();
    let new = NewUser {
        login: "lu".into(),
        name: "lu".into(),
        role: Role::Handler,
        party: Some(roads),
        password: "correct horse".into(),
    };
    (town.registry.add_user(new).await.unwrap().actor(), roads)
}

both_engines! {
    async fn a_notice_is_drafted_issued_confirmed_answered_and_struck_off(ground: Ground) {
        let town = Town::found(&ground).await;
        let (desk, supervisor) = (town.staff("pai", Role::Dispatcher).await, town.staff("jian", Role::Supervisor).await);
        let handler = town.staff("xiu", Role::Handler).await;
        let (other, roads) = stranger(&town).await;
        let cases = dispatched(&town, &town.plated(2).await, &[Hazard::Broken, Hazard::Level], &desk).await;
        let registry = &town.registry;
        let due = MONDAY + 10 * DAY;

        let first = draft(&cases, due, &desk);
        let drafted = registry.draft_notice(first.clone()).await.unwrap();
        assert_eq!(registry.draft_notice(first).await.unwrap(), drafted, "one key, one draft");
        let id = drafted.notice.id.to_string();
        assert_eq!((drafted.notice.number, drafted.standing), (None, NoticeStanding::Draft));
        assert_eq!(registry.find_notice(&id, &handler).await.unwrap(), None, "a draft is the desk's own");
        assert_eq!(code(step(&town, &id, (NoticeMove::Issue, ""), &desk).await), "notice.role");
        let mut changed = draft(&cases[..1], due, &desk);
        changed.text.title = "限期整改".into();
        assert_eq!(code(registry.edit_notice(&id, Some(9), changed.clone()).await), "notice.moved_meanwhile");
        let edited = registry.edit_notice(&id, Some(1), changed).await.unwrap();
        assert_eq!((edited.items.len(), edited.notice.title.as_str(), edited.notice.version), (1, "限期整改", 2));
        registry.edit_notice(&id, None, draft(&cases, due, &desk)).await.unwrap();

        let issued = step(&town, &id, (NoticeMove::Issue, ""), &supervisor).await.unwrap();
        assert_eq!(issued.notice.number, Some(NoticeNumber { year: 2026, issue: 1 }));
        assert_eq!(code(step(&town, "2026-1", (NoticeMove::Issue, ""), &supervisor).await), "notice.not_now");
        assert_eq!(code(registry.edit_notice("2026-1", None, draft(&cases, due, &desk)).await), "notice.not_now");
        assert_eq!(registry.find_notice("2026-1", &other).await.unwrap(), None, "it goes to another party");
        assert_eq!(code(step(&town, "2026-1", (NoticeMove::Confirm, ""), &other).await), "notice.unknown");

        let theirs = registry.find_notice("2026-1", &handler).await.unwrap().unwrap();
        assert_eq!(theirs.moves, [NoticeMove::Confirm, NoticeMove::Feedback]);
        let confirmed = step(&town, "2026-1", (NoticeMove::Confirm, ""), &handler).await.unwrap();
        assert_eq!(confirmed.parties[0].confirmed_at, Some(Millis(MONDAY)));
        assert_eq!(code(step(&town, "2026-1", (NoticeMove::Confirm, ""), &handler).await), "notice.confirmed");
        assert_eq!(code(registry.answer_notice(answer("2026-1", "2026-000009", "x", &handler)).await), "notice.not_on_it");
        assert_eq!(code(registry.answer_notice(answer("2026-1", &cases[0], " ", &handler)).await), "form.missing");
        let mut said = answer("2026-1", &cases[0], "井盖已更换", &handler);
        said.photos = vec![photo(77)];
        let answered = registry.answer_notice(said).await.unwrap();
        assert_eq!(answered.items[0].feedback.as_ref().unwrap().text, "井盖已更换");
        assert_eq!((answered.photos.len(), answered.photos[0].role.as_str()), (1, "feedback"));

        close(&town, &cases[0], (&handler, &supervisor)).await;
        let lines = registry.list_notices(NoticeFilter { limit: 10, ..NoticeFilter::default() }, &desk).await.unwrap();
        let counts = (lines[0].items, lines[0].struck_off, lines[0].open, lines[0].answered, lines[0].confirmed);
        assert_eq!(counts, (2, 1, 1, 1, 1));
        let year = NoticeYear { year: 2026, notices: 1, items: 2, struck_off: 1 };
        assert_eq!(registry.count_notice_years(&desk).await.unwrap(), [year]);
        close(&town, &cases[1], (&handler, &supervisor)).await;
        let settled = registry.find_notice("2026-1", &handler).await.unwrap().unwrap();
        assert_eq!(settled.standing, NoticeStanding::Settled);
        go(&town, &cases[1], CaseMove::Reopen, &supervisor).await;
        let again = registry.find_notice("2026-1", &desk).await.unwrap().unwrap();
        assert_eq!(again.standing, NoticeStanding::Running, "found again, so it is not struck off any more");

        let file = registry.find_case(&cases[0], &desk).await.unwrap().unwrap();
        let kinds: Vec<HistoryKind> = file.timeline.iter().map(|entry| entry.kind).collect();
        assert!(kinds.contains(&HistoryKind::NoticeIssued) && kinds.contains(&HistoryKind::NoticeFeedback), "{kinds:?}");
        assert_eq!(events(&town).await, ["notice.issued", "notice.receipt", "notice.feedback"]);
        sound(&town).await;

        // A notice to another party, of cases that somebody else handles; it is withdrawn and its number not given again.
        let mut elsewhere = draft(&cases[1..], due, &desk);
        elsewhere.text.to = Some(roads);
        let elsewhere = registry.draft_notice(elsewhere).await.unwrap().notice.id.to_string();
        step(&town, &elsewhere, (NoticeMove::Issue, ""), &supervisor).await.unwrap();
        assert_eq!(registry.find_notice("2026-2", &other).await.unwrap().unwrap().items.len(), 1);
        let mut said = answer("2026-2", &cases[1], "已到现场", &other);
        said.photos = vec![photo(78)];
        let shot = registry.answer_notice(said).await.unwrap().photos.remove(0);
        assert!(registry.is_feedback_of(&shot, roads).await.unwrap(), "theirs, though the case is not");
        assert!(!registry.is_feedback_of(&shot, town.water).await.unwrap());
        assert_eq!(code(step(&town, "2026-2", (NoticeMove::Withdraw, ""), &supervisor).await), "form.missing");
        step(&town, "2026-2", (NoticeMove::Withdraw, "发错单位"), &supervisor).await.unwrap();
        assert_eq!(code(registry.answer_notice(answer("2026-2", &cases[1], "x", &other)).await), "notice.not_now");
        go(&town, &cases[1], CaseMove::Dispatch, &desk).await;
        let third = issued_number(&town, &cases[1..], &supervisor).await;
        assert_eq!(third, "2026-3");
        registry.answer_notice(answer("2026-3", &cases[1], "在办", &handler)).await.unwrap();
        let theirs = registry.find_notice("2026-3", &handler).await.unwrap().unwrap();
        assert_eq!(theirs.photos, [], "another party's photo of the same case belongs to the other notice");
        assert_eq!(registry.count_notice_years(&other).await.unwrap(), [], "withdrawn ones do not count");
        sound(&town).await;
        ground.sql("UPDATE notices SET state = 'issued' WHERE issue = 2");
        let findings = registry.check_tables().await.unwrap().findings;
        assert!(findings.iter().any(|finding| finding.what == "notice.differs"), "{findings:?}");
    }

    async fn a_notice_that_makes_no_sense_is_refused_and_takes_no_number(ground: Ground) {
        let town = Town::found(&ground).await;
        let (desk, supervisor) = (town.staff("pai", Role::Dispatcher).await, town.staff("jian", Role::Supervisor).await);
        let handler = town.staff("xiu", Role::Handler).await;
        let tokens = town.plated(2).await;
        let cases = dispatched(&town, &tokens[..1], &[Hazard::Broken], &desk).await;
        let unsent = town.report(tokens[1], Hazard::Rocking).await.case_number;
        let due = MONDAY + DAY;
        let refused = async |change: fn(&mut NoticeDraft)| {
            let mut wrong = draft(&cases, due, &desk);
            change(&mut wrong);
            code(town.registry.draft_notice(wrong).await)
        };
        assert_eq!(refused(|draft| draft.text.title = " ".into()).await, "form.missing");
        assert_eq!(refused(|draft| draft.text.body = "\0".into()).await, "text.control_character");
        assert_eq!(refused(|draft| draft.text.title = "x".repeat(101)).await, "text.too_long");
        assert_eq!(refused(|draft| draft.text.due_at = Millis(MONDAY)).await, "notice.due_past");
        assert_eq!(refused(|draft| draft.text.cases.clear()).await, "notice.case_count");
        assert_eq!(refused(|draft| draft.text.cases = vec!["2026-9\0".into()]).await, "notice.case_unknown");
        assert_eq!(refused(|draft| draft.text.to = Some(PartyId::fresh())).await, "party.unknown");
        assert_eq!(code(town.registry.draft_notice(draft(&[unsent], due, &desk)).await), "notice.no_addressee");
        assert_eq!(code(town.registry.draft_notice(draft(&cases, due, &handler)).await), "notice.role");
        let drafted = town.registry.draft_notice(draft(&cases, due, &desk)).await.unwrap().notice.id.to_string();
        close(&town, &cases[0], (&handler, &supervisor)).await;
        assert_eq!(code(step(&town, &drafted, (NoticeMove::Issue, ""), &supervisor).await), "notice.case_over");
        town.clock.store(due, Ordering::SeqCst);
        assert_eq!(code(step(&town, &drafted, (NoticeMove::Issue, ""), &supervisor).await), "notice.due_past");
        for wrong in ["2026-0", "2026-1", "\0", "x", "2026-01"] {
            assert_eq!(town.registry.find_notice(wrong, &desk).await.unwrap(), None, "{wrong}");
        }
        step(&town, &drafted, (NoticeMove::Withdraw, ""), &desk).await.unwrap();
        assert_eq!(events(&town).await, [""; 0]);
        sound(&town).await;
    }

    async fn reminders_go_out_once_each_whatever_the_clock_does(ground: Ground) {
        let town = Town::found(&ground).await;
        let (desk, supervisor) = (town.staff("pai", Role::Dispatcher).await, town.staff("jian", Role::Supervisor).await);
        let handler = town.staff("xiu", Role::Handler).await;
        let cases = dispatched(&town, &town.plated(2).await, &[Hazard::Broken, Hazard::Level], &desk).await;
        let due = MONDAY + 10 * DAY;
        issued(&town, &cases[..1], due, &supervisor).await;
        issued(&town, &cases[1..], due, &supervisor).await;
        close(&town, &cases[1], (&handler, &supervisor)).await;
        let registry = &town.registry;
        let sweep = async |at: i64| registry.remind_notices(Millis(at)).await.unwrap();
        let (one, late) = (Reminded { reminders: 1, overdue: 0 }, Reminded { reminders: 0, overdue: 1 });
        assert_eq!(sweep(MONDAY + 4 * DAY).await, Reminded::default());
        assert_eq!(sweep(MONDAY + 5 * DAY).await, one, "the other one is struck off");
        assert_eq!(sweep(MONDAY + 6 * DAY).await, Reminded::default());
        assert_eq!(sweep(MONDAY - DAY).await, Reminded::default(), "a clock that was set back");
        assert_eq!(sweep(MONDAY + 5 * DAY).await, Reminded::default());
        // Asleep from four fifths until after the end: only the end is told.
        assert_eq!(sweep(due + DAY).await, late);
        assert_eq!(sweep(due + 2 * DAY).await, Reminded::default());
        assert_eq!(sweep(MONDAY + 8 * DAY).await, Reminded::default());
        town.clock.store(due, Ordering::SeqCst);
        go(&town, &cases[1], CaseMove::Reopen, &supervisor).await;
        assert_eq!(sweep(due + 3 * DAY).await, late, "found again after its day");
        let told = events(&town).await;
        assert_eq!(told[2..], ["notice.reminder", "notice.overdue", "notice.overdue"]);

        let overdue = registry.list_overdue_parties(&handler).await.unwrap();
        assert_eq!((overdue.len(), overdue[0].party, overdue[0].items, overdue[0].notices), (1, town.water, 2, 2));
        let filter = NoticeFilter { standing: Some(NoticeStanding::Overdue), limit: 10, ..NoticeFilter::default() };
        assert_eq!(registry.list_notices(filter, &desk).await.unwrap().len(), 2);
        assert_eq!(registry.list_overdue_parties(&town.staff("ban", Role::Crew).await).await.unwrap(), []);
        let late = CandidateFilter { days: Some(10), ..CandidateFilter::default() };
        let found = registry.list_notice_candidates(&late).await.unwrap();
        assert_eq!(found.len(), 2, "reported ten days ago");
        assert_eq!(found[1].notices, [NoticeNumber { year: 2026, issue: 1 }]);
        let fresh = CandidateFilter { fresh: true, ..CandidateFilter::default() };
        assert_eq!(registry.list_notice_candidates(&fresh).await.unwrap(), []);
        sound(&town).await;
    }

    async fn notices_of_earlier_years_are_taken_over_once_and_numbers_go_on_from_them(ground: Ground) {
        let town = Town::found(&ground).await;
        let (desk, supervisor) = (town.staff("pai", Role::Dispatcher).await, town.staff("jian", Role::Supervisor).await);
        let covers = town.found_covers(3).await;
        let item = |at: usize, closed: bool| PastItem {
            cover: covers[at % 3],
            hazard: Hazard::ALL[at],
            party: town.water,
            reported_at: Millis(MONDAY - 40 * DAY),
            closed_at: closed.then_some(Millis(MONDAY - 35 * DAY)),
        };
        let past = |issue: i64, items: Vec<PastItem>| PastNotice {
            number: NoticeNumber { year: 2026, issue },
            title: "井盖隐患督办".into(),
            body: "限期整改".into(),
            issued_at: Millis(MONDAY - 40 * DAY),
            due_at: Millis(MONDAY - 30 * DAY),
            items,
            source: "纸质督办台账".into(),
        };
        let ledger = past(7, (0..5).map(|at| item(at, at > 0)).collect());
        assert!(town.registry.take_over_notice(ledger.clone()).await.unwrap());
        assert!(!town.registry.take_over_notice(ledger).await.unwrap(), "it is here already");
        assert!(town.registry.take_over_notice(past(3, vec![item(7, true)])).await.unwrap());
        assert_eq!(code(town.registry.take_over_notice(past(4, Vec::new())).await), "notice.case_count");
        let year = NoticeYear { year: 2026, notices: 2, items: 6, struck_off: 5 };
        assert_eq!(town.registry.count_notice_years(&desk).await.unwrap(), [year]);
        assert_eq!(events(&town).await, [""; 0], "nobody is told");
        assert_eq!(town.registry.remind_notices(Millis(MONDAY)).await.unwrap(), Reminded::default());
        let file = town.registry.find_notice("2026-7", &desk).await.unwrap().unwrap();
        assert_eq!((file.standing, file.items.len()), (NoticeStanding::Overdue, 5));
        let open = file.items.iter().find(|item| item.closed_at.is_none()).unwrap();
        let case = town.registry.find_case(&open.number, &desk).await.unwrap().unwrap();
        assert_eq!(case.timeline.len(), 3);
        assert_eq!(issued_number(&town, std::slice::from_ref(&open.number), &supervisor).await, "2026-8");
        sound(&town).await;
    }
}

async fn issued_number(town: &Town, cases: &[String], supervisor: &Actor) -> String {
    let now = town.clock.load(Ordering::SeqCst);
    issued(town, cases, now + DAY, supervisor).await.notice.reference()
}

/// The table of the city's own report, from the data of the demo.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_comes_to_the_city_s_own_table() {
    let ground = crate::support::engines::Ground::sqlite().unwrap();
    let town = Town::found(&ground).await;
    let covers = town.found_covers(200).await;
    let begun = std::time::Instant::now();
    for past in lidmark::demo::past_notices::ledger(480) {
        let items = past.items.iter().map(|item| PastItem {
            cover: covers[item.place % covers.len()],
            hazard: item.hazard,
            party: town.water,
            reported_at: item.reported_at,
            closed_at: item.closed_at,
        });
        let notice = PastNotice {
            number: past.number,
            title: "井盖隐患督办".into(),
            body: "限期整改".into(),
            issued_at: past.issued_at,
            due_at: past.due_at,
            items: items.collect(),
            source: "督办台账".into(),
        };
        assert!(town.registry.take_over_notice(notice).await.unwrap());
    }
    crate::support::say(&format!("the ledger was taken over in {:?}", begun.elapsed()));
    let years = town.registry.count_notice_years(&Actor::System).await.unwrap();
    let of_2021 = years.iter().find(|year| year.year == 2021).unwrap();
    assert_eq!(*of_2021, NoticeYear { year: 2021, notices: 59, items: 543, struck_off: 532 });
    assert_eq!(rate_tenths(of_2021.struck_off, of_2021.items).map(percent).as_deref(), Some("98.0"));
    let all = NoticeYear::sum(&years);
    assert_eq!((all.year, all.items, all.struck_off), (2019, 2251, 2196));
    assert_eq!(rate_tenths(all.struck_off, all.items).map(percent).as_deref(), Some("97.6"));
    sound(&town).await;
}
