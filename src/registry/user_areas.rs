//! 网格员的责任区: for which areas a grid worker answers, and what they may report elsewhere: nothing in their own name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{BORDER_TOLERANCE_M, Registry, RegistryError};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::case::CaseSource;
use crate::domain::ids::UserId;
use crate::domain::role::{Actor, Role};
use crate::spatial::AreaIndex;
use crate::store::feed::{self, News};
use crate::store::user_areas::{self, AreaKey};
use crate::store::{Tx, areas, covers, people};

/// Areas for which one person answers, at most.
const MOST: usize = 200;

/// An area for which somebody answers.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnArea {
    pub kind: AreaKind,
    pub code: String,
    /// `None` = no area of that code is known any more.
    pub names: Option<(String, String)>,
    /// West, south, east, north; `None` = it has no outline.
    pub bounds: Option<[f64; 4]>,
}

/// The areas of one kind for which somebody shall answer from now on.
#[derive(Debug, Clone)]
pub struct UserAreasOrder {
    pub login: String,
    pub kind: AreaKind,
    pub codes: Vec<String>,
    pub actor: Actor,
}

impl Registry {
    /// Gives a grid worker the areas of a kind for which they answer, in place of those they had; none = they are free.
    /// Who set what when stays in the table.
    pub async fn set_user_areas(&self, order: UserAreasOrder) -> Result<(), RegistryError> {
        let now = self.now();
        let login = order.login.trim().to_lowercase().replace('\0', " ");
        if order.codes.len() > MOST {
            return Err(Refusal::new("user.areas_many").at("codes").with("most", MOST).into());
        }
        if let Some(code) = order.codes.iter().find(|code| code.contains('\0')) {
            return Err(unknown_area(code).into());
        }
        self.store
            .write::<(), RegistryError, _>(move |tx| {
                let (order, login) = (order.clone(), login.clone());
                Box::pin(async move {
                    let unknown = || Refusal::new("user.unknown").at("login").with("read", &login);
                    let user = people::find_user(tx, &login).await?;
                    let user = user.ok_or_else(|| RegistryError::NotFound(unknown()))?;
                    if user.role != Role::GridWorker {
                        let refusal = Refusal::new("user.areas_role").at("login").with("read", &login);
                        return Err(refusal.with("role", user.role).into());
                    }
                    let wanted: BTreeSet<AreaKey> =
                        order.codes.iter().map(|code| (order.kind, code.clone())).collect();
                    for area in &wanted {
                        if names_of(tx, area).await?.is_none() {
                            return Err(unknown_area(&area.1).into());
                        }
                    }
                    let held: BTreeSet<AreaKey> = user_areas::list_areas_of(tx, user.id)
                        .await?
                        .into_iter()
                        .filter(|(kind, _)| *kind == order.kind)
                        .collect();
                    if held == wanted {
                        return Ok(());
                    }
                    let said = (order.actor.word(), now);
                    let said = (said.0.as_str(), said.1);
                    for area in held.difference(&wanted) {
                        user_areas::end(tx, (user.id, area), said).await?;
                    }
                    for area in wanted.difference(&held) {
                        user_areas::begin(tx, (user.id, area), said).await?;
                    }
                    let codes: Vec<&String> = wanted.iter().map(|(_, code)| code).collect();
                    let event = json!({"user": user.id, "kind": order.kind, "codes": codes});
                    let events = vec![("user.areas_set".to_owned(), event.to_string())];
                    Ok(feed::record(tx, now, News { events, changed: Vec::new() }).await?)
                })
            })
            .await
    }

    /// The areas for which somebody answers.
    pub async fn list_user_areas(&self, user: UserId) -> Result<Vec<OwnArea>, RegistryError> {
        let mut tx = self.store.read().await?;
        let mut found = Vec::new();
        for area in user_areas::list_areas_of(&mut tx, user).await? {
            let outline = areas::find_area(&mut tx, area.0, &area.1).await?;
            found.push(OwnArea {
                names: names_of(&mut tx, &area).await?,
                bounds: outline.map(|outline| outline.shape.bounds()),
                kind: area.0,
                code: area.1,
            });
        }
        Ok(found)
    }

