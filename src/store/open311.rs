//! Service requests as Open311 shows them, and what came over Open311. A request is a report; the case behind it is its
//! own, or the one that goes on where that was closed.

use sqlx::FromRow;
use uuid::Uuid;

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::case::CaseState;
use crate::domain::citizen::BlurBox;
use crate::domain::code::ComponentCode;
use crate::domain::cover::CoverClass;
use crate::domain::hazard::Hazard;
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::{CaseId, ManholeId, Millis, ReportId, UserId};
use crate::domain::open311::Open311Kind;

/// Which requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RequestFilter {
    /// Tracking numbers; `None` = any.
    pub ids: Option<Vec<String>>,
    /// `None` = any.
    pub hazards: Option<Vec<Hazard>>,
    /// Open ones or those that are over; `None` = both.
    pub open: Option<bool>,
    /// Reported from this moment on, until that one.
    pub from: Option<Millis>,
    pub until: Option<Millis>,
    /// Its case was touched from this moment on, until that one.
    pub updated_from: Option<Millis>,
    pub updated_until: Option<Millis>,
    pub skip: i64,
    pub limit: i64,
}

/// A report with what the public may know of its case and place.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceRequest {
    /// `R2026-000123`
    pub tracking: String,
    pub case: CaseId,
    pub hazard: Hazard,
    pub state: CaseState,
    pub emergency: bool,
    pub report_count: i64,
    pub created_at: Millis,
    pub updated_at: Millis,
    pub closed_at: Option<Millis>,
    pub due_at: Option<Millis>,
    /// Tracking number of the request that goes on where this one was joined to its case.
    pub joined_to: Option<String>,
    pub code: Option<ComponentCode>,
    pub class: Option<CoverClass>,
    pub owner: Option<String>,
    pub party: Option<String>,
    pub district_zh: String,
    pub district_en: String,
    pub road: Option<String>,
    /// As surveyed; where there is no cover, as the sender of the request said.
    pub place: Option<(f64, f64)>,
    /// The photo that came with the closing and was released, with what is covered up in it.
    pub photo: Option<([u8; 32], Vec<BlurBox>)>,
}

#[derive(FromRow)]
struct RequestRow {
    tracking: String,
    case_id: Uuid,
    hazard: String,
    state: String,
    emergency: bool,
    report_count: i64,
    created_at: i64,
    updated_at: i64,
    closed_at: Option<i64>,
    due_at: Option<i64>,
    joined_tracking: Option<String>,
    scheme: Option<String>,
    code: Option<String>,
    class: Option<String>,
    owner: Option<String>,
    party: Option<String>,
    district_zh: String,
    district_en: String,
    road: Option<String>,
    lon: f64,
    lat: f64,
    kind: Option<String>,
    photo_digest: Option<Vec<u8>>,
    photo_boxes: Option<String>,
}

impl TryFrom<RequestRow> for ServiceRequest {
    type Error = StoreError;
    fn try_from(row: RequestRow) -> Result<Self, StoreError> {
        let broken = |table, column| StoreError::inconsistent(table, column, &row.tracking);
        let by_this_door = row.kind.as_deref() == Some(Open311Kind::Request.as_str());
        let digest = |bytes: Vec<u8>| bytes.try_into().map_err(|_| broken("photos", "digest"));
        Ok(Self {
            hazard: row.hazard.parse().map_err(|_| broken("cases", "hazard"))?,
            state: row.state.parse().map_err(|_| broken("cases", "state"))?,
            class: row.class.as_deref().map(str::parse).transpose().map_err(|_| broken("covers", "class"))?,
            // As on the scan page: of covers, not of places.
            photo: match (row.photo_digest, row.photo_boxes, &row.code) {
                (Some(bytes), Some(boxes), Some(_)) => {
                    let boxes =
                        serde_json::from_str(&boxes).map_err(|_| broken("released_photos", "boxes"))?;
                    Some((digest(bytes)?, boxes))
                }
                _ => None,
            },
            place: (row.code.is_some() || by_this_door).then_some((row.lon, row.lat)),
            code: row.scheme.zip(row.code).map(|(scheme, digits)| ComponentCode { scheme, digits }),
            case: CaseId(row.case_id),
            emergency: row.emergency,
            report_count: row.report_count,
            created_at: Millis(row.created_at),
            updated_at: Millis(row.updated_at),
            closed_at: row.closed_at.map(Millis),
            due_at: row.due_at.map(Millis),
            joined_to: row.joined_tracking,
            owner: row.owner,
            party: row.party,
            district_zh: row.district_zh,
            district_en: row.district_en,
            road: row.road,
            tracking: row.tracking,
        })
    }
}

