//! 外业督查: how far the fitting has come, and plates drawn by lot.

use std::sync::atomic::Ordering;

use lidmark::domain::cover::CoverClass;
use lidmark::domain::crew::{Check, CheckResult, CrewAction, Deed, Fit};
use lidmark::domain::ids::{CoverId, IdempotencyKey, Millis};
use lidmark::domain::plate::PlateSpot;
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::registry::{CrewOutcome, NewBatch, NewSpotCheck, Outcome, RegistryError};
use rand::SeedableRng;

use super::ground::{MONDAY, Town, batch, candidate, plate};
use crate::both_engines;

const DAY: i64 = 86_400_000;

async fn deed(town: &Town, deed: Deed, actor: &Actor) {
    let action = CrewAction {
        key: IdempotencyKey::fresh(),
        answers: None,
        done_at: Millis(MONDAY),
        position: None,
        photos: Vec::new(),
        note: None,
        deed,
    };
    let outcome = town.registry.carry_out(action, actor).await.unwrap();
    assert!(matches!(outcome, CrewOutcome::Done(_)), "{outcome:?}");
}

both_engines! {
    async fn what_is_fitted_is_counted_by_street_crew_and_day_and_drawn_by_lot(ground: Ground) {
        let town = Town::found(&ground).await;
        let (one, other) = (town.staff("one", Role::Crew).await, town.staff("other", Role::Crew).await);
        let boss = town.staff("boss", Role::Supervisor).await;
        let engineer = town.staff("engineer", Role::Engineer).await;
        let rows = (0..6).map(|at| candidate(at, CoverClass::Sewage)).collect();
        let covers: Vec<CoverId> = town.import(rows).await.into_iter().map(|outcome| match outcome {
            Outcome::Created(cover) => cover,
            other => panic!("{other:?}"),
        }).collect();
        let (order, mut random) = (batch(5), rand::rngs::SmallRng::seed_from_u64(9));
        let mut plates: Vec<_> = (1..=5).map(|at| plate(&order, at, Token::draw(&mut random))).collect();
        // The last one is made for a cover and hangs nowhere yet.
        plates[4].cover = Some(covers[4]);
        let tokens: Vec<Token> = plates.iter().map(|plate| plate.token).collect();
        town.registry.commit_batch(NewBatch { batch: order, plates }).await.unwrap();

        for (at, (crew, day)) in [(&one, 0), (&one, 0), (&other, 1), (&one, 1)].into_iter().enumerate() {
            town.clock.store(MONDAY + day * DAY + at as i64 * 600_000, Ordering::SeqCst);
            let fit = Fit {
                token: tokens[at], cover: covers[at], seen_version: Some(1), spot: PlateSpot::Public, replace: false,
            };
            deed(&town, Deed::Fit(fit), crew).await;
        }
        let week = (Millis(MONDAY - DAY), Millis(MONDAY + 7 * DAY));
        let days = town.registry.list_fitting_days(week, 30.0).await.unwrap();
        let said: Vec<_> = days.iter().map(|day| (day.actor.clone(), day.day - days[2].day, day.fitted)).collect();
        let mut wanted = vec![(one.word(), 1, 1), (other.word(), 1, 1)];
        wanted.sort();
        wanted.push((one.word(), 0, 2));
        assert_eq!(said, wanted);

        let draw = NewSpotCheck {
            key: IdempotencyKey::fresh(), from: week.0, until: week.1, crew: None, district: Some("370502".into()),
            count: 3, actor: boss.clone(),
        };
        let check = town.registry.draw_spot_check(draw.clone()).await.unwrap();
        assert_eq!((check.population, check.plate_count), (4, 3));
        assert_eq!(town.registry.draw_spot_check(draw.clone()).await.unwrap(), check, "the same call, the same draw");
        let of_one = NewSpotCheck { key: IdempotencyKey::fresh(), crew: Some(other.word()), count: 20, ..draw.clone() };
        assert_eq!(town.registry.draw_spot_check(of_one).await.unwrap().plate_count, 1);
        let empty = NewSpotCheck { key: IdempotencyKey::fresh(), until: Millis(MONDAY - 1), ..draw };
        let none = town.registry.draw_spot_check(empty).await;
        assert!(matches!(none, Err(RegistryError::Conflict(refusal)) if refusal.code == "spot_check.none"));

        town.clock.store(MONDAY + 2 * DAY, Ordering::SeqCst);
        let (_, drawn) = town.registry.find_spot_check(check.id).await.unwrap();
        assert!(drawn.iter().all(|plate| plate.found.is_none()));
        for (at, result) in [(0, CheckResult::Ok), (1, CheckResult::Damaged)] {
            let plate = &drawn[at].plate;
            let look = Check { token: Some(plate.token), cover: plate.cover, result };
            deed(&town, Deed::Check(look), &engineer).await;
        }
        let (_, looked) = town.registry.find_spot_check(check.id).await.unwrap();
        let found: Vec<_> = looked.iter().map(|plate| plate.found.as_ref().map(|(result, _, by)| (result.as_str(), by.as_str()))).collect();
        let by = engineer.word();
        assert_eq!(found, [Some(("ok", by.as_str())), Some(("damaged", by.as_str())), None]);

        let streets = town.registry.list_street_progress("370502").await.unwrap();
        let street = &streets[0];
        assert_eq!((streets.len(), street.road.as_deref()), (1, Some("黄河路")));
        assert_eq!((street.covers, street.planned, street.fitted, street.verified, street.problems), (6, 5, 3, 1, 1));
        let mut stands: Vec<i64> =
            town.registry.list_progress_points("370502").await.unwrap().iter().map(|point| point.stand).collect();
        stands.sort();
        assert_eq!(stands, [0, 1, 2, 2, 3, 4]);
        let rejected: i64 = town.registry.list_fitting_days(week, 30.0).await.unwrap().iter().map(|day| day.rejected).sum();
        assert_eq!(rejected, 1, "what came out wrong is held against whoever fitted it");
        let deeds = town.registry.list_deeds(week).await.unwrap();
        assert!(deeds.iter().any(|deed| deed.actor == by && deed.kind == "check" && deed.count == 2), "{deeds:?}");
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }
}
