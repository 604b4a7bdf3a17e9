//! 普查: candidates become covers. Every row is accounted for: created, updated, unchanged,
//! duplicate or problem. One bad row never loses a good one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::files::{self, NewEntry};
use super::identity::{IdentityIndex, Match};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::code::ComponentCode;
use crate::domain::cover::{Candidate, CoverClass, CoverFile, Party, Survey};
use crate::domain::history::{EntryHash, HistoryEntry, HistoryKind};
use crate::domain::ids::{CoverId, ManholeId, Millis, PartyId};
use crate::domain::role::Actor;
use crate::store::covers::CodeTable;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{StoreError, Tx, bulk, covers, people};

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
    pub actor: Actor,
}

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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

    /// A row that the reader could not understand.
    pub fn count_problem(&mut self) {
        self.read += 1;
        self.problems += 1;
    }
}

/// A running import: holds what identity needs to know of every cover.
pub struct ImportRun {
    registry: Registry,
    options: ImportOptions,
    identity: IdentityIndex,
    districts: HashSet<String>,
    parties: HashMap<String, PartyId>,
    file: u16,
    pub summary: ImportSummary,
}

/// A row that will be a new cover.
struct Fresh {
    row: usize,
    cover: CoverId,
    manhole: ManholeId,
}

/// A row that changes a known cover.
struct Change {
    before: CoverFile,
    after: CoverFile,
    body: Value,
}

impl Registry {
    /// Starts an import: reads what identity needs of every cover there is.
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
        let mut after = uuid::Uuid::nil();
        loop {
            let page = covers::list_identities(&mut tx, after, 5000).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for row in page {
                let class: CoverClass =
                    row.class.parse().map_err(|_| StoreError::inconsistent("covers", "class", row.id))?;
                let index = identity.add(CoverId(row.id), class, (row.lon, row.lat), None);
                if let Some(key) = &row.source_key {
                    identity.add_key(index, &row.source, key);
                }
            }
        }
        let districts =
            covers::list_districts(&mut tx).await?.into_iter().map(|district| district.code).collect();
        let parties =
            people::list_parties(&mut tx).await?.into_iter().map(|party| (party.name, party.id)).collect();
        Ok(ImportRun {
            registry: self.clone(),
            options,
            identity,
            districts,
            parties,
            file: 0,
            summary: ImportSummary::default(),
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
        let rows = Arc::new(rows);
        let mut outcomes: Vec<Option<Outcome>> = vec![None; rows.len()];
        let taken = self.refuse_unfit(&rows, &mut outcomes).await?;
        let mut fresh = Vec::new();
        let mut known = Vec::new();
        for (at, row) in rows.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
            let here = RowRef { file: self.file, line: u32::try_from(row.line).unwrap_or(u32::MAX) };
            match self.identity.claim(&self.options.source, row, here) {
                Match::Duplicate(of) => outcomes[at] = Some(Outcome::Duplicate(of)),
                Match::Known(cover) => known.push((at, cover)),
                Match::New => {
                    let (cover, manhole) = (CoverId::fresh(), ManholeId::fresh());
                    let place = (row.survey.position.lon, row.survey.position.lat);
                    let index = self.identity.add(cover, row.survey.class, place, Some(here));
                    if let Some(key) = &row.source_key {
                        self.identity.add_key(index, &self.options.source, key);
                    }
                    fresh.push(Fresh { row: at, cover, manhole });
                    outcomes[at] = Some(Outcome::Created(cover));
                }
            }
        }
        let changes = self.compare(&rows, &known, &mut outcomes).await?;
        if self.options.mode == ImportMode::Write {
            self.write(rows.clone(), fresh, changes).await?;
        }
        let answers: Vec<RowOutcome> = rows
            .iter()
            .zip(outcomes)
            .map(|(row, outcome)| RowOutcome {
                line: row.line,
                outcome: outcome.unwrap_or(Outcome::Problem(Refusal::new("import.unaccounted"))),
            })
            .collect();
        answers.iter().for_each(|answer| self.summary.count(&answer.outcome));
        Ok(answers)
    }

