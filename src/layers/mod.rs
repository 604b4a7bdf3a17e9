//! 图层: collections of features as other programs ask for them. Which properties a collection has, who may
//! see them, and which of its rows a question means. How answers are written is `http`'s.

mod cover_diff;
mod cover_fields;
mod cover_search;
mod word_match;

pub use cover_diff::{DIFF_FIELDS, DiffKind, Difference, differences};
pub use cover_fields::{CoverField, CoverReader, CoverView, cover_schema};
pub use cover_search::{CoverKey, CoverSearch, Direction, SortKey, SortedAfter, Within};
pub use word_match::{Fit, Wanted};
