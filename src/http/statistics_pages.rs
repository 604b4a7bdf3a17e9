//! 统计: what leaders ask, as a page with drawings, as JSON and as a report on paper.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ask::{Asked, Reader};
use super::auth::{Caller, percent_encode};
use super::desk::page;
use super::json as shapes;
use super::ledger_pages::{filled, held_to_party, names};
use super::paper::drawn;
use super::views::{self, StatisticsView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::cover::{District, Party};
use crate::domain::ids::{Millis, PartyId};
use crate::plates::{Palette, render_dossier};
use crate::stats::{Period, Question, Rate, Report, StatFilter, Sum, cell_of};

/// Months of the trend: a year and the month it is compared with.
const MONTHS: i32 = 13;

/// What is asked, as it stands in an address. A form sends every field: those left blank count as absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StatQuery {
    /// `2026-10`, `2026-Q4` or `2026`; else the days `from` and `until`; else the month that it is.
    period: String,
    from: String,
    until: String,
    district: String,
    class: String,
    party: String,
    source: String,
    /// The month with which the trend is compared; its first one without.
    baseline: String,
}

impl StatQuery {
    fn pairs(&self) -> [(&'static str, &str); 8] {
        [
            ("period", &self.period),
            ("from", &self.from),
            ("until", &self.until),
            ("district", &self.district),
            ("class", &self.class),
            ("party", &self.party),
            ("source", &self.source),
            ("baseline", &self.baseline),
        ]
    }

    fn address(&self) -> String {
        let pairs = self.pairs().into_iter().filter_map(|(name, value)| Some((name, filled(value)?)));
        pairs.map(|(name, value)| format!("{name}={}", percent_encode(value))).collect::<Vec<_>>().join("&")
    }
}

/// The question with its answer.
struct Answered {
    period: Period,
    months: Vec<Period>,
    /// Which of the months the others are compared with.
    baseline: usize,
    as_of: Millis,
    filter: StatFilter,
    report: Arc<Report>,
    parties: Vec<Party>,
    districts: Vec<District>,
}

impl Answered {
    async fn read(state: &AppState, caller: &Caller, query: &StatQuery) -> Result<Self, Problem> {
        let (question, period, months, baseline) = ask(state, caller, query).map_err(Problem::bad_request)?;
        let (as_of, filter) = (question.as_of, question.filter.clone());
        let report = state.count_cases(question).await?;
        let (parties, districts) = names(state).await?;
        Ok(Self { period, months, baseline, as_of, filter, report, parties, districts })
    }

    fn view<'a>(
        &'a self,
        (pairs, address): (&'a [(&'static str, &'a str)], &'a str),
        covers: &'a BTreeSet<[u16; 2]>,
    ) -> StatisticsView<'a> {
        StatisticsView {
            query: pairs,
            address,
            period: &self.period,
            months: &self.months,
            baseline: self.baseline,
            as_of: self.as_of,
            filter: &self.filter,
            report: &self.report,
            covers,
            parties: &self.parties,
            districts: &self.districts,
        }
    }
}

/// The squares of the heat map in which there are covers in use.
fn where_covers_are(state: &AppState) -> BTreeSet<[u16; 2]> {
    let (mut squares, mut last) = (BTreeSet::new(), None);
    for row in state.snapshot.load().rows() {
        let square = cell_of(row.lon, row.lat);
        // The rows come in the order of quadkeys, so most lie where the one before does.
        if last != Some(square) {
            squares.insert(square);
            last = Some(square);
        }
    }
    squares
}

fn ask(
    state: &AppState,
    caller: &Caller,
    query: &StatQuery,
) -> Result<(Question, Period, Vec<Period>, usize), Refusal> {
    let (offset, as_of) = (state.config.utc_offset_minutes, state.as_of());
    let this_month = Period::month_of(as_of, offset);
    let period = match (filled(&query.period), filled(&query.from), filled(&query.until)) {
        (Some(period), _, _) => Period::parse(period)?,
        (None, None, None) => this_month,
        (None, from, until) => {
            let today = views::day(&state.config, as_of);
            Period::between(from.unwrap_or(&this_month.first_day()), until.unwrap_or(&today))?
        }
    };
    let mut months = period.months_until(MONTHS);
    let mut baseline = 0;
    if let Some(text) = filled(&query.baseline) {
        let wanted = Period::parse(text).map_err(|refusal| refusal.at("baseline"))?;
        let wanted = Period::month_of(wanted.span(offset).0, offset);
        baseline = months.iter().position(|month| *month == wanted).unwrap_or_else(|| {
            months.insert(0, wanted);
            0
        });
    }
    let party = filled(&query.party).map(str::parse::<PartyId>).transpose();
    let question = Question {
        filter: StatFilter {
            district: filled(&query.district).map(str::to_owned),
            party: held_to_party(caller, party.map_err(|refusal| refusal.at("party"))?),
            class: filled(&query.class).map(str::parse).transpose()?,
            source: filled(&query.source).map(str::parse).transpose()?,
            hazard: None,
        },
        span: period.span(offset),
        previous: period.previous().span(offset),
        last_year: period.last_year().span(offset),
        months: months.iter().map(|month| month.span(offset)).collect(),
        as_of,
    };
    Ok((question, period, months, baseline))
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<StatQuery>,
) -> Result<Response, Problem> {
    let answered = Answered::read(&state, &caller, &query).await?;
    let (pairs, address) = (query.pairs(), query.address());
    let around = reader.page(&state, caller.session.as_ref());
    Ok(page(views::statistics(&around, &answered.view((&pairs, &address), &where_covers_are(&state)))))
}

