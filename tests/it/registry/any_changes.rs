//! Whatever people do to covers and manholes, in whatever order: every chain is whole, every code finds
//! the one cover it was given to, every token resolves, and the map is what the tables say; and later the map of every
//! moment in between is what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lidmark::domain::case::CaseMove;
use lidmark::domain::cover::{CoverClass, CoverFile, CoverState, Material, Placement};
use lidmark::domain::edit::{CodeChoice, CoverEdit, MergeKind, PlatesGo, RetireReason};
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::{CoverId, MergeId, Millis};
use lidmark::domain::position::{Position, RawPosition};
use lidmark::domain::quality::Rules;
use lidmark::domain::role::{Actor, Role};
use lidmark::domain::token::Token;
use lidmark::layers::{CoverReader, differences};
use lidmark::registry::{
    Amended, BulkEdit, ChangeKind, CodeEdit, CoverFilter, FieldEdit, NewReport, PastMap, RegistryError,
    Retirement, SplitOrder, Standing,
};
use lidmark::spatial::{Change, Lexicon, Snapshot, SnapshotRow};
use proptest::prelude::*;
use rand::SeedableRng;

use super::bulk_edits::{bulk, step};
use super::editing::{order, set};
use super::ground::{MONDAY, Town, batch, candidate, photo, plate, report};
use super::structure::{merge, sibling};
use crate::both_engines;
use crate::support::engines::Ground;

/// What somebody does; the numbers choose among what is there.
#[derive(Debug, Clone)]
enum Deed {
    Edit(usize, usize),
    Class(usize, usize, bool),
    Code(usize),
    Retire(usize, usize, bool),
    Reinstate(usize),
    Add(usize),
    Merge(usize, usize, bool),
    UndoMerge(usize),
    Split(usize, usize),
    Bulk(usize),
    UndoBulk(usize),
    Report(usize),
    Settle(usize),
    Fit(usize),
    Revoke(usize),
    Move(usize, usize),
    Survey(usize, usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let some = 0..1000usize;
    let deed = prop_oneof![
        2 => (some.clone(), some.clone()).prop_map(|(cover, what)| Deed::Edit(cover, what)),
        2 => (some.clone(), some.clone(), any::<bool>()).prop_map(|(c, to, keep)| Deed::Class(c, to, keep)),
        1 => some.clone().prop_map(Deed::Code),
        2 => (some.clone(), some.clone(), any::<bool>()).prop_map(|(c, heir, go)| Deed::Retire(c, heir, go)),
        1 => some.clone().prop_map(Deed::Reinstate),
        2 => some.clone().prop_map(Deed::Add),
        4 => (some.clone(), some.clone(), any::<bool>()).prop_map(|(c, other, same)| Deed::Merge(c, other, same)),
        3 => some.clone().prop_map(Deed::UndoMerge),
        2 => (some.clone(), some.clone()).prop_map(|(c, with)| Deed::Split(c, with)),
        2 => some.clone().prop_map(Deed::Bulk),
        2 => some.clone().prop_map(Deed::UndoBulk),
        2 => some.clone().prop_map(Deed::Report),
        2 => some.clone().prop_map(Deed::Settle),
        1 => some.clone().prop_map(Deed::Fit),
        1 => some.clone().prop_map(Deed::Revoke),
        2 => (some.clone(), some.clone()).prop_map(|(cover, to)| Deed::Move(cover, to)),
        2 => (some.clone(), some).prop_map(|(row, what)| Deed::Survey(row, what)),
    ];
    proptest::collection::vec(deed, 1..14)
}

struct World {
    town: Town,
    actor: Actor,
    desk: Actor,
    /// Cases, whose covers may lie elsewhere by now.
    cases: Vec<String>,
    /// Plates that were fitted, and blank ones.
    tokens: Vec<Token>,
    blanks: Vec<Token>,
    bulks: Vec<BulkEdit>,
    /// Every code that was ever seen, with its cover.
    codes: BTreeMap<String, CoverId>,
    map: Snapshot,
    /// What the map was, at which moment.
    past: Vec<(Millis, Vec<SnapshotRow>)>,
    done: usize,
}

impl World {
    async fn new(ground: &Ground) -> Self {
        let town = Town::found(ground).await;
        let actor = town.staff("ying", Role::Engineer).await;
        let desk = town.staff("desk", Role::Supervisor).await;
        let tokens = town.plated(4).await;
        let batch = batch(6);
        let mut random = rand::rngs::SmallRng::seed_from_u64(41);
        let plates: Vec<_> =
            (1..=6).map(|ordinal| plate(&batch, ordinal, Token::draw(&mut random))).collect();
        let blanks = plates.iter().map(|plate| plate.token).collect();
        town.registry.commit_batch(lidmark::registry::NewBatch { batch, plates }).await.unwrap();
        let map = built(&town, Arc::default()).await;
        let mut world = Self {
            town,
            actor,
            desk,
            cases: Vec::new(),
            tokens,
            blanks,
            bulks: Vec::new(),
            codes: BTreeMap::new(),
            map,
            past: Vec::new(),
            done: 0,
        };
        world.remember().await;
        // Something to take apart from the beginning.
        world.act(Deed::Add(0)).await;
        world.act(Deed::Merge(1, 2, true)).await;
        world
    }

