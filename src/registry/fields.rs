//! What an edit makes of a cover, field by field, and back again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::RegistryError;
use super::areas::{DistrictOf, district_of};
use super::reports::clean_text;
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::cover::{CoverFile, Party, Survey};
use crate::domain::edit::CoverEdit;
use crate::domain::ids::PartyId;
use crate::domain::position;
use crate::spatial::{AreaIndex, Locator};
use crate::store::{StoreError, Tx, areas, covers, people};

/// Longest texts, in characters.
const ROAD_LIMIT: usize = 200;
const ADDRESS_LIMIT: usize = 500;
const EXTRA_NAME_LIMIT: usize = 100;
const EXTRA_LIMIT: usize = 2000;
/// Most columns of one cover that no profile line names.
const EXTRA_COUNT: usize = 200;

/// The parties by their ids, and the districts there are with their outlines.
pub(super) struct Known {
    parties: BTreeMap<PartyId, Party>,
    districts: Vec<String>,
    /// `None` where the city has no outlines, or nobody asks where something lies.
    outlines: Option<Mutex<Locator>>,
}

impl Known {
    /// What is known of parties and districts; the outlines only for an edit that moves something.
    pub(super) async fn read(tx: &mut Tx, moves: bool) -> Result<Self, RegistryError> {
        let parties = people::list_parties(tx).await?;
        let districts = covers::list_districts(tx).await?;
        let mut outlines = None;
        if moves {
            let areas = areas::list_areas(tx, AreaKind::District).await?;
            let index = AreaIndex::new(areas.iter().map(|area| (area.code.as_str(), &area.shape)));
            outlines = (!index.is_empty()).then(|| Mutex::new(index.into_locator()));
        }
        Ok(Self {
            parties: parties.into_iter().map(|party| (party.id, party)).collect(),
            districts: districts.into_iter().map(|district| district.code).collect(),
            outlines,
        })
    }

    /// Refuses a place outside the outline of its district.
    pub(super) fn check_place(&self, survey: &Survey) -> Result<(), Refusal> {
        let Some(outlines) = &self.outlines else { return Ok(()) };
        let place = (survey.position.lon, survey.position.lat);
        let mut locator = outlines.lock().unwrap_or_else(PoisonError::into_inner);
        match district_of(&mut locator, place, &survey.district) {
            DistrictOf::Same => Ok(()),
            DistrictOf::Other(code) => {
                let refusal = Refusal::new("district.elsewhere").at("district");
                Err(refusal.with("read", &survey.district).with("found", code))
            }
            DistrictOf::Outside => {
                let read = format!("{}, {}", place.0, place.1);
                Err(Refusal::new("position.outside_jurisdiction").at("position").with("read", read))
            }
        }
    }

    /// The party that somebody names.
    pub(super) fn party(&self, id: Option<PartyId>, field: &'static str) -> Result<Option<Party>, Refusal> {
        id.map(|id| find_party(self, id, field)).transpose()
    }

    /// Refuses a district that there is not, and a place outside of it.
    pub(super) fn check_district(&self, survey: &Survey) -> Result<(), Refusal> {
        if !self.districts.contains(&survey.district) {
            let read = &survey.district;
            return Err(Refusal::new("district.unknown").at("district").with("read", read));
        }
        self.check_place(survey)
    }

    fn named(&self, name: &str) -> Option<PartyId> {
        self.parties.values().find(|party| party.name == name).map(|party| party.id)
    }
}

/// Trims the texts of an edit and refuses what no cover can be.
pub(super) fn checked(mut edit: CoverEdit) -> Result<CoverEdit, Refusal> {
    let tidy = |text: Option<Option<String>>, field, limit| match text {
        Some(Some(text)) => Ok(Some(Some(one_line(&text, field, limit)?).filter(|text| !text.is_empty()))),
        other => Ok::<_, Refusal>(other),
    };
    edit.road = tidy(edit.road, "road", ROAD_LIMIT)?;
    edit.address = tidy(edit.address, "address", ADDRESS_LIMIT)?;
    let mut extra = BTreeMap::new();
    for (name, value) in edit.extra {
        let name = one_line(&name, "extra", EXTRA_NAME_LIMIT)?;
        if name.is_empty() {
            return Err(Refusal::new("form.missing").at("extra").with("field", "extra"));
        }
        let value = value.map(|value| clean_text(&value, "extra", EXTRA_LIMIT)).transpose()?;
        extra.insert(name, value.filter(|value| !value.is_empty()));
    }
    edit.extra = extra;
    if let Some(position) = &edit.position {
        position::check_degrees(position.lon, position.lat)?;
        let numbers = [Some(position.raw.x), Some(position.raw.y), position.accuracy_m];
        if numbers.into_iter().flatten().any(|number| !number.is_finite())
            || position.accuracy_m.is_some_and(|accuracy| accuracy < 0.0)
        {
            let read = position.accuracy_m.unwrap_or_default();
            return Err(Refusal::new("position.accuracy").at("accuracy_m").with("read", read));
        }
    }
    if edit.is_empty() {
        return Err(Refusal::new("edit.empty"));
    }
    Ok(edit)
}

