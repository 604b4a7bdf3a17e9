//! A read model of all covers, sorted by quadkey in packed columns, so that a map is answered
//! without the database. A snapshot never changes; `LiveSnapshot` hands out the newest one.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::attributes::{Attributes, Lexicon};
use super::columns::{Columns, Loose};
use super::overlay::{At, Overlay, Slice};
use super::quadkey::{BBox, KeyRange, TileId};
use super::segment::{HAS_PLATE, OPEN_CASE, pack_flags};
use crate::domain::cover::{CoverClass, CoverState};
use crate::domain::ids::CoverId;
use crate::domain::position::{QUADKEY_ZOOM, distance_m, quadkey};

/// What the map knows of a cover.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SnapshotRow {
    pub cover: CoverId,
    /// CGCS2000 degrees, exactly as stored.
    pub lon: f64,
    pub lat: f64,
    pub class: CoverClass,
    pub state: CoverState,
    pub flags: Flags,
    pub attributes: Attributes,
}

impl SnapshotRow {
    pub fn dot(&self) -> Dot {
        let SnapshotRow { class, state, flags, .. } = *self;
        Dot { quadkey: quadkey(self.lon, self.lat), class, state, flags }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// A live plate is installed on it.
    pub has_plate: bool,
    /// A case on it is not closed yet.
    pub open_case: bool,
}

/// What a tile for everybody shows of a cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dot {
    pub quadkey: i64,
    pub class: CoverClass,
    pub state: CoverState,
    pub flags: Flags,
}

/// What a committed change means for the map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// The cover is there and looks like this now; it leaves its old place.
    Put(SnapshotRow),
    Remove(CoverId),
}

/// A cover and its distance from the point that was asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    pub row: SnapshotRow,
    pub distance_m: f64,
}

/// A cell of the grid that divides a tile, and how many covers lie in it (at least one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridCell {
    /// From the west edge of the tile, from 0.
    pub column: u32,
    /// From the north edge of the tile, from 0.
    pub row: u32,
    pub count: usize,
}

/// How many covers there are of each class and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub total: usize,
    pub with_plate: usize,
    pub with_open_case: usize,
    counts: [[usize; CoverState::ALL.len()]; CoverClass::ALL.len()],
}

impl Tally {
    pub fn count(&self, class: CoverClass, state: CoverState) -> usize {
        self.counts[class as usize][state as usize]
    }

    pub fn of_class(&self, class: CoverClass) -> usize {
        self.counts[class as usize].iter().sum()
    }

    pub fn of_state(&self, state: CoverState) -> usize {
        self.counts.iter().map(|states| states[state as usize]).sum()
    }
}

/// Segments that are packed anew before the snapshot before is let go: so many are there twice for a moment.
const PACKED_AT_ONCE: usize = 8;

/// Rows that come one by one, to be packed together.
pub struct SnapshotBuilder {
    lexicon: Arc<Lexicon>,
    rows: Loose,
}

impl SnapshotBuilder {
    /// For rows whose attributes are numbers of this lexicon.
    pub fn new(lexicon: Arc<Lexicon>) -> Self {
        Self { lexicon, rows: Loose::default() }
    }

    /// What the numbers of the attributes mean.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Of rows with the same id the last one counts.
    pub fn push(&mut self, row: SnapshotRow) {
        self.rows.push(row);
    }

    /// Packs all rows; `version` is the sequence of the last change they contain.
    pub fn build(self, version: i64) -> Snapshot {
        let base = self.rows.into_columns();
        Snapshot { version, lexicon: self.lexicon, base, overlay: Overlay::default() }
    }
}

/// All covers at one moment. Rows come in the order of (quadkey, id), whatever the way they got in,
/// so that the same covers give the same bytes on every server.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Sequence of the last change that it contains.
    version: i64,
    /// What the numbers of the attributes mean.
    lexicon: Arc<Lexicon>,
    base: Columns,
    overlay: Overlay,
}

impl Snapshot {
    /// Packs all rows; `version` is the sequence of the last change they contain. Of rows with the
    /// same id the last one counts.
    pub fn build(rows: impl IntoIterator<Item = SnapshotRow>, version: i64) -> Self {
        Self::build_with(Arc::default(), rows, version)
    }

