//! A cover as the texts of a form, and what somebody who changed some of them wants.

use std::collections::BTreeMap;

use serde_json::Value;

use super::edit_fields::{PositionBody, SetBody};
use super::forms::Form;
use super::views::day;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::cover::{CoverFile, Party};
use crate::domain::edit::CoverEdit;
use crate::domain::position::{Position, SystemCode};
use crate::outlet::start_of_day;
use crate::registry::FieldChange;

/// Fields of a cover by name, as a form writes them; nothing = not known.
pub(super) type Texts = BTreeMap<String, String>;

/// The fields that make up a position.
pub(super) const POSITION: [&str; 7] = ["x", "y", "crs", "method", "accuracy_m", "surveyed_on", "device"];
/// The other fields that a cover has.
pub(super) const FIELDS: [&str; 12] = [
    "class",
    "state",
    "material",
    "shape",
    "load_class",
    "owner",
    "maintainer",
    "supervisor",
    "district",
    "road",
    "address",
    "placement",
];
/// How the fields of the census begin.
pub(super) const EXTRA: &str = "extra:";

/// The texts of a cover as it is.
pub(super) fn texts(state: &AppState, file: &CoverFile) -> Texts {
    let survey = &file.survey;
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    let party = |party: &Option<Party>| party.as_ref().map_or_else(String::new, |party| party.id.to_string());
    let mut texts: Texts = [
        ("class", survey.class.to_string()),
        ("state", survey.state.to_string()),
        ("material", word(survey.material.map(|it| it.as_str()))),
        ("shape", word(survey.shape.map(|it| it.as_str()))),
        ("load_class", word(survey.load_class.map(|it| it.as_str()))),
        ("owner", party(&file.owner)),
        ("maintainer", party(&file.maintainer)),
        ("supervisor", party(&file.supervisor)),
        ("district", survey.district.clone()),
        ("road", word(survey.road.as_deref())),
        ("address", word(survey.address.as_deref())),
        ("placement", word(survey.placement.map(|it| it.as_str()))),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text))
    .collect();
    texts.extend(survey.extra.iter().map(|(name, value)| (format!("{EXTRA}{name}"), value.clone())));
    texts.extend(position_texts(state, &survey.position));
    texts
}

fn position_texts(state: &AppState, position: &Position) -> Texts {
    let day = position.surveyed_at.map(|at| day(&state.config, at));
    [
        ("x", position.raw.x.to_string()),
        ("y", position.raw.y.to_string()),
        ("crs", SystemCode(position.raw.epsg).to_string()),
        ("method", position.method.to_string()),
        ("accuracy_m", position.accuracy_m.map_or_else(String::new, |meters| meters.to_string())),
        ("surveyed_on", day.unwrap_or_default()),
        ("device", position.device.clone().unwrap_or_default()),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text))
    .collect()
}

/// The texts that a form showed: those of the cover now, with what changed since taken back.
pub(super) fn texts_before(
    now: &Texts,
    state: &AppState,
    changes: &[FieldChange],
    parties: &[Party],
) -> Texts {
    let mut before = now.clone();
    for change in changes {
        let text = change.before.as_str().unwrap_or_default();
        match change.field.as_str() {
            "owner" | "maintainer" | "supervisor" => {
                let party = parties.iter().find(|party| party.name == text);
                before.insert(
                    change.field.clone(),
                    party.map_or_else(String::new, |party| party.id.to_string()),
                );
            }
            "position" => {
                if let Ok(position) = serde_json::from_value::<Position>(change.before.clone()) {
                    before.extend(position_texts(state, &position));
                }
            }
            field if FIELDS.contains(&field) => {
                before.insert(change.field.clone(), text.to_owned());
            }
            field => match (field.strip_prefix("extra."), &change.before) {
                (Some(name), Value::Null) => {
                    before.remove(&format!("{EXTRA}{name}"));
                }
                (Some(name), _) => {
                    before.insert(format!("{EXTRA}{name}"), text.to_owned());
                }
                _ => {}
            },
        }
    }
    before
}

