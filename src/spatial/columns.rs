//! The packed part of a snapshot: every row, sorted by place and found by id. It stands in segments, so that the next
//! snapshot shares those in which nothing changed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::attributes::{CodeOrder, PackedCode};
use super::bloom::Print;
use super::segment::{FILL, LooseColumns, RowOrder, Segment};
use super::snapshot::{Dot, SnapshotRow};
use crate::domain::ids::CoverId;
use crate::domain::position::quadkey;

/// The packed part of a snapshot, in the order of (quadkey, id). A position counts through all segments.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    segments: Vec<Arc<Segment>>,
    /// Position of the first row of each segment, and behind the last one how many rows there are.
    starts: Vec<u32>,
    /// The order of the first row of each segment.
    firsts: Vec<RowOrder>,
    /// The segment of each position that is a multiple of [`STRIDE`], so that none is searched for.
    near: Vec<u32>,
}

const STRIDE: usize = 1 << 12;

impl Columns {
    /// Of segments that follow each other.
    pub(super) fn of(segments: Vec<Arc<Segment>>) -> Self {
        let (mut starts, mut near) = (vec![0], Vec::new());
        let mut end = 0;
        for (at, segment) in (0..).zip(&segments) {
            end += segment.len();
            starts.push(end as u32);
            near.resize(end.div_ceil(STRIDE), at);
        }
        let firsts = segments.iter().map(|segment| segment.order(0)).collect();
        Self { segments, starts, firsts, near }
    }

    pub(super) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The order of the first row of a segment; `None` = there are not so many.
    pub(super) fn first_of(&self, segment: usize) -> Option<&RowOrder> {
        self.firsts.get(segment)
    }

    /// The positions of a segment.
    pub(super) fn positions(&self, segment: usize) -> Range<usize> {
        self.starts[segment] as usize..self.starts[segment + 1] as usize
    }

    pub(super) fn len(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.lists_bytes() + self.segments.iter().map(|segment| segment.heap_bytes()).sum::<usize>()
    }

    /// Bytes of the segments that another one does not share.
    pub(super) fn bytes_beside(&self, other: &Self) -> usize {
        let shared: HashSet<*const Segment> = other.segments.iter().map(Arc::as_ptr).collect();
        let own = self.segments.iter().filter(|segment| !shared.contains(&Arc::as_ptr(segment)));
        self.lists_bytes() + own.map(|segment| segment.heap_bytes()).sum::<usize>()
    }

    fn lists_bytes(&self) -> usize {
        self.segments.capacity() * size_of::<Arc<Segment>>()
            + (self.starts.capacity() + self.near.capacity()) * size_of::<u32>()
            + self.firsts.capacity() * size_of::<RowOrder>()
    }

    /// The segment of a position, and the place in it.
    fn locate(&self, position: usize) -> (&Segment, usize) {
        let mut segment = self.near[position / STRIDE] as usize;
        while self.starts[segment + 1] as usize <= position {
            segment += 1;
        }
        (&self.segments[segment], position - self.starts[segment] as usize)
    }

    pub(super) fn order(&self, position: usize) -> RowOrder {
        let (segment, at) = self.locate(position);
        segment.order(at)
    }

    pub(super) fn row(&self, position: usize) -> SnapshotRow {
        let (segment, at) = self.locate(position);
        segment.row(at)
    }

    pub(super) fn dot(&self, position: usize) -> Dot {
        let (segment, at) = self.locate(position);
        segment.dot(at)
    }

    /// Hands out class, state and flags of some rows.
    pub(super) fn marks(&self, range: Range<usize>, mut take: impl FnMut(u8, u8, u8)) {
        let mut start = range.start;
        while start < range.end {
            let (segment, at) = self.locate(start);
            let until = segment.len().min(at + range.end - start);
            segment.marks(at..until, &mut take);
            start += until - at;
        }
    }

    /// Position of the first row whose key is no less than this one.
    pub(super) fn first_from(&self, key: u64) -> usize {
        match self.firsts.partition_point(|(first, _)| *first < key).checked_sub(1) {
            None => 0,
            Some(segment) => self.starts[segment] as usize + self.segments[segment].keys.first_from(key),
        }
    }

    fn with_starts(&self) -> impl Iterator<Item = (&Segment, u32)> {
        self.segments.iter().map(Arc::as_ref).zip(self.starts.iter().copied())
    }

    /// Positions of a cover: one, or of a cover that moved to a segment that was packed before the one it left several, of
    /// which all but one are hidden.
    pub(super) fn find(&self, cover: CoverId) -> impl Iterator<Item = u32> {
        let print = Print::of(&cover);
        self.with_starts()
            .filter_map(move |(segment, start)| segment.find(cover, print).map(|at| start + at as u32))
    }

