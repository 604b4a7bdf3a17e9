//! Changes of many covers: the form, the look before it is carried out, and what came of it.

use std::collections::BTreeMap;

use askama::Template;

use super::field_words::{self, change_words, choices, is_needed, label};
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::edit::{BulkRowState, BulkState, CodeChoice};
use crate::domain::ids::IdempotencyKey;
use crate::registry::{BulkEdit, BulkLine, BulkRecord};

/// What the form shows.
pub struct BulkForm<'a> {
    pub names: Names<'a>,
    /// Which covers, by the names of the filters.
    pub filters: &'a [(&'static str, &'a str)],
    /// The same as the query of an address.
    pub query: &'a str,
    pub texts: &'a BTreeMap<String, String>,
    pub code: CodeChoice,
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

/// A field that may be set for all.
struct Settable {
    name: &'static str,
    label: String,
    choices: Vec<Choice>,
    open: bool,
    unknown_chosen: bool,
}

#[derive(Template)]
#[template(path = "bulk_form.html")]
struct FormPage<'a> {
    page: Page<'a>,
    which: Vec<String>,
    query: &'a str,
    fields: Vec<Settable>,
    codes: Vec<Choice>,
    road: &'a str,
    clear_road: bool,
    extra_name: &'a str,
    extra_value: &'a str,
    reason: &'a str,
    key: String,
    wrong: Option<String>,
}

/// Fields that many covers may have in common and that are chosen from a list.
pub const CHOSEN: [&str; 10] = [
    "class",
    "state",
    "material",
    "shape",
    "load_class",
    "owner",
    "maintainer",
    "supervisor",
    "district",
    "placement",
];