/// The requests from which a page is chosen; `n` is the case that goes on, where there is one. Joins that no condition needs
/// are left out by both engines, because they are outer joins on keys: what is skipped costs its index entry alone.
const CHOSEN: &str = "SELECT r.id FROM reports r LEFT JOIN open311_requests o ON o.report_id = r.id
    LEFT JOIN cases k ON k.id = r.case_id LEFT JOIN cases n ON n.id = o.case_id
    WHERE (o.kind IS NULL OR o.kind <> 'word')
    AND NOT EXISTS (SELECT 1 FROM case_holds q WHERE q.case_id = r.case_id AND q.ended_at IS NULL)";
/// The newest first.
const IN_ORDER: &str = " ORDER BY r.created_at DESC, r.tracking DESC";

/// What is told of those that are chosen; their query stands between this and `DETAILS`.
const COLUMNS: &str = "SELECT r.tracking, COALESCE(n.id, k.id) AS case_id, k.hazard,
    COALESCE(n.state, k.state) AS state, k.emergency, COALESCE(n.report_count, k.report_count) AS report_count,
    r.created_at, COALESCE(n.updated_at, k.updated_at) AS updated_at,
    CASE WHEN n.id IS NULL THEN k.closed_at ELSE n.closed_at END AS closed_at,
    CASE WHEN n.id IS NULL THEN k.due_at ELSE n.due_at END AS due_at,
    CASE WHEN n.id IS NULL AND k.joined_to IS NOT NULL
        THEN (SELECT MIN(j.tracking) FROM reports j WHERE j.case_id = k.joined_to) END AS joined_tracking,
    c.scheme, c.code, c.class, w.name AS owner, p.name AS party, d.name_zh AS district_zh,
    d.name_en AS district_en, h.road, h.lon, h.lat, o.kind, f.digest AS photo_digest,
    (SELECT q.boxes FROM released_photos q WHERE q.photo_id = f.id) AS photo_boxes
    FROM (";
const DETAILS: &str = ") AS page JOIN reports r ON r.id = page.id JOIN cases k ON k.id = r.case_id
    LEFT JOIN open311_requests o ON o.report_id = r.id LEFT JOIN cases n ON n.id = o.case_id JOIN manholes h ON h.id = k.manhole_id
    JOIN districts d ON d.code = h.district LEFT JOIN covers c ON c.id = k.cover_id
    LEFT JOIN parties w ON w.id = c.owner_id LEFT JOIN parties p ON p.id = COALESCE(n.party_id, k.party_id)
    LEFT JOIN photos f ON f.id = (SELECT s.id FROM photos s JOIN released_photos e ON e.photo_id = s.id
        WHERE s.case_id = COALESCE(n.id, k.id) AND s.role = 'close' AND s.report_id IS NULL AND COALESCE(n.state, k.state) = 'closed'
        ORDER BY s.created_at, s.id LIMIT 1)";

/// A page of requests, the newest first.
pub async fn list_requests(tx: &mut Tx, filter: &RequestFilter) -> Result<Vec<ServiceRequest>, StoreError> {
    let rows: Vec<RequestRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(COLUMNS);
        query.push(CHOSEN);
        if let Some(ids) = &filter.ids {
            query.push(" AND r.tracking IN (");
            let mut list = query.separated(", ");
            ids.iter().for_each(|id| {
                list.push_bind(id.clone());
            });
            query.push(")");
        }
        if let Some(hazards) = &filter.hazards {
            query.push(" AND k.hazard IN (");
            let mut list = query.separated(", ");
            hazards.iter().for_each(|hazard| {
                list.push_bind(hazard.as_str());
            });
            query.push(")");
        }
        if let Some(open) = filter.open {
            query.push(" AND COALESCE(n.state, k.state)").push(if open { " NOT" } else { "" });
            query.push(" IN ('closed', 'rejected', 'joined')");
        }
        if let Some(from) = filter.from {
            query.push(" AND r.created_at >= ").push_bind(from.0);
        }
        if let Some(until) = filter.until {
            query.push(" AND r.created_at <= ").push_bind(until.0);
        }
        if filter.updated_from.is_some() || filter.updated_until.is_some() {
            let from = filter.updated_from.map_or(0, |at| at.0);
            let until = filter.updated_until.map_or(i64::MAX, |at| at.0);
            query.push(
                " AND r.id IN (SELECT b.id FROM cases a JOIN reports b ON b.case_id = a.id WHERE a.updated_at BETWEEN ",
            );
            query.push_bind(from).push(" AND ").push_bind(until);
            query.push(
                " UNION SELECT q.report_id FROM open311_requests q JOIN cases e ON e.id = q.case_id
                 WHERE e.updated_at BETWEEN ",
            );
            query.push_bind(from).push(" AND ").push_bind(until).push(")");
        }
        query.push(IN_ORDER).push(" LIMIT ").push_bind(filter.limit);
        query.push(" OFFSET ").push_bind(filter.skip);
        query.push(DETAILS).push(IN_ORDER);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(ServiceRequest::try_from).collect()
}

/// A step of the case behind a request.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestStep {
    pub tracking: String,
    pub entry: HistoryEntry,
    /// Whether the request's case is closed now, with a photo that was released: only then it is public.
    pub shows_work: bool,
}

