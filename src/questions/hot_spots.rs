//! 热点: where hazards are reported more often than chance explains. The method is the spatial scan statistic of Kulldorff
//! ("A spatial scan statistic", Communications in Statistics – Theory and Methods 26(6), 1997), Poisson model:
//!
//! - The population at risk are the covers that are meant. A *case* is a cover with a hazard in the period, counted once
//!   however often it was reported: repeats at one cover are not independent of each other, and the model needs that they are.
//! - Covers and cases are added up in square cells (Web Mercator tiles), because a city has a million covers and few hazards.
//! - Zones are the discs around each cell, one for each cell that it reaches, up to a radius and to half of the population.
//! - A zone with c cases where e = C · n / N are expected has the log likelihood ratio
//!   `c ln(c/e) + (C−c) ln((C−c)/(C−e))` where c > e, else 0.
//! - 999 times the C cases are dealt out anew by chance, by the populations of the cells, and the best zone of each is kept
//!   (Dwass 1957). p is the share of these, the truth among them, that are at least as good.
//!
//! Chosen before Getis–Ord Gi*, which tests every cell by itself: with thousands of cells one in twenty would be a false
//! alarm, and the corrections for it (Bonferroni, FDR) assume normal sums, which some cases a cell are not. Here only the best zone of the whole city is compared
//! with the best zones of chance, so that noise raises any alarm at all in no more than 5 of 100 cities: the test is
//! corrected for looking in many places. Further zones are compared with the same best ones, which errs on the safe side.

use super::cells::{Grid, between_m, by_latitude, neighbors};
use super::random::{Chance, Deal};
use crate::domain::names::named_enum;
use crate::spatial::TileId;

/// Times that the cases are dealt out by chance.
pub const REPLICATES: usize = 999;
/// p of what is told.
pub const LEVEL: f64 = 0.05;
/// Cells of a city.
pub const MOST_CELLS: usize = 20_000;

/// Share of the population of the largest zone.
const LARGEST: f64 = 0.5;
/// Cases of the smallest zone: one cover alone is no spot.
const FEWEST: u32 = 2;
const MOST_CLUSTERS: usize = 20;
/// Deals whose zones are looked at together: zones are many, and reading them takes longer than counting.
const DEALS: usize = 8;
/// Cases that are dealt out in all replicates together.
const MOST_DEALT: usize = 60_000_000;

named_enum! {
    /// What is a case of the statistic.
    Counted as "counted" {
        /// A cover at which something was reported in the period.
        Cases = "cases",
        /// A cover at which something came again.
        Recurring = "recurring",
    }
}

/// A cover that is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Population {
    pub lon: f64,
    pub lat: f64,
    pub is_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanSettings {
    /// Radius of the largest zone.
    pub most_m: f64,
    /// Times that the cases are dealt out by chance, see [`REPLICATES`]; fewer where there are very many cases.
    pub replicates: usize,
    pub seed: u64,
}

/// A zone with more cases than chance explains.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    pub lon: f64,
    pub lat: f64,
    /// From there to the farthest middle of a cell in it; 0 where it is one cell.
    pub radius_m: f64,
    /// Of its cells.
    pub tiles: Vec<TileId>,
    pub covers: u32,
    pub cases: u32,
    pub expected: f64,
    /// Share of cases among its covers against that elsewhere; `None` where there are none elsewhere.
    pub relative_risk: Option<f64>,
    pub log_likelihood: f64,
    pub p: f64,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq)]
pub struct HotSpots {
    /// The likeliest first; they share no cell.
    pub clusters: Vec<Cluster>,
    pub covers: u32,
    pub cases: u32,
    pub zoom: u32,
    pub cells: usize,
    pub zones: usize,
    pub replicates: usize,
    /// p of the best zone, also where that is no hot spot; `None` where there was nothing to test.
    pub best_p: Option<f64>,
}

