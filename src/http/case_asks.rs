//! 请示: forms and JSON for what parties ask and the desk answers.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Reader, Said, idempotency_key};
use super::auth::{Caller, percent_encode};
use super::desk::{end_of_day, page, refused_case_page};
use super::edit_fields::moment;
use super::forms::Form;
use super::problem::page_with_problem;
use super::{AppState, Problem, json as shapes, views};
use crate::domain::Refusal;
use crate::domain::case_ask::{AskKind, AskVerdict};
use crate::domain::ids::AskId;
use crate::registry::{AskAnswer, NewAsk};

/// A form with a party's wish, from the page of the case.
pub(super) async fn send_ask(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    request: Request,
) -> Result<Response, Problem> {
    use axum::extract::FromRequest;
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "kind", "reason", "until"])?;
    caller.check_csrf(form.field("csrf"))?;
    let sent = match wish(&state, &caller, &number, &form) {
        Ok(new) => state.registry.ask_about_case(new).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.into()),
    };
    match sent {
        Ok(_) => Ok(back_to(&number)),
        Err(problem) if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND => {
            let typed = form.field("reason").unwrap_or_default();
            refused_case_page(&state, &reader, &caller, &number, &problem, typed).await
        }
        Err(problem) => Err(problem),
    }
}

fn back_to(number: &str) -> Response {
    Redirect::to(&format!("/desk/cases/{}", percent_encode(number))).into_response()
}

fn wish(state: &AppState, caller: &Caller, number: &str, form: &Form) -> Result<NewAsk, Refusal> {
    let offset = state.config.utc_offset_minutes;
    Ok(NewAsk {
        key: form.key()?,
        number: number.to_owned(),
        kind: form.needed("kind")?.parse::<AskKind>()?,
        reason: form.field("reason").unwrap_or_default().to_owned(),
        until: form.field("until").map(|day| end_of_day("until", day, offset)).transpose()?,
        actor: caller.actor(),
    })
}

/// What waits for the desk.
pub(super) async fn show_asks(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(page(asks_page(&state, &reader, &caller, None).await?))
}

async fn asks_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let open = state.registry.list_open_asks(&caller.actor()).await?;
    Ok(views::asks(&reader.page(state, caller.session.as_ref()), &open, &caller.actor(), wrong))
}

pub(super) async fn send_answer(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    request: Request,
) -> Result<Response, Problem> {
    use axum::extract::FromRequest;
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "verdict", "text"])?;
    caller.check_csrf(form.field("csrf"))?;
    let given = match answer(&caller, &id, &form) {
        Ok(given) => state.registry.answer_ask(given).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.into()),
    };
    match given {
        Ok(()) => Ok(Redirect::to("/desk/asks").into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = asks_page(&state, &reader, &caller, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn answer(caller: &Caller, id: &str, form: &Form) -> Result<AskAnswer, Refusal> {
    Ok(AskAnswer {
        key: form.key()?,
        ask: id.parse::<AskId>()?,
        verdict: form.needed("verdict")?.parse::<AskVerdict>()?,
        text: form.field("text").unwrap_or_default().to_owned(),
        actor: caller.actor(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskBody {
    kind: String,
    reason: String,
    until: Option<String>,
}

pub(super) async fn create_ask(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(number): Named,
    headers: axum::http::HeaderMap,
    Said(body): Said<AskBody>,
) -> Result<Response, Problem> {
    let new = NewAsk {
        key: idempotency_key(&headers)?,
        number,
        kind: body.kind.parse()?,
        reason: body.reason,
        until: body.until.as_deref().map(|text| moment(text, "until")).transpose()?,
        actor: caller.actor(),
    };
    let id = state.registry.ask_about_case(new).await?;
    Ok((StatusCode::CREATED, Json(json!({"ask": id}))).into_response())
}

pub(super) async fn list_asks(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let open = state.registry.list_open_asks(&caller.actor()).await?;
    let line = |one: &crate::registry::OpenAsk| {
        let mut line = shapes::case_ask(&one.ask);
        line["case"] = json!(one.case_number);
        line["party_name"] = json!(one.party);
        line
    };
    Ok(Json(json!({"asks": open.iter().map(line).collect::<Vec<Value>>()})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerBody {
    verdict: String,
    #[serde(default)]
    text: String,
}

pub(super) async fn answer_ask(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    headers: axum::http::HeaderMap,
    Said(body): Said<AnswerBody>,
) -> Result<StatusCode, Problem> {
    let given = AskAnswer {
        key: idempotency_key(&headers)?,
        ask: id.parse()?,
        verdict: body.verdict.parse()?,
        text: body.text,
        actor: caller.actor(),
    };
    state.registry.answer_ask(given).await?;
    Ok(StatusCode::NO_CONTENT)
}
