//! 统计: the figures of a period in words, tables and drawings.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use askama::Template;

use super::case_advice::span_words;
use super::charts::{Chart, bars, heat, trend};
use super::ledger_page::{common_lists, district_name, party_name};
use super::words::Choice;
use super::{Page, write};
use crate::domain::cover::{District, Party};
use crate::domain::ids::{Millis, PartyId};
use crate::stats::{Period, Rate, Report, StatFilter, Sum};

/// What the page shows.
pub struct StatisticsView<'a> {
    /// The filters as they stand in the address.
    pub query: &'a [(&'static str, &'a str)],
    /// The same as the query of an address.
    pub address: &'a str,
    pub period: &'a Period,
    /// Those of the trend.
    pub months: &'a [Period],
    /// Which of them the others are compared with.
    pub baseline: usize,
    pub as_of: Millis,
    pub filter: &'a StatFilter,
    pub report: &'a Report,
    /// Squares in which there are covers, as the cells of the report are counted.
    pub covers: &'a BTreeSet<[u16; 2]>,
    pub parties: &'a [Party],
    pub districts: &'a [District],
}

/// A table beside or instead of a drawing.
pub(super) struct Grid {
    pub id: &'static str,
    pub title: String,
    pub heads: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

#[derive(Template)]
#[template(path = "statistics.html")]
struct StatisticsPage<'a> {
    page: Page<'a>,
    fields: Vec<(&'static str, &'static str, &'static str, &'a str)>,
    lists: Vec<(&'static str, &'static str, Vec<Choice>)>,
    head: String,
    /// Name, figure, and the ledger behind it.
    totals: Vec<(String, String, Option<String>)>,
    rates: Vec<Definition>,
    compared: Grid,
    ranking: (Chart, Grid),
    trend: (Chart, Grid),
    heat: (Chart, Grid),
    groups: Vec<Grid>,
    pdf: String,
}

/// A rate with what it means.
struct Definition {
    name: String,
    value: String,
    parts: String,
    meaning: String,
}