/// Looks for hot spots. The same covers give the same answer.
pub fn scan_hot_spots(population: impl IntoIterator<Item = Population>, settings: ScanSettings) -> HotSpots {
    let grid = Grid::of(population, settings.most_m);
    let scan = Scan::new(&grid, settings.most_m);
    let mut found = HotSpots {
        clusters: Vec::new(),
        covers: grid.covers,
        cases: grid.cases,
        zoom: grid.zoom,
        cells: grid.cells.len(),
        zones: scan.zones.len(),
        replicates: 0,
        best_p: None,
    };
    let cases: Vec<u32> = grid.cells.iter().map(|cell| cell.cases).collect();
    let candidates = scan.candidates(&cases);
    if grid.cases < FEWEST || candidates.is_empty() {
        return found;
    }
    let replicates = settings.replicates.min(MOST_DEALT / grid.cases as usize).max(99);
    let mut best = scan.best_by_chance(&grid, replicates, settings.seed);
    best.sort_by(f64::total_cmp);
    let p = |value: f64| {
        let better = best.len() - best.partition_point(|chance| *chance < value - 1e-9);
        (better + 1) as f64 / (best.len() + 1) as f64
    };
    (found.replicates, found.best_p) = (replicates, Some(p(candidates[0].log_likelihood)));
    let mut taken = vec![false; grid.cells.len()];
    for candidate in candidates {
        let p = p(candidate.log_likelihood);
        if p > LEVEL || found.clusters.len() == MOST_CLUSTERS {
            break;
        }
        let cells = &scan.cells_of(candidate.zone);
        if cells.iter().any(|cell| taken[*cell as usize]) {
            continue;
        }
        cells.iter().for_each(|cell| taken[*cell as usize] = true);
        found.clusters.push(grid.tell(cells, &candidate, p));
    }
    found
}

impl Grid {
    fn tell(&self, cells: &[u32], candidate: &Candidate, p: f64) -> Cluster {
        let cell = |at: &u32| &self.cells[*at as usize];
        let (center, farthest) = (cell(&cells[0]), cell(&cells[cells.len() - 1]));
        let covers: u32 = cells.iter().map(|at| cell(at).covers).sum();
        let (cases, elsewhere) = (candidate.cases, self.cases - candidate.cases);
        let outside = f64::from(self.covers - covers);
        let relative_risk = (elsewhere > 0)
            .then(|| (f64::from(cases) / f64::from(covers)) / (f64::from(elsewhere) / outside));
        Cluster {
            lon: center.middle.0,
            lat: center.middle.1,
            radius_m: between_m(center.middle, farthest.middle),
            tiles: cells.iter().map(|at| cell(at).tile).collect(),
            covers,
            cases,
            expected: f64::from(self.cases) * f64::from(covers) / f64::from(self.covers),
            relative_risk,
            log_likelihood: candidate.log_likelihood,
            p,
        }
    }
}

/// A zone: the cells of a center up to this one.
struct Zone {
    cell: u32,
    /// `ln e` and `ln (C − e)` of what is expected.
    ln_expected: f64,
    ln_outside: f64,
    /// The least cases that are more than expected.
    least: u32,
}

/// All zones of a grid, center by center, each with its cells in the order of their distance.
struct Scan {
    zones: Vec<Zone>,
    /// Where the zones of each center begin.
    starts: Vec<usize>,
    cases: u32,
    /// `n ln n`.
    ln: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Candidate {
    zone: usize,
    cells: usize,
    cases: u32,
    log_likelihood: f64,
}

impl Scan {
    fn new(grid: &Grid, most_m: f64) -> Self {
        let (all, cases) = (f64::from(grid.covers), f64::from(grid.cases));
        let mut scan = Self { zones: Vec::new(), starts: vec![0], cases: grid.cases, ln: Vec::new() };
        scan.ln =
            (0..=grid.cases).map(|n| if n == 0 { 0.0 } else { f64::from(n) * f64::from(n).ln() }).collect();
        let by_lat = by_latitude(&grid.cells);
        let mut near: Vec<(f64, u32)> = Vec::new();
        for (at, center) in grid.cells.iter().enumerate() {
            near.clear();
            neighbors(&grid.cells, &by_lat, at, most_m, &mut near);
            near.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
            let mut covers = 0;
            for (nth, (_, cell)) in near.iter().enumerate() {
                covers += grid.cells[*cell as usize].covers;
                let share = f64::from(covers) / all;
                // A center is a zone in any case, so that a city of one cell has one.
                if (share > LARGEST && nth > 0) || covers == grid.covers {
                    break;
                }
                let expected = cases * share;
                let least = expected.floor() as u32 + 1;
                let (ln_expected, ln_outside) = (expected.ln(), (cases - expected).ln());
                scan.zones.push(Zone { cell: *cell, ln_expected, ln_outside, least });
            }
            debug_assert!(center.covers > 0);
            scan.starts.push(scan.zones.len());
        }
        scan
    }

