//! A stretch of the packed rows of a snapshot in columns. It never changes; snapshots share it.
//!
//! Memory: 82 bytes a cover (quadkey 4, id 16, longitude 4 and latitude 8 as the tables store them to the last bit,
//! class, state and flags 3, orders by id and by code 4, filters before them 3, attributes 40). The 32 bytes first planned
//! would round the position, and a box could then answer otherwise than the tables do.

use std::ops::Range;

use super::attributes::{Attributes, CodeOrder, PackedCode};
use super::bloom::{Bloom, Print};
use super::packed::{Keys, Longitudes};
use super::snapshot::{Dot, Flags, SnapshotRow};
use crate::domain::cover::{CoverClass, CoverState};
use crate::domain::ids::CoverId;

pub(super) const HAS_PLATE: u8 = 1;
pub(super) const OPEN_CASE: u8 = 2;

/// So many rows fit a segment: their places in it take two bytes. Tests make do with little ones, so that they have many.
pub(super) const MOST_ROWS: usize = if cfg!(test) { 64 } else { 1 << 16 };
/// So many rows a new segment gets where there are more than one can hold: it has room for those that come.
pub(super) const FILL: usize = MOST_ROWS / 4 * 3;

/// The order of rows: by place, then by id.
pub(super) type RowOrder = (u64, CoverId);

pub(super) fn pack_flags(flags: Flags) -> u8 {
    (u8::from(flags.has_plate) * HAS_PLATE) | (u8::from(flags.open_case) * OPEN_CASE)
}

fn unpack_marks(class: u8, state: u8, flags: u8) -> (CoverClass, CoverState, Flags) {
    let flags = Flags { has_plate: flags & HAS_PLATE != 0, open_case: flags & OPEN_CASE != 0 };
    (CoverClass::ALL[usize::from(class)], CoverState::ALL[usize::from(state)], flags)
}

/// Rows with their keys, in columns that can still be written.
#[derive(Debug, Default)]
pub(super) struct LooseColumns {
    pub(super) keys: Vec<u64>,
    pub(super) ids: Vec<CoverId>,
    lons: Vec<f64>,
    lats: Vec<f64>,
    classes: Vec<u8>,
    states: Vec<u8>,
    flags: Vec<u8>,
    attributes: Vec<Attributes>,
}

impl LooseColumns {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            keys: Vec::with_capacity(count),
            ids: Vec::with_capacity(count),
            lons: Vec::with_capacity(count),
            lats: Vec::with_capacity(count),
            classes: Vec::with_capacity(count),
            states: Vec::with_capacity(count),
            flags: Vec::with_capacity(count),
            attributes: Vec::with_capacity(count),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn push(&mut self, (key, row): (u64, SnapshotRow)) {
        self.keys.push(key);
        self.ids.push(row.cover);
        self.lons.push(row.lon);
        self.lats.push(row.lat);
        self.classes.push(row.class as u8);
        self.states.push(row.state as u8);
        self.flags.push(pack_flags(row.flags));
        self.attributes.push(row.attributes);
    }

    pub(super) fn get(&self, at: usize) -> (u64, SnapshotRow) {
        let (class, state, flags) = unpack_marks(self.classes[at], self.states[at], self.flags[at]);
        let row = SnapshotRow {
            cover: self.ids[at],
            lon: self.lons[at],
            lat: self.lats[at],
            class,
            state,
            flags,
            attributes: self.attributes[at],
        };
        (self.keys[at], row)
    }

    pub(super) fn set(&mut self, at: usize, (key, row): (u64, SnapshotRow)) {
        self.keys[at] = key;
        self.ids[at] = row.cover;
        self.lons[at] = row.lon;
        self.lats[at] = row.lat;
        self.classes[at] = row.class as u8;
        self.states[at] = row.state as u8;
        self.flags[at] = pack_flags(row.flags);
        self.attributes[at] = row.attributes;
    }

    /// Packs the rows, which stand in their order.
    pub(super) fn pack(self) -> Segment {
        let count = self.len();
        let mut keys = Keys::with_capacity(count);
        self.keys.into_iter().for_each(|key| keys.push(key));
        let mut lons = Longitudes::with_capacity(count);
        self.lons.into_iter().for_each(|lon| lons.push(&keys, lon));
        let mut segment = Segment {
            keys,
            ids: fitted(self.ids),
            lons,
            lats: fitted(self.lats),
            classes: fitted(self.classes),
            states: fitted(self.states),
            flags: fitted(self.flags),
            attributes: fitted(self.attributes),
            by_id: places(count),
            by_code: places(count),
            known_ids: Bloom::of([].into_iter()),
            known_codes: Bloom::of([].into_iter()),
        };
        segment.by_id.sort_unstable_by_key(|at| segment.ids[usize::from(*at)]);
        segment.by_code.sort_by_key(|at| segment.attributes[usize::from(*at)].code.order());
        segment.known_ids = Bloom::of(segment.ids.iter().map(Print::of));
        segment.known_codes = Bloom::of(segment.attributes.iter().map(|known| Print::of(&known.code)));
        segment
    }
}