/// Text without line breaks or other control characters.
fn one_line(text: &str, field: &'static str, limit: usize) -> Result<String, Refusal> {
    let text = clean_text(text, field, limit)?;
    if text.contains(['\n', '\t']) {
        return Err(Refusal::new("text.control_character").at(field));
    }
    Ok(text)
}

/// The cover after an edit, and the fields that changed, each as `[before, after]`. The code is not
/// among them: whether it changes is for the scheme to say.
pub(super) fn edited(
    before: &CoverFile,
    edit: &CoverEdit,
    known: &Known,
) -> Result<(CoverFile, Map<String, Value>), Refusal> {
    let mut after = before.clone();
    let mut fields = Map::new();
    let old = &before.survey;
    macro_rules! set {
        ($($field:ident),+) => { $(
            if let Some(value) = &edit.$field
                && *value != old.$field
            {
                fields.insert(stringify!($field).to_owned(), json!([old.$field, value]));
                after.survey.$field = value.clone();
            }
        )+ };
    }
    macro_rules! set_party {
        ($($field:ident),+) => { $(
            if let Some(id) = edit.$field {
                let party = known.party(id, stringify!($field))?;
                let name = party.as_ref().map(|party| party.name.clone());
                if name != old.$field {
                    fields.insert(stringify!($field).to_owned(), json!([old.$field, name]));
                    after.survey.$field = name;
                    after.$field = party;
                }
            }
        )+ };
    }
    set!(class, state, district, position, road, address, placement, material, shape, load_class);
    set_party!(owner, maintainer, supervisor);
    if fields.contains_key("district") {
        known.check_district(&after.survey)?;
    } else if fields.contains_key("position") {
        known.check_place(&after.survey)?;
    }
    for (name, value) in &edit.extra {
        if old.extra.get(name) == value.as_ref() {
            continue;
        }
        fields.insert(format!("extra.{name}"), json!([old.extra.get(name), value]));
        match value {
            Some(value) => after.survey.extra.insert(name.clone(), value.clone()),
            None => after.survey.extra.remove(name),
        };
    }
    if after.survey.extra.len() > EXTRA_COUNT && after.survey.extra.len() > old.extra.len() {
        return Err(Refusal::new("extra.too_many").at("extra").with("most", EXTRA_COUNT));
    }
    Ok((after, fields))
}

fn find_party(known: &Known, id: PartyId, field: &'static str) -> Result<Party, Refusal> {
    let unknown = || Refusal::new("party.unknown").at(field).with("read", id);
    known.parties.get(&id).cloned().ok_or_else(unknown)
}

/// The edit that takes fields back to what they were before. Positions are never among them.
pub(super) fn backwards(fields: &Map<String, Value>, known: &Known) -> Result<CoverEdit, StoreError> {
    let broken = || StoreError::inconsistent("bulk_edit_rows", "fields", "before");
    let mut edit = Map::new();
    let mut extra = Map::new();
    for (name, pair) in fields {
        let before = pair.get(0).ok_or_else(broken)?;
        match name.as_str() {
            "code" | "scheme" => {}
            "owner" | "maintainer" | "supervisor" => {
                let party = match before.as_str() {
                    Some(text) => Some(known.named(text).ok_or_else(broken)?),
                    None => None,
                };
                edit.insert(name.clone(), json!(party));
            }
            _ => match name.strip_prefix("extra.") {
                Some(column) => {
                    extra.insert(column.to_owned(), before.clone());
                }
                None => {
                    edit.insert(name.clone(), before.clone());
                }
            },
        }
    }
    if !extra.is_empty() {
        edit.insert("extra".into(), Value::Object(extra));
    }
    serde_json::from_value(Value::Object(edit)).map_err(|_| broken())
}
