//! 督办单 for programs: the same verbs as on the pages.

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Said, has_media_type, idempotency_key};
use super::auth::Caller;
use super::cover_query::limit;
use super::forms::{Form, store_photos};
use super::notice_pages::{NoticeQuery, due_at, known};
use super::public::REPORT_BYTES;
use super::{AppState, Problem, json as shapes};
use crate::domain::ids::PartyId;
use crate::domain::notice::{NoticeMove, NoticeStanding, percent, rate_tenths};
use crate::registry::{
    Notice, NoticeAnswer, NoticeDraft, NoticeFile, NoticeItem, NoticeLine, NoticeOrder, NoticeText,
    NoticeYear,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    year: Option<String>,
    state: Option<String>,
    party: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list_notices(
    State(state): State<AppState>,
    caller: Caller,
    Asked(query): Asked<ListQuery>,
) -> Result<Response, Problem> {
    let size = limit(query.limit.as_deref(), 50, 200).map_err(Problem::bad_request)?;
    let asked = NoticeQuery {
        year: query.year.unwrap_or_default(),
        state: query.state.unwrap_or_default(),
        party: query.party.unwrap_or_default(),
        before: query.cursor.unwrap_or_default(),
    };
    let filter = asked.filter(&state, size).await?;
    let lines = state.registry.list_notices(filter, &caller.actor()).await?;
    let now = state.registry.now();
    let shown: Vec<Value> = lines
        .iter()
        .map(|line| {
            let standing = NoticeStanding::of(line.notice.state, line.notice.due_at, line.open, now);
            let mut shown = notice(&line.notice, standing);
            shown["counts"] = counts(line);
            shown
        })
        .collect();
    let mut answer = json!({"notices": shown});
    if let Some(last) = lines.last().filter(|_| lines.len() as i64 == size) {
        answer["next"] = json!(last.notice.reference());
    }
    Ok(Json(answer).into_response())
}

fn counts(line: &NoticeLine) -> Value {
    json!({
        "items": line.items,
        "struck_off": line.struck_off,
        "open": line.open,
        "answered": line.answered,
        "parties": line.parties,
        "confirmed": line.confirmed,
    })
}

fn notice(notice: &Notice, standing: NoticeStanding) -> Value {
    let time_if = |at| Option::map_or(at, Value::Null, shapes::time);
    shapes::known([
        ("id", json!(notice.id)),
        ("number", json!(notice.number.map(|number| number.to_string()))),
        ("title", json!(notice.title)),
        ("body", json!(notice.body)),
        ("state", json!(notice.state)),
        ("standing", json!(standing)),
        ("due_at", shapes::time(notice.due_at)),
        ("created_at", shapes::time(notice.created_at)),
        ("issued_at", time_if(notice.issued_at)),
        ("withdrawn_at", time_if(notice.withdrawn_at)),
        ("withdrawn_why", json!(notice.withdrawn_why.as_ref().filter(|why| !why.is_empty()))),
        ("reminded_percent", json!(notice.reminded)),
        ("version", json!(notice.version)),
    ])
}

fn item(item: &NoticeItem) -> Value {
    let feedback = item.feedback.as_ref().map(|said| json!({"text": said.text, "at": shapes::time(said.at)}));
    shapes::known([
        ("case", json!(item.number)),
        ("party", json!(item.party)),
        ("hazard", json!(item.hazard)),
        ("state", json!(item.state)),
        ("struck_off_at", item.closed_at.map_or(Value::Null, shapes::time)),
        ("cover_code", json!(item.code.as_ref().map(|code| &code.digits))),
        ("district", json!(item.district)),
        ("road", json!(item.road)),
        ("feedback", json!(feedback)),
    ])
}

fn file(file: &NoticeFile) -> Value {
    let parties: Vec<Value> = file
        .parties
        .iter()
        .map(|one| {
            shapes::known([
                ("id", json!(one.party)),
                ("name", json!(one.name)),
                ("confirmed_at", one.confirmed_at.map_or(Value::Null, shapes::time)),
            ])
        })
        .collect();
    json!({
        "notice": notice(&file.notice, file.standing),
        "parties": parties,
        "items": file.items.iter().map(item).collect::<Vec<_>>(),
        "photos": file.photos.iter().map(shapes::photo).collect::<Vec<_>>(),
        "moves": file.moves,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    title: String,
    body: String,
    due_at: String,
    cases: Vec<String>,
    to: Option<PartyId>,
}

pub(super) async fn create_notice(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let NewBody { title, body, due_at: due, cases, to } =
        Said::<NewBody>::from_request(request, &state).await?.0;
    let text = NoticeText { title, body, due_at: due_at(&due)?, cases, to };
    let drafted = state.registry.draft_notice(NoticeDraft { key, text, actor: caller.actor() }).await?;
    Ok((StatusCode::CREATED, Json(file(&drafted))).into_response())
}

pub(super) async fn find_notice(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(reference): Named,
) -> Result<Response, Problem> {
    Ok(Json(file(&known(&state, &caller, &reference).await?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveBody {
    #[serde(rename = "move")]
    made: String,
    #[serde(default)]
    reason: String,
    version: Option<i64>,
}

pub(super) async fn move_notice(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(reference): Named,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let body = Said::<MoveBody>::from_request(request, &state).await?.0;
    let order = NoticeOrder {
        key,
        notice: reference,
        expected_version: body.version,
        made: body.made.parse::<NoticeMove>()?,
        reason: body.reason,
        actor: caller.actor(),
    };
    Ok(Json(file(&state.registry.move_notice(order).await?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    case: String,
    text: String,
}

pub(super) async fn answer_notice(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(reference): Named,
    mut request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let (body, photos) = if has_media_type(request.headers(), "multipart/form-data") {
        DefaultBodyLimit::max(REPORT_BYTES).apply(&mut request);
        let mut form = Form::from_request(request, &state).await?;
        form.only(&["case", "text"])?;
        let photos = std::mem::take(&mut form.photos);
        let body =
            AnswerBody { case: form.needed("case")?.to_owned(), text: form.needed("text")?.to_owned() };
        (body, store_photos(&state, photos).await?)
    } else {
        (Said::<AnswerBody>::from_request(request, &state).await?.0, Vec::new())
    };
    let AnswerBody { case, text } = body;
    let answer = NoticeAnswer { key, notice: reference, case, text, photos, actor: caller.actor() };
    Ok(Json(file(&state.registry.answer_notice(answer).await?)).into_response())
}

fn year(one: &NoticeYear) -> Value {
    let rate = rate_tenths(one.struck_off, one.items).map(percent);
    json!({"notices": one.notices, "items": one.items, "struck_off": one.struck_off, "rate": rate})
}

/// What each year comes to and all of them together, and who is late.
pub(super) async fn count_notices(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let actor = caller.actor();
    let years = state.registry.count_notice_years(&actor).await?;
    let overdue = state.registry.list_overdue_parties(&actor).await?;
    let shown: Vec<Value> = years
        .iter()
        .map(|one| {
            let mut shown = year(one);
            shown["year"] = json!(one.year);
            shown
        })
        .collect();
    let overdue: Vec<Value> = overdue
        .iter()
        .map(|one| {
            json!({
                "party": one.party,
                "name": one.name,
                "notices": one.notices,
                "items": one.items,
                "oldest_due_at": shapes::time(one.oldest_due_at),
            })
        })
        .collect();
    let mut answer = json!({"years": shown, "overdue": overdue});
    if !years.is_empty() {
        answer["total"] = year(&NoticeYear::sum(&years));
    }
    Ok(Json(answer).into_response())
}
