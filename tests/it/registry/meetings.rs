//! 会商: hot spots, decisions that override routing, and exemplary cases.

use std::sync::atomic::Ordering;

use lidmark::domain::case::{CaseMove, CaseState};
use lidmark::domain::cover::{CoverFile, Party};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::{IdempotencyKey, Millis, PartyId};
use lidmark::domain::meeting::{DecisionQuery, Quarter};
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{
    ExemplaryOrder, HotPlace, HotSpot, MeetingFile, NamedSubject, NewMeeting, RegistryError, RevokeOrder,
};
use lidmark::store::{Store, StoreError, meetings};

use super::ground::{MONDAY, Town};
use super::notices::{DAY, dispatched, go};
use crate::both_engines;
use crate::support::engines::Ground;

fn meeting(lead: PartyId, subjects: Vec<NamedSubject>, actor: &Actor) -> NewMeeting {
    NewMeeting {
        key: IdempotencyKey::fresh(),
        held_at: Millis(MONDAY - DAY),
        place: "城管局三楼".into(),
        attendees: "城管局 王工\n水务公司 李工".into(),
        decision: "由牵头单位整体更换".into(),
        lead,
        due_at: Millis(MONDAY + 10 * DAY),
        subjects,
        actor: actor.clone(),
    }
}

async fn second_party(town: &Town) -> PartyId {
    let roads = PartyId::fresh();
    town.registry.put_party(Party { id: roads, name: "市政养护".into(), hotline: None }).await.unwrap();
    roads
}

