//! 普查台账: a run that was killed goes on or is taken back, and a full survey proposes what it passed over.

use lidmark::domain::cover::{Candidate, CoverClass, CoverState};
use lidmark::domain::edit::{PlatesGo, RetireReason};
use lidmark::domain::import_run::{ImportNumber, ImportState, PassedOver};
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{
    CensusFile, CoverFilter, ImportMode, ImportOptions, ImportSummary, Outcome, RegistryError, Retirement,
};

use super::editing::order;
use super::ground::{Town, candidate, photo};
use crate::both_engines;

fn file(fingerprint: u8) -> CensusFile {
    CensusFile {
        name: "census.csv".into(),
        profile: "census-zh".into(),
        profile_version: 2,
        fingerprint: Some([fingerprint; 32]),
    }
}

fn writing(town: &Town, fingerprint: u8) -> ImportOptions {
    ImportOptions { file: file(fingerprint), ..town.options(ImportMode::Write) }
}

/// Chunks of a census: new covers, a row twice, bad rows in between.
fn chunks() -> Vec<(Vec<Candidate>, u64)> {
    let row = |at| candidate(at, CoverClass::Sewage);
    vec![
        ((0..40).map(row).collect(), 1),
        ((40..80).chain([3]).map(row).collect(), 0),
        ((80..100).chain([41]).map(row).collect(), 2),
    ]
}

/// Reads chunks up to `until`, as a program does that is killed then.
async fn read(town: &Town, options: ImportOptions, until: usize) -> lidmark::registry::ImportRun {
    let mut run = town.registry.begin_import(options).await.unwrap();
    run.begin_file();
    for (rows, bad) in chunks().into_iter().take(until) {
        let prepared = run.prepare(rows, bad).await.unwrap();
        run.settle().await.unwrap();
        run.begin_write(prepared);
    }
    run.settle().await.unwrap();
    run
}

const WHOLE: ImportSummary =
    ImportSummary { read: 105, created: 100, updated: 0, unchanged: 0, duplicates: 2, problems: 3 };

