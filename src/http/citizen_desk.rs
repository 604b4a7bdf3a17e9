//! 群众沟通: what the desk writes to citizens, what waits for it, and the look at a photo before the public sees it.

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::{Caller, percent_encode};
use super::desk::{page, refused_case_page, unknown_case};
use super::forms::{Form, shortened};
use super::problem::page_with_problem;
use super::views::{self, ReleaseView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::citizen::{BOX_LIMIT, BlurBox};
use crate::domain::ids::{CallBackId, PhotoId};
use crate::registry::{CallBackDone, CityWord, ReleaseOrder};

/// What waits for an answer or a call.
pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(page(waiting(&state, &reader, &caller, None).await?))
}

async fn waiting(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let actor = caller.actor();
    let words = state.registry.list_open_words(&actor).await?;
    let calls = state.registry.list_call_backs(&actor).await?;
    Ok(views::citizens(&reader.page(state, caller.session.as_ref()), &words, &calls, wrong))
}

/// A question to whoever reported, an answer, or that theirs needs none.
pub(super) async fn send_word(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "tracking", "text", "done"])?;
    caller.check_csrf(form.field("csrf"))?;
    let text = form.field("text").unwrap_or_default().to_owned();
    let sent = match form.key() {
        Ok(key) => {
            let word = CityWord {
                key,
                number: number.clone(),
                tracking: form.field("tracking").map(str::to_owned),
                text: if form.field("done").is_some() { String::new() } else { text.clone() },
                actor: caller.actor(),
            };
            state.registry.write_to_citizen(word).await.map_err(Problem::from)
        }
        Err(refusal) => Err(refusal.into()),
    };
    match sent {
        Ok(_) => Ok(Redirect::to(&format!("/desk/cases/{}#words", percent_encode(&number))).into_response()),
        Err(problem) if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND => {
            refused_case_page(&state, &reader, &caller, &number, &problem, &text).await
        }
        Err(problem) => Err(problem),
    }
}

/// Somebody called.
pub(super) async fn finish_call(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "outcome"])?;
    caller.check_csrf(form.field("csrf"))?;
    let done = async {
        let done = CallBackDone {
            key: form.key()?,
            id: id.parse::<CallBackId>()?,
            outcome: form.field("outcome").unwrap_or_default().to_owned(),
            actor: caller.actor(),
        };
        Ok(state.registry.finish_call_back(done).await?)
    };
    match done.await {
        Ok(()) => Ok(Redirect::to("/desk/citizens").into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = waiting(&state, &reader, &caller, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err::<(), Problem>(problem) => Err(problem),
    }
}

/// The photo with boxes to be drawn over faces and number plates.
pub(super) async fn show_release(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Path((number, id)): Path<(String, String)>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(page(release_page(&state, &reader, &caller, (&number, &id), None).await?))
}

fn photo_id(id: &str) -> Result<PhotoId, Problem> {
    id.parse().map_err(|_| Problem::not_found("photo.unknown"))
}

async fn release_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    (number, id): (&str, &str),
    wrong: Option<(&Refusal, &[BlurBox])>,
) -> Result<String, Problem> {
    let found = state.registry.find_releasable(number, photo_id(id)?, &caller.actor()).await?;
    let (photo, boxes) = found.ok_or_else(|| Problem::not_found("photo.unknown"))?;
    let view = ReleaseView {
        number,
        photo: &photo,
        is_released: boxes.is_some(),
        boxes: wrong.map_or(boxes.unwrap_or_default(), |(_, boxes)| boxes.to_vec()),
        wrong: wrong.map(|(refusal, _)| refusal),
    };
    Ok(views::release(&reader.page(state, caller.session.as_ref()), &view))
}

pub(super) async fn send_release(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Path((number, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only_or_beginning(&["csrf", "key", "step"], "box")?;
    caller.check_csrf(form.field("csrf"))?;
    let photo = photo_id(&id)?;
    let read = boxes_of(&form);
    let released = async {
        let boxes = match form.needed("step")? {
            "release" => Some(read.clone()?),
            "withdraw" => None,
            other => {
                return Err(Refusal::new("release.step").at("step").with("read", shortened(other)).into());
            }
        };
        let order =
            ReleaseOrder { key: form.key()?, number: number.clone(), photo, boxes, actor: caller.actor() };
        Ok(state.registry.release_photo(order).await?)
    };
    match released.await {
        Ok(cover) => {
            state.covers_changed(cover.as_slice());
            Ok(Redirect::to(&format!("/desk/cases/{}#photos", percent_encode(&number))).into_response())
        }
        Err::<_, Problem>(problem)
            if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND =>
        {
            let typed = read.unwrap_or_default();
            let wrong = Some((&problem.refusal, typed.as_slice()));
            let html = release_page(&state, &reader, &caller, (&number, &id), wrong).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

/// Boxes of a form: four numbers each, in percent; a row without any is none.
fn boxes_of(form: &Form) -> Result<Vec<BlurBox>, Refusal> {
    let mut boxes = Vec::new();
    for row in 1..=BOX_LIMIT {
        let typed = |side: &str| {
            let name = format!("{row}_{side}");
            let value = form.beginning("box").find(|(known, _)| *known == name).map(|(_, value)| value);
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let sides = [typed("left"), typed("top"), typed("width"), typed("height")];
        if sides.iter().all(Option::is_none) {
            continue;
        }
        let mut numbers = [0.0; 4];
        for (number, text) in numbers.iter_mut().zip(&sides) {
            let read = text.as_deref().and_then(|text| text.parse::<f64>().ok());
            *number = read
                .filter(|number| number.is_finite())
                .ok_or_else(|| Refusal::new("release.box").at("boxes"))?;
        }
        let [left, top, width, height] = numbers;
        boxes.push(BlurBox { left, top, width, height });
    }
    Ok(boxes)
}

/// A case that this person may see.
pub(super) async fn known_case(
    state: &AppState,
    caller: &Caller,
    number: &str,
) -> Result<crate::registry::CaseFile, Problem> {
    let found = state.registry.find_case(number, &caller.actor()).await?;
    found.ok_or_else(|| unknown_case(number))
}