    /// The district in which all areas of somebody lie; `None` = they have none, or in several.
    pub async fn find_own_district(&self, user: UserId) -> Result<Option<String>, RegistryError> {
        let own = self.list_user_areas(user).await?;
        if own.is_empty() {
            return Ok(None);
        }
        let mut districts = BTreeSet::new();
        let outlines = self.area_index(AreaKind::District).await?;
        for area in own {
            match (area.kind, area.bounds) {
                (AreaKind::District, _) => drop(districts.insert(area.code)),
                (_, Some([west, south, east, north])) => {
                    let inside = outlines.find((west + east) / 2.0, (south + north) / 2.0);
                    districts.extend(inside.map(str::to_owned));
                }
                (_, None) => {}
            }
        }
        Ok(districts.pop_first().filter(|_| districts.is_empty()))
    }

    /// The names of those who answer for areas of a kind, by code.
    pub async fn list_area_people(
        &self,
        kind: AreaKind,
    ) -> Result<BTreeMap<String, Vec<String>>, RegistryError> {
        let mut people: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (code, name) in user_areas::list_people(&mut self.store.read().await?, kind).await? {
            people.entry(code).or_default().push(name);
        }
        Ok(people)
    }

    /// Everybody who may have areas of their own.
    pub async fn list_grid_workers(&self) -> Result<Vec<super::User>, RegistryError> {
        let mut users = self.list_users().await?;
        users.retain(|user| user.role == Role::GridWorker && !user.disabled);
        Ok(users)
    }
}

fn unknown_area(code: &str) -> Refusal {
    let read: String = code.chars().take(60).filter(|c| !c.is_control()).collect();
    Refusal::new("user.area_unknown").at("codes").with("read", read)
}

/// What an area is called in Chinese and English; a district may have no outline.
async fn names_of(tx: &mut Tx, (kind, code): &AreaKey) -> Result<Option<(String, String)>, RegistryError> {
    if let Some(area) = areas::find_area(tx, *kind, code).await? {
        return Ok(Some((area.name_zh, area.name_en)));
    }
    if *kind != AreaKind::District {
        return Ok(None);
    }
    let district = covers::list_districts(tx).await?.into_iter().find(|known| known.code == *code);
    Ok(district.map(|known| (known.name_zh, known.name_en)))
}

/// Refuses what a grid worker reports outside their areas, with whose it is. Whoever has no area that is still known
/// is free, and so is everybody else.
pub(super) async fn keep_to_own(
    tx: &mut Tx,
    (actor, source): (&Actor, CaseSource),
    ((lon, lat), district): ((f64, f64), &str),
) -> Result<(), RegistryError> {
    let (CaseSource::GridWorker, Actor::Staff { user, role: Role::GridWorker, .. }) = (source, actor) else {
        return Ok(());
    };
    let mut own = Vec::new();
    for area in user_areas::list_areas_of(tx, *user).await? {
        let (kind, code) = (area.0, area.1.as_str());
        if kind == AreaKind::District && code == district {
            return Ok(());
        }
        // Outlines of districts are only half of the truth: what counts is the district of the file.
        if kind != AreaKind::District
            && let Some(outline) = areas::find_area(tx, kind, code).await?
            && AreaIndex::new([(code, &outline.shape)]).is_within_m(code, lon, lat, BORDER_TOLERANCE_M)
        {
            return Ok(());
        }
        own.extend(names_of(tx, &area).await?.map(|(name, _)| format!("{code} {name}")));
    }
    if own.is_empty() {
        return Ok(());
    }
    let there = area_at(tx, (lon, lat), district).await?;
    let name = names_of(tx, &there).await?.map(|(name, _)| name).unwrap_or_default();
    let people = user_areas::list_people(tx, there.0).await?;
    let people: Vec<String> =
        people.into_iter().filter(|(code, _)| *code == there.1).map(|(_, name)| name).collect();
    let refusal = match people.is_empty() {
        true => Refusal::new("finding.other_area_nobody"),
        false => Refusal::new("finding.other_area").with("whom", people.join(", ")),
    };
    let refusal = refusal.with("read", format!("{} {name}", there.1).trim()).with("own", own.join(", "));
    Err(RegistryError::Forbidden(refusal))
}

/// The smallest area in which a point lies: a cell of the grid, a management area, its district.
async fn area_at(tx: &mut Tx, (lon, lat): (f64, f64), district: &str) -> Result<AreaKey, RegistryError> {
    for kind in [AreaKind::Grid, AreaKind::Management] {
        let outlines = areas::list_areas(tx, kind).await?;
        let index = AreaIndex::new(outlines.iter().map(|area| (area.code.as_str(), &area.shape)));
        if let Some(code) = index.find(lon, lat) {
            return Ok((kind, code.to_owned()));
        }
    }
    Ok((AreaKind::District, district.to_owned()))
}