    /// Rows that the registry cannot take: unknown district, class without digits, code taken.
    async fn refuse_unfit(
        &self,
        rows: &[Candidate],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<HashSet<usize>, RegistryError> {
        let mut refused = HashSet::new();
        let mut brought: BTreeMap<&ComponentCode, Vec<usize>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            match self.refuse_row(row)? {
                Some(refusal) => {
                    outcomes[at] = Some(Outcome::Problem(refusal));
                    refused.insert(at);
                }
                None => {
                    if let Some(code) = &row.code {
                        brought.entry(code).or_default().push(at);
                    }
                }
            }
        }
        if brought.is_empty() {
            return Ok(refused);
        }
        let codes: Vec<ComponentCode> = brought.keys().map(|code| (*code).clone()).collect();
        let mut tx = self.registry.store.read().await?;
        let present = covers::list_known_codes(&mut tx, CodeTable::Present, &codes).await?;
        let owners = covers::list_covers_by_code(&mut tx, &present).await?;
        let owners: HashMap<&ComponentCode, &CoverFile> =
            owners.iter().map(|file| (&file.code, file)).collect();
        let former = covers::list_known_codes(&mut tx, CodeTable::Former, &codes).await?;
        let former: HashSet<ComponentCode> = former.into_iter().collect();
        for (code, users) in brought {
            let first = &rows[users[0]];
            for at in users {
                let refusal = match owners.get(code) {
                    Some(owner) if !self.means(&rows[at], owner) => Refusal::new("code.taken"),
                    None if former.contains(code) => Refusal::new("code.taken"),
                    None if rows[at].line != first.line && !self.same_cover(&rows[at], first) => {
                        Refusal::new("code.twice").with("line", first.line)
                    }
                    _ => continue,
                };
                outcomes[at] = Some(Outcome::Problem(refusal.at("code").with("read", &code.digits)));
                refused.insert(at);
            }
        }
        Ok(refused)
    }

    /// What is wrong with a row by itself.
    fn refuse_row(&self, row: &Candidate) -> Result<Option<Refusal>, RegistryError> {
        let survey = &row.survey;
        if !self.districts.contains(&survey.district) {
            return Ok(Some(Refusal::new("district.unknown").at("district").with("read", &survey.district)));
        }
        let Some(code) = &row.code else {
            let scheme = self.registry.scheme(&self.options.scheme)?;
            let refusal = Refusal::new("code.class").at("class").with("class", survey.class);
            return Ok((!scheme.has_class(survey.class)).then(|| refusal.with("scheme", &scheme.id)));
        };
        match self.registry.scheme(&code.scheme).and_then(|scheme| Ok(scheme.parse(&code.digits)?)) {
            Ok(_) => Ok(None),
            Err(RegistryError::Refused(refusal)) => Ok(Some(refusal)),
            Err(error) => Err(error),
        }
    }

    /// Whether a row means the cover that has its code already: a second run of the same file.
    fn means(&self, row: &Candidate, file: &CoverFile) -> bool {
        match (&row.source_key, &file.source_key) {
            (Some(mine), Some(theirs)) => mine == theirs && file.source == self.options.source,
            _ => self.same_place(&row.survey, &file.survey),
        }
    }

    /// Whether two rows of this run mean the same cover.
    fn same_cover(&self, one: &Candidate, other: &Candidate) -> bool {
        match (&one.source_key, &other.source_key) {
            (Some(one), Some(other)) => one == other,
            (None, None) => self.same_place(&one.survey, &other.survey),
            _ => false,
        }
    }

    fn same_place(&self, one: &Survey, other: &Survey) -> bool {
        let (a, b) = (&one.position, &other.position);
        one.class == other.class
            && crate::domain::position::distance_m((a.lon, a.lat), (b.lon, b.lat))
                <= self.options.match_radius_m
    }

