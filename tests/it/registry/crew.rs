//! 外业: each deed once, and whoever comes second hears what is true.

use lidmark::domain::case::CaseState;
use lidmark::domain::cover::CoverClass;
use lidmark::domain::crew::{
    Check, CheckResult, CrewAction, Deed, FieldFix, FieldPhotoRef, FieldPhotoRole, Fit, Found, Mishap,
    NewFind, PlateMishap,
};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{CoverId, FieldPhotoId, IdempotencyKey, Millis};
use lidmark::domain::plate::{PlateSpot, PlateState};
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::registry::{
    CaseFilter, CrewDone, CrewOutcome, CrewQuestion, KeptPhoto, NewBatch, NewReport, RegistryError, Theirs,
};
use rand::SeedableRng;
use serde_json::Value;

use super::ground::{MONDAY, Town, batch, candidate, plate, report};
use crate::both_engines;

pub fn action(deed: Deed) -> CrewAction {
    CrewAction {
        key: IdempotencyKey::fresh(),
        answers: None,
        done_at: Millis(MONDAY),
        position: None,
        photos: Vec::new(),
        note: None,
        deed,
    }
}

fn at(lon: f64, lat: f64, accuracy_m: f64) -> Option<FieldFix> {
    Some(FieldFix { lon, lat, accuracy_m, fixes: 8, taken_at: Millis(MONDAY) })
}

fn fit(token: Token, cover: CoverId) -> Fit {
    Fit { token, cover, seen_version: Some(1), spot: PlateSpot::Public, replace: false }
}

/// A look of the crew's own accord.
pub fn look(token: Option<Token>, cover: CoverId, result: CheckResult) -> Check {
    Check { token, cover, result, spot_check: None, mine_counts: false }
}

fn find(class: CoverClass, token: Option<Token>) -> NewFind {
    NewFind {
        class,
        placement: None,
        road: Some("西四路".into()),
        address: None,
        accuracy_accepted: false,
        token,
        spot: PlateSpot::Public,
        nearby_seen: Vec::new(),
    }
}

fn done(outcome: Result<CrewOutcome, RegistryError>) -> CrewDone {
    match outcome.unwrap() {
        CrewOutcome::Done(done) => *done,
        CrewOutcome::Question(question) => panic!("{question:?}"),
    }
}

fn asked(outcome: Result<CrewOutcome, RegistryError>) -> CrewQuestion {
    match outcome.unwrap() {
        CrewOutcome::Question(question) => *question,
        CrewOutcome::Done(done) => panic!("{done:?}"),
    }
}

fn codes(done: &CrewDone) -> Vec<&str> {
    done.notices.iter().map(|notice| notice.code.as_str()).collect()
}

impl Town {
    /// Covers without plates along the street; answers their ids.
    async fn bare(&self, from: u64, count: u64) -> Vec<CoverId> {
        let rows = (from..from + count).map(|at| candidate(at, CoverClass::Storm)).collect();
        let made = self.import(rows).await.into_iter();
        made.map(|outcome| match outcome {
            lidmark::registry::Outcome::Created(cover) => cover,
            other => panic!("{other:?}"),
        })
        .collect()
    }

    async fn blanks(&self, count: i64, seed: u64) -> Vec<Token> {
        let (order, mut random) = (batch(count), rand::rngs::SmallRng::seed_from_u64(seed));
        let plates: Vec<_> = (1..=count).map(|at| plate(&order, at, Token::draw(&mut random))).collect();
        let tokens = plates.iter().map(|plate| plate.token).collect();
        self.registry.commit_batch(NewBatch { batch: order, plates }).await.unwrap();
        tokens
    }

    /// A deed with a photo of the plate.
    pub async fn seen(&self, crew: &Actor, deed: Deed) -> CrewAction {
        CrewAction { photos: vec![self.photo(crew, 7, FieldPhotoRole::Plate).await], ..action(deed) }
    }

    async fn photo(&self, crew: &Actor, byte: u8, role: FieldPhotoRole) -> FieldPhotoRef {
        let id = FieldPhotoId::fresh();
        self.registry.announce_field_photo(id, 1000, crew).await.unwrap();
        let kept = KeptPhoto { digest: [byte; 32], media_type: "image/jpeg".into(), width: 40, height: 30 };
        self.registry.keep_field_photo(id, kept).await.unwrap();
        FieldPhotoRef { id, role }
    }