/// The form.
pub fn bulk_form(page: &Page, form: &BulkForm) -> String {
    let text = |name: &str| form.texts.get(name).map_or("", String::as_str);
    write(&FormPage {
        page: *page,
        which: which(page, form.names, form.filters),
        query: form.query,
        fields: CHOSEN
            .iter()
            .map(|name| Settable {
                name,
                label: label(page, name),
                choices: choices(page, form.names, name, text(name)),
                open: !is_needed(name),
                unknown_chosen: text(name) == "unknown",
            })
            .collect(),
        codes: choices(page, form.names, "code_choice", form.code.as_str()),
        road: text("road"),
        clear_road: !text("clear_road").is_empty(),
        extra_name: text("extra_name"),
        extra_value: text("extra_value"),
        reason: text("reason"),
        key: form.key.to_string(),
        wrong: form.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// Filters in words: `Class: sewage`.
fn which(page: &Page, names: Names, filters: &[(&'static str, &str)]) -> Vec<String> {
    filters
        .iter()
        .map(|(name, value)| {
            let words = match *name {
                "standing" => page.word("standing", value),
                "without_plate" => page.word("yes_no", value),
                _ if *value == "unknown" => page.t("value.none").to_owned(),
                name => field_words::text(page, names, name, value),
            };
            page.catalogue.fill("bulk.filter", &[("field", &label(page, name)), ("value", &words)])
        })
        .collect()
}

/// What the page of a change shows.
pub struct BulkView<'a> {
    pub edit: &'a BulkEdit,
    pub names: Names<'a>,
    pub filters: &'a [(&'static str, &'a str)],
    /// Some that it changes.
    pub changed: &'a [BulkLine],
    /// Some that were left alone.
    pub left: &'a [BulkLine],
    /// Covers of one state, page by page, instead of these.
    pub one_state: Option<OneState<'a>>,
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

/// Every cover that stands in one state.
pub struct OneState<'a> {
    pub state: BulkRowState,
    pub lines: &'a [BulkLine],
    pub next: Option<String>,
}

struct LineView {
    digits: String,
    code: String,
    place: String,
    changes: Vec<String>,
    refusal: Option<String>,
}

struct Count {
    state: &'static str,
    word: String,
    count: i64,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct BulkPage<'a> {
    page: Page<'a>,
    id: String,
    state: &'static str,
    state_word: String,
    which: Vec<String>,
    sets: Vec<String>,
    record: &'a BulkRecord,
    who: String,
    created: String,
    applied: Option<String>,
    undone: Option<(String, String)>,
    counts: Vec<Count>,
    waiting: i64,
    done: i64,
    changed: Vec<LineView>,
    left: Vec<LineView>,
    one_state: Option<(String, Vec<LineView>, Option<String>)>,
    key: String,
    wrong: Option<String>,
}

/// The page of one change.
pub fn bulk_edit(page: &Page, view: &BulkView) -> String {
    let record = &view.edit.record;
    let lines = |lines: &[BulkLine]| lines.iter().map(|shown| line(page, view.names, shown)).collect();
    write(&BulkPage {
        page: *page,
        id: record.id.to_string(),
        state: record.state.as_str(),
        state_word: page.word("bulk_state", record.state),
        which: which(page, view.names, view.filters),
        sets: sets(page, view),
        record,
        who: view.names.who(page, &record.actor),
        created: page.date_time(record.created_at),
        applied: record.applied_at.map(|at| page.date_time(at)),
        undone: record
            .undone_by
            .as_ref()
            .zip(record.undone_at)
            .map(|(who, at)| (view.names.who(page, who), page.date_time(at))),
        counts: BulkRowState::ALL
            .iter()
            .map(|state| Count {
                state: state.as_str(),
                word: page.word("bulk_row_state", state),
                count: view.edit.count(*state),
            })
            .filter(|count| count.count > 0)
            .collect(),
        waiting: view.edit.count(BulkRowState::Waiting),
        done: view.edit.count(BulkRowState::Applied),
        changed: lines(view.changed),
        left: lines(view.left),
        one_state: view.one_state.as_ref().map(|one| {
            let next = one
                .next
                .as_ref()
                .map(|last| format!("/bulk-edits/{}?state={}&cursor={last}", record.id, one.state));
            (page.word("bulk_row_state", one.state), lines(one.lines), next)
        }),
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// What is set, in words.
fn sets(page: &Page, view: &BulkView) -> Vec<String> {
    let set = serde_json::to_value(&view.edit.set.set).unwrap_or_default();
    let mut words = Vec::new();
    let mut add = |field: &str, value: &serde_json::Value| {
        let value = match field {
            "owner" | "maintainer" | "supervisor" => {
                field_words::text(page, view.names, field, value.as_str().unwrap_or_default())
            }
            _ => field_words::value(page, view.names, field, value),
        };
        words.push(page.catalogue.fill("bulk.set", &[("field", &label(page, field)), ("value", &value)]));
    };
    for (field, value) in set.as_object().into_iter().flatten() {
        match value.as_object().filter(|_| field == "extra") {
            Some(extra) => extra.iter().for_each(|(name, value)| add(&format!("extra.{name}"), value)),
            None => add(field, value),
        }
    }
    words
}

fn line(page: &Page, names: Names, line: &BulkLine) -> LineView {
    let refusal = line.refusal.as_ref().map(|refusal| {
        let mut params = refusal.params.clone();
        for (name, value) in &mut params {
            match name.as_str() {
                "by" => *value = names.who(page, value),
                "fields" => {
                    let fields: Vec<String> = value.split(", ").map(|field| label(page, field)).collect();
                    *value = fields.join(page.t("list.comma"));
                }
                _ => {}
            }
        }
        page.catalogue.stored_refusal_in_words(&refusal.code, &params)
    });
    LineView {
        digits: line.cover.code.digits.clone(),
        code: page.code(&line.cover.code),
        place: page.place(&line.cover),
        changes: line.fields.iter().map(|(field, pair)| change_words(page, names, field, pair)).collect(),
        refusal,
    }
}

struct Row {
    id: String,
    state_word: String,
    reason: String,
    who: String,
    created: String,
    matched: i64,
}

#[derive(Template)]
#[template(path = "bulk_list.html")]
struct ListPage<'a> {
    page: Page<'a>,
    rows: Vec<Row>,
    next: Option<String>,
}

/// The list of changes; `next` is the last of a full page.
pub fn bulk_list(page: &Page, records: &[BulkRecord], names: Names, next: Option<String>) -> String {
    write(&ListPage {
        page: *page,
        rows: records
            .iter()
            .map(|record| Row {
                id: record.id.to_string(),
                state_word: page.word("bulk_state", record.state),
                reason: record.reason.clone(),
                who: names.who(page, &record.actor),
                created: page.date_time(record.created_at),
                matched: record.matched,
            })
            .collect(),
        next,
    })
}

impl BulkView<'_> {
    /// Whether the page should be asked for again in a moment.
    pub fn is_moving(&self) -> bool {
        matches!(self.edit.record.state, BulkState::Applying | BulkState::Undoing | BulkState::Previewing)
    }
}
