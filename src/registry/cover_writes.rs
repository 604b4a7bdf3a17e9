//! Many covers read or changed in one call of a program: each change names the version that it saw, and is made by the
//! same code as that of one cover by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::amend::{self, Versions};
use super::editing::{self, FieldEdit, OneChange};
use super::fields::{self, Known};
use super::files;
use super::reports::clean_text;
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::case::TEXT_LIMIT;
use crate::domain::cover::CoverFile;
use crate::domain::edit::StoredRefusal;
use crate::domain::ids::{CoverId, IdempotencyKey, ManholeId, Millis};
use crate::domain::names::named_enum;
use crate::domain::role::Actor;
use crate::store::feed;
use crate::store::{Tx, WriteError, covers, edits};

/// Most covers that one call reads.
pub const MOST_READ: usize = 1000;
/// Most changes of one call: a fifth of a second of the writer on SQLite.
pub const MOST_WRITTEN: usize = 500;

/// A cover as a program names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CoverName {
    /// Present or former, as somebody types it.
    Code(String),
    Id(CoverId),
}

/// Covers of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct CoversRead {
    /// In the order asked; `None` where there is no such cover.
    pub covers: Vec<Option<CoverFile>>,
    /// Number of the newest change at that moment: whoever follows the feed from here misses nothing.
    pub last_change: i64,
}

named_enum! {
    /// What becomes of the others when one change cannot be made.
    WriteMode as "write_mode" {
        /// Nothing is changed unless everything can be.
        AllOrNothing = "all_or_nothing",
        /// Each change stands for itself.
        Each = "each",
    }
}

named_enum! {
    /// What became of one change.
    WriteState as "write_state" {
        Changed = "changed",
        /// It was so already.
        Unchanged = "unchanged",
        /// Somebody changed the cover since.
        Conflict = "conflict",
        Refused = "refused",
        /// There is no such cover.
        Missing = "missing",
        /// Could be made, and was left alone because another one could not.
        Left = "left",
    }
}

/// A change of one cover among many.
#[derive(Debug, Clone)]
pub struct CoverWrite {
    pub cover: CoverName,
    /// The version that the program saw; why it cannot be read is said of this change alone.
    pub change: Result<(i64, FieldEdit, String), Refusal>,
}

/// Many changes under one key.
#[derive(Debug, Clone)]
pub struct CoverWrites {
    pub key: IdempotencyKey,
    pub mode: WriteMode,
    pub writes: Vec<CoverWrite>,
    pub actor: Actor,
}

/// What became of one change, as it is kept under the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOutcome {
    pub state: WriteState,
    /// `None` where there is no such cover.
    pub cover: Option<CoverId>,
    /// Its digits as they are now.
    pub code: Option<String>,
    /// The version of the cover now.
    pub version: Option<i64>,
    /// Why it was refused, and the field that is meant.
    pub refusal: Option<(StoredRefusal, Option<String>)>,
}

/// What became of all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoversWritten {
    /// Whether anything was kept at all; `false` only where it was all or nothing.
    pub committed: bool,
    /// In the order of the changes.
    pub outcomes: Vec<WriteOutcome>,
    /// Every cover whose version moved on, neighbors on the same manhole included.
    pub touched: Vec<CoverId>,
}

impl Registry {
    /// Covers by their codes or ids, all of one moment.
    pub async fn read_covers(&self, names: &[CoverName]) -> Result<CoversRead, RegistryError> {
        let mut tx = self.store.read_frozen().await?;
        let ids = resolve(&mut tx, names).await?;
        let known: Vec<CoverId> =
            ids.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let files = covers::list_covers_by_id(&mut tx, &known).await?;
        let last_change = feed::last_change(&mut tx).await?;
        tx.finish_frozen().await?;
        let files: BTreeMap<CoverId, CoverFile> = files.into_iter().map(|file| (file.cover, file)).collect();
        let covers = ids.iter().map(|id| files.get(id.as_ref()?).cloned()).collect();
        Ok(CoversRead { covers, last_change })
    }

