//! The properties of the layer `covers`, read from the map.

use std::borrow::Cow;

use crate::cql2::{Dictionary, Field, Kind, NULL_TERM, Row, Schema, Value};
use crate::domain::cover::{CoverClass, CoverState, LoadClass, Material, Placement, Shape};
use crate::domain::names::named_enum;
use crate::domain::position::{quadkey, quadkey_center};
use crate::domain::quality::{FieldSet, Rules};
use crate::spatial::{Reading, Snapshot, SnapshotRow, UNKNOWN_DAY};

named_enum! {
    /// A property of a cover. Those of the publish list come first, so that a number means the same to
    /// everybody who may see it.
    CoverField as "field" {
        Geometry = "geometry",
        Code = "code",
        Class = "class",
        State = "state",
        District = "district",
        Road = "road",
        Owner = "owner",
        HasPlate = "has_plate",
        OpenCase = "open_case",
        Scheme = "scheme",
        Placement = "placement",
        LoadClass = "load_class",
        Material = "material",
        Shape = "shape",
        OwnerId = "owner_id",
        Maintainer = "maintainer",
        MaintainerId = "maintainer_id",
        SurveyedOn = "surveyed_on",
        Installed = "installed",
        Completeness = "completeness",
        Id = "id",
    }
}

impl CoverField {
    /// The last one that everybody may see.
    const LAST_PUBLIC: Self = Self::OpenCase;

    /// What somebody sees; staff see all.
    pub fn visible_to(is_staff: bool) -> &'static [Self] {
        if is_staff { Self::ALL } else { &Self::ALL[..=Self::LAST_PUBLIC as usize] }
    }

    pub const fn kind(self) -> Kind {
        match self {
            Self::Geometry => Kind::Point,
            Self::Class => Kind::Word(CoverClass::WORDS),
            Self::State => Kind::Word(CoverState::WORDS),
            Self::Placement => Kind::Word(Placement::WORDS),
            Self::LoadClass => Kind::Word(LoadClass::WORDS),
            Self::Material => Kind::Word(Material::WORDS),
            Self::Shape => Kind::Word(Shape::WORDS),
            Self::HasPlate | Self::OpenCase => Kind::Boolean,
            Self::SurveyedOn => Kind::Date,
            Self::Installed | Self::Completeness => Kind::Integer,
            Self::Code
            | Self::District
            | Self::Road
            | Self::Owner
            | Self::Scheme
            | Self::OwnerId
            | Self::Maintainer
            | Self::MaintainerId
            | Self::Id => Kind::Text,
        }
    }
}

/// What a filter may name; days are those of a clock so many minutes ahead of UTC.
pub fn cover_schema(is_staff: bool, utc_offset_minutes: i32) -> Schema {
    let field = |field: &CoverField| Field { name: field.as_str().to_owned(), kind: field.kind() };
    let fields = CoverField::visible_to(is_staff).iter().map(field).collect();
    Schema::new(fields).on_clock(utc_offset_minutes)
}

/// Reads the rows of a map for somebody.
pub struct CoverReader<'m> {
    words: Reading<'m>,
    rules: &'m Rules,
    is_staff: bool,
}

impl<'m> CoverReader<'m> {
    pub fn new(map: &'m Snapshot, rules: &'m Rules, is_staff: bool) -> Self {
        Self { words: map.lexicon().read(), rules, is_staff }
    }

    pub fn is_staff(&self) -> bool {
        self.is_staff
    }

    pub fn words(&self) -> &Reading<'m> {
        &self.words
    }

    pub fn view(&self, row: SnapshotRow) -> CoverView<'_, 'm> {
        CoverView { reader: self, row }
    }

    fn score(&self, known: FieldSet) -> u8 {
        self.rules.score(known)
    }
}

/// A cover as somebody sees it.
#[derive(Clone, Copy)]
pub struct CoverView<'v, 'm> {
    reader: &'v CoverReader<'m>,
    pub row: SnapshotRow,
}

impl CoverView<'_, '_> {
    /// Degrees. The public sees the middle of a square of 15 cm: the deepest tile tells no more either.
    pub fn place(&self) -> (f64, f64) {
        let (lon, lat) = (self.row.lon, self.row.lat);
        if self.reader.is_staff { (lon, lat) } else { quadkey_center(quadkey(lon, lat)) }
    }

    /// What the reader sees of it beside its place.
    pub fn properties(&self) -> &'static [CoverField] {
        &CoverField::visible_to(self.reader.is_staff)[1..]
    }

    /// Digits of its code.
    pub fn code(&self) -> String {
        self.reader.words.digits(self.row.attributes.code)
    }

    pub fn get(&self, field: CoverField) -> Value<'_> {
        let words = &self.reader.words;
        let attributes = &self.row.attributes;
        let party = |number| words.party(number);
        match field {
            CoverField::Geometry => {
                let (lon, lat) = self.place();
                Value::Point(lon, lat)
            }
            CoverField::Code => Value::Text(Cow::Owned(self.code())),
            CoverField::Class => word(self.row.class.as_str()),
            CoverField::State => word(self.row.state.as_str()),
            CoverField::District => text(words.district(attributes.district)),
            CoverField::Road => text(words.road(attributes.road)),
            CoverField::Owner => text(party(attributes.owner).map(|(_, name)| name.as_str())),
            CoverField::HasPlate => Value::Boolean(self.row.flags.has_plate),
            CoverField::OpenCase => Value::Boolean(self.row.flags.open_case),
            CoverField::Scheme => text(words.scheme(attributes.code)),
            CoverField::Placement => text(attributes.placement.map(Placement::as_str)),
            CoverField::LoadClass => text(attributes.load_class.map(LoadClass::as_str)),
            CoverField::Material => text(attributes.material.map(Material::as_str)),
            CoverField::Shape => text(attributes.shape.map(Shape::as_str)),
            CoverField::OwnerId => id(party(attributes.owner).map(|(id, _)| id)),
            CoverField::Maintainer => text(party(attributes.maintainer).map(|(_, name)| name.as_str())),
            CoverField::MaintainerId => id(party(attributes.maintainer).map(|(id, _)| id)),
            CoverField::SurveyedOn if attributes.surveyed_on == UNKNOWN_DAY => Value::Null,
            CoverField::SurveyedOn => Value::Date(attributes.surveyed_on),
            CoverField::Installed if attributes.installed == 0 => Value::Null,
            CoverField::Installed => Value::Number(f64::from(attributes.installed)),
            CoverField::Completeness => Value::Number(f64::from(self.reader.score(attributes.known))),
            CoverField::Id => id(Some(&self.row.cover)),
        }
    }
}

