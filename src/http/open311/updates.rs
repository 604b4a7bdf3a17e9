//! What was done about requests, as a FixMyStreet asks for it: steps that the tracking page tells, with numbers that
//! stay the same.

use axum::extract::State;
use axum::response::Response;

use super::Asking;
use super::model::Node;
use super::requests::{check_span, photo_address};
use crate::domain::case::{CaseMove, CaseState};
use crate::domain::ids::Millis;
use crate::domain::open311::UpdateStatus;
use crate::http::ask::Reader;
use crate::http::{AppState, Problem, views};
use crate::registry::RequestStep;

/// The usual stretch of time: a day.
const USUAL_MS: i64 = 86_400_000;

pub(in crate::http) async fn list_updates(
    State(state): State<AppState>,
    reader: Reader,
    asking: Asking,
) -> Result<Response, Problem> {
    let now = state.registry.now();
    let at = |name| asking.when(name).map_err(Problem::bad_request);
    let (from, until) = match (at("start_date")?, at("end_date")?) {
        (None, None) => (Millis(now.0 - USUAL_MS), now),
        (Some(from), None) => (from, Millis(from.0 + USUAL_MS)),
        (None, Some(until)) => (Millis(until.0 - USUAL_MS), until),
        (Some(from), Some(until)) => (from, until),
    };
    check_span(from, until)?;
    // One at a time: a long stretch is a walk through all that was done in it.
    let _turn = state.shared.open311.turn("updates").await;
    // Moments are told in whole seconds: whoever asks until one wants all of it.
    let steps = state.registry.list_request_steps((from, Millis(until.0 + 999)), asking.page()?).await?;
    let updates = steps.iter().filter_map(|step| update(&reader, &asking, step)).collect();
    Ok(asking.format.answer("service_request_updates", &Node::List("request_update", updates)))
}

fn update(reader: &Reader, asking: &Asking, step: &RequestStep) -> Option<Node> {
    let words = reader.catalogue();
    let public = views::public_step(words, &step.entry)?;
    let state = public.state.unwrap_or(CaseState::Reported);
    // The hash of the line in the file: it can never be another.
    let mark: String = step.entry.hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let shows_work = public.made == Some(CaseMove::Close) && step.shows_work;
    Some(Node::Object(vec![
        ("update_id", Node::text(format!("{}-{mark}", step.tracking))),
        ("service_request_id", Node::text(&step.tracking)),
        ("status", Node::text(UpdateStatus::of(state).as_str())),
        ("description", Node::text(public.sentence(words))),
        ("media_url", Node::text_if(shows_work.then(|| photo_address(&asking.base, &step.tracking)))),
        ("updated_datetime", Node::text(step.entry.at.to_rfc3339())),
        ("external_status_code", Node::text(state.as_str())),
    ]))
}
