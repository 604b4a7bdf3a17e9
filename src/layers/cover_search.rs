//! Which covers a question means, and page after page of them at the same cost: whoever asks for the next
//! page names the last row of the one before, so that nothing before it is looked at again.

use serde::{Deserialize, Serialize};

use super::cover_fields::CoverReader;
use super::order::{FirstRows, SortKey, SortedAfter};
use crate::cql2::Prepared;
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
        let mut ranges = key_ranges(bounds);
        if let Some(within) = &within {
            ranges = common(&ranges, &within.around.key_ranges());
        }
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
        if self.is_everything() { self.map.len() } else { self.rows().count() }
    }

    fn is_everything(&self) -> bool {
        self.filter.is_none() && self.within.is_none() && self.only.is_none()
    }

    /// The next ones after a row, in the order of places.
    pub fn page(&self, after: Option<CoverKey>, offset: usize, limit: usize) -> Vec<SnapshotRow> {
        self.rows_after(after).skip(offset).take(limit).collect()
    }

    /// The first ones in the order of places, and how many there are: one pass.
    pub fn first_page(&self, limit: usize) -> (Vec<SnapshotRow>, usize) {
        let mut rows = self.rows();
        let first: Vec<SnapshotRow> = rows.by_ref().take(limit).collect();
        let others = if self.is_everything() { self.map.len() - first.len() } else { rows.count() };
        let matched = first.len() + others;
        (first, matched)
    }

    /// The next ones after a row in another order; rows that are alike in it stand in the order of places, and
    /// what is not known stands last. One pass over all that are meant, whichever page it is.
    pub fn sorted_page(
        &self,
        order: &[SortKey],
        after: Option<&SortedAfter<CoverKey>>,
        offset: usize,
        limit: usize,
    ) -> Vec<SnapshotRow> {
        let mut first = FirstRows::new(order, after, offset.saturating_add(limit));
        for row in self.rows() {
            first.add(CoverKey::of(&row), self.reader.view(row));
        }
        first.into_rows().skip(offset).map(|view| view.row).collect()
    }

    /// What the next page begins behind.
    pub fn behind(&self, order: &[SortKey], row: SnapshotRow) -> SortedAfter<CoverKey> {
        SortedAfter::of(order, CoverKey::of(&row), &self.reader.view(row))
    }
}

/// Where those lie by their keys that a filter with these bounds can let through, in rising order.
pub fn key_ranges(bounds: Option<[f64; 4]>) -> Vec<KeyRange> {
    match bounds {
        None => vec![KeyRange::WORLD],
        // A box of nothing holds nothing.
        Some([west, south, east, north]) if !(west <= east && south <= north) => Vec::new(),
        Some(bounds) => on_globe(bounds).map_or_else(|| vec![KeyRange::WORLD], |within| within.key_ranges()),
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
