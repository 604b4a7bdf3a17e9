//! One transaction of a change of many covers: some of them changed or changed back, each with its line
//! in its manhole's file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::amend::{self, Versions};
use super::bulk_edit::{self, BulkSet};
use super::conflicts;
use super::editing;
use super::fields::{self, Known};
use super::files::{self, NewEntry};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::code::ComponentCode;
use crate::domain::cover::CoverFile;
use crate::domain::edit::{BulkRowState, BulkState, CodeChoice};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{BulkEditId, CoverId, ManholeId, Millis};
use crate::store::bulk_edits::{self, BulkRecord, BulkRow};
use crate::store::history::ChainHead;
use crate::store::{StoreError, Tx, covers, history};

/// Covers of one transaction: a tenth of a second, so that a report need not wait longer.
const TURN: i64 = 200;

/// Takes the next covers of a change; answers whether there may be more.
pub(super) async fn take(
    tx: &mut Tx,
    registry: &Registry,
    id: BulkEditId,
    now: Millis,
) -> Result<bool, RegistryError> {
    let mut record =
        bulk_edits::lock_bulk_edit(tx, id).await?.ok_or_else(|| bulk_edit::unknown_bulk_edit(id))?;
    let (waiting, end) = match record.state {
        BulkState::Applying => (BulkRowState::Waiting, BulkState::Applied),
        BulkState::Undoing => (BulkRowState::Applied, BulkState::Undone),
        _ => return Ok(false),
    };
    let rows = bulk_edits::list_rows(tx, id, &[waiting], None, TURN).await?;
    if rows.is_empty() {
        record.state = end;
        match end {
            BulkState::Applied => record.applied_at = Some(now),
            _ => record.undone_at = Some(now),
        }
        bulk_edits::update_bulk_edit(tx, &record).await?;
        return Ok(false);
    }
    let mut turn = Turn::begin(tx, registry, record, rows, now).await?;
    for at in 0..turn.rows.len() {
        turn.take_row(tx, at).await?;
    }
    turn.finish(tx).await?;
    Ok(true)
}

struct Turn<'r> {
    registry: &'r Registry,
    record: BulkRecord,
    set: BulkSet,
    known: Known,
    now: Millis,
    rows: Vec<BulkRow>,
    files: HashMap<CoverId, CoverFile>,
    heads: BTreeMap<ManholeId, ChainHead>,
    entries: BTreeMap<ManholeId, Vec<NewEntry>>,
    changed: BTreeSet<CoverId>,
}

impl<'r> Turn<'r> {
    /// Takes the files of every manhole in the order of their ids, then reads the covers behind the locks.
    async fn begin(
        tx: &mut Tx,
        registry: &'r Registry,
        record: BulkRecord,
        rows: Vec<BulkRow>,
        now: Millis,
    ) -> Result<Self, RegistryError> {
        let set = bulk_edit::read_set(&record)?;
        let known = Known::read(tx, set.set.moves()).await?;
        let ids: Vec<CoverId> = rows.iter().map(|row| row.cover).collect();
        let manholes: BTreeSet<ManholeId> =
            covers::list_covers_by_id(tx, &ids).await?.iter().map(|file| file.manhole).collect();
        let mut heads = BTreeMap::new();
        for manhole in manholes {
            heads.insert(manhole, files::lock(tx, manhole).await?.head);
        }
        let files = covers::list_covers_by_id(tx, &ids).await?;
        Ok(Self {
            set,
            files: files.into_iter().map(|file| (file.cover, file)).collect(),
            registry,
            record,
            known,
            now,
            rows,
            heads,
            entries: BTreeMap::new(),
            changed: BTreeSet::new(),
        })
    }

    fn is_undo(&self) -> bool {
        self.record.state == BulkState::Undoing
    }

