//! Areas and the places of manholes, for finding out which area each lies in.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::history::{ChainHead, to_hash};
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::area::{Area, AreaKind, AreaShape};
use crate::domain::ids::{CoverId, ManholeId, Millis};

/// Adds an area or gives the one of that code another name and outline.
pub async fn put_area(tx: &mut Tx, area: &Area, at: Millis) -> Result<(), StoreError> {
    let shape = serde_json::to_string(&area.shape).expect("finite numbers are always JSON");
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO areas (kind, code, name_zh, name_en, shape, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (kind, code) DO UPDATE SET name_zh = excluded.name_zh, name_en = excluded.name_en,
             shape = excluded.shape, updated_at = excluded.updated_at",
        )
        .bind(area.kind.as_str())
        .bind(&area.code)
        .bind(&area.name_zh)
        .bind(&area.name_en)
        .bind(&shape)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Takes an area away; `false` when there was none of that code.
pub async fn remove_area(tx: &mut Tx, kind: AreaKind, code: &str) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let removed = sqlx::query("DELETE FROM areas WHERE kind = $1 AND code = $2")
            .bind(kind.as_str())
            .bind(code)
            .execute(&mut *c)
            .await?;
        Ok(removed.rows_affected() > 0)
    })
}

/// Takes every area of a kind away.
pub async fn remove_areas(tx: &mut Tx, kind: AreaKind) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM areas WHERE kind = $1").bind(kind.as_str()).execute(&mut *c).await?;
        Ok(())
    })
}

/// The areas of a kind in the order of their codes.
pub async fn list_areas(tx: &mut Tx, kind: AreaKind) -> Result<Vec<Area>, StoreError> {
    let rows: Vec<AreaRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT code, name_zh, name_en, shape FROM areas WHERE kind = $1 ORDER BY code"
    )
    .bind(kind.as_str())
    .fetch_all(&mut *c)
    .await?);
    rows.into_iter().map(|row| area_of(kind, row)).collect()
}

type AreaRow = (String, String, String, String);

fn area_of(kind: AreaKind, (code, name_zh, name_en, shape): AreaRow) -> Result<Area, StoreError> {
    let shape: AreaShape =
        serde_json::from_str(&shape).map_err(|_| StoreError::inconsistent("areas", "shape", &code))?;
    Ok(Area { kind, code, name_zh, name_en, shape })
}

/// A page of the areas of a kind, in the order of their codes.
pub async fn list_area_page(
    tx: &mut Tx,
    kind: AreaKind,
    after: &str,
    limit: i64,
) -> Result<Vec<Area>, StoreError> {
    let rows: Vec<AreaRow> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT code, name_zh, name_en, shape FROM areas WHERE kind = $1 AND code > $2 ORDER BY code LIMIT $3"
    )
    .bind(kind.as_str())
    .bind(after)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?
    });
    rows.into_iter().map(|row| area_of(kind, row)).collect()
}

pub async fn find_area(tx: &mut Tx, kind: AreaKind, code: &str) -> Result<Option<Area>, StoreError> {
    let row: Option<AreaRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT code, name_zh, name_en, shape FROM areas WHERE kind = $1 AND code = $2"
    )
    .bind(kind.as_str())
    .bind(code)
    .fetch_optional(&mut *c)
    .await?);
    row.map(|row| area_of(kind, row)).transpose()
}

/// Covers in use by the district of their file.
pub async fn count_by_district(tx: &mut Tx) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows: Vec<(String, i64)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT h.district, COUNT(*) FROM covers c JOIN manholes h ON h.id = c.manhole_id
         WHERE c.retired_at IS NULL GROUP BY h.district"
    )
    .fetch_all(&mut *c)
    .await?);
    Ok(rows.into_iter().collect())
}

/// Where a manhole lies and which district its file says.
#[derive(Debug, Clone, PartialEq)]
pub struct ManholePlace {
    pub manhole: ManholeId,
    pub lon: f64,
    pub lat: f64,
    pub district: String,
}

/// A page of places in the order of manholes.
pub async fn list_places(tx: &mut Tx, after: Uuid, limit: i64) -> Result<Vec<ManholePlace>, StoreError> {
    let rows: Vec<(Uuid, f64, f64, String)> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT id, lon, lat, district FROM manholes WHERE id > $1 AND merged_into IS NULL ORDER BY id LIMIT $2"
    )
    .bind(after)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?
    });
    let place = |(id, lon, lat, district)| ManholePlace { manhole: ManholeId(id), lon, lat, district };
    Ok(rows.into_iter().map(place).collect())
}

/// A manhole that came into another district.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    pub manhole: ManholeId,
    /// Where its file stands.
    pub head: ChainHead,
    /// Its covers with their new versions.
    pub versions: BTreeMap<CoverId, i64>,
}

/// Moves manholes to other districts, with their open cases, and counts up the versions of their covers;
/// takes their files until the commit. A manhole that is not in the district it was seen in is passed over.
/// A closed case stays where it was closed: what a district reported last year is not changed by a line that
/// is drawn this year.
pub async fn move_to_districts(
    tx: &mut Tx,
    moves: &[(ManholePlace, String)],
) -> Result<Vec<Moved>, StoreError> {
    let engine = tx.engine();
    let manholes = Sheet::changing(
        "UPDATE manholes SET district = given.goal FROM given
         WHERE manholes.id = given.id AND manholes.district = given.was
         RETURNING manholes.id, manholes.history_length, manholes.history_hash",
        ["id", "was", "goal"],
        moves.iter().map(|(place, to)| cells![place.manhole.0, place.district.as_str(), to.as_str()]),
    );
    let mut moved = BTreeMap::new();
    for statement in manholes.into_statements(engine) {
        let rows: Vec<(Uuid, i64, Vec<u8>)> = statement.fetch(tx).await?;
        for (id, length, hash) in rows {
            let head = ChainHead { length, hash: to_hash(hash, id, "manholes")? };
            moved.insert(id, Moved { manhole: ManholeId(id), head, versions: BTreeMap::new() });
        }
    }
    let goals = moves.iter().filter(|(place, _)| moved.contains_key(&place.manhole.0));
    let cases = Sheet::changing(
        "UPDATE cases SET district = given.goal FROM given
         WHERE cases.manhole_id = given.id AND cases.district <> given.goal
         AND cases.state NOT IN ('closed', 'rejected', 'joined')",
        ["id", "goal"],
        goals.map(|(place, to)| cells![place.manhole.0, to.as_str()]),
    );
    for statement in cases.into_statements(engine) {
        statement.execute(tx).await?;
    }
    let covers = Sheet::changing(
        "UPDATE covers SET version = version + 1 FROM given WHERE covers.manhole_id = given.id
         RETURNING covers.manhole_id, covers.id, covers.version",
        ["id"],
        moved.keys().map(|manhole| cells![*manhole]),
    );
    for statement in covers.into_statements(engine) {
        let rows: Vec<(Uuid, Uuid, i64)> = statement.fetch(tx).await?;
        for (manhole, cover, version) in rows {
            if let Some(moved) = moved.get_mut(&manhole) {
                moved.versions.insert(CoverId(cover), version);
            }
        }
    }
    Ok(moved.into_values().collect())
}
