//! 时限: what a case's clock does at each move: which limit counts for the step at which it stands, when that is
//! over, and when somebody is reminded. A party has one budget for its handling, whatever interrupts it.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::case::{Case, CaseMove, CaseState};
use super::clock::{Clock, Limit};
use super::cover::CoverClass;
use super::ids::{Millis, PartyId};
use super::limits::{CITY, LimitRow, LimitRules};

/// Percent of a step's time at which somebody is reminded; the last is three times the limit.
pub const REMINDERS: [i64; 4] = [50, 80, 100, 300];
const DAY_MS: i64 = 86_400_000;

/// What the clock of a case remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseClock {
    /// 立案条件: id of the row under which it is filed; `None` = the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Since when the step counts at which the case stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
    /// Percent of the last reminder of this step.
    #[serde(skip_serializing_if = "is_zero")]
    pub reminded: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handling: Option<Handling>,
    /// When it was made safe, where repair is a step of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_safe_at: Option<Millis>,
    #[serde(skip_serializing_if = "is_none_yet")]
    pub suspensions: u32,
    /// A deadline that a joint meeting set; it goes before the row's limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_due: Option<Millis>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_none_yet(number: &u32) -> bool {
    *number == 0
}

/// A party's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handling {
    pub party: PartyId,
    pub limit: Limit,
    pub calendar: String,
    #[serde(default)]
    pub extensions: u32,
    /// What was left when the clock began to run last; below zero it is overdue.
    pub left_ms: i64,
}

impl Handling {
    fn new(party: PartyId, limit: Limit, row: &LimitRow) -> Self {
        Self { party, limit, calendar: row.calendar.clone(), extensions: 0, left_ms: limit.ms }
    }

    /// The limit with its extensions.
    pub fn budget_ms(&self) -> i64 {
        self.limit.ms * i64::from(self.extensions + 1)
    }
}

/// A stretch of time that runs: so much of a clock in all, of which some was gone when it began.
struct Running<'r> {
    since: Millis,
    clock: Clock,
    calendar: &'r str,
    total_ms: i64,
    gone_ms: i64,
}

impl Running<'_> {
    /// When so many percent of it are over.
    fn reach(&self, percent: i64, rules: &LimitRules) -> Option<Millis> {
        let ms = self.total_ms * percent / 100 - self.gone_ms;
        if ms <= 0 {
            return Some(self.since);
        }
        rules.calendar(self.calendar).advance(self.since, Limit { clock: self.clock, ms })
    }
}

/// Who has to act next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    Desk,
    Party(PartyId),
    /// 认领池: any of the parties to which it is offered.
    Pool,
    /// Lidmark itself, when the time has come.
    Clock,
    Nobody,
}

impl Case {
    /// Whose turn it is. An open case is always somebody's.
    pub fn next_step(&self) -> NextStep {
        match (self.state, self.party) {
            (CaseState::Dispatched | CaseState::Handling, Some(party)) => NextStep::Party(party),
            (CaseState::Dispatched | CaseState::Handling, None) => NextStep::Pool,
            (CaseState::Suspended, _) => NextStep::Clock,
            (state, _) if state.is_open() => NextStep::Desk,
            _ => NextStep::Nobody,
        }
    }

    /// What runs now; `None` while it is suspended or over.
    fn running<'r>(&'r self, rules: &'r LimitRules) -> Option<Running<'r>> {
        let since = self.clock.since?;
        if let NextStep::Party(_) = self.next_step() {
            if let Some(due) = self.clock.fixed_due {
                let total_ms = (due.0 - since.0).max(1);
                return Some(Running {
                    since,
                    clock: Clock::Continuous,
                    calendar: CITY,
                    total_ms,
                    gone_ms: 0,
                });
            }
            let handling = self.clock.handling.as_ref()?;
            let total_ms = handling.budget_ms();
            return Some(Running {
                since,
                clock: handling.limit.clock,
                calendar: &handling.calendar,
                total_ms,
                gone_ms: total_ms - handling.left_ms,
            });
        }
        let limit = match self.next_step() {
            NextStep::Pool => rules.claim_limit(self.emergency),
            _ => rules.desk_limit(self.state, self.emergency)?,
        };
        Some(Running { since, clock: limit.clock, calendar: CITY, total_ms: limit.ms, gone_ms: 0 })
    }

    /// Computes anew when the step is over and when the next reminder is due; what was reminded of already
    /// stays so, whatever became of rules or clocks.
    pub fn reckon(&mut self, rules: &LimitRules) {
        if self.state == CaseState::Suspended {
            self.due_at = self.until;
            self.remind_at = self.until;
            return;
        }
        let (due_at, remind_at) = match self.running(rules) {
            None => (None, None),
            Some(running) => {
                let next = REMINDERS.iter().find(|percent| **percent > self.clock.reminded);
                (running.reach(100, rules), next.and_then(|percent| running.reach(*percent, rules)))
            }
        };
        self.due_at = due_at;
        self.remind_at = remind_at;
    }

    /// The reminder that is due, `None` where none is: after a night in which nobody counted, the last one.
    pub fn due_reminder(&self, rules: &LimitRules, now: Millis) -> Option<i64> {
        let running = self.running(rules)?;
        let later = REMINDERS.iter().rev().take_while(|percent| **percent > self.clock.reminded);
        later.copied().find(|percent| running.reach(*percent, rules).is_some_and(|at| at <= now))
    }

