//! Which covers lie on which manhole: covers and manholes added by hand, covers that move with all that
//! belongs to them, and merges of manholes.

use std::collections::BTreeSet;

use sqlx::FromRow;
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::cover::CoverFile;
pub use crate::domain::edit::{Belongings, Moved};
use crate::domain::ids::{CaseId, CoverId, ManholeId, MergeId, Millis, PhotoId};
use crate::domain::position::Position;
use crate::domain::token::Token;

/// Adds a manhole that lies where `place` does, with an empty file.
pub async fn add_manhole(
    tx: &mut Tx,
    id: ManholeId,
    place: &CoverFile,
    split_from: ManholeId,
    at: Millis,
) -> Result<(), StoreError> {
    let (survey, position) = (&place.survey, &place.survey.position);
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO manholes (id, district, road, address, placement, lon, lat, quadkey, raw_x, raw_y, raw_epsg,
                position_method, accuracy_m, surveyed_at, device, history_length, history_hash, created_at, split_from)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, $16, $17, $18)",
        )
        .bind(id.0)
        .bind(&survey.district)
        .bind(&survey.road)
        .bind(&survey.address)
        .bind(survey.placement.map(|word| word.as_str()))
        .bind(position.lon)
        .bind(position.lat)
        .bind(position.quadkey())
        .bind(position.raw.x)
        .bind(position.raw.y)
        .bind(i64::from(position.raw.epsg))
        .bind(position.method.as_str())
        .bind(position.accuracy_m)
        .bind(position.surveyed_at.map(|at| at.0))
        .bind(&position.device)
        .bind([0u8; 32].as_slice())
        .bind(at.0)
        .bind(split_from.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Adds a manhole at a place of which nothing else is known, with an empty file.
pub async fn add_place(
    tx: &mut Tx,
    id: ManholeId,
    district: &str,
    position: &Position,
    at: Millis,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO manholes (id, district, lon, lat, quadkey, raw_x, raw_y, raw_epsg, position_method, accuracy_m,
                surveyed_at, history_length, history_hash, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13)",
        )
        .bind(id.0)
        .bind(district)
        .bind(position.lon)
        .bind(position.lat)
        .bind(position.quadkey())
        .bind(position.raw.x)
        .bind(position.raw.y)
        .bind(i64::from(position.raw.epsg))
        .bind(position.method.as_str())
        .bind(position.accuracy_m)
        .bind(position.surveyed_at.map(|at| at.0))
        .bind([0u8; 32].as_slice())
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Adds a cover as the file says, on a manhole that is there.
pub async fn add_cover(tx: &mut Tx, file: &CoverFile) -> Result<(), StoreError> {
    let survey = &file.survey;
    let extra = serde_json::to_string(&survey.extra).expect("a map of strings is always JSON");
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO covers (id, manhole_id, scheme, code, class, state, material, shape, load_class, owner_id,
                maintainer_id, supervisor_id, source, source_key, extra, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(file.cover.0)
        .bind(file.manhole.0)
        .bind(&file.code.scheme)
        .bind(&file.code.digits)
        .bind(survey.class.as_str())
        .bind(survey.state.as_str())
        .bind(survey.material.map(|word| word.as_str()))
        .bind(survey.shape.map(|word| word.as_str()))
        .bind(survey.load_class.map(|word| word.as_str()))
        .bind(file.owner.as_ref().map(|party| party.id.0))
        .bind(file.maintainer.as_ref().map(|party| party.id.0))
        .bind(file.supervisor.as_ref().map(|party| party.id.0))
        .bind(&file.source)
        .bind(&file.source_key)
        .bind(&extra)
        .bind(file.version)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Moves a cover to another manhole, with its plates, cases and photos; answers its new version.
pub async fn move_cover(
    tx: &mut Tx,
    cover: CoverId,
    to: ManholeId,
    district: &str,
) -> Result<i64, StoreError> {
    on_db!(tx, |c| {
        let version: i64 = sqlx::query_scalar(
            "UPDATE covers SET manhole_id = $2, version = version + 1 WHERE id = $1 RETURNING version",
        )
        .bind(cover.0)
        .bind(to.0)
        .fetch_one(&mut *c)
        .await?;
        for sql in [
            "UPDATE plates SET manhole_id = $2 WHERE cover_id = $1",
            "UPDATE photos SET manhole_id = $2 WHERE cover_id = $1",
        ] {
            sqlx::query(sql).bind(cover.0).bind(to.0).execute(&mut *c).await?;
        }
        sqlx::query("UPDATE cases SET manhole_id = $2, district = $3 WHERE cover_id = $1")
            .bind(cover.0)
            .bind(to.0)
            .bind(district)
            .execute(&mut *c)
            .await?;
        Ok(version)
    })
}

pub async fn list_belongings(tx: &mut Tx, cover: CoverId) -> Result<Belongings, StoreError> {
    on_db!(tx, |c| {
        let plates: Vec<i64> =
            sqlx::query_scalar("SELECT token FROM plates WHERE cover_id = $1 ORDER BY token")
                .bind(cover.0)
                .fetch_all(&mut *c)
                .await?;
        let cases: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM cases WHERE cover_id = $1 ORDER BY id")
            .bind(cover.0)
            .fetch_all(&mut *c)
            .await?;
        let photos: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM photos WHERE cover_id = $1 ORDER BY id")
            .bind(cover.0)
            .fetch_all(&mut *c)
            .await?;
        Ok(Belongings {
            plates,
            cases: cases.into_iter().map(CaseId).collect(),
            photos: photos.into_iter().map(PhotoId).collect(),
        })
    })
}

/// Gives what belongs to `from` to another cover of the same manhole; what is no longer `from`'s is
/// left alone.
pub async fn give_belongings(
    tx: &mut Tx,
    what: &Belongings,
    from: CoverId,
    to: CoverId,
) -> Result<(), StoreError> {
    let theirs = list_belongings(tx, from).await?;
    let plates: BTreeSet<i64> = theirs.plates.into_iter().collect();
    let ids: BTreeSet<Uuid> =
        theirs.cases.iter().map(|id| id.0).chain(theirs.photos.iter().map(|id| id.0)).collect();
    on_db!(tx, |c| {
        for token in what.plates.iter().filter(|token| plates.contains(token)) {
            sqlx::query("UPDATE plates SET cover_id = $2 WHERE token = $1")
                .bind(token)
                .bind(to.0)
                .execute(&mut *c)
                .await?;
        }
        let cases = what.cases.iter().map(|id| ("UPDATE cases SET cover_id = $2 WHERE id = $1", id.0));
        let photos = what.photos.iter().map(|id| ("UPDATE photos SET cover_id = $2 WHERE id = $1", id.0));
        for (sql, id) in cases.chain(photos).filter(|(_, id)| ids.contains(id)) {
            sqlx::query(sql).bind(id).bind(to.0).execute(&mut *c).await?;
        }
        Ok(())
    })
}

/// Where a manhole's file goes on and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ties {
    pub merged_into: Option<ManholeId>,
    pub split_from: Option<ManholeId>,
}

pub async fn find_ties(tx: &mut Tx, manhole: ManholeId) -> Result<Ties, StoreError> {
    let row: Option<(Option<Uuid>, Option<Uuid>)> =
        on_db!(tx, |c| sqlx::query_as("SELECT merged_into, split_from FROM manholes WHERE id = $1")
            .bind(manhole.0)
            .fetch_optional(&mut *c)
            .await?);
    let (merged_into, split_from) = row.unwrap_or_default();
    Ok(Ties { merged_into: merged_into.map(ManholeId), split_from: split_from.map(ManholeId) })
}

/// Says in which file a manhole's goes on; `None` = in its own again.
pub async fn set_merged_into(
    tx: &mut Tx,
    manhole: ManholeId,
    into: Option<ManholeId>,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE manholes SET merged_into = $2 WHERE id = $1")
            .bind(manhole.0)
            .bind(into.map(|into| into.0))
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// A merge of two manholes, with all that must be known to undo it.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    pub id: MergeId,
    pub survivor: ManholeId,
    pub absorbed: ManholeId,
    /// The absorbed cover that was the same as one of the survivor's, and that one.
    pub same: Option<(CoverId, CoverId)>,
    pub moved: Moved,
    pub reason: String,
    /// As in the history: `user:<uuid>`.
    pub actor: String,
    pub at: Millis,
    pub undone_at: Option<Millis>,
}

#[derive(FromRow)]
struct MergeRow {
    id: Uuid,
    survivor_id: Uuid,
    absorbed_id: Uuid,
    same_cover_id: Option<Uuid>,
    kept_cover_id: Option<Uuid>,
    moved: String,
    reason: String,
    actor: String,
    at: i64,
    undone_at: Option<i64>,
}

const MERGE: &str =
    "SELECT id, survivor_id, absorbed_id, same_cover_id, kept_cover_id, moved, reason, actor, at, undone_at
     FROM merges ";

impl TryFrom<MergeRow> for Merge {
    type Error = StoreError;
    fn try_from(row: MergeRow) -> Result<Self, StoreError> {
        Ok(Self {
            moved: serde_json::from_str(&row.moved)
                .map_err(|_| StoreError::inconsistent("merges", "moved", row.id))?,
            id: MergeId(row.id),
            survivor: ManholeId(row.survivor_id),
            absorbed: ManholeId(row.absorbed_id),
            same: row.same_cover_id.map(CoverId).zip(row.kept_cover_id.map(CoverId)),
            reason: row.reason,
            actor: row.actor,
            at: Millis(row.at),
            undone_at: row.undone_at.map(Millis),
        })
    }
}

pub async fn add_merge(tx: &mut Tx, merge: &Merge) -> Result<(), StoreError> {
    let moved = serde_json::to_string(&merge.moved).expect("ids are always JSON");
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO merges (id, survivor_id, absorbed_id, same_cover_id, kept_cover_id, moved, reason, actor, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(merge.id.0)
        .bind(merge.survivor.0)
        .bind(merge.absorbed.0)
        .bind(merge.same.map(|(same, _)| same.0))
        .bind(merge.same.map(|(_, kept)| kept.0))
        .bind(&moved)
        .bind(&merge.reason)
        .bind(&merge.actor)
        .bind(merge.at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn find_merge(tx: &mut Tx, id: MergeId) -> Result<Option<Merge>, StoreError> {
    let row: Option<MergeRow> = on_db!(tx, |c| {
        let sql = format!("{MERGE} WHERE id = $1");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(Merge::try_from).transpose()
}

/// The merges by which other files go on in this one, oldest first.
pub async fn list_merges_into(tx: &mut Tx, survivor: ManholeId) -> Result<Vec<Merge>, StoreError> {
    let rows: Vec<MergeRow> = on_db!(tx, |c| {
        let sql = format!("{MERGE} WHERE survivor_id = $1 AND undone_at IS NULL ORDER BY at, id");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(survivor.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Merge::try_from).collect()
}

/// Every merge of two covers that were one, undone or not, oldest first.
pub async fn list_same(tx: &mut Tx) -> Result<Vec<Merge>, StoreError> {
    let rows: Vec<MergeRow> = on_db!(tx, |c| {
        let sql = format!("{MERGE} WHERE same_cover_id IS NOT NULL ORDER BY at, id");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Merge::try_from).collect()
}

/// The latest merges of two covers that were one and are still taken for one.
pub async fn list_latest_same(tx: &mut Tx, limit: i64) -> Result<Vec<Merge>, StoreError> {
    let rows: Vec<MergeRow> = on_db!(tx, |c| {
        // Ids are in the order of time.
        let sql = format!(
            "{MERGE} WHERE undone_at IS NULL AND same_cover_id IS NOT NULL ORDER BY id DESC LIMIT $1"
        );
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Merge::try_from).collect()
}

/// Notes that a merge is undone; `false` when it was already.
pub async fn end_merge(tx: &mut Tx, id: MergeId, at: Millis) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query("UPDATE merges SET undone_at = $2 WHERE id = $1 AND undone_at IS NULL")
            .bind(id.0)
            .bind(at.0)
            .execute(&mut *c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// The tokens among stored ones that can be read, for the change feed.
pub fn tokens(stored: &[i64]) -> impl Iterator<Item = Token> + '_ {
    stored.iter().filter_map(|token| Token::from_i64(*token))
}
