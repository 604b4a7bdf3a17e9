//! 抽查: somebody goes and looks whether the plate of a cover hangs there and can be read.

use serde_json::json;

use super::crew::{Noted, Work};
use super::files::{self, PhotoHome};
use super::plates::plate_uuid;
use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::cover::CoverFile;
use crate::domain::crew::{Check, CheckResult, CrewKind};
use crate::domain::history::HistoryKind;
use crate::domain::plate::{Plate, PlateSpot, PlateState};
use crate::store::feed::{self, ChangeKind, News};
use crate::store::spot_checks::{self, Look};
use crate::store::{Tx, plates};

impl Work {
    /// Keeps what was found. A plate that is damaged or gone is marked so; one that was lost and is found
    /// hangs again.
    pub(super) async fn check(&self, tx: &mut Tx, check: &Check) -> Result<Noted, RegistryError> {
        let taken = self.take(tx, check.cover).await?;
        let file = &taken.file;
        let mut noted = Noted { cover: Some(check.cover), ..Noted::of(CrewKind::Check) };
        let scanned = match check.token {
            Some(token) => plates::find_plate(tx, token).await?,
            None => None,
        };
        let mut result = check.result;
        let its_own = scanned.as_ref().is_some_and(|plate| hangs_on(plate, file));
        if check.token.is_some() && !its_own {
            noted.notice(&Refusal::new(match scanned {
                Some(_) => "crew.other_plate",
                None => "crew.unknown_plate",
            }));
            result = CheckResult::WrongPlate;
        }
        noted.result = Some(result);
        self.ask_for_draw(tx, check, result, &mut noted).await?;
        let place = &file.survey.position;
        let fix = self.fix_at((place.lon, place.lat));
        noted.distance_m = fix.and_then(|fix| fix.distance_m);
        let about = match (check.token, scanned) {
            (None, _) => worn_outside(tx, file).await?,
            (Some(_), scanned) => scanned,
        };
        let mut body = self.story(fix);
        body.insert("result".into(), json!(result));
        body.extend(check.spot_check.map(|draw| ("spot_check".to_owned(), json!(draw))));
        if let Some(plate) = &about {
            body.extend([
                ("batch".to_owned(), json!(plate.batch)),
                ("ordinal".to_owned(), json!(plate.ordinal)),
            ]);
        }
        let mut entries = vec![self.entry(HistoryKind::PlateChecked, body.into())];
        let mut changed = vec![(ChangeKind::Cover, file.cover.0)];
        if let Some(plate) = about.as_ref().filter(|plate| hangs_on(plate, file))
            && let Some(to) = becomes(plate, result)
        {
            let reason = self.action.note.clone();
            entries.push(self.step(tx, plate, to, (reason, fix)).await?);
            changed.push((ChangeKind::Plate, plate_uuid(plate.token)));
        }
        let home = PhotoHome { manhole: file.manhole, cover: Some(file.cover), case: None, report: None };
        self.attach(tx, home).await?;
        files::append(tx, file.manhole, taken.locked.head, self.now, entries).await?;
        feed::record(tx, self.now, News { events: Vec::new(), changed }).await?;
        let token = about.map(|plate| plate.token);
        self.keep(tx, &noted, (token, fix), Some(result.as_str())).await?;
        Ok(noted)
    }

    /// Where somebody else looked since the draw: what they found alike is a notice, what they found otherwise a
    /// question, because the last look is the one that counts.
    async fn ask_for_draw(
        &self,
        tx: &mut Tx,
        check: &Check,
        result: CheckResult,
        noted: &mut Noted,
    ) -> Result<(), RegistryError> {
        let Some(draw) = check.spot_check else { return Ok(()) };
        let unknown = || Refusal::new("spot_check.not_drawn").at("spot_check").with("read", draw);
        let since = spot_checks::find_draw(tx, draw, check.cover)
            .await?
            .ok_or_else(|| RegistryError::NotFound(unknown()))?;
        let look = spot_checks::find_last_look(tx, check.cover, since).await?;
        match look.filter(|look| look.user != self.user) {
            Some(look) if look.result == result.as_str() => noted.notice(&Refusal::new("crew.looked_alike")),
            Some(_) if !check.mine_counts => {
                return Err(RegistryError::Conflict(Refusal::new(LOOKED).at("spot_check")));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Registry {
    /// What was found last at a cover since it was drawn.
    pub(super) async fn find_look(&self, check: &Check) -> Result<Option<Look>, RegistryError> {
        let Some(draw) = check.spot_check else { return Ok(None) };
        let mut tx = self.store.read().await?;
        let Some(since) = spot_checks::find_draw(&mut tx, draw, check.cover).await? else { return Ok(None) };
        Ok(spot_checks::find_last_look(&mut tx, check.cover, since).await?)
    }
}

/// Code of the question whose look at a drawn plate counts.
pub(super) const LOOKED: &str = "spot_check.looked";

/// Whether a plate is where it belongs, or was when somebody last looked.
fn hangs_on(plate: &Plate, file: &CoverFile) -> bool {
    let hung = matches!(plate.state, PlateState::Installed | PlateState::Damaged | PlateState::Lost);
    plate.cover == Some(file.cover) && hung
}

/// What a plate becomes by what was found; `None` = it stays what it is.
fn becomes(plate: &Plate, result: CheckResult) -> Option<PlateState> {
    match (plate.state, result) {
        (PlateState::Installed, CheckResult::Damaged | CheckResult::Unreadable) => Some(PlateState::Damaged),
        (PlateState::Installed, CheckResult::Missing) => Some(PlateState::Lost),
        (PlateState::Lost, CheckResult::Ok) => Some(PlateState::Installed),
        _ => None,
    }
}

/// The plate that should hang outside on a cover.
async fn worn_outside(tx: &mut Tx, file: &CoverFile) -> Result<Option<Plate>, RegistryError> {
    let worn = plates::list_cover_plates(tx, file.cover).await?;
    let outside = |plate: &Plate| plate.spot == PlateSpot::Public && plate.state == PlateState::Installed;
    Ok(worn.into_iter().find(outside))
}
