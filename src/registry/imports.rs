//! 普查台账: the record of every run of a census, by which one that was killed goes on or is taken
//! back, and what a full survey passed over.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::fields::{self, Known};
use super::{ImportOptions, ImportSummary, Registry, RegistryError, amend, files};
use crate::domain::Refusal;
use crate::domain::cover::{CoverClass, CoverFile};
use crate::domain::edit::CoverEdit;
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::{CoverId, ManholeId, Millis};
use crate::domain::import_run::{ImportNumber, ImportState, PassedOver};
use crate::domain::role::Actor;
use crate::store::imports::{self, ImportRecord, Step, Tally};
use crate::store::{StoreError, Tx, covers, history, people};

/// Covers that are taken back in one transaction.
const TURN: i64 = 200;
const PAGE: usize = 500;
/// Most runs and covers on one page.
const PAGE_LIMIT: i64 = 1000;
/// Field of a cover that a full survey looked for in vain; one of the survey states of the merged field list.
const SURVEY_STATUS: &str = "survey_status";

/// What taking a run back came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RolledBack {
    /// Covers that are gone with their manholes and files.
    pub removed: u64,
    /// Covers that are as they were before, with a line that says so.
    pub restored: u64,
    /// Covers that somebody has used or changed since; left as they are.
    pub kept: u64,
}

