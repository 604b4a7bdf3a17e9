//! What a condition asks of single fields at the least, in terms that a database can check before a row is looked at.

use super::moment::{Clock, Moment};
use super::node::Comparison;
use super::predicate::{Predicate, Scalar};

/// What holds for a field of every row that fits. It may hold for others as well: whoever has checked it still asks
/// the filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Need {
    /// One of these texts.
    OneOf(Vec<String>),
    /// A number, or milliseconds since 1970 of a moment, between these; infinite where it is open.
    Between(f64, f64),
    Is(bool),
}

/// From so many texts on a list is not worth asking for.
const LONGEST_LIST: usize = 200;
const DAY_MS: f64 = 86_400_000.0;

/// Adds what a condition that is to hold asks of each field.
pub(super) fn needs(predicate: &Predicate, clock: Clock, found: &mut Vec<(usize, Need)>) {
    match predicate {
        Predicate::And(all) => all.iter().for_each(|one| needs(one, clock, found)),
        Predicate::Compare(comparison, Scalar::Field(field), value) => {
            found.extend(compared(*comparison, value, clock).map(|need| (*field, need)));
        }
        Predicate::Compare(comparison, value, Scalar::Field(field)) => {
            found.extend(compared(mirrored(*comparison), value, clock).map(|need| (*field, need)));
        }
        Predicate::Between(Scalar::Field(field), low, high) => {
            if let (Some((low, _)), Some((_, high))) = (span(low, clock), span(high, clock)) {
                found.push((*field, Need::Between(low, high)));
            }
        }
        Predicate::In(Scalar::Field(field), list) if list.len() < LONGEST_LIST => {
            let text = |scalar: &Scalar| match scalar {
                Scalar::Text(text) => Some(text.clone()),
                _ => None,
            };
            found.extend(
                list.iter().map(text).collect::<Option<_>>().map(|texts| (*field, Need::OneOf(texts))),
            );
        }
        _ => {}
    }
}

fn compared(comparison: Comparison, value: &Scalar, clock: Clock) -> Option<Need> {
    match (comparison, value) {
        (Comparison::Equal, Scalar::Text(text)) => Some(Need::OneOf(vec![text.clone()])),
        (Comparison::Equal, Scalar::Boolean(yes)) => Some(Need::Is(*yes)),
        (comparison, value) => {
            let (low, high) = span(value, clock)?;
            Some(match comparison {
                Comparison::Equal => Need::Between(low, high),
                Comparison::Less | Comparison::AtMost => Need::Between(f64::NEG_INFINITY, high),
                Comparison::Greater | Comparison::AtLeast => Need::Between(low, f64::INFINITY),
                Comparison::Different => return None,
            })
        }
    }
}

/// The same said from the other side.
fn mirrored(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::Greater => Comparison::Less,
        Comparison::AtMost => Comparison::AtLeast,
        Comparison::AtLeast => Comparison::AtMost,
        same => same,
    }
}

/// From where to where a number or a moment reaches; a day as long as it is on the city's clock.
fn span(value: &Scalar, Clock(utc_offset_minutes): Clock) -> Option<(f64, f64)> {
    match value {
        Scalar::Number(number) => Some((*number, *number)),
        Scalar::Moment(Moment::Micros(at)) => {
            // A stored moment has no microseconds.
            Some(((at.div_euclid(1000)) as f64, (at.div_euclid(1000) + 1) as f64))
        }
        Scalar::Moment(Moment::Day(day)) => {
            let start = f64::from(*day) * DAY_MS - f64::from(utc_offset_minutes) * 60_000.0;
            Some((start, start + DAY_MS))
        }
        _ => None,
    }
}
