//! Mapping profiles: how the columns and words of a source become ours. Data, not code
//! (`labels/profiles/*.toml`), so that a city's own census needs a file and no release.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};

use super::city::City;
use super::dates::{Calendar, DateFormat, parse_zone};
use super::kept::Kept;
use super::lexicon::{Lexicon, Target};
use super::mapping::{Meaning, is_one_of};
use super::profile_file::{FieldFile, FilePattern, ProfileFile};
use crate::crs::{Area, Crs, CrsBook, Reading};
use crate::domain::Refusal;
use crate::domain::cover::{CoverClass, CoverState, LoadClass, Material, Placement, Shape};
use crate::domain::ids::Millis;
use crate::domain::names::named_enum;
use crate::domain::position::PositionMethod;

named_enum! {
    /// What a profile can fill, by the name it has in profiles and in our own CSV.
    Field as "field" {
        SourceKey = "source_key",
        Code = "code",
        District = "district",
        Class = "class",
        State = "state",
        Lon = "lon",
        Lat = "lat",
        Road = "road",
        Address = "address",
        Placement = "placement",
        Material = "material",
        Shape = "shape",
        LoadClass = "load_class",
        Owner = "owner",
        Maintainer = "maintainer",
        Supervisor = "supervisor",
        PositionMethod = "position_method",
        AccuracyM = "accuracy_m",
        SurveyedAt = "surveyed_at",
        Device = "device",
    }
}

impl Field {
    /// Our words for what stands in a field with a closed list; none for the others.
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::Class => CoverClass::ALL.iter().map(|word| word.as_str()).collect(),
            Self::State => CoverState::ALL.iter().map(|word| word.as_str()).collect(),
            Self::Placement => Placement::ALL.iter().map(|word| word.as_str()).collect(),
            Self::Material => Material::ALL.iter().map(|word| word.as_str()).collect(),
            Self::Shape => Shape::ALL.iter().map(|word| word.as_str()).collect(),
            Self::LoadClass => LoadClass::ALL.iter().map(|word| word.as_str()).collect(),
            Self::PositionMethod => PositionMethod::ALL.iter().map(|word| word.as_str()).collect(),
            _ => Vec::new(),
        }
    }
}

pub(super) const FIELDS: usize = Field::ALL.len();

/// How the files of one source are read. Made by [`Profile::from_toml`], which checks it whole.
#[derive(Debug, Clone)]
pub struct Profile {
    pub id: String,
    /// Counted up with every change, so that a ledger can say which reading of a source it was.
    pub version: u32,
    pub name_zh: String,
    pub name_en: String,
    /// Name of the source, where the user gives none.
    pub source: String,
    /// Whether a file is looked at for a profile of its own; see [`super::look`].
    pub propose: bool,
    /// As it was read.
    pub text: Arc<str>,
    /// Scheme of the codes that the source brings, where it always is the same.
    pub scheme: Option<String>,
    /// Districts that the profile knows by name: code and name.
    pub districts: Vec<(String, String)>,
    /// How two coordinates are read.
    pub(super) reading: Reading,
    /// The code of `reading`, under which positions are kept.
    pub(super) epsg: u32,
    /// Whether the user said `reading`, which then beats what a file says of itself.
    pub(super) insisted: bool,
    /// What the city brings along.
    pub(super) city: Arc<City>,
    /// A name over two columns means the first.
    pub(super) numbered_repeats: bool,
    /// Whether a row that names no district belongs to the one in whose outline it lies.
    pub(super) districts_by_position: bool,
    /// Where the source can lie.
    pub(super) bbox: Option<Area>,
    pub(super) delimiter: Option<u8>,
    /// Whether its tables lead texts that would be formulas with an apostrophe, as ours do.
    pub(super) guards_formulas: bool,
    /// Words that mean "unknown" in every column that is understood, in small letters.
    pub(super) unknown: Vec<String>,
    /// Days since 1970, and years, that mean "unknown".
    pub(super) unknown_days: Vec<i64>,
    pub(super) unknown_years: Vec<i32>,
    pub(super) date_formats: Vec<DateFormat>,
    pub(super) calendar: Calendar,
    /// What each named column is for, by its name as spelled and in small letters.
    pub(super) columns: HashMap<String, Meaning>,
    /// How `Survey::extra` keeps columns, by [`Meaning::Kept`].
    pub(super) kept: Vec<Kept>,
    /// Kept texts with one of these phrases are left out, because they name a person.
    pub(super) left_out: Vec<String>,
    pub(super) rules: Vec<Rule>,
    pub(super) files: Vec<FilePattern>,
    pub(super) class: Words<CoverClass>,
    pub(super) state: Words<CoverState>,
    pub(super) placement: Words<Placement>,
    pub(super) material: Words<Material>,
    pub(super) shape: Words<Shape>,
    pub(super) load_class: Words<LoadClass>,
    pub(super) position_method: Words<PositionMethod>,
}

