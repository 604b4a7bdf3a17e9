//! 铭牌批次: plates ordered, proved and released, all files at once or one after the other.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::files::{self, NewEntry};
use super::plates::{plate_uuid, step_or_conflict};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{BatchId, CoverId, IdempotencyKey, ManholeId, Millis};
use crate::domain::plate::{Plate, PlateState};
use crate::domain::token::Token;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::plate_batches::{self as batches, Batch, PlateLine};
use crate::store::plates::{self, PlateStep};
use crate::store::{Tx, bulk, covers, people};

/// A batch whose every symbol was drawn and proved, to be released.
#[derive(Debug, Clone)]
pub struct NewBatch {
    pub batch: Batch,
    /// In the order of the ledger, `ordinal` from 1.
    pub plates: Vec<Plate>,
}

/// What comes with a batch.
#[derive(Debug, Clone, Default)]
pub struct BatchExtras {
    /// What the plates for known covers say.
    pub lines: Vec<PlateLine>,
    /// Plates that are replaced, each by one of the batch.
    pub replaces: Vec<(Token, Token)>,
    pub call: Option<OrderCall>,
}

/// A call that may come again: its key, and the SHA-256 of what it asks for.
#[derive(Debug, Clone, Copy)]
pub struct OrderCall {
    pub key: IdempotencyKey,
    pub request_hash: [u8; 32],
}

/// A file of an order that is under way.
#[derive(Debug, Clone)]
pub struct NewPart {
    pub batch: BatchId,
    /// Ordinals up to `from` were made before; now up to `done`.
    pub from: i64,
    pub done: i64,
    pub plates: Vec<Plate>,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    batch: BatchId,
}

const SCOPE: &str = "plate_order";
/// A draft is written within minutes; one that is older was killed.
const LONGEST_DRAFT_MS: i64 = 24 * 3_600_000;
/// Rows handed to the database at once, so that memory does not grow with a batch.
const AT_ONCE: usize = 1000;

impl Registry {
    /// Releases a batch: all of its plates or none. Call it after every symbol was proved.
    pub async fn commit_batch(&self, new: NewBatch) -> Result<(), RegistryError> {
        self.commit_order(new, BatchExtras::default()).await.map(drop)
    }

    /// The same with the words of its plates. Answers the batch that a call under the same key made
    /// before, where there is one.
    pub async fn commit_order(&self, new: NewBatch, extras: BatchExtras) -> Result<BatchId, RegistryError> {
        let now = self.now();
        if new.plates.is_empty() || new.plates.len() as i64 != new.batch.plate_count {
            return Err(Refusal::new("batch.count")
                .with("count", new.plates.len())
                .with("most", new.batch.plate_count)
                .into());
        }
        let new = Arc::new((new, extras));
        self.store
            .write::<BatchId, RegistryError, _>(move |tx| {
                let new = new.clone();
                Box::pin(async move {
                    let (NewBatch { batch, plates }, extras) = &*new;
                    if let Some(first) = repeated(tx, extras.call, now).await? {
                        return Ok(first);
                    }
                    batches::add_batch(tx, batch).await?;
                    batches::add_lines(tx, batch.id, &extras.lines).await?;
                    let mut changed = add_plates(tx, batch, plates, now).await?;
                    for (old, successor) in &extras.replaces {
                        changed.extend(replace(tx, *old, *successor, &batch.actor, now).await?);
                    }
                    answer(tx, extras.call, batch.id).await?;
                    feed::record(tx, now, News { events: Vec::new(), changed }).await?;
                    Ok(batch.id)
                })
            })
            .await
    }

    /// The batch that a call under this key made before.
    pub async fn find_ordered(&self, call: OrderCall) -> Result<Option<BatchId>, RegistryError> {
        let mut tx = self.store.read().await?;
        let known = people::list_first_answers(&mut tx, &[call.key]).await?;
        let Some(first) = known.get(&call.key) else { return Ok(None) };
        let answered: Answered = super::first_answer(first, call.key, SCOPE, &call.request_hash)?;
        Ok(Some(answered.batch))
    }

    /// Keeps an order whose files will be made one after the other; none of its plates is there yet.
    pub async fn begin_order(&self, batch: Batch, extras: BatchExtras) -> Result<BatchId, RegistryError> {
        let now = self.now();
        let new = Arc::new((batch, extras));
        self.store
            .write::<BatchId, RegistryError, _>(move |tx| {
                let new = new.clone();
                Box::pin(async move {
                    let (batch, extras) = &*new;
                    if let Some(first) = repeated(tx, extras.call, now).await? {
                        return Ok(first);
                    }
                    batches::add_batch(tx, batch).await?;
                    batches::add_lines(tx, batch.id, &extras.lines).await?;
                    answer(tx, extras.call, batch.id).await?;
                    Ok(batch.id)
                })
            })
            .await
    }

