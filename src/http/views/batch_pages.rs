//! 铭牌批次: the list, the page of one batch, its plates.

use std::collections::BTreeMap;

use askama::Template;

use super::field_words;
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::ids::{BatchId, IdempotencyKey};
use crate::domain::plate::{Plate, PlateState};
use crate::domain::plate_batch::{BatchState, Ordered, Ordinals};
use crate::plates::PrintHead;
use crate::registry::{Batch, StockLine, User};

/// What the list shows.
pub struct BatchListView<'a> {
    pub names: Names<'a>,
    pub batches: &'a [Batch],
    pub counts: &'a BTreeMap<BatchId, Vec<(PlateState, i64)>>,
    /// The last of a full page.
    pub next: Option<String>,
}

struct Row {
    id: String,
    created: String,
    ordered: String,
    note: String,
    face: String,
    count: i64,
    state: &'static str,
    state_word: String,
    counts: Vec<String>,
}

#[derive(Template)]
#[template(path = "batches.html")]
struct ListPage<'a> {
    page: Page<'a>,
    rows: Vec<Row>,
    next: Option<String>,
}

/// Batches, newest first.
pub fn batch_list(page: &Page, view: &BatchListView) -> String {
    let row = |batch: &Batch| Row {
        id: batch.id.to_string(),
        created: page.date_time(batch.created_at),
        ordered: ordered_words(page, view.names, batch.order.ordered.as_ref()),
        note: batch.note.clone(),
        face: batch.face.clone(),
        count: batch.plate_count,
        state: batch.order.state.as_str(),
        state_word: page.word("batch_state", batch.order.state),
        counts: view
            .counts
            .get(&batch.id)
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(|(state, count)| format!("{} {count}", page.word("plate_state", state)))
            .collect(),
    };
    write(&ListPage { page: *page, rows: view.batches.iter().map(row).collect(), next: view.next.clone() })
}

/// What was ordered, in words.
pub(super) fn ordered_words(page: &Page, names: Names, ordered: Option<&Ordered>) -> String {
    let number = |count: i64| count.to_string();
    let narrowed = |pairs: &[(&'static str, Option<&String>)]| {
        let words: Vec<String> = pairs
            .iter()
            .filter_map(|(name, value)| Some(field_words::text(page, names, name, (*value)?)))
            .collect();
        if words.is_empty() { page.t("batches.all_covers").to_owned() } else { words.join(" · ") }
    };
    match ordered {
        None => page.t("value.none").to_owned(),
        Some(Ordered::Blank { count }) => page.fill("batches.of_blank", "count", number(*count)),
        Some(Ordered::Covers { count }) => page.fill("batches.of_covers", "count", number(*count)),
        Some(Ordered::Filter { district, class, road, state }) => narrowed(&[
            ("district", district.as_ref()),
            ("class", class.as_ref()),
            ("road", road.as_ref()),
            ("state", state.as_ref()),
        ]),
        Some(Ordered::Area { kind, code, class }) => {
            let class =
                class.as_ref().map(|class| format!(" · {}", field_words::text(page, names, "class", class)));
            format!("{} {code}{}", page.word("area_kind", kind), class.unwrap_or_default())
        }
        Some(Ordered::Outline { bounds: [west, south, east, north], class }) => {
            let class =
                class.as_ref().map(|class| format!(" · {}", field_words::text(page, names, "class", class)));
            let bounds = format!("{west:.4}, {south:.4} – {east:.4}, {north:.4}");
            format!("{}{}", page.fill("batches.of_outline", "bounds", bounds), class.unwrap_or_default())
        }
        Some(Ordered::Successors { of, count }) => {
            let of = of.to_string();
            page.catalogue.fill("batches.of_successors", &[("batch", &of), ("count", &number(*count))])
        }
    }
}

/// What a step of plates came to.
pub struct Did {
    pub action: &'static str,
    pub moved: i64,
    pub left: i64,
    /// To be printed again under their tokens.
    pub again: Option<Ordinals>,
    pub successors: Option<BatchId>,
}

/// What the page of a batch shows.
pub struct BatchView<'a> {
    pub names: Names<'a>,
    pub batch: &'a Batch,
    pub counts: &'a [(PlateState, i64)],
    pub files: i64,
    pub crews: &'a [User],
    /// Who has plates of it.
    pub stock: &'a [StockLine],
    /// Plates so far where somebody is at it; `Some(None)` = other work goes first.
    pub progress: Option<Option<u64>>,
    /// Most plates that are drawn at once, and of the finest labels.
    pub most_drawn: [i64; 2],
    pub did: Option<Did>,
    pub key: fn() -> IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

struct Count {
    state: &'static str,
    word: String,
    count: i64,
}

struct Held {
    crew: String,
    count: i64,
    range: String,
}

struct DidWords {
    sentence: String,
    again: Option<String>,
    successors: Option<String>,
}

#[derive(Template)]
#[template(path = "batch.html")]
struct BatchPage<'a> {
    page: Page<'a>,
    id: String,
    state: &'static str,
    state_word: String,
    who: String,
    created: String,
    ordered: String,
    level: String,
    finish: String,
    printer: String,
    batch: &'a Batch,
    counts: Vec<Count>,
    files: Vec<(String, String)>,
    more_files: i64,
    drawn_as: Vec<Choice>,
    drawn_hint: String,
    crews: Vec<Choice>,
    held: Vec<Held>,
    /// In percent.
    done: i64,
    done_count: i64,
    stands_still: bool,
    waits: bool,
    may: May,
    did: Option<DidWords>,
    keys: [String; 5],
    wrong: Option<String>,
}

