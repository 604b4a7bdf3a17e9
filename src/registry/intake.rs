//! 受理: reports without a plate: by citizens who name a place or a cover, and by staff of every kind, whatever they
//! found or were told on the telephone.

use serde_json::{Map, json};

use super::abuse::{Origin, Weighed};
use super::case_flow::Ground;
use super::cases::take_case;
use super::filing::{self, Finding};
use super::reports::{CONTACT_LIMIT, clean_text};
use super::{AttachedPhoto, Call, Registry, RegistryError, Reported, amend, sha256, user_areas};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::case::{CaseSource, PHOTO_LIMIT, PhonePosition, TEXT_LIMIT};
use crate::domain::cover::CoverFile;
use crate::domain::hazard::Hazard;
use crate::domain::ids::{IdempotencyKey, ManholeId, Millis};
use crate::domain::position::{Position, PositionMethod, RawPosition};
use crate::domain::role::{Actor, Role};
use crate::spatial::{AreaIndex, BBox};
use crate::store::history::ChainHead;
use crate::store::{Tx, areas, cases, covers, structure};

const EXTERNAL_LIMIT: usize = 60;
/// How far the next manhole may lie from a place whose district no outline tells.
const NEIGHBOR_M: f64 = 2000.0;
/// Reference system of what a phone says: degrees of CGCS2000.
const DEGREES: u32 = 4490;

/// Where something was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Spot {
    /// The official code of a cover.
    Cover(String),
    /// A place without a known cover.
    Place(PhonePosition),
    /// An open case of which this is one more report.
    Case(String),
}

/// What somebody found.
#[derive(Debug, Clone)]
pub struct NewFinding {
    pub key: IdempotencyKey,
    pub spot: Spot,
    pub hazard: Hazard,
    /// `None` = what the role of whoever says it makes of it.
    pub source: Option<CaseSource>,
    pub description: String,
    pub contact: Option<String>,
    /// 热线工单号
    pub external_number: Option<String>,
    pub phone_position: Option<PhonePosition>,
    /// On disk already.
    pub photos: Vec<AttachedPhoto>,
    pub actor: Actor,
    /// In which whoever reported it is answered.
    pub language: &'static str,
    /// Where it comes from; `None` where that is known by an account.
    pub origin: Option<Origin>,
}

impl Registry {
    /// Files what was found, as a case of its own or with the open one of the same cover and hazard.
    pub async fn file_finding(&self, new: NewFinding) -> Result<Reported, RegistryError> {
        let new = checked(new)?;
        let request_hash = request_hash(&new);
        let now = self.now();
        let scope = format!("finding:{}", new.actor.word());
        let registry = self.clone();
        let weighed = match &new.origin {
            Some(origin) => Some(self.weigh_origin(origin, &place_of(&new.spot), now).await?),
            None => None,
        };
        self.once::<Reported, _>(Call { key: new.key, scope, hash: request_hash, now }, move |tx| {
            let (registry, new, weighed) = (registry.clone(), new.clone(), weighed.clone());
            Box::pin(async move { file(tx, &registry, new, (now, weighed)).await })
        })
        .await
    }
}

