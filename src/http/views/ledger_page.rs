//! 台账: the lines, the same on the page and in its files.

use askama::Template;

use super::case_advice::span_words;
use super::words::Choice;
use super::{Page, write};
use crate::domain::case::{CaseSource, CaseState};
use crate::domain::cover::{CoverClass, District, Party};
use crate::domain::hazard::Hazard;
use crate::domain::ids::{Millis, PartyId};
use crate::domain::role::Role;
use crate::messages::{Catalogue, Language};
use crate::outlet::{Cell, Table, TableColumn, TableKind};
use crate::registry::LedgerLine;
use TableKind::{Text, Time, Whole};

/// What the page shows.
pub struct LedgerView<'a> {
    /// The filters as they stand in the address.
    pub query: &'a [(&'static str, &'a str)],
    /// The same as the query of an address.
    pub address: &'a str,
    pub lines: &'a [LedgerLine],
    /// Lines on all pages.
    pub count: usize,
    /// The last number of this page, where another one follows.
    pub next: Option<&'a str>,
    pub parties: &'a [Party],
    pub districts: &'a [District],
}

/// The columns in their order, on the page and in files.
const COLUMNS: [(&str, TableKind); 18] = [
    ("number", Text),
    ("state", Text),
    ("source", Text),
    ("hazard", Text),
    ("class", Text),
    ("code", Text),
    ("road", Text),
    ("district", Text),
    ("party", Text),
    ("reported", Time),
    ("filed", Time),
    ("dispatched", Time),
    ("handled", Time),
    ("closed", Time),
    ("due", Time),
    ("late", Text),
    ("reworks", Whole),
    ("strike_number", Text),
];

