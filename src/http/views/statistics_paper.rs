//! 月报、季报: the figures of a period on paper, in Chinese.

use super::Page;
use super::charts::{Chart, WIDTH};
use super::statistics_page::{
    Grid, StatisticsView, compared, groups, head, heat_map, meanings, party_word, percent, ranked, ranking,
    rate_word, span_or_none, totals, trend_drawing, trend_rows,
};
use crate::domain::cover::CoverClass;
use crate::messages::{Catalogue, Language};
use crate::plates::{Body, Dossier, Figure, FigureBox, FigureLine, FigureText, Section};
use crate::stats::Rate;

/// What the report says. `address` is its own, in full. It is dated by the minute in which its figures hold.
pub fn statistics_paper(page: &Page, view: &StatisticsView, address: String) -> Dossier {
    let page = &Page { catalogue: Catalogue::of(Language::Zh), ..*page };
    let t = |key: &'static str| page.catalogue.text(key).to_owned();
    let section = |key: &'static str, body| Section { heading: t(key), body };
    let sum = &view.report.sum;
    let mut figures = totals(page, view);
    figures.extend(Rate::ALL.map(|rate| {
        let (part, whole) = sum.rate(rate);
        (rate_word(page, rate), format!("{}（{part} / {whole}）", percent((part, whole))))
    }));
    let places = ranked(view.report).into_iter().enumerate().map(|(at, (party, sum))| {
        let name = format!("{}. {}", at + 1, party_word(page, view, *party));
        (name, sentence(page, sum))
    });
    let trend = trend_rows(page, view).into_iter().map(|row| (row[0].clone(), row[1..].join(" · ")));
    let compared = compared(page, view);
    let heads = compared.heads.clone();
    let lines = compared.rows.into_iter().map(|row| {
        let [_, now, before, change, year, year_change] = &heads[..] else { return Default::default() };
        let _ = (change, year_change);
        let said =
            format!("{now} {}；{before} {}（{}）；{year} {}（{}）", row[1], row[2], row[3], row[4], row[5]);
        (row[0].clone(), said)
    });
    let mut sections = vec![
        section("statistics.totals", Body::Facts(figures)),
        section("statistics.compared", Body::Lines(lines.collect())),
        section("statistics.ranking", drawn(ranking(page, view).0, places.collect())),
        section("statistics.heat", drawn(heat_map(page, view).0, Vec::new())),
    ];
    sections.extend(groups(page, view).into_iter().map(group));
    let line = figure(trend_drawing(page, view).0);
    let trend = vec![Body::Figure(line), Body::Facts(trend.collect())];
    sections.push(section("statistics.trend", Body::Parts(trend)));
    sections.push(section("statistics.definitions", Body::Lines(meanings(page))));
    let period = view.period.name();
    Dossier {
        title: t("statistics.report_title"),
        code: period.clone(),
        lead: [Some(head(page, view)), narrowed(page, view)].into_iter().flatten().collect(),
        class: CoverClass::WaterSupply,
        address,
        address_hint: t("paper.symbol"),
        sections,
        footer: page.catalogue.fill("statistics.footer", &[("city", page.city()), ("period", &period)]),
        dated: view.as_of,
    }
}

/// A drawing of the page with what it says, and the figures below it.
fn drawn(chart: Chart, lines: Vec<(String, String)>) -> Body {
    let words = Body::Lines(vec![(chart.words.clone(), String::new())]);
    Body::Parts(vec![words, Body::Figure(figure(chart)), Body::Lines(lines)])
}

/// The same drawing in the colors of paper.
fn figure(chart: Chart) -> Figure {
    let boxes = chart.boxes.into_iter().map(|one| FigureBox {
        at: (one.x, one.y),
        size: (one.width, one.height),
        color: color_of(one.class),
    });
    let lines = chart.lines.into_iter().map(|one| FigureLine {
        color: color_of(one.class),
        is_dashed: one.class == "base",
        path: one.path,
    });
    let texts = chart.texts.into_iter().map(|one| FigureText {
        at: (one.x, one.y),
        ends_there: one.anchor == "end",
        text: one.text,
    });
    Figure {
        size: (WIDTH, chart.height),
        boxes: boxes.collect(),
        lines: lines.collect(),
        texts: texts.collect(),
    }
}

/// What the style sheet says of the classes of a chart.
fn color_of(class: &str) -> [f64; 3] {
    let [r, g, b] = match class {
        "map" | "track" => [0xee, 0xf2, 0xf6],
        "axis" => [0xaa, 0xb4, 0xbf],
        "ground" => [0xcf, 0xd6, 0xdd],
        "base" => [0xa3, 0x00, 0x0f],
        "heat4" => [0xb8, 0x40, 0x2c],
        "heat1" => [0xf6, 0xd5, 0xc4],
        "heat2" => [0xed, 0xa8, 0x8c],
        "heat3" => [0xdb, 0x74, 0x56],
        "heat5" => [0x7c, 0x0d, 0x12],
        _ => [0x0b, 0x4a, 0x8f],
    };
    [r, g, b].map(|part: u8| f64::from(part) / 255.0)
}

/// Each line of a table with the headings of its figures.
fn group(grid: Grid) -> Section {
    let lines = grid.rows.into_iter().map(|row| {
        let figures = grid.heads.iter().zip(&row).skip(1).map(|(head, figure)| format!("{head} {figure}"));
        (row[0].clone(), figures.collect::<Vec<_>>().join(" · "))
    });
    Section { heading: grid.title, body: Body::Lines(lines.collect()) }
}

fn sentence(page: &Page, sum: &crate::stats::Sum) -> String {
    let rates = Rate::ALL.map(|rate| format!("{} {}", rate_word(page, rate), percent(sum.rate(rate))));
    let rest = [
        ("statistics.median", span_or_none(page, sum.median_ms)),
        ("statistics.overdue", sum.overdue.to_string()),
        ("statistics.reworks", sum.reworks.to_string()),
        ("statistics.recurrences", sum.recurrences.to_string()),
    ];
    let rest = rest.map(|(key, figure)| format!("{} {figure}", page.catalogue.text(key)));
    rates.into_iter().chain(rest).collect::<Vec<_>>().join(" · ")
}

/// Which cases are meant, where not all are.
fn narrowed(page: &Page, view: &StatisticsView) -> Option<String> {
    let filter = view.filter;
    let words = [
        filter.district.as_ref().map(|code| super::ledger_page::district_name(page, view.districts, code)),
        filter.party.map(|party| party_word(page, view, Some(party))),
        filter.class.map(|class| page.word("class", class)),
        filter.source.map(|source| page.word("case_source", source)),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(" · "))
}
