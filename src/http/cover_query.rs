//! Which covers are meant: the filters of lists, as they stand in an address or in a body.

use serde::{Deserialize, Serialize};

use super::auth::percent_encode;
use super::forms::shortened;
use crate::domain::Refusal;
use crate::domain::ids::{CoverId, PartyId};
use crate::registry::{CoverFilter, Fact};
use crate::spatial::BBox;

/// The word for a fact that is not known.
pub(super) const UNKNOWN: &str = "unknown";

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CoverQuery {
    pub standing: Option<String>,
    pub district: Option<String>,
    pub class: Option<String>,
    pub state: Option<String>,
    pub road: Option<String>,
    pub placement: Option<String>,
    pub material: Option<String>,
    pub load_class: Option<String>,
    pub owner: Option<String>,
    pub maintainer: Option<String>,
    pub text: Option<String>,
    pub without_plate: Option<String>,
    pub bbox: Option<String>,
    pub limit: Option<String>,
    pub cursor: Option<String>,
}

impl CoverQuery {
    /// A form sends every field: those left blank count as absent.
    pub(super) fn without_blanks(mut self) -> Self {
        for value in [
            &mut self.standing,
            &mut self.district,
            &mut self.class,
            &mut self.state,
            &mut self.road,
            &mut self.placement,
            &mut self.material,
            &mut self.load_class,
            &mut self.owner,
            &mut self.maintainer,
            &mut self.text,
            &mut self.without_plate,
            &mut self.bbox,
            &mut self.limit,
            &mut self.cursor,
        ] {
            *value = value.take().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        }
        self
    }

    /// What narrows the list, by name; never the page of it.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &str)> {
        [
            ("standing", &self.standing),
            ("district", &self.district),
            ("class", &self.class),
            ("state", &self.state),
            ("road", &self.road),
            ("placement", &self.placement),
            ("material", &self.material),
            ("load_class", &self.load_class),
            ("owner", &self.owner),
            ("maintainer", &self.maintainer),
            ("text", &self.text),
            ("without_plate", &self.without_plate),
            ("bbox", &self.bbox),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect()
    }

    /// The same as the query of an address, without a page.
    pub(super) fn address(&self) -> String {
        let pairs: Vec<String> =
            self.pairs().iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        pairs.join("&")
    }

    /// Refuses paging where a whole set is meant.
    pub(super) fn whole(&self) -> Result<(), Refusal> {
        match (&self.limit, &self.cursor) {
            (None, None) => Ok(()),
            _ => Err(Refusal::new("form.unknown_field").at("limit").with("field", "limit, cursor")),
        }
    }

    /// The filter for one page of `usual` covers, of which nobody may ask for more than `most`.
    pub(super) fn filter(&self, usual: i64, most: i64) -> Result<CoverFilter, Refusal> {
        let within = self.bbox.as_deref().map(str::parse::<BBox>).transpose()?.map(|bbox| {
            let ranges = bbox.key_ranges().into_iter().map(|range| (range.first, range.last)).collect();
            (ranges, bbox.edges())
        });
        Ok(CoverFilter {
            standing: self.standing.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
            district: text(&self.district, "district")?,
            class: self.class.as_deref().map(str::parse).transpose()?,
            state: self.state.as_deref().map(str::parse).transpose()?,
            road: text(&self.road, "road")?,
            placement: fact(self.placement.as_deref(), str::parse)?,
            material: fact(self.material.as_deref(), str::parse)?,
            load_class: fact(self.load_class.as_deref(), str::parse)?,
            owner: fact(self.owner.as_deref(), |id| party(id, "owner"))?,
            maintainer: fact(self.maintainer.as_deref(), |id| party(id, "maintainer"))?,
            text: text(&self.text, "text")?,
            within,
            without_plate: match self.without_plate.as_deref() {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => {
                    return Err(Refusal::new("form.true_or_false")
                        .at("without_plate")
                        .with("read", shortened(other)));
                }
            },
            drawn: false,
            tasks: None,
            after: self
                .cursor
                .as_deref()
                .map(str::parse::<CoverId>)
                .transpose()
                .map_err(|refusal| refusal.at("cursor"))?,
            limit: limit(self.limit.as_deref(), usual, most)?,
        })
    }
}

/// A whole number within bounds; above the most, the most.
pub(super) fn limit(text: Option<&str>, usual: i64, most: i64) -> Result<i64, Refusal> {
    let Some(text) = text else { return Ok(usual) };
    match text.parse::<i64>() {
        Ok(number) if number >= 1 => Ok(number.min(most)),
        _ => Err(Refusal::new("form.whole_number")
            .at("limit")
            .with("field", "limit")
            .with("read", shortened(text))),
    }
}

fn fact<T>(
    word: Option<&str>,
    read: impl Fn(&str) -> Result<T, Refusal>,
) -> Result<Option<Fact<T>>, Refusal> {
    match word {
        None => Ok(None),
        Some(UNKNOWN) => Ok(Some(Fact::Unknown)),
        Some(word) => Ok(Some(Fact::Is(read(word)?))),
    }
}

fn party(id: &str, field: &'static str) -> Result<PartyId, Refusal> {
    id.parse::<PartyId>().map_err(|refusal| refusal.at(field))
}

fn text(value: &Option<String>, field: &'static str) -> Result<Option<String>, Refusal> {
    match value {
        Some(text) if text.chars().any(char::is_control) => {
            Err(Refusal::new("text.control_character").at(field))
        }
        Some(text) if text.chars().count() > 200 => {
            let count = text.chars().count();
            Err(Refusal::new("text.too_long").at(field).with("count", count).with("most", 200))
        }
        other => Ok(other.clone()),
    }
}
