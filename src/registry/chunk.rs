//! One chunk of a census on its way into the database: numbered, its entries written and hashed and
//! its statements bound before the transaction, which only runs them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::RegistryError;
use super::amend::{self, Versions};
use super::files::{self, NewEntry};
use super::numbering::Demand;
use super::resurvey::merged;
use crate::domain::Refusal;
use crate::domain::code::{ComponentCode, Scheme};
use crate::domain::cover::{Candidate, CoverClass, CoverFile, Party, Survey};
use crate::domain::history::{EntryHash, HistoryEntry, HistoryKind};
use crate::domain::ids::{CoverId, ManholeId, Millis, PartyId};
use crate::domain::import_run::{ImportNumber, ImportState};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::LockedFile;
use crate::store::imports::{self, Step};
use crate::store::{EngineKind, Statement, Tx, bulk};

/// A row that will be a new cover.
pub(super) struct Fresh {
    pub(super) row: usize,
    pub(super) cover: CoverId,
    pub(super) manhole: ManholeId,
}

/// A row that changes a known cover.
pub(super) struct Change {
    pub(super) row: usize,
    pub(super) before: CoverFile,
    pub(super) after: CoverFile,
    pub(super) fields: Map<String, Value>,
}

/// Everything one transaction of an import needs.
pub(super) struct Plan {
    pub(super) rows: Arc<Vec<Candidate>>,
    pub(super) fresh: Vec<Fresh>,
    pub(super) changes: Vec<Change>,
    pub(super) parties: Arc<HashMap<String, PartyId>>,
    pub(super) source: String,
    pub(super) scheme: Scheme,
    pub(super) actor: String,
    pub(super) now: Millis,
    pub(super) engine: EngineKind,
    pub(super) demand: Demand,
    /// The last numbers for which `ready` was made.
    pub(super) foreseen: Vec<i64>,
    /// How far the chunk takes the run in its record.
    pub(super) step: Option<Step>,
    /// Taken by the first try; a repeated transaction makes its statements anew.
    pub(super) ready: Mutex<Option<Vec<Statement>>>,
}

/// The first entry of a file: all that the survey said. Absent fields are unknown.
#[derive(Serialize)]
struct CreatedBody<'a> {
    source: &'a str,
    /// Number of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    import: Option<ImportNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key: Option<&'a str>,
    line: u64,
    cover: CoverId,
    scheme: &'a str,
    code: &'a str,
    #[serde(flatten)]
    survey: SurveyBody<'a>,
}

/// What the first entry says of a survey.
#[derive(Serialize)]
pub(super) struct SurveyBody<'a> {
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
    pub(super) fn of(survey: &'a Survey) -> Self {
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
    /// Makes the statements for the numbers that are foreseen; answers the codes.
    pub(super) fn prepare(&mut self) -> Result<Vec<ComponentCode>, RegistryError> {
        let codes = self.codes(&self.foreseen)?;
        self.ready = Mutex::new(Some(self.statements(codes.clone())));
        Ok(codes)
    }

    /// How many changes the feed will have more.
    pub(super) fn change_count(&self) -> i64 {
        (self.fresh.len() + self.changes.len()) as i64
    }

    /// Answers whether the numbers were those foreseen.
    pub(super) async fn carry_out(&self, tx: &mut Tx) -> Result<bool, RegistryError> {
        if let Some(step) = &self.step
            && !imports::take_on(tx, step, ImportState::Running, self.now).await?
        {
            let refusal = Refusal::new("import.taken_over").with("number", step.number);
            return Err(RegistryError::Conflict(refusal));
        }
        let lasts = self.demand.take(tx).await?;
        let as_foreseen = lasts == self.foreseen;
        let ready = self.ready.lock().ok().and_then(|mut ready| ready.take());
        let statements = match ready {
            Some(ready) if as_foreseen => ready,
            _ => self.statements(self.codes(&lasts)?),
        };
        let mut covers: Vec<CoverId> = self.fresh.iter().map(|fresh| fresh.cover).collect();
        for change in &self.changes {
            covers.extend(self.change(tx, change).await?);
        }
        bulk::execute(tx, statements).await?;
        let changed = covers.into_iter().map(|cover| (ChangeKind::Cover, cover.0)).collect();
        feed::record(tx, self.now, News { events: Vec::new(), changed }).await?;
        Ok(as_foreseen)
    }

    /// Changes a known cover, or what somebody else has made of it since it was compared; answers the
    /// covers that changed.
    async fn change(&self, tx: &mut Tx, change: &Change) -> Result<Vec<CoverId>, RegistryError> {
        let file = files::lock(tx, change.before.manhole).await?;
        let after = self.with_parties(change.after.clone());
        if let Some(versions) = amend::write(tx, &change.before, &after, &change.fields).await? {
            let place = (change.before.manhole, file);
            return self.enter(tx, place, (change.before.cover, change.fields.clone()), versions).await;
        }
        let taken = amend::take(tx, change.before.cover).await?;
        if taken.file.retired.is_some() {
            // Retired in between: the next run names it.
            return Ok(Vec::new());
        }
        let (after, fields) = merged(&taken.file, &self.rows[change.row].survey);
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let after = self.with_parties(after);
        let versions = amend::write(tx, &taken.file, &after, &fields).await?;
        let versions = versions.ok_or_else(amend::changed_meanwhile)?;
        self.enter(tx, (taken.file.manhole, taken.locked), (taken.file.cover, fields), versions).await
    }

    async fn enter(
        &self,
        tx: &mut Tx,
        (manhole, file): (ManholeId, LockedFile),
        (cover, fields): (CoverId, Map<String, Value>),
        versions: Versions,
    ) -> Result<Vec<CoverId>, RegistryError> {
        let body =
            amend::body(cover, &versions, fields, json!({"source": self.source, "import": self.number()}));
        let entry = NewEntry { actor: self.actor.clone(), kind: HistoryKind::Updated, case: None, body };
        files::append(tx, manhole, file.head, self.now, vec![entry]).await?;
        Ok(versions.into_keys().collect())
    }

    fn with_parties(&self, mut after: CoverFile) -> CoverFile {
        let find = |name: &Option<String>| {
            let name = name.as_ref()?;
            Some(Party { id: *self.parties.get(name)?, name: name.clone(), hotline: None })
        };
        after.owner = find(&after.survey.owner);
        after.maintainer = find(&after.survey.maintainer);
        after.supervisor = find(&after.survey.supervisor);
        after
    }

    /// Number of the run.
    fn number(&self) -> Option<ImportNumber> {
        self.step.as_ref().map(|step| step.number)
    }

    fn codes(&self, lasts: &[i64]) -> Result<Vec<ComponentCode>, RegistryError> {
        self.demand.number(self.fresh.iter().map(|fresh| &self.rows[fresh.row]), &self.scheme, lasts)
    }

    fn statements(&self, codes: Vec<ComponentCode>) -> Vec<Statement> {
        let new = self.fresh.iter().zip(codes).map(|(fresh, code)| self.new_cover(fresh, code)).collect();
        bulk::prepare_covers(self.engine, new, self.now)
    }

    fn new_cover(&self, fresh: &Fresh, code: ComponentCode) -> bulk::NewCover<'_> {
        let candidate = &self.rows[fresh.row];
        let survey = &candidate.survey;
        let body = CreatedBody {
            source: &self.source,
            import: self.number(),
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
}
