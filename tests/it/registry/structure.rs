//! 井与盖: several covers on one manhole, merges and splits.

use lidmark::domain::cover::{CoverClass, CoverFile, CoverState, Material};
use lidmark::domain::edit::{CoverEdit, MergeKind, PlatesGo, RetireReason};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::history::HistoryKind;
use lidmark::domain::ids::MergeId;
use lidmark::domain::role::{Actor, Role};
use lidmark::registry::{ChainState, MergeOrder, NewCover, Outcome, Retirement, SplitOrder};

use super::editing::{done, material, order, refused, set, too_late};
use super::ground::{Town, candidate, photo, report};
use crate::both_engines;

pub fn sibling(class: CoverClass) -> NewCover {
    NewCover { class, state: CoverState::Intact, edit: material(Material::DuctileIron), code: None }
}

pub fn merge(other: &CoverFile, kind: MergeKind) -> MergeOrder {
    MergeOrder { other: other.code.digits.clone(), other_version: other.version, kind }
}

async fn merge_of(town: &Town, file: &CoverFile) -> MergeId {
    let file = town.now(file).await;
    let earlier = town.registry.list_earlier_files(file.manhole).await.unwrap();
    earlier.into_iter().rev().find_map(|file| file.merge).unwrap().id
}

both_engines! {
    async fn covers_of_one_manhole_share_its_place_and_each_has_a_life_of_its_own(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let first = town.street(1).await.remove(0);
        let second = done(town.registry.add_cover(order(&first, &engineer, sibling(CoverClass::Storm))).await);
        assert_eq!((second.manhole, second.code.digits.as_str()), (first.manhole, "3705020103000001"));
        assert_eq!(second.survey.position, first.survey.position);
        assert_eq!((second.survey.material, second.owner.clone()), (Some(Material::DuctileIron), None));
        assert_eq!(town.registry.list_manhole_covers(first.manhole).await.unwrap().len(), 2);
        assert_eq!(town.registry.counts().await.unwrap().covers, 2);
        assert_eq!(town.kinds(&first).await, [HistoryKind::Created, HistoryKind::CoverAdded]);
        // What the place is called changes for both, and whoever looks at the other one is told.
        let road = CoverEdit { road: Some(Some("西二路".into())), ..CoverEdit::default() };
        done(town.registry.edit_cover(order(&second, &engineer, set(road))).await);
        let now = town.now(&first).await;
        assert_eq!((now.survey.road.as_deref(), now.version), (Some("西二路"), 2));
        let late = too_late(town.registry.edit_cover(order(&first, &engineer, set(material(Material::Steel)))).await);
        assert_eq!(late.changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>(), ["road"]);
        // What one of them is made of is nobody else's business.
        done(town.registry.edit_cover(order(&now, &engineer, set(material(Material::Steel)))).await);
        assert_eq!(town.now(&second).await.version, 2);
        let taken = NewCover { code: Some("3705020103000001".into()), ..sibling(CoverClass::Storm) };
        assert_eq!(refused(town.registry.add_cover(order(&town.now(&first).await, &engineer, taken)).await), "code.taken");
        town.assert_sound().await;
    }

    async fn a_merge_keeps_both_files_and_can_be_undone(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let tokens = town.plated(3).await;
        let one = town.cover("3705020102000001").await;
        let two = town.cover("3705020102000002").await;
        town.report(tokens[1], Hazard::Level).await;
        town.registry.add_cover_photos(&two.code.digits, vec![photo(7)], &engineer).await.unwrap();
        let (mine, theirs) = (town.registry.list_history(one.manhole).await.unwrap(), town.registry.list_history(two.manhole).await.unwrap());
        let kept = done(town.registry.merge_manholes(order(&one, &engineer, merge(&two, MergeKind::Both))).await);
        let moved = town.now(&two).await;
        assert_eq!((kept.manhole, moved.manhole), (one.manhole, one.manhole));
        assert_eq!(moved.survey.position, kept.survey.position, "one manhole, one place");
        // Both histories are there, each proved by itself, and neither was rewritten.
        let now = town.registry.list_history(one.manhole).await.unwrap();
        assert_eq!((&now[..mine.len()], now[mine.len()].kind), (mine.as_slice(), HistoryKind::Merged));
        let earlier = town.registry.list_earlier_files(one.manhole).await.unwrap();
        assert_eq!(earlier.len(), 1);
        assert_eq!((earlier[0].manhole, &earlier[0].entries[..theirs.len()]), (two.manhole, theirs.as_slice()));
        assert_eq!(earlier[0].chain, ChainState::Whole { length: theirs.len() as i64 + 1 });
        assert!(now[mine.len()].body.contains(&hex(&earlier[0].entries.last().unwrap().hash)), "the chains are tied");
        // What belongs to the cover came along, and life goes on here.
        assert_eq!(town.registry.list_manhole_cases(one.manhole).await.unwrap().len(), 1);
        assert_eq!(town.registry.list_photos(one.manhole).await.unwrap().len(), 1);
        assert_eq!(town.registry.list_public_photos((one.manhole, two.cover)).await.unwrap().len(), 1);
        assert_eq!(town.registry.list_public_photos((one.manhole, one.cover)).await.unwrap().len(), 0);
        assert_eq!(town.report(tokens[1], Hazard::Missing).await.cover, Some(two.cover));
        done(town.registry.edit_cover(order(&moved, &engineer, set(material(Material::Steel)))).await);
        town.assert_sound().await;
        assert_eq!(refused(town.registry.merge_manholes(order(&town.now(&one).await, &engineer, merge(&town.now(&two).await, MergeKind::Both))).await), "merge.same_manhole");

        // A third manhole on top; the first merge can only be undone with everything where it was.
        let three = town.cover("3705020102000003").await;
        done(town.registry.merge_manholes(order(&three, &engineer, merge(&town.now(&one).await, MergeKind::Both))).await);
        assert_eq!(town.registry.list_earlier_files(three.manhole).await.unwrap().len(), 2);
        let first = town.registry.list_earlier_files(three.manhole).await.unwrap().into_iter().find(|file| file.manhole == two.manhole);
        let first = first.unwrap().merge.unwrap().id;
        assert_eq!(refused(town.registry.undo_merge(order(&town.now(&three).await, &engineer, first)).await), "merge.unknown");
        let last = town.registry.list_earlier_files(three.manhole).await.unwrap().into_iter().find(|file| file.manhole == one.manhole);
        let last = last.unwrap().merge.unwrap().id;
        done(town.registry.undo_merge(order(&town.now(&three).await, &engineer, last)).await);
        done(town.registry.undo_merge(order(&town.now(&one).await, &engineer, first)).await);
        let back = town.now(&two).await;
        assert_eq!((back.manhole, &back.survey.position), (two.manhole, &two.survey.position));
        assert_eq!(back.survey.material, Some(Material::Steel), "what was learned since stays");
        assert_eq!(town.registry.list_manhole_cases(two.manhole).await.unwrap().len(), 2);
        assert_eq!(town.kinds(&two).await.last(), Some(&HistoryKind::Unmerged));
        assert_eq!(refused(town.registry.undo_merge(order(&town.now(&one).await, &engineer, first)).await), "merge.unknown");
        assert_eq!(town.report(tokens[1], Hazard::Broken).await.cover, Some(two.cover));
        town.assert_sound().await;
    }

    async fn a_cover_that_was_written_down_twice_becomes_one(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let tokens = town.plated(2).await;
        let one = town.cover("3705020102000001").await;
        let two = town.cover("3705020102000002").await;
        let twin = [town.report(tokens[0], Hazard::Level).await.case_number, town.report(tokens[1], Hazard::Level).await.case_number];
        let same = || merge(&two, MergeKind::Same);
        assert_eq!(refused(town.registry.merge_manholes(order(&one, &engineer, same())).await), "merge.open_twins");
        let desk = town.staff("desk", Role::Supervisor).await;
        town.reject(&twin[0], &desk).await;
        let stale = MergeOrder { other_version: 7, ..same() };
        assert_eq!(refused(town.registry.merge_manholes(order(&one, &engineer, stale)).await), "merge.other_changed");
        done(town.registry.merge_manholes(order(&one, &engineer, same())).await);
        let gone = town.now(&two).await;
        let retired = gone.retired.clone().unwrap();
        assert_eq!((retired.reason, retired.successor.unwrap().0), (RetireReason::Duplicate, one.cover));
        assert_eq!(town.registry.counts().await.unwrap().covers, 1);
        let scanned = town.registry.find_plate(tokens[1]).await.unwrap().unwrap();
        assert_eq!(scanned.cover.unwrap().cover, one.cover, "the plate speaks for the cover that is there");
        assert_eq!(scanned.open_cases.len(), 1);
        assert_eq!(refused(town.registry.reinstate_cover(order(&gone, &engineer, ())).await), "reinstate.merged");
        // The census that wrote it down twice stays merged.
        let feed = town.registry.last_change().await.unwrap();
        let outcomes = town.import((0..2).map(|at| candidate(at, CoverClass::Sewage)).collect()).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Unchanged(_))), "{outcomes:?}");
        assert_eq!(town.registry.last_change().await.unwrap(), feed);
        town.assert_sound().await;

        let merge = merge_of(&town, &one).await;
        done(town.registry.undo_merge(order(&town.now(&one).await, &engineer, merge)).await);
        let back = town.now(&two).await;
        assert_eq!((back.retired.clone(), back.manhole), (None, two.manhole));
        let scanned = town.registry.find_plate(tokens[1]).await.unwrap().unwrap();
        assert_eq!(scanned.cover.unwrap().cover, two.cover);
        assert_eq!(scanned.open_cases[0].number, twin[1]);
        assert_eq!(town.registry.list_manhole_cases(one.manhole).await.unwrap().len(), 1);
        town.assert_sound().await;
    }

    async fn rows_of_one_file_do_not_overrule_each_other_after_a_merge(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let files = town.street(2).await;
        done(town.registry.merge_manholes(order(&files[0], &engineer, merge(&files[1], MergeKind::Both))).await);
        let rows = || (0..2).map(|at| candidate(at, CoverClass::Sewage)).collect::<Vec<_>>();
        let outcomes = town.import(rows()).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Unchanged(_))), "{outcomes:?}");
        // A better survey of either is taken, once.
        let mut better = rows();
        better[1].survey.position.accuracy_m = Some(0.01);
        let outcomes = town.import(better.clone()).await;
        assert!(matches!(outcomes[1], Outcome::Updated(_)), "{outcomes:?}");
        let outcomes = town.import(better).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Unchanged(_))), "{outcomes:?}");
        assert_eq!(town.now(&files[0]).await.survey.position.accuracy_m, Some(0.01));
        town.assert_sound().await;
    }

    async fn a_split_gives_covers_a_manhole_of_their_own_that_knows_where_it_came_from(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let tokens = town.plated(1).await;
        let first = town.cover("3705020102000001").await;
        let alone = SplitOrder { with: Vec::new(), position: None };
        assert_eq!(refused(town.registry.split_manhole(order(&first, &engineer, alone.clone())).await), "split.nobody_stays");
        let second = done(town.registry.add_cover(order(&first, &engineer, sibling(CoverClass::Storm))).await);
        let third = done(town.registry.add_cover(order(&first, &engineer, sibling(CoverClass::Storm))).await);
        town.report(tokens[0], Hazard::Level).await;
        let mut position = first.survey.position.clone();
        position.lon += 0.00002;
        let along = SplitOrder { with: vec![third.code.digits.clone()], position: Some(position.clone()) };
        let left = done(town.registry.split_manhole(order(&second, &engineer, along)).await);
        assert_ne!(left.manhole, first.manhole);
        assert_eq!(town.now(&third).await.manhole, left.manhole);
        assert_eq!((town.now(&third).await.survey.position, town.now(&first).await.survey.position.lon), (position, first.survey.position.lon));
        assert_eq!(town.kinds(&second).await, [HistoryKind::SplitOff]);
        assert_eq!(town.kinds(&first).await.last(), Some(&HistoryKind::Split));
        let earlier = town.registry.list_earlier_files(left.manhole).await.unwrap();
        assert_eq!((earlier.len(), earlier[0].manhole, &earlier[0].merge), (1, first.manhole, &None));
        assert_eq!(earlier[0].entries.last().unwrap().kind, HistoryKind::Split);
        assert_eq!(town.registry.list_manhole_cases(first.manhole).await.unwrap().len(), 1, "cases stay with their cover");
        let elsewhere = SplitOrder { with: vec![first.code.digits.clone()], position: None };
        assert_eq!(refused(town.registry.split_manhole(order(&town.now(&third).await, &engineer, elsewhere)).await), "split.elsewhere");
        let removed = Retirement { reason: RetireReason::Removed, successor: None, plates: PlatesGo::Withdrawn };
        done(town.registry.retire_cover(order(&town.now(&third).await, &engineer, removed)).await);
        assert_eq!(refused(town.registry.split_manhole(order(&town.now(&second).await, &engineer, alone)).await), "split.nobody_stays");
        // Together again.
        done(town.registry.merge_manholes(order(&town.now(&first).await, &engineer, merge(&town.now(&second).await, MergeKind::Both))).await);
        assert_eq!(town.registry.list_manhole_covers(first.manhole).await.unwrap().len(), 3);
        town.assert_sound().await;
    }

    async fn whoever_acts_while_manholes_are_merged_writes_into_the_file_that_goes_on(ground: Ground) {
        let town = Town::found(&ground).await;
        let engineer = town.staff("ying", Role::Engineer).await;
        let tokens = town.plated(6).await;
        let first = town.cover("3705020102000001").await;
        let mut tasks = Vec::new();
        for (at, token) in tokens.iter().copied().enumerate().skip(1) {
            for hazard in [Hazard::Level, Hazard::Missing, Hazard::Broken] {
                let registry = town.registry.clone();
                tasks.push(tokio::spawn(async move {
                    registry.report_hazard(report(token, hazard)).await.unwrap();
                }));
            }
            let (registry, code) = (town.registry.clone(), format!("37050201020000{:02}", at + 1));
            tasks.push(tokio::spawn(async move {
                registry.add_cover_photos(&code, vec![photo(at as u8)], &Actor::System).await.unwrap();
            }));
        }
        for at in 2..=6 {
            let (mine, other) = (town.now(&first).await, town.cover(&format!("3705020102{at:06}")).await);
            done(town.registry.merge_manholes(order(&mine, &engineer, merge(&other, MergeKind::Both))).await);
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(town.registry.list_manhole_cases(first.manhole).await.unwrap().len(), 15);
        assert_eq!(town.registry.list_photos(first.manhole).await.unwrap().len(), 5);
        town.assert_sound().await;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
