//! Which covers a question means, and page after page of them at the same cost: whoever asks for the next
//! page names the last row of the one before, so that nothing before it is looked at again.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use super::cover_fields::{CoverField, CoverReader};
use crate::cql2::{Prepared, Value};
use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::domain::position::quadkey;
use crate::spatial::{BBox, KeyRange, Near, Snapshot, SnapshotRow};

/// Where a row stands in the order of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CoverKey {
    pub key: i64,
    pub cover: CoverId,
}

impl CoverKey {
    pub fn of(row: &SnapshotRow) -> Self {
        Self { key: quadkey(row.lon, row.lat), cover: row.cover }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Rising,
    Falling,
}

/// One property of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    pub field: CoverField,
    pub direction: Direction,
}

/// A place to look in: what surely holds it, and whether a point in degrees lies in it exactly.
pub struct Within<'m> {
    pub around: BBox,
    pub holds: &'m (dyn Fn(f64, f64) -> bool + Sync),
}

/// Which covers are meant.
pub struct CoverSearch<'m> {
    map: &'m Snapshot,
    reader: &'m CoverReader<'m>,
    ranges: Vec<KeyRange>,
    within: Option<Within<'m>>,
    filter: Option<Prepared>,
    only: Option<&'m RowTest>,
}

/// A test on what the map keeps of a cover.
type RowTest = dyn Fn(&SnapshotRow) -> bool + Sync;

impl<'m> CoverSearch<'m> {
    /// Every cover that lies within and that a filter lets through. With the filter stands where it can be true at
    /// all: west, south, east, north.
    pub fn new(
        map: &'m Snapshot,
        reader: &'m CoverReader<'m>,
        within: Option<Within<'m>>,
        filter: Option<(Prepared, Option<[f64; 4]>)>,
    ) -> Result<Self, Refusal> {
        let (filter, bounds) = filter.map_or((None, None), |(filter, bounds)| (Some(filter), bounds));
        let bounds = match bounds {
            None => None,
            // A box of nothing holds nothing.
            Some([west, south, east, north]) if !(west <= east && south <= north) => {
                return Ok(Self { map, reader, ranges: Vec::new(), within, filter, only: None });
            }
            Some(bounds) => on_globe(bounds),
        };
        let ranges = match (within.as_ref().map(|within| within.around), bounds) {
            (None, None) => vec![KeyRange::WORLD],
            (Some(only), None) | (None, Some(only)) => only.key_ranges(),
            (Some(one), Some(other)) => common(&one.key_ranges(), &other.key_ranges()),
        };
        Ok(Self { map, reader, ranges, within, filter, only: None })
    }

    /// The same of those alone whose keys lie in a range.
    pub fn in_keys(mut self, keys: KeyRange) -> Self {
        self.ranges = common(&self.ranges, &[keys]);
        self
    }

    /// The same of those alone that pass a test.
    pub fn only(self, test: Option<&'m RowTest>) -> Self {
        Self { only: test, ..self }
    }

    fn is_meant(&self, row: SnapshotRow) -> bool {
        let view = self.reader.view(row);
        self.only.is_none_or(|test| test(&row))
            && self.within.as_ref().is_none_or(|within| {
                let (lon, lat) = view.place();
                (within.holds)(lon, lat)
            })
            && self.filter.as_ref().is_none_or(|filter| filter.matches(&view))
    }