    /// The same of rows whose attributes are numbers of this lexicon.
    pub fn build_with(
        lexicon: Arc<Lexicon>,
        rows: impl IntoIterator<Item = SnapshotRow>,
        version: i64,
    ) -> Self {
        let mut builder = SnapshotBuilder::new(lexicon);
        rows.into_iter().for_each(|row| builder.push(row));
        builder.build(version)
    }

    /// What the numbers of its attributes mean.
    pub fn lexicon(&self) -> &Arc<Lexicon> {
        &self.lexicon
    }

    /// Sequence of the last change that it contains.
    pub fn version(&self) -> i64 {
        self.version
    }

    pub fn len(&self) -> usize {
        self.overlay.count_with(self.base.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held on the heap; older snapshots that readers still hold share most of them.
    pub fn heap_bytes(&self) -> usize {
        self.base.heap_bytes() + self.overlay.heap_bytes()
    }

    /// Bytes that it holds beside another snapshot: those of recent changes, and of what was packed anew.
    pub fn bytes_beside(&self, other: &Self) -> usize {
        self.overlay.heap_bytes() + self.base.bytes_beside(&other.base)
    }

    /// The same covers after some changes, of which the last one on a cover counts. Costs time by
    /// the number of recent changes, and once in a while a pass over the segments that have most of them.
    pub fn with_changes(&self, changes: impl IntoIterator<Item = Change>, version: i64) -> Self {
        let mut next = self.patched(changes, version);
        while let Some(packed) = next.packed_further() {
            next = packed;
        }
        next
    }

    fn patched(&self, changes: impl IntoIterator<Item = Change>, version: i64) -> Self {
        let overlay = self.overlay.with_changes(&self.base, changes);
        Self { version, lexicon: Arc::clone(&self.lexicon), base: self.base.clone(), overlay }
    }

    /// The same with some segments packed anew; `None` = what changed of late is not worth it.
    fn packed_further(&self) -> Option<Self> {
        self.overlay.is_heavy(self.base.len()).then(|| self.with_packed(PACKED_AT_ONCE))
    }

    fn with_packed(&self, segments: usize) -> Self {
        let (base, overlay) = self.overlay.pack(&self.base, segments);
        Self { version: self.version, lexicon: Arc::clone(&self.lexicon), base, overlay }
    }

    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = SnapshotRow> + '_ {
        self.in_keys(KeyRange::WORLD)
    }

    /// The row of one cover. Fast for what was there at the last packing; recent arrivals are
    /// looked through one by one.
    pub fn find(&self, cover: CoverId) -> Option<SnapshotRow> {
        self.overlay.find(&self.base, cover)
    }

    /// Rows in the order of their ids, those behind one.
    pub fn in_id_order(&self, after: Option<CoverId>) -> impl Iterator<Item = SnapshotRow> + '_ {
        self.overlay.in_id_order(&self.base, after)
    }

    /// The row of the cover with this code, whatever the scheme.
    pub fn find_code(&self, digits: &str) -> Option<SnapshotRow> {
        let packed = self.lexicon.read().packed(digits);
        packed.into_iter().find_map(|code| self.overlay.find_code(&self.base, code))
    }

    /// Covers whose code begins with these digits, in the order of codes of the same length; at most so many.
    pub fn codes_beginning(&self, digits: &str, most: usize) -> Vec<SnapshotRow> {
        let mut found = self.overlay.codes_beginning(&self.base, digits, most);
        let words = self.lexicon.read();
        found.sort_by_cached_key(|row| words.digits(row.attributes.code));
        found.truncate(most);
        found
    }

