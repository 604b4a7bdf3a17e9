//! 普查: candidates become covers. Every row is accounted for: created, updated, unchanged,
//! duplicate or problem. One bad row never loses a good one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::areas::{DistrictOf, district_of};
use super::chunk::{Change, Fresh, Plan};
use super::codebook::Codebook;
use super::identity::{IdentityIndex, Match, Standing};
use super::numbering::{Demand, Sequences};
use super::resurvey::merged;
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::code::{CodeParts, ComponentCode};
use crate::domain::cover::{Candidate, CoverClass, CoverFile, Retired, Survey};
use crate::domain::edit::RetireReason;
use crate::domain::ids::{CoverId, ManholeId, PartyId};
use crate::domain::import_run::ImportNumber;
use crate::domain::position::distance_m;
use crate::domain::role::Actor;
use crate::spatial::Locator;
use crate::store::covers::CodeOwner;
use crate::store::imports::{Step, Tally};
use crate::store::{StoreError, covers, people};

pub use super::identity::RowRef;

/// Whether to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    DryRun,
    Write,
}

/// What an import is and how its rows are matched.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Name of the source; source keys are unique within it.
    pub source: String,
    /// Scheme in which covers without a code of their own are numbered.
    pub scheme: String,
    pub mode: ImportMode,
    /// How far apart two surveys of one cover may lie, in meters.
    pub match_radius_m: f64,
    /// The file is all there is in the districts and of the classes that it names: what it passes over
    /// is proposed for "not found".
    pub full: bool,
    pub file: CensusFile,
    pub actor: Actor,
}

/// What the registry remembers of the files of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CensusFile {
    pub name: String,
    /// The profile that read it.
    pub profile: String,
    pub profile_version: i64,
    /// SHA-256 of the bytes and of all that decides what becomes of them; by it a run that was killed is
    /// found again. `None` = it is not looked for.
    pub fingerprint: Option<[u8; 32]>,
}

/// How far apart two surveys of one cover usually lie, in meters, at most.
pub const MATCH_RADIUS_M: f64 = 1.0;

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Created(CoverId),
    Updated(CoverId),
    Unchanged(CoverId),
    /// An earlier row of this run speaks for the same cover.
    Duplicate(RowRef),
    Problem(Refusal),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowOutcome {
    pub line: u64,
    pub outcome: Outcome,
}

/// `read` is the sum of the other five.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSummary {
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub duplicates: u64,
    pub problems: u64,
}

impl ImportSummary {
    fn count(&mut self, outcome: &Outcome) {
        self.read += 1;
        match outcome {
            Outcome::Created(_) => self.created += 1,
            Outcome::Updated(_) => self.updated += 1,
            Outcome::Unchanged(_) => self.unchanged += 1,
            Outcome::Duplicate(_) => self.duplicates += 1,
            Outcome::Problem(_) => self.problems += 1,
        }
    }

    /// Rows that the reader could not understand.
    fn count_problems(&mut self, rows: u64) {
        self.read += rows;
        self.problems += rows;
    }

    fn tally(&self) -> Tally {
        Tally {
            created: self.created as i64,
            updated: self.updated as i64,
            unchanged: self.unchanged as i64,
            duplicates: self.duplicates as i64,
            problems: self.problems as i64,
        }
    }
}

impl From<Tally> for ImportSummary {
    fn from(tally: Tally) -> Self {
        Self {
            read: tally.settled() as u64,
            created: tally.created as u64,
            updated: tally.updated as u64,
            unchanged: tally.unchanged as u64,
            duplicates: tally.duplicates as u64,
            problems: tally.problems as u64,
        }
    }
}

