//! Tasks: what is to be visited, what was found, and how far a campaign has come.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder};
use uuid::Uuid;

use super::covers::list_by_key;
use super::piece::Piece::{self, Id, Int, Sql, Text};
use super::piece::push_pieces;
use super::sheet::{Sheet, cells};
use super::{StoreError, Tx, bulk, on_db};
use crate::domain::hazard::Hazard;
use crate::domain::ids::{CampaignId, CaseId, CoverId, Millis, PartyId, TaskId, UserId};
use crate::domain::task::{TaskKind, TaskResult, TaskState};

/// One task as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    pub id: TaskId,
    pub kind: TaskKind,
    pub campaign: Option<CampaignId>,
    /// Of its campaign; 0 outside of one.
    pub round: i64,
    /// The closed case that is looked at again.
    pub case: Option<CaseId>,
    /// Who handled that.
    pub party: Option<PartyId>,
    pub cover: CoverId,
    /// Where the cover lay when the task was made.
    pub district: String,
    pub road: Option<String>,
    /// `None` = any crew.
    pub crew: Option<UserId>,
    pub from_at: Millis,
    pub due_at: Millis,
    pub state: TaskState,
    pub result: Option<TaskResult>,
    /// JSON object: question → answer.
    pub answers: String,
    pub note: Option<String>,
    pub done_by: Option<UserId>,
    /// By the phone's clock.
    pub done_at: Option<Millis>,
    pub distance_m: Option<f64>,
    pub raised_case: Option<CaseId>,
    pub created_at: Millis,
}

#[derive(FromRow)]
struct TaskRow {
    id: Uuid,
    kind: String,
    campaign_id: Option<Uuid>,
    round: i64,
    case_id: Option<Uuid>,
    party_id: Option<Uuid>,
    cover_id: Uuid,
    district: String,
    road: Option<String>,
    crew_id: Option<Uuid>,
    from_at: i64,
    due_at: i64,
    state: String,
    result: Option<String>,
    answers: String,
    note: Option<String>,
    done_by: Option<Uuid>,
    done_at: Option<i64>,
    distance_m: Option<f64>,
    raised_case_id: Option<Uuid>,
    created_at: i64,
}

impl TryFrom<TaskRow> for Task {
    type Error = StoreError;
    fn try_from(row: TaskRow) -> Result<Self, StoreError> {
        let id = TaskId(row.id);
        let broken = |column| StoreError::inconsistent("tasks", column, id);
        Ok(Self {
            id,
            kind: row.kind.parse().map_err(|_| broken("kind"))?,
            campaign: row.campaign_id.map(CampaignId),
            round: row.round,
            case: row.case_id.map(CaseId),
            party: row.party_id.map(PartyId),
            cover: CoverId(row.cover_id),
            district: row.district,
            road: row.road,
            crew: row.crew_id.map(UserId),
            from_at: Millis(row.from_at),
            due_at: Millis(row.due_at),
            state: row.state.parse().map_err(|_| broken("state"))?,
            result: row.result.as_deref().map(str::parse).transpose().map_err(|_| broken("result"))?,
            answers: row.answers,
            note: row.note,
            done_by: row.done_by.map(UserId),
            done_at: row.done_at.map(Millis),
            distance_m: row.distance_m,
            raised_case: row.raised_case_id.map(CaseId),
            created_at: Millis(row.created_at),
        })
    }
}

const TASK: &str =
    "SELECT t.id, t.kind, t.campaign_id, t.round, t.case_id, t.party_id, t.cover_id, t.district, t.road,
    t.crew_id, t.from_at, t.due_at, t.state, t.result, t.answers, t.note, t.done_by, t.done_at, t.distance_m,
    t.raised_case_id, t.created_at FROM tasks t ";

