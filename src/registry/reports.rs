//! 上报: what a citizen says about a cover, and what they hear of it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::files::{self, NewEntry, PhotoHome};
use super::{AttachedPhoto, Registry, RegistryError, base32, same_secret, sha256};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseState, PHOTO_LIMIT, PhonePosition, Report, TEXT_LIMIT};
use crate::domain::cover::{CoverFile, Party};
use crate::domain::hazard::Hazard;
use crate::domain::history::{HistoryEntry, HistoryKind};
use crate::domain::ids::{CaseId, CoverId, IdempotencyKey, ManholeId, Millis, ReportId};
use crate::domain::position;
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::store::cases::{self as case_store, PhotoRecord};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{Tx, covers, people, plates};

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
}

/// What the citizen gets back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    pub report: ReportId,
    /// To be read out on the phone, e.g. `R2026-000123`.
    pub tracking: String,
    pub case_number: String,
    /// Whether it joined a case that was open already.
    pub joined: bool,
    pub emergency: bool,
}

/// What the tracking page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracked {
    pub report: Report,
    /// The case it belongs to; the one it was joined to, where it was.
    pub case: Case,
    pub cover: Option<CoverFile>,
    /// Who handles it.
    pub party: Option<Party>,
    pub timeline: Vec<HistoryEntry>,
    /// Photos of this report and those that came with the closing.
    pub photos: Vec<PhotoRecord>,
}

const CONTACT_LIMIT: usize = 100;
/// Characters of the secret part of a tracking link: 80 bits.
const SECRET_CHARS: usize = 16;

impl Registry {
    /// Files what a citizen says. Emergencies are filed as a case at once; a report on a cover and
    /// hazard that has an open case joins it.
    pub async fn report_hazard(&self, new: NewReport) -> Result<Reported, RegistryError> {
        let new = checked(new)?;
        let request_hash = request_hash(&new);
        let now = self.now();
        let year = self.year_of(now);
        self.store
            .write::<Reported, RegistryError, _>(move |tx| {
                let new = new.clone();
                Box::pin(async move {
                    if let Some(first) =
                        super::repeat_or_claim(tx, new.key, "report", &request_hash, now).await?
                    {
                        return Ok(first);
                    }
                    let reported = file_report(tx, &new, now, year).await?;
                    super::keep_answer(tx, new.key, &reported).await?;
                    Ok(reported)
                })
            })
            .await
    }

    /// The last part of a tracking address: tracking number and secret. It opens one report to
    /// whoever has it, so it is shown to the citizen and never logged.
    pub fn tracking_link(&self, reported: &Reported) -> String {
        format!("{}-{}", reported.tracking, self.tracking_secret(reported.report))
    }

    fn tracking_secret(&self, report: ReportId) -> String {
        let digest = sha256(&[b"tracking", self.instance_secret.as_slice(), report.0.as_bytes()]);
        base32(&digest[..SECRET_CHARS * 5 / 8])
    }

