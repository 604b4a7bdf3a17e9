//! 传感器: the list of devices, and the page of one.

use std::collections::HashMap;

use askama::Template;

use super::words::{Choice, joined};
use super::{Page, write};
use crate::domain::Refusal;
use crate::domain::code::ComponentCode;
use crate::domain::ids::IdempotencyKey;
use crate::domain::sensor::{SensorMark, SensorMove, SensorRules, SensorState};
use crate::registry::{SensorCounts, SensorLine, SensorOrder};

/// Devices as they were typed in.
#[derive(Debug, Default)]
pub struct SensorDraft {
    pub serials: String,
    pub model: String,
}

/// What the list shows, with a form for more.
pub struct SensorListView<'a> {
    pub lines: Vec<(&'a SensorLine, Vec<SensorMark>)>,
    pub counts: &'a SensorCounts,
    pub state: Option<SensorState>,
    pub mark: Option<SensorMark>,
    pub text: &'a str,
    pub next: Option<&'a str>,
    /// Typed already.
    pub draft: &'a SensorDraft,
    pub wrong: Option<&'a Refusal>,
}

/// What the page of one shows.
pub struct SensorView<'a> {
    pub line: &'a SensorLine,
    pub marks: Vec<SensorMark>,
    pub rules: &'a SensorRules,
    /// Numbers of cases by the names of alarms.
    pub cases: HashMap<String, String>,
    /// What whoever looks at it may do with it.
    pub moves: Vec<SensorMove>,
    /// What was typed and refused.
    pub wrong: Option<(&'a Refusal, &'a SensorOrder)>,
}

#[derive(Template)]
#[template(path = "sensors.html")]
struct ListPage<'a> {
    page: Page<'a>,
    rows: Vec<Row>,
    states: Vec<Choice>,
    marks: Vec<Choice>,
    text: &'a str,
    next: Option<String>,
    draft: &'a SensorDraft,
    key: String,
    wrong: Option<String>,
}

struct Row {
    serial: String,
    model: String,
    state: String,
    marks: Vec<Mark>,
    is_hot: bool,
    place: Place,
    heard: Option<String>,
    readings: Vec<String>,
}

struct Mark {
    word: String,
    is_hot: bool,
}

/// Where it is.
struct Place {
    digits: Option<String>,
    code: String,
    road: String,
}

#[derive(Template)]
#[template(path = "sensor.html")]
struct SensorPage<'a> {
    page: Page<'a>,
    row: Row,
    installed: Option<String>,
    disarmed: Option<String>,
    readings: Vec<Reading>,
    alarms: Vec<Alarm>,
    forms: Vec<MoveForm>,
    cover: String,
    reason: String,
    wrong: Option<String>,
}

struct Reading {
    quantity: String,
    value: String,
    at: String,
}

/// An alarm of the city, and how it stands with this device.
struct Alarm {
    name: String,
    rule: String,
    phase: String,
    is_raised: bool,
    since: Option<String>,
    case: Option<String>,
}

struct MoveForm {
    made: SensorMove,
    word: String,
    hint: String,
    key: String,
    is_open: bool,
    wants_cover: bool,
    wants_until: bool,
}

fn fresh() -> String {
    IdempotencyKey::fresh().to_string()
}

fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    rounded.to_string()
}

fn row(page: &Page, line: &SensorLine, marks: &[SensorMark]) -> Row {
    let sensor = &line.record.sensor;
    let is_hot = |mark: &SensorMark| matches!(mark, SensorMark::Alarmed);
    let readings = line.record.memory.readings.iter().map(|(quantity, last)| {
        let values = [("quantity", page.word("quantity", quantity)), ("value", number(last.value))];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        page.catalogue.fill("sensors.reading", &values)
    });
    Row {
        serial: sensor.serial.clone(),
        model: sensor.model.clone(),
        state: page.word("sensor_state", sensor.state),
        marks: marks
            .iter()
            .map(|mark| Mark { word: page.word("sensor_mark", mark), is_hot: is_hot(mark) })
            .collect(),
        is_hot: marks.iter().any(is_hot),
        place: Place {
            digits: line.code.as_ref().map(|(_, digits)| digits.clone()),
            code: line.code.as_ref().map_or(String::new(), |(scheme, digits)| {
                page.code(&ComponentCode { scheme: scheme.clone(), digits: digits.clone() })
            }),
            road: joined([line.road.as_deref()]),
        },
        heard: line.record.heard_at.map(|at| page.date_time(at)),
        readings: readings.collect(),
    }
}

