//! Changes of many covers for programs: looked at, carried out, undone.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Object, Reader, Said, idempotency_key};
use super::auth::Caller;
use super::conflict::{etag, if_match};
use super::cover_query::{CoverQuery, limit};
use super::edit_fields::{SetBody, code_choice};
use super::forms::shortened;
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::edit::{BulkRowState, BulkState};
use crate::domain::ids::{BulkEditId, CoverId};
use crate::registry::{BulkEdit, BulkOrder, BulkStep};

/// How long a request waits for the end of a change; a longer one goes on by itself.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBulkEdit {
    filter: Object<CoverQuery>,
    set: Object<SetBody>,
    code: Option<String>,
    reason: Option<String>,
}

pub(super) async fn create_bulk_edit(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let Said(body) = Said::<NewBulkEdit>::from_request(request, &state).await?;
    let Object(query) = body.filter;
    query.whole()?;
    let order = BulkOrder {
        key,
        filter: query.filter(1, 1)?,
        filter_text: query.address(),
        edit: body.set.0.edit(&state).await?,
        code: code_choice(body.code.as_deref())?,
        reason: body.reason.unwrap_or_default(),
        actor: caller.actor(),
    };
    let edit = preview(&state, order).await?;
    let location = (header::LOCATION, format!("/api/v1/bulk-edits/{}", edit.record.id));
    Ok((StatusCode::CREATED, [location], etag(edit.record.version), Json(shapes::bulk_edit(&edit)))
        .into_response())
}

/// Looks at all covers; one such walk at a time.
pub(super) async fn preview(state: &AppState, order: BulkOrder) -> Result<BulkEdit, Problem> {
    let _slot = state.shared.heavy_slots.acquire().await;
    Ok(state.registry.preview_bulk_edit(order).await?)
}

/// Carries on what was begun and waits for its end, but not for ever; answers how far it has come.
pub(super) async fn carry_on(state: &AppState, id: BulkEditId) -> Result<BulkEdit, Problem> {
    let registry = state.registry.clone();
    // A task of its own: whoever asked may go away.
    let carrying = tokio::spawn(async move { registry.carry_on_bulk_edit(id).await });
    if let Ok(Ok(ended)) = tokio::time::timeout(PATIENCE, carrying).await {
        ended?;
    }
    find(state, id).await
}

pub(super) async fn find(state: &AppState, id: BulkEditId) -> Result<BulkEdit, Problem> {
    state.registry.find_bulk_edit(id).await?.ok_or_else(|| unknown(&id.to_string()))
}

pub(super) fn read_id(text: &str) -> Result<BulkEditId, Problem> {
    text.parse().map_err(|_| unknown(text))
}

fn unknown(text: &str) -> Problem {
    let refusal = Refusal::new("bulk.unknown").with("read", shortened(text));
    Problem { status: StatusCode::NOT_FOUND, refusal }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list_bulk_edits(
    State(state): State<AppState>,
    Asked(query): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let most = limit(query.limit.as_deref(), 50, 200).map_err(Problem::bad_request)?;
    let cursor = query.cursor.as_deref().map(str::parse::<BulkEditId>).transpose();
    let before = cursor.map_err(|refusal| Problem::bad_request(refusal.at("cursor")))?;
    let records = state.registry.list_bulk_edits(before, most).await?;
    let mut shown = Vec::with_capacity(records.len());
    for record in &records {
        let set = state.registry.read_bulk_set(record)?;
        shown.push(shapes::bulk_record(record, &set));
    }
    let mut answer = json!({"bulk_edits": shown});
    if let Some(last) = records.last().filter(|_| records.len() as i64 == most) {
        answer["next"] = json!(last.id);
    }
    Ok(Json(answer).into_response())
}

pub(super) async fn find_bulk_edit(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let edit = find(&state, read_id(&id)?).await?;
    Ok((etag(edit.record.version), Json(shapes::bulk_edit(&edit))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineQuery {
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list_bulk_covers(
    State(state): State<AppState>,
    reader: Reader,
    Named(id): Named,
    Asked(query): Asked<LineQuery>,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    let (states, after, most) = line_filter(&query).map_err(Problem::bad_request)?;
    find(&state, id).await?;
    let lines = state.registry.list_bulk_lines(id, &states, after, most).await?;
    let shown: Vec<Value> = lines.iter().map(|line| shapes::bulk_line(line, reader.catalogue())).collect();
    let mut answer = json!({"covers": shown});
    if let Some(last) = lines.last().filter(|_| lines.len() as i64 == most) {
        answer["next"] = json!(last.cover.cover);
    }
    Ok(Json(answer).into_response())
}

fn line_filter(query: &LineQuery) -> Result<(Vec<BulkRowState>, Option<CoverId>, i64), Refusal> {
    let states = match query.state.as_deref() {
        None => BulkRowState::ALL.to_vec(),
        Some(word) => vec![word.parse()?],
    };
    let cursor = query.cursor.as_deref().map(str::parse::<CoverId>).transpose();
    let after = cursor.map_err(|refusal| refusal.at("cursor"))?;
    Ok((states, after, limit(query.limit.as_deref(), 100, 500)?))
}

/// Which way a change is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Apply,
    Undo,
}

/// Begins to carry out or undo a change and waits for its end.
pub(super) async fn take(state: &AppState, step: BulkStep, way: Way) -> Result<BulkEdit, Problem> {
    let id = step.id;
    let begun = match way {
        Way::Apply => state.registry.apply_bulk_edit(step).await?,
        Way::Undo => state.registry.undo_bulk_edit(step).await?,
    };
    match begun.record.state {
        BulkState::Applying | BulkState::Undoing => carry_on(state, id).await,
        _ => Ok(begun),
    }
}

async fn step(
    state: AppState,
    caller: Caller,
    id: String,
    headers: HeaderMap,
    way: Way,
) -> Result<Response, Problem> {
    let step = BulkStep {
        key: idempotency_key(&headers)?,
        id: read_id(&id)?,
        expected_version: if_match(&headers)?,
        actor: caller.actor(),
    };
    let edit = take(&state, step, way).await.map_err(|problem| match problem.refusal.code {
        "bulk.moved_meanwhile" => Problem { status: StatusCode::PRECONDITION_FAILED, ..problem },
        _ => problem,
    })?;
    Ok((etag(edit.record.version), Json(shapes::bulk_edit(&edit))).into_response())
}

pub(super) async fn apply_bulk_edit(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    step(state, caller, id, headers, Way::Apply).await
}

pub(super) async fn undo_bulk_edit(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    step(state, caller, id, headers, Way::Undo).await
}