    /// Rows in a box, edges included, on the coordinates as stored.
    pub fn in_bbox(&self, bbox: BBox) -> impl Iterator<Item = SnapshotRow> + '_ {
        bbox.key_ranges()
            .into_iter()
            .flat_map(|keys| self.in_keys(keys))
            .filter(move |row| bbox.contains(row.lon, row.lat))
    }

    /// Rows in a tile. Two neighbors share no row, and every row is in one tile of each zoom.
    pub fn in_tile(&self, tile: TileId) -> impl Iterator<Item = SnapshotRow> + '_ {
        self.in_keys(tile.key_range())
    }

    pub fn count_in_tile(&self, tile: TileId) -> usize {
        self.slice(tile.key_range()).size()
    }

    /// Divides a tile into `side` × `side` cells (a power of two) and counts each; empty cells are left
    /// out. No row is looked at. Cells are never finer than tiles of zoom 28.
    pub fn grid_in_tile(&self, tile: TileId, side: u32) -> Vec<GridCell> {
        grid(tile, side, |cell| self.count_in_tile(cell))
    }

    /// How many rows are packed, hidden ones among them, and how many arrived since.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.base.len(), self.overlay.added().len())
    }

    pub(super) fn row_at(&self, at: &At) -> SnapshotRow {
        match at {
            At::Base(position) => self.base.row(*position),
            At::Added(at) => self.overlay.added()[*at].row,
        }
    }

    pub(super) fn dot_at(&self, at: &At) -> Dot {
        match at {
            At::Base(position) => self.base.dot(*position),
            At::Added(at) => self.overlay.added()[*at].row.dot(),
        }
    }

    /// The `k` rows nearest to a point and no farther than `max_m` meters, nearest first; rows at
    /// the same distance in the order of their ids.
    pub fn nearest(&self, lon: f64, lat: f64, k: usize, max_m: f64) -> Vec<Near> {
        self.by_distance((lon, lat), max_m, |_| true).take(k).collect()
    }

    /// Rows that pass a test, nearest first, one at a time for as long as somebody wants more. A row is looked at once at most,
    /// and only where nothing nearer is left.
    pub fn by_distance<T: Fn(&SnapshotRow) -> bool>(
        &self,
        from: (f64, f64),
        max_m: f64,
        test: T,
    ) -> ByDistance<'_, T> {
        let is_place = from.0.is_finite() && from.1.is_finite() && !max_m.is_nan();
        let world = is_place.then_some(Known { least_m: 0.0, what: Place::Tile(TileId::WORLD) });
        ByDistance { snapshot: self, from, max_m, test, known: world.into_iter().collect() }
    }

    /// Rows no farther than `radius_m` meters from a point, nearest first.
    pub fn within_m(&self, lon: f64, lat: f64, radius_m: f64) -> Vec<Near> {
        self.within_ranges(&BBox::around(lon, lat, radius_m).key_ranges(), (lon, lat), radius_m)
    }

    fn within_ranges(&self, ranges: &[KeyRange], from: (f64, f64), radius_m: f64) -> Vec<Near> {
        let mut found: Vec<Near> = ranges
            .iter()
            .flat_map(|keys| self.in_keys(*keys))
            .map(|row| Near { row, distance_m: distance_m(from, (row.lon, row.lat)) })
            .filter(|near| near.distance_m <= radius_m)
            .collect();
        found.sort_unstable_by(|a, b| {
            a.distance_m.total_cmp(&b.distance_m).then(a.row.cover.cmp(&b.row.cover))
        });
        found
    }

    /// Counts all covers by class and state.
    pub fn tally(&self) -> Tally {
        self.tally_in(KeyRange::WORLD)
    }

    /// Counts the covers of a tile by class and state: one pass over three byte columns.
    pub fn tally_in_tile(&self, tile: TileId) -> Tally {
        self.tally_in(tile.key_range())
    }

    fn tally_in(&self, keys: KeyRange) -> Tally {
        let mut tally = Tally {
            total: 0,
            with_plate: 0,
            with_open_case: 0,
            counts: [[0; CoverState::ALL.len()]; CoverClass::ALL.len()],
        };
        let mut take = |class: u8, state: u8, flags: u8| {
            tally.total += 1;
            tally.with_plate += usize::from(flags & HAS_PLATE != 0);
            tally.with_open_case += usize::from(flags & OPEN_CASE != 0);
            tally.counts[usize::from(class)][usize::from(state)] += 1;
        };
        let slice = self.slice(keys);
        let mut start = slice.base.start;
        let ends = slice.hidden.iter().map(|hidden| *hidden as usize).chain([slice.base.end]);
        for end in ends {
            self.base.marks(start..end, &mut take);
            start = end + 1;
        }
        for entry in slice.added {
            let row = &entry.row;
            take(row.class as u8, row.state as u8, pack_flags(row.flags));
        }
        tally
    }

    /// Rows whose quadkeys lie in a range, in the order of (quadkey, id).
    pub fn in_keys(&self, keys: KeyRange) -> impl Iterator<Item = SnapshotRow> + '_ {
        self.in_slice(self.slice(keys))
    }

    fn in_slice<'a>(&'a self, slice: Slice<'a>) -> impl Iterator<Item = SnapshotRow> + 'a {
        slice.map(|at| self.row_at(&at))
    }

    pub(super) fn slice(&self, keys: KeyRange) -> Slice<'_> {
        self.overlay.slice(&self.base, keys)
    }
}

