//! 外业督查: progress by street, crew and day, with a map; spot checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use askama::Template;

use super::drawing::{Drawing, edges_of, widened};
use super::field_words;
use super::words::{Choice, Names};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::area::Area;
use crate::domain::code::ComponentCode;
use crate::domain::ids::{IdempotencyKey, Millis};
use crate::messages::{Catalogue, Language};
use crate::outlet::TableKind::{self, Text, Time, Whole};
use crate::outlet::{Cell, Table, TableColumn};
use crate::registry::{CheckedPlate, DeedCount, FittingDay, ProgressPoint, SpotCheck, StreetProgress, User};

/// Days on the city's clock, the last one whole.
pub struct Period {
    pub first: String,
    pub last: String,
    pub begin: Millis,
    pub end: Millis,
}

impl Period {
    pub fn span(&self) -> (Millis, Millis) {
        (self.begin, self.end)
    }
}

/// What the overview shows.
pub struct CrewWatchView<'a> {
    pub names: Names<'a>,
    pub district: &'a str,
    pub period: &'a Period,
    pub streets: &'a [StreetProgress],
    pub points: &'a [ProgressPoint],
    pub areas: &'a [Area],
    pub days: &'a [FittingDay],
    pub deeds: &'a [DeedCount],
}

struct StreetRow {
    road: String,
    covers: i64,
    planned: i64,
    fitted: i64,
    verified: i64,
    problems: i64,
    percent: i64,
}

impl StreetRow {
    fn of(page: &Page, street: &StreetProgress) -> Self {
        Self {
            road: street.road.clone().unwrap_or_else(|| page.t("crews.no_road").to_owned()),
            covers: street.covers,
            planned: street.planned,
            fitted: street.fitted,
            verified: street.verified,
            problems: street.problems,
            percent: percent(street.fitted, street.covers),
        }
    }
}

fn percent(part: i64, whole: i64) -> i64 {
    if whole > 0 { part * 100 / whole } else { 0 }
}

/// What a crew did in a period.
#[derive(Default)]
struct CrewRow {
    who: String,
    fitted: i64,
    days: i64,
    /// Plates a day on which it fitted any.
    per_day: String,
    /// Plates an hour between the first and the last of a day.
    per_hour: String,
    surveys: i64,
    reports: i64,
    checks: i64,
    far: i64,
    rejected: i64,
    reject_percent: i64,
}

struct DayRow {
    day: String,
    who: String,
    fitted: i64,
    far: i64,
    rejected: i64,
    hours: String,
}

/// A drawing of the district with a path for each stand.
struct Map {
    width: f64,
    height: f64,
    outlines: String,
    paths: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "crews.html")]
struct WatchPage<'a> {
    page: Page<'a>,
    districts: Vec<Choice>,
    first: &'a str,
    last: &'a str,
    total: StreetRow,
    streets: Vec<StreetRow>,
    crews: Vec<CrewRow>,
    days: Vec<DayRow>,
    map: Option<Map>,
    files: Vec<(String, String)>,
}

/// How far the crews have come.
pub fn crew_watch(page: &Page, view: &CrewWatchView) -> String {
    let sum = |count: fn(&StreetProgress) -> i64| view.streets.iter().map(count).sum::<i64>();
    let total = StreetProgress {
        district: view.district.to_owned(),
        road: Some(page.t("crews.total").to_owned()),
        covers: sum(|street| street.covers),
        planned: sum(|street| street.planned),
        fitted: sum(|street| street.fitted),
        verified: sum(|street| street.verified),
        problems: sum(|street| street.problems),
    };
    let district = |known: &crate::domain::cover::District| Choice {
        value: known.code.clone(),
        word: page.district(known).to_owned(),
        chosen: known.code == view.district,
    };
    let (first, last) = (&view.period.first, &view.period.last);
    let mut files = Vec::new();
    for table in ["streets", "crews", "days"] {
        for format in ["xlsx", "csv"] {
            let query = format!("district={}&from={first}&until={last}", view.district);
            let name = page.catalogue.fill(
                "crews.file",
                &[
                    (
                        "table",
                        page.t(match table {
                            "streets" => "crews.streets",
                            "crews" => "crews.crews",
                            _ => "crews.days",
                        }),
                    ),
                    ("format", &format.to_uppercase()),
                ],
            );
            files.push((format!("/admin/crews/export?table={table}&format={format}&{query}"), name));
        }
    }
    write(&WatchPage {
        page: *page,
        districts: view.names.districts.iter().map(district).collect(),
        first,
        last,
        total: StreetRow::of(page, &total),
        streets: view.streets.iter().map(|street| StreetRow::of(page, street)).collect(),
        crews: crew_rows(page, view.names, view.days, view.deeds),
        days: view.days.iter().map(|day| day_row(page, view.names, day)).collect(),
        map: map(view.points, view.areas),
        files,
    })
}

