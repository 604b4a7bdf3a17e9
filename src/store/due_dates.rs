//! When a fall net or a cover must be looked at next.

use sqlx::FromRow;
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::ids::{CoverId, Millis};
use crate::domain::task::TaskKind;

/// A date of one cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDate {
    pub cover: CoverId,
    pub kind: TaskKind,
    pub due_at: Millis,
    pub actor: String,
    pub set_at: Millis,
}

/// Sets the date, in the place of one that was set before.
pub async fn put_due_date(tx: &mut Tx, due: &DueDate) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO due_dates (cover_id, kind, due_at, actor, set_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (cover_id, kind) DO UPDATE SET due_at = excluded.due_at, actor = excluded.actor,
             set_at = excluded.set_at",
        )
        .bind(due.cover.0)
        .bind(due.kind.as_str())
        .bind(due.due_at.0)
        .bind(&due.actor)
        .bind(due.set_at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn remove_due_date(tx: &mut Tx, cover: CoverId, kind: TaskKind) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM due_dates WHERE cover_id = $1 AND kind = $2")
            .bind(cover.0)
            .bind(kind.as_str())
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// A date with what is read of its cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLine {
    pub due: DueDate,
    pub code: String,
    pub scheme: String,
    pub district: String,
    pub road: Option<String>,
    /// Whether somebody has been asked to look.
    pub has_task: bool,
}

#[derive(FromRow)]
struct DueRow {
    cover_id: Uuid,
    kind: String,
    due_at: i64,
    actor: String,
    set_at: i64,
    code: String,
    scheme: String,
    district: String,
    road: Option<String>,
    has_task: i64,
}

/// Dates of covers in use before `before`, the first first; `unasked`: only where no task is open.
pub async fn list_due(
    tx: &mut Tx,
    before: Millis,
    unasked: bool,
    limit: i64,
) -> Result<Vec<DueLine>, StoreError> {
    let rows: Vec<DueRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT o.* FROM (SELECT d.cover_id, d.kind, d.due_at, d.actor, d.set_at, c.code, c.scheme, h.district, h.road,
             (SELECT COUNT(*) FROM tasks t WHERE t.cover_id = d.cover_id AND t.kind = d.kind AND t.state = 'open')
             AS has_task FROM due_dates d JOIN covers c ON c.id = d.cover_id JOIN manholes h ON h.id = c.manhole_id
             WHERE c.retired_at IS NULL AND d.due_at < ",
        );
        query.push_bind(before.0).push(") o");
        if unasked {
            query.push(" WHERE o.has_task = 0");
        }
        query.push(" ORDER BY o.due_at, o.cover_id, o.kind LIMIT ").push_bind(limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            let broken = || StoreError::inconsistent("due_dates", "kind", CoverId(row.cover_id));
            Ok(DueLine {
                due: DueDate {
                    cover: CoverId(row.cover_id),
                    kind: row.kind.parse().map_err(|_| broken())?,
                    due_at: Millis(row.due_at),
                    actor: row.actor,
                    set_at: Millis(row.set_at),
                },
                code: row.code,
                scheme: row.scheme,
                district: row.district,
                road: row.road,
                has_task: row.has_task > 0,
            })
        })
        .collect()
}