/// The newest snapshot, for many readers and one follower of the change feed.
#[derive(Debug)]
pub struct LiveSnapshot {
    newest: RwLock<Arc<Snapshot>>,
    /// Held while the next snapshot is made, so that readers go on with the one before.
    follower: Mutex<()>,
}

impl LiveSnapshot {
    pub fn new(snapshot: Snapshot) -> Self {
        Self { newest: RwLock::new(Arc::new(snapshot)), follower: Mutex::new(()) }
    }

    /// The newest snapshot; it stays as it is for as long as it is held.
    pub fn load(&self) -> Arc<Snapshot> {
        Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sequence of the last change applied.
    pub fn version(&self) -> i64 {
        self.load().version()
    }

    /// Brings in the changes up to the sequence `version`. Changes that are no newer than what is
    /// there are left alone, so that a feed may be replayed; tells whether they were taken.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>, version: i64) -> bool {
        let _following = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.load();
        let newer = version > before.version();
        if newer {
            let mut next = Arc::new(before.patched(changes, version));
            drop(before);
            self.publish(Arc::clone(&next));
            while let Some(packed) = next.packed_further() {
                next = Arc::new(packed);
                self.publish(Arc::clone(&next));
            }
        }
        newer
    }

    /// Puts a snapshot built anew in place of the one there is.
    pub fn replace(&self, snapshot: Snapshot) {
        let _following = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        self.publish(Arc::new(snapshot));
    }

    fn publish(&self, next: Arc<Snapshot>) {
        let before = {
            let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *newest, next)
        };
        // Freed here, after the lock: a million covers take a while to give back.
        drop(before);
    }
}

/// Divides a tile into `side` × `side` cells, at most as fine as zoom 28, and leaves out those in which nothing is.
pub(super) fn grid(tile: TileId, side: u32, count_in: impl Fn(TileId) -> usize) -> Vec<GridCell> {
    let zoom = (tile.zoom() + side.max(1).ilog2()).min(QUADKEY_ZOOM);
    let mut cells = Vec::new();
    let mut pending = vec![tile];
    while let Some(cell) = pending.pop() {
        let count = count_in(cell);
        match cell.children() {
            _ if count == 0 => {}
            Some(children) if cell.zoom() < zoom => pending.extend(children.into_iter().rev()),
            _ => {
                let shift = cell.zoom() - tile.zoom();
                let (column, row) = (cell.x() - (tile.x() << shift), cell.y() - (tile.y() << shift));
                cells.push(GridCell { column, row, count });
            }
        }
    }
    cells
}

/// See [`Snapshot::by_distance`].
pub struct ByDistance<'s, T> {
    snapshot: &'s Snapshot,
    from: (f64, f64),
    max_m: f64,
    test: T,
    /// Best first: of the tiles and rows known so far always the one that may be nearest. A tile is opened into its
    /// quarters, a small one into its rows; a row on top is the next answer.
    known: BinaryHeap<Known>,
}