/// What a profile says of one field.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    /// The columns it may stand in, as the profile spells them.
    pub(super) columns: Vec<String>,
    pub(super) default: Option<String>,
    /// Name under which the text is also kept as read.
    pub(super) keep: Option<String>,
    /// Words that mean "unknown" here only, in small letters.
    pub(super) unknown: Vec<String>,
    /// What nobody understands goes to `extra` and leaves the field unknown, instead of refusing the row.
    pub(super) lenient: bool,
    /// From the source's unit to that in the field's name.
    pub(super) factor: Option<f64>,
    /// Spellings of texts and numbers.
    pub(super) texts: HashMap<String, String>,
}

/// The spellings of a closed list.
#[derive(Debug, Clone)]
pub(super) struct Words<T> {
    by_spelling: HashMap<String, Option<T>>,
    /// For the sentence that refuses another word.
    pub(super) fits: String,
}

pub(super) enum Word<T> {
    Known(T),
    /// The profile says that this is no cover.
    NotACover,
    Unknown,
}

impl<T: Copy> Words<T> {
    fn knows(&self, text: &str) -> bool {
        !matches!(self.find(text), Word::Unknown)
    }

    pub(super) fn find(&self, text: &str) -> Word<T> {
        let found = self.by_spelling.get(text).or_else(|| self.by_spelling.get(&plain(text)));
        match found {
            Some(Some(word)) => Word::Known(*word),
            Some(None) => Word::NotACover,
            None => Word::Unknown,
        }
    }
}

impl Profile {
    /// Reads a profile. Refuses one with words or columns that cannot be meant.
    pub fn from_toml(text: &str) -> Result<Self, Refusal> {
        Self::from_toml_in(text, &Arc::new(City::built_in()))
    }

