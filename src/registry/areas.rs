//! 行政区、管理区与网格: the outlines of a city, and which district each manhole lies in.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::files::{self, NewEntry};
use super::{ImportMode, Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::area::{Area, AreaKind};
use crate::domain::cover::District;
use crate::domain::history::HistoryKind;
use crate::domain::ids::Millis;
use crate::domain::role::Actor;
use crate::spatial::{AreaIndex, Locator};
use crate::store::areas::ManholePlace;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{Tx, areas, covers};

/// How far outside the outline of its district a manhole may lie, in meters: outlines are drawn
/// along the middle of streets that both sides look after, from maps that are not that exact.
pub const BORDER_TOLERANCE_M: f64 = 30.0;
const PAGE: i64 = 5000;
/// Manholes that are named in an answer.
const NAMED: usize = 1000;

/// What a look at every manhole's district found. `checked` is the sum of the other four.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DistrictCheck {
    pub checked: u64,
    /// Lie in the district of their file, or within the tolerance of its border.
    pub right: u64,
    /// Lie in another district, to which they were moved; in a dry run, would be.
    pub moved: u64,
    /// Lie in no district at all; left as they are, for somebody to look at.
    pub outside: u64,
    /// Moved by somebody else meanwhile; left as they are.
    pub changed_meanwhile: u64,
    /// How many were moved from one district to another.
    pub moves: BTreeMap<String, u64>,
    /// The first of those outside.
    pub named_outside: Vec<Uuid>,
}

impl Registry {
    /// Adds areas or redraws those of the same kind and code, all or none. Districts are then known
    /// to a census, too.
    pub async fn put_areas(&self, given: Vec<Area>) -> Result<(), RegistryError> {
        let mut codes = std::collections::HashSet::new();
        for area in &given {
            area.check()?;
            if !codes.insert((area.kind, &area.code)) {
                return Err(Refusal::new("area.twice").at("code").with("read", &area.code).into());
            }
        }
        let (given, now) = (std::sync::Arc::new(given), self.now());
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let given = given.clone();
                Box::pin(async move {
                    for area in given.iter() {
                        areas::put_area(tx, area, now).await?;
                        if area.kind == AreaKind::District {
                            let (name_zh, name_en) = (area.name_zh.clone(), area.name_en.clone());
                            let district = District { code: area.code.clone(), name_zh, name_en };
                            covers::put_district(tx, &district).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Takes the outline of an area away. A district stays known by its code.
    pub async fn remove_area(&self, kind: AreaKind, code: &str) -> Result<(), RegistryError> {
        let wanted = code.to_owned();
        let removed = self
            .store
            .write::<_, RegistryError, _>(move |tx| {
                let wanted = wanted.clone();
                Box::pin(async move { Ok(areas::remove_area(tx, kind, &wanted).await?) })
            })
            .await?;
        if removed {
            return Ok(());
        }
        let read: String = code.chars().take(60).collect();
        Err(RegistryError::NotFound(Refusal::new("area.unknown").at("code").with("read", read)))
    }

    /// The areas of a kind in the order of their codes.
    pub async fn list_areas(&self, kind: AreaKind) -> Result<Vec<Area>, RegistryError> {
        Ok(areas::list_areas(&mut self.store.read().await?, kind).await?)
    }

    /// The areas of a kind, to ask where points lie.
    pub async fn area_index(&self, kind: AreaKind) -> Result<AreaIndex, RegistryError> {
        let areas = self.list_areas(kind).await?;
        Ok(AreaIndex::new(areas.iter().map(|area| (area.code.as_str(), &area.shape))))
    }

    /// Looks at every manhole and moves those to the district in whose outline they lie. Each move is
    /// a line in the file; codes stay as they are, because a code is not changed by drawing a line.
    /// Refused where there are no outlines of districts.
    pub async fn check_districts(
        &self,
        mode: ImportMode,
        actor: &Actor,
    ) -> Result<DistrictCheck, RegistryError> {
        let index = self.area_index(AreaKind::District).await?;
        if index.is_empty() {
            return Err(Refusal::new("area.no_districts").into());
        }
        let mut locator = index.into_locator();
        let mut check = DistrictCheck::default();
        let mut after = Uuid::nil();
        loop {
            let page = areas::list_places(&mut self.store.read().await?, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(check) };
            after = last.manhole.0;
            let mut moves = Vec::new();
            for place in page {
                check.checked += 1;
                match district_of(&mut locator, (place.lon, place.lat), &place.district) {
                    DistrictOf::Same => check.right += 1,
                    DistrictOf::Other(code) => moves.push((place, code)),
                    DistrictOf::Outside => {
                        check.outside += 1;
                        if check.named_outside.len() < NAMED {
                            check.named_outside.push(place.manhole.0);
                        }
                    }
                }
            }
            for (place, to) in &moves {
                *check.moves.entry(format!("{}→{to}", place.district)).or_default() += 1;
            }
            let count = moves.len() as u64;
            let moved = match mode {
                ImportMode::DryRun => count,
                ImportMode::Write => self.move_manholes(moves, actor).await?,
            };
            check.moved += moved;
            check.changed_meanwhile += count - moved;
        }
    }

    async fn move_manholes(
        &self,
        moves: Vec<(ManholePlace, String)>,
        actor: &Actor,
    ) -> Result<u64, RegistryError> {
        if moves.is_empty() {
            return Ok(0);
        }
        let (moves, actor, now) = (std::sync::Arc::new(moves), actor.word(), self.now());
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let (moves, actor) = (moves.clone(), actor.clone());
                Box::pin(async move { move_all(tx, &moves, &actor, now).await })
            })
            .await
    }
}

async fn move_all(
    tx: &mut Tx,
    moves: &[(ManholePlace, String)],
    actor: &str,
    now: Millis,
) -> Result<u64, RegistryError> {
    let (mut moved, mut changed) = (0, Vec::new());
    for (place, to) in moves {
        let file = files::lock(tx, place.manhole).await?;
        if file.district != place.district {
            continue;
        }
        let versions = areas::move_to_district(tx, place.manhole, to).await?;
        let fields = json!({"district": [place.district, to]});
        let body = json!({"source": "areas", "versions": versions, "fields": fields});
        let entry = NewEntry { actor: actor.to_owned(), kind: HistoryKind::Updated, case: None, body };
        files::append(tx, place.manhole, file.head, now, vec![entry]).await?;
        changed.extend(versions.into_keys().map(|cover| (ChangeKind::Cover, cover.0)));
        moved += 1;
    }
    feed::record(tx, now, News { events: Vec::new(), changed }).await?;
    Ok(moved)
}

/// Where a point lies, seen from the district that a file or a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DistrictOf {
    /// In the one it names, or within the tolerance of its border.
    Same,
    Other(String),
    /// In none.
    Outside,
}

/// `named` is empty where nothing names a district.
pub(super) fn district_of(locator: &mut Locator, (lon, lat): (f64, f64), named: &str) -> DistrictOf {
    let found = locator.find(lon, lat);
    if found == Some(named) {
        return DistrictOf::Same;
    }
    let other = found.map_or(DistrictOf::Outside, |code| DistrictOf::Other(code.to_owned()));
    match locator.index().distance_m(named, lon, lat) {
        Some(distance) if distance <= BORDER_TOLERANCE_M => DistrictOf::Same,
        _ => other,
    }
}
