//! The cells of a scan: covers and cases added up in tiles of Web Mercator, which cells lie near each other, and how far apart.

use std::collections::BTreeMap;

use super::hot_spots::{MOST_CELLS, Population};
use crate::domain::position::{QUADKEY_ZOOM, quadkey, quadkey_center};
use crate::spatial::{TileId, flat_m};

/// Zones of a city: 20 bytes each, and each is looked at in every replicate.
const MOST_ZONES: usize = 400_000;
/// Cells from some 150 m to some 15 km wide in the middle latitudes.
const ZOOMS: std::ops::RangeInclusive<u32> = 11..=18;

pub(super) struct Cell {
    pub tile: TileId,
    pub middle: (f64, f64),
    pub covers: u32,
    pub cases: u32,
}

/// Covers and cases by cells.
pub(super) struct Grid {
    pub zoom: u32,
    pub cells: Vec<Cell>,
    pub covers: u32,
    pub cases: u32,
}

impl Grid {
    /// The finest cells of which there are not too many. Covers are added up as they come.
    pub(super) fn of(population: impl IntoIterator<Item = Population>, most_m: f64) -> Self {
        let mut zoom = *ZOOMS.end();
        let mut finest: BTreeMap<i64, Count> = BTreeMap::new();
        for one in population {
            let count = finest.entry(quadkey(one.lon, one.lat) >> shift_of(zoom)).or_default();
            count.covers += 1;
            count.cases += u32::from(one.is_case);
        }
        loop {
            let cells = cells_at(&finest, zoom);
            let zones = cells.len() * cells.len().min(cells_within(&cells, most_m));
            if zoom == *ZOOMS.start() || (cells.len() <= MOST_CELLS && zones <= MOST_ZONES) {
                let covers = cells.iter().map(|cell| cell.covers).sum();
                let cases = cells.iter().map(|cell| cell.cases).sum();
                return Self { zoom, cells, covers, cases };
            }
            zoom -= 1;
        }
    }
}

#[derive(Default)]
struct Count {
    covers: u32,
    cases: u32,
}

/// Bits of a quadkey below those that name a tile.
fn shift_of(zoom: u32) -> u32 {
    2 * (QUADKEY_ZOOM - zoom)
}

/// The finest cells added up in tiles of a zoom, each of which is one stretch of quadkeys.
fn cells_at(finest: &BTreeMap<i64, Count>, zoom: u32) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for (key, count) in finest {
        let (lon, lat) = quadkey_center(key << shift_of(*ZOOMS.end()));
        let tile = TileId::at(lon, lat, zoom);
        match cells.last_mut().filter(|cell| cell.tile == tile) {
            Some(cell) => {
                cell.covers += count.covers;
                cell.cases += count.cases;
            }
            None => {
                let [west, south, east, north] = tile.bounds().edges();
                let middle = ((west + east) / 2.0, (south + north) / 2.0);
                cells.push(Cell { tile, middle, covers: count.covers, cases: count.cases });
            }
        }
    }
    cells
}

/// How many cells a disc holds at most, about.
fn cells_within(cells: &[Cell], most_m: f64) -> usize {
    let narrowest = cells.iter().map(|cell| {
        let bounds = cell.tile.bounds();
        between_m((bounds.west(), bounds.south()), (bounds.east(), bounds.south()))
    });
    let side = narrowest.fold(f64::INFINITY, f64::min).max(1.0);
    (std::f64::consts::PI * (most_m / side + 1.0).powi(2)) as usize
}

pub(super) fn between_m(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (east, north) = flat_m(from, to);
    east.hypot(north)
}

/// Cells in the order of their middles' latitudes.
pub(super) fn by_latitude(cells: &[Cell]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..cells.len() as u32).collect();
    order.sort_by(|one, other| {
        cells[*one as usize].middle.1.total_cmp(&cells[*other as usize].middle.1).then(one.cmp(other))
    });
    order
}

/// The cells whose middles lie within so many meters of one.
pub(super) fn neighbors(cells: &[Cell], by_lat: &[u32], at: usize, most_m: f64, near: &mut Vec<(f64, u32)>) {
    let middle = cells[at].middle;
    // A degree of latitude is never shorter than 110.5 km.
    let reach = most_m / 110_500.0;
    let from = by_lat.partition_point(|cell| cells[*cell as usize].middle.1 < middle.1 - reach);
    for cell in by_lat[from..].iter().take_while(|cell| cells[**cell as usize].middle.1 <= middle.1 + reach) {
        let far = between_m(middle, cells[*cell as usize].middle);
        if far <= most_m || *cell as usize == at {
            near.push((far, *cell));
        }
    }
}
