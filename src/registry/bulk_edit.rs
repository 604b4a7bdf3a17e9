//! 批量修改: one change of every cover that a filter finds. First it is looked at: what would change,
//! what cannot. Then it is carried out, some covers a transaction, so that nobody waits for it; a cover
//! that somebody changed since the look is left alone and named. It can be undone in the same way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bulk_turn;
use super::editing::needed_reason;
use super::fields::{self, Known};
use super::{Call, CoverFilter, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::edit::{self, BulkRowState, BulkState, CodeChoice, CoverEdit, StoredRefusal};
use crate::domain::ids::{BulkEditId, CoverId, IdempotencyKey, Millis};
use crate::domain::role::Actor;
use crate::store::bulk_edits::{self, BulkRow};
use crate::store::{StoreError, cover_list, covers};

pub use crate::store::bulk_edits::BulkRecord;

/// A change of many covers to be looked at.
#[derive(Debug, Clone)]
pub struct BulkOrder {
    pub key: IdempotencyKey,
    pub filter: CoverFilter,
    /// The filter as the door writes it, to be shown again.
    pub filter_text: String,
    pub edit: CoverEdit,
    pub code: CodeChoice,
    pub reason: String,
    pub actor: Actor,
}

/// Carrying out or undoing one that was looked at.
#[derive(Debug, Clone)]
pub struct BulkStep {
    pub key: IdempotencyKey,
    pub id: BulkEditId,
    /// The version that the person saw.
    pub expected_version: i64,
    pub actor: Actor,
}

/// What is set, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BulkSet {
    pub set: CoverEdit,
    pub code: CodeChoice,
}

/// A change of many covers and how far it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkEdit {
    pub record: BulkRecord,
    pub set: BulkSet,
    /// Covers that it would change or could not, by where they stand.
    pub counts: BTreeMap<BulkRowState, i64>,
}

impl BulkEdit {
    pub fn count(&self, state: BulkRowState) -> i64 {
        self.counts.get(&state).copied().unwrap_or_default()
    }
}

/// One cover of a change of many.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkLine {
    pub cover: CoverFile,
    pub state: BulkRowState,
    /// Changed fields, each as `[before, after]`.
    pub fields: Map<String, Value>,
    pub refusal: Option<StoredRefusal>,
}

/// Most covers of one change; a district at a time is more than that nowhere.
const MOST: i64 = 100_000;
const PAGE: i64 = 500;
/// Most lines on one page.
const LINES: i64 = 500;
/// A look that nobody follows up is forgotten after two days.
const STALE_MS: i64 = 2 * 24 * 3600 * 1000;

#[derive(Serialize, Deserialize)]
struct Answered {
    bulk: BulkEditId,
}