/// What a figure is called and where it stands in a sum.
type Figure<T> = (&'static str, fn(&Sum) -> T);

/// Squares that are told in words.
const BUSIEST: usize = 20;
/// Bars of the ranking; the table has all parties.
const RANKED: usize = 20;

pub(super) fn percent((part, whole): (u64, u64)) -> String {
    match tenths((part, whole)) {
        Some(tenths) => format!("{}.{}%", tenths / 10, tenths % 10),
        None => "–".to_owned(),
    }
}

/// Of a percent, rounded.
fn tenths((part, whole): (u64, u64)) -> Option<u64> {
    (1000 * part + whole / 2).checked_div(whole)
}

pub(super) fn span_or_none(page: &Page, ms: Option<i64>) -> String {
    ms.map_or_else(|| "–".to_owned(), |ms| span_words(page, ms))
}

/// How much more or less, in percent.
fn change(now: i64, then: i64) -> String {
    if then == 0 {
        return "–".to_owned();
    }
    format!("{:+.1}%", 100.0 * (now - then) as f64 / then as f64)
}

fn points(page: &Page, now: (u64, u64), then: (u64, u64)) -> String {
    match (tenths(now), tenths(then)) {
        (Some(now), Some(then)) => {
            let points = (now as i64 - then as i64) as f64 / 10.0;
            page.fill("statistics.points", "points", format!("{points:+.1}"))
        }
        _ => "–".to_owned(),
    }
}

pub(super) fn rate_word(page: &Page, rate: Rate) -> String {
    page.word("rate", rate.as_str())
}

/// The period beside the one before and that of last year.
pub(super) fn compared(page: &Page, view: &StatisticsView) -> Grid {
    let Report { sum: now, previous, last_year, .. } = view.report;
    let mut rows = Vec::new();
    let counts: [Figure<u64>; 5] = [
        ("statistics.reported", |sum| sum.reported),
        ("statistics.closed", |sum| sum.closed),
        ("statistics.late", |sum| sum.late),
        ("statistics.reworks", |sum| sum.reworks),
        ("statistics.recurrences", |sum| sum.recurrences),
    ];
    for (key, of) in counts {
        let [here, before, year] = [now, previous, last_year].map(|sum| of(sum) as i64);
        rows.push(vec![
            page.t(key).to_owned(),
            here.to_string(),
            before.to_string(),
            change(here, before),
            year.to_string(),
            change(here, year),
        ]);
    }
    for rate in Rate::ALL {
        let [here, before, year] = [now, previous, last_year].map(|sum| sum.rate(rate));
        rows.push(vec![
            rate_word(page, rate),
            percent(here),
            percent(before),
            points(page, here, before),
            percent(year),
            points(page, here, year),
        ]);
    }
    let spans: [Figure<Option<i64>>; 2] =
        [("statistics.median", |sum| sum.median_ms), ("statistics.p90", |sum| sum.p90_ms)];
    for (key, of) in spans {
        let [here, before, year] = [now, previous, last_year].map(of);
        let change = |then: Option<i64>| {
            here.zip(then).map_or_else(|| "–".to_owned(), |(here, then)| change(here, then))
        };
        rows.push(vec![
            page.t(key).to_owned(),
            span_or_none(page, here),
            span_or_none(page, before),
            change(before),
            span_or_none(page, year),
            change(year),
        ]);
    }
    let heads = [
        page.t("statistics.figure").to_owned(),
        view.period.name(),
        page.fill("statistics.previous", "period", view.period.previous().name()),
        page.t("statistics.change").to_owned(),
        page.fill("statistics.last_year", "period", view.period.last_year().name()),
        page.t("statistics.change").to_owned(),
    ];
    Grid { id: "compared", title: page.t("statistics.compared").to_owned(), heads: heads.into(), rows }
}

/// Columns of a table by source, party, district or class.
fn group_heads(page: &Page, name: &'static str) -> Vec<String> {
    let heads = [
        name,
        "statistics.reported",
        "statistics.closed",
        "rate.closed",
        "rate.closed_of_valid",
        "rate.on_time",
        "statistics.median",
        "statistics.p90",
        "statistics.open",
        "statistics.overdue",
        "rate.misdispatch",
        "statistics.reworks",
        "statistics.recurrences",
        "statistics.late",
        "statistics.exempt",
    ];
    heads.map(|key| page.t(key).to_owned()).into()
}

fn group_row(page: &Page, name: String, sum: &Sum) -> Vec<String> {
    vec![
        name,
        sum.reported.to_string(),
        sum.closed.to_string(),
        percent(sum.rate(Rate::Closed)),
        percent(sum.rate(Rate::ClosedOfValid)),
        percent(sum.rate(Rate::OnTime)),
        span_or_none(page, sum.median_ms),
        span_or_none(page, sum.p90_ms),
        sum.open.to_string(),
        sum.overdue.to_string(),
        percent(sum.rate(Rate::Misdispatch)),
        sum.reworks.to_string(),
        sum.recurrences.to_string(),
        sum.late.to_string(),
        sum.exempt.to_string(),
    ]
}

/// Parties with the best first: the highest rate on time, then the shortest median, then the fewest overdue.
pub(super) fn ranked(report: &Report) -> Vec<&(Option<PartyId>, Sum)> {
    let mut parties: Vec<_> = report.parties.iter().filter(|(party, _)| party.is_some()).collect();
    parties.sort_by_key(|(party, sum)| {
        let median = sum.median_ms.unwrap_or(i64::MAX);
        (Reverse(tenths(sum.rate(Rate::OnTime))), median, sum.overdue, *party)
    });
    parties
}

pub(super) fn party_word(page: &Page, view: &StatisticsView, party: Option<PartyId>) -> String {
    match party {
        Some(party) => party_name(view.parties, party),
        None => page.t("statistics.no_party").to_owned(),
    }
}

pub(super) fn ranking(page: &Page, view: &StatisticsView) -> (Chart, Grid) {
    let parties = ranked(view.report);
    let bar = |(party, sum): &&(Option<PartyId>, Sum)| {
        let rate = sum.rate(Rate::OnTime);
        let share = tenths(rate).unwrap_or_default() as f64 / 1000.0;
        (party_word(page, view, *party), share, percent(rate))
    };
    let rows: Vec<_> = parties.iter().take(RANKED).map(bar).collect();
    let words = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => page.catalogue.fill(
            "statistics.ranking_words",
            &[("first", &first.0), ("best", &first.2), ("last", &last.0), ("worst", &last.2)],
        ),
        _ => page.t("statistics.nothing").to_owned(),
    };
    let title = page.t("statistics.ranking").to_owned();
    let mut all: Vec<Vec<String>> =
        parties.iter().map(|(party, sum)| group_row(page, party_word(page, view, *party), sum)).collect();
    if let Some((_, sum)) = view.report.parties.iter().find(|(party, _)| party.is_none()) {
        all.push(group_row(page, party_word(page, view, None), sum));
    }
    let grid = Grid {
        id: "by-party",
        title: page.t("statistics.by_party").to_owned(),
        heads: group_heads(page, "desk.party"),
        rows: all,
    };
    (bars("ranking", title, words, &rows), grid)
}