#[derive(FromRow)]
struct StepRow {
    tracking: String,
    state: String,
    manhole_id: Uuid,
    sequence: i64,
    at: i64,
    actor: String,
    body: String,
    hash: Vec<u8>,
    case_id: Option<Uuid>,
    released: i64,
}

impl TryFrom<StepRow> for RequestStep {
    type Error = StoreError;
    fn try_from(row: StepRow) -> Result<Self, StoreError> {
        let hash = super::history::to_hash(row.hash, row.manhole_id, "history")?;
        Ok(Self {
            shows_work: row.state == CaseState::Closed.as_str() && row.released > 0,
            tracking: row.tracking,
            entry: HistoryEntry {
                manhole: ManholeId(row.manhole_id),
                sequence: row.sequence,
                at: Millis(row.at),
                actor: row.actor,
                kind: HistoryKind::CaseMoved,
                case: row.case_id.map(CaseId),
                body: row.body,
                hash,
            },
        })
    }
}

/// The moves of cases behind requests within a stretch of time, the oldest first.
pub async fn list_steps(
    tx: &mut Tx,
    (from, until): (Millis, Millis),
    (skip, limit): (i64, i64),
) -> Result<Vec<RequestStep>, StoreError> {
    let rows: Vec<StepRow> = on_db!(tx, |c| {
        // Whoever moves a case touches it: a case that was left alone since has no step since.
        sqlx::query_as(
            "SELECT steps.*, (SELECT COUNT(*) FROM photos s JOIN released_photos q ON q.photo_id = s.id
                WHERE s.case_id = steps.case_id AND s.role = 'close') AS released FROM (
                SELECT r.tracking, k.state, e.manhole_id, e.sequence, e.at, e.actor, e.body, e.hash, e.case_id
                FROM cases k JOIN reports r ON r.case_id = k.id JOIN history e ON e.case_id = k.id
                LEFT JOIN open311_requests o ON o.report_id = r.id
                WHERE k.updated_at >= $1 AND e.at >= $1 AND e.at <= $2 AND e.kind = 'case_moved'
                AND (o.kind IS NULL OR o.kind <> 'word')
                UNION ALL
                SELECT r.tracking, k.state, e.manhole_id, e.sequence, e.at, e.actor, e.body, e.hash, e.case_id
                FROM open311_requests o JOIN reports r ON r.id = o.report_id JOIN cases k ON k.id = o.case_id
                JOIN history e ON e.case_id = k.id
                WHERE k.updated_at >= $1 AND e.at >= $1 AND e.at <= $2 AND e.kind = 'case_moved'
             ) AS steps ORDER BY at, tracking, manhole_id, sequence LIMIT $3 OFFSET $4",
        )
        .bind(from.0)
        .bind(until.0)
        .bind(limit)
        .bind(skip)
        .fetch_all(&mut *c)
        .await?
    });
    rows.into_iter().map(RequestStep::try_from).collect()
}

