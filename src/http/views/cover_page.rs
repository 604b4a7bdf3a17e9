//! The file of a cover, for staff: place, attributes, plates, cases, photos, history and its proof.

use askama::Template;

use super::case_pages::Shot;
use super::quality_pages::missing;
use super::words::{Line, Names, PublicCover, joined, lines};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::case::{Case, PHOTO_LIMIT};
use crate::domain::code::ComponentCode;
use crate::domain::cover::{CoverFile, Party};
use crate::domain::history::HistoryEntry;
use crate::domain::plate::Plate;
use crate::domain::position::SystemCode;
use crate::domain::quality::{Facts, Finding, Rules};
use crate::domain::role::Role;
use crate::registry::{ChainState, EarlierFile, PhotoRecord};
use crate::spatial::Near;

/// What the page shows.
pub struct CoverView<'a> {
    pub file: &'a CoverFile,
    /// The other covers of its manhole.
    pub beside: &'a [CoverFile],
    /// Codes that it had before.
    pub former: &'a [ComponentCode],
    /// Files that go on in this one.
    pub earlier: &'a [EarlierFile],
    pub plates: &'a [Plate],
    pub cases: &'a [Case],
    pub photos: &'a [PhotoRecord],
    pub history: &'a [HistoryEntry],
    pub chain: ChainState,
    /// The cover itself among its neighbors, nearest first.
    pub neighbors: &'a [Near],
    /// What is asked of its file, on a page.
    pub asked: Option<AskedOf<'a>>,
    pub names: Names<'a>,
}

/// What is asked of a file and what is known.
#[derive(Clone, Copy)]
pub struct AskedOf<'a> {
    pub rules: &'a Rules,
    pub knows: Facts,
    pub this_year: u16,
    /// The notice in which the cover stands because it has no owner.
    pub notice: Option<&'a str>,
}

/// Half the side of the sketch in its own units.
const SKETCH_HALF: f64 = 100.0;

struct Dot {
    x: String,
    y: String,
    class: &'static str,
    here: bool,
}

/// The cover among its neighbors, north up, for somebody who stands in the street.
struct Sketch {
    dots: Vec<Dot>,
    /// Length of the scale bar: meters and units.
    bar_m: u32,
    bar: String,
}

struct PlateLine {
    grouped: String,
    token: String,
    state: String,
    live: bool,
    face: String,
    at: String,
}

struct CaseLine {
    number: String,
    hazard: String,
    state: String,
    state_key: &'static str,
    created: String,
}

/// Another cover of the manhole.
struct Beside {
    digits: String,
    code: String,
    class_word: String,
    class_key: &'static str,
    retired: bool,
}

/// That the cover is no longer in use.
struct Gone {
    reason: String,
    at: String,
    /// Digits for the address and groups to be read.
    successor: Option<(String, String)>,
}

/// A file that goes on in this one.
struct Earlier {
    title: String,
    whole: bool,
    proof: String,
    lines: Vec<Line>,
}

/// How complete a file is, and what in it wants a look.
struct Score {
    score: u8,
    is_low: bool,
    missing: String,
    findings: Vec<String>,
}

#[derive(Template)]
#[template(path = "cover.html")]
struct CoverPage<'a> {
    page: Page<'a>,
    cover: PublicCover,
    digits: &'a str,
    gone: Option<Gone>,
    beside: Vec<Beside>,
    former: Vec<String>,
    earlier: Vec<Earlier>,
    facts: Vec<(String, String)>,
    /// How complete its file is; of one in use.
    score: Option<Score>,
    notice: Option<&'a str>,
    extra: Vec<(&'a str, &'a str)>,
    sketch: Sketch,
    plates: Vec<PlateLine>,
    cases: Vec<CaseLine>,
    photos: Vec<Shot>,
    lines: Vec<Line>,
    whole: bool,
    proof: String,
    may_install: bool,
    may_edit: bool,
    photo_limit: usize,
    wrong: Option<String>,
}