    /// Ids with their positions in the order of ids, those behind one.
    pub(super) fn in_id_order(&self, after: Option<CoverId>) -> impl Iterator<Item = (CoverId, u32)> {
        let mut waiting: Vec<&[u16]> = self.segments.iter().map(|segment| segment.behind(after)).collect();
        let next = move |segment: usize, waiting: &mut [&[u16]]| {
            let (at, rest) = waiting[segment].split_first()?;
            waiting[segment] = rest;
            Some(Reverse((self.segments[segment].ids[usize::from(*at)], segment, *at)))
        };
        let mut heads: BinaryHeap<_> =
            (0..self.segments.len()).filter_map(|segment| next(segment, &mut waiting)).collect();
        std::iter::from_fn(move || {
            let Reverse((id, segment, at)) = heads.pop()?;
            heads.extend(next(segment, &mut waiting));
            Some((id, self.starts[segment] + u32::from(at)))
        })
    }

    /// Positions of the rows with this code: one, or for a moment while codes change hands several.
    pub(super) fn with_code(&self, code: PackedCode) -> impl Iterator<Item = u32> {
        let print = Print::of(&code);
        self.with_starts().flat_map(move |(segment, start)| {
            segment.with_code(code, print).iter().map(move |at| start + u32::from(*at))
        })
    }

    /// Positions of the first rows that pass a test of those whose codes lie in a range of their order.
    pub(super) fn with_codes(
        &self,
        range: &Range<CodeOrder>,
        most: usize,
        test: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let mut found = Vec::new();
        for (segment, start) in self.with_starts() {
            let here = segment.with_codes(range).map(|(order, at)| (order, start + at as u32));
            found.extend(here.filter(|(_, position)| test(*position)).take(most));
        }
        found.sort_unstable();
        found.into_iter().map(|(_, position)| position).take(most).collect()
    }
}

/// Rows on their way into columns, as they come, in pieces of the size of a segment: they are put in order where they are,
/// and each piece becomes a segment. There is no second copy of them.
#[derive(Default)]
pub(super) struct Loose(Vec<LooseColumns>);

impl Loose {
    pub(super) fn push(&mut self, row: SnapshotRow) {
        if self.0.last().is_none_or(|piece| piece.len() == FILL) {
            self.0.push(LooseColumns::with_capacity(FILL));
        }
        if let Some(piece) = self.0.last_mut() {
            piece.push((quadkey(row.lon, row.lat) as u64, row));
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(LooseColumns::len).sum()
    }

    fn ids(&self) -> impl Iterator<Item = CoverId> {
        self.0.iter().flat_map(|piece| piece.ids.iter().copied())
    }

    fn keys(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|piece| piece.keys.iter().copied())
    }

    fn key(&self, at: u32) -> u64 {
        self.0[at as usize / FILL].keys[at as usize % FILL]
    }

    fn id(&self, at: u32) -> CoverId {
        self.0[at as usize / FILL].ids[at as usize % FILL]
    }

    fn get(&self, at: usize) -> (u64, SnapshotRow) {
        self.0[at / FILL].get(at % FILL)
    }

    fn set(&mut self, at: usize, row: (u64, SnapshotRow)) {
        self.0[at / FILL].set(at % FILL, row);
    }

    /// Of rows with the same id the last one stays.
    pub(super) fn into_columns(self) -> Columns {
        let came_by_id = self.ids().is_sorted_by(|id, next| id < next);
        let mut rows = if came_by_id { self } else { self.without_repeated() };
        let order = rows.order();
        rows.arrange(&order);
        drop(order);
        Columns::of(rows.0.into_iter().map(|piece| Arc::new(piece.pack())).collect())
    }

    fn without_repeated(self) -> Self {
        let last: HashMap<CoverId, usize> = self.ids().zip(0..).collect();
        if last.len() == self.len() {
            return self;
        }
        let mut kept = Self::default();
        for at in 0..self.len() {
            let (_, row) = self.get(at);
            if last[&row.cover] == at {
                kept.push(row);
            }
        }
        kept
    }

    /// Where the rows came, in the order of (quadkey, id). Dealt out to tiles of zoom 12 first, so that only the rows of one
    /// tile are sorted, and held a second time, at once.
    fn order(&self) -> Vec<u32> {
        let tile = |key: u64| (key >> 32) as u32;
        let mut free: BTreeMap<u32, usize> = BTreeMap::new();
        self.keys().for_each(|key| *free.entry(tile(key)).or_default() += 1);
        let mut behind = 0;
        for count in free.values_mut() {
            behind += *count;
            *count = behind - *count;
        }
        let mut order = vec![0; self.len()];
        for (at, key) in (0u32..).zip(self.keys()) {
            if let Some(place) = free.get_mut(&tile(key)) {
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
        let mut entries: Vec<u64> = order.iter().map(|at| self.key(*at) << 32 | u64::from(*at)).collect();
        entries.sort_unstable();
        order.iter_mut().zip(entries).for_each(|(at, entry)| *at = entry as u32);
        for at_one_place in order.chunk_by_mut(|at, next| self.key(*at) == self.key(*next)) {
            at_one_place.sort_unstable_by_key(|at| self.id(*at));
        }
    }

    /// What moves away leaves its place to what comes there.
    fn arrange(&mut self, order: &[u32]) {
        let mut is_done = vec![false; order.len()];
        for start in 0..order.len() {
            if is_done[start] {
                continue;
            }
            let away = self.get(start);
            let mut at = start;
            while !is_done[at] {
                is_done[at] = true;
                let from = order[at] as usize;
                self.set(at, if from == start { away } else { self.get(from) });
                at = from;
            }
        }
    }
}
