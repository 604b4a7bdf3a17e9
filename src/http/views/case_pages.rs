//! The desk: the list of cases and one case with its moves.

use askama::Template;

use super::super::auth::percent_encode;
use super::ask_pages::AskView;
use super::case_advice::{AdviceView, DueView, limit_words};
use super::downloads::downloads;
use super::held_pages::HoldView;
use super::words::{Choice, Line, Names, PublicCover, joined, lines};
use super::{CaseQuery, Page, write};
use crate::domain::Refusal;
use crate::domain::case::{CaseMove, CaseSource, CaseState, Evidence, MoveRule, PHOTO_LIMIT};
use crate::domain::case_ask::AskKind;
use crate::domain::citizen::{CitizenWord, Voice};
use crate::domain::cover::{District, Party};
use crate::domain::hazard::Hazard;
use crate::domain::ids::IdempotencyKey;
use crate::domain::role::{Actor, Role};
use crate::domain::routing::Routed;
use crate::photos::PhotoDigest;
use crate::registry::{CaseAdvice, CaseFile, CaseLine, PhotoRecord, is_releasable};

/// Puts the phone's place into the forms of moves; they work without.
pub const CASE_SCRIPT: &str = include_str!("../../../assets/web/case.js");

struct Row<'a> {
    line: &'a CaseLine,
    hazard: String,
    state: String,
    place: String,
    /// Digits for the address and groups to be read.
    code: Option<(&'a str, String)>,
    due: Option<DueView>,
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
    sources: Vec<Choice>,
    dues: Vec<Choice>,
    orders: Vec<Choice>,
    next: Option<&'a str>,
    /// Cases that wait for a look because of doubts.
    held: i64,
    /// Addresses of files to be downloaded, with what they are; none for those who may not.
    downloads: Vec<(String, String)>,
    wrong: Option<String>,
}

/// The file of the cases that the list shows, for those who may have it.
fn case_downloads(page: &Page, query: &CaseQuery) -> Vec<(String, String)> {
    let role = page.session.map(|session| session.user.role);
    if !matches!(role, Some(Role::Dispatcher | Role::Supervisor | Role::Engineer | Role::Admin)) {
        return Vec::new();
    }
    let state = if query.state.is_empty() { "open" } else { &query.state };
    let filters: Vec<String> = [
        ("state", state),
        ("hazard", &query.hazard),
        ("district", &query.district),
        ("party", &query.party),
        ("emergency", &query.emergency),
        ("source", &query.source),
        ("text", &query.text),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| format!("{name}={}", percent_encode(value)))
    .collect();
    downloads(page, "/api/v1/cases/export", &filters.join("&"), &["xlsx", "gpkg"])
}

/// The list of cases; `next` is the address of the page after it.
#[expect(clippy::too_many_arguments, reason = "one for each part of the page")]
pub fn case_list(
    page: &Page,
    query: &CaseQuery,
    cases: &[CaseLine],
    (next, held): (Option<&str>, i64),
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
                due: DueView::new(page, &line.case, page.now),
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
        sources: CaseSource::ALL
            .iter()
            .map(|source| choice(source.to_string(), page.word("case_source", source), &query.source))
            .collect(),
        dues: ["", "today", "overdue", "long_overdue"]
            .map(|due| {
                choice(
                    due.to_owned(),
                    page.word("desk_due", if due.is_empty() { "any" } else { due }),
                    &query.due,
                )
            })
            .into(),
        orders: ["", "urgent", "due"]
            .map(|order| {
                let word = page.word("desk_order", if order.is_empty() { "newest" } else { order });
                choice(order.to_owned(), word, &query.order)
            })
            .into(),
        next,
        held,
        downloads: case_downloads(page, query),
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
    /// Where it is released to the public, and whether it was.
    pub release: Option<(String, String)>,
}

impl Shot {
    pub(super) fn new(page: &Page, photo: &PhotoRecord) -> Self {
        Self {
            address: format!("/photos/{}", PhotoDigest(photo.digest)),
            what: page.word("photo_role", &photo.role),
            at: page.date_time(photo.created_at),
            release: None,
        }
    }

    /// The same with the way to its release, for those who may.
    fn of_case(page: &Page, file: &CaseFile, photo: &PhotoRecord) -> Self {
        let is_released = file.voices.released.contains(&photo.id);
        let word = if is_released { "release.is_released" } else { "release.is_private" };
        let to = format!("/desk/cases/{}/photos/{}", file.case.number, photo.id);
        let release = (page.dispatches() && is_releasable(photo)).then(|| (to, page.t(word).to_owned()));
        Self { release, ..Self::new(page, photo) }
    }
}

/// A word of the desk or of whoever reported.
struct WordLine<'a> {
    voice: &'static str,
    who: String,
    tracking: &'a str,
    text: &'a str,
    at: String,
    is_open: bool,
}

