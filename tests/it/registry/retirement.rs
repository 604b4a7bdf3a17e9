//! 退役: covers that are no longer in use, their plates, and what a census says of them.

use lidmark::domain::case::{Case, CaseMove, MoveRequest};
use lidmark::domain::cover::{CoverClass, CoverFile};
use lidmark::domain::edit::{PlatesGo, RetireReason};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::IdempotencyKey;
use lidmark::domain::plate::PlateState;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{CoverFilter, CoverOrder, MoveOrder, Outcome, RegistryError, Retirement, Standing};

use super::editing::{done, order, refused};
use super::ground::{Town, candidate, report};
use super::structure::sibling;
use crate::both_engines;

impl Town {
    pub async fn reject(&self, number: &str, desk: &Actor) {
        self.step(number, CaseMove::Reject, desk).await.unwrap();
    }

    pub async fn reopen(&self, number: &str, desk: &Actor) -> Result<Case, RegistryError> {
        self.step(number, CaseMove::Reopen, desk).await
    }

    pub async fn step(&self, number: &str, made: CaseMove, actor: &Actor) -> Result<Case, RegistryError> {
        let request = MoveRequest { reason: Some("seen on the spot".into()), ..MoveRequest::default() };
        let order = MoveOrder {
            pool: None,
            condition: None,
            position: None,
            before_photos: Vec::new(),
            key: IdempotencyKey::fresh(),
            number: number.into(),
            expected_version: None,
            made,
            request,
            target_number: None,
            photos: Vec::new(),
            actor: actor.clone(),
        };
        self.registry.move_case(order).await
    }
}

fn retire(reason: RetireReason, successor: Option<&CoverFile>, plates: PlatesGo) -> Retirement {
    Retirement { reason, successor: successor.map(|file| file.code.digits.clone()), plates }
}

