//! JSON shapes of `openapi.yaml`: what the domain calls things, spelled for programs. Absent means
//! unknown.

use serde_json::{Map, Value, json};

use crate::domain::case::{Case, Report};
use crate::domain::case_ask::CaseAsk;
use crate::domain::cover::{CoverFile, Party, Retired};
use crate::domain::edit::BulkRowState;
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::Millis;
use crate::domain::limits::LimitRow;
use crate::domain::plate::Plate;
use crate::domain::plate_batch::BatchState;
use crate::domain::routing::Routed;
use crate::domain::rule_set::RuleVersion;
use crate::domain::triage::TriageFactor;
use crate::messages::Catalogue;
use crate::registry::{
    Batch, BulkEdit, BulkLine, BulkRecord, BulkSet, CaseAdvice, CaseLine, ChainState, EarlierFile,
    PhotoRecord, RouteAdvice, RuleVerdict, ScannedPlate, SimilarCase, Tracked, WeatherMode,
};

/// An object of the pairs whose value is known.
pub(super) fn known(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(
        pairs
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

pub(super) fn time(at: Millis) -> Value {
    json!(at.to_rfc3339())
}

pub(super) fn time_if(at: Option<Millis>) -> Value {
    at.map_or(Value::Null, time)
}

pub(super) fn party(party: &Party) -> Value {
    known([("id", json!(party.id)), ("name", json!(party.name)), ("hotline", json!(party.hotline))])
}

/// The public face of a party: no id.
fn public_party(party: &Party) -> Value {
    known([("name", json!(party.name)), ("hotline", json!(party.hotline))])
}

/// A plate as anybody may see it: the publish list and nothing else.
pub(super) fn public_plate(scanned: &ScannedPlate, code_grouped: Option<String>) -> Value {
    let cover = scanned.cover.as_ref().map(|file| {
        known([
            ("code", json!(file.code.digits)),
            ("code_grouped", json!(code_grouped)),
            ("class", json!(file.survey.class)),
            ("district", json!(file.district.name_zh)),
            ("road", json!(file.survey.road)),
            ("owner", file.owner.as_ref().map_or(Value::Null, public_party)),
        ])
    });
    let open: Vec<Value> = scanned
        .open_cases
        .iter()
        .map(|case| json!({"hazard": case.hazard, "since": time(case.created_at), "state": case.state}))
        .collect();
    known([
        ("state", json!(scanned.plate.state)),
        ("cover", json!(cover)),
        ("open_hazards", json!(open)),
        ("successor", json!(scanned.plate.successor)),
    ])
}

/// What the citizen who reported may see.
pub(super) fn tracked(tracked: &Tracked, link: &str) -> Value {
    let timeline: Vec<Value> = tracked.timeline.iter().filter_map(public_entry).collect();
    let photos: Vec<String> = (0..tracked.photos.len()).map(|at| format!("/r/{link}/photos/{at}")).collect();
    known([
        ("tracking", json!(tracked.report.tracking)),
        ("state", json!(tracked.case.state)),
        ("hazard", json!(tracked.report.hazard)),
        ("reported_at", time(tracked.report.created_at)),
        ("updated_at", time(tracked.case.updated_at)),
        ("party", tracked.party.as_ref().map_or(Value::Null, public_party)),
        ("timeline", json!(timeline)),
        ("photos", json!(photos)),
    ])
}

/// A step without reasons, names or digests; `None` for what supervisors do about it.
fn public_entry(entry: &HistoryEntry) -> Option<Value> {
    let body: Value = serde_json::from_str(&entry.body).unwrap_or_default();
    let step = match entry.kind {
        HistoryKind::CaseMoved => body["move"].clone(),
        HistoryKind::Reported | HistoryKind::ReportJoined => json!("report"),
        _ => return None,
    };
    Some(known([("at", time(entry.at)), ("move", step), ("state", body["to"].clone())]))
}

pub(super) fn cover(file: &CoverFile) -> Value {
    let (survey, position) = (&file.survey, &file.survey.position);
    let whose = |party_of: &Option<Party>| party_of.as_ref().map_or(Value::Null, party);
    known([
        ("id", json!(file.cover)),
        ("manhole", json!(file.manhole)),
        ("code", json!(file.code.digits)),
        ("scheme", json!(file.code.scheme)),
        ("district", json!(file.district.code)),
        ("class", json!(survey.class)),
        ("state", json!(survey.state)),
        (
            "position",
            known([
                ("lon", json!(position.lon)),
                ("lat", json!(position.lat)),
                ("raw", json!(position.raw)),
                ("method", json!(position.method)),
                ("accuracy_m", json!(position.accuracy_m)),
                ("surveyed_at", time_if(position.surveyed_at)),
            ]),
        ),
        ("road", json!(survey.road)),
        ("address", json!(survey.address)),
        ("placement", json!(survey.placement)),
        ("material", json!(survey.material)),
        ("shape", json!(survey.shape)),
        ("load_class", json!(survey.load_class)),
        ("owner", whose(&file.owner)),
        ("maintainer", whose(&file.maintainer)),
        ("supervisor", whose(&file.supervisor)),
        ("extra", json!(survey.extra)),
        ("source", json!(file.source)),
        ("source_key", json!(file.source_key)),
        ("version", json!(file.version)),
        ("retired", file.retired.as_ref().map_or(Value::Null, retired)),
    ])
}

fn retired(retired: &Retired) -> Value {
    known([
        ("at", time(retired.at)),
        ("retire_reason", json!(retired.reason)),
        ("successor", json!(retired.successor.as_ref().map(|(_, code)| &code.digits))),
    ])
}

/// A file that goes on in another one's.
pub(super) fn earlier_file(file: &EarlierFile) -> Value {
    known([
        ("manhole", json!(file.manhole)),
        ("merge", json!(file.merge.as_ref().map(|merge| merge.id))),
        ("entries", file.entries.iter().map(entry).collect()),
        ("chain", chain(file.chain)),
    ])
}

pub(super) fn entry(entry: &HistoryEntry) -> Value {
    let body: Value = serde_json::from_str(&entry.body).unwrap_or_else(|_| json!({}));
    known([
        ("sequence", json!(entry.sequence)),
        ("at", time(entry.at)),
        ("actor", json!(entry.actor)),
        ("kind", json!(entry.kind)),
        ("case", json!(entry.case)),
        ("body", if body.is_object() { body } else { json!({}) }),
        ("hash", json!(hex(&entry.hash))),
    ])
}

pub(super) fn chain(state: ChainState) -> Value {
    match state {
        ChainState::Whole { length } => json!({"state": "whole", "length": length}),
        ChainState::Broken { sequence } => json!({"state": "broken", "sequence": sequence}),
    }
}

pub(super) fn case(case: &Case) -> Value {
    known([
        ("id", json!(case.id)),
        ("number", json!(case.number)),
        ("hazard", json!(case.hazard)),
        ("state", json!(case.state)),
        ("emergency", json!(case.emergency)),
        ("report_count", json!(case.report_count)),
        ("party", json!(case.party)),
        ("until", time_if(case.until)),
        ("source", json!(case.source)),
        ("triage", json!(case.triage)),
        ("offered_to", json!((!case.offered_to.is_empty()).then_some(&case.offered_to))),
        ("condition", json!(case.clock.condition)),
        ("due_at", time_if(case.due_at)),
        ("reminded_percent", json!((case.clock.reminded > 0).then_some(case.clock.reminded))),
        ("dispatches", json!(case.counts.dispatches)),
        ("refusals", json!(case.counts.refusals)),
        ("reworks", json!(case.counts.reworks)),
        ("reopenings", json!(case.counts.reopenings)),
        ("late_ms", json!(case.late_ms)),
        ("exempt", json!(case.exempt)),
        ("strike_number", json!(case.strike_number)),
        ("made_safe_at", time_if(case.clock.made_safe_at)),
        ("created_at", time(case.created_at)),
        ("updated_at", time(case.updated_at)),
        ("filed_at", time_if(case.filed_at)),
        ("dispatched_at", time_if(case.dispatched_at)),
        ("handled_at", time_if(case.handled_at)),
        ("closed_at", time_if(case.closed_at)),
        ("version", json!(case.version)),
    ])
}

fn limit_row(row: &LimitRow) -> Value {
    known([
        ("id", json!(row.id)),
        ("condition", json!(row.condition)),
        ("limit", json!(row.limit)),
        ("repair", json!(row.repair)),
        ("calendar", json!(row.calendar)),
        ("closing", json!(row.closing)),
        ("evidence", json!(row.evidence)),
    ])
}

fn route(route: &RouteAdvice) -> Value {
    let (to, pool) = match &route.to {
        Routed::Party(_) => ("party", None),
        Routed::Pool { parties, .. } => ("pool", Some(parties)),
        Routed::Desk => ("desk", None),
    };
    let passed = route.passed.iter();
    known([
        ("to", json!(to)),
        ("party", json!(route.party.as_ref().map(|party| party.id))),
        ("party_name", json!(route.party.as_ref().map(|party| &party.name))),
        ("pool", json!(pool)),
        ("rule", json!(route.rule.as_ref().map(|(id, _)| id))),
        ("words", json!(route.rule.as_ref().map(|(_, words)| words))),
        ("automatic", json!(route.automatic)),
        ("passed", passed.map(|(id, _, misfit)| json!({"rule": id, "misfit": misfit.as_str()})).collect()),
        ("rules_version", json!(route.rules_version)),
    ])
}

fn triage(factors: &[(TriageFactor, i64)]) -> Value {
    factors.iter().map(|(factor, points)| json!({"factor": factor, "points": points})).collect()
}

pub(super) fn similar_case(similar: &SimilarCase) -> Value {
    let case = &similar.near.case;
    known([
        ("number", json!(case.number)),
        ("hazard", json!(case.hazard)),
        ("state", json!(case.state)),
        ("cover_code", json!(similar.near.code.as_ref().map(|code| &code.digits))),
        ("distance_m", json!((similar.distance_m * 10.0).round() / 10.0)),
        ("created_at", time(case.created_at)),
    ])
}

pub(super) fn case_ask(ask: &CaseAsk) -> Value {
    known([
        ("id", json!(ask.id)),
        ("kind", json!(ask.kind)),
        ("state", json!(ask.state)),
        ("party", json!(ask.party)),
        ("reason", json!(ask.reason)),
        ("until", time_if(ask.until)),
        ("asked_at", time(ask.asked_at)),
        ("decided_at", time_if(ask.decided_at)),
        ("answer", json!(ask.answer)),
    ])
}

pub(super) fn verdict(verdict: &RuleVerdict) -> Value {
    known([
        ("emergency", json!(verdict.emergency)),
        ("out_of_hours", json!(verdict.out_of_hours)),
        ("row", limit_row(&verdict.row)),
        ("due_at", time_if(verdict.due_at)),
        ("route", route(&verdict.route)),
        ("triage", triage(&verdict.triage)),
        ("limits_version", json!(verdict.limits_version)),
    ])
}

pub(super) fn rule_version(rules: &RuleVersion) -> Value {
    json!({
        "version": rules.version,
        "valid_from": time(rules.valid_from),
        "note": rules.note,
        "created_at": time(rules.created_at),
    })
}

/// `null` while it is off.
pub(super) fn weather(mode: Option<&WeatherMode>) -> Value {
    mode.map_or(
        Value::Null,
        |mode| json!({"words": mode.words, "since": time(mode.since), "until": time(mode.until)}),
    )
}

pub(super) fn advice(advice: &CaseAdvice) -> Value {
    known([
        ("row", limit_row(&advice.row)),
        ("conditions", advice.rows.iter().map(|row| row.id.as_str()).collect()),
        ("route", route(&advice.route)),
        ("triage", triage(&advice.triage)),
        ("similar", advice.similar.iter().map(similar_case).collect()),
        ("recurs", json!(advice.recurs)),
        (
            "decision",
            json!(advice.decision.as_ref().map(|(decision, lead)| {
                json!({"meeting": decision.meeting, "party": decision.lead, "party_name": lead,
                    "due_at": time(decision.due_at)})
            })),
        ),
    ])
}

pub(super) fn case_line(line: &CaseLine) -> Value {
    known([
        ("case", case(&line.case)),
        ("cover_code", json!(line.code.as_ref().map(|code| &code.digits))),
        ("road", json!(line.road)),
        ("district", json!(line.district_zh)),
        ("party_name", json!(line.party_name)),
    ])
}

pub(super) fn report(report: &Report) -> Value {
    known([
        ("tracking", json!(report.tracking)),
        ("hazard", json!(report.hazard)),
        ("description", json!(report.description)),
        ("source", json!(report.source)),
        ("external_number", json!(report.external_number)),
        ("contact", json!(report.contact)),
        ("at", time(report.created_at)),
        ("phone_position", json!(report.phone_position)),
    ])
}

pub(super) fn photo(photo: &PhotoRecord) -> Value {
    let digest = hex(&photo.digest);
    json!({"role": photo.role, "at": time(photo.created_at), "url": format!("/photos/{digest}"), "digest": digest})
}

pub(super) fn batch(batch: &Batch) -> Value {
    known([
        ("id", json!(batch.id)),
        ("state", json!(batch.order.state)),
        ("face", json!(batch.face)),
        ("sheet", json!(batch.sheet)),
        ("host", json!(batch.host)),
        ("note", json!(batch.note)),
        ("plate_count", json!(batch.plate_count)),
        ("lines_done", json!((batch.order.state == BatchState::UnderWay).then_some(batch.order.lines_done))),
        ("ordered", json!(batch.order.ordered)),
        ("level", json!(batch.order.level)),
        ("finish", json!(batch.order.labels.finish)),
        ("printer", json!(batch.order.printer.as_ref().map(|printer| &printer.name))),
        ("split", json!(batch.order.split)),
        ("file_count", json!(crate::press::file_count(batch))),
        ("created_at", json!(time(batch.created_at))),
    ])
}

/// A plate as the ledger knows it, with who has it.
pub(super) fn ledger_plate(plate: &Plate, holder: Option<String>) -> Value {
    known([
        ("token", json!(plate.token)),
        ("ordinal", json!(plate.ordinal)),
        ("state", json!(plate.state)),
        ("code", json!(plate.printed_code)),
        ("page", json!(plate.page)),
        ("position", json!(plate.place_on_page)),
        ("crew", json!(holder)),
        ("successor", json!(plate.successor)),
        ("state_at", json!(time(plate.state_at))),
    ])
}

pub(super) fn bulk_edit(edit: &BulkEdit) -> Value {
    let counts: Map<String, Value> =
        BulkRowState::ALL.iter().map(|state| (state.to_string(), json!(edit.count(*state)))).collect();
    let mut shown = bulk_record(&edit.record, &edit.set);
    shown["counts"] = Value::Object(counts);
    shown
}

pub(super) fn bulk_record(record: &BulkRecord, set: &BulkSet) -> Value {
    known([
        ("id", json!(record.id)),
        ("state", json!(record.state)),
        ("filter", json!(record.filter)),
        ("set", json!(set.set)),
        ("code", json!(set.code)),
        ("reason", json!(record.reason)),
        ("actor", json!(record.actor)),
        ("matched", json!(record.matched)),
        ("unchanged", json!(record.unchanged)),
        ("created_at", time(record.created_at)),
        ("applied_at", time_if(record.applied_at)),
        ("undone_at", time_if(record.undone_at)),
        ("undone_by", json!(record.undone_by)),
        ("version", json!(record.version)),
    ])
}

pub(super) fn bulk_line(line: &BulkLine, catalogue: &Catalogue) -> Value {
    let refusal = line.refusal.as_ref().map(|refusal| {
        json!({"code": refusal.code, "detail": catalogue.stored_refusal(&refusal.code, &refusal.params)})
    });
    known([
        ("code", json!(line.cover.code.digits)),
        ("state", json!(line.state)),
        ("fields", json!(line.fields)),
        ("refusal", json!(refusal)),
    ])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
