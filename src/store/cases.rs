//! Cases and the reports that stand behind them.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::abuse::HELD;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::case::{Case, CaseCounts, PhonePosition, Report};
use crate::domain::code::ComponentCode;
use crate::domain::cover::{CoverClass, Placement};
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis, PartyId, ReportId, UserId};

#[derive(FromRow)]
pub(super) struct CaseRowSql {
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
    source: String,
    triage: i64,
    offered_to: String,
    clock: String,
    due_at: Option<i64>,
    remind_at: Option<i64>,
    dispatches: i64,
    refusals: i64,
    reworks: i64,
    reopenings: i64,
    late_ms: i64,
    exempt: bool,
    strike_number: Option<String>,
    recurs: Option<Uuid>,
    created_at: i64,
    updated_at: i64,
    filed_at: Option<i64>,
    dispatched_at: Option<i64>,
    handled_at: Option<i64>,
    closed_at: Option<i64>,
    version: i64,
}

/// The columns of a case `k`.
macro_rules! case_columns {
    () => {
        "k.id, k.number, k.manhole_id, k.cover_id, k.hazard, k.state, k.emergency, k.report_count, k.party_id,
         k.handed_in_by, k.joined_to, k.until, k.source, k.triage, k.offered_to, k.clock, k.due_at, k.remind_at,
         k.dispatches, k.refusals, k.reworks, k.reopenings, k.late_ms, k.exempt, k.strike_number, k.recurs,
         k.created_at, k.updated_at, k.filed_at, k.dispatched_at, k.handled_at, k.closed_at, k.version"
    };
}

pub(super) use case_columns;

const CASE: &str = concat!("SELECT ", case_columns!(), " FROM cases k ");

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
            source: row.source.parse().map_err(|_| broken("source"))?,
            triage: row.triage,
            offered_to: ids_of(&row.offered_to).ok_or_else(|| broken("offered_to"))?,
            clock: serde_json::from_str(&row.clock).map_err(|_| broken("clock"))?,
            due_at: row.due_at.map(Millis),
            remind_at: row.remind_at.map(Millis),
            counts: CaseCounts {
                dispatches: row.dispatches,
                refusals: row.refusals,
                reworks: row.reworks,
                reopenings: row.reopenings,
            },
            late_ms: row.late_ms,
            exempt: row.exempt,
            strike_number: row.strike_number,
            recurs: row.recurs.map(CaseId),
            created_at: Millis(row.created_at),
            updated_at: Millis(row.updated_at),
            filed_at: row.filed_at.map(Millis),
            dispatched_at: row.dispatched_at.map(Millis),
            handled_at: row.handled_at.map(Millis),
            closed_at: row.closed_at.map(Millis),
            version: row.version,
        })
    }
}

/// Parties as the column `offered_to` has them: ids with spaces between.
fn ids_of(text: &str) -> Option<Vec<PartyId>> {
    text.split_whitespace().map(|id| Uuid::try_parse(id).ok().map(PartyId)).collect()
}

fn text_of_ids(ids: &[PartyId]) -> String {
    ids.iter().map(PartyId::to_string).collect::<Vec<_>>().join(" ")
}

fn clock_text(case: &Case) -> String {
    serde_json::to_string(&case.clock).expect("a clock is a plain struct")
}

/// New cases, each with the district in which its manhole lies, kept for filtering.
pub(super) fn case_sheet<'r>(cases: &'r [(Case, String)]) -> Sheet<'r, 24> {
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
        "source",
        "triage",
        "offered_to",
        "clock",
        "due_at",
        "remind_at",
        "dispatches",
        "recurs",
        "created_at",
        "updated_at",
        "filed_at",
        "dispatched_at",
        "handled_at",
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
            case.source.as_str(),
            case.triage,
            text_of_ids(&case.offered_to),
            clock_text(case),
            case.due_at.map(|at| at.0),
            case.remind_at.map(|at| at.0),
            case.counts.dispatches,
            case.recurs.map(|case| case.0),
            case.created_at.0,
            case.updated_at.0,
            case.filed_at.map(|at| at.0),
            case.dispatched_at.map(|at| at.0),
            case.handled_at.map(|at| at.0),
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
             until = $8, updated_at = $9, closed_at = $10, version = $11, triage = $12, offered_to = $13,
             clock = $14, due_at = $15, remind_at = $16, dispatches = $17, refusals = $18, reworks = $19,
             reopenings = $20, late_ms = $21, exempt = $22, strike_number = $23, filed_at = $24,
             dispatched_at = $25, handled_at = $26, hazard = $27, emergency = $28 WHERE id = $1 AND version = $2",
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
        .bind(case.triage)
        .bind(text_of_ids(&case.offered_to))
        .bind(clock_text(case))
        .bind(case.due_at.map(|at| at.0))
        .bind(case.remind_at.map(|at| at.0))
        .bind(case.counts.dispatches)
        .bind(case.counts.refusals)
        .bind(case.counts.reworks)
        .bind(case.counts.reopenings)
        .bind(case.late_ms)
        .bind(case.exempt)
        .bind(case.strike_number.as_deref())
        .bind(case.filed_at.map(|at| at.0))
        .bind(case.dispatched_at.map(|at| at.0))
        .bind(case.handled_at.map(|at| at.0))
        .bind(case.hazard.as_str())
        .bind(case.emergency)
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

