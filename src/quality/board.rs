//! A row of 32 bytes for every cover in use, in the order of ids. A question is one pass over the rows, a few
//! milliseconds for a million, and needs no index that each change would have to keep.

use std::collections::BTreeMap;

use crate::domain::cover::{CoverClass, Material, Placement};
use crate::domain::ids::{CoverId, ManholeId};
use crate::domain::quality::{AgeVerdict, Facts, Finding, FindingSet, Rules};

/// What the board is told of a cover.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoardRow<'a> {
    pub cover: CoverId,
    pub manhole: ManholeId,
    pub district: &'a str,
    pub facts: Facts,
}

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

const UNKNOWN: u8 = u8::MAX;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Packed {
    cover: CoverId,
    /// The random end of the manhole's id: enough to tell whether two covers side by side lie on one.
    manhole: u32,
    district: u16,
    /// Year of installation, 0 = unknown.
    installed: u16,
    class: u8,
    placement: u8,
    material: u8,
    score: u8,
    /// Those that do not depend on the day.
    findings: FindingSet,
}

/// All covers in use. The version is the number of the last change that it contains.
#[derive(Debug)]
pub struct Board {
    rules: Rules,
    rows: Vec<Packed>,
    districts: Vec<String>,
    pub version: i64,
}

impl Board {
    pub fn new(rules: Rules) -> Self {
        Self { rules, rows: Vec::new(), districts: Vec::new(), version: 0 }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Packed>()
    }

