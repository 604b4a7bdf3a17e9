//! 时限: what the clock does to a case, whoever has it, and what the minute loop does about it.

use std::sync::atomic::Ordering;

use lidmark::domain::case::{Case, CaseMove, CaseSource, CaseState, PhonePosition};
use lidmark::domain::cover::{CoverClass, Party};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::{IdempotencyKey, Millis, PartyId};
use lidmark::domain::limits;
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::rule_set::RuleKind;
use lidmark::domain::task::{TaskKind, TaskState};
use lidmark::registry::{
    CaseFilter, DueFilter, MoveOrder, NewFinding, NewRules, NewUser, RegistryError, RulesLook, Spot, Swept,
    TaskFilter,
};

use super::cases::{because, order, with_photo};
use super::ground::{MONDAY, Town, candidate, photo};
use crate::both_engines;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A code of the refusal of a move.
pub fn code<T>(result: Result<T, RegistryError>) -> &'static str {
    match result.err() {
        Some(
            RegistryError::Refused(refusal)
            | RegistryError::Conflict(refusal)
            | RegistryError::Forbidden(refusal)
            | RegistryError::NotFound(refusal),
        ) => refusal.code,
        other => panic!("{other:?}"),
    }
}

pub struct Desk<'t> {
    town: &'t Town,
    pub dispatcher: Actor,
    handler: Actor,
    pub supervisor: Actor,
}

impl<'t> Desk<'t> {
    pub async fn of(town: &'t Town) -> Self {
        Self {
            dispatcher: town.staff("dispatch", Role::Dispatcher).await,
            handler: town.staff("handler", Role::Handler).await,
            supervisor: town.staff("super", Role::Supervisor).await,
            town,
        }
    }

    pub async fn make(&self, order: MoveOrder) -> Case {
        self.town.registry.move_case(order).await.unwrap()
    }

    async fn find(&self, number: &str) -> Case {
        self.town.registry.find_case(number, &self.supervisor).await.unwrap().unwrap().case
    }

    async fn dispatch(&self, number: &str) -> Case {
        self.make(order(number, CaseMove::File, &self.dispatcher)).await;
        let mut dispatch = order(number, CaseMove::Dispatch, &self.dispatcher);
        dispatch.request.party = Some(self.town.water);
        self.make(dispatch).await
    }

    /// From a report to its strike-off.
    pub async fn close(&self, number: &str) -> Case {
        self.dispatch(number).await;
        self.make(order(number, CaseMove::Accept, &self.handler)).await;
        let hand_in = with_photo(order(number, CaseMove::HandIn, &self.handler), photo(7));
        self.make(MoveOrder { before_photos: vec![photo(8)], ..hand_in }).await;
        self.make(order(number, CaseMove::Check, &self.dispatcher)).await;
        self.make(with_photo(order(number, CaseMove::Close, &self.supervisor), photo(9))).await
    }

    fn at(&self, at: i64) {
        self.town.clock.store(at, Ordering::SeqCst);
    }

    async fn sweep(&self) -> Swept {
        self.town.registry.sweep_cases().await.unwrap()
    }
}