    /// The same with what a city brings along.
    pub fn from_toml_in(text: &str, city: &Arc<City>) -> Result<Self, Refusal> {
        let mut file: ProfileFile = toml::from_str(text)
            .map_err(|error| Refusal::new("profile.unreadable").with("reason", error.message()))?;
        let lexicon = &city.lexicon;
        let id = file.id.clone();
        let unusable =
            |reason: String| Refusal::new("profile.unusable").with("id", &id).with("reason", reason);

        let reading = Reading::new(city.book.find(file.epsg)?);
        if let Some([west, south, east, north]) = file.bbox
            && !(west < east && south < north)
        {
            return Err(unusable("bbox is not west, south, east, north".into()));
        }
        let zone_seconds = parse_zone(&file.dates.zone)
            .ok_or_else(|| unusable(format!("zone {} is not like +08:00", file.dates.zone)))?;
        let delimiter = match file.delimiter {
            Some(c) if c.is_ascii() && !matches!(c, '"' | '\n' | '\r') => Some(c as u8),
            Some(c) => return Err(unusable(format!("{c} cannot part columns"))),
            None => None,
        };

        let mut columns = HashMap::new();
        let mut claim = |name: &str, meaning: Meaning| match columns.insert(plain(name), meaning) {
            Some(_) => Err(unusable(format!("column {name} is named twice"))),
            None => {
                columns.insert(name.to_owned(), meaning);
                Ok(())
            }
        };
        for (field, said) in &file.fields {
            for (rank, name) in said.columns.iter().enumerate() {
                claim(name, Meaning::Field(*field, rank as u16))?;
            }
        }
        let mut kept = Vec::new();
        for (name, said) in &file.keep {
            for column in said.columns() {
                claim(column, Meaning::Kept(kept.len()))?;
            }
            kept.push(Kept::read(name, said, &lexicon.units).map_err(unusable)?);
        }
        for name in &file.drop {
            claim(name, Meaning::Dropped)?;
        }
        if file.synonyms {
            add_synonyms(&mut file, &mut columns, lexicon);
        }

        let mut rules = vec![Rule::default(); FIELDS];
        let districts = file.fields.get(&Field::District).map_or_else(Vec::new, |said| {
            let named = said.values.iter();
            named.filter_map(|(code, names)| Some((code.clone(), names.first()?.clone()))).collect()
        });
        for (field, said) in &file.fields {
            rules[*field as usize] = rule(*field, said, lexicon).map_err(unusable)?;
        }
        let mut take = |field: Field| {
            let shared = if file.synonyms { lexicon.spellings(field) } else { &[] };
            (file.fields.remove(&field).unwrap_or_default(), shared)
        };
        let class = words(&mut take, Field::Class, CoverClass::ALL, &unusable)?;
        let state = words(&mut take, Field::State, CoverState::ALL, &unusable)?;
        let placement = words(&mut take, Field::Placement, Placement::ALL, &unusable)?;
        let material = words(&mut take, Field::Material, Material::ALL, &unusable)?;
        let shape = words(&mut take, Field::Shape, Shape::ALL, &unusable)?;
        let load_class = words(&mut take, Field::LoadClass, LoadClass::ALL, &unusable)?;
        let method = words(&mut take, Field::PositionMethod, PositionMethod::ALL, &unusable)?;
        for (field, said) in std::mem::take(&mut file.fields) {
            if !said.not_a_cover.is_empty() {
                return Err(unusable(format!("{field} has not_a_cover, which belongs to class")));
            }
            let rule = &mut rules[field as usize];
            let shared = if file.synonyms { lexicon.spellings(field) } else { &[] };
            let shared = shared.iter().map(|(word, spellings)| (word, spellings));
            for (word, spellings) in said.values.iter().chain(shared) {
                for spelling in spellings {
                    rule.texts.entry(plain(spelling)).or_insert_with(|| word.clone());
                }
            }
        }
        for pattern in &file.files {
            if pattern.name.trim_matches('*').is_empty() {
                return Err(unusable("a file pattern fits every name".into()));
            }
        }

        let lower = |words: Vec<String>| words.iter().map(|word| plain(word)).collect();
        let calendar = Calendar { zone_seconds, years_from: file.dates.years_from };
        let mut unknown_days = Vec::new();
        for day in &file.dates.unknown_days {
            let read = DateFormat::Iso.parse(day, calendar);
            let read = read.ok_or_else(|| unusable(format!("{day} is no day like 1899-12-30")))?;
            unknown_days.push(calendar.day(read));
        }
        Ok(Self {
            source: file.source.unwrap_or_else(|| file.id.clone()),
            propose: file.propose,
            text: text.into(),
            id: file.id,
            version: file.version,
            name_zh: file.name_zh,
            name_en: file.name_en,
            scheme: file.scheme,
            districts,
            reading,
            epsg: file.epsg,
            insisted: false,
            city: city.clone(),
            numbered_repeats: file.numbered_repeats,
            districts_by_position: file.districts_by_position,
            bbox: file.bbox,
            delimiter,
            guards_formulas: file.guards_formulas,
            unknown: lower(file.unknown),
            unknown_days,
            unknown_years: file.dates.unknown_years,
            date_formats: file.dates.formats,
            calendar,
            columns,
            kept,
            left_out: lower(file.leave_out),
            rules,
            files: file.files,
            class,
            state,
            placement,
            material,
            shape,
            load_class,
            position_method: method,
        })
    }

    /// The system that the source's coordinates are in.
    pub fn crs(&self) -> &Crs {
        &self.reading.crs
    }

    /// Where the source can lie: west, south, east, north.
    pub fn bbox(&self) -> Option<Area> {
        self.bbox
    }

    /// The same profile for a file whose coordinates are read in this way, whatever the file says of
    /// itself. Refuses a system that has no code to be kept under.
    pub fn read_in(&self, reading: Reading) -> Result<Self, Refusal> {
        let epsg = reading.code()?;
        Ok(Self { reading, epsg, insisted: true, ..self.clone() })
    }

    /// The systems that a file may name.
    pub(super) fn book(&self) -> &CrsBook {
        &self.city.book
    }

