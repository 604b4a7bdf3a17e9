//! 会商 and 典型案例 for programs: the same verbs as on the pages.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Said, idempotency_key};
use super::auth::Caller;
use super::cover_query::limit;
use super::edit_fields::moment;
use super::exemplary_pages::{QuarterQuery, quarter};
use super::meeting_pages::known;
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::ids::{MeetingId, PartyId};
use crate::domain::meeting::Quarter;
use crate::registry::{
    ExemplaryFile, ExemplaryOrder, Meeting, MeetingFile, MeetingSubject, NamedSubject, NewMeeting,
    RevokeOrder,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list_meetings(
    State(state): State<AppState>,
    Asked(query): Asked<ListQuery>,
) -> Result<Response, Problem> {
    let size = limit(query.limit.as_deref(), 50, 100).map_err(Problem::bad_request)?;
    let before = query.cursor.as_deref().map(str::parse::<MeetingId>).transpose();
    let before = before.map_err(|refusal| Problem::bad_request(refusal.at("cursor")))?;
    let meetings = state.registry.list_meetings(before, size).await?;
    let mut answer = json!({"meetings": meetings.iter().map(meeting).collect::<Vec<_>>()});
    if let Some(last) = meetings.last().filter(|_| meetings.len() as i64 == size) {
        answer["next"] = json!(last.id);
    }
    Ok(Json(answer).into_response())
}

fn meeting(meeting: &Meeting) -> Value {
    let revoked =
        meeting.revoked.as_ref().map(|revoked| json!({"at": shapes::time(revoked.at), "why": revoked.why}));
    let attendees: Vec<&str> = meeting.attendees.lines().filter(|line| !line.trim().is_empty()).collect();
    shapes::known([
        ("number", json!(meeting.number)),
        ("held_at", shapes::time(meeting.held_at)),
        ("place", json!(Some(&meeting.place).filter(|place| !place.is_empty()))),
        ("attendees", json!(attendees)),
        ("decision", json!(meeting.decision)),
        ("lead", json!(meeting.lead)),
        ("due_at", shapes::time(meeting.due_at)),
        ("created_at", shapes::time(meeting.created_at)),
        ("revoked", json!(revoked)),
    ])
}

fn subject(subject: &MeetingSubject) -> Value {
    match subject {
        MeetingSubject::Case(case) => json!({"case": case.number}),
        MeetingSubject::Cover(file) => json!({"cover_code": file.code.digits}),
        MeetingSubject::Road { district, road } => json!({"district": district, "road": road}),
    }
}

fn file(file: &MeetingFile) -> Value {
    json!({
        "meeting": meeting(&file.meeting),
        "in_force": file.in_force,
        "subjects": file.subjects.iter().map(subject).collect::<Vec<_>>(),
        "waiting": file.waiting.iter().map(|line| &line.case.number).collect::<Vec<_>>(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoadBody {
    district: String,
    road: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    held_at: String,
    #[serde(default)]
    place: String,
    attendees: Vec<String>,
    decision: String,
    lead: PartyId,
    due_at: String,
    #[serde(default)]
    cases: Vec<String>,
    #[serde(default)]
    covers: Vec<String>,
    #[serde(default)]
    roads: Vec<RoadBody>,
}

pub(super) async fn create_meeting(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let body = Said::<NewBody>::from_request(request, &state).await?.0;
    let roads =
        body.roads.into_iter().map(|RoadBody { district, road }| NamedSubject::Road { district, road });
    let cases = body.cases.into_iter().map(NamedSubject::Case);
    let covers = body.covers.into_iter().map(NamedSubject::Cover);
    let new = NewMeeting {
        key,
        held_at: moment(&body.held_at, "held_at")?,
        place: body.place,
        attendees: body.attendees.join("\n"),
        decision: body.decision,
        lead: body.lead,
        due_at: moment(&body.due_at, "due_at")?,
        subjects: cases.chain(covers).chain(roads).collect(),
        actor: caller.actor(),
    };
    let recorded = state.registry.record_meeting(new).await?;
    Ok((StatusCode::CREATED, Json(file(&recorded))).into_response())
}

pub(super) async fn find_meeting(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(number): Named,
) -> Result<Response, Problem> {
    Ok(Json(file(&known(&state, &number).await?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeBody {
    reason: String,
}

pub(super) async fn revoke_meeting(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(number): Named,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let RevokeBody { reason } = Said::<RevokeBody>::from_request(request, &state).await?.0;
    let order = RevokeOrder { key, number, reason, actor: caller.actor() };
    Ok(Json(file(&state.registry.revoke_meeting(order).await?)).into_response())
}

fn example(file: &ExemplaryFile) -> Value {
    shapes::known([
        ("case", json!(file.case.number)),
        ("quarter", json!(file.mark.quarter.to_string())),
        ("sentence", json!(file.mark.sentence)),
        ("marked_at", shapes::time(file.mark.marked_at)),
        ("hazard", json!(file.case.hazard)),
        ("state", json!(file.case.state)),
        ("cover_code", json!(file.cover.as_ref().map(|cover| &cover.code.digits))),
        ("road", json!(file.cover.as_ref().and_then(|cover| cover.survey.road.as_ref()))),
        ("party", file.party.as_ref().map_or(Value::Null, shapes::party)),
    ])
}

async fn examples(state: &AppState, quarter: Quarter) -> Result<Response, Problem> {
    let files = state.registry.list_exemplary(quarter).await?;
    let shown: Vec<Value> = files.iter().map(example).collect();
    Ok(Json(json!({"quarter": quarter.to_string(), "examples": shown})).into_response())
}

pub(super) async fn list_exemplary(
    State(state): State<AppState>,
    Asked(query): Asked<QuarterQuery>,
) -> Result<Response, Problem> {
    let asked = quarter(&state, &query.quarter).map_err(Problem::bad_request)?;
    examples(&state, asked).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkBody {
    case: String,
    quarter: String,
    sentence: String,
    /// The mark is taken back.
    #[serde(default)]
    unmark: bool,
}

/// Marks a case as an example of a quarter, or takes the mark back; answers the quarter after it.
pub(super) async fn mark_exemplary(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let MarkBody { case, quarter: asked, sentence, unmark } =
        Said::<MarkBody>::from_request(request, &state).await?.0;
    let asked: Quarter = asked.parse().map_err(|refusal: Refusal| refusal.at("quarter"))?;
    let quarter = (!unmark).then_some(asked);
    let order = ExemplaryOrder { key, number: case, quarter, sentence, actor: caller.actor() };
    state.registry.mark_exemplary(order).await?;
    examples(&state, asked).await
}
