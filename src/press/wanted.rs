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
    Matching(CoverFilter),
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

/// An order, resolved.
pub(super) struct Resolved {
    pub count: usize,
    /// One for each plate; none where all are blank.
    pub lines: Vec<PlateLine>,
}

/// Covers that are asked for at once.
const PAGE: i64 = 1000;

pub(super) async fn resolve(
    registry: &Registry,
    config: &Config,
    wanted: &Wanted,
    most: usize,
    level: Option<Level>,
) -> Result<Resolved, PressError> {
    let mut lines = Vec::new();
    let mut add = |file: &CoverFile| lines.push(line_of(registry, config, file, level));
    let mut count = 0;
    match wanted {
        Wanted::Blank(blank) => count = *blank,
        Wanted::Covers(ids) if ids.len() > most => count = ids.len(),
        Wanted::Covers(ids) => {
            refuse_twice(registry, ids).await?;
            for chunk in ids.chunks(PAGE as usize) {
                let files = find_covers(registry, chunk).await?;
                for id in chunk {
                    let unknown = || Refusal::new("cover.unknown").at("covers").with("read", id);
                    add(files.get(id).ok_or_else(|| RegistryError::NotFound(unknown()))?);
                    count += 1;
                }
            }
        }
        Wanted::Matching(filter) => {
            let mut filter = CoverFilter { limit: PAGE, ..filter.clone() };
            while count <= most {
                let page = registry.list_covers(filter.clone()).await?;
                let Some(last) = page.last() else { break };
                filter.after = Some(last.cover);
                count += page.len();
                page.iter().for_each(&mut add);
            }
        }
        Wanted::Within(outline) => {
            let mut after = None;
            while count <= most {
                let filter = CoverFilter { after, limit: PAGE, ..outline.filter.clone() };
                let page = registry.list_covers_within(&outline.shape, filter).await?;
                count += page.covers.len();
                page.covers.iter().for_each(&mut add);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
    }
    if count == 0 {
        return Err(Refusal::new("batch.empty").into());
    }
    if count > most {
        return Err(Refusal::new("batch.too_many").at("count").with("most", most).into());
    }
    for (line, ordinal) in lines.iter_mut().zip(1..) {
        line.ordinal = ordinal;
    }
    Ok(Resolved { count, lines })
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

fn line_of(registry: &Registry, config: &Config, file: &CoverFile, level: Option<Level>) -> PlateLine {
    PlateLine {
        ordinal: 0,
        cover: file.cover,
        code: file.code.digits.clone(),
        words: words_of(registry, config, file, level),
    }
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
