//! What a program hears when the thing it wants to change is no longer what it saw: who changed which
//! field since, beside what the program wanted.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::ask::Reader;
use super::forms::shortened;
use super::problem::Written;
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::registry::{Amended, Meanwhile};

/// The version in `If-Match`, which every change of a cover must carry.
pub(super) fn if_match(headers: &HeaderMap) -> Result<i64, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        let refusal = Refusal::new("precondition.missing").at("If-Match");
        return Err(Problem { status: StatusCode::PRECONDITION_REQUIRED, refusal });
    };
    let text = value.to_str().unwrap_or_default().trim();
    text.trim_matches('"').parse().map_err(|_| {
        let refusal = Refusal::new("form.whole_number").at("If-Match").with("field", "If-Match");
        Problem::bad_request(refusal.with("read", shortened(text)))
    })
}

pub(super) fn etag(version: i64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

/// The answer to a change of a cover: the cover as it is now, or what happened meanwhile. `wanted` are
/// the fields that the program wanted to set.
pub(super) fn answer(
    state: &AppState,
    reader: &Reader,
    amended: Amended,
    status: StatusCode,
    wanted: &Map<String, Value>,
) -> Response {
    match amended {
        Amended::Done(file) => {
            state.covers_changed(&[file.cover]);
            (status, etag(file.version), axum::Json(shapes::cover(&file))).into_response()
        }
        Amended::Meanwhile(meanwhile) => changed_meanwhile(reader, &meanwhile, wanted),
    }
}

fn changed_meanwhile(reader: &Reader, meanwhile: &Meanwhile, wanted: &Map<String, Value>) -> Response {
    let status = StatusCode::PRECONDITION_FAILED;
    let refusal = Refusal::new("cover.changed_meanwhile");
    let changes: Vec<Value> = meanwhile
        .changes
        .iter()
        .map(|change| {
            let mut shown = json!({
                "field": change.field,
                "before": change.before,
                "after": change.after,
                "actor": change.actor,
                "at": shapes::time(change.at),
            });
            if let Some(yours) = wanted.get(&change.field) {
                shown["yours"] = yours.clone();
            }
            shown
        })
        .collect();
    let more = Map::from_iter([
        ("version".to_owned(), json!(meanwhile.now.version)),
        ("changes".to_owned(), json!(changes)),
    ]);
    let mut response = problem_with(reader, status, &refusal, more);
    response.headers_mut().extend(
        etag(meanwhile.now.version).map(|(name, tag)| {
            (name, HeaderValue::try_from(tag).expect("a number in quotes is visible ASCII"))
        }),
    );
    response
}

/// A problem with members of its own beside the usual ones.
pub(super) fn problem_with(
    reader: &Reader,
    status: StatusCode,
    refusal: &Refusal,
    more: Map<String, Value>,
) -> Response {
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": refusal.code,
        "detail": reader.catalogue().refusal(refusal),
    });
    if let Some(body) = body.as_object_mut() {
        body.extend(refusal.field.as_ref().map(|field| ("field".to_owned(), json!(field))));
        body.extend(more);
    }
    let content = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = (status, content, body.to_string()).into_response();
    response.extensions_mut().insert(Written);
    response
}
