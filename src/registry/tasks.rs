//! 任务: visits that somebody or some date asks for, and what the clock makes of them.

use super::campaigns::{open_round, settled_as};
use super::reports::clean_text;
use super::{Registry, RegistryError, files};
use crate::domain::Refusal;
use crate::domain::case::TEXT_LIMIT;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CampaignId, CaseId, CoverId, IdempotencyKey, Millis, TaskId};
use crate::domain::role::Actor;
use crate::domain::task::{TaskKind, TaskState};
use crate::store::due_dates::{self, DueDate};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{StoreError, Tx, campaigns, cases, covers, tasks};

pub use crate::store::due_dates::DueLine;
pub use crate::store::tasks::{OpenTask, Recurrence, Task, TaskCount, TaskFilter, TaskLine, TaskPoint};

/// A visit to be made, outside of a campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    pub kind: TaskKind,
    /// The closed case that a look back is about; its party answers for what is found.
    pub case: Option<CaseId>,
    pub cover: CoverId,
    pub from_at: Millis,
    pub due_at: Millis,
}

/// Plans visits within a transaction of somebody else's. A look at a case that is planned for that day already is
/// left as it is, so that the same call again does nothing.
pub(super) async fn schedule(
    tx: &mut Tx,
    new: &[NewTask],
    now: Millis,
) -> Result<Vec<TaskId>, RegistryError> {
    let ids: Vec<CoverId> = new.iter().map(|task| task.cover).collect();
    let files = covers::list_covers_by_id(tx, &ids).await?;
    let mut made: Vec<Task> = Vec::new();
    for task in new {
        let party = match task.case {
            Some(case) if tasks::has_look(tx, case, task.due_at).await? => continue,
            Some(case) => cases::find_case(tx, case).await?.and_then(|case| case.party),
            None => None,
        };
        let file = files.iter().find(|file| file.cover == task.cover);
        let file = file.ok_or_else(|| StoreError::inconsistent("covers", "id", task.cover))?;
        made.push(Task {
            id: TaskId::fresh(),
            kind: task.kind,
            campaign: None,
            round: 0,
            case: task.case,
            party,
            cover: task.cover,
            district: file.survey.district.clone(),
            road: file.survey.road.clone(),
            crew: None,
            from_at: task.from_at,
            due_at: task.due_at,
            state: TaskState::Open,
            result: None,
            answers: "{}".to_owned(),
            note: None,
            done_by: None,
            done_at: None,
            distance_m: None,
            raised_case: None,
            created_at: now,
        });
    }
    tasks::add_tasks(tx, &made).await?;
    Ok(made.iter().map(|task| task.id).collect())
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TasksSwept {
    /// Rounds of patrol plans that were opened.
    pub rounds: u64,
    /// Campaigns whose days are over.
    pub closed: u64,
    pub missed: u64,
    pub withdrawn: u64,
    /// Tasks that a date asked for.
    pub raised: u64,
}

/// Rows of one transaction, so that no report waits for a sweep.
const TURN: i64 = 500;

/// A date of a cover to be set or taken away.
#[derive(Debug, Clone)]
pub struct DueDateOrder {
    pub key: IdempotencyKey,
    /// The cover's code, present or former.
    pub code: String,
    pub kind: TaskKind,
    /// `None` = there is no such date any more.
    pub due_at: Option<Millis>,
    pub actor: Actor,
}

impl Registry {
    /// Plans visits in a transaction of their own.
    pub async fn schedule_tasks(&self, new: Vec<NewTask>) -> Result<Vec<TaskId>, RegistryError> {
        let now = self.now();
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let new = new.clone();
                Box::pin(async move { schedule(tx, &new, now).await })
            })
            .await
    }

    /// What the clock does: opens the next round of patrol plans, ends campaigns, marks what was missed, asks for what
    /// is due. It may be called at any time and as often as one likes.
    pub async fn sweep_tasks(&self) -> Result<TasksSwept, RegistryError> {
        let mut swept = TasksSwept::default();
        let running = campaigns::list_running(&mut self.store.read().await?).await?;
        for campaign in running {
            let (id, now, offset) = (campaign.id, self.now(), self.utc_offset_minutes);
            let (opened, closed) = self
                .store
                .write::<_, RegistryError, _>(move |tx| {
                    Box::pin(async move { open_round(tx, id, now, offset).await })
                })
                .await?;
            swept.rounds += u64::from(opened);
            swept.closed += u64::from(closed);
            self.fill_campaign(id).await?;
        }
        let ended = campaigns::list_unsettled(&mut self.store.read().await?).await?;
        for id in ended {
            let (missed, withdrawn) = self.settle_campaign(id).await?;
            swept.missed += missed;
            swept.withdrawn += withdrawn;
        }
        let now = self.now();
        while tasks::has_lapsed(&mut self.store.read().await?, now).await? {
            swept.missed += self
                .store
                .write::<_, RegistryError, _>(move |tx| {
                    Box::pin(async move { Ok(tasks::lapse(tx, now, TURN).await?) })
                })
                .await?;
        }
        let idle = tasks::list_idle(&mut self.store.read().await?, TURN).await?;
        for id in idle {
            self.store
                .write::<(), RegistryError, _>(move |tx| {
                    Box::pin(async move { Ok(tasks::withdraw(tx, id).await?) })
                })
                .await?;
            swept.withdrawn += 1;
        }
        swept.raised = self.raise_due_tasks().await?;
        Ok(swept)
    }

    /// Turns the open tasks of a campaign that ended into what its end makes of them: how many were missed, how many
    /// withdrawn.
    pub(super) async fn settle_campaign(&self, id: CampaignId) -> Result<(u64, u64), RegistryError> {
        let campaign = self.known_campaign(id).await?;
        let Some(state) = settled_as(campaign.state) else { return Ok((0, 0)) };
        let mut sum = 0;
        loop {
            let moved = self
                .store
                .write::<_, RegistryError, _>(move |tx| {
                    Box::pin(async move { Ok(tasks::settle(tx, id, state, TURN).await?) })
                })
                .await?;
            sum += moved;
            if moved == 0 {
                break;
            }
        }
        Ok(if state == TaskState::Missed { (sum, 0) } else { (0, sum) })
    }

    /// Opens a task for each date that comes near and has none: one for a cover and kind, however often it is called.
    pub async fn raise_due_tasks(&self) -> Result<u64, RegistryError> {
        let mut raised = 0;
        loop {
            let (now, ahead) = (self.now(), self.tasks.ahead(self.now()));
            let more = self
                .store
                .write::<usize, RegistryError, _>(move |tx| {
                    Box::pin(async move {
                        let due = due_dates::list_due(tx, ahead, true, TURN).await?;
                        let new = |line: &DueLine| NewTask {
                            kind: line.due.kind,
                            case: None,
                            cover: line.due.cover,
                            from_at: now,
                            due_at: line.due.due_at,
                        };
                        let new: Vec<NewTask> = due.iter().map(new).collect();
                        Ok(schedule(tx, &new, now).await?.len())
                    })
                })
                .await?;
            raised += more as u64;
            if more < TURN as usize {
                return Ok(raised);
            }
        }
    }

    /// Sets when the fall net of a cover, or the cover itself, must be looked at next.
    pub async fn set_due_date(&self, order: DueDateOrder) -> Result<(), RegistryError> {
        if !order.kind.has_date() {
            return Err(Refusal::new("due_date.kind").at("kind").with("read", order.kind).into());
        }
        let code = clean_text(&order.code, "code", TEXT_LIMIT)?;
        let cover = self.find_known_cover(&code, "code").await?.cover;
        let now = self.now();
        let hash = super::sha256(&[format!("{:?}", (cover, order.kind, order.due_at)).as_bytes()]);
        let scope = format!("due_date:{}", order.actor.word());
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (order, scope) = (order.clone(), scope.clone());
                Box::pin(async move {
                    if super::repeat_or_claim::<()>(tx, order.key, &scope, &hash, now).await?.is_some() {
                        return Ok(());
                    }
                    let taken = super::amend::take(tx, cover).await?;
                    let (kind, actor) = (order.kind, order.actor.word());
                    match order.due_at {
                        Some(due_at) => {
                            let due = DueDate { cover, kind, due_at, actor: actor.clone(), set_at: now };
                            due_dates::put_due_date(tx, &due).await?;
                        }
                        None => due_dates::remove_due_date(tx, cover, kind).await?,
                    }
                    let body = serde_json::json!({"cover": cover, "task_kind": kind, "until": order.due_at});
                    let entry = files::NewEntry { actor, kind: HistoryKind::DueDateSet, case: None, body };
                    files::append(tx, taken.file.manhole, taken.locked.head, now, vec![entry]).await?;
                    let changed = vec![(ChangeKind::Cover, cover.0)];
                    feed::record(tx, now, News { events: Vec::new(), changed }).await?;
                    super::keep_answer(tx, order.key, &()).await
                })
            })
            .await
    }

    /// Dates that come within so many days, the first first; at most 1000.
    pub async fn list_due_dates(&self, before: Millis, limit: i64) -> Result<Vec<DueLine>, RegistryError> {
        Ok(due_dates::list_due(&mut self.store.read().await?, before, false, limit.clamp(1, 1000)).await?)
    }

    /// One page of tasks in the order in which they were made; at most 1000.
    pub async fn list_tasks(&self, mut filter: TaskFilter) -> Result<Vec<TaskLine>, RegistryError> {
        filter.limit = filter.limit.clamp(1, 1000);
        if filter.district.as_ref().is_some_and(|district| district.contains('\0')) {
            return Ok(Vec::new());
        }
        Ok(tasks::list_tasks(&mut self.store.read().await?, &filter).await?)
    }

    pub async fn find_task(&self, id: TaskId) -> Result<Option<Task>, RegistryError> {
        Ok(tasks::find_task(&mut self.store.read().await?, id).await?)
    }

    /// What looks back in a period found of each party's work.
    pub async fn count_recurrences(
        &self,
        period: (Millis, Millis),
    ) -> Result<Vec<Recurrence>, RegistryError> {
        Ok(tasks::count_recurrences(&mut self.store.read().await?, period).await?)
    }
}
