//! 档案质量: how complete the files of each district are, and the lists of those that want a look.

use std::collections::BTreeMap;

use askama::Template;

use super::words::Choice;
use super::{Page, write};
use crate::domain::cover::{CoverClass, CoverFile, District, Material, Placement};
use crate::domain::ids::CoverId;
use crate::domain::quality::{Facts, FileField, Finding, Rules};
use crate::quality::{DistrictSum, MaterialFilter};

/// What is said of each district: its files and pairs of covers that may be one.
type Sums = BTreeMap<String, (DistrictSum, u64)>;

/// What the overview shows.
pub struct OverviewView<'a> {
    pub sums: &'a Sums,
    pub districts: &'a [District],
    pub chosen: Option<&'a str>,
    pub rules: &'a Rules,
    /// Covers of notices about which somebody must still do something.
    pub open_claims: i64,
}

/// A number with the list behind it.
struct Cell {
    label: String,
    count: u64,
    address: String,
}

/// A bar of the spread: where it begins and how high it is, in the units of the sketch.
struct Bar {
    x: u32,
    y: u32,
    height: u32,
    low: bool,
}

struct Row {
    name: String,
    covers: u64,
    mean: String,
    spread: Vec<Bar>,
    spread_alt: String,
    cells: Vec<Cell>,
}

#[derive(Template)]
#[template(path = "quality.html")]
struct OverviewPage<'a> {
    page: Page<'a>,
    districts: Vec<Choice>,
    heads: Vec<String>,
    rows: Vec<Row>,
    materials: Vec<Cell>,
    weights: Vec<(String, u32)>,
    low: u8,
    fair: u8,
    years: u16,
    loads: Vec<(String, String)>,
    open_claims: i64,
}

/// The name of a district that a board knows by its code.
fn name_of(page: &Page, districts: &[District], code: &str) -> String {
    let known = districts.iter().find(|district| district.code == code);
    known.map_or_else(|| code.to_owned(), |district| page.district(district).to_owned())
}

fn mean(sum: &DistrictSum) -> String {
    sum.mean_tenths().map_or_else(|| "–".to_owned(), |tenths| format!("{}.{}", tenths / 10, tenths % 10))
}

/// What covers may be, and what can be told of one from a list.
fn heads(page: &Page) -> Vec<String> {
    let findings = Finding::ALL.iter().map(|finding| page.word("finding", finding));
    findings.chain([page.t("quality.duplicates").to_owned()]).collect()
}

fn cells(page: &Page, district: Option<&str>, (sum, pairs): (&DistrictSum, u64)) -> Vec<Cell> {
    let within = district.map_or_else(String::new, |code| format!("&district={code}"));
    let of_finding = Finding::ALL.iter().map(|finding| Cell {
        label: page.word("finding", finding),
        count: sum.count(*finding),
        address: format!("/quality/files?finding={finding}{within}"),
    });
    let duplicates = Cell {
        label: page.t("quality.duplicates").to_owned(),
        count: pairs,
        address: format!("/quality/duplicates{}", within.replacen('&', "?", 1)),
    };
    of_finding.chain([duplicates]).collect()
}

const SPREAD_HEIGHT: u64 = 24;

fn row(
    page: &Page,
    rules: &Rules,
    name: String,
    district: Option<&str>,
    sum: &DistrictSum,
    pairs: u64,
) -> Row {
    let highest = sum.spread.iter().max().copied().unwrap_or_default().max(1);
    let bar = |(at, count): (u32, &u64)| {
        // What is there is seen, however little it is.
        let height = (count * SPREAD_HEIGHT).div_ceil(highest) as u32;
        Bar {
            x: at * 6,
            y: SPREAD_HEIGHT as u32 - height,
            height,
            low: at * 10 < u32::from(rules.completeness.low),
        }
    };
    let share = |count: u64| format!("{}%", (100 * count).checked_div(sum.covers).unwrap_or_default());
    let alt = [
        ("low", rules.completeness.low.to_string()),
        ("low_share", share(sum.count(Finding::Incomplete))),
        ("fair", rules.completeness.fair.to_string()),
        ("fair_share", share(sum.good)),
    ];
    let alt: Vec<(&str, &str)> = alt.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Row {
        name,
        covers: sum.covers,
        mean: mean(sum),
        spread: (0u32..).zip(&sum.spread).map(bar).collect(),
        spread_alt: page.catalogue.fill("quality.spread_alt", &alt),
        cells: cells(page, district, (sum, pairs)),
    }
}

