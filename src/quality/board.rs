//! The files of all covers in use, judged from the map: a question is one pass over its rows, some milliseconds for a
//! million, and needs no index that each change would have to keep.

use std::collections::BTreeMap;

use crate::domain::cover::{CoverClass, Material, Placement};
use crate::domain::ids::CoverId;
use crate::domain::quality::{Facts, FieldSet, Finding, FindingSet, Rules};
use crate::spatial::{Reading, Snapshot, SnapshotRow};

/// Which covers are meant. Every `Some` narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileFilter {
    pub finding: Option<Finding>,
    pub district: Option<String>,
    pub class: Option<CoverClass>,
    pub placement: Option<Placement>,
    pub material: Option<MaterialFilter>,
    /// Only covers after this one.
    pub after: Option<CoverId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaterialFilter {
    Unknown,
    Is(Material),
}

/// What is to be said of the files of one district.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DistrictSum {
    pub covers: u64,
    /// Sum of the scores, 0 to 100 each.
    pub score_sum: u64,
    /// Covers by the tens of their score; 100 stands with the nineties.
    pub spread: [u64; 10],
    /// From the rule's `fair` on.
    pub good: u64,
    findings: [u64; Finding::ALL.len()],
    materials: [u64; Material::ALL.len() + 1],
}

impl DistrictSum {
    /// Mean score in tenths of a point; `None` where there is no cover.
    pub fn mean_tenths(&self) -> Option<u64> {
        (10 * self.score_sum + self.covers / 2).checked_div(self.covers)
    }

    pub fn count(&self, finding: Finding) -> u64 {
        self.findings[finding as usize]
    }

    pub fn of_material(&self, material: MaterialFilter) -> u64 {
        self.materials[slot(material)]
    }

    /// Adds another district.
    pub fn add(&mut self, other: &Self) {
        self.covers += other.covers;
        self.score_sum += other.score_sum;
        self.good += other.good;
        let pairs = self.spread.iter_mut().zip(&other.spread);
        let pairs = pairs.chain(self.findings.iter_mut().zip(&other.findings));
        pairs.chain(self.materials.iter_mut().zip(&other.materials)).for_each(|(sum, more)| *sum += more);
    }
}

fn slot(material: MaterialFilter) -> usize {
    match material {
        MaterialFilter::Is(material) => material as usize,
        MaterialFilter::Unknown => Material::ALL.len(),
    }
}

/// How complete a file is with each set of facts, by the rules of a city.
#[derive(Debug)]
pub struct Scores(Vec<u8>);

impl Scores {
    pub fn of(rules: &Rules) -> Self {
        Self((0..FieldSet::SETS).map(|bits| rules.score(FieldSet::from_bits(bits as u16))).collect())
    }

    fn score(&self, there: FieldSet) -> u8 {
        self.0[usize::from(there.bits()) % FieldSet::SETS]
    }
}

/// All covers of a map, with the rules that judge them. While it lives, no new word can be noted in the map's lexicon.
pub struct Board<'m> {
    map: &'m Snapshot,
    words: Reading<'m>,
    rules: &'m Rules,
    scores: &'m Scores,
    /// On the city's clock.
    this_year: u16,
}

impl<'m> Board<'m> {
    /// `scores` are those of the same rules.
    pub fn new(map: &'m Snapshot, rules: &'m Rules, scores: &'m Scores, this_year: u16) -> Self {
        Self { map, words: map.lexicon().read(), rules, scores, this_year }
    }

    /// The district in which a cover lies.
    pub fn district_of(&self, cover: CoverId) -> Option<&str> {
        self.words.district(self.map.find(cover)?.attributes.district)
    }

