//! What supervisors of the demo city did: the ledger of its first years, a draft that waits to be issued, a joint meeting,
//! an exemplary case.

use std::collections::{BTreeSet, HashMap};

use super::{DAY_MS, Stage, actor_of, key};
use crate::commands::Outcome;
use crate::demo::past_notices::{OPEN_PLACES, ledger};
use crate::domain::case::CaseState;
use crate::domain::cover::CoverFile;
use crate::domain::ids::{CoverId, Millis, PartyId};
use crate::domain::meeting::Quarter;
use crate::domain::role::Role;
use crate::registry::{
    CaseFilter, CoverFilter, ExemplaryOrder, NamedSubject, NewMeeting, NoticeDraft, NoticeText, PastItem,
    PastNotice, RegistryError, User,
};

/// Takes the ledger over, on covers that the rest of the story leaves alone. A very small city has none.
pub(super) async fn take_over_ledger(stage: &Stage<'_>, street: &[CoverFile], party: PartyId) -> Outcome<()> {
    let filter = CoverFilter { limit: 1000, ..CoverFilter::default() };
    let mut covers = stage.registry.list_covers(filter).await?;
    let street: BTreeSet<CoverId> = street.iter().map(|file| file.cover).collect();
    covers.retain(|file| !street.contains(&file.cover));
    if covers.len() < OPEN_PLACES {
        return Ok(());
    }
    let whose = |file: &CoverFile| {
        let party_of = file.maintainer.as_ref().or(file.owner.as_ref());
        party_of.map_or(party, |party| party.id)
    };
    for notice in ledger(stage.config.utc_offset_minutes) {
        let items = notice.items.iter().map(|item| {
            let file = &covers[item.place % covers.len()];
            PastItem {
                cover: file.cover,
                hazard: item.hazard,
                party: whose(file),
                reported_at: item.reported_at,
                closed_at: item.closed_at,
            }
        });
        let past = PastNotice {
            items: items.collect(),
            number: notice.number,
            title: stage.say("井盖隐患限期整改", "Defective covers to be repaired"),
            body: stage.say(
                "请按期处置下列井盖隐患, 逐件反馈并附照片。",
                "Please repair the covers below by the day named, and say of each what was done.",
            ),
            issued_at: notice.issued_at,
            due_at: notice.due_at,
            source: stage.say("督办台账", "supervision ledger"),
        };
        stage.registry.take_over_notice(past).await?;
    }
    Ok(())
}

/// A repeat of an interrupted demo asks for the same under the same key, only on another day: it was done.
fn done_before(outcome: Result<(), RegistryError>) -> Outcome<()> {
    match outcome {
        Err(RegistryError::Conflict(refusal)) if refusal.code == "idempotency.other_request" => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// The newest cases of the party in these states.
async fn newest(stage: &Stage<'_>, states: &[CaseState], party: Option<PartyId>) -> Outcome<Vec<String>> {
    let filter = CaseFilter { states: states.to_vec(), party, limit: 3, ..CaseFilter::default() };
    let lines = stage.registry.list_cases(filter, &crate::domain::role::Actor::System).await?;
    Ok(lines.into_iter().map(|line| line.case.number).collect())
}

/// What the desk finds on its table.
pub(super) async fn leave_work(
    stage: &Stage<'_>,
    staff: &HashMap<Role, User>,
    party: PartyId,
) -> Outcome<()> {
    let registry = stage.registry;
    let (dispatcher, supervisor) = (actor_of(staff, Role::Dispatcher), actor_of(staff, Role::Supervisor));
    let cases = newest(stage, &[CaseState::Dispatched, CaseState::Handling], Some(party)).await?;
    if !cases.is_empty() {
        let text = NoticeText {
            title: stage.say("本街井盖隐患限期整改", "Covers of this street"),
            body: stage.say(
                "请于期限前办结, 逐件反馈并附整改后照片。",
                "Please repair these by the day named, with a photo of each.",
            ),
            due_at: Millis((stage.now / DAY_MS + 14) * DAY_MS),
            cases,
            to: None,
        };
        let draft = NoticeDraft { key: key(0x9001), text, actor: dispatcher };
        done_before(registry.draft_notice(draft).await.map(drop))?;
    }
    let reopened = newest(stage, &[CaseState::Reopened], None).await?;
    if let Some(number) = reopened.into_iter().next() {
        let meeting = NewMeeting {
            key: key(0x9002),
            held_at: Millis(stage.now - DAY_MS),
            place: stage.say("城管局会议室", "Town hall"),
            attendees: stage
                .say("城管局\n处置单位\n街道办事处", "Public works\nThe party\nThe street's residents"),
            decision: stage.say(
                "反复异响, 由牵头单位整体更换井座。",
                "It bangs again and again: the leading party replaces the whole frame.",
            ),
            lead: party,
            due_at: Millis((stage.now / DAY_MS + 30) * DAY_MS),
            subjects: vec![NamedSubject::Case(number)],
            actor: supervisor.clone(),
        };
        done_before(registry.record_meeting(meeting).await.map(drop))?;
    }
    let closed = newest(stage, &[CaseState::Closed], Some(party)).await?;
    if let Some(number) = closed.into_iter().next() {
        let today =
            time::OffsetDateTime::from_unix_timestamp(stage.now / 1000).map_err(anyhow::Error::new)?;
        let order = ExemplaryOrder {
            key: key(0x9003),
            number,
            quarter: Some(Quarter::of(today.year(), u8::from(today.month()))),
            sentence: stage.say(
                "上报后当天更换井盖, 全程留痕。",
                "Replaced on the day of the report, with every step on record.",
            ),
            actor: supervisor,
        };
        done_before(registry.mark_exemplary(order).await)?;
    }
    Ok(())
}
