//! 台账与统计 from memory: every case in two rows of small columns; a question is one pass over them. What the rates
//! mean is said here once. Where the rows come from is the registry's, what is shown of the answers is `http`'s.

mod blocks;
mod period;
mod report;
mod tally;

pub use period::{Period, Span};
pub use report::{Cell, Question, Rate, Report, Sum};
pub use tally::{CaseRow, LateFilter, LedgerFilter, StatFilter, Tally, cell_of, number_key};
