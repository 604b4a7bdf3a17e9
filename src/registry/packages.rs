//! 工作包: what a crew takes along for a day without signal.

use super::field_photos::staff;
use super::{Registry, RegistryError, ScannedPlate};
use crate::domain::cover::{CoverClass, CoverFile};
use crate::domain::crew::{FieldFix, NewFind};
use crate::domain::ids::{CoverId, Millis, UserId};
use crate::domain::plate::Plate;
use crate::domain::position::distance_m;
use crate::domain::role::Actor;
use crate::domain::token::Token;
use crate::spatial::BBox;
use crate::store::cover_list::{CoverFilter, Within};
use crate::store::spot_checks::{self, OpenDraw};
use crate::store::tasks::{self, OpenTask};
use crate::store::{Tx, cover_list, covers, packages};

pub use crate::store::packages::Street;

/// A cover as crews see it.
#[derive(Debug, Clone, PartialEq)]
pub struct CrewCover {
    pub file: CoverFile,
    /// Those in use and those on their way to it.
    pub plates: Vec<Plate>,
    pub open_cases: i64,
    /// 抽查: the lot fell on it and nobody has looked since.
    pub drawn: Option<OpenDraw>,
    /// What is to be done at it now, what is due first first.
    pub tasks: Vec<OpenTask>,
}

/// A plate as crews see it.
#[derive(Debug, Clone, PartialEq)]
pub struct CrewPlate {
    /// Its `successor` is the end of the chain.
    pub plate: Plate,
    pub cover: Option<CrewCover>,
    /// Issued to whoever asks.
    pub yours: bool,
}

/// Which covers a crew takes along.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackageOrder {
    pub district: Option<String>,
    pub road: Option<String>,
    /// Only covers of which nobody knows the road.
    pub no_road: bool,
    /// Only covers that a spot check drew and at which nobody has looked since.
    pub drawn: bool,
    /// Only covers with an open task of this crew, or of any.
    pub tasks_of: Option<UserId>,
    pub within: Option<BBox>,
    pub after: Option<CoverId>,
    pub limit: i64,
}

/// Most rows of one page.
const PAGE_LIMIT: i64 = 1000;

impl Registry {
    /// Every street with a cover in use, to choose from. One pass over all covers.
    pub async fn list_streets(&self) -> Result<Vec<Street>, RegistryError> {
        Ok(packages::list_streets(&mut self.store.read().await?).await?)
    }

    /// One page of covers in use, in the order of their ids; at most 1000.
    pub async fn list_package(&self, order: PackageOrder) -> Result<Vec<CrewCover>, RegistryError> {
        if [&order.district, &order.road].into_iter().flatten().any(|text| text.contains('\0')) {
            return Ok(Vec::new());
        }
        let filter = CoverFilter {
            district: order.district,
            road: order.road,
            within: order.within.map(within),
            drawn: order.drawn,
            tasks: order.tasks_of.map(|crew| (crew, self.now())),
            after: order.after,
            limit: order.limit.clamp(1, PAGE_LIMIT),
            ..CoverFilter::default()
        };
        let mut tx = self.store.read().await?;
        let files = packages::list_covers(&mut tx, &filter, order.no_road).await?;
        dressed(&mut tx, files, self.now()).await
    }

    /// A cover with its plates; `None` when there is none of this id.
    pub async fn find_crew_cover(&self, cover: CoverId) -> Result<Option<CrewCover>, RegistryError> {
        let mut tx = self.store.read().await?;
        let file = covers::find_cover(&mut tx, cover).await?;
        Ok(dressed(&mut tx, file.into_iter().collect(), self.now()).await?.pop())
    }

    /// What a plate is now; `None` for a token that was never made.
    pub async fn find_crew_plate(
        &self,
        token: Token,
        actor: &Actor,
    ) -> Result<Option<CrewPlate>, RegistryError> {
        let Some(ScannedPlate { plate, cover, .. }) = self.find_plate(token).await? else { return Ok(None) };
        let mut tx = self.store.read().await?;
        let cover = dressed(&mut tx, cover.into_iter().collect(), self.now()).await?.pop();
        let yours = plate.holder.is_some() && plate.holder == actor.user();
        Ok(Some(CrewPlate { plate, cover, yours }))
    }

