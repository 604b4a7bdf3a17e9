//! Columns that a profile keeps beside the fields: under a name of its own, with a code table where
//! the source has one, with days written as days, and without what stands for "unknown".

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::mapping::is_one_of;
use super::place::decimal_comma;
use super::profile::{Profile, plain};
use super::units::{Units, convert};

/// What a profile says of a kept column: `name = ["COLUMN"]`, or a table with more.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum KeptFile {
    Columns(Vec<String>),
    Table(KeptTable),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptTable {
    columns: Vec<String>,
    /// Words that mean "unknown" in these columns.
    #[serde(default)]
    unknown: Vec<String>,
    /// Description → the codes that stand for it.
    #[serde(default)]
    values: BTreeMap<String, Vec<String>>,
    /// Days in any of the profile's forms, which are kept as `2023-05-06`.
    #[serde(default)]
    date: bool,
    /// Unit of the numbers, and the one in which they are kept.
    unit: Option<String>,
    kept_unit: Option<String>,
    /// Numbers that mean "unknown", however many zeros they have behind the point.
    #[serde(default)]
    unknown_numbers: Vec<f64>,
}

impl KeptFile {
    pub(super) fn columns(&self) -> &[String] {
        match self {
            Self::Columns(columns) | Self::Table(KeptTable { columns, .. }) => columns,
        }
    }
}

/// How a column is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) name: String,
    /// In small letters.
    unknown: Vec<String>,
    values: HashMap<String, String>,
    date: bool,
    /// From the unit of the source to the one in which it is kept.
    factor: Option<f64>,
    unknown_numbers: Vec<f64>,
}

impl Kept {
    /// Says why a table cannot be meant.
    pub(super) fn read(name: &str, said: &KeptFile, units: &Units) -> Result<Self, String> {
        let mut kept = Self {
            name: name.to_owned(),
            unknown: Vec::new(),
            values: HashMap::new(),
            date: false,
            factor: None,
            unknown_numbers: Vec::new(),
        };
        if let KeptFile::Table(table) = said {
            kept.date = table.date;
            kept.unknown_numbers.clone_from(&table.unknown_numbers);
            kept.factor = match (&table.unit, &table.kept_unit) {
                (None, None) => None,
                (Some(from), Some(to)) => {
                    let factor = units.factor(from, to);
                    Some(factor.ok_or_else(|| format!("{name}: {from} or {to} is no unit of length"))?)
                }
                _ => return Err(format!("{name} needs both unit and kept_unit, or neither")),
            };
            kept.unknown = table.unknown.iter().map(|word| plain(word)).collect();
            for (description, codes) in &table.values {
                for code in codes {
                    if kept.values.insert(plain(code), description.clone()).is_some() {
                        return Err(format!("{name} reads {code} in two ways"));
                    }
                }
            }
        }
        Ok(kept)
    }

    /// What is kept of a text; `None` = it means "unknown". What is in no table stays as it is.
    pub(super) fn spelled<'t>(&'t self, text: &'t str, profile: &Profile) -> Option<Cow<'t, str>> {
        if is_one_of(&self.unknown, text) {
            return None;
        }
        if self.date
            && let Some((at, format)) = profile.day_of(text)
        {
            let known = !profile.is_unknown_day(at);
            return known.then(|| format.write(at, profile.calendar).into());
        }
        if self.factor.is_some() || !self.unknown_numbers.is_empty() {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            if let Some(number) = number.or_else(|| decimal_comma(text)) {
                if self.unknown_numbers.contains(&number) {
                    return None;
                }
                if let Some(factor) = self.factor {
                    return Some(convert(number, factor).to_string().into());
                }
            }
        }
        let described = if self.values.is_empty() { None } else { self.values.get(&plain(text)) };
        Some(described.map_or(Cow::Borrowed(text), |words| Cow::Borrowed(words.as_str())))
    }
}
