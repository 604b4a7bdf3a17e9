//! The desk: the list of cases and one case with its moves.

use askama::Template;

use super::super::auth::percent_encode;
use super::words::{Choice, Line, Names, PublicCover, joined, lines};
use super::{CaseQuery, Page, write};
use crate::domain::Refusal;
use crate::domain::case::{CaseState, Evidence, MoveRule, PHOTO_LIMIT};
use crate::domain::cover::{District, Party};
use crate::domain::hazard::Hazard;
use crate::domain::ids::IdempotencyKey;
use crate::domain::role::Role;
use crate::photos::PhotoDigest;
use crate::registry::{CaseFile, CaseLine, PhotoRecord};

struct Row<'a> {
    line: &'a CaseLine,
    hazard: String,
    state: String,
    place: String,
    /// Digits for the address and groups to be read.
    code: Option<(&'a str, String)>,
    created: String,
}

#[derive(Template)]
#[template(path = "desk.html")]
struct DeskPage<'a> {
    page: Page<'a>,
    query: &'a CaseQuery,
    rows: Vec<Row<'a>>,
    states: Vec<Choice>,
    hazards: Vec<Choice>,
    districts: Vec<Choice>,
    /// Empty for handlers, who see their own party's cases only.
    parties: Vec<Choice>,
    next: Option<&'a str>,
    /// Addresses of files to be downloaded, with what they are; none for those who may not.
    downloads: Vec<(String, String)>,
    wrong: Option<String>,
}

/// Files of the cases that the list shows, and of all covers, for those who may have them.
fn downloads(page: &Page, query: &CaseQuery) -> Vec<(String, String)> {
    let Some(role) = page.session.map(|session| session.user.role) else { return Vec::new() };
    let mut files = Vec::new();
    let mut offer = |what: &str, format: &str, filters: &str| {
        let words = if format == "xlsx" { format!("&words={}", page.tag()) } else { String::new() };
        let address = format!("/api/v1/{what}/export?format={format}{words}{filters}");
        let name = page.catalogue.fill(
            &format!("download.{what}"),
            &[(
                "format",
                page.t(match format {
                    "xlsx" => "download.xlsx",
                    "gpkg" => "download.gpkg",
                    _ => "download.shp",
                }),
            )],
        );
        files.push((address, name));
    };
    if matches!(role, Role::Dispatcher | Role::Supervisor | Role::Engineer | Role::Admin) {
        let state = if query.state.is_empty() { "open" } else { &query.state };
        let filters: String = [
            ("state", state),
            ("hazard", &query.hazard),
            ("district", &query.district),
            ("party", &query.party),
            ("emergency", &query.emergency),
            ("text", &query.text),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("&{name}={}", percent_encode(value)))
        .collect();
        offer("cases", "xlsx", &filters);
    }
    if matches!(role, Role::Supervisor | Role::Engineer | Role::Admin) {
        ["xlsx", "gpkg", "shp"].iter().for_each(|format| offer("covers", format, ""));
    }
    files
}

