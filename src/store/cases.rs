//! Cases, reports and the photos that belong to them.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::piece::Piece::{self, Bool, Id, Sql, Text};
use super::piece::push_pieces;
use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{EngineKind, StoreError, Tx, on_db, search};
use crate::domain::case::{Case, CaseState, PhonePosition, Report};
use crate::domain::code::ComponentCode;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis, PartyId, PhotoId, ReportId, UserId};

#[derive(FromRow)]
struct CaseRowSql {
    id: Uuid,
    number: String,
    manhole_id: Uuid,
    cover_id: Option<Uuid>,
    hazard: String,
    state: String,
    emergency: bool,
    report_count: i64,
    party_id: Option<Uuid>,
    handed_in_by: Option<Uuid>,
    joined_to: Option<Uuid>,
    until: Option<i64>,
    created_at: i64,
    updated_at: i64,
    closed_at: Option<i64>,
    version: i64,
}

const CASE: &str = "SELECT k.id, k.number, k.manhole_id, k.cover_id, k.hazard, k.state, k.emergency, k.report_count,
    k.party_id, k.handed_in_by, k.joined_to, k.until, k.created_at, k.updated_at, k.closed_at, k.version FROM cases k ";

impl TryFrom<CaseRowSql> for Case {
    type Error = StoreError;
    fn try_from(row: CaseRowSql) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("cases", column, row.id);
        Ok(Self {
            hazard: row.hazard.parse().map_err(|_| broken("hazard"))?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            id: CaseId(row.id),
            number: row.number,
            manhole: ManholeId(row.manhole_id),
            cover: row.cover_id.map(CoverId),
            emergency: row.emergency,
            report_count: row.report_count,
            party: row.party_id.map(PartyId),
            handed_in_by: row.handed_in_by.map(UserId),
            joined_to: row.joined_to.map(CaseId),
            until: row.until.map(Millis),
            created_at: Millis(row.created_at),
            updated_at: Millis(row.updated_at),
            closed_at: row.closed_at.map(Millis),
            version: row.version,
        })
    }
}

/// New cases, each with the district in which its manhole lies, kept for filtering.
pub(super) fn case_sheet<'r>(cases: &'r [(Case, String)]) -> Sheet<'r, 13> {
    let columns = [
        "id",
        "number",
        "manhole_id",
        "cover_id",
        "district",
        "hazard",
        "state",
        "emergency",
        "report_count",
        "party_id",
        "created_at",
        "updated_at",
        "version",
    ];
    let row = |(case, district): &'r (Case, String)| {
        cells![
            case.id.0,
            case.number.as_str(),
            case.manhole.0,
            case.cover.map(|cover| cover.0),
            district.as_str(),
            case.hazard.as_str(),
            case.state.as_str(),
            case.emergency,
            case.report_count,
            case.party.map(|party| party.0),
            case.created_at.0,
            case.updated_at.0,
            case.version,
        ]
    };
    Sheet::new("cases", columns, cases.iter().map(row))
}

/// Writes a case after a move. `false` when somebody else moved it meanwhile.
pub async fn update_case(tx: &mut Tx, case: &Case, expected_version: i64) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE cases SET state = $3, report_count = $4, party_id = $5, handed_in_by = $6, joined_to = $7,
             until = $8, updated_at = $9, closed_at = $10, version = $11 WHERE id = $1 AND version = $2",
        )
        .bind(case.id.0)
        .bind(expected_version)
        .bind(case.state.as_str())
        .bind(case.report_count)
        .bind(case.party.map(|party| party.0))
        .bind(case.handed_in_by.map(|user| user.0))
        .bind(case.joined_to.map(|case| case.0))
        .bind(case.until.map(|at| at.0))
        .bind(case.updated_at.0)
        .bind(case.closed_at.map(|at| at.0))
        .bind(case.version)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Files a case in the district in which its manhole lies today.
