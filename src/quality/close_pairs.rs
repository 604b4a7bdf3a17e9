//! 疑似重复: covers of one class that lie closer together than two covers do. One sweep over the snapshot, which
//! is sorted by quadkey: tile by tile, each with the rim that reaches over its edges, so that only a tile's
//! covers are held at a time.

use std::collections::HashMap;

use crate::domain::cover::CoverClass;
use crate::domain::ids::CoverId;
use crate::domain::position::distance_m;
use crate::spatial::{BBox, Snapshot, SnapshotRow, TileId};

/// A cover and the nearest older one of its class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClosePair {
    pub older: CoverId,
    pub newer: CoverId,
    pub distance_m: f64,
}

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sweep {
    /// In the order of the newer covers.
    pub pairs: Vec<ClosePair>,
    /// Whether there are more than were kept.
    pub is_cut: bool,
}

/// Side of the tiles, about 500 m in the middle latitudes: a dense city has some thousands of covers in one.
const ZOOM: u32 = 16;
/// Where many covers lie in a heap, each is compared with so many of each cell of the size of the tolerance: the
/// oldest ones. A heap of `n` costs `n` times this and never `n` times `n`.
const COMPARED: usize = 32;
/// Most pairs that are kept, 40 bytes each.
const MOST: usize = 200_000;
/// Meters of a degree on the sphere of the distances.
const DEGREE_M: f64 = 111_195.08;

/// Every cover that has an older one of its class within `tolerance_m`, with the nearest of them; of several
/// equally near the oldest, so that a heap of repeats becomes pairs with one cover. Covers of one manhole are two, and
/// so are those of which `apart` says it.
pub fn close_pairs(snapshot: &Snapshot, tolerance_m: f64, apart: impl Fn(CoverId, CoverId) -> bool) -> Sweep {
    let mut sweep = Sweep::default();
    let mut tile: Option<TileId> = None;
    for row in snapshot.rows() {
        let at = TileId::at(row.lon, row.lat, ZOOM);
        if tile != Some(at) {
            tile = Some(at);
            sweep_tile(snapshot, at, tolerance_m, &apart, &mut sweep);
        }
    }
    sweep.pairs.sort_unstable_by_key(|pair| pair.newer);
    sweep.is_cut = sweep.pairs.len() > MOST;
    sweep.pairs.truncate(MOST);
    sweep
}

/// Finds the pairs whose newer cover lies in the tile.
fn sweep_tile(
    snapshot: &Snapshot,
    tile: TileId,
    tolerance_m: f64,
    apart: &impl Fn(CoverId, CoverId) -> bool,
    sweep: &mut Sweep,
) {
    let bounds = tile.bounds();
    let mut rows: Vec<SnapshotRow> = match with_rim(bounds, tolerance_m) {
        Some(around) => snapshot.in_bbox(around).collect(),
        None => snapshot.in_tile(tile).collect(),
    };
    rows.sort_unstable_by_key(|row| row.cover);
    // Cells no smaller than the tolerance: whatever is close lies in the same cell or one beside it.
    let side = tolerance_m.max(0.01) * 1.01;
    let narrow = bounds.south().abs().max(bounds.north().abs()).min(89.0).to_radians().cos();
    let cell_of = |row: &SnapshotRow| {
        let east = (row.lon - bounds.west()) * DEGREE_M * narrow;
        let north = (row.lat - bounds.south()) * DEGREE_M;
        ((east / side).floor() as i64, (north / side).floor() as i64)
    };
    let mut cells: HashMap<(CoverClass, i64, i64), Vec<usize>> = HashMap::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let (x, y) = cell_of(row);
        if TileId::at(row.lon, row.lat, ZOOM) == tile {
            let mut best: Option<(f64, CoverId)> = None;
            for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
                let Some(older) = cells.get(&(row.class, x + dx, y + dy)) else { continue };
                for older in older.iter().take(COMPARED).map(|older| &rows[*older]) {
                    let far = distance_m((row.lon, row.lat), (older.lon, older.lat));
                    // Rows come in the order of age: at the same distance the first one stays.
                    let nearer = best.is_none_or(|(known, id)| (far, older.cover) < (known, id));
                    let is_same_manhole = older.attributes.manhole == row.attributes.manhole;
                    if far <= tolerance_m && nearer && !is_same_manhole && !apart(older.cover, row.cover) {
                        best = Some((far, older.cover));
                    }
                }
            }
            sweep.pairs.extend(best.map(|(distance_m, older)| ClosePair {
                older,
                newer: row.cover,
                distance_m,
            }));
            if sweep.pairs.len() > 2 * MOST {
                // Which ones stay must not depend on where they lie.
                sweep.pairs.sort_unstable_by_key(|pair| pair.newer);
                sweep.pairs.truncate(MOST + 1);
            }
        }
        cells.entry((row.class, x, y)).or_default().push(at);
    }
}

