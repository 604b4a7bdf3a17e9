//! 会商: which covers and roads come again and again, and what joint meetings decided about them. A decision that is in
//! force says who handles what comes to the desk from there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::editing::needed_reason;
use super::files::NewEntry;
use super::marks::Held;
use super::reports::clean_text;
use super::{Call, Registry, RegistryError, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseState, TEXT_LIMIT};
use crate::domain::cover::CoverFile;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, CoverId, IdempotencyKey, MeetingId, Millis, PartyId};
use crate::domain::meeting::{Decision, DecisionQuery, Subject};
use crate::domain::role::Actor;
use crate::store::case_list::{self, CaseFilter, CaseLine};
use crate::store::cases as case_store;
use crate::store::meetings::{self, HotSpot, Revoked};
use crate::store::{StoreError, Tx, covers, people};

pub use crate::store::meetings::Meeting;

/// Most things that one meeting decides about.
const SUBJECTS: usize = 50;
const PLACE_LIMIT: usize = 200;
const PAGE_LIMIT: i64 = 100;

/// A thing that a meeting decided about, as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedSubject {
    /// By its number.
    Case(String),
    /// By its code, present or former.
    Cover(String),
    Road {
        district: String,
        road: String,
    },
}

/// A meeting that somebody writes down.
#[derive(Debug, Clone)]
pub struct NewMeeting {
    pub key: IdempotencyKey,
    pub held_at: Millis,
    pub place: String,
    /// One a line.
    pub attendees: String,
    pub decision: String,
    pub lead: PartyId,
    pub due_at: Millis,
    pub subjects: Vec<NamedSubject>,
    pub actor: Actor,
}

/// That a decision shall no longer hold.
#[derive(Debug, Clone)]
pub struct RevokeOrder {
    pub key: IdempotencyKey,
    pub number: String,
    pub reason: String,
    pub actor: Actor,
}

/// A thing that a meeting decided about, as its page shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum MeetingSubject {
    Case(Box<Case>),
    Cover(Box<CoverFile>),
    Road { district: String, road: String },
}

/// Everything the page of a meeting shows.
#[derive(Debug, Clone, PartialEq)]
pub struct MeetingFile {
    pub meeting: Meeting,
    pub subjects: Vec<MeetingSubject>,
    /// Whether it overrides the routing now.
    pub in_force: bool,
    /// Cases at the desk for which it says who handles them.
    pub waiting: Vec<CaseLine>,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    number: String,
}

impl Registry {
    /// Covers, then roads, with more than one case in so many days; up to 20 of each.
    pub async fn list_hot_spots(&self, days: i64) -> Result<Vec<HotSpot>, RegistryError> {
        let since = Millis(self.now().0 - days.clamp(1, 3660) * 86_400_000);
        Ok(meetings::list_hot_spots(&mut self.store.read().await?, since, 20).await?)
    }

    /// Writes a meeting down; its decision is in force from now on.
    pub async fn record_meeting(&self, mut new: NewMeeting) -> Result<MeetingFile, RegistryError> {
        let now = self.now();
        new.place = clean_text(&new.place, "place", PLACE_LIMIT)?;
        new.attendees = clean_text(&new.attendees, "attendees", TEXT_LIMIT)?;
        new.decision = clean_text(&new.decision, "decision", TEXT_LIMIT)?;
        for (field, value) in [("attendees", &new.attendees), ("decision", &new.decision)] {
            if value.is_empty() {
                return Err(Refusal::new("form.missing").at(field).with("field", field).into());
            }
        }
        if new.held_at > now {
            return Err(Refusal::new("meeting.held_later").at("held").into());
        }
        if new.due_at <= now {
            return Err(Refusal::new("meeting.due_past").at("due").into());
        }
        if new.subjects.is_empty() || new.subjects.len() > SUBJECTS {
            return Err(Refusal::new("meeting.subject_count").at("cases").with("most", SUBJECTS).into());
        }
        let subjects = self.resolve(&new.subjects).await?;
        let scope = format!("meeting:{}", new.actor.word());
        let hash = sha256(&[
            &new.held_at.0.to_be_bytes(),
            new.place.as_bytes(),
            new.attendees.as_bytes(),
            new.decision.as_bytes(),
            new.lead.0.as_bytes(),
            &new.due_at.0.to_be_bytes(),
            format!("{:?}", new.subjects).as_bytes(),
        ]);
        let year = super::year_at(now, self.utc_offset_minutes);
        let answered = self
            .once::<Answered, _>(Call { key: new.key, scope, hash, now }, move |tx| {
                let (new, subjects) = (new.clone(), subjects.clone());
                Box::pin(
                    async move { Ok(Answered { number: record(tx, &new, &subjects, (year, now)).await? }) },
                )
            })
            .await?;
        self.known_meeting(&answered.number).await
    }

