//! 往日地图: what the registry was at a moment. The past is the present in which exactly those covers differ to
//! which something happened since; what a cover was is what the first entry since says of before.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::past_belongings::{Belongings, Had};
use super::replay::{Since, TOLD, Undo};
use super::{Registry, RegistryError};
use crate::domain::code::ComponentCode;
use crate::domain::ids::{CoverId, Millis, PartyId};
use crate::domain::position::Position;
use crate::domain::quality::{Attached, FileSketch, Rules};
use crate::spatial::{Change, Snapshot};
use crate::store::covers::PointRow;
use crate::store::exports::CoverLine;
use crate::store::past::{self, EntryKey, FoundedKey, StandingCover, StandingPlace};
use crate::store::{StoreError, Tx, people};

/// The map of a moment.
#[derive(Debug)]
pub struct PastMap {
    pub at: Millis,
    pub map: Arc<Snapshot>,
    /// The covers that may differ from those of the map of which it was made, in the order of their ids. Two maps of
    /// the past may differ in the covers of either: a plate that hung only in between is told by the later one alone.
    pub touched: Vec<CoverId>,
}

/// A cover as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct PastCover {
    pub cover: StandingCover,
    pub place: StandingPlace,
    /// Names of parties as the file has them.
    pub owner: Option<(PartyId, String)>,
    pub maintainer: Option<(PartyId, String)>,
    /// Whether it had another code than now.
    pub is_renumbered: bool,
    /// `None` = as now.
    pub version: Option<i64>,
    had: Had,
}

/// Entries that are read at a time, and covers.
const ENTRIES: i64 = 5000;
const COVERS: usize = 2000;
const FOUNDED: i64 = 10_000;

impl Registry {
    /// The map as it was at a moment, made from that of now: reading is by what happened since. The map of now must
    /// have been taken before the call. Memory: some 500 bytes for each cover that differs, while it is read.
    pub async fn map_at(
        &self,
        at: Millis,
        now: Arc<Snapshot>,
        rules: &Rules,
    ) -> Result<PastMap, RegistryError> {
        if self.find_first_moment().await?.is_none_or(|first| first > at) {
            let map = Snapshot::build_with(now.lexicon().clone(), [], now.version());
            let mut touched: Vec<CoverId> = now.rows().map(|row| row.cover).collect();
            touched.sort_unstable();
            return Ok(PastMap { at, map: Arc::new(map), touched });
        }
        let (registry, rules) = (self.clone(), rules.clone());
        let lexicon = now.lexicon().clone();
        let changes = self.read_past(at, move |cover, was| match was {
            Some(was) => Change::Put(registry.map_row(&was.point(), &lexicon, &rules)),
            None => Change::Remove(cover),
        });
        let changes = changes.await?;
        let mut touched: Vec<CoverId> = changes.iter().map(|(cover, _)| *cover).collect();
        touched.sort_unstable();
        touched.dedup();
        // Packing anew takes a while at a million covers.
        let packed = tokio::task::spawn_blocking(move || {
            now.with_changes(changes.into_iter().map(|(_, change)| change), now.version())
        });
        let map = packed.await.map_err(|_| RegistryError::Broken(StoreError::Stopped))?;
        Ok(PastMap { at, map: Arc::new(map), touched })
    }

    /// When the first entry of all files was written; `None` = the registry is empty.
    pub async fn find_first_moment(&self) -> Result<Option<Millis>, RegistryError> {
        Ok(past::find_first_moment(&mut self.store.read().await?).await?)
    }

    /// Reads what was otherwise, page after page of one state of the database. Runs as a task of its own: a caller
    /// who goes away must not leave a transaction open.
    async fn read_past<T: Send + 'static>(
        &self,
        at: Millis,
        keep: impl Fn(CoverId, Option<PastCover>) -> T + Send + Sync + 'static,
    ) -> Result<Vec<(CoverId, T)>, RegistryError> {
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            let mut tx = store.read_frozen().await?;
            let mut kept = Vec::new();
            let read = walk(&mut tx, at, &mut |cover, was| kept.push((cover, keep(cover, was)))).await;
            tx.finish_frozen().await?;
            read.map(|()| kept)
        });
        task.await.unwrap_or(Err(RegistryError::Broken(StoreError::Stopped)))
    }
}

/// The covers that were otherwise at a moment than they are now; `None` = it was not in use then.
#[derive(Debug)]
pub struct PastCovers(HashMap<CoverId, Option<PastCover>>);

impl PastCovers {
    pub(super) async fn read(tx: &mut Tx, at: Millis) -> Result<Self, RegistryError> {
        let mut covers = HashMap::new();
        walk(tx, at, &mut |cover, was| drop(covers.insert(cover, was))).await?;
        Ok(Self(covers))
    }

