//! 补录: a cover that nobody knew gets a file, a code and, where the crew has one in the hand, a plate.

use super::RegistryError;
use super::crew::{Noted, Work};
use super::editing;
use super::fields;
use super::files::PhotoHome;
use super::newcomers::{self, Newcomer};
use super::packages;
use crate::domain::Refusal;
use crate::domain::cover::{CoverState, Survey};
use crate::domain::crew::{CrewKind, FieldFix, NewFind};
use crate::domain::edit::CoverEdit;
use crate::domain::plate::PlateFix;
use crate::domain::position::{Position, PositionMethod, RawPosition};
use crate::store::Tx;
use crate::store::feed::{self, ChangeKind, News};

/// Name of the source of covers that crews find.
const FOUND: &str = "crew";
/// What phones say: WGS 84.
const PHONE_EPSG: u32 = 4326;

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
        let more = self.story(None);
        let parties = [None, None, None];
        let newcomer = Newcomer { survey, parties, code, source: FOUND, more };
        let (file, head) = newcomer.enter(tx, &self.actor, self.now).await?;
        let (cover, manhole) = (file.cover, file.manhole);
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
            district: newcomers::district_at(tx, (fix.lon, fix.lat)).await?,
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
