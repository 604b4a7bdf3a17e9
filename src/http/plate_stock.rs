//! 铭牌领用: what each crew has, and plates handed out or taken back one by one.

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::api_batches::stock_order;
use super::ask::{Asked, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::edit_page::Lists;
use super::forms::Form;
use super::plate_moves;
use super::problem::page_with_problem;
use super::views::{self, StockView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::IdempotencyKey;
use crate::domain::role::Role;
use crate::domain::token::Token;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MovedQuery {
    moved: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<MovedQuery>,
) -> Result<Response, Problem> {
    Ok(page(stock_page(&state, &reader, &caller, (query.moved.parse().ok(), None)).await?))
}

async fn stock_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    (moved, wrong): (Option<i64>, Option<&Refusal>),
) -> Result<String, Problem> {
    let own = (caller.user.role == Role::Crew).then_some(caller.user.id);
    let lines = state.registry.list_stock(own).await?;
    let lists = Lists::read(state).await?;
    let crews = state.registry.list_crews().await?;
    let view = StockView {
        names: lists.names(),
        lines: &lines,
        crews: &crews,
        may_move: own.is_none(),
        moved,
        key: IdempotencyKey::fresh,
        wrong,
    };
    Ok(views::plate_stock(&reader.page(state, caller.session.as_ref()), &view))
}

pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "step", "tokens", "crew"])?;
    caller.check_csrf(form.field("csrf"))?;
    match carry_out(&state, &caller, &form).await {
        Ok(moved) => Ok(Redirect::to(&format!("/admin/plates/stock?moved={moved}")).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = stock_page(&state, &reader, &caller, (None, Some(&problem.refusal))).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn carry_out(state: &AppState, caller: &Caller, form: &Form) -> Result<i64, Problem> {
    let key = form.key()?;
    let crew = match form.field("crew") {
        Some(crew) => Some(plate_moves::find_crew(state, crew).await?),
        None => None,
    };
    let tokens = read_tokens(form.field("tokens").unwrap_or_default())?;
    let order = stock_order(key, form.needed("step")?.parse()?, tokens, crew, caller)?;
    Ok(state.registry.move_plates(order).await?.moved)
}

/// Tokens as they are typed or scanned, one a line or with commas between; of a scanned address its end.
fn read_tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let words = text.split(['\n', ',', '，', ';', '；']).map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| word.rsplit('/').next().unwrap_or(word).parse()).collect()
}
