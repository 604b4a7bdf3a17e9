//! Every case in the order of numbers, in two rows: what every question looks at in one of 24 bytes, the rest in
//! another of 32. A pass over a million takes a few milliseconds, less by the blocks that it passes by, and needs no
//! index that each move would have to keep.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::blocks::{self, Block};
use super::period::Span;
use crate::domain::case::{CaseCounts, CaseSource, CaseState};
use crate::domain::cover::CoverClass;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{Millis, PartyId};

/// What the tally is told of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseRow {
    pub number: String,
    pub district: String,
    pub party: Option<PartyId>,
    pub class: Option<CoverClass>,
    pub hazard: Hazard,
    pub source: CaseSource,
    pub state: CaseState,
    pub created_at: Millis,
    pub closed_at: Option<Millis>,
    pub due_at: Option<Millis>,
    pub counts: CaseCounts,
    pub late_ms: i64,
    pub exempt: bool,
    /// Whether it is the hazard of a closed case again.
    pub recurs: bool,
    pub lon: f64,
    pub lat: f64,
}

/// Which cases. Every `Some` narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StatFilter {
    pub district: Option<String>,
    pub party: Option<PartyId>,
    pub class: Option<CoverClass>,
    pub source: Option<CaseSource>,
    pub hazard: Option<Hazard>,
}

/// Which lines of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerFilter {
    pub of: StatFilter,
    /// None = all.
    pub states: Vec<CaseState>,
    /// From this moment on, and before that one.
    pub reported: (Option<Millis>, Option<Millis>),
    pub closed: (Option<Millis>, Option<Millis>),
    pub late: Option<LateFilter>,
    /// Only these, by the keys of their numbers: those in which a text was found.
    pub among: Option<HashSet<u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateFilter {
    /// 超期: the step at which it stands was over by then.
    Overdue(Millis),
    /// 逾期: a party handed in late, whether or not an appeal took it out of the statistics.
    Late,
    /// 免责: late, but out of the statistics.
    Exempt,
}

