//! Fields of a cover as programs and forms write them, and what they mean.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ask::Object;
use super::forms::{Form, shortened};
use super::{AppState, Problem};
use crate::crs::CrsBook;
use crate::domain::Refusal;
use crate::domain::edit::{CodeChoice, CoverEdit, touched};
use crate::domain::ids::{Millis, PartyId};
use crate::domain::position::{Position, PositionMethod, RawPosition};

/// What shall be set: a field that is absent is left alone, `null` takes away what was known.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SetBody {
    pub class: Option<String>,
    pub state: Option<String>,
    pub district: Option<String>,
    pub position: Option<Object<PositionBody>>,
    #[serde(deserialize_with = "touched")]
    pub road: Option<Option<String>>,
    #[serde(deserialize_with = "touched")]
    pub address: Option<Option<String>>,
    #[serde(deserialize_with = "touched")]
    pub placement: Option<Option<String>>,
    #[serde(deserialize_with = "touched")]
    pub material: Option<Option<String>>,
    #[serde(deserialize_with = "touched")]
    pub shape: Option<Option<String>>,
    #[serde(deserialize_with = "touched")]
    pub load_class: Option<Option<String>>,
    #[serde(deserialize_with = "touched")]
    pub owner: Option<Option<String>>,
    #[serde(deserialize_with = "touched")]
    pub maintainer: Option<Option<String>>,
    #[serde(deserialize_with = "touched")]
    pub supervisor: Option<Option<String>>,
    pub extra: BTreeMap<String, Option<String>>,
}

/// Coordinates as a survey writes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PositionBody {
    /// Easting or longitude.
    pub x: f64,
    /// Northing or latitude.
    pub y: f64,
    /// Degrees of CGCS2000 unless it says something else.
    pub crs: Option<String>,
    pub method: Option<String>,
    pub accuracy_m: Option<f64>,
    pub surveyed_at: Option<String>,
    pub device: Option<String>,
}

impl SetBody {
    pub(super) async fn edit(self, state: &AppState) -> Result<CoverEdit, Problem> {
        if self.position.is_none() {
            return Ok(self.edit_in(&CrsBook::built_in())?);
        }
        Ok(self.edit_in(&crs_book(state).await?)?)
    }

    /// The same where the systems of the city are known already.
    pub(super) fn edit_in(self, book: &CrsBook) -> Result<CoverEdit, Refusal> {
        let position = self.position.map(|Object(body)| position_in(book, body)).transpose()?;
        Ok(CoverEdit {
            class: self.class.as_deref().map(str::parse).transpose()?,
            state: self.state.as_deref().map(str::parse).transpose()?,
            district: self.district,
            position,
            road: self.road,
            address: self.address,
            placement: word(self.placement)?,
            material: word(self.material)?,
            shape: word(self.shape)?,
            load_class: word(self.load_class)?,
            owner: party(self.owner, "owner")?,
            maintainer: party(self.maintainer, "maintainer")?,
            supervisor: party(self.supervisor, "supervisor")?,
            extra: self.extra,
        })
    }
}

fn word<T: std::str::FromStr<Err = Refusal>>(
    text: Option<Option<String>>,
) -> Result<Option<Option<T>>, Refusal> {
    text.map(|text| text.as_deref().map(str::parse).transpose()).transpose()
}

fn party(text: Option<Option<String>>, field: &'static str) -> Result<Option<Option<PartyId>>, Refusal> {
    let read = |id: &str| id.parse::<PartyId>().map_err(|refusal| refusal.at(field));
    text.map(|text| text.as_deref().map(read).transpose()).transpose()
}

/// The code choice that somebody made; by the scheme where they made none.
pub(super) fn code_choice(word: Option<&str>) -> Result<CodeChoice, Refusal> {
    word.map_or(Ok(CodeChoice::ByScheme), str::parse)
}

/// The place that coordinates mean, with the coordinates unchanged beside it.
pub(super) async fn read_position(state: &AppState, body: PositionBody) -> Result<Position, Problem> {
    Ok(position_in(&crs_book(state).await?, body)?)
}

fn position_in(book: &CrsBook, body: PositionBody) -> Result<Position, Refusal> {
    let crs = book.named(body.crs.as_deref().unwrap_or("EPSG:4490"))?;
    let outside = || {
        Refusal::new("position.outside_system").at("x").with("x", body.x).with("y", body.y).with("crs", &crs)
    };
    let epsg = crs.code().ok_or_else(outside)?;
    let (lon, lat) = crs.to_degrees(body.x, body.y).ok_or_else(outside)?;
    let method = body.method.as_deref().map(str::parse).transpose()?;
    let method = method.unwrap_or(PositionMethod::Unknown);
    Ok(Position {
        lon,
        lat,
        raw: RawPosition { x: body.x, y: body.y, epsg },
        method,
        accuracy_m: body.accuracy_m,
        surveyed_at: body.surveyed_at.as_deref().map(|text| moment(text, "surveyed_at")).transpose()?,
        device: body.device.map(|text| shortened(text.trim())).filter(|text| !text.is_empty()),
    })
}

/// The systems that a city knows: ours and those of its `crs.toml`.
pub(super) async fn crs_book(state: &AppState) -> Result<CrsBook, Problem> {
    let file = state.data.join("crs.toml");
    match tokio::fs::read_to_string(&file).await {
        Ok(text) => Ok(CrsBook::built_in().with(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(CrsBook::built_in()),
        Err(error) => Err(super::problem::from_io(&error)),
    }
}

/// A moment in RFC 3339, between 1970 and 2200.
pub(super) fn moment(text: &str, field: &'static str) -> Result<Millis, Refusal> {
    let parsed = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
    parsed
        .ok()
        .filter(|at| (1970..=2200).contains(&at.year()))
        .map(|at| Millis(at.unix_timestamp() * 1000))
        .ok_or_else(|| Refusal::new("form.moment").at(field).with("read", shortened(text)))
}

/// The version that a page showed.
pub(super) fn version(form: &Form, name: &'static str) -> Result<i64, Refusal> {
    let text = form.needed(name)?;
    text.parse().map_err(|_| {
        Refusal::new("form.whole_number").at(name).with("field", name).with("read", shortened(text))
    })
}