    /// Hands out a line of now as it was then; nothing where the cover was not in use.
    pub fn line<T>(&self, line: &CoverLine<'_>, take: impl FnOnce(&CoverLine<'_>) -> T) -> Option<T> {
        match self.0.get(&line.cover) {
            None => line.retired_at.is_none().then(|| take(line)),
            Some(was) => was.as_ref().map(|was| was.line(line, take)),
        }
    }
}

/// Hands out every cover that was otherwise.
async fn walk(
    tx: &mut Tx,
    at: Millis,
    keep: &mut (impl FnMut(CoverId, Option<PastCover>) + Send),
) -> Result<(), RegistryError> {
    let since = read_since(tx, at).await?;
    let belongings = Belongings::read(tx, at, &since).await?;
    let parties = people::list_parties(tx).await?;
    let then = Then {
        at,
        ids: parties.iter().map(|party| (party.name.clone(), party.id)).collect(),
        names: parties.into_iter().map(|party| (party.id, party.name)).collect(),
        since,
    };
    let differing: BTreeSet<Uuid> = then.since.covers.keys().copied().chain(belongings.covers()).collect();
    let ids: Vec<Uuid> = differing.iter().copied().collect();
    for chunk in ids.chunks(COVERS) {
        let covers = past::list_standing_covers(tx, chunk).await?;
        let had = belongings.had(tx, &covers).await?;
        let manholes: BTreeSet<Uuid> = covers.iter().map(|cover| then.manhole_of(cover)).collect();
        let manholes: Vec<Uuid> = manholes.into_iter().collect();
        let places = past::list_standing_places(tx, &manholes).await?;
        let places: HashMap<Uuid, StandingPlace> =
            places.into_iter().map(|place| (place.manhole.0, place)).collect();
        for cover in covers {
            let had = had.get(&cover.cover.0).copied().unwrap_or_default();
            let place = places.get(&then.manhole_of(&cover));
            keep(cover.cover, place.and_then(|place| then.cover(&cover, place, had)));
        }
    }
    let mut after = FoundedKey::behind(at);
    loop {
        let page = past::list_founded_behind(tx, after, FOUNDED).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = *last;
        for founded in page.iter().filter(|founded| !differing.contains(&founded.cover.0)) {
            keep(founded.cover, None);
        }
    }
}

async fn read_since(tx: &mut Tx, at: Millis) -> Result<Since, RegistryError> {
    let mut since = Since::default();
    let mut after = EntryKey::behind(at);
    loop {
        let page = past::list_entries_behind(tx, TOLD, after, ENTRIES).await?;
        let Some(last) = page.last() else { break };
        after = last.key;
        page.iter().for_each(|entry| since.read(entry));
    }
    if since.unread > 0 {
        tracing::warn!(entries = since.unread, "entries that the map of the past does not understand");
    }
    Ok(since)
}

/// All that must be known to say what covers were.
struct Then {
    at: Millis,
    since: Since,
    ids: HashMap<String, PartyId>,
    names: HashMap<PartyId, String>,
}

impl Then {
    fn manhole_of(&self, cover: &StandingCover) -> Uuid {
        let undo = self.since.covers.get(&cover.cover.0);
        undo.and_then(|undo| before(undo, "manhole")).unwrap_or(cover.manhole.0)
    }

    /// `None` = it was not in use.
    fn cover(&self, now: &StandingCover, place: &StandingPlace, had: Had) -> Option<PastCover> {
        let nothing = Undo::default();
        let undo = self.since.covers.get(&now.cover.0).unwrap_or(&nothing);
        let is_retired = undo.find("retired").map_or(now.is_retired, |before| !before.is_null());
        if undo.is_new || is_retired || place.founded_at > self.at {
            return None;
        }
        let mut extra = now.extra.clone();
        for (name, before) in undo.extra() {
            match before.as_str() {
                Some(text) => extra.insert(name.to_owned(), text.to_owned()),
                None => extra.remove(name),
            };
        }
        let (owner, maintainer, supervisor) = (
            self.party(undo, "owner", now.owner),
            self.party(undo, "maintainer", now.maintainer),
            self.party(undo, "supervisor", now.supervisor),
        );
        let code = ComponentCode {
            scheme: before(undo, "scheme").unwrap_or_else(|| now.code.scheme.clone()),
            digits: before(undo, "code").unwrap_or_else(|| now.code.digits.clone()),
        };
        let id = |party: &Option<(PartyId, String)>| party.as_ref().map(|(id, _)| *id);
        Some(PastCover {
            is_renumbered: code != now.code,
            version: undo.version.map(|first| first - 1),
            cover: StandingCover {
                cover: now.cover,
                manhole: place.manhole,
                code,
                class: before(undo, "class").unwrap_or(now.class),
                state: before(undo, "state").unwrap_or(now.state),
                material: before(undo, "material").unwrap_or(now.material),
                shape: before(undo, "shape").unwrap_or(now.shape),
                load_class: before(undo, "load_class").unwrap_or(now.load_class),
                owner: id(&owner),
                maintainer: id(&maintainer),
                supervisor: id(&supervisor),
                extra,
                is_retired,
            },
            place: self.place(place),
            owner,
            maintainer,
            had,
        })
    }

