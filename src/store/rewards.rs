//! The ledger of rewards, what was told to the payer, and every step of it.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::ids::{CaseId, Millis, PayoutId, ReportId, RewardId};
use crate::domain::reward::{Owed, Payout, Reward, RewardState, RewardStep};

/// Which rewards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RewardFilter {
    pub state: Option<RewardState>,
    /// `2026-11`
    pub month: Option<String>,
    pub payout: Option<PayoutId>,
    /// The last one of the page before; newest come first.
    pub before: Option<RewardId>,
    pub limit: i64,
}

#[derive(FromRow)]
struct RewardRow {
    id: Uuid,
    report_id: Uuid,
    tracking: String,
    case_id: Uuid,
    case_number: String,
    hazard: String,
    person: Vec<u8>,
    payee: String,
    payee_name: String,
    amount_fen: i64,
    month: String,
    state: String,
    reason: Option<String>,
    note: String,
    payout_id: Option<Uuid>,
    payment: Option<String>,
    created_at: i64,
    updated_at: i64,
    version: i64,
}

const REWARD: &str = "SELECT w.id, w.report_id, r.tracking, w.case_id, k.number AS case_number, r.hazard, w.person,
    w.payee, w.payee_name, w.amount_fen, w.month, w.state, w.reason, w.note, w.payout_id, w.payment, w.created_at,
    w.updated_at, w.version FROM rewards w JOIN reports r ON r.id = w.report_id JOIN cases k ON k.id = w.case_id ";

impl TryFrom<RewardRow> for Reward {
    type Error = StoreError;
    fn try_from(row: RewardRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("rewards", column, row.id);
        Ok(Self {
            hazard: row.hazard.parse().map_err(|_| broken("hazard"))?,
            person: row.person.try_into().map_err(|_| broken("person"))?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            reason: row.reason.as_deref().map(str::parse).transpose().map_err(|_| broken("reason"))?,
            id: RewardId(row.id),
            report: ReportId(row.report_id),
            tracking: row.tracking,
            case: CaseId(row.case_id),
            case_number: row.case_number,
            payee: row.payee,
            payee_name: row.payee_name,
            amount_fen: row.amount_fen,
            month: row.month,
            note: row.note,
            payout: row.payout_id.map(PayoutId),
            payment: row.payment,
            created_at: Millis(row.created_at),
            updated_at: Millis(row.updated_at),
            version: row.version,
        })
    }
}

/// Adds a reward, or writes what became of it; `false` when somebody else changed it meanwhile.
pub async fn put_reward(tx: &mut Tx, reward: &Reward) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "INSERT INTO rewards (id, report_id, case_id, person, payee, payee_name, amount_fen, month, state, reason,
                note, payout_id, payment, created_at, updated_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
             ON CONFLICT (id) DO UPDATE SET case_id = excluded.case_id, person = excluded.person,
                payee = excluded.payee, payee_name = excluded.payee_name, amount_fen = excluded.amount_fen,
                state = excluded.state, reason = excluded.reason, note = excluded.note,
                payout_id = excluded.payout_id, payment = excluded.payment, updated_at = excluded.updated_at,
                version = excluded.version
             WHERE rewards.version = excluded.version - 1",
        )
        .bind(reward.id.0)
        .bind(reward.report.0)
        .bind(reward.case.0)
        .bind(reward.person.as_slice())
        .bind(&reward.payee)
        .bind(&reward.payee_name)
        .bind(reward.amount_fen)
        .bind(&reward.month)
        .bind(reward.state.as_str())
        .bind(reward.reason.map(|reason| reason.as_str()))
        .bind(&reward.note)
        .bind(reward.payout.map(|payout| payout.0))
        .bind(reward.payment.as_deref())
        .bind(reward.created_at.0)
        .bind(reward.updated_at.0)
        .bind(reward.version)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// A step of a reward with who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    pub at: Millis,
    pub actor: String,
    pub step: RewardStep,
    pub state: RewardState,
    pub note: String,
}

/// Keeps how a reward came to stand where it does.
pub async fn add_step(tx: &mut Tx, reward: &Reward, step: RewardStep, actor: &str) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO reward_steps (reward_id, version, at, actor, step, state, note)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(reward.id.0)
        .bind(reward.version)
        .bind(reward.updated_at.0)
        .bind(actor)
        .bind(step.as_str())
        .bind(reward.state.as_str())
        .bind(&reward.note)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Oldest first.
