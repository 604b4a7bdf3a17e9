//! Pages for citizens, and the log-in.

use askama::Template;

use super::case_pages::CASE_SCRIPT;
use super::standing::standing;
use super::words::{Choice, PublicCover, joined};
use super::{Page, ReportDraft, write};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseMove, CaseState, PHOTO_LIMIT, PhonePosition, TEXT_LIMIT};
use crate::domain::citizen::{CONTENT, SCORES, Voice, Wish};
use crate::domain::cover::CoverFile;
use crate::domain::hazard::Hazard;
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::{CoverId, IdempotencyKey, PhotoId};
use crate::domain::token::Token;
use crate::messages::Catalogue;
use crate::registry::{PhotoRecord, ScannedPlate, Tracked};

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    page: Page<'a>,
    typed: &'a str,
    wrong: Option<String>,
}

/// The home page; `wrong` is what was typed and why it is no token.
pub fn home(page: &Page, wrong: Option<(&str, &Refusal)>) -> String {
    write(&HomePage {
        page: *page,
        typed: wrong.map_or("", |(typed, _)| typed),
        wrong: wrong.map(|(_, refusal)| page.catalogue.refusal_in_words(refusal)),
    })
}

/// A case in the words of the scan page.
struct OpenHazard {
    hazard: String,
    since: String,
    reports: i64,
    state: String,
    emergency: bool,
    key: &'static str,
    /// How many tapped that they stand in front of the same.
    taps: i64,
    /// Of this cover and not only of its place: only then a tap is about it.
    can_tap: bool,
}

/// Stands in a page that is kept for everybody where each reader has a key of their own.
pub const TAP_KEY: &str = "00000000-0000-7000-8000-000000000000";

impl OpenHazard {
    fn new(page: &Page, (case, taps): (&Case, i64), cover: CoverId) -> Self {
        Self {
            key: case.hazard.as_str(),
            taps,
            can_tap: case.cover == Some(cover),
            hazard: page.word("hazard", case.hazard),
            since: page.date(case.created_at),
            reports: case.report_count,
            state: page.word("public_state", case.state),
            emergency: case.emergency,
        }
    }
}

#[derive(Template)]
#[template(path = "scan.html")]
struct ScanPage<'a> {
    page: Page<'a>,
    token: Token,
    grouped: String,
    cover: PublicCover,
    open: Vec<OpenHazard>,
    emergency: bool,
    photo: Option<CoverPhoto>,
    tap_key: &'static str,
}

/// Behind words instead of in the page: even a lazy picture is a request more as soon as it is near the
/// screen, and at once where scripts are off.
struct CoverPhoto {
    id: PhotoId,
    taken: String,
}

/// What this cover is; `photo` is the one that everybody may see.
/// `taps`: of each of its open cases.
pub fn scan(page: &Page, scanned: &ScannedPlate, taps: &[i64], photo: Option<&PhotoRecord>) -> String {
    let Some(file) = &scanned.cover else { return blank_plate(page, scanned.plate.token) };
    let taps = taps.iter().copied().chain(std::iter::repeat(0));
    let open: Vec<OpenHazard> =
        scanned.open_cases.iter().zip(taps).map(|case| OpenHazard::new(page, case, file.cover)).collect();
    write(&ScanPage {
        page: *page,
        token: scanned.plate.token,
        grouped: scanned.plate.token.grouped(),
        cover: PublicCover::new(page, file),
        emergency: open.iter().any(|hazard| hazard.emergency),
        photo: photo.map(|photo| CoverPhoto { id: photo.id, taken: page.date(photo.created_at) }),
        open,
        tap_key: TAP_KEY,
    })
}

/// A plate that stands for no cover, and what to do about it.
#[derive(Template)]
#[template(path = "plate_note.html")]
struct NotePage<'a> {
    page: Page<'a>,
    title: &'a str,
    text: &'a str,
    successor: Option<Token>,
}

/// A plate that was made but not fitted yet.
pub fn blank_plate(page: &Page, _: Token) -> String {
    note(page, "plate_note.blank", "plate_note.blank_text", None)
}

