//! Notices of covers without an owner, their covers, and what parties said.

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder};
use uuid::Uuid;

use super::script::Script;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, on_db};
use crate::domain::claim::{ClaimAnswer, ClaimState};
use crate::domain::cover::CoverClass;
use crate::domain::ids::{CoverId, Millis, PartyId};

/// One notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNotice {
    /// Year and running number.
    pub number: String,
    /// Where and of which class its covers are; `None` = anywhere, any.
    pub district: Option<String>,
    pub class: Option<CoverClass>,
    pub reason: String,
    pub actor: String,
    pub opened_at: Millis,
    /// First moment at which it is over.
    pub due_at: Millis,
    /// Covers up to here are in it; `None` = all.
    pub cursor: Option<CoverId>,
}

#[derive(FromRow)]
struct ClaimNoticeRow {
    number: String,
    district: Option<String>,
    class: Option<String>,
    reason: String,
    actor: String,
    opened_at: i64,
    due_at: i64,
    cursor: Option<Uuid>,
}

impl TryFrom<ClaimNoticeRow> for ClaimNotice {
    type Error = StoreError;
    fn try_from(row: ClaimNoticeRow) -> Result<Self, StoreError> {
        let broken = || StoreError::inconsistent("claim_notices", "class", &row.number);
        Ok(Self {
            class: row.class.as_deref().map(str::parse).transpose().map_err(|_| broken())?,
            number: row.number,
            district: row.district,
            reason: row.reason,
            actor: row.actor,
            opened_at: Millis(row.opened_at),
            due_at: Millis(row.due_at),
            cursor: row.cursor.map(CoverId),
        })
    }
}

const NOTICE: &str =
    "SELECT number, district, class, reason, actor, opened_at, due_at, cursor FROM claim_notices ";

pub async fn add_notice(tx: &mut Tx, notice: &ClaimNotice) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO claim_notices (number, district, class, reason, actor, opened_at, due_at, cursor)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&notice.number)
        .bind(&notice.district)
        .bind(notice.class.map(|class| class.as_str()))
        .bind(&notice.reason)
        .bind(&notice.actor)
        .bind(notice.opened_at.0)
        .bind(notice.due_at.0)
        .bind(notice.cursor.map(|cover| cover.0))
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Says how far a notice has come with its covers.
pub async fn set_notice_cursor(tx: &mut Tx, number: &str, cursor: Option<CoverId>) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE claim_notices SET cursor = $2 WHERE number = $1")
            .bind(number)
            .bind(cursor.map(|cover| cover.0))
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

pub async fn find_notice(tx: &mut Tx, number: &str) -> Result<Option<ClaimNotice>, StoreError> {
    let row: Option<ClaimNoticeRow> = on_db!(tx, |c| {
        let sql = format!("{NOTICE} WHERE number = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(number).fetch_optional(&mut *c).await?
    });
    row.map(ClaimNotice::try_from).transpose()
}

/// Takes it until the commit, so that two servers do not fill it at once.
pub async fn lock_notice(tx: &mut Tx, number: &str) -> Result<Option<ClaimNotice>, StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE claim_notices SET due_at = due_at WHERE number = $1")
            .bind(number)
            .execute(&mut *c)
            .await?;
    });
    find_notice(tx, number).await
}

/// The newest before `before`.
pub async fn list_notices(
    tx: &mut Tx,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<ClaimNotice>, StoreError> {
    let rows: Vec<ClaimNoticeRow> = on_db!(tx, |c| {
        let sql = format!("{NOTICE} WHERE number < $1 ORDER BY number DESC LIMIT $2");
        sqlx::query_as(AssertSqlSafe(sql)).bind(before.unwrap_or("~")).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(ClaimNotice::try_from).collect()
}

/// Notices that do not have all their covers yet.
pub async fn list_filling(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar(
        "SELECT number FROM claim_notices WHERE cursor IS NOT NULL ORDER BY number"
    )
    .fetch_all(&mut *c)
    .await?))
}

/// Covers in use without an owner that no notice is pending about, in the order of ids.
pub async fn list_ownerless(
    tx: &mut Tx,
    (district, class): (Option<&str>, Option<CoverClass>),
    after: Option<CoverId>,
    limit: i64,
) -> Result<Vec<CoverId>, StoreError> {
    let ids: Vec<Uuid> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(
            "SELECT c.id FROM covers c JOIN manholes h ON h.id = c.manhole_id
             WHERE c.retired_at IS NULL AND c.owner_id IS NULL AND c.id > ",
        );
        query.push_bind(after.map_or(Uuid::nil(), |id| id.0));
        if let Some(district) = district {
            query.push(" AND h.district = ").push_bind(district);
        }
        if let Some(class) = class {
            query.push(" AND c.class = ").push_bind(class.as_str());
        }
        query.push(
            " AND NOT EXISTS (SELECT 1 FROM claims k WHERE k.cover_id = c.id AND k.state IN ('open', 'unclaimed'))
             ORDER BY c.id LIMIT ",
        );
        query.push_bind(limit);
        query.build_query_scalar().fetch_all(&mut *c).await?
    });
    Ok(ids.into_iter().map(CoverId).collect())
}

