//! What an order asks for, resolved: a number of blank plates, or a line for each known cover with
//! the words of its plate, frozen.

use std::collections::{HashMap, HashSet};

use super::PressError;
use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::area::{AreaKind, AreaShape};
use crate::domain::cover::{CoverClass, CoverFile};
use crate::domain::ids::CoverId;
use crate::domain::plate_batch::{Ordered, PlateWords};
use crate::messages::{Catalogue, Language};
use crate::plates::Level;
use crate::registry::{CoverFilter, PlateLine, Registry, RegistryError};

/// Which plates are wanted.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// To be bound in the field.
    Blank(usize),
    /// One for each, in this order.
    Covers(Vec<CoverId>),
    /// One for each cover that fits.
    Matching(Box<CoverFilter>),
    /// One for each cover that fits and lies within an outline.
    Within(Box<Outline>),
}

/// An outline on the map, and which covers within it.
#[derive(Debug, Clone)]
pub struct Outline {
    /// The area that the city keeps it as; `None` = it came with the order.
    pub area: Option<(AreaKind, String)>,
    pub shape: AreaShape,
    pub filter: CoverFilter,
}

impl Wanted {
    /// As the batch keeps it.
    pub(super) fn ordered(&self) -> Ordered {
        match self {
            Wanted::Blank(count) => Ordered::Blank { count: *count as i64 },
            Wanted::Covers(covers) => Ordered::Covers { count: covers.len() as i64 },
            Wanted::Matching(filter) => Ordered::Filter {
                district: filter.district.clone(),
                class: filter.class.map(|class| class.to_string()),
                road: filter.road.clone(),
                state: filter.state.map(|state| state.to_string()),
            },
            Wanted::Within(outline) => {
                let class = outline.filter.class.map(|class| class.to_string());
                match &outline.area {
                    Some((kind, code)) => Ordered::Area { kind: *kind, code: code.clone(), class },
                    None => Ordered::Outline { bounds: outline.shape.bounds(), class },
                }
            }
        }
    }
}

/// Covers that are asked for at once.
const PAGE: i64 = 1000;

/// The plates of an order, page by page, so that memory does not grow with it.
pub(super) struct Lines<'a> {
    registry: &'a Registry,
    config: &'a Config,
    wanted: &'a Wanted,
    most: usize,
    level: Option<Level>,
    next: Next,
    count: usize,
}

enum Next {
    Place(usize),
    After(Option<CoverId>),
    Nothing,
}

impl<'a> Lines<'a> {
    /// Refuses what can be refused before a cover is read.
    pub(super) async fn open(
        registry: &'a Registry,
        config: &'a Config,
        (wanted, most, level): (&'a Wanted, usize, Option<Level>),
    ) -> Result<Self, PressError> {
        let (next, count) = match wanted {
            Wanted::Blank(count) => (Next::Nothing, *count),
            Wanted::Covers(ids) => (Next::Place(0), ids.len()),
            Wanted::Matching(_) | Wanted::Within(_) => (Next::After(None), 0),
        };
        let mut lines = Self { registry, config, wanted, most, level, next, count };
        lines.refuse_count()?;
        if let Wanted::Covers(ids) = wanted {
            refuse_twice(registry, ids).await?;
            lines.count = 0;
        }
        Ok(lines)
    }

    /// Of plates that were read so far; of blank ones all.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn refuse_count(&self) -> Result<(), Refusal> {
        if self.count == 0 && !matches!(self.next, Next::After(_)) {
            return Err(Refusal::new("batch.empty"));
        }
        if self.count > self.most {
            return Err(Refusal::new("batch.too_many").at("count").with("most", self.most));
        }
        Ok(())
    }

