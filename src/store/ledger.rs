//! 台账 and statistics: of every case what is counted, and the lines that are shown.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::case_list::{CaseFilter, conditions};
use super::covers::list_by_key;
use super::piece::push_pieces;
use super::{StoreError, Tx, on_db};
use crate::domain::case::{CaseCounts, CaseSource, CaseState};
use crate::domain::code::ComponentCode;
use crate::domain::cover::CoverClass;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CaseId, CoverId, Millis, PartyId};

/// A case with what is counted of it, and what the ledger shows.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerLine {
    pub number: String,
    pub source: CaseSource,
    pub hazard: Hazard,
    pub state: CaseState,
    pub class: Option<CoverClass>,
    pub code: Option<ComponentCode>,
    pub road: Option<String>,
    pub district: String,
    pub party: Option<PartyId>,
    pub created_at: Millis,
    pub filed_at: Option<Millis>,
    pub dispatched_at: Option<Millis>,
    pub handled_at: Option<Millis>,
    pub closed_at: Option<Millis>,
    pub due_at: Option<Millis>,
    pub late_ms: i64,
    pub exempt: bool,
    pub counts: CaseCounts,
    pub recurs: bool,
    pub strike_number: Option<String>,
    pub lon: f64,
    pub lat: f64,
}

#[derive(FromRow)]
struct LedgerSql {
    id: Uuid,
    number: String,
    source: String,
    hazard: String,
    state: String,
    class: Option<String>,
    scheme: Option<String>,
    code: Option<String>,
    road: Option<String>,
    district: String,
    party_id: Option<Uuid>,
    created_at: i64,
    filed_at: Option<i64>,
    dispatched_at: Option<i64>,
    handled_at: Option<i64>,
    closed_at: Option<i64>,
    due_at: Option<i64>,
    late_ms: i64,
    exempt: bool,
    dispatches: i64,
    refusals: i64,
    reworks: i64,
    reopenings: i64,
    recurs: bool,
    strike_number: Option<String>,
    lon: f64,
    lat: f64,
}

const LINE: &str =
    "SELECT k.id, k.number, k.source, k.hazard, k.state, c.class, c.scheme, c.code, h.road, k.district, k.party_id,
    k.created_at, k.filed_at, k.dispatched_at, k.handled_at, k.closed_at, k.due_at, k.late_ms, k.exempt,
    k.dispatches, k.refusals, k.reworks, k.reopenings, k.recurs IS NOT NULL AS recurs, k.strike_number, h.lon, h.lat
    FROM cases k JOIN manholes h ON h.id = k.manhole_id LEFT JOIN covers c ON c.id = k.cover_id ";

impl TryFrom<LedgerSql> for LedgerLine {
    type Error = StoreError;
    fn try_from(row: LedgerSql) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("cases", column, row.id);
        Ok(Self {
            source: row.source.parse().map_err(|_| broken("source"))?,
            hazard: row.hazard.parse().map_err(|_| broken("hazard"))?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            class: row.class.as_deref().map(str::parse).transpose().map_err(|_| broken("cover_id"))?,
            number: row.number,
            code: row.scheme.zip(row.code).map(|(scheme, digits)| ComponentCode { scheme, digits }),
            road: row.road,
            district: row.district,
            party: row.party_id.map(PartyId),
            created_at: Millis(row.created_at),
            filed_at: row.filed_at.map(Millis),
            dispatched_at: row.dispatched_at.map(Millis),
            handled_at: row.handled_at.map(Millis),
            closed_at: row.closed_at.map(Millis),
            due_at: row.due_at.map(Millis),
            late_ms: row.late_ms,
            exempt: row.exempt,
            counts: CaseCounts {
                dispatches: row.dispatches,
                refusals: row.refusals,
                reworks: row.reworks,
                reopenings: row.reopenings,
            },
            recurs: row.recurs,
            strike_number: row.strike_number,
            lon: row.lon,
            lat: row.lat,
        })
    }
}

fn lines(rows: Vec<LedgerSql>) -> Result<Vec<LedgerLine>, StoreError> {
    rows.into_iter().map(LedgerLine::try_from).collect()
}

/// Every case in the order of numbers as texts, after `after`.
pub async fn list_ledger(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<LedgerLine>, StoreError> {
    let rows: Vec<LedgerSql> = on_db!(tx, |c| {
        let sql = format!("{LINE} WHERE k.number > $1 ORDER BY k.number LIMIT $2");
        sqlx::query_as(AssertSqlSafe(sql)).bind(after).bind(limit).fetch_all(&mut *c).await?
    });
    lines(rows)
}

/// The cases with these numbers, in any order.
pub async fn list_ledger_by_number(tx: &mut Tx, numbers: &[String]) -> Result<Vec<LedgerLine>, StoreError> {
    lines(list_by_key(tx, LINE, "k.number", numbers).await?)
}

/// These cases, in any order.
pub async fn list_ledger_by_id(tx: &mut Tx, cases: &[CaseId]) -> Result<Vec<LedgerLine>, StoreError> {
    let ids: Vec<Uuid> = cases.iter().map(|id| id.0).collect();
    lines(list_by_key(tx, LINE, "k.id", &ids).await?)
}

/// The cases on the manholes of these covers.
pub async fn list_ledger_of_covers(tx: &mut Tx, covers: &[CoverId]) -> Result<Vec<LedgerLine>, StoreError> {
    let ids: Vec<Uuid> = covers.iter().map(|id| id.0).collect();
    let manholes: Vec<(Uuid,)> = list_by_key(tx, "SELECT manhole_id FROM covers", "id", &ids).await?;
    let mut manholes: Vec<Uuid> = manholes.into_iter().map(|(id,)| id).collect();
    manholes.sort_unstable();
    manholes.dedup();
    lines(list_by_key(tx, LINE, "k.manhole_id", &manholes).await?)
}

/// Numbers of the cases in which a text is found, as the case list looks for it.
pub async fn list_numbers_with(tx: &mut Tx, text: &str) -> Result<Vec<String>, StoreError> {
    let engine = tx.engine();
    let filter = CaseFilter { text: Some(text.to_owned()), ..CaseFilter::default() };
    on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            "SELECT k.number FROM cases k JOIN manholes h ON h.id = k.manhole_id
             LEFT JOIN covers c ON c.id = k.cover_id WHERE 1 = 1",
        );
        push_pieces!(query, conditions(&filter, engine));
        Ok(query.build_query_scalar().fetch_all(&mut *c).await?)
    })
}