fn hours(day: &FittingDay) -> f64 {
    (day.last_at - day.first_at) as f64 / 3_600_000.0
}

fn day_text(day: i64) -> String {
    Millis(day * 86_400_000).to_rfc3339().chars().take(10).collect()
}

fn day_row(page: &Page, names: Names, day: &FittingDay) -> DayRow {
    DayRow {
        day: day_text(day.day),
        who: names.who(page, &day.actor),
        fitted: day.fitted,
        far: day.far,
        rejected: day.rejected,
        hours: format!("{:.1}", hours(day)),
    }
}

fn crew_rows(page: &Page, names: Names, days: &[FittingDay], deeds: &[DeedCount]) -> Vec<CrewRow> {
    let mut rows: BTreeMap<&str, (CrewRow, f64, i64)> = BTreeMap::new();
    for day in days {
        let (row, time, timed) = rows.entry(&day.actor).or_default();
        row.fitted += day.fitted;
        row.days += 1;
        row.far += day.far;
        row.rejected += day.rejected;
        if day.fitted > 1 {
            *time += hours(day);
            // The first plate of a day takes no part of the time after it.
            *timed += day.fitted - 1;
        }
    }
    for deed in deeds {
        let (row, ..) = rows.entry(&deed.actor).or_default();
        match deed.kind.as_str() {
            "survey" => row.surveys += deed.count,
            "fix" | "report" => row.reports += deed.count,
            "check" => row.checks += deed.count,
            _ => {}
        }
    }
    let mut rows: Vec<CrewRow> = rows
        .into_iter()
        .map(|(actor, (row, time, timed))| CrewRow {
            who: names.who(page, actor),
            per_day: if row.days > 0 {
                format!("{:.1}", row.fitted as f64 / row.days as f64)
            } else {
                String::new()
            },
            per_hour: if time > 0.0 { format!("{:.1}", timed as f64 / time) } else { String::new() },
            reject_percent: percent(row.rejected, row.fitted),
            ..row
        })
        .collect();
    rows.sort_by(|a, b| b.fitted.cmp(&a.fitted).then_with(|| a.who.cmp(&b.who)));
    rows
}

/// One path for each stand, the worst on top. Points that fall together are drawn once.
fn map(points: &[ProgressPoint], areas: &[Area]) -> Option<Map> {
    let around = edges_of(areas).or_else(|| {
        let edges = points.iter().map(|point| [point.lon, point.lat, point.lon, point.lat]);
        edges.reduce(|all, one| {
            [all[0].min(one[0]), all[1].min(one[1]), all[2].max(one[2]), all[3].max(one[3])]
        })
    })?;
    let drawing = Drawing::of(widened(around, 0.04, 0.0005));
    let classes = ["bare", "made", "fitted", "verified", "trouble"];
    let mut paths = Vec::new();
    for (stand, class) in (0i64..).zip(classes) {
        let mut seen = BTreeSet::new();
        let mut path = String::new();
        for point in points.iter().filter(|point| point.stand == stand) {
            let (x, y) = drawing.place([point.lon, point.lat]);
            let inside = (0.0..=drawing.width).contains(&x) && (0.0..=drawing.height).contains(&y);
            if inside && seen.insert((x.round() as i64, y.round() as i64)) {
                // Writing to memory does not fail.
                let _ = write!(path, "M{x:.0} {y:.0}h0");
            }
        }
        paths.push((class, path));
    }
    let rings = areas.iter().flat_map(|area| area.shape.parts()).flatten().take(120);
    Some(Map { width: drawing.width, height: drawing.height, outlines: drawing.path(rings, 0), paths })
}

fn column(page: &Page, name: &'static str, kind: TableKind) -> TableColumn {
    let key = format!("crews.{name}");
    let title = |language| Catalogue::of(language).text(&key).to_owned();
    TableColumn {
        name,
        kind,
        title_zh: title(Language::Zh),
        title_en: title(Language::En),
        heading: page.catalogue.text(&key).to_owned(),
    }
}

