//! JSON shapes for crews: small, because a phone keeps a day's work of them.

use serde_json::{Map, Value, json};

use super::ask::Reader;
use super::{AppState, json as shapes};
use crate::domain::checklist::Checklist;
use crate::domain::plate::Plate;
use crate::messages::{Catalogue, Language};
use crate::registry::{CrewCover, CrewDone, CrewPlate, CrewQuestion, NOT_HERE, OpenTask, Street, Theirs};

/// Leaves out what is not known.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

pub(super) fn cover(state: &AppState, cover: &CrewCover) -> Value {
    let (file, survey) = (&cover.file, &cover.file.survey);
    without_nulls(json!({
        "cover": file.cover,
        "code": file.code.digits,
        "code_groups": state.registry.grouped_code(&file.code),
        "class": survey.class,
        "state": survey.state,
        "district": survey.district,
        "road": survey.road,
        "address": survey.address,
        "placement": survey.placement,
        "lon": survey.position.lon,
        "lat": survey.position.lat,
        "version": file.version,
        "plates": cover.plates.iter().map(worn).collect::<Vec<_>>(),
        "open_cases": cover.open_cases,
        "spot_check": cover.drawn.map(|draw| json!({"id": draw.check, "token": draw.token, "drawn_at": draw.drawn_at})),
        "tasks": Some(cover.tasks.iter().map(task).collect::<Vec<_>>()).filter(|tasks| !tasks.is_empty()),
        "retired": file.retired.as_ref().map(|_| true),
    }))
}

/// A task with all that is asked: a phone has nobody to ask.
fn task(task: &OpenTask) -> Value {
    let campaign = task.campaign.as_ref();
    let questions = campaign.and_then(|(_, list)| Checklist::read(list).ok()).map(|list| list.questions);
    without_nulls(json!({
        "id": task.id,
        "kind": task.kind,
        "from_at": task.from_at,
        "due_at": task.due_at,
        "name": campaign.map(|(name, _)| name),
        "questions": questions.filter(|questions| !questions.is_empty()),
        "case": task.case.as_ref().map(|(number, _)| number),
        "hazard": task.case.as_ref().map(|(_, hazard)| hazard),
    }))
}

fn worn(plate: &Plate) -> Value {
    json!({
        "token": plate.token,
        "state": plate.state,
        "spot": plate.spot,
        "printed_code": plate.printed_code.is_some(),
    })
}

pub(super) fn plate(state: &AppState, shown: &CrewPlate) -> Value {
    let plate = &shown.plate;
    let mut out = worn(plate);
    out["cover"] = shown.cover.as_ref().map_or(Value::Null, |of| cover(state, of));
    out["successor"] = json!(plate.successor);
    out["yours"] = json!(shown.yours);
    without_nulls(out)
}

pub(super) fn held(state: &AppState, plate: &Plate, file: Option<&crate::domain::cover::CoverFile>) -> Value {
    without_nulls(json!({
        "token": plate.token,
        "batch": plate.batch,
        "cover": plate.cover,
        "code": file.map(|file| &file.code.digits),
        "code_groups": file.map(|file| state.registry.grouped_code(&file.code)),
        "road": file.and_then(|file| file.survey.road.as_deref()),
        "spot": plate.spot,
        "state": plate.state,
    }))
}

pub(super) fn street(reader: &Reader, street: &Street) -> Value {
    let name = match reader.language {
        Language::Zh => &street.district_zh,
        Language::En => &street.district_en,
    };
    without_nulls(json!({
        "district": street.district,
        "district_name": name,
        "road": street.road,
        "covers": street.covers,
        "without_plate": street.without_plate,
        "center": [(street.west + street.east) / 2.0, (street.south + street.north) / 2.0],
        "bbox": [street.west, street.south, street.east, street.north],
    }))
}

/// A stored word with what people call it in both languages.
pub(super) fn word(list: &'static str, member: &'static str, stored: &str) -> Value {
    let said = |language| Catalogue::of(language).word(list, stored);
    let mut word = json!({"label_zh": said(Language::Zh), "label_en": said(Language::En)});
    word[member] = json!(stored);
    word
}

pub(super) fn done(state: &AppState, reader: &Reader, done: &CrewDone) -> Value {
    let catalogue = reader.catalogue();
    let notices: Vec<Value> = done
        .notices
        .iter()
        .map(|notice| {
            let text = catalogue.stored_refusal_in_words(&notice.code, &notice.params);
            json!({"code": notice.code, "text": text})
        })
        .collect();
    without_nulls(json!({
        "action": done.action,
        "kind": done.kind,
        "cover": done.cover.as_ref().map(|of| cover(state, of)),
        "case": done.case,
        "result": done.result,
        "distance_m": done.distance_m,
        "notices": notices,
    }))
}

/// What a question has beside its code and its sentence.
pub(super) fn question(state: &AppState, question: &CrewQuestion, yours: Value) -> Map<String, Value> {
    let mut more = Map::new();
    match &question.theirs {
        Theirs::Nothing => {}
        Theirs::Cover(of) => {
            more.insert("about".into(), json!("cover"));
            more.insert("theirs".into(), cover(state, of));
        }
        Theirs::Plate(of) => {
            more.insert("about".into(), json!("plate"));
            more.insert("theirs".into(), plate(state, of));
        }
    }
    if !question.nearby.is_empty() {
        let nearby: Vec<Value> = question.nearby.iter().map(|of| cover(state, of)).collect();
        more.insert("nearby".into(), json!(nearby));
    }
    if !question.changes.is_empty() {
        let changes: Vec<Value> = question
            .changes
            .iter()
            .map(|change| {
                json!({"field": change.field, "before": change.before, "after": change.after,
                    "at": shapes::time(change.at)})
            })
            .collect();
        more.insert("changes".into(), json!(changes));
    }
    if let Some(look) = &question.look {
        more.insert("look".into(), json!({"result": look.result, "at": look.at}));
    }
    if let Some(visit) = &question.visit {
        more.insert("visit".into(), json!({"found": visit.result, "at": visit.done_at}));
    }
    if question.refusal.code == NOT_HERE {
        let ids = question.refusal.params.iter().find(|(name, _)| *name == "ids");
        let ids: Vec<&str> = ids.map(|(_, ids)| ids.split(", ").collect()).unwrap_or_default();
        more.insert("photos".into(), json!(ids));
    }
    more.insert("choices".into(), json!(question.choices));
    more.insert("yours".into(), yours);
    more
}
