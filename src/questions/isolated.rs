//! Isolated doubles: covers that lie suspiciously close together while nothing else lies near, as when one manhole was
//! surveyed twice. Which covers may be one is said by the sweep of the quality pages; here pairs become groups, and the
//! lonely ones among them are told with what speaks for it.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::CoverId;
use crate::domain::names::named_enum;
use crate::layers::CoverSearch;
use crate::spatial::{Snapshot, SnapshotRow, geodesic_m};

named_enum! {
    /// In which the covers of a group are all the same.
    Likeness as "likeness" {
        Class = "class",
        Owner = "owner",
        Maintainer = "maintainer",
        Road = "road",
        LoadClass = "load_class",
        Material = "material",
        Shape = "shape",
        Placement = "placement",
        SurveyedOn = "surveyed_on",
        State = "state",
    }
}

/// Covers that may be one.
#[derive(Debug, Clone, PartialEq)]
pub struct Twins {
    /// The oldest first.
    pub rows: Vec<SnapshotRow>,
    /// Between the two that lie farthest apart.
    pub distance_m: f64,
    pub shares: Vec<Likeness>,
    /// To the next cover that is none of them; `None` = farther than was looked.
    pub next_m: Option<f64>,
}

/// How far is looked for the next cover.
const LOOKED_M: f64 = 500.0;
/// Covers of one group; larger heaps are a matter for the quality pages.
const MOST_ROWS: usize = 20;

/// Groups of covers, joined by pairs, of which one at least is meant by a search and around which nothing else lies within
/// `alone_m`; those that lie closest together first. Covers that are gone are left out.
pub fn isolated_twins(
    map: &Snapshot,
    search: &CoverSearch<'_>,
    pairs: impl IntoIterator<Item = (CoverId, CoverId)>,
    alone_m: f64,
) -> Vec<Twins> {
    let mut found: Vec<Twins> = groups(pairs)
        .into_iter()
        .filter_map(|group| {
            let rows: Vec<SnapshotRow> = group.iter().filter_map(|cover| map.find(*cover)).collect();
            if rows.len() < 2 || rows.len() > MOST_ROWS || !rows.iter().any(|row| search.holds(row)) {
                return None;
            }
            let members: HashSet<CoverId> = rows.iter().map(|row| row.cover).collect();
            let next_m = next_m(map, &rows, &members);
            let is_alone = next_m.is_none_or(|next_m| next_m > alone_m);
            is_alone.then(|| Twins { distance_m: span_m(&rows), shares: shares(&rows), next_m, rows })
        })
        .collect();
    found.sort_by(|one, other| {
        one.distance_m.total_cmp(&other.distance_m).then(one.rows[0].cover.cmp(&other.rows[0].cover))
    });
    found
}

/// Covers that pairs join, each group in the order of age.
fn groups(pairs: impl IntoIterator<Item = (CoverId, CoverId)>) -> Vec<Vec<CoverId>> {
    let mut leaders: HashMap<CoverId, CoverId> = HashMap::new();
    fn leader(leaders: &mut HashMap<CoverId, CoverId>, of: CoverId) -> CoverId {
        let mut top = of;
        while let Some(above) = leaders.get(&top).copied().filter(|above| *above != top) {
            top = above;
        }
        // The way is shortened, so that a heap of pairs is no chain.
        let mut at = of;
        while at != top {
            at = leaders.insert(at, top).unwrap_or(top);
        }
        top
    }
    for (one, other) in pairs {
        let (one, other) = (leader(&mut leaders, one), leader(&mut leaders, other));
        leaders.insert(one, one);
        leaders.insert(other, one);
    }
    let covers: Vec<CoverId> = leaders.keys().copied().collect();
    let mut groups: HashMap<CoverId, Vec<CoverId>> = HashMap::new();
    for cover in covers {
        let top = leader(&mut leaders, cover);
        groups.entry(top).or_default().push(cover);
    }
    let mut groups: Vec<Vec<CoverId>> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort_unstable();
    groups
}

