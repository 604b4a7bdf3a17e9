//! 区划与网格: outlines by kind with their covers, and the preview of a file of outlines.

use std::collections::BTreeMap;

use askama::Template;

use super::Page;
use super::drawing::{Drawing, edges_of, widened};
use super::words::Choice;
use crate::domain::Refusal;
use crate::domain::area::{Area, AreaKind};
use crate::http::area_desk::{AreaFile, AreaFileLook, Assigned};
use crate::import::Encoding;
use crate::registry::{AreaName, DistrictCheck, User};

/// Rings of one area; a drawing needs no more.
const RINGS: usize = 60;
/// Names that a list of a preview shows.
const NAMES: usize = 200;

/// What the page of areas shows.
pub struct AreaDeskView<'a> {
    pub kind: AreaKind,
    pub areas: &'a [Area],
    /// Covers by code.
    pub counts: &'a BTreeMap<String, i64>,
    /// Names of those who answer for an area, by code.
    pub people: &'a BTreeMap<String, Vec<String>>,
    /// Everybody who may have areas of their own.
    pub workers: &'a [User],
    /// Where the next page begins.
    pub next: Option<&'a str>,
    pub assigned: Option<&'a Assigned>,
    /// Whether manholes are being put into districts, and how many were looked at; `None` = other work
    /// goes first.
    pub working: bool,
    pub rows: Option<u64>,
    pub wrong: Option<&'a Refusal>,
}

/// An area of the drawing.
struct Outline {
    path: String,
    title: String,
}

struct AreaDrawing {
    width: f64,
    height: f64,
    outlines: Vec<Outline>,
}

struct AreaRow {
    code: String,
    name: String,
    parts: usize,
    covers: i64,
    people: String,
}

#[derive(Template)]
#[template(path = "areas.html")]
struct DeskPage<'a> {
    page: Page<'a>,
    kind: AreaKind,
    kinds: Vec<Choice>,
    rows: Vec<AreaRow>,
    /// Logins with names.
    workers: Vec<Choice>,
    drawing: Option<AreaDrawing>,
    next: Option<&'a str>,
    assigned: Option<(String, String)>,
    working: bool,
    progress: String,
    wrong: Option<String>,
    may_change: bool,
}

fn kinds(page: &Page, chosen: &str) -> Vec<Choice> {
    let choice = |kind: &AreaKind| Choice {
        value: kind.to_string(),
        word: page.word("area_kind", kind),
        chosen: kind.as_str() == chosen,
    };
    AreaKind::ALL.iter().map(choice).collect()
}

/// The areas of a kind.
pub fn area_desk(page: &Page, view: &AreaDeskView) -> String {
    let name = |area: &Area| if page.is_chinese() { area.name_zh.clone() } else { area.name_en.clone() };
    let row = |area: &Area| AreaRow {
        code: area.code.clone(),
        name: name(area),
        parts: area.shape.parts().len(),
        covers: view.counts.get(&area.code).copied().unwrap_or_default(),
        people: view.people.get(&area.code).map(|names| names.join(page.t("list.comma"))).unwrap_or_default(),
    };
    let progress = match view.rows {
        None => page.t("imports.queued").to_owned(),
        Some(rows) => page.fill("areas.looked_at", "count", rows),
    };
    let said = |assigned: &Assigned| {
        let who = format!("{} · {}", assigned.by, page.date_time(assigned.at));
        let what = match (&assigned.check, &assigned.refusal) {
            (Some(check), _) => counted(page, check),
            (None, Some(refusal)) => page.catalogue.stored_refusal_in_words(&refusal.code, &refusal.params),
            (None, None) => String::new(),
        };
        (who, what)
    };
    super::write(&DeskPage {
        page: *page,
        kind: view.kind,
        kinds: kinds(page, view.kind.as_str()),
        rows: view.areas.iter().map(row).collect(),
        workers: view
            .workers
            .iter()
            .map(|user| Choice {
                value: user.login.clone(),
                word: format!("{}（{}）", user.name, user.login),
                chosen: false,
            })
            .collect(),
        drawing: draw(view.areas, |area| format!("{} {}", area.code, name(area))),
        next: view.next,
        assigned: view.assigned.map(said),
        working: view.working,
        progress,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
        may_change: page.session.is_some_and(|session| session.user.role == crate::domain::role::Role::Admin),
    })
}

/// What a look at the districts came to, in a sentence.
fn counted(page: &Page, check: &DistrictCheck) -> String {
    let DistrictCheck { checked, right, moved, outside, changed_meanwhile, .. } = check;
    let numbers = [checked, right, moved, outside, changed_meanwhile].map(|count| count.to_string());
    let [checked, right, moved, outside, meanwhile] = &numbers;
    page.catalogue.fill(
        "areas.counted",
        &[
            ("checked", checked),
            ("right", right),
            ("moved", moved),
            ("outside", outside),
            ("meanwhile", meanwhile),
        ],
    )
}

/// `None` = there is nothing to draw.
fn draw(areas: &[Area], title: impl Fn(&Area) -> String) -> Option<AreaDrawing> {
    let drawing = Drawing::of(widened(edges_of(areas)?, 0.02, 1e-5));
    let outline = |area: &Area| Outline {
        path: drawing.path(area.shape.parts().iter().flatten().take(RINGS), 1),
        title: title(area),
    };
    let outlines = areas.iter().map(outline).collect();
    Some(AreaDrawing { width: drawing.width, height: drawing.height, outlines })
}

/// What the page of a file shows.
pub struct AreaFileView<'a> {
    pub file: &'a AreaFile,
    pub wrong: Option<&'a Refusal>,
}

struct ProblemRow {
    place: String,
    sentence: String,
}

