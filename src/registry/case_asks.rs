//! 请示: parties ask, the desk answers; what is granted is done in the same transaction.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cases::{MoveOrder, make_move, take_case};
use super::files::{self, NewEntry};
use super::reports::clean_text;
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseMove, MoveRequest, TEXT_LIMIT};
use crate::domain::case_ask::{AskKind, AskState, AskVerdict, CaseAsk, check_ask, check_verdict};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{AskId, IdempotencyKey, Millis};
use crate::domain::role::{Actor, Role};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{Tx, case_asks, cases};

/// What a party asks.
#[derive(Debug, Clone)]
pub struct NewAsk {
    pub key: IdempotencyKey,
    /// The case's number.
    pub number: String,
    pub kind: AskKind,
    pub reason: String,
    pub until: Option<Millis>,
    pub actor: Actor,
}

/// What the desk says to it.
#[derive(Debug, Clone)]
pub struct AskAnswer {
    pub key: IdempotencyKey,
    pub ask: AskId,
    pub verdict: AskVerdict,
    /// May be empty where it is granted.
    pub text: String,
    pub actor: Actor,
}

/// What waits for the desk.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAsk {
    pub ask: CaseAsk,
    pub case_number: String,
    pub party: String,
}

#[derive(Serialize, Deserialize)]
struct Asked {
    ask: AskId,
}

const OPEN_LIMIT: i64 = 500;

impl Registry {
    /// Asks the desk about a case of one's party.
    pub async fn ask_about_case(&self, mut new: NewAsk) -> Result<AskId, RegistryError> {
        new.reason = clean_text(&new.reason, "reason", TEXT_LIMIT)?;
        if new.reason.is_empty() {
            return Err(Refusal::new("ask.needs_reason").at("reason").into());
        }
        let hash = sha256(&[
            new.number.as_bytes(),
            new.kind.as_str().as_bytes(),
            new.reason.as_bytes(),
            &new.until.map_or(0, |until| until.0).to_be_bytes(),
        ]);
        let (registry, now) = (self.clone(), self.now());
        let asked = self
            .once::<Asked, _>(
                Call { key: new.key, scope: format!("ask:{}", new.actor.word()), hash, now },
                move |tx| {
                    let (registry, new) = (registry.clone(), new.clone());
                    Box::pin(async move { ask(tx, &registry, new, now).await })
                },
            )
            .await?;
        Ok(asked.ask)
    }

    /// Answers; an extension or a pause that is granted is made at once.
    pub async fn answer_ask(&self, mut answer: AskAnswer) -> Result<(), RegistryError> {
        answer.text = clean_text(&answer.text, "text", TEXT_LIMIT)?;
        if answer.text.is_empty() && matches!(answer.verdict, AskVerdict::Deny | AskVerdict::Answer) {
            return Err(Refusal::new("ask.needs_text").at("text").into());
        }
        let id = answer.ask.to_string();
        let hash = sha256(&[id.as_bytes(), answer.verdict.as_str().as_bytes(), answer.text.as_bytes()]);
        let (registry, now) = (self.clone(), self.now());
        self.once::<Asked, _>(
            Call { key: answer.key, scope: format!("ask_answer:{}", answer.actor.word()), hash, now },
            move |tx| {
                let (registry, given) = (registry.clone(), answer.clone());
                Box::pin(async move {
                    let answered = Asked { ask: given.ask };
                    decide(tx, &registry, given, now).await?;
                    Ok(answered)
                })
            },
        )
        .await
        .map(drop)
    }

    /// What waits for the desk, the longest first; of others than the desk nothing.
    pub async fn list_open_asks(&self, actor: &Actor) -> Result<Vec<OpenAsk>, RegistryError> {
        if !matches!(actor, Actor::Staff { role: Role::Dispatcher | Role::Supervisor | Role::Admin, .. }) {
            return Ok(Vec::new());
        }
        let open = case_asks::list_open_asks(&mut self.store.read().await?, OPEN_LIMIT).await?;
        Ok(open.into_iter().map(|(ask, case_number, party)| OpenAsk { ask, case_number, party }).collect())
    }
}

