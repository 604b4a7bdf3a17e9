//! 井档案: nobody rewrites a file unnoticed.

use std::collections::HashSet;

use lidmark::domain::cover::CoverClass;
use lidmark::domain::edit::{MergeKind, PlatesGo, RetireReason};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::role::Role;
use lidmark::registry::{ChainState, ChangeKind, CodeEdit, Retirement};

use super::editing::{done, order};
use super::ground::{Town, candidate, report};
use super::structure::{merge, sibling};
use crate::both_engines;

both_engines! {
    async fn a_database_edited_by_hand_is_found_out_and_named(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(4).await;
        for token in &tokens {
            town.report(*token, Hazard::Broken).await;
        }
        let whole = town.registry.check_tables().await.unwrap();
        assert_eq!(whole.findings, []);
        assert_eq!((whole.files, whole.covers, whole.entries), (4, 4, 16));

        let points = town.registry.list_points(None, 10).await.unwrap();
        let mut manholes = Vec::new();
        for point in &points {
            manholes.push(town.registry.find_cover(point.cover).await.unwrap().unwrap().manhole);
        }
        manholes.sort();
        let named = |manhole: &lidmark::domain::ids::ManholeId| match ground.home() {
            crate::support::server::Home::Folder(_) => format!("X'{}'", manhole.0.simple()),
            crate::support::server::Home::Database { .. } => format!("'{manhole}'"),
        };
        // An entry rewritten, the last one removed, one hash forged, one position moved.
        ground.sql(&format!("UPDATE history SET body = '{{}}' WHERE manhole_id = {} AND sequence = 2", named(&manholes[0])));
        ground.sql(&format!("DELETE FROM history WHERE manhole_id = {} AND sequence = 4", named(&manholes[1])));
        ground.sql(&format!("UPDATE history SET at = at + 1 WHERE manhole_id = {} AND sequence = 4", named(&manholes[2])));
        ground.sql(&format!("UPDATE manholes SET lon = lon + 0.001 WHERE id = {}", named(&manholes[3])));
        let report = town.registry.check_tables().await.unwrap();
        let found: Vec<(&str, &str)> =
            report.findings.iter().map(|finding| (finding.what.as_str(), finding.which.as_str())).collect();
        for manhole in &manholes[..3] {
            assert!(found.contains(&("history.broken", manhole.to_string().as_str())), "{found:?}");
        }
        assert!(found.iter().any(|(what, _)| *what == "quadkey.wrong"), "{found:?}");
        assert_eq!(
            town.registry.verify_history(manholes[0]).await.unwrap(),
            Some(ChainState::Broken { sequence: 2 })
        );
        assert_eq!(
            town.registry.verify_history(manholes[3]).await.unwrap(),
            Some(ChainState::Whole { length: 4 })
        );
    }

    async fn tables_that_say_otherwise_than_the_files_are_named(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(2).await;
        let scanned = town.registry.find_plate(tokens[1]).await.unwrap().unwrap();
        let code = scanned.cover.unwrap().code.digits;
        let reported = town.report(tokens[0], Hazard::Missing).await;
        let other = town.report(tokens[0], Hazard::Odour).await;
        // A better survey of one cover is no forgery.
        let mut again = candidate(1, CoverClass::Sewage);
        again.survey.road = Some("济南路".into());
        again.survey.position.lon += 1e-7;
        town.import(vec![again]).await;
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);

        ground.sql(&format!("UPDATE covers SET class = 'gas', state = 'broken' WHERE code = '{code}'"));
        ground.sql("UPDATE manholes SET road = 'elsewhere' WHERE road IS NOT NULL");
        ground.sql("UPDATE plates SET state = 'lost' WHERE state = 'installed'");
        ground.sql(&format!("UPDATE cases SET state = 'closed' WHERE number = '{}'", reported.case_number));
        ground.sql(&format!("UPDATE reports SET description = 'forged' WHERE tracking = '{}'", reported.tracking));
        ground.sql(&format!("UPDATE reports SET tracking = 'R2000-000001' WHERE tracking = '{}'", other.tracking));
        let findings = town.registry.check_tables().await.unwrap().findings;
        let told = |what: &str| -> Vec<String> {
            let found = findings.iter().filter(|finding| finding.what == what);
            found.map(|finding| format!("{} {}", finding.which, finding.detail)).collect()
        };
        let covers = told("cover.differs");
        for said in ["class is gas, the file says ", "state is broken, the file says intact", "road is elsewhere, the file says 济南路"] {
            assert!(covers.iter().any(|line| line.contains(said)), "{said}: {covers:?}");
        }
        assert_eq!(covers.len(), 4, "{covers:?}");
        assert_eq!(told("case.differs"), [format!("{} is closed, the file says dispatched", reported.case_number)]);
        assert_eq!(told("report.altered").len(), 1);
        assert!(told("report.altered")[0].starts_with(&reported.tracking));
        assert!(told("report.missing")[0].starts_with(&other.tracking));
        assert_eq!(told("plate.differs").len(), 2);
        assert!(told("plate.differs")[0].ends_with("is lost, the file says installed"), "{findings:?}");
        assert_eq!(findings.len(), 9, "{findings:?}");
    }

    async fn what_was_merged_edited_and_retired_by_hand_is_held_to_the_files_too(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let desk = town.staff("desk", Role::Supervisor).await;
        let tokens = town.plated(3).await;
        let covers = [1, 2, 3].map(|at| format!("370502010200000{at}"));
        let (one, two) = (town.cover(&covers[0]).await, town.cover(&covers[1]).await);
        // A case whose cover goes to another file and comes back goes on in both.
        let case = town.report(tokens[1], Hazard::Level).await.case_number;
        let kept = done(town.registry.merge_manholes(order(&one, &engineer, merge(&two, MergeKind::Both))).await);
        town.reject(&case, &desk).await;
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        let merged = town.registry.list_earlier_files(kept.manhole).await.unwrap().remove(0).merge.unwrap().id;
        done(town.registry.undo_merge(order(&kept, &engineer, merged)).await);
        town.reopen(&case, &desk).await.unwrap();
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);

        let one = town.now(&one).await;
        done(town.registry.change_code(order(&one, &engineer, CodeEdit { code: None, scheme: None })).await);
        let third = town.cover(&covers[2]).await;
        let gone = Retirement { reason: RetireReason::Filled, successor: None, plates: PlatesGo::Withdrawn };
        done(town.registry.retire_cover(order(&third, &engineer, gone)).await);
        let beside = done(town.registry.add_cover(order(&town.now(&one).await, &engineer, sibling(CoverClass::Storm))).await);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);

        let (third, beside) = (third.code.digits, beside.code.digits);
        ground.sql(&format!("UPDATE covers SET retired_at = NULL, retired_reason = NULL WHERE code = '{third}'"));
        ground.sql(&format!("UPDATE covers SET state = 'broken' WHERE code = '{beside}'"));
        ground.sql(&format!("UPDATE cases SET state = 'closed' WHERE number = '{case}'"));
        let moved = format!(
            "UPDATE covers SET manhole_id = (SELECT manhole_id FROM covers WHERE code = '{third}') WHERE code = '{}'",
            covers[1]
        );
        ground.sql(&moved);
        let findings = town.registry.check_tables().await.unwrap().findings;
        for said in [
            "retirement is empty, the file says filled",
            "state is broken, the file says intact",
            "is closed, the file says reopened",
            "manhole is ",
        ] {
            assert!(findings.iter().any(|finding| finding.detail.contains(said)), "{said}: {findings:?}");
        }
    }

    async fn the_feed_names_every_change_once_and_in_order(ground: Ground) {
        let town = Town::found(&ground).await;
        let tokens = town.plated(3).await;
        let before = town.registry.last_change().await.unwrap();
        let writers: Vec<_> = tokens
            .iter()
            .flat_map(|token| [(*token, Hazard::Broken), (*token, Hazard::Missing), (*token, Hazard::Broken)])
            .map(|(token, hazard)| {
                let registry = town.registry.clone();
                tokio::spawn(async move { registry.report_hazard(report(token, hazard)).await.unwrap() })
            })
            .collect();
        let mut reported = Vec::new();
        for writer in writers {
            reported.push(writer.await.unwrap());
        }
        let changes = town.registry.changes_since(before, 1000).await.unwrap();
        let sequences: Vec<i64> = changes.iter().map(|change| change.sequence).collect();
        let expected: Vec<i64> = (before + 1..=before + sequences.len() as i64).collect();
        assert_eq!(sequences, expected);
        let cases = changes.iter().filter(|change| change.kind == ChangeKind::Case);
        let cases: HashSet<_> = cases.map(|change| change.id).collect();
        assert_eq!(cases.len(), 6);
        assert_eq!(reported.iter().filter(|answer| answer.joined).count(), 3);
        let counts = town.registry.counts().await.unwrap();
        assert_eq!(counts.cases, [("dispatched".to_owned(), 3), ("reported".to_owned(), 3)]);
        assert_eq!(town.registry.check_tables().await.unwrap().findings, []);
        let events = town.registry.list_waiting_events("gateway", 100).await.unwrap();
        assert_eq!(events.len(), 15, "one a report, and of each emergency that it is there and was sent on");
        town.registry.mark_delivered("gateway", events[0].sequence).await.unwrap();
        assert_eq!(town.registry.list_waiting_events("gateway", 100).await.unwrap().len(), 14);
        assert_eq!(town.registry.list_waiting_events("another", 100).await.unwrap().len(), 15);
    }

    async fn one_failing_write_does_not_take_its_neighbors_with_it(ground: Ground) {
        let town = Town::found(&ground).await;
        town.import(vec![candidate(1, CoverClass::Sewage)]).await;
        let tokens = town.plated(1).await;
        let unknown = "000000000000".parse().unwrap();
        let mut tasks = Vec::new();
        for at in 0..40 {
            let registry = town.registry.clone();
            let token = if at % 4 == 0 { unknown } else { tokens[0] };
            tasks.push(tokio::spawn(async move {
                registry.report_hazard(report(token, Hazard::Level)).await.is_ok()
            }));
        }
        let mut done = 0;
        for task in tasks {
            done += usize::from(task.await.unwrap());
        }
        assert_eq!(done, 30);
        let scanned = town.registry.find_plate(tokens[0]).await.unwrap().unwrap();
        assert_eq!(scanned.open_cases[0].report_count, 30);
    }
}
