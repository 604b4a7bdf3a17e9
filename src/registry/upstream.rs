//! 数字城管一体化平台: what a platform is told of a case, what it calls it, and what it says of it in return.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cases::{MoveOrder, make_move, take_case};
use super::files::{self, NewEntry};
use super::receivers::unknown;
use super::reports::clean_text;
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseMove, CaseState, MoveRequest, TEXT_LIMIT};
use crate::domain::case_ask::{AskKind, AskState, CaseAsk};
use crate::domain::code::ComponentCode;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{AskId, CaseId, IdempotencyKey, Millis, ReceiverId};
use crate::domain::receiver::{ReceiverKind, UpstreamRules};
use crate::domain::role::Actor;
use crate::store::cases as case_store;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::receivers::{self, UpstreamCase};
use crate::store::{StoreError, Tx, case_asks, covers};

/// What a platform learns of a case that is new to it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseForUpstream {
    pub case: Case,
    pub district: String,
    pub road: Option<String>,
    pub lon: f64,
    pub lat: f64,
    pub code: Option<ComponentCode>,
    /// What was first said of it.
    pub description: String,
}

/// What a platform says of a case.
#[derive(Debug, Clone)]
pub struct UpstreamWord {
    /// The same word again has the same key.
    pub key: IdempotencyKey,
    pub receiver: ReceiverId,
    /// What the platform calls the case; needed where our number is not there.
    pub upstream_id: Option<String>,
    pub number: Option<String>,
    pub state: String,
    pub at: Millis,
    pub note: String,
    /// A number of the platform's or of the hotline's.
    pub external_number: Option<String>,
    pub actor: Actor,
}

/// What became of such a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamOutcome {
    /// A move of our own.
    Moved,
    /// It stands in the file, and the desk is asked where somebody has the case.
    Noted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamHeard {
    pub number: String,
    pub outcome: UpstreamOutcome,
    /// Where the case stands now.
    pub state: CaseState,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    number: String,
    outcome: UpstreamOutcome,
}

/// Longest word of a platform for a case or a state.
const WORD_LIMIT: usize = 100;

impl Registry {
    /// What a platform calls a case; `None` when it does not know it.
    pub async fn find_upstream_case(
        &self,
        receiver: ReceiverId,
        number: &str,
    ) -> Result<Option<UpstreamCase>, RegistryError> {
        Ok(receivers::find_upstream_case(&mut self.store.read().await?, receiver, number).await?)
    }

    pub async fn find_case_for_upstream(
        &self,
        number: &str,
    ) -> Result<Option<CaseForUpstream>, RegistryError> {
        let mut tx = self.store.read().await?;
        let Some(case) = case_store::find_case_by_number(&mut tx, number).await? else { return Ok(None) };
        let place = case_store::find_place(&mut tx, case.manhole).await?;
        let code = match case.cover {
            Some(cover) => covers::find_cover(&mut tx, cover).await?.map(|file| file.code),
            None => None,
        };
        let reports = case_store::list_case_reports(&mut tx, case.id).await?;
        Ok(Some(CaseForUpstream {
            district: place.district,
            road: place.road,
            lon: place.lon,
            lat: place.lat,
            code,
            description: reports.into_iter().next().map(|report| report.description).unwrap_or_default(),
            case,
        }))
    }

    /// A platform has a case, or was told where it stands. `false` when it calls another case so.
    pub async fn keep_upstream_case(
        &self,
        receiver: ReceiverId,
        case: CaseId,
        (upstream_id, told): (&str, &str),
    ) -> Result<bool, RegistryError> {
        let (upstream_id, told, now) = (upstream_id.to_owned(), told.to_owned(), self.now());
        self.store
            .write::<bool, RegistryError, _>(move |tx| {
                let (upstream_id, told) = (upstream_id.clone(), told.clone());
                Box::pin(async move {
                    let words = (upstream_id.as_str(), told.as_str());
                    Ok(receivers::put_upstream_case(tx, receiver, case, words, now).await?)
                })
            })
            .await
    }

    /// Takes what a platform says of a case: the move that its rules name where it is allowed, else a line in the file
    /// and a question to the desk. A repeated word changes nothing.
    pub async fn hear_upstream(&self, mut word: UpstreamWord) -> Result<UpstreamHeard, RegistryError> {
        word.note = clean_text(&word.note, "note", TEXT_LIMIT)?;
        word.state = clean_text(&word.state, "state", WORD_LIMIT)?;
        if word.state.is_empty() {
            return Err(Refusal::new("form.missing").at("state").with("field", "state").into());
        }
        for (field, text) in [
            ("upstream_id", &mut word.upstream_id),
            ("number", &mut word.number),
            ("external_number", &mut word.external_number),
        ] {
            if let Some(said) = text {
                *said = clean_text(said, field, WORD_LIMIT)?;
            }
            *text = text.take().filter(|said| !said.is_empty());
        }
        if word.upstream_id.is_none() && word.number.is_none() {
            return Err(Refusal::new("upstream.which_case").at("upstream_id").into());
        }
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        let hash = sha256(&[
            said(&word.upstream_id).as_bytes(),
            said(&word.number).as_bytes(),
            word.state.as_bytes(),
            &word.at.0.to_be_bytes(),
            word.note.as_bytes(),
            said(&word.external_number).as_bytes(),
        ]);
        let scope = format!("upstream:{}:{}", word.receiver, word.actor.word());
        let (registry, now) = (self.clone(), self.now());
        let answered = self
            .once::<Answered, _>(Call { key: word.key, scope, hash, now }, move |tx| {
                let (registry, word) = (registry.clone(), word.clone());
                Box::pin(async move { hear(tx, &registry, &word, now).await })
            })
            .await?;
        let mut tx = self.store.read().await?;
        let case = case_store::find_case_by_number(&mut tx, &answered.number).await?;
        let state = case.ok_or_else(|| unknown_case(&answered.number))?.state;
        Ok(UpstreamHeard { number: answered.number, outcome: answered.outcome, state })
    }
}