/// A manhole's place, for a case on none of its covers.
#[derive(Debug, Clone, PartialEq)]
pub struct CasePlace {
    pub district: String,
    pub road: Option<String>,
    pub placement: Option<Placement>,
    pub lon: f64,
    pub lat: f64,
}

pub async fn find_place(tx: &mut Tx, manhole: ManholeId) -> Result<CasePlace, StoreError> {
    type Row = (String, Option<String>, Option<String>, f64, f64);
    let row: Option<Row> = on_db!(tx, |c| {
        sqlx::query_as("SELECT district, road, placement, lon, lat FROM manholes WHERE id = $1")
            .bind(manhole.0)
            .fetch_optional(&mut *c)
            .await?
    });
    let broken = |column| StoreError::inconsistent("manholes", column, manhole);
    let (district, road, placement, lon, lat) = row.ok_or_else(|| broken("id"))?;
    let placement = placement.as_deref().map(str::parse).transpose().map_err(|_| broken("placement"))?;
    Ok(CasePlace { district, road, placement, lon, lat })
}

/// The district of the manhole next to a place, among those in some ranges of quadkeys.
pub async fn find_neighbor_district(
    tx: &mut Tx,
    ranges: &[(i64, i64)],
    (lon, lat): (f64, f64),
) -> Result<Option<String>, StoreError> {
    on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new("SELECT district FROM manholes WHERE ");
        for (at, (first, last)) in ranges.iter().enumerate() {
            query.push(if at == 0 { "(quadkey BETWEEN " } else { " OR quadkey BETWEEN " });
            query.push_bind(*first).push(" AND ").push_bind(*last);
        }
        query.push(") ORDER BY ABS(lon - ").push_bind(lon).push(") + ABS(lat - ").push_bind(lat);
        query.push(") LIMIT 1");
        Ok(query.build_query_scalar().fetch_optional(&mut *c).await?)
    })
}

/// An open case close to some place.
#[derive(Debug, Clone, PartialEq)]
pub struct NearCase {
    pub case: Case,
    pub code: Option<ComponentCode>,
    pub road: Option<String>,
    pub lon: f64,
    pub lat: f64,
}

#[derive(FromRow)]
struct NearCaseSql {
    #[sqlx(flatten)]
    case: CaseRowSql,
    scheme: Option<String>,
    code: Option<String>,
    road: Option<String>,
    lon: f64,
    lat: f64,
}

/// Open cases on manholes in these ranges of quadkeys that came within a window of time.
pub async fn list_near_cases(
    tx: &mut Tx,
    ranges: &[(i64, i64)],
    (from, until): (Millis, Millis),
) -> Result<Vec<NearCase>, StoreError> {
    let rows: Vec<NearCaseSql> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(concat!(
            "SELECT ",
            case_columns!(),
            ", c.scheme, c.code, h.road, h.lon, h.lat FROM manholes h JOIN cases k ON k.manhole_id = h.id
             LEFT JOIN covers c ON c.id = k.cover_id WHERE k.created_at BETWEEN "
        ));
        query.push_bind(from.0).push(" AND ").push_bind(until.0).push(format!(" AND {OPEN} AND ("));
        for (at, (first, last)) in ranges.iter().enumerate() {
            query.push(if at == 0 { "h.quadkey BETWEEN " } else { " OR h.quadkey BETWEEN " });
            query.push_bind(*first).push(" AND ").push_bind(*last);
        }
        query.push(") ORDER BY k.number LIMIT 200");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            Ok(NearCase {
                case: row.case.try_into()?,
                code: row.scheme.zip(row.code).map(|(scheme, digits)| ComponentCode { scheme, digits }),
                road: row.road,
                lon: row.lon,
                lat: row.lat,
            })
        })
        .collect()
}

/// Numbers of the cases of which somebody is to be reminded by now, the longest due first.
pub async fn list_due_reminders(tx: &mut Tx, now: Millis, limit: i64) -> Result<Vec<String>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_scalar("SELECT number FROM cases WHERE remind_at <= $1 ORDER BY remind_at LIMIT $2")
            .bind(now.0)
            .bind(limit)
            .fetch_all(&mut *c)
            .await?)
    })
}

/// An open case with what rules ask of its cover and place.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingCase {
    pub case: Case,
    pub class: Option<CoverClass>,
    pub placement: Option<Placement>,
}

#[derive(FromRow)]
struct WaitingCaseSql {
    #[sqlx(flatten)]
    case: CaseRowSql,
    class: Option<String>,
    placement: Option<String>,
}

