//! 上报: what a citizen says about a cover, and what they hear of it.

use serde::{Deserialize, Serialize};

use super::abuse::Origin;
use super::report_desk::Arrived;
use super::{AttachedPhoto, Registry, RegistryError, base32, same_secret, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseMove, CaseState, PHOTO_LIMIT, PhonePosition, Report, TEXT_LIMIT};
use crate::domain::citizen::{CitizenWord, Rating, ReleasedPhoto};
use crate::domain::cover::{CoverFile, Party};
use crate::domain::hazard::Hazard;
use crate::domain::history::HistoryEntry;
use crate::domain::ids::{CaseId, CoverId, IdempotencyKey, PhotoId, ReportId};
use crate::domain::token::Token;
use crate::store::cases as case_store;
use crate::store::photos::PhotoRecord;
use crate::store::{Tx, citizens, covers, people};

/// What a citizen sends.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// Made by the phone; the same key gives the same answer.
    pub key: IdempotencyKey,
    pub token: Token,
    pub hazard: Hazard,
    pub description: String,
    pub contact: Option<String>,
    pub phone_position: Option<PhonePosition>,
    /// On disk already.
    pub photos: Vec<AttachedPhoto>,
    /// `zh-CN` or `en`: in which the citizen is answered.
    pub language: &'static str,
    /// Where it comes from; `None` where that is known by an account.
    pub origin: Option<Origin>,
}

/// What the citizen gets back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    pub report: ReportId,
    /// To be read out on the phone, e.g. `R2026-000123`.
    pub tracking: String,
    pub case_number: String,
    /// `None` where no cover is known.
    pub cover: Option<CoverId>,
    /// Whether it joined a case that was open already.
    pub joined: bool,
    pub emergency: bool,
}

/// What the tracking page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracked {
    pub report: Report,
    /// The case it belongs to; the one in which it ended up, where it was joined to another.
    pub case: Case,
    pub cover: Option<CoverFile>,
    /// Who handles it.
    pub party: Option<Party>,
    pub timeline: Vec<HistoryEntry>,
    /// Photos of this report, and those of the work that were released.
    pub photos: Vec<PhotoRecord>,
    pub released: Vec<ReleasedPhoto>,
    /// Whether there are photos of the work that nobody has released yet.
    pub result_waits: bool,
    /// What the desk and whoever reported wrote to each other, oldest first.
    pub words: Vec<CitizenWord>,
    pub rating: Option<Rating>,
    /// Link to the report by which they said that it is not mended.
    pub again: Option<String>,
    /// How many more tapped that they stand in front of the same.
    pub same_here: i64,
}

pub(super) const CONTACT_LIMIT: usize = 100;
/// Characters of the secret part of a tracking link: 80 bits.
const SECRET_CHARS: usize = 16;

impl Registry {
    /// Files what a citizen says. Emergencies are filed as a case at once; a report on a cover and
    /// hazard that has an open case joins it.
    pub async fn report_hazard(&self, new: NewReport) -> Result<Reported, RegistryError> {
        let new = checked(new)?;
        let request_hash = request_hash(&new);
        let place = new.phone_position;
        let weighed = match &new.origin {
            Some(origin) => {
                Some(self.weigh_origin(origin, &new.token.to_i64().to_be_bytes(), self.now()).await?)
            }
            None => None,
        };
        let reported = self.report_desk.file(Arrived { new, request_hash, weighed }).await?;
        if let (Some(cover), Some(place)) = (reported.cover, place) {
            self.weigh_sighting(cover, place).await;
        }
        Ok(reported)
    }

    /// The last part of a tracking address: tracking number and secret. It opens one report to
    /// whoever has it, so it is shown to the citizen and never logged.
    pub fn tracking_link(&self, reported: &Reported) -> String {
        self.link_of(&reported.tracking, reported.report)
    }

    fn tracking_secret(&self, report: ReportId) -> String {
        let digest = sha256(&[b"tracking", self.instance_secret.as_slice(), report.0.as_bytes()]);
        base32(&digest[..SECRET_CHARS * 5 / 8])
    }

