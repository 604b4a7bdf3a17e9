//! 补录: a cover that nobody knew gets a file, a code and, where the crew has one in the hand, a plate.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::RegistryError;
use super::areas::{DistrictOf, district_of};
use super::chunk::SurveyBody;
use super::crew::{Noted, Work, gone};
use super::editing;
use super::fields;
use super::files::PhotoHome;
use super::packages;
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::cover::{Candidate, CoverState, Survey};
use crate::domain::crew::{CrewKind, FieldFix, NewFind};
use crate::domain::edit::CoverEdit;
use crate::domain::history::{EntryHash, HistoryEntry, HistoryKind};
use crate::domain::ids::{CoverId, ManholeId};
use crate::domain::plate::PlateFix;
use crate::domain::position::{Position, PositionMethod, RawPosition};
use crate::spatial::AreaIndex;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::history::ChainHead;
use crate::store::{Tx, areas, bulk, covers};

/// Name of the source of covers that crews find.
const FOUND: &str = "crew";
/// What phones say: WGS 84.
const PHONE_EPSG: u32 = 4326;
/// How far a cover may lie whose district a find shares where the city has no outlines, in meters.
const NEIGHBOR_M: f64 = 500.0;

impl Work {
    pub(super) async fn survey(&self, tx: &mut Tx, find: &NewFind) -> Result<Noted, RegistryError> {
        let fix =
            self.action.position.ok_or_else(|| Refusal::new("action.survey_position").at("position"))?;
        let survey = self.surveyed(tx, find, &fix).await?;
        let scheme = self.registry.scheme(&self.registry.scheme)?;
        // The number first: on PostgreSQL a second crew at the same place waits here, and then sees the
        // first one's cover.
        let code = editing::next_code(tx, scheme, &survey.district, survey.class).await?;
        let close = packages::nearby(tx, find, &fix, self.registry.crew.nearby_m).await?;
        if let Some(nearest) = close.first() {
            let code = self.registry.grouped_code(&nearest.code);
            let refusal = Refusal::new("cover.nearby").at("position").with("code", code);
            return Err(RegistryError::Conflict(refusal.with("meters", self.registry.crew.nearby_m)));
        }
        let (cover, manhole) = (CoverId::fresh(), ManholeId::fresh());
        let mut body = json!({"source": FOUND, "cover": cover, "scheme": code.scheme, "code": code.digits});
        if let (Some(body), Ok(Value::Object(survey))) =
            (body.as_object_mut(), serde_json::to_value(SurveyBody::of(&survey)))
        {
            body.extend(survey);
            body.extend(self.story(None));
        }
        let mut first_entry = HistoryEntry {
            manhole,
            sequence: 1,
            at: self.now,
            actor: self.actor.word(),
            kind: HistoryKind::Created,
            case: None,
            body: body.to_string(),
            hash: EntryHash::default(),
        };
        first_entry.hash = first_entry.expected_hash(&EntryHash::default());
        let head = ChainHead { length: 1, hash: first_entry.hash };
        let candidate = Candidate { line: 0, source_key: None, code: None, survey };
        let (owner, maintainer, supervisor) = (None, None, None);
        let new = bulk::NewCover {
            cover,
            manhole,
            code,
            candidate: &candidate,
            owner,
            maintainer,
            supervisor,
            source: FOUND,
            first_entry,
        };
        let statements = bulk::prepare_covers(tx.engine(), vec![new], self.now);
        bulk::execute(tx, statements).await?;
        let file = covers::find_cover(tx, cover).await?.ok_or_else(|| gone("covers", cover))?;
        editing::refuse_shared_code(tx, &file).await?;
        let mut noted = Noted { cover: Some(cover), ..Noted::of(CrewKind::Survey) };
        let here =
            PlateFix { lon: fix.lon, lat: fix.lat, accuracy_m: Some(fix.accuracy_m), distance_m: None };
        match find.token {
            Some(token) => {
                let plate = (token, find.spot, false);
                self.hang(tx, (&file, head), plate, Some(here), &mut noted).await?;
            }
            None => {
                let home = PhotoHome { manhole, cover: Some(cover), case: None, report: None };
                self.attach(tx, home).await?;
                let changed = vec![(ChangeKind::Cover, cover.0)];
                feed::record(tx, self.now, News { events: Vec::new(), changed }).await?;
            }
        }
        self.keep(tx, &noted, (find.token, Some(here)), None).await?;
        Ok(noted)
    }

    async fn surveyed(&self, tx: &mut Tx, find: &NewFind, fix: &FieldFix) -> Result<Survey, RegistryError> {
        let position = Position {
            lon: fix.lon,
            lat: fix.lat,
            raw: RawPosition { x: fix.lon, y: fix.lat, epsg: PHONE_EPSG },
            method: PositionMethod::Phone,
            accuracy_m: Some(fix.accuracy_m),
            surveyed_at: Some(fix.taken_at),
            device: None,
        };
        let texts = fields::checked(CoverEdit {
            position: Some(position.clone()),
            road: Some(find.road.clone()),
            address: Some(find.address.clone()),
            ..CoverEdit::default()
        })?;
        Ok(Survey {
            district: district_at(tx, fix).await?,
            class: find.class,
            state: CoverState::Intact,
            position,
            road: texts.road.flatten(),
            address: texts.address.flatten(),
            placement: find.placement,
            material: None,
            shape: None,
            load_class: None,
            owner: None,
            maintainer: None,
            supervisor: None,
            extra: Default::default(),
        })
    }
}

/// The district in which something lies: by the outlines; in a city without them its only one, or that of
/// the nearest cover.
async fn district_at(tx: &mut Tx, fix: &FieldFix) -> Result<String, RegistryError> {
    let known = covers::list_districts(tx).await?;
    let outlines = areas::list_areas(tx, AreaKind::District).await?;
    let index = AreaIndex::new(outlines.iter().map(|area| (area.code.as_str(), &area.shape)));
    if index.is_empty() {
        if let [only] = known.as_slice() {
            return Ok(only.code.clone());
        }
        let nearest = packages::nearest(tx, (fix.lon, fix.lat), NEIGHBOR_M).await?;
        return nearest
            .map(|file| file.survey.district)
            .ok_or_else(|| Refusal::new("action.survey_district").at("position").into());
    }
    let locator = Mutex::new(index.into_locator());
    let found = {
        let mut locator = locator.lock().unwrap_or_else(PoisonError::into_inner);
        district_of(&mut locator, (fix.lon, fix.lat), "")
    };
    match found {
        DistrictOf::Other(code) if known.iter().any(|district| district.code == code) => Ok(code),
        DistrictOf::Other(code) => {
            Err(Refusal::new("district.unknown").at("district").with("read", code).into())
        }
        DistrictOf::Same | DistrictOf::Outside => {
            let read = format!("{}, {}", fix.lon, fix.lat);
            Err(Refusal::new("position.outside_jurisdiction").at("position").with("read", read).into())
        }
    }
}