struct NameList {
    word: String,
    count: usize,
    names: Vec<String>,
}

struct Looked {
    understood: Vec<String>,
    evidence: Vec<String>,
    problems: Vec<ProblemRow>,
    problem_count: usize,
    lists: Vec<NameList>,
    unchanged: usize,
    areas: usize,
    overlaps: Vec<String>,
    districts: Option<String>,
    moves: Vec<(String, u64)>,
    columns: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "area_file.html")]
struct FilePage<'a> {
    page: Page<'a>,
    file: &'a AreaFile,
    id: String,
    at: String,
    kinds: Vec<Choice>,
    encodings: Vec<Choice>,
    looked: Option<Looked>,
    refusal: Option<String>,
    wrong: Option<String>,
}

impl FilePage<'_> {
    fn may_apply(&self) -> bool {
        self.looked.as_ref().is_some_and(|looked| looked.problem_count == 0 && looked.areas > 0)
    }

    fn is_district(&self) -> bool {
        self.file.wishes.kind == AreaKind::District.as_str()
    }
}

/// A file with what a look at it found.
pub fn area_file(page: &Page, view: &AreaFileView) -> String {
    let file = view.file;
    let (looked, refusal) = match &file.look {
        AreaFileLook::Looked { .. } => (looked(page, file), None),
        AreaFileLook::Refused(refusal) => {
            (None, Some(page.catalogue.stored_refusal_in_words(&refusal.code, &refusal.params)))
        }
    };
    let encoding = |encoding: &Encoding| Choice {
        value: encoding.to_string(),
        word: encoding.to_string(),
        chosen: file.wishes.encoding.as_deref() == Some(encoding.as_str()),
    };
    super::write(&FilePage {
        page: *page,
        file,
        id: file.id.to_string(),
        at: page.date_time(file.at),
        kinds: kinds(page, &file.wishes.kind),
        encodings: Encoding::ALL.iter().map(encoding).collect(),
        looked,
        refusal,
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

fn looked(page: &Page, file: &AreaFile) -> Option<Looked> {
    let AreaFileLook::Looked { found, areas, problems, problem_count, plan } = &file.look else {
        return None;
    };
    let mut understood = vec![page.word("format", &found.format)];
    understood.extend(found.layer.clone());
    understood.extend(found.encoding.clone());
    understood.push(found.crs.clone());
    understood
        .push(page.catalogue.fill("areas.columns_found", &[("code", &found.code), ("name", &found.name)]));
    let sentence = |(code, facts): &(String, BTreeMap<String, String>)| {
        let facts: Vec<(&str, &str)> =
            facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        page.catalogue.fill(&format!("evidence.{code}"), &facts)
    };
    let list = |word: &'static str, names: &[AreaName]| NameList {
        word: page.t(word).to_owned(),
        count: names.len(),
        names: names
            .iter()
            .take(NAMES)
            .map(|area| {
                let name = if page.is_chinese() { &area.name_zh } else { &area.name_en };
                format!("{} {name}", area.code)
            })
            .collect(),
    };
    let others = if file.wishes.replace { "areas.removed" } else { "areas.kept" };
    let lists = [
        list("areas.added", &plan.added),
        list("areas.redrawn", &plan.redrawn),
        list("areas.renamed", &plan.renamed),
        list(others, &plan.others),
    ];
    let problem = |problem: &crate::http::area_desk::AreaProblem| {
        let line = problem.line.map(|line| page.fill("imports.line", "line", line));
        let place = [line, Some(problem.read.clone())].into_iter().flatten().collect::<Vec<_>>().join(" · ");
        let sentence = page.catalogue.stored_refusal_in_words(&problem.refusal.code, &problem.refusal.params);
        ProblemRow { place, sentence }
    };
    let overlap = |overlap: &crate::spatial::Overlap| {
        let ([lon, lat], meters) = (overlap.at, format!("{:.0}", overlap.square_meters));
        let place = format!("{lon:.6}, {lat:.6}");
        let facts = [
            ("first", overlap.first.as_str()),
            ("second", &overlap.second),
            ("meters", &meters),
            ("place", &place),
        ];
        page.catalogue.fill("areas.overlap", &facts)
    };
    let moves = plan.districts.iter().flat_map(|check| &check.moves);
    Some(Looked {
        understood,
        evidence: found.evidence.iter().map(sentence).collect(),
        problems: problems.iter().map(problem).collect(),
        problem_count: *problem_count,
        lists: lists.into_iter().filter(|list| list.count > 0).collect(),
        unchanged: plan.unchanged,
        areas: *areas,
        overlaps: plan.overlaps.iter().take(NAMES).map(overlap).collect(),
        districts: plan.districts.as_ref().map(|check| counted(page, check)),
        moves: moves.map(|(way, count)| (way.clone(), *count)).collect(),
        columns: found
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.samples.join(page.t("list.comma"))))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::area::AreaShape;

    #[test]
    fn outlines_are_drawn_north_up_and_an_empty_city_not_at_all() {
        let ring = vec![[118.5, 37.4], [118.7, 37.4], [118.7, 37.5], [118.5, 37.5], [118.5, 37.4]];
        let area = Area {
            kind: AreaKind::District,
            code: "370502".into(),
            name_zh: "东营区".into(),
            name_en: "Dongying".into(),
            shape: AreaShape::new(vec![vec![ring]]).unwrap(),
        };
        let drawing = draw(std::slice::from_ref(&area), |area| area.code.clone()).unwrap();
        assert!(drawing.outlines[0].path.starts_with("M11.5 ") && drawing.outlines[0].path.ends_with('Z'));
        assert_eq!(drawing.outlines[0].title, "370502");
        assert!(draw(&[], |area| area.code.clone()).is_none());
    }
}