    /// Lets a decision no longer hold.
    pub async fn revoke_meeting(&self, mut order: RevokeOrder) -> Result<MeetingFile, RegistryError> {
        order.reason = needed_reason(&order.reason)?;
        let now = self.now();
        let scope = format!("meeting:{}:{}", order.actor.word(), order.number);
        let hash = sha256(&[order.reason.as_bytes()]);
        let answered = self
            .once::<Answered, _>(Call { key: order.key, scope, hash, now }, move |tx| {
                let order = order.clone();
                Box::pin(async move { Ok(Answered { number: revoke(tx, &order, now).await? }) })
            })
            .await?;
        self.known_meeting(&answered.number).await
    }

    pub async fn find_meeting(&self, number: &str) -> Result<Option<MeetingFile>, RegistryError> {
        if number.contains('\0') {
            return Ok(None);
        }
        let mut tx = self.store.read().await?;
        let Some(meeting) = meetings::find_meeting(&mut tx, number).await? else { return Ok(None) };
        let in_force = meeting.revoked.is_none() && meeting.due_at > self.now();
        let stored = meetings::list_subjects(&mut tx, meeting.id).await?;
        let mut subjects = Vec::with_capacity(stored.len());
        for subject in &stored {
            let gone = |table: &'static str| StoreError::inconsistent(table, "id", meeting.id);
            subjects.push(match subject {
                Subject::Case(id) => {
                    let case = case_store::find_case(&mut tx, *id).await?;
                    MeetingSubject::Case(Box::new(case.ok_or_else(|| gone("cases"))?))
                }
                Subject::Cover(id) => {
                    let cover = covers::find_cover(&mut tx, *id).await?;
                    MeetingSubject::Cover(Box::new(cover.ok_or_else(|| gone("covers"))?))
                }
                Subject::Road { district, road } => {
                    MeetingSubject::Road { district: district.clone(), road: road.clone() }
                }
            });
        }
        let mut waiting = Vec::new();
        if in_force {
            waiting = at_the_desk(&mut tx).await?;
            let mut stays = Vec::with_capacity(waiting.len());
            for line in &waiting {
                let decision = decision_of(&mut tx, &line.case, self.now()).await?;
                stays.push(decision.is_some_and(|decision| decision.meeting == meeting.number));
            }
            let mut stays = stays.into_iter();
            waiting.retain(|_| stays.next().unwrap_or_default());
        }
        Ok(Some(MeetingFile { meeting, subjects, in_force, waiting }))
    }

    /// The last recorded before `before`; at most 100.
    pub async fn list_meetings(
        &self,
        before: Option<MeetingId>,
        limit: i64,
    ) -> Result<Vec<Meeting>, RegistryError> {
        Ok(meetings::list_meetings(&mut self.store.read().await?, before, limit.clamp(1, PAGE_LIMIT)).await?)
    }

    /// The decision that is in force about a case.
    pub async fn find_case_decision(&self, case: &Case) -> Result<Option<Decision>, RegistryError> {
        decision_of(&mut self.store.read().await?, case, self.now()).await
    }

    async fn known_meeting(&self, number: &str) -> Result<MeetingFile, RegistryError> {
        self.find_meeting(number).await?.ok_or_else(|| unknown(number))
    }

    /// What people named, as it is stored; each thing once.
    async fn resolve(&self, named: &[NamedSubject]) -> Result<Vec<Subject>, RegistryError> {
        let districts = self.list_districts().await?;
        let (mut subjects, mut seen) = (Vec::new(), BTreeSet::new());
        for one in named {
            let subject = match one {
                NamedSubject::Case(number) => {
                    let read: String = number.chars().take(60).collect();
                    let case = match number.contains('\0') {
                        true => None,
                        false => {
                            case_store::find_case_by_number(&mut self.store.read().await?, number).await?
                        }
                    };
                    let unknown = || Refusal::new("notice.case_unknown").at("cases").with("read", read);
                    Subject::Case(case.ok_or_else(unknown)?.id)
                }
                NamedSubject::Cover(code) => {
                    Subject::Cover(self.find_known_cover(code, "covers").await?.cover)
                }
                NamedSubject::Road { district, road } => {
                    if !districts.iter().any(|known| known.code == *district) {
                        let read: String = district.chars().take(60).collect();
                        return Err(Refusal::new("meeting.district")
                            .at("district")
                            .with("read", read)
                            .into());
                    }
                    let road = clean_text(road, "road", PLACE_LIMIT)?;
                    if road.is_empty() {
                        return Err(Refusal::new("form.missing").at("road").with("field", "road").into());
                    }
                    Subject::Road { district: district.clone(), road }
                }
            };
            if seen.insert(subject.clone()) {
                subjects.push(subject);
            }
        }
        Ok(subjects)
    }
}

fn unknown(number: &str) -> RegistryError {
    let read: String = number.chars().take(60).collect();
    RegistryError::NotFound(Refusal::new("meeting.unknown").with("read", read))
}

