//! The change feed for programs that keep a copy: page by page, waiting for what comes, or as a stream of events.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::Asked;
use super::cover_query::limit;
use super::forms::shortened;
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::registry::RegistryError;

/// Longest that somebody may wait for a change.
const LONGEST_WAIT_S: u64 = 30;
/// How often it is looked whether something was committed while somebody waits.
const LOOK: Duration = Duration::from_millis(200);
/// A stream says something as often as that, so that nobody on the way takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A stream ends after so long, and whoever follows asks again from where they are: a token that was taken away is of
/// no use for longer than that.
const STREAM: Duration = Duration::from_secs(600);
const USUAL: i64 = 1000;
const MOST: i64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedQuery {
    since: Option<String>,
    limit: Option<String>,
    wait_s: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    since: Option<String>,
}

pub(super) async fn list_changes(
    State(state): State<AppState>,
    Asked(query): Asked<FeedQuery>,
) -> Result<Response, Problem> {
    let since = known_number(&state, query.since.as_deref()).await?;
    let most = limit(query.limit.as_deref(), USUAL, MOST).map_err(Problem::bad_request)?;
    let wait_s = whole("wait_s", query.wait_s.as_deref())?.unwrap_or(0);
    let wait = Duration::from_secs(u64::try_from(wait_s).unwrap_or(0).min(LONGEST_WAIT_S));
    wait_for(&state, since, wait).await?;
    let (said, _) = page(&state, since, most).await?;
    Ok(Json(said).into_response())
}

/// From where somebody follows. A number that is still to come is from a life that this registry does not remember, as
/// after an older copy was brought back: what it missed can only be read anew.
async fn known_number(state: &AppState, since: Option<&str>) -> Result<i64, Problem> {
    let since = whole("since", since)?.unwrap_or(0);
    if since > state.newest_change().await? {
        let newest = state.registry.last_change().await?;
        if since > newest {
            let refusal = Refusal::new("feed.ahead").at("since").with("since", since).with("newest", newest);
            return Err(Problem { status: StatusCode::GONE, refusal });
        }
    }
    Ok(since)
}

fn whole(field: &'static str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| {
        let refusal = Refusal::new("form.whole_number").at(field).with("field", field);
        Problem::bad_request(refusal.with("read", shortened(text)))
    })
}

/// Until there is a change after `since`, or so long; tells whether there is.
async fn wait_for(state: &AppState, since: i64, wait: Duration) -> Result<bool, RegistryError> {
    let until = tokio::time::Instant::now() + wait;
    loop {
        if state.newest_change().await? > since {
            return Ok(true);
        }
        if tokio::time::Instant::now() >= until {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The next changes, and the number of the last of them.
async fn page(state: &AppState, since: i64, most: i64) -> Result<(Value, i64), RegistryError> {
    let changes = state.registry.changes_since(since, most).await?;
    let last = changes.last().map_or(since, |change| change.sequence);
    let changes: Vec<Value> = changes
        .iter()
        .map(|change| {
            json!({"sequence": change.sequence, "at": shapes::time(change.at), "kind": change.kind, "id": change.id})
        })
        .collect();
    Ok((json!({"changes": changes, "last": last}), last))
}

/// Pages as server-sent events; the id of each is where to go on, which browsers send by themselves.
pub(super) async fn stream_changes(
    State(state): State<AppState>,
    headers: HeaderMap,
    Asked(query): Asked<StreamQuery>,
) -> Result<Response, Problem> {
    let resumed = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let since = known_number(&state, resumed.or(query.since.as_deref())).await?;
    let until = tokio::time::Instant::now() + STREAM;
    let events = futures_util::stream::unfold((state, since), move |(state, since)| async move {
        if tokio::time::Instant::now() >= until {
            return None;
        }
        let next = async {
            if !wait_for(&state, since, HEARTBEAT).await? {
                return Ok::<_, RegistryError>((Bytes::from_static(b":\n\n"), since));
            }
            let (said, last) = page(&state, since, USUAL).await?;
            Ok((Bytes::from(format!("id: {last}\nevent: changes\ndata: {said}\n\n")), last))
        };
        match next.await {
            Ok((bytes, last)) => Some((Ok::<_, std::io::Error>(bytes), (state, last))),
            // Whoever follows comes again with the last id.
            Err(error) => {
                tracing::warn!(%error, "a stream of changes ends");
                None
            }
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(events)).into_response())
}
