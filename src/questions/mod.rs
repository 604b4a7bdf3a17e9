//! 问一问: questions about covers that a map program does not ask easily, answered from the map in memory. Every function is
//! pure and bounded; which covers are meant comes in as a search, what is done with the answer is for others.

mod alike;
mod cells;
mod density;
mod hot_spots;
mod isolated;
mod nearest;
mod random;
mod route;
#[cfg(test)]
mod tests_support;
mod tour;

pub use alike::{Alike, AlikeField, COMPARED, most_alike};
pub use density::{
    DistrictDensity, GAPS_M, RoadDensity, RoadOrder, USUAL_GAP_M, WIDTH_M, density, sum_districts,
};
pub use hot_spots::{
    Cluster, Counted, HotSpots, LEVEL, MOST_CELLS, Population, REPLICATES, ScanSettings, scan_hot_spots,
};
pub use isolated::{Likeness, Twins, isolated_twins};
pub use nearest::{Nearest, nearest};
pub use route::{MOST_BUFFER_M, MOST_POINTS, MOST_ROUTE_M, Passed, Route, Side};
pub use tour::{MOST_STOPS, Tour, plan_tour};
