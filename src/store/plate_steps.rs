//! Steps of many plates at once, and what stands where: by batch, by state, by crew.

use sqlx::FromRow;
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::ids::{BatchId, CoverId, ManholeId, Millis, UserId};
use crate::domain::plate::PlateState;
use crate::domain::token::Token;

/// Plates of a batch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlateRange {
    pub batch: BatchId,
    pub first: i64,
    pub last: i64,
}

/// How many plates of a range stand alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    pub state: PlateState,
    pub holder: Option<UserId>,
    pub count: i64,
    /// The lowest of their ordinals.
    pub first: i64,
}

fn state_of(text: &str, batch: BatchId) -> Result<PlateState, StoreError> {
    text.parse().map_err(|_| StoreError::inconsistent("plates", "state", format!("batch {batch}")))
}

/// How the plates of a range stand.
pub async fn list_stands(tx: &mut Tx, range: PlateRange) -> Result<Vec<Stand>, StoreError> {
    let rows: Vec<(String, Option<Uuid>, i64, i64)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT state, holder, COUNT(*), MIN(ordinal) FROM plates
         WHERE batch_id = $1 AND ordinal BETWEEN $2 AND $3 GROUP BY state, holder ORDER BY MIN(ordinal)"
    )
    .bind(range.batch.0)
    .bind(range.first)
    .bind(range.last)
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter()
        .map(|(state, holder, count, first)| {
            let state = state_of(&state, range.batch)?;
            Ok(Stand { state, holder: holder.map(UserId), count, first })
        })
        .collect()
}

/// The first plate of a range that left the house at some time, and how many did.
pub async fn find_issued(tx: &mut Tx, range: PlateRange) -> Result<Option<(i64, i64)>, StoreError> {
    let (first, count): (Option<i64>, i64) = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT MIN(p.ordinal), COUNT(*) FROM plates p WHERE p.batch_id = $1 AND p.ordinal BETWEEN $2 AND $3
         AND (p.state NOT IN ('made', 'printed', 'spoiled') OR EXISTS (SELECT 1 FROM plate_events e
         WHERE e.token = p.token AND e.state IN ('issued', 'installed')))"
    )
    .bind(range.batch.0)
    .bind(range.first)
    .bind(range.last)
    .fetch_one(&mut *c)
    .await?
    });
    Ok(first.map(|first| (first, count)))
}

/// A step that all plates of a range take that are in one of these states.
#[derive(Debug, Clone)]
pub struct RangeStep<'s> {
    pub range: PlateRange,
    pub from: &'s [PlateState],
    pub to: PlateState,
    /// Who has them from now on.
    pub holder: Option<UserId>,
    /// Only those that this crew has.
    pub only_of: Option<UserId>,
    pub at: Millis,
    pub actor: &'s str,
    pub reason: Option<&'s str>,
}

/// A plate that took a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stepped {
    pub token: Token,
    pub ordinal: i64,
    pub cover: Option<CoverId>,
    pub manhole: Option<ManholeId>,
}

#[derive(FromRow)]
struct SteppedRow {
    token: i64,
    ordinal: i64,
    cover_id: Option<Uuid>,
    manhole_id: Option<Uuid>,
}

/// Tokens in one statement.
const AT_ONCE: usize = 500;

