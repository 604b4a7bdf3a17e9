//! How far the fitting has come: by street, by crew and day, and as points on the map.

use sqlx::FromRow;
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::ids::Millis;

/// How the plates of a cover stand, from the worst: something is wrong there; a look found the plate in
/// order; it hangs; it is made.
const STAND: &str = "CASE
    WHEN EXISTS (SELECT 1 FROM plates p WHERE p.cover_id = c.id AND p.state IN ('damaged', 'lost'))
      OR COALESCE((SELECT a.result FROM crew_actions a WHERE a.cover_id = c.id AND a.kind = 'check'
         ORDER BY a.at DESC, a.id DESC LIMIT 1), 'ok') <> 'ok' THEN 4
    WHEN NOT EXISTS (SELECT 1 FROM plates p WHERE p.cover_id = c.id AND p.state = 'installed') THEN
      CASE WHEN EXISTS (SELECT 1 FROM plates p WHERE p.cover_id = c.id AND p.state IN ('made', 'printed', 'issued'))
      THEN 1 ELSE 0 END
    WHEN EXISTS (SELECT 1 FROM crew_actions a WHERE a.cover_id = c.id AND a.kind = 'check') THEN 3
    ELSE 2 END";

/// A street's covers by how their plates stand.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct StreetProgress {
    pub district: String,
    /// `None` = no road is known.
    pub road: Option<String>,
    pub covers: i64,
    /// Plates made for covers, hanging or not.
    pub planned: i64,
    pub fitted: i64,
    /// Fitted, and a look found them in order.
    pub verified: i64,
    pub problems: i64,
}

/// Streets of a district, those with most covers first.
pub async fn list_streets(
    tx: &mut Tx,
    district: &str,
    limit: i64,
) -> Result<Vec<StreetProgress>, StoreError> {
    Ok(on_db!(tx, |c| {
        let sql = format!(
            "SELECT district, road, COUNT(*) AS covers,
             SUM(CASE WHEN stand >= 1 THEN 1 ELSE 0 END) AS planned,
             SUM(CASE WHEN stand IN (2, 3) THEN 1 ELSE 0 END) AS fitted,
             SUM(CASE WHEN stand = 3 THEN 1 ELSE 0 END) AS verified,
             SUM(CASE WHEN stand = 4 THEN 1 ELSE 0 END) AS problems
             FROM (SELECT h.district AS district, h.road AS road, {STAND} AS stand
             FROM covers c JOIN manholes h ON h.id = c.manhole_id
             WHERE c.retired_at IS NULL AND h.district = $1) AS stands
             GROUP BY district, road ORDER BY COUNT(*) DESC, road LIMIT $2"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(district).bind(limit).fetch_all(&mut *c).await?
    }))
}

/// The district in which most plates were fitted in a period; `None` = none was.
pub async fn find_busiest_district(
    tx: &mut Tx,
    (from, until): (Millis, Millis),
) -> Result<Option<String>, StoreError> {
    Ok(on_db!(tx, |c| {
        sqlx::query_scalar(
            "SELECT h.district FROM plate_events e JOIN covers c ON c.id = e.cover_id JOIN manholes h ON h.id = c.manhole_id
             WHERE e.state = 'installed' AND e.at >= $1 AND e.at < $2
             GROUP BY h.district ORDER BY COUNT(*) DESC, h.district LIMIT 1",
        )
        .bind(from.0)
        .bind(until.0)
        .fetch_optional(&mut *c)
        .await?
    }))
}

/// A cover on the map of progress.
#[derive(Debug, Clone, Copy, PartialEq, FromRow)]
pub struct ProgressPoint {
    pub lon: f64,
    pub lat: f64,
    /// 0 = no plate, 1 = made, 2 = fitted, 3 = verified, 4 = something is wrong.
    pub stand: i64,
}

/// Covers of a district, at most so many.
pub async fn list_progress_points(
    tx: &mut Tx,
    district: &str,
    limit: i64,
) -> Result<Vec<ProgressPoint>, StoreError> {
    Ok(on_db!(tx, |c| {
        let sql = format!(
            "SELECT h.lon, h.lat, CAST({STAND} AS BIGINT) AS stand FROM covers c
             JOIN manholes h ON h.id = c.manhole_id
             WHERE c.retired_at IS NULL AND h.district = $1 LIMIT $2"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(district).bind(limit).fetch_all(&mut *c).await?
    }))
}

/// What somebody fitted on one day of the city's clock.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct FittingDay {
    /// As in the history of a file.
    pub actor: String,
    /// Days since 1970 on the city's clock.
    pub day: i64,
    pub fitted: i64,
    /// Farther from the surveyed place than crews are held to.
    pub far: i64,
    /// The first and the last of that day.
    pub first_at: i64,
    pub last_at: i64,
    /// Fitted that day and found wrong, damaged or gone since.
    pub rejected: i64,
}

/// Who fitted how many plates on each day of a period. `offset_ms` takes UTC to the city's clock.
pub async fn list_fitting_days(
    tx: &mut Tx,
    (from, until): (Millis, Millis),
    offset_ms: i64,
    far_m: f64,
) -> Result<Vec<FittingDay>, StoreError> {
    Ok(on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT actor, day, COUNT(*) AS fitted, SUM(far) AS far, MIN(at) AS first_at, MAX(at) AS last_at,
         SUM(rejected) AS rejected FROM (
         SELECT e.actor AS actor, (e.at + $3) / 86400000 AS day, e.at AS at,
         CASE WHEN e.distance_m > $4 THEN 1 ELSE 0 END AS far,
         CASE WHEN EXISTS (SELECT 1 FROM crew_actions a WHERE a.kind = 'check' AND a.cover_id = e.cover_id
         AND a.at >= e.at AND a.result <> 'ok') OR EXISTS (SELECT 1 FROM plate_events l WHERE l.token = e.token
         AND l.step > e.step AND l.state IN ('damaged', 'lost')) THEN 1 ELSE 0 END AS rejected
         FROM plate_events e WHERE e.state = 'installed' AND e.at >= $1 AND e.at < $2) AS fits
         GROUP BY actor, day ORDER BY day DESC, actor"
    )
    .bind(from.0)
    .bind(until.0)
    .bind(offset_ms)
    .bind(far_m)
    .fetch_all(&mut *c)
    .await?
    }))
}

/// What crews did beside fitting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeedCount {
    /// `user:<uuid>`
    pub actor: String,
    /// As in `crew_actions`: survey, plate, fix, report, check.
    pub kind: String,
    pub count: i64,
}

/// Deeds of a period by who did them.
pub async fn list_deeds(tx: &mut Tx, (from, until): (Millis, Millis)) -> Result<Vec<DeedCount>, StoreError> {
    let rows: Vec<(Uuid, String, i64)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT user_id, kind, COUNT(*) FROM crew_actions WHERE at >= $1 AND at < $2
         GROUP BY user_id, kind ORDER BY user_id, kind"
    )
    .bind(from.0)
    .bind(until.0)
    .fetch_all(&mut *c)
    .await?);
    let deed = |(user, kind, count)| DeedCount { actor: format!("user:{user}"), kind, count };
    Ok(rows.into_iter().map(deed).collect())
}