/// A plate that was withdrawn or replaced.
pub fn withdrawn_plate(page: &Page, _: &ScannedPlate, successor: Option<Token>) -> String {
    note(page, "plate_note.withdrawn", "plate_note.withdrawn_text", successor)
}

/// The same page for every token that was never made.
pub fn unknown_plate(page: &Page) -> String {
    note(page, "plate_note.unknown", "plate_note.unknown_text", None)
}

fn note(page: &Page, title: &'static str, text: &'static str, successor: Option<Token>) -> String {
    write(&NotePage { page: *page, title: page.t(title), text: page.t(text), successor })
}

/// A tile of the report form.
struct Tile {
    key: &'static str,
    word: String,
    hint: String,
    emergency: bool,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'a> {
    page: Page<'a>,
    action: String,
    cover: Option<PublicCover>,
    /// Where the phone was when the covers close by were looked for.
    place: Option<PhonePosition>,
    offered: Vec<OfferedCover>,
    none_chosen: bool,
    tiles: Vec<Tile>,
    draft: &'a ReportDraft,
    wrong: Option<String>,
    wrong_field: &'a str,
    photo_limit: usize,
    text_limit: usize,
    script: &'static str,
}

impl ReportPage<'_> {
    fn key(&self) -> IdempotencyKey {
        self.draft.key
    }
}

/// Stands in the report form itself: on a bad network one request less is worth more than a cached
/// file. The policy of the pages lets this text run and no other.
pub const REPORT_SCRIPT: &str = include_str!("../../../assets/web/report.js");

/// The report form, with what was typed and what was wrong with it.
pub fn report_form(
    page: &Page,
    target: &ReportTarget,
    draft: &ReportDraft,
    wrong: Option<&Refusal>,
) -> String {
    let tiles = Hazard::ALL
        .iter()
        .map(|hazard| Tile {
            key: hazard.as_str(),
            word: page.word("hazard", hazard),
            hint: page.word("hazard_hint", hazard),
            emergency: hazard.is_emergency(),
            chosen: draft.hazard == Some(*hazard),
        })
        .collect();
    let (action, cover, view) = match target {
        ReportTarget::Plate(scanned) => {
            (format!("/c/{}/report", scanned.plate.token), scanned.cover.as_ref(), None)
        }
        ReportTarget::Place(view) => ("/report/send".to_owned(), None, Some(view)),
    };
    write(&ReportPage {
        page: *page,
        action,
        cover: cover.map(|file| PublicCover::new(page, file)),
        place: view.and_then(|view| view.place),
        offered: view.map_or_else(Vec::new, |view| offered(page, view)),
        none_chosen: view.is_some_and(|view| view.chosen == "none"),
        tiles,
        draft,
        wrong: wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
        wrong_field: wrong.and_then(|refusal| refusal.field.as_deref()).unwrap_or_default(),
        photo_limit: PHOTO_LIMIT,
        text_limit: TEXT_LIMIT,
        script: REPORT_SCRIPT,
    })
}

/// What a report is about.
pub enum ReportTarget<'a> {
    Plate(&'a ScannedPlate),
    /// Covers to choose from, and the place itself.
    Place(PlaceView<'a>),
}

/// The covers close to a place.
pub struct PlaceView<'a> {
    /// `None` where a cover was named by its code.
    pub place: Option<PhonePosition>,
    /// With how far they lie.
    pub covers: &'a [(CoverFile, Option<f64>)],
    /// Code that was chosen before, `none` for the place itself.
    pub chosen: &'a str,
}

struct OfferedCover {
    code: String,
    words: String,
    chosen: bool,
}

fn offered(page: &Page, view: &PlaceView) -> Vec<OfferedCover> {
    let is_only = view.covers.len() == 1 && view.place.is_none();
    let words = |(file, distance_m): &(CoverFile, Option<f64>)| {
        let class = page.word("class", file.survey.class);
        let far = distance_m.map(|meters| format!("{meters:.0} m"));
        let (code, place) = (page.code(&file.code), page.place(file));
        joined([far.as_deref(), Some(&class), Some(&place), Some(&code)])
    };
    view.covers
        .iter()
        .map(|one| OfferedCover {
            code: one.0.code.digits.clone(),
            words: words(one),
            chosen: is_only || view.chosen == one.0.code.digits,
        })
        .collect()
}

