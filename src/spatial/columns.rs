//! The packed part of a snapshot: every row in columns, sorted by place and found by id.
//!
//! Memory: 83 bytes a cover (quadkey 4, id 16, longitude 4 and latitude 8 as the tables store them to the last bit,
//! class, state and flags 3, orders by id and by code 8, attributes 40). The 32 bytes first planned would round the position,
//! and a box could then answer otherwise than the tables do.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::attributes::{Attributes, CodeOrder, PackedCode};
use super::overlay::{At, Overlay};
use super::packed::{Keys, Longitudes};
use super::quadkey::KeyRange;
use super::snapshot::{Dot, Flags, SnapshotRow};
use crate::domain::cover::{CoverClass, CoverState};
use crate::domain::ids::CoverId;
use crate::domain::position::quadkey;

pub(super) const HAS_PLATE: u8 = 1;
pub(super) const OPEN_CASE: u8 = 2;
const GONE: u32 = u32::MAX;

pub(super) fn pack_flags(flags: Flags) -> u8 {
    (u8::from(flags.has_plate) * HAS_PLATE) | (u8::from(flags.open_case) * OPEN_CASE)
}

fn unpack_flags(flags: u8) -> Flags {
    Flags { has_plate: flags & HAS_PLATE != 0, open_case: flags & OPEN_CASE != 0 }
}

/// The packed part of a snapshot, in the order of (quadkey, id).
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) keys: Keys,
    pub(super) ids: Vec<CoverId>,
    lons: Longitudes,
    lats: Vec<f64>,
    pub(super) classes: Vec<u8>,
    pub(super) states: Vec<u8>,
    pub(super) flags: Vec<u8>,
    attributes: Vec<Attributes>,
    /// Positions in the order of their ids.
    by_id: Vec<u32>,
    /// Positions in the order of their codes.
    by_code: Vec<u32>,
}

impl Columns {
    fn with_capacity(count: usize) -> Self {
        Self {
            keys: Keys::with_capacity(count),
            ids: Vec::with_capacity(count),
            lons: Longitudes::with_capacity(count),
            lats: Vec::with_capacity(count),
            classes: Vec::with_capacity(count),
            states: Vec::with_capacity(count),
            flags: Vec::with_capacity(count),
            attributes: Vec::with_capacity(count),
            by_id: Vec::new(),
            by_code: Vec::new(),
        }
    }

    /// Packs what was packed and what came since into one.
    pub(super) fn merge(base: &Self, overlay: &Overlay) -> Self {
        let mut columns = Self::with_capacity(overlay.count_with(base.len()));
        let mut moved = vec![GONE; base.len()];
        let mut arrived = vec![GONE; overlay.added().len()];
        for at in overlay.slice(base, KeyRange::WORLD) {
            let position = columns.len() as u32;
            match at {
                At::Base(old) => {
                    moved[old] = position;
                    columns.push(base.keys.get(old), base.row(old));
                }
                At::Added(new) => {
                    arrived[new] = position;
                    let entry = &overlay.added()[new];
                    columns.push(entry.key, entry.row);
                }
            }
        }
        arrived.sort_unstable_by_key(|position| columns.ids[*position as usize]);
        let mut arrived = arrived.into_iter().peekable();
        let mut by_id = Vec::with_capacity(columns.len());
        for old in &base.by_id {
            let position = moved[*old as usize];
            if position == GONE {
                continue;
            }
            let id = columns.ids[position as usize];
            while let Some(earlier) = arrived.next_if(|arrival| columns.ids[*arrival as usize] < id) {
                by_id.push(earlier);
            }
            by_id.push(position);
        }
        by_id.extend(arrived);
        columns.by_id = by_id;
        columns.order_by_code();
        columns
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
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
            + (self.by_id.capacity() + self.by_code.capacity()) * size_of::<u32>()
    }

    fn push(&mut self, key: u64, row: SnapshotRow) {
        self.keys.push(key);
        self.ids.push(row.cover);
        self.lons.push(&self.keys, row.lon);
        self.lats.push(row.lat);
        self.classes.push(row.class as u8);
        self.states.push(row.state as u8);
        self.flags.push(pack_flags(row.flags));
        self.attributes.push(row.attributes);
    }