/// One cover of a notice as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRow {
    pub notice: String,
    pub cover: CoverId,
    pub state: ClaimState,
    pub claimants: i64,
    pub outcome: Option<PartyId>,
    /// JSON object of what the outcome changed, each as `[before, after]`.
    pub fields: String,
    pub due_at: Millis,
    pub changed_at: Millis,
    pub version: i64,
}

#[derive(FromRow)]
struct ClaimSql {
    notice: String,
    cover_id: Uuid,
    state: String,
    claimants: i64,
    outcome_id: Option<Uuid>,
    fields: String,
    due_at: i64,
    changed_at: i64,
    version: i64,
}

impl TryFrom<ClaimSql> for ClaimRow {
    type Error = StoreError;
    fn try_from(row: ClaimSql) -> Result<Self, StoreError> {
        Ok(Self {
            state: row
                .state
                .parse()
                .map_err(|_| StoreError::inconsistent("claims", "state", row.cover_id))?,
            notice: row.notice,
            cover: CoverId(row.cover_id),
            claimants: row.claimants,
            outcome: row.outcome_id.map(PartyId),
            fields: row.fields,
            due_at: Millis(row.due_at),
            changed_at: Millis(row.changed_at),
            version: row.version,
        })
    }
}

const CLAIM: &str =
    "SELECT k.notice, k.cover_id, k.state, k.claimants, k.outcome_id, k.fields, k.due_at, k.changed_at,
    k.version FROM claims k ";

/// Puts covers up; those about which another notice is pending are refused by the database.
pub async fn add_claims(
    tx: &mut Tx,
    notice: &ClaimNotice,
    covers: &[CoverId],
    now: Millis,
) -> Result<(), StoreError> {
    let columns = [
        "notice",
        "cover_id",
        "state",
        "claimants",
        "outcome_id",
        "fields",
        "due_at",
        "changed_at",
        "version",
    ];
    let row = |cover: &CoverId| {
        cells![
            notice.number.as_str(),
            cover.0,
            ClaimState::Open.as_str(),
            0i64,
            None::<Uuid>,
            "{}",
            notice.due_at.0,
            now.0,
            1i64,
        ]
    };
    let mut script = Script::new(tx.engine());
    script.add(Sheet::new("claims", columns, covers.iter().map(row)));
    script.execute(tx).await.map(drop)
}

pub async fn find_claim(
    tx: &mut Tx,
    (notice, cover): (&str, CoverId),
) -> Result<Option<ClaimRow>, StoreError> {
    let row: Option<ClaimSql> = on_db!(tx, |c| {
        let sql = format!("{CLAIM} WHERE k.notice = $1 AND k.cover_id = $2");
        sqlx::query_as(AssertSqlSafe(sql)).bind(notice).bind(cover.0).fetch_optional(&mut *c).await?
    });
    row.map(ClaimRow::try_from).transpose()
}

/// Writes where a claim stands; `false` when somebody moved it meanwhile.
pub async fn update_claim(tx: &mut Tx, row: &ClaimRow) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE claims SET state = $4, claimants = $5, outcome_id = $6, fields = $7, changed_at = $8,
                version = version + 1 WHERE notice = $1 AND cover_id = $2 AND version = $3",
        )
        .bind(&row.notice)
        .bind(row.cover.0)
        .bind(row.version)
        .bind(row.state.as_str())
        .bind(row.claimants)
        .bind(row.outcome.map(|party| party.0))
        .bind(&row.fields)
        .bind(row.changed_at.0)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Which covers of a notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimFilter {
    pub state: Option<ClaimState>,
    /// Only those that several parties claim and nobody has decided about.
    pub contested: bool,
    pub after: Option<CoverId>,
    pub limit: i64,
}

