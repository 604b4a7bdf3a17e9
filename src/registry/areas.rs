//! 行政区、管理区与网格: the outlines of a city, and which district each manhole lies in.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::files::{self, NewEntry};
use super::{ImportMode, Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::area::{Area, AreaKind};
use crate::domain::cover::District;
use crate::domain::history::HistoryKind;
use crate::domain::ids::{ManholeId, Millis};
use crate::domain::role::Actor;
use crate::spatial::{AreaIndex, Locator, Overlap, check_outline, find_overlaps};
use crate::store::areas::ManholePlace;
use crate::store::feed::{self, ChangeKind, News};
use crate::store::{Tx, areas, covers, history};

/// How far outside the outline of its district a manhole may lie, in meters: outlines are drawn
/// along the middle of streets that both sides look after, from maps that are not that exact.
pub const BORDER_TOLERANCE_M: f64 = 30.0;
const PAGE: i64 = 5000;
/// Manholes that are named in an answer.
const NAMED: usize = 1000;

/// What a look at every manhole's district found. `checked` is the sum of the other four.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// An area by its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaName {
    pub code: String,
    pub name_zh: String,
    pub name_en: String,
}

impl AreaName {
    fn of(area: &Area) -> Self {
        let Area { code, name_zh, name_en, .. } = area.clone();
        Self { code, name_zh, name_en }
    }
}

/// What becomes of areas of the same kind that a new set does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    Keep,
    Remove,
}

/// A set of outlines of one kind that are to be known from now on.
#[derive(Debug, Clone)]
pub struct AreaSet {
    pub kind: AreaKind,
    pub areas: Vec<Area>,
    pub others: Others,
}

/// What a set of outlines would change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AreaPlan {
    pub added: Vec<AreaName>,
    pub redrawn: Vec<AreaName>,
    /// Same outline, another name.
    pub renamed: Vec<AreaName>,
    pub unchanged: usize,
    /// Known, and not in the set.
    pub others: Vec<AreaName>,
    /// Areas of the kind that would lie over each other, the largest first.
    pub overlaps: Vec<Overlap>,
    /// Which manholes would change their district; `None` for the other kinds.
    pub districts: Option<DistrictCheck>,
}

impl Registry {
    /// Parts outlines that have one meaning from those that have not, each of these with its refusal.
    pub async fn check_outlines(
        &self,
        areas: Vec<Area>,
    ) -> Result<(Vec<Area>, Vec<(Area, Refusal)>), RegistryError> {
        let check = move || {
            let (mut sound, mut flawed) = (Vec::with_capacity(areas.len()), Vec::new());
            for area in areas {
                match check_outline(&area) {
                    Ok(()) => sound.push(area),
                    Err(refusal) => flawed.push((area, refusal)),
                }
            }
            (sound, flawed)
        };
        aside(check).await
    }

    /// Says what a set of outlines would change; nothing is written.
    pub async fn plan_areas(&self, set: &AreaSet) -> Result<AreaPlan, RegistryError> {
        let known = self.list_areas(set.kind).await?;
        let by_code: BTreeMap<&str, &Area> = known.iter().map(|area| (area.code.as_str(), area)).collect();
        let mut plan = AreaPlan {
            added: Vec::new(),
            redrawn: Vec::new(),
            renamed: Vec::new(),
            unchanged: 0,
            others: Vec::new(),
            overlaps: Vec::new(),
            districts: None,
        };
        for area in &set.areas {
            match by_code.get(area.code.as_str()) {
                None => plan.added.push(AreaName::of(area)),
                Some(known) if known.shape != area.shape => plan.redrawn.push(AreaName::of(area)),
                Some(known) if **known != *area => plan.renamed.push(AreaName::of(area)),
                Some(_) => plan.unchanged += 1,
            }
        }
        let given: BTreeSet<&str> = set.areas.iter().map(|area| area.code.as_str()).collect();
        let left: Vec<&Area> = known.iter().filter(|area| !given.contains(area.code.as_str())).collect();
        plan.others = left.iter().map(|area| AreaName::of(area)).collect();
        let mut all = set.areas.clone();
        if set.others == Others::Keep {
            all.extend(left.into_iter().cloned());
        }
        let (overlaps, all) = aside(move || (find_overlaps(&all), all)).await?;
        plan.overlaps = overlaps;
        if set.kind == AreaKind::District && !all.is_empty() {
            let index = AreaIndex::new(all.iter().map(|area| (area.code.as_str(), &area.shape)));
            let check = self.look_at_districts(index, ImportMode::DryRun, &Actor::System, |_| {}).await?;
            plan.districts = Some(check);
        }
        Ok(plan)
    }

