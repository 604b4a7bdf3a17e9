//! 任务: one visit to one cover, whatever asked for it: a campaign, a patrol plan, a look back at a closed case, or
//! a date at which something has to be looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::hazard::Hazard;
use super::ids::{CoverId, Millis, TaskId};
use super::names::named_enum;

named_enum! {
    /// What asked for it.
    TaskKind as "task_kind" {
        /// 专项巡护
        Campaign = "campaign",
        /// 日常巡护
        Patrol = "patrol",
        /// 回头看: whether what was mended holds.
        LookBack = "look_back",
        /// 防坠网
        FallNet = "fall_net",
        /// 检查到期
        Inspection = "inspection",
        /// 汛期、预警
        Weather = "weather",
    }
}

impl TaskKind {
    /// Whether it is over when its period is. A closed case and a net that is due wait until somebody has looked.
    pub const fn lapses(self) -> bool {
        matches!(self, TaskKind::Campaign | TaskKind::Patrol | TaskKind::Weather)
    }

    /// Whether covers have a date of their own for it.
    pub const fn has_date(self) -> bool {
        matches!(self, TaskKind::FallNet | TaskKind::Inspection)
    }
}

named_enum! {
    TaskState as "task_state" {
        Open = "open",
        Done = "done",
        /// Its period went by and nobody came; whoever comes late may still say what they found.
        Missed = "missed",
        /// Nobody need go any more.
        Withdrawn = "withdrawn",
    }
}

named_enum! {
    /// What was found.
    TaskResult as "task_result" {
        /// 完好
        Fine = "fine",
        /// 有隐患: a case was filed.
        Hazard = "hazard",
        /// There is no cover to be found.
        Gone = "gone",
        /// Nobody could get to it.
        NoAccess = "no_access",
        /// 未复发: what was mended holds.
        Holds = "holds",
        /// 复发
        Recurred = "recurred",
    }
}

impl TaskResult {
    /// Whether a task of this kind can end so.
    pub const fn fits(self, kind: TaskKind) -> bool {
        match self {
            TaskResult::Fine | TaskResult::Hazard => !matches!(kind, TaskKind::LookBack),
            TaskResult::Holds | TaskResult::Recurred => matches!(kind, TaskKind::LookBack),
            TaskResult::Gone | TaskResult::NoAccess => true,
        }
    }

    /// Whether something is wrong, which files a case.
    pub const fn is_trouble(self) -> bool {
        matches!(self, TaskResult::Hazard | TaskResult::Recurred)
    }

    /// Whether somebody stood at the cover and looked at it.
    pub const fn is_seen(self) -> bool {
        !matches!(self, TaskResult::Gone | TaskResult::NoAccess)
    }
}

/// An answer to a question of a checklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CheckAnswer {
    Yes(bool),
    Number(f64),
    /// One of the choices, or words.
    Text(String),
}

/// Answers by the ids of their questions.
pub type CheckAnswers = BTreeMap<String, CheckAnswer>;

/// A task that was done, as the phone tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDone {
    pub task: TaskId,
    pub cover: CoverId,
    pub found: TaskResult,
    #[serde(default)]
    pub checklist: CheckAnswers,
    /// What is wrong, where something is; a look back knows it from its case.
    pub hazard: Option<Hazard>,
    pub description: Option<String>,
    /// The crew knows that somebody else did it meanwhile, and stands by what it found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mine_counts: bool,
}

impl TaskDone {
    /// Refuses what no task can say, before anything is looked up.
    pub fn check(&self, has_photo: bool, note: Option<&str>) -> Result<(), Refusal> {
        if self.found == TaskResult::Hazard && self.hazard.is_none() {
            return Err(Refusal::new("task.hazard").at("hazard"));
        }
        if (self.found.is_trouble() || self.found == TaskResult::Gone) && !has_photo {
            return Err(Refusal::new("task.photo").at("photos"));
        }
        if self.found == TaskResult::NoAccess && note.is_none() {
            return Err(Refusal::new("task.note").at("note"));
        }
        Ok(())
    }
}

/// What the city wants of dates that come round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskRules {
    /// So many days before the date a task is opened.
    pub due_ahead_days: u32,
    /// So many days after a fall net was found in order it is looked at again; 0 = somebody sets the date.
    pub fall_net_days: u32,
    /// The same of inspections.
    pub inspection_days: u32,
}

impl Default for TaskRules {
    fn default() -> Self {
        Self { due_ahead_days: 30, fall_net_days: 180, inspection_days: 365 }
    }
}

pub const DAY_MS: i64 = 86_400_000;

impl TaskRules {
    /// Refuses what no city can mean.
    pub fn check(&self) -> Result<(), Refusal> {
        match [self.due_ahead_days, self.fall_net_days, self.inspection_days].iter().all(|days| *days <= 3650)
        {
            true => Ok(()),
            false => {
                Err(Refusal::new("config.unusable").with("reason", "[tasks]: days lie between 0 and 3650"))
            }
        }
    }

    /// Dates up to here want a task now.
    pub fn ahead(&self, now: Millis) -> Millis {
        Millis(now.0 + i64::from(self.due_ahead_days) * DAY_MS)
    }

    /// When it is due again after somebody has looked; `None` = somebody sets the date.
    pub fn next_due(&self, kind: TaskKind, done_at: Millis) -> Option<Millis> {
        let days = match kind {
            TaskKind::FallNet => self.fall_net_days,
            TaskKind::Inspection => self.inspection_days,
            _ => 0,
        };
        (days > 0).then(|| Millis(done_at.0 + i64::from(days) * DAY_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(found: TaskResult, hazard: Option<Hazard>) -> TaskDone {
        let (task, cover, checklist) = (TaskId::fresh(), CoverId::fresh(), CheckAnswers::new());
        TaskDone { task, cover, found, checklist, hazard, description: None, mine_counts: false }
    }

    #[test]
    fn what_is_wrong_is_named_and_seen_in_a_photo() {
        let told = |done: TaskDone, photo, note| done.check(photo, note).map_err(|refusal| refusal.code);
        assert_eq!(told(done(TaskResult::Fine, None), false, None), Ok(()));
        assert_eq!(told(done(TaskResult::Hazard, None), true, None), Err("task.hazard"));
        assert_eq!(told(done(TaskResult::Hazard, Some(Hazard::Broken)), false, None), Err("task.photo"));
        assert_eq!(told(done(TaskResult::Recurred, None), false, None), Err("task.photo"));
        assert_eq!(told(done(TaskResult::Recurred, None), true, None), Ok(()));
        assert_eq!(told(done(TaskResult::NoAccess, None), false, None), Err("task.note"));
        assert_eq!(told(done(TaskResult::NoAccess, None), false, Some("围挡")), Ok(()));
    }

    #[test]
    fn a_look_back_holds_or_not_and_all_else_is_fine_or_not() {
        for kind in TaskKind::ALL {
            let is_look = *kind == TaskKind::LookBack;
            assert_eq!((TaskResult::Holds.fits(*kind), TaskResult::Fine.fits(*kind)), (is_look, !is_look));
            assert!(TaskResult::Gone.fits(*kind) && TaskResult::NoAccess.fits(*kind));
        }
    }
}
