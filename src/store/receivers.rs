//! Receivers of events, how far each has heard, and cases as upstream platforms know them.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{StoreError, Tx, on_db};
use crate::domain::ids::{CaseId, Millis, ReceiverId};
use crate::domain::receiver::{ReceiverKind, ReceiverState, Wishes};

/// One receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Receiver {
    pub id: ReceiverId,
    pub name: String,
    pub kind: ReceiverKind,
    pub url: String,
    pub wishes: Wishes,
    pub state: ReceiverState,
    /// Of an upstream platform, as text; else empty.
    pub rules: String,
    /// Signs what is sent.
    pub secret: String,
    /// Signs beside it until then.
    pub old_secret: Option<(String, Millis)>,
    /// Vain tries to reach it since it was last reached.
    pub absences: i64,
    /// Nothing is sent before.
    pub next_at: Millis,
    /// What was last wrong with it as a whole, and when.
    pub trouble: Option<(String, Millis)>,
    pub actor: String,
    pub created_at: Millis,
    pub version: i64,
}

/// Secrets are in no log.
impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("state", &self.state)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[derive(FromRow)]
struct ReceiverRow {
    id: Uuid,
    name: String,
    kind: String,
    url: String,
    events: String,
    districts: String,
    personal: bool,
    state: String,
    rules: String,
    secret: String,
    old_secret: Option<String>,
    old_secret_until: Option<i64>,
    absences: i64,
    next_at: i64,
    trouble: Option<String>,
    trouble_at: Option<i64>,
    actor: String,
    created_at: i64,
    version: i64,
}

impl TryFrom<ReceiverRow> for Receiver {
    type Error = StoreError;
    fn try_from(row: ReceiverRow) -> Result<Self, StoreError> {
        let broken = |column| StoreError::inconsistent("receivers", column, row.id);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Ok(Self {
            kind: row.kind.parse().map_err(|_| broken("kind"))?,
            state: row.state.parse().map_err(|_| broken("state"))?,
            id: ReceiverId(row.id),
            name: row.name,
            url: row.url,
            wishes: Wishes {
                events: words(&row.events),
                districts: words(&row.districts),
                personal: row.personal,
            },
            rules: row.rules,
            secret: row.secret,
            old_secret: row.old_secret.zip(row.old_secret_until.map(Millis)),
            absences: row.absences,
            next_at: Millis(row.next_at),
            trouble: row.trouble.zip(row.trouble_at.map(Millis)),
            actor: row.actor,
            created_at: Millis(row.created_at),
            version: row.version,
        })
    }
}

const RECEIVER: &str =
    "SELECT id, name, kind, url, events, districts, personal, state, rules, secret, old_secret,
    old_secret_until, absences, next_at, trouble, trouble_at, actor, created_at, version FROM receivers ";

/// `false` when its name is taken.
pub async fn add_receiver(tx: &mut Tx, receiver: &Receiver) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let added = sqlx::query(
            "INSERT INTO receivers (id, name, kind, url, events, districts, personal, state, rules, secret, absences,
                next_at, actor, created_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, 1) ON CONFLICT (name) DO NOTHING",
        )
        .bind(receiver.id.0)
        .bind(&receiver.name)
        .bind(receiver.kind.as_str())
        .bind(&receiver.url)
        .bind(receiver.wishes.events.join(" "))
        .bind(receiver.wishes.districts.join(" "))
        .bind(receiver.wishes.personal)
        .bind(receiver.state.as_str())
        .bind(&receiver.rules)
        .bind(&receiver.secret)
        .bind(&receiver.actor)
        .bind(receiver.created_at.0)
        .execute(&mut *c)
        .await?;
        Ok(added.rows_affected() == 1)
    })
}

