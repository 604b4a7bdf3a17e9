//! Batches of plates: what was ordered, how far it has come, and the words of their plates.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, bulk, on_db};
use crate::domain::ids::{BatchId, CoverId, Millis};
use crate::domain::plate::PlateState;
use crate::domain::plate_batch::{BatchLabels, BatchState, Ordered, PlateWords, PrinterRecord};

/// One order of plates.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub id: BatchId,
    pub face: String,
    pub sheet: String,
    /// The host in the payloads; engraved for years.
    pub host: String,
    pub note: String,
    pub actor: String,
    /// Plates that were ordered, while it is under way; then those that were made.
    pub plate_count: i64,
    pub created_at: Millis,
    pub order: BatchOrder,
}

/// How a batch was ordered.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchOrder {
    pub state: BatchState,
    /// State in which plates leave their proof.
    pub made_as: PlateState,
    /// `None` = from before orders were kept.
    pub ordered: Option<Ordered>,
    /// Error correction that was asked for, 'M', 'Q' or 'H'; `None` = what suits each plate.
    pub level: Option<char>,
    /// Whose offset and scale correct the sheets.
    pub printer: Option<PrinterRecord>,
    pub labels: BatchLabels,
    /// Plates of each file; `None` = all in one.
    pub split: Option<i64>,
    /// Where the command line puts the files; `None` = into the data folder.
    pub target: Option<String>,
    /// Ordinals up to this one are made, or are left out for good.
    pub lines_done: i64,
}

impl Default for BatchOrder {
    /// All in one file, released and printed.
    fn default() -> Self {
        Self {
            state: BatchState::Released,
            made_as: PlateState::Printed,
            ordered: None,
            level: None,
            printer: None,
            labels: BatchLabels::default(),
            split: None,
            target: None,
            lines_done: 0,
        }
    }
}

/// A plate for a known cover as it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlateLine {
    pub ordinal: i64,
    pub cover: CoverId,
    /// Digits that are printed.
    pub code: String,
    pub words: PlateWords,
}

#[derive(FromRow)]
struct BatchRow {
    id: Uuid,
    face: String,
    sheet: String,
    host: String,
    note: String,
    actor: String,
    plate_count: i64,
    created_at: i64,
    state: String,
    made_as: String,
    ordered: String,
    level: Option<String>,
    printer: Option<String>,
    labels: String,
    split: Option<i64>,
    target: Option<String>,
    lines_done: i64,
}

const BATCH: &str =
    "SELECT id, face, sheet, host, note, actor, plate_count, created_at, state, made_as, ordered,
    level, printer, labels, split, target, lines_done FROM plate_batches ";

impl TryFrom<BatchRow> for Batch {
    type Error = StoreError;
    fn try_from(row: BatchRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("plate_batches", column, row.id);
        let ordered = match row.ordered.as_str() {
            "{}" => None,
            text => Some(serde_json::from_str(text).map_err(|_| broken("ordered"))?),
        };
        Ok(Batch {
            order: BatchOrder {
                state: row.state.parse().map_err(|_| broken("state"))?,
                made_as: row.made_as.parse().map_err(|_| broken("made_as"))?,
                ordered,
                level: row.level.as_deref().and_then(|level| level.chars().next()),
                printer: row
                    .printer
                    .map(|text| serde_json::from_str(&text).map_err(|_| broken("printer")))
                    .transpose()?,
                labels: serde_json::from_str(&row.labels).map_err(|_| broken("labels"))?,
                split: row.split,
                target: row.target,
                lines_done: row.lines_done,
            },
            id: BatchId(row.id),
            face: row.face,
            sheet: row.sheet,
            host: row.host,
            note: row.note,
            actor: row.actor,
            plate_count: row.plate_count,
            created_at: Millis(row.created_at),
        })
    }
}

fn ordered_text(ordered: Option<&Ordered>) -> String {
    ordered.map_or_else(
        || "{}".to_owned(),
        |ordered| serde_json::to_string(ordered).expect("words and numbers are always JSON"),
    )
}

pub async fn add_batch(tx: &mut Tx, batch: &Batch) -> Result<(), StoreError> {
    let (order, labels) = (&batch.order, serde_json::to_string(&batch.order.labels));
    let labels = labels.expect("words are always JSON");
    let printer = order.printer.as_ref().map(serde_json::to_string).transpose();
    let printer = printer.expect("finite numbers are always JSON");
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO plate_batches (id, face, sheet, host, note, actor, plate_count, created_at, state, made_as,
             ordered, level, printer, labels, split, target, lines_done)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        )
        .bind(batch.id.0)
        .bind(&batch.face)
        .bind(&batch.sheet)
        .bind(&batch.host)
        .bind(&batch.note)
        .bind(&batch.actor)
        .bind(batch.plate_count)
        .bind(batch.created_at.0)
        .bind(order.state.as_str())
        .bind(order.made_as.as_str())
        .bind(ordered_text(order.ordered.as_ref()))
        .bind(order.level.map(String::from))
        .bind(&printer)
        .bind(labels)
        .bind(order.split)
        .bind(&order.target)
        .bind(order.lines_done)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Ends the draft of an order of `count` plates; `false` when it is none.
pub async fn begin_drafted(tx: &mut Tx, id: BatchId, count: i64) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let begun = sqlx::query(
            "UPDATE plate_batches SET state = 'under_way', plate_count = $2 WHERE id = $1 AND state = 'drafted'",
        )
        .bind(id.0)
        .bind(count)
        .execute(&mut *c)
        .await?;
        Ok(begun.rows_affected() == 1)
    })
}