impl Registry {
    /// The record of a new run, or of the one of the same file that did not come to its end.
    pub(super) async fn open_import(
        &self,
        options: &ImportOptions,
        first_change: i64,
    ) -> Result<ImportRecord, RegistryError> {
        let file = options.file.clone();
        if let Some(fingerprint) = &file.fingerprint
            && let Some(unfinished) =
                imports::find_unfinished(&mut self.store.read().await?, fingerprint).await?
        {
            return Ok(unfinished);
        }
        let now = self.now();
        let record = ImportRecord {
            number: ImportNumber(0),
            state: ImportState::Running,
            source: options.source.clone(),
            profile: file.profile,
            profile_version: file.profile_version,
            file_name: file.name,
            // Drawn, so that no other run is taken for it.
            fingerprint: file.fingerprint.unwrap_or_else(rand::random),
            actor: options.actor.word(),
            tally: Tally::default(),
            kept: 0,
            first_change,
            started_at: now,
            touched_at: now,
        };
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let mut record = record.clone();
                Box::pin(async move {
                    let [number] = people::advance_counters(tx, [("imports", 1)]).await?;
                    record.number = ImportNumber(number);
                    imports::insert_import(tx, &record).await?;
                    Ok(record)
                })
            })
            .await
    }

    /// Ends a run that came to its end, and puts all that it wrote on disk with it.
    pub(super) async fn end_import(&self, step: Step) -> Result<(), RegistryError> {
        let now = self.now();
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                Box::pin(async move {
                    if imports::take_on(tx, &step, ImportState::Done, now).await? {
                        return Ok(());
                    }
                    let refusal = Refusal::new("import.taken_over").with("number", step.number);
                    Err(RegistryError::Conflict(refusal))
                })
            })
            .await
    }

    /// Runs before `before`, newest first; at most 1000.
    pub async fn list_imports(
        &self,
        before: Option<ImportNumber>,
        limit: i64,
    ) -> Result<Vec<ImportRecord>, RegistryError> {
        let before = before.map_or(i64::MAX, |number| number.0);
        Ok(imports::list_imports(&mut self.store.read().await?, before, limit.clamp(1, PAGE_LIMIT)).await?)
    }

    pub async fn find_import(&self, number: ImportNumber) -> Result<ImportRecord, RegistryError> {
        let found = imports::find_import(&mut self.store.read().await?, number).await?;
        found.ok_or_else(|| RegistryError::NotFound(Refusal::new("import.unknown").with("read", number)))
    }

    /// Takes a run back: covers that it made and nobody has touched go with their files; fields that it
    /// changed and nobody has changed since are as before. Goes on where it was killed.
    pub async fn roll_back_import(
        &self,
        number: ImportNumber,
        actor: &Actor,
    ) -> Result<RolledBack, RegistryError> {
        let record = self.find_import(number).await?;
        if record.state == ImportState::RolledBack {
            return Err(RegistryError::Conflict(Refusal::new("import.rolled_back").with("number", number)));
        }
        self.note_roll_back(number, ImportState::RollingBack, 0).await?;
        let mut sum = RolledBack::default();
        // What taking back adds to the feed must not be met again.
        let end = self.last_change().await?;
        let mut after = record.first_change;
        let mut seen: BTreeSet<CoverId> = BTreeSet::new();
        loop {
            let mut tx = self.store.read().await?;
            let page = imports::list_changed_covers(&mut tx, after, TURN).await?;
            drop(tx);
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let covers: Vec<CoverId> = page
                .into_iter()
                .filter(|(sequence, cover)| *sequence <= end && seen.insert(*cover))
                .map(|(_, cover)| cover)
                .collect();
            let turn = self.take_back(number, covers, actor).await?;
            sum.removed += turn.removed;
            sum.restored += turn.restored;
            sum.kept += turn.kept;
            if after >= end {
                break;
            }
        }
        self.note_roll_back(number, ImportState::RolledBack, sum.kept as i64).await?;
        Ok(sum)
    }

    async fn note_roll_back(
        &self,
        number: ImportNumber,
        state: ImportState,
        kept: i64,
    ) -> Result<(), RegistryError> {
        let now = self.now();
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(imports::note_roll_back(tx, number, state, kept, now).await?) })
            })
            .await
    }

    async fn take_back(
        &self,
        number: ImportNumber,
        covers: Vec<CoverId>,
        actor: &Actor,
    ) -> Result<RolledBack, RegistryError> {
        let (covers, actor, now) = (Arc::new(covers), actor.clone(), self.now());
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let (covers, actor) = (covers.clone(), actor.clone());
                Box::pin(async move { take_covers_back(tx, number, &covers, (&actor, now)).await })
            })
            .await
    }

    /// Proposes covers for "not found" that lie in the reach of a full survey.
    pub(super) async fn propose_passed_over(
        &self,
        number: ImportNumber,
        unclaimed: Vec<CoverId>,
        reach: &BTreeSet<(String, CoverClass)>,
    ) -> Result<(), RegistryError> {
        for ids in unclaimed.chunks(PAGE) {
            let files = covers::list_covers_by_id(&mut self.store.read().await?, ids).await?;
            let within = files.into_iter().filter(|file| {
                file.retired.is_none() && reach.contains(&(file.survey.district.clone(), file.survey.class))
            });
            let proposed: Arc<Vec<CoverId>> = Arc::new(within.map(|file| file.cover).collect());
            if proposed.is_empty() {
                continue;
            }
            self.store
                .write::<_, RegistryError, _>(move |tx| {
                    let proposed = proposed.clone();
                    Box::pin(async move { Ok(imports::add_passed_over(tx, number, &proposed).await?) })
                })
                .await?;
        }
        Ok(())
    }

    /// Covers that a full survey passed over and nobody has decided about; at most 1000 from `after` on.
    pub async fn list_passed_over(
        &self,
        number: ImportNumber,
        after: Option<CoverId>,
        limit: i64,
    ) -> Result<Vec<CoverFile>, RegistryError> {
        let mut tx = self.store.read().await?;
        let after = after.map_or(Uuid::nil(), |cover| cover.0);
        let ids = imports::list_passed_over(&mut tx, number, after, limit.clamp(1, PAGE_LIMIT)).await?;
        let mut files = covers::list_covers_by_id(&mut tx, &ids).await?;
        files.sort_by_key(|file| file.cover);
        Ok(files)
    }

    pub async fn count_passed_over(&self, number: ImportNumber) -> Result<i64, RegistryError> {
        Ok(imports::count_passed_over(&mut self.store.read().await?, number).await?)
    }

    /// Says what becomes of a cover that a full survey passed over. "Not found" is a line in its file and
    /// a field; the cover stays, for a crew to look and an engineer to retire.
    pub async fn decide_passed_over(
        &self,
        number: ImportNumber,
        cover: CoverId,
        decision: PassedOver,
        actor: &Actor,
    ) -> Result<(), RegistryError> {
        let (actor, now) = (actor.clone(), self.now());
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let actor = actor.clone();
                Box::pin(async move {
                    let word = actor.word();
                    if !imports::decide_passed_over(tx, (number, cover), decision, &word, now).await? {
                        let refusal = Refusal::new("passed_over.decided").with("number", number);
                        return Err(RegistryError::Conflict(refusal));
                    }
                    match decision {
                        PassedOver::Keep => Ok(()),
                        PassedOver::NotFound => note_not_found(tx, number, cover, (&actor, now)).await,
                    }
                })
            })
            .await
    }
}

async fn note_not_found(
    tx: &mut Tx,
    number: ImportNumber,
    cover: CoverId,
    (actor, now): (&Actor, Millis),
) -> Result<(), RegistryError> {
    let taken = amend::take(tx, cover).await?;
    let mut after = taken.file.clone();
    let said = PassedOver::NotFound.as_str().to_owned();
    let before = after.survey.extra.insert(SURVEY_STATUS.to_owned(), said.clone());
    let fields = amend::field(&format!("extra.{SURVEY_STATUS}"), before, said);
    let versions = amend::write(tx, &taken.file, &after, &fields).await?;
    let versions = versions.ok_or_else(amend::changed_meanwhile)?;
    let body = amend::body(cover, &versions, fields, json!({"import": number, "why": "passed_over"}));
    let place = (taken.file.manhole, &taken.locked);
    amend::enter(tx, place, (actor, now), HistoryKind::Updated, body).await?;
    amend::tell(tx, now, versions.into_keys()).await
}