    /// The log likelihood ratio of so many cases in a zone, 0 where they are no more than expected.
    fn value(&self, zone: &Zone, inside: u32) -> f64 {
        if inside < zone.least {
            return 0.0;
        }
        let outside = self.cases - inside;
        self.ln[inside as usize] + self.ln[outside as usize]
            - f64::from(inside) * zone.ln_expected
            - f64::from(outside) * zone.ln_outside
    }

    /// Every zone with more cases than expected, the likeliest first.
    fn candidates(&self, cases: &[u32]) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        for ends in self.starts.windows(2) {
            let mut inside = 0;
            for (zone, one) in (ends[0]..).zip(&self.zones[ends[0]..ends[1]]) {
                inside += cases[one.cell as usize];
                let value = self.value(one, inside);
                if inside >= FEWEST && value > 0.0 {
                    let cells = zone - ends[0];
                    found.push(Candidate { zone, cells, cases: inside, log_likelihood: value });
                }
            }
        }
        // Of equally likely zones the one with the fewest cells.
        found.sort_by(|one, other| {
            let likelier = other.log_likelihood.total_cmp(&one.log_likelihood);
            likelier.then((one.cells, one.zone).cmp(&(other.cells, other.zone)))
        });
        found
    }

    /// The cells of a zone, its center first.
    fn cells_of(&self, zone: usize) -> Vec<u32> {
        let center = self.starts.partition_point(|start| *start <= zone) - 1;
        self.zones[self.starts[center]..=zone].iter().map(|zone| zone.cell).collect()
    }

    /// The value of the best zone in each of so many deals.
    fn best_by_chance(&self, grid: &Grid, replicates: usize, seed: u64) -> Vec<f64> {
        let covers: Vec<u32> = grid.cells.iter().map(|cell| cell.covers).collect();
        let deal = Deal::by_weights(&covers);
        let mut chance = Chance::seeded(seed);
        let mut best = Vec::with_capacity(replicates + DEALS);
        let mut cases = vec![[0_u32; DEALS]; grid.cells.len()];
        while best.len() < replicates {
            cases.fill([0; DEALS]);
            for nth in 0..DEALS * grid.cases as usize {
                cases[deal.draw(&mut chance)][nth / grid.cases as usize] += 1;
            }
            best.extend(self.best_of(&cases));
        }
        best.truncate(replicates);
        best
    }