    /// Begins an order whose lines follow, see [`Registry::add_order_lines`]; it is none before
    /// [`Registry::begin_drafted`]. Forgets drafts that were left lying.
    pub async fn draft_order(&self, batch: Batch) -> Result<(), RegistryError> {
        let left_lying = Millis(self.now().0 - LONGEST_DRAFT_MS);
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let batch = batch.clone();
                Box::pin(async move {
                    for id in batches::list_drafts_before(tx, left_lying).await? {
                        batches::remove_batch(tx, id).await?;
                    }
                    Ok(batches::add_batch(tx, &batch).await?)
                })
            })
            .await
    }

    pub async fn add_order_lines(&self, id: BatchId, lines: Vec<PlateLine>) -> Result<(), RegistryError> {
        let lines = Arc::new(lines);
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let lines = lines.clone();
                Box::pin(async move { Ok(batches::add_lines(tx, id, &lines).await?) })
            })
            .await
    }

    /// Makes a draft the order that [`Registry::begin_order`] would make. Where a call under the same key
    /// was first, the draft is forgotten and the first order answered.
    pub async fn begin_drafted(
        &self,
        id: BatchId,
        count: i64,
        call: Option<OrderCall>,
    ) -> Result<BatchId, RegistryError> {
        let now = self.now();
        self.store
            .write::<BatchId, RegistryError, _>(move |tx| {
                Box::pin(async move {
                    if let Some(first) = repeated(tx, call, now).await? {
                        batches::remove_batch(tx, id).await?;
                        return Ok(first);
                    }
                    if !batches::begin_drafted(tx, id, count).await? {
                        let refusal = Refusal::new("batch.moved_meanwhile").at("batch");
                        return Err(RegistryError::Conflict(refusal));
                    }
                    answer(tx, call, id).await?;
                    Ok(id)
                })
            })
            .await
    }

    /// Forgets a draft that will be no order.
    pub async fn drop_draft(&self, id: BatchId) -> Result<(), RegistryError> {
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                Box::pin(async move { Ok(batches::remove_batch(tx, id).await?) })
            })
            .await
    }

    /// Takes in the plates of a file that was proved; with the last one the batch is released. A
    /// conflict when somebody else went on with the order meanwhile, or ended it.
    pub async fn commit_part(&self, part: NewPart) -> Result<Batch, RegistryError> {
        let now = self.now();
        let part = Arc::new(part);
        self.store
            .write::<Batch, RegistryError, _>(move |tx| {
                let part = part.clone();
                Box::pin(async move {
                    if !batches::advance_order(tx, part.batch, part.from, part.done).await? {
                        return Err(RegistryError::Conflict(
                            Refusal::new("batch.moved_meanwhile").at("batch"),
                        ));
                    }
                    let batch = known(tx, part.batch).await?;
                    let changed = add_plates(tx, &batch, &part.plates, now).await?;
                    if part.done >= batch.plate_count {
                        batches::release_order(tx, batch.id).await?;
                    }
                    feed::record(tx, now, News { events: Vec::new(), changed }).await?;
                    known(tx, part.batch).await
                })
            })
            .await
    }

    /// Ends an order with the files that are made; an order of which none is made is forgotten, and
    /// `None` is answered.
    pub async fn stop_order(&self, id: BatchId) -> Result<Option<Batch>, RegistryError> {
        self.store
            .write::<Option<Batch>, RegistryError, _>(move |tx| {
                Box::pin(async move {
                    if !batches::release_order(tx, id).await? {
                        let refusal = Refusal::new("batch.not_under_way").at("batch");
                        return Err(RegistryError::Conflict(refusal));
                    }
                    let batch = known(tx, id).await?;
                    if batch.plate_count == 0 {
                        batches::remove_batch(tx, id).await?;
                        return Ok(None);
                    }
                    batches::remove_lines_after(tx, id, batch.order.lines_done).await?;
                    Ok(Some(batch))
                })
            })
            .await
    }

    /// Every batch, oldest first.
    pub async fn list_batches(&self) -> Result<Vec<Batch>, RegistryError> {
        Ok(batches::list_batches(&mut self.store.read().await?).await?)
    }

    /// A page of batches made before this one, newest first.
    pub async fn list_batches_before(
        &self,
        before: Option<BatchId>,
        limit: i64,
    ) -> Result<Vec<Batch>, RegistryError> {
        Ok(batches::list_batches_before(&mut self.store.read().await?, before, limit).await?)
    }

    /// Orders that are not at their end.
    pub async fn list_open_orders(&self) -> Result<Vec<Batch>, RegistryError> {
        Ok(batches::list_open_orders(&mut self.store.read().await?).await?)
    }

    pub async fn find_batch(&self, id: BatchId) -> Result<Option<Batch>, RegistryError> {
        Ok(batches::find_batch(&mut self.store.read().await?, id).await?)
    }

    /// The plates of a batch after ordinal `after`, in the order of the ledger.
    pub async fn list_batch_plates(
        &self,
        id: BatchId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Plate>, RegistryError> {
        Ok(plates::list_batch_plates(&mut self.store.read().await?, id, after, limit).await?)
    }

    /// What the plates of a batch from `first` to `last` say; blank ones have no line.
    pub async fn list_plate_lines(
        &self,
        id: BatchId,
        (first, last): (i64, i64),
    ) -> Result<Vec<PlateLine>, RegistryError> {
        Ok(batches::list_lines(&mut self.store.read().await?, id, (first, last)).await?)
    }
}