async fn decided(town: &Town, lead: PartyId, subjects: Vec<NamedSubject>, actor: &Actor) -> MeetingFile {
    town.registry.record_meeting(meeting(lead, subjects, actor)).await.unwrap()
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

/// What the store says of a cover, as routing asks it.
async fn ask(ground: &Ground, file: &CoverFile, now: i64) -> Option<(String, PartyId)> {
    let store = Store::open(&ground.database(), Default::default()).await.unwrap();
    let (cover, district, road) = (file.cover, file.district.code.clone(), file.survey.road.clone());
    let found = store
        .write::<_, StoreError, _>(move |tx| {
            let (district, road) = (district.clone(), road.clone());
            Box::pin(async move {
                let road = road.as_deref();
                let asked = DecisionQuery { case: None, cover: Some(cover), district: &district, road };
                meetings::find_decision(tx, &asked, Millis(now)).await
            })
        })
        .await
        .unwrap();
    store.close().await;
    found.map(|decision| (decision.meeting, decision.lead))
}

both_engines! {
    async fn the_nearest_decision_in_force_leads_until_its_day_or_until_it_is_revoked(ground: Ground) {
        let town = Town::found(&ground).await;
        let supervisor = town.staff("jian", Role::Supervisor).await;
        let roads = second_party(&town).await;
        town.found_covers(2).await;
        let (one, other) = (town.cover("3705020102000001").await, town.cover("3705020102000002").await);
        assert_eq!(ask(&ground, &one, MONDAY).await, None);
        let road = NamedSubject::Road { district: "370502".into(), road: "黄河路".into() };
        let by_road = decided(&town, roads, vec![road.clone(), road], &supervisor).await;
        assert_eq!((by_road.meeting.number.as_str(), by_road.subjects.len()), ("2026-1", 1), "named twice, kept once");
        let by_cover = decided(&town, town.water, vec![NamedSubject::Cover(one.code.digits.clone())], &supervisor).await;
        assert_eq!(ask(&ground, &one, MONDAY).await, Some(("2026-2".into(), town.water)), "a cover goes before its road");
        assert_eq!(ask(&ground, &other, MONDAY).await, Some(("2026-1".into(), roads)));
        assert_eq!(ask(&ground, &other, MONDAY + 10 * DAY).await, None, "its day has come");
        let order = RevokeOrder {
            key: IdempotencyKey::fresh(),
            number: by_cover.meeting.number.clone(),
            reason: "改由市政统一更换".into(),
            actor: supervisor.clone(),
        };
        let revoked = town.registry.revoke_meeting(order.clone()).await.unwrap();
        assert!(!revoked.in_force && revoked.meeting.revoked.is_some());
        assert_eq!(town.registry.revoke_meeting(order.clone()).await.unwrap(), revoked, "one key, once");
        let again = RevokeOrder { key: IdempotencyKey::fresh(), ..order };
        assert_eq!(code(town.registry.revoke_meeting(again).await), "meeting.revoked");
        assert_eq!(ask(&ground, &one, MONDAY).await, Some(("2026-1".into(), roads)));
        let kinds = town.kinds(&one).await;
        assert_eq!(kinds[1..], [HistoryKind::MeetingDecided, HistoryKind::MeetingRevoked]);
        let report = town.registry.check_tables().await.unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }

    async fn a_decision_is_offered_to_the_cases_that_wait_at_the_desk(ground: Ground) {
        let town = Town::found(&ground).await;
        let (desk, supervisor) = (town.staff("pai", Role::Dispatcher).await, town.staff("jian", Role::Supervisor).await);
        let roads = second_party(&town).await;
        let tokens = town.plated(2).await;
        dispatched(&town, &tokens[1..], &[Hazard::Broken], &desk).await;
        let waiting = town.report(tokens[0], Hazard::Level).await.case_number;
        go(&town, &waiting, CaseMove::File, &desk).await;
        let file = decided(&town, roads, vec![NamedSubject::Case(waiting.clone())], &supervisor).await;
        let numbers: Vec<&str> = file.waiting.iter().map(|line| line.case.number.as_str()).collect();
        assert_eq!(numbers, [waiting.as_str()]);
        let case = town.registry.find_case(&waiting, &desk).await.unwrap().unwrap();
        assert_eq!(case.case.state, CaseState::Filed, "it only offers");
        assert!(case.timeline.iter().any(|entry| entry.kind == HistoryKind::MeetingDecided));
        let decision = town.registry.find_case_decision(&case.case).await.unwrap().unwrap();
        assert_eq!((decision.meeting.as_str(), decision.lead), ("2026-1", roads));
        town.clock.store(MONDAY + 10 * DAY, Ordering::SeqCst);
        assert_eq!(town.registry.find_meeting("2026-1").await.unwrap().unwrap().waiting, []);
        assert_eq!(town.registry.find_meeting("\0").await.unwrap(), None);

        let refused = async |change: fn(&mut NewMeeting)| {
            let mut wrong = meeting(roads, vec![NamedSubject::Case(waiting.clone())], &supervisor);
            wrong.due_at = Millis(MONDAY + 20 * DAY);
            change(&mut wrong);
            code(town.registry.record_meeting(wrong).await)
        };
        assert_eq!(refused(|new| new.subjects.clear()).await, "meeting.subject_count");
        assert_eq!(refused(|new| new.due_at = Millis(MONDAY)).await, "meeting.due_past");
        assert_eq!(refused(|new| new.held_at = Millis(MONDAY + 19 * DAY)).await, "meeting.held_later");
        assert_eq!(refused(|new| new.lead = PartyId::fresh()).await, "party.unknown");
        assert_eq!(refused(|new| new.attendees = " ".into()).await, "form.missing");
        assert_eq!(refused(|new| new.subjects = vec![NamedSubject::Case("x\0".into())]).await, "notice.case_unknown");
        assert_eq!(refused(|new| new.subjects = vec![NamedSubject::Cover("x".into())]).await, "cover.unknown");
        let nowhere = |new: &mut NewMeeting| {
            new.subjects = vec![NamedSubject::Road { district: "000000".into(), road: "x".into() }];
        };
        assert_eq!(refused(nowhere).await, "meeting.district");
        assert_eq!(town.registry.list_meetings(None, 10).await.unwrap().len(), 1, "nothing was numbered");
    }

    async fn what_comes_again_is_a_hot_spot(ground: Ground) {
        let town = Town::found(&ground).await;
        let desk = town.staff("pai", Role::Dispatcher).await;
        let tokens = town.plated(2).await;
        for hazard in [Hazard::Broken, Hazard::Level] {
            town.report(tokens[0], hazard).await;
        }
        let rejected = town.report(tokens[1], Hazard::Odour).await.case_number;
        go(&town, &rejected, CaseMove::Reject, &desk).await;
        town.report(tokens[1], Hazard::Odour).await;
        let spots = town.registry.list_hot_spots(30).await.unwrap();
        let [cover, road] = spots.as_slice() else { panic!("{spots:?}") };
        assert_eq!((cover.cases, cover.repeats, cover.open, &cover.road), (2, 0, 2, &Some("黄河路".to_owned())));
        assert!(matches!(&cover.place, HotPlace::Cover(code) if code.digits == "3705020102000001"));
        assert_eq!(
            *road,
            HotSpot {
                place: HotPlace::Road,
                district: "370502".into(),
                road: Some("黄河路".into()),
                cases: 3,
                repeats: 0,
                open: 3,
            }
        );
        town.clock.store(MONDAY + 31 * DAY, Ordering::SeqCst);
        assert_eq!(town.registry.list_hot_spots(30).await.unwrap(), []);
    }

    async fn a_case_is_an_example_of_its_quarter_until_somebody_takes_that_back(ground: Ground) {
        let town = Town::found(&ground).await;
        let (desk, supervisor) = (town.staff("pai", Role::Dispatcher).await, town.staff("jian", Role::Supervisor).await);
        let cases = dispatched(&town, &town.plated(1).await, &[Hazard::Broken], &desk).await;
        let (q1, q2): (Quarter, Quarter) = ("2026-Q1".parse().unwrap(), "2026-Q2".parse().unwrap());
        let mark = async |number: &str, quarter: Option<Quarter>, sentence: &str| {
            let order = ExemplaryOrder {
                key: IdempotencyKey::fresh(),
                number: number.into(),
                quarter,
                sentence: sentence.into(),
                actor: supervisor.clone(),
            };
            town.registry.mark_exemplary(order).await
        };
        let listed = async |quarter| {
            let files = town.registry.list_exemplary(quarter).await.unwrap();
            files.into_iter().map(|file| file.mark.sentence).collect::<Vec<_>>()
        };
        assert_eq!(code(mark(&cases[0], Some(q1), " ").await), "form.missing");
        assert_eq!(code(mark("2026-999999", Some(q1), "x").await), "case.unknown");
        assert_eq!(code(mark(&cases[0], None, "x").await), "exemplary.not_marked");
        mark(&cases[0], Some(q1), "两小时到场").await.unwrap();
        assert_eq!(listed(q1).await, ["两小时到场"]);
        mark(&cases[0], Some(q2), "当天更换").await.unwrap();
        assert_eq!((listed(q1).await, listed(q2).await), (vec![], vec!["当天更换".to_owned()]));
        mark(&cases[0], None, "重复").await.unwrap();
        assert_eq!(listed(q2).await, [""; 0]);
        let report = town.registry.check_tables().await.unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}
