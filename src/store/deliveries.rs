//! Events that could not be delivered in their turn; the log they come from, and what is cleared out of it.

use std::collections::BTreeMap;

use sqlx::{FromRow, QueryBuilder};

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::ids::{Millis, ReceiverId};
use crate::domain::receiver::LetterState;

/// An event for one receiver that is not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub sequence: i64,
    /// Of events with the same key the earlier goes first.
    pub key: String,
    pub event: String,
    pub state: LetterState,
    /// How often it was tried in vain.
    pub tries: i64,
    pub next_at: Millis,
    /// What the receiver answered; `None` when it did not.
    pub last_status: Option<i64>,
    pub trouble: Option<String>,
    /// When the event happened.
    pub at: Millis,
}

#[derive(FromRow)]
struct LetterRow {
    sequence: i64,
    order_key: String,
    event: String,
    state: String,
    tries: i64,
    next_at: i64,
    last_status: Option<i64>,
    trouble: Option<String>,
    at: i64,
}

impl TryFrom<LetterRow> for Letter {
    type Error = StoreError;
    fn try_from(row: LetterRow) -> Result<Self, StoreError> {
        let broken = || StoreError::inconsistent("deliveries", "state", row.sequence);
        Ok(Self {
            state: row.state.parse().map_err(|_| broken())?,
            sequence: row.sequence,
            key: row.order_key,
            event: row.event,
            tries: row.tries,
            next_at: Millis(row.next_at),
            last_status: row.last_status,
            trouble: row.trouble,
            at: Millis(row.at),
        })
    }
}

/// Adds letters. They lie behind where the receiver's cursor stood, so that none is there already.
pub async fn add_letters(tx: &mut Tx, receiver: ReceiverId, letters: &[Letter]) -> Result<(), StoreError> {
    let columns = [
        "receiver_id",
        "sequence",
        "order_key",
        "event",
        "state",
        "tries",
        "next_at",
        "last_status",
        "trouble",
        "at",
    ];
    let row = |letter: &Letter| {
        cells![
            receiver.0,
            letter.sequence,
            letter.key.clone(),
            letter.event.clone(),
            letter.state.as_str(),
            letter.tries,
            letter.next_at.0,
            letter.last_status,
            letter.trouble.clone(),
            letter.at.0,
        ]
    };
    let mut script = Script::new(tx.engine());
    script.add(Sheet::new("deliveries", columns, letters.iter().map(row)));
    script.execute(tx).await.map(drop)
}

/// Writes what became of one more try.
pub async fn update_letter(tx: &mut Tx, receiver: ReceiverId, letter: &Letter) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE deliveries SET state = $3, tries = $4, next_at = $5, last_status = $6, trouble = $7
             WHERE receiver_id = $1 AND sequence = $2",
        )
        .bind(receiver.0)
        .bind(letter.sequence)
        .bind(letter.state.as_str())
        .bind(letter.tries)
        .bind(letter.next_at.0)
        .bind(letter.last_status)
        .bind(&letter.trouble)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Takes letters out: they are delivered, or nobody wants them.
pub async fn remove_letters(tx: &mut Tx, receiver: ReceiverId, sequences: &[i64]) -> Result<(), StoreError> {
    for some in sequences.chunks(500) {
        on_db!(tx, |c| {
            let mut query = QueryBuilder::new("DELETE FROM deliveries WHERE receiver_id = ");
            query.push_bind(receiver.0).push(" AND sequence IN (");
            let mut list = query.separated(", ");
            some.iter().for_each(|sequence| {
                list.push_bind(*sequence);
            });
            query.push(")");
            query.build().execute(&mut *c).await?;
        });
    }
    Ok(())
}

/// Takes out every letter behind a number: the log is sent from there again.
pub async fn remove_letters_after(tx: &mut Tx, receiver: ReceiverId, after: i64) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM deliveries WHERE receiver_id = $1 AND sequence > $2")
            .bind(receiver.0)
            .bind(after)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Keys of which something waits.
pub async fn list_waiting_keys(tx: &mut Tx, receiver: ReceiverId) -> Result<Vec<String>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar(
        "SELECT DISTINCT order_key FROM deliveries WHERE receiver_id = $1 AND state = 'waiting'"
    )
    .bind(receiver.0)
    .fetch_all(&mut *c)
    .await?))
}