/// What somebody typed into the form of a move that was refused.
#[derive(Debug, Default)]
pub struct MoveDraft {
    /// The move's stored word, as it was sent.
    pub made: String,
    pub party: String,
    pub reason: String,
    pub target: String,
    pub until: String,
    pub pool: String,
    pub condition: String,
}

/// A move with the fields that it needs.
struct MoveForm<'a> {
    key: &'static str,
    word: String,
    to: String,
    party: bool,
    reason: bool,
    photo: bool,
    target: bool,
    until: bool,
    /// Whether it asks if the public may see its photos.
    release: bool,
    /// Whether the public reads its reason.
    is_public: bool,
    /// Whether it asks for what was there before, and for the place where the phone is.
    before: bool,
    pools: Vec<Choice>,
    conditions: Vec<Choice>,
    /// Sentences to choose instead of typing.
    templates: Vec<String>,
    /// Of this form alone: two moves from one page are two requests.
    idempotency: IdempotencyKey,
    parties: Vec<Choice>,
    /// Typed already, where this is the move that was refused.
    typed: Option<&'a MoveDraft>,
}

impl<'a> MoveForm<'a> {
    fn new(
        page: &Page,
        (rule, idempotency): (&MoveRule, IdempotencyKey),
        choice: &Parties,
        advice: &CaseAdvice,
        draft: Option<&'a MoveDraft>,
    ) -> Self {
        let needs = |evidence| rule.needs.contains(&evidence);
        let typed = draft.filter(|draft| draft.made == rule.made.as_str());
        let is_sent = matches!(rule.made, CaseMove::File | CaseMove::Dispatch | CaseMove::Offer);
        let condition = typed.map(|draft| draft.condition.as_str()).filter(|id| !id.is_empty());
        let condition = condition.unwrap_or(&advice.row.id);
        let pool = typed.map_or("", |draft| draft.pool.as_str());
        let conditions = advice.rows.iter().map(|row| Choice {
            value: row.id.clone(),
            word: format!("{} · {}", page.words(&row.condition), limit_words(page, row)),
            chosen: row.id == condition,
        });
        let pools = advice.pools.iter().map(|(name, words)| Choice {
            value: name.clone(),
            word: page.words(words).to_owned(),
            chosen: name == pool,
        });
        let templates = advice.templates.iter().filter(|template| template.made == rule.made);
        Self {
            parties: if needs(Evidence::Party) { choice.list(typed) } else { Vec::new() },
            pools: if needs(Evidence::Pool) { pools.collect() } else { Vec::new() },
            conditions: if is_sent && advice.rows.len() > 1 { conditions.collect() } else { Vec::new() },
            templates: templates
                .map(|one| if page.is_chinese() { one.zh.clone() } else { one.en.clone() })
                .collect(),
            typed,
            key: rule.made.as_str(),
            word: page.word("move", rule.made),
            to: page.word("case_state", rule.to),
            party: needs(Evidence::Party),
            reason: needs(Evidence::Reason),
            photo: needs(Evidence::Photo),
            target: needs(Evidence::Target),
            until: needs(Evidence::Until),
            release: rule.made == CaseMove::Close,
            is_public: matches!(rule.made, CaseMove::Suspend | CaseMove::Reject),
            before: matches!(rule.made, CaseMove::HandIn | CaseMove::MakeSafe),
            idempotency,
        }
    }
}

/// The parties that a case can go to.
struct Parties<'a> {
    all: &'a [Party],
    /// Who answers for the cover.
    likely: Option<&'a Party>,
}