    /// The next lines, in their order; none after the last, and none of blank plates.
    pub(super) async fn page(&mut self) -> Result<Vec<PlateLine>, PressError> {
        let files = match (self.wanted, &self.next) {
            (Wanted::Covers(ids), Next::Place(place)) => {
                let chunk = &ids[*place..ids.len().min(place + PAGE as usize)];
                let mut files = find_covers(self.registry, chunk).await?;
                self.next = if chunk.is_empty() { Next::Nothing } else { Next::Place(place + chunk.len()) };
                let unknown = |id| Refusal::new("cover.unknown").at("covers").with("read", id);
                let mut file = |id| files.remove(id).ok_or_else(|| RegistryError::NotFound(unknown(id)));
                chunk.iter().map(&mut file).collect::<Result<Vec<_>, _>>()?
            }
            (Wanted::Matching(filter), Next::After(after)) => {
                let filter = CoverFilter { after: *after, limit: PAGE, ..CoverFilter::clone(filter) };
                let page = self.registry.list_covers(filter).await?;
                self.next = page.last().map_or(Next::Nothing, |last| Next::After(Some(last.cover)));
                page
            }
            (Wanted::Within(outline), Next::After(after)) => {
                let mut after = *after;
                // A page may be read through without a cover that lies within.
                loop {
                    let filter = CoverFilter { after, limit: PAGE, ..outline.filter.clone() };
                    let page = self.registry.list_covers_within(&outline.shape, filter).await?;
                    after = page.next;
                    self.next = after.map_or(Next::Nothing, |after| Next::After(Some(after)));
                    if after.is_none() || !page.covers.is_empty() {
                        break page.covers;
                    }
                }
            }
            _ => Vec::new(),
        };
        let lines = files.iter().zip(self.count as i64 + 1..);
        let lines = lines.map(|(file, ordinal)| self.line_of(file, ordinal)).collect();
        self.count += files.len();
        self.refuse_count()?;
        Ok(lines)
    }

    fn line_of(&self, file: &CoverFile, ordinal: i64) -> PlateLine {
        PlateLine {
            ordinal,
            cover: file.cover,
            code: file.code.digits.clone(),
            words: words_of(self.registry, self.config, file, self.level),
        }
    }
}

async fn refuse_twice(registry: &Registry, ids: &[CoverId]) -> Result<(), PressError> {
    let mut seen = HashSet::with_capacity(ids.len());
    let Some(twice) = ids.iter().find(|id| !seen.insert(**id)) else { return Ok(()) };
    let files = registry.list_covers_by_id(&[*twice]).await?;
    let code = files.first().map_or_else(|| twice.to_string(), |file| registry.grouped_code(&file.code));
    Err(Refusal::new("batch.cover_twice").at("covers").with("code", code).into())
}

pub(super) async fn find_covers(
    registry: &Registry,
    ids: &[CoverId],
) -> Result<HashMap<CoverId, CoverFile>, RegistryError> {
    let files = registry.list_covers_by_id(ids).await?;
    Ok(files.into_iter().map(|file| (file.cover, file)).collect())
}

/// What a plate for this cover says now.
pub(super) fn words_of(
    registry: &Registry,
    config: &Config,
    cover: &CoverFile,
    level: Option<Level>,
) -> PlateWords {
    // Faces are drawn in Chinese, whoever orders them.
    let words = Catalogue::of(Language::Zh);
    let owner = cover.owner.as_ref().or(cover.maintainer.as_ref());
    PlateWords {
        code: Some(registry.grouped_code(&cover.code)),
        class: cover.survey.class,
        label: words.word("class", cover.survey.class),
        owner: owner
            .map_or_else(|| words.text("plate_face.owner_unknown").to_owned(), |party| party.name.clone()),
        hotline: owner.and_then(|party| party.hotline.clone()).unwrap_or_else(|| config.hotline.clone()),
        road: cover
            .survey
            .road
            .clone()
            .or_else(|| cover.survey.address.clone())
            .unwrap_or_else(|| cover.district.name_zh.clone()),
        level: level.map(letter),
    }
}

/// What a plate says that is bound in the field.
pub(super) fn blank_words(config: &Config, level: Option<Level>) -> PlateWords {
    PlateWords {
        code: None,
        class: CoverClass::Unidentified,
        label: Catalogue::of(Language::Zh).text("plate_face.any_cover").to_owned(),
        owner: config.city_zh.clone(),
        hotline: config.hotline.clone(),
        road: String::new(),
        level: level.map(letter),
    }
}

pub(super) fn letter(level: Level) -> char {
    char::from(level.as_str().as_bytes()[0])
}