pub(super) const NONE: u8 = u8::MAX;
pub(super) const NEVER: i64 = i64::MAX;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hot {
    pub created: i64,
    /// `NEVER` unless it is closed.
    pub closed: i64,
    pub district: u16,
    /// 0 = nobody's.
    pub party: u16,
    pub class: u8,
    pub source: u8,
    pub hazard: u8,
    pub state: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cold {
    pub due: i64,
    pub cell: [u16; 2],
    pub dispatches: u32,
    pub refusals: u32,
    pub reworks: u32,
    /// Found again after closing, as itself or as this one.
    pub recurrences: u32,
    pub is_late: bool,
    pub is_exempt: bool,
}

/// All cases. The version is the number of the last change that it contains.
#[derive(Debug, Default)]
pub struct Tally {
    keys: Vec<u64>,
    pub(super) hot: Vec<Hot>,
    pub(super) cold: Vec<Cold>,
    pub(super) blocks: Vec<Block>,
    pub(super) districts: Vec<String>,
    pub(super) parties: Vec<PartyId>,
    party_slots: HashMap<PartyId, u16>,
    pub version: i64,
}

/// Year and running number as one, so that cases stand in their order; `None` for what is no number of a case.
pub fn number_key(number: &str) -> Option<u64> {
    let (year, running) = number.split_once('-')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if year.len() != 4 || running.len() < 6 || !plain(year) || !plain(running) {
        return None;
    }
    Some(year.parse::<u64>().ok()? << 40 | running.parse::<u64>().ok().filter(|running| *running < 1 << 40)?)
}

fn key_number(key: u64) -> String {
    format!("{:04}-{:06}", key >> 40, key & ((1 << 40) - 1))
}

/// A hundredth of a degree each way.
pub(super) const CELLS_PER_DEGREE: f64 = 100.0;

/// Column and row of the heat map in which a place lies.
pub fn cell_of(lon: f64, lat: f64) -> [u16; 2] {
    [(lon + 180.0) * CELLS_PER_DEGREE, (lat + 90.0) * CELLS_PER_DEGREE]
        .map(|at| at.clamp(0.0, 36_000.0) as u16)
}

/// What a filter asks, in the terms of the rows; `None` when nothing can fit it.
#[derive(PartialEq, Eq)]
pub(super) struct Sieve {
    district: Option<u16>,
    party: Option<u16>,
    class: Option<u8>,
    source: Option<u8>,
    hazard: Option<u8>,
}

impl Sieve {
    const OPEN: Self = Self { district: None, party: None, class: None, source: None, hazard: None };

    fn lets_all_pass(&self) -> bool {
        *self == Self::OPEN
    }

    pub(super) fn passes(&self, row: &Hot) -> bool {
        self.district.is_none_or(|wanted| wanted == row.district)
            && self.party.is_none_or(|wanted| wanted == row.party)
            && self.class.is_none_or(|wanted| wanted == row.class)
            && self.source.is_none_or(|wanted| wanted == row.source)
            && self.hazard.is_none_or(|wanted| wanted == row.hazard)
    }
}

impl Tally {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.keys.capacity() * size_of::<u64>()
            + self.hot.capacity() * size_of::<Hot>()
            + self.cold.capacity() * size_of::<Cold>()
            + self.blocks.capacity() * size_of::<Block>()
    }

    /// Takes cases as they are now. A number behind all that are known costs nothing more. A case is never deleted.
    pub fn apply(&mut self, rows: &[CaseRow]) {
        for row in rows {
            let Some(key) = number_key(&row.number) else { continue };
            let (hot, cold) = self.pack(row);
            match self.keys.binary_search(&key) {
                Ok(at) => {
                    (self.hot[at], self.cold[at]) = (hot, cold);
                    let block = at / blocks::ROWS;
                    self.blocks[block] = Block::of(&self.hot[self.rows_of(block)]);
                }
                Err(at) => {
                    self.keys.insert(at, key);
                    self.hot.insert(at, hot);
                    self.cold.insert(at, cold);
                    self.sum_up_from(at);
                }
            }
        }
    }

    /// Brings up the blocks from the row on that was inserted.
    fn sum_up_from(&mut self, at: usize) {
        let is_last = at + 1 == self.hot.len();
        if is_last && !at.is_multiple_of(blocks::ROWS) {
            self.blocks[at / blocks::ROWS].add(&self.hot[at]);
            return;
        }
        self.blocks.truncate(at / blocks::ROWS);
        let rest = self.hot[self.blocks.len() * blocks::ROWS..].chunks(blocks::ROWS);
        self.blocks.extend(rest.map(Block::of));
    }

    pub(super) fn rows_of(&self, block: usize) -> Range<usize> {
        block * blocks::ROWS..self.hot.len().min((block + 1) * blocks::ROWS)
    }

    fn pack(&mut self, row: &CaseRow) -> (Hot, Cold) {
        let district = self.districts.iter().position(|known| *known == row.district).unwrap_or_else(|| {
            self.districts.push(row.district.clone());
            self.districts.len() - 1
        });
        let party = row.party.map_or(0, |party| {
            *self.party_slots.entry(party).or_insert_with(|| {
                self.parties.push(party);
                self.parties.len() as u16
            })
        });
        let small = |count: i64| u32::try_from(count).unwrap_or_default();
        let closed = row.closed_at.filter(|_| row.state == CaseState::Closed);
        let hot = Hot {
            created: row.created_at.0,
            closed: closed.map_or(NEVER, |at| at.0),
            district: district as u16,
            party,
            class: row.class.map_or(NONE, |class| class as u8),
            source: row.source as u8,
            hazard: row.hazard as u8,
            state: row.state as u8,
        };
        let cold = Cold {
            due: row.due_at.map_or(NEVER, |at| at.0),
            cell: cell_of(row.lon, row.lat),
            dispatches: small(row.counts.dispatches),
            refusals: small(row.counts.refusals),
            reworks: small(row.counts.reworks),
            recurrences: small(row.counts.reopenings) + u32::from(row.recurs),
            is_late: row.late_ms > 0,
            is_exempt: row.exempt,
        };
        (hot, cold)
    }

    pub(super) fn sieve(&self, filter: &StatFilter) -> Option<Sieve> {
        let district = match &filter.district {
            None => None,
            Some(code) => Some(self.districts.iter().position(|known| known == code)? as u16),
        };
        let party = match filter.party {
            None => None,
            Some(party) => Some(*self.party_slots.get(&party)?),
        };
        Some(Sieve {
            district,
            party,
            class: filter.class.map(|class| class as u8),
            source: filter.source.map(|source| source as u8),
            hazard: filter.hazard.map(|hazard| hazard as u8),
        })
    }

    /// Numbers of the lines of the ledger, the latest first: those below `before`, at most `limit`; and how many lines
    /// there are in all.
    pub fn list(&self, filter: &LedgerFilter, before: Option<&str>, limit: usize) -> (Vec<String>, usize) {
        let Some(sieve) = self.sieve(&filter.of) else { return Default::default() };
        let before = match before {
            None => u64::MAX,
            Some(number) => match number_key(number) {
                Some(key) => key,
                None => return Default::default(),
            },
        };
        let states = states_among(&filter.states);
        let span = |(from, until): (Option<Millis>, Option<Millis>)| {
            (from.unwrap_or(Millis(i64::MIN)), until.unwrap_or(Millis(i64::MAX)))
        };
        let (reported, closed) = (span(filter.reported), span(filter.closed));
        let asks_closed = filter.closed != (None, None);
        let asks_each =
            !sieve.lets_all_pass() || asks_closed || filter.late.is_some() || filter.among.is_some();
        let (mut numbers, mut count) = (Vec::new(), 0);
        for (at, block) in self.blocks.iter().enumerate().rev() {
            let may_fit = block.has_state(states)
                && block.reported_in(reported)
                && (!asks_closed || block.closed_in(closed));
            if !may_fit {
                continue;
            }
            let rows = self.rows_of(at);
            let all_fit = !asks_each && block.has_no_state_but(states) && block.all_reported_in(reported);
            if all_fit && (numbers.len() == limit || self.keys[rows.start] >= before) {
                count += rows.len();
                continue;
            }
            for at in rows.rev() {
                let hot = &self.hot[at];
                let fits = sieve.passes(hot)
                    && states & 1 << hot.state != 0
                    && within(reported, hot.created)
                    && (!asks_closed || (hot.closed != NEVER && within(closed, hot.closed)))
                    && filter.late.is_none_or(|late| self.is_late(at, late))
                    && filter.among.as_ref().is_none_or(|among| among.contains(&self.keys[at]));
                if fits {
                    count += 1;
                    if numbers.len() < limit && self.keys[at] < before {
                        numbers.push(key_number(self.keys[at]));
                    }
                }
            }
        }
        (numbers, count)
    }

    fn is_late(&self, at: usize, late: LateFilter) -> bool {
        let (hot, cold) = (&self.hot[at], &self.cold[at]);
        match late {
            LateFilter::Overdue(now) => state_of(hot.state).is_open() && cold.due <= now.0,
            LateFilter::Late => cold.is_late,
            LateFilter::Exempt => cold.is_late && cold.is_exempt,
        }
    }
}