impl<T: Fn(&SnapshotRow) -> bool> Iterator for ByDistance<'_, T> {
    type Item = Near;

    fn next(&mut self) -> Option<Near> {
        let Self { snapshot, from, max_m, test, known } = self;
        let (lon, lat) = *from;
        while let Some(Known { least_m, what }) = known.pop() {
            match what {
                Place::Row(row) => return Some(Near { row, distance_m: least_m }),
                Place::Tile(tile) => {
                    let slice = snapshot.slice(tile.key_range());
                    match tile.children() {
                        Some(children) if slice.size() > SMALL_TILE => {
                            known.extend(children.into_iter().filter_map(|child| {
                                let least_m = child.least_distance_m(lon, lat);
                                (least_m <= *max_m).then_some(Known { least_m, what: Place::Tile(child) })
                            }));
                        }
                        _ => known.extend(snapshot.in_slice(slice).filter_map(|row| {
                            let least_m = distance_m((lon, lat), (row.lon, row.lat));
                            (least_m <= *max_m && test(&row))
                                .then_some(Known { least_m, what: Place::Row(row) })
                        })),
                    }
                }
            }
        }
        None
    }
}

/// Rows that are sooner measured than shared out to smaller tiles.
const SMALL_TILE: usize = 24;
/// Something that is no nearer than `least_m` meters; a row is exactly as far.
struct Known {
    least_m: f64,
    what: Place,
}

enum Place {
    Tile(TileId),
    Row(SnapshotRow),
}

impl Ord for Known {
    /// The greatest is the one to look at next: the nearest, tiles before rows, then the lowest id.
    fn cmp(&self, other: &Self) -> Ordering {
        other.least_m.total_cmp(&self.least_m).then_with(|| match (&self.what, &other.what) {
            (Place::Row(mine), Place::Row(its)) => its.cover.cmp(&mine.cover),
            (Place::Tile(_), Place::Tile(_)) => Ordering::Equal,
            (Place::Tile(_), Place::Row(_)) => Ordering::Greater,
            (Place::Row(_), Place::Tile(_)) => Ordering::Less,
        })
    }
}

impl PartialOrd for Known {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Known {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use uuid::Uuid;

    fn cover(number: u32) -> CoverId {
        // Spread over the id space without order, so that the order by id differs from that by place.
        CoverId(Uuid::from_u128(u128::from(number.wrapping_mul(0x9E37_79B1)) << 40))
    }

    pub(in crate::spatial) fn row(number: u32, lon: f64, lat: f64) -> SnapshotRow {
        SnapshotRow {
            cover: cover(number),
            lon,
            lat,
            class: CoverClass::ALL[number as usize % CoverClass::ALL.len()],
            state: CoverState::ALL[number as usize / 7 % CoverState::ALL.len()],
            flags: Flags { has_plate: number.is_multiple_of(3), open_case: number.is_multiple_of(5) },
            attributes: Attributes::default(),
        }
    }

    /// Places that like to coincide: one street, the corners of the world, the antimeridian.
    fn places() -> impl Strategy<Value = (f64, f64)> {
        let street =
            (0i32..40, 0i32..40).prop_map(|(x, y)| (118.5 + f64::from(x) * 1e-4, 37.4 + f64::from(y) * 1e-4));
        let seam = (-20i32..20, -20i32..20).prop_map(|(x, y)| {
            let lon = f64::from(x) * 1e-4;
            (if lon < 0.0 { 180.0 + lon } else { lon - 180.0 }, f64::from(y) * 1e-4)
        });
        let corners = (
            prop::sample::select(vec![-180.0, 180.0, 0.0]),
            prop::sample::select(vec![-90.0, -85.06, 85.051_128, 90.0]),
        );
        prop_oneof![5 => street, 2 => seam, 1 => corners, 1 => (-180.0..=180.0, -90.0..=90.0)]
    }

    pub(in crate::spatial) fn changes(most: usize) -> impl Strategy<Value = Vec<Change>> {
        let change = prop_oneof![
            5 => (0u32..300, places()).prop_map(|(number, (lon, lat))| Change::Put(row(number, lon, lat))),
            2 => (0u32..300).prop_map(|number| Change::Remove(cover(number))),
        ];
        prop::collection::vec(change, 0..most)
    }

    fn boxes() -> impl Strategy<Value = BBox> {
        prop_oneof![
            (places(), places()).prop_map(|((w, a), (e, b))| BBox::new(w, a.min(b), e, a.max(b)).unwrap()),
            Just(BBox::WORLD),
        ]
    }