fn checked(mut new: NewFinding) -> Result<NewFinding, RegistryError> {
    let optional = |text: Option<String>, field, limit| -> Result<Option<String>, Refusal> {
        let text = text.map(|text| clean_text(&text, field, limit)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    };
    new.description = clean_text(&new.description, "description", TEXT_LIMIT)?;
    new.contact = optional(new.contact, "contact", CONTACT_LIMIT)?;
    new.external_number = optional(new.external_number, "external_number", EXTERNAL_LIMIT)?;
    if new.photos.len() > PHOTO_LIMIT {
        let refusal = Refusal::new("photo.too_many").at("photos").with("count", new.photos.len());
        return Err(refusal.with("most", PHOTO_LIMIT).into());
    }
    for at in [&new.phone_position, &new.spot.place()].into_iter().flatten() {
        at.check()?;
    }
    if let Spot::Cover(text) | Spot::Case(text) = &new.spot
        && text.contains('\0')
    {
        return Err(RegistryError::NotFound(Refusal::new("cover.unknown").at("cover").with("read", "\\0")));
    }
    new.source = Some(source_of(&new)?);
    Ok(new)
}

impl Spot {
    fn place(&self) -> Option<PhonePosition> {
        match self {
            Spot::Place(place) => Some(*place),
            _ => None,
        }
    }
}

/// Who may say what of where it comes from.
fn source_of(new: &NewFinding) -> Result<CaseSource, Refusal> {
    let usual = match &new.actor {
        Actor::Citizen => CaseSource::CitizenPlace,
        Actor::System => CaseSource::Watch,
        Actor::Staff { role, .. } => match role {
            Role::Crew | Role::Engineer => CaseSource::Patrol,
            Role::GridWorker => CaseSource::GridWorker,
            Role::Handler => CaseSource::OwnerPatrol,
            Role::Dispatcher => CaseSource::Hotline,
            Role::Supervisor => CaseSource::KeyInspection,
            Role::Admin => CaseSource::Api,
        },
    };
    let may_choose = matches!(
        new.actor,
        Actor::System | Actor::Staff { role: Role::Dispatcher | Role::Supervisor | Role::Admin, .. }
    );
    match new.source {
        Some(source) if source != usual && !may_choose => {
            Err(Refusal::new("finding.source").at("source").with("read", source).with("fits", usual))
        }
        Some(source) => Ok(source),
        None => Ok(usual),
    }
}

/// What of a spot is counted together: the cover, or some 100 m.
fn place_of(spot: &Spot) -> Vec<u8> {
    match spot {
        Spot::Cover(text) | Spot::Case(text) => text.as_bytes().to_vec(),
        Spot::Place(place) => format!("{:.3} {:.3}", place.lon, place.lat).into_bytes(),
    }
}

fn request_hash(new: &NewFinding) -> [u8; 32] {
    let place = |at: &Option<PhonePosition>| {
        at.map(|at| [at.lon, at.lat].map(f64::to_be_bytes).concat()).unwrap_or_default()
    };
    let named = match &new.spot {
        Spot::Cover(code) => format!("cover {code}"),
        Spot::Case(number) => format!("case {number}"),
        Spot::Place(_) => String::new(),
    };
    let photos: Vec<u8> = new.photos.iter().flat_map(|photo| photo.digest).collect();
    sha256(&[
        named.as_bytes(),
        &place(&new.spot.place()),
        new.hazard.as_str().as_bytes(),
        new.source.map_or("", CaseSource::as_str).as_bytes(),
        new.description.as_bytes(),
        new.contact.as_deref().unwrap_or_default().as_bytes(),
        new.external_number.as_deref().unwrap_or_default().as_bytes(),
        &place(&new.phone_position),
        &photos,
    ])
}

/// Files a finding that passed its checks, within a transaction.
pub(super) async fn file(
    tx: &mut Tx,
    registry: &Registry,
    new: NewFinding,
    (now, weighed): (Millis, Option<Weighed>),
) -> Result<Reported, RegistryError> {
    let rules = registry.rule_book.active(tx, now).await?;
    let mut finding = Finding {
        manhole: ManholeId::fresh(),
        cover: None,
        head: ChainHead { length: 0, hash: [0; 32] },
        ground: Ground::unknown(String::new()),
        hazard: new.hazard,
        source: new.source.unwrap_or(CaseSource::Api),
        known: None,
        description: new.description,
        contact: new.contact,
        external_number: new.external_number,
        phone_position: new.phone_position.or(new.spot.place()),
        photos: new.photos.into_iter().map(|photo| ("report", photo)).collect(),
        mended: false,
        actor: new.actor.word(),
        story: Map::new(),
        language: new.language,
        weighed,
    };
    let spot = match new.spot {
        Spot::Cover(code) => {
            let found = find_spot_cover(tx, &code).await?;
            let taken = amend::take(tx, found.cover).await?;
            refuse_retired(&taken.file)?;
            finding.manhole = taken.file.manhole;
            finding.cover = Some(taken.file.cover);
            finding.ground = Ground::of(&taken.file);
            finding.head = taken.locked.head;
            let position = &taken.file.survey.position;
            (position.lon, position.lat)
        }
        Spot::Case(number) => {
            // Whoever files may not see the case; that there is one they were told by the list of similar ones.
            let (case, head) = take_case(tx, &number, &Actor::System).await?;
            if !case.state.is_open() {
                let refusal = Refusal::new("case.target_unfit").at("case").with("read", number);
                return Err(RegistryError::Conflict(refusal));
            }
            let (ground, spot) = super::cases::ground_of(tx, &case).await?;
            finding.ground = ground;
            finding.manhole = case.manhole;
            finding.cover = case.cover;
            finding.head = head;
            finding.known = Some(case);
            spot
        }
        Spot::Place(place) => {
            let district = district_at(tx, &place).await?;
            found_place(tx, finding.manhole, &district, &place, now).await?;
            finding.ground = Ground::unknown(district);
            finding.story.insert("place".to_owned(), json!("without_cover"));
            (place.lon, place.lat)
        }
    };
    let asked = (&new.actor, finding.source);
    user_areas::keep_to_own(tx, asked, (spot, &finding.ground.district)).await?;
    let filed = filing::file(tx, registry, &rules, finding).await?;
    Ok(Reported {
        report: filed.report,
        tracking: filed.tracking,
        case_number: filed.case.number,
        cover: filed.case.cover,
        joined: !filed.is_new,
        emergency: filed.case.emergency,
    })
}

/// The cover of a code as somebody typed it.
async fn find_spot_cover(tx: &mut Tx, code: &str) -> Result<CoverFile, RegistryError> {
    let digits: String = code.chars().filter(|c| !matches!(c, ' ' | '-')).take(64).collect();
    let unknown = || Refusal::new("cover.unknown").at("cover").with("read", code);
    let file = covers::find_cover_by_code(tx, &digits).await?;
    file.ok_or_else(|| RegistryError::NotFound(unknown()))
}

fn refuse_retired(file: &CoverFile) -> Result<(), RegistryError> {
    if file.retired.is_none() {
        return Ok(());
    }
    Err(RegistryError::Conflict(Refusal::new("cover.retired").with("code", &file.code.digits)))
}

/// Refuses a spot at which nothing could be filed; changes nothing.
pub(super) async fn look_at(tx: &mut Tx, spot: &Spot) -> Result<(), RegistryError> {
    match spot {
        Spot::Cover(code) => refuse_retired(&find_spot_cover(tx, code).await?),
        Spot::Place(place) => district_at(tx, place).await.map(drop),
        Spot::Case(number) => {
            let unknown = || RegistryError::NotFound(Refusal::new("case.unknown").with("read", number));
            cases::find_case_by_number(tx, number).await?.map(drop).ok_or_else(unknown)
        }
    }
}

/// A file for a place at which no cover is known: somebody has to go there, and what they find is written into it.
async fn found_place(
    tx: &mut Tx,
    id: ManholeId,
    district: &str,
    place: &PhonePosition,
    now: Millis,
) -> Result<(), RegistryError> {
    let position = Position {
        lon: place.lon,
        lat: place.lat,
        raw: RawPosition { x: place.lon, y: place.lat, epsg: DEGREES },
        method: PositionMethod::Phone,
        accuracy_m: Some(place.accuracy_m),
        surveyed_at: Some(now),
        device: None,
    };
    Ok(structure::add_place(tx, id, district, &position, now).await?)
}

/// The district in which a place lies; that of the next manhole where no outline says.
async fn district_at(tx: &mut Tx, place: &PhonePosition) -> Result<String, RegistryError> {
    let outlines = areas::list_areas(tx, AreaKind::District).await?;
    let index = AreaIndex::new(outlines.iter().map(|area| (area.code.as_str(), &area.shape)));
    if let Some(code) = index.find(place.lon, place.lat) {
        return Ok(code.to_owned());
    }
    let ranges: Vec<(i64, i64)> = BBox::around(place.lon, place.lat, NEIGHBOR_M)
        .key_ranges()
        .into_iter()
        .map(|range| (range.first, range.last))
        .collect();
    let neighbor = cases::find_neighbor_district(tx, &ranges, (place.lon, place.lat)).await?;
    neighbor.ok_or_else(|| RegistryError::Refused(Refusal::new("finding.outside").at("lon")))
}
