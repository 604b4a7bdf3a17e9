//! What stands in a thousand rows together, so that a question passes by those that cannot answer it and counts those
//! that wholly do without a look at each.

use super::period::Span;
use super::tally::{Hot, NEVER};

/// Rows a block.
pub(super) const ROWS: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    /// The earliest and the latest.
    created: (i64, i64),
    /// Of those that are closed; the wrong way round where none is.
    closed: (i64, i64),
    /// A bit for each state that occurs.
    states: u32,
}

impl Default for Block {
    fn default() -> Self {
        let nothing = (i64::MAX, i64::MIN);
        Self { created: nothing, closed: nothing, states: 0 }
    }
}

fn widen((first, last): &mut (i64, i64), at: i64) {
    (*first, *last) = (at.min(*first), at.max(*last));
}

impl Block {
    pub fn of(rows: &[Hot]) -> Self {
        let mut block = Self::default();
        rows.iter().for_each(|row| block.add(row));
        block
    }

    pub fn add(&mut self, row: &Hot) {
        widen(&mut self.created, row.created);
        if row.closed != NEVER {
            widen(&mut self.closed, row.closed);
        }
        self.states |= 1 << row.state;
    }

    /// Whether one of these states may occur.
    pub fn has_state(&self, states: u32) -> bool {
        self.states & states != 0
    }

    pub fn has_no_state_but(&self, states: u32) -> bool {
        self.states & !states == 0
    }

    /// Whether one may have been reported in that time.
    pub fn reported_in(&self, (from, until): Span) -> bool {
        self.created.0 < until.0 && self.created.1 >= from.0
    }

    pub fn all_reported_in(&self, (from, until): Span) -> bool {
        self.created.0 >= from.0 && self.created.1 < until.0
    }

    /// Whether one may have been closed in that time.
    pub fn closed_in(&self, (from, until): Span) -> bool {
        self.closed.0 < until.0 && self.closed.1 >= from.0
    }
}