pub async fn list_steps(tx: &mut Tx, id: RewardId) -> Result<Vec<StepRecord>, StoreError> {
    let rows: Vec<(i64, String, String, String, String)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT at, actor, step, state, note FROM reward_steps WHERE reward_id = $1 ORDER BY version",
        )
        .bind(id.0)
        .fetch_all(&mut *c)
        .await?
    });
    let read = |(at, actor, step, state, note): (i64, String, String, String, String)| {
        let broken = |column| StoreError::inconsistent("reward_steps", column, id);
        Ok(StepRecord {
            at: Millis(at),
            actor,
            step: step.parse().map_err(|_| broken("step"))?,
            state: state.parse().map_err(|_| broken("state"))?,
            note,
        })
    };
    rows.into_iter().map(read).collect()
}

pub async fn find_reward(tx: &mut Tx, id: RewardId) -> Result<Option<Reward>, StoreError> {
    find(tx, "w.id", id.0).await
}

pub async fn find_by_report(tx: &mut Tx, report: ReportId) -> Result<Option<Reward>, StoreError> {
    find(tx, "w.report_id", report.0).await
}

async fn find(tx: &mut Tx, column: &'static str, id: Uuid) -> Result<Option<Reward>, StoreError> {
    let row: Option<RewardRow> = on_db!(tx, |c| {
        let sql = format!("{REWARD} WHERE {column} = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *c).await?
    });
    row.map(Reward::try_from).transpose()
}

/// One page, the newest first.
pub async fn list_rewards(tx: &mut Tx, filter: &RewardFilter) -> Result<Vec<Reward>, StoreError> {
    let rows: Vec<RewardRow> = on_db!(tx, |c| {
        let mut query = sqlx::QueryBuilder::new(REWARD);
        query.push(" WHERE 1 = 1");
        if let Some(state) = filter.state {
            query.push(" AND w.state = ").push_bind(state.as_str());
        }
        if let Some(month) = &filter.month {
            query.push(" AND w.month = ").push_bind(month.clone());
        }
        if let Some(payout) = filter.payout {
            query.push(" AND w.payout_id = ").push_bind(payout.0);
        }
        if let Some(before) = filter.before {
            query.push(" AND w.id < ").push_bind(before.0);
        }
        query.push(" ORDER BY w.id DESC LIMIT ").push_bind(filter.limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Reward::try_from).collect()
}

/// Ids of rewards that are claimed and whose case is over, one way or the other; the oldest first.
pub async fn list_settled_claims(tx: &mut Tx, limit: i64) -> Result<Vec<RewardId>, StoreError> {
    let rows: Vec<(Uuid,)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT w.id FROM rewards w JOIN cases k ON k.id = w.case_id
             WHERE w.state = 'claimed' AND k.state IN ('closed', 'rejected', 'joined') ORDER BY w.created_at LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *c)
        .await?
    });
    Ok(rows.into_iter().map(|(id,)| RewardId(id)).collect())
}

/// Sums of what is owed or paid: to a person within a month, to all within it, to all.
pub async fn sum_owed(tx: &mut Tx, person: &[u8; 32], month: &str) -> Result<Owed, StoreError> {
    const OWED: &str = "SELECT CAST(COALESCE(SUM(amount_fen), 0) AS BIGINT) FROM rewards
        WHERE state IN ('approved', 'exported', 'paid')";
    on_db!(tx, |c| {
        let sql =
            format!("SELECT ({OWED} AND month = $1 AND person = $2), ({OWED} AND month = $1), ({OWED})");
        let (person_month_fen, month_fen, total_fen): (i64, i64, i64) =
            sqlx::query_as(AssertSqlSafe(sql)).bind(month).bind(person.as_slice()).fetch_one(&mut *c).await?;
        Ok(Owed { person_month_fen, month_fen, total_fen })
    })
}