/// The box of a tile and what lies within reach of its edges; `None` where it would leave the globe.
fn with_rim(bounds: BBox, tolerance_m: f64) -> Option<BBox> {
    let north = 2.0 * tolerance_m / DEGREE_M;
    let east = north / bounds.south().abs().max(bounds.north().abs()).to_radians().cos().max(0.01);
    let [west, south] = [bounds.west() - east, bounds.south() - north];
    BBox::new(west, south, bounds.east() + east, bounds.north() + north).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::cover::CoverState;
    use crate::spatial::{Attributes, Flags};

    fn row(number: u128, lon: f64, lat: f64, class: CoverClass) -> SnapshotRow {
        let cover = CoverId(Uuid::from_u128(number));
        SnapshotRow {
            cover,
            lon,
            lat,
            class,
            state: CoverState::Intact,
            flags: Flags::default(),
            attributes: Attributes { manhole: number as u32, ..Attributes::default() },
        }
    }

    fn pairs(rows: &[SnapshotRow], tolerance_m: f64) -> Vec<(u128, u128)> {
        let snapshot = Snapshot::build(rows.iter().copied(), 1);
        let sweep = close_pairs(&snapshot, tolerance_m, |_, _| false);
        sweep.pairs.iter().map(|pair| (pair.older.0.as_u128(), pair.newer.0.as_u128())).collect()
    }

    #[test]
    fn repeats_and_neighbors_of_one_class_are_found_across_the_edge_of_a_tile() {
        let edge = TileId::at(118.6, 37.46, ZOOM).bounds().west();
        let rows = [
            row(1, edge + 3e-6, 37.46, CoverClass::Sewage),
            row(2, edge - 3e-6, 37.46, CoverClass::Sewage),
            row(3, edge - 3e-6, 37.46, CoverClass::Storm),
            row(4, edge + 3e-6, 37.46, CoverClass::Sewage),
            row(5, edge + 3e-5, 37.46, CoverClass::Sewage),
        ];
        assert_eq!(pairs(&rows, 1.0), [(1, 2), (1, 4)]);
        assert_eq!(pairs(&rows, 0.0), [(1, 4)], "exact repeats alone");
    }

    #[test]
    fn a_heap_of_repeats_becomes_pairs_with_the_oldest() {
        let heap: Vec<SnapshotRow> = (1..=20_000).map(|at| row(at, 118.6, 37.46, CoverClass::Gas)).collect();
        let found = pairs(&heap, 1.0);
        assert_eq!(found.len(), heap.len() - 1);
        assert!(found.iter().all(|(older, _)| *older == 1));
    }

    #[test]
    fn two_that_are_known_to_be_two_are_not_proposed_again() {
        let rows = [1, 2, 3].map(|at| row(at, 118.6, 37.46, CoverClass::Gas));
        let snapshot = Snapshot::build(rows, 1);
        let apart = |older: CoverId, newer: CoverId| (older.0.as_u128(), newer.0.as_u128()) == (1, 3);
        let found = close_pairs(&snapshot, 1.0, apart);
        let found: Vec<_> =
            found.pairs.iter().map(|pair| (pair.older.0.as_u128(), pair.newer.0.as_u128())).collect();
        assert_eq!(found, [(1, 2), (2, 3)]);
    }

    #[test]
    fn two_covers_of_one_manhole_are_two() {
        let mut rows = [1, 2].map(|at| row(at, 118.6, 37.46, CoverClass::Gas));
        assert_eq!(pairs(&rows, 1.0), [(1, 2)]);
        rows[1].attributes.manhole = rows[0].attributes.manhole;
        assert_eq!(pairs(&rows, 1.0), []);
    }

    proptest! {
        /// The same as comparing everything with everything.
        #[test]
        fn a_sweep_finds_what_comparing_all_finds(
            places in proptest::collection::vec((0u32..60, 0u32..60, 0u8..3), 0..80),
            north in prop_oneof![Just(0.0), Just(37.46), Just(-70.0)],
        ) {
            let edge = TileId::at(118.6, north, ZOOM).bounds();
            let rows: Vec<SnapshotRow> = places
                .iter()
                .enumerate()
                .map(|(at, (x, y, class))| {
                    let (lon, lat) = (edge.west() - 1e-4 + f64::from(*x) * 3e-6, edge.south() - 1e-4 + f64::from(*y) * 3e-6);
                    row(at as u128 + 1, lon, lat, CoverClass::ALL[usize::from(*class)])
                })
                .collect();
            let mut wanted = Vec::new();
            for (at, newer) in rows.iter().enumerate() {
                let near = |older: &&SnapshotRow| {
                    older.class == newer.class && distance_m((older.lon, older.lat), (newer.lon, newer.lat)) <= 1.0
                };
                wanted.extend(rows[..at].iter().find(near).map(|_| newer.cover.0.as_u128()));
            }
            let found: Vec<u128> = pairs(&rows, 1.0).into_iter().map(|(_, newer)| newer).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
