//! Runs of a census and the covers that a full survey passed over.

use sqlx::FromRow;
use uuid::Uuid;

use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, bulk, on_db};
use crate::domain::ids::{CoverId, ManholeId, Millis};
use crate::domain::import_run::{ImportNumber, ImportState, PassedOver};

/// What a run has made of its rows so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub created: i64,
    pub updated: i64,
    pub unchanged: i64,
    pub duplicates: i64,
    pub problems: i64,
}

impl Tally {
    /// Rows that are accounted for.
    pub fn settled(&self) -> i64 {
        self.created + self.updated + self.unchanged + self.duplicates + self.problems
    }
}

/// A run as it is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportRecord {
    pub number: ImportNumber,
    pub state: ImportState,
    pub source: String,
    pub profile: String,
    /// 0 = from before versions were kept.
    pub profile_version: i64,
    pub file_name: String,
    /// SHA-256 of the file and of how it is read.
    pub fingerprint: [u8; 32],
    pub actor: String,
    pub tally: Tally,
    /// Covers that a roll-back left, because somebody had used them since.
    pub kept: i64,
    /// The newest change of the feed when the run began.
    pub first_change: i64,
    pub started_at: Millis,
    pub touched_at: Millis,
}

#[derive(FromRow)]
struct ImportRow {
    number: i64,
    state: String,
    source: String,
    profile: String,
    profile_version: i64,
    file_name: String,
    fingerprint: Vec<u8>,
    actor: String,
    created: i64,
    updated: i64,
    unchanged: i64,
    duplicates: i64,
    problems: i64,
    kept: i64,
    first_change: i64,
    started_at: i64,
    touched_at: i64,
}

impl TryFrom<ImportRow> for ImportRecord {
    type Error = StoreError;
    fn try_from(row: ImportRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("imports", column, row.number);
        let ImportRow { created, updated, unchanged, duplicates, problems, .. } = row;
        Ok(Self {
            number: ImportNumber(row.number),
            state: row.state.parse().map_err(|_| broken("state"))?,
            fingerprint: row.fingerprint.try_into().map_err(|_| broken("fingerprint"))?,
            source: row.source,
            profile: row.profile,
            profile_version: row.profile_version,
            file_name: row.file_name,
            actor: row.actor,
            tally: Tally { created, updated, unchanged, duplicates, problems },
            kept: row.kept,
            first_change: row.first_change,
            started_at: Millis(row.started_at),
            touched_at: Millis(row.touched_at),
        })
    }
}

const RECORD: &str = "SELECT number, state, source, profile, file_name, fingerprint, actor, created, updated,
    unchanged, duplicates, problems, kept, first_change, started_at, touched_at, profile_version FROM imports ";

pub async fn insert_import(tx: &mut Tx, record: &ImportRecord) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO imports (number, state, source, profile, file_name, fingerprint, actor, settled, created,
             updated, unchanged, duplicates, problems, kept, first_change, started_at, touched_at, profile_version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, 0, 0, 0, $8, $9, $9, $10)",
        )
        .bind(record.number.0)
        .bind(record.state.as_str())
        .bind(&record.source)
        .bind(&record.profile)
        .bind(&record.file_name)
        .bind(record.fingerprint.as_slice())
        .bind(&record.actor)
        .bind(record.first_change)
        .bind(record.started_at.0)
        .bind(record.profile_version)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn find_import(tx: &mut Tx, number: ImportNumber) -> Result<Option<ImportRecord>, StoreError> {
    let row: Option<ImportRow> = on_db!(tx, |c| {
        let sql = format!("{RECORD} WHERE number = $1");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(number.0).fetch_optional(&mut *c).await?
    });
    row.map(ImportRecord::try_from).transpose()
}

/// The newest run of this file that did not come to its end.
pub async fn find_unfinished(
    tx: &mut Tx,
    fingerprint: &[u8; 32],
) -> Result<Option<ImportRecord>, StoreError> {
    let row: Option<ImportRow> = on_db!(tx, |c| {
        let sql =
            format!("{RECORD} WHERE fingerprint = $1 AND state = 'running' ORDER BY number DESC LIMIT 1");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(fingerprint.as_slice()).fetch_optional(&mut *c).await?
    });
    row.map(ImportRecord::try_from).transpose()
}

