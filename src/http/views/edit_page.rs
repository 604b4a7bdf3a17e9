//! The fields of a cover as a form; where somebody else changed the same field since, both values side
//! by side to choose from.

use std::collections::BTreeMap;

use askama::Template;

use super::field_words::{self, change_words, choices, is_needed, label};
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::edit::CodeChoice;
use crate::domain::ids::IdempotencyKey;
use crate::registry::Meanwhile;

/// What stands around every form about a cover.
#[derive(Clone, Copy)]
pub struct FormAround<'a> {
    pub file: &'a CoverFile,
    /// Of this form alone.
    pub key: IdempotencyKey,
    pub names: Names<'a>,
    pub reason: &'a str,
    pub wrong: Option<&'a Refusal>,
    /// What happened since the person opened the form.
    pub meanwhile: Option<&'a Meanwhile>,
}

/// The same, ready to be shown.
pub(super) struct Head {
    pub digits: String,
    pub code: String,
    pub class_word: String,
    pub class_key: &'static str,
    pub place: String,
    pub version: i64,
    pub key: String,
    pub reason: String,
    pub wrong: Option<String>,
    pub meanwhile: Vec<Since>,
}

/// What somebody changed since.
pub(super) struct Since {
    pub what: String,
    pub who: String,
    pub at: String,
}

impl Head {
    pub(super) fn new(page: &Page, around: FormAround) -> Self {
        let FormAround { file, key, names, reason, wrong, meanwhile } = around;
        let since = meanwhile.map_or(&[][..], |meanwhile| &meanwhile.changes).iter().map(|change| {
            let pair = serde_json::json!([change.before, change.after]);
            let what = match change.field.as_str() {
                "manhole" => page.t("edit.moved_manhole").to_owned(),
                field => change_words(page, names, field, &pair),
            };
            Since { what, who: names.who(page, &change.actor), at: page.date_time(change.at) }
        });
        Self {
            digits: file.code.digits.clone(),
            code: page.code(&file.code),
            class_word: page.word("class", file.survey.class),
            class_key: file.survey.class.as_str(),
            place: page.place(file),
            version: file.version,
            key: key.to_string(),
            reason: reason.to_owned(),
            wrong: wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
            meanwhile: since.collect(),
        }
    }
}

/// A field that two people changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// As the form names it; `position` for all that makes one up.
    pub field: String,
    pub theirs: String,
    pub mine: String,
}

/// What the form shows.
pub struct EditView<'a> {
    pub around: FormAround<'a>,
    /// What stands in the fields, by their names.
    pub texts: &'a BTreeMap<String, String>,
    pub clashes: &'a [Clash],
    pub code: CodeChoice,
    /// How the fields of the census begin.
    pub extra: &'static str,
}

/// A field of the form.
pub(super) struct Field {
    pub name: String,
    pub label: String,
    pub value: String,
    /// Empty for a field that is typed.
    pub choices: Vec<Choice>,
    /// It may be left open.
    pub open: bool,
    pub long: bool,
    pub date: bool,
    pub both: Option<Both>,
}

/// Two values to choose from.
pub(super) struct Both {
    pub theirs: String,
    pub theirs_words: String,
    pub mine: String,
    pub mine_words: String,
    pub who: String,
}

#[derive(Template)]
#[template(path = "cover_form.html")]
struct EditPage<'a> {
    page: Page<'a>,
    head: Head,
    own: Vec<Field>,
    parties: Vec<Field>,
    place: Vec<Field>,
    position: Vec<Field>,
    /// Where two changed the position.
    both_positions: Option<Both>,
    extra: Vec<Field>,
    codes: Vec<Choice>,
    covers_here: i64,
}

/// The form.
pub fn cover_form(page: &Page, view: &EditView) -> String {
    let fields = |names: &[&str]| names.iter().map(|name| field(page, view, name)).collect::<Vec<_>>();
    let extra = view.texts.keys().filter(|name| name.starts_with(view.extra));
    let both_positions = view.clashes.iter().find(|clash| clash.field == "position");
    write(&EditPage {
        page: *page,
        head: Head::new(page, view.around),
        own: fields(&["class", "state", "material", "shape", "load_class"]),
        parties: fields(&["owner", "maintainer", "supervisor"]),
        place: fields(&["district", "road", "address", "placement"]),
        position: fields(&["x", "y", "crs", "method", "accuracy_m", "surveyed_on", "device"]),
        both_positions: both_positions.map(|clash| Both {
            theirs: "theirs".to_owned(),
            theirs_words: field_words::position(page, &view.around.file.survey.position),
            mine: "mine".to_owned(),
            mine_words: clash.mine.clone(),
            who: who(page, view, "position"),
        }),
        extra: extra.map(|name| field(page, view, name)).collect(),
        codes: choices(page, view.around.names, "code_choice", view.code.as_str()),
        covers_here: view.around.file.covers_here,
    })
}

fn field(page: &Page, view: &EditView, name: &str) -> Field {
    let names = view.around.names;
    let value = view.texts.get(name).cloned().unwrap_or_default();
    let clash = view.clashes.iter().find(|clash| clash.field == name);
    Field {
        label: label(page, name),
        choices: choices(page, names, name, &value),
        open: !is_needed(name),
        long: value.contains('\n'),
        date: name == "surveyed_on",
        both: clash.map(|clash| Both {
            theirs_words: field_words::text(page, names, name, &clash.theirs),
            mine_words: field_words::text(page, names, name, &clash.mine),
            theirs: clash.theirs.clone(),
            mine: clash.mine.clone(),
            who: who(page, view, name),
        }),
        name: name.to_owned(),
        value,
    }
}

/// Who changed a field last, and when.
fn who(page: &Page, view: &EditView, field: &str) -> String {
    let stored = field.replacen(view.extra, "extra.", 1);
    let changes = view.around.meanwhile.map_or(&[][..], |meanwhile| &meanwhile.changes);
    let change = changes.iter().find(|change| change.field == stored || change.field == field);
    change.map_or_else(String::new, |change| {
        format!("{} · {}", view.around.names.who(page, &change.actor), page.date_time(change.at))
    })
}
