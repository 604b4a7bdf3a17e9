//! Photos as the files name them: of manholes, covers, cases and reports.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis, PhotoId, ReportId};

/// A photo as the file knows it; its bytes lie in the photo store under `digest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoRecord {
    pub id: PhotoId,
    /// SHA-256 of the original.
    pub digest: [u8; 32],
    pub manhole: ManholeId,
    /// The cover that it shows; `None` = the manhole.
    pub cover: Option<CoverId>,
    pub case: Option<CaseId>,
    pub report: Option<ReportId>,
    /// What it shows: `report`, or the move it came with.
    pub role: String,
    pub media_type: String,
    pub bytes: i64,
    pub width: i64,
    pub height: i64,
    pub created_at: Millis,
}

#[derive(FromRow)]
struct PhotoRow {
    id: Uuid,
    digest: Vec<u8>,
    manhole_id: Uuid,
    cover_id: Option<Uuid>,
    case_id: Option<Uuid>,
    report_id: Option<Uuid>,
    role: String,
    media_type: String,
    bytes: i64,
    width: i64,
    height: i64,
    created_at: i64,
}

const PHOTO: &str =
    "SELECT id, digest, manhole_id, cover_id, case_id, report_id, role, media_type, bytes, width, height,
    created_at FROM photos ";

impl TryFrom<PhotoRow> for PhotoRecord {
    type Error = StoreError;
    fn try_from(row: PhotoRow) -> Result<Self, StoreError> {
        Ok(Self {
            digest: row
                .digest
                .try_into()
                .map_err(|_| StoreError::inconsistent("photos", "digest", row.id))?,
            id: PhotoId(row.id),
            manhole: ManholeId(row.manhole_id),
            cover: row.cover_id.map(CoverId),
            case: row.case_id.map(CaseId),
            report: row.report_id.map(ReportId),
            role: row.role,
            media_type: row.media_type,
            bytes: row.bytes,
            width: row.width,
            height: row.height,
            created_at: Millis(row.created_at),
        })
    }
}

pub async fn add_photos(tx: &mut Tx, photos: &[PhotoRecord]) -> Result<(), StoreError> {
    let mut script = Script::new(tx.engine());
    script.add(photo_sheet(photos));
    script.execute(tx).await.map(drop)
}

pub(super) fn photo_sheet<'r>(photos: &'r [PhotoRecord]) -> Sheet<'r, 12> {
    let columns = [
        "id",
        "digest",
        "manhole_id",
        "cover_id",
        "case_id",
        "report_id",
        "role",
        "media_type",
        "bytes",
        "width",
        "height",
        "created_at",
    ];
    let row = |photo: &'r PhotoRecord| {
        cells![
            photo.id.0,
            photo.digest.as_slice(),
            photo.manhole.0,
            photo.cover.map(|cover| cover.0),
            photo.case.map(|case| case.0),
            photo.report.map(|report| report.0),
            photo.role.as_str(),
            photo.media_type.as_str(),
            photo.bytes,
            photo.width,
            photo.height,
            photo.created_at.0,
        ]
    };
    Sheet::new("photos", columns, photos.iter().map(row))
}

pub async fn list_manhole_photos(tx: &mut Tx, manhole: ManholeId) -> Result<Vec<PhotoRecord>, StoreError> {
    let rows: Vec<PhotoRow> = on_db!(tx, |c| {
        let sql = format!("{PHOTO} WHERE manhole_id = $1 ORDER BY created_at, id");
        sqlx::query_as(AssertSqlSafe(sql)).bind(manhole.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(PhotoRecord::try_from).collect()
}

pub async fn list_case_photos(tx: &mut Tx, case: CaseId) -> Result<Vec<PhotoRecord>, StoreError> {
    let rows: Vec<PhotoRow> = on_db!(tx, |c| {
        let sql = format!("{PHOTO} WHERE case_id = $1 ORDER BY created_at, id");
        sqlx::query_as(AssertSqlSafe(sql)).bind(case.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(PhotoRecord::try_from).collect()
}

/// Photos in the order of their ids after `after`, for a check of every digest.
pub async fn list_photos_after(tx: &mut Tx, after: Uuid, limit: i64) -> Result<Vec<PhotoRecord>, StoreError> {
    let rows: Vec<PhotoRow> = on_db!(tx, |c| {
        let sql = format!("{PHOTO} WHERE id > $1 ORDER BY id LIMIT $2");
        sqlx::query_as(AssertSqlSafe(sql)).bind(after).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(PhotoRecord::try_from).collect()
}

/// The cases that a photo with this digest belongs to, to decide who may see it.
pub async fn list_photo_uses(tx: &mut Tx, digest: &[u8]) -> Result<Vec<PhotoRecord>, StoreError> {
    let rows: Vec<PhotoRow> = on_db!(tx, |c| {
        let sql = format!("{PHOTO} WHERE digest = $1 ORDER BY created_at, id");
        sqlx::query_as(AssertSqlSafe(sql)).bind(digest).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(PhotoRecord::try_from).collect()
}