/// One transaction of taking a run back.
async fn take_covers_back(
    tx: &mut Tx,
    number: ImportNumber,
    ids: &[CoverId],
    (actor, now): (&Actor, Millis),
) -> Result<RolledBack, RegistryError> {
    let mut sum = RolledBack::default();
    let known = Known::read(tx, false).await?;
    let mut by_manhole: HashMap<ManholeId, Vec<CoverFile>> = HashMap::new();
    for file in covers::list_covers_by_id(tx, ids).await? {
        by_manhole.entry(file.manhole).or_default().push(file);
    }
    let mut manholes: Vec<ManholeId> = by_manhole.keys().copied().collect();
    manholes.sort_unstable();
    let mut changed = Vec::new();
    for manhole in manholes {
        let mut locked = files::lock(tx, manhole).await?;
        let entries = history::list_entries(tx, manhole).await?;
        // That a file came here from another registry is no use of it.
        let said = entries.iter().filter(|entry| entry.kind != HistoryKind::Transferred);
        let said: Vec<Map<String, Value>> = said.map(body_of).collect::<Result<_, _>>()?;
        let is_ours = |body: &Map<String, Value>| body.get("import") == Some(&json!(number));
        let files = by_manhole.remove(&manhole).unwrap_or_default();
        if said.iter().all(is_ours) && is_unused(tx, &files).await? {
            imports::remove_manhole(tx, manhole).await?;
            sum.removed += files.len() as u64;
            changed.extend(files.iter().map(|file| file.cover));
            continue;
        }
        for file in files {
            // The last word about this cover, where it is the run's.
            let about = |body: &&Map<String, Value>| body.get("cover") == Some(&json!(file.cover));
            let Some(last) = said.iter().rev().find(about).filter(|body| is_ours(body)) else {
                // Changed by others only, or by the run and then by others.
                sum.kept += u64::from(said.iter().any(|body| is_ours(body) && about(&body)));
                continue;
            };
            let version = last.get("versions").and_then(|versions| versions.get(file.cover.to_string()));
            let fields = last.get("fields").and_then(Value::as_object);
            let (Some(version), Some(fields)) = (version.and_then(Value::as_i64), fields) else {
                sum.kept += 1;
                continue;
            };
            if version != file.version {
                sum.kept += 1;
                continue;
            }
            let edit = as_before(fields, &known)?;
            let Ok((before, fields)) = fields::edited(&file, &edit, &known) else {
                sum.kept += 1;
                continue;
            };
            let versions = amend::write(tx, &file, &before, &fields).await?;
            let versions = versions.ok_or_else(amend::changed_meanwhile)?;
            let body = amend::body(file.cover, &versions, fields, json!({"rolled_back": number}));
            amend::enter(tx, (manhole, &locked), (actor, now), HistoryKind::Updated, body).await?;
            locked = files::lock(tx, manhole).await?;
            changed.extend(versions.into_keys());
            sum.restored += 1;
        }
    }
    amend::tell(tx, now, changed).await?;
    Ok(sum)
}

/// The edit that takes the fields of an entry back, the position among them.
fn as_before(fields: &Map<String, Value>, known: &Known) -> Result<CoverEdit, StoreError> {
    let mut fields = fields.clone();
    let position = fields.remove("position");
    let mut edit = fields::backwards(&fields, known)?;
    if let Some(mut pair) = position {
        let before = pair.get_mut(0).map(Value::take).unwrap_or_default();
        let broken = |_| StoreError::inconsistent("history", "body", "position");
        edit.position = Some(serde_json::from_value(before).map_err(broken)?);
    }
    Ok(edit)
}

fn body_of(entry: &HistoryEntry) -> Result<Map<String, Value>, StoreError> {
    let broken = |_| StoreError::inconsistent("history", "body", entry.manhole);
    serde_json::from_str(&entry.body).map_err(broken)
}

/// Whether nothing names these covers but their own files.
async fn is_unused(tx: &mut Tx, files: &[CoverFile]) -> Result<bool, StoreError> {
    for file in files {
        if file.covers_here as usize != files.len() || imports::is_named_elsewhere(tx, file.cover).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl ImportRecord {
    pub fn summary(&self) -> ImportSummary {
        self.tally.into()
    }
}