    async fn take_row(&mut self, tx: &mut Tx, at: usize) -> Result<(), RegistryError> {
        let row = self.rows[at].clone();
        let gone = || StoreError::inconsistent("bulk_edit_rows", "cover_id", row.cover);
        let file = self.files.get(&row.cover).cloned().ok_or_else(gone)?;
        // A cover that moved to a manhole that was not taken has another version, too.
        if file.version != row.version || !self.heads.contains_key(&file.manhole) {
            let refusal = self.who_was_faster(tx, &file, row.version).await?;
            self.leave(at, &refusal);
            return Ok(());
        }
        match self.change(tx, &file, &row).await {
            Ok(Some((fields, versions))) => {
                let state = if self.is_undo() { BulkRowState::Undone } else { BulkRowState::Applied };
                self.rows[at].state = state;
                if !self.is_undo() {
                    self.rows[at].fields = Value::Object(fields.clone()).to_string();
                }
                self.enter(&file, fields, &versions);
                self.move_on(tx, at, &versions).await
            }
            Ok(None) => {
                self.rows[at].state =
                    if self.is_undo() { BulkRowState::Undone } else { BulkRowState::Settled };
                Ok(())
            }
            Err(RegistryError::Refused(refusal) | RegistryError::Conflict(refusal)) => {
                self.leave(at, &refusal);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A cover that is not changed, and why.
    fn leave(&mut self, at: usize, refusal: &Refusal) {
        let state = if self.is_undo() { BulkRowState::Kept } else { BulkRowState::Refused };
        self.rows[at].state = state;
        self.rows[at].refusal = bulk_edit::refusal_text(refusal);
    }

    async fn who_was_faster(
        &self,
        tx: &mut Tx,
        file: &CoverFile,
        since: i64,
    ) -> Result<Refusal, RegistryError> {
        let entries = history::list_entries(tx, file.manhole).await?;
        let changes = conflicts::changes_since(file.cover, since, entries);
        let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
        let last = changes.iter().max_by_key(|change| change.at);
        Ok(Refusal::new("bulk.changed_since")
            .with("code", self.registry.grouped_code(&file.code))
            .with("by", last.map_or("system", |change| change.actor.as_str()))
            .with("fields", fields.join(", ")))
    }

    /// Changes one cover; `None` when it is so already. Refuses before anything is written.
    async fn change(
        &self,
        tx: &mut Tx,
        file: &CoverFile,
        row: &BulkRow,
    ) -> Result<Option<(Map<String, Value>, Versions)>, RegistryError> {
        amend::refuse_retired(self.registry, file)?;
        let (mut after, mut fields, code) = if self.is_undo() {
            let done: Map<String, Value> = serde_json::from_str(&row.fields)
                .map_err(|_| StoreError::inconsistent("bulk_edit_rows", "fields", row.cover))?;
            let back = fields::backwards(&done, &self.known)?;
            let (after, fields) = fields::edited(file, &back, &self.known)?;
            (after, fields, code_before(&done, file))
        } else {
            let (after, fields) = fields::edited(file, &self.set.set, &self.known)?;
            let choice = if fields.is_empty() { CodeChoice::Keep } else { self.set.code };
            let code = editing::code_after(tx, self.registry, file, &after, choice).await?;
            (after, fields, code)
        };
        if let Some(code) = code {
            fields.extend(editing::give_code(tx, self.registry, file, &code).await?);
            after.code = code;
        }
        if fields.is_empty() {
            return Ok(None);
        }
        let versions = amend::write(tx, file, &after, &fields).await?;
        let versions = versions.ok_or_else(|| StoreError::inconsistent("covers", "version", file.cover))?;
        editing::refuse_shared_code(tx, &after).await?;
        Ok(Some((fields, versions)))
    }

    fn enter(&mut self, file: &CoverFile, fields: Map<String, Value>, versions: &Versions) {
        let undo = self.is_undo();
        let more = json!({"bulk": self.record.id, "why": self.record.reason, "undo": undo.then_some(true)});
        let by = self.record.undone_by.as_ref().filter(|_| undo).unwrap_or(&self.record.actor);
        self.entries.entry(file.manhole).or_default().push(NewEntry {
            actor: by.clone(),
            kind: HistoryKind::Updated,
            case: None,
            body: amend::body(file.cover, versions, fields, more),
        });
    }

    /// Notes the new versions: of this cover, and of its neighbors where their place has changed, which
    /// may have rows of their own in this change.
    async fn move_on(&mut self, tx: &mut Tx, at: usize, versions: &Versions) -> Result<(), RegistryError> {
        let own = self.rows[at].cover;
        for (cover, version) in versions {
            self.changed.insert(*cover);
            if *cover == own {
                self.rows[at].version = *version;
                continue;
            }
            match self.rows.iter_mut().find(|row| row.cover == *cover) {
                Some(row) => {
                    row.version += 1;
                    if let Some(file) = covers::find_cover(tx, *cover).await? {
                        self.files.insert(*cover, file);
                    }
                }
                None => bulk_edits::bump_row(tx, self.record.id, *cover).await?,
            }
        }
        Ok(())
    }

    async fn finish(self, tx: &mut Tx) -> Result<(), RegistryError> {
        bulk_edits::update_rows(tx, self.record.id, &self.rows).await?;
        let mut chained = Vec::new();
        for (manhole, entries) in self.entries {
            let head = self.heads.get(&manhole).copied();
            let head = head.ok_or_else(|| StoreError::inconsistent("manholes", "history_length", manhole))?;
            chained.extend(files::chained(manhole, head, self.now, entries));
        }
        history::append(tx, &chained).await?;
        amend::tell(tx, self.now, self.changed).await
    }
}

/// The code that a cover had before the change gave it another one.
fn code_before(done: &Map<String, Value>, file: &CoverFile) -> Option<ComponentCode> {
    let digits = done.get("code")?.get(0)?.as_str()?.to_owned();
    let scheme = done.get("scheme").and_then(|pair| pair.get(0)).and_then(Value::as_str);
    Some(ComponentCode { scheme: scheme.unwrap_or(&file.code.scheme).to_owned(), digits })
}
