//! What a filter reads: the values of a row, and the dictionaries that columns of words share.

use std::borrow::Cow;

use super::figure::Figure;

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Nobody knows. A comparison with it is neither true nor false.
    Null,
    Text(Cow<'a, str>),
    /// Finite.
    Number(f64),
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Longitude and latitude in degrees, finite.
    Point(f64, f64),
    /// A line or an area in degrees.
    Figure(&'a Figure),
    TextList(Cow<'a, [String]>),
}

/// What a filter is asked about. A field that does not exist is [`Value::Null`].
pub trait Row {
    /// The value of a field by its number in the [`super::Schema`], of the kind that stands there, or null.
    fn value(&self, field: usize) -> Value<'_>;

    /// The number of the field's value in its [`Dictionary`], [`NULL_TERM`] for null; `None` for a field without one.
    fn term(&self, field: usize) -> Option<u32> {
        let _ = field;
        None
    }
}

/// The number that stands for null among terms.
pub const NULL_TERM: u32 = u32::MAX;

/// The values that each field of few values can have, by number.
pub trait Dictionary {
    /// How many there are; `None` for a field without a dictionary.
    fn terms(&self, field: usize) -> Option<usize>;

    /// The value with this number, which is below the count.
    fn term(&self, field: usize, number: u32) -> Value<'_>;
}

/// No field has a dictionary.
pub struct NoDictionary;

impl Dictionary for NoDictionary {
    fn terms(&self, _: usize) -> Option<usize> {
        None
    }

    fn term(&self, _: usize, _: u32) -> Value<'_> {
        Value::Null
    }
}
