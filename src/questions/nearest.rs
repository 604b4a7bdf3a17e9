//! The covers nearest to a point, with how far and in which direction.

use crate::layers::CoverSearch;
use crate::spatial::{SPHERE_ERROR, SnapshotRow, bearing, geodesic_m};

/// A cover and the way to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    pub row: SnapshotRow,
    /// On the ellipsoid.
    pub distance_m: f64,
    /// Degrees from north over east.
    pub bearing: f64,
}

/// Rows that are measured on the ellipsoid beside those that are wanted, where very many lie equally far.
const MOST_TIES: usize = 20_000;

/// The `many` covers of a search that lie nearest to a point and no farther than `max_m`, nearest first. The map looks on the
/// sphere; what may be nearer on the ellipsoid is looked at as well, so that the order is that of true lengths.
pub fn nearest(search: &CoverSearch<'_>, from: (f64, f64), many: usize, max_m: f64) -> Vec<Nearest> {
    let slack = (1.0 + SPHERE_ERROR) / (1.0 - SPHERE_ERROR);
    let mut found: Vec<Nearest> = Vec::new();
    let mut reach_m = max_m * slack + 1.0;
    for near in search.by_distance(from, reach_m).take(many.saturating_add(MOST_TIES)) {
        if found.len() >= many && near.distance_m > reach_m {
            break;
        }
        let to = (near.row.lon, near.row.lat);
        found.push(Nearest { row: near.row, distance_m: geodesic_m(from, to), bearing: bearing(from, to) });
        if found.len() == many {
            // On the sphere nothing that is truly nearer than the farthest of these lies beyond that.
            reach_m = near.distance_m * slack + 1.0;
        }
    }
    found.retain(|near| near.distance_m <= max_m);
    found.sort_by(|one, other| {
        one.distance_m.total_cmp(&other.distance_m).then(one.row.cover.cmp(&other.row.cover))
    });
    found.truncate(many);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests_support::{at, city};
    use super::*;
    use crate::domain::quality::Rules;
    use crate::layers::CoverReader;

    proptest! {
        /// Whoever is nearest by true length comes first, also where the sphere says otherwise.
        #[test]
        fn the_nearest_are_those_that_measuring_all_finds(
            places in proptest::collection::vec((0u32..2000, 0u32..2000), 0..120),
            from in (-0.1..0.3f64, -0.1..0.3f64), many in 1usize..12, far in prop_oneof![Just(5_000.0), Just(1e8)],
        ) {
            let rows: Vec<_> = places.iter().enumerate()
                .map(|(number, (x, y))| at(number as u128 + 1, 118.5 + f64::from(*x) * 1e-4, 37.4 + f64::from(*y) * 1e-4)).collect();
            let (map, rules) = (city(rows.clone()), Rules::default());
            let reader = CoverReader::new(&map, &rules, true);
            let search = CoverSearch::new(&map, &reader, None, None).unwrap();
            let from = (118.5 + from.0, 37.4 + from.1);
            let mut wanted: Vec<(f64, u128)> = rows.iter()
                .map(|row| (geodesic_m(from, (row.lon, row.lat)), row.cover.0.as_u128())).filter(|(far_m, _)| *far_m <= far).collect();
            wanted.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
            wanted.truncate(many);
            let found: Vec<_> = nearest(&search, from, many, far).iter().map(|near| (near.distance_m, near.row.cover.0.as_u128())).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