/// Steps that some plate of the batch can take.
struct May {
    printed: bool,
    spoil: bool,
    issue: bool,
    take_back: bool,
}

/// Files that are listed one by one.
const LISTED: i64 = 40;

/// The page of a batch.
pub fn batch(page: &Page, view: &BatchView) -> String {
    let (batch, order) = (view.batch, &view.batch.order);
    let mut states = view.counts.to_vec();
    // In the order of a plate's life.
    states.sort_unstable();
    let has = |wanted: &[PlateState]| view.counts.iter().any(|(state, _)| wanted.contains(state));
    let base = format!("/api/v1/plate-batches/{}", batch.id);
    let mut files = match order.split {
        None => vec![(format!("{base}/plates.pdf"), page.t("batches.pdf").to_owned())],
        Some(_) => (1..=view.files.min(LISTED))
            .map(|file| {
                (
                    format!("{base}/plates.pdf?file={file}"),
                    page.fill("batches.pdf_file", "file", format!("{file:03}")),
                )
            })
            .collect(),
    };
    files.push((format!("{base}/ledger.csv"), page.t("batches.ledger").to_owned()));
    let under_way = order.state == BatchState::UnderWay;
    let done_count = view.progress.flatten().map_or(order.lines_done, |rows| rows as i64);
    let login = |id| view.names.staff.iter().find(|user| user.id == id).map(|user| user.name.clone());
    write(&BatchPage {
        page: *page,
        id: batch.id.to_string(),
        state: order.state.as_str(),
        state_word: page.word("batch_state", order.state),
        who: view.names.who(page, &batch.actor),
        created: page.date_time(batch.created_at),
        ordered: ordered_words(page, view.names, order.ordered.as_ref()),
        level: order.level.map_or_else(|| page.t("batches.level_each").to_owned(), String::from),
        finish: page.word("finish", order.labels.finish),
        printer: order
            .printer
            .as_ref()
            .map_or_else(|| page.t("batches.no_printer").to_owned(), |known| known.name.clone()),
        batch,
        counts: states
            .iter()
            .map(|(state, count)| Count {
                state: state.as_str(),
                word: page.word("plate_state", state),
                count: *count,
            })
            .collect(),
        files,
        more_files: (view.files - LISTED).max(0),
        drawn_as: drawing_choices(page),
        drawn_hint: page.catalogue.fill(
            "batches.drawn_text",
            &[("most", &view.most_drawn[0].to_string()), ("most_600", &view.most_drawn[1].to_string())],
        ),
        crews: crew_choices(view.crews),
        held: view
            .stock
            .iter()
            .map(|line| Held {
                crew: login(line.crew).unwrap_or_default(),
                count: line.blank + line.for_covers,
                range: range(line),
            })
            .collect(),
        done: if batch.plate_count > 0 { done_count * 100 / batch.plate_count } else { 0 },
        done_count,
        stands_still: under_way && view.progress.is_none(),
        waits: under_way && view.progress == Some(None),
        may: May {
            printed: has(&[PlateState::Made]),
            spoil: has(&[PlateState::Made, PlateState::Printed]),
            issue: has(&[PlateState::Printed]),
            take_back: has(&[PlateState::Issued]),
        },
        did: view.did.as_ref().map(|did| did_words(page, batch, did)),
        keys: std::array::from_fn(|_| (view.key)().to_string()),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

fn drawing_choices(page: &Page) -> Vec<Choice> {
    let svg = Choice { value: "svg".to_owned(), word: page.t("batches.drawn_svg").to_owned(), chosen: false };
    let zpl = |head: &PrintHead| Choice {
        value: format!("zpl-{head}"),
        word: page.fill("batches.drawn_zpl", "head", head),
        chosen: false,
    };
    std::iter::once(svg).chain(PrintHead::ALL.iter().map(zpl)).collect()
}

fn range(line: &StockLine) -> String {
    match line.first == line.last {
        true => line.first.to_string(),
        false => format!("{}–{}", line.first, line.last),
    }
}

fn did_words(page: &Page, batch: &Batch, did: &Did) -> DidWords {
    let (moved, left) = (did.moved.to_string(), did.left.to_string());
    let mut sentence = page.fill(&format!("batches.did_{}", did.action), "count", &moved);
    if did.left > 0 {
        sentence.push(' ');
        sentence.push_str(&page.fill("batches.left", "count", &left));
    }
    DidWords {
        sentence,
        again: did
            .again
            .as_ref()
            .map(|only| format!("/api/v1/plate-batches/{}/plates.pdf?only={only}", batch.id)),
        successors: did.successors.map(|id| format!("/admin/plates/{id}")),
    }
}

fn crew_choices(crews: &[User]) -> Vec<Choice> {
    let choice = |crew: &User| Choice { value: crew.id.to_string(), word: crew.name.clone(), chosen: false };
    crews.iter().map(choice).collect()
}

/// What the page of plates shows.
pub struct BatchPlatesView<'a> {
    pub names: Names<'a>,
    pub batch: &'a Batch,
    pub plates: &'a [Plate],
    pub state: Option<PlateState>,
    pub next: Option<i64>,
}

struct PlateLine {
    ordinal: i64,
    token: String,
    address: String,
    state_word: String,
    code: String,
    digits: String,
    place: String,
    crew: String,
    at: String,
    successor: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "batch_plates.html")]
struct PlatesPage<'a> {
    page: Page<'a>,
    id: String,
    states: Vec<Choice>,
    state: String,
    lines: Vec<PlateLine>,
    next: Option<i64>,
}

