//! 典型案例: the examples of a quarter.

use askama::Template;

use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::ids::IdempotencyKey;
use crate::domain::meeting::Quarter;
use crate::registry::ExemplaryFile;

/// What the list of examples shows.
pub struct ExemplaryView<'a> {
    pub files: &'a [ExemplaryFile],
    pub quarter: Quarter,
    /// Typed already.
    pub number: &'a str,
    pub sentence: &'a str,
    pub may_mark: bool,
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

struct Row {
    number: String,
    hazard: String,
    state: String,
    state_key: &'static str,
    code: Option<(String, String)>,
    place: String,
    party: String,
    reported: String,
    closed: String,
    sentence: String,
    key: String,
}

#[derive(Template)]
#[template(path = "exemplary.html")]
struct ListPage<'a> {
    page: Page<'a>,
    title: String,
    quarter: String,
    before: String,
    after: String,
    rows: Vec<Row>,
    number: &'a str,
    sentence: &'a str,
    may_mark: bool,
    key: String,
    wrong: Option<String>,
}

fn row(page: &Page, file: &ExemplaryFile) -> Row {
    Row {
        number: file.case.number.clone(),
        hazard: page.word("hazard", file.case.hazard),
        state: page.word("case_state", file.case.state),
        state_key: file.case.state.as_str(),
        code: file.cover.as_ref().map(|cover| (cover.code.digits.clone(), page.code(&cover.code))),
        place: file.cover.as_ref().map(|cover| page.place(cover)).unwrap_or_default(),
        party: file.party.as_ref().map(|party| party.name.clone()).unwrap_or_default(),
        reported: page.date(file.case.created_at),
        closed: file.case.closed_at.map(|at| page.date(at)).unwrap_or_default(),
        sentence: file.mark.sentence.clone(),
        key: IdempotencyKey::fresh().to_string(),
    }
}

/// `2026 年第 4 季度`.
fn quarter_words(page: &Page, quarter: Quarter) -> String {
    let values = [("year", quarter.year.to_string()), ("quarter", quarter.quarter.to_string())];
    page.catalogue
        .fill("exemplary.quarter_words", &[(values[0].0, &values[0].1), (values[1].0, &values[1].1)])
}

/// The list of a quarter.
pub fn exemplary_list(page: &Page, view: &ExemplaryView) -> String {
    write(&ListPage {
        page: *page,
        title: quarter_words(page, view.quarter),
        quarter: view.quarter.to_string(),
        before: view.quarter.step(-1).to_string(),
        after: view.quarter.step(1).to_string(),
        rows: view.files.iter().map(|file| row(page, file)).collect(),
        number: view.number,
        sentence: view.sentence,
        may_mark: view.may_mark,
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// The headings of that list as a file.
pub fn exemplary_headings(page: &Page) -> Vec<String> {
    let keys = [
        "exemplary.quarter",
        "desk.number",
        "desk.hazard",
        "desk.state",
        "desk.code",
        "desk.place",
        "desk.party",
        "desk.created",
        "exemplary.closed",
        "exemplary.sentence",
    ];
    keys.map(|key| page.t(key).to_owned()).into()
}

/// A line of that file.
pub fn exemplary_cells(page: &Page, file: &ExemplaryFile) -> Vec<String> {
    let row = row(page, file);
    vec![
        file.mark.quarter.to_string(),
        row.number,
        row.hazard,
        row.state,
        row.code.map(|(digits, _)| digits).unwrap_or_default(),
        row.place,
        row.party,
        row.reported,
        row.closed,
        row.sentence,
    ]
}