/// A bit for each of the states; none named means all.
fn states_among(states: &[CaseState]) -> u32 {
    let bits = |states: &[CaseState]| states.iter().fold(0, |set, state| set | 1 << (*state as u8));
    if states.is_empty() { u32::MAX } else { bits(states) }
}

/// A bit for each state in which a case is open.
pub(super) fn open_states() -> u32 {
    let open: Vec<CaseState> = CaseState::ALL.iter().copied().filter(|state| state.is_open()).collect();
    states_among(&open)
}

pub(super) fn within((from, until): Span, at: i64) -> bool {
    at >= from.0 && at < until.0
}

pub(super) fn state_of(state: u8) -> CaseState {
    CaseState::ALL.get(usize::from(state)).copied().unwrap_or(CaseState::Reported)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::stats::Question;

    #[test]
    fn a_row_is_small_and_a_number_comes_back_as_it_was() {
        assert_eq!((size_of::<Hot>(), size_of::<Cold>()), (24, 32));
        for number in ["2026-000001", "2026-999999", "2026-1000000", "0001-000000"] {
            assert_eq!(key_number(number_key(number).unwrap()), number);
        }
        assert!(number_key("2026-999999") < number_key("2026-1000000"), "not as texts");
        for text in
            ["", "2026", "2026-1", "2026-00000x", "x026-000001", "2026-99999999999999999999", "２026-000001"]
        {
            assert_eq!(number_key(text), None, "{text}");
        }
    }

    const HOUR: i64 = 3_600_000;

    /// A case each hour or so; what does not matter here is the same for all.
    fn case(running: u64, state: CaseState, created: i64, took: i64, source: CaseSource) -> CaseRow {
        CaseRow {
            number: format!("2026-{running:06}"),
            district: "370502".to_owned(),
            party: None,
            class: None,
            hazard: Hazard::ALL[running as usize % Hazard::ALL.len()],
            source,
            state,
            created_at: Millis(created),
            closed_at: (state == CaseState::Closed).then_some(Millis(created + took)),
            due_at: state.is_open().then_some(Millis(created + took)),
            counts: CaseCounts::default(),
            late_ms: i64::from(running.is_multiple_of(7)),
            exempt: false,
            recurs: false,
            lon: 118.5,
            lat: 37.4,
        }
    }

    prop_compose! {
        fn some_case()(
            running in 0..4000u64,
            state in prop::sample::select(CaseState::ALL),
            early in 0..40 * HOUR,
            took in 1..200 * HOUR,
            source in prop::sample::select(CaseSource::ALL),
        ) -> CaseRow {
            case(running, state, running as i64 * HOUR - early, took, source)
        }
    }

    fn some_span() -> impl Strategy<Value = (Option<Millis>, Option<Millis>)> {
        let edge = || prop::option::of((-50..4050i64).prop_map(|hour| Millis(hour * HOUR)));
        (edge(), edge())
    }

    fn is_in((from, until): (Option<Millis>, Option<Millis>), at: Millis) -> bool {
        from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_block_hides_no_case(
            first in 0..3000u64,
            changed in prop::collection::vec(some_case(), 1..60),
            reported in some_span(),
            closed in prop_oneof![Just((None, None)), some_span()],
            states in prop::sample::subsequence(CaseState::ALL.to_vec(), 0..3),
            source in prop::option::of(prop::sample::select(CaseSource::ALL)),
            before in prop::option::of(0..4000u64),
            now in 0..4200 * HOUR,
        ) {
            // Closed ones, one after another; then some are changed, and some come in between.
            let rows = (first..4000).filter(|running| running % 3 != 0);
            let rows = rows.map(|n| case(n, CaseState::Closed, n as i64 * HOUR, HOUR, CaseSource::Patrol));
            let mut all: BTreeMap<String, CaseRow> = rows.map(|row| (row.number.clone(), row)).collect();
            let mut tally = Tally::default();
            tally.apply(&all.values().cloned().collect::<Vec<_>>());
            tally.apply(&changed);
            all.extend(changed.into_iter().map(|row| (row.number.clone(), row)));

            let of = StatFilter { source, ..StatFilter::default() };
            let filter = LedgerFilter { of: of.clone(), states, reported, closed, ..LedgerFilter::default() };
            let before = before.map(|running| format!("2026-{running:06}"));
            let fits = |row: &&CaseRow| {
                source.is_none_or(|source| row.source == source)
                    && (filter.states.is_empty() || filter.states.contains(&row.state))
                    && is_in(reported, row.created_at)
                    && (closed == (None, None) || row.closed_at.is_some_and(|at| is_in(closed, at)))
            };
            let fitting: Vec<&CaseRow> = all.values().rev().filter(fits).collect();
            let page = fitting.iter().map(|row| row.number.clone());
            let page = page.filter(|number| before.as_ref().is_none_or(|before| number < before));
            prop_assert_eq!(
                tally.list(&filter, before.as_deref(), 20),
                (page.take(20).collect::<Vec<_>>(), fitting.len())
            );

            let span = (reported.0.unwrap_or(Millis(0)), reported.1.unwrap_or(Millis(4000 * HOUR)));
            let month = |at: i64| (Millis(at * 700 * HOUR), Millis((at + 1) * 700 * HOUR));
            let months: Vec<Span> = (0..6).map(month).collect();
            let question = Question {
                filter: of,
                span,
                previous: month(1),
                last_year: month(0),
                months: months.clone(),
                as_of: Millis(now),
            };
            let report = tally.report(&question);
            let of_source = || all.values().filter(|row| source.is_none_or(|source| row.source == source));
            let closed_in = |span: Span| {
                of_source().filter(|row| row.closed_at.is_some_and(|at| within(span, at.0))).count() as u64
            };
            let reported_in =
                |span: Span| of_source().filter(|row| within(span, row.created_at.0)).count() as u64;
            prop_assert_eq!((report.sum.reported, report.sum.closed), (reported_in(span), closed_in(span)));
            prop_assert_eq!(report.previous.reported, reported_in(question.previous));
            prop_assert_eq!(report.last_year.closed, closed_in(question.last_year));
            prop_assert_eq!(report.sum.open, of_source().filter(|row| row.state.is_open()).count() as u64);
            let counted: Vec<u64> = report.months.iter().map(|(count, _)| *count).collect();
            prop_assert_eq!(counted, months.into_iter().map(closed_in).collect::<Vec<_>>());
        }
    }
}
