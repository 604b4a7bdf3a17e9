//! Orders of rows by their values, and where a page in such an order goes on.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::cql2::{Row, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Rising,
    Falling,
}

/// One property of an order, by its number in the schema of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    pub field: usize,
    pub direction: Direction,
}

/// The last row of a page in an order. It is named by its values, so that a row which changed or is gone
/// does not end the reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SortedAfter<K> {
    ranks: Vec<Ranking>,
    key: K,
}

/// A value as it is compared in an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ranking {
    /// By its bits: read from decimals the last one may be another.
    Number(#[serde(with = "bits")] f64),
    Text(String),
    Unknown,
}

mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(number.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}

impl Ranking {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.clone().into_owned()),
            Value::Number(number) => Self::Number(*number),
            Value::Boolean(yes) => Self::Number(f64::from(u8::from(*yes))),
            Value::Date(day) => Self::Number(f64::from(*day)),
            Value::Timestamp(at) => Self::Number(*at as f64),
            Value::Null | Value::Point(..) | Value::Figure(_) | Value::TextList(_) => Self::Unknown,
        }
    }

    fn compare(&self, other: &Self, direction: Direction) -> Ordering {
        let known = match (self, other) {
            (Self::Unknown, Self::Unknown) => return Ordering::Equal,
            (Self::Unknown, _) => return Ordering::Greater,
            (_, Self::Unknown) => return Ordering::Less,
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        };
        match direction {
            Direction::Rising => known,
            Direction::Falling => known.reverse(),
        }
    }
}

/// The rows that come first in an order behind a row; those that are alike in it stand in the order of their keys,
/// and what is not known stands last. Memory holds as many rows as are wanted, whatever it is given.
pub struct FirstRows<'o, K, R> {
    order: &'o [SortKey],
    after: Option<&'o SortedAfter<K>>,
    most: usize,
    first: BinaryHeap<Ranked<K, R>>,
}

impl<'o, K: Ord, R: Row> FirstRows<'o, K, R> {
    /// At most `most` of them.
    pub fn new(order: &'o [SortKey], after: Option<&'o SortedAfter<K>>, most: usize) -> Self {
        Self { order, after, most, first: BinaryHeap::new() }
    }

    pub fn add(&mut self, key: K, row: R) {
        let ranked = Ranked { ranks: ranks(self.order, &row), key, row };
        if self.after.is_some_and(|after| !ranked.is_behind(after)) {
            return;
        }
        if self.first.len() < self.most {
            self.first.push(ranked);
        } else if self.first.peek().is_some_and(|last| ranked < *last) {
            self.first.pop();
            self.first.push(ranked);
        }
    }

    /// In the order.
    pub fn into_rows(self) -> impl Iterator<Item = R> {
        self.first.into_sorted_vec().into_iter().map(|ranked| ranked.row)
    }
}

impl<K> SortedAfter<K> {
    /// What the next page begins behind.
    pub fn of(order: &[SortKey], key: K, values: &impl Row) -> Self {
        Self { ranks: ranks(order, values).into_iter().map(|(rank, _)| rank).collect(), key }
    }
}

fn ranks(order: &[SortKey], values: &impl Row) -> Vec<(Ranking, Direction)> {
    order.iter().map(|key| (Ranking::of(&values.value(key.field)), key.direction)).collect()
}

struct Ranked<K, R> {
    ranks: Vec<(Ranking, Direction)>,
    key: K,
    row: R,
}

impl<K: Ord, R> Ranked<K, R> {
    fn compare<'r>(&self, others: impl Iterator<Item = &'r Ranking>, key: &K) -> Ordering {
        let ranks = self.ranks.iter().zip(others);
        ranks
            .map(|((one, direction), other)| one.compare(other, *direction))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| self.key.cmp(key))
    }

    fn is_behind(&self, after: &SortedAfter<K>) -> bool {
        self.compare(after.ranks.iter(), &after.key).is_gt()
    }
}

impl<K: Ord, R> Ord for Ranked<K, R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other.ranks.iter().map(|(rank, _)| rank), &other.key)
    }
}

impl<K: Ord, R> PartialOrd for Ranked<K, R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, R> PartialEq for Ranked<K, R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<K: Ord, R> Eq for Ranked<K, R> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_gives_back_every_bit_of_a_number() {
        // What a receiver writes as a 32-bit 9.1; read from its decimals it is another number.
        for number in [f64::from(9.1_f32), f64::MIN_POSITIVE, -0.0, 1e300] {
            let after = SortedAfter { ranks: vec![Ranking::Number(number), Ranking::Unknown], key: 7 };
            let text = serde_json::to_string(&after).unwrap();
            assert_eq!(serde_json::from_str::<SortedAfter<i32>>(&text).unwrap(), after);
        }
    }
}
