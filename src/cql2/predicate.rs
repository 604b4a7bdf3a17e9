//! A filter whose properties are known and whose types fit, and the plain walk over it for one row: the reference for
//! everything faster. Three-valued: `None` is "unknown".

use std::borrow::Cow;
use std::cmp::Ordering;

use geo::Coord;

use super::figure::{Figure, mirrored};
use super::moment::{Clock, Moment};
use super::node::{Arithmetic, Comparison, ListRelation, SpatialRelation, TemporalRelation};
use super::value::{Row, Value};
use super::words::{Pattern, fold_case, strip_accents};
use crate::domain::position::distance_m;

/// A condition. Fields are numbers in the schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Predicate {
    Constant(Option<bool>),
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    Compare(Comparison, Scalar, Scalar),
    Like(Scalar, Pattern),
    Between(Scalar, Scalar, Scalar),
    In(Scalar, Vec<Scalar>),
    IsNull(Scalar),
    /// A field without a position, or without a list.
    IsFieldNull(usize),
    Spatial(SpatialRelation, usize, Place),
    /// Nearer than so many meters, or just as far.
    WithinDistance(usize, Place, f64),
    Temporal(TemporalRelation, Span, Span),
    List(ListRelation, Items, Items),
}

/// What has one value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Field(usize),
    Text(String),
    Number(f64),
    Boolean(bool),
    Moment(Moment),
    FoldCase(Box<Scalar>),
    StripAccents(Box<Scalar>),
    Calculate(Arithmetic, Box<Scalar>, Box<Scalar>),
    Truth(Box<Predicate>),
}

/// What a point is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    Field(usize),
    Figure(Box<Figure>),
}

/// A time from a start to an end; a moment is both.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub start: Scalar,
    pub end: Scalar,
}

/// A set of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Items {
    Field(usize),
    Listed(Vec<Scalar>),
}

/// The value of a scalar for one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(f64),
    Boolean(bool),
    Moment(Moment),
}

impl Predicate {
    pub(super) fn test<R: Row>(&self, row: &R, clock: Clock) -> Option<bool> {
        match self {
            Self::Constant(truth) => *truth,
            Self::And(all) => both(all.iter().map(|one| one.test(row, clock))),
            Self::Or(all) => either(all.iter().map(|one| one.test(row, clock))),
            Self::Not(one) => one.test(row, clock).map(|truth| !truth),
            Self::Compare(comparison, left, right) => {
                let order = compare(&left.find(row, clock), &right.find(row, clock), clock)?;
                Some(comparison.holds(order))
            }
            Self::Like(text, pattern) => match text.find(row, clock) {
                Found::Text(text) => Some(pattern.matches(&text)),
                _ => None,
            },
            Self::Between(value, low, high) => {
                let value = value.find(row, clock);
                // Unknown when any of the three is (requirement `between-predicate`), even if the other two decide.
                let above = compare(&value, &low.find(row, clock), clock)?;
                let below = compare(&value, &high.find(row, clock), clock)?;
                Some(above != Ordering::Less && below != Ordering::Greater)
            }
            Self::In(value, list) => {
                let value = value.find(row, clock);
                either(list.iter().map(|item| {
                    compare(&value, &item.find(row, clock), clock).map(|order| order == Ordering::Equal)
                }))
            }
            Self::IsNull(value) => Some(value.find(row, clock) == Found::Null),
            Self::IsFieldNull(field) => Some(row.value(*field) == Value::Null),
            Self::Spatial(relation, field, place) => {
                let own = Shape::of(row, *field)?;
                match place {
                    Place::Figure(figure) => own.related(*relation, &Shape::Figure(figure)),
                    Place::Field(other) => own.related(*relation, &Shape::of(row, *other)?),
                }
            }
            Self::WithinDistance(field, place, meters) => {
                let own = Shape::of(row, *field)?;
                let distance = match place {
                    Place::Figure(figure) => own.between_m(&Shape::Figure(figure)),
                    Place::Field(other) => own.between_m(&Shape::of(row, *other)?),
                };
                Some(distance <= *meters)
            }
            Self::Temporal(relation, left, right) => {
                let (left, right) = (left.find(row, clock)?, right.find(row, clock)?);
                Some(relation.holds(left, right, clock))
            }
            Self::List(relation, left, right) => left.with(row, clock, |left| {
                right.with(row, clock, |right| Some(relation.holds(left, right, clock)))
            }),
        }
    }
}