    fn sorted(mut rows: Vec<SnapshotRow>) -> Vec<SnapshotRow> {
        rows.sort_by_key(|row| (quadkey(row.lon, row.lat), row.cover));
        rows
    }

    fn by_distance(rows: &[SnapshotRow], from: (f64, f64), max_m: f64) -> Vec<Near> {
        let mut near: Vec<Near> = rows
            .iter()
            .map(|row| Near { row: *row, distance_m: distance_m(from, (row.lon, row.lat)) })
            .filter(|near| near.distance_m <= max_m)
            .collect();
        near.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m).then(a.row.cover.cmp(&b.row.cover)));
        near
    }

    /// The same rows by brute force.
    fn replayed(sets: &[Vec<Change>]) -> Vec<SnapshotRow> {
        let mut rows: HashMap<CoverId, SnapshotRow> = HashMap::new();
        for change in sets.iter().flatten() {
            match change {
                Change::Put(row) => rows.insert(row.cover, *row),
                Change::Remove(cover) => rows.remove(cover),
            };
        }
        sorted(rows.into_values().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn after_any_changes_the_snapshot_answers_as_a_walk_over_all_rows_would(
            sets in prop::collection::vec(changes(60), 1..6),
            packed_after in prop::collection::vec(any::<bool>(), 6),
            packed_segments in 1usize..5,
            boxes in prop::collection::vec(boxes(), 1..6),
            centers in prop::collection::vec(places(), 1..4),
            zoom in 0u32..=28,
            radius in prop_oneof![Just(0.0), 0.0..300.0, 0.0..25_000_000.0f64, Just(f64::INFINITY)],
            k in 0usize..12,
        ) {
            let mut snapshot = Snapshot::build([], 0);
            for (version, set) in (1..).zip(&sets) {
                snapshot = snapshot.with_changes(set.iter().copied(), version);
                if packed_after[version as usize - 1] {
                    snapshot = snapshot.with_packed(packed_segments);
                }
            }
            let rows = replayed(&sets);
            prop_assert_eq!(snapshot.version(), sets.len() as i64);
            prop_assert_eq!(snapshot.len(), rows.len());
            prop_assert_eq!(snapshot.rows().collect::<Vec<_>>(), rows.clone());
            for number in 0..300 {
                prop_assert_eq!(snapshot.find(cover(number)), rows.iter().find(|row| row.cover == cover(number)).copied());
            }
            for bbox in boxes {
                let expected: Vec<SnapshotRow> = rows.iter().filter(|row| bbox.contains(row.lon, row.lat)).copied().collect();
                prop_assert_eq!(snapshot.in_bbox(bbox).collect::<Vec<_>>(), expected);
            }
            for (lon, lat) in centers {
                let tile = TileId::at(lon, lat, zoom);
                let expected: Vec<SnapshotRow> = rows.iter().filter(|row| TileId::at(row.lon, row.lat, zoom) == tile).copied().collect();
                prop_assert_eq!(snapshot.count_in_tile(tile), expected.len());
                let tally = snapshot.tally_in_tile(tile);
                prop_assert_eq!(tally.total, expected.len());
                prop_assert_eq!(tally.with_plate, expected.iter().filter(|row| row.flags.has_plate).count());
                prop_assert_eq!(tally.with_open_case, expected.iter().filter(|row| row.flags.open_case).count());
                for class in CoverClass::ALL {
                    prop_assert_eq!(tally.of_class(*class), expected.iter().filter(|row| row.class == *class).count());
                }
                for state in CoverState::ALL {
                    prop_assert_eq!(tally.of_state(*state), expected.iter().filter(|row| row.state == *state).count());
                }
                let cells = snapshot.grid_in_tile(tile, 64);
                prop_assert_eq!(cells.iter().map(|cell| cell.count).sum::<usize>(), expected.len());
                let fine = (zoom + 6).min(28);
                for cell in cells {
                    let counted = expected.iter().map(|row| TileId::at(row.lon, row.lat, fine)).filter(|at| {
                        (at.x() - (tile.x() << (fine - zoom)), at.y() - (tile.y() << (fine - zoom))) == (cell.column, cell.row)
                    }).count();
                    prop_assert_eq!(cell.count, counted);
                }
                prop_assert_eq!(snapshot.in_tile(tile).collect::<Vec<_>>(), expected);

                let mut near = by_distance(&rows, (lon, lat), radius);
                prop_assert_eq!(snapshot.within_m(lon, lat, radius), near.clone());
                near.truncate(k);
                prop_assert_eq!(snapshot.nearest(lon, lat, k, radius), near);
            }
            let built = Snapshot::build(rows.iter().rev().copied(), 0);
            prop_assert_eq!(built.rows().collect::<Vec<_>>(), rows);
        }
    }

    #[test]
    fn the_nearest_are_found_from_near_and_far() {
        let rows: Vec<SnapshotRow> = (0..3000)
            .map(|n| row(n, 118.5 + f64::from(n % 61) * 1e-3, 37.4 + f64::from(n % 53) * 1e-3))
            .collect();
        let snapshot = Snapshot::build(rows.iter().copied(), 0);
        for from in [
            (118.53, 37.42),
            (118.5, 37.4),
            (120.0, 37.4),
            (-61.5, -37.4),
            (118.5, 90.0),
            (0.0, -89.0),
            (-180.0, 0.0),
        ] {
            for (k, max_m) in [
                (1, f64::INFINITY),
                (10, f64::INFINITY),
                (10, 300.0),
                (700, 1e7),
                (5000, f64::INFINITY),
                (3, 0.0),
                (3, -1.0),
            ] {
                let mut expected = by_distance(&rows, from, max_m);
                expected.truncate(k);
                assert_eq!(
                    snapshot.nearest(from.0, from.1, k, max_m),
                    expected,
                    "{k} within {max_m} of {from:?}"
                );
            }
        }
        assert!(
            snapshot.nearest(f64::NAN, 0.0, 3, 1e9).is_empty()
                && snapshot.nearest(0.0, 0.0, 3, f64::NAN).is_empty()
        );
    }

    #[test]
    fn a_cover_that_moves_leaves_its_old_place() {
        let live = LiveSnapshot::new(Snapshot::build([row(1, 118.5, 37.4), row(2, 118.6, 37.4)], 7));
        let held = live.load();
        assert!(live.apply([Change::Put(row(1, 118.7, 37.5))], 8));
        let old_place = BBox::new(118.4, 37.3, 118.55, 37.45).unwrap();
        assert_eq!(live.load().in_bbox(old_place).count(), 0);
        assert_eq!(live.load().len(), 2);
        assert_eq!(live.load().nearest(118.7, 37.5, 1, 1.0)[0].row.cover, cover(1));
        assert_eq!(held.in_bbox(old_place).count(), 1, "who holds a snapshot keeps it");
    }

    #[test]
    fn a_feed_that_is_replayed_changes_nothing() {
        let live = LiveSnapshot::new(Snapshot::build([row(1, 118.5, 37.4)], 7));
        assert!(!live.apply([Change::Remove(cover(1))], 7));
        assert_eq!((live.load().len(), live.version()), (1, 7));
        assert!(live.apply([], 9));
        assert_eq!((live.load().len(), live.version()), (1, 9));
    }

    #[test]
    fn of_rows_with_the_same_id_the_last_one_counts() {
        let snapshot = Snapshot::build([row(1, 118.5, 37.4), row(2, 118.5, 37.4), row(1, 118.7, 37.4)], 0);
        assert_eq!(snapshot.len(), 2);
        assert_eq!(snapshot.find(cover(1)).unwrap().lon, 118.7);
    }

    #[test]
    fn a_city_that_grows_in_small_steps_is_packed_now_and_then() {
        let mut snapshot = Snapshot::build([], 0);
        for step in 0..100 {
            let rows = (0..100).map(|at| {
                Change::Put(row(
                    step * 100 + at,
                    118.0 + f64::from(at) * 0.001,
                    37.0 + f64::from(step) * 0.001,
                ))
            });
            snapshot = snapshot.with_changes(rows, i64::from(step) + 1);
        }
        assert_eq!(snapshot.len(), 10_000);
        assert!(snapshot.overlay.added().len() <= 1024 && snapshot.base.len() >= 8976);
        assert!(snapshot.rows().all(|row| snapshot.find(row.cover) == Some(row)));
    }
}
