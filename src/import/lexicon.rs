//! Synonyms: how surveys name their columns and what they write in them. Data, not code
//! (`labels/synonyms.toml`, whose head has the rules); a city's own file goes before it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::profile::Field;
use super::units::Units;
use crate::domain::Refusal;

/// Bytes that a name needs to be looked for within another: two Chinese characters, or five letters.
const CONTAINED: usize = 5;
/// A name this long can have been cut to the ten bytes of a shapefile.
const CUT: std::ops::RangeInclusive<usize> = 8..=10;

/// What a column can be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    Field(Field),
    /// Of [`Lexicon::attribute`].
    Attribute(usize),
    /// A name of a person: never kept.
    Person,
}

/// How strong the claim of a column is, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    Exact,
    Weak,
    Cut,
    Contains,
}

/// What a column's name says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    pub(super) target: Target,
    pub(super) strength: Strength,
    /// The synonym that was met.
    pub(super) synonym: String,
    /// The unit at the end of the name.
    pub(super) unit: Option<String>,
}

/// What there is to know of an attribute or field.
#[derive(Debug, Clone, Default)]
pub(super) struct Meant {
    pub(super) name: String,
    /// In which it is kept.
    pub(super) unit: Option<String>,
    pub(super) date: bool,
    /// Numbers that mean "unknown" here, beside those of every column.
    pub(super) numbers: Vec<f64>,
    except: Vec<String>,
}

/// Our word, and how surveys write it.
pub(super) type Spellings = Vec<(String, Vec<String>)>;