/// Writes everything but what the deliveries say of it; `false` when somebody else was faster.
pub async fn update_receiver(tx: &mut Tx, receiver: &Receiver, version: i64) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done = sqlx::query(
            "UPDATE receivers SET name = $3, url = $4, events = $5, districts = $6, personal = $7, state = $8, rules = $9,
                secret = $10, old_secret = $11, old_secret_until = $12, absences = $13, next_at = $14, actor = $15,
                version = $16
             WHERE id = $1 AND version = $2",
        )
        .bind(receiver.id.0)
        .bind(version)
        .bind(&receiver.name)
        .bind(&receiver.url)
        .bind(receiver.wishes.events.join(" "))
        .bind(receiver.wishes.districts.join(" "))
        .bind(receiver.wishes.personal)
        .bind(receiver.state.as_str())
        .bind(&receiver.rules)
        .bind(&receiver.secret)
        .bind(receiver.old_secret.as_ref().map(|(secret, _)| secret.as_str()))
        .bind(receiver.old_secret.as_ref().map(|(_, until)| until.0))
        .bind(receiver.absences)
        .bind(receiver.next_at.0)
        .bind(&receiver.actor)
        .bind(receiver.version)
        .execute(&mut *c)
        .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// Whether another receiver has this name.
pub async fn is_name_taken(tx: &mut Tx, name: &str, by_other_than: ReceiverId) -> Result<bool, StoreError> {
    let taken: Option<Uuid> = on_db!(tx, |c| {
        sqlx::query_scalar("SELECT id FROM receivers WHERE name = $1 AND id <> $2")
            .bind(name)
            .bind(by_other_than.0)
            .fetch_optional(&mut *c)
            .await?
    });
    Ok(taken.is_some())
}

/// Removes it with how far it has heard, what waits for it, and what it calls our cases.
pub async fn remove_receiver(tx: &mut Tx, id: ReceiverId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        for statement in [
            "DELETE FROM deliveries WHERE receiver_id = $1",
            "DELETE FROM upstream_cases WHERE receiver_id = $1",
            "DELETE FROM receivers WHERE id = $1",
        ] {
            sqlx::query(statement).bind(id.0).execute(&mut *c).await?;
        }
        sqlx::query("DELETE FROM outbox_receivers WHERE name = $1")
            .bind(id.to_string())
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

pub async fn find_receiver(tx: &mut Tx, id: ReceiverId) -> Result<Option<Receiver>, StoreError> {
    let row: Option<ReceiverRow> = on_db!(tx, |c| {
        let sql = format!("{RECEIVER} WHERE id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(Receiver::try_from).transpose()
}

pub async fn list_receivers(tx: &mut Tx) -> Result<Vec<Receiver>, StoreError> {
    let rows: Vec<ReceiverRow> = on_db!(tx, |c| {
        let sql = format!("{RECEIVER} ORDER BY name");
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *c).await?
    });
    rows.into_iter().map(Receiver::try_from).collect()
}

/// Says that a receiver is not to be reached before a moment, or that it was reached again (no vain tries). Only the
/// deliveries say so, whose word is no version of what people set.
pub async fn set_absence(
    tx: &mut Tx,
    id: ReceiverId,
    (absences, next_at): (i64, Millis),
    trouble: Option<(&str, Millis)>,
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE receivers SET absences = $2, next_at = $3, trouble = COALESCE($4, trouble),
                trouble_at = COALESCE($5, trouble_at) WHERE id = $1",
        )
        .bind(id.0)
        .bind(absences)
        .bind(next_at.0)
        .bind(trouble.map(|(text, _)| text))
        .bind(trouble.map(|(_, at)| at.0))
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// How far a receiver has heard; `None` when it never began.
pub async fn find_cursor(tx: &mut Tx, id: ReceiverId) -> Result<Option<i64>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_scalar("SELECT delivered FROM outbox_receivers WHERE name = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *c)
        .await?))
}

/// Sets it, wherever it stood.
pub async fn set_cursor(tx: &mut Tx, id: ReceiverId, delivered: i64) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "INSERT INTO outbox_receivers (name, delivered) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET delivered = excluded.delivered",
        )
        .bind(id.to_string())
        .bind(delivered)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Moves it on from where it was seen; `false` when somebody set it meanwhile.
pub async fn move_cursor(tx: &mut Tx, id: ReceiverId, from: i64, to: i64) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let done =
            sqlx::query("UPDATE outbox_receivers SET delivered = $3 WHERE name = $1 AND delivered = $2")
                .bind(id.to_string())
                .bind(from)
                .bind(to)
                .execute(&mut *c)
                .await?;
        Ok(done.rows_affected() == 1)
    })
}

/// The number of the newest event; 0 before the first.
pub async fn last_event(tx: &mut Tx) -> Result<i64, StoreError> {
    let last: Option<i64> = on_db!(tx, |c| {
        sqlx::query_scalar("SELECT last FROM counters WHERE name = 'outbox'").fetch_optional(&mut *c).await?
    });
    Ok(last.unwrap_or(0))
}