#[derive(Template)]
#[template(path = "place.html")]
struct PlacePage<'a> {
    page: Page<'a>,
    wrong: Option<String>,
    script: &'static str,
}

/// Where somebody begins who has no plate in front of them.
pub fn place_start(page: &Page, wrong: Option<&Refusal>) -> String {
    let wrong = wrong.map(|refusal| page.catalogue.refusal_in_words(refusal));
    write(&PlacePage { page: *page, wrong, script: CASE_SCRIPT })
}

/// A step that the public hears of: what and when, never who.
struct Step {
    what: String,
    at: String,
    why: Option<String>,
}

struct Shot {
    number: usize,
    result: bool,
}

#[derive(Template)]
#[template(path = "tracking.html")]
struct TrackingPage<'a> {
    page: Page<'a>,
    link: &'a str,
    tracked: &'a Tracked,
    hazard: String,
    state: String,
    reported_at: String,
    cover: Option<PublicCover>,
    steps: Vec<Step>,
    photos: Vec<Shot>,
    standing: Vec<String>,
    words: Vec<WordView<'a>>,
    rating: Option<RatingForm>,
    draft: &'a TrackingDraft,
    keys: [IdempotencyKey; 2],
    text_limit: usize,
    photo_limit: usize,
    wrong: Option<String>,
    wrong_field: &'a str,
}

/// What somebody typed into a form of the tracking page that was refused.
#[derive(Debug, Default)]
pub struct TrackingDraft {
    pub word: String,
    pub score: String,
    pub rating: String,
    pub wish: String,
    pub contact: String,
    pub address: String,
}

/// A word of the desk or of whoever reported.
struct WordView<'a> {
    is_city: bool,
    text: &'a str,
    at: String,
    /// A question that waits for them.
    is_open: bool,
}

/// The form for how content they are; filled where they said so before.
struct RatingForm {
    scores: Vec<Choice>,
    text: String,
    wishes: Vec<Choice>,
    contact: String,
    needs_contact: bool,
    /// What they said, and until when they may say otherwise.
    said: Option<String>,
}

impl RatingForm {
    fn new(page: &Page, tracked: &Tracked, draft: &TrackingDraft) -> Option<Self> {
        if tracked.case.state != CaseState::Closed {
            return None;
        }
        let before = tracked.rating.as_ref();
        if before.is_some_and(|rating| !rating.may_change(page.now)) {
            return None;
        }
        let score = before.map(|rating| rating.score.to_string()).unwrap_or_default();
        let chosen = if draft.score.is_empty() { &score } else { &draft.score };
        let text = before.map(|rating| rating.text.clone()).unwrap_or_default();
        let wish = |wish: &Wish| Choice {
            value: wish.to_string(),
            word: page.word("wish", wish),
            chosen: draft.wish == wish.as_str(),
        };
        Some(Self {
            scores: SCORES
                .map(|score| {
                    let value = score.to_string();
                    Choice { chosen: *chosen == value, word: page.word("score", score), value }
                })
                .collect(),
            text: if draft.rating.is_empty() { text } else { draft.rating.clone() },
            wishes: Wish::ALL.iter().map(wish).collect(),
            contact: draft.contact.clone(),
            needs_contact: tracked.report.contact.is_none(),
            said: before.map(|rating| page.word("score", rating.score)),
        })
    }
}

impl TrackingPage<'_> {
    /// Whether there is a way to be told something.
    fn tells(&self) -> bool {
        self.page.config.mail.tells()
    }

    fn taps(&self) -> i64 {
        self.tracked.same_here
    }

    fn worst(&self) -> i64 {
        CONTENT - 1
    }

    fn open(&self) -> bool {
        self.tracked.case.state.is_open()
    }

    fn has_result(&self) -> bool {
        self.photos.iter().any(|shot| shot.result)
    }

    fn closed(&self) -> bool {
        self.tracked.case.state == CaseState::Closed
    }
}

