//! 图层: collections of features as other programs ask for them. Which properties a collection has, who may
//! see them, and which of its rows a question means. How answers are written is `http`'s.

mod cover_diff;
mod cover_fields;
mod cover_search;
mod order;
mod table_fields;
mod word_match;

pub use cover_diff::{DIFF_FIELDS, DiffKind, Difference, differences};
pub use cover_fields::{CoverField, CoverReader, CoverView, cover_schema};
pub use cover_search::{CoverKey, CoverSearch, Within, key_ranges};
pub use order::{Direction, FirstRows, SortKey, SortedAfter};
pub use table_fields::{TableField, moment_field, table_fields, table_schema};
pub use word_match::{Fit, Wanted};