/// Covers of a notice in the order of ids.
pub async fn list_claims(
    tx: &mut Tx,
    notice: &str,
    filter: &ClaimFilter,
) -> Result<Vec<ClaimRow>, StoreError> {
    let rows: Vec<ClaimSql> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(CLAIM);
        query.push("WHERE k.notice = ").push_bind(notice);
        query.push(" AND k.cover_id > ").push_bind(filter.after.map_or(Uuid::nil(), |id| id.0));
        if let Some(state) = filter.state {
            query.push(" AND k.state = ").push_bind(state.as_str());
        }
        if filter.contested {
            query.push(" AND k.claimants > 1 AND k.state IN ('open', 'unclaimed')");
        }
        query.push(" ORDER BY k.cover_id LIMIT ").push_bind(filter.limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    rows.into_iter().map(ClaimRow::try_from).collect()
}

/// Every notice in which a cover stands or stood, the newest first.
pub async fn list_claims_of(tx: &mut Tx, cover: CoverId) -> Result<Vec<ClaimRow>, StoreError> {
    let rows: Vec<ClaimSql> = on_db!(tx, |c| {
        let sql = format!("{CLAIM} WHERE k.cover_id = $1 ORDER BY k.notice DESC");
        sqlx::query_as(AssertSqlSafe(sql)).bind(cover.0).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(ClaimRow::try_from).collect()
}

/// Claims whose notice is over and that nobody claimed.
pub async fn list_due(tx: &mut Tx, now: Millis, limit: i64) -> Result<Vec<ClaimRow>, StoreError> {
    let rows: Vec<ClaimSql> = on_db!(tx, |c| {
        let sql = format!(
            "{CLAIM} WHERE k.state = 'open' AND k.claimants = 0 AND k.due_at <= $1
             ORDER BY k.due_at, k.cover_id LIMIT $2"
        );
        sqlx::query_as(AssertSqlSafe(sql)).bind(now.0).bind(limit).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(ClaimRow::try_from).collect()
}

/// How many covers of a notice stand in each state, and how many of those that are pending several
/// parties claim.
pub async fn count_claims(tx: &mut Tx, notice: &str) -> Result<(Vec<(ClaimState, i64)>, i64), StoreError> {
    let rows: Vec<(String, i64)> = on_db!(tx, |c| sqlx::query_as(
        "SELECT state, COUNT(*) FROM claims WHERE notice = $1 GROUP BY state ORDER BY state"
    )
    .bind(notice)
    .fetch_all(&mut *c)
    .await?);
    let contested: i64 = on_db!(tx, |c| {
        sqlx::query_scalar(
        "SELECT COUNT(*) FROM claims WHERE notice = $1 AND claimants > 1 AND state IN ('open', 'unclaimed')"
    )
    .bind(notice)
    .fetch_one(&mut *c)
    .await?
    });
    let counts = rows.into_iter().map(|(state, count)| {
        let state = state.parse().map_err(|_| StoreError::inconsistent("claims", "state", notice))?;
        Ok((state, count))
    });
    Ok((counts.collect::<Result<_, StoreError>>()?, contested))
}

/// Covers about which somebody has still to do something.
pub async fn count_pending(tx: &mut Tx) -> Result<i64, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar("SELECT COUNT(*) FROM claims WHERE state IN ('open', 'unclaimed')")
        .fetch_one(&mut *c)
        .await?))
}

/// What a party said of a cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub notice: String,
    pub cover: CoverId,
    pub party: PartyId,
    pub answer: ClaimAnswer,
    pub reason: String,
    pub actor: String,
    pub at: Millis,
}

/// Keeps an answer, in place of an earlier one of the same party.
pub async fn put_answer(tx: &mut Tx, answer: &Answer) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO claim_answers (notice, cover_id, party_id, answer, reason, actor, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (notice, cover_id, party_id) DO UPDATE SET answer = excluded.answer,
                reason = excluded.reason, actor = excluded.actor, at = excluded.at",
        )
        .bind(&answer.notice)
        .bind(answer.cover.0)
        .bind(answer.party.0)
        .bind(answer.answer.as_str())
        .bind(&answer.reason)
        .bind(&answer.actor)
        .bind(answer.at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

pub async fn remove_answer(
    tx: &mut Tx,
    (notice, cover): (&str, CoverId),
    party: PartyId,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("DELETE FROM claim_answers WHERE notice = $1 AND cover_id = $2 AND party_id = $3")
            .bind(notice)
            .bind(cover.0)
            .bind(party.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// What parties said of these covers of a notice, in the order of what they said.
pub async fn list_answers(tx: &mut Tx, notice: &str, covers: &[CoverId]) -> Result<Vec<Answer>, StoreError> {
    let mut answers = Vec::new();
    for chunk in covers.chunks(500) {
        let rows: Vec<(Uuid, Uuid, String, String, String, i64)> = on_db!(tx, |c| {
            let mut query = QueryBuilder::new(
                "SELECT cover_id, party_id, answer, reason, actor, at FROM claim_answers WHERE notice = ",
            );
            query.push_bind(notice).push(" AND cover_id IN (");
            let mut list = query.separated(", ");
            for cover in chunk {
                list.push_bind(cover.0);
            }
            query.push(") ORDER BY at, party_id");
            query.build_query_as().fetch_all(&mut *c).await?
        });
        for (cover, party, answer, reason, actor, at) in rows {
            answers.push(Answer {
                notice: notice.to_owned(),
                cover: CoverId(cover),
                party: PartyId(party),
                answer: answer
                    .parse()
                    .map_err(|_| StoreError::inconsistent("claim_answers", "answer", cover))?,
                reason,
                actor,
                at: Millis(at),
            });
        }
    }
    Ok(answers)
}
