//! The areas for which members of staff answer. A row is never taken away: it ends.

use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::area::AreaKind;
use crate::domain::ids::{Millis, UserId};

/// An area by which it is known, whether or not it has an outline.
pub type AreaKey = (AreaKind, String);

fn key_of(table_row: Uuid, kind: &str, code: String) -> Result<AreaKey, StoreError> {
    let kind = kind.parse().map_err(|_| StoreError::inconsistent("user_areas", "kind", table_row))?;
    Ok((kind, code))
}

/// The areas for which somebody answers, in the order of their codes.
pub async fn list_areas_of(tx: &mut Tx, user: UserId) -> Result<Vec<AreaKey>, StoreError> {
    let rows: Vec<(Uuid, String, String)> = on_db!(tx, |c| {
        sqlx::query_as(
        "SELECT id, kind, code FROM user_areas WHERE user_id = $1 AND ended_at IS NULL ORDER BY kind, code"
    )
    .bind(user.0)
    .fetch_all(&mut *c)
    .await?
    });
    rows.into_iter().map(|(id, kind, code)| key_of(id, &kind, code)).collect()
}

/// Everybody who answers for an area of a kind and can log in, by name.
pub async fn list_people(tx: &mut Tx, kind: AreaKind) -> Result<Vec<(String, String)>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT a.code, u.name FROM user_areas a JOIN users u ON u.id = a.user_id
         WHERE a.kind = $1 AND a.ended_at IS NULL AND u.disabled = $2 ORDER BY a.code, u.name"
    )
    .bind(kind.as_str())
    .bind(false)
    .fetch_all(&mut *c)
    .await?))
}

/// From now on somebody answers for an area.
pub async fn begin(
    tx: &mut Tx,
    (user, area): (UserId, &AreaKey),
    (actor, now): (&str, Millis),
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO user_areas (id, user_id, kind, code, set_at, set_by) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(Uuid::now_v7())
        .bind(user.0)
        .bind(area.0.as_str())
        .bind(&area.1)
        .bind(now.0)
        .bind(actor)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Somebody answers for an area no longer.
pub async fn end(
    tx: &mut Tx,
    (user, area): (UserId, &AreaKey),
    (actor, now): (&str, Millis),
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE user_areas SET ended_at = $4, ended_by = $5
             WHERE user_id = $1 AND kind = $2 AND code = $3 AND ended_at IS NULL",
        )
        .bind(user.0)
        .bind(area.0.as_str())
        .bind(&area.1)
        .bind(now.0)
        .bind(actor)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}