fn word(word: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(word))
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, |text| Value::Text(Cow::Borrowed(text)))
}

fn id(id: Option<&impl ToString>) -> Value<'static> {
    id.map_or(Value::Null, |id| Value::Text(Cow::Owned(id.to_string())))
}

impl Row for CoverView<'_, '_> {
    fn value(&self, field: usize) -> Value<'_> {
        CoverField::ALL.get(field).map_or(Value::Null, |field| self.get(*field))
    }

    fn term(&self, field: usize) -> Option<u32> {
        let attributes = &self.row.attributes;
        // Numbers of a lexicon begin with 1, terms with 0.
        let noted = |number: u32| number.wrapping_sub(1);
        let option = |index: Option<u8>| index.map_or(NULL_TERM, u32::from);
        Some(match CoverField::ALL.get(field)? {
            CoverField::Class => self.row.class as u32,
            CoverField::State => self.row.state as u32,
            CoverField::District => noted(u32::from(attributes.district)),
            CoverField::Road => noted(attributes.road),
            CoverField::Owner | CoverField::OwnerId => noted(attributes.owner),
            CoverField::Maintainer | CoverField::MaintainerId => noted(attributes.maintainer),
            CoverField::HasPlate => u32::from(self.row.flags.has_plate),
            CoverField::OpenCase => u32::from(self.row.flags.open_case),
            CoverField::Placement => option(attributes.placement.map(|word| word as u8)),
            CoverField::LoadClass => option(attributes.load_class.map(|word| word as u8)),
            CoverField::Material => option(attributes.material.map(|word| word as u8)),
            CoverField::Shape => option(attributes.shape.map(|word| word as u8)),
            CoverField::Completeness => u32::from(attributes.known.bits()),
            CoverField::Geometry
            | CoverField::Code
            | CoverField::Scheme
            | CoverField::SurveyedOn
            | CoverField::Installed
            | CoverField::Id => return None,
        })
    }
}

impl Dictionary for CoverReader<'_> {
    fn terms(&self, field: usize) -> Option<usize> {
        Some(match CoverField::ALL.get(field)? {
            CoverField::Class => CoverClass::ALL.len(),
            CoverField::State => CoverState::ALL.len(),
            CoverField::District => self.words.district_count(),
            CoverField::Road => self.words.road_count(),
            CoverField::Owner | CoverField::OwnerId | CoverField::Maintainer | CoverField::MaintainerId => {
                self.words.party_count()
            }
            CoverField::HasPlate | CoverField::OpenCase => 2,
            CoverField::Placement => Placement::ALL.len(),
            CoverField::LoadClass => LoadClass::ALL.len(),
            CoverField::Material => Material::ALL.len(),
            CoverField::Shape => Shape::ALL.len(),
            CoverField::Completeness => FieldSet::SETS,
            CoverField::Geometry
            | CoverField::Code
            | CoverField::Scheme
            | CoverField::SurveyedOn
            | CoverField::Installed
            | CoverField::Id => return None,
        })
    }

    fn term(&self, field: usize, number: u32) -> Value<'_> {
        let Some(field) = CoverField::ALL.get(field) else { return Value::Null };
        let at = number as usize;
        let party = || self.words.party(number.saturating_add(1));
        match field {
            CoverField::Class => nth(CoverClass::WORDS, at),
            CoverField::State => nth(CoverState::WORDS, at),
            CoverField::Placement => nth(Placement::WORDS, at),
            CoverField::LoadClass => nth(LoadClass::WORDS, at),
            CoverField::Material => nth(Material::WORDS, at),
            CoverField::Shape => nth(Shape::WORDS, at),
            CoverField::HasPlate | CoverField::OpenCase => Value::Boolean(number == 1),
            CoverField::District => {
                text(u16::try_from(number + 1).ok().and_then(|number| self.words.district(number)))
            }
            CoverField::Road => text(self.words.road(number.saturating_add(1))),
            CoverField::Owner | CoverField::Maintainer => text(party().map(|(_, name)| name.as_str())),
            CoverField::OwnerId | CoverField::MaintainerId => id(party().map(|(id, _)| id)),
            CoverField::Completeness => {
                Value::Number(f64::from(self.score(FieldSet::from_bits(number as u16))))
            }
            CoverField::Geometry
            | CoverField::Code
            | CoverField::Scheme
            | CoverField::SurveyedOn
            | CoverField::Installed
            | CoverField::Id => Value::Null,
        }
    }
}

fn nth(words: &'static [&'static str], at: usize) -> Value<'static> {
    text(words.get(at).copied())
}