/// Adds open tasks.
pub async fn add_tasks(tx: &mut Tx, tasks: &[Task]) -> Result<(), StoreError> {
    let columns = [
        "id",
        "kind",
        "campaign_id",
        "round",
        "case_id",
        "party_id",
        "cover_id",
        "district",
        "road",
        "crew_id",
        "from_at",
        "due_at",
        "state",
        "answers",
        "created_at",
    ];
    let row = |task: &Task| {
        let (kind, state, answers) = (task.kind.to_string(), task.state.to_string(), task.answers.clone());
        let (campaign, case) = (task.campaign.map(|id| id.0), task.case.map(|id| id.0));
        let (party, crew) = (task.party.map(|id| id.0), task.crew.map(|id| id.0));
        cells![
            task.id.0,
            kind,
            campaign,
            task.round,
            case,
            party,
            task.cover.0,
            task.district.clone(),
            task.road.clone(),
            crew,
            task.from_at.0,
            task.due_at.0,
            state,
            answers,
            task.created_at.0
        ]
    };
    let engine = tx.engine();
    bulk::execute(tx, Sheet::new("tasks", columns, tasks.iter().map(row)).into_statements(engine)).await
}

/// Whether this look at this case is planned already.
pub async fn has_look(tx: &mut Tx, case: CaseId, due_at: Millis) -> Result<bool, StoreError> {
    let count: i64 =
        on_db!(tx, |c| sqlx::query_scalar("SELECT COUNT(*) FROM tasks WHERE case_id = $1 AND due_at = $2")
            .bind(case.0)
            .bind(due_at.0)
            .fetch_one(&mut *c)
            .await?);
    Ok(count > 0)
}

pub async fn find_task(tx: &mut Tx, id: TaskId) -> Result<Option<Task>, StoreError> {
    let row: Option<TaskRow> = on_db!(tx, |c| {
        let sql = format!("{TASK} WHERE t.id = $1");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id.0).fetch_optional(&mut *c).await?
    });
    row.map(Task::try_from).transpose()
}

/// Takes it until the commit, so that of two crews one is the first.
pub async fn lock_task(tx: &mut Tx, id: TaskId) -> Result<Option<Task>, StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE tasks SET round = round WHERE id = $1").bind(id.0).execute(&mut *c).await?;
    });
    find_task(tx, id).await
}

/// Keeps what became of it.
pub async fn update_task(tx: &mut Tx, task: &Task) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query(
            "UPDATE tasks SET state = $2, result = $3, answers = $4, note = $5, done_by = $6, done_at = $7,
             distance_m = $8, raised_case_id = $9 WHERE id = $1",
        )
        .bind(task.id.0)
        .bind(task.state.as_str())
        .bind(task.result.map(|result| result.as_str()))
        .bind(&task.answers)
        .bind(&task.note)
        .bind(task.done_by.map(|user| user.0))
        .bind(task.done_at.map(|at| at.0))
        .bind(task.distance_m)
        .bind(task.raised_case.map(|case| case.0))
        .execute(&mut *c)
        .await?;
        Ok(())
    })
}

/// Which tasks to list. Every `Some` narrows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskFilter {
    pub campaign: Option<CampaignId>,
    pub round: Option<i64>,
    pub kind: Option<TaskKind>,
    pub state: Option<TaskState>,
    pub result: Option<TaskResult>,
    pub crew: Option<UserId>,
    pub cover: Option<CoverId>,
    pub district: Option<String>,
    /// The last id of the page before.
    pub after: Option<TaskId>,
    pub limit: i64,
}

fn conditions(filter: &TaskFilter) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut narrow = |sql: &'static str, value: Option<Piece>| {
        if let Some(value) = value {
            pieces.extend([Sql(sql), value]);
        }
    };
    narrow(" AND t.campaign_id = ", filter.campaign.map(|id| Id(id.0)));
    narrow(" AND t.round = ", filter.round.map(Int));
    narrow(" AND t.kind = ", filter.kind.map(|kind| Text(kind.to_string())));
    narrow(" AND t.state = ", filter.state.map(|state| Text(state.to_string())));
    narrow(" AND t.result = ", filter.result.map(|result| Text(result.to_string())));
    narrow(" AND t.crew_id = ", filter.crew.map(|id| Id(id.0)));
    narrow(" AND t.cover_id = ", filter.cover.map(|id| Id(id.0)));
    narrow(" AND t.district = ", filter.district.clone().map(Text));
    pieces
}