/// Drafts that were begun before then.
pub async fn list_drafts_before(tx: &mut Tx, then: Millis) -> Result<Vec<BatchId>, StoreError> {
    let ids: Vec<Uuid> = on_db!(tx, |c| {
        sqlx::query_scalar("SELECT id FROM plate_batches WHERE state = 'drafted' AND created_at < $1")
            .bind(then.0)
            .fetch_all(&mut *c)
            .await?
    });
    Ok(ids.into_iter().map(BatchId).collect())
}

/// Notes that the ordinals up to `done` are made; `false` when somebody else went on from `from`, or
/// the order is no longer under way. Holds the batch until the commit.
pub async fn advance_order(tx: &mut Tx, id: BatchId, from: i64, done: i64) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let moved = sqlx::query(
            "UPDATE plate_batches SET lines_done = $3 WHERE id = $1 AND lines_done = $2 AND state = 'under_way'",
        )
        .bind(id.0)
        .bind(from)
        .bind(done)
        .execute(&mut *c)
        .await?;
        Ok(moved.rows_affected() == 1)
    })
}

/// Ends an order with the plates that are there; `false` when it was not under way.
pub async fn release_order(tx: &mut Tx, id: BatchId) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let moved = sqlx::query(
            "UPDATE plate_batches SET state = 'released', target = NULL, plate_count =
             (SELECT COUNT(*) FROM plates p WHERE p.batch_id = $1) WHERE id = $1 AND state = 'under_way'",
        )
        .bind(id.0)
        .execute(&mut *c)
        .await?;
        Ok(moved.rows_affected() == 1)
    })
}

/// Forgets what was ordered beyond `done` and will not be made.
pub async fn remove_lines_after(tx: &mut Tx, id: BatchId, done: i64) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM plate_lines WHERE batch_id = $1 AND ordinal > $2")
            .bind(id.0)
            .bind(done)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Forgets a batch that has no plates.
pub async fn remove_batch(tx: &mut Tx, id: BatchId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM plate_lines WHERE batch_id = $1").bind(id.0).execute(&mut *c).await?;
        sqlx::query("DELETE FROM plate_batches WHERE id = $1").bind(id.0).execute(&mut *c).await?;
        Ok(())
    })
}

/// Every batch, oldest first.
pub async fn list_batches(tx: &mut Tx) -> Result<Vec<Batch>, StoreError> {
    let rows: Vec<BatchRow> = on_db!(tx, |c| {
        let sql = format!("{BATCH} WHERE state <> 'drafted' ORDER BY id");
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Batch::try_from).collect()
}

/// A page of batches made before this one, newest first.
pub async fn list_batches_before(
    tx: &mut Tx,
    before: Option<BatchId>,
    limit: i64,
) -> Result<Vec<Batch>, StoreError> {
    let before = before.map_or(Uuid::max(), |id| id.0);
    let rows: Vec<BatchRow> = on_db!(tx, |c| {
        let sql = format!("{BATCH} WHERE id < $1 AND state <> 'drafted' ORDER BY id DESC LIMIT $2");
        sqlx::query_as(AssertSqlSafe(sql)).bind(before).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Batch::try_from).collect()
}

/// Orders that are not at their end.
pub async fn list_open_orders(tx: &mut Tx) -> Result<Vec<Batch>, StoreError> {
    let rows: Vec<BatchRow> = on_db!(tx, |c| {
        let sql = format!("{BATCH} WHERE state = 'under_way' ORDER BY id");
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Batch::try_from).collect()
}

pub async fn find_batch(tx: &mut Tx, id: BatchId) -> Result<Option<Batch>, StoreError> {
    let row: Option<BatchRow> = on_db!(tx, |c| {
        let sql = format!("{BATCH} WHERE id = $1 AND state <> 'drafted'");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(Batch::try_from).transpose()
}

/// Rows of one statement while lines are written: memory does not grow with an order.
const LINES_AT_ONCE: usize = 1000;

pub async fn add_lines(tx: &mut Tx, id: BatchId, lines: &[PlateLine]) -> Result<(), StoreError> {
    let columns = ["batch_id", "ordinal", "cover_id", "code", "words"];
    for chunk in lines.chunks(LINES_AT_ONCE) {
        let row = |line: &'_ PlateLine| {
            let words = serde_json::to_string(&line.words).expect("words are always JSON");
            cells![id.0, line.ordinal, line.cover.0, line.code.clone(), words]
        };
        let engine = tx.engine();
        let sheet = Sheet::new("plate_lines", columns, chunk.iter().map(row));
        bulk::execute(tx, sheet.into_statements(engine)).await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct LineRow {
    ordinal: i64,
    cover_id: Uuid,
    code: String,
    words: String,
}

/// Lines with ordinals from `first` to `last`, in their order; blank plates have none.
pub async fn list_lines(
    tx: &mut Tx,
    id: BatchId,
    (first, last): (i64, i64),
) -> Result<Vec<PlateLine>, StoreError> {
    let rows: Vec<LineRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT ordinal, cover_id, code, words FROM plate_lines
         WHERE batch_id = $1 AND ordinal BETWEEN $2 AND $3 ORDER BY ordinal"
    )
    .bind(id.0)
    .bind(first)
    .bind(last)
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter()
        .map(|row| {
            let broken =
                || StoreError::inconsistent("plate_lines", "words", format!("{id} no. {}", row.ordinal));
            Ok(PlateLine {
                ordinal: row.ordinal,
                cover: CoverId(row.cover_id),
                words: serde_json::from_str(&row.words).map_err(|_| broken())?,
                code: row.code,
            })
        })
        .collect()
}
