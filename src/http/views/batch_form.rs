//! 制作铭牌: the form on which plates are ordered.

use std::collections::BTreeMap;

use askama::Template;

use super::field_words::choices;
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::ids::IdempotencyKey;
use crate::domain::plate::Finish;
use crate::domain::plate_batch::PrinterRecord;
use crate::plates::{Face, Level, Sheet};
use crate::registry::AreaName;

/// What the form shows.
pub struct BatchForm<'a> {
    pub names: Names<'a>,
    pub areas: &'a [(AreaKind, AreaName)],
    pub faces: &'a [Face],
    pub sheets: &'a [Sheet],
    pub printers: &'a [PrinterRecord],
    /// What was typed so far.
    pub texts: &'a BTreeMap<String, String>,
    pub key: IdempotencyKey,
    pub most: usize,
    pub wrong: Option<&'a Refusal>,
}

#[derive(Template)]
#[template(path = "batch_form.html")]
struct FormPage<'a> {
    page: Page<'a>,
    by: &'a str,
    texts: &'a BTreeMap<String, String>,
    districts: Vec<Choice>,
    classes: Vec<Choice>,
    area_classes: Vec<Choice>,
    outline_classes: Vec<Choice>,
    areas: Vec<Choice>,
    faces: Vec<Choice>,
    sheets: Vec<Choice>,
    levels: Vec<Choice>,
    finishes: Vec<Choice>,
    printers: Vec<Choice>,
    unprinted: bool,
    key: String,
    most: usize,
    wrong: Option<String>,
}

impl FormPage<'_> {
    fn typed(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    fn is_by(&self, by: &str) -> bool {
        self.by == by
    }
}

/// The form.
pub fn batch_form(page: &Page, form: &BatchForm) -> String {
    let typed = |name: &str| form.texts.get(name).map_or("", String::as_str);
    let chosen = |name: &str, usual: &'static str| match typed(name) {
        "" => usual.to_owned(),
        text => text.to_owned(),
    };
    let named = |names: Vec<String>, chosen: String| -> Vec<Choice> {
        names.into_iter().map(|id| Choice { chosen: id == chosen, word: id.clone(), value: id }).collect()
    };
    let area = |(kind, area): &(AreaKind, AreaName)| {
        let value = format!("{kind}:{}", area.code);
        let name = if page.is_chinese() { &area.name_zh } else { &area.name_en };
        Choice {
            chosen: typed("area") == value,
            word: format!("{} {name}", page.word("area_kind", kind)),
            value,
        }
    };
    let finish = |finish: &Finish| Choice {
        value: finish.to_string(),
        word: page.word("finish", finish),
        chosen: typed("finish") == finish.as_str(),
    };
    let mut faces: Vec<String> = form.faces.iter().map(|face| face.id.clone()).collect();
    let mut sheets: Vec<String> = form.sheets.iter().map(|sheet| sheet.id.clone()).collect();
    // One of the city's own stands for the one of the same name that comes with the program.
    let mut seen = std::collections::HashSet::new();
    faces.retain(|id| seen.insert(id.clone()));
    seen.clear();
    sheets.retain(|id| seen.insert(id.clone()));
    let printers = form.printers.iter().map(|printer| printer.name.clone()).collect();
    write(&FormPage {
        page: *page,
        by: if typed("by").is_empty() { "filter" } else { typed("by") },
        texts: form.texts,
        districts: choices(page, form.names, "district", typed("district")),
        classes: choices(page, form.names, "class", typed("class")),
        area_classes: choices(page, form.names, "class", typed("area_class")),
        outline_classes: choices(page, form.names, "class", typed("outline_class")),
        areas: form.areas.iter().map(area).collect(),
        faces: named(faces, chosen("face", "rect-90x60")),
        sheets: named(sheets, chosen("sheet", "a4")),
        levels: named(Level::ALL.iter().map(ToString::to_string).collect(), typed("level").to_owned()),
        finishes: Finish::ALL.iter().map(finish).collect(),
        printers: named(printers, typed("printer").to_owned()),
        unprinted: !typed("unprinted").is_empty(),
        key: form.key.to_string(),
        most: form.most,
        wrong: form.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}
