//! Which column of a file of areas has the code and which the name: as a person says, or by the headers in
//! use.

use serde::{Deserialize, Serialize};

use super::super::shown;
use super::features::Feature;
use crate::domain::Refusal;

/// Which columns say what, and how codes are written out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AreaColumns {
    /// `None` = by its header.
    pub code: Option<String>,
    /// The name that people read; Chinese where there are two. `None` = by its header.
    pub name: Option<String>,
    /// `None` = by its header, else the same name.
    pub name_en: Option<String>,
    /// Digits before every code of the file.
    pub code_prefix: String,
    /// Length to which zeros between prefix and code fill it up; 0 = as it is.
    pub code_length: usize,
}

/// A column of a file of areas with some of what stands in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AreaColumn {
    pub name: String,
    pub samples: Vec<String>,
}

/// Headers of codes and names, the surest first: those of the national standards for districts and unit
/// grids (GB/T 2260, GB/T 30428.1), of the land survey's databases, and of what is found elsewhere.
const CODES: [&str; 26] = [
    "code",
    "区划代码",
    "行政区划代码",
    "行政区代码",
    "区划编码",
    "xzqdm",
    "xzdm",
    "adcode",
    "pac",
    "qhdm",
    "网格编码",
    "网格代码",
    "单元网格编码",
    "bgcode",
    "grid_code",
    "gridcode",
    "管理区代码",
    "代码",
    "编码",
    "dm",
    "bm",
    "geoid",
    "objcode",
    "district",
    "id",
    "@id",
];
const NAMES: [&str; 22] = [
    "name_zh",
    "name",
    "名称",
    "区划名称",
    "行政区名称",
    "行政区划名称",
    "xzqmc",
    "xzmc",
    "qhmc",
    "网格名称",
    "单元网格名称",
    "bgname",
    "grid_name",
    "gridname",
    "管理区名称",
    "name_cn",
    "fullname",
    "objname",
    "mc",
    "label",
    "title",
    "namelsad",
];
const ENGLISH: [&str; 6] = ["name_en", "英文名称", "english", "ename", "name_eng", "en_name"];

/// Columns that were chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) name_en: Option<String>,
}

/// Columns that are shown, and values of each.
const SHOWN: usize = 60;
const SAMPLES: usize = 3;

/// The columns of a file in the order in which they are met.
pub(super) fn columns_of(features: &[Feature]) -> Vec<AreaColumn> {
    let mut columns: Vec<AreaColumn> = Vec::new();
    for (name, text) in features.iter().flat_map(|feature| &feature.cells) {
        let at = match columns.iter().position(|column| column.name == *name) {
            Some(at) => at,
            None if columns.len() == SHOWN => continue,
            None => {
                columns.push(AreaColumn { name: name.clone(), samples: Vec::new() });
                columns.len() - 1
            }
        };
        let (samples, text) = (&mut columns[at].samples, shown(text.trim()));
        if samples.len() < SAMPLES && !text.is_empty() && !samples.contains(&text) {
            samples.push(text);
        }
    }
    columns
}

impl AreaColumns {
    /// The columns to read. Refuses a file in which code or name cannot be told, with what it has.
    pub(super) fn choose(&self, columns: &[AreaColumn]) -> Result<Chosen, Refusal> {
        let code = choose(columns, self.code.as_deref(), &CODES);
        let name = choose(columns, self.name.as_deref(), &NAMES);
        let name_en = choose(columns, self.name_en.as_deref(), &ENGLISH);
        let missing = |which: &'static str| {
            let fits: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            Refusal::new("area.column")
                .at(which)
                .with("area_column", which)
                .with("fits", shown(&fits.join(", ")))
        };
        Ok(Chosen {
            code: code.ok_or_else(|| missing("code"))?,
            name: name.ok_or_else(|| missing("name"))?,
            name_en,
        })
    }

    pub(super) fn written_out(&self, code: &str) -> String {
        let zeros = self.code_length.saturating_sub(self.code_prefix.len() + code.len());
        format!("{}{}{code}", self.code_prefix, "0".repeat(zeros))
    }
}

/// The column that a person names; else the first header in use under which something stands.
fn choose(columns: &[AreaColumn], said: Option<&str>, headers: &[&str]) -> Option<String> {
    let found = match said {
        Some(said) => columns.iter().find(|column| column.name == said),
        None => headers.iter().find_map(|header| {
            columns
                .iter()
                .find(|column| !column.samples.is_empty() && column.name.trim().to_lowercase() == *header)
        }),
    };
    found.map(|column| column.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_name_are_found_by_their_headers_unless_a_person_says_otherwise() {
        let column = |name: &str, sample: &str| AreaColumn {
            name: name.into(),
            samples: (!sample.is_empty()).then(|| sample.to_owned()).into_iter().collect(),
        };
        let columns =
            [column("ID", "1"), column("CODE", ""), column("XZQDM", "370502"), column("XZQMC", "东营区")];
        let auto = AreaColumns::default();
        let chosen = auto.choose(&columns).unwrap();
        assert_eq!((chosen.code.as_str(), chosen.name.as_str(), chosen.name_en), ("XZQDM", "XZQMC", None));
        let said = AreaColumns { code: Some("ID".into()), ..AreaColumns::default() };
        assert_eq!(said.choose(&columns).unwrap().code, "ID");
        let said = AreaColumns { name: Some("nothing".into()), ..AreaColumns::default() };
        let refusal = said.choose(&columns).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), ("area.column", Some("name")));
    }
}
