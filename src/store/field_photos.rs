//! Photos on their way in from the field: whose, how long, and what they became.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::ids::{FieldPhotoId, Millis, UserId};

/// A photo from the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPhoto {
    pub id: FieldPhotoId,
    pub user: UserId,
    /// Bytes of the whole file.
    pub total: i64,
    /// `None` until all of it is in the photo store.
    pub kept: Option<KeptPhoto>,
    pub created_at: Millis,
}

/// A picture in the photo store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPhoto {
    pub digest: [u8; 32],
    pub media_type: String,
    pub width: u32,
    pub height: u32,
}

#[derive(FromRow)]
struct PhotoRow {
    id: Uuid,
    user_id: Uuid,
    total: i64,
    digest: Option<Vec<u8>>,
    media_type: Option<String>,
    width: Option<i64>,
    height: Option<i64>,
    created_at: i64,
}

impl TryFrom<PhotoRow> for FieldPhoto {
    type Error = StoreError;
    fn try_from(row: PhotoRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("field_photos", column, row.id);
        let kept = match (row.digest, row.media_type, row.width, row.height) {
            (Some(digest), Some(media_type), Some(width), Some(height)) => Some(KeptPhoto {
                digest: digest.try_into().map_err(|_| broken("digest"))?,
                media_type,
                width: u32::try_from(width).map_err(|_| broken("width"))?,
                height: u32::try_from(height).map_err(|_| broken("height"))?,
            }),
            _ => None,
        };
        Ok(Self {
            id: FieldPhotoId(row.id),
            user: UserId(row.user_id),
            total: row.total,
            kept,
            created_at: Millis(row.created_at),
        })
    }
}

const PHOTO: &str =
    "SELECT id, user_id, total, digest, media_type, width, height, created_at FROM field_photos ";

/// Announces a photo; one that is known already stays as it is.
pub async fn add(
    tx: &mut Tx,
    id: FieldPhotoId,
    user: UserId,
    total: i64,
    at: Millis,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO field_photos (id, user_id, total, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(id.0)
        .bind(user.0)
        .bind(total)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn find(tx: &mut Tx, id: FieldPhotoId) -> Result<Option<FieldPhoto>, StoreError> {
    let row: Option<PhotoRow> = on_db!(tx, |c| {
        let sql = format!("{PHOTO} WHERE id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(FieldPhoto::try_from).transpose()
}

/// Notes what a whole photo became. `false` when nobody announced it.
pub async fn keep(tx: &mut Tx, id: FieldPhotoId, kept: &KeptPhoto) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE field_photos SET digest = $2, media_type = $3, width = $4, height = $5 WHERE id = $1",
        )
        .bind(id.0)
        .bind(kept.digest.as_slice())
        .bind(&kept.media_type)
        .bind(i64::from(kept.width))
        .bind(i64::from(kept.height))
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Forgets a photo that was not kept.
pub async fn forget(tx: &mut Tx, id: FieldPhotoId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM field_photos WHERE id = $1 AND digest IS NULL")
            .bind(id.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Forgets photos that were announced before this moment; answers which of them. Pictures that an action
/// named stay in the photo store.
pub async fn forget_older(tx: &mut Tx, before: Millis) -> Result<Vec<FieldPhotoId>, StoreError> {
    let ids: Vec<Uuid> = on_db!(tx, |c| {
        sqlx::query_scalar("DELETE FROM field_photos WHERE created_at < $1 RETURNING id")
            .bind(before.0)
            .fetch_all(&mut *c)
            .await?
    });
    Ok(ids.into_iter().map(FieldPhotoId).collect())
}
