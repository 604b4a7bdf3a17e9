//! What lies on the map beside the covers, as GeoJSON a page at a time: open cases, tasks, sensors. Outlines of areas come
//! from `/api/v1/areas`.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::Asked;
use super::auth::Caller;
use super::json::known;
use super::{AppState, Problem};
use crate::domain::case::CaseState;
use crate::domain::ids::TaskId;
use crate::domain::sensor::SensorMark;
use crate::domain::task::TaskState;
use crate::registry::{CaseFilter, SensorFilter, TaskFilter};

/// Features of one page.
const PAGE: i64 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    cursor: Option<String>,
}

fn feature(id: &str, (lon, lat): (f64, f64), properties: Value) -> Value {
    json!({"type": "Feature", "id": id, "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": properties})
}

/// A page of features; `last` is where the next one goes on, where the page is full.
fn page(features: Vec<Value>, rows: usize, last: Option<String>) -> Response {
    let mut answer = json!({"type": "FeatureCollection", "features": features});
    if let Some(last) = last.filter(|_| rows as i64 == PAGE) {
        answer["next"] = json!(last);
    }
    let headers =
        [(header::CONTENT_TYPE, "application/geo+json"), (header::CACHE_CONTROL, "private, no-store")];
    (headers, answer.to_string()).into_response()
}

/// Cases that are not closed, as far as they are the caller's business.
pub(super) async fn list_cases(
    State(state): State<AppState>,
    caller: Caller,
    Asked(query): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let states = CaseState::ALL.iter().copied().filter(|state| state.is_open()).collect();
    let filter = CaseFilter { states, before: query.cursor, limit: PAGE, ..CaseFilter::default() };
    let lines = state.registry.list_cases(filter, &caller.actor()).await?;
    let features = lines.iter().map(|line| {
        let case = &line.case;
        let properties = known([
            ("number", json!(case.number)),
            ("hazard", json!(case.hazard)),
            ("state", json!(case.state)),
            ("emergency", json!(case.emergency)),
            ("code", json!(line.code.as_ref().map(|code| &code.digits))),
            ("road", json!(line.road)),
        ]);
        feature(&case.number, (line.lon, line.lat), properties)
    });
    Ok(page(features.collect(), lines.len(), lines.last().map(|line| line.case.number.clone())))
}

/// Tasks that are not done.
pub(super) async fn list_tasks(
    State(state): State<AppState>,
    Asked(query): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let after = query.cursor.as_deref().map(str::parse::<TaskId>).transpose();
    let after = after.map_err(|refusal| Problem::bad_request(refusal.at("cursor")))?;
    let filter = TaskFilter { state: Some(TaskState::Open), after, limit: PAGE, ..TaskFilter::default() };
    let lines = state.registry.list_tasks(filter).await?;
    let features = lines.iter().map(|line| {
        let task = &line.task;
        let properties = known([
            ("kind", json!(task.kind)),
            ("campaign", json!(line.campaign_name)),
            ("code", json!(line.code)),
        ]);
        feature(&task.id.to_string(), (line.lon, line.lat), properties)
    });
    Ok(page(features.collect(), lines.len(), lines.last().map(|line| line.task.id.to_string())))
}

/// Sensors that lie under covers in use.
pub(super) async fn list_sensors(
    State(state): State<AppState>,
    Asked(query): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let after = query.cursor.filter(|cursor| !cursor.contains('\0'));
    let lines = state.registry.list_sensors(&SensorFilter { after, ..SensorFilter::default() }, PAGE).await?;
    let snapshot = state.snapshot.load();
    let features = lines.iter().filter_map(|line| {
        let sensor = &line.record.sensor;
        let row = snapshot.find(sensor.cover?)?;
        let properties = known([
            ("serial", json!(sensor.serial)),
            ("state", json!(sensor.state)),
            ("alarmed", json!(state.registry.sensor_marks(&line.record).contains(&SensorMark::Alarmed))),
            ("code", json!(line.code.as_ref().map(|(_, digits)| digits))),
        ]);
        Some(feature(&sensor.serial, (row.lon, row.lat), properties))
    });
    Ok(page(features.collect(), lines.len(), lines.last().map(|line| line.record.sensor.serial.clone())))
}