/// A running import: holds what identity needs to know of every cover. One chunk may be prepared
/// while the one before is being written. An error ends the run.
pub struct ImportRun {
    registry: Registry,
    options: ImportOptions,
    identity: IdentityIndex,
    codebook: Codebook,
    /// `None` until a chunk numbers covers, and after somebody else did.
    sequences: Option<Sequences>,
    districts: HashSet<String>,
    /// The outlines of the districts, where the city has them.
    outlines: Option<Locator>,
    parties: Arc<HashMap<String, PartyId>>,
    file: u16,
    /// `None` in a dry run.
    ledger: Option<Ledger>,
    /// Rows of the run that were read.
    seen: i64,
    /// The districts and classes that rows of the run were of.
    reach: BTreeSet<(String, CoverClass)>,
    writing: Option<Writing>,
    /// What is committed.
    pub summary: ImportSummary,
}

/// Where a run stands in its record.
struct Ledger {
    number: ImportNumber,
    /// Rows up to here were settled before the run was killed; they are read again for what they say
    /// about identity, and neither written nor counted.
    resumed_at: i64,
    /// Rows that the record has settled once the chunks so far are written.
    settled: i64,
    /// What will have become of all rows that were prepared.
    foreseen: ImportSummary,
}

/// A chunk that is ready to be written.
pub struct Prepared {
    plan: Option<Plan>,
    codes: Vec<ComponentCode>,
    answers: Vec<RowOutcome>,
    bad_rows: u64,
}

/// A chunk that is being written.
struct Writing {
    task: Task,
    answers: Vec<RowOutcome>,
    bad_rows: u64,
}

enum Task {
    Running(JoinHandle<Result<bool, RegistryError>>),
    Ended(Result<bool, RegistryError>),
}

impl Registry {
    /// Starts an import, or goes on with one of the same file that was killed: reads what identity needs of
    /// every cover there is.
    pub async fn begin_import(&self, options: ImportOptions) -> Result<ImportRun, RegistryError> {
        self.scheme(&options.scheme)?;
        let source = options.source.trim();
        if source.is_empty() || source.chars().count() > 100 || source.chars().any(char::is_control) {
            return Err(Refusal::new("import.source").at("source").into());
        }
        if !(0.0..=50.0).contains(&options.match_radius_m) {
            return Err(Refusal::new("import.radius")
                .at("match_radius")
                .with("read", options.match_radius_m)
                .into());
        }
        let mut identity = IdentityIndex::new(options.match_radius_m);
        let mut tx = self.store.read().await?;
        let mut codebook = Codebook::begin(&mut tx).await?;
        let mut after = uuid::Uuid::nil();
        loop {
            let page = covers::list_identities(&mut tx, after, 5000).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for row in page {
                let class: CoverClass =
                    row.class.parse().map_err(|_| StoreError::inconsistent("covers", "class", row.id))?;
                let standing = match row.retired_reason.as_deref() {
                    None => Standing::InUse,
                    Some(reason) if reason == RetireReason::Duplicate.as_str() => Standing::Merged,
                    Some(_) => Standing::Gone,
                };
                let index = identity.add(CoverId(row.id), class, (row.lon, row.lat), standing, None);
                if let Some(key) = &row.source_key {
                    identity.add_key(index, &row.source, key);
                }
                codebook.add(&row.scheme, &row.code);
            }
        }
        let districts =
            covers::list_districts(&mut tx).await?.into_iter().map(|district| district.code).collect();
        let parties =
            people::list_parties(&mut tx).await?.into_iter().map(|party| (party.name, party.id)).collect();
        let parties = Arc::new(parties);
        drop(tx);
        let outlines = self.area_index(AreaKind::District).await?;
        let outlines = (!outlines.is_empty()).then(|| outlines.into_locator());
        let record = match options.mode {
            ImportMode::DryRun => None,
            ImportMode::Write => Some(self.open_import(&options, codebook.position()).await?),
        };
        let summary = record.as_ref().map(|record| record.tally.into()).unwrap_or_default();
        let ledger = record.map(|record| {
            let settled = record.tally.settled();
            Ledger { number: record.number, resumed_at: settled, settled, foreseen: summary }
        });
        Ok(ImportRun {
            registry: self.clone(),
            options,
            identity,
            codebook,
            sequences: None,
            districts,
            outlines,
            parties,
            file: 0,
            ledger,
            seen: 0,
            reach: BTreeSet::new(),
            writing: None,
            summary,
        })
    }
}