    async fn file(&self, cover: CoverId) -> Vec<Value> {
        let manhole = self.registry.find_cover(cover).await.unwrap().unwrap().manhole;
        let entries = self.registry.list_history(manhole).await.unwrap();
        entries.iter().map(|entry| serde_json::from_str(&entry.body).unwrap()).collect()
    }

    async fn is_sound(&self) {
        assert_eq!(self.registry.check_tables().await.unwrap().findings, []);
    }

    async fn open_cases(&self, hazard: Hazard) -> usize {
        let filter = CaseFilter { hazard: Some(hazard), limit: 50, ..CaseFilter::default() };
        let cases = self.registry.list_cases(filter, &Actor::System).await.unwrap();
        cases.iter().filter(|line| line.case.state.is_open()).count()
    }
}

both_engines! {
    async fn a_fitted_plate_keeps_photo_position_and_distance_and_an_old_one_leads_to_the_newest(ground: Ground) {
        let town = Town::found(&ground).await;
        let crew = town.staff("crew", Role::Crew).await;
        let (cover, blanks) = (town.bare(0, 1).await[0], town.blanks(4, 1).await);
        let refused = town.registry.carry_out(action(Deed::Fit(fit(blanks[0], cover))), &crew).await;
        assert!(matches!(refused, Err(RegistryError::Refused(refusal)) if refusal.code == "action.fit_photo"));
        let mut first = town.seen(&crew, Deed::Fit(fit(blanks[0], cover))).await;
        first.position = at(118.59, 37.4601, 4.0);
        let fitted = done(town.registry.carry_out(first.clone(), &crew).await);
        assert_eq!((fitted.distance_m, codes(&fitted)), (Some(11.1), vec![]));
        assert_eq!(fitted.cover.as_ref().unwrap().plates[0].token, blanks[0]);
        // The same again, after a lost answer: the same answer, and nothing twice.
        let length = town.file(cover).await.len();
        assert_eq!(done(town.registry.carry_out(first.clone(), &crew).await), fitted);
        assert_eq!(town.file(cover).await.len(), length);
        let other = CrewAction { note: Some("x".into()), ..first.clone() };
        let refused = town.registry.carry_out(other, &crew).await;
        assert!(matches!(refused, Err(RegistryError::Conflict(refusal)) if refusal.code == "idempotency.other_request"));
        let event = town.registry.list_plate_events(blanks[0]).await.unwrap().pop().unwrap();
        let fix = event.fix.unwrap();
        assert_eq!((event.state, fix.distance_m, fix.accuracy_m), (PlateState::Installed, Some(11.1), Some(4.0)));
        let said = town.file(cover).await.pop().unwrap();
        assert_eq!((&said["distance_m"], &said["photos"][0]), (&11.1.into(), &"07".repeat(32).into()));

        // Another one is a question, then it takes the place, far away and marked; a third does so again.
        let second = town.seen(&crew, Deed::Fit(fit(blanks[1], cover))).await;
        let question = asked(town.registry.carry_out(second, &crew).await);
        assert_eq!((question.refusal.code, question.choices), ("cover.wears_plate", &["replace", "discard"][..]));
        assert!(matches!(&question.theirs, Theirs::Cover(theirs) if theirs.plates[0].token == blanks[0]));
        for blank in &blanks[1..3] {
            let mut again = town.seen(&crew, Deed::Fit(Fit { replace: true, ..fit(*blank, cover) })).await;
            again.position = at(118.59, 37.461, 4.0);
            assert_eq!(codes(&done(town.registry.carry_out(again, &crew).await)), ["crew.far"]);
        }
        assert_eq!(town.file(cover).await.pop().unwrap()["far"], true);
        let oldest = town.registry.find_plate(blanks[0]).await.unwrap().unwrap().plate;
        assert_eq!((oldest.state, oldest.successor), (PlateState::Replaced, Some(blanks[2])), "not the one between");
        // One under the cover leaves the one outside alone.
        let inner = Fit { spot: PlateSpot::Inner, ..fit(blanks[3], cover) };
        let inner = town.seen(&crew, Deed::Fit(inner)).await;
        let both = done(town.registry.carry_out(inner, &crew).await).cover.unwrap();
        let worn: Vec<_> = both.plates.iter().map(|plate| (plate.spot, plate.state)).collect();
        assert!(worn.len() == 2 && worn.iter().all(|(_, state)| *state == PlateState::Installed), "{worn:?}");
        let old = town.seen(&crew, Deed::Fit(fit(blanks[0], cover))).await;
        let withdrawn = asked(town.registry.carry_out(old, &crew).await);
        assert_eq!(withdrawn.refusal.code, "plate.withdrawn");
        let lost = Mishap { token: blanks[3], state: PlateMishap::Lost, reason: "井内铭牌不见了".into() };
        done(town.registry.carry_out(action(Deed::Plate(lost)), &crew).await);
        assert_eq!(town.registry.find_plate(blanks[3]).await.unwrap().unwrap().plate.state, PlateState::Lost);
        town.is_sound().await;
    }

    async fn an_action_waits_for_its_photos_and_another_ones_are_none_of_its(ground: Ground) {
        let town = Town::found(&ground).await;
        let (crew, other) = (town.staff("crew", Role::Crew).await, town.staff("other", Role::Crew).await);
        let (cover, blanks) = (town.bare(0, 1).await[0], town.blanks(1, 2).await);
        let foreign = town.photo(&other, 9, FieldPhotoRole::Plate).await;
        let mut order = action(Deed::Fit(fit(blanks[0], cover)));
        order.photos = vec![foreign];
        let question = asked(town.registry.carry_out(order.clone(), &crew).await);
        assert_eq!((question.refusal.code, question.choices), ("photo.not_here", &["send_photos"][..]));
        assert_eq!(town.registry.find_plate(blanks[0]).await.unwrap().unwrap().plate.state, PlateState::Printed);
        let taken = town.registry.announce_field_photo(foreign.id, 1000, &crew).await;
        assert!(matches!(taken, Err(RegistryError::Conflict(refusal)) if refusal.code == "photo.taken"));
        // The same action under the same key, once its photo is here.
        order.photos = vec![town.photo(&crew, 9, FieldPhotoRole::Plate).await];
        done(town.registry.carry_out(order, &crew).await);
        town.is_sound().await;
    }

    async fn a_changed_cover_comes_back_as_a_question(ground: Ground) {
        let town = Town::found(&ground).await;
        let (crew, engineer) = (town.staff("crew", Role::Crew).await, town.staff("ying", Role::Engineer).await);
        let (covers, blanks) = (town.bare(0, 2).await, town.blanks(2, 3).await);
        let file = town.registry.find_cover(covers[0]).await.unwrap().unwrap();
        let edit = |edit: lidmark::domain::edit::CoverEdit, version| lidmark::registry::CoverOrder {
            key: IdempotencyKey::fresh(),
            code: file.code.digits.clone(),
            expected_version: version,
            reason: "seen".into(),
            actor: engineer.clone(),
            what: lidmark::registry::FieldEdit { edit, code: lidmark::domain::edit::CodeChoice::Keep },
        };
        let road = lidmark::domain::edit::CoverEdit { road: Some(Some("北一路".into())), ..Default::default() };
        town.registry.edit_cover(edit(road, 1)).await.unwrap();
        // The road is no business of the plate; the class is.
        let mut first = town.seen(&crew, Deed::Fit(fit(blanks[0], covers[0]))).await;
        let class = lidmark::domain::edit::CoverEdit { class: Some(CoverClass::Sewage), ..Default::default() };
        town.registry.edit_cover(edit(class, 2)).await.unwrap();
        let question = asked(town.registry.carry_out(first.clone(), &crew).await);
        assert_eq!((question.refusal.code, question.choices), ("cover.changed", &["again", "discard"][..]));
        assert!(question.changes.iter().any(|change| change.field == "class"), "{:?}", question.changes);
        first = CrewAction { key: IdempotencyKey::fresh(), answers: Some(first.key), ..first };
        first.deed = Deed::Fit(Fit { seen_version: Some(3), ..fit(blanks[0], covers[0]) });
        done(town.registry.carry_out(first, &crew).await);
        assert_eq!(ground.sql("SELECT COUNT(*) FROM crew_actions WHERE answers IS NOT NULL"), "1");
        town.is_sound().await;
    }

    async fn of_two_crews_with_one_plate_or_one_cover_exactly_one_wins(ground: Ground) {
        let town = Town::found(&ground).await;
        let (one, other) = (town.staff("one", Role::Crew).await, town.staff("other", Role::Crew).await);
        let (covers, blanks) = (town.bare(0, 24).await, town.blanks(24, 4).await);
        for at in (0..12).step_by(2) {
            // One plate, two covers.
            let left = town.seen(&one, Deed::Fit(fit(blanks[at], covers[at]))).await;
            let right = town.seen(&other, Deed::Fit(fit(blanks[at], covers[at + 1]))).await;
            let race = tokio::join!(town.registry.carry_out(left, &one), town.registry.carry_out(right, &other));
            let question = loser(race);
            assert_eq!(question.refusal.code, "plate.bound_elsewhere");
            assert!(matches!(&question.theirs, Theirs::Plate(theirs) if theirs.cover.is_some()), "{question:?}");
        }
        for at in 0..6 {
            // Two plates, one cover.
            let left = town.seen(&one, Deed::Fit(fit(blanks[12 + 2 * at], covers[12 + at]))).await;
            let right = town.seen(&other, Deed::Fit(fit(blanks[13 + 2 * at], covers[12 + at]))).await;
            let race = tokio::join!(town.registry.carry_out(left, &one), town.registry.carry_out(right, &other));
            let question = loser(race);
            assert_eq!(question.refusal.code, "cover.wears_plate");
            assert!(matches!(&question.theirs, Theirs::Cover(theirs) if theirs.plates.len() == 1), "{question:?}");
        }
        town.is_sound().await;
    }

    async fn a_cover_found_on_the_spot_gets_district_code_file_and_plate_at_once(ground: Ground) {
        let town = Town::found(&ground).await;
        let (one, other) = (town.staff("one", Role::Crew).await, town.staff("other", Role::GridWorker).await);
        let blanks = town.blanks(4, 5).await;
        town.draw_dongying().await;
        let order = |find: NewFind, lon: f64| CrewAction { position: at(lon, 37.45, 5.0), ..action(Deed::Survey(find)) };
        let bare = order(find(CoverClass::Heating, Some(blanks[0])), 118.6);
        let refused = town.registry.carry_out(bare.clone(), &one).await;
        assert!(matches!(refused, Err(RegistryError::Refused(refusal)) if refusal.code == "action.fit_photo"));
        let shot = async || vec![town.photo(&one, 7, FieldPhotoRole::Plate).await];
        let found = done(town.registry.carry_out(CrewAction { photos: shot().await, ..bare }, &one).await);
        let cover = found.cover.unwrap();
        assert_eq!((cover.file.survey.district.as_str(), cover.plates[0].state), ("370502", PlateState::Installed));
        assert!(cover.file.code.digits.starts_with("370502"), "{}", cover.file.code);
        let outside = town.registry.carry_out(order(find(CoverClass::Heating, None), 118.9), &one).await;
        assert!(matches!(outside, Err(RegistryError::Refused(refusal)) if refusal.code == "position.outside_jurisdiction"));
        // Two crews at the same new cover: the second is asked whether it is the same.
        for round in 0..4 {
            let lon = 118.61 + f64::from(round) * 0.001;
            let [left, right] = [0, 1].map(|_| order(find(CoverClass::Power, None), lon));
            let race = tokio::join!(town.registry.carry_out(left, &one), town.registry.carry_out(right.clone(), &other));
            let question = loser(race);
            assert_eq!((question.refusal.code, question.nearby.len()), ("cover.nearby", 1));
            let mut seen = find(CoverClass::Power, None);
            seen.nearby_seen = question.nearby.iter().map(|cover| cover.file.cover).collect();
            let two = done(town.registry.carry_out(order(seen, lon), &other).await);
            assert_ne!(two.cover.unwrap().file.code, question.nearby[0].file.code);
        }
        // A plate that is another cover's loses the whole find, not half of it.
        let before = town.registry.counts().await.unwrap();
        let gas = CrewAction { photos: shot().await, ..order(find(CoverClass::Gas, Some(blanks[0])), 118.65) };
        let question = asked(town.registry.carry_out(gas, &one).await);
        assert_eq!(question.refusal.code, "plate.bound_elsewhere");
        assert_eq!(town.registry.counts().await.unwrap(), before);
        town.is_sound().await;
    }

    async fn what_was_mended_on_the_spot_is_checked_and_closed_by_others(ground: Ground) {
        let town = Town::found(&ground).await;
        let crew = town.staff("crew", Role::Crew).await;
        let cover = town.bare(0, 1).await[0];
        let found = |hazard| Found { cover, hazard, description: Some("井盖松动".into()) };
        let refused = town.registry.carry_out(action(Deed::Fix(found(Hazard::Rocking))), &crew).await;
        assert!(matches!(refused, Err(RegistryError::Refused(refusal)) if refusal.code == "action.fix_photos"));
        let mut fix = action(Deed::Fix(found(Hazard::Rocking)));
        fix.photos = vec![
            town.photo(&crew, 1, FieldPhotoRole::Before).await,
            town.photo(&crew, 2, FieldPhotoRole::After).await,
        ];
        let number = done(town.registry.carry_out(fix.clone(), &crew).await).case.unwrap();
        assert_eq!(done(town.registry.carry_out(fix, &crew).await).case.as_ref(), Some(&number));
        let file = town.registry.find_case(&number, &Actor::System).await.unwrap().unwrap();
        assert_eq!((file.case.state, file.case.handed_in_by), (CaseState::Handled, crew.user()));
        assert_eq!(file.case.party, Some(town.water), "the owner is asked when the check fails");
        let roles: Vec<&str> = file.photos.iter().map(|photo| photo.role.as_str()).collect();
        assert_eq!(roles, ["before", "after"]);
        // A report waits at the desk; the next crew joins it, and mends it.
        let number = done(town.registry.carry_out(action(Deed::Report(found(Hazard::Level))), &crew).await).case.unwrap();
        let again = done(town.registry.carry_out(action(Deed::Report(found(Hazard::Level))), &crew).await);
        assert_eq!((again.case.as_ref(), codes(&again)), (Some(&number), vec!["crew.case_joined"]));
        let mut fix = action(Deed::Fix(found(Hazard::Level)));
        fix.photos = vec![
            town.photo(&crew, 3, FieldPhotoRole::Before).await,
            town.photo(&crew, 4, FieldPhotoRole::After).await,
        ];
        assert_eq!(done(town.registry.carry_out(fix, &crew).await).case.as_ref(), Some(&number));
        let case = town.registry.find_case(&number, &Actor::System).await.unwrap().unwrap().case;
        assert_eq!((case.state, case.report_count), (CaseState::Handled, 3));
        town.is_sound().await;
    }

    async fn a_check_marks_what_it_found_and_names_a_plate_that_is_not_the_covers(ground: Ground) {
        let town = Town::found(&ground).await;
        let crew = town.staff("crew", Role::Crew).await;
        let tokens = town.plated(2).await;
        let cover = town.registry.find_plate(tokens[0]).await.unwrap().unwrap().plate.cover.unwrap();
        let check = |token, result| action(Deed::Check(look(token, cover, result)));
        let well = done(town.registry.carry_out(check(Some(tokens[0]), CheckResult::Ok), &crew).await);
        assert_eq!((well.result, codes(&well)), (Some(CheckResult::Ok), vec![]));
        let wrong = done(town.registry.carry_out(check(Some(tokens[1]), CheckResult::Ok), &crew).await);
        assert_eq!((wrong.result, codes(&wrong)), (Some(CheckResult::WrongPlate), vec!["crew.other_plate"]));
        let state = async || town.registry.find_plate(tokens[0]).await.unwrap().unwrap().plate.state;
        done(town.registry.carry_out(check(None, CheckResult::Missing), &crew).await);
        assert_eq!(state().await, PlateState::Lost);
        done(town.registry.carry_out(check(Some(tokens[0]), CheckResult::Ok), &crew).await);
        assert_eq!(state().await, PlateState::Installed);
        done(town.registry.carry_out(check(Some(tokens[0]), CheckResult::Unreadable), &crew).await);
        assert_eq!(state().await, PlateState::Damaged);
        town.is_sound().await;
    }

    async fn a_plate_met_far_from_its_cover_by_several_raises_one_case(ground: Ground) {
        let town = Town::found(&ground).await;
        let crew = town.staff("crew", Role::Crew).await;
        let tokens = town.plated(2).await;
        let place = |lon: f64| lidmark::domain::case::PhonePosition { lon, lat: 37.46, accuracy_m: 20.0 };
        let far = |position| NewReport { phone_position: position, ..report(tokens[0], Hazard::Odour) };
        let say = async |new: NewReport| drop(town.registry.report_hazard(new).await.unwrap());
        let raised = async || town.open_cases(Hazard::PlateOutOfPlace).await;
        for _ in 0..5 {
            // At the cover, or nowhere.
            say(far(Some(place(118.5901)))).await;
            say(far(None)).await;
        }
        say(far(Some(place(118.60)))).await;
        say(far(Some(place(118.60)))).await;
        assert_eq!(raised().await, 0);
        let cover = town.registry.find_plate(tokens[0]).await.unwrap().unwrap().plate.cover.unwrap();
        let check = look(Some(tokens[0]), cover, CheckResult::Ok);
        done(town.registry.carry_out(CrewAction { position: at(118.60, 37.46, 5.0), ..action(Deed::Check(check)) }, &crew).await);
        assert_eq!(raised().await, 1);
        for _ in 0..5 {
            say(far(Some(place(118.60)))).await;
        }
        assert_eq!(raised().await, 1, "one case, not one a report");
        say(NewReport { phone_position: None, ..report(tokens[0], Hazard::PlatePastedOver) }).await;
        say(report(tokens[0], Hazard::PlatePastedOver)).await;
        assert_eq!(town.open_cases(Hazard::PlatePastedOver).await, 1);
        town.is_sound().await;
    }

    async fn a_package_names_streets_and_their_covers_with_every_plate_on_its_way(ground: Ground) {
        let town = Town::found(&ground).await;
        let crew = town.staff("crew", Role::Crew).await;
        town.plated(3).await;
        let bare = town.bare(10, 2).await;
        let held = town.blanks(2, 6).await;
        let holder = "(SELECT id FROM users WHERE login = 'crew')";
        let token = held[0].to_i64();
        ground.sql(&format!("UPDATE plates SET state = 'issued', holder = {holder} WHERE token = {token}"));
        let streets = town.registry.list_streets().await.unwrap();
        assert_eq!(streets.len(), 1);
        assert_eq!((streets[0].covers, streets[0].without_plate), (5, 2));
        let order = lidmark::registry::PackageOrder { road: Some("黄河路".into()), limit: 4, ..Default::default() };
        let first = town.registry.list_package(order.clone()).await.unwrap();
        let after = first.last().map(|cover| cover.file.cover);
        let rest = town.registry.list_package(lidmark::registry::PackageOrder { after, ..order }).await.unwrap();
        let all: Vec<_> = first.iter().chain(&rest).collect();
        assert_eq!((all.len(), all.iter().filter(|cover| cover.plates.is_empty()).count()), (5, 2));
        assert!(bare.iter().all(|bare| all.iter().any(|cover| cover.file.cover == *bare)));
        let stock = town.registry.list_crew_stock(&crew, None, 10).await.unwrap();
        assert_eq!(stock.iter().map(|(plate, _)| plate.token).collect::<Vec<_>>(), [held[0]]);
        assert!(town.registry.find_crew_plate(held[0], &crew).await.unwrap().unwrap().yours);
        let other = town.staff("other", Role::Crew).await;
        let hung = town.seen(&other, Deed::Fit(fit(held[0], bare[0]))).await;
        let fitted = done(town.registry.carry_out(hung, &other).await);
        assert_eq!(codes(&fitted), ["crew.held_by_other"]);
        assert_eq!(town.registry.list_crew_stock(&crew, None, 10).await.unwrap(), []);
        town.is_sound().await;
    }
}

/// Exactly one of two won; the question of the other.
fn loser(race: (Result<CrewOutcome, RegistryError>, Result<CrewOutcome, RegistryError>)) -> CrewQuestion {
    match (race.0.unwrap(), race.1.unwrap()) {
        (CrewOutcome::Done(_), CrewOutcome::Question(question))
        | (CrewOutcome::Question(question), CrewOutcome::Done(_)) => *question,
        both => panic!("both or nobody: {both:?}"),
    }
}
