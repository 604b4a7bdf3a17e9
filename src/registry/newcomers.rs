//! 建档: a manhole that nobody knew gets a file, and its cover a code. Crews find such on the street, engineers enter
//! them by hand.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::areas::{DistrictOf, district_of};
use super::chunk::SurveyBody;
use super::editing;
use super::fields::{self, Known};
use super::packages;
use super::reports::clean_text;
use super::{Call, Registry, RegistryError, amend, sha256};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::case::TEXT_LIMIT;
use crate::domain::code::ComponentCode;
use crate::domain::cover::{Candidate, CoverClass, CoverFile, CoverState, Party, Survey};
use crate::domain::edit::CoverEdit;
use crate::domain::history::{EntryHash, HistoryEntry, HistoryKind};
use crate::domain::ids::{CoverId, IdempotencyKey, ManholeId, Millis};
use crate::domain::role::Actor;
use crate::spatial::AreaIndex;
use crate::store::history::ChainHead;
use crate::store::{StoreError, Tx, areas, bulk, covers};

/// How far a cover may lie whose district a newcomer shares where the city has no outlines, in meters.
const NEIGHBOR_M: f64 = 500.0;
/// Name of the source of covers that staff enter by hand.
const BY_HAND: &str = "desk";

/// A manhole with its cover, entered by hand.
#[derive(Debug, Clone)]
pub struct NewManhole {
    pub key: IdempotencyKey,
    pub actor: Actor,
    pub class: CoverClass,
    pub state: CoverState,
    /// What else is known of it, its position above all; without a district that of its place.
    pub edit: CoverEdit,
    /// As somebody types it; `None` = the next free one.
    pub code: Option<String>,
    /// Why it is another one, where a cover of its class lies close by.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
struct Registered {
    cover: CoverId,
}

impl Registry {
    /// Opens a file for a manhole with one cover. Refused where a cover of its class lies close by, unless a reason
    /// says that this is another one.
    pub async fn register_manhole(&self, mut new: NewManhole) -> Result<CoverFile, RegistryError> {
        new.reason = clean_text(&new.reason, "reason", TEXT_LIMIT)?;
        new.edit = fields::checked(new.edit)?;
        let NewManhole { class, state, edit, code, .. } = &new;
        let what =
            json!({"class": class, "state": state, "edit": edit, "position": edit.position, "code": code});
        let call = Call {
            key: new.key,
            scope: format!("register:{}", new.actor.word()),
            hash: sha256(&[what.to_string().as_bytes(), new.reason.as_bytes()]),
            now: self.now(),
        };
        let (registry, now) = (self.clone(), call.now);
        let registered = self
            .once::<Registered, _>(call, move |tx| {
                let (registry, new) = (registry.clone(), new.clone());
                Box::pin(async move { register_by_hand(tx, &registry, new, now).await })
            })
            .await?;
        let file = self.find_cover(registered.cover).await?;
        file.ok_or_else(|| StoreError::inconsistent("covers", "id", registered.cover).into())
    }
}

async fn register_by_hand(
    tx: &mut Tx,
    registry: &Registry,
    new: NewManhole,
    now: Millis,
) -> Result<Registered, RegistryError> {
    let NewManhole { class, state, edit, .. } = &new;
    let position = edit.position.clone().ok_or_else(|| Refusal::new("register.position").at("position"))?;
    let place = (position.lon, position.lat);
    let known = Known::read(tx, true).await?;
    let [owner, maintainer, supervisor] = [
        known.party(edit.owner.flatten(), "owner")?,
        known.party(edit.maintainer.flatten(), "maintainer")?,
        known.party(edit.supervisor.flatten(), "supervisor")?,
    ];
    let name = |party: &Option<Party>| party.as_ref().map(|party| party.name.clone());
    let text = |text: &Option<Option<String>>| text.clone().flatten();
    let district = match &edit.district {
        Some(district) => district.clone(),
        None => district_at(tx, place).await?,
    };
    let survey = Survey {
        district,
        class: *class,
        state: *state,
        position,
        road: text(&edit.road),
        address: text(&edit.address),
        placement: edit.placement.flatten(),
        material: edit.material.flatten(),
        shape: edit.shape.flatten(),
        load_class: edit.load_class.flatten(),
        owner: name(&owner),
        maintainer: name(&maintainer),
        supervisor: name(&supervisor),
        extra: edit.extra.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect(),
    };
    known.check_district(&survey)?;
    let scheme = registry.scheme(&registry.scheme)?;
    let code = match &new.code {
        None => editing::next_code(tx, scheme, &survey.district, *class).await?,
        Some(text) => {
            let (code, lift) = editing::read_code(scheme, text, &survey.district, *class)?;
            editing::refuse_taken(tx, registry, &code).await?;
            covers::lift_sequences(tx, &[lift]).await?;
            code
        }
    };
    if new.reason.is_empty()
        && let Some(nearest) =
            packages::close_to(tx, place, Some(*class), registry.crew.nearby_m).await?.first()
    {
        let refusal = Refusal::new("register.nearby").at("reason");
        let refusal = refusal.with("code", registry.grouped_code(&nearest.code));
        return Err(RegistryError::Conflict(refusal.with("meters", registry.crew.nearby_m)));
    }
    let more =
        if new.reason.is_empty() { Map::new() } else { Map::from_iter([("why".into(), json!(new.reason))]) };
    let newcomer = Newcomer { survey, parties: [owner, maintainer, supervisor], code, source: BY_HAND, more };
    let (file, _) = newcomer.enter(tx, &new.actor, now).await?;
    amend::tell(tx, now, [file.cover]).await?;
    Ok(Registered { cover: file.cover })
}

/// A manhole and its first cover on their way into the registry.
pub(super) struct Newcomer {
    pub(super) survey: Survey,
    /// Owner, maintainer, supervisor.
    pub(super) parties: [Option<Party>; 3],
    pub(super) code: ComponentCode,
    /// Who brought it.
    pub(super) source: &'static str,
    /// What the first entry says beside the survey.
    pub(super) more: Map<String, Value>,
}

impl Newcomer {
    /// Writes it, with the first entry of its file. The feed hears nothing of it yet.
    pub(super) async fn enter(
        self,
        tx: &mut Tx,
        actor: &Actor,
        now: Millis,
    ) -> Result<(CoverFile, ChainHead), RegistryError> {
        let Self { survey, parties, code, source, more } = self;
        let (cover, manhole) = (CoverId::fresh(), ManholeId::fresh());
        let mut body = json!({"source": source, "cover": cover, "scheme": code.scheme, "code": code.digits});
        if let (Some(body), Ok(Value::Object(survey))) =
            (body.as_object_mut(), serde_json::to_value(SurveyBody::of(&survey)))
        {
            body.extend(survey);
            body.extend(more);
        }
        let mut first_entry = HistoryEntry {
            manhole,
            sequence: 1,
            at: now,
            actor: actor.word(),
            kind: HistoryKind::Created,
            case: None,
            body: body.to_string(),
            hash: EntryHash::default(),
        };
        first_entry.hash = first_entry.expected_hash(&EntryHash::default());
        let head = ChainHead { length: 1, hash: first_entry.hash };
        let candidate = Candidate { line: 0, source_key: None, code: None, survey };
        let [owner, maintainer, supervisor] = parties.map(|party| party.map(|party| party.id));
        let new = bulk::NewCover {
            cover,
            manhole,
            code,
            candidate: &candidate,
            owner,
            maintainer,
            supervisor,
            source,
            first_entry,
        };
        let statements = bulk::prepare_covers(tx.engine(), vec![new], now);
        bulk::execute(tx, statements).await?;
        let file = covers::find_cover(tx, cover).await?;
        let file = file.ok_or_else(|| StoreError::inconsistent("covers", "id", cover))?;
        editing::refuse_shared_code(tx, &file).await?;
        Ok((file, head))
    }
}

/// The district in which something lies: by the outlines; in a city without them its only one, or that of
/// the nearest cover.
pub(super) async fn district_at(tx: &mut Tx, place: (f64, f64)) -> Result<String, RegistryError> {
    let known = covers::list_districts(tx).await?;
    let outlines = areas::list_areas(tx, AreaKind::District).await?;
    let index = AreaIndex::new(outlines.iter().map(|area| (area.code.as_str(), &area.shape)));
    if index.is_empty() {
        if let [only] = known.as_slice() {
            return Ok(only.code.clone());
        }
        let nearest = packages::nearest(tx, place, NEIGHBOR_M).await?;
        return nearest
            .map(|file| file.survey.district)
            .ok_or_else(|| Refusal::new("action.survey_district").at("position").into());
    }
    let locator = Mutex::new(index.into_locator());
    let found = {
        let mut locator = locator.lock().unwrap_or_else(PoisonError::into_inner);
        district_of(&mut locator, place, "")
    };
    match found {
        DistrictOf::Other(code) if known.iter().any(|district| district.code == code) => Ok(code),
        DistrictOf::Other(code) => {
            Err(Refusal::new("district.unknown").at("district").with("read", code).into())
        }
        DistrictOf::Same | DistrictOf::Outside => {
            let read = format!("{}, {}", place.0, place.1);
            Err(Refusal::new("position.outside_jurisdiction").at("position").with("read", read).into())
        }
    }
}