    /// Adds areas or redraws those of the same kind and code, all or none. Districts are then known
    /// to a census, too.
    pub async fn put_areas(&self, given: Vec<Area>) -> Result<(), RegistryError> {
        self.write_areas(given, None).await
    }

    /// Makes a set of outlines known, all or none.
    pub async fn set_areas(&self, set: AreaSet) -> Result<(), RegistryError> {
        let gone = (set.others == Others::Remove).then_some(set.kind);
        if set.areas.iter().any(|area| area.kind != set.kind) || set.areas.is_empty() {
            return Err(Refusal::new("area.empty_file").into());
        }
        self.write_areas(set.areas, gone).await
    }

    /// `replaced` = the kind of which nothing else stays.
    async fn write_areas(&self, given: Vec<Area>, replaced: Option<AreaKind>) -> Result<(), RegistryError> {
        let mut codes = HashSet::new();
        for area in &given {
            area.check()?;
            if !codes.insert((area.kind, &area.code)) {
                return Err(Refusal::new("area.twice").at("code").with("read", &area.code).into());
            }
        }
        drop(codes);
        let (given, flawed) = self.check_outlines(given).await?;
        if let Some((_, refusal)) = flawed.into_iter().next() {
            return Err(refusal.into());
        }
        let (given, now) = (Arc::new(given), self.now());
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let given = given.clone();
                Box::pin(async move {
                    if let Some(kind) = replaced {
                        areas::remove_areas(tx, kind).await?;
                    }
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
        if code.contains('\0') {
            return Err(RegistryError::NotFound(unknown(code)));
        }
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
        Err(RegistryError::NotFound(unknown(code)))
    }

    /// The areas of a kind in the order of their codes.
    pub async fn list_areas(&self, kind: AreaKind) -> Result<Vec<Area>, RegistryError> {
        Ok(areas::list_areas(&mut self.store.read().await?, kind).await?)
    }

    /// A page of the areas of a kind, in the order of their codes.
    pub async fn list_area_page(
        &self,
        kind: AreaKind,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Area>, RegistryError> {
        Ok(areas::list_area_page(&mut self.store.read().await?, kind, after, limit).await?)
    }

    pub async fn find_area(&self, kind: AreaKind, code: &str) -> Result<Area, RegistryError> {
        let found = match code.contains('\0') {
            true => None,
            false => areas::find_area(&mut self.store.read().await?, kind, code).await?,
        };
        found.ok_or_else(|| RegistryError::NotFound(unknown(code)))
    }

    /// Covers in use by the district of their file.
    pub async fn count_by_district(&self) -> Result<BTreeMap<String, i64>, RegistryError> {
        Ok(areas::count_by_district(&mut self.store.read().await?).await?)
    }

    /// The areas of a kind, to ask where points lie.
    pub async fn area_index(&self, kind: AreaKind) -> Result<AreaIndex, RegistryError> {
        let areas = self.list_areas(kind).await?;
        Ok(AreaIndex::new(areas.iter().map(|area| (area.code.as_str(), &area.shape))))
    }

    /// Looks at every manhole and moves those to the district in whose outline they lie. Each move is
    /// a line in the file; codes stay as they are, because a code is not changed by drawing a line.
    /// Refused where there are no outlines of districts. `seen` hears how many were looked at.
    pub async fn check_districts(
        &self,
        mode: ImportMode,
        actor: &Actor,
        seen: impl Fn(u64) + Send,
    ) -> Result<DistrictCheck, RegistryError> {
        let index = self.area_index(AreaKind::District).await?;
        if index.is_empty() {
            return Err(Refusal::new("area.no_districts").into());
        }
        self.look_at_districts(index, mode, actor, seen).await
    }

    async fn look_at_districts(
        &self,
        index: AreaIndex,
        mode: ImportMode,
        actor: &Actor,
        seen: impl Fn(u64) + Send,
    ) -> Result<DistrictCheck, RegistryError> {
        let mut locator = index.into_locator();
        let mut check = DistrictCheck::default();
        let mut after = Uuid::nil();
        let mut page = self.list_places(after).await?;
        while let Some(last) = page.last() {
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
            let moving = async {
                match mode {
                    ImportMode::DryRun => Ok(count),
                    ImportMode::Write => self.move_manholes(moves, actor).await,
                }
            };
            let (moved, next) = tokio::try_join!(moving, self.list_places(after))?;
            check.moved += moved;
            check.changed_meanwhile += count - moved;
            seen(check.checked);
            page = next;
        }
        Ok(check)
    }

    async fn list_places(&self, after: Uuid) -> Result<Vec<ManholePlace>, RegistryError> {
        Ok(areas::list_places(&mut self.store.read().await?, after, PAGE).await?)
    }

    async fn move_manholes(
        &self,
        moves: Vec<(ManholePlace, String)>,
        actor: &Actor,
    ) -> Result<u64, RegistryError> {
        if moves.is_empty() {
            return Ok(0);
        }
        let (moves, actor, now) = (Arc::new(moves), actor.word(), self.now());
        self.store
            .write::<_, RegistryError, _>(move |tx| {
                let (moves, actor) = (moves.clone(), actor.clone());
                Box::pin(async move { move_all(tx, &moves, &actor, now).await })
            })
            .await
    }
}

fn unknown(code: &str) -> Refusal {
    let read: String = code.chars().take(60).filter(|c| !c.is_control()).collect();
    Refusal::new("area.unknown").at("code").with("read", read)
}

/// Runs work on outlines where it holds up nobody.
async fn aside<A: Send + 'static>(work: impl FnOnce() -> A + Send + 'static) -> Result<A, RegistryError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "outlines could not be weighed");
        Refusal::new("area.not_weighed").into()
    })
}