/// The overview.
pub fn quality_overview(page: &Page, view: &OverviewView) -> String {
    let mut whole = DistrictSum::default();
    let mut pairs = 0;
    let mut rows = Vec::new();
    for (code, (sum, close)) in view.sums {
        whole.add(sum);
        pairs += close;
        rows.push(row(page, view.rules, name_of(page, view.districts, code), Some(code), sum, *close));
    }
    if rows.len() > 1 {
        rows.insert(0, row(page, view.rules, page.t("quality.all").to_owned(), None, &whole, pairs));
    }
    let within = view.chosen.map_or_else(String::new, |code| format!("&district={code}"));
    let materials =
        Material::ALL.iter().map(|it| (page.word("material", it), it.as_str(), MaterialFilter::Is(*it)));
    let unknown = (page.t("value.none").to_owned(), "unknown", MaterialFilter::Unknown);
    let mut weights: Vec<(FileField, u32)> =
        view.rules.completeness.weights.iter().map(|(field, weight)| (*field, *weight)).collect();
    weights.sort_by_key(|(field, weight)| (std::cmp::Reverse(*weight), *field));
    write(&OverviewPage {
        page: *page,
        districts: district_choices(page, view.districts, view.chosen.unwrap_or_default()),
        heads: heads(page),
        rows,
        materials: materials
            .chain([unknown])
            .map(|(label, word, material)| Cell {
                label,
                count: whole.of_material(material),
                address: format!("/quality/files?material={word}{within}"),
            })
            .collect(),
        weights: weights
            .into_iter()
            .map(|(field, weight)| (page.word("file_field", field), weight))
            .collect(),
        low: view.rules.completeness.low,
        fair: view.rules.completeness.fair,
        years: view.rules.age.years,
        loads: view
            .rules
            .load
            .iter()
            .map(|(placement, rule)| {
                let asked = match rule.usual {
                    Some(usual) if usual > rule.least => format!("≥ {} ({usual})", rule.least),
                    _ => format!("≥ {}", rule.least),
                };
                (page.word("placement", placement), asked)
            })
            .collect(),
        open_claims: view.open_claims,
    })
}

pub(super) fn district_choices(page: &Page, districts: &[District], chosen: &str) -> Vec<Choice> {
    let choice = |district: &District| Choice {
        value: district.code.clone(),
        word: page.district(district).to_owned(),
        chosen: district.code == chosen,
    };
    districts.iter().map(choice).collect()
}

/// The overview as the lines of a file.
pub fn quality_sum_cells(
    page: &Page,
    districts: &[District],
    sums: &Sums,
) -> (Vec<String>, Vec<Vec<String>>) {
    let first =
        ["fact.district", "quality.name", "quality.covers", "quality.mean"].map(|key| page.t(key).to_owned());
    let headings = first.into_iter().chain(heads(page)).collect();
    let line = |(code, (sum, pairs)): (&String, &(DistrictSum, u64))| {
        let cells = cells(page, Some(code), (sum, *pairs)).into_iter().map(|cell| cell.count.to_string());
        let first = [code.clone(), name_of(page, districts, code), sum.covers.to_string(), mean(sum)];
        first.into_iter().chain(cells).collect()
    };
    (headings, sums.iter().map(line).collect())
}

/// What a list of files shows.
pub struct FileListView<'a> {
    pub lines: &'a [(&'a CoverFile, Facts)],
    /// Of all pages.
    pub count: usize,
    pub filters: &'a [(&'static str, &'a str)],
    pub finding: Option<Finding>,
    pub query: &'a str,
    pub districts: &'a [District],
    pub rules: &'a Rules,
    pub this_year: u16,
    pub next: Option<CoverId>,
}

struct FileRow {
    digits: String,
    code: String,
    class_word: String,
    class_key: &'static str,
    place: String,
    score: u8,
    is_low: bool,
    missing: String,
    findings: Vec<String>,
    tells: Vec<String>,
}

#[derive(Template)]
#[template(path = "quality_files.html")]
struct FilesPage<'a> {
    page: Page<'a>,
    title: String,
    hint: Option<String>,
    count: usize,
    findings: Vec<Choice>,
    districts: Vec<Choice>,
    classes: Vec<Choice>,
    placements: Vec<Choice>,
    materials: Vec<Choice>,
    unknown_material: bool,
    rows: Vec<FileRow>,
    query: &'a str,
    next: Option<String>,
    may_edit: bool,
    ownerless: bool,
}

fn list_of(page: &Page, list: &str, words: impl Iterator<Item = &'static str>, chosen: &str) -> Vec<Choice> {
    words
        .map(|word| Choice { value: word.to_owned(), word: page.word(list, word), chosen: word == chosen })
        .collect()
}