async fn known(tx: &mut Tx, id: BatchId) -> Result<Batch, RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("batch.unknown").at("batch").with("read", id));
    batches::find_batch(tx, id).await?.ok_or_else(unknown)
}

async fn repeated(
    tx: &mut Tx,
    call: Option<OrderCall>,
    now: Millis,
) -> Result<Option<BatchId>, RegistryError> {
    let Some(call) = call else { return Ok(None) };
    let first: Option<Answered> =
        super::repeat_or_claim(tx, call.key, SCOPE, &call.request_hash, now).await?;
    Ok(first.map(|first| first.batch))
}

async fn answer(tx: &mut Tx, call: Option<OrderCall>, batch: BatchId) -> Result<(), RegistryError> {
    match call {
        Some(call) => super::keep_answer(tx, call.key, &Answered { batch }).await,
        None => Ok(()),
    }
}

type Changed = Vec<(ChangeKind, uuid::Uuid)>;

/// Writes proved plates, each of a known cover with its line in the manhole's file.
async fn add_plates(
    tx: &mut Tx,
    batch: &Batch,
    plates: &[Plate],
    now: Millis,
) -> Result<Changed, RegistryError> {
    let lie = where_they_lie(tx, plates).await?;
    for chunk in plates.chunks(AT_ONCE) {
        let mut chunk = chunk.to_vec();
        for plate in &mut chunk {
            plate.manhole = plate.cover.and_then(|cover| lie.get(&cover).copied()).or(plate.manhole);
        }
        bulk::insert_plates(tx, &chunk).await?;
        for plate in &chunk {
            let Some(manhole) = plate.manhole else { continue };
            let body = json!({"batch": batch.id, "ordinal": plate.ordinal, "face": plate.face});
            let actor = batch.actor.clone();
            let entry = NewEntry { actor, kind: HistoryKind::PlateMade, case: None, body };
            let file = files::lock(tx, manhole).await?;
            files::append(tx, manhole, file.head, now, vec![entry]).await?;
        }
    }
    // Behind the locks: a cover that moved while this waited for its file is seen now.
    if where_they_lie(tx, plates).await? != lie {
        return Err(RegistryError::Conflict(Refusal::new("batch.cover_moved").at("covers")));
    }
    Ok(plates.iter().map(|plate| (ChangeKind::Plate, plate_uuid(plate.token))).collect())
}

/// The manholes on which the covers of plates lie now: it took a while to draw them. Refuses a plate
/// for a cover that is no longer in use.
async fn where_they_lie(tx: &mut Tx, made: &[Plate]) -> Result<HashMap<CoverId, ManholeId>, RegistryError> {
    let ids: Vec<CoverId> = made.iter().filter_map(|plate| plate.cover).collect();
    let mut lie = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(AT_ONCE) {
        let files: Vec<CoverFile> = covers::list_covers_by_id(tx, chunk).await?;
        for file in files {
            if file.retired.is_some() {
                let refusal = Refusal::new("cover.retired").at("covers").with("code", &file.code.digits);
                return Err(RegistryError::Conflict(refusal));
            }
            lie.insert(file.cover, file.manhole);
        }
    }
    Ok(lie)
}

/// A plate that had left the house gives way to its successor.
async fn replace(
    tx: &mut Tx,
    old: Token,
    successor: Token,
    actor: &str,
    now: Millis,
) -> Result<Changed, RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("plate.unknown").at("token"));
    let mut plate = plates::find_plate(tx, old).await?.ok_or_else(unknown)?;
    let mut file = None;
    if let Some(cover) = plate.cover {
        file = Some(files::lock_of_cover(tx, cover).await?);
        plate = plates::find_plate(tx, old).await?.ok_or_else(unknown)?;
    }
    plate.state.check_step(PlateState::Replaced).map_err(RegistryError::Conflict)?;
    let step =
        PlateStep { successor: Some(successor), ..PlateStep::of(&plate, PlateState::Replaced, actor, now) };
    step_or_conflict(tx, &step).await?;
    let mut changed = vec![(ChangeKind::Plate, plate_uuid(old))];
    if let Some((manhole, _)) = file {
        let body = json!({"batch": plate.batch, "ordinal": plate.ordinal, "to": PlateState::Replaced});
        let entry = NewEntry { actor: actor.to_owned(), kind: HistoryKind::PlateChanged, case: None, body };
        // The successor's own line stands in the same file already.
        let head = files::head_of(tx, manhole).await?;
        files::append(tx, manhole, head, now, vec![entry]).await?;
    }
    changed.extend(plate.cover.map(|cover| (ChangeKind::Cover, cover.0)));
    Ok(changed)
}
