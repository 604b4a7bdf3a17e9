//! Some of the covers of a snapshot, a bit for each: a filter is asked once about every cover, and then counts, tiles and
//! lists are as cheap as those of the whole map.

use std::ops::Range;

use super::overlay::{At, Slice};
use super::quadkey::{KeyRange, TileId};
use super::snapshot::{Dot, GridCell, Snapshot, SnapshotRow, grid};

/// From so many rows on two threads share the work.
const SHARED_FROM: usize = 50_000;

/// Which covers of one snapshot. It means nothing for another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    packed: Bits,
    added: Bits,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn with_room(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn count(&self, range: Range<usize>) -> usize {
        if range.is_empty() {
            return 0;
        }
        let (first, last) = (range.start / 64, (range.end - 1) / 64);
        let words = (first..).zip(&self.0[first..=last]);
        let bits = words.map(|(at, word)| {
            let mut word = *word;
            if at == first {
                word &= u64::MAX << (range.start % 64);
            }
            if at == last {
                word &= u64::MAX >> (63 - (range.end - 1) % 64);
            }
            word.count_ones() as usize
        });
        bits.sum()
    }
}

impl Selection {
    /// The covers with keys in these ranges, which rise, that pass a test.
    pub fn of(map: &Snapshot, ranges: &[KeyRange], fits: impl Fn(&SnapshotRow) -> bool + Sync) -> Self {
        let (packed, added) = map.sizes();
        let mut selection = Self { packed: Bits::with_room(packed), added: Bits::with_room(added) };
        for range in ranges {
            let slice = map.slice(*range);
            selection.take(map, slice, &fits);
        }
        selection
    }

    fn take(&mut self, map: &Snapshot, slice: Slice<'_>, fits: &(impl Fn(&SnapshotRow) -> bool + Sync)) {
        for at in slice.added_positions() {
            if fits(&map.row_at(&At::Added(at))) {
                self.added.set(at);
            }
        }
        let Range { start, end } = slice.base;
        if start == end {
            return;
        }
        let hidden = slice.hidden;
        let test = |words: &mut [u64], first: usize, range: Range<usize>| {
            for at in range {
                if hidden.binary_search(&(at as u32)).is_err() && fits(&map.row_at(&At::Base(at))) {
                    words[at / 64 - first] |= 1 << (at % 64);
                }
            }
        };
        if end - start < SHARED_FROM {
            return test(&mut self.packed.0, 0, start..end);
        }
        // Each takes whole words.
        let middle = (start + (end - start) / 2) / 64;
        let (low, high) = self.packed.0.split_at_mut(middle);
        std::thread::scope(|threads| {
            threads.spawn(|| test(low, 0, start..middle * 64));
            test(high, middle, middle * 64..end);
        });
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        (self.packed.0.capacity() + self.added.0.capacity()) * size_of::<u64>()
    }

    fn has(&self, at: &At) -> bool {
        match at {
            At::Base(at) => self.packed.has(*at),
            At::Added(at) => self.added.has(*at),
        }
    }

    fn count(&self, slice: &Slice<'_>) -> usize {
        // What is hidden was never selected.
        self.packed.count(slice.base.clone()) + self.added.count(slice.added_positions())
    }
}

/// A snapshot, or of it those covers alone that were selected.
#[derive(Clone, Copy)]
pub struct Chosen<'m> {
    map: &'m Snapshot,
    only: Option<&'m Selection>,
}

impl<'m> Chosen<'m> {
    /// `None` chooses all.
    pub fn new(map: &'m Snapshot, only: Option<&'m Selection>) -> Self {
        Self { map, only }
    }

    pub fn map(&self) -> &'m Snapshot {
        self.map
    }

    pub fn count(&self) -> usize {
        self.count_in(KeyRange::WORLD)
    }

    fn count_in(&self, keys: KeyRange) -> usize {
        let slice = self.map.slice(keys);
        self.only.map_or(slice.size(), |only| only.count(&slice))
    }

    fn positions(self, keys: KeyRange) -> impl Iterator<Item = At> + 'm {
        let only = self.only;
        self.map.slice(keys).filter(move |at| only.is_none_or(|only| only.has(at)))
    }

    /// Rows whose quadkeys lie in a range, in the order of (quadkey, id).
    pub fn rows(self, keys: KeyRange) -> impl Iterator<Item = SnapshotRow> + 'm {
        self.positions(keys).map(move |at| self.map.row_at(&at))
    }

    /// What a tile for everybody shows, in the same order.
    pub fn dots_in_tile(self, tile: TileId) -> impl Iterator<Item = Dot> + 'm {
        self.positions(tile.key_range()).map(move |at| self.map.dot_at(&at))
    }

    /// Divides a tile into `side` × `side` cells as [`Snapshot::grid_in_tile`] does.
    pub fn grid_in_tile(&self, tile: TileId, side: u32) -> Vec<GridCell> {
        grid(tile, side, |cell| self.count_in(cell.key_range()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spatial::Change;
    use crate::spatial::snapshot::tests::{changes, row};

    proptest! {
        /// Packed, hidden and arrived rows: what is chosen is what a plain look at each row chooses.
        #[test]
        fn a_selection_is_what_the_rows_say(
            before in changes(300),
            after in changes(60),
            kept in 0_u8..4,
            zoom in 0_u32..20,
        ) {
            let packed = before.iter().filter_map(|change| match change {
                Change::Put(row) => Some(*row),
                Change::Remove(_) => None,
            });
            let map = Snapshot::build(packed, 1).with_changes(after, 2);
            let fits = |row: &SnapshotRow| row.class as u8 % 4 != kept;
            let selection = Selection::of(&map, &[KeyRange::WORLD], fits);
            let chosen = Chosen::new(&map, Some(&selection));
            let wanted: Vec<SnapshotRow> = map.rows().filter(fits).collect();
            prop_assert_eq!(chosen.rows(KeyRange::WORLD).collect::<Vec<_>>(), wanted.clone());
            prop_assert_eq!(chosen.count(), wanted.len());
            if let Some(first) = wanted.first() {
                let tile = TileId::at(first.lon, first.lat, zoom);
                let inside: Vec<SnapshotRow> = map.in_tile(tile).filter(fits).collect();
                let dots: Vec<Dot> = chosen.dots_in_tile(tile).collect();
                prop_assert_eq!(dots.len(), inside.len());
                prop_assert!(dots.iter().zip(&inside).all(|(dot, row)| dot.class == row.class && dot.flags == row.flags));
                let counted: usize = chosen.grid_in_tile(tile, 32).iter().map(|cell| cell.count).sum();
                prop_assert_eq!(counted, inside.len());
                let part = Selection::of(&map, &[tile.key_range()], fits);
                prop_assert_eq!(Chosen::new(&map, Some(&part)).count(), inside.len());
            }
        }
    }

    #[test]
    fn two_threads_choose_what_one_does() {
        let map = Snapshot::build(
            (0..120_000).map(|number| row(number, 118.5 + f64::from(number) * 1e-6, 37.4)),
            1,
        );
        let fits = |row: &SnapshotRow| row.lon > 118.55;
        let selection = Selection::of(&map, &[KeyRange::WORLD], fits);
        assert_eq!(Chosen::new(&map, Some(&selection)).count(), map.rows().filter(fits).count());
    }
}
