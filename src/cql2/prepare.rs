//! A condition made ready for a million rows: what reads one field of few values becomes a table from value to answer,
//! geometries and long lists are sorted, and the cheapest question is asked first.

use std::borrow::Cow;

use geo::Coord;

use super::bounds::fields;
use super::figure::{Bounds, Figure, widened};
use super::moment::Clock;
use super::node::SpatialRelation;
use super::predicate::{Found, Place, Predicate, Scalar, Shape, both, either};
use super::prepared_figure::{PreparedFigure, within};
use super::value::{Dictionary, NULL_TERM, NoDictionary, Row, Value};

/// A [`super::Filter`] made ready. It lets through what the filter lets through.
#[derive(Debug, Clone)]
pub struct Prepared {
    step: Step,
    clock: Clock,
}

#[derive(Debug, Clone)]
enum Step {
    Table(Table),
    Plain(Predicate),
    /// Whether a text is one of these, which are sorted.
    Member(Scalar, Vec<String>),
    Spatial(SpatialRelation, usize, Box<PreparedFigure>),
    /// The figure, how many meters, and the box that all lie in who are near enough.
    WithinDistance(usize, Box<Figure>, f64, Bounds),
    Not(Box<Step>),
    And(Vec<Step>),
    Or(Vec<Step>),
}

/// The answer for each value of one field.
#[derive(Debug, Clone)]
struct Table {
    field: usize,
    answers: Vec<Option<bool>>,
    null: Option<bool>,
    /// For a row that knows no number for its value.
    plain: Box<Step>,
}

/// From so many texts on a list is searched by halves.
const SORTED_LIST: usize = 8;

impl Prepared {
    pub(super) fn new(predicate: &Predicate, clock: Clock, dictionary: &impl Dictionary) -> Self {
        Self { step: Step::new(predicate, clock, dictionary), clock }
    }

    /// Whether a row fits. Unknown does not.
    pub fn matches(&self, row: &impl Row) -> bool {
        self.step.test(row, self.clock) == Some(true)
    }
}

impl Step {
    fn new(predicate: &Predicate, clock: Clock, dictionary: &impl Dictionary) -> Self {
        if let Some(field) = word_field(predicate, dictionary) {
            return Self::Table(Table::new(field, predicate, clock, dictionary));
        }
        match predicate {
            Predicate::Not(one) => Self::Not(Box::new(Self::new(one, clock, dictionary))),
            Predicate::And(all) => Self::And(steps(all, Predicate::And, clock, dictionary)),
            Predicate::Or(all) => Self::Or(steps(all, Predicate::Or, clock, dictionary)),
            Predicate::Spatial(relation, field, Place::Figure(figure)) => {
                Self::Spatial(*relation, *field, Box::new(PreparedFigure::new(figure)))
            }
            Predicate::WithinDistance(field, Place::Figure(figure), meters) => {
                let around = widened(figure.bounds(), *meters);
                Self::WithinDistance(*field, figure.clone(), *meters, around)
            }
            Predicate::In(value, list) => match sorted_texts(list) {
                Some(texts) => Self::Member(value.clone(), texts),
                None => Self::Plain(predicate.clone()),
            },
            _ => Self::Plain(predicate.clone()),
        }
    }

