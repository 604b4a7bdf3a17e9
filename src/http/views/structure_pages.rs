//! Forms for what becomes of covers and manholes: another code, retirement, one more cover, merges and
//! splits.

use std::collections::BTreeMap;

use askama::Template;

use super::edit_page::{Field, FormAround, Head};
use super::field_words::{self, choices, is_needed, label};
use super::words::Choice;
use super::{Page, write};
use crate::domain::code::ComponentCode;
use crate::domain::cover::CoverFile;
use crate::domain::edit::{MergeKind, PlatesGo, RetireReason};
use crate::registry::EarlierFile;

type Texts = BTreeMap<String, String>;

fn typed<'t>(texts: &'t Texts, name: &str) -> &'t str {
    texts.get(name).map_or("", String::as_str)
}

/// A field without a value of its own.
fn field(page: &Page, around: FormAround, name: &str, texts: &Texts) -> Field {
    let value = typed(texts, name).to_owned();
    Field {
        name: name.to_owned(),
        label: label(page, name),
        choices: choices(page, around.names, name, &value),
        open: !is_needed(name),
        long: false,
        date: name == "surveyed_on",
        both: None,
        value,
    }
}

/// A cover beside the one of the form.
struct Beside {
    digits: String,
    code: String,
    class_word: String,
    class_key: &'static str,
    state: String,
    retired: bool,
    chosen: bool,
}

impl Beside {
    fn new(page: &Page, file: &CoverFile, chosen: bool) -> Self {
        Self {
            digits: file.code.digits.clone(),
            code: page.code(&file.code),
            class_word: page.word("class", file.survey.class),
            class_key: file.survey.class.as_str(),
            state: page.word("state", file.survey.state),
            retired: file.retired.is_some(),
            chosen,
        }
    }
}

#[derive(Template)]
#[template(path = "code_form.html")]
struct CodePage<'a> {
    page: Page<'a>,
    head: Head,
    former: Vec<String>,
    schemes: Vec<Choice>,
    typed: &'a str,
}

/// The form to give a cover another code.
pub fn code_form(page: &Page, around: FormAround, former: &[ComponentCode], texts: &Texts) -> String {
    let chosen = match typed(texts, "scheme") {
        "" => &around.file.code.scheme,
        typed => typed,
    };
    let name = |zh: &str, en: &str| if page.is_chinese() { zh.to_owned() } else { en.to_owned() };
    write(&CodePage {
        page: *page,
        head: Head::new(page, around),
        former: former.iter().map(|code| page.code(code)).collect(),
        schemes: page
            .schemes
            .values()
            .map(|scheme| Choice {
                value: scheme.id.clone(),
                word: name(&scheme.name_zh, &scheme.name_en),
                chosen: scheme.id == *chosen,
            })
            .collect(),
        typed: typed(texts, "code"),
    })
}

/// What the form of a retirement shows.
pub struct RetireView<'a> {
    pub around: FormAround<'a>,
    /// The other covers of the manhole.
    pub beside: &'a [CoverFile],
    /// Numbers of cases on it that are open.
    pub open_cases: &'a [String],
    pub live_plates: usize,
    pub texts: &'a Texts,
}

#[derive(Template)]
#[template(path = "retire_form.html")]
struct RetirePage<'a> {
    page: Page<'a>,
    head: Head,
    /// Why it is retired already.
    retired: Option<String>,
    beside: Vec<Beside>,
    open_cases: &'a [String],
    live_plates: usize,
    reasons: Vec<Choice>,
    plates: Vec<Choice>,
    successor: &'a str,
}

