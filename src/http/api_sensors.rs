//! Sensors for programs: what they measured comes in here over HTTP, and devices are kept as on their pages.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Reader, Said, has_media_type, idempotency_key};
use super::auth::Caller;
use super::cover_query::limit;
use super::edit_fields::moment;
use super::forms::shortened;
use super::json::{known, time};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::Millis;
use crate::domain::sensor::{Quantity, SENSOR_BATCH, SensorMark, SensorState, check_serial};
use crate::domain::sensor_message::read_messages;
use crate::messages::Catalogue;
use crate::registry::{IntakeOutcome, MessageAnswer, NewSensors, SensorFilter, SensorLine, SensorOrder};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntakeQuery {
    mapping: Option<String>,
}

/// Takes in one message or a list of them; each is answered for itself.
pub(super) async fn take_readings(
    State(state): State<AppState>,
    reader: Reader,
    Asked(query): Asked<IntakeQuery>,
    request: Request,
) -> Result<Response, Problem> {
    if !has_media_type(request.headers(), "application/json") {
        let refusal = Refusal::new("http.media_type").with("fits", "application/json");
        return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
    }
    let rules = state.registry.sensor_rules();
    let mapping = match query.mapping.as_deref() {
        None => None,
        Some(name) => Some(rules.mappings.get(name).ok_or_else(|| {
            let fits: Vec<&str> = rules.mappings.keys().map(String::as_str).collect();
            let refusal = Refusal::new("sensor.mapping").at("mapping").with("read", shortened(name));
            Problem::bad_request(refusal.with("fits", fits.join(", ")))
        })?),
    };
    let bytes = Bytes::from_request(request, &state)
        .await
        .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "http.too_large"))?;
    let unreadable = || Problem::bad_request(Refusal::new("sensor.unreadable"));
    let read = read_messages(&bytes, rules, mapping, None).ok_or_else(unreadable)?;
    if read.len() > SENSOR_BATCH {
        let refusal = Refusal::new("sensor.too_many").with("count", read.len()).with("most", SENSOR_BATCH);
        return Err(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, refusal });
    }
    let mut answers = Vec::with_capacity(read.len());
    let (mut messages, mut places) = (Vec::with_capacity(read.len()), Vec::with_capacity(read.len()));
    for (at, one) in read.into_iter().enumerate() {
        match one {
            Ok(message) => {
                messages.push(message);
                places.push(at);
                answers.push(None);
            }
            Err(refusal) => answers.push(Some(MessageAnswer::refused(refusal))),
        }
    }
    for (at, answer) in places.into_iter().zip(state.registry.take_readings(messages).await?) {
        answers[at] = Some(answer);
    }
    let catalogue = reader.catalogue();
    let results: Vec<Value> = answers.iter().flatten().map(|answer| result(catalogue, answer)).collect();
    let count = |wanted| answers.iter().flatten().filter(|answer| answer.outcome == wanted).count();
    let sums = json!({
        "taken": count(IntakeOutcome::Taken),
        "known": count(IntakeOutcome::Known),
        "refused": count(IntakeOutcome::Refused),
        "results": results,
    });
    Ok(Json(sums).into_response())
}

fn result(catalogue: &Catalogue, answer: &MessageAnswer) -> Value {
    let problems: Vec<Value> = answer
        .problems
        .iter()
        .map(|refusal| {
            known([
                ("code", json!(refusal.code)),
                ("detail", json!(catalogue.refusal(refusal))),
                ("field", json!(refusal.field)),
            ])
        })
        .collect();
    let problems = if problems.is_empty() { Value::Null } else { json!(problems) };
    known([("outcome", json!(answer.outcome)), ("problems", problems)])
}

pub(super) async fn find(state: &AppState, serial: &str) -> Result<SensorLine, Problem> {
    let unknown = || {
        let refusal = Refusal::new("sensor.unknown").at("serial").with("read", shortened(serial));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    };
    let serial = check_serial(serial).map_err(|_| unknown())?;
    state.registry.find_sensor(serial).await?.ok_or_else(unknown)
}

