//! 外业督查: how far the fitting has come, and plates drawn by lot.

use std::sync::atomic::Ordering;

use lidmark::domain::cover::CoverClass;
use lidmark::domain::crew::{Check, CheckResult, CrewAction, Deed, Fit};
use lidmark::domain::ids::{CoverId, IdempotencyKey, Millis};
use lidmark::domain::plate::PlateSpot;
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::registry::{
    CrewDone, CrewOutcome, NewBatch, NewSpotCheck, Outcome, PackageOrder, RegistryError,
};
use rand::SeedableRng;

use super::crew::{action, look};
use super::ground::{MONDAY, Town, batch, candidate, plate};
use crate::both_engines;

const DAY: i64 = 86_400_000;

async fn deed(town: &Town, deed: Deed, actor: &Actor) -> CrewDone {
    let action = town.seen(actor, deed).await;
    match town.registry.carry_out(action, actor).await.unwrap() {
        CrewOutcome::Done(done) => *done,
        CrewOutcome::Question(question) => panic!("{question:?}"),
    }
}

/// A street whose covers wear plates that `crew` fitted.
async fn fitted(town: &Town, count: u64, crew: &Actor) -> Vec<(CoverId, Token)> {
    let rows = (0..count).map(|at| candidate(at, CoverClass::Sewage)).collect();
    let covers = town.import(rows).await.into_iter().map(|outcome| match outcome {
        Outcome::Created(cover) => cover,
        other => panic!("{other:?}"),
    });
    let covers: Vec<CoverId> = covers.collect();
    let (order, mut random) = (batch(count as i64), rand::rngs::SmallRng::seed_from_u64(11));
    let plates: Vec<_> = (1..=count as i64).map(|at| plate(&order, at, Token::draw(&mut random))).collect();
    let tokens: Vec<Token> = plates.iter().map(|plate| plate.token).collect();
    town.registry.commit_batch(NewBatch { batch: order, plates }).await.unwrap();
    for (cover, token) in covers.iter().zip(&tokens) {
        let (token, cover, spot) = (*token, *cover, PlateSpot::Public);
        deed(town, Deed::Fit(Fit { token, cover, seen_version: Some(1), spot, replace: false }), crew).await;
    }
    covers.into_iter().zip(tokens).collect()
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
            let look = look(Some(plate.token), plate.cover, result);
            deed(&town, Deed::Check(look), &engineer).await;
        }
        let (counted, looked) = town.registry.find_spot_check(check.id).await.unwrap();
        assert_eq!(counted.looked, 2);
        assert_eq!(town.registry.find_busiest_district(week).await.unwrap().as_deref(), Some("370502"));
        assert_eq!(town.registry.find_busiest_district((week.1, week.1)).await.unwrap(), None);
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
    async fn a_draw_travels_in_the_package_and_the_look_comes_back_once(ground: Ground) {
        let town = Town::found(&ground).await;
        let (crew, other) = (town.staff("crew", Role::Crew).await, town.staff("grid", Role::GridWorker).await);
        let boss = town.staff("boss", Role::Supervisor).await;
        let hung = fitted(&town, 6, &crew).await;
        let draw = async |count| {
            let new = NewSpotCheck {
                key: IdempotencyKey::fresh(), from: Millis(MONDAY - DAY), until: Millis(MONDAY + DAY), crew: None,
                district: None, count, actor: boss.clone(),
            };
            town.registry.draw_spot_check(new).await.unwrap()
        };
        let package = async |drawn| {
            let order = PackageOrder { drawn, limit: 100, ..PackageOrder::default() };
            town.registry.list_package(order).await.unwrap()
        };
        assert_eq!(package(true).await.len(), 0);
        town.clock.store(MONDAY + 1000, Ordering::SeqCst);
        let older = draw(6).await;
        town.clock.store(MONDAY + 2000, Ordering::SeqCst);
        let check = draw(3).await;
        let (_, drawn) = town.registry.find_spot_check(check.id).await.unwrap();
        let taken = package(true).await;
        assert_eq!((taken.len(), package(false).await.len()), (6, 6));
        for cover in &taken {
            let by_newest = drawn.iter().any(|plate| plate.plate.cover == cover.file.cover);
            let of = cover.drawn.unwrap();
            assert_eq!(of.check, if by_newest { check.id } else { older.id }, "the newest draw is what is asked");
            assert!(hung.contains(&(cover.file.cover, of.token)));
        }

        let [first, second, third] = [0, 1, 2].map(|at| drawn[at].plate.clone());
        let seen = |token, cover, result| Check { spot_check: Some(check.id), ..look(token, cover, result) };
        town.clock.store(MONDAY + 3000, Ordering::SeqCst);
        let mine = town.seen(&crew, Deed::Check(seen(Some(first.token), first.cover, CheckResult::Ok))).await;
        for _ in 0..2 {
            let CrewOutcome::Done(done) = town.registry.carry_out(mine.clone(), &crew).await.unwrap() else { panic!() };
            assert_eq!((done.cover.unwrap().drawn, done.notices), (None, Vec::new()), "one look is for every draw");
        }
        assert_eq!(ground.sql("SELECT COUNT(*) FROM crew_actions WHERE kind = 'check'"), "1");
        assert_eq!(package(true).await.len(), 5);

        // Somebody else was there first: alike is a notice, otherwise a question that changes nothing.
        let alike = deed(&town, Deed::Check(seen(Some(first.token), first.cover, CheckResult::Ok)), &other).await;
        assert_eq!(alike.notices[0].code, "crew.looked_alike");
        let bad = seen(None, first.cover, CheckResult::Missing);
        let unseen = town.registry.carry_out(action(Deed::Check(bad.clone())), &crew).await;
        assert!(matches!(unseen, Err(RegistryError::Refused(refusal)) if refusal.code == "action.check_photo"));
        let before = town.registry.counts().await.unwrap();
        let asks = town.seen(&crew, Deed::Check(bad.clone())).await;
        let CrewOutcome::Question(question) = town.registry.carry_out(asks.clone(), &crew).await.unwrap() else { panic!() };
        assert_eq!((question.refusal.code, question.choices), ("spot_check.looked", &["mine_counts", "discard"][..]));
        assert_eq!(question.look.map(|look| (look.result, look.user)), Some(("ok".into(), other.user().unwrap())));
        assert_eq!(town.registry.counts().await.unwrap(), before);
        town.clock.store(MONDAY + 4000, Ordering::SeqCst);
        let answer = CrewAction {
            key: IdempotencyKey::fresh(), answers: Some(asks.key), deed: Deed::Check(Check { mine_counts: true, ..bad }), ..asks
        };
        assert!(matches!(town.registry.carry_out(answer, &crew).await.unwrap(), CrewOutcome::Done(_)));
        let (_, looked) = town.registry.find_spot_check(check.id).await.unwrap();
        let found: Vec<_> = looked.iter().map(|plate| plate.found.as_ref().map(|(result, _, _)| result.as_str())).collect();
        assert_eq!(found, [Some("missing"), None, None]);

        // Of two at once exactly one is asked; a draw of other covers asks for nothing here.
        let ok = town.seen(&crew, Deed::Check(seen(Some(second.token), second.cover, CheckResult::Ok))).await;
        let harm = town.seen(&other, Deed::Check(seen(Some(second.token), second.cover, CheckResult::Damaged))).await;
        let race = tokio::join!(town.registry.carry_out(ok, &crew), town.registry.carry_out(harm, &other));
        let asked = [race.0.unwrap(), race.1.unwrap()].iter().filter(|done| matches!(done, CrewOutcome::Question(_))).count();
        assert_eq!(asked, 1);
        let elsewhere = hung.iter().find(|(cover, _)| drawn.iter().all(|plate| plate.plate.cover != *cover)).unwrap();
        let stray = town.seen(&crew, Deed::Check(seen(Some(elsewhere.1), elsewhere.0, CheckResult::Ok))).await;
        let refused = town.registry.carry_out(stray, &crew).await;
        assert!(matches!(refused, Err(RegistryError::NotFound(refusal)) if refusal.code == "spot_check.not_drawn"));
        // A look that no draw asked for closes the draw as well.
        deed(&town, Deed::Check(look(Some(third.token), third.cover, CheckResult::Ok)), &other).await;
        assert_eq!(package(true).await.len(), 3);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }
}
