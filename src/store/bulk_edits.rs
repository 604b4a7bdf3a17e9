//! Changes of many covers at once: what was looked at, what was done, what was undone.

use sqlx::FromRow;
use uuid::Uuid;

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::edit::{BulkRowState, BulkState};
use crate::domain::ids::{BulkEditId, CoverId, Millis};

/// One change of many covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRecord {
    pub id: BulkEditId,
    pub state: BulkState,
    /// The filter as the door wrote it, to be shown again.
    pub filter: String,
    /// The change as JSON.
    pub edit: String,
    pub reason: String,
    pub actor: String,
    /// Covers that the filter found, and those of them that are so already.
    pub matched: i64,
    pub unchanged: i64,
    pub created_at: Millis,
    pub applied_at: Option<Millis>,
    pub undone_at: Option<Millis>,
    pub undone_by: Option<String>,
    /// Counts changes of state; the `If-Match` of the next one.
    pub version: i64,
}

#[derive(FromRow)]
struct BulkSql {
    id: Uuid,
    state: String,
    filter: String,
    edit: String,
    reason: String,
    actor: String,
    matched: i64,
    unchanged: i64,
    created_at: i64,
    applied_at: Option<i64>,
    undone_at: Option<i64>,
    undone_by: Option<String>,
    version: i64,
}

const BULK: &str =
    "SELECT id, state, filter, edit, reason, actor, matched, unchanged, created_at, applied_at,
    undone_at, undone_by, version FROM bulk_edits ";

impl TryFrom<BulkSql> for BulkRecord {
    type Error = StoreError;
    fn try_from(row: BulkSql) -> Result<Self, StoreError> {
        Ok(Self {
            state: row.state.parse().map_err(|_| StoreError::inconsistent("bulk_edits", "state", row.id))?,
            id: BulkEditId(row.id),
            filter: row.filter,
            edit: row.edit,
            reason: row.reason,
            actor: row.actor,
            matched: row.matched,
            unchanged: row.unchanged,
            created_at: Millis(row.created_at),
            applied_at: row.applied_at.map(Millis),
            undone_at: row.undone_at.map(Millis),
            undone_by: row.undone_by,
            version: row.version,
        })
    }
}

pub async fn add_bulk_edit(tx: &mut Tx, record: &BulkRecord) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO bulk_edits (id, state, filter, edit, reason, actor, matched, unchanged, created_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(record.id.0)
        .bind(record.state.as_str())
        .bind(&record.filter)
        .bind(&record.edit)
        .bind(&record.reason)
        .bind(&record.actor)
        .bind(record.matched)
        .bind(record.unchanged)
        .bind(record.created_at.0)
        .bind(record.version)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Writes where a change of many covers stands; `false` when somebody else moved it meanwhile.
pub async fn update_bulk_edit(tx: &mut Tx, record: &BulkRecord) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE bulk_edits SET state = $3, matched = $4, unchanged = $5, applied_at = $6, undone_at = $7,
                undone_by = $8, actor = $9, version = version + 1 WHERE id = $1 AND version = $2",
        )
        .bind(record.id.0)
        .bind(record.version)
        .bind(record.state.as_str())
        .bind(record.matched)
        .bind(record.unchanged)
        .bind(record.applied_at.map(|at| at.0))
        .bind(record.undone_at.map(|at| at.0))
        .bind(&record.undone_by)
        .bind(&record.actor)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

pub async fn find_bulk_edit(tx: &mut Tx, id: BulkEditId) -> Result<Option<BulkRecord>, StoreError> {
    let row: Option<BulkSql> = on_db!(tx, |c| {
        let sql = format!("{BULK} WHERE id = $1");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(BulkRecord::try_from).transpose()
}

/// Takes it until the commit, so that two servers do not carry it out at once.
pub async fn lock_bulk_edit(tx: &mut Tx, id: BulkEditId) -> Result<Option<BulkRecord>, StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE bulk_edits SET version = version WHERE id = $1")
            .bind(id.0)
            .execute(&mut *c)
            .await?;
    });
    find_bulk_edit(tx, id).await
}

/// The newest before `before`, of those that were looked at to the end.
pub async fn list_bulk_edits(
    tx: &mut Tx,
    before: Option<BulkEditId>,
    limit: i64,
) -> Result<Vec<BulkRecord>, StoreError> {
    let rows: Vec<BulkSql> = on_db!(tx, |c| {
        let sql = format!("{BULK} WHERE id < $1 AND state <> 'previewing' ORDER BY id DESC LIMIT $2");
        sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(before.map_or(Uuid::max(), |id| id.0))
            .bind(limit)
            .fetch_all(&mut *c)
            .await?
    });
    rows.into_iter().map(BulkRecord::try_from).collect()
}

/// Those that somebody began to carry out and nobody ended.
pub async fn list_unfinished(tx: &mut Tx) -> Result<Vec<BulkEditId>, StoreError> {
    let ids: Vec<Uuid> = on_db!(tx, |c| {
        sqlx::query_scalar("SELECT id FROM bulk_edits WHERE state IN ('applying', 'undoing') ORDER BY id")
            .fetch_all(&mut *c)
            .await?
    });
    Ok(ids.into_iter().map(BulkEditId).collect())
}

