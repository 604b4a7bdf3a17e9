//! The figures of a dashboard: what is counted, and what each rate means. One pass over the cases answers all of it.

use std::collections::BTreeMap;

use super::period::Span;
use super::tally::{
    CELLS_PER_DEGREE, Cold, Hot, NEVER, NONE, StatFilter, Tally, open_states, state_of, within,
};
use crate::domain::case::{CaseSource, CaseState};
use crate::domain::cover::CoverClass;
use crate::domain::ids::{Millis, PartyId};

/// What part of what. All of them speak of the cases that were reported in the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// 办结率: closed of all.
    Closed,
    /// 有效办结率: closed of those that are no void: neither rejected nor joined to another.
    ClosedOfValid,
    /// 按期办结率: closed without a party having been late, of those that are closed or overdue. Void and exempt cases
    /// are left out.
    OnTime,
    /// 误派率: dispatches that a party refused.
    Misdispatch,
}

impl Rate {
    pub const ALL: [Rate; 4] = [Rate::Closed, Rate::ClosedOfValid, Rate::OnTime, Rate::Misdispatch];

    pub const fn as_str(self) -> &'static str {
        match self {
            Rate::Closed => "closed",
            Rate::ClosedOfValid => "closed_of_valid",
            Rate::OnTime => "on_time",
            Rate::Misdispatch => "misdispatch",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    pub filter: StatFilter,
    pub span: Span,
    /// 环比
    pub previous: Span,
    /// 同比
    pub last_year: Span,
    /// Of the trend, the earliest first.
    pub months: Vec<Span>,
    /// What is overdue is so at this moment.
    pub as_of: Millis,
}

/// What there is to say of some cases in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Reported in the period; the next eight are of these.
    pub reported: u64,
    /// Closed meanwhile.
    pub done: u64,
    /// Rejected or joined to another.
    pub void: u64,
    /// Neither void nor exempt, and closed or overdue: those that should be closed.
    pub due: u64,
    /// Of these closed, no party having been late.
    pub on_time: u64,
    pub dispatches: u64,
    pub refusals: u64,
    pub reworks: u64,
    pub recurrences: u64,
    /// Closed in the period, whenever reported; the next four are of these.
    pub closed: u64,
    /// A party was late, and no appeal took it out.
    pub late: u64,
    /// A party was late, and an appeal took it out: the fact stays.
    pub exempt: u64,
    /// From report to close; the value at half and at nine tenths of them in order.
    pub median_ms: Option<i64>,
    pub p90_ms: Option<i64>,
    /// Open now, whenever reported.
    pub open: u64,
    /// Of these, the step at which they stand is over.
    pub overdue: u64,
}

impl Sum {
    /// Part and whole of a rate.
    pub fn rate(&self, rate: Rate) -> (u64, u64) {
        match rate {
            Rate::Closed => (self.done, self.reported),
            Rate::ClosedOfValid => (self.done, self.reported - self.void),
            Rate::OnTime => (self.on_time, self.due),
            Rate::Misdispatch => (self.refusals, self.dispatches),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.reported == 0 && self.closed == 0 && self.open == 0
    }
}

/// A square of the heat map: its south-west corner in degrees, and how many cases were reported there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Columns and rows of a hundredth of a degree, counted from 180° W and 90° S.
    pub at: [u16; 2],
    pub cases: u64,
}

impl Cell {
    pub fn corner(&self) -> (f64, f64) {
        (f64::from(self.at[0]) / CELLS_PER_DEGREE - 180.0, f64::from(self.at[1]) / CELLS_PER_DEGREE - 90.0)
    }
}

/// The answer. Lists hold what has cases, in the order of codes and words; parties as they came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    pub sum: Sum,
    pub previous: Sum,
    pub last_year: Sum,
    pub sources: Vec<(CaseSource, Sum)>,
    pub parties: Vec<(Option<PartyId>, Sum)>,
    pub districts: Vec<(String, Sum)>,
    pub classes: Vec<(Option<CoverClass>, Sum)>,
    /// How many were closed in each month of the trend, and their median.
    pub months: Vec<(u64, Option<i64>)>,
    pub cells: Vec<Cell>,
}

/// A sum in the making.
#[derive(Default, Clone)]
struct Heap {
    sum: Sum,
    took: Vec<i64>,
}

/// What a row adds, looked at once for all the heaps that it goes to.
#[derive(Default)]
struct Share {
    sum: Sum,
    took: Option<i64>,
}

impl Share {
    fn of(hot: &Hot, cold: &Cold, span: Span, now: Option<Millis>, as_of: Millis) -> Self {
        let mut share = Self::default();
        let sum = &mut share.sum;
        let state = state_of(hot.state);
        let is_closed = hot.closed != NEVER;
        let is_overdue = state.is_open() && cold.due <= as_of.0;
        if within(span, hot.created) {
            let is_void = matches!(state, CaseState::Rejected | CaseState::Joined);
            let is_due = !is_void && !cold.is_exempt && (is_closed || is_overdue);
            sum.reported = 1;
            sum.done = u64::from(is_closed);
            sum.void = u64::from(is_void);
            sum.due = u64::from(is_due);
            sum.on_time = u64::from(is_due && is_closed && !cold.is_late);
            sum.dispatches = u64::from(cold.dispatches);
            sum.refusals = u64::from(cold.refusals);
            sum.reworks = u64::from(cold.reworks);
            sum.recurrences = u64::from(cold.recurrences);
        }
        if is_closed && within(span, hot.closed) {
            sum.closed = 1;
            sum.late = u64::from(cold.is_late && !cold.is_exempt);
            sum.exempt = u64::from(cold.is_late && cold.is_exempt);
            share.took = Some(hot.closed - hot.created);
        }
        if now.is_some() && state.is_open() {
            sum.open = 1;
            sum.overdue = u64::from(is_overdue);
        }
        share
    }
}

