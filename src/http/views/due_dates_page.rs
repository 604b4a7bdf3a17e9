//! 到期: dates at which nets and covers must be looked at.

use askama::Template;

use super::words::{Names, joined};
use super::{Page, field_words, write};
use crate::domain::Refusal;
use crate::domain::code::ComponentCode;
use crate::domain::ids::Millis;
use crate::domain::task::TaskRules;
use crate::registry::DueLine;

pub struct DueDatesView<'a> {
    pub names: Names<'a>,
    pub lines: &'a [DueLine],
    pub is_more: bool,
    pub until: Millis,
    pub rules: &'a TaskRules,
    /// What was typed and could not be set.
    pub given: &'a str,
    /// By line.
    pub wrong: &'a [(usize, Refusal)],
}

struct DueRow {
    digits: String,
    code: String,
    place: String,
    kind: String,
    due: String,
    is_over: bool,
    has_task: bool,
}

#[derive(Template)]
#[template(path = "due_dates.html")]
struct DuePage<'a> {
    page: Page<'a>,
    rows: Vec<DueRow>,
    is_more: bool,
    until: String,
    rules: &'a TaskRules,
    given: &'a str,
    wrong: Vec<String>,
}

/// Dates at which nets and covers must be looked at, and how to set them.
pub fn due_dates(page: &Page, view: &DueDatesView) -> String {
    let row = |line: &DueLine| {
        let district = field_words::text(page, view.names, "district", &line.district);
        DueRow {
            digits: line.code.clone(),
            code: page.code(&ComponentCode { scheme: line.scheme.clone(), digits: line.code.clone() }),
            place: joined([line.road.as_deref(), Some(district.as_str())]),
            kind: page.word("task_kind", line.due.kind),
            due: page.date(line.due.due_at),
            is_over: line.due.due_at < page.now,
            has_task: line.has_task,
        }
    };
    let wrong = view.wrong.iter().map(|(line, refusal)| {
        let values = [("line", line.to_string()), ("sentence", page.catalogue.refusal_in_words(refusal))];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        page.catalogue.fill("due_dates.wrong_line", &values)
    });
    write(&DuePage {
        page: *page,
        rows: view.lines.iter().map(row).collect(),
        is_more: view.is_more,
        until: page.date(Millis(view.until.0 - 1)),
        rules: view.rules,
        given: view.given,
        wrong: wrong.collect(),
    })
}
