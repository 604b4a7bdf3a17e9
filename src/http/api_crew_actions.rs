//! What crews did, one call an action.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ask::{Asked, Nothing, Object, Reader, Said, idempotency_key};
use super::auth::Caller;
use super::conflict::problem_with;
use super::{AppState, Problem, json_crew as shapes};
use crate::domain::Refusal;
use crate::domain::crew::{CrewAction, CrewKind, Deed, FieldPhotoRef};
use crate::domain::ids::IdempotencyKey;
use crate::registry::CrewOutcome;

pub(super) async fn create_action(
    State(state): State<AppState>,
    caller: Caller,
    reader: Reader,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<Map<String, Value>>,
) -> Result<Response, Problem> {
    let action = understood(idempotency_key(&headers)?, body)?;
    let yours = serde_json::to_value(&action).unwrap_or_default();
    match state.registry.carry_out(action, &caller.actor()).await? {
        CrewOutcome::Done(done) => {
            if let Some(cover) = &done.cover {
                state.covers_changed(&[cover.file.cover]);
            }
            Ok((StatusCode::CREATED, Json(shapes::done(&state, &reader, &done))).into_response())
        }
        CrewOutcome::Question(question) => {
            let more = shapes::question(&state, &question, yours);
            Ok(problem_with(&reader, StatusCode::CONFLICT, &question.refusal, more))
        }
    }
}

/// What every action says of itself comes off first; the rest belongs to its kind, to the last field.
fn understood(key: IdempotencyKey, mut body: Map<String, Value>) -> Result<CrewAction, Refusal> {
    body.retain(|_, value| !value.is_null());
    let kind = body.remove("kind").unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default().parse::<CrewKind>()?;
    let photos: Vec<Object<FieldPhotoRef>> = take(&mut body, "photos")?.unwrap_or_default();
    Ok(CrewAction {
        key,
        answers: take(&mut body, "answers")?,
        done_at: needed(&mut body, "done_at")?,
        position: take(&mut body, "position")?.map(|Object(position)| position),
        photos: photos.into_iter().map(|Object(photo)| photo).collect(),
        note: take(&mut body, "note")?,
        deed: deed(kind, body)?,
    })
}

fn deed(kind: CrewKind, body: Map<String, Value>) -> Result<Deed, Refusal> {
    Ok(match kind {
        CrewKind::Fit => Deed::Fit(its(body)?),
        CrewKind::Survey => Deed::Survey(its(body)?),
        CrewKind::Plate => Deed::Plate(its(body)?),
        CrewKind::Fix => Deed::Fix(its(body)?),
        CrewKind::Report => Deed::Report(its(body)?),
        CrewKind::Check => Deed::Check(its(body)?),
        CrewKind::Task => Deed::Task(its(body)?),
    })
}

fn take<T: DeserializeOwned>(
    body: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<T>, Refusal> {
    body.remove(name).map(|value| read(value, name)).transpose()
}

fn needed<T: DeserializeOwned>(body: &mut Map<String, Value>, name: &'static str) -> Result<T, Refusal> {
    take(body, name)?.ok_or_else(|| Refusal::new("form.missing").at(name).with("field", name))
}

fn its<T: DeserializeOwned>(body: Map<String, Value>) -> Result<T, Refusal> {
    read(body.into(), "kind").map(|Object(deed)| deed)
}

fn read<T: DeserializeOwned>(value: Value, name: &'static str) -> Result<T, Refusal> {
    serde_json::from_value(value)
        .map_err(|error| Refusal::new("http.json_data").at(name).with("reason", error))
}
