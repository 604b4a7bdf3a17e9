//! What is to be visited and what was reported, as places: for tours and for hot spots.

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::case_list::{CaseFilter, conditions};
use super::piece::Piece::{Id, Sql};
use super::piece::push_pieces;
use super::{StoreError, Tx, on_db};
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CampaignId, CoverId, Millis, PartyId, TaskId, UserId};
use crate::domain::task::TaskKind;

/// An open task as a place to go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    pub task: TaskId,
    pub cover: CoverId,
    pub kind: TaskKind,
    pub due_at: Millis,
}

/// Which visits. Every `Some` narrows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitFilter {
    pub campaign: Option<CampaignId>,
    /// Those of this crew, and those of any.
    pub crew: Option<UserId>,
    /// Only tasks that may be done before that.
    pub before: Millis,
    pub limit: i64,
}

#[derive(FromRow)]
struct VisitRow {
    id: Uuid,
    cover_id: Uuid,
    kind: String,
    due_at: i64,
}

/// Open tasks, what is due first first.
pub async fn list_visits(tx: &mut Tx, filter: &VisitFilter) -> Result<Vec<Visit>, StoreError> {
    let rows: Vec<VisitRow> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(
            "SELECT t.id, t.cover_id, t.kind, t.due_at FROM tasks t WHERE t.state = 'open' AND t.from_at < ",
        );
        query.push_bind(filter.before.0);
        if let Some(campaign) = filter.campaign {
            push_pieces!(query, [Sql(" AND t.campaign_id = "), Id(campaign.0)]);
        }
        if let Some(crew) = filter.crew {
            push_pieces!(query, [Sql(" AND (t.crew_id IS NULL OR t.crew_id = "), Id(crew.0), Sql(")")]);
        }
        query.push(" ORDER BY t.due_at, t.id LIMIT ").push_bind(filter.limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            let task = TaskId(row.id);
            let kind = row.kind.parse().map_err(|_| StoreError::inconsistent("tasks", "kind", task))?;
            Ok(Visit { task, cover: CoverId(row.cover_id), kind, due_at: Millis(row.due_at) })
        })
        .collect()
}

/// How often one hazard was reported at one cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HazardCount {
    /// `None` = at places without a known cover.
    pub cover: Option<CoverId>,
    pub hazard: Hazard,
    pub cases: i64,
    /// Those that were opened again, or are a closed case's hazard again.
    pub again: i64,
}

#[derive(FromRow)]
struct HazardRow {
    cover_id: Option<Uuid>,
    hazard: String,
    cases: i64,
    again: i64,
}

/// Cases that were reported in a period, by cover and hazard; what was rejected or joined to another is none. With a party
/// only its own.
pub async fn count_hazards(
    tx: &mut Tx,
    (from, until): (Millis, Millis),
    hazard: Option<Hazard>,
    party: Option<PartyId>,
) -> Result<Vec<HazardCount>, StoreError> {
    let engine = tx.engine();
    let filter = CaseFilter { hazard, business_of: party, ..CaseFilter::default() };
    let rows: Vec<HazardRow> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(
            "SELECT k.cover_id, k.hazard, COUNT(*) AS cases,
             COUNT(CASE WHEN k.recurs IS NOT NULL OR k.reopenings > 0 THEN 1 END) AS again
             FROM cases k WHERE k.state NOT IN ('rejected', 'joined') AND k.created_at >= ",
        );
        query.push_bind(from.0).push(" AND k.created_at < ").push_bind(until.0);
        push_pieces!(query, conditions(&filter, engine));
        query.push(" GROUP BY k.cover_id, k.hazard");
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter()
        .map(|row| {
            let broken = || StoreError::inconsistent("cases", "hazard", row.hazard.clone());
            Ok(HazardCount {
                cover: row.cover_id.map(CoverId),
                hazard: row.hazard.parse().map_err(|_| broken())?,
                cases: row.cases,
                again: row.again,
            })
        })
        .collect()
}
