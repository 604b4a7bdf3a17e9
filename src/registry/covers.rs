//! Districts, parties and covers: finding and listing.

use super::{Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::area::{Area, AreaKind, AreaShape};
use crate::domain::case::Case;
use crate::domain::cover::{CoverFile, District, Party};
use crate::domain::ids::{CoverId, ManholeId, PartyId};
use crate::domain::plate::Plate;
use crate::spatial::{AreaIndex, BBox, check_outline};
use crate::store::{cases, cover_list, covers, people, plates};

pub use crate::store::cover_list::{CoverFilter, Fact, Standing};

/// Most covers on one page.
const PAGE_LIMIT: i64 = 1000;

/// Covers within an outline.
#[derive(Debug, Clone)]
pub struct CoversWithin {
    pub covers: Vec<CoverFile>,
    /// After which the next page begins.
    pub next: Option<CoverId>,
}

impl Registry {
    /// Adds districts or renames them.
    pub async fn put_districts(&self, districts: &[District]) -> Result<(), RegistryError> {
        let districts = districts.to_vec();
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let districts = districts.clone();
                Box::pin(async move {
                    for district in &districts {
                        covers::put_district(tx, district).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    pub async fn list_districts(&self) -> Result<Vec<District>, RegistryError> {
        Ok(covers::list_districts(&mut self.store.read().await?).await?)
    }

    /// Adds a party, or sets the hotline of the one of that name.
    pub async fn put_party(&self, party: Party) -> Result<(), RegistryError> {
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let party = party.clone();
                Box::pin(async move { Ok(people::put_party(tx, &party).await?) })
            })
            .await
    }

    pub async fn list_parties(&self) -> Result<Vec<Party>, RegistryError> {
        Ok(people::list_parties(&mut self.store.read().await?).await?)
    }

    pub async fn find_party(&self, id: PartyId) -> Result<Option<Party>, RegistryError> {
        Ok(people::find_party(&mut self.store.read().await?, id).await?)
    }

    /// The cover of a code, present or former; blanks and hyphens between groups do not matter.
    pub async fn find_cover_by_code(&self, code: &str) -> Result<Option<CoverFile>, RegistryError> {
        let digits: String = code.chars().filter(|c| !matches!(c, ' ' | '-')).take(64).collect();
        if digits.contains('\0') {
            return Ok(None);
        }
        Ok(covers::find_cover_by_code(&mut self.store.read().await?, &digits).await?)
    }

    pub async fn find_cover(&self, id: CoverId) -> Result<Option<CoverFile>, RegistryError> {
        Ok(covers::find_cover(&mut self.store.read().await?, id).await?)
    }

    /// The files of these covers, in no particular order; unknown ids are left out.
    pub async fn list_covers_by_id(&self, ids: &[CoverId]) -> Result<Vec<CoverFile>, RegistryError> {
        Ok(covers::list_covers_by_id(&mut self.store.read().await?, ids).await?)
    }

    /// One page in the order of ids; at most 1000.
    pub async fn list_covers(&self, mut filter: CoverFilter) -> Result<Vec<CoverFile>, RegistryError> {
        filter.limit = filter.limit.clamp(1, PAGE_LIMIT);
        // Nothing stored holds a NUL, and PostgreSQL refuses to look for one.
        if [&filter.district, &filter.road, &filter.text]
            .into_iter()
            .flatten()
            .any(|text| text.contains('\0'))
        {
            return Ok(Vec::new());
        }
        Ok(cover_list::list_covers(&mut self.store.read().await?, &filter).await?)
    }

    /// One page of covers that fit and lie within an outline, its border included. Pages may be short;
    /// the last is the one without `next`.
    pub async fn list_covers_within(
        &self,
        shape: &AreaShape,
        mut filter: CoverFilter,
    ) -> Result<CoversWithin, RegistryError> {
        if filter.after.is_none() {
            check_shape(shape)?;
        }
        let [west, south, east, north] = shape.bounds();
        let bbox = BBox::new(west, south, east, north)?;
        let ranges = bbox.key_ranges().into_iter().map(|range| (range.first, range.last)).collect();
        filter.within = Some((ranges, bbox.edges()));
        filter.limit = filter.limit.clamp(1, PAGE_LIMIT);
        let limit = filter.limit as usize;
        let mut covers = self.list_covers(filter).await?;
        let next = covers.last().filter(|_| covers.len() == limit).map(|last| last.cover);
        let index = AreaIndex::new([("", shape)]);
        covers.retain(|file| {
            let position = &file.survey.position;
            index.find(position.lon, position.lat).is_some()
        });
        Ok(CoversWithin { covers, next })
    }

    /// The covers of these codes, present or former, in the same order; `None` = no cover has it.
    pub async fn list_covers_by_code(&self, codes: &[String]) -> Result<Vec<Option<CoverId>>, RegistryError> {
        let plain =
            |code: &String| code.chars().filter(|c| !matches!(c, ' ' | '-' | '\0')).take(64).collect();
        let codes: Vec<String> = codes.iter().map(plain).collect();
        let known = covers::list_ids_by_code(&mut self.store.read().await?, &codes).await?;
        Ok(codes.iter().map(|code| known.get(code).copied()).collect())
    }

    /// Every plate a cover has worn, newest first.
    pub async fn list_cover_plates(&self, cover: CoverId) -> Result<Vec<Plate>, RegistryError> {
        Ok(plates::list_cover_plates(&mut self.store.read().await?, cover).await?)
    }

    /// Every case of a manhole, oldest first.
    pub async fn list_manhole_cases(&self, manhole: ManholeId) -> Result<Vec<Case>, RegistryError> {
        Ok(cases::list_manhole_cases(&mut self.store.read().await?, manhole).await?)
    }
}

/// Refuses an outline without one meaning.
fn check_shape(shape: &AreaShape) -> Result<(), Refusal> {
    let area = Area {
        kind: AreaKind::Management,
        code: String::new(),
        name_zh: String::new(),
        name_en: String::new(),
        shape: shape.clone(),
    };
    check_outline(&area)
}