/// Open cases after a number in the order of numbers.
pub async fn list_open_after(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<WaitingCase>, StoreError> {
    let rows: Vec<WaitingCaseSql> = on_db!(tx, |c| {
        let sql = format!(
            "SELECT {}, c.class, h.placement FROM cases k JOIN manholes h ON h.id = k.manhole_id
             LEFT JOIN covers c ON c.id = k.cover_id WHERE k.number > $1 AND {OPEN} ORDER BY k.number LIMIT $2",
            case_columns!()
        );
        sqlx::query_as(AssertSqlSafe(sql)).bind(after).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            let broken = |table, column| StoreError::inconsistent(table, column, row.case.id);
            let class = row.class.as_deref().map(str::parse).transpose();
            let placement = row.placement.as_deref().map(str::parse).transpose();
            Ok(WaitingCase {
                class: class.map_err(|_| broken("covers", "class"))?,
                placement: placement.map_err(|_| broken("manholes", "placement"))?,
                case: row.case.try_into()?,
            })
        })
        .collect()
}

/// Covers that bad weather makes dangerous and nobody is on the way to: an open case says that they have no fall net,
/// or since `since` they overflowed or stood in water.
pub async fn list_weather_covers(tx: &mut Tx, since: Millis, limit: i64) -> Result<Vec<CoverId>, StoreError> {
    let rows: Vec<Uuid> = on_db!(tx, |c| {
        let sql = format!(
            "SELECT DISTINCT k.cover_id FROM cases k JOIN covers c ON c.id = k.cover_id AND c.retired_at IS NULL
             WHERE ((k.hazard = 'no_net' AND {OPEN}) OR (k.hazard IN ('ponding', 'overflow') AND k.created_at >= $1))
             AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.cover_id = k.cover_id AND t.kind = 'weather'
                AND t.state = 'open')
             ORDER BY k.cover_id LIMIT $2"
        );
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(since.0).bind(limit).fetch_all(&mut *c).await?
    });
    Ok(rows.into_iter().map(CoverId).collect())
}

/// Writes when the step of a case is over and how much it hurries, unless it was moved meanwhile.
pub async fn put_reckoning(tx: &mut Tx, case: &Case) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE cases SET clock = $3, due_at = $4, remind_at = $5, triage = $6
             WHERE id = $1 AND version = $2",
        )
        .bind(case.id.0)
        .bind(case.version)
        .bind(clock_text(case))
        .bind(case.due_at.map(|at| at.0))
        .bind(case.remind_at.map(|at| at.0))
        .bind(case.triage)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
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

/// The open cases of a manhole that everybody may know of: those at which somebody must look first are not among them.
pub async fn list_public_cases(tx: &mut Tx, manhole: ManholeId) -> Result<Vec<Case>, StoreError> {
    let rows: Vec<CaseRowSql> = on_db!(tx, |c| {
        let sql = format!("{CASE} WHERE k.manhole_id = $1 AND {OPEN} AND NOT {HELD} ORDER BY k.number");
        sqlx::query_as(AssertSqlSafe(sql)).bind(manhole.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Case::try_from).collect()
}

/// A case that was closed, as far as it matters when its hazard is found again.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedCase {
    pub id: CaseId,
    pub manhole: ManholeId,
    pub cover: Option<CoverId>,
    pub hazard: Hazard,
}

/// The cases on these manholes that were closed since, the latest first.
pub async fn list_closed_since(
    tx: &mut Tx,
    manholes: &[ManholeId],
    since: Millis,
) -> Result<Vec<ClosedCase>, StoreError> {
    let rows: Vec<(Uuid, Uuid, Option<Uuid>, String)> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT id, manhole_id, cover_id, hazard FROM cases WHERE state = 'closed' AND manhole_id IN (",
        );
        let mut list = query.separated(", ");
        for manhole in manholes {
            list.push_bind(manhole.0);
        }
        query.push(") AND closed_at >= ").push_bind(since.0).push(" ORDER BY closed_at DESC, number DESC");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|(id, manhole, cover, hazard)| {
            let hazard = hazard.parse().map_err(|_| StoreError::inconsistent("cases", "hazard", id))?;
            Ok(ClosedCase { id: CaseId(id), manhole: ManholeId(manhole), cover: cover.map(CoverId), hazard })
        })
        .collect()
}

/// Every case of a manhole, oldest first.
pub async fn list_manhole_cases(tx: &mut Tx, manhole: ManholeId) -> Result<Vec<Case>, StoreError> {
    let rows: Vec<CaseRowSql> = on_db!(tx, |c| {
        let sql = format!("{CASE} WHERE k.manhole_id = $1 ORDER BY k.number");
        sqlx::query_as(AssertSqlSafe(sql)).bind(manhole.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Case::try_from).collect()
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
    source: String,
    external_number: Option<String>,
    created_at: i64,
}

const REPORT: &str = "SELECT id, tracking, case_id, hazard, description, contact, phone_lon, phone_lat,
    phone_accuracy_m, source, external_number, created_at FROM reports ";

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
            source: row.source.parse().map_err(|_| StoreError::inconsistent("reports", "source", row.id))?,
            external_number: row.external_number,
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

pub async fn find_report_by_id(tx: &mut Tx, id: ReportId) -> Result<Option<Report>, StoreError> {
    let row: Option<ReportRow> = on_db!(tx, |c| {
        let sql = format!("{REPORT} WHERE id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
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
