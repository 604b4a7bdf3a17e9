//! Spot checks: plates drawn at random, and what was found at each.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::covers::list_by_key;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, bulk, on_db};
use crate::domain::ids::{CoverId, Millis, SpotCheckId, UserId};
use crate::domain::token::Token;

/// One draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotCheck {
    pub id: SpotCheckId,
    /// With it and the plates of the period anybody can draw the same ones again.
    pub seed: String,
    pub from: Millis,
    pub until: Millis,
    /// `user:<uuid>`; `None` = every crew.
    pub crew: Option<String>,
    pub district: Option<String>,
    /// Plates from which they were drawn.
    pub population: i64,
    pub plate_count: i64,
    /// How many of them somebody has looked at since.
    pub looked: i64,
    pub actor: String,
    pub created_at: Millis,
}

#[derive(FromRow)]
struct CheckRow {
    id: Uuid,
    seed: String,
    from_at: i64,
    until_at: i64,
    crew: Option<String>,
    district: Option<String>,
    population: i64,
    plate_count: i64,
    looked: i64,
    actor: String,
    created_at: i64,
}

const CHECK: &str =
    "SELECT id, seed, from_at, until_at, crew, district, population, plate_count, actor, created_at,
    (SELECT COUNT(*) FROM spot_check_plates s WHERE s.check_id = k.id AND EXISTS (SELECT 1 FROM crew_actions a
     WHERE a.cover_id = s.cover_id AND a.kind = 'check' AND a.at >= k.created_at)) AS looked
    FROM spot_checks k ";

impl From<CheckRow> for SpotCheck {
    fn from(row: CheckRow) -> Self {
        Self {
            id: SpotCheckId(row.id),
            seed: row.seed,
            from: Millis(row.from_at),
            until: Millis(row.until_at),
            crew: row.crew,
            district: row.district,
            population: row.population,
            plate_count: row.plate_count,
            looked: row.looked,
            actor: row.actor,
            created_at: Millis(row.created_at),
        }
    }
}

/// A plate that may be drawn, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FittedPlate {
    pub token: Token,
    pub cover: CoverId,
    /// `user:<uuid>`
    pub fitted_by: String,
    pub fitted_at: Millis,
}

#[derive(FromRow)]
struct FittedRow {
    token: i64,
    cover_id: Uuid,
    fitted_by: String,
    fitted_at: i64,
}

fn fitted(row: FittedRow) -> Result<FittedPlate, StoreError> {
    let broken = || StoreError::inconsistent("plates", "token", CoverId(row.cover_id));
    Ok(FittedPlate {
        token: Token::from_i64(row.token).ok_or_else(broken)?,
        cover: CoverId(row.cover_id),
        fitted_by: row.fitted_by,
        fitted_at: Millis(row.fitted_at),
    })
}

/// Plates that were fitted in a period and still hang there, in the order of their tokens.
pub async fn list_fitted(
    tx: &mut Tx,
    (from, until): (Millis, Millis),
    crew: Option<&str>,
    district: Option<&str>,
) -> Result<Vec<FittedPlate>, StoreError> {
    let rows: Vec<FittedRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT p.token, p.cover_id, e.actor AS fitted_by, e.at AS fitted_at FROM plate_events e
             JOIN plates p ON p.token = e.token JOIN manholes h ON h.id = p.manhole_id
             WHERE e.state = 'installed' AND p.state = 'installed' AND p.cover_id IS NOT NULL AND e.at >= ",
        );
        query.push_bind(from.0).push(" AND e.at < ").push_bind(until.0);
        if let Some(crew) = crew {
            query.push(" AND e.actor = ").push_bind(crew.to_owned());
        }
        if let Some(district) = district {
            query.push(" AND h.district = ").push_bind(district.to_owned());
        }
        query.push(" ORDER BY p.token, e.step");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    let mut plates = rows.into_iter().map(fitted).collect::<Result<Vec<_>, _>>()?;
    // One that was fitted twice counts for whoever fitted it last.
    plates.reverse();
    plates.dedup_by_key(|plate| plate.token);
    plates.reverse();
    Ok(plates)
}

pub async fn add_check(tx: &mut Tx, check: &SpotCheck, drawn: &[FittedPlate]) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO spot_checks (id, seed, from_at, until_at, crew, district, population, plate_count, actor,
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(check.id.0)
        .bind(&check.seed)
        .bind(check.from.0)
        .bind(check.until.0)
        .bind(&check.crew)
        .bind(&check.district)
        .bind(check.population)
        .bind(check.plate_count)
        .bind(&check.actor)
        .bind(check.created_at.0)
        .execute(&mut *c)
        .await?;
    });
    let columns = ["check_id", "ordinal", "token", "cover_id", "fitted_by", "fitted_at"];
    let row = |(plate, ordinal): (&FittedPlate, i64)| {
        let (token, by) = (plate.token.to_i64(), plate.fitted_by.clone());
        cells![check.id.0, ordinal, token, plate.cover.0, by, plate.fitted_at.0]
    };
    let engine = tx.engine();
    let sheet = Sheet::new("spot_check_plates", columns, drawn.iter().zip(1..).map(row));
    bulk::execute(tx, sheet.into_statements(engine)).await
}