    /// All of them in the order of places.
    pub fn rows(&self) -> impl Iterator<Item = SnapshotRow> + '_ {
        self.rows_after(None)
    }

    fn rows_after(&self, after: Option<CoverKey>) -> impl Iterator<Item = SnapshotRow> + '_ {
        let from = after.map_or(i64::MIN, |after| after.key);
        self.ranges
            .iter()
            .filter(move |range| range.last >= from)
            .flat_map(move |range| {
                self.map.in_keys(KeyRange { first: range.first.max(from), last: range.last })
            })
            .filter(move |row| after.is_none_or(|after| CoverKey::of(row) > after))
            .filter(|row| self.is_meant(*row))
    }

    /// Those of them that lie in a box, edges included, on the coordinates as stored.
    pub fn rows_in(&self, bbox: BBox) -> impl Iterator<Item = SnapshotRow> + '_ {
        let ranges = common(&self.ranges, &bbox.key_ranges()).into_iter();
        let inside = move |row: &SnapshotRow| bbox.contains(row.lon, row.lat);
        ranges.flat_map(|keys| self.map.in_keys(keys)).filter(inside).filter(|row| self.is_meant(*row))
    }

    /// All of them, those nearest to a point first, by the sphere; what is farther than so many meters is left out.
    pub fn by_distance(&self, from: (f64, f64), max_m: f64) -> impl Iterator<Item = Near> + '_ {
        let is_everywhere = self.ranges == [KeyRange::WORLD];
        let in_ranges = move |row: &SnapshotRow| {
            is_everywhere || {
                let key = quadkey(row.lon, row.lat);
                self.ranges.iter().any(|range| range.contains(key))
            }
        };
        self.map.by_distance(from, max_m, move |row| in_ranges(row) && self.is_meant(*row))
    }

    /// Whether it is one of them.
    pub fn holds(&self, row: &SnapshotRow) -> bool {
        let key = quadkey(row.lon, row.lat);
        self.ranges.iter().any(|range| range.contains(key)) && self.is_meant(*row)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        if self.filter.is_none() && self.within.is_none() && self.only.is_none() {
            return self.map.len();
        }
        self.rows().count()
    }

    /// The next ones after a row, in the order of places.
    pub fn page(&self, after: Option<CoverKey>, offset: usize, limit: usize) -> Vec<SnapshotRow> {
        self.rows_after(after).skip(offset).take(limit).collect()
    }

    /// The next ones after a row in another order; rows that are alike in it stand in the order of places, and
    /// what is not known stands last. One pass over all that are meant, whichever page it is.
    pub fn sorted_page(
        &self,
        order: &[SortKey],
        after: Option<&SortedAfter>,
        offset: usize,
        limit: usize,
    ) -> Vec<SnapshotRow> {
        let most = offset.saturating_add(limit);
        let mut first: BinaryHeap<Ranked> = BinaryHeap::new();
        for row in self.rows() {
            let ranked = self.rank(order, row);
            if after.is_some_and(|after| !ranked.is_behind(after)) {
                continue;
            }
            if first.len() < most {
                first.push(ranked);
            } else if first.peek().is_some_and(|last| ranked < *last) {
                first.pop();
                first.push(ranked);
            }
        }
        first.into_sorted_vec().into_iter().skip(offset).map(|ranked| ranked.row).collect()
    }

    /// What the next page begins behind.
    pub fn behind(&self, order: &[SortKey], row: SnapshotRow) -> SortedAfter {
        let Ranked { ranks, place, .. } = self.rank(order, row);
        SortedAfter { ranks: ranks.into_iter().map(|(rank, _)| rank).collect(), place }
    }

    fn rank(&self, order: &[SortKey], row: SnapshotRow) -> Ranked {
        let view = self.reader.view(row);
        let rank = |key: &SortKey| (Ranking::of(&view.get(key.field)), key.direction);
        Ranked { ranks: order.iter().map(rank).collect(), place: CoverKey::of(&row), row }
    }
}

/// A box of a filter may reach beyond the globe.
fn on_globe([west, south, east, north]: [f64; 4]) -> Option<BBox> {
    let (west, east) = (west.max(-180.0), east.min(180.0));
    let (south, north) = (south.max(-90.0), north.min(90.0));
    BBox::new(west, south, east, north).ok()
}

/// What two lists of ranges share; both rise.
fn common(one: &[KeyRange], other: &[KeyRange]) -> Vec<KeyRange> {
    let mut shared = Vec::new();
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        let range = KeyRange { first: a.first.max(b.first), last: a.last.min(b.last) };
        if range.first <= range.last {
            shared.push(range);
        }
        if a.last <= b.last {
            one.next();
        } else {
            other.next();
        }
    }
    shared
}

/// The last row of a page in an order. It is named by its values, so that a row which changed or is gone
/// does not end the reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SortedAfter {
    ranks: Vec<Ranking>,
    place: CoverKey,
}

/// A value as it is compared in an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ranking {
    Number(f64),
    Text(String),
    Unknown,
}

impl Ranking {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.clone().into_owned()),
            Value::Number(number) => Self::Number(*number),
            Value::Boolean(yes) => Self::Number(f64::from(u8::from(*yes))),
            Value::Date(day) => Self::Number(f64::from(*day)),
            Value::Timestamp(at) => Self::Number(*at as f64),
            Value::Null | Value::Point(..) | Value::TextList(_) => Self::Unknown,
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

struct Ranked {
    ranks: Vec<(Ranking, Direction)>,
    place: CoverKey,
    row: SnapshotRow,
}

impl Ranked {
    fn compare<'r>(&self, others: impl Iterator<Item = &'r Ranking>, place: CoverKey) -> Ordering {
        let ranks = self.ranks.iter().zip(others);
        ranks
            .map(|((one, direction), other)| one.compare(other, *direction))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| self.place.cmp(&place))
    }

    fn is_behind(&self, after: &SortedAfter) -> bool {
        self.compare(after.ranks.iter(), after.place).is_gt()
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other.ranks.iter().map(|(rank, _)| rank), other.place)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
