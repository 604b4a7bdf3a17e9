//! What parties ask of the desk.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::case_ask::CaseAsk;
use crate::domain::ids::{AskId, CaseId, Millis, PartyId, UserId};

#[derive(FromRow)]
struct AskRow {
    id: Uuid,
    case_id: Uuid,
    kind: String,
    state: String,
    party_id: Uuid,
    reason: String,
    until: Option<i64>,
    asked_by: Uuid,
    asked_at: i64,
    endorsed_by: Option<Uuid>,
    endorsed_at: Option<i64>,
    decided_by: Option<Uuid>,
    decided_at: Option<i64>,
    answer: Option<String>,
}

const ASK: &str =
    "SELECT id, case_id, kind, state, party_id, reason, until, asked_by, asked_at, endorsed_by, endorsed_at,
    decided_by, decided_at, answer FROM case_asks ";

impl TryFrom<AskRow> for CaseAsk {
    type Error = StoreError;
    fn try_from(row: AskRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("case_asks", column, row.id);
        Ok(Self {
            kind: row.kind.parse().map_err(|_| broken("kind"))?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            id: AskId(row.id),
            case: CaseId(row.case_id),
            party: PartyId(row.party_id),
            reason: row.reason,
            until: row.until.map(Millis),
            asked_by: UserId(row.asked_by),
            asked_at: Millis(row.asked_at),
            endorsed_by: row.endorsed_by.map(UserId),
            endorsed_at: row.endorsed_at.map(Millis),
            decided_by: row.decided_by.map(UserId),
            decided_at: row.decided_at.map(Millis),
            answer: row.answer,
        })
    }
}

/// Adds it, or writes what became of it.
pub async fn put_ask(tx: &mut Tx, ask: &CaseAsk) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO case_asks (id, case_id, kind, state, party_id, reason, until, asked_by, asked_at, endorsed_by,
                endorsed_at, decided_by, decided_at, answer)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, endorsed_by = excluded.endorsed_by,
                endorsed_at = excluded.endorsed_at, decided_by = excluded.decided_by,
                decided_at = excluded.decided_at, answer = excluded.answer",
        )
        .bind(ask.id.0)
        .bind(ask.case.0)
        .bind(ask.kind.as_str())
        .bind(ask.state.as_str())
        .bind(ask.party.0)
        .bind(&ask.reason)
        .bind(ask.until.map(|at| at.0))
        .bind(ask.asked_by.0)
        .bind(ask.asked_at.0)
        .bind(ask.endorsed_by.map(|user| user.0))
        .bind(ask.endorsed_at.map(|at| at.0))
        .bind(ask.decided_by.map(|user| user.0))
        .bind(ask.decided_at.map(|at| at.0))
        .bind(ask.answer.as_deref())
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn find_ask(tx: &mut Tx, id: AskId) -> Result<Option<CaseAsk>, StoreError> {
    let row: Option<AskRow> = on_db!(tx, |c| {
        let sql = format!("{ASK} WHERE id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(CaseAsk::try_from).transpose()
}

/// Everything that was asked about a case, oldest first.
pub async fn list_case_asks(tx: &mut Tx, case: CaseId) -> Result<Vec<CaseAsk>, StoreError> {
    let rows: Vec<AskRow> = on_db!(tx, |c| {
        let sql = format!("{ASK} WHERE case_id = $1 ORDER BY asked_at, id");
        sqlx::query_as(AssertSqlSafe(sql)).bind(case.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(CaseAsk::try_from).collect()
}

/// What waits for the desk, the longest first, with the numbers of the cases and the names of the parties.
pub async fn list_open_asks(tx: &mut Tx, limit: i64) -> Result<Vec<(CaseAsk, String, String)>, StoreError> {
    #[derive(FromRow)]
    struct OpenRow {
        #[sqlx(flatten)]
        ask: AskRow,
        number: String,
        party: String,
    }
    let rows: Vec<OpenRow> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT a.id, a.case_id, a.kind, a.state, a.party_id, a.reason, a.until, a.asked_by, a.asked_at,
                a.endorsed_by, a.endorsed_at, a.decided_by, a.decided_at, a.answer, k.number, p.name AS party
             FROM case_asks a JOIN cases k ON k.id = a.case_id JOIN parties p ON p.id = a.party_id
             WHERE a.state IN ('open', 'endorsed') ORDER BY a.asked_at, a.id LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *c)
        .await?
    });
    rows.into_iter().map(|row| Ok((row.ask.try_into()?, row.number, row.party))).collect()
}