/// A page of draws before this one, newest first.
pub async fn list_checks(
    tx: &mut Tx,
    before: Option<SpotCheckId>,
    limit: i64,
) -> Result<Vec<SpotCheck>, StoreError> {
    let rows: Vec<CheckRow> = on_db!(tx, |c| {
        let sql = format!("{CHECK} WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let before = before.map_or(Uuid::max(), |id| id.0);
        sqlx::query_as(AssertSqlSafe(sql)).bind(before).bind(limit).fetch_all(&mut *c).await?
    });
    Ok(rows.into_iter().map(SpotCheck::from).collect())
}

pub async fn find_check(tx: &mut Tx, id: SpotCheckId) -> Result<Option<SpotCheck>, StoreError> {
    let row: Option<CheckRow> = on_db!(tx, |c| {
        let sql = format!("{CHECK} WHERE id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    Ok(row.map(SpotCheck::from))
}

/// A drawn plate with what was found at its cover since the draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPlate {
    pub ordinal: i64,
    pub plate: FittedPlate,
    pub code: String,
    pub scheme: String,
    pub district: String,
    pub road: Option<String>,
    /// What the last look found, when, and who looked; `None` = nobody has looked yet.
    pub found: Option<(String, Millis, String)>,
    pub note: Option<String>,
}

#[derive(FromRow)]
struct CheckedRow {
    ordinal: i64,
    #[sqlx(flatten)]
    fitted: FittedRow,
    code: String,
    scheme: String,
    district: String,
    road: Option<String>,
    result: Option<String>,
    found_at: Option<i64>,
    found_by: Option<Uuid>,
    note: Option<String>,
}

/// Every plate of a draw in its order.
pub async fn list_checked(tx: &mut Tx, check: &SpotCheck) -> Result<Vec<CheckedPlate>, StoreError> {
    let rows: Vec<CheckedRow> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT s.ordinal, s.token, s.cover_id, s.fitted_by, s.fitted_at, c.code, c.scheme, h.district, h.road,
         a.result, a.at AS found_at, a.user_id AS found_by, a.note
         FROM spot_check_plates s JOIN covers c ON c.id = s.cover_id JOIN manholes h ON h.id = c.manhole_id
         LEFT JOIN crew_actions a ON a.id = (SELECT l.id FROM crew_actions l WHERE l.cover_id = s.cover_id
         AND l.kind = 'check' AND l.at >= $2 ORDER BY l.at DESC, l.id DESC LIMIT 1)
         WHERE s.check_id = $1 ORDER BY s.ordinal"
    )
    .bind(check.id.0)
    .bind(check.created_at.0)
    .fetch_all(&mut *c)
    .await?
    });
    rows.into_iter()
        .map(|row| {
            let found = row.result.zip(row.found_at).zip(row.found_by);
            Ok(CheckedPlate {
                ordinal: row.ordinal,
                plate: fitted(row.fitted)?,
                code: row.code,
                scheme: row.scheme,
                district: row.district,
                road: row.road,
                found: found.map(|((result, at), by)| (result, Millis(at), format!("user:{by}"))),
                note: row.note,
            })
        })
        .collect()
}

/// A draw that waits for somebody to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenDraw {
    pub check: SpotCheckId,
    pub token: Token,
    pub drawn_at: Millis,
}

#[derive(FromRow)]
struct OpenRow {
    cover_id: Uuid,
    check_id: Uuid,
    token: i64,
    created_at: i64,
}

/// For each of these covers the newest draw of it at which nobody has looked since; covers without one are left out.
pub async fn list_open_draws(
    tx: &mut Tx,
    covers: &[CoverId],
) -> Result<HashMap<CoverId, OpenDraw>, StoreError> {
    const OPEN: &str =
        "SELECT o.cover_id, o.check_id, o.token, o.created_at FROM (SELECT s.cover_id, s.check_id,
         s.token, k.created_at FROM spot_check_plates s JOIN spot_checks k ON k.id = s.check_id
         WHERE NOT EXISTS (SELECT 1 FROM crew_actions a WHERE a.cover_id = s.cover_id AND a.kind = 'check'
         AND a.at >= k.created_at)) o ";
    let ids: Vec<Uuid> = covers.iter().map(|cover| cover.0).collect();
    let mut rows: Vec<OpenRow> = list_by_key(tx, OPEN, "o.cover_id", &ids).await?;
    rows.sort_by_key(|row| (row.created_at, row.check_id));
    rows.into_iter()
        .map(|row| {
            let broken = || StoreError::inconsistent("spot_check_plates", "token", SpotCheckId(row.check_id));
            let draw = OpenDraw {
                check: SpotCheckId(row.check_id),
                token: Token::from_i64(row.token).ok_or_else(broken)?,
                drawn_at: Millis(row.created_at),
            };
            Ok((CoverId(row.cover_id), draw))
        })
        .collect()
}

/// When this cover was drawn by this draw; `None` = it was not.
pub async fn find_draw(
    tx: &mut Tx,
    check: SpotCheckId,
    cover: CoverId,
) -> Result<Option<Millis>, StoreError> {
    let at: Option<i64> = on_db!(tx, |c| {
        sqlx::query_scalar(
            "SELECT k.created_at FROM spot_check_plates s JOIN spot_checks k ON k.id = s.check_id
             WHERE s.check_id = $1 AND s.cover_id = $2 LIMIT 1",
        )
        .bind(check.0)
        .bind(cover.0)
        .fetch_optional(&mut *c)
        .await?
    });
    Ok(at.map(Millis))
}

/// What somebody found when they looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub user: UserId,
    pub at: Millis,
    /// As in `check_result`.
    pub result: String,
}

/// The last look at a cover since then.
pub async fn find_last_look(tx: &mut Tx, cover: CoverId, since: Millis) -> Result<Option<Look>, StoreError> {
    let row: Option<(Uuid, i64, String)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT user_id, at, result FROM crew_actions WHERE cover_id = $1 AND kind = 'check' AND at >= $2
             AND result IS NOT NULL ORDER BY at DESC, id DESC LIMIT 1",
        )
        .bind(cover.0)
        .bind(since.0)
        .fetch_optional(&mut *c)
        .await?
    });
    Ok(row.map(|(user, at, result)| Look { user: UserId(user), at: Millis(at), result }))
}