/// Places from 0 on.
fn places(count: usize) -> Vec<u16> {
    (0..count).map(|at| at as u16).collect()
}

fn fitted<T>(mut column: Vec<T>) -> Vec<T> {
    column.shrink_to_fit();
    column
}

/// At least one row and at most [`MOST_ROWS`], in their order.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) keys: Keys,
    pub(super) ids: Vec<CoverId>,
    lons: Longitudes,
    lats: Vec<f64>,
    classes: Vec<u8>,
    states: Vec<u8>,
    flags: Vec<u8>,
    attributes: Vec<Attributes>,
    /// Places in the order of their ids.
    by_id: Vec<u16>,
    /// Places in the order of their codes.
    by_code: Vec<u16>,
    known_ids: Bloom,
    known_codes: Bloom,
}

impl Segment {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.keys.heap_bytes()
            + self.ids.capacity() * size_of::<CoverId>()
            + self.lons.heap_bytes()
            + self.lats.capacity() * size_of::<f64>()
            + self.classes.capacity()
            + self.states.capacity()
            + self.flags.capacity()
            + self.attributes.capacity() * size_of::<Attributes>()
            + (self.by_id.capacity() + self.by_code.capacity()) * size_of::<u16>()
            + self.known_ids.heap_bytes()
            + self.known_codes.heap_bytes()
    }

    pub(super) fn order(&self, at: usize) -> RowOrder {
        (self.keys.get(at), self.ids[at])
    }

    pub(super) fn row(&self, at: usize) -> SnapshotRow {
        let (class, state, flags) = unpack_marks(self.classes[at], self.states[at], self.flags[at]);
        SnapshotRow {
            cover: self.ids[at],
            lon: self.lons.get(&self.keys, at),
            lat: self.lats[at],
            class,
            state,
            flags,
            attributes: self.attributes[at],
        }
    }

    pub(super) fn dot(&self, at: usize) -> Dot {
        let (class, state, flags) = unpack_marks(self.classes[at], self.states[at], self.flags[at]);
        Dot { quadkey: self.keys.get(at) as i64, class, state, flags }
    }

    /// Hands out class, state and flags of some rows.
    pub(super) fn marks(&self, range: Range<usize>, take: &mut impl FnMut(u8, u8, u8)) {
        for at in range {
            take(self.classes[at], self.states[at], self.flags[at]);
        }
    }

    pub(super) fn find(&self, cover: CoverId, print: Print) -> Option<usize> {
        if !self.known_ids.may_hold(print) {
            return None;
        }
        let found = self.by_id.binary_search_by_key(&cover, |at| self.ids[usize::from(*at)]).ok()?;
        Some(usize::from(self.by_id[found]))
    }

    /// Places in the order of ids, those behind one.
    pub(super) fn behind(&self, after: Option<CoverId>) -> &[u16] {
        let is_before = |at: &u16| after.is_some_and(|after| self.ids[usize::from(*at)] <= after);
        &self.by_id[self.by_id.partition_point(is_before)..]
    }

    fn code_order(&self, at: u16) -> CodeOrder {
        self.attributes[usize::from(at)].code.order()
    }

    /// Places of the rows with this code: one, or for a moment while codes change hands several.
    pub(super) fn with_code(&self, code: PackedCode, print: Print) -> &[u16] {
        if !self.known_codes.may_hold(print) {
            return &[];
        }
        let wanted = code.order();
        let from = self.by_code.partition_point(|at| self.code_order(*at) < wanted);
        let count = self.by_code[from..].partition_point(|at| self.code_order(*at) == wanted);
        &self.by_code[from..from + count]
    }

    /// The rows whose codes lie in a range of their order, in that order, with their places.
    pub(super) fn with_codes(&self, range: &Range<CodeOrder>) -> impl Iterator<Item = (CodeOrder, usize)> {
        let from = self.by_code.partition_point(|at| self.code_order(*at) < range.start);
        let until = self.by_code.partition_point(|at| self.code_order(*at) < range.end);
        self.by_code[from..until.max(from)].iter().map(|at| (self.code_order(*at), usize::from(*at)))
    }
}