/// The first waiting letter of each key whose time has come.
pub async fn list_due_letters(
    tx: &mut Tx,
    receiver: ReceiverId,
    now: Millis,
    limit: i64,
) -> Result<Vec<Letter>, StoreError> {
    let rows: Vec<LetterRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT d.sequence, d.order_key, d.event, d.state, d.tries, d.next_at, d.last_status, d.trouble, d.at
             FROM deliveries d WHERE d.receiver_id = $1 AND d.state = 'waiting' AND d.next_at <= $2
             AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.receiver_id = d.receiver_id
                AND e.order_key = d.order_key AND e.state = 'waiting' AND e.sequence < d.sequence)
             ORDER BY d.next_at, d.sequence LIMIT $3",
        )
        .bind(receiver.0)
        .bind(now.0)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?
    });
    rows.into_iter().map(Letter::try_from).collect()
}

/// Letters of one state behind a number, in the order of the log.
pub async fn list_letters(
    tx: &mut Tx,
    receiver: ReceiverId,
    state: LetterState,
    after: i64,
    limit: i64,
) -> Result<Vec<Letter>, StoreError> {
    let rows: Vec<LetterRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT sequence, order_key, event, state, tries, next_at, last_status, trouble, at FROM deliveries
             WHERE receiver_id = $1 AND state = $2 AND sequence > $3 ORDER BY sequence LIMIT $4",
        )
        .bind(receiver.0)
        .bind(state.as_str())
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *c)
        .await?
    });
    rows.into_iter().map(Letter::try_from).collect()
}

pub async fn find_letter(
    tx: &mut Tx,
    receiver: ReceiverId,
    sequence: i64,
) -> Result<Option<Letter>, StoreError> {
    let row: Option<LetterRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT sequence, order_key, event, state, tries, next_at, last_status, trouble, at FROM deliveries
             WHERE receiver_id = $1 AND sequence = $2",
        )
        .bind(receiver.0)
        .bind(sequence)
        .fetch_optional(&mut *c)
        .await?
    });
    row.map(Letter::try_from).transpose()
}

/// How many letters of each receiver wait, and how many are dead.
pub async fn count_letters(tx: &mut Tx) -> Result<BTreeMap<ReceiverId, [i64; 2]>, StoreError> {
    let rows: Vec<(uuid::Uuid, String, i64)> = on_db!(tx, |c| {
        sqlx::query_as("SELECT receiver_id, state, COUNT(*) FROM deliveries GROUP BY receiver_id, state")
            .fetch_all(&mut *c)
            .await?
    });
    let mut counts: BTreeMap<ReceiverId, [i64; 2]> = BTreeMap::new();
    for (receiver, state, count) in rows {
        let at = usize::from(state == LetterState::Dead.as_str());
        counts.entry(ReceiverId(receiver)).or_default()[at] = count;
    }
    Ok(counts)
}

/// In which districts cases lie, by their numbers.
pub async fn list_districts_of(
    tx: &mut Tx,
    numbers: &[String],
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut found = BTreeMap::new();
    for some in numbers.chunks(500) {
        let rows: Vec<(String, String)> = on_db!(tx, |c| {
            let mut query = QueryBuilder::new("SELECT number, district FROM cases WHERE number IN (");
            let mut list = query.separated(", ");
            some.iter().for_each(|number| {
                list.push_bind(number.as_str());
            });
            query.push(")");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        found.extend(rows);
    }
    Ok(found)
}

/// Clears events out of the log that happened before a moment, that everybody has heard, and that no letter brings;
/// answers how many, at most `limit`.
pub async fn clear_events(tx: &mut Tx, before: Millis, limit: i64) -> Result<u64, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "DELETE FROM outbox WHERE sequence IN (SELECT o.sequence FROM outbox o WHERE o.created_at < $1
                AND o.sequence <= (SELECT MIN(delivered) FROM outbox_receivers)
                AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.sequence = o.sequence)
             ORDER BY o.sequence LIMIT $2)",
        )
        .bind(before.0)
        .bind(limit)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected())
    })
}
