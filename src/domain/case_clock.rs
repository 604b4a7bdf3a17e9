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
            (CaseState::Dispatched, None) => NextStep::Pool,
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

    /// Keeps the clock in step with a move that was just made; `before` is whose turn it was, and `state` and
    /// `party` are as the move left them.
    pub fn tick(
        &mut self,
        before: NextStep,
        made: CaseMove,
        class: Option<CoverClass>,
        rules: &LimitRules,
        now: Millis,
    ) {
        let was_with_party = matches!(before, NextStep::Party(_));
        let same_step = was_with_party && matches!(made, CaseMove::Accept | CaseMove::Extend);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::{CaseSource, MOVES, MoveRequest, check_move};
    use crate::domain::hazard::Hazard;
    use crate::domain::ids::{ManholeId, UserId};
    use crate::domain::role::{Actor, Role};
    use proptest::prelude::*;
    use uuid::Uuid;

    const MINUTE_MS: i64 = 60_000;
    /// 2026-03-02 08:00 in China, a Monday; the walks below end before the next holiday.
    const MONDAY: i64 = 1_772_409_600_000;

    fn party(number: u8) -> PartyId {
        PartyId(Uuid::from_u128(u128::from(number)))
    }

    /// Whether a minute counts, by looking at the clock on the wall.
    fn counts(clock: Clock, at: i64) -> bool {
        let local = at + 8 * 60 * MINUTE_MS;
        // 1970-01-01 was a Thursday.
        let is_workday = (local.div_euclid(DAY_MS) + 3).rem_euclid(7) < 5;
        let hour = local.rem_euclid(DAY_MS) / (60 * MINUTE_MS);
        match clock {
            Clock::Continuous | Clock::Days => true,
            Clock::WorkDays => is_workday,
            Clock::WorkHours => is_workday && matches!(hour, 8..=11 | 14..=17),
        }
    }

    /// What a person with a calendar and a lot of patience would keep of a party's time.
    #[derive(Debug, Default)]
    struct Slate {
        holder: Option<PartyId>,
        left_ms: i64,
    }

    fn actor(role: Role, party: Option<PartyId>) -> Actor {
        Actor::Staff { user: UserId(Uuid::from_u128(role as u128 + 1)), role, party }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// Random walks over the table: every open case is somebody's and has an end, and a party's time is what
        /// counting minutes makes of it, whatever interrupts it.
        #[test]
        fn on_any_walk_a_case_is_somebodys_and_its_time_is_that_of_a_count_of_minutes(
            hazard in 0..Hazard::ALL.len(),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0_i64..3000, 1_u8..4), 1..24),
        ) {
            let rules = LimitRules::built_in();
            let mut now = MONDAY;
            let place = (ManholeId(Uuid::from_u128(7)), None);
            let mut case = Case::open("2026-000001".into(), place, Hazard::ALL[hazard], CaseSource::CitizenScan, Millis(now));
            case.reckon(rules);
            let mut slate = Slate::default();
            for (pick, minutes, to) in steps {
                let began = now;
                now += minutes * MINUTE_MS;
                if let (NextStep::Party(holder), Some(handling)) = (case.next_step(), &case.clock.handling) {
                    prop_assert_eq!(slate.holder, Some(holder));
                    let clock = handling.limit.clock;
                    let gone = (0..minutes).filter(|minute| counts(clock, began + minute * MINUTE_MS)).count();
                    slate.left_ms -= gone as i64 * MINUTE_MS;
                }
                let fits: Vec<_> = MOVES.iter().filter(|rule| rule.from == case.state).collect();
                let Some(rule) = (!fits.is_empty()).then(|| fits[pick.index(fits.len())]) else { break };
                let role = rule.roles[0];
                let speaks_for = case.party.or(case.offered_to.first().copied());
                let request = MoveRequest {
                    party: Some(party(to)),
                    pool: vec![party(1), party(2)],
                    reason: Some("because".into()),
                    photos: 1,
                    target: Some(crate::domain::ids::CaseId(Uuid::from_u128(99))),
                    until: Some(Millis(now + DAY_MS)),
                    release: false,
                };
                let who = actor(role, (role == Role::Handler).then_some(speaks_for).flatten());
                if check_move(&case, rule.made, &who, &request).is_err() {
                    continue;
                }
                let checked = match rule.made {
                    CaseMove::Extend => case.check_extension(rules, Millis(now)),
                    CaseMove::Suspend => case.check_suspension(Millis(now + DAY_MS), rules, Millis(now)),
                    CaseMove::MakeSafe => case.check_make_safe(None, rules),
                    _ => Ok(()),
                };
                if checked.is_err() {
                    continue;
                }
                let before = case.next_step();
                case.state = rule.to;
                match rule.made {
                    CaseMove::Dispatch => case.party = request.party,
                    CaseMove::Offer => (case.party, case.offered_to) = (None, request.pool),
                    CaseMove::Accept if case.party.is_none() => case.party = speaks_for,
                    CaseMove::Refuse | CaseMove::Reopen => case.party = None,
                    CaseMove::Suspend => case.until = request.until,
                    CaseMove::Decline => case.offered_to.retain(|one| Some(*one) != speaks_for),
                    _ => {}
                }
                case.tick(before, rule.made, None, rules, Millis(now));
                if let (NextStep::Party(holder), Some(handling)) = (case.next_step(), &case.clock.handling) {
                    let is_fresh = slate.holder != Some(holder) || rule.made == CaseMove::MakeSafe;
                    if is_fresh {
                        slate = Slate { holder: Some(holder), left_ms: handling.limit.ms };
                    } else if rule.made == CaseMove::Extend {
                        slate.left_ms += handling.limit.ms;
                    }
                    let due = case.due_at.expect("a party's time ends");
                    let calendar = rules.calendar(&handling.calendar);
                    if slate.left_ms > 0 {
                        let left = calendar.count(handling.limit.clock, Millis(now), due);
                        prop_assert_eq!(left, slate.left_ms, "{} after {}", handling.limit, rule.made);
                    } else {
                        prop_assert!(due.0 <= now, "overdue already");
                    }
                }
                if rule.made == CaseMove::Reopen {
                    slate = Slate::default();
                }
                prop_assert_eq!(case.state.is_open(), case.next_step() != NextStep::Nobody);
                prop_assert_eq!(case.state.is_open(), case.due_at.is_some(), "{}", case.state);
                let was_due = case.due_at;
                case.reckon(rules);
                prop_assert_eq!(case.due_at, was_due, "computed anew it is the same");
            }
        }
    }

    #[test]
    fn a_night_in_which_nobody_counted_brings_one_reminder_and_a_clock_put_back_none() {
        let rules = LimitRules::built_in();
        let place = (ManholeId(Uuid::from_u128(7)), None);
        let mut case =
            Case::open("2026-000001".into(), place, Hazard::Missing, CaseSource::CitizenScan, Millis(MONDAY));
        (case.state, case.party) = (CaseState::Dispatched, Some(party(1)));
        case.tick(NextStep::Desk, CaseMove::Dispatch, None, rules, Millis(MONDAY));
        let hour = 60 * MINUTE_MS;
        assert_eq!(case.due_at, Some(Millis(MONDAY + 2 * hour)));
        assert_eq!(case.due_reminder(rules, Millis(MONDAY + hour - 1)), None);
        assert_eq!(case.due_reminder(rules, Millis(MONDAY + 3 * hour)), Some(100));
        case.clock.reminded = 100;
        case.reckon(rules);
        assert_eq!(case.remind_at, Some(Millis(MONDAY + 6 * hour)), "three times the limit");
        assert_eq!(case.due_reminder(rules, Millis(MONDAY)), None, "the clock was put back");
        // Time that ran backwards is no time won.
        let before = case.next_step();
        case.state = CaseState::Handled;
        case.tick(before, CaseMove::HandIn, None, rules, Millis(MONDAY - hour));
        assert_eq!(case.clock.handling.as_ref().unwrap().left_ms, 2 * hour);
    }
}