    /// Makes many changes in one transaction, in their order. What cannot be made is said of each; the same call again
    /// gets the same answer, also where nothing was changed.
    pub async fn write_covers(&self, mut order: CoverWrites) -> Result<CoversWritten, RegistryError> {
        for write in &mut order.writes {
            write.change =
                std::mem::replace(&mut write.change, Err(Refusal::new("edit.empty"))).and_then(checked);
        }
        let now = self.now();
        let scope = format!("write_covers:{}", order.actor.word());
        let hash = sha256(&[told_apart(&order).as_bytes()]);
        let (registry, order) = (self.clone(), Arc::new(order));
        self.once::<CoversWritten, _>(Call { key: order.key, scope, hash, now }, move |tx| {
            let (registry, order) = (registry.clone(), order.clone());
            Box::pin(async move { write_all(tx, &registry, &order, now).await })
        })
        .await
    }
}

/// What one cover by hand is held to before anything is looked up.
fn checked(
    (version, mut what, reason): (i64, FieldEdit, String),
) -> Result<(i64, FieldEdit, String), Refusal> {
    let reason = clean_text(&reason, "reason", TEXT_LIMIT)?;
    what.edit = fields::checked(what.edit)?;
    Ok((version, what, reason))
}

/// By which a repeated call is known from another one under its key.
fn told_apart(order: &CoverWrites) -> String {
    let writes = order.writes.iter().map(|write| match &write.change {
        Ok((version, FieldEdit { edit, code }, reason)) => {
            json!([write.cover, version, edit, edit.position, code, reason])
        }
        Err(refusal) => json!([write.cover, StoredRefusal::from(refusal)]),
    });
    json!([order.mode, writes.collect::<Vec<_>>()]).to_string()
}

/// The covers of these names, in the same order.
async fn resolve(tx: &mut Tx, names: &[CoverName]) -> Result<Vec<Option<CoverId>>, RegistryError> {
    let plain =
        |code: &str| code.chars().filter(|c| !matches!(c, ' ' | '-' | '\0')).take(64).collect::<String>();
    let codes: BTreeSet<String> = names
        .iter()
        .filter_map(|name| match name {
            CoverName::Code(code) => Some(plain(code)),
            CoverName::Id(_) => None,
        })
        .collect();
    let known = covers::list_ids_by_code(tx, &codes.into_iter().collect::<Vec<_>>()).await?;
    Ok(names
        .iter()
        .map(|name| match name {
            CoverName::Code(code) => known.get(&plain(code)).copied(),
            CoverName::Id(id) => Some(*id),
        })
        .collect())
}

async fn write_all(
    tx: &mut Tx,
    registry: &Registry,
    order: &CoverWrites,
    now: Millis,
) -> Result<CoversWritten, RegistryError> {
    let names: Vec<CoverName> = order.writes.iter().map(|write| write.cover.clone()).collect();
    let ids = resolve(tx, &names).await?;
    let manholes = take_files(tx, &ids).await?;
    let moves = |write: &CoverWrite| write.change.as_ref().is_ok_and(|(_, what, _)| what.edit.moves());
    let known = Known::read(tx, order.writes.iter().any(moves)).await?;
    let all_or_nothing = order.mode == WriteMode::AllOrNothing;
    let mut done = CoversWritten { committed: true, outcomes: Vec::new(), touched: Vec::new() };
    let mut touched = BTreeSet::new();
    if all_or_nothing {
        tx.set_mark().await?;
    }
    for (write, id) in order.writes.iter().zip(&ids) {
        let Some(id) = id.filter(|id| manholes.contains_key(id)) else {
            done.outcomes.push(WriteOutcome::of(WriteState::Missing));
            continue;
        };
        let (outcome, versions) = write_one(tx, (registry, &known), (id, write, &order.actor), now).await?;
        done.outcomes.push(outcome);
        touched.extend(versions.into_keys());
    }
    if all_or_nothing {
        done.committed = done.outcomes.iter().all(|outcome| outcome.state.is_fine());
        if !done.committed {
            tx.back_to_mark().await?;
            leave_alone(tx, &mut done.outcomes).await?;
            return Ok(done);
        }
        tx.forget_mark().await?;
    }
    done.touched = touched.iter().copied().collect();
    amend::tell(tx, now, touched).await?;
    Ok(done)
}

