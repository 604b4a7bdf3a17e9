//! 任务 done in the field: what was found at a cover and what was answered. What is wrong files a case.

use serde_json::json;

use super::crew::{Noted, Work};
use super::files::{self, NewEntry, PhotoHome};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseSource};
use crate::domain::checklist::Checklist;
use crate::domain::crew::{CrewKind, Found};
use crate::domain::history::HistoryKind;
use crate::domain::ids::TaskId;
use crate::domain::task::{TaskDone, TaskKind, TaskResult, TaskState};
use crate::store::due_dates::{self, DueDate};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::tasks::{self, Task};
use crate::store::{StoreError, Tx, campaigns, cases};

/// Codes of the questions about a task.
pub(super) const DONE_MEANWHILE: &str = "task.done_meanwhile";
pub(super) const WITHDRAWN: &str = "task.withdrawn";

impl Work {
    pub(super) async fn task(&self, tx: &mut Tx, done: &TaskDone) -> Result<Noted, RegistryError> {
        let taken = self.take(tx, done.cover).await?;
        let file = &taken.file;
        let mut task = tasks::lock_task(tx, done.task)
            .await?
            .filter(|task| task.cover == done.cover)
            .ok_or_else(|| unknown_task(done.task))?;
        if !done.found.fits(task.kind) {
            let refusal = Refusal::new("task.result").at("found").with("read", done.found);
            return Err(refusal.with("task_kind", task.kind).into());
        }
        self.check_answers(tx, &task, done).await?;
        let case = self.case_of(tx, &task).await?;
        self.refuse_changed(tx, file, None).await?;
        if self.ask_for_other(&task, done)? {
            let mut noted = Noted { cover: Some(file.cover), ..Noted::of(CrewKind::Task) };
            noted.notice(&Refusal::new("crew.task_alike"));
            self.keep(tx, &noted, (None, None), Some(done.found.as_str())).await?;
            return Ok(noted);
        }
        let place = &file.survey.position;
        let fix = self.fix_at((place.lon, place.lat));
        let hazard = case.as_ref().map(|case| case.hazard).or(done.hazard);
        let mut noted = match hazard.filter(|_| done.found.is_trouble()) {
            Some(hazard) => {
                let found = Found { cover: file.cover, hazard, description: done.description.clone() };
                self.file_case(tx, &found, CrewKind::Task, source_of(task.kind)).await?
            }
            None => {
                let home = PhotoHome {
                    manhole: file.manhole,
                    cover: Some(file.cover),
                    case: task.case,
                    report: None,
                };
                self.attach(tx, home).await?;
                let mut noted = Noted { cover: Some(file.cover), ..Noted::of(CrewKind::Task) };
                noted.distance_m = fix.and_then(|fix| fix.distance_m);
                self.keep(tx, &noted, (None, fix), Some(done.found.as_str())).await?;
                noted
            }
        };
        let raised = noted.case.as_ref().map(|(id, _)| *id);
        let mut body = match raised {
            // The report's own entry has the position and the photos.
            Some(_) => serde_json::Map::new(),
            None => self.story(fix),
        };
        body.insert("task_kind".into(), json!(task.kind));
        body.insert("task_result".into(), json!(done.found));
        body.extend(case.as_ref().map(|case| ("case".to_owned(), json!(case.number))));
        body.extend(noted.case.as_ref().map(|(_, number)| ("raised".to_owned(), json!(number))));
        let entry = NewEntry {
            actor: self.actor.word(),
            kind: HistoryKind::TaskDone,
            case: task.case,
            body: body.into(),
        };
        // A report that was filed for it has moved the file on.
        let head = files::head_of(tx, file.manhole).await?;
        files::append(tx, file.manhole, head, self.now, vec![entry]).await?;
        if raised.is_none() {
            let changed = vec![(ChangeKind::Cover, file.cover.0)];
            feed::record(tx, self.now, News { events: Vec::new(), changed }).await?;
        }
        if done.found == TaskResult::NoAccess && !task.kind.lapses() {
            // Nobody has seen it, so somebody has to come again.
            noted.notice(&Refusal::new("crew.task_stays"));
            return Ok(noted);
        }
        self.move_date(tx, &task, done).await?;
        task.state = TaskState::Done;
        task.result = Some(done.found);
        task.answers =
            serde_json::to_string(&done.checklist).expect("texts, numbers that are finite, yes and no");
        task.note = self.action.note.clone();
        task.done_by = Some(self.user);
        task.done_at = Some(self.action.done_at);
        task.distance_m = fix.and_then(|fix| fix.distance_m);
        task.raised_case = raised.or(task.raised_case);
        tasks::update_task(tx, &task).await?;
        Ok(noted)
    }