    /// One page of the plates that were issued to this crew and are not fitted yet; at most 1000.
    pub async fn list_crew_stock(
        &self,
        actor: &Actor,
        after: Option<Token>,
        limit: i64,
    ) -> Result<Vec<(Plate, Option<CoverFile>)>, RegistryError> {
        let holder = staff(actor)?;
        let mut tx = self.store.read().await?;
        let plates = packages::list_held_plates(&mut tx, holder, after, limit.clamp(1, PAGE_LIMIT)).await?;
        let ids: Vec<CoverId> = plates.iter().filter_map(|plate| plate.cover).collect();
        let files = covers::list_covers_by_id(&mut tx, &ids).await?;
        let of = |plate: &Plate| files.iter().find(|file| Some(file.cover) == plate.cover).cloned();
        Ok(plates.into_iter().map(|plate| (of(&plate), plate)).map(|(file, plate)| (plate, file)).collect())
    }

    /// Covers of the class close to a new find, nearest first.
    pub(super) async fn list_nearby(
        &self,
        find: &NewFind,
        fix: Option<&FieldFix>,
    ) -> Result<Vec<CrewCover>, RegistryError> {
        let Some(fix) = fix else { return Ok(Vec::new()) };
        let mut tx = self.store.read().await?;
        let files = nearby(&mut tx, find, fix, self.crew.nearby_m).await?;
        dressed(&mut tx, files, self.now()).await
    }
}

fn within(bbox: BBox) -> Within {
    let ranges = bbox.key_ranges().into_iter().map(|range| (range.first, range.last)).collect();
    (ranges, bbox.edges())
}

/// Covers in use of the class within `radius_m` that the crew has not seen, nearest first.
pub(super) async fn nearby(
    tx: &mut Tx,
    find: &NewFind,
    fix: &FieldFix,
    radius_m: f64,
) -> Result<Vec<CoverFile>, RegistryError> {
    let mut files = close_to(tx, (fix.lon, fix.lat), Some(find.class), radius_m).await?;
    files.retain(|file| !find.nearby_seen.contains(&file.cover));
    Ok(files)
}

/// The nearest cover in use of any class within `radius_m`.
pub(super) async fn nearest(
    tx: &mut Tx,
    place: (f64, f64),
    radius_m: f64,
) -> Result<Option<CoverFile>, RegistryError> {
    Ok(close_to(tx, place, None, radius_m).await?.into_iter().next())
}

/// The covers in use within a radius, of one class or of any, nearest first.
pub(super) async fn close_to(
    tx: &mut Tx,
    place: (f64, f64),
    class: Option<CoverClass>,
    radius_m: f64,
) -> Result<Vec<CoverFile>, RegistryError> {
    let around = BBox::around(place.0, place.1, radius_m);
    let limit = PAGE_LIMIT;
    let filter = CoverFilter { class, within: Some(within(around)), limit, ..CoverFilter::default() };
    let away = |file: &CoverFile| {
        let position = &file.survey.position;
        distance_m((position.lon, position.lat), place)
    };
    let mut files = cover_list::list_covers(tx, &filter).await?;
    files.retain(|file| away(file) <= radius_m);
    files.sort_by(|one, other| away(one).total_cmp(&away(other)));
    Ok(files)
}

/// Covers with their plates, open cases, draws and tasks.
async fn dressed(tx: &mut Tx, files: Vec<CoverFile>, now: Millis) -> Result<Vec<CrewCover>, RegistryError> {
    let ids: Vec<CoverId> = files.iter().map(|file| file.cover).collect();
    let mut plates = packages::list_live_plates(tx, &ids).await?;
    let cases = packages::count_open_cases(tx, &ids).await?;
    let draws = spot_checks::list_open_draws(tx, &ids).await?;
    let mut open = tasks::list_open_tasks(tx, &ids, now).await?;
    let dress = |file: CoverFile| CrewCover {
        plates: plates.remove(&file.cover).unwrap_or_default(),
        open_cases: cases.get(&file.cover).copied().unwrap_or_default(),
        drawn: draws.get(&file.cover).copied(),
        tasks: open.remove(&file.cover).unwrap_or_default(),
        file,
    };
    Ok(files.into_iter().map(dress).collect())
}
