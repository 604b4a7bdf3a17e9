//! What a condition says about where a row lies and which fields it reads.

use super::figure::{Bounds, widened};
use super::node::SpatialRelation;
use super::predicate::{Items, Place, Predicate, Scalar};

/// A box in which every row must lie for which the condition is `wanted`; `None` is anywhere. `place` is the field with
/// the position of the row.
pub(super) fn bounds(predicate: &Predicate, place: usize, wanted: bool) -> Option<Bounds> {
    match predicate {
        Predicate::Not(one) => bounds(one, place, !wanted),
        Predicate::And(all) if wanted => intersection(all, place, wanted),
        Predicate::Or(all) if !wanted => intersection(all, place, wanted),
        Predicate::And(all) | Predicate::Or(all) => {
            let mut boxes = all.iter().map(|one| bounds(one, place, wanted));
            let first = boxes.next()??;
            boxes.try_fold(first, |[west, south, east, north], other| {
                let other = other?;
                Some([west.min(other[0]), south.min(other[1]), east.max(other[2]), north.max(other[3])])
            })
        }
        Predicate::Spatial(relation, field, Place::Figure(figure)) if *field == place => {
            // All relations but one need a common point.
            let near = (*relation != SpatialRelation::Disjoint) == wanted;
            near.then(|| figure.bounds())
        }
        Predicate::WithinDistance(field, Place::Figure(figure), meters) if *field == place && wanted => {
            Some(widened(figure.bounds(), *meters))
        }
        _ => None,
    }
}

fn intersection(all: &[Predicate], place: usize, wanted: bool) -> Option<Bounds> {
    let boxes = all.iter().filter_map(|one| bounds(one, place, wanted));
    boxes.reduce(|one, other| {
        let [west, south, east, north] =
            [one[0].max(other[0]), one[1].max(other[1]), one[2].min(other[2]), one[3].min(other[3])];
        // Nothing lies in both. Then any box holds all that matches, and one of them is a box.
        if west <= east && south <= north { [west, south, east, north] } else { one }
    })
}

/// Adds the fields that a condition reads.
pub(super) fn fields(predicate: &Predicate, found: &mut Vec<usize>) {
    match predicate {
        Predicate::Constant(_) => {}
        Predicate::And(all) | Predicate::Or(all) => all.iter().for_each(|one| fields(one, found)),
        Predicate::Not(one) => fields(one, found),
        Predicate::Compare(_, left, right) => {
            fields_of_scalar(left, found);
            fields_of_scalar(right, found);
        }
        Predicate::Like(one, _) | Predicate::IsNull(one) => fields_of_scalar(one, found),
        Predicate::Between(value, low, high) => {
            [value, low, high].into_iter().for_each(|scalar| fields_of_scalar(scalar, found));
        }
        Predicate::In(value, list) => {
            fields_of_scalar(value, found);
            list.iter().for_each(|scalar| fields_of_scalar(scalar, found));
        }
        Predicate::IsFieldNull(field) => found.push(*field),
        Predicate::Spatial(_, field, place) | Predicate::WithinDistance(field, place, _) => {
            found.push(*field);
            if let Place::Field(other) = place {
                found.push(*other);
            }
        }
        Predicate::Temporal(_, left, right) => {
            for scalar in [&left.start, &left.end, &right.start, &right.end] {
                fields_of_scalar(scalar, found);
            }
        }
        Predicate::List(_, left, right) => {
            for items in [left, right] {
                match items {
                    Items::Field(field) => found.push(*field),
                    Items::Listed(all) => all.iter().for_each(|scalar| fields_of_scalar(scalar, found)),
                }
            }
        }
    }
}

fn fields_of_scalar(scalar: &Scalar, found: &mut Vec<usize>) {
    match scalar {
        Scalar::Field(field) => found.push(*field),
        Scalar::FoldCase(inner) | Scalar::StripAccents(inner) => fields_of_scalar(inner, found),
        Scalar::Calculate(_, left, right) => {
            fields_of_scalar(left, found);
            fields_of_scalar(right, found);
        }
        Scalar::Truth(predicate) => fields(predicate, found),
        Scalar::Text(_) | Scalar::Number(_) | Scalar::Boolean(_) | Scalar::Moment(_) => {}
    }
}
