//! Filters as people type them, on the command line and in an address alike. What the list verbs take is
//! taken here; a filter in CQL2 will be one more text beside them.

use super::OutletError;
use crate::domain::Refusal;
use crate::domain::case::CaseState;
use crate::domain::ids::{Millis, PartyId};
use crate::registry::{CaseFilter, CaseSelection, CoverFilter, Fact, PlateSelection, Registry};
use crate::spatial::BBox;

/// Filters of covers.
#[derive(Debug, Clone, Default)]
pub struct CoverFilters {
    /// `in_use` unless given, `retired` or `any`.
    pub standing: Option<String>,
    pub district: Option<String>,
    pub class: Option<String>,
    pub state: Option<String>,
    pub road: Option<String>,
    /// A word, or `unknown`, as in the two below.
    pub placement: Option<String>,
    pub material: Option<String>,
    pub load_class: Option<String>,
    /// Name or id of the party that owns them; `unknown` = nobody is known to.
    pub owner: Option<String>,
    pub maintainer: Option<String>,
    /// Beginning of a code, or part of road, address, key in the source or another column of the census.
    pub text: Option<String>,
    /// `west,south,east,north` in degrees.
    pub bbox: Option<String>,
    pub without_plate: bool,
}

/// Filters of cases.
#[derive(Debug, Clone, Default)]
pub struct CaseFilters {
    /// A state, or `open` for all that are not over.
    pub state: Option<String>,
    pub hazard: Option<String>,
    pub district: Option<String>,
    /// Name or id of the party that handles them.
    pub party: Option<String>,
    pub emergency: Option<bool>,
    /// Part of the number, of the cover's code or of the road.
    pub text: Option<String>,
    /// Days on the city's clock, both included, such as `2026-01-31`.
    pub from: Option<String>,
    pub until: Option<String>,
}

/// Filters of plates.
#[derive(Debug, Clone, Default)]
pub struct PlateFilters {
    pub state: Option<String>,
    pub district: Option<String>,
    pub batch: Option<String>,
}

/// Asks for what is not known.
const UNKNOWN: &str = "unknown";

impl CoverFilters {
    /// Refuses a word that names nothing: an empty file would be taken for the truth.
    pub async fn read(self, registry: &Registry) -> Result<CoverFilter, OutletError> {
        // Whoever exports goes through all covers, so that the box needs no ranges of quadkeys.
        let within = self.bbox.as_deref().map(read_box).transpose()?.map(|edges| (Vec::new(), edges));
        Ok(CoverFilter {
            standing: self.standing.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
            district: find_district(registry, self.district).await?,
            class: self.class.as_deref().map(str::parse).transpose()?,
            state: self.state.as_deref().map(str::parse).transpose()?,
            road: plain("road", self.road)?,
            placement: fact(self.placement)?,
            material: fact(self.material)?,
            load_class: fact(self.load_class)?,
            owner: find_fact_party(registry, "owner", self.owner).await?,
            maintainer: find_fact_party(registry, "maintainer", self.maintainer).await?,
            text: plain("text", self.text)?,
            within,
            without_plate: self.without_plate,
            drawn: false,
            tasks: None,
            after: None,
            limit: 0,
        })
    }
}

fn fact<T: std::str::FromStr<Err = Refusal>>(word: Option<String>) -> Result<Option<Fact<T>>, Refusal> {
    match word.as_deref() {
        None => Ok(None),
        Some(UNKNOWN) => Ok(Some(Fact::Unknown)),
        Some(word) => Ok(Some(Fact::Is(word.parse()?))),
    }
}

async fn find_fact_party(
    registry: &Registry,
    field: &'static str,
    name: Option<String>,
) -> Result<Option<Fact<PartyId>>, OutletError> {
    match name.as_deref() {
        None => Ok(None),
        Some(UNKNOWN) => Ok(Some(Fact::Unknown)),
        Some(name) => Ok(Some(Fact::Is(find_party(registry, field, name).await?))),
    }
}

