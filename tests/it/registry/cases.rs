//! 案件: from a citizen's report to a closed case, and what is refused on the way.

use std::sync::atomic::Ordering;

use lidmark::domain::case::{CaseMove, CaseState, MoveRequest};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{IdempotencyKey, Millis};
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{AttachedPhoto, CaseFilter, MoveOrder, RegistryError};

use super::ground::{MONDAY, Town, photo, report};
use crate::both_engines;

pub fn order(number: &str, made: CaseMove, actor: &Actor) -> MoveOrder {
    MoveOrder {
        pool: None,
        condition: None,
        position: None,
        before_photos: Vec::new(),
        key: IdempotencyKey::fresh(),
        number: number.into(),
        expected_version: None,
        made,
        request: MoveRequest::default(),
        target_number: None,
        photos: Vec::new(),
        actor: actor.clone(),
    }
}

pub fn with_photo(mut order: MoveOrder, photo: AttachedPhoto) -> MoveOrder {
    order.photos = vec![photo];
    order
}

pub fn because(mut order: MoveOrder, reason: &str) -> MoveOrder {
    order.request.reason = Some(reason.into());
    order
}

both_engines! {
    async fn a_hazard_lives_from_report_to_closing_and_the_citizen_sees_it(ground: Ground) {
        let town = Town::found(&ground).await;
        let token = town.plated(1).await[0];
        let dispatcher = town.staff("dispatch", Role::Dispatcher).await;
        let handler = town.staff("handler", Role::Handler).await;
        let supervisor = town.staff("super", Role::Supervisor).await;
        let mut new = report(token, Hazard::Broken);
        new.photos = vec![photo(1)];
        new.contact = Some("13800000000".into());
        let reported = town.registry.report_hazard(new.clone()).await.unwrap();
        assert_eq!(reported.tracking, "R2026-000001");
        assert_eq!(reported.case_number, "2026-000001");
        assert_eq!(town.registry.report_hazard(new.clone()).await.unwrap(), reported, "a lost answer is given again");
        new.description = "something else".into();
        assert!(matches!(town.registry.report_hazard(new).await, Err(RegistryError::Conflict(_))));

        let number = reported.case_number.as_str();
        assert_eq!(town.registry.find_case(number, &handler).await.unwrap(), None, "not dispatched to them yet");
        town.registry.move_case(order(number, CaseMove::File, &dispatcher)).await.unwrap();
        let mut dispatch = order(number, CaseMove::Dispatch, &dispatcher);
        dispatch.request.party = Some(town.water);
        town.registry.move_case(dispatch).await.unwrap();
        town.registry.move_case(order(number, CaseMove::Accept, &handler)).await.unwrap();
        let refused = town.registry.move_case(order(number, CaseMove::HandIn, &handler)).await;
        assert!(matches!(refused, Err(RegistryError::Refused(refusal)) if refusal.code == "case.needs_photo"));
        town.registry.move_case(with_photo(order(number, CaseMove::HandIn, &handler), photo(2))).await.unwrap();
        town.registry.move_case(because(order(number, CaseMove::SendBack, &supervisor), "still rattles")).await.unwrap();
        town.registry.move_case(with_photo(order(number, CaseMove::HandIn, &handler), photo(3))).await.unwrap();
        town.registry.move_case(order(number, CaseMove::Check, &dispatcher)).await.unwrap();
        let refused = town.registry.move_case(with_photo(order(number, CaseMove::Close, &handler), photo(4))).await;
        assert!(matches!(refused, Err(RegistryError::Forbidden(_))));
        town.clock.store(MONDAY + 3_600_000, Ordering::SeqCst);
        let mut closing = with_photo(order(number, CaseMove::Close, &supervisor), photo(4));
        closing.request.release = true;
        let closed = town.registry.move_case(closing.clone()).await.unwrap();
        assert_eq!((closed.state, closed.closed_at), (CaseState::Closed, Some(Millis(MONDAY + 3_600_000))));
        assert_eq!(town.registry.move_case(closing).await.unwrap(), closed, "the same order again");

        let link = town.registry.tracking_link(&reported);
        let tracked = town.registry.find_tracked(&link.to_lowercase()).await.unwrap().unwrap();
        assert_eq!(tracked.case.state, CaseState::Closed);
        assert_eq!(tracked.photos.len(), 2, "their own and what was released");
        assert_eq!(tracked.timeline.len(), 9);
        assert_eq!(tracked.party.unwrap().name, "东营水务");
        for wrong in ["R2026-000001-0000000000000000", "R2026-000001", "R2026-000009-0000000000000000", "", "-", "\0"] {
            assert_eq!(town.registry.find_tracked(wrong).await.unwrap(), None);
        }
        let file = town.registry.find_case(number, &supervisor).await.unwrap().unwrap();
        assert_eq!(file.reports[0].contact.as_deref(), Some("13800000000"));
        assert_eq!(file.photos.len(), 4);
        assert!(file.timeline.iter().all(|entry| !entry.body.contains("13800000000")), "people stay out of the file");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn an_emergency_is_filed_and_sent_on_at_once_and_reports_on_it_join(ground: Ground) {
        let town = Town::found(&ground).await;
        let token = town.plated(1).await[0];
        let first = town.report(token, Hazard::Missing).await;
        let second = town.report(token, Hazard::Missing).await;
        assert!(first.emergency && !first.joined && second.joined);
        assert_eq!(first.case_number, second.case_number);
        let scanned = town.registry.find_plate(token).await.unwrap().unwrap();
        assert_eq!(scanned.open_cases.len(), 1);
        assert_eq!((scanned.open_cases[0].state, scanned.open_cases[0].report_count), (CaseState::Dispatched, 2));
    }

    async fn who_was_too_late_is_told_and_changes_nothing(ground: Ground) {
        let town = Town::found(&ground).await;
        let token = town.plated(1).await[0];
        let desk = town.staff("desk", Role::Supervisor).await;
        let number = town.report(token, Hazard::Level).await.case_number;
        let mut filing = order(&number, CaseMove::File, &desk);
        filing.expected_version = Some(1);
        let mut rejecting = because(order(&number, CaseMove::Reject, &desk), "nothing there");
        rejecting.expected_version = Some(1);
        let (one, two) = tokio::join!(town.registry.move_case(filing), town.registry.move_case(rejecting));
        assert!(one.is_ok() != two.is_ok(), "exactly one of them goes through");
        let refused = one.err().or(two.err()).unwrap();
        assert!(matches!(refused, RegistryError::Conflict(refusal) if refusal.code == "case.moved_meanwhile"));
    }

    async fn a_reopened_case_may_not_meet_an_open_twin(ground: Ground) {
        let town = Town::found(&ground).await;
        let token = town.plated(1).await[0];
        let desk = town.staff("desk", Role::Supervisor).await;
        let first = town.report(token, Hazard::Level).await.case_number;
        town.registry.move_case(because(order(&first, CaseMove::Reject, &desk), "nothing there")).await.unwrap();
        let second = town.report(token, Hazard::Level).await.case_number;
        let refused = town.registry.move_case(because(order(&first, CaseMove::Reopen, &desk), "there it is")).await;
        assert!(matches!(refused, Err(RegistryError::Conflict(refusal)) if refusal.code == "case.open_twin"));
        let mut join = order(&second, CaseMove::Join, &desk);
        join.target_number = Some(second.clone());
        let refused = town.registry.move_case(join).await;
        assert!(matches!(refused, Err(RegistryError::Refused(refusal)) if refusal.code == "case.target_unfit"));
    }

    async fn a_citizen_sees_where_a_case_ended_up_that_was_joined_twice(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(3).await;
        let desk = town.staff("desk", Role::Supervisor).await;
        let mut filed = Vec::new();
        for token in &tokens {
            filed.push(town.report(*token, Hazard::Level).await);
        }
        for (from, to) in [(0, 1), (1, 2)] {
            let mut join = order(&filed[from].case_number, CaseMove::Join, &desk);
            join.target_number = Some(filed[to].case_number.clone());
            town.registry.move_case(join).await.unwrap();
        }
        let link = town.registry.tracking_link(&filed[0]);
        let tracked = town.registry.find_tracked(&link).await.unwrap().unwrap();
        assert_eq!((&tracked.case.number, tracked.case.state), (&filed[2].case_number, CaseState::Reported));
    }

    async fn the_list_narrows_by_state_hazard_party_and_text(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(3).await;
        let desk = town.staff("desk", Role::Supervisor).await;
        let handler = town.staff("handler", Role::Handler).await;
        for token in &tokens {
            town.report(*token, Hazard::Level).await;
        }
        town.report(tokens[0], Hazard::Missing).await;
        let count = async |filter: CaseFilter, actor: &Actor| {
            town.registry.list_cases(CaseFilter { limit: 50, ..filter }, actor).await.unwrap().len()
        };
        assert_eq!(count(CaseFilter::default(), &desk).await, 4);
        assert_eq!(count(CaseFilter::default(), &handler).await, 1, "the emergency went to the owner at once");
        assert_eq!(count(CaseFilter { states: vec![CaseState::Dispatched], ..CaseFilter::default() }, &desk).await, 1);
        assert_eq!(count(CaseFilter { hazard: Some(Hazard::Level), ..CaseFilter::default() }, &desk).await, 3);
        assert_eq!(count(CaseFilter { emergency: Some(true), ..CaseFilter::default() }, &desk).await, 1);
        assert_eq!(count(CaseFilter { text: Some("黄河".into()), ..CaseFilter::default() }, &desk).await, 4);
        // As it is read off a page.
        assert_eq!(count(CaseFilter { text: Some("370502 01 02".into()), ..CaseFilter::default() }, &desk).await, 4);
        assert_eq!(count(CaseFilter { text: Some("100%".into()), ..CaseFilter::default() }, &desk).await, 0);
        assert_eq!(count(CaseFilter { district: Some("370502".into()), ..CaseFilter::default() }, &desk).await, 4);
        assert_eq!(count(CaseFilter { before: Some("2026-000003".into()), ..CaseFilter::default() }, &desk).await, 2);
    }
}
