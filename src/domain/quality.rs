//! 档案质量: how complete a file is and what in it wants a look. The rules are data (`labels/quality.toml`,
//! `[quality]` of the city's settings); what they say of a cover is decided here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::calendar::WorkCalendar;
use super::claim::ClaimRules;
use super::cover::{CoverClass, CoverFile, LoadClass, Material, Placement, Shape};
use super::names::named_enum;

named_enum! {
    /// What a file should know.
    FileField as "file_field" {
        Owner = "owner",
        Maintainer = "maintainer",
        Supervisor = "supervisor",
        Class = "class",
        Placement = "placement",
        LoadClass = "load_class",
        Material = "material",
        Shape = "shape",
        Road = "road",
        Address = "address",
        /// How sure the position is.
        Accuracy = "accuracy",
        SurveyedAt = "surveyed_at",
        /// The year of installation, from a column of the census.
        Installed = "installed",
        /// A plate that hangs on the spot.
        Plate = "plate",
        Photo = "photo",
    }
}

named_enum! {
    /// Something in a file that wants a look.
    Finding as "finding" {
        /// 档案不全: less complete than the rules ask.
        Incomplete = "incomplete",
        /// 无主: no owner is known.
        Ownerless = "ownerless",
        /// 承载不足: a load class that its place does not allow.
        UnderRated = "under_rated",
        /// 承载存疑: a load class that its place allows in some spots only.
        DoubtfulLoad = "doubtful_load",
        /// 承载不明: lies where a load class matters, and nobody knows it.
        UnknownLoad = "unknown_load",
        /// 超龄: installed longer ago than the rules allow.
        OverAge = "over_age",
        UnknownAge = "unknown_age",
        UnknownMaterial = "unknown_material",
    }
}

/// A set of fields of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FieldSet(u16);

impl FieldSet {
    /// How many sets there are.
    pub const SETS: usize = 1 << FileField::ALL.len();

    /// As a number below [`Self::SETS`].
    pub const fn bits(self) -> u16 {
        self.0
    }

    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub const fn contains(self, field: FileField) -> bool {
        self.0 & (1 << field as u8) != 0
    }

    /// Adds a field where `is_there`.
    pub fn set(&mut self, field: FileField, is_there: bool) {
        self.0 |= u16::from(is_there) << field as u8;
    }
}

/// A set of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FindingSet(pub u8);

impl FindingSet {
    pub const fn contains(self, finding: Finding) -> bool {
        self.0 & (1 << finding as u8) != 0
    }

    pub fn insert(&mut self, finding: Finding) {
        self.0 |= 1 << finding as u8;
    }

    pub fn iter(self) -> impl Iterator<Item = Finding> {
        Finding::ALL.iter().copied().filter(move |finding| self.contains(*finding))
    }
}

/// What the rules look at in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    pub class: CoverClass,
    pub placement: Option<Placement>,
    pub material: Option<Material>,
    pub load_class: Option<LoadClass>,
    /// Year of installation.
    pub installed: Option<u16>,
    pub there: FieldSet,
}

/// What of a file the rules ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FileSketch {
    pub class: CoverClass,
    pub placement: Option<Placement>,
    pub material: Option<Material>,
    pub shape: Option<Shape>,
    pub load_class: Option<LoadClass>,
    /// Whether one is known; the same of what follows.
    pub owner: bool,
    pub maintainer: bool,
    pub supervisor: bool,
    pub road: bool,
    pub address: bool,
    pub accuracy: bool,
    pub surveyed_at: bool,
    /// Year of installation.
    pub installed: Option<u16>,
    pub attached: Attached,
}

/// What belongs to a cover and stands in other tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attached {
    pub plate: bool,
    pub photo: bool,
}

/// What is asked of a file, and what of it is listed. Read from a table, what it leaves out is as in
/// `labels/quality.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct Rules {
    pub completeness: CompletenessRule,
    pub age: AgeRule,
    /// By the place where a cover lies; a place without a line is not judged.
    pub load: BTreeMap<Placement, LoadRule>,
    pub duplicates: DuplicateRule,
    pub claims: ClaimRules,
    pub calendar: WorkCalendar,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletenessRule {
    /// Below this a file is incomplete; 0 to 100.
    pub low: u8,
    /// From here on it is good.
    pub fair: u8,
    pub weights: BTreeMap<FileField, u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeRule {
    pub years: u16,
    /// Columns of a census that say when a cover was installed.
    pub columns: Vec<String>,
}

/// The load class that a place asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadRule {
    /// Below it a cover does not bear what drives there.
    pub least: LoadClass,
    /// Below it a cover is right in some spots only; `None` = `least`.
    pub usual: Option<LoadClass>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuplicateRule {
    pub tolerance_m: f64,
}

/// What a load class is where its cover lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadVerdict {
    Fits,
    UnderRated,
    Doubtful,
    /// Nobody knows the class of a cover in a place that vehicles use.
    Unknown,
    /// The place is not known, or the rules do not speak of it.
    NotJudged,
}

