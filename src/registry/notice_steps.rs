//! 督办单: what each step of a notice writes, into the notice and into the file of every case that it is about.

use serde_json::{Value, json};

use super::RegistryError;
use super::files::{self, NewEntry, PhotoHome};
use super::marks::Held;
use super::notice_answers::FEEDBACK_PHOTO;
use super::notices::{NoticeAnswer, NoticeOrder, not_now, put, take};
use crate::domain::Refusal;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, Millis, NoticeId, PartyId};
use crate::domain::notice::{self, NoticeMove, NoticeNumber};
use crate::domain::role::Actor;
use crate::store::notices::{self, Addressee, Feedback, Notice, NoticeItem};
use crate::store::{StoreError, Tx, feed, people};

fn entry(actor: &Actor, kind: HistoryKind, body: Value) -> NewEntry {
    NewEntry { actor: actor.word(), kind, case: None, body }
}

/// The parties of a notice as events name them, with how many cases each has open.
fn told_parties(parties: &[Addressee], items: &[NoticeItem]) -> Vec<Value> {
    let open = |party| items.iter().filter(|item| item.party == party && item.state.is_open()).count();
    parties.iter().map(|one| json!({"id": one.party, "name": one.name, "open": open(one.party)})).collect()
}

pub(super) async fn issue(
    tx: &mut Tx,
    mut notice: Notice,
    order: &NoticeOrder,
    (year, now): (i32, Millis),
) -> Result<(), RegistryError> {
    if notice.due_at <= now {
        return Err(Refusal::new("notice.due_past").at("due").into());
    }
    let items = notices::list_items(tx, notice.id, None).await?;
    let ids: Vec<CaseId> = items.iter().map(|item| item.case).collect();
    let mut held = Held::take(tx, &ids, &[]).await?;
    let cases = std::mem::take(&mut held.cases);
    if let Some(over) = cases.iter().find(|case| !case.state.is_open()) {
        return Err(RegistryError::Conflict(Refusal::new("notice.case_over").with("read", &over.number)));
    }
    let [number] = people::advance_counters(tx, [(format!("notice:{year}").as_str(), 1)]).await?;
    let number = NoticeNumber { year, issue: number };
    (notice.number, notice.issued_at) = (Some(number), Some(now));
    notice.issued_by = Some(order.actor.word());
    put(tx, &notice).await?;
    for (case, item) in cases.iter().zip(&items) {
        let body = json!({
            "case": case.number,
            "supervision": number.to_string(),
            "of_party": item.party,
            "until": notice.due_at,
        });
        held.of_case(case, entry(&order.actor, HistoryKind::NoticeIssued, body));
    }
    held.cases = cases;
    let parties = notices::list_addressees(tx, notice.id).await?;
    let numbers: Vec<&str> = items.iter().map(|item| item.number.as_str()).collect();
    let event = json!({
        "notice": number.to_string(),
        "title": notice.title,
        "due_at": notice.due_at.to_rfc3339(),
        "parties": told_parties(&parties, &items),
        "cases": numbers,
    });
    held.write(tx, now, vec![("notice.issued".to_owned(), event.to_string())]).await
}

pub(super) async fn withdraw(
    tx: &mut Tx,
    mut notice: Notice,
    order: &NoticeOrder,
    now: Millis,
) -> Result<(), RegistryError> {
    if notice.number.is_some() && order.reason.is_empty() {
        return Err(Refusal::new("form.missing").at("reason").with("field", "reason").into());
    }
    (notice.withdrawn_at, notice.withdrawn_why) = (Some(now), Some(order.reason.clone()));
    put(tx, &notice).await?;
    let Some(number) = notice.number else { return Ok(()) };
    let items = notices::list_items(tx, notice.id, None).await?;
    let ids: Vec<CaseId> = items.iter().map(|item| item.case).collect();
    let mut held = Held::take(tx, &ids, &[]).await?;
    let cases = std::mem::take(&mut held.cases);
    for case in &cases {
        let body = json!({"case": case.number, "supervision": number.to_string(), "why": order.reason});
        held.of_case(case, entry(&order.actor, HistoryKind::NoticeWithdrawn, body));
    }
    held.cases = cases;
    let event = json!({"notice": number.to_string(), "why": order.reason});
    held.write(tx, now, vec![("notice.withdrawn".to_owned(), event.to_string())]).await
}

