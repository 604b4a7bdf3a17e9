//! How densely covers lie: per district, and per kilometer of road. The registry knows no network of roads, so the length of
//! a road comes from its covers, by this method:
//!
//! 1. Covers of one road in one district are taken together. Those within [`WIDTH_M`] of each other across and along the road
//!    become one point in their middle, so that rows of covers on both sides of a street are one line and not two.
//! 2. The length is that of the shortest tree that joins these points (Prim 1957).
//! 3. Gaps above `gap_m` are cut out of it: what nobody surveyed, or another road of the same name, has no length.
//!
//! It errs a little low, for a road goes on behind its last cover, and knows nothing of a stretch without any cover; so a road
//! of one kilometer with five covers has a length of some 0.8 km and stands out all the same.

use std::collections::HashMap;

use crate::domain::names::named_enum;
use crate::layers::CoverSearch;
use crate::spatial::{flat_m, meters_per_degree};

/// Covers nearer to each other are one point of a road.
pub const WIDTH_M: f64 = 40.0;
/// Gaps that may be asked for in meters, and the usual one: wide enough for a sewer's manholes (40 to 120 m) and too few of them.
pub const GAPS_M: std::ops::RangeInclusive<f64> = 50.0..=2000.0;
pub const USUAL_GAP_M: f64 = 500.0;

/// Points of one road: 120 km. What has more is a name for something else, and has no length.
const MOST_NODES: usize = 3000;

named_enum! {
    /// Which roads come first.
    RoadOrder as "road_order" {
        /// Fewest covers a kilometer.
        Fewest = "fewest",
        Most = "most",
        Longest = "longest",
    }
}

/// A road in a district.
#[derive(Debug, Clone, PartialEq)]
pub struct RoadDensity {
    /// Numbers of the lexicon.
    pub district: u16,
    pub road: u32,
    pub covers: u32,
    /// `None` where there are too many points for a road.
    pub length_m: Option<f64>,
    /// Parts between which a gap was cut.
    pub stretches: u32,
    /// What was measured, in degrees.
    pub lines: Vec<[(f64, f64); 2]>,
    /// West, south, east, north.
    pub bounds: [f64; 4],
}

impl RoadDensity {
    /// Covers a kilometer; `None` where there is no length.
    pub fn per_km(&self) -> Option<f64> {
        let length_m = self.length_m.filter(|length_m| *length_m > 0.0)?;
        Some(f64::from(self.covers) / (length_m / 1000.0))
    }
}

/// A district by its number in the lexicon.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DistrictDensity {
    pub covers: u32,
    /// Those on roads of a known length.
    pub on_roads: u32,
    pub roads: u32,
    pub road_m: f64,
}

/// Every road of the covers that are meant, in the order of (district, road), and how many covers there are in each district
/// by its number; covers of which nobody knows the road are in the latter alone.
pub fn density(search: &CoverSearch<'_>, gap_m: f64) -> (Vec<RoadDensity>, HashMap<u16, u32>) {
    let mut districts: HashMap<u16, u32> = HashMap::new();
    let mut placed: Vec<(u16, u32, (f64, f64))> = Vec::new();
    for row in search.rows() {
        let attributes = &row.attributes;
        *districts.entry(attributes.district).or_default() += 1;
        if attributes.road != 0 {
            placed.push((attributes.district, attributes.road, (row.lon, row.lat)));
        }
    }
    // Stable, so that covers of a road stay in the order of places.
    placed.sort_by_key(|(district, road, _)| (*district, *road));
    let roads = placed.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1));
    let roads = roads.map(|covers| {
        let places: Vec<(f64, f64)> = covers.iter().map(|(.., place)| *place).collect();
        measure((covers[0].0, covers[0].1), &places, gap_m)
    });
    (roads.collect(), districts)
}

/// Sums of roads by district.
pub fn sum_districts(roads: &[RoadDensity], covers: &HashMap<u16, u32>) -> HashMap<u16, DistrictDensity> {
    let one = |(district, covers): (&u16, &u32)| {
        (*district, DistrictDensity { covers: *covers, ..DistrictDensity::default() })
    };
    let mut sums: HashMap<u16, DistrictDensity> = covers.iter().map(one).collect();
    for road in roads {
        let Some(length_m) = road.length_m.filter(|length_m| *length_m > 0.0) else { continue };
        let sum = sums.entry(road.district).or_default();
        sum.on_roads += road.covers;
        sum.roads += 1;
        sum.road_m += length_m;
    }
    sums
}

