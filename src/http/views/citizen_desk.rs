//! 群众沟通: what waits for the desk, and the look at a photo before the public sees it.

use askama::Template;

use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::citizen::{BOX_LIMIT, BlurBox};
use crate::domain::ids::IdempotencyKey;
use crate::photos::PhotoDigest;
use crate::registry::{CallBackLine, OpenWord, PhotoRecord};

/// Draws the boxes with a finger or a mouse; they can be typed as numbers without.
pub const RELEASE_SCRIPT: &str = include_str!("../../../assets/web/release.js");

struct WordView<'a> {
    number: &'a str,
    tracking: &'a str,
    text: &'a str,
    at: String,
    keys: [IdempotencyKey; 2],
}

struct CallView<'a> {
    id: String,
    key: IdempotencyKey,
    number: &'a str,
    tracking: &'a str,
    contact: &'a str,
    score: Option<i64>,
    text: &'a str,
    at: String,
}

#[derive(Template)]
#[template(path = "citizens.html")]
struct CitizensPage<'a> {
    page: Page<'a>,
    words: Vec<WordView<'a>>,
    calls: Vec<CallView<'a>>,
    wrong: Option<String>,
}

/// What citizens wrote and nobody answered, and who wants to be called.
pub fn citizens(page: &Page, words: &[OpenWord], calls: &[CallBackLine], wrong: Option<&Refusal>) -> String {
    let word = |open: &'_ OpenWord| page.date_time(open.word.created_at);
    write(&CitizensPage {
        page: *page,
        words: words
            .iter()
            .map(|open| WordView {
                number: &open.case_number,
                tracking: &open.tracking,
                text: &open.word.text,
                at: word(open),
                keys: [IdempotencyKey::fresh(), IdempotencyKey::fresh()],
            })
            .collect(),
        calls: calls
            .iter()
            .map(|line| CallView {
                id: line.call_back.id.to_string(),
                key: IdempotencyKey::fresh(),
                number: &line.case_number,
                tracking: &line.tracking,
                contact: line.contact.as_deref().unwrap_or_default(),
                score: line.score,
                text: line.text.as_deref().unwrap_or_default(),
                at: page.date_time(line.call_back.asked_at),
            })
            .collect(),
        wrong: wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// What the page of one photo shows.
pub struct ReleaseView<'a> {
    pub number: &'a str,
    pub photo: &'a PhotoRecord,
    pub is_released: bool,
    pub boxes: Vec<BlurBox>,
    pub wrong: Option<&'a Refusal>,
}

/// A row of numbers; empty where no box is drawn.
struct BoxRow {
    number: usize,
    sides: [(&'static str, String); 4],
}

#[derive(Template)]
#[template(path = "release.html")]
struct ReleasePage<'a> {
    page: Page<'a>,
    view: &'a ReleaseView<'a>,
    address: String,
    what: String,
    at: String,
    rows: Vec<BoxRow>,
    keys: [IdempotencyKey; 2],
    script: &'static str,
    wrong: Option<String>,
}

/// Rows that are there without a script.
const ROWS: usize = 6;

/// A photo of the work, with boxes over what nobody shall see.
pub fn release(page: &Page, view: &ReleaseView) -> String {
    let row = |number: usize| {
        let drawn = view.boxes.get(number - 1);
        let side = |of: fn(&BlurBox) -> f64| drawn.map_or(String::new(), |one| of(one).to_string());
        BoxRow {
            number,
            sides: [
                ("left", side(|one| one.left)),
                ("top", side(|one| one.top)),
                ("width", side(|one| one.width)),
                ("height", side(|one| one.height)),
            ],
        }
    };
    write(&ReleasePage {
        page: *page,
        view,
        address: format!("/photos/{}", PhotoDigest(view.photo.digest)),
        what: page.word("photo_role", &view.photo.role),
        at: page.date_time(view.photo.created_at),
        rows: (1..=ROWS.max(view.boxes.len()).min(BOX_LIMIT)).map(row).collect(),
        keys: [IdempotencyKey::fresh(), IdempotencyKey::fresh()],
        script: RELEASE_SCRIPT,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}