/// A list of files.
pub fn quality_files(page: &Page, view: &FileListView) -> String {
    let value =
        |name: &str| view.filters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
    let title =
        view.finding.map_or_else(|| page.t("quality.files").to_owned(), |it| page.word("finding", it));
    let hint = view.finding.map(|finding| {
        let hint = page.word("finding_hint", finding);
        let years = view.rules.age.years.to_string();
        hint.replace("{years}", &years).replace("{low}", &view.rules.completeness.low.to_string())
    });
    write(&FilesPage {
        page: *page,
        title,
        hint,
        count: view.count,
        findings: list_of(page, "finding", Finding::ALL.iter().map(|it| it.as_str()), value("finding")),
        districts: district_choices(page, view.districts, value("district")),
        classes: list_of(page, "class", CoverClass::ALL.iter().map(|it| it.as_str()), value("class")),
        placements: list_of(
            page,
            "placement",
            Placement::ALL.iter().map(|it| it.as_str()),
            value("placement"),
        ),
        materials: list_of(page, "material", Material::ALL.iter().map(|it| it.as_str()), value("material")),
        unknown_material: value("material") == "unknown",
        rows: view.lines.iter().map(|(file, facts)| file_row(page, view, file, facts)).collect(),
        query: view.query,
        next: view.next.map(|last| {
            let query = if view.query.is_empty() { String::new() } else { format!("{}&", view.query) };
            format!("/quality/files?{query}cursor={last}")
        }),
        may_edit: page.keeps_registry(),
        ownerless: view.finding == Some(Finding::Ownerless),
    })
}

fn file_row(page: &Page, view: &FileListView, file: &CoverFile, facts: &Facts) -> FileRow {
    let rules = view.rules;
    let score = rules.score(facts.there);
    let survey = &file.survey;
    let tells = [
        survey.placement.map(|it| page.word("placement", it)),
        survey.load_class.map(|it| it.to_string()),
        survey.material.map(|it| page.word("material", it)),
        facts.installed.map(|year| year.to_string()),
        file.owner.as_ref().map(|owner| owner.name.clone()),
    ];
    FileRow {
        digits: file.code.digits.clone(),
        code: page.code(&file.code),
        class_word: page.word("class", survey.class),
        class_key: survey.class.as_str(),
        place: page.place(file),
        score,
        is_low: score < rules.completeness.low,
        missing: missing(page, rules, facts),
        findings: rules
            .findings(facts, view.this_year)
            .iter()
            .filter(|finding| Some(*finding) != view.finding)
            .map(|finding| page.word("finding", finding))
            .collect(),
        tells: tells.into_iter().flatten().collect(),
    }
}

/// What a file lacks, in words.
pub(super) fn missing(page: &Page, rules: &Rules, facts: &Facts) -> String {
    let missing: Vec<String> =
        rules.missing(facts.there).into_iter().map(|field| page.word("file_field", field)).collect();
    missing.join(page.t("list.comma"))
}

/// The headings of a list as a file.
pub fn quality_headings(page: &Page) -> Vec<String> {
    let facts = [
        "code",
        "scheme",
        "district",
        "class",
        "state",
        "road",
        "address",
        "placement",
        "material",
        "shape",
        "load_class",
        "owner",
        "maintainer",
        "supervisor",
    ];
    let facts = facts.into_iter().map(|fact| page.word("fact", fact));
    let rest = [
        "quality.installed",
        "quality.score",
        "quality.missing",
        "quality.findings",
        "quality.lon",
        "quality.lat",
    ];
    facts.chain(rest.map(|key| page.t(key).to_owned())).chain([page.word("fact", "source")]).collect()
}

/// A line of that file.
pub fn quality_cells(
    page: &Page,
    rules: &Rules,
    this_year: u16,
    file: &CoverFile,
    facts: &Facts,
) -> Vec<String> {
    let survey = &file.survey;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let word =
        |list: &str, stored: Option<&'static str>| stored.map(|it| page.word(list, it)).unwrap_or_default();
    let findings: Vec<String> =
        rules.findings(facts, this_year).iter().map(|finding| page.word("finding", finding)).collect();
    vec![
        file.code.digits.clone(),
        file.code.scheme.clone(),
        page.district(&file.district).to_owned(),
        page.word("class", survey.class),
        page.word("state", survey.state),
        text(&survey.road),
        text(&survey.address),
        word("placement", survey.placement.map(|it| it.as_str())),
        word("material", survey.material.map(|it| it.as_str())),
        word("shape", survey.shape.map(|it| it.as_str())),
        survey.load_class.map(|it| it.to_string()).unwrap_or_default(),
        text(&survey.owner),
        text(&survey.maintainer),
        text(&survey.supervisor),
        facts.installed.map(|year| year.to_string()).unwrap_or_default(),
        rules.score(facts.there).to_string(),
        missing(page, rules, facts),
        findings.join(page.t("list.comma")),
        survey.position.lon.to_string(),
        survey.position.lat.to_string(),
        [file.source.as_str(), file.source_key.as_deref().unwrap_or_default()].join(" ").trim().to_owned(),
    ]
}