/// A task with what is read of its cover and of what asked for it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskLine {
    pub task: Task,
    pub code: String,
    pub scheme: String,
    pub class: String,
    pub lon: f64,
    pub lat: f64,
    pub campaign_name: Option<String>,
    pub case_number: Option<String>,
    pub raised_number: Option<String>,
}

#[derive(FromRow)]
struct LineRow {
    #[sqlx(flatten)]
    task: TaskRow,
    code: String,
    scheme: String,
    class: String,
    lon: f64,
    lat: f64,
    campaign_name: Option<String>,
    case_number: Option<String>,
    raised_number: Option<String>,
}

/// One page of tasks in the order of their ids.
pub async fn list_tasks(tx: &mut Tx, filter: &TaskFilter) -> Result<Vec<TaskLine>, StoreError> {
    let rows: Vec<LineRow> = on_db!(tx, |c| {
        let mut query = QueryBuilder::new(
            "SELECT t.*, c.code, c.scheme, c.class, h.lon, h.lat, k.name AS campaign_name, o.number AS case_number,
             r.number AS raised_number
             FROM tasks t JOIN covers c ON c.id = t.cover_id JOIN manholes h ON h.id = c.manhole_id
             LEFT JOIN campaigns k ON k.id = t.campaign_id LEFT JOIN cases o ON o.id = t.case_id
             LEFT JOIN cases r ON r.id = t.raised_case_id WHERE t.id > ",
        );
        query.push_bind(filter.after.map_or(Uuid::nil(), |id| id.0));
        push_pieces!(query, conditions(filter));
        query.push(" ORDER BY t.id LIMIT ").push_bind(filter.limit);
        query.build_query_as().fetch_all(&mut *c).await?
    });
    let line = |row: LineRow| {
        Ok(TaskLine {
            task: Task::try_from(row.task)?,
            code: row.code,
            scheme: row.scheme,
            class: row.class,
            lon: row.lon,
            lat: row.lat,
            campaign_name: row.campaign_name,
            case_number: row.case_number,
            raised_number: row.raised_number,
        })
    };
    rows.into_iter().map(line).collect()
}

/// A task as a crew takes it along.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTask {
    pub id: TaskId,
    pub kind: TaskKind,
    pub crew: Option<UserId>,
    pub from_at: Millis,
    pub due_at: Millis,
    /// Name and checklist of its campaign.
    pub campaign: Option<(String, String)>,
    /// Number and hazard of the case that is looked at again.
    pub case: Option<(String, Hazard)>,
}

#[derive(FromRow)]
struct OpenRow {
    id: Uuid,
    cover_id: Uuid,
    kind: String,
    crew_id: Option<Uuid>,
    from_at: i64,
    due_at: i64,
    name: Option<String>,
    checklist: Option<String>,
    number: Option<String>,
    hazard: Option<String>,
}

/// What is open at these covers now, what is due first first; covers without anything are left out.
pub async fn list_open_tasks(
    tx: &mut Tx,
    covers: &[CoverId],
    now: Millis,
) -> Result<HashMap<CoverId, Vec<OpenTask>>, StoreError> {
    const OPEN: &str =
        "SELECT o.* FROM (SELECT t.id, t.cover_id, t.kind, t.crew_id, t.from_at, t.due_at, k.name,
         k.checklist, w.number, w.hazard FROM tasks t LEFT JOIN campaigns k ON k.id = t.campaign_id
         LEFT JOIN cases w ON w.id = t.case_id WHERE t.state = 'open') o ";
    let ids: Vec<Uuid> = covers.iter().map(|cover| cover.0).collect();
    let mut rows: Vec<OpenRow> = list_by_key(tx, OPEN, "o.cover_id", &ids).await?;
    rows.retain(|row| row.from_at <= now.0);
    rows.sort_by_key(|row| (row.due_at, row.id));
    let mut open: HashMap<CoverId, Vec<OpenTask>> = HashMap::new();
    for row in rows {
        let id = TaskId(row.id);
        let broken = |column| StoreError::inconsistent("tasks", column, id);
        let hazard = row.hazard.as_deref().map(str::parse).transpose().map_err(|_| broken("case_id"))?;
        open.entry(CoverId(row.cover_id)).or_default().push(OpenTask {
            id,
            kind: row.kind.parse().map_err(|_| broken("kind"))?,
            crew: row.crew_id.map(UserId),
            from_at: Millis(row.from_at),
            due_at: Millis(row.due_at),
            campaign: row.name.zip(row.checklist),
            case: row.number.zip(hazard),
        });
    }
    Ok(open)
}

