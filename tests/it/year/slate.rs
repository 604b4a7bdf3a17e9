//! What a person with a calendar keeps of a case: whose turn it is, until when, and how late they were. It knows the
//! city's sheet by heart and asks none of the program's arithmetic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use lidmark::domain::case::{CaseMove, CaseState};
use lidmark::domain::cover::CoverClass;
use lidmark::domain::hazard::Hazard;
use lidmark::domain::ids::PartyId;

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// Spans of a working day, in hours.
const WORKED: [(i64, i64); 2] = [(8, 12), (14, 18)];

/// Holidays of 2026 by month with their days, and weekend days on which people work instead.
const HOLIDAYS: &[(i64, &[i64])] = &[
    (1, &[1, 2, 3]),
    (2, &[15, 16, 17, 18, 19, 20, 21, 22, 23]),
    (4, &[4, 5, 6]),
    (5, &[1, 2, 3, 4, 5]),
    (6, &[19, 20, 21]),
    (9, &[25, 26, 27]),
    (10, &[1, 2, 3, 4, 5, 6, 7]),
];
const WORKED_WEEKENDS: &[(i64, &[i64])] = &[(1, &[4]), (2, &[14, 28]), (5, &[9]), (9, &[20]), (10, &[10])];

/// Days since 1970 of days of 2026.
fn days_of_2026(list: &[(i64, &[i64])]) -> BTreeSet<i64> {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    // 56 years of 365 days and the 14 leap days since 1972.
    const NEW_YEAR: i64 = 56 * 365 + 14;
    list.iter()
        .flat_map(|(month, days)| {
            days.iter().map(|day| NEW_YEAR + BEFORE_MONTH[*month as usize - 1] + day - 1)
        })
        .collect()
}

/// The day in China, since 1970.
fn day_of(at: i64) -> i64 {
    (at + 8 * HOUR).div_euclid(DAY)
}

fn midnight(day: i64) -> i64 {
    day * DAY - 8 * HOUR
}

pub fn is_workday(at: i64) -> bool {
    static FREE: LazyLock<BTreeSet<i64>> = LazyLock::new(|| days_of_2026(HOLIDAYS));
    static WORKED: LazyLock<BTreeSet<i64>> = LazyLock::new(|| days_of_2026(WORKED_WEEKENDS));
    let day = day_of(at);
    // 1970-01-01 was a Thursday.
    WORKED.contains(&day) || (!FREE.contains(&day) && (day + 3).rem_euclid(7) < 5)
}

/// What of the time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Always,
    WorkHours,
    WorkDays,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    kind: Kind,
    ms: i64,
}

impl Limit {
    const fn hours(hours: i64) -> Self {
        Self { kind: Kind::Always, ms: hours * HOUR }
    }

    const fn minutes(minutes: i64) -> Self {
        Self { kind: Kind::Always, ms: minutes * MINUTE }
    }

    const fn work_hours(hours: i64) -> Self {
        Self { kind: Kind::WorkHours, ms: hours * HOUR }
    }

    const fn work_days(days: i64) -> Self {
        Self { kind: Kind::WorkDays, ms: days * DAY }
    }
}

/// Stretches of a day that count, as moments.
fn counted(kind: Kind, day: i64) -> Vec<(i64, i64)> {
    let start = midnight(day);
    match kind {
        Kind::Always => vec![(start, start + DAY)],
        _ if !is_workday(start) => Vec::new(),
        Kind::WorkDays => vec![(start, start + DAY)],
        Kind::WorkHours => WORKED.map(|(open, close)| (start + open * HOUR, start + close * HOUR)).into(),
    }
}

/// When so much of it has passed.
fn passed(kind: Kind, from: i64, mut left: i64) -> i64 {
    if left <= 0 {
        return from;
    }
    for day in day_of(from).. {
        for (open, close) in counted(kind, day) {
            let open = open.max(from);
            if close - open >= left {
                return open + left;
            }
            left -= (close - open).max(0);
        }
    }
    unreachable!("people work again some day")
}

/// How much of it lies between two moments.
fn between(kind: Kind, from: i64, to: i64) -> i64 {
    let within = |(open, close): (i64, i64)| (close.min(to) - open.max(from)).max(0);
    (day_of(from)..=day_of(to)).flat_map(|day| counted(kind, day)).map(within).sum()
}

