//! What a case becomes by itself: opened, weighed, sent to whom the rules say, its clock wound.

use serde_json::{Value, json};

use super::RegistryError;
use super::files::NewEntry;
use super::rule_book::{ActiveRules, RuleBook, to_columns};
use crate::domain::case::{Case, CaseMove, CaseSource, CaseState};
use crate::domain::case_clock::NextStep;
use crate::domain::cover::{CoverClass, CoverFile, Placement};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, CoverId, ManholeId, Millis, PartyId};
use crate::domain::meeting::{Decision, DecisionQuery};
use crate::domain::role::Actor;
use crate::domain::routing::{Routed, RoutingFacts};
use crate::domain::triage::TriageFacts;
use crate::store::Tx;
use crate::store::meetings;

/// What rules ask of the cover, or of the place where there is none.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub class: Option<CoverClass>,
    pub district: String,
    pub road: Option<String>,
    pub placement: Option<Placement>,
    pub owner: Option<PartyId>,
    pub maintainer: Option<PartyId>,
    pub supervisor: Option<PartyId>,
}

impl Ground {
    /// A place at which no cover is known.
    pub(super) fn unknown(district: String) -> Self {
        Self {
            class: None,
            district,
            road: None,
            placement: None,
            owner: None,
            maintainer: None,
            supervisor: None,
        }
    }

    pub(super) fn of(file: &CoverFile) -> Self {
        let id = |party: &Option<crate::domain::cover::Party>| party.as_ref().map(|party| party.id);
        Self {
            class: Some(file.survey.class),
            district: file.district.code.clone(),
            road: file.survey.road.clone(),
            placement: file.survey.placement,
            owner: id(&file.owner),
            maintainer: id(&file.maintainer),
            supervisor: id(&file.supervisor),
        }
    }
}

/// A case that is to be opened.
pub(super) struct NewCase {
    pub number: String,
    pub manhole: ManholeId,
    pub cover: Option<CoverId>,
    pub hazard: Hazard,
    pub source: CaseSource,
    /// The closed case whose hazard this is again.
    pub recurs: Option<CaseId>,
    /// 即查即改: it is mended already, so nobody is sent.
    pub mended: bool,
}

pub(super) fn routing_facts(case: &Case, ground: &Ground, rules: &ActiveRules) -> RoutingFacts {
    RoutingFacts {
        hazard: case.hazard,
        class: ground.class,
        district: ground.district.clone(),
        source: case.source,
        placement: ground.placement,
        owner: rules.known(ground.owner),
        maintainer: rules.known(ground.maintainer),
        supervisor: rules.known(ground.supervisor),
        emergency: case.emergency,
        out_of_hours: rules.out_of_hours(),
        weather: rules.weather.is_some(),
    }
}

/// What triage knows of a case: the hour at which it came, the weather of now.
pub(super) fn triage_facts(case: &Case, placement: Option<Placement>, rules: &ActiveRules) -> TriageFacts {
    TriageFacts {
        hazard: case.hazard,
        placement,
        out_of_hours: rules.out_of_hours_at(case.created_at),
        weather: rules.weather.is_some(),
        reports: case.report_count,
        recurs: case.recurs.is_some(),
    }
}

/// A case with what happened to it already, in order.
pub(super) struct Opened {
    pub case: Case,
    pub entries: Vec<NewEntry>,
    pub events: Vec<(String, String)>,
}

/// Opens a case: filed at once when it is an emergency, and sent on where the rules say that nobody needs to look.
pub(super) async fn open(
    tx: &mut Tx,
    book: &RuleBook,
    rules: &ActiveRules,
    ground: &Ground,
    new: NewCase,
) -> Result<Opened, RegistryError> {
    let now = rules.now();
    let mut case = Case::open(new.number, (new.manhole, new.cover), new.hazard, new.source, now);
    case.recurs = new.recurs;
    case.triage = rules.routing.triage.score(&triage_facts(&case, ground.placement, rules));
    case.reckon(&rules.limits);
    let (mut entries, mut events) = (Vec::new(), Vec::new());
    if case.state == CaseState::Filed {
        entries.push(moved(&case, CaseMove::File, CaseState::Reported, json!({"why": "emergency"})));
    }
    if case.state == CaseState::Filed && !new.mended {
        events.push(alert(&case));
        let sent = send_on(tx, book, rules, ground, &mut case).await?;
        entries.extend(sent.into_iter().map(|(entry, event)| {
            events.push(event);
            entry
        }));
    }
    Ok(Opened { case, entries, events })
}

