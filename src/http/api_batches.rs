//! Batches of plates for programs: ordered, followed, printed, handed out.

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Object, Said, idempotency_key};
use super::auth::Caller;
use super::cover_query::limit;
use super::plate_moves::{self, ActionOrder};
use super::plate_wishes::{self as wishes, Wishes};
use super::plate_work as work;
use super::sparse::{LEDGER_PLATE, Picked};
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::ids::{BatchId, CoverId, UserId};
use crate::domain::plate::PlateState;
use crate::domain::plate_batch::{BatchState, PlateAction};
use crate::domain::role::Role;
use crate::domain::token::Token;
use crate::press::{self, MOST_PLATES, Wanted};
use crate::registry::{Batch, PlateMove, PlateMoveOrder, WhichPlates};

/// Bytes of an order: a hundred thousand codes.
const LARGEST: usize = 2_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchBody {
    /// Blank plates.
    count: Option<usize>,
    /// Codes of covers, in the order of the sheets.
    covers: Option<Vec<String>>,
    filter: Option<Object<FilterBody>>,
    area: Option<Object<AreaBody>>,
    /// GeoJSON.
    outline: Option<Value>,
    face: Option<String>,
    sheet: Option<String>,
    level: Option<String>,
    finish: Option<String>,
    printer: Option<String>,
    split: Option<usize>,
    #[serde(default = "yes")]
    printed: bool,
    #[serde(default)]
    note: String,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterBody {
    district: Option<String>,
    class: Option<String>,
    road: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AreaBody {
    kind: AreaKind,
    code: String,
}

pub(super) async fn create_batch(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
    mut request: Request,
) -> Result<Response, Problem> {
    DefaultBodyLimit::max(LARGEST).apply(&mut request);
    let Said(body) = Said::<BatchBody>::from_request(request, &state).await?;
    let key = headers.contains_key("idempotency-key").then(|| idempotency_key(&headers)).transpose()?;
    let order = Wishes {
        face: body.face.as_deref(),
        sheet: body.sheet.as_deref(),
        level: body.level.as_deref(),
        finish: body.finish.as_deref(),
        printer: body.printer.as_deref(),
        split: body.split,
        unprinted: !body.printed,
        note: &body.note,
        key,
    }
    .order(wanted(&state, &body).await?, caller.actor())?;
    let batch = work::place(&state, &order).await?;
    let status = match batch.order.state {
        BatchState::Released => StatusCode::CREATED,
        BatchState::Drafted | BatchState::UnderWay => StatusCode::ACCEPTED,
    };
    let location = format!("/api/v1/plate-batches/{}", batch.id);
    let counts = state.registry.count_batches(&[batch.id]).await?;
    let shown = with_counts(&batch, counts.into_iter().map(|(_, state, count)| (state, count)));
    Ok((status, [(header::LOCATION, location)], Json(shown)).into_response())
}

async fn wanted(state: &AppState, body: &BatchBody) -> Result<Wanted, Problem> {
    match (body.count, &body.covers, &body.filter, &body.area, &body.outline) {
        (Some(count), None, None, None, None) => Ok(wishes::blank(count)?),
        (None, Some(codes), None, None, None) => covers(state, codes).await,
        (None, None, Some(Object(filter)), None, None) => {
            let mut narrowed = wishes::unplated();
            narrowed.district = filter.district.clone();
            narrowed.class = filter.class.as_deref().map(str::parse).transpose()?;
            narrowed.road = filter.road.clone();
            Ok(Wanted::Matching(Box::new(narrowed)))
        }
        (None, None, None, Some(Object(area)), None) => {
            wishes::in_area(state, area.kind, &area.code, wishes::unplated()).await
        }
        (None, None, None, None, Some(outline)) => {
            Ok(wishes::in_outline(&outline.to_string(), wishes::unplated())?)
        }
        _ => Err(Refusal::new("batch.one_of").with("fits", "count, covers, filter, area, outline").into()),
    }
}

async fn covers(state: &AppState, codes: &[String]) -> Result<Wanted, Problem> {
    if codes.is_empty() || codes.len() > MOST_PLATES {
        let refusal = Refusal::new("batch.count").at("covers").with("count", codes.len());
        return Err(refusal.with("most", MOST_PLATES).into());
    }
    let found = state.registry.list_covers_by_code(codes).await?;
    let mut covers: Vec<CoverId> = Vec::with_capacity(codes.len());
    for (code, cover) in codes.iter().zip(found) {
        covers.push(cover.ok_or_else(|| super::desk::unknown_cover(code))?);
    }
    Ok(Wanted::Covers(covers))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    limit: Option<String>,
    cursor: Option<String>,
    state: Option<String>,
}

pub(super) async fn list_batches(
    State(state): State<AppState>,
    Asked(query): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let most = limit(query.limit.as_deref(), 50, 200).map_err(Problem::bad_request)?;
    let before = query.cursor.as_deref().map(str::parse::<BatchId>).transpose();
    let before = before.map_err(|refusal| Problem::bad_request(refusal.at("cursor")))?;
    let batches = state.registry.list_batches_before(before, most).await?;
    let next = batches.last().filter(|_| batches.len() as i64 == most).map(|last| last.id);
    let ids: Vec<BatchId> = batches.iter().map(|batch| batch.id).collect();
    let counts = state.registry.count_batches(&ids).await?;
    let shown: Vec<Value> = batches
        .iter()
        .map(|batch| {
            let own = counts.iter().filter(|(id, ..)| *id == batch.id);
            with_counts(batch, own.map(|(_, state, count)| (*state, *count)))
        })
        .collect();
    let mut answer = json!({"batches": shown});
    if let Some(next) = next {
        answer["next"] = json!(next);
    }
    Ok(Json(answer).into_response())
}

fn with_counts(batch: &Batch, counts: impl Iterator<Item = (PlateState, i64)>) -> Value {
    let mut shown = shapes::batch(batch);
    let counts: serde_json::Map<String, Value> =
        counts.map(|(state, count)| (state.to_string(), json!(count))).collect();
    shown["counts"] = Value::Object(counts);
    shown
}

pub(super) async fn find_batch(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    let counts = state.registry.count_batches(&[batch.id]).await?;
    Ok(Json(with_counts(&batch, counts.into_iter().map(|(_, state, count)| (state, count)))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SheetQuery {
    pub file: Option<String>,
    pub only: Option<String>,
}

/// The sheets; drawn again from the ledger when the file is not here, which gives the same symbols.
pub(super) async fn batch_pdf(
    State(state): State<AppState>,
    Named(id): Named,
    Asked(query): Asked<SheetQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    let named = (query.file.as_deref(), query.only.as_deref());
    let (file, only) = work::named_plates(&state, &batch, named).await?;
    let sheets = work::asked_sheets(&batch, file, only.as_ref())?;
    work::send_sheets(&state, &batch, sheets, &headers).await
}

pub(super) async fn batch_ledger(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    let folder = state.data.join("outgoing");
    std::fs::create_dir_all(&folder).map_err(|error| super::problem::from_io(&error))?;
    let file = tempfile::tempfile_in(&folder).map_err(|error| super::problem::from_io(&error))?;
    let mut out = std::io::BufWriter::new(file);
    press::write_ledger_of(&state.registry, (batch.id, None), &mut out).await?;
    let file = out.into_inner().map_err(|error| super::problem::from_io(error.error()))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"plates-{}.csv\"", batch.id)),
    ];
    Ok((headers, axum::body::Body::from_stream(super::exports::parts(file))).into_response())
}

/// One page of the ledger with where each plate is.
pub(super) async fn list_batch_plates(
    State(state): State<AppState>,
    Named(id): Named,
    Picked(query, fields): Picked<PageQuery>,
) -> Result<Response, Problem> {
    let sparse = fields.of(&LEDGER_PLATE)?;
    let batch = work::named(&state, &id).await?;
    let most = limit(query.limit.as_deref(), 100, 1000).map_err(Problem::bad_request)?;
    let after = match query.cursor.as_deref() {
        None => 0,
        Some(text) => text.parse::<i64>().ok().filter(|after| *after >= 0).ok_or_else(|| {
            let refusal = Refusal::new("form.whole_number").at("cursor").with("field", "cursor");
            Problem::bad_request(refusal.with("read", super::forms::shortened(text)))
        })?,
    };
    let one =
        query.state.as_deref().map(str::parse::<PlateState>).transpose().map_err(Problem::bad_request)?;
    let plates = match one {
        None => state.registry.list_batch_plates(batch.id, after, most).await?,
        Some(one) => state.registry.list_batch_plates_in((batch.id, one), after, most).await?,
    };
    let next = plates.last().filter(|_| plates.len() as i64 == most).map(|last| last.ordinal.to_string());
    let users = state.registry.list_users().await?;
    let login = |id: Option<UserId>| {
        id.and_then(|id| users.iter().find(|user| user.id == id)).map(|user| user.login.clone())
    };
    let shown: Vec<Value> =
        plates.iter().map(|plate| sparse.pick(shapes::ledger_plate(plate, login(plate.holder)))).collect();
    let mut answer = json!({"plates": shown});
    if let Some(next) = next {
        answer["next"] = json!(next);
    }
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepBody {
    step: PlateAction,
    ordinals: Option<String>,
    crew: Option<String>,
    reason: Option<String>,
}

/// A step of plates of one batch.
pub(super) async fn step_batch(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    headers: HeaderMap,
    Said(body): Said<StepBody>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let batch = work::named(&state, &id).await?;
    let crew = match &body.crew {
        Some(login) => Some(plate_moves::find_crew(&state, login).await?),
        None => None,
    };
    let order = ActionOrder {
        key,
        action: body.step,
        ordinals: body.ordinals.as_deref().map(str::parse).transpose()?,
        crew,
        reason: body.reason,
        actor: caller.actor(),
    };
    let done = plate_moves::act(&state, &batch, order).await?;
    let again = done.again.as_ref().map(|only| {
        json!({"ordinals": only.to_string(), "url": format!("/api/v1/plate-batches/{}/plates.pdf?only={only}", batch.id)})
    });
    Ok(Json(shapes::known([
        ("moved", json!(done.moved.moved)),
        ("left", json!(done.moved.left)),
        ("again", json!(again)),
        ("successors", json!(done.successors.as_ref().map(shapes::batch))),
    ]))
    .into_response())
}

/// Goes on with an order that stands still.
pub(super) async fn resume_batch(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    if batch.order.state == BatchState::UnderWay {
        work::go_on(&state, batch.id);
    }
    Ok((StatusCode::ACCEPTED, Json(shapes::batch(&batch))).into_response())
}

/// Ends an order with the files that are made; one without any is forgotten.
pub(super) async fn stop_batch(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    match work::stop(&state, batch.id).await? {
        Some(batch) => Ok(Json(shapes::batch(&batch)).into_response()),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StockQuery {
    crew: Option<String>,
}

/// What crews have; a crew sees its own.
pub(super) async fn list_stock(
    State(state): State<AppState>,
    caller: Caller,
    Asked(query): Asked<StockQuery>,
) -> Result<Response, Problem> {
    let crew = match (caller.user.role, &query.crew) {
        (Role::Crew, _) => Some(caller.user.id),
        (_, Some(login)) => Some(plate_moves::find_crew(&state, login).await?),
        (_, None) => None,
    };
    let users = state.registry.list_users().await?;
    let lines = state.registry.list_stock(crew).await?;
    let login = |id: UserId| users.iter().find(|user| user.id == id).map(|user| user.login.as_str());
    let shown: Vec<Value> = lines
        .iter()
        .map(|line| {
            shapes::known([
                ("crew", json!(login(line.crew))),
                ("batch", json!(line.batch)),
                ("blank", json!(line.blank)),
                ("for_covers", json!(line.for_covers)),
                ("first", json!(line.first)),
                ("last", json!(line.last)),
            ])
        })
        .collect();
    Ok(Json(json!({"stock": shown})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StockBody {
    step: PlateAction,
    tokens: Option<Vec<Token>>,
    crew: Option<String>,
}

/// Single plates of any batch, or all that a crew has.
pub(super) async fn step_stock(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<StockBody>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let crew = match &body.crew {
        Some(login) => Some(plate_moves::find_crew(&state, login).await?),
        None => None,
    };
    let order = stock_order(key, body.step, body.tokens.unwrap_or_default(), crew, &caller)?;
    let moved = state.registry.move_plates(order).await?;
    Ok(Json(json!({"moved": moved.moved, "left": moved.left})).into_response())
}

pub(super) fn stock_order(
    key: crate::domain::ids::IdempotencyKey,
    action: PlateAction,
    tokens: Vec<Token>,
    crew: Option<UserId>,
    caller: &Caller,
) -> Result<PlateMoveOrder, Refusal> {
    let missing = |field: &'static str| Refusal::new("form.missing").at(field).with("field", field);
    let (what, which) = match (action, crew, tokens.is_empty()) {
        (PlateAction::Issue, Some(crew), false) => (PlateMove::Issued { crew }, WhichPlates::Tokens(tokens)),
        (PlateAction::Issue, None, _) => return Err(missing("crew")),
        (PlateAction::Return, crew, false) => (PlateMove::Returned { crew }, WhichPlates::Tokens(tokens)),
        (PlateAction::Return, Some(crew), true) => {
            (PlateMove::Returned { crew: Some(crew) }, WhichPlates::StockOf(crew))
        }
        (PlateAction::Issue | PlateAction::Return, ..) => return Err(missing("tokens")),
        (other, ..) => {
            return Err(Refusal::new("plate_action.unknown")
                .at("step")
                .with("read", other)
                .with("fits", "issue, return"));
        }
    };
    Ok(PlateMoveOrder { key, what, which, actor: caller.actor() })
}
