//! The form for operators and finders.

use askama::Template;

use super::case_advice::SimilarView;
use super::words::{Choice, PublicCover};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::case::{CaseSource, PHOTO_LIMIT};
use crate::domain::cover::CoverFile;
use crate::domain::hazard::Hazard;
use crate::domain::ids::IdempotencyKey;
use crate::domain::role::Role;
use crate::registry::SimilarCase;

/// What was typed so far.
#[derive(Debug, Default)]
pub struct IntakeDraft {
    pub text: String,
    pub cover: String,
    pub hazard: String,
    pub source: String,
    pub external_number: String,
    pub description: String,
    pub contact: String,
}

pub struct IntakeView<'a> {
    pub draft: &'a IntakeDraft,
    pub chosen: Option<&'a CoverFile>,
    pub found: &'a [CoverFile],
    pub similar: &'a [SimilarCase],
    pub wrong: Option<&'a Refusal>,
}

struct FoundCover<'a> {
    digits: &'a str,
    code: String,
    words: String,
}

#[derive(Template)]
#[template(path = "intake.html")]
struct IntakePage<'a> {
    page: Page<'a>,
    draft: &'a IntakeDraft,
    key: IdempotencyKey,
    cover: Option<PublicCover>,
    digits: &'a str,
    found: Vec<FoundCover<'a>>,
    similar: Vec<SimilarView>,
    hazards: Vec<Choice>,
    /// Empty for those whose role says where it comes from.
    sources: Vec<Choice>,
    photo_limit: usize,
    wrong: Option<String>,
}

/// Sources that somebody at the desk can name; citizens who scan and Lidmark itself need nobody to say so.
const NAMED: &[CaseSource] = &[
    CaseSource::Hotline,
    CaseSource::CitizenPlace,
    CaseSource::Patrol,
    CaseSource::OwnerPatrol,
    CaseSource::KeyInspection,
    CaseSource::GridWorker,
    CaseSource::Campaign,
    CaseSource::Api,
];

pub fn intake(page: &Page, view: &IntakeView, role: Role) -> String {
    let draft = view.draft;
    let choice = |value: String, word: String, chosen: &str| Choice { chosen: value == chosen, value, word };
    let may_choose = matches!(role, Role::Dispatcher | Role::Supervisor | Role::Admin);
    let usual = if role == Role::Supervisor { CaseSource::KeyInspection } else { CaseSource::Hotline };
    let source = if draft.source.is_empty() { usual.as_str() } else { &draft.source };
    let named = if may_choose { NAMED } else { &[] };
    write(&IntakePage {
        page: *page,
        draft,
        key: IdempotencyKey::fresh(),
        cover: view.chosen.map(|file| PublicCover::new(page, file)),
        digits: view.chosen.map_or("", |file| &file.code.digits),
        found: view
            .found
            .iter()
            .map(|file| FoundCover {
                digits: &file.code.digits,
                code: page.code(&file.code),
                words: format!("{} · {}", page.word("class", file.survey.class), page.place(file)),
            })
            .collect(),
        similar: view.similar.iter().map(|similar| SimilarView::new(page, similar)).collect(),
        hazards: Hazard::ALL
            .iter()
            .map(|hazard| choice(hazard.to_string(), page.word("hazard", hazard), &draft.hazard))
            .collect(),
        sources: named
            .iter()
            .map(|one| choice(one.to_string(), page.word("case_source", one), source))
            .collect(),
        photo_limit: PHOTO_LIMIT,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}
