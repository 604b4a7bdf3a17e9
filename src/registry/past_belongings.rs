//! What belonged to covers at a moment: plates that hung on them, open cases, photos. Each is counted as it is
//! now, and what something happened to since is taken from where it is and put to where it was.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::RegistryError;
use super::replay::Since;
use crate::domain::case::CaseState;
use crate::domain::ids::Millis;
use crate::store::past::{self, StandingCase, StandingCover};
use crate::store::{Tx, structure};

/// What a cover had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Had {
    pub plate: bool,
    pub open_case: bool,
    pub photo: bool,
}

/// How many more or fewer of each there were at a moment than now, by cover.
pub(super) struct Belongings {
    at: Millis,
    plates: HashMap<Uuid, i64>,
    cases: HashMap<Uuid, i64>,
    photos: HashMap<Uuid, i64>,
}

/// Steps that are read at a time.
const PAGE: i64 = 10_000;

impl Belongings {
    /// Looks at everything that plates, cases and photos went through since.
    pub(super) async fn read(tx: &mut Tx, at: Millis, since: &Since) -> Result<Self, RegistryError> {
        let gifts = Gifts::read(tx).await?;
        let mut all = Self { at, plates: HashMap::new(), cases: HashMap::new(), photos: HashMap::new() };
        all.read_plates(tx, &gifts).await?;
        all.read_cases(tx, &gifts, since).await?;
        all.read_photos(tx, &gifts).await?;
        Ok(all)
    }

    /// Covers that may have had something else than now.
    pub(super) fn covers(&self) -> impl Iterator<Item = Uuid> + '_ {
        [&self.plates, &self.cases, &self.photos].into_iter().flat_map(|counts| counts.keys().copied())
    }

    /// What each of these covers had; one that had nothing is left out.
    pub(super) async fn had(
        &self,
        tx: &mut Tx,
        covers: &[StandingCover],
    ) -> Result<HashMap<Uuid, Had>, RegistryError> {
        let ids: Vec<Uuid> = covers.iter().map(|cover| cover.cover.0).collect();
        let manholes: BTreeSet<Uuid> = covers.iter().map(|cover| cover.manhole.0).collect();
        let manholes: Vec<Uuid> = manholes.into_iter().collect();
        let worn = past::count_worn(tx, &ids).await?;
        let mut open: HashMap<Uuid, i64> = HashMap::new();
        for case in past::list_unsettled_cases(tx, &ids).await?.iter().filter(|case| shows(case)) {
            *open.entry(case.cover.unwrap_or_default()).or_default() += 1;
        }
        let mut pictured: HashMap<Uuid, i64> = HashMap::new();
        for cover in past::list_pictured_at(tx, &manholes, self.at).await? {
            *pictured.entry(cover).or_default() += 1;
        }
        let is_some = |now: &HashMap<Uuid, i64>, then: &HashMap<Uuid, i64>, cover: &Uuid| {
            let count = |counts: &HashMap<Uuid, i64>| counts.get(cover).copied().unwrap_or_default();
            count(now) + count(then) > 0
        };
        let had = |cover: Uuid| Had {
            plate: is_some(&worn, &self.plates, &cover),
            open_case: is_some(&open, &self.cases, &cover),
            photo: is_some(&pictured, &self.photos, &cover),
        };
        Ok(ids
            .into_iter()
            .map(|cover| (cover, had(cover)))
            .filter(|(_, had)| *had != Had::default())
            .collect())
    }

    async fn read_plates(&mut self, tx: &mut Tx, gifts: &Gifts) -> Result<(), RegistryError> {
        let mut stepped: BTreeSet<i64> = gifts.plates.behind(self.at).collect();
        let mut after = (self.at.0, i64::MAX, i64::MAX);
        loop {
            let page = past::list_plate_steps_behind(tx, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = *last;
            stepped.extend(page.iter().map(|(_, token, _)| *token));
        }
        let tokens: Vec<i64> = stepped.into_iter().collect();
        for cover in past::list_wearers(tx, &tokens).await? {
            *self.plates.entry(cover).or_default() -= 1;
        }
        for worn in past::list_worn_at(tx, &tokens, self.at).await? {
            let cover = gifts.plates.forward(&worn.token, worn.cover_id, (Millis(worn.at), self.at));
            *self.plates.entry(cover).or_default() += 1;
        }
        Ok(())
    }

    async fn read_cases(&mut self, tx: &mut Tx, gifts: &Gifts, since: &Since) -> Result<(), RegistryError> {
        let mut moved: BTreeSet<Uuid> = since.cases.keys().copied().collect();
        moved.extend(past::list_released_behind(tx, self.at).await?);
        moved.extend(gifts.cases.behind(self.at));
        let moved: Vec<Uuid> = moved.into_iter().collect();
        for case in past::list_standing_cases(tx, &moved).await? {
            let Some(cover) = case.cover else { continue };
            *self.cases.entry(cover).or_default() -= i64::from(shows(&case));
            let state = match since.cases.get(&case.case) {
                Some(None) => continue,
                Some(Some(state)) => *state,
                None => case.state,
            };
            let held = case.held.filter(|(from, _)| *from <= self.at);
            let held = held.map(|(from, until)| (from, until.filter(|until| *until <= self.at)));
            let was = StandingCase { state, held, ..case };
            let cover = gifts.cases.backward(&case.case, cover, self.at);
            *self.cases.entry(cover).or_default() += i64::from(shows(&was));
        }
        Ok(())
    }

    /// Of photos only those that came are asked for: none goes.
    async fn read_photos(&mut self, tx: &mut Tx, gifts: &Gifts) -> Result<(), RegistryError> {
        for cover in past::list_pictured_behind(tx, self.at).await? {
            self.photos.entry(cover).or_default();
        }
        let given: Vec<Uuid> = gifts.photos.behind(self.at).collect();
        for (photo, cover, came) in past::list_standing_photos(tx, &given).await? {
            let Some(cover) = cover.filter(|_| came <= self.at.0) else { continue };
            *self.photos.entry(cover).or_default() -= 1;
            *self.photos.entry(gifts.photos.backward(&photo, cover, self.at)).or_default() += 1;
        }
        Ok(())
    }
}

