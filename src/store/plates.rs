//! Plates and their batches.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::covers::list_by_key;
use super::{StoreError, Tx, on_db};
use crate::domain::ids::{BatchId, CoverId, ManholeId, Millis, UserId};
use crate::domain::plate::{Plate, PlateEvent, PlateFix, PlateSpot, PlateState, SymbolRecord};
use crate::domain::token::Token;

#[derive(FromRow)]
pub(super) struct PlateRow {
    token: i64,
    batch_id: Uuid,
    ordinal: i64,
    state: String,
    payload: String,
    face: String,
    qr_version: i64,
    qr_level: String,
    qr_mask: i64,
    cover_id: Option<Uuid>,
    manhole_id: Option<Uuid>,
    printed_code: Option<String>,
    page: i64,
    place_on_page: i64,
    successor: Option<i64>,
    spot: String,
    holder: Option<Uuid>,
    state_at: i64,
}

pub(super) const PLATE: &str =
    "SELECT p.token, p.batch_id, p.ordinal, p.state, p.payload, b.face, p.qr_version, p.qr_level,
    p.qr_mask, p.cover_id, p.manhole_id, p.printed_code, p.page, p.place_on_page, p.successor, p.spot,
    p.holder, p.state_at
    FROM plates p JOIN plate_batches b ON b.id = p.batch_id ";

impl TryFrom<PlateRow> for Plate {
    type Error = StoreError;
    fn try_from(row: PlateRow) -> Result<Self, StoreError> {
        // A token opens a file: the broken row is named by its batch and ordinal instead.
        let broken = |column| {
            StoreError::inconsistent("plates", column, format!("{} no. {}", row.batch_id, row.ordinal))
        };
        let token = |stored: i64, column| Token::from_i64(stored).ok_or_else(|| broken(column));
        Ok(Self {
            token: token(row.token, "token")?,
            batch: BatchId(row.batch_id),
            ordinal: row.ordinal,
            state: row.state.parse().map_err(|_| broken("state"))?,
            symbol: SymbolRecord {
                version: u8::try_from(row.qr_version).map_err(|_| broken("qr_version"))?,
                level: row.qr_level.chars().next().ok_or_else(|| broken("qr_level"))?,
                mask: u8::try_from(row.qr_mask).map_err(|_| broken("qr_mask"))?,
            },
            successor: row.successor.map(|stored| token(stored, "successor")).transpose()?,
            spot: row.spot.parse().map_err(|_| broken("spot"))?,
            holder: row.holder.map(UserId),
            payload: row.payload,
            face: row.face,
            cover: row.cover_id.map(CoverId),
            manhole: row.manhole_id.map(ManholeId),
            printed_code: row.printed_code,
            page: row.page,
            place_on_page: row.place_on_page,
            state_at: Millis(row.state_at),
        })
    }
}

