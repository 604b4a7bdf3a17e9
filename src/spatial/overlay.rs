//! What changed since a snapshot's columns were packed: rows that are gone or replaced, and rows that
//! came. A stretch of both reads as if everything were packed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::attributes::PackedCode;
use super::columns::Columns;
use super::quadkey::KeyRange;
use super::segment::{FILL, LooseColumns, MOST_ROWS, RowOrder, Segment};
use super::snapshot::{Change, SnapshotRow};
use crate::domain::ids::CoverId;
use crate::domain::position::quadkey;

/// Recent changes beside the packed columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    /// Positions in the columns that are gone or replaced, rising.
    hidden: Vec<u32>,
    /// What came since they were packed, in the order of (quadkey, id).
    added: Vec<Entry>,
}

impl Overlay {
    pub(super) fn added(&self) -> &[Entry] {
        &self.added
    }

    /// How many rows there are beside `packed` ones.
    pub(super) fn count_with(&self, packed: usize) -> usize {
        packed - self.hidden.len() + self.added.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.hidden.capacity() * size_of::<u32>() + self.added.capacity() * size_of::<Entry>()
    }

    /// The same after some changes, of which the last one on a cover counts.
    pub(super) fn with_changes(&self, columns: &Columns, changes: impl IntoIterator<Item = Change>) -> Self {
        let mut last: HashMap<CoverId, Option<SnapshotRow>> = HashMap::new();
        for change in changes {
            match change {
                Change::Put(row) => last.insert(row.cover, Some(row)),
                Change::Remove(cover) => last.insert(cover, None),
            };
        }
        let mut hidden = self.hidden.clone();
        hidden.extend(last.keys().flat_map(|cover| columns.find(*cover)));
        hidden.sort_unstable();
        hidden.dedup();
        let mut added: Vec<Entry> = Vec::with_capacity(self.added.len() + last.len());
        let mut fresh: Vec<Entry> = last.values().flatten().copied().map(Entry::new).collect();
        fresh.sort_unstable_by_key(Entry::order);
        let mut fresh = fresh.into_iter().peekable();
        for entry in self.added.iter().filter(|entry| !last.contains_key(&entry.row.cover)) {
            while let Some(earlier) = fresh.next_if(|fresh| fresh.order() < entry.order()) {
                added.push(earlier);
            }
            added.push(*entry);
        }
        added.extend(fresh);
        Self { hidden, added }
    }

    /// Whether it has grown so large that some of it is better packed. Each patch copies it and each packing copies
    /// segments, so a share of the whole keeps both cheap on average; beyond some megabytes the copies themselves weigh.
    pub(super) fn is_heavy(&self, packed: usize) -> bool {
        self.hidden.len() + self.added.len() > (packed / 64).clamp(1024, 32_768)
    }

    /// Packs the changes of the segments that have most of them; the others stay as they are, and so do their changes.
    pub(super) fn pack(&self, columns: &Columns, most: usize) -> (Columns, Self) {
        let stretches = self.by_segment(columns);
        let mut heaviest: Vec<usize> =
            (0..stretches.len()).filter(|at| stretches[*at].changes() > 0).collect();
        heaviest.sort_by_key(|at| std::cmp::Reverse(stretches[*at].changes()));
        heaviest.truncate(most);
        let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(columns.segments().len() + heaviest.len());
        let (mut left, mut end) = (Self::default(), 0);
        for (at, stretch) in stretches.into_iter().enumerate() {
            let before = segments.len();
            if heaviest.contains(&at) {
                segments.extend(self.packed(stretch).map(Arc::new));
            } else if let Some(segment) = columns.segments().get(at) {
                let moved = stretch.hidden.iter().map(|hidden| hidden - stretch.base.start as u32 + end);
                left.hidden.extend(moved);
                left.added.extend(stretch.added);
                segments.push(Arc::clone(segment));
            }
            end += segments[before..].iter().map(|segment| segment.len() as u32).sum::<u32>();
        }
        (Columns::of(segments), left)
    }

    /// The stretch of each segment, one for all that is there where there are none.
    fn by_segment<'a>(&'a self, columns: &'a Columns) -> Vec<Slice<'a>> {
        let (mut hidden_from, mut added_from) = (0, 0);
        let stretch = |segment: usize| {
            let base = if columns.segments().is_empty() { 0..0 } else { columns.positions(segment) };
            let is_before_next =
                |entry: &Entry| columns.first_of(segment + 1).is_none_or(|next| entry.order() < *next);
            let hidden = &self.hidden[hidden_from..];
            let hidden = &hidden[..hidden.partition_point(|position| (*position as usize) < base.end)];
            let added = &self.added[added_from..];
            let added = &added[..added.partition_point(is_before_next)];
            let stretch = Slice { columns, base, hidden, added_from, added };
            hidden_from += hidden.len();
            added_from += added.len();
            stretch
        };
        (0..columns.segments().len().max(1)).map(stretch).collect()
    }

    /// The rows of a stretch as segments, which have room for more where they are several.
    fn packed(&self, stretch: Slice<'_>) -> impl Iterator<Item = Segment> {
        let (columns, count) = (stretch.columns, stretch.size());
        let segments = if count > MOST_ROWS { count.div_ceil(FILL) } else { 1 };
        let size = count.div_ceil(segments);
        let mut rows = stretch.map(|at| match at {
            At::Base(position) => (columns.order(position).0, columns.row(position)),
            At::Added(at) => (self.added[at].key, self.added[at].row),
        });
        std::iter::from_fn(move || {
            let mut loose = LooseColumns::with_capacity(size);
            rows.by_ref().take(size).for_each(|row| loose.push(row));
            (loose.len() > 0).then(|| loose.pack())
        })
    }