    /// By which it is known whether two readings of a file are the same: SHA-256 of the profile and of
    /// how coordinates are read.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.text.as_bytes());
        hasher.update(format!("\0{:?} {} {}", self.reading.axes, self.epsg, self.insisted));
        hasher.finalize().into()
    }

    pub(super) fn rule(&self, field: Field) -> &Rule {
        &self.rules[field as usize]
    }

    /// The moment of a text, and the form it is written in; `None` = no form of the profile's fits.
    pub(super) fn day_of(&self, text: &str) -> Option<(Millis, DateFormat)> {
        self.date_formats.iter().find_map(|format| Some((format.parse(text, self.calendar)?, *format)))
    }

    /// Whether a day stands for "unknown".
    pub(super) fn is_unknown_day(&self, at: Millis) -> bool {
        (!self.unknown_days.is_empty() && self.unknown_days.contains(&self.calendar.day(at)))
            || (!self.unknown_years.is_empty()
                && self.calendar.year(at).is_some_and(|year| self.unknown_years.contains(&year)))
    }

    /// Whether a text is a word of a field's closed list; `None` = the field has none, or the text means
    /// "unknown".
    pub(super) fn knows(&self, field: Field, text: &str) -> Option<bool> {
        let unknown = &self.rule(field).unknown;
        if is_one_of(&self.unknown, text) || is_one_of(unknown, text) {
            return None;
        }
        Some(match field {
            Field::Class => self.class.knows(text),
            Field::State => self.state.knows(text),
            Field::Placement => self.placement.knows(text),
            Field::Material => self.material.knows(text),
            Field::Shape => self.shape.knows(text),
            Field::LoadClass => self.load_class.knows(text),
            Field::PositionMethod => self.position_method.knows(text),
            _ => return None,
        })
    }

    /// Columns in which a field could stand; never empty.
    pub(super) fn fits(&self, field: Field) -> Vec<String> {
        /// More than this helps nobody.
        const SAID: usize = 8;
        let own = &self.rule(field).columns;
        let names = if own.is_empty() { self.city.lexicon.names(Target::Field(field)) } else { own };
        let names = names.iter().take(SAID).cloned().collect::<Vec<_>>();
        if names.is_empty() { vec![field.to_string()] } else { names }
    }

    /// The first file pattern that fits, with what it says.
    pub(super) fn pattern_for(&self, file_name: &str) -> Option<&FilePattern> {
        let name = plain(file_name);
        self.files.iter().find(|pattern| fits_pattern(&plain(&pattern.name), &name))
    }
}

/// The synonyms behind what the profile names itself.
fn add_synonyms(file: &mut ProfileFile, columns: &mut HashMap<String, Meaning>, lexicon: &Lexicon) {
    for field in Field::ALL {
        let said = file.fields.entry(*field).or_default();
        for name in lexicon.names(Target::Field(*field)) {
            if !columns.contains_key(&plain(name)) {
                let meaning = Meaning::Field(*field, said.columns.len() as u16);
                columns.insert(plain(name), meaning);
                columns.insert(name.clone(), meaning);
                said.columns.push(name.clone());
            }
        }
    }
    for name in lexicon.names(Target::Person) {
        columns.entry(plain(name)).or_insert(Meaning::Dropped);
    }
}

/// Says why a rule cannot be meant.
fn rule(field: Field, said: &FieldFile, lexicon: &Lexicon) -> Result<Rule, String> {
    let factor = match &said.unit {
        None => None,
        Some(unit) => {
            let ours = lexicon.field(field).and_then(|meant| meant.unit.as_deref());
            let ours = ours.ok_or_else(|| format!("{field} is no length and has no unit"))?;
            Some(lexicon.units.factor(unit, ours).ok_or_else(|| format!("{unit} is no unit of length"))?)
        }
    };
    Ok(Rule {
        columns: said.columns.clone(),
        default: said.default.clone(),
        keep: said.keep.clone(),
        unknown: said.unknown.iter().map(|word| plain(word)).collect(),
        lenient: said.lenient,
        factor,
        texts: HashMap::new(),
    })
}

/// Reads the spellings of a closed list; our own words always fit, and shared ones stand behind the profile's.
fn words<'l, T: Copy + PartialEq + FromStr<Err = Refusal> + std::fmt::Display>(
    take: &mut impl FnMut(Field) -> (FieldFile, &'l [(String, Vec<String>)]),
    field: Field,
    all: &[T],
    unusable: &impl Fn(String) -> Refusal,
) -> Result<Words<T>, Refusal> {
    let (said, shared) = take(field);
    let mut by_spelling: HashMap<String, Option<T>> = HashMap::new();
    for word in all {
        by_spelling.insert(plain(&word.to_string()), Some(*word));
    }
    let mut fits = Vec::new();
    for (word, spellings) in &said.values {
        let known: T = word.parse()?;
        fits.extend(spellings.first().cloned());
        for spelling in spellings {
            // As spelled too: most texts then need no lowering.
            by_spelling.entry(spelling.clone()).or_insert(Some(known));
            let before = by_spelling.insert(plain(spelling), Some(known));
            if before.is_some_and(|before| before != Some(known)) {
                return Err(unusable(format!("{field} reads {spelling} in two ways")));
            }
        }
    }
    for spelling in &said.not_a_cover {
        if field != Field::Class || by_spelling.insert(plain(spelling), None).is_some() {
            return Err(unusable(format!("{field} reads {spelling} in two ways")));
        }
    }
    for (word, spellings) in shared {
        let known: T = word.parse()?;
        fits.extend(spellings.first().cloned());
        for spelling in spellings {
            if let Some(other) = by_spelling.get(&plain(spelling)) {
                // What the profile says goes before.
                let other = *other;
                by_spelling.entry(spelling.clone()).or_insert(other);
            } else {
                by_spelling.insert(spelling.clone(), Some(known));
                by_spelling.insert(plain(spelling), Some(known));
            }
        }
    }
    if fits.is_empty() {
        fits = all.iter().map(T::to_string).collect();
    }
    let words = Words { by_spelling, fits: fits.join(", ") };
    if let Some(default) = &said.default
        && !matches!(words.find(default), Word::Known(_))
    {
        return Err(unusable(format!("the default {default} is no {field}")));
    }
    Ok(words)
}

