//! 打印机校准: how to measure a printer, and what was measured.

use askama::Template;

use super::words::Choice;
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::plate_batch::PrinterRecord;
use crate::plates::{Rulers, Sheet};

/// What the page shows.
pub struct PrintersView<'a> {
    /// Sheets that can be measured on.
    pub sheets: &'a [(Sheet, Rulers)],
    pub printers: &'a [PrinterRecord],
    /// What was typed before it was refused.
    pub typed: &'a [(String, String)],
    pub wrong: Option<&'a Refusal>,
}

#[derive(Template)]
#[template(path = "plate_printers.html")]
struct PrintersPage<'a> {
    page: Page<'a>,
    sheets: Vec<Choice>,
    /// What the rulers of each sheet ought to measure.
    stated: Vec<String>,
    printers: &'a [PrinterRecord],
    typed: &'a [(String, String)],
    wrong: Option<String>,
}

impl PrintersPage<'_> {
    fn said(&self, name: &str) -> &str {
        self.typed.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// The page.
pub fn printers(page: &Page, view: &PrintersView) -> String {
    let asked = view.typed.iter().find(|(name, _)| name == "sheet").map_or("a4", |(_, value)| value.as_str());
    let name = |sheet: &Sheet| if page.is_chinese() { sheet.name_zh.clone() } else { sheet.name_en.clone() };
    let html = PrintersPage {
        page: *page,
        sheets: view
            .sheets
            .iter()
            .map(|(sheet, _)| Choice {
                value: sheet.id.clone(),
                word: name(sheet),
                chosen: sheet.id == asked,
            })
            .collect(),
        stated: view
            .sheets
            .iter()
            .map(|(sheet, rulers)| {
                let (across, down) = (rulers.across.to_string(), rulers.down.to_string());
                page.catalogue
                    .fill("printers.stated", &[("sheet", &name(sheet)), ("across", &across), ("down", &down)])
            })
            .collect(),
        printers: view.printers,
        typed: view.typed,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal(refusal)),
    };
    write(&html)
}

/// The lines of instructions on a calibration page.
pub fn calibration_words(page: &Page, rulers: &Rulers) -> Vec<String> {
    let (across, down) = (rulers.across.to_string(), rulers.down.to_string());
    let edge = rulers.left.to_string();
    let values = [("across", across.as_str()), ("down", down.as_str()), ("edge", edge.as_str())];
    ["printers.line1", "printers.line2", "printers.line3", "printers.line4", "printers.line5"]
        .into_iter()
        .map(|key| page.catalogue.fill(key, &values))
        .collect()
}