/// The number before the first event that is kept since a moment.
pub async fn number_before(tx: &mut Tx, since: Millis) -> Result<i64, StoreError> {
    let first: Option<i64> = on_db!(tx, |c| {
        sqlx::query_scalar("SELECT MIN(sequence) FROM outbox WHERE created_at >= $1")
            .bind(since.0)
            .fetch_one(&mut *c)
            .await?
    });
    match first {
        Some(first) => Ok(first - 1),
        None => last_event(tx).await,
    }
}

/// A case as a platform knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamCase {
    pub case: CaseId,
    pub number: String,
    pub upstream_id: String,
    /// The state that it was last told.
    pub told: String,
    /// What it last said.
    pub heard: Option<String>,
    pub synced_at: Millis,
}

#[derive(FromRow)]
struct UpstreamRow {
    case_id: Uuid,
    number: String,
    upstream_id: String,
    told: String,
    heard: Option<String>,
    synced_at: i64,
}

impl From<UpstreamRow> for UpstreamCase {
    fn from(row: UpstreamRow) -> Self {
        Self {
            case: CaseId(row.case_id),
            number: row.number,
            upstream_id: row.upstream_id,
            told: row.told,
            heard: row.heard,
            synced_at: Millis(row.synced_at),
        }
    }
}

const UPSTREAM: &str = "SELECT u.case_id, k.number, u.upstream_id, u.told, u.heard, u.synced_at
    FROM upstream_cases u JOIN cases k ON k.id = u.case_id WHERE u.receiver_id = $1 ";

/// By the platform's id or by our number.
pub async fn find_upstream_case(
    tx: &mut Tx,
    receiver: ReceiverId,
    name: &str,
) -> Result<Option<UpstreamCase>, StoreError> {
    let row: Option<UpstreamRow> = on_db!(tx, |c| {
        let sql = format!("{UPSTREAM} AND (u.upstream_id = $2 OR k.number = $2) ORDER BY u.case_id LIMIT 1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(receiver.0).bind(name).fetch_optional(&mut *c).await?
    });
    Ok(row.map(UpstreamCase::from))
}

/// The last that were spoken of.
pub async fn list_upstream_cases(
    tx: &mut Tx,
    receiver: ReceiverId,
    limit: i64,
) -> Result<Vec<UpstreamCase>, StoreError> {
    let rows: Vec<UpstreamRow> = on_db!(tx, |c| {
        let sql = format!("{UPSTREAM} ORDER BY u.synced_at DESC, u.case_id DESC LIMIT $2");
        sqlx::query_as(AssertSqlSafe(sql)).bind(receiver.0).bind(limit).fetch_all(&mut *c).await?
    });
    Ok(rows.into_iter().map(UpstreamCase::from).collect())
}

/// Keeps what a platform calls a case and was told of it; `false` when it calls another case so.
pub async fn put_upstream_case(
    tx: &mut Tx,
    receiver: ReceiverId,
    case: CaseId,
    (upstream_id, told): (&str, &str),
    at: Millis,
) -> Result<bool, StoreError> {
    on_db!(tx, |c| {
        let owner: Option<Uuid> = sqlx::query_scalar(
            "SELECT case_id FROM upstream_cases WHERE receiver_id = $1 AND upstream_id = $2",
        )
        .bind(receiver.0)
        .bind(upstream_id)
        .fetch_optional(&mut *c)
        .await?;
        if owner.is_some_and(|owner| owner != case.0) {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO upstream_cases (receiver_id, case_id, upstream_id, told, synced_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (receiver_id, case_id) DO UPDATE
             SET upstream_id = excluded.upstream_id, told = excluded.told, synced_at = excluded.synced_at",
        )
        .bind(receiver.0)
        .bind(case.0)
        .bind(upstream_id)
        .bind(told)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(true)
    })
}

/// Keeps what a platform said of a case.
pub async fn set_heard(
    tx: &mut Tx,
    receiver: ReceiverId,
    case: CaseId,
    (heard, at): (&str, Millis),
) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE upstream_cases SET heard = $3, synced_at = $4 WHERE receiver_id = $1 AND case_id = $2",
        )
        .bind(receiver.0)
        .bind(case.0)
        .bind(heard)
        .bind(at.0)
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}