fn next_m(map: &Snapshot, rows: &[SnapshotRow], members: &HashSet<CoverId>) -> Option<f64> {
    let next = |row: &SnapshotRow| {
        let from = (row.lon, row.lat);
        let near = map.by_distance(from, LOOKED_M, |other| !members.contains(&other.cover)).next()?;
        Some(geodesic_m(from, (near.row.lon, near.row.lat)))
    };
    rows.iter().filter_map(next).min_by(f64::total_cmp)
}

fn span_m(rows: &[SnapshotRow]) -> f64 {
    let place = |row: &SnapshotRow| (row.lon, row.lat);
    let ways = rows.iter().enumerate().flat_map(|(at, one)| rows[..at].iter().map(move |other| (one, other)));
    ways.map(|(one, other)| geodesic_m(place(one), place(other))).fold(0.0, f64::max)
}

fn shares(rows: &[SnapshotRow]) -> Vec<Likeness> {
    let first = &rows[0];
    let all = |same: &dyn Fn(&SnapshotRow) -> bool| rows.iter().all(same);
    let known =
        |number: fn(&SnapshotRow) -> u32| number(first) != 0 && all(&|row| number(row) == number(first));
    let attributes = &first.attributes;
    let is_shared = |likeness: &Likeness| match likeness {
        Likeness::Class => all(&|row| row.class == first.class),
        Likeness::State => all(&|row| row.state == first.state),
        Likeness::Owner => known(|row| row.attributes.owner),
        Likeness::Maintainer => known(|row| row.attributes.maintainer),
        Likeness::Road => known(|row| row.attributes.road),
        Likeness::LoadClass => {
            attributes.load_class.is_some() && all(&|row| row.attributes.load_class == attributes.load_class)
        }
        Likeness::Material => {
            attributes.material.is_some() && all(&|row| row.attributes.material == attributes.material)
        }
        Likeness::Shape => attributes.shape.is_some() && all(&|row| row.attributes.shape == attributes.shape),
        Likeness::Placement => {
            attributes.placement.is_some() && all(&|row| row.attributes.placement == attributes.placement)
        }
        Likeness::SurveyedOn => {
            attributes.surveyed_on != crate::spatial::UNKNOWN_DAY
                && all(&|row| row.attributes.surveyed_on == attributes.surveyed_on)
        }
    };
    Likeness::ALL.iter().copied().filter(is_shared).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{at, city};
    use super::*;
    use crate::domain::quality::Rules;
    use crate::layers::CoverReader;

    #[test]
    fn pairs_become_groups_and_only_lonely_ones_are_told() {
        // Three in a heap, two alone, two beside a third, one that is gone.
        let rows = [
            at(1, 118.6, 37.46),
            at(2, 118.600_004, 37.46),
            at(3, 118.600_008, 37.46),
            at(4, 118.61, 37.46),
            at(5, 118.610_005, 37.46),
            at(6, 118.62, 37.46),
            at(7, 118.620_005, 37.46),
            at(8, 118.620_05, 37.46),
        ];
        let (map, rules) = (city(rows), Rules::default());
        let reader = CoverReader::new(&map, &rules, true);
        let search = CoverSearch::new(&map, &reader, None, None).unwrap();
        let id = |number| at(number, 0.0, 0.0).cover;
        let pairs = [(1, 2), (2, 3), (4, 5), (6, 7), (4, 99)].map(|(one, other)| (id(one), id(other)));
        let found = isolated_twins(&map, &search, pairs, 15.0);
        let told: Vec<Vec<u128>> =
            found.iter().map(|twins| twins.rows.iter().map(|row| row.cover.0.as_u128()).collect()).collect();
        assert_eq!(told, [vec![4, 5], vec![1, 2, 3]]);
        assert!((found[0].distance_m - 0.4427).abs() < 0.001 && found[0].next_m.is_none(), "{found:?}");
        assert_eq!(found[0].shares, [Likeness::Class, Likeness::SurveyedOn, Likeness::State]);
        assert_eq!(isolated_twins(&map, &search, pairs, 3.0).len(), 3, "alone by less");
    }
}