impl Scalar {
    pub(super) fn find<'a, R: Row>(&'a self, row: &'a R, clock: Clock) -> Found<'a> {
        match self {
            Self::Field(field) => match row.value(*field) {
                Value::Text(text) => Found::Text(text),
                Value::Number(number) => finite(number),
                Value::Boolean(truth) => Found::Boolean(truth),
                Value::Date(days) => Found::Moment(Moment::Day(days)),
                Value::Timestamp(millis) => Found::Moment(Moment::Micros(millis.saturating_mul(1000))),
                Value::Null | Value::Point(..) | Value::Figure(_) | Value::TextList(_) => Found::Null,
            },
            Self::Text(text) => Found::Text(Cow::Borrowed(text)),
            Self::Number(number) => Found::Number(*number),
            Self::Boolean(truth) => Found::Boolean(*truth),
            Self::Moment(moment) => Found::Moment(*moment),
            Self::FoldCase(text) => text.find(row, clock).map_text(fold_case),
            Self::StripAccents(text) => text.find(row, clock).map_text(strip_accents),
            Self::Calculate(arithmetic, left, right) => {
                match (left.find(row, clock), right.find(row, clock)) {
                    (Found::Number(left), Found::Number(right)) => finite(arithmetic.of(left, right)),
                    _ => Found::Null,
                }
            }
            Self::Truth(predicate) => predicate.test(row, clock).map_or(Found::Null, Found::Boolean),
        }
    }
}

impl<'a> Found<'a> {
    fn map_text(self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Text(text) => Found::Text(Cow::Owned(change(&text))),
            other => other,
        }
    }
}

impl Span {
    pub(super) fn at(moment: Scalar) -> Self {
        Self { start: moment.clone(), end: moment }
    }

    fn find<R: Row>(&self, row: &R, clock: Clock) -> Option<(Moment, Moment)> {
        match (self.start.find(row, clock), self.end.find(row, clock)) {
            (Found::Moment(start), Found::Moment(end)) => Some((start, end)),
            _ => None,
        }
    }
}

impl Items {
    /// Does something with the values; nothing is known when a value is not, or there is no list.
    fn with<R: Row>(
        &self,
        row: &R,
        clock: Clock,
        then: impl FnOnce(&[Found<'_>]) -> Option<bool>,
    ) -> Option<bool> {
        match self {
            Self::Field(field) => match row.value(*field) {
                Value::TextList(texts) => {
                    let found: Vec<Found<'_>> =
                        texts.iter().map(|text| Found::Text(Cow::Borrowed(text.as_str()))).collect();
                    then(&found)
                }
                _ => None,
            },
            Self::Listed(scalars) => {
                let found: Vec<Found<'_>> = scalars.iter().map(|scalar| scalar.find(row, clock)).collect();
                if found.contains(&Found::Null) { None } else { then(&found) }
            }
        }
    }
}

impl Comparison {
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::Different => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::Greater => order == Ordering::Greater,
            Self::AtMost => order != Ordering::Greater,
            Self::AtLeast => order != Ordering::Less,
        }
    }
}

impl Arithmetic {
    /// What has no value (a division by nothing, a root of a negative number) is not finite.
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Modulo => left % right,
            Self::IntegerDivide => (left / right).trunc(),
            Self::Power => left.powf(right),
        }
    }
}

impl TemporalRelation {
    /// Between two spans with both their ends, by OWL-Time as tables 8 and 9 of the standard say.
    fn holds(self, left: (Moment, Moment), right: (Moment, Moment), clock: Clock) -> bool {
        use Ordering::{Equal, Greater, Less};
        let starts = clock.compare(left.0, right.0);
        let ends = clock.compare(left.1, right.1);
        let end_to_start = clock.compare(left.1, right.0);
        let start_to_end = clock.compare(left.0, right.1);
        match self {
            Self::After => start_to_end == Greater,
            Self::Before => end_to_start == Less,
            Self::Disjoint => start_to_end == Greater || end_to_start == Less,
            Self::Intersects => start_to_end != Greater && end_to_start != Less,
            Self::Equals => (starts, ends) == (Equal, Equal),
            Self::Contains => (starts, ends) == (Less, Greater),
            Self::During => (starts, ends) == (Greater, Less),
            Self::FinishedBy => (starts, ends) == (Less, Equal),
            Self::Finishes => (starts, ends) == (Greater, Equal),
            Self::StartedBy => (starts, ends) == (Equal, Greater),
            Self::Starts => (starts, ends) == (Equal, Less),
            Self::Meets => end_to_start == Equal,
            Self::MetBy => start_to_end == Equal,
            Self::Overlaps => (starts, ends, end_to_start) == (Less, Less, Greater),
            Self::OverlappedBy => (starts, ends, start_to_end) == (Greater, Greater, Less),
        }
    }
}