/// Runs before `before`, newest first.
pub async fn list_imports(tx: &mut Tx, before: i64, limit: i64) -> Result<Vec<ImportRecord>, StoreError> {
    let rows: Vec<ImportRow> = on_db!(tx, |c| {
        let sql = format!("{RECORD} WHERE number < $1 ORDER BY number DESC LIMIT $2");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(before).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(ImportRecord::try_from).collect()
}

/// How far a chunk takes its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub number: ImportNumber,
    /// Rows that were settled before.
    pub from: i64,
    pub to: Tally,
}

/// Takes a run on; `false` when somebody else has taken it on or ended it.
pub async fn take_on(tx: &mut Tx, step: &Step, state: ImportState, at: Millis) -> Result<bool, StoreError> {
    let Tally { created, updated, unchanged, duplicates, problems } = step.to;
    on_db!(tx, |c| {
        let taken = sqlx::query(
            "UPDATE imports SET state = $3, settled = $4, created = $5, updated = $6, unchanged = $7, duplicates = $8,
             problems = $9, touched_at = $10 WHERE number = $1 AND settled = $2 AND state = 'running'",
        )
        .bind(step.number.0)
        .bind(step.from)
        .bind(state.as_str())
        .bind(step.to.settled())
        .bind(created)
        .bind(updated)
        .bind(unchanged)
        .bind(duplicates)
        .bind(problems)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(taken.rows_affected() == 1)
    })
}

/// Ends or goes on with taking a run back.
pub async fn note_roll_back(
    tx: &mut Tx,
    number: ImportNumber,
    state: ImportState,
    kept: i64,
    at: Millis,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE imports SET state = $2, kept = $3, touched_at = $4 WHERE number = $1")
            .bind(number.0)
            .bind(state.as_str())
            .bind(kept)
            .bind(at.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Covers that are named by something which leaves no line in their file: a change of many covers, a full
/// survey, a retired cover whose place they take.
pub async fn is_named_elsewhere(tx: &mut Tx, cover: CoverId) -> Result<bool, StoreError> {
    Ok(on_db!(tx, |c| sqlx::query_scalar::<_, i64>(
        "SELECT (SELECT COUNT(*) FROM bulk_edit_rows WHERE cover_id = $1)
         + (SELECT COUNT(*) FROM passed_over WHERE cover_id = $1)
         + (SELECT COUNT(*) FROM covers WHERE successor_id = $1)"
    )
    .bind(cover.0)
    .fetch_one(&mut *c)
    .await?)
        > 0)
}

/// Removes a manhole with its covers and its file. Only for what a run made that is taken back.
pub async fn remove_manhole(tx: &mut Tx, manhole: ManholeId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM history WHERE manhole_id = $1",
        "DELETE FROM covers WHERE manhole_id = $1",
        "DELETE FROM manholes WHERE id = $1",
    ] {
        on_db!(tx, |c| sqlx::query(sql).bind(manhole.0).execute(&mut *c).await.map(drop)?);
    }
    Ok(())
}

/// Covers that changed after `since`, with the last change of each page: pages of the feed.
pub async fn list_changed_covers(
    tx: &mut Tx,
    since: i64,
    limit: i64,
) -> Result<Vec<(i64, CoverId)>, StoreError> {
    let rows: Vec<(i64, Uuid)> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT sequence, id FROM changes WHERE sequence > $1 AND kind = 'cover' ORDER BY sequence LIMIT $2"
    )
    .bind(since)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?
    });
    Ok(rows.into_iter().map(|(sequence, id)| (sequence, CoverId(id))).collect())
}

pub async fn add_passed_over(
    tx: &mut Tx,
    number: ImportNumber,
    covers: &[CoverId],
) -> Result<(), StoreError> {
    let rows = covers.iter().map(|cover| cells![number.0, cover.0]);
    let sheet = Sheet::new("passed_over", ["import", "cover_id"], rows);
    let engine = tx.engine();
    bulk::execute(tx, sheet.into_statements(engine)).await
}

/// Covers that a run passed over and nobody has decided about, in the order of their ids.
pub async fn list_passed_over(
    tx: &mut Tx,
    number: ImportNumber,
    after: Uuid,
    limit: i64,
) -> Result<Vec<CoverId>, StoreError> {
    let ids: Vec<Uuid> = on_db!(tx, |c| sqlx::query_scalar(
        "SELECT cover_id FROM passed_over WHERE import = $1 AND decision IS NULL AND cover_id > $2
         ORDER BY cover_id LIMIT $3"
    )
    .bind(number.0)
    .bind(after)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?);
    Ok(ids.into_iter().map(CoverId).collect())
}

pub async fn count_passed_over(tx: &mut Tx, number: ImportNumber) -> Result<i64, StoreError> {
    Ok(on_db!(tx, |c| sqlx::query_scalar(
        "SELECT COUNT(*) FROM passed_over WHERE import = $1 AND decision IS NULL"
    )
    .bind(number.0)
    .fetch_one(&mut *c)
    .await?))
}

/// Decides about a cover; `false` when it was not passed over, or decided about already.
pub async fn decide_passed_over(
    tx: &mut Tx,
    (number, cover): (ImportNumber, CoverId),
    decision: PassedOver,
    actor: &str,
    at: Millis,
) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let decided = sqlx::query(
            "UPDATE passed_over SET decision = $3, decided_by = $4, decided_at = $5
             WHERE import = $1 AND cover_id = $2 AND decision IS NULL",
        )
        .bind(number.0)
        .bind(cover.0)
        .bind(decision.as_str())
        .bind(actor)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(decided.rows_affected() == 1)
    })
}