/// The page; `wrong` is why a plate could not be fitted.
pub fn cover_file(page: &Page, view: &CoverView, wrong: Option<&Refusal>) -> String {
    let file = view.file;
    let (whole, proof) = proof(page, view.chain);
    let role = page.session.map(|session| session.user.role);
    write(&CoverPage {
        page: *page,
        cover: PublicCover::new(page, file),
        digits: &file.code.digits,
        gone: file.retired.as_ref().map(|retired| Gone {
            reason: page.word("retire_reason", retired.reason),
            at: page.date_time(retired.at),
            successor: retired.successor.as_ref().map(|(_, code)| (code.digits.clone(), page.code(code))),
        }),
        beside: view.beside.iter().map(|other| beside(page, other)).collect(),
        former: view.former.iter().map(|code| page.code(code)).collect(),
        earlier: view.earlier.iter().map(|file| earlier(page, view.names, file)).collect(),
        facts: facts(page, file),
        score: view.asked.filter(|_| file.retired.is_none()).map(|asked| score(page, asked)),
        notice: view.asked.and_then(|asked| asked.notice),
        extra: file.survey.extra.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        sketch: sketch(file, view.neighbors),
        plates: view.plates.iter().map(|plate| plate_line(page, plate)).collect(),
        cases: view.cases.iter().rev().map(|case| case_line(page, case)).collect(),
        photos: view.photos.iter().rev().map(|photo| Shot::new(page, photo)).collect(),
        lines: lines(page, view.names, view.history),
        whole,
        proof,
        may_install: file.retired.is_none()
            && matches!(role, Some(Role::Crew | Role::Engineer | Role::Admin)),
        may_edit: matches!(role, Some(Role::Engineer | Role::Admin)),
        photo_limit: PHOTO_LIMIT,
        wrong: wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

fn score(page: &Page, asked: AskedOf) -> Score {
    let AskedOf { rules, knows: facts, this_year, .. } = asked;
    let score = rules.score(facts.there);
    let findings = rules.findings(&facts, this_year);
    Score {
        score,
        is_low: score < rules.completeness.low,
        missing: missing(page, rules, &facts),
        // What is missing says so already.
        findings: [Finding::UnderRated, Finding::DoubtfulLoad, Finding::UnknownLoad, Finding::OverAge]
            .into_iter()
            .filter(|finding| findings.contains(*finding))
            .map(|finding| page.word("finding", finding))
            .collect(),
    }
}

/// Whether a file is whole, in words.
pub(super) fn proof(page: &Page, chain: ChainState) -> (bool, String) {
    match chain {
        ChainState::Whole { length } => (true, page.fill("file.proof_whole", "count", length)),
        ChainState::Broken { sequence } => (false, page.fill("file.proof_broken", "sequence", sequence)),
    }
}

fn beside(page: &Page, other: &CoverFile) -> Beside {
    Beside {
        digits: other.code.digits.clone(),
        code: page.code(&other.code),
        class_word: page.word("class", other.survey.class),
        class_key: other.survey.class.as_str(),
        retired: other.retired.is_some(),
    }
}

/// How a file came to go on in this one.
pub(super) fn earlier_title(page: &Page, file: &EarlierFile) -> String {
    match &file.merge {
        Some(merge) => page.fill("file.merged", "date", page.date(merge.at)),
        None => page.t("file.split_from").to_owned(),
    }
}

fn earlier(page: &Page, names: Names, file: &EarlierFile) -> Earlier {
    let (whole, proof) = proof(page, file.chain);
    let title = earlier_title(page, file);
    Earlier { title, whole, proof, lines: lines(page, names, &file.entries) }
}

fn plate_line(page: &Page, plate: &Plate) -> PlateLine {
    PlateLine {
        grouped: plate.token.grouped(),
        token: plate.token.to_string(),
        state: page.word("plate_state", plate.state),
        live: plate.state.is_live(),
        face: plate.face.clone(),
        at: page.date_time(plate.state_at),
    }
}

fn case_line(page: &Page, case: &Case) -> CaseLine {
    CaseLine {
        number: case.number.clone(),
        hazard: page.word("hazard", case.hazard),
        state: page.word("case_state", case.state),
        state_key: case.state.as_str(),
        created: page.date(case.created_at),
    }
}

/// What a survey says, in the order in which people ask.
pub(super) fn facts(page: &Page, file: &CoverFile) -> Vec<(String, String)> {
    let survey = &file.survey;
    let position = &survey.position;
    let known = |list: &str, word: Option<&str>| word.map(|word| page.word(list, word));
    let party = |party: &Option<Party>| party.as_ref().map(|party| party.name.clone());
    let unknown_owner = || Some(page.catalogue.text("scan.owner_unknown").to_owned());
    let all = [
        ("state", Some(page.word("state", survey.state))),
        ("class", Some(page.word("class", survey.class))),
        ("placement", known("placement", survey.placement.map(|it| it.as_str()))),
        ("load_class", survey.load_class.map(|it| it.as_str().to_owned())),
        ("material", known("material", survey.material.map(|it| it.as_str()))),
        ("shape", known("shape", survey.shape.map(|it| it.as_str()))),
        ("address", survey.address.clone()),
        ("owner", party(&file.owner).or_else(unknown_owner)),
        ("maintainer", party(&file.maintainer)),
        ("supervisor", party(&file.supervisor)),
        ("position", Some(format!("{:.7}, {:.7}", position.lon, position.lat))),
        ("raw", Some(format!("{}, {} ({})", position.raw.x, position.raw.y, SystemCode(position.raw.epsg)))),
        ("method", Some(page.word("position_method", position.method))),
        ("accuracy", position.accuracy_m.map(|meters| format!("± {meters} m"))),
        ("surveyed_at", position.surveyed_at.map(|at| page.date(at))),
        ("source", Some(joined([Some(file.source.as_str()), file.source_key.as_deref()]))),
        ("scheme", Some(file.code.scheme.clone())),
        ("created_at", Some(page.date_time(file.created_at))),
    ];
    all.into_iter()
        .filter_map(|(key, value)| Some((page.word("fact", key), value.filter(|value| !value.is_empty())?)))
        .collect()
}

fn sketch(file: &CoverFile, neighbors: &[Near]) -> Sketch {
    let (lon, lat) = (file.survey.position.lon, file.survey.position.lat);
    let farthest = neighbors.iter().map(|near| near.distance_m).fold(10.0, f64::max);
    let scale = (SKETCH_HALF - 6.0) / farthest;
    // A degree of latitude on the sphere of the distances.
    let meters_per_degree = 111_195.0;
    let place = |near: &Near| {
        let east = (near.row.lon - lon) * meters_per_degree * lat.to_radians().cos();
        let north = (near.row.lat - lat) * meters_per_degree;
        (SKETCH_HALF + east * scale, SKETCH_HALF - north * scale)
    };
    let mut dots: Vec<Dot> = neighbors
        .iter()
        .filter(|near| near.row.cover != file.cover)
        .map(|near| {
            let (x, y) = place(near);
            Dot { x: format!("{x:.1}"), y: format!("{y:.1}"), class: near.row.class.as_str(), here: false }
        })
        .collect();
    let middle = format!("{SKETCH_HALF:.1}");
    dots.push(Dot { x: middle.clone(), y: middle, class: file.survey.class.as_str(), here: true });
    let bar_m = [100, 50, 20, 10, 5].into_iter().find(|bar| f64::from(*bar) * scale <= 90.0).unwrap_or(5);
    Sketch { dots, bar_m, bar: format!("{:.1}", f64::from(bar_m) * scale) }
}