fn query(state: Option<SensorState>, mark: Option<SensorMark>, text: &str) -> String {
    let state = state.map_or("", SensorState::as_str);
    let mark = mark.map_or("", SensorMark::as_str);
    format!("/admin/sensors?state={state}&mark={mark}&text={text}")
}

/// The list of devices.
pub fn sensors(page: &Page, view: &SensorListView) -> String {
    let count = |word: String, count: Option<&i64>| format!("{word} {}", count.copied().unwrap_or(0));
    let all = |chosen| Choice { value: String::new(), word: page.t("desk.any").to_owned(), chosen };
    let states = SensorState::ALL.iter().map(|state| Choice {
        value: state.to_string(),
        word: count(page.word("sensor_state", state), view.counts.states.get(state)),
        chosen: view.state == Some(*state),
    });
    let marks = SensorMark::ALL.iter().map(|mark| Choice {
        value: mark.to_string(),
        word: count(page.word("sensor_mark", mark), view.counts.marks.get(mark)),
        chosen: view.mark == Some(*mark),
    });
    write(&ListPage {
        page: *page,
        rows: view.lines.iter().map(|(line, marks)| row(page, line, marks)).collect(),
        states: std::iter::once(all(view.state.is_none())).chain(states).collect(),
        marks: std::iter::once(all(view.mark.is_none())).chain(marks).collect(),
        text: view.text,
        next: view.next.map(|after| format!("{}&after={after}", query(view.state, view.mark, view.text))),
        draft: view.draft,
        key: fresh(),
        wrong: view.wrong.map(|refusal| page.catalogue.refusal_in_words(refusal)),
    })
}

/// The page of one device.
pub fn sensor(page: &Page, view: &SensorView) -> String {
    let (sensor, memory) = (&view.line.record.sensor, &view.line.record.memory);
    let typed = view.wrong.map(|(_, order)| order);
    let disarmed = sensor.disarmed.as_ref().map(|disarmed| {
        let values = [("until", page.date_time(disarmed.until)), ("reason", disarmed.reason.clone())];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        page.catalogue.fill("sensors.disarmed", &values)
    });
    let readings = memory.readings.iter().map(|(quantity, last)| Reading {
        quantity: page.word("quantity", quantity),
        value: number(last.value),
        at: page.date_time(last.at),
    });
    let form = |made: &SensorMove| MoveForm {
        made: *made,
        word: page.word("sensor_move", made),
        hint: page.word("sensor_move_hint", made),
        key: fresh(),
        is_open: typed.is_some_and(|order| order.made == *made),
        wants_cover: *made == SensorMove::Install,
        wants_until: *made == SensorMove::Disarm,
    };
    write(&SensorPage {
        page: *page,
        row: row(page, view.line, &view.marks),
        installed: sensor.installed_at.map(|at| page.date_time(at)),
        disarmed,
        readings: readings.collect(),
        alarms: alarms(page, view),
        forms: view.moves.iter().map(form).collect(),
        cover: typed.and_then(|order| order.cover.clone()).unwrap_or_default(),
        reason: typed.map(|order| order.reason.clone()).unwrap_or_default(),
        wrong: view.wrong.map(|(refusal, _)| page.catalogue.refusal_in_words(refusal)),
    })
}

fn alarms(page: &Page, view: &SensorView) -> Vec<Alarm> {
    let memory = &view.line.record.memory;
    let measured = view.rules.alarms.iter().filter(|(_, rule)| memory.readings.contains_key(&rule.quantity));
    measured
        .map(|(name, rule)| {
            let watch = memory.watches.get(name);
            let key = match rule.when {
                crate::domain::sensor::Side::Above => "sensors.rule_above",
                crate::domain::sensor::Side::Below => "sensors.rule_below",
            };
            let values = [
                ("quantity", page.word("quantity", rule.quantity)),
                ("on", number(rule.on)),
                ("off", number(rule.off)),
                ("hold", rule.hold_s.to_string()),
            ];
            let values: Vec<(&str, &str)> =
                values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Alarm {
                name: match rule.hazard {
                    Some(hazard) => page.word("hazard", hazard),
                    None => page.t("sensors.care").to_owned(),
                },
                rule: page.catalogue.fill(key, &values),
                phase: page.word("phase", watch.map_or("quiet", |watch| watch.phase.as_str())),
                is_raised: watch.is_some_and(|watch| watch.is_raised()),
                since: watch.map(|watch| page.date_time(watch.since)),
                case: view.cases.get(name).cloned(),
            }
        })
        .collect()
}