pub async fn follow_manhole(tx: &mut Tx, id: CaseId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE cases SET district = (SELECT h.district FROM manholes h WHERE h.id = cases.manhole_id)
             WHERE id = $1",
        )
        .bind(id.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn find_case(tx: &mut Tx, id: CaseId) -> Result<Option<Case>, StoreError> {
    let row: Option<CaseRowSql> = on_db!(tx, |c| {
        let sql = format!("{CASE} WHERE k.id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(Case::try_from).transpose()
}

pub async fn find_case_by_number(tx: &mut Tx, number: &str) -> Result<Option<Case>, StoreError> {
    let row: Option<CaseRowSql> = on_db!(tx, |c| {
        let sql = format!("{CASE} WHERE k.number = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(number).fetch_optional(&mut *c).await?
    });
    row.map(Case::try_from).transpose()
}

/// The states that are not over, as `CaseState::is_open` has it; the index on open cases needs them
/// in these words.
pub(super) const OPEN: &str = "k.state NOT IN ('closed', 'rejected', 'joined')";

/// The open cases of a manhole, oldest first.
pub async fn list_open_cases(tx: &mut Tx, manhole: ManholeId) -> Result<Vec<Case>, StoreError> {
    let rows: Vec<CaseRowSql> = on_db!(tx, |c| {
        let sql = format!("{CASE} WHERE k.manhole_id = $1 AND {OPEN} ORDER BY k.number");
        sqlx::query_as(AssertSqlSafe(sql)).bind(manhole.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Case::try_from).collect()
}

/// Every case of a manhole, oldest first.
pub async fn list_manhole_cases(tx: &mut Tx, manhole: ManholeId) -> Result<Vec<Case>, StoreError> {
    let rows: Vec<CaseRowSql> = on_db!(tx, |c| {
        let sql = format!("{CASE} WHERE k.manhole_id = $1 ORDER BY k.number");
        sqlx::query_as(AssertSqlSafe(sql)).bind(manhole.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Case::try_from).collect()
}

/// Which cases to list. Every `Some` narrows; an empty list of states means all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaseFilter {
    pub states: Vec<CaseState>,
    pub hazard: Option<Hazard>,
    pub district: Option<String>,
    pub party: Option<PartyId>,
    pub emergency: Option<bool>,
    /// Part of the case number, of the cover's code with or without its groups, or of the road.
    pub text: Option<String>,
    /// The last number of the page before; newest come first.
    pub before: Option<String>,
    pub limit: i64,
}

/// One line of the case list.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseLine {
    pub case: Case,
    pub code: Option<ComponentCode>,
    pub road: Option<String>,
    pub district_zh: String,
    pub district_en: String,
    pub party_name: Option<String>,
}

#[derive(FromRow)]
struct CaseLineSql {
    #[sqlx(flatten)]
    case: CaseRowSql,
    scheme: Option<String>,
    code: Option<String>,
    road: Option<String>,
    district_zh: String,
    district_en: String,
    party_name: Option<String>,
}

/// What narrows the cases `k` on the manholes `h` with their covers `c`, each piece led by ` AND `; which page
/// of them is left to the caller.
pub(super) fn conditions(filter: &CaseFilter, engine: EngineKind) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (at, state) in filter.states.iter().enumerate() {
        pieces.extend([Sql(if at == 0 { " AND k.state IN (" } else { ", " }), Text(state.to_string())]);
    }
    if !filter.states.is_empty() {
        pieces.push(Sql(")"));
    }
    if let Some(hazard) = filter.hazard {
        pieces.extend([Sql(" AND k.hazard = "), Text(hazard.to_string())]);
    }
    if let Some(district) = &filter.district {
        pieces.extend([Sql(" AND k.district = "), Text(district.clone())]);
    }
    if let Some(party) = filter.party {
        pieces.extend([Sql(" AND k.party_id = "), Id(party.0)]);
    }
    if let Some(emergency) = filter.emergency {
        pieces.extend([Sql(" AND k.emergency = "), Bool(emergency)]);
    }
    if let Some(text) = &filter.text {
        let pattern = search::part_of(text);
        // Codes are read in groups and stored without.
        let digits = pattern.replace(' ', "");
        pieces.extend([Sql(" AND (k.number LIKE "), Text(pattern.clone())]);
        pieces.extend([Sql(" ESCAPE '\\' OR c.code LIKE "), Text(digits)]);
        pieces.extend([Sql(" ESCAPE '\\' OR h.road"), Sql(search::like(engine)), Text(pattern)]);
        pieces.push(Sql(" ESCAPE '\\')"));
    }
    pieces
}

/// One page of cases, newest number first.
pub async fn list_cases(tx: &mut Tx, filter: &CaseFilter) -> Result<Vec<CaseLine>, StoreError> {
    let engine = tx.engine();
    let rows: Vec<CaseLineSql> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT k.id, k.number, k.manhole_id, k.cover_id, k.hazard, k.state, k.emergency, k.report_count,
             k.party_id, k.handed_in_by, k.joined_to, k.until, k.created_at, k.updated_at, k.closed_at, k.version,
             c.scheme, c.code, h.road, d.name_zh AS district_zh, d.name_en AS district_en, p.name AS party_name
             FROM cases k JOIN manholes h ON h.id = k.manhole_id JOIN districts d ON d.code = k.district
             LEFT JOIN covers c ON c.id = k.cover_id LEFT JOIN parties p ON p.id = k.party_id WHERE 1 = 1",
        );
        push_pieces!(query, conditions(filter, engine));
        if let Some(before) = &filter.before {
            query.push(" AND k.number < ").push_bind(before.clone());
        }
        query.push(" ORDER BY k.number DESC LIMIT ").push_bind(filter.limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            Ok(CaseLine {
                case: row.case.try_into()?,
                code: row.scheme.zip(row.code).map(|(scheme, digits)| ComponentCode { scheme, digits }),
                road: row.road,
                district_zh: row.district_zh,
                district_en: row.district_en,
                party_name: row.party_name,
            })
        })
        .collect()
}

/// How many cases stand in each state.
pub async fn count_cases(tx: &mut Tx) -> Result<Vec<(String, i64)>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as("SELECT state, COUNT(*) FROM cases GROUP BY state ORDER BY state")
        .fetch_all(&mut *c)
        .await?))
}

#[derive(FromRow)]
struct ReportRow {
    id: Uuid,
    tracking: String,
    case_id: Uuid,
    hazard: String,
    description: String,
    contact: Option<String>,
    phone_lon: Option<f64>,
    phone_lat: Option<f64>,
    phone_accuracy_m: Option<f64>,
    created_at: i64,
}

const REPORT: &str = "SELECT id, tracking, case_id, hazard, description, contact, phone_lon, phone_lat,
    phone_accuracy_m, created_at FROM reports ";

impl TryFrom<ReportRow> for Report {
    type Error = StoreError;
    fn try_from(row: ReportRow) -> Result<Self, StoreError> {
        let phone_position = match (row.phone_lon, row.phone_lat) {
            (Some(lon), Some(lat)) => {
                Some(PhonePosition { lon, lat, accuracy_m: row.phone_accuracy_m.unwrap_or(f64::MAX) })
            }
            _ => None,
        };
        Ok(Self {
            hazard: row.hazard.parse().map_err(|_| StoreError::inconsistent("reports", "hazard", row.id))?,
            id: ReportId(row.id),
            tracking: row.tracking,
            case: CaseId(row.case_id),
            description: row.description,
            contact: row.contact,
            phone_position,
            created_at: Millis(row.created_at),
        })
    }
}

pub async fn find_report(tx: &mut Tx, tracking: &str) -> Result<Option<Report>, StoreError> {
    let row: Option<ReportRow> = on_db!(tx, |c| {
        let sql = format!("{REPORT} WHERE tracking = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(tracking).fetch_optional(&mut *c).await?
    });
    row.map(Report::try_from).transpose()
}

pub async fn list_case_reports(tx: &mut Tx, case: CaseId) -> Result<Vec<Report>, StoreError> {
    let rows: Vec<ReportRow> = on_db!(tx, |c| {
        let sql = format!("{REPORT} WHERE case_id = $1 ORDER BY created_at, tracking");
        sqlx::query_as(AssertSqlSafe(sql)).bind(case.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Report::try_from).collect()
}

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
