//! 满意度: how content whoever reported is, and what becomes of it where they are not.

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use sha2::{Digest, Sha256};

use super::cases::{ground_of, take_case};
use super::citizens::needs_desk;
use super::files::{self, NewEntry};
use super::filing::{self, Finding};
use super::reports::{CONTACT_LIMIT, clean_text, standing_case};
use super::{Call, Registry, RegistryError, Reported, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseSource, CaseState, Report, TEXT_LIMIT};
use crate::domain::citizen::{CONTENT, CallBack, Follower, Rating, SCORES, Wish};
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CallBackId, FollowerId, IdempotencyKey, Millis};
use crate::domain::role::{Actor, Role};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::ChainHead;
use crate::store::{Tx, citizens, covers};

/// How content somebody is, as they say it.
#[derive(Debug, Clone)]
pub struct NewRating {
    pub key: IdempotencyKey,
    /// 1 to 5, the best last.
    pub score: i64,
    pub text: String,
    /// Only of who is not content.
    pub wish: Option<Wish>,
    /// How to be called, where the report does not say.
    pub contact: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rated {
    /// The report by which the hazard was reported again.
    pub again: Option<Reported>,
}

/// Somebody called.
#[derive(Debug, Clone)]
pub struct CallBackDone {
    pub key: IdempotencyKey,
    pub id: CallBackId,
    /// What came of it.
    pub outcome: String,
    pub actor: Actor,
}

#[derive(Serialize, Deserialize)]
struct Called {
    id: CallBackId,
}

const OPEN_LIMIT: i64 = 500;

impl Registry {
    /// Marks how a case was dealt with, once a report; to be changed within 30 days. Who is not content may want a call,
    /// or says that it is not mended: then the same hazard is reported again, as by a word over Open311. `None` when no
    /// report has this address.
    pub async fn rate(&self, link: &str, mut new: NewRating) -> Result<Option<Rated>, RegistryError> {
        new.text = clean_text(&new.text, "text", TEXT_LIMIT)?;
        new.contact = match &new.contact {
            Some(contact) => {
                Some(clean_text(contact, "contact", CONTACT_LIMIT)?).filter(|text| !text.is_empty())
            }
            None => None,
        };
        if !SCORES.contains(&new.score) {
            return Err(Refusal::new("rating.score").at("score").into());
        }
        if new.wish.is_some() && new.score >= CONTENT {
            return Err(Refusal::new("rating.no_wish").at("wish").into());
        }
        let Some(report) = self.find_linked(&mut self.store.read().await?, link).await? else {
            return Ok(None);
        };
        let wish = new.wish.map_or("", Wish::as_str);
        let contact = new.contact.as_deref().unwrap_or_default();
        let hash =
            sha256(&[&new.score.to_be_bytes(), new.text.as_bytes(), wish.as_bytes(), contact.as_bytes()]);
        let scope = format!("rating:{}", report.id);
        let (registry, now) = (self.clone(), self.now());
        self.once::<Rated, _>(Call { key: new.key, scope, hash, now }, move |tx| {
            let (registry, new, report) = (registry.clone(), new.clone(), report.clone());
            Box::pin(async move { rate(tx, &registry, new, report, now).await })
        })
        .await
        .map(Some)
    }

    /// Those who wait for a call, the longest first; of others than the desk nothing.
    pub async fn list_call_backs(
        &self,
        actor: &Actor,
    ) -> Result<Vec<crate::store::citizens::CallBackLine>, RegistryError> {
        if !matches!(actor, Actor::Staff { role: Role::Dispatcher | Role::Supervisor | Role::Admin, .. }) {
            return Ok(Vec::new());
        }
        Ok(citizens::list_open_call_backs(&mut self.store.read().await?, OPEN_LIMIT).await?)
    }