/// The form in which names and words are compared: small letters, single blanks.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.extend(word.chars().flat_map(char::to_lowercase));
    }
    plain
}

fn fits_pattern(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The profiles that come with the program.
pub fn built_in_profiles() -> Vec<Profile> {
    BUILT_IN.clone()
}

/// The built-in profile of this id.
pub fn find_built_in(id: &str) -> Option<Profile> {
    BUILT_IN.iter().find(|profile| profile.id == id).cloned()
}

/// The same with what a city brings along.
pub fn find_built_in_for(id: &str, city: &Arc<City>) -> Option<Result<Profile, Refusal>> {
    let built_in = BUILT_IN.iter().find(|profile| profile.id == id)?;
    Some(Profile::from_toml_in(&built_in.text, city))
}

/// The profile that looks for a file's own.
pub const AUTO: &str = "auto";

static BUILT_IN: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    [
        include_str!("../../labels/profiles/auto.toml"),
        include_str!("../../labels/profiles/lidmark-csv.toml"),
        include_str!("../../labels/profiles/census-zh.toml"),
        include_str!("../../labels/profiles/vermont-manholes.toml"),
        include_str!("../../labels/profiles/cambridge-catchbasins.toml"),
    ]
    .into_iter()
    .map(|text| Profile::from_toml(text).expect("built-in profiles are read by a test"))
    .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_profiles_are_whole() {
        let ids: Vec<String> = built_in_profiles().into_iter().map(|profile| profile.id).collect();
        assert_eq!(ids, ["auto", "lidmark-csv", "census-zh", "vermont-manholes", "cambridge-catchbasins"]);
    }

    #[test]
    fn a_profile_that_could_be_read_in_two_ways_is_refused_with_the_reason() {
        let head = "id = \"x\"\nversion = 1\nname_zh = \"x\"\nname_en = \"x\"\n";
        for (text, code, says) in [
            ("id = 3", "profile.unreadable", "string"),
            (
                "[fields.class]\ncolumns = [\"A\"]\n[fields.road]\ncolumns = [\"a\"]",
                "profile.unusable",
                "twice",
            ),
            ("[fields.class]\nvalues = { gas = [\"G\"], power = [\"g\"] }", "profile.unusable", "two ways"),
            ("[fields.class]\nvalues = { swamp = [\"S\"] }", "class.unknown", "swamp"),
            ("[fields.class]\ndefault = \"swamp\"", "profile.unusable", "swamp"),
            ("[fields.swamp]\ncolumns = []", "profile.unreadable", "swamp"),
            ("bbox = [1, 2, 1, 3]\n[fields]", "profile.unusable", "bbox"),
            ("epsg = 4214\n[fields]", "crs.unsupported", "4214"),
            ("[dates]\nformats = [\"iso\"]\nzone = \"east\"\n[fields]", "profile.unusable", "east"),
        ] {
            let text = if text.starts_with("id") { text.to_owned() } else { format!("{head}{text}") };
            let refusal = Profile::from_toml(&text).unwrap_err();
            assert_eq!(refusal.code, code, "{text}");
            assert!(refusal.to_string().contains(says), "{refusal} does not say {says}");
        }
    }

    #[test]
    fn a_pattern_fits_as_a_person_would_say() {
        assert!(fits_pattern("barre*", "barrepointfeatures.geojson"));
        assert!(fits_pattern("*city*.csv", "rutlandcity.csv"));
        assert!(fits_pattern("a.csv", "a.csv"));
        assert!(!fits_pattern("a.csv", "a.csv.bak"));
        assert!(!fits_pattern("rutlandcity*", "rutlandtown.geojson"));
    }
}
