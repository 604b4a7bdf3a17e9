//! The rules in force, kept in memory: every transaction that needs them asks whether they are still the newest.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use super::RegistryError;
use crate::domain::clock::Clock;
use crate::domain::cover::CoverClass;
use crate::domain::ids::{Millis, PartyId};
use crate::domain::limits::{CITY, LimitRules};
use crate::domain::routing::{KnownParty, Parties, Route, Routed, RoutingFacts, RoutingRules};
use crate::domain::rule_set::{RuleKind, RuleVersion, in_force};
use crate::store::rules::{self, RulesMark};
use crate::store::{Tx, people};

/// How long it is believed who looks after which class, twice as long where nobody counted anew.
const LOOKERS_AFTER_MS: i64 = 3_600_000;

/// 天气模式: on until somebody ends it or its time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeatherMode {
    /// 汛期, 暴雨 and so on, as whoever set it wrote it.
    pub words: String,
    pub since: Millis,
    pub until: Millis,
    pub actor: String,
}

/// The parties as rules ask for them.
#[derive(Debug, Default)]
struct Directory {
    ids: BTreeMap<String, PartyId>,
    names: BTreeMap<PartyId, String>,
}

/// Who looks after which class, since when that is believed.
struct LookersAfter {
    at: Millis,
    by_class: BTreeMap<CoverClass, Vec<PartyId>>,
}

/// What was read of rules, as of a mark.
struct Read {
    mark: RulesMark,
    versions: Vec<(RuleVersion, Parsed)>,
    directory: Arc<Directory>,
    weather: Option<WeatherMode>,
}

#[derive(Clone)]
enum Parsed {
    Limits(Arc<LimitRules>),
    Routing(Arc<RoutingRules>),
}

#[derive(Default)]
pub(super) struct RuleBook {
    read: RwLock<Option<Arc<Read>>>,
    lookers_after: RwLock<Option<Arc<LookersAfter>>>,
}

/// What holds at one moment.
#[derive(Clone)]
pub struct ActiveRules {
    pub limits: Arc<LimitRules>,
    /// 0 = the built-in ones.
    pub limits_version: i64,
    pub routing: Arc<RoutingRules>,
    pub routing_version: i64,
    pub weather: Option<WeatherMode>,
    directory: Arc<Directory>,
    now: Millis,
}

impl ActiveRules {
    /// Whether nobody works now, by the city's calendar.
    pub fn out_of_hours(&self) -> bool {
        self.out_of_hours_at(self.now)
    }

    /// Whether nobody worked at a moment.
    pub fn out_of_hours_at(&self, at: Millis) -> bool {
        self.limits.calendar(CITY).count(Clock::WorkHours, at, Millis(at.0 + 1)) == 0
    }

    pub fn now(&self) -> Millis {
        self.now
    }

    /// A party with its name, as rules know it.
    pub fn known(&self, party: Option<PartyId>) -> Option<KnownParty> {
        let id = party?;
        self.directory.names.get(&id).map(|name| KnownParty { id, name: name.clone() })
    }

    /// The same city under other routing rules.
    pub(super) fn with_routing(&self, routing: RoutingRules) -> Self {
        Self { routing: Arc::new(routing), ..self.clone() }
    }

    pub(super) fn find_party(&self, name: &str) -> Option<PartyId> {
        self.directory.ids.get(name).copied()
    }
}

/// The city as rules ask about it; notes when it was asked what nobody has counted yet.
struct City<'a> {
    directory: &'a Directory,
    lookers_after: Option<&'a LookersAfter>,
}

impl Parties for City<'_> {
    fn find(&self, name: &str) -> Option<PartyId> {
        self.directory.ids.get(name).copied()
    }

    fn lookers_after(&self, class: Option<CoverClass>) -> Vec<PartyId> {
        let Some(known) = self.lookers_after else { return Vec::new() };
        let of_class = class.and_then(|class| known.by_class.get(&class)).filter(|list| !list.is_empty());
        let mut list = match of_class {
            Some(list) => list.clone(),
            None => known.by_class.values().flatten().copied().collect(),
        };
        list.sort_unstable();
        list.dedup();
        list
    }
}

impl RuleBook {
    /// What holds now.
    pub(super) async fn active(&self, tx: &mut Tx, now: Millis) -> Result<ActiveRules, RegistryError> {
        let read = self.newest(tx).await?;
        let parsed = |kind| {
            let found = in_force(read.versions.iter().map(|(rules, _)| rules), kind, now)?;
            let parsed =
                read.versions.iter().find(|(rules, _)| rules.kind == kind && rules.version == found.version);
            parsed.map(|(rules, parsed)| (rules.version, parsed.clone()))
        };
        let (limits_version, limits) = match parsed(RuleKind::Limits) {
            Some((version, Parsed::Limits(limits))) => (version, limits),
            _ => (0, LimitRules::built_in().clone()),
        };
        let (routing_version, routing) = match parsed(RuleKind::Routing) {
            Some((version, Parsed::Routing(routing))) => (version, routing),
            _ => (0, RoutingRules::built_in().clone()),
        };
        let weather = read.weather.clone().filter(|mode| mode.since <= now && now < mode.until);
        let directory = read.directory.clone();
        Ok(ActiveRules { limits, limits_version, routing, routing_version, weather, directory, now })
    }