    pub(super) fn row(&self, at: usize) -> SnapshotRow {
        SnapshotRow {
            cover: self.ids[at],
            lon: self.lons.get(&self.keys, at),
            lat: self.lats[at],
            class: CoverClass::ALL[usize::from(self.classes[at])],
            state: CoverState::ALL[usize::from(self.states[at])],
            flags: unpack_flags(self.flags[at]),
            attributes: self.attributes[at],
        }
    }

    pub(super) fn dot(&self, at: usize) -> Dot {
        Dot {
            quadkey: self.keys.get(at) as i64,
            class: CoverClass::ALL[usize::from(self.classes[at])],
            state: CoverState::ALL[usize::from(self.states[at])],
            flags: unpack_flags(self.flags[at]),
        }
    }

    pub(super) fn find(&self, cover: CoverId) -> Option<u32> {
        self.by_id
            .binary_search_by_key(&cover, |position| self.ids[*position as usize])
            .ok()
            .map(|at| self.by_id[at])
    }

    /// Positions in the order of ids, those behind one.
    pub(super) fn behind(&self, after: Option<CoverId>) -> &[u32] {
        let is_before = |position: &u32| after.is_some_and(|after| self.ids[*position as usize] <= after);
        &self.by_id[self.by_id.partition_point(is_before)..]
    }

    /// Positions of the rows with this code: one, or for a moment while codes change hands several.
    pub(super) fn with_code(&self, code: PackedCode) -> &[u32] {
        let order = |position: &u32| self.attributes[*position as usize].code.order();
        let from = self.by_code.partition_point(|position| order(position) < code.order());
        let count = self.by_code[from..].partition_point(|position| order(position) == code.order());
        &self.by_code[from..from + count]
    }

    /// Positions of the rows whose codes lie in a range of their order.
    pub(super) fn with_codes(&self, range: Range<CodeOrder>) -> &[u32] {
        let order = |position: &u32| self.attributes[*position as usize].code.order();
        let from = self.by_code.partition_point(|position| order(position) < range.start);
        let until = self.by_code.partition_point(|position| order(position) < range.end);
        &self.by_code[from..until.max(from)]
    }

    fn order_by_code(&mut self) {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_by_key(|position| self.attributes[*position as usize].code.order());
        self.by_code = order;
    }
}

/// Rows on their way into columns, as they come. Of nothing but a few small columns there are two at a time.
pub(super) struct Loose {
    keys: Vec<u64>,
    ids: Vec<CoverId>,
    lons: Vec<f64>,
    lats: Vec<f64>,
    classes: Vec<u8>,
    states: Vec<u8>,
    flags: Vec<u8>,
    attributes: Vec<Attributes>,
}

impl Loose {
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

    pub(super) fn push(&mut self, row: SnapshotRow) {
        self.keys.push(quadkey(row.lon, row.lat) as u64);
        self.ids.push(row.cover);
        self.lons.push(row.lon);
        self.lats.push(row.lat);
        self.classes.push(row.class as u8);
        self.states.push(row.state as u8);
        self.flags.push(pack_flags(row.flags));
        self.attributes.push(row.attributes);
    }

    /// Of rows with the same id the last one stays.
    pub(super) fn into_columns(self) -> Columns {
        let came_by_id = self.ids.is_sorted_by(|id, next| id < next);
        let rows = if came_by_id { self } else { self.without_repeated() };
        let order = rows.order();
        let mut keys = Keys::with_capacity(order.len());
        order.iter().for_each(|at| keys.push(rows.keys[*at as usize]));
        drop(rows.keys);
        let mut lons = Longitudes::with_capacity(order.len());
        order.iter().for_each(|at| lons.push(&keys, rows.lons[*at as usize]));
        drop(rows.lons);
        let (mut ids, mut attributes) = (rows.ids, rows.attributes);
        arrange(&order, &mut ids, &mut attributes);
        let mut columns = Columns {
            keys,
            lons,
            lats: gather(rows.lats, &order),
            classes: gather(rows.classes, &order),
            states: gather(rows.states, &order),
            flags: gather(rows.flags, &order),
            attributes,
            by_id: if came_by_id { inverse(&order) } else { order_by_id(&ids) },
            ids,
            by_code: Vec::new(),
        };
        drop(order);
        columns.order_by_code();
        columns
    }