fn measure((district, road): (u16, u32), places: &[(f64, f64)], gap_m: f64) -> RoadDensity {
    let everything = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
    let bounds = places.iter().fold(everything, |[west, south, east, north], (lon, lat)| {
        [west.min(*lon), south.min(*lat), east.max(*lon), north.max(*lat)]
    });
    let middle_lat = (bounds[1] + bounds[3]) / 2.0;
    let nodes = merged(places, middle_lat);
    let covers = places.len() as u32;
    if nodes.len() > MOST_NODES {
        return RoadDensity {
            district,
            road,
            covers,
            length_m: None,
            stretches: 0,
            lines: Vec::new(),
            bounds,
        };
    }
    let mut lines = shortest_tree(&nodes, middle_lat);
    let edges = lines.len() as u32;
    lines.retain(|(far, _)| *far <= gap_m);
    let stretches = 1 + edges - lines.len() as u32;
    let length_m = lines.iter().map(|(far, _)| far).sum();
    let lines = lines.into_iter().map(|(_, line)| line).collect();
    RoadDensity { district, road, covers, length_m: Some(length_m), stretches, lines, bounds }
}

/// Places nearer to each other than [`WIDTH_M`] become one in their middle: each joins the first point that is near enough.
fn merged(places: &[(f64, f64)], middle_lat: f64) -> Vec<(f64, f64)> {
    struct Node {
        first: (f64, f64),
        sum: (f64, f64),
        count: f64,
    }
    let (east, north) = meters_per_degree(middle_lat);
    let mut nodes: Vec<Node> = Vec::new();
    let mut cells: HashMap<(i64, i64), Vec<usize>> = HashMap::new();
    for (lon, lat) in places {
        let (x, y) = (lon * east, lat * north);
        let (column, row) = ((x / WIDTH_M).floor() as i64, (y / WIDTH_M).floor() as i64);
        let around = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (column + dx, row + dy)));
        let near = around.filter_map(|cell| cells.get(&cell)).flatten().copied();
        let joined = near
            .map(|at| ((nodes[at].first.0 - x).hypot(nodes[at].first.1 - y), at))
            .filter(|(far, _)| *far < WIDTH_M)
            .min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        match joined {
            Some((_, at)) => {
                let node = &mut nodes[at];
                node.sum = (node.sum.0 + lon, node.sum.1 + lat);
                node.count += 1.0;
            }
            None => {
                cells.entry((column, row)).or_default().push(nodes.len());
                nodes.push(Node { first: (x, y), sum: (*lon, *lat), count: 1.0 });
            }
        }
    }
    nodes.into_iter().map(|node| (node.sum.0 / node.count, node.sum.1 / node.count)).collect()
}