/// Removes looks that nobody followed up before `then`.
pub async fn remove_stale(tx: &mut Tx, then: Millis) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "DELETE FROM bulk_edit_rows WHERE edit_id IN
             (SELECT id FROM bulk_edits WHERE state IN ('previewing', 'previewed') AND created_at < $1)",
        )
        .bind(then.0)
        .execute(&mut *c)
        .await?;
        sqlx::query("DELETE FROM bulk_edits WHERE state IN ('previewing', 'previewed') AND created_at < $1")
            .bind(then.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Forgets what was seen so far, to look anew.
pub async fn remove_rows(tx: &mut Tx, edit: BulkEditId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM bulk_edit_rows WHERE edit_id = $1").bind(edit.0).execute(&mut *c).await?;
        Ok(())
    })
}

/// A cover in a change of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRow {
    pub cover: CoverId,
    pub state: BulkRowState,
    /// The cover's version when the row was last touched.
    pub version: i64,
    /// JSON object of changed fields, each as `[before, after]`.
    pub fields: String,
    /// JSON of why it was refused; empty when it was not.
    pub refusal: String,
}

pub async fn add_rows(tx: &mut Tx, edit: BulkEditId, rows: &[BulkRow]) -> Result<(), StoreError> {
    let columns = ["edit_id", "cover_id", "state", "version", "fields", "refusal"];
    let row = |row: &'_ BulkRow| {
        cells![edit.0, row.cover.0, row.state.as_str(), row.version, row.fields.clone(), row.refusal.clone(),]
    };
    let mut script = Script::new(tx.engine());
    script.add(Sheet::new("bulk_edit_rows", columns, rows.iter().map(row)));
    script.execute(tx).await.map(drop)
}

/// Writes rows anew.
pub async fn update_rows(tx: &mut Tx, edit: BulkEditId, rows: &[BulkRow]) -> Result<(), StoreError> {
    let mut script = Script::new(tx.engine());
    script.add(Sheet::changing(
        "UPDATE bulk_edit_rows SET state = given.state, version = given.version, fields = given.fields,
         refusal = given.refusal FROM given
         WHERE bulk_edit_rows.edit_id = given.edit_id AND bulk_edit_rows.cover_id = given.cover_id",
        ["edit_id", "cover_id", "state", "version", "fields", "refusal"],
        rows.iter().map(|row| {
            cells![
                edit.0,
                row.cover.0,
                row.state.as_str(),
                row.version,
                row.fields.as_str(),
                row.refusal.as_str(),
            ]
        }),
    ));
    script.execute(tx).await.map(drop)
}

/// Moves on the versions that rows of the same change have noted of covers whose place it has changed.
pub async fn bump_row(tx: &mut Tx, edit: BulkEditId, cover: CoverId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE bulk_edit_rows SET version = version + 1 WHERE edit_id = $1 AND cover_id = $2")
            .bind(edit.0)
            .bind(cover.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

#[derive(FromRow)]
struct RowSql {
    cover_id: Uuid,
    state: String,
    version: i64,
    fields: String,
    refusal: String,
}

/// Rows in these states, in the order of covers after `after`.
pub async fn list_rows(
    tx: &mut Tx,
    edit: BulkEditId,
    states: &[BulkRowState],
    after: Option<CoverId>,
    limit: i64,
) -> Result<Vec<BulkRow>, StoreError> {
    let rows: Vec<RowSql> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT cover_id, state, version, fields, refusal FROM bulk_edit_rows WHERE edit_id = ",
        );
        query.push_bind(edit.0).push(" AND state IN (");
        let mut list = query.separated(", ");
        for state in states {
            list.push_bind(state.as_str());
        }
        query.push(") AND cover_id > ").push_bind(after.map_or(Uuid::nil(), |id| id.0));
        query.push(" ORDER BY cover_id LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            Ok(BulkRow {
                state: row
                    .state
                    .parse()
                    .map_err(|_| StoreError::inconsistent("bulk_edit_rows", "state", row.cover_id))?,
                cover: CoverId(row.cover_id),
                version: row.version,
                fields: row.fields,
                refusal: row.refusal,
            })
        })
        .collect()
}

/// How many rows stand in each state.
pub async fn count_rows(tx: &mut Tx, edit: BulkEditId) -> Result<Vec<(BulkRowState, i64)>, StoreError> {
    let rows: Vec<(String, i64)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT state, COUNT(*) FROM bulk_edit_rows WHERE edit_id = $1 GROUP BY state ORDER BY state"
    )
    .bind(edit.0)
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter()
        .map(|(state, count)| {
            let state =
                state.parse().map_err(|_| StoreError::inconsistent("bulk_edit_rows", "state", edit))?;
            Ok((state, count))
        })
        .collect()
}
