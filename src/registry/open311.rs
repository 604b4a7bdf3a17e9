//! Open311: service requests in and out. A request is filed like any other finding; what is special is who repeats what,
//! and words that come for a request later.

use std::collections::HashMap;

use serde_json::Map;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::cases::{ground_of, take_case};
use super::filing::{self, Finding};
use super::reports::clean_text;
use super::{AttachedPhoto, Call, NewFinding, Registry, RegistryError, Reported, Spot, intake};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseSource, CaseState, PHOTO_LIMIT, Report, TEXT_LIMIT};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::{CaseId, IdempotencyKey, Millis, UserId};
use crate::domain::open311::{Open311Kind, UpdateStatus};
use crate::domain::role::Actor;
use crate::store::open311::{self, Open311Record, Repeat, RequestFilter, RequestStep, ServiceRequest};
use crate::store::{Tx, cases, covers, history};

/// Characters of what is added to a description for staff.
pub const MORE_CHARS: usize = 3000;
const CONTACT_CHARS: usize = 300;
const SHORT_CHARS: usize = 200;
const ADDRESS_CHARS: usize = 2000;
/// How long the same bytes count as the same call, where the sender has no number of its own for it.
const REPEATS_WITHIN_MS: i64 = 10 * 60_000;
/// Calls that come at the same moment are one by their key; those that come later are found by what was kept.
const SAME_MOMENT_MS: i64 = 60_000;
/// Most cases whose steps are read in one statement.
const CASES: usize = 500;

/// What comes along with whatever is sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub actor: Actor,
    pub sender: UserId,
    /// What the sender calls it; the same again is the same call, whatever else it says.
    pub external_id: Option<String>,
    /// SHA-256 of all that was sent.
    pub digest: [u8; 32],
    pub text: String,
    /// What staff shall read below the text: links, attributes, addresses.
    pub more: String,
    pub contact: Option<String>,
    pub account_id: Option<String>,
    pub device_id: Option<String>,
    pub media_url: Option<String>,
    /// On disk already.
    pub photos: Vec<AttachedPhoto>,
    pub language: &'static str,
}

/// A service request.
#[derive(Debug, Clone)]
pub struct NewRequest {
    pub spot: Spot,
    pub hazard: Hazard,
    pub sent: Sent,
}

/// What somebody adds to a request.
#[derive(Debug, Clone)]
pub struct NewWord {
    /// Tracking number of the request.
    pub request: String,
    pub status: Option<UpdateStatus>,
    pub sent: Sent,
}

impl Sent {
    fn checked(mut self) -> Result<Self, Refusal> {
        self.text = clean_text(&self.text, "description", TEXT_LIMIT)?;
        self.more = clean_text(&self.more, "description", MORE_CHARS)?;
        let optional = |text: Option<String>, field, limit| -> Result<Option<String>, Refusal> {
            let text = text.map(|text| clean_text(&text, field, limit)).transpose()?;
            Ok(text.filter(|text| !text.is_empty()))
        };
        self.contact = optional(self.contact, "email", CONTACT_CHARS)?;
        self.external_id = optional(self.external_id, "update_id", SHORT_CHARS)?;
        self.account_id = optional(self.account_id, "account_id", SHORT_CHARS)?;
        self.device_id = optional(self.device_id, "device_id", SHORT_CHARS)?;
        self.media_url = optional(self.media_url, "media_url", ADDRESS_CHARS)?;
        if self.photos.len() > PHOTO_LIMIT {
            let refusal = Refusal::new("photo.too_many").at("media").with("count", self.photos.len());
            return Err(refusal.with("most", PHOTO_LIMIT));
        }
        Ok(self)
    }