impl Registry {
    /// Looks at what a change would do to every cover that the filter finds; nothing is changed.
    pub async fn preview_bulk_edit(&self, mut order: BulkOrder) -> Result<BulkEdit, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        order.edit = fields::checked(order.edit)?;
        if order.edit.position.is_some() || order.edit.address.is_some() {
            return Err(Refusal::new("bulk.one_place").at("position").into());
        }
        let set = BulkSet { set: order.edit.clone(), code: order.code };
        let set_text = serde_json::to_string(&set).expect("an edit is always JSON");
        let now = self.now();
        let record = BulkRecord {
            id: BulkEditId::fresh(),
            state: BulkState::Previewing,
            filter: order.filter_text.clone(),
            edit: set_text.clone(),
            reason: order.reason.clone(),
            actor: order.actor.word(),
            matched: 0,
            unchanged: 0,
            created_at: now,
            applied_at: None,
            undone_at: None,
            undone_by: None,
            version: 1,
        };
        let scope = format!("bulk:{}", order.actor.word());
        let hash = sha256(&[order.filter_text.as_bytes(), set_text.as_bytes(), order.reason.as_bytes()]);
        let key = order.key;
        let answered = self
            .once::<Answered, _>(Call { key, scope, hash, now }, move |tx| {
                let record = record.clone();
                Box::pin(async move {
                    bulk_edits::remove_stale(tx, Millis(now.0 - STALE_MS)).await?;
                    bulk_edits::add_bulk_edit(tx, &record).await?;
                    Ok(Answered { bulk: record.id })
                })
            })
            .await?;
        let known = self.known_bulk_edit(answered.bulk).await?;
        if known.record.state == BulkState::Previewing {
            self.look_at_all(known.record, order.filter, &set).await?;
        }
        self.known_bulk_edit(answered.bulk).await
    }

    /// Walks over the covers and notes what would become of them. A walk that was broken off begins anew.
    async fn look_at_all(
        &self,
        mut record: BulkRecord,
        mut filter: CoverFilter,
        set: &BulkSet,
    ) -> Result<(), RegistryError> {
        let known = Known::read(&mut self.store.read().await?, set.set.moves()).await?;
        let id = record.id;
        self.forget_rows(id).await?;
        (record.matched, record.unchanged) = (0, 0);
        filter.limit = PAGE;
        loop {
            let page = cover_list::list_covers(&mut self.store.read().await?, &filter).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.cover);
            record.matched += page.len() as i64;
            if record.matched > MOST {
                self.forget_rows(id).await?;
                return Err(Refusal::new("bulk.too_many").at("filter").with("most", MOST).into());
            }
            let mut rows = Vec::new();
            for file in &page {
                match self.look_at(file, set, &known) {
                    Ok(fields) if fields.is_empty() => record.unchanged += 1,
                    Ok(fields) => rows.push(BulkRow {
                        cover: file.cover,
                        state: BulkRowState::Waiting,
                        version: file.version,
                        fields: Value::Object(fields).to_string(),
                        refusal: String::new(),
                    }),
                    Err(refusal) => rows.push(BulkRow {
                        cover: file.cover,
                        state: BulkRowState::Refused,
                        version: file.version,
                        fields: "{}".into(),
                        refusal: refusal_text(&refusal),
                    }),
                }
            }
            self.store
                .write::<(), RegistryError, _>(move |tx| {
                    let rows = rows.clone();
                    Box::pin(async move { Ok(bulk_edits::add_rows(tx, id, &rows).await?) })
                })
                .await?;
        }
        record.state = BulkState::Previewed;
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let record = record.clone();
                Box::pin(async move {
                    bulk_edits::update_bulk_edit(tx, &record).await.map(drop).map_err(Into::into)
                })
            })
            .await
    }

    async fn forget_rows(&self, id: BulkEditId) -> Result<(), RegistryError> {
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(bulk_edits::remove_rows(tx, id).await?) })
            })
            .await
    }

    /// What a change would do to one cover.
    fn look_at(&self, file: &CoverFile, set: &BulkSet, known: &Known) -> Result<Map<String, Value>, Refusal> {
        if file.retired.is_some() {
            return Err(Refusal::new("cover.retired").with("code", self.grouped_code(&file.code)));
        }
        let (after, mut fields) = fields::edited(file, &set.set, known)?;
        if let Ok(scheme) = self.scheme(&file.code.scheme)
            && edit::wants_new_code(file, &after, set.code, scheme)?
        {
            scheme.compose(&after.survey.district, after.survey.class, 1)?;
            fields.insert("code".into(), json!([file.code.digits, null]));
        }
        Ok(fields)
    }

    /// Begins to carry out a change that was looked at. Call [`Self::carry_on_bulk_edit`] then.
    pub async fn apply_bulk_edit(&self, step: BulkStep) -> Result<BulkEdit, RegistryError> {
        self.step_bulk_edit(step, "apply", |record, actor| match record.state {
            BulkState::Previewed => {
                record.state = BulkState::Applying;
                record.actor = actor.word();
                Ok(())
            }
            // Left in the middle: it goes on.
            BulkState::Applying => Ok(()),
            state => Err(Refusal::new("bulk.not_now").with("bulk_state", state)),
        })
        .await
    }

    /// Begins to undo a change that was carried out.
    pub async fn undo_bulk_edit(&self, step: BulkStep) -> Result<BulkEdit, RegistryError> {
        self.step_bulk_edit(step, "undo", |record, actor| match record.state {
            BulkState::Applied => {
                record.state = BulkState::Undoing;
                record.undone_by = Some(actor.word());
                Ok(())
            }
            BulkState::Undoing => Ok(()),
            state => Err(Refusal::new("bulk.not_now").with("bulk_state", state)),
        })
        .await
    }

    async fn step_bulk_edit(
        &self,
        step: BulkStep,
        scope: &'static str,
        turn: fn(&mut BulkRecord, &Actor) -> Result<(), Refusal>,
    ) -> Result<BulkEdit, RegistryError> {
        let now = self.now();
        let id = step.id;
        let hash = sha256(&[scope.as_bytes(), &step.expected_version.to_be_bytes()]);
        let scope = format!("bulk_{scope}:{}:{id}", step.actor.word());
        self.once::<Answered, _>(Call { key: step.key, scope, hash, now }, move |tx| {
            let step = step.clone();
            Box::pin(async move {
                let mut record =
                    bulk_edits::lock_bulk_edit(tx, id).await?.ok_or_else(|| unknown_bulk_edit(id))?;
                if record.version != step.expected_version {
                    let refusal = Refusal::new("bulk.moved_meanwhile").with("bulk_state", record.state);
                    return Err(RegistryError::Conflict(refusal));
                }
                turn(&mut record, &step.actor).map_err(RegistryError::Conflict)?;
                bulk_edits::update_bulk_edit(tx, &record).await?;
                Ok(Answered { bulk: id })
            })
        })
        .await?;
        self.known_bulk_edit(id).await
    }

    /// Carries out or undoes what was begun, to its end. Two may do so at once: they take turns.
    pub async fn carry_on_bulk_edit(&self, id: BulkEditId) -> Result<(), RegistryError> {
        loop {
            let (registry, now) = (self.clone(), self.now());
            let more = self
                .store
                .write::<bool, RegistryError, _>(move |tx| {
                    let registry = registry.clone();
                    Box::pin(async move { bulk_turn::take(tx, &registry, id, now).await })
                })
                .await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Those that were begun and not ended, e.g. because the power went.
    pub async fn list_unfinished_bulk_edits(&self) -> Result<Vec<BulkEditId>, RegistryError> {
        Ok(bulk_edits::list_unfinished(&mut self.store.read().await?).await?)
    }

    pub async fn find_bulk_edit(&self, id: BulkEditId) -> Result<Option<BulkEdit>, RegistryError> {
        let mut tx = self.store.read().await?;
        let Some(record) = bulk_edits::find_bulk_edit(&mut tx, id).await? else { return Ok(None) };
        let counts = bulk_edits::count_rows(&mut tx, id).await?.into_iter().collect();
        let set = read_set(&record)?;
        Ok(Some(BulkEdit { record, set, counts }))
    }

    async fn known_bulk_edit(&self, id: BulkEditId) -> Result<BulkEdit, RegistryError> {
        self.find_bulk_edit(id).await?.ok_or_else(|| unknown_bulk_edit(id))
    }

    /// The newest before `before`, without their counts.
    pub async fn list_bulk_edits(
        &self,
        before: Option<BulkEditId>,
        limit: i64,
    ) -> Result<Vec<BulkRecord>, RegistryError> {
        let mut tx = self.store.read().await?;
        Ok(bulk_edits::list_bulk_edits(&mut tx, before, limit.clamp(1, 200)).await?)
    }

    /// What a change of many sets.
    pub fn read_bulk_set(&self, record: &BulkRecord) -> Result<BulkSet, RegistryError> {
        Ok(read_set(record)?)
    }

    /// Covers of a change of many that stand in one of these states, after `after`.
    pub async fn list_bulk_lines(
        &self,
        id: BulkEditId,
        states: &[BulkRowState],
        after: Option<CoverId>,
        limit: i64,
    ) -> Result<Vec<BulkLine>, RegistryError> {
        let mut tx = self.store.read().await?;
        let rows = bulk_edits::list_rows(&mut tx, id, states, after, limit.clamp(1, LINES)).await?;
        let ids: Vec<CoverId> = rows.iter().map(|row| row.cover).collect();
        let files = covers::list_covers_by_id(&mut tx, &ids).await?;
        let mut files: BTreeMap<CoverId, CoverFile> =
            files.into_iter().map(|file| (file.cover, file)).collect();
        rows.into_iter()
            .map(|row| {
                let broken = |column| StoreError::inconsistent("bulk_edit_rows", column, row.cover);
                Ok(BulkLine {
                    cover: files.remove(&row.cover).ok_or_else(|| broken("cover_id"))?,
                    state: row.state,
                    fields: serde_json::from_str(&row.fields).map_err(|_| broken("fields"))?,
                    refusal: match row.refusal.as_str() {
                        "" => None,
                        text => Some(serde_json::from_str(text).map_err(|_| broken("refusal"))?),
                    },
                })
            })
            .collect()
    }
}

pub(super) fn unknown_bulk_edit(id: BulkEditId) -> RegistryError {
    RegistryError::NotFound(Refusal::new("bulk.unknown").with("read", id))
}

pub(super) fn refusal_text(refusal: &Refusal) -> String {
    serde_json::to_string(&StoredRefusal::from(refusal)).expect("texts are always JSON")
}

/// What a stored change sets.
pub(super) fn read_set(record: &BulkRecord) -> Result<BulkSet, StoreError> {
    serde_json::from_str(&record.edit).map_err(|_| StoreError::inconsistent("bulk_edits", "edit", record.id))
}
