//! What the pieces say together: the standard's own examples and counts, and random filters on random rows.

mod areas;
mod judge;
mod places;
mod random;
mod refusals;
mod standard;

use std::borrow::Cow;

use super::{Dictionary, Field, Kind, NULL_TERM, Row, Schema, Value};

/// A property of each kind, in the order in which [`Cover`] holds them.
pub(super) fn covers() -> Schema {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    Schema::new(vec![
        field("position", Kind::Point),
        field("code", Kind::Text),
        field("class", Kind::Word(&["sewage", "storm", "power"])),
        field("load_class", Kind::Text),
        field("depth", Kind::Number),
        field("steps", Kind::Integer),
        field("has_plate", Kind::Boolean),
        field("installed", Kind::Date),
        field("checked", Kind::Timestamp),
        field("marks", Kind::TextList),
        field("权属单位", Kind::Text),
        field("second position", Kind::Point),
    ])
    .on_clock(480)
}

/// A row of values.
#[derive(Debug, Clone)]
pub(super) struct Cover {
    pub values: Vec<Value<'static>>,
    /// The numbers of the values of fields 2 and 3 in [`Words`].
    pub terms: [Option<u32>; 2],
}

impl Row for Cover {
    fn value(&self, field: usize) -> Value<'_> {
        match self.values.get(field) {
            Some(Value::Text(text)) => Value::Text(Cow::Borrowed(text)),
            Some(Value::TextList(texts)) => Value::TextList(Cow::Borrowed(texts)),
            Some(value) => value.clone(),
            None => Value::Null,
        }
    }

    fn term(&self, field: usize) -> Option<u32> {
        self.terms.get(field.checked_sub(2)?).copied().flatten()
    }
}

/// The words of fields 2 and 3.
pub(super) struct Words;

pub(super) const WORDS: [&[&str]; 2] = [&["sewage", "storm", "power"], &["A15", "B125", "C250", "D400"]];

impl Dictionary for Words {
    fn terms(&self, field: usize) -> Option<usize> {
        WORDS.get(field.checked_sub(2)?).map(|words| words.len())
    }

    fn term(&self, field: usize, number: u32) -> Value<'_> {
        Value::Text(Cow::Borrowed(WORDS[field - 2][number as usize]))
    }
}

impl Cover {
    pub(super) fn new(values: Vec<Value<'static>>) -> Self {
        let term = |field: usize| match &values[field] {
            Value::Text(text) => WORDS[field - 2].iter().position(|word| word == text).map(|at| at as u32),
            _ => Some(NULL_TERM),
        };
        Self { terms: [term(2), term(3)], values }
    }

    /// A cover of which everything is known.
    pub(super) fn known() -> Self {
        let text = |text: &'static str| Value::Text(Cow::Borrowed(text));
        Self::new(vec![
            Value::Point(118.5, 37.4),
            text("370502-001"),
            text("sewage"),
            text("D400"),
            Value::Number(2.5),
            Value::Number(7.0),
            Value::Boolean(true),
            // 2026-03-01 and 2026-03-31T16:30:00Z, which is the first of April in China.
            Value::Date(20_513),
            Value::Timestamp(1_774_974_600_000),
            Value::TextList(Cow::Owned(vec!["loose".to_owned(), "noisy".to_owned()])),
            text("东营市水务局"),
            Value::Point(118.501, 37.4),
        ])
    }

    /// A cover of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self::new(vec![Value::Null; 12])
    }
}
