//! What is written: a layer of rows with the same columns.

use std::borrow::Cow;

use crate::domain::ids::Millis;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// An object in JSON; a nested one where the format has such.
    Json,
    Whole,
    Real,
    Yes,
    Time,
}

/// A column under all the names that formats want of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Letters, digits and underscores: the same word as in the API.
    pub name: &'static str,
    /// At most ten of them, for Shapefile.
    pub short: &'static str,
    pub kind: Kind,
    /// What it is, as people say it.
    pub title_zh: String,
    pub title_en: String,
}

/// Rows of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// As a name of a table: letters, digits and underscores.
    pub name: &'static str,
    pub title: String,
    pub columns: Vec<Column>,
    /// What stands above the columns of a table; their names in every other format.
    pub headings: Vec<String>,
    pub made_at: Millis,
    /// Minutes east of Greenwich of the clock in which tables show times.
    pub utc_offset_minutes: i32,
}

/// One value. `Null` = unknown.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A whole JSON object.
    Json(Cow<'a, str>),
    Whole(i64),
    Real(f64),
    Yes(bool),
    Time(Millis),
}

impl<'a> Value<'a> {
    pub fn text(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

macro_rules! value_from {
    ($($from:ty => |$value:ident| $made:expr;)+) => { $(
        impl<'a> From<$from> for Value<'a> {
            fn from($value: $from) -> Self {
                $made
            }
        }

        impl<'a> From<Option<$from>> for Value<'a> {
            fn from(value: Option<$from>) -> Self {
                value.map_or(Value::Null, Value::from)
            }
        }
    )+ };
}

value_from! {
    &'a str => |text| Value::Text(Cow::Borrowed(text));
    &'a String => |text| Value::Text(Cow::Borrowed(text.as_str()));
    String => |text| Value::Text(Cow::Owned(text));
    i64 => |number| Value::Whole(number);
    f64 => |number| if number.is_finite() { Value::Real(number) } else { Value::Null };
    bool => |yes| Value::Yes(yes);
    Millis => |at| Value::Time(at);
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Easting and northing, or longitude and latitude, in the layer's system.
    pub place: Option<(f64, f64)>,
    pub values: &'a [Value<'a>],
}
