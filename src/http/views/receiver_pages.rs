//! 事件接收方: the list, one of them, and the events that it did not take.

use askama::Template;

use super::words::Choice;
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::ids::IdempotencyKey;
use crate::domain::receiver::{LetterState, ReceiverKind, ReceiverState};
use crate::registry::{Letter, ReceiverDraft, ReceiverFile, UpstreamCase};

/// What the list shows, with a form for one more.
pub struct ReceiverListView<'a> {
    pub files: &'a [ReceiverFile],
    /// Typed already.
    pub draft: &'a ReceiverDraft,
    pub kind: ReceiverKind,
    pub wrong: Option<&'a Refusal>,
}

/// What the page of one shows.
pub struct ReceiverView<'a> {
    pub file: &'a ReceiverFile,
    /// Told this once.
    pub secret: Option<&'a str>,
    pub upstream: &'a [UpstreamCase],
    /// Typed and refused.
    pub draft: Option<&'a ReceiverDraft>,
    pub wrong: Option<&'a Refusal>,
}

/// What the list of letters shows.
pub struct LettersView<'a> {
    pub file: &'a ReceiverFile,
    pub letters: &'a [Letter],
    pub state: LetterState,
    pub next: Option<i64>,
}

/// How a receiver stands.
struct Stand {
    id: String,
    name: String,
    kind: String,
    is_upstream: bool,
    is_mail: bool,
    state: String,
    is_active: bool,
    events: String,
    behind: i64,
    waiting: i64,
    dead: i64,
    /// What was last wrong with it as a whole, while it is.
    trouble: Option<String>,
}

impl Stand {
    fn of(page: &Page, file: &ReceiverFile) -> Self {
        let receiver = &file.receiver;
        let is_active = receiver.state == ReceiverState::Active;
        let is_away = receiver.absences > 0 || !is_active;
        let trouble = receiver.trouble.as_ref().filter(|_| is_away).map(|(said, at)| {
            let values = [("said", said.as_str()), ("at", &page.date_time(*at))];
            page.catalogue.fill("receivers.trouble", &values)
        });
        Self {
            id: receiver.id.to_string(),
            name: receiver.name.clone(),
            kind: page.word("receiver_kind", receiver.kind),
            is_upstream: receiver.kind == ReceiverKind::Upstream,
            is_mail: receiver.kind == ReceiverKind::Mail,
            state: match (is_active, receiver.absences > 0) {
                (true, true) => page.t("receivers.away").to_owned(),
                _ => page.word("receiver_state", receiver.state),
            },
            is_active,
            events: receiver.wishes.events.join(" "),
            behind: file.behind,
            waiting: file.waiting,
            dead: file.dead,
            trouble,
        }
    }
}

#[derive(Template)]
#[template(path = "receivers.html")]
struct ListPage<'a> {
    page: Page<'a>,
    stands: Vec<Stand>,
    draft: &'a ReceiverDraft,
    kinds: Vec<Choice>,
    key: String,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "receiver.html")]
struct ReceiverPage<'a> {
    page: Page<'a>,
    stand: Stand,
    secret: Option<&'a str>,
    /// Until when the secret before signs as well.
    old_until: Option<String>,
    draft: ReceiverDraft,
    version: i64,
    keys: [String; 5],
    cases: Vec<CaseRow>,
    wrong: Option<String>,
}

struct CaseRow {
    number: String,
    upstream_id: String,
    told: String,
    heard: String,
    at: String,
}

#[derive(Template)]
#[template(path = "letters.html")]
struct LettersPage<'a> {
    page: Page<'a>,
    id: String,
    name: &'a str,
    tabs: Vec<Tab>,
    state: LetterState,
    rows: Vec<LetterRow>,
    next: Option<i64>,
}

struct Tab {
    key: LetterState,
    word: String,
    count: i64,
    chosen: bool,
}

struct LetterRow {
    sequence: i64,
    event: String,
    about: String,
    at: String,
    tries: i64,
    said: String,
    next: String,
    key: String,
}

fn fresh() -> String {
    IdempotencyKey::fresh().to_string()
}

fn sentence(page: &Page, wrong: Option<&Refusal>) -> Option<String> {
    wrong.map(|refusal| page.catalogue.refusal_in_words(refusal))
}

/// The list of receivers.
pub fn receivers(page: &Page, view: &ReceiverListView) -> String {
    let kind = |kind: &ReceiverKind| Choice {
        value: kind.to_string(),
        word: page.word("receiver_kind", kind),
        chosen: *kind == view.kind,
    };
    write(&ListPage {
        page: *page,
        stands: view.files.iter().map(|file| Stand::of(page, file)).collect(),
        draft: view.draft,
        kinds: ReceiverKind::ALL.iter().filter(|kind| **kind != ReceiverKind::Mail).map(kind).collect(),
        key: fresh(),
        wrong: sentence(page, view.wrong),
    })
}

/// One receiver.
pub fn receiver(page: &Page, view: &ReceiverView) -> String {
    let receiver = &view.file.receiver;
    let kept = || ReceiverDraft {
        name: receiver.name.clone(),
        url: receiver.url.clone(),
        events: receiver.wishes.events.join(" "),
        districts: receiver.wishes.districts.join(" "),
        personal: receiver.wishes.personal,
        rules: receiver.rules.clone(),
    };
    let case = |case: &UpstreamCase| CaseRow {
        number: case.number.clone(),
        upstream_id: case.upstream_id.clone(),
        told: case.told.clone(),
        heard: case.heard.clone().unwrap_or_default(),
        at: page.date_time(case.synced_at),
    };
    let old_until = receiver.old_secret.as_ref().map(|(_, until)| *until).filter(|until| *until > page.now);
    write(&ReceiverPage {
        page: *page,
        stand: Stand::of(page, view.file),
        secret: view.secret,
        old_until: old_until.map(|until| page.fill("receivers.old_until", "at", page.date_time(until))),
        draft: view.draft.cloned().unwrap_or_else(kept),
        version: receiver.version,
        keys: std::array::from_fn(|_| fresh()),
        cases: view.upstream.iter().map(case).collect(),
        wrong: sentence(page, view.wrong),
    })
}

/// Events that a receiver did not take.
pub fn letters(page: &Page, view: &LettersView) -> String {
    let tab = |key: &LetterState| Tab {
        key: *key,
        word: page.word("letter_state", key),
        count: if *key == LetterState::Dead { view.file.dead } else { view.file.waiting },
        chosen: *key == view.state,
    };
    let row = |letter: &Letter| LetterRow {
        sequence: letter.sequence,
        event: letter.event.clone(),
        about: letter.key.split_once(':').map_or(letter.key.as_str(), |(_, about)| about).to_owned(),
        at: page.date_time(letter.at),
        tries: letter.tries,
        said: match (letter.last_status, &letter.trouble) {
            (Some(status), _) => format!("HTTP {status}"),
            (None, Some(trouble)) => trouble.clone(),
            (None, None) => page.t("receivers.behind_another").to_owned(),
        },
        next: match letter.state {
            LetterState::Waiting if letter.tries > 0 => page.date_time(letter.next_at),
            _ => String::new(),
        },
        key: fresh(),
    };
    write(&LettersPage {
        page: *page,
        id: view.file.receiver.id.to_string(),
        name: &view.file.receiver.name,
        tabs: [LetterState::Dead, LetterState::Waiting].iter().map(tab).collect(),
        state: view.state,
        rows: view.letters.iter().map(row).collect(),
        next: view.next,
    })
}
