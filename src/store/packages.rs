//! What crews take along into the field: streets to choose from, covers with their plates, plates in stock.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder};
use uuid::Uuid;

use super::cover_list::{CoverFilter, conditions};
use super::covers::{CoverRow, FILE, list_by_key};
use super::piece::push_pieces;
use super::plates::{PLATE, PlateRow};
use super::{StoreError, Tx, on_db};
use crate::domain::cover::CoverFile;
use crate::domain::ids::{CoverId, UserId};
use crate::domain::plate::{Plate, PlateState};
use crate::domain::token::Token;

/// The covers of one street in one district.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Street {
    pub district: String,
    pub district_zh: String,
    pub district_en: String,
    /// `None` = of covers of which nobody knows the road.
    pub road: Option<String>,
    pub covers: i64,
    /// Without an installed plate.
    pub without_plate: i64,
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

/// Every street that has a cover in use, by district and road.
pub async fn list_streets(tx: &mut Tx) -> Result<Vec<Street>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_as(
            "SELECT h.district, d.name_zh AS district_zh, d.name_en AS district_en, h.road,
                 COUNT(*) AS covers,
                 COUNT(*) - COUNT(w.cover_id) AS without_plate,
                 MIN(h.lon) AS west, MIN(h.lat) AS south, MAX(h.lon) AS east, MAX(h.lat) AS north
             FROM covers c JOIN manholes h ON h.id = c.manhole_id JOIN districts d ON d.code = h.district
             LEFT JOIN (SELECT DISTINCT cover_id FROM plates WHERE state = 'installed' AND cover_id IS NOT NULL) w
                 ON w.cover_id = c.id
             WHERE c.retired_at IS NULL
             GROUP BY h.district, d.name_zh, d.name_en, h.road ORDER BY h.district, h.road",
        )
        .fetch_all(&mut *c)
        .await?)
    })
}

/// One page of covers in the order of their ids; `no_road`: only those of which nobody knows the road.
pub async fn list_covers(
    tx: &mut Tx,
    filter: &CoverFilter,
    no_road: bool,
) -> Result<Vec<CoverFile>, StoreError> {
    let engine = tx.engine();
    let rows: Vec<CoverRow> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(FILE);
        query.push(" WHERE c.id > ").push_bind(filter.after.map_or(Uuid::nil(), |id| id.0));
        push_pieces!(query, conditions(filter, engine));
        if no_road {
            query.push(" AND h.road IS NULL");
        }
        query.push(" ORDER BY c.id LIMIT ").push_bind(filter.limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(CoverFile::try_from).collect()
}

/// The plates of these covers that are in use or on their way, oldest token first.
pub async fn list_live_plates(
    tx: &mut Tx,
    covers: &[CoverId],
) -> Result<HashMap<CoverId, Vec<Plate>>, StoreError> {
    let ids: Vec<Uuid> = covers.iter().map(|cover| cover.0).collect();
    let rows: Vec<PlateRow> = list_by_key(tx, PLATE, "p.cover_id", &ids).await?;
    let mut plates: HashMap<CoverId, Vec<Plate>> = HashMap::new();
    for row in rows {
        let plate = Plate::try_from(row)?;
        if let Some(cover) =
            plate.cover.filter(|_| plate.state.is_live() && plate.state != PlateState::Spoiled)
        {
            plates.entry(cover).or_default().push(plate);
        }
    }
    plates.values_mut().for_each(|plates| plates.sort_by_key(|plate| plate.token.to_i64()));
    Ok(plates)
}

#[derive(FromRow)]
struct OpenRow {
    cover_id: Uuid,
}

/// How many open cases these covers have; covers without one are left out.
pub async fn count_open_cases(tx: &mut Tx, covers: &[CoverId]) -> Result<HashMap<CoverId, i64>, StoreError> {
    // A box of keys is bound behind a condition, so the open ones are told by a join.
    const OPEN: &str = "SELECT k.cover_id FROM (SELECT cover_id FROM cases WHERE cover_id IS NOT NULL
         AND state NOT IN ('closed', 'rejected', 'joined')) k ";
    let ids: Vec<Uuid> = covers.iter().map(|cover| cover.0).collect();
    let rows: Vec<OpenRow> = list_by_key(tx, OPEN, "k.cover_id", &ids).await?;
    let mut counts = HashMap::new();
    for row in rows {
        *counts.entry(CoverId(row.cover_id)).or_insert(0) += 1;
    }
    Ok(counts)
}

/// One page of the plates that a crew has and has not fitted yet, in the order of their tokens.
pub async fn list_held_plates(
    tx: &mut Tx,
    holder: UserId,
    after: Option<Token>,
    limit: i64,
) -> Result<Vec<Plate>, StoreError> {
    let rows: Vec<PlateRow> = on_db!(tx, |c| {
        let sql = format!("{PLATE} WHERE p.holder = $1 AND p.token > $2 ORDER BY p.token LIMIT $3");
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(holder.0)
            .bind(after.map_or(-1, Token::to_i64))
            .bind(limit)
            .fetch_all(&mut *c)
            .await?
    });
    rows.into_iter().map(Plate::try_from).collect()
}