/// What a citizen hears of their report, behind the secret link.
pub fn tracking(
    page: &Page,
    link: &str,
    tracked: &Tracked,
    wrong: Option<(&Refusal, &TrackingDraft)>,
) -> String {
    let untyped = TrackingDraft::default();
    let draft = wrong.map_or(&untyped, |(_, draft)| draft);
    let next = format!("/r/{link}");
    let around = Page { path: &next, ..*page };
    let photos = tracked.photos.iter().enumerate();
    let photos = photos.map(|(number, photo)| Shot { number, result: photo.report.is_none() }).collect();
    write(&TrackingPage {
        page: around,
        link,
        tracked,
        hazard: page.word("hazard", tracked.report.hazard),
        state: page.word("public_state", tracked.case.state),
        reported_at: page.date_time(tracked.report.created_at),
        cover: tracked.cover.as_ref().map(|file| PublicCover::new(page, file)),
        steps: tracked.timeline.iter().filter_map(|entry| step(page, entry)).collect(),
        photos,
        standing: standing(page, tracked),
        words: tracked
            .words
            .iter()
            .map(|word| WordView {
                is_city: word.voice == Voice::City,
                text: &word.text,
                at: page.date_time(word.created_at),
                is_open: word.voice == Voice::City && word.answered_at.is_none(),
            })
            .collect(),
        rating: RatingForm::new(page, tracked, draft),
        draft,
        keys: [IdempotencyKey::fresh(), IdempotencyKey::fresh()],
        text_limit: TEXT_LIMIT,
        photo_limit: PHOTO_LIMIT,
        wrong: wrong.map(|(refusal, _)| page.catalogue.refusal_in_words(refusal)),
        wrong_field: wrong.and_then(|(refusal, _)| refusal.field.as_deref()).unwrap_or_default(),
    })
}

/// A line of the file as the public hears it.
pub struct PublicStep {
    pub what: String,
    /// Told only where nothing will be done; other reasons are the desk's own talk.
    pub why: Option<String>,
    pub made: Option<CaseMove>,
    /// At which the case stood after it.
    pub state: Option<CaseState>,
}

impl PublicStep {
    /// What and why in one sentence.
    pub fn sentence(&self, words: &Catalogue) -> String {
        match &self.why {
            Some(why) => words.fill("open311.with_reason", &[("what", &self.what), ("why", why)]),
            None => self.what.clone(),
        }
    }
}

/// What the public hears of a line; `None` for what concerns others.
pub fn public_step(words: &Catalogue, entry: &HistoryEntry) -> Option<PublicStep> {
    let body: serde_json::Value = serde_json::from_str(&entry.body).unwrap_or_default();
    let made = body["move"].as_str().and_then(|word| word.parse::<CaseMove>().ok());
    let what = match entry.kind {
        HistoryKind::Reported => words.text("public_move.report").to_owned(),
        HistoryKind::CaseMoved => words.word("public_move", made?),
        _ => return None,
    };
    let why = body["why"].as_str().filter(|why| made == Some(CaseMove::Reject) && !why.is_empty());
    let state = body["to"].as_str().and_then(|word| word.parse().ok());
    Some(PublicStep { what, why: why.map(str::to_owned), made, state })
}

fn step(page: &Page, entry: &HistoryEntry) -> Option<Step> {
    let PublicStep { what, why, .. } = public_step(page.catalogue, entry)?;
    Some(Step { what, at: page.date_time(entry.at), why })
}

/// An endpoint of Open311.
pub struct EndpointView {
    pub kind: &'static str,
    pub address: String,
}

#[derive(Template)]
#[template(path = "open311.html")]
struct Open311Page<'a> {
    page: Page<'a>,
    endpoints: &'a [EndpointView],
}

/// What other systems find here, for whoever sets one up.
pub fn open311(page: &Page, endpoints: &[EndpointView]) -> String {
    write(&Open311Page { page: *page, endpoints })
}

#[derive(Template)]
#[template(path = "login.html")]
struct LogInPage<'a> {
    page: Page<'a>,
    next: &'a str,
    wrong: Option<&'a str>,
}

/// The log-in; `next` is where it leads, `wrong` why it did not.
pub fn login(page: &Page, next: &str, wrong: Option<&str>) -> String {
    write(&LogInPage { page: *page, next, wrong })
}