    /// What staff read.
    fn description(&self) -> String {
        [self.text.as_str(), self.more.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    /// The call under which this is done once: by the sender's number, or by what was sent within a moment.
    fn call(&self, kind: Open311Kind, now: Millis) -> Call {
        let mut hasher = Sha256::new();
        hasher.update(self.sender.0.as_bytes());
        hasher.update(kind.as_str());
        match &self.external_id {
            Some(external) => hasher.update(external),
            None => {
                hasher.update(now.0.div_euclid(SAME_MOMENT_MS).to_be_bytes());
                hasher.update(self.digest);
            }
        }
        let hash: [u8; 32] = hasher.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        let scope = format!("open311:{kind}:{}", self.sender);
        Call { key: IdempotencyKey(Uuid::from_bytes(key)), scope, hash, now }
    }

    async fn find_repeated(
        &self,
        tx: &mut Tx,
        kind: Open311Kind,
        now: Millis,
    ) -> Result<Option<Reported>, RegistryError> {
        let repeat = Repeat {
            kind,
            sender: self.sender,
            external_id: self.external_id.as_deref(),
            digest: &self.digest,
            since: Millis(now.0 - REPEATS_WITHIN_MS),
        };
        let Some(tracking) = open311::find_repeated(tx, repeat).await? else { return Ok(None) };
        let Some(report) = cases::find_report(tx, &tracking).await? else { return Ok(None) };
        let case = cases::find_case(tx, report.case).await?;
        Ok(case.map(|case| Reported {
            report: report.id,
            tracking: report.tracking,
            joined: case.report_count > 1,
            cover: case.cover,
            emergency: case.emergency,
            case_number: case.number,
        }))
    }

    fn record(&self, reported: &Reported, kind: Open311Kind, now: Millis) -> Open311Record {
        Open311Record {
            report: reported.report,
            kind,
            sender: self.sender,
            external_id: self.external_id.clone(),
            digest: self.digest,
            account_id: self.account_id.clone(),
            device_id: self.device_id.clone(),
            media_url: self.media_url.clone(),
            follows: None,
            case: None,
            created_at: now,
        }
    }
}

impl Registry {
    /// Files a service request; the same one again is answered with the first one's number.
    pub async fn file_request(&self, mut new: NewRequest) -> Result<Reported, RegistryError> {
        new.sent = new.sent.checked()?;
        let (registry, now) = (self.clone(), self.now());
        let call = new.sent.call(Open311Kind::Request, now);
        self.once::<Reported, _>(call, move |tx| {
            let (registry, new) = (registry.clone(), new.clone());
            Box::pin(async move { file(tx, &registry, new, now).await })
        })
        .await
    }

    /// Refuses what [`Registry::file_request`] would refuse; changes nothing.
    pub async fn try_request(&self, mut new: NewRequest) -> Result<(), RegistryError> {
        new.sent = new.sent.checked()?;
        intake::look_at(&mut self.store.read().await?, &new.spot).await
    }

    /// Adds a word to a request: one more report of its case. Where the case is closed and the word says that something
    /// is still to be done, it is a report of the same hazard again, and the request goes on with that case. It moves no
    /// case: whether the word is right is for people to judge.
    pub async fn add_word(&self, mut new: NewWord) -> Result<Reported, RegistryError> {
        new.sent = new.sent.checked()?;
        let (registry, now) = (self.clone(), self.now());
        let call = new.sent.call(Open311Kind::Word, now);
        self.once::<Reported, _>(call, move |tx| {
            let (registry, new) = (registry.clone(), new.clone());
            Box::pin(async move { add_word(tx, &registry, new, now).await })
        })
        .await
    }

    /// Refuses what [`Registry::add_word`] would refuse; changes nothing.
    pub async fn try_word(&self, mut new: NewWord) -> Result<(), RegistryError> {
        new.sent = new.sent.checked()?;
        find_request(&mut self.store.read().await?, &new.request).await.map(drop)
    }

    /// Service requests for everybody.
    pub async fn list_requests(
        &self,
        mut filter: RequestFilter,
    ) -> Result<Vec<ServiceRequest>, RegistryError> {
        if let Some(ids) = &mut filter.ids {
            ids.retain(|id| is_tracking(id));
            if ids.is_empty() {
                return Ok(Vec::new());
            }
        }
        if filter.hazards.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        Ok(open311::list_requests(&mut self.store.read().await?, &filter).await?)
    }

    /// What was done about requests within a stretch of time, the oldest first.
    pub async fn list_request_steps(
        &self,
        within: (Millis, Millis),
        page: (i64, i64),
    ) -> Result<Vec<RequestStep>, RegistryError> {
        Ok(open311::list_steps(&mut self.store.read().await?, within, page).await?)
    }

    /// What happened to the cases behind requests, by case.
    pub async fn list_moves_of(
        &self,
        cases: &[CaseId],
    ) -> Result<HashMap<CaseId, Vec<HistoryEntry>>, RegistryError> {
        let mut tx = self.store.read().await?;
        let mut moves: HashMap<CaseId, Vec<HistoryEntry>> = HashMap::new();
        for some in cases.chunks(CASES) {
            for entry in history::list_moves_of(&mut tx, some).await? {
                if let Some(case) = entry.case {
                    moves.entry(case).or_default().push(entry);
                }
            }
        }
        Ok(moves)
    }
}

/// Whether a text can be a tracking number at all.
fn is_tracking(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

async fn file(
    tx: &mut Tx,
    registry: &Registry,
    new: NewRequest,
    now: Millis,
) -> Result<Reported, RegistryError> {
    let NewRequest { spot, hazard, sent } = new;
    if let Some(first) = sent.find_repeated(tx, Open311Kind::Request, now).await? {
        return Ok(first);
    }
    let finding = NewFinding {
        key: IdempotencyKey::fresh(),
        spot,
        hazard,
        source: Some(CaseSource::Api),
        description: sent.description(),
        contact: sent.contact.clone(),
        external_number: sent.external_id.clone(),
        phone_position: None,
        photos: sent.photos.clone(),
        actor: sent.actor.clone(),
        language: sent.language,
        origin: None,
    };
    let reported = intake::file(tx, registry, finding, (now, None)).await?;
    open311::add_record(tx, &sent.record(&reported, Open311Kind::Request, now)).await?;
    Ok(reported)
}

/// The report behind a request with the case that stands for it.
async fn find_request(tx: &mut Tx, tracking: &str) -> Result<(Report, Case), RegistryError> {
    let shown: String = tracking.chars().take(60).collect();
    let unknown = || RegistryError::NotFound(Refusal::new("open311.request_unknown").with("read", &shown));
    if !is_tracking(tracking) {
        return Err(unknown());
    }
    let report = cases::find_report(tx, tracking).await?.ok_or_else(unknown)?;
    let case = open311::find_followed(tx, report.id).await?.unwrap_or(report.case);
    let mut case = cases::find_case(tx, case).await?.ok_or_else(unknown)?;
    if let Some(target) = case.joined_to {
        case = cases::find_case(tx, target).await?.ok_or_else(unknown)?;
    }
    Ok((report, case))
}

async fn add_word(
    tx: &mut Tx,
    registry: &Registry,
    new: NewWord,
    now: Millis,
) -> Result<Reported, RegistryError> {
    let NewWord { request, status, sent } = new;
    if let Some(first) = sent.find_repeated(tx, Open311Kind::Word, now).await? {
        return Ok(first);
    }
    let (report, seen) = find_request(tx, &request).await?;
    let (case, head) = take_case(tx, &seen.number, &Actor::System).await?;
    let (ground, _) = ground_of(tx, &case).await?;
    let rules = registry.rule_book.active(tx, now).await?;
    let is_out_of_use = match case.cover {
        Some(cover) => covers::find_cover(tx, cover).await?.is_some_and(|file| file.retired.is_some()),
        None => false,
    };
    let goes_on = !case.state.is_open() && status.is_some_and(UpdateStatus::asks_for_more) && !is_out_of_use;
    let finding = Finding {
        manhole: case.manhole,
        cover: case.cover,
        head,
        ground,
        hazard: case.hazard,
        source: CaseSource::Api,
        known: (!goes_on).then(|| case.clone()),
        description: sent.description(),
        contact: sent.contact.clone(),
        external_number: sent.external_id.clone(),
        phone_position: None,
        photos: sent.photos.iter().map(|photo| ("report", photo.clone())).collect(),
        mended: false,
        actor: sent.actor.word(),
        story: Map::new(),
        language: sent.language,
        weighed: None,
    };
    let filed = filing::file(tx, registry, &rules, finding).await?;
    let reported = Reported {
        report: filed.report,
        tracking: filed.tracking,
        cover: filed.case.cover,
        joined: !filed.is_new,
        emergency: filed.case.emergency,
        case_number: filed.case.number,
    };
    let mut record = sent.record(&reported, Open311Kind::Word, now);
    record.follows = Some(report.id);
    open311::add_record(tx, &record).await?;
    if goes_on
        && filed.case.state != CaseState::Joined
        && !open311::follow(tx, report.id, filed.case.id).await?
    {
        let followed = Open311Record {
            report: report.id,
            kind: Open311Kind::Followed,
            case: Some(filed.case.id),
            external_id: None,
            follows: None,
            ..record
        };
        open311::add_record(tx, &followed).await?;
    }
    Ok(reported)
}