#[derive(Debug, Clone)]
pub struct Lexicon {
    simplified: HashMap<char, char>,
    by_name: HashMap<String, (Target, bool)>,
    /// As the file spells them, by target, in its order: the strong ones first.
    names: HashMap<Target, Vec<String>>,
    attributes: Vec<Meant>,
    fields: HashMap<Field, Meant>,
    values: HashMap<Field, Spellings>,
    pub(super) nothing: Vec<String>,
    pub(super) unknown: Vec<String>,
    pub(super) unknown_numbers: Vec<f64>,
    pub(super) unknown_years: Vec<i32>,
    pub(super) unknown_days: Vec<String>,
    pub(super) years_from: Option<i64>,
    pub(super) units: Units,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LexiconFile {
    #[serde(default)]
    same: String,
    #[serde(default)]
    people: Vec<String>,
    #[serde(default)]
    unknown: UnknownFile,
    #[serde(default)]
    dates: DatesFile,
    #[serde(default)]
    units: BTreeMap<String, UnitFile>,
    #[serde(default)]
    fields: BTreeMap<Field, TargetFile>,
    #[serde(default)]
    attributes: BTreeMap<String, TargetFile>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UnknownFile {
    nothing: Vec<String>,
    words: Vec<String>,
    numbers: Vec<f64>,
    years: Vec<i32>,
    days: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DatesFile {
    years_from: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitFile {
    meters: f64,
    names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TargetFile {
    names: Vec<String>,
    weak: Vec<String>,
    except: Vec<String>,
    unit: Option<String>,
    date: bool,
    numbers: Vec<f64>,
    values: BTreeMap<String, Vec<String>>,
}

/// Those that come with the program.
pub(super) fn built_in() -> Arc<Lexicon> {
    BUILT_IN.clone()
}

static BUILT_IN: LazyLock<Arc<Lexicon>> = LazyLock::new(|| {
    Arc::new(Lexicon::from_layers(&[BUILT_IN_TEXT]).expect("the built-in synonyms are read by a test"))
});

const BUILT_IN_TEXT: &str = include_str!("../../labels/synonyms.toml");

impl Lexicon {
    /// Those of a city before those that come with the program. Refuses a file that says two things.
    pub fn with_city(text: &str) -> Result<Self, Refusal> {
        Self::from_layers(&[text, BUILT_IN_TEXT])
    }

    /// The first layer goes before the second.
    fn from_layers(texts: &[&str]) -> Result<Self, Refusal> {
        let mut lexicon = Self {
            simplified: HashMap::new(),
            by_name: HashMap::new(),
            names: HashMap::new(),
            attributes: Vec::new(),
            fields: HashMap::new(),
            values: HashMap::new(),
            nothing: Vec::new(),
            unknown: Vec::new(),
            unknown_numbers: Vec::new(),
            unknown_years: Vec::new(),
            unknown_days: Vec::new(),
            years_from: None,
            units: Units::default(),
        };
        let mut layers = Vec::with_capacity(texts.len());
        for text in texts {
            let file: LexiconFile = toml::from_str(text)
                .map_err(|error| Refusal::new("synonyms.unreadable").with("reason", error.message()))?;
            let mut pairs = file.same.chars();
            while let (Some(one), Some(same)) = (pairs.next(), pairs.next()) {
                lexicon.simplified.entry(one).or_insert(same);
            }
            layers.push(file);
        }
        for file in layers {
            lexicon.add(file)?;
        }
        Ok(lexicon)
    }

    fn add(&mut self, file: LexiconFile) -> Result<(), Refusal> {
        let before = self.by_name.clone();
        for (name, unit) in &file.units {
            self.units.add(name, unit.meters, &unit.names);
        }
        self.nothing.extend(file.unknown.nothing.iter().map(|word| super::profile::plain(word)));
        self.unknown.extend(file.unknown.words.iter().map(|word| super::profile::plain(word)));
        self.unknown_numbers.extend(file.unknown.numbers);
        self.unknown_years.extend(file.unknown.years);
        self.unknown_days.extend(file.unknown.days);
        self.years_from = self.years_from.or(file.dates.years_from);
        self.claim(Target::Person, &file.people, false, &before)?;
        for (field, said) in &file.fields {
            let target = Target::Field(*field);
            self.claim(target, &said.names, false, &before)?;
            self.claim(target, &said.weak, true, &before)?;
            let meant = self.fields.entry(*field).or_default();
            meant.name = field.to_string();
            merge(meant, said);
            self.add_values(*field, &said.values)?;
        }
        for (name, said) in &file.attributes {
            let at = match self.attributes.iter().position(|meant| meant.name == *name) {
                Some(at) => at,
                None => {
                    self.attributes.push(Meant { name: name.clone(), ..Meant::default() });
                    self.attributes.len() - 1
                }
            };
            if !said.values.is_empty() {
                return Err(unusable(format!("{name} is kept as it is written and has no values")));
            }
            self.claim(Target::Attribute(at), &said.names, false, &before)?;
            self.claim(Target::Attribute(at), &said.weak, true, &before)?;
            merge(&mut self.attributes[at], said);
        }
        for meant in self.attributes.iter().chain(self.fields.values()) {
            if let Some(unit) = &meant.unit
                && self.units.meters(unit).is_none()
            {
                return Err(unusable(format!("{} is in {unit}, which is no unit", meant.name)));
            }
        }
        Ok(())
    }

    /// `before` = what an earlier layer said, which stands.
    fn claim(
        &mut self,
        target: Target,
        names: &[String],
        weak: bool,
        before: &HashMap<String, (Target, bool)>,
    ) -> Result<(), Refusal> {
        for name in names {
            let fold = self.fold(name);
            if before.contains_key(&fold) {
                continue;
            }
            match self.by_name.insert(fold, (target, weak)) {
                Some((other, _)) if other != target => {
                    return Err(unusable(format!("{name} means two things")));
                }
                _ => self.names.entry(target).or_default().push(name.clone()),
            }
        }
        Ok(())
    }

    fn add_values(&mut self, field: Field, said: &BTreeMap<String, Vec<String>>) -> Result<(), Refusal> {
        let mut known = self.values.remove(&field).unwrap_or_default();
        let mut taken: HashMap<String, String> = HashMap::new();
        for (word, spellings) in &known {
            taken.extend(spellings.iter().map(|spelling| (self.fold(spelling), word.clone())));
        }
        let earlier = taken.clone();
        for (word, spellings) in said {
            let mut new = Vec::new();
            for spelling in spellings {
                let fold = self.fold(spelling);
                match taken.get(&fold) {
                    Some(_) if earlier.contains_key(&fold) => {}
                    Some(other) if other != word => {
                        return Err(unusable(format!("{field} reads {spelling} in two ways")));
                    }
                    Some(_) => {}
                    None => {
                        taken.insert(fold, word.clone());
                        new.push(spelling.clone());
                    }
                }
            }
            match known.iter_mut().find(|(there, _)| there == word) {
                Some((_, spellings)) => spellings.extend(new),
                None => known.push((word.clone(), new)),
            }
        }
        self.values.insert(field, known);
        Ok(())
    }

    /// The form in which names and words are compared here: no capitals, no wide letters, no blanks and
    /// signs between words, simplified characters.
    pub(super) fn fold(&self, text: &str) -> String {
        text.chars()
            .map(|c| match c {
                '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
                c => *self.simplified.get(&c).unwrap_or(&c),
            })
            .filter(|c| {
                !c.is_whitespace()
                    && !matches!(
                        c,
                        '_' | '-' | '.' | '·' | '(' | ')' | '[' | ']' | '{' | '}' | '*' | '#' | ':' | '/'
                    )
                    && !matches!(c, '【' | '】' | '〔' | '〕' | '「' | '」' | '\u{FEFF}')
            })
            .flat_map(char::to_lowercase)
            .collect()
    }

    pub(super) fn attribute(&self, at: usize) -> &Meant {
        &self.attributes[at]
    }

    pub(super) fn find_attribute(&self, name: &str) -> Option<&Meant> {
        self.attributes.iter().find(|meant| meant.name == name)
    }

    /// Units of length that are known.
    pub fn units(&self) -> impl Iterator<Item = &str> {
        self.units.names()
    }

    /// Whether what is kept under a name is a length in a unit of ours.
    pub fn is_length(&self, attribute: &str) -> bool {
        self.find_attribute(attribute).is_some_and(|meant| meant.unit.is_some())
    }

    /// Names of what is kept beside the fields.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|meant| meant.name.as_str())
    }

    pub(super) fn field(&self, field: Field) -> Option<&Meant> {
        self.fields.get(&field)
    }

    /// What surveys write in a field with a closed list; none for the others.
    pub(super) fn spellings(&self, field: Field) -> &[(String, Vec<String>)] {
        self.values.get(&field).map_or(&[], Vec::as_slice)
    }

    /// The names of columns that a field stands in, the most usual first.
    pub(super) fn names(&self, target: Target) -> &[String] {
        self.names.get(&target).map_or(&[], Vec::as_slice)
    }

    /// What the name of a column says; `None` = nothing, or two things alike.
    pub(super) fn claim_of(&self, header: &str) -> Option<Claim> {
        let whole = self.fold(header);
        let (stem, unit) = self.units.split(header);
        let stem = self.fold(stem);
        // A synonym may end in what looks like a unit.
        for (name, unit) in [(&whole, None), (&stem, unit)] {
            if let Some((key, (target, weak))) = self.by_name.get_key_value(name) {
                let strength = if *weak { Strength::Weak } else { Strength::Exact };
                let unit = unit.map(str::to_owned);
                return Some(Claim { target: *target, strength, synonym: self.spelled(*target, key), unit });
            }
        }
        let unit = unit.map(str::to_owned);
        if CUT.contains(&header.trim().len()) {
            let mut found = self.by_name.iter().filter(|(name, _)| name.starts_with(&whole));
            if let Some((name, (target, _))) = found.next()
                && found.all(|(_, (other, _))| other == target)
            {
                let synonym = self.spelled(*target, name);
                return Some(Claim { target: *target, strength: Strength::Cut, synonym, unit });
            }
        }
        let contained = self.by_name.iter().filter(|(name, (target, weak))| {
            !weak
                && name.len() >= CONTAINED
                && stem.contains(name.as_str())
                && !self.excepts(*target).iter().any(|word| stem.contains(&self.fold(word)))
        });
        let (mut best, mut alone): (Option<(&String, Target)>, bool) = (None, true);
        for (name, (target, _)) in contained {
            match best {
                Some((longest, _)) if name.len() < longest.len() => {}
                Some((longest, other)) if name.len() == longest.len() => alone &= other == *target,
                _ => (best, alone) = (Some((name, *target)), true),
            }
        }
        let (name, target) = best.filter(|_| alone)?;
        Some(Claim { target, strength: Strength::Contains, synonym: self.spelled(target, name), unit })
    }

    fn excepts(&self, target: Target) -> &[String] {
        match target {
            Target::Field(field) => self.fields.get(&field).map_or(&[], |meant| meant.except.as_slice()),
            Target::Attribute(at) => &self.attributes[at].except,
            Target::Person => &[],
        }
    }

    /// A synonym as its file has it.
    fn spelled(&self, target: Target, fold: &str) -> String {
        let names = self.names(target).iter();
        names.clone().find(|name| self.fold(name) == fold).cloned().unwrap_or_else(|| fold.to_owned())
    }
}

fn merge(meant: &mut Meant, said: &TargetFile) {
    meant.unit = meant.unit.take().or_else(|| said.unit.clone());
    meant.date |= said.date;
    meant.numbers.extend(&said.numbers);
    meant.except.extend(said.except.iter().cloned());
}

fn unusable(reason: String) -> Refusal {
    Refusal::new("synonyms.unusable").with("reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_for(header: &str) -> String {
        let lexicon = built_in();
        let Some(claim) = lexicon.claim_of(header) else { return String::new() };
        let name = match claim.target {
            Target::Field(field) => field.to_string(),
            Target::Attribute(at) => lexicon.attribute(at).name.clone(),
            Target::Person => "person".into(),
        };
        let strength = match claim.strength {
            Strength::Exact => "",
            Strength::Weak => " weak",
            Strength::Cut => " cut",
            Strength::Contains => " contains",
        };
        format!("{name}{strength}{}", claim.unit.map_or_else(String::new, |unit| format!(" {unit}")))
    }

    #[test]
    fn columns_are_told_by_their_names_whoever_named_them() {
        for (header, meant) in [
            ("井盖编号", "code"),
            ("井 盖 编 号", "code"),
            ("*井盖编号（必填）", "code contains"),
            ("材质", "material"),
            ("盖材质", "material"),
            ("材質", "material"),
            ("井盖材质说明", "material contains"),
            ("井壁材质", "wall_material"),
            ("管道材质", ""),
            ("形状", "shape"),
            ("权属单位", "owner"),
            ("權屬單位", "owner"),
            ("权属单位联系电话", "person contains"),
            ("管养单位", "maintainer"),
            ("经度", "lon"),
            ("X坐标", "lon weak"),
            ("Ｘ坐标（ｍ）", "lon weak m"),
            ("井深(m)", "depth_mm m"),
            ("井深（米）", "depth_mm m"),
            ("井深(cm)", "depth_mm cm"),
            ("井深[单位:mm]", "depth_mm mm"),
            ("井深cm", "depth_mm cm"),
            ("Depth_ft", "depth_mm ft"),
            ("DEPTH (FT)", "depth_mm ft"),
            ("Depth in feet", "depth_mm ft"),
            ("直径/毫米", "diameter_mm mm"),
            ("管径(mm)", "pipe_diameter_mm mm"),
            ("标高(m)", "rim_elevation_m m"),
            ("RIMELEV", "rim_elevation_m"),
            ("INVERTELEV", "invert_elevation_m"),
            ("INSTALLDATE", "installed"),
            ("INSTALLDAT", "installed cut"),
            ("LIFECYCLES", "state cut"),
            ("SURFACEELE", "rim_elevation_m cut"),
            ("OBJECTID", "source_key weak"),
            ("GlobalID", "source_key"),
            ("FACILITYID", "source_key"),
            ("MATERIAL", "material"),
            ("联系人", "person"),
            ("定位精度(cm)", "accuracy_m cm"),
            ("load class", "load_class"),
            ("position-method", "position_method"),
            ("swamp", ""),
            ("", ""),
        ] {
            assert_eq!(taken_for(header), meant, "{header}");
        }
    }

    #[test]
    fn every_field_has_its_own_name_and_every_value_is_a_word_of_ours() {
        let lexicon = built_in();
        for field in Field::ALL {
            assert_eq!(taken_for(field.as_str()), field.as_str());
            assert!(!lexicon.names(Target::Field(*field)).is_empty(), "{field}");
        }
    }

    #[test]
    fn a_city_goes_before_what_comes_with_the_program() {
        let city = Lexicon::with_city(
            "[fields.class]\nnames = [\"井盖大类\"]\n[fields.class.values]\npower = [\"其他\", \"国网\"]\n\
             [fields.owner]\nnames = [\"材质\"]",
        )
        .unwrap();
        let target = |header: &str| city.claim_of(header).unwrap().target;
        assert_eq!(target("井盖大类"), Target::Field(Field::Class));
        assert_eq!(target("材质"), Target::Field(Field::Owner));
        assert_eq!(target("井盖材质"), Target::Field(Field::Material));
        let word = |spelling: &str| {
            let all = city.spellings(Field::Class);
            all.iter().filter(|(_, names)| names.iter().any(|name| name == spelling)).count()
        };
        assert_eq!((word("其他"), word("国网"), word("污水")), (1, 1, 1));
        let refusal =
            Lexicon::with_city("[fields.owner]\nnames = [\"A b\"]\n[fields.road]\nnames = [\"a_b\"]");
        assert_eq!(refusal.unwrap_err().code, "synonyms.unusable");
        assert_eq!(Lexicon::with_city("[fields.swamp]").unwrap_err().code, "synonyms.unreadable");
    }
}
