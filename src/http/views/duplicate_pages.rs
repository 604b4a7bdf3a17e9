//! 疑似重复: pairs of covers that may be one, side by side.

use askama::Template;

use super::quality_pages::district_choices;
use super::structure_pages::{Pair, meters, pairs_of};
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::ids::{CoverId, IdempotencyKey};
use crate::registry::{Merge, ToldApart};

/// Two covers that may be one, as they are now.
pub struct CloseFiles {
    pub older: CoverFile,
    pub newer: CoverFile,
    pub distance_m: f64,
}

/// What the list shows.
pub struct DuplicatesView<'a> {
    pub pairs: &'a [CloseFiles],
    /// Of all pages.
    pub count: usize,
    pub next: Option<CoverId>,
    pub district: Option<&'a str>,
    pub cursor: &'a str,
    pub names: Names<'a>,
    /// The latest decisions.
    pub apart: &'a [ToldApart],
    pub same: &'a [Merge],
    /// The covers of which these speak.
    pub files: &'a [CoverFile],
    pub tolerance_m: f64,
    pub key: fn() -> IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

struct Close {
    key: String,
    class_word: String,
    class_key: &'static str,
    meters: String,
    older: Side,
    newer: Side,
    pairs: Vec<Pair>,
    /// Where the two lie in a square of 60 units, north up: the older one in the middle.
    dx: String,
    dy: String,
}

struct Side {
    digits: String,
    code: String,
    version: i64,
    source: String,
    since: String,
}

struct Decision {
    older: (String, String),
    newer: (String, String),
    who: String,
    at: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "duplicates.html")]
struct DuplicatesPage<'a> {
    page: Page<'a>,
    count: usize,
    districts: Vec<Choice>,
    district: &'a str,
    cursor: &'a str,
    query: String,
    tolerance: String,
    rows: Vec<Close>,
    next: Option<String>,
    apart: Vec<Decision>,
    same: Vec<Decision>,
    may_edit: bool,
    wrong: Option<String>,
}

/// The list, with the latest decisions below.
pub fn duplicates(page: &Page, view: &DuplicatesView) -> String {
    let query = view.district.map_or_else(String::new, |code| format!("district={code}"));
    write(&DuplicatesPage {
        page: *page,
        count: view.count,
        districts: district_choices(page, view.names.districts, view.district.unwrap_or_default()),
        district: view.district.unwrap_or_default(),
        cursor: view.cursor,
        tolerance: meters(view.tolerance_m),
        rows: view.pairs.iter().map(|pair| close(page, view, pair)).collect(),
        next: view.next.map(|last| {
            let query = if query.is_empty() { String::new() } else { format!("{query}&") };
            format!("/quality/duplicates?{query}cursor={last}")
        }),
        query,
        apart: view
            .apart
            .iter()
            .filter_map(|pair| {
                decision(page, view, (pair.older, pair.newer), (&pair.actor, pair.at, &pair.reason))
            })
            .collect(),
        same: view
            .same
            .iter()
            .filter_map(|merge| {
                let (gone, kept) = merge.same?;
                decision(page, view, (kept, gone), (&merge.actor, merge.at, &merge.reason))
            })
            .collect(),
        may_edit: page.keeps_registry(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

fn decision(
    page: &Page,
    view: &DuplicatesView,
    (older, newer): (CoverId, CoverId),
    (actor, at, reason): (&str, crate::domain::ids::Millis, &str),
) -> Option<Decision> {
    let named = |cover| {
        let file = view.files.iter().find(|file| file.cover == cover)?;
        Some((file.code.digits.clone(), page.code(&file.code)))
    };
    Some(Decision {
        older: named(older)?,
        newer: named(newer)?,
        who: view.names.who(page, actor),
        at: page.date_time(at),
        reason: reason.to_owned(),
    })
}

fn side(page: &Page, file: &CoverFile) -> Side {
    Side {
        digits: file.code.digits.clone(),
        code: page.code(&file.code),
        version: file.version,
        source: [file.source.as_str(), file.source_key.as_deref().unwrap_or_default()].join(" "),
        since: page.date(file.created_at),
    }
}

fn close(page: &Page, view: &DuplicatesView, pair: &CloseFiles) -> Close {
    let place = |file: &CoverFile| (file.survey.position.lon, file.survey.position.lat);
    let ((lon, lat), (other_lon, other_lat)) = (place(&pair.older), place(&pair.newer));
    // The tolerance is 20 units long.
    let scale = 20.0 / view.tolerance_m.max(0.01);
    let east = (other_lon - lon) * 111_195.0 * lat.to_radians().cos() * scale;
    let north = (other_lat - lat) * 111_195.0 * scale;
    Close {
        key: (view.key)().to_string(),
        class_word: page.word("class", pair.newer.survey.class),
        class_key: pair.newer.survey.class.as_str(),
        meters: meters(pair.distance_m),
        older: side(page, &pair.older),
        newer: side(page, &pair.newer),
        pairs: pairs_of(page, &pair.older, &pair.newer),
        dx: format!("{:.1}", 30.0 + east),
        dy: format!("{:.1}", 30.0 - north),
    }
}

/// The headings of the list as a file.
pub fn duplicate_headings(page: &Page) -> Vec<String> {
    let keys = [
        "duplicates.older",
        "duplicates.newer",
        "fact.class",
        "fact.district",
        "duplicates.meters",
        "fact.road",
        "duplicates.other_road",
        "fact.source",
        "duplicates.other_source",
    ];
    keys.map(|key| page.t(key).to_owned()).into()
}

/// A line of that file.
pub fn duplicate_cells(page: &Page, pair: &CloseFiles) -> Vec<String> {
    let road = |file: &CoverFile| file.survey.road.clone().unwrap_or_default();
    let source = |file: &CoverFile| {
        [file.source.as_str(), file.source_key.as_deref().unwrap_or_default()].join(" ").trim().to_owned()
    };
    vec![
        pair.older.code.digits.clone(),
        pair.newer.code.digits.clone(),
        page.word("class", pair.newer.survey.class),
        page.district(&pair.newer.district).to_owned(),
        format!("{:.2}", pair.distance_m),
        road(&pair.older),
        road(&pair.newer),
        source(&pair.older),
        source(&pair.newer),
    ]
}
