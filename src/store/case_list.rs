//! The list of cases: what narrows it, what stands first, a line of it.

use sqlx::FromRow;

use super::abuse::HELD;
use super::cases::{CaseRowSql, OPEN, case_columns};
use super::piece::Piece::{self, Bool, Id, Int, Sql, Text};
use super::piece::push_pieces;
use super::{EngineKind, StoreError, Tx, on_db, search};
use crate::domain::case::{Case, CaseSource, CaseState};
use crate::domain::code::ComponentCode;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{Millis, PartyId};

/// Which cases to list. Every `Some` narrows; an empty list of states means all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaseFilter {
    pub states: Vec<CaseState>,
    pub hazard: Option<Hazard>,
    pub district: Option<String>,
    pub party: Option<PartyId>,
    /// What a party has on its list: its own cases and those it is offered.
    pub business_of: Option<PartyId>,
    pub source: Option<CaseSource>,
    pub due: Option<DueFilter>,
    /// What another system calls it.
    pub external_number: Option<String>,
    pub emergency: Option<bool>,
    /// Those that wait for a look because of doubts, or all others.
    pub held: Option<bool>,
    /// Part of the case number, of the cover's code with or without its groups, or of the road.
    pub text: Option<String>,
    /// The last number of the page before; newest come first.
    pub before: Option<String>,
    pub order: CaseOrder,
    /// How many come before the page, in the other orders.
    pub skip: i64,
    pub limit: i64,
}

/// Which cases are late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueFilter {
    /// The step at which it stands is over by then.
    Before(Millis),
    /// It took three times its limit.
    LongOverdue,
}

/// What stands first in a list of cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CaseOrder {
    #[default]
    Newest,
    /// By triage.
    Urgent,
    /// What is over first.
    Due,
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
    /// Where its manhole lies.
    pub lon: f64,
    pub lat: f64,
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
    lon: f64,
    lat: f64,
}

/// What narrows the cases `k` on the manholes `h` with their covers `c`, each piece led by ` AND `; which page
/// of them is left to the caller.
pub(super) fn conditions(filter: &CaseFilter, engine: EngineKind) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let is_every_open = filter.states.iter().all(|state| state.is_open())
        && CaseState::ALL.iter().filter(|state| state.is_open()).count() == filter.states.len();
    if is_every_open {
        // In the words of the index on open cases, so that a page of them is read and not all sorted.
        pieces.extend([Sql(" AND "), Sql(OPEN)]);
    } else if !filter.states.is_empty() {
        for (at, state) in filter.states.iter().enumerate() {
            pieces.extend([Sql(if at == 0 { " AND k.state IN (" } else { ", " }), Text(state.to_string())]);
        }
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
    if let Some(party) = filter.business_of {
        pieces.extend(business_of(party));
    }
    if let Some(source) = filter.source {
        pieces.extend([Sql(" AND k.source = "), Text(source.to_string())]);
    }
    match filter.due {
        Some(DueFilter::Before(before)) => pieces.extend([Sql(" AND k.due_at <= "), Int(before.0)]),
        // The last reminder is the one at three times the limit.
        Some(DueFilter::LongOverdue) => pieces.push(Sql(" AND k.due_at IS NOT NULL AND k.remind_at IS NULL")),
        None => {}
    }
    if let Some(ticket) = &filter.external_number {
        pieces.push(Sql(
            " AND EXISTS (SELECT 1 FROM reports r WHERE r.case_id = k.id AND r.external_number = ",
        ));
        pieces.extend([Text(ticket.clone()), Sql(")")]);
    }
    if let Some(emergency) = filter.emergency {
        pieces.extend([Sql(" AND k.emergency = "), Bool(emergency)]);
    }
    if let Some(held) = filter.held {
        pieces.extend([Sql(if held { " AND " } else { " AND NOT " }), Sql(HELD)]);
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

/// What a party has on its list: its own cases and those it is offered.
pub(super) fn business_of(party: PartyId) -> [Piece; 5] {
    [
        Sql(" AND (k.party_id = "),
        Id(party.0),
        Sql(" OR (k.state = 'dispatched' AND k.party_id IS NULL AND k.offered_to LIKE "),
        Text(format!("%{party}%")),
        Sql("))"),
    ]
}

/// One page of cases in the order of the filter.
pub async fn list_cases(tx: &mut Tx, filter: &CaseFilter) -> Result<Vec<CaseLine>, StoreError> {
    let engine = tx.engine();
    let rows: Vec<CaseLineSql> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(
            concat!(
                "SELECT ",
                case_columns!(),
                ", c.scheme, c.code, h.road, h.lon, h.lat, d.name_zh AS district_zh, d.name_en AS district_en, p.name AS party_name
                 FROM cases k JOIN manholes h ON h.id = k.manhole_id JOIN districts d ON d.code = k.district
                 LEFT JOIN covers c ON c.id = k.cover_id LEFT JOIN parties p ON p.id = k.party_id WHERE 1 = 1"
            ),
        );
        push_pieces!(query, conditions(filter, engine));
        if let Some(before) = &filter.before {
            query.push(" AND k.number < ").push_bind(before.clone());
        }
        query.push(match filter.order {
            CaseOrder::Newest => " ORDER BY k.number DESC LIMIT ",
            CaseOrder::Urgent => " ORDER BY k.triage DESC, k.number LIMIT ",
            CaseOrder::Due => " ORDER BY k.due_at NULLS LAST, k.number LIMIT ",
        });
        query.push_bind(filter.limit).push(" OFFSET ").push_bind(filter.skip);
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
                lon: row.lon,
                lat: row.lat,
            })
        })
        .collect()
}
