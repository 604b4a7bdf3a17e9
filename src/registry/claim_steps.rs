//! One step about one cover of a notice: held behind the lock of its file, done as the rules of `domain::claim`
//! say, written with its line of history.

use serde_json::{Map, Value, json};

use super::amend::{self, Taken, Versions};
use super::claims::{ClaimOrder, claim_of, unknown};
use super::editing::needed_reason;
use super::fields::{self, Known};
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::claim::{Claim, ClaimAnswer, ClaimRules, ClaimState, ClaimStep, FallbackRole};
use crate::domain::edit::CoverEdit;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CoverId, Millis, PartyId};
use crate::domain::role::Actor;
use crate::store::claims::{self, Answer, ClaimRow};
use crate::store::{StoreError, Tx, people};

/// A claim that was taken with its cover's file until the commit.
struct Held {
    taken: Taken,
    row: ClaimRow,
    claim: Claim,
}

/// Who does which step, when and why.
#[derive(Clone, Copy)]
struct Done<'a> {
    step: ClaimStep,
    actor: &'a Actor,
    reason: &'a str,
    now: Millis,
}

async fn hold(tx: &mut Tx, (notice, cover): (&str, CoverId)) -> Result<Held, RegistryError> {
    if claims::find_claim(tx, (notice, cover)).await?.is_none() {
        return Err(unknown(notice));
    }
    let taken = amend::take(tx, cover).await?;
    // Read behind the lock.
    let row = claims::find_claim(tx, (notice, cover)).await?.ok_or_else(|| unknown(notice))?;
    let answers = claims::list_answers(tx, notice, &[cover]).await?;
    Ok(Held { claim: claim_of(&row, &answers), taken, row })
}

/// Does one step about one cover of a notice.
pub(super) async fn step(
    tx: &mut Tx,
    registry: &Registry,
    order: &ClaimOrder,
    now: Millis,
) -> Result<(), RegistryError> {
    let held = hold(tx, (&order.notice, order.cover)).await?;
    let code = registry.grouped_code(&held.taken.file.code);
    if held.row.version != order.expected_version {
        return Err(RegistryError::Conflict(Refusal::new("claim.moved_meanwhile").with("code", code)));
    }
    let next = held.claim.after(order.step, now).map_err(|refusal| refusal.with("code", &code));
    let next = next.map_err(RegistryError::Conflict)?;
    if held.claim.needs_reason(order.step) {
        needed_reason(&order.reason)?;
    }
    if let Some(party) = order.step.party()
        && people::find_party(tx, party).await?.is_none()
    {
        return Err(Refusal::new("party.unknown").at("party").with("read", party).into());
    }
    let fields = match order.step {
        ClaimStep::Award(party) => {
            amend::refuse_retired(registry, &held.taken.file)?;
            Some(award_edit(&held, party, &code)?)
        }
        ClaimStep::Undo => Some(back_edit(tx, &held, &code).await?),
        _ => None,
    };
    let done = Done { step: order.step, actor: &order.actor, reason: &order.reason, now };
    finish(tx, held, next, fields, done).await
}

/// The owner of a cover that is awarded. Whoever stood in as its maintainer no longer does.
fn award_edit(held: &Held, party: PartyId, code: &str) -> Result<CoverEdit, RegistryError> {
    let file = &held.taken.file;
    let stood_in = held.row.outcome.filter(|_| held.row.state == ClaimState::FellBack);
    if let Some(owner) = &file.owner
        && owner.id != party
        && stood_in != Some(owner.id)
    {
        let refusal = Refusal::new("claim.owned").with("code", code).with("owner", &owner.name);
        return Err(RegistryError::Conflict(refusal));
    }
    let changed = changed_by(&held.row)?;
    let stands_in = changed.contains_key("maintainer")
        && stood_in.is_some()
        && file.maintainer.as_ref().map(|party| party.id) == stood_in;
    Ok(CoverEdit { owner: Some(Some(party)), maintainer: stands_in.then_some(None), ..CoverEdit::default() })
}

fn changed_by(row: &ClaimRow) -> Result<Map<String, Value>, RegistryError> {
    let broken = |_| StoreError::inconsistent("claims", "fields", row.cover);
    Ok(serde_json::from_str(&row.fields).map_err(broken)?)
}

/// What gives a cover back what it had before its claim was decided; refused where somebody has changed that
/// since.
async fn back_edit(tx: &mut Tx, held: &Held, code: &str) -> Result<CoverEdit, RegistryError> {
    let file = &held.taken.file;
    let changed = changed_by(&held.row)?;
    for (field, party) in [("owner", &file.owner), ("maintainer", &file.maintainer)] {
        let now = json!(party.as_ref().map(|party| &party.name));
        if changed.get(field).is_some_and(|pair| pair[1] != now) {
            let refusal = Refusal::new("claim.changed_since").with("code", code).with("field", field);
            return Err(RegistryError::Conflict(refusal));
        }
    }
    Ok(fields::backwards(&changed, &Known::read(tx, false).await?)?)
}