/// How old a cover is against the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeVerdict {
    Young,
    OverAge,
    Unknown,
}

/// The whole of the rules, as a file says them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    completeness: CompletenessRule,
    age: AgeRule,
    load: BTreeMap<Placement, LoadRule>,
    duplicates: DuplicateRule,
    claims: ClaimRules,
    calendar: WorkCalendar,
}

static BUILT_IN: LazyLock<Rules> =
    LazyLock::new(|| Rules::try_from(toml::Table::new()).expect("the rules are read by a test"));

impl TryFrom<toml::Table> for Rules {
    type Error = toml::de::Error;
    fn try_from(said: toml::Table) -> Result<Self, Self::Error> {
        let mut whole: toml::Table = toml::from_str(include_str!("../../labels/quality.toml"))?;
        lay_over(&mut whole, said);
        let RulesFile { completeness, age, load, duplicates, claims, calendar } = whole.try_into()?;
        Ok(Self { completeness, age, load, duplicates, claims, calendar })
    }
}

/// Lays one table over another, table by table; a list is replaced whole.
pub(super) fn lay_over(below: &mut toml::Table, above: toml::Table) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(name, value);
            }
        }
    }
}

impl Rules {
    /// Those of `labels/quality.toml`.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Refuses rules by which nothing could be judged.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |reason: &str| Err(Refusal::new("config.unusable").with("reason", reason));
        let CompletenessRule { low, fair, weights } = &self.completeness;
        if *low > 100 || *fair > 100 || low > fair {
            return refuse("quality.completeness: low and fair lie between 0 and 100, low first");
        }
        if weights.values().all(|weight| *weight == 0) || weights.values().any(|weight| *weight > 10_000) {
            return refuse("quality.completeness.weights: numbers from 0 to 10000, one of them above 0");
        }
        if !(0.0..=20.0).contains(&self.duplicates.tolerance_m) {
            return refuse("quality.duplicates.tolerance_m lies between 0 and 20");
        }
        if self.load.values().any(|rule| rule.usual.is_some_and(|usual| usual < rule.least)) {
            return refuse("quality.load: usual is not below least");
        }
        if !(1..=250).contains(&self.claims.notice_days) {
            return refuse("quality.claims.notice_days lies between 1 and 250");
        }
        Ok(())
    }

    /// How complete a file is, 0 to 100; 100 only where nothing is missing.
    pub fn score(&self, there: FieldSet) -> u8 {
        let weights = &self.completeness.weights;
        let all: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
        let have: u64 = weights
            .iter()
            .filter(|(field, _)| there.contains(**field))
            .map(|(_, weight)| u64::from(*weight))
            .sum();
        u8::try_from((100 * have).checked_div(all).unwrap_or(100)).unwrap_or(100)
    }

    /// What a file lacks, what weighs most first.
    pub fn missing(&self, there: FieldSet) -> Vec<FileField> {
        let weights = self.completeness.weights.iter();
        let mut missing: Vec<(u32, FileField)> = weights
            .filter(|(field, weight)| **weight > 0 && !there.contains(**field))
            .map(|(field, weight)| (*weight, *field))
            .collect();
        missing.sort_by_key(|(weight, field)| (std::cmp::Reverse(*weight), *field));
        missing.into_iter().map(|(_, field)| field).collect()
    }

    /// Whether a load class is allowed where its cover lies: GB/T 23858-2009, groups 1 to 6 of the places of
    /// use, which are those of EN 124-1 ("place of installation"). The table itself is `[load]` of the rules.
    pub fn judge_load(&self, placement: Option<Placement>, load: Option<LoadClass>) -> LoadVerdict {
        let Some(rule) = placement.and_then(|placement| self.load.get(&placement)) else {
            return LoadVerdict::NotJudged;
        };
        match load {
            // A place that A15 fits bears any class.
            None if rule.least == LoadClass::A15 => LoadVerdict::NotJudged,
            None => LoadVerdict::Unknown,
            Some(load) if load < rule.least => LoadVerdict::UnderRated,
            Some(load) if load < rule.usual.unwrap_or(rule.least) => LoadVerdict::Doubtful,
            Some(_) => LoadVerdict::Fits,
        }
    }

    /// How old a cover is in `this_year`. A year to come is a slip and says nothing.
    pub fn judge_age(&self, installed: Option<u16>, this_year: u16) -> AgeVerdict {
        match installed.and_then(|year| this_year.checked_sub(year)) {
            None => AgeVerdict::Unknown,
            Some(age) if age > self.age.years => AgeVerdict::OverAge,
            Some(_) => AgeVerdict::Young,
        }
    }

    /// Everything in a file that wants a look.
    pub fn findings(&self, facts: &Facts, this_year: u16) -> FindingSet {
        self.findings_at(facts, self.score(facts.there), this_year)
    }

    /// The same where the score of these facts is known already.
    pub fn findings_at(&self, facts: &Facts, score: u8, this_year: u16) -> FindingSet {
        let mut found = FindingSet::default();
        if score < self.completeness.low {
            found.insert(Finding::Incomplete);
        }
        if !facts.there.contains(FileField::Owner) {
            found.insert(Finding::Ownerless);
        }
        match self.judge_load(facts.placement, facts.load_class) {
            LoadVerdict::UnderRated => found.insert(Finding::UnderRated),
            LoadVerdict::Doubtful => found.insert(Finding::DoubtfulLoad),
            LoadVerdict::Unknown => found.insert(Finding::UnknownLoad),
            LoadVerdict::Fits | LoadVerdict::NotJudged => {}
        }
        if facts.material.is_none() {
            found.insert(Finding::UnknownMaterial);
        }
        match self.judge_age(facts.installed, this_year) {
            AgeVerdict::OverAge => found.insert(Finding::OverAge),
            AgeVerdict::Unknown => found.insert(Finding::UnknownAge),
            AgeVerdict::Young => {}
        }
        found
    }

    /// The year of installation that the columns of a census say.
    pub fn installed_in(&self, extra: &BTreeMap<String, String>) -> Option<u16> {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        self.age.columns.iter().find_map(|column| {
            let text = match extra.get(column) {
                Some(text) => text,
                None => extra.iter().find(|(name, _)| same(name, column))?.1,
            };
            year_in(text)
        })
    }

    /// What the rules look at in the file of a cover.
    pub fn facts(&self, file: &CoverFile, attached: Attached) -> Facts {
        let survey = &file.survey;
        self.facts_of(&FileSketch {
            class: survey.class,
            placement: survey.placement,
            material: survey.material,
            shape: survey.shape,
            load_class: survey.load_class,
            owner: file.owner.is_some(),
            maintainer: file.maintainer.is_some(),
            supervisor: file.supervisor.is_some(),
            road: survey.road.is_some(),
            address: survey.address.is_some(),
            accuracy: survey.position.accuracy_m.is_some(),
            surveyed_at: survey.position.surveyed_at.is_some(),
            installed: self.installed_in(&survey.extra),
            attached,
        })
    }

    /// The same where only so much of a file was read.
    pub fn facts_of(&self, sketch: &FileSketch) -> Facts {
        let FileSketch { class, placement, material, load_class, installed, .. } = *sketch;
        let mut there = FieldSet::default();
        for (field, is_there) in [
            (FileField::Owner, sketch.owner),
            (FileField::Maintainer, sketch.maintainer),
            (FileField::Supervisor, sketch.supervisor),
            (FileField::Class, class != CoverClass::Unidentified),
            (FileField::Placement, placement.is_some()),
            (FileField::LoadClass, load_class.is_some()),
            (FileField::Material, material.is_some()),
            (FileField::Shape, sketch.shape.is_some()),
            (FileField::Road, sketch.road),
            (FileField::Address, sketch.address),
            (FileField::Accuracy, sketch.accuracy),
            (FileField::SurveyedAt, sketch.surveyed_at),
            (FileField::Installed, installed.is_some()),
            (FileField::Plate, sketch.attached.plate),
            (FileField::Photo, sketch.attached.photo),
        ] {
            there.set(field, is_there);
        }
        Facts { class, placement, material, load_class, installed, there }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::built_in().clone()
    }
}

/// The year that a date of a census says, whatever its form: four digits by themselves, or the first four
/// of eight. Years before the first cast covers and far to come are none.
fn year_in(text: &str) -> Option<u16> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|digits| matches!(digits.len(), 4 | 8))
        .find_map(|digits| digits[..4].parse().ok().filter(|year| (1850..=2100).contains(year)))
}

#[cfg(test)]
mod tests;