/// How long a party has, and for the repair once it is made safe.
pub fn limits_of(hazard: Hazard, class: Option<CoverClass>) -> (Limit, Option<Limit>) {
    use CoverClass::{Gas as GasCover, Heating, StreetLight};
    match (hazard, class) {
        (Hazard::Missing | Hazard::Displaced, Some(StreetLight)) | (Hazard::Collapsed, _) => {
            (Limit::hours(2), Some(Limit::hours(3 * 24)))
        }
        (Hazard::Gas, _) => (Limit::hours(1), Some(Limit::hours(24))),
        (Hazard::Missing | Hazard::Displaced | Hazard::Ponding, _) => (Limit::hours(2), None),
        (Hazard::Broken, Some(StreetLight | Heating | GasCover)) | (Hazard::Blocked, _) => {
            (Limit::work_days(1), None)
        }
        (Hazard::Broken | Hazard::Overflow, _) => (Limit::work_hours(4), None),
        (Hazard::Rocking | Hazard::NoNet, _) => (Limit::work_days(2), None),
        _ => (Limit::work_days(5), None),
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Desk,
    Party(PartyId),
    Pool,
    /// Paused.
    Clock,
    Nobody,
}

/// A party's time.
#[derive(Debug, Clone)]
struct Budget {
    party: PartyId,
    limit: Limit,
    left: i64,
}

#[derive(Debug, Clone)]
pub struct Slate {
    pub hazard: Hazard,
    pub class: Option<CoverClass>,
    /// Place of the cover in the city's list.
    pub cover: Option<usize>,
    pub emergency: bool,
    pub state: CaseState,
    pub party: Option<PartyId>,
    pub pool: BTreeSet<PartyId>,
    pub joined_to: Option<String>,
    pub opened: i64,
    /// Whether somebody, or an emergency itself, ever put it on file.
    filed: bool,
    pub closed: Option<i64>,
    pub made_safe: bool,
    pub late: i64,
    /// Since when the step counts.
    pub since: i64,
    pub until: i64,
    /// When somebody heard last that a step was over.
    pub told_late: i64,
    budget: Option<Budget>,
}

/// What comes along with a move.
#[derive(Debug, Clone, Default)]
pub struct With {
    pub party: Option<PartyId>,
    pub pool: BTreeSet<PartyId>,
    pub target: Option<String>,
    pub until: i64,
}

impl Slate {
    /// A new case; an emergency goes at once to whose cover it is, or to the pool of all that may be meant.
    pub fn open(
        hazard: Hazard,
        cover: Option<(usize, CoverClass)>,
        whose: Option<PartyId>,
        pool: &BTreeSet<PartyId>,
        now: i64,
    ) -> Self {
        let emergency =
            matches!(hazard, Hazard::Missing | Hazard::Displaced | Hazard::Collapsed | Hazard::Gas);
        let mut slate = Self {
            hazard,
            class: cover.map(|(_, class)| class),
            cover: cover.map(|(at, _)| at),
            emergency,
            state: if emergency { CaseState::Filed } else { CaseState::Reported },
            party: None,
            pool: BTreeSet::new(),
            joined_to: None,
            opened: now,
            filed: emergency,
            closed: None,
            made_safe: false,
            late: 0,
            since: now,
            until: 0,
            told_late: 0,
            budget: None,
        };
        match whose {
            _ if !emergency => {}
            Some(_) => slate.made(CaseMove::Dispatch, With { party: whose, ..With::default() }, now),
            None => slate.made(CaseMove::Offer, With { pool: pool.clone(), ..With::default() }, now),
        }
        slate
    }

    pub fn turn(&self) -> Turn {
        match (self.state, self.party) {
            (CaseState::Closed | CaseState::Rejected | CaseState::Joined, _) => Turn::Nobody,
            (CaseState::Suspended, _) => Turn::Clock,
            (CaseState::Dispatched | CaseState::Handling, Some(party)) => Turn::Party(party),
            (CaseState::Dispatched, None) => Turn::Pool,
            _ => Turn::Desk,
        }
    }

    /// Until when; `None` when it is over.
    pub fn due(&self) -> Option<i64> {
        let urgent = |hurried, usual| if self.emergency { hurried } else { usual };
        let limit = match self.turn() {
            Turn::Nobody => return None,
            Turn::Clock => return Some(self.until),
            Turn::Party(_) => {
                let budget = self.budget.as_ref().expect("a party has its time");
                return Some(passed(budget.limit.kind, self.since, budget.left));
            }
            Turn::Pool => urgent(Limit::minutes(30), Limit::work_hours(4)),
            Turn::Desk => match self.state {
                CaseState::Reported => Limit::work_hours(2),
                CaseState::Handled => urgent(Limit::hours(6), Limit::hours(24)),
                CaseState::Checked => Limit::hours(24),
                _ => urgent(Limit::minutes(15), Limit::work_hours(2)),
            },
        };
        Some(passed(limit.kind, self.since, limit.ms))
    }

    pub fn is_filed(&self) -> bool {
        self.filed
    }

    /// Keeps up with a move that was made.
    pub fn made(&mut self, made: CaseMove, with: With, now: i64) {
        let was_with_party = matches!(self.turn(), Turn::Party(_));
        let goes_on = was_with_party && matches!(made, CaseMove::Accept | CaseMove::Extend);
        let (limit, repair) = limits_of(self.hazard, self.class);
        if let Some(budget) = self.budget.as_mut().filter(|_| was_with_party && !goes_on) {
            budget.left -= between(budget.limit.kind, self.since, now);
            if matches!(made, CaseMove::HandIn | CaseMove::MakeSafe) {
                self.late += (-budget.left).max(0);
            }
        }
        self.filed |= matches!(made, CaseMove::File | CaseMove::Fix);
        let last_of_pool = self.pool.len() == 1;
        self.state = match made {
            CaseMove::File => CaseState::Filed,
            CaseMove::Reject => CaseState::Rejected,
            CaseMove::Join => CaseState::Joined,
            CaseMove::Decline if !last_of_pool => CaseState::Dispatched,
            CaseMove::Refuse | CaseMove::Decline => CaseState::Returned,
            CaseMove::Dispatch | CaseMove::Offer => CaseState::Dispatched,
            CaseMove::Accept | CaseMove::SendBack | CaseMove::Resume => CaseState::Handling,
            CaseMove::HandIn | CaseMove::Fix => CaseState::Handled,
            CaseMove::Check => CaseState::Checked,
            CaseMove::Close => CaseState::Closed,
            CaseMove::Suspend => CaseState::Suspended,
            CaseMove::Reopen => CaseState::Reopened,
            CaseMove::MakeSafe | CaseMove::Extend => self.state,
        };
        match made {
            CaseMove::Dispatch | CaseMove::Accept => {
                self.party = with.party.or(self.party);
                self.pool.clear();
            }
            CaseMove::Offer => (self.party, self.pool) = (None, with.pool),
            CaseMove::Decline if !last_of_pool => {
                self.pool.retain(|party| Some(*party) != with.party);
            }
            CaseMove::Refuse | CaseMove::Decline => {
                self.party = None;
                self.pool.clear();
            }
            CaseMove::MakeSafe => {
                self.made_safe = true;
                self.budget = None;
            }
            CaseMove::Extend => {
                let budget = self.budget.as_mut().expect("whoever asks for time has some");
                budget.left += budget.limit.ms;
            }
            CaseMove::Suspend => self.until = with.until,
            CaseMove::Join => self.joined_to = with.target,
            CaseMove::Close => self.closed = Some(now),
            CaseMove::Reopen => {
                (self.party, self.closed, self.budget) = (None, None, None);
                self.made_safe = false;
            }
            _ => {}
        }
        if let Turn::Party(party) = self.turn()
            && self.budget.as_ref().is_none_or(|budget| budget.party != party)
        {
            let limit = if self.made_safe { repair.unwrap_or(limit) } else { limit };
            self.budget = Some(Budget { party, limit, left: limit.ms });
        }
        if !goes_on {
            self.since = now;
        }
    }

    /// What the clock does by itself: a pause ends, and what nobody of a pool claimed goes back to the desk.
    pub fn swept(&mut self, now: i64) {
        let is_due = self.due().is_some_and(|due| due <= now);
        match self.turn() {
            Turn::Clock if is_due => self.made(CaseMove::Resume, With::default(), now),
            Turn::Pool if is_due => self.made(CaseMove::Refuse, With::default(), now),
            _ => {}
        }
    }
}

/// How many cases stand where.
pub fn recount<'s>(slates: impl Iterator<Item = &'s Slate>) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for slate in slates {
        *counts.entry(slate.state.to_string()).or_default() += 1;
    }
    counts
}