both_engines! {
    async fn a_party_has_its_working_hours_and_is_reminded_until_three_times_the_limit(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        let number = town.report(town.plated(1).await[0], Hazard::Broken).await.case_number;
        let reported = desk.find(&number).await;
        assert_eq!(reported.due_at, Some(Millis(MONDAY + 2 * HOUR)), "two working hours to file it");
        // Monday at 17:00: one working hour is left of the day, three are tomorrow's.
        desk.at(MONDAY + 9 * HOUR);
        let dispatched = desk.dispatch(&number).await;
        assert_eq!(dispatched.due_at, Some(Millis(MONDAY + DAY + 3 * HOUR)));
        assert_eq!(desk.sweep().await, Swept { reckoned: 0, ..Swept::default() });
        let waiting = async || town.registry.list_waiting_events("gateway", 1000).await.unwrap();
        let told = async |event: &str| waiting().await.iter().filter(|one| one.event == event).count();
        for (at, reminders, overdue) in [
            (DAY + HOUR, 1, 0),
            (DAY + HOUR + HOUR / 2, 1, 0),
            (DAY + 2 * HOUR + HOUR / 5, 2, 0),
            // The machine's clock is put back, and nobody hears anything again.
            (DAY, 2, 0),
            (DAY + 3 * HOUR, 2, 1),
            (5 * DAY, 2, 2),
            (9 * DAY, 2, 2),
        ] {
            desk.at(MONDAY + at);
            desk.sweep().await;
            let heard = (told("case.reminder").await, told("case.overdue").await);
            assert_eq!(heard, (reminders, overdue), "after {at} ms");
        }
        let late = |due| CaseFilter { due: Some(due), limit: 50, ..CaseFilter::default() };
        let listed = async |due| town.registry.list_cases(late(due), &desk.supervisor).await.unwrap().len();
        assert_eq!(listed(DueFilter::Before(town.registry.now())).await, 1);
        assert_eq!(listed(DueFilter::LongOverdue).await, 1);
        let file = town.registry.find_case(&number, &desk.handler).await.unwrap().unwrap();
        let overdue = file.timeline.iter().filter(|entry| entry.kind == HistoryKind::CaseOverdue).count();
        assert_eq!(overdue, 2, "the file keeps that it was late");
        let extension = because(order(&number, CaseMove::Extend, &desk.supervisor), "parts");
        assert_eq!(code(town.registry.move_case(extension).await), "case.extend_late");
        desk.make(order(&number, CaseMove::Accept, &desk.handler)).await;
        let hand_in = with_photo(order(&number, CaseMove::HandIn, &desk.handler), photo(2));
        assert_eq!(code(town.registry.move_case(hand_in.clone()).await), "case.needs_before");
        let before = MoveOrder { before_photos: vec![photo(3)], key: IdempotencyKey::fresh(), ..hand_in };
        let handed_in = desk.make(before).await;
        // From Tuesday 11:00 to Wednesday of the week after, 08:00: 5 + 8 × 3 + 8 × 2 working hours.
        assert_eq!(handed_in.late_ms, 45 * HOUR, "late by working hours");
        assert_eq!(handed_in.due_at, Some(Millis(MONDAY + 10 * DAY)), "a day to check it");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_pause_stops_the_clock_once_and_ends_by_itself(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        let number = town.report(town.plated(1).await[0], Hazard::Broken).await.case_number;
        desk.dispatch(&number).await;
        desk.make(order(&number, CaseMove::Accept, &desk.handler)).await;
        desk.at(MONDAY + HOUR);
        let mut pause = because(order(&number, CaseMove::Suspend, &desk.supervisor), "frost");
        pause.request.until = Some(Millis(MONDAY + 400 * DAY));
        assert_eq!(code(town.registry.move_case(pause.clone()).await), "case.suspend_long");
        pause.request.until = Some(Millis(MONDAY + 7 * DAY));
        pause.key = IdempotencyKey::fresh();
        let suspended = desk.make(pause.clone()).await;
        assert_eq!(suspended.due_at, Some(Millis(MONDAY + 7 * DAY)), "it ends of itself");
        desk.at(MONDAY + 6 * DAY);
        assert_eq!(desk.sweep().await, Swept::default());
        desk.at(MONDAY + 7 * DAY);
        assert_eq!(desk.sweep().await, Swept { resumed: 1, ..Swept::default() });
        assert_eq!(desk.sweep().await, Swept::default(), "once");
        let resumed = desk.find(&number).await;
        assert_eq!((resumed.state, resumed.until), (CaseState::Handling, None));
        // Three of four hours were left, and Monday's work begins at eight.
        assert_eq!(resumed.due_at, Some(Millis(MONDAY + 7 * DAY + 3 * HOUR)));
        pause.key = IdempotencyKey::fresh();
        pause.request.until = Some(Millis(MONDAY + 9 * DAY));
        assert_eq!(code(town.registry.move_case(pause).await), "case.suspend_most");
        for (most, due) in [(1, 8 * HOUR), (2, DAY + 2 * HOUR)] {
            let extension = because(order(&number, CaseMove::Extend, &desk.supervisor), "parts");
            let extended = desk.make(extension).await;
            assert_eq!(extended.due_at.map(|at| at.0 - MONDAY - 7 * DAY), Some(if most == 1 { due + HOUR } else { DAY + 3 * HOUR }), "{most}");
        }
        let extension = because(order(&number, CaseMove::Extend, &desk.supervisor), "parts");
        assert_eq!(code(town.registry.move_case(extension).await), "case.extend_most");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn an_emergency_at_night_runs_at_once_and_may_be_made_safe_first(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        let tokens = town.plated(2).await;
        let token = tokens[0];
        // Sunday, 03:00.
        desk.at(MONDAY - 29 * HOUR);
        let number = town.report(token, Hazard::Collapsed).await.case_number;
        let case = desk.find(&number).await;
        assert_eq!((case.state, case.party), (CaseState::Dispatched, Some(town.water)));
        assert_eq!(case.due_at, Some(Millis(MONDAY - 27 * HOUR)), "two hours, at night as well");
        let events = town.registry.list_waiting_events("gateway", 100).await.unwrap();
        let names: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
        assert_eq!(names.iter().filter(|name| **name == "case.alert").count(), 1, "{names:?}");
        desk.make(order(&number, CaseMove::Accept, &desk.handler)).await;
        desk.at(MONDAY - 28 * HOUR);
        let safe = with_photo(order(&number, CaseMove::MakeSafe, &desk.handler), photo(2));
        let safe = desk.make(safe).await;
        assert_eq!((safe.state, safe.clock.made_safe_at), (CaseState::Handling, Some(Millis(MONDAY - 28 * HOUR))));
        assert_eq!(safe.due_at, Some(Millis(MONDAY - 28 * HOUR + 3 * DAY)), "three days for the repair from then on");
        let again = with_photo(order(&number, CaseMove::MakeSafe, &desk.handler), photo(3));
        assert_eq!(code(town.registry.move_case(again).await), "case.made_safe_before");
        let mut hand_in = with_photo(order(&number, CaseMove::HandIn, &desk.handler), photo(4));
        hand_in.before_photos = vec![photo(5)];
        assert_eq!(code(town.registry.move_case(hand_in.clone()).await), "case.needs_position");
        hand_in.key = IdempotencyKey::fresh();
        hand_in.position = Some(PhonePosition { lon: 118.5901, lat: 37.46, accuracy_m: 5.0 });
        assert_eq!(desk.make(hand_in).await.late_ms, 0);
        let file = town.registry.find_case(&number, &desk.supervisor).await.unwrap().unwrap();
        assert!(file.timeline.last().unwrap().body.contains("distance_m"), "{:?}", file.timeline.last());
        desk.make(order(&number, CaseMove::Check, &desk.dispatcher)).await;
        let closed = desk.make(with_photo(order(&number, CaseMove::Close, &desk.supervisor), photo(6))).await;
        assert_eq!(closed.strike_number.as_deref(), Some("2026-000001"));
        assert_eq!(closed.due_at, None);
        // Every emergency is looked at again after thirty days, unless it is opened again before.
        let looks = async |state| {
            let filter = TaskFilter { kind: Some(TaskKind::LookBack), state: Some(state), limit: 9, ..TaskFilter::default() };
            town.registry.list_tasks(filter).await.unwrap()
        };
        let planned = looks(TaskState::Open).await;
        assert!(planned.iter().any(|line| line.task.from_at == Millis(MONDAY - 28 * HOUR + 30 * DAY)), "{planned:?}");
        desk.make(because(order(&number, CaseMove::Reopen, &desk.supervisor), "sunk again")).await;
        assert!(looks(TaskState::Open).await.is_empty());
        assert_eq!(looks(TaskState::Withdrawn).await.len(), planned.len());
        desk.make(because(order(&number, CaseMove::Reject, &desk.supervisor), "it is another one")).await;
        // A hazard that is there again after its closing is a case of its own that names the one before.
        let other = town.report(tokens[1], Hazard::Level).await.case_number;
        let before = desk.close(&other).await;
        assert_eq!(before.strike_number.as_deref(), Some("2026-000002"));
        let again = town.report(tokens[1], Hazard::Level).await;
        assert_eq!(desk.find(&again.case_number).await.recurs, Some(before.id));
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn an_ownerless_cover_is_offered_around_and_the_first_to_say_ours_has_it(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        let power = PartyId::fresh();
        let party = Party { id: power, name: "东营电力".into(), hotline: None };
        town.registry.put_party(party).await.unwrap();
        let password = "correct horse".to_owned();
        let (login, name) = ("power".to_owned(), "power".to_owned());
        let new = NewUser { login, name, role: Role::Handler, party: Some(power), password };
        let powerman = town.registry.add_user(new).await.unwrap().actor();
        let mut owned = candidate(0, CoverClass::Sewage);
        let mut also = candidate(1, CoverClass::Sewage);
        also.survey.owner = Some("东营电力".into());
        let mut nobodys = candidate(2, CoverClass::Sewage);
        nobodys.survey.owner = None;
        owned.survey.owner = Some("东营水务".into());
        town.import(vec![owned, also, nobodys]).await;
        let covers = town.registry.list_covers(lidmark::registry::CoverFilter { limit: 10, ..Default::default() });
        let covers = covers.await.unwrap();
        let nobodys = covers.iter().find(|file| file.owner.is_none()).unwrap();
        let call = |hazard| NewFinding {
            key: IdempotencyKey::fresh(),
            spot: Spot::Cover(nobodys.code.digits.clone()),
            hazard,
            source: None,
            description: "井盖没了".into(),
            contact: Some("13800000000".into()),
            external_number: Some("12345-0815".into()),
            phone_position: None,
            photos: Vec::new(),
            actor: desk.dispatcher.clone(),
            language: "zh-CN",
            origin: None,
        };
        let filed = town.registry.file_finding(call(Hazard::Missing)).await.unwrap();
        let case = desk.find(&filed.case_number).await;
        assert_eq!((case.state, case.party, case.source), (CaseState::Dispatched, None, CaseSource::Hotline));
        assert_eq!(case.offered_to.len(), 2);
        let listed = async |actor: &Actor| {
            town.registry.list_cases(CaseFilter { limit: 50, ..CaseFilter::default() }, actor).await.unwrap().len()
        };
        assert_eq!((listed(&desk.handler).await, listed(&powerman).await), (1, 1));
        let by_ticket = CaseFilter { external_number: Some("12345-0815".into()), limit: 5, ..CaseFilter::default() };
        assert_eq!(town.registry.list_cases(by_ticket, &desk.dispatcher).await.unwrap().len(), 1);
        let refusal = because(order(&filed.case_number, CaseMove::Refuse, &powerman), "not ours");
        assert_eq!(code(town.registry.move_case(refusal).await), "case.pool_move");
        let accepted = desk.make(order(&filed.case_number, CaseMove::Accept, &powerman)).await;
        assert_eq!((accepted.state, accepted.party), (CaseState::Handling, Some(power)));
        assert_eq!(listed(&desk.handler).await, 0, "it is no longer theirs to see");
        assert_eq!(town.registry.find_case(&filed.case_number, &desk.handler).await.unwrap(), None);

        // Everybody declines: it is the desk's again, and nobody dispatched it wrongly.
        let filed = town.registry.file_finding(call(Hazard::Gas)).await.unwrap();
        desk.make(because(order(&filed.case_number, CaseMove::Decline, &powerman), "not ours")).await;
        let back = desk.make(because(order(&filed.case_number, CaseMove::Decline, &desk.handler), "not ours")).await;
        assert_eq!((back.state, back.counts.refusals, back.offered_to.len()), (CaseState::Returned, 0, 0));
        // Nobody answers in half an hour: the same.
        let filed = town.registry.file_finding(call(Hazard::Collapsed)).await.unwrap();
        desk.at(MONDAY + HOUR / 2);
        assert_eq!(desk.sweep().await.unclaimed, 1);
        assert_eq!(desk.find(&filed.case_number).await.state, CaseState::Returned);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn rules_hold_from_their_day_and_a_look_says_what_they_would_mean(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        let admin = town.staff("admin", Role::Admin).await;
        let number = town.report(town.plated(1).await[0], Hazard::Broken).await.case_number;
        desk.sweep().await;
        // Monday becomes a holiday, and what is broken gets a day.
        let holiday = limits::BUILT_IN
            .replacen("holidays = [", "holidays = [ \"2026-03-02\",", 1)
            .replacen("limit = \"4 work_h\"\nclosing = { zh = \"更换或修复\"", "limit = \"1 days\"\nclosing = { zh = \"更换或修复\"", 1);
        let RulesLook::Limits(look) = town.registry.look_at_rules(RuleKind::Limits, &holiday).await.unwrap() else {
            panic!("limits");
        };
        assert_eq!((look.open, look.changed, look.newly_overdue), (1, 1, 0));
        assert_eq!((look.rows[0].id.as_str(), look.rows[0].open), ("broken", 1));
        assert_eq!(desk.find(&number).await.due_at, Some(Millis(MONDAY + 2 * HOUR)), "a look changes nothing");
        let tomorrow = Some(Millis(MONDAY + 16 * HOUR));
        let new = |text: &str, seen| NewRules {
            kind: RuleKind::Limits,
            text: text.to_owned(),
            valid_from: tomorrow,
            note: "the city decided".into(),
            seen,
        };
        assert_eq!(town.registry.keep_rules(new(&holiday, 0), &admin).await.unwrap(), 1);
        assert_eq!(code(town.registry.keep_rules(new(&holiday, 0), &admin).await), "rules.changed_meanwhile");
        assert_eq!(code(town.registry.keep_rules(new("limits = []", 1), &admin).await), "rules.unusable");
        assert_eq!(desk.sweep().await.reckoned, 0, "not in force yet");
        desk.at(MONDAY + 16 * HOUR);
        assert_eq!(desk.sweep().await.reckoned, 1);
        assert_eq!(desk.find(&number).await.due_at, Some(Millis(MONDAY + DAY + 2 * HOUR)), "Tuesday, 10:00");
        assert_eq!(desk.dispatch(&number).await.due_at, Some(Millis(MONDAY + 40 * HOUR)));
    }

    async fn a_place_without_a_cover_gets_a_file_of_its_own(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        town.found_covers(1).await;
        let at = |lon| PhonePosition { lon, lat: 37.4601, accuracy_m: 12.0 };
        let call = |lon| NewFinding {
            key: IdempotencyKey::fresh(),
            spot: Spot::Place(at(lon)),
            hazard: Hazard::Missing,
            source: None,
            description: String::new(),
            contact: None,
            external_number: None,
            phone_position: None,
            photos: vec![photo(1)],
            actor: Actor::Citizen,
            language: "en",
            origin: None,
        };
        assert_eq!(code(town.registry.file_finding(call(0.5)).await), "finding.outside");
        let new = call(118.5903);
        let filed = town.registry.file_finding(new.clone()).await.unwrap();
        assert_eq!(town.registry.file_finding(new).await.unwrap(), filed, "the same call again");
        assert_eq!((filed.cover, filed.emergency), (None, true));
        let case = desk.find(&filed.case_number).await;
        assert_eq!((case.source, case.cover), (CaseSource::CitizenPlace, None));
        assert_eq!(case.offered_to, [town.water], "whoever looks after covers is asked");
        let tracked = town.registry.find_tracked(&town.registry.tracking_link(&filed)).await.unwrap().unwrap();
        assert_eq!(tracked.case.number, filed.case_number);
        let near = town.registry.list_similar_cases((118.5905, 37.4601), town.registry.now()).await.unwrap();
        assert_eq!(near.iter().map(|one| one.near.case.number.as_str()).collect::<Vec<_>>(), [filed.case_number.as_str()]);
        assert_eq!(town.registry.list_similar_cases((118.595, 37.4601), town.registry.now()).await.unwrap(), []);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn bad_weather_makes_cases_hurry_and_sends_crews_to_low_wells_and_those_without_nets(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = Desk::of(&town).await;
        let tokens = town.plated(3).await;
        town.report(tokens[0], Hazard::NoNet).await;
        town.report(tokens[1], Hazard::Odour).await;
        let calm = desk.find("2026-000001").await.triage;
        desk.sweep().await;
        let until = Some(Millis(MONDAY + 3 * DAY));
        let on = town.registry.set_weather("暴雨", until, &desk.supervisor).await.unwrap().unwrap();
        assert_eq!((on.words.as_str(), on.until), ("暴雨", Millis(MONDAY + 3 * DAY)));
        assert_eq!(desk.sweep().await.reckoned, 1, "what is open already hurries more as well");
        assert_eq!(desk.find("2026-000001").await.triage, calm + 30);
        let weather = TaskFilter { kind: Some(TaskKind::Weather), limit: 50, ..TaskFilter::default() };
        let tasks = async || town.registry.list_tasks(weather.clone()).await.unwrap().len();
        assert_eq!(tasks().await, 1, "the one without a net");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        town.registry.set_weather("暴雨", until, &desk.supervisor).await.unwrap();
        assert_eq!(tasks().await, 1, "nobody is sent twice");
        town.report(tokens[2], Hazard::NoNet).await;
        assert_eq!(desk.find("2026-000003").await.triage, calm + 30);
        town.registry.set_weather("", None, &desk.supervisor).await.unwrap();
        assert!(town.registry.rules_at(town.registry.now()).await.unwrap().weather.is_none());
    }
}
