//! The columns of each layer and what stands in them. Names are those of the API and of the profile
//! `lidmark-csv`, so that an exported table can be imported again; in tables the position stands in columns,
//! in maps it is the geometry.

use std::collections::HashMap;

use super::What;
use crate::domain::ids::{Millis, PartyId};
use crate::domain::position::{RawPosition, SystemCode};
use crate::export::{Column, ExportError, Format, Frame, Kind, Layer, Row, Value};
use crate::messages::{Catalogue, Language};
use crate::registry::{CaseRecord, CoverLine, PlateRecord, Registry, RegistryError};

/// Names that rows refer to.
pub(super) struct Names {
    parties: HashMap<PartyId, String>,
    districts: HashMap<String, String>,
    words: Option<&'static Catalogue>,
}

impl Names {
    pub(super) async fn read(registry: &Registry, words: Option<Language>) -> Result<Self, RegistryError> {
        let parties = registry.list_parties().await?.into_iter().map(|party| (party.id, party.name));
        let districts = registry.list_districts().await?.into_iter().map(|district| {
            let name = if words == Some(Language::En) { district.name_en } else { district.name_zh };
            (district.code, name)
        });
        Ok(Self {
            parties: parties.collect(),
            districts: districts.collect(),
            words: words.map(Catalogue::of),
        })
    }