    /// Compares rows with the covers they mean; answers what must be written.
    async fn compare(
        &mut self,
        rows: &[Candidate],
        known: &[(usize, CoverId)],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<Vec<Change>, RegistryError> {
        let ids: Vec<CoverId> = known.iter().map(|(_, cover)| *cover).collect();
        let files = covers::list_covers_by_id(&mut self.registry.store.read().await?, &ids).await?;
        let mut files: HashMap<CoverId, CoverFile> =
            files.into_iter().map(|file| (file.cover, file)).collect();
        let mut changes = Vec::new();
        for (at, cover) in known {
            let Some(before) = files.remove(cover) else { continue };
            let (after, body) = merged(&before, &rows[*at].survey);
            outcomes[*at] = Some(if body.is_empty() {
                Outcome::Unchanged(*cover)
            } else {
                changes.push(Change {
                    before,
                    after,
                    body: json!({"source": self.options.source, "fields": body}),
                });
                Outcome::Updated(*cover)
            });
        }
        Ok(changes)
    }

    async fn write(
        &mut self,
        rows: Arc<Vec<Candidate>>,
        fresh: Vec<Fresh>,
        changes: Vec<Change>,
    ) -> Result<(), RegistryError> {
        if fresh.is_empty() && changes.is_empty() {
            return Ok(());
        }
        let names: BTreeSet<String> = rows
            .iter()
            .flat_map(|row| [&row.survey.owner, &row.survey.maintainer, &row.survey.supervisor])
            .flatten()
            .filter(|name| !self.parties.contains_key(*name))
            .cloned()
            .collect();
        for name in names {
            let id = self.registry.find_or_add_party(&name).await?;
            self.parties.insert(name, id);
        }
        let plan = Arc::new(Plan {
            rows,
            fresh,
            changes: changes.into_iter().map(|change| self.with_parties(change)).collect(),
            parties: self.parties.clone(),
            source: self.options.source.clone(),
            scheme: self.registry.scheme(&self.options.scheme)?.clone(),
            schemes: self.registry.schemes.clone(),
            actor: self.options.actor.word(),
            now: self.registry.now(),
        });
        self.registry
            .store
            .write::<(), RegistryError, _>(move |tx| {
                let plan = plan.clone();
                Box::pin(async move { plan.carry_out(tx).await })
            })
            .await
    }

    fn with_parties(&self, mut change: Change) -> Change {
        let find = |name: &Option<String>| {
            let name = name.as_ref()?;
            Some(Party { id: *self.parties.get(name)?, name: name.clone(), hotline: None })
        };
        let survey = change.after.survey.clone();
        change.after.owner = find(&survey.owner);
        change.after.maintainer = find(&survey.maintainer);
        change.after.supervisor = find(&survey.supervisor);
        change
    }
}

/// Everything one transaction of an import needs.
struct Plan {
    rows: Arc<Vec<Candidate>>,
    fresh: Vec<Fresh>,
    changes: Vec<Change>,
    parties: HashMap<String, PartyId>,
    source: String,
    scheme: crate::domain::code::Scheme,
    schemes: Arc<BTreeMap<String, crate::domain::code::Scheme>>,
    actor: String,
    now: Millis,
}

/// The first entry of a file: all that the survey said. Absent fields are unknown.
#[derive(Serialize)]
struct CreatedBody<'a> {
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key: Option<&'a str>,
    line: u64,
    cover: CoverId,
    scheme: &'a str,
    code: &'a str,
    #[serde(flatten)]
    survey: SurveyBody<'a>,
}

#[derive(Serialize)]
struct SurveyBody<'a> {
    district: &'a str,
    class: CoverClass,
    state: crate::domain::cover::CoverState,
    lon: f64,
    lat: f64,
    raw: crate::domain::position::RawPosition,
    method: crate::domain::position::PositionMethod,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    surveyed_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    road: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<crate::domain::cover::Placement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    material: Option<crate::domain::cover::Material>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<crate::domain::cover::Shape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_class: Option<crate::domain::cover::LoadClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maintainer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supervisor: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: &'a BTreeMap<String, String>,
}

impl<'a> SurveyBody<'a> {
    fn of(survey: &'a Survey) -> Self {
        let position = &survey.position;
        Self {
            district: &survey.district,
            class: survey.class,
            state: survey.state,
            lon: position.lon,
            lat: position.lat,
            raw: position.raw,
            method: position.method,
            accuracy_m: position.accuracy_m,
            surveyed_at: position.surveyed_at,
            road: survey.road.as_deref(),
            address: survey.address.as_deref(),
            placement: survey.placement,
            material: survey.material,
            shape: survey.shape,
            load_class: survey.load_class,
            owner: survey.owner.as_deref(),
            maintainer: survey.maintainer.as_deref(),
            supervisor: survey.supervisor.as_deref(),
            extra: &survey.extra,
        }
    }
}

impl Plan {
    async fn carry_out(&self, tx: &mut Tx) -> Result<(), RegistryError> {
        let codes = self.allocate(tx).await?;
        let new: Vec<bulk::NewCover<'_>> =
            self.fresh.iter().zip(codes).map(|(fresh, code)| self.new_cover(fresh, code)).collect();
        for change in &self.changes {
            covers::update_survey(tx, &change.after, change.before.version + 1).await?;
            let actor = self.actor.clone();
            let entry = NewEntry { actor, kind: HistoryKind::Updated, case: None, body: change.body.clone() };
            let file = files::lock(tx, change.before.manhole).await?;
            files::append(tx, change.before.manhole, file.head, self.now, vec![entry]).await?;
        }
        bulk::insert_covers(tx, &new, self.now).await?;
        let covers =
            new.iter().map(|new| new.cover).chain(self.changes.iter().map(|change| change.after.cover));
        let changed = covers.map(|cover| (ChangeKind::Cover, cover.0)).collect();
        Ok(feed::record(tx, self.now, News { events: Vec::new(), changed }).await?)
    }

