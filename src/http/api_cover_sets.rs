//! Many covers in one call: read together, as of one moment, and changed together, each on the version that was seen.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api_edit::EditBody;
use super::ask::{Asked, Nothing, Object, Reader, Said, idempotency_key};
use super::auth::Caller;
use super::conflict::problem_with;
use super::edit_fields::{SetBody, code_choice, crs_book};
use super::forms::shortened;
use super::sparse::{COVER, Sparse};
use super::{AppState, Problem, json as shapes};
use crate::crs::CrsBook;
use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::messages::Catalogue;
use crate::registry::{
    CoverName, CoverWrite, CoverWrites, CoversWritten, FieldEdit, MOST_READ, MOST_WRITTEN, WriteMode,
    WriteOutcome, WriteState,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadBody {
    codes: Option<Vec<String>>,
    ids: Option<Vec<String>>,
    fields: Option<String>,
}

pub(super) async fn read_covers(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Said(body): Said<ReadBody>,
) -> Result<Response, Problem> {
    let sparse = Sparse::read(body.fields.as_deref(), &COVER)?;
    let (asked, by_code) = match (body.codes, body.ids) {
        (Some(codes), None) => (codes, true),
        (None, Some(ids)) => (ids, false),
        _ => return Err(Refusal::new("covers.code_or_id").at("codes").into()),
    };
    check_count(asked.len(), MOST_READ, if by_code { "codes" } else { "ids" })?;
    let name = |text: &String| match by_code {
        true => Some(CoverName::Code(text.clone())),
        false => text.parse::<CoverId>().ok().map(CoverName::Id),
    };
    // What is no id names no cover.
    let names: Vec<Option<CoverName>> = asked.iter().map(name).collect();
    let known: Vec<CoverName> = names.iter().flatten().cloned().collect();
    let read = state.registry.read_covers(&known).await?;
    let (mut covers, mut missing, mut found) = (Vec::new(), Vec::new(), read.covers.into_iter());
    for (text, name) in asked.iter().zip(&names) {
        match name.as_ref().and_then(|_| found.next().flatten()) {
            Some(file) => covers.push(json!({"asked": text, "etag": format!("\"{}\"", file.version),
                "cover": sparse.pick(shapes::cover(&file))})),
            None => missing.push(shortened(text)),
        }
    }
    Ok(Json(json!({"covers": covers, "missing": missing, "last": read.last_change})).into_response())
}

fn check_count(count: usize, most: usize, field: &'static str) -> Result<(), Refusal> {
    if count <= most {
        return Ok(());
    }
    Err(Refusal::new("covers.too_many").at(field).with("most", most).with("count", count))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteBody {
    mode: String,
    changes: Vec<Object<ChangeBody>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChangeBody {
    code: Option<String>,
    id: Option<String>,
    if_version: Option<i64>,
    if_match: Option<String>,
    change: Option<Object<EditBody>>,
}

pub(super) async fn write_covers(
    State(state): State<AppState>,
    caller: Caller,
    reader: Reader,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<WriteBody>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let mode: WriteMode = body.mode.parse()?;
    check_count(body.changes.len(), MOST_WRITTEN, "changes")?;
    if body.changes.is_empty() {
        return Err(Refusal::new("edit.empty").at("changes").into());
    }
    let book = crs_book(&state).await?;
    let changes = body.changes.into_iter().enumerate();
    let writes =
        changes.map(|(at, Object(change))| change.write(&book).map_err(|refusal| numbered(refusal, at)));
    let writes = writes.collect::<Result<Vec<_>, _>>()?;
    let written =
        state.registry.write_covers(CoverWrites { key, mode, writes, actor: caller.actor() }).await?;
    state.covers_changed(&written.touched);
    Ok(answer(&reader, mode, &written))
}

/// Which of the changes is meant.
fn numbered(mut refusal: Refusal, at: usize) -> Refusal {
    let field = refusal.field.take().unwrap_or_default();
    let dot = if field.is_empty() { "" } else { "." };
    refusal.at(format!("changes[{at}]{dot}{field}"))
}

impl ChangeBody {
    /// Which cover is meant must be clear; what else does not fit is said of this change alone.
    fn write(self, book: &CrsBook) -> Result<CoverWrite, Refusal> {
        let cover = match (self.code, self.id) {
            (Some(code), None) => CoverName::Code(code),
            (None, Some(id)) => CoverName::Id(id.parse().map_err(|refusal: Refusal| refusal.at("id"))?),
            _ => return Err(Refusal::new("covers.code_or_id").at("code")),
        };
        let version = seen(self.if_version, self.if_match.as_deref());
        let missing = || Refusal::new("form.missing").at("change").with("field", "change");
        let change = version.and_then(|version| {
            let Object(EditBody { set: Object(set), code, reason }) = self.change.ok_or_else(missing)?;
            let set: SetBody = serde_json::from_value(set)
                .map_err(|error| Refusal::new("http.json_data").at("set").with("reason", error))?;
            let what = FieldEdit { edit: set.edit_in(book)?, code: code_choice(code.as_deref())? };
            Ok((version, what, reason.unwrap_or_default()))
        });
        Ok(CoverWrite { cover, change })
    }
}

/// The version that the program saw: a number, or the text of an ETag.
fn seen(if_version: Option<i64>, if_match: Option<&str>) -> Result<i64, Refusal> {
    match (if_version, if_match) {
        (Some(version), None) => Ok(version),
        (None, Some(tag)) => tag.trim().trim_matches('"').parse().map_err(|_| {
            Refusal::new("form.whole_number")
                .at("if_match")
                .with("field", "if_match")
                .with("read", shortened(tag))
        }),
        _ => Err(Refusal::new("precondition.version").at("if_version")),
    }
}

fn answer(reader: &Reader, mode: WriteMode, written: &CoversWritten) -> Response {
    let outcomes: Vec<Value> =
        written.outcomes.iter().map(|outcome| outcome_shape(outcome, reader.catalogue())).collect();
    let count = |state: WriteState| written.outcomes.iter().filter(|outcome| outcome.state == state).count();
    if written.committed {
        let counts: Map<String, Value> =
            WriteState::ALL.iter().map(|state| (state.to_string(), json!(count(*state)))).collect();
        return Json(json!({"mode": mode, "counts": counts, "outcomes": outcomes})).into_response();
    }
    let stopped =
        [WriteState::Conflict, WriteState::Refused, WriteState::Missing].map(count).iter().sum::<usize>();
    let refusal = Refusal::new("covers.not_all").with("count", stopped).with("all", outcomes.len());
    let more = Map::from_iter([("outcomes".to_owned(), Value::Array(outcomes))]);
    problem_with(reader, StatusCode::CONFLICT, &refusal, more)
}

fn outcome_shape(outcome: &WriteOutcome, catalogue: &Catalogue) -> Value {
    let problem = outcome.refusal.as_ref().map(|(refusal, field)| {
        let detail = catalogue.stored_refusal(&refusal.code, &refusal.params);
        shapes::known([("code", json!(refusal.code)), ("detail", json!(detail)), ("field", json!(field))])
    });
    shapes::known([
        ("outcome", json!(outcome.state)),
        ("id", json!(outcome.cover)),
        ("code", json!(outcome.code)),
        ("version", json!(outcome.version)),
        ("problem", json!(problem)),
    ])
}
