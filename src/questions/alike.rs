//! Covers like this one. Likeness is Gower's ("A general coefficient of similarity and some of its properties", Biometrics
//! 27(4), 1971): the mean over the properties that both covers have, weighed, of 1 where a word is the same and 0 where it is
//! not; years of installation lose evenly over [`SPAN_YEARS`]. What is not known of one of the two says neither yes nor no and is left
//! out of the mean; so that a cover of which next to nothing is known is not like everything, at least half of what is known
//! of this one (by weight) must be comparable.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::domain::names::named_enum;
use crate::layers::CoverSearch;
use crate::spatial::{SnapshotRow, flat_m};

named_enum! {
    /// What is compared.
    AlikeField as "alike_field" {
        Class = "class",
        LoadClass = "load_class",
        Material = "material",
        Shape = "shape",
        Placement = "placement",
        Owner = "owner",
        Maintainer = "maintainer",
        Road = "road",
        District = "district",
        Installed = "installed",
        State = "state",
    }
}

/// Weights in the order of the list: what a cover serves counts most, where it lies least.
pub const COMPARED: [(AlikeField, f64); 11] = [
    (AlikeField::Class, 3.0),
    (AlikeField::LoadClass, 2.0),
    (AlikeField::Material, 2.0),
    (AlikeField::Shape, 1.0),
    (AlikeField::Placement, 1.0),
    (AlikeField::Owner, 1.0),
    (AlikeField::Maintainer, 1.0),
    (AlikeField::Road, 1.0),
    (AlikeField::District, 0.5),
    (AlikeField::Installed, 1.0),
    (AlikeField::State, 0.5),
];

/// Covers installed so many years apart are not alike in that.
const SPAN_YEARS: f64 = 30.0;

/// A cover and how much it is like another.
#[derive(Debug, Clone, PartialEq)]
pub struct Alike {
    pub row: SnapshotRow,
    /// 0 to 1.
    pub similarity: f64,
    /// Share, by weight, of what is known of the other that could be compared, 0 to 1.
    pub compared: f64,
    /// In which they are the same; years count where they are the same year.
    pub shares: Vec<AlikeField>,
    pub differs: Vec<AlikeField>,
    pub distance_m: f64,
}

/// The `many` covers of a search that are most like one, the most alike first; of equally alike ones those of which more
/// could be compared, then those that lie nearer. One pass over all that are meant.
pub fn most_alike(search: &CoverSearch<'_>, like: &SnapshotRow, many: usize) -> Vec<Alike> {
    let known: f64 =
        COMPARED.iter().filter(|(field, _)| value(like, *field).is_some()).map(|(_, weight)| weight).sum();
    let mut best: BinaryHeap<Ranked> = BinaryHeap::new();
    for row in search.rows().filter(|row| row.cover != like.cover) {
        let Some(ranked) = Ranked::of(like, row, known) else { continue };
        if best.len() < many {
            best.push(ranked);
        } else if best.peek().is_some_and(|last| ranked < *last) {
            best.pop();
            best.push(ranked);
        }
    }
    best.into_sorted_vec().into_iter().map(|ranked| ranked.told(like)).collect()
}

/// A property as a number that is the same where the words are the same; `None` where it is not known.
fn value(row: &SnapshotRow, field: AlikeField) -> Option<u32> {
    let noted = |number: u32| (number != 0).then_some(number);
    let attributes = &row.attributes;
    match field {
        AlikeField::Class => Some(row.class as u32),
        AlikeField::State => Some(row.state as u32),
        AlikeField::LoadClass => attributes.load_class.map(|word| word as u32),
        AlikeField::Material => attributes.material.map(|word| word as u32),
        AlikeField::Shape => attributes.shape.map(|word| word as u32),
        AlikeField::Placement => attributes.placement.map(|word| word as u32),
        AlikeField::Owner => noted(attributes.owner),
        AlikeField::Maintainer => noted(attributes.maintainer),
        AlikeField::Road => noted(attributes.road),
        AlikeField::District => noted(u32::from(attributes.district)),
        AlikeField::Installed => noted(u32::from(attributes.installed)),
    }
}

/// How alike two covers are in a property, 0 to 1.
fn likeness(one: &SnapshotRow, other: &SnapshotRow, field: AlikeField) -> Option<f64> {
    let (one, other) = (value(one, field)?, value(other, field)?);
    Some(match field {
        AlikeField::Installed => (1.0 - f64::from(one.abs_diff(other)) / SPAN_YEARS).max(0.0),
        _ => f64::from(u8::from(one == other)),
    })
}

/// The best one is the least.
struct Ranked {
    similarity: f64,
    compared: f64,
    distance_m: f64,
    row: SnapshotRow,
}