    fn test<R: Row>(&self, row: &R, clock: Clock) -> Option<bool> {
        match self {
            Self::Table(table) => match row.term(table.field) {
                Some(NULL_TERM) => table.null,
                Some(term) => match table.answers.get(term as usize) {
                    Some(answer) => *answer,
                    None => table.plain.test(row, clock),
                },
                None => table.plain.test(row, clock),
            },
            Self::Plain(predicate) => predicate.test(row, clock),
            Self::Member(value, texts) => match value.find(row, clock) {
                Found::Text(text) => {
                    Some(texts.binary_search_by(|one| one.as_str().cmp(text.as_ref())).is_ok())
                }
                _ => None,
            },
            Self::Spatial(relation, field, figure) => match Shape::of(row, *field)? {
                Shape::Point(at) => Some(figure.holds(*relation, at)),
                Shape::Figure(own) => own.relation(*relation, figure.figure()),
            },
            Self::WithinDistance(field, figure, meters, around) => {
                let near = |at: Coord| within(*around, at) && figure.distance_m(at) <= *meters;
                match Shape::of(row, *field)? {
                    Shape::Point(at) => Some(near(at)),
                    Shape::Figure(own) => Some(own.between_m(figure) <= *meters),
                }
            }
            Self::Not(one) => one.test(row, clock).map(|truth| !truth),
            Self::And(all) => both(all.iter().map(|one| one.test(row, clock))),
            Self::Or(all) => either(all.iter().map(|one| one.test(row, clock))),
        }
    }

    /// What is cheaper is asked first. AND and OR do not depend on the order, also with unknowns.
    fn cost(&self) -> u8 {
        match self {
            Self::Table(_) => 0,
            Self::Plain(_) | Self::Member(..) => 1,
            Self::Spatial(..) => 2,
            Self::WithinDistance(..) => 3,
            Self::Not(one) => one.cost(),
            Self::And(all) | Self::Or(all) => all.iter().map(Step::cost).max().unwrap_or(0),
        }
    }
}

/// The operands of AND or OR. Those that read the same field of few values become one table.
fn steps(
    all: &[Predicate],
    join: fn(Vec<Predicate>) -> Predicate,
    clock: Clock,
    dictionary: &impl Dictionary,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut by_field: Vec<(usize, Vec<Predicate>)> = Vec::new();
    for one in all {
        match word_field(one, dictionary) {
            Some(field) => match by_field.iter_mut().find(|(known, _)| *known == field) {
                Some((_, predicates)) => predicates.push(one.clone()),
                None => by_field.push((field, vec![one.clone()])),
            },
            None => steps.push(Step::new(one, clock, dictionary)),
        }
    }
    let tables = by_field.into_iter();
    steps.extend(
        tables.map(|(field, joined)| Step::Table(Table::new(field, &join(joined), clock, dictionary))),
    );
    steps.sort_by_key(Step::cost);
    steps
}

/// The field of few values that is the only one a condition reads.
fn word_field(predicate: &Predicate, dictionary: &impl Dictionary) -> Option<usize> {
    let mut read = Vec::new();
    fields(predicate, &mut read);
    let first = *read.first()?;
    (read.iter().all(|field| *field == first) && dictionary.terms(first).is_some()).then_some(first)
}

fn sorted_texts(list: &[Scalar]) -> Option<Vec<String>> {
    if list.len() < SORTED_LIST {
        return None;
    }
    let texts = list.iter().map(|item| match item {
        Scalar::Text(text) => Some(text.clone()),
        _ => None,
    });
    let mut texts = texts.collect::<Option<Vec<String>>>()?;
    texts.sort_unstable();
    Some(texts)
}

impl Table {
    fn new(field: usize, predicate: &Predicate, clock: Clock, dictionary: &impl Dictionary) -> Self {
        let plain = Box::new(Step::new(predicate, clock, &NoDictionary));
        let answer = |value: Value<'_>| plain.test(&OneValue { field, value }, clock);
        let count = u32::try_from(dictionary.terms(field).unwrap_or(0)).unwrap_or(NULL_TERM);
        let answers = (0..count).map(|term| answer(dictionary.term(field, term))).collect();
        Self { field, answers, null: answer(Value::Null), plain }
    }
}

/// A row of which one field is known.
struct OneValue<'a> {
    field: usize,
    value: Value<'a>,
}

impl Row for OneValue<'_> {
    fn value(&self, field: usize) -> Value<'_> {
        match &self.value {
            _ if field != self.field => Value::Null,
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::TextList(texts) => Value::TextList(Cow::Borrowed(texts)),
            other => other.clone(),
        }
    }
}