    /// The files of each district, by its code.
    pub fn sums(&self) -> BTreeMap<String, DistrictSum> {
        // Districts have numbers from 1.
        let mut sums = vec![DistrictSum::default(); self.words.district_count() + 1];
        for row in self.map.rows() {
            let Some(sum) = sums.get_mut(usize::from(row.attributes.district)) else { continue };
            let facts = facts(&row);
            let score = self.scores.score(facts.there);
            sum.covers += 1;
            sum.score_sum += u64::from(score);
            sum.spread[usize::from(score / 10).min(9)] += 1;
            sum.good += u64::from(score >= self.rules.completeness.fair);
            sum.materials[slot(facts.material.map_or(MaterialFilter::Unknown, MaterialFilter::Is))] += 1;
            for finding in self.findings(&facts).iter() {
                sum.findings[finding as usize] += 1;
            }
        }
        let named = (0u16..).zip(sums).filter(|(_, sum)| sum.covers > 0);
        named.filter_map(|(number, sum)| Some((self.words.district(number)?.to_owned(), sum))).collect()
    }

    fn findings(&self, facts: &Facts) -> FindingSet {
        self.rules.findings_at(facts, self.scores.score(facts.there), self.this_year)
    }

    /// Covers that fit, in the order of ids.
    pub fn list<'b>(&'b self, filter: &'b FileFilter) -> impl Iterator<Item = CoverId> + 'b {
        let fits = self.fits(filter);
        self.map.in_id_order(filter.after).filter(fits).map(|row| row.cover)
    }

    /// How many covers fit, before the place in the list and behind it.
    pub fn count(&self, filter: &FileFilter) -> usize {
        self.map.rows().filter(self.fits(filter)).count()
    }

    fn fits<'b>(&'b self, filter: &'b FileFilter) -> impl Fn(&SnapshotRow) -> bool + 'b {
        let district = filter.district.as_ref().map(|wanted| {
            let mut numbers =
                (1..=self.words.district_count()).filter_map(|number| u16::try_from(number).ok());
            numbers.find(|number| self.words.district(*number) == Some(wanted))
        });
        move |row| {
            let attributes = &row.attributes;
            district.is_none_or(|district| district == Some(attributes.district))
                && filter.class.is_none_or(|class| class == row.class)
                && filter.placement.is_none_or(|placement| Some(placement) == attributes.placement)
                && filter.material.is_none_or(|material| match material {
                    MaterialFilter::Unknown => attributes.material.is_none(),
                    MaterialFilter::Is(material) => attributes.material == Some(material),
                })
                && filter.finding.is_none_or(|finding| self.findings(&facts(row)).contains(finding))
        }
    }
}

