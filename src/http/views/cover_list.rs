//! The list of covers, with its filters in the address.

use askama::Template;

use super::downloads::downloads;
use super::field_words::choices;
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::cover::CoverFile;
use crate::domain::role::Role;

/// What the list shows.
pub struct CoverListView<'a> {
    pub covers: &'a [CoverFile],
    pub names: Names<'a>,
    /// The filters by name, as they stand in the address.
    pub filters: &'a [(&'static str, &'a str)],
    /// The same as the query of an address.
    pub query: &'a str,
    /// The last cover of a full page.
    pub next: Option<String>,
}

struct Row {
    digits: String,
    code: String,
    class_word: String,
    class_key: &'static str,
    place: String,
    address: String,
    state: String,
    owner: Option<String>,
    material: String,
    retired: Option<String>,
}

/// A filter that is chosen from a list.
pub(super) struct Filter {
    pub name: &'static str,
    pub label: String,
    pub choices: Vec<Choice>,
    /// Whether "not known" can be asked for.
    pub unknown: bool,
    pub unknown_chosen: bool,
}

#[derive(Template)]
#[template(path = "covers.html")]
struct ListPage<'a> {
    page: Page<'a>,
    rows: Vec<Row>,
    filters: Vec<Filter>,
    standings: Vec<Choice>,
    road: &'a str,
    text: &'a str,
    without_plate: bool,
    bbox: &'a str,
    query: &'a str,
    next: Option<String>,
    may_edit: bool,
    /// Addresses of files with what the list shows; none for those who may not.
    downloads: Vec<(String, String)>,
}

/// The page.
pub fn cover_list(page: &Page, view: &CoverListView) -> String {
    let value =
        |name: &str| view.filters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
    let role = page.session.map(|session| session.user.role);
    write(&ListPage {
        page: *page,
        rows: view.covers.iter().map(|file| row(page, file)).collect(),
        filters: filters(page, view.names, value),
        standings: ["in_use", "retired", "any"]
            .map(|word| Choice {
                value: word.to_owned(),
                word: page.word("standing", word),
                chosen: word == if value("standing").is_empty() { "in_use" } else { value("standing") },
            })
            .into(),
        road: value("road"),
        text: value("text"),
        without_plate: value("without_plate") == "true",
        bbox: value("bbox"),
        query: view.query,
        next: view.next.as_ref().map(|last| {
            let query = if view.query.is_empty() { String::new() } else { format!("{}&", view.query) };
            format!("/covers?{query}cursor={last}")
        }),
        may_edit: matches!(role, Some(Role::Engineer | Role::Admin)),
        downloads: match role {
            Some(Role::Supervisor | Role::Engineer | Role::Admin) => {
                let formats = ["xlsx", "csv", "gpkg", "geojson", "shp"];
                downloads(page, "/api/v1/covers/export", view.query, &formats)
            }
            _ => Vec::new(),
        },
    })
}

/// The filters that are chosen from lists.
pub(super) fn filters<'v>(page: &Page, names: Names, value: impl Fn(&str) -> &'v str) -> Vec<Filter> {
    let filter = |name: &'static str, unknown: bool| Filter {
        name,
        label: page.word("fact", name),
        choices: choices(page, names, name, value(name)),
        unknown,
        unknown_chosen: value(name) == "unknown",
    };
    vec![
        filter("district", false),
        filter("class", false),
        filter("state", false),
        filter("placement", true),
        filter("material", true),
        filter("load_class", true),
        filter("owner", true),
        filter("maintainer", true),
    ]
}

fn row(page: &Page, file: &CoverFile) -> Row {
    let survey = &file.survey;
    Row {
        digits: file.code.digits.clone(),
        code: page.code(&file.code),
        class_word: page.word("class", survey.class),
        class_key: survey.class.as_str(),
        place: page.place(file),
        address: survey.address.clone().unwrap_or_default(),
        state: page.word("state", survey.state),
        owner: file.owner.as_ref().map(|party| party.name.clone()),
        material: survey.material.map_or_else(String::new, |it| page.word("material", it)),
        retired: file.retired.as_ref().map(|retired| page.word("retire_reason", retired.reason)),
    }
}