/// The list of cases; `next` is the address of the page after it.
#[expect(clippy::too_many_arguments, reason = "one for each part of the page")]
pub fn case_list(
    page: &Page,
    query: &CaseQuery,
    cases: &[CaseLine],
    next: Option<&str>,
    districts: &[District],
    parties: &[Party],
    wrong: Option<&Refusal>,
) -> String {
    let choice = |value: String, word: String, chosen: &str| Choice { chosen: value == chosen, value, word };
    let chosen = if query.state.is_empty() { "open" } else { &query.state };
    let all = ["open", "all"].map(|word| choice(word.to_owned(), page.word("desk_states", word), chosen));
    let each =
        CaseState::ALL.iter().map(|state| choice(state.to_string(), page.word("case_state", state), chosen));
    let own_party_only = page.session.is_some_and(|session| session.user.role == Role::Handler);
    let parties = if own_party_only { &[] } else { parties };
    write(&DeskPage {
        page: *page,
        query,
        rows: cases
            .iter()
            .map(|line| Row {
                line,
                hazard: page.word("hazard", line.case.hazard),
                state: page.word("case_state", line.case.state),
                place: joined([
                    Some(if page.is_chinese() {
                        line.district_zh.as_str()
                    } else {
                        line.district_en.as_str()
                    }),
                    line.road.as_deref(),
                ]),
                code: line.code.as_ref().map(|code| (code.digits.as_str(), page.code(code))),
                created: page.date_time(line.case.created_at),
            })
            .collect(),
        states: all.into_iter().chain(each).collect(),
        hazards: Hazard::ALL
            .iter()
            .map(|hazard| choice(hazard.to_string(), page.word("hazard", hazard), &query.hazard))
            .collect(),
        districts: districts
            .iter()
            .map(|one| choice(one.code.clone(), page.district(one).to_owned(), &query.district))
            .collect(),
        parties: parties
            .iter()
            .map(|party| choice(party.id.to_string(), party.name.clone(), &query.party))
            .collect(),
        next,
        downloads: downloads(page, query),
        wrong: wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// A report as the desk reads it.
struct Said {
    tracking: String,
    at: String,
    description: String,
    contact: Option<String>,
    position: Option<String>,
}

/// A photo for staff.
pub(super) struct Shot {
    pub address: String,
    pub what: String,
    pub at: String,
}

impl Shot {
    pub(super) fn new(page: &Page, photo: &PhotoRecord) -> Self {
        Self {
            address: format!("/photos/{}", PhotoDigest(photo.digest)),
            what: page.word("photo_role", &photo.role),
            at: page.date_time(photo.created_at),
        }
    }
}

/// A move with the fields that it needs.
struct MoveForm {
    key: &'static str,
    word: String,
    to: String,
    party: bool,
    reason: bool,
    photo: bool,
    target: bool,
    until: bool,
    /// Of this form alone: two moves from one page are two requests.
    idempotency: IdempotencyKey,
}

impl MoveForm {
    fn new(page: &Page, rule: &MoveRule, idempotency: IdempotencyKey) -> Self {
        let needs = |evidence| rule.needs.contains(&evidence);
        Self {
            key: rule.made.as_str(),
            word: page.word("move", rule.made),
            to: page.word("case_state", rule.to),
            party: needs(Evidence::Party),
            reason: needs(Evidence::Reason),
            photo: needs(Evidence::Photo),
            target: needs(Evidence::Target),
            until: needs(Evidence::Until),
            idempotency,
        }
    }
}

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage<'a> {
    page: Page<'a>,
    file: &'a CaseFile,
    hazard: String,
    state: String,
    created: String,
    updated: String,
    until: Option<String>,
    cover: Option<PublicCover>,
    digits: &'a str,
    reports: Vec<Said>,
    photos: Vec<Shot>,
    lines: Vec<Line>,
    moves: Vec<MoveForm>,
    parties: Vec<Choice>,
    photo_limit: usize,
    wrong: Option<String>,
}

/// One case: everything around it, and a form for each move that this person can make now,
/// under a key of its own.
pub fn case_file(
    page: &Page,
    file: &CaseFile,
    moves: &[(&MoveRule, IdempotencyKey)],
    names: Names,
    wrong: Option<&Refusal>,
) -> String {
    let case = &file.case;
    let cover = file.cover.as_ref();
    let parties = names.parties;
    let likely = cover.and_then(|cover| cover.maintainer.as_ref().or(cover.owner.as_ref()));
    write(&CasePage {
        page: *page,
        file,
        hazard: page.word("hazard", case.hazard),
        state: page.word("case_state", case.state),
        created: page.date_time(case.created_at),
        updated: page.date_time(case.updated_at),
        until: case.until.map(|until| page.date(until)),
        cover: cover.map(|cover| PublicCover::new(page, cover)),
        digits: cover.map_or("", |cover| &cover.code.digits),
        reports: file
            .reports
            .iter()
            .map(|report| Said {
                tracking: report.tracking.clone(),
                at: page.date_time(report.created_at),
                description: report.description.clone(),
                contact: report.contact.clone(),
                position: report
                    .phone_position
                    .map(|at| format!("{:.6}, {:.6} ± {:.0} m", at.lon, at.lat, at.accuracy_m)),
            })
            .collect(),
        photos: file.photos.iter().map(|photo| Shot::new(page, photo)).collect(),
        lines: lines(page, names, &file.timeline),
        moves: moves.iter().map(|(rule, key)| MoveForm::new(page, rule, *key)).collect(),
        parties: parties
            .iter()
            .map(|party| Choice {
                value: party.id.to_string(),
                word: party.name.clone(),
                chosen: likely.is_some_and(|likely| likely.id == party.id),
            })
            .collect(),
        photo_limit: PHOTO_LIMIT,
        wrong: wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}