    /// The value of the best zone in each deal; by cells, how many cases each deal put there.
    fn best_of(&self, cases: &[[u32; DEALS]]) -> [f64; DEALS] {
        let mut best = [0.0_f64; DEALS];
        for ends in self.starts.windows(2) {
            let mut inside = [0; DEALS];
            for zone in &self.zones[ends[0]..ends[1]] {
                let least = zone.least.max(FEWEST);
                let mut any = false;
                for (inside, here) in inside.iter_mut().zip(&cases[zone.cell as usize]) {
                    *inside += here;
                    any |= *inside >= least;
                }
                if !any {
                    continue;
                }
                for (best, inside) in best.iter_mut().zip(inside).filter(|(_, inside)| *inside >= least) {
                    *best = best.max(self.value(zone, inside));
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: ScanSettings = ScanSettings { most_m: 1000.0, replicates: REPLICATES, seed: 1 };

    /// Covers by chance in a city of some 5 × 5 km, denser in its middle, each a case with the odds of its place.
    fn town(seed: u64, covers: usize, odds: impl Fn(f64, f64) -> f64) -> Vec<Population> {
        let mut chance = Chance::seeded(seed);
        (0..covers)
            .map(|at| {
                let squeeze = if at % 2 == 0 { 1.0 } else { 0.3 };
                let (x, y) = ((chance.fraction() - 0.5) * squeeze, (chance.fraction() - 0.5) * squeeze);
                let (lon, lat) = (118.6 + x * 0.06, 37.46 + y * 0.045);
                Population { lon, lat, is_case: chance.fraction() < odds(lon, lat) }
            })
            .collect()
    }

    #[test]
    fn a_planted_spot_is_found_where_it_is_and_nothing_else() {
        let spot = (118.618, 37.448);
        let town = town(5, 4000, |lon, lat| if between_m(spot, (lon, lat)) < 450.0 { 0.35 } else { 0.03 });
        let found = scan_hot_spots(town.iter().copied(), SETTINGS);
        let first = &found.clusters[0];
        assert!(first.p <= 0.001 && between_m(spot, (first.lon, first.lat)) < 450.0, "{first:?}");
        assert!(
            first.relative_risk.unwrap() > 4.0 && f64::from(first.cases) > 3.0 * first.expected,
            "{first:?}"
        );
        assert_eq!((found.replicates, found.best_p), (REPLICATES, Some(first.p)));
        let inside = |one: &&Population| first.tiles.contains(&TileId::at(one.lon, one.lat, found.zoom));
        assert_eq!(town.iter().filter(inside).count() as u32, first.covers);
        assert_eq!(town.iter().filter(inside).filter(|one| one.is_case).count() as u32, first.cases);
        let tiles: Vec<TileId> = found.clusters.iter().flat_map(|cluster| cluster.tiles.clone()).collect();
        let different: std::collections::HashSet<TileId> = tiles.iter().copied().collect();
        assert_eq!(tiles.len(), different.len(), "clusters share no cell");
        assert!(
            found.clusters[1..].iter().all(|other| between_m(spot, (other.lon, other.lat)) < 1500.0),
            "{found:?}"
        );
        assert_eq!(scan_hot_spots(town.iter().copied(), SETTINGS), found, "the same again");
    }

    #[test]
    fn noise_raises_no_more_alarms_than_the_level_says() {
        // 40 cities of noise: 5 alarms or fewer are to be expected with 95 % where 5 % is the level.
        let alarms = (0..40_u64)
            .filter(|seed| {
                let town = town(100 + seed, 600, |_, _| 0.06);
                let found = scan_hot_spots(
                    town.iter().copied(),
                    ScanSettings { seed: *seed, replicates: 99, most_m: 600.0 },
                );
                !found.clusters.is_empty()
            })
            .count();
        assert!(alarms <= 5, "{alarms} of 40");
    }

    #[test]
    fn a_dense_street_is_no_hot_spot_for_having_many_covers() {
        let mut town = town(9, 1000, |_, _| 0.05);
        // 500 covers on one spot, with as many cases a cover as elsewhere.
        town.extend((0..500).map(|at| Population { lon: 118.61, lat: 37.46, is_case: at % 20 == 0 }));
        assert_eq!(scan_hot_spots(town.iter().copied(), SETTINGS).clusters, []);
    }

    #[test]
    fn nothing_to_test_is_said_so() {
        let one = Population { lon: 118.6, lat: 37.46, is_case: true };
        for town in [vec![], vec![one], vec![one; 50], vec![Population { is_case: false, ..one }; 9]] {
            let found = scan_hot_spots(town.iter().copied(), SETTINGS);
            assert_eq!((found.clusters.len(), found.best_p), (0, None), "{} covers", town.len());
        }
        let far = Population { lon: -118.6, lat: -37.46, is_case: false };
        let found = scan_hot_spots([vec![one; 20], vec![far; 200]].concat(), SETTINGS);
        assert_eq!(found.clusters.len(), 1, "{found:?}");
        assert_eq!((found.clusters[0].cases, found.clusters[0].relative_risk), (20, None));
    }
}