impl CaseFilters {
    pub async fn read(
        self,
        registry: &Registry,
        utc_offset_minutes: i32,
    ) -> Result<CaseSelection, OutletError> {
        let states = match self.state.as_deref() {
            None => Vec::new(),
            Some("open") => CaseState::ALL.iter().copied().filter(|state| state.is_open()).collect(),
            Some(state) => vec![state.parse()?],
        };
        let party = match self.party.as_deref() {
            Some(name) => Some(find_party(registry, "party", name).await?),
            None => None,
        };
        let day = |field, text: Option<&str>, days| {
            text.map(|text| start_of_day(field, text, utc_offset_minutes, days)).transpose()
        };
        let which = CaseFilter {
            states,
            hazard: self.hazard.as_deref().map(str::parse).transpose()?,
            district: find_district(registry, self.district).await?,
            party,
            emergency: self.emergency,
            text: plain("text", self.text)?,
            ..CaseFilter::default()
        };
        Ok(CaseSelection {
            which,
            from: day("from", self.from.as_deref(), 0)?,
            until: day("until", self.until.as_deref(), 1)?,
        })
    }
}

impl PlateFilters {
    pub async fn read(self, registry: &Registry) -> Result<PlateSelection, OutletError> {
        let batch = match self.batch.as_deref() {
            Some(text) => {
                let unknown = || Refusal::new("batch.unknown").at("batch").with("read", shortened(text));
                let id = text.parse().map_err(|_| unknown())?;
                Some(registry.find_batch(id).await?.ok_or_else(unknown)?.id)
            }
            None => None,
        };
        Ok(PlateSelection {
            state: self.state.as_deref().map(str::parse).transpose()?,
            district: find_district(registry, self.district).await?,
            batch,
        })
    }
}

/// Nothing stored holds control characters, and PostgreSQL refuses to look for some.
fn plain(field: &'static str, text: Option<String>) -> Result<Option<String>, Refusal> {
    match text {
        Some(text) if text.chars().any(char::is_control) => {
            Err(Refusal::new("text.control_character").at(field))
        }
        other => Ok(other),
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

async fn find_district(registry: &Registry, code: Option<String>) -> Result<Option<String>, OutletError> {
    let Some(code) = code else { return Ok(None) };
    if registry.list_districts().await?.iter().any(|district| district.code == code) {
        return Ok(Some(code));
    }
    Err(Refusal::new("district.unknown").at("district").with("read", shortened(&code)).into())
}

async fn find_party(registry: &Registry, field: &'static str, name: &str) -> Result<PartyId, OutletError> {
    let parties = registry.list_parties().await?;
    let name = name.trim();
    let known = parties.iter().find(|party| party.name == name || party.id.to_string() == name);
    let unknown = || Refusal::new("party.unknown").at(field).with("read", shortened(name));
    Ok(known.ok_or_else(unknown)?.id)
}

fn read_box(text: &str) -> Result<[f64; 4], Refusal> {
    Ok(text.parse::<BBox>()?.edges())
}

/// Midnight on the city's clock, so many days after the one that is named.
pub fn start_of_day(
    field: &'static str,
    text: &str,
    utc_offset_minutes: i32,
    days: i64,
) -> Result<Millis, Refusal> {
    let wrong = || Refusal::new("form.day").at(field).with("read", shortened(text));
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let date = time::Date::parse(text.trim(), format).map_err(|_| wrong())?;
    if !(1970..=2200).contains(&date.year()) {
        return Err(wrong());
    }
    let midnight = date.midnight().assume_utc().unix_timestamp() + days * 86_400;
    Ok(Millis((midnight - i64::from(utc_offset_minutes) * 60) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_the_city() {
        let at = |text, days| start_of_day("from", text, 480, days).map(Millis::to_rfc3339);
        assert_eq!(at("2026-01-31", 0).as_deref(), Ok("2026-01-30T16:00:00Z"));
        assert_eq!(at("2026-01-31", 1).as_deref(), Ok("2026-01-31T16:00:00Z"));
        for text in ["", "31.1.2026", "2026-02-30", "9999-01-01"] {
            assert_eq!(at(text, 0).unwrap_err().code, "form.day");
        }
    }

    #[test]
    fn a_box_is_four_numbers_that_can_be_one() {
        assert_eq!(read_box("118.4, 37.3,118.7,37.5"), Ok([118.4, 37.3, 118.7, 37.5]));
        for text in ["", "1,2,3", "1,2,3,4,5"] {
            assert_eq!(read_box(text).unwrap_err().code, "bbox.four_numbers", "{text}");
        }
        assert_eq!(read_box("1,2,3,x").unwrap_err().code, "bbox.not_a_number");
        assert_eq!(read_box("118,38,119,37").unwrap_err().code, "bbox.south_above_north");
    }
}