    /// The row of one cover: packed and not hidden, or among the arrivals, which are looked through
    /// one by one.
    pub(super) fn find(&self, columns: &Columns, cover: CoverId) -> Option<SnapshotRow> {
        let packed = columns.find(cover).find(|position| self.hidden.binary_search(position).is_err());
        match packed {
            Some(position) => Some(columns.row(position as usize)),
            None => self.added.iter().find(|entry| entry.row.cover == cover).map(|entry| entry.row),
        }
    }

    /// Rows in the order of their ids, those behind one.
    pub(super) fn in_id_order<'a>(
        &'a self,
        columns: &'a Columns,
        after: Option<CoverId>,
    ) -> impl Iterator<Item = SnapshotRow> + 'a {
        let mut added: Vec<&SnapshotRow> = self.added.iter().map(|entry| &entry.row).collect();
        added.retain(|row| after.is_none_or(|after| row.cover > after));
        added.sort_unstable_by_key(|row| row.cover);
        let mut added = added.into_iter().copied().peekable();
        let is_there = |position: &u32| self.hidden.binary_search(position).is_err();
        let mut packed = columns.in_id_order(after).filter(move |(_, at)| is_there(at)).peekable();
        std::iter::from_fn(move || {
            let packed_is_next = match (packed.peek(), added.peek()) {
                (Some((id, _)), Some(row)) => *id < row.cover,
                (packed, _) => packed.is_some(),
            };
            if packed_is_next {
                packed.next().map(|(_, position)| columns.row(position as usize))
            } else {
                added.next()
            }
        })
    }

    /// The row that has this code now.
    pub(super) fn find_code(&self, columns: &Columns, code: PackedCode) -> Option<SnapshotRow> {
        let packed = columns.with_code(code).find(|position| self.hidden.binary_search(position).is_err());
        match packed {
            Some(position) => Some(columns.row(position as usize)),
            None => self.added.iter().find(|entry| entry.row.attributes.code == code).map(|entry| entry.row),
        }
    }

    /// Rows whose code begins with these digits, at most so many of the packed ones.
    pub(super) fn codes_beginning(&self, columns: &Columns, digits: &str, most: usize) -> Vec<SnapshotRow> {
        let ranges = PackedCode::beginning(digits);
        let is_there = |position: u32| self.hidden.binary_search(&position).is_err();
        let packed = ranges.iter().flat_map(|range| columns.with_codes(range, most, is_there)).take(most);
        let begins = |entry: &&Entry| {
            let code = entry.row.attributes.code.order();
            ranges.iter().any(|range| range.contains(&code))
        };
        let added = self.added.iter().filter(begins).map(|entry| entry.row);
        packed.map(|position| columns.row(position as usize)).chain(added).collect()
    }

    /// The stretch of these keys.
    pub(super) fn slice<'a>(&'a self, columns: &'a Columns, keys: KeyRange) -> Slice<'a> {
        let (first, last) = (keys.first as u64, keys.last as u64);
        let start = columns.first_from(first);
        let base = start..columns.first_from(last.saturating_add(1)).max(start);
        let hidden = between(
            &self.hidden,
            |position| (*position as usize) < base.start,
            |position| (*position as usize) < base.end,
        );
        let added = between(&self.added, |entry| entry.key < first, |entry| entry.key <= last);
        Slice {
            columns,
            base,
            hidden: &self.hidden[hidden],
            added_from: added.start,
            added: &self.added[added],
        }
    }
}

/// A row that came since, with its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: u64,
    pub(super) row: SnapshotRow,
}

impl Entry {
    fn new(row: SnapshotRow) -> Self {
        Self { key: quadkey(row.lon, row.lat) as u64, row }
    }

    fn order(&self) -> RowOrder {
        (self.key, self.row.cover)
    }
}

/// Where a row lies: packed, or among the recent arrivals.
pub(super) enum At {
    Base(usize),
    Added(usize),
}

/// A stretch of a snapshot; as an iterator it merges the packed rows with the recent arrivals.
pub(super) struct Slice<'a> {
    columns: &'a Columns,
    pub(super) base: Range<usize>,
    /// Hidden positions within `base`.
    pub(super) hidden: &'a [u32],
    /// Where `added` starts within the snapshot's arrivals.
    added_from: usize,
    pub(super) added: &'a [Entry],
}

impl Slice<'_> {
    fn changes(&self) -> usize {
        self.hidden.len() + self.added.len()
    }

    /// Where its arrivals stand among all of the snapshot.
    pub(super) fn added_positions(&self) -> Range<usize> {
        self.added_from..self.added_from + self.added.len()
    }

    /// How many rows, without looking at them.
    pub(super) fn size(&self) -> usize {
        self.base.len() - self.hidden.len() + self.added.len()
    }
}

impl Iterator for Slice<'_> {
    type Item = At;

    fn next(&mut self) -> Option<At> {
        while let Some((first, rest)) = self.hidden.split_first()
            && *first as usize == self.base.start
        {
            self.hidden = rest;
            self.base.start += 1;
        }
        let at = self.base.start;
        let packed_is_next = match self.added.first() {
            None => true,
            Some(entry) => !self.base.is_empty() && self.columns.order(at) < entry.order(),
        };
        if packed_is_next {
            self.base.next().map(At::Base)
        } else {
            self.added = &self.added[1..];
            self.added_from += 1;
            Some(At::Added(self.added_from - 1))
        }
    }
}

/// Positions of the items that are not `before` and still `within`, in a sorted slice.
fn between<T>(items: &[T], before: impl Fn(&T) -> bool, within: impl Fn(&T) -> bool) -> Range<usize> {
    let start = items.partition_point(before);
    start..start + items[start..].partition_point(within)
}
