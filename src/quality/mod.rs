//! 档案质量 from memory: how complete the files of each district are, which covers want a look, and which
//! two may be one. Knows `domain` and `spatial`; the rows are the registry's, what is done about them is as well.

mod board;
mod close_pairs;

pub use board::{Board, DistrictSum, FileFilter, MaterialFilter, Scores};
pub use close_pairs::{ClosePair, Sweep, close_pairs};