both_engines! {
    async fn a_retired_cover_leaves_the_map_and_its_code_and_tokens_stay(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let tokens = town.plated(2).await;
        let file = town.cover("3705020102000001").await;
        let gone = || retire(RetireReason::Filled, None, PlatesGo::Withdrawn);
        // Not while something is open on it.
        let case = town.report(tokens[0], Hazard::Level).await.case_number;
        assert_eq!(refused(town.registry.retire_cover(order(&file, &engineer, gone())).await), "retire.open_cases");
        let desk = town.staff("desk", Role::Supervisor).await;
        town.reject(&case, &desk).await;
        let nothing_said = CoverOrder { reason: " ".into(), ..order(&file, &engineer, gone()) };
        assert_eq!(refused(town.registry.retire_cover(nothing_said).await), "form.missing");

        let asked = order(&file, &engineer, gone());
        let retired = done(town.registry.retire_cover(asked.clone()).await);
        assert_eq!(retired.retired.as_ref().unwrap().reason, RetireReason::Filled);
        assert_eq!(done(town.registry.retire_cover(asked).await), retired, "the same call again");
        assert_eq!(refused(town.registry.retire_cover(order(&retired, &engineer, gone())).await), "cover.retired");
        assert_eq!(town.registry.counts().await.unwrap().covers, 1);
        assert_eq!(town.registry.list_points(None, 10).await.unwrap().len(), 1);
        assert_eq!(town.registry.list_points_by_id(&[file.cover]).await.unwrap(), []);
        let list = async |standing| {
            let filter = CoverFilter { standing, limit: 10, ..CoverFilter::default() };
            town.registry.list_covers(filter).await.unwrap().len()
        };
        assert_eq!((list(Standing::InUse).await, list(Standing::Retired).await, list(Standing::Any).await), (1, 1, 2));
        assert_eq!(town.cover("3705020102000001").await, retired);
        let scanned = town.registry.find_plate(tokens[0]).await.unwrap().unwrap();
        assert_eq!(scanned.plate.state, PlateState::Revoked);
        // Nothing new begins on it.
        let refusal = refused(town.registry.report_hazard(report(tokens[0], Hazard::Missing)).await);
        assert_eq!(refusal, "plate.cover_retired");
        assert_eq!(refused(town.registry.install_plate(tokens[1], "3705020102000001", &Actor::System).await), "cover.retired");
        assert_eq!(refused(town.reopen(&case, &desk).await), "cover.retired");

        let back = done(town.registry.reinstate_cover(order(&retired, &engineer, ())).await);
        assert_eq!((back.retired.clone(), back.version), (None, 3));
        assert_eq!(refused(town.registry.reinstate_cover(order(&back, &engineer, ())).await), "reinstate.in_use");
        let scanned = town.registry.find_plate(tokens[0]).await.unwrap().unwrap();
        assert_eq!(scanned.plate.state, PlateState::Revoked, "nothing leads back from withdrawn");
        assert_eq!(town.registry.counts().await.unwrap().covers, 2);
        town.assert_sound().await;
    }

    async fn an_exchanged_cover_hands_its_plates_to_the_one_that_lies_there_now(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let tokens = town.plated(2).await;
        let old = town.cover("3705020102000001").await;
        let other = town.cover("3705020102000002").await;
        let new = done(town.registry.add_cover(order(&old, &engineer, sibling(CoverClass::Sewage))).await);
        let go = |successor, plates| retire(RetireReason::Replaced, successor, plates);
        for (what, why) in [
            (go(None, PlatesGo::Withdrawn), "retire.needs_successor"),
            (retire(RetireReason::Removed, None, PlatesGo::ToSuccessor), "retire.needs_successor"),
            (go(Some(&old), PlatesGo::ToSuccessor), "retire.own_successor"),
        ] {
            assert_eq!(refused(town.registry.retire_cover(order(&old, &engineer, what)).await), why);
        }
        let retired = done(town.registry.retire_cover(order(&old, &engineer, go(Some(&new), PlatesGo::ToSuccessor))).await);
        let successor = retired.retired.clone().unwrap().successor.unwrap();
        assert_eq!(successor, (new.cover, new.code.clone()));
        let scanned = town.registry.find_plate(tokens[0]).await.unwrap().unwrap();
        assert_eq!((scanned.plate.state, scanned.cover.unwrap().cover), (PlateState::Installed, new.cover));
        // Through the plate a hazard is reported on the cover that lies there.
        assert_eq!(town.report(tokens[0], Hazard::Level).await.cover, Some(new.cover));
        // A cover of another manhole may take its place, too; its own plate leads the withdrawn ones on.
        let onto = retire(RetireReason::Replaced, Some(&town.now(&old).await), PlatesGo::Withdrawn);
        assert_eq!(refused(town.registry.retire_cover(order(&other, &engineer, onto)).await), "retire.successor_retired");
        let onto = retire(RetireReason::Replaced, Some(&new), PlatesGo::Withdrawn);
        done(town.registry.retire_cover(order(&other, &engineer, onto)).await);
        let scanned = town.registry.find_plate(tokens[1]).await.unwrap().unwrap();
        assert_eq!((scanned.plate.state, scanned.plate.successor), (PlateState::Revoked, Some(tokens[0])));
        town.assert_sound().await;
    }

    async fn a_census_that_finds_a_retired_cover_is_told_and_changes_nothing(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let file = town.street(2).await.remove(0);
        let gone = retire(RetireReason::Removed, None, PlatesGo::Withdrawn);
        done(town.registry.retire_cover(order(&file, &engineer, gone)).await);
        let before = town.registry.last_change().await.unwrap();
        let outcomes = town.import((0..2).map(|at| candidate(at, CoverClass::Sewage)).collect()).await;
        assert!(matches!(&outcomes[0], Outcome::Problem(refusal) if refusal.code == "import.retired"), "{outcomes:?}");
        assert!(matches!(outcomes[1], Outcome::Unchanged(_)));
        assert_eq!(town.registry.last_change().await.unwrap(), before);
        // Without a key it is the place that speaks, and nothing in use lies there: it is a new cover.
        let mut keyless = candidate(0, CoverClass::Sewage);
        keyless.source_key = None;
        let outcomes = town.import(vec![keyless]).await;
        assert!(matches!(outcomes[0], Outcome::Created(cover) if cover != file.cover), "{outcomes:?}");
    }
}
