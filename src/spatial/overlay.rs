//! What changed since a snapshot's columns were packed: rows that are gone or replaced, and rows that
//! came. A stretch of both reads as if everything were packed.

use std::collections::HashMap;
use std::ops::Range;

use super::attributes::PackedCode;
use super::columns::Columns;
use super::quadkey::KeyRange;
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
        hidden.extend(last.keys().filter_map(|cover| columns.find(*cover)));
        hidden.sort_unstable();
        hidden.dedup();
        let mut added: Vec<Entry> = Vec::with_capacity(self.added.len() + last.len());
        added.extend(self.added.iter().filter(|entry| !last.contains_key(&entry.row.cover)));
        added.extend(last.into_values().flatten().map(Entry::new));
        // Stable sort: it finds the long sorted run that is already there.
        added.sort_by_key(Entry::order);
        Self { hidden, added }
    }

    /// Whether it has grown so large that everything is better packed anew. Each patch copies it and
    /// each packing copies everything, so a share of the whole keeps both cheap on average.
    pub(super) fn is_heavy(&self, packed: usize) -> bool {
        self.hidden.len() + self.added.len() > (packed / 64).max(1024)
    }

    /// The row of one cover: packed and not hidden, or among the arrivals, which are looked through
    /// one by one.
    pub(super) fn find(&self, columns: &Columns, cover: CoverId) -> Option<SnapshotRow> {
        match columns.find(cover) {
            Some(position) if self.hidden.binary_search(&position).is_err() => {
                Some(columns.row(position as usize))
            }
            _ => self.added.iter().find(|entry| entry.row.cover == cover).map(|entry| entry.row),
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
        let mut packed = columns.behind(after).iter().copied().filter(is_there).peekable();
        std::iter::from_fn(move || {
            let packed_is_next = match (packed.peek(), added.peek()) {
                (Some(position), Some(row)) => columns.ids[*position as usize] < row.cover,
                (packed, _) => packed.is_some(),
            };
            if packed_is_next {
                packed.next().map(|position| columns.row(position as usize))
            } else {
                added.next()
            }
        })
    }

    /// The row that has this code now.
    pub(super) fn find_code(&self, columns: &Columns, code: PackedCode) -> Option<SnapshotRow> {
        let packed =
            columns.with_code(code).iter().find(|position| self.hidden.binary_search(position).is_err());
        match packed {
            Some(position) => Some(columns.row(*position as usize)),
            None => self.added.iter().find(|entry| entry.row.attributes.code == code).map(|entry| entry.row),
        }
    }

    /// Rows whose code begins with these digits, at most so many of the packed ones.
    pub(super) fn codes_beginning(&self, columns: &Columns, digits: &str, most: usize) -> Vec<SnapshotRow> {
        let ranges = PackedCode::beginning(digits);
        let packed = ranges.iter().flat_map(|range| columns.with_codes(range.clone()));
        let packed = packed.filter(|position| self.hidden.binary_search(position).is_err()).take(most);
        let begins = |entry: &&Entry| {
            let code = entry.row.attributes.code.order();
            ranges.iter().any(|range| range.contains(&code))
        };
        let added = self.added.iter().filter(begins).map(|entry| entry.row);
        packed.map(|position| columns.row(*position as usize)).chain(added).collect()
    }

    /// The stretch of these keys.
    pub(super) fn slice<'a>(&'a self, columns: &'a Columns, keys: KeyRange) -> Slice<'a> {
        let (first, last) = (keys.first as u64, keys.last as u64);
        let start = columns.keys.first_from(first);
        let base = start..columns.keys.first_from(last.saturating_add(1)).max(start);
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

    fn order(&self) -> (u64, CoverId) {
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
            Some(entry) => {
                !self.base.is_empty() && (self.columns.keys.get(at), self.columns.ids[at]) < entry.order()
            }
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