    /// The report behind a tracking address; `None` for every address that does not fit, so that
    /// nobody learns which tracking numbers exist.
    pub async fn find_tracked(&self, link: &str) -> Result<Option<Tracked>, RegistryError> {
        let mut tx = self.store.read().await?;
        let Some(report) = self.find_linked(&mut tx, link).await? else { return Ok(None) };
        let Some(case) = standing_case(&mut tx, report.case).await? else { return Ok(None) };
        let cover = match case.cover {
            Some(cover) => covers::find_cover(&mut tx, cover).await?,
            None => None,
        };
        let party = match case.party {
            Some(party) => people::find_party(&mut tx, party).await?,
            None => None,
        };
        let timeline = crate::store::history::list_case_entries(&mut tx, case.id).await?;
        let mut photos = crate::store::photos::list_case_photos(&mut tx, case.id).await?;
        if report.case != case.id {
            photos.extend(crate::store::photos::list_case_photos(&mut tx, report.case).await?);
        }
        let ids: Vec<PhotoId> = photos.iter().map(|photo| photo.id).collect();
        let mut released = citizens::list_released(&mut tx, &ids).await?;
        let is_closed = case.state == CaseState::Closed;
        let of_closing = |photo: &PhotoRecord| photo.role == CaseMove::Close.as_str();
        let result_waits = is_closed && released.is_empty() && photos.iter().any(of_closing);
        released.retain(|_| is_closed);
        photos.retain(|photo| {
            photo.report == Some(report.id) || released.iter().any(|one| one.photo == photo.id)
        });
        let rating = citizens::find_rating(&mut tx, report.id).await?;
        let again = match rating.as_ref().and_then(|rating| rating.again) {
            Some(again) => case_store::find_report_by_id(&mut tx, again).await?,
            None => None,
        };
        Ok(Some(Tracked {
            words: citizens::list_report_words(&mut tx, report.id).await?,
            same_here: citizens::count_same_here(&mut tx, case.id).await?,
            again: again.map(|again| self.link_of(&again.tracking, again.id)),
            rating,
            report,
            case,
            cover,
            party,
            timeline,
            photos,
            released,
            result_waits,
        }))
    }

    /// The report that a tracking address opens.
    pub(super) async fn find_linked(&self, tx: &mut Tx, link: &str) -> Result<Option<Report>, RegistryError> {
        let Some((tracking, secret)) = link.rsplit_once('-') else { return Ok(None) };
        if tracking.len() > 40 || !tracking.is_ascii() || tracking.contains('\0') {
            return Ok(None);
        }
        let found = case_store::find_report(tx, &tracking.to_ascii_uppercase()).await?;
        Ok(found.filter(|report| {
            let known = self.tracking_secret(report.id);
            same_secret(secret.to_ascii_uppercase().as_bytes(), known.as_bytes())
        }))
    }

    pub(super) fn link_of(&self, tracking: &str, report: ReportId) -> String {
        format!("{tracking}-{}", self.tracking_secret(report))
    }
}

/// The case in which another one ended up. What it was joined to may have been joined to another one since. There is no
/// ring: only what is open is joined to, and what was joined never opens again.
pub(super) async fn standing_case(tx: &mut Tx, case: CaseId) -> Result<Option<Case>, RegistryError> {
    let Some(mut case) = case_store::find_case(tx, case).await? else { return Ok(None) };
    while let Some(target) = case.joined_to
        && let Some(joined) = case_store::find_case(tx, target).await?
    {
        case = joined;
    }
    Ok(Some(case))
}

/// The checks a report must pass before anything is written.
fn checked(mut new: NewReport) -> Result<NewReport, Refusal> {
    new.description = clean_text(&new.description, "description", TEXT_LIMIT)?;
    new.contact = match new.contact {
        Some(contact) => {
            Some(clean_text(&contact, "contact", CONTACT_LIMIT)?).filter(|contact| !contact.is_empty())
        }
        None => None,
    };
    if new.photos.len() > PHOTO_LIMIT {
        return Err(Refusal::new("photo.too_many")
            .at("photos")
            .with("count", new.photos.len())
            .with("most", PHOTO_LIMIT));
    }
    if let Some(at) = &new.phone_position {
        at.check()?;
    }
    Ok(new)
}

/// Trims a text and refuses one that is too long or holds control characters.
pub(super) fn clean_text(text: &str, field: &'static str, limit: usize) -> Result<String, Refusal> {
    let text = text.trim().replace("\r\n", "\n");
    let count = text.chars().count();
    if count > limit {
        return Err(Refusal::new("text.too_long").at(field).with("count", count).with("most", limit));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Refusal::new("text.control_character").at(field));
    }
    Ok(text)
}

fn request_hash(new: &NewReport) -> [u8; 32] {
    let position =
        new.phone_position.map(|at| [at.lon, at.lat].map(f64::to_be_bytes).concat()).unwrap_or_default();
    let photos: Vec<u8> = new.photos.iter().flat_map(|photo| photo.digest).collect();
    sha256(&[
        &new.token.to_i64().to_be_bytes(),
        new.hazard.as_str().as_bytes(),
        new.description.as_bytes(),
        new.contact.as_deref().unwrap_or_default().as_bytes(),
        &position,
        &photos,
    ])
}