/// Takes the files of all manholes that are meant, in the order of their ids, so that two such calls do not wait for each
/// other; answers the covers that there are.
async fn take_files(
    tx: &mut Tx,
    ids: &[Option<CoverId>],
) -> Result<BTreeMap<CoverId, ManholeId>, RegistryError> {
    let ids: Vec<CoverId> = ids.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let manholes: BTreeMap<CoverId, ManholeId> =
        edits::list_manholes_of(tx, &ids).await?.into_iter().collect();
    for manhole in manholes.values().collect::<BTreeSet<_>>() {
        files::lock(tx, *manhole).await?;
    }
    Ok(manholes)
}

async fn write_one(
    tx: &mut Tx,
    rules: (&Registry, &Known),
    (cover, write, actor): (CoverId, &CoverWrite, &Actor),
    now: Millis,
) -> Result<(WriteOutcome, Versions), RegistryError> {
    let none = Versions::new();
    let (version, what, reason) = match &write.change {
        Ok(change) => change,
        Err(refusal) => return Ok((refused(tx, cover, refusal).await?, none)),
    };
    let change = OneChange { cover, expected_version: *version, what, reason, actor };
    tx.set_mark().await?;
    match editing::change_cover(tx, rules, change, now).await {
        Ok(changed) => {
            tx.forget_mark().await?;
            let state = if changed.versions.is_empty() { WriteState::Unchanged } else { WriteState::Changed };
            let outcome = WriteOutcome {
                cover: Some(cover),
                code: Some(changed.code.digits),
                version: Some(changed.version),
                ..WriteOutcome::of(state)
            };
            Ok((outcome, changed.versions))
        }
        Err(error) if error.is_transient() => Err(error),
        Err(RegistryError::Conflict(refusal)) if refusal.code == amend::CHANGED_MEANWHILE => {
            tx.back_to_mark().await?;
            Ok((found(tx, cover, WriteState::Conflict).await?, none))
        }
        Err(
            RegistryError::Refused(refusal)
            | RegistryError::Conflict(refusal)
            | RegistryError::NotFound(refusal)
            | RegistryError::Forbidden(refusal),
        ) => {
            tx.back_to_mark().await?;
            Ok((refused(tx, cover, &refusal).await?, none))
        }
        Err(error) => Err(error),
    }
}

async fn refused(tx: &mut Tx, cover: CoverId, refusal: &Refusal) -> Result<WriteOutcome, RegistryError> {
    let mut outcome = found(tx, cover, WriteState::Refused).await?;
    let field = refusal.field.as_ref().map(ToString::to_string);
    outcome.refusal = Some((StoredRefusal::from(refusal), field));
    Ok(outcome)
}

/// A cover as it is now.
async fn found(tx: &mut Tx, cover: CoverId, state: WriteState) -> Result<WriteOutcome, RegistryError> {
    let file = covers::find_cover(tx, cover).await?;
    Ok(WriteOutcome {
        cover: Some(cover),
        code: file.as_ref().map(|file| file.code.digits.clone()),
        version: file.as_ref().map(|file| file.version),
        ..WriteOutcome::of(state)
    })
}

/// What was taken back is said as it is again.
async fn leave_alone(tx: &mut Tx, outcomes: &mut [WriteOutcome]) -> Result<(), RegistryError> {
    for outcome in outcomes {
        let state = if outcome.state == WriteState::Changed { WriteState::Left } else { outcome.state };
        if let Some(cover) = outcome.cover {
            let refusal = outcome.refusal.take();
            *outcome = WriteOutcome { refusal, ..found(tx, cover, state).await? };
        }
    }
    Ok(())
}

impl WriteState {
    /// Whether nothing stands in the way of it.
    const fn is_fine(self) -> bool {
        matches!(self, WriteState::Changed | WriteState::Unchanged)
    }
}

impl WriteOutcome {
    fn of(state: WriteState) -> Self {
        Self { state, cover: None, code: None, version: None, refusal: None }
    }
}
