//! Receivers of events for programs, and what upstream platforms say of cases.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Said, idempotency_key};
use super::auth::Caller;
use super::conflict::{etag, if_match};
use super::cover_query::limit;
use super::edit_fields::moment;
use super::forms::shortened;
use super::json::{known, time};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::{IdempotencyKey, ReceiverId};
use crate::domain::receiver::{LetterState, ReceiverKind};
use crate::registry::{
    Letter, LetterOrder, NewReceiver, ReceiverChange, ReceiverDraft, ReceiverFile, ReceiverMade,
    ReceiverStepOrder, RegistryError, UpstreamWord,
};

/// What somebody sets of a receiver.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiverBody {
    kind: Option<String>,
    name: String,
    url: String,
    events: Vec<String>,
    #[serde(default)]
    districts: Vec<String>,
    #[serde(default)]
    personal: bool,
    #[serde(default)]
    rules: String,
}

impl ReceiverBody {
    fn draft(&self) -> ReceiverDraft {
        ReceiverDraft {
            name: self.name.clone(),
            url: self.url.clone(),
            events: self.events.join(" "),
            districts: self.districts.join(" "),
            personal: self.personal,
            rules: self.rules.clone(),
        }
    }
}

pub(super) fn read_id(text: &str) -> Result<ReceiverId, Problem> {
    let unknown = |_| {
        let refusal = Refusal::new("receiver.unknown").with("read", shortened(text));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    };
    text.parse().map_err(unknown)
}

pub(super) async fn find(state: &AppState, text: &str) -> Result<ReceiverFile, Problem> {
    let id = read_id(text)?;
    let unknown = || RegistryError::NotFound(Refusal::new("receiver.unknown").with("read", id));
    Ok(state.registry.find_receiver(id).await?.ok_or_else(unknown)?)
}

/// A receiver without its secret.
fn shape(file: &ReceiverFile) -> Value {
    let receiver = &file.receiver;
    let trouble = receiver.trouble.as_ref();
    let is_away = receiver.absences > 0;
    known([
        ("id", json!(receiver.id)),
        ("name", json!(receiver.name)),
        ("kind", json!(receiver.kind)),
        ("url", json!(receiver.url)),
        ("events", json!(receiver.wishes.events)),
        ("districts", json!(receiver.wishes.districts)),
        ("personal", json!(receiver.wishes.personal)),
        ("rules", json!(Some(&receiver.rules).filter(|rules| !rules.is_empty()))),
        ("state", json!(receiver.state)),
        ("behind", json!(file.behind)),
        ("waiting", json!(file.waiting)),
        ("dead", json!(file.dead)),
        ("next_try_at", if is_away { time(receiver.next_at) } else { Value::Null }),
        ("trouble", trouble.map_or(Value::Null, |(text, at)| json!({"said": text, "at": time(*at)}))),
        ("created_at", time(receiver.created_at)),
        ("version", json!(receiver.version)),
    ])
}

fn made(made: &ReceiverMade) -> Value {
    known([("receiver", made.file.as_ref().map_or(Value::Null, shape)), ("secret", json!(made.secret))])
}

pub(super) async fn list_receivers(
    State(state): State<AppState>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let files = state.registry.list_receivers().await?;
    Ok(Json(json!({"receivers": files.iter().map(shape).collect::<Vec<_>>()})).into_response())
}

pub(super) async fn create_receiver(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<ReceiverBody>,
) -> Result<Response, Problem> {
    let kind = body.kind.as_deref().map(str::parse).transpose()?.unwrap_or(ReceiverKind::Webhook);
    let key = idempotency_key(&headers)?;
    let new = NewReceiver { key, kind, draft: body.draft(), actor: caller.actor() };
    let answer = state.registry.add_receiver(new).await?;
    let id = answer.file.as_ref().map(|file| file.receiver.id.to_string()).unwrap_or_default();
    let location = [(header::LOCATION, format!("/api/v1/receivers/{id}"))];
    let unkept = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, location, unkept, Json(made(&answer))).into_response())
}

pub(super) async fn find_receiver(
    State(state): State<AppState>,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let file = find(&state, &id).await?;
    Ok((etag(file.receiver.version), Json(shape(&file))).into_response())
}