fn table(
    page: &Page,
    name: &'static str,
    columns: &[(&'static str, TableKind)],
    rows: Vec<Vec<Cell>>,
) -> Table {
    Table {
        name,
        columns: columns.iter().map(|(name, kind)| column(page, name, *kind)).collect(),
        rows,
        made_at: page.now,
        utc_offset_minutes: page.config.utc_offset_minutes,
    }
}

/// Streets as a table.
pub fn street_table(page: &Page, streets: &[StreetProgress]) -> Table {
    let columns = [
        ("district", Text),
        ("road", Text),
        ("covers", Whole),
        ("planned", Whole),
        ("fitted", Whole),
        ("verified", Whole),
        ("problems", Whole),
    ];
    let row = |street: &StreetProgress| {
        vec![
            Cell::Text(street.district.clone()),
            street.road.clone().map_or(Cell::Nothing, Cell::Text),
            Cell::Whole(street.covers),
            Cell::Whole(street.planned),
            Cell::Whole(street.fitted),
            Cell::Whole(street.verified),
            Cell::Whole(street.problems),
        ]
    };
    table(page, "streets", &columns, streets.iter().map(row).collect())
}

/// Days as a table.
pub fn day_table(page: &Page, names: Names, days: &[FittingDay]) -> Table {
    let columns = [
        ("day", Text),
        ("crew", Text),
        ("fitted", Whole),
        ("far", Whole),
        ("rejected", Whole),
        ("first_at", Time),
        ("last_at", Time),
    ];
    let row = |day: &FittingDay| {
        vec![
            Cell::Text(day_text(day.day)),
            Cell::Text(names.who(page, &day.actor)),
            Cell::Whole(day.fitted),
            Cell::Whole(day.far),
            Cell::Whole(day.rejected),
            Cell::Time(Millis(day.first_at)),
            Cell::Time(Millis(day.last_at)),
        ]
    };
    table(page, "days", &columns, days.iter().map(row).collect())
}

/// Crews as a table.
pub fn crew_table(page: &Page, names: Names, (days, deeds): (&[FittingDay], &[DeedCount])) -> Table {
    let columns = [
        ("crew", Text),
        ("fitted", Whole),
        ("active_days", Whole),
        ("per_day", TableKind::Real),
        ("per_hour", TableKind::Real),
        ("surveys", Whole),
        ("reports", Whole),
        ("checks", Whole),
        ("far", Whole),
        ("rejected", Whole),
    ];
    let real = |text: &str| text.parse().map_or(Cell::Nothing, Cell::Real);
    let row = |crew: CrewRow| {
        vec![
            Cell::Text(crew.who),
            Cell::Whole(crew.fitted),
            Cell::Whole(crew.days),
            real(&crew.per_day),
            real(&crew.per_hour),
            Cell::Whole(crew.surveys),
            Cell::Whole(crew.reports),
            Cell::Whole(crew.checks),
            Cell::Whole(crew.far),
            Cell::Whole(crew.rejected),
        ]
    };
    table(page, "crews", &columns, crew_rows(page, names, days, deeds).into_iter().map(row).collect())
}

/// The plates of a draw as a table.
pub fn check_table(page: &Page, names: Names, plates: &[CheckedPlate]) -> Table {
    let columns = [
        ("number", Whole),
        ("code", Text),
        ("district", Text),
        ("road", Text),
        ("crew", Text),
        ("fitted_at", Time),
        ("found", Text),
        ("found_at", Time),
        ("found_by", Text),
        ("note", Text),
    ];
    let text = |text: Option<String>| text.map_or(Cell::Nothing, Cell::Text);
    let row = |checked: &CheckedPlate| {
        let found = checked.found.as_ref();
        vec![
            Cell::Whole(checked.ordinal),
            Cell::Text(checked.code.clone()),
            Cell::Text(checked.district.clone()),
            text(checked.road.clone()),
            Cell::Text(names.who(page, &checked.plate.fitted_by)),
            Cell::Time(checked.plate.fitted_at),
            text(found.map(|(result, ..)| page.word("check_result", result))),
            found.map_or(Cell::Nothing, |(_, at, _)| Cell::Time(*at)),
            text(found.map(|(.., by)| names.who(page, by))),
            text(checked.note.clone()),
        ]
    };
    table(page, "spot-check", &columns, plates.iter().map(row).collect())
}

/// What the list of draws shows.
pub struct CheckListView<'a> {
    pub names: Names<'a>,
    pub checks: &'a [SpotCheck],
    pub crews: &'a [User],
    pub period: &'a Period,
    pub next: Option<String>,
    pub key: IdempotencyKey,
    pub wrong: Option<&'a Refusal>,
}

struct CheckRow {
    id: String,
    created: String,
    which: String,
    count: String,
    looked: String,
    who: String,
}

#[derive(Template)]
#[template(path = "spot_checks.html")]
struct CheckListPage<'a> {
    page: Page<'a>,
    rows: Vec<CheckRow>,
    crews: Vec<Choice>,
    districts: Vec<Choice>,
    first: &'a str,
    last: &'a str,
    next: Option<String>,
    key: String,
    wrong: Option<String>,
}