    fn party(&self, id: Option<PartyId>) -> Value<'_> {
        id.and_then(|id| self.parties.get(&id)).into()
    }

    fn district(&self, code: &str) -> Value<'_> {
        self.districts.get(code).into()
    }

    /// A stored word, or how people say it.
    fn word(&self, list: &str, stored: &'static str) -> Value<'static> {
        match self.words {
            Some(catalogue) => Value::from(catalogue.word(list, stored)),
            None => Value::from(stored),
        }
    }

    fn word_if(&self, list: &str, stored: Option<&'static str>) -> Value<'static> {
        stored.map_or(Value::Null, |stored| self.word(list, stored))
    }
}

type Plan = &'static [(&'static str, &'static str, Kind)];

/// Name, name of at most ten letters, and kind; positions follow behind the second part's beginning.
const COVERS: (Plan, Plan) = (
    &[
        ("code", "code", Kind::Text),
        ("scheme", "scheme", Kind::Text),
        ("district", "district", Kind::Text),
        ("district_name", "distr_name", Kind::Text),
        ("class", "class", Kind::Text),
        ("state", "state", Kind::Text),
    ],
    &[
        ("road", "road", Kind::Text),
        ("address", "address", Kind::Text),
        ("placement", "placement", Kind::Text),
        ("material", "material", Kind::Text),
        ("shape", "shape", Kind::Text),
        ("load_class", "load_class", Kind::Text),
        ("owner", "owner", Kind::Text),
        ("maintainer", "maintainer", Kind::Text),
        ("supervisor", "supervisor", Kind::Text),
        ("position_method", "pos_method", Kind::Text),
        ("accuracy_m", "accuracy_m", Kind::Real),
        ("surveyed_at", "surveyed", Kind::Time),
        ("device", "device", Kind::Text),
        ("raw_x", "raw_x", Kind::Real),
        ("raw_y", "raw_y", Kind::Real),
        ("raw_crs", "raw_crs", Kind::Text),
        ("source", "source", Kind::Text),
        ("source_key", "source_key", Kind::Text),
        ("extra", "extra", Kind::Json),
        ("former_codes", "former", Kind::Text),
        ("retired_at", "retired", Kind::Time),
        ("retired_reason", "ret_reason", Kind::Text),
        ("successor", "successor", Kind::Text),
        ("version", "version", Kind::Whole),
        ("created_at", "created", Kind::Time),
        ("cover_id", "cover_id", Kind::Text),
        ("manhole_id", "manhole_id", Kind::Text),
    ],
);
const CASES: (Plan, Plan) = (
    &[
        ("number", "number", Kind::Text),
        ("hazard", "hazard", Kind::Text),
        ("state", "state", Kind::Text),
        ("emergency", "emergency", Kind::Yes),
        ("report_count", "reports", Kind::Whole),
        ("district", "district", Kind::Text),
        ("district_name", "distr_name", Kind::Text),
        ("road", "road", Kind::Text),
        ("cover_code", "cover_code", Kind::Text),
    ],
    &[
        ("party", "party", Kind::Text),
        ("until", "until", Kind::Time),
        ("created_at", "created", Kind::Time),
        ("updated_at", "updated", Kind::Time),
        ("closed_at", "closed", Kind::Time),
    ],
);
const PLATES: (Plan, Plan) = (
    &[
        ("token", "token", Kind::Text),
        ("state", "state", Kind::Text),
        ("state_at", "state_at", Kind::Time),
        ("cover_code", "cover_code", Kind::Text),
        ("district", "district", Kind::Text),
        ("district_name", "distr_name", Kind::Text),
        ("road", "road", Kind::Text),
    ],
    &[
        ("printed_code", "printed", Kind::Text),
        ("payload", "payload", Kind::Text),
        ("face", "face", Kind::Text),
        ("batch", "batch", Kind::Text),
        ("ordinal", "ordinal", Kind::Whole),
        ("page", "page", Kind::Whole),
        ("position", "position", Kind::Whole),
        ("successor", "successor", Kind::Text),
    ],
);
const DEGREES: Plan = &[("lon", "lon", Kind::Real), ("lat", "lat", Kind::Real)];
const GRID: Plan =
    &[("east", "east", Kind::Real), ("north", "north", Kind::Real), ("crs", "crs", Kind::Text)];

/// How rows of one file are made.
pub(super) struct Sheet {
    pub(super) frame: Frame,
    pub(super) format: Format,
    pub(super) names: Names,
}

impl Sheet {
    /// Easting and northing beside the degrees, where the table is wanted in a grid.
    fn has_grid(&self) -> bool {
        self.format.is_table() && !self.frame.crs().is_degrees()
    }

    pub(super) fn layer(&self, what: &What, made_at: Millis, utc_offset_minutes: i32) -> Layer {
        let (first, last) = match what {
            What::Covers(_) => COVERS,
            What::Cases(_) => CASES,
            What::Plates(_) => PLATES,
        };
        let degrees = if self.format.is_table() { DEGREES } else { &[] };
        let grid = if self.has_grid() { GRID } else { &[] };
        let title = |name: &str, language| title(what.name(), name, language);
        let columns: Vec<Column> = [first, degrees, grid, last]
            .into_iter()
            .flatten()
            .map(|(name, short, kind)| Column {
                name,
                short,
                kind: *kind,
                title_zh: title(name, Language::Zh),
                title_en: title(name, Language::En),
            })
            .collect();
        let headings = columns.iter().map(|column| match self.names.words.map(Catalogue::language) {
            Some(Language::Zh) => column.title_zh.clone(),
            Some(Language::En) => column.title_en.clone(),
            None => column.name.to_owned(),
        });
        Layer {
            name: what.name(),
            title: title(what.name(), Language::Zh),
            headings: headings.collect(),
            columns,
            made_at,
            utc_offset_minutes,
        }
    }

    /// The point, and the columns that say it in a table.
    fn place(
        &self,
        at: Option<((f64, f64), RawPosition)>,
        values: &mut Vec<Value<'_>>,
    ) -> Option<(f64, f64)> {
        let place = at.and_then(|(degrees, raw)| self.frame.place(degrees, &raw));
        if self.format.is_table() {
            values.push(at.map(|((lon, _), _)| lon).into());
            values.push(at.map(|((_, lat), _)| lat).into());
        }
        if self.has_grid() {
            values.push(place.map(|(east, _)| east).into());
            values.push(place.map(|(_, north)| north).into());
            let code = self.frame.crs().code().map(SystemCode);
            values.push(place.and(code).map(|code| code.to_string()).into());
        }
        place
    }

    pub(super) fn cover(
        &self,
        line: &CoverLine<'_>,
        take: impl FnOnce(&Row<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let names = &self.names;
        let mut values: Vec<Value<'_>> = Vec::with_capacity(40);
        values.push(line.code.into());
        values.push(line.scheme.into());
        values.push(line.district.into());
        values.push(names.district(line.district));
        values.push(names.word("class", line.class.as_str()));
        values.push(names.word("state", line.state.as_str()));
        let place = self.place(Some(((line.lon, line.lat), line.raw)), &mut values);
        values.push(line.road.into());
        values.push(line.address.into());
        values.push(names.word_if("placement", line.placement.map(|word| word.as_str())));
        values.push(names.word_if("material", line.material.map(|word| word.as_str())));
        values.push(names.word_if("shape", line.shape.map(|word| word.as_str())));
        values.push(line.load_class.map(|word| word.as_str()).into());
        values.push(names.party(line.owner));
        values.push(names.party(line.maintainer));
        values.push(names.party(line.supervisor));
        values.push(names.word("position_method", line.method.as_str()));
        values.push(line.accuracy_m.into());
        values.push(line.surveyed_at.into());
        values.push(line.device.into());
        values.push(line.raw.x.into());
        values.push(line.raw.y.into());
        values.push(SystemCode(line.raw.epsg).to_string().into());
        values.push(line.source.into());
        values.push(line.source_key.into());
        values.push(if line.extra == "{}" { Value::Null } else { Value::Json(line.extra.into()) });
        values.push(line.former_codes.into());
        values.push(line.retired_at.into());
        values.push(names.word_if("retire_reason", line.retired_reason.map(|word| word.as_str())));
        values.push(line.successor.into());
        values.push(line.version.into());
        values.push(line.created_at.into());
        values.push(line.cover.to_string().into());
        values.push(line.manhole.to_string().into());
        take(&Row { place, values: &values })
    }

    pub(super) fn case(
        &self,
        case: &CaseRecord,
        take: impl FnOnce(&Row<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let names = &self.names;
        let mut values: Vec<Value<'_>> = vec![
            (&case.number).into(),
            names.word("hazard", case.hazard.as_str()),
            names.word("case_state", case.state.as_str()),
            case.emergency.into(),
            case.report_count.into(),
            (&case.district).into(),
            names.district(&case.district),
            case.road.as_ref().into(),
            case.cover_code.as_ref().into(),
        ];
        let place = self.place(Some(((case.lon, case.lat), case.raw)), &mut values);
        values.extend([
            names.party(case.party),
            case.until.into(),
            case.created_at.into(),
            case.updated_at.into(),
            case.closed_at.into(),
        ]);
        take(&Row { place, values: &values })
    }

    pub(super) fn plate(
        &self,
        plate: &PlateRecord,
        take: impl FnOnce(&Row<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let names = &self.names;
        let mut values: Vec<Value<'_>> = vec![
            plate.token.to_string().into(),
            names.word("plate_state", plate.state.as_str()),
            plate.state_at.into(),
            plate.cover_code.as_ref().into(),
            plate.district.as_ref().into(),
            plate.district.as_deref().map_or(Value::Null, |code| names.district(code)),
            plate.road.as_ref().into(),
        ];
        let place = self.place(plate.place, &mut values);
        values.extend([
            plate.printed_code.as_ref().into(),
            (&plate.payload).into(),
            (&plate.face).into(),
            plate.batch.to_string().into(),
            plate.ordinal.into(),
            plate.page.into(),
            plate.place_on_page.into(),
            plate.successor.map(|token| token.to_string()).into(),
        ]);
        take(&Row { place, values: &values })
    }
}

/// What a column is called, in its layer or in all of them.
fn title(layer: &str, name: &str, language: Language) -> String {
    let catalogue = Catalogue::of(language);
    let own = format!("column.{layer}_{name}");
    let key = if catalogue.has(&own) { own } else { format!("column.{name}") };
    catalogue.text(&key).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_column_has_a_short_name_of_its_own_and_titles() {
        for (layer, (first, last)) in [("covers", COVERS), ("cases", CASES), ("plates", PLATES)] {
            let all: Vec<_> = [first, DEGREES, GRID, last].into_iter().flatten().collect();
            let shorts: BTreeSet<&str> = all.iter().map(|(_, short, _)| *short).collect();
            let names: BTreeSet<&str> = all.iter().map(|(name, _, _)| *name).collect();
            assert!(shorts.len() == all.len() && names.len() == all.len(), "{layer}");
            for (name, short, _) in all {
                assert!(short.len() <= 10 && short.is_ascii(), "{short}");
                for language in Language::ALL {
                    let title = title(layer, name, language);
                    assert!(!title.starts_with("column."), "{title} in {language:?}");
                }
            }
        }
    }
}