    /// Stops the party's clock and keeps what is left.
    fn stop(&mut self, rules: &LimitRules, now: Millis) {
        let Some(since) = self.clock.since.take() else { return };
        if let Some(handling) = &mut self.clock.handling {
            // A machine whose clock was put back gives nobody more time.
            let calendar = rules.calendar(&handling.calendar);
            handling.left_ms -= calendar.count(handling.limit.clock, since, now).max(0);
        }
    }

    /// How late the party's work is, in the time of its limit.
    fn lateness(&self, now: Millis) -> i64 {
        match (self.clock.fixed_due, &self.clock.handling) {
            (Some(due), _) => (now.0 - due.0).max(0),
            (None, Some(handling)) => (-handling.left_ms).max(0),
            (None, None) => 0,
        }
    }

    /// Keeps the clock in step with a move that was just made from `from`; `state` and `party` are as the move
    /// left them.
    pub fn tick(
        &mut self,
        from: CaseState,
        made: CaseMove,
        class: Option<CoverClass>,
        rules: &LimitRules,
        now: Millis,
    ) {
        let same_step = matches!(made, CaseMove::Accept | CaseMove::Extend) && self.clock.since.is_some();
        let was_with_party =
            self.clock.handling.is_some() && matches!(from, CaseState::Dispatched | CaseState::Handling);
        if was_with_party && !same_step {
            self.stop(rules, now);
        }
        match made {
            CaseMove::HandIn => self.late_ms += self.lateness(now),
            CaseMove::MakeSafe => {
                self.late_ms += self.lateness(now);
                self.clock.made_safe_at = Some(now);
                self.clock.fixed_due = None;
                let row = rules.row_of(self, class);
                self.clock.handling =
                    self.party.map(|party| Handling::new(party, row.repair.unwrap_or(row.limit), row));
            }
            CaseMove::Extend => {
                if let Some(handling) = &mut self.clock.handling {
                    handling.extensions += 1;
                    handling.left_ms += handling.limit.ms;
                }
                // What was 80 percent of the shorter time is not of the longer one.
                self.clock.reminded = 0;
            }
            CaseMove::Suspend => self.clock.suspensions += 1,
            CaseMove::Reopen => {
                self.clock.handling = None;
                self.clock.made_safe_at = None;
                self.clock.fixed_due = None;
            }
            _ => {}
        }
        if let (CaseState::Dispatched | CaseState::Handling, Some(party)) = (self.state, self.party)
            && self.clock.handling.as_ref().is_none_or(|handling| handling.party != party)
        {
            let row = rules.row_of(self, class);
            let limit = match self.clock.made_safe_at {
                Some(_) => row.repair.unwrap_or(row.limit),
                None => row.limit,
            };
            self.clock.handling = Some(Handling::new(party, limit, row));
        }
        if !same_step {
            self.clock.reminded = 0;
            self.clock.since = (self.state.is_open() && self.state != CaseState::Suspended).then_some(now);
        }
        self.skip_reached(made, rules, now);
        self.reckon(rules);
    }

    /// After an extension nobody is told again what they heard of the shorter limit; after rework, what is gone
    /// already is told by one reminder.
    fn skip_reached(&mut self, made: CaseMove, rules: &LimitRules, now: Millis) {
        if made == CaseMove::Extend
            && let Some(reached) = self.due_reminder(rules, now)
        {
            self.clock.reminded = reached;
        }
    }

    /// 延期: before it is overdue, and so many times at most.
    pub fn check_extension(&self, rules: &LimitRules, now: Millis) -> Result<(), Refusal> {
        let most = rules.extension.most;
        if self.clock.fixed_due.is_some() {
            return Err(Refusal::new("case.extend_fixed"));
        }
        if self.clock.handling.as_ref().is_some_and(|handling| handling.extensions >= most) {
            return Err(Refusal::new("case.extend_most").with("most", most));
        }
        if self.due_at.is_some_and(|due| due <= now) {
            return Err(Refusal::new("case.extend_late"));
        }
        Ok(())
    }

    /// 挂账: so many times at most, and not for ever.
    pub fn check_suspension(&self, until: Millis, rules: &LimitRules, now: Millis) -> Result<(), Refusal> {
        let rule = rules.suspension;
        if self.clock.suspensions >= rule.most {
            return Err(Refusal::new("case.suspend_most").with("most", rule.most));
        }
        if until.0 - now.0 > i64::from(rule.days) * DAY_MS {
            return Err(Refusal::new("case.suspend_long").at("until").with("days", rule.days));
        }
        Ok(())
    }

    /// 先处置后修复: only where the row has a limit for the repair, and once.
    pub fn check_make_safe(&self, class: Option<CoverClass>, rules: &LimitRules) -> Result<(), Refusal> {
        if self.clock.made_safe_at.is_some() {
            return Err(Refusal::new("case.made_safe_before"));
        }
        if rules.row_of(self, class).repair.is_none() {
            return Err(Refusal::new("case.one_step"));
        }
        Ok(())
    }
}
