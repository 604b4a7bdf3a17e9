//! 专项巡护 and 日常巡护: which covers are visited, when, by whom. A patrol plan is a campaign that comes round.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::area::{AreaKind, AreaShape};
use super::cover::{CoverClass, CoverState, LoadClass, Placement};
use super::ids::{Millis, PartyId, UserId};
use super::names::named_enum;
use super::task::{DAY_MS, TaskResult, TaskState};

named_enum! {
    CampaignState as "campaign_state" {
        /// Can still be looked at before anybody is sent.
        Draft = "draft",
        Running = "running",
        /// Its days are over; what nobody visited was missed.
        Closed = "closed",
        /// Nobody need go any more.
        Withdrawn = "withdrawn",
    }
}

named_enum! {
    /// How far the tasks of the newest round have come.
    CampaignStage as "campaign_stage" {
        /// There is no round yet.
        Waiting = "waiting",
        /// Its streets are being counted.
        Dividing = "dividing",
        /// Its tasks are being made, up to a cover.
        Filling = "filling",
        Ready = "ready",
    }
}

named_enum! {
    /// What people do to a campaign.
    CampaignStep as "campaign_step" {
        Start = "start",
        Close = "close",
        Withdraw = "withdraw",
    }
}

impl CampaignState {
    /// Where a step leads; `None` = not from here.
    pub const fn after(self, step: CampaignStep) -> Option<CampaignState> {
        match (self, step) {
            (CampaignState::Draft, CampaignStep::Start) => Some(CampaignState::Running),
            (CampaignState::Running, CampaignStep::Close) => Some(CampaignState::Closed),
            (CampaignState::Draft | CampaignState::Running, CampaignStep::Withdraw) => {
                Some(CampaignState::Withdrawn)
            }
            _ => None,
        }
    }
}

/// Which covers: those in use that are all of this.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    /// The area whose outline `outline` was when the campaign was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area: Option<(AreaKind, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outline: Option<AreaShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub road: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<CoverClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<CoverState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_class: Option<LoadClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<PartyId>,
}

/// When a plan comes round: `every 7 days`, or the days of the week, `mon wed fri`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    Every(u32),
    /// 0 = Monday.
    On(BTreeSet<u8>),
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl FromStr for Repeat {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let read: String = text.chars().take(60).collect();
            Refusal::new("campaign.repeat").at("repeat").with("read", read)
        };
        let text = text.trim();
        if let Some(days) = text.strip_prefix("every ").and_then(|rest| rest.strip_suffix(" days")) {
            let days: u32 = days.trim().parse().map_err(|_| wrong())?;
            return if (1..=365).contains(&days) { Ok(Self::Every(days)) } else { Err(wrong()) };
        }
        let day = |word: &str| WEEK.iter().position(|known| *known == word).map(|at| at as u8);
        let days: Option<BTreeSet<u8>> = text.split_whitespace().map(day).collect();
        days.filter(|days| !days.is_empty()).map(Self::On).ok_or_else(wrong)
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repeat::Every(days) => write!(f, "every {days} days"),
            Repeat::On(days) => {
                let words: Vec<&str> =
                    days.iter().filter_map(|day| WEEK.get(usize::from(*day)).copied()).collect();
                f.write_str(&words.join(" "))
            }
        }
    }
}

impl Repeat {
    fn comes_on(&self, day: i64, first: i64) -> bool {
        match self {
            Repeat::Every(days) => (day - first) % i64::from(*days) == 0,
            // The first day of 1970 was a Thursday.
            Repeat::On(days) => days.contains(&((day + 3).rem_euclid(7) as u8)),
        }
    }

    fn longest(&self) -> i64 {
        match self {
            Repeat::Every(days) => i64::from(*days),
            Repeat::On(_) => 7,
        }
    }

    /// The round that goes on now, where it began after the one of `last`: from its first moment to that of the next. A
    /// round that nobody could know of, because no server ran, is not opened late.
    pub fn round_at(
        &self,
        (from, until): (Millis, Millis),
        last: Option<Millis>,
        now: Millis,
        utc_offset_minutes: i32,
    ) -> Option<(Millis, Millis)> {
        let offset = i64::from(utc_offset_minutes) * 60_000;
        let day = |at: Millis| (at.0 + offset).div_euclid(DAY_MS);
        let start = |day: i64| Millis(day * DAY_MS - offset);
        let (first, today) = (day(from), day(now));
        if now.0 >= until.0 {
            return None;
        }
        let begun = (0..self.longest()).map(|back| today - back).find(|day| self.comes_on(*day, first))?;
        if begun < first || last.is_some_and(|last| day(last) >= begun) {
            return None;
        }
        let next = (1..=self.longest()).map(|ahead| begun + ahead).find(|day| self.comes_on(*day, first));
        let end = start(next.unwrap_or(begun + 1)).0.min(until.0);
        Some((Millis(start(begun).0.max(from.0)), Millis(end)))
    }
}