async fn move_all(
    tx: &mut Tx,
    moves: &[(ManholePlace, String)],
    actor: &str,
    now: Millis,
) -> Result<u64, RegistryError> {
    let districts: HashMap<ManholeId, (&str, &str)> =
        moves.iter().map(|(place, to)| (place.manhole, (place.district.as_str(), to.as_str()))).collect();
    let moved = areas::move_to_districts(tx, moves).await?;
    let (mut entries, mut changed) = (Vec::with_capacity(moved.len()), Vec::with_capacity(moved.len()));
    for file in &moved {
        let fields = json!({"district": districts.get(&file.manhole)});
        let body = json!({"source": "areas", "versions": file.versions, "fields": fields});
        let entry = NewEntry { actor: actor.to_owned(), kind: HistoryKind::Updated, case: None, body };
        entries.extend(files::chained(file.manhole, file.head, now, vec![entry]));
        changed.extend(file.versions.keys().map(|cover| (ChangeKind::Cover, cover.0)));
    }
    history::append(tx, &entries).await?;
    feed::record(tx, now, News { events: Vec::new(), changed }).await?;
    Ok(moved.len() as u64)
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
    if locator.index().is_within_m(named, lon, lat, BORDER_TOLERANCE_M) { DistrictOf::Same } else { other }
}