    async fn covers(&self) -> Vec<CoverFile> {
        let filter = CoverFilter { standing: Standing::Any, limit: 1000, ..CoverFilter::default() };
        self.town.registry.list_covers(filter).await.unwrap()
    }

    async fn act(&mut self, deed: Deed) {
        let covers = self.covers().await;
        let pick = |at: usize| &covers[at % covers.len()];
        let registry = self.town.registry.clone();
        let actor = self.actor.clone();
        let outcome = match deed {
            Deed::Edit(at, what) => {
                let edit = CoverEdit {
                    material: Some(Material::ALL.get(what % 9).copied()),
                    state: Some(CoverState::ALL[what % 5]),
                    road: Some(Some(format!("{}路", what % 3))),
                    ..CoverEdit::default()
                };
                registry.edit_cover(order(pick(at), &actor, set(edit))).await
            }
            Deed::Class(at, to, keep) => {
                let edit = CoverEdit { class: Some(CoverClass::ALL[to % 4]), ..CoverEdit::default() };
                let code = if keep { CodeChoice::Keep } else { CodeChoice::ByScheme };
                registry.edit_cover(order(pick(at), &actor, FieldEdit { edit, code })).await
            }
            Deed::Code(at) => {
                registry.change_code(order(pick(at), &actor, CodeEdit { code: None, scheme: None })).await
            }
            Deed::Retire(at, heir, go) => {
                let what = Retirement {
                    reason: RetireReason::ALL[heir % 5],
                    successor: (heir % 3 > 0).then(|| pick(heir).code.digits.clone()),
                    plates: if go { PlatesGo::ToSuccessor } else { PlatesGo::Withdrawn },
                };
                registry.retire_cover(order(pick(at), &actor, what)).await
            }
            Deed::Reinstate(at) => registry.reinstate_cover(order(pick(at), &actor, ())).await,
            Deed::Add(at) => registry.add_cover(order(pick(at), &actor, sibling(CoverClass::Sewage))).await,
            Deed::Merge(at, other, same) => {
                let kind = if same { MergeKind::Same } else { MergeKind::Both };
                registry.merge_manholes(order(pick(at), &actor, merge(pick(other), kind))).await
            }
            Deed::UndoMerge(at) => {
                let file = pick(at);
                let merges: Vec<MergeId> = registry
                    .list_earlier_files(file.manhole)
                    .await
                    .unwrap()
                    .into_iter()
                    .filter_map(|file| Some(file.merge?.id))
                    .collect();
                match merges.get(at % merges.len().max(1)) {
                    Some(merge) => registry.undo_merge(order(file, &actor, *merge)).await,
                    None => return,
                }
            }
            Deed::Split(at, with) => {
                let with =
                    if with.is_multiple_of(2) { Vec::new() } else { vec![pick(with).code.digits.clone()] };
                registry.split_manhole(order(pick(at), &actor, SplitOrder { with, position: None })).await
            }
            Deed::Bulk(what) => return self.change_many(what).await,
            Deed::UndoBulk(at) => return self.undo_many(at).await,
            Deed::Report(at) => {
                let hazard = [Hazard::Level, Hazard::Missing][at % 2];
                let token = self.tokens[at % self.tokens.len()];
                let photos = if at.is_multiple_of(3) { vec![photo(at as u8)] } else { Vec::new() };
                let report = NewReport { photos, ..report(token, hazard) };
                if let Ok(reported) = registry.report_hazard(report).await {
                    self.cases.push(reported.case_number);
                    self.done += 1;
                }
                return;
            }
            Deed::Settle(at) => {
                let Some(case) = self.cases.get(at / 2 % self.cases.len().max(1)) else { return };
                let made = if at.is_multiple_of(2) { CaseMove::Reject } else { CaseMove::Reopen };
                match self.town.step(case, made, &self.desk).await {
                    Ok(_) => self.done += 1,
                    Err(RegistryError::Refused(_) | RegistryError::Conflict(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
                return;
            }
            Deed::Fit(at) => {
                let Some(token) = self.blanks.pop() else { return };
                match registry.install_plate(token, &pick(at).code.digits, &actor).await {
                    Ok(_) => self.tokens.push(token),
                    Err(RegistryError::Conflict(_)) => self.blanks.push(token),
                    Err(error) => panic!("{error:?}"),
                }
                return;
            }
            Deed::Revoke(at) => {
                let token = self.tokens[at % self.tokens.len()];
                match registry.revoke_plate(token, "fell off", &actor).await {
                    Ok(_) => self.done += 1,
                    Err(RegistryError::Conflict(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
                return;
            }
            Deed::Move(at, to) => {
                let file = pick(at);
                let (lon, lat) = (file.survey.position.lon + 1e-5 * (to % 50) as f64, 37.46);
                let position = Position {
                    lon,
                    lat,
                    raw: RawPosition { x: lon, y: lat, epsg: 4490 },
                    surveyed_at: Some(Millis(MONDAY + 86_400_000 * (to % 7) as i64)),
                    ..file.survey.position.clone()
                };
                let edit = CoverEdit { position: Some(position), ..CoverEdit::default() };
                registry.edit_cover(order(file, &actor, set(edit))).await
            }
            Deed::Survey(row, what) => return self.survey(row as u64 % 7, what).await,
        };
        match outcome {
            Ok(Amended::Done(_)) => self.done += 1,
            Ok(Amended::Meanwhile(_))
            | Err(RegistryError::Refused(_) | RegistryError::Conflict(_) | RegistryError::NotFound(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    /// A census finds a cover again, or a new one.
    async fn survey(&mut self, row: u64, what: usize) {
        let mut again = candidate(row, CoverClass::ALL[1 + what % 2]);
        again.survey.state = CoverState::ALL[what % 3];
        again.survey.placement = Some(Placement::ALL[what % 5]);
        again.survey.maintainer = what.is_multiple_of(2).then(|| format!("养护{}队", what % 3));
        again.survey.extra.insert("安装年份".into(), format!("{}", 1990 + what % 30));
        self.town.import(vec![again]).await;
        self.done += 1;
    }

    async fn change_many(&mut self, what: usize) {
        let filter = CoverFilter {
            class: what.is_multiple_of(3).then_some(CoverClass::Sewage),
            standing: if what.is_multiple_of(2) { Standing::Any } else { Standing::InUse },
            ..CoverFilter::default()
        };
        let edit = CoverEdit {
            class: what.is_multiple_of(4).then_some(CoverClass::Storm),
            shape: Some(Some(lidmark::domain::cover::Shape::ALL[what % 3])),
            road: (what % 5 < 2).then(|| Some("新路".into())),
            owner: what.is_multiple_of(7).then_some(None),
            ..CoverEdit::default()
        };
        let seen = self.town.registry.preview_bulk_edit(bulk(filter, edit, &self.actor)).await.unwrap();
        let applied = self.town.apply(&seen, &self.actor).await;
        self.bulks.push(applied);
        self.done += 1;
    }

    async fn undo_many(&mut self, at: usize) {
        if self.bulks.is_empty() {
            return;
        }
        let edit = self.bulks.swap_remove(at % self.bulks.len());
        self.town.registry.undo_bulk_edit(step(&edit, &self.actor)).await.unwrap();
        self.town.registry.carry_on_bulk_edit(edit.record.id).await.unwrap();
        self.done += 1;
    }

    /// What holds after every deed.
    async fn look_around(&mut self) {
        let registry = self.town.registry.clone();
        let report = registry.check_tables().await.unwrap();
        assert_eq!(report.findings, []);
        let covers = self.covers().await;
        for file in &covers {
            let former = registry.list_former_codes(file.cover).await.unwrap();
            for code in former.iter().chain([&file.code]) {
                let owner = *self.codes.entry(code.digits.clone()).or_insert(file.cover);
                assert_eq!(owner, file.cover, "{} was given to two covers", code.digits);
            }
        }
        for (code, cover) in &self.codes {
            let found = registry.find_cover_by_code(code).await.unwrap().unwrap();
            assert_eq!(found.cover, *cover, "{code}");
        }
        for token in self.tokens.iter().chain(&self.blanks) {
            let scanned = registry.find_plate(*token).await.unwrap().unwrap();
            if scanned.plate.state.is_live() {
                assert!(scanned.cover.is_none_or(|file| file.retired.is_none()));
            }
        }
        self.follow().await;
        let fresh = built(&self.town, self.map.lexicon().clone()).await;
        let rows = |map: &Snapshot| map.rows().collect::<Vec<_>>();
        assert_eq!(rows(&self.map), rows(&fresh), "the map that follows the feed is the map of the tables");
        assert_eq!(fresh.len() as i64, registry.counts().await.unwrap().covers);
        assert_eq!(fresh.len(), covers.iter().filter(|file| file.retired.is_none()).count());
    }

    /// Keeps what the map is, and lets time pass.
    async fn remember(&mut self) {
        let map = built(&self.town, self.map.lexicon().clone()).await;
        let at = self.town.clock.fetch_add(60_000, std::sync::atomic::Ordering::Relaxed);
        self.past.push((Millis(at + 59_999), map.rows().collect()));
    }

    /// The map of every moment is what it was, and what differs between two is what differs between their rows.
    async fn look_back(&mut self) {
        self.follow().await;
        let (now, rules) = (Arc::new(self.map.clone()), Rules::default());
        let mut before: Option<PastMap> = None;
        for (at, rows) in &self.past {
            let past = self.town.registry.map_at(*at, now.clone(), &rules).await.unwrap();
            assert_alike(past.map.rows().collect(), rows.clone(), *at);
            if let Some(before) = &before {
                let reader = CoverReader::new(&now, &rules, true);
                let among = [&*before.touched, &*past.touched].concat();
                let found = differences(&reader, (&before.map, &past.map), &among);
                let (old, new) = (by_cover(before.map.rows()), by_cover(past.map.rows()));
                for one in &found {
                    let cover = one.row().unwrap().cover;
                    assert_eq!((one.before, one.after), (old.get(&cover).copied(), new.get(&cover).copied()));
                }
                let told: BTreeSet<CoverId> = found.iter().map(|one| one.row().unwrap().cover).collect();
                let seen =
                    |row: &SnapshotRow| (row.cover, row.class, row.state, row.flags, row.attributes.code);
                for (cover, row) in new.iter().filter(|(cover, _)| !told.contains(cover)) {
                    assert_eq!(old.get(cover).map(seen), Some(seen(row)), "{cover} differs and nobody told");
                }
                assert!(old.keys().all(|cover| new.contains_key(cover) || told.contains(cover)));
            }
            before = Some(past);
        }
        let long_ago = self.town.registry.map_at(Millis(MONDAY - 1), now, &rules).await.unwrap();
        assert!(long_ago.map.is_empty());
    }

    /// Patches the map from the change feed, as a server does.
    async fn follow(&mut self) {
        let registry = &self.town.registry;
        let changes = registry.changes_since(self.map.version(), 10_000).await.unwrap();
        let Some(last) = changes.last() else { return };
        let covers: Vec<CoverId> = changes
            .iter()
            .filter(|change| change.kind == ChangeKind::Cover)
            .map(|change| CoverId(change.id))
            .collect();
        let points = registry.list_points_by_id(&covers).await.unwrap();
        let there: Vec<CoverId> = points.iter().map(|point| point.cover).collect();
        let put = |point| Change::Put(registry.map_row(point, self.map.lexicon(), &Rules::default()));
        let mut patch: Vec<Change> = points.iter().map(put).collect();
        patch
            .extend(covers.iter().filter(|cover| !there.contains(cover)).map(|cover| Change::Remove(*cover)));
        self.map = self.map.with_changes(patch, last.sequence);
    }
}

fn by_cover(rows: impl Iterator<Item = SnapshotRow>) -> BTreeMap<CoverId, SnapshotRow> {
    rows.map(|row| (row.cover, row)).collect()
}

/// The same rows; a number that was read back from an entry may differ in its last bit.
fn assert_alike(found: Vec<SnapshotRow>, mut wanted: Vec<SnapshotRow>, at: Millis) {
    let mut found: Vec<SnapshotRow> = found;
    found.sort_by_key(|row| row.cover);
    wanted.sort_by_key(|row| row.cover);
    for (row, was) in found.iter_mut().zip(&wanted) {
        if (row.lon - was.lon).abs() < 1e-9 && (row.lat - was.lat).abs() < 1e-9 {
            (row.lon, row.lat) = (was.lon, was.lat);
        }
    }
    assert_eq!(found, wanted, "the map of {}", at.to_rfc3339());
}

async fn built(town: &Town, lexicon: Arc<Lexicon>) -> Snapshot {
    town.registry.load_map(&Rules::default(), lexicon).await.unwrap()
}

/// Lives through some sequences, one after the other in a world of its own; answers how much was done.
async fn live(ground: &Ground, deeds: Vec<Deed>) -> usize {
    let mut world = World::new(ground).await;
    for deed in deeds {
        world.act(deed).await;
        world.look_around().await;
        world.remember().await;
    }
    world.look_back().await;
    world.town.registry.close().await;
    world.done
}

#[test]
fn any_sequence_of_changes_leaves_whole_chains_unique_codes_and_a_true_map() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let done = std::cell::Cell::new(0);
    runner
        .run(&deeds(), |deeds| {
            let ground = Ground::sqlite().unwrap();
            done.set(done.get() + runtime.block_on(live(&ground, deeds)));
            Ok(())
        })
        .unwrap();
    assert!(done.get() > 16, "too much was refused to prove anything: {}", done.get());
}

both_engines! {
    /// What was otherwise only between two moments differs from neither the one before nor the one after both.
    async fn what_came_and_went_is_told_of_the_time_between(ground: Ground) {
        assert!(live(&ground, vec![Deed::Fit(2), Deed::Revoke(4)]).await > 0);
    }

    /// One long life on both engines.
    async fn a_long_life_of_a_street(ground: Ground) {
        let mut deeds = Vec::new();
        for at in 0..3 {
            deeds.extend([
                Deed::Add(at), Deed::Report(at), Deed::Merge(at, at + 1, at % 2 == 1), Deed::Bulk(at * 3), Deed::Settle(at * 4),
                Deed::Class(at, at + 1, false), Deed::Split(at + 4, at), Deed::UndoBulk(0), Deed::Fit(at + 2),
                Deed::Retire(at + 3, at + 1, true), Deed::UndoMerge(at), Deed::Code(at + 5), Deed::Reinstate(at + 3),
                Deed::Edit(at, at), Deed::Move(at, at + 7), Deed::Survey(at * 2, at + 1), Deed::Revoke(at),
            ]);
        }
        assert!(live(&ground, deeds).await > 12);
    }
}
