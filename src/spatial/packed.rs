//! Two columns of a snapshot that take half of what their values do and give them back to the last bit.

use std::ops::Range;

use crate::domain::position::quadkey_lon;

/// Rising quadkeys, four bytes each: the upper half of a key is a tile of zoom 12 and said once for all that lie in it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    lower: Vec<u32>,
    tiles: Vec<Tile>,
}

#[derive(Debug)]
struct Tile {
    upper: u32,
    /// Position of the first key.
    first: u32,
}

fn halves(key: u64) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}

impl Keys {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { lower: Vec::with_capacity(count), tiles: Vec::new() }
    }

    /// Adds a key that is no less than all that are there.
    pub(super) fn push(&mut self, key: u64) {
        let (upper, lower) = halves(key);
        if self.tiles.last().is_none_or(|tile| tile.upper != upper) {
            self.tiles.push(Tile { upper, first: self.lower.len() as u32 });
        }
        self.lower.push(lower);
    }

    pub(super) fn get(&self, at: usize) -> u64 {
        let tile = self.tiles.partition_point(|tile| tile.first as usize <= at) - 1;
        u64::from(self.tiles[tile].upper) << 32 | u64::from(self.lower[at])
    }

    /// Position of the first key that is no less than this one.
    pub(super) fn first_from(&self, key: u64) -> usize {
        let (upper, lower) = halves(key);
        let tile = self.tiles.partition_point(|tile| tile.upper < upper);
        let Range { start, end } = self.positions(tile);
        match self.tiles.get(tile) {
            Some(found) if found.upper == upper => {
                start + self.lower[start..end].partition_point(|known| *known < lower)
            }
            _ => start,
        }
    }

    /// Where the keys of a tile stand; behind the last one nothing does.
    fn positions(&self, tile: usize) -> Range<usize> {
        let first = |tile: usize| self.tiles.get(tile).map_or(self.lower.len(), |tile| tile.first as usize);
        first(tile)..first(tile + 1)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.lower.capacity() * size_of::<u32>() + self.tiles.capacity() * size_of::<Tile>()
    }
}

/// Longitudes of rows whose quadkeys are known, four bytes each: the key says where to 15 cm, and the lower half of the
/// bits where in there. Within two degrees of Greenwich they are too fine for that and are kept whole.
#[derive(Debug)]
pub(super) enum Longitudes {
    Halves(Vec<u32>),
    Whole(Vec<f64>),
}

/// The number with these lower bits that lies nearest to another one.
fn complete(near: f64, lower: u32) -> f64 {
    let bits = near.to_bits();
    let apart = lower.wrapping_sub(bits as u32) as i32;
    f64::from_bits(bits.wrapping_add_signed(i64::from(apart)))
}

impl Longitudes {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self::Halves(Vec::with_capacity(count))
    }

    /// Adds the longitude of the next of these keys.
    pub(super) fn push(&mut self, keys: &Keys, lon: f64) {
        if let Self::Halves(halves) = self {
            let lower = lon.to_bits() as u32;
            let near = quadkey_lon(keys.get(halves.len()) as i64);
            if complete(near, lower).to_bits() == lon.to_bits() {
                return halves.push(lower);
            }
            let known = (0..halves.len()).map(|at| complete(quadkey_lon(keys.get(at) as i64), halves[at]));
            *self = Self::Whole(known.collect());
        }
        if let Self::Whole(whole) = self {
            whole.push(lon);
        }
    }

    pub(super) fn get(&self, keys: &Keys, at: usize) -> f64 {
        match self {
            Self::Halves(halves) => complete(quadkey_lon(keys.get(at) as i64), halves[at]),
            Self::Whole(whole) => whole[at],
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Halves(halves) => halves.capacity() * size_of::<u32>(),
            Self::Whole(whole) => whole.capacity() * size_of::<f64>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::position::quadkey;

    proptest! {
        /// Cities anywhere, some of them at Greenwich or at the seam of the globe.
        #[test]
        fn what_goes_in_comes_out_to_the_last_bit(
            center in prop_oneof![Just(118.6), Just(-0.1), Just(2.0), Just(4.0), Just(-179.99), -180.0..180.0f64],
            places in prop::collection::vec((-0.2..0.2f64, -60.0..60.0f64), 1..80),
            asked in prop::collection::vec(0..1u64 << 56, 0..20),
        ) {
            let mut rows: Vec<(u64, f64)> = places
                .iter()
                .map(|(east, lat)| ((center + east).clamp(-180.0, 180.0), *lat))
                .map(|(lon, lat)| (quadkey(lon, lat) as u64, lon))
                .collect();
            rows.sort_by_key(|(key, _)| *key);
            let (mut keys, mut lons) = (Keys::with_capacity(rows.len()), Longitudes::with_capacity(rows.len()));
            for (key, lon) in &rows {
                keys.push(*key);
                lons.push(&keys, *lon);
            }
            for (at, (key, lon)) in rows.iter().enumerate() {
                prop_assert_eq!(keys.get(at), *key);
                prop_assert_eq!(lons.get(&keys, at).to_bits(), lon.to_bits());
            }
            let edges = rows.iter().flat_map(|(key, _)| [*key, key + 1, key.saturating_sub(1)]);
            for key in asked.into_iter().chain(edges) {
                prop_assert_eq!(keys.first_from(key), rows.partition_point(|(known, _)| *known < key));
            }
            let is_half = matches!(lons, Longitudes::Halves(_));
            prop_assert!(is_half || rows.iter().any(|(_, lon)| lon.abs() < 2.1));
        }
    }
}