/// The edges of the shortest tree over some points, with their lengths: Prim's algorithm, in the square of their number. It
/// compares on a plane, which over a road is as good.
fn shortest_tree(nodes: &[(f64, f64)], middle_lat: f64) -> Vec<(f64, [(f64, f64); 2])> {
    /// A point that is not joined yet, and the joined one that lies nearest.
    struct Waiting {
        far: f64,
        node: usize,
        nearest: usize,
    }
    let (east, north) = meters_per_degree(middle_lat);
    let flat: Vec<(f64, f64)> = nodes.iter().map(|(lon, lat)| (lon * east, lat * north)).collect();
    let far = |one: usize, other: usize| (flat[one].0 - flat[other].0).hypot(flat[one].1 - flat[other].1);
    let mut waiting: Vec<Waiting> =
        (1..nodes.len()).map(|node| Waiting { far: far(0, node), node, nearest: 0 }).collect();
    let mut edges = Vec::with_capacity(waiting.len());
    while let Some((at, _)) =
        waiting.iter().enumerate().min_by(|(_, one), (_, other)| one.far.total_cmp(&other.far))
    {
        let Waiting { node, nearest, .. } = waiting.swap_remove(at);
        let (x, y) = flat_m(nodes[nearest], nodes[node]);
        edges.push((x.hypot(y), [nodes[nearest], nodes[node]]));
        for other in &mut waiting {
            let length = far(node, other.node);
            if length < other.far {
                (other.far, other.nearest) = (length, node);
            }
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests_support::{at, city};
    use super::*;
    use crate::domain::quality::Rules;
    use crate::layers::CoverReader;
    use crate::spatial::SnapshotRow;

    fn on_road(number: u128, road: u32, x: f64, y: f64) -> SnapshotRow {
        let (east, north) = meters_per_degree(37.46);
        let mut row = at(number, 118.6 + x / east, 37.46 + y / north);
        (row.attributes.road, row.attributes.district) = (road, 1);
        row
    }

    fn measured(rows: Vec<SnapshotRow>, gap_m: f64) -> (Vec<RoadDensity>, HashMap<u16, u32>) {
        let (map, rules) = (city(rows), Rules::default());
        let reader = CoverReader::new(&map, &rules, true);
        density(&CoverSearch::new(&map, &reader, None, None).unwrap(), gap_m)
    }

    #[test]
    fn a_road_with_five_covers_stands_out_among_those_with_many() {
        let mut rows: Vec<SnapshotRow> =
            (0..5).map(|at| on_road(1 + at, 1, at as f64 * 250.0, 0.0)).collect();
        // Rows on both sides of a street of 24 m, a cover each 30 m, for 1.2 km: one line and not two.
        rows.extend((0..41).map(|at| on_road(100 + at, 2, at as f64 * 30.0, 2000.0)));
        rows.extend((0..41).map(|at| on_road(200 + at, 2, at as f64 * 30.0 + 11.0, 2024.0)));
        // Nobody knows the road of this one.
        rows.push(on_road(300, 0, 0.0, 5000.0));
        let (roads, districts) = measured(rows, USUAL_GAP_M);
        assert_eq!(districts, HashMap::from([(1, 88)]));
        assert_eq!((roads.len(), roads[0].covers, roads[1].covers), (2, 5, 82));
        assert!((roads[0].length_m.unwrap() - 1000.0).abs() < 1.0, "{:?}", roads[0]);
        assert!((roads[0].per_km().unwrap() - 5.0).abs() < 0.01);
        let length_m = roads[1].length_m.unwrap();
        assert!((1100.0..1500.0).contains(&length_m), "{length_m}");
        let sums = sum_districts(&roads, &districts);
        assert_eq!((sums[&1].covers, sums[&1].on_roads, sums[&1].roads), (88, 87, 2));
        assert!((sums[&1].road_m - 1000.0 - length_m).abs() < 1.0);
    }

    #[test]
    fn gaps_have_no_length_and_a_name_over_a_whole_district_is_no_road() {
        let rows = [0.0, 100.0, 200.0, 5000.0, 5100.0].iter().enumerate();
        let rows: Vec<SnapshotRow> =
            rows.map(|(number, x)| on_road(number as u128 + 1, 1, *x, 0.0)).collect();
        let (roads, _) = measured(rows, USUAL_GAP_M);
        assert!((roads[0].length_m.unwrap() - 300.0).abs() < 0.5, "{roads:?}");
        assert_eq!((roads[0].stretches, roads[0].lines.len()), (2, 3));
        let side = 60_u128;
        let rows = (0..side * side)
            .map(|at| on_road(at + 1, 1, (at % side) as f64 * 45.0, (at / side) as f64 * 45.0));
        let (roads, _) = measured(rows.collect(), USUAL_GAP_M);
        assert_eq!((roads[0].covers, roads[0].length_m, roads[0].per_km()), (3600, None, None));
    }

    proptest! {
        /// As Kruskal's algorithm over all pairs finds it.
        #[test]
        fn the_tree_is_the_shortest(places in proptest::collection::vec((0u32..400, 0u32..400), 1..40)) {
            let nodes: Vec<(f64, f64)> = places.iter().map(|(x, y)| (118.0 + f64::from(*x) * 1e-4, 37.0 + f64::from(*y) * 1e-4)).collect();
            let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
            for one in 0..nodes.len() {
                for other in 0..one {
                    let (east, north) = flat_m(nodes[one], nodes[other]);
                    pairs.push((east.hypot(north), one, other));
                }
            }
            pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
            let mut groups: Vec<usize> = (0..nodes.len()).collect();
            let mut shortest = 0.0;
            for (far, one, other) in pairs {
                let (one, other) = (groups[one], groups[other]);
                if one != other {
                    groups.iter_mut().filter(|group| **group == one).for_each(|group| *group = other);
                    shortest += far;
                }
            }
            let tree = shortest_tree(&nodes, 37.02);
            prop_assert_eq!(tree.len(), nodes.len() - 1);
            let found: f64 = tree.iter().map(|(far, _)| far).sum();
            prop_assert!((found - shortest).abs() < 1e-4 * (1.0 + shortest), "{} {}", found, shortest);
        }
    }
}