fn unknown_case(read: &str) -> RegistryError {
    RegistryError::NotFound(Refusal::new("upstream.unknown_case").with("read", read))
}

async fn hear(
    tx: &mut Tx,
    registry: &Registry,
    word: &UpstreamWord,
    now: Millis,
) -> Result<Answered, RegistryError> {
    let receiver = receivers::find_receiver(tx, word.receiver).await?;
    let receiver = receiver
        .filter(|receiver| receiver.kind == ReceiverKind::Upstream)
        .ok_or_else(|| unknown(word.receiver))?;
    let rules = UpstreamRules::read(&receiver.rules)
        .map_err(|_| StoreError::inconsistent("receivers", "rules", receiver.id))?;
    let number = find_number(tx, word).await?;
    let (case, _) = take_case(tx, &number, &word.actor).await?;
    if let Some(id) = &word.upstream_id
        && receivers::find_upstream_case(tx, word.receiver, &number).await?.is_none()
    {
        // The answer to its creation never came here.
        receivers::put_upstream_case(tx, word.receiver, case.id, (id, ""), now).await?;
    }
    receivers::set_heard(tx, word.receiver, case.id, (&word.state, now)).await?;
    if let Some(made) = rules.moves.get(&word.state) {
        match make_move(tx, registry, order(word, &number, *made), now).await {
            Ok(_) => return Ok(Answered { number, outcome: UpstreamOutcome::Moved }),
            // The table of moves says no before anything is written: a person looks.
            Err(RegistryError::Refused(_) | RegistryError::Forbidden(_)) => {}
            Err(RegistryError::Conflict(refusal))
                if matches!(refusal.code, "case.move_not_allowed" | "case.pool_move") => {}
            Err(error) => return Err(error),
        }
    }
    note(tx, word, &number, now).await?;
    Ok(Answered { number, outcome: UpstreamOutcome::Noted })
}

/// Our number of the case that is meant.
async fn find_number(tx: &mut Tx, word: &UpstreamWord) -> Result<String, RegistryError> {
    for name in [&word.upstream_id, &word.number].into_iter().flatten() {
        if let Some(known) = receivers::find_upstream_case(tx, word.receiver, name).await? {
            return Ok(known.number);
        }
    }
    let named = word.number.as_deref().or(word.upstream_id.as_deref()).unwrap_or_default();
    match &word.number {
        Some(number) if case_store::find_case_by_number(tx, number).await?.is_some() => Ok(number.clone()),
        _ => Err(unknown_case(named)),
    }
}

fn order(word: &UpstreamWord, number: &str, made: CaseMove) -> MoveOrder {
    let reason = if word.note.is_empty() { &word.state } else { &word.note };
    MoveOrder {
        key: word.key,
        number: number.to_owned(),
        expected_version: None,
        made,
        request: MoveRequest { reason: Some(reason.clone()), ..MoveRequest::default() },
        target_number: None,
        pool: None,
        condition: None,
        position: None,
        photos: Vec::new(),
        before_photos: Vec::new(),
        actor: word.actor.clone(),
    }
}

/// Writes what was said into the file, and asks the desk where a party has the case and no question is open.
async fn note(tx: &mut Tx, word: &UpstreamWord, number: &str, now: Millis) -> Result<(), RegistryError> {
    let (case, head) = take_case(tx, number, &word.actor).await?;
    let body = json!({
        "case": case.number,
        "upstream": word.state,
        "upstream_at": word.at,
        "why": Some(&word.note).filter(|note| !note.is_empty()),
        "external_number": word.external_number,
    });
    let entry = |kind, body| NewEntry { actor: word.actor.word(), kind, case: Some(case.id), body };
    let mut entries = vec![entry(HistoryKind::UpstreamSaid, body)];
    let said = json!({"case": case.number, "upstream": word.state, "receiver": word.receiver});
    let mut events = vec![("case.upstream".to_owned(), said.to_string())];
    let before = case_asks::list_case_asks(tx, case.id).await?;
    let is_asked = before.iter().any(|ask| ask.kind == AskKind::Question && ask.state.is_open());
    if let (Some(party), Some(user), true, false) =
        (case.party, word.actor.user(), case.state.is_open(), is_asked)
    {
        let reason = match word.note.is_empty() {
            true => word.state.clone(),
            false => format!("{}: {}", word.state, word.note),
        };
        let ask = CaseAsk {
            id: AskId::fresh(),
            case: case.id,
            kind: AskKind::Question,
            state: AskState::Open,
            party,
            reason,
            until: None,
            asked_by: user,
            asked_at: now,
            endorsed_by: None,
            endorsed_at: None,
            decided_by: None,
            decided_at: None,
            answer: None,
        };
        case_asks::put_ask(tx, &ask).await?;
        let asked = json!({"case": case.number, "ask": ask.kind, "ask_state": ask.state, "party": party});
        events.push(("case.asked".to_owned(), asked.to_string()));
        let body = json!({"case": case.number, "ask": ask.kind, "ask_state": ask.state, "why": ask.reason,
            "party": party});
        entries.push(entry(HistoryKind::CaseAsked, body));
    }
    files::append(tx, case.manhole, head, now, entries).await?;
    feed::record(tx, now, News { events, changed: vec![(ChangeKind::Case, case.id.0)] }).await?;
    Ok(())
}
