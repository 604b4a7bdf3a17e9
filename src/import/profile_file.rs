//! A profile as its file has it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::dates::DateFormat;
use super::kept::KeptFile;
use super::profile::Field;
use crate::crs::Area;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    pub(super) id: String,
    pub(super) version: u32,
    pub(super) name_zh: String,
    pub(super) name_en: String,
    /// Name of the source, where the user gives none; the id unless given.
    pub(super) source: Option<String>,
    pub(super) scheme: Option<String>,
    #[serde(default = "wgs84")]
    pub(super) epsg: u32,
    /// What every file of its kind is looked at for, instead of what follows.
    #[serde(default)]
    pub(super) propose: bool,
    /// Columns and values of the synonyms are understood behind those that are named here.
    #[serde(default)]
    pub(super) synonyms: bool,
    /// A name that stands over two columns means the first; the second is `name (2)`.
    #[serde(default)]
    pub(super) numbered_repeats: bool,
    #[serde(default)]
    pub(super) districts_by_position: bool,
    pub(super) bbox: Option<Area>,
    pub(super) delimiter: Option<char>,
    #[serde(default)]
    pub(super) guards_formulas: bool,
    #[serde(default)]
    pub(super) unknown: Vec<String>,
    #[serde(default)]
    pub(super) dates: DatesFile,
    #[serde(default)]
    pub(super) drop: Vec<String>,
    #[serde(default)]
    pub(super) leave_out: Vec<String>,
    #[serde(default)]
    pub(super) keep: BTreeMap<String, KeptFile>,
    #[serde(default)]
    pub(super) fields: BTreeMap<Field, FieldFile>,
    #[serde(default)]
    pub(super) files: Vec<FilePattern>,
}

fn wgs84() -> u32 {
    4326
}

/// What a file's name says about every row in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilePattern {
    /// With `*` for any characters, without regard to case.
    pub(super) name: String,
    pub(super) set: BTreeMap<Field, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatesFile {
    pub(super) formats: Vec<DateFormat>,
    #[serde(default = "utc")]
    pub(super) zone: String,
    pub(super) years_from: Option<i64>,
    /// Years and days that mean "unknown".
    #[serde(default)]
    pub(super) unknown_years: Vec<i32>,
    #[serde(default)]
    pub(super) unknown_days: Vec<String>,
}

fn utc() -> String {
    "Z".into()
}

impl Default for DatesFile {
    fn default() -> Self {
        Self {
            formats: vec![DateFormat::Iso, DateFormat::Slash],
            zone: utc(),
            years_from: None,
            unknown_years: Vec::new(),
            unknown_days: Vec::new(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldFile {
    #[serde(default)]
    pub(super) columns: Vec<String>,
    pub(super) default: Option<String>,
    pub(super) keep: Option<String>,
    #[serde(default)]
    pub(super) unknown: Vec<String>,
    #[serde(default)]
    pub(super) lenient: bool,
    /// Of a length, where it is not the one in the field's name.
    pub(super) unit: Option<String>,
    /// Our word → the spellings of the source.
    #[serde(default)]
    pub(super) values: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) not_a_cover: Vec<String>,
}