impl Ranked {
    fn of(like: &SnapshotRow, row: SnapshotRow, known: f64) -> Option<Self> {
        let (mut sum, mut compared) = (0.0, 0.0);
        for (field, weight) in COMPARED {
            if let Some(alike) = likeness(like, &row, field) {
                sum += weight * alike;
                compared += weight;
            }
        }
        if compared <= 0.0 || compared < known / 2.0 {
            return None;
        }
        let (east, north) = flat_m((like.lon, like.lat), (row.lon, row.lat));
        Some(Self {
            similarity: sum / compared,
            compared: compared / known,
            distance_m: east.hypot(north),
            row,
        })
    }

    fn told(self, like: &SnapshotRow) -> Alike {
        let compared =
            || COMPARED.iter().filter_map(|(field, _)| Some((*field, likeness(like, &self.row, *field)?)));
        let pick = |same: bool| {
            compared().filter(|(_, alike)| (*alike == 1.0) == same).map(|(field, _)| field).collect()
        };
        let (shares, differs) = (pick(true), pick(false));
        let Self { similarity, compared, distance_m, row } = self;
        Alike { row, similarity, compared, shares, differs, distance_m }
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let better =
            other.similarity.total_cmp(&self.similarity).then(other.compared.total_cmp(&self.compared));
        better.then(self.distance_m.total_cmp(&other.distance_m)).then(self.row.cover.cmp(&other.row.cover))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests_support::{at, city};
    use super::*;
    use crate::domain::cover::{CoverClass, LoadClass, Material};
    use crate::domain::quality::Rules;
    use crate::layers::CoverReader;

    fn like(
        number: u128,
        class: CoverClass,
        material: Option<Material>,
        installed: u16,
        road: u32,
    ) -> SnapshotRow {
        let mut row = at(number, 118.6 + number as f64 * 1e-4, 37.46);
        row.class = class;
        row.attributes.material = material;
        row.attributes.installed = installed;
        row.attributes.road = road;
        row
    }

    fn found(rows: &[SnapshotRow], many: usize) -> Vec<Alike> {
        let (map, rules) = (city(rows.iter().copied()), Rules::default());
        let reader = CoverReader::new(&map, &rules, true);
        most_alike(&CoverSearch::new(&map, &reader, None, None).unwrap(), &rows[0], many)
    }

    #[test]
    fn the_twin_comes_first_and_each_says_what_it_shares() {
        let iron = Some(Material::DuctileIron);
        let rows = [
            like(1, CoverClass::Sewage, iron, 2000, 1),
            like(2, CoverClass::Gas, iron, 2000, 1),
            like(3, CoverClass::Sewage, iron, 2015, 1),
            like(4, CoverClass::Sewage, iron, 2000, 1),
            like(5, CoverClass::Sewage, Some(Material::Concrete), 2000, 1),
            // Nothing is known of it but its class: too little to be alike.
            like(6, CoverClass::Sewage, None, 0, 0),
        ];
        let found = found(&rows, 9);
        let order: Vec<u128> = found.iter().map(|one| one.row.cover.0.as_u128()).collect();
        assert_eq!(order, [4, 3, 5, 2]);
        assert_eq!((found[0].similarity, found[0].compared), (1.0, 1.0));
        assert_eq!(
            found[0].shares,
            [
                AlikeField::Class,
                AlikeField::Material,
                AlikeField::Road,
                AlikeField::Installed,
                AlikeField::State
            ]
        );
        assert_eq!(found[1].differs, [AlikeField::Installed]);
        // 3 + 2 + 1 + 0.5 of 7.5, and half a point for 15 of 30 years.
        assert!((found[1].similarity - 7.0 / 7.5).abs() < 1e-12);
        assert_eq!(found[3].differs, [AlikeField::Class]);
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_formula(
            rows in proptest::collection::vec((0usize..3, proptest::option::of(0usize..3), proptest::option::of(0usize..3), 0u16..4, 0u32..3), 1..40),
            many in 1usize..8,
        ) {
            let rows: Vec<SnapshotRow> = rows.iter().enumerate().map(|(number, (class, material, load, year, road))| {
                let year = if *year == 0 { 0 } else { 1990 + year * 10 };
                let mut row = like(number as u128 + 1, CoverClass::ALL[*class], material.map(|at| Material::ALL[at]), year, *road);
                row.attributes.load_class = load.map(|at| LoadClass::ALL[at]);
                row
            }).collect();
            let all = found(&rows, usize::MAX);
            let some = found(&rows, many);
            prop_assert_eq!(&some[..], &all[..many.min(all.len())]);
            for one in &all {
                prop_assert!((0.0..=1.0).contains(&one.similarity) && (0.5..=1.0 + 1e-9).contains(&one.compared), "{:?}", one);
                prop_assert_eq!(one.differs.is_empty(), one.similarity > 1.0 - 1e-12);
            }
            prop_assert!(all.is_sorted_by(|one, other| one.similarity >= other.similarity));
        }
    }
}
