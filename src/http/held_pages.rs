//! 防滥用: cases that wait for a look, from where reports came, and whose wait from now on; pages and JSON.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Reader, Said, idempotency_key};
use super::auth::{Caller, percent_encode};
use super::desk::{page, unknown_case};
use super::forms::{Form, shortened};
use super::problem::page_with_problem;
use super::views::{self, SendersView};
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::abuse::{Block, OriginKind};
use crate::domain::ids::{BlockId, Millis};
use crate::registry::{BlockOrder, CaseFile, ReportOrigin, SenderCount};

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let held = state.registry.list_held(&caller.actor()).await?;
    let blocks = state.registry.list_blocks().await?;
    let around = reader.page(&state, caller.session.as_ref());
    Ok(page(views::held(&around, &held, &blocks)))
}

/// Lifts a block, from the list.
pub(super) async fn lift(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "id"])?;
    caller.check_csrf(form.field("csrf"))?;
    state.registry.lift_block(block_id(form.needed("id")?)?, &caller.actor()).await?;
    Ok(Redirect::to("/desk/held").into_response())
}

fn block_id(text: &str) -> Result<BlockId, Problem> {
    text.parse().map_err(|_| {
        let refusal = Refusal::new("block.unknown").with("read", shortened(text));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    })
}

async fn find_file(state: &AppState, caller: &Caller, number: &str) -> Result<CaseFile, Problem> {
    let file = state.registry.find_case(number, &caller.actor()).await?;
    file.ok_or_else(|| unknown_case(number))
}

pub(super) async fn senders(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let file = find_file(&state, &caller, &number).await?;
    Ok(page(senders_page(&state, &reader, &caller, &file, None).await?))
}

async fn senders_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    file: &CaseFile,
    wrong: Option<(&Refusal, &str)>,
) -> Result<String, Problem> {
    let origins = state.registry.list_case_origins(file.case.id).await?;
    let view = SendersView { file, origins: &origins, wrong };
    Ok(views::senders(&reader.page(state, caller.session.as_ref()), &view))
}

/// Blocks the sender of a report, from the page of its case.
pub(super) async fn block(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "tracking", "kind", "days", "reason"])?;
    caller.check_csrf(form.field("csrf"))?;
    let file = find_file(&state, &caller, &number).await?;
    let blocked = match order_of(&form, &file, &caller) {
        Ok(order) => state.registry.block_sender(order).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.into()),
    };
    match blocked {
        Ok(_) => {
            Ok(Redirect::to(&format!("/desk/cases/{}/senders", percent_encode(&number))).into_response())
        }
        Err(problem) if problem.status.is_client_error() => {
            let wrong = (&problem.refusal, form.field("reason").unwrap_or_default());
            let html = senders_page(&state, &reader, &caller, &file, Some(wrong)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn order_of(form: &Form, file: &CaseFile, caller: &Caller) -> Result<BlockOrder, Refusal> {
    let tracking = form.needed("tracking")?;
    if !file.reports.iter().any(|report| report.tracking == tracking) {
        return Err(Refusal::new("block.no_origin").at("tracking").with("read", shortened(tracking)));
    }
    let days = form.needed("days")?;
    Ok(BlockOrder {
        key: form.key()?,
        tracking: tracking.to_owned(),
        kind: form.needed("kind")?.parse()?,
        days: days.parse().map_err(|_| unreadable_days(days))?,
        reason: form.field("reason").unwrap_or_default().to_owned(),
        actor: caller.actor(),
    })
}

fn unreadable_days(read: &str) -> Refusal {
    let refusal = Refusal::new("block.days").at("days").with("read", shortened(read));
    refusal.with("most", crate::domain::abuse::BLOCK_DAYS)
}

pub(super) async fn list_senders(
    State(state): State<AppState>,
    caller: Caller,
    Named(number): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let file = find_file(&state, &caller, &number).await?;
    let origins = state.registry.list_case_origins(file.case.id).await?;
    Ok(Json(json!({"senders": origins.iter().map(sender).collect::<Vec<_>>()})).into_response())
}

fn sender(origin: &ReportOrigin) -> Value {
    let count = |count: &SenderCount| json!({"reports": count.reports, "rejected": count.rejected});
    shapes::known([
        ("tracking", json!(origin.tracking)),
        ("doubts", json!(origin.doubts)),
        ("by_staff", json!(origin.by_staff)),
        ("device", json!(origin.device.as_ref().map(count))),
        ("network", count(&origin.network)),
    ])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockBody {
    tracking: String,
    kind: OriginKind,
    days: u32,
    reason: String,
}

pub(super) async fn create_block(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<BlockBody>,
) -> Result<Response, Problem> {
    let order = BlockOrder {
        key: idempotency_key(&headers)?,
        tracking: body.tracking,
        kind: body.kind,
        days: body.days,
        reason: body.reason,
        actor: caller.actor(),
    };
    let now = state.registry.now();
    let block = state.registry.block_sender(order).await?;
    Ok((StatusCode::CREATED, Json(block_shape(&block, now))).into_response())
}

pub(super) async fn list_blocks(
    State(state): State<AppState>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let now = state.registry.now();
    let blocks = state.registry.list_blocks().await?;
    let blocks: Vec<Value> = blocks.iter().map(|block| block_shape(block, now)).collect();
    Ok(Json(json!({"blocks": blocks})).into_response())
}

pub(super) async fn lift_block(
    State(state): State<AppState>,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let block = state.registry.lift_block(block_id(&id)?, &caller.actor()).await?;
    Ok(Json(block_shape(&block, state.registry.now())).into_response())
}

fn block_shape(block: &Block, now: Millis) -> Value {
    shapes::known([
        ("id", json!(block.id)),
        ("kind", json!(block.kind)),
        ("tracking", json!(block.tracking)),
        ("reason", json!(block.reason)),
        ("until", json!(block.until.to_rfc3339())),
        ("created_at", json!(block.created_at.to_rfc3339())),
        ("lifted_at", json!(block.lifted_at.map(Millis::to_rfc3339))),
        ("active", json!(block.is_active(now))),
    ])
}