/// How many tasks of a street and crew stand so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskCount {
    pub district: String,
    pub road: Option<String>,
    pub crew: Option<UserId>,
    pub state: TaskState,
    pub result: Option<TaskResult>,
    pub count: i64,
}

#[derive(FromRow)]
struct CountRow {
    district: String,
    road: Option<String>,
    crew_id: Option<Uuid>,
    state: String,
    result: Option<String>,
    count: i64,
}

/// Counts of one round of a campaign, by district and road.
pub async fn count_tasks(
    tx: &mut Tx,
    campaign: CampaignId,
    round: i64,
) -> Result<Vec<TaskCount>, StoreError> {
    let rows: Vec<CountRow> = on_db!(tx, |c| sqlx::query_as(
        "SELECT district, road, crew_id, state, result, COUNT(*) AS count FROM tasks
         WHERE campaign_id = $1 AND round = $2 GROUP BY district, road, crew_id, state, result
         ORDER BY district, road, crew_id, state, result"
    )
    .bind(campaign.0)
    .bind(round)
    .fetch_all(&mut *c)
    .await?);
    let broken = |column| StoreError::inconsistent("tasks", column, campaign);
    rows.into_iter()
        .map(|row| {
            Ok(TaskCount {
                district: row.district,
                road: row.road,
                crew: row.crew_id.map(UserId),
                state: row.state.parse().map_err(|_| broken("state"))?,
                result: row.result.as_deref().map(str::parse).transpose().map_err(|_| broken("result"))?,
                count: row.count,
            })
        })
        .collect()
}

/// Equal answers of one round of a campaign, as JSON, with how many gave them.
pub async fn count_answers(
    tx: &mut Tx,
    campaign: CampaignId,
    round: i64,
) -> Result<Vec<(String, i64)>, StoreError> {
    on_db!(tx, |c| Ok(sqlx::query_as(
        "SELECT answers, COUNT(*) FROM tasks WHERE campaign_id = $1 AND round = $2 AND state = 'done'
         GROUP BY answers ORDER BY answers"
    )
    .bind(campaign.0)
    .bind(round)
    .fetch_all(&mut *c)
    .await?))
}

/// A task as a point: how it stands as an index of `STANDS`.
#[derive(Debug, Clone, Copy, PartialEq, FromRow)]
pub struct TaskPoint {
    pub lon: f64,
    pub lat: f64,
    /// 0 = nobody was there yet, 1 = in order, 2 = something is wrong, 3 = could not be seen, 4 = missed.
    pub stand: i64,
}

/// Points of one round of a campaign; withdrawn tasks are left out.
pub async fn list_points(
    tx: &mut Tx,
    (campaign, round): (CampaignId, i64),
    limit: i64,
) -> Result<Vec<TaskPoint>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_as(
        "SELECT h.lon, h.lat, CAST(CASE WHEN t.state = 'open' THEN 0 WHEN t.state = 'missed' THEN 4
             WHEN t.result IN ('fine', 'holds') THEN 1 WHEN t.result IN ('hazard', 'recurred') THEN 2 ELSE 3 END
             AS BIGINT) AS stand
         FROM tasks t JOIN covers c ON c.id = t.cover_id JOIN manholes h ON h.id = c.manhole_id
         WHERE t.campaign_id = $1 AND t.round = $2 AND t.state <> 'withdrawn' ORDER BY t.id LIMIT $3"
    )
    .bind(campaign.0)
    .bind(round)
    .bind(limit)
    .fetch_all(&mut *c)
    .await?)
    })
}