/// What somebody typed into the form of a cover, all fields of it.
pub(super) fn typed(form: &Form) -> Texts {
    let mut typed: Texts = FIELDS
        .iter()
        .chain(&POSITION)
        .filter_map(|name| Some(((*name).to_owned(), form.given(name)?.to_owned())))
        .collect();
    let extra = form.beginning(EXTRA).map(|(name, value)| (format!("{EXTRA}{name}"), lines(value)));
    typed.extend(extra);
    if let Some(name) = form.field("extra_name") {
        typed.insert(format!("{EXTRA}{name}"), lines(form.field("extra_value").unwrap_or_default()));
    }
    typed
}

/// Browsers send line breaks as two characters.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// The fields in which two texts differ; a position is one field. A field that the form did not have is
/// not touched.
pub(super) fn touched<'t>(before: &Texts, typed: &'t Texts) -> Vec<&'t str> {
    let differs = |name: &str| {
        let before = before.get(name).map_or("", String::as_str);
        typed.get(name).is_some_and(|text| text.as_str() != before && !same_number(name, text, before))
    };
    let own = typed.keys().map(String::as_str).filter(|name| !POSITION.contains(name) && differs(name));
    own.chain(POSITION.iter().any(|name| differs(name)).then_some("position")).collect()
}

/// Coordinates of the history have been through JSON, which may cost them their last digit.
fn same_number(name: &str, one: &str, other: &str) -> bool {
    let numbers = POSITION.contains(&name).then(|| one.parse::<f64>().ok().zip(other.parse::<f64>().ok()));
    numbers.flatten().is_some_and(|(one, other)| (one - other).abs() <= 1e-12 * one.abs())
}

/// The edit that sets these fields to what was typed.
pub(super) async fn edit(
    state: &AppState,
    now: &CoverFile,
    fields: &[&str],
    typed: &Texts,
) -> Result<CoverEdit, Problem> {
    let text = |name: &str| typed.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let touched = |name: &str| fields.contains(&name);
    let needed = |name: &'static str| match (touched(name), text(name)) {
        (false, _) => Ok(None),
        (true, Some(text)) => Ok(Some(text.to_owned())),
        (true, None) => Err(Refusal::new("form.missing").at(name).with("field", name)),
    };
    let set = |name: &str| touched(name).then(|| text(name).map(str::to_owned));
    let extra = fields.iter().filter_map(|field| {
        let name = field.strip_prefix(EXTRA)?;
        Some((name.to_owned(), text(field).map(str::to_owned)))
    });
    let body = SetBody {
        class: needed("class")?,
        state: needed("state")?,
        district: needed("district")?,
        position: None,
        road: set("road"),
        address: set("address"),
        placement: set("placement"),
        material: set("material"),
        shape: set("shape"),
        load_class: set("load_class"),
        owner: set("owner"),
        maintainer: set("maintainer"),
        supervisor: set("supervisor"),
        extra: extra.collect(),
    };
    let mut edit = body.edit(state).await?;
    if touched("position") {
        edit.position = Some(position(state, now, typed).await?);
    }
    Ok(edit)
}

/// The position that somebody typed. The moment of the survey stays to the second where its day does.
pub(super) async fn position(state: &AppState, now: &CoverFile, typed: &Texts) -> Result<Position, Problem> {
    let text = |name: &str| typed.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let number = |name: &'static str| {
        text(name)
            .map(|text| {
                text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| {
                    let read = super::forms::shortened(text);
                    Refusal::new("form.number").at(name).with("field", name).with("read", read)
                })
            })
            .transpose()
    };
    let missing = |name: &'static str| Refusal::new("form.missing").at(name).with("field", name);
    let body = PositionBody {
        x: number("x")?.ok_or_else(|| missing("x"))?,
        y: number("y")?.ok_or_else(|| missing("y"))?,
        crs: text("crs").map(str::to_owned),
        method: text("method").map(str::to_owned),
        accuracy_m: number("accuracy_m")?,
        surveyed_at: None,
        device: text("device").map(str::to_owned),
    };
    let mut position = super::edit_fields::read_position(state, body).await?;
    let known = now.survey.position.surveyed_at;
    position.surveyed_at = match text("surveyed_on") {
        None => None,
        Some(typed) if known.is_some_and(|at| day(&state.config, at) == typed) => known,
        Some(typed) => Some(start_of_day("surveyed_on", typed, state.config.utc_offset_minutes, 0)?),
    };
    Ok(position)
}