    fn place(&self, now: &StandingPlace) -> StandingPlace {
        let Some(undo) = self.since.places.get(&now.manhole.0) else { return now.clone() };
        StandingPlace {
            manhole: now.manhole,
            district: before(undo, "district").unwrap_or_else(|| now.district.clone()),
            road: before(undo, "road").unwrap_or_else(|| now.road.clone()),
            address: before(undo, "address").unwrap_or_else(|| now.address.clone()),
            placement: before(undo, "placement").unwrap_or(now.placement),
            position: before::<Position>(undo, "position").unwrap_or_else(|| now.position.clone()),
            founded_at: now.founded_at,
        }
    }

    /// A file names parties, and the name says which one it was; one that has another name since has no id then.
    fn party(&self, undo: &Undo, field: &str, now: Option<PartyId>) -> Option<(PartyId, String)> {
        match undo.find(field) {
            None => now.and_then(|id| Some((id, self.names.get(&id)?.clone()))),
            Some(before) => {
                let name = before.as_str()?;
                let id = self.ids.get(name).copied().unwrap_or(PartyId(Uuid::nil()));
                Some((id, name.to_owned()))
            }
        }
    }
}

/// What a field was before; `None` = as now.
fn before<T: DeserializeOwned>(undo: &Undo, field: &str) -> Option<T> {
    undo.find(field).and_then(|value: &Value| T::deserialize(value).ok())
}

impl PastCover {
    /// As a file of covers has it. Which of its codes were former ones then is not told of one that got another since.
    fn line<T>(&self, now: &CoverLine<'_>, take: impl FnOnce(&CoverLine<'_>) -> T) -> T {
        let (cover, place) = (&self.cover, &self.place);
        let position = &place.position;
        let extra = serde_json::to_string(&cover.extra).expect("a map of strings is always JSON");
        take(&CoverLine {
            cover: cover.cover,
            manhole: cover.manhole,
            scheme: &cover.code.scheme,
            code: &cover.code.digits,
            district: &place.district,
            class: cover.class,
            state: cover.state,
            lon: position.lon,
            lat: position.lat,
            raw: position.raw,
            method: position.method,
            accuracy_m: position.accuracy_m,
            surveyed_at: position.surveyed_at,
            device: position.device.as_deref(),
            road: place.road.as_deref(),
            address: place.address.as_deref(),
            placement: place.placement,
            material: cover.material,
            shape: cover.shape,
            load_class: cover.load_class,
            owner: cover.owner,
            maintainer: cover.maintainer,
            supervisor: cover.supervisor,
            extra: &extra,
            source: now.source,
            source_key: now.source_key,
            former_codes: now.former_codes.filter(|_| !self.is_renumbered),
            retired_at: None,
            retired_reason: None,
            successor: None,
            version: self.version.unwrap_or(now.version),
            created_at: now.created_at,
        })
    }

    /// As the map reads a cover from the tables.
    fn point(&self) -> PointRow {
        let (cover, place) = (&self.cover, &self.place);
        PointRow {
            cover: cover.cover,
            manhole: place.manhole,
            lon: place.position.lon,
            lat: place.position.lat,
            quadkey: place.position.quadkey(),
            code: cover.code.clone(),
            state: cover.state,
            district: place.district.clone(),
            road: place.road.clone(),
            owner: self.owner.clone(),
            maintainer: self.maintainer.clone(),
            surveyed_at: place.position.surveyed_at,
            sketch: FileSketch {
                class: cover.class,
                placement: place.placement,
                material: cover.material,
                shape: cover.shape,
                load_class: cover.load_class,
                owner: self.owner.is_some(),
                maintainer: self.maintainer.is_some(),
                supervisor: cover.supervisor.is_some(),
                road: place.road.is_some(),
                address: place.address.is_some(),
                accuracy: place.position.accuracy_m.is_some(),
                surveyed_at: place.position.surveyed_at.is_some(),
                installed: None,
                attached: Attached { plate: self.had.plate, photo: self.had.photo },
            },
            extra: cover.extra.clone(),
            has_open_case: self.had.open_case,
        }
    }
}