/// Writes what a step comes to: the cover, the claim, what was said, and the line in the file.
async fn finish(
    tx: &mut Tx,
    held: Held,
    next: Claim,
    edit: Option<CoverEdit>,
    done: Done<'_>,
) -> Result<(), RegistryError> {
    let Held { taken, mut row, .. } = held;
    let Done { step, actor, reason, now } = done;
    let (file, notice) = (&taken.file, row.notice.clone());
    let (mut versions, mut changed) = (Versions::new(), Map::new());
    if let Some(edit) = edit.filter(|edit| !edit.is_empty()) {
        let known = Known::read(tx, false).await?;
        let (after, fields) = fields::edited(file, &edit, &known)?;
        if !fields.is_empty() {
            versions = amend::write(tx, file, &after, &fields).await?.ok_or_else(amend::changed_meanwhile)?;
        }
        changed = fields;
    }
    row.state = next.state;
    row.outcome = next.outcome;
    row.claimants = next.claimants().count() as i64;
    row.changed_at = now;
    row.fields = match step {
        ClaimStep::Award(_) | ClaimStep::Expire(_) => Value::Object(changed.clone()).to_string(),
        ClaimStep::Undo => "{}".to_owned(),
        _ => row.fields,
    };
    if !claims::update_claim(tx, &row).await? {
        return Err(amend::changed_meanwhile());
    }
    keep_answer(tx, &row, done).await?;
    let kind = match step {
        ClaimStep::Claim(_) | ClaimStep::Decline(_) | ClaimStep::TakeBack(_) | ClaimStep::SetAside(_) => {
            HistoryKind::ClaimAnswered
        }
        ClaimStep::Award(_) | ClaimStep::Expire(_) | ClaimStep::Withdraw => HistoryKind::ClaimSettled,
        ClaimStep::Undo => HistoryKind::ClaimUndone,
    };
    let more = json!({
        "notice": notice,
        "claim_move": step.word(),
        "claim_state": row.state,
        "of_party": step.party(),
        "why": reason,
    });
    let body = amend::body(file.cover, &versions, changed, more);
    amend::enter(tx, (file.manhole, &taken.locked), (actor, now), kind, body).await?;
    amend::tell(tx, now, versions.into_keys().chain([row.cover])).await
}

async fn keep_answer(tx: &mut Tx, row: &ClaimRow, done: Done<'_>) -> Result<(), RegistryError> {
    let Done { step, actor, reason, now } = done;
    let (party, answer) = match step {
        ClaimStep::Claim(party) => (party, ClaimAnswer::Claimed),
        ClaimStep::Decline(party) => (party, ClaimAnswer::Declined),
        ClaimStep::SetAside(party) => (party, ClaimAnswer::SetAside),
        ClaimStep::TakeBack(party) => {
            return Ok(claims::remove_answer(tx, (&row.notice, row.cover), party).await?);
        }
        _ => return Ok(()),
    };
    let answer = Answer {
        notice: row.notice.clone(),
        cover: row.cover,
        party,
        answer,
        reason: reason.to_owned(),
        actor: actor.word(),
        at: now,
    };
    Ok(claims::put_answer(tx, &answer).await?)
}

/// Ends a claim that nobody made in time; `None` when somebody was faster.
pub(super) async fn expire(
    tx: &mut Tx,
    rules: &ClaimRules,
    due: &ClaimRow,
    now: Millis,
) -> Result<Option<ClaimState>, RegistryError> {
    let held = hold(tx, (&due.notice, due.cover)).await?;
    if held.row.version != due.version {
        return Ok(None);
    }
    let file = &held.taken.file;
    let step = if file.retired.is_some() || file.owner.is_some() {
        ClaimStep::Withdraw
    } else {
        let named = rules.fallback_for(file.survey.class, &file.survey.district);
        let parties = people::list_parties(tx).await?;
        let named =
            named.and_then(|name| parties.iter().find(|party| party.name == name)).map(|party| party.id);
        // Whoever looks after it already goes on doing so.
        let known = file.maintainer.as_ref().map(|party| party.id);
        ClaimStep::Expire(match rules.fallback_role {
            FallbackRole::Maintainer => known.or(named),
            FallbackRole::Owner => named,
        })
    };
    let edit = match step {
        ClaimStep::Expire(Some(party)) => Some(match rules.fallback_role {
            FallbackRole::Maintainer => CoverEdit { maintainer: Some(Some(party)), ..CoverEdit::default() },
            FallbackRole::Owner => CoverEdit { owner: Some(Some(party)), ..CoverEdit::default() },
        }),
        _ => None,
    };
    let next = match held.claim.after(step, now) {
        Ok(next) => next,
        Err(_) => return Ok(None),
    };
    let state = next.state;
    finish(tx, held, next, edit, Done { step, actor: &Actor::System, reason: "", now }).await?;
    Ok(Some(state))
}
