//! What the rules say of a case, in words.

use super::Page;
use crate::domain::case::Case;
use crate::domain::clock::{Clock, Limit};
use crate::domain::ids::Millis;
use crate::domain::limits::{LimitRow, Words};
use crate::domain::routing::Routed;
use crate::registry::{CaseAdvice, RouteAdvice, SimilarCase, is_overdue};

/// When the step is over at which a case stands.
pub(super) struct DueView {
    pub at: String,
    /// How long until then, or since.
    pub left: String,
    pub is_overdue: bool,
}

impl DueView {
    pub(super) fn new(page: &Page, case: &Case, now: Millis) -> Option<Self> {
        let due = case.due_at?;
        let is_overdue = is_overdue(case, now);
        let span = span_words(page, (due.0 - now.0).abs());
        let key = if is_overdue { "due.overdue" } else { "due.left" };
        Some(Self { at: page.date_time(due), left: page.fill(key, "span", span), is_overdue })
    }
}

/// An open case close by.
pub(super) struct SimilarView {
    pub number: String,
    pub hazard: String,
    pub state: String,
    pub distance: String,
    pub at: String,
}

impl SimilarView {
    pub(super) fn new(page: &Page, similar: &SimilarCase) -> Self {
        let case = &similar.near.case;
        Self {
            number: case.number.clone(),
            hazard: page.word("hazard", case.hazard),
            state: page.word("case_state", case.state),
            distance: format!("{:.0} m", similar.distance_m),
            at: page.date_time(case.created_at),
        }
    }
}

pub(super) struct RouteView {
    /// To whom, by which rule.
    pub says: String,
    /// Each rule that was passed over, and why.
    pub passed: Vec<String>,
}

impl RouteView {
    pub(super) fn new(page: &Page, route: &RouteAdvice) -> Self {
        let to = match (&route.to, &route.party) {
            (Routed::Party(_), Some(party)) => party.name.clone(),
            (Routed::Pool { parties, .. }, _) => page.fill("route.pool", "count", parties.len()),
            _ => page.t("route.desk").to_owned(),
        };
        let rule = route.rule.as_ref().map_or(page.t("route.no_rule"), |(_, words)| page.words(words));
        let says = page.catalogue.fill("route.says", &[("to", &to), ("rule", rule)]);
        let passed = route.passed.iter().map(|(_, words, misfit)| {
            let why = page.word("misfit", misfit.as_str());
            page.catalogue.fill("route.passed", &[("rule", page.words(words)), ("why", &why)])
        });
        Self { says, passed: passed.collect() }
    }
}

pub(super) struct AdviceView {
    pub due: Option<DueView>,
    pub condition: String,
    pub limit: String,
    pub closing: String,
    pub route: RouteView,
    /// What a joint meeting decided, with its number.
    pub decision: Option<(String, String)>,
    pub triage: i64,
    pub factors: Vec<(String, i64)>,
    pub similar: Vec<SimilarView>,
    pub recurs: Option<String>,
    pub offered_to: String,
    pub source: String,
    pub strike_number: Option<String>,
    /// Late handing in, in words.
    pub late: Option<String>,
}

impl AdviceView {
    pub(super) fn new(page: &Page, case: &Case, advice: &CaseAdvice) -> Self {
        let offered: Vec<&str> = advice.offered_to.iter().map(|party| party.name.as_str()).collect();
        Self {
            due: DueView::new(page, case, page.now),
            condition: page.words(&advice.row.condition).to_owned(),
            limit: limit_words(page, &advice.row),
            closing: page.words(&advice.row.closing).to_owned(),
            route: RouteView::new(page, &advice.route),
            decision: advice.decision.as_ref().map(|(decision, lead)| {
                let due = page.date_time(decision.due_at);
                let words = page.catalogue.fill("route.meeting", &[("to", lead), ("due", &due)]);
                (decision.meeting.clone(), words)
            }),
            triage: case.triage,
            factors: factors(page, &advice.triage),
            similar: advice.similar.iter().map(|similar| SimilarView::new(page, similar)).collect(),
            recurs: advice.recurs.clone(),
            offered_to: offered.join(page.t("list.comma")),
            source: page.word("case_source", case.source),
            strike_number: case.strike_number.clone(),
            late: (case.late_ms > 0).then(|| page.fill("due.late", "span", span_words(page, case.late_ms))),
        }
    }
}

pub(super) fn factors(
    page: &Page,
    triage: &[(crate::domain::triage::TriageFactor, i64)],
) -> Vec<(String, i64)> {
    triage.iter().map(|(factor, points)| (page.word("triage_factor", factor), *points)).collect()
}

/// A row's limit, and that of the repair where it is a step of its own.
pub(super) fn limit_words(page: &Page, row: &LimitRow) -> String {
    let limit = in_words(page, row.limit);
    match row.repair {
        Some(repair) => {
            page.catalogue.fill("limit.two_steps", &[("safe", &limit), ("repair", &in_words(page, repair))])
        }
        None => limit,
    }
}

pub(super) fn in_words(page: &Page, limit: Limit) -> String {
    const HOUR_MS: i64 = 3_600_000;
    let is_whole = limit.ms % HOUR_MS == 0;
    let (key, unit_ms) = match (limit.clock, is_whole) {
        (Clock::Continuous, true) => ("limit.hours", HOUR_MS),
        (Clock::Continuous, false) => ("limit.minutes", HOUR_MS / 60),
        (Clock::WorkHours, true) => ("limit.work_hours", HOUR_MS),
        (Clock::WorkHours, false) => ("limit.work_minutes", HOUR_MS / 60),
        (Clock::WorkDays, _) => ("limit.work_days", 24 * HOUR_MS),
        (Clock::Days, _) => ("limit.days", 24 * HOUR_MS),
    };
    page.fill(key, "count", limit.ms / unit_ms)
}

/// A span of time, rounded down to what matters.
pub(super) fn span_words(page: &Page, ms: i64) -> String {
    let minutes = ms / 60_000;
    match (minutes / 1440, minutes / 60, minutes) {
        (days, hours, _) if days >= 2 => {
            let hours = hours - days * 24;
            page.catalogue
                .fill("span.days_hours", &[("days", &days.to_string()), ("hours", &hours.to_string())])
        }
        (_, hours, minutes) if hours >= 1 => page.catalogue.fill(
            "span.hours_minutes",
            &[("hours", &hours.to_string()), ("minutes", &(minutes - hours * 60).to_string())],
        ),
        (_, _, minutes) => page.fill("span.minutes", "count", minutes),
    }
}

impl Page<'_> {
    /// The words in the language of the page.
    pub(super) fn words<'w>(&self, words: &'w Words) -> &'w str {
        if self.is_chinese() { &words.zh } else { &words.en }
    }
}