    fn without_repeated(self) -> Self {
        let last: HashMap<CoverId, usize> = self.ids.iter().copied().zip(0..).collect();
        if last.len() == self.ids.len() {
            return self;
        }
        let stays: Vec<u32> =
            (0u32..).zip(&self.ids).filter(|(at, id)| last[id] == *at as usize).map(|(at, _)| at).collect();
        Self {
            keys: gather(self.keys, &stays),
            ids: gather(self.ids, &stays),
            lons: gather(self.lons, &stays),
            lats: gather(self.lats, &stays),
            classes: gather(self.classes, &stays),
            states: gather(self.states, &stays),
            flags: gather(self.flags, &stays),
            attributes: gather(self.attributes, &stays),
        }
    }

    /// Where the rows came, in the order of (quadkey, id). Dealt out to tiles of zoom 12 first, so that only the rows of one
    /// tile are sorted, and held a second time, at once.
    fn order(&self) -> Vec<u32> {
        let tile = |key: u64| (key >> 32) as u32;
        let mut free: BTreeMap<u32, usize> = BTreeMap::new();
        self.keys.iter().for_each(|key| *free.entry(tile(*key)).or_default() += 1);
        let mut behind = 0;
        for count in free.values_mut() {
            behind += *count;
            *count = behind - *count;
        }
        let mut order = vec![0; self.keys.len()];
        for (at, key) in (0u32..).zip(&self.keys) {
            if let Some(place) = free.get_mut(&tile(*key)) {
                order[*place] = at;
                *place += 1;
            }
        }
        let (mut rest, mut begin) = (&mut *order, 0);
        for end in free.into_values() {
            let (of_tile, others) = rest.split_at_mut(end - begin);
            (rest, begin) = (others, end);
            self.sort_tile(of_tile);
        }
        order
    }

    fn sort_tile(&self, order: &mut [u32]) {
        let mut entries: Vec<u64> =
            order.iter().map(|at| self.keys[*at as usize] << 32 | u64::from(*at)).collect();
        entries.sort_unstable();
        order.iter_mut().zip(entries).for_each(|(at, entry)| *at = entry as u32);
        let key = |at: &u32| self.keys[*at as usize];
        for at_one_place in order.chunk_by_mut(|at, next| key(at) == key(next)) {
            at_one_place.sort_unstable_by_key(|at| self.ids[*at as usize]);
        }
    }
}

fn gather<T: Copy>(column: Vec<T>, order: &[u32]) -> Vec<T> {
    order.iter().map(|at| column[*at as usize]).collect()
}

/// The same for two columns in their own room: what moves away leaves its place to what comes there.
fn arrange<A: Copy, B: Copy>(order: &[u32], one: &mut [A], other: &mut [B]) {
    let mut is_done = vec![false; order.len()];
    for start in 0..order.len() {
        let away = (one[start], other[start]);
        let mut at = start;
        while !is_done[at] {
            is_done[at] = true;
            let from = order[at] as usize;
            (one[at], other[at]) = if from == start { away } else { (one[from], other[from]) };
            at = from;
        }
    }
}

/// Where each row went.
fn inverse(order: &[u32]) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    (0u32..).zip(order).for_each(|(place, at)| places[*at as usize] = place);
    places
}

/// By the first half of the id, which is the time of its making; the rest only decides ties. A stable sort, which
/// finds the runs of ids that came in order.
fn order_by_id(ids: &[CoverId]) -> Vec<u32> {
    let mut order: Vec<(u64, u32)> = ids.iter().map(|id| id.0.as_u64_pair().0).zip(0u32..).collect();
    order.sort_by(|(half, at), (other_half, other_at)| {
        half.cmp(other_half).then_with(|| ids[*at as usize].cmp(&ids[*other_at as usize]))
    });
    order.into_iter().map(|(_, at)| at).collect()
}
