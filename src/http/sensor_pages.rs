//! 传感器: the list of devices, and the page of one.

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::api_sensors::find;
use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::forms::Form;
use super::problem::page_with_problem;
use super::rule_desk::local_moment;
use super::views::{self, SensorDraft, SensorListView, SensorView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::sensor::{SensorMark, SensorMove, SensorState, check_serial, possible_sensor_moves};
use crate::registry::{NewSensors, SensorFilter, SensorLine, SensorOrder};

/// Devices of one page.
const PAGE: i64 = 50;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ListQuery {
    state: String,
    mark: String,
    text: String,
    after: String,
}

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<ListQuery>,
) -> Result<Response, Problem> {
    let draft = SensorDraft::default();
    Ok(page(list_page(&state, &reader, &caller, (&query, &draft), None).await?))
}

async fn list_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    (query, draft): (&ListQuery, &SensorDraft),
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let given = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    let read = || -> Result<(Option<SensorState>, Option<SensorMark>, SensorFilter), Refusal> {
        let wanted = given(&query.state).map(|word| word.parse()).transpose()?;
        let mark: Option<SensorMark> = given(&query.mark).map(|word| word.parse()).transpose()?;
        let serial = |text: &str, field| {
            let text = given(text).map(|text| check_serial(&text).map(str::to_owned)).transpose();
            text.map_err(|wrong| wrong.at(field))
        };
        let filter = SensorFilter {
            state: wanted,
            mark: mark.map(|mark| state.registry.marked(mark)),
            cover: None,
            prefix: serial(&query.text, "text")?,
            after: serial(&query.after, "after")?,
        };
        Ok((wanted, mark, filter))
    };
    let (wanted, mark, filter) = read().map_err(Problem::bad_request)?;
    let lines = state.registry.list_sensors(&filter, PAGE).await?;
    let marked = lines.iter().map(|line| (line, state.registry.sensor_marks(&line.record))).collect();
    let next = lines.last().filter(|_| lines.len() as i64 == PAGE);
    let view = SensorListView {
        lines: marked,
        counts: &state.registry.count_sensors().await?,
        state: wanted,
        mark,
        text: query.text.trim(),
        next: next.map(|line| line.record.sensor.serial.as_str()),
        draft,
        wrong,
    };
    Ok(views::sensors(&reader.page(state, caller.session.as_ref()), &view))
}

/// Registers devices, a serial number a line.
pub(super) async fn add(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "serials", "model"])?;
    caller.check_csrf(form.field("csrf"))?;
    let said = |name| form.field(name).unwrap_or_default().to_owned();
    let draft = SensorDraft { serials: said("serials"), model: said("model") };
    let added = match form.key() {
        Ok(key) => {
            // Whatever stands between two columns of a list that is pasted in.
            let serials = draft.serials.split([' ', '\t', '\n', '\r', ',', ';', '，', '；', '、']);
            let serials = serials.filter(|text| !text.is_empty()).map(str::to_owned).collect();
            let new = NewSensors { key, serials, model: draft.model.clone(), actor: caller.actor() };
            state.registry.add_sensors(new).await.map_err(Problem::from)
        }
        Err(refusal) => Err(refusal.into()),
    };
    match added {
        Ok(_) => Ok(Redirect::to("/admin/sensors?state=stock").into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let typed = (&ListQuery::default(), &draft);
            let html = list_page(&state, &reader, &caller, typed, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(serial): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let line = find(&state, &serial).await?;
    Ok(page(file_page(&state, &reader, &caller, &line, None).await?))
}

async fn file_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    line: &SensorLine,
    wrong: Option<(&Refusal, &SensorOrder)>,
) -> Result<String, Problem> {
    let view = SensorView {
        line,
        marks: state.registry.sensor_marks(&line.record),
        rules: state.registry.sensor_rules(),
        cases: state.registry.list_sensor_cases(&line.record).await?,
        moves: possible_sensor_moves(&line.record.sensor, caller.user.role),
        wrong,
    };
    Ok(views::sensor(&reader.page(state, caller.session.as_ref()), &view))
}

/// Puts it under a cover, takes it away, scraps it, or lets it rest while people work there.
pub(super) async fn make_move(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(serial): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "move", "cover", "until", "reason"])?;
    caller.check_csrf(form.field("csrf"))?;
    let line = find(&state, &serial).await?;
    let mut order = SensorOrder {
        key: form.key()?,
        serial: line.record.sensor.serial.clone(),
        made: form.needed("move")?.parse::<SensorMove>().map_err(|refusal| refusal.at("move"))?,
        cover: form.field("cover").map(str::to_owned),
        until: None,
        reason: form.field("reason").unwrap_or_default().to_owned(),
        actor: caller.actor(),
    };
    let offset = state.config.utc_offset_minutes;
    let until = form.field("until").map(|text| local_moment(text, "until", offset)).transpose();
    let moved = match until {
        Ok(until) => {
            order.until = until;
            state.registry.move_sensor(order.clone()).await.map_err(Problem::from)
        }
        Err(refusal) => Err(refusal.into()),
    };
    match moved {
        Ok(line) => {
            let address = format!("/admin/sensors/{}", line.record.sensor.serial);
            Ok(Redirect::to(&address).into_response())
        }
        Err(problem) if problem.status.is_client_error() => {
            let wrong = Some((&problem.refusal, &order));
            let html = file_page(&state, &reader, &caller, &line, wrong).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}