impl Heap {
    fn add(&mut self, share: &Share) {
        let (sum, more) = (&mut self.sum, &share.sum);
        sum.reported += more.reported;
        sum.done += more.done;
        sum.void += more.void;
        sum.due += more.due;
        sum.on_time += more.on_time;
        sum.dispatches += more.dispatches;
        sum.refusals += more.refusals;
        sum.reworks += more.reworks;
        sum.recurrences += more.recurrences;
        sum.closed += more.closed;
        sum.late += more.late;
        sum.exempt += more.exempt;
        sum.open += more.open;
        sum.overdue += more.overdue;
        self.took.extend(share.took);
    }

    fn finish(mut self) -> Sum {
        self.sum.p90_ms = nearest_rank(&mut self.took, 90);
        self.sum.median_ms = nearest_rank(&mut self.took, 50);
        self.sum
    }
}

/// The smallest value that so many percent of all do not exceed.
fn nearest_rank(values: &mut [i64], percent: usize) -> Option<i64> {
    let rank = (values.len() * percent).div_ceil(100);
    let at = rank.checked_sub(1)?;
    Some(*values.select_nth_unstable(at).1)
}

/// In which of the spans, the earliest first, a moment lies.
fn month_of(months: &[Span], at: i64) -> Option<usize> {
    let last = months.partition_point(|month| month.0.0 <= at).checked_sub(1)?;
    within(months[last], at).then_some(last)
}

/// Heaps with something in them.
fn named<K>(heaps: Vec<Heap>, name: impl Fn(usize) -> K) -> Vec<(K, Sum)> {
    let sums = heaps.into_iter().enumerate().map(|(at, heap)| (name(at), heap.finish()));
    sums.filter(|(_, sum)| !sum.is_empty()).collect()
}

impl Tally {
    /// Counts what is asked.
    pub fn report(&self, question: &Question) -> Report {
        let Some(sieve) = self.sieve(&question.filter) else {
            return Report { months: vec![(0, None); question.months.len()], ..Report::default() };
        };
        let (as_of, span) = (question.as_of, question.span);
        let classes = CoverClass::ALL.len();
        let [mut all, mut previous, mut last_year] = [(); 3].map(|()| Heap::default());
        let mut sources = vec![Heap::default(); CaseSource::ALL.len()];
        let mut parties = vec![Heap::default(); self.parties.len() + 1];
        let mut districts = vec![Heap::default(); self.districts.len()];
        let mut by_class = vec![Heap::default(); classes + 1];
        let mut months: Vec<Vec<i64>> = vec![Vec::new(); question.months.len()];
        let mut cells: BTreeMap<[u16; 2], u64> = BTreeMap::new();
        let others = [question.previous, question.last_year];
        let spans = || [span, question.previous, question.last_year].into_iter();
        let open = open_states();
        let asked = self.blocks.iter().enumerate().filter(|(_, block)| {
            block.has_state(open)
                || spans().any(|span| block.reported_in(span) || block.closed_in(span))
                || question.months.iter().any(|month| block.closed_in(*month))
        });
        let rows = asked.flat_map(|(at, _)| self.rows_of(at));
        for (at, hot) in rows.map(|at| (at, &self.hot[at])).filter(|(_, hot)| sieve.passes(hot)) {
            let is_open = open & 1 << hot.state != 0;
            let cold = &self.cold[at];
            if hot.closed != NEVER
                && let Some(month) = month_of(&question.months, hot.closed)
            {
                months[month].push(hot.closed - hot.created);
            }
            for (heap, other) in [&mut previous, &mut last_year].into_iter().zip(others) {
                if within(other, hot.created) || within(other, hot.closed) {
                    heap.add(&Share::of(hot, cold, other, None, as_of));
                }
            }
            let is_reported = within(span, hot.created);
            if is_open || is_reported || within(span, hot.closed) {
                let share = Share::of(hot, cold, span, Some(as_of), as_of);
                let class = if hot.class == NONE { classes } else { usize::from(hot.class) };
                all.add(&share);
                sources[usize::from(hot.source)].add(&share);
                parties[usize::from(hot.party)].add(&share);
                districts[usize::from(hot.district)].add(&share);
                by_class[class].add(&share);
            }
            if is_reported {
                *cells.entry(cold.cell).or_default() += 1;
            }
        }
        let mut districts = named(districts, |at| self.districts[at].clone());
        districts.sort_by(|one, other| one.0.cmp(&other.0));
        Report {
            sum: all.finish(),
            previous: previous.finish(),
            last_year: last_year.finish(),
            sources: named(sources, |at| CaseSource::ALL[at]),
            parties: named(parties, |at| at.checked_sub(1).map(|at| self.parties[at])),
            districts,
            classes: named(by_class, |at| CoverClass::ALL.get(at).copied()),
            months: months
                .into_iter()
                .map(|mut took| (took.len() as u64, nearest_rank(&mut took, 50)))
                .collect(),
            cells: cells.into_iter().map(|(at, cases)| Cell { at, cases }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_one_of_the_values() {
        let rank = |values: &[i64], percent| nearest_rank(&mut values.to_vec(), percent);
        assert_eq!(rank(&[], 50), None);
        assert_eq!((rank(&[7], 50), rank(&[7], 90)), (Some(7), Some(7)));
        assert_eq!((rank(&[4, 1, 3, 2], 50), rank(&[4, 1, 3, 2], 90)), (Some(2), Some(4)));
        let ten: Vec<i64> = (1..=10).rev().collect();
        assert_eq!((rank(&ten, 50), rank(&ten, 90)), (Some(5), Some(9)));
    }
}