    /// The report behind a tracking address; `None` for every address that does not fit, so that
    /// nobody learns which tracking numbers exist.
    pub async fn find_tracked(&self, link: &str) -> Result<Option<Tracked>, RegistryError> {
        let Some((tracking, secret)) = link.rsplit_once('-') else { return Ok(None) };
        if tracking.len() > 40 || !tracking.is_ascii() || tracking.contains('\0') {
            return Ok(None);
        }
        let mut tx = self.store.read().await?;
        let Some(report) = case_store::find_report(&mut tx, &tracking.to_ascii_uppercase()).await? else {
            return Ok(None);
        };
        if !same_secret(secret.to_ascii_uppercase().as_bytes(), self.tracking_secret(report.id).as_bytes()) {
            return Ok(None);
        }
        let Some(mut case) = case_store::find_case(&mut tx, report.case).await? else { return Ok(None) };
        if let Some(target) = case.joined_to
            && let Some(joined) = case_store::find_case(&mut tx, target).await?
        {
            case = joined;
        }
        let cover = match case.cover {
            Some(cover) => covers::find_cover(&mut tx, cover).await?,
            None => None,
        };
        let party = match case.party {
            Some(party) => people::find_party(&mut tx, party).await?,
            None => None,
        };
        let timeline = crate::store::history::list_case_entries(&mut tx, case.id).await?;
        let mut photos = case_store::list_case_photos(&mut tx, case.id).await?;
        if report.case != case.id {
            photos.extend(case_store::list_case_photos(&mut tx, report.case).await?);
        }
        photos.retain(|photo| {
            photo.report == Some(report.id) || (photo.report.is_none() && case.state == CaseState::Closed)
        });
        Ok(Some(Tracked { report, case, cover, party, timeline, photos }))
    }
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
        position::check_degrees(at.lon, at.lat)?;
        if !at.accuracy_m.is_finite() || at.accuracy_m < 0.0 {
            return Err(Refusal::new("position.accuracy").at("accuracy_m").with("read", at.accuracy_m));
        }
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

async fn file_report(
    tx: &mut Tx,
    new: &NewReport,
    now: Millis,
    year: i32,
) -> Result<Reported, RegistryError> {
    let Some(plate) = plates::find_plate(tx, new.token).await? else {
        return Err(RegistryError::NotFound(Refusal::new("plate.unknown").at("token")));
    };
    let (Some(manhole), Some(cover)) = (plate.manhole, plate.cover) else {
        return Err(RegistryError::Refused(Refusal::new("plate.blank").at("token")));
    };
    // Takes the file first: reports on one cover queue here, so two cannot both open a case.
    let file = files::lock(tx, manhole).await?;
    let open = case_store::list_open_cases(tx, manhole).await?;
    let joins = open.into_iter().find(|case| case.cover == Some(cover) && case.hazard == new.hazard);
    let joined = joins.is_some();
    let [case_number, report_number] = people::advance_counters(
        tx,
        [(&format!("case:{year}"), i64::from(!joined)), (&format!("report:{year}"), 1)],
    )
    .await?;
    let report = Report {
        id: ReportId::fresh(),
        tracking: format!("R{year}-{report_number:06}"),
        case: joins.as_ref().map_or_else(CaseId::fresh, |case| case.id),
        hazard: new.hazard,
        description: new.description.clone(),
        contact: new.contact.clone(),
        phone_position: new.phone_position,
        created_at: now,
    };
    let (case, filed) = match joins {
        Some(case) => (join_open_case(tx, case, now).await?, None),
        None => {
            let number = format!("{year}-{case_number:06}");
            let (case, filed) = new_case(&report, number, (manhole, cover));
            case_store::add_case(tx, &case, &file.district).await?;
            (case, filed)
        }
    };
    case_store::add_report(tx, &report, new.language).await?;
    let home = PhotoHome { manhole, case: case.id, report: Some(report.id) };
    files::attach_photos(tx, home, "report", &new.photos, now).await?;
    // What the citizen wrote stays in the report row: a file that is never rewritten must not hold
    // personal data that a law may order removed. Its hash is enough to prove it later.
    let body = json!({
        "report": report.tracking,
        "hazard": new.hazard,
        "description_sha256": super::hex(&sha256(&[new.description.as_bytes()])),
        "photos": files::digest_list(&new.photos),
    });
    let kind = if joined { HistoryKind::ReportJoined } else { HistoryKind::Reported };
    let mut entries = vec![NewEntry { actor: Actor::Citizen.word(), kind, case: Some(case.id), body }];
    entries.extend(filed);
    files::append(tx, manhole, file.head, now, entries).await?;
    let event = match (joined, case.state) {
        (true, _) => "report.joined",
        (false, CaseState::Filed) => "case.filed",
        (false, _) => "case.reported",
    };
    let body =
        json!({"case": case.number, "hazard": case.hazard, "emergency": case.emergency, "state": case.state});
    let changed = vec![(ChangeKind::Case, case.id.0), (ChangeKind::Cover, cover.0)];
    let news = News { event: Some((event.to_owned(), body.to_string())), changed };
    feed::record(tx, now, news).await?;
    Ok(Reported {
        report: report.id,
        tracking: report.tracking,
        case_number: case.number,
        joined,
        emergency: case.emergency,
    })
}

async fn join_open_case(tx: &mut Tx, mut case: Case, now: Millis) -> Result<Case, RegistryError> {
    let expected = case.version;
    case.report_count += 1;
    case.updated_at = now;
    case.version += 1;
    if case_store::update_case(tx, &case, expected).await? {
        Ok(case)
    } else {
        Err(RegistryError::Conflict(Refusal::new("case.moved_meanwhile")))
    }
}

/// A new case; filed at once when it is an emergency, because nobody may be at the desk.
fn new_case(
    report: &Report,
    number: String,
    (manhole, cover): (ManholeId, CoverId),
) -> (Case, Option<NewEntry>) {
    let emergency = report.hazard.is_emergency();
    let case = Case {
        id: report.case,
        number,
        manhole,
        cover: Some(cover),
        hazard: report.hazard,
        state: if emergency { CaseState::Filed } else { CaseState::Reported },
        emergency,
        report_count: 1,
        party: None,
        handed_in_by: None,
        joined_to: None,
        until: None,
        created_at: report.created_at,
        updated_at: report.created_at,
        closed_at: None,
        version: 1,
    };
    let filed = emergency.then(|| NewEntry {
        actor: Actor::System.word(),
        kind: HistoryKind::CaseMoved,
        case: Some(case.id),
        body: json!({"case": case.number, "move": "file", "from": "reported", "to": "filed", "why": "emergency"}),
    });
    (case, filed)
}