/// What the rules look at in the file of a cover of the map.
fn facts(row: &SnapshotRow) -> Facts {
    let attributes = &row.attributes;
    Facts {
        class: row.class,
        placement: attributes.placement,
        material: attributes.material,
        load_class: attributes.load_class,
        installed: Some(attributes.installed).filter(|year| *year > 0),
        there: attributes.known,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::cover::CoverState;
    use crate::domain::quality::FileField;
    use crate::spatial::{Attributes, Change, Flags, Lexicon};

    static RULES: LazyLock<Rules> = LazyLock::new(Rules::default);
    static SCORES: LazyLock<Scores> = LazyLock::new(|| Scores::of(&RULES));

    fn id(number: u32) -> CoverId {
        CoverId(Uuid::from_u128(u128::from(number)))
    }

    fn row(lexicon: &Lexicon, number: u32, district: &str, facts: Facts) -> SnapshotRow {
        SnapshotRow {
            cover: id(number),
            // The order of places is not that of ids.
            lon: 118.5 + f64::from(number * 7 % 31) * 1e-3,
            lat: 37.4,
            class: facts.class,
            state: CoverState::Intact,
            flags: Flags::default(),
            attributes: Attributes {
                district: lexicon.district_number(district),
                installed: facts.installed.unwrap_or_default(),
                known: facts.there,
                placement: facts.placement,
                material: facts.material,
                load_class: facts.load_class,
                ..Attributes::default()
            },
        }
    }

    fn facts_with(class: CoverClass, installed: Option<u16>, known: &[FileField]) -> Facts {
        let mut there = FieldSet::default();
        known.iter().for_each(|field| there.set(*field, true));
        let placement = there.contains(FileField::Placement).then_some(Placement::Carriageway);
        let material = there.contains(FileField::Material).then_some(Material::CastIron);
        Facts { class, placement, material, load_class: None, installed, there }
    }

    #[test]
    fn a_district_is_summed_up_and_its_lists_fit_the_sums() {
        let lexicon = Arc::new(Lexicon::default());
        let good = facts_with(CoverClass::Sewage, Some(2020), FileField::ALL);
        let poor = facts_with(CoverClass::Storm, Some(1990), &[FileField::Class, FileField::Placement]);
        let rows = [row(&lexicon, 2, "a", good), row(&lexicon, 3, "a", poor), row(&lexicon, 9, "b", poor)];
        let map = Snapshot::build_with(lexicon, rows, 1);
        let board = Board::new(&map, &RULES, &SCORES, 2026);
        let sums = board.sums();
        assert_eq!((sums["a"].covers, sums["a"].mean_tenths()), (2, Some(600)));
        assert_eq!((sums["a"].good, sums["a"].spread[9], sums["a"].spread[2]), (1, 1, 1));
        assert_eq!((sums["a"].count(Finding::Incomplete), sums["a"].count(Finding::Ownerless)), (1, 1));
        assert_eq!(sums["b"].count(Finding::OverAge), 1);
        assert_eq!(sums["a"].of_material(MaterialFilter::Unknown), 1);
        let list = |filter: FileFilter| board.list(&filter).collect::<Vec<_>>();
        let over = FileFilter { finding: Some(Finding::OverAge), ..FileFilter::default() };
        assert_eq!(list(over.clone()), [id(3), id(9)]);
        assert_eq!(list(FileFilter { after: Some(id(3)), ..over.clone() }), [id(9)]);
        assert_eq!(list(FileFilter { district: Some("a".into()), ..over.clone() }), [id(3)]);
        assert_eq!(list(FileFilter { district: Some("z".into()), ..over }), []);
        assert_eq!((board.district_of(id(9)), board.district_of(id(4))), (Some("b"), None));
    }

    proptest! {
        /// However changes come, lists stand in the order of ids, and are as long as the sums say.
        #[test]
        fn lists_of_a_patched_map_are_whole_and_in_order(
            packed in 0u32..30,
            steps in proptest::collection::vec((1u32..30, 0usize..3, any::<bool>(), 1980u16..2030), 0..60)
        ) {
            let lexicon = Arc::new(Lexicon::default());
            let districts = ["a", "b", "c"];
            let of = |number: u32, year| facts_with(CoverClass::Gas, Some(year), &FileField::ALL[..number as usize % 15]);
            let mut model: BTreeMap<u32, Facts> = (0..packed).map(|number| (number, of(number, 2000))).collect();
            let rows = model.iter().map(|(number, facts)| row(&lexicon, *number, "a", *facts));
            let mut map = Snapshot::build_with(lexicon.clone(), rows.collect::<Vec<_>>(), 1);
            for (number, district, there, year) in steps {
                let change = if there {
                    model.insert(number, of(number, year));
                    Change::Put(row(&lexicon, number, districts[district], of(number, year)))
                } else {
                    model.remove(&number);
                    Change::Remove(id(number))
                };
                map = map.with_changes([change], map.version() + 1);
            }
            let board = Board::new(&map, &RULES, &SCORES, 2026);
            let sums = board.sums();
            for finding in Finding::ALL {
                let filter = FileFilter { finding: Some(*finding), ..FileFilter::default() };
                let wanted: Vec<CoverId> = model
                    .iter()
                    .filter(|(_, facts)| RULES.findings(facts, 2026).contains(*finding))
                    .map(|(number, _)| id(*number))
                    .collect();
                prop_assert_eq!(board.list(&filter).collect::<Vec<_>>(), &wanted[..]);
                prop_assert_eq!(board.count(&filter), wanted.len());
                prop_assert_eq!(sums.values().map(|sum| sum.count(*finding)).sum::<u64>(), wanted.len() as u64);
                if let Some(middle) = wanted.get(wanted.len() / 2) {
                    let rest = FileFilter { after: Some(*middle), ..filter };
                    prop_assert_eq!(board.list(&rest).collect::<Vec<_>>(), &wanted[wanted.len() / 2 + 1..]);
                }
            }
        }
    }
}
