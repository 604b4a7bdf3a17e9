//! Where a case stands, as whoever reported it is told: never more than is true, and by whom and until when where that is
//! known.

use serde_json::Value;

use super::Page;
use crate::domain::case::{Case, CaseMove, CaseState};
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::Millis;
use crate::registry::Tracked;

/// A few sentences, in their order.
pub(super) fn standing(page: &Page, tracked: &Tracked) -> Vec<String> {
    let case = &tracked.case;
    let party = tracked
        .party
        .as_ref()
        .map_or_else(|| page.t("tracking_state.somebody").to_owned(), |party| party.name.clone());
    let since = came_to(&tracked.timeline, case.state).map_or(case.updated_at, |step| step.at);
    let since = page.date_time(since);
    let say = |key: &str, values: &[(&str, &str)]| page.catalogue.fill(key, values);
    let mut said = Vec::new();
    if tracked.report.case != case.id {
        said.push(page.t("tracking_state.joined").to_owned());
    }
    let why = |made: CaseMove| {
        let step = tracked.timeline.iter().rev().filter_map(Step::of).find(|step| step.made == made.as_str());
        step.map(|step| step.why).filter(|why| !why.is_empty())
    };
    said.push(match case.state {
        CaseState::Dispatched if case.is_in_pool() => page.t("tracking_state.pool").to_owned(),
        CaseState::Dispatched | CaseState::Handling => {
            say(&format!("tracking_state.{}", case.state), &[("party", &party), ("since", &since)])
        }
        CaseState::Handled => say("tracking_state.handled", &[("party", &party), ("since", &since)]),
        CaseState::Closed => {
            let at = page.date(case.closed_at.unwrap_or(case.updated_at));
            say("tracking_state.closed", &[("date", &at)])
        }
        CaseState::Suspended => {
            let until = case.until.map(|until| page.date(until)).unwrap_or_default();
            let why = why(CaseMove::Suspend).unwrap_or_default();
            say("tracking_state.suspended", &[("date", &until), ("why", &why)])
        }
        CaseState::Rejected => {
            say("tracking_state.rejected", &[("why", &why(CaseMove::Reject).unwrap_or_default())])
        }
        state => page.word("tracking_state", state),
    });
    if case.state == CaseState::Handling && case.clock.made_safe_at.is_some() {
        said.push(page.t("tracking_state.made_safe").to_owned());
    }
    said.extend(expected(page, case));
    said
}

/// Until when its party should be done; nothing where nobody has it.
fn expected(page: &Page, case: &Case) -> Option<String> {
    let is_theirs = matches!(case.state, CaseState::Dispatched | CaseState::Handling) && case.party.is_some();
    let due = case.due_at.filter(|_| is_theirs)?;
    let key = if due < page.now { "tracking_state.overdue" } else { "tracking_state.due" };
    Some(page.fill(key, "date", page.date_time(due)))
}

struct Step {
    at: Millis,
    made: String,
    to: String,
    why: String,
}

impl Step {
    fn of(entry: &HistoryEntry) -> Option<Self> {
        if entry.kind != HistoryKind::CaseMoved {
            return None;
        }
        let body: Value = serde_json::from_str(&entry.body).ok()?;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Some(Self { at: entry.at, made: text("move"), to: text("to"), why: text("why") })
    }
}

/// The step that brought a case to where it stands.
fn came_to(timeline: &[HistoryEntry], state: CaseState) -> Option<Step> {
    // An extension is no beginning.
    let begins = |step: &Step| !["extend", "make_safe"].contains(&step.made.as_str());
    timeline.iter().rev().filter_map(Step::of).find(|step| step.to == state.as_str() && begins(step))
}
