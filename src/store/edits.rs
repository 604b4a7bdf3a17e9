//! Changes of covers and their places by hand or by a census: every statement takes a cover that the
//! registry has compared and whose file it has taken.

use uuid::Uuid;

use super::covers::{CoverRow, FILE, list_by_key};
use super::{StoreError, Tx, on_db};
use crate::domain::code::ComponentCode;
use crate::domain::cover::CoverFile;
use crate::domain::edit::RetireReason;
use crate::domain::ids::{CoverId, ManholeId, Millis};

/// Writes a cover anew, its code included, and moves its version on by one. `false` when it has
/// another version than `file`, or lies on another manhole: somebody was faster.
pub async fn update_cover(tx: &mut Tx, file: &CoverFile) -> Result<bool, StoreError> {
    let survey = &file.survey;
    let extra = serde_json::to_string(&survey.extra).expect("a map of strings is always JSON");
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE covers SET scheme = $4, code = $5, class = $6, state = $7, material = $8, shape = $9,
                load_class = $10, owner_id = $11, maintainer_id = $12, supervisor_id = $13, extra = $14,
                version = version + 1
             WHERE id = $1 AND version = $2 AND manhole_id = $3",
        )
        .bind(file.cover.0)
        .bind(file.version)
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
        .bind(&extra)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Writes the place of a cover's manhole anew; its cases are filed where it lies.
pub async fn update_place(tx: &mut Tx, file: &CoverFile) -> Result<(), StoreError> {
    let (survey, position) = (&file.survey, &file.survey.position);
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE manholes SET district = $2, road = $3, address = $4, placement = $5, lon = $6, lat = $7,
                quadkey = $8, raw_x = $9, raw_y = $10, raw_epsg = $11, position_method = $12, accuracy_m = $13,
                surveyed_at = $14, device = $15 WHERE id = $1",
        )
        .bind(file.manhole.0)
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
        .execute(&mut *c)
        .await?;
        sqlx::query("UPDATE cases SET district = $2 WHERE manhole_id = $1 AND district <> $2")
            .bind(file.manhole.0)
            .bind(&survey.district)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Moves on the versions of the other covers of a manhole, whose place has changed; answers them.
pub async fn bump_neighbors(
    tx: &mut Tx,
    manhole: ManholeId,
    but: CoverId,
) -> Result<Vec<(CoverId, i64)>, StoreError> {
    let rows: Vec<(Uuid, i64)> = on_db!(tx, |c| sqlx::query_as(
        "UPDATE covers SET version = version + 1 WHERE manhole_id = $1 AND id <> $2 RETURNING id, version"
    )
    .bind(manhole.0)
    .bind(but.0)
    .fetch_all(&mut *c)
    .await?);
    Ok(rows.into_iter().map(|(id, version)| (CoverId(id), version)).collect())
}

/// Every cover of a manhole, the oldest first.
pub async fn list_manhole_covers(tx: &mut Tx, manhole: ManholeId) -> Result<Vec<CoverFile>, StoreError> {
    let rows: Vec<CoverRow> = on_db!(tx, |c| {
        let sql = format!("{FILE} WHERE c.manhole_id = $1 ORDER BY c.id");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(manhole.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(CoverFile::try_from).collect()
}

/// On which manhole a cover lies.
pub async fn find_manhole_of(tx: &mut Tx, cover: CoverId) -> Result<Option<ManholeId>, StoreError> {
    let id: Option<Uuid> = on_db!(tx, |c| sqlx::query_scalar("SELECT manhole_id FROM covers WHERE id = $1")
        .bind(cover.0)
        .fetch_optional(&mut *c)
        .await?);
    Ok(id.map(ManholeId))
}

/// On which manholes covers lie, in no particular order; unknown ids are left out.
pub async fn list_manholes_of(
    tx: &mut Tx,
    covers: &[CoverId],
) -> Result<Vec<(CoverId, ManholeId)>, StoreError> {
    let ids: Vec<Uuid> = covers.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Uuid)> = list_by_key(tx, "SELECT id, manhole_id FROM covers", "id", &ids).await?;
    Ok(rows.into_iter().map(|(cover, manhole)| (CoverId(cover), ManholeId(manhole))).collect())
}

/// Retires a cover; `false` when it has another version or is retired already.
pub async fn retire(
    tx: &mut Tx,
    file: &CoverFile,
    reason: RetireReason,
    successor: Option<CoverId>,
    at: Millis,
) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE covers SET retired_at = $3, retired_reason = $4, successor_id = $5, version = version + 1
             WHERE id = $1 AND version = $2 AND retired_at IS NULL",
        )
        .bind(file.cover.0)
        .bind(file.version)
        .bind(at.0)
        .bind(reason.as_str())
        .bind(successor.map(|cover| cover.0))
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Takes a cover into use again; `false` when it has another version.
pub async fn reinstate(tx: &mut Tx, file: &CoverFile) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE covers SET retired_at = NULL, retired_reason = NULL, successor_id = NULL,
                version = version + 1 WHERE id = $1 AND version = $2",
        )
        .bind(file.cover.0)
        .bind(file.version)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Keeps a code that a cover had, so that it still finds it.
pub async fn add_alias(tx: &mut Tx, code: &ComponentCode, cover: CoverId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("INSERT INTO code_aliases (code, scheme, cover_id) VALUES ($1, $2, $3)")
            .bind(&code.digits)
            .bind(&code.scheme)
            .bind(cover.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Takes a former code out of the aliases, because its own cover has it again. `false` when it is
/// not among that cover's.
pub async fn take_alias(tx: &mut Tx, code: &ComponentCode, cover: CoverId) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query("DELETE FROM code_aliases WHERE code = $1 AND scheme = $2 AND cover_id = $3")
            .bind(&code.digits)
            .bind(&code.scheme)
            .bind(cover.0)
            .execute(&mut *c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// The codes that a cover had before.
pub async fn list_aliases(tx: &mut Tx, cover: CoverId) -> Result<Vec<ComponentCode>, StoreError> {
    let rows: Vec<(String, String)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT scheme, code FROM code_aliases WHERE cover_id = $1 ORDER BY scheme, code"
    )
    .bind(cover.0)
    .fetch_all(&mut *c)
    .await?);
    Ok(rows.into_iter().map(|(scheme, digits)| ComponentCode { scheme, digits }).collect())
}

/// Whose former code this is.
pub async fn find_alias_owner(tx: &mut Tx, code: &ComponentCode) -> Result<Option<CoverId>, StoreError> {
    let id: Option<Uuid> = on_db!(tx, |c| sqlx::query_scalar(
        "SELECT cover_id FROM code_aliases WHERE code = $1 AND scheme = $2"
    )
    .bind(&code.digits)
    .bind(&code.scheme)
    .fetch_optional(&mut *c)
    .await?);
    Ok(id.map(CoverId))
}