/// The decision in force about where a case is.
async fn decision_of(tx: &mut Tx, case: &Case, now: Millis) -> Result<Option<Decision>, RegistryError> {
    let file = match case.cover {
        Some(cover) => covers::find_cover(tx, cover).await?,
        None => None,
    };
    let asked = DecisionQuery {
        case: Some(case.id),
        cover: case.cover,
        district: file.as_ref().map_or("", |file| file.district.code.as_str()),
        road: file.as_ref().and_then(|file| file.survey.road.as_deref()),
    };
    Ok(meetings::find_decision(tx, &asked, now).await?)
}

/// Every case that waits for the desk to send it to somebody.
async fn at_the_desk(tx: &mut Tx) -> Result<Vec<CaseLine>, RegistryError> {
    let states = vec![CaseState::Filed, CaseState::Returned, CaseState::Reopened];
    let mut filter = CaseFilter { states, limit: 500, ..CaseFilter::default() };
    let mut found = Vec::new();
    loop {
        let page = case_list::list_cases(tx, &filter).await?;
        let is_last = (page.len() as i64) < filter.limit;
        filter.before = page.last().map(|line| line.case.number.clone());
        found.extend(page);
        if is_last {
            return Ok(found);
        }
    }
}

fn of_kind(subjects: &[Subject]) -> (Vec<CaseId>, Vec<CoverId>) {
    let cases = subjects.iter().filter_map(|subject| match subject {
        Subject::Case(case) => Some(*case),
        _ => None,
    });
    let covers = subjects.iter().filter_map(|subject| match subject {
        Subject::Cover(cover) => Some(*cover),
        _ => None,
    });
    (cases.collect(), covers.collect())
}

/// A line in the file of every case and cover that a meeting is about; of a road's covers none.
async fn enter(
    tx: &mut Tx,
    (meeting, subjects): (&Meeting, &[Subject]),
    (kind, why): (HistoryKind, &str),
    (actor, now): (&Actor, Millis),
    events: Vec<(String, String)>,
) -> Result<(), RegistryError> {
    let (case_ids, cover_ids) = of_kind(subjects);
    let mut held = Held::take(tx, &case_ids, &cover_ids).await?;
    let entry = |case: Option<&str>| NewEntry {
        actor: actor.word(),
        kind,
        case: None,
        body: json!({
            "case": case,
            "meeting": meeting.number,
            "of_party": meeting.lead,
            "until": meeting.due_at,
            "why": why,
        }),
    };
    let cases = std::mem::take(&mut held.cases);
    for case in &cases {
        held.of_case(case, entry(Some(&case.number)));
    }
    for cover in cover_ids {
        held.of_cover(cover, entry(None));
    }
    held.cases = cases;
    held.write(tx, now, events).await
}

async fn record(
    tx: &mut Tx,
    new: &NewMeeting,
    subjects: &[Subject],
    (year, now): (i32, Millis),
) -> Result<String, RegistryError> {
    if people::find_party(tx, new.lead).await?.is_none() {
        return Err(Refusal::new("party.unknown").at("lead").with("read", new.lead).into());
    }
    let [number] = people::advance_counters(tx, [(format!("meeting:{year}").as_str(), 1)]).await?;
    let meeting = Meeting {
        id: MeetingId::fresh(),
        number: format!("{year}-{number}"),
        held_at: new.held_at,
        place: new.place.clone(),
        attendees: new.attendees.clone(),
        decision: new.decision.clone(),
        lead: new.lead,
        due_at: new.due_at,
        actor: new.actor.word(),
        created_at: now,
        revoked: None,
    };
    meetings::add_meeting(tx, &meeting, subjects).await?;
    let event =
        json!({"meeting": meeting.number, "lead": meeting.lead, "due_at": meeting.due_at.to_rfc3339()});
    let events = vec![("meeting.decided".to_owned(), event.to_string())];
    let said = (HistoryKind::MeetingDecided, meeting.decision.as_str());
    enter(tx, (&meeting, subjects), said, (&new.actor, now), events).await?;
    Ok(meeting.number)
}

async fn revoke(tx: &mut Tx, order: &RevokeOrder, now: Millis) -> Result<String, RegistryError> {
    let known = match order.number.contains('\0') {
        true => None,
        false => meetings::find_meeting(tx, &order.number).await?,
    };
    let meeting = known.ok_or_else(|| unknown(&order.number))?;
    let revoked = Revoked { at: now, by: order.actor.word(), why: order.reason.clone() };
    if !meetings::revoke(tx, meeting.id, &revoked).await? {
        return Err(RegistryError::Conflict(
            Refusal::new("meeting.revoked").with("meeting", &meeting.number),
        ));
    }
    let subjects = meetings::list_subjects(tx, meeting.id).await?;
    let event = json!({"meeting": meeting.number, "why": order.reason});
    let events = vec![("meeting.revoked".to_owned(), event.to_string())];
    let said = (HistoryKind::MeetingRevoked, order.reason.as_str());
    enter(tx, (&meeting, &subjects), said, (&order.actor, now), events).await?;
    Ok(meeting.number)
}
