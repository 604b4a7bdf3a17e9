//! 铭牌批次: the list of batches, the page of one with its files and what may be done with its plates, and
//! its plates page by page.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::edit_page::Lists;
use super::forms::Form;
use super::plate_drawings::{self, Drawing};
use super::plate_moves::{self, ActionDone, ActionOrder};
use super::problem::page_with_problem;
use super::views::{self, BatchListView, BatchPlatesView, BatchView, Did};
use super::{AppState, Problem, plate_work as work};
use crate::domain::Refusal;
use crate::domain::ids::{BatchId, IdempotencyKey};
use crate::domain::plate::PlateState;
use crate::domain::plate_batch::{BatchState, Ordinals, PlateAction};
use crate::plates::PrintHead;
use crate::press;
use crate::registry::Batch;

/// Batches and plates on one page.
const BATCHES: i64 = 30;
const PLATES: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    #[serde(default)]
    before: String,
}

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<Before>,
) -> Result<Response, Problem> {
    let before = match query.before.as_str() {
        "" => None,
        text => Some(text.parse::<BatchId>().map_err(|refusal| Problem::bad_request(refusal.at("before")))?),
    };
    let batches = state.registry.list_batches_before(before, BATCHES).await?;
    let ids: Vec<BatchId> = batches.iter().map(|batch| batch.id).collect();
    let mut counts: BTreeMap<BatchId, Vec<(PlateState, i64)>> = BTreeMap::new();
    for (batch, one, count) in state.registry.count_batches(&ids).await? {
        counts.entry(batch).or_default().push((one, count));
    }
    let lists = Lists::read(&state).await?;
    let view = BatchListView {
        names: lists.names(),
        batches: &batches,
        counts: &counts,
        next: batches.last().filter(|_| batches.len() as i64 == BATCHES).map(|last| last.id.to_string()),
    };
    Ok(page(views::batch_list(&reader.page(&state, caller.session.as_ref()), &view)))
}

/// What a step came to, as the address of the page says it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DidQuery {
    did: String,
    moved: String,
    left: String,
    again: String,
    successors: String,
}

impl DidQuery {
    fn read(&self) -> Result<Option<Did>, Refusal> {
        if self.did.is_empty() {
            return Ok(None);
        }
        let ordinals = |text: &str| match text {
            "" => Ok(None),
            text => text.parse::<Ordinals>().map(Some),
        };
        let successors = match self.successors.as_str() {
            "" => None,
            text => Some(text.parse::<BatchId>()?),
        };
        Ok(Some(Did {
            action: self.did.parse::<PlateAction>()?.as_str(),
            moved: self.moved.parse().unwrap_or(0),
            left: self.left.parse().unwrap_or(0),
            again: ordinals(&self.again)?,
            successors,
        }))
    }
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    Asked(query): Asked<DidQuery>,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    let did = query.read().map_err(Problem::bad_request)?;
    let mut response = page(batch_page(&state, &reader, &caller, &batch, (did, None)).await?);
    if batch.order.state == BatchState::UnderWay && !work::stands_still(&state, &batch) {
        response.headers_mut().insert("refresh", HeaderValue::from_static("3"));
    }
    Ok(response)
}

async fn batch_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    batch: &Batch,
    (did, wrong): (Option<Did>, Option<&Refusal>),
) -> Result<String, Problem> {
    let counts = state.registry.count_batches(&[batch.id]).await?;
    let counts: Vec<(PlateState, i64)> = counts.into_iter().map(|(_, one, count)| (one, count)).collect();
    let lists = Lists::read(state).await?;
    let crews = state.registry.list_crews().await?;
    let stock = state.registry.list_stock(None).await?;
    let here: Vec<_> = stock.into_iter().filter(|line| line.batch == batch.id).collect();
    let view = BatchView {
        names: lists.names(),
        batch,
        counts: &counts,
        files: press::file_count(batch),
        crews: &crews,
        stock: &here,
        progress: work::progress(state, batch.id),
        most_drawn: [Drawing::Svg, Drawing::Zpl(PrintHead::Dpi600)].map(Drawing::most),
        did,
        key: IdempotencyKey::fresh,
        wrong,
    };
    Ok(views::batch(&reader.page(state, caller.session.as_ref()), &view))
}