    /// Somebody called, and says what came of it.
    pub async fn finish_call_back(&self, mut done: CallBackDone) -> Result<(), RegistryError> {
        needs_desk(&done.actor)?;
        done.outcome = clean_text(&done.outcome, "outcome", TEXT_LIMIT)?;
        if done.outcome.is_empty() {
            return Err(Refusal::new("form.missing").at("outcome").with("field", "outcome").into());
        }
        let hash = sha256(&[done.id.0.as_bytes(), done.outcome.as_bytes()]);
        let (scope, now) = (format!("call_back:{}", done.actor.word()), self.now());
        self.once::<Called, _>(Call { key: done.key, scope, hash, now }, move |tx| {
            let done = done.clone();
            Box::pin(async move { finish(tx, done, now).await })
        })
        .await
        .map(drop)
    }
}

async fn rate(
    tx: &mut Tx,
    registry: &Registry,
    new: NewRating,
    report: Report,
    now: Millis,
) -> Result<Rated, RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("report.unknown"));
    let stands = standing_case(tx, report.case).await?.ok_or_else(unknown)?;
    let (case, head) = take_case(tx, &stands.number, &Actor::System).await?;
    if case.state != CaseState::Closed {
        return Err(RegistryError::Conflict(Refusal::new("rating.not_closed")));
    }
    let before = citizens::find_rating(tx, report.id).await?;
    if before.as_ref().is_some_and(|rating| !rating.may_change(now)) {
        return Err(RegistryError::Conflict(Refusal::new("rating.over")));
    }
    let (mut events, mut again) = (Vec::new(), None);
    let mut head = head;
    match new.wish {
        Some(Wish::CallBack) => {
            match (&report.contact, &new.contact) {
                (_, Some(contact)) => citizens::set_contact(tx, report.id, contact).await?,
                (None, None) => return Err(Refusal::new("rating.needs_contact").at("contact").into()),
                (Some(_), None) => {}
            }
            let call_back = CallBack {
                id: CallBackId::fresh(),
                report: report.id,
                asked_at: now,
                outcome: None,
                done_by: None,
                done_at: None,
            };
            if citizens::add_call_back(tx, &call_back).await? {
                let body = json!({"case": case.number, "report": report.tracking, "call_back": call_back.id});
                events.push(("citizen.call_back".to_owned(), body.to_string()));
            }
        }
        Some(Wish::NotMended) => {
            if let Some(cover) = case.cover
                && covers::find_cover(tx, cover).await?.is_some_and(|file| file.retired.is_some())
            {
                return Err(RegistryError::Conflict(Refusal::new("plate.cover_retired")));
            }
            let filed = report_again(tx, registry, &case, head, (&report, &new), now).await?;
            head = files::head_of(tx, case.manhole).await?;
            again = Some(filed);
        }
        None => {}
    }
    let rating = Rating {
        report: report.id,
        score: new.score,
        text: new.text,
        again: again.as_ref().map(|again: &Reported| again.report),
        rated_at: before.map_or(now, |before| before.rated_at),
        changed_at: now,
    };
    citizens::put_rating(tx, &rating).await?;
    let body = json!({
        "case": case.number,
        "report": report.tracking,
        "score": rating.score,
        "wish": new.wish,
        "text_sha256": super::hex(&Sha256::digest(rating.text.as_bytes())),
    });
    let actor = Actor::Citizen.word();
    let entry = NewEntry { actor, kind: HistoryKind::CitizenRated, case: Some(case.id), body };
    files::append(tx, case.manhole, head, now, vec![entry]).await?;
    let body =
        json!({"case": case.number, "report": report.tracking, "score": rating.score, "wish": new.wish});
    events.insert(0, ("citizen.rated".to_owned(), body.to_string()));
    feed::record(tx, now, News { events, changed: vec![(ChangeKind::Case, case.id.0)] }).await?;
    Ok(Rated { again })
}

/// The same hazard once more, by the same person; who followed the first report follows this one.
async fn report_again(
    tx: &mut Tx,
    registry: &Registry,
    case: &Case,
    head: ChainHead,
    (report, new): (&Report, &NewRating),
    now: Millis,
) -> Result<Reported, RegistryError> {
    let (ground, _) = ground_of(tx, case).await?;
    let rules = registry.rule_book.active(tx, now).await?;
    let language = match citizens::find_language(tx, report.id).await?.as_str() {
        "en" => "en",
        _ => "zh-CN",
    };
    let finding = Finding {
        manhole: case.manhole,
        cover: case.cover,
        head,
        ground,
        hazard: case.hazard,
        source: CaseSource::CitizenScan,
        known: None,
        description: new.text.clone(),
        contact: report.contact.clone().or_else(|| new.contact.clone()),
        external_number: None,
        phone_position: None,
        photos: Vec::new(),
        mended: false,
        actor: Actor::Citizen.word(),
        story: Map::from_iter([("again".to_owned(), json!(report.tracking))]),
        language,
        weighed: None,
    };
    let filed = filing::file(tx, registry, &rules, finding).await?;
    for follower in citizens::list_report_followers(tx, report.id).await? {
        let follower = Follower { id: FollowerId::fresh(), report: Some(filed.report), ..follower };
        citizens::add_follower(tx, &follower).await?;
    }
    Ok(Reported {
        report: filed.report,
        tracking: filed.tracking,
        cover: filed.case.cover,
        joined: !filed.is_new,
        emergency: filed.case.emergency,
        case_number: filed.case.number,
    })
}

async fn finish(tx: &mut Tx, done: CallBackDone, now: Millis) -> Result<Called, RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("call_back.unknown").with("read", done.id));
    let line = citizens::find_call_back(tx, done.id).await?.ok_or_else(unknown)?;
    let (case, head) = take_case(tx, &line.case_number, &done.actor).await?;
    let actor = done.actor.word();
    if !citizens::finish_call_back(tx, done.id, (&done.outcome, &actor, now)).await? {
        return Err(RegistryError::Conflict(Refusal::new("call_back.done")));
    }
    let body = json!({
        "case": case.number,
        "report": line.tracking,
        "text_sha256": super::hex(&Sha256::digest(done.outcome.as_bytes())),
    });
    let entry = NewEntry { actor, kind: HistoryKind::CitizenCalled, case: Some(case.id), body };
    files::append(tx, case.manhole, head, now, vec![entry]).await?;
    let changed = vec![(ChangeKind::Case, case.id.0)];
    feed::record(tx, now, News { events: Vec::new(), changed }).await?;
    Ok(Called { id: done.id })
}