/// Moves the plates on and keeps the step of each; answers them in the order of the ledger.
pub async fn step_range(tx: &mut Tx, step: &RangeStep<'_>) -> Result<Vec<Stepped>, StoreError> {
    let rows: Vec<SteppedRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new("UPDATE plates SET state = ");
        query.push_bind(step.to.as_str()).push(", state_at = ").push_bind(step.at.0);
        query.push(", holder = ").push_bind(step.holder.map(|holder| holder.0));
        query.push(" WHERE batch_id = ").push_bind(step.range.batch.0);
        query.push(" AND ordinal BETWEEN ").push_bind(step.range.first);
        query.push(" AND ").push_bind(step.range.last).push(" AND state IN (");
        let mut states = query.separated(", ");
        for state in step.from {
            states.push_bind(state.as_str());
        }
        query.push(")");
        if let Some(crew) = step.only_of {
            query.push(" AND holder = ").push_bind(crew.0);
        }
        query.push(" RETURNING token, ordinal, cover_id, manhole_id");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    let mut moved = rows
        .into_iter()
        .map(|row| {
            let which = format!("{} no. {}", step.range.batch, row.ordinal);
            let token = Token::from_i64(row.token);
            Ok(Stepped {
                token: token.ok_or_else(|| StoreError::inconsistent("plates", "token", which))?,
                ordinal: row.ordinal,
                cover: row.cover_id.map(CoverId),
                manhole: row.manhole_id.map(ManholeId),
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    moved.sort_unstable_by_key(|plate| plate.ordinal);
    for chunk in moved.chunks(AT_ONCE) {
        on_db!(tx, |c| {
            let mut query = sqlx::QueryBuilder::new(
                "INSERT INTO plate_events (token, step, at, actor, state, reason, holder, cover_id)
                 SELECT p.token, COALESCE((SELECT MAX(e.step) FROM plate_events e WHERE e.token = p.token), 0) + 1, ",
            );
            query.push_bind(step.at.0).push(", ").push_bind(step.actor.to_owned()).push(", p.state, ");
            query.push_bind(step.reason.map(str::to_owned));
            query.push(", p.holder, p.cover_id FROM plates p WHERE p.token IN (");
            let mut tokens = query.separated(", ");
            for plate in chunk {
                tokens.push_bind(plate.token.to_i64());
            }
            query.push(")");
            query.build().execute(&mut *c).await?;
        });
    }
    Ok(moved)
}

/// How many plates of each batch stand in each state.
pub async fn count_by_batch(
    tx: &mut Tx,
    batches: &[BatchId],
) -> Result<Vec<(BatchId, PlateState, i64)>, StoreError> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Uuid, String, i64)> = on_db!(tx, |c| {
        let mut query =
            sqlx::QueryBuilder::new("SELECT batch_id, state, COUNT(*) FROM plates WHERE batch_id IN (");
        let mut list = query.separated(", ");
        for batch in batches {
            list.push_bind(batch.0);
        }
        query.push(") GROUP BY batch_id, state ORDER BY batch_id, state");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|(batch, state, count)| Ok((BatchId(batch), state_of(&state, BatchId(batch))?, count)))
        .collect()
}

/// What a crew has of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLine {
    pub crew: UserId,
    pub batch: BatchId,
    pub blank: i64,
    /// For known covers.
    pub for_covers: i64,
    pub first: i64,
    pub last: i64,
}

/// What crews have, by batch; `None` = all crews.
pub async fn list_stock(tx: &mut Tx, crew: Option<UserId>) -> Result<Vec<StockLine>, StoreError> {
    #[derive(FromRow)]
    struct Row {
        holder: Uuid,
        batch_id: Uuid,
        plates: i64,
        for_covers: i64,
        first: i64,
        last: i64,
    }
    let rows: Vec<Row> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT holder, batch_id, COUNT(*) AS plates, COUNT(cover_id) AS for_covers, MIN(ordinal) AS first,
             MAX(ordinal) AS last FROM plates WHERE holder IS NOT NULL AND state = 'issued'",
        );
        if let Some(crew) = crew {
            query.push(" AND holder = ").push_bind(crew.0);
        }
        query.push(" GROUP BY holder, batch_id ORDER BY holder, batch_id DESC");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    let line = |row: Row| StockLine {
        crew: UserId(row.holder),
        batch: BatchId(row.batch_id),
        blank: row.plates - row.for_covers,
        for_covers: row.for_covers,
        first: row.first,
        last: row.last,
    };
    Ok(rows.into_iter().map(line).collect())
}