/// A report that came over Open311, or whose request goes on elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Open311Record {
    pub report: ReportId,
    pub kind: Open311Kind,
    pub sender: UserId,
    /// What the sender calls it.
    pub external_id: Option<String>,
    /// SHA-256 of all that was sent.
    pub digest: [u8; 32],
    pub account_id: Option<String>,
    pub device_id: Option<String>,
    pub media_url: Option<String>,
    /// Of a word: the request about which it is.
    pub follows: Option<ReportId>,
    /// The case that goes on.
    pub case: Option<CaseId>,
    pub created_at: Millis,
}

/// Keeps what came; call it behind the report.
pub async fn add_record(tx: &mut Tx, record: &Open311Record) -> Result<(), StoreError> {
    let columns = [
        "report_id",
        "kind",
        "sender_id",
        "external_id",
        "digest",
        "account_id",
        "device_id",
        "media_url",
        "follows",
        "case_id",
        "created_at",
    ];
    let row = cells![
        record.report.0,
        record.kind.as_str(),
        record.sender.0,
        record.external_id.as_deref(),
        record.digest.as_slice(),
        record.account_id.as_deref(),
        record.device_id.as_deref(),
        record.media_url.as_deref(),
        record.follows.map(|report| report.0),
        record.case.map(|case| case.0),
        record.created_at.0,
    ];
    let mut script = Script::new(tx.engine());
    script.add(Sheet::new("open311_requests", columns, std::iter::once(row)));
    script.execute(tx).await.map(drop)
}

/// From now on another case stands for a request. `false` when the request came another way and has no row yet.
pub async fn follow(tx: &mut Tx, report: ReportId, case: CaseId) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query("UPDATE open311_requests SET case_id = $2 WHERE report_id = $1")
            .bind(report.0)
            .bind(case.0)
            .execute(&mut *c)
            .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// The case that goes on for a request, where it is another one than its own.
pub async fn find_followed(tx: &mut Tx, report: ReportId) -> Result<Option<CaseId>, StoreError> {
    let case: Option<Option<Uuid>> = on_db!(tx, |c| {
        sqlx::query_scalar("SELECT case_id FROM open311_requests WHERE report_id = $1")
            .bind(report.0)
            .fetch_optional(&mut *c)
            .await?
    });
    Ok(case.flatten().map(CaseId))
}

/// What tells a repeated call.
#[derive(Debug, Clone, Copy)]
pub struct Repeat<'r> {
    pub kind: Open311Kind,
    pub sender: UserId,
    pub external_id: Option<&'r str>,
    pub digest: &'r [u8; 32],
    /// Without a number of the sender's, the same bytes are the same call from this moment on.
    pub since: Millis,
}

/// Tracking number of what the same sender sent before: under the same number, or word for word since a moment.
pub async fn find_repeated(tx: &mut Tx, repeat: Repeat<'_>) -> Result<Option<String>, StoreError> {
    on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT r.tracking FROM open311_requests o JOIN reports r ON r.id = o.report_id WHERE o.sender_id = ",
        );
        query.push_bind(repeat.sender.0).push(" AND o.kind = ").push_bind(repeat.kind.as_str());
        match repeat.external_id {
            Some(external) => {
                query.push(" AND o.external_id = ").push_bind(external.to_owned());
            }
            None => {
                query.push(" AND o.external_id IS NULL AND o.digest = ").push_bind(repeat.digest.to_vec());
                query.push(" AND o.created_at >= ").push_bind(repeat.since.0);
            }
        }
        query.push(" ORDER BY o.created_at LIMIT 1");
        Ok(query.build_query_scalar().fetch_optional(&mut *c).await?)
    })
}
