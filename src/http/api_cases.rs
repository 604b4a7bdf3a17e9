//! Cases for programs: the same verbs and the same table of moves as the desk.

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Said, has_media_type, idempotency_key};
use super::auth::Caller;
use super::case_moves::{MOVE_BYTES, MOVE_FIELDS, MoveCall, SaidMove, send_move};
use super::cover_query::limit;
use super::desk::unknown_case;
use super::edit_fields::moment;
use super::forms::{Form, shortened};
use super::sparse::{CASE_FILE, CASE_LINE, Picked};
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::case::possible_moves;
use crate::domain::ids::PartyId;
use crate::registry::{CaseFile, CaseFilter, DueFilter, PhotoRecord};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseQuery {
    state: Option<String>,
    hazard: Option<String>,
    district: Option<String>,
    party: Option<String>,
    emergency: Option<String>,
    held: Option<String>,
    source: Option<String>,
    due_before: Option<String>,
    external_number: Option<String>,
    text: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

fn yes_or_no(field: &'static str, text: Option<&str>) -> Result<Option<bool>, Refusal> {
    let unreadable = |text: &str| Refusal::new("form.true_or_false").at(field).with("read", shortened(text));
    text.map(|text| text.parse().map_err(|_| unreadable(text))).transpose()
}

fn case_filter(query: CaseQuery) -> Result<CaseFilter, Refusal> {
    Ok(CaseFilter {
        states: query.state.as_deref().map(str::parse).transpose()?.into_iter().collect(),
        hazard: query.hazard.as_deref().map(str::parse).transpose()?,
        district: query.district,
        party: query
            .party
            .as_deref()
            .map(str::parse::<PartyId>)
            .transpose()
            .map_err(|refusal| refusal.at("party"))?,
        emergency: yes_or_no("emergency", query.emergency.as_deref())?,
        held: yes_or_no("held", query.held.as_deref())?,
        source: query.source.as_deref().map(str::parse).transpose()?,
        due: query
            .due_before
            .as_deref()
            .map(|text| moment(text, "due_before").map(DueFilter::Before))
            .transpose()?,
        external_number: query.external_number,
        text: query.text,
        before: query.cursor,
        limit: limit(query.limit.as_deref(), 50, 200)?,
        ..CaseFilter::default()
    })
}

pub(super) async fn list_cases(
    State(state): State<AppState>,
    caller: Caller,
    Picked(query, fields): Picked<CaseQuery>,
) -> Result<Response, Problem> {
    let sparse = fields.of(&CASE_LINE)?;
    let filter = case_filter(query).map_err(Problem::bad_request)?;
    let page_size = filter.limit;
    let lines = state.registry.list_cases(filter, &caller.actor()).await?;
    let mut answer = json!({"cases": lines.iter().map(|line| sparse.pick(shapes::case_line(line))).collect::<Vec<Value>>()});
    if let Some(last) = lines.last().filter(|_| lines.len() as i64 == page_size) {
        answer["next"] = json!(last.case.number);
    }
    Ok(Json(answer).into_response())
}

pub(super) async fn find_case(
    State(state): State<AppState>,
    caller: Caller,
    Picked(Nothing {}, fields): Picked<Nothing>,
    Named(number): Named,
) -> Result<Response, Problem> {
    let sparse = fields.of(&CASE_FILE)?;
    let actor = caller.actor();
    let file = state.registry.find_case(&number, &actor).await?.ok_or_else(|| unknown_case(&number))?;
    let moves: Vec<&str> = possible_moves(&file.case, &actor).iter().map(|rule| rule.made.as_str()).collect();
    let mut answer = json!({
        "case": shapes::case(&file.case),
        "reports": file.reports.iter().map(shapes::report).collect::<Vec<_>>(),
        "photos": file.photos.iter().map(|photo| case_photo(&file, photo)).collect::<Vec<_>>(),
        "timeline": file.timeline.iter().map(shapes::entry).collect::<Vec<_>>(),
        "moves": moves,
        "asks": file.asks.iter().map(shapes::case_ask).collect::<Vec<_>>(),
        "advice": shapes::advice(&state.registry.advise_case(&file).await?),
    });
    if let Some(hold) = &file.hold {
        answer["hold"] = json!({"doubts": hold.doubts, "since": hold.held_at.to_rfc3339()});
    }
    if let Some(cover) = &file.cover {
        answer["cover_code"] = json!(cover.code.digits);
    }
    if let Some(party) = &file.party {
        answer["party"] = shapes::party(party);
    }
    Ok(([(header::ETAG, etag(file.case.version))], Json(sparse.pick(answer))).into_response())
}

/// A photo with its id, by which it is released, and whether it was.
fn case_photo(file: &CaseFile, photo: &PhotoRecord) -> Value {
    let mut shape = shapes::photo(photo);
    shape["id"] = json!(photo.id);
    shape["released"] = json!(file.voices.released.contains(&photo.id));
    shape
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

pub(super) async fn move_case(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(number): Named,
    mut request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let expected_version = if_match(request.headers())?;
    let mut call = MoveCall { key, number, expected_version, photos: Vec::new(), before_photos: Vec::new() };
    let said = if has_media_type(request.headers(), "multipart/form-data") {
        DefaultBodyLimit::max(MOVE_BYTES).apply(&mut request);
        let mut form = Form::from_request(request, &state).await?;
        form.only(MOVE_FIELDS)?;
        call.photos = std::mem::take(&mut form.photos);
        call.before_photos = std::mem::take(&mut form.before_photos);
        SaidMove::of_form(&form)?
    } else {
        Said::<SaidMove>::from_request(request, &state).await?.0
    };
    let order = said.order(&state, &caller, call, |text| moment(text, "until")).await?;
    let case = send_move(&state, order).await.map_err(|problem| match problem.refusal.code {
        "case.moved_meanwhile" if expected_version.is_some() => {
            Problem { status: StatusCode::PRECONDITION_FAILED, ..problem }
        }
        _ => problem,
    })?;
    Ok(([(header::ETAG, etag(case.version))], Json(shapes::case(&case))).into_response())
}

/// The version in `If-Match`; absent or `*` means any.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_matches('"').parse().map(Some).map_err(|_| {
        Problem::bad_request(
            Refusal::new("form.whole_number")
                .at("If-Match")
                .with("field", "If-Match")
                .with("read", shortened(text)),
        )
    })
}