struct Row {
    number: String,
    is_overdue: bool,
    /// Heading and text of each column but the first.
    cells: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage<'a> {
    page: Page<'a>,
    periods: Vec<(&'static str, &'static str, &'a str)>,
    lists: Vec<(&'static str, &'static str, Vec<Choice>)>,
    text: &'a str,
    count: String,
    rows: Vec<Row>,
    next: Option<String>,
    files: [(String, &'static str); 2],
}

fn heading(catalogue: &'static Catalogue, name: &str) -> &'static str {
    catalogue.text(match name {
        "number" => "desk.number",
        "state" => "desk.state",
        "source" => "case.source",
        "hazard" => "desk.hazard",
        "class" => "fact.class",
        "code" => "desk.code",
        "road" => "fact.road",
        "district" => "desk.district",
        "party" => "desk.party",
        "reported" => "desk.created",
        "filed" => "ledger.filed",
        "dispatched" => "ledger.dispatched",
        "handled" => "ledger.handled",
        "closed" => "ledger.closed",
        "due" => "desk.due",
        "late" => "ledger.late",
        "reworks" => "ledger.reworks",
        _ => "ledger.strike_number",
    })
}

/// The head of a file of the ledger.
pub fn ledger_table(page: &Page) -> Table {
    let column = |(name, kind): (&'static str, TableKind)| TableColumn {
        name,
        kind,
        title_zh: heading(Catalogue::of(Language::Zh), name).to_owned(),
        title_en: heading(Catalogue::of(Language::En), name).to_owned(),
        heading: heading(Catalogue::of(page.catalogue.language()), name).to_owned(),
    };
    Table {
        name: "ledger",
        columns: COLUMNS.map(column).into(),
        rows: Vec::new(),
        made_at: page.now,
        utc_offset_minutes: page.config.utc_offset_minutes,
    }
}

/// A line in the words of the reader, a cell for each column.
pub fn ledger_cells(
    page: &Page,
    (parties, districts): (&[Party], &[District]),
    line: &LedgerLine,
) -> Vec<Cell> {
    let text = |text: Option<String>| text.map_or(Cell::Nothing, Cell::Text);
    let at = |at: Option<Millis>| at.map_or(Cell::Nothing, Cell::Time);
    let late = (line.late_ms > 0).then(|| match (span_words(page, line.late_ms), line.exempt) {
        (late, false) => late,
        (late, true) => page.fill("ledger.exempt_late", "late", late),
    });
    vec![
        Cell::Text(line.number.clone()),
        Cell::Text(page.word("case_state", line.state)),
        Cell::Text(page.word("case_source", line.source)),
        Cell::Text(page.word("hazard", line.hazard)),
        text(line.class.map(|class| page.word("class", class))),
        text(line.code.as_ref().map(|code| page.code(code))),
        text(line.road.clone()),
        Cell::Text(district_name(page, districts, &line.district)),
        text(line.party.map(|party| party_name(parties, party))),
        at(Some(line.created_at)),
        at(line.filed_at),
        at(line.dispatched_at),
        at(line.handled_at),
        at(line.closed_at),
        at(line.due_at),
        text(late),
        Cell::Whole(line.counts.reworks),
        text(line.strike_number.clone()),
    ]
}

pub(super) fn district_name(page: &Page, districts: &[District], code: &str) -> String {
    let known = districts.iter().find(|district| district.code == code);
    known.map_or_else(|| code.to_owned(), |district| page.district(district).to_owned())
}

pub(super) fn party_name(parties: &[Party], id: PartyId) -> String {
    parties.iter().find(|party| party.id == id).map_or_else(|| id.to_string(), |party| party.name.clone())
}

/// A list to choose from; the first choice is not to choose.
pub(super) fn choices<'w>(
    page: &Page,
    chosen: &str,
    words: impl IntoIterator<Item = (String, String)> + 'w,
) -> Vec<Choice> {
    let any = (String::new(), page.t("desk.any").to_owned());
    let choice = |(value, word): (String, String)| Choice { chosen: value == chosen, value, word };
    [any].into_iter().chain(words).map(choice).collect()
}

/// District, party, class and source, of which a handler does not choose the party.
pub(super) fn common_lists(
    page: &Page,
    (parties, districts): (&[Party], &[District]),
    of: impl Fn(&str) -> String,
) -> Vec<(&'static str, &'static str, Vec<Choice>)> {
    let names = districts.iter().map(|one| (one.code.clone(), page.district(one).to_owned()));
    let mut lists = vec![("district", "desk.district", choices(page, &of("district"), names))];
    if page.session.is_none_or(|session| session.user.role != Role::Handler) {
        let names = parties.iter().map(|one| (one.id.to_string(), one.name.clone()));
        lists.push(("party", "desk.party", choices(page, &of("party"), names)));
    }
    let words = CoverClass::ALL.iter().map(|class| (class.to_string(), page.word("class", class)));
    lists.push(("class", "fact.class", choices(page, &of("class"), words)));
    let words = CaseSource::ALL.iter().map(|source| (source.to_string(), page.word("case_source", source)));
    lists.push(("source", "case.source", choices(page, &of("source"), words)));
    lists
}

/// The ledger.
pub fn ledger(page: &Page, view: &LedgerView) -> String {
    let of = |name: &str| {
        let pair = view.query.iter().find(|(known, _)| *known == name);
        pair.map_or("", |(_, value)| *value)
    };
    let names = (view.parties, view.districts);
    let mut lists = common_lists(page, names, |name| of(name).to_owned());
    let words = Hazard::ALL.iter().map(|hazard| (hazard.to_string(), page.word("hazard", hazard)));
    lists.push(("hazard", "desk.hazard", choices(page, of("hazard"), words)));
    let open = ("open".to_owned(), page.word("desk_states", "open"));
    let states = CaseState::ALL.iter().map(|state| (state.to_string(), page.word("case_state", state)));
    lists.push(("state", "desk.state", choices(page, of("state"), [open].into_iter().chain(states))));
    let late = ["overdue", "late", "exempt"].map(|word| (word.to_owned(), page.word("ledger_late", word)));
    lists.push(("late", "ledger.late", choices(page, of("late"), late)));
    let and = if view.address.is_empty() { "" } else { "&" };
    let row = |line: &LedgerLine| {
        let cells = ledger_cells(page, names, line).into_iter().zip(COLUMNS).skip(1);
        Row {
            number: line.number.clone(),
            is_overdue: line.state.is_open() && line.due_at.is_some_and(|due| due <= page.now),
            cells: cells.map(|(cell, (name, _))| (heading_of(page, name), shown(page, cell))).collect(),
        }
    };
    write(&LedgerPage {
        page: *page,
        periods: [
            ("from", "ledger.reported_from"),
            ("until", "ledger.reported_until"),
            ("closed_from", "ledger.closed_from"),
            ("closed_until", "ledger.closed_until"),
        ]
        .map(|(name, key)| (name, key, of(name)))
        .into(),
        lists,
        text: of("text"),
        count: page.fill("ledger.count", "count", view.count),
        rows: view.lines.iter().map(row).collect(),
        next: view.next.map(|last| format!("/desk/ledger?{}{and}before={last}", view.address)),
        files: [("xlsx", "download.xlsx"), ("csv", "download.csv")]
            .map(|(format, key)| (format!("/desk/ledger/export?format={format}{and}{}", view.address), key)),
    })
}

/// Moments as the page writes them, for files that know only text.
pub fn ledger_as_shown(page: &Page, cells: Vec<Cell>) -> Vec<Cell> {
    let as_text = |cell| match cell {
        Cell::Time(at) => Cell::Text(page.date_time(at)),
        other => other,
    };
    cells.into_iter().map(as_text).collect()
}

fn heading_of(page: &Page, name: &str) -> &'static str {
    heading(Catalogue::of(page.catalogue.language()), name)
}

fn shown(page: &Page, cell: Cell) -> String {
    match cell {
        Cell::Nothing => "–".to_owned(),
        Cell::Text(text) => text,
        Cell::Whole(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Time(at) => page.date_time(at),
    }
}