/// The form to retire a cover, or to take a retired one into use again.
pub fn retire_form(page: &Page, view: &RetireView) -> String {
    let file = view.around.file;
    let successor = typed(view.texts, "successor");
    let chosen = |value: &str, name: &str| typed(view.texts, name) == value;
    let go = typed(view.texts, "plates");
    let in_use = view.beside.iter().filter(|beside| beside.retired.is_none());
    write(&RetirePage {
        page: *page,
        head: Head::new(page, view.around),
        retired: file.retired.as_ref().map(|retired| page.word("retire_reason", retired.reason)),
        beside: in_use.map(|beside| Beside::new(page, beside, beside.code.digits == successor)).collect(),
        open_cases: view.open_cases,
        live_plates: view.live_plates,
        reasons: RetireReason::ALL
            .iter()
            .map(|reason| Choice {
                value: reason.to_string(),
                word: page.word("retire_reason", reason),
                chosen: chosen(reason.as_str(), "retire_reason"),
            })
            .collect(),
        plates: PlatesGo::ALL
            .iter()
            .map(|plates| Choice {
                value: plates.to_string(),
                word: page.word("plates_go", plates),
                chosen: plates.as_str() == if go.is_empty() { "withdrawn" } else { go },
            })
            .collect(),
        successor,
    })
}

/// What the form of a new cover shows.
pub struct AddView<'a> {
    pub around: FormAround<'a>,
    pub beside: &'a [CoverFile],
    pub texts: &'a Texts,
}

#[derive(Template)]
#[template(path = "add_form.html")]
struct AddPage<'a> {
    page: Page<'a>,
    head: Head,
    beside: Vec<Beside>,
    fields: Vec<Field>,
    typed: &'a str,
}

/// The form to add a cover to a manhole.
pub fn add_form(page: &Page, view: &AddView) -> String {
    let names = ["class", "state", "material", "shape", "load_class", "owner", "maintainer", "supervisor"];
    write(&AddPage {
        page: *page,
        head: Head::new(page, view.around),
        beside: view.beside.iter().map(|file| Beside::new(page, file, false)).collect(),
        fields: names.iter().map(|name| field(page, view.around, name, view.texts)).collect(),
        typed: typed(view.texts, "code"),
    })
}

/// What the form of a merge shows.
pub struct MergeView<'a> {
    pub around: FormAround<'a>,
    /// The cover of the other manhole, once it is named.
    pub other: Option<&'a CoverFile>,
    /// Meters between the two.
    pub distance_m: f64,
    /// Covers of other manholes near by, nearest first.
    pub near: &'a [(CoverFile, f64)],
    /// Files that go on in this one.
    pub earlier: &'a [EarlierFile],
    pub texts: &'a Texts,
}

/// A fact of two covers beside each other.
pub(super) struct Pair {
    pub label: String,
    pub one: String,
    pub other: String,
    pub differs: bool,
}

/// A cover that may be meant.
struct NearBy {
    beside: Beside,
    meters: String,
}

/// A merge that can be undone.
struct Undo {
    id: String,
    codes: String,
    who: String,
    at: String,
    reason: String,
    same: bool,
}

struct Other {
    beside: Beside,
    version: i64,
    meters: String,
    /// So far apart that one shaft is hard to believe.
    far: bool,
    pairs: Vec<Pair>,
}

#[derive(Template)]
#[template(path = "merge_form.html")]
struct MergePage<'a> {
    page: Page<'a>,
    head: Head,
    other: Option<Other>,
    near: Vec<NearBy>,
    kinds: Vec<Choice>,
    undo: Vec<Undo>,
    typed: &'a str,
}

/// Beyond this two surveys of one manhole are unlikely, in meters.
const FAR_M: f64 = 20.0;