fn shape(state: &AppState, line: &SensorLine) -> Value {
    let (sensor, memory) = (&line.record.sensor, &line.record.memory);
    let time_if = |at: Option<Millis>| at.map_or(Value::Null, time);
    let disarmed = sensor.disarmed.as_ref();
    let readings: Vec<Value> = memory
        .readings
        .iter()
        .map(|(quantity, last)| {
            json!({"quantity": quantity, "value": last.value, "measured_at": time(last.at)})
        })
        .collect();
    let alarms: Vec<Value> = memory
        .watches
        .iter()
        .map(|(name, watch)| json!({"alarm": name, "phase": watch.phase, "since": time(watch.since)}))
        .collect();
    known([
        ("serial", json!(sensor.serial)),
        ("model", json!(sensor.model)),
        ("state", json!(sensor.state)),
        ("cover", json!(line.code.as_ref().map(|(_, digits)| digits))),
        ("road", json!(line.road)),
        ("installed_at", time_if(sensor.installed_at)),
        (
            "disarmed",
            disarmed.map_or(Value::Null, |of| json!({"until": time(of.until), "reason": of.reason})),
        ),
        ("heard_at", time_if(line.record.heard_at)),
        ("marks", json!(state.registry.sensor_marks(&line.record))),
        ("readings", json!(readings)),
        ("alarms", json!(alarms)),
        ("created_at", time(sensor.created_at)),
    ])
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    mark: Option<String>,
    cover: Option<String>,
    text: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list_sensors(
    State(state): State<AppState>,
    Asked(query): Asked<ListQuery>,
) -> Result<Response, Problem> {
    let most = limit(query.limit.as_deref(), 100, 1000).map_err(Problem::bad_request)?;
    let read = || -> Result<SensorFilter, Refusal> {
        let serial =
            |text: &str, field| check_serial(text).map(str::to_owned).map_err(|wrong| wrong.at(field));
        let mark = query.mark.as_deref().map(str::parse::<SensorMark>).transpose()?;
        Ok(SensorFilter {
            state: query.state.as_deref().map(str::parse::<SensorState>).transpose()?,
            mark: mark.map(|mark| state.registry.marked(mark)),
            cover: None,
            prefix: query.text.as_deref().map(|text| serial(text, "text")).transpose()?,
            after: query.cursor.as_deref().map(|text| serial(text, "cursor")).transpose()?,
        })
    };
    let mut filter = read().map_err(Problem::bad_request)?;
    if let Some(code) = query.cover.as_deref() {
        let cover = state.registry.find_cover_by_code(code).await?;
        let unknown = || Refusal::new("cover.unknown").at("cover").with("read", shortened(code));
        filter.cover = Some(cover.ok_or_else(|| Problem::bad_request(unknown()))?.cover);
    }
    let lines = state.registry.list_sensors(&filter, most).await?;
    let shown: Vec<Value> = lines.iter().map(|line| shape(&state, line)).collect();
    let mut answer = json!({"sensors": shown});
    if let Some(last) = lines.last().filter(|_| lines.len() as i64 == most) {
        answer["next"] = json!(last.record.sensor.serial);
    }
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBody {
    serials: Vec<String>,
    #[serde(default)]
    model: String,
}

pub(super) async fn create_sensors(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<NewBody>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let new = NewSensors { key, serials: body.serials, model: body.model, actor: caller.actor() };
    let serials = state.registry.add_sensors(new).await?;
    let location = format!("/api/v1/sensors/{}", serials.first().map_or("", String::as_str));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(json!({"serials": serials})))
        .into_response())
}

pub(super) async fn find_sensor(
    State(state): State<AppState>,
    Named(serial): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(Json(shape(&state, &find(&state, &serial).await?)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoursQuery {
    quantity: String,
    since: Option<String>,
}

pub(super) async fn list_hours(
    State(state): State<AppState>,
    Named(serial): Named,
    Asked(query): Asked<HoursQuery>,
) -> Result<Response, Problem> {
    let sensor = find(&state, &serial).await?.record.sensor.id;
    let quantity: Quantity = query.quantity.parse().map_err(Problem::bad_request)?;
    let since = query.since.as_deref().map(|text| moment(text, "since")).transpose();
    let since = since.map_err(Problem::bad_request)?.unwrap_or(Millis(0));
    let hours = state.registry.list_sensor_hours(sensor, quantity, since).await?;
    let hours: Vec<Value> = hours
        .iter()
        .map(|hour| {
            json!({"hour": time(hour.hour), "readings": hour.count, "least": hour.least, "most": hour.most,
                "last": hour.last})
        })
        .collect();
    Ok(Json(json!({"quantity": quantity, "hours": hours})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveBody {
    #[serde(rename = "move")]
    made: String,
    cover: Option<String>,
    until: Option<String>,
    #[serde(default)]
    reason: String,
}

pub(super) async fn move_sensor(
    State(state): State<AppState>,
    caller: Caller,
    Named(serial): Named,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<MoveBody>,
) -> Result<Response, Problem> {
    let order = SensorOrder {
        key: idempotency_key(&headers)?,
        serial: find(&state, &serial).await?.record.sensor.serial,
        made: body.made.parse().map_err(|refusal: Refusal| refusal.at("move"))?,
        cover: body.cover,
        until: body.until.as_deref().map(|text| moment(text, "until")).transpose()?,
        reason: body.reason,
        actor: caller.actor(),
    };
    let line = state.registry.move_sensor(order).await?;
    Ok(Json(shape(&state, &line)).into_response())
}