/// Month, how many were closed, their median, and how it compares.
pub(super) fn trend_rows(page: &Page, view: &StatisticsView) -> Vec<Vec<String>> {
    let base = view.report.months.get(view.baseline).and_then(|(_, median)| *median);
    let months = view.months.iter().zip(&view.report.months).enumerate();
    let row = |(at, (month, (closed, median))): (usize, (&Period, &(u64, Option<i64>)))| {
        let compared = match (median, base) {
            _ if at == view.baseline => page.t("statistics.baseline").to_owned(),
            (Some(median), Some(base)) => change(*median, base),
            _ => "–".to_owned(),
        };
        vec![month.name(), closed.to_string(), span_or_none(page, *median), compared]
    };
    months.map(row).collect()
}

pub(super) fn trend_drawing(page: &Page, view: &StatisticsView) -> (Chart, Grid) {
    let medians = view.report.months.iter().map(|(_, median)| *median);
    let points: Vec<_> = view.months.iter().map(Period::name).zip(medians).collect();
    let base = points.get(view.baseline).and_then(|(_, median)| *median);
    let rows = trend_rows(page, view);
    let (month, last) = (view.months.get(view.baseline).map(Period::name), rows.last());
    let words = match (month, last) {
        (Some(month), Some(last)) => page.catalogue.fill(
            "statistics.trend_words",
            &[
                ("base_month", &month),
                ("base", &span_or_none(page, base)),
                ("month", &last[0]),
                ("median", &last[2]),
            ],
        ),
        _ => page.t("statistics.nothing").to_owned(),
    };
    let title = page.t("statistics.trend").to_owned();
    let chart = trend("trend", title.clone(), words, &points, base, |ms| span_words(page, ms));
    let heads = ["statistics.month", "statistics.closed", "statistics.median", "statistics.against"];
    let heads = heads.map(|key| page.t(key).to_owned()).into();
    (chart, Grid { id: "by-month", title, heads, rows })
}

pub(super) fn heat_map(page: &Page, view: &StatisticsView) -> (Chart, Grid) {
    let cells: Vec<_> = view.report.cells.iter().map(|cell| (cell.at, cell.cases)).collect();
    let mut busiest: Vec<_> = view.report.cells.iter().collect();
    busiest.sort_by_key(|cell| (Reverse(cell.cases), cell.at));
    let rows: Vec<Vec<String>> = busiest
        .iter()
        .take(BUSIEST)
        .map(|cell| {
            let (lon, lat) = cell.corner();
            vec![format!("{:.3}, {:.3}", lon + 0.005, lat + 0.005), cell.cases.to_string()]
        })
        .collect();
    let words = match rows.first() {
        Some(first) => page.catalogue.fill(
            "statistics.heat_words",
            &[("squares", &cells.len().to_string()), ("place", &first[0]), ("cases", &first[1])],
        ),
        None => page.t("statistics.nothing").to_owned(),
    };
    let title = page.t("statistics.heat").to_owned();
    let heads = ["statistics.square", "statistics.reported"].map(|key| page.t(key).to_owned()).into();
    (
        heat("heat", (title, words), &cells, view.covers, |from, until| match from == until {
            true => page.fill("statistics.heat_count", "cases", from),
            false => page.fill("statistics.heat_count", "cases", format!("{from}–{until}")),
        }),
        Grid { id: "busiest", title: page.t("statistics.busiest").to_owned(), heads, rows },
    )
}

/// By source, district and class.
pub(super) fn groups(page: &Page, view: &StatisticsView) -> Vec<Grid> {
    let report = view.report;
    let grid = |id, title: &'static str, name: &'static str, rows: Vec<(String, &Sum)>| Grid {
        id,
        title: page.catalogue.text(title).to_owned(),
        heads: group_heads(page, name),
        rows: rows.into_iter().map(|(name, sum)| group_row(page, name, sum)).collect(),
    };
    let sources = report.sources.iter().map(|(source, sum)| (page.word("case_source", source), sum));
    let districts =
        report.districts.iter().map(|(code, sum)| (district_name(page, view.districts, code), sum));
    let classes = report.classes.iter().map(|(class, sum)| {
        let word =
            class.map_or_else(|| page.t("statistics.no_cover").to_owned(), |class| page.word("class", class));
        (word, sum)
    });
    vec![
        grid("by-source", "statistics.by_source", "case.source", sources.collect()),
        grid("by-district", "statistics.by_district", "desk.district", districts.collect()),
        grid("by-class", "statistics.by_class", "fact.class", classes.collect()),
    ]
}

