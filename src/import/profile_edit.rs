//! Changes of a profile as a person makes them in a form: column by column, on the profile's own text, so
//! that what the form does not show stays.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::DateOrder;
use super::lexicon::Lexicon;
use super::profile::Field;
use crate::domain::Refusal;

/// What a column is to be taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnUse {
    Field(Field),
    /// Kept under a name; its unit, where it is a length.
    Attribute {
        name: String,
        unit: Option<String>,
    },
    /// Kept under its own name.
    AsItIs,
    LeftOut,
}

/// What is to become otherwise; what is not named stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    pub id: Option<String>,
    pub version: Option<u32>,
    pub source: Option<String>,
    pub epsg: Option<u32>,
    pub dates: Option<DateOrder>,
    /// By the name of the column.
    pub columns: BTreeMap<String, ColumnUse>,
    /// Our word for a spelling of the source; blank = "unknown".
    pub values: BTreeMap<(Field, String), String>,
    /// What stands in a field where a row says nothing.
    pub defaults: BTreeMap<Field, String>,
}

/// The text of the changed profile. Refuses a text that is no TOML; whether the profile can be meant,
/// [`super::Profile::from_toml_in`] says.
pub fn change_profile(text: &str, change: &ProfileChange, lexicon: &Lexicon) -> Result<String, Refusal> {
    let mut profile: Table = toml::from_str(text)
        .map_err(|error| Refusal::new("profile.unreadable").with("reason", error.message()))?;
    let said = [("id", &change.id), ("source", &change.source)];
    for (key, text) in said {
        if let Some(text) = text {
            profile.insert(key.into(), text.clone().into());
        }
    }
    let numbers = [("version", change.version), ("epsg", change.epsg)];
    for (key, number) in numbers {
        if let Some(number) = number {
            profile.insert(key.into(), Value::Integer(i64::from(number)));
        }
    }
    for (column, usage) in &change.columns {
        forget(&mut profile, column);
        put(&mut profile, column, usage, lexicon);
    }
    for ((field, spelling), word) in &change.values {
        put_value(&mut profile, *field, spelling, word);
    }
    for (field, text) in &change.defaults {
        let said = table(table(&mut profile, "fields"), field.as_str());
        if text.is_empty() {
            said.remove("default");
        } else {
            said.insert("default".into(), text.clone().into());
        }
    }
    if let Some(order) = change.dates {
        put_order(&mut profile, order);
    }
    Ok(toml::to_string_pretty(&profile).expect("a table that was read can be written"))
}

/// The unit in which the profile reads what it keeps under a name; `None` = as it stands.
pub fn unit_kept_in(text: &str, attribute: &str) -> Option<String> {
    let profile: Table = toml::from_str(text).ok()?;
    let said = profile.get("keep")?.get(attribute)?;
    said.get("unit")?.as_str().map(str::to_owned)
}

fn table<'t>(parent: &'t mut Table, key: &str) -> &'t mut Table {
    let there = parent.entry(key).or_insert_with(|| Value::Table(Table::new()));
    if !there.is_table() {
        *there = Value::Table(Table::new());
    }
    there.as_table_mut().expect("it was made a table just now")
}

fn texts<'t>(parent: &'t mut Table, key: &str) -> &'t mut Vec<Value> {
    let there = parent.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    if !there.is_array() {
        *there = Value::Array(Vec::new());
    }
    there.as_array_mut().expect("it was made a list just now")
}

fn is_name(value: &Value, column: &str) -> bool {
    value.as_str().is_some_and(|text| super::profile::plain(text) == super::profile::plain(column))
}

/// Takes a column out of all that names it.
fn forget(profile: &mut Table, column: &str) {
    texts(profile, "drop").retain(|name| !is_name(name, column));
    for (_, said) in table(profile, "fields").iter_mut() {
        if let Some(columns) = said.get_mut("columns").and_then(Value::as_array_mut) {
            columns.retain(|name| !is_name(name, column));
        }
    }
    let keep = table(profile, "keep");
    let mut empty = Vec::new();
    for (name, said) in keep.iter_mut() {
        let columns = match said {
            Value::Array(columns) => Some(columns),
            Value::Table(table) => table.get_mut("columns").and_then(Value::as_array_mut),
            _ => None,
        };
        if let Some(columns) = columns {
            columns.retain(|name| !is_name(name, column));
            if columns.is_empty() {
                empty.push(name.clone());
            }
        }
    }
    for name in empty {
        keep.remove(&name);
    }
}

