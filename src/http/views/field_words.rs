//! Fields of a cover in people's words: what a field is called, what a value says, what became of it.

use serde_json::Value;

use super::Page;
use super::words::{Choice, Names};
use crate::domain::cover::{CoverClass, CoverState, District, LoadClass, Material, Party, Placement, Shape};
use crate::domain::edit::CodeChoice;
use crate::domain::position::{Position, PositionMethod};

/// What a field is called: `material`, `extra.编号` or, in a form, `extra:编号`.
pub(super) fn label(page: &Page, field: &str) -> String {
    match field.strip_prefix("extra.").or_else(|| field.strip_prefix("extra:")) {
        Some(column) => column.to_owned(),
        None => page.word("fact", field),
    }
}

/// The list in which the words of a field stand.
fn list_of(field: &str) -> Option<&'static str> {
    Some(match field {
        "class" => "class",
        "state" => "state",
        "placement" => "placement",
        "material" => "material",
        "shape" => "shape",
        "method" => "position_method",
        "retired" => "retire_reason",
        "plates" => "plates_go",
        _ => return None,
    })
}

/// A text of a form in words.
pub(super) fn text(page: &Page, names: Names, field: &str, text: &str) -> String {
    if text.is_empty() {
        return page.t("value.none").to_owned();
    }
    match field {
        "district" => district(page, names.districts, text),
        "owner" | "maintainer" | "supervisor" => {
            let party = names.parties.iter().find(|party| party.id.to_string() == text || party.name == text);
            party.map_or_else(|| text.to_owned(), |party| party.name.clone())
        }
        "code" => code(page, text),
        _ => list_of(field).map_or_else(|| text.to_owned(), |list| page.word(list, text)),
    }
}

/// A value of the history in words.
pub(super) fn value(page: &Page, names: Names, field: &str, value: &Value) -> String {
    match value {
        Value::Null => text(page, names, field, ""),
        Value::String(stored) => text(page, names, field, stored),
        Value::Object(_) if field == "position" => match serde_json::from_value::<Position>(value.clone()) {
            Ok(known) => position(page, &known),
            Err(_) => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// `118.5900000, 37.4600000 ± 0.05 m · RTK survey`
pub(super) fn position(page: &Page, position: &Position) -> String {
    let accuracy = position.accuracy_m.map_or_else(String::new, |meters| format!(" ± {meters} m"));
    let method = page.word("position_method", position.method);
    format!("{:.7}, {:.7}{accuracy} · {method}", position.lon, position.lat)
}

/// `Material: cast iron → composite`
pub(super) fn change_words(page: &Page, names: Names, field: &str, pair: &Value) -> String {
    let side = |side: &Value| match side {
        Value::Null if field == "code" => page.t("value.new_code").to_owned(),
        Value::Null if field == "retired" => page.word("standing", "in_use"),
        side => value(page, names, field, side),
    };
    let (before, after) = (side(&pair[0]), side(&pair[1]));
    page.catalogue
        .fill("value.change", &[("field", &label(page, field)), ("before", &before), ("after", &after)])
}

fn district(page: &Page, districts: &[District], code: &str) -> String {
    let known = districts.iter().find(|district| district.code == code);
    known.map_or_else(|| code.to_owned(), |known| page.district(known).to_owned())
}

/// Digits in the groups of the scheme that they fit.
pub(super) fn code(page: &Page, digits: &str) -> String {
    let scheme = page.schemes.values().find(|scheme| scheme.parse(digits).is_ok());
    scheme.map_or_else(|| digits.to_owned(), |scheme| scheme.grouped(digits))
}

/// The choices of a field, with the one that is chosen; nothing for a field that is typed.
pub(super) fn choices(page: &Page, names: Names, field: &str, chosen: &str) -> Vec<Choice> {
    let choice = |value: String, word: String| Choice { chosen: value == chosen, value, word };
    let each = |words: Vec<&'static str>| {
        let list = list_of(field).unwrap_or_default();
        words.into_iter().map(|word| choice(word.to_owned(), page.word(list, word))).collect()
    };
    let party = |party: &Party| choice(party.id.to_string(), party.name.clone());
    match field {
        "class" => each(CoverClass::ALL.iter().map(|it| it.as_str()).collect()),
        "state" => each(CoverState::ALL.iter().map(|it| it.as_str()).collect()),
        "placement" => each(Placement::ALL.iter().map(|it| it.as_str()).collect()),
        "material" => each(Material::ALL.iter().map(|it| it.as_str()).collect()),
        "shape" => each(Shape::ALL.iter().map(|it| it.as_str()).collect()),
        "method" => each(PositionMethod::ALL.iter().map(|it| it.as_str()).collect()),
        "load_class" => LoadClass::ALL.iter().map(|it| choice(it.to_string(), it.to_string())).collect(),
        "code_choice" => {
            CodeChoice::ALL.iter().map(|it| choice(it.to_string(), page.word("code_choice", it))).collect()
        }
        "owner" | "maintainer" | "supervisor" => names.parties.iter().map(party).collect(),
        "district" => names
            .districts
            .iter()
            .map(|known| choice(known.code.clone(), page.district(known).to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

/// Fields that somebody must choose: a cover always has one.
pub(super) fn is_needed(field: &str) -> bool {
    matches!(field, "class" | "state" | "district" | "method")
}