/// The period and what narrows it, in one line.
pub(super) fn head(page: &Page, view: &StatisticsView) -> String {
    let days = [view.period.first_day(), view.period.last_day(), page.date_time(view.as_of)];
    let [from, until, as_of] = &days;
    page.catalogue.fill("statistics.head", &[("from", from), ("until", until), ("as_of", as_of)])
}

pub(super) fn totals(page: &Page, view: &StatisticsView) -> Vec<(String, String)> {
    let sum = &view.report.sum;
    let counts = [
        ("statistics.open", sum.open),
        ("statistics.overdue", sum.overdue),
        ("statistics.reported", sum.reported),
        ("statistics.void", sum.void),
        ("statistics.closed", sum.closed),
        ("statistics.late", sum.late),
        ("statistics.exempt", sum.exempt),
        ("statistics.reworks", sum.reworks),
        ("statistics.recurrences", sum.recurrences),
    ];
    let spans = [("statistics.median", sum.median_ms), ("statistics.p90", sum.p90_ms)];
    let counts = counts.map(|(key, count)| (page.t(key).to_owned(), count.to_string()));
    let spans = spans.map(|(key, ms)| (page.t(key).to_owned(), span_or_none(page, ms)));
    counts.into_iter().chain(spans).collect()
}

/// What a rate means, in the order of the rates.
pub(super) fn meanings(page: &Page) -> Vec<(String, String)> {
    let meaning = |rate: Rate| (rate_word(page, rate), page.word("rate_meaning", rate.as_str()));
    Rate::ALL.map(meaning).into()
}

/// The dashboard.
pub fn statistics(page: &Page, view: &StatisticsView) -> String {
    let of = |name: &str| {
        let pair = view.query.iter().find(|(known, _)| *known == name);
        pair.map_or("", |(_, value)| *value)
    };
    // The ledger behind a figure: the same cases, with the filters that both have.
    let shared = ["district", "party", "class", "source"].into_iter().filter(|name| !of(name).is_empty());
    let shared: String =
        shared.map(|name| format!("&{name}={}", crate::http::percent_encode(of(name)))).collect();
    let (from, until) = (view.period.first_day(), view.period.last_day());
    let reported = format!("from={from}&until={until}");
    let closed = format!("closed_from={from}&closed_until={until}");
    let behind =
        ["state=open".to_owned(), "late=overdue".to_owned(), reported, String::new(), closed.clone()]
            .into_iter()
            .chain([String::new(), format!("late=exempt&{closed}")]);
    let behind = behind.map(|filter| (!filter.is_empty()).then(|| format!("/desk/ledger?{filter}{shared}")));
    let behind = behind.chain(std::iter::repeat(None));
    let totals = totals(page, view).into_iter().zip(behind);
    let rates = Rate::ALL.into_iter().zip(meanings(page)).map(|(rate, (name, meaning))| {
        let (part, whole) = view.report.sum.rate(rate);
        Definition { name, value: percent((part, whole)), parts: format!("{part} / {whole}"), meaning }
    });
    let pdf = if view.address.is_empty() {
        format!("period={}", view.period.name())
    } else {
        view.address.to_owned()
    };
    write(&StatisticsPage {
        page: *page,
        fields: vec![
            ("period", "statistics.period", "text", of("period")),
            ("from", "statistics.from", "date", of("from")),
            ("until", "statistics.until", "date", of("until")),
            ("baseline", "statistics.baseline", "text", of("baseline")),
        ],
        lists: common_lists(page, (view.parties, view.districts), |name| of(name).to_owned()),
        head: head(page, view),
        totals: totals.map(|((name, figure), address)| (name, figure, address)).collect(),
        rates: rates.collect(),
        compared: compared(page, view),
        ranking: ranking(page, view),
        trend: trend_drawing(page, view),
        heat: heat_map(page, view),
        groups: groups(page, view),
        pdf: format!("/desk/statistics/report.pdf?{pdf}"),
    })
}