fn put(profile: &mut Table, column: &str, usage: &ColumnUse, lexicon: &Lexicon) {
    match usage {
        ColumnUse::AsItIs => {}
        ColumnUse::LeftOut => texts(profile, "drop").push(column.into()),
        ColumnUse::Field(field) => {
            let said = table(table(profile, "fields"), field.as_str());
            texts(said, "columns").insert(0, column.into());
            if !said.contains_key("values") && !lexicon.spellings(*field).is_empty() {
                let list =
                    |list: &[String]| Value::Array(list.iter().map(|text| text.clone().into()).collect());
                let spellings = lexicon.spellings(*field).iter();
                let values = spellings.map(|(word, spellings)| (word.clone(), list(spellings))).collect();
                said.insert("values".into(), Value::Table(values));
            }
        }
        ColumnUse::Attribute { name, unit } => {
            let mut said = Table::new();
            said.insert("columns".into(), Value::Array(vec![column.into()]));
            let meant = lexicon.find_attribute(name);
            let ours = meant.and_then(|meant| meant.unit.clone());
            match (unit, ours) {
                (Some(unit), Some(ours)) => {
                    let numbers =
                        lexicon.unknown_numbers.iter().chain(meant.map_or(&[][..], |meant| &meant.numbers));
                    let numbers = numbers.map(|number| Value::Float(*number)).collect();
                    said.insert("unknown_numbers".into(), Value::Array(numbers));
                    said.insert("unit".into(), unit.clone().into());
                    said.insert("kept_unit".into(), ours.into());
                }
                _ if meant.is_some_and(|meant| meant.date) => drop(said.insert("date".into(), true.into())),
                _ => {}
            }
            table(profile, "keep").insert(name.clone(), Value::Table(said));
        }
    }
}

fn put_value(profile: &mut Table, field: Field, spelling: &str, word: &str) {
    let said = table(table(profile, "fields"), field.as_str());
    for (_, list) in table(said, "values").iter_mut() {
        if let Some(list) = list.as_array_mut() {
            list.retain(|name| !is_name(name, spelling));
        }
    }
    texts(said, "unknown").retain(|name| !is_name(name, spelling));
    match word {
        "" => texts(said, "unknown").push(spelling.into()),
        "not_a_cover" => texts(said, "not_a_cover").push(spelling.into()),
        word => texts(table(said, "values"), word).push(spelling.into()),
    }
}

/// Dates with slashes are read in this order and no other.
fn put_order(profile: &mut Table, order: DateOrder) {
    let formats = texts(table(profile, "dates"), "formats");
    formats.retain(|format| !matches!(format.as_str(), Some("us" | "day_first")));
    formats.push(match order {
        DateOrder::MonthFirst => "us".into(),
        DateOrder::DayFirst => "day_first".into(),
    });
    if formats.len() == 1 {
        formats.push("iso".into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::import::{City, Profile};

    const PROFILE: &str = r#"
id = "auto"
name_zh = "一"
name_en = "one"
source = "one"
version = 1
drop = ["people"]
epsg = 4490

[fields]
lon.columns = ["x"]
lat.columns = ["y"]
district.default = "370502"
road.columns = ["road"]
class.columns = ["kind"]
class.values = { sewage = ["污水"] }

[keep]
depth = { columns = ["deep"] }
"#;

    fn changed(change: &ProfileChange) -> String {
        let city = Arc::new(City::built_in());
        let text = change_profile(PROFILE, change, &city.lexicon).unwrap();
        Profile::from_toml_in(&text, &city).unwrap_or_else(|refusal| panic!("{refusal:?} in {text}"));
        text
    }

    fn columns(uses: &[(&str, ColumnUse)]) -> ProfileChange {
        let columns = uses.iter().map(|(column, usage)| ((*column).to_owned(), usage.clone()));
        ProfileChange { columns: columns.collect(), ..ProfileChange::default() }
    }

    #[test]
    fn a_column_stands_in_one_place_only() {
        let text = changed(&columns(&[
            ("ROAD", ColumnUse::AsItIs),
            ("deep", ColumnUse::Field(Field::Road)),
            ("people", ColumnUse::AsItIs),
            ("kind", ColumnUse::LeftOut),
        ]));
        let profile: Table = toml::from_str(&text).unwrap();
        assert_eq!(profile["fields"]["road"]["columns"].as_array().unwrap(), &["deep".into()]);
        assert!(profile["keep"].as_table().unwrap().is_empty(), "{text}");
        assert_eq!(profile["drop"].as_array().unwrap(), &["kind".into()]);
        assert!(profile["fields"]["class"]["columns"].as_array().unwrap().is_empty());
    }

    #[test]
    fn a_length_is_kept_in_our_unit() {
        let city = City::built_in();
        let name = city.lexicon.attributes().find(|name| city.lexicon.is_length(name)).unwrap().to_owned();
        let unit = Some("ft".to_owned());
        let text = changed(&columns(&[("deep", ColumnUse::Attribute { name: name.clone(), unit })]));
        assert_eq!(unit_kept_in(&text, &name).as_deref(), Some("ft"));
        assert_eq!(unit_kept_in(&text, "depth"), None);
    }

    #[test]
    fn a_spelling_means_one_word() {
        let said = [("雨水", "storm"), ("污水", "gas"), ("沼泽", "not_a_cover"), ("?!", "")];
        let values = said.map(|(spelling, word)| ((Field::Class, spelling.to_owned()), word.to_owned()));
        let text = changed(&ProfileChange { values: values.into(), ..ProfileChange::default() });
        let profile: Table = toml::from_str(&text).unwrap();
        let class = &profile["fields"]["class"];
        assert!(class["values"]["sewage"].as_array().unwrap().is_empty(), "{text}");
        assert_eq!(class["values"]["gas"].as_array().unwrap(), &["污水".into()]);
        assert_eq!(class["not_a_cover"].as_array().unwrap(), &["沼泽".into()]);
        assert_eq!(class["unknown"].as_array().unwrap(), &["?!".into()]);
    }
}