    /// Answers belong to the checklist of the campaign; without one there is nothing to answer.
    async fn check_answers(&self, tx: &mut Tx, task: &Task, done: &TaskDone) -> Result<(), RegistryError> {
        let list = match task.campaign {
            Some(id) => {
                let gone = || StoreError::inconsistent("tasks", "campaign_id", task.id);
                let campaign = campaigns::find_campaign(tx, id).await?.ok_or_else(gone)?;
                let broken = |_| StoreError::inconsistent("campaigns", "checklist", id);
                Checklist::read(&campaign.checklist).map_err(broken)?
            }
            None => Checklist::default(),
        };
        Ok(list.check_answers(&done.checklist, done.found.is_seen())?)
    }

    /// The case that a look back is about; whoever mended it does not say that it holds.
    async fn case_of(&self, tx: &mut Tx, task: &Task) -> Result<Option<Case>, RegistryError> {
        let Some(id) = task.case else { return Ok(None) };
        let gone = || StoreError::inconsistent("tasks", "case_id", task.id);
        let case = cases::find_case(tx, id).await?.ok_or_else(gone)?;
        if case.handed_in_by == Some(self.user) {
            let refusal = Refusal::new("task.own_work").at("task").with("case", &case.number);
            return Err(RegistryError::Forbidden(refusal));
        }
        Ok(Some(case))
    }

    /// A question where somebody else was there meanwhile and found something else, or nobody need go any more; `true`
    /// where they found the same.
    fn ask_for_other(&self, task: &Task, done: &TaskDone) -> Result<bool, RegistryError> {
        let other = task.state == TaskState::Done && task.done_by != Some(self.user);
        match task.state {
            TaskState::Withdrawn => Err(RegistryError::Conflict(Refusal::new(WITHDRAWN).at("task"))),
            _ if !other || done.mine_counts => Ok(false),
            _ if task.result == Some(done.found) && !done.found.is_trouble() => Ok(true),
            _ => Err(RegistryError::Conflict(Refusal::new(DONE_MEANWHILE).at("task"))),
        }
    }

    /// When a net or a cover that was looked at must be looked at again.
    async fn move_date(&self, tx: &mut Tx, task: &Task, done: &TaskDone) -> Result<(), RegistryError> {
        if !task.kind.has_date() {
            return Ok(());
        }
        let (cover, kind): (_, TaskKind) = (task.cover, task.kind);
        match self.registry.tasks.next_due(kind, self.now).filter(|_| done.found.is_seen()) {
            Some(due_at) => {
                let due = DueDate { cover, kind, due_at, actor: self.actor.word(), set_at: self.now };
                Ok(due_dates::put_due_date(tx, &due).await?)
            }
            None => Ok(due_dates::remove_due_date(tx, cover, kind).await?),
        }
    }
}

impl Registry {
    /// What became of a task, for the crew that is asked about it.
    pub(super) async fn find_visit(&self, done: &TaskDone) -> Result<Option<Task>, RegistryError> {
        Ok(self.find_task(done.task).await?.filter(|task| task.state == TaskState::Done))
    }
}

/// From where a case comes that a task found; `None` = as with any other report.
fn source_of(kind: TaskKind) -> Option<CaseSource> {
    match kind {
        TaskKind::Campaign | TaskKind::Weather => Some(CaseSource::Campaign),
        TaskKind::Patrol => Some(CaseSource::Patrol),
        TaskKind::LookBack => Some(CaseSource::LookBack),
        TaskKind::FallNet | TaskKind::Inspection => None,
    }
}

fn unknown_task(id: TaskId) -> RegistryError {
    RegistryError::NotFound(Refusal::new("task.unknown").at("task").with("read", id))
}