/// How far tasks have come; withdrawn ones do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub total: i64,
    pub done: i64,
    /// Of those, where something was wrong.
    pub trouble: i64,
    /// Of those, where nobody could look.
    pub unseen: i64,
    pub open: i64,
    pub missed: i64,
}

impl Progress {
    pub fn add(&mut self, state: TaskState, result: Option<TaskResult>, count: i64) {
        match state {
            TaskState::Withdrawn => return,
            TaskState::Open => self.open += count,
            TaskState::Missed => self.missed += count,
            TaskState::Done => {
                self.done += count;
                match result {
                    Some(result) if result.is_trouble() => self.trouble += count,
                    Some(result) if !result.is_seen() => self.unseen += count,
                    _ => {}
                }
            }
        }
        self.total += count;
    }

    /// Whole percent that were done.
    pub fn percent(self) -> i64 {
        if self.total > 0 { self.done * 100 / self.total } else { 0 }
    }
}

/// A street with its covers, and which crew goes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Street {
    pub district: String,
    /// Empty = of covers of which nobody knows the road.
    pub road: String,
    pub covers: i64,
    pub crew: Option<UserId>,
}

/// Gives every street as a whole to one crew: the longest first, each to the crew that has the fewest covers so far.
/// The same streets and crews are always divided alike.
pub fn divide(streets: &mut [Street], crews: &[UserId]) {
    if crews.is_empty() {
        return;
    }
    streets.sort_by(|one, other| {
        let key = |street: &Street| (Reverse(street.covers), street.district.clone(), street.road.clone());
        key(one).cmp(&key(other))
    });
    let mut loads = vec![0i64; crews.len()];
    for street in streets {
        let least = (0..crews.len()).min_by_key(|at| loads[*at]).unwrap_or_default();
        loads[least] += street.covers;
        street.crew = Some(crews[least]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-02 00:00 in China, a Monday.
    const MONDAY: i64 = 1_772_409_600_000 - 8 * 3_600_000;
    const HOUR: i64 = 3_600_000;

    fn round(rule: &str, last: Option<i64>, day: i64) -> Option<(i64, i64)> {
        let rule: Repeat = rule.parse().unwrap();
        let period = (Millis(MONDAY), Millis(MONDAY + 30 * DAY_MS));
        let days = |at: Millis| (at.0 - MONDAY) / DAY_MS;
        let last = last.map(|day| Millis(MONDAY + day * DAY_MS));
        let now = Millis(MONDAY + day * DAY_MS + 9 * HOUR);
        rule.round_at(period, last, now, 480).map(|(from, until)| (days(from), days(until)))
    }

    #[test]
    fn a_plan_of_three_days_a_week_comes_round_on_each_of_them() {
        assert_eq!(round("mon wed fri", None, 0), Some((0, 2)));
        assert_eq!(round("mon wed fri", Some(0), 1), None);
        assert_eq!(round("mon wed fri", Some(0), 2), Some((2, 4)));
        assert_eq!(round("mon wed fri", Some(2), 5), Some((4, 7)), "opened late, on Saturday");
        assert_eq!(
            round("mon wed fri", Some(0), 16),
            Some((16, 18)),
            "those in between nobody could know of"
        );
        assert_eq!(round("every 10 days", Some(0), 9), None);
        assert_eq!(round("every 10 days", Some(0), 23), Some((20, 30)));
        assert_eq!(round("every 10 days", Some(20), 31), None, "the plan is over");
        assert_eq!(round("sun", None, 0), None, "the first Sunday is still to come");
        for text in ["every 7 days", "mon wed fri"] {
            assert_eq!(text.parse::<Repeat>().unwrap().to_string(), text);
        }
        for wrong in ["", "every 0 days", "monday", "every x days", "mon,wed"] {
            assert_eq!(wrong.parse::<Repeat>().unwrap_err().code, "campaign.repeat");
        }
    }

    #[test]
    fn streets_are_divided_whole_and_evenly_and_always_alike() {
        let street =
            |road: &str, covers| Street { district: "d".into(), road: road.into(), covers, crew: None };
        let crews = [UserId::fresh(), UserId::fresh()];
        let mut streets =
            vec![street("a", 10), street("b", 30), street("c", 20), street("d", 5), street("", 5)];
        divide(&mut streets, &crews);
        let load = |crew| {
            streets.iter().filter(|street| street.crew == Some(crew)).map(|street| street.covers).sum()
        };
        let loads: [i64; 2] = crews.map(load);
        assert_eq!(loads, [35, 35]);
        let mut turned: Vec<Street> = streets.iter().rev().cloned().collect();
        divide(&mut turned, &crews);
        assert_eq!(turned, streets);
        divide(&mut turned, &[]);
        assert_eq!(turned, streets);
    }

    #[test]
    fn a_campaign_goes_only_the_way_it_can() {
        use CampaignStep::*;
        assert_eq!(CampaignState::Draft.after(Start), Some(CampaignState::Running));
        assert_eq!(CampaignState::Draft.after(Close), None);
        assert_eq!(CampaignState::Running.after(Start), None);
        assert_eq!(CampaignState::Closed.after(Withdraw), None);
    }
}