/// The report in Chinese, whoever reads it: it is filed.
pub(super) async fn report_pdf(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<StatQuery>,
) -> Result<Response, Problem> {
    let answered = Answered::read(&state, &caller, &query).await?;
    let (pairs, query_text) = (query.pairs(), query.address());
    let address = format!("{}/desk/statistics/report.pdf?{query_text}", state.config.plate_base());
    let around = reader.page(&state, caller.session.as_ref());
    let dossier = views::statistics_paper(
        &around,
        &answered.view((&pairs, &query_text), &where_covers_are(&state)),
        address,
    );
    let pdf = drawn(move |pdf| render_dossier(&dossier, &Palette::built_in(), |_| None, pdf)).await?;
    let days = format!("{}_{}", answered.period.first_day(), answered.period.last_day());
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"statistics-{days}.pdf\"")),
    ];
    Ok((headers, pdf).into_response())
}

pub(super) async fn find_statistics(
    State(state): State<AppState>,
    caller: Caller,
    Asked(query): Asked<StatQuery>,
) -> Result<Response, Problem> {
    let answered = Answered::read(&state, &caller, &query).await?;
    let report = &answered.report;
    let with = |name: &str, value: Value, sum: &Sum| {
        let mut shown = sum_json(sum);
        shown[name] = value;
        shown
    };
    let sources = report.sources.iter().map(|(source, sum)| with("source", json!(source), sum));
    let classes = report.classes.iter().map(|(class, sum)| with("class", json!(class), sum));
    let districts = report.districts.iter().map(|(code, sum)| with("district", json!(code), sum));
    let parties = report.parties.iter().map(|(party, sum)| with("party", json!(party), sum));
    let months = answered.months.iter().zip(&report.months).map(|(month, (closed, median_ms))| {
        json!({"month": month.name(), "closed": closed, "median_ms": median_ms})
    });
    let cells = report.cells.iter().map(|cell| {
        let (lon, lat) = cell.corner();
        json!({"lon": (lon * 100.0).round() / 100.0, "lat": (lat * 100.0).round() / 100.0, "cases": cell.cases})
    });
    let answer = json!({
        "from": answered.period.first_day(),
        "until": answered.period.last_day(),
        "as_of": shapes::time(answered.as_of),
        "now": sum_json(&report.sum),
        "previous": sum_json(&report.previous),
        "last_year": sum_json(&report.last_year),
        "sources": sources.collect::<Vec<_>>(),
        "parties": parties.collect::<Vec<_>>(),
        "districts": districts.collect::<Vec<_>>(),
        "classes": classes.collect::<Vec<_>>(),
        "months": months.collect::<Vec<_>>(),
        "baseline": answered.months[answered.baseline].name(),
        "cells": cells.collect::<Vec<_>>(),
    });
    Ok(Json(answer).into_response())
}

fn sum_json(sum: &Sum) -> Value {
    let rates: Map<String, Value> = Rate::ALL
        .iter()
        .map(|rate| {
            let (part, whole) = sum.rate(*rate);
            (rate.as_str().to_owned(), json!({"part": part, "whole": whole}))
        })
        .collect();
    json!({
        "reported": sum.reported,
        "void": sum.void,
        "closed": sum.closed,
        "late": sum.late,
        "exempt": sum.exempt,
        "reworks": sum.reworks,
        "recurrences": sum.recurrences,
        "open": sum.open,
        "overdue": sum.overdue,
        "median_ms": sum.median_ms,
        "p90_ms": sum.p90_ms,
        "rates": rates,
    })
}