impl ListRelation {
    /// Of two sets: order and repeats do not count (requirement `array-predicates`).
    fn holds(self, left: &[Found<'_>], right: &[Found<'_>], clock: Clock) -> bool {
        let has = |set: &[Found<'_>], item: &Found<'_>| {
            set.iter().any(|other| compare(other, item, clock) == Some(Ordering::Equal))
        };
        let covers = |set: &[Found<'_>], other: &[Found<'_>]| other.iter().all(|item| has(set, item));
        match self {
            Self::Equals => covers(left, right) && covers(right, left),
            Self::Contains => covers(left, right),
            Self::ContainedBy => covers(right, left),
            Self::Overlaps => right.iter().any(|item| has(left, item)),
        }
    }
}

/// The order of two values of one type; unknown when one is.
pub(super) fn compare(left: &Found<'_>, right: &Found<'_>, clock: Clock) -> Option<Ordering> {
    match (left, right) {
        (Found::Text(left), Found::Text(right)) => Some(left.cmp(right)),
        (Found::Number(left), Found::Number(right)) => left.partial_cmp(right),
        (Found::Boolean(left), Found::Boolean(right)) => Some(left.cmp(right)),
        (Found::Moment(left), Found::Moment(right)) => Some(clock.compare(*left, *right)),
        _ => None,
    }
}

/// AND of three values: false as soon as one is false.
pub(super) fn both(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for truth in truths {
        match truth {
            Some(false) => return Some(false),
            None => all = None,
            Some(true) => {}
        }
    }
    all
}

/// OR of three values: true as soon as one is true.
pub(super) fn either(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut any = Some(false);
    for truth in truths {
        match truth {
            Some(true) => return Some(true),
            None => any = None,
            Some(false) => {}
        }
    }
    any
}

/// Where a row lies, or what it is compared with.
pub(super) enum Shape<'a> {
    Point(Coord),
    Figure(&'a Figure),
}

impl<'a> Shape<'a> {
    pub(super) fn of<R: Row>(row: &'a R, field: usize) -> Option<Self> {
        match row.value(field) {
            Value::Point(x, y) => Some(Self::Point(Coord { x, y })),
            Value::Figure(figure) => Some(Self::Figure(figure)),
            _ => None,
        }
    }

    /// Whether it has this relation to another; `None` where one of them is not valid.
    fn related(&self, relation: SpatialRelation, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Point(at), Self::Point(other)) => Some(of_points(relation, *at, *other)),
            (Self::Point(at), Self::Figure(figure)) => Some(figure.holds(relation, *at, figure.locate(*at))),
            (Self::Figure(figure), Self::Point(at)) => {
                Some(figure.holds(mirrored(relation), *at, figure.locate(*at)))
            }
            (Self::Figure(figure), Self::Figure(other)) => figure.relation(relation, other),
        }
    }

    fn between_m(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Point(at), Self::Point(other)) => distance_m((at.x, at.y), (other.x, other.y)),
            (Self::Point(at), Self::Figure(figure)) | (Self::Figure(figure), Self::Point(at)) => {
                figure.distance_m(*at)
            }
            (Self::Figure(figure), Self::Figure(other)) => figure.between_m(other),
        }
    }
}

/// Whether one point has this relation to another.
pub(super) fn of_points(relation: SpatialRelation, at: Coord, other: Coord) -> bool {
    match relation {
        SpatialRelation::Equals
        | SpatialRelation::Contains
        | SpatialRelation::Intersects
        | SpatialRelation::Within => at == other,
        SpatialRelation::Disjoint => at != other,
        SpatialRelation::Touches | SpatialRelation::Overlaps | SpatialRelation::Crosses => false,
    }
}

fn finite<'a>(number: f64) -> Found<'a> {
    if number.is_finite() { Found::Number(number) } else { Found::Null }
}