impl Parties<'_> {
    /// Chosen is the one that was chosen before, else the likely one.
    fn list(&self, typed: Option<&MoveDraft>) -> Vec<Choice> {
        let chosen = typed.map(|draft| draft.party.clone()).filter(|party| !party.is_empty());
        let chosen = chosen.or_else(|| self.likely.map(|party| party.id.to_string()));
        let choice = |party: &Party| {
            let value = party.id.to_string();
            Choice { chosen: chosen.as_ref() == Some(&value), value, word: party.name.clone() }
        };
        self.all.iter().map(choice).collect()
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
    advice: AdviceView,
    asks: Vec<AskView>,
    /// What whoever is logged in can ask of the desk.
    ask_kinds: Vec<(&'static str, String)>,
    ask_key: IdempotencyKey,
    script: &'static str,
    cover: Option<PublicCover>,
    digits: &'a str,
    reports: Vec<Said>,
    /// Whether whoever is logged in writes to citizens.
    talks: bool,
    words: Vec<WordLine<'a>>,
    open_words: usize,
    /// Tracking number, mark and text.
    ratings: Vec<(&'a str, String, &'a str)>,
    addressees: Vec<Choice>,
    word_key: IdempotencyKey,
    photos: Vec<Shot>,
    lines: Vec<Line>,
    hold: Option<HoldView>,
    moves: Vec<MoveForm<'a>>,
    photo_limit: usize,
    wrong: Option<String>,
    /// What was typed into a form that is no longer here.
    unsent: Option<&'a str>,
}

/// One case: everything around it, and a form for each move that this person can make now,
/// under a key of its own.
pub fn case_file(
    page: &Page,
    file: &CaseFile,
    moves: &[(&MoveRule, IdempotencyKey)],
    (advice, names): (&CaseAdvice, Names),
    wrong: Option<(&Refusal, &MoveDraft)>,
) -> String {
    let case = &file.case;
    let actor = page.session.map_or(Actor::Citizen, |session| session.user.actor());
    let asks_for = page.session.is_some_and(|session| {
        matches!(session.user.role, Role::Handler | Role::Admin) && case.party.is_some()
    });
    let ask_kinds = if asks_for { AskKind::ALL } else { &[] };
    let cover = file.cover.as_ref();
    let draft = wrong.map(|(_, draft)| draft);
    let parties = Parties {
        all: names.parties,
        likely: match (&advice.decision, advice.route.to.clone()) {
            (Some((decision, _)), _) => names.parties.iter().find(|known| known.id == decision.lead),
            (None, Routed::Party(party)) => names.parties.iter().find(|known| known.id == party),
            _ => cover.and_then(|cover| cover.maintainer.as_ref().or(cover.owner.as_ref())),
        },
    };
    let moves: Vec<MoveForm> =
        moves.iter().map(|(rule, key)| MoveForm::new(page, (rule, *key), &parties, advice, draft)).collect();
    let homeless = draft.filter(|_| moves.iter().all(|form| form.typed.is_none()));
    write(&CasePage {
        page: *page,
        file,
        hazard: page.word("hazard", case.hazard),
        state: page.word("case_state", case.state),
        created: page.date_time(case.created_at),
        updated: page.date_time(case.updated_at),
        until: case.until.map(|until| page.date(until)),
        advice: AdviceView::new(page, case, advice),
        asks: file.asks.iter().map(|ask| AskView::new(page, ask, &actor)).collect(),
        ask_kinds: ask_kinds.iter().map(|kind| (kind.as_str(), page.word("ask_kind", kind))).collect(),
        ask_key: IdempotencyKey::fresh(),
        script: CASE_SCRIPT,
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
        talks: page.session.is_some_and(|session| {
            matches!(session.user.role, Role::Handler | Role::Dispatcher | Role::Supervisor | Role::Admin)
        }),
        words: file
            .voices
            .words
            .iter()
            .map(|(word, tracking)| WordLine {
                voice: word.voice.as_str(),
                who: names.who(page, &word.actor),
                tracking,
                text: &word.text,
                at: page.date_time(word.created_at),
                is_open: is_open(word),
            })
            .collect(),
        open_words: file.voices.words.iter().filter(|(word, _)| is_open(word)).count(),
        ratings: file
            .voices
            .ratings
            .iter()
            .map(|(rating, tracking)| {
                (tracking.as_str(), page.word("score", rating.score), rating.text.as_str())
            })
            .collect(),
        addressees: addressees(file),
        word_key: IdempotencyKey::fresh(),
        photos: file.photos.iter().map(|photo| Shot::of_case(page, file, photo)).collect(),
        lines: lines(page, names, &file.timeline),
        hold: file.hold.as_ref().map(|hold| HoldView::new(page, hold)),
        moves,
        photo_limit: PHOTO_LIMIT,
        wrong: wrong.map(|(refusal, _)| page.catalogue.refusal_in_words(refusal)),
        unsent: homeless.map(|draft| draft.reason.as_str()).filter(|text| !text.is_empty()),
    })
}

/// What a citizen wrote and nobody answered.
fn is_open(word: &CitizenWord) -> bool {
    word.voice == Voice::Citizen && word.answered_at.is_none()
}

/// Reports to whose authors the desk can write; first chosen is who waits for an answer.
fn addressees(file: &CaseFile) -> Vec<Choice> {
    let waits = file.voices.words.iter().find(|(word, _)| is_open(word)).map(|(_, tracking)| tracking);
    let mut known: Vec<&String> = file.reports.iter().map(|report| &report.tracking).collect();
    known.extend(file.voices.words.iter().map(|(_, tracking)| tracking));
    known.sort();
    known.dedup();
    let choice = |tracking: &String| Choice {
        value: tracking.clone(),
        word: tracking.clone(),
        chosen: Some(tracking) == waits,
    };
    known.into_iter().map(choice).collect()
}
