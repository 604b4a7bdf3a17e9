//! Which row of a census is which cover: by the source's own key where there is one, else by class
//! and place within a tolerance. Flat memory: 48 bytes a cover plus three small tables.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use foldhash::fast::RandomState as FastState;
use uuid::Uuid;

use crate::domain::cover::{Candidate, CoverClass};
use crate::domain::ids::CoverId;
use crate::domain::position::distance_m;

const METERS_PER_DEGREE: f64 = 111_195.08;
const NONE: u32 = u32::MAX;
/// Side of a cell in radii: what lies within the radius is in two cells on average, rarely in four.
const CELL_RADII: f64 = 4.0;

/// Where a row stands: which file of the run and which line in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRef {
    /// From 0, in the order in which the files were begun.
    pub file: u16,
    pub line: u32,
}

struct Known {
    id: Uuid,
    lon: f64,
    lat: f64,
    /// Next cover in the same cell.
    next: u32,
    /// The row of this run that spoke for it first; line 0 = none yet.
    claimed: RowRef,
    /// More bits of the source key's hash, so that two keys are never taken for one.
    key_check: u32,
    class: CoverClass,
    in_use: bool,
}

/// Whether a known cover is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    InUse,
    /// It was in the registry twice: its row means it still, but never before one in use.
    Merged,
    /// Not found by its place any more: what lies there now is another cover.
    Gone,
}

/// What identity says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    New,
    Known(CoverId),
    /// An earlier row of this run spoke for the same cover.
    Duplicate(RowRef),
}

/// Every cover of the registry, to be matched against.
pub(super) struct IdentityIndex {
    covers: Vec<Known>,
    by_key: HashMap<u64, u32, FastState>,
    by_cell: HashMap<(i32, i32), u32, FastState>,
    /// Places with class at which a cover in use was added. A later one there is never the oldest, so it
    /// is not looked at: else a million rows on one point would be compared with each other.
    spots: HashSet<u64, FastState>,
    spot_hasher: FastState,
    /// Of keys, which people choose.
    key_hashers: [RandomState; 2],
    radius_m: f64,
    cell_m: f64,
}

impl IdentityIndex {
    /// `radius_m`: how far apart two surveys of one cover may lie.
    pub(super) fn new(radius_m: f64) -> Self {
        Self {
            covers: Vec::new(),
            by_key: HashMap::default(),
            by_cell: HashMap::default(),
            spots: HashSet::default(),
            spot_hasher: FastState::default(),
            key_hashers: [RandomState::new(), RandomState::new()],
            radius_m,
            cell_m: CELL_RADII * radius_m.max(0.25),
        }
    }

    fn key_hash(&self, source: &str, key: &str) -> (u64, u32) {
        let pair = (source, key);
        (self.key_hashers[0].hash_one(pair), self.key_hashers[1].hash_one(pair) as u32)
    }

    /// How many cells north of the equator, with fractions.
    fn north(&self, lat: f64) -> f64 {
        lat * METERS_PER_DEGREE / self.cell_m
    }

    /// How many cells east of the zero meridian, with fractions; measured along the row's own parallel,
    /// so that a cell is as wide as it is high.
    fn east(&self, lon: f64, row: i32) -> f64 {
        let lat = (f64::from(row) + 0.5) * self.cell_m / METERS_PER_DEGREE;
        lon * METERS_PER_DEGREE * lat.to_radians().cos() / self.cell_m
    }

    /// Adds a cover, known or just made by row `claimed`. Add in the order of ids: the oldest wins.
    pub(super) fn add(
        &mut self,
        id: CoverId,
        class: CoverClass,
        at: (f64, f64),
        standing: Standing,
        claimed: Option<RowRef>,
    ) -> u32 {
        let index = self.covers.len() as u32;
        let row = self.north(at.1).floor() as i32;
        let cell = (row, self.east(at.0, row).floor() as i32);
        let spot = self.spot_hasher.hash_one((at.0.to_bits(), at.1.to_bits(), class));
        let next = match standing {
            Standing::Gone => NONE,
            Standing::InUse if !self.spots.insert(spot) => NONE,
            _ => self.by_cell.insert(cell, index).unwrap_or(NONE),
        };
        let claimed = claimed.unwrap_or(RowRef { file: 0, line: 0 });
        let in_use = standing == Standing::InUse;
        self.covers.push(Known {
            id: id.0,
            lon: at.0,
            lat: at.1,
            next,
            claimed,
            key_check: 0,
            class,
            in_use,
        });
        index
    }

    /// Remembers the source's key of the cover just added.
    pub(super) fn add_key(&mut self, index: u32, source: &str, key: &str) {
        let (hash, check) = self.key_hash(source, key);
        self.by_key.insert(hash, index);
        self.covers[index as usize].key_check = check;
    }

    /// Covers in use that no row of the run spoke for.
    pub(super) fn unclaimed(&self) -> Vec<CoverId> {
        let waiting = self.covers.iter().filter(|known| known.in_use && known.claimed.line == 0);
        waiting.map(|known| CoverId(known.id)).collect()
    }

    /// Matches a row and claims the cover for it. Where several covers lie within the radius the
    /// oldest is meant, because that is the one the same row met or made the first time: so a
    /// second run of the same file changes nothing.
    pub(super) fn claim(&mut self, source: &str, candidate: &Candidate, row: RowRef) -> Match {
        let found = match &candidate.source_key {
            Some(key) => {
                let (hash, check) = self.key_hash(source, key);
                self.by_key.get(&hash).copied().filter(|at| self.covers[*at as usize].key_check == check)
            }
            None => self.oldest_near(candidate),
        };
        let Some(index) = found else { return Match::New };
        let known = &mut self.covers[index as usize];
        if known.claimed.line != 0 {
            return Match::Duplicate(known.claimed);
        }
        known.claimed = row;
        Match::Known(CoverId(known.id))
    }

    fn oldest_near(&self, candidate: &Candidate) -> Option<u32> {
        let (lon, lat) = (candidate.survey.position.lon, candidate.survey.position.lat);
        // A hundredth more, because a parallel is measured by the middle of its row.
        let reach = self.radius_m * 1.01 / self.cell_m;
        let around = |middle: f64| (middle - reach).floor() as i32..=(middle + reach).floor() as i32;
        // Those in use come first, then the oldest.
        let order = |at: u32| (!self.covers[at as usize].in_use, at);
        let mut oldest: Option<u32> = None;
        for row in around(self.north(lat)) {
            for column in around(self.east(lon, row)) {
                let mut at = self.by_cell.get(&(row, column)).copied().unwrap_or(NONE);
                while let Some(known) = self.covers.get(at as usize) {
                    if known.class == candidate.survey.class
                        && oldest.is_none_or(|found| order(at) < order(found))
                        && distance_m((known.lon, known.lat), (lon, lat)) <= self.radius_m
                    {
                        oldest = Some(at);
                    }
                    at = known.next;
                }
            }
        }
        oldest
    }
}