pub(super) async fn put_receiver(
    State(state): State<AppState>,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<ReceiverBody>,
) -> Result<Response, Problem> {
    let seen = find(&state, &id).await?;
    if let Some(kind) = body.kind.as_deref().map(str::parse::<ReceiverKind>).transpose()?
        && kind != seen.receiver.kind
    {
        return Err(Refusal::new("receiver.kind_stays").at("kind").with("kind", seen.receiver.kind).into());
    }
    let change = ReceiverChange {
        key: idempotency_key(&headers)?,
        id: seen.receiver.id,
        version: if_match(&headers)?,
        draft: body.draft(),
        actor: caller.actor(),
    };
    let file = state.registry.change_receiver(change).await?;
    Ok((etag(file.receiver.version), Json(shape(&file))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepBody {
    step: String,
    since: Option<String>,
}

pub(super) async fn step_receiver(
    State(state): State<AppState>,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<StepBody>,
) -> Result<Response, Problem> {
    let order = ReceiverStepOrder {
        key: idempotency_key(&headers)?,
        id: read_id(&id)?,
        step: body.step.parse()?,
        since: body.since.as_deref().map(|text| moment(text, "since")).transpose()?,
        actor: caller.actor(),
    };
    let answer = state.registry.step_receiver(order).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(made(&answer))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LetterQuery {
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// The number behind which a page begins.
pub(super) fn read_sequence(text: &str, field: &'static str) -> Result<i64, Refusal> {
    text.parse().ok().filter(|sequence| *sequence >= 0).ok_or_else(|| {
        Refusal::new("form.whole_number").at(field).with("field", field).with("read", shortened(text))
    })
}

pub(super) async fn list_letters(
    State(state): State<AppState>,
    Named(id): Named,
    Asked(query): Asked<LetterQuery>,
) -> Result<Response, Problem> {
    let id = find(&state, &id).await?.receiver.id;
    let most = limit(query.limit.as_deref(), 100, 500).map_err(Problem::bad_request)?;
    let wanted = query.state.as_deref().map(str::parse).transpose().map_err(Problem::bad_request)?;
    let after = query.cursor.as_deref().map(|text| read_sequence(text, "cursor")).transpose();
    let after = after.map_err(Problem::bad_request)?.unwrap_or(0);
    let letters = state.registry.list_letters(id, wanted.unwrap_or(LetterState::Dead), (after, most)).await?;
    let mut answer = json!({"letters": letters.iter().map(letter).collect::<Vec<_>>()});
    if let Some(last) = letters.last().filter(|_| letters.len() as i64 == most) {
        answer["next"] = json!(last.sequence.to_string());
    }
    Ok(Json(answer).into_response())
}

fn letter(letter: &Letter) -> Value {
    let is_tried = letter.state == LetterState::Waiting && letter.tries > 0;
    known([
        ("sequence", json!(letter.sequence)),
        ("event", json!(letter.event)),
        ("key", json!(letter.key)),
        ("state", json!(letter.state)),
        ("tries", json!(letter.tries)),
        ("next_try_at", if is_tried { time(letter.next_at) } else { Value::Null }),
        ("last_status", json!(letter.last_status)),
        ("trouble", json!(letter.trouble)),
        ("at", time(letter.at)),
    ])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LetterStepBody {
    step: String,
}

pub(super) async fn step_letter(
    State(state): State<AppState>,
    caller: Caller,
    Path((id, sequence)): Path<(String, String)>,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<LetterStepBody>,
) -> Result<Response, Problem> {
    let receiver = find(&state, &id).await?.receiver.id;
    let unknown = |_| {
        let refusal = Refusal::new("receiver.letter_unknown").with("read", shortened(&sequence));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    };
    let order = LetterOrder {
        key: idempotency_key(&headers)?,
        receiver,
        sequence: read_sequence(&sequence, "sequence").map_err(unknown)?,
        step: body.step.parse()?,
        actor: caller.actor(),
    };
    state.registry.step_letter(order).await?;
    Ok(Json(shape(&find(&state, &id).await?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamBody {
    upstream_id: Option<String>,
    number: Option<String>,
    state: String,
    at: String,
    #[serde(default)]
    note: String,
    external_number: Option<String>,
}

impl UpstreamBody {
    /// Platforms that do not make a key of their own send the same word again: it is its own key.
    fn own_key(&self, receiver: &str) -> IdempotencyKey {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        let (id, number) = (self.upstream_id.as_deref(), self.number.as_deref());
        let external = self.external_number.as_deref();
        for text in
            [Some(receiver), id, number, Some(&self.state), Some(&self.at), Some(&self.note), external]
        {
            hasher.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
            hasher.update(text.unwrap_or_default());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        IdempotencyKey(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

pub(super) async fn hear_upstream(
    State(state): State<AppState>,
    caller: Caller,
    Named(receiver): Named,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<UpstreamBody>,
) -> Result<Response, Problem> {
    let key = match headers.contains_key("idempotency-key") {
        true => idempotency_key(&headers)?,
        false => body.own_key(&receiver),
    };
    let at = moment(&body.at, "at")?;
    let word = UpstreamWord {
        key,
        receiver: read_id(&receiver)?,
        upstream_id: body.upstream_id,
        number: body.number,
        state: body.state,
        at,
        note: body.note,
        external_number: body.external_number,
        actor: caller.actor(),
    };
    let heard = state.registry.hear_upstream(word).await?;
    Ok(Json(json!({"case": heard.number, "outcome": heard.outcome, "state": heard.state})).into_response())
}
