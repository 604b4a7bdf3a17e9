//! 群众沟通: questions of the desk, words of whoever reported, and taps of those who stand in front of the same.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::cases::take_case;
use super::files::{self, NewEntry, PhotoHome};
use super::reports::{clean_text, standing_case};
use super::{AttachedPhoto, Call, Registry, RegistryError, citizen_messages, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, PHOTO_LIMIT, Report, TEXT_LIMIT};
use crate::domain::citizen::{CitizenWord, MessageKind, Rating, Voice};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{CaseId, IdempotencyKey, Millis, WordId};
use crate::domain::role::{Actor, Role};
use crate::domain::token::Token;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::ChainHead;
use crate::store::{StoreError, Tx, cases, citizens, plates};

/// What the desk writes to whoever reported.
#[derive(Debug, Clone)]
pub struct CityWord {
    pub key: IdempotencyKey,
    /// The case's number.
    pub number: String,
    /// Of the report; needed where a case has several.
    pub tracking: Option<String>,
    /// Nothing = what they wrote last needs no answer.
    pub text: String,
    pub actor: Actor,
}

/// What whoever reported writes.
#[derive(Debug, Clone)]
pub struct CitizenSays {
    pub key: IdempotencyKey,
    pub text: String,
    /// On disk already.
    pub photos: Vec<AttachedPhoto>,
}

/// What citizens say about a case, beside their reports.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CaseVoices {
    /// With the tracking number of the report, oldest first.
    pub words: Vec<(CitizenWord, String)>,
    pub ratings: Vec<(Rating, String)>,
    pub same_here: i64,
    pub released: Vec<crate::domain::ids::PhotoId>,
}

/// A word that nobody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWord {
    pub word: CitizenWord,
    pub tracking: String,
    pub case_number: String,
}

#[derive(Serialize, Deserialize)]
struct Said {
    word: Option<WordId>,
}

/// Most words of one voice on one report.
const WORD_LIMIT: usize = 50;
const OPEN_LIMIT: i64 = 500;
/// Role of a photo that came with a word.
const ANSWER_PHOTO: &str = "answer";

/// Who writes to citizens and hears what they write.
pub(super) fn needs_desk(actor: &Actor) -> Result<(), RegistryError> {
    match actor {
        Actor::System
        | Actor::Staff { role: Role::Handler | Role::Dispatcher | Role::Supervisor | Role::Admin, .. } => {
            Ok(())
        }
        _ => Err(RegistryError::Forbidden(Refusal::new("citizen.desk_only"))),
    }
}

/// What staff see of it; nothing personal for those who look after covers.
pub(super) async fn voices_of(tx: &mut Tx, case: CaseId, actor: &Actor) -> Result<CaseVoices, StoreError> {
    let photos = crate::store::photos::list_case_photos(tx, case).await?;
    let ids: Vec<_> = photos.iter().map(|photo| photo.id).collect();
    let released = citizens::list_released(tx, &ids).await?;
    let is_told = actor.may_see_contacts();
    Ok(CaseVoices {
        words: if is_told { citizens::list_case_words(tx, case).await? } else { Vec::new() },
        ratings: if is_told { citizens::list_case_ratings(tx, case).await? } else { Vec::new() },
        same_here: citizens::count_same_here(tx, case).await?,
        released: released.into_iter().map(|released| released.photo).collect(),
    })
}

impl Registry {
    /// Asks whoever reported something, or answers; they find it behind their link and are told where they want to be.
    pub async fn write_to_citizen(&self, mut word: CityWord) -> Result<Option<WordId>, RegistryError> {
        needs_desk(&word.actor)?;
        word.text = clean_text(&word.text, "text", TEXT_LIMIT)?;
        no_zero(&word.number)?;
        let tracking = word.tracking.clone().unwrap_or_default();
        let hash = sha256(&[word.number.as_bytes(), tracking.as_bytes(), word.text.as_bytes()]);
        let scope = format!("city_word:{}", word.actor.word());
        let now = self.now();
        let said = self
            .once::<Said, _>(Call { key: word.key, scope, hash, now }, move |tx| {
                let word = word.clone();
                Box::pin(async move { write(tx, word, now).await })
            })
            .await?;
        Ok(said.word)
    }