/// Marks so many open tasks whose period is over as missed; answers how many.
pub async fn lapse(tx: &mut Tx, now: Millis, limit: i64) -> Result<u64, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query(
        "UPDATE tasks SET state = 'missed' WHERE id IN (SELECT id FROM tasks WHERE state = 'open' AND due_at <= $1
         AND kind IN ('campaign', 'patrol', 'weather') ORDER BY due_at LIMIT $2)"
    )
    .bind(now.0)
    .bind(limit)
    .execute(&mut *c)
    .await?
    .rows_affected())
    })
}

/// Whether [`lapse`] has something to do.
pub async fn has_lapsed(tx: &mut Tx, now: Millis) -> Result<bool, StoreError> {
    let one: Option<i64> = on_db!(tx, |c| {
        sqlx::query_scalar(
        "SELECT due_at FROM tasks WHERE state = 'open' AND due_at <= $1 AND kind IN ('campaign', 'patrol', 'weather')
         LIMIT 1"
    )
    .bind(now.0)
    .fetch_optional(&mut *c)
    .await?
    });
    Ok(one.is_some())
}

/// Turns so many open tasks of a campaign that ended into what its end makes of them; answers how many.
pub async fn settle(
    tx: &mut Tx,
    campaign: CampaignId,
    state: TaskState,
    limit: i64,
) -> Result<u64, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query(
        "UPDATE tasks SET state = $2 WHERE id IN (SELECT id FROM tasks WHERE campaign_id = $1 AND state = 'open'
         ORDER BY id LIMIT $3)"
    )
    .bind(campaign.0)
    .bind(state.as_str())
    .bind(limit)
    .execute(&mut *c)
    .await?
    .rows_affected())
    })
}

/// Open tasks at covers that are no longer in use.
pub async fn list_idle(tx: &mut Tx, limit: i64) -> Result<Vec<TaskId>, StoreError> {
    let rows: Vec<Uuid> = on_db!(tx, |c| sqlx::query_scalar(
        "SELECT t.id FROM tasks t JOIN covers c ON c.id = t.cover_id
         WHERE t.state = 'open' AND c.retired_at IS NOT NULL ORDER BY t.id LIMIT $1"
    )
    .bind(limit)
    .fetch_all(&mut *c)
    .await?);
    Ok(rows.into_iter().map(TaskId).collect())
}

/// Nobody looks back at a case any more that is open again.
pub async fn withdraw_looks(tx: &mut Tx, case: CaseId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE tasks SET state = 'withdrawn' WHERE case_id = $1 AND state = 'open'")
            .bind(case.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// Withdraws a task that is still open.
pub async fn withdraw(tx: &mut Tx, id: TaskId) -> Result<(), StoreError> {
    on_db!(tx, |c| {
        sqlx::query("UPDATE tasks SET state = 'withdrawn' WHERE id = $1 AND state = 'open'")
            .bind(id.0)
            .execute(&mut *c)
            .await?;
        Ok(())
    })
}

/// What looks back found of a party's work.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Recurrence {
    pub party: String,
    /// Looks in the period.
    pub looked: i64,
    /// Of those, how many found that it had come again.
    pub recurred: i64,
}

/// Looks back that were done in a period, by the name of the party that had handled the case.
pub async fn count_recurrences(
    tx: &mut Tx,
    (from, until): (Millis, Millis),
) -> Result<Vec<Recurrence>, StoreError> {
    on_db!(tx, |c| {
        Ok(sqlx::query_as(
        "SELECT p.name AS party, COUNT(*) AS looked, COUNT(CASE WHEN t.result = 'recurred' THEN 1 END) AS recurred
         FROM tasks t JOIN parties p ON p.id = t.party_id
         WHERE t.kind = 'look_back' AND t.state = 'done' AND t.result IN ('holds', 'recurred')
         AND t.done_at >= $1 AND t.done_at < $2 GROUP BY p.name ORDER BY p.name"
    )
    .bind(from.0)
    .bind(until.0)
    .fetch_all(&mut *c)
    .await?)
    })
}