/// The form to merge two manholes, and to take merges back.
pub fn merge_form(page: &Page, view: &MergeView) -> String {
    let names = view.around.names;
    let kind = typed(view.texts, "kind");
    write(&MergePage {
        page: *page,
        head: Head::new(page, view.around),
        other: view.other.map(|other| Other {
            beside: Beside::new(page, other, false),
            version: other.version,
            meters: meters(view.distance_m),
            far: view.distance_m > FAR_M,
            pairs: pairs_of(page, view.around.file, other),
        }),
        near: view
            .near
            .iter()
            .map(|(file, far)| NearBy { beside: Beside::new(page, file, false), meters: meters(*far) })
            .collect(),
        kinds: MergeKind::ALL
            .iter()
            .map(|known| Choice {
                value: known.to_string(),
                word: page.word("merge_kind", known),
                chosen: known.as_str() == kind,
            })
            .collect(),
        undo: view
            .earlier
            .iter()
            .filter_map(|file| {
                let merge = file.merge.as_ref()?;
                (merge.survivor == view.around.file.manhole).then(|| Undo {
                    id: merge.id.to_string(),
                    codes: codes(page, file),
                    who: names.who(page, &merge.actor),
                    at: page.date_time(merge.at),
                    reason: merge.reason.clone(),
                    same: merge.same.is_some(),
                })
            })
            .collect(),
        typed: typed(view.texts, "other"),
    })
}

/// The codes that the last entry of a merged file names.
fn codes(page: &Page, file: &EarlierFile) -> String {
    let body = file.entries.last().map_or("{}", |entry| entry.body.as_str());
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let codes = body["codes"].as_array().map_or(&[][..], Vec::as_slice);
    let codes: Vec<String> =
        codes.iter().filter_map(|code| Some(field_words::code(page, code.as_str()?))).collect();
    codes.join(page.t("list.comma"))
}

pub(super) fn meters(meters: f64) -> String {
    if meters < 10.0 { format!("{meters:.2} m") } else { format!("{meters:.0} m") }
}

/// What is known of two covers, fact by fact.
pub(super) fn pairs_of(page: &Page, file: &CoverFile, other: &CoverFile) -> Vec<Pair> {
    let (one, two) = (&file.survey, &other.survey);
    let word = |list: &str, word: Option<&'static str>| {
        word.map_or_else(|| page.t("value.none").to_owned(), |word| page.word(list, word))
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| page.t("value.none").to_owned());
    let all = [
        ("class", page.word("class", one.class), page.word("class", two.class)),
        ("state", page.word("state", one.state), page.word("state", two.state)),
        ("district", page.district(&file.district).to_owned(), page.district(&other.district).to_owned()),
        ("road", text(&one.road), text(&two.road)),
        ("address", text(&one.address), text(&two.address)),
        (
            "placement",
            word("placement", one.placement.map(|it| it.as_str())),
            word("placement", two.placement.map(|it| it.as_str())),
        ),
        ("position", field_words::position(page, &one.position), field_words::position(page, &two.position)),
        (
            "material",
            word("material", one.material.map(|it| it.as_str())),
            word("material", two.material.map(|it| it.as_str())),
        ),
        ("owner", text(&one.owner), text(&two.owner)),
        ("maintainer", text(&one.maintainer), text(&two.maintainer)),
    ];
    all.into_iter()
        .map(|(name, one, other)| Pair { label: label(page, name), differs: one != other, one, other })
        .collect()
}

/// What the form of a split shows.
pub struct SplitView<'a> {
    pub around: FormAround<'a>,
    pub beside: &'a [CoverFile],
    /// Codes of those that go along.
    pub with: &'a [String],
    pub texts: &'a Texts,
}

#[derive(Template)]
#[template(path = "split_form.html")]
struct SplitPage<'a> {
    page: Page<'a>,
    head: Head,
    beside: Vec<Beside>,
    position: Vec<Field>,
    typed_position: bool,
}

/// The form to give covers a manhole of their own.
pub fn split_form(page: &Page, view: &SplitView) -> String {
    let position = ["x", "y", "crs", "method", "accuracy_m", "surveyed_on", "device"];
    write(&SplitPage {
        page: *page,
        head: Head::new(page, view.around),
        beside: view
            .beside
            .iter()
            .map(|file| Beside::new(page, file, view.with.contains(&file.code.digits)))
            .collect(),
        position: position.iter().map(|name| field(page, view.around, name, view.texts)).collect(),
        typed_position: position.iter().any(|name| !typed(view.texts, name).is_empty()),
    })
}
