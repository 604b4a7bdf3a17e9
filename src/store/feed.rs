//! The change feed and the outbox: what readers follow without loss or repeat.

use uuid::Uuid;

use super::people::advance_counter;
use super::{StoreError, Tx, on_db};
use crate::domain::ids::Millis;
use crate::domain::names::named_enum;

named_enum! {
    /// What changed.
    ChangeKind as "change_kind" { Cover = "cover", Plate = "plate", Case = "case" }
}

/// One committed change. `id` is the cover's, the case's, or the plate's token bits as a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub sequence: i64,
    pub at: Millis,
    pub kind: ChangeKind,
    pub id: Uuid,
}

/// Records changes. Call it last in a transaction: the counter row is held until the commit, which
/// is what makes the sequence free of gaps and in commit order on PostgreSQL too.
pub async fn record_changes(
    tx: &mut Tx,
    at: Millis,
    changed: &[(ChangeKind, Uuid)],
) -> Result<i64, StoreError> {
    let last = advance_counter(tx, "changes", changed.len() as i64).await?;
    let mut sequence = last - changed.len() as i64;
    for (kind, id) in changed {
        sequence += 1;
        on_db!(tx, |c| {
            sqlx::query("INSERT INTO changes (sequence, at, kind, id) VALUES ($1, $2, $3, $4)")
                .bind(sequence)
                .bind(at.0)
                .bind(kind.as_str())
                .bind(id)
                .execute(&mut *c)
                .await?;
        });
    }
    Ok(last)
}

/// Changes after `since`, oldest first.
pub async fn list_changes(tx: &mut Tx, since: i64, limit: i64) -> Result<Vec<Change>, StoreError> {
    let rows: Vec<(i64, i64, String, Uuid)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT sequence, at, kind, id FROM changes WHERE sequence > $1 ORDER BY sequence LIMIT $2"
    )
    .bind(since)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter()
        .map(|(sequence, at, kind, id)| {
            let kind = kind.parse().map_err(|_| StoreError::inconsistent("changes", "kind", sequence))?;
            Ok(Change { sequence, at: Millis(at), kind, id })
        })
        .collect()
}

/// The newest sequence number; 0 in an empty registry.
pub async fn last_change(tx: &mut Tx) -> Result<i64, StoreError> {
    let last: Option<i64> =
        on_db!(tx, |c| sqlx::query_scalar("SELECT MAX(sequence) FROM changes").fetch_one(&mut *c).await?);
    Ok(last.unwrap_or(0))
}

/// An event that must leave.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OutboxEvent {
    pub sequence: i64,
    pub event: String,
    /// JSON object.
    pub body: String,
    pub created_at: i64,
}

pub async fn add_event(tx: &mut Tx, event: &str, body: &str, at: Millis) -> Result<(), StoreError> {
    let sequence = advance_counter(tx, "outbox", 1).await?;
    on_db!(tx, |c| {
        sqlx::query("INSERT INTO outbox (sequence, event, body, created_at) VALUES ($1, $2, $3, $4)")
            .bind(sequence)
            .bind(event)
            .bind(body)
            .bind(at.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Events not delivered yet, oldest first.
pub async fn list_waiting_events(tx: &mut Tx, limit: i64) -> Result<Vec<OutboxEvent>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_as(
        "SELECT sequence, event, body, created_at FROM outbox WHERE delivered_at IS NULL ORDER BY sequence LIMIT $1"
    )
    .bind(limit)
    .fetch_all(&mut *c)
    .await?)
    })
}

pub async fn mark_delivered(tx: &mut Tx, sequence: i64, at: Millis) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE outbox SET delivered_at = $2 WHERE sequence = $1")
            .bind(sequence)
            .bind(at.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}