impl ImportRun {
    /// Districts that count as known although a dry run must not write them.
    pub fn expect_districts(&mut self, codes: impl IntoIterator<Item = String>) {
        self.districts.extend(codes);
    }

    /// Names the next file of the run; answers its number for `RowRef::file`.
    pub fn begin_file(&mut self) -> u16 {
        self.file += 1;
        self.file
    }

    /// Takes some rows, in file order, and commits them together. Answers in the same order.
    pub async fn take(&mut self, rows: Vec<Candidate>) -> Result<Vec<RowOutcome>, RegistryError> {
        let prepared = self.prepare(rows, 0).await?;
        self.begin_write(prepared);
        self.settle().await
    }

    /// Number of the run; `None` in a dry run.
    pub fn number(&self) -> Option<ImportNumber> {
        self.ledger.as_ref().map(|ledger| ledger.number)
    }

    /// Rows that an earlier run of the same file had settled when it was killed.
    pub fn resumed_at(&self) -> u64 {
        self.ledger.as_ref().map_or(0, |ledger| ledger.resumed_at as u64)
    }

    /// Finds out what some rows mean, in file order, and makes ready what will be written. `bad_rows` stood
    /// between them and could not be understood.
    pub async fn prepare(
        &mut self,
        mut rows: Vec<Candidate>,
        bad_rows: u64,
    ) -> Result<Prepared, RegistryError> {
        self.seen += rows.len() as i64 + bad_rows as i64;
        let refused = rows.iter_mut().map(|row| self.locate(row).err().map(Outcome::Problem));
        let mut outcomes: Vec<Option<Outcome>> = refused.collect();
        let rows = Arc::new(rows);
        let parts = self.refuse_unfit(&rows, &mut outcomes).await?;
        let mut fresh = Vec::new();
        let mut known = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            if outcomes[at].is_some() {
                continue;
            }
            if self.options.full {
                self.reach.insert((row.survey.district.clone(), row.survey.class));
            }
            let here = RowRef { file: self.file, line: u32::try_from(row.line).unwrap_or(u32::MAX) };
            match self.identity.claim(&self.options.source, row, here) {
                Match::Duplicate(of) => outcomes[at] = Some(Outcome::Duplicate(of)),
                Match::Known(cover) => known.push((at, cover)),
                Match::New => {
                    let (cover, manhole) = (CoverId::fresh(), ManholeId::fresh());
                    let place = (row.survey.position.lon, row.survey.position.lat);
                    let index =
                        self.identity.add(cover, row.survey.class, place, Standing::InUse, Some(here));
                    if let Some(key) = &row.source_key {
                        self.identity.add_key(index, &self.options.source, key);
                    }
                    fresh.push(Fresh { row: at, cover, manhole });
                    outcomes[at] = Some(Outcome::Created(cover));
                }
            }
        }
        if self.ledger.as_ref().is_some_and(|ledger| self.seen <= ledger.resumed_at) {
            return Ok(Prepared { plan: None, codes: Vec::new(), answers: Vec::new(), bad_rows: 0 });
        }
        let changes = self.compare(&rows, &known, &mut outcomes).await?;
        let answers: Vec<RowOutcome> = rows
            .iter()
            .zip(outcomes)
            .map(|(row, outcome)| RowOutcome {
                line: row.line,
                outcome: outcome.unwrap_or(Outcome::Problem(Refusal::new("import.unaccounted"))),
            })
            .collect();
        if let Some(ledger) = &mut self.ledger {
            ledger.foreseen.count_problems(bad_rows);
            answers.iter().for_each(|answer| ledger.foreseen.count(&answer.outcome));
        }
        let (mut plan, mut codes) = (None, Vec::new());
        if self.options.mode == ImportMode::Write && !(fresh.is_empty() && changes.is_empty()) {
            let mut made = self.plan(rows, fresh, changes, &parts).await?;
            codes = made.prepare()?;
            plan = Some(made);
        }
        Ok(Prepared { plan, codes, answers, bad_rows })
    }

    /// Begins to write a chunk. Call `settle` for the one before first.
    pub fn begin_write(&mut self, prepared: Prepared) {
        let Prepared { plan, codes, answers, bad_rows } = prepared;
        let task = match plan {
            None => Task::Ended(Ok(true)),
            Some(plan) => {
                self.codebook.begin_write(codes.iter(), plan.change_count());
                let (store, plan) = (self.registry.store.clone(), Arc::new(plan));
                Task::Running(tokio::spawn(async move {
                    // A plan writes the manholes of its covers and entries; its districts and parties
                    // were read from the tables, which never lose one.
                    store
                        .write_with_parents::<_, RegistryError, _>(move |tx| {
                            let plan = plan.clone();
                            Box::pin(async move { plan.carry_out(tx).await })
                        })
                        .await
                }))
            }
        };
        self.writing = Some(Writing { task, answers, bad_rows });
    }

    /// Waits until the chunk that is being written is committed, and answers what became of its
    /// rows in their order; nothing when none is being written.
    pub async fn settle(&mut self) -> Result<Vec<RowOutcome>, RegistryError> {
        self.wait_for_commit().await;
        let Some(Writing { task: Task::Ended(ended), answers, bad_rows }) = self.writing.take() else {
            return Ok(Vec::new());
        };
        if !ended? {
            self.sequences = None;
        }
        self.codebook.settle();
        self.summary.count_problems(bad_rows);
        answers.iter().for_each(|answer| self.summary.count(&answer.outcome));
        Ok(answers)
    }

    /// Ends the run: what it wrote is on disk when this answers. With `full`, what the file passed over is
    /// proposed for "not found".
    pub async fn finish(mut self) -> Result<ImportSummary, RegistryError> {
        self.settle().await?;
        let Some(ledger) = &self.ledger else { return Ok(self.summary) };
        let (number, tally) = (ledger.number, self.summary.tally());
        if self.options.full {
            let unclaimed = self.identity.unclaimed();
            self.registry.propose_passed_over(number, unclaimed, &self.reach).await?;
        }
        let step = Step { number, from: ledger.settled, to: tally };
        self.registry.end_import(step).await?;
        Ok(self.summary)
    }

    async fn wait_for_commit(&mut self) {
        if let Some(Writing { task, .. }) = &mut self.writing
            && let Task::Running(running) = task
        {
            let ended = running.await.unwrap_or(Err(RegistryError::Broken(StoreError::Stopped)));
            *task = Task::Ended(ended);
        }
    }

    /// Finds the district of a row that names none, and holds one that does to its outline.
    fn locate(&mut self, row: &mut Candidate) -> Result<(), Refusal> {
        let survey = &mut row.survey;
        let Some(outlines) = &mut self.outlines else {
            return if survey.district.is_empty() {
                Err(Refusal::new("area.no_districts").at("district"))
            } else {
                Ok(())
            };
        };
        let place = (survey.position.lon, survey.position.lat);
        match district_of(outlines, place, &survey.district) {
            DistrictOf::Same => {}
            DistrictOf::Other(code) if survey.district.is_empty() => survey.district = code,
            DistrictOf::Other(code) => {
                let refusal = Refusal::new("district.elsewhere").at("district");
                return Err(refusal.with("read", &survey.district).with("found", code));
            }
            DistrictOf::Outside => {
                let read = format!("{}, {}", place.0, place.1);
                return Err(Refusal::new("position.outside_jurisdiction").at("position").with("read", read));
            }
        }
        Ok(())
    }

    /// Rows that the registry cannot take: unknown district, class without digits, code taken.
    /// Answers the parts of the codes that the others bring.
    async fn refuse_unfit(
        &mut self,
        rows: &[Candidate],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<Vec<Option<CodeParts>>, RegistryError> {
        let mut parts = Vec::with_capacity(rows.len());
        let mut firsts: HashMap<&ComponentCode, usize> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            if outcomes[at].is_some() {
                parts.push(None);
                continue;
            }
            match self.read_row(row)? {
                Ok(read) => {
                    parts.push(read);
                    if let Some(code) = &row.code {
                        firsts.entry(code).or_insert(at);
                    }
                }
                Err(refusal) => {
                    parts.push(None);
                    outcomes[at] = Some(Outcome::Problem(refusal));
                }
            }
        }
        if firsts.is_empty() {
            return Ok(parts);
        }
        if self.codebook.is_unsettled(firsts.keys().copied()) {
            self.wait_for_commit().await;
        }
        let mut tx = self.registry.store.read().await?;
        self.codebook.look_around(&mut tx).await?;
        let given = self.codebook.look_up(&mut tx, firsts.keys().copied()).await?;
        for (at, row) in rows.iter().enumerate() {
            let Some(code) = row.code.as_ref().filter(|_| outcomes[at].is_none()) else { continue };
            let first = firsts.get(code).map_or(row, |first| &rows[*first]);
            let refusal = match given.owners.get(code) {
                Some(owner) if !self.means(row, owner) => Refusal::new("code.taken"),
                None if given.former.contains(code) => Refusal::new("code.taken"),
                None if row.line != first.line && !self.same_cover(row, first) => {
                    Refusal::new("code.twice").with("line", first.line)
                }
                _ => continue,
            };
            outcomes[at] = Some(Outcome::Problem(refusal.at("code").with("read", &code.digits)));
        }
        Ok(parts)
    }

    /// The parts of the code that a row brings, or what is wrong with the row by itself.
    fn read_row(&self, row: &Candidate) -> Result<Result<Option<CodeParts>, Refusal>, RegistryError> {
        let survey = &row.survey;
        if !self.districts.contains(&survey.district) {
            let refusal = Refusal::new("district.unknown").at("district").with("read", &survey.district);
            return Ok(Err(refusal));
        }
        let Some(code) = &row.code else {
            let scheme = self.registry.scheme(&self.options.scheme)?;
            if scheme.has_class(survey.class) {
                return Ok(Ok(None));
            }
            let refusal = Refusal::new("code.class").at("class").with("class", survey.class);
            return Ok(Err(refusal.with("scheme", &scheme.id)));
        };
        match self.registry.scheme(&code.scheme).and_then(|scheme| Ok(scheme.parse(&code.digits)?)) {
            Ok((_, parts)) => Ok(Ok(Some(parts))),
            Err(RegistryError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error),
        }
    }

    /// Whether a row means the cover that has its code already: a second run of the same file.
    fn means(&self, row: &Candidate, owner: &CodeOwner) -> bool {
        match (&row.source_key, &owner.source_key) {
            (Some(mine), Some(theirs)) => mine == theirs && owner.source == self.options.source,
            _ => self.same_place(&row.survey, owner.class, (owner.lon, owner.lat)),
        }
    }

    /// Whether two rows of this run mean the same cover.
    fn same_cover(&self, one: &Candidate, other: &Candidate) -> bool {
        match (&one.source_key, &other.source_key) {
            (Some(one), Some(other)) => one == other,
            (None, None) => {
                let position = &other.survey.position;
                self.same_place(&one.survey, other.survey.class, (position.lon, position.lat))
            }
            _ => false,
        }
    }

    fn same_place(&self, survey: &Survey, class: CoverClass, place: (f64, f64)) -> bool {
        let position = &survey.position;
        survey.class == class
            && distance_m((position.lon, position.lat), place) <= self.options.match_radius_m
    }

    /// Compares rows with the covers they mean; answers what must be written.
    async fn compare(
        &self,
        rows: &[Candidate],
        known: &[(usize, CoverId)],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<Vec<Change>, RegistryError> {
        let mut files = self.read_files(known.iter().map(|(_, cover)| *cover).collect()).await?;
        let mut changes = Vec::new();
        for (at, cover) in known {
            let Some(before) = files.remove(cover) else { continue };
            if let Some(retired) = &before.retired {
                outcomes[*at] = Some(self.of_retired(&before, retired));
                continue;
            }
            let (after, fields) = merged(&before, &rows[*at].survey);
            outcomes[*at] = Some(if fields.is_empty() {
                Outcome::Unchanged(*cover)
            } else {
                changes.push(Change { row: *at, before, after, fields });
                Outcome::Updated(*cover)
            });
        }
        Ok(changes)
    }

    /// What becomes of a row that means a cover which is no longer in use. One that was in the registry
    /// twice stays merged; else somebody must look: the survey found what staff say is gone.
    fn of_retired(&self, file: &CoverFile, retired: &Retired) -> Outcome {
        if retired.reason == RetireReason::Duplicate {
            return Outcome::Unchanged(file.cover);
        }
        let code = self.registry.grouped_code(&file.code);
        Outcome::Problem(Refusal::new("import.retired").with("code", code).with("reason", retired.reason))
    }

    /// The files of known covers: half of them by a task of its own, as the driver costs more than
    /// the database.
    async fn read_files(&self, mut ids: Vec<CoverId>) -> Result<HashMap<CoverId, CoverFile>, RegistryError> {
        let store = self.registry.store.clone();
        let half = ids.split_off(ids.len() / 2);
        let others =
            tokio::spawn(async move { covers::list_covers_by_id(&mut store.read().await?, &half).await });
        let mut files = covers::list_covers_by_id(&mut self.registry.store.read().await?, &ids).await?;
        files.extend(others.await.map_err(|_| StoreError::Stopped)??);
        Ok(files.into_iter().map(|file| (file.cover, file)).collect())
    }

    async fn plan(
        &mut self,
        rows: Arc<Vec<Candidate>>,
        fresh: Vec<Fresh>,
        changes: Vec<Change>,
        parts: &[Option<CodeParts>],
    ) -> Result<Plan, RegistryError> {
        let names: BTreeSet<&String> = rows
            .iter()
            .flat_map(|row| [&row.survey.owner, &row.survey.maintainer, &row.survey.supervisor])
            .flatten()
            .filter(|name| !self.parties.contains_key(*name))
            .collect();
        for name in names {
            let id = self.registry.find_or_add_party(name).await?;
            Arc::make_mut(&mut self.parties).insert(name.clone(), id);
        }
        let scheme = self.registry.scheme(&self.options.scheme)?.clone();
        let new = fresh.iter().map(|fresh| (&rows[fresh.row], parts[fresh.row].as_ref()));
        let demand = Demand::of(new, &scheme);
        if self.sequences.is_none() {
            // What is being written moves the sequences.
            self.wait_for_commit().await;
            let mut tx = self.registry.store.read().await?;
            self.sequences = Some(Sequences::read(&mut tx).await?);
        }
        let foreseen = self.sequences.as_mut().map(|known| known.foresee(&demand)).unwrap_or_default();
        let step = self.ledger.as_mut().map(|ledger| {
            let to = ledger.foreseen.tally();
            Step { number: ledger.number, from: std::mem::replace(&mut ledger.settled, to.settled()), to }
        });
        Ok(Plan {
            changes,
            rows,
            fresh,
            parties: self.parties.clone(),
            source: self.options.source.clone(),
            scheme,
            actor: self.options.actor.word(),
            now: self.registry.now(),
            engine: self.registry.store.engine(),
            demand,
            foreseen,
            step,
            ready: Mutex::new(None),
        })
    }
}
