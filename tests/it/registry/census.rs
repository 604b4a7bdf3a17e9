//! 普查: rows become covers, once.

use lidmark::domain::code::ComponentCode;
use lidmark::domain::cover::{CoverClass, CoverState};
use lidmark::domain::history::HistoryKind;
use lidmark::registry::{CoverFilter, ImportMode, Outcome};

use super::ground::{Town, candidate};
use crate::both_engines;

both_engines! {
    async fn a_second_run_of_the_same_rows_changes_nothing(ground: Ground) {
        let town = Town::found(&ground).await;
        let rows: Vec<_> = (0..1200).map(|at| candidate(at, CoverClass::ALL[(at % 12) as usize])).collect();
        let first = town.import(rows.clone()).await;
        assert!(first.iter().all(|outcome| matches!(outcome, Outcome::Created(_))));
        let feed = town.registry.last_change().await.unwrap();
        let second = town.import(rows).await;
        assert!(second.iter().all(|outcome| matches!(outcome, Outcome::Unchanged(_))));
        assert_eq!(town.registry.last_change().await.unwrap(), feed);
        assert_eq!(town.registry.counts().await.unwrap().covers, 1200);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
    }

    async fn codes_are_numbered_on_within_district_and_class_and_found_again(ground: Ground) {
        let town = Town::found(&ground).await;
        town.import(vec![candidate(1, CoverClass::Sewage), candidate(2, CoverClass::Gas)]).await;
        town.import(vec![candidate(3, CoverClass::Sewage)]).await;
        for (code, key) in [("3705020102000001", "000001"), ("3705020111000001", "000002"), ("3705020102000002", "000003")] {
            let file = town.registry.find_cover_by_code(code).await.unwrap().unwrap();
            assert_eq!(file.source_key.as_deref(), Some(key));
            assert_eq!(town.registry.grouped_code(&file.code).replace(' ', ""), code);
        }
        assert_eq!(town.registry.find_cover_by_code("370502 01 02 000002").await.unwrap().unwrap().survey.road.as_deref(), Some("黄河路"));
        assert_eq!(town.registry.find_cover_by_code("3705020102000099").await.unwrap(), None);
    }

    async fn a_brought_code_is_kept_and_never_given_twice(ground: Ground) {
        let town = Town::found(&ground).await;
        let code = |digits: &str| Some(ComponentCode { scheme: "component-16".into(), digits: digits.into() });
        let mut own = candidate(1, CoverClass::Sewage);
        own.code = code("3705020102000007");
        let mut thief = candidate(2, CoverClass::Sewage);
        thief.code = code("3705020102000007");
        let outcomes = town.import(vec![own.clone(), thief.clone(), candidate(3, CoverClass::Sewage)]).await;
        assert!(matches!(outcomes[0], Outcome::Created(_)));
        assert!(matches!(&outcomes[1], Outcome::Problem(refusal) if refusal.code == "code.twice"));
        let numbered = town.registry.find_cover_by_code("3705020102000008").await.unwrap().unwrap();
        assert_eq!(numbered.source_key.as_deref(), Some("000003"));
        // Later, too: the thief is told, the owner's second run changes nothing.
        let outcomes = town.import(vec![thief, own]).await;
        assert!(matches!(&outcomes[0], Outcome::Problem(_)));
        assert!(matches!(&outcomes[1], Outcome::Unchanged(_)), "{outcomes:?}");
    }

    async fn a_changed_row_updates_what_it_knows_and_writes_it_into_the_file(ground: Ground) {
        let town = Town::found(&ground).await;
        town.import(vec![candidate(1, CoverClass::Sewage)]).await;
        let mut changed = candidate(1, CoverClass::Sewage);
        changed.survey.state = CoverState::Broken;
        changed.survey.road = None;
        changed.survey.position.lon += 0.00001;
        changed.survey.position.accuracy_m = Some(5.0);
        let outcomes = town.import(vec![changed]).await;
        assert!(matches!(outcomes[0], Outcome::Updated(_)));
        let file = town.registry.find_cover_by_code("3705020102000001").await.unwrap().unwrap();
        assert_eq!(file.survey.state, CoverState::Broken);
        assert_eq!(file.survey.road.as_deref(), Some("黄河路"), "unknown does not erase");
        assert_eq!(file.survey.position.accuracy_m, Some(0.05), "a worse position does not replace a better one");
        assert_eq!(file.version, 2);
        assert_eq!(file.owner.unwrap().hotline.as_deref(), Some("0546-0000001"));
        let history = town.registry.list_history(file.manhole).await.unwrap();
        let kinds: Vec<HistoryKind> = history.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [HistoryKind::Created, HistoryKind::Updated]);
        assert!(history[1].body.contains("\"state\":[\"intact\",\"broken\"]"), "{}", history[1].body);
    }

    async fn repeated_points_are_duplicates_and_unfit_rows_are_problems(ground: Ground) {
        let town = Town::found(&ground).await;
        let keyless = |at: u64| {
            let mut row = candidate(at, CoverClass::Sewage);
            row.source_key = None;
            row
        };
        let mut elsewhere = candidate(9, CoverClass::Sewage);
        elsewhere.survey.district = "999999".into();
        let rows = vec![keyless(1), keyless(1), keyless(2), elsewhere, candidate(4, CoverClass::Combined)];
        let outcomes = town.import(rows.clone()).await;
        assert!(matches!(outcomes[0], Outcome::Created(_)));
        assert!(matches!(outcomes[1], Outcome::Duplicate(of) if of.line == 3));
        assert!(matches!(outcomes[2], Outcome::Created(_)));
        assert!(matches!(&outcomes[3], Outcome::Problem(refusal) if refusal.code == "district.unknown"));
        assert!(matches!(&outcomes[4], Outcome::Problem(refusal) if refusal.code == "code.class"));
        let again = town.import(rows).await;
        assert!(matches!(again[0], Outcome::Unchanged(_)));
        assert!(matches!(again[1], Outcome::Duplicate(_)));
        assert!(matches!(again[2], Outcome::Unchanged(_)));
    }

    async fn a_dry_run_says_the_same_and_writes_nothing(ground: Ground) {
        let town = Town::found(&ground).await;
        let mut run = town.registry.begin_import(town.options(ImportMode::DryRun)).await.unwrap();
        run.begin_file();
        run.take(vec![candidate(1, CoverClass::Sewage), candidate(1, CoverClass::Sewage)]).await.unwrap();
        assert_eq!((run.summary.read, run.summary.created, run.summary.duplicates), (2, 1, 1));
        assert_eq!(town.registry.counts().await.unwrap().covers, 0);
    }

    async fn two_runs_at_once_number_without_a_gap_and_without_a_repeat(ground: Ground) {
        let town = Town::found(&ground).await;
        let mut runs = [
            town.registry.begin_import(town.options(ImportMode::Write)).await.unwrap(),
            town.registry.begin_import(town.options(ImportMode::Write)).await.unwrap(),
        ];
        for chunk in 0..6 {
            let rows = (0..10).map(|at| candidate(chunk * 10 + at, CoverClass::Sewage)).collect();
            let outcomes = runs[(chunk % 2) as usize].take(rows).await.unwrap();
            assert!(outcomes.iter().all(|row| matches!(row.outcome, Outcome::Created(_))));
        }
        let filter = CoverFilter { limit: 100, ..CoverFilter::default() };
        let mut codes: Vec<String> =
            town.registry.list_covers(filter).await.unwrap().into_iter().map(|file| file.code.digits).collect();
        codes.sort();
        let expected: Vec<String> = (1..=60).map(|number| format!("3705020102{number:06}")).collect();
        assert_eq!(codes, expected);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        // The second run did not know of the first one's codes.
        let mut thief = candidate(100, CoverClass::Sewage);
        thief.code = Some(ComponentCode { scheme: "component-16".into(), digits: "3705020102000001".into() });
        let outcomes = runs[1].take(vec![thief]).await.unwrap();
        assert!(matches!(&outcomes[0].outcome, Outcome::Problem(refusal) if refusal.code == "code.taken"));
    }

    async fn a_chunk_is_prepared_while_the_one_before_is_written(ground: Ground) {
        let town = Town::found(&ground).await;
        let mut run = town.registry.begin_import(town.options(ImportMode::Write)).await.unwrap();
        run.begin_file();
        let rows = |from: u64| (from..from + 600).map(|at| candidate(at, CoverClass::Sewage)).collect::<Vec<_>>();
        let first = run.prepare(rows(0), 0).await.unwrap();
        run.begin_write(first);
        let mut next = rows(600);
        next[0].code = Some(ComponentCode { scheme: "component-16".into(), digits: "3705020102000007".into() });
        next[1] = candidate(3, CoverClass::Sewage);
        let next = run.prepare(next, 0).await.unwrap();
        assert_eq!(run.summary.read, 0, "nothing counts before it is committed");
        assert_eq!(run.settle().await.unwrap().len(), 600);
        run.begin_write(next);
        let outcomes = run.settle().await.unwrap();
        assert!(matches!(&outcomes[0].outcome, Outcome::Problem(refusal) if refusal.code == "code.taken"));
        assert!(matches!(&outcomes[1].outcome, Outcome::Duplicate(of) if of.line == 5), "{:?}", outcomes[1]);
        assert_eq!((run.summary.read, run.summary.created), (1200, 1198));
        assert_eq!(run.settle().await.unwrap(), []);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        let last = town.registry.find_cover_by_code("3705020102001198").await.unwrap();
        assert_eq!(last.unwrap().source_key.as_deref(), Some("001199"));
    }

    async fn lists_are_paged_and_filtered(ground: Ground) {
        let town = Town::found(&ground).await;
        town.import((0..25).map(|at| candidate(at, CoverClass::ALL[(at % 2) as usize])).collect()).await;
        let filter = CoverFilter { class: Some(CoverClass::Sewage), limit: 10, ..CoverFilter::default() };
        let first = town.registry.list_covers(filter.clone()).await.unwrap();
        let rest = town.registry.list_covers(CoverFilter { after: Some(first[9].cover), ..filter }).await.unwrap();
        assert_eq!((first.len(), rest.len()), (10, 2));
        let place = (118.59 + 0.0003, 37.46);
        let key = lidmark::domain::position::quadkey(place.0, place.1);
        let within = Some((vec![(key, key)], [118.590_25, 37.0, 118.590_35, 38.0]));
        let found = town.registry.list_covers(CoverFilter { within, limit: 10, ..CoverFilter::default() }).await.unwrap();
        assert_eq!(found.len(), 1);
        let points = town.registry.list_points(None, 100).await.unwrap();
        assert_eq!(points.len(), 25);
        assert_eq!(town.registry.list_points_by_id(&[points[3].cover]).await.unwrap(), [points[3].clone()]);
    }
}