/// Sends a filed case where the rules say, if they say that nobody needs to look.
pub(super) async fn send_on(
    tx: &mut Tx,
    book: &RuleBook,
    rules: &ActiveRules,
    ground: &Ground,
    case: &mut Case,
) -> Result<Option<(NewEntry, (String, String))>, RegistryError> {
    if case.state != CaseState::Filed {
        return Ok(None);
    }
    let now = rules.now();
    if let Some(decision) = decision_on(tx, case, ground, now).await? {
        case.party = Some(decision.lead);
        case.clock.fixed_due = Some(decision.due_at);
        let why = json!({"meeting": decision.meeting, "party": decision.lead});
        return Ok(Some(sent(case, CaseMove::Dispatch, ground, rules, why)));
    }
    let route = book.route(tx, rules, &routing_facts(case, ground, rules)).await?;
    let Some(rule) = route.rule.filter(|_| route.automatic).and_then(|at| rules.routing.rules.get(at)) else {
        return Ok(None);
    };
    let (made, pool) = match &route.to {
        Routed::Pool { name, .. } => (CaseMove::Offer, Some(name.clone())),
        _ => (CaseMove::Dispatch, None),
    };
    (case.party, case.offered_to) = to_columns(&route.to);
    let why =
        json!({"rule": rule.id, "rules_version": rules.routing_version, "party": case.party, "pool": pool});
    Ok(Some(sent(case, made, ground, rules, why)))
}

/// A case whose party or pool is set leaves the desk.
fn sent(
    case: &mut Case,
    made: CaseMove,
    ground: &Ground,
    rules: &ActiveRules,
    why: Value,
) -> (NewEntry, (String, String)) {
    let now = rules.now();
    case.state = CaseState::Dispatched;
    case.counts.dispatches += i64::from(case.party.is_some());
    case.dispatched_at = case.dispatched_at.or(Some(now));
    case.tick(NextStep::Desk, made, ground.class, &rules.limits, now);
    (moved(case, made, CaseState::Filed, why), state_event(case))
}

/// 会商: what a joint meeting decided about the case, its cover or its road; it goes before every rule.
pub(super) async fn decision_on(
    tx: &mut Tx,
    case: &Case,
    ground: &Ground,
    now: Millis,
) -> Result<Option<Decision>, RegistryError> {
    let asked = DecisionQuery {
        case: Some(case.id),
        cover: case.cover,
        district: &ground.district,
        road: ground.road.as_deref(),
    };
    Ok(meetings::find_decision(tx, &asked, now).await?)
}

/// An entry of a move that Lidmark made itself.
pub(super) fn moved(case: &Case, made: CaseMove, from: CaseState, also: Value) -> NewEntry {
    // Filing an emergency is told before it is sent on.
    let to = if made == CaseMove::File { CaseState::Filed } else { case.state };
    let mut body = json!({"case": case.number, "move": made, "from": from, "to": to});
    if let (Some(body), Value::Object(also)) = (body.as_object_mut(), also) {
        body.extend(also.into_iter().filter(|(_, value)| !value.is_null()));
    }
    NewEntry { actor: Actor::System.word(), kind: HistoryKind::CaseMoved, case: Some(case.id), body }
}

/// What the outbox hears of the state at which a case stands now.
pub(super) fn state_event(case: &Case) -> (String, String) {
    (format!("case.{}", case.state), event_body(case).to_string())
}

/// What the outbox hears of a case that is new, before whatever happened to it at once.
pub(super) fn opened_event(case: &Case) -> (String, String) {
    let state = if case.emergency { CaseState::Filed } else { CaseState::Reported };
    let mut body = event_body(case);
    body["state"] = json!(state);
    (format!("case.{state}"), body.to_string())
}

/// 紧急告警: goes out at once, whoever is at the desk.
fn alert(case: &Case) -> (String, String) {
    ("case.alert".to_owned(), event_body(case).to_string())
}

pub(super) fn event_body(case: &Case) -> Value {
    json!({
        "case": case.number,
        "hazard": case.hazard,
        "emergency": case.emergency,
        "state": case.state,
        "party": case.party,
        "due_at": case.due_at.map(|at| at.to_rfc3339()),
    })
}
