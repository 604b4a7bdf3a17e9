//! What passes between the desk and citizens, for programs.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Said, idempotency_key};
use super::auth::Caller;
use super::citizen_desk::known_case;
use super::json::{known, time, time_if};
use super::{AppState, Problem};
use crate::domain::citizen::{BlurBox, CitizenWord};
use crate::registry::{CallBackDone, CallBackLine, CityWord, ReleaseOrder};

/// `case`: its number, where the list is not of one case.
fn word(word: &CitizenWord, tracking: &str, case: Option<&str>) -> Value {
    known([
        ("id", json!(word.id)),
        ("case", json!(case)),
        ("tracking", json!(tracking)),
        ("voice", json!(word.voice)),
        ("text", json!(word.text)),
        ("at", time(word.created_at)),
        ("answered_at", time_if(word.answered_at)),
    ])
}

fn call_back(line: &CallBackLine) -> Value {
    known([
        ("id", json!(line.call_back.id)),
        ("case", json!(line.case_number)),
        ("tracking", json!(line.tracking)),
        ("contact", json!(line.contact)),
        ("score", json!(line.score)),
        ("text", json!(line.text)),
        ("asked_at", time(line.call_back.asked_at)),
    ])
}

pub(super) async fn list_words(
    State(state): State<AppState>,
    caller: Caller,
    Named(number): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let voices = known_case(&state, &caller, &number).await?.voices;
    let words = voices.words.iter().map(|(one, tracking)| word(one, tracking, None));
    let ratings = voices.ratings.iter().map(|(rating, tracking)| {
        json!({"tracking": tracking, "score": rating.score, "text": rating.text, "at": time(rating.changed_at)})
    });
    let answer = json!({
        "words": words.collect::<Vec<Value>>(),
        "ratings": ratings.collect::<Vec<Value>>(),
        "same_here": voices.same_here,
    });
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WordBody {
    tracking: Option<String>,
    #[serde(default)]
    text: String,
}

pub(super) async fn create_word(
    State(state): State<AppState>,
    caller: Caller,
    Named(number): Named,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<WordBody>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let word = CityWord { key, number, tracking: body.tracking, text: body.text, actor: caller.actor() };
    Ok(match state.registry.write_to_citizen(word).await? {
        Some(id) => (StatusCode::CREATED, Json(json!({"word": id}))).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

pub(super) async fn list_open_words(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let open = state.registry.list_open_words(&caller.actor()).await?;
    let words = open.iter().map(|one| word(&one.word, &one.tracking, Some(&one.case_number)));
    Ok(Json(json!({"words": words.collect::<Vec<Value>>()})).into_response())
}

pub(super) async fn list_call_backs(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let open = state.registry.list_call_backs(&caller.actor()).await?;
    Ok(Json(json!({"call_backs": open.iter().map(call_back).collect::<Vec<Value>>()})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallBackBody {
    outcome: String,
}

pub(super) async fn finish_call_back(
    State(state): State<AppState>,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<CallBackBody>,
) -> Result<StatusCode, Problem> {
    let done = CallBackDone {
        key: idempotency_key(&headers)?,
        id: id.parse()?,
        outcome: body.outcome,
        actor: caller.actor(),
    };
    state.registry.finish_call_back(done).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseBody {
    /// Whether the public may see it from now on.
    released: bool,
    #[serde(default)]
    boxes: Vec<BlurBox>,
}

pub(super) async fn release_photo(
    State(state): State<AppState>,
    caller: Caller,
    Path((number, id)): Path<(String, String)>,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<ReleaseBody>,
) -> Result<StatusCode, Problem> {
    let order = ReleaseOrder {
        key: idempotency_key(&headers)?,
        number,
        photo: id.parse().map_err(|_| Problem::not_found("photo.unknown"))?,
        boxes: body.released.then_some(body.boxes),
        actor: caller.actor(),
    };
    let cover = state.registry.release_photo(order).await?;
    state.covers_changed(cover.as_slice());
    Ok(StatusCode::NO_CONTENT)
}