pub(super) async fn step(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "step", "ordinals", "crew", "reason"])?;
    caller.check_csrf(form.field("csrf"))?;
    let batch = work::named(&state, &id).await?;
    match carry_out(&state, &caller, &batch, &form).await {
        Ok((action, done)) => Ok(Redirect::to(&told(&batch, action, &done)).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = batch_page(&state, &reader, &caller, &batch, (None, Some(&problem.refusal))).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn carry_out(
    state: &AppState,
    caller: &Caller,
    batch: &Batch,
    form: &Form,
) -> Result<(PlateAction, ActionDone), Problem> {
    let action = form.needed("step")?.parse()?;
    let crew = match form.field("crew") {
        Some(crew) => Some(plate_moves::find_crew(state, crew).await?),
        None => None,
    };
    let order = ActionOrder {
        key: form.key()?,
        action,
        ordinals: form.field("ordinals").map(str::parse).transpose()?,
        crew,
        reason: form.field("reason").map(str::to_owned),
        actor: caller.actor(),
    };
    Ok((action, plate_moves::act(state, batch, order).await?))
}

fn told(batch: &Batch, action: PlateAction, done: &ActionDone) -> String {
    let left: i64 = done.moved.left.values().sum();
    let mut address =
        format!("/admin/plates/{}?did={action}&moved={}&left={left}", batch.id, done.moved.moved);
    if let Some(again) = &done.again {
        address.push_str(&format!("&again={again}"));
    }
    if let Some(successors) = &done.successors {
        address.push_str(&format!("&successors={}", successors.id));
    }
    address
}

/// The form of the page that asks for drawings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrawingQuery {
    #[serde(rename = "as")]
    form: DrawingForm,
    #[serde(default)]
    file: String,
    #[serde(default)]
    ordinals: String,
}

#[derive(Clone, Copy, Deserialize)]
enum DrawingForm {
    #[serde(rename = "svg")]
    Svg,
    #[serde(rename = "zpl-203")]
    Zpl203,
    #[serde(rename = "zpl-300")]
    Zpl300,
    #[serde(rename = "zpl-600")]
    Zpl600,
}

impl From<DrawingForm> for Drawing {
    fn from(form: DrawingForm) -> Self {
        match form {
            DrawingForm::Svg => Drawing::Svg,
            DrawingForm::Zpl203 => Drawing::Zpl(PrintHead::Dpi203),
            DrawingForm::Zpl300 => Drawing::Zpl(PrintHead::Dpi300),
            DrawingForm::Zpl600 => Drawing::Zpl(PrintHead::Dpi600),
        }
    }
}

pub(super) async fn drawings(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    Asked(query): Asked<DrawingQuery>,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    let named = [&query.file, &query.ordinals].map(|text| Some(text.trim()).filter(|text| !text.is_empty()));
    match plate_drawings::send(&state, &batch, query.form.into(), named.into()).await {
        Ok(response) => Ok(response),
        Err(problem) if problem.status.is_client_error() => {
            let html = batch_page(&state, &reader, &caller, &batch, (None, Some(&problem.refusal))).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

pub(super) async fn resume(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    let batch = work::named(&state, &id).await?;
    if batch.order.state == BatchState::UnderWay {
        work::go_on(&state, batch.id);
    }
    Ok(Redirect::to(&format!("/admin/plates/{}", batch.id)).into_response())
}

pub(super) async fn stop(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    let batch = work::named(&state, &id).await?;
    match work::stop(&state, batch.id).await {
        Ok(Some(batch)) => Ok(Redirect::to(&format!("/admin/plates/{}", batch.id)).into_response()),
        Ok(None) => Ok(Redirect::to("/admin/plates").into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = batch_page(&state, &reader, &caller, &batch, (None, Some(&problem.refusal))).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct PlateQuery {
    state: String,
    after: String,
}

pub(super) async fn plates(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    Asked(query): Asked<PlateQuery>,
) -> Result<Response, Problem> {
    let batch = work::named(&state, &id).await?;
    let one = match query.state.as_str() {
        "" => None,
        word => Some(word.parse::<PlateState>().map_err(Problem::bad_request)?),
    };
    let after = match query.after.as_str() {
        "" => 0,
        text => text.parse::<i64>().ok().filter(|after| *after >= 0).ok_or_else(|| {
            let refusal = Refusal::new("form.whole_number").at("after").with("field", "after");
            Problem::bad_request(refusal.with("read", super::forms::shortened(text)))
        })?,
    };
    let plates = match one {
        None => state.registry.list_batch_plates(batch.id, after, PLATES).await?,
        Some(one) => state.registry.list_batch_plates_in((batch.id, one), after, PLATES).await?,
    };
    let lists = Lists::read(&state).await?;
    let view = BatchPlatesView {
        names: lists.names(),
        batch: &batch,
        plates: &plates,
        state: one,
        next: plates.last().filter(|_| plates.len() as i64 == PLATES).map(|last| last.ordinal),
    };
    Ok(page(views::batch_plates(&reader.page(&state, caller.session.as_ref()), &view)))
}