both_engines! {
    async fn a_killed_census_goes_on_and_its_counts_add_up(ground: Ground) {
        let town = Town::found(&ground).await;
        let first = read(&town, writing(&town, 1), 2).await;
        let number = first.number().unwrap();
        drop(first);
        assert_eq!(town.registry.find_import(number).await.unwrap().state, ImportState::Running);

        let other_file = town.registry.begin_import(writing(&town, 2)).await.unwrap();
        assert_ne!(other_file.number(), Some(number));
        assert_eq!(other_file.resumed_at(), 0);

        let again = read(&town, writing(&town, 1), 3).await;
        assert_eq!((again.number(), again.resumed_at()), (Some(number), 82));
        assert_eq!(again.finish().await.unwrap(), WHOLE);
        let record = town.registry.find_import(number).await.unwrap();
        assert_eq!((record.state, record.summary()), (ImportState::Done, WHOLE));
        assert_eq!(town.registry.counts().await.unwrap().covers, 100);
        // What came to its end is not gone on with: the same file is a run of its own.
        let third = read(&town, writing(&town, 1), 3).await;
        assert_ne!(third.number(), Some(number));
        let unchanged = ImportSummary { created: 0, unchanged: 100, ..WHOLE };
        assert_eq!(third.finish().await.unwrap(), unchanged);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn two_programs_that_go_on_with_one_run_do_not_both_write(ground: Ground) {
        let town = Town::found(&ground).await;
        let first = read(&town, writing(&town, 1), 1).await;
        let mut second = town.registry.begin_import(writing(&town, 1)).await.unwrap();
        assert_eq!(second.number(), first.number());
        assert_eq!(first.finish().await.unwrap().created, 40);
        second.begin_file();
        for (rows, bad) in chunks() {
            let prepared = second.prepare(rows, bad).await.unwrap();
            second.begin_write(prepared);
            match second.settle().await {
                Ok(_) => {}
                Err(RegistryError::Conflict(refusal)) => {
                    assert_eq!(refusal.code, "import.taken_over");
                    assert_eq!(town.registry.counts().await.unwrap().covers, 40);
                    return;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("both wrote");
    }

    async fn a_census_is_taken_back_but_for_what_somebody_has_used_since(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("engineer", Role::Engineer).await;
        town.import((0..10).map(|at| candidate(at, CoverClass::Sewage)).collect()).await;
        let before = town.registry.list_covers(CoverFilter { limit: 100, ..CoverFilter::default() }).await.unwrap();

        let mut run = town.registry.begin_import(writing(&town, 1)).await.unwrap();
        run.begin_file();
        let mut rows: Vec<Candidate> = (0..20).map(|at| candidate(at, CoverClass::Sewage)).collect();
        for row in &mut rows[..3] {
            row.survey.state = CoverState::Broken;
            row.survey.road = Some("西二路".into());
            row.survey.owner = Some("新权属单位".into());
            row.survey.extra.insert("备注".into(), "复查".into());
            row.survey.position.lon += 0.000_001;
        }
        let outcomes = run.take(rows).await.unwrap();
        let number = run.number().unwrap();
        run.finish().await.unwrap();
        let created: Vec<_> = outcomes.iter().filter_map(|row| match row.outcome {
            Outcome::Created(cover) => Some(cover),
            _ => None,
        }).collect();
        assert_eq!(created.len(), 10);
        // Somebody photographs one of the new covers, and another run corrects one of the changed ones.
        let used = town.registry.find_cover(created[4]).await.unwrap().unwrap();
        town.registry.add_cover_photos(&used.code.digits, vec![photo(9)], &engineer).await.unwrap();
        let mut corrected = candidate(2, CoverClass::Sewage);
        corrected.survey.state = CoverState::Missing;
        corrected.survey.road = Some("西二路".into());
        town.import(vec![corrected]).await;
        // A cover that was here before makes way for a new one.
        let heir = town.registry.find_cover(created[6]).await.unwrap().unwrap();
        let what = Retirement {
            reason: RetireReason::Replaced,
            successor: Some(heir.code.digits),
            plates: PlatesGo::Withdrawn,
        };
        town.registry.retire_cover(order(&before[9], &engineer, what)).await.unwrap();

        let back = town.registry.roll_back_import(number, &engineer).await.unwrap();
        assert_eq!((back.removed, back.restored, back.kept), (8, 2, 3));
        let record = town.registry.find_import(number).await.unwrap();
        assert_eq!((record.state, record.kept), (ImportState::RolledBack, 3));
        assert_eq!(town.registry.counts().await.unwrap().covers, 11, "one retired, its successor kept");
        for file in &before[..2] {
            let now = town.registry.find_cover(file.cover).await.unwrap().unwrap();
            assert_eq!(now.survey, file.survey, "as before");
        }
        let twice = town.registry.roll_back_import(number, &Actor::System).await;
        assert!(matches!(twice, Err(RegistryError::Conflict(refusal)) if refusal.code == "import.rolled_back"));
        let unknown = town.registry.roll_back_import(ImportNumber(99), &Actor::System).await;
        assert!(matches!(unknown, Err(RegistryError::NotFound(refusal)) if refusal.code == "import.unknown"));
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn a_full_survey_proposes_what_it_passed_over_and_removes_nothing(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("engineer", Role::Engineer).await;
        let rows = (0..6).map(|at| candidate(at, CoverClass::Sewage)).chain([candidate(7, CoverClass::Gas)]);
        town.import(rows.collect()).await;
        let options = ImportOptions { full: true, ..writing(&town, 1) };
        let mut run = town.registry.begin_import(options).await.unwrap();
        run.begin_file();
        run.take((0..4).map(|at| candidate(at, CoverClass::Sewage)).collect()).await.unwrap();
        let number = run.number().unwrap();
        run.finish().await.unwrap();
        // The gas cover is of a class that this survey did not look at.
        let passed_over = town.registry.list_passed_over(number, None, 10).await.unwrap();
        let keys: Vec<_> = passed_over.iter().map(|file| file.source_key.as_deref().unwrap()).collect();
        assert_eq!(keys, ["000004", "000005"]);
        assert_eq!(town.registry.counts().await.unwrap().covers, 7);

        let [lost, there] = [passed_over[0].cover, passed_over[1].cover];
        town.registry.decide_passed_over(number, lost, PassedOver::NotFound, &engineer).await.unwrap();
        town.registry.decide_passed_over(number, there, PassedOver::Keep, &engineer).await.unwrap();
        let again = town.registry.decide_passed_over(number, lost, PassedOver::Keep, &engineer).await;
        assert!(matches!(again, Err(RegistryError::Conflict(refusal)) if refusal.code == "passed_over.decided"));
        assert_eq!(town.registry.count_passed_over(number).await.unwrap(), 0);
        let file = town.registry.find_cover(lost).await.unwrap().unwrap();
        assert_eq!(file.survey.extra.get("survey_status").map(String::as_str), Some("not_found"));
        assert!(town.registry.list_history(file.manhole).await.unwrap().last().unwrap().body.contains("passed_over"));
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }
}