/// Whether the map shows it: open, and not waiting for a look.
fn shows(case: &StandingCase) -> bool {
    let is_held = matches!(case.held, Some((_, None)));
    case.state.is_open() && !(case.state == CaseState::Reported && is_held)
}

/// What went from one cover to another because they were one, or were not after all.
struct Gifts {
    plates: Ways<i64>,
    cases: Ways<Uuid>,
    photos: Ways<Uuid>,
}

struct Gift {
    at: Millis,
    from: Uuid,
    to: Uuid,
}

/// The gifts of each thing in the order of time.
struct Ways<K>(HashMap<K, Vec<Gift>>);

impl Gifts {
    async fn read(tx: &mut Tx) -> Result<Self, RegistryError> {
        let mut gifts =
            Self { plates: Ways(HashMap::new()), cases: Ways(HashMap::new()), photos: Ways(HashMap::new()) };
        for merge in structure::list_same(tx).await? {
            let Some((same, kept)) = merge.same else { continue };
            let there = (merge.at, same.0, kept.0);
            let back = merge.undone_at.map(|at| (at, kept.0, same.0));
            for (at, from, to) in [there].into_iter().chain(back) {
                let gift = || Gift { at, from, to };
                let given = &merge.moved.given;
                given.plates.iter().for_each(|token| gifts.plates.add(*token, gift()));
                given.cases.iter().for_each(|case| gifts.cases.add(case.0, gift()));
                given.photos.iter().for_each(|photo| gifts.photos.add(photo.0, gift()));
            }
        }
        Ok(gifts)
    }
}

impl<K: Copy + Eq + std::hash::Hash> Ways<K> {
    fn add(&mut self, thing: K, gift: Gift) {
        let way = self.0.entry(thing).or_default();
        way.push(gift);
        way.sort_by_key(|gift| gift.at);
    }

    /// What was given after a moment.
    fn behind(&self, at: Millis) -> impl Iterator<Item = K> + '_ {
        self.0.iter().filter(move |(_, way)| way.iter().any(|gift| gift.at > at)).map(|(thing, _)| *thing)
    }

    /// Where a thing is that was there, after so long.
    fn forward(&self, thing: &K, was: Uuid, (since, until): (Millis, Millis)) -> Uuid {
        let way = self.0.get(thing).into_iter().flatten();
        way.filter(|gift| gift.at >= since && gift.at <= until)
            .fold(was, |cover, gift| if gift.from == cover { gift.to } else { cover })
    }

    /// Where a thing was at a moment that is there now.
    fn backward(&self, thing: &K, is: Uuid, until: Millis) -> Uuid {
        let way = self.0.get(thing).into_iter().flat_map(|way| way.iter().rev());
        way.take_while(|gift| gift.at > until)
            .fold(is, |cover, gift| if gift.to == cover { gift.from } else { cover })
    }
}