/// The plates of a batch, page by page.
pub fn batch_plates(page: &Page, view: &BatchPlatesView) -> String {
    let line = |plate: &Plate| PlateLine {
        ordinal: plate.ordinal,
        token: plate.token.grouped(),
        address: format!("/c/{}", plate.token),
        state_word: page.word("plate_state", plate.state),
        code: plate.printed_code.as_deref().map(|digits| field_words::code(page, digits)).unwrap_or_default(),
        digits: plate.printed_code.clone().unwrap_or_default(),
        place: page.catalogue.fill(
            "batches.place",
            &[("page", &plate.page.to_string()), ("place", &plate.place_on_page.to_string())],
        ),
        crew: plate
            .holder
            .and_then(|id| view.names.staff.iter().find(|user| user.id == id))
            .map(|user| user.name.clone())
            .unwrap_or_default(),
        at: page.date_time(plate.state_at),
        successor: plate.successor.map(|token| (format!("/c/{token}"), token.grouped())),
    };
    let choice = |state: &PlateState| Choice {
        value: state.to_string(),
        word: page.word("plate_state", state),
        chosen: view.state == Some(*state),
    };
    write(&PlatesPage {
        page: *page,
        id: view.batch.id.to_string(),
        states: PlateState::ALL.iter().map(choice).collect(),
        state: view.state.map(|state| state.to_string()).unwrap_or_default(),
        lines: view.plates.iter().map(line).collect(),
        next: view.next,
    })
}

/// What the page of stock shows.
pub struct StockView<'a> {
    pub names: Names<'a>,
    pub lines: &'a [StockLine],
    pub crews: &'a [User],
    pub may_move: bool,
    pub moved: Option<i64>,
    pub key: fn() -> IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

struct StockRow {
    crew: String,
    batch: String,
    made: String,
    blank: i64,
    for_covers: i64,
    range: String,
}

#[derive(Template)]
#[template(path = "plate_stock.html")]
struct StockPage<'a> {
    page: Page<'a>,
    rows: Vec<StockRow>,
    totals: Vec<(String, i64)>,
    crews: Vec<Choice>,
    may_move: bool,
    moved: Option<String>,
    keys: [String; 2],
    wrong: Option<String>,
}

/// What each crew has.
pub fn plate_stock(page: &Page, view: &StockView) -> String {
    let name = |id| {
        let known = view.names.staff.iter().find(|user| user.id == id);
        known.map(|user| user.name.clone()).unwrap_or_default()
    };
    let mut totals: BTreeMap<String, i64> = BTreeMap::new();
    for line in view.lines {
        *totals.entry(name(line.crew)).or_default() += line.blank + line.for_covers;
    }
    let row = |line: &StockLine| StockRow {
        crew: name(line.crew),
        batch: line.batch.to_string(),
        made: made_on(page, line.batch),
        blank: line.blank,
        for_covers: line.for_covers,
        range: range(line),
    };
    write(&StockPage {
        page: *page,
        rows: view.lines.iter().map(row).collect(),
        totals: totals.into_iter().collect(),
        crews: crew_choices(view.crews),
        may_move: view.may_move,
        moved: view.moved.map(|count| page.fill("batches.moved", "count", count)),
        keys: std::array::from_fn(|_| (view.key)().to_string()),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// When a batch was ordered: its id says so.
fn made_on(page: &Page, id: BatchId) -> String {
    let at = id.0.get_timestamp().map(|at| at.to_unix());
    at.map_or_else(
        || id.to_string(),
        |(seconds, nanos)| {
            page.date_time(crate::domain::ids::Millis(seconds as i64 * 1000 + i64::from(nanos / 1_000_000)))
        },
    )
}