async fn ask(tx: &mut Tx, registry: &Registry, new: NewAsk, now: Millis) -> Result<Asked, RegistryError> {
    let (case, head) = take_case(tx, &new.number, &new.actor).await?;
    let Actor::Staff { user, role: Role::Handler | Role::Admin, .. } = new.actor else {
        return Err(RegistryError::Forbidden(Refusal::new("ask.party_only")));
    };
    let Some(party) = case.party else {
        return Err(RegistryError::Conflict(Refusal::new("case.pool_move")));
    };
    let rules = registry.rule_book.active(tx, now).await?;
    let before = case_asks::list_case_asks(tx, case.id).await?;
    check_ask(&case, new.kind, new.until, &before, &rules.limits, now).map_err(RegistryError::Conflict)?;
    let ask = CaseAsk {
        id: AskId::fresh(),
        case: case.id,
        kind: new.kind,
        state: AskState::Open,
        party,
        reason: new.reason,
        until: new.until,
        asked_by: user,
        asked_at: now,
        endorsed_by: None,
        endorsed_at: None,
        decided_by: None,
        decided_at: None,
        answer: None,
    };
    case_asks::put_ask(tx, &ask).await?;
    let entry = entry(&case, &ask, new.actor.word(), &ask.reason);
    files::append(tx, case.manhole, head, now, vec![entry]).await?;
    feed::record(tx, now, news(&case, &ask)).await?;
    Ok(Asked { ask: ask.id })
}

async fn decide(
    tx: &mut Tx,
    registry: &Registry,
    given: AskAnswer,
    now: Millis,
) -> Result<(), RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("ask.unknown").with("read", given.ask));
    let seen = case_asks::find_ask(tx, given.ask).await?.ok_or_else(unknown)?;
    let case = cases::find_case(tx, seen.case).await?.ok_or_else(unknown)?;
    let (mut case, mut head) = take_case(tx, &case.number, &Actor::System).await?;
    // Behind the lock of the file nobody else decides.
    let mut ask = case_asks::find_ask(tx, given.ask).await?.ok_or_else(unknown)?;
    ask.state = check_verdict(&ask, given.verdict, &given.actor).map_err(|refusal| match refusal.code {
        "ask.unfit_verdict" => RegistryError::Refused(refusal),
        "ask.decided" => RegistryError::Conflict(refusal),
        _ => RegistryError::Forbidden(refusal),
    })?;
    let user = given.actor.user();
    if ask.state == AskState::Endorsed {
        (ask.endorsed_by, ask.endorsed_at) = (user, Some(now));
    } else {
        (ask.decided_by, ask.decided_at) = (user, Some(now));
    }
    ask.answer = Some(given.text.clone()).filter(|text| !text.is_empty()).or(ask.answer);
    if ask.state == AskState::Granted {
        let made = match ask.kind {
            AskKind::Extension => Some(CaseMove::Extend),
            AskKind::Suspension => Some(CaseMove::Suspend),
            AskKind::Appeal | AskKind::Question => None,
        };
        if let Some(made) = made {
            make_move(tx, registry, granted(&case, &ask, made, &given), now).await?;
            head = files::head_of(tx, case.manhole).await?;
        } else {
            let version = case.version;
            case.exempt = true;
            case.version += 1;
            case.updated_at = now;
            if !cases::update_case(tx, &case, version).await? {
                let refusal = Refusal::new("case.moved_meanwhile").with("state", case.state);
                return Err(RegistryError::Conflict(refusal));
            }
        }
    }
    case_asks::put_ask(tx, &ask).await?;
    let said = entry(&case, &ask, given.actor.word(), &given.text);
    files::append(tx, case.manhole, head, now, vec![said]).await?;
    feed::record(tx, now, news(&case, &ask)).await?;
    Ok(())
}

/// The move that a granted wish makes, in the words of the party.
fn granted(case: &Case, ask: &CaseAsk, made: CaseMove, given: &AskAnswer) -> MoveOrder {
    let request =
        MoveRequest { reason: Some(ask.reason.clone()), until: ask.until, ..MoveRequest::default() };
    MoveOrder {
        key: given.key,
        number: case.number.clone(),
        expected_version: None,
        made,
        request,
        target_number: None,
        pool: None,
        condition: None,
        position: None,
        photos: Vec::new(),
        before_photos: Vec::new(),
        actor: given.actor.clone(),
    }
}

fn entry(case: &Case, ask: &CaseAsk, actor: String, why: &str) -> NewEntry {
    let body = json!({"case": case.number, "ask": ask.kind, "ask_state": ask.state, "why": why,
        "until": ask.until, "party": ask.party});
    NewEntry { actor, kind: HistoryKind::CaseAsked, case: Some(case.id), body }
}

fn news(case: &Case, ask: &CaseAsk) -> News {
    let name = if ask.state == AskState::Open { "case.asked" } else { "case.ask_answered" };
    let body = json!({"case": case.number, "ask": ask.kind, "ask_state": ask.state, "party": ask.party});
    News { events: vec![(name.to_owned(), body.to_string())], changed: vec![(ChangeKind::Case, case.id.0)] }
}