    /// Whoever reported writes something; `None` when no report has this address.
    pub async fn say_as_citizen(
        &self,
        link: &str,
        mut says: CitizenSays,
    ) -> Result<Option<WordId>, RegistryError> {
        says.text = clean_text(&says.text, "text", TEXT_LIMIT)?;
        if says.text.is_empty() && says.photos.is_empty() {
            return Err(Refusal::new("form.missing").at("text").with("field", "text").into());
        }
        if says.photos.len() > PHOTO_LIMIT {
            let refusal = Refusal::new("photo.too_many").at("photos").with("count", says.photos.len());
            return Err(refusal.with("most", PHOTO_LIMIT).into());
        }
        let Some(report) = self.find_linked(&mut self.store.read().await?, link).await? else {
            return Ok(None);
        };
        let photos: Vec<u8> = says.photos.iter().flat_map(|photo| photo.digest).collect();
        let hash = sha256(&[says.text.as_bytes(), &photos]);
        let scope = format!("citizen_word:{}", report.id);
        let now = self.now();
        let said = self
            .once::<Said, _>(Call { key: says.key, scope, hash, now }, move |tx| {
                let (says, report) = (says.clone(), report.clone());
                Box::pin(async move { say(tx, says, report, now).await })
            })
            .await?;
        Ok(said.word)
    }

    /// What citizens wrote and nobody answered, the longest first; of others than the desk nothing.
    pub async fn list_open_words(&self, actor: &Actor) -> Result<Vec<OpenWord>, RegistryError> {
        if !matches!(actor, Actor::Staff { role: Role::Dispatcher | Role::Supervisor | Role::Admin, .. }) {
            return Ok(Vec::new());
        }
        let open = citizens::list_open_words(&mut self.store.read().await?, OPEN_LIMIT).await?;
        let line = |(word, tracking, case_number)| OpenWord { word, tracking, case_number };
        Ok(open.into_iter().map(line).collect())
    }

    /// 我也遇到: somebody stands in front of a hazard that is known. Counted once a key; answers the case's cover, and
    /// refuses what is no longer open.
    pub async fn tap_same_here(
        &self,
        token: Token,
        hazard: Hazard,
        key: IdempotencyKey,
    ) -> Result<Option<crate::domain::ids::CoverId>, RegistryError> {
        let unknown = || RegistryError::NotFound(Refusal::new("plate.unknown").at("token"));
        let now = self.now();
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                Box::pin(async move {
                    let plate = plates::find_plate(tx, token).await?.ok_or_else(unknown)?;
                    let (Some(manhole), Some(cover)) = (plate.manhole, plate.cover) else {
                        return Err(Refusal::new("plate.blank").at("token").into());
                    };
                    let open = cases::list_open_cases(tx, manhole).await?;
                    let same = open.iter().find(|case| case.cover == Some(cover) && case.hazard == hazard);
                    let Some(case) = same else {
                        return Err(RegistryError::Conflict(Refusal::new("same_here.over").at("hazard")));
                    };
                    if citizens::add_same_here(tx, case.id, key, now).await? {
                        let changed = vec![(ChangeKind::Case, case.id.0), (ChangeKind::Cover, cover.0)];
                        feed::record(tx, now, News { events: Vec::new(), changed }).await?;
                    }
                    Ok(Some(cover))
                })
            })
            .await
    }

    /// How many tapped, of each of these cases in their order.
    pub async fn count_same_here(&self, cases: &[Case]) -> Result<Vec<i64>, RegistryError> {
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.store.read().await?;
        let mut counts = Vec::with_capacity(cases.len());
        for case in cases {
            counts.push(citizens::count_same_here(&mut tx, case.id).await?);
        }
        Ok(counts)
    }
}

pub(super) fn no_zero(number: &str) -> Result<(), RegistryError> {
    match number.contains('\0') {
        true => Err(RegistryError::NotFound(Refusal::new("case.unknown").with("read", "\\0"))),
        false => Ok(()),
    }
}

/// The report that a word of the desk is for.
async fn find_addressee(tx: &mut Tx, case: &Case, tracking: Option<&str>) -> Result<Report, RegistryError> {
    let Some(tracking) = tracking else {
        let mut reports = cases::list_case_reports(tx, case.id).await?;
        if reports.len() > 1 {
            return Err(Refusal::new("citizen.which_report").at("tracking").into());
        }
        let none = || RegistryError::NotFound(Refusal::new("report.unknown").at("tracking"));
        return reports.pop().ok_or_else(none);
    };
    let shown: String = tracking.chars().take(60).collect();
    let other = || Refusal::new("citizen.other_report").at("tracking").with("read", shown);
    if tracking.contains('\0') {
        return Err(other().into());
    }
    let Some(report) = cases::find_report(tx, &tracking.to_ascii_uppercase()).await? else {
        return Err(other().into());
    };
    match standing_case(tx, report.case).await? {
        Some(stands) if stands.id == case.id || report.case == case.id => Ok(report),
        _ => Err(other().into()),
    }
}

