//! The change feed and the outbox: what readers follow without loss or repeat.

use uuid::Uuid;

use super::people::advance_counters;
use super::script::Script;
use super::sheet::{Sheet, cells};
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

/// What a transaction tells the outside.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Name and JSON body of each event that must leave.
    pub events: Vec<(String, String)>,
    pub changed: Vec<(ChangeKind, Uuid)>,
}

/// Records changes and events. Call it last in a transaction: the counters are held until the
/// commit, which is what makes the sequences free of gaps and in commit order on PostgreSQL too.
pub async fn record(tx: &mut Tx, at: Millis, news: News) -> Result<(), StoreError> {
    let last = take_numbers(tx, &news).await?;
    let mut script = Script::new(tx.engine());
    add_news(&mut script, at, &news, last);
    script.execute(tx).await.map(drop)
}

/// Takes the numbers of these changes and events; answers the last of each.
pub(super) async fn take_numbers(tx: &mut Tx, news: &News) -> Result<[i64; 2], StoreError> {
    let wanted = [("changes", news.changed.len() as i64), ("outbox", news.events.len() as i64)];
    advance_counters(tx, wanted).await
}

/// `last`: the numbers of the last change and the last event, already taken from the counters.
pub(super) fn add_news(script: &mut Script, at: Millis, news: &News, last: [i64; 2]) {
    let numbered = |last: i64, count: usize| last - count as i64 + 1..;
    let changes = numbered(last[0], news.changed.len()).zip(&news.changed);
    let columns = ["sequence", "at", "kind", "id"];
    let row = |(sequence, (kind, id)): (i64, &(ChangeKind, Uuid))| cells![sequence, at.0, kind.as_str(), *id];
    script.add(Sheet::new("changes", columns, changes.map(row)));
    let events = numbered(last[1], news.events.len()).zip(&news.events);
    let columns = ["sequence", "event", "body", "created_at"];
    script.add(Sheet::new(
        "outbox",
        columns,
        events.map(|(sequence, (event, body))| cells![sequence, event.as_str(), body.as_str(), at.0]),
    ));
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

/// Events that a receiver has not had yet, oldest first.
pub async fn list_waiting_events(
    tx: &mut Tx,
    receiver: &str,
    limit: i64,
) -> Result<Vec<OutboxEvent>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_as(
            "SELECT sequence, event, body, created_at FROM outbox
             WHERE sequence > COALESCE((SELECT delivered FROM outbox_receivers WHERE name = $1), 0)
             ORDER BY sequence LIMIT $2",
        )
        .bind(receiver)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?)
    })
}

/// Events behind a number, oldest first.
pub async fn list_events_after(tx: &mut Tx, after: i64, limit: i64) -> Result<Vec<OutboxEvent>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT sequence, event, body, created_at FROM outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2"
    )
    .bind(after)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?))
}

/// Events by their numbers, oldest first.
pub async fn list_events(tx: &mut Tx, sequences: &[i64]) -> Result<Vec<OutboxEvent>, StoreError> {
    if sequences.is_empty() {
        return Ok(Vec::new());
    }
    on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT sequence, event, body, created_at FROM outbox WHERE sequence IN (",
        );
        let mut list = query.separated(", ");
        sequences.iter().for_each(|sequence| {
            list.push_bind(*sequence);
        });
        query.push(") ORDER BY sequence");
        Ok(query.build_query_as().fetch_all(&mut *c).await?)
    })
}

/// A receiver has had every event up to `sequence`.
pub async fn mark_delivered(tx: &mut Tx, receiver: &str, sequence: i64) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO outbox_receivers (name, delivered) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET delivered = excluded.delivered
             WHERE outbox_receivers.delivered < excluded.delivered",
        )
        .bind(receiver)
        .bind(sequence)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}