fn which(page: &Page, names: Names, check: &SpotCheck) -> String {
    let days = format!("{} – {}", page.date(check.from), page.date(Millis(check.until.0 - 1)));
    let crew = check.crew.as_ref().map(|crew| names.who(page, crew));
    let district = check.district.as_ref().map(|code| field_words::text(page, names, "district", code));
    let parts = [Some(days), crew, district];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Draws, newest first, and the form for another.
pub fn spot_checks(page: &Page, view: &CheckListView) -> String {
    let row = |check: &SpotCheck| CheckRow {
        id: check.id.to_string(),
        created: page.date_time(check.created_at),
        which: which(page, view.names, check),
        count: format!("{} / {}", check.plate_count, check.population),
        looked: format!("{} / {}", check.looked, check.plate_count),
        who: view.names.who(page, &check.actor),
    };
    let crew = |crew: &User| Choice { value: crew.id.to_string(), word: crew.name.clone(), chosen: false };
    let district = |known: &crate::domain::cover::District| Choice {
        value: known.code.clone(),
        word: page.district(known).to_owned(),
        chosen: false,
    };
    write(&CheckListPage {
        page: *page,
        rows: view.checks.iter().map(row).collect(),
        crews: view.crews.iter().map(crew).collect(),
        districts: view.names.districts.iter().map(district).collect(),
        first: &view.period.first,
        last: &view.period.last,
        next: view.next.clone(),
        key: view.key.to_string(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// What the page of a draw shows.
pub struct CheckView<'a> {
    pub names: Names<'a>,
    pub check: &'a SpotCheck,
    pub plates: &'a [CheckedPlate],
}

struct CheckedRow {
    ordinal: i64,
    digits: String,
    code: String,
    place: String,
    crew: String,
    fitted: String,
    found: Option<(String, bool)>,
    found_at: String,
    found_by: String,
    note: String,
}

#[derive(Template)]
#[template(path = "spot_check.html")]
struct CheckPage<'a> {
    page: Page<'a>,
    id: String,
    created: String,
    who: String,
    which: String,
    check: &'a SpotCheck,
    looked: usize,
    in_order: usize,
    rows: Vec<CheckedRow>,
    files: Vec<(String, String)>,
}

/// A draw with its plates and what was found.
pub fn spot_check(page: &Page, view: &CheckView) -> String {
    let row = |checked: &CheckedPlate| CheckedRow {
        ordinal: checked.ordinal,
        digits: checked.code.clone(),
        code: page.code(&ComponentCode { scheme: checked.scheme.clone(), digits: checked.code.clone() }),
        place: [
            Some(field_words::text(page, view.names, "district", &checked.district)),
            checked.road.clone(),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" · "),
        crew: view.names.who(page, &checked.plate.fitted_by),
        fitted: page.date_time(checked.plate.fitted_at),
        found: checked.found.as_ref().map(|(result, ..)| (page.word("check_result", result), result == "ok")),
        found_at: checked.found.as_ref().map(|(_, at, _)| page.date_time(*at)).unwrap_or_default(),
        found_by: checked.found.as_ref().map(|(.., by)| view.names.who(page, by)).unwrap_or_default(),
        note: checked.note.clone().unwrap_or_default(),
    };
    let results = view.plates.iter().filter_map(|checked| checked.found.as_ref());
    let id = view.check.id.to_string();
    let file = |format: &str| {
        let name = page
            .catalogue
            .fill("crews.file", &[("table", page.t("crews.check")), ("format", &format.to_uppercase())]);
        (format!("/admin/crews/export?table=check&format={format}&check={id}"), name)
    };
    let files = vec![file("xlsx"), file("csv")];
    write(&CheckPage {
        page: *page,
        created: page.date_time(view.check.created_at),
        who: view.names.who(page, &view.check.actor),
        which: which(page, view.names, view.check),
        check: view.check,
        looked: results.clone().count(),
        in_order: results.filter(|(result, ..)| result == "ok").count(),
        rows: view.plates.iter().map(row).collect(),
        files,
        id,
    })
}