async fn write(tx: &mut Tx, word: CityWord, now: Millis) -> Result<Said, RegistryError> {
    let (case, head) = take_case(tx, &word.number, &word.actor).await?;
    let report = find_addressee(tx, &case, word.tracking.as_deref()).await?;
    let answered = citizens::answer_words(tx, report.id, Voice::Citizen.as_str(), now).await?;
    if word.text.is_empty() {
        if answered == 0 {
            return Err(Refusal::new("form.missing").at("text").with("field", "text").into());
        }
        let changed = vec![(ChangeKind::Case, case.id.0)];
        feed::record(tx, now, News { events: Vec::new(), changed }).await?;
        return Ok(Said { word: None });
    }
    let said = CitizenWord {
        id: WordId::fresh(),
        report: report.id,
        voice: Voice::City,
        text: word.text,
        actor: word.actor.word(),
        created_at: now,
        answered_at: None,
    };
    let told = keep_word(tx, (&case, head), &report, &said, &[]).await?;
    let mut events = citizen_messages::tell_reporter(
        tx,
        &report,
        Some(&case),
        (MessageKind::Question, Some(said.id)),
        now,
    )
    .await?;
    events.insert(0, told);
    feed::record(tx, now, News { events, changed: vec![(ChangeKind::Case, case.id.0)] }).await?;
    Ok(Said { word: Some(said.id) })
}

async fn say(tx: &mut Tx, says: CitizenSays, report: Report, now: Millis) -> Result<Said, RegistryError> {
    let unknown = || RegistryError::NotFound(Refusal::new("report.unknown"));
    let stands = standing_case(tx, report.case).await?.ok_or_else(unknown)?;
    let (case, head) = take_case(tx, &stands.number, &Actor::System).await?;
    let before = citizens::list_report_words(tx, report.id).await?;
    if before.iter().filter(|word| word.voice == Voice::Citizen).count() >= WORD_LIMIT {
        return Err(RegistryError::Conflict(Refusal::new("citizen.too_many_words").with("most", WORD_LIMIT)));
    }
    citizens::answer_words(tx, report.id, Voice::City.as_str(), now).await?;
    let said = CitizenWord {
        id: WordId::fresh(),
        report: report.id,
        voice: Voice::Citizen,
        text: says.text,
        actor: Actor::Citizen.word(),
        created_at: now,
        answered_at: None,
    };
    let home = PhotoHome {
        manhole: case.manhole,
        cover: case.cover,
        case: Some(report.case),
        report: Some(report.id),
    };
    files::attach_photos(tx, home, ANSWER_PHOTO, &says.photos, now).await?;
    let told = keep_word(tx, (&case, head), &report, &said, &says.photos).await?;
    feed::record(tx, now, News { events: vec![told], changed: vec![(ChangeKind::Case, case.id.0)] }).await?;
    Ok(Said { word: Some(said.id) })
}

/// Keeps a word with its line in the file, which holds its hash alone; answers what the outbox hears.
async fn keep_word(
    tx: &mut Tx,
    (case, head): (&Case, ChainHead),
    report: &Report,
    word: &CitizenWord,
    photos: &[AttachedPhoto],
) -> Result<(String, String), RegistryError> {
    citizens::add_word(tx, word).await?;
    let body = json!({
        "case": case.number,
        "report": report.tracking,
        "voice": word.voice,
        "word": word.id,
        "text_sha256": super::hex(&Sha256::digest(word.text.as_bytes())),
        "photos": files::digest_list(photos),
    });
    let actor = word.actor.clone();
    let entry = NewEntry { actor, kind: HistoryKind::CitizenWord, case: Some(case.id), body };
    files::append(tx, case.manhole, head, word.created_at, vec![entry]).await?;
    let body = json!({"case": case.number, "report": report.tracking, "voice": word.voice});
    Ok(("citizen.word".to_owned(), body.to_string()))
}