pub async fn find_plate(tx: &mut Tx, token: Token) -> Result<Option<Plate>, StoreError> {
    let row: Option<PlateRow> = on_db!(tx, |c| {
        let sql = format!("{PLATE} WHERE p.token = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(token.to_i64()).fetch_optional(&mut *c).await?
    });
    row.map(Plate::try_from).transpose()
}

/// The plates of a batch after `after`, in the order of the ledger.
pub async fn list_batch_plates(
    tx: &mut Tx,
    batch: BatchId,
    after: i64,
    limit: i64,
) -> Result<Vec<Plate>, StoreError> {
    let rows: Vec<PlateRow> = on_db!(tx, |c| {
        let sql = format!("{PLATE} WHERE p.batch_id = $1 AND p.ordinal > $2 ORDER BY p.ordinal LIMIT $3");
        sqlx::query_as(AssertSqlSafe(sql)).bind(batch.0).bind(after).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Plate::try_from).collect()
}

/// A page of the plates of a batch that stand in this state.
pub async fn list_batch_plates_in(
    tx: &mut Tx,
    (batch, state): (BatchId, PlateState),
    after: i64,
    limit: i64,
) -> Result<Vec<Plate>, StoreError> {
    let rows: Vec<PlateRow> = on_db!(tx, |c| {
        let sql = format!(
            "{PLATE} WHERE p.batch_id = $1 AND p.ordinal > $2 AND p.state = $4 ORDER BY p.ordinal LIMIT $3"
        );
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(batch.0)
            .bind(after)
            .bind(limit)
            .bind(state.as_str())
            .fetch_all(&mut *c)
            .await?
    });
    rows.into_iter().map(Plate::try_from).collect()
}

/// The plates of these tokens, in no particular order; unknown ones are left out.
pub async fn list_plates_by_token(tx: &mut Tx, tokens: &[Token]) -> Result<Vec<Plate>, StoreError> {
    let keys: Vec<i64> = tokens.iter().map(|token| token.to_i64()).collect();
    let rows: Vec<PlateRow> = list_by_key(tx, PLATE, "p.token", &keys).await?;
    rows.into_iter().map(Plate::try_from).collect()
}

/// Every plate a cover has worn, newest first.
pub async fn list_cover_plates(tx: &mut Tx, cover: CoverId) -> Result<Vec<Plate>, StoreError> {
    let rows: Vec<PlateRow> = on_db!(tx, |c| {
        let sql = format!("{PLATE} WHERE p.cover_id = $1 ORDER BY p.state_at DESC, p.token");
        sqlx::query_as(AssertSqlSafe(sql)).bind(cover.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Plate::try_from).collect()
}

/// A step in a plate's life: what it changes, and what stands for it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlateStep {
    pub token: Token,
    pub from: PlateState,
    pub to: PlateState,
    pub cover: Option<CoverId>,
    pub manhole: Option<ManholeId>,
    pub successor: Option<Token>,
    pub spot: PlateSpot,
    pub holder: Option<UserId>,
    pub at: Millis,
    pub actor: String,
    pub reason: Option<String>,
    pub fix: Option<PlateFix>,
}

impl PlateStep {
    /// The step of `plate` to `to` that changes nothing else, but that nobody holds it any more.
    pub fn of(plate: &Plate, to: PlateState, actor: &str, at: Millis) -> Self {
        Self {
            token: plate.token,
            from: plate.state,
            to,
            cover: plate.cover,
            manhole: plate.manhole,
            successor: None,
            spot: plate.spot,
            holder: None,
            at,
            actor: actor.to_owned(),
            reason: None,
            fix: None,
        }
    }
}

/// Moves a plate on and keeps the step; `false` when it is no longer in the state the step starts from.
pub async fn step_plate(tx: &mut Tx, step: &PlateStep) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE plates SET state = $3, cover_id = $4, manhole_id = $5, successor = $6, state_at = $7,
                 spot = $8, holder = $9
             WHERE token = $1 AND state = $2",
        )
        .bind(step.token.to_i64())
        .bind(step.from.as_str())
        .bind(step.to.as_str())
        .bind(step.cover.map(|cover| cover.0))
        .bind(step.manhole.map(|manhole| manhole.0))
        .bind(step.successor.map(Token::to_i64))
        .bind(step.at.0)
        .bind(step.spot.as_str())
        .bind(step.holder.map(|holder| holder.0))
        .execute(&mut *c)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO plate_events (token, step, at, actor, state, reason, holder, cover_id, lon, lat,
                 accuracy_m, distance_m)
             SELECT $1, COALESCE(MAX(step), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
             FROM plate_events WHERE token = $1",
        )
        .bind(step.token.to_i64())
        .bind(step.at.0)
        .bind(&step.actor)
        .bind(step.to.as_str())
        .bind(&step.reason)
        .bind(step.holder.map(|holder| holder.0))
        .bind(step.cover.map(|cover| cover.0))
        .bind(step.fix.map(|fix| fix.lon))
        .bind(step.fix.map(|fix| fix.lat))
        .bind(step.fix.and_then(|fix| fix.accuracy_m))
        .bind(step.fix.and_then(|fix| fix.distance_m))
        .execute(&mut *c)
        .await?;
        Ok(true)
    })
}

#[derive(FromRow)]
struct EventRow {
    step: i64,
    at: i64,
    actor: String,
    state: String,
    reason: Option<String>,
    holder: Option<Uuid>,
    cover_id: Option<Uuid>,
    lon: Option<f64>,
    lat: Option<f64>,
    accuracy_m: Option<f64>,
    distance_m: Option<f64>,
}

/// The life of a plate after it was made, oldest step first.
pub async fn list_plate_events(tx: &mut Tx, token: Token) -> Result<Vec<PlateEvent>, StoreError> {
    let rows: Vec<EventRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT step, at, actor, state, reason, holder, cover_id, lon, lat, accuracy_m, distance_m
             FROM plate_events WHERE token = $1 ORDER BY step",
        )
        .bind(token.to_i64())
        .fetch_all(&mut *c)
        .await?
    });
    // A token opens a file: it is not named.
    let broken = |step| StoreError::inconsistent("plate_events", "state", format!("step {step}"));
    rows.into_iter()
        .map(|row| {
            Ok(PlateEvent {
                step: row.step,
                at: Millis(row.at),
                actor: row.actor,
                state: row.state.parse().map_err(|_| broken(row.step))?,
                reason: row.reason,
                holder: row.holder.map(UserId),
                cover: row.cover_id.map(CoverId),
                fix: row.lon.zip(row.lat).map(|(lon, lat)| PlateFix {
                    lon,
                    lat,
                    accuracy_m: row.accuracy_m,
                    distance_m: row.distance_m,
                }),
            })
        })
        .collect()
}

/// How many plates stand in each state.
pub async fn count_plates(tx: &mut Tx) -> Result<Vec<(String, i64)>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as("SELECT state, COUNT(*) FROM plates GROUP BY state ORDER BY state")
        .fetch_all(&mut *c)
        .await?))
}