    /// Takes covers as they are now and forgets those that are gone. Rows in the order of ids behind all that
    /// are known cost nothing more; others cost one pass.
    pub fn apply<'a>(&mut self, rows: impl IntoIterator<Item = BoardRow<'a>>, gone: &[CoverId]) {
        let mut arrived = BTreeMap::new();
        for row in rows {
            let packed = self.pack(&row);
            match self.rows.binary_search_by_key(&row.cover, |known| known.cover) {
                Ok(at) => self.rows[at] = packed,
                Err(at) if at == self.rows.len() => self.rows.push(packed),
                Err(_) => {
                    arrived.insert(row.cover, packed);
                }
            }
        }
        if !arrived.is_empty() {
            self.rows.extend(arrived.into_values());
            // Two sorted runs are found as such and merged.
            self.rows.sort_by_key(|row| row.cover);
        }
        if !gone.is_empty() {
            let mut gone = gone.to_vec();
            gone.sort_unstable();
            self.rows.retain(|row| gone.binary_search(&row.cover).is_err());
        }
    }

    fn pack(&mut self, row: &BoardRow) -> Packed {
        let facts = &row.facts;
        Packed {
            cover: row.cover,
            manhole: row.manhole.0.as_u64_pair().1 as u32,
            district: self.district_number(row.district),
            installed: facts.installed.unwrap_or_default(),
            class: facts.class as u8,
            placement: facts.placement.map_or(UNKNOWN, |it| it as u8),
            material: facts.material.map_or(UNKNOWN, |it| it as u8),
            score: self.rules.score(facts.there),
            findings: self.rules.lasting_findings(facts),
        }
    }

    /// Districts are few, and neighbors in the order of ids mostly lie in the same.
    fn district_number(&mut self, district: &str) -> u16 {
        let known = self.districts.iter().position(|known| known == district);
        let at = known.unwrap_or_else(|| {
            self.districts.push(district.to_owned());
            self.districts.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    fn name(&self, district: u16) -> &str {
        self.districts.get(usize::from(district)).map_or("", String::as_str)
    }

    fn row(&self, cover: CoverId) -> Option<&Packed> {
        let at = self.rows.binary_search_by_key(&cover, |row| row.cover).ok()?;
        self.rows.get(at)
    }

    /// The district in which a cover lies.
    pub fn district_of(&self, cover: CoverId) -> Option<&str> {
        self.row(cover).map(|row| self.name(row.district))
    }

    /// Whether two covers are known to be two covers of one manhole.
    pub fn share_a_manhole(&self, one: CoverId, other: CoverId) -> bool {
        let manhole = |cover| self.row(cover).map(|row| row.manhole);
        manhole(one).is_some() && manhole(one) == manhole(other)
    }

    /// How complete a file is; `None` for a cover that is not in use.
    pub fn score_of(&self, cover: CoverId) -> Option<u8> {
        self.row(cover).map(|row| row.score)
    }

    /// The files of each district, by its code. `this_year` is the city's.
    pub fn sums(&self, this_year: u16) -> BTreeMap<String, DistrictSum> {
        let mut sums = vec![DistrictSum::default(); self.districts.len()];
        for row in &self.rows {
            let Some(sum) = sums.get_mut(usize::from(row.district)) else { continue };
            sum.covers += 1;
            sum.score_sum += u64::from(row.score);
            sum.spread[usize::from(row.score / 10).min(9)] += 1;
            sum.good += u64::from(row.score >= self.rules.completeness.fair);
            sum.materials
                [if row.material == UNKNOWN { Material::ALL.len() } else { usize::from(row.material) }] += 1;
            for finding in self.findings(row, this_year).iter() {
                sum.findings[finding as usize] += 1;
            }
        }
        let named = self.districts.iter().cloned().zip(sums);
        named.filter(|(_, sum)| sum.covers > 0).collect()
    }

    fn findings(&self, row: &Packed, this_year: u16) -> FindingSet {
        let mut findings = row.findings;
        match self.rules.judge_age(Some(row.installed).filter(|year| *year > 0), this_year) {
            AgeVerdict::OverAge => findings.insert(Finding::OverAge),
            AgeVerdict::Unknown => findings.insert(Finding::UnknownAge),
            AgeVerdict::Young => {}
        }
        findings
    }

    /// Covers that fit, in the order of ids.
    pub fn list<'b>(&'b self, filter: &'b FileFilter, this_year: u16) -> impl Iterator<Item = CoverId> + 'b {
        let from = filter.after.map_or(0, |after| self.rows.partition_point(|row| row.cover <= after));
        let district =
            filter.district.as_ref().map(|wanted| self.districts.iter().position(|known| known == wanted));
        self.rows[from..]
            .iter()
            .filter(move |row| {
                district.is_none_or(|district| district == Some(usize::from(row.district)))
                    && filter.class.is_none_or(|class| class as u8 == row.class)
                    && filter.placement.is_none_or(|placement| placement as u8 == row.placement)
                    && filter.material.is_none_or(|material| match material {
                        MaterialFilter::Unknown => row.material == UNKNOWN,
                        MaterialFilter::Is(material) => row.material == material as u8,
                    })
                    && filter.finding.is_none_or(|finding| self.findings(row, this_year).contains(finding))
            })
            .map(|row| row.cover)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::quality::{FieldSet, FileField};

    fn facts(class: CoverClass, installed: Option<u16>, known: &[FileField]) -> Facts {
        let mut there = FieldSet::default();
        known.iter().for_each(|field| there.set(*field, true));
        let placement = there.contains(FileField::Placement).then_some(Placement::Carriageway);
        let material = there.contains(FileField::Material).then_some(Material::CastIron);
        Facts { class, placement, material, load_class: None, installed, there }
    }

    fn id(number: u128) -> CoverId {
        CoverId(Uuid::from_u128(number))
    }

    fn row(number: u128, district: &str, facts: Facts) -> BoardRow<'_> {
        BoardRow { cover: id(number), manhole: ManholeId(Uuid::from_u128(number / 2)), district, facts }
    }

    #[test]
    fn a_district_is_summed_up_and_its_lists_fit_the_sums() {
        let mut board = Board::new(Rules::default());
        let good = facts(CoverClass::Sewage, Some(2020), FileField::ALL);
        let poor = facts(CoverClass::Storm, Some(1990), &[FileField::Class, FileField::Placement]);
        board.apply([row(2, "a", good), row(3, "a", poor), row(9, "b", poor)], &[]);
        let sums = board.sums(2026);
        assert_eq!((sums["a"].covers, sums["a"].mean_tenths()), (2, Some(600)));
        assert_eq!((sums["a"].good, sums["a"].spread[9], sums["a"].spread[2]), (1, 1, 1));
        assert_eq!((sums["a"].count(Finding::Incomplete), sums["a"].count(Finding::Ownerless)), (1, 1));
        assert_eq!(sums["b"].count(Finding::OverAge), 1);
        assert_eq!(sums["a"].of_material(MaterialFilter::Unknown), 1);
        let list = |filter: FileFilter| board.list(&filter, 2026).collect::<Vec<_>>();
        let over = FileFilter { finding: Some(Finding::OverAge), ..FileFilter::default() };
        assert_eq!(list(over.clone()), [id(3), id(9)]);
        assert_eq!(list(FileFilter { after: Some(id(3)), ..over.clone() }), [id(9)]);
        assert_eq!(list(FileFilter { district: Some("a".into()), ..over.clone() }), [id(3)]);
        assert_eq!(list(FileFilter { district: Some("z".into()), ..over }), []);
        assert!(board.share_a_manhole(id(2), id(3)) && !board.share_a_manhole(id(3), id(9)));
    }

    proptest! {
        /// However changes come, the board is what a fresh one of the same covers would be.
        #[test]
        fn a_board_that_was_patched_is_as_a_fresh_one(
            steps in proptest::collection::vec((1u128..30, 0usize..3, any::<bool>(), 1980u16..2030), 0..60)
        ) {
            let mut board = Board::new(Rules::default());
            let mut model = BTreeMap::new();
            let districts = ["a", "b", "c"];
            for (number, district, there, year) in steps {
                if there {
                    let known = &FileField::ALL[..number as usize % 15];
                    let facts = facts(CoverClass::Gas, Some(year), known);
                    model.insert(number, (districts[district], facts));
                    board.apply([row(number, districts[district], facts)], &[]);
                } else {
                    model.remove(&number);
                    board.apply([], &[id(number)]);
                }
            }
            let mut fresh = Board::new(Rules::default());
            fresh.apply(model.iter().map(|(number, (district, facts))| row(*number, district, *facts)), &[]);
            prop_assert_eq!(board.sums(2026), fresh.sums(2026));
            for finding in Finding::ALL {
                let filter = FileFilter { finding: Some(*finding), ..FileFilter::default() };
                let listed: Vec<_> = board.list(&filter, 2026).collect();
                prop_assert_eq!(&listed, &fresh.list(&filter, 2026).collect::<Vec<_>>());
                let counted: u64 = board.sums(2026).values().map(|sum| sum.count(*finding)).sum();
                prop_assert_eq!(counted, listed.len() as u64);
            }
        }
    }
}
