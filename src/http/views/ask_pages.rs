//! What parties asked, in words.

use askama::Template;

use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::case_ask::{CaseAsk, possible_verdicts};
use crate::domain::ids::IdempotencyKey;
use crate::domain::role::Actor;
use crate::registry::OpenAsk;

pub(super) struct AskView {
    pub id: String,
    pub key: IdempotencyKey,
    pub kind: String,
    pub state: String,
    pub reason: String,
    pub until: Option<String>,
    pub at: String,
    pub answer: Option<String>,
    /// What whoever is logged in can say to it now.
    pub verdicts: Vec<(&'static str, String)>,
}

impl AskView {
    pub(super) fn new(page: &Page, ask: &CaseAsk, actor: &Actor) -> Self {
        let verdicts = possible_verdicts(ask, actor).into_iter();
        Self {
            id: ask.id.to_string(),
            key: IdempotencyKey::fresh(),
            kind: page.word("ask_kind", ask.kind),
            state: page.word("ask_state", ask.state),
            reason: ask.reason.clone(),
            until: ask.until.map(|until| page.date(until)),
            at: page.date_time(ask.asked_at),
            answer: ask.answer.clone(),
            verdicts: verdicts.map(|verdict| (verdict.as_str(), page.word("ask_verdict", verdict))).collect(),
        }
    }
}

struct OpenAskView<'a> {
    view: AskView,
    number: &'a str,
    party: &'a str,
}

#[derive(Template)]
#[template(path = "asks.html")]
struct AsksPage<'a> {
    page: Page<'a>,
    asks: Vec<OpenAskView<'a>>,
    wrong: Option<String>,
}

pub fn asks(page: &Page, open: &[OpenAsk], actor: &Actor, wrong: Option<&Refusal>) -> String {
    let view = |one: &'_ OpenAsk| AskView::new(page, &one.ask, actor);
    write(&AsksPage {
        page: *page,
        asks: open
            .iter()
            .map(|one| OpenAskView { view: view(one), number: &one.case_number, party: &one.party })
            .collect(),
        wrong: wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}
