//! Pairs of covers of which somebody said that they are two.

use sqlx::FromRow;
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::ids::{CoverId, Millis};

/// That two covers are two, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldApart {
    /// The one with the lower id.
    pub older: CoverId,
    pub newer: CoverId,
    pub actor: String,
    pub reason: String,
    pub at: Millis,
}

#[derive(FromRow)]
struct Row {
    older_id: Uuid,
    newer_id: Uuid,
    actor: String,
    reason: String,
    at: i64,
}

impl From<Row> for ToldApart {
    fn from(row: Row) -> Self {
        Self {
            older: CoverId(row.older_id),
            newer: CoverId(row.newer_id),
            actor: row.actor,
            reason: row.reason,
            at: Millis(row.at),
        }
    }
}

/// Keeps that two covers are two; `false` when it was known.
pub async fn add_told_apart(tx: &mut Tx, pair: &ToldApart) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "INSERT INTO told_apart (older_id, newer_id, actor, reason, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (older_id, newer_id) DO NOTHING",
        )
        .bind(pair.older.0)
        .bind(pair.newer.0)
        .bind(&pair.actor)
        .bind(&pair.reason)
        .bind(pair.at.0)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Forgets it; `false` when it was not known.
pub async fn remove_told_apart(tx: &mut Tx, (older, newer): (CoverId, CoverId)) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query("DELETE FROM told_apart WHERE older_id = $1 AND newer_id = $2")
            .bind(older.0)
            .bind(newer.0)
            .execute(&mut *c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Every such pair, for the sweep; people decide about each, so there are few.
pub async fn list_pairs_told_apart(tx: &mut Tx) -> Result<Vec<(CoverId, CoverId)>, StoreError> {
    let rows: Vec<(Uuid, Uuid)> = on_db!(tx, |c| sqlx::query_as("SELECT older_id, newer_id FROM told_apart")
        .fetch_all(&mut *c)
        .await?);
    Ok(rows.into_iter().map(|(older, newer)| (CoverId(older), CoverId(newer))).collect())
}

/// The latest of them.
pub async fn list_told_apart(tx: &mut Tx, limit: i64) -> Result<Vec<ToldApart>, StoreError> {
    let rows: Vec<Row> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT older_id, newer_id, actor, reason, at FROM told_apart ORDER BY at DESC, newer_id DESC LIMIT $1"
    )
    .bind(limit)
    .fetch_all(&mut *c)
    .await?
    });
    Ok(rows.into_iter().map(ToldApart::from).collect())
}