/// How many rewards of a month stand where, and their sums.
pub async fn count_rewards(
    tx: &mut Tx,
    month: Option<&str>,
) -> Result<Vec<(RewardState, i64, i64)>, StoreError> {
    let rows: Vec<(String, i64, i64)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT state, COUNT(*), CAST(SUM(amount_fen) AS BIGINT) FROM rewards
             WHERE $1 = '' OR month = $1 GROUP BY state ORDER BY state",
        )
        .bind(month.unwrap_or_default())
        .fetch_all(&mut *c)
        .await?
    });
    let read = |(state, count, sum): (String, i64, i64)| {
        let broken = |_| StoreError::inconsistent("rewards", "state", &state);
        Ok((state.parse().map_err(broken)?, count, sum))
    };
    rows.into_iter().map(read).collect()
}

#[derive(FromRow)]
struct PayoutRow {
    id: Uuid,
    number: String,
    actor: String,
    created_at: i64,
    count: i64,
    total_fen: i64,
    paid: i64,
    failed: i64,
}

const PAYOUT: &str = "SELECT p.id, p.number, p.actor, p.created_at, COUNT(w.id) AS count,
    CAST(COALESCE(SUM(w.amount_fen), 0) AS BIGINT) AS total_fen,
    CAST(COALESCE(SUM(CASE w.state WHEN 'paid' THEN 1 ELSE 0 END), 0) AS BIGINT) AS paid,
    CAST(COALESCE(SUM(CASE w.state WHEN 'failed' THEN 1 ELSE 0 END), 0) AS BIGINT) AS failed
    FROM reward_payouts p LEFT JOIN rewards w ON w.payout_id = p.id ";

impl From<PayoutRow> for Payout {
    fn from(row: PayoutRow) -> Self {
        Self {
            id: PayoutId(row.id),
            number: row.number,
            actor: row.actor,
            created_at: Millis(row.created_at),
            count: row.count,
            total_fen: row.total_fen,
            paid: row.paid,
            failed: row.failed,
        }
    }
}

pub async fn add_payout(tx: &mut Tx, payout: &Payout) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("INSERT INTO reward_payouts (id, number, actor, created_at) VALUES ($1, $2, $3, $4)")
            .bind(payout.id.0)
            .bind(&payout.number)
            .bind(&payout.actor)
            .bind(payout.created_at.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

pub async fn find_payout(tx: &mut Tx, number: &str) -> Result<Option<Payout>, StoreError> {
    let row: Option<PayoutRow> = on_db!(tx, |c| {
        let sql = format!("{PAYOUT} WHERE p.number = $1 GROUP BY p.id, p.number, p.actor, p.created_at");
        sqlx::query_as(AssertSqlSafe(sql)).bind(number).fetch_optional(&mut *c).await?
    });
    Ok(row.map(Payout::from))
}

/// The newest first.
pub async fn list_payouts(tx: &mut Tx, limit: i64) -> Result<Vec<Payout>, StoreError> {
    let rows: Vec<PayoutRow> = on_db!(tx, |c| {
        let sql = format!(
            "{PAYOUT} GROUP BY p.id, p.number, p.actor, p.created_at ORDER BY p.created_at DESC, p.number DESC LIMIT $1"
        );
        sqlx::query_as(AssertSqlSafe(sql)).bind(limit).fetch_all(&mut *c).await?
    });
    Ok(rows.into_iter().map(Payout::from).collect())
}

/// Forgets to where rewards were paid that are over since before a moment.
pub async fn forget_payees(tx: &mut Tx, before: Millis) -> Result<u64, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE rewards SET payee = '', payee_name = '' WHERE state IN ('paid', 'refused') AND updated_at < $1
             AND payee <> ''",
        )
        .bind(before.0)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected())
    })
}

/// Whether a report is the first of its case, and whether it came from a browser of staff.
pub async fn find_standing(tx: &mut Tx, report: ReportId) -> Result<Option<(bool, bool)>, StoreError> {
    let row: Option<(i64, i64)> = on_db!(tx, |c| {
        sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM reports x WHERE x.case_id = r.case_id
                AND (x.created_at < r.created_at OR (x.created_at = r.created_at AND x.tracking < r.tracking))),
             (SELECT COUNT(*) FROM report_origins o WHERE o.report_id = r.id AND o.by_staff)
             FROM reports r WHERE r.id = $1",
        )
        .bind(report.0)
        .fetch_optional(&mut *c)
        .await?
    });
    Ok(row.map(|(before, by_staff)| (before == 0, by_staff > 0)))
}