    fn new_cover(&self, fresh: &Fresh, code: ComponentCode) -> bulk::NewCover<'_> {
        let candidate = &self.rows[fresh.row];
        let survey = &candidate.survey;
        let body = CreatedBody {
            source: &self.source,
            source_key: candidate.source_key.as_deref(),
            line: candidate.line,
            cover: fresh.cover,
            scheme: &code.scheme,
            code: &code.digits,
            survey: SurveyBody::of(survey),
        };
        let mut first_entry = HistoryEntry {
            manhole: fresh.manhole,
            sequence: 1,
            at: self.now,
            actor: self.actor.clone(),
            kind: HistoryKind::Created,
            case: None,
            body: serde_json::to_string(&body).expect("a survey is plain text and finite numbers"),
            hash: EntryHash::default(),
        };
        first_entry.hash = first_entry.expected_hash(&EntryHash::default());
        let party = |name: &Option<String>| name.as_ref().and_then(|name| self.parties.get(name).copied());
        bulk::NewCover {
            cover: fresh.cover,
            manhole: fresh.manhole,
            code,
            candidate,
            owner: party(&survey.owner),
            maintainer: party(&survey.maintainer),
            supervisor: party(&survey.supervisor),
            source: &self.source,
            first_entry,
        }
    }

    /// Codes for the new covers, in their order: those that the census brings are kept, the others
    /// are numbered on within (scheme, district, class), inside this transaction.
    async fn allocate(&self, tx: &mut Tx) -> Result<Vec<ComponentCode>, RegistryError> {
        let mut wanted: BTreeMap<(&str, CoverClass), i64> = BTreeMap::new();
        let mut brought: BTreeMap<(&str, String, CoverClass), u64> = BTreeMap::new();
        for fresh in &self.fresh {
            let row = &self.rows[fresh.row];
            match &row.code {
                None => *wanted.entry((&row.survey.district, row.survey.class)).or_default() += 1,
                Some(code) => {
                    if let Some(scheme) = self.schemes.get(&code.scheme) {
                        let (_, parts) = scheme.parse(&code.digits)?;
                        let highest = brought.entry((&code.scheme, parts.district, parts.class)).or_default();
                        *highest = parts.sequence.max(*highest);
                    }
                }
            }
        }
        for ((scheme, district, class), highest) in brought {
            covers::lift_sequence(tx, scheme, &district, class, highest as i64).await?;
        }
        let mut next: HashMap<(&str, CoverClass), u64> = HashMap::new();
        for (key, count) in wanted {
            let last = covers::advance_sequence(tx, &self.scheme.id, key.0, key.1, count).await?;
            next.insert(key, (last - count + 1) as u64);
        }
        self.fresh
            .iter()
            .map(|fresh| {
                let row = &self.rows[fresh.row];
                if let Some(code) = &row.code {
                    return Ok(code.clone());
                }
                let sequence = next.entry((row.survey.district.as_str(), row.survey.class)).or_insert(1);
                let code = self.scheme.compose(&row.survey.district, row.survey.class, *sequence)?;
                *sequence += 1;
                Ok(code)
            })
            .collect()
    }
}

/// The cover after a new survey and the fields that changed, each as `[before, after]`. What the
/// survey does not know stays; a position gives way only to one that is at least as accurate.
fn merged(before: &CoverFile, new: &Survey) -> (CoverFile, Map<String, Value>) {
    let mut after = before.clone();
    let mut fields = Map::new();
    let old = &before.survey;
    let now = &mut after.survey;
    macro_rules! take {
        ($field:ident) => {
            if new.$field != old.$field {
                fields.insert(stringify!($field).to_owned(), json!([old.$field, new.$field]));
                now.$field = new.$field.clone();
            }
        };
    }
    macro_rules! take_known {
        ($($field:ident),+) => { $( if new.$field.is_some() { take!($field); } )+ };
    }
    take!(district);
    take!(class);
    take!(state);
    take_known!(road, address, placement, material, shape, load_class, owner, maintainer, supervisor);
    for (name, value) in &new.extra {
        if old.extra.get(name) != Some(value) {
            fields.insert(format!("extra.{name}"), json!([old.extra.get(name), value]));
            now.extra.insert(name.clone(), value.clone());
        }
    }
    let no_worse = match (old.position.accuracy_m, new.position.accuracy_m) {
        (Some(old), Some(new)) => new <= old,
        (Some(_), None) => false,
        (None, _) => true,
    };
    if new.position != old.position && no_worse {
        fields.insert("position".to_owned(), json!([old.position, new.position]));
        now.position = new.position.clone();
    }
    (after, fields)
}