    async fn newest(&self, tx: &mut Tx) -> Result<Arc<Read>, RegistryError> {
        let mark = rules::find_mark(tx).await?;
        let known = self.read.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        if let Some(known) = known.filter(|known| known.mark == mark) {
            return Ok(known);
        }
        let mut versions = Vec::new();
        for version in rules::list_versions(tx).await? {
            // A text that an older program cannot read any more leaves the one before in force.
            let parsed = match version.kind {
                RuleKind::Limits => {
                    LimitRules::from_toml(&version.text).map(|rules| Parsed::Limits(Arc::new(rules)))
                }
                RuleKind::Routing => {
                    RoutingRules::from_toml(&version.text).map(|rules| Parsed::Routing(Arc::new(rules)))
                }
            };
            match parsed {
                Ok(parsed) => versions.push((version, parsed)),
                Err(refusal) => {
                    tracing::error!(rules.kind = %version.kind, rules.version = version.version, %refusal, "a version of the rules is not understood");
                }
            }
        }
        let parties = people::list_parties(tx).await?;
        let directory = Directory {
            ids: parties.iter().map(|party| (party.name.clone(), party.id)).collect(),
            names: parties.into_iter().map(|party| (party.id, party.name)).collect(),
        };
        let weather = mark.weather.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let read = Arc::new(Read { mark, versions, directory: Arc::new(directory), weather });
        *self.read.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(read.clone());
        Ok(read)
    }

    /// Who gets a case, by the rules that hold.
    pub(super) async fn route(
        &self,
        tx: &mut Tx,
        active: &ActiveRules,
        facts: &RoutingFacts,
    ) -> Result<Route, RegistryError> {
        // Only a cover that nobody looks after is offered around: the others need no count of all covers.
        let asks = active.routing.pools.values().any(|pool| pool.parties.is_empty());
        let known = match asks && facts.owner.is_none() && facts.maintainer.is_none() {
            true => Some(self.lookers_after(tx, active.now).await?),
            false => None,
        };
        let city = City { directory: &active.directory, lookers_after: known.as_deref() };
        Ok(active.routing.route(facts, &city))
    }

    /// Who looks after which class, as counted within two hours; the minute loop counts once an hour, so that no
    /// report waits for it.
    async fn lookers_after(&self, tx: &mut Tx, now: Millis) -> Result<Arc<LookersAfter>, RegistryError> {
        match self.known_lookers_after(now, 2 * LOOKERS_AFTER_MS) {
            Some(known) => Ok(known),
            None => self.recount_lookers_after(tx, now).await,
        }
    }

    /// Counts anew who looks after which class, where that is older than an hour.
    pub(super) async fn count_lookers_after(&self, tx: &mut Tx, now: Millis) -> Result<(), RegistryError> {
        if self.known_lookers_after(now, LOOKERS_AFTER_MS).is_none() {
            self.recount_lookers_after(tx, now).await?;
        }
        Ok(())
    }

    fn known_lookers_after(&self, now: Millis, most_ms: i64) -> Option<Arc<LookersAfter>> {
        let known = self.lookers_after.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        known.filter(|known| (now.0 - known.at.0).abs() <= most_ms)
    }

    async fn recount_lookers_after(
        &self,
        tx: &mut Tx,
        now: Millis,
    ) -> Result<Arc<LookersAfter>, RegistryError> {
        let mut by_class: BTreeMap<CoverClass, Vec<PartyId>> = BTreeMap::new();
        for (class, party) in rules::list_lookers_after(tx).await? {
            by_class.entry(class).or_default().push(party);
        }
        let counted = Arc::new(LookersAfter { at: now, by_class });
        *self.lookers_after.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(counted.clone());
        Ok(counted)
    }

    /// The parties of a pool, for a cover of this class.
    pub(super) async fn pool(
        &self,
        tx: &mut Tx,
        active: &ActiveRules,
        name: &str,
        facts: &RoutingFacts,
    ) -> Result<Vec<PartyId>, RegistryError> {
        let known = self.lookers_after(tx, active.now).await?;
        let city = City { directory: &active.directory, lookers_after: Some(&known) };
        Ok(active.routing.pool_parties(name, facts.class, &city))
    }
}

/// Party or pool of a route, in the columns of a case.
pub(super) fn to_columns(to: &Routed) -> (Option<PartyId>, Vec<PartyId>) {
    match to {
        Routed::Party(party) => (Some(*party), Vec::new()),
        Routed::Pool { parties, .. } => (None, parties.clone()),
        Routed::Desk => (None, Vec::new()),
    }
}