/// The party for which somebody speaks.
fn own_party(actor: &Actor) -> Result<PartyId, RegistryError> {
    match actor {
        Actor::Staff { party: Some(party), .. } => Ok(*party),
        _ => Err(RegistryError::Forbidden(Refusal::new("notice.no_party"))),
    }
}

pub(super) async fn confirm(
    tx: &mut Tx,
    notice: &Notice,
    order: &NoticeOrder,
    now: Millis,
) -> Result<(), RegistryError> {
    let party = own_party(&order.actor)?;
    let number = notice.reference();
    if !notices::confirm(tx, (notice.id, party), (&order.actor.word(), now)).await? {
        return Err(RegistryError::Conflict(Refusal::new("notice.confirmed").with("notice", number)));
    }
    let event = json!({"notice": number, "party": party, "at": now.to_rfc3339()});
    let events = vec![("notice.receipt".to_owned(), event.to_string())];
    Ok(feed::record(tx, now, feed::News { events, changed: Vec::new() }).await?)
}

pub(super) async fn feed_back(
    tx: &mut Tx,
    answer: &NoticeAnswer,
    now: Millis,
) -> Result<NoticeId, RegistryError> {
    let notice = take(tx, &answer.notice, &answer.actor, None).await?;
    notice::check_move(notice.state, NoticeMove::Feedback, &answer.actor).map_err(not_now)?;
    let party = own_party(&answer.actor)?;
    let items = notices::list_items(tx, notice.id, Some(party)).await?;
    let item = items.iter().find(|item| item.number == answer.case).ok_or_else(|| {
        let read: String = answer.case.chars().take(60).collect();
        RegistryError::Refused(Refusal::new("notice.not_on_it").at("case").with("read", read))
    })?;
    let mut held = Held::take(tx, &[item.case], &[]).await?;
    let gone = || StoreError::inconsistent("notice_items", "case_id", item.case);
    let case = held.cases.first().cloned().ok_or_else(gone)?;
    let feedback = Feedback { text: answer.text.clone(), at: now, by: answer.actor.word() };
    notices::put_feedback(tx, (notice.id, case.id), &feedback).await?;
    let home = PhotoHome { manhole: case.manhole, cover: case.cover, case: Some(case.id), report: None };
    files::attach_photos(tx, home, FEEDBACK_PHOTO, &answer.photos, now).await?;
    let number = notice.reference();
    let body = json!({
        "case": case.number,
        "supervision": number,
        "of_party": party,
        "why": answer.text,
        "photos": files::digest_list(&answer.photos),
    });
    held.of_case(&case, entry(&answer.actor, HistoryKind::NoticeFeedback, body));
    let event = json!({"notice": number, "case": case.number, "party": party, "photos": answer.photos.len()});
    held.write(tx, now, vec![("notice.feedback".to_owned(), event.to_string())]).await?;
    Ok(notice.id)
}

/// `false` when another server was faster.
pub(super) async fn remind(
    tx: &mut Tx,
    notice: &Notice,
    level: i64,
    now: Millis,
) -> Result<bool, RegistryError> {
    if !notices::set_reminded(tx, notice.id, level).await? {
        return Ok(false);
    }
    let parties = notices::list_addressees(tx, notice.id).await?;
    let items = notices::list_items(tx, notice.id, None).await?;
    let name = if level == 100 { "notice.overdue" } else { "notice.reminder" };
    let event = json!({
        "notice": notice.reference(),
        "title": notice.title,
        "percent": level,
        "due_at": notice.due_at.to_rfc3339(),
        "parties": told_parties(&parties, &items),
    });
    let events = vec![(name.to_owned(), event.to_string())];
    feed::record(tx, now, feed::News { events, changed: Vec::new() }).await?;
    Ok(true)
}
